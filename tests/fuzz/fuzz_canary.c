/* fuzz_canary.c - a bug put in on purpose, behind four bytes: `tools/fuzz --canary` must find it, or the fuzzing is worth nothing.
 *
 * Input:   text. An escape of a surrogate aborts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size >= 4 && data[0] == '\\' && data[1] == 'u' && data[2] == 'D' && data[3] == '8') abort();
  return 0;
}
