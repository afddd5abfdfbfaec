/* bench_parser.c - what it costs to turn one Exchange message into exact integers.
 *
 * What:    parser/change:1, change:2, change:12, snapshot:45000 by the road that init chooses on this machine; .../ROAD by each fast
 *          road that this machine can take; .../full by the road of every legal JSON; .../spaced the same messages with blanks after
 *          colons and commas, which only the full road takes; .../simdjson by simdjson on-demand to the same deltas, its time left
 *          where it is; .../simdjson+time with the time read as well, as every road does. Without simdjson there are no such cases.
 *          parser/DIALECT/CHANNEL: one message of each channel, all that it says read (parser_channels.c).
 * Check:   before anything is timed, simdjson's deltas must be those of the full road; after each run the sum of all prices and
 *          sizes handed over must be the sum of the integers that the texts were printed from.
 * Read:    ns a message and GB/s of text. Prices walk within 10,000.00 of 60,000.00, sizes have 8 places, one in four is zero.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "bench/parser_channels.h"
#include "bench/reference/simdjson_parser.h"
#include "engine/codec/coinbase_exchange.h"
#include "engine/codec/coinbase_roads.h"

enum { MESSAGES_TEXT_BYTES = 500000, SNAPSHOT_LEVELS = 45000, BYTES_PER_LEVEL_MAX = 48, HEAD_BYTES_MAX = 160, CASES_MAX = 64 };

_Static_assert(sizeof(simdjson_delta) == sizeof(wb_delta), "both are a price, and a size with its side");

/* road: NULL for simdjson. */
typedef struct wb_parameter {
  uint32_t levels;
  wb_coinbase_road road;
  bool spaced, with_time;
} wb_parameter;

/* frames, texts and the sum of each message's integers; sum: what the out has added up. all: deltas of one message, count so far. */
typedef struct wb_parser {
  wb_out out;
  const wb_parameter *parameter;
  wb_products products;
  wb_coinbase *state;
  simdjson_parser *simdjson;
  wb_message *message;
  wb_delta *all;
  uint8_t *text;
  wb_frame *frame;
  uint64_t *message_sum;
  uint32_t count;
  uint64_t sum, bytes, wrong;
  size_t all_count;
  int64_t time_ns;
  uint16_t product;
  _Alignas(64) uint8_t table[4096];
} wb_parser;

static const char *const ids[] = {"ETH-USD", "BTC-USD"};

static wb_message *claim(wb_out *out, uint32_t delta_count) { return ((wb_parser *)out)->message; }

static uint64_t sum_of(const wb_delta *deltas, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += deltas[i].price + deltas[i].size;
  return sum;
}

static void commit(wb_out *out, wb_message *message) {
  wb_parser *parser = (wb_parser *)out;
  parser->sum += sum_of(message->deltas, message->delta_count);
  parser->wrong += message->kind != WB_MESSAGE_SNAPSHOT && message->kind != WB_MESSAGE_UPDATE;
}

/* Keeps what one message became. */
static void keep(wb_out *out, wb_message *message) {
  wb_parser *parser = (wb_parser *)out;
  if (message->part & WB_PART_FIRST) parser->all_count = 0;
  memcpy(parser->all + parser->all_count, message->deltas, message->delta_count * sizeof(wb_delta));
  parser->all_count += message->delta_count;
  parser->time_ns = message->time_ns;
  parser->product = message->product;
}

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
  if (parser->simdjson) simdjson_parser_close(parser->simdjson);
  free(parser->all);
  free(parser->state);
  free(parser->message);
  free(parser->text);
  free(parser->frame);
  free(parser->message_sum);
  free(parser);
}

/* Whether simdjson says of each message what the full road says. */
static bool agrees(wb_parser *parser) {
  simdjson_delta *deltas = calloc(parser->parameter->levels, sizeof *deltas);
  bool same = deltas;
  parser->out.commit = keep;
  parser->state->fast = wb_coinbase_full;
  for (uint32_t i = 0; i < parser->count && same; i++) {
    const wb_frame *frame = &parser->frame[i];
    const uint8_t *text = parser->text + frame->position;
    simdjson_message message = {.deltas = deltas};
    wb_codec_coinbase_exchange.decode(parser->state, frame, text, &parser->out);
    same = simdjson_parser_parse(parser->simdjson, text, frame->bytes, true, &message) == 0 &&
           message.product == parser->product && message.time_ns == parser->time_ns && message.count == parser->all_count &&
           memcmp(deltas, parser->all, message.count * sizeof *deltas) == 0;
    if (!same) fprintf(stderr, "simdjson and the full road differ: %.*s\n", frame->bytes < 300 ? (int)frame->bytes : 300, text);
  }
  parser->out.commit = commit;
  free(deltas);
  return same;
}

