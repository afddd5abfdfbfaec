/* memory_node.h - a node's stages in memory: frame ring, parser, book, analytics, view, on the calling thread, and messages for them.
 *
 * What:    one book a product with the same number of levels on both sides, and updates of one change, 121 bytes each, that fall as far
 *          from the touch as recorded ones do: half within some tens of dollars, the rest far out, never beyond the book.
 * Check:   memory_node_check, after whole passes over the messages: each book equals one to which the same integers were applied directly. */
#ifndef WB_BENCH_MEMORY_NODE_H
#define WB_BENCH_MEMORY_NODE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stages/parse_stage.h"
#include "io/host.h"
#include "io/memory.h"

/* TEXT: a message and as much behind it as any parser may read. */
enum { MEMORY_NODE_JOURNAL = 4 << 20, MEMORY_NODE_FRAMES = 8192, MEMORY_NODE_TEXT = 256, MEMORY_NODE_PRODUCTS_MAX = 400 };

typedef struct memory_node {
  uint32_t levels, product_count, message_count;
  wb_products products;
  wb_host host;
  wb_frames frames;
  wb_parse_stage parse;
  wb_book_stage book;
  wb_book_product *product;
  wb_book **model;
  wb_view *views;
  wb_delta *level; /* of the first books: 2 * levels a product */
  char (*text)[MEMORY_NODE_TEXT];
  uint32_t *bytes;
  wb_delta *change; /* what the text says */
  uint16_t *of;     /* its product */
  wb_pool pool;
  void *journal, *arena, *pool_memory;
  size_t arena_bytes, book_bytes, model_bytes, pool_bytes;
  uint64_t number;
  uint8_t line;       /* which the next frames are of */
  wb_arbiter arbiter; /* with several lines */
  void *owned[24];
  unsigned owned_count;
} memory_node;

static inline uint64_t memory_node_now(void *self) { return wb_clock_ns(); }
static inline int64_t memory_node_offset(void *self) { return 0; }
static inline void memory_node_silent(void *self, int level, const char *text) {}

static inline void *memory_node_owned(memory_node *n, size_t bytes) {
  void *memory = aligned_alloc(128, (bytes + 127) & ~(size_t)127);
  if (!memory || n->owned_count == sizeof n->owned / sizeof *n->owned) abort();
  return memset(n->owned[n->owned_count++] = memory, 0, bytes);
}

/* Takes what was published. */
static inline void memory_node_drain(memory_node *n) {
  while (wb_parse_stage_work(&n->parse)) {
  }
}

/* A record of bytes that lie at the head, of which more were received before. */
static inline void memory_node_describe(memory_node *n, uint64_t position, uint32_t bytes) {
  wb_frame frame = {
      .position = position, .recv_ns = 1, .number = n->number++, .bytes = bytes, .line = n->line, .kind = WB_FRAME_TEXT};
  wb_frames_push(&n->frames, &frame);
}

static inline void memory_node_push(memory_node *n, const char *text, uint32_t bytes) {
  wb_frames_turn(&n->frames, 0, bytes);
  while (wb_frames_room(&n->frames, bytes) < bytes || !wb_frames_slots(&n->frames, 1)) wb_parse_stage_work(&n->parse);
  memcpy(wb_frames_head(&n->frames), text, bytes);
  uint64_t position = n->frames.head;
  wb_frames_advance(&n->frames, bytes);
  memory_node_describe(n, position, bytes);
}

static inline uint64_t memory_node_draw(uint64_t *random) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return *random;
}

/* In cents from the touch. */
static inline uint64_t memory_node_distance(uint64_t *random, uint32_t levels) {
  uint64_t reach = levels < 2000                         ? levels
                   : memory_node_draw(random) % 100 < 50 ? 1800
                   : memory_node_draw(random) % 100 < 80 ? 21000
                                                         : levels;
  return memory_node_draw(random) % (reach < levels ? reach : levels);
}

