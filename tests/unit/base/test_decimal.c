#include "engine/base/decimal.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "tests/unit/random.h"

static int parse(const char *text, unsigned decimals, uint64_t *value) {
  return wb_decimal_parse(text, strlen(text), decimals, value);
}

Test(decimal, text_outside_the_grammar_is_a_syntax_error_and_leaves_the_value_alone) {
  static const char *const bad[] = {
      "",       ".",     "-",     "+1",       "-1",    "-0",    "1.",   ".5",
      "1..2",   "1.2.3", "007",   "00",       "00.5",  "01",    "1e5",  "1E5",
      "1.5e-3", "0x10",  " 1",    "1 ",       "1,000", "NaN",   "inf",  "1_0",
      "\t1",    "1\n",   "1.-5",  "0.-10000", "1.+5",  "１",    "1.2e", "e1",
      "--1",    "1-",    "1.2-3", "true",     "null",  "\"1\"", "0..0", "11111111111111111111111111111111111111111"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    uint64_t value = 77;
    unsigned digits = 7, decimals = 9;
    cr_expect_eq(parse(bad[i], 8, &value), WB_E_SYNTAX, "'%s'", bad[i]);
    cr_expect_eq(wb_decimal_need(bad[i], strlen(bad[i]), &digits, &decimals), WB_E_SYNTAX, "'%s'", bad[i]);
    cr_expect(value == 77 && digits == 7 && decimals == 9, "'%s' wrote", bad[i]);
  }
}

Test(decimal, a_nul_inside_the_text_is_a_syntax_error) {
  uint64_t value;
  cr_expect_eq(wb_decimal_parse("1\0", 2, 0, &value), WB_E_SYNTAX);
  cr_expect_eq(wb_decimal_parse("1\0002", 3, 0, &value), WB_E_SYNTAX);
}

Test(decimal, only_the_given_bytes_are_read) {
  uint64_t value;
  cr_expect_eq(wb_decimal_parse("123x", 3, 0, &value), 0);
  cr_expect_eq(value, 123);
}

Test(decimal, more_decimals_than_fit_or_too_large_a_number_is_out_of_range) {
  static const struct {
    const char *text;
    unsigned decimals;
  } bad[] = {{"0.1", 0},
             {"1.23", 1},
             {"0.000000001", 8},
             {"4611686018427387904", 0},
             {"4.611686018427387904", 18},
             {"46116860184.27387904", 8},
             {"9999999999999999999", 0},
             {"18446744073709551616", 0},
             {"9999999999999999999999999999999999999999", 0},
             {"9999999999999999999", 18},
             {"0.00000000000000000000000000000000000001", 18},
             {"1", 19}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    uint64_t value = 77;
    cr_expect_eq(parse(bad[i].text, bad[i].decimals, &value), WB_E_RANGE, "%s at %u", bad[i].text, bad[i].decimals);
    cr_expect_eq(value, 77);
  }
}

Test(decimal, numbers_of_the_feed_are_exact) {
  static const struct {
    const char *text;
    unsigned decimals;
    uint64_t value;
  } good[] = {{"0", 0, 0},
              {"0", 18, 0},
              {"0.0", 0, 0},
              {"0.00000000", 2, 0},
              {"1", 0, 1},
              {"1.50", 1, 15},
              {"1.5000000000000000000000", 1, 15},
              {"37479.69", 2, 3747969},
              {"37479.69", 8, 3747969000000},
              {"0.00000001", 8, 1},
              {"9999999999.00", 8, 999999999900000000},
              {"4611686018427387903", 0, WB_QUANTITY_MAX},
              {"4.611686018427387903", 18, WB_QUANTITY_MAX},
              {"46116860184.27387903", 8, WB_QUANTITY_MAX}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    uint64_t value = 77;
    cr_expect_eq(parse(good[i].text, good[i].decimals, &value), 0, "%s", good[i].text);
    cr_expect_eq(value, good[i].value, "%s at %u gave %" PRIu64, good[i].text, good[i].decimals, value);
  }
}

