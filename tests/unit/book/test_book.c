#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/book/book.h"

/* Eight decimals, as the feed's. */
#define P(units, cents) ((uint64_t)(units)*100000000u + (uint64_t)(cents)*1000000u)
#define BID(p, s) ((wb_delta){.price = (p), .size = (s), .side = WB_SIDE_BID})
#define ASK(p, s) ((wb_delta){.price = (p), .size = (s), .side = WB_SIDE_ASK})

static void *arena;
static size_t arena_bytes;

static wb_book *book_open(uint32_t window_ticks, uint32_t level_count_max) {
  wb_book_config config = {window_ticks, level_count_max};
  arena_bytes = wb_book_bytes(&config);
  cr_assert_gt(arena_bytes, 0);
  arena = mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  cr_assert_neq(arena, MAP_FAILED);
  wb_book *book = wb_book_init(arena, &config);
  cr_assert_not_null(book);
  return book;
}

static void apply(wb_book *book, wb_delta delta) { cr_assert_eq(wb_book_apply(book, &delta, 1, NULL), 0); }

static void expect_best(const wb_book *book, wb_side side, uint64_t price, uint64_t size) {
  wb_level level = {1, 1};
  cr_assert_eq(wb_book_best(book, side, &level), size != 0);
  cr_assert_eq(level.price, price, "best price %lu, not %lu", level.price, price);
  cr_assert_eq(level.size, size);
}

static void expect_sound(const wb_book *book) {
  const char *broken = wb_book_check(book);
  cr_assert_null(broken, "broken: %s", broken);
}

Test(book, configs_out_of_range_are_refused) {
  static const wb_book_config bad[] = {{1, 0},        {512, 0},      {1023, 0},           {1025, 0},       {3000, 0},
                                       {1u << 20, 0}, {1u << 31, 0}, {0, (1u << 22) + 1}, {0, UINT32_MAX}, {1000, 1000}};
  static _Alignas(64) char memory[64];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    cr_expect_eq(wb_book_bytes(&bad[i]), 0, "config %zu", i);
    cr_expect_null(wb_book_init(memory, &bad[i]), "config %zu", i);
  }
  cr_expect_eq(wb_book_bytes(NULL), 0);
  cr_expect_null(wb_book_init(memory, NULL));
  wb_book_config good = {0, 0};
  cr_expect_null(wb_book_init(NULL, &good));
  cr_expect_null(wb_book_init(memory + 8, &good), "memory must be aligned to a cache line");
}

Test(book, configs_at_the_bounds_are_accepted) {
  static const wb_book_config good[] = {{0, 0}, {1024, 1}, {1u << 19, 1u << 22}, {1u << 19, 1}, {1024, 1u << 22}};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    wb_book *book = book_open(good[i].window_ticks, good[i].level_count_max);
    apply(book, BID(P(100, 0), 1));
    apply(book, ASK(P(101, 0), 2));
    expect_best(book, WB_SIDE_BID, P(100, 0), 1);
    expect_best(book, WB_SIDE_ASK, P(101, 0), 2);
    munmap(arena, arena_bytes);
  }
}

Test(book, an_empty_book_answers_every_question) {
  wb_book *book = book_open(0, 0);
  wb_level levels[4];
  for (unsigned side = 0; side < 2; side++) {
    expect_best(book, (wb_side)side, 0, 0);
    cr_assert_eq(wb_book_level_count(book, (wb_side)side), 0);
    cr_assert_eq(wb_book_levels(book, (wb_side)side, levels, 4), 0);
    cr_assert_eq(wb_book_size(book, (wb_side)side, P(1, 0)), 0);
  }
  cr_assert_eq(wb_book_hash(book), 0);
  cr_assert_eq(wb_book_apply(book, NULL, 0, NULL), 0);
  uint64_t unknown = 5;
  cr_assert_eq(wb_book_apply(book, &BID(P(7, 1), 0), 1, &unknown), 0);
  cr_assert_eq(unknown, 6);
  wb_book_stats stats;
  wb_book_stats_get(book, &stats);
  cr_assert_eq(stats.recentres + stats.refinements + stats.overflow_levels, 0);
  cr_assert_eq(wb_book_scale(book, 10, 10), 0);
  wb_book_clear(book);
  expect_sound(book);
}

