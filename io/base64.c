#include "io/base64.h"

#include <limits.h>
#include <stdbool.h>

static size_t encode(const uint8_t *bytes, size_t count, char *text, const char *last, bool padded) {
  size_t n = 0;
  for (size_t i = 0; i < count; i += 3) {
    size_t left = count - i < 3 ? count - i : 3;
    uint32_t bits = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0);
    for (size_t k = 0; k < 4; k++) {
      unsigned six = bits >> (18 - 6 * k) & 63;
      if (k <= left)
        text[n++] = six < 26   ? (char)('A' + six)
                    : six < 52 ? (char)('a' + six - 26)
                    : six < 62 ? (char)('0' + six - 52)
                               : last[six - 62];
      else if (padded) text[n++] = '=';
    }
  }
  text[n] = 0;
  return n;
}

static int value_of(char c, const char *last) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == last[0] ? 62 : c == last[1] ? 63 : -1;
}

static int decode(const char *text, size_t count, uint8_t *bytes, size_t size, const char *last, bool padded) {
  if (padded && count % 4) return WB_E_SYNTAX;
  for (int i = 0; padded && i < 2 && count && text[count - 1] == '='; i++) count--;
  if (count % 4 == 1) return WB_E_SYNTAX;
  if (count / 4 >= INT_MAX / 3) return WB_E_LIMIT;
  size_t n = 0;
  uint32_t bits = 0;
  for (size_t i = 0; i < count; i++) {
    int six = value_of(text[i], last);
    if (six < 0) return WB_E_SYNTAX;
    bits = bits << 6 | (uint32_t)six;
    if (i % 4 == 0) continue;
    if (n == size) return WB_E_LIMIT;
    bytes[n++] = (uint8_t)(bits >> (6 - i % 4 * 2));
  }
  if (bits & ((1u << (count % 4 == 2 ? 4 : count % 4 == 3 ? 2 : 0)) - 1)) return WB_E_SYNTAX;
  return (int)n;
}

size_t wb_base64_encode(const void *bytes, size_t count, char *text) { return encode(bytes, count, text, "+/", true); }
size_t wb_base64url_encode(const void *bytes, size_t count, char *text) { return encode(bytes, count, text, "-_", false); }

int wb_base64_decode(const char *text, size_t count, void *bytes, size_t size) {
  return decode(text, count, bytes, size, "+/", true);
}

int wb_base64url_decode(const char *text, size_t count, void *bytes, size_t size) {
  return decode(text, count, bytes, size, "-_", false);
}
