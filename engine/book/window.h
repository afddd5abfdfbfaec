/* window.h - the hot part of one side of a book: all levels whose key lies in [base, base + ticks).
 *
 * What:    a key is a tick number turned so that a smaller key is a better price on either side. Sizes lie in lines of eight
 * neighbouring ticks (one cache line each). A cell describes 64 ticks: which of them are occupied, and which lines hold their
 * sizes. One summary bit a cell tells the empty cells, so the next level is a few bit scans away.
 * Shape:   the place of a key is key & mask, so moving base moves no memory; only levels that leave or enter the range do.
 * Memory:  cells and summary grow with the ticks in use (half a byte each), lines with the levels; a line returns to a stack
 * when its last level goes and is the next one taken, so few lines are touched and they stay in cache. What was never used is
 * never touched.
 * Threads: one thread. */
#ifndef WB_BOOK_WINDOW_H
#define WB_BOOK_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No level: larger than every key. */
#define WB_KEY_NONE UINT64_MAX

/* Lines are numbered by 16 bits, hence at most 2^16 * 8 ticks. */
#define WB_WINDOW_TICKS_MIN (UINT32_C(1) << 10)
#define WB_WINDOW_TICKS_MAX (UINT32_C(1) << 19)

typedef struct wb_cell {
  uint64_t occupied;
  uint16_t line[8];  /* of ticks 8i..8i+7; means something only where one of these is occupied */
  uint64_t reserved; /* 32 bytes, so that none straddles a cache line */
} wb_cell;
_Static_assert(sizeof(wb_cell) == 32, "two cells share a cache line");

typedef struct wb_window {
  uint64_t base; /* a multiple of 64 */
  uint64_t mask; /* ticks - 1 */
  wb_cell *cell;
  uint64_t *summary; /* a bit a cell: it is not empty */
  uint64_t (*line)[8];
  uint16_t *spare;     /* spare[i] ^ i for i >= line_count: the free lines, next one first; all zero is 0, 1, 2, ... */
  uint32_t line_count; /* in use */
  uint32_t line_limit; /* line[line_limit] and spare[line_limit] are there, too, for removals of what is not there */
} wb_window;

/* wb_window_next returns the smallest occupied key that is >= key, or WB_KEY_NONE. A few scans, at worst one a 4096 ticks. */
uint64_t wb_window_next(const wb_window *window, uint64_t key);

/* wb_window_clear removes every level. O(cells / 64 + levels). */
void wb_window_clear(wb_window *window);

/* wb_window_check returns NULL, or the first rule that is broken. Reads all of the window. */
const char *wb_window_check(const wb_window *window);

static inline bool wb_window_covers(const wb_window *window, uint64_t key) { return key - window->base <= window->mask; }

static inline bool wb_window_has(const wb_window *window, uint64_t key) {
  return window->cell[(key & window->mask) >> 6].occupied >> (key & 63) & 1;
}

/* wb_window_at returns where the size of a key that the window has lies. */
static inline uint64_t *wb_window_at(const wb_window *window, uint64_t key) {
  return &window->line[window->cell[(key & window->mask) >> 6].line[key >> 3 & 7]][key & 7];
}

/* wb_window_put sets the size of a key that the window covers; 0 removes it, or does nothing if it is not there. Without a branch:
 * whether a change adds, changes or removes cannot be predicted, so both answers are computed and masked. */
static inline void wb_window_put(wb_window *window, uint64_t key, uint64_t size) {
  uint64_t index = (key & window->mask) >> 6, bit = UINT64_C(1) << (key & 63), group = UINT64_C(255) << (key & 56);
  wb_cell *cell = &window->cell[index];
  uint16_t *slot = &cell->line[key >> 3 & 7], *spare = window->spare;
  uint64_t before = cell->occupied, after = (before & ~bit) | (bit & -(uint64_t)(size != 0));
  uint32_t had = (before & group) != 0, has = (after & group) != 0, release = had & ~has;

  uint32_t count = window->line_count, fresh = spare[count] ^ count, other = (fresh ^ *slot) & -had, line = fresh ^ other;
  cell->occupied = after;
  *slot = (uint16_t)line;
  window->line[line][key & 7] = size;
  spare[count - release] = (uint16_t)(fresh ^ (other & -release) ^ (count - release));
  window->line_count = count + has - had;
  window->summary[index >> 6] ^= (uint64_t)((before == 0) ^ (after == 0)) << (index & 63);
}

#endif
