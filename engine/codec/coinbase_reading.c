#include "engine/codec/coinbase_reading.h"

#include "engine/base/decimal.h"
#include "engine/codec/coinbase_products.h"
#include "engine/codec/iso8601.h"

enum { NUMBER_BYTES_MAX = 40, TIME_BYTES_MAX = 30 };

wb_reading wb_reading_of(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes) {
  return (wb_reading){
      .state = state, .frame = frame, .json = {bytes, frame->bytes, 0}, .product = WB_PRODUCT_NONE, .time_ns = WB_TIME_NONE};
}

bool wb_reading_refuse(wb_reading *r, wb_reject reason, uint32_t offset) {
  r->reason = reason;
  r->offset = offset;
  return false;
}

void wb_reading_reject(const wb_reading *r, wb_out *out) {
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_REJECT, r->product, 0);
  message->u.reject.reason = (uint32_t)r->reason;
  message->u.reject.offset = r->offset;
  message->u.reject.harmless = r->harmless;
  out->commit(out, message);
}

bool wb_reading_is(const wb_reading *r, wb_json_value string, const char *word) {
  char text[32];
  uint32_t bytes = wb_json_string(&r->json, string.at, text, sizeof text);
  return bytes == strlen(word) && memcmp(text, word, bytes) == 0;
}

bool wb_reading_root(wb_reading *r, const char *const *keys, unsigned count, wb_members *root,
                     void (*find)(wb_reading *r, const wb_members *root)) {
  int code;
  *root = (wb_members){.end = r->frame->bytes};
  wb_json_blank(&r->json);
  uint32_t at = r->json.at;
  bool object = at < r->json.bytes && r->json.text[at] == '{';
  if (object) {
    code = wb_json_members(&r->json, 0, keys, count, root->value, &root->twice);
  } else {
    wb_json_value value;
    code = wb_json_skip(&r->json, 0, &value);
  }
  if (code == 0) wb_json_blank(&r->json);
  uint32_t json_end = r->json.at, utf8_end = wb_json_utf8(r->json.text, r->json.bytes);
  if (find) find(r, root);
  if (utf8_end != r->json.bytes) return wb_reading_refuse(r, WB_REJECT_BAD_UTF8, utf8_end);
  if (code != 0 || json_end != r->json.bytes) return wb_reading_refuse(r, WB_REJECT_BAD_JSON, json_end);
  return object || wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, at);
}

bool wb_reading_object(wb_reading *r, wb_json_value value, const char *const *keys, unsigned count, wb_members *members) {
  if (wb_reading_kind(r, value) != '{') return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  wb_json object = {r->json.text, value.end, value.at};
  *members = (wb_members){.end = value.end - 1};
  wb_json_members(&object, 0, keys, count, members->value, &members->twice);
  return true;
}

/* A key that is read must be there and be there once: a message that says two things is no message to act on (I-JSON, RFC
 * 7493). */
bool wb_reading_have(wb_reading *r, const wb_members *members, unsigned key) {
  if (members->value[key].at == 0) return wb_reading_refuse(r, WB_REJECT_MISSING_FIELD, members->end);
  if (members->twice >> key & 1) return wb_reading_refuse(r, WB_REJECT_BAD_JSON, members->value[key].at);
  return true;
}

bool wb_reading_have_kind(wb_reading *r, const wb_members *members, unsigned key, char kind) {
  if (!wb_reading_have(r, members, key)) return false;
  return wb_reading_kind(r, members->value[key]) == kind || wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, members->value[key].at);
}

int wb_reading_product(const wb_reading *r, wb_json_value string) {
  char id[WB_PRODUCT_ID_BYTES];
  uint32_t bytes = wb_json_string(&r->json, string.at, id, sizeof id);
  return wb_products_find(r->state->products, id, bytes);
}

bool wb_reading_named(wb_reading *r, const wb_members *members, unsigned key) {
  if (!wb_reading_have_kind(r, members, key, '"')) return false;
  return r->product != WB_PRODUCT_NONE || wb_reading_refuse(r, WB_REJECT_UNKNOWN_PRODUCT, members->value[key].at);
}

