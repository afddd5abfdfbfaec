/* tape.h - what was traded of one product: the totals of its trades, and series of bars of which the last few are kept.
 *
 * What:    each trade goes into the totals (trades.h) and into every series (bars.h). A trade that repeats an id goes into none.
 * Units    of its own, 10^-decimals, never coarser than those that came: a trade in coarser ones is brought to them, and finer ones scale what is
 *          there; both exactly. Where that cannot be held, the tape begins anew, and `restarts` says so.
 * Memory:  the caller's. Threads: one. Cost: O(series). */
#ifndef WB_FEED_TAPE_H
#define WB_FEED_TAPE_H

#include "engine/base/error.h"
#include "engine/feed/bars.h"

enum { WB_TAPE_SERIES_MAX = 4, WB_TAPE_BARS_KEPT = 8 };

/* step: ns, trades, or for VOLUME units of 10^-step_decimals. */
typedef struct wb_tape_step {
  uint64_t step;
  uint8_t kind; /* wb_bar_kind */
  uint8_t step_decimals;
} wb_tape_step;

typedef struct wb_tape_config {
  wb_tape_step series[WB_TAPE_SERIES_MAX];
  uint32_t series_count;
} wb_tape_config;

typedef struct wb_tape_series {
  wb_bars bars;
  wb_bar kept[WB_TAPE_BARS_KEPT]; /* a ring: the n-th that closed, from 0, is at n % WB_TAPE_BARS_KEPT */
} wb_tape_series;

typedef struct wb_tape {
  const wb_tape_config *config;
  wb_trades trades;
  wb_tape_series series[WB_TAPE_SERIES_MAX];
  uint8_t price_decimals, size_decimals;
  bool unnumbered;   /* the feed says no ids: those here count the trades */
  uint64_t restarts; /* units that could not be held */
} wb_tape;

/* wb_tape_config_read makes a config of words (NULL-terminated): "time=SECONDS", "ticks=TRADES", "volume=SIZE" (decimals allowed), up to
 * WB_TAPE_SERIES_MAX of them, or "off"; none: bars of a minute. Returns 0, or WB_E_CONFIG with *error (may be NULL). */
int wb_tape_config_read(wb_tape_config *config, char *const *words, wb_error *error);

/* wb_tape_init: a config that was read, which outlives the tape, and the product's units. */
void wb_tape_init(wb_tape *tape, const wb_tape_config *config, unsigned price_decimals, unsigned size_decimals);

/* wb_tape_take takes the next trade, in these units. numbered false: it has no id, and is the next. */
void wb_tape_take(wb_tape *tape, const wb_trade *trade, bool numbered, unsigned price_decimals, unsigned size_decimals);

/* wb_tape_until closes bars of time that are over at time_ns, of the exchange; WB_TIME_NONE closes none. */
void wb_tape_until(wb_tape *tape, int64_t time_ns);

/* wb_tape_bars copies the kept bars of a series, oldest first, and returns how many: 0..WB_TAPE_BARS_KEPT. */
uint32_t wb_tape_bars(const wb_tape *tape, uint32_t series, wb_bar bar[WB_TAPE_BARS_KEPT]);

#endif
