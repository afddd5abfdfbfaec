/* level3.h - the level-3 books of the book stage: each product's orders in step with the exchange's sequence (book/order_sync.h), whatever the line.
 *
 * What:    takes the ORDER messages of all lines, drops what another line has brought, says what became of the level-2 book, and knows which lines are
 *          up. When the first comes up, or none is left, all begins anew; a line more or less while another is up changes nothing, as
 *          the sequence tells what is missing.
 * Lines    each brings all events in order. One that skips a number does not make the book wait for a snapshot while another line can still bring what is
 *          missing: what came behind the hole is held, 256 events at most and a second, and released when the hole is filled, or when nobody
 *          can fill it.
 * Snapshot what was asked for on a connection that is gone meanwhile is left aside: events between it and the subscription that is in force may be missing,
 *          and of a product in which nothing happens nobody would see it.
 * Recording messages alone, without answers and connections: the book they begin with is open messages of one and the same sequence, two at
 *          least, which no feed sends. They are taken as the snapshot.
 * Memory:  given. Threads: the book thread; what is marked `R any` is read by others. */
#ifndef WB_STAGES_LEVEL3_H
#define WB_STAGES_LEVEL3_H

#include "engine/base/products.h"
#include "engine/book/book.h"
#include "engine/book/order_sync.h"
#include "engine/feed/recover.h"
#include "engine/feed/trades.h"

/* Events that wait for a snapshot, a product: 4 s of 1,000 a second. */
enum { WB_LEVEL3_EVENTS_MAX = 4096 };

/* Events that are held, a product: a line is seldom more than a few ms behind another. */
enum { WB_LEVEL3_HELD_MAX = 256 };
#define WB_LEVEL3_HELD_NS UINT64_C(1000000000)

typedef struct wb_level3_product {
  wb_order_sync sync;
  wb_order_event *held; /* a ring: a run of numbers behind a hole */
  uint32_t held_first, held_count;
  uint64_t held_since_ns;
  uint64_t seen[WB_LINE_COUNT_MAX]; /* of each line, the last sequence */
  wb_order_event first;             /* of a recording */
  uint8_t opening;                  /* how far a recording's beginning has come */
  bool asked;                       /* a first snapshot was asked for since the feed came up */
  bool aside;                       /* the snapshot that comes in is left aside */
} wb_level3_product;

/* What a report shows of one product. since start, or since a replay's window began: see wb_order_sync. */
typedef struct wb_level3_view {
  uint64_t orders, sequence, loaded, useless, old, skipped, overrun, disagreements;
} wb_level3_view;

typedef struct wb_level3 {
  wb_level3_product *product;
  wb_level3_view *begun, *view; /* counters as a window began; of the last capture */
  uint32_t product_count;
  uint32_t lines, told;                   /* a bit for each that is up, and that ever said so */
  uint16_t connection[WB_LINE_COUNT_MAX]; /* of each line that is up */
  uint64_t duplicates[WB_LINE_COUNT_MAX]; /* W book, R any: events of the line that had come before */
  bool recording;
} wb_level3;

typedef struct wb_level3_config {
  const wb_products *products;
  wb_orders_config orders;
  bool recording;
} wb_level3_config;

/* wb_level3_bytes returns the memory that init needs, zeroed and 64-byte aligned; mostly never touched. 0 if the config is out of range. */
size_t wb_level3_bytes(const wb_level3_config *config);
void wb_level3_init(wb_level3 *level3, void *memory, const wb_level3_config *config);

/* wb_level3_line: a line came up or went down. Returns whether the feed did: then all books wait. */
bool wb_level3_line(wb_level3 *level3, uint32_t line, uint16_t connection, bool up);

/* wb_level3_line_up returns the first line that is up; 0 if none is. */
uint32_t wb_level3_line_up(const wb_level3 *level3);

/* wb_level3_hold takes an ORDER message aside; false: its event is to be taken now. wb_level3_release gives in *event what was held and is to be taken now, at
 * this time; false if there is none. Before and after each message, and where a line changed. */
bool wb_level3_hold(wb_level3 *level3, const wb_message *message);
bool wb_level3_release(wb_level3 *level3, uint32_t product, uint64_t recv_ns, wb_order_event *event);

/* wb_level3_trade gives the trade that a MATCH is; false if the event is none, or the book does not know yet whose it was (`level3` says no side).
 * *numbered: it has an id. Before wb_level3_take. */
bool wb_level3_trade(const wb_level3 *level3, const wb_order_event *event, wb_trade *trade, bool *numbered);

/* wb_level3_take takes an event, of this message's line; delta, count and result as wb_order_sync_take. After LOADED wb_level3_load makes the level-2 book of the orders: 0 or
 * WB_E_FULL. */
wb_order_sync_result wb_level3_take(wb_level3 *level3, const wb_message *message, const wb_order_event *event,
                                    wb_delta delta[WB_ORDERS_DELTAS_MAX], uint32_t *count);
int wb_level3_load(const wb_level3 *level3, uint32_t product, wb_book *book);

/* wb_level3_why returns why a product's orders began to wait. */
wb_reason wb_level3_why(const wb_level3 *level3, uint32_t product);

/* wb_level3_scale takes a SCALE; false if the orders cannot be held in these units: their book waits. */
bool wb_level3_scale(wb_level3 *level3, const wb_message *message);

/* wb_level3_doubt: the level-2 book is suspect, for whatever reason: a book that is live waits for a snapshot. */
void wb_level3_doubt(wb_level3 *level3, uint32_t product);

/* wb_level3_first says, once since the feed came up or wb_level3_again, that a first snapshot is to be asked for: the book waits for one. */
bool wb_level3_first(wb_level3 *level3, uint32_t product);

/* wb_level3_again: the product is subscribed anew. */
void wb_level3_again(wb_level3 *level3, uint32_t product);

/* wb_level3_heard: events wait, so the subscription is in force. */
static inline bool wb_level3_heard(const wb_level3 *level3, uint32_t product) {
  return level3->product[product].sync.queue_count != 0;
}

/* wb_level3_window: counters begin anew. wb_level3_capture brings the views up to date. */
void wb_level3_window(wb_level3 *level3);
void wb_level3_capture(wb_level3 *level3);

#endif
