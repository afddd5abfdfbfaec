/* bench_kraken.c - what it costs to turn one message of Kraken's book into exact integers, and to reckon its checksum.
 *
 * What:    kraken/change:1, change:12, snapshot:1000 (a side) in the form that Kraken sends; .../spaced the same with blanks and the keys of levels
 *          turned round, which only the road of every legal JSON takes; kraken/checksum of ten levels a side.
 * Check:   the sum of all prices and sizes handed over must be the sum of the integers that the texts were printed from; the checksum must be that of the
 *          guide's example each time.
 * Read:    ns a message and GB/s of text. Prices have one place, sizes eight, one in four is zero. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "engine/codec/kraken.h"

enum { TEXT_BYTES = 500000, LEVEL_BYTES_MAX = 64, HEAD_BYTES_MAX = 256, SNAPSHOT_LEVELS = 2000 };

typedef struct wb_parameter {
  uint32_t levels;
  bool spaced;
} wb_parameter;

/* Messages lie one behind the other in text; message_sum: of each one's integers; sum: what the out has added up. */
typedef struct wb_parser {
  wb_out out;
  const wb_parameter *parameter;
  wb_products products;
  void *state;
  wb_message *message;
  uint8_t *text;
  wb_frame *frame;
  uint64_t *message_sum;
  uint32_t count;
  uint64_t sum, bytes, wrong;
  _Alignas(64) uint8_t table[4096];
} wb_parser;

static wb_message *claim(wb_out *out, uint32_t delta_count) { return ((wb_parser *)out)->message; }

static void commit(wb_out *out, wb_message *message) {
  wb_parser *parser = (wb_parser *)out;
  for (uint32_t i = 0; i < message->delta_count; i++) parser->sum += message->deltas[i].price + message->deltas[i].size;
  parser->wrong +=
      message->kind != WB_MESSAGE_SNAPSHOT && message->kind != WB_MESSAGE_UPDATE && message->kind != WB_MESSAGE_SCALE;
}

static uint64_t next(uint64_t *random) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return *random;
}

static uint32_t print_message(char *text, const wb_parameter *parameter, uint32_t index, uint64_t *random, uint64_t *sum) {
  uint32_t bids = parameter->levels == 1 ? index & 1 : parameter->levels / 2, used = 0;
  *sum = 0;
#define PUT(...) used += (uint32_t)sprintf(text + used, __VA_ARGS__)
  PUT("{\"channel\":\"book\",\"type\":\"%s\",\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[",
      parameter->levels == SNAPSHOT_LEVELS ? "snapshot" : "update");
  for (uint32_t i = 0; i < parameter->levels; i++) {
    uint32_t price = 600000 + (uint32_t)(next(random) % 50000), size = next(random) % 4 ? (uint32_t)next(random) : 0;
    const char *comma = i == 0 || i == bids ? "" : ",";
    if (i == bids) PUT("],\"asks\":[");
    unsigned coins = size / 100000000, rest = size % 100000000;
    if (parameter->spaced) PUT("%s{ \"qty\": %u.%08u, \"price\": %u.%u }", comma, coins, rest, price / 10, price % 10);
    else PUT("%s{\"price\":%u.%u,\"qty\":%u.%08u}", comma, price / 10, price % 10, coins, rest);
    *sum += price + size;
  }
  if (bids == parameter->levels) PUT("],\"asks\":[");
  PUT("],\"checksum\":%u,\"timestamp\":\"2026-08-02T05:%02u:%02u.%06uZ\"}]}", (unsigned)next(random), index / 1024 % 60,
      index / 16 % 60, (unsigned)(next(random) % 1000000));
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

static bool prepare(wb_parser *parser) {
  const wb_parameter *parameter = parser->parameter;
  void *memory = NULL;
  size_t message_bytes = HEAD_BYTES_MAX + parameter->levels * (size_t)LEVEL_BYTES_MAX;
  parser->out = (wb_out){claim, commit};
  parser->count = parameter->levels == SNAPSHOT_LEVELS ? 1 : TEXT_BYTES / (HEAD_BYTES_MAX / 2 + 40 * parameter->levels);
  if (wb_products_bytes(16) > sizeof parser->table || wb_products_init(&parser->products, parser->table, 16) != 0) return false;
  wb_products_add(&parser->products, "ETH/USD", 7);
  wb_products_add(&parser->products, "BTC/USD", 7);
  parser->frame = calloc(parser->count, sizeof *parser->frame);
  parser->message_sum = calloc(parser->count, sizeof *parser->message_sum);
  parser->text = calloc(1, parser->count * message_bytes + WB_READ_SLACK_BYTES);
  if (!parser->frame || !parser->message_sum || !parser->text) return false;
  if (posix_memalign(&parser->state, 64, wb_codec_kraken.size(&parser->products)) != 0) return false;
  if (posix_memalign(&memory, 64, sizeof(wb_message) + WB_PART_DELTAS_MAX * sizeof(wb_delta)) != 0) return false;
  parser->message = memory;
  if (wb_codec_kraken.init(parser->state, &parser->products) != 0) return false;
  uint64_t random = UINT64_C(88172645463325252), position = 0;
  for (uint32_t i = 0; i < parser->count; i++) {
    uint32_t bytes = print_message((char *)parser->text + position, parameter, i, &random, &parser->message_sum[i]);
    parser->frame[i] = (wb_frame){.position = position, .number = i, .bytes = bytes, .kind = WB_FRAME_TEXT};
    position += bytes;
  }
  /* The units of the book before it. */
  static const char text[] =
      "{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[{\"price\":1.5,"
      "\"qty\":0.00000001}],\"asks\":[],\"checksum\":0}]}";
  uint8_t bytes[sizeof text + WB_READ_SLACK_BYTES] = {0};
  memcpy(bytes, text, sizeof text);
  wb_codec_kraken.decode(parser->state, &(wb_frame){.bytes = sizeof text - 1, .kind = WB_FRAME_TEXT}, bytes, &parser->out);
  return parser->wrong == 0;
}

static void *setup(const void *argument, bool smoke) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, sizeof(wb_parser)) != 0) return NULL;
  wb_parser *parser = memset(memory, 0, sizeof(wb_parser));
  parser->parameter = argument;
  if (prepare(parser)) return parser;
  teardown(parser);
  return NULL;
}

