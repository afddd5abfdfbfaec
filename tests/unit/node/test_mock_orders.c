/* The orders under the mock's market: against a list of orders that knows no queues, and, as text, against the node's own level-3 book. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/book/order_sync.h"
#include "engine/codec/coinbase_orders.h"
#include "tools/mock_market.c"
#include "tools/mock_orders.c"
#include "tools/mock_orders_text.c"
#include "tools/mock_text.c"

#include "tests/unit/random.h"

#define TIME "2026-08-02T05:43:52.535977Z"

/* ------------------------------------------------------------------------------------------------ a list of orders */

enum { LISTED_MAX = 4096 };

typedef struct listed_order {
  uint64_t number, price, size;
  unsigned side;
} listed_order;

typedef struct order_list {
  listed_order order[LISTED_MAX]; /* oldest first */
  unsigned count;
  uint64_t received[LISTED_MAX]; /* not yet open or done */
  unsigned received_count;
  uint64_t taking, taken; /* what the taker of now wants, and has */
  uint64_t kinds[WB_ORDER_IGNORED];
} order_list;

static listed_order *listed_find(order_list *list, uint64_t number) {
  for (unsigned i = 0; i < list->count; i++)
    if (list->order[i].number == number) return &list->order[i];
  return NULL;
}

static void listed_remove(order_list *list, listed_order *order) {
  unsigned index = (unsigned)(order - list->order);
  memmove(order, order + 1, (--list->count - index) * sizeof *order);
}

static bool received_remove(order_list *list, uint64_t number) {
  for (unsigned i = 0; i < list->received_count; i++) {
    if (list->received[i] != number) continue;
    list->received[i] = list->received[--list->received_count];
    return true;
  }
  return false;
}

static void listed_begin(order_list *list, const wb_mock_orders *orders) {
  memset(list, 0, sizeof *list);
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < orders->market->side[side].count; i++) {
      uint64_t price = orders->market->side[side].level[i].price;
      const wb_mock_queue *queue = wb_mock_orders_queue(orders, (wb_side)side, price);
      cr_assert_not_null(queue);
      for (uint32_t next = queue->first; next; next = orders->order[next].next)
        list->order[list->count++] = (listed_order){orders->order[next].number, price, orders->order[next].size, side};
    }
}

/* The first at the price: nobody before it may be passed over. */
static listed_order *listed_front(order_list *list, unsigned side, uint64_t price) {
  for (unsigned i = 0; i < list->count; i++)
    if (list->order[i].side == side && list->order[i].price == price) return &list->order[i];
  return NULL;
}

static void listed_match(order_list *list, const wb_mock_order_message *message) {
  listed_order *maker = listed_find(list, message->order);
  cr_assert_not_null(maker);
  cr_assert_eq(maker, listed_front(list, message->side, message->price), "a match passes over who came first");
  cr_assert(message->size > 0 && message->size <= maker->size);
  cr_assert_eq(list->received[list->received_count - 1], message->taker, "a taker that nobody has received");
  maker->size -= message->size;
  list->taken += message->size;
}

static void listed_done(order_list *list, const wb_mock_order_message *message) {
  listed_order *order = listed_find(list, message->order);
  cr_assert_eq(order != NULL, message->booked);
  if (order) {
    cr_assert_eq(order->size, message->size);
    cr_assert(order->side == message->side && order->price == message->price);
    cr_assert_eq(message->size == 0, message->reason == WB_ORDER_FILLED);
    listed_remove(list, order);
    return;
  }
  cr_assert(received_remove(list, message->order));
  if (message->reason == WB_ORDER_CANCELED) return;
  cr_assert_eq(list->taken, list->taking);
}

