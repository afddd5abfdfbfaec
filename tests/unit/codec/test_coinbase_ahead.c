/* Reading ahead in a snapshot that is still coming in: whatever the cuts and whatever comes of it, what a reader of the messages
 * has in the end is what decoding the whole record gives. */
#include <criterion/criterion.h>

#include "tests/unit/codec/capture.h"

enum { LEVELS_MAX = 20000, TEXT_BYTES = LEVELS_MAX * 40 };

/* What a book stage would keep: the last whole snapshot, and what else came. */
typedef struct reader {
  wb_out out;
  wb_message *claimed;
  wb_delta *loading, *loaded;
  uint32_t loading_count, loaded_count, snapshots, rejects, others, aborts, parts;
  uint16_t product;
  int64_t time_ns;
  bool open;
} reader;

static uint64_t state;
static uint64_t next_random(void) {
  uint64_t mix = state += UINT64_C(0x9e3779b97f4a7c15);
  mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  return mix ^ mix >> 31;
}

static wb_message *claim(wb_out *out, uint32_t delta_count) {
  reader *to = (reader *)out;
  free(to->claimed);
  void *memory;
  if (posix_memalign(&memory, 64, sizeof(wb_message) + delta_count * sizeof(wb_delta)) != 0) abort();
  return to->claimed = memory;
}

static void commit(wb_out *out, wb_message *message) {
  reader *to = (reader *)out;
  to->parts++;
  if (message->kind != WB_MESSAGE_SNAPSHOT) {
    cr_assert_not(to->open, "another message between the parts of a snapshot");
    if (message->kind == WB_MESSAGE_REJECT) to->rejects++;
    else to->others++;
    return;
  }
  cr_assert_eq(!(message->part & WB_PART_FIRST), to->open);
  if (message->part & WB_PART_FIRST) to->loading_count = 0;
  else cr_assert_eq(message->product, to->product);
  to->product = message->product;
  to->open = !(message->part & WB_PART_LAST);
  cr_assert_leq(to->loading_count + message->delta_count, 2 * LEVELS_MAX);
  memcpy(to->loading + to->loading_count, message->deltas, message->delta_count * sizeof(wb_delta));
  to->loading_count += message->delta_count;
  if (to->open) return;
  if (message->part & WB_PART_ABORT) {
    to->aborts++;
    return;
  }
  memcpy(to->loaded, to->loading, to->loading_count * sizeof(wb_delta));
  to->loaded_count = to->loading_count;
  to->time_ns = message->time_ns;
  to->snapshots++;
}

static reader reader_open(void) {
  return (reader){.out = {claim, commit},
                  .loading = calloc(2 * LEVELS_MAX, sizeof(wb_delta)),
                  .loaded = calloc(2 * LEVELS_MAX, sizeof(wb_delta))};
}

static void reader_close(reader *of) {
  free(of->claimed);
  free(of->loading);
  free(of->loaded);
}

static size_t snapshot(char *text, uint32_t asks, uint32_t bids) {
  size_t used = (size_t)sprintf(text, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\"");
  for (unsigned side = 0; side < 2; side++) {
    used += (size_t)sprintf(text + used, ",\"%s\":[", side ? "bids" : "asks");
    for (uint32_t i = 0, count = side ? bids : asks; i < count; i++) {
      uint64_t random = next_random();
      uint32_t cents = side ? 6000000 - i : 6000001 + i;
      used += (size_t)sprintf(text + used, "%s[\"%u.%02u\",\"%u.%.*u\"]", i ? "," : "", cents / 100, cents % 100,
                              (unsigned)(random % 7), (int)(1 + random / 7 % 8), (unsigned)(random / 100 % 10));
    }
    used += (size_t)sprintf(text + used, "]");
  }
  return used + (size_t)sprintf(text + used, ",\"time\":\"2026-08-02T05:43:52.535977Z\"}");
}

