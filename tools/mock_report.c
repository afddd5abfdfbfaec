#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "tools/mock_server.h"

static json_t *number(__int128 value, unsigned decimals) {
  char text[WB_DECIMAL_TEXT_BYTES];
  wb_decimal_print(value, decimals, text);
  return json_string(text);
}

static json_t *levels(const wb_mock_market *market, wb_side side, uint32_t depth) {
  json_t *list = json_array();
  const wb_mock_level *level;
  for (uint32_t i = 0; i < depth && (level = wb_mock_market_level(market, side, i)); i++)
    json_array_append_new(
        list, json_pack("[o,o]", number(level->price, market->price_decimals), number(level->size, market->size_decimals)));
  return list;
}

static json_t *product_json(const wb_mock_server *server, const wb_mock_product *product) {
  const wb_mock_market *market = &product->market;
  json_t *object = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "snapshots", (json_int_t)product->snapshots, "updates",
                             (json_int_t)product->updates, "changes", (json_int_t)market->changes, "created",
                             (json_int_t)market->created, "deleted", (json_int_t)market->deleted, "sequence",
                             (json_int_t)market->sequence, "last_trade_id", (json_int_t)market->last_trade_id);
  const wb_mock_level *bid = wb_mock_market_level(market, WB_SIDE_BID, 0), *ask = wb_mock_market_level(market, WB_SIDE_ASK, 0);
  if (!bid || !ask) return object; /* a recording has no book */
  unsigned decimals = market->price_decimals;
  json_object_set_new(object, "best_bid", number(bid->price, decimals));
  json_object_set_new(object, "best_bid_size", number(bid->size, market->size_decimals));
  json_object_set_new(object, "best_ask", number(ask->price, decimals));
  json_object_set_new(object, "best_ask_size", number(ask->size, market->size_decimals));
  json_object_set_new(object, "mid", number(((__int128)bid->price + ask->price) * 5, decimals + 1));
  json_object_set_new(object, "spread", number((__int128)ask->price - bid->price, decimals));
  json_object_set_new(object, "bid_levels", json_integer(market->side[WB_SIDE_BID].count));
  json_object_set_new(object, "ask_levels", json_integer(market->side[WB_SIDE_ASK].count));
  json_object_set_new(object, "bids", levels(market, WB_SIDE_BID, server->options.depth));
  json_object_set_new(object, "asks", levels(market, WB_SIDE_ASK, server->options.depth));
  return object;
}

static json_t *client_json(const wb_mock_record *record) {
  return json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "number", (int)record->number, "address", record->address,
                   "messages", (json_int_t)record->messages, "bytes", (json_int_t)record->bytes, "snapshots",
                   (json_int_t)record->snapshots, "updates", (json_int_t)record->updates, "orders", (json_int_t)record->orders,
                   "heartbeats", (json_int_t)record->heartbeats, "requests", (json_int_t)record->requests, "faults",
                   (json_int_t)record->faults, "ending", record->ending);
}

static json_t *breaches_json(const wb_mock_breaches *breaches) {
  return json_pack("{s:I,s:I,s:I,s:I,s:I}", "connections", (json_int_t)breaches->connections, "messages",
                   (json_int_t)breaches->messages, "size", (json_int_t)breaches->size, "subscriptions",
                   (json_int_t)breaches->subscriptions, "requests", (json_int_t)breaches->requests);
}

int wb_mock_report_write(const wb_mock_server *server, const char *path, wb_error *error) {
  json_t *clients = json_array(), *products = json_object();
  for (uint32_t i = 0; i < server->record_count; i++) json_array_append_new(clients, client_json(&server->record[i]));
  for (uint32_t i = 0; i < server->product_count; i++)
    json_object_set_new(products, server->product[i].market.product, product_json(server, &server->product[i]));
  json_t *root = json_pack("{s:s,s:s,s:I,s:i,s:o,s:o,s:o}", "wirebook", WB_VERSION, "dialect", server->options.dialect->name,
                           "seed", (json_int_t)server->options.seed, "client_count", (int)server->client_number, "clients",
                           clients, "products", products, "breaches", breaches_json(&server->breaches));
  if (root && server->login) json_object_set_new(root, "logins", wb_mock_login_json(server->login));
  char temporary[4096];
  snprintf(temporary, sizeof temporary, "%s.part", path);
  errno = 0;
  bool good = root && json_dump_file(root, temporary, JSON_COMPACT) == 0 && rename(temporary, path) == 0;
  json_decref(root);
  return good ? 0 : wb_error_set(error, WB_E_SYSTEM, errno, "report", "%s cannot be written: %s", path, strerror(errno));
}