static void listed_take(order_list *list, const wb_mock_order_message *message) {
  listed_order *order = listed_find(list, message->order);
  list->kinds[message->kind]++;
  switch (message->kind) {
  case WB_ORDER_RECEIVED:
    cr_assert_null(order);
    cr_assert_lt(list->received_count, (unsigned)LISTED_MAX);
    list->received[list->received_count++] = message->order;
    list->taking = message->size;
    list->taken = 0;
    break;
  case WB_ORDER_OPEN:
    cr_assert_null(order);
    cr_assert(received_remove(list, message->order));
    cr_assert_gt(message->size, 0u);
    list->order[list->count++] = (listed_order){message->order, message->price, message->size, message->side};
    break;
  case WB_ORDER_MATCH: listed_match(list, message); break;
  case WB_ORDER_CHANGE:
    cr_assert_not_null(order);
    cr_assert(order->side == message->side && order->price == message->price && order->size == message->old_size);
    cr_assert(message->size > 0 && message->size != message->old_size);
    order->size = message->size;
    if (message->size < message->old_size) break;
    listed_order moved = *order;
    listed_remove(list, order);
    list->order[list->count++] = moved;
    break;
  case WB_ORDER_DONE: listed_done(list, message); break;
  default: cr_assert_fail("kind %d", message->kind);
  }
}

/* Every level of the market has orders that sum up to it, and there are no others. */
static void listed_equals(const order_list *list, const wb_mock_orders *orders) {
  unsigned seen = 0;
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < orders->market->side[side].count; i++) {
      const wb_mock_level *level = &orders->market->side[side].level[i];
      const wb_mock_queue *queue = wb_mock_orders_queue(orders, (wb_side)side, level->price);
      uint64_t total = 0;
      uint32_t next = queue ? queue->first : 0, count = 0;
      for (unsigned k = 0; k < list->count; k++) {
        if (list->order[k].side != side || list->order[k].price != level->price) continue;
        cr_assert(next && orders->order[next].number == list->order[k].number &&
                  orders->order[next].size == list->order[k].size);
        next = orders->order[next].next;
        total += list->order[k].size;
        count++;
      }
      cr_assert_eq(total, level->size);
      cr_assert(next == 0 && queue->total == total && queue->count == count && count <= WB_MOCK_ORDERS_MAX);
      seen += count;
    }
  cr_assert_eq(seen, list->count);
}

static void follow_with_a_list(const char *product, uint32_t levels, uint64_t seed, uint32_t changes, int steps) {
  static wb_delta delta[WB_MOCK_CHANGES_MAX], other_delta[WB_MOCK_CHANGES_MAX];
  static order_list list;
  wb_mock_market market, other;
  wb_mock_orders orders;
  cr_assert_eq(wb_mock_market_open(&market, product, levels, seed, 1, changes, NULL), 0);
  cr_assert_eq(wb_mock_market_open(&other, product, levels, seed, 1, changes, NULL), 0);
  cr_assert_eq(wb_mock_orders_open(&orders, &market, seed, NULL), 0);
  listed_begin(&list, &orders);
  listed_equals(&list, &orders);
  uint64_t sequence = market.sequence, trade = market.last_trade_id;
  for (int step = 0; step < steps; step++) {
    unsigned count = wb_mock_market_step(&market, delta);
    cr_assert_eq(count, wb_mock_market_step(&other, other_delta));
    cr_assert_arr_eq(delta, other_delta, count * sizeof *delta, "seed %llu: the market heeds its orders",
                     (unsigned long long)seed);
    wb_mock_orders_step(&orders, delta, count, TIME);
    cr_assert_geq(orders.message_count, count);
    for (uint32_t i = 0; i < orders.message_count; i++) {
      const wb_mock_order_message *message = &orders.message[i];
      cr_assert_eq(message->sequence, ++sequence);
      if (message->kind == WB_ORDER_MATCH) {
        cr_assert_eq(message->trade_id, ++trade);
        const wb_mock_trade *told = &market.trade[market.trade_count - 1 - (market.last_trade_id - trade)];
        cr_assert(told->id == trade && told->sequence == sequence && told->size == message->size &&
                  told->price == message->price);
      }
      listed_take(&list, message);
    }
    cr_assert(market.sequence == sequence && market.last_trade_id == trade && market.last_trade.id == trade);
    cr_assert_eq(list.received_count, 0u, "an order that was received went nowhere");
    if (step % 64 == 0 || step + 1 == steps) listed_equals(&list, &orders);
  }
  for (int kind = WB_ORDER_RECEIVED; kind <= WB_ORDER_DONE; kind++) cr_assert_gt(list.kinds[kind], (uint64_t)steps / 100);
  cr_assert_eq(orders.trade_count, list.kinds[WB_ORDER_MATCH]);
  wb_mock_orders_close(&orders);
  wb_mock_market_close(&market);
  wb_mock_market_close(&other);
}

