/* coinbase_advanced.h - the dialect of Coinbase's Advanced Trade feed (advanced-trade-ws.coinbase.com): level 2 and what comes beside it.
 *
 * Decodes  l2_data (or level2, in messages and acknowledgements alike) -> SNAPSHOT (in parts) and UPDATE, ticker and ticker_batch, which has no best
 *          prices, -> TICKER, market_trades -> TRADE, candles -> CANDLE, both with WB_FLAG_PAST where the event is a snapshot (its trades in the order of
 *          their ids), status -> STATUS as the Exchange dialect has it, heartbeats -> HEARTBEAT of no product, subscriptions -> SUBSCRIPTIONS, one for
 *          each known product of level2, error -> ERROR, private channels and a message without events -> IGNORED, every other channel and type ->
 *          UNKNOWN; node records, binary messages and what was refused as the Exchange dialect has them. A message of several events becomes several messages.
 * Strict   as in coinbase_exchange.h: UTF-8, JSON, schema, in this order; a message that breaks any of them gives one REJECT and changes no book, of
 *          whichever of its events. What must be there: channel, sequence_num, events; of an event of l2_data type, product_id, updates of side
 *          ("bid" or "offer"), price_level, new_quantity; of a ticker product_id, of a trade trade_id (a string), product_id, price, size, side, of a
 *          candle product_id, start (a string of seconds), open, high, low, close, volume, of a heartbeat heartbeat_counter (a number or a string). REJECTs of all
 *          channels but level2 and subscriptions are harmless where sequence_num was read. That of a message of several events names no product, as all of them are lost.
 * Sequence sequence_num counts the messages of a connection, over all channels, from 0. A message that is not the next puts out GAP first: all
 *          books of that line are suspect, and new snapshots repair them at the least cost. In a recording that begins in the middle the first
 *          message is the measure of the next.
 * Time     of an update: the event_time of its last change; of a snapshot: that of its first level, none if it is of 1970; of the others their own, current_time of heartbeats, in the form that Go prints. Where
 *          that is missing, timestamp. event_time is the exchange's, the same on every connection; timestamp is the connection's.
 * Aliases  data of BTC-USD is BTC-USDC's where only that is known: the feed answers for -USDC products under the -USD name.
 * Cost     see bench/bench_parser.c; the shape that the exchange sends in one pass, any other some ten times that.
 * Source   https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket, measured frames. */
#ifndef WB_CODEC_COINBASE_ADVANCED_H
#define WB_CODEC_COINBASE_ADVANCED_H

#include "engine/codec/coinbase_roads.h"

extern const wb_codec wb_codec_coinbase_advanced;

/* Its two roads, for tests: the first leaves to the second what is not of the exchange's own shape. */
void wb_coinbase_advanced_fast(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
void wb_coinbase_advanced_full(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);

/* What they share. wb_coinbase_advanced_product finds a product by its name or its alias, or -1. wb_coinbase_advanced_next takes the sequence_num of a message
 * that was read whole, before it is put out. */
int wb_coinbase_advanced_product(const wb_coinbase *state, const char *id, size_t bytes);
void wb_coinbase_advanced_next(wb_coinbase *state, const wb_frame *frame, uint64_t sequence, wb_out *out);

/* wb_advanced_time is the time of a message by that of the change that is asked: times of 1970 say nothing of a snapshot. */
static inline int64_t wb_advanced_time(int64_t change_ns, int64_t timestamp_ns, bool snapshot) {
  if (change_ns == WB_TIME_NONE) return timestamp_ns;
  return snapshot && change_ns < INT64_C(365) * 86400 * 1000000000 ? WB_TIME_NONE : change_ns;
}

#endif