typedef struct bench {
  wb_products products;
  void *memory;
  wb_coinbase *codec;
  reader ahead, whole;
  char *text;
} bench;

static bench all;
static void open_all(void) {
  all.memory = aligned_alloc(64, (wb_products_bytes(2) + 63) & ~(size_t)63);
  wb_products_init(&all.products, all.memory, 2);
  wb_products_add(&all.products, "ETH-USD", 7);
  wb_products_add(&all.products, "BTC-USD", 7);
  all.codec = aligned_alloc(64, wb_codec_coinbase_exchange.size(&all.products));
  all.ahead = reader_open();
  all.whole = reader_open();
  all.text = calloc(1, 2 * TEXT_BYTES + WB_READ_SLACK_BYTES);
  cr_assert_eq(wb_codec_coinbase_exchange.init(all.codec, &all.products), 0);
}
static void close_all(void) {
  reader_close(&all.ahead);
  reader_close(&all.whole);
  free(all.codec);
  free(all.memory);
  free(all.text);
}
TestSuite(ahead, .init = open_all, .fini = close_all);

/* Shows the text in growing pieces; what has not come yet is noise. Returns how often the codec got on. */
static unsigned show(const char *text, size_t bytes, uint64_t position, size_t piece) {
  char *seen = malloc(bytes + WB_READ_SLACK_BYTES);
  for (size_t i = 0; i < bytes + WB_READ_SLACK_BYTES; i++) seen[i] = "[]\",0"[next_random() % 5];
  unsigned got_on = 0;
  size_t come = 0;
  while (come < bytes) {
    size_t more = 1 + next_random() % piece;
    if (more > bytes - come) more = bytes - come;
    memcpy(seen + come, text + come, more);
    come += more;
    if (come < bytes)
      got_on += wb_codec_coinbase_exchange.ahead(all.codec, 0, position, (const uint8_t *)seen, come, &all.ahead.out);
  }
  free(seen);
  return got_on;
}

static void decode(reader *to, const char *text, size_t bytes, uint64_t position, wb_frame_kind kind) {
  wb_frame frame = {.position = position, .bytes = (uint32_t)bytes, .kind = (uint8_t)kind, .recv_ns = 7, .number = 3};
  wb_codec_coinbase_exchange.decode(all.codec, &frame, (const uint8_t *)text, &to->out);
}

static void expect_the_same(void) {
  cr_assert_not(all.ahead.open || all.whole.open);
  cr_assert_eq(all.ahead.snapshots, all.whole.snapshots);
  cr_assert_eq(all.ahead.rejects, all.whole.rejects);
  cr_assert_eq(all.ahead.others, all.whole.others);
  cr_assert_eq(all.ahead.loaded_count, all.whole.loaded_count);
  cr_assert_eq(all.ahead.time_ns, all.whole.time_ns);
  cr_assert_eq(memcmp(all.ahead.loaded, all.whole.loaded, all.whole.loaded_count * sizeof(wb_delta)), 0);
}

static void each_road(void (*body)(void)) {
  const wb_coinbase_way *way;
  for (unsigned i = 0; (way = wb_coinbase_way_at(i)); i++) {
    if (!way->has()) continue;
    all.codec->fast = way->road;
    all.codec->side = way->side;
    state = 20261121 + i;
    cr_log_info("%s, seed %lu", way->name, state);
    body();
  }
}

static void whole_snapshots(void) {
  static const uint32_t sizes[][2] = {{LEVELS_MAX, LEVELS_MAX}, {700, 1}, {1, 700}, {3000, 5000}};
  for (unsigned s = 0; s < 4; s++)
    for (unsigned round = 0; round < 6; round++) {
      size_t bytes = snapshot(all.text, sizes[s][0], sizes[s][1]);
      uint64_t position = next_random() >> 8;
      unsigned got_on = show(all.text, bytes, position, round % 2 ? 30000 : 200000);
      cr_assert(got_on || bytes < 40000 || !(round % 2));
      decode(&all.ahead, all.text, bytes, position, WB_FRAME_TEXT);
      decode(&all.whole, all.text, bytes, position, WB_FRAME_TEXT);
      cr_assert_eq(all.ahead.loaded_count, sizes[s][0] + sizes[s][1]);
      cr_assert_eq(all.ahead.aborts, 0);
      expect_the_same();
    }
}
Test(ahead, a_snapshot_read_while_it_comes_is_the_snapshot) { each_road(whole_snapshots); }

