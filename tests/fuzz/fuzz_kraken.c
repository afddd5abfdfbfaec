/* Bytes as frames of Kraken's dialect, one a line: levels of Kraken's own form and of any other must be read alike, and nothing said that no codec may say. A
 * line `=` begins anew. See tests/unit/codec/kraken.h. */
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/codec/kraken.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static kraken_rig rig[2];
  for (unsigned i = 0; i < 2; i++) {
    if (!rig[i].memory) kraken_init(&rig[i]);
    wb_codec_kraken.init(rig[i].state, &rig[i].products);
  }
  for (size_t at = 0; at <= size;) {
    const uint8_t *line = data + at, *end = at < size ? memchr(line, '\n', size - at) : NULL;
    size_t bytes = end ? (size_t)(end - line) : size - at;
    at += bytes + 1;
    if (bytes == 1 && *line == '=') {
      for (unsigned i = 0; i < 2; i++) wb_codec_kraken.init(rig[i].state, &rig[i].products);
      continue;
    }
    const char *broken = kraken_decode_both(&rig[0], &rig[1], line, bytes, bytes ? line[bytes - 1] : 0);
    if (broken) {
      fprintf(stderr, "%s: %.*s\n", broken, (int)bytes, (const char *)line);
      abort();
    }
  }
  return 0;
}
