/* fuzz_orders.c - bytes as events of a level-3 book, against a list that is searched from its beginning.
 *
 * Input:   byte 0: the limit of orders; then operations, a byte each and what they need: see run.
 * Oracle:  after each operation what it returned, every order and its place, the totals that its deltas make in a level-2 book, and both books' own checks of
 *          themselves. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/book/book.h"
#include "engine/book/orders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS_MAX = 400, ORDERS_MAX = 64 };

/* In the order in which they came to the places they have. */
static struct {
  wb_order order[ORDERS_MAX];
  uint32_t count;
} model;

static uint32_t order_max;
static wb_orders *orders;
static wb_book *book;
static const uint8_t *at, *end;

static unsigned byte(void) { return at < end ? *at++ : 0; }

/* Small, or near the largest, so that totals overflow. */
static uint64_t quantity(unsigned of) {
  unsigned shape = byte();
  return shape & 0x80 ? (uint64_t)WB_QUANTITY_MAX / (1 + shape % 4) - shape % of : 1 + shape % of;
}

static wb_order_id id_of(unsigned number) {
  return (wb_order_id){number & 1 ? number : 0, number & 2 ? ~(uint64_t)number : number};
}

static uint32_t find(wb_order_id id) {
  uint32_t i = 0;
  while (i < model.count && !wb_order_id_same(model.order[i].id, id)) i++;
  return i;
}

static void drop(uint32_t i) { memmove(&model.order[i], &model.order[i + 1], (--model.count - i) * sizeof *model.order); }

static uint64_t total(wb_side side, uint64_t price) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < model.count; i++)
    if (model.order[i].side == side && model.order[i].price == price) sum += model.order[i].size;
  return sum;
}

/* What the book has to return: 0, 1 for any change, or an error. */
static int expect(const wb_order_event *event) {
  uint32_t i = find(event->order);
  bool there = i < model.count;
  wb_order *order = &model.order[i];
  if (event->kind == WB_ORDER_OPEN) {
    if (there) return WB_E_STATE;
    if (model.count == order_max) return WB_E_FULL;
    if (total((wb_side)event->side, event->price) + event->size > (uint64_t)WB_QUANTITY_MAX) return WB_E_RANGE;
    model.order[model.count++] = (wb_order){event->order, event->price, event->size, (wb_side)event->side};
    return 1;
  }
  if (event->kind == WB_ORDER_MATCH && !there) return WB_E_STATE;
  if (!there) return 0;
  if ((event->has & WB_ORDER_HAS_SIDE) && (wb_side)event->side != order->side) return WB_E_STATE;
  if (event->kind == WB_ORDER_MATCH) {
    if (event->size > order->size) return WB_E_STATE;
    if ((order->size -= event->size) == 0) drop(i);
    return 1;
  }
  if (event->kind == WB_ORDER_DONE) {
    drop(i);
    return 1;
  }
  wb_order now = *order;
  if (event->has & WB_ORDER_HAS_PRICE) now.price = event->price;
  if (event->has & WB_ORDER_HAS_SIZE) now.size = event->size;
  uint64_t others = total(now.side, now.price) - (now.price == order->price ? order->size : 0);
  if (now.size && others + now.size > (uint64_t)WB_QUANTITY_MAX) return WB_E_RANGE;
  bool stays = now.price == order->price && now.size <= order->size;
  if (stays && now.size) {
    *order = now;
    return 1;
  }
  drop(i);
  if (now.size) model.order[model.count++] = now;
  return 1;
}

static void compare(void) {
  uint64_t hash = 0;
  uint32_t levels = 0;
  WB_CHECK(wb_orders_check(orders) == NULL);
  WB_CHECK(wb_book_check(book) == NULL);
  WB_CHECK(wb_orders_count(orders) == model.count);
  for (uint32_t i = 0; i < model.count; i++) {
    const wb_order *wanted = &model.order[i];
    wb_order got;
    wb_order_place place;
    uint64_t size_ahead = 0;
    uint32_t ahead = 0;
    for (uint32_t j = 0; j < i; j++) {
      if (model.order[j].side != wanted->side || model.order[j].price != wanted->price) continue;
      size_ahead += model.order[j].size;
      ahead++;
    }
    WB_CHECK(wb_orders_find(orders, wanted->id, &got) && wb_orders_ahead(orders, wanted->id, &place));
    WB_CHECK(got.price == wanted->price && got.size == wanted->size && got.side == wanted->side);
    WB_CHECK(place.orders_ahead == ahead && place.size_ahead == size_ahead);
    WB_CHECK(place.level_size == total(wanted->side, wanted->price) &&
             wb_book_size(book, wanted->side, wanted->price) == place.level_size);
    if (ahead) continue;
    levels++;
    hash += wb_level_hash(wanted->side, wanted->price, place.level_size);
  }
  WB_CHECK(wb_orders_level_count(orders) == levels && wb_book_hash(book) == hash);
}

