/* The fast roads against the full road: whatever the bytes, the same messages. */
#include <criterion/criterion.h>

#include "tests/unit/codec/capture.h"

static const char *const valid[] = {
    "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"19800.95\",\"0.21300594\"]],"
    "\"time\":\"2022-07-13T18:00:52.486000Z\"}",
    "{\"type\":\"l2update\",\"product_id\":\"A\",\"changes\":[[\"sell\",\"1\",\"0\"]]}",
    "{\"type\":\"l2update\",\"product_id\":\"BTC-PERP-INTX\",\"changes\":[[\"sell\",\"9999999999.00\",\"3945722.00000001\"],"
    "[\"buy\",\"0.01\",\"0.00000000\"],[\"buy\",\"12345678\",\"123456789.1234567\"]],\"time\":\"2026-08-02T05:43:52.535977Z\"}",
    "{\"type\":\"snapshot\",\"product_id\":\"ETH-USD\",\"asks\":[[\"1871.50\",\"0.15500160\"],[\"1871.53\",\"1\"]],"
    "\"bids\":[[\"1871.49\",\"2.98800336\"],[\"0.1\",\"0\"]],\"time\":\"2026-08-02T05:43:52.535977Z\"}",
    "{\"type\":\"snapshot\",\"product_id\":\"THIRTY-ONE-CHARACTERS-ID.OF_0-X\",\"bids\":[[\"8720\",\"1.15000249\"]],"
    "\"asks\":[[\"8790.47000000\",\"0.001\"],[\"99999999.99999999\",\"10\"]]}",
};
enum { VALID_COUNT = sizeof valid / sizeof *valid, LONG_NUMBERS = 2 };

static roads all;
static void open_roads(void) { roads_init(&all); }
static void close_roads(void) { roads_fini(&all); }
TestSuite(roads, .init = open_roads, .fini = close_roads);

static void agree(const void *text, size_t bytes, uint8_t slack) {
  const char *broken = roads_decode(&all, text, bytes, slack);
  cr_assert(!broken, "%s: %.*s", broken, (int)(bytes < 600 ? bytes : 600), (const char *)text);
}

static wb_message_kind last_kind(void) { return all.got[0].message[all.got[0].count - 1]->kind; }

