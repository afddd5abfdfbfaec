#include "io/publish_text.h"

#include <stdio.h>
#include <string.h>

#include "io/host.h"

static const char *const side_words[] = {[WB_SIDE_BID] = "buy", [WB_SIDE_ASK] = "sell"};

size_t wb_publish_number(uint64_t value, unsigned decimals, char *to) {
  char text[40];
  size_t at = sizeof text;
  for (; decimals && value % 10 == 0 && value; decimals--) value /= 10;
  if (!value) decimals = 0;
  for (unsigned digits = 0; digits <= decimals || value; digits++) {
    if (decimals && digits == decimals) text[--at] = '.';
    text[--at] = (char)('0' + value % 10);
    value /= 10;
  }
  memcpy(to, text + at, sizeof text - at);
  return sizeof text - at;
}

static char *put(char *to, const char *text) {
  size_t bytes = strlen(text);
  memcpy(to, text, bytes);
  return to + bytes;
}

static char *put_quoted(char *to, uint64_t value, unsigned decimals) {
  *to++ = '"';
  to += wb_publish_number(value, decimals, to);
  *to++ = '"';
  return to;
}

static char *put_member(char *to, const char *key, uint64_t value, unsigned decimals) {
  return put_quoted(put(to, key), value, decimals);
}

static char *put_time(char *to, const char *key, int64_t time_ns) {
  char text[WB_UTC_TEXT_BYTES] = "0001-01-01T00:00:00.000000Z";
  if (time_ns != WB_TIME_NONE) wb_utc_text(time_ns, text);
  return put(put(put(put(to, key), "\""), text), "\"");
}

static char *put_count(char *to, const char *key, uint64_t value) {
  to = put(to, key);
  return to + wb_publish_number(value, 0, to);
}

static char *put_head(char *to, const char *type, const char *id) {
  return put(put(put(put(put(to, "{\"type\":\""), type), "\",\"product_id\":\""), id), "\"");
}

static char *put_levels(char *to, const wb_publish_product *product, const wb_level *level, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (i) *to++ = ',';
    *to++ = '[';
    to = put_quoted(to, level[i].price, product->price_decimals);
    *to++ = ',';
    to = put_quoted(to, level[i].size, product->size_decimals);
    *to++ = ']';
  }
  return to;
}

size_t wb_publish_levels(const wb_publish_product *product, const wb_level *level, uint32_t count, char *to) {
  return (size_t)(put_levels(to, product, level, count) - to);
}

size_t wb_publish_snapshot(const wb_publish_product *product, const wb_level *const level[2], const uint32_t count[2],
                           int64_t time_ns, char *to) {
  char *at = put(put_head(to, "snapshot", product->id), ",\"asks\":[");
  at = put(put_levels(at, product, level[WB_SIDE_ASK], count[WB_SIDE_ASK]), "],\"bids\":[");
  at = put(put_levels(at, product, level[WB_SIDE_BID], count[WB_SIDE_BID]), "]");
  return (size_t)(put(put_time(at, ",\"time\":", time_ns), "}") - to);
}

size_t wb_publish_update(const wb_publish_product *product, const wb_delta *delta, uint32_t count, int64_t time_ns, char *to) {
  char *at = put(put_head(to, "l2update", product->id), ",\"changes\":[");
  for (uint32_t i = 0; i < count; i++) {
    at = put(put(put(at, i ? ",[\"" : "[\""), side_words[delta[i].side]), "\",");
    at = put_quoted(at, delta[i].price, product->price_decimals);
    *at++ = ',';
    at = put_quoted(at, delta[i].size, product->size_decimals);
    *at++ = ']';
  }
  return (size_t)(put(put_time(put(at, "]"), ",\"time\":", time_ns), "}") - to);
}

size_t wb_publish_match(const char *id, const wb_publish_trade *trade, bool last_match, char *to) {
  char *at = put(to, last_match ? "{\"type\":\"last_match\"" : "{\"type\":\"match\"");
  at = put_count(at, ",\"trade_id\":", trade->trade_id);
  at = put(at, ",\"maker_order_id\":\"00000000-0000-0000-0000-000000000000\""
               ",\"taker_order_id\":\"00000000-0000-0000-0000-000000000000\",\"side\":\"");
  at = put(put(at, side_words[trade->side]), "\"");
  at = put_member(at, ",\"size\":", trade->size, trade->size_decimals);
  at = put_member(at, ",\"price\":", trade->price, trade->price_decimals);
  at = put(put(put(at, ",\"product_id\":\""), id), "\"");
  at = put_count(at, ",\"sequence\":", trade->sequence);
  return (size_t)(put(put_time(at, ",\"time\":", trade->time_ns), "}") - to);
}

size_t wb_publish_ticker(const wb_publish_product *product, const wb_level best[2], const wb_publish_trade *trade,
                         uint64_t sequence, int64_t time_ns, char *to) {
  char *at = put_count(put(to, "{\"type\":\"ticker\""), ",\"sequence\":", sequence);
  at = put(put(put(at, ",\"product_id\":\""), product->id), "\"");
  if (trade) at = put_member(at, ",\"price\":", trade->price, trade->price_decimals);
  at = put_member(at, ",\"best_bid\":", best[WB_SIDE_BID].price, product->price_decimals);
  at = put_member(at, ",\"best_bid_size\":", best[WB_SIDE_BID].size, product->size_decimals);
  at = put_member(at, ",\"best_ask\":", best[WB_SIDE_ASK].price, product->price_decimals);
  at = put_member(at, ",\"best_ask_size\":", best[WB_SIDE_ASK].size, product->size_decimals);
  if (trade) at = put(put(put(at, ",\"side\":\""), side_words[!trade->side]), "\""); /* the taker's */
  at = put_time(at, ",\"time\":", time_ns);
  if (trade) at = put_count(at, ",\"trade_id\":", trade->trade_id);
  if (trade) at = put_member(at, ",\"last_size\":", trade->size, trade->size_decimals);
  return (size_t)(put(at, "}") - to);
}

size_t wb_publish_heartbeat(const char *id, uint64_t sequence, uint64_t last_trade_id, int64_t time_ns, char *to) {
  char *at = put_count(put(to, "{\"type\":\"heartbeat\""), ",\"sequence\":", sequence);
  at = put_count(at, ",\"last_trade_id\":", last_trade_id);
  at = put(put(put(at, ",\"product_id\":\""), id), "\"");
  return (size_t)(put(put_time(at, ",\"time\":", time_ns), "}") - to);
}
