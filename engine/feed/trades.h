/* trades.h - what the trades of one product add up to: last, volume, VWAP, signed flow, and which ids are missing.
 *
 * Side     the feed says the maker's (https://docs.cdp.coinbase.com/exchange/websocket-feed/channels, match); kept here is the taker's: BID where a
 *          buyer took from an ask, an up-tick.
 * Ids      trade_id is one more from trade to trade of a product (measured: in all of 10 recorded products), so a jump says how many trades were
 *          missed, and a heartbeat's last_trade_id how many are missing now.
 * Exact    prices and sizes in units of 10^-decimals, sums in 128 bits. The sum of sizes cannot overflow in 2^66 trades. The sum of price times
 *          size, in units of both, could after 16 trades of the largest price and size: it stays at its largest value then, and `saturated` says so.
 * Threads: one. */
#ifndef WB_FEED_TRADES_H
#define WB_FEED_TRADES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/event.h"

/* price and size: 1..WB_QUANTITY_MAX. */
typedef struct wb_trade {
  uint64_t trade_id, price, size;
  int64_t time_ns; /* or WB_TIME_NONE */
  wb_side taker;
} wb_trade;

static inline wb_side wb_trade_taker(wb_side maker) { return maker == WB_SIDE_BID ? WB_SIDE_ASK : WB_SIDE_BID; }

/* A number of trades added up. */
typedef struct wb_flow {
  unsigned __int128 volume;   /* sum of sizes */
  unsigned __int128 bought;   /* of those that a buyer took */
  unsigned __int128 notional; /* sum of price times size */
  uint64_t count;
  bool saturated;
} wb_flow;

void wb_flow_add(wb_flow *flow, const wb_trade *trade);

/* wb_flow_signed returns what buyers took less what sellers took. */
static inline __int128 wb_flow_signed(const wb_flow *flow) {
  return (__int128)flow->bought - (__int128)(flow->volume - flow->bought);
}

/* wb_flow_vwap gives the volume-weighted average price, sum of price times size over sum of sizes, with `decimals` (0..18) decimals more than a price.
 * Returns 0, WB_E_STATE if there was no trade, or WB_E_RANGE where notional is saturated. */
int wb_flow_vwap(const wb_flow *flow, unsigned decimals, __int128 *price);

/* wb_flow_scale: units became finer by these factors, powers of ten. Returns 0, or WB_E_RANGE and the flow is as before. */
int wb_flow_scale(wb_flow *flow, uint64_t price_factor, uint64_t size_factor);

/* All zero is the beginning. */
typedef struct wb_trades {
  wb_flow flow;
  wb_trade last;    /* where flow.count is not 0 */
  uint64_t old;     /* trades that were not above the last id, and were left out */
  uint64_t gaps;    /* jumps of the id, ... */
  uint64_t missing; /* ... and the ids jumped over */
} wb_trades;

/* wb_trades_take takes the next trade; false if it is old: repeated, or out of order. O(1). */
bool wb_trades_take(wb_trades *trades, const wb_trade *trade);

/* wb_trades_behind returns how many trades there were since the last one taken, if last_trade_id (of a heartbeat) is right. 0 before the first. */
uint64_t wb_trades_behind(const wb_trades *trades, uint64_t last_trade_id);

/* wb_trades_scale: as wb_flow_scale. */
int wb_trades_scale(wb_trades *trades, uint64_t price_factor, uint64_t size_factor);

#endif
