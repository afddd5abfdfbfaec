/* bench_parser.c - what it costs to turn one Exchange message into exact integers.
 *
 * What:    parser/change:1, change:12, snapshot:45000 by the road that init chooses on this machine; .../portable by the fast
 * road of every machine; .../full by the road of every legal JSON; .../spaced the same messages with blanks after colons and
 *          commas, which only the full road takes.
 * Check:   the sum of all prices and sizes handed over must be the sum of the integers that the texts were printed from.
 * Read:    ns a message and GB/s of text. Prices walk within 10,000.00 of 60,000.00, sizes have 8 places, one in four is zero.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "engine/codec/coinbase_exchange.h"
#include "engine/codec/coinbase_roads.h"

enum { ONE_COUNT = 4096, TWELVE_COUNT = 1024, SNAPSHOT_LEVELS = 45000, BYTES_PER_LEVEL_MAX = 48, HEAD_BYTES_MAX = 160 };

typedef enum { ROAD_CHOSEN, ROAD_PORTABLE, ROAD_FULL } road;

typedef struct wb_parameter {
  uint32_t levels;
  road road;
  bool spaced;
} wb_parameter;

/* frames, texts and the sum of each message's integers; sum: what the out has added up. */
typedef struct wb_parser {
  wb_out out;
  wb_products products;
  wb_coinbase *state;
  wb_message *message;
  uint8_t *text;
  wb_frame *frame;
  uint64_t *message_sum;
  uint32_t count;
  uint64_t sum, bytes, wrong;
  _Alignas(64) uint8_t table[4096];
} wb_parser;

static wb_message *claim(wb_out *out, uint32_t delta_count) {
  wb_parser *parser = (wb_parser *)out;
  memset(parser->message, 0, sizeof *parser->message);
  return parser->message;
}

static void commit(wb_out *out, wb_message *message) {
  wb_parser *parser = (wb_parser *)out;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < message->delta_count; i++) sum += message->deltas[i].price + message->deltas[i].size;
  parser->sum += sum;
  parser->wrong += message->kind != WB_MESSAGE_SNAPSHOT && message->kind != WB_MESSAGE_UPDATE;
}

static bool never(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) { return false; }

static uint64_t next(uint64_t *random) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return *random;
}

/* One level as text; adds its integers to *sum. */
static int print_level(char *text, const wb_parameter *parameter, bool change, bool last, uint64_t cents, uint64_t *random,
                       uint64_t *sum) {
  uint64_t size = next(random) % 4 == 0 ? 0 : next(random) % (next(random) % 16 ? 200000000 : 9000000000);
  const char *blank = parameter->spaced ? " " : "";
  *sum += cents * 1000000 + size;
  int used = 0;
  used += sprintf(text, "[");
  if (change) used += sprintf(text + used, "\"%s\",%s", next(random) & 1 ? "buy" : "sell", blank);
  used += sprintf(text + used, "\"%lu.%02lu\",%s\"%lu.%08lu\"]", (unsigned long)(cents / 100), (unsigned long)(cents % 100),
                  blank, (unsigned long)(size / 100000000), (unsigned long)(size % 100000000));
  return used + sprintf(text + used, "%s%s", last ? "" : ",", last ? "" : blank);
}

static uint32_t print_message(char *text, const wb_parameter *parameter, uint32_t index, uint64_t *random, uint64_t *sum) {
  bool snapshot = parameter->levels == SNAPSHOT_LEVELS;
  const char *blank = parameter->spaced ? " " : "";
  uint32_t asks = snapshot ? parameter->levels * 3 / 5 : parameter->levels, used = 0;
#define PUT(...) used += (uint32_t)sprintf(text + used, __VA_ARGS__)
  PUT("{\"type\":%s\"%s\",%s\"product_id\":%s\"BTC-USD\",%s\"%s\":%s[", blank, snapshot ? "snapshot" : "l2update", blank, blank,
      blank, snapshot ? "asks" : "changes", blank);
  for (uint32_t i = 0; i < parameter->levels; i++) {
    uint64_t cents = 5000000 + next(random) % 2000000;
    if (snapshot)
      cents = i < asks ? 6000000 + i * 37u + (i > asks - 500 ? (i - asks + 500) * 100000u : 0) : 6000000 - (i - asks) * 333u;
    if (i == asks) PUT("],%s\"bids\":%s[", blank, blank);
    used += (uint32_t)print_level(text + used, parameter, !snapshot, i + 1 == asks || i + 1 == parameter->levels, cents, random,
                                  sum);
  }
  PUT("],%s\"time\":%s\"2026-08-02T05:%02u:%02u.%06uZ\"}", blank, blank, index / 1024 % 60, index / 16 % 60,
      (unsigned)(next(random) % 1000000));
#undef PUT
  return used;
}

