#include "engine/codec/kraken.h"

#include "engine/base/crc32.h"
#include "engine/base/decimal.h"
#include "engine/codec/coinbase_reading.h"
#include "engine/codec/iso8601.h"

enum { CHECKSUM_LEVELS = 10, NUMBER_BYTES_MAX = 40, TIME_BYTES_MAX = 30, EXPONENT_MAX = 999 };

/* Fewest bytes of `{"qty":0,"price":1},`. */
enum { LEVEL_BYTES_MIN = 20 };

enum { CHANNEL, TYPE, DATA, METHOD, RESULT, SUCCESS, ERROR, ROOT_COUNT };
static const char *const root_keys[ROOT_COUNT] = {"channel", "type", "data", "method", "result", "success", "error"};

enum { SYMBOL, BIDS, ASKS, CHECKSUM, TIMESTAMP, BOOK_COUNT };
static const char *const book_keys[BOOK_COUNT] = {"symbol", "bids", "asks", "checksum", "timestamp"};

enum { PRICE, QTY, LEVEL_COUNT };
static const char *const level_keys[LEVEL_COUNT] = {"price", "qty"};

enum { RESULT_CHANNEL, RESULT_SYMBOL, RESULT_DEPTH, RESULT_COUNT };
static const char *const result_keys[RESULT_COUNT] = {"channel", "symbol", "depth"};

enum { PAIR_SYMBOL, PRICE_PRECISION, QTY_PRECISION, PAIR_COUNT };
static const char *const pair_keys[PAIR_COUNT] = {"symbol", "price_precision", "qty_precision"};

/* precision: decimals of prices and sizes as the instrument channel says, 0 until it does. depth: see kraken.h, 0 if it is not known. */
typedef struct kraken_product {
  uint16_t depth;
  uint8_t precision[2];
} kraken_product;

/* What is Coinbase's alone of `common`, which is what messages are read with, lies idle. */
typedef struct kraken {
  kraken_product *product;
  wb_coinbase common; /* last: its arrays lie behind it */
} kraken;

/* One message: what it is read with. */
typedef struct reading {
  wb_reading r; /* first */
  kraken *own;
  wb_out *out;
  bool any; /* something was put out */
} reading;

/* ------------------------------------------------------------------------------------------------ numbers */

static bool digit(const uint8_t *at, const uint8_t *end) { return at < end && *at - (unsigned)'0' <= 9; }

/* Digits of a number, and how many of them are decimals: zeros at its end count, but for those of zero itself. 0, WB_E_SYNTAX, or WB_E_RANGE. */
static int split(const uint8_t *at, const uint8_t *end, uint64_t *digits, unsigned *decimals) {
  const uint8_t *begin = at, *dot = NULL;
  uint64_t sum = 0;
  bool over = false;
  for (; digit(at, end); at++)
    over |= __builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, *at - (unsigned)'0', &sum);
  if (at == begin || (at - begin > 1 && *begin == '0')) return WB_E_SYNTAX;
  int shift = 0;
  if (at < end && *at == '.') {
    for (dot = ++at; digit(at, end); at++)
      over |= __builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, *at - (unsigned)'0', &sum);
    if (at == dot) return WB_E_SYNTAX;
    shift = (int)(at - dot);
  }
  if (at < end && (*at | 0x20) == 'e') {
    int sign = 1, exponent = 0;
    at++;
    if (at < end && (*at == '+' || *at == '-')) sign = *at++ == '-' ? -1 : 1;
    if (!digit(at, end)) return WB_E_SYNTAX;
    for (; digit(at, end); at++)
      if (exponent < EXPONENT_MAX) exponent = exponent * 10 + (*at - '0');
    shift -= sign * exponent;
  }
  if (at != end) return WB_E_SYNTAX;
  if (over) return WB_E_RANGE;
  for (; sum && shift < 0; shift++)
    if (__builtin_mul_overflow(sum, 10, &sum)) return WB_E_RANGE;
  for (; sum && shift > WB_DECIMALS_MAX; shift--, sum /= 10)
    if (sum % 10) return WB_E_RANGE;
  *digits = sum;
  *decimals = sum ? (unsigned)shift : 0;
  return 0;
}

