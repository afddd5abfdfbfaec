#include "engine/codec/coinbase_orders.h"

#include "engine/base/decimal.h"
#include "engine/codec/iso8601.h"
#include "engine/codec/json.h"

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

/* The fields of one kind of `level3` message, in their order; KEY_COUNT is one that nobody reads. */
enum { FIELDS_MAX = 16, COMPACT_KINDS = 5 };
typedef struct fields {
  uint8_t key[FIELDS_MAX];
  uint8_t count;
} fields;

typedef struct schema {
  fields kind[COMPACT_KINDS];
} schema;

static const char *const compact_names[COMPACT_KINDS] = {"change", "done", "match", "noop", "open"};
static const uint8_t compact_kinds[COMPACT_KINDS] = {WB_ORDER_CHANGE, WB_ORDER_DONE, WB_ORDER_MATCH, WB_ORDER_NOOP,
                                                     WB_ORDER_OPEN};

enum { FULL_KINDS = 6 };
static const char *const full_names[FULL_KINDS] = {"received", "open", "done", "match", "change", "activate"};
static const uint8_t full_kinds[FULL_KINDS] = {WB_ORDER_RECEIVED, WB_ORDER_OPEN,   WB_ORDER_DONE,
                                               WB_ORDER_MATCH,    WB_ORDER_CHANGE, WB_ORDER_ACTIVATE};

static const schema documented = {{{{TYPE, PRODUCT_ID, SEQUENCE, ORDER_ID, PRICE, SIZE, TIME}, 7},
                                   {{TYPE, PRODUCT_ID, SEQUENCE, ORDER_ID, TIME}, 5},
                                   {{TYPE, PRODUCT_ID, SEQUENCE, MAKER_ORDER_ID, TAKER_ORDER_ID, PRICE, SIZE, TIME}, 8},
                                   {{TYPE, PRODUCT_ID, SEQUENCE, TIME}, 4},
                                   {{TYPE, PRODUCT_ID, SEQUENCE, ORDER_ID, SIDE, PRICE, SIZE, TIME}, 8}}};

typedef struct units {
  uint8_t decimals[2]; /* price, size */
} units;

struct wb_coinbase_orders {
  const wb_products *products;
  schema schema;
  units units[];
};

size_t wb_coinbase_orders_bytes(const wb_products *products) {
  return sizeof(wb_coinbase_orders) + products->count * sizeof(units);
}

wb_coinbase_orders *wb_coinbase_orders_init(void *memory, const wb_products *products) {
  wb_coinbase_orders *state = memory;
  if (!memory || !products) return NULL;
  state->products = products;
  state->schema = documented;
  for (uint32_t i = 0; i < products->count; i++) {
    const wb_product *product = &products->product[i];
    if (product->price_decimals > WB_DECIMALS_MAX || product->size_decimals > WB_DECIMALS_MAX) return NULL;
    state->units[i] = (units){{product->price_decimals, product->size_decimals}};
  }
  return state;
}

/* A quantity of the message: where it is in the text, whether it is a price (0) or a size (1), and where its value goes. */
typedef struct number {
  wb_json_value value;
  unsigned what;
  uint64_t *to;
} number;

/* One message on its way; event becomes a REJECT in place of what it was when something is wrong. */
typedef struct reading {
  wb_coinbase_orders *state;
  wb_json json;
  wb_json_value value[KEY_COUNT];
  uint32_t twice;
  bool compact; /* an array of `level3` */
  number number[4];
  unsigned number_count;
  wb_order_event event;
} reading;

static bool refuse(reading *r, wb_reject reason, uint32_t offset) {
  r->event = (wb_order_event){.kind = WB_ORDER_REJECT,
                              .reason = (uint8_t)reason,
                              .product = r->event.product,
                              .time_ns = WB_TIME_NONE,
                              .offset = offset};
  return false;
}

static uint8_t kind_of(const reading *r, wb_json_value value) { return r->json.text[value.at]; }

