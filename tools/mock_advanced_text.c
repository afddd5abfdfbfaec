#include "tools/mock_advanced_text.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/decimal.h"

enum { PIECE_BYTES = 72, HEAD_BYTES_MAX = 320, HOLE_BYTES_MIN = 48, HOLE_BYTES_MAX = 256, CHANGE_BYTES_MAX = 160 };

typedef struct piece {
  char text[PIECE_BYTES];
  uint8_t bytes;
} piece;

struct form {
  piece head, update, snapshot, changes; /* up to the timestamp, from there to the product, from there to the first change */
  piece first[2], next[2];               /* opens the first change, closes one and opens the next, by side; up to its time */
  piece price, size, end;
};

#define P(literal)                                                                                                             \
  { literal, sizeof literal - 1 }

static const struct form compact = {
    .head = P("{\"channel\":\"l2_data\",\"client_id\":\"\",\"timestamp\":\""),
    .update = P("\",\"sequence_num\":,\"events\":[{\"type\":\"update\",\"product_id\":\""),
    .snapshot = P("\",\"sequence_num\":,\"events\":[{\"type\":\"snapshot\",\"product_id\":\""),
    .changes = P("\",\"updates\":["),
    .first = {P("{\"side\":\"bid\",\"event_time\":\""), P("{\"side\":\"offer\",\"event_time\":\"")},
    .next = {P("\"},{\"side\":\"bid\",\"event_time\":\""), P("\"},{\"side\":\"offer\",\"event_time\":\"")},
    .price = P("\",\"price_level\":\""),
    .size = P("\",\"new_quantity\":\""),
    .end = P("\"}]}]}"),
};

static const struct form spaced = {
    .head = P("{\"channel\": \"l2_data\", \"client_id\": \"\", \"timestamp\": \""),
    .update = P("\", \"sequence_num\": , \"events\": [{\"type\": \"update\", \"product_id\": \""),
    .snapshot = P("\", \"sequence_num\": , \"events\": [{\"type\": \"snapshot\", \"product_id\": \""),
    .changes = P("\", \"updates\": ["),
    .first = {P("{\"side\": \"bid\", \"event_time\": \""), P("{\"side\": \"offer\", \"event_time\": \"")},
    .next = {P("\"}, {\"side\": \"bid\", \"event_time\": \""), P("\"}, {\"side\": \"offer\", \"event_time\": \"")},
    .price = P("\", \"price_level\": \""),
    .size = P("\", \"new_quantity\": \""),
    .end = P("\"}]}]}"),
};

static inline char *put(char *to, const piece *from) {
  memcpy(to, from->text, sizeof from->text);
  return to + from->bytes;
}

/* ------------------------------------------------------------------------------------------------ times and names */

/* The end of a time of which n bytes are written, without the zeros at its end. */
static inline size_t time_end(char *to, size_t n, char last) {
  while (to[n - 1] == '0') n--;
  if (to[n - 1] == '.') n--;
  to[n] = last;
  return n + 1;
}

static inline size_t put_stamp(char *to, const char *time, uint64_t ns) {
  unsigned digits = (unsigned)(ns % 1000);
  memcpy(to, time, WB_MOCK_TIME_BYTES - 1);
  to[26] = (char)('0' + digits / 100);
  to[27] = (char)('0' + digits / 10 % 10);
  to[28] = (char)('0' + digits % 10);
  return time_end(to, 29, 'Z');
}

static inline size_t put_time(char *to, const char *time) {
  memcpy(to, time, WB_MOCK_TIME_BYTES - 1);
  return time_end(to, WB_MOCK_TIME_BYTES - 1, 'Z');
}

/* Three digits that differ from one message of a product to the next. */
static inline uint64_t made_up(const wb_mock_market *market) { return market->sequence * 377 + 113; }

static inline size_t name_bytes(const wb_mock_market *market) {
  size_t bytes = strlen(market->product);
  return bytes - (bytes > 5 && memcmp(market->product + bytes - 5, "-USDC", 5) == 0);
}

size_t wb_mock_advanced_stamp(const char *time, uint64_t ns, char to[32]) {
  size_t bytes = put_stamp(to, time, ns);
  to[bytes] = 0;
  return bytes;
}

