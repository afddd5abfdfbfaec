#include "engine/codec/coinbase_advanced.h"

#include "engine/codec/coinbase_reading.h"
#include "engine/codec/iso8601.h"

/* Fewest bytes of `{"side":"bid","price_level":"1","new_quantity":"0"},`. */
enum { CHANGE_BYTES_MIN = 50, GO_TIME_BYTES_MAX = 64 };

enum { CHANNEL, SEQUENCE_NUM, EVENTS, TIMESTAMP, TYPE, ROOT_COUNT };
static const char *const root_keys[ROOT_COUNT] = {"channel", "sequence_num", "events", "timestamp", "type"};

enum { EVENT_TYPE, PRODUCT_ID, UPDATES, TICKERS, TRADES, CANDLES, PRODUCTS, SUBSCRIPTIONS, CURRENT_TIME, COUNTER, EVENT_COUNT };
static const char *const event_keys[EVENT_COUNT] = {"type",         "product_id",       "updates",  "tickers",
                                                    "trades",       "candles",          "products", "subscriptions",
                                                    "current_time", "heartbeat_counter"};

enum { CHANGE_SIDE, EVENT_TIME, PRICE_LEVEL, NEW_QUANTITY, CHANGE_COUNT };
static const char *const change_keys[CHANGE_COUNT] = {"side", "event_time", "price_level", "new_quantity"};

enum {
  TICKER_PRODUCT,
  BEST_BID,
  BEST_BID_QUANTITY,
  BEST_ASK,
  BEST_ASK_QUANTITY,
  LAST,
  VOLUME_24H,
  LOW_24H,
  HIGH_24H,
  LOW_52W,
  HIGH_52W,
  TICKER_COUNT
};
static const char *const ticker_keys[TICKER_COUNT] = {"product_id",        "best_bid", "best_bid_quantity", "best_ask",
                                                      "best_ask_quantity", "price",    "volume_24_h",       "low_24_h",
                                                      "high_24_h",         "low_52_w", "high_52_w"};
static const wb_quantity ticker_quantities[] = {
    {LAST, WB_TICKER_LAST, false, false, 0},       {VOLUME_24H, WB_TICKER_OPEN_24H, true, false, WB_FLAG_VOLUME_24H},
    {LOW_24H, WB_TICKER_LOW_24H, false, false, 0}, {HIGH_24H, WB_TICKER_HIGH_24H, false, false, 0},
    {LOW_52W, WB_TICKER_LOW_52W, false, false, 0}, {HIGH_52W, WB_TICKER_HIGH_52W, false, false, 0},
};

enum { TRADE_PRODUCT, TRADE_ID, PRICE, SIZE, SIDE, TIME, TRADE_COUNT };
static const char *const trade_keys[TRADE_COUNT] = {"product_id", "trade_id", "price", "size", "side", "time"};

int wb_coinbase_advanced_product(const wb_coinbase *state, const char *id, size_t bytes) {
  int index = wb_products_find(state->products, id, bytes);
  if (index >= 0 || bytes < 5 || bytes + 1 >= WB_PRODUCT_ID_BYTES || memcmp(id + bytes - 4, "-USD", 4) != 0) return index;
  char alias[WB_PRODUCT_ID_BYTES];
  memcpy(alias, id, bytes);
  alias[bytes] = 'C';
  return wb_products_find(state->products, alias, bytes + 1);
}

void wb_coinbase_advanced_next(wb_coinbase *state, const wb_frame *frame, uint64_t sequence, wb_out *out) {
  wb_coinbase_sequence *own = &state->sequence[frame->line % WB_LINE_COUNT_MAX];
  if (own->known && sequence != own->next) {
    wb_message *message = wb_coinbase_claim(out, frame, WB_MESSAGE_GAP, WB_PRODUCT_NONE, 0);
    message->u.gap.expected = own->next;
    message->u.gap.came = sequence;
    out->commit(out, message);
  }
  *own = (wb_coinbase_sequence){.next = sequence + 1, .known = true};
}

/* One message: what its events are read with. out is NULL while they are only checked. */
typedef struct reading {
  wb_reading r; /* first */
  int64_t timestamp_ns;
  uint64_t sequence;
  wb_out *out;
  bool any;     /* something was put out */
  bool counted; /* sequence is known */
  bool past;    /* of an event that tells what was before the subscription */
} reading;

static wb_message *claim(reading *at, wb_message_kind kind, uint16_t product, uint32_t delta_count) {
  at->any = true;
  return wb_coinbase_claim(at->out, at->r.frame, kind, product, delta_count);
}

