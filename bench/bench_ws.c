/* bench_ws.c - what it costs to find the messages in received bytes.
 *
 * What:    read/...: wb_ws_read over 1 MiB of messages lying back to back, as a client gets them: all of 120 bytes; of 110 to
 *          140 bytes in random order (both sides of the 126 where the header grows, as on the real feed); of 500 bytes.
 *          read_any: the same without the inline answer. read_masked: as a server gets them, with their unmasking.
 *          mask/...: wb_ws_mask alone. utf8/...: wb_utf8_valid over plain text and over text with other characters.
 * Check:   the lengths of all messages found must sum up to those written.
 * Read:    ns an item is ns a message (mask, utf8: a block). The bytes are touched by nobody else: a parser pays for the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "io/ws.h"

enum { STREAM_BYTES = 1 << 20 };

typedef int read_function(wb_ws *ws, uint8_t *bytes, size_t count, wb_ws_item *item, size_t *consumed, size_t *wanted);

typedef struct wb_parameter {
  void (*work)(void *state, uint64_t count);
  size_t bytes_min, bytes_max; /* of a message or block */
  int role;
} wb_parameter;

typedef struct wb_state {
  const wb_parameter *parameter;
  wb_ws ws;
  uint8_t *stream;
  size_t stream_bytes, messages, at;
  uint64_t *sums; /* of the first n messages of the stream, n = 0..messages */
  uint64_t found, taken, sum, bytes;
  bool wrong;
} wb_state;

static inline __attribute__((always_inline)) void walk(wb_state *s, uint64_t count, read_function *read) {
  size_t at = s->at;
  uint64_t sum = 0, bytes = 0;
  for (uint64_t n = 0; n < count; n++) {
    wb_ws_item item;
    size_t consumed;
    if (read(&s->ws, s->stream + at, s->stream_bytes - at, &item, &consumed, NULL) != 1) {
      s->wrong = true;
      return;
    }
    WB_BENCH_KEEP(item.bytes);
    sum += item.count;
    bytes += consumed;
    at += consumed;
    if (at == s->stream_bytes) at = 0;
  }
  s->at = at;
  s->sum += sum;
  s->bytes += bytes;
}

static void walk_inline(void *state, uint64_t count) { walk(state, count, wb_ws_read); }
static void walk_any(void *state, uint64_t count) { walk(state, count, wb_ws_read_any); }

static void mask_blocks(void *state, uint64_t count) {
  static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  wb_state *s = state;
  for (uint64_t n = 0; n < count; n++) {
    wb_ws_mask(s->stream, s->parameter->bytes_max, mask, 0);
    WB_BENCH_CLOBBER();
  }
  s->sum += count * s->parameter->bytes_max;
  s->bytes += count * s->parameter->bytes_max;
}

static void utf8_blocks(void *state, uint64_t count) {
  wb_state *s = state;
  for (uint64_t n = 0; n < count; n++) {
    if (!wb_utf8_valid(s->stream, s->parameter->bytes_max)) s->wrong = true;
    WB_BENCH_CLOBBER();
  }
  s->sum += count * s->parameter->bytes_max;
  s->bytes += count * s->parameter->bytes_max;
}

static void teardown(void *state) {
  wb_state *s = state;
  free(s->stream);
  free(s->sums);
  free(s);
}

static void *setup(const void *parameter, bool smoke) {
  static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  const wb_parameter *p = parameter;
  wb_state *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->parameter = p;
  s->stream = calloc(1, STREAM_BYTES);
  s->sums = calloc(STREAM_BYTES / p->bytes_min + 2, sizeof *s->sums);
  if (!s->stream || !s->sums) {
    teardown(s);
    return NULL;
  }
  wb_ws_init(&s->ws, p->role, 1 << 20);
  uint64_t random = 1;
  for (;;) {
    random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    size_t bytes = p->bytes_min + (size_t)(random >> 33) % (p->bytes_max - p->bytes_min + 1);
    if (s->stream_bytes + WB_WS_HEADER_BYTES_MAX + bytes > STREAM_BYTES) break;
    s->stream_bytes +=
        wb_ws_header(s->stream + s->stream_bytes, WB_WS_TEXT, true, bytes, p->role == WB_WS_SERVER ? mask : NULL);
    memset(s->stream + s->stream_bytes, 'x', bytes);
    s->stream_bytes += bytes;
    s->sums[s->messages + 1] = s->sums[s->messages] + bytes;
    s->messages++;
  }
  return s;
}

