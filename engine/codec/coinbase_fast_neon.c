#include "engine/codec/coinbase_fast.h"

#if defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>

#define WB_FAST_TARGET
#include "engine/codec/coinbase_numbers.h"

bool wb_coinbase_has_neon(void) { return true; } /* part of every AArch64 */

WB_FAST_INLINE uint64_t quotes_of(const uint8_t *text) {
  static const uint8_t bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bit = vld1q_u8(bits), quote = vdupq_n_u8('"');
  uint8x16_t first = vandq_u8(vceqq_u8(vld1q_u8(text), quote), bit);
  uint8x16_t second = vandq_u8(vceqq_u8(vld1q_u8(text + 16), quote), bit);
  uint8x16_t third = vandq_u8(vceqq_u8(vld1q_u8(text + 32), quote), bit);
  uint8x16_t fourth = vandq_u8(vceqq_u8(vld1q_u8(text + 48), quote), bit);
  uint8x16_t sum = vpaddq_u8(vpaddq_u8(first, second), vpaddq_u8(third, fourth));
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sum, sum)), 0);
}

/* Right-aligned, what precedes it becomes 0, the digits before the dot move over it, and multiplications join them. */
WB_FAST_INLINE uint64_t number(const uint8_t *end, unsigned bytes, unsigned *dot, uint8x16_t *most) {
  static const uint8_t tens[16] = {10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1};
  static const uint16_t hundreds[8] = {100, 1, 100, 1, 100, 1, 100, 1};
  static const uint32_t tenthousands[4] = {10000, 1, 10000, 1};
  uint8x16_t digits = vandq_u8(vsubq_u8(vld1q_u8(end - 16), vdupq_n_u8('0')), vld1q_u8(wb_fast_last_bytes + bytes));
  uint8x16_t dots = vceqq_u8(digits, vdupq_n_u8((uint8_t)('.' - '0')));
  uint64_t fours_of_bits = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(dots), 4)), 0);
  *dot = (unsigned)__builtin_ctzll(fours_of_bits | UINT64_C(1) << 60) / 4;
  digits = vqtbl1q_u8(digits, vld1q_u8(wb_fast_without_dot[*dot]));
  *most = vmaxq_u8(*most, digits);
  uint16x8_t twos = vpaddlq_u8(vmulq_u8(digits, vld1q_u8(tens)));
  uint32x4_t fours = vpaddlq_u16(vmulq_u16(twos, vld1q_u16(hundreds)));
  uint64x2_t eights = vpaddlq_u32(vmulq_u32(fours, vld1q_u32(tenthousands)));
  return vgetq_lane_u64(eights, 0) * 100000000 + vgetq_lane_u64(eights, 1);
}

WB_FAST_INLINE wb_fast_pair two(const uint8_t *price_end, unsigned price_bytes, const uint8_t *size_end, unsigned size_bytes) {
  wb_fast_pair pair;
  uint8x16_t most = vdupq_n_u8(0);
  pair.price = number(price_end, price_bytes, &pair.price_dot, &most);
  pair.size = number(size_end, size_bytes, &pair.size_dot, &most);
  pair.bad = vmaxvq_u8(most) > 9;
  return pair;
}

#include "engine/codec/coinbase_shapes.h"

void wb_coinbase_fast_neon(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_fast_road(state, frame, bytes, out);
}

WB_FAST_TARGET wb_fast_run wb_coinbase_side_neon(const wb_coinbase *state, const wb_coinbase_product *product,
                                                 const uint8_t *text, const uint8_t *stop, wb_delta *delta,
                                                 const wb_delta *full, wb_side side) {
  return wb_fast_side(state, product, text, stop, delta, full, side);
}

#endif