/* What a pass over the levels of a product found: how many a side has, the most decimals of a price and of a size, and the first number that does not fit the
 * units asked for. */
typedef struct survey {
  uint32_t count[2], misfit_at;
  unsigned decimals[2];
} survey;

/* A price (which 0) or size in units of 10^-decimals. */
static bool take_number(wb_reading *r, wb_json_value value, unsigned which, unsigned decimals, survey *found,
                        uint64_t *number) {
  char text[NUMBER_BYTES_MAX];
  const uint8_t *at = r->json.text + value.at, *end = r->json.text + value.end;
  if (*at == '"') {
    uint32_t bytes = wb_json_string(&r->json, value.at, text, sizeof text);
    at = (const uint8_t *)text;
    end = at + bytes;
  } else if (*at != '-' && !digit(at, end)) {
    return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  }
  uint64_t digits;
  unsigned shown;
  int code = end - at > NUMBER_BYTES_MAX ? WB_E_SYNTAX : split(at, end, &digits, &shown);
  if (code == WB_E_SYNTAX || (code == 0 && which == PRICE && digits == 0))
    return wb_reading_refuse(r, WB_REJECT_BAD_NUMBER, value.at);
  if (code == WB_E_RANGE) return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, value.at);
  if (shown > found->decimals[which]) found->decimals[which] = shown;
  bool fits =
      shown <= decimals && !__builtin_mul_overflow(digits, wb_pow10(decimals - shown), number) && *number <= WB_QUANTITY_MAX;
  if (!fits && !found->misfit_at) found->misfit_at = value.at;
  return true;
}

/* ------------------------------------------------------------------------------------------------ the book */

static bool find_product(wb_reading *r, const wb_members *members, unsigned key) {
  r->product = WB_PRODUCT_NONE;
  if (!wb_reading_have_kind(r, members, key, '"')) return false;
  int index = wb_reading_product(r, members->value[key]);
  if (index >= 0) r->product = (uint16_t)index;
  return true;
}

/* All levels of a product, into to[0..room). What does not fit the units is wrong there, and found->misfit_at says so. */
static bool read_levels(wb_reading *r, const wb_members *book, const unsigned decimals[2], wb_delta *to, uint32_t room,
                        survey *found) {
  static const unsigned keys[2] = {[WB_SIDE_BID] = BIDS, [WB_SIDE_ASK] = ASKS};
  uint32_t count = 0;
  *found = (survey){0};
  for (unsigned side = WB_SIDE_BID; side <= WB_SIDE_ASK; side++) {
    wb_json_value array = book->value[keys[side]], value;
    wb_json elements = {r->json.text, array.end, array.at + 1};
    for (; wb_json_element(&elements, &value); found->count[side]++, count++) {
      wb_members level;
      uint64_t number[LEVEL_COUNT] = {0};
      if (!wb_reading_object(r, value, level_keys, LEVEL_COUNT, &level)) return false;
      for (unsigned i = PRICE; i <= QTY; i++)
        if (!wb_reading_have(r, &level, i) || !take_number(r, level.value[i], i, decimals[i], found, &number[i])) return false;
      if (count == room) return wb_reading_refuse(r, WB_REJECT_LEVELS_MAX, value.at);
      to[count] = (wb_delta){.price = number[PRICE], .size = number[QTY], .side = side};
    }
  }
  return true;
}

