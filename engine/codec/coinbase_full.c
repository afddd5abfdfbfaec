#include "engine/codec/coinbase_channels.h"
#include "engine/codec/coinbase_fast.h"

/* Fewest bytes of `["buy","1","0"],`: how many changes there can be in an array, whose brackets are one byte too many. */
enum { CHANGE_BYTES_MIN = 16 };

/* Those from PRICE on are looked for only where the type has them: a match those up to SIZE, a ticker all. */
enum {
  TYPE,
  PRODUCT_ID,
  TIME,
  CHANGES,
  BIDS,
  ASKS,
  SEQUENCE,
  LAST_TRADE_ID,
  CHANNELS,
  PRICE,
  SIDE,
  TRADE_ID,
  SIZE,
  BEST_BID,
  BEST_BID_SIZE,
  BEST_ASK,
  BEST_ASK_SIZE,
  LAST_SIZE,
  OPEN_24H,
  LOW_24H,
  HIGH_24H,
  VOLUME_24H,
  VOLUME_30D,
  KEY_COUNT,
  MATCH_COUNT = SIZE + 1
};
static const char *const keys[KEY_COUNT] = {
    "type",          "product_id", "time",     "changes",  "bids",     "asks",       "sequence",      "last_trade_id",
    "channels",      "price",      "side",     "trade_id", "size",     "best_bid",   "best_bid_size", "best_ask",
    "best_ask_size", "last_size",  "open_24h", "low_24h",  "high_24h", "volume_24h", "volume_30d"};
_Static_assert((unsigned)KEY_COUNT <= WB_MEMBERS_MAX, "the members of a ticker are found in one pass");

static const char *const sides[2] = {"buy", "sell"};

static void find_product(wb_reading *r, const wb_members *root) {
  wb_json_value value = root->value[PRODUCT_ID];
  if (value.at == 0 || root->twice >> PRODUCT_ID & 1 || wb_reading_kind(r, value) != '"') return;
  int index = wb_reading_product(r, value);
  if (index >= 0) r->product = (uint16_t)index;
}

/* ------------------------------------------------------------------------------------------------ levels */

static bool level_next(wb_reading *r, wb_levels *at, wb_book_level *level) {
  wb_json_value array;
  if (!wb_levels_element(at, &array)) return false;
  if (wb_reading_kind(r, array) != '[') return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, array.at);
  wb_json inner = {r->json.text, array.end, array.at + 1};
  wb_json_value string[3];
  unsigned count = 0, want = at->changes ? 3 : 2;
  for (wb_json_value value; wb_json_element(&inner, &value); count++) {
    if (count == want || wb_reading_kind(r, value) != '"') return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, value.at);
    string[count] = value;
  }
  if (count < want) return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, array.end - 1);
  level->price = string[want - 2];
  level->size = string[want - 1];
  if (!at->changes) level->side = at->side[at->index];
  else if (wb_reading_is(r, string[0], "buy")) level->side = WB_SIDE_BID;
  else if (wb_reading_is(r, string[0], "sell")) level->side = WB_SIDE_ASK;
  else return wb_reading_refuse(r, WB_REJECT_UNKNOWN_SIDE, string[0].at);
  return true;
}

static bool read_book(wb_reading *r, const wb_members *root, bool snapshot, wb_out *out) {
  if (!wb_reading_named(r, root, PRODUCT_ID)) return false;
  wb_levels levels = {.next = level_next, .json = r->json};
  if (snapshot) {
    if (!wb_reading_have_kind(r, root, BIDS, '[') || !wb_reading_have_kind(r, root, ASKS, '[')) return false;
    bool asks_first = root->value[ASKS].at < root->value[BIDS].at;
    levels.array[asks_first] = root->value[BIDS];
    levels.array[!asks_first] = root->value[ASKS];
    levels.side[!asks_first] = WB_SIDE_ASK;
    levels.arrays = 2;
  } else {
    if (!wb_reading_have_kind(r, root, CHANGES, '[')) return false;
    levels.array[0] = root->value[CHANGES];
    levels.arrays = 1;
    levels.changes = true;
  }
  return wb_reading_time(r, root, TIME, &r->time_ns) && wb_reading_levels(r, &levels, snapshot, CHANGE_BYTES_MIN, out);
}