size_t wb_mock_advanced_name(const wb_mock_market *market, char to[WB_PRODUCT_ID_BYTES]) {
  size_t bytes = name_bytes(market);
  memcpy(to, market->product, bytes);
  to[bytes] = 0;
  return bytes;
}

/* ------------------------------------------------------------------------------------------------ level 2 */

size_t wb_mock_advanced_update_bytes_max(unsigned count) { return HEAD_BYTES_MAX + (size_t)count * CHANGE_BYTES_MAX; }

static inline char *put_head(char *to, const wb_mock_text *text, const struct form *form, const piece *middle,
                             const char *time) {
  const wb_mock_market *market = text->market;
  to = put(to, &form->head);
  to += put_stamp(to, time, made_up(market));
  to = put(to, middle);
  memcpy(to, market->product, sizeof market->product);
  return put(to + name_bytes(market), &form->changes);
}

typedef struct event_time {
  char text[32];
  size_t bytes;
} event_time;

static inline char *put_change(char *to, const wb_mock_text *text, const struct form *form, const piece *open,
                               const event_time *time, uint64_t price, uint64_t size) {
  to = put(to, open);
  memcpy(to, time->text, sizeof time->text);
  to = put(to + time->bytes, &form->price);
  to = wb_mock_text_trimmed(to, price, text->market->price_decimals, text->price_unit);
  to = put(to, &form->size);
  return wb_mock_text_trimmed(to, size, text->market->size_decimals, text->size_unit);
}

size_t wb_mock_advanced_update(const wb_mock_text *text, const wb_delta *delta, unsigned count, const char *time, char *to) {
  const struct form *form = text->spaced ? &spaced : &compact;
  char *at = put_head(to, text, form, &form->update, time);
  event_time event;
  event.bytes = put_time(event.text, time);
  const piece *open = form->first;
  for (unsigned i = 0; i < count; i++, open = form->next)
    at = put_change(at, text, form, &open[delta[i].side], &event, delta[i].price, delta[i].size);
  return (size_t)(put(at, &form->end) - to);
}

/* Which side comes next is as good as chance, but the same each time the book is the same. Of two offers the worse is first. */
size_t wb_mock_advanced_snapshot(const wb_mock_text *text, const char *time, char *to) {
  const struct form *form = text->spaced ? &spaced : &compact;
  const wb_mock_market *market = text->market;
  char *at = put_head(to, text, form, &form->snapshot, time);
  event_time event;
  event.bytes = put_time(event.text, text->epoch ? "1970-01-01T00:00:00.000000Z" : time);
  const piece *open = form->first;
  uint32_t done[2] = {0, 0}, count[2] = {market->side[0].count, market->side[1].count};
  uint64_t chance = market->sequence;
  while (done[0] < count[0] || done[1] < count[1]) {
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    wb_side side = chance >> 63 ? WB_SIDE_ASK : WB_SIDE_BID;
    if (done[side] == count[side]) side = !side;
    uint32_t rank = done[side]++, other = rank ^ 1;
    if (side == WB_SIDE_ASK && other < count[side]) rank = other;
    const wb_mock_level *level = wb_mock_market_level(market, side, rank);
    at = put_change(at, text, form, &open[side], &event, level->price, level->size);
    open = form->next;
  }
  return (size_t)(put(at, &form->end) - to);
}

size_t wb_mock_advanced_hole(const char *text, size_t bytes) {
  static const char key[] = "\"sequence_num\":";
  const size_t key_bytes = sizeof key - 1;
  size_t end = bytes < HOLE_BYTES_MAX ? bytes : HOLE_BYTES_MAX;
  for (size_t from = HOLE_BYTES_MIN; from < end; from++) {
    const char *comma = memchr(text + from, ',', end - from);
    if (!comma) break;
    from = (size_t)(comma - text);
    size_t colon_end = from - (text[from - 1] == ' ');
    if (memcmp(text + colon_end - key_bytes, key, key_bytes) == 0) return from;
  }
  return 0;
}

