#include "engine/codec/coinbase_orders.h"

#include <stdio.h>

#include "engine/base/decimal.h"
#include "engine/codec/coinbase_reading.h"

enum { NUMBER_BYTES_MAX = 40, TIME_BYTES_MAX = 30, UUID_BYTES = 36, TIMESTAMP_DECIMALS = 9 };

enum {
  TYPE,
  PRODUCT_ID,
  SEQUENCE,
  ORDER_ID,
  MAKER_ORDER_ID,
  TAKER_ORDER_ID,
  SIDE,
  PRICE,
  SIZE,
  TIME, /* the keys of `level3` end here */
  REMAINING_SIZE,
  OLD_SIZE,
  NEW_SIZE,
  OLD_PRICE,
  NEW_PRICE,
  REASON,
  TRADE_ID,
  STOP_PRICE,
  TIMESTAMP,
  SCHEMA,
  BIDS,
  ASKS,
  KEY_COUNT,
  COMPACT_COUNT = TIME + 1
};
static const char *const keys[KEY_COUNT] = {"type",           "product_id", "sequence",   "order_id",  "maker_order_id",
                                            "taker_order_id", "side",       "price",      "size",      "time",
                                            "remaining_size", "old_size",   "new_size",   "old_price", "new_price",
                                            "reason",         "trade_id",   "stop_price", "timestamp", "schema",
                                            "bids",           "asks"};

enum { COMPACT_KINDS = WB_COINBASE_COMPACT_KINDS };
static const char *const compact_names[COMPACT_KINDS] = {"change", "done", "match", "noop", "open"};
static const uint8_t compact_kinds[COMPACT_KINDS] = {WB_ORDER_CHANGE, WB_ORDER_DONE, WB_ORDER_MATCH, WB_ORDER_NOOP,
                                                     WB_ORDER_OPEN};

enum { FULL_KINDS = 6 };
static const char *const full_names[FULL_KINDS] = {"received", "open", "done", "match", "change", "activate"};
static const uint8_t full_kinds[FULL_KINDS] = {WB_ORDER_RECEIVED, WB_ORDER_OPEN,   WB_ORDER_DONE,
                                               WB_ORDER_MATCH,    WB_ORDER_CHANGE, WB_ORDER_ACTIVATE};

static const wb_coinbase_schema documented = {
    {{{TYPE, PRODUCT_ID, SEQUENCE, ORDER_ID, PRICE, SIZE, TIME}, 7},
     {{TYPE, PRODUCT_ID, SEQUENCE, ORDER_ID, TIME}, 5},
     {{TYPE, PRODUCT_ID, SEQUENCE, MAKER_ORDER_ID, TAKER_ORDER_ID, PRICE, SIZE, TIME}, 8},
     {{TYPE, PRODUCT_ID, SEQUENCE, TIME}, 4},
     {{TYPE, PRODUCT_ID, SEQUENCE, ORDER_ID, SIDE, PRICE, SIZE, TIME}, 8}}};

void wb_coinbase_orders_init(wb_coinbase *state) { state->schema = documented; }

/* A quantity of the message: where it is in the text, whether it is a price (0) or a size (1), and where its value goes. */
typedef struct number {
  wb_json_value value;
  unsigned what;
  uint64_t *to;
} number;

/* One message on its way. */
typedef struct reading {
  wb_reading base;
  wb_members root;
  bool compact; /* an array of `level3` */
  number number[4];
  unsigned number_count;
  wb_order_event event;
} reading;

static bool refuse(reading *r, wb_reject reason, uint32_t offset) { return wb_reading_refuse(&r->base, reason, offset); }

static uint8_t kind_of(const reading *r, wb_json_value value) { return wb_reading_kind(&r->base, value); }

/* Which of the words a string is; count if none. */
static unsigned word_of(const reading *r, wb_json_value value, const char *const *words, unsigned count) {
  char text[32];
  uint32_t bytes = wb_json_string(&r->base.json, value.at, text, sizeof text);
  unsigned i = 0;
  while (i < count && (bytes != strlen(words[i]) || memcmp(text, words[i], bytes) != 0)) i++;
  return i;
}

