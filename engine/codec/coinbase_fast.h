/* coinbase_fast.h - the pieces that the fast roads have in common: head, product, tail and time of a message, numbers the slow
 * way.
 *
 * Reads    up to WB_READ_SLACK_BYTES past the end of the message; what lies there never decides anything, because the road ends
 * with comparing where it stands with where the message ends. Private to the fast roads. Little endian only. */
#ifndef WB_CODEC_COINBASE_FAST_H
#define WB_CODEC_COINBASE_FAST_H

#include "engine/codec/coinbase_roads.h"
#include "engine/codec/iso8601.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the fast roads compare text as little-endian words");

#define WB_FAST_INLINE static inline __attribute__((always_inline))

/* Eight characters as one word, and eight of the same. */
#define WB_FAST_WORD(a, b, c, d, e, f, g, h)                                                                                   \
  ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 | (uint64_t)(e) << 32 |                      \
   (uint64_t)(f) << 40 | (uint64_t)(g) << 48 | (uint64_t)(h) << 56)
#define WB_FAST_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Both heads, `{"type":"l2update","product_id":"` and the snapshot's, have this length; no message that this road takes is
 * shorter than the shortest update. */
enum { WB_FAST_HEAD_BYTES = 33, WB_FAST_BYTES_MIN = 63, WB_FAST_TIME_BYTES = 27, WB_FAST_TAIL_BYTES = 38 };

/* Fewest bytes of `["buy","1","0"],` and of `["1","0"],`: how many there can be at most in a text. */
enum { WB_FAST_CHANGE_BYTES_MIN = 16, WB_FAST_LEVEL_BYTES_MIN = 10 };

/* How a change of either side begins. */
#define WB_FAST_BUY WB_FAST_WORD('[', '"', 'b', 'u', 'y', '"', ',', '"')
#define WB_FAST_SELL WB_FAST_WORD('[', '"', 's', 'e', 'l', 'l', '"', ',')

WB_FAST_INLINE uint64_t wb_fast_load(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

WB_FAST_INLINE uint64_t wb_fast_load4(const uint8_t *from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

/* The high bit of the first byte that equals the character, and of some that may follow it. */
WB_FAST_INLINE uint64_t wb_fast_find(uint64_t word, uint8_t character) {
  uint64_t zero = word ^ WB_FAST_EACH(character);
  return (zero - WB_FAST_EACH(1)) & ~zero & WB_FAST_EACH(0x80);
}

/* Non-zero unless all bytes are 0..9. */
WB_FAST_INLINE uint64_t wb_fast_not_digits(uint64_t word) { return ((word + WB_FAST_EACH(0x76)) | word) & WB_FAST_EACH(0x80); }

/* Eight digits 0..9, the first in the lowest byte, as a number. */
WB_FAST_INLINE uint64_t wb_fast_digits(uint64_t word) {
  word = word * 10 + (word >> 8);
  return (((word & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064)) +
          (((word >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001))) >>
         32;
}

/* The first `count` (0..7) bytes of a word. */
WB_FAST_INLINE uint64_t wb_fast_low(uint64_t word, unsigned count) { return word & ~(~UINT64_C(0) << (8 * count)); }

typedef enum { WB_FAST_NEITHER, WB_FAST_UPDATE, WB_FAST_SNAPSHOT } wb_fast_kind;

/* What the numbers of one message are read into. */
typedef struct wb_fast_units {
  const uint64_t *pow10;
  const wb_coinbase_form (*price)[16], (*size)[16];
  unsigned price_decimals, size_decimals;
} wb_fast_units;

WB_FAST_INLINE wb_fast_units wb_fast_units_of(const wb_coinbase *state, int product) {
  unsigned price = state->product[product].price_decimals, size = state->product[product].size_decimals;
  return (wb_fast_units){state->pow10, state->form[price], state->form[size], price, size};
}

/* The time of 27 characters; most share their minute with the one before. */
WB_FAST_INLINE bool wb_fast_time(wb_coinbase *state, const uint8_t *text, int64_t *time_ns) {
  uint64_t micros = (wb_fast_load(text + 20) ^ WB_FAST_EACH('0')) << 16;
  unsigned tens = text[17] - (unsigned)'0', ones = text[18] - (unsigned)'0';
  uint64_t minute[2] = {wb_fast_load(text), wb_fast_load(text + 8)};
  bool plain =
      wb_fast_not_digits(micros) == 0 && tens <= 5 && ones <= 9 && text[16] == ':' && text[19] == '.' && text[26] == 'Z';
  int64_t since_minute_ns = (tens * 10 + ones) * INT64_C(1000000000) + (int64_t)wb_fast_digits(micros) * 1000;
  if (__builtin_expect(plain && minute[0] == state->minute[0] && minute[1] == state->minute[1], 1)) {
    *time_ns = state->minute_ns + since_minute_ns;
    return true;
  }
  if (wb_iso8601_parse((const char *)text, WB_FAST_TIME_BYTES, time_ns) != 0) return false;
  if (plain && *time_ns != WB_TIME_NONE) {
    state->minute[0] = minute[0];
    state->minute[1] = minute[1];
    state->minute_ns = *time_ns - since_minute_ns;
  }
  return true;
}

/* The end of a message, either `]}` or `],"time":"2026-08-02T05:43:52.535977Z"}`: where what follows the bracket begins, or
 * NULL. */
WB_FAST_INLINE const uint8_t *wb_fast_tail(wb_coinbase *state, const uint8_t *end, int64_t *time_ns) {
  const uint8_t *tail = end - WB_FAST_TAIL_BYTES;
  *time_ns = WB_TIME_NONE;
  if (wb_fast_load(tail) == WB_FAST_WORD(',', '"', 't', 'i', 'm', 'e', '"', ':') && tail[8] == '"' && end[-2] == '"' &&
      end[-1] == '}')
    return wb_fast_time(state, tail + 9, time_ns) ? tail : NULL;
  return end[-1] == '}' && end[-2] == ']' ? end - 1 : NULL;
}

/* wb_fast_number reads any number of up to 40 characters that is not for the quick way. Returns its closing quote, or NULL. */
const uint8_t *wb_fast_number(const uint8_t *text, unsigned decimals, uint64_t *value);

/* wb_fast_numbers_slow reads `P","S"]` with it. Returns what follows, or NULL. */
const uint8_t *wb_fast_numbers_slow(const uint8_t *text, const uint8_t *stop, const wb_fast_units *units, wb_side side,
                                    wb_delta *delta);

/* wb_fast_abandon leaves a snapshot to the full road, after taking back what is already out. Returns false. */
bool wb_fast_abandon(const wb_frame *frame, wb_out *out, uint16_t product, int64_t time_ns, bool committed);

#endif
