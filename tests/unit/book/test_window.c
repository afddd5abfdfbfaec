#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/book/window.h"

static uint64_t state;
static uint64_t next_random(void) {
  uint64_t mix = state += UINT64_C(0x9e3779b97f4a7c15);
  mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  mix = (mix ^ mix >> 27) * UINT64_C(0x94d049bb133111eb);
  return mix ^ mix >> 31;
}

/* A window with a pool of just the size that it may need. */
typedef struct rig {
  wb_window window; /* first */
  wb_pool pool;
  void *memory;
} rig;

static wb_window *window_open(uint32_t ticks, uint64_t base, uint32_t levels) {
  rig *r = calloc(1, sizeof *r);
  size_t bytes = wb_window_pool_bytes(ticks, levels);
  r->memory = aligned_alloc(64, bytes);
  memset(r->memory, 0, bytes);
  wb_pool_init(&r->pool, r->memory, bytes);
  wb_window_init(&r->window, ticks, &r->pool);
  r->window.base = base;
  return &r->window;
}

static void window_close(wb_window *window) {
  free(((rig *)window)->memory);
  free(window);
}

static void expect_sound(const wb_window *window) {
  const char *broken = wb_window_check(window);
  cr_assert_null(broken, "broken: %s", broken);
}

static const uint32_t sizes[] = {WB_WINDOW_TICKS_MIN, 4096, 8192, WB_WINDOW_TICKS_MAX};

Test(window, nothing_is_found_outside_its_range) {
  for (unsigned i = 0; i < 4; i++) {
    wb_window *window = window_open(sizes[i], 6400, sizes[i]);
    wb_window_put(window, 6400, 1);
    wb_window_put(window, 6400 + sizes[i] - 1, 2);
    cr_assert(wb_window_covers(window, 6400) && wb_window_covers(window, 6400 + sizes[i] - 1));
    cr_assert_not(wb_window_covers(window, 6399) || wb_window_covers(window, 6400 + sizes[i]));
    cr_assert_eq(wb_window_next(window, 0), 6400);
    cr_assert_eq(wb_window_next(window, 6401), 6400 + sizes[i] - 1);
    cr_assert_eq(wb_window_next(window, 6400 + sizes[i]), WB_KEY_NONE);
    cr_assert_eq(wb_window_next(window, WB_KEY_NONE), WB_KEY_NONE);
    expect_sound(window);
    window_close(window);
  }
}

Test(window, every_tick_can_be_occupied_at_once) {
  for (unsigned i = 0; i < 4; i++) {
    uint64_t base = UINT64_C(0x3fffffff00000040);
    wb_window *window = window_open(sizes[i], base, sizes[i]);
    for (uint64_t k = 0; k < sizes[i]; k++) wb_window_put(window, base + (k * 40503 & (sizes[i] - 1)), k + 1);
    cr_assert_eq(window->block_count, sizes[i] / 64);
    wb_window_put(window, base + 77, 5);
    for (uint64_t k = 0; k < sizes[i]; k++) {
      uint64_t key = base + (k * 40503 & (sizes[i] - 1));
      cr_assert(wb_window_has(window, key) && *wb_window_at(window, key) == (key == base + 77 ? 5 : k + 1));
    }
    expect_sound(window);
    wb_window_clear(window);
    cr_assert_eq(window->block_count, 0);
    expect_sound(window);
    window_close(window);
  }
}

Test(window, removing_what_is_not_there_changes_nothing) {
  wb_window *window = window_open(1024, 0, 8);
  wb_window_put(window, 500, 9);
  wb_window_put(window, 100, 0);
  wb_window_put(window, 501, 0);
  cr_assert_eq(wb_window_next(window, 0), 500);
  cr_assert_eq(*wb_window_at(window, 500), 9);
  expect_sound(window);
  for (uint64_t k = 0; k < WB_CELL_FEW; k++) wb_window_put(window, 64 + k, k + 1);
  wb_window_put(window, 64 + 60, 0); /* a cell whose places are all taken */
  cr_assert_eq(window->block_count, 0);
  wb_window_put(window, 64 + 61, 3);
  wb_window_put(window, 64 + 60, 0); /* a cell with a block */
  cr_assert_eq(window->block_count, 1);
  for (uint64_t k = 0; k < WB_CELL_FEW; k++) cr_assert_eq(*wb_window_at(window, 64 + k), k + 1);
  cr_assert_eq(*wb_window_at(window, 64 + 61), 3);
  expect_sound(window);
  window_close(window);
}

