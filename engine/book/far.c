#include "engine/book/far.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/book/window.h"

/* Number of keys below key (bound 0), or not above it (bound 1). */
static uint32_t rank(const uint64_t *keys, uint32_t count, uint64_t key, unsigned bound) {
  const uint64_t *low = keys;
  while (count > 1) {
    uint32_t half = count / 2;
    low += (low[half - 1] < key + bound) ? half : 0;
    count -= half;
  }
  return (uint32_t)(low - keys) + (count == 1 && *low < key + bound);
}

/* The block a key is in, or belongs in. There is one at least. */
static uint32_t block_of(const wb_far *far, uint64_t key) {
  uint32_t index = rank(far->first, far->block_count, key, 1);
  return index ? index - 1 : 0;
}

static wb_far_block *block_at(const wb_far *far, uint32_t index) { return &far->pool[far->entry[index].block]; }

static void directory_open(wb_far *far, uint32_t index) {
  uint32_t block;
  if (far->block_free) {
    block = far->block_free - 1;
    far->block_free = (uint32_t)far->pool[block].key[0];
  } else {
    block = far->block_fresh++;
  }
  memmove(&far->first[index + 1], &far->first[index], (far->block_count - index) * sizeof *far->first);
  memmove(&far->entry[index + 1], &far->entry[index], (far->block_count - index) * sizeof *far->entry);
  far->entry[index] = (wb_far_entry){block, 0};
  far->block_count++;
}

static void directory_close(wb_far *far, uint32_t index) {
  uint32_t block = far->entry[index].block;
  far->pool[block].key[0] = far->block_free;
  far->block_free = block + 1;
  far->block_count--;
  memmove(&far->first[index], &far->first[index + 1], (far->block_count - index) * sizeof *far->first);
  memmove(&far->entry[index], &far->entry[index + 1], (far->block_count - index) * sizeof *far->entry);
}

static void copy(wb_far_block *to, uint32_t at, const wb_far_block *from, uint32_t first, uint32_t count) {
  memcpy(&to->key[at], &from->key[first], count * sizeof *to->key);
  memcpy(&to->size[at], &from->size[first], count * sizeof *to->size);
}

static void split(wb_far *far, uint32_t index) {
  enum { KEEP = WB_FAR_BLOCK / 2 };
  directory_open(far, index + 1);
  copy(block_at(far, index + 1), 0, block_at(far, index), KEEP, WB_FAR_BLOCK - KEEP);
  far->first[index + 1] = block_at(far, index + 1)->key[0];
  far->entry[index].level_count = KEEP;
  far->entry[index + 1].level_count = WB_FAR_BLOCK - KEEP;
}

static bool merge(wb_far *far, uint32_t index) {
  wb_far_entry *left = &far->entry[index], *right = left + 1;
  if (index + 1 >= far->block_count || left->level_count + right->level_count > WB_FAR_BLOCK / 2) return false;
  copy(block_at(far, index), left->level_count, block_at(far, index + 1), 0, right->level_count);
  left->level_count += right->level_count;
  directory_close(far, index + 1);
  return true;
}

uint32_t wb_far_blocks_max(uint32_t level_count_max) { return 2 * (level_count_max / (WB_FAR_BLOCK / 2 + 1)) + 2; }

void wb_far_clear(wb_far *far) {
  far->best = WB_KEY_NONE;
  far->level_count = far->block_count = far->block_fresh = far->block_free = 0;
}

wb_far_position wb_far_seek(const wb_far *far, uint64_t key) {
  if (!far->block_count) return (wb_far_position){0, 0};
  uint32_t index = block_of(far, key), count = far->entry[index].level_count;
  uint32_t slot = rank(block_at(far, index)->key, count, key, 0);
  return slot == count ? (wb_far_position){index + 1, 0} : (wb_far_position){index, slot};
}

uint64_t *wb_far_find(const wb_far *far, uint64_t key) {
  uint64_t found, *size;
  return wb_far_get(far, wb_far_seek(far, key), &found, &size) && found == key ? size : NULL;
}

