/* M1: one writer whose books, depths and changes all follow from one number; readers of the shared memory check that what they copy is of one moment, that
 * it never goes backwards, and that every change was taken or counted as lost. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/host.h"
#include "io/memory.h"
#include "io/shm.h"
#include "io/wirebook_shm.h"

#ifdef __SANITIZE_THREAD__
enum { UPDATES = 60000 };
#else
enum { UPDATES = 2000000 };
#endif
enum { READERS = 2, DEPTH = 4, PRICE = 1000 };

static char name[64];
static uint64_t now_ns(void *self) { return wb_clock_ns(); }
static int64_t offset_ns(void *self) { return 0; }
static void silent(void *self, int level, const char *text) {}

static void fail(const char *what, uint64_t n) {
  printf("stress_shm: %s at %llu\n", what, (unsigned long long)n);
  exit(1);
}

/* After update n: one bid and one ask of size n + 1. */
static void *reader(void *self) {
  uint64_t *counts = self, last = 0, depth_last = 0, expected = 0, lost = 0, seen = 0;
  wirebook_shm shm;
  if (wirebook_shm_open(&shm, name) != 0) fail("cannot open", 0);
  shm.next = 0;
  while (last < UPDATES) {
    wirebook_shm_view view;
    wirebook_shm_depth depth;
    wirebook_shm_level bid[DEPTH], ask[DEPTH];
    wirebook_shm_change change;
    if (!wirebook_shm_view_read(&shm, 0, &view)) fail("no view", last);
    if (view.updates < last) fail("a view goes backwards", last);
    if (view.best_bid_size != view.best_ask_size || (view.updates && view.best_bid_size != view.updates + 1))
      fail("a view of two moments", view.updates);
    last = view.updates;
    if (!wirebook_shm_depth_read(&shm, 0, &depth, bid, ask, DEPTH)) fail("no depth", last);
    if (depth.updates < depth_last) fail("a depth goes backwards", depth_last);
    if (depth.updates &&
        (depth.bid_count != 1 || depth.ask_count != 1 || bid[0].size != depth.updates + 1 || ask[0].size != bid[0].size))
      fail("a depth of two moments", depth.updates);
    depth_last = depth.updates;
    for (int i = 0; i < 8 && wirebook_shm_next(&shm, &change, &lost); i++) {
      if (change.sequence < expected) fail("a change comes again", change.sequence);
      expected = change.sequence + 1;
      seen++;
      if (change.kind == WIREBOOK_SHM_CHANGE && change.price != (uint64_t)PRICE + change.side)
        fail("a change of two moments", change.sequence);
      if (change.kind == WIREBOOK_SHM_CHANGE && change.size != change.number + 1)
        fail("a change of two messages", change.sequence);
      if (change.kind == WIREBOOK_SHM_CHANGE && change.last != change.side)
        fail("the end of a message stands elsewhere", change.sequence);
    }
    if (seen + lost != expected) fail("changes are neither taken nor lost", expected);
  }
  counts[0] = seen, counts[1] = lost;
  wirebook_shm_close(&shm);
  return NULL;
}

int main(void) {
  snprintf(name, sizeof name, "stress-shm-%ld", (long)getpid());
  wb_error error = {0};
  uint8_t memory[4096] __attribute__((aligned(64)));
  wb_products products;
  if (wb_products_bytes(1) > sizeof memory) return 1;
  wb_products_init(&products, memory, 1);
  wb_products_add(&products, "BTC-USD", 7);
  wb_shm *shm = wb_shm_open(
      &(wb_shm_config){.name = name, .product_max = 1, .depth = DEPTH, .depth_ns = 20000, .ring_bytes = 1 << 16}, &error);
  if (!shm) fail(error.detail, 0);
  wb_book_config config = {.window_ticks = 1024, .level_count_max = 1024};
  void *arena = wb_arena_open(wb_book_bytes(&config), &error);
  if (!arena) fail(error.detail, 0);
  static wb_book_product product;
  static wb_book_stage stage;
  static uint64_t mid2[10];
  static wb_level capture[2];
  static uint32_t capture_count[2];
  static wb_view_data capture_view;
  wb_host host = {.now_ns = now_ns, .utc_offset_ns = offset_ns, .log = silent};
  product.book = wb_book_init(arena, &config);
  product.view = wb_shm_views(shm);
  wb_book_stage_init(&stage,
                     &(wb_book_stage_config){.products = &products,
                                             .host = &host,
                                             .mid_window = 10,
                                             .mid2 = mid2,
                                             .depth = 1,
                                             .observer = wb_shm_observer(shm, &stage, &products)},
                     &product, capture, capture_count, &capture_view);
  if (wb_shm_show(shm, &error) != 0) fail(error.detail, 0);

  struct {
    wb_message message;
    wb_delta delta[2];
  } update = {.message = {.kind = WB_MESSAGE_SNAPSHOT,
                          .part = WB_PART_FIRST | WB_PART_LAST,
                          .delta_count = 2,
                          .recv_ns = 1,
                          .time_ns = WB_TIME_NONE}};
  for (unsigned side = 0; side < 2; side++) update.delta[side] = (wb_delta){.price = PRICE + side, .size = 1, .side = side & 1};
  wb_book_stage_take(&stage, &update.message);
  wb_book_stage_settle(&stage);

  pthread_t thread[READERS];
  uint64_t counts[READERS][2];
  for (unsigned i = 0; i < READERS; i++) pthread_create(&thread[i], NULL, reader, counts[i]);
  update.message.kind = WB_MESSAGE_UPDATE;
  for (uint64_t n = 1; n <= UPDATES; n++) {
    update.message.number = n;
    for (unsigned side = 0; side < 2; side++) update.delta[side].size = n + 1;
    wb_book_stage_take(&stage, &update.message);
    if (n % 8 == 0) wb_book_stage_settle(&stage);
  }
  for (unsigned i = 0; i < READERS; i++) pthread_join(thread[i], NULL);
  wb_shm_close(shm);
  wb_arena_close(arena, wb_book_bytes(&config));
  for (unsigned i = 0; i < READERS; i++)
    printf("stress_shm: reader %u took %llu changes and lost %llu\n", i, (unsigned long long)counts[i][0],
           (unsigned long long)counts[i][1]);
  return 0;
}
