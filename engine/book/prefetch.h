/* prefetch.h - what changes will touch of books that are not in the cache, fetched ahead of them; nothing is changed.
 *
 * How:     for a caller with several changes at hand, three passes over all of them, or a load that waits for one line holds up the
 *          fetching of the next: what leads to the cell that a change's level is in; the cell; the size, where the cell says that it lies. Some
 *          ns a change.
 * Threads: the book's. */
#ifndef WB_BOOK_PREFETCH_H
#define WB_BOOK_PREFETCH_H

#include "engine/book/layout.h"

/* Where the size of a change will lie, as wb_window_place says; without a cell, some line. */
typedef uintptr_t wb_book_place;

static inline void wb_book_prefetch_way(const wb_book *book, const wb_delta *change) {
  __builtin_prefetch(book, 1);
  __builtin_prefetch(&book->side[change->side], 1);
}

static inline wb_book_place wb_book_prefetch_cell(const wb_book *book, const wb_delta *change) {
  __asm__("" : "+r"(book), "+r"(change)); /* or a loop begins with much that few changes need */
  const wb_book_side *side = &book->side[change->side];
  wb_book_place place = wb_window_place(&side->window, wb_tick_of(&book->tick, change->price) ^ side->flip, book);
  __builtin_prefetch((const void *)place, 1);
  return place;
}

static inline void wb_book_prefetch_size(wb_book_place place) {
  const wb_cell *cell = (const wb_cell *)(place & ~(wb_book_place)63);
  if (wb_cell_has_block(cell)) __builtin_prefetch(&wb_cell_block(cell)[place & 63], 1);
  __asm__ volatile(""); /* or the compiler sees that nothing is done */
}

#endif
