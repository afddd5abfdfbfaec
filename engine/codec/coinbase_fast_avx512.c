#include "engine/codec/coinbase_fast.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define WB_FAST_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2")))

bool wb_coinbase_has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}

#define LOAD512(from) _mm512_loadu_si512(from)
#define LOAD256(from) _mm256_loadu_si256((const __m256i *)(const void *)(from))
#define LOAD128(from) _mm_loadu_si128((const __m128i *)(const void *)(from))

/* Constants, as memory that the compiler cannot see through: an operand then, and not some instructions that make them anew.
 *
 * lane, *_opens, *_closes: of the points, or of the quotes, the one that belongs to each of four lanes of 16 bytes.
 * reach, in_front, behind: by how many decimals there are, what wb_fast_reader has. */
#define EVERY(byte)                                                                                                            \
  { [0 ... 63] = (byte) }
#define LANES(a, b, c, d)                                                                                                      \
  { [0 ... 15] = (a), [16 ... 31] = (b), [32 ... 47] = (c), [48 ... 63] = (d) }
#define SIXTEEN(i)                                                                                                             \
  (i), (i) + 1, (i) + 2, (i) + 3, (i) + 4, (i) + 5, (i) + 6, (i) + 7, (i) + 8, (i) + 9, (i) + 10, (i) + 11, (i) + 12,          \
      (i) + 13, (i) + 14, (i) + 15
enum { SECONDS_AT = WB_COINBASE_MINUTE_AT + WB_COINBASE_MINUTE_BYTES + 1, MICROS_AT = SECONDS_AT + 3 };

typedef struct side_constants {
  char shape[16];
  uint64_t bit[2];
  uint8_t shape_mask[32];
} side_constants;

typedef struct constants {
  _Alignas(64) uint8_t quote[64], dot[64], zero[64], nine[64], one[64], bracket[64], index[64];
  uint8_t lane[64], level_opens[64], level_closes[64], change_opens[64], change_closes[64];
  uint16_t tens[32];
  uint32_t hundreds[16], tenthousands[16];
  uint64_t hundredmillions[8], even[8], no_price[4];
  uint8_t first[64], last[64], ends[32];
  uint8_t time_span[64], time_at[16];
  char update_head[32], snapshot_head[32], level_shape[16];
  uint8_t level_mask[32], two_levels_mask[32];
  side_constants side[2];
  int8_t reach[16 + WB_DECIMALS_MAX], in_front[16 + WB_DECIMALS_MAX], behind[16 + WB_DECIMALS_MAX];
} constants;

static const constants table = {
    .quote = EVERY('"'),
    .dot = EVERY('.'),
    .zero = EVERY('0'),
    .nine = EVERY(9),
    .one = EVERY(1),
    .bracket = EVERY(']'),
    .index = {SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48)},
    .lane = LANES(0, 1, 2, 3),
    .level_opens = LANES(0, 2, 4, 6),
    .level_closes = LANES(1, 3, 5, 7),
    .change_opens = LANES(2, 4, 2, 4),
    .change_closes = LANES(3, 5, 3, 5),
    .tens = {[0 ... 31] = 0x010a},
    .hundreds = {[0 ... 15] = 0x00010064},
    .tenthousands = {[0 ... 15] = 0x00012710},
    .hundredmillions = {[0 ... 7] = 100000000},
    .even = {0, 2, 4, 6, 0, 2, 4, 6},
    .no_price = {0, 0, UINT64_MAX, UINT64_MAX},
    .first = {[0] = 255, [16] = 255, [32] = 255, [48] = 255},
    .last = {[15] = 255, [31] = 255, [47] = 255, [63] = 255},
    .ends = {[0] = 255, [15] = 255, [16] = 255, [31] = 255},
    .time_span = {[SECONDS_AT] = 5,
                  [SECONDS_AT + 1] = 9,
                  [MICROS_AT... MICROS_AT + 5] = 9,
                  [WB_COINBASE_TAIL_BYTES... 63] = 255},
    .time_at = {SECONDS_AT, SECONDS_AT + 1, MICROS_AT, MICROS_AT + 1, MICROS_AT + 2, MICROS_AT + 3, MICROS_AT + 4,
                MICROS_AT + 5},
    .update_head = "{\"type\":\"l2update\",\"product_id\":",
    .snapshot_head = "{\"type\":\"snapshot\",\"product_id\":",
    .level_shape = "[\"\",\"\"],[\"\",\"\"]",
    .level_mask = {[0 ... 6] = 255},
    .two_levels_mask = {[0 ... 14] = 255},
    .side = {{"[\"buy\",\"\",\"\"]", {0, 0}, {[0 ... 12] = 255}},
             {"[\"sell\",\"\",\"\"]", {0, UINT64_C(1) << 63}, {[0 ... 13] = 255}}},
    .reach = {-16, -15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1,
              2,   3,   4,   5,   6,   7,   8,   9,  10, 11, 12, 13, 14, 15, 16, 17, 18},
    .in_front = {[0 ... 14] = 1, [15] = 0, [16 ... 33] = 127},
    .behind = {[0 ... 15] = 127, [16] = 0, [17 ... 33] = 127},
};

