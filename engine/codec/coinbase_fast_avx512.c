#include "engine/codec/coinbase_fast.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define WB_FAST_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,bmi,bmi2")))

bool wb_coinbase_has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

#define HEAD_OF(type) "{\"type\":\"" type "\",\"product_id\":\"                               "
_Static_assert(sizeof HEAD_OF("snapshot") - 1 == 64, "a head fills one register");

WB_FAST_TARGET WB_FAST_INLINE wb_fast_kind wb_fast_head(const uint8_t *text) {
  const __mmask64 head = (UINT64_C(1) << WB_FAST_HEAD_BYTES) - 1;
  __m512i begin = _mm512_loadu_si512(text);
  if (_mm512_mask_cmpneq_epi8_mask(head, begin, _mm512_loadu_si512(HEAD_OF("l2update"))) == 0) return WB_FAST_UPDATE;
  if (_mm512_mask_cmpneq_epi8_mask(head, begin, _mm512_loadu_si512(HEAD_OF("snapshot"))) == 0) return WB_FAST_SNAPSHOT;
  return WB_FAST_NEITHER;
}

WB_FAST_TARGET WB_FAST_INLINE int wb_fast_product(const wb_coinbase *state, const uint8_t *text, uint32_t *bytes) {
  __m256i id = _mm256_loadu_si256((const __m256i *)text);
  uint32_t quotes = _mm256_cmpeq_epi8_mask(id, _mm256_set1_epi8('"'));
  if (quotes == 0) return -1;
  *bytes = _tzcnt_u32(quotes);
  id = _mm256_maskz_mov_epi8(_blsmsk_u32(quotes) >> 1, id);
  uint64_t first = (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(id));
  uint64_t second = (uint64_t)_mm_extract_epi64(_mm256_castsi256_si128(id), 1);
  for (uint32_t slot = wb_coinbase_id_slot(state, first, second); state->slots[slot]; slot = (slot + 1) & state->slot_mask) {
    const wb_product *product = &state->products->product[state->slots[slot] - 1];
    uint32_t differ = _mm256_cmpneq_epi8_mask(id, _mm256_loadu_si256((const __m256i *)(const void *)product->id));
    if ((differ | (product->id_bytes ^ *bytes)) == 0) return state->slots[slot] - 1;
  }
  return -1;
}

/* 16 bytes from `count` on: a mask of the last `count` bytes of 16. */
static const uint8_t last_bytes[32] = {[16] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xff,        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* Row i moves what precedes byte i over it. Row 15, a dot at the very end or none at all, moves nothing: a dot stays and is
 * found. */
#define ROW(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)                                                                       \
  { 0x80, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o }
static const uint8_t without_dot[16][16] = {
    ROW(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), ROW(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), ROW(0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), ROW(0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15), ROW(0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15), ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15),  ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15),  ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15),
    ROW(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15),  {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
#undef ROW

WB_FAST_TARGET WB_FAST_INLINE __m256i two_halves(const void *low, const void *high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
}

/* `P","S"]` that begins at text[at], its quotes given with their place in text, those before the price taken away. Returns what
 * follows, or NULL.
 *
 * The two numbers, right-aligned before their closing quotes, share a register; what precedes them becomes 0, the digits before
 * the dot move over it, and three multiplications join them. */
WB_FAST_TARGET WB_FAST_INLINE const uint8_t *two_numbers(const wb_fast_units *units, const uint8_t *text, unsigned at,
                                                         uint64_t quotes, const uint8_t *stop, wb_side side, wb_delta *delta) {
  uint64_t close_quote = _blsr_u64(_blsr_u64(quotes));
  unsigned price_end = (unsigned)_tzcnt_u64(quotes), size_end = (unsigned)_tzcnt_u64(close_quote);
  unsigned price_bytes = price_end - at, size_bytes = size_end - price_end - 3;
  if (__builtin_expect(((price_bytes - 1) | (size_bytes - 1)) >= 16, 0))
    return wb_fast_numbers_slow(text + at, stop, units, side, delta);

  __m256i digits = _mm256_sub_epi8(two_halves(text + price_end - 16, text + size_end - 16), _mm256_set1_epi8('0'));
  digits = _mm256_and_si256(digits, two_halves(last_bytes + price_bytes, last_bytes + size_bytes));
  uint32_t dots = _mm256_cmpeq_epi8_mask(digits, _mm256_set1_epi8('.' - '0')) | 0x80008000;
  unsigned price_dot = _tzcnt_u32(dots), size_dot = _tzcnt_u32(dots >> 16);
  digits = _mm256_shuffle_epi8(digits, two_halves(without_dot[price_dot], without_dot[size_dot]));
  uint64_t bad = _mm256_cmpgt_epu8_mask(digits, _mm256_set1_epi8(9));
  __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x010a)), _mm256_set1_epi32(0x00010064));
  __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), _mm256_set1_epi32(0x00012710));
  __m256i number = _mm256_add_epi64(_mm256_mul_epu32(eights, _mm256_set1_epi64x(100000000)), _mm256_srli_epi64(eights, 32));
  uint64_t price = (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(number));
  uint64_t size = (uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(number, 1));

  const wb_coinbase_form *price_form = &units->price[price_bytes][price_dot], *size_form = &units->size[size_bytes][size_dot];
  if (__builtin_expect(price_form->times == 0 || size_form->times == 0, 0))
    return wb_fast_numbers_slow(text + at, stop, units, side, delta);
  bad |= (price - price_form->least) >> 63 | (size - size_form->least) >> 63 | (price == 0);
  bad |= (wb_fast_load4(text + price_end) ^ WB_FAST_WORD('"', ',', '"', 0, 0, 0, 0, 0)) & 0xffffff;
  if (__builtin_expect(bad != 0 || text[size_end + 1] != ']', 0)) return NULL;
  delta->price = price * price_form->times;
  ((uint64_t *)delta)[1] = size * size_form->times | (uint64_t)side << 63;
  return text + size_end + 2;
}

WB_FAST_TARGET WB_FAST_INLINE uint64_t quotes_of(const uint8_t *text) {
  return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(text), _mm512_set1_epi8('"'));
}

WB_FAST_TARGET WB_FAST_INLINE const uint8_t *wb_fast_change(const wb_fast_units *units, const uint8_t *text,
                                                            const uint8_t *stop, wb_delta *delta) {
  uint64_t quotes = quotes_of(text), sell = quotes >> 6 & 1;
  uint64_t word = sell ? WB_FAST_SELL : WB_FAST_BUY;
  if (__builtin_expect(wb_fast_load(text) != word || text[7 + sell] != '"', 0)) return NULL;
  quotes = _blsr_u64(_blsr_u64(_blsr_u64(quotes)));
  return two_numbers(units, text, 8 + (unsigned)sell, quotes, stop, sell ? WB_SIDE_ASK : WB_SIDE_BID, delta);
}

WB_FAST_TARGET WB_FAST_INLINE const uint8_t *wb_fast_level(const wb_fast_units *units, const uint8_t *text, const uint8_t *stop,
                                                           wb_side side, wb_delta *delta) {
  if (__builtin_expect(text[0] != '[' || text[1] != '"', 0)) return NULL;
  return two_numbers(units, text, 2, _blsr_u64(quotes_of(text)), stop, side, delta);
}

#include "engine/codec/coinbase_shapes.h"

WB_FAST_TARGET bool wb_coinbase_fast_avx512(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  return wb_fast_road(state, frame, bytes, out);
}

#endif
