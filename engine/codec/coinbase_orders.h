/* coinbase_orders.h - level 3 of Coinbase's Exchange feed: the channels `full` and `level3`, and the REST snapshot they are spliced to.
 *
 * Decodes  received, open, done, match, change, activate of `full`; open, done, match, change, noop of `level3`, arrays whose fields are in
 *          the order that the channel's schema message gave, or the documented one until there was such; every other type -> IGNORED
 *          (last_match too, which is of the channel `matches` and repeats what was). The answer of /products/{id}/book?level=3 ->
 *          SNAPSHOT, a RESTING each order, SNAPSHOT_END.
 * Strict   as coinbase_exchange.h: UTF-8, JSON (RFC 8259), then the schema; a message that breaks one gives one REJECT and nothing else; a
 *          key that is read and comes twice is bad_json; escapes, white space, key order and unknown keys are legal. The whole text is read
 *          before anything is put out. What must be there:
 *            received, change   product_id, sequence, order_id, side
 *            open               and price, remaining_size, both above zero
 *            done               product_id, sequence, order_id
 *            match              product_id, sequence, maker_order_id, taker_order_id, price and size above zero; of `full` also side, trade_id
 *            activate           product_id, order_id, side
 *            noop               product_id, sequence
 *            snapshot           sequence, bids and asks of [price, size, order_id], price and size above zero
 *          `level3` has no side but in open, and no trade_id. What else an event holds is read where it is there and not null: price and size
 *          of received; side, remaining_size and reason of done; price or old_price and new_price, old_size and new_size of change; stop_price, size, sequence
 *          and timestamp of activate. The price and size of a `level3` change are taken as the new ones, its schema does not say.
 *          An order's id is a UUID (RFC 9562), 36 characters; else bad_number. `sequence` is a number in `full` and in the
 *          snapshot, a string in `level3`. time as in coinbase_exchange.h.
 * Units    those of the instance's products, which other messages of the feed may have widened. An event whose numbers need finer ones widens them, a
 *          snapshot chooses anew, as in coinbase_exchange.h: a SCALE comes first. A snapshot prefers units in which all sizes of a side together fit, so that no level is too large. What fits no scale is
 *          number_range.
 * Cost     half a microsecond an event, by the JSON scanner (docs/level3.md); a snapshot is read twice, and once more where its units change.
 * Memory   that of the codec coinbase-exchange, whose `size` and `init` make an instance. No allocation, no syscall, no clock. Threads: one an
 *          instance.
 * Source   https://docs.cdp.coinbase.com/exchange/websocket-feed/channels (full, level3), recorded frames of `full`. */
#ifndef WB_CODEC_COINBASE_ORDERS_H
#define WB_CODEC_COINBASE_ORDERS_H

#include <stddef.h>

#include "engine/order_event.h"
#include "engine/port.h"

/* Where events go, one by one, in order. An event is the codec's, and is gone when put returns. */
typedef struct wb_order_out {
  void (*put)(struct wb_order_out *out, const wb_order_event *event);
} wb_order_out;

typedef struct wb_coinbase wb_coinbase;

/* wb_coinbase_orders_decode takes one text message of the feed and puts 1 or 2 events. Nothing is read past text[bytes). */
void wb_coinbase_orders_decode(wb_coinbase *state, const uint8_t *text, uint32_t bytes, wb_order_out *out);

/* wb_coinbase_orders_snapshot takes the body of a REST answer for a product, which it does not name itself. */
void wb_coinbase_orders_snapshot(wb_coinbase *state, uint16_t product, const uint8_t *text, uint32_t bytes, wb_order_out *out);

/* ---- in a node, private to engine/codec: init is part of the codec's own; road and answer take a text message and an ANSWER frame of an instance that was
 * turned to level 3, as messages. What else the feed sends goes on to the road of level 2, but for its books. The rest is the codec's wb_codec_orders. */
void wb_coinbase_orders_init(wb_coinbase *state);
void wb_coinbase_orders_road(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
void wb_coinbase_orders_answer(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
bool wb_coinbase_orders_channel(const char *name);
void wb_coinbase_orders_begin(void *state);
int wb_coinbase_orders_path(const wb_products *products, uint16_t product, char *text, size_t size);

#endif