static inline void memory_node_snapshot(memory_node *n, uint32_t product) {
  uint32_t levels = n->levels;
  char *text = malloc(100 + levels * 64u);
  if (!text) abort();
  int used = sprintf(text, "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"asks\":[", n->products.product[product].id);
  wb_delta *level = n->level + (size_t)product * 2 * levels;
  for (unsigned side = 0; side < 2; side++) {
    for (uint32_t i = 0; i < levels; i++) {
      uint64_t cents = side ? 5999999 - i : 6000001 + i;
      used += sprintf(text + used, "%s[\"%lu.%02lu\",\"1.5\"]", i ? "," : "", (unsigned long)(cents / 100),
                      (unsigned long)(cents % 100));
      *level++ = (wb_delta){.price = cents * 1000000, .size = 150000000, .side = side ? WB_SIDE_BID : WB_SIDE_ASK};
    }
    used += sprintf(text + used, side ? "]}" : "],\"bids\":[");
  }
  wb_book_load_begin(n->model[product]);
  wb_book_load_add(n->model[product], level - 2 * levels, 2 * levels);
  wb_book_load_end(n->model[product]);
  memory_node_push(n, text, (uint32_t)used);
  wb_frames_publish(&n->frames);
  memory_node_drain(n);
  free(text);
}

static inline void memory_node_draw_message(memory_node *n, uint32_t i, uint64_t *random) {
  uint32_t product = (uint32_t)(memory_node_draw(random) % n->product_count);
  bool bid = memory_node_draw(random) & 1;
  uint64_t away = memory_node_distance(random, n->levels), cents = bid ? 5999999 - away : 6000001 + away;
  uint64_t size = memory_node_draw(random) % 100 < 27 ? 0 : 1 + memory_node_draw(random) % 900000000;
  n->change[i] = (wb_delta){.price = cents * 1000000, .size = size, .side = bid ? WB_SIDE_BID : WB_SIDE_ASK};
  n->of[i] = (uint16_t)product;
  wb_book_apply(n->model[product], &n->change[i], 1, NULL);
}

/* As on any pass but the first: what would remove a level that is not there changes it, since no feed does that. */
static inline void memory_node_write_message(memory_node *n, uint32_t i, uint64_t *random) {
  wb_delta *change = &n->change[i];
  wb_book *model = n->model[n->of[i]];
  if (!change->size && !wb_book_size(model, (wb_side)change->side, change->price))
    change->size = 1 + memory_node_draw(random) % 900000000;
  uint64_t cents = change->price / 1000000, size = change->size;
  n->bytes[i] = (uint32_t)sprintf(
      n->text[i],
      "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"%s\",\"%lu.%02lu\",\"%lu.%08lu\"]],"
      "\"time\":\"2026-08-02T05:43:52.535977Z\"}",
      n->products.product[n->of[i]].id, change->side == WB_SIDE_BID ? "buy" : "sell", (unsigned long)(cents / 100),
      (unsigned long)(cents % 100), (unsigned long)(size / 100000000), (unsigned long)(size % 100000000));
  wb_book_apply(model, change, 1, NULL);
}

static inline void memory_node_close(memory_node *n) {
  if (n->journal) wb_mirror_close(n->journal, MEMORY_NODE_JOURNAL);
  if (n->arena) wb_arena_close(n->arena, n->arena_bytes);
  if (n->pool_memory) wb_arena_close(n->pool_memory, n->pool_bytes);
  for (unsigned i = 0; i < n->owned_count; i++) free(n->owned[i]);
  free(n);
}

