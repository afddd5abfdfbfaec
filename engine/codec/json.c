#include "engine/codec/json.h"

#include <string.h>

#include "engine/base/error.h"

enum { KEY_BYTES_MAX = 32 };

static bool is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }

static bool is_hex(uint8_t c) { return is_digit(c) || (uint8_t)((c | 0x20) - 'a') < 6; }

void wb_json_blank(wb_json *json) {
  while (json->at < json->bytes) {
    uint8_t c = json->text[json->at];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') break;
    json->at++;
  }
}

/* The byte at the cursor, or 0 (legal nowhere) at the end. */
static uint8_t peek(const wb_json *json) { return json->at < json->bytes ? json->text[json->at] : 0; }

/* The high bit of the first quote, backslash or control character of eight bytes, and of some that may follow it. */
static uint64_t special(uint64_t word) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t quote = word ^ (ones * '"'), back = word ^ (ones * '\\');
  return (((quote - ones) & ~quote) | ((back - ones) & ~back) | ((word - ones * 0x20) & ~word)) & ones << 7;
}

static int skip_string(wb_json *json) {
  if (peek(json) != '"') return WB_E_SYNTAX;
  json->at++;
  for (;;) {
    while (json->bytes - json->at >= 8) {
      uint64_t word;
      memcpy(&word, json->text + json->at, 8);
      word = special(word);
      json->at += word ? (uint32_t)__builtin_ctzll(word) / 8 : 8;
      if (word) break;
    }
    if (json->at == json->bytes) return WB_E_SYNTAX;
    uint8_t c = json->text[json->at];
    if (c < 0x20) return WB_E_SYNTAX;
    json->at++;
    if (c == '"') return 0;
    if (c != '\\') continue;
    c = peek(json);
    if (c == 0 || !strchr("\"\\/bfnrtu", c)) return WB_E_SYNTAX;
    json->at++;
    for (int i = 0; c == 'u' && i < 4; i++, json->at++)
      if (!is_hex(peek(json))) return WB_E_SYNTAX;
  }
}

static int skip_digits(wb_json *json) {
  if (!is_digit(peek(json))) return WB_E_SYNTAX;
  while (is_digit(peek(json))) json->at++;
  return 0;
}

static int skip_number(wb_json *json) {
  if (peek(json) == '-') json->at++;
  if (peek(json) == '0') json->at++;
  else if (skip_digits(json) != 0) return WB_E_SYNTAX;
  if (peek(json) == '.') {
    json->at++;
    if (skip_digits(json) != 0) return WB_E_SYNTAX;
  }
  if ((peek(json) | 0x20) == 'e') {
    json->at++;
    if (peek(json) == '+' || peek(json) == '-') json->at++;
    if (skip_digits(json) != 0) return WB_E_SYNTAX;
  }
  return 0;
}

static int skip_word(wb_json *json, const char *word) {
  for (; *word; word++, json->at++)
    if (peek(json) != (uint8_t)*word) return WB_E_SYNTAX;
  return 0;
}

static int skip_scalar(wb_json *json) {
  switch (peek(json)) {
  case '"': return skip_string(json);
  case 't': return skip_word(json, "true");
  case 'f': return skip_word(json, "false");
  case 'n': return skip_word(json, "null");
  default: return skip_number(json);
  }
}

static int skip_key(wb_json *json, uint32_t *end) {
  wb_json_blank(json);
  if (skip_string(json) != 0) return WB_E_SYNTAX;
  *end = json->at - 1;
  wb_json_blank(json);
  if (peek(json) != ':') return WB_E_SYNTAX;
  json->at++;
  return 0;
}

int wb_json_skip(wb_json *json, unsigned depth, wb_json_value *value) {
  uint64_t objects = 0; /* bit 0: the innermost container is an object */
  unsigned inside = 0;
  uint32_t key_end;
  wb_json_blank(json);
  value->at = json->at;
  for (;;) {
    wb_json_blank(json);
    uint8_t c = peek(json);
    if (c == '{' || c == '[') {
      if (depth + inside == WB_JSON_DEPTH_MAX) return WB_E_SYNTAX;
      inside++;
      objects = objects << 1 | (c == '{');
      json->at++;
      wb_json_blank(json);
      if (peek(json) != (c == '{' ? '}' : ']')) {
        if (c == '{' && skip_key(json, &key_end) != 0) return WB_E_SYNTAX;
        continue;
      }
    } else if (skip_scalar(json) != 0) {
      return WB_E_SYNTAX;
    }
    for (;;) {
      if (inside == 0) {
        value->end = json->at;
        return 0;
      }
      wb_json_blank(json);
      c = peek(json);
      if (c == ',') {
        json->at++;
        if ((objects & 1) && skip_key(json, &key_end) != 0) return WB_E_SYNTAX;
        break;
      }
      if (c != ((objects & 1) ? '}' : ']')) return WB_E_SYNTAX;
      json->at++;
      inside--;
      objects >>= 1;
      if (inside == 0) {
        value->end = json->at;
        return 0;
      }
    }
  }
}

