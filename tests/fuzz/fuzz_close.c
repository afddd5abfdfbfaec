/* fuzz_close.c - the payload of a Close frame, and UTF-8 alone.
 *
 * Input:   the payload.
 * Oracle:  RFC 6455 7.4 and the registry it founded as a list; UTF-8 by decoding each character and writing it again. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "io/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The shortest form of a character, the only legal one; its length, 0 for what is no character. */
static size_t encode(uint32_t c, uint8_t to[4]) {
  if (c >= 0xd800 && c < 0xe000) return 0;
  if (c < 0x80) return to[0] = (uint8_t)c, 1;
  if (c < 0x800) return to[0] = (uint8_t)(0xc0 + c / 64), to[1] = (uint8_t)(0x80 + c % 64), 2;
  if (c < 0x10000)
    return to[0] = (uint8_t)(0xe0 + c / 4096), to[1] = (uint8_t)(0x80 + c / 64 % 64), to[2] = (uint8_t)(0x80 + c % 64), 3;
  if (c > 0x10ffff) return 0;
  to[0] = (uint8_t)(0xf0 + c / 262144);
  to[1] = (uint8_t)(0x80 + c / 4096 % 64);
  to[2] = (uint8_t)(0x80 + c / 64 % 64);
  to[3] = (uint8_t)(0x80 + c % 64);
  return 4;
}

static bool text_good(const uint8_t *bytes, size_t count) {
  for (size_t at = 0; at < count;) {
    uint8_t first = bytes[at], again[4];
    size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (at + length > count) return false;
    uint32_t c = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) c = c << 6 | (bytes[at + i] & 0x3f);
    if (encode(c, again) != length || memcmp(again, bytes + at, length) != 0) return false;
    at += length;
  }
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const unsigned fine[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
  unsigned sent = size >= 2 ? data[0] * 256u + data[1] : 0;
  bool known = sent >= 3000 && sent <= 4999;
  for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) known |= sent == fine[i];
  WB_CHECK(wb_utf8_valid(data, size) == text_good(data, size));

  unsigned code = 77;
  const char *reason = NULL;
  size_t reason_bytes = 77;
  int result = wb_ws_close_parse(data, size, &code, &reason, &reason_bytes);
  if (size == 0) WB_CHECK(result == 0 && code == 1005 && reason_bytes == 0);
  else if (!known) WB_CHECK(result == WB_E_PROTOCOL);
  else if (!text_good(data + 2, size - 2)) WB_CHECK(result == WB_E_UTF8);
  else WB_CHECK(result == 0 && code == sent && reason == (const char *)data + 2 && reason_bytes == size - 2);
  if (result != 0) WB_CHECK(code == 77 && reason == NULL && reason_bytes == 77);
  return 0;
}