static bool read_product(reading *at, const wb_members *members, unsigned key) {
  wb_reading *r = &at->r;
  char id[WB_PRODUCT_ID_BYTES];
  r->product = WB_PRODUCT_NONE;
  if (!wb_reading_have_kind(r, members, key, '"')) return false;
  uint32_t bytes = wb_json_string(&r->json, members->value[key].at, id, sizeof id);
  int index = bytes < sizeof id ? wb_coinbase_advanced_product(r->state, id, bytes) : -1;
  if (index < 0) return wb_reading_refuse(r, WB_REJECT_UNKNOWN_PRODUCT, members->value[key].at);
  r->product = (uint16_t)index;
  return true;
}

/* ------------------------------------------------------------------------------------------------ level 2 */

static bool change_next(wb_reading *r, wb_levels *at, wb_book_level *level) {
  wb_json_value element;
  wb_members change;
  if (!wb_levels_element(at, &element)) return false;
  if (!wb_reading_object(r, element, change_keys, CHANGE_COUNT, &change) ||
      !wb_reading_have_kind(r, &change, CHANGE_SIDE, '"') || !wb_reading_have_kind(r, &change, PRICE_LEVEL, '"') ||
      !wb_reading_have_kind(r, &change, NEW_QUANTITY, '"'))
    return false;
  bool offer = wb_reading_is(r, change.value[CHANGE_SIDE], "offer");
  if (!offer && !wb_reading_is(r, change.value[CHANGE_SIDE], "bid"))
    return wb_reading_refuse(r, WB_REJECT_UNKNOWN_SIDE, change.value[CHANGE_SIDE].at);
  *level = (wb_book_level){change.value[PRICE_LEVEL], change.value[NEW_QUANTITY], offer ? WB_SIDE_ASK : WB_SIDE_BID};
  return true;
}

/* All times must be times; one of them is the message's. */
static bool read_times(reading *at, const wb_levels *levels, bool snapshot) {
  wb_levels each = *levels;
  int64_t time_ns = WB_TIME_NONE;
  wb_json_value element;
  for (bool first = true; wb_levels_element(&each, &element); first = false) {
    wb_members change;
    int64_t own_ns = WB_TIME_NONE;
    if (!wb_reading_object(&at->r, element, change_keys, CHANGE_COUNT, &change) ||
        !wb_reading_time(&at->r, &change, EVENT_TIME, &own_ns))
      return false;
    if (first || !snapshot) time_ns = own_ns;
  }
  at->r.time_ns = wb_advanced_time(time_ns, at->timestamp_ns, snapshot);
  return true;
}

static bool read_level2(reading *at, const wb_members *event) {
  wb_reading *r = &at->r;
  if (!read_product(at, event, PRODUCT_ID) || !wb_reading_have_kind(r, event, EVENT_TYPE, '"')) return false;
  bool snapshot = wb_reading_is(r, event->value[EVENT_TYPE], "snapshot");
  if (!snapshot && !wb_reading_is(r, event->value[EVENT_TYPE], "update"))
    return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, event->value[EVENT_TYPE].at);
  if (!wb_reading_have_kind(r, event, UPDATES, '[')) return false;
  wb_levels levels = {.next = change_next, .json = r->json, .array = {event->value[UPDATES]}, .arrays = 1, .changes = true};
  if (!read_times(at, &levels, snapshot)) return false;
  at->any = true;
  return wb_reading_levels(r, &levels, snapshot, CHANGE_BYTES_MIN, at->out);
}

/* ------------------------------------------------------------------------------------------------ tickers, trades, candles */

static bool read_ticker(reading *at, wb_json_value value) {
  static const unsigned price_key[2] = {BEST_BID, BEST_ASK}, size_key[2] = {BEST_BID_QUANTITY, BEST_ASK_QUANTITY};
  wb_reading *r = &at->r;
  wb_members ticker;
  wb_ticker_reading said = {.sequence = at->sequence};
  if (!wb_reading_object(r, value, ticker_keys, TICKER_COUNT, &ticker) || !read_product(at, &ticker, TICKER_PRODUCT))
    return false;
  bool best = ticker.value[BEST_BID].at || ticker.value[BEST_ASK].at; /* ticker_batch has none */
  if (best && !wb_reading_best(r, &ticker, price_key, size_key, &said)) return false;
  if (!wb_reading_quantities(r, &ticker, ticker_quantities, sizeof ticker_quantities / sizeof *ticker_quantities, said.delta,
                             said.decimals, &said.flags))
    return false;
  if (!at->out) return true;
  at->any = true;
  r->time_ns = at->timestamp_ns;
  wb_reading_put_ticker(r, &said, at->out);
  return true;
}

