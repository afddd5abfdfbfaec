/* publish_text.h - messages of the Exchange dialect as text, of what a node knows: the other end of engine/codec/coinbase_exchange.
 *
 * Shape:   keys stand in the order of the real feed. Prices and sizes are exact and without zeros that say nothing: "37480", "0.5"; "0" takes a level
 *          out. What a node does not know is left out (ticker: what 24 hours and 30 days were), but for the ids of orders, which are zeros.
 * Memory:  the caller's: each function says how much it needs. Nothing is NUL-terminated. Threads: pure. Cost: some 20 ns a level. */
#ifndef WB_IO_PUBLISH_TEXT_H
#define WB_IO_PUBLISH_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/event.h"

/* A level or change with its quotes, brackets and comma: 20 bytes a number of 62 bits, "sell". A message but for its levels. */
enum { WB_PUBLISH_LEVEL_BYTES_MAX = 56, WB_PUBLISH_TEXT_BYTES_MAX = 1024 };

typedef struct wb_publish_product {
  const char *id;
  uint8_t price_decimals, size_decimals;
} wb_publish_product;

typedef struct wb_publish_trade {
  uint64_t price, size, trade_id, sequence;
  int64_t time_ns;
  uint8_t side; /* wb_side of the maker */
  uint8_t price_decimals, size_decimals;
} wb_publish_trade;

/* wb_publish_number writes value * 10^-decimals (decimals 0..18) and returns the bytes, 1..20. */
size_t wb_publish_number(uint64_t value, unsigned decimals, char *to);

/* wb_publish_levels writes `["P","S"],...`, count of them, and returns the bytes: at most WB_PUBLISH_LEVEL_BYTES_MAX each. */
size_t wb_publish_levels(const wb_publish_product *product, const wb_level *level, uint32_t count, char *to);

/* A message each; they return its bytes: WB_PUBLISH_TEXT_BYTES_MAX at most, and WB_PUBLISH_LEVEL_BYTES_MAX a level or change. time_ns: WB_TIME_NONE is
 * written as the exchange does, as a time in year 1.
 * last_match: the trade was before the subscription. ticker: best by side, size 0: that side is empty; trade NULL: none is known. */
size_t wb_publish_snapshot(const wb_publish_product *product, const wb_level *const level[2], const uint32_t count[2],
                           int64_t time_ns, char *to);
size_t wb_publish_update(const wb_publish_product *product, const wb_delta *delta, uint32_t count, int64_t time_ns, char *to);
size_t wb_publish_match(const char *id, const wb_publish_trade *trade, bool last_match, char *to);
size_t wb_publish_ticker(const wb_publish_product *product, const wb_level best[2], const wb_publish_trade *trade,
                         uint64_t sequence, int64_t time_ns, char *to);
size_t wb_publish_heartbeat(const char *id, uint64_t sequence, uint64_t last_trade_id, int64_t time_ns, char *to);

#endif