Test(book, changes_add_change_and_remove_levels_in_order) {
  wb_book *book = book_open(0, 0);
  wb_delta delta[] = {BID(P(100, 1), 10), BID(P(100, 2), 20), BID(P(100, 1), 11), ASK(P(100, 4), 40),
                      ASK(P(100, 3), 30), BID(P(100, 2), 0),  BID(P(100, 2), 0),  ASK(P(200, 0), 0)};
  uint64_t unknown = 0;
  cr_assert_eq(wb_book_apply(book, delta, 8, &unknown), 0);
  cr_assert_eq(unknown, 2);
  expect_best(book, WB_SIDE_BID, P(100, 1), 11);
  expect_best(book, WB_SIDE_ASK, P(100, 3), 30);
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_BID), 1);
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_ASK), 2);
  cr_assert_eq(wb_book_size(book, WB_SIDE_ASK, P(100, 4)), 40);
  cr_assert_eq(wb_book_size(book, WB_SIDE_BID, P(100, 4)), 0, "the sides are apart");
  cr_assert_eq(wb_book_size(book, WB_SIDE_ASK, P(100, 4) + 1), 0, "a price finer than the tick has no level");
  uint64_t hash = wb_level_hash(WB_SIDE_BID, P(100, 1), 11) + wb_level_hash(WB_SIDE_ASK, P(100, 3), 30) +
                  wb_level_hash(WB_SIDE_ASK, P(100, 4), 40);
  cr_assert_eq(wb_book_hash(book), hash);
  expect_sound(book);
}

Test(book, levels_come_best_first_and_no_more_than_asked) {
  wb_book *book = book_open(1024, 0);
  for (unsigned i = 0; i < 100; i++) {
    apply(book, BID(P(500, (i * 37) % 100), i + 1));
    apply(book, ASK(P(501 + i * i, (i * 37) % 100), i + 1));
  }
  wb_level level[101];
  cr_assert_eq(wb_book_levels(book, WB_SIDE_BID, level, 0), 0);
  cr_assert_eq(wb_book_levels(book, WB_SIDE_BID, level, 50), 50);
  cr_assert_eq(level[49].price, P(500, 50));
  for (unsigned side = 0; side < 2; side++) {
    cr_assert_eq(wb_book_levels(book, (wb_side)side, level, 101), 100);
    for (unsigned i = 1; i < 100; i++)
      cr_assert(side ? level[i].price > level[i - 1].price : level[i].price < level[i - 1].price, "side %u level %u", side, i);
  }
}

Test(book, a_crossed_book_keeps_both_sides) {
  wb_book *book = book_open(0, 0);
  apply(book, BID(P(101, 0), 1));
  apply(book, ASK(P(99, 0), 2));
  apply(book, BID(P(99, 0), 3));
  expect_best(book, WB_SIDE_BID, P(101, 0), 1);
  expect_best(book, WB_SIDE_ASK, P(99, 0), 2);
  cr_assert_eq(wb_book_size(book, WB_SIDE_BID, P(99, 0)), 3);
}

Test(book, the_extremes_of_price_and_size_are_exact) {
  wb_book *book = book_open(0, 0);
  wb_delta delta[] = {BID(P(0, 1), 394572200000000u),
                      ASK(P(9999999999u, 0), 1),
                      BID(P(63214, 17), 7),
                      ASK(P(63214, 18), 8),
                      BID(1, 9),
                      BID(0, 10),
                      ASK(WB_QUANTITY_MAX, WB_QUANTITY_MAX)};
  cr_assert_eq(wb_book_apply(book, delta, 7, NULL), 0);
  for (unsigned i = 0; i < 7; i++)
    cr_assert_eq(wb_book_size(book, (wb_side)delta[i].side, delta[i].price), (uint64_t)delta[i].size, "level %u", i);
  expect_best(book, WB_SIDE_BID, P(63214, 17), 7);
  expect_best(book, WB_SIDE_ASK, P(63214, 18), 8);
  wb_level level[8];
  cr_assert_eq(wb_book_levels(book, WB_SIDE_BID, level, 8), 4);
  cr_assert_eq(level[2].price, 1);
  cr_assert_eq(level[3].price, 0);
  cr_assert_eq(wb_book_levels(book, WB_SIDE_ASK, level, 8), 3);
  cr_assert_eq(level[2].price, WB_QUANTITY_MAX);
  cr_assert_eq(level[2].size, WB_QUANTITY_MAX);
  expect_sound(book);
}