/* The units that the message is written in. */
static void choose_units(const kraken_product *own, const survey *found, bool snapshot, unsigned decimals[2]) {
  bool anew = snapshot && found->count[0] + found->count[1] > 0;
  for (unsigned i = 0; i < 2; i++) {
    unsigned least = anew ? own->precision[i] : decimals[i];
    decimals[i] = found->decimals[i] > least ? found->decimals[i] : least;
  }
}

static uint16_t depth_of(const kraken_product *own, const survey *found, bool snapshot) {
  static const uint16_t depths[] = {10, 25, 100, 500, 1000};
  for (unsigned i = 0; !own->depth && snapshot && i < sizeof depths / sizeof *depths; i++)
    if (found->count[0] == depths[i] && found->count[1] == depths[i]) return depths[i];
  return own->depth;
}

static void put_book(wb_message *message, kraken_product *own, const survey *found, uint64_t checksum, int64_t time_ns,
                     wb_out *out) {
  own->depth = depth_of(own, found, message->kind == WB_MESSAGE_SNAPSHOT);
  message->delta_count = found->count[0] + found->count[1];
  message->time_ns = time_ns;
  message->u.book.checksum = (uint32_t)checksum;
  message->u.book.checked = true;
  message->u.book.depth = own->depth;
  out->commit(out, message);
}

/* One product's part of a message. Without emit it is only checked, in a claim that is not committed. */
static bool read_book(reading *at, wb_json_value value, bool snapshot, bool emit) {
  wb_reading *r = &at->r;
  wb_members book;
  uint64_t checksum;
  r->time_ns = WB_TIME_NONE;
  if (!wb_reading_object(r, value, book_keys, BOOK_COUNT, &book) || !find_product(r, &book, SYMBOL)) return false;
  if (r->product == WB_PRODUCT_NONE) return wb_reading_refuse(r, WB_REJECT_UNKNOWN_PRODUCT, book.value[SYMBOL].at);
  if (!wb_reading_have_kind(r, &book, BIDS, '[') || !wb_reading_have_kind(r, &book, ASKS, '[') ||
      !wb_reading_unsigned(r, &book, CHECKSUM, &checksum) || !wb_reading_time(r, &book, TIMESTAMP, &r->time_ns))
    return false;
  if (checksum > UINT32_MAX) return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, book.value[CHECKSUM].at);
  kraken_product *own = &at->own->product[r->product];
  const wb_coinbase_product *product = &r->state->product[r->product];
  unsigned units[2] = {product->price_decimals, product->size_decimals};
  wb_message_kind kind = snapshot ? WB_MESSAGE_SNAPSHOT : WB_MESSAGE_UPDATE;
  uint32_t bytes = book.value[BIDS].end - book.value[BIDS].at + book.value[ASKS].end - book.value[ASKS].at;
  uint32_t room = bytes / LEVEL_BYTES_MIN < WB_PART_DELTAS_MAX ? bytes / LEVEL_BYTES_MIN : WB_PART_DELTAS_MAX;
  survey found;
  wb_message *message = wb_coinbase_claim(at->out, r->frame, kind, r->product, room);
  if (!read_levels(r, &book, units, message->deltas, room, &found)) return false;
  choose_units(own, &found, snapshot, units);
  bool others = units[0] != product->price_decimals || units[1] != product->size_decimals;
  if (others) read_levels(r, &book, units, message->deltas, room, &found);
  if (found.misfit_at) return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, found.misfit_at);
  if (!emit) return true;
  if (others) {
    wb_reading_scale(r, units, at->out);
    message = wb_coinbase_claim(at->out, r->frame, kind, r->product, room);
    read_levels(r, &book, units, message->deltas, room, &found);
  }
  put_book(message, own, &found, checksum, r->time_ns, at->out);
  at->any = true;
  return true;
}