Test(decimal, need_counts_digits_without_zeros_that_say_nothing) {
  static const struct {
    const char *text;
    unsigned digits, decimals;
  } good[] = {{"0", 0, 0},   {"0.0", 0, 0}, {"0.5", 0, 1},    {"0.050", 0, 2},          {"1", 1, 0},
              {"1.0", 1, 0}, {"10", 2, 0},  {"100.10", 3, 1}, {"9999999999.00", 10, 0}, {"0.00000001", 0, 8}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    unsigned digits = 99, decimals = 99;
    cr_expect_eq(wb_decimal_need(good[i].text, strlen(good[i].text), &digits, &decimals), 0);
    cr_expect(digits == good[i].digits && decimals == good[i].decimals, "%s: %u %u", good[i].text, digits, decimals);
  }
}

Test(decimal, print_writes_the_shortest_exact_text) {
  static const struct {
    int64_t value;
    unsigned decimals;
    const char *text;
  } good[] = {{0, 0, "0"},
              {0, 36, "0"},
              {1, 0, "1"},
              {-1, 0, "-1"},
              {10, 1, "1"},
              {-15, 1, "-1.5"},
              {5, 1, "0.5"},
              {-5, 3, "-0.005"},
              {3747969, 2, "37479.69"},
              {100, 0, "100"},
              {1, 18, "0.000000000000000001"},
              {-1924455, 2, "-19244.55"},
              {INT64_MIN, 0, "-9223372036854775808"}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    char text[WB_DECIMAL_TEXT_BYTES];
    size_t length = wb_decimal_print(good[i].value, good[i].decimals, text);
    cr_expect_str_eq(text, good[i].text);
    cr_expect_eq(length, strlen(good[i].text));
  }
}

Test(decimal, print_has_room_for_the_longest_text) {
  char text[WB_DECIMAL_TEXT_BYTES];
  __int128 least = (__int128)1 << 126;
  least = -least - least;
  wb_decimal_print(least, 0, text);
  cr_expect_str_eq(text, "-170141183460469231731687303715884105728");
  wb_decimal_print(least, 36, text);
  cr_expect_str_eq(text, "-170.141183460469231731687303715884105728");
  wb_decimal_print(-1, 36, text);
  cr_expect_str_eq(text, "-0.000000000000000000000000000000000001");
}

Test(decimal, print_with_too_many_decimals_is_a_programmer_error, .signal = SIGABRT) {
  char text[WB_DECIMAL_TEXT_BYTES];
  wb_decimal_print(1, 37, text);
}

Test(decimal, pow10_is_exact_up_to_18) {
  uint64_t expected = 1;
  for (unsigned n = 0; n <= 18; n++, expected *= 10) cr_expect_eq(wb_pow10(n), expected);
}

Test(decimal, pow10_of_19_is_a_programmer_error, .signal = SIGABRT) { wb_pow10(19); }

/* The slow model: decimal strings, no arithmetic. */
static int model(const char *text, unsigned decimals, char *digits) {
  const char *dot = strchr(text, '.'), *fraction = dot ? dot + 1 : "";
  size_t whole = dot ? (size_t)(dot - text) : strlen(text), have = strlen(fraction);
  while (have > 0 && fraction[have - 1] == '0') have--;
  if (have > decimals) return WB_E_RANGE;
  char all[128];
  snprintf(all, sizeof all, "%.*s%.*s", (int)whole, text, (int)have, fraction);
  for (size_t i = have; i < decimals; i++) strcat(all, "0");
  const char *start = all;
  while (start[0] == '0' && start[1] != '\0') start++;
  strcpy(digits, start);
  const char *most = "4611686018427387903";
  if (strlen(digits) != strlen(most)) return strlen(digits) > strlen(most) ? WB_E_RANGE : 0;
  return strcmp(digits, most) > 0 ? WB_E_RANGE : 0;
}