/* ------------------------------------------------------------------------------------------------ the other types */

static bool read_heartbeat(wb_reading *r, const wb_members *root, wb_out *out) {
  uint64_t sequence, last_trade_id;
  if (!wb_reading_named(r, root, PRODUCT_ID) || !wb_reading_unsigned(r, root, SEQUENCE, &sequence) ||
      !wb_reading_unsigned(r, root, LAST_TRADE_ID, &last_trade_id) || !wb_reading_time(r, root, TIME, &r->time_ns))
    return false;
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_HEARTBEAT, r->product, 0);
  message->time_ns = r->time_ns;
  message->u.heartbeat.sequence = sequence;
  message->u.heartbeat.last_trade_id = last_trade_id;
  out->commit(out, message);
  return true;
}

/* ------------------------------------------------------------------------------------------------ tickers and trades */

/* How many keys the message asks for if its type is where the exchange has it, right behind the brace. */
static unsigned likely_count(const wb_frame *frame, const uint8_t *text) {
  if (frame->bytes < WB_FAST_TYPE_AT + sizeof(uint64_t)) return PRICE;
  uint64_t type = wb_fast_load(text + WB_FAST_TYPE_AT);
  if (type == WB_FAST_WORD('t', 'i', 'c', 'k', 'e', 'r', '"', ',')) return KEY_COUNT;
  bool match = type == WB_FAST_WORD('m', 'a', 't', 'c', 'h', '"', ',', '"');
  return match || type == WB_FAST_WORD('l', 'a', 's', 't', '_', 'm', 'a', 't') ? MATCH_COUNT : PRICE;
}

/* Finds the members up to want of which only the first found were looked for. */
static void find_more(wb_reading *r, wb_members *root, unsigned found, unsigned want) {
  r->harmless = true;
  if (found >= want) return;
  uint32_t twice;
  wb_json again = {r->json.text, r->json.bytes, 0};
  wb_json_members(&again, 0, keys + found, want - found, root->value + found, &twice);
  root->twice |= twice << found;
}

static const wb_quantity ticker_quantities[] = {
    {PRICE, WB_TICKER_LAST, false, false, 0},
    {LAST_SIZE, WB_TICKER_LAST, true, false, WB_FLAG_TRADE},
    {OPEN_24H, WB_TICKER_OPEN_24H, false, false, 0},
    {LOW_24H, WB_TICKER_LOW_24H, false, false, 0},
    {HIGH_24H, WB_TICKER_HIGH_24H, false, false, 0},
    {VOLUME_24H, WB_TICKER_OPEN_24H, true, false, WB_FLAG_VOLUME_24H},
    {VOLUME_30D, WB_TICKER_LOW_24H, true, false, WB_FLAG_VOLUME_30D},
};

/* A product's first ticker may have no trade to speak of, or not all of it. */
static bool read_last_trade(wb_reading *r, const wb_members *root, wb_ticker_reading *ticker) {
  wb_delta *last = &ticker->delta[WB_TICKER_LAST];
  wb_side side = WB_SIDE_BID;
  bool id_said = wb_reading_says(r, root, TRADE_ID), side_said = wb_reading_says(r, root, SIDE);
  if (id_said && !wb_reading_unsigned(r, root, TRADE_ID, &ticker->trade_id)) return false;
  if (side_said && !wb_reading_side(r, root, SIDE, sides, &side)) return false;
  last->side = side;
  if (id_said && side_said && ticker->flags & WB_FLAG_TRADE) return true;
  ticker->flags &= (uint8_t)~WB_FLAG_TRADE;
  ticker->trade_id = 0;
  *last = (wb_delta){.price = last->price};
  return true;
}

