#include "engine/codec/coinbase_fast.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define WB_FAST_TARGET __attribute__((target("avx2,bmi,bmi2")))
#include "engine/codec/coinbase_numbers.h"

bool wb_coinbase_has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

WB_FAST_TARGET WB_FAST_INLINE uint64_t quotes_of_half(const uint8_t *text) {
  __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)text);
  return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(half, _mm256_set1_epi8('"')));
}

WB_FAST_TARGET WB_FAST_INLINE uint64_t quotes_of(const uint8_t *text) {
  return quotes_of_half(text) | quotes_of_half(text + 32) << 32;
}

WB_FAST_TARGET WB_FAST_INLINE __m256i two_halves(const void *low, const void *high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
}

/* Both numbers, right-aligned, share a register: what precedes them becomes 0, the digits before the dot move over it, and three
 * multiplications join them. */
WB_FAST_TARGET WB_FAST_INLINE wb_fast_pair two(const uint8_t *price_end, unsigned price_bytes, const uint8_t *size_end,
                                               unsigned size_bytes) {
  wb_fast_pair pair;
  __m256i digits = _mm256_sub_epi8(two_halves(price_end - 16, size_end - 16), _mm256_set1_epi8('0'));
  digits = _mm256_and_si256(digits, two_halves(wb_fast_last_bytes + price_bytes, wb_fast_last_bytes + size_bytes));
  uint32_t dots = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(digits, _mm256_set1_epi8('.' - '0'))) | 0x80008000;
  pair.price_dot = _tzcnt_u32(dots);
  pair.size_dot = _tzcnt_u32(dots >> 16);
  digits = _mm256_shuffle_epi8(digits, two_halves(wb_fast_without_dot[pair.price_dot], wb_fast_without_dot[pair.size_dot]));
  __m256i over = _mm256_subs_epu8(digits, _mm256_set1_epi8(9));
  pair.bad = !_mm256_testz_si256(over, over);
  __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x010a)), _mm256_set1_epi32(0x00010064));
  __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), _mm256_set1_epi32(0x00012710));
  __m256i number = _mm256_add_epi64(_mm256_mul_epu32(eights, _mm256_set1_epi64x(100000000)), _mm256_srli_epi64(eights, 32));
  pair.price = (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(number));
  pair.size = (uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(number, 1));
  return pair;
}

#include "engine/codec/coinbase_shapes.h"

WB_FAST_TARGET void wb_coinbase_fast_avx2(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_fast_road(state, frame, bytes, out);
}

WB_FAST_TARGET wb_fast_run wb_coinbase_side_avx2(const wb_coinbase *state, const wb_coinbase_product *product,
                                                 const uint8_t *text, const uint8_t *stop, wb_delta *delta,
                                                 const wb_delta *full, wb_side side) {
  return wb_fast_side(state, product, text, stop, delta, full, side);
}

#endif
