/* far.h - the cold part of one side of a book: every level outside the window, exact, in key order.
 *
 * What:    levels sorted by key in blocks of up to WB_FAR_BLOCK, and a directory of the blocks sorted by first key. One change
 * moves at most one block's entries and, once in dozens of inserts, the directory's tail.
 * Shape:   two neighbouring blocks always hold more than WB_FAR_BLOCK / 2 levels together (a removal that breaks this merges
 * them, a split leaves twice WB_FAR_BLOCK / 2), so n levels never need more than 2 * (n / (WB_FAR_BLOCK / 2 + 1)) + 2 blocks.
 * Memory:  given; blocks are taken from the front of the pool and reused last-freed first.
 * Threads: one thread. */
#ifndef WB_BOOK_FAR_H
#define WB_BOOK_FAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/book/book.h"
#include "engine/book/tick.h"

enum { WB_FAR_BLOCK = 128, WB_FAR_FILL = 96 };

typedef struct wb_far_block {
  uint64_t key[WB_FAR_BLOCK];
  uint64_t size[WB_FAR_BLOCK];
} wb_far_block;

typedef struct wb_far_entry {
  uint32_t block;
  uint32_t level_count;
} wb_far_entry;

typedef struct wb_far {
  uint64_t best; /* smallest key, or WB_KEY_NONE */
  uint32_t level_count, block_count;
  uint32_t block_fresh; /* blocks of the pool taken at least once */
  uint32_t block_free;  /* head of the freed ones, index + 1; key[0] of a freed block is the next */
  uint64_t *first;      /* [i]: first key of the i-th block in order */
  wb_far_entry *entry;  /* [i]: which block of the pool that is, and its levels */
  wb_far_block *pool;
} wb_far;

/* Where a level is; block == block_count is the end. Valid until the next put, remove, append or clear. */
typedef struct wb_far_position {
  uint32_t block, slot;
} wb_far_position;

/* wb_far_blocks_max returns the blocks (of pool, first and entry) that level_count_max levels can need. */
uint32_t wb_far_blocks_max(uint32_t level_count_max);

void wb_far_clear(wb_far *far);

/* wb_far_find returns where the size of a key lies, NULL if there is no such level. O(log n). */
uint64_t *wb_far_find(const wb_far *far, uint64_t key);

/* wb_far_insert adds a level that is not there. O(log n) and a bounded move. */
void wb_far_insert(wb_far *far, uint64_t key, uint64_t size);

/* wb_far_remove removes a level; false if it is not there. */
bool wb_far_remove(wb_far *far, uint64_t key);

/* wb_far_append adds levels behind all others, best first; the key of each is its price in ticks ^ flip. A nanosecond or two each. */
void wb_far_append(wb_far *far, const wb_tick *tick, uint64_t flip, const wb_level *level, uint32_t count);

/* wb_far_seek returns the first level whose key is >= key. */
wb_far_position wb_far_seek(const wb_far *far, uint64_t key);

/* wb_far_last returns the largest key, or WB_KEY_NONE. O(1). */
uint64_t wb_far_last(const wb_far *far);

/* wb_far_check returns NULL, or the first rule that is broken. */
const char *wb_far_check(const wb_far *far);

static inline bool wb_far_get(const wb_far *far, wb_far_position at, uint64_t *key, uint64_t **size) {
  if (at.block >= far->block_count) return false;
  wb_far_block *block = &far->pool[far->entry[at.block].block];
  *key = block->key[at.slot];
  *size = &block->size[at.slot];
  return true;
}

static inline void wb_far_advance(const wb_far *far, wb_far_position *at) {
  if (++at->slot == far->entry[at->block].level_count) *at = (wb_far_position){at->block + 1, 0};
}

#endif
