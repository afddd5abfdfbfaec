#include "io/table.h"

#include "engine/event.h"

#define OWN                                                                                                                    \
  {"product", WB_CELL_TEXT}, {"time", WB_CELL_TIME}, {"recv_time", WB_CELL_TIME}, {"recv_ns", WB_CELL_INTEGER}, {              \
    "number", WB_CELL_INTEGER                                                                                                  \
  }
#define TABLE(name, columns)                                                                                                   \
  { name, columns, sizeof columns / sizeof *columns }

static const wb_column deltas[] = {
    OWN, {"snapshot", WB_CELL_BOOLEAN}, {"side", WB_CELL_TEXT}, {"price", WB_CELL_DECIMAL}, {"size", WB_CELL_DECIMAL}};
static const wb_column quotes[] = {OWN,
                                   {"best_bid", WB_CELL_DECIMAL},
                                   {"best_bid_size", WB_CELL_DECIMAL},
                                   {"best_ask", WB_CELL_DECIMAL},
                                   {"best_ask_size", WB_CELL_DECIMAL},
                                   {"mid", WB_CELL_DECIMAL},
                                   {"spread", WB_CELL_DECIMAL}};
static const wb_column trades[] = {
    OWN, {"trade_id", WB_CELL_INTEGER}, {"side", WB_CELL_TEXT}, {"price", WB_CELL_DECIMAL}, {"size", WB_CELL_DECIMAL}};
static const wb_column bars[] = {OWN,
                                 {"start", WB_CELL_TIME},
                                 {"seconds", WB_CELL_DECIMAL},
                                 {"open", WB_CELL_DECIMAL},
                                 {"high", WB_CELL_DECIMAL},
                                 {"low", WB_CELL_DECIMAL},
                                 {"close", WB_CELL_DECIMAL},
                                 {"volume", WB_CELL_DECIMAL},
                                 {"trades", WB_CELL_INTEGER}};
static const wb_column frames[] = {OWN,
                                   {"line", WB_CELL_INTEGER},
                                   {"connection", WB_CELL_INTEGER},
                                   {"kind", WB_CELL_TEXT},
                                   {"bytes", WB_CELL_INTEGER},
                                   {"text", WB_CELL_TEXT},
                                   {"base64", WB_CELL_TEXT}};

static const wb_table tables[] = {[WB_TABLE_DELTAS] = TABLE("deltas", deltas),
                                  [WB_TABLE_QUOTES] = TABLE("quotes", quotes),
                                  [WB_TABLE_TRADES] = TABLE("trades", trades),
                                  [WB_TABLE_BARS] = TABLE("bars", bars),
                                  [WB_TABLE_FRAMES] = TABLE("frames", frames)};
_Static_assert(sizeof bars / sizeof *bars <= WB_TABLE_COLUMNS_MAX, "the widest");

const wb_table *wb_table_of(wb_table_id id) { return &tables[id]; }

wb_cell wb_cell_ns(int64_t utc_ns) { return (wb_cell){.number = utc_ns, .there = utc_ns != WB_TIME_NONE}; }

wb_cell wb_cell_time(int64_t utc_ns) {
  wb_cell cell = wb_cell_ns(utc_ns);
  cell.number = utc_ns / 1000 - (utc_ns % 1000 < 0 && utc_ns / 1000 > INT64_MIN / 1000);
  return cell;
}
