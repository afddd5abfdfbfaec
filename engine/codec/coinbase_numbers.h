/* coinbase_numbers.h - changes and levels for the roads with registers of 16 and of 32 bytes: given the quotes in 64 bytes of text, and
 * a function of the road's own that reads two numbers.
 *
 * How      included by such a road before coinbase_shapes.h; what the shapes ask for but the quotes and that function is here.
 *          Private to the fast roads. */
#ifndef WB_CODEC_COINBASE_NUMBERS_H
#define WB_CODEC_COINBASE_NUMBERS_H

#include "engine/codec/coinbase_fast.h"
#include "engine/codec/coinbase_words.h"

/* Digits of a price and of a size as numbers, without their dots, which were at price_dot and size_dot if their last characters are
 * at 15; 15 where there was none. bad: not zero if anything else was not a digit. */
typedef struct wb_fast_pair {
  uint64_t price, size;
  unsigned price_dot, size_dot;
  uint64_t bad;
} wb_fast_pair;

/* Reads two numbers of 1..16 characters that end before the given places. Always inlined, so that this is no call. */
typedef wb_fast_pair wb_fast_two(const uint8_t *price_end, unsigned price_bytes, const uint8_t *size_end, unsigned size_bytes);

/* 16 bytes from `count` on: a mask of the last `count` bytes of 16. */
static const uint8_t wb_fast_last_bytes[32] = {[16 ... 31] = 0xff};

/* Row i moves what precedes byte i over it. Row 15, a dot at the very end or none at all, moves nothing: a dot stays and is found. */
#define ROW(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)                                                                       \
  { 0x80, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o }
static const uint8_t wb_fast_without_dot[16][16] = {
    ROW(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), ROW(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), ROW(0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), ROW(0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15), ROW(0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15), ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15),  ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15),  ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15),  {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
#undef ROW

/* `P","S"]` that begins at text[at], its quotes given with their place in text, those before the price taken away. Returns what
 * follows, or NULL. */
WB_FAST_INLINE const uint8_t *wb_fast_numbers(const wb_fast_units *units, const uint8_t *text, unsigned at, uint64_t quotes,
                                              const uint8_t *stop, wb_side side, wb_delta *delta, wb_fast_two *two) {
  uint64_t close_quote = quotes & (quotes - 1);
  close_quote &= close_quote - 1;
  if (__builtin_expect(close_quote == 0, 0)) return wb_fast_numbers_any(units, text + at, stop, side, delta);
  unsigned price_end = (unsigned)__builtin_ctzll(quotes), size_end = (unsigned)__builtin_ctzll(close_quote);
  unsigned price_bytes = price_end - at, size_bytes = size_end - price_end - 3;
  if (__builtin_expect(((price_bytes - 1) | (size_bytes - 1)) >= 16, 0))
    return wb_fast_numbers_any(units, text + at, stop, side, delta);
  wb_fast_pair pair = two(text + price_end, price_bytes, text + size_end, size_bytes);
  const wb_coinbase_form *price_form = &units->price[price_bytes][pair.price_dot];
  const wb_coinbase_form *size_form = &units->size[size_bytes][pair.size_dot];
  if (__builtin_expect(price_form->times == 0 || size_form->times == 0, 0))
    return wb_fast_numbers_any(units, text + at, stop, side, delta);
  uint64_t bad = pair.bad | (pair.price - price_form->least) >> 63 | (pair.size - size_form->least) >> 63 | (pair.price == 0);
  bad |= (wb_fast_load4(text + price_end) ^ WB_FAST_WORD('"', ',', '"', 0, 0, 0, 0, 0)) & 0xffffff;
  if (__builtin_expect(bad != 0 || text[size_end + 1] != ']', 0)) return NULL;
  uint64_t words[2] = {pair.price * price_form->times, pair.size * size_form->times | (uint64_t)side << 63};
  memcpy(delta, words, sizeof words);
  return text + size_end + 2;
}

/* A change, and a level, of 64 bytes of text with those quotes. */
WB_FAST_INLINE const uint8_t *wb_fast_change_of(const wb_fast_units *units, const uint8_t *text, uint64_t quotes,
                                                const uint8_t *stop, wb_delta *delta, wb_fast_two *two) {
  uint64_t sell = quotes >> 6 & 1, word = sell ? WB_FAST_SELL : WB_FAST_BUY;
  if (__builtin_expect(wb_fast_load(text) != word || text[7 + sell] != '"', 0)) return NULL;
  return wb_fast_numbers(units, text, 8 + (unsigned)sell, quotes & (~UINT64_C(0) << (8 + sell)), stop,
                         sell ? WB_SIDE_ASK : WB_SIDE_BID, delta, two);
}

WB_FAST_INLINE const uint8_t *wb_fast_level_of(const wb_fast_units *units, const uint8_t *text, uint64_t quotes,
                                               const uint8_t *stop, wb_side side, wb_delta *delta, wb_fast_two *two) {
  if (__builtin_expect(text[0] != '[' || text[1] != '"', 0)) return NULL;
  return wb_fast_numbers(units, text, 2, quotes & ~UINT64_C(3), stop, side, delta, two);
}

/* The rest of what the shapes ask for, quotes_of(text) and two being the road's own. */
#define wb_fast_change(reader, text, stop, delta) wb_fast_change_of(reader, text, quotes_of(text), stop, delta, two)
#define wb_fast_next_change wb_fast_change
#define wb_fast_levels(reader, text, stop, side, delta, full)                                                                  \
  wb_fast_level_of(reader, text, quotes_of(text), stop, side, (*(delta))++, two)
typedef wb_fast_units wb_fast_reader;
#define wb_fast_reader_of wb_fast_units_of
#define wb_fast_sound(reader) true
#define wb_fast_side_sound(reader) true
#define wb_fast_side_again(...) WB_FAST_NO_RUN
#define WB_FAST_NEXT state->full

#endif