void wb_mock_advanced_field(const char *text, size_t bytes, wb_mock_field field, size_t *from, size_t *to) {
  static const char *const keys[] = {"\"side\"", "\"price_level\"", "\"new_quantity\""};
  const char *end = text + bytes,
             *at = (const char *)memmem(text, bytes, keys[field], strlen(keys[field])) + strlen(keys[field]);
  const char *open = (const char *)memchr(at, '"', (size_t)(end - at)) + 1;
  *from = (size_t)(open - text);
  *to = (size_t)((const char *)memchr(open, '"', (size_t)(end - open)) - text);
}

/* ------------------------------------------------------------------------------------------------ other channels */

typedef struct number {
  char text[WB_DECIMAL_TEXT_BYTES];
} number;

static number price_of(const wb_mock_text *text, uint64_t price) {
  number to;
  wb_decimal_print(price, text->market->price_decimals, to.text);
  return to;
}

static number size_of(const wb_mock_text *text, uint64_t size) {
  number to;
  wb_decimal_print(size, text->market->size_decimals, to.text);
  return to;
}

static number unit_of(unsigned decimals) {
  number to;
  wb_decimal_print(1, decimals, to.text);
  return to;
}

size_t wb_mock_advanced_head(const char *channel, const char *type, const char *stamp, char *to) {
  int bytes =
      snprintf(to, HEAD_BYTES_MAX, "{\"channel\":\"%s\",\"timestamp\":\"%s\",\"sequence_num\":,\"events\":[{", channel, stamp);
  if (type) bytes += snprintf(to + bytes, HEAD_BYTES_MAX - (size_t)bytes, "\"type\":\"%s\"", type);
  return (size_t)bytes;
}

static size_t product_head(const wb_mock_text *text, const char *channel, const char *type, const char *time, char *to) {
  char stamp[32];
  wb_mock_advanced_stamp(time, made_up(text->market), stamp);
  return wb_mock_advanced_head(channel, type, stamp, to);
}

size_t wb_mock_advanced_ticker(const wb_mock_text *text, bool batch, const char *type, const char *time, char *to) {
  const wb_mock_market *market = text->market;
  const wb_mock_level *bid = wb_mock_market_level(market, WB_SIDE_BID, 0), *ask = wb_mock_market_level(market, WB_SIDE_ASK, 0);
  uint64_t price = market->last_trade.price;
  number change, low = price_of(text, market->low), high = price_of(text, market->high);
  __int128 difference = (__int128)price - market->open;
  wb_decimal_print(difference * 100 * (__int128)wb_pow10(14) / market->open, 14, change.text);
  char name[WB_PRODUCT_ID_BYTES];
  wb_mock_advanced_name(market, name);
  size_t used = product_head(text, batch ? "ticker_batch" : "ticker", type, time, to);
  used += (size_t)snprintf(to + used, WB_MOCK_ADVANCED_BYTES_MAX - used,
                           ",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\"%s\",\"price\":\"%s\",\"volume_24_h\":\"%s\","
                           "\"low_24_h\":\"%s\",\"high_24_h\":\"%s\",\"low_52_w\":\"%s\",\"high_52_w\":\"%s\","
                           "\"price_percent_chg_24_h\":\"%s\"",
                           name, price_of(text, price).text, size_of(text, market->volume).text, low.text, high.text, low.text,
                           high.text, change.text);
  if (!batch)
    used +=
        (size_t)snprintf(to + used, WB_MOCK_ADVANCED_BYTES_MAX - used,
                         ",\"best_bid\":\"%s\",\"best_ask\":\"%s\",\"best_bid_quantity\":\"%s\",\"best_ask_quantity\":\"%s\"",
                         price_of(text, bid->price).text, price_of(text, ask->price).text, size_of(text, bid->size).text,
                         size_of(text, ask->size).text);
  memcpy(to + used, "}]}]}", 5);
  return used + 5;
}

