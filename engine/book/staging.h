/* staging.h - one side of a snapshot while it comes in.
 *
 * What:    levels as they came, until they are more than the space or complete; then sorted best first, the later of equal
 * prices kept, and without the empty ones. Sorted input is found out while it comes in and never sorted again.
 * Memory:  given, level_max levels; sorting needs as much scratch.
 * Threads: one thread. */
#ifndef WB_BOOK_STAGING_H
#define WB_BOOK_STAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/book/book.h"
#include "engine/book/tick.h"

typedef struct wb_staging {
  wb_level *level;
  uint32_t level_count, level_max;
  uint64_t flip;                /* price ^ flip is smaller for better prices */
  uint64_t last;                /* price ^ flip of the last one */
  bool best_first, worst_first; /* so far; worst first strictly, as turning it round turns equal prices round */
  bool done;                    /* best first, each price once, none empty: nothing is left to sort */
} wb_staging;

static inline void wb_staging_begin(wb_staging *staging) {
  staging->level_count = 0;
  staging->best_first = staging->worst_first = staging->done = true;
}

/* wb_staging_add adds the first level, and those of its side that follow it, as long as there is room for them, which there is for one. Returns
 * how many. *tick gets finer with their prices. */
static inline uint32_t wb_staging_add(wb_staging *staging, const wb_delta *delta, uint32_t count, wb_tick *tick) {
  const wb_side side = (wb_side)delta->side;
  const uint64_t flip = staging->flip;
  uint64_t last = staging->last;
  bool falls = false, equals = false, rises = false, empty = false;
  if (staging->level_max - staging->level_count < count) count = staging->level_max - staging->level_count;
  wb_level *level = staging->level + staging->level_count;
  uint32_t i = 0;
  for (; i < count && delta[i].side == side; i++) {
    uint64_t price = delta[i].price, size = delta[i].size, key = price ^ flip;
    WB_DCHECK(price <= WB_QUANTITY_MAX);
    if (i || staging->level_count) {
      falls |= key < last;
      equals |= key == last;
      rises |= key > last;
    }
    empty |= !size;
    last = key;
    level[i] = (wb_level){price, size};
    if (__builtin_expect(!wb_tick_divides(tick, price), 0) && size) wb_tick_set(tick, wb_tick_exponent(price, tick->exponent));
  }
  staging->best_first &= !falls;
  staging->worst_first &= !(rises | equals);
  staging->done &= !(falls | equals | empty);
  staging->last = last;
  staging->level_count += i;
  return i;
}

/* wb_staging_sort leaves the levels sorted best first, each price once, none empty. O(n). */
void wb_staging_sort(wb_staging *staging, wb_level *scratch);

bool wb_staging_fits(const wb_staging *staging, uint64_t price_max, uint64_t size_max);
void wb_staging_scale(wb_staging *staging, uint64_t price_factor, uint64_t size_factor);

#endif
