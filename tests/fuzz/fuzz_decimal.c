/* fuzz_decimal.c - prices and sizes as text, against digit strings.
 *
 * Input:   byte 0: the product's decimals; the rest is the text, and, where it has 17 bytes, a value to print as well.
 * Oracle:  the model never has a number: a text is its digits, moved to the decimals asked for, and compared as text with the
 *          largest quantity. What is printed is divided out by hand, and reads as itself. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/base/error.h"
#include "engine/base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct digits {
  bool legal;
  char whole[64], part[64]; /* without zeros in front, without zeros behind */
} digits;

static digits split(const char *text, size_t bytes) {
  digits d = {0};
  size_t whole = 0, part = 0;
  if (bytes > 40) return d;
  while (whole < bytes && strchr("0123456789", text[whole]) && text[whole]) whole++;
  if (whole == 0 || (whole > 1 && text[0] == '0')) return d;
  if (whole < bytes) {
    if (text[whole] != '.') return d;
    while (whole + 1 + part < bytes && text[whole + 1 + part] >= '0' && text[whole + 1 + part] <= '9') part++;
    if (part == 0 || whole + 1 + part < bytes) return d;
  }
  memcpy(d.whole, text, whole);
  if (strcmp(d.whole, "0") == 0) d.whole[0] = 0;
  memcpy(d.part, text + whole + 1, part);
  while (part && d.part[part - 1] == '0') d.part[--part] = 0;
  d.legal = true;
  return d;
}

static void check_text(const char *text, size_t bytes, unsigned decimals) {
  digits d = split(text, bytes);
  unsigned integer_digits = 77, need = 77;
  WB_CHECK(wb_decimal_need(text, bytes, &integer_digits, &need) == (d.legal ? 0 : WB_E_SYNTAX));
  if (d.legal) WB_CHECK(integer_digits == strlen(d.whole) && need == strlen(d.part));
  else WB_CHECK(integer_digits == 77 && need == 77);

  uint64_t value = 4711;
  int result = wb_decimal_parse(text, bytes, decimals, &value);
  if (!d.legal) {
    WB_CHECK(result == WB_E_SYNTAX && value == 4711);
    return;
  }
  char moved[128] = "", most[] = "4611686018427387903";
  strcat(strcat(moved, d.whole), d.part);
  for (size_t i = strlen(d.part); i < decimals; i++) strcat(moved, "0");
  const char *from = moved + strspn(moved, "0");
  bool fits =
      strlen(d.part) <= decimals && (strlen(from) < strlen(most) || (strlen(from) == strlen(most) && strcmp(from, most) <= 0));
  WB_CHECK(result == (fits ? 0 : WB_E_RANGE));
  WB_CHECK(value == (fits ? strtoull(*from ? from : "0", NULL, 10) : 4711));
  if (!fits) return;
  char printed[WB_DECIMAL_TEXT_BYTES];
  size_t length = wb_decimal_print((__int128)value, decimals, printed);
  digits again = split(printed, length);
  WB_CHECK(length == strlen(printed) && again.legal);
  WB_CHECK(strcmp(again.whole, d.whole) == 0 && strcmp(again.part, d.part) == 0);
}

/* bytes[0..16), the lowest first, as a decimal number of two's complement, least digit first. */
static void check_print(const uint8_t bytes[16], unsigned decimals) {
  unsigned __int128 raw = 0;
  uint8_t rest[16], digit[64] = {0};
  for (int i = 15; i >= 0; i--) raw = raw << 8 | bytes[i];
  bool negative = bytes[15] >= 0x80;
  unsigned carry = negative;
  for (int i = 0; i < 16; i++) {
    unsigned byte = negative ? (uint8_t)~bytes[i] + carry : bytes[i];
    rest[i] = (uint8_t)byte;
    carry = negative ? byte >> 8 : 0;
  }
  unsigned count = 0;
  for (bool more = true; more; count++) {
    unsigned left = 0;
    more = false;
    for (int i = 15; i >= 0; i--) {
      left = left << 8 | rest[i];
      rest[i] = (uint8_t)(left / 10);
      left %= 10;
      more |= rest[i] != 0;
    }
    digit[count] = (uint8_t)left;
  }
  char wanted[80], printed[WB_DECIMAL_TEXT_BYTES];
  size_t n = 0;
  if (count < decimals + 1) count = decimals + 1;
  if (negative) wanted[n++] = '-';
  unsigned end = 0;
  while (end < decimals && digit[end] == 0) end++;
  for (unsigned i = count; i-- > end;) {
    wanted[n++] = (char)('0' + digit[i]);
    if (i == decimals && i > end) wanted[n++] = '.';
  }
  wanted[n] = 0;
  WB_CHECK(wb_decimal_print((__int128)raw, decimals, printed) == n && memcmp(printed, wanted, n + 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  check_text((const char *)data + 1, size - 1, data[0] % (WB_DECIMALS_MAX + 1));
  if (size == 17) check_print(data + 1, data[0] % 37);
  return 0;
}
