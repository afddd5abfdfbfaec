#include <criterion/criterion.h>

#include "engine/book/book.h"
#include "io/memory.h"
#include "tests/unit/random.h"

enum { LEVELS = 4096, ROUNDS = 300 };

/* Prices near and far, in and around a small window, of one tick or of several. */
static uint64_t drawn_price(unsigned round) {
  uint64_t tick = round % 3 ? 1 : 100, far = next() % 8 ? 2000 : 1000000;
  return (1000000 + next() % far) * tick;
}

Test(levels, pieces_one_behind_the_other_are_the_whole_side) {
  seed();
  const wb_book_config config = {.window_ticks = 1024, .level_count_max = LEVELS};
  static wb_level whole[LEVELS], piece[LEVELS];
  for (unsigned round = 0; round < ROUNDS; round++) {
    void *memory = wb_arena_open(wb_book_bytes(&config), NULL);
    wb_book *book = wb_book_init(memory, &config);
    for (unsigned i = next() % 2000; i > 0; i--) {
      const wb_delta delta = {.price = drawn_price(round), .size = next() % 4, .side = next() & 1};
      cr_assert_eq(wb_book_apply(book, &delta, 1, NULL), 0);
    }
    for (unsigned side = 0; side < 2; side++) {
      uint32_t count = wb_book_levels(book, (wb_side)side, whole, LEVELS), at = 0;
      while (at < count) {
        uint32_t most = 1 + next() % 100;
        uint32_t more = at ? wb_book_levels_after(book, (wb_side)side, piece[at - 1].price, piece + at, most)
                           : wb_book_levels(book, (wb_side)side, piece, most);
        cr_assert(more == most || at + more == count);
        at += more;
      }
      cr_assert_arr_eq(piece, whole, count * sizeof *whole);
      uint64_t price = drawn_price(round) + next() % 3; /* a level, or none */
      uint32_t more = wb_book_levels_after(book, (wb_side)side, price, piece, LEVELS), skip = 0;
      while (skip < count && (side ? whole[skip].price <= price : whole[skip].price >= price)) skip++;
      cr_assert_eq(more, count - skip);
      cr_assert_arr_eq(piece, whole + skip, more * sizeof *whole);
    }
    wb_arena_close(memory, wb_book_bytes(&config));
  }
}