/* Which of the words a string is; count if none. */
static unsigned word_of(const reading *r, wb_json_value value, const char *const *words, unsigned count) {
  char text[32];
  uint32_t bytes = wb_json_string(&r->json, value.at, text, sizeof text);
  unsigned i = 0;
  while (i < count && (bytes != strlen(words[i]) || memcmp(text, words[i], bytes) != 0)) i++;
  return i;
}

/* A key that is read is there once. */
static bool once(reading *r, unsigned key) { return !(r->twice >> key & 1) || refuse(r, WB_REJECT_BAD_JSON, r->value[key].at); }

static bool have(reading *r, unsigned key) {
  if (r->value[key].at == 0) return refuse(r, WB_REJECT_MISSING_FIELD, r->json.bytes);
  return once(r, key);
}

static bool have_kind(reading *r, unsigned key, char kind) {
  if (!have(r, key)) return false;
  return kind_of(r, r->value[key]) == kind || refuse(r, WB_REJECT_WRONG_TYPE, r->value[key].at);
}

/* Whether a key that may be missing, or null, says something. */
static bool says(const reading *r, unsigned key) { return r->value[key].at != 0 && kind_of(r, r->value[key]) != 'n'; }

/* ------------------------------------------------------------------------------------------------ values */

/* The product that a message of any kind names, as far as it is known and named once. */
static void find_product(reading *r) {
  char id[WB_PRODUCT_ID_BYTES];
  wb_json_value value = r->value[PRODUCT_ID];
  if (value.at == 0 || r->twice >> PRODUCT_ID & 1 || kind_of(r, value) != '"') return;
  int index = wb_products_find(r->state->products, id, wb_json_string(&r->json, value.at, id, sizeof id));
  if (index >= 0) r->event.product = (uint16_t)index;
}

static bool read_product(reading *r) {
  if (!have_kind(r, PRODUCT_ID, '"')) return false;
  return r->event.product != WB_PRODUCT_NONE || refuse(r, WB_REJECT_UNKNOWN_PRODUCT, r->value[PRODUCT_ID].at);
}

static uint32_t number_text(const reading *r, wb_json_value value, char text[NUMBER_BYTES_MAX]) {
  return wb_json_string(&r->json, value.at, text, NUMBER_BYTES_MAX);
}

