/* coinbase_words.h - beginning and end of a message by words of eight characters, for the roads that have nothing wider at hand.
 * Private to the fast roads. */
#ifndef WB_CODEC_COINBASE_WORDS_H
#define WB_CODEC_COINBASE_WORDS_H

#include "engine/codec/coinbase_fast.h"

/* Whether a head begins here but for its type, which was seen before. */
WB_FAST_INLINE bool wb_fast_head(const uint8_t *text, bool snapshot) {
  uint64_t begin = wb_fast_load(text) ^ WB_FAST_WORD('{', '"', 't', 'y', 'p', 'e', '"', ':');
  uint64_t middle = wb_fast_load(text + 17) ^ WB_FAST_WORD('"', ',', '"', 'p', 'r', 'o', 'd', 'u');
  uint64_t end = wb_fast_load(text + 24) ^ WB_FAST_WORD('u', 'c', 't', '_', 'i', 'd', '"', ':');
  return (begin | middle | end) == 0 && text[8] == '"';
}

/* The product of an update whose id begins behind the quote at *text, which moves to its first change; or NULL. */
WB_FAST_INLINE const wb_coinbase_product *wb_fast_update_product(const wb_coinbase *state, const uint8_t **text) {
  for (uint32_t slot = wb_coinbase_slot(state, *text); state->slots[slot]; slot = (slot + 1) & state->slot_mask) {
    const wb_coinbase_product *product = &state->product[state->slots[slot] - 1];
    unsigned bytes = product->id_bytes + 1 + WB_COINBASE_CHANGES_BYTES;
    uint64_t differ = wb_fast_load(*text + bytes - 8) ^ wb_fast_load(product->begin + bytes - 8);
    for (unsigned i = 0; i + 8 < bytes; i += 8) differ |= wb_fast_load(*text + i) ^ wb_fast_load(product->begin + i);
    if (differ != 0) continue;
    *text += bytes;
    return product;
  }
  return NULL;
}

/* The end of a message, as it is sent and within the minute of the one before; any other by wb_fast_tail_any. */
WB_FAST_INLINE const uint8_t *wb_fast_tail(wb_coinbase *state, const uint8_t *end, int64_t *time_ns) {
  const uint8_t *tail = end - WB_COINBASE_TAIL_BYTES;
  uint64_t differ = wb_fast_load(tail) ^ wb_fast_load(state->tail);
  differ |= wb_fast_load(tail + 8) ^ wb_fast_load(state->tail + 8);
  differ |= wb_fast_load(tail + 16) ^ wb_fast_load(state->tail + 16);
  differ |= wb_fast_load(tail + 20) ^ wb_fast_load(state->tail + 20);
  differ |= wb_fast_load4(tail + 36) >> 8 ^ WB_FAST_WORD('Z', '"', '}', 0, 0, 0, 0, 0);
  /* "52.53597" and "2.535977" make "52535977": microseconds of the minute. */
  uint64_t digits = (wb_fast_load(tail + 28) & 0xffff) | (wb_fast_load(tail + 29) & ~UINT64_C(0xffff));
  digits ^= WB_FAST_EACH('0');
  uint64_t tens = (digits & 0xff) + 0x7a;
  if (__builtin_expect((differ | wb_fast_not_digits(digits) | (tens & 0x80)) != 0 || tail[30] != '.', 0))
    return wb_fast_tail_any(state, end, time_ns);
  *time_ns = state->minute_ns + (int64_t)wb_fast_digits(digits) * 1000;
  return tail + 2;
}

#endif
