/* report_market.h - what the report says of a product besides its book: trades, bars, measures, orders. Private to report.c. Cold, control thread. */
#ifndef WB_IO_REPORT_MARKET_H
#define WB_IO_REPORT_MARKET_H

#include <jansson.h>

#include "engine/book/measures.h"
#include "engine/feed/tape.h"
#include "engine/stages/level3.h"
#include "engine/stages/view.h"

/* wb_report_trades adds "trades" and "bars" where there was a trade. */
void wb_report_trades(json_t *product, const wb_tape *tape);

/* wb_report_measures adds "measures": levels and basis points as of the node's config, as far as the sides reach. */
void wb_report_measures(json_t *product, const wb_view_data *view, const wb_sides *sides, uint32_t levels, uint32_t depth_bps);

/* wb_report_orders adds "orders"; NULL: nothing. */
void wb_report_orders(json_t *product, const wb_level3_view *orders);

#endif
