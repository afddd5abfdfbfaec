/* The book against a plain sorted array, 10^5 random changes and more a configuration, with the price driven out of the window
 * in every way: drift, jumps, far orders, other ticks. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/error.h"
#include "engine/book/book.h"

static uint64_t state;
static uint64_t next_random(void) {
  uint64_t mix = state += UINT64_C(0x9e3779b97f4a7c15);
  mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  mix = (mix ^ mix >> 27) * UINT64_C(0x94d049bb133111eb);
  return mix ^ mix >> 31;
}
static uint64_t below(uint64_t bound) { return next_random() % bound; }

/* ------------------------------------------------------------------------------------------------ the model */

typedef struct model {
  wb_level *level[2]; /* best first */
  uint32_t count[2], max;
} model;

static uint32_t model_place(const model *m, unsigned side, uint64_t price) {
  uint32_t low = 0, high = m->count[side];
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    bool better = side == WB_SIDE_BID ? m->level[side][middle].price > price : m->level[side][middle].price < price;
    if (better) low = middle + 1;
    else high = middle;
  }
  return low;
}

static int model_apply(model *m, wb_delta delta, uint64_t *unknown) {
  wb_level *level = m->level[delta.side];
  uint32_t *count = &m->count[delta.side], at = model_place(m, delta.side, delta.price);
  bool had = at < *count && level[at].price == delta.price;
  if (had && delta.size) {
    level[at].size = delta.size;
  } else if (had) {
    memmove(&level[at], &level[at + 1], (--*count - at) * sizeof *level);
  } else if (!delta.size) {
    ++*unknown;
  } else {
    if (*count == m->max) return WB_E_FULL;
    memmove(&level[at + 1], &level[at], ((*count)++ - at) * sizeof *level);
    level[at] = (wb_level){delta.price, delta.size};
  }
  return 0;
}

static int model_scale(model *m, uint64_t price_factor, uint64_t size_factor) {
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < m->count[side]; i++)
      if (m->level[side][i].price > WB_QUANTITY_MAX / price_factor || m->level[side][i].size > WB_QUANTITY_MAX / size_factor)
        return WB_E_RANGE;
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < m->count[side]; i++) {
      m->level[side][i].price *= price_factor;
      m->level[side][i].size *= size_factor;
    }
  return 0;
}

/* ------------------------------------------------------------------------------------------------ the comparison */

typedef struct setting {
  uint32_t window_ticks, level_count_max;
  uint64_t tick, mid; /* in units of price */
  uint32_t spread;    /* of the changes, in ticks */
  unsigned remove;    /* of 16 changes */
  uint64_t drift;     /* ticks a change, at most */
  bool scale, finer;  /* now and then: other decimals, a price between the ticks */
  uint64_t seed;
} setting;

typedef struct rig {
  const setting *set;
  wb_book *book;
  model model;
  wb_level *level;
  uint64_t mid, unknown_book, unknown_model;
  int64_t heading;
} rig;

static void expect_same(const rig *r, uint32_t depth, uint64_t step) {
  for (unsigned side = 0; side < 2; side++) {
    uint32_t count = r->model.count[side];
    wb_level best;
    cr_assert_eq(wb_book_level_count(r->book, (wb_side)side), count, "seed %lu step %lu: count", r->set->seed, step);
    cr_assert_eq(wb_book_best(r->book, (wb_side)side, &best), count != 0);
    if (count)
      cr_assert(!memcmp(&best, &r->model.level[side][0], sizeof best), "seed %lu step %lu: best of side %u", r->set->seed, step,
                side);
    if (!depth) continue;
    uint32_t expected = count < depth ? count : depth;
    cr_assert_eq(wb_book_levels(r->book, (wb_side)side, r->level, depth), expected);
    cr_assert(!memcmp(r->level, r->model.level[side], expected * sizeof *r->level), "seed %lu step %lu: levels of side %u",
              r->set->seed, step, side);
  }
}

static void expect_whole(const rig *r, uint64_t step) {
  expect_same(r, r->set->level_count_max, step);
  uint64_t hash = 0;
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < r->model.count[side]; i++) {
      const wb_level *level = &r->model.level[side][i];
      hash += wb_level_hash((wb_side)side, level->price, level->size);
      if (i % 16 == step % 16) cr_assert_eq(wb_book_size(r->book, (wb_side)side, level->price), level->size);
    }
  cr_assert_eq(wb_book_hash(r->book), hash, "seed %lu step %lu: hash", r->set->seed, step);
  const char *broken = wb_book_check(r->book);
  cr_assert_null(broken, "seed %lu step %lu: broken: %s", r->set->seed, step, broken);
}

