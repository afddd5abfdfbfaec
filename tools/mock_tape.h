/* mock_tape.h - the trades of one product as a feed tells them: in batches, the past ones to whoever comes, and as a candle.
 *
 * Shape:   a ring of the newest trades; those before `told` were told to everybody, those from there on wait for the next
 *          batch.
 * Full:    WB_MOCK_BATCH_TRADES may wait; wb_mock_tape_add must not be called with so many.
 * Memory:  none of its own. Threads: one. */
#ifndef WB_TOOLS_MOCK_TAPE_H
#define WB_TOOLS_MOCK_TAPE_H

#include "tools/mock_market.h"

enum { WB_MOCK_BATCH_TRADES = 64, WB_MOCK_PAST_TRADES = 50, WB_MOCK_TAPE_TRADES = 128, WB_MOCK_CANDLE_SECONDS = 300 };

typedef struct wb_mock_print {
  wb_mock_trade trade;
  int64_t time_us; /* since 1970 UTC */
} wb_mock_print;

/* Prices and sizes as in the market's trades; of a bucket of WB_MOCK_CANDLE_SECONDS that begins at start_s. */
typedef struct wb_mock_candle {
  int64_t start_s;
  uint64_t open, high, low, close, volume;
} wb_mock_candle;

typedef struct wb_mock_tape {
  wb_mock_print print[WB_MOCK_TAPE_TRADES]; /* trade n lies at n % WB_MOCK_TAPE_TRADES */
  uint64_t made, told;
  wb_mock_candle candle; /* of the newest trade */
} wb_mock_tape;

/* wb_mock_tape_init begins with one trade that was told already; its size is of no candle. */
void wb_mock_tape_init(wb_mock_tape *tape, const wb_mock_trade *last, int64_t time_us);

/* wb_mock_tape_add takes the next trade; its time is not older than that of the one before. */
void wb_mock_tape_add(wb_mock_tape *tape, const wb_mock_trade *trade, int64_t time_us);

/* wb_mock_tape_waiting is how many wait to be told; wb_mock_tape_past how many of the told ones a newcomer gets, 1 to
 * WB_MOCK_PAST_TRADES. wb_mock_tape_at returns trade n: made - WB_MOCK_TAPE_TRADES <= n < made. */
static inline unsigned wb_mock_tape_waiting(const wb_mock_tape *tape) { return (unsigned)(tape->made - tape->told); }
static inline unsigned wb_mock_tape_past(const wb_mock_tape *tape) {
  return tape->told < WB_MOCK_PAST_TRADES ? (unsigned)tape->told : WB_MOCK_PAST_TRADES;
}
static inline const wb_mock_print *wb_mock_tape_at(const wb_mock_tape *tape, uint64_t n) {
  return &tape->print[n % WB_MOCK_TAPE_TRADES];
}

_Static_assert(WB_MOCK_BATCH_TRADES + WB_MOCK_PAST_TRADES <= WB_MOCK_TAPE_TRADES, "what waits leaves the past ones in place");

#endif
