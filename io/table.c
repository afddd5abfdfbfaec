#include "io/table.h"

#include "engine/event.h"

#define OWN                                                                                                                    \
  {"product", WB_VALUE_TEXT}, {"time", WB_VALUE_TIME}, {"recv_time", WB_VALUE_TIME}, {"recv_ns", WB_VALUE_INTEGER}, {          \
    "number", WB_VALUE_INTEGER                                                                                                 \
  }
#define TABLE(name, columns)                                                                                                   \
  { name, columns, sizeof columns / sizeof *columns }

static const wb_column deltas[] = {
    OWN, {"snapshot", WB_VALUE_BOOLEAN}, {"side", WB_VALUE_TEXT}, {"price", WB_VALUE_DECIMAL}, {"size", WB_VALUE_DECIMAL}};
static const wb_column quotes[] = {OWN,
                                   {"best_bid", WB_VALUE_DECIMAL},
                                   {"best_bid_size", WB_VALUE_DECIMAL},
                                   {"best_ask", WB_VALUE_DECIMAL},
                                   {"best_ask_size", WB_VALUE_DECIMAL},
                                   {"mid", WB_VALUE_DECIMAL},
                                   {"spread", WB_VALUE_DECIMAL}};
static const wb_column trades[] = {
    OWN, {"trade_id", WB_VALUE_INTEGER}, {"side", WB_VALUE_TEXT}, {"price", WB_VALUE_DECIMAL}, {"size", WB_VALUE_DECIMAL}};
static const wb_column bars[] = {OWN,
                                 {"start", WB_VALUE_TIME},
                                 {"seconds", WB_VALUE_DECIMAL},
                                 {"open", WB_VALUE_DECIMAL},
                                 {"high", WB_VALUE_DECIMAL},
                                 {"low", WB_VALUE_DECIMAL},
                                 {"close", WB_VALUE_DECIMAL},
                                 {"volume", WB_VALUE_DECIMAL},
                                 {"trades", WB_VALUE_INTEGER}};
static const wb_column frames[] = {OWN,
                                   {"line", WB_VALUE_INTEGER},
                                   {"connection", WB_VALUE_INTEGER},
                                   {"kind", WB_VALUE_TEXT},
                                   {"bytes", WB_VALUE_INTEGER},
                                   {"text", WB_VALUE_TEXT},
                                   {"base64", WB_VALUE_TEXT}};

static const wb_table tables[] = {[WB_TABLE_DELTAS] = TABLE("deltas", deltas),
                                  [WB_TABLE_QUOTES] = TABLE("quotes", quotes),
                                  [WB_TABLE_TRADES] = TABLE("trades", trades),
                                  [WB_TABLE_BARS] = TABLE("bars", bars),
                                  [WB_TABLE_FRAMES] = TABLE("frames", frames)};
_Static_assert(sizeof bars / sizeof *bars <= WB_TABLE_COLUMNS_MAX, "the widest");

const wb_table *wb_table_of(wb_table_id id) { return &tables[id]; }

wb_value wb_value_ns(int64_t utc_ns) { return (wb_value){.number = utc_ns, .there = utc_ns != WB_TIME_NONE}; }

wb_value wb_value_time(int64_t utc_ns) {
  wb_value cell = wb_value_ns(utc_ns);
  cell.number = utc_ns / 1000 - (utc_ns % 1000 < 0 && utc_ns / 1000 > INT64_MIN / 1000);
  return cell;
}
