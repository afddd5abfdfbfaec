/* The level-3 book: bad inputs, the life of orders and queues, and 10^5 random events a configuration against plain lists. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/book/book.h"
#include "engine/book/orders.h"
#include "tests/unit/random.h"

static uint64_t below(uint64_t bound) { return next() % bound; }

static void *zeroed(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes) != 0) abort();
  return memset(memory, 0, bytes);
}

static wb_orders *book_of(uint32_t order_count_max) {
  wb_orders_config config = {order_count_max, 7};
  wb_orders *orders = wb_orders_init(zeroed(wb_orders_bytes(&config)), &config);
  cr_assert_not_null(orders);
  return orders;
}

static wb_order_id id_of(uint64_t number) { return (wb_order_id){number * 3, ~number}; }

static int open_at(wb_orders *orders, uint64_t number, wb_side side, uint64_t price, uint64_t size, wb_delta *delta) {
  wb_order_event event = {.kind = WB_ORDER_OPEN, .order = id_of(number), .side = (uint8_t)side, .price = price, .size = size};
  return wb_orders_apply(orders, &event, delta);
}

static int match(wb_orders *orders, uint64_t number, uint64_t size, wb_delta *delta) {
  wb_order_event event = {.kind = WB_ORDER_MATCH, .order = id_of(number), .price = 1, .size = size};
  return wb_orders_apply(orders, &event, delta);
}

static int change(wb_orders *orders, uint64_t number, uint64_t price, uint64_t size, wb_delta *delta) {
  wb_order_event event = {
      .kind = WB_ORDER_CHANGE, .order = id_of(number), .price = price, .size = size, .has = WB_ORDER_HAS_SIZE};
  if (price) event.has |= WB_ORDER_HAS_PRICE;
  return wb_orders_apply(orders, &event, delta);
}

static int done(wb_orders *orders, uint64_t number, wb_delta *delta) {
  wb_order_event event = {.kind = WB_ORDER_DONE, .order = id_of(number)};
  return wb_orders_apply(orders, &event, delta);
}

static void expect_delta(wb_delta delta, wb_side side, uint64_t price, uint64_t size) {
  cr_expect_eq(delta.side, side);
  cr_expect_eq(delta.price, price);
  cr_expect_eq(delta.size, size);
}

static void expect_queue(const wb_orders *orders, wb_side side, uint64_t price, const char *numbers) {
  wb_order order[16];
  uint32_t count = wb_orders_queue(orders, side, price, order, 16);
  cr_expect_eq(count, strlen(numbers), "%u orders at %lu", count, price);
  uint64_t ahead = 0;
  for (uint32_t i = 0; i < count && numbers[i]; i++) {
    wb_order_place place;
    cr_expect(wb_order_id_same(order[i].id, id_of((uint64_t)numbers[i])), "place %u is not %c", i, numbers[i]);
    cr_expect(wb_orders_ahead(orders, order[i].id, &place));
    cr_expect_eq(place.orders_ahead, i);
    cr_expect_eq(place.size_ahead, ahead);
    cr_expect_eq(place.level_orders, count);
    ahead += order[i].size;
  }
  cr_expect_eq(wb_orders_level(orders, side, price).size, ahead);
  cr_expect_null(wb_orders_check(orders), "%s", wb_orders_check(orders));
}

/* ------------------------------------------------------------------------------------------------ bad inputs */

Test(orders, configs_and_memory_out_of_range_are_refused) {
  wb_orders_config config = {(1u << 24) + 1, 0};
  cr_expect_eq(wb_orders_bytes(&config), 0);
  cr_expect_eq(wb_orders_bytes(NULL), 0);
  config.order_count_max = 4;
  size_t bytes = wb_orders_bytes(&config);
  char *memory = zeroed(bytes + 64);
  cr_expect_null(wb_orders_init(NULL, &config));
  cr_expect_null(wb_orders_init(memory, NULL));
  cr_expect_null(wb_orders_init(memory + 8, &config));
  cr_expect_not_null(wb_orders_init(memory, &config));
  free(memory);
}

