/* Bytes as frames of the Advanced Trade dialect, one a line: both roads must say the same, and nothing that no codec may say. A line `=` is a new
 * connection. See tests/unit/codec/advanced.h. */
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/codec/advanced.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static advanced all;
  if (!all.memory) advanced_init(&all);
  for (unsigned i = 0; i < ADVANCED_ROADS; i++) {
    for (unsigned p = 0; p < ADVANCED_PRODUCTS; p++)
      all.state[i]->product[p].price_decimals = all.state[i]->product[p].size_decimals = WB_DECIMALS_DEFAULT;
    memset(all.state[i]->sequence, 0, sizeof all.state[i]->sequence);
    memcpy(all.state[i]->tail + WB_COINBASE_MINUTE_AT, "1970-01-01T00:00", WB_COINBASE_MINUTE_BYTES);
    all.state[i]->minute_ns = 0;
  }
  for (size_t at = 0; at <= size;) {
    const uint8_t *line = data + at, *end = at < size ? memchr(line, '\n', size - at) : NULL;
    size_t bytes = end ? (size_t)(end - line) : size - at;
    at += bytes + 1;
    bool connect = bytes == 1 && *line == '=';
    const char *broken = advanced_decode(&all, connect ? WB_FRAME_CONNECT : WB_FRAME_TEXT, line, connect ? 0 : bytes,
                                         bytes ? line[bytes - 1] : 0);
    if (broken) {
      fprintf(stderr, "%s: %.*s\n", broken, (int)bytes, (const char *)line);
      abort();
    }
  }
  return 0;
}
