/* fuzz_order_text.c - bytes as level-3 messages, one a line, from the decoder through the splice to the books. A line that begins with `=` is, behind that, the answer of a
 * snapshot.
 *
 * Oracle:  every line is answered, and ends with the one event that it is; quantities are in range, and what stands on a book is above zero; a line decoded a second
 *          time, its units known by then, says the same; the level-3 book finds no fault with itself, and its totals are those of a level-2 book that was
 *          fed with its deltas. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/book/book.h"
#include "engine/book/order_sync.h"
#include "engine/codec/coinbase_orders.h"
#include "engine/codec/coinbase_roads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { QUEUE_MAX = 8, ORDERS_MAX = 40 };

/* live: events go on to the books; otherwise they are only looked at. */
static struct {
  wb_order_out out;
  wb_products products;
  wb_coinbase *codec;
  wb_order_event last, queue[QUEUE_MAX];
  unsigned count;
  bool live;
  wb_order_sync sync;
  wb_book *book;
} chain;

static void rules(const wb_order_event *e) {
  const uint64_t max = WB_QUANTITY_MAX;
  WB_CHECK(e->kind >= WB_ORDER_RECEIVED && e->kind <= WB_ORDER_IGNORED && e->side <= WB_SIDE_ASK);
  WB_CHECK(e->product < chain.products.count || (e->product == WB_PRODUCT_NONE && e->kind >= WB_ORDER_REJECT));
  WB_CHECK(e->price <= max && e->size <= max && e->old_price <= max && e->old_size <= max);
  if (e->kind == WB_ORDER_OPEN || e->kind == WB_ORDER_RESTING || e->kind == WB_ORDER_MATCH) WB_CHECK(e->price && e->size);
  if (e->kind == WB_ORDER_REJECT) WB_CHECK(e->reason != WB_REJECT_NONE && e->reason < WB_REJECT_COUNT);
  if (e->kind == WB_ORDER_SCALE) WB_CHECK(e->price_decimals <= WB_DECIMALS_MAX && e->size_decimals <= WB_DECIMALS_MAX);
}

static void compare(void) {
  wb_delta level;
  uint32_t cursor = 0, levels = 0;
  WB_CHECK(wb_orders_check(chain.sync.orders) == NULL);
  if (chain.sync.state != WB_ORDER_SYNC_LIVE) return;
  for (; wb_orders_levels(chain.sync.orders, &cursor, &level, 1); levels++)
    WB_CHECK(wb_book_size(chain.book, (wb_side)level.side, level.price) == level.size);
  WB_CHECK(wb_book_level_count(chain.book, WB_SIDE_BID) + wb_book_level_count(chain.book, WB_SIDE_ASK) == levels);
}

static void follow(const wb_order_event *e) {
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  uint32_t count, cursor = 0;
  uint64_t unknown = 0;
  int price = e->price_decimals - chain.sync.price_decimals, size = e->size_decimals - chain.sync.size_decimals;
  wb_order_sync_result result = wb_order_sync_take(&chain.sync, e, delta, &count);
  WB_CHECK(result == WB_ORDER_SYNC_CHANGED ? count == 1 || count == 2 : count == 0);
  if (e->kind == WB_ORDER_SCALE && chain.sync.state == WB_ORDER_SYNC_LIVE)
    WB_CHECK(wb_book_scale(chain.book, wb_pow10((unsigned)price), wb_pow10((unsigned)size)) == 0);
  if (result == WB_ORDER_SYNC_CHANGED) WB_CHECK(wb_book_apply(chain.book, delta, count, &unknown) == 0 && unknown == 0);
  if (result != WB_ORDER_SYNC_LOADED) return;
  wb_book_load_begin(chain.book);
  while ((count = wb_orders_levels(chain.sync.orders, &cursor, delta, 2)))
    WB_CHECK(wb_book_load_add(chain.book, delta, count) == 0);
  WB_CHECK(wb_book_load_end(chain.book) == 0);
}

static void put(wb_order_out *out, const wb_order_event *e) {
  (void)out;
  rules(e);
  chain.last = *e;
  chain.count++;
  if (chain.live && e->product == 0) follow(e);
}

static void decode(const uint8_t *line, size_t bytes, bool snapshot, bool live) {
  uint8_t *exact = malloc(bytes ? bytes : 1);
  WB_CHECK(exact != NULL);
  memcpy(exact, line, bytes);
  chain.live = live;
  chain.count = 0;
  if (snapshot) wb_coinbase_orders_snapshot(chain.codec, 0, exact, (uint32_t)bytes, &chain.out);
  else wb_coinbase_orders_decode(chain.codec, exact, (uint32_t)bytes, &chain.out);
  free(exact);
  WB_CHECK(chain.count >= 1 && (snapshot || chain.count <= 2));
}

static void *zeroed(size_t bytes) {
  void *memory = NULL;
  WB_CHECK(posix_memalign(&memory, 64, bytes) == 0);
  return memset(memory, 0, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  wb_orders_config orders = {ORDERS_MAX, 1};
  wb_book_config config = {1024, ORDERS_MAX};
  void *products = zeroed(wb_products_bytes(2));
  memset(&chain, 0, sizeof chain);
  chain.out.put = put;
  wb_products_init(&chain.products, products, 2);
  wb_products_add(&chain.products, "BTC-USD", 7);
  wb_products_add(&chain.products, "ETH-USD", 7);
  chain.codec = zeroed(wb_coinbase_size(&chain.products));
  WB_CHECK(wb_coinbase_init(chain.codec, &chain.products) == 0);
  chain.book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
  wb_order_sync_init(&chain.sync, wb_orders_init(zeroed(wb_orders_bytes(&orders)), &orders), chain.queue, QUEUE_MAX,
                     WB_DECIMALS_DEFAULT, WB_DECIMALS_DEFAULT);
  for (size_t at = 0; at <= size;) {
    const uint8_t *line = data + at, *end = at < size ? memchr(line, '\n', size - at) : NULL;
    size_t bytes = end ? (size_t)(end - line) : size - at;
    at += bytes + 1;
    bool snapshot = bytes > 0 && line[0] == '=';
    decode(line + snapshot, bytes - snapshot, snapshot, true);
    wb_order_event first = chain.last;
    compare();
    decode(line + snapshot, bytes - snapshot, snapshot, false);
    WB_CHECK(memcmp(&first, &chain.last, sizeof first) == 0);
  }
  free(chain.sync.orders);
  free(chain.book);
  free(chain.codec);
  free(products);
  return 0;
}