Test(mock_orders, every_level_is_made_of_its_orders_and_the_market_does_not_heed_them) {
  follow_with_a_list("BTC-USD", 50, 1, 3, 30000);
  follow_with_a_list("BTC-USD", 1, 2, 3, 20000);
  follow_with_a_list("SKL-BTC", 100, 3, 1, 20000);
  follow_with_a_list("DOGE-USD", 300, 4, 200, 300);
  seed();
  for (int i = 0; i < 10; i++) follow_with_a_list("ETH-USD", 1 + (uint32_t)(next() % 60), next(), 3, 3000);
}

/* ------------------------------------------------------------------------------------------------ from text */

enum { QUEUE_MAX = 64 };

typedef struct reader {
  wb_order_out out;
  wb_products products;
  wb_order_sync sync;
  wb_order_event queue[QUEUE_MAX];
  uint64_t kinds[WB_ORDER_IGNORED + 1], results[WB_ORDER_SYNC_ASK + 1];
  unsigned price_decimals, size_decimals;
  wb_coinbase *codec;
} reader;

static void *given(size_t bytes) {
  void *memory = NULL;
  cr_assert_eq(posix_memalign(&memory, 64, bytes), 0);
  return memset(memory, 0, bytes);
}

static void reader_put(wb_order_out *out, const wb_order_event *event) {
  reader *r = (reader *)out;
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  uint32_t count;
  r->kinds[event->kind]++;
  if (event->kind == WB_ORDER_SCALE) r->price_decimals = event->price_decimals, r->size_decimals = event->size_decimals;
  r->results[wb_order_sync_take(&r->sync, event, delta, &count)]++;
}

static reader *reader_open(const char *product) {
  reader *r = calloc(1, sizeof *r);
  wb_orders_config config = {1 << 14, 42};
  r->out.put = reader_put;
  wb_products_init(&r->products, given(wb_products_bytes(1)), 1);
  cr_assert_eq(wb_products_add(&r->products, product, strlen(product)), 0);
  const wb_codec *codec = wb_codec_find("coinbase-exchange");
  r->codec = given(codec->size(&r->products));
  cr_assert_eq(codec->init(r->codec, &r->products), 0);
  r->price_decimals = r->size_decimals = WB_DECIMALS_DEFAULT;
  wb_order_sync_init(&r->sync, wb_orders_init(given(wb_orders_bytes(&config)), &config), r->queue, QUEUE_MAX,
                     WB_DECIMALS_DEFAULT, WB_DECIMALS_DEFAULT);
  return r;
}

static void reader_close(reader *r) {
  free(r->products.product);
  free(r->codec);
  free(r->sync.orders);
  free(r);
}

