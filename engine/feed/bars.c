#include "engine/feed/bars.h"

#include <string.h>

#include "engine/base/error.h"

int wb_bars_init(wb_bars *bars, wb_bar_kind kind, uint64_t step) {
  if (kind > WB_BAR_VOLUME || step == 0 || (kind == WB_BAR_TIME && step > INT64_MAX)) return WB_E_INVALID;
  memset(bars, 0, sizeof *bars);
  bars->kind = (uint8_t)kind;
  bars->step = step;
  return 0;
}

static void close_bar(wb_bars *bars, wb_bar *closed) {
  *closed = bars->bar;
  bars->bar.flow.count = 0;
  bars->closed++;
}

static void begin_bar(wb_bars *bars, const wb_trade *trade) {
  bars->bar = (wb_bar){.start_ns = trade->time_ns,
                       .end_ns = trade->time_ns,
                       .open = trade->price,
                       .high = trade->price,
                       .low = trade->price,
                       .first_trade_id = trade->trade_id};
  if (bars->kind != WB_BAR_TIME || trade->time_ns == WB_TIME_NONE) return;
  int64_t step = (int64_t)bars->step, into = trade->time_ns % step;
  if (into < 0) into += step;
  if (__builtin_sub_overflow(trade->time_ns, into, &bars->bar.start_ns)) bars->bar.start_ns = INT64_MIN;
  if (__builtin_add_overflow(trade->time_ns, step - into, &bars->bar.end_ns)) bars->bar.end_ns = INT64_MAX;
}

bool wb_bars_until(wb_bars *bars, int64_t time_ns, wb_bar *closed) {
  if (bars->kind != WB_BAR_TIME || bars->bar.flow.count == 0 || time_ns < bars->bar.end_ns) return false;
  close_bar(bars, closed);
  return true;
}

bool wb_bars_take(wb_bars *bars, const wb_trade *trade, wb_bar *closed) {
  bool over = wb_bars_until(bars, trade->time_ns, closed);
  wb_bar *bar = &bars->bar;
  if (bar->flow.count == 0) begin_bar(bars, trade);
  else bars->late += bars->kind == WB_BAR_TIME && trade->time_ns < bar->start_ns;
  if (trade->price > bar->high) bar->high = trade->price;
  if (trade->price < bar->low) bar->low = trade->price;
  bar->close = trade->price;
  bar->last_trade_id = trade->trade_id;
  wb_flow_add(&bar->flow, trade);
  if (bars->kind == WB_BAR_TIME) return over;
  bar->end_ns = trade->time_ns;
  if (bars->kind == WB_BAR_TICKS ? bar->flow.count < bars->step : bar->flow.volume < bars->step) return false;
  close_bar(bars, closed);
  return true;
}

int wb_bar_scale(wb_bar *bar, uint64_t price_factor, uint64_t size_factor) {
  if (bar->high > WB_QUANTITY_MAX / price_factor || wb_flow_scale(&bar->flow, price_factor, size_factor) != 0)
    return WB_E_RANGE;
  bar->open *= price_factor;
  bar->high *= price_factor;
  bar->low *= price_factor;
  bar->close *= price_factor;
  return 0;
}

int wb_bars_scale(wb_bars *bars, uint64_t price_factor, uint64_t size_factor) {
  wb_bars scaled = *bars;
  if (bars->kind == WB_BAR_VOLUME && __builtin_mul_overflow(bars->step, size_factor, &scaled.step)) return WB_E_RANGE;
  if (bars->bar.flow.count && wb_bar_scale(&scaled.bar, price_factor, size_factor) != 0) return WB_E_RANGE;
  *bars = scaled;
  return 0;
}
