/* fuzz_channels.c - bytes as frames of the channels beside level 2, one a line, each in both dialects.
 *
 * Oracle:  both roads say the same and nothing that no codec may say (see capture.h); and what tickers, auctions, requests for quote, candles, status and heartbeats
 *          say is what jansson finds in the text, each number worked out digit by digit in the units of the message, which are the fewest that hold
 *          its numbers. A number is left out only where those units do not hold it. */
#include <jansson.h>

#include "tests/unit/codec/advanced.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct field {
  const char *key;
  uint8_t delta, size, best; /* best: in the product's units */
} field;

static const field exchange_ticker[] = {{"best_bid", 0, 0, 1},
                                        {"best_bid_size", 0, 1, 1},
                                        {"best_ask", 1, 0, 1},
                                        {"best_ask_size", 1, 1, 1},
                                        {"price", WB_TICKER_LAST, 0, 0},
                                        {"last_size", WB_TICKER_LAST, 1, 0},
                                        {"open_24h", WB_TICKER_OPEN_24H, 0, 0},
                                        {"low_24h", WB_TICKER_LOW_24H, 0, 0},
                                        {"high_24h", WB_TICKER_HIGH_24H, 0, 0},
                                        {"volume_24h", WB_TICKER_OPEN_24H, 1, 0},
                                        {"volume_30d", WB_TICKER_LOW_24H, 1, 0},
                                        {NULL, 0, 0, 0}};
static const field advanced_ticker[] = {{"best_bid", 0, 0, 1},
                                        {"best_bid_quantity", 0, 1, 1},
                                        {"best_ask", 1, 0, 1},
                                        {"best_ask_quantity", 1, 1, 1},
                                        {"price", WB_TICKER_LAST, 0, 0},
                                        {"volume_24_h", WB_TICKER_OPEN_24H, 1, 0},
                                        {"low_24_h", WB_TICKER_LOW_24H, 0, 0},
                                        {"high_24_h", WB_TICKER_HIGH_24H, 0, 0},
                                        {"low_52_w", WB_TICKER_LOW_52W, 0, 0},
                                        {"high_52_w", WB_TICKER_HIGH_52W, 0, 0},
                                        {NULL, 0, 0, 0}};
static const field auction[] = {{"best_bid_price", 0, 0, 0},
                                {"best_bid_size", 0, 1, 0},
                                {"best_ask_price", 1, 0, 0},
                                {"best_ask_size", 1, 1, 0},
                                {"open_price", 2, 0, 0},
                                {"open_size", 2, 1, 0},
                                {NULL, 0, 0, 0}};
static const field rfq[] = {{"price", 0, 0, 0}, {"size", 0, 1, 0}, {NULL, 0, 0, 0}};
static const field candle[] = {{"open", WB_CANDLE_OPEN, 0, 0}, {"volume", WB_CANDLE_OPEN, 1, 0}, {"high", WB_CANDLE_HIGH, 0, 0},
                               {"low", WB_CANDLE_LOW, 0, 0},   {"close", WB_CANDLE_CLOSE, 0, 0}, {NULL, 0, 0, 0}};

/* How many places a decimal needs, and what it is in units of 10^-decimals; UINT64_MAX where those do not hold it. */
static unsigned places_of(const char *text) {
  const char *dot = strchr(text, '.');
  size_t bytes = strlen(text);
  while (dot && text[bytes - 1] == '0') bytes--;
  return dot ? (unsigned)(text + bytes - dot - 1) : 0;
}

static uint64_t units_of(const char *text, unsigned decimals) {
  unsigned __int128 value = 0;
  unsigned after = 0;
  bool point = false;
  if (places_of(text) > decimals) return UINT64_MAX;
  for (; *text && (!point || after < decimals); text++) {
    if (*text == '.') point = true;
    else value = value * 10 + (unsigned)(*text - '0'), after += point;
    if (value > WB_QUANTITY_MAX) return UINT64_MAX;
  }
  for (; after < decimals && value; after++)
    if ((value *= 10) > WB_QUANTITY_MAX) return UINT64_MAX;
  return (uint64_t)value;
}

static unsigned in_use(const wb_coinbase_product *product, unsigned size) {
  return size ? product->size_decimals : product->price_decimals;
}