/* A key that may be missing is there no more than once. */
static bool once(reading *r, unsigned key) {
  return !(r->root.twice >> key & 1) || refuse(r, WB_REJECT_BAD_JSON, r->root.value[key].at);
}

static bool have_kind(reading *r, unsigned key, char kind) { return wb_reading_have_kind(&r->base, &r->root, key, kind); }

/* Whether a key that may be missing, or null, says something. */
static bool says(const reading *r, unsigned key) { return r->root.value[key].at != 0 && kind_of(r, r->root.value[key]) != 'n'; }

/* ------------------------------------------------------------------------------------------------ values */

/* The product that a message of any kind names, as far as it is known and named once. */
static void find_product(wb_reading *r, const wb_members *root) {
  wb_json_value value = root->value[PRODUCT_ID];
  if (value.at == 0 || root->twice >> PRODUCT_ID & 1 || wb_reading_kind(r, value) != '"') return;
  int index = wb_reading_product(r, value);
  if (index >= 0) r->product = (uint16_t)index;
}

static bool read_product(reading *r) {
  if (!have_kind(r, PRODUCT_ID, '"')) return false;
  return r->base.product != WB_PRODUCT_NONE || refuse(r, WB_REJECT_UNKNOWN_PRODUCT, r->root.value[PRODUCT_ID].at);
}

/* An integer, in quotes where the message is compact. */
static bool read_unsigned(reading *r, unsigned key, uint64_t *to) {
  if (!r->compact) return wb_reading_unsigned(&r->base, &r->root, key, to);
  if (!have_kind(r, key, '"')) return false;
  char text[NUMBER_BYTES_MAX];
  uint32_t at = r->root.value[key].at, bytes = wb_json_string(&r->base.json, at, text, sizeof text);
  if (bytes == 0 || bytes > sizeof text || (text[0] == '0' && bytes > 1)) return refuse(r, WB_REJECT_BAD_NUMBER, at);
  *to = 0;
  for (uint32_t i = 0; i < bytes; i++) {
    unsigned digit = (unsigned)text[i] - (unsigned)'0';
    if (digit > 9) return refuse(r, WB_REJECT_BAD_NUMBER, at);
    if (__builtin_mul_overflow(*to, 10, to) || __builtin_add_overflow(*to, digit, to))
      return refuse(r, WB_REJECT_NUMBER_RANGE, at);
  }
  return true;
}

static bool read_sequence(reading *r) {
  r->event.has |= WB_ORDER_HAS_SEQUENCE;
  return read_unsigned(r, SEQUENCE, &r->event.sequence);
}

static int hex_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_id(const reading *r, wb_json_value value, wb_order_id *id) {
  char text[UUID_BYTES];
  uint64_t half[2] = {0, 0};
  if (kind_of(r, value) != '"' || wb_json_string(&r->base.json, value.at, text, sizeof text) != UUID_BYTES) return false;
  for (unsigned i = 0, digits = 0; i < UUID_BYTES; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    int hex = dash ? 0 : hex_of(text[i]);
    if (hex < 0 || (dash && text[i] != '-')) return false;
    if (!dash) half[digits / 16] = half[digits / 16] << 4 | (unsigned)hex, digits++;
  }
  *id = (wb_order_id){half[0], half[1]};
  return true;
}

static bool read_id(reading *r, unsigned key, wb_order_id *id) {
  if (!have_kind(r, key, '"')) return false;
  return parse_id(r, r->root.value[key], id) || refuse(r, WB_REJECT_BAD_NUMBER, r->root.value[key].at);
}

static bool read_side(reading *r) {
  static const char *const sides[] = {[WB_SIDE_BID] = "buy", [WB_SIDE_ASK] = "sell"};
  if (!have_kind(r, SIDE, '"')) return false;
  unsigned side = word_of(r, r->root.value[SIDE], sides, 2);
  if (side == 2) return refuse(r, WB_REJECT_UNKNOWN_SIDE, r->root.value[SIDE].at);
  r->event.side = (uint8_t)side;
  r->event.has |= WB_ORDER_HAS_SIDE;
  return true;
}