static bool prepare(wb_parser *parser) {
  const wb_parameter *parameter = parser->parameter;
  void *memory = NULL;
  uint32_t message_bytes = HEAD_BYTES_MAX + parameter->levels * (uint32_t)BYTES_PER_LEVEL_MAX;
  parser->out = (wb_out){claim, commit};
  parser->count = parameter->levels == SNAPSHOT_LEVELS ? 1 : MESSAGES_TEXT_BYTES / (90 + 33 * parameter->levels);
  if (wb_products_bytes(16) > sizeof parser->table || wb_products_init(&parser->products, parser->table, 16) != 0) return false;
  for (unsigned i = 0; i < 2; i++) wb_products_add(&parser->products, ids[i], strlen(ids[i]));
  parser->frame = calloc(parser->count, sizeof *parser->frame);
  parser->message_sum = calloc(parser->count, sizeof *parser->message_sum);
  parser->all = calloc(parameter->levels, sizeof *parser->all);
  parser->text = calloc(1, parser->count * (size_t)message_bytes + WB_READ_SLACK_BYTES);
  if (!parser->frame || !parser->message_sum || !parser->all || !parser->text) return false;
  if (posix_memalign(&memory, 64, wb_codec_coinbase_exchange.size(&parser->products)) != 0) return false;
  parser->state = memory;
  if (posix_memalign(&memory, 64, sizeof(wb_message) + WB_PART_DELTAS_MAX * sizeof(wb_delta)) != 0) return false;
  parser->message = memory;
  if (wb_codec_coinbase_exchange.init(parser->state, &parser->products) != 0) return false;
  uint64_t random = UINT64_C(88172645463325252), position = 0;
  for (uint32_t i = 0; i < parser->count; i++) {
    uint32_t bytes = print_message((char *)parser->text + position, parameter, i, &random, &parser->message_sum[i]);
    parser->frame[i] = (wb_frame){.position = position, .number = i, .bytes = bytes, .kind = WB_FRAME_TEXT};
    position += bytes;
  }
  if (parameter->road) {
    parser->state->fast = parameter->road;
    return true;
  }
  parser->simdjson = simdjson_parser_open(message_bytes, ids, 2);
  return parser->simdjson && agrees(parser);
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

static void run_road(wb_parser *parser, uint64_t iterations) {
  for (uint64_t done = 0, i = 0; done < iterations; done++, i = i + 1 == parser->count ? 0 : i + 1) {
    const wb_frame *frame = &parser->frame[i];
    wb_codec_coinbase_exchange.decode(parser->state, frame, parser->text + frame->position, &parser->out);
    parser->bytes += frame->bytes;
  }
}

static void run_simdjson(wb_parser *parser, uint64_t iterations) {
  simdjson_message message = {.deltas = (simdjson_delta *)(void *)parser->all};
  for (uint64_t done = 0, i = 0; done < iterations; done++, i = i + 1 == parser->count ? 0 : i + 1) {
    const wb_frame *frame = &parser->frame[i];
    parser->wrong += simdjson_parser_parse(parser->simdjson, parser->text + frame->position, frame->bytes,
                                           parser->parameter->with_time, &message) != 0;
    parser->sum += sum_of(parser->all, message.count);
    parser->bytes += frame->bytes;
  }
}

static void run(void *state, wb_bench_run *run) {
  wb_parser *parser = state;
  parser->sum = parser->bytes = 0;
  if (parser->simdjson) run_simdjson(parser, run->iterations);
  else run_road(parser, run->iterations);
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

static wb_bench_case cases[CASES_MAX];
static wb_parameter parameters[CASES_MAX];
static char names[CASES_MAX][64];
static unsigned case_count;

/* label: parser/change:1 and so on; suffix: "" or "/portable" and so on; against: suffix of what it is held against, or NULL. */
static void add(const char *label, const char *suffix, const char *against, wb_parameter parameter) {
  if (case_count == CASES_MAX) abort();
  unsigned i = case_count++;
  snprintf(names[i], sizeof names[i], "%s%s", label, suffix);
  parameters[i] = parameter;
  cases[i] = (wb_bench_case){
      .name = names[i], .parameter = &parameters[i], .setup = setup, .run = run, .check = check, .teardown = teardown};
  for (unsigned other = 0; against && other < i; other++)
    if (strncmp(names[other], label, strlen(label)) == 0 && strcmp(names[other] + strlen(label), against) == 0)
      cases[i].against = names[other];
}

static void add_all(const char *label, uint32_t levels) {
  simdjson_parser *simdjson = simdjson_parser_open(64, ids, 2);
  const wb_coinbase_way *way, *chosen = NULL;
  const char *against = simdjson ? "/simdjson" : "/full";
  add(label, "/full", NULL, (wb_parameter){levels, wb_coinbase_full, false, false});
  add(label, "/spaced", NULL, (wb_parameter){levels, wb_coinbase_full, true, false});
  if (simdjson) {
    add(label, "/simdjson", NULL, (wb_parameter){levels, NULL, false, false});
    add(label, "/simdjson+time", NULL, (wb_parameter){levels, NULL, false, true});
    simdjson_parser_close(simdjson);
  }
  for (unsigned i = 0; (way = wb_coinbase_way_at(i)); i++) {
    if (!way->has()) continue;
    char suffix[32];
    snprintf(suffix, sizeof suffix, "/%s", way->name);
    if (!chosen) chosen = way;
    else add(label, suffix, against, (wb_parameter){levels, way->road, false, false});
  }
  add(label, "", against, (wb_parameter){levels, chosen->road, false, false});
}

int main(int argc, char **argv) {
  add_all("parser/change:1", 1);
  add_all("parser/change:2", 2);
  add_all("parser/change:12", 12);
  add_all("parser/snapshot:45000", SNAPSHOT_LEVELS);
  case_count += parser_channels_add(cases + case_count, CASES_MAX - case_count);
  return wb_bench_main(argc, argv, cases, case_count);
}
