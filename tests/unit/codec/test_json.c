#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/codec/json.h"

/* The text in memory of exactly its size, so that the address sanitizer sees a byte too far. Returns the code of a skip over it
 * that must end where the text ends. */
static int whole(const char *text, size_t bytes, uint32_t *at) {
  uint8_t *copy = malloc(bytes ? bytes : 1);
  memcpy(copy, text, bytes);
  wb_json json = {copy, (uint32_t)bytes, 0};
  wb_json_value value;
  int code = wb_json_skip(&json, 0, &value);
  if (code == 0) wb_json_blank(&json);
  if (code == 0 && json.at != bytes) code = WB_E_SYNTAX;
  if (at) *at = json.at;
  free(copy);
  return code;
}

static int legal(const char *text) { return whole(text, strlen(text), NULL); }

Test(json, takes_every_kind_of_value_that_the_grammar_has) {
  static const char *const texts[] = {"{}",
                                      "[]",
                                      "null",
                                      "true",
                                      "false",
                                      "0",
                                      "-0",
                                      "-0.0",
                                      "10",
                                      "1.5",
                                      "1e5",
                                      "1E+5",
                                      "1e-005",
                                      "-12.25E+0",
                                      "\"\"",
                                      "\"a\"",
                                      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uD83D\\ude00\"",
                                      "\"\\ud800\"",
                                      "\"\x7f\"",
                                      " \t\r\n[ 1 , 2 ] \n",
                                      "[[[]],{}]",
                                      "{\"a\":{\"b\":[{\"c\":null}]},\"d\":[]}",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"\":0}",
                                      "[\"12345678\",\"1234567\\n\"]"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) cr_assert_eq(legal(texts[i]), 0, "%s", texts[i]);
}

Test(json, refuses_what_the_grammar_has_not) {
  static const char *const texts[] = {"",
                                      " ",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "[,1]",
                                      "[1 2]",
                                      "{,}",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\" 1}",
                                      "{a:1}",
                                      "{'a':1}",
                                      "{1:1}",
                                      "[1}",
                                      "{\"a\":1]",
                                      "[",
                                      "{",
                                      "]",
                                      "}",
                                      "[[]",
                                      "{\"a\":{}",
                                      "01",
                                      "-",
                                      "-01",
                                      "+1",
                                      ".5",
                                      "5.",
                                      "1.e5",
                                      "1e",
                                      "1e+",
                                      "0x10",
                                      "1 2",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "nul",
                                      "nulll",
                                      "True",
                                      "tru",
                                      "\"",
                                      "\"a",
                                      "\"\\\"",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u12g4\"",
                                      "\"\\U0041\"",
                                      "\"a\nb\"",
                                      "\"a\tb\"",
                                      "\"\x1f\"",
                                      "[1]//x",
                                      "/**/1",
                                      "[1];",
                                      "\xef\xbb\xbf[]",
                                      "\v1",
                                      "\f1",
                                      "[1],",
                                      "{}{}",
                                      "\"\\"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) cr_assert_eq(legal(texts[i]), WB_E_SYNTAX, "%s", texts[i]);
}

Test(json, refuses_a_nul_byte_wherever_it_stands) {
  static const char text[] = "{\"a\":[1,\"b\",true]}";
  for (size_t i = 0; i < sizeof text; i++) {
    char with[sizeof text];
    memcpy(with, text, i);
    with[i] = 0;
    memcpy(with + i + 1, text + i, sizeof text - 1 - i);
    cr_assert_eq(whole(with, sizeof text, NULL), WB_E_SYNTAX, "%zu", i);
  }
}