static bool read_books(reading *at, const wb_members *root) {
  wb_reading *r = &at->r;
  if (!wb_reading_have_kind(r, root, TYPE, '"')) return false;
  bool snapshot = wb_reading_is(r, root->value[TYPE], "snapshot");
  if (!snapshot && !wb_reading_is(r, root->value[TYPE], "update"))
    return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, root->value[TYPE].at);
  if (!wb_reading_have_kind(r, root, DATA, '[')) return false;
  const wb_json data = {r->json.text, root->value[DATA].end, root->value[DATA].at + 1};
  wb_json array = data;
  wb_json_value first, other;
  if (!wb_json_element(&array, &first)) return true;
  if (!wb_json_element(&array, &other)) return read_book(at, first, snapshot, true);
  for (unsigned emit = 0; emit < 2; emit++)
    for (array = data; wb_json_element(&array, &other);)
      if (!read_book(at, other, snapshot, emit)) {
        if (!emit) r->product = WB_PRODUCT_NONE; /* the others' changes are lost as well */
        return false;
      }
  return true;
}

/* ------------------------------------------------------------------------------------------------ in one pass */

static bool is_next(const wb_json *json, const char *word, uint32_t bytes) {
  return json->bytes - json->at >= bytes && memcmp(json->text + json->at, word, bytes) == 0;
}

/* Moves over a word, if that comes next. */
#define TAKE(json, word) (is_next(json, word, sizeof word - 1) && ((json)->at += (uint32_t)sizeof word - 1))

static bool take_digits(wb_json *json, wb_json_value *value) {
  value->at = json->at;
  while (json->at < json->bytes && (json->text[json->at] - (unsigned)'0' <= 9 || json->text[json->at] == '.')) json->at++;
  value->end = json->at;
  return value->end > value->at;
}

/* What stands before the next quote, of no more than `most` bytes. NULL if that is further on. */
static const char *take_string(wb_json *json, uint32_t most, uint32_t *bytes) {
  const uint8_t *text = json->text + json->at;
  const uint8_t *quote = memchr(text, '"', json->bytes - json->at < most + 1 ? json->bytes - json->at : most + 1);
  if (!quote) return NULL;
  *bytes = (uint32_t)(quote - text);
  json->at += *bytes;
  return (const char *)text;
}

static bool take_checksum(wb_json *json, uint64_t *checksum) {
  uint32_t begin = json->at;
  *checksum = 0;
  for (; digit(json->text + json->at, json->text + json->bytes) && json->at - begin < 10; json->at++)
    *checksum = *checksum * 10 + (json->text[json->at] - (unsigned)'0');
  return json->at > begin && (json->text[begin] != '0' || json->at == begin + 1) && *checksum <= UINT32_MAX;
}

/* A whole message about one product as Kraken writes it, in the units that the product has. False, with nothing put out, for any other, right or wrong: it
 * is read again. */
