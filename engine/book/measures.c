#include "engine/book/measures.h"

#include "engine/base/error.h"
#include "engine/base/ratio.h"

int wb_measure_microprice(const wb_sides *sides, unsigned decimals, __int128 *value) {
  if (!sides->bid_count || !sides->ask_count) return WB_E_STATE;
  const wb_level *bid = sides->bid, *ask = sides->ask;
  unsigned __int128 sum = (unsigned __int128)bid->price * ask->size + (unsigned __int128)ask->price * bid->size;
  return wb_ratio(sum, bid->size + ask->size, decimals, value);
}

static int balance(unsigned __int128 bid, unsigned __int128 ask, unsigned decimals, __int128 *value) {
  if (bid + ask == 0) return WB_E_STATE;
  int code = wb_ratio(bid > ask ? bid - ask : ask - bid, bid + ask, decimals, value);
  if (code == 0 && bid < ask) *value = -*value;
  return code;
}

/* Sum of the sizes of the best levels, each counting 2^shift times the one behind it. */
static unsigned __int128 sum_of(const wb_level *level, uint32_t count, uint32_t levels, unsigned shift) {
  unsigned __int128 sum = 0;
  for (uint32_t i = 0; i < levels && (shift || i < count); i++) sum = (sum << shift) + (i < count ? level[i].size : 0);
  return sum;
}

int wb_measure_imbalance(const wb_sides *sides, uint32_t levels, unsigned decimals, __int128 *value) {
  return balance(sum_of(sides->bid, sides->bid_count, levels, 0), sum_of(sides->ask, sides->ask_count, levels, 0), decimals,
                 value);
}

int wb_measure_pressure(const wb_sides *sides, uint32_t levels, unsigned decimals, __int128 *value) {
  if (levels > WB_PRESSURE_LEVELS_MAX) return WB_E_INVALID;
  return balance(sum_of(sides->bid, sides->bid_count, levels, 1), sum_of(sides->ask, sides->ask_count, levels, 1), decimals,
                 value);
}

int wb_measure_depth(const wb_sides *sides, wb_side side, uint32_t basis_points, wb_depth *depth) {
  if (!sides->bid_count || !sides->ask_count) return WB_E_STATE;
  const wb_level *level = side == WB_SIDE_BID ? sides->bid : sides->ask;
  uint32_t count = side == WB_SIDE_BID ? sides->bid_count : sides->ask_count;
  const __int128 mid2 = (__int128)sides->bid->price + sides->ask->price, reach = mid2 * basis_points;
  *depth = (wb_depth){.partial = true};
  for (uint32_t i = 0; i < count; i++) {
    __int128 away = side == WB_SIDE_BID ? mid2 - 2 * (__int128)level[i].price : 2 * (__int128)level[i].price - mid2;
    if (away * 10000 > reach) {
      depth->partial = false;
      break;
    }
    depth->size += level[i].size;
    if (__builtin_add_overflow(depth->notional, (unsigned __int128)level[i].price * level[i].size, &depth->notional)) {
      depth->notional = ~(unsigned __int128)0;
      depth->saturated = true;
    }
    depth->level_count++;
  }
  return 0;
}
