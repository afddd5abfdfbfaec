#include "engine/book/staging.h"

#include <string.h>

/* Least significant digit first, so equal prices keep their order; digits that all prices share cost nothing. */
static void radix_sort(wb_level *level, uint32_t count, uint64_t flip, wb_level *scratch) {
  uint32_t digits[8][256];
  memset(digits, 0, sizeof digits);
  for (uint32_t i = 0; i < count; i++)
    for (unsigned d = 0; d < 8; d++) digits[d][(level[i].price ^ flip) >> 8 * d & 255]++;
  wb_level *from = level, *to = scratch;
  for (unsigned d = 0; d < 8; d++) {
    if (digits[d][(level[0].price ^ flip) >> 8 * d & 255] == count) continue;
    uint32_t place[256], sum = 0;
    for (unsigned v = 0; v < 256; v++) {
      place[v] = sum;
      sum += digits[d][v];
    }
    for (uint32_t i = 0; i < count; i++) to[place[(from[i].price ^ flip) >> 8 * d & 255]++] = from[i];
    wb_level *swap = from;
    from = to;
    to = swap;
  }
  if (from != level) memcpy(level, from, count * sizeof *level);
}

void wb_staging_sort(wb_staging *staging, wb_level *scratch) {
  wb_level *level = staging->level;
  uint32_t count = staging->level_count, kept = 0;
  if (!count || staging->done) return;
  if (staging->worst_first) {
    for (uint32_t i = 0, j = count - 1; i < j; i++, j--) {
      wb_level swap = level[i];
      level[i] = level[j];
      level[j] = swap;
    }
  } else if (!staging->best_first) {
    radix_sort(level, count, staging->flip, scratch);
  }
  for (uint32_t i = 0; i < count; i++) {
    bool superseded = i + 1 < count && level[i + 1].price == level[i].price;
    if (!superseded && level[i].size) level[kept++] = level[i];
  }
  staging->level_count = kept;
  staging->best_first = staging->done = true;
  staging->worst_first = kept <= 1;
  if (kept) staging->last = level[kept - 1].price ^ staging->flip;
}

bool wb_staging_fits(const wb_staging *staging, uint64_t price_max, uint64_t size_max) {
  for (uint32_t i = 0; i < staging->level_count; i++)
    if (staging->level[i].price > price_max || staging->level[i].size > size_max) return false;
  return true;
}

void wb_staging_scale(wb_staging *staging, uint64_t price_factor, uint64_t size_factor) {
  for (uint32_t i = 0; i < staging->level_count; i++) {
    staging->level[i].price *= price_factor;
    staging->level[i].size *= size_factor;
  }
  staging->last = ((staging->last ^ staging->flip) * price_factor) ^ staging->flip;
}