Test(decimal, a_hundred_thousand_random_numbers_equal_a_model_of_digit_strings) {
  seed();
  unsigned accepted = 0;
  for (unsigned turn = 0; turn < 100000; turn++) {
    char text[64], digits[128], printed[32];
    size_t length = 0;
    unsigned whole = 1 + (unsigned)(next() % (turn % 4 == 0 ? 20 : 10)),
             fraction = (unsigned)(next() % (turn % 8 == 0 ? 20 : 10));
    if (next() % 4 == 0) text[length++] = '0';
    else
      for (unsigned i = 0; i < whole; i++) text[length++] = (char)('0' + (i == 0 ? 1 + next() % 9 : next() % 10));
    if (fraction) text[length++] = '.';
    for (unsigned i = 0; i < fraction; i++) text[length++] = (char)('0' + (next() % 3 == 0 ? 0 : next() % 10));
    text[length] = '\0';
    unsigned decimals = (unsigned)(next() % 19);
    uint64_t value = 0;
    int expected = model(text, decimals, digits), got = wb_decimal_parse(text, length, decimals, &value);
    cr_assert_eq(got, expected, "%s at %u: %d, model says %d", text, decimals, got, expected);
    if (got != 0) continue;
    accepted++;
    snprintf(printed, sizeof printed, "%" PRIu64, value);
    cr_assert_str_eq(printed, digits, "%s at %u", text, decimals);

    /* What was read prints as the same number: its text without the zeros at the end, and reads back. */
    char again[WB_DECIMAL_TEXT_BYTES];
    size_t again_length = wb_decimal_print((__int128)value, decimals, again);
    if (strchr(text, '.')) {
      while (text[length - 1] == '0') text[--length] = '\0';
      if (text[length - 1] == '.') text[--length] = '\0';
    }
    cr_assert_str_eq(again, text);
    unsigned need_whole, need_decimals;
    cr_assert_eq(wb_decimal_need(again, again_length, &need_whole, &need_decimals), 0);
    uint64_t shortest;
    cr_assert_eq(wb_decimal_parse(again, again_length, need_decimals, &shortest), 0);
    cr_assert_eq((unsigned __int128)shortest * wb_pow10(decimals - need_decimals), value);
  }
  cr_assert_gt(accepted, 20000);
}

Test(decimal, a_hundred_thousand_random_texts_are_accepted_exactly_when_the_grammar_says_so) {
  seed();
  regex_t grammar;
  cr_assert_eq(regcomp(&grammar, "^(0|[1-9][0-9]*)(\\.[0-9]+)?$", REG_EXTENDED | REG_NOSUB), 0);
  static const char alphabet[] = "00123456789..-+eE x";
  unsigned accepted = 0;
  for (unsigned turn = 0; turn < 100000; turn++) {
    char text[64];
    size_t length = turn % 16 == 0 ? next() % 45 : next() % 7;
    size_t kinds = turn % 2 == 0 ? sizeof alphabet - 1 : 12;
    for (size_t i = 0; i < length; i++) text[i] = alphabet[next() % kinds];
    text[length] = '\0';
    bool expected = length <= 40 && regexec(&grammar, text, 0, NULL, 0) == 0;
    uint64_t value;
    unsigned whole, decimals;
    cr_assert_eq(wb_decimal_need(text, length, &whole, &decimals) == 0, expected, "'%s'", text);
    cr_assert_eq(wb_decimal_parse(text, length, 18, &value) != WB_E_SYNTAX, expected, "'%s'", text);
    accepted += expected;
  }
  regfree(&grammar);
  cr_assert_gt(accepted, 10000);
}

Test(decimal, a_hundred_thousand_random_values_print_as_a_model_of_digit_strings) {
  seed();
  for (unsigned turn = 0; turn < 100000; turn++) {
    unsigned __int128 magnitude = ((unsigned __int128)next() << 64 | next()) >> (next() % 127 + 1);
    if (next() % 2) magnitude = magnitude / 1000 * 1000;
    bool negative = next() % 2 && magnitude;
    unsigned decimals = (unsigned)(next() % 37);
    char digits[64], expected[128], text[WB_DECIMAL_TEXT_BYTES];
    size_t count = 0, used = 0;
    for (unsigned __int128 rest = magnitude; rest || count <= decimals; rest /= 10)
      digits[count++] = (char)('0' + (int)(rest % 10));
    if (negative) expected[used++] = '-';
    for (size_t i = count; i-- > 0;) {
      expected[used++] = digits[i];
      if (i == decimals && decimals) expected[used++] = '.';
    }
    if (decimals) {
      while (expected[used - 1] == '0') used--;
      if (expected[used - 1] == '.') used--;
    }
    expected[used] = '\0';
    __int128 value = negative ? -(__int128)magnitude : (__int128)magnitude;
    cr_assert_eq(wb_decimal_print(value, decimals, text), used);
    cr_assert_str_eq(text, expected);
  }
}
