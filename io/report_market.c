#include "io/report_market.h"

#include "engine/base/decimal.h"
#include "io/host.h"

/* As many decimals more as an average is rounded to: 10, or the price's own. */
enum { AVERAGE_DECIMALS = 10, RATIO_DECIMALS = 6 };

static json_t *decimal(__int128 value, unsigned decimals) {
  char text[WB_DECIMAL_TEXT_BYTES];
  wb_decimal_print(value, decimals, text);
  return json_string(text);
}

static json_t *time_of(int64_t utc_ns) {
  char text[WB_UTC_TEXT_BYTES];
  if (utc_ns == WB_TIME_NONE) return json_null();
  wb_utc_text(utc_ns, text);
  return json_string(text);
}

static void put(json_t *object, const char *name, uint64_t count) {
  json_object_set_new(object, name, json_integer((json_int_t)count));
}

static json_t *vwap(const wb_flow *flow, unsigned price_decimals) {
  unsigned more = price_decimals < AVERAGE_DECIMALS ? AVERAGE_DECIMALS - price_decimals : 0;
  __int128 price;
  return wb_flow_vwap(flow, more, &price) == 0 ? decimal(price, price_decimals + more) : json_null();
}

static void put_flow(json_t *object, const wb_flow *flow, const wb_tape *tape) {
  put(object, "count", flow->count);
  json_object_set_new(object, "volume", decimal((__int128)flow->volume, tape->size_decimals));
  json_object_set_new(object, "signed_flow", decimal(wb_flow_signed(flow), tape->size_decimals));
  json_object_set_new(object, "vwap", vwap(flow, tape->price_decimals));
}

/* ------------------------------------------------------------------------------------------------ trades */

static json_t *trades_of(const wb_tape *tape) {
  static const char *const sides[] = {[WB_SIDE_BID] = "buy", [WB_SIDE_ASK] = "sell"};
  const wb_trades *trades = &tape->trades;
  const wb_trade *last = &trades->last;
  json_t *object = json_object();
  json_object_set_new(object, "last_price", decimal(last->price, tape->price_decimals));
  json_object_set_new(object, "last_size", decimal(last->size, tape->size_decimals));
  json_object_set_new(object, "last_side", json_string(sides[last->taker]));
  json_object_set_new(object, "last_time", time_of(last->time_ns));
  json_object_set_new(object, "last_trade_id", tape->unnumbered ? json_null() : json_integer((json_int_t)last->trade_id));
  put_flow(object, &trades->flow, tape);
  put(object, "repeated", trades->old);
  put(object, "gaps", trades->gaps);
  put(object, "missing", trades->missing);
  put(object, "restarts", tape->restarts);
  return object;
}

static json_t *bar_of(const wb_bar *bar, const wb_tape *tape, bool closed) {
  json_t *object = json_object();
  const struct {
    const char *name;
    uint64_t price;
  } prices[] = {{"open", bar->open}, {"high", bar->high}, {"low", bar->low}, {"close", bar->close}};
  json_object_set_new(object, "start", time_of(bar->start_ns));
  json_object_set_new(object, "end", time_of(bar->end_ns));
  for (unsigned i = 0; i < sizeof prices / sizeof *prices; i++)
    json_object_set_new(object, prices[i].name, decimal(prices[i].price, tape->price_decimals));
  put_flow(object, &bar->flow, tape);
  if (!tape->unnumbered) {
    put(object, "first_trade_id", bar->first_trade_id);
    put(object, "last_trade_id", bar->last_trade_id);
  }
  json_object_set_new(object, "closed", json_boolean(closed));
  return object;
}

