/* fuzz_call.c - the reader of requests of the HTTP face.
 *
 * Input:   what a client sends.
 * Oracle:  the same result whole and at every cut: 0 up to some byte, and from it on always that of the whole; a refusal has a status. What is accepted is
 *          again accepted from its own head alone, each of its lines is found as a field, with the value that a plain split at the first colon gives (of the
 *          first line of that name), and its target has nothing in it that does not belong there. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(e) ((e) ? (void)0 : abort())

enum { ROOM = 2048, EVERY_CUT_MAX = 400, CUTS = 48 };

static int read_part(const uint8_t *bytes, size_t count, wb_http_call *call, size_t *target_at) {
  wb_error error = {0};
  char *exact = malloc(count ? count : 1);
  REQUIRE(exact);
  memcpy(exact, bytes, count);
  int result = wb_http_call_read(exact, count, ROOM, call, &error);
  REQUIRE((result < 0) == (error.code != 0) && (result < 0) == (call->refusal >= 400));
  REQUIRE(call->head_bytes <= count && call->head_bytes <= ROOM);
  if (result > 0) {
    *target_at = (size_t)(call->target.at - exact);
    REQUIRE(*target_at + call->target.bytes <= call->head_bytes && call->target.bytes && *call->target.at == '/');
    for (size_t i = 0; i < call->target.bytes; i++) REQUIRE(call->target.at[i] > ' ' && call->target.at[i] < 0x7f);
  }
  free(exact);
  return result;
}

static bool blank(char c) { return c == ' ' || c == '\t'; }

/* Each line after the first, in turn: the one that is found under its name is the first of that name. */
static void check_fields(const char *head, size_t bytes) {
  const char *line = memmem(head, bytes, "\r\n", 2), *end = head + bytes;
  for (line += 2; line < end && *line != '\r';) {
    const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2), *colon = memchr(line, ':', (size_t)(stop - line));
    REQUIRE(stop && colon && colon > line);
    char name[ROOM];
    memcpy(name, line, (size_t)(colon - line));
    name[colon - line] = 0;
    const char *value = colon + 1, *after = stop;
    while (value < after && blank(*value)) value++;
    while (after > value && blank(after[-1])) after--;
    wb_http_text found = wb_http_header(head, bytes, name);
    REQUIRE(found.at && found.at <= value);
    if (found.at == value) REQUIRE(found.bytes == (size_t)(after - value));
    line = stop + 2;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  wb_http_call whole, cut;
  size_t target_at = 0, at = 0;
  int result = read_part(data, size, &whole, &target_at);
  REQUIRE(result != 0 || size < ROOM);
  bool decided = false;
  for (size_t part = 0; part <= size; part += size <= EVERY_CUT_MAX ? 1 : 1 + size / CUTS) {
    int here = read_part(data, part, &cut, &at);
    REQUIRE(here == result || (here == 0 && !decided));
    decided = here != 0;
    if (here < 0) REQUIRE(cut.refusal == whole.refusal);
    if (here > 0) REQUIRE(cut.head_bytes == whole.head_bytes && cut.body_bytes == whole.body_bytes && at == target_at);
  }
  if (result <= 0) return 0;
  REQUIRE(read_part(data, whole.head_bytes, &cut, &at) == 1 && cut.upgrade == whole.upgrade && cut.close == whole.close);
  REQUIRE(read_part(data, whole.head_bytes - 1, &cut, &at) == 0);
  REQUIRE(!whole.upgrade || strlen(whole.key) == WB_WS_KEY_BYTES);
  check_fields((const char *)data, whole.head_bytes);
  return 0;
}
