/* Queue, snapshot, splice, gap: the recipe step by step, and against an exchange that never forgets. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/book/book.h"
#include "engine/book/order_sync.h"
#include "tests/unit/random.h"

static uint64_t below(uint64_t bound) { return next() % bound; }

static void *zeroed(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes) != 0) abort();
  return memset(memory, 0, bytes);
}

static wb_orders *book_of(uint32_t order_count_max) {
  wb_orders_config config = {order_count_max, 7};
  return wb_orders_init(zeroed(wb_orders_bytes(&config)), &config);
}

enum { EVENTS_MAX = 4 };
typedef struct rig {
  wb_order_sync sync;
  wb_order_event queue[EVENTS_MAX];
  wb_delta delta[2];
  uint32_t delta_count;
} rig;

static void rig_init(rig *r, uint32_t order_count_max) {
  wb_order_sync_init(&r->sync, book_of(order_count_max), r->queue, EVENTS_MAX, 8, 8);
}

static wb_order_event event_of(wb_order_kind kind, uint64_t sequence, uint64_t number, uint64_t price, uint64_t size) {
  return (wb_order_event){.kind = (uint8_t)kind,
                          .has = WB_ORDER_HAS_SEQUENCE | (kind == WB_ORDER_CHANGE ? WB_ORDER_HAS_PRICE | WB_ORDER_HAS_SIZE : 0),
                          .sequence = sequence,
                          .order = {number, number},
                          .price = price,
                          .size = size};
}

static wb_order_sync_result take(rig *r, wb_order_kind kind, uint64_t sequence, uint64_t number, uint64_t price,
                                 uint64_t size) {
  wb_order_event event = event_of(kind, sequence, number, price, size);
  return wb_order_sync_take(&r->sync, &event, r->delta, &r->delta_count);
}

static wb_order_sync_result snapshot(rig *r, uint64_t sequence, uint64_t count) {
  cr_expect_eq(take(r, WB_ORDER_SNAPSHOT, sequence, 0, 0, 0), WB_ORDER_SYNC_NONE);
  for (uint64_t i = 1; i <= count; i++) cr_expect_eq(take(r, WB_ORDER_RESTING, sequence, i, 100, i), WB_ORDER_SYNC_NONE);
  return take(r, WB_ORDER_SNAPSHOT_END, sequence, 0, 0, 0);
}

static uint64_t total(const rig *r, uint64_t price) { return wb_orders_level(r->sync.orders, WB_SIDE_BID, price).size; }

/* ------------------------------------------------------------------------------------------------ step by step */

