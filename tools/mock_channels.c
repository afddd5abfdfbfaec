#include "tools/mock_exchange.h"
#include "tools/mock_listing.h"

/* ------------------------------------------------------------------------------------------------ orders */

void wb_mock_channels_follow(wb_mock_client *client, wb_mock_product *product, bool level3) {
  if (!client->server->recording && !wb_mock_server_orders(client->server, product)) {
    wb_mock_client_drop(client, true, "no memory for orders");
    return;
  }
  if (level3 && !client->schema_sent && !client->server->recording) {
    char text[WB_MOCK_ORDER_BYTES_MAX];
    wb_mock_client_put(client, text, wb_mock_orders_schema(&product->text, text));
    client->schema_sent = true;
  }
  wb_mock_server_follow(client->server, product, client);
}

static void put_order(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  const wb_mock_fault *fault = client->server->options.fault;
  client->record.orders++;
  if (fault && fault->order && --client->until_order == 0 && wb_mock_fault_now(client)) {
    wb_mock_fault_happened(client);
    fault->order(client, product, text, bytes);
  } else {
    wb_mock_client_put(client, text, bytes);
  }
}

void wb_mock_channels_orders(wb_mock_server *server, wb_mock_product *product, const char *time) {
  const wb_mock_orders *orders = product->orders;
  char full[WB_MOCK_ORDER_BYTES_MAX], level3[WB_MOCK_ORDER_BYTES_MAX];
  for (uint32_t n = 0; n < orders->message_count; n++) {
    size_t full_bytes = 0, level3_bytes = 0;
    for (uint32_t i = product->follower_count; i-- > 0;) {
      wb_mock_client *client = product->follower[i];
      uint16_t wants = client->wants[product - server->product];
      if (wants >> WB_MOCK_FULL & 1) {
        if (!full_bytes) full_bytes = wb_mock_orders_full(orders, &product->text, &orders->message[n], time, full);
        put_order(client, product, full, full_bytes);
      }
      if (wants >> WB_MOCK_LEVEL3 & 1) {
        if (!level3_bytes) level3_bytes = wb_mock_orders_level3(orders, &product->text, &orders->message[n], time, level3);
        put_order(client, product, level3, level3_bytes);
      }
    }
  }
}

/* ------------------------------------------------------------------------------------------------ at an interval */

enum { STATUS_TIMER, BATCH_TIMER, AUCTION_TIMER, RFQ_TIMER };
_Static_assert((int)RFQ_TIMER + 1 == (int)WB_MOCK_TIMERS, "a timer has a time in the server");

static bool wants(const wb_mock_client *client, uint32_t product, int channel) {
  return client->state == WB_MOCK_OPEN && client->wants[product] >> channel & 1;
}

static bool anybody(const wb_mock_server *server, uint32_t product, int channel) {
  for (uint32_t i = 0; i < server->client_count; i++)
    if (wants(server->client[i], product, channel)) return true;
  return false;
}

static void put_to_all(wb_mock_server *server, uint32_t product, int channel, const char *text, size_t bytes) {
  for (uint32_t i = 0; i < server->client_count; i++)
    if (wants(server->client[i], product, channel)) wb_mock_client_put(server->client[i], text, bytes);
}

static json_t *status_json(const wb_mock_server *server) {
  json_t *products = json_array();
  for (uint32_t i = 0; i < server->product_count; i++)
    json_array_append_new(products, wb_mock_listing_product(&server->product[i], true));
  return json_pack("{s:s,s:o,s:o}", "type", "status", "currencies", wb_mock_listing_currencies(server), "products", products);
}

void wb_mock_channels_status(wb_mock_client *client) {
  json_t *status = status_json(client->server);
  if (status) wb_mock_exchange_send(client, status);
}

static void tell_status(wb_mock_server *server, uint32_t product) {
  if (product) return; /* all are in one message */
  for (uint32_t i = 0; i < server->client_count; i++)
    if (wants(server->client[i], 0, WB_MOCK_STATUS)) wb_mock_channels_status(server->client[i]);
}

static void tell_batch(wb_mock_server *server, uint32_t index) {
  wb_mock_product *product = &server->product[index];
  if (product->batch_trade_id == product->market.last_trade_id) return;
  product->batch_trade_id = product->market.last_trade_id;
  char text[WB_MOCK_TICKER_BYTES_MAX];
  size_t bytes = wb_mock_text_ticker(&product->text, wb_mock_server_time(server, product), text);
  put_to_all(server, index, WB_MOCK_TICKER_BATCH, text, bytes);
}

