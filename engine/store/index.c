#include "engine/store/index.h"

#include <string.h>

#include "engine/base/crc32c.h"

static const char magic[8] = "wbindex";

static uint32_t bitmap_bytes(uint32_t products) { return (products + 63) / 64 * 8; }
static bool bit(const uint8_t *map, uint32_t index) { return map[index / 8] >> index % 8 & 1; }
static void set(uint8_t *map, uint32_t index) { map[index / 8] |= (uint8_t)(1u << index % 8); }

static size_t head_bytes(uint32_t products) {
  return sizeof(wb_index_head) + (size_t)products * WB_PRODUCT_ID_BYTES + bitmap_bytes(products);
}

static size_t table_bytes(uint32_t stretches, uint32_t products, uint32_t blocks) {
  return stretches * (sizeof(wb_index_stretch) + 2 * (size_t)bitmap_bytes(products)) + blocks * sizeof(wb_index_block);
}

static uint32_t head_crc(const wb_index_head *head, const uint8_t *rest) {
  wb_index_head bare = *head;
  bare.head_crc = 0;
  return wb_crc32c(wb_crc32c(0, &bare, sizeof bare), rest, head->head_bytes - sizeof bare);
}

/* ------------------------------------------------------------------------------------------------ reading */

int wb_index_head_read(const uint8_t *bytes, size_t count, wb_index *index) {
  *index = (wb_index){.head.head_bytes = sizeof(wb_index_head)};
  wb_index_head *head = &index->head;
  if (count < sizeof *head) return count < sizeof magic || !memcmp(bytes, magic, sizeof magic) ? WB_E_LIMIT : WB_E_DAMAGED;
  memcpy(head, bytes, sizeof *head);
  if (memcmp(head->magic, magic, sizeof magic)) return WB_E_DAMAGED;
  if (head->version != WB_INDEX_VERSION) return WB_E_VERSION;
  if (head->product_count > WB_PRODUCT_COUNT_MAX || head->stretch_count > WB_INDEX_STRETCHES_MAX ||
      head->block_count > WB_INDEX_BLOCKS_MAX || head->head_bytes != head_bytes(head->product_count))
    return WB_E_DAMAGED;
  if (count < head->head_bytes) return WB_E_LIMIT;
  if (head->head_crc != head_crc(head, bytes + sizeof *head)) return WB_E_DAMAGED;
  index->id = bytes + sizeof *head;
  index->snapshots = index->id + (size_t)head->product_count * WB_PRODUCT_ID_BYTES;
  index->bitmap_bytes = bitmap_bytes(head->product_count);
  return 0;
}

size_t wb_index_size(const wb_index *index) {
  const wb_index_head *head = &index->head;
  return head->head_bytes + table_bytes(head->stretch_count, head->product_count, head->block_count);
}

int wb_index_read(const uint8_t *bytes, size_t count, wb_index *index) {
  int result = wb_index_head_read(bytes, count, index);
  if (result) return result == WB_E_LIMIT ? WB_E_DAMAGED : result;
  const wb_index_head *head = &index->head;
  size_t table = wb_index_size(index) - head->head_bytes;
  if (count != wb_index_size(index) || head->table_crc != wb_crc32c(0, bytes + head->head_bytes, table)) return WB_E_DAMAGED;
  index->table = bytes + head->head_bytes;
  uint64_t offset = WB_SEGMENT_HEADER_BYTES, chunk = 0;
  if (head->indexed_bytes < offset) return WB_E_DAMAGED;
  for (uint32_t i = 0; i < head->stretch_count; i++) {
    wb_index_stretch s = wb_index_stretch_at(index, i);
    if (s.offset != offset || s.chunk != chunk || s.bytes > head->indexed_bytes - offset || !s.chunk_count) return WB_E_DAMAGED;
    offset += s.bytes;
    chunk += s.chunk_count;
  }
  if (offset != head->indexed_bytes) return WB_E_DAMAGED;
  wb_index_block last = {0};
  for (uint32_t i = 0; i < head->block_count; i++) {
    wb_index_block b = wb_index_block_at(index, i);
    bool ahead = i ? b.offset > last.offset && b.file_offset > last.file_offset : !b.offset && !b.file_offset;
    if (!ahead || b.file_offset >= head->file_bytes) return WB_E_DAMAGED;
    last = b;
  }
  return 0;
}

