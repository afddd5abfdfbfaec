/* market.h - options that run and replay share: bars, measures, the size of books of orders. */
#ifndef WB_TOOLS_MARKET_H
#define WB_TOOLS_MARKET_H

#include "io/config.h"
#include "io/node_run.h"

/* wb_market_settings puts the options orders, bars, imbalance-levels and depth-bps into *node. Returns 0, or WB_E_CONFIG with *error. */
int wb_market_settings(const wb_config *config, wb_node_config *node, wb_error *error);

#endif