static bool read_time(reading *r) { return wb_reading_time(&r->base, &r->root, TIME, &r->base.time_ns); }

/* Seconds since 1970 as decimal text. */
static bool read_timestamp(reading *r) {
  char text[TIME_BYTES_MAX];
  uint64_t ns;
  if (!says(r, TIMESTAMP)) return once(r, TIMESTAMP);
  if (!have_kind(r, TIMESTAMP, '"')) return false;
  uint32_t bytes = wb_json_string(&r->base.json, r->root.value[TIMESTAMP].at, text, sizeof text);
  if (bytes > sizeof text || wb_decimal_parse(text, bytes, TIMESTAMP_DECIMALS, &ns) != 0)
    return refuse(r, WB_REJECT_BAD_TIME, r->root.value[TIMESTAMP].at);
  r->base.time_ns = (int64_t)ns;
  return true;
}

/* ------------------------------------------------------------------------------------------------ quantities */

/* Takes note of a quantity, to be read when all of them are known. has: what its being there means. */
static bool note(reading *r, unsigned key, unsigned what, uint8_t has, uint64_t *to) {
  if (!have_kind(r, key, '"')) return false;
  r->number[r->number_count++] = (number){r->root.value[key], what, to};
  r->event.has |= has;
  return true;
}

static bool note_if_said(reading *r, unsigned key, unsigned what, uint8_t has, uint64_t *to) {
  return says(r, key) ? note(r, key, what, has, to) : once(r, key);
}

/* Reads all quantities noted in units of 10^-decimals, or says in misfit which kind does not fit, and in *misfit_at where. */
static bool read_numbers(reading *r, const unsigned decimals[2], bool misfit[2], uint32_t *misfit_at) {
  misfit[0] = misfit[1] = false;
  for (unsigned i = 0; i < r->number_count; i++) {
    const number *n = &r->number[i];
    if (!wb_reading_number(&r->base, n->value, decimals[n->what], n->to)) return false;
    if (*n->to != UINT64_MAX) continue;
    misfit[n->what] = true;
    *misfit_at = n->value.at;
  }
  return true;
}

static void put(reading *r, wb_order_kind kind, wb_order_out *out) {
  r->event.kind = (uint8_t)kind;
  r->event.product = r->base.product;
  r->event.time_ns = r->base.time_ns;
  out->put(out, &r->event);
}

static void put_scale(reading *r, const unsigned decimals[2], wb_order_out *out) {
  wb_coinbase_product *product = &r->base.state->product[r->base.product];
  if (product->price_decimals == decimals[0] && product->size_decimals == decimals[1]) return;
  wb_order_event scale = {.kind = WB_ORDER_SCALE,
                          .price_decimals = product->price_decimals = (uint8_t)decimals[0],
                          .size_decimals = product->size_decimals = (uint8_t)decimals[1],
                          .product = r->base.product,
                          .time_ns = r->base.time_ns};
  out->put(out, &scale);
}

static void decimals_in_use(const reading *r, unsigned decimals[2]) {
  const wb_coinbase_product *product = &r->base.state->product[r->base.product];
  decimals[0] = product->price_decimals;
  decimals[1] = product->size_decimals;
}

/* The quantities of an event, in units that are widened where they must be. */
static bool fit_numbers(reading *r, unsigned decimals[2]) {
  bool misfit[2];
  uint32_t misfit_at = 0;
  decimals_in_use(r, decimals);
  if (!read_numbers(r, decimals, misfit, &misfit_at)) return false;
  if (!misfit[0] && !misfit[1]) return true;
  for (unsigned i = 0; i < r->number_count; i++) {
    const number *n = &r->number[i];
    unsigned need = misfit[n->what] ? wb_reading_decimals(&r->base, n->value) : 0;
    if (need > decimals[n->what]) decimals[n->what] = need;
  }
  if (decimals[0] > WB_DECIMALS_MAX || decimals[1] > WB_DECIMALS_MAX || !read_numbers(r, decimals, misfit, &misfit_at) ||
      misfit[0] || misfit[1])
    return refuse(r, WB_REJECT_NUMBER_RANGE, misfit_at);
  return true;
}