Test(orders, quantities_out_of_range_are_refused_and_change_nothing) {
  wb_orders *orders = book_of(8);
  wb_delta delta[2];
  const uint64_t max = WB_QUANTITY_MAX;
  cr_expect_eq(open_at(orders, 'a', WB_SIDE_BID, 0, 1, delta), WB_E_INVALID);
  cr_expect_eq(open_at(orders, 'a', WB_SIDE_BID, 1, 0, delta), WB_E_INVALID);
  cr_expect_eq(open_at(orders, 'a', WB_SIDE_BID, max + 1, 1, delta), WB_E_INVALID);
  cr_expect_eq(open_at(orders, 'a', WB_SIDE_BID, 1, max + 1, delta), WB_E_INVALID);
  cr_expect_eq(open_at(orders, 'a', (wb_side)2, 1, 1, delta), WB_E_INVALID);
  cr_expect_eq(wb_orders_count(orders), 0);
  cr_expect_eq(open_at(orders, 'a', WB_SIDE_BID, max, max, delta), 1);
  expect_delta(delta[0], WB_SIDE_BID, max, max);
  cr_expect_eq(open_at(orders, 'b', WB_SIDE_BID, max, 1, delta), WB_E_RANGE);
  cr_expect_eq(open_at(orders, 'b', WB_SIDE_ASK, max, 1, delta), 1, "the other side is another level");
  cr_expect_eq(match(orders, 'a', 0, delta), WB_E_INVALID);
  cr_expect_eq(change(orders, 'a', max + 1, 1, delta), WB_E_INVALID);
  cr_expect_eq(change(orders, 'a', 1, max + 1, delta), WB_E_INVALID);
  expect_queue(orders, WB_SIDE_BID, max, "a");
  expect_queue(orders, WB_SIDE_ASK, max, "b");
  free(orders);
}

Test(orders, what_cannot_be_if_nothing_is_missing_is_said_and_changes_nothing) {
  wb_orders *orders = book_of(8);
  wb_delta delta[2];
  cr_assert_eq(open_at(orders, 'a', WB_SIDE_BID, 10, 5, delta), 1);
  cr_expect_eq(open_at(orders, 'a', WB_SIDE_BID, 11, 5, delta), WB_E_STATE, "opens twice");
  cr_expect_eq(match(orders, 'b', 1, delta), WB_E_STATE, "match of an order that is not there");
  cr_expect_eq(match(orders, 'a', 6, delta), WB_E_STATE, "match of more than is left");
  wb_order_event event = {.order = id_of('a'), .side = WB_SIDE_ASK, .has = WB_ORDER_HAS_SIDE, .size = 1};
  static const wb_order_kind kinds[] = {WB_ORDER_MATCH, WB_ORDER_CHANGE, WB_ORDER_DONE};
  for (unsigned i = 0; i < 3; i++) {
    event.kind = (uint8_t)kinds[i];
    cr_expect_eq(wb_orders_apply(orders, &event, delta), WB_E_STATE, "the other side, kind %u", kinds[i]);
  }
  expect_queue(orders, WB_SIDE_BID, 10, "a");
  cr_expect_eq(wb_orders_level_count(orders), 1);
  free(orders);
}

Test(orders, a_full_book_says_so_and_a_larger_one_takes_its_orders_over_in_their_queues) {
  wb_orders *orders = book_of(3), *larger = book_of(4), *smaller = book_of(2);
  wb_delta delta[2];
  for (const char *c = "abc"; *c; c++) cr_assert_eq(open_at(orders, (uint64_t)*c, WB_SIDE_ASK, *c == 'b' ? 9 : 8, 1, delta), 1);
  cr_expect_eq(open_at(orders, 'd', WB_SIDE_ASK, 8, 1, delta), WB_E_FULL);
  cr_expect_eq(change(orders, 'a', 7, 1, delta), 2, "a full book still moves orders");
  cr_expect_eq(change(orders, 'c', 7, 1, delta), 2);
  expect_queue(orders, WB_SIDE_ASK, 7, "ac");
  cr_expect_eq(open_at(larger, 'z', WB_SIDE_BID, 1, 1, delta), 1);
  cr_expect_eq(wb_orders_copy(larger, orders), 0);
  cr_expect_eq(open_at(larger, 'd', WB_SIDE_ASK, 7, 1, delta), 1);
  expect_queue(larger, WB_SIDE_ASK, 7, "acd");
  expect_queue(larger, WB_SIDE_ASK, 9, "b");
  expect_queue(larger, WB_SIDE_BID, 1, "");
  cr_expect_eq(wb_orders_copy(smaller, orders), WB_E_FULL);
  cr_expect_eq(wb_orders_count(smaller), 0);
  free(orders);
  free(larger);
  free(smaller);
}

