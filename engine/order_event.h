/* order_event.h - what a level-3 codec says: one event of one order, with exact integers.
 *
 * wb_order_event is plain data without pointers, 96 bytes. A frame becomes one or two events (a SCALE may come first), a snapshot one for
 * each order and one at either end. Prices and sizes are integers in units of 10^-decimals of the event's product, 0..WB_QUANTITY_MAX. */
#ifndef WB_ORDER_EVENT_H
#define WB_ORDER_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/event.h"

/* The 128 bits of a UUID, most significant first. */
typedef struct wb_order_id {
  uint64_t high, low;
} wb_order_id;

static inline bool wb_order_id_same(wb_order_id a, wb_order_id b) { return a.high == b.high && a.low == b.low; }

typedef enum {
  WB_ORDER_RECEIVED = 1, /* the exchange has taken it, it is not on the book: side; price and size where it has them */
  WB_ORDER_OPEN,         /* it is on the book now: side, price, size that is left */
  WB_ORDER_MATCH, /* order, the maker, traded size with taker: price; side, the maker's, and trade_id where the channel says them */
  WB_ORDER_CHANGE,   /* size and price as they are from now on, old_size and old_price as they were, each where it is said */
  WB_ORDER_DONE,     /* it is on the book no more, and never comes back: reason; size that was left; side where it is said */
  WB_ORDER_ACTIVATE, /* a stop order was placed; price is its stop price. Private, mostly without a sequence */
  WB_ORDER_NOOP,     /* something that is no business of a book took a sequence number */
  WB_ORDER_SNAPSHOT, /* RESTING orders follow, one by one, then SNAPSHOT_END: the whole book as of sequence */
  WB_ORDER_RESTING,  /* an order of a snapshot: side, price, size; those of one price as the exchange lists them */
  WB_ORDER_SNAPSHOT_END,
  WB_ORDER_SCALE,  /* from here on the product's units are these; coarser ones only right before a SNAPSHOT */
  WB_ORDER_REJECT, /* a message that broke the schema: reject, offset; product may be WB_PRODUCT_NONE */
  WB_ORDER_IGNORED /* a legal message that is none of these */
} wb_order_kind;

/* Which of the fields that a message may leave out are there. */
enum {
  WB_ORDER_HAS_SEQUENCE = 1,
  WB_ORDER_HAS_SIDE = 2,
  WB_ORDER_HAS_PRICE = 4,
  WB_ORDER_HAS_SIZE = 8,
  WB_ORDER_HAS_OLD_PRICE = 16,
  WB_ORDER_HAS_OLD_SIZE = 32,
  WB_ORDER_HAS_TRADE_ID = 64
};

typedef enum { WB_ORDER_UNSAID = 0, WB_ORDER_FILLED, WB_ORDER_CANCELED } wb_order_reason;

typedef struct wb_order_event {
  uint8_t kind;                          /* wb_order_kind */
  uint8_t has;                           /* WB_ORDER_HAS_* */
  uint8_t side;                          /* wb_side */
  uint8_t reason;                        /* of DONE: wb_order_reason; of REJECT: wb_reject */
  uint8_t price_decimals, size_decimals; /* of SCALE */
  uint16_t product;                      /* index in the products table */
  uint64_t sequence;                     /* per product, one more each */
  int64_t time_ns;                       /* since 1970 UTC, or WB_TIME_NONE */
  wb_order_id order, taker;
  uint64_t price, size, old_price, old_size;
  union {
    uint64_t trade_id;
    uint64_t offset; /* of REJECT: byte of the text where the trouble was seen */
  };
} wb_order_event;
_Static_assert(sizeof(wb_order_event) == 96, "an order event is a line and a half");

/* As a wb_message of kind WB_MESSAGE_ORDER; SCALE, REJECT and IGNORED are messages of their own. */
enum { WB_ORDER_DELTAS = sizeof(wb_order_event) / sizeof(wb_delta) };
_Static_assert(WB_ORDER_DELTAS * sizeof(wb_delta) == sizeof(wb_order_event), "the event fills its deltas");

static inline const wb_order_event *wb_message_order(const wb_message *message) {
  return (const wb_order_event *)(const void *)message->deltas;
}

#endif