Test(book, a_finer_price_refines_the_tick_once_and_loses_nothing) {
  wb_book *book = book_open(1024, 0);
  wb_delta snapshot[] = {BID(P(50000, 0), 1), BID(P(49000, 0), 2), ASK(P(51000, 0), 3), ASK(P(70000, 0), 4)};
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, snapshot, 4), 0);
  cr_assert_eq(wb_book_load_end(book), 0);
  wb_book_stats stats;
  apply(book, BID(P(50000, 50), 0));
  wb_book_stats_get(book, &stats);
  cr_assert_eq(stats.refinements, 0, "a removal of what cannot be there refines nothing");
  apply(book, BID(P(50000, 50), 5));
  apply(book, ASK(P(50999, 70), 6));
  wb_book_stats_get(book, &stats);
  cr_assert_eq(stats.refinements, 1);
  apply(book, ASK(P(50999, 71), 7));
  wb_book_stats_get(book, &stats);
  cr_assert_eq(stats.refinements, 2);
  expect_best(book, WB_SIDE_BID, P(50000, 50), 5);
  expect_best(book, WB_SIDE_ASK, P(50999, 70), 6);
  for (unsigned i = 0; i < 4; i++)
    cr_assert_eq(wb_book_size(book, (wb_side)snapshot[i].side, snapshot[i].price), (uint64_t)snapshot[i].size);
  expect_sound(book);
}

/* What division by multiplication makes of a price that the tick does not divide is no number of ticks, but it may be one that
 * the window covers. */
Test(book, a_price_that_the_tick_does_not_divide_is_not_taken_for_another) {
  const uint64_t tick = UINT64_C(100000000000000), image = 184468, price = image * tick; /* modulo 2^64 */
  cr_assert(price < (uint64_t)WB_QUANTITY_MAX && price % tick);
  wb_book *book = book_open(0, 0);
  apply(book, ASK(3 * tick, 1));
  uint64_t unknown = 0;
  cr_assert_eq(wb_book_apply(book, &ASK(price, 0), 1, &unknown), 0);
  cr_assert_eq(unknown, 1);
  cr_assert_eq(wb_book_size(book, WB_SIDE_ASK, price), 0);
  apply(book, ASK(price, 2));
  expect_best(book, WB_SIDE_ASK, price, 2);
  cr_assert_eq(wb_book_size(book, WB_SIDE_ASK, 3 * tick), 1);
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_ASK), 2);
  expect_sound(book);
}

Test(book, the_level_limit_holds_inside_and_outside_the_window) {
  wb_book *book = book_open(1024, 4);
  apply(book, BID(P(100, 0), 1));
  apply(book, BID(P(100, 1), 1));
  apply(book, BID(P(1, 0), 1));
  apply(book, BID(P(9000, 0), 1));
  uint64_t hash = wb_book_hash(book);
  wb_book_stats stats;
  wb_book_stats_get(book, &stats);
  uint64_t refinements = stats.refinements, unknown = 0;
  cr_assert_eq(wb_book_apply(book, &BID(P(100, 2), 1), 1, NULL), WB_E_FULL);
  cr_assert_eq(wb_book_apply(book, &BID(P(2, 0), 1), 1, NULL), WB_E_FULL);
  cr_assert_eq(wb_book_apply(book, &BID(P(100, 2) + 1, 1), 1, NULL), WB_E_FULL);
  cr_assert_eq(wb_book_hash(book), hash);
  wb_book_stats_get(book, &stats);
  cr_assert_eq(stats.refinements, refinements, "a refused price does not refine");
  apply(book, ASK(P(9001, 0), 1));
  wb_delta delta[] = {BID(P(100, 0), 5), BID(P(77, 0), 0), BID(P(100, 3), 1), BID(P(100, 1), 9)};
  cr_assert_eq(wb_book_apply(book, delta, 4, &unknown), WB_E_FULL);
  cr_assert_eq(unknown, 1);
  cr_assert_eq(wb_book_size(book, WB_SIDE_BID, P(100, 0)), 5, "changes before the one refused are applied");
  cr_assert_eq(wb_book_size(book, WB_SIDE_BID, P(100, 1)), 1, "changes after it are not");
  apply(book, BID(P(1, 0), 0));
  apply(book, BID(P(2, 0), 1));
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_BID), 4);
  expect_sound(book);
}

