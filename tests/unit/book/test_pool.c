#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/book/pool.h"

enum { BLOCK_BYTES = WB_POOL_BLOCK_WORDS * sizeof(uint64_t) };

static uint8_t *zeroed(size_t bytes) {
  void *memory = aligned_alloc(64, bytes);
  return memset(memory, 0, bytes);
}

Test(pool, what_is_taken_lies_behind_what_was_taken_before_and_fills_the_pool) {
  uint8_t *memory = zeroed(64 + BLOCK_BYTES + 4096);
  wb_pool pool;
  wb_pool_init(&pool, memory, 64 + BLOCK_BYTES + 4096);
  cr_assert_eq(wb_pool_take(&pool, 64), memory);
  cr_assert_eq(wb_pool_block_take(&pool), (void *)(memory + 64));
  cr_assert_eq(wb_pool_take(&pool, 4096), memory + 64 + BLOCK_BYTES);
  cr_assert_eq(pool.next, pool.end);
  free(memory);
}

Test(pool, a_block_given_back_is_the_next_one_taken_and_room_for_ever_is_none_that_was_used) {
  enum { BLOCKS = 100 };
  size_t bytes = BLOCKS * BLOCK_BYTES + 64;
  uint8_t *memory = zeroed(bytes);
  uint64_t *block[BLOCKS];
  wb_pool pool;
  wb_pool_init(&pool, memory, bytes);
  for (unsigned i = 0; i < BLOCKS; i++) memset(block[i] = wb_pool_block_take(&pool), 255, BLOCK_BYTES);
  for (unsigned i = 0; i < BLOCKS; i++) wb_pool_block_give(&pool, block[i]);
  const uint8_t *room = wb_pool_take(&pool, 64);
  for (unsigned i = 0; i < 64; i++) cr_assert_eq(room[i], 0);
  for (unsigned i = BLOCKS; i-- > 0;) cr_assert_eq(wb_pool_block_take(&pool), block[i]);
  cr_assert_eq(pool.next, pool.end);
  free(memory);
}