size_t wb_mock_advanced_trades(const wb_mock_text *text, const wb_mock_tape *tape, uint64_t from, unsigned count, bool snapshot,
                               const char *time, char *to) {
  char name[WB_PRODUCT_ID_BYTES];
  wb_mock_time clock = {0};
  wb_mock_advanced_name(text->market, name);
  size_t used = product_head(text, "market_trades", snapshot ? "snapshot" : "update", time, to);
  used += (size_t)sprintf(to + used, ",\"trades\":[");
  for (unsigned i = 0; i < count; i++) {
    const wb_mock_print *print = wb_mock_tape_at(tape, from + (snapshot ? count - 1 - i : i));
    char made[32];
    made[put_time(made, wb_mock_time_text(&clock, print->time_us))] = 0;
    used += (size_t)sprintf(to + used,
                            "%s{\"product_id\":\"%s\",\"trade_id\":\"%llu\",\"price\":\"%s\",\"size\":\"%s\",\"time\":\"%s\","
                            "\"side\":\"%s\"}",
                            i ? "," : "", name, (unsigned long long)print->trade.id, price_of(text, print->trade.price).text,
                            size_of(text, print->trade.size).text, made, print->trade.side == WB_SIDE_BID ? "BUY" : "SELL");
  }
  memcpy(to + used, "]}]}", 4);
  return used + 4;
}

size_t wb_mock_advanced_candle(const wb_mock_text *text, const wb_mock_candle *candle, const char *type, const char *time,
                               char *to) {
  char name[WB_PRODUCT_ID_BYTES];
  wb_mock_advanced_name(text->market, name);
  size_t used = product_head(text, "candles", type, time, to);
  return used +
         (size_t)snprintf(to + used, WB_MOCK_ADVANCED_BYTES_MAX - used,
                          ",\"candles\":[{\"start\":\"%lld\",\"high\":\"%s\",\"low\":\"%s\",\"open\":\"%s\",\"close\":\"%s\","
                          "\"volume\":\"%s\",\"product_id\":\"%s\"}]}]}",
                          (long long)candle->start_s, price_of(text, candle->high).text, price_of(text, candle->low).text,
                          price_of(text, candle->open).text, price_of(text, candle->close).text,
                          size_of(text, candle->volume).text, name);
}

/* As Go prints a time that has a monotonic part. */
size_t wb_mock_advanced_heartbeat(const char *time, uint64_t uptime_ns, bool quoted, char *to) {
  unsigned long long second = uptime_ns / 1000000000, rest = uptime_ns % 1000000000;
  char stamp[32], now[32];
  wb_mock_advanced_stamp(time, rest, stamp);
  memcpy(now, time, WB_MOCK_TIME_BYTES - 1);
  now[10] = ' ';
  time_end(now, WB_MOCK_TIME_BYTES - 1, 0);
  const char *quote = quoted ? "\"" : "";
  size_t used = wb_mock_advanced_head("heartbeats", NULL, stamp, to);
  return used + (size_t)snprintf(to + used, WB_MOCK_ADVANCED_BYTES_MAX - used,
                                 "\"current_time\":\"%s +0000 UTC m=+%llu.%09llu\",\"heartbeat_counter\":%s%llu%s}]}", now,
                                 second, rest, quote, second, quote);
}

size_t wb_mock_advanced_product(const wb_mock_text *text, char *to) {
  const wb_mock_market *market = text->market;
  char name[WB_PRODUCT_ID_BYTES];
  size_t bytes = wb_mock_advanced_name(market, name);
  int base = (int)strcspn(name, "-");
  const char *quote = name[base] ? name + base + 1 : "";
  bool future = bytes > 5 && strcmp(name + bytes - 5, "-INTX") == 0;
  return (size_t)snprintf(
      to, WB_MOCK_ADVANCED_BYTES_MAX,
      "{\"product_type\":\"%s\",\"id\":\"%s\",\"base_currency\":\"%.*s\",\"quote_currency\":\"%s\","
      "\"base_increment\":\"%s\",\"quote_increment\":\"%s\",\"display_name\":\"%.*s/%s\",\"status\":\"online\","
      "\"status_message\":\"\",\"min_market_funds\":\"1\"}",
      future ? "FUTURE" : "SPOT", name, base, name, quote, unit_of(market->size_decimals).text,
      unit_of(market->price_decimals).text, base, name, quote);
}
