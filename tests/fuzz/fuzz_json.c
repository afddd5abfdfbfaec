/* fuzz_json.c - the JSON scanner against the grammar of RFC 8259, written down as it stands there, one function a rule.
 *
 * Input:   byte 0: how many containers enclose the text; the rest is the text.
 * Oracle:  the same values end at the same byte; the same members of an object are found, and the same twice; the elements of
 *          an array; what strings decode to; where UTF-8 ends to be any. The text lies in memory of exactly its size. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NONE = -1, INPUT_BYTES_MAX = 1 << 16, STRING_BYTES_MAX = 64, ELEMENTS_MAX = 256 };

static const uint8_t *text;
static int end;

static int at(int i) { return i < end ? text[i] : NONE; }
static bool within(int c, int first, int last) { return c >= first && c <= last; }

/* Each rule takes where it begins and returns where it ends, or NONE. */

static int blank(int i) {
  while (at(i) == ' ' || at(i) == '\t' || at(i) == '\n' || at(i) == '\r') i++;
  return i;
}

static int literal(int i, const char *word) {
  for (; *word; word++)
    if (at(i++) != *word) return NONE;
  return i;
}

static int digits(int i) {
  if (!within(at(i), '0', '9')) return NONE;
  while (within(at(i), '0', '9')) i++;
  return i;
}

static int number(int i) {
  if (at(i) == '-') i++;
  i = at(i) == '0' ? i + 1 : digits(i);
  if (i != NONE && at(i) == '.') i = digits(i + 1);
  if (i != NONE && (at(i) == 'e' || at(i) == 'E')) {
    i++;
    if (at(i) == '+' || at(i) == '-') i++;
    i = digits(i);
  }
  return i;
}

static bool hex(int c) { return within(c, '0', '9') || within(c, 'a', 'f') || within(c, 'A', 'F'); }

static int string(int i) {
  if (at(i) != '"') return NONE;
  for (i++; at(i) != '"'; i++) {
    if (at(i) < 0x20) return NONE;
    if (at(i) != '\\') continue;
    i++;
    if (at(i) == 'u' && hex(at(i + 1)) && hex(at(i + 2)) && hex(at(i + 3)) && hex(at(i + 4))) i += 4;
    else if (at(i) <= 0 || !strchr("\"\\/bfnrt", at(i))) return NONE;
  }
  return i + 1;
}

static int value(int i, int depth);

static int member(int i, int depth) {
  i = string(blank(i));
  if (i == NONE || at(blank(i)) != ':') return NONE;
  return value(blank(i) + 1, depth);
}

static int container(int i, int depth, int close, int (*item)(int, int)) {
  if (depth == WB_JSON_DEPTH_MAX) return NONE;
  if (at(blank(i + 1)) == close) return blank(i + 1) + 1;
  do {
    i = item(i + 1, depth + 1);
    if (i == NONE) return NONE;
    i = blank(i);
  } while (at(i) == ',');
  return at(i) == close ? i + 1 : NONE;
}

static int value(int i, int depth) {
  i = blank(i);
  switch (at(i)) {
  case '{': return container(i, depth, '}', member);
  case '[': return container(i, depth, ']', value);
  case '"': return string(i);
  case 't': return literal(i, "true");
  case 'f': return literal(i, "false");
  case 'n': return literal(i, "null");
  default: return number(i);
  }
}

/* ------------------------------------------------------------------------------------------------ strings */

static uint32_t four(int i) {
  char word[5] = {(char)text[i], (char)text[i + 1], (char)text[i + 2], (char)text[i + 3], 0};
  return (uint32_t)strtoul(word, NULL, 16);
}