/* A trade_id is a string of digits. */
static bool read_trade_id(reading *at, const wb_members *trade, uint64_t *trade_id) {
  wb_reading *r = &at->r;
  if (!wb_reading_have_kind(r, trade, TRADE_ID, '"')) return false;
  if (!wb_reading_number(r, trade->value[TRADE_ID], 0, trade_id)) return false;
  return *trade_id != UINT64_MAX || wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, trade->value[TRADE_ID].at);
}

static bool read_trade(reading *at, wb_json_value value) {
  static const char *const sides[2] = {"BUY", "SELL"};
  wb_reading *r = &at->r;
  wb_members trade;
  wb_side side;
  uint64_t trade_id, price, size;
  int64_t time_ns = at->timestamp_ns;
  if (!wb_reading_object(r, value, trade_keys, TRADE_COUNT, &trade) || !read_product(at, &trade, TRADE_PRODUCT) ||
      !read_trade_id(at, &trade, &trade_id))
    return false;
  const wb_coinbase_product *product = &r->state->product[r->product];
  unsigned decimals[2] = {product->price_decimals, product->size_decimals};
  if (!wb_reading_widening(r, &trade, PRICE, &decimals[0], &price) ||
      !wb_reading_widening(r, &trade, SIZE, &decimals[1], &size))
    return false;
  if (price == 0) return wb_reading_refuse(r, WB_REJECT_BAD_NUMBER, trade.value[PRICE].at);
  if (!wb_reading_side(r, &trade, SIDE, sides, &side) || !wb_reading_time(r, &trade, TIME, &time_ns)) return false;
  if (!at->out) return true;
  r->time_ns = time_ns;
  wb_reading_scale(r, decimals, at->out);
  wb_message *message = claim(at, WB_MESSAGE_TRADE, r->product, 1);
  message->time_ns = time_ns;
  message->flags = at->past ? WB_FLAG_PAST : 0;
  message->u.trade.sequence = at->sequence;
  message->u.trade.trade_id = trade_id;
  message->deltas[0] = (wb_delta){.price = price, .size = size, .side = side};
  at->out->commit(at->out, message);
  return true;
}

static bool read_candle(reading *at, wb_json_value value) {
  enum { PRODUCT, START, OPEN, HIGH, LOW, CLOSE, VOLUME, COUNT };
  static const char *const keys[COUNT] = {"product_id", "start", "open", "high", "low", "close", "volume"};
  static const wb_quantity quantities[] = {{OPEN, WB_CANDLE_OPEN, false, true, 0},
                                           {HIGH, WB_CANDLE_HIGH, false, true, 0},
                                           {LOW, WB_CANDLE_LOW, false, true, 0},
                                           {CLOSE, WB_CANDLE_CLOSE, false, true, 0},
                                           {VOLUME, WB_CANDLE_OPEN, true, true, 0}};
  const uint64_t second_ns = 1000000000;
  wb_reading *r = &at->r;
  wb_members candle;
  wb_delta delta[WB_CANDLE_DELTAS] = {0};
  uint8_t decimals[2], flags = at->past ? WB_FLAG_PAST : 0;
  uint64_t start;
  if (!wb_reading_object(r, value, keys, COUNT, &candle) || !read_product(at, &candle, PRODUCT) ||
      !wb_reading_have_kind(r, &candle, START, '"') || !wb_reading_number(r, candle.value[START], 0, &start))
    return false;
  if (start > INT64_MAX / second_ns) return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, candle.value[START].at);
  if (!wb_reading_quantities(r, &candle, quantities, sizeof quantities / sizeof *quantities, delta, decimals, &flags))
    return false;
  if (!at->out) return true;
  wb_message *message = claim(at, WB_MESSAGE_CANDLE, r->product, WB_CANDLE_DELTAS);
  message->time_ns = at->timestamp_ns;
  message->flags = flags;
  memcpy(message->decimals, decimals, sizeof decimals);
  message->u.candle.sequence = at->sequence;
  message->u.candle.start_ns = (int64_t)(start * second_ns);
  memcpy(message->deltas, delta, sizeof delta);
  at->out->commit(at->out, message);
  return true;
}