WB_FAST_INLINE const constants *constants_of(void) {
  const constants *all = &table;
  __asm__("" : "+r"(all));
  return all;
}

/* ------------------------------------------------------------------------------------------------ beginning and end */

WB_FAST_TARGET WB_FAST_INLINE bool wb_fast_head(const uint8_t *text, bool snapshot) {
  const constants *c = constants_of();
  return _mm256_cmpneq_epi8_mask(LOAD256(text), LOAD256(snapshot ? c->snapshot_head : c->update_head)) == 0;
}

/* Where the changes begin is told by the text and not by the product, so that they need not wait for it. */
WB_FAST_TARGET WB_FAST_INLINE const wb_coinbase_product *wb_fast_update_product(const wb_coinbase *state,
                                                                                const uint8_t **text) {
  __m512i begin = LOAD512(*text);
  __m128i id = LOAD128(*text + 1);
  uint32_t quotes = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(id, LOAD128(constants_of()->quote)));
  if (__builtin_expect(quotes == 0, 0)) return NULL;
  for (uint32_t slot = wb_coinbase_slot(state, *text); state->slots[slot]; slot = (slot + 1) & state->slot_mask) {
    const wb_coinbase_product *product = &state->product[state->slots[slot] - 1];
    if (_mm512_mask_cmpneq_epi8_mask(product->mask, begin, LOAD512(product)) != 0) continue;
    *text += 1 + _tzcnt_u32(quotes) + WB_COINBASE_CHANGES_BYTES;
    return product;
  }
  return NULL;
}

WB_FAST_TARGET WB_FAST_INLINE const uint8_t *wb_fast_tail(wb_coinbase *state, const uint8_t *end, int64_t *time_ns) {
  const constants *c = constants_of();
  __m512i over = _mm512_sub_epi8(LOAD512(end - WB_COINBASE_TAIL_BYTES), LOAD512(state->tail));
  if (__builtin_expect(_mm512_cmpgt_epu8_mask(over, LOAD512(c->time_span)) != 0, 0)) {
    *time_ns = WB_TIME_NONE;
    return end[-2] == ']' && end[-1] == '}' ? end - 1 : NULL;
  }
  __m128i digits = _mm512_castsi512_si128(_mm512_permutexvar_epi8(_mm512_castsi128_si512(LOAD128(c->time_at)), over));
  __m128i fours = _mm_madd_epi16(_mm_maddubs_epi16(digits, LOAD128(c->tens)), LOAD128(c->hundreds));
  __m128i micros = _mm_madd_epi16(_mm_packus_epi32(fours, fours), LOAD128(c->tenthousands));
  *time_ns = state->minute_ns + (int64_t)(uint32_t)_mm_cvtsi128_si32(micros) * 1000;
  return end - WB_COINBASE_TAIL_BYTES + 2;
}

/* ------------------------------------------------------------------------------------------------ numbers
 *
 * A number of d decimals is read into 16 bytes: 16 - d digits of before its dot, or its end without one, and d of after it, the
 * rest 0. So it is one of 16 digits, in the product's units, and no power of ten has to be looked up. What does not fit is read
 * again by words.
 *
 * Nothing is branched on before the end: what is not right sets bits that stay. Each move from vectors to the other registers
 * counts, so there are but two: where the quotes are, and where the dots. */

/* Lanes are a price's and a size's. reach: where their digits lie, counted from the dot. in_front: 1 for a digit that is not the
 * last before the dot (a zero may not be the first of them), 0 for the last (it must be there); behind: 0 for the first after it
 * (a quote may not be there). odd: not zero once anything was not right. The rest is for two levels at once: odd_two as odd, equal
 * and least 0 in a byte, or in a price, that was not right. */
