/* bench_node.c - the chain from received bytes to readable book, in memory: frame ring, parse, book, analytics, view, on one thread.
 *
 * What:  node/levels:N/products:P: updates of one change, 121 bytes each, copied into the journal in runs of 64 as a receive would bring them.
 * Check: after every whole pass over the messages each book equals one to which the same integers were applied directly.
 * Read:  ns a message, all included but the socket and TLS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "engine/stages/parse_stage.h"
#include "io/host.h"
#include "io/memory.h"

enum { MESSAGES = 8192, RUN = 64, JOURNAL = 4 << 20, FRAMES = 8192, TEXT = 160, PRODUCTS_MAX = 400 };

typedef struct parameter {
  uint32_t levels, products;
} parameter;

typedef struct node {
  parameter parameter;
  wb_products products;
  wb_host host;
  wb_frames frames;
  wb_parse_stage parse;
  wb_book_stage book;
  wb_book_product *product;
  wb_book **model;
  wb_view *views;
  char (*text)[TEXT];
  uint32_t *bytes;
  void *journal, *arena;
  size_t arena_bytes, book_bytes;
  uint64_t number;
} node;

static uint64_t now(void *self) { return wb_clock_ns(); }
static int64_t offset(void *self) { return 0; }
static void silent(void *self, int level, const char *text) {}

static void *must(size_t bytes) {
  size_t whole = (bytes + 127) & ~(size_t)127;
  void *memory = aligned_alloc(128, whole);
  if (!memory) abort();
  return memset(memory, 0, whole);
}

static void push(node *n, const char *text, uint32_t bytes) {
  while (wb_frames_room(&n->frames, bytes) < bytes || !wb_frames_slots(&n->frames, 1)) wb_parse_stage_work(&n->parse);
  memcpy(wb_frames_head(&n->frames), text, bytes);
  wb_frame frame = {.position = n->frames.head, .recv_ns = 1, .number = n->number++, .bytes = bytes, .kind = WB_FRAME_TEXT};
  wb_frames_advance(&n->frames, bytes);
  wb_frames_push(&n->frames, &frame);
}

static uint64_t draw(uint64_t *random) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return *random;
}

/* How far from the touch an update falls, in cents: as recorded, half within some tens of dollars, the rest far out; never beyond the book. */
static uint64_t distance(uint64_t *random, uint32_t levels) {
  uint64_t reach = levels < 2000 ? levels : draw(random) % 100 < 50 ? 1800 : draw(random) % 100 < 80 ? 21000 : levels;
  return draw(random) % (reach < levels ? reach : levels);
}

static void snapshot(node *n, uint32_t product) {
  uint32_t levels = n->parameter.levels;
  char *text = malloc(100 + levels * 64u);
  if (!text) abort();
  int used = sprintf(text, "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"asks\":[", n->products.product[product].id);
  wb_book_load_begin(n->model[product]);
  for (unsigned side = 0; side < 2; side++) {
    for (uint32_t i = 0; i < levels; i++) {
      uint64_t cents = side ? 5999999 - i : 6000001 + i;
      used += sprintf(text + used, "%s[\"%lu.%02lu\",\"1.5\"]", i ? "," : "", (unsigned long)(cents / 100),
                      (unsigned long)(cents % 100));
      wb_delta delta = {.price = cents * 1000000, .size = 150000000, .side = side ? WB_SIDE_BID : WB_SIDE_ASK};
      wb_book_load_add(n->model[product], &delta, 1);
    }
    used += sprintf(text + used, side ? "]}" : "],\"bids\":[");
  }
  wb_book_load_end(n->model[product]);
  push(n, text, (uint32_t)used);
  wb_frames_publish(&n->frames);
  while (wb_parse_stage_work(&n->parse)) {
  }
  free(text);
}