/* ------------------------------------------------------------------------------------------------ events */

static bool read_open(reading *r) {
  return read_id(r, ORDER_ID, &r->event.order) && read_side(r) && note(r, PRICE, 0, WB_ORDER_HAS_PRICE, &r->event.price) &&
         note(r, r->compact ? SIZE : REMAINING_SIZE, 1, WB_ORDER_HAS_SIZE, &r->event.size);
}

static bool read_received(reading *r) {
  return read_id(r, ORDER_ID, &r->event.order) && read_side(r) &&
         note_if_said(r, PRICE, 0, WB_ORDER_HAS_PRICE, &r->event.price) &&
         note_if_said(r, SIZE, 1, WB_ORDER_HAS_SIZE, &r->event.size);
}

static bool read_match(reading *r) {
  if (!read_id(r, MAKER_ORDER_ID, &r->event.order) || !read_id(r, TAKER_ORDER_ID, &r->event.taker)) return false;
  if (!r->compact) {
    if (!read_side(r) || !read_unsigned(r, TRADE_ID, &r->event.trade_id)) return false;
    r->event.has |= WB_ORDER_HAS_TRADE_ID;
  }
  return note(r, PRICE, 0, WB_ORDER_HAS_PRICE, &r->event.price) && note(r, SIZE, 1, WB_ORDER_HAS_SIZE, &r->event.size);
}

static bool read_change(reading *r) {
  if (!read_id(r, ORDER_ID, &r->event.order)) return false;
  if (r->compact)
    return note_if_said(r, PRICE, 0, WB_ORDER_HAS_PRICE, &r->event.price) &&
           note_if_said(r, SIZE, 1, WB_ORDER_HAS_SIZE, &r->event.size);
  unsigned price = says(r, NEW_PRICE) ? NEW_PRICE : PRICE;
  return read_side(r) && once(r, NEW_PRICE) && note_if_said(r, price, 0, WB_ORDER_HAS_PRICE, &r->event.price) &&
         note_if_said(r, NEW_SIZE, 1, WB_ORDER_HAS_SIZE, &r->event.size) &&
         note_if_said(r, OLD_PRICE, 0, WB_ORDER_HAS_OLD_PRICE, &r->event.old_price) &&
         note_if_said(r, OLD_SIZE, 1, WB_ORDER_HAS_OLD_SIZE, &r->event.old_size);
}

static bool read_done(reading *r) {
  static const char *const names[] = {"filled", "canceled"};
  static const uint8_t reasons[] = {WB_ORDER_FILLED, WB_ORDER_CANCELED, WB_ORDER_UNSAID};
  if (!read_id(r, ORDER_ID, &r->event.order) || !once(r, SIDE) || !once(r, REASON)) return false;
  if (says(r, SIDE) && !read_side(r)) return false;
  if (says(r, REASON)) {
    if (!have_kind(r, REASON, '"')) return false;
    r->event.reason = reasons[word_of(r, r->root.value[REASON], names, 2)];
  }
  return note_if_said(r, REMAINING_SIZE, 1, WB_ORDER_HAS_SIZE, &r->event.size);
}

static bool read_activate(reading *r) {
  if (!read_id(r, ORDER_ID, &r->event.order) || !read_side(r) || !read_timestamp(r)) return false;
  return note_if_said(r, STOP_PRICE, 0, WB_ORDER_HAS_PRICE, &r->event.price) &&
         note_if_said(r, SIZE, 1, WB_ORDER_HAS_SIZE, &r->event.size);
}

/* Open and match: what goes on the book, or trades, is something and has a price. */
static bool above_zero(reading *r) {
  if (r->event.kind != WB_ORDER_OPEN && r->event.kind != WB_ORDER_MATCH) return true;
  for (unsigned i = 0; i < r->number_count; i++)
    if (*r->number[i].to == 0) return refuse(r, WB_REJECT_BAD_NUMBER, r->number[i].value.at);
  return true;
}

