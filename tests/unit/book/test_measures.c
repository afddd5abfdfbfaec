#include <criterion/criterion.h>

#include "engine/base/decimal.h"
#include "engine/base/error.h"
#include "engine/book/measures.h"
#include "tests/unit/random.h"

static uint64_t below(uint64_t bound) { return next() % bound; }

static const wb_level bids[] = {{100, 3}, {99, 5}, {90, 8}}, asks[] = {{102, 1}, {103, 7}};
static const wb_sides some = {bids, asks, 3, 2}, no_bids = {bids, asks, 0, 2}, none = {bids, asks, 0, 0};

Test(measures, sides_that_are_missing_are_said) {
  __int128 value = 7;
  wb_depth depth;
  cr_expect_eq(wb_measure_microprice(&no_bids, 2, &value), WB_E_STATE);
  cr_expect_eq(wb_measure_depth(&no_bids, WB_SIDE_ASK, 10, &depth), WB_E_STATE);
  cr_expect_eq(wb_measure_imbalance(&none, 5, 2, &value), WB_E_STATE);
  cr_expect_eq(wb_measure_pressure(&none, 5, 2, &value), WB_E_STATE);
  cr_expect_eq(wb_measure_imbalance(&some, 0, 2, &value), WB_E_STATE);
  cr_expect_eq(wb_measure_pressure(&some, 0, 2, &value), WB_E_STATE);
  cr_expect_eq(wb_measure_pressure(&some, 61, 2, &value), WB_E_INVALID);
  cr_expect_eq(wb_measure_microprice(&some, 19, &value), WB_E_INVALID);
  cr_expect(value == 7);
}

Test(measures, of_a_small_book_by_hand) {
  __int128 value;
  cr_expect_eq(wb_measure_microprice(&some, 2, &value), 0);
  cr_expect(value == 10150, "(100 * 1 + 102 * 3) / 4");
  cr_expect_eq(wb_measure_imbalance(&some, 1, 4, &value), 0);
  cr_expect(value == 5000, "(3 - 1) / 4");
  cr_expect_eq(wb_measure_imbalance(&some, 2, 4, &value), 0);
  cr_expect(value == 0, "8 and 8");
  cr_expect_eq(wb_measure_imbalance(&some, 100, 4, &value), 0);
  cr_expect(value == 3333, "(16 - 8) / 24");
  cr_expect_eq(wb_measure_pressure(&some, 1, 4, &value), 0);
  cr_expect(value == 5000);
  cr_expect_eq(wb_measure_pressure(&some, 2, 4, &value), 0);
  cr_expect(value == 1000, "(6 + 5 - 2 - 7) / 20");
  cr_expect_eq(wb_measure_pressure(&some, 3, 4, &value), 0);
  cr_expect(value == 2500, "(12 + 10 + 8 - 4 - 14) / 48");
  cr_expect_eq(wb_measure_imbalance(&no_bids, 2, 4, &value), 0);
  cr_expect(value == -10000);
}

Test(measures, depth_ends_exactly_at_the_distance) {
  wb_depth depth; /* mid 101: 100 is 99.0099 basis points away, 99 is 198.02, 90 is 1089.1 */
  static const uint32_t points[] = {0, 99, 100, 198, 199, 1089, 1090, 10000, UINT32_MAX};
  static const uint32_t levels[] = {0, 0, 1, 1, 2, 2, 3, 3, 3};
  for (unsigned i = 0; i < 9; i++) {
    cr_expect_eq(wb_measure_depth(&some, WB_SIDE_BID, points[i], &depth), 0);
    cr_expect_eq(depth.level_count, levels[i], "%u basis points", points[i]);
    cr_expect_eq(depth.partial, levels[i] == 3);
  }
  cr_expect(depth.size == 16 && depth.notional == 300 + 495 + 720);
  const wb_level bid = {9999, 1}, ask = {10001, 2};
  wb_sides exact = {&bid, &ask, 1, 1};
  cr_expect_eq(wb_measure_depth(&exact, WB_SIDE_ASK, 1, &depth), 0);
  cr_expect(depth.size == 2, "just at the distance is within");
  cr_expect_eq(wb_measure_depth(&exact, WB_SIDE_ASK, 0, &depth), 0);
  cr_expect(depth.size == 0);
  wb_sides crossed = {&ask, &bid, 1, 1};
  cr_expect_eq(wb_measure_depth(&crossed, WB_SIDE_BID, 0, &depth), 0);
  cr_expect(depth.size == 2, "better than the mid is within");
}