static void damaged_snapshots(void) {
  uint32_t aborts = all.ahead.aborts;
  for (unsigned round = 0; round < 60; round++) {
    size_t bytes = snapshot(all.text, 1500, 1500);
    for (unsigned n = 1 + next_random() % 3; n; n--) all.text[next_random() % bytes] = "\"[],.0z{\\\n\xff"[next_random() % 11];
    uint64_t position = next_random() >> 8;
    show(all.text, bytes, position, 20000);
    decode(&all.ahead, all.text, bytes, position, WB_FRAME_TEXT);
    decode(&all.whole, all.text, bytes, position, WB_FRAME_TEXT);
    expect_the_same();
  }
  cr_assert_gt(all.ahead.aborts, aborts);
}
Test(ahead, a_snapshot_that_turns_out_malformed_is_taken_back_and_told_as_ever) { each_road(damaged_snapshots); }

static void cut_snapshots(void) {
  static const wb_frame_kind ends[] = {WB_FRAME_PARTIAL, WB_FRAME_OVERSIZE, WB_FRAME_VIOLATION, WB_FRAME_TEXT};
  for (unsigned i = 0; i < 4; i++) {
    size_t bytes = snapshot(all.text, 2000, 2000);
    uint64_t position = next_random() >> 8;
    uint32_t aborts = all.ahead.aborts, snapshots = all.ahead.snapshots;
    cr_assert(show(all.text, bytes / 2, position, 15000));
    /* A shorter text at another place, or what was cut short: from its header on. */
    const char *other =
        ends[i] == WB_FRAME_TEXT ? "{\"type\":\"l2update\",\"product_id\":\"ETH-USD\",\"changes\":[]}" : all.text;
    decode(&all.ahead, other, ends[i] == WB_FRAME_TEXT ? strlen(other) : bytes / 2, position - 10, ends[i]);
    cr_assert_eq(all.ahead.aborts, aborts + 1);
    cr_assert_eq(all.ahead.snapshots, snapshots);
    cr_assert_not(all.ahead.open);
  }
}
Test(ahead, a_snapshot_that_never_comes_whole_is_taken_back) { each_road(cut_snapshots); }

Test(ahead, other_messages_and_the_records_of_another_line_are_let_be) {
  state = 5;
  size_t bytes = snapshot(all.text, 2000, 2000);
  all.text[10] = 'S'; /* "type" of something else */
  cr_assert_eq(show(all.text, bytes, 99, 10000), 0);
  decode(&all.ahead, all.text, bytes, 99, WB_FRAME_TEXT);
  cr_assert_eq(all.ahead.parts, 1);

  bytes = snapshot(all.text, 2000, 2000);
  cr_assert(show(all.text, bytes - 100, 1000, 10000));
  cr_assert_not(wb_codec_coinbase_exchange.ahead(all.codec, 1, 1000, (const uint8_t *)all.text, bytes, &all.ahead.out));
  wb_frame frame = {.position = 1000, .line = 1, .kind = WB_FRAME_PING};
  all.ahead.open = false; /* of the other line, as the check in commit sees it */
  wb_codec_coinbase_exchange.decode(all.codec, &frame, (const uint8_t *)"", &all.ahead.out);
  all.ahead.open = true;
  decode(&all.ahead, all.text, bytes, 1000, WB_FRAME_TEXT);
  cr_assert_eq(all.ahead.loaded_count, 4000);
  cr_assert_eq(all.ahead.aborts, 0);
}
