/* Messages of many products taken in batches, where what they touch is fetched first, against one at a time. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stages/book_stage.h"
#include "tests/unit/random.h"

enum { PRODUCTS = 100, CAPACITY = 120, DELTAS = 20, MESSAGES = 40, MIDS = 10 };

typedef struct rig {
  wb_products products;
  wb_host host;
  wb_view view[CAPACITY];
  wb_book_product product[CAPACITY];
  const wb_book *book[CAPACITY];
  wb_book_stage stage;
} rig;

static uint64_t rig_now(void *self) { return 1; }
static int64_t rig_offset(void *self) { return 0; }
static void rig_log(void *self, int level, const char *text) {}

static void *zeroed(size_t bytes) {
  size_t whole = (bytes + 127) & ~(size_t)127;
  return memset(aligned_alloc(128, whole), 0, whole);
}

static rig *rig_open(bool fetched) {
  rig *r = zeroed(sizeof *r);
  wb_book_config config = {.window_ticks = 1024, .level_count_max = 256};
  wb_products_init(&r->products, zeroed(wb_products_bytes(CAPACITY)), CAPACITY);
  for (unsigned i = 0; i < PRODUCTS; i++) {
    char id[16];
    wb_products_add(&r->products, id, (size_t)sprintf(id, "P%u-USD", i));
  }
  for (unsigned i = 0; i < CAPACITY; i++) {
    r->product[i].book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
    r->product[i].view = &r->view[i];
  }
  r->host = (wb_host){.self = r, .now_ns = rig_now, .utc_offset_ns = rig_offset, .log = rig_log};
  wb_book_stage_init(&r->stage,
                     &(wb_book_stage_config){.products = &r->products,
                                             .host = &r->host,
                                             .mid_window = MIDS,
                                             .mid2 = zeroed(CAPACITY * MIDS * sizeof(uint64_t)),
                                             .book = fetched ? r->book : NULL,
                                             .depth = 1},
                     r->product, zeroed(2 * CAPACITY * sizeof(wb_level)), zeroed(2 * CAPACITY * sizeof(uint32_t)),
                     zeroed(CAPACITY * sizeof(wb_view_data)));
  return r;
}

/* Prices in and out of the window, some of a finer tick, levels that are there and that are not. */
static uint32_t put(uint8_t *bytes, uint64_t number) {
  wb_message *message = (void *)bytes;
  uint64_t dice = next() % 20;
  uint32_t count = dice == 0 ? 0 : dice < 14 ? 1 : (uint32_t)(next() % (DELTAS + 1));
  *message = (wb_message){.kind = dice == 19   ? WB_MESSAGE_UNKNOWN
                                  : dice == 18 ? WB_MESSAGE_SNAPSHOT
                                               : WB_MESSAGE_UPDATE,
                          .part = WB_PART_FIRST | WB_PART_LAST,
                          .product = (uint16_t)(dice == 19 ? WB_PRODUCT_NONE : next() % PRODUCTS),
                          .recv_ns = number,
                          .number = number,
                          .time_ns = (int64_t)number};
  if (dice == 19) count = 0;
  message->delta_count = count;
  for (uint32_t i = 0; i < count; i++)
    message->deltas[i] = (wb_delta){.price = 1 + (next() % 8 ? 1000000 * (1000 + next() % 300) : next() % 3000000000),
                                    .size = next() % 3,
                                    .side = next() & 1};
  if (message->kind == WB_MESSAGE_SNAPSHOT)
    for (uint32_t i = 0; i < count; i++) message->deltas[i].size += 1;
  return wb_message_bytes(count);
}

Test(batch, what_is_fetched_first_comes_to_the_same_as_what_is_not) {
  seed();
  static rig *one, *many; /* kept: no leak */
  one = rig_open(false);
  many = rig_open(true);
  wb_message connect = {.kind = WB_MESSAGE_CONNECT, .part = WB_PART_FIRST | WB_PART_LAST, .product = WB_PRODUCT_NONE};
  wb_book_stage_take(&one->stage, &connect);
  wb_book_stage_take(&many->stage, &connect);
  uint64_t number = 0;
  for (unsigned round = 0; round < 2000; round++) {
    uint32_t messages = 1 + (uint32_t)(next() % MESSAGES), taken = 0;
    uint8_t *bytes = zeroed(MESSAGES * wb_message_bytes(DELTAS));
    size_t count = 0, used = 0;
    for (uint32_t i = 0; i < messages; i++) {
      uint32_t size = put(bytes + count, ++number);
      wb_book_stage_take(&one->stage, (const void *)(bytes + count));
      count += size;
    }
    uint8_t *exact = malloc(count); /* a reader beyond the last message is seen */
    memcpy(exact, bytes, count);
    while (used < count) used += wb_book_stage_take_batch(&many->stage, exact + used, count - used, &taken);
    cr_assert_eq(used, count);
    cr_assert_eq(taken, messages);
    free(exact);
    free(bytes);
  }
  unsigned live = 0;
  for (unsigned i = 0; i < PRODUCTS; i++) {
    cr_assert_eq(wb_book_hash(one->product[i].book), wb_book_hash(many->product[i].book), "product %u", i);
    cr_assert_null(wb_book_check(many->product[i].book));
    cr_assert_eq(memcmp(&one->view[i].data, &many->view[i].data, sizeof one->view[i].data), 0, "product %u", i);
    live += one->product[i].recover.state == WB_STATE_LIVE;
  }
  cr_assert(live > 0 && one->stage.changes == many->stage.changes && one->stage.changes > 10000);
}