/* ------------------------------------------------------------------------------------------------ life */

Test(orders, an_order_opens_trades_and_is_done_and_every_step_tells_the_new_total) {
  wb_orders *orders = book_of(8);
  wb_delta delta[2];
  cr_expect_eq(open_at(orders, 'a', WB_SIDE_ASK, 10, 5, delta), 1);
  expect_delta(delta[0], WB_SIDE_ASK, 10, 5);
  cr_expect_eq(open_at(orders, 'b', WB_SIDE_ASK, 10, 3, delta), 1);
  expect_delta(delta[0], WB_SIDE_ASK, 10, 8);
  cr_expect_eq(match(orders, 'a', 2, delta), 1);
  expect_delta(delta[0], WB_SIDE_ASK, 10, 6);
  expect_queue(orders, WB_SIDE_ASK, 10, "ab");
  cr_expect_eq(match(orders, 'a', 3, delta), 1);
  expect_delta(delta[0], WB_SIDE_ASK, 10, 3);
  wb_order gone;
  cr_expect_not(wb_orders_find(orders, id_of('a'), &gone), "what a match emptied is gone at once");
  cr_expect_eq(done(orders, 'a', delta), 0, "its done does nothing");
  cr_expect_eq(done(orders, 'b', delta), 1);
  expect_delta(delta[0], WB_SIDE_ASK, 10, 0);
  cr_expect_eq(wb_orders_level_count(orders), 0);
  expect_queue(orders, WB_SIDE_ASK, 10, "");
  free(orders);
}

Test(orders, a_smaller_order_keeps_its_place_a_larger_or_dearer_one_goes_last) {
  wb_orders *orders = book_of(8);
  wb_delta delta[2];
  for (const char *c = "abcd"; *c; c++) open_at(orders, (uint64_t)*c, WB_SIDE_BID, 10, 5, delta);
  cr_expect_eq(change(orders, 'b', 0, 4, delta), 1);
  expect_delta(delta[0], WB_SIDE_BID, 10, 19);
  expect_queue(orders, WB_SIDE_BID, 10, "abcd");
  cr_expect_eq(change(orders, 'b', 10, 4, delta), 1);
  expect_queue(orders, WB_SIDE_BID, 10, "abcd");
  cr_expect_eq(change(orders, 'a', 10, 6, delta), 1);
  expect_delta(delta[0], WB_SIDE_BID, 10, 20);
  expect_queue(orders, WB_SIDE_BID, 10, "bcda");
  cr_expect_eq(change(orders, 'c', 11, 1, delta), 2);
  expect_delta(delta[0], WB_SIDE_BID, 10, 15);
  expect_delta(delta[1], WB_SIDE_BID, 11, 1);
  cr_expect_eq(change(orders, 'c', 10, 1, delta), 2);
  expect_delta(delta[0], WB_SIDE_BID, 11, 0);
  expect_delta(delta[1], WB_SIDE_BID, 10, 16);
  expect_queue(orders, WB_SIDE_BID, 10, "bdac");
  cr_expect_eq(change(orders, 'd', 0, 0, delta), 1, "changed to nothing is gone");
  expect_queue(orders, WB_SIDE_BID, 10, "bac");
  cr_expect_eq(change(orders, 'x', 3, 3, delta), 0, "of an order that never opened");
  free(orders);
}