/* An integer, in quotes where the message is compact. */
static bool read_unsigned(reading *r, unsigned key, uint64_t *to) {
  if (!have(r, key)) return false;
  wb_json_value value = r->value[key];
  uint8_t first = kind_of(r, value);
  if (r->compact ? first != '"' : first != '-' && (first < '0' || first > '9'))
    return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  char text[NUMBER_BYTES_MAX];
  uint32_t bytes = r->compact ? number_text(r, value, text) : value.end - value.at;
  if (bytes == 0 || bytes > NUMBER_BYTES_MAX) return refuse(r, WB_REJECT_BAD_NUMBER, value.at);
  if (!r->compact) memcpy(text, r->json.text + value.at, bytes);
  if (text[0] == '0' && bytes > 1) return refuse(r, WB_REJECT_BAD_NUMBER, value.at);
  *to = 0;
  for (uint32_t i = 0; i < bytes; i++) {
    unsigned digit = (unsigned)text[i] - (unsigned)'0';
    if (digit > 9) return refuse(r, WB_REJECT_BAD_NUMBER, value.at);
    if (__builtin_mul_overflow(*to, 10, to) || __builtin_add_overflow(*to, digit, to))
      return refuse(r, WB_REJECT_NUMBER_RANGE, value.at);
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
  if (kind_of(r, value) != '"' || wb_json_string(&r->json, value.at, text, sizeof text) != UUID_BYTES) return false;
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
  return parse_id(r, r->value[key], id) || refuse(r, WB_REJECT_BAD_NUMBER, r->value[key].at);
}

static bool read_side(reading *r) {
  static const char *const sides[] = {[WB_SIDE_BID] = "buy", [WB_SIDE_ASK] = "sell"};
  if (!have_kind(r, SIDE, '"')) return false;
  unsigned side = word_of(r, r->value[SIDE], sides, 2);
  if (side == 2) return refuse(r, WB_REJECT_UNKNOWN_SIDE, r->value[SIDE].at);
  r->event.side = (uint8_t)side;
  r->event.has |= WB_ORDER_HAS_SIDE;
  return true;
}

static bool read_time(reading *r) {
  char text[TIME_BYTES_MAX];
  wb_json_value value = r->value[TIME];
  if (value.at == 0) return true;
  if (!have_kind(r, TIME, '"')) return false;
  uint32_t bytes = wb_json_string(&r->json, value.at, text, sizeof text);
  if (bytes == 0) return true;
  return (bytes <= sizeof text && wb_iso8601_parse(text, bytes, &r->event.time_ns) == 0) ||
         refuse(r, WB_REJECT_BAD_TIME, value.at);
}

/* Seconds since 1970 as decimal text. */
static bool read_timestamp(reading *r) {
  char text[TIME_BYTES_MAX];
  uint64_t ns;
  if (!says(r, TIMESTAMP)) return once(r, TIMESTAMP);
  if (!have_kind(r, TIMESTAMP, '"')) return false;
  uint32_t bytes = wb_json_string(&r->json, r->value[TIMESTAMP].at, text, sizeof text);
  if (bytes > sizeof text || wb_decimal_parse(text, bytes, TIMESTAMP_DECIMALS, &ns) != 0)
    return refuse(r, WB_REJECT_BAD_TIME, r->value[TIMESTAMP].at);
  r->event.time_ns = (int64_t)ns;
  return true;
}

/* ------------------------------------------------------------------------------------------------ quantities */

/* One number in units of 10^-decimals: 0, WB_E_RANGE if it is right but does not fit, or WB_E_SYNTAX. */
static int parse_number(const reading *r, wb_json_value value, unsigned decimals, uint64_t *to) {
  char text[NUMBER_BYTES_MAX];
  uint32_t bytes = number_text(r, value, text);
  return bytes > NUMBER_BYTES_MAX ? WB_E_SYNTAX : wb_decimal_parse(text, bytes, decimals, to);
}

/* Raises *need to the decimals of a number that parse_number found to be one. */
static void measure_number(const reading *r, wb_json_value value, uint8_t *need) {
  char text[NUMBER_BYTES_MAX];
  unsigned integer_digits, decimals = 0;
  wb_decimal_need(text, number_text(r, value, text), &integer_digits, &decimals);
  if (decimals > *need) *need = (uint8_t)decimals;
}

/* Takes note of a quantity, to be read when all of them are known. has: what its being there means. */
static bool note(reading *r, unsigned key, unsigned what, uint8_t has, uint64_t *to) {
  if (!have_kind(r, key, '"')) return false;
  r->number[r->number_count++] = (number){r->value[key], what, to};
  r->event.has |= has;
  return true;
}

static bool note_if_said(reading *r, unsigned key, unsigned what, uint8_t has, uint64_t *to) {
  return says(r, key) ? note(r, key, what, has, to) : once(r, key);
}

/* Reads all quantities noted in units of 10^-decimals, or says in misfit which kind does not fit, and in *misfit_at where. */
static bool read_numbers(reading *r, const units *in, bool misfit[2], uint32_t *misfit_at) {
  misfit[0] = misfit[1] = false;
  for (unsigned i = 0; i < r->number_count; i++) {
    const number *n = &r->number[i];
    int code = parse_number(r, n->value, in->decimals[n->what], n->to);
    if (code == WB_E_SYNTAX) return refuse(r, WB_REJECT_BAD_NUMBER, n->value.at);
    if (code == 0) continue;
    misfit[n->what] = true;
    *misfit_at = n->value.at;
  }
  return true;
}

static void put_scale(reading *r, const units *in, wb_order_out *out) {
  units *held = &r->state->units[r->event.product];
  if (memcmp(held, in, sizeof *held) == 0) return;
  *held = *in;
  wb_order_event event = {.kind = WB_ORDER_SCALE,
                          .price_decimals = in->decimals[0],
                          .size_decimals = in->decimals[1],
                          .product = r->event.product,
                          .time_ns = r->event.time_ns};
  out->put(out, &event);
}

/* The quantities of an event, in units that are widened where they must be. */
static bool fit_numbers(reading *r, units *in) {
  bool misfit[2];
  uint32_t misfit_at = 0;
  *in = r->state->units[r->event.product];
  if (!read_numbers(r, in, misfit, &misfit_at)) return false;
  if (!misfit[0] && !misfit[1]) return true;
  for (unsigned i = 0; i < r->number_count; i++)
    if (misfit[r->number[i].what]) measure_number(r, r->number[i].value, &in->decimals[r->number[i].what]);
  if (in->decimals[0] > WB_DECIMALS_MAX || in->decimals[1] > WB_DECIMALS_MAX || !read_numbers(r, in, misfit, &misfit_at) ||
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
    r->event.reason = reasons[word_of(r, r->value[REASON], names, 2)];
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
  units in;
  r->event.kind = (uint8_t)kind;
  if (!read_product(r)) return false;
  bool sequenced = kind != WB_ORDER_ACTIVATE || says(r, SEQUENCE);
  if (sequenced ? !read_sequence(r) : !once(r, SEQUENCE)) return false;
  if ((read[kind] && !read[kind](r)) || !read_time(r) || !fit_numbers(r, &in) || !above_zero(r)) return false;
  put_scale(r, &in, out);
  return true;
}

/* ------------------------------------------------------------------------------------------------ level3 */

/* What the channel says first: the names of the fields, in their order, of each kind of message. Kinds that it does not name stay as they are. */
static bool read_schema(reading *r) {
  wb_json_value value[COMPACT_KINDS];
  uint32_t twice;
  schema said = r->state->schema;
  if (!have_kind(r, SCHEMA, '{')) return false;
  wb_json object = {r->json.text, r->value[SCHEMA].end, r->value[SCHEMA].at};
  wb_json_members(&object, 0, compact_names, COMPACT_KINDS, value, &twice);
  if (twice) return refuse(r, WB_REJECT_BAD_JSON, r->value[SCHEMA].at);
  for (unsigned i = 0; i < COMPACT_KINDS; i++) {
    if (value[i].at == 0) continue;
    if (kind_of(r, value[i]) != '[') return refuse(r, WB_REJECT_WRONG_TYPE, value[i].at);
    fields *to = &said.kind[i];
    uint32_t seen = 0;
    to->count = 0;
    wb_json array = {r->json.text, value[i].end, value[i].at + 1};
    for (wb_json_value name; wb_json_element(&array, &name);) {
      if (kind_of(r, name) != '"' || to->count == FIELDS_MAX) return refuse(r, WB_REJECT_WRONG_TYPE, name.at);
      unsigned key = word_of(r, name, keys, COMPACT_COUNT);
      if (key < COMPACT_COUNT && seen >> key & 1) return refuse(r, WB_REJECT_BAD_JSON, name.at);
      seen |= UINT32_C(1) << key;
      to->key[to->count++] = (uint8_t)(key < COMPACT_COUNT ? key : KEY_COUNT);
    }
    if (to->count == 0 || to->key[0] != TYPE) return refuse(r, WB_REJECT_MISSING_FIELD, value[i].at);
  }
  r->state->schema = said;
  r->event.kind = WB_ORDER_IGNORED;
  return true;
}

/* Lays the elements of an array where the members of an object would be. */
static bool read_array(reading *r, uint32_t root, unsigned *kind) {
  wb_json array = {r->json.text, r->json.bytes, root + 1};
  wb_json_value value;
  if (!wb_json_element(&array, &value)) return refuse(r, WB_REJECT_MISSING_FIELD, root);
  if (kind_of(r, value) != '"') return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  r->value[TYPE] = value;
  *kind = word_of(r, value, compact_names, COMPACT_KINDS);
  if (*kind == COMPACT_KINDS) return true;
  const fields *said = &r->state->schema.kind[*kind];
  unsigned count = 1;
  uint32_t surplus_at = 0;
  for (; wb_json_element(&array, &value); count++) {
    if (count == said->count) surplus_at = value.at;
    else if (count < said->count && said->key[count] < KEY_COUNT) r->value[said->key[count]] = value;
  }
  find_product(r);
  if (surplus_at) return refuse(r, WB_REJECT_WRONG_TYPE, surplus_at);
  return count == said->count || refuse(r, WB_REJECT_MISSING_FIELD, r->json.bytes);
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

/* Finds the members of the message, or only goes through it where it is an array. */
static bool read_text(reading *r, uint32_t *root) {
  int code;
  wb_json_blank(&r->json);
  *root = r->json.at;
  bool object = *root < r->json.bytes && r->json.text[*root] == '{';
  wb_json_value value;
  if (object) code = wb_json_members(&r->json, 0, keys, KEY_COUNT, r->value, &r->twice);
  else code = wb_json_skip(&r->json, 0, &value);
  if (code == 0) wb_json_blank(&r->json);
  uint32_t json_end = r->json.at, utf8_end = wb_json_utf8(r->json.text, r->json.bytes);
  if (r->event.product == WB_PRODUCT_NONE) find_product(r);
  if (utf8_end != r->json.bytes) return refuse(r, WB_REJECT_BAD_UTF8, utf8_end);
  return (code == 0 && json_end == r->json.bytes) || refuse(r, WB_REJECT_BAD_JSON, json_end);
}

static bool read_message(reading *r, wb_order_out *out) {
  static const char *const level3[] = {"level3"};
  uint32_t root;
  if (!read_text(r, &root)) return false;
  if (r->json.text[root] == '[') return read_compact(r, root, out);
  if (r->json.text[root] != '{') return refuse(r, WB_REJECT_WRONG_TYPE, root);
  if (!have_kind(r, TYPE, '"')) return false;
  unsigned kind = word_of(r, r->value[TYPE], full_names, FULL_KINDS);
  if (kind < FULL_KINDS) return read_event(r, (wb_order_kind)full_kinds[kind], out);
  if (r->value[SCHEMA].at && word_of(r, r->value[TYPE], level3, 1) == 0) return read_schema(r);
  r->event.kind = WB_ORDER_IGNORED;
  return true;
}

static reading reading_of(wb_coinbase_orders *state, uint16_t product, const uint8_t *text, uint32_t bytes) {
  return (reading){.state = state, .json = {text, bytes, 0}, .event = {.product = product, .time_ns = WB_TIME_NONE}};
}

void wb_coinbase_orders_decode(wb_coinbase_orders *state, const uint8_t *text, uint32_t bytes, wb_order_out *out) {
  reading r = reading_of(state, WB_PRODUCT_NONE, text, bytes);
  read_message(&r, out);
  out->put(out, &r.event);
}

/* ------------------------------------------------------------------------------------------------ snapshot */

/* Gives the next order of a side; false at its end, and where it is no order: then it is refused. */
static bool next_order(reading *r, wb_json *side, wb_json_value value[3]) {
  wb_json_value array;
  if (!wb_json_element(side, &array)) return false;
  if (kind_of(r, array) != '[') return refuse(r, WB_REJECT_WRONG_TYPE, array.at);
  wb_json inner = {r->json.text, array.end, array.at + 1};
  unsigned count = 0;
  for (wb_json_value element; wb_json_element(&inner, &element); count++) {
    if (count == 3 || kind_of(r, element) != '"') return refuse(r, WB_REJECT_WRONG_TYPE, element.at);
    value[count] = element;
  }
  return count == 3 || refuse(r, WB_REJECT_WRONG_TYPE, array.end - 1);
}

static wb_json side_of(const reading *r, wb_side side) {
  wb_json_value array = r->value[side == WB_SIDE_BID ? BIDS : ASKS];
  return (wb_json){r->json.text, array.end, array.at + 1};
}

/* What a pass over all orders found: which of price and size have a number that does not fit, and the first such; whether the sizes of a
 * side are together more than a level can hold; and the decimals they need. */
typedef struct survey {
  bool misfit[2], crowded;
  uint32_t misfit_at;
  units need;
} survey;

static bool survey_orders(reading *r, const units *in, survey *found) {
  *found = (survey){0};
  for (unsigned side = 0; side < 2; side++) {
    wb_json at = side_of(r, (wb_side)side);
    unsigned __int128 total = 0;
    for (wb_json_value value[3]; next_order(r, &at, value);) {
      wb_order_id id;
      for (unsigned i = 0; i < 2; i++) {
        uint64_t quantity = 1;
        int code = parse_number(r, value[i], in->decimals[i], &quantity);
        if (code == WB_E_SYNTAX || quantity == 0) return refuse(r, WB_REJECT_BAD_NUMBER, value[i].at);
        measure_number(r, value[i], &found->need.decimals[i]);
        if (i == 1) total += quantity;
        if (code == 0) continue;
        if (!found->misfit[0] && !found->misfit[1]) found->misfit_at = value[i].at;
        found->misfit[i] = true;
      }
      if (!parse_id(r, value[2], &id)) return refuse(r, WB_REJECT_BAD_NUMBER, value[2].at);
    }
    if (r->event.kind == WB_ORDER_REJECT) return false;
    found->crowded |= total > (uint64_t)WB_QUANTITY_MAX;
  }
  return true;
}

/* Finds units in which every number of the snapshot is exact: those in use if they do, the default where that does, else the fewest decimals. */
static bool fit_snapshot(reading *r, units *in) {
  survey found;
  *in = r->state->units[r->event.product];
  if (!survey_orders(r, in, &found)) return false;
  for (unsigned last = 0; last < 2 && (found.misfit[0] || found.misfit[1] || found.crowded); last++) {
    for (unsigned i = 0; i < 2; i++) {
      uint8_t need = found.need.decimals[i];
      if (need > WB_DECIMALS_MAX) return refuse(r, WB_REJECT_NUMBER_RANGE, found.misfit_at);
      if (found.misfit[i] || (i == 1 && found.crowded))
        in->decimals[i] = last || need > WB_DECIMALS_DEFAULT ? need : WB_DECIMALS_DEFAULT;
    }
    survey_orders(r, in, &found);
  }
  return (!found.misfit[0] && !found.misfit[1]) || refuse(r, WB_REJECT_NUMBER_RANGE, found.misfit_at);
}

static bool read_snapshot(reading *r, wb_order_out *out) {
  uint32_t root;
  units in;
  if (!read_text(r, &root)) return false;
  if (r->json.text[root] != '{') return refuse(r, WB_REJECT_WRONG_TYPE, root);
  if (!read_sequence(r) || !have_kind(r, BIDS, '[') || !have_kind(r, ASKS, '[') || !read_time(r) || !fit_snapshot(r, &in))
    return false;
  put_scale(r, &in, out);
  r->event.kind = WB_ORDER_SNAPSHOT;
  out->put(out, &r->event);
  wb_order_event resting = r->event;
  resting.kind = WB_ORDER_RESTING;
  resting.has |= WB_ORDER_HAS_SIDE | WB_ORDER_HAS_PRICE | WB_ORDER_HAS_SIZE;
  for (unsigned side = 0; side < 2; side++) {
    wb_json at = side_of(r, (wb_side)side);
    resting.side = (uint8_t)side;
    for (wb_json_value value[3]; next_order(r, &at, value);) {
      parse_number(r, value[0], in.decimals[0], &resting.price);
      parse_number(r, value[1], in.decimals[1], &resting.size);
      parse_id(r, value[2], &resting.order);
      out->put(out, &resting);
    }
  }
  r->event.kind = WB_ORDER_SNAPSHOT_END;
  return true;
}

void wb_coinbase_orders_snapshot(wb_coinbase_orders *state, uint16_t product, const uint8_t *text, uint32_t bytes,
                                 wb_order_out *out) {
  WB_CHECK(product < state->products->count);
  reading r = reading_of(state, product, text, bytes);
  read_snapshot(&r, out);
  out->put(out, &r.event);
}