static void tell_auction(wb_mock_server *server, uint32_t index) {
  const wb_mock_product *product = &server->product[index];
  const wb_mock_market *market = &product->market;
  if (!product->auction) return;
  const wb_mock_level *bid = wb_mock_market_level(market, WB_SIDE_BID, 0), *ask = wb_mock_market_level(market, WB_SIDE_ASK, 0);
  char bid_price[WB_MOCK_NUMBER_TEXT], bid_size[WB_MOCK_NUMBER_TEXT], ask_price[WB_MOCK_NUMBER_TEXT],
      ask_size[WB_MOCK_NUMBER_TEXT], price[WB_MOCK_NUMBER_TEXT], size[WB_MOCK_NUMBER_TEXT], text[WB_MOCK_TICKER_BYTES_MAX];
  wb_mock_text_price(&product->text, bid->price, bid_price);
  wb_mock_text_price(&product->text, ask->price, ask_price);
  wb_mock_text_price(&product->text, market->last_trade.price, price);
  wb_mock_text_size(&product->text, bid->size, bid_size);
  wb_mock_text_size(&product->text, ask->size, ask_size);
  wb_mock_text_size(&product->text, bid->size < ask->size ? bid->size : ask->size, size);
  int bytes = snprintf(
      text, sizeof text,
      "{\"type\":\"auction\",\"product_id\":\"%s\",\"sequence\":%llu,\"auction_state\":\"collection\",\"best_bid_price\":\"%"
      "s\","
      "\"best_bid_size\":\"%s\",\"best_ask_price\":\"%s\",\"best_ask_size\":\"%s\",\"open_price\":\"%s\",\"open_size\":\"%s\","
      "\"can_open\":\"yes\",\"timestamp\":\"%.27s\"}",
      market->product, (unsigned long long)market->sequence, bid_price, bid_size, ask_price, ask_size, price, size,
      wb_mock_server_time(server, product));
  put_to_all(server, index, WB_MOCK_AUCTIONS, text, wb_mock_text_spaced(&product->text, text, (size_t)bytes));
}

static uint64_t drawn(wb_mock_server *server) {
  uint64_t z = (server->rfq_random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static wb_order_id drawn_id(wb_mock_server *server) {
  uint64_t high = drawn(server), low = drawn(server);
  return (wb_order_id){(high & ~UINT64_C(0xf000)) | 0x4000, (low & UINT64_MAX >> 2) | UINT64_C(1) << 63};
}

/* About every fourth second. */
static void tell_rfq(wb_mock_server *server, uint32_t index) {
  const wb_mock_product *product = &server->product[index];
  uint64_t bits = drawn(server);
  if (bits & 3) return;
  char maker[WB_MOCK_ID_BYTES + 1], taker[WB_MOCK_ID_BYTES + 1], price[WB_MOCK_NUMBER_TEXT], size[WB_MOCK_NUMBER_TEXT];
  char text[WB_MOCK_TICKER_BYTES_MAX];
  wb_mock_text_id(drawn_id(server), maker);
  wb_mock_text_id(drawn_id(server), taker);
  wb_mock_text_price(&product->text, product->market.last_trade.price, price);
  wb_mock_text_size(&product->text, 1 + (bits >> 8 & 0xffffff), size);
  int bytes = snprintf(
      text, sizeof text,
      "{\"type\":\"rfq_match\",\"maker_order_id\":\"%s\",\"taker_order_id\":\"%s\",\"time\":\"%.27s\",\"trade_id\":%llu,"
      "\"product_id\":\"%s\",\"size\":\"%s\",\"price\":\"%s\",\"side\":\"%s\"}",
      maker, taker, wb_mock_server_time(server, product), (unsigned long long)++server->rfq_count, product->market.product,
      size, price, bits & 4 ? "buy" : "sell");
  put_to_all(server, index, WB_MOCK_RFQ_MATCHES, text, wb_mock_text_spaced(&product->text, text, (size_t)bytes));
}

uint64_t wb_mock_channels_tick(wb_mock_server *server, uint64_t now_ns) {
  static const struct {
    int channel;
    void (*tell)(wb_mock_server *server, uint32_t product);
  } timers[WB_MOCK_TIMERS] = {
      [STATUS_TIMER] = {WB_MOCK_STATUS, tell_status},
      [BATCH_TIMER] = {WB_MOCK_TICKER_BATCH, tell_batch},
      [AUCTION_TIMER] = {WB_MOCK_AUCTIONS, tell_auction},
      [RFQ_TIMER] = {WB_MOCK_RFQ_MATCHES, tell_rfq},
  };
  uint64_t next = UINT64_MAX;
  for (int i = 0; i < WB_MOCK_TIMERS && !server->options.recording; i++) {
    uint64_t every_ns = i == STATUS_TIMER  ? server->options.status_ns
                        : i == BATCH_TIMER ? server->options.ticker_batch_ns
                                           : UINT64_C(1000000000);
    if (now_ns >= server->timer_due_ns[i]) {
      server->timer_due_ns[i] = now_ns + every_ns;
      for (uint32_t product = 0; product < server->product_count; product++)
        if (anybody(server, product, timers[i].channel)) timers[i].tell(server, product);
    }
    if (server->timer_due_ns[i] < next) next = server->timer_due_ns[i];
  }
  return next;
}