static void reader_equals(const reader *r, const wb_mock_orders *orders) {
  const wb_mock_market *market = orders->market;
  uint64_t price_unit = wb_pow10(r->price_decimals - market->price_decimals);
  uint64_t size_unit = wb_pow10(r->size_decimals - market->size_decimals);
  uint32_t count = 0;
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < market->side[side].count; i++, count++) {
      const wb_mock_level *level = &market->side[side].level[i];
      wb_order_level there = wb_orders_level(r->sync.orders, (wb_side)side, level->price * price_unit);
      wb_order queue[WB_MOCK_ORDERS_MAX];
      const wb_mock_queue *own = wb_mock_orders_queue(orders, (wb_side)side, level->price);
      cr_assert_eq(there.size, level->size * size_unit);
      cr_assert_eq(there.count, own->count);
      cr_assert_eq(wb_orders_queue(r->sync.orders, (wb_side)side, level->price * price_unit, queue, WB_MOCK_ORDERS_MAX),
                   own->count);
      uint32_t next = own->first;
      for (uint32_t k = 0; k < own->count; k++, next = orders->order[next].next)
        cr_assert(wb_order_id_same(queue[k].id, wb_mock_orders_id(orders, orders->order[next].number)));
    }
  cr_assert_eq(wb_orders_level_count(r->sync.orders), count);
}

static void read_book(reader *r, const wb_mock_orders *orders) {
  char *body = malloc(wb_mock_orders_book_bytes_max(orders, 3));
  size_t bytes = wb_mock_orders_book(orders, 3, false, orders->sequence, TIME, body);
  cr_assert_leq(bytes, wb_mock_orders_book_bytes_max(orders, 3));
  wb_coinbase_orders_snapshot(r->codec, 0, (const uint8_t *)body, (uint32_t)bytes, &r->out);
  free(body);
}

static void read_and_compare(const char *product, bool level3, bool spaced, uint64_t seed) {
  static wb_delta delta[WB_MOCK_CHANGES_MAX];
  wb_mock_market market;
  wb_mock_orders orders;
  wb_mock_text text;
  char to[WB_MOCK_ORDER_BYTES_MAX];
  cr_assert_eq(wb_mock_market_open(&market, product, 60, seed, 1, 3, NULL), 0);
  cr_assert_eq(wb_mock_orders_open(&orders, &market, seed, NULL), 0);
  wb_mock_text_init(&text, &market, spaced);
  reader *r = reader_open(product);
  if (level3) wb_coinbase_orders_decode(r->codec, (const uint8_t *)to, (uint32_t)wb_mock_orders_schema(&text, to), &r->out);
  for (int step = 0; step < 10000; step++) {
    unsigned count = wb_mock_market_step(&market, delta);
    orders.stray = step % 1000 == 999;
    wb_mock_orders_step(&orders, delta, count, TIME);
    cr_assert(!orders.stray);
    for (uint32_t i = 0; i < orders.message_count; i++) {
      size_t bytes = (level3 ? wb_mock_orders_level3 : wb_mock_orders_full)(&orders, &text, &orders.message[i], TIME, to);
      cr_assert_lt(bytes, (size_t)WB_MOCK_ORDER_BYTES_MAX);
      cr_assert_eq(memmem(to, bytes, ", ", 2) != NULL, spaced);
      wb_coinbase_orders_decode(r->codec, (const uint8_t *)to, (uint32_t)bytes, &r->out);
    }
    if (step == 2) read_book(r, &orders);
    if (step > 2) cr_assert_eq(r->sync.state, WB_ORDER_SYNC_LIVE, "seed %llu step %d", (unsigned long long)seed, step);
    if (step > 2 && step % 16 == 0) reader_equals(r, &orders);
  }
  cr_assert_null(wb_orders_check(r->sync.orders));
  cr_assert_eq(wb_orders_disagreements(r->sync.orders), 0u);
  cr_assert_eq(r->kinds[WB_ORDER_REJECT], 0u);
  cr_assert(r->results[WB_ORDER_SYNC_LOADED] == 1 && r->results[WB_ORDER_SYNC_ASK] == 0 && r->sync.skipped == 0);
  cr_assert_gt(r->kinds[WB_ORDER_MATCH], 100u);
  cr_assert_gt(r->kinds[level3 ? WB_ORDER_NOOP : WB_ORDER_RECEIVED], 1000u);
  cr_assert_eq(r->kinds[level3 ? WB_ORDER_RECEIVED : WB_ORDER_NOOP], 0u);
  reader_close(r);
  wb_mock_orders_close(&orders);
  wb_mock_market_close(&market);
}