static bool trade_id_at(reading *at, wb_json_value value, uint64_t *trade_id) {
  wb_members trade;
  return wb_reading_object(&at->r, value, trade_keys, TRADE_COUNT, &trade) && read_trade_id(at, &trade, trade_id);
}

/* Elements of an array in their order; trades whose ids fall, from the last to the first. */
enum { TRADES_MAX = 1024 };
static bool read_each(reading *at, const wb_members *event, unsigned key, bool (*read)(reading *at, wb_json_value value)) {
  wb_reading *r = &at->r;
  if (!wb_reading_have_kind(r, event, key, '[')) return false;
  wb_json array = {r->json.text, event->value[key].end, event->value[key].at + 1};
  wb_json_value value[TRADES_MAX];
  unsigned count = 0;
  for (; wb_json_element(&array, &value[count]); count++)
    if (count + 1 == TRADES_MAX) return wb_reading_refuse(r, WB_REJECT_TOO_LARGE, value[count].at);
  uint64_t first, last;
  bool falling = key == TRADES && count > 1 && trade_id_at(at, value[0], &first) && trade_id_at(at, value[count - 1], &last) &&
                 first > last;
  r->reason = WB_REJECT_NONE;
  for (unsigned i = 0; i < count; i++)
    if (!read(at, value[falling ? count - 1 - i : i])) return false;
  return true;
}

/* ------------------------------------------------------------------------------------------------ status and heartbeats */

static bool read_status(reading *at, const wb_members *event) {
  wb_reading *r = &at->r;
  uint32_t ours = 0, others = 0;
  r->time_ns = at->timestamp_ns;
  if (!wb_reading_have_kind(r, event, PRODUCTS, '[') || !wb_reading_rows(r, event->value[PRODUCTS], &ours, &others, at->out))
    return false;
  if (!at->out) return true;
  at->any = true;
  wb_reading_put_rows(r, ours, others, at->out);
  return true;
}

/* The counter is a number, in quotes or not. */
static bool read_counter(reading *at, const wb_members *event, uint64_t *counter) {
  wb_reading *r = &at->r;
  if (!wb_reading_have(r, event, COUNTER)) return false;
  if (wb_reading_kind(r, event->value[COUNTER]) != '"') return wb_reading_unsigned(r, event, COUNTER, counter);
  if (!wb_reading_number(r, event->value[COUNTER], 0, counter)) return false;
  return *counter != UINT64_MAX || wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, event->value[COUNTER].at);
}

static bool read_heartbeat(reading *at, const wb_members *event) {
  wb_reading *r = &at->r;
  uint64_t counter;
  int64_t time_ns = at->timestamp_ns;
  r->product = WB_PRODUCT_NONE;
  if (!read_counter(at, event, &counter)) return false;
  if (wb_reading_says(r, event, CURRENT_TIME)) {
    char text[GO_TIME_BYTES_MAX];
    wb_json_value value = event->value[CURRENT_TIME];
    if (!wb_reading_have_kind(r, event, CURRENT_TIME, '"')) return false;
    uint32_t bytes = wb_json_string(&r->json, value.at, text, sizeof text);
    if (bytes > sizeof text || wb_iso8601_parse_go(text, bytes, &time_ns) != 0)
      return wb_reading_refuse(r, WB_REJECT_BAD_TIME, value.at);
  }
  if (!at->out) return true;
  wb_message *message = claim(at, WB_MESSAGE_HEARTBEAT, WB_PRODUCT_NONE, 0);
  message->time_ns = time_ns;
  message->u.beat.sequence = at->sequence;
  message->u.beat.counter = counter;
  at->out->commit(at->out, message);
  return true;
}

/* ------------------------------------------------------------------------------------------------ acknowledgements */

/* Known products of level2, those that this pass has not met before; with emit they are put out, the last of total as LAST. */
static bool read_level2_ids(reading *at, wb_json_value ids, uint32_t pass, bool emit, uint32_t total, uint32_t *count) {
  wb_reading *r = &at->r;
  wb_json array = {r->json.text, ids.end, ids.at + 1};
  for (wb_json_value id; wb_json_element(&array, &id);) {
    char text[WB_PRODUCT_ID_BYTES];
    if (wb_reading_kind(r, id) != '"') return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, id.at);
    uint32_t bytes = wb_json_string(&r->json, id.at, text, sizeof text);
    int index = bytes < sizeof text ? wb_coinbase_advanced_product(r->state, text, bytes) : -1;
    if (index < 0 || r->state->product[index].acked == pass) continue;
    r->state->product[index].acked = pass;
    *count += 1;
    if (!emit) continue;
    wb_message *message = claim(at, WB_MESSAGE_SUBSCRIPTIONS, (uint16_t)index, 0);
    message->part = (*count == 1 ? WB_PART_FIRST : 0) | (*count == total ? WB_PART_LAST : 0);
    at->out->commit(at->out, message);
  }
  return true;
}

