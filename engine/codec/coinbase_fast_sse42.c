#include "engine/codec/coinbase_fast.h"

#if defined(__x86_64__)
#include <nmmintrin.h>

#define WB_FAST_TARGET __attribute__((target("sse4.2")))
#include "engine/codec/coinbase_numbers.h"

bool wb_coinbase_has_sse42(void) { return __builtin_cpu_supports("sse4.2"); }

WB_FAST_TARGET WB_FAST_INLINE uint64_t quotes_of_quarter(const uint8_t *text) {
  __m128i quarter = _mm_loadu_si128((const __m128i *)(const void *)text);
  return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(quarter, _mm_set1_epi8('"')));
}

WB_FAST_TARGET WB_FAST_INLINE uint64_t quotes_of(const uint8_t *text) {
  return quotes_of_quarter(text) | quotes_of_quarter(text + 16) << 16 | quotes_of_quarter(text + 32) << 32 |
         quotes_of_quarter(text + 48) << 48;
}

/* Right-aligned, what precedes it becomes 0, the digits before the dot move over it, and three multiplications join them. */
WB_FAST_TARGET WB_FAST_INLINE uint64_t number(const uint8_t *end, unsigned bytes, unsigned *dot, __m128i *over) {
  __m128i digits = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)(end - 16)), _mm_set1_epi8('0'));
  digits = _mm_and_si128(digits, _mm_loadu_si128((const __m128i *)(const void *)(wb_fast_last_bytes + bytes)));
  *dot = (unsigned)__builtin_ctz((uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(digits, _mm_set1_epi8('.' - '0'))) | 0x8000);
  digits = _mm_shuffle_epi8(digits, _mm_loadu_si128((const __m128i *)(const void *)wb_fast_without_dot[*dot]));
  *over = _mm_or_si128(*over, _mm_subs_epu8(digits, _mm_set1_epi8(9)));
  __m128i fours = _mm_madd_epi16(_mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a)), _mm_set1_epi32(0x00010064));
  __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x00012710));
  uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
  return (both & UINT32_MAX) * 100000000 + (both >> 32);
}

WB_FAST_TARGET WB_FAST_INLINE wb_fast_pair two(const uint8_t *price_end, unsigned price_bytes, const uint8_t *size_end,
                                               unsigned size_bytes) {
  wb_fast_pair pair;
  __m128i over = _mm_setzero_si128();
  pair.price = number(price_end, price_bytes, &pair.price_dot, &over);
  pair.size = number(size_end, size_bytes, &pair.size_dot, &over);
  pair.bad = !_mm_testz_si128(over, over);
  return pair;
}

#include "engine/codec/coinbase_shapes.h"

WB_FAST_TARGET void wb_coinbase_fast_sse42(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_fast_road(state, frame, bytes, out);
}

WB_FAST_TARGET wb_fast_run wb_coinbase_side_sse42(const wb_coinbase *state, const wb_coinbase_product *product,
                                                  const uint8_t *text, const uint8_t *stop, wb_delta *delta,
                                                  const wb_delta *full, wb_side side) {
  return wb_fast_side(state, product, text, stop, delta, full, side);
}

#endif
