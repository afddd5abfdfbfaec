#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/feed/bars.h"
#include "tests/unit/random.h"

static uint64_t below(uint64_t bound) { return next() % bound; }

static bool take(wb_bars *bars, uint64_t id, int64_t time_ns, uint64_t price, uint64_t size, wb_bar *closed) {
  wb_trade trade = {id, price, size, time_ns, WB_SIDE_BID};
  return wb_bars_take(bars, &trade, closed);
}

static void expect_bar(const wb_bar *bar, int64_t start, int64_t end, const uint64_t prices[4], uint64_t volume,
                       uint64_t count) {
  cr_expect_eq(bar->start_ns, start);
  cr_expect_eq(bar->end_ns, end);
  cr_expect(bar->open == prices[0] && bar->high == prices[1] && bar->low == prices[2] && bar->close == prices[3],
            "%lu %lu %lu %lu", bar->open, bar->high, bar->low, bar->close);
  cr_expect(bar->flow.volume == volume);
  cr_expect_eq(bar->flow.count, count);
}

Test(bars, steps_and_kinds_out_of_range_are_refused) {
  wb_bars bars;
  cr_expect_eq(wb_bars_init(&bars, WB_BAR_TIME, 0), WB_E_INVALID);
  cr_expect_eq(wb_bars_init(&bars, WB_BAR_TIME, (uint64_t)INT64_MAX + 1), WB_E_INVALID);
  cr_expect_eq(wb_bars_init(&bars, (wb_bar_kind)3, 1), WB_E_INVALID);
  cr_expect_eq(wb_bars_init(&bars, WB_BAR_VOLUME, UINT64_MAX), 0);
}

Test(bars, an_interval_closes_with_the_first_trade_behind_it_and_empty_ones_have_no_bar) {
  wb_bars bars;
  wb_bar bar;
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_TIME, 100), 0);
  cr_expect_not(take(&bars, 1, 150, 10, 1, &bar));
  cr_expect_not(take(&bars, 2, 199, 12, 1, &bar));
  cr_expect_not(take(&bars, 3, 199, 9, 1, &bar));
  cr_expect(take(&bars, 4, 430, 11, 5, &bar));
  expect_bar(&bar, 100, 200, (const uint64_t[]){10, 12, 9, 9}, 3, 3);
  cr_expect(bar.first_trade_id == 1 && bar.last_trade_id == 3);
  cr_expect_not(wb_bars_until(&bars, 499, &bar));
  cr_expect(wb_bars_until(&bars, 500, &bar));
  expect_bar(&bar, 400, 500, (const uint64_t[]){11, 11, 11, 11}, 5, 1);
  cr_expect_not(wb_bars_until(&bars, 900, &bar), "nothing is open");
  cr_expect(!take(&bars, 5, 200, 8, 1, &bar));
  cr_expect_eq(bars.closed, 2);
}

Test(bars, late_trades_and_those_without_a_time_belong_to_the_bar_that_is_open) {
  wb_bars bars;
  wb_bar bar;
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_TIME, 100), 0);
  cr_expect_not(take(&bars, 1, 250, 10, 1, &bar));
  cr_expect_not(take(&bars, 2, 150, 20, 1, &bar));
  cr_expect_not(take(&bars, 3, WB_TIME_NONE, 5, 1, &bar));
  cr_expect_eq(bars.late, 2);
  cr_expect(take(&bars, 4, 300, 7, 1, &bar));
  expect_bar(&bar, 200, 300, (const uint64_t[]){10, 20, 5, 5}, 3, 3);
}

Test(bars, intervals_before_1970_and_at_the_ends_of_time) {
  wb_bars bars;
  wb_bar bar;
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_TIME, 100), 0);
  take(&bars, 1, -150, 10, 1, &bar);
  cr_expect(bars.bar.start_ns == -200 && bars.bar.end_ns == -100);
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_TIME, INT64_MAX), 0);
  take(&bars, 1, INT64_MIN + 1, 10, 1, &bar);
  cr_expect(bars.bar.start_ns <= INT64_MIN + 1 && bars.bar.end_ns > INT64_MIN + 1);
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_TIME, 1000), 0);
  take(&bars, 1, INT64_MAX - 1, 10, 1, &bar);
  cr_expect_eq(bars.bar.end_ns, INT64_MAX);
}

