/* slots.h - open addressing from a hash to numbered things: linear probing, removal by shifting back (Knuth, volume 3, 6.4, algorithm R).
 *
 * Shape:   a power of two of slots, at most half of them taken; the things lie elsewhere and are compared by the caller. A slot keeps the
 *          whole hash, so that neither a probe that misses nor a removal looks at the things themselves.
 * Memory:  given, 8 bytes a slot; all zero is empty.
 * Threads: one thread. */
#ifndef WB_BOOK_SLOTS_H
#define WB_BOOK_SLOTS_H

#include <stdint.h>

/* thing: 1 + its index, 0 where the slot is free. */
typedef struct wb_slot {
  uint32_t hash, thing;
} wb_slot;

typedef struct wb_slots {
  wb_slot *slot;
  uint32_t mask;
} wb_slots;

/* wb_slots_next returns the next thing with that hash, or 0. Begin with *at = hash; a thing returned lies at slot (*at - 1) & mask. */
static inline uint32_t wb_slots_next(const wb_slots *slots, uint32_t hash, uint32_t *at) {
  for (;;) {
    const wb_slot *slot = &slots->slot[(*at)++ & slots->mask];
    if (slot->thing == 0 || slot->hash == hash) return slot->thing;
  }
}

/* wb_slots_add: the thing is not there yet, and a slot is free. */
static inline void wb_slots_add(wb_slots *slots, uint32_t hash, uint32_t thing) {
  uint32_t at = hash & slots->mask;
  while (slots->slot[at].thing) at = (at + 1) & slots->mask;
  slots->slot[at] = (wb_slot){hash, thing};
}

/* wb_slots_remove: the thing is there. */
static inline void wb_slots_remove(wb_slots *slots, uint32_t hash, uint32_t thing) {
  uint32_t mask = slots->mask, hole = hash & mask;
  while (slots->slot[hole].thing != thing) hole = (hole + 1) & mask;
  for (uint32_t at = (hole + 1) & mask; slots->slot[at].thing; at = (at + 1) & mask)
    if (((at - slots->slot[at].hash) & mask) >= ((at - hole) & mask)) {
      slots->slot[hole] = slots->slot[at];
      hole = at;
    }
  slots->slot[hole] = (wb_slot){0, 0};
}

#endif