static void teardown(void *state) {
  wb_parser *parser = state;
  free(parser->state);
  free(parser->message);
  free(parser->text);
  free(parser->frame);
  free(parser->message_sum);
  free(parser);
}

static void *setup(const void *argument, bool smoke) {
  const wb_parameter *parameter = argument;
  void *memory = NULL;
  if (posix_memalign(&memory, 64, sizeof(wb_parser)) != 0) return NULL;
  wb_parser *parser = memset(memory, 0, sizeof(wb_parser));
  parser->out = (wb_out){claim, commit};
  parser->count = parameter->levels == 1 ? ONE_COUNT : parameter->levels == SNAPSHOT_LEVELS ? 1 : TWELVE_COUNT;
  if (wb_products_bytes(16) > sizeof parser->table || wb_products_init(&parser->products, parser->table, 16) != 0) return NULL;
  wb_products_add(&parser->products, "ETH-USD", 7);
  wb_products_add(&parser->products, "BTC-USD", 7);
  parser->frame = calloc(parser->count + 1, sizeof *parser->frame);
  parser->message_sum = calloc(parser->count + 1, sizeof *parser->message_sum);
  parser->text =
      calloc(1, parser->count * (HEAD_BYTES_MAX + parameter->levels * (size_t)BYTES_PER_LEVEL_MAX) + WB_READ_SLACK_BYTES);
  if (!parser->frame || !parser->message_sum || !parser->text ||
      posix_memalign(&memory, 64, wb_codec_coinbase_exchange.size(&parser->products)) != 0) {
    teardown(parser);
    return NULL;
  }
  parser->state = memory;
  if (wb_codec_coinbase_exchange.init(parser->state, &parser->products) != 0 ||
      posix_memalign(&memory, 64, sizeof(wb_message) + WB_PART_DELTAS_MAX * sizeof(wb_delta)) != 0) {
    teardown(parser);
    return NULL;
  }
  parser->message = memory;
  if (parameter->road == ROAD_PORTABLE) parser->state->fast = wb_coinbase_fast;
  if (parameter->road == ROAD_FULL) parser->state->fast = never;
  uint64_t random = UINT64_C(88172645463325252), position = 0;
  for (uint32_t i = 0; i < parser->count; i++) {
    uint32_t bytes = print_message((char *)parser->text + position, parameter, i, &random, &parser->message_sum[i]);
    parser->frame[i] = (wb_frame){.position = position, .number = i, .bytes = bytes, .kind = WB_FRAME_TEXT};
    position += bytes;
  }
  return parser;
}

static void run(void *state, wb_bench_run *run) {
  wb_parser *parser = state;
  parser->sum = parser->bytes = 0;
  for (uint64_t done = 0, i = 0; done < run->iterations; done++, i = i + 1 == parser->count ? 0 : i + 1) {
    const wb_frame *frame = &parser->frame[i];
    wb_codec_coinbase_exchange.decode(parser->state, frame, parser->text + frame->position, &parser->out);
    parser->bytes += frame->bytes;
  }
  run->items = run->iterations;
  run->bytes = parser->bytes;
}

static const char *check(void *state, const wb_bench_run *run) {
  wb_parser *parser = state;
  uint64_t want = 0, lap = 0;
  for (uint32_t i = 0; i < parser->count; i++) {
    lap += parser->message_sum[i];
    if (i < run->iterations % parser->count) want += parser->message_sum[i];
  }
  want += run->iterations / parser->count * lap;
  if (parser->wrong) return "a message was not decoded";
  return parser->sum == want ? NULL : "the decoded integers do not add up";
}

#define CASE(label, held, levels, road, spaced)                                                                                \
  {                                                                                                                            \
    .name = "parser/" label, .against = held, .parameter = &(const wb_parameter){levels, road, spaced}, .setup = setup,        \
    .run = run, .check = check, .teardown = teardown                                                                           \
  }
#define CASES(label, levels)                                                                                                   \
  CASE(label, "parser/" label "/full", levels, ROAD_CHOSEN, false),                                                            \
      CASE(label "/portable", "parser/" label "/full", levels, ROAD_PORTABLE, false),                                          \
      CASE(label "/full", NULL, levels, ROAD_FULL, false), CASE(label "/spaced", NULL, levels, ROAD_CHOSEN, true)

static const wb_bench_case cases[] = {CASES("change:1", 1), CASES("change:12", 12), CASES("snapshot:45000", SNAPSHOT_LEVELS)};

int main(int argc, char **argv) { return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases); }