static uint64_t random_state;
static uint64_t random_next(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

Test(roads, init_chooses_the_first_that_the_machine_can_take_and_the_last_is_for_every_machine) {
  const wb_coinbase_way *way = NULL, *first = NULL;
  unsigned count = 0;
  for (; wb_coinbase_way_at(count); count++) {
    way = wb_coinbase_way_at(count);
    if (!first && way->has()) first = way;
    for (unsigned i = 0; i < count; i++) cr_assert(strcmp(wb_coinbase_way_at(i)->name, way->name) != 0);
  }
  cr_assert(way && way->has() && way->road == wb_coinbase_fast);
  cr_assert_null(wb_coinbase_way_at(count + 1));
  cr_assert_eq(wb_codec_coinbase_exchange.init(all.state[0], &all.products), 0);
  cr_assert_eq(all.state[0]->fast, first->road);
}

static unsigned left;
static void leave(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) { left++; }

/* Decodes text on one road without the full road and, unless words, without the other fast ones. Returns how often that was missed. */
static unsigned missed(const char *text, unsigned r, bool words) {
  wb_coinbase *state = all.state[r];
  uint8_t bytes[1024] = {0};
  wb_frame frame = {.kind = WB_FRAME_TEXT, .bytes = (uint32_t)strlen(text)};
  memcpy(bytes, text, frame.bytes);
  left = 0;
  state->full = leave;
  if (!words) state->words = leave;
  capture_clear(&all.got[r]);
  wb_codec_coinbase_exchange.decode(state, &frame, bytes, &all.got[r].out);
  cr_assert(left == 1 || all.got[r].count == 1);
  state->words = wb_coinbase_fast;
  state->full = wb_coinbase_full;
  return left;
}

Test(roads, the_shapes_of_the_exchange_are_taken_by_the_fast_roads_themselves) {
  for (unsigned i = 0; i < VALID_COUNT; i++) {
    agree(valid[i], strlen(valid[i]), 0); /* the minute is now known */
    cr_assert(last_kind() == WB_MESSAGE_UPDATE || last_kind() == WB_MESSAGE_SNAPSHOT);
    for (unsigned r = 1; r < all.count; r++) {
      cr_assert_eq(missed(valid[i], r, true), 0, "%s road: %s", all.name[r], valid[i]);
      if (i != LONG_NUMBERS) cr_assert_eq(missed(valid[i], r, false), 0, "%s road: %s", all.name[r], valid[i]);
    }
  }
}

Test(roads, every_truncation_is_a_reject_and_reads_nothing_past_the_slack) {
  for (unsigned i = 0; i < VALID_COUNT; i++)
    for (size_t bytes = 0; bytes < strlen(valid[i]); bytes++)
      for (unsigned slack = 0; slack < 4; slack++) {
        agree(valid[i], bytes, (uint8_t) "\0\"1["[slack]);
        cr_assert_eq(last_kind(), WB_MESSAGE_REJECT, "%zu bytes of %s", bytes, valid[i]);
      }
}

Test(roads, whatever_follows_the_message_in_memory_decides_nothing) {
  for (unsigned i = 0; i < VALID_COUNT; i++)
    for (unsigned slack = 0; slack < 256; slack++) {
      agree(valid[i], strlen(valid[i]), (uint8_t)slack);
      cr_assert_neq(last_kind(), WB_MESSAGE_REJECT);
    }
}

Test(roads, every_byte_replaced_removed_or_doubled_gives_the_same_on_each_road) {
  static const char with[] = "\"\\,:[]{}.0195+-eEZTab \n\t\x00\x01\x1f\x7f\x80\xc3\xff";
  for (unsigned i = 0; i < VALID_COUNT; i++) {
    size_t bytes = strlen(valid[i]);
    for (size_t at = 0; at < bytes; at++) {
      char text[1024];
      for (size_t w = 0; w < sizeof with - 1; w++) {
        memcpy(text, valid[i], bytes);
        text[at] = with[w];
        agree(text, bytes, 0);
        memcpy(text + at + 1, valid[i] + at, bytes - at);
        agree(text, bytes + 1, 0);
      }
      for (unsigned bit = 0; bit < 8; bit++) {
        memcpy(text, valid[i], bytes);
        text[at] ^= (char)(1 << bit);
        agree(text, bytes, 0);
      }
      memcpy(text, valid[i], at);
      memcpy(text + at, valid[i] + at + 1, bytes - at - 1);
      agree(text, bytes - 1, 0);
      memcpy(text, valid[i], at + 1);
      memcpy(text + at + 1, valid[i] + at, bytes - at);
      agree(text, bytes + 1, 0);
      roads_rescale(&all);
    }
  }
}

/* A number of the kinds that are sent, and of those that are not. */
static unsigned random_number(char *text) {
  static const char *const odd[] = {"",
                                    ".",
                                    "0.",
                                    ".5",
                                    "00",
                                    "007",
                                    "00.1",
                                    "-1",
                                    "+1",
                                    "1e5",
                                    "NaN",
                                    "1..2",
                                    "1.2.3",
                                    "0.-10000",
                                    "0",
                                    "0.0",
                                    "0.00000000",
                                    "1 ",
                                    "4611686018427387903",
                                    "4611686018427387904",
                                    "46116860184.27387903",
                                    "46116860184.27387904",
                                    "99999999999999999999",
                                    "0.000000000000000001",
                                    "0.0000000000000000001",
                                    "1234567890123456",
                                    "12345678901234567",
                                    "1.000000000000000000000000000000000000000",
                                    "1.0000000000000000000000000000000000000000",
                                    "\\u0031.5",
                                    "1\\u002e5"};
  uint64_t r = random_next();
  if (r % 16 == 0) return (unsigned)sprintf(text, "%s", odd[(r >> 8) % (sizeof odd / sizeof *odd)]);
  unsigned whole = 1 + (r >> 8) % ((r >> 4) % 4 ? 6 : 12), places = (r >> 16) % ((r >> 4) % 8 ? 9 : 20), used = 0;
  text[used++] = (char)('0' + (whole == 1 ? random_next() % 10 : 1 + random_next() % 9));
  while (used < whole) text[used++] = (char)('0' + random_next() % 10);
  if (places) text[used++] = '.';
  for (unsigned i = 0; i < places; i++) text[used++] = (char)('0' + random_next() % 10);
  text[used] = 0;
  return used;
}

static size_t random_message(char *text, size_t size) {
  static const char *const ids[] = {"BTC-USD", "ETH-USD", "BTC-PERP-INTX", "A", "YFI-USD", "THIRTY-ONE-CHARACTERS-ID.OF_0-X",
                                    "XRP-USD"};
  static const char *const tails[] = {"",
                                      ",\"time\":\"2026-08-02T05:43:52.535977Z\"",
                                      ",\"time\":\"2026-08-02T05:43:53.535977Z\"",
                                      ",\"time\":\"0001-01-01T00:00:00.000000Z\"",
                                      ",\"time\":\"2026-02-30T05:43:52.535977Z\"",
                                      ",\"time\":\"2019-08-01T00:00:03.118Z\"",
                                      ",\"time\":\"\"",
                                      ",\"time\":\"2026-08-02T05:43:60.535977Z\"",
                                      ",\"time\":\"2026-08-02T05:43:52.5359770\""};
  bool snapshot = random_next() % 4 == 0;
  const char *id = ids[random_next() % 16 < 14 ? random_next() % 6 : 6];
  unsigned arrays = snapshot ? 2 : 1;
  bool bids_first = random_next() & 1;
  size_t used = (size_t)sprintf(text, "{\"type\":\"%s\",\"product_id\":\"%s\"", snapshot ? "snapshot" : "l2update", id);
  for (unsigned a = 0; a < arrays; a++) {
    unsigned levels = (unsigned)(random_next() % (random_next() % 4 ? 4 : 14));
    used += (size_t)sprintf(text + used, ",\"%s\":[", !snapshot ? "changes" : (a == 0) == bids_first ? "bids" : "asks");
    for (unsigned i = 0; i < levels && used + 256 < size; i++) {
      char price[64], amount[64];
      random_number(price);
      random_number(amount);
      const char *side = random_next() & 1 ? "\"buy\"," : random_next() % 32 ? "\"sell\"," : "\"bid\",";
      used += (size_t)sprintf(text + used, "%s[%s\"%s\",\"%s\"]", i ? "," : "", snapshot ? "" : side, price, amount);
    }
    used += (size_t)sprintf(text + used, "]");
  }
  return used + (size_t)sprintf(text + used, "%s}", tails[random_next() % 4 ? random_next() % 3 : random_next() % 9]);
}

Test(roads, random_messages_and_their_mutations_give_the_same_on_each_road) {
  random_state = UINT64_C(0x9e3779b97f4a7c15);
  fprintf(stderr, "seed %llx\n", (unsigned long long)random_state);
  unsigned books = 0, rejects = 0, scales = 0;
  for (unsigned i = 0; i < 30000; i++) {
    char text[4096];
    size_t bytes = random_message(text, sizeof text);
    if (random_next() % 4 == 0) text[random_next() % bytes] = (char)random_next();
    agree(text, bytes, (uint8_t)random_next());
    books += last_kind() == WB_MESSAGE_UPDATE || last_kind() == WB_MESSAGE_SNAPSHOT;
    rejects += last_kind() == WB_MESSAGE_REJECT;
    scales += all.got[0].message[0]->kind == WB_MESSAGE_SCALE;
    if (i % 8 == 0) roads_rescale(&all);
  }
  cr_assert(books > 3000 && rejects > 3000 && scales > 300, "%u books, %u rejects, %u scales", books, rejects, scales);
}

/* A number of so many digits before and behind the dot, none of them 0 but the one that may be alone. */
static const char *number_of(unsigned whole, unsigned places, char *text) {
  unsigned used = 0;
  for (unsigned i = 0; i < whole; i++) text[used++] = (char)(whole == 1 && places > 0 ? '0' : '1' + (i + places) % 9);
  if (places) text[used++] = '.';
  for (unsigned i = 0; i < places; i++) text[used++] = (char)('1' + (i + whole) % 9);
  text[used] = 0;
  return text;
}

Test(roads, numbers_of_every_length_in_units_of_every_size_give_the_same_on_each_road) {
  static const unsigned decimals[] = {0, 2, 7, 8, 9, 15, 16, 17, 18};
  enum { DECIMALS = sizeof decimals / sizeof *decimals };
  for (unsigned d = 0; d < DECIMALS * DECIMALS; d++)
    for (unsigned whole = 1; whole < 19; whole++)
      for (unsigned places = 0; places < 20; places++) {
        char text[512], number[64], other[64];
        number_of(whole, places, number);
        number_of(1 + places % 12, whole % 9, other);
        for (unsigned swapped = 0; swapped < 2; swapped++) {
          const char *price = swapped ? other : number, *size = swapped ? number : other;
          int bytes =
              places & 1
                  ? sprintf(text,
                            "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"sell\",\"%s\",\"%s\"],"
                            "[\"buy\",\"%s\",\"0\"]]}",
                            price, size, price)
                  : sprintf(text,
                            "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":[[\"%s\",\"%s\"],[\"%s\",\"1\"]],"
                            "\"asks\":[[\"%s\",\"%s\"]]}",
                            price, size, price, price, size);
          roads_scale(&all, decimals[d / DECIMALS], decimals[d % DECIMALS]);
          agree(text, (size_t)bytes, 0);
        }
      }
}

/* A snapshot of `levels` bids and one ask; the `odd`-th bid has the size given. */
static char *large_snapshot(unsigned levels, unsigned odd, const char *size, size_t *bytes) {
  char *text = malloc(levels * 40u + 400);
  size_t used =
      (size_t)sprintf(text, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"70000.01\",\"1\"]],\"bids\":[");
  for (unsigned i = 0; i < levels; i++)
    used +=
        (size_t)sprintf(text + used, "%s[\"%u.%02u\",\"%s\"]", i ? "," : "", 60000 - i / 100, i % 100, i == odd ? size : "0.5");
  *bytes = used + (size_t)sprintf(text + used, "],\"time\":\"2026-08-02T05:43:52.535977Z\"}");
  return text;
}

Test(roads, a_large_snapshot_comes_in_parts_that_carry_its_time) {
  static const unsigned counts[] = {1, 4094, 4095, 4096, 8191, 8192, 45000};
  for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
    size_t bytes;
    char *text = large_snapshot(counts[i], UINT32_MAX, "", &bytes);
    agree(text, bytes, 0);
    unsigned levels = counts[i] + 1, parts = (levels + WB_PART_DELTAS_MAX - 1) / WB_PART_DELTAS_MAX;
    const capture *got = &all.got[all.count - 1];
    cr_assert_eq(got->count, parts);
    for (unsigned p = 0; p < parts; p++) {
      cr_assert_eq(got->message[p]->part, (p == 0 ? WB_PART_FIRST : 0) | (p == parts - 1 ? WB_PART_LAST : 0));
      cr_assert_eq(got->message[p]->time_ns, INT64_C(1785649432535977000));
      levels -= got->message[p]->delta_count;
    }
    cr_assert_eq(levels, 0);
    free(text);
  }
}

Test(roads, a_snapshot_that_breaks_after_its_first_part_is_aborted_and_then_rejected) {
  static const char *const sizes[] = {"0.-10000", "", "1e5", "-1"};
  for (unsigned i = 0; i < 4; i++) {
    size_t bytes;
    char *text = large_snapshot(9000, 8000, sizes[i], &bytes);
    agree(text, bytes, 0);
    cr_assert_eq(all.got[1].count, 1);
    cr_assert_eq(last_kind(), WB_MESSAGE_REJECT);
    cr_assert_eq(all.got[1].message[0]->u.reject.reason, WB_REJECT_BAD_NUMBER);

    wb_frame frame = {.kind = WB_FRAME_TEXT, .bytes = (uint32_t)bytes};
    uint8_t *memory = calloc(1, bytes + WB_READ_SLACK_BYTES);
    memcpy(memory, text, bytes);
    for (unsigned r = 1; r < all.count; r++) {
      capture_clear(&all.got[r]);
      wb_codec_coinbase_exchange.decode(all.state[r], &frame, memory, &all.got[r].out);
      cr_assert_eq(all.got[r].count, 3);
      cr_assert_eq(all.got[r].message[0]->part, WB_PART_FIRST);
      cr_assert_eq(all.got[r].message[1]->part, WB_PART_LAST | WB_PART_ABORT);
      cr_assert_eq(all.got[r].message[2]->kind, WB_MESSAGE_REJECT);
    }
    free(memory);
    free(text);
  }
}

Test(roads, a_snapshot_that_outgrows_its_scale_late_starts_again_in_the_new_one) {
  size_t bytes;
  char *text = large_snapshot(9000, 8000, "0.123456789", &bytes);
  agree(text, bytes, 0);
  const capture *got = &all.got[1];
  cr_assert_eq(got->count, 4);
  cr_assert_eq(got->message[0]->kind, WB_MESSAGE_SCALE);
  cr_assert_eq(got->message[0]->u.scale.price_decimals, 8);
  cr_assert_eq(got->message[0]->u.scale.size_decimals, 9);
  cr_assert_eq(got->message[1]->deltas[1].size, 500000000);
  cr_assert_eq(got->message[2]->deltas[8001 - WB_PART_DELTAS_MAX].size, 123456789);
  free(text);
}

Test(roads, an_update_of_more_changes_than_a_part_holds_is_whole_or_nothing) {
  for (unsigned broken = 0; broken < 2; broken++) {
    char *text = malloc(10000u * 40);
    size_t used = (size_t)sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[");
    for (unsigned i = 0; i < 9000; i++) used += (size_t)sprintf(text + used, "%s[\"sell\",\"%u\",\"1\"]", i ? "," : "", i + 1);
    used += (size_t)sprintf(text + used, broken ? ",[\"sell\",\"1\",\"-\"]]}" : "]}");
    agree(text, used, 0);
    cr_assert_eq(all.got[1].count, broken ? 1 : 3);
    cr_assert_eq(last_kind(), broken ? WB_MESSAGE_REJECT : WB_MESSAGE_UPDATE);
    free(text);
  }
}
