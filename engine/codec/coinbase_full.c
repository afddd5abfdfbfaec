#include "engine/base/decimal.h"
#include "engine/codec/coinbase_roads.h"
#include "engine/codec/iso8601.h"
#include "engine/codec/json.h"

enum { NUMBER_BYTES_MAX = 40, TIME_BYTES_MAX = 30 };

/* Fewest bytes of `["buy","1","0"],`: how many changes there can be in an array, whose brackets are one byte too many. */
enum { CHANGE_BYTES_MIN = 16 };

/* Those from BEST_BID on are looked for only where the type has them. */
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
  BEST_BID,
  BEST_BID_SIZE,
  BEST_ASK,
  BEST_ASK_SIZE,
  PRICE,
  SIZE,
  SIDE,
  TRADE_ID,
  KEY_COUNT
};
static const char *const keys[KEY_COUNT] = {
    "type",     "product_id",    "time",     "changes",       "bids",  "asks", "sequence", "last_trade_id", "channels",
    "best_bid", "best_bid_size", "best_ask", "best_ask_size", "price", "size", "side",     "trade_id"};

/* One message on its way; reason is what broke it, offset where. */
typedef struct reading {
  wb_coinbase *state;
  const wb_frame *frame;
  wb_json json;
  wb_json_value value[KEY_COUNT];
  uint32_t twice;
  uint16_t product;
  int64_t time_ns;
  wb_reject reason;
  uint32_t offset;
  bool harmless;
} reading;

static bool refuse(reading *r, wb_reject reason, uint32_t offset) {
  r->reason = reason;
  r->offset = offset;
  return false;
}

static uint8_t kind_of(const reading *r, wb_json_value value) { return r->json.text[value.at]; }

static bool string_is(const reading *r, wb_json_value value, const char *word) {
  char text[32];
  uint32_t bytes = wb_json_string(&r->json, value.at, text, sizeof text);
  return bytes == strlen(word) && memcmp(text, word, bytes) == 0;
}

/* A key that is read must be there and be there once: a message that says two things is no message to act on (I-JSON, RFC
 * 7493). */
static bool have(reading *r, unsigned key) {
  if (r->value[key].at == 0) return refuse(r, WB_REJECT_MISSING_FIELD, r->frame->bytes);
  if (r->twice >> key & 1) return refuse(r, WB_REJECT_BAD_JSON, r->value[key].at);
  return true;
}

static bool have_kind(reading *r, unsigned key, char kind) {
  if (!have(r, key)) return false;
  return kind_of(r, r->value[key]) == kind || refuse(r, WB_REJECT_WRONG_TYPE, r->value[key].at);
}

static int product_of(const reading *r, wb_json_value value) {
  char id[WB_PRODUCT_ID_BYTES];
  uint32_t bytes = wb_json_string(&r->json, value.at, id, sizeof id);
  return wb_products_find(r->state->products, id, bytes);
}

/* The product that a message of any kind names, as far as it is known and named once. */
static void find_product(reading *r) {
  wb_json_value value = r->value[PRODUCT_ID];
  if (value.at == 0 || r->twice >> PRODUCT_ID & 1 || kind_of(r, value) != '"') return;
  int index = product_of(r, value);
  if (index >= 0) r->product = (uint16_t)index;
}

static bool read_product(reading *r) {
  if (!have_kind(r, PRODUCT_ID, '"')) return false;
  return r->product != WB_PRODUCT_NONE || refuse(r, WB_REJECT_UNKNOWN_PRODUCT, r->value[PRODUCT_ID].at);
}

static bool read_time(reading *r) {
  char text[TIME_BYTES_MAX];
  wb_json_value value = r->value[TIME];
  if (value.at == 0) return true;
  if (!have_kind(r, TIME, '"')) return false;
  uint32_t bytes = wb_json_string(&r->json, value.at, text, sizeof text);
  if (bytes == 0) return true;
  return wb_iso8601_parse(text, bytes, &r->time_ns) == 0 || refuse(r, WB_REJECT_BAD_TIME, value.at);
}