static void run(void *state, wb_bench_run *run) {
  wb_parser *parser = state;
  parser->sum = parser->bytes = 0;
  for (uint64_t done = 0, i = 0; done < run->iterations; done++, i = i + 1 == parser->count ? 0 : i + 1) {
    const wb_frame *frame = &parser->frame[i];
    wb_codec_kraken.decode(parser->state, frame, parser->text + frame->position, &parser->out);
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

/* ------------------------------------------------------------------------------------------------ the checksum */

/* The example of https://docs.kraken.com/api/docs/guides/spot-ws-book-v2, in units of 0.1 and 0.00000001. */
static const wb_level bids[] = {{452835, 10000000},  {452834, 154582015}, {452821, 10000000}, {452810, 10000000},
                                {452803, 154592586}, {452790, 7990000},   {452776, 3310103},  {452775, 30000000},
                                {452773, 154602737}, {452766, 15445238}},
                      asks[] = {{452852, 100000},   {452864, 154571953}, {452866, 154571109}, {452896, 154560911},
                                {452902, 15890660}, {452918, 154553491}, {452947, 4454749},   {452961, 35380000},
                                {452975, 9945542},  {452995, 18772827}};

static void *checksum_setup(const void *argument, bool smoke) { return calloc(1, sizeof(uint64_t)); }

static void checksum_run(void *state, wb_bench_run *run) {
  uint64_t *wrong = state;
  for (uint64_t i = 0; i < run->iterations; i++) *wrong += wb_codec_kraken.checksum(bids, 10, asks, 10) != 3310070434u;
  run->items = run->iterations;
}

static const char *checksum_check(void *state, const wb_bench_run *run) {
  return *(const uint64_t *)state ? "the checksum is not the guide's" : NULL;
}

#define PARSER(text, count, blanks)                                                                                            \
  {                                                                                                                            \
    .name = "kraken/" text, .against = blanks ? NULL : "kraken/" text "/spaced",                                               \
    .parameter = &(const wb_parameter){count, blanks}, .setup = setup, .run = run, .check = check, .teardown = teardown        \
  }

static const wb_bench_case cases[] = {
    PARSER("change:1/spaced", 1, true),
    PARSER("change:1", 1, false),
    PARSER("change:12/spaced", 12, true),
    PARSER("change:12", 12, false),
    PARSER("snapshot:1000/spaced", SNAPSHOT_LEVELS, true),
    PARSER("snapshot:1000", SNAPSHOT_LEVELS, false),
    {.name = "kraken/checksum", .setup = checksum_setup, .run = checksum_run, .check = checksum_check, .teardown = free},
};

int main(int argc, char **argv) { return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases); }