/* The channel goes by two names. */
static bool read_level2_channels(reading *at, const wb_members *channels, bool emit, uint32_t total, uint32_t *count) {
  uint32_t pass = ++at->r.state->ack_count;
  *count = 0;
  for (unsigned i = 0; i < 2; i++) {
    if (!wb_reading_says(&at->r, channels, i)) continue;
    if (!wb_reading_have_kind(&at->r, channels, i, '[')) return false;
    if (!read_level2_ids(at, channels->value[i], pass, emit, total, count)) return false;
  }
  return true;
}

static bool read_subscriptions(reading *at, const wb_members *event) {
  static const char *const level2[] = {"level2", "l2_data"};
  wb_reading *r = &at->r;
  wb_members channels;
  uint32_t total, count;
  if (!wb_reading_have(r, event, SUBSCRIPTIONS) || !wb_reading_object(r, event->value[SUBSCRIPTIONS], level2, 2, &channels) ||
      !read_level2_channels(at, &channels, false, 0, &total))
    return false;
  if (!at->out) return true;
  if (total) return read_level2_channels(at, &channels, true, total, &count);
  at->out->commit(at->out, claim(at, WB_MESSAGE_SUBSCRIPTIONS, WB_PRODUCT_NONE, 0));
  return true;
}

/* ------------------------------------------------------------------------------------------------ the message */

/* What a REJECT of those from TICKER on would say harms no book. Private channels are passed by. */
typedef enum {
  CHANNEL_UNKNOWN = 0,
  CHANNEL_PASSED_BY,
  CHANNEL_LEVEL2,
  CHANNEL_SUBSCRIPTIONS,
  CHANNEL_TICKER,
  CHANNEL_TRADES,
  CHANNEL_CANDLES,
  CHANNEL_STATUS,
  CHANNEL_HEARTBEATS
} channel;

static bool read_event(reading *at, channel which, wb_json_value value) {
  wb_members event;
  if (!wb_reading_object(&at->r, value, event_keys, EVENT_COUNT, &event)) return false;
  at->past = event.value[EVENT_TYPE].at && wb_reading_kind(&at->r, event.value[EVENT_TYPE]) == '"' &&
             wb_reading_is(&at->r, event.value[EVENT_TYPE], "snapshot");
  switch (which) {
  case CHANNEL_LEVEL2: return read_level2(at, &event);
  case CHANNEL_TICKER: return read_each(at, &event, TICKERS, read_ticker);
  case CHANNEL_TRADES: return read_each(at, &event, TRADES, read_trade);
  case CHANNEL_CANDLES: return read_each(at, &event, CANDLES, read_candle);
  case CHANNEL_STATUS: return read_status(at, &event);
  case CHANNEL_HEARTBEATS: return read_heartbeat(at, &event);
  default: return read_subscriptions(at, &event);
  }
}

static bool read_events(reading *at, channel which, wb_json_value events) {
  wb_json array = {at->r.json.text, events.end, events.at + 1};
  wb_json_value event;
  bool good = true;
  unsigned count = 0;
  for (; wb_json_element(&array, &event); count++) good = good && read_event(at, which, event);
  if (!good && count > 1) at->r.product = WB_PRODUCT_NONE; /* the others' changes are lost as well */
  return good;
}

static channel channel_of(const wb_reading *r, wb_json_value name) {
  static const struct {
    const char *name;
    channel channel;
  } names[] = {{"l2_data", CHANNEL_LEVEL2},
               {"level2", CHANNEL_LEVEL2},
               {"ticker", CHANNEL_TICKER},
               {"ticker_batch", CHANNEL_TICKER},
               {"market_trades", CHANNEL_TRADES},
               {"subscriptions", CHANNEL_SUBSCRIPTIONS},
               {"heartbeats", CHANNEL_HEARTBEATS},
               {"candles", CHANNEL_CANDLES},
               {"status", CHANNEL_STATUS},
               {"user", CHANNEL_PASSED_BY},
               {"futures_balance_summary", CHANNEL_PASSED_BY}};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    if (wb_reading_is(r, name, names[i].name)) return names[i].channel;
  return CHANNEL_UNKNOWN;
}