typedef struct wb_fast_reader {
  const constants *c;
  __m256i reach, in_front, behind, odd;
  __m512i odd_two, equal, least;
} wb_fast_reader;

WB_FAST_TARGET WB_FAST_INLINE __m256i two_halves(const void *low, const void *high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(LOAD128(low)), LOAD128(high), 1);
}

WB_FAST_TARGET WB_FAST_INLINE wb_fast_reader wb_fast_reader_of(const wb_coinbase *state, const wb_coinbase_product *product) {
  const constants *c = constants_of();
  uint64_t price = product->price_decimals, size = product->size_decimals;
  return (wb_fast_reader){
      .c = c,
      .reach = two_halves(c->reach + price, c->reach + size),
      .in_front = two_halves(c->in_front + price, c->in_front + size),
      .behind = two_halves(c->behind + price, c->behind + size),
      .odd = _mm256_setzero_si256(),
      .odd_two = _mm512_setzero_si512(),
      .equal = _mm512_set1_epi64(-1),
      .least = _mm512_set1_epi64(-1),
  };
}

WB_FAST_TARGET WB_FAST_INLINE bool wb_fast_sound(const wb_fast_reader *reader) {
  return _mm256_testz_si256(reader->odd, reader->odd);
}

WB_FAST_TARGET WB_FAST_INLINE bool wb_fast_side_sound(const wb_fast_reader *reader) {
  uint64_t bad = _mm512_test_epi8_mask(reader->odd_two, reader->odd_two) | _mm512_testn_epi8_mask(reader->equal, reader->equal);
  return (bad | _mm512_mask_testn_epi64_mask(0x33, reader->least, reader->least)) == 0 && wb_fast_sound(reader);
}

/* vpcompressb waits for the old value of its register even where none of it stays (AMD Zen 4), so that is made a new one. */
WB_FAST_TARGET WB_FAST_INLINE __m512i compress(__mmask64 mask, __m512i from) {
  __m512i to = _mm512_setzero_si512();
  __asm__("" : "+v"(to));
  return _mm512_mask_compress_epi8(to, mask, from);
}

/* The place of the highest bit, 0 without any. */
WB_FAST_TARGET WB_FAST_INLINE unsigned highest(uint64_t bits) { return 63u ^ (unsigned)__builtin_clzll(bits | 1); }

/* A register of text. closes: the closing quotes of its numbers; points: where the digits before the dot end, of each; shape: what is
 * left without the insides of the numbers. */
typedef struct wb_fast_window {
  __m512i text;
  __mmask64 quote_mask;
  uint64_t quotes, closes, points;
  __m128i shape;
} wb_fast_window;

/* opens, closes: which of the quotes do so around numbers. */
WB_FAST_TARGET WB_FAST_INLINE wb_fast_window window_at(const constants *c, const uint8_t *text, uint64_t opens,
                                                       uint64_t closes) {
  wb_fast_window window = {.text = LOAD512(text)};
  window.quote_mask = _mm512_cmpeq_epi8_mask(window.text, LOAD512(c->quote));
  window.quotes = window.quote_mask;
  uint64_t stops = window.quotes | _mm512_cmpeq_epi8_mask(window.text, LOAD512(c->dot));
  uint64_t firsts = _pdep_u64(opens, window.quotes) << 1;
  window.closes = _pdep_u64(closes, window.quotes);
  window.points = (firsts + ~stops) & stops;
  window.shape = _mm512_castsi512_si128(compress(~(window.closes - firsts), window.text));
  return window;
}

WB_FAST_TARGET WB_FAST_INLINE void check_shape(wb_fast_reader *reader, const wb_fast_window *window, const char *shape,
                                               const uint8_t *mask) {
  __m256i differ = _mm256_castsi128_si256(_mm_xor_si128(window->shape, LOAD128(shape)));
  reader->odd = _mm256_ternarylogic_epi64(reader->odd, differ, LOAD256(mask), 0xf8);
}

