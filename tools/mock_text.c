#include "tools/mock_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct wb_mock_form {
  const char *update;     /* format of the head, product id in it */
  const char *snapshot;   /* as above */
  const char *heartbeat;  /* sequence, last_trade_id, product, time */
  wb_mock_piece first[2]; /* opens the first change, by side */
  wb_mock_piece next[2];  /* closes a change and opens the next, by side */
  wb_mock_piece middle;   /* between price and size */
  wb_mock_piece level_open, level_next, bids;
  wb_mock_piece end; /* closes the last change or level, up to the time */
};

#define P(literal)                                                                                                             \
  { literal, sizeof literal - 1 }

static const struct wb_mock_form compact = {
    .update = "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[",
    .snapshot = "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"asks\":[",
    .heartbeat = "{\"type\":\"heartbeat\",\"sequence\":%llu,\"last_trade_id\":%llu,\"product_id\":\"%s\",\"time\":\"%.27s\"}",
    .first = {P("[\"buy\",\""), P("[\"sell\",\"")},
    .next = {P("\"],[\"buy\",\""), P("\"],[\"sell\",\"")},
    .middle = P("\",\""),
    .level_open = P("[\""),
    .level_next = P("\"],[\""),
    .bids = P("\"]],\"bids\":["),
    .end = P("\"]],\"time\":\""),
};

static const struct wb_mock_form spaced_form = {
    .update = "{\"type\": \"l2update\", \"product_id\": \"%s\", \"changes\": [",
    .snapshot = "{\"type\": \"snapshot\", \"product_id\": \"%s\", \"asks\": [",
    .heartbeat =
        "{\"type\": \"heartbeat\", \"sequence\": %llu, \"last_trade_id\": %llu, \"product_id\": \"%s\", \"time\": \"%.27s\"}",
    .first = {P("[\"buy\", \""), P("[\"sell\", \"")},
    .next = {P("\"], [\"buy\", \""), P("\"], [\"sell\", \"")},
    .middle = P("\", \""),
    .level_open = P("[\""),
    .level_next = P("\"], [\""),
    .bids = P("\"]], \"bids\": ["),
    .end = P("\"]], \"time\": \""),
};

enum { NUMBER_BYTES_MAX = 21, AROUND_BYTES_MAX = 20, HEAD_BYTES_MAX = 112, TAIL_BYTES_MAX = 80 };

void wb_mock_text_init(wb_mock_text *text, const wb_mock_market *market, bool spaced) {
  memset(text, 0, sizeof *text);
  text->market = market;
  text->spaced = spaced;
  text->form = spaced ? &spaced_form : &compact;
  text->price_unit = text->size_unit = 1;
  for (unsigned i = 0; i < market->price_decimals; i++) text->price_unit *= 10;
  for (unsigned i = 0; i < market->size_decimals; i++) text->size_unit *= 10;
  text->update_bytes = (uint32_t)snprintf(text->update, sizeof text->update, text->form->update, market->product);
}

size_t wb_mock_text_update_bytes_max(unsigned count) {
  return HEAD_BYTES_MAX + TAIL_BYTES_MAX + (size_t)count * (2 * NUMBER_BYTES_MAX + AROUND_BYTES_MAX);
}

size_t wb_mock_text_snapshot_bytes_max(const wb_mock_market *market) {
  return wb_mock_text_update_bytes_max(market->side[0].count + market->side[1].count);
}

static inline char *put(char *to, const wb_mock_piece *piece) {
  memcpy(to, piece->text, sizeof piece->text);
  return to + piece->bytes;
}

/* Eight digits of value < 10^8, the most significant in the lowest byte, not yet characters. */
static inline uint64_t digits8(uint32_t value) {
  uint64_t x = value / 10000 | (uint64_t)(value % 10000) << 32;
  uint64_t q = (x * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
  x = q | (x - 100 * q) << 16;
  q = (x * 103 >> 10) & UINT64_C(0x000f000f000f000f);
  return q | (x - 10 * q) << 8;
}

static const uint64_t zeros = UINT64_C(0x3030303030303030);

static inline char *put_digits(char *to, uint64_t digits) {
  digits |= zeros;
  memcpy(to, &digits, 8);
  return to + 8;
}

static inline char *put_short(char *to, uint32_t value) {
  uint64_t digits = digits8(value);
  unsigned skip = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) & ~7u;
  return put_digits(to, digits >> skip) - skip / 8;
}

