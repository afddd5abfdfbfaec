/* book.h - one product's order book: every level of both sides, flat price-level arrays, exact.
 *
 * What:    per side a window of ticks around the touch (flat size array, occupancy bitmap with summary levels) and an exact,
 * sorted overflow store for all levels outside it; levels move between the two when the window is re-centred. Prices and sizes
 * are integers in units of 10^-decimals; the tick is the largest power of ten (of those units) that divides every price seen,
 * and gets finer by itself when a finer price comes. Memory:  given by the caller, wb_book_bytes long, zeroed, 64-byte aligned;
 * may be lazily backed (untouched parts are never read or written), nothing is allocated afterwards. Threads: one thread.
 * Limits:  level_count_max levels a side; beyond it WB_E_FULL and the book is as before. */
#ifndef WB_BOOK_BOOK_H
#define WB_BOOK_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/event.h"

typedef struct wb_book wb_book;

typedef struct wb_level {
  uint64_t price, size;
} wb_level;

/* window_ticks: ticks of each side's window, power of two 1024..2^22 (0: default). level_count_max: levels a side (0: default
 * 2^18). */
typedef struct wb_book_config {
  uint32_t window_ticks;
  uint32_t level_count_max;
} wb_book_config;

size_t wb_book_bytes(const wb_book_config *config);

/* wb_book_init makes an empty book in memory and returns it; NULL if the config is out of range. */
wb_book *wb_book_init(void *memory, const wb_book_config *config);

/* wb_book_clear removes every level and forgets the tick. */
void wb_book_clear(wb_book *book);

/* Snapshot: begin, any number of adds (any order, any sides mixed, the later of two equal prices wins, size 0 is no level),
 * then end, which replaces the book by what was added, or drop, which leaves it as it was. add returns 0 or WB_E_FULL. Cost of
 * n sorted levels (best first or worst first): O(n); unsorted: O(n log n). Between begin and end the old book can still be
 * read, and applied to. */
void wb_book_load_begin(wb_book *book);
int wb_book_load_add(wb_book *book, const wb_delta *delta, uint32_t count);
int wb_book_load_end(wb_book *book);
void wb_book_load_drop(wb_book *book);

/* wb_book_apply applies changes in order. Returns 0, or WB_E_FULL (no further change of this call is applied). *unknown (may be
 * NULL) grows by the number of removals of levels that were not there. O(1) each within the window. */
int wb_book_apply(wb_book *book, const wb_delta *delta, uint32_t count, uint64_t *unknown);

/* wb_book_best gives the best level of a side in *level; false if the side is empty (then *level is 0, 0). O(1), a few ns. */
bool wb_book_best(const wb_book *book, wb_side side, wb_level *level);

/* wb_book_size returns the size at a price, 0 if there is no level. */
uint64_t wb_book_size(const wb_book *book, wb_side side, uint64_t price);

uint32_t wb_book_level_count(const wb_book *book, wb_side side);

/* wb_book_levels copies up to max levels of a side, best first, and returns how many. */
uint32_t wb_book_levels(const wb_book *book, wb_side side, wb_level *level, uint32_t max);

/* wb_book_scale multiplies every price by price_factor and every size by size_factor (powers of ten, 1 for no change): the
 * product's units became finer. Returns 0, or WB_E_RANGE and the book is as before. O(levels). */
int wb_book_scale(wb_book *book, uint64_t price_factor, uint64_t size_factor);

/* wb_book_hash returns an order-independent hash of all levels (price, size, side), for checks and benches. O(levels). */
uint64_t wb_book_hash(const wb_book *book);

/* Counters since init, for metrics: window re-centrings, tick refinements, levels in overflow now. */
typedef struct wb_book_stats {
  uint64_t recentres, refinements, overflow_levels;
} wb_book_stats;
void wb_book_stats_get(const wb_book *book, wb_book_stats *stats);

#endif