void wb_reading_again(wb_reading *r, const char *const *keys, unsigned count, wb_members *root) {
  wb_json again = {r->json.text, r->json.bytes, 0};
  *root = (wb_members){.end = r->json.bytes};
  wb_json_members(&again, 0, keys, count, root->value, &root->twice);
  r->harmless = true;
}

unsigned wb_reading_word(const wb_reading *r, wb_json_value string, const char *const *words, unsigned count) {
  unsigned i = 0;
  while (i < count && !wb_reading_is(r, string, words[i])) i++;
  return i;
}

bool wb_reading_side(wb_reading *r, const wb_members *members, unsigned key, const char *const words[2], wb_side *side) {
  if (!wb_reading_have_kind(r, members, key, '"')) return false;
  unsigned word = wb_reading_word(r, members->value[key], words, 2);
  *side = word == 0 ? WB_SIDE_BID : WB_SIDE_ASK;
  return word < 2 || wb_reading_refuse(r, WB_REJECT_UNKNOWN_SIDE, members->value[key].at);
}

bool wb_reading_time(wb_reading *r, const wb_members *members, unsigned key, int64_t *time_ns) {
  char text[TIME_BYTES_MAX];
  wb_json_value value = members->value[key];
  if (value.at == 0) return true;
  if (!wb_reading_have_kind(r, members, key, '"')) return false;
  uint32_t bytes = wb_json_string(&r->json, value.at, text, sizeof text);
  if (bytes == 0) return true;
  return wb_iso8601_parse(text, bytes, time_ns) == 0 || wb_reading_refuse(r, WB_REJECT_BAD_TIME, value.at);
}

bool wb_reading_unsigned(wb_reading *r, const wb_members *members, unsigned key, uint64_t *number) {
  if (!wb_reading_have(r, members, key)) return false;
  wb_json_value value = members->value[key];
  uint8_t first = wb_reading_kind(r, value);
  if (first != '-' && (first < '0' || first > '9')) return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, value.at);
  *number = 0;
  for (uint32_t i = value.at; i < value.end; i++) {
    unsigned digit = r->json.text[i] - (unsigned)'0';
    if (digit > 9) return wb_reading_refuse(r, WB_REJECT_BAD_NUMBER, i);
    if (__builtin_mul_overflow(*number, 10, number) || __builtin_add_overflow(*number, digit, number))
      return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, i);
  }
  return true;
}

static uint32_t number_text(const wb_reading *r, wb_json_value value, char text[NUMBER_BYTES_MAX]) {
  return wb_json_string(&r->json, value.at, text, NUMBER_BYTES_MAX);
}

bool wb_reading_number(wb_reading *r, wb_json_value string, unsigned decimals, uint64_t *number) {
  char text[NUMBER_BYTES_MAX];
  uint32_t bytes = number_text(r, string, text);
  int code = bytes > NUMBER_BYTES_MAX ? WB_E_SYNTAX : wb_decimal_parse(text, bytes, decimals, number);
  if (code == WB_E_RANGE) *number = UINT64_MAX;
  return code == 0 || code == WB_E_RANGE || wb_reading_refuse(r, WB_REJECT_BAD_NUMBER, string.at);
}

unsigned wb_reading_decimals(const wb_reading *r, wb_json_value string) {
  char text[NUMBER_BYTES_MAX];
  unsigned integer_digits, decimals = 0;
  wb_decimal_need(text, number_text(r, string, text), &integer_digits, &decimals);
  return decimals;
}

/* A number that must be there. One that does not fit gives UINT64_MAX. */
static bool read_quantity(wb_reading *r, const wb_members *members, unsigned key, unsigned decimals, uint64_t *number) {
  return wb_reading_have_kind(r, members, key, '"') && wb_reading_number(r, members->value[key], decimals, number);
}

bool wb_reading_widening(wb_reading *r, const wb_members *members, unsigned key, unsigned *decimals, uint64_t *number) {
  if (!read_quantity(r, members, key, *decimals, number)) return false;
  if (*number != UINT64_MAX) return true;
  unsigned need = wb_reading_decimals(r, members->value[key]);
  if (need > *decimals && need <= WB_DECIMALS_MAX) {
    *decimals = need;
    read_quantity(r, members, key, need, number);
  }
  return *number != UINT64_MAX || wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, members->value[key].at);
}

