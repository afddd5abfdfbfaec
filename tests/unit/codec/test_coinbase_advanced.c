/* The Advanced Trade dialect: frames as the exchange sends them and what they must become (tests/golden/coinbase_advanced), and its two roads, which must
 * say the same of any bytes. */
#include <criterion/criterion.h>

#include "tests/unit/codec/advanced.h"
#include "tests/unit/random.h"

enum { FILE_BYTES_MAX = 1 << 16, CHANGES_MAX = 9000 };

static char *read_whole(const char *name, const char *suffix) {
  char path[256];
  snprintf(path, sizeof path, "tests/golden/coinbase_advanced/%s.%s", name, suffix);
  FILE *file = fopen(path, "r");
  cr_assert(file, "%s", path);
  char *text = calloc(1, FILE_BYTES_MAX);
  size_t bytes = fread(text, 1, FILE_BYTES_MAX - 1, file);
  cr_assert(bytes > 0 && bytes < FILE_BYTES_MAX - 1);
  fclose(file);
  return text;
}

/* connect: each frame is the first of a connection. */
static void golden(const char *name, bool connect) {
  advanced all;
  advanced_init(&all);
  char *frames = read_whole(name, "jsonl"), *want = read_whole(name, "expected"), *got = calloc(1, FILE_BYTES_MAX);
  size_t used = 0;
  unsigned number = 1;
  for (const char *line = frames, *end; (end = strchr(line, '\n')); line = end + 1, number++) {
    if (connect) cr_assert_null(advanced_decode(&all, WB_FRAME_CONNECT, "{}", 2, 0));
    const char *broken = advanced_decode(&all, WB_FRAME_TEXT, line, (size_t)(end - line), '"');
    cr_assert_null(broken, "frame %u: %s", number, broken);
    for (unsigned i = 0; i < all.got[1].count; i++) {
      used += (size_t)snprintf(got + used, FILE_BYTES_MAX - used, "%u ", number);
      used += capture_print(&all.got[1], i, got + used, FILE_BYTES_MAX - used);
      used += (size_t)snprintf(got + used, FILE_BYTES_MAX - used, "\n");
      cr_assert_lt(used, FILE_BYTES_MAX);
    }
  }
  cr_assert_str_eq(got, want);
  free(frames);
  free(want);
  free(got);
  advanced_fini(&all);
}

Test(coinbase_advanced, frames_of_today) { golden("today", false); }
Test(coinbase_advanced, frames_of_every_channel) { golden("channels", false); }
Test(coinbase_advanced, frames_that_break_the_schema_change_nothing) { golden("refused", true); }

static const char *update_text(char *text, size_t size, unsigned long long sequence) {
  snprintf(text, size,
           "{\"channel\":\"l2_data\",\"client_id\":\"\",\"timestamp\":\"2026-09-07T01:58:00.100000Z\",\"sequence_num\":%llu,"
           "\"events\":[{\"type\":\"update\",\"product_id\":\"BTC-USD\",\"updates\":[{\"side\":\"bid\",\"event_time\":"
           "\"2026-09-07T01:58:00.090001Z\",\"price_level\":\"79943.8\",\"new_quantity\":\"0\"}]}]}",
           sequence);
  return text;
}

Test(coinbase_advanced, a_sequence_num_that_is_not_the_next_of_its_connection_is_a_gap) {
  static const struct step {
    int sequence; /* -1: a new connection */
    bool gap;
  } steps[] = {{7, false},  {8, false}, {10, true}, {11, false}, {11, true}, {12, false},
               {-1, false}, {0, false}, {2, true},  {-1, false}, {1, true}};
  advanced all;
  advanced_init(&all);
  for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
    char text[512];
    bool connect = steps[i].sequence < 0;
    if (!connect) update_text(text, sizeof text, (unsigned long long)steps[i].sequence);
    cr_assert_null(advanced_decode(&all, connect ? WB_FRAME_CONNECT : WB_FRAME_TEXT, text, connect ? 0 : strlen(text), 0));
    capture *got = &all.got[1];
    cr_assert_eq(got->count, 1u + steps[i].gap, "step %u", i);
    if (steps[i].gap) cr_assert_eq(got->message[0]->kind, WB_MESSAGE_GAP);
    cr_assert_eq(got->message[steps[i].gap]->kind, connect ? WB_MESSAGE_CONNECT : WB_MESSAGE_UPDATE);
  }
  advanced_fini(&all);
}

