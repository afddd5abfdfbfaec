/* Bytes as frames of the Exchange dialect, one a line: every fast road that this machine can take must say what the full road says, in
 * units that stay the same, and nothing that no codec may say. A line `=PS` is no frame: it sets the decimals of prices and of sizes.
 * See tests/unit/codec/capture.h for the rules. */
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/codec/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static roads all;
  if (all.count == 0) roads_init(&all);
  roads_rescale(&all);
  for (unsigned i = 0; i < all.count; i++) {
    memcpy(all.state[i]->tail + WB_COINBASE_MINUTE_AT, "1970-01-01T00:00", WB_COINBASE_MINUTE_BYTES);
    all.state[i]->minute_ns = 0;
  }
  for (size_t at = 0; at <= size;) {
    const uint8_t *line = data + at, *end = at < size ? memchr(line, '\n', size - at) : NULL;
    size_t bytes = end ? (size_t)(end - line) : size - at;
    at += bytes + 1;
    if (bytes == 3 && line[0] == '=') {
      roads_scale(&all, line[1] % (WB_DECIMALS_MAX + 1), line[2] % (WB_DECIMALS_MAX + 1));
      continue;
    }
    const char *broken = roads_decode(&all, line, bytes, bytes ? line[bytes - 1] : 0);
    if (broken) {
      fprintf(stderr, "%s: %.*s\n", broken, (int)bytes, (const char *)line);
      abort();
    }
  }
  return 0;
}
