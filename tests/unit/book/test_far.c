#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/book/far.h"
#include "engine/book/window.h"

static uint64_t state;
static uint64_t next_random(void) {
  uint64_t mix = state += UINT64_C(0x9e3779b97f4a7c15);
  mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  mix = (mix ^ mix >> 27) * UINT64_C(0x94d049bb133111eb);
  return mix ^ mix >> 31;
}

/* The pool has exactly the blocks that wb_far_blocks_max promises to suffice; the sanitizer sees one more. */
static wb_far far_open(uint32_t level_count_max) {
  uint32_t blocks = wb_far_blocks_max(level_count_max);
  wb_far far = {.first = calloc(blocks, sizeof *far.first),
                .entry = calloc(blocks, sizeof *far.entry),
                .pool = calloc(blocks, sizeof *far.pool)};
  wb_far_clear(&far);
  return far;
}

static void far_close(wb_far *far) {
  free(far->first);
  free(far->entry);
  free(far->pool);
}

static void expect_sound(const wb_far *far) {
  const char *broken = wb_far_check(far);
  cr_assert_null(broken, "broken: %s", broken);
}

Test(far, an_empty_store_has_no_level) {
  wb_far far = far_open(1);
  uint64_t key, *size;
  cr_assert_eq(far.best, WB_KEY_NONE);
  cr_assert_null(wb_far_find(&far, 0));
  cr_assert_not(wb_far_remove(&far, 5));
  cr_assert_not(wb_far_get(&far, wb_far_seek(&far, 0), &key, &size));
  expect_sound(&far);
  far_close(&far);
}

Test(far, the_pool_suffices_when_thinning_leaves_as_few_levels_a_block_as_it_may) {
  enum { LEVELS = 20000 };
  wb_far far = far_open(LEVELS);
  uint64_t stride = 1000, count = 0;
  for (; count < LEVELS; count++) wb_far_insert(&far, count * stride, 1);
  for (unsigned round = 0; round < 50; round++) {
    for (uint64_t i = 0; i < LEVELS * stride; i += stride)
      if (i / stride % 64 && wb_far_remove(&far, i)) count--;
    expect_sound(&far);
    uint64_t at = (round * 7919 % LEVELS) * stride + 1 + round;
    for (uint64_t k = 0; count < LEVELS; k++) {
      uint64_t key = at + (k % 2 ? k / 2 * stride : LEVELS * stride + k * 3 + round * 1000003);
      if (wb_far_find(&far, key)) continue;
      wb_far_insert(&far, key, 1);
      count++;
    }
    expect_sound(&far);
    cr_assert_leq(far.block_fresh, wb_far_blocks_max(LEVELS));
    wb_far_position from = wb_far_seek(&far, LEVELS * stride);
    uint64_t key, *size;
    while (wb_far_get(&far, from, &key, &size)) {
      cr_assert(wb_far_remove(&far, key));
      from = wb_far_seek(&far, LEVELS * stride);
      count--;
    }
    for (uint64_t i = 0; i < LEVELS * stride && count < LEVELS; i += stride)
      if (!wb_far_find(&far, i)) {
        wb_far_insert(&far, i, 1);
        count++;
      }
  }
  far_close(&far);
}

Test(far, bulk_building_equals_single_inserts) {
  enum { LEVELS = 5000 };
  wb_far bulk = far_open(LEVELS), single = far_open(LEVELS);
  wb_tick one;
  wb_tick_set(&one, 0);
  static wb_level level[LEVELS];
  for (uint64_t i = 0; i < LEVELS; i++) level[i] = (wb_level){i * i, i + 1};
  for (uint32_t i = 0, run; i < LEVELS; i += run) {
    run = 1 + i % 200 < LEVELS - i ? 1 + i % 200 : LEVELS - i;
    wb_far_append(&bulk, &one, 0, level + i, run);
  }
  for (uint64_t i = LEVELS; i-- > 0;) wb_far_insert(&single, i * i, i + 1);
  expect_sound(&bulk);
  expect_sound(&single);
  wb_far_position a = {0, 0}, b = {0, 0};
  for (uint64_t i = 0; i < LEVELS; i++) {
    uint64_t key[2], *size[2];
    cr_assert(wb_far_get(&bulk, a, &key[0], &size[0]) && wb_far_get(&single, b, &key[1], &size[1]));
    cr_assert(key[0] == i * i && key[1] == i * i && *size[0] == i + 1 && *size[1] == i + 1);
    wb_far_advance(&bulk, &a);
    wb_far_advance(&single, &b);
  }
  far_close(&bulk);
  far_close(&single);
}

Test(far, random_changes_agree_with_a_plain_table) {
  enum { KEYS = 3000, OPERATIONS = 200000 };
  state = 20260807;
  cr_log_info("seed %lu", state);
  static uint64_t table[KEYS];
  memset(table, 0, sizeof table);
  wb_far far = far_open(KEYS);
  uint32_t count = 0;
  for (uint32_t i = 0; i < OPERATIONS; i++) {
    uint64_t random = next_random(), key = random % KEYS;
    bool thin = i / 20000 % 2; /* turns of growing and of thinning out */
    if ((random >> 40) % 8 < (thin ? 6u : 2u)) {
      cr_assert_eq(wb_far_remove(&far, key), table[key] != 0);
      count -= table[key] != 0;
      table[key] = 0;
    } else {
      uint64_t *known = wb_far_find(&far, key);
      cr_assert_eq(known != NULL, table[key] != 0);
      if (known) {
        cr_assert_eq(*known, table[key]);
        *known = i + 1;
      } else {
        wb_far_insert(&far, key, i + 1);
        count++;
      }
      table[key] = i + 1;
    }
    cr_assert_eq(far.level_count, count);
    uint64_t from = next_random() % KEYS, key_found, *size;
    uint64_t expected = from;
    while (expected < KEYS && !table[expected]) expected++;
    bool found = wb_far_get(&far, wb_far_seek(&far, from), &key_found, &size);
    cr_assert_eq(found, expected < KEYS);
    if (found) cr_assert(key_found == expected && *size == table[expected]);
    if (i % 1024 == 0) expect_sound(&far);
  }
  far_close(&far);
}