/* A snapshot of so many levels, or an update. */
static size_t large_text(char *text, bool snapshot, unsigned changes) {
  size_t used = (size_t)sprintf(
      text,
      "{\"channel\":\"l2_data\",\"client_id\":\"\",\"timestamp\":\"2026-09-07T01:58:00.100000Z\",\"sequence_num\":0,"
      "\"events\":[{\"type\":\"%s\",\"product_id\":\"BTC-USD\",\"updates\":[",
      snapshot ? "snapshot" : "update");
  for (unsigned i = 0; i < changes; i++)
    used += (size_t)sprintf(text + used,
                            "%s{\"side\":\"%s\",\"event_time\":\"2026-09-07T01:58:00.%06uZ\",\"price_level\":\"%u.%u\","
                            "\"new_quantity\":\"%u.%08u\"}",
                            i ? "," : "", next() & 1 ? "bid" : "offer", (unsigned)(next() % 1000000),
                            (unsigned)(next() % 100000) + 1, (unsigned)(next() % 100), (unsigned)(next() % 50),
                            (unsigned)(next() % 100000000));
  return used + (size_t)sprintf(text + used, "]}]}");
}

Test(coinbase_advanced, levels_of_every_count_come_out_whole_in_parts) {
  static const unsigned counts[] = {1, 2, 3, 4095, 4096, 4097, 8191, 8192, CHANGES_MAX};
  char *text = malloc(CHANGES_MAX * 160 + 1024);
  seed();
  for (unsigned i = 0; i < 2 * sizeof counts / sizeof *counts; i++) {
    advanced all;
    advanced_init(&all);
    size_t bytes = large_text(text, i & 1, counts[i / 2]);
    const char *broken = advanced_decode(&all, WB_FRAME_TEXT, text, bytes, ']');
    cr_assert_null(broken, "%u changes: %s", counts[i / 2], broken);
    uint64_t levels = 0;
    for (unsigned m = 0; m < all.got[1].count; m++) levels += all.got[1].message[m]->delta_count;
    cr_assert_eq(levels, counts[i / 2]);
    advanced_fini(&all);
  }
  free(text);
}

Test(coinbase_advanced, both_roads_say_the_same_of_messages_damaged_at_random) {
  char *frames = read_whole("today", "jsonl"), text[8192];
  seed();
  for (unsigned turn = 0; turn < 20000; turn++) {
    static advanced all;
    if (!all.memory) advanced_init(&all);
    unsigned line = (unsigned)(next() % 16);
    const char *from = frames;
    while (line--) from = strchr(from, '\n') + 1;
    size_t bytes = strcspn(from, "\n");
    memcpy(text, from, bytes);
    for (unsigned damage = (unsigned)(next() % 3); damage--;) {
      size_t at = (size_t)(next() % bytes);
      switch (next() % 4) {
      case 0: text[at] = (char)next(); break;
      case 1: text[at] = "0123456789.\"{}[]:,-eE \\u"[next() % 24]; break;
      case 2:
        memmove(text + at, text + at + 1, bytes - at - 1);
        bytes--;
        break;
      default: memmove(text + at + 1, text + at, bytes - at); bytes++;
      }
    }
    const char *broken = advanced_decode(&all, WB_FRAME_TEXT, text, bytes, (uint8_t)next());
    cr_assert_null(broken, "%s: %.*s", broken, (int)bytes, text);
  }
  free(frames);
}

Test(coinbase_advanced, subscribes_one_channel_a_message_and_heartbeats_without_products) {
  advanced all;
  advanced_init(&all);
  static const char *const channels[] = {"level2", "heartbeats", NULL};
  const uint16_t index[] = {0, 2};
  char text[256];
  int bytes = wb_codec_coinbase_advanced.subscribe(&all.products, channels, index, 2, false, text, sizeof text);
  cr_assert_str_eq(text, "{\"type\":\"subscribe\",\"channel\":\"level2\",\"product_ids\":[\"BTC-USD\",\"BAT-USDC\"]}\n"
                         "{\"type\":\"subscribe\",\"channel\":\"heartbeats\"}");
  cr_assert_eq(bytes, (int)strlen(text));
  cr_assert_eq(wb_codec_coinbase_advanced.subscribe(&all.products, channels, index, 2, true, text, 40), WB_E_LIMIT);
  advanced_fini(&all);
}
