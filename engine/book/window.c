#include "engine/book/window.h"

#include <string.h>

#include "engine/base/limits.h"

#define INDEX_NONE UINT64_MAX

static uint32_t span_count(uint32_t ticks) { return (ticks + WB_SPAN_TICKS - 1) / WB_SPAN_TICKS; }

/* A line more than the cells, or those of many books, whose prices are alike, compete for the same sets of the caches. */
static size_t span_bytes(uint32_t ticks) {
  return (ticks < WB_SPAN_TICKS ? ticks / 64 : WB_SPAN_CELLS) * sizeof(wb_cell) + WB_CACHE_LINE_BYTES;
}

static size_t spans_bytes(uint32_t ticks) {
  return (span_count(ticks) * sizeof(wb_span) + WB_CACHE_LINE_BYTES - 1) & ~(size_t)(WB_CACHE_LINE_BYTES - 1);
}

size_t wb_window_pool_bytes(uint32_t ticks, uint32_t levels) {
  size_t cells = ticks / 64, crowded = levels / (WB_CELL_THIN + 1) + 1;
  return spans_bytes(ticks) + span_count(ticks) * span_bytes(ticks) +
         (cells < crowded ? cells : crowded) * WB_POOL_BLOCK_WORDS * sizeof(uint64_t);
}

void wb_window_init(wb_window *window, uint32_t ticks, wb_pool *pool) {
  *window = (wb_window){.span = wb_pool_take(pool, spans_bytes(ticks)), .pool = pool, .mask = ticks - 1};
}

static uint64_t index_next(const wb_window *window, uint64_t index) {
  uint64_t at = index >> 12, last = window->mask >> 12;
  const wb_cell *cell = window->span[at].cell;
  uint64_t bits = cell ? cell[index >> 6 & 63].occupied >> (index & 63) : 0;
  if (bits) return index + (unsigned)__builtin_ctzll(bits);
  bits = window->span[at].occupied & ~UINT64_C(1) << (index >> 6 & 63);
  while (!bits) {
    if (at++ == last) return INDEX_NONE;
    bits = window->span[at].occupied;
  }
  uint64_t first = (unsigned)__builtin_ctzll(bits);
  return at << 12 | first << 6 | (unsigned)__builtin_ctzll(window->span[at].cell[first].occupied);
}

uint64_t wb_window_next(const wb_window *window, uint64_t key) {
  if (key < window->base) key = window->base;
  if (!wb_window_covers(window, key)) return WB_KEY_NONE;
  uint64_t index = index_next(window, key & window->mask);
  if (index == INDEX_NONE) index = index_next(window, 0);
  if (index == INDEX_NONE) return WB_KEY_NONE;
  uint64_t next = window->base + ((index - window->base) & window->mask);
  return next >= key ? next : WB_KEY_NONE;
}

/* index is the last of its cell. */
static uint64_t index_last(const wb_window *window, uint64_t index) {
  uint64_t at = index >> 12, bits = window->span[at].occupied & UINT64_MAX >> (63 - (index >> 6 & 63));
  while (!bits) {
    if (at-- == 0) return INDEX_NONE;
    bits = window->span[at].occupied;
  }
  uint64_t last = 63 - (unsigned)__builtin_clzll(bits);
  return at << 12 | last << 6 | (63 - (unsigned)__builtin_clzll(window->span[at].cell[last].occupied));
}

/* The base is a whole cell's, so the cell before it is the last one. */
uint64_t wb_window_last(const wb_window *window) {
  uint64_t index = index_last(window, (window->base - 1) & window->mask);
  if (index == INDEX_NONE) index = index_last(window, window->mask);
  return index == INDEX_NONE ? WB_KEY_NONE : window->base + ((index - window->base) & window->mask);
}

static void release(wb_window *window, wb_cell *cell) {
  window->block_count--;
  wb_pool_block_give(window->pool, wb_cell_block(cell));
  cell->ticks = 0;
}

static void crowd(wb_window *window, wb_cell *cell) {
  uint64_t *block = wb_pool_block_take(window->pool);
  window->block_count++;
  for (unsigned i = 0; i < WB_CELL_FEW; i++) {
    uint64_t tick = cell->ticks >> 8 * i & 255;
    if (tick) block[tick - 1] = cell->size[i];
  }
  cell->ticks = UINT64_C(1) << 56;
  cell->size[0] = (uintptr_t)block;
}

void wb_window_thin(wb_window *window, wb_cell *cell) {
  uint64_t size[64];
  memcpy(size, wb_cell_block(cell), sizeof size);
  release(window, cell);
  unsigned at = 0;
  for (uint64_t bits = cell->occupied; bits; bits &= bits - 1, at++) {
    unsigned tick = (unsigned)__builtin_ctzll(bits);
    cell->ticks |= (uint64_t)(tick + 1) << 8 * at;
    cell->size[at] = size[tick];
  }
}

bool wb_window_put_other(wb_window *window, uint64_t key, uint64_t size) {
  wb_cell *cell = wb_window_cell(window, key);
  if (!size) return false; /* a tick that is there has its place */
  if (cell) {
    crowd(window, cell);
  } else {
    window->span[(key & window->mask) / WB_SPAN_TICKS].cell = wb_pool_take(window->pool, span_bytes(window->mask + 1));
  }
  return wb_window_put(window, key, size);
}

void wb_window_clear(wb_window *window) {
  for (wb_span *span = window->span; span <= &window->span[window->mask >> 12]; span++) {
    for (uint64_t bits = span->occupied; bits; bits &= bits - 1) {
      wb_cell *cell = &span->cell[__builtin_ctzll(bits)];
      if (wb_cell_has_block(cell)) release(window, cell);
      cell->occupied = cell->ticks = 0;
    }
    span->occupied = 0;
  }
}

const char *wb_window_check(const wb_window *window) {
  if (window->base & 63) return "the window starts at a whole cell";
  uint32_t blocks = 0;
  for (uint64_t index = 0; index <= window->mask; index += 64) {
    const wb_span *span = &window->span[index >> 12];
    const wb_cell *cell = wb_window_cell(window, index);
    if ((cell && cell->occupied) != (span->occupied >> (index >> 6 & 63) & 1)) return "the summary tells empty cells";
    if (!cell) continue;
    if (wb_cell_has_block(cell)) {
      if (wb_cell_is_thin(cell)) return "a block is for many levels";
      blocks++;
      continue;
    }
    uint64_t named = 0;
    for (unsigned i = 0; i < 8; i++) {
      uint64_t tick = cell->ticks >> 8 * i & 255;
      if (!tick) continue;
      if (i >= WB_CELL_FEW || tick > 64 || named >> (tick - 1) & 1) return "a cell names each of its levels once";
      named |= UINT64_C(1) << (tick - 1);
    }
    if (named != cell->occupied) return "a cell has the sizes of its levels";
  }
  return blocks == window->block_count ? NULL : "blocks are counted";
}
