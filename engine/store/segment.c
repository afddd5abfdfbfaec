#include "engine/store/segment.h"

#include <string.h>

#include "engine/base/crc32c.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little endian, and written as it lies in memory");

/* The two headers as they lie in a file. */
typedef struct file_header {
  char magic[8];
  uint32_t version, crc; /* of all 4096 bytes, with crc 0 */
  uint64_t segment;
  int64_t created_utc_ns;
  uint8_t node[16];
  uint64_t first_number;
  uint8_t reserved[8];
  char text[WB_SEGMENT_HEADER_BYTES - 64];
} file_header;
_Static_assert(sizeof(file_header) == WB_SEGMENT_HEADER_BYTES, "file header is 4096 bytes");

typedef struct chunk_header {
  uint32_t magic, chunk_bytes, frame_count, data_offset, data_bytes, number;
  uint64_t first_position;
  int64_t utc_offset_ns;
  uint32_t line, body_crc;
  uint32_t mark, reserved[2], crc;
} chunk_header;
_Static_assert(sizeof(chunk_header) == WB_CHUNK_HEADER_BYTES, "chunk header is 64 bytes");

static const char file_magic[8] = {'w', 'i', 'r', 'e', 'b', 'o', 'o', 'k'};
#define CHUNK_MAGIC UINT32_C(0x4b434257) /* "WBCK" */

static uint32_t file_crc(const file_header *header) {
  static const uint8_t zero[sizeof header->crc];
  const uint8_t *bytes = (const uint8_t *)header;
  size_t at = offsetof(file_header, crc), after = at + sizeof header->crc;
  uint32_t crc = wb_crc32c(0, bytes, at);
  crc = wb_crc32c(crc, zero, sizeof zero);
  return wb_crc32c(crc, bytes + after, sizeof *header - after);
}

int wb_segment_header_write(const wb_segment_info *info, uint8_t *bytes) {
  size_t text_bytes = strnlen(info->text, sizeof info->text);
  if (text_bytes == sizeof info->text) return WB_E_LIMIT;
  file_header header = {.version = WB_SEGMENT_VERSION,
                        .segment = info->segment,
                        .created_utc_ns = info->created_utc_ns,
                        .first_number = info->first_number};
  memcpy(header.magic, file_magic, sizeof file_magic);
  memcpy(header.node, info->node, sizeof header.node);
  memcpy(header.text, info->text, text_bytes);
  header.crc = file_crc(&header);
  memcpy(bytes, &header, sizeof header);
  return 0;
}

int wb_segment_header_read(const uint8_t *bytes, size_t count, wb_segment_info *info) {
  file_header header;
  if (count < sizeof header) return WB_E_DAMAGED;
  memcpy(&header, bytes, sizeof header);
  if (memcmp(header.magic, file_magic, sizeof file_magic)) return WB_E_DAMAGED;
  if (header.version != WB_SEGMENT_VERSION) return WB_E_VERSION;
  if (header.crc != file_crc(&header) || !memchr(header.text, 0, sizeof info->text)) return WB_E_DAMAGED;
  memset(info, 0, sizeof *info);
  info->version = header.version;
  info->segment = header.segment;
  info->created_utc_ns = header.created_utc_ns;
  info->first_number = header.first_number;
  memcpy(info->node, header.node, sizeof info->node);
  memcpy(info->text, header.text, strlen(header.text));
  return 0;
}

uint32_t wb_segment_mark(const wb_segment_info *info) {
  uint32_t crc = wb_crc32c(wb_crc32c(0, info->node, sizeof info->node), &info->segment, sizeof info->segment);
  return crc ? crc : 1;
}

void wb_chunk_header_write(const wb_chunk *chunk, uint8_t *bytes) {
  chunk_header header = {.magic = CHUNK_MAGIC,
                         .chunk_bytes = chunk->chunk_bytes,
                         .frame_count = chunk->frame_count,
                         .data_offset = chunk->data_offset,
                         .data_bytes = chunk->data_bytes,
                         .number = chunk->number,
                         .first_position = chunk->first_position,
                         .utc_offset_ns = chunk->utc_offset_ns,
                         .line = chunk->line,
                         .body_crc = chunk->body_crc,
                         .mark = chunk->mark};
  header.crc = wb_crc32c(0, &header, offsetof(chunk_header, crc));
  memcpy(bytes, &header, sizeof header);
}

int wb_chunk_header_read(const uint8_t *bytes, size_t count, wb_chunk *chunk) {
  chunk_header header;
  if (count < sizeof header) return WB_E_DAMAGED;
  memcpy(&header, bytes, sizeof header);
  if (header.magic != CHUNK_MAGIC || header.crc != wb_crc32c(0, &header, offsetof(chunk_header, crc))) return WB_E_DAMAGED;
  uint64_t frames_end = sizeof header + (uint64_t)header.frame_count * sizeof(wb_frame);
  uint64_t data_end = (uint64_t)header.data_offset + header.data_bytes;
  if (header.chunk_bytes % 8 || header.data_offset < frames_end || header.chunk_bytes < data_end) return WB_E_DAMAGED;
  if (header.first_position + header.data_bytes < header.first_position || header.line > UINT8_MAX) return WB_E_DAMAGED;
  *chunk = (wb_chunk){.chunk_bytes = header.chunk_bytes,
                      .frame_count = header.frame_count,
                      .data_offset = header.data_offset,
                      .data_bytes = header.data_bytes,
                      .first_position = header.first_position,
                      .utc_offset_ns = header.utc_offset_ns,
                      .number = header.number,
                      .line = header.line,
                      .body_crc = header.body_crc,
                      .mark = header.mark};
  return 0;
}

int wb_segment_open(wb_segment_cursor *cursor, const uint8_t *bytes, size_t count, wb_segment_info *info) {
  int result = wb_segment_header_read(bytes, count, info);
  if (result) return result;
  *cursor =
      (wb_segment_cursor){.bytes = bytes, .count = count, .offset = WB_SEGMENT_HEADER_BYTES, .mark = wb_segment_mark(info)};
  return 0;
}

int wb_segment_next(wb_segment_cursor *cursor, bool verify, wb_chunk *chunk, const uint8_t **frame, const uint8_t **data) {
  size_t left = cursor->count - cursor->offset;
  if (!left) return 0;
  const uint8_t *bytes = cursor->bytes + cursor->offset;
  wb_chunk found;
  if (wb_chunk_header_read(bytes, left, &found) || found.chunk_bytes > left || found.number != cursor->chunk_number)
    return WB_E_DAMAGED;
  if (found.mark && cursor->mark && found.mark != cursor->mark) return WB_E_DAMAGED;
  const uint8_t *frames = bytes + WB_CHUNK_HEADER_BYTES;
  size_t frames_bytes = (size_t)found.frame_count * sizeof(wb_frame);
  for (size_t at = 0; at < frames_bytes; at += sizeof(wb_frame)) {
    wb_frame record;
    memcpy(&record, frames + at, sizeof record);
    uint64_t offset = record.position - found.first_position;
    if (record.position < found.first_position || offset > found.data_bytes || record.bytes > found.data_bytes - offset)
      return WB_E_DAMAGED;
  }
  if (verify) {
    uint32_t crc = wb_crc32c(0, frames, frames_bytes);
    if (wb_crc32c(crc, bytes + found.data_offset, found.data_bytes) != found.body_crc) return WB_E_DAMAGED;
  }
  *chunk = found;
  *frame = frames;
  *data = bytes + found.data_offset;
  cursor->offset += found.chunk_bytes;
  cursor->chunk_number++;
  return 1;
}
