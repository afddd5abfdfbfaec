#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "io/host.h"
#include "tools/mock_advanced_text.h"
#include "tools/mock_server.h"

#define SECOND_NS UINT64_C(1000000000)
#define TRADES_NS (SECOND_NS / 4)
#define SLOW_NS (5 * SECOND_NS)

/* In the order in which an acknowledgement lists them. HEARTBEATS is of no product: a client that wants it wants it of all. */
enum { CANDLES, HEARTBEATS, LEVEL2, MARKET_TRADES, STATUS, TICKER, TICKER_BATCH, CHANNELS };
_Static_assert((int)CHANNELS <= (int)WB_MOCK_CHANNELS_MAX, "a channel has a bit in the client");

static const char *const channels[CHANNELS] = {"candles", "heartbeats", "level2",      "market_trades",
                                               "status",  "ticker",     "ticker_batch"};

typedef struct wb_mock_advanced_state {
  wb_mock_tape *tape; /* by product */
  uint64_t *batched;  /* by product: the last trade that ticker_batch told */
  wb_mock_time clock; /* of what is not an update's */
  uint64_t trades_due_ns, candles_due_ns, slow_due_ns;
  char text[WB_MOCK_ADVANCED_TRADES_BYTES_MAX];
} wb_mock_advanced_state;

/* ------------------------------------------------------------------------------------------------ sending */

static void send_text(wb_mock_client *client, const char *text, size_t bytes) {
  if (!client->server->options.spaced) {
    wb_mock_client_put(client, text, bytes);
    return;
  }
  char *wide = malloc(2 * bytes);
  if (wide) wb_mock_client_put(client, wide, wb_mock_text_space(text, bytes, wide));
  free(wide);
}

static void fail(wb_mock_client *client, const char *message) {
  char text[128];
  send_text(client, text, (size_t)snprintf(text, sizeof text, "{\"type\":\"error\",\"message\":\"%s\"}", message));
}

static void invalid(wb_mock_client *client, const wb_mock_product *product) { fail(client, "failure to subscribe"); }

static bool wants(const wb_mock_client *client, uint32_t product, int channel) {
  return client->state == WB_MOCK_OPEN && client->wants[product] >> channel & 1;
}

static bool wanted(const wb_mock_client *client, int channel) {
  for (uint32_t i = 0; i < client->server->product_count; i++)
    if (client->wants[i] >> channel & 1) return true;
  return false;
}

static void publish(wb_mock_server *server, uint32_t product, int channel, const char *text, size_t bytes) {
  for (uint32_t i = 0; i < server->client_count; i++)
    if (wants(server->client[i], product, channel)) send_text(server->client[i], text, bytes);
}

/* The exchange's time, of what concerns no product or all. */
static const char *now_text(wb_mock_server *server) { return wb_mock_server_time(server, &server->product[0]); }

static size_t stamp(wb_mock_client *client, char to[32]) {
  return wb_mock_advanced_stamp(now_text(client->server), client->sequence * 377 + 662, to);
}

/* ------------------------------------------------------------------------------------------------ what the channels say */

static void send_ticker(wb_mock_client *client, const wb_mock_product *product, bool batch, const char *type,
                        const char *time) {
  char text[WB_MOCK_ADVANCED_BYTES_MAX];
  size_t bytes = wb_mock_advanced_ticker(&product->text, batch, type, time, text);
  char *price = client->wrong_ticker == product ? memmem(text, bytes, "best_ask\"", 9) : NULL;
  if (price) price += strcspn(price, "123456789");
  if (price) *price = *price == '9' ? '1' : (char)(*price + 1);
  send_text(client, text, bytes);
}

static void tell_trades(wb_mock_server *server, wb_mock_product *product) {
  wb_mock_advanced_state *own = server->advanced;
  uint32_t index = (uint32_t)(product - server->product);
  wb_mock_tape *tape = &own->tape[index];
  const char *time = wb_mock_time_text(&own->clock, wb_mock_tape_at(tape, tape->made - 1)->time_us);
  for (uint32_t i = 0; i < server->client_count; i++) {
    wb_mock_client *client = server->client[i];
    if (!wants(client, index, MARKET_TRADES)) continue;
    uint64_t from = tape->told + (client->lost_match == product);
    if (client->lost_match == product) client->lost_match = NULL;
    unsigned count = (unsigned)(tape->made - from);
    if (count) send_text(client, own->text, wb_mock_advanced_trades(&product->text, tape, from, count, false, time, own->text));
  }
  tape->told = tape->made;
}