Test(bars, tick_bars_hold_their_number_and_volume_bars_their_volume_or_the_trade_that_exceeds_it) {
  wb_bars bars;
  wb_bar bar;
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_TICKS, 2), 0);
  cr_expect_not(take(&bars, 1, 5, 10, 1, &bar));
  cr_expect(take(&bars, 2, 9, 8, 3, &bar));
  expect_bar(&bar, 5, 9, (const uint64_t[]){10, 10, 8, 8}, 4, 2);
  cr_expect_not(take(&bars, 3, 10, 7, 1, &bar));
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_VOLUME, 10), 0);
  cr_expect_not(take(&bars, 1, 5, 10, 9, &bar));
  cr_expect(take(&bars, 2, 6, 11, 1, &bar));
  expect_bar(&bar, 5, 6, (const uint64_t[]){10, 11, 10, 11}, 10, 2);
  cr_expect(take(&bars, 3, 7, 12, 1000, &bar), "one trade closes one bar");
  expect_bar(&bar, 7, 7, (const uint64_t[]){12, 12, 12, 12}, 1000, 1);
  cr_expect_eq(bars.bar.flow.count, 0);
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_TICKS, 1), 0);
  cr_expect(take(&bars, 1, 5, 10, 9, &bar));
}

Test(bars, finer_units_scale_the_open_bar_and_a_volume_step) {
  wb_bars bars;
  wb_bar bar;
  cr_assert_eq(wb_bars_init(&bars, WB_BAR_VOLUME, 10), 0);
  take(&bars, 1, 5, 10, 9, &bar);
  cr_expect_eq(wb_bars_scale(&bars, 10, 100), 0);
  cr_expect_not(take(&bars, 2, 6, 110, 99, &bar));
  cr_expect(take(&bars, 3, 6, 90, 1, &bar));
  expect_bar(&bar, 5, 6, (const uint64_t[]){100, 110, 90, 90}, 1000, 3);
  take(&bars, 4, 6, WB_QUANTITY_MAX, 1, &bar);
  wb_bars before = bars;
  cr_expect_eq(wb_bars_scale(&bars, 10, 1), WB_E_RANGE);
  cr_expect_eq(wb_bars_scale(&bars, 1, UINT64_C(100000000000000000)), WB_E_RANGE);
  cr_expect(memcmp(&before, &bars, sizeof bars) == 0);
}

/* All trades kept; a bar that closes must be what its trades, found by their ids, add up to; and no trade is in two bars or in none. */
static void compare(wb_bar_kind kind, uint64_t step, uint64_t seed) {
  enum { TRADES = 5000 };
  static wb_trade trade[TRADES];
  wb_bars bars;
  wb_bar bar;
  uint64_t from = 0, closed = 0;
  int64_t now = 1000000;
  state = seed;
  cr_assert_eq(wb_bars_init(&bars, kind, step), 0);
  for (uint64_t i = 0; i < TRADES; i++) {
    now += (int64_t)below(30);
    trade[i] = (wb_trade){i, 1 + below(1000), 1 + below(50), now, (wb_side)below(2)};
    if (!wb_bars_take(&bars, &trade[i], &bar)) continue;
    wb_flow flow = {0};
    uint64_t high = 0, low = UINT64_MAX;
    cr_assert_eq(bar.first_trade_id, from, "seed %lu", seed);
    cr_assert(bar.last_trade_id >= from && bar.last_trade_id <= i);
    for (; from <= bar.last_trade_id; from++) {
      const wb_trade *t = &trade[from];
      if (kind == WB_BAR_VOLUME) cr_assert(flow.volume < step, "closes as soon as it can");
      if (kind == WB_BAR_TIME) cr_assert(t->time_ns / (int64_t)step * (int64_t)step == bar.start_ns && t->time_ns < bar.end_ns);
      wb_flow_add(&flow, t);
      if (t->price > high) high = t->price;
      if (t->price < low) low = t->price;
    }
    cr_assert(flow.volume == bar.flow.volume && flow.bought == bar.flow.bought && flow.notional == bar.flow.notional &&
                  flow.count == bar.flow.count,
              "seed %lu bar %lu", seed, closed);
    cr_assert(bar.high == high && bar.low == low && bar.open == trade[bar.first_trade_id].price &&
              bar.close == trade[from - 1].price);
    if (kind == WB_BAR_TICKS) cr_assert_eq(flow.count, step);
    if (kind == WB_BAR_VOLUME) cr_assert(flow.volume >= step);
    closed++;
  }
  cr_assert_eq(closed, bars.closed);
  cr_assert_eq(bars.late, 0);
  cr_assert_eq(from + bars.bar.flow.count, TRADES, "seed %lu: the rest is open", seed);
  cr_assert_gt(closed, 5);
}

Test(bars_model, every_trade_is_in_one_bar) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    compare(WB_BAR_TIME, 1 + seed * 37, seed);
    compare(WB_BAR_TICKS, seed, seed);
    compare(WB_BAR_VOLUME, seed * 41, seed);
  }
}