static bool read_message(reading *at, wb_out *out) {
  wb_reading *r = &at->r;
  wb_members root;
  if (!wb_reading_root(r, root_keys, ROOT_COUNT, &root, NULL)) return false;
  if (root.value[CHANNEL].at == 0 && root.value[TYPE].at) { /* an error has a type instead */
    bool error = wb_reading_kind(r, root.value[TYPE]) == '"' && wb_reading_is(r, root.value[TYPE], "error");
    out->commit(out, wb_coinbase_claim(out, r->frame, error ? WB_MESSAGE_ERROR : WB_MESSAGE_UNKNOWN, WB_PRODUCT_NONE, 0));
    return true;
  }
  if (!wb_reading_have_kind(r, &root, CHANNEL, '"') || !wb_reading_unsigned(r, &root, SEQUENCE_NUM, &at->sequence))
    return false;
  at->counted = true;
  if (!wb_reading_time(r, &root, TIMESTAMP, &at->timestamp_ns)) return false;
  channel which = channel_of(r, root.value[CHANNEL]);
  bool read = which > CHANNEL_PASSED_BY;
  r->harmless = which >= CHANNEL_TICKER;
  if (read) {
    if (!wb_reading_have_kind(r, &root, EVENTS, '[')) return false;
    if (!read_events(at, which, root.value[EVENTS])) return false;
  }
  wb_coinbase_advanced_next(r->state, r->frame, at->sequence, out);
  at->out = out;
  at->any = false;
  if (read) read_events(at, which, root.value[EVENTS]);
  wb_message_kind kind = which == CHANNEL_UNKNOWN ? WB_MESSAGE_UNKNOWN : WB_MESSAGE_IGNORED;
  if (!at->any) out->commit(out, wb_coinbase_claim(out, r->frame, kind, WB_PRODUCT_NONE, 0));
  return true;
}

void wb_coinbase_advanced_full(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  reading at = {.r = wb_reading_of(state, frame, bytes), .timestamp_ns = WB_TIME_NONE};
  if (read_message(&at, out)) return;
  if (at.counted) wb_coinbase_advanced_next(state, frame, at.sequence, out);
  wb_reading_reject(&at.r, out);
}

/* ------------------------------------------------------------------------------------------------ the codec */

static int init(void *memory, const wb_products *products) {
  int code = wb_coinbase_init(memory, products);
  if (code != 0) return code;
  wb_coinbase *state = memory;
  state->fast = wb_coinbase_advanced_fast;
  state->full = wb_coinbase_advanced_full;
  return 0;
}

static void decode(void *memory, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_coinbase *state = memory;
  if (__builtin_expect(frame->kind == WB_FRAME_TEXT, 1)) {
    state->fast(state, frame, bytes, out);
    return;
  }
  if (frame->kind == WB_FRAME_CONNECT) state->sequence[frame->line % WB_LINE_COUNT_MAX] = (wb_coinbase_sequence){.known = true};
  wb_coinbase_other(state, frame, bytes, out);
}

/* One channel a message. heartbeats has no products. */
static int subscribe(const wb_products *products, const char *const *channels, const uint16_t *index, uint32_t count,
                     bool unsubscribe, char *text, size_t size) {
  wb_text_buffer to = {text, size, 0};
  for (const char *const *name = channels; *name; name++) {
    wb_text_put(&to, "%s{\"type\":\"%s\",\"channel\":\"%s\"", name == channels ? "" : "\n",
                unsubscribe ? "unsubscribe" : "subscribe", *name);
    if (strcmp(*name, "heartbeats") != 0) {
      wb_text_put(&to, ",\"product_ids\":[");
      for (uint32_t i = 0; i < count; i++) wb_text_put(&to, "%s\"%s\"", i ? "," : "", products->product[index[i]].id);
      wb_text_put(&to, "]");
    }
    wb_text_put(&to, "}");
  }
  return to.length < size ? (int)to.length : WB_E_LIMIT;
}

static const char *const default_channels[] = {"level2", "heartbeats", NULL};

const wb_codec wb_codec_coinbase_advanced = {
    .name = "coinbase-advanced",
    .url = "wss://advanced-trade-ws.coinbase.com",
    .products_url = "https://api.coinbase.com/api/v3/brokerage/market/products",
    .channels = default_channels,
    .level2 = "level2",
    .product_key = "\"product_id\"",
    .separator = '-',
    .size = wb_coinbase_size,
    .init = init,
    .decode = decode,
    .subscribe = subscribe,
};