static void compare(const wb_message *m, const wb_coinbase_product *product, json_t *object, const field *fields) {
  unsigned need[2] = {0, 0};
  for (const field *f = fields; f->key; f++) {
    const char *text = json_string_value(json_object_get(object, f->key));
    if (!text || f->best) continue;
    unsigned places = places_of(text);
    if (places > need[f->size] && places <= WB_DECIMALS_MAX) need[f->size] = places;
  }
  WB_CHECK(m->decimals[0] == need[0] && m->decimals[1] == need[1]);
  bool last_trade = m->kind != WB_MESSAGE_TICKER || m->flags & WB_FLAG_TRADE;
  for (const field *f = fields; f->key; f++) {
    const char *text = json_string_value(json_object_get(object, f->key));
    uint64_t got = f->size ? m->deltas[f->delta].size : m->deltas[f->delta].price;
    uint64_t want = text ? units_of(text, f->best ? in_use(product, f->size) : need[f->size]) : 0;
    if (f->best && !(m->flags & WB_FLAG_BEST)) want = 0;
    if (f->size && f->delta == WB_TICKER_LAST && !last_trade) want = 0;
    WB_CHECK(got == (want == UINT64_MAX ? 0 : want));
  }
}

/* The last trade of a ticker is there if it is whole; the best prices are there if they fit. */
static void compare_ticker(const wb_message *m, const wb_coinbase_product *product, json_t *object, const field *fields) {
  compare(m, product, object, fields);
  const char *side = json_string_value(json_object_get(object, "side"));
  const char *size = json_string_value(json_object_get(object, "last_size"));
  json_t *id = json_object_get(object, "trade_id");
  bool whole = fields == exchange_ticker && side && size && json_is_integer(id) && units_of(size, m->decimals[1]) != UINT64_MAX;
  WB_CHECK(((m->flags & WB_FLAG_TRADE) != 0) == whole);
  if (whole) WB_CHECK(m->u.ticker.trade_id == (uint64_t)json_integer_value(id));
  if (whole) WB_CHECK((m->deltas[WB_TICKER_LAST].side == WB_SIDE_ASK) == (strcmp(side, "sell") == 0));
  bool fits = json_object_get(object, "best_bid") != NULL;
  for (const field *f = fields; f->key && f->best; f++) {
    const char *text = json_string_value(json_object_get(object, f->key));
    fits = fits && (!text || units_of(text, in_use(product, f->size)) != UINT64_MAX);
  }
  WB_CHECK(((m->flags & WB_FLAG_BEST) != 0) == fits);
}

static const char *first_text(json_t *object, const char *one, const char *other) {
  const char *text = json_string_value(json_object_get(object, one));
  return text ? text : json_string_value(json_object_get(object, other));
}

/* Rows of products in the table, then the one that ends them. Returns how many messages that took. */
static unsigned compare_rows(const capture *got, unsigned at, json_t *rows) {
  unsigned first = at;
  uint32_t others = 0;
  size_t i;
  json_t *row;
  json_array_foreach(rows, i, row) {
    const char *id = first_text(row, "id", "product_id");
    int product = id ? wb_products_find(got->products, id, strlen(id)) : -1;
    others += product < 0;
    if (product < 0) continue;
    const wb_message *m = got->message[at++];
    WB_CHECK(m->kind == WB_MESSAGE_STATUS && m->product == product);
    const char *price = first_text(row, "price_increment", "quote_increment");
    const char *size = json_string_value(json_object_get(row, "base_increment"));
    WB_CHECK(m->decimals[0] == places_of(price) && m->deltas[0].price == units_of(price, m->decimals[0]));
    WB_CHECK(m->decimals[1] == places_of(size) && m->deltas[0].size == units_of(size, m->decimals[1]));
    WB_CHECK(m->deltas[0].price && m->deltas[0].size);
    WB_CHECK(!(m->u.status.flags & WB_PRODUCT_POST_ONLY) == !json_is_true(json_object_get(row, "post_only")));
    WB_CHECK(!(m->u.status.flags & WB_PRODUCT_FX_STABLECOIN) == !json_is_true(json_object_get(row, "fx_stablecoin")));
  }
  const wb_message *m = got->message[at];
  WB_CHECK(m->kind == WB_MESSAGE_STATUS && m->product == WB_PRODUCT_NONE);
  WB_CHECK(m->u.rows.ours == at - first && m->u.rows.others == others);
  return at + 1 - first;
}