/* What the string at text[i] says. */
static size_t decode(int i, uint8_t *to) {
  size_t n = 0;
  for (i++; text[i] != '"';) {
    if (text[i] != '\\') {
      to[n++] = text[i++];
      continue;
    }
    static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    int c = text[i + 1];
    i += 2;
    if (c != 'u') {
      to[n++] = (uint8_t)means[strchr(from, c) - from];
      continue;
    }
    uint32_t code = four(i);
    i += 4;
    if (within((int)code, 0xd800, 0xdbff) && text[i] == '\\' && text[i + 1] == 'u' &&
        within((int)four(i + 2), 0xdc00, 0xdfff)) {
      code = 0x10000 + (code - 0xd800) * 0x400 + four(i + 2) - 0xdc00;
      i += 6;
    }
    if (code >= 0x10000) {
      to[n++] = (uint8_t)(0xf0 | code >> 18);
      to[n++] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    } else if (code >= 0x800) {
      to[n++] = (uint8_t)(0xe0 | code >> 12);
    }
    if (code >= 0x800) to[n++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    else if (code >= 0x80) to[n++] = (uint8_t)(0xc0 | code >> 6);
    to[n++] = (uint8_t)(code < 0x80 ? code : 0x80 | (code & 0x3f));
  }
  return n;
}

static void check_string(wb_json *json, uint32_t from) {
  static uint8_t wanted[2 * INPUT_BYTES_MAX], got[2 * INPUT_BYTES_MAX];
  size_t n = decode((int)from, wanted);
  WB_CHECK(wb_json_string(json, from, (char *)got, sizeof got) == n && memcmp(got, wanted, n) == 0);
  char little[STRING_BYTES_MAX];
  uint32_t room = n ? (uint32_t)(n - 1) % STRING_BYTES_MAX : 0;
  if (n > room) WB_CHECK(wb_json_string(json, from, little, room) == room + 1);
}

/* ------------------------------------------------------------------------------------------------ checks */

static wb_json cursor(uint32_t from) { return (wb_json){text, (uint32_t)end, from}; }

static void check_elements(int i) {
  wb_json json = cursor((uint32_t)i + 1);
  wb_json_value got;
  for (i++; at(blank(i)) != ']';) {
    int begin = blank(at(blank(i)) == ',' ? blank(i) + 1 : i);
    i = value(begin, 0);
    WB_CHECK(wb_json_element(&json, &got) && (int)got.at == begin && (int)got.end == i);
    if (text[begin] == '"') check_string(&json, got.at);
  }
  WB_CHECK(!wb_json_element(&json, &got) && (int)json.at == blank(i) + 1);
}

static void check_members(int i, int depth) {
  static const char *const names[] = {"type", "time", "product_id", "a", "", "\xc3\xa9", "\xf0\x9f\x98\x80"};
  enum { NAMES = sizeof names / sizeof *names };
  wb_json_value wanted[NAMES] = {{0, 0}}, got[NAMES];
  uint32_t twice = 0, got_twice;
  static uint8_t key[2 * INPUT_BYTES_MAX];
  int begin = blank(i), last = at(begin) == '{' ? value(begin, depth) : NONE;
  wb_json json = cursor((uint32_t)i);
  WB_CHECK(wb_json_members(&json, (unsigned)depth, names, NAMES, got, &got_twice) == (last == NONE ? WB_E_SYNTAX : 0));
  WB_CHECK((int)json.at <= end);
  if (last == NONE) return;
  WB_CHECK((int)json.at == last);
  for (i = begin; at(blank(i + 1)) != '}';) {
    int name = blank(i + 1), from = blank(blank(string(name)) + 1), to = value(from, 0);
    size_t bytes = decode(name, key);
    for (unsigned n = 0; n < NAMES; n++) {
      if (bytes != strlen(names[n]) || memcmp(key, names[n], bytes) != 0) continue;
      if (wanted[n].at) twice |= UINT32_C(1) << n;
      wanted[n] = (wb_json_value){(uint32_t)from, (uint32_t)to};
    }
    i = blank(to);
    if (at(i) == '}') break;
  }
  WB_CHECK(twice == got_twice && memcmp(wanted, got, sizeof wanted) == 0);
}

static void check_utf8(void) {
  uint32_t good = wb_json_utf8(text, (uint32_t)end), i = 0;
  while (i < (uint32_t)end) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = text[i], length = c < 0x80 ? 1 : c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
    if (length == 0 || i + length > (uint32_t)end) break;
    if (length > 1) c &= 0x7fu >> length;
    uint32_t k = 1;
    for (; k < length && text[i + k] / 64 == 2; k++) c = c * 64 + text[i + k] % 64;
    if (k < length || c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) break;
    i += length;
  }
  WB_CHECK(good == i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > INPUT_BYTES_MAX) return 0;
  int depth = data[0] % (WB_JSON_DEPTH_MAX + 1);
  text = data + 1;
  end = (int)size - 1;

  wb_json json = cursor(0);
  wb_json_value got;
  int last = value(0, depth);
  WB_CHECK(wb_json_skip(&json, (unsigned)depth, &got) == (last == NONE ? WB_E_SYNTAX : 0) && (int)json.at <= end);
  if (last != NONE) {
    int first = blank(0);
    WB_CHECK((int)json.at == last && (int)got.end == last && (int)got.at == first);
    if (text[first] == '"') check_string(&json, (uint32_t)first);
    if (text[first] == '[' && value(0, 0) == last) check_elements(first);
  }
  check_members(0, depth);
  check_utf8();
  return 0;
}
