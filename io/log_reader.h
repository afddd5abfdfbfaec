/* log_reader.h - reads raw logs back: every frame of every line, in the order in which the node took them, from segments as they
 * were written and from compressed ones alike.
 *
 * What:    opens segment files, and folders of them, sorts them into runs (one run of a node: one node id in the headers) and
 *          gives the frames of run after run, oldest first, each run ordered by frame.number over all lines. Chunks of
 *          different lines lie in a file in the order of their writing, so chunks are queued until the next number turns up: at
 *          most window_chunks of them, and never past a segment whose header says that the number cannot come any more.
 * Damage:  a segment is read up to its first torn or wrong chunk; the rest is reported by file and offset and left out. Numbers
 *          that are missing are reported as gaps, but for those that a gap record of the log itself names (engine/store/gap.h): those
 *          are only counted. A number that comes twice is given once. A segment that its writer still
 *          holds open is read as far as it is whole and is not damaged.
 * Index:   where a segment has an index that is believed (io/log_index.h), what lies behind damage is read on from the next stretch,
 *          and of a part of the log only the stretches that the part needs (io/log_part.h).
 * Zstd:    NAME.wbseg.zst is NAME.wbseg in compressed form; where both are there, the plain one is read. It is decoded chunk by
 *          chunk, each checked. One that is cut or wrong gives every whole chunk in front of the damage; offsets are those of
 *          the segment, not of the file. A plain file that is gone when its turn comes is looked for in compressed form.
 * Memory:  plain segments are mapped while frames of them are queued, and must not shrink meanwhile. Queued chunks of
 *          compressed ones are held decoded, window_bytes of them and one more at most.
 * Threads: one. */
#ifndef WB_IO_LOG_READER_H
#define WB_IO_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/products.h"
#include "engine/event.h"
#include "engine/store/segment.h"

/* More than a flusher can be behind by: 16 lines with 1 GiB of journal each, in chunks of 1 MiB, are 16384. */
enum { WB_LOG_WINDOW_CHUNKS_DEFAULT = 65536 };
/* Lines are written in turns, so a line is ahead of another by no more than the other's spill (256 MiB if not said otherwise). */
#define WB_LOG_WINDOW_BYTES_DEFAULT (UINT64_C(1) << 30)

/* One file. chunks, frames and good_bytes (of the segment, decoded) count what was read so far; file_bytes is its size on disk;
 * growing: as of open, and again when its turn came; code is 0, WB_E_DAMAGED, WB_E_VERSION or WB_E_SYSTEM. */
typedef struct wb_log_segment {
  char *path;
  unsigned path_index; /* the argument it came from */
  unsigned run;        /* from 0; of no meaning when `readable` is false */
  bool readable;       /* its header is good: the six below are set */
  uint8_t node[16];
  uint32_t header_crc;
  uint64_t segment, first_number;
  int64_t created_utc_ns;
  char *text; /* the header's JSON */
  bool growing, done, compressed;
  int code;
  uint64_t file_bytes, good_bytes, chunks, frames;
} wb_log_segment;

typedef enum { WB_LOG_NOTE_DAMAGE = 1, WB_LOG_NOTE_GAP, WB_LOG_NOTE_INDEX } wb_log_note_kind;

/* DAMAGE: segment, offset of the first byte that is not part of the log, bytes left out (of a compressed segment as far as its
 * frames tell), code. GAP: numbers first..last are not
 * there; segment is that of the frame that comes next (NULL at the end of a run). INDEX: the segment's index is not
 * believed, text says why. */
typedef struct wb_log_note {
  wb_log_note_kind kind;
  const wb_log_segment *segment;
  unsigned run;
  int code;
  uint64_t offset, bytes;
  uint64_t first, last;
  const char *text;
} wb_log_note;

/* A part of a log, by receive time: from <= time < to. With products: what a replay of these products needs for it, from their last
 * snapshots in front of it on, and nothing behind it. Without: at least all frames received then, and others beside them. */
typedef struct wb_log_window {
  int64_t from_utc_ns, to_utc_ns;
  const wb_products *products;
} wb_log_window;

typedef struct wb_log_reader_config {
  const char *const *path; /* files (any name) and folders (searched for *.wbseg and *.wbseg.zst) */
  size_t path_count;
  bool verify; /* check the checksum of every chunk; done anyway in the last segment of a run, in one still growing, and in
               * compressed ones */
  uint32_t window_chunks;    /* 0: the default */
  uint64_t window_bytes;     /* 0: the default */
  const wb_log_window *part; /* NULL: all; else as long as the reader */
  void *self;
  void (*note)(void *self, const wb_log_note *note); /* may be NULL; called from open and next */
} wb_log_reader_config;

/* bytes[0..frame.bytes) and WB_READ_SLACK_BYTES past them are readable until the next call. */
typedef struct wb_log_record {
  wb_frame frame;
  const uint8_t *bytes;
  int64_t utc_ns; /* receive time */
  bool within;    /* the part's window has begun */
  unsigned run;
  const wb_log_segment *segment;
} wb_log_record;

typedef struct wb_log_reader wb_log_reader;

/* wb_log_reader_open finds the segments and reads their headers. NULL if a path is missing or cannot be read. Finding no
 * segment at all is not an error: see wb_log_reader_segment. */
wb_log_reader *wb_log_reader_open(const wb_log_reader_config *config, wb_error *error);
void wb_log_reader_close(wb_log_reader *reader);

/* wb_log_reader_next gives the next frame: 1, or 0 at the end. What is wrong with a log never ends it: see note. */
int wb_log_reader_next(wb_log_reader *reader, wb_log_record *record);

/* wb_log_reader_segment returns a segment by index in reading order, those with a wrong header last; NULL past the end. */
const wb_log_segment *wb_log_reader_segment(const wb_log_reader *reader, size_t index);

/* What was met so far. read_bytes: of segments and indexes, as they lie on disk; of a mapped segment those of the chunks looked at. of_bytes:
 * of all segments. numbers_dropped: in no record, but in what a gap record tells; not among the missing. */
typedef struct wb_log_totals {
  uint64_t frames, damages, gaps, numbers_missing, numbers_dropped, duplicates;
  uint64_t read_bytes, of_bytes;
} wb_log_totals;
wb_log_totals wb_log_reader_totals(const wb_log_reader *reader);

/* wb_log_is_segment says whether bytes[0..count) begin like a segment file. */
bool wb_log_is_segment(const uint8_t *bytes, size_t count);

/* wb_log_is_segment_file says whether a regular file begins like a segment, as it is or in compressed form. false, too, where it
 * cannot be read. */
bool wb_log_is_segment_file(const char *path);

#endif