/* One message of all products the client wants it of. */
static void send_status(wb_mock_client *client, const char *type) {
  const wb_mock_server *server = client->server;
  char *text = malloc((size_t)(server->product_count + 1) * WB_MOCK_ADVANCED_BYTES_MAX), time[32];
  if (!text) return;
  stamp(client, time);
  size_t used = wb_mock_advanced_head(channels[STATUS], type, time, text);
  used += (size_t)sprintf(text + used, ",\"products\":");
  char open = '[';
  for (uint32_t i = 0; i < server->product_count; i++, open = ',') {
    if (!wants(client, i, STATUS)) continue;
    text[used++] = open;
    used += wb_mock_advanced_product(&server->product[i].text, text + used);
  }
  memcpy(text + used, "]}]}", 4);
  send_text(client, text, used + 4);
  free(text);
}

/* What a client that has just subscribed a product gets first. */
static void begin(wb_mock_client *client, int channel, wb_mock_product *product) {
  wb_mock_server *server = client->server;
  wb_mock_advanced_state *own = server->advanced;
  wb_mock_tape *tape = &own->tape[product - server->product];
  const char *time = wb_mock_server_time(server, product);
  unsigned past = wb_mock_tape_past(tape);
  switch (channel) {
  case LEVEL2: wb_mock_server_join(server, product, client); break;
  case TICKER: send_ticker(client, product, false, "snapshot", time); break;
  case TICKER_BATCH: send_ticker(client, product, true, "snapshot", time); break;
  case CANDLES:
    send_text(client, own->text, wb_mock_advanced_candle(&product->text, &tape->candle, "snapshot", time, own->text));
    break;
  case MARKET_TRADES:
    send_text(client, own->text, wb_mock_advanced_trades(&product->text, tape, tape->told - past, past, true, time, own->text));
    break;
  default: break;
  }
}

static void heartbeat(wb_mock_client *client) {
  char text[WB_MOCK_ADVANCED_BYTES_MAX];
  send_text(client, text, wb_mock_advanced_heartbeat(now_text(client->server), wb_clock_ns(), client->quoted_beats, text));
  client->record.heartbeats++;
}

static void traded(wb_mock_server *server, wb_mock_product *product, const char *time) {
  const wb_mock_market *market = &product->market;
  uint32_t index = (uint32_t)(product - server->product);
  wb_mock_tape *tape = &server->advanced->tape[index];
  for (uint32_t i = 0; i < market->trade_count; i++) {
    if (wb_mock_tape_waiting(tape) == WB_MOCK_BATCH_TRADES) tell_trades(server, product);
    wb_mock_tape_add(tape, &market->trade[i], server->time.us);
  }
  for (uint32_t i = 0; i < server->client_count; i++)
    if (wants(server->client[i], index, TICKER)) send_ticker(server->client[i], product, false, "update", time);
}

/* ------------------------------------------------------------------------------------------------ what comes by the clock */

static bool is_due(uint64_t *due_ns, uint64_t now_ns, uint64_t every_ns) {
  if (now_ns < *due_ns) return false;
  *due_ns = now_ns + every_ns;
  return true;
}

static void tell_candle(wb_mock_server *server, uint32_t index) {
  wb_mock_advanced_state *own = server->advanced;
  const wb_mock_product *product = &server->product[index];
  const char *time = wb_mock_server_time(server, product);
  publish(server, index, CANDLES, own->text,
          wb_mock_advanced_candle(&product->text, &own->tape[index].candle, "update", time, own->text));
}

static void tell_ticker_batch(wb_mock_server *server, uint32_t index) {
  wb_mock_advanced_state *own = server->advanced;
  const wb_mock_product *product = &server->product[index];
  if (own->batched[index] == product->market.last_trade_id) return;
  own->batched[index] = product->market.last_trade_id;
  const char *time = wb_mock_server_time(server, product);
  publish(server, index, TICKER_BATCH, own->text, wb_mock_advanced_ticker(&product->text, true, "update", time, own->text));
}

static uint64_t tick(wb_mock_server *server, uint64_t now_ns) {
  wb_mock_advanced_state *own = server->advanced;
  if (!own || !server->client_count) return UINT64_MAX;
  bool trades = is_due(&own->trades_due_ns, now_ns, TRADES_NS), candles = is_due(&own->candles_due_ns, now_ns, SECOND_NS);
  bool slow = is_due(&own->slow_due_ns, now_ns, SLOW_NS);
  for (uint32_t i = 0; i < server->product_count; i++) {
    if ((trades || server->product[i].done) && wb_mock_tape_waiting(&own->tape[i])) tell_trades(server, &server->product[i]);
    if (candles) tell_candle(server, i);
    if (slow) tell_ticker_batch(server, i);
  }
  for (uint32_t i = 0; i < server->client_count && slow; i++)
    if (wanted(server->client[i], STATUS)) send_status(server->client[i], "update");
  uint64_t next = own->trades_due_ns < own->candles_due_ns ? own->trades_due_ns : own->candles_due_ns;
  return next < own->slow_due_ns ? next : own->slow_due_ns;
}