Test(book, a_load_replaces_the_book_only_at_its_end) {
  wb_book *book = book_open(1024, 0);
  apply(book, BID(P(10, 0), 1));
  cr_assert_eq(wb_book_load_add(book, &BID(P(1, 0), 1), 1), WB_E_STATE);
  cr_assert_eq(wb_book_load_end(book), WB_E_STATE);
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, &BID(P(20, 0), 2), 1), 0);
  expect_best(book, WB_SIDE_BID, P(10, 0), 1);
  apply(book, BID(P(11, 12) + 3, 3));
  expect_best(book, WB_SIDE_BID, P(11, 12) + 3, 3);
  cr_assert_eq(wb_book_load_add(book, &ASK(P(21, 0), 4), 1), 0);
  cr_assert_eq(wb_book_load_end(book), 0);
  expect_best(book, WB_SIDE_BID, P(20, 0), 2);
  expect_best(book, WB_SIDE_ASK, P(21, 0), 4);
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_BID), 1);
  cr_assert_eq(wb_book_load_end(book), WB_E_STATE, "an ended load is closed");
  expect_sound(book);
}

Test(book, a_dropped_load_leaves_the_book_and_a_begun_one_starts_anew) {
  wb_book *book = book_open(1024, 0);
  apply(book, BID(P(10, 0), 1));
  uint64_t hash = wb_book_hash(book);
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, &BID(P(20, 0), 2), 1), 0);
  wb_book_load_drop(book);
  cr_assert_eq(wb_book_hash(book), hash);
  cr_assert_eq(wb_book_load_end(book), WB_E_STATE);
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, &BID(P(20, 0), 2), 1), 0);
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, &ASK(P(30, 0), 3), 1), 0);
  wb_book_clear(book);
  cr_assert_eq(wb_book_hash(book), 0);
  cr_assert_eq(wb_book_load_end(book), 0, "clear leaves an open load alone");
  cr_assert_eq(wb_book_hash(book), wb_level_hash(WB_SIDE_ASK, P(30, 0), 3));
}

Test(book, a_load_of_nothing_empties_the_book) {
  wb_book *book = book_open(1024, 0);
  apply(book, BID(P(10, 0), 1));
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, &BID(P(10, 0), 0), 1), 0);
  cr_assert_eq(wb_book_load_end(book), 0);
  expect_best(book, WB_SIDE_BID, 0, 0);
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_BID), 0);
  apply(book, BID(P(12, 0), 1));
  expect_best(book, WB_SIDE_BID, P(12, 0), 1);
  expect_sound(book);
}

Test(book, the_later_of_two_equal_prices_wins_and_zero_is_no_level) {
  wb_book *book = book_open(1024, 0);
  wb_delta delta[] = {BID(P(10, 0), 1), BID(P(11, 0), 2), BID(P(10, 0), 3), BID(P(11, 0), 0),
                      ASK(P(12, 0), 0), ASK(P(13, 0), 4), ASK(P(12, 0), 5), ASK(P(13, 0), 6)};
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, delta, 8), 0);
  cr_assert_eq(wb_book_load_end(book), 0);
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_BID), 1);
  cr_assert_eq(wb_book_size(book, WB_SIDE_BID, P(10, 0)), 3);
  cr_assert_eq(wb_book_size(book, WB_SIDE_ASK, P(12, 0)), 5);
  cr_assert_eq(wb_book_size(book, WB_SIDE_ASK, P(13, 0)), 6);
  expect_sound(book);
}

Test(book, a_load_counts_distinct_levels_against_the_limit) {
  enum { MAX = 100 };
  wb_book *book = book_open(1024, MAX);
  wb_book_load_begin(book);
  for (unsigned i = 0; i < 100 * MAX; i++)
    cr_assert_eq(wb_book_load_add(book, &BID(P(1 + i * 7 % MAX, 0), i + 1), 1), 0, "repeats are no new levels");
  cr_assert_eq(wb_book_load_end(book), 0);
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_BID), MAX);
  cr_assert_eq(wb_book_size(book, WB_SIDE_BID, P(1, 0)), 100 * MAX - MAX + 1);
  uint64_t hash = wb_book_hash(book);
  wb_book_load_begin(book);
  for (unsigned i = 0; i <= MAX; i++) cr_assert_eq(wb_book_load_add(book, &ASK(P(1 + i, 0), 1), 1), 0);
  cr_assert_eq(wb_book_load_end(book), WB_E_FULL);
  cr_assert_eq(wb_book_hash(book), hash);
  cr_assert_eq(wb_book_load_end(book), WB_E_STATE);
  wb_book_load_begin(book);
  int result = 0;
  for (unsigned i = 0; i <= 3 * MAX && !result; i++) result = wb_book_load_add(book, &ASK(P(1 + i, 0), 1), 1);
  cr_assert_eq(result, WB_E_FULL, "what can never fit is refused while it comes");
  wb_book_load_drop(book);
  cr_assert_eq(wb_book_hash(book), hash);
  expect_sound(book);
}

