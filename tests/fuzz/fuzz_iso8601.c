/* fuzz_iso8601.c - times of the venues, against a calendar that counts days one by one.
 *
 * Input:   the text.
 * Oracle:  a pattern says whether the form is right; days are counted month by month from 1678. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/codec/iso8601.h"
#include "engine/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool like(const uint8_t *text, const char *pattern) {
  for (; *pattern; pattern++, text++)
    if (*pattern == '9' ? *text < '0' || *text > '9' : *text != (uint8_t)*pattern) return false;
  return true;
}

static int number(const uint8_t *text, int count) {
  int value = 0;
  while (count--) value = value * 10 + (*text++ - '0');
  return value;
}

static int month_days(int year, int month) {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Days from the first of 1678 to the first of the month. */
static int64_t days_before(int year, int month) {
  int64_t days = 0;
  for (int y = 1678; y < year; y++)
    for (int m = 1; m <= 12; m++) days += month_days(y, m);
  for (int m = 1; m < month; m++) days += month_days(year, m);
  return days;
}

static int model(const uint8_t *text, size_t bytes, int64_t *time_ns) {
  static const char pattern[] = "9999-99-99T99:99:99.999999999";
  char wanted[40];
  if (bytes < 20 || bytes > 30 || bytes == 21) return WB_E_SYNTAX;
  memcpy(wanted, pattern, bytes - 1);
  wanted[bytes - 1] = 'Z';
  wanted[bytes] = 0;
  if (!like(text, wanted)) return WB_E_SYNTAX;
  int year = number(text, 4), month = number(text + 5, 2), day = number(text + 8, 2), hour = number(text + 11, 2),
      minute = number(text + 14, 2), second = number(text + 17, 2);
  if (month == 0 || month > 12 || day == 0 || day > month_days(year, month) || hour > 23 || minute > 59) return WB_E_SYNTAX;
  if (second > 60 || (second == 60 && hour * 60 + minute != 1439)) return WB_E_SYNTAX;
  if (year == 1) return *time_ns = WB_TIME_NONE, 0;
  if (year < 1678 || year > 2261) return WB_E_SYNTAX;
  int64_t days = days_before(year, month) + day - 1 - days_before(1970, 1), fraction = 0;
  for (int i = 0; i < 9; i++) fraction = fraction * 10 + (20 + i < (int)bytes - 1 ? text[20 + i] - '0' : 0);
  *time_ns = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000000000 + fraction;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int64_t wanted = 42, got = 42;
  int code = model(data, size, &wanted);
  WB_CHECK(wb_iso8601_parse((const char *)data, size, &got) == code && got == wanted);
  return 0;
}
