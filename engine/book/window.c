#include "engine/book/window.h"

#define INDEX_NONE UINT64_MAX

static uint64_t index_next(const wb_window *window, uint64_t index) {
  uint64_t cell = index >> 6, bits = window->cell[cell].occupied >> (index & 63);
  if (bits) return index + (unsigned)__builtin_ctzll(bits);
  uint64_t cell_last = window->mask >> 6;
  if (cell++ == cell_last) return INDEX_NONE;
  uint64_t word = cell >> 6, word_last = cell_last >> 6;
  bits = window->summary[word] & UINT64_MAX << (cell & 63);
  while (!bits) {
    if (word++ == word_last) return INDEX_NONE;
    bits = window->summary[word];
  }
  cell = word << 6 | (unsigned)__builtin_ctzll(bits);
  return cell << 6 | (unsigned)__builtin_ctzll(window->cell[cell].occupied);
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

static uint64_t index_last(const wb_window *window, uint64_t index) {
  uint64_t cell = index >> 6, word = cell >> 6, bits = window->summary[word] & UINT64_MAX >> (63 - (cell & 63));
  while (!bits) {
    if (word-- == 0) return INDEX_NONE;
    bits = window->summary[word];
  }
  cell = word << 6 | (63 - (unsigned)__builtin_clzll(bits));
  return cell << 6 | (63 - (unsigned)__builtin_clzll(window->cell[cell].occupied));
}

/* The base is a whole cell's, so the cell before it is the last one. */
uint64_t wb_window_last(const wb_window *window) {
  uint64_t index = index_last(window, (window->base - 1) & window->mask);
  if (index == INDEX_NONE) index = index_last(window, window->mask);
  return index == INDEX_NONE ? WB_KEY_NONE : window->base + ((index - window->base) & window->mask);
}

static void release(wb_window *window, wb_cell *cell) {
  window->block_count--;
  wb_window_spare(window)[window->block_count] = (uint16_t)(cell->size[0] ^ window->block_count);
  cell->ticks = 0;
}

static void crowd(wb_window *window, wb_cell *cell) {
  uint32_t number = wb_window_spare(window)[window->block_count] ^ window->block_count;
  window->block_count++;
  for (unsigned i = 0; i < WB_CELL_FEW; i++) {
    uint64_t tick = cell->ticks >> 8 * i & 255;
    if (tick) window->block[number][tick - 1] = cell->size[i];
  }
  cell->ticks = UINT64_C(1) << 56;
  cell->size[0] = number;
}

static void thin(wb_window *window, wb_cell *cell) {
  const uint64_t *size = window->block[cell->size[0]];
  release(window, cell);
  unsigned at = 0;
  for (uint64_t bits = cell->occupied; bits; bits &= bits - 1, at++) {
    unsigned tick = (unsigned)__builtin_ctzll(bits);
    cell->ticks |= (uint64_t)(tick + 1) << 8 * at;
    cell->size[at] = size[tick];
  }
}

static bool is_thin(uint64_t occupied) {
  for (unsigned i = 0; i < WB_CELL_THIN; i++) occupied &= occupied - 1;
  return !occupied;
}

void wb_window_put_crowded(wb_window *window, uint64_t key, uint64_t size) {
  uint64_t bit = UINT64_C(1) << (key & 63);
  wb_cell *cell = wb_window_cell(window, key);
  if (!size && !(cell->occupied & bit)) return;
  if (!wb_cell_has_block(cell)) crowd(window, cell);
  window->block[cell->size[0]][key & 63] = size;
  cell->occupied = size ? cell->occupied | bit : cell->occupied & ~bit;
  if (!size && is_thin(cell->occupied)) thin(window, cell);
}

void wb_window_clear(wb_window *window) {
  for (uint64_t word = 0; word <= window->mask >> 12; word++) {
    for (uint64_t bits = window->summary[word]; bits; bits &= bits - 1) {
      wb_cell *cell = &window->cell[word << 6 | (unsigned)__builtin_ctzll(bits)];
      if (wb_cell_has_block(cell)) release(window, cell);
      cell->occupied = cell->ticks = 0;
    }
    window->summary[word] = 0;
  }
}

static uint64_t scramble(uint64_t number) {
  number = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
  return (number ^ number >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
}

const char *wb_window_check(const wb_window *window) {
  if (window->base & 63) return "the window starts at a whole cell";
  uint64_t blocks = 0;
  uint32_t used = 0;
  for (uint64_t index = 0; index <= window->mask; index += 64) {
    const wb_cell *cell = &window->cell[index >> 6];
    if ((cell->occupied != 0) != (window->summary[index >> 12] >> (index >> 6 & 63) & 1))
      return "the summary tells empty cells";
    if (wb_cell_has_block(cell)) {
      if (cell->size[0] >= window->block_limit) return "blocks are in range";
      if (is_thin(cell->occupied)) return "a block is for many levels";
      blocks += scramble(cell->size[0]);
      used++;
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
  if (used != window->block_count) return "blocks are counted";
  for (uint32_t i = used; i < window->block_limit; i++) blocks += scramble(wb_window_spare(window)[i] ^ i);
  for (uint32_t i = 0; i < window->block_limit; i++) blocks -= scramble(i);
  return blocks ? "every block is either in use once or spare once" : NULL;
}
