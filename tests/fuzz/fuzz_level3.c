/* fuzz_level3.c - bytes as what a level-3 node is given, one frame a line, from the codec through the book stage.
 *
 * Input:   the first byte of each line says what it is: `=` an answer, whose first line ends where a `|` is; `+` and `-` a connection and its end; anything else is the
 *          first byte of a text. A digit behind `=`, `+` or `-` says the line.
 * Oracle:  every frame becomes a message; a product is live if and only if its orders are, and then its level-2 book is that of its orders; neither finds fault
 *          with itself. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stages/book_stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ORDERS_MAX = 40, PRODUCTS = 2, LINES = 3 };

static struct {
  wb_out out;
  wb_products products;
  wb_book_stage stage;
  wb_book_product product[PRODUCTS];
  wb_view view[PRODUCTS];
  wb_level3 level3;
  wb_tape_config bars;
  wb_tape tape[2 * PRODUCTS];
  uint64_t now_ns, mid2[PRODUCTS];
  uint16_t connection[LINES];
  wb_level capture[2 * PRODUCTS];
  uint32_t capture_count[2 * PRODUCTS];
  wb_view_data capture_view[PRODUCTS];
  wb_message *message;
  unsigned messages;
} node;

static uint64_t now(void *self) { return node.now_ns; }
static int64_t offset(void *self) { return 0; }
static void say(void *self, int level, const char *text) {}
static wb_message *claim(wb_out *out, uint32_t delta_count) { return node.message; }

static void commit(wb_out *out, wb_message *message) {
  node.messages++;
  WB_CHECK(message->kind != WB_MESSAGE_SNAPSHOT && message->kind != WB_MESSAGE_UPDATE);
  wb_book_stage_take(&node.stage, message);
}

static void *zeroed(size_t bytes) {
  void *memory = NULL;
  WB_CHECK(posix_memalign(&memory, 128, bytes) == 0);
  return memset(memory, 0, bytes);
}

static void look(uint32_t index) {
  const wb_order_sync *sync = &node.level3.product[index].sync;
  const wb_book *book = node.product[index].book;
  wb_delta level;
  uint32_t cursor = 0, levels = 0;
  bool live = node.product[index].recover.state == WB_STATE_LIVE;
  WB_CHECK(live == (sync->state == WB_ORDER_SYNC_LIVE));
  WB_CHECK(wb_orders_check(sync->orders) == NULL && wb_book_check(book) == NULL);
  if (!live) return;
  for (; wb_orders_levels(sync->orders, &cursor, &level, 1); levels++)
    WB_CHECK(wb_book_size(book, (wb_side)level.side, level.price) == level.size);
  WB_CHECK(wb_book_level_count(book, WB_SIDE_BID) + wb_book_level_count(book, WB_SIDE_ASK) == levels);
}

/* One line as a frame, in memory that ends WB_READ_SLACK_BYTES behind it. */
static void give(const wb_codec *codec, void *state, const uint8_t *line, size_t bytes) {
  static const uint8_t kinds[] = {['+'] = WB_FRAME_CONNECT, ['-'] = WB_FRAME_DISCONNECT, ['='] = WB_FRAME_ANSWER};
  uint8_t kind = bytes && line[0] < sizeof kinds ? kinds[line[0]] : 0, of = 0;
  if (kind) line++, bytes--;
  if (kind && bytes && line[0] >= '0' && line[0] < '0' + LINES) of = (uint8_t)(*line++ - '0'), bytes--;
  node.connection[of] += kind == WB_FRAME_CONNECT;
  uint8_t *exact = malloc(bytes + WB_READ_SLACK_BYTES);
  WB_CHECK(exact != NULL);
  memcpy(exact, line, bytes);
  memset(exact + bytes, 0xff, WB_READ_SLACK_BYTES);
  uint8_t *bar = kind == WB_FRAME_ANSWER ? memchr(exact, '|', bytes) : NULL;
  if (bar) *bar = '\n';
  wb_frame frame = {.recv_ns = node.now_ns,
                    .bytes = (uint32_t)bytes,
                    .connection = node.connection[of],
                    .line = of,
                    .kind = kind ? kind : WB_FRAME_TEXT};
  node.messages = 0;
  codec->decode(state, &frame, exact, &node.out);
  free(exact);
  WB_CHECK(node.messages > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  wb_book_config config = {1024, ORDERS_MAX};
  const wb_codec *codec = wb_codec_find("coinbase-exchange");
  void *products = zeroed(wb_products_bytes(PRODUCTS));
  memset(&node, 0, sizeof node);
  node.out = (wb_out){claim, commit};
  node.now_ns = 1;
  node.message = zeroed(wb_message_bytes(WB_PART_DELTAS_MAX));
  wb_products_init(&node.products, products, PRODUCTS);
  wb_products_add(&node.products, "BTC-USD", 7);
  wb_products_add(&node.products, "ETH-USD", 7);
  wb_level3_config level3 = {.products = &node.products, .orders = {ORDERS_MAX, 1}};
  void *memory = zeroed(wb_level3_bytes(&level3));
  wb_level3_init(&node.level3, memory, &level3);
  WB_CHECK(wb_tape_config_read(&node.bars, (char *[]){"ticks=2", "volume=3", "time=1", NULL}, NULL) == 0);
  for (unsigned i = 0; i < PRODUCTS; i++) {
    node.product[i].book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
    node.product[i].view = &node.view[i];
    wb_tape_init(&node.tape[i], &node.bars, WB_DECIMALS_DEFAULT, WB_DECIMALS_DEFAULT);
  }
  wb_host host = {.now_ns = now, .utc_offset_ns = offset, .log = say};
  wb_book_stage_init(&node.stage,
                     &(wb_book_stage_config){.products = &node.products,
                                             .host = &host,
                                             .mid_window = 1,
                                             .mid2 = node.mid2,
                                             .depth = 1,
                                             .level3 = &node.level3,
                                             .tape = node.tape},
                     node.product, node.capture, node.capture_count, node.capture_view);
  void *state = zeroed(codec->size(&node.products));
  WB_CHECK(codec->init(state, &node.products) == 0);
  codec->orders->begin(state);
  for (size_t at = 0; at <= size;) {
    const uint8_t *line = data + at, *end = at < size ? memchr(line, '\n', size - at) : NULL;
    size_t bytes = end ? (size_t)(end - line) : size - at;
    at += bytes + 1;
    give(codec, state, line, bytes);
    node.now_ns += 1000000;
    wb_book_stage_settle(&node.stage);
    for (uint32_t i = 0; i < PRODUCTS; i++) look(i);
  }
  wb_book_stage_capture_now(&node.stage);
  for (unsigned i = 0; i < PRODUCTS; i++) free(node.product[i].book);
  free(state);
  free(memory);
  free(node.message);
  free(products);
  return 0;
}