int wb_json_members(wb_json *json, unsigned depth, const char *const *names, unsigned count, wb_json_value *value,
                    uint32_t *twice) {
  memset(value, 0, count * sizeof *value);
  *twice = 0;
  wb_json_blank(json);
  if (peek(json) != '{' || depth == WB_JSON_DEPTH_MAX) return WB_E_SYNTAX;
  json->at++;
  wb_json_blank(json);
  if (peek(json) == '}') {
    json->at++;
    return 0;
  }
  for (;;) {
    wb_json_blank(json);
    uint32_t key_at = json->at, key_end;
    if (skip_key(json, &key_end) != 0) return WB_E_SYNTAX;
    char decoded[KEY_BYTES_MAX];
    const char *key = (const char *)json->text + key_at + 1;
    uint32_t key_bytes = key_end - key_at - 1;
    if (memchr(key, '\\', key_bytes)) {
      key_bytes = wb_json_string(json, key_at, decoded, sizeof decoded);
      key = decoded;
    }
    const char first = key_bytes ? *key : 0;
    wb_json_value member;
    if (wb_json_skip(json, depth + 1, &member) != 0) return WB_E_SYNTAX;
    for (unsigned i = 0; i < count; i++) {
      if (names[i][0] != first || strlen(names[i]) != key_bytes || memcmp(names[i], key, key_bytes) != 0) continue;
      if (value[i].at) *twice |= UINT32_C(1) << i;
      value[i] = member;
    }
    wb_json_blank(json);
    uint8_t c = peek(json);
    if (c != ',' && c != '}') return WB_E_SYNTAX;
    json->at++;
    if (c == '}') return 0;
  }
}

bool wb_json_element(wb_json *json, wb_json_value *value) {
  wb_json_blank(json);
  if (peek(json) == ',') json->at++;
  wb_json_blank(json);
  if (peek(json) == ']') {
    json->at++;
    return false;
  }
  return wb_json_skip(json, 0, value) == 0;
}

static uint32_t hex4(const uint8_t *text) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) value = value << 4 | (uint32_t)(is_digit(text[i]) ? text[i] - '0' : (text[i] | 0x20) - 'a' + 10);
  return value;
}

static uint32_t utf8_put(uint32_t code, uint8_t to[4]) {
  if (code < 0x80) {
    to[0] = (uint8_t)code;
    return 1;
  }
  uint32_t count = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (uint32_t i = count - 1; i > 0; i--, code >>= 6) to[i] = (uint8_t)(0x80 | (code & 0x3f));
  to[0] = (uint8_t)((0xf00u >> count) | code);
  return count;
}

/* What follows a backslash, as UTF-8 in put[0..*count). */
static void unescape(const uint8_t **at, uint8_t put[4], uint32_t *count) {
  static const char escapes[] = "bfnrt", means[] = "\b\f\n\r\t";
  const uint8_t *from = *at;
  uint8_t c = *from++;
  if (c == 'u') {
    uint32_t code = hex4(from);
    from += 4;
    if (code >> 10 == 0x36 && from[0] == '\\' && from[1] == 'u' && hex4(from + 2) >> 10 == 0x37) {
      code = 0x10000 + ((code & 0x3ff) << 10 | (hex4(from + 2) & 0x3ff));
      from += 6;
    }
    *count = utf8_put(code, put);
  } else {
    const char *escape = strchr(escapes, c);
    put[0] = escape ? (uint8_t)means[escape - escapes] : c;
  }
  *at = from;
}

uint32_t wb_json_string(const wb_json *json, uint32_t at, char *to, uint32_t size) {
  uint32_t used = 0;
  for (const uint8_t *from = json->text + at + 1; *from != '"';) {
    uint8_t put[4], c = *from++;
    uint32_t count = 1;
    if (c != '\\') {
      if (used == size) return size + 1;
      to[used++] = (char)c;
      continue;
    }
    unescape(&from, put, &count);
    if (count > size - used) return size + 1;
    for (uint32_t i = 0; i < count; i++) to[used++] = (char)put[i];
  }
  return used;
}

uint32_t wb_json_utf8(const uint8_t *text, uint32_t bytes) {
  uint32_t at = 0;
  while (at < bytes) {
    uint64_t word;
    if (bytes - at >= 8 && (memcpy(&word, text + at, 8), (word & UINT64_C(0x8080808080808080)) == 0)) {
      at += 8;
      continue;
    }
    uint8_t c = text[at];
    if (c < 0x80) {
      at++;
      continue;
    }
    uint32_t more = c < 0xc2 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 0;
    if (more == 0 || bytes - at <= more) return at;
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (text[at + 1] < low || text[at + 1] > high) return at;
    for (uint32_t i = 2; i <= more; i++)
      if (text[at + i] >> 6 != 2) return at;
    at += more + 1;
  }
  return bytes;
}
