/* analytics.h - best bid and ask, spread, max spread, mid and mid average of one product, in exact integers.
 *
 * Definitions (docs/architecture.md): spread = best ask - best bid, negative when crossed; max spread = largest |spread| since
 * start; mid = (best bid + best ask) / 2; mid average = mean of the last `mid_window` mids, one mid per applied message after
 * which both sides exist. Mids are kept doubled (bid + ask), so no half is ever rounded. Units: 10^-decimals of the product, as
 * in the book. Threads: one. */
#ifndef WB_BOOK_ANALYTICS_H
#define WB_BOOK_ANALYTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/limits.h"

/* What is said of a product. */
typedef struct wb_analytics {
  uint64_t best_bid, best_bid_size, best_ask, best_ask_size; /* 0, 0 where a side is empty */
  unsigned __int128 mid2_sum;                                /* of the mid_held last doubled mids */
  uint64_t max_spread;
  uint64_t mid_held; /* 0..window */
} wb_analytics;

/* What the average is reckoned from. */
typedef struct wb_mids {
  uint64_t *mid2; /* window of them */
  uint32_t window, next;
} wb_mids;

/* window: 1..WB_MID_WINDOW_MAX; mid2: room for as many, for as long as the mids are used. Analytics begin with all zero. */
void wb_mids_init(wb_mids *mids, uint64_t *mid2, uint32_t window);

/* wb_analytics_update takes the touch after a whole message; size 0 means that the side is empty. Returns whether both sides exist,
 * so that spread and mid have a value. O(1). */
static inline bool wb_analytics_update(wb_analytics *analytics, wb_mids *mids, uint64_t bid, uint64_t bid_size, uint64_t ask,
                                       uint64_t ask_size) {
  analytics->best_bid = bid;
  analytics->best_bid_size = bid_size;
  analytics->best_ask = ask;
  analytics->best_ask_size = ask_size;
  if (!bid_size || !ask_size) return false;
  uint64_t spread = ask >= bid ? ask - bid : bid - ask;
  if (spread > analytics->max_spread) analytics->max_spread = spread;
  uint64_t mid2 = bid + ask;
  uint64_t *slot = &mids->mid2[mids->next];
  if (analytics->mid_held == mids->window) analytics->mid2_sum -= *slot;
  else analytics->mid_held++;
  analytics->mid2_sum += mid2;
  *slot = mid2;
  uint32_t next = mids->next + 1;
  mids->next = next == mids->window ? 0 : next;
  return true;
}

/* wb_analytics_scale: the product's units became finer by these factors (powers of ten). Mids too large for the new units,
 * which no price of a book can make, restart the average. */
void wb_analytics_scale(wb_analytics *analytics, wb_mids *mids, uint64_t price_factor, uint64_t size_factor);

/* wb_analytics_restart forgets mids and max spread (the units became coarser, so the old ones may not be whole numbers any
 * more). */
void wb_analytics_restart(wb_analytics *analytics, wb_mids *mids);

static inline int64_t wb_analytics_spread(const wb_analytics *a) { return (int64_t)(a->best_ask - a->best_bid); }

#endif