static void *setup(const void *raw, bool smoke) {
  node *n = must(sizeof *n);
  n->parameter = *(const parameter *)raw;
  uint32_t products = n->parameter.products;
  wb_products_init(&n->products, must(wb_products_bytes(PRODUCTS_MAX)), PRODUCTS_MAX);
  for (uint32_t i = 0; i < products; i++) {
    char id[16];
    wb_products_add(&n->products, id, (size_t)sprintf(id, "P%03u-USD", i));
  }
  n->host = (wb_host){.self = n, .now_ns = now, .utc_offset_ns = offset, .log = silent};
  n->journal = wb_mirror_open(JOURNAL, true, NULL);
  if (!n->journal) return NULL;
  wb_frames_init(&n->frames, n->journal, JOURNAL, must(FRAMES * sizeof(wb_frame)), FRAMES, 1);
  wb_book_config config = {0};
  n->book_bytes = wb_book_bytes(&config);
  n->arena_bytes = 2 * products * n->book_bytes;
  n->arena = wb_arena_open(n->arena_bytes, NULL);
  if (!n->arena) return NULL;
  n->product = must(products * sizeof *n->product);
  n->model = must(products * sizeof *n->model);
  n->views = must(products * sizeof *n->views);
  for (uint32_t i = 0; i < products; i++) {
    n->product[i].book = wb_book_init((uint8_t *)n->arena + 2 * i * n->book_bytes, &config);
    n->model[i] = wb_book_init((uint8_t *)n->arena + (2 * i + 1) * n->book_bytes, &config);
    n->product[i].view = &n->views[i];
  }
  wb_book_stage_init(
      &n->book,
      &(wb_book_stage_config){.products = &n->products, .host = &n->host, .mid_window = 10, .depth = 1, .timed = true},
      n->product, must(2 * products * sizeof(wb_level)), must(2 * products * sizeof(uint32_t)),
      must(products * sizeof(wb_view_data)));
  const wb_codec *codec = wb_codec_at(0);
  n->parse = (wb_parse_stage){.ring = {&n->frames},
                              .ring_count = 1,
                              .codec = codec,
                              .codec_state = must(codec->size(&n->products)),
                              .products = &n->products,
                              .host = &n->host,
                              .book = &n->book,
                              .batch = must(WB_PARSE_BATCH_BYTES)};
  codec->init(n->parse.codec_state, &n->products);
  wb_parse_stage_init(&n->parse);
  for (uint32_t i = 0; i < products; i++) snapshot(n, i);

  n->text = must(MESSAGES * sizeof *n->text);
  n->bytes = must(MESSAGES * sizeof *n->bytes);
  uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
  for (uint32_t i = 0; i < MESSAGES; i++) {
    uint32_t product = (uint32_t)(draw(&random) % products);
    bool bid = draw(&random) & 1;
    uint64_t away = distance(&random, n->parameter.levels), cents = bid ? 5999999 - away : 6000001 + away;
    uint64_t size = draw(&random) % 100 < 27 ? 0 : 1 + draw(&random) % 900000000;
    n->bytes[i] =
        (uint32_t)sprintf(n->text[i],
                          "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"%s\",\"%lu.%02lu\",\"%lu.%08lu\"]],"
                          "\"time\":\"2026-08-02T05:43:"
                          "52.535977Z\"}",
                          n->products.product[product].id, bid ? "buy" : "sell", (unsigned long)(cents / 100),
                          (unsigned long)(cents % 100), (unsigned long)(size / 100000000), (unsigned long)(size % 100000000));
    wb_delta delta = {.price = cents * 1000000, .size = size, .side = bid ? WB_SIDE_BID : WB_SIDE_ASK};
    wb_book_apply(n->model[product], &delta, 1, NULL);
  }
  return n;
}

static void run(void *state, wb_bench_run *r) {
  node *n = state;
  uint64_t passes = r->iterations / MESSAGES + 1;
  for (uint64_t pass = 0; pass < passes; pass++)
    for (uint32_t i = 0; i < MESSAGES; i += RUN) {
      for (uint32_t j = i; j < i + RUN; j++) {
        push(n, n->text[j], n->bytes[j]);
        r->bytes += n->bytes[j];
      }
      wb_frames_publish(&n->frames);
      while (wb_parse_stage_work(&n->parse)) {
      }
    }
  r->items = passes * MESSAGES;
}

static const char *check(void *state, const wb_bench_run *r) {
  node *n = state;
  for (uint32_t i = 0; i < n->parameter.products; i++) {
    if (n->product[i].recover.state != WB_STATE_LIVE) return "a book is not live";
    if (wb_book_hash(n->product[i].book) != wb_book_hash(n->model[i])) return "a book differs from its model";
  }
  return NULL;
}

static void teardown(void *state) {
  node *n = state;
  wb_mirror_close(n->journal, JOURNAL);
  wb_arena_close(n->arena, n->arena_bytes);
}

#define CASE(levels, products, against)                                                                                        \
  { "node/levels:" #levels "/products:" #products, against, &(parameter){levels, products}, 1, 0, setup, run, check, teardown }

int main(int argc, char **argv) {
  const wb_bench_case cases[] = {
      CASE(50, 1, NULL),
      CASE(1000, 1, "node/levels:50/products:1"),
      CASE(45000, 1, "node/levels:50/products:1"),
      CASE(1000, 3, "node/levels:1000/products:1"),
      CASE(1000, 400, "node/levels:1000/products:1"),
  };
  return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
