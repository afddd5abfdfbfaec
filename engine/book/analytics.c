#include "engine/book/analytics.h"

#include <string.h>

void wb_analytics_init(wb_analytics *analytics, uint64_t *mid2, uint32_t mid_window) {
  memset(analytics, 0, sizeof *analytics);
  analytics->mid2 = mid2;
  analytics->mid_window = mid_window;
}

void wb_analytics_restart(wb_analytics *analytics) {
  analytics->max_spread = 0;
  analytics->mid_held = 0;
  analytics->mid2_sum = 0;
  analytics->mid_next = 0;
}

void wb_analytics_scale(wb_analytics *analytics, uint64_t price_factor, uint64_t size_factor) {
  uint64_t held = analytics->mid_held;
  bool fits = analytics->max_spread <= WB_QUANTITY_MAX / price_factor;
  for (uint64_t i = 0; i < held; i++) fits &= analytics->mid2[i] <= 2 * (uint64_t)WB_QUANTITY_MAX / price_factor;
  if (!fits) {
    wb_analytics_restart(analytics);
  } else {
    for (uint64_t i = 0; i < held; i++) analytics->mid2[i] *= price_factor;
    analytics->mid2_sum *= price_factor;
    analytics->max_spread *= price_factor;
  }
  analytics->best_bid *= price_factor;
  analytics->best_ask *= price_factor;
  analytics->best_bid_size *= size_factor;
  analytics->best_ask_size *= size_factor;
}
