#include "engine/base/deal.h"

#include <stdbool.h>
#include <string.h>

static uint64_t weight_of(const uint64_t *weight, uint32_t i) { return weight[i] ? weight[i] : 1; }

/* Whether i comes after j. */
static bool after(const uint64_t *weight, uint32_t i, uint32_t j) {
  uint64_t a = weight_of(weight, i), b = weight_of(weight, j);
  return a != b ? a < b : i > j;
}

static void sift(const uint64_t *weight, uint32_t *order, uint32_t at, uint32_t count) {
  for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && after(weight, order[child + 1], order[child])) child++;
    if (!after(weight, order[child], order[at])) return;
    uint32_t other = order[at];
    order[at] = order[child];
    order[child] = other;
  }
}

void wb_deal(const uint64_t *weight, uint32_t count, uint32_t parts, uint32_t *order, uint8_t *part) {
  uint64_t load[UINT8_MAX] = {0};
  for (uint32_t i = 0; i < count; i++) order[i] = i;
  for (uint32_t i = count / 2; i-- > 0;) sift(weight, order, i, count);
  for (uint32_t left = count; left-- > 1;) {
    uint32_t last = order[0];
    order[0] = order[left];
    order[left] = last;
    sift(weight, order, 0, left);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t least = 0;
    for (uint32_t j = 1; j < parts; j++)
      if (load[j] < load[least]) least = j;
    load[least] += weight_of(weight, order[i]);
    part[order[i]] = (uint8_t)least;
  }
}

void wb_deal_count(const wb_products *products, uint32_t parts, uint32_t *count) {
  memset(count, 0, parts * sizeof *count);
  for (uint32_t i = 0; i < products->count; i++)
    count[products->product[i].part % parts] += !wb_product_removed(&products->product[i]);
}

uint8_t wb_deal_next(const wb_products *products, uint32_t parts) {
  uint32_t count[UINT8_MAX], least = 0;
  wb_deal_count(products, parts, count);
  for (uint32_t i = 1; i < parts; i++)
    if (count[i] < count[least]) least = i;
  return (uint8_t)least;
}