Test(orders, sizes_that_disagree_are_counted_and_the_exchange_is_right) {
  wb_orders *orders = book_of(8);
  wb_delta delta[2];
  open_at(orders, 'a', WB_SIDE_BID, 10, 5, delta);
  open_at(orders, 'b', WB_SIDE_BID, 10, 5, delta);
  wb_order_event event = {.kind = WB_ORDER_CHANGE, .order = id_of('a'), .has = WB_ORDER_HAS_SIZE | WB_ORDER_HAS_OLD_SIZE};
  event.size = 3;
  event.old_size = 5;
  cr_expect_eq(wb_orders_apply(orders, &event, delta), 1);
  cr_expect_eq(wb_orders_disagreements(orders), 0);
  event.size = 2;
  cr_expect_eq(wb_orders_apply(orders, &event, delta), 1);
  expect_delta(delta[0], WB_SIDE_BID, 10, 7);
  cr_expect_eq(wb_orders_disagreements(orders), 1);
  event = (wb_order_event){.kind = WB_ORDER_DONE, .order = id_of('b'), .has = WB_ORDER_HAS_SIZE, .size = 4};
  cr_expect_eq(wb_orders_apply(orders, &event, delta), 1);
  expect_delta(delta[0], WB_SIDE_BID, 10, 2);
  cr_expect_eq(wb_orders_disagreements(orders), 2);
  free(orders);
}

Test(orders, kinds_that_are_of_no_order_on_the_book_do_nothing) {
  wb_orders *orders = book_of(8);
  wb_delta delta[2];
  open_at(orders, 'a', WB_SIDE_BID, 10, 5, delta);
  static const wb_order_kind kinds[] = {
      WB_ORDER_RECEIVED, WB_ORDER_ACTIVATE, WB_ORDER_NOOP, WB_ORDER_REJECT, WB_ORDER_IGNORED, 0, 255};
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    wb_order_event event = {.kind = (uint8_t)kinds[i], .order = id_of('a'), .side = WB_SIDE_BID, .price = 10, .size = 1};
    cr_expect_eq(wb_orders_apply(orders, &event, delta), 0);
  }
  expect_queue(orders, WB_SIDE_BID, 10, "a");
  free(orders);
}

Test(orders, finer_units_scale_everything_or_nothing) {
  wb_orders *orders = book_of(8);
  wb_delta delta[2];
  open_at(orders, 'a', WB_SIDE_BID, 10, 5, delta);
  open_at(orders, 'b', WB_SIDE_BID, 10, 6, delta);
  open_at(orders, 'c', WB_SIDE_ASK, WB_QUANTITY_MAX / 100, 1, delta);
  cr_expect_eq(wb_orders_scale(orders, 3, 1), WB_E_INVALID);
  cr_expect_eq(wb_orders_scale(orders, 10, 0), WB_E_INVALID);
  cr_expect_eq(wb_orders_scale(orders, 1000, 10), WB_E_RANGE);
  expect_queue(orders, WB_SIDE_BID, 10, "ab");
  cr_expect_eq(wb_orders_scale(orders, 100, 10), 0);
  expect_queue(orders, WB_SIDE_BID, 10, "");
  expect_queue(orders, WB_SIDE_BID, 1000, "ab");
  cr_expect_eq(wb_orders_level(orders, WB_SIDE_BID, 1000).size, 110);
  cr_expect_eq(wb_orders_scale(orders, 1, UINT64_C(1000000000000000000)), WB_E_RANGE);
  free(orders);
}

/* ------------------------------------------------------------------------------------------------ model */

/* Every order in the order in which it came to the place it has: the queue of a price is those of that price, from the front. */
typedef struct model {
  wb_order order[4096];
  uint32_t count;
} model;

static uint32_t model_find(const model *m, uint64_t number) {
  uint32_t i = 0;
  while (i < m->count && !wb_order_id_same(m->order[i].id, id_of(number))) i++;
  return i;
}