Test(json, says_where_the_trouble_was_seen) {
  static const struct {
    const char *text;
    uint32_t at;
  } cases[] = {{"", 0},      {"[1,]", 3},     {"{\"a\":1,}", 7}, {"[1 2]", 3}, {"01", 1},
               {"[tru]", 4}, {"\"a\nb\"", 2}, {"\"\\q\"", 2},    {"[1", 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t at;
    cr_assert_eq(whole(cases[i].text, strlen(cases[i].text), &at), WB_E_SYNTAX);
    cr_assert_eq(at, cases[i].at, "%s: %u", cases[i].text, at);
  }
}

Test(json, every_truncation_of_an_object_is_refused) {
  static const char text[] = "{\"a\":[1.5,-2e3,\"\\u0041x\",{\"b\":null}],\"c\":true}";
  cr_assert_eq(legal(text), 0);
  for (size_t i = 0; i < sizeof text - 1; i++) cr_assert_eq(whole(text, i, NULL), WB_E_SYNTAX, "%zu", i);
}

Test(json, nests_to_the_limit_and_no_further_and_a_million_brackets_cost_no_stack) {
  char text[2 * WB_JSON_DEPTH_MAX + 3];
  for (unsigned depth = WB_JSON_DEPTH_MAX; depth <= WB_JSON_DEPTH_MAX + 1; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    cr_assert_eq(whole(text, 2 * depth, NULL), depth > WB_JSON_DEPTH_MAX ? WB_E_SYNTAX : 0);
    wb_json json = {(const uint8_t *)text + 1, 2 * depth - 2, 0};
    wb_json_value value;
    cr_assert_eq(wb_json_skip(&json, 1, &value), depth > WB_JSON_DEPTH_MAX ? WB_E_SYNTAX : 0);
  }
  char *many = malloc(1000000);
  for (unsigned i = 0; i < 1000000; i++) many[i] = i % 5 == 0 ? '{' : "{\"a\":"[i % 5];
  cr_assert_eq(whole(many, 1000000, NULL), WB_E_SYNTAX);
  memset(many, '[', 1000000);
  cr_assert_eq(whole(many, 1000000, NULL), WB_E_SYNTAX);
  free(many);
}

Test(json, finds_members_whatever_their_order_white_space_and_escapes) {
  static const char *const names[] = {"type", "product_id", "absent"};
  static const char text[] = " { \"x\" : [1,{\"type\":2}] ,\"pr\\u006fduct_id\":\"a\" , \"\\u0074ype\"\t:\n\"b\" } ";
  wb_json json = {(const uint8_t *)text, sizeof text - 1, 0};
  wb_json_value value[3];
  uint32_t twice;
  cr_assert_eq(wb_json_members(&json, 0, names, 3, value, &twice), 0);
  cr_assert_eq(twice, 0);
  cr_assert_eq(memcmp(text + value[0].at, "\"b\"", 3), 0);
  cr_assert_eq(value[0].end - value[0].at, 3);
  cr_assert_eq(memcmp(text + value[1].at, "\"a\"", 3), 0);
  cr_assert_eq(value[2].at, 0);
  cr_assert_eq(json.at, sizeof text - 2);
}

Test(json, tells_which_members_came_twice_and_keeps_what_it_found_of_a_broken_object) {
  static const char *const names[] = {"a", "b"};
  static const char text[] = "{\"a\":1,\"b\":2,\"\\u0061\":3,\"c\":4,\"c\":5,]";
  wb_json json = {(const uint8_t *)text, sizeof text - 1, 0};
  wb_json_value value[2];
  uint32_t twice;
  cr_assert_eq(wb_json_members(&json, 0, names, 2, value, &twice), WB_E_SYNTAX);
  cr_assert_eq(twice, 1);
  cr_assert_eq(text[value[0].at], '3');
  cr_assert_eq(text[value[1].at], '2');
  cr_assert_eq(json.at, sizeof text - 2);
}

Test(json, goes_through_the_elements_of_an_array) {
  static const char text[] = "[ 1,\"a,]\" , [2,[3]],{\"k\":[]} ]x";
  static const char *const want[] = {"1", "\"a,]\"", "[2,[3]]", "{\"k\":[]}"};
  wb_json json = {(const uint8_t *)text, sizeof text - 1, 1};
  wb_json_value value;
  unsigned count = 0;
  for (; wb_json_element(&json, &value); count++) {
    cr_assert_lt(count, 4);
    cr_assert_eq(value.end - value.at, strlen(want[count]));
    cr_assert_eq(memcmp(text + value.at, want[count], strlen(want[count])), 0);
  }
  cr_assert_eq(count, 4);
  cr_assert_eq(text[json.at], 'x');
  wb_json empty = {(const uint8_t *)"[ ]", 3, 1};
  cr_assert_not(wb_json_element(&empty, &value));
  cr_assert_eq(empty.at, 3);
}

Test(json, decodes_strings_and_says_when_they_are_too_long) {
  static const struct {
    const char *text, *want;
  } cases[] = {{"\"\"", ""},
               {"\"abc\"", "abc"},
               {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
               {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac"},
               {"\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80"},
               {"\"\\uD83Dx\"", "\xed\xa0\xbdx"},
               {"\"\\uDE00\\uD83D\"", "\xed\xb8\x80\xed\xa0\xbd"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char to[32];
    wb_json json = {(const uint8_t *)cases[i].text, (uint32_t)strlen(cases[i].text), 0};
    uint32_t want = (uint32_t)strlen(cases[i].want);
    cr_assert_eq(wb_json_string(&json, 0, to, sizeof to), want, "%s", cases[i].text);
    cr_assert_eq(memcmp(to, cases[i].want, want), 0, "%s", cases[i].text);
    cr_assert_eq(wb_json_string(&json, 0, to, want), want);
    if (want) cr_assert_eq(wb_json_string(&json, 0, to, want - 1), want);
  }
}

/* RFC 3629, table of section 4, in the plainest form. */
static uint32_t slow_utf8(const uint8_t *t, uint32_t n) {
  uint32_t i = 0;
  while (i < n) {
    uint32_t left = n - i;
#define TAIL(k) (left > (k) && t[i + (k)] >= 0x80 && t[i + (k)] <= 0xbf)
    if (t[i] <= 0x7f) i += 1;
    else if (t[i] >= 0xc2 && t[i] <= 0xdf && TAIL(1)) i += 2;
    else if (t[i] == 0xe0 && TAIL(1) && t[i + 1] >= 0xa0 && TAIL(2)) i += 3;
    else if (((t[i] >= 0xe1 && t[i] <= 0xec) || t[i] == 0xee || t[i] == 0xef) && TAIL(1) && TAIL(2)) i += 3;
    else if (t[i] == 0xed && TAIL(1) && t[i + 1] <= 0x9f && TAIL(2)) i += 3;
    else if (t[i] == 0xf0 && TAIL(1) && t[i + 1] >= 0x90 && TAIL(2) && TAIL(3)) i += 4;
    else if (t[i] >= 0xf1 && t[i] <= 0xf3 && TAIL(1) && TAIL(2) && TAIL(3)) i += 4;
    else if (t[i] == 0xf4 && TAIL(1) && t[i + 1] <= 0x8f && TAIL(2) && TAIL(3)) i += 4;
    else return i;
#undef TAIL
  }
  return n;
}

Test(json, utf8_agrees_with_the_table_of_the_rfc) {
  uint64_t random = UINT64_C(0x2545f4914f6cdd1d);
  fprintf(stderr, "seed %llx\n", (unsigned long long)random);
  for (unsigned lead = 0; lead < 256; lead++)
    for (unsigned next = 0; next < 256; next++)
      for (unsigned size = 1; size <= 4; size++) {
        uint8_t text[4] = {(uint8_t)lead, (uint8_t)next, 0x80, 0xbf};
        cr_assert_eq(wb_json_utf8(text, size), slow_utf8(text, size), "%02x %02x %u", lead, next, size);
      }
  for (unsigned i = 0; i < 100000; i++) {
    static const uint8_t bytes[] = {'a',  0x80, 0xbf, 0xc1, 0xc2, 0xe0, 0xa0, 0xed,
                                    0x9f, 0xf0, 0x90, 0xf4, 0x8f, 0xf5, 0xff, '"'};
    uint8_t text[24];
    uint32_t size = (uint32_t)(random >> 40) % 25;
    for (uint32_t b = 0; b < size; b++) {
      random = random * UINT64_C(6364136223846793005) + 1;
      text[b] = random >> 62 ? 'a' : bytes[random >> 58 & 15];
    }
    random = random * UINT64_C(6364136223846793005) + 1;
    cr_assert_eq(wb_json_utf8(text, size), slow_utf8(text, size));
  }
}