Test(book, scaling_multiplies_everything_or_nothing) {
  wb_book *book = book_open(1024, 0);
  apply(book, BID(P(100, 1), 7));
  apply(book, ASK(P(9999999999u, 0), 1));
  apply(book, ASK(P(100, 2), 9));
  uint64_t hash = wb_book_hash(book);
  cr_assert_eq(wb_book_scale(book, 0, 1), WB_E_INVALID);
  cr_assert_eq(wb_book_scale(book, 1, 0), WB_E_INVALID);
  cr_assert_eq(wb_book_scale(book, 20, 1), WB_E_INVALID);
  cr_assert_eq(wb_book_scale(book, 1, UINT64_MAX), WB_E_INVALID);
  cr_assert_eq(wb_book_scale(book, 10, 1), WB_E_RANGE, "the outlier does not fit at nine decimals");
  cr_assert_eq(wb_book_scale(book, 1, UINT64_C(1000000000000000000)), WB_E_RANGE);
  cr_assert_eq(wb_book_hash(book), hash);
  cr_assert_eq(wb_book_scale(book, 1, 1), 0);
  cr_assert_eq(wb_book_hash(book), hash);
  apply(book, ASK(P(9999999999u, 0), 0));
  cr_assert_eq(wb_book_scale(book, 10, 100), 0);
  expect_best(book, WB_SIDE_BID, P(1000, 10), 700);
  expect_best(book, WB_SIDE_ASK, P(1000, 20), 900);
  apply(book, BID(P(1000, 15), 1));
  apply(book, BID(P(1000, 15) + 1, 1));
  expect_best(book, WB_SIDE_BID, P(1000, 15) + 1, 1);
  expect_sound(book);
}

Test(book, scaling_reaches_what_an_open_load_holds) {
  wb_book *book = book_open(1024, 0);
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, &BID(P(100, 2), 7), 1), 0);
  cr_assert_eq(wb_book_load_add(book, &ASK(P(9999999999u, 0), 7), 1), 0);
  cr_assert_eq(wb_book_scale(book, 10, 1), WB_E_RANGE);
  wb_book_load_begin(book);
  cr_assert_eq(wb_book_load_add(book, &BID(P(100, 2), 7), 1), 0);
  cr_assert_eq(wb_book_scale(book, 100, 10), 0);
  cr_assert_eq(wb_book_load_add(book, &BID(P(10001, 0) + 1, 8), 1), 0);
  cr_assert_eq(wb_book_load_end(book), 0);
  expect_best(book, WB_SIDE_BID, P(10002, 0), 70);
  cr_assert_eq(wb_book_size(book, WB_SIDE_BID, P(10001, 0) + 1), 8);
  expect_sound(book);
}

Test(book, a_scaled_load_keeps_the_coarse_tick) {
  wb_book *book = book_open(1024, 0);
  wb_book_load_begin(book);
  for (unsigned i = 0; i < 512; i++) cr_assert_eq(wb_book_load_add(book, &BID(P(100, i), 7), 1), 0);
  cr_assert_eq(wb_book_scale(book, 1000, 1), 0);
  cr_assert_eq(wb_book_load_end(book), 0);
  wb_book_stats stats;
  wb_book_stats_get(book, &stats);
  cr_assert_eq(stats.overflow_levels, 0);
  expect_best(book, WB_SIDE_BID, 1000 * P(100, 511), 7);
}

Test(book, a_price_of_zero_alone_survives_any_scale) {
  wb_book *book = book_open(1024, 0);
  apply(book, BID(0, 1));
  for (unsigned i = 0; i < 3; i++) cr_assert_eq(wb_book_scale(book, UINT64_C(1000000000000000000), 1), 0);
  expect_best(book, WB_SIDE_BID, 0, 1);
  apply(book, BID(17, 2));
  expect_best(book, WB_SIDE_BID, 17, 2);
  cr_assert_eq(wb_book_size(book, WB_SIDE_BID, 0), 1);
  expect_sound(book);
}

