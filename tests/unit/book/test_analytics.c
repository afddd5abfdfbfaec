#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/book/analytics.h"

static wb_analytics a;
static wb_mids mids;
static uint64_t mid2[WB_MID_WINDOW_MAX];

static void begin(uint32_t window) {
  a = (wb_analytics){0};
  wb_mids_init(&mids, mid2, window);
}

Test(analytics, one_side_alone_gives_no_mid_and_no_spread) {
  begin(10);
  cr_assert_not(wb_analytics_update(&a, &mids, 100, 1, 0, 0));
  cr_assert_eq(a.mid_held, 0u);
  cr_assert_not(wb_analytics_update(&a, &mids, 0, 0, 100, 1));
  cr_assert_eq(a.max_spread, 0u);
}

Test(analytics, the_case_studys_first_snapshot_gives_its_figures) {
  begin(10);
  wb_analytics_update(&a, &mids, 4983253, 303, 3058998, 343);
  cr_assert_eq(wb_analytics_spread(&a), -1924255);
  cr_assert_eq(a.max_spread, 1924255u);
  cr_assert_eq((uint64_t)a.mid2_sum, 2u * 4021125u + 1u); /* 40211.255 doubled, in hundredths */
}

Test(analytics, max_spread_is_the_largest_absolute_spread_since_start) {
  begin(3);
  wb_analytics_update(&a, &mids, 100, 1, 110, 1);
  wb_analytics_update(&a, &mids, 130, 1, 110, 1);
  wb_analytics_update(&a, &mids, 100, 1, 101, 1);
  cr_assert_eq(a.max_spread, 20u);
}

Test(analytics, mid_sum_equals_the_sum_over_a_sliding_window_for_any_window) {
  srand(7);
  for (uint32_t window = 1; window <= 40; window += 3) {
    uint64_t history[500];
    begin(window);
    for (unsigned n = 0; n < 500; n++) {
      uint64_t bid = (uint64_t)rand() % 1000000, ask = (uint64_t)rand() % 1000000;
      wb_analytics_update(&a, &mids, bid, 1, ask, 1);
      history[n] = bid + ask;
      unsigned __int128 sum = 0;
      for (unsigned i = 0; i <= n && i < window; i++) sum += history[n - i];
      cr_assert(sum == a.mid2_sum);
    }
  }
}

Test(analytics, largest_prices_do_not_overflow_the_sum) {
  begin(WB_MID_WINDOW_MAX);
  for (unsigned i = 0; i < 3 * WB_MID_WINDOW_MAX; i++) wb_analytics_update(&a, &mids, WB_QUANTITY_MAX, 1, WB_QUANTITY_MAX, 1);
  cr_assert(a.mid2_sum == (unsigned __int128)WB_QUANTITY_MAX * 2 * WB_MID_WINDOW_MAX);
}

Test(analytics, finer_units_keep_every_value) {
  begin(4);
  wb_analytics_update(&a, &mids, 100, 7, 110, 8);
  wb_analytics_update(&a, &mids, 101, 7, 109, 8);
  wb_analytics_scale(&a, &mids, 1000, 10);
  cr_assert_eq(a.best_bid, 101000u);
  cr_assert_eq(a.best_ask_size, 80u);
  cr_assert_eq(a.max_spread, 10000u);
  cr_assert_eq((uint64_t)a.mid2_sum, 420000u);
  for (unsigned i = 0; i < 4; i++) wb_analytics_update(&a, &mids, 1, 1, 2, 1);
  cr_assert_eq((uint64_t)a.mid2_sum, 12u); /* the scaled mids left the window as what they had become */
}

Test(analytics, mids_that_no_longer_fit_finer_units_restart_the_average) {
  begin(4);
  wb_analytics_update(&a, &mids, WB_QUANTITY_MAX, 1, WB_QUANTITY_MAX, 1);
  wb_analytics_update(&a, &mids, 1, 1, 2, 1);
  wb_analytics_scale(&a, &mids, 10, 1);
  cr_assert_eq(a.mid_held, 0u);
  cr_assert(a.mid2_sum == 0);
}
