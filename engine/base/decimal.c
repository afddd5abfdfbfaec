#include "engine/base/decimal.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/limits.h"

enum { TEXT_MAX = 40, PRINT_DECIMALS_MAX = 36 };

/* Splits text[0..bytes) into its integer digits [0, *dot) and its decimals [*dot + 1, bytes); *dot is bytes if there is none.
 */
static bool split(const char *text, size_t bytes, size_t *dot) {
  if (bytes == 0 || bytes > TEXT_MAX) return false;
  *dot = bytes;
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] == '.' && *dot == bytes) *dot = i;
    else if (text[i] < '0' || text[i] > '9') return false;
  }
  if (*dot == 0 || *dot == bytes - 1) return false;
  return *dot == 1 || text[0] != '0';
}

uint64_t wb_pow10(unsigned n) {
  static const uint64_t power[] = {UINT64_C(1),
                                   UINT64_C(10),
                                   UINT64_C(100),
                                   UINT64_C(1000),
                                   UINT64_C(10000),
                                   UINT64_C(100000),
                                   UINT64_C(1000000),
                                   UINT64_C(10000000),
                                   UINT64_C(100000000),
                                   UINT64_C(1000000000),
                                   UINT64_C(10000000000),
                                   UINT64_C(100000000000),
                                   UINT64_C(1000000000000),
                                   UINT64_C(10000000000000),
                                   UINT64_C(100000000000000),
                                   UINT64_C(1000000000000000),
                                   UINT64_C(10000000000000000),
                                   UINT64_C(100000000000000000),
                                   UINT64_C(1000000000000000000)};
  WB_CHECK(n <= WB_DECIMALS_MAX);
  return power[n];
}

/* Decimals of a text that was split, without the zeros at its end. */
static size_t decimals_of(const char *text, size_t bytes, size_t dot) {
  if (dot == bytes) return 0;
  while (text[bytes - 1] == '0') bytes--;
  return bytes - dot - 1;
}

int wb_decimal_need(const char *text, size_t bytes, unsigned *integer_digits, unsigned *decimals) {
  size_t dot = 0;
  if (!split(text, bytes, &dot)) return WB_E_SYNTAX;
  *integer_digits = text[0] == '0' ? 0 : (unsigned)dot;
  *decimals = (unsigned)decimals_of(text, bytes, dot);
  return 0;
}

int wb_decimal_parse(const char *text, size_t bytes, unsigned decimals, uint64_t *value) {
  size_t dot = 0;
  if (!split(text, bytes, &dot)) return WB_E_SYNTAX;
  size_t need = decimals_of(text, bytes, dot);
  if (dot > 19 || need > decimals || decimals > WB_DECIMALS_MAX) return WB_E_RANGE;
  /* At most 19 + 18 digits: below 10^37 < 2^127. */
  unsigned __int128 sum = 0;
  for (size_t i = 0; i < dot; i++) sum = sum * 10 + (unsigned)(text[i] - '0');
  for (size_t i = 0; i < need; i++) sum = sum * 10 + (unsigned)(text[dot + 1 + i] - '0');
  sum *= wb_pow10(decimals - (unsigned)need);
  if (sum > (uint64_t)WB_QUANTITY_MAX) return WB_E_RANGE;
  *value = (uint64_t)sum;
  return 0;
}

size_t wb_decimal_print(__int128 value, unsigned decimals, char *text) {
  WB_CHECK(decimals <= PRINT_DECIMALS_MAX);
  unsigned __int128 rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
  while (decimals > 0 && rest % 10 == 0) rest /= 10, decimals--;
  char reversed[WB_DECIMAL_TEXT_BYTES];
  size_t length = 0;
  for (unsigned digits = 0; digits <= decimals || rest > 0; digits++) {
    if (digits == decimals && decimals > 0) reversed[length++] = '.';
    reversed[length++] = (char)('0' + (int)(rest % 10));
    rest /= 10;
  }
  if (value < 0) reversed[length++] = '-';
  for (size_t i = 0; i < length; i++) text[i] = reversed[length - 1 - i];
  text[length] = '\0';
  return length;
}