static bool read_plain(kraken *all, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_reading r = wb_reading_of(&all->common, frame, bytes);
  wb_json *json = &r.json;
  bool snapshot = TAKE(json, "{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"");
  if (!snapshot && !TAKE(json, "{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"")) return false;
  uint32_t length;
  const char *text = take_string(json, WB_PRODUCT_ID_BYTES, &length);
  int index = text ? wb_products_find(r.state->products, text, length) : -1;
  if (index < 0 || !TAKE(json, "\",\"bids\":[")) return false;
  kraken_product *own = &all->product[index];
  const wb_coinbase_product *product = &r.state->product[index];
  const unsigned decimals[2] = {product->price_decimals, product->size_decimals};
  uint32_t most = frame->bytes / LEVEL_BYTES_MIN, room = most < WB_PART_DELTAS_MAX ? most : WB_PART_DELTAS_MAX;
  wb_message *message =
      wb_coinbase_claim(out, frame, snapshot ? WB_MESSAGE_SNAPSHOT : WB_MESSAGE_UPDATE, (uint16_t)index, room);
  survey found = {0};
  uint32_t count = 0;
  for (unsigned side = WB_SIDE_BID; side <= WB_SIDE_ASK; side++) {
    for (; !is_next(json, "]", 1); found.count[side]++, count++) {
      wb_json_value value[LEVEL_COUNT];
      uint64_t number[LEVEL_COUNT];
      if (count == room || (found.count[side] && !TAKE(json, ",")) || !TAKE(json, "{\"price\":") ||
          !take_digits(json, &value[PRICE]) || !TAKE(json, ",\"qty\":") || !take_digits(json, &value[QTY]) || !TAKE(json, "}"))
        return false;
      for (unsigned i = PRICE; i <= QTY; i++)
        if (!take_number(&r, value[i], i, decimals[i], &found, &number[i]) || found.misfit_at) return false;
      message->deltas[count] = (wb_delta){.price = number[PRICE], .size = number[QTY], .side = side};
    }
    if (side == WB_SIDE_BID && !TAKE(json, "],\"asks\":[")) return false;
  }
  uint64_t checksum;
  int64_t time_ns = WB_TIME_NONE;
  if (!TAKE(json, "],\"checksum\":") || !take_checksum(json, &checksum)) return false;
  if (TAKE(json, ",\"timestamp\":\"")) {
    text = take_string(json, TIME_BYTES_MAX, &length);
    if (!text || wb_iso8601_parse(text, length, &time_ns) != 0 || !TAKE(json, "\"")) return false;
  }
  if (!TAKE(json, "}]}") || json->at != frame->bytes) return false;
  unsigned units[2] = {decimals[0], decimals[1]};
  choose_units(own, &found, snapshot, units);
  if (units[0] != decimals[0] || units[1] != decimals[1]) return false;
  put_book(message, own, &found, checksum, time_ns, out);
  return true;
}

/* ------------------------------------------------------------------------------------------------ instruments, acknowledgements */

/* One pair; of one that is none of ours nothing is read. */
static bool read_pair(reading *at, wb_json_value value, bool emit) {
  wb_reading *r = &at->r;
  wb_members pair;
  uint64_t precision[2];
  if (!wb_reading_object(r, value, pair_keys, PAIR_COUNT, &pair) || !find_product(r, &pair, PAIR_SYMBOL)) return false;
  if (r->product == WB_PRODUCT_NONE) return true;
  kraken_product *own = &at->own->product[r->product];
  const wb_coinbase_product *product = &r->state->product[r->product];
  unsigned units[2] = {product->price_decimals, product->size_decimals};
  for (unsigned i = 0; i < 2; i++) {
    if (!wb_reading_unsigned(r, &pair, PRICE_PRECISION + i, &precision[i])) return false;
    if (precision[i] > WB_DECIMALS_MAX) return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, pair.value[PRICE_PRECISION + i].at);
    if (precision[i] > units[i]) units[i] = (unsigned)precision[i];
    if (emit) own->precision[i] = (uint8_t)precision[i];
  }
  at->any |= units[0] != product->price_decimals || units[1] != product->size_decimals;
  if (emit) wb_reading_scale(r, units, at->out);
  return true;
}

static bool read_instruments(reading *at, const wb_members *root) {
  static const char *const keys[] = {"pairs"};
  wb_reading *r = &at->r;
  wb_members data;
  r->harmless = true;
  if (!wb_reading_have(r, root, DATA) || !wb_reading_object(r, root->value[DATA], keys, 1, &data)) return false;
  if (data.value[0].at && !wb_reading_have_kind(r, &data, 0, '[')) return false;
  for (unsigned emit = 0; data.value[0].at && emit < 2; emit++) {
    wb_json array = {r->json.text, data.value[0].end, data.value[0].at + 1};
    for (wb_json_value value; wb_json_element(&array, &value);)
      if (!read_pair(at, value, emit)) return false;
  }
  return true;
}

/* Of the book channel, each product has one of its own. */
static bool read_acknowledgement(reading *at, const wb_members *root, bool subscribed) {
  wb_reading *r = &at->r;
  wb_members result;
  uint64_t depth = 0;
  if (!wb_reading_have(r, root, RESULT) || !wb_reading_object(r, root->value[RESULT], result_keys, RESULT_COUNT, &result) ||
      !wb_reading_have_kind(r, &result, RESULT_CHANNEL, '"'))
    return false;
  if (!wb_reading_is(r, result.value[RESULT_CHANNEL], "book")) return true;
  if (!find_product(r, &result, RESULT_SYMBOL)) return false;
  if (result.value[RESULT_DEPTH].at && !wb_reading_unsigned(r, &result, RESULT_DEPTH, &depth)) return false;
  if (depth > UINT16_MAX) return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, result.value[RESULT_DEPTH].at);
  if (r->product == WB_PRODUCT_NONE) return true;
  if (subscribed) at->own->product[r->product].depth = (uint16_t)depth;
  wb_message *message = wb_coinbase_claim(at->out, r->frame, WB_MESSAGE_SUBSCRIPTIONS, r->product, 0);
  message->u.subscription.single = true;
  message->u.subscription.gone = !subscribed;
  at->out->commit(at->out, message);
  at->any = true;
  return true;
}

/* ------------------------------------------------------------------------------------------------ the message */

static bool read_answer(reading *at, const wb_members *root) {
  wb_reading *r = &at->r;
  if (root->value[SUCCESS].at && !wb_reading_have(r, root, SUCCESS)) return false;
  if (root->value[ERROR].at || (root->value[SUCCESS].at && wb_reading_kind(r, root->value[SUCCESS]) != 't')) {
    at->out->commit(at->out, wb_coinbase_claim(at->out, r->frame, WB_MESSAGE_ERROR, WB_PRODUCT_NONE, 0));
    return at->any = true;
  }
  if (!wb_reading_have_kind(r, root, METHOD, '"')) return false;
  bool subscribed = wb_reading_is(r, root->value[METHOD], "subscribe");
  return (!subscribed && !wb_reading_is(r, root->value[METHOD], "unsubscribe")) || read_acknowledgement(at, root, subscribed);
}

static bool read_message(reading *at) {
  wb_reading *r = &at->r;
  wb_members root;
  if (!wb_reading_root(r, root_keys, ROOT_COUNT, &root, NULL)) return false;
  if (!root.value[CHANNEL].at) return read_answer(at, &root);
  if (!wb_reading_have_kind(r, &root, CHANNEL, '"')) return false;
  if (wb_reading_is(r, root.value[CHANNEL], "book")) return read_books(at, &root);
  return !wb_reading_is(r, root.value[CHANNEL], "instrument") || read_instruments(at, &root);
}

static void decode(void *memory, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  kraken *own = memory;
  if (frame->kind != WB_FRAME_TEXT) {
    wb_coinbase_other(&own->common, frame, bytes, out);
    return;
  }
  if (read_plain(own, frame, bytes, out)) return;
  reading at = {.r = wb_reading_of(&own->common, frame, bytes), .own = own, .out = out};
  if (!read_message(&at)) wb_reading_reject(&at.r, out);
  else if (!at.any) out->commit(out, wb_coinbase_claim(out, frame, WB_MESSAGE_IGNORED, WB_PRODUCT_NONE, 0));
}

/* ------------------------------------------------------------------------------------------------ the checksum */

/* Eight digits, the first in the lowest byte. */
static uint64_t eight_digits(uint64_t number) {
  const uint64_t fours = number / 10000 | number % 10000 << 32;
  uint64_t tens = fours * 10486 >> 20 & UINT64_C(0x7f0000007f);
  const uint64_t twos = tens | (fours - 100 * tens) << 16;
  tens = twos * 103 >> 10 & UINT64_C(0x000f000f000f000f);
  return tens | (twos - 10 * tens) << 8;
}

/* A number without zeros at its beginning; of 0 nothing is left. Writes up to 7 bytes more than count. */
enum { NUMBER_DIGITS_MAX = 20, TEN_8 = 100000000 };
static uint8_t *put_number(uint8_t *to, uint64_t number) {
  unsigned zeros = 0;
  if (number >= TEN_8) to = put_number(to, number / TEN_8);
  uint64_t digits = eight_digits(number % TEN_8);
  if (number < TEN_8) zeros = digits ? (unsigned)__builtin_ctzll(digits) / 8 : 8;
  digits = zeros < 8 ? (digits | UINT64_C(0x3030303030303030)) >> 8 * zeros : 0;
  memcpy(to, &digits, sizeof digits);
  return to + 8 - zeros;
}

static uint32_t checksum_of(const wb_level *bid, uint32_t bid_count, const wb_level *ask, uint32_t ask_count) {
  uint8_t text[2 * CHECKSUM_LEVELS * 2 * NUMBER_DIGITS_MAX + 8], *at = text;
  for (uint32_t i = 0; i < ask_count; i++) at = put_number(put_number(at, ask[i].price), ask[i].size);
  for (uint32_t i = 0; i < bid_count; i++) at = put_number(put_number(at, bid[i].price), bid[i].size);
  return wb_crc32(0, text, (size_t)(at - text));
}

/* ------------------------------------------------------------------------------------------------ the codec */

static size_t common_bytes(const wb_products *products) { return offsetof(kraken, common) + wb_coinbase_size(products); }

static size_t size(const wb_products *products) {
  size_t bytes = common_bytes(products) + products->count * sizeof(kraken_product);
  return (bytes + WB_CACHE_LINE_BYTES - 1) / WB_CACHE_LINE_BYTES * WB_CACHE_LINE_BYTES;
}

static int init(void *memory, const wb_products *products) {
  kraken *own = memory;
  int code = wb_coinbase_init(&own->common, products);
  if (code != 0) return code;
  own->product = (kraken_product *)(void *)((uint8_t *)memory + common_bytes(products));
  memset(own->product, 0, products->count * sizeof *own->product);
  return 0;
}

/* One channel a message. */
static int subscribe(const wb_products *products, const char *const *channels, const uint16_t *index, uint32_t count,
                     bool unsubscribe, char *text, size_t bytes) {
  wb_text_buffer to = {text, bytes, 0};
  text[0] = 0;
  for (; *channels; channels++) {
    size_t name = strcspn(*channels, ":");
    const char *depth = *channels + name + ((*channels)[name] == ':');
    bool instrument = strcmp(*channels, "instrument") == 0;
    if (instrument && (!count || index[0] != 0)) continue;
    wb_text_put(&to, "%s{\"method\":\"%s\",\"params\":{\"channel\":\"%.*s\"", to.length ? "\n" : "",
                unsubscribe ? "unsubscribe" : "subscribe", (int)name, *channels);
    for (uint32_t i = 0; !instrument && i < count; i++)
      wb_text_put(&to, "%s\"%s\"", i ? "," : ",\"symbol\":[", products->product[index[i]].id);
    if (!instrument) wb_text_put(&to, "]");
    if (*depth) wb_text_put(&to, ",\"depth\":%s", depth);
    wb_text_put(&to, "%s}}", unsubscribe ? "" : ",\"snapshot\":true");
  }
  return to.length < bytes ? (int)to.length : WB_E_LIMIT;
}

static const char *const default_channels[] = {"instrument", "book:1000", NULL};

const wb_codec wb_codec_kraken = {
    .name = "kraken",
    .url = "wss://ws.kraken.com/v2",
    .channels = default_channels,
    .level2 = "book",
    .product_key = "\"symbol\"",
    .separator = '/',
    .size = size,
    .init = init,
    .decode = decode,
    .subscribe = subscribe,
    .checksum = checksum_of,
    .checksum_levels = CHECKSUM_LEVELS,
};