static void exchange(const roads *all, json_t *root) {
  const capture *got = &all->got[0];
  const wb_message *m = got->message[0];
  switch (m->kind) {
  case WB_MESSAGE_TICKER: compare_ticker(m, &all->state[0]->product[m->product], root, exchange_ticker); break;
  case WB_MESSAGE_AUCTION: compare(m, NULL, root, auction); break;
  case WB_MESSAGE_RFQ: compare(m, NULL, root, rfq); break;
  case WB_MESSAGE_STATUS: WB_CHECK(compare_rows(got, 0, json_object_get(root, "products")) == got->count); break;
  default: break;
  }
}

static void advanced_events(const advanced *both, json_t *root) {
  const capture *got = &both->got[0];
  unsigned at = got->message[0]->kind == WB_MESSAGE_GAP;
  size_t e, i;
  json_t *event, *item;
  const wb_message *first = got->message[at];
  bool beats = first->kind == WB_MESSAGE_HEARTBEAT;
  if (first->kind != WB_MESSAGE_TICKER && first->kind != WB_MESSAGE_CANDLE && first->kind != WB_MESSAGE_STATUS && !beats)
    return;
  json_array_foreach(json_object_get(root, "events"), e, event) {
    bool past = strcmp(first_text(event, "type", "") ? first_text(event, "type", "") : "", "snapshot") == 0;
    if (first->kind == WB_MESSAGE_STATUS) at += compare_rows(got, at, json_object_get(event, "products"));
    json_t *counter = json_object_get(event, "heartbeat_counter");
    if (beats && json_is_integer(counter)) WB_CHECK(got->message[at]->u.beat.counter == (uint64_t)json_integer_value(counter));
    at += beats;
    bool tickers = first->kind == WB_MESSAGE_TICKER;
    json_array_foreach(json_object_get(event, tickers ? "tickers" : "candles"), i, item) {
      if (first->kind != WB_MESSAGE_TICKER && first->kind != WB_MESSAGE_CANDLE) break;
      const wb_message *m = got->message[at++];
      if (tickers) compare_ticker(m, &both->state[0]->product[m->product], item, advanced_ticker);
      else compare(m, NULL, item, candle);
      if (!tickers) WB_CHECK((uint64_t)m->u.candle.start_ns == units_of(first_text(item, "start", ""), 0) * 1000000000);
      if (!tickers) WB_CHECK(((m->flags & WB_FLAG_PAST) != 0) == past);
    }
  }
  WB_CHECK(at == got->count);
}

static void decode(roads *all, advanced *both, const uint8_t *line, size_t bytes) {
  json_t *root = json_loadb((const char *)line, bytes, JSON_ALLOW_NUL,
                            NULL); /* NULL for some that are legal: integers of 64 bits without a sign */
  const char *broken = roads_decode(all, line, bytes, '"');
  WB_CHECK(!broken);
  if (root) exchange(all, root);
  broken = advanced_decode(both, WB_FRAME_TEXT, line, bytes, '"');
  WB_CHECK(!broken);
  if (root) advanced_events(both, root);
  json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static roads all;
  static advanced both;
  if (all.count == 0) {
    roads_init(&all);
    advanced_init(&both);
  }
  roads_rescale(&all);
  for (unsigned i = 0; i < ADVANCED_ROADS; i++) {
    for (unsigned p = 0; p < ADVANCED_PRODUCTS; p++)
      both.state[i]->product[p].price_decimals = both.state[i]->product[p].size_decimals = WB_DECIMALS_DEFAULT;
    memset(both.state[i]->sequence, 0, sizeof both.state[i]->sequence);
  }
  for (size_t at = 0; at <= size;) {
    const uint8_t *line = data + at, *end = at < size ? memchr(line, '\n', size - at) : NULL;
    size_t bytes = end ? (size_t)(end - line) : size - at;
    at += bytes + 1;
    decode(&all, &both, line, bytes);
  }
  return 0;
}