static bool read_unsigned(reading *r, unsigned key, uint64_t *number) {
  if (!have(r, key)) return false;
  wb_json_value value = r->value[key];
  uint8_t first = kind_of(r, value);
  if (first != '-' && (first < '0' || first > '9')) return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  *number = 0;
  for (uint32_t i = value.at; i < value.end; i++) {
    unsigned digit = r->json.text[i] - (unsigned)'0';
    if (digit > 9) return refuse(r, WB_REJECT_BAD_NUMBER, i);
    if (__builtin_mul_overflow(*number, 10, number) || __builtin_add_overflow(*number, digit, number))
      return refuse(r, WB_REJECT_NUMBER_RANGE, i);
  }
  return true;
}

/* ------------------------------------------------------------------------------------------------ levels */

/* Goes through the levels of a message: one array of changes, or bids and asks in the order they were sent. */
typedef struct levels {
  wb_json json;
  wb_json_value array[2];
  wb_side side[2];
  unsigned arrays, index;
  bool changes, inside;
} levels;

typedef struct book_level {
  wb_json_value price, size;
  wb_side side;
} book_level;

static levels levels_of(const reading *r, bool snapshot) {
  if (!snapshot) return (levels){.json = r->json, .array = {r->value[CHANGES]}, .arrays = 1, .changes = true};
  bool asks_first = r->value[ASKS].at < r->value[BIDS].at;
  return (levels){.json = r->json,
                  .array = {r->value[asks_first ? ASKS : BIDS], r->value[asks_first ? BIDS : ASKS]},
                  .side = {asks_first ? WB_SIDE_ASK : WB_SIDE_BID, asks_first ? WB_SIDE_BID : WB_SIDE_ASK},
                  .arrays = 2};
}

/* False at the end, and where a level has the wrong shape: then with a reason. */
static bool levels_next(reading *r, levels *at, book_level *level) {
  wb_json_value array;
  for (;; at->index++, at->inside = false) {
    if (at->index == at->arrays) return false;
    if (!at->inside) at->json.at = at->array[at->index].at + 1;
    at->inside = true;
    if (wb_json_element(&at->json, &array)) break;
  }
  if (kind_of(r, array) != '[') return refuse(r, WB_REJECT_WRONG_TYPE, array.at);
  wb_json inner = {r->json.text, array.end, array.at + 1};
  wb_json_value string[3];
  unsigned count = 0, want = at->changes ? 3 : 2;
  for (wb_json_value value; wb_json_element(&inner, &value); count++) {
    if (count == want || kind_of(r, value) != '"') return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
    string[count] = value;
  }
  if (count < want) return refuse(r, WB_REJECT_WRONG_TYPE, array.end - 1);
  level->price = string[want - 2];
  level->size = string[want - 1];
  if (!at->changes) level->side = at->side[at->index];
  else if (string_is(r, string[0], "buy")) level->side = WB_SIDE_BID;
  else if (string_is(r, string[0], "sell")) level->side = WB_SIDE_ASK;
  else return refuse(r, WB_REJECT_UNKNOWN_SIDE, string[0].at);
  return true;
}

static uint32_t number_text(const reading *r, wb_json_value value, char text[NUMBER_BYTES_MAX]) {
  return wb_json_string(&r->json, value.at, text, NUMBER_BYTES_MAX);
}

/* One number in units of 10^-decimals. One that is right but does not fit gives UINT64_MAX. */
static bool read_number(reading *r, wb_json_value value, unsigned decimals, uint64_t *number) {
  char text[NUMBER_BYTES_MAX];
  uint32_t bytes = number_text(r, value, text);
  int code = bytes > NUMBER_BYTES_MAX ? WB_E_SYNTAX : wb_decimal_parse(text, bytes, decimals, number);
  if (code == WB_E_RANGE) *number = UINT64_MAX;
  return code == 0 || code == WB_E_RANGE || refuse(r, WB_REJECT_BAD_NUMBER, value.at);
}

/* What a pass over all levels found: how many there are, and which of price and size have a number that does not fit. The first
 * `room` levels are written to delta on the way. */
typedef struct survey {
  uint32_t count, misfit_at;
  bool misfit[2];
  wb_delta *delta;
  uint32_t room;
} survey;