static bool read_ticker(wb_reading *r, const wb_members *root, wb_out *out) {
  static const unsigned price_key[] = {[WB_SIDE_BID] = BEST_BID, [WB_SIDE_ASK] = BEST_ASK};
  static const unsigned size_key[] = {[WB_SIDE_BID] = BEST_BID_SIZE, [WB_SIDE_ASK] = BEST_ASK_SIZE};
  wb_ticker_reading ticker = {0};
  if (!wb_reading_named(r, root, PRODUCT_ID) || !wb_reading_unsigned(r, root, SEQUENCE, &ticker.sequence) ||
      !wb_reading_best(r, root, price_key, size_key, &ticker) ||
      !wb_reading_quantities(r, root, ticker_quantities, sizeof ticker_quantities / sizeof *ticker_quantities, ticker.delta,
                             ticker.decimals, &ticker.flags) ||
      !read_last_trade(r, root, &ticker) || !wb_reading_time(r, root, TIME, &r->time_ns))
    return false;
  wb_reading_put_ticker(r, &ticker, out);
  return true;
}

static bool read_trade(wb_reading *r, const wb_members *root, bool past, wb_out *out) {
  wb_side side;
  uint64_t sequence, trade_id, price, size;
  if (!wb_reading_named(r, root, PRODUCT_ID) || !wb_reading_unsigned(r, root, SEQUENCE, &sequence) ||
      !wb_reading_unsigned(r, root, TRADE_ID, &trade_id))
    return false;
  const wb_coinbase_product *product = &r->state->product[r->product];
  unsigned decimals[2] = {product->price_decimals, product->size_decimals};
  if (!wb_reading_widening(r, root, PRICE, &decimals[0], &price) || !wb_reading_widening(r, root, SIZE, &decimals[1], &size))
    return false;
  if (price == 0) return wb_reading_refuse(r, WB_REJECT_BAD_NUMBER, root->value[PRICE].at);
  if (!wb_reading_side(r, root, SIDE, sides, &side) || !wb_reading_time(r, root, TIME, &r->time_ns)) return false;
  wb_reading_scale(r, decimals, out);
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_TRADE, r->product, 1);
  message->time_ns = r->time_ns;
  message->flags = past ? WB_FLAG_PAST : 0;
  message->u.trade.sequence = sequence;
  message->u.trade.trade_id = trade_id;
  message->deltas[0] = (wb_delta){.price = price, .size = size, .side = side};
  out->commit(out, message);
  return true;
}

/* ------------------------------------------------------------------------------------------------ acknowledgements */

static bool makes_books(const wb_reading *r, wb_json_value name) {
  return wb_reading_is(r, name, "level2") || wb_reading_is(r, name, "level2_batch") || wb_reading_is(r, name, "level2_50") ||
         wb_reading_is(r, name, "full") || wb_reading_is(r, name, "level3");
}

/* Goes through one channel of an acknowledgement. Counts the known products of a level-2 channel that this pass (a number of
 * its own) has not met before; with out, emits them, the count-th as the LAST of total. */
static bool read_channel(wb_reading *r, wb_json_value channel, uint32_t pass, wb_out *out, uint32_t total, uint32_t *count) {
  static const char *const names[] = {"name", "product_ids"};
  wb_members found;
  if (wb_reading_kind(r, channel) == '"') return true;
  if (!wb_reading_object(r, channel, names, 2, &found)) return false;
  const wb_json_value *value = found.value;
  if (found.twice) return wb_reading_refuse(r, WB_REJECT_BAD_JSON, channel.at);
  if (!wb_reading_have_kind(r, &found, 0, '"')) return false;
  if (!makes_books(r, value[0]) || value[1].at == 0 || wb_reading_kind(r, value[1]) == 'n') return true;
  if (wb_reading_kind(r, value[1]) != '[') return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, value[1].at);
  wb_json ids = {r->json.text, value[1].end, value[1].at + 1};
  for (wb_json_value id; wb_json_element(&ids, &id);) {
    if (wb_reading_kind(r, id) != '"') return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, id.at);
    int index = wb_reading_product(r, id);
    if (index < 0 || r->state->product[index].acked == pass) continue;
    r->state->product[index].acked = pass;
    *count += 1;
    if (!out) continue;
    wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_SUBSCRIPTIONS, (uint16_t)index, 0);
    message->part = (*count == 1 ? WB_PART_FIRST : 0) | (*count == total ? WB_PART_LAST : 0);
    out->commit(out, message);
  }
  return true;
}