void wb_far_insert(wb_far *far, uint64_t key, uint64_t size) {
  if (!far->block_count) directory_open(far, 0);
  uint32_t index = block_of(far, key);
  if (far->entry[index].level_count == WB_FAR_BLOCK) {
    split(far, index);
    index += key >= far->first[index + 1];
  }
  wb_far_block *block = block_at(far, index);
  uint32_t count = far->entry[index].level_count, slot = rank(block->key, count, key, 0);
  memmove(&block->key[slot + 1], &block->key[slot], (count - slot) * sizeof *block->key);
  memmove(&block->size[slot + 1], &block->size[slot], (count - slot) * sizeof *block->size);
  block->key[slot] = key;
  block->size[slot] = size;
  far->entry[index].level_count++;
  far->first[index] = block->key[0];
  far->best = far->first[0];
  far->level_count++;
}

bool wb_far_remove(wb_far *far, uint64_t key) {
  wb_far_position at = wb_far_seek(far, key);
  if (at.block >= far->block_count) return false;
  wb_far_block *block = block_at(far, at.block);
  if (block->key[at.slot] != key) return false;
  uint32_t count = --far->entry[at.block].level_count;
  memmove(&block->key[at.slot], &block->key[at.slot + 1], (count - at.slot) * sizeof *block->key);
  memmove(&block->size[at.slot], &block->size[at.slot + 1], (count - at.slot) * sizeof *block->size);
  far->level_count--;
  if (count) {
    far->first[at.block] = block->key[0];
    if (!merge(far, at.block) && at.block) merge(far, at.block - 1);
  } else {
    directory_close(far, at.block);
  }
  far->best = far->block_count ? far->first[0] : WB_KEY_NONE;
  return true;
}

void wb_far_append(wb_far *far, const wb_tick *given, uint64_t flip, const wb_level *level, uint32_t count) {
  const wb_tick tick = *given;
  far->level_count += count;
  while (count) {
    uint32_t last = far->block_count - 1;
    if (!far->block_count || far->entry[last].level_count >= WB_FAR_FILL) {
      last = far->block_count;
      directory_open(far, last);
      far->first[last] = wb_tick_of(&tick, level->price) ^ flip;
      far->best = far->first[0];
    }
    wb_far_block *block = block_at(far, last);
    uint32_t at = far->entry[last].level_count, run = WB_FAR_FILL - at < count ? WB_FAR_FILL - at : count;
    for (uint32_t i = 0; i < run; i++) {
      block->key[at + i] = wb_tick_of(&tick, level[i].price) ^ flip;
      block->size[at + i] = level[i].size;
    }
    far->entry[last].level_count += run;
    level += run;
    count -= run;
  }
}

uint64_t wb_far_last(const wb_far *far) {
  if (!far->block_count) return WB_KEY_NONE;
  return block_at(far, far->block_count - 1)->key[far->entry[far->block_count - 1].level_count - 1];
}

const char *wb_far_check(const wb_far *far) {
  uint32_t levels = 0, freed = 0;
  uint64_t last = 0;
  for (uint32_t i = 0; i < far->block_count; i++) {
    const wb_far_block *block = block_at(far, i);
    uint32_t count = far->entry[i].level_count;
    if (far->entry[i].block >= far->block_fresh) return "blocks are of the pool";
    if (count < 1 || count > WB_FAR_BLOCK) return "blocks are neither empty nor overfull";
    if (i && count + far->entry[i - 1].level_count <= WB_FAR_BLOCK / 2) return "small neighbours are merged";
    if (far->first[i] != block->key[0]) return "the directory knows the first keys";
    for (uint32_t j = 0; j < count; j++) {
      if ((i || j) && block->key[j] <= last) return "overflow keys are in order";
      last = block->key[j];
    }
    levels += count;
  }
  for (uint32_t next = far->block_free; next && freed <= far->block_fresh; next = (uint32_t)far->pool[next - 1].key[0]) freed++;
  if (freed + far->block_count != far->block_fresh) return "every block is either in use or free";
  if (levels != far->level_count) return "overflow levels are counted";
  if (far->best != (levels ? far->first[0] : WB_KEY_NONE)) return "the best of the overflow is its first key";
  return NULL;
}