static bool survey_levels(reading *r, bool snapshot, const unsigned decimals[2], survey *found) {
  levels at = levels_of(r, snapshot);
  *found = (survey){.delta = found->delta, .room = found->room};
  for (book_level level; levels_next(r, &at, &level); found->count++) {
    wb_json_value value[2] = {level.price, level.size};
    uint64_t number[2];
    for (unsigned i = 0; i < 2; i++) {
      if (!read_number(r, value[i], decimals[i], &number[i])) return false;
      if (i == 0 && number[i] == 0) return refuse(r, WB_REJECT_BAD_NUMBER, value[i].at);
      if (number[i] != UINT64_MAX) continue;
      if (!found->misfit[0] && !found->misfit[1]) found->misfit_at = value[i].at;
      found->misfit[i] = true;
    }
    if (found->count < found->room)
      found->delta[found->count] = (wb_delta){.price = number[0], .size = number[1], .side = level.side};
  }
  return r->reason == WB_REJECT_NONE;
}

/* The most decimals that any price and any size has. Only after a survey found every number to be one. */
static void measure_levels(reading *r, bool snapshot, unsigned need[2]) {
  levels at = levels_of(r, snapshot);
  need[0] = need[1] = 0;
  for (book_level level; levels_next(r, &at, &level);) {
    wb_json_value value[2] = {level.price, level.size};
    for (unsigned i = 0; i < 2; i++) {
      char text[NUMBER_BYTES_MAX];
      unsigned integer_digits, decimals = 0;
      wb_decimal_need(text, number_text(r, value[i], text), &integer_digits, &decimals);
      if (decimals > need[i]) need[i] = decimals;
    }
  }
}

/* Finds decimals in which every number of the message is exact: those in use if they do; for an update finer ones; for a
 * snapshot the fewest, but the default where that does as well. */
static bool fit_levels(reading *r, bool snapshot, unsigned decimals[2], survey *found) {
  if (!survey_levels(r, snapshot, decimals, found)) return false;
  if (!found->misfit[0] && !found->misfit[1]) return true;
  unsigned need[2];
  measure_levels(r, snapshot, need);
  for (unsigned i = 0; i < 2; i++) {
    if (need[i] > WB_DECIMALS_MAX) return refuse(r, WB_REJECT_NUMBER_RANGE, found->misfit_at);
    unsigned least = snapshot ? WB_DECIMALS_DEFAULT : decimals[i];
    if (found->misfit[i]) decimals[i] = need[i] > least ? need[i] : least;
  }
  survey_levels(r, snapshot, decimals, found);
  if (snapshot && (found->misfit[0] || found->misfit[1])) {
    for (unsigned i = 0; i < 2; i++)
      if (found->misfit[i]) decimals[i] = need[i];
    survey_levels(r, snapshot, decimals, found);
  }
  return (!found->misfit[0] && !found->misfit[1]) || refuse(r, WB_REJECT_NUMBER_RANGE, found->misfit_at);
}

static void emit_levels(reading *r, bool snapshot, const unsigned decimals[2], uint32_t count, wb_out *out) {
  levels at = levels_of(r, snapshot);
  uint8_t part = WB_PART_FIRST;
  do {
    uint32_t take = count < WB_PART_DELTAS_MAX ? count : WB_PART_DELTAS_MAX;
    count -= take;
    wb_message *message =
        wb_coinbase_claim(out, r->frame, snapshot ? WB_MESSAGE_SNAPSHOT : WB_MESSAGE_UPDATE, r->product, take);
    message->part = part | (count == 0 ? WB_PART_LAST : 0);
    message->time_ns = r->time_ns;
    book_level level;
    for (uint32_t i = 0; i < take && levels_next(r, &at, &level); i++) {
      uint64_t price, size;
      read_number(r, level.price, decimals[0], &price);
      read_number(r, level.size, decimals[1], &size);
      message->deltas[i] = (wb_delta){.price = price, .size = size, .side = level.side};
    }
    out->commit(out, message);
    part = 0;
  } while (count > 0);
}