static bool read_channels(wb_reading *r, const wb_members *root, wb_out *out, uint32_t total, uint32_t *count) {
  *count = 0;
  if (wb_reading_kind(r, root->value[CHANNELS]) == 'n') return true;
  uint32_t pass = ++r->state->ack_count;
  wb_json array = {r->json.text, root->value[CHANNELS].end, root->value[CHANNELS].at + 1};
  for (wb_json_value channel; wb_json_element(&array, &channel);)
    if (!read_channel(r, channel, pass, out, total, count)) return false;
  return true;
}

static bool read_subscriptions(wb_reading *r, const wb_members *root, wb_out *out) {
  if (!wb_reading_have(r, root, CHANNELS)) return false;
  uint8_t kind = wb_reading_kind(r, root->value[CHANNELS]);
  if (kind != '[' && kind != 'n') return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, root->value[CHANNELS].at);
  uint32_t total, count;
  if (!read_channels(r, root, NULL, 0, &total)) return false;
  if (total > 0) return read_channels(r, root, out, total, &count);
  out->commit(out, wb_coinbase_claim(out, r->frame, WB_MESSAGE_SUBSCRIPTIONS, WB_PRODUCT_NONE, 0));
  return true;
}

/* ------------------------------------------------------------------------------------------------ the message */

/* Types that carry nothing for this codec: those of `full`, `level3`, `user` and `balance`. */
static const char *const passed_by[] = {"received", "open", "done", "change", "activate", "noop", "level3", "balance"};

static bool read_message(wb_reading *r, wb_out *out) {
  wb_members root;
  unsigned found = likely_count(r->frame, r->json.text);
  if (!wb_reading_root(r, keys, found, &root, find_product) || !wb_reading_have(r, &root, TYPE)) return false;
  wb_json_value type = root.value[TYPE];
  if (wb_reading_kind(r, type) != '"') return wb_reading_refuse(r, WB_REJECT_MISSING_FIELD, type.at);
  if (wb_reading_is(r, type, "l2update")) return read_book(r, &root, false, out);
  if (wb_reading_is(r, type, "snapshot")) return read_book(r, &root, true, out);
  if (wb_reading_is(r, type, "heartbeat")) return read_heartbeat(r, &root, out);
  if (wb_reading_is(r, type, "ticker")) {
    find_more(r, &root, found, KEY_COUNT);
    return read_ticker(r, &root, out);
  }
  bool past = wb_reading_is(r, type, "last_match");
  if (past || wb_reading_is(r, type, "match")) {
    find_more(r, &root, found, MATCH_COUNT);
    return read_trade(r, &root, past, out);
  }
  if (wb_reading_is(r, type, "subscriptions")) return read_subscriptions(r, &root, out);
  if (wb_reading_is(r, type, "status")) return wb_channel_status(r, out);
  if (wb_reading_is(r, type, "auction")) return wb_channel_auction(r, out);
  if (wb_reading_is(r, type, "rfq_match")) return wb_channel_rfq(r, out);
  const unsigned passed_count = sizeof passed_by / sizeof *passed_by;
  wb_message_kind kind = wb_reading_is(r, type, "error")                                    ? WB_MESSAGE_ERROR
                         : wb_reading_word(r, type, passed_by, passed_count) < passed_count ? WB_MESSAGE_IGNORED
                                                                                            : WB_MESSAGE_UNKNOWN;
  out->commit(out, wb_coinbase_claim(out, r->frame, kind, r->product, 0));
  return true;
}

void wb_coinbase_full(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_reading r = wb_reading_of(state, frame, bytes);
  if (!read_message(&r, out)) wb_reading_reject(&r, out);
}