/* The price and size of the one level in a window. left, right: how far each digit is from the quotes around its number. */
WB_FAST_TARGET WB_FAST_INLINE __m128i level_of(wb_fast_reader *reader, const wb_fast_window *window, const uint8_t *opens,
                                               const uint8_t *closes) {
  const constants *c = reader->c;
  __m256i quote_at = _mm512_castsi512_si256(compress(window->quote_mask, LOAD512(c->index))), none = _mm256_setzero_si256();
  __m256i open = _mm256_permutexvar_epi8(LOAD256(opens), quote_at), close = _mm256_permutexvar_epi8(LOAD256(closes), quote_at);
  __m256i size_point = _mm256_set1_epi8((char)highest(window->points));
  __m256i point = _mm256_blend_epi32(_mm256_set1_epi8((char)_tzcnt_u64(window->points)), size_point, 0xf0);
  __m256i from = _mm256_add_epi8(point, reader->reach);
  __m256i left = _mm256_sub_epi8(from, open), right = _mm256_sub_epi8(close, from);
  __m512i values = _mm512_sub_epi8(window->text, LOAD512(c->zero));
  __m256i digits = _mm512_castsi512_si256(_mm512_permutexvar_epi8(_mm512_castsi256_si512(from), values));
  digits = _mm256_ternarylogic_epi64(digits, _mm256_cmpgt_epi8(left, none), _mm256_cmpgt_epi8(right, none), 0x80);
  __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(digits, LOAD256(c->tens)), LOAD256(c->hundreds));
  __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), LOAD256(c->tenthousands));
  __m256i number = _mm256_add_epi64(_mm256_mul_epu32(eights, LOAD256(c->hundredmillions)), _mm256_srli_epi64(eights, 32));

  __m256i lost = _mm256_cmpgt_epi8(_mm256_blend_epi32(left, right, 0xcc), LOAD256(c->one));
  __m256i odd = _mm256_ternarylogic_epi64(reader->odd, lost, LOAD256(c->ends), 0xf8);
  __m256i zero_or_none = _mm256_cmpeq_epi8(_mm256_add_epi8(_mm256_add_epi8(digits, digits), left), reader->in_front);
  odd = _mm256_ternarylogic_epi64(odd, zero_or_none, _mm256_cmpeq_epi8(right, reader->behind), 0xfe);
  __m256i no_digit = _mm256_subs_epu8(digits, LOAD256(c->nine)), no_price = _mm256_cmpeq_epi64(number, LOAD256(c->no_price));
  reader->odd = _mm256_ternarylogic_epi64(odd, no_digit, no_price, 0xfe);
  return _mm_unpacklo_epi64(_mm256_castsi256_si128(number), _mm256_extracti128_si256(number, 1));
}

/* The prices and sizes of the two levels in a window: the same with twice the lanes, and with as few masks, of which there are not
 * many. Beyond the quotes are the quotes, which have no value. */
WB_FAST_TARGET WB_FAST_INLINE __m256i two_levels_of(wb_fast_reader *reader, const wb_fast_window *window) {
  const constants *c = reader->c;
  const __m512i index = LOAD512(c->index), one = LOAD512(c->one);
  __m512i quote_at = compress(window->quote_mask, index), point_at = compress(window->points, index);
  __m512i open = _mm512_permutexvar_epi8(LOAD512(c->level_opens), quote_at);
  __m512i close = _mm512_permutexvar_epi8(LOAD512(c->level_closes), quote_at);
  __m512i from = _mm512_add_epi8(_mm512_permutexvar_epi8(LOAD512(c->lane), point_at), _mm512_broadcast_i64x4(reader->reach));
  __m512i left = _mm512_sub_epi8(from, open), right = _mm512_sub_epi8(close, from);
  __m512i values = _mm512_maskz_sub_epi8(_knot_mask64(window->quote_mask), window->text, LOAD512(c->zero));
  __m512i digits = _mm512_permutexvar_epi8(_mm512_min_epu8(_mm512_max_epu8(from, open), close), values);
  __m512i fours = _mm512_madd_epi16(_mm512_maddubs_epi16(digits, LOAD512(c->tens)), LOAD512(c->hundreds));
  __m512i eights = _mm512_madd_epi16(_mm512_packus_epi32(fours, fours), LOAD512(c->tenthousands));
  __m512i number = _mm512_add_epi64(_mm512_mul_epu32(eights, LOAD512(c->hundredmillions)), _mm512_srli_epi64(eights, 32));

  __m512i edge = _mm512_ternarylogic_epi64(_mm512_and_si512(left, LOAD512(c->first)), right, LOAD512(c->last), 0xf8);
  __m512i odd = _mm512_ternarylogic_epi64(reader->odd_two, _mm512_max_epi8(edge, one), one, 0xf6);
  reader->odd_two = _mm512_or_si512(odd, _mm512_subs_epu8(digits, LOAD512(c->nine)));
  __m512i zero_or_none =
      _mm512_xor_si512(_mm512_add_epi8(_mm512_add_epi8(digits, digits), left), _mm512_broadcast_i64x4(reader->in_front));
  __m512i no_part = _mm512_xor_si512(right, _mm512_broadcast_i64x4(reader->behind));
  reader->equal = _mm512_min_epu8(reader->equal, _mm512_min_epu8(zero_or_none, no_part));
  reader->least = _mm512_min_epu64(reader->least, number);
  return _mm512_castsi512_si256(_mm512_permutexvar_epi64(LOAD512(c->even), number));
}

