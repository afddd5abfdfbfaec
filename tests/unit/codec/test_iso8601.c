#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "engine/base/error.h"
#include "engine/codec/iso8601.h"
#include "engine/event.h"

static int parse(const char *text, int64_t *time_ns) { return wb_iso8601_parse(text, strlen(text), time_ns); }

Test(iso8601, refuses_every_other_form_and_leaves_the_result_alone) {
  static const char *const texts[] = {"",
                                      "Z",
                                      "2026-08-02",
                                      "2026-08-02T05:43:52",
                                      "2026-08-02T05:43:52.535977",
                                      "2026-08-02T05:43:52.Z",
                                      "2026-08-02T05:43:52.1234567890Z",
                                      "2026-08-02t05:43:52Z",
                                      "2026-08-02T05:43:52z",
                                      "2026-08-02 05:43:52Z",
                                      "2026-08-02T05:43:52+00:00",
                                      "2026-08-02T05:43:52,5Z",
                                      "2026-8-02T05:43:52.5Z",
                                      "2026-08-02T05:43:5xZ",
                                      "2026-08-02T05:43:52.53597xZ",
                                      "2026-00-02T05:43:52Z",
                                      "2026-13-02T05:43:52Z",
                                      "2026-08-00T05:43:52Z",
                                      "2026-08-32T05:43:52Z",
                                      "2026-06-31T05:43:52Z",
                                      "2026-02-29T05:43:52Z",
                                      "1900-02-29T05:43:52Z",
                                      "2026-08-02T24:00:00Z",
                                      "2026-08-02T05:60:52Z",
                                      "2026-08-02T05:43:60Z",
                                      "2026-12-31T23:59:61Z",
                                      "0000-01-01T00:00:00Z",
                                      "0002-01-01T00:00:00Z",
                                      "1677-12-31T23:59:59Z",
                                      "2262-01-01T00:00:00Z",
                                      "9999-12-31T23:59:59Z",
                                      "-026-08-02T05:43:52Z",
                                      "2026-08-02T05:43:52.535977ZZ",
                                      " 026-08-02T05:43:52Z",
                                      "2026/08/02T05:43:52Z",
                                      "20260802T054352.000Z"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    int64_t time_ns = 42;
    cr_assert_eq(parse(texts[i], &time_ns), WB_E_SYNTAX, "%s", texts[i]);
    cr_assert_eq(time_ns, 42);
  }
}

Test(iso8601, reads_nanoseconds_since_1970_with_0_to_9_places) {
  static const struct {
    const char *text;
    int64_t want;
  } cases[] = {{"1970-01-01T00:00:00Z", 0},
               {"1970-01-01T00:00:00.000000001Z", 1},
               {"1969-12-31T23:59:59.999999999Z", -1},
               {"2026-08-02T05:43:52.535977Z", 1785649432535977000},
               {"2019-08-01T00:00:03.118Z", 1564617603118000000},
               {"2000-02-29T12:00:00.5Z", 951825600500000000},
               {"2016-12-31T23:59:60Z", 1483228800000000000},
               {"2261-12-31T23:59:59.999999999Z", 9214646399999999999},
               {"1678-01-01T00:00:00Z", -9214560000000000000}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t time_ns = 42;
    cr_assert_eq(parse(cases[i].text, &time_ns), 0, "%s", cases[i].text);
    cr_assert_eq(time_ns, cases[i].want, "%s: %lld", cases[i].text, (long long)time_ns);
  }
}

Test(iso8601, year_1_is_no_time) {
  int64_t time_ns = 42;
  cr_assert_eq(parse("0001-01-01T00:00:00.000000Z", &time_ns), 0);
  cr_assert_eq(time_ns, WB_TIME_NONE);
}

static int parse_go(const char *text, int64_t *time_ns) {
  size_t bytes = strlen(text);
  char *exact = malloc(bytes ? bytes : 1);
  memcpy(exact, text, bytes);
  int code = wb_iso8601_parse_go(exact, bytes, time_ns);
  free(exact);
  return code;
}

Test(iso8601, reads_a_time_as_go_prints_it_with_and_without_its_monotonic_clock) {
  static const struct {
    const char *text;
    int64_t want;
  } cases[] = {{"2026-09-07 23:37:22.674409 +0000 UTC m=+139651.272674714", 1788824242674409000},
               {"1970-01-01 00:00:01 +0000 UTC", 1000000000},
               {"1970-01-01 00:00:01.000000001 +0000 UTC m=-0.5", 1000000001},
               {"1970-01-01 00:00:01.5 +0000 UTC m=+7", 1500000000},
               {"0001-01-01 00:00:00 +0000 UTC", WB_TIME_NONE}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t time_ns = 42;
    cr_assert_eq(parse_go(cases[i].text, &time_ns), 0, "%s", cases[i].text);
    cr_assert_eq(time_ns, cases[i].want, "%s: %lld", cases[i].text, (long long)time_ns);
  }
}

Test(iso8601, refuses_times_in_any_other_form_than_gos) {
  static const char whole[] = "2026-09-07 23:37:22.674409 +0000 UTC m=+139651.272674714";
  static const char *const texts[] = {"2026-09-07T23:37:22.674409 +0000 UTC",
                                      "2026-09-07T23:37:22Z",
                                      "2026-09-07 23:37:22 -0500 EST",
                                      "2026-09-07 23:37:22 +0100 UTC",
                                      "2026-09-07 23:37:22 +0000 UTC ",
                                      "2026-09-07 23:37:22 +0000 UTC m=",
                                      "2026-09-07 23:37:22 +0000 UTC m=+",
                                      "2026-09-07 23:37:22 +0000 UTC m=1",
                                      "2026-09-07 23:37:22 +0000 UTC m=+.5",
                                      "2026-09-07 23:37:22 +0000 UTC m=+1.5.5",
                                      "2026-09-07 23:37:22 +0000 UTC m=+1x",
                                      "2026-09-07 23:37:22. +0000 UTC",
                                      "2026-09-07 23:37:22.0123456789 +0000 UTC",
                                      "2026-13-07 23:37:22 +0000 UTC",
                                      "2026-09-07  23:37:22 +0000 UTC"};
  int64_t time_ns = 42;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    cr_assert_eq(parse_go(texts[i], &time_ns), WB_E_SYNTAX, "%s", texts[i]);
  for (size_t bytes = 0; bytes < sizeof "2026-09-07 23:37:22.674409 +0000 UTC" - 1; bytes++) {
    char text[sizeof whole] = {0};
    memcpy(text, whole, bytes);
    cr_assert_eq(parse_go(text, &time_ns), WB_E_SYNTAX, "%s", text);
  }
  cr_assert_eq(time_ns, 42);
}

Test(iso8601, agrees_with_timegm_on_every_day_of_its_range) {
  for (int64_t day = -106650; day < 106650; day++) {
    time_t seconds = (time_t)(day * 86400 + (day * 7919) % 86400);
    struct tm civil;
    char text[64];
    gmtime_r(&seconds, &civil);
    if (civil.tm_year + 1900 < 1678 || civil.tm_year + 1900 > 2261) continue;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &civil);
    int64_t time_ns;
    cr_assert_eq(parse(text, &time_ns), 0, "%s", text);
    cr_assert_eq(time_ns, (int64_t)seconds * 1000000000, "%s", text);
  }
}