static wb_delta random_change(const rig *r) {
  const setting *set = r->set;
  unsigned side = (unsigned)below(2);
  const wb_level *level = r->model.level[side];
  uint32_t count = r->model.count[side];
  uint64_t kind = below(1000), size = 1 + below(1000000), price;
  bool remove = below(16) < set->remove;
  if (kind < 20) {
    price = side ? 9999999999u * UINT64_C(100000000) - below(3) * set->tick : 1 + below(3) * set->tick / 100;
    if (below(2)) price = side ? 1000000 : UINT64_C(999999999900000000);
    if (price % set->tick) price += set->tick - price % set->tick;
  } else if (count && (remove || kind < 400)) {
    /* At, or a little beside, a level that is there; mostly near the touch. */
    uint32_t at = (uint32_t)(below(2) ? below(count) : below(count < 8 ? count : 8));
    price = level[at].price;
  } else {
    int64_t away = (int64_t)below(set->spread) - (int64_t)set->spread / 16;
    if (below(8) == 0) away *= 40;
    int64_t ticks = (int64_t)(r->mid / set->tick) + (side ? away : -away);
    price = (uint64_t)(ticks > 0 ? ticks : 1) * set->tick;
  }
  if (set->finer && below(2000) == 0) price += below(set->tick);
  if (price > WB_QUANTITY_MAX) price = WB_QUANTITY_MAX / set->tick * set->tick;
  if (remove) size = 0;
  return (wb_delta){.price = price, .size = size, .side = side};
}

static void drift(rig *r) {
  const setting *set = r->set;
  if (below(5000) == 0) r->heading = -r->heading;
  int64_t ticks = (int64_t)(r->mid / set->tick) + r->heading * (int64_t)below(set->drift + 1);
  if (below(4000) == 0) ticks += (int64_t)below(40 * set->window_ticks) - 20 * (int64_t)set->window_ticks;
  if (ticks < (int64_t)set->spread) ticks = set->spread, r->heading = 1;
  if ((uint64_t)ticks > WB_QUANTITY_MAX / set->tick - 64 * (uint64_t)set->spread) r->heading = -1, ticks -= 2 * set->spread;
  r->mid = (uint64_t)ticks * set->tick;
}

/* A snapshot of levels around the price (sometimes of the model's own), in some order, some twice, some empty; changes of the
 * old book meanwhile; then dropped or ended. */
static void random_load(rig *r, uint64_t step) {
  enum { LEVELS = 600 };
  static wb_delta delta[LEVELS];
  uint32_t count = (uint32_t)below(LEVELS), order = (uint32_t)below(4);
  model next = {{calloc(r->model.max, sizeof(wb_level)), calloc(r->model.max, sizeof(wb_level))}, {0, 0}, r->model.max};
  uint64_t ignored = 0;
  int expected = 0;
  for (uint32_t i = 0; i < count; i++) {
    delta[i] = random_change(r);
    if (order == 3) continue;
    uint64_t at = order == 1 ? count - i : i;
    delta[i].price = delta[i].side ? r->mid + at * r->set->tick : r->mid - (r->mid / r->set->tick > at ? at : 0) * r->set->tick;
    if (!delta[i].size) delta[i].size = 1;
  }
  wb_book_load_begin(r->book);
  for (uint32_t i = 0; i < count;) {
    uint32_t part = 1 + (uint32_t)below(64);
    if (part > count - i) part = count - i;
    int result = wb_book_load_add(r->book, &delta[i], part);
    cr_assert(result == 0 || result == WB_E_FULL);
    i += part;
    wb_delta change = random_change(r);
    int model_result = model_apply(&r->model, change, &r->unknown_model);
    cr_assert_eq(wb_book_apply(r->book, &change, 1, &r->unknown_book), model_result);
    expect_same(r, 0, step);
    if (result) break;
  }
  for (uint32_t i = 0; i < count; i++) {
    int result = model_apply(&next, delta[i], &ignored);
    if (result) expected = result; /* the model counts before later removals; only near the limit, and then not compared */
  }
  if (below(4) == 0 || expected) {
    wb_book_load_drop(r->book);
  } else {
    cr_assert_eq(wb_book_load_end(r->book), 0);
    model old = r->model;
    r->model = next;
    next = old;
  }
  free(next.level[0]);
  free(next.level[1]);
  expect_whole(r, step);
}

