#include "engine/store/index.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/crc32c.h"
#include "tests/unit/random.h"

enum { CHUNKS_MAX = 20000, PRODUCTS = 70, INDEX_BYTES_MAX = 1 << 20 };

typedef struct made {
  uint64_t offset, bytes, first_number, last_number;
  int64_t first_utc_ns, last_utc_ns;
  bool about[PRODUCTS], snapshot[PRODUCTS], all;
} made;

static made chunks[CHUNKS_MAX];
static unsigned chunk_count;
static wb_index_builder *builder;
static wb_products products;
static uint8_t header[WB_SEGMENT_HEADER_BYTES], image[INDEX_BYTES_MAX];
static size_t image_bytes;
static const wb_index_block blocks[3] = {{0, 0}, {700, 4 << 20}, {1500, 8 << 20}};

static void begin(void) {
  static _Alignas(64) char memory[1 << 16];
  wb_products_init(&products, memory, 256);
  for (unsigned i = 0; i < PRODUCTS; i++) {
    char id[16];
    wb_products_add(&products, id, (size_t)snprintf(id, sizeof id, "P%u-USD", i));
  }
  wb_segment_info info = {.segment = 3, .created_utc_ns = 5, .node = {1, 2, 3}, .first_number = 10, .text = "{}"};
  cr_assert_eq(wb_segment_header_write(&info, header), 0);
  builder = calloc(1, sizeof *builder);
  cr_assert_eq(wb_index_begin(builder, header), 0);
}

/* Random chunks, some of them empty; the model keeps each for itself. */
static void fill(unsigned count, uint32_t bytes_max) {
  uint64_t offset = WB_SEGMENT_HEADER_BYTES, number = 10;
  chunk_count = count;
  for (unsigned i = 0; i < count; i++) {
    made *m = &chunks[i];
    wb_frame frame[4];
    wb_chunk chunk = {.number = i,
                      .chunk_bytes = (uint32_t)(64 + next() % bytes_max) & ~7u,
                      .frame_count = (uint32_t)(next() % 5),
                      .line = (uint32_t)(next() % 3),
                      .utc_offset_ns = (int64_t)(next() % 1000)};
    *m = (made){.offset = offset,
                .bytes = chunk.chunk_bytes,
                .first_number = UINT64_MAX,
                .first_utc_ns = INT64_MAX,
                .last_utc_ns = INT64_MIN};
    for (uint32_t k = 0; k < chunk.frame_count; k++) {
      frame[k] = (wb_frame){.number = number + next() % 100, .recv_ns = 1000 + number * 10 + next() % 100};
      number++;
      int64_t utc_ns = (int64_t)frame[k].recv_ns + chunk.utc_offset_ns;
      if (frame[k].number < m->first_number) m->first_number = frame[k].number;
      if (frame[k].number > m->last_number) m->last_number = frame[k].number;
      if (utc_ns < m->first_utc_ns) m->first_utc_ns = utc_ns;
      if (utc_ns > m->last_utc_ns) m->last_utc_ns = utc_ns;
    }
    wb_index_chunk(builder, &chunk, (const uint8_t *)frame);
    for (unsigned k = (unsigned)(next() % 3); k; k--) {
      unsigned product = (unsigned)(next() % PRODUCTS);
      bool snapshot = next() % 4 == 0;
      wb_index_mark(builder, product, snapshot);
      m->about[product] = true;
      m->snapshot[product] |= snapshot;
    }
    if (next() % 50 == 0) {
      wb_index_mark_all(builder);
      m->all = true;
    }
    offset += chunk.chunk_bytes;
  }
}

static void write(uint32_t block_count) {
  image_bytes = wb_index_bytes(builder, &products, block_count);
  cr_assert(image_bytes <= sizeof image);
  wb_index_write(builder, &products, 123456, true, block_count ? blocks : NULL, block_count, image);
}

static void same_as_model(const wb_index *index) {
  unsigned at = 0;
  bool snapshots[PRODUCTS] = {false};
  for (uint32_t i = 0; i < index->head.stretch_count; i++) {
    wb_index_stretch s = wb_index_stretch_at(index, i);
    made sum = {.offset = chunks[at].offset, .first_number = UINT64_MAX, .first_utc_ns = INT64_MAX, .last_utc_ns = INT64_MIN};
    cr_assert_eq(s.chunk, at);
    for (unsigned end = at + s.chunk_count; at < end; at++) {
      const made *m = &chunks[at];
      sum.bytes += m->bytes;
      sum.all |= m->all;
      if (m->first_number < sum.first_number) sum.first_number = m->first_number;
      if (m->last_number > sum.last_number) sum.last_number = m->last_number;
      if (m->first_utc_ns < sum.first_utc_ns) sum.first_utc_ns = m->first_utc_ns;
      if (m->last_utc_ns > sum.last_utc_ns) sum.last_utc_ns = m->last_utc_ns;
      for (unsigned k = 0; k < PRODUCTS; k++) sum.about[k] |= m->about[k], sum.snapshot[k] |= m->snapshot[k];
    }
    cr_assert_eq(s.offset, sum.offset);
    cr_assert_eq(s.bytes, sum.bytes);
    cr_assert_eq(s.first_number, sum.first_number);
    cr_assert_eq(s.last_number, sum.last_number);
    cr_assert_eq(s.first_utc_ns, sum.first_utc_ns);
    cr_assert_eq(s.last_utc_ns, sum.last_utc_ns);
    cr_assert_eq((s.flags & WB_INDEX_ALL) != 0, sum.all);
    for (unsigned k = 0; k < PRODUCTS; k++) {
      cr_assert_eq(wb_index_stretch_has(index, i, k, false), sum.about[k]);
      cr_assert_eq(wb_index_stretch_has(index, i, k, true), sum.snapshot[k]);
      snapshots[k] |= sum.snapshot[k];
    }
  }
  cr_assert_eq(at, chunk_count);
  for (unsigned k = 0; k < PRODUCTS; k++) {
    cr_assert_eq(wb_index_has_snapshot(index, k), snapshots[k]);
    cr_assert_eq(wb_index_product(index, &products.product[k]), (int)k);
  }
  wb_product stranger = {.id = "P1-EUR"};
  cr_assert_eq(wb_index_product(index, &stranger), -1);
}

