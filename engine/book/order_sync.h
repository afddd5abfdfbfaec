/* order_sync.h - keeps a level-3 book in step with the exchange's sequence: queue, snapshot, splice, gap.
 *
 * What:    the exchange's own recipe (https://docs.cdp.coinbase.com/exchange/websocket-feed/channels, full channel). Until there is a snapshot,
 *          events queue. A snapshot (/products/{id}/book?level=3) says its sequence: queued events up to it are dropped, those after it
 *          are played, and from then on each event must carry the next sequence. One that is not above the last is dropped; one that skips a number,
 *          or an event that cannot be (WB_E_STATE of orders.h), means that something is missing: queue, and ask for a snapshot again.
 * Full     the queue keeps the latest event_max events, without a hole: the oldest go when there is no room, all of them when a number is
 *          skipped. A snapshot that ends before the queue begins is of no use, the next may be. At 1,000 events a second and a second for the
 *          snapshot, 4,096 are plenty.
 * Book:    while WAITING it is what it was last, while LOADING it is in pieces. After LOADED the level-2 book is loaded anew, from
 *          wb_orders_levels; after CHANGED it is given the deltas.
 * Memory:  the queue is given. Threads: one. */
#ifndef WB_BOOK_ORDER_SYNC_H
#define WB_BOOK_ORDER_SYNC_H

#include "engine/book/orders.h"

typedef enum { WB_ORDER_SYNC_WAITING = 0, WB_ORDER_SYNC_LOADING, WB_ORDER_SYNC_LIVE } wb_order_sync_state;

/* What an event did. */
typedef enum {
  WB_ORDER_SYNC_NONE = 0, /* nothing: it waits in the queue, is old, or is of no order on the book */
  WB_ORDER_SYNC_CHANGED,  /* delta_count, 1 or 2, totals are new */
  WB_ORDER_SYNC_LOADED,   /* the whole book is new, and LIVE */
  WB_ORDER_SYNC_ASK       /* the book is not to be trusted from here on: ask for a snapshot; why says what happened */
} wb_order_sync_result;

typedef enum {
  WB_ORDER_SYNC_START = 0,     /* nothing but that there was no snapshot yet */
  WB_ORDER_SYNC_GAP,           /* a sequence number was skipped */
  WB_ORDER_SYNC_CONTRADICTION, /* an event that cannot be */
  WB_ORDER_SYNC_FULL,          /* more orders than the book holds: only a larger one helps, wb_order_sync_move */
  WB_ORDER_SYNC_RANGE,         /* a price or total out of range */
  WB_ORDER_SYNC_OLD            /* the snapshot ends before the queue begins */
} wb_order_sync_why;

typedef struct wb_order_sync {
  wb_orders *orders;
  wb_order_event *queue; /* a ring */
  uint32_t event_max, queue_first, queue_count;
  uint8_t state;                         /* wb_order_sync_state */
  uint8_t why;                           /* wb_order_sync_why: of the last time it began to wait */
  uint8_t price_decimals, size_decimals; /* units of book and queue */
  uint8_t load_failed;                   /* while LOADING: wb_order_sync_why, or START */
  uint64_t sequence;                     /* LIVE: last applied; LOADING: of the snapshot */
  /* Since init: events dropped as old, for want of room in the queue, and numbers skipped; snapshots that made the book live, and that did not. */
  uint64_t old, overrun, skipped, loaded, useless;
} wb_order_sync;

/* wb_order_sync_init: events of the queue, 1.. of them; decimals: the product's units, as the codec begins with them. */
void wb_order_sync_init(wb_order_sync *sync, wb_orders *orders, wb_order_event *queue, uint32_t event_max,
                        uint8_t price_decimals, uint8_t size_decimals);

/* wb_order_sync_restart: the line was down. The queue is dropped, the book waits. */
void wb_order_sync_restart(wb_order_sync *sync);

/* wb_order_sync_take takes the next event of the product, in the order of the codec; those without a sequence, and REJECT and IGNORED, do nothing (what
 * a REJECT hides is seen as a gap). delta: room for WB_ORDERS_DELTAS_MAX. O(1); a SNAPSHOT_END plays the queue, a SCALE goes through book and queue:
 * finer units scale both, and the level-2 book must be scaled as well; coarser ones empty the book. */
wb_order_sync_result wb_order_sync_take(wb_order_sync *sync, const wb_order_event *event, wb_delta delta[WB_ORDERS_DELTAS_MAX],
                                        uint32_t *delta_count);

/* wb_order_sync_move goes on with another, larger book, which takes over the orders. Returns what wb_orders_copy does; on an error the sync has the
 * book it had. */
int wb_order_sync_move(wb_order_sync *sync, wb_orders *larger);

#endif
