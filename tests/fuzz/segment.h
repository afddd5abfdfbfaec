/* segment.h - what fuzz_segment and fuzz_log share: a walk over a segment, and checksums put right. */
#ifndef WB_TESTS_FUZZ_SEGMENT_H
#define WB_TESTS_FUZZ_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/crc32c.h"
#include "engine/base/error.h"
#include "engine/store/segment.h"

static inline uint64_t touch(const uint8_t *bytes, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += bytes[i];
  return sum;
}

typedef struct walked {
  int last;
  size_t good;
  uint64_t chunks, frames, sum;
} walked;

static inline walked walk(const uint8_t *bytes, size_t count, bool verify) {
  walked w = {0};
  wb_segment_cursor cursor;
  wb_segment_info info;
  if ((w.last = wb_segment_open(&cursor, bytes, count, &info))) return w;
  WB_CHECK(strlen(info.text) < sizeof info.text);
  wb_chunk chunk;
  const uint8_t *frame, *data;
  while ((w.last = wb_segment_next(&cursor, verify, &chunk, &frame, &data)) == 1) {
    w.chunks++;
    w.frames += chunk.frame_count;
    for (uint32_t i = 0; i < chunk.frame_count; i++) {
      wb_frame one;
      memcpy(&one, frame + i * sizeof one, sizeof one);
      w.sum += touch(data + (one.position - chunk.first_position), one.bytes);
    }
    if (verify) {
      uint32_t crc = wb_crc32c(0, frame, chunk.frame_count * sizeof(wb_frame));
      WB_CHECK(wb_crc32c(crc, data, chunk.data_bytes) == chunk.body_crc);
    }
  }
  w.good = cursor.offset;
  WB_CHECK(w.good <= count && (w.last == 0) == (w.good == count));
  return w;
}

/* Puts the checksums, the magic and the chunk numbers right and leaves the rest as it is. At least WB_SEGMENT_HEADER_BYTES. */
static inline void mend(uint8_t *bytes, size_t count) {
  wb_segment_info info = {.segment = bytes[16], .created_utc_ns = bytes[24], .first_number = bytes[48], .text = "{}"};
  info.node[0] = bytes[32];
  wb_segment_header_write(&info, bytes);
  size_t at = WB_SEGMENT_HEADER_BYTES;
  for (uint32_t number = 0; count - at >= WB_CHUNK_HEADER_BYTES; number++) {
    uint32_t word[12];
    memcpy(word, bytes + at, sizeof word);
    wb_chunk chunk = {.chunk_bytes = word[1],
                      .frame_count = word[2],
                      .data_offset = word[3],
                      .data_bytes = word[4],
                      .number = number,
                      .first_position = word[6] | (uint64_t)word[7] << 32,
                      .utc_offset_ns = word[8],
                      .line = word[10]};
    uint64_t left = count - at, frames_bytes = (uint64_t)chunk.frame_count * sizeof(wb_frame);
    uint64_t data_end = (uint64_t)chunk.data_offset + chunk.data_bytes;
    if (WB_CHUNK_HEADER_BYTES + frames_bytes <= left && data_end <= left)
      chunk.body_crc = wb_crc32c(wb_crc32c(0, bytes + at + WB_CHUNK_HEADER_BYTES, frames_bytes), bytes + at + chunk.data_offset,
                                 chunk.data_bytes);
    wb_chunk_header_write(&chunk, bytes + at);
    if (chunk.chunk_bytes < WB_CHUNK_HEADER_BYTES || chunk.chunk_bytes > left) return;
    at += chunk.chunk_bytes;
  }
}

#endif