void wb_reading_scale(wb_reading *r, const unsigned decimals[2], wb_out *out) {
  wb_coinbase_product *product = &r->state->product[r->product];
  if (decimals[0] == product->price_decimals && decimals[1] == product->size_decimals) return;
  product->price_decimals = (uint8_t)decimals[0];
  product->size_decimals = (uint8_t)decimals[1];
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_SCALE, r->product, 0);
  message->time_ns = r->time_ns;
  message->u.scale.price_decimals = product->price_decimals;
  message->u.scale.size_decimals = product->size_decimals;
  out->commit(out, message);
}

/* ------------------------------------------------------------------------------------------------ units of the message's own */

/* The most decimals that any price and any size of the message has. */
static bool measure_quantities(wb_reading *r, const wb_members *members, const wb_quantity *quantities, unsigned count,
                               uint8_t decimals[2]) {
  decimals[0] = decimals[1] = 0;
  for (const wb_quantity *q = quantities; q < quantities + count; q++) {
    char text[NUMBER_BYTES_MAX];
    unsigned integer_digits, need = 0;
    if (!q->must && !wb_reading_says(r, members, q->key)) continue;
    if (!wb_reading_have_kind(r, members, q->key, '"')) return false;
    uint32_t bytes = number_text(r, members->value[q->key], text);
    if (bytes > NUMBER_BYTES_MAX || wb_decimal_need(text, bytes, &integer_digits, &need) != 0)
      return wb_reading_refuse(r, WB_REJECT_BAD_NUMBER, members->value[q->key].at);
    if (need > decimals[q->size] && need <= WB_DECIMALS_MAX) decimals[q->size] = (uint8_t)need;
  }
  return true;
}

bool wb_reading_quantities(wb_reading *r, const wb_members *members, const wb_quantity *quantities, unsigned count,
                           wb_delta *deltas, uint8_t decimals[2], uint8_t *flags) {
  if (!measure_quantities(r, members, quantities, count, decimals)) return false;
  for (const wb_quantity *q = quantities; q < quantities + count; q++) {
    wb_json_value value = members->value[q->key];
    uint64_t number;
    if (!q->must && !wb_reading_says(r, members, q->key)) continue;
    wb_reading_number(r, value, decimals[q->size], &number);
    if (number == UINT64_MAX && !q->must) continue;
    if (number == UINT64_MAX) return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, value.at);
    if (number == 0 && q->must && !q->size) return wb_reading_refuse(r, WB_REJECT_BAD_NUMBER, value.at);
    if (q->size) deltas[q->delta].size = number;
    else deltas[q->delta].price = number;
    *flags |= q->flag;
  }
  return true;
}

/* ------------------------------------------------------------------------------------------------ tickers */

bool wb_reading_best(wb_reading *r, const wb_members *members, const unsigned price_key[2], const unsigned size_key[2],
                     wb_ticker_reading *ticker) {
  const wb_coinbase_product *product = &r->state->product[r->product];
  bool sizes = members->value[size_key[0]].at || members->value[size_key[1]].at, fits = true;
  for (unsigned side = 0; side < 2; side++) {
    uint64_t price, size = 0;
    if (!read_quantity(r, members, price_key[side], product->price_decimals, &price)) return false;
    if (sizes && !read_quantity(r, members, size_key[side], product->size_decimals, &size)) return false;
    fits &= price != UINT64_MAX && size != UINT64_MAX;
    ticker->delta[side] = (wb_delta){.price = price, .size = size, .side = side};
  }
  if (fits) ticker->flags |= WB_FLAG_BEST | (sizes ? WB_FLAG_SIZES : 0);
  else ticker->delta[WB_SIDE_BID] = ticker->delta[WB_SIDE_ASK] = (wb_delta){0};
  return true;
}

void wb_reading_put_ticker(const wb_reading *r, const wb_ticker_reading *ticker, wb_out *out) {
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_TICKER, r->product, WB_TICKER_DELTAS);
  message->time_ns = r->time_ns;
  message->flags = ticker->flags;
  memcpy(message->decimals, ticker->decimals, sizeof message->decimals);
  message->u.ticker.sequence = ticker->sequence;
  message->u.ticker.trade_id = ticker->trade_id;
  memcpy(message->deltas, ticker->delta, sizeof ticker->delta);
  out->commit(out, message);
}

