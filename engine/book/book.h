/* book.h - one product's order book: every level of both sides, flat price-level arrays, exact.
 *
 * What:    per side a window of ticks around the touch (flat lines of sizes, occupancy bitmap with a summary), and an exact
 * sorted overflow store for all levels outside it, better or worse; levels move between the two when the window is re-centred.
 * Prices and sizes are integers in units of 10^-decimals, 0..WB_QUANTITY_MAX; the tick is the largest power of ten (of those
 * units) that divides every price seen, and gets finer by itself when a finer price comes. The sides are independent: a crossed
 * book is legal here.
 * Memory:  given by the caller, wb_book_bytes long, zeroed, 64-byte aligned; may be lazily backed (untouched parts are never
 * read or written), nothing is allocated afterwards.
 * Threads: one thread.
 * Limits:  level_count_max levels a side; beyond it WB_E_FULL and the book is as before.
 * See:     docs/adr/0003-book-window-and-overflow.md */
#ifndef WB_BOOK_BOOK_H
#define WB_BOOK_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/book/pool.h"
#include "engine/event.h"

typedef struct wb_book wb_book;

/* window_ticks: ticks of each side's window, power of two 1024..2^19 (0: default, 2^18). level_count_max: levels a side,
 * 1..2^22 (0: WB_BOOK_LEVELS_DEFAULT). */
enum { WB_BOOK_LEVELS_DEFAULT = 1 << 18 };
typedef struct wb_book_config {
  uint32_t window_ticks;
  uint32_t level_count_max;
} wb_book_config;

/* wb_book_bytes returns the address space a book needs, most of it never touched, a multiple of 64. 0 if the config is out of range. */
size_t wb_book_bytes(const wb_book_config *config);

/* wb_book_init makes an empty book in memory and returns it; NULL if the config is out of range or memory is NULL or not
 * aligned. */
wb_book *wb_book_init(void *memory, const wb_book_config *config);

/* For many books on one thread: what changes touch of them lies in one pool, of wb_book_pool_bytes for each of them, and so together;
 * only the rest, wb_book_rest_bytes, is the book's own. Otherwise as wb_book_bytes and wb_book_init. */
size_t wb_book_pool_bytes(const wb_book_config *config);
size_t wb_book_rest_bytes(const wb_book_config *config);
wb_book *wb_book_init_in(wb_pool *pool, void *rest, const wb_book_config *config);

/* wb_book_warm backs with memory, by touching it, what a book of so many levels a side will use, so that its first snapshot need not wait
 * for the kernel; but for what lies in a pool. Only right after init. */
void wb_book_warm(wb_book *book, uint32_t levels);

/* wb_book_clear removes every level and forgets the tick. An open load goes on. */
void wb_book_clear(wb_book *book);

/* Snapshot: begin, any number of adds (any order, any sides mixed, the later of two equal prices wins, size 0 is no level),
 * then end, which replaces the book by what was added, or drop, which leaves it as it was. Cost of n sorted levels (best first
 * or worst first): O(n); unsorted: a radix sort more. Between begin and end the old book can still be read, and applied to.
 * begin while a load is open starts it anew. add returns 0, WB_E_FULL (more than level_count_max levels on a side; the load can
 * only be dropped), or WB_E_STATE without begin. end closes the load and returns 0, or WB_E_FULL or WB_E_STATE and the book is
 * as before. */
void wb_book_load_begin(wb_book *book);
int wb_book_load_add(wb_book *book, const wb_delta *delta, uint32_t count);
int wb_book_load_end(wb_book *book);
void wb_book_load_drop(wb_book *book);

/* wb_book_apply applies changes in order. Returns 0, or WB_E_FULL (no further change of this call is applied). *unknown (may be
 * NULL) grows by the number of removals of levels that were not there. O(1) each within the window, O(log n) outside. Now and
 * then a change outside moves the window: O(levels that leave or enter it), paid for by the changes outside before it. A finer
 * price rebuilds the book, O(levels), at most 18 times between two clears or loads. */
int wb_book_apply(wb_book *book, const wb_delta *delta, uint32_t count, uint64_t *unknown);

/* wb_book_truncate removes the worst levels of a side beyond the best level_count. O(1) each within the window, O(log n) outside. */
void wb_book_truncate(wb_book *book, wb_side side, uint32_t level_count);

/* wb_book_best gives the best level of a side in *level; false if the side is empty (then *level is 0, 0). O(1): a book begins with
 * its two best levels. */
static inline bool wb_book_best(const wb_book *book, wb_side side, wb_level *level) {
  *level = ((const wb_level *)(const void *)book)[side];
  return level->size != 0;
}

/* wb_book_size returns the size at a price, 0 if there is no level. */
uint64_t wb_book_size(const wb_book *book, wb_side side, uint64_t price);

uint32_t wb_book_level_count(const wb_book *book, wb_side side);

/* wb_book_level_counts returns how many levels both sides have: bids in the low half, asks in the high one. */
static inline uint64_t wb_book_level_counts(const wb_book *book) {
  uint64_t counts;
  memcpy(&counts, (const wb_level *)(const void *)book + 2, sizeof counts);
  return counts;
}

/* wb_book_levels copies up to max levels of a side, best first, and returns how many. */
uint32_t wb_book_levels(const wb_book *book, wb_side side, wb_level *level, uint32_t max);

/* wb_book_levels_after: the same of those that are worse than a price. O(log n) more. */
uint32_t wb_book_levels_after(const wb_book *book, wb_side side, uint64_t price, wb_level *level, uint32_t max);

/* wb_book_scale multiplies every price by price_factor and every size by size_factor (1, 10, ... 10^18): the product's units
 * became finer. What an open load holds is scaled too. Returns 0, WB_E_INVALID if a factor is no power of ten, or WB_E_RANGE if
 * a price or size would exceed WB_QUANTITY_MAX; on an error the book is as before. O(levels). */
int wb_book_scale(wb_book *book, uint64_t price_factor, uint64_t size_factor);

/* wb_book_hash returns an order-independent hash of all levels, for checks and benches: the sum modulo 2^64 of
 * wb_level_hash. O(levels). */
uint64_t wb_book_hash(const wb_book *book);

/* wb_level_hash mixes side, price and size; the finalizer is splitmix64's (Steele, Lea, Flood 2014). */
static inline uint64_t wb_level_hash(wb_side side, uint64_t price, uint64_t size) {
  uint64_t mix = (price << 1 | (uint64_t)side) * UINT64_C(0x9e3779b97f4a7c15) ^ size;
  mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  mix = (mix ^ mix >> 27) * UINT64_C(0x94d049bb133111eb);
  return mix ^ mix >> 31;
}

/* Counters since init, for metrics: window re-centrings, tick refinements of a book with levels, levels in overflow now. */
typedef struct wb_book_stats {
  uint64_t recentres, refinements, overflow_levels;
} wb_book_stats;
void wb_book_stats_get(const wb_book *book, wb_book_stats *stats);

/* wb_book_check examines every structure of the book against every other and returns NULL, or static text naming the first rule
 * that is broken. For tests. O(memory in use). */
const char *wb_book_check(const wb_book *book);

#endif