Test(window, a_block_comes_with_the_seventh_level_of_a_cell_and_goes_with_the_fourth_last) {
  wb_window *window = window_open(1024, 64, 1024);
  for (uint64_t k = 0; k < 7; k++) {
    cr_assert_eq(window->block_count, 0);
    wb_window_put(window, 128 + 9 * k, k + 1);
  }
  for (uint64_t k = 0; k < 7; k++) {
    cr_assert_eq(window->block_count, k < 4);
    cr_assert_eq(*wb_window_at(window, 128 + 9 * k), k + 1);
    expect_sound(window);
    wb_window_put(window, 128 + 9 * k, 0);
    cr_assert_not(wb_window_has(window, 128 + 9 * k));
  }
  cr_assert_eq(wb_window_next(window, 0), WB_KEY_NONE);
  expect_sound(window);
  window_close(window);
}

Test(window, random_changes_agree_with_a_plain_array) {
  state = 42;
  cr_log_info("seed %lu", state);
  for (unsigned s = 0; s < 4; s++) {
    uint32_t ticks = sizes[s];
    uint64_t *size = calloc(ticks, sizeof *size), base = 64 * (next_random() >> 16);
    wb_window *window = window_open(ticks, base, ticks);
    for (uint32_t i = 0; i < 100000; i++) {
      uint64_t random = next_random(), span = i / 10000 % 2 ? ticks : 300, at = random % span * (ticks / span);
      uint64_t value = random >> 32 & 1 ? i + 1 : 0;
      cr_assert_eq(wb_window_put(window, base + at, value), size[at] != 0);
      size[at] = value;
      cr_assert_eq(wb_window_has(window, base + at), value != 0);
      if (value) cr_assert_eq(*wb_window_at(window, base + at), value);
      if (ticks <= 8192) {
        uint64_t from = next_random() % ticks, first = from;
        while (first < ticks && !size[first]) first++;
        cr_assert_eq(wb_window_next(window, base + from), first < ticks ? base + first : WB_KEY_NONE);
      }
      if (i % 4096 == 0) expect_sound(window);
    }
    window_close(window);
    free(size);
  }
}

Test(window, windows_of_one_pool_do_not_disturb_each_other) {
  enum { WINDOWS = 5, TICKS = 8192 };
  state = 7;
  cr_log_info("seed %lu", state);
  size_t bytes = WINDOWS * wb_window_pool_bytes(TICKS, TICKS);
  void *memory = aligned_alloc(64, bytes);
  memset(memory, 0, bytes);
  wb_pool pool;
  wb_pool_init(&pool, memory, bytes);
  wb_window window[WINDOWS];
  static uint64_t size[WINDOWS][TICKS];
  memset(size, 0, sizeof size);
  for (unsigned w = 0; w < WINDOWS; w++) wb_window_init(&window[w], TICKS, &pool);
  for (uint32_t i = 0; i < 300000; i++) {
    uint64_t random = next_random(), w = random % WINDOWS, at = random >> 8 & (i / 30000 % 2 ? 255 : TICKS - 1);
    uint64_t value = random >> 32 & 1 ? i + 1 : 0;
    wb_window_put(&window[w], at, value);
    size[w][at] = value;
    if (i % 50000 == 49999) {
      wb_window_clear(&window[w]);
      memset(size[w], 0, sizeof size[w]);
    }
    if (i % 10000 != 0) continue;
    for (w = 0; w < WINDOWS; w++) {
      expect_sound(&window[w]);
      for (at = 0; at < TICKS; at++) {
        cr_assert_eq(wb_window_has(&window[w], at), size[w][at] != 0);
        if (size[w][at]) cr_assert_eq(*wb_window_at(&window[w], at), size[w][at]);
      }
    }
  }
  free(memory);
}