wb_index_stretch wb_index_stretch_at(const wb_index *index, uint32_t stretch) {
  wb_index_stretch s;
  memcpy(&s, index->table + stretch * sizeof s, sizeof s);
  return s;
}

wb_index_block wb_index_block_at(const wb_index *index, uint32_t block) {
  const wb_index_head *head = &index->head;
  wb_index_block b;
  memcpy(&b, index->table + table_bytes(head->stretch_count, head->product_count, block), sizeof b);
  return b;
}

int wb_index_product(const wb_index *index, const wb_product *product) {
  for (uint32_t i = 0; i < index->head.product_count; i++)
    if (!memcmp(index->id + (size_t)i * WB_PRODUCT_ID_BYTES, product->id, WB_PRODUCT_ID_BYTES)) return (int)i;
  return -1;
}

bool wb_index_has_snapshot(const wb_index *index, uint32_t product) { return bit(index->snapshots, product); }

bool wb_index_stretch_has(const wb_index *index, uint32_t stretch, uint32_t product, bool snapshot) {
  const uint8_t *maps = index->table + index->head.stretch_count * sizeof(wb_index_stretch);
  return bit(maps + (2 * (size_t)stretch + snapshot) * index->bitmap_bytes, product);
}

/* ------------------------------------------------------------------------------------------------ making one */

static const wb_index_stretch nothing = {
    .first_number = UINT64_MAX, .first_utc_ns = INT64_MAX, .last_utc_ns = INT64_MIN, .first_recv_ns = UINT64_MAX};

static void stretch_over(wb_index_stretch *s, const wb_index_stretch *more) {
  s->bytes += more->bytes;
  s->chunk_count += more->chunk_count;
  s->lines |= more->lines;
  s->flags |= more->flags;
  if (more->first_number < s->first_number) s->first_number = more->first_number;
  if (more->last_number > s->last_number) s->last_number = more->last_number;
  if (more->first_utc_ns < s->first_utc_ns) s->first_utc_ns = more->first_utc_ns;
  if (more->last_utc_ns > s->last_utc_ns) s->last_utc_ns = more->last_utc_ns;
  if (more->first_recv_ns < s->first_recv_ns) s->first_recv_ns = more->first_recv_ns;
  if (more->last_recv_ns > s->last_recv_ns) s->last_recv_ns = more->last_recv_ns;
}

int wb_index_begin(wb_index_builder *builder, const uint8_t *header) {
  wb_segment_info info;
  int result = wb_segment_header_read(header, WB_SEGMENT_HEADER_BYTES, &info);
  if (result) return result;
  builder->head = (wb_index_head){.version = WB_INDEX_VERSION,
                                  .segment = info.segment,
                                  .header_crc = wb_crc32c(0, header, WB_SEGMENT_HEADER_BYTES),
                                  .indexed_bytes = WB_SEGMENT_HEADER_BYTES};
  memcpy(builder->head.magic, magic, sizeof magic);
  memcpy(builder->head.node, info.node, sizeof info.node);
  builder->stretch_bytes = WB_INDEX_STRETCH_BYTES;
  return 0;
}

static void join_neighbours(wb_index_builder *b) {
  uint32_t half = b->head.stretch_count / 2;
  for (uint32_t i = 0; i < half; i++) {
    b->stretch[i] = b->stretch[2 * i];
    stretch_over(&b->stretch[i], &b->stretch[2 * i + 1]);
    for (unsigned k = 0; k < WB_INDEX_BITMAP_BYTES_MAX; k++) {
      b->products[i][k] = b->products[2 * i][k] | b->products[2 * i + 1][k];
      b->snapshots[i][k] = b->snapshots[2 * i][k] | b->snapshots[2 * i + 1][k];
    }
  }
  b->head.stretch_count = half;
  b->stretch_bytes *= 2;
}