/* NULL where there is no memory. */
static inline memory_node *memory_node_open(uint32_t levels, uint32_t products, uint32_t messages) {
  memory_node *n = aligned_alloc(128, (sizeof *n + 127) & ~(size_t)127);
  if (!n) return NULL;
  memset(n, 0, sizeof *n);
  n->levels = levels;
  n->product_count = products;
  n->message_count = messages;
  wb_products_init(&n->products, memory_node_owned(n, wb_products_bytes(MEMORY_NODE_PRODUCTS_MAX)), MEMORY_NODE_PRODUCTS_MAX);
  for (uint32_t i = 0; i < products; i++) {
    char id[16];
    wb_products_add(&n->products, id, (size_t)sprintf(id, "P%03u-USD", i));
  }
  n->host = (wb_host){.self = n, .now_ns = memory_node_now, .utc_offset_ns = memory_node_offset, .log = memory_node_silent};
  n->journal = wb_mirror_open(MEMORY_NODE_JOURNAL, true, NULL);
  wb_book_config config = {0};
  n->pool_bytes = products * wb_book_pool_bytes(&config);
  n->pool_memory = wb_arena_open_huge(n->pool_bytes, NULL);
  n->book_bytes = wb_book_rest_bytes(&config);
  n->model_bytes = wb_book_bytes(&config);
  n->arena_bytes = products * (n->book_bytes + n->model_bytes);
  n->arena = wb_arena_open(n->arena_bytes, NULL);
  if (!n->journal || !n->arena || !n->pool_memory) {
    memory_node_close(n);
    return NULL;
  }
  wb_pool_init(&n->pool, n->pool_memory, n->pool_bytes);
  wb_frames_init(&n->frames, n->journal, MEMORY_NODE_JOURNAL, memory_node_owned(n, MEMORY_NODE_FRAMES * sizeof(wb_frame)),
                 MEMORY_NODE_FRAMES, 1);
  n->frames.turn_bytes = WB_FRAMES_TURN_BYTES; /* as a node's */
  n->product = memory_node_owned(n, MEMORY_NODE_PRODUCTS_MAX * sizeof *n->product);
  n->model = memory_node_owned(n, products * sizeof *n->model);
  n->views = memory_node_owned(n, products * sizeof *n->views);
  for (uint32_t i = 0; i < products; i++) {
    uint8_t *memory = (uint8_t *)n->arena + i * (n->book_bytes + n->model_bytes);
    n->product[i].book = wb_book_init_in(&n->pool, memory, &config);
    n->model[i] = wb_book_init(memory + n->book_bytes, &config);
    n->product[i].view = &n->views[i];
  }
  wb_book_stage_init(&n->book,
                     &(wb_book_stage_config){.products = &n->products,
                                             .host = &n->host,
                                             .mid_window = 10,
                                             .mid2 = memory_node_owned(n, products * 10 * sizeof(uint64_t)),
                                             .book = memory_node_owned(n, MEMORY_NODE_PRODUCTS_MAX * sizeof(wb_book *)),
                                             .depth = 1,
                                             .timed = true},
                     n->product, memory_node_owned(n, 2 * products * sizeof(wb_level)),
                     memory_node_owned(n, 2 * products * sizeof(uint32_t)),
                     memory_node_owned(n, products * sizeof(wb_view_data)));
  const wb_codec *codec = wb_codec_at(0);
  n->parse = (wb_parse_stage){.ring = {&n->frames},
                              .ring_count = 1,
                              .codec = codec,
                              .codec_state = memory_node_owned(n, codec->size(&n->products)),
                              .products = &n->products,
                              .host = &n->host,
                              .book = &n->book,
                              .batch = memory_node_owned(n, WB_PARSE_BATCH_BYTES)};
  codec->init(n->parse.codec_state, &n->products);
  wb_parse_stage_init(&n->parse);
  n->level = memory_node_owned(n, (size_t)products * 2 * levels * sizeof *n->level);
  for (uint32_t i = 0; i < products; i++) memory_node_snapshot(n, i);
  n->text = memory_node_owned(n, messages * sizeof *n->text);
  n->bytes = memory_node_owned(n, messages * sizeof *n->bytes);
  n->change = memory_node_owned(n, messages * sizeof *n->change);
  n->of = memory_node_owned(n, messages * sizeof *n->of);
  uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
  for (uint32_t i = 0; i < messages; i++) memory_node_draw_message(n, i, &random);
  for (uint32_t i = 0; i < messages; i++) memory_node_write_message(n, i, &random);
  return n;
}

static inline const char *memory_node_check(const memory_node *n) {
  for (uint32_t i = 0; i < n->product_count; i++) {
    if (n->product[i].recover.state != WB_STATE_LIVE) return "a book is not live";
    if (wb_book_hash(n->product[i].book) != wb_book_hash(n->model[i])) return "a book differs from its model";
  }
  return NULL;
}

#endif