static char __attribute__((noinline)) * put_long(char *to, uint64_t value) {
  to = value < UINT64_C(10000000000000000) ? put_short(to, (uint32_t)(value / 100000000)) : put_long(to, value / 100000000);
  return put_digits(to, digits8((uint32_t)(value % 100000000)));
}

/* The units of most products are constants here, so that nothing is divided. */
static inline char *put_number(char *to, uint64_t value, unsigned decimals, uint64_t unit) {
  uint64_t integer = decimals == 8 ? value / 100000000 : decimals == 2 ? value / 100 : value / unit;
  uint32_t rest = (uint32_t)(value - integer * unit);
  to = __builtin_expect(integer < 100000000, 1) ? put_short(to, (uint32_t)integer) : put_long(to, integer);
  if (decimals == 0) return to;
  *to++ = '.';
  put_digits(to, digits8(rest) >> 8 * (8 - decimals));
  return to + decimals;
}

char *wb_mock_text_number(char *to, uint64_t value, unsigned decimals, uint64_t unit) {
  return put_number(to, value, decimals, unit);
}

char *wb_mock_text_trimmed(char *to, uint64_t value, unsigned decimals, uint64_t unit) {
  uint64_t integer = decimals == 8 ? value / 100000000 : decimals == 2 ? value / 100 : value / unit;
  uint32_t rest = (uint32_t)(value - integer * unit);
  to = __builtin_expect(integer < 100000000, 1) ? put_short(to, (uint32_t)integer) : put_long(to, integer);
  if (rest == 0) return to;
  uint64_t digits = digits8(rest) >> 8 * (8 - decimals);
  *to++ = '.';
  put_digits(to, digits);
  return to + 8 - __builtin_clzll(digits) / 8;
}

static inline char *put_end(char *to, const wb_mock_text *text, const char *time) {
  to = put(to, &text->form->end);
  memcpy(to, time, WB_MOCK_TIME_BYTES);
  memcpy(to + WB_MOCK_TIME_BYTES, "\"}", 2);
  return to + WB_MOCK_TIME_BYTES + 2;
}

size_t wb_mock_text_update(const wb_mock_text *text, const wb_delta *delta, unsigned count, const char *time, char *to) {
  const struct wb_mock_form *form = text->form;
  unsigned price_decimals = text->market->price_decimals, size_decimals = text->market->size_decimals;
  char *at = to + text->update_bytes;
  memcpy(to, text->update, sizeof text->update);
  const wb_mock_piece *open = form->first;
  for (unsigned i = 0; i < count; i++, open = form->next) {
    at = put(at, &open[delta[i].side]);
    at = put_number(at, delta[i].price, price_decimals, text->price_unit);
    at = put(at, &form->middle);
    at = put_number(at, delta[i].size, size_decimals, text->size_unit);
  }
  return (size_t)(put_end(at, text, time) - to);
}

static char *put_side(char *to, const wb_mock_text *text, const wb_mock_side *side) {
  const wb_mock_piece *open = &text->form->level_open;
  for (uint32_t i = side->count; i-- > 0; open = &text->form->level_next) {
    to = put(to, open);
    to = put_number(to, side->level[i].price, text->market->price_decimals, text->price_unit);
    to = put(to, &text->form->middle);
    to = put_number(to, side->level[i].size, text->market->size_decimals, text->size_unit);
  }
  return to;
}

size_t wb_mock_text_snapshot(const wb_mock_text *text, const char *time, char *to) {
  char *at = to + sprintf(to, text->form->snapshot, text->market->product);
  at = put_side(at, text, &text->market->side[WB_SIDE_ASK]);
  at = put(at, &text->form->bids);
  at = put_side(at, text, &text->market->side[WB_SIDE_BID]);
  return (size_t)(put_end(at, text, time) - to);
}

size_t wb_mock_text_heartbeat(const wb_mock_text *text, const char *time, char *to) {
  return (size_t)snprintf(to, WB_MOCK_HEARTBEAT_BYTES_MAX, text->form->heartbeat, (unsigned long long)text->market->sequence,
                          (unsigned long long)text->market->last_trade_id, text->market->product, time);
}

typedef struct number_text {
  char text[NUMBER_BYTES_MAX + 8];
} number_text;

