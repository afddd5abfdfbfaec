#include "engine/codec/coinbase_fast.h"

#include "engine/base/decimal.h"
#include "engine/codec/coinbase_words.h"
#include "engine/codec/iso8601.h"

bool wb_fast_time_any(wb_coinbase *state, const uint8_t *text, size_t bytes, int64_t *time_ns) {
  if (wb_iso8601_parse((const char *)text, bytes, time_ns) != 0) return false;
  if (*time_ns == WB_TIME_NONE || text[17] == '6') return true;
  int64_t since_minute_ns = *time_ns % INT64_C(60000000000);
  if (since_minute_ns < 0) since_minute_ns += INT64_C(60000000000);
  memcpy(state->tail + WB_COINBASE_MINUTE_AT, text, WB_COINBASE_MINUTE_BYTES);
  state->minute_ns = *time_ns - since_minute_ns;
  return true;
}

const uint8_t *wb_fast_tail_any(wb_coinbase *state, const uint8_t *end, int64_t *time_ns) {
  const uint8_t *tail = end - WB_COINBASE_TAIL_BYTES + 2;
  *time_ns = WB_TIME_NONE;
  if (wb_fast_load(tail) == WB_FAST_WORD(',', '"', 't', 'i', 'm', 'e', '"', ':') && tail[8] == '"' && end[-2] == '"' &&
      end[-1] == '}')
    return wb_fast_time_any(state, tail + 9, WB_FAST_TIME_BYTES, time_ns) ? tail : NULL;
  return end[-1] == '}' && end[-2] == ']' ? end - 1 : NULL;
}

const wb_coinbase_product *wb_fast_snapshot_product(const wb_coinbase *state, const uint8_t **text) {
  const uint8_t *id = *text + 1, *quote = memchr(id, '"', WB_PRODUCT_ID_BYTES);
  int product = quote && **text == '"' ? wb_products_find(state->products, (const char *)id, (size_t)(quote - id)) : -1;
  if (product < 0) return NULL;
  *text = quote;
  return &state->product[product];
}

void wb_fast_abandon(const wb_frame *frame, wb_out *out, uint16_t product, int64_t time_ns) {
  wb_message *message = wb_coinbase_claim(out, frame, WB_MESSAGE_SNAPSHOT, product, 0);
  message->part = WB_PART_LAST | WB_PART_ABORT;
  message->time_ns = time_ns;
  out->commit(out, message);
}

/* ------------------------------------------------------------------------------------------------ the road of every machine */

const uint8_t *wb_fast_number_any(const uint8_t *text, unsigned decimals, uint64_t *value) {
  size_t bytes = 0;
  while (text[bytes] != '"')
    if (++bytes > 40) return NULL;
  return wb_decimal_parse((const char *)text, bytes, decimals, value) == 0 ? text + bytes : NULL;
}

/* `P","S"]` from the first character of the price on. Returns what follows, or NULL. */
WB_FAST_INLINE const uint8_t *two_numbers(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop, wb_side side,
                                          wb_delta *delta) {
  uint64_t price, size;
  text = wb_fast_number(units->pow10, text, units->price_decimals, &price);
  if (!text || text >= stop || price == 0 || text[1] != ',' || text[2] != '"') return NULL;
  text = wb_fast_number(units->pow10, text + 3, units->size_decimals, &size);
  if (!text || text[1] != ']') return NULL;
  *delta = (wb_delta){.price = price, .size = size, .side = side};
  return text + 2;
}

const uint8_t *wb_fast_numbers_any(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop, wb_side side,
                                   wb_delta *delta) {
  return two_numbers(units, text, stop, side, delta);
}

WB_FAST_INLINE const uint8_t *wb_fast_change(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop,
                                             wb_delta *delta) {
  bool sell = text[2] == 's';
  if (wb_fast_load(text) != (sell ? WB_FAST_SELL : WB_FAST_BUY) || text[7 + sell] != '"') return NULL;
  return two_numbers(units, text + 8 + sell, stop, sell ? WB_SIDE_ASK : WB_SIDE_BID, delta);
}

WB_FAST_INLINE const uint8_t *wb_fast_levels(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop, wb_side side,
                                             wb_delta **delta, const wb_delta *full) {
  if (text[0] != '[' || text[1] != '"') return NULL;
  return two_numbers(units, text + 2, stop, side, (*delta)++);
}

#define WB_FAST_TARGET
typedef wb_fast_units wb_fast_reader;
#define wb_fast_reader_of wb_fast_units_of
#define wb_fast_sound(reader) true
#define wb_fast_next_change wb_fast_change
#define wb_fast_side_sound(reader) true
#define wb_fast_side_again(...) WB_FAST_NO_RUN
#define WB_FAST_NEXT state->full
#include "engine/codec/coinbase_shapes.h"

wb_fast_run wb_fast_side_any(const wb_coinbase *state, const wb_coinbase_product *product, const uint8_t *text,
                             const uint8_t *stop, wb_delta *delta, const wb_delta *full, wb_side side) {
  return wb_fast_side(state, product, text, stop, delta, full, side);
}

void wb_coinbase_fast(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_fast_road(state, frame, bytes, out);
}
