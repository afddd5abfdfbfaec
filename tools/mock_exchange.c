#include "tools/mock_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "io/host.h"
#include "tools/mock_venue.h"

enum {
  ORDER_CHANNELS = 1 << WB_MOCK_FULL | 1 << WB_MOCK_LEVEL3,
  TICKER_CHANNELS = 1 << WB_MOCK_TICKER | 1 << WB_MOCK_TICKER_BATCH
};

static const struct {
  const char *name;
  int channel;
  bool login;
} channels[] = {
    {"level2_batch", WB_MOCK_LEVEL2, false},
    {"level2_50", WB_MOCK_LEVEL2, false},
    {"level2", WB_MOCK_LEVEL2, true},
    {"heartbeat", WB_MOCK_HEARTBEAT, false},
    {"ticker", WB_MOCK_TICKER, false},
    {"ticker_batch", WB_MOCK_TICKER_BATCH, false},
    {"ticker_1000", WB_MOCK_TICKER_BATCH, false},
    {"matches", WB_MOCK_MATCHES, false},
    {"auctionfeed", WB_MOCK_AUCTIONS, false},
    {"rfq_matches", WB_MOCK_RFQ_MATCHES, false},
    {"status", WB_MOCK_STATUS, false},
    {"level3", WB_MOCK_LEVEL3, true},
    {"full", WB_MOCK_FULL, true},
    {"user", -1, true},
    {"balance", -1, true},
};

static const char login_text[] = "level2, level3, and full channels now require authentication. "
                                 "https://docs.cloud.coinbase.com/exchange/docs/websocket-auth";

/* ------------------------------------------------------------------------------------------------ answers */

void wb_mock_exchange_send(wb_mock_client *client, json_t *object) {
  char *text = json_dumps(object, client->server->options.spaced ? 0 : JSON_COMPACT);
  if (text) wb_mock_client_put(client, text, strlen(text));
  free(text);
  json_decref(object);
}

void wb_mock_exchange_error(wb_mock_client *client, const char *message, const char *reason) {
  json_t *error = json_pack("{s:s,s:s}", "type", "error", "message", message);
  if (reason && error) json_object_set_new(error, "reason", json_string(reason));
  if (error) wb_mock_exchange_send(client, error);
}

