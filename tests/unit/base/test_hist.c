#include "engine/base/hist.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/random.h"

static wb_hist hist, other, third;

Test(hist, an_empty_histogram_says_zero_for_every_percentile) {
  wb_hist_init(&hist);
  cr_expect_eq(hist.count, 0);
  for (int p = -10; p <= 200; p++) cr_expect_eq(wb_hist_percentile(&hist, p), 0);
}

Test(hist, percentiles_outside_0_to_100_are_taken_as_the_nearest_bound) {
  wb_hist_init(&hist);
  wb_hist_record(&hist, 3);
  wb_hist_record(&hist, 9);
  cr_expect_eq(wb_hist_percentile(&hist, -5), 3);
  cr_expect_eq(wb_hist_percentile(&hist, (double)NAN), 3);
  cr_expect_eq(wb_hist_percentile(&hist, 1000), 9);
  cr_expect_eq(wb_hist_percentile(&hist, (double)INFINITY), 9);
}

Test(hist, recording_a_value_no_times_changes_nothing) {
  wb_hist_init(&hist);
  wb_hist_init(&other);
  wb_hist_record_many(&hist, 1234, 0);
  cr_expect_eq(memcmp(&hist, &other, sizeof hist), 0);
}

Test(hist, values_below_128_are_exact) {
  for (uint64_t value = 0; value < 128; value++) {
    wb_hist_init(&hist);
    wb_hist_record(&hist, value);
    wb_hist_record(&hist, 1000);
    cr_expect_eq(wb_hist_percentile(&hist, 50), value);
  }
}

Test(hist, every_value_up_to_2_to_the_40_is_shown_with_an_error_below_one_128th) {
  for (int bit = 7; bit < 40; bit++)
    for (int step = -2; step <= 130; step++) {
      uint64_t value = (UINT64_C(1) << bit) + (uint64_t)((int64_t)step * (bit >= 14 ? INT64_C(1) << (bit - 8) : 1));
      if (value >> 40) continue;
      wb_hist_init(&hist);
      wb_hist_record(&hist, value);
      wb_hist_record(&hist, UINT64_MAX);
      uint64_t shown = wb_hist_percentile(&hist, 50);
      cr_expect(shown >= value && (shown - value) * 128 < value, "%" PRIu64 " shown as %" PRIu64, value, shown);
    }
}

Test(hist, values_from_2_to_the_40_on_are_shown_by_max) {
  wb_hist_init(&hist);
  wb_hist_record(&hist, UINT64_C(1) << 40);
  wb_hist_record(&hist, UINT64_C(1) << 50);
  cr_expect_eq(wb_hist_percentile(&hist, 100), UINT64_C(1) << 50);
  cr_expect_eq(hist.max, UINT64_C(1) << 50);
  cr_expect_eq(hist.min, UINT64_C(1) << 40);
  wb_hist_record(&hist, (UINT64_C(1) << 40) - 1);
  cr_expect_eq(hist.bucket[WB_HIST_BUCKETS - 1], 3);
}

Test(hist, no_percentile_exceeds_max) {
  wb_hist_init(&hist);
  wb_hist_record(&hist, 1000000);
  for (int p = 0; p <= 100; p++) cr_expect_eq(wb_hist_percentile(&hist, p), 1000000);
}

Test(hist, the_rank_of_a_percentile_does_not_suffer_from_binary_fractions) {
  wb_hist_init(&hist);
  wb_hist_record_many(&hist, 1, 999);
  wb_hist_record(&hist, 100);
  cr_expect_eq(wb_hist_percentile(&hist, 99.9), 1);
  cr_expect_eq(wb_hist_percentile(&hist, 99.91), 100);
  wb_hist_init(&hist);
  wb_hist_record_many(&hist, 1, 99);
  wb_hist_record(&hist, 100);
  cr_expect_eq(wb_hist_percentile(&hist, 99), 1);
  cr_expect_eq(wb_hist_percentile(&hist, 99.01), 100);
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

Test(hist, a_hundred_thousand_random_values_equal_the_sorted_array) {
  seed();
  enum { COUNT = 100000 };
  static uint64_t values[COUNT];
  wb_hist_init(&hist);
  uint64_t sum = 0;
  for (unsigned i = 0; i < COUNT; i++) {
    values[i] = next() >> (24 + next() % 40);
    wb_hist_record(&hist, values[i]);
    sum += values[i];
  }
  qsort(values, COUNT, sizeof values[0], by_value);
  cr_assert_eq(hist.count, COUNT);
  cr_assert_eq(hist.sum, sum);
  cr_assert_eq(hist.min, values[0]);
  cr_assert_eq(hist.max, values[COUNT - 1]);
  for (unsigned tenth = 1; tenth <= 1000; tenth++) {
    uint64_t exact = values[(uint64_t)tenth * COUNT / 1000 - 1], shown = wb_hist_percentile(&hist, tenth / 10.0);
    cr_assert(shown >= exact && (shown - exact) * 128 <= exact, "p%u/10: %" PRIu64 " shown as %" PRIu64, tenth, exact, shown);
  }
}

Test(hist, merging_and_recording_many_equal_recording_one_by_one) {
  seed();
  wb_hist_init(&hist);
  wb_hist_init(&other);
  wb_hist_init(&third);
  for (unsigned i = 0; i < 20000; i++) {
    uint64_t value = next() >> (20 + next() % 44), times = next() % 4;
    for (uint64_t j = 0; j < times; j++) wb_hist_record(&hist, value);
    wb_hist_record_many(i % 2 ? &other : &third, value, times);
  }
  wb_hist_merge(&other, &third);
  cr_assert_eq(memcmp(&hist, &other, sizeof hist), 0);
}

Test(hist, merging_an_empty_histogram_changes_nothing) {
  wb_hist_init(&hist);
  wb_hist_init(&other);
  wb_hist_record(&hist, 55);
  third = hist;
  wb_hist_merge(&hist, &other);
  cr_expect_eq(memcmp(&hist, &third, sizeof hist), 0);
  wb_hist_merge(&other, &hist);
  cr_expect_eq(memcmp(&hist, &other, sizeof hist), 0);
}

Test(hist, a_copy_is_the_same) {
  seed();
  wb_hist_init(&hist);
  for (unsigned i = 0; i < 5000; i++) wb_hist_record(&hist, next() >> 30);
  memset(&other, 0xa5, sizeof other);
  wb_hist_copy(&other, &hist);
  cr_expect_eq(memcmp(&hist, &other, sizeof hist), 0);
}
