/* mock_orders.h - the orders under a product's simulated market: whose sizes make up each level, and what the level-3 channels say of them.
 *
 * What:    a level is a queue of 1..WB_MOCK_ORDERS_MAX orders. Each change that the market made becomes the messages that lead to it: a new
 *          level or more of one is received and open, or a change of the last order; less of one is done (canceled) or a change; what was traded
 *          is a taker received, a match for each order it took from, front first, and done for what was filled. Now and then an order is
 *          received and done that never was on the book.
 * Promise: after each change of a message, the sizes of a level's orders sum up to the market's level. Each message has the market's
 *          sequence, one more than the message before it; after a step the market's sequence is that of the last one, its trades are the matches. Drawn from the
 *          seed alone: the market's changes are the same with and without orders.
 * Memory:  allocated by open, never after: 32 bytes a level and 24 an order, for as many as there can be; what is not used is not touched.
 * Threads: one. */
#ifndef WB_TOOLS_MOCK_ORDERS_H
#define WB_TOOLS_MOCK_ORDERS_H

#include "engine/order_event.h"
#include "tools/mock_market.h"
#include "tools/mock_text.h"

enum {
  WB_MOCK_ORDERS_MAX = 4, /* of a level */
  WB_MOCK_HISTORY = 100,  /* trades kept */
  WB_MOCK_ORDER_BYTES_MAX = WB_MOCK_TICKER_BYTES_MAX
};

/* Orders go by numbers, of which wb_mock_orders_id makes ids. */
typedef struct wb_mock_order {
  uint64_t number, size;
  uint32_t next, before; /* in its queue; 0: none */
} wb_mock_order;

typedef struct wb_mock_queue {
  uint64_t price, total; /* price 0: a free slot */
  uint32_t first, last, count;
} wb_mock_queue;

typedef struct wb_mock_order_message {
  uint8_t kind;   /* wb_order_kind: RECEIVED, OPEN, MATCH, CHANGE, DONE */
  uint8_t side;   /* wb_side; of MATCH the maker's */
  uint8_t reason; /* of DONE: wb_order_reason */
  bool booked;    /* a business of the book; level3 says noop otherwise */
  bool market;    /* RECEIVED, DONE: a market order, without price */
  bool modified;  /* CHANGE: asked for, not by self-trade prevention */
  uint64_t sequence, order, taker, trade_id;
  uint64_t price, size,
      old_size; /* size: of RECEIVED all, of MATCH traded, of the others what is left on the book from now on, or was when it went */
} wb_mock_order_message;

typedef struct wb_mock_orders {
  wb_mock_market *market;
  uint64_t salt, draws, numbers, sequence;
  wb_mock_queue *slot[2]; /* by side and price, hashed */
  uint32_t slot_mask;
  wb_mock_order *order; /* from 1 */
  uint32_t order_used, order_free;
  wb_mock_order_message *message; /* of the last step */
  uint32_t message_count;
  bool stray; /* the next step begins with done for an order that nobody has seen; cleared by it */
  struct {
    wb_mock_trade trade;
    char time[WB_MOCK_TIME_BYTES + 1];
  } history[WB_MOCK_HISTORY]; /* trade i of the view at i % WB_MOCK_HISTORY */
  uint64_t trade_count;
} wb_mock_orders;

/* wb_mock_orders_open makes the orders of the book as it is, for a market that outlives them. Returns 0 or WB_E_MEMORY. */
int wb_mock_orders_open(wb_mock_orders *orders, wb_mock_market *market, uint64_t seed, wb_error *error);
void wb_mock_orders_close(wb_mock_orders *orders);

/* wb_mock_orders_step follows what wb_mock_market_step did just now: to be called after each. time: WB_MOCK_TIME_BYTES characters. */
void wb_mock_orders_step(wb_mock_orders *orders, const wb_delta *delta, unsigned count, const char *time);

/* wb_mock_orders_queue returns the level's queue, NULL if there is none; wb_mock_orders_id the id of an order, a UUID of version 4;
 * wb_mock_orders_trade a MATCH as a trade. */
const wb_mock_queue *wb_mock_orders_queue(const wb_mock_orders *orders, wb_side side, uint64_t price);
wb_order_id wb_mock_orders_id(const wb_mock_orders *orders, uint64_t number);
wb_mock_trade wb_mock_orders_trade(const wb_mock_orders *orders, const wb_mock_order_message *message);

/* Texts. wb_mock_orders_full writes a message of the channel full, wb_mock_orders_level3 of level3, into WB_MOCK_ORDER_BYTES_MAX bytes;
 * wb_mock_orders_schema is what level3 begins with. wb_mock_orders_book writes the REST book of level 1, 2 or 3 into
 * wb_mock_orders_book_bytes_max bytes, numbers without trailing zeros. Each returns the bytes written. */
size_t wb_mock_orders_full(const wb_mock_orders *orders, const wb_mock_text *text, const wb_mock_order_message *message,
                           const char *time, char *to);
size_t wb_mock_orders_level3(const wb_mock_orders *orders, const wb_mock_text *text, const wb_mock_order_message *message,
                             const char *time, char *to);
size_t wb_mock_orders_schema(const wb_mock_text *text, char *to);
size_t wb_mock_orders_book_bytes_max(const wb_mock_orders *orders, unsigned level);
size_t wb_mock_orders_book(const wb_mock_orders *orders, unsigned level, bool auction, uint64_t sequence, const char *time,
                           char *to);

#endif
