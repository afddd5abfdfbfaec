#include "engine/codec/coinbase_products.h"

#include <string.h>

#include "engine/base/decimal.h"

enum { NUMBER_BYTES_MAX = 40 };

enum {
  ID,
  PRODUCT_ID,
  BASE,
  BASE_ID,
  QUOTE,
  QUOTE_ID,
  BASE_INCREMENT,
  QUOTE_INCREMENT,
  PRICE_INCREMENT,
  MIN_FUNDS,
  MIN_SIZE,
  STATUS,
  TYPE,
  ALIAS,
  ALIAS_TO,
  FLAGS,
  FLAG_COUNT = 8,
  KEY_COUNT = FLAGS + FLAG_COUNT
};
static const char *const keys[KEY_COUNT] = {"id",
                                            "product_id",
                                            "base_currency",
                                            "base_currency_id",
                                            "quote_currency",
                                            "quote_currency_id",
                                            "base_increment",
                                            "quote_increment",
                                            "price_increment",
                                            "min_market_funds",
                                            "quote_min_size",
                                            "status",
                                            "product_type",
                                            "alias",
                                            "alias_to",
                                            "post_only",
                                            "limit_only",
                                            "cancel_only",
                                            "auction_mode",
                                            "trading_disabled",
                                            "is_disabled",
                                            "view_only",
                                            "fx_stablecoin"};

static const char *const status_words[] = {"", "online", "offline", "internal", "delisted"};
static const char *const type_words[] = {"", "SPOT", "FUTURE"};

/* One row on its way. */
typedef struct reading {
  wb_json json;
  wb_json_value value[KEY_COUNT];
  uint32_t twice, end;
  wb_product_row *row;
} reading;

static bool refuse(reading *r, wb_reject reason, uint32_t offset) {
  r->row->reject = (uint8_t)reason;
  r->row->offset = offset;
  return false;
}

static uint8_t kind_of(const reading *r, wb_json_value value) { return r->json.text[value.at]; }

/* Whether a key says something: not where it is missing or null. */
static bool says(const reading *r, unsigned key) { return r->value[key].at != 0 && kind_of(r, r->value[key]) != 'n'; }

/* The one of two keys that says something; the first if neither does. */
static bool either(reading *r, unsigned first, unsigned second, unsigned *key) {
  *key = says(r, second) ? second : first;
  return !says(r, first) || !says(r, second) || refuse(r, WB_REJECT_BAD_JSON, r->value[second].at);
}

static bool copy_text(reading *r, wb_json_value value, char to[WB_PRODUCT_ID_BYTES]) {
  char text[WB_PRODUCT_ID_BYTES] = {0};
  if (kind_of(r, value) != '"') return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  uint32_t bytes = wb_json_string(&r->json, value.at, text, sizeof text);
  if (bytes >= sizeof text) return refuse(r, WB_REJECT_TOO_LARGE, value.at);
  for (uint32_t i = 0; i < bytes; i++)
    if (text[i] < 0x20 || text[i] > 0x7e) return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  memcpy(to, text, sizeof text);
  return true;
}

static bool read_text(reading *r, unsigned key, char to[WB_PRODUCT_ID_BYTES]) {
  return !says(r, key) || copy_text(r, r->value[key], to);
}

/* A string, or where bare ones are known a number. */
static bool read_decimal(reading *r, unsigned key, bool bare, wb_increment *to) {
  char text[NUMBER_BYTES_MAX];
  wb_json_value value = r->value[key];
  uint8_t kind = kind_of(r, value);
  bool number = bare && kind >= '0' && kind <= '9';
  if (kind != '"' && !number) return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  uint32_t bytes = number ? value.end - value.at : wb_json_string(&r->json, value.at, text, sizeof text);
  if (bytes > sizeof text) return refuse(r, WB_REJECT_BAD_NUMBER, value.at);
  if (number) memcpy(text, r->json.text + value.at, bytes);
  unsigned integer_digits, decimals = 0;
  if (wb_decimal_need(text, bytes, &integer_digits, &decimals) != 0) return refuse(r, WB_REJECT_BAD_NUMBER, value.at);
  if (decimals > WB_DECIMALS_MAX || wb_decimal_parse(text, bytes, decimals, &to->value) != 0)
    return refuse(r, WB_REJECT_NUMBER_RANGE, value.at);
  to->decimals = (uint8_t)decimals;
  return true;
}

static bool read_increment(reading *r, unsigned key, wb_increment *to) {
  if (!says(r, key)) return refuse(r, WB_REJECT_MISSING_FIELD, r->end);
  return read_decimal(r, key, false, to) && (to->value != 0 || refuse(r, WB_REJECT_BAD_NUMBER, r->value[key].at));
}

/* The word's place in the list, or one behind its end. */
static bool read_word(reading *r, unsigned key, const char *const *words, unsigned count, uint8_t *to) {
  char text[WB_PRODUCT_ID_BYTES] = "";
  if (!read_text(r, key, text)) return false;
  for (*to = 0; *to < count && strcmp(words[*to], text) != 0;) *to += 1;
  return true;
}

static bool read_aliases(reading *r) {
  wb_json_value value = r->value[ALIAS_TO], element;
  if (!says(r, ALIAS_TO)) return true;
  if (kind_of(r, value) != '[') return refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  wb_json array = {r->json.text, value.end, value.at + 1};
  for (; wb_json_element(&array, &element); r->row->alias_count++) {
    if (r->row->alias_count == WB_PRODUCT_ALIASES_MAX) return refuse(r, WB_REJECT_TOO_LARGE, element.at);
    if (!copy_text(r, element, r->row->alias_to[r->row->alias_count])) return false;
  }
  return true;
}

