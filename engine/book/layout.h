/* layout.h - what a book is made of, for book.c and prefetch.h alone. */
#ifndef WB_BOOK_LAYOUT_H
#define WB_BOOK_LAYOUT_H

#include "engine/base/error.h"
#include "engine/book/book.h"
#include "engine/book/far.h"
#include "engine/book/staging.h"
#include "engine/book/tick.h"
#include "engine/book/window.h"

/* A change within the window touches the first line of its side. */
typedef struct wb_book_side {
  wb_window window;
  uint64_t best; /* key of the best level, or WB_KEY_NONE */
  uint32_t level_count_max;
  uint64_t change_count; /* changes since the place of the window was last considered ... */
  uint64_t flip;         /* key = tick ^ flip */
  uint32_t miss_count;   /* ... of which so many lay outside it */
  wb_level *touch;       /* the best level, as wb_book_best gives it */
  uint32_t *level_count;
  wb_far far;
  uint8_t unused[WB_CACHE_LINE_BYTES]; /* a side is 256 bytes: addresses come by a shift */
} __attribute__((aligned(WB_CACHE_LINE_BYTES))) wb_book_side;
_Static_assert(sizeof(wb_book_side) == 256, "a power of two");
_Static_assert(offsetof(wb_book_side, flip) <= WB_CACHE_LINE_BYTES, "a change needs no second line");

/* Nor, of the book itself, more than the first. */
struct wb_book {
  wb_level touch[2]; /* first: see wb_book_best ... */
  union {            /* ... and wb_book_level_counts */
    uint32_t level_count[2];
    uint64_t level_counts;
  };
  wb_tick tick;
  wb_book_side side[2];
  uint64_t recentres, refinements;
  bool load_open;
  unsigned staged_exponent;
  wb_staging staging[2];
  wb_level *scratch; /* 2 * level_count_max, used within a call only */
};
_Static_assert(offsetof(wb_book, tick.unit) == WB_CACHE_LINE_BYTES, "what every change reads of the tick is on the first line");

#endif
