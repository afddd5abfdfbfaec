/* mock_exchange.h - the parts of the Exchange dialect: what its channels are, and who sends on them.
 *
 * Shape:   mock_exchange   subscribe and unsubscribe, heartbeat, ticker, matches
 *          mock_channels   the channels of orders, and those that come at an interval */
#ifndef WB_TOOLS_MOCK_EXCHANGE_H
#define WB_TOOLS_MOCK_EXCHANGE_H

#include <jansson.h>

#include "tools/mock_server.h"

/* Bits of a client's wants. */
enum {
  WB_MOCK_LEVEL2,
  WB_MOCK_HEARTBEAT,
  WB_MOCK_TICKER,
  WB_MOCK_TICKER_BATCH,
  WB_MOCK_MATCHES,
  WB_MOCK_AUCTIONS,
  WB_MOCK_RFQ_MATCHES,
  WB_MOCK_STATUS,
  WB_MOCK_FULL,
  WB_MOCK_LEVEL3,
  WB_MOCK_CHANNELS
};
_Static_assert((int)WB_MOCK_CHANNELS <= (int)WB_MOCK_CHANNELS_MAX, "a channel has a bit and a name in the client");

/* wb_mock_exchange_send sends a message and drops the reference. */
void wb_mock_exchange_send(wb_mock_client *client, json_t *object);

/* wb_mock_channels_follow: the client now gets a product's orders, on the channels that its wants say; before the first of level3 the schema. */
void wb_mock_channels_follow(wb_mock_client *client, wb_mock_product *product, bool level3);

/* wb_mock_channels_orders tells all that follow a product's orders what the last step did. */
void wb_mock_channels_orders(wb_mock_server *server, wb_mock_product *product, const char *time);

/* wb_mock_channels_status sends all products and currencies; tick what is due of the channels that come at an interval, and returns when it
 * is to be called again. */
void wb_mock_channels_status(wb_mock_client *client);
uint64_t wb_mock_channels_tick(wb_mock_server *server, uint64_t now_ns);

#endif