static void model_remove(model *m, uint32_t at) {
  memmove(&m->order[at], &m->order[at + 1], (--m->count - at) * sizeof *m->order);
}

static uint64_t model_total(const model *m, wb_side side, uint64_t price) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < m->count; i++)
    if (m->order[i].side == side && m->order[i].price == price) total += m->order[i].size;
  return total;
}

typedef struct setting {
  uint32_t order_max, numbers, prices;
  uint64_t size_max;
  uint64_t seed;
} setting;

/* Does to the model what the event says; returns 0, 1 (something changed) or the error the book must give. */
static int model_apply(model *m, const setting *set, const wb_order_event *event, uint64_t number) {
  uint32_t at = model_find(m, number);
  bool there = at < m->count;
  wb_order *order = &m->order[at];
  if (event->kind == WB_ORDER_OPEN) {
    if (there) return WB_E_STATE;
    if (m->count == set->order_max) return WB_E_FULL;
    if (model_total(m, (wb_side)event->side, event->price) + event->size > WB_QUANTITY_MAX) return WB_E_RANGE;
    m->order[m->count++] = (wb_order){event->order, event->price, event->size, (wb_side)event->side};
    return 1;
  }
  if (event->kind == WB_ORDER_MATCH) {
    if (!there || event->size > order->size) return WB_E_STATE;
    if ((order->size -= event->size) == 0) model_remove(m, at);
    return 1;
  }
  if (!there) return 0;
  if (event->kind == WB_ORDER_DONE) {
    model_remove(m, at);
    return 1;
  }
  wb_order changed = *order;
  if (event->has & WB_ORDER_HAS_PRICE) changed.price = event->price;
  changed.size = event->size;
  uint64_t others = model_total(m, order->side, changed.price) - (changed.price == order->price ? order->size : 0);
  if (changed.size && others + changed.size > WB_QUANTITY_MAX) return WB_E_RANGE;
  bool stays = changed.price == order->price && changed.size <= order->size;
  if (stays) *order = changed;
  if (!stays || changed.size == 0) model_remove(m, at);
  if (!stays && changed.size) m->order[m->count++] = changed;
  return 1;
}

static void expect_same(const model *m, const wb_orders *orders, const wb_book *book, const setting *set, uint64_t step) {
  uint32_t levels = 0;
  uint64_t hash = 0;
  cr_assert_null(wb_orders_check(orders), "seed %lu step %lu: %s", set->seed, step, wb_orders_check(orders));
  cr_assert_eq(wb_orders_count(orders), m->count, "seed %lu step %lu", set->seed, step);
  for (unsigned side = 0; side < 2; side++)
    for (uint64_t price = 1; price <= set->prices; price++) {
      static wb_order queue[4096];
      uint32_t count = wb_orders_queue(orders, (wb_side)side, price, queue, 4096), seen = 0;
      uint64_t total = 0;
      for (uint32_t i = 0; i < m->count; i++) {
        const wb_order *order = &m->order[i];
        if (order->side != (wb_side)side || order->price != price) continue;
        wb_order_place place;
        cr_assert(seen < count && wb_order_id_same(queue[seen].id, order->id) && queue[seen].size == order->size,
                  "seed %lu step %lu: queue of %lu", set->seed, step, price);
        cr_assert(wb_orders_ahead(orders, order->id, &place));
        cr_assert(place.orders_ahead == seen && place.size_ahead == total && place.level_orders == count);
        seen++;
        total += order->size;
      }
      cr_assert_eq(seen, count, "seed %lu step %lu: %u in the queue of %lu, not %u", set->seed, step, count, price, seen);
      cr_assert_eq(wb_book_size(book, (wb_side)side, price), total, "seed %lu step %lu: level 2", set->seed, step);
      levels += count != 0;
      if (count) hash += wb_level_hash((wb_side)side, price, total);
    }
  cr_assert_eq(wb_orders_level_count(orders), levels);
  cr_assert_eq(wb_book_hash(book), hash, "seed %lu step %lu: level 2", set->seed, step);
}

