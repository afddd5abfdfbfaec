/* window.h - the hot part of one side of a book: all levels whose key lies in [base, base + ticks).
 *
 * What:    a key is a tick number turned so that a smaller key is a better price on either side. A cell, one cache line, describes 64
 *          neighbouring ticks: which of them are occupied, and, while they are few, their sizes; so a change in a book whose levels
 *          lie apart touches one line. Where more than WB_CELL_FEW of the 64 are occupied, their sizes lie in a block, an array by
 *          tick. 64 neighbouring cells are a span; one bit a cell tells its empty ones, so the next level is a few bit scans away.
 * Shape:   the place of a key is key & mask, so moving base moves no memory; only levels that leave or enter the range do.
 * Memory:  the cells of a span come out of the pool with its first level, and stay; a block comes with a crowded cell, and
 *          goes back when its cell has thinned out. All zero is empty.
 * Threads: one thread. */
#ifndef WB_BOOK_WINDOW_H
#define WB_BOOK_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/book/pool.h"

/* No level: larger than every key. */
#define WB_KEY_NONE UINT64_MAX

#define WB_WINDOW_TICKS_MIN (UINT32_C(1) << 10)
#define WB_WINDOW_TICKS_MAX (UINT32_C(1) << 19)

/* A cell takes a block for its seventh level, and gives it back with the fourth last. */
enum { WB_CELL_FEW = 6, WB_CELL_THIN = 3, WB_SPAN_CELLS = 64, WB_SPAN_TICKS = 64 * WB_SPAN_CELLS };

/* Byte i of ticks, i < WB_CELL_FEW, is 1 + the tick (0..63) whose size is size[i], or 0. Byte 7 is 1 where the sizes lie in a block instead,
 * whose address is size[0]. */
typedef struct wb_cell {
  uint64_t occupied;
  uint64_t ticks;
  uint64_t size[WB_CELL_FEW];
} wb_cell;
_Static_assert(sizeof(wb_cell) == 64, "a cell is a cache line");

typedef struct wb_span {
  uint64_t occupied; /* a bit a cell: it is not empty */
  wb_cell *cell;     /* WB_SPAN_CELLS of them, or as many as the window has; NULL before the first level */
} wb_span;

typedef struct wb_window {
  uint64_t base; /* a multiple of 64 */
  wb_span *span;
  wb_pool *pool;
  uint32_t mask;        /* ticks - 1 */
  uint32_t block_count; /* in use */
} wb_window;

/* wb_window_pool_bytes returns how much of a pool a window of so many ticks can take while it holds no more than so many levels. */
size_t wb_window_pool_bytes(uint32_t ticks, uint32_t levels);

/* wb_window_init makes an empty window, of zeroed memory. */
void wb_window_init(wb_window *window, uint32_t ticks, wb_pool *pool);

/* wb_window_next returns the smallest occupied key that is >= key, or WB_KEY_NONE. A few scans, at worst one a 4096 ticks. */
uint64_t wb_window_next(const wb_window *window, uint64_t key);

/* wb_window_last returns the largest occupied key, or WB_KEY_NONE. As wb_window_next. */
uint64_t wb_window_last(const wb_window *window);

/* wb_window_clear removes every level. O(cells / 64 + levels). */
void wb_window_clear(wb_window *window);

/* wb_window_check returns NULL, or the first rule that is broken. Reads all of the window. */
const char *wb_window_check(const wb_window *window);

/* What wb_window_put leaves to these: spans that have no cells yet, cells that need a block; cells that do not any more. */
bool wb_window_put_other(wb_window *window, uint64_t key, uint64_t size);
void wb_window_thin(wb_window *window, wb_cell *cell);

static inline bool wb_window_covers(const wb_window *window, uint64_t key) { return key - window->base <= window->mask; }

/* wb_window_cell returns a key's cell, or NULL if its span has none. */
static inline wb_cell *wb_window_cell(const wb_window *window, uint64_t key) {
  uint64_t index = (key & window->mask) >> 6;
  wb_cell *cell = window->span[index / WB_SPAN_CELLS].cell;
  return cell ? &cell[index % WB_SPAN_CELLS] : NULL;
}

/* wb_window_place returns a key's cell and tick in one: the address of the cell, a multiple of 64, and the tick, 0..63; otherwise, if its
 * span has no cells. */
static inline uintptr_t wb_window_place(const wb_window *window, uint64_t key, const void *otherwise) {
  uint64_t index = key & window->mask;
  const wb_cell *cells = window->span[index / WB_SPAN_TICKS].cell;
  return __builtin_expect(cells != NULL, 1) ? (uintptr_t)cells + index % WB_SPAN_TICKS : (uintptr_t)otherwise;
}

static inline bool wb_window_has(const wb_window *window, uint64_t key) {
  const wb_cell *cell = wb_window_cell(window, key);
  return cell && cell->occupied >> (key & 63) & 1;
}

static inline bool wb_cell_has_block(const wb_cell *cell) { return cell->ticks >> 56; }

static inline bool wb_cell_is_thin(const wb_cell *cell) {
  uint64_t occupied = cell->occupied;
  for (unsigned i = 0; i < WB_CELL_THIN; i++) occupied &= occupied - 1;
  return !occupied;
}

static inline uint64_t *wb_cell_block(const wb_cell *cell) { return (uint64_t *)(uintptr_t)cell->size[0]; }

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
  if (wb_cell_has_block(cell)) return &wb_cell_block(cell)[key & 63];
  return &cell->size[__builtin_ctzll(wb_cell_find(cell, key & 63)) >> 3];
}

/* wb_window_put sets the size of a key that the window covers; 0 removes it, or does nothing if it is not there. Returns whether it was there.
 * Whether a change adds, changes or removes cannot be predicted, so no branch depends on it. */
static inline bool wb_window_put(wb_window *window, uint64_t key, uint64_t size) {
  uint64_t index = (key & window->mask) >> 6, tick = key & 63, has = size != 0;
  wb_span *span = &window->span[index / WB_SPAN_CELLS];
  if (__builtin_expect(!span->cell, 0)) return wb_window_put_other(window, key, size);
  wb_cell *cell = &span->cell[index % WB_SPAN_CELLS];
  uint64_t before = cell->occupied, after = (before & ~(UINT64_C(1) << tick)) | has << tick, ticks = cell->ticks;
  uint64_t had = before >> tick & 1;
  if (ticks >> 56) {
    uint64_t *at = &wb_cell_block(cell)[tick];
    __builtin_prefetch(at, 1); /* now, and not when the store's turn comes */
    *at = size;
    cell->occupied = after;
    if (__builtin_expect(wb_cell_is_thin(cell), 0)) wb_window_thin(window, cell);
    return had;
  }
  /* The byte of this tick, or a free one. */
  uint64_t place = wb_cell_zero(ticks ^ ((tick + 1) * UINT64_C(0x010101010101) & -had));
  if (__builtin_expect(!place, 0)) return wb_window_put_other(window, key, size);
  unsigned shift = (unsigned)__builtin_ctzll(place) & 56;
  cell->occupied = after;
  cell->ticks = (ticks & ~(UINT64_C(255) << shift)) | (-has & (tick + 1)) << shift;
  cell->size[shift >> 3] = size;
  span->occupied ^= (uint64_t)((before == 0) ^ (after == 0)) << (index % WB_SPAN_CELLS);
  return had;
}

#endif