static bool read_event(reading *r, wb_order_kind kind, wb_order_out *out) {
  static bool (*const read[])(reading *) = {[WB_ORDER_RECEIVED] = read_received,
                                            [WB_ORDER_OPEN] = read_open,
                                            [WB_ORDER_MATCH] = read_match,
                                            [WB_ORDER_CHANGE] = read_change,
                                            [WB_ORDER_DONE] = read_done,
                                            [WB_ORDER_ACTIVATE] = read_activate,
                                            [WB_ORDER_NOOP] = NULL};
  unsigned decimals[2];
  r->event.kind = (uint8_t)kind;
  if (!read_product(r)) return false;
  bool sequenced = kind != WB_ORDER_ACTIVATE || says(r, SEQUENCE);
  if (sequenced ? !read_sequence(r) : !once(r, SEQUENCE)) return false;
  if ((read[kind] && !read[kind](r)) || !read_time(r) || !fit_numbers(r, decimals) || !above_zero(r)) return false;
  put_scale(r, decimals, out);
  return true;
}

/* ------------------------------------------------------------------------------------------------ level3 */

/* What the channel says first: the names of the fields, in their order, of each kind of message. Kinds that it does not name stay as they are. */
static bool read_schema(reading *r) {
  wb_json_value value[COMPACT_KINDS];
  uint32_t twice;
  wb_coinbase_schema said = r->base.state->schema;
  if (!have_kind(r, SCHEMA, '{')) return false;
  wb_json object = {r->base.json.text, r->root.value[SCHEMA].end, r->root.value[SCHEMA].at};
  wb_json_members(&object, 0, compact_names, COMPACT_KINDS, value, &twice);
  if (twice) return refuse(r, WB_REJECT_BAD_JSON, r->root.value[SCHEMA].at);
  for (unsigned i = 0; i < COMPACT_KINDS; i++) {
    if (value[i].at == 0) continue;
    if (kind_of(r, value[i]) != '[') return refuse(r, WB_REJECT_WRONG_TYPE, value[i].at);
    wb_coinbase_fields *to = &said.kind[i];
    uint32_t seen = 0;
    to->count = 0;
    wb_json array = {r->base.json.text, value[i].end, value[i].at + 1};
    for (wb_json_value name; wb_json_element(&array, &name);) {
      if (kind_of(r, name) != '"' || to->count == WB_COINBASE_FIELDS_MAX) return refuse(r, WB_REJECT_WRONG_TYPE, name.at);
      unsigned key = word_of(r, name, keys, COMPACT_COUNT);
      if (key < COMPACT_COUNT && seen >> key & 1) return refuse(r, WB_REJECT_BAD_JSON, name.at);
      seen |= UINT32_C(1) << key;
      to->key[to->count++] = (uint8_t)(key < COMPACT_COUNT ? key : KEY_COUNT);
    }
    if (to->count == 0 || to->key[0] != TYPE) return refuse(r, WB_REJECT_MISSING_FIELD, value[i].at);
  }
  r->base.state->schema = said;
  r->event.kind = WB_ORDER_IGNORED;
  return true;
}

/* Lays the elements of an array where the members of an object would be. */
static bool read_array(reading *r, uint32_t root, unsigned *kind) {
  wb_json array = {r->base.json.text, r->base.json.bytes, root + 1};
  wb_json_value value;
  if (!wb_json_element(&array, &value)) return refuse(r, WB_REJECT_MISSING_FIELD, root);
  if (kind_of(r, value) != '"') return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  r->root.value[TYPE] = value;
  *kind = word_of(r, value, compact_names, COMPACT_KINDS);
  if (*kind == COMPACT_KINDS) return true;
  const wb_coinbase_fields *said = &r->base.state->schema.kind[*kind];
  unsigned count = 1;
  uint32_t surplus_at = 0;
  for (; wb_json_element(&array, &value); count++) {
    if (count == said->count) surplus_at = value.at;
    else if (count < said->count && said->key[count] < KEY_COUNT) r->root.value[said->key[count]] = value;
  }
  find_product(&r->base, &r->root);
  if (surplus_at) return refuse(r, WB_REJECT_WRONG_TYPE, surplus_at);
  return count == said->count || refuse(r, WB_REJECT_MISSING_FIELD, r->base.json.bytes);
}