static void __attribute__((format(printf, 3, 4))) fail(wb_mock_client *client, const char *message, const char *format, ...) {
  char reason[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  if (!wb_utf8_valid((const uint8_t *)reason, strlen(reason))) strcpy(reason, "too long");
  wb_mock_exchange_error(client, message, reason);
}

static json_t *channel_json(const wb_mock_client *client, int channel, const char *name) {
  json_t *ids = json_array();
  for (uint32_t i = 0; i < client->server->product_count && channel != WB_MOCK_STATUS; i++)
    if (client->wants[i] >> channel & 1) json_array_append_new(ids, json_string(client->server->product[i].market.product));
  return json_pack("{s:s,s:o,s:n}", "name", name, "product_ids", ids, "account_ids");
}

/* The whole current list, as the real one answers to subscribe and unsubscribe alike. */
static void acknowledge(wb_mock_client *client, bool renamed) {
  json_t *list = json_array();
  for (unsigned i = 0; i < client->channel_count; i++) {
    int channel = client->channel_order[i];
    const char *name = client->channel_name[channel];
    if (renamed && channel == WB_MOCK_LEVEL2) name = strcmp(name, "level2_50") == 0 ? "level2_batch" : "level2_50";
    json_array_append_new(list, channel_json(client, channel, name));
  }
  json_t *answer = json_pack("{s:s,s:o}", "type", "subscriptions", "channels", list);
  if (answer) wb_mock_exchange_send(client, answer);
}

/* ------------------------------------------------------------------------------------------------ reading a request */

typedef struct parse {
  wb_mock_client *client;
  const char *message; /* "Failed to subscribe" */
  bool unsubscribe, signed_in;
  json_t *root_products;
  wb_mock_request request;
  uint16_t named; /* channels that were valid */
  uint16_t whole; /* unsubscribe: channels without a product */
  char name[WB_MOCK_CHANNELS][24];
  uint8_t order[WB_MOCK_CHANNELS], order_count;
} parse;

static int find(const parse *reading, const json_t *id, bool report) {
  const char *text = json_is_string(id) ? json_string_value(id) : NULL;
  int product = text ? wb_mock_server_find(reading->client->server, text) : -1;
  if (product < 0 && report)
    fail(reading->client, reading->message, "%s is not a valid product", text ? text : "what is no string");
  return product;
}

static void want(parse *reading, int product, int channel) {
  wb_mock_request *request = &reading->request;
  if (product < 0) return;
  if (!request->wants[product]) request->product[request->product_count++] = (uint16_t)product;
  request->wants[product] |= (uint16_t)(1u << channel);
}

static void read_channel(parse *reading, json_t *entry) {
  json_t *name = json_is_object(entry) ? json_object_get(entry, "name") : entry;
  json_t *own = json_is_object(entry) ? json_object_get(entry, "product_ids") : NULL;
  if (!json_is_string(name) || (own && !json_is_array(own))) {
    fail(reading->client, reading->message, "a channel is a name or {\"name\", \"product_ids\"}");
    return;
  }
  const char *text = json_string_value(name);
  size_t row = 0;
  while (row < sizeof channels / sizeof *channels && strcmp(channels[row].name, text) != 0) row++;
  if (row == sizeof channels / sizeof *channels) {
    fail(reading->client, reading->message, "%s is not a valid channel", text);
    return;
  }
  int channel = channels[row].channel;
  if (channels[row].login && (channel < 0 || !(reading->signed_in || reading->unsubscribe))) {
    fail(reading->client, reading->message, "%s", login_text);
    return;
  }
  if (reading->client->server->venue && (1 << channel & ORDER_CHANNELS)) {
    fail(reading->client, reading->message, "%s is not a valid channel", text);
    return;
  }
  size_t products = channel == WB_MOCK_STATUS ? 0 : json_array_size(own) + json_array_size(reading->root_products);
  bool all = products == 0 && !reading->unsubscribe && (channel == WB_MOCK_STATUS || channel == WB_MOCK_RFQ_MATCHES);
  if (products == 0 && !all && !reading->unsubscribe) {
    fail(reading->client, reading->message, "You need to specify at least one product ID for channel %s", text);
    return;
  }
  if (!(reading->named >> channel & 1)) reading->order[reading->order_count++] = (uint8_t)channel;
  reading->named |= (uint16_t)(1u << channel);
  if (products == 0) reading->whole |= (uint16_t)(1u << channel);
  strcpy(reading->name[channel], text);
  size_t i;
  json_t *id;
  json_array_foreach(reading->root_products, i, id) want(reading, find(reading, id, false), channel);
  json_array_foreach(own, i, id) want(reading, find(reading, id, true), channel);
  for (uint32_t product = 0; all && product < reading->client->server->product_count; product++)
    want(reading, (int)product, channel);
}

/* ------------------------------------------------------------------------------------------------ granting it */

static void drop(wb_mock_client *client, uint32_t product, uint16_t unwanted) {
  client->wants[product] &= (uint16_t)~unwanted;
  if (unwanted >> WB_MOCK_LEVEL2 & 1) wb_mock_server_leave(client->server, &client->server->product[product], client);
  if (!(client->wants[product] & ORDER_CHANNELS))
    wb_mock_server_unfollow(client->server, &client->server->product[product], client);
}

static bool wanted(const wb_mock_client *client, int channel) {
  for (uint32_t i = 0; i < client->server->product_count; i++)
    if (client->wants[i] >> channel & 1) return true;
  return false;
}

static void forget_empty(wb_mock_client *client) {
  unsigned kept = 0;
  for (unsigned i = 0; i < client->channel_count; i++)
    if (wanted(client, client->channel_order[i])) client->channel_order[kept++] = client->channel_order[i];
  client->channel_count = (uint8_t)kept;
  if (!wanted(client, WB_MOCK_HEARTBEAT)) client->heartbeat_ns = 0;
}

static void ticker(wb_mock_client *client, const wb_mock_product *product, const char *time);
static void match(wb_mock_client *client, const wb_mock_product *product, const char *type, const wb_mock_trade *trade,
                  const char *time);

static void unsubscribe(parse *reading) {
  wb_mock_client *client = reading->client;
  for (uint32_t i = 0; i < client->server->product_count; i++)
    if (reading->whole) drop(client, i, reading->whole);
  for (uint32_t i = 0; i < reading->request.product_count; i++)
    drop(client, reading->request.product[i], reading->request.wants[reading->request.product[i]]);
  forget_empty(client);
  acknowledge(client, false);
}

/* Those of a product and channel that an account has already. */
static unsigned subscribed(const wb_mock_client *client, uint16_t product, int channel) {
  unsigned count = 0;
  for (uint32_t i = 0; i < client->server->client_count; i++) {
    const wb_mock_client *other = client->server->client[i];
    bool same = other->state == WB_MOCK_OPEN && strcmp(other->account, client->account) == 0;
    count += same && other->wants[product] >> channel & 1;
  }
  return count;
}

static void limit(parse *reading) {
  wb_mock_client *client = reading->client;
  wb_mock_request *request = &reading->request;
  for (uint32_t i = 0; i < request->product_count; i++) {
    uint16_t product = request->product[i], added = request->wants[product] & (uint16_t)~client->wants[product];
    for (int channel = 0; channel < WB_MOCK_CHANNELS; channel++) {
      if (!(added >> channel & 1) || subscribed(client, product, channel) < WB_MOCK_SUBSCRIPTIONS_MAX) continue;
      client->server->breaches.subscriptions++;
      if (!client->server->options.enforce) continue;
      request->wants[product] &= (uint16_t) ~(1u << channel);
      fail(client, reading->message, "%s has %d subscriptions to channel %s already",
           client->server->product[product].market.product, WB_MOCK_SUBSCRIPTIONS_MAX, reading->name[channel]);
    }
  }
}

static void subscribe(parse *reading) {
  wb_mock_client *client = reading->client;
  wb_mock_server *server = client->server;
  wb_mock_request *request = &reading->request;
  const wb_mock_fault *fault = server->options.fault;
  if (fault && fault->subscribe && wb_mock_fault_now(client)) {
    wb_mock_fault_happened(client);
    fault->subscribe(client, request);
  }
  limit(reading);
  if (!client->subscribed) client->deadline_ns = 0;
  client->subscribed = true;
  for (unsigned i = 0; i < reading->order_count; i++) {
    int channel = reading->order[i];
    bool known = false;
    for (unsigned k = 0; k < client->channel_count; k++) known |= client->channel_order[k] == channel;
    if (known) continue;
    client->channel_order[client->channel_count++] = (uint8_t)channel;
    strcpy(client->channel_name[channel], reading->name[channel]);
  }
  for (uint32_t i = 0; i < request->product_count; i++) {
    uint16_t product = request->product[i], added = request->wants[product] & (uint16_t)~client->wants[product];
    client->wants[product] |= added;
    request->wants[product] = added;
  }
  if (server->options.enforce) forget_empty(client);
  acknowledge(client, request->renamed);
  if (!client->heartbeat_ns && !server->options.recording && wanted(client, WB_MOCK_HEARTBEAT))
    client->heartbeat_ns = wb_clock_ns() + UINT64_C(1000000000);
  for (uint32_t i = 0; i < request->product_count && client->state == WB_MOCK_OPEN; i++) {
    wb_mock_product *product = &server->product[request->product[i]];
    uint16_t added = request->wants[request->product[i]];
    const char *time = wb_mock_server_time(server, product);
    if (server->venue) wb_mock_venue_greet(client, request->product[i], added);
    if (added >> WB_MOCK_MATCHES & 1 && !server->options.recording)
      match(client, product, "last_match", &product->market.last_trade, time);
    if ((added & TICKER_CHANNELS) && !server->options.recording) ticker(client, product, time);
    if (added >> WB_MOCK_STATUS & 1 && product == server->product && !server->options.recording)
      wb_mock_channels_status(client);
    if (added & ORDER_CHANNELS) wb_mock_channels_follow(client, product, added >> WB_MOCK_LEVEL3 & 1);
    if (added >> WB_MOCK_LEVEL2 & 1) wb_mock_server_join(server, product, client);
  }
}

static void read_request(parse *reading, json_t *list) {
  json_t *entry;
  size_t i;
  json_array_foreach(reading->root_products, i, entry) find(reading, entry, true);
  json_array_foreach(list, i, entry) read_channel(reading, entry);
  if (!reading->named) return;
  if (reading->unsubscribe) unsubscribe(reading);
  else if (reading->request.product_count) subscribe(reading);
}

static void take(wb_mock_client *client, const char *text, size_t bytes) {
  json_error_t where;
  json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
  if (!json_is_object(root)) {
    wb_mock_exchange_error(client, "Malformed JSON", root ? "a message is an object" : where.text);
    json_decref(root);
    return;
  }
  const char *type = json_string_value(json_object_get(root, "type"));
  parse reading = {.client = client, .root_products = json_object_get(root, "product_ids")};
  reading.unsubscribe = type && strcmp(type, "unsubscribe") == 0;
  reading.message = reading.unsubscribe ? "Failed to unsubscribe" : "Failed to subscribe";
  json_t *list = json_object_get(root, "channels");
  if (!type || (!reading.unsubscribe && strcmp(type, "subscribe") != 0)) {
    fail(client, reading.message, "Type has to be either subscribe or unsubscribe");
  } else if (!json_is_array(list) || json_array_size(list) == 0) {
    fail(client, reading.message, "channels has to be a list of at least one channel");
  } else if (reading.root_products && !json_is_array(reading.root_products)) {
    fail(client, reading.message, "product_ids has to be a list");
  } else {
    uint32_t count = client->server->product_count;
    const char *refusal = NULL, *key = json_string_value(json_object_get(root, "key"));
    reading.signed_in = json_is_string(json_object_get(root, "signature")) && key &&
                        json_is_string(json_object_get(root, "passphrase")) && json_object_get(root, "timestamp");
    if (client->server->login && json_object_get(root, "signature"))
      refusal = wb_mock_login_fields(client->server->login, root, wb_clock_utc_ns());
    if (reading.signed_in && !refusal) snprintf(client->account, sizeof client->account, "%s", key);
    reading.request.wants = calloc(count, sizeof *reading.request.wants);
    reading.request.product = calloc(count, sizeof *reading.request.product);
    if (refusal) wb_mock_exchange_error(client, "Authentication Failed", refusal);
    else if (reading.request.wants && reading.request.product) read_request(&reading, list);
    free(reading.request.wants);
    free(reading.request.product);
  }
  json_decref(root);
}

static void heartbeat(wb_mock_client *client) {
  wb_mock_server *server = client->server;
  char text[WB_MOCK_HEARTBEAT_BYTES_MAX];
  for (uint32_t i = 0; i < server->product_count && client->state == WB_MOCK_OPEN; i++) {
    if (!(client->wants[i] >> WB_MOCK_HEARTBEAT & 1)) continue;
    const wb_mock_product *product = &server->product[i];
    wb_mock_client_put(client, text, wb_mock_text_heartbeat(&product->text, wb_mock_server_time(server, product), text));
    client->record.heartbeats++;
  }
}

static void ticker(wb_mock_client *client, const wb_mock_product *product, const char *time) {
  char text[WB_MOCK_TICKER_BYTES_MAX];
  size_t bytes = wb_mock_text_ticker(&product->text, time, text);
  char *price = client->wrong_ticker == product ? memmem(text, bytes, "best_ask\"", 9) : NULL;
  if (price) price += strcspn(price, "123456789");
  if (price) *price = *price == '9' ? '1' : (char)(*price + 1);
  wb_mock_client_put(client, text, bytes);
}

static void match(wb_mock_client *client, const wb_mock_product *product, const char *type, const wb_mock_trade *trade,
                  const char *time) {
  char text[WB_MOCK_TICKER_BYTES_MAX];
  if (client->lost_match == product) client->lost_match = NULL;
  else wb_mock_client_put(client, text, wb_mock_text_match(&product->text, type, trade, time, text));
}

static void traded(wb_mock_server *server, wb_mock_product *product, const char *time) {
  const wb_mock_market *market = &product->market;
  for (uint32_t i = 0; i < server->client_count; i++) {
    wb_mock_client *client = server->client[i];
    if (client->state != WB_MOCK_OPEN) continue;
    uint16_t wants = client->wants[product - server->product];
    bool told = wants >> WB_MOCK_FULL & 1; /* there they are already */
    for (uint32_t n = 0; n < market->trade_count && wants >> WB_MOCK_MATCHES & 1 && !told; n++)
      match(client, product, "match", &market->trade[n], time);
    if (wants >> WB_MOCK_TICKER & 1) ticker(client, product, time);
  }
}

static void invalid(wb_mock_client *client, const wb_mock_product *product) {
  fail(client, "Failed to subscribe", "%s is not a valid product", product->market.product);
}

const wb_mock_dialect wb_mock_exchange = {
    .name = "coinbase-exchange",
    .level_bytes = 32,
    .update_bytes_max = wb_mock_text_update_bytes_max,
    .update = wb_mock_text_update,
    .snapshot = wb_mock_text_snapshot,
    .take = take,
    .heartbeat = heartbeat,
    .traded = traded,
    .invalid = invalid,
    .orders = wb_mock_channels_orders,
    .tick = wb_mock_channels_tick,
};
