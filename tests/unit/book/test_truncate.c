/* A book cut to a depth, against a plain sorted array cut to the same. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/book/book.h"
#include "tests/unit/random.h"

enum { LEVELS_MAX = 4096 };

static wb_book *book_open(uint32_t window_ticks) {
  const wb_book_config config = {.window_ticks = window_ticks, .level_count_max = LEVELS_MAX};
  size_t bytes = wb_book_bytes(&config);
  void *memory = aligned_alloc(64, bytes);
  cr_assert(memory);
  memset(memory, 0, bytes);
  return wb_book_init(memory, &config);
}

Test(truncate, an_empty_side_and_one_that_is_not_too_deep_stay_as_they_are) {
  wb_book *book = book_open(1024);
  wb_book_truncate(book, WB_SIDE_BID, 0);
  wb_book_truncate(book, WB_SIDE_ASK, 10);
  cr_assert_eq(wb_book_level_counts(book), 0u);
  const wb_delta deltas[] = {{.price = 100, .size = 1, .side = WB_SIDE_BID}, {.price = 101, .size = 2, .side = WB_SIDE_ASK}};
  wb_book_apply(book, deltas, 2, NULL);
  wb_book_truncate(book, WB_SIDE_BID, 1);
  wb_book_truncate(book, WB_SIDE_ASK, UINT32_MAX);
  cr_assert_eq(wb_book_level_counts(book), 1 | UINT64_C(1) << 32);
  cr_assert_null(wb_book_check(book));
  free(book);
}

Test(truncate, to_nothing_leaves_no_touch) {
  wb_book *book = book_open(1024);
  for (uint64_t i = 1; i < 3000; i++) wb_book_apply(book, &(wb_delta){.price = i * i, .size = i, .side = WB_SIDE_ASK}, 1, NULL);
  wb_book_truncate(book, WB_SIDE_ASK, 0);
  wb_level best;
  cr_assert(!wb_book_best(book, WB_SIDE_ASK, &best));
  cr_assert_eq(wb_book_level_count(book, WB_SIDE_ASK), 0u);
  cr_assert_null(wb_book_check(book));
  free(book);
}

/* ------------------------------------------------------------------------------------------------ the model */

typedef struct model {
  wb_level level[LEVELS_MAX]; /* best first */
  uint32_t count;
} model;

static bool better(wb_side side, uint64_t a, uint64_t b) { return side == WB_SIDE_BID ? a > b : a < b; }

static void model_apply(model *m, wb_side side, uint64_t price, uint64_t size) {
  uint32_t at = 0;
  while (at < m->count && better(side, m->level[at].price, price)) at++;
  bool had = at < m->count && m->level[at].price == price;
  if (size && !had) memmove(&m->level[at + 1], &m->level[at], (m->count++ - at) * sizeof *m->level);
  if (size) m->level[at] = (wb_level){price, size};
  else if (had) memmove(&m->level[at], &m->level[at + 1], (--m->count - at) * sizeof *m->level);
}

Test(truncate, random_changes_and_cuts_leave_what_a_sorted_array_has) {
  static model m[2];
  static wb_level got[LEVELS_MAX];
  seed();
  for (unsigned turn = 0; turn < 8; turn++) {
    static const uint64_t spread[] = {200, 5000, 200000, UINT64_C(1) << 40};
    wb_book *book = book_open(turn & 1 ? 1024 : 65536);
    memset(m, 0, sizeof m);
    uint64_t middle = UINT64_C(1) << 50;
    uint32_t depth = 1 + (uint32_t)(next() % 300);
    for (unsigned step = 0; step < 20000; step++) {
      wb_side side = (wb_side)(next() & 1);
      if (next() % 1000 == 0) middle += next() % (spread[turn / 2] * 4) - spread[turn / 2] * 2;
      uint64_t price = middle + next() % spread[turn / 2] - spread[turn / 2] / 2, size = next() % 4 ? next() % 1000 : 0;
      if (m[side].count && next() % 3 == 0) price = m[side].level[next() % m[side].count].price;
      if (next() % 500 == 0) depth = 1 + (uint32_t)(next() % 300);
      cr_assert_eq(wb_book_apply(book, &(wb_delta){.price = price, .size = size, .side = side}, 1, NULL), 0);
      model_apply(&m[side], side, price, size);
      if (next() % 4 == 0) {
        wb_book_truncate(book, side, depth);
        if (m[side].count > depth) m[side].count = depth;
      }
      if (step % 64) continue;
      for (unsigned i = 0; i < 2; i++) {
        uint32_t count = wb_book_levels(book, (wb_side)i, got, LEVELS_MAX);
        cr_assert(count == m[i].count && memcmp(got, m[i].level, count * sizeof *got) == 0, "turn %u, step %u", turn, step);
      }
      const char *broken = step % 1024 ? NULL : wb_book_check(book);
      cr_assert_null(broken, "%s", broken);
    }
    free(book);
  }
}