static void put_scale(reading *r, const unsigned decimals[2], wb_out *out) {
  wb_coinbase_product *product = &r->state->product[r->product];
  product->price_decimals = (uint8_t)decimals[0];
  product->size_decimals = (uint8_t)decimals[1];
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_SCALE, r->product, 0);
  message->time_ns = r->time_ns;
  message->u.scale.price_decimals = product->price_decimals;
  message->u.scale.size_decimals = product->size_decimals;
  out->commit(out, message);
}

static bool read_book(reading *r, bool snapshot, wb_out *out) {
  if (!read_product(r)) return false;
  if (!snapshot && !have_kind(r, CHANGES, '[')) return false;
  if (snapshot && !(have_kind(r, BIDS, '[') && have_kind(r, ASKS, '['))) return false;
  if (!read_time(r)) return false;
  wb_coinbase_product *product = &r->state->product[r->product];
  unsigned decimals[2] = {product->price_decimals, product->size_decimals};
  survey found = {0};
  wb_message *update = NULL;
  if (!snapshot) {
    uint32_t most = (r->value[CHANGES].end - r->value[CHANGES].at) / CHANGE_BYTES_MIN;
    found.room = most < WB_PART_DELTAS_MAX ? most : WB_PART_DELTAS_MAX;
    update = wb_coinbase_claim(out, r->frame, WB_MESSAGE_UPDATE, r->product, found.room);
    found.delta = update->deltas;
  }
  if (!fit_levels(r, snapshot, decimals, &found)) return false;
  bool same_scale = decimals[0] == product->price_decimals && decimals[1] == product->size_decimals;
  if (update && same_scale && found.count <= found.room) {
    update->time_ns = r->time_ns;
    update->delta_count = found.count;
    out->commit(out, update);
    return true;
  }
  if (!same_scale) put_scale(r, decimals, out);
  emit_levels(r, snapshot, decimals, found.count, out);
  return true;
}

/* ------------------------------------------------------------------------------------------------ the other types */

static bool read_heartbeat(reading *r, wb_out *out) {
  uint64_t sequence, last_trade_id;
  if (!read_product(r) || !read_unsigned(r, SEQUENCE, &sequence) || !read_unsigned(r, LAST_TRADE_ID, &last_trade_id) ||
      !read_time(r))
    return false;
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_HEARTBEAT, r->product, 0);
  message->time_ns = r->time_ns;
  message->u.heartbeat.sequence = sequence;
  message->u.heartbeat.last_trade_id = last_trade_id;
  out->commit(out, message);
  return true;
}

/* ------------------------------------------------------------------------------------------------ ticker and trades */

static void find_more(reading *r) {
  uint32_t twice;
  wb_json again = {r->json.text, r->json.bytes, 0};
  wb_json_members(&again, 0, keys + BEST_BID, KEY_COUNT - BEST_BID, r->value + BEST_BID, &twice);
  r->twice |= twice << BEST_BID;
  r->harmless = true;
}

/* A number that must be there. One that does not fit gives UINT64_MAX. */
static bool read_quantity(reading *r, unsigned key, unsigned decimals, uint64_t *number) {
  return have_kind(r, key, '"') && read_number(r, r->value[key], decimals, number);
}

static bool read_ticker(reading *r, wb_out *out) {
  static const uint8_t price_key[] = {[WB_SIDE_BID] = BEST_BID, [WB_SIDE_ASK] = BEST_ASK};
  static const uint8_t size_key[] = {[WB_SIDE_BID] = BEST_BID_SIZE, [WB_SIDE_ASK] = BEST_ASK_SIZE};
  find_more(r);
  uint64_t sequence, price[2], size[2] = {0, 0};
  if (!read_product(r) || !read_unsigned(r, SEQUENCE, &sequence)) return false;
  const wb_coinbase_product *product = &r->state->product[r->product];
  bool sizes = r->value[BEST_BID_SIZE].at || r->value[BEST_ASK_SIZE].at, fits = true;
  for (unsigned side = 0; side < 2; side++) {
    if (!read_quantity(r, price_key[side], product->price_decimals, &price[side])) return false;
    if (sizes && !read_quantity(r, size_key[side], product->size_decimals, &size[side])) return false;
    fits &= price[side] != UINT64_MAX && size[side] != UINT64_MAX;
  }
  if (!read_time(r)) return false;
  wb_message *message =
      wb_coinbase_claim(out, r->frame, fits ? WB_MESSAGE_TICKER : WB_MESSAGE_IGNORED, r->product, fits ? 2 : 0);
  if (fits) {
    message->time_ns = r->time_ns;
    message->u.ticker.sequence = sequence;
    message->u.ticker.no_sizes = !sizes;
    for (unsigned side = 0; side < 2; side++)
      message->deltas[side] = (wb_delta){.price = price[side], .size = size[side], .side = side};
  }
  out->commit(out, message);
  return true;
}