/* ------------------------------------------------------------------------------------------------ granting a request */

/* The whole current list, as the real one answers to subscribe and unsubscribe alike. */
static void acknowledge(wb_mock_client *client) {
  const wb_mock_server *server = client->server;
  json_t *list = json_object();
  for (int channel = 0; channel < CHANNELS; channel++) {
    if (!wanted(client, channel)) continue;
    json_t *ids = json_array();
    if (channel == HEARTBEATS) json_array_append_new(ids, json_string(channels[HEARTBEATS]));
    for (uint32_t i = 0; i < server->product_count && channel != HEARTBEATS; i++) {
      char name[WB_PRODUCT_ID_BYTES];
      wb_mock_advanced_name(&server->product[i].market, name);
      if (client->wants[i] >> channel & 1) json_array_append_new(ids, json_string(name));
    }
    json_object_set_new(list, channels[channel], ids);
  }
  char *inner = json_dumps(list, JSON_COMPACT), time[32];
  size_t most = inner ? strlen(inner) + WB_MOCK_ADVANCED_BYTES_MAX : 0;
  char *text = inner ? malloc(most) : NULL;
  if (text) {
    stamp(client, time);
    size_t used = wb_mock_advanced_head("subscriptions", NULL, time, text);
    used += (size_t)snprintf(text + used, most - used, "\"subscriptions\":%s}]}", inner);
    send_text(client, text, used);
  }
  free(text);
  free(inner);
  json_decref(list);
}

static void unsubscribe(wb_mock_client *client, int channel, const wb_mock_request *request) {
  for (uint32_t i = 0; i < request->product_count; i++) {
    uint16_t product = request->product[i];
    client->wants[product] &= (uint16_t) ~(1u << channel);
    if (channel == LEVEL2) wb_mock_server_leave(client->server, &client->server->product[product], client);
  }
  if (!wanted(client, HEARTBEATS)) client->heartbeat_ns = 0;
  if (!client->server->recording) acknowledge(client);
}

/* The first snapshot comes before the acknowledgement, the others behind it. A recording says all of it by itself. */
static void subscribe(wb_mock_client *client, int channel, wb_mock_request *request) {
  wb_mock_server *server = client->server;
  const wb_mock_fault *fault = server->options.fault;
  if (fault && fault->subscribe && wb_mock_fault_now(client)) {
    wb_mock_fault_happened(client);
    fault->subscribe(client, request);
  }
  if (!client->subscribed) client->deadline_ns = 0;
  client->subscribed = true;
  uint32_t added = 0;
  for (uint32_t i = 0; i < request->product_count; i++) {
    uint16_t product = request->product[i];
    if (!(client->wants[product] >> channel & 1)) request->product[added++] = product;
    client->wants[product] |= (uint16_t)(1u << channel);
  }
  if (server->recording) {
    if (channel == LEVEL2 && added) wb_mock_server_join(server, &server->product[request->product[0]], client);
    return;
  }
  if (channel == STATUS && added) send_status(client, "snapshot");
  if (added) begin(client, channel, &server->product[request->product[0]]);
  if (!request->silent) acknowledge(client);
  for (uint32_t i = 1; i < added && client->state == WB_MOCK_OPEN; i++)
    begin(client, channel, &server->product[request->product[i]]);
  if (!client->heartbeat_ns && wanted(client, HEARTBEATS)) client->heartbeat_ns = wb_clock_ns() + SECOND_NS;
}

/* ------------------------------------------------------------------------------------------------ reading a request */

/* X-USDC and X-USD are one product. */
static int find(const wb_mock_server *server, const char *id) {
  char other[WB_PRODUCT_ID_BYTES + 1];
  size_t bytes = strlen(id);
  if (bytes >= WB_PRODUCT_ID_BYTES) return -1;
  memcpy(other, id, bytes + 1);
  bool usdc = bytes > 5 && strcmp(id + bytes - 5, "-USDC") == 0;
  if (usdc) other[bytes - 1] = 0;
  else if (bytes > 4 && strcmp(id + bytes - 4, "-USD") == 0) strcpy(other + bytes, "C");
  int product = wb_mock_server_find(server, usdc ? other : id);
  return product >= 0 ? product : wb_mock_server_find(server, usdc ? id : other);
}

