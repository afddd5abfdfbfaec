#include "engine/base/ratio.h"

#include "engine/base/error.h"
#include "engine/base/limits.h"

int wb_ratio(unsigned __int128 numerator, unsigned __int128 denominator, unsigned decimals, __int128 *value) {
  const unsigned __int128 denominator_max = (unsigned __int128)1 << 124;
  const unsigned __int128 value_max = ~(unsigned __int128)0 >> 1;
  if (denominator == 0 || decimals > WB_DECIMALS_MAX) return WB_E_INVALID;
  if (denominator > denominator_max) return WB_E_RANGE;
  unsigned __int128 whole = numerator / denominator, rest = numerator % denominator;
  for (; decimals; decimals--) {
    if (whole > value_max / 10 - 1) return WB_E_RANGE;
    whole = whole * 10 + rest * 10 / denominator;
    rest = rest * 10 % denominator;
  }
  if (2 * rest > denominator || (2 * rest == denominator && (whole & 1))) whole++;
  if (whole > value_max) return WB_E_RANGE;
  *value = (__int128)whole;
  return 0;
}