void wb_index_chunk(wb_index_builder *b, const wb_chunk *chunk, const uint8_t *frame) {
  uint32_t count = b->head.stretch_count;
  if (!count || b->stretch[count - 1].bytes >= b->stretch_bytes) {
    if (count == WB_INDEX_STRETCHES_MAX) join_neighbours(b);
    count = ++b->head.stretch_count;
    b->stretch[count - 1] = nothing;
    b->stretch[count - 1].offset = b->head.indexed_bytes;
    b->stretch[count - 1].chunk = chunk->number;
    memset(b->products[count - 1], 0, sizeof *b->products);
    memset(b->snapshots[count - 1], 0, sizeof *b->snapshots);
  }
  wb_index_stretch own = nothing;
  own.bytes = chunk->chunk_bytes;
  own.chunk_count = 1;
  own.lines = chunk->frame_count ? 1u << (chunk->line < 31 ? chunk->line : 31) : 0;
  for (uint32_t i = 0; i < chunk->frame_count; i++) {
    wb_frame f;
    memcpy(&f, frame + i * sizeof f, sizeof f);
    int64_t utc_ns = (int64_t)(f.recv_ns + (uint64_t)chunk->utc_offset_ns);
    stretch_over(&own, &(wb_index_stretch){.first_number = f.number,
                                           .last_number = f.number,
                                           .first_utc_ns = utc_ns,
                                           .last_utc_ns = utc_ns,
                                           .first_recv_ns = f.recv_ns,
                                           .last_recv_ns = f.recv_ns});
  }
  stretch_over(&b->stretch[count - 1], &own);
  b->head.indexed_bytes += chunk->chunk_bytes;
}

void wb_index_mark(wb_index_builder *b, uint32_t product, bool snapshot) {
  set(b->products[b->head.stretch_count - 1], product);
  if (snapshot) set(b->snapshots[b->head.stretch_count - 1], product);
}

void wb_index_mark_all(wb_index_builder *b) { b->stretch[b->head.stretch_count - 1].flags |= WB_INDEX_ALL; }

size_t wb_index_bytes(const wb_index_builder *b, const wb_products *products, uint32_t block_count) {
  return head_bytes(products->count) + table_bytes(b->head.stretch_count, products->count, block_count);
}

void wb_index_write(wb_index_builder *b, const wb_products *products, uint64_t file_bytes, bool whole,
                    const wb_index_block *block, uint32_t block_count, uint8_t *bytes) {
  wb_index_head *head = &b->head;
  uint32_t maps = bitmap_bytes(products->count), stretches = head->stretch_count;
  memset(bytes, 0, wb_index_bytes(b, products, block_count));
  head->file_bytes = file_bytes;
  head->product_count = products->count;
  head->block_count = block_count;
  head->head_bytes = (uint32_t)head_bytes(products->count);
  wb_index_stretch all = nothing;
  uint8_t *at = bytes + sizeof *head;
  for (uint32_t i = 0; i < products->count; i++, at += WB_PRODUCT_ID_BYTES)
    memcpy(at, products->product[i].id, WB_PRODUCT_ID_BYTES);
  for (uint32_t i = 0; i < stretches; i++) {
    stretch_over(&all, &b->stretch[i]);
    for (uint32_t k = 0; k < maps; k++) at[k] |= b->snapshots[i][k];
  }
  head->first_number = all.first_number;
  head->last_number = all.last_number;
  head->first_utc_ns = all.first_utc_ns;
  head->last_utc_ns = all.last_utc_ns;
  head->flags = all.flags | (whole ? WB_INDEX_WHOLE : 0);

  uint8_t *table = bytes + head->head_bytes;
  memcpy(table, b->stretch, stretches * sizeof *b->stretch);
  at = table + stretches * sizeof *b->stretch;
  for (uint32_t i = 0; i < stretches; i++, at += 2 * (size_t)maps) {
    memcpy(at, b->products[i], maps);
    memcpy(at + maps, b->snapshots[i], maps);
  }
  if (block_count) memcpy(at, block, block_count * sizeof *block);
  head->table_crc = wb_crc32c(0, table, table_bytes(stretches, products->count, block_count));
  head->head_crc = head_crc(head, bytes + sizeof *head);
  memcpy(bytes, head, sizeof *head);
}