Test(index, a_header_that_is_none_begins_no_index) {
  begin();
  header[100] ^= 1;
  cr_assert_eq(wb_index_begin(builder, header), WB_E_DAMAGED);
  free(builder);
}

Test(index, of_a_segment_without_chunks_reads_back_empty) {
  begin();
  write(0);
  wb_index index;
  cr_assert_eq(wb_index_read(image, image_bytes, &index), 0);
  cr_assert_eq(index.head.stretch_count, 0u);
  cr_assert_eq(index.head.indexed_bytes, (uint64_t)WB_SEGMENT_HEADER_BYTES);
  cr_assert(index.head.first_number > index.head.last_number);
  free(builder);
}

Test(index, says_what_a_slow_model_says_of_random_segments) {
  seed();
  for (unsigned round = 0; round < 30; round++) {
    begin();
    fill(1 + (unsigned)(next() % 400), 1 << (7 + next() % 9));
    write(round % 2 ? 3 : 0);
    wb_index index;
    cr_assert_eq(wb_index_read(image, image_bytes, &index), 0);
    cr_assert_eq(index.head.segment, 3u);
    cr_assert_eq(index.head.file_bytes, 123456u);
    same_as_model(&index);
    for (uint32_t i = 0; i < index.head.block_count; i++) {
      wb_index_block block = wb_index_block_at(&index, i);
      cr_assert_eq(memcmp(&block, &blocks[i], sizeof block), 0);
    }
    free(builder);
  }
}

Test(index, of_more_stretches_than_it_may_have_joins_neighbours_and_stays_right) {
  seed();
  begin();
  fill(CHUNKS_MAX, 32 << 10);
  cr_assert(builder->stretch_bytes > WB_INDEX_STRETCH_BYTES);
  write(3);
  wb_index index;
  cr_assert_eq(wb_index_read(image, image_bytes, &index), 0);
  cr_assert(index.head.stretch_count > WB_INDEX_STRETCHES_MAX / 2 && index.head.stretch_count <= WB_INDEX_STRETCHES_MAX);
  same_as_model(&index);
  free(builder);
}

Test(index, cut_at_any_byte_or_with_any_byte_changed_is_refused) {
  seed();
  begin();
  fill(40, 8192);
  write(3);
  wb_index index;
  for (size_t count = 0; count < image_bytes; count++)
    cr_assert_neq(wb_index_read(image, count, &index), 0, "cut at %zu", count);
  cr_assert_eq(wb_index_read(image, image_bytes + 1, &index), WB_E_DAMAGED);
  for (size_t at = 0; at < image_bytes; at++) {
    image[at] ^= (uint8_t)(1 + next() % 255);
    int result = wb_index_read(image, image_bytes, &index);
    cr_assert_neq(result, 0, "changed at %zu", at);
    if (at >= 8 && at < 12) cr_assert_eq(result, WB_E_VERSION);
    write(3);
  }
  free(builder);
}

Test(index, the_head_can_be_read_alone_and_says_how_much_it_is) {
  seed();
  begin();
  fill(40, 8192);
  write(3);
  wb_index index;
  cr_assert_eq(wb_index_head_read(image, 64, &index), WB_E_LIMIT);
  cr_assert_eq(wb_index_head_read(image, sizeof(wb_index_head), &index), WB_E_LIMIT);
  uint32_t needed = index.head.head_bytes;
  cr_assert_eq(wb_index_head_read(image, needed - 1, &index), WB_E_LIMIT);
  cr_assert_eq(wb_index_head_read(image, needed, &index), 0);
  cr_assert_null(index.table);
  cr_assert_eq(wb_index_product(&index, &products.product[69]), 69);
  free(builder);
}

Test(index, stretches_that_do_not_follow_each_other_are_refused_although_the_checksums_are_right) {
  seed();
  begin();
  fill(40, 8192);
  write(3);
  wb_index index;
  cr_assert_eq(wb_index_read(image, image_bytes, &index), 0);
  cr_assert(index.head.stretch_count > 2);
  uint8_t *table = image + index.head.head_bytes;
  size_t table_bytes = image_bytes - index.head.head_bytes, wrong[] = {0, 8, 80, 88, 64, 68 + 80, table_bytes - 16};
  for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    write(3);
    wb_index_head head;
    memcpy(&head, image, sizeof head);
    memset(table + wrong[i], 0xff, 4);
    head.table_crc = wb_crc32c(0, table, table_bytes);
    head.head_crc = 0;
    memcpy(image, &head, sizeof head);
    head.head_crc = wb_crc32c(0, image, head.head_bytes);
    memcpy(image, &head, sizeof head);
    cr_assert_eq(wb_index_read(image, image_bytes, &index), WB_E_DAMAGED, "case %u", i);
  }
  free(builder);
}