static bool read_compact(reading *r, uint32_t root, wb_order_out *out) {
  unsigned kind = 0;
  r->compact = true;
  if (!read_array(r, root, &kind)) return false;
  if (kind < COMPACT_KINDS) return read_event(r, (wb_order_kind)compact_kinds[kind], out);
  r->event.kind = WB_ORDER_IGNORED;
  return true;
}

/* ------------------------------------------------------------------------------------------------ text */

static bool read_message(reading *r, wb_order_out *out) {
  static const char *const level3[] = {"level3"};
  wb_reading *base = &r->base;
  if (!wb_reading_root(base, keys, KEY_COUNT, &r->root, find_product)) {
    bool array = base->reason == WB_REJECT_WRONG_TYPE && base->json.text[base->offset] == '[';
    if (array) base->reason = WB_REJECT_NONE;
    return array && read_compact(r, base->offset, out);
  }
  if (!have_kind(r, TYPE, '"')) return false;
  unsigned kind = word_of(r, r->root.value[TYPE], full_names, FULL_KINDS);
  if (kind < FULL_KINDS) return read_event(r, (wb_order_kind)full_kinds[kind], out);
  if (r->root.value[SCHEMA].at && word_of(r, r->root.value[TYPE], level3, 1) == 0) return read_schema(r);
  r->event.kind = WB_ORDER_IGNORED;
  return true;
}

/* The last event of a message: what it became, or why it was refused. */
static void end(reading *r, bool good, wb_order_out *out) {
  wb_order_kind kind = good ? (wb_order_kind)r->event.kind : WB_ORDER_REJECT;
  if (!good) {
    r->event = (wb_order_event){.reason = (uint8_t)r->base.reason, .offset = r->base.offset};
    r->base.time_ns = WB_TIME_NONE;
  }
  put(r, kind, out);
}

void wb_coinbase_orders_decode(wb_coinbase *state, const uint8_t *text, uint32_t bytes, wb_order_out *out) {
  wb_frame frame = {.bytes = bytes};
  reading r = {.base = wb_reading_of(state, &frame, text)};
  end(&r, read_message(&r, out), out);
}

/* ------------------------------------------------------------------------------------------------ snapshot */

/* Gives the next order of a side; false at its end, and where it is no order: then it is refused. */
static bool next_order(reading *r, wb_json *side, wb_json_value value[3]) {
  wb_json_value array;
  if (!wb_json_element(side, &array)) return false;
  if (kind_of(r, array) != '[') return refuse(r, WB_REJECT_WRONG_TYPE, array.at);
  wb_json inner = {r->base.json.text, array.end, array.at + 1};
  unsigned count = 0;
  for (wb_json_value element; wb_json_element(&inner, &element); count++) {
    if (count == 3 || kind_of(r, element) != '"') return refuse(r, WB_REJECT_WRONG_TYPE, element.at);
    value[count] = element;
  }
  return count == 3 || refuse(r, WB_REJECT_WRONG_TYPE, array.end - 1);
}

static wb_json side_of(const reading *r, wb_side side) {
  wb_json_value array = r->root.value[side == WB_SIDE_BID ? BIDS : ASKS];
  return (wb_json){r->base.json.text, array.end, array.at + 1};
}

/* What a pass over all orders found: which of price and size have a number that does not fit, and the first such; whether the sizes of a
 * side are together more than a level can hold; and the decimals they need. */
typedef struct survey {
  bool misfit[2], crowded;
  uint32_t misfit_at;
  unsigned need[2];
} survey;