/* Each product once; false when one of the ids is of none. */
static bool read_products(const wb_mock_client *client, json_t *ids, wb_mock_request *request) {
  bool good = true;
  json_t *id;
  size_t i;
  json_array_foreach(ids, i, id) {
    int product = json_is_string(id) ? find(client->server, json_string_value(id)) : -1;
    good &= product >= 0;
    if (product < 0 || request->wants[product]) continue;
    request->wants[product] = 1;
    request->product[request->product_count++] = (uint16_t)product;
  }
  return good;
}

static void all_products(const wb_mock_client *client, wb_mock_request *request) {
  for (uint32_t i = 0; i < client->server->product_count; i++) request->product[request->product_count++] = (uint16_t)i;
}

static void read_request(wb_mock_client *client, int channel, bool leave, json_t *ids, wb_mock_request *request) {
  bool named = json_array_size(ids) && channel != HEARTBEATS;
  if (named && !read_products(client, ids, request)) fail(client, "failure to subscribe");
  if (named && !request->product_count) return;
  if (!named && !leave && channel != HEARTBEATS && channel != STATUS) {
    fail(client, "failure to subscribe");
    return;
  }
  if (!named) all_products(client, request);
  if (leave) unsubscribe(client, channel, request);
  else subscribe(client, channel, request);
}

/* The place where a message's jwt is handed on; NULL: it has none. Public channels need no login, but what is no text is not
 * taken for one. */
static bool login_good(const wb_mock_client *client, const json_t *jwt) { return !jwt || json_is_string(jwt); }

static void take(wb_mock_client *client, const char *text, size_t bytes) {
  json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
  const char *type = json_string_value(json_object_get(root, "type"));
  json_t *ids = json_object_get(root, "product_ids"), *name = json_object_get(root, "channel");
  bool leave = type && strcmp(type, "unsubscribe") == 0;
  if (json_is_null(ids)) ids = NULL;
  if (!type || (!leave && strcmp(type, "subscribe") != 0) || (name && !json_is_string(name)) || (ids && !json_is_array(ids))) {
    fail(client, "subscribe or unsubscribe required");
    json_decref(root);
    return;
  }
  int channel = 0;
  while (channel < CHANNELS && (!name || strcmp(channels[channel], json_string_value(name)) != 0)) channel++;
  uint32_t count = client->server->product_count;
  wb_mock_request request = {.wants = calloc(count, sizeof *request.wants), .product = calloc(count, sizeof *request.product)};
  if (channel == CHANNELS || !login_good(client, json_object_get(root, "jwt"))) fail(client, "authentication failure");
  else if (request.wants && request.product) read_request(client, channel, leave, ids, &request);
  free(request.wants);
  free(request.product);
  json_decref(root);
}

/* ------------------------------------------------------------------------------------------------ open and close */

static int open_state(wb_mock_server *server, wb_error *error) {
  const wb_mock_options *options = &server->options;
  wb_mock_advanced_state *own = server->advanced = calloc(1, sizeof *own);
  if (own) own->tape = calloc(server->product_count, sizeof *own->tape);
  if (own) own->batched = calloc(server->product_count, sizeof *own->batched);
  if (!own || !own->tape || !own->batched) return wb_error_set(error, WB_E_MEMORY, 0, "mock", "no memory for the trades");
  int64_t now_us = options->start_us >= 0 ? options->start_us : wb_clock_utc_ns() / 1000;
  for (uint32_t i = 0; i < server->product_count; i++) {
    const wb_mock_market *market = &server->product[i].market;
    wb_mock_tape_init(&own->tape[i], &market->last_trade, now_us);
    own->batched[i] = market->last_trade_id;
  }
  return 0;
}

static void close_state(wb_mock_server *server) {
  wb_mock_advanced_state *own = server->advanced;
  if (!own) return;
  free(own->tape);
  free(own->batched);
  free(own);
}

const wb_mock_dialect wb_mock_advanced = {
    .name = "coinbase-advanced",
    .level_bytes = WB_MOCK_ADVANCED_LEVEL_BYTES,
    .closes_idle = true,
    .update_bytes_max = wb_mock_advanced_update_bytes_max,
    .update = wb_mock_advanced_update,
    .snapshot = wb_mock_advanced_snapshot,
    .hole = wb_mock_advanced_hole,
    .field = wb_mock_advanced_field,
    .take = take,
    .heartbeat = heartbeat,
    .traded = traded,
    .invalid = invalid,
    .open = open_state,
    .close = close_state,
    .tick = tick,
};
