#include "engine/feed/trades.h"

#include "engine/base/error.h"
#include "engine/base/ratio.h"

void wb_flow_add(wb_flow *flow, const wb_trade *trade) {
  unsigned __int128 notional = (unsigned __int128)trade->price * trade->size;
  flow->volume += trade->size;
  if (trade->taker == WB_SIDE_BID) flow->bought += trade->size;
  if (__builtin_add_overflow(flow->notional, notional, &flow->notional)) {
    flow->notional = ~(unsigned __int128)0;
    flow->saturated = true;
  }
  flow->count++;
}

int wb_flow_vwap(const wb_flow *flow, unsigned decimals, __int128 *price) {
  if (flow->count == 0) return WB_E_STATE;
  if (flow->saturated) return WB_E_RANGE;
  return wb_ratio(flow->notional, flow->volume, decimals, price);
}

int wb_flow_scale(wb_flow *flow, uint64_t price_factor, uint64_t size_factor) {
  wb_flow scaled = *flow;
  bool over = __builtin_mul_overflow(flow->volume, size_factor, &scaled.volume);
  over |= __builtin_mul_overflow(flow->notional, price_factor, &scaled.notional);
  over |= __builtin_mul_overflow(scaled.notional, size_factor, &scaled.notional);
  if (over) return WB_E_RANGE;
  scaled.bought *= size_factor;
  *flow = scaled;
  return 0;
}

bool wb_trades_take(wb_trades *trades, const wb_trade *trade) {
  if (trades->flow.count) {
    uint64_t last = trades->last.trade_id;
    if (trade->trade_id <= last) {
      trades->old++;
      return false;
    }
    trades->gaps += trade->trade_id - last > 1;
    trades->missing += trade->trade_id - last - 1;
  }
  wb_flow_add(&trades->flow, trade);
  trades->last = *trade;
  return true;
}

uint64_t wb_trades_behind(const wb_trades *trades, uint64_t last_trade_id) {
  return trades->flow.count && last_trade_id > trades->last.trade_id ? last_trade_id - trades->last.trade_id : 0;
}

int wb_trades_scale(wb_trades *trades, uint64_t price_factor, uint64_t size_factor) {
  wb_trade last = trades->last;
  if (last.price > WB_QUANTITY_MAX / price_factor || last.size > WB_QUANTITY_MAX / size_factor) return WB_E_RANGE;
  if (wb_flow_scale(&trades->flow, price_factor, size_factor) != 0) return WB_E_RANGE;
  trades->last.price *= price_factor;
  trades->last.size *= size_factor;
  return 0;
}