static bool survey_orders(reading *r, const unsigned decimals[2], survey *found) {
  *found = (survey){0};
  for (unsigned side = 0; side < 2; side++) {
    wb_json at = side_of(r, (wb_side)side);
    unsigned __int128 total = 0;
    for (wb_json_value value[3]; next_order(r, &at, value);) {
      wb_order_id id;
      for (unsigned i = 0; i < 2; i++) {
        uint64_t quantity;
        if (!wb_reading_number(&r->base, value[i], decimals[i], &quantity)) return false;
        if (quantity == 0) return refuse(r, WB_REJECT_BAD_NUMBER, value[i].at);
        unsigned need = wb_reading_decimals(&r->base, value[i]);
        if (need > found->need[i]) found->need[i] = need;
        if (quantity != UINT64_MAX) {
          if (i == 1) total += quantity;
          continue;
        }
        if (!found->misfit[0] && !found->misfit[1]) found->misfit_at = value[i].at;
        found->misfit[i] = true;
      }
      if (!parse_id(r, value[2], &id)) return refuse(r, WB_REJECT_BAD_NUMBER, value[2].at);
    }
    if (r->base.reason != WB_REJECT_NONE) return false;
    found->crowded |= total > (uint64_t)WB_QUANTITY_MAX;
  }
  return true;
}

/* Finds units in which every number of the snapshot is exact: those in use if they do, the default where that does, else the fewest decimals. */
static bool fit_snapshot(reading *r, unsigned decimals[2]) {
  survey found;
  decimals_in_use(r, decimals);
  if (!survey_orders(r, decimals, &found)) return false;
  for (unsigned last = 0; last < 2 && (found.misfit[0] || found.misfit[1] || found.crowded); last++) {
    for (unsigned i = 0; i < 2; i++) {
      unsigned need = found.need[i];
      if (need > WB_DECIMALS_MAX) return refuse(r, WB_REJECT_NUMBER_RANGE, found.misfit_at);
      if (found.misfit[i] || (i == 1 && found.crowded))
        decimals[i] = last || need > WB_DECIMALS_DEFAULT ? need : WB_DECIMALS_DEFAULT;
    }
    survey_orders(r, decimals, &found);
  }
  return (!found.misfit[0] && !found.misfit[1]) || refuse(r, WB_REJECT_NUMBER_RANGE, found.misfit_at);
}

static bool read_snapshot(reading *r, wb_order_out *out) {
  unsigned decimals[2];
  if (!wb_reading_root(&r->base, keys, KEY_COUNT, &r->root, NULL) || !read_sequence(r) || !have_kind(r, BIDS, '[') ||
      !have_kind(r, ASKS, '[') || !read_time(r) || !fit_snapshot(r, decimals))
    return false;
  put_scale(r, decimals, out);
  put(r, WB_ORDER_SNAPSHOT, out);
  wb_order_event snapshot = r->event;
  r->event.has |= WB_ORDER_HAS_SIDE | WB_ORDER_HAS_PRICE | WB_ORDER_HAS_SIZE;
  for (unsigned side = 0; side < 2; side++) {
    wb_json at = side_of(r, (wb_side)side);
    r->event.side = (uint8_t)side;
    for (wb_json_value value[3]; next_order(r, &at, value);) {
      wb_reading_number(&r->base, value[0], decimals[0], &r->event.price);
      wb_reading_number(&r->base, value[1], decimals[1], &r->event.size);
      parse_id(r, value[2], &r->event.order);
      put(r, WB_ORDER_RESTING, out);
    }
  }
  r->event = snapshot;
  r->event.kind = WB_ORDER_SNAPSHOT_END;
  return true;
}

void wb_coinbase_orders_snapshot(wb_coinbase *state, uint16_t product, const uint8_t *text, uint32_t bytes, wb_order_out *out) {
  WB_CHECK(product < state->products->count);
  wb_frame frame = {.bytes = bytes};
  reading r = {.base = wb_reading_of(state, &frame, text)};
  r.base.product = product;
  end(&r, read_snapshot(&r, out), out);
}

/* ------------------------------------------------------------------------------------------------ a node's frames */

/* Events as messages of a frame; text_at: where in the frame the text that was read begins. */
typedef struct messages {
  wb_order_out out;
  const wb_frame *frame;
  uint32_t text_at;
  wb_out *to;
} messages;