static void event(unsigned operation) {
  static const uint8_t kinds[] = {WB_ORDER_OPEN, WB_ORDER_OPEN, WB_ORDER_MATCH, WB_ORDER_CHANGE, WB_ORDER_DONE};
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  uint64_t unknown = 0;
  wb_order_event e = {.kind = kinds[operation % 5], .side = operation >> 5 & 1, .order = id_of(byte() % 80)};
  e.price = quantity(6);
  e.size = quantity(40);
  if (operation & 0x40) e.has |= WB_ORDER_HAS_PRICE;
  if (operation & 0x80) e.has |= WB_ORDER_HAS_SIZE;
  if (e.kind != WB_ORDER_OPEN && operation % 3 == 0) e.has |= WB_ORDER_HAS_SIDE;
  if (e.kind == WB_ORDER_CHANGE && operation % 16 == 3) e.size = 0;
  int wanted = expect(&e), result = wb_orders_apply(orders, &e, delta);
  WB_CHECK(wanted <= 0 ? result == wanted : result == 1 || result == 2);
  if (result > 0) WB_CHECK(wb_book_apply(book, delta, (uint32_t)result, &unknown) == 0 && unknown == 0);
}

static void scale(void) {
  unsigned factors = byte();
  uint64_t price_factor = wb_pow10(factors & 3), size_factor = wb_pow10(factors >> 2 & 3);
  bool fits = true;
  for (uint32_t i = 0; i < model.count; i++) {
    const wb_order *o = &model.order[i];
    fits &= o->price <= WB_QUANTITY_MAX / price_factor && total(o->side, o->price) <= WB_QUANTITY_MAX / size_factor;
  }
  WB_CHECK(wb_orders_scale(orders, price_factor, size_factor) == (fits ? 0 : WB_E_RANGE));
  WB_CHECK(wb_book_scale(book, price_factor, size_factor) == (fits ? 0 : WB_E_RANGE));
  for (uint32_t i = 0; fits && i < model.count; i++) {
    model.order[i].price *= price_factor;
    model.order[i].size *= size_factor;
  }
}

static void reload(void) {
  wb_delta delta[3];
  uint32_t cursor = 0, count;
  wb_book_load_begin(book);
  while ((count = wb_orders_levels(orders, &cursor, delta, 3))) WB_CHECK(wb_book_load_add(book, delta, count) == 0);
  WB_CHECK(wb_book_load_end(book) == 0);
}

static void *zeroed(size_t bytes) {
  void *memory = NULL;
  WB_CHECK(posix_memalign(&memory, 64, bytes) == 0);
  return memset(memory, 0, bytes);
}

static wb_orders *orders_open(void) {
  wb_orders_config config = {order_max, order_max};
  return wb_orders_init(zeroed(wb_orders_bytes(&config)), &config);
}

static void copy(void) {
  wb_orders *other = orders_open();
  WB_CHECK(wb_orders_copy(other, orders) == 0);
  free(orders);
  orders = other;
}

static void run(void) {
  unsigned operation = byte();
  if (operation % 32 != 31) {
    event(operation);
  } else if (operation >> 5 == 0) {
    scale();
  } else if (operation >> 5 == 1) {
    copy();
  } else if (operation >> 5 == 2) {
    wb_orders_clear(orders);
    wb_book_clear(book);
    model.count = 0;
  } else {
    reload();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  order_max = 1 + data[0] % ORDERS_MAX;
  model.count = 0;
  wb_book_config config = {1024, 2 * ORDERS_MAX};
  book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
  orders = orders_open();
  WB_CHECK(book && orders);
  at = data + 1;
  end = data + size;
  for (unsigned i = 0; at < end && i < OPERATIONS_MAX; i++) {
    run();
    compare();
  }
  free(orders);
  free(book);
  return 0;
}
