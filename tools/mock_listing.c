#include "tools/mock_listing.h"

#include <string.h>

#include "engine/base/decimal.h"

typedef struct pair {
  char base[WB_PRODUCT_ID_BYTES], quote[WB_PRODUCT_ID_BYTES];
  char price_increment[WB_DECIMAL_TEXT_BYTES], size_increment[WB_DECIMAL_TEXT_BYTES];
} pair;

static pair pair_of(const wb_mock_product *product) {
  const wb_mock_market *market = &product->market;
  pair parts = {.base = ""};
  size_t base = strcspn(market->product, "-"), rest = base + (market->product[base] == '-');
  memcpy(parts.base, market->product, base);
  strcpy(parts.quote, market->product + rest);
  wb_decimal_print(1, market->price_decimals, parts.price_increment);
  wb_decimal_print(1, market->size_decimals, parts.size_increment);
  return parts;
}

static bool stable(const char *currency) { return strcmp(currency, "USDC") == 0 || strcmp(currency, "USDT") == 0; }

json_t *wb_mock_listing_product(const wb_mock_product *product, bool status) {
  pair parts = pair_of(product);
  char display[2 * WB_PRODUCT_ID_BYTES];
  snprintf(display, sizeof display, "%s/%s", parts.base, parts.quote);
  json_t *listed = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:s,s:s,s:b}", "id", product->market.product,
                             "base_currency", parts.base, "quote_currency", parts.quote, "quote_increment",
                             parts.price_increment, "base_increment", parts.size_increment, "display_name", display,
                             "min_market_funds", "1", "post_only", 0, "limit_only", 0, "cancel_only", 0, "status", "online",
                             "status_message", "", "fx_stablecoin", stable(parts.base) && stable(parts.quote));
  if (!listed || status) return listed;
  json_object_set_new(listed, "margin_enabled", json_false());
  json_object_set_new(listed, "trading_disabled", json_false());
  json_object_set_new(listed, "max_slippage_percentage", json_string("0.02000000"));
  json_object_set_new(listed, "auction_mode", json_boolean(product->auction));
  json_object_set_new(listed, "high_bid_limit_percentage", json_string(""));
  return listed;
}

/* The product of the same base in another quote currency, "" if there is none. */
static const char *sibling(const wb_mock_server *server, const pair *parts, const char *quote) {
  char id[2 * WB_PRODUCT_ID_BYTES];
  snprintf(id, sizeof id, "%s-%s", parts->base, quote);
  int found = wb_mock_server_find(server, id);
  return found < 0 ? "" : server->product[found].market.product;
}

json_t *wb_mock_listing_advanced(const wb_mock_server *server, const wb_mock_product *product) {
  const wb_mock_market *market = &product->market;
  pair parts = pair_of(product);
  char display[2 * WB_PRODUCT_ID_BYTES], price[WB_DECIMAL_TEXT_BYTES], volume[WB_DECIMAL_TEXT_BYTES];
  snprintf(display, sizeof display, "%s-%s", parts.base, parts.quote);
  wb_decimal_print(market->last_trade.price, market->price_decimals, price);
  wb_decimal_print(market->volume, market->size_decimals, volume);
  const char *alias = strcmp(parts.quote, "USDC") == 0 ? sibling(server, &parts, "USD") : "";
  const char *alias_to = strcmp(parts.quote, "USD") == 0 ? sibling(server, &parts, "USDC") : "";
  json_t *list = json_array();
  if (*alias_to) json_array_append_new(list, json_string(alias_to));
  return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:b,s:b,s:b,s:b,s:s,s:s,s:s,s:s,s:o,s:s}", "product_id",
                   market->product, "price", price, "volume_24h", volume, "base_increment", parts.size_increment,
                   "quote_increment", parts.price_increment, "price_increment", parts.price_increment, "base_name", parts.base,
                   "quote_name", parts.quote, "is_disabled", 0, "trading_disabled", 0, "view_only", 0, "cancel_only", 0,
                   "limit_only", 0, "post_only", 0, "auction_mode", product->auction, "status", "online", "base_currency_id",
                   parts.base, "quote_currency_id", parts.quote, "alias", alias, "alias_to", list, "display_name", display);
}

static bool listed(const json_t *currencies, const char *id) {
  size_t i;
  json_t *currency;
  json_array_foreach(currencies, i, currency) {
    if (strcmp(json_string_value(json_object_get(currency, "id")), id) == 0) return true;
  }
  return false;
}

/* Network amounts are bare numbers, as on the real feed. */
static json_t *currency_json(const char *id) {
  return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:[],s:{s:s,s:i,s:[s]},s:s,s:[{s:s,s:s,s:s,s:f,s:i}]}", "id", id, "name", id,
                   "display_name", id, "min_size", "0.00000001", "status", "online", "status_message", "", "max_precision",
                   "0.00000001", "convertible_to", "details", "type", "crypto", "sort_order", 1, "push_payment_methods",
                   "crypto", "default_network", "mock", "supported_networks", "id", "mock", "name", "Mock", "status", "online",
                   "min_withdrawal_amount", 0.001, "max_withdrawal_amount", 2400);
}

json_t *wb_mock_listing_currencies(const wb_mock_server *server) {
  json_t *currencies = json_array();
  for (uint32_t i = 0; i < server->product_count; i++) {
    pair parts = pair_of(&server->product[i]);
    if (!listed(currencies, parts.base)) json_array_append_new(currencies, currency_json(parts.base));
    if (!listed(currencies, parts.quote)) json_array_append_new(currencies, currency_json(parts.quote));
  }
  return currencies;
}