static void put_message(wb_order_out *out, const wb_order_event *event) {
  const messages *m = (messages *)out;
  wb_message_kind kind = event->kind == WB_ORDER_SCALE     ? WB_MESSAGE_SCALE
                         : event->kind == WB_ORDER_REJECT  ? WB_MESSAGE_REJECT
                         : event->kind == WB_ORDER_IGNORED ? WB_MESSAGE_IGNORED
                                                           : WB_MESSAGE_ORDER;
  wb_message *message =
      wb_coinbase_claim(m->to, m->frame, kind, event->product, kind == WB_MESSAGE_ORDER ? WB_ORDER_DELTAS : 0);
  message->time_ns = event->time_ns;
  if (kind == WB_MESSAGE_SCALE) {
    message->u.scale.price_decimals = event->price_decimals;
    message->u.scale.size_decimals = event->size_decimals;
  } else if (kind == WB_MESSAGE_REJECT) {
    message->u.reject.reason = event->reason;
    message->u.reject.offset = m->text_at + (uint32_t)event->offset;
    message->u.reject.answer = m->frame->kind == WB_FRAME_ANSWER;
  } else if (kind == WB_MESSAGE_ORDER) {
    memcpy(message->deltas, event, sizeof *event);
  }
  m->to->commit(m->to, message);
}

void wb_coinbase_orders_road(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  static const char *const level2[] = {"snapshot", "l2update"};
  messages to = {{put_message}, frame, 0, out};
  reading r = {.base = wb_reading_of(state, frame, bytes)};
  bool good = read_message(&r, &to.out);
  bool other = good && r.event.kind == WB_ORDER_IGNORED && !r.compact && word_of(&r, r.root.value[TYPE], level2, 2) == 2;
  if (other) state->full(state, frame, bytes, out);
  else end(&r, good, &to.out);
}

/* GET /products/BTC-USD/book?level=3 200: which product, and whether there is a book below. */
static bool read_answer_head(reading *r, const uint8_t *bytes, uint32_t count) {
  static const char before[] = "GET /products/", after[] = "/book?level=3 ", good[] = "200";
  const uint8_t *id = bytes + sizeof before - 1, *end_of_id;
  uint32_t fixed = sizeof before + sizeof after - 2;
  if (count < fixed || memcmp(bytes, before, sizeof before - 1) != 0) return refuse(r, WB_REJECT_MISSING_FIELD, 0);
  end_of_id = memmem(id, count - (sizeof before - 1), after, sizeof after - 1);
  if (!end_of_id) return refuse(r, WB_REJECT_MISSING_FIELD, sizeof before - 1);
  int product = wb_products_find(r->base.state->products, (const char *)id, (size_t)(end_of_id - id));
  if (product < 0) return refuse(r, WB_REJECT_UNKNOWN_PRODUCT, sizeof before - 1);
  r->base.product = (uint16_t)product;
  const uint8_t *status = end_of_id + sizeof after - 1;
  if ((size_t)(bytes + count - status) == sizeof good - 1 && memcmp(status, good, sizeof good - 1) == 0) return true;
  return refuse(r, WB_REJECT_STATUS, (uint32_t)(status - bytes));
}

void wb_coinbase_orders_answer(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  messages to = {{put_message}, frame, 0, out};
  reading r = {.base = wb_reading_of(state, frame, bytes)};
  const uint8_t *line_end = memchr(bytes, '\n', frame->bytes);
  uint32_t head = line_end ? (uint32_t)(line_end - bytes) : frame->bytes;
  if (!read_answer_head(&r, bytes, head)) {
    end(&r, false, &to.out);
    return;
  }
  to.text_at = line_end ? head + 1 : head;
  wb_coinbase_orders_snapshot(state, r.base.product, bytes + to.text_at, frame->bytes - to.text_at, &to.out);
}

int wb_coinbase_orders_path(const wb_products *products, uint16_t product, char *text, size_t size) {
  int length = snprintf(text, size, "/products/%s/book?level=3", products->product[product].id);
  return (size_t)length < size ? length : WB_E_LIMIT;
}

bool wb_coinbase_orders_channel(const char *name) { return strcmp(name, "full") == 0 || strcmp(name, "level3") == 0; }

void wb_coinbase_orders_begin(void *memory) {
  wb_coinbase *state = memory;
  state->fast = wb_coinbase_orders_road;
  state->level3 = true;
}
