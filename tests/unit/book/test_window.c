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

static wb_window *window_open(uint32_t ticks, uint64_t base, uint32_t line_limit) {
  wb_window *window = calloc(1, sizeof *window);
  window->base = base;
  window->mask = ticks - 1;
  window->cell = calloc(ticks / 64, sizeof *window->cell);
  window->summary = calloc((ticks + 4095) / 4096, sizeof *window->summary);
  window->line = calloc(line_limit + 1, sizeof *window->line);
  window->spare = calloc(line_limit + 1, sizeof *window->spare);
  window->line_limit = line_limit;
  return window;
}

static void window_close(wb_window *window) {
  free(window->cell);
  free(window->summary);
  free(window->line);
  free(window->spare);
  free(window);
}

static void expect_sound(const wb_window *window) {
  const char *broken = wb_window_check(window);
  cr_assert_null(broken, "broken: %s", broken);
}

static const uint32_t sizes[] = {WB_WINDOW_TICKS_MIN, 4096, 8192, WB_WINDOW_TICKS_MAX};

Test(window, nothing_is_found_outside_its_range) {
  for (unsigned i = 0; i < 4; i++) {
    wb_window *window = window_open(sizes[i], 6400, sizes[i] / 8);
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
    wb_window *window = window_open(sizes[i], base, sizes[i] / 8);
    for (uint64_t k = 0; k < sizes[i]; k++) wb_window_put(window, base + (k * 40503 & (sizes[i] - 1)), k + 1);
    cr_assert_eq(window->line_count, sizes[i] / 8);
    wb_window_put(window, base + 77, 5);
    for (uint64_t k = 0; k < sizes[i]; k++) {
      uint64_t key = base + (k * 40503 & (sizes[i] - 1));
      cr_assert(wb_window_has(window, key) && *wb_window_at(window, key) == (key == base + 77 ? 5 : k + 1));
    }
    expect_sound(window);
    wb_window_clear(window);
    cr_assert_eq(window->line_count, 0);
    expect_sound(window);
    window_close(window);
  }
}

Test(window, removing_what_is_not_there_changes_nothing_even_without_a_spare_line) {
  wb_window *window = window_open(1024, 0, 1);
  wb_window_put(window, 500, 9);
  wb_window_put(window, 100, 0);
  wb_window_put(window, 501, 0);
  cr_assert_eq(wb_window_next(window, 0), 500);
  cr_assert_eq(*wb_window_at(window, 500), 9);
  cr_assert_eq(window->line_count, 1);
  expect_sound(window);
  window_close(window);
}

Test(window, random_changes_agree_with_a_plain_array) {
  state = 42;
  cr_log_info("seed %lu", state);
  for (unsigned s = 0; s < 4; s++) {
    uint32_t ticks = sizes[s];
    uint64_t *size = calloc(ticks, sizeof *size), base = 64 * (next_random() >> 16);
    wb_window *window = window_open(ticks, base, ticks / 8);
    for (uint32_t i = 0; i < 100000; i++) {
      uint64_t random = next_random(), span = i / 10000 % 2 ? ticks : 300, at = random % span * (ticks / span);
      uint64_t value = random >> 32 & 1 ? i + 1 : 0;
      wb_window_put(window, base + at, value);
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