static void compare(const setting *set, uint64_t changes) {
  wb_book_config config = {set->window_ticks, set->level_count_max};
  size_t bytes = wb_book_bytes(&config);
  void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  cr_assert_neq(arena, MAP_FAILED);
  rig r = {.set = set, .book = wb_book_init(arena, &config), .mid = set->mid, .heading = 1};
  cr_assert_not_null(r.book);
  r.model = (model){{calloc(set->level_count_max, sizeof(wb_level)), calloc(set->level_count_max, sizeof(wb_level))},
                    {0, 0},
                    set->level_count_max};
  r.level = calloc(set->level_count_max, sizeof *r.level);
  state = set->seed;
  cr_log_info("seed %lu", set->seed);

  wb_delta delta[12];
  uint64_t next_whole = 0, rounds = 0, refused = 0;
  for (uint64_t step = 0; step < changes; rounds++) {
    uint32_t count = 1 + (uint32_t)below(12), done = 0;
    int expected = 0;
    drift(&r);
    for (uint32_t i = 0; i < count; i++) {
      delta[i] = random_change(&r);
      if (!expected) expected = model_apply(&r.model, delta[i], &r.unknown_model);
      done += !expected;
    }
    int result = wb_book_apply(r.book, delta, count, &r.unknown_book);
    cr_assert_eq(result, expected, "seed %lu step %lu: %d, not %d", set->seed, step, result, expected);
    cr_assert_eq(r.unknown_book, r.unknown_model, "seed %lu step %lu: unknown removals", set->seed, step);
    refused += expected != 0;
    step += done + 1;
    expect_same(&r, rounds % 32 == 0 ? 50 : 0, step);
    if (step >= next_whole) {
      expect_whole(&r, step);
      next_whole = step + 997;
    }
    if (below(3000) == 0) random_load(&r, step);
    if (below(20000) == 0) {
      wb_book_clear(r.book);
      r.model.count[0] = r.model.count[1] = 0;
      expect_whole(&r, step);
    }
    if (set->scale && below(2000) == 0) {
      static const uint64_t factor[] = {1, 10, 100, 1000};
      uint64_t price_factor = factor[below(4)], size_factor = factor[below(4)];
      cr_assert_eq(wb_book_scale(r.book, price_factor, size_factor), model_scale(&r.model, price_factor, size_factor));
      expect_whole(&r, step);
    }
  }
  expect_whole(&r, changes);
  wb_book_stats stats;
  wb_book_stats_get(r.book, &stats);
  cr_log_info("window %u: %lu recentres, %lu refinements, %lu refused, %u + %u levels, %lu in overflow", set->window_ticks,
              stats.recentres, stats.refinements, refused, r.model.count[0], r.model.count[1], stats.overflow_levels);
  free(r.model.level[0]);
  free(r.model.level[1]);
  free(r.level);
  munmap(arena, bytes);
}

#define CENT 1000000u
#define BTC (UINT64_C(6000000) * CENT)

Test(book_model, a_tiny_window_under_drift) { compare(&(setting){1024, 4096, CENT, BTC, 700, 5, 8, false, false, 1}, 150000); }
Test(book_model, a_tiny_window_under_fast_drift) {
  compare(&(setting){1024, 4096, CENT, BTC, 300, 6, 400, false, false, 2}, 120000);
}
Test(book_model, changes_spread_over_many_windows) {
  compare(&(setting){1024, 1 << 14, CENT, BTC, 60000, 4, 10, false, false, 3}, 120000);
}
Test(book_model, a_level_limit_that_is_always_reached) {
  compare(&(setting){1024, 60, CENT, BTC, 200, 4, 3, false, false, 4}, 120000);
}
Test(book_model, a_book_that_is_often_empty) { compare(&(setting){1024, 64, CENT, BTC, 50, 14, 60, false, false, 5}, 120000); }
Test(book_model, a_price_near_zero) { compare(&(setting){1024, 2048, 1, 900, 1200, 5, 2, false, false, 6}, 120000); }
Test(book_model, a_price_near_the_largest) {
  compare(&(setting){1024, 2048, 1, WB_QUANTITY_MAX - 100000, 1200, 5, 2, false, false, 7}, 120000);
}
Test(book_model, growing_scales) { compare(&(setting){1024, 2048, CENT, BTC, 500, 5, 5, true, false, 8}, 120000); }
Test(book_model, the_default_window) { compare(&(setting){1 << 18, 8192, CENT, BTC, 40000, 5, 30, false, false, 9}, 120000); }
Test(book_model, the_largest_window) {
  compare(&(setting){1 << 19, 8192, CENT, BTC, 40000, 5, 3000, false, false, 10}, 100000);
}

Test(book_model, prices_between_the_ticks) {
  compare(&(setting){1024, 2048, UINT64_C(10000000000), BTC, 500, 5, 3, false, true, 11}, 120000);
}
Test(book_model, prices_between_the_ticks_of_many_kinds) {
  for (uint64_t seed = 100; seed < 160; seed++) {
    uint64_t tick = 1;
    for (uint64_t i = seed % 12; i; i--) tick *= 10;
    compare(&(setting){1024, 512, tick, tick * 5000, 300, 5, 5, seed % 2, true, seed}, 4000);
    compare(&(setting){4096, 512, tick, tick * 70000, 3000, 5, 50, false, true, seed}, 2000);
  }
}