static number_text price_text(const wb_mock_text *text, uint64_t price) {
  number_text to;
  *put_number(to.text, price, text->market->price_decimals, text->price_unit) = 0;
  return to;
}

static number_text size_text(const wb_mock_text *text, uint64_t size) {
  number_text to;
  *put_number(to.text, size, text->market->size_decimals, text->size_unit) = 0;
  return to;
}

static const char *side_word(wb_side side) { return side == WB_SIDE_BID ? "buy" : "sell"; }

size_t wb_mock_text_space(const char *json, size_t bytes, char *to) {
  size_t used = 0;
  bool inside = false;
  for (size_t i = 0; i < bytes; i++) {
    inside ^= json[i] == '"';
    to[used++] = json[i];
    if (!inside && (json[i] == ':' || json[i] == ',')) to[used++] = ' ';
  }
  return used;
}

static size_t spaced_out(const wb_mock_text *text, char *to, size_t bytes) {
  if (!text->spaced) return bytes;
  char plain[WB_MOCK_TICKER_BYTES_MAX];
  memcpy(plain, to, bytes);
  return wb_mock_text_space(plain, bytes, to);
}

size_t wb_mock_text_ticker(const wb_mock_text *text, const char *time, char *to) {
  const wb_mock_market *market = text->market;
  const wb_mock_trade *last = &market->last_trade;
  const wb_mock_level *bid = wb_mock_market_level(market, WB_SIDE_BID, 0), *ask = wb_mock_market_level(market, WB_SIDE_ASK, 0);
  int bytes = snprintf(
      to, WB_MOCK_TICKER_BYTES_MAX,
      "{\"type\":\"ticker\",\"sequence\":%llu,\"product_id\":\"%s\",\"price\":\"%s\",\"open_24h\":\"%s\",\"volume_24h\":\"%s\","
      "\"low_24h\":\"%s\",\"high_24h\":\"%s\",\"volume_30d\":\"%s\",\"best_bid\":\"%s\",\"best_bid_size\":\"%s\",\"best_ask\":"
      "\"%s\",\"best_ask_size\":\"%s\",\"side\":\"%s\",\"time\":\"%.27s\",\"trade_id\":%llu,\"last_size\":\"%s\"}",
      (unsigned long long)market->sequence, market->product, price_text(text, last->price).text,
      price_text(text, market->open).text, size_text(text, market->volume).text, price_text(text, market->low).text,
      price_text(text, market->high).text, size_text(text, market->volume).text, price_text(text, bid->price).text,
      size_text(text, bid->size).text, price_text(text, ask->price).text, size_text(text, ask->size).text,
      side_word((wb_side)!last->side), time, (unsigned long long)last->id, size_text(text, last->size).text);
  return spaced_out(text, to, (size_t)bytes);
}

size_t wb_mock_text_match(const wb_mock_text *text, const char *type, const wb_mock_trade *trade, const char *time, char *to) {
  int bytes =
      snprintf(to, WB_MOCK_TICKER_BYTES_MAX,
               "{\"type\":\"%s\",\"trade_id\":%llu,\"maker_order_id\":\"00000000-0000-4000-8000-%012llx\",\"taker_order_id\":"
               "\"00000000-0000-4000-9000-%012llx\",\"side\":\"%s\",\"size\":\"%s\",\"price\":\"%s\",\"product_id\":\"%s\","
               "\"sequence\":%llu,"
               "\"time\":\"%.27s\"}",
               type, (unsigned long long)trade->id, (unsigned long long)trade->id, (unsigned long long)trade->id,
               side_word(trade->side), size_text(text, trade->size).text, price_text(text, trade->price).text,
               text->market->product, (unsigned long long)text->market->sequence, time);
  return spaced_out(text, to, (size_t)bytes);
}

const char *wb_mock_time_text(wb_mock_time *time, int64_t utc_us) {
  if (utc_us == time->us && time->text[0]) return time->text;
  time->us = utc_us;
  int64_t second = utc_us / 1000000;
  if (second != time->second || !time->text[0]) {
    struct tm tm;
    time_t clock = (time_t)second;
    gmtime_r(&clock, &tm);
    char text[40];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
    memcpy(time->text, text, WB_MOCK_TIME_BYTES + 1);
    time->second = second;
  }
  uint64_t digits = (digits8((uint32_t)(utc_us % 1000000)) >> 16) | zeros;
  memcpy(time->text + 20, &digits, 6);
  return time->text;
}
