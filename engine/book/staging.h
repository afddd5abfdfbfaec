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

#include "engine/book/book.h"

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

/* wb_staging_add adds a level; there is room. */
static inline void wb_staging_add(wb_staging *staging, uint64_t price, uint64_t size) {
  uint64_t key = price ^ staging->flip;
  if (staging->level_count) {
    staging->best_first &= key >= staging->last;
    staging->worst_first &= key < staging->last;
    staging->done &= key > staging->last;
  }
  staging->done &= size != 0;
  staging->last = key;
  staging->level[staging->level_count++] = (wb_level){price, size};
}

/* wb_staging_sort leaves the levels sorted best first, each price once, none empty. O(n). */
void wb_staging_sort(wb_staging *staging, wb_level *scratch);

bool wb_staging_fits(const wb_staging *staging, uint64_t price_max, uint64_t size_max);
void wb_staging_scale(wb_staging *staging, uint64_t price_factor, uint64_t size_factor);

#endif
