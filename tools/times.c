#include "tools/times.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/host.h"

static bool ago(const char *text, int64_t *utc_ns) {
  static const char units[] = "smhdw";
  static const int64_t seconds[] = {1, 60, 3600, 86400, 604800};
  char *end;
  if (*text < '0' || *text > '9') return false;
  unsigned long long n = strtoull(text, &end, 10);
  const char *unit = *end ? strchr(units, *end) : units;
  if (!unit || (*end && end[1]) || n > 1000000000) return false;
  *utc_ns = wb_clock_utc_ns() - (int64_t)n * seconds[unit - units] * 1000000000;
  return true;
}

bool wb_speed_parse(const char *text, double *speed) {
  *speed = 0;
  if (strcmp(text, "max") == 0) return true;
  char *end;
  *speed = strtod(text, &end);
  return *text >= '0' && *text <= '9' && *speed > 0 && *speed < 1e9 && (strcmp(end, "x") == 0 || *end == 0);
}

bool wb_time_parse(const char *text, int64_t *utc_ns) {
  if (*text == '-') return ago(text + 1, utc_ns);
  static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%s"};
  for (unsigned i = 0; i < sizeof forms / sizeof *forms; i++) {
    struct tm at = {0};
    const char *end = strptime(text, forms[i], &at);
    if (!end || (i == 3 && strspn(text, "0123456789.") != strlen(text))) continue;
    int64_t seconds = i == 3 ? strtoll(text, NULL, 10) : timegm(&at), fraction = 0;
    if (*end == '.' && (i == 0 || i == 3)) {
      int64_t unit = 100000000;
      for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10) fraction += (*end - '0') * unit;
    }
    if (*end == 'Z' && i != 3) end++;
    if (*end || seconds < 0 || seconds > INT64_MAX / 1000000000 - 1) continue;
    *utc_ns = seconds * 1000000000 + fraction;
    return true;
  }
  return false;
}