Test(book, the_window_follows_the_touch_and_rarely) {
  wb_book *book = book_open(1024, 0);
  wb_book_stats stats;
  const unsigned steps = 200000;
  for (unsigned i = 0; i < steps; i++) {
    apply(book, BID(P(100, i), 1));
    apply(book, ASK(P(100, i + 1), 1));
    if (i >= 300) {
      apply(book, BID(P(100, i - 300), 0));
      apply(book, ASK(P(100, i - 299), 0));
    }
    expect_best(book, WB_SIDE_BID, P(100, i), 1);
  }
  wb_book_stats_get(book, &stats);
  cr_assert_gt(stats.recentres, 2 * steps / 1024 / 2, "it follows");
  cr_assert_lt(stats.recentres, 2 * steps / 128, "only after an eighth of the window");
  cr_assert_lt(stats.overflow_levels, 400, "and most levels stay in it");
  expect_sound(book);
}

Test(book, the_window_stays_while_the_touch_moves_little) {
  wb_book *book = book_open(1024, 0);
  for (unsigned i = 0; i < 20; i++) apply(book, BID(P(100, i), 1));
  for (unsigned i = 0; i < 20000; i++) {
    apply(book, BID(P(100, 20 + i % 60), i % 2));
    apply(book, BID(P(1, i % 50), 1 + i));
  }
  wb_book_stats stats;
  wb_book_stats_get(book, &stats);
  cr_assert_eq(stats.recentres, 0, "however many changes lie outside");
  cr_assert_eq(stats.overflow_levels, 50);
}

Test(book, the_window_of_an_empty_side_is_wherever_its_first_level_comes) {
  wb_book *book = book_open(1024, 0);
  wb_book_stats stats;
  for (unsigned i = 1; i < 100; i++) {
    apply(book, ASK(P(i * 100, 0) + 1, 1));
    wb_book_stats_get(book, &stats);
    cr_assert_eq(stats.overflow_levels, 0);
    apply(book, ASK(P(i * 100, 0) + 1, 0));
  }
}

Test(book, a_lone_order_far_off_does_not_drag_the_window_along) {
  wb_book *book = book_open(1024, 0);
  for (unsigned i = 0; i < 100; i++) apply(book, BID(P(100, i), 1));
  apply(book, BID(P(9999999, 0), 3));
  for (unsigned i = 0; i < 10000; i++) apply(book, BID(P(9999999, 0), 3 + i));
  expect_best(book, WB_SIDE_BID, P(9999999, 0), 10002);
  wb_book_stats stats;
  wb_book_stats_get(book, &stats);
  cr_assert_eq(stats.overflow_levels, 1, "the order is in the overflow, all others in the window");
  apply(book, BID(P(9999999, 0), 0));
  expect_best(book, WB_SIDE_BID, P(100, 99), 1);
}

static size_t resident_bytes(void) {
  static unsigned char page[1 << 18];
  size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), pages = (arena_bytes + page_bytes - 1) / page_bytes, resident = 0;
  cr_assert_leq(pages, sizeof page);
  cr_assert_eq(mincore(arena, arena_bytes, page), 0);
  for (size_t i = 0; i < pages; i++) resident += (page[i] & 1) * page_bytes;
  return resident;
}

Test(book, two_thousand_scattered_levels_need_little_memory_however_far_the_price_drifts) {
  wb_book *book = book_open(0, 0);
  madvise(arena, arena_bytes, MADV_NOHUGEPAGE);
  wb_book_load_begin(book);
  for (unsigned i = 0; i < 1000; i++) {
    wb_delta delta[] = {BID(P(60000, 0) - i * P(0, 55), i + 1), ASK(P(60000, 1) + i * P(0, 55), i + 1)};
    cr_assert_eq(wb_book_load_add(book, delta, 2), 0);
  }
  cr_assert_eq(wb_book_load_end(book), 0);
  size_t loaded = resident_bytes();
  cr_assert_lt(loaded, 320 << 10, "%zu bytes", loaded);
  for (unsigned i = 1; i < 20000; i++) {
    wb_delta delta[] = {BID(P(60000, 0) + i * P(0, 55), 1), BID(P(60000, 0) + i * P(0, 55) - 1000 * P(0, 55), 0),
                        ASK(P(60000, 1) + i * P(0, 55) - P(0, 55), 0), ASK(P(60000, 1) + i * P(0, 55) + 999 * P(0, 55), 1)};
    cr_assert_eq(wb_book_apply(book, delta, 4, NULL), 0);
  }
  size_t drifted = resident_bytes();
  cr_assert_lt(drifted, 640 << 10, "%zu bytes", drifted);
  cr_log_info("resident: %zu loaded, %zu after a drift of four windows", loaded, drifted);
  expect_sound(book);
}