Test(mock_orders, the_nodes_level_3_book_read_from_full_is_the_mocks) { read_and_compare("BTC-USD", false, false, 11); }
Test(mock_orders, the_nodes_level_3_book_read_from_level3_is_the_mocks) { read_and_compare("BTC-USD", true, false, 12); }
Test(mock_orders, a_product_with_other_decimals_and_blanks_is_read_as_well) {
  read_and_compare("SKL-BTC", false, true, 13);
  read_and_compare("SKL-BTC", true, true, 13);
}

/* ------------------------------------------------------------------------------------------------ the REST book */

static json_t *book_of(const wb_mock_orders *orders, unsigned level) {
  char *body = malloc(wb_mock_orders_book_bytes_max(orders, level));
  size_t bytes = wb_mock_orders_book(orders, level, false, orders->sequence, TIME, body);
  cr_assert_leq(bytes, wb_mock_orders_book_bytes_max(orders, level));
  json_t *root = json_loadb(body, bytes, JSON_REJECT_DUPLICATES, NULL);
  cr_assert_not_null(root);
  cr_assert_eq((uint64_t)json_integer_value(json_object_get(root, "sequence")), orders->sequence);
  cr_assert_str_eq(json_string_value(json_object_get(root, "time")), TIME);
  free(body);
  return root;
}

static const char *cell(const json_t *root, const char *side, size_t row, size_t column) {
  return json_string_value(json_array_get(json_array_get(json_object_get(root, side), row), column));
}

Test(mock_orders, a_rest_book_has_the_best_all_levels_or_all_orders_without_trailing_zeros) {
  wb_mock_market market;
  wb_mock_orders orders;
  cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", 40, 5, 1, 3, NULL), 0);
  market.side[WB_SIDE_BID].level[market.side[WB_SIDE_BID].count - 1] = (wb_mock_level){3747000, 150000000};
  cr_assert_eq(wb_mock_orders_open(&orders, &market, 5, NULL), 0);
  json_t *best = book_of(&orders, 1), *levels = book_of(&orders, 2), *all = book_of(&orders, 3);
  cr_assert_eq(json_array_size(json_object_get(best, "bids")), 1u);
  cr_assert_eq(json_array_size(json_object_get(best, "asks")), 1u);
  cr_assert_str_eq(cell(best, "bids", 0, 0), "37470");
  cr_assert_str_eq(cell(best, "bids", 0, 1), "1.5");
  static const char *const names[] = {"bids", "asks"};
  for (unsigned side = 0; side < 2; side++) {
    size_t row = 0;
    cr_assert_eq(json_array_size(json_object_get(levels, names[side])), market.side[side].count);
    for (uint32_t i = 0; i < market.side[side].count; i++) {
      const wb_mock_level *level = wb_mock_market_level(&market, (wb_side)side, i);
      json_int_t count = json_integer_value(json_array_get(json_array_get(json_object_get(levels, names[side]), i), 2));
      uint64_t price, size, total = 0;
      cr_assert(count >= 1 && count <= WB_MOCK_ORDERS_MAX);
      for (; count; count--, row++) {
        cr_assert_str_eq(cell(all, names[side], row, 0), cell(levels, names[side], i, 0));
        cr_assert_eq(wb_decimal_parse(cell(all, names[side], row, 1), strlen(cell(all, names[side], row, 1)), 8, &size), 0);
        cr_assert_eq(strlen(cell(all, names[side], row, 2)), (size_t)WB_MOCK_ID_BYTES);
        total += size;
      }
      const char *text = cell(levels, names[side], i, 0);
      cr_assert_eq(wb_decimal_parse(text, strlen(text), 2, &price), 0);
      cr_assert(price == level->price && total == level->size);
    }
    cr_assert_eq(json_array_size(json_object_get(all, names[side])), row);
  }
  json_decref(best);
  json_decref(levels);
  json_decref(all);
  wb_mock_orders_close(&orders);
  wb_mock_market_close(&market);
}
