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

/* Both heads, `{"type":"l2update","product_id":` and the snapshot's, have this length; no message that this road takes is
 * shorter than the shortest update. */
enum { WB_FAST_HEAD_BYTES = 32, WB_FAST_BYTES_MIN = 64, WB_FAST_TIME_BYTES = 27 };

/* Fewest bytes of `["buy","1","0"],` and of `["1","0"],`: how many there can be at most in a text. */
enum { WB_FAST_CHANGE_BYTES_MIN = 16, WB_FAST_LEVEL_BYTES_MIN = 10 };

/* Where the type of a message lies in its head, and those of the two shapes. */
enum { WB_FAST_TYPE_AT = 9 };
#define WB_FAST_L2UPDATE WB_FAST_WORD('l', '2', 'u', 'p', 'd', 'a', 't', 'e')
#define WB_FAST_SNAPSHOT WB_FAST_WORD('s', 'n', 'a', 'p', 's', 'h', 'o', 't')

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

/* What the numbers of one message are read into. */
typedef struct wb_fast_units {
  const uint64_t *pow10;
  const wb_coinbase_form (*price)[16], (*size)[16];
  unsigned price_decimals, size_decimals;
} wb_fast_units;

WB_FAST_INLINE wb_fast_units wb_fast_units_of(const wb_coinbase *state, const wb_coinbase_product *product) {
  unsigned price = product->price_decimals, size = product->size_decimals;
  return (wb_fast_units){state->pow10, state->form[price], state->form[size], price, size};
}

/* wb_fast_time_any reads a time and keeps its minute, which most likely is that of the next. */
bool wb_fast_time_any(wb_coinbase *state, const uint8_t *text, size_t bytes, int64_t *time_ns);

/* wb_fast_number_any reads a number of up to 40 characters up to its closing quote, which it returns; or NULL. */
const uint8_t *wb_fast_number_any(const uint8_t *text, unsigned decimals, uint64_t *value);

/* wb_fast_number does the same; up to 8 digits on both sides of the dot, in words of eight characters. */
WB_FAST_INLINE const uint8_t *wb_fast_number(const uint64_t *pow10, const uint8_t *text, unsigned decimals, uint64_t *value) {
  uint64_t low = wb_fast_load(text), high = wb_fast_load(text + 8);
  uint64_t low_quote = wb_fast_find(low, '"'), high_quote = wb_fast_find(high, '"');
  if (!(low_quote | high_quote)) return wb_fast_number_any(text, decimals, value);
  unsigned bytes = low_quote ? (unsigned)__builtin_ctzll(low_quote) / 8 : 8 + (unsigned)__builtin_ctzll(high_quote) / 8;
  uint64_t low_dot = wb_fast_find(low, '.'), high_dot = wb_fast_find(high, '.');
  unsigned dot = low_dot    ? (unsigned)__builtin_ctzll(low_dot) / 8
                 : high_dot ? 8 + (unsigned)__builtin_ctzll(high_dot) / 8
                            : bytes;
  if (dot > bytes) dot = bytes;
  unsigned places = dot < bytes ? bytes - dot - 1 : 0;
  if (dot - 1 > 7 || places > 8 || places > decimals || dot + decimals > WB_DECIMALS_MAX)
    return wb_fast_number_any(text, decimals, value);
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

/* wb_fast_tail_any reads the end of a message, either `]}` or `],"time":"2026-08-02T05:43:52.535977Z"}`. Returns where what follows
 * the bracket begins, or NULL. */
const uint8_t *wb_fast_tail_any(wb_coinbase *state, const uint8_t *end, int64_t *time_ns);

/* wb_fast_snapshot_product returns the product whose id begins behind the quote at *text, which it moves to the closing quote; or
 * NULL. */
const wb_coinbase_product *wb_fast_snapshot_product(const wb_coinbase *state, const uint8_t **text);

#define WB_FAST_NO_RUN ((wb_fast_run){NULL, NULL})

/* wb_fast_side_any reads `["P","S"],` until there is no comma behind one, up to stop or full, numbers of up to 40 characters. */
wb_fast_run wb_fast_side_any(const wb_coinbase *state, const wb_coinbase_product *product, const uint8_t *text,
                             const uint8_t *stop, wb_delta *delta, const wb_delta *full, wb_side side);

/* Writes a whole header. */
WB_FAST_INLINE void wb_fast_header(wb_message *message, const wb_frame *frame, wb_message_kind kind, uint32_t part,
                                   uint64_t product, size_t delta_count, int64_t time_ns) {
  uint64_t *word = (uint64_t *)(void *)message;
  word[0] = (uint64_t)kind | part << 8 | product << 16 | (uint64_t)delta_count << 32;
  memcpy(&word[1], &frame->recv_ns, 2 * sizeof *word);
  word[3] = (uint64_t)time_ns;
  memset(&word[4], 0, 4 * sizeof *word);
  uint32_t connection_line = (uint32_t)wb_fast_load4((const uint8_t *)&frame->connection) & 0xffffff;
  memcpy(&word[6], &connection_line, sizeof connection_line);
}
_Static_assert(offsetof(wb_frame, number) == offsetof(wb_frame, recv_ns) + 8 &&
                   offsetof(wb_frame, line) == offsetof(wb_frame, connection) + 2 && offsetof(wb_message, recv_ns) == 8 &&
                   offsetof(wb_message, number) == 16 && offsetof(wb_message, time_ns) == 24 && offsetof(wb_message, u) == 32 &&
                   offsetof(wb_message, connection) == 48 && offsetof(wb_message, line) == 50,
               "words of a header");

/* wb_fast_numbers_any reads `P","S"]`, numbers of up to 40 characters. Returns what follows, or NULL. */
const uint8_t *wb_fast_numbers_any(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop, wb_side side,
                                   wb_delta *delta);

/* wb_fast_abandon takes back what is already out of a snapshot. */
void wb_fast_abandon(const wb_frame *frame, wb_out *out, uint16_t product, int64_t time_ns);

#endif