/* ------------------------------------------------------------------------------------------------ status */

static void put_row(const wb_reading *r, const wb_product_row *row, uint16_t product, wb_out *out) {
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_STATUS, product, 2);
  message->time_ns = r->time_ns;
  message->decimals[0] = row->price.decimals;
  message->decimals[1] = row->size.decimals;
  message->u.status.status = row->status;
  message->u.status.type = row->type;
  message->u.status.flags = row->flags;
  message->u.status.funds_decimals = row->min_funds.decimals;
  message->deltas[0] = (wb_delta){.price = row->price.value, .size = row->size.value};
  message->deltas[1] = (wb_delta){.price = row->min_funds.value};
  out->commit(out, message);
}

/* Whether a row names, as rows do, a product that is not in the table. */
static bool is_others_row(const wb_reading *r, wb_json_value row) {
  static const char *const keys[] = {"id", "product_id"};
  wb_json object = {r->json.text, row.end, row.at};
  wb_json_value value[2];
  uint32_t twice;
  if (wb_reading_kind(r, row) != '{' || wb_json_members(&object, 0, keys, 2, value, &twice) != 0 || twice) return false;
  wb_json_value id = value[value[0].at == 0];
  return (value[0].at == 0) != (value[1].at == 0) && wb_reading_kind(r, id) == '"' && wb_reading_product(r, id) < 0;
}

bool wb_reading_rows(wb_reading *r, wb_json_value rows, uint32_t *ours, uint32_t *others, wb_out *out) {
  wb_json array = {r->json.text, rows.end, rows.at + 1};
  for (wb_json_value value; wb_json_element(&array, &value);) {
    wb_product_row row;
    bool other = is_others_row(r, value), good = !other && wb_coinbase_products_row(&r->json, value, &row);
    int product = other ? -1 : wb_products_find(r->state->products, row.id, strlen(row.id));
    if (other || (good && product < 0)) {
      *others += 1;
      continue;
    }
    r->product = product >= 0 ? (uint16_t)product : WB_PRODUCT_NONE;
    if (!good) return wb_reading_refuse(r, (wb_reject)row.reject, row.offset);
    *ours += 1;
    if (out) put_row(r, &row, r->product, out);
  }
  r->product = WB_PRODUCT_NONE;
  return true;
}

void wb_reading_put_rows(const wb_reading *r, uint32_t ours, uint32_t others, wb_out *out) {
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_STATUS, WB_PRODUCT_NONE, 0);
  message->time_ns = r->time_ns;
  message->u.rows.ours = ours;
  message->u.rows.others = others;
  out->commit(out, message);
}

/* ------------------------------------------------------------------------------------------------ levels */

bool wb_levels_element(wb_levels *at, wb_json_value *element) {
  for (;; at->index++, at->inside = false) {
    if (at->index == at->arrays) return false;
    if (!at->inside) at->json.at = at->array[at->index].at + 1;
    at->inside = true;
    if (wb_json_element(&at->json, element)) return true;
  }
}

/* What a pass over all levels found: how many there are, and which of price and size have a number that does not fit. The first
 * `room` levels are written to delta on the way. */
typedef struct survey {
  uint32_t count, misfit_at;
  bool misfit[2];
  wb_delta *delta;
  uint32_t room;
} survey;

