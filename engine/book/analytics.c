#include "engine/book/analytics.h"

void wb_mids_init(wb_mids *mids, uint64_t *mid2, uint32_t window) { *mids = (wb_mids){.mid2 = mid2, .window = window}; }

void wb_analytics_restart(wb_analytics *analytics, wb_mids *mids) {
  analytics->max_spread = 0;
  analytics->mid_held = 0;
  analytics->mid2_sum = 0;
  mids->next = 0;
}

void wb_analytics_scale(wb_analytics *analytics, wb_mids *mids, uint64_t price_factor, uint64_t size_factor) {
  uint64_t held = analytics->mid_held;
  bool fits = analytics->max_spread <= WB_QUANTITY_MAX / price_factor;
  for (uint64_t i = 0; i < held; i++) fits &= mids->mid2[i] <= 2 * (uint64_t)WB_QUANTITY_MAX / price_factor;
  if (!fits) {
    wb_analytics_restart(analytics, mids);
  } else {
    for (uint64_t i = 0; i < held; i++) mids->mid2[i] *= price_factor;
    analytics->mid2_sum *= price_factor;
    analytics->max_spread *= price_factor;
  }
  analytics->best_bid *= price_factor;
  analytics->best_ask *= price_factor;
  analytics->best_bid_size *= size_factor;
  analytics->best_ask_size *= size_factor;
}
