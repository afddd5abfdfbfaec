#include "engine/codec/coinbase_fast.h"

#include "engine/base/decimal.h"

const uint8_t *wb_fast_number(const uint8_t *text, unsigned decimals, uint64_t *value) {
  size_t bytes = 0;
  while (text[bytes] != '"')
    if (++bytes > 40) return NULL;
  return wb_decimal_parse((const char *)text, bytes, decimals, value) == 0 ? text + bytes : NULL;
}

const uint8_t *wb_fast_numbers_slow(const uint8_t *text, const uint8_t *stop, const wb_fast_units *units, wb_side side,
                                    wb_delta *delta) {
  uint64_t price, size;
  text = wb_fast_number(text, units->price_decimals, &price);
  if (!text || text >= stop || price == 0 || text[1] != ',' || text[2] != '"') return NULL;
  text = wb_fast_number(text + 3, units->size_decimals, &size);
  if (!text || text[1] != ']') return NULL;
  *delta = (wb_delta){.price = price, .size = size, .side = side};
  return text + 2;
}

bool wb_fast_abandon(const wb_frame *frame, wb_out *out, uint16_t product, int64_t time_ns, bool committed) {
  if (!committed) return false;
  wb_message *message = wb_coinbase_claim(out, frame, WB_MESSAGE_SNAPSHOT, product, 0);
  message->part = WB_PART_LAST | WB_PART_ABORT;
  message->time_ns = time_ns;
  out->commit(out, message);
  return false;
}

WB_FAST_INLINE wb_fast_kind wb_fast_head(const uint8_t *text) {
  uint64_t begin = wb_fast_load(text) ^ WB_FAST_WORD('{', '"', 't', 'y', 'p', 'e', '"', ':');
  uint64_t middle = wb_fast_load(text + 17) ^ WB_FAST_WORD('"', ',', '"', 'p', 'r', 'o', 'd', 'u');
  uint64_t end = wb_fast_load(text + 25) ^ WB_FAST_WORD('c', 't', '_', 'i', 'd', '"', ':', '"');
  uint64_t name = wb_fast_load(text + 9);
  if ((begin | middle | end) != 0 || text[8] != '"') return WB_FAST_NEITHER;
  if (name == WB_FAST_WORD('l', '2', 'u', 'p', 'd', 'a', 't', 'e')) return WB_FAST_UPDATE;
  return name == WB_FAST_WORD('s', 'n', 'a', 'p', 's', 'h', 'o', 't') ? WB_FAST_SNAPSHOT : WB_FAST_NEITHER;
}

/* Index of the product whose id lies at text up to a quote, *bytes its length; or -1. */
WB_FAST_INLINE int wb_fast_product(const wb_coinbase *state, const uint8_t *text, uint32_t *bytes) {
  uint64_t word[4] = {0};
  unsigned i = 0;
  for (;; i++) {
    if (i == 4) return -1;
    uint64_t quote;
    word[i] = wb_fast_load(text + 8 * i);
    quote = wb_fast_find(word[i], '"');
    if (quote == 0) continue;
    unsigned rest = (unsigned)__builtin_ctzll(quote) / 8;
    word[i] = wb_fast_low(word[i], rest);
    *bytes = 8 * i + rest;
    break;
  }
  for (uint32_t slot = wb_coinbase_id_slot(state, word[0], word[1]); state->slots[slot]; slot = (slot + 1) & state->slot_mask) {
    const wb_product *product = &state->products->product[state->slots[slot] - 1];
    uint64_t id[4];
    memcpy(id, product->id, sizeof id);
    if (((id[0] ^ word[0]) | (id[1] ^ word[1]) | (id[2] ^ word[2]) | (id[3] ^ word[3]) | (product->id_bytes ^ *bytes)) == 0)
      return state->slots[slot] - 1;
  }
  return -1;
}

/* Up to 8 digits on both sides of the dot, in words of eight characters. Returns the closing quote, or NULL. */
WB_FAST_INLINE const uint8_t *number(const uint64_t *pow10, const uint8_t *text, unsigned decimals, uint64_t *value) {
  uint64_t low = wb_fast_load(text), high = wb_fast_load(text + 8);
  uint64_t low_quote = wb_fast_find(low, '"'), high_quote = wb_fast_find(high, '"');
  if (!(low_quote | high_quote)) return wb_fast_number(text, decimals, value);
  unsigned bytes = low_quote ? (unsigned)__builtin_ctzll(low_quote) / 8 : 8 + (unsigned)__builtin_ctzll(high_quote) / 8;
  uint64_t low_dot = wb_fast_find(low, '.'), high_dot = wb_fast_find(high, '.');
  unsigned dot = low_dot    ? (unsigned)__builtin_ctzll(low_dot) / 8
                 : high_dot ? 8 + (unsigned)__builtin_ctzll(high_dot) / 8
                            : bytes;
  if (dot > bytes) dot = bytes;
  unsigned places = dot < bytes ? bytes - dot - 1 : 0;
  if (dot - 1 > 7 || places > 8 || places > decimals || dot + decimals > WB_DECIMALS_MAX)
    return wb_fast_number(text, decimals, value);
  uint64_t whole = (low ^ WB_FAST_EACH('0')) << (64 - 8 * dot), part = 0;
  uint64_t bad = (uint8_t)low == '0' && dot > 1;
  if (dot < bytes) {
    if (places == 0) return NULL;
    part = (wb_fast_load(text + dot + 1) ^ WB_FAST_EACH('0')) << (64 - 8 * places);
  }
  bad |= wb_fast_not_digits(whole) | wb_fast_not_digits(part);
  *value = wb_fast_digits(whole) * pow10[decimals] + wb_fast_digits(part) * pow10[decimals - places];
  return bad ? NULL : text + bytes;
}

/* `P","S"]` from the first character of the price on. Returns what follows, or NULL. */
WB_FAST_INLINE const uint8_t *two_numbers(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop, wb_side side,
                                          wb_delta *delta) {
  uint64_t price, size;
  text = number(units->pow10, text, units->price_decimals, &price);
  if (!text || text >= stop || price == 0 || text[1] != ',' || text[2] != '"') return NULL;
  text = number(units->pow10, text + 3, units->size_decimals, &size);
  if (!text || text[1] != ']') return NULL;
  *delta = (wb_delta){.price = price, .size = size, .side = side};
  return text + 2;
}

WB_FAST_INLINE const uint8_t *wb_fast_change(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop,
                                             wb_delta *delta) {
  bool sell = text[2] == 's';
  if (wb_fast_load(text) != (sell ? WB_FAST_SELL : WB_FAST_BUY) || text[7 + sell] != '"') return NULL;
  return two_numbers(units, text + 8 + sell, stop, sell ? WB_SIDE_ASK : WB_SIDE_BID, delta);
}

WB_FAST_INLINE const uint8_t *wb_fast_level(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop, wb_side side,
                                            wb_delta *delta) {
  if (text[0] != '[' || text[1] != '"') return NULL;
  return two_numbers(units, text + 2, stop, side, delta);
}

#define WB_FAST_TARGET
#include "engine/codec/coinbase_shapes.h"

bool wb_coinbase_fast(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  return wb_fast_road(state, frame, bytes, out);
}
