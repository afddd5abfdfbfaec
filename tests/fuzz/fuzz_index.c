/* fuzz_index.c - the index of a segment: any bytes, and those bytes with the checksums that they should have.
 *
 * Oracle:  an index that is taken describes a segment without holes: stretch follows stretch from the header to indexed_bytes, blocks
 *          only grow; everything it says can be asked for. Its head alone says the same as the whole. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/crc32c.h"
#include "engine/base/error.h"
#include "engine/store/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const wb_index *index) {
  const wb_index_head *head = &index->head;
  uint64_t offset = WB_SEGMENT_HEADER_BYTES, file_offset = 0;
  for (uint32_t i = 0; i < head->stretch_count; i++) {
    wb_index_stretch s = wb_index_stretch_at(index, i);
    WB_CHECK(s.offset == offset && s.chunk_count > 0);
    offset += s.bytes;
    WB_CHECK(offset <= head->indexed_bytes);
    for (uint32_t k = 0; k < head->product_count; k++)
      WB_CHECK(wb_index_stretch_has(index, i, k, true) + wb_index_stretch_has(index, i, k, false) <= 2);
  }
  WB_CHECK(offset == head->indexed_bytes);
  for (uint32_t i = 0; i < head->block_count; i++) {
    wb_index_block b = wb_index_block_at(index, i);
    WB_CHECK(b.file_offset >= file_offset && b.file_offset < head->file_bytes);
    file_offset = b.file_offset;
  }
  wb_product product = {.id = "BTC-USD"};
  WB_CHECK(wb_index_product(index, &product) < (int)head->product_count);
}

static void look(const uint8_t *bytes, size_t count) {
  wb_index whole, alone;
  if (wb_index_read(bytes, count, &whole)) return;
  walk(&whole);
  WB_CHECK(wb_index_head_read(bytes, whole.head.head_bytes, &alone) == 0);
  WB_CHECK(memcmp(&alone.head, &whole.head, sizeof alone.head) == 0);
  WB_CHECK(wb_index_head_read(bytes, whole.head.head_bytes - 1, &alone) == WB_E_LIMIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  look(data, size);
  uint8_t *bytes = malloc(size + 1);
  WB_CHECK(bytes);
  memcpy(bytes, data, size);
  wb_index_head head;
  if (size >= sizeof head) {
    memcpy(&head, bytes, sizeof head);
    if (head.head_bytes >= sizeof head && head.head_bytes <= size) {
      head.table_crc = wb_crc32c(0, bytes + head.head_bytes, size - head.head_bytes);
      head.head_crc = 0;
      memcpy(bytes, &head, sizeof head);
      head.head_crc = wb_crc32c(0, bytes, head.head_bytes);
      memcpy(bytes, &head, sizeof head);
      look(bytes, size);
    }
  }
  free(bytes);
  return 0;
}
