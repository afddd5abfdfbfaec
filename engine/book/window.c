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

void wb_window_clear(wb_window *window) {
  for (uint64_t word = 0; word <= window->mask >> 12; word++) {
    for (uint64_t bits = window->summary[word]; bits; bits &= bits - 1) {
      wb_cell *cell = &window->cell[word << 6 | (unsigned)__builtin_ctzll(bits)];
      for (unsigned group = 0; group < 8; group++) {
        if (!(cell->occupied >> 8 * group & 255)) continue;
        window->line_count--;
        window->spare[window->line_count] = (uint16_t)(cell->line[group] ^ window->line_count);
      }
      cell->occupied = 0;
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
  uint64_t lines = 0;
  uint32_t used = 0;
  for (uint64_t index = 0; index <= window->mask; index += 64) {
    const wb_cell *cell = &window->cell[index >> 6];
    if ((cell->occupied != 0) != (window->summary[index >> 12] >> (index >> 6 & 63) & 1))
      return "the summary tells empty cells";
    if (!cell->occupied) continue;
    for (unsigned group = 0; group < 8; group++) {
      if (!(cell->occupied >> 8 * group & 255)) continue;
      if (cell->line[group] >= window->line_limit) return "lines are in range";
      lines += scramble(cell->line[group]);
      used++;
    }
  }
  if (used != window->line_count) return "lines are counted";
  for (uint32_t i = used; i < window->line_limit; i++) lines += scramble(window->spare[i] ^ i);
  for (uint32_t i = 0; i < window->line_limit; i++) lines -= scramble(i);
  return lines ? "every line is either in use once or spare once" : NULL;
}