static bool read_flags(reading *r) {
  for (unsigned i = 0; i < FLAG_COUNT; i++) {
    if (!says(r, FLAGS + i)) continue;
    uint8_t kind = kind_of(r, r->value[FLAGS + i]);
    if (kind != 't' && kind != 'f') return refuse(r, WB_REJECT_WRONG_TYPE, r->value[FLAGS + i].at);
    r->row->flags |= (uint8_t)((kind == 't') << i);
  }
  return true;
}

static bool read_row(reading *r) {
  unsigned id, base, quote, funds, price = says(r, PRICE_INCREMENT) ? PRICE_INCREMENT : QUOTE_INCREMENT;
  wb_product_row *row = r->row;
  for (unsigned key = 0; key < KEY_COUNT; key++)
    if (r->twice >> key & 1) return refuse(r, WB_REJECT_BAD_JSON, r->value[key].at);
  if (!either(r, ID, PRODUCT_ID, &id)) return false;
  if (!says(r, id)) return refuse(r, WB_REJECT_MISSING_FIELD, r->end);
  if (!copy_text(r, r->value[id], row->id)) return false;
  if (!*row->id) return refuse(r, WB_REJECT_MISSING_FIELD, r->value[id].at);
  return either(r, BASE, BASE_ID, &base) && read_text(r, base, row->base) && either(r, QUOTE, QUOTE_ID, &quote) &&
         read_text(r, quote, row->quote) && read_increment(r, price, &row->price) &&
         read_increment(r, BASE_INCREMENT, &row->size) && either(r, MIN_FUNDS, MIN_SIZE, &funds) &&
         (!says(r, funds) || read_decimal(r, funds, true, &row->min_funds)) &&
         read_word(r, STATUS, status_words, sizeof status_words / sizeof *status_words, &row->status) &&
         read_word(r, TYPE, type_words, sizeof type_words / sizeof *type_words, &row->type) && read_flags(r) &&
         read_text(r, ALIAS, row->alias) && read_aliases(r);
}

bool wb_coinbase_products_row(const wb_json *json, wb_json_value value, wb_product_row *row) {
  reading r = {.json = {json->text, value.end, value.at}, .end = value.end - 1, .row = row};
  memset(row, 0, sizeof *row);
  if (kind_of(&r, value) != '{') return refuse(&r, WB_REJECT_WRONG_TYPE, value.at);
  wb_json_members(&r.json, 0, keys, KEY_COUNT, r.value, &r.twice);
  return read_row(&r);
}

/* ------------------------------------------------------------------------------------------------ lists */

static int put_rows(const wb_json *json, wb_json_value array, wb_product_rows *rows) {
  wb_json at = {json->text, array.end, array.at + 1};
  int count = 0;
  for (wb_json_value value; wb_json_element(&at, &value); count++) {
    wb_product_row row;
    wb_coinbase_products_row(json, value, &row);
    rows->put(rows, &row);
  }
  return count;
}

/* The list of that key in an object, .at 0 where there is none, or two. */
static wb_json_value list_of(const wb_json *json, wb_json_value object, const char *key) {
  wb_json inner = {json->text, object.end, object.at};
  wb_json_value list;
  uint32_t twice;
  bool found = json->text[object.at] == '{' && wb_json_members(&inner, 0, &key, 1, &list, &twice) == 0 && !twice && list.at;
  return found && json->text[list.at] == '[' ? list : (wb_json_value){0};
}

/* The rows of every event; rows NULL: only whether each event has a list of them. */
static int put_events(const wb_json *json, wb_json_value events, wb_product_rows *rows) {
  wb_json at = {json->text, events.end, events.at + 1};
  int count = 0;
  for (wb_json_value event; wb_json_element(&at, &event);) {
    wb_json_value list = list_of(json, event, "products");
    if (!list.at) return WB_E_PROTOCOL;
    if (rows) count += put_rows(json, list, rows);
  }
  return count;
}

static int fail(wb_error *error, int code, uint32_t at, const char *what) {
  wb_error_set(error, code, 0, "products", "%s at byte %u", what, at);
  if (error) error->position = at;
  return code;
}

int wb_coinbase_products_read(const uint8_t *text, uint32_t bytes, wb_product_rows *rows, wb_error *error) {
  wb_json json = {text, bytes, 0};
  wb_json_value root, list;
  uint32_t utf8_end = wb_json_utf8(text, bytes);
  if (utf8_end != bytes) return fail(error, WB_E_UTF8, utf8_end, "invalid UTF-8");
  int code = wb_json_skip(&json, 0, &root);
  if (code == 0) wb_json_blank(&json);
  if (code != 0 || json.at != bytes) return fail(error, WB_E_SYNTAX, json.at, "no JSON");
  if (text[root.at] == '[') return put_rows(&json, root, rows);
  if ((list = list_of(&json, root, "products")).at) return put_rows(&json, list, rows);
  list = list_of(&json, root, "events");
  if (!list.at || put_events(&json, list, NULL) != 0) return fail(error, WB_E_PROTOCOL, root.at, "no list of products");
  return put_events(&json, list, rows);
}