/* A number of a trade, in decimals that become as many as it needs. */
static bool read_widening(reading *r, unsigned key, unsigned *decimals, uint64_t *number) {
  char text[NUMBER_BYTES_MAX];
  unsigned integer_digits, need = 0;
  if (!read_quantity(r, key, *decimals, number)) return false;
  if (*number != UINT64_MAX) return true;
  wb_decimal_need(text, number_text(r, r->value[key], text), &integer_digits, &need);
  if (need > *decimals && need <= WB_DECIMALS_MAX) {
    *decimals = need;
    read_quantity(r, key, need, number);
  }
  return *number != UINT64_MAX || refuse(r, WB_REJECT_NUMBER_RANGE, r->value[key].at);
}

static bool read_trade(reading *r, wb_out *out) {
  find_more(r);
  uint64_t sequence, trade_id, price, size;
  if (!read_product(r) || !read_unsigned(r, SEQUENCE, &sequence) || !read_unsigned(r, TRADE_ID, &trade_id)) return false;
  const wb_coinbase_product *product = &r->state->product[r->product];
  unsigned decimals[2] = {product->price_decimals, product->size_decimals};
  if (!read_widening(r, PRICE, &decimals[0], &price) || !read_widening(r, SIZE, &decimals[1], &size)) return false;
  if (price == 0) return refuse(r, WB_REJECT_BAD_NUMBER, r->value[PRICE].at);
  if (!have_kind(r, SIDE, '"')) return false;
  bool sell = string_is(r, r->value[SIDE], "sell");
  if (!sell && !string_is(r, r->value[SIDE], "buy")) return refuse(r, WB_REJECT_UNKNOWN_SIDE, r->value[SIDE].at);
  if (!read_time(r)) return false;
  if (decimals[0] != product->price_decimals || decimals[1] != product->size_decimals) put_scale(r, decimals, out);
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_TRADE, r->product, 1);
  message->time_ns = r->time_ns;
  message->u.trade.sequence = sequence;
  message->u.trade.trade_id = trade_id;
  message->deltas[0] = (wb_delta){.price = price, .size = size, .side = sell ? WB_SIDE_ASK : WB_SIDE_BID};
  out->commit(out, message);
  return true;
}

/* ------------------------------------------------------------------------------------------------ acknowledgements */

static bool is_level2(const reading *r, wb_json_value name) {
  return string_is(r, name, "level2") || string_is(r, name, "level2_batch") || string_is(r, name, "level2_50");
}

/* Goes through one channel of an acknowledgement. Counts the known products of a level-2 channel that this pass (a number of
 * its own) has not met before; with out, emits them, the count-th as the LAST of total. */
