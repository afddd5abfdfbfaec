/* window.h - the hot part of one side of a book: all levels whose key lies in [base, base + ticks).
 *
 * What:    a key is a tick number turned so that a smaller key is a better price on either side. A cell, one cache line, describes 64
 *          neighbouring ticks: which of them are occupied, and, while they are few, their sizes; so a change in a book whose levels
 *          lie apart touches one line. Where more than WB_CELL_FEW of the 64 are occupied, their sizes lie in a block, an array by
 *          tick. One summary bit a cell tells the empty cells, so the next level is a few bit scans away.
 * Shape:   the place of a key is key & mask, so moving base moves no memory; only levels that leave or enter the range do.
 * Memory:  cells and summary grow with the ticks in use (a byte each), blocks with the crowded cells; a block returns to a stack
 *          when its cell has thinned out, and is the next one taken. What was never used is never touched. All zero is empty.
 * Threads: one thread. */
#ifndef WB_BOOK_WINDOW_H
#define WB_BOOK_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No level: larger than every key. */
#define WB_KEY_NONE UINT64_MAX

/* Blocks are numbered by 16 bits, hence at most 2^16 * 64 ticks. */
#define WB_WINDOW_TICKS_MIN (UINT32_C(1) << 10)
#define WB_WINDOW_TICKS_MAX (UINT32_C(1) << 19)

/* A cell takes a block for its seventh level, and gives it back with the fourth last. */
enum { WB_CELL_FEW = 6, WB_CELL_THIN = 3 };

/* Byte i of ticks, i < WB_CELL_FEW, is 1 + the tick (0..63) whose size is size[i], or 0. Byte 7 is 1 where the sizes lie in a block instead,
 * whose number is size[0]. */
typedef struct wb_cell {
  uint64_t occupied;
  uint64_t ticks;
  uint64_t size[WB_CELL_FEW];
} wb_cell;
_Static_assert(sizeof(wb_cell) == 64, "a cell is a cache line");

typedef struct wb_window {
  uint64_t base; /* a multiple of 64 */
  wb_cell *cell;
  uint64_t *summary; /* a bit a cell: it is not empty */
  uint64_t (*block)[64];
  uint32_t mask;        /* ticks - 1 */
  uint16_t block_count; /* in use */
  uint16_t block_limit; /* behind as many blocks lie as many numbers, see wb_window_spare */
} wb_window;

/* wb_window_spare returns the stack of free blocks: spare[i] ^ i for i >= block_count, next one first; all zero is 0, 1, 2, ... */
static inline uint16_t *wb_window_spare(const wb_window *window) {
  return (uint16_t *)(void *)(window->block + window->block_limit);
}

/* wb_window_blocks_max returns how many blocks a window of so many ticks can need while it holds no more than so many levels. */
static inline uint32_t wb_window_blocks_max(uint32_t ticks, uint32_t levels) {
  uint32_t crowded = levels / (WB_CELL_THIN + 1) + 1;
  return ticks / 64 < crowded ? ticks / 64 : crowded;
}

/* wb_window_next returns the smallest occupied key that is >= key, or WB_KEY_NONE. A few scans, at worst one a 4096 ticks. */
uint64_t wb_window_next(const wb_window *window, uint64_t key);

/* wb_window_last returns the largest occupied key, or WB_KEY_NONE. As wb_window_next. */
uint64_t wb_window_last(const wb_window *window);

/* wb_window_clear removes every level. O(cells / 64 + levels). */
void wb_window_clear(wb_window *window);

/* wb_window_check returns NULL, or the first rule that is broken. Reads all of the window. */
const char *wb_window_check(const wb_window *window);

/* What wb_window_put leaves to this: cells whose sizes lie in a block, or that need one now. */
void wb_window_put_crowded(wb_window *window, uint64_t key, uint64_t size);

static inline bool wb_window_covers(const wb_window *window, uint64_t key) { return key - window->base <= window->mask; }

static inline wb_cell *wb_window_cell(const wb_window *window, uint64_t key) {
  return &window->cell[(key & window->mask) >> 6];
}

static inline bool wb_window_has(const wb_window *window, uint64_t key) {
  return wb_window_cell(window, key)->occupied >> (key & 63) & 1;
}

static inline bool wb_cell_has_block(const wb_cell *cell) { return cell->ticks >> 56; }

/* The top bits of those of the WB_CELL_FEW bytes that are zero; exact up to the lowest of them (Warren, Hacker's Delight, 6-1). */
static inline uint64_t wb_cell_zero(uint64_t bytes) {
  return (bytes - UINT64_C(0x010101010101)) & ~bytes & UINT64_C(0x808080808080);
}

static inline uint64_t wb_cell_find(const wb_cell *cell, uint64_t tick) {
  return wb_cell_zero(cell->ticks ^ (tick + 1) * UINT64_C(0x010101010101));
}

/* wb_window_at returns where the size of a key that the window has lies. */
static inline uint64_t *wb_window_at(const wb_window *window, uint64_t key) {
  wb_cell *cell = wb_window_cell(window, key);
  if (wb_cell_has_block(cell)) return &window->block[cell->size[0]][key & 63];
  return &cell->size[__builtin_ctzll(wb_cell_find(cell, key & 63)) >> 3];
}

/* wb_window_put sets the size of a key that the window covers; 0 removes it, or does nothing if it is not there. Whether a change adds,
 * changes or removes cannot be predicted, so no branch depends on it. */
static inline void wb_window_put(wb_window *window, uint64_t key, uint64_t size) {
  uint64_t index = (key & window->mask) >> 6, tick = key & 63, has = size != 0;
  wb_cell *cell = &window->cell[index];
  uint64_t before = cell->occupied, after = (before & ~(UINT64_C(1) << tick)) | has << tick, ticks = cell->ticks;
  /* The byte of this tick, or a free one. */
  uint64_t place = wb_cell_zero(ticks ^ ((tick + 1) * UINT64_C(0x010101010101) & -(before >> tick & 1)));
  if (__builtin_expect(ticks >> 56 || !place, 0)) {
    wb_window_put_crowded(window, key, size);
    return;
  }
  unsigned shift = (unsigned)__builtin_ctzll(place) & 56;
  cell->occupied = after;
  cell->ticks = (ticks & ~(UINT64_C(255) << shift)) | (-has & (tick + 1)) << shift;
  cell->size[shift >> 3] = size;
  window->summary[index >> 6] ^= (uint64_t)((before == 0) ^ (after == 0)) << (index & 63);
}

#endif
