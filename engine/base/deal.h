/* deal.h - products dealt to the connections of a line, by weight.
 *
 * What:    the heaviest first, each to the connection that has least so far (R. L. Graham, Bounds on Multiprocessing Timing Anomalies, 1969). Each
 *          product goes to exactly one; no two connections differ by more than the heaviest product. Equal weights are dealt in turn.
 * Memory:  given by the caller. Threads: pure. Cost: O(n log n). */
#ifndef WB_BASE_DEAL_H
#define WB_BASE_DEAL_H

#include <stdint.h>

#include "engine/base/products.h"

/* wb_deal writes to part[i] which of parts (1..255) connections gets the product of weight[i] (sums up to 2^64 - 1; 0 counts as 1, for even
 * a product that is quiet is asked for). order: count words of scratch. count: 0..2^32 - 1. */
void wb_deal(const uint64_t *weight, uint32_t count, uint32_t parts, uint32_t *order, uint8_t *part);

/* wb_deal_count writes how many products each of parts has that are not removed. wb_deal_next returns the one with the fewest, for one that comes later. */
void wb_deal_count(const wb_products *products, uint32_t parts, uint32_t *count);
uint8_t wb_deal_next(const wb_products *products, uint32_t parts);

#endif
