/* bench_deflate.c - what permessage-deflate costs the one that receives: wb_inflate_read over messages compressed before.
 *
 * What:    takeover/update: updates of one change, 121 bytes each as on the real feed, with context takeover; alone/update: without.
 *          takeover/batch, alone/batch: updates of 30 changes. alone/snapshot: one of 20,000 levels.
 * Check:   each text is as long as it was, and the last one of a run the same.
 * Read:    ns an item is ns a message, which an uncompressed line does not pay at all; bytes are those of the text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "io/deflate.h"

enum { MESSAGES = 2048, TEXT_BYTES_MAX = 1 << 20 };

typedef struct wb_parameter {
  bool takeover;
  unsigned changes, messages;
} wb_parameter;

typedef struct wb_state {
  const wb_parameter *parameter;
  wb_inflate *inflate;
  uint8_t *payload, *text, *last; /* last: the text of the last message */
  size_t *end, *text_bytes;       /* of each message: where its payload ends; how long its text is */
  bool wrong;
} wb_state;

static void teardown(void *state) {
  wb_state *s = state;
  wb_inflate_close(s->inflate);
  free(s->payload);
  free(s->text);
  free(s->last);
  free(s->end);
  free(s->text_bytes);
  free(s);
}

static size_t text_make(uint8_t *to, unsigned changes, uint64_t *random) {
  char *text = (char *)to;
  int n = sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[");
  for (unsigned i = 0; i < changes; i++) {
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    unsigned price = 3740000 + (unsigned)(*random >> 40) % 20000, size = (unsigned)(*random >> 20) % 200000000;
    n += sprintf(text + n, "%s[\"%s\",\"%u.%02u\",\"%u.%08u\"]", i ? "," : "", *random >> 63 ? "buy" : "sell", price / 100,
                 price % 100, size / 100000000, size % 100000000);
  }
  n += sprintf(text + n, "],\"time\":\"2026-08-02T05:43:52.%06uZ\"}", (unsigned)(*random >> 44));
  return (size_t)n;
}

static void *setup(const void *parameter, bool smoke) {
  wb_state *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->parameter = parameter;
  unsigned count = s->parameter->messages;
  wb_deflate *deflate = wb_deflate_open(15, s->parameter->takeover);
  s->inflate = wb_inflate_open();
  s->payload = malloc(TEXT_BYTES_MAX + MESSAGES * 512);
  s->text = malloc(TEXT_BYTES_MAX);
  s->last = malloc(TEXT_BYTES_MAX);
  s->end = calloc(count, sizeof *s->end);
  s->text_bytes = calloc(count, sizeof *s->text_bytes);
  if (!deflate || !s->inflate || !s->payload || !s->text || !s->last || !s->end || !s->text_bytes) {
    wb_deflate_close(deflate);
    teardown(s);
    return NULL;
  }
  uint64_t random = 1;
  size_t at = 0;
  for (unsigned i = 0; i < count; i++) {
    s->text_bytes[i] = text_make(s->last, s->parameter->changes, &random);
    int64_t bytes = wb_deflate_write(deflate, s->last, s->text_bytes[i], s->payload + at, TEXT_BYTES_MAX + MESSAGES * 512 - at);
    s->wrong |= bytes < 0;
    s->end[i] = at += (size_t)(bytes < 0 ? 0 : bytes);
  }
  wb_deflate_close(deflate);
  return s;
}

static void run(void *state, wb_bench_run *run) {
  wb_state *s = state;
  uint64_t passes = run->iterations / s->parameter->messages + 1;
  for (uint64_t pass = 0; pass < passes; pass++) {
    wb_inflate_begin(s->inflate, s->parameter->takeover);
    size_t at = 0;
    for (unsigned i = 0; i < s->parameter->messages; i++) {
      const uint8_t *in = s->payload + at;
      size_t count = s->end[i] - at, given;
      if (wb_inflate_read(s->inflate, &in, &count, true, s->text, TEXT_BYTES_MAX, &given) != 1 || given != s->text_bytes[i])
        s->wrong = true;
      run->bytes += given;
      at = s->end[i];
    }
  }
  run->items = passes * s->parameter->messages;
}

static const char *check(void *state, const wb_bench_run *run) {
  wb_state *s = state;
  if (s->wrong) return "a message was not read, or is not as long as it was";
  return memcmp(s->text, s->last, s->text_bytes[s->parameter->messages - 1]) == 0 ? NULL : "not the text that was compressed";
}

static const wb_parameter takeover_update = {true, 1, MESSAGES}, alone_update = {false, 1, MESSAGES};
static const wb_parameter takeover_batch = {true, 30, 256}, alone_batch = {false, 30, 256}, snapshot = {false, 20000, 1};

#define CASE(name_of, parameter_of)                                                                                            \
  { .name = name_of, .parameter = &parameter_of, .setup = setup, .run = run, .check = check, .teardown = teardown }

static const wb_bench_case cases[] = {
    CASE("takeover/update", takeover_update), CASE("alone/update", alone_update), CASE("takeover/batch", takeover_batch),
    CASE("alone/batch", alone_batch),         CASE("alone/snapshot", snapshot),
};

int main(int argc, char **argv) { return wb_bench_main(argc, argv, cases, sizeof cases / sizeof cases[0]); }
