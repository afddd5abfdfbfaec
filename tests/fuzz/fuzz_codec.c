/* Bytes as frames of the Exchange dialect, one a line: every fast road must say what the full road says, in units that stay the
 * same, and nothing that no codec may say. See tests/unit/codec/capture.h for the rules. */
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/codec/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static roads all;
  if (all.count == 0) roads_init(&all);
  roads_rescale(&all);
  for (unsigned i = 0; i < all.count; i++) {
    memcpy(all.state[i]->minute, "1970-01-01T00:00", sizeof all.state[i]->minute);
    all.state[i]->minute_ns = 0;
  }
  for (size_t at = 0; at <= size;) {
    const uint8_t *end = at < size ? memchr(data + at, '\n', size - at) : NULL;
    size_t bytes = end ? (size_t)(end - data) - at : size - at;
    const char *broken = roads_decode(&all, data + at, bytes, bytes ? data[at + bytes - 1] : 0);
    if (broken) {
      fprintf(stderr, "%s: %.*s\n", broken, (int)bytes, (const char *)data + at);
      abort();
    }
    at += bytes + 1;
  }
  return 0;
}