WB_FAST_TARGET WB_FAST_INLINE const uint8_t *wb_fast_change(wb_fast_reader *reader, const uint8_t *text, const uint8_t *stop,
                                                            wb_delta *delta) {
  const constants *c = reader->c;
  wb_fast_window window = window_at(c, text, 0x14, 0x28);
  if (__builtin_expect(window.closes >> 13 == 0, 0)) return NULL; /* no change is as short */
  const side_constants *side = &c->side[window.quotes >> 6 & 1];
  __m128i level = level_of(reader, &window, c->change_opens, c->change_closes);
  check_shape(reader, &window, side->shape, side->shape_mask);
  _mm_storeu_si128((__m128i *)(void *)delta, _mm_or_si128(level, LOAD128(side->bit)));
  return text + highest(window.closes) + 2;
}

/* The same, but where it ends is believed before it is known, from a look for the bracket where it mostly is, so that the next change
 * need not wait. */
WB_FAST_TARGET WB_FAST_INLINE const uint8_t *wb_fast_next_change(wb_fast_reader *reader, const uint8_t *text,
                                                                 const uint8_t *stop, wb_delta *delta) {
  const uint8_t *belief = text + 27 + _tzcnt_u64(wb_fast_find(wb_fast_load(text + 26), ']')) / 8, *next = belief;
  __asm__("" : "+r"(next)); /* not to be had from the comparison */
  const uint8_t *end = wb_fast_change(reader, text, stop, delta);
  return __builtin_expect(belief == end, 1) ? next : end;
}

WB_FAST_TARGET WB_FAST_INLINE const uint8_t *wb_fast_levels(wb_fast_reader *reader, const uint8_t *text, const uint8_t *stop,
                                                            wb_side side, wb_delta **delta, const wb_delta *full) {
  const constants *c = reader->c;
  const __m128i bit = LOAD128(c->side[side].bit);
  uint64_t brackets = _mm512_cmpeq_epi8_mask(LOAD512(text), LOAD512(c->bracket)), second = _blsr_u64(brackets);
  if (__builtin_expect(full - *delta >= 2 && (second & ~(brackets << 1)) != 0, 1)) {
    wb_fast_window window = window_at(c, text, 0x55, 0xaa);
    __m256i levels = two_levels_of(reader, &window);
    check_shape(reader, &window, c->level_shape, c->two_levels_mask);
    _mm256_storeu_si256((__m256i *)(void *)*delta, _mm256_or_si256(levels, _mm256_broadcastsi128_si256(bit)));
    *delta += 2;
    return text + _tzcnt_u64(second) + 1;
  }
  wb_fast_window window = window_at(c, text, 0x5, 0xa);
  __m128i level = level_of(reader, &window, c->level_opens, c->level_closes);
  check_shape(reader, &window, c->level_shape, c->level_mask);
  _mm_storeu_si128((__m128i *)(void *)*delta, _mm_or_si128(level, bit));
  *delta += 1;
  return text + highest(window.closes) + 2;
}

#define wb_fast_side_again wb_fast_side_any
#define WB_FAST_NEXT state->words
#include "engine/codec/coinbase_shapes.h"

WB_FAST_TARGET void wb_coinbase_fast_avx512(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_fast_road(state, frame, bytes, out);
}

WB_FAST_TARGET wb_fast_run wb_coinbase_side_avx512(const wb_coinbase *state, const wb_coinbase_product *product,
                                                   const uint8_t *text, const uint8_t *stop, wb_delta *delta,
                                                   const wb_delta *full, wb_side side) {
  return wb_fast_side(state, product, text, stop, delta, full, side);
}

#endif
