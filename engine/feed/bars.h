/* bars.h - trades of one product made into bars: one an interval of time, one a number of trades, one an amount of volume.
 *
 * What:    the standard bars of Lopez de Prado, Advances in Financial Machine Learning, 2018, 2.3.1.
 *          TIME    intervals of `step` ns that begin at multiples of it since 1970 UTC, by the exchange's time. An interval without a trade has no
 *                  bar. A trade that is older than the bar, or says no time, belongs to the bar that is open, and is counted as late: a bar that was handed
 *                  out never changes. One that begins with a trade without a time ends at the first that has one.
 *          TICKS   `step` trades each.
 *          VOLUME  closes with the trade that brings its volume to `step` or above. A trade is never split, so a bar may hold more, and one trade
 *                  closes no more than one bar.
 * Exact    as trades.h. Threads: one. */
#ifndef WB_FEED_BARS_H
#define WB_FEED_BARS_H

#include "engine/feed/trades.h"

typedef enum { WB_BAR_TIME = 0, WB_BAR_TICKS, WB_BAR_VOLUME } wb_bar_kind;

typedef struct wb_bar {
  int64_t start_ns, end_ns; /* TIME: the interval, end_ns excluded; else times of the first and of the last trade */
  uint64_t open, high, low, close;
  uint64_t first_trade_id, last_trade_id;
  wb_flow flow;
} wb_bar;

typedef struct wb_bars {
  uint64_t step;
  wb_bar bar; /* the one that is open, if its flow.count is not 0 */
  uint64_t closed, late;
  uint8_t kind; /* wb_bar_kind */
} wb_bars;

/* wb_bars_init: step in ns, trades or units of size. Returns 0, or WB_E_INVALID if it is 0, or for TIME above INT64_MAX. */
int wb_bars_init(wb_bars *bars, wb_bar_kind kind, uint64_t step);

/* wb_bars_take takes a trade; true if a bar closed, which is then in *closed. For TIME that is the bar before the trade's, else the one with it. O(1). */
bool wb_bars_take(wb_bars *bars, const wb_trade *trade, wb_bar *closed);

/* wb_bars_until closes a TIME bar whose interval is over at time_ns, of the exchange (a heartbeat's): for when no trade comes. */
bool wb_bars_until(wb_bars *bars, int64_t time_ns, wb_bar *closed);

/* wb_bar_scale: units of a bar became finer by these factors, powers of ten. Returns 0, or WB_E_RANGE and nothing changed. */
int wb_bar_scale(wb_bar *bar, uint64_t price_factor, uint64_t size_factor);

/* wb_bars_scale: units became finer by these factors, powers of ten; a VOLUME step too. Returns 0, or WB_E_RANGE and nothing changed. */
int wb_bars_scale(wb_bars *bars, uint64_t price_factor, uint64_t size_factor);

#endif
