/* segment.h - the raw log's file format: memory in, memory out, no I/O.
 *
 * A segment file is one header, then chunks; append only, nothing is ever rewritten. All integers little endian.
 *
 *   file header (4096 bytes): magic "wirebook", version, header CRC, segment number, created_utc_ns, node id (16 random
 *     bytes), number of the first frame it may hold, then UTF-8 JSON text (feed, lines' URLs, products, program version)
 *     padded with zeros. A reader refuses a version it does not know.
 *   chunk: chunk header (64 bytes), frame_count wb_frame records, then the journal bytes those records lie in, then zero
 *     padding to chunk_bytes.
 *     chunk header: magic, chunk_bytes (whole chunk, multiple of 8), frame_count, data_offset (from the chunk's start),
 *     data_bytes, number of the chunk (from 0), first_position (journal position of data[0]), utc_offset_ns (CLOCK_REALTIME
 *     - CLOCK_MONOTONIC when it was written), line, crc of frames and data, mark of the segment, crc of the header itself (last
 *     field).
 * A chunk holds records of one journal. Frame n's bytes lie at data + (frame.position - first_position). Bytes between
 * records (WebSocket headers) are kept as they came.
 *
 * Recovery: the longest prefix of whole chunks with right checksums is the log; what follows is damage. A file cut at any
 * byte reads as that prefix.
 * Direct I/O: a writer may pad chunks to 4096 and let data_offset be anything that keeps the source aligned; readers only
 * follow the offsets. */
#ifndef WB_STORE_SEGMENT_H
#define WB_STORE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/event.h"

enum { WB_SEGMENT_VERSION = 1, WB_SEGMENT_HEADER_BYTES = 4096, WB_CHUNK_HEADER_BYTES = 64 };

typedef struct wb_segment_info {
  uint32_t version;
  uint64_t segment;
  int64_t created_utc_ns;
  uint8_t node[16];
  uint64_t first_number; /* number of the first frame it may hold */
  char text[3072];       /* JSON object, NUL-terminated */
} wb_segment_info;

/* wb_segment_header_write makes the file header in bytes[WB_SEGMENT_HEADER_BYTES]. Returns 0 or WB_E_LIMIT (text too long). */
int wb_segment_header_write(const wb_segment_info *info, uint8_t *bytes);

/* wb_segment_header_read: 0, WB_E_DAMAGED (not a segment, or its checksum is wrong), WB_E_VERSION. count may be short of a
 * whole header: WB_E_DAMAGED. */
int wb_segment_header_read(const uint8_t *bytes, size_t count, wb_segment_info *info);

typedef struct wb_chunk {
  uint32_t chunk_bytes, frame_count, data_offset, data_bytes;
  uint64_t first_position;
  int64_t utc_offset_ns;
  uint32_t number;   /* from 0 within the segment */
  uint32_t line;     /* 0..255, index of the journal: a line's, or one past the last line's for the node's own records */
  uint32_t body_crc; /* CRC-32C of the frames followed by the data */
  uint32_t mark;     /* wb_segment_mark of the segment it belongs to; 0: not said */
} wb_chunk;

/* wb_segment_mark returns what marks a segment's chunks, so that one that a disk put into another file is known; never 0. */
uint32_t wb_segment_mark(const wb_segment_info *info);

/* wb_chunk_header_write makes the header in bytes[WB_CHUNK_HEADER_BYTES]; wb_chunk_header_read reads and checks it (magic, CRC,
 * offsets and sums that fit each other): 0 or WB_E_DAMAGED. */
void wb_chunk_header_write(const wb_chunk *chunk, uint8_t *bytes);
int wb_chunk_header_read(const uint8_t *bytes, size_t count, wb_chunk *chunk);

/* Walks the chunks of a segment that lies whole in memory (a mapped file). */
typedef struct wb_segment_cursor {
  const uint8_t *bytes;
  size_t count, offset; /* offset of the next chunk */
  uint32_t chunk_number;
  uint32_t mark; /* of the segment; 0: any */
} wb_segment_cursor;

/* wb_segment_open starts after the header. 0, WB_E_DAMAGED, WB_E_VERSION. */
int wb_segment_open(wb_segment_cursor *cursor, const uint8_t *bytes, size_t count, wb_segment_info *info);

/* wb_segment_next gives the next chunk: 1 with *chunk, *frame (chunk->frame_count records; may be unaligned: copy) and *data; 0
 * at the clean end; WB_E_DAMAGED at a torn or wrong chunk (cursor->offset is then the length of the good prefix; further calls
 * return the same). verify: check the body's CRC too. Every frame is checked to lie within the chunk's data. */
int wb_segment_next(wb_segment_cursor *cursor, bool verify, wb_chunk *chunk, const uint8_t **frame, const uint8_t **data);

#endif