static bool read_channel(reading *r, wb_json_value channel, uint32_t pass, wb_out *out, uint32_t total, uint32_t *count) {
  static const char *const names[] = {"name", "product_ids"};
  wb_json_value value[2];
  uint32_t twice;
  if (kind_of(r, channel) == '"') return true;
  if (kind_of(r, channel) != '{') return refuse(r, WB_REJECT_WRONG_TYPE, channel.at);
  wb_json object = {r->json.text, channel.end, channel.at};
  wb_json_members(&object, 0, names, 2, value, &twice);
  if (twice) return refuse(r, WB_REJECT_BAD_JSON, channel.at);
  if (value[0].at == 0) return refuse(r, WB_REJECT_MISSING_FIELD, channel.end - 1);
  if (kind_of(r, value[0]) != '"') return refuse(r, WB_REJECT_WRONG_TYPE, value[0].at);
  if (!is_level2(r, value[0]) || value[1].at == 0 || kind_of(r, value[1]) == 'n') return true;
  if (kind_of(r, value[1]) != '[') return refuse(r, WB_REJECT_WRONG_TYPE, value[1].at);
  wb_json ids = {r->json.text, value[1].end, value[1].at + 1};
  for (wb_json_value id; wb_json_element(&ids, &id);) {
    if (kind_of(r, id) != '"') return refuse(r, WB_REJECT_WRONG_TYPE, id.at);
    int index = product_of(r, id);
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

static bool read_channels(reading *r, wb_out *out, uint32_t total, uint32_t *count) {
  *count = 0;
  if (kind_of(r, r->value[CHANNELS]) == 'n') return true;
  uint32_t pass = ++r->state->ack_count;
  wb_json array = {r->json.text, r->value[CHANNELS].end, r->value[CHANNELS].at + 1};
  for (wb_json_value channel; wb_json_element(&array, &channel);)
    if (!read_channel(r, channel, pass, out, total, count)) return false;
  return true;
}

static bool read_subscriptions(reading *r, wb_out *out) {
  if (!have(r, CHANNELS)) return false;
  uint8_t kind = kind_of(r, r->value[CHANNELS]);
  if (kind != '[' && kind != 'n') return refuse(r, WB_REJECT_WRONG_TYPE, r->value[CHANNELS].at);
  uint32_t total, count;
  if (!read_channels(r, NULL, 0, &total)) return false;
  if (total > 0) return read_channels(r, out, total, &count);
  out->commit(out, wb_coinbase_claim(out, r->frame, WB_MESSAGE_SUBSCRIPTIONS, WB_PRODUCT_NONE, 0));
  return true;
}

/* ------------------------------------------------------------------------------------------------ the message */

static bool read_text(reading *r) {
  uint32_t root;
  int code;
  wb_json_blank(&r->json);
  root = r->json.at;
  bool object = root < r->json.bytes && r->json.text[root] == '{';
  if (object) {
    code = wb_json_members(&r->json, 0, keys, KEY_COUNT, r->value, &r->twice);
  } else {
    wb_json_value value;
    code = wb_json_skip(&r->json, 0, &value);
  }
  if (code == 0) wb_json_blank(&r->json);
  uint32_t json_end = r->json.at, utf8_end = wb_json_utf8(r->json.text, r->json.bytes);
  find_product(r);
  if (utf8_end != r->json.bytes) return refuse(r, WB_REJECT_BAD_UTF8, utf8_end);
  if (code != 0 || json_end != r->json.bytes) return refuse(r, WB_REJECT_BAD_JSON, json_end);
  return object || refuse(r, WB_REJECT_WRONG_TYPE, root);
}

static bool read_message(reading *r, wb_out *out) {
  if (!read_text(r) || !have(r, TYPE)) return false;
  wb_json_value type = r->value[TYPE];
  if (kind_of(r, type) != '"') return refuse(r, WB_REJECT_MISSING_FIELD, type.at);
  if (string_is(r, type, "l2update")) return read_book(r, false, out);
  if (string_is(r, type, "snapshot")) return read_book(r, true, out);
  if (string_is(r, type, "heartbeat")) return read_heartbeat(r, out);
  if (string_is(r, type, "ticker")) return read_ticker(r, out);
  if (string_is(r, type, "match") || string_is(r, type, "last_match")) return read_trade(r, out);
  if (string_is(r, type, "subscriptions")) return read_subscriptions(r, out);
  wb_message_kind kind = string_is(r, type, "error") ? WB_MESSAGE_ERROR : WB_MESSAGE_IGNORED;
  out->commit(out, wb_coinbase_claim(out, r->frame, kind, r->product, 0));
  return true;
}

void wb_coinbase_full(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  reading r = {
      .state = state, .frame = frame, .json = {bytes, frame->bytes, 0}, .product = WB_PRODUCT_NONE, .time_ns = WB_TIME_NONE};
  if (read_message(&r, out)) return;
  wb_message *message = wb_coinbase_claim(out, frame, WB_MESSAGE_REJECT, r.product, 0);
  message->u.reject.reason = (uint32_t)r.reason;
  message->u.reject.offset = r.offset;
  message->u.reject.harmless = r.harmless;
  out->commit(out, message);
}
