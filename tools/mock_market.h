/* mock_market.h - the simulated book of one product: exact integers, from a seed, without a clock.
 *
 * What:    a whole book whose levels lie as far apart as on the real feed (ranks and distances measured on BTC-USD, scaled to
 *          the product's price), and messages of 1 or more changes to it: about 27 % delete a level, 28 % make a new one, the
 *          others give a level a new size. Half of all changes fall within the best 40 levels, nearly all within 1,850. The mid
 *          walks within 10 % of where it began; the number of levels stays around its start.
 * Promise: the book is never crossed, locked or empty on a side, not even between two changes of a message. Same product,
 *          levels, seed and changes per message: the same messages, on every machine.
 * Memory:  allocated by open, never after. Threads: one. */
#ifndef WB_TOOLS_MOCK_MARKET_H
#define WB_TOOLS_MOCK_MARKET_H

#include "engine/base/error.h"
#include "engine/order_event.h"

enum {
  WB_MOCK_LEVELS_MAX = 4000000,
  WB_MOCK_CHANGES_MAX = 4096,
  WB_MOCK_TRADES_MAX = 8,
  WB_MOCK_TRADES_ROOM = 32,
  WB_MOCK_RANKS = 1024
};

typedef struct wb_mock_level {
  uint64_t price; /* ticks: units of 10^-price_decimals */
  uint64_t size;  /* units of 10^-size_decimals, never 0 */
} wb_mock_level;

/* One side, worst price first, best last, so that what happens near the best moves few levels. */
typedef struct wb_mock_side {
  wb_mock_level *level;
  uint32_t count, capacity, target, pull; /* how strongly the count is held at target */
  uint32_t away[WB_MOCK_RANKS + 1];       /* how far from the mid new levels are, in ticks, by share of all changes */
} wb_mock_side;

/* A best level that was taken, whole or in part. side: that of the maker. maker and taker are made of the trade's id, where nobody follows
 * the orders (mock_orders). */
typedef struct wb_mock_trade {
  uint64_t id, price, size, sequence;
  wb_order_id maker, taker;
  wb_side side;
  const wb_delta *delta; /* of its message: the change that it made */
} wb_mock_trade;

typedef struct wb_mock_market {
  char product[WB_PRODUCT_ID_BYTES];
  uint8_t price_decimals, size_decimals, size_shift; /* 0..8, 0..8 */
  wb_mock_side side[2];                              /* by wb_side */
  uint64_t mid_start, mid_target;
  uint64_t random[4];
  uint32_t changes_min, changes_max;
  uint64_t messages, changes, created, deleted;
  uint64_t sequence, last_trade_id; /* what a heartbeat tells */
  uint64_t open, low, high, volume; /* prices and sizes of trades since the market began */
  wb_mock_trade last_trade;         /* the one of last_trade_id; before the first a made-up one at the best bid */
  /* Of the last message, WB_MOCK_TRADES_MAX at most, or the matches of its orders; what else left the best levels was cancelled. */
  wb_mock_trade trade[WB_MOCK_TRADES_ROOM];
  uint32_t trade_count;
  uint16_t rank[WB_MOCK_RANKS]; /* how deep in the book changes fall, by share of all changes */
} wb_mock_market;

/* wb_mock_market_open makes the first book. product: any id; the known ones (BTC-USD, ETH-USD, LTC-USD and some more) have
 * their own tick and price. levels: a side, 1..WB_MOCK_LEVELS_MAX; bids may be fewer where the price has not as many ticks.
 * changes_min..changes_max: changes of a message, 1..WB_MOCK_CHANGES_MAX, few more often than many (1 to 3: 1.56 on average, 142
 * bytes as BTC-USD). Returns 0, WB_E_INVALID or WB_E_MEMORY. */
int wb_mock_market_open(wb_mock_market *market, const char *product, uint32_t levels, uint64_t seed, uint32_t changes_min,
                        uint32_t changes_max, wb_error *error);
void wb_mock_market_close(wb_mock_market *market);

/* wb_mock_market_step makes the next message's changes, applies them to the book, and returns how many there are in
 * delta[WB_MOCK_CHANGES_MAX]. */
unsigned wb_mock_market_step(wb_mock_market *market, wb_delta *delta);

/* wb_mock_market_level returns the level of that rank, 0 being the best; NULL past the end. */
const wb_mock_level *wb_mock_market_level(const wb_mock_market *market, wb_side side, uint32_t rank);

#endif