Test(order_sync, events_wait_for_the_snapshot_and_those_after_it_are_played) {
  rig r;
  rig_init(&r, 16);
  cr_expect_eq(take(&r, WB_ORDER_OPEN, 11, 9, 100, 1000), WB_ORDER_SYNC_NONE);
  cr_expect_eq(take(&r, WB_ORDER_OPEN, 12, 10, 100, 50), WB_ORDER_SYNC_NONE);
  cr_expect_eq(take(&r, WB_ORDER_NOOP, 13, 0, 0, 0), WB_ORDER_SYNC_NONE);
  cr_expect_eq(wb_orders_count(r.sync.orders), 0);
  cr_expect_eq(snapshot(&r, 11, 3), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(r.sync.state, WB_ORDER_SYNC_LIVE);
  cr_expect_eq(r.sync.sequence, 13);
  cr_expect_eq(total(&r, 100), 1 + 2 + 3 + 50, "11 is in the snapshot, 12 is not");
  cr_expect_eq(take(&r, WB_ORDER_DONE, 14, 3, 0, 0), WB_ORDER_SYNC_CHANGED);
  cr_expect_eq(r.delta_count, 1);
  cr_expect_eq(r.delta[0].size, 53);
  cr_expect_eq(take(&r, WB_ORDER_CHANGE, 15, 10, 90, 40), WB_ORDER_SYNC_CHANGED);
  cr_expect_eq(r.delta_count, 2);
  cr_expect_eq(take(&r, WB_ORDER_DONE, 16, 77, 0, 0), WB_ORDER_SYNC_NONE, "of an order that never opened");
  cr_expect_eq(r.sync.sequence, 16);
  free(r.sync.orders);
}

Test(order_sync, what_is_not_above_the_last_sequence_is_dropped) {
  rig r;
  rig_init(&r, 16);
  take(&r, WB_ORDER_OPEN, 5, 9, 100, 1);
  take(&r, WB_ORDER_OPEN, 5, 9, 100, 1);
  take(&r, WB_ORDER_OPEN, 4, 8, 100, 1);
  cr_expect_eq(r.sync.old, 2);
  cr_expect_eq(snapshot(&r, 4, 1), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(take(&r, WB_ORDER_DONE, 5, 9, 0, 0), WB_ORDER_SYNC_NONE);
  cr_expect_eq(take(&r, WB_ORDER_DONE, 2, 9, 0, 0), WB_ORDER_SYNC_NONE);
  cr_expect_eq(r.sync.old, 4);
  cr_expect_eq(total(&r, 100), 2);
  cr_expect_eq(take(&r, WB_ORDER_DONE, 6, 9, 0, 0), WB_ORDER_SYNC_CHANGED);
  free(r.sync.orders);
}

Test(order_sync, a_gap_asks_again_and_the_book_stays_as_it_was_until_the_next_snapshot) {
  rig r;
  rig_init(&r, 16);
  cr_expect_eq(snapshot(&r, 10, 2), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(take(&r, WB_ORDER_OPEN, 13, 9, 100, 50), WB_ORDER_SYNC_ASK);
  cr_expect_eq(r.sync.why, WB_ORDER_SYNC_GAP);
  cr_expect_eq(r.sync.skipped, 2);
  cr_expect_eq(take(&r, WB_ORDER_OPEN, 14, 8, 100, 60), WB_ORDER_SYNC_NONE, "is asked for once");
  cr_expect_eq(total(&r, 100), 3);
  cr_expect_eq(snapshot(&r, 11, 2), WB_ORDER_SYNC_ASK, "12 is missing still");
  cr_expect_eq(r.sync.why, WB_ORDER_SYNC_OLD);
  cr_expect_eq(r.sync.useless, 1);
  cr_expect_eq(wb_orders_count(r.sync.orders), 0);
  cr_expect_eq(snapshot(&r, 12, 2), WB_ORDER_SYNC_LOADED, "the queue was kept");
  cr_expect_eq(total(&r, 100), 3 + 110);
  free(r.sync.orders);
}

Test(order_sync, a_gap_in_the_queue_makes_what_was_before_it_useless) {
  rig r;
  rig_init(&r, 16);
  take(&r, WB_ORDER_OPEN, 5, 9, 100, 1);
  take(&r, WB_ORDER_OPEN, 7, 8, 100, 1);
  cr_expect_eq(r.sync.queue_count, 1);
  cr_expect_eq(snapshot(&r, 5, 1), WB_ORDER_SYNC_ASK);
  cr_expect_eq(snapshot(&r, 6, 1), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(r.sync.sequence, 7);
  free(r.sync.orders);
}

Test(order_sync, a_full_queue_loses_its_oldest_and_a_later_snapshot_makes_up_for_it) {
  rig r;
  rig_init(&r, 16);
  for (uint64_t i = 1; i <= EVENTS_MAX + 3; i++) take(&r, WB_ORDER_OPEN, i, 100 + i, 90, 1);
  cr_expect_eq(r.sync.overrun, 3);
  cr_expect_eq(snapshot(&r, 2, 1), WB_ORDER_SYNC_ASK);
  cr_expect_eq(r.sync.why, WB_ORDER_SYNC_OLD);
  cr_expect_eq(snapshot(&r, 3, 1), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(total(&r, 90), EVENTS_MAX);
  free(r.sync.orders);
}

Test(order_sync, a_contradiction_is_a_sign_of_loss) {
  rig r;
  rig_init(&r, 16);
  snapshot(&r, 10, 2);
  cr_expect_eq(take(&r, WB_ORDER_MATCH, 11, 77, 100, 1), WB_ORDER_SYNC_ASK);
  cr_expect_eq(r.sync.why, WB_ORDER_SYNC_CONTRADICTION);
  cr_expect_eq(snapshot(&r, 10, 2), WB_ORDER_SYNC_ASK, "it is played, and contradicts this one too");
  cr_expect_eq(r.sync.why, WB_ORDER_SYNC_CONTRADICTION);
  cr_expect_eq(snapshot(&r, 11, 2), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(take(&r, WB_ORDER_SNAPSHOT, 12, 0, 0, 0), WB_ORDER_SYNC_NONE);
  cr_expect_eq(take(&r, WB_ORDER_RESTING, 12, 1, 100, 1), WB_ORDER_SYNC_NONE);
  cr_expect_eq(take(&r, WB_ORDER_RESTING, 12, 1, 100, 1), WB_ORDER_SYNC_NONE);
  cr_expect_eq(take(&r, WB_ORDER_SNAPSHOT_END, 12, 0, 0, 0), WB_ORDER_SYNC_ASK, "an order that is there twice");
  cr_expect_eq(r.sync.state, WB_ORDER_SYNC_WAITING);
  free(r.sync.orders);
}

Test(order_sync, a_full_book_is_said_and_a_larger_one_goes_on_with_the_same_sequence) {
  rig r;
  rig_init(&r, 2);
  cr_expect_eq(snapshot(&r, 10, 3), WB_ORDER_SYNC_ASK);
  cr_expect_eq(r.sync.why, WB_ORDER_SYNC_FULL);
  cr_expect_eq(snapshot(&r, 10, 2), WB_ORDER_SYNC_LOADED);
  wb_orders *small = r.sync.orders, *larger = book_of(4), *smaller = book_of(1);
  cr_expect_eq(wb_order_sync_move(&r.sync, smaller), WB_E_FULL);
  cr_expect_eq(r.sync.orders, small);
  cr_expect_eq(wb_order_sync_move(&r.sync, larger), 0);
  cr_expect_eq(take(&r, WB_ORDER_OPEN, 11, 9, 100, 4), WB_ORDER_SYNC_CHANGED);
  cr_expect_eq(r.delta[0].size, 7);
  free(small);
  free(smaller);
  free(larger);
}

Test(order_sync, a_snapshot_nobody_asked_for_is_taken_if_it_is_not_older_than_the_book) {
  rig r;
  rig_init(&r, 16);
  snapshot(&r, 10, 3);
  cr_expect_eq(snapshot(&r, 9, 1), WB_ORDER_SYNC_NONE);
  cr_expect_eq(total(&r, 100), 6);
  cr_expect_eq(r.sync.state, WB_ORDER_SYNC_LIVE);
  cr_expect_eq(snapshot(&r, 12, 2), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(total(&r, 100), 3);
  cr_expect_eq(take(&r, WB_ORDER_OPEN, 12, 9, 100, 4), WB_ORDER_SYNC_NONE);
  cr_expect_eq(take(&r, WB_ORDER_OPEN, 13, 9, 100, 4), WB_ORDER_SYNC_CHANGED);
  free(r.sync.orders);
}

Test(order_sync, what_has_no_sequence_and_what_was_rejected_does_nothing) {
  rig r;
  rig_init(&r, 16);
  snapshot(&r, 10, 1);
  wb_order_event event = {.kind = WB_ORDER_ACTIVATE};
  cr_expect_eq(wb_order_sync_take(&r.sync, &event, r.delta, &r.delta_count), WB_ORDER_SYNC_NONE);
  event.kind = WB_ORDER_REJECT;
  cr_expect_eq(wb_order_sync_take(&r.sync, &event, r.delta, &r.delta_count), WB_ORDER_SYNC_NONE);
  event.kind = WB_ORDER_IGNORED;
  cr_expect_eq(wb_order_sync_take(&r.sync, &event, r.delta, &r.delta_count), WB_ORDER_SYNC_NONE);
  cr_expect_eq(take(&r, WB_ORDER_SNAPSHOT_END, 10, 0, 0, 0), WB_ORDER_SYNC_NONE, "an end without a beginning");
  cr_expect_eq(r.sync.sequence, 10);
  cr_expect_eq(r.sync.state, WB_ORDER_SYNC_LIVE);
  wb_order_sync_restart(&r.sync);
  cr_expect_eq(r.sync.state, WB_ORDER_SYNC_WAITING);
  cr_expect_eq(take(&r, WB_ORDER_OPEN, 11, 9, 100, 4), WB_ORDER_SYNC_NONE);
  free(r.sync.orders);
}

static wb_order_sync_result rescale(rig *r, uint8_t price_decimals, uint8_t size_decimals) {
  wb_order_event event = {.kind = WB_ORDER_SCALE, .price_decimals = price_decimals, .size_decimals = size_decimals};
  return wb_order_sync_take(&r->sync, &event, r->delta, &r->delta_count);
}

Test(order_sync, finer_units_go_through_book_and_queue) {
  rig r;
  rig_init(&r, 16);
  take(&r, WB_ORDER_OPEN, 11, 9, 100, 7);
  cr_expect_eq(rescale(&r, 9, 10), WB_ORDER_SYNC_NONE);
  cr_expect_eq(snapshot(&r, 10, 1), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(total(&r, 1000), 700);
  cr_expect_eq(rescale(&r, 10, 10), WB_ORDER_SYNC_NONE);
  cr_expect_eq(total(&r, 10000), 700);
  cr_expect_eq(total(&r, 1000), 1);
  cr_expect_eq(r.sync.state, WB_ORDER_SYNC_LIVE);
  free(r.sync.orders);
}

Test(order_sync, coarser_units_empty_the_book_and_keep_the_queue_where_it_is_exact) {
  rig r;
  rig_init(&r, 16);
  snapshot(&r, 10, 1);
  cr_expect_eq(rescale(&r, 7, 8), WB_ORDER_SYNC_ASK);
  cr_expect_eq(wb_orders_count(r.sync.orders), 0);
  take(&r, WB_ORDER_OPEN, 11, 9, 100, 70);
  cr_expect_eq(rescale(&r, 6, 7), WB_ORDER_SYNC_NONE);
  cr_expect_eq(r.sync.queue_count, 1);
  cr_expect_eq(snapshot(&r, 10, 1), WB_ORDER_SYNC_LOADED);
  cr_expect_eq(total(&r, 10), 7);
  wb_order_sync_restart(&r.sync);
  take(&r, WB_ORDER_OPEN, 12, 8, 100, 71);
  cr_expect_eq(rescale(&r, 6, 6), WB_ORDER_SYNC_NONE);
  cr_expect_eq(r.sync.queue_count, 0, "71 has no tenth");
  free(r.sync.orders);
}

/* ------------------------------------------------------------------------------------------------ an exchange */

/* What the exchange has said, from the beginning; the book as of a sequence is all of it up to there. */
enum { LINE_MAX = 60000, NUMBERS = 60, PRICES = 12 };

static void history_event(wb_orders *truth, wb_order_event *event, uint64_t sequence) {
  wb_delta delta[2];
  do {
    static const wb_order_kind kinds[] = {WB_ORDER_OPEN,   WB_ORDER_OPEN, WB_ORDER_MATCH,
                                          WB_ORDER_CHANGE, WB_ORDER_DONE, WB_ORDER_NOOP};
    *event = event_of(kinds[below(6)], sequence, below(NUMBERS), 1 + below(PRICES), 1 + below(9));
  } while (wb_orders_apply(truth, event, delta) < 0); /* an exchange contradicts itself never */
}

static void expect_same(const wb_orders *a, const wb_orders *b, const wb_book *book, uint64_t seed, uint64_t sequence) {
  cr_assert_null(wb_orders_check(b));
  cr_assert_eq(wb_orders_count(a), wb_orders_count(b), "seed %lu sequence %lu", seed, sequence);
  for (uint64_t price = 1; price <= PRICES; price++) {
    wb_order left[NUMBERS], right[NUMBERS];
    uint32_t count = wb_orders_queue(a, WB_SIDE_BID, price, left, NUMBERS);
    cr_assert_eq(wb_orders_queue(b, WB_SIDE_BID, price, right, NUMBERS), count, "seed %lu sequence %lu", seed, sequence);
    for (uint32_t i = 0; i < count; i++)
      cr_assert(wb_order_id_same(left[i].id, right[i].id) && left[i].size == right[i].size, "seed %lu sequence %lu", seed,
                sequence);
    cr_assert_eq(wb_book_size(book, WB_SIDE_BID, price), wb_orders_level(a, WB_SIDE_BID, price).size, "seed %lu sequence %lu",
                 seed, sequence);
  }
}

/* Events are lost, doubled and reordered on their way; snapshots come late and old. Whenever the book says it is live, it is the exchange's. */
static void follow(uint64_t seed) {
  static wb_order_event said[LINE_MAX];
  rig r;
  rig_init(&r, NUMBERS);
  wb_book_config config = {1024, 64};
  wb_book *book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
  wb_orders *truth = book_of(NUMBERS), *then = book_of(NUMBERS);
  uint64_t then_sequence = 0, live_steps = 0, result_count[4] = {0};
  state = seed;
  for (uint64_t sequence = 1; sequence < LINE_MAX; sequence++) {
    history_event(truth, &said[sequence], sequence);
    if (below(40) == 0) { /* a snapshot is taken at the exchange, and is on its way for a while */
      wb_orders_copy(then, truth);
      then_sequence = sequence;
    }
    unsigned fate = (unsigned)below(2000);
    unsigned times = fate == 0 ? 0 : fate == 1 ? 2 : 1;
    if (fate == 2) times = (unsigned)below(2), sequence > 5 ? said[0] = said[sequence - 3] : said[0];
    for (unsigned i = 0; i < times; i++) {
      wb_order_sync_result result =
          wb_order_sync_take(&r.sync, fate == 2 ? &said[0] : &said[sequence], r.delta, &r.delta_count);
      result_count[result]++;
      if (result == WB_ORDER_SYNC_CHANGED) cr_assert_eq(wb_book_apply(book, r.delta, r.delta_count, NULL), 0);
    }
    if (r.sync.state == WB_ORDER_SYNC_WAITING && then_sequence && below(10) == 0) {
      wb_delta level[5];
      uint32_t cursor = 0, count;
      take(&r, WB_ORDER_SNAPSHOT, then_sequence, 0, 0, 0);
      for (uint64_t price = 1; price <= PRICES; price++) {
        wb_order queue[NUMBERS];
        count = wb_orders_queue(then, WB_SIDE_BID, price, queue, NUMBERS);
        for (uint32_t i = 0; i < count; i++) take(&r, WB_ORDER_RESTING, then_sequence, queue[i].id.high, price, queue[i].size);
      }
      wb_order_sync_result result = take(&r, WB_ORDER_SNAPSHOT_END, then_sequence, 0, 0, 0);
      cr_assert(result == WB_ORDER_SYNC_LOADED || result == WB_ORDER_SYNC_ASK);
      result_count[result]++;
      if (result == WB_ORDER_SYNC_LOADED) {
        wb_book_load_begin(book);
        while ((count = wb_orders_levels(r.sync.orders, &cursor, level, 5))) wb_book_load_add(book, level, count);
        cr_assert_eq(wb_book_load_end(book), 0);
      }
    }
    if (r.sync.state != WB_ORDER_SYNC_LIVE) continue;
    live_steps++;
    if (r.sync.sequence == sequence && below(20) == 0) expect_same(truth, r.sync.orders, book, seed, sequence);
  }
  cr_log_info("seed %lu: live %lu of %u, %lu loads, %lu useless, %lu old, %lu skipped", seed, live_steps, LINE_MAX,
              r.sync.loaded, r.sync.useless, r.sync.old, r.sync.skipped);
  cr_assert(live_steps > LINE_MAX / 4 && r.sync.loaded > 5 && r.sync.old > 5 && r.sync.skipped > 5);
  cr_assert(result_count[WB_ORDER_SYNC_ASK] > 5);
  free(book);
  free(truth);
  free(then);
  free(r.sync.orders);
}

Test(order_sync_model, a_book_that_says_live_is_the_exchanges) {
  for (uint64_t seed = 1; seed <= 4; seed++) follow(seed);
}
