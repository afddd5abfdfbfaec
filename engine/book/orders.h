/* orders.h - one product's level-3 book: every order by its id, in the queue of its price, and what each event does to the level-2 book.
 *
 * What:    orders in a flat pool, found by id; prices in another, found by price and side, each with its total and the queue of its orders,
 *          first come first. No order of prices is kept: every event yields the new totals as wb_delta, and a wb_book that is fed with them
 *          (book.h) is the level-2 view at every step.
 * Queue:   Coinbase Exchange executes in price-time priority (https://docs.cdp.coinbase.com/exchange/concepts/matching-engine). An order that
 *          opens goes last. A match takes from its maker whatever the place of that, since the exchange says which order it was. A change
 *          to another price goes last there. What a change of size alone does to the place the exchange does not document (the feed's
 *          "change" names sizes and prices, no place): as is common with price-time priority, here an order that gets smaller keeps its
 *          place, as self-trade prevention can only make it, and one that gets larger goes last. That the list of one price in a snapshot is
 *          in the order of the queue is not documented either. The totals do not depend on any of this.
 * Rules:   (https://docs.cdp.coinbase.com/exchange/websocket-feed/channels, full channel) done and change of an order that is not on the book
 *          are of orders that never opened, and do nothing. An order that a match has emptied is gone at once; its done comes later, and does
 *          nothing. What cannot be if no message is missing (open of an order that is there, match of one that is not, match of more than is
 *          left, the other side) is WB_E_STATE, and the book is as before: see order_sync.h. Prices of matches are not compared
 *          with their orders', for an auction may have its own.
 * Memory:  given by the caller, wb_orders_bytes long, zeroed, 64-byte aligned; 104 to 136 bytes an order of the limit, of which what was
 *          never used is not touched, but for the slots (32 to 64 of them). Nothing is allocated afterwards. A book that is full says
 *          WB_E_FULL; one that is larger takes its orders over by wb_orders_copy.
 * Hash:    keyed, so that no peer who does not know the key can choose ids that collide. The key shows in nothing but time.
 * Threads: one thread. */
#ifndef WB_BOOK_ORDERS_H
#define WB_BOOK_ORDERS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/order_event.h"

typedef struct wb_orders wb_orders;

/* order_count_max: 1..2^24 (0: default, 2^18). BTC-USD has some 45,000 levels. hash_key: any, best random. */
typedef struct wb_orders_config {
  uint32_t order_count_max;
  uint64_t hash_key;
} wb_orders_config;

typedef struct wb_order {
  wb_order_id id;
  uint64_t price, size;
  wb_side side;
} wb_order;

/* Where an order stands at its price: what is before it, and all that is there. */
typedef struct wb_order_place {
  uint64_t size_ahead, level_size;
  uint32_t orders_ahead, level_orders;
} wb_order_place;

/* Of a level; count is 0 where there is none. */
typedef struct wb_order_level {
  uint64_t size;
  uint32_t count;
} wb_order_level;

/* wb_orders_bytes returns the memory a book needs, 0 if the config is out of range. wb_orders_init makes an empty book in it and returns it; NULL if
 * the config is out of range or memory is NULL or not aligned. */
size_t wb_orders_bytes(const wb_orders_config *config);
wb_orders *wb_orders_init(void *memory, const wb_orders_config *config);

/* wb_orders_clear removes every order. O(order_count_max) where there was one. */
void wb_orders_clear(wb_orders *orders);

/* wb_orders_apply applies OPEN, RESTING, MATCH, CHANGE or DONE; other kinds do nothing. Returns how many deltas it wrote, 0..WB_ORDERS_DELTAS_MAX: the new
 * totals at the prices it touched, to be applied in that order. Or, the book as before: WB_E_STATE (see Rules), WB_E_FULL, WB_E_RANGE
 * (the total at a price would exceed WB_QUANTITY_MAX), WB_E_INVALID (price or size out of range, or none where there must be one).
 * O(1): one or two slots, an order and its neighbours, a level or two. */
enum { WB_ORDERS_DELTAS_MAX = 2 };
int wb_orders_apply(wb_orders *orders, const wb_order_event *event, wb_delta delta[WB_ORDERS_DELTAS_MAX]);

/* wb_orders_find gives an order; false if it is not there. wb_orders_ahead tells its place; O(orders ahead). wb_orders_level gives a price's total. */
bool wb_orders_find(const wb_orders *orders, wb_order_id id, wb_order *order);
bool wb_orders_ahead(const wb_orders *orders, wb_order_id id, wb_order_place *place);
wb_order_level wb_orders_level(const wb_orders *orders, wb_side side, uint64_t price);

/* wb_orders_queue copies up to max orders of a price, first in the queue first, and returns how many. */
uint32_t wb_orders_queue(const wb_orders *orders, wb_side side, uint64_t price, wb_order *order, uint32_t max);

/* wb_orders_levels copies up to max levels, in no order of prices, and returns how many, 0 at the end. Begin with *cursor = 0; the book must
 * not change in between. What it gives is what wb_book_load_add takes. */
uint32_t wb_orders_levels(const wb_orders *orders, uint32_t *cursor, wb_delta *delta, uint32_t max);

uint32_t wb_orders_count(const wb_orders *orders);
uint32_t wb_orders_level_count(const wb_orders *orders);

/* wb_orders_disagreements returns how often, since init, the size that a done or a change said an order had was not what the book held. The event was
 * applied nevertheless: the order is as the exchange said last. */
uint64_t wb_orders_disagreements(const wb_orders *orders);

/* wb_orders_copy makes `to` hold what `from` holds, queues included. Returns 0, or WB_E_FULL and `to` is empty. */
int wb_orders_copy(wb_orders *to, const wb_orders *from);

/* wb_orders_scale multiplies every price and size by powers of ten: the product's units became finer. Returns 0; WB_E_INVALID if a factor is
 * none; WB_E_RANGE if a price or total would exceed WB_QUANTITY_MAX; on an error the book is as before. O(orders). */
int wb_orders_scale(wb_orders *orders, uint64_t price_factor, uint64_t size_factor);

/* wb_orders_check examines every structure against every other and returns NULL, or static text naming the first rule that is broken. For
 * tests. O(order_count_max). */
const char *wb_orders_check(const wb_orders *orders);

#endif