static void *setup_block(const void *parameter, bool smoke) {
  static const char text[] = "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 and plain ";
  const wb_parameter *p = parameter;
  wb_state *s = setup(parameter, smoke);
  if (!s) return NULL;
  memset(s->stream, 'x', STREAM_BYTES);
  for (size_t at = 0; p->role == WB_WS_SERVER && at + sizeof text <= p->bytes_max; at += sizeof text - 1)
    memcpy(s->stream + at, text, sizeof text - 1);
  return s;
}

static void run(void *state, wb_bench_run *run) {
  wb_state *s = state;
  s->sum = s->bytes = 0;
  s->taken = s->found;
  s->parameter->work(s, run->iterations);
  s->found += run->iterations;
  run->items = run->iterations;
  run->bytes = s->bytes;
}

static const char *check(void *state, const wb_bench_run *run) {
  wb_state *s = state;
  uint64_t laps = s->found / s->messages - s->taken / s->messages, expected = laps * s->sums[s->messages];
  expected += s->sums[s->found % s->messages] - s->sums[s->taken % s->messages];
  if (s->wrong) return "something was not read";
  return s->sum == expected ? NULL : "not the lengths that were written";
}

static const char *check_block(void *state, const wb_bench_run *run) {
  wb_state *s = state;
  if (s->wrong) return "valid text was called invalid";
  return s->sum == run->iterations * s->parameter->bytes_max ? NULL : "not all blocks were done";
}

static const wb_parameter read_120 = {walk_inline, 120, 120, WB_WS_CLIENT};
static const wb_parameter read_mixed = {walk_inline, 110, 140, WB_WS_CLIENT};
static const wb_parameter read_500 = {walk_inline, 500, 500, WB_WS_CLIENT};
static const wb_parameter any_120 = {walk_any, 120, 120, WB_WS_CLIENT};
static const wb_parameter any_mixed = {walk_any, 110, 140, WB_WS_CLIENT};
static const wb_parameter masked_120 = {walk_inline, 120, 120, WB_WS_SERVER};
static const wb_parameter mask_200 = {mask_blocks, 200, 200, WB_WS_CLIENT};
static const wb_parameter mask_16k = {mask_blocks, 16384, 16384, WB_WS_CLIENT};
static const wb_parameter utf8_plain = {utf8_blocks, 120, 120, WB_WS_CLIENT};
static const wb_parameter utf8_mixed = {utf8_blocks, 120, 120, WB_WS_SERVER};

static const wb_bench_case cases[] = {
    {.name = "read/120", .parameter = &read_120, .setup = setup, .run = run, .check = check, .teardown = teardown},
    {.name = "read/110-140", .parameter = &read_mixed, .setup = setup, .run = run, .check = check, .teardown = teardown},
    {.name = "read/500", .parameter = &read_500, .setup = setup, .run = run, .check = check, .teardown = teardown},
    {.name = "read_any/120",
     .against = "read/120",
     .parameter = &any_120,
     .setup = setup,
     .run = run,
     .check = check,
     .teardown = teardown},
    {.name = "read_any/110-140",
     .against = "read/110-140",
     .parameter = &any_mixed,
     .setup = setup,
     .run = run,
     .check = check,
     .teardown = teardown},
    {.name = "read_masked/120", .parameter = &masked_120, .setup = setup, .run = run, .check = check, .teardown = teardown},
    {.name = "mask/200", .parameter = &mask_200, .setup = setup, .run = run, .check = check_block, .teardown = teardown},
    {.name = "mask/16384", .parameter = &mask_16k, .setup = setup, .run = run, .check = check_block, .teardown = teardown},
    {.name = "utf8/plain-120",
     .parameter = &utf8_plain,
     .setup = setup_block,
     .run = run,
     .check = check_block,
     .teardown = teardown},
    {.name = "utf8/mixed-120",
     .parameter = &utf8_mixed,
     .setup = setup_block,
     .run = run,
     .check = check_block,
     .teardown = teardown},
};

int main(int argc, char **argv) { return wb_bench_main(argc, argv, cases, sizeof cases / sizeof cases[0]); }