static json_t *series_of(const wb_tape *tape, uint32_t index) {
  static const char *const kinds[] = {[WB_BAR_TIME] = "time", [WB_BAR_TICKS] = "ticks", [WB_BAR_VOLUME] = "volume"};
  const wb_bars *bars = &tape->series[index].bars;
  const unsigned step_decimals[] = {[WB_BAR_TIME] = 9, [WB_BAR_TICKS] = 0, [WB_BAR_VOLUME] = tape->size_decimals};
  json_t *object = json_object(), *array = json_array();
  wb_bar kept[WB_TAPE_BARS_KEPT];
  uint32_t count = wb_tape_bars(tape, index, kept);
  for (uint32_t i = 0; i < count; i++) json_array_append_new(array, bar_of(&kept[i], tape, true));
  if (bars->bar.flow.count) json_array_append_new(array, bar_of(&bars->bar, tape, false));
  json_object_set_new(object, "kind", json_string(kinds[bars->kind]));
  json_object_set_new(object, "step", decimal(bars->step, step_decimals[bars->kind]));
  put(object, "closed", bars->closed);
  put(object, "late", bars->late);
  json_object_set_new(object, "last", array);
  return object;
}

void wb_report_trades(json_t *product, const wb_tape *tape) {
  if (!tape->trades.flow.count) return;
  json_t *bars = json_array();
  for (uint32_t i = 0; i < tape->config->series_count; i++) json_array_append_new(bars, series_of(tape, i));
  json_object_set_new(product, "trades", trades_of(tape));
  json_object_set_new(product, "bars", bars);
}

/* ------------------------------------------------------------------------------------------------ measures */

static json_t *depth_of(const wb_view_data *view, const wb_sides *sides, wb_side side, uint32_t basis_points) {
  wb_depth depth;
  if (wb_measure_depth(sides, side, basis_points, &depth) != 0) return json_null();
  uint32_t all = side == WB_SIDE_BID ? view->bid_levels : view->ask_levels;
  json_t *object = json_object();
  json_object_set_new(object, "size", decimal((__int128)depth.size, view->size_decimals));
  json_object_set_new(object, "notional",
                      depth.saturated || depth.notional >> 127
                          ? json_null()
                          : decimal((__int128)depth.notional, view->price_decimals + (unsigned)view->size_decimals));
  put(object, "levels", depth.level_count);
  json_object_set_new(object, "partial", json_boolean(depth.partial && depth.level_count < all));
  return object;
}

void wb_report_measures(json_t *product, const wb_view_data *view, const wb_sides *sides, uint32_t levels, uint32_t depth_bps) {
  json_t *object = json_object();
  unsigned more = view->price_decimals < AVERAGE_DECIMALS ? AVERAGE_DECIMALS - view->price_decimals : 0;
  __int128 value;
  bool there = wb_measure_microprice(sides, more, &value) == 0;
  json_object_set_new(object, "microprice", there ? decimal(value, view->price_decimals + more) : json_null());
  there = wb_measure_imbalance(sides, levels, RATIO_DECIMALS, &value) == 0;
  json_object_set_new(object, "imbalance", there ? decimal(value, RATIO_DECIMALS) : json_null());
  there = wb_measure_pressure(sides, levels, RATIO_DECIMALS, &value) == 0;
  json_object_set_new(object, "pressure", there ? decimal(value, RATIO_DECIMALS) : json_null());
  put(object, "levels", levels);
  json_object_set_new(object, "bid_depth", depth_of(view, sides, WB_SIDE_BID, depth_bps));
  json_object_set_new(object, "ask_depth", depth_of(view, sides, WB_SIDE_ASK, depth_bps));
  put(object, "depth_bps", depth_bps);
  json_object_set_new(product, "measures", object);
}

/* ------------------------------------------------------------------------------------------------ orders */

void wb_report_orders(json_t *product, const wb_level3_view *orders) {
  if (!orders) return;
  const struct {
    const char *name;
    uint64_t count;
  } fields[] = {{"count", orders->orders},    {"sequence", orders->sequence},
                {"loaded", orders->loaded},   {"useless", orders->useless},
                {"old", orders->old},         {"skipped", orders->skipped},
                {"overrun", orders->overrun}, {"disagreements", orders->disagreements}};
  json_t *object = json_object();
  for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++) put(object, fields[i].name, fields[i].count);
  json_object_set_new(product, "orders", object);
}
