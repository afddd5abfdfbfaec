#include "engine/book/pool.h"

#include "engine/base/error.h"

void wb_pool_init(wb_pool *pool, void *memory, size_t bytes) {
  *pool = (wb_pool){.next = memory, .end = (uint8_t *)memory + bytes};
}

void *wb_pool_take(wb_pool *pool, size_t bytes) {
  WB_CHECK(bytes <= (size_t)(pool->end - pool->next));
  void *room = pool->next;
  pool->next += bytes;
  return room;
}

uint64_t *wb_pool_block_take(wb_pool *pool) {
  uint64_t *block = pool->spare;
  if (!block) return wb_pool_take(pool, WB_POOL_BLOCK_WORDS * sizeof *block);
  pool->spare = (uint64_t *)(uintptr_t)*block;
  return block;
}

void wb_pool_block_give(wb_pool *pool, uint64_t *block) {
  *block = (uintptr_t)pool->spare;
  pool->spare = block;
}
