/* log_index.h - indexes of segments as files: makes NAME.wbidx beside NAME.wbseg or NAME.wbseg.zst, and reads it back.
 *
 * Make:    the segment is read through once, each chunk checked; the index goes to NAME.wbidx.tmp, is synced and renamed. It gets the
 *          segment's time of last change, so a clock that jumps makes no index look old. Of a damaged segment the whole prefix is
 *          indexed.
 * Belief:  an index counts only if it is whole, its node, segment number, header and file size are those of the segment, and it is
 *          not older. Any other is as if it were not there, but for a word of why.
 * Memory:  making: 10 MiB, of which an ordinary segment touches one or two, and a chunk. Reading: the index.
 * Threads: one an object. */
#ifndef WB_IO_LOG_INDEX_H
#define WB_IO_LOG_INDEX_H

#include "engine/store/index.h"
#include "io/log_reader.h"

/* wb_log_index_path writes the path of a segment's index: NAME.wbidx for NAME.wbseg, NAME.wbseg.zst, or any other NAME. 0 or
 * WB_E_LIMIT. */
int wb_log_index_path(const char *segment_path, char *path, size_t size);

/* ------------------------------------------------------------------------------------------------ making */

typedef struct wb_log_indexer wb_log_indexer;

/* wb_log_indexer_open begins with a segment. NULL with *error: WB_E_STATE while it is being written; WB_E_DAMAGED, WB_E_VERSION;
 * WB_E_UNSUPPORTED where its header names a feed that this program has no codec for; WB_E_SYSTEM, WB_E_MEMORY, WB_E_LIMIT. */
wb_log_indexer *wb_log_indexer_open(const char *segment_path, wb_error *error);

/* wb_log_indexer_step reads one chunk, or writes the index when there is none left. 1: there is more to do; 0: the index is there;
 * negative with *error: it is not. Waits for the disk. */
int wb_log_indexer_step(wb_log_indexer *indexer, wb_error *error);
void wb_log_indexer_close(wb_log_indexer *indexer);

/* wb_log_index_make does all of it. 0 or negative with *error. */
int wb_log_index_make(const char *segment_path, wb_error *error);

/* ------------------------------------------------------------------------------------------------ reading */

typedef struct wb_log_index {
  wb_index index;
  uint8_t *bytes;      /* that it lies in */
  uint64_t file_bytes; /* of the index: what was read of it */
} wb_log_index;

/* wb_log_index_load reads the index of a readable segment, or its head alone. 0; else the index is not believed, or not there:
 * negative, and *error says why (os_errno ENOENT: there is none). */
int wb_log_index_load(const wb_log_segment *segment, bool head_only, wb_log_index *index, wb_error *error);
/* wb_log_index_is_right says whether a segment has an index that is believed. */
bool wb_log_index_is_right(const char *segment_path);
void wb_log_index_drop(wb_log_index *index);

#endif