/* The level-2 book loaded from what the orders say their levels are. */
static void reload(wb_book *book, const wb_orders *orders) {
  wb_delta delta[7];
  uint32_t cursor = 0, count;
  wb_book_load_begin(book);
  while ((count = wb_orders_levels(orders, &cursor, delta, 7))) cr_assert_eq(wb_book_load_add(book, delta, count), 0);
  cr_assert_eq(wb_book_load_end(book), 0);
}

static void compare(const setting *set, uint64_t steps) {
  static model m;
  m.count = 0;
  wb_book_config config = {1024, 4096};
  wb_book *book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
  wb_orders *orders = book_of(set->order_max), *other = book_of(set->order_max);
  uint64_t results[4] = {0}; /* nothing, changed, refused, unknown removals */
  state = set->seed;
  cr_log_info("seed %lu", set->seed);
  for (uint64_t step = 0; step < steps; step++) {
    static const uint8_t kinds[] = {WB_ORDER_OPEN, WB_ORDER_OPEN, WB_ORDER_OPEN,  WB_ORDER_MATCH,
                                    WB_ORDER_DONE, WB_ORDER_DONE, WB_ORDER_CHANGE};
    uint64_t number = below(set->numbers);
    uint32_t at = model_find(&m, number);
    wb_order_event event = {.kind = kinds[below(sizeof kinds)],
                            .order = id_of(number),
                            .side = (uint8_t)below(2),
                            .price = 1 + below(set->prices),
                            .size = 1 + below(set->size_max)};
    if (event.kind == WB_ORDER_MATCH && at < m.count && below(8)) event.size = 1 + below(m.order[at].size);
    if (event.kind == WB_ORDER_MATCH && at < m.count && below(3) == 0) event.size = m.order[at].size;
    if (event.kind == WB_ORDER_CHANGE) {
      event.has = WB_ORDER_HAS_SIZE | (below(2) ? WB_ORDER_HAS_PRICE : 0);
      if (below(20) == 0) event.size = 0;
    }
    wb_delta delta[2];
    int expected = model_apply(&m, set, &event, number), result = wb_orders_apply(orders, &event, delta);
    cr_assert(expected <= 0 ? result == expected : result >= 1, "seed %lu step %lu: %d, not %d", set->seed, step, result,
              expected);
    if (result > 0) cr_assert_eq(wb_book_apply(book, delta, (uint32_t)result, &results[3]), 0);
    results[result < 0 ? 2 : result > 0]++;
    if (step % 499 == 0 || step + 1 == steps) expect_same(&m, orders, book, set, step);
    if (below(5000) == 0) {
      reload(book, orders);
      expect_same(&m, orders, book, set, step);
    }
    if (below(5000) == 0) {
      wb_orders *swap = orders;
      cr_assert_eq(wb_orders_copy(other, orders), 0);
      orders = other;
      other = swap;
    }
    if (below(20000) == 0) {
      wb_orders_clear(orders);
      wb_book_clear(book);
      m.count = 0;
    }
  }
  cr_assert_eq(results[3], 0, "a delta removed a level that was not there");
  cr_assert(results[0] && results[1] && results[2]);
  free(book);
  free(orders);
  free(other);
}

Test(orders_model, few_prices_with_long_queues) { compare(&(setting){512, 600, 8, 1000, 1}, 100000); }
Test(orders_model, many_prices) { compare(&(setting){512, 400, 200, 1000, 2}, 100000); }
Test(orders_model, a_limit_that_is_always_reached) { compare(&(setting){37, 100, 10, 50, 3}, 100000); }
Test(orders_model, a_book_of_one_order) { compare(&(setting){1, 3, 2, 5, 4}, 100000); }
Test(orders_model, totals_that_overflow) { compare(&(setting){64, 80, 3, WB_QUANTITY_MAX / 3, 5}, 100000); }
Test(orders_model, a_seed_of_its_own) {
  seed();
  uint64_t s = next();
  compare(&(setting){1 + s % 512, 1 + (s >> 16) % 600, 1 + (s >> 32) % 60, 1 + (s >> 48) % 1000, s}, 100000);
}
