#include "engine/codec/iso8601.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/event.h"

static bool digits(const char *text, unsigned count, unsigned *value) {
  *value = 0;
  for (unsigned i = 0; i < count; i++) {
    unsigned digit = (unsigned)(unsigned char)text[i] - '0';
    if (digit > 9) return false;
    *value = *value * 10 + digit;
  }
  return true;
}

static unsigned days_in_month(unsigned year, unsigned month) {
  static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

static int64_t days_from_civil(int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  int64_t era = year / 400;
  unsigned year_of_era = (unsigned)(year - era * 400);
  unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + (int64_t)day_of_era - 719468;
}

int wb_iso8601_parse(const char *text, size_t bytes, int64_t *time_ns) {
  unsigned year, month, day, hour, minute, second, fraction = 0;
  if (bytes < 20 || bytes == 21 || bytes > 30 || text[bytes - 1] != 'Z') return WB_E_SYNTAX;
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') return WB_E_SYNTAX;
  if (!digits(text, 4, &year) || !digits(text + 5, 2, &month) || !digits(text + 8, 2, &day) || !digits(text + 11, 2, &hour) ||
      !digits(text + 14, 2, &minute) || !digits(text + 17, 2, &second))
    return WB_E_SYNTAX;
  if (bytes > 20) {
    unsigned places = (unsigned)bytes - 21;
    if (text[19] != '.' || !digits(text + 20, places, &fraction)) return WB_E_SYNTAX;
    for (; places < 9; places++) fraction *= 10;
  }
  if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59) return WB_E_SYNTAX;
  if (second > 59 && !(second == 60 && hour == 23 && minute == 59)) return WB_E_SYNTAX;
  if (year == 1) {
    *time_ns = WB_TIME_NONE;
    return 0;
  }
  if (year < 1678 || year > 2261) return WB_E_SYNTAX;
  int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  *time_ns = seconds * 1000000000 + fraction;
  return 0;
}

/* " m=+139651.272674714" or nothing. */
static bool is_monotonic(const char *text, size_t bytes) {
  if (bytes == 0) return true;
  if (bytes < 5 || memcmp(text, " m=", 3) != 0 || (text[3] != '+' && text[3] != '-')) return false;
  unsigned dots = 0, value;
  for (size_t i = 4; i < bytes; i++)
    if (text[i] == '.' && i > 4 && i + 1 < bytes) dots++;
    else if (!digits(text + i, 1, &value)) return false;
  return dots <= 1;
}

int wb_iso8601_parse_go(const char *text, size_t bytes, int64_t *time_ns) {
  static const char zone[] = " +0000 UTC";
  enum { PLAIN_BYTES = 19, ZONE_BYTES = sizeof zone - 1, POINT_BYTES_MAX = 10 };
  size_t length = PLAIN_BYTES;
  while (length < bytes && length < PLAIN_BYTES + POINT_BYTES_MAX && text[length] != ' ') length++;
  if (bytes < length + ZONE_BYTES || text[10] != ' ' || memcmp(text + length, zone, ZONE_BYTES) != 0) return WB_E_SYNTAX;
  if (!is_monotonic(text + length + ZONE_BYTES, bytes - length - ZONE_BYTES)) return WB_E_SYNTAX;
  char plain[PLAIN_BYTES + POINT_BYTES_MAX + 1];
  memcpy(plain, text, length);
  plain[10] = 'T';
  plain[length] = 'Z';
  return wb_iso8601_parse(plain, length + 1, time_ns);
}