Test(measures, the_largest_quantities_overflow_nothing_but_a_notional_that_says_so) {
  static wb_level large[64];
  const uint64_t max = WB_QUANTITY_MAX;
  for (unsigned i = 0; i < 64; i++) large[i] = (wb_level){max, max};
  wb_sides sides = {large, large, 64, 64};
  __int128 value;
  wb_depth depth;
  cr_expect_eq(wb_measure_microprice(&sides, 18, &value), 0);
  cr_expect(value == (__int128)max * (__int128)wb_pow10(18));
  cr_expect_eq(wb_measure_pressure(&sides, 60, 18, &value), 0);
  cr_expect(value == 0);
  sides.ask_count = 0;
  cr_expect_eq(wb_measure_pressure(&sides, 60, 18, &value), 0);
  cr_expect(value == (__int128)wb_pow10(18));
  sides.ask_count = 64;
  cr_expect_eq(wb_measure_depth(&sides, WB_SIDE_BID, UINT32_MAX, &depth), 0);
  cr_expect(depth.saturated && depth.notional == ~(unsigned __int128)0);
  cr_expect(depth.size == 64 * (unsigned __int128)max);
  sides.bid_count = 16;
  cr_expect_eq(wb_measure_depth(&sides, WB_SIDE_BID, 0, &depth), 0);
  cr_expect_not(depth.saturated);
}

/* A fraction is what it is said to be if its value, multiplied out, is no more than half a unit off. */
static void expect_near(__int128 value, __int128 numerator, __int128 denominator, unsigned decimals, const char *what,
                        uint64_t seed) {
  __int128 twice = 2 * (numerator * (__int128)wb_pow10(decimals) - value * denominator);
  cr_assert(twice <= denominator && -twice <= denominator, "seed %lu: %s", seed, what);
}

Test(measures_model, of_random_books) {
  enum { LEVELS_MAX = 30 };
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    wb_level side[2][LEVELS_MAX];
    uint32_t count[2];
    __int128 value, total[2] = {0, 0}, decayed[2] = {0, 0};
    state = seed;
    uint64_t mid = 1000 + below(1000000), size_max = UINT64_C(1) << below(40);
    for (unsigned s = 0; s < 2; s++) {
      count[s] = 1 + (uint32_t)below(LEVELS_MAX);
      uint64_t away = below(10);
      for (uint32_t i = 0; i < count[s]; i++, away += 1 + below(20))
        side[s][i] = (wb_level){s ? mid + 1 + away : mid - away, 1 + below(size_max)};
    }
    wb_sides sides = {side[0], side[1], count[0], count[1]};
    uint32_t levels = 1 + (uint32_t)below(40);
    for (unsigned s = 0; s < 2; s++)
      for (uint32_t i = 0; i < levels; i++) {
        uint64_t size = i < count[s] ? side[s][i].size : 0;
        total[s] += size;
        decayed[s] += (__int128)size << (levels - 1 - i);
      }
    cr_assert_eq(wb_measure_microprice(&sides, 6, &value), 0);
    expect_near(value, (__int128)side[0][0].price * side[1][0].size + (__int128)side[1][0].price * side[0][0].size,
                (__int128)side[0][0].size + side[1][0].size, 6, "microprice", seed);
    cr_assert_eq(wb_measure_imbalance(&sides, levels, 9, &value), 0);
    expect_near(value, total[0] - total[1], total[0] + total[1], 9, "imbalance", seed);
    cr_assert_eq(wb_measure_pressure(&sides, levels, 9, &value), 0);
    expect_near(value, decayed[0] - decayed[1], decayed[0] + decayed[1], 9, "pressure", seed);
    for (unsigned s = 0; s < 2; s++) {
      uint32_t points = (uint32_t)below(300), within = 0;
      unsigned __int128 size = 0;
      wb_depth depth;
      cr_assert_eq(wb_measure_depth(&sides, (wb_side)s, points, &depth), 0);
      int64_t mid2 = (int64_t)(side[0][0].price + side[1][0].price);
      for (; within < count[s]; within++) {
        int64_t away = mid2 - 2 * (int64_t)side[s][within].price;
        if ((away < 0 ? -away : away) * 10000 > mid2 * points) break;
        size += side[s][within].size;
      }
      cr_assert(depth.level_count == within && depth.size == size && depth.partial == (within == count[s]), "seed %lu: depth",
                seed);
    }
  }
}