static bool survey_levels(wb_reading *r, const wb_levels *levels, const unsigned decimals[2], survey *found) {
  wb_levels at = *levels;
  *found = (survey){.delta = found->delta, .room = found->room};
  for (wb_book_level level; at.next(r, &at, &level); found->count++) {
    wb_json_value value[2] = {level.price, level.size};
    uint64_t number[2];
    for (unsigned i = 0; i < 2; i++) {
      if (!wb_reading_number(r, value[i], decimals[i], &number[i])) return false;
      if (i == 0 && number[i] == 0) return wb_reading_refuse(r, WB_REJECT_BAD_NUMBER, value[i].at);
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
static void measure_levels(wb_reading *r, const wb_levels *levels, unsigned need[2]) {
  wb_levels at = *levels;
  need[0] = need[1] = 0;
  for (wb_book_level level; at.next(r, &at, &level);) {
    wb_json_value value[2] = {level.price, level.size};
    for (unsigned i = 0; i < 2; i++) {
      unsigned decimals = wb_reading_decimals(r, value[i]);
      if (decimals > need[i]) need[i] = decimals;
    }
  }
}

/* Finds decimals in which every number of the message is exact: those in use if they do; for an update finer ones; for a
 * snapshot the fewest, but the default where that does as well. */
static bool fit_levels(wb_reading *r, const wb_levels *levels, bool snapshot, unsigned decimals[2], survey *found) {
  if (!survey_levels(r, levels, decimals, found)) return false;
  if (!found->misfit[0] && !found->misfit[1]) return true;
  unsigned need[2];
  measure_levels(r, levels, need);
  for (unsigned i = 0; i < 2; i++) {
    if (need[i] > WB_DECIMALS_MAX) return wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, found->misfit_at);
    unsigned least = snapshot ? WB_DECIMALS_DEFAULT : decimals[i];
    if (found->misfit[i]) decimals[i] = need[i] > least ? need[i] : least;
  }
  survey_levels(r, levels, decimals, found);
  if (snapshot && (found->misfit[0] || found->misfit[1])) {
    for (unsigned i = 0; i < 2; i++)
      if (found->misfit[i]) decimals[i] = need[i];
    survey_levels(r, levels, decimals, found);
  }
  return (!found->misfit[0] && !found->misfit[1]) || wb_reading_refuse(r, WB_REJECT_NUMBER_RANGE, found->misfit_at);
}

static void emit_levels(wb_reading *r, const wb_levels *levels, bool snapshot, const unsigned decimals[2], uint32_t count,
                        wb_out *out) {
  wb_levels at = *levels;
  uint8_t part = WB_PART_FIRST;
  do {
    uint32_t take = count < WB_PART_DELTAS_MAX ? count : WB_PART_DELTAS_MAX;
    count -= take;
    wb_message *message =
        wb_coinbase_claim(out, r->frame, snapshot ? WB_MESSAGE_SNAPSHOT : WB_MESSAGE_UPDATE, r->product, take);
    message->part = part | (count == 0 ? WB_PART_LAST : 0);
    message->time_ns = r->time_ns;
    wb_book_level level;
    for (uint32_t i = 0; i < take && at.next(r, &at, &level); i++) {
      uint64_t price, size;
      wb_reading_number(r, level.price, decimals[0], &price);
      wb_reading_number(r, level.size, decimals[1], &size);
      message->deltas[i] = (wb_delta){.price = price, .size = size, .side = level.side};
    }
    out->commit(out, message);
    part = 0;
  } while (count > 0);
}

bool wb_reading_levels(wb_reading *r, const wb_levels *levels, bool snapshot, uint32_t level_bytes, wb_out *out) {
  wb_coinbase_product *product = &r->state->product[r->product];
  unsigned decimals[2] = {product->price_decimals, product->size_decimals};
  survey found = {0};
  wb_message *update = NULL;
  if (!snapshot) {
    uint32_t most = (levels->array[0].end - levels->array[0].at) / level_bytes;
    found.room = !out ? 0 : most < WB_PART_DELTAS_MAX ? most : WB_PART_DELTAS_MAX;
    if (out) update = wb_coinbase_claim(out, r->frame, WB_MESSAGE_UPDATE, r->product, found.room);
    found.delta = update ? update->deltas : NULL;
  }
  if (!fit_levels(r, levels, snapshot, decimals, &found)) return false;
  if (!out) return true;
  bool same_scale = decimals[0] == product->price_decimals && decimals[1] == product->size_decimals;
  if (update && same_scale && found.count <= found.room) {
    update->time_ns = r->time_ns;
    update->delta_count = found.count;
    out->commit(out, update);
    return true;
  }
  wb_reading_scale(r, decimals, out);
  emit_levels(r, levels, snapshot, decimals, found.count, out);
  return true;
}
