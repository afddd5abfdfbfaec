#include <criterion/criterion.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ring/atomic.h"
#include "engine/stages/parse_stage.h"
#include "io/host.h"
#include "io/memory.h"

/* Two products, one line ring and the notes, all stages on the test's thread; time stands still unless a test moves it. */
typedef struct rig {
  wb_products products;
  wb_host host;
  uint64_t now_ns, number;
  uint8_t line; /* which the next frames are of */
  wb_arbiter arbiter;
  wb_frames ring[2];
  wb_ring commands, messages;
  wb_parse_stage parse;
  wb_book_stage book;
  wb_book_product product[2];
  wb_view *views;
} rig;

enum { JOURNAL = 1 << 22, S = 1000000000 };

static uint64_t rig_now(void *self) { return ((rig *)self)->now_ns; }
static int64_t rig_offset(void *self) { return 0; }
static void rig_log(void *self, int level, const char *text) {}

static void *zeroed(size_t bytes) {
  size_t whole = (bytes + 127) & ~(size_t)127;
  void *memory = aligned_alloc(128, whole);
  cr_assert_not_null(memory);
  return memset(memory, 0, whole);
}

static rig *rig_open(bool pipelined, bool interactive) {
  rig *r = zeroed(sizeof *r);
  r->now_ns = S;
  wb_products_init(&r->products, zeroed(wb_products_bytes(4)), 4);
  wb_products_add(&r->products, "BTC-USD", 7);
  wb_products_add(&r->products, "ETH-USD", 7);
  r->host = (wb_host){.self = r, .now_ns = rig_now, .utc_offset_ns = rig_offset, .log = rig_log};
  for (int i = 0; i < 2; i++)
    cr_assert_eq(
        wb_frames_init(&r->ring[i], wb_mirror_open(JOURNAL, false, NULL), JOURNAL, zeroed(4096 * sizeof(wb_frame)), 4096, 1),
        0);
  wb_ring_init(&r->commands, wb_mirror_open(65536, false, NULL), 65536);
  wb_ring_init(&r->messages, wb_mirror_open(1 << 20, false, NULL), 1 << 20);
  wb_book_config config = {.window_ticks = 1024, .level_count_max = 32768};
  r->views = zeroed(2 * sizeof *r->views);
  for (int i = 0; i < 2; i++) {
    r->product[i].book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
    r->product[i].view = &r->views[i];
  }
  wb_book_stage_init(&r->book,
                     &(wb_book_stage_config){.products = &r->products,
                                             .host = &r->host,
                                             .commands = interactive ? &r->commands : NULL,
                                             .crossed_ns = S,
                                             .mid_window = 10,
                                             .mid2 = zeroed(2 * 10 * sizeof(uint64_t)),
                                             .depth = 10,
                                             .timed = interactive},
                     r->product, zeroed(2 * 2 * 10 * sizeof(wb_level)), zeroed(4 * sizeof(uint32_t)),
                     zeroed(2 * sizeof(wb_view_data)));
  if (pipelined) r->book.messages = &r->messages;
  const wb_codec *codec = wb_codec_find("coinbase-exchange");
  r->parse = (wb_parse_stage){.ring = {&r->ring[0], &r->ring[1]},
                              .ring_count = 2,
                              .codec = codec,
                              .codec_state = zeroed(codec->size(&r->products)),
                              .products = &r->products,
                              .host = &r->host,
                              .messages = pipelined ? &r->messages : NULL,
                              .book = &r->book,
                              .batch = zeroed(WB_PARSE_BATCH_BYTES)};
  cr_assert_eq(codec->init(r->parse.codec_state, &r->products), 0);
  wb_parse_stage_init(&r->parse);
  return r;
}

static void push(rig *r, int ring, wb_frame_kind kind, const char *text) {
  size_t bytes = strlen(text);
  wb_frames *frames = &r->ring[ring];
  cr_assert_geq(wb_frames_room(frames, bytes), bytes);
  cr_assert_geq(wb_frames_slots(frames, 1), 1u);
  memcpy(wb_frames_head(frames), text, bytes);
  wb_frame frame = {.position = frames->head,
                    .recv_ns = r->now_ns,
                    .number = r->number++,
                    .bytes = (uint32_t)bytes,
                    .connection = (uint16_t)(10 + r->line),
                    .line = r->line,
                    .kind = (uint8_t)kind};
  wb_frames_advance(frames, bytes);
  wb_frames_push(frames, &frame);
  wb_frames_publish(frames);
}

static void work(rig *r) {
  while (wb_parse_stage_work(&r->parse) + (r->book.messages ? wb_book_stage_work(&r->book) : 0)) {
  }
}

static void say(rig *r, const char *format, ...) {
  char text[4096];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  push(r, 0, WB_FRAME_TEXT, text);
  work(r);
}

static wb_view_data view(const rig *r, int product) {
  wb_view_data data;
  wb_view_read(&r->views[product], &data);
  return data;
}

static void live(rig *r) {
  push(r, 1, WB_FRAME_CONNECT, "{}");
  say(r, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"101\",\"2\"]],\"bids\":[[\"100\",\"1\"],[\"99\",\"5\"]"
         "]}");
  say(r, "{\"type\":\"snapshot\",\"product_id\":\"ETH-USD\",\"asks\":[[\"11\",\"2\"]],\"bids\":[[\"10\",\"1\"]]}");
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  cr_assert_eq(view(r, 1).state, WB_STATE_LIVE);
}

static int commands(rig *r, wb_command *out, int max) {
  size_t bytes;
  const wb_command *command = wb_ring_peek(&r->commands, &bytes);
  int count = (int)(bytes / sizeof *command);
  for (int i = 0; i < count && i < max; i++) out[i] = command[i];
  if (bytes) wb_ring_release(&r->commands, bytes);
  return count;
}

#define E8 UINT64_C(100000000)

Test(stages, an_update_is_seen_as_a_whole_with_its_analytics) {
  rig *r = rig_open(false, false);
  live(r);
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100.5\",\"3\"],[\"sell\",\"101\",\"0\"],["
         "\"sell\",\"102\",\"4\"]],"
         "\"time\":\"2026-08-02T05:43:52.535977Z\"}");
  wb_view_data v = view(r, 0);
  cr_assert_eq(v.best_bid, 100 * E8 + E8 / 2);
  cr_assert_eq(v.best_bid_size, 3 * E8);
  cr_assert_eq(v.best_ask, 102 * E8);
  cr_assert_eq(v.max_spread, 3 * E8 / 2);
  cr_assert_eq(v.mid_held, 2u);
  cr_assert_eq(v.updates, 1u);
  cr_assert_eq(v.changes, 3u);
  cr_assert_eq(v.bid_levels, 3u);
  cr_assert_eq(v.ask_levels, 1u);
  cr_assert_eq(view(r, 1).updates, 0u);
}

Test(stages, between_two_changes_of_one_message_nothing_is_computed) {
  rig *r = rig_open(false, false);
  live(r);
  /* Crossed in the middle, not at the end. */
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"200\",\"3\"],[\"buy\",\"200\",\"0\"]],"
         "\"time\":\"\"}");
  cr_assert_eq(view(r, 0).crossed, 0u);
  cr_assert_eq(view(r, 0).max_spread, 1 * E8);
}

Test(stages, a_malformed_message_changes_no_book_and_makes_it_stale_until_the_next_snapshot) {
  rig *r = rig_open(false, false);
  live(r);
  uint64_t hash = wb_book_hash(r->product[0].book);
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100\",\"7\"],[\"buy\",\"98\",\"0.-10000\"]]"
         ",\"time\":\"\"}");
  cr_assert_eq(wb_book_hash(r->product[0].book), hash);
  cr_assert_eq(view(r, 0).state, WB_STATE_STALE);
  cr_assert_eq(view(r, 0).reason, WB_REASON_REJECTED);
  cr_assert_eq(view(r, 0).reject, WB_REJECT_BAD_NUMBER);
  cr_assert_eq(r->book.rejected[WB_REJECT_BAD_NUMBER], 1u);
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100\",\"7\"]],\"time\":\"\"}");
  cr_assert_eq(wb_book_hash(r->product[0].book), hash);
  cr_assert_eq(view(r, 0).updates, 0u);
  cr_assert_eq(view(r, 1).state, WB_STATE_LIVE);
  say(r, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"7\",\"2\"]],\"bids\":[[\"6\",\"1\"]]}");
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  cr_assert_eq(view(r, 0).best_ask, 7 * E8);
  cr_assert_eq(view(r, 0).snapshots, 2u);
}

Test(stages, a_malformed_snapshot_leaves_the_old_book_in_place) {
  rig *r = rig_open(false, false);
  live(r);
  uint64_t hash = wb_book_hash(r->product[0].book);
  say(r, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"7\",\"2\"],[\"8\",\"x\"]],\"bids\":[[\"6\",\"1\"]]}");
  cr_assert_eq(wb_book_hash(r->product[0].book), hash);
  cr_assert_eq(view(r, 0).state, WB_STATE_STALE);
  cr_assert_eq(view(r, 0).best_ask, 101 * E8);
}

Test(stages, an_update_before_the_snapshot_is_counted_once_and_changes_nothing) {
  rig *r = rig_open(false, false);
  for (int i = 0; i < 3; i++)
    say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100\",\"7\"]],\"time\":\"\"}");
  cr_assert_eq(r->book.rejected[WB_REJECT_NO_SNAPSHOT], 1u);
  cr_assert_eq(view(r, 0).state, WB_STATE_WAITING);
  cr_assert_eq(wb_book_level_count(r->product[0].book, WB_SIDE_BID), 0u);
}

Test(stages, a_bad_message_of_one_product_asks_for_a_resync_of_that_product) {
  rig *r = rig_open(false, true);
  live(r);
  say(r, "{\"type\":\"l2update\",\"product_id\":\"ETH-USD\",\"changes\":[[\"bid\",\"10\",\"7\"]],\"time\":\"\"}");
  wb_command command[4];
  cr_assert_eq(commands(r, command, 4), 1);
  cr_assert_eq(command[0].kind, WB_COMMAND_RESUBSCRIBE);
  cr_assert_eq(command[0].product, 1u);
  cr_assert_eq(command[0].reject, WB_REJECT_UNKNOWN_SIDE);
  cr_assert_eq(view(r, 1).state, WB_STATE_RESYNCING);
}

Test(stages, a_message_that_nobody_can_assign_makes_all_books_suspect_and_the_line_reconnect) {
  rig *r = rig_open(false, true);
  live(r);
  say(r, "{\"type\":\"l2upd");
  wb_command command[4];
  cr_assert_eq(commands(r, command, 4), 1);
  cr_assert_eq(command[0].kind, WB_COMMAND_RECONNECT);
  cr_assert_eq(command[0].close_code, 1000u);
  cr_assert_eq(view(r, 0).state, WB_STATE_STALE);
  cr_assert_eq(view(r, 1).state, WB_STATE_STALE);
}

Test(stages, invalid_utf8_closes_the_line_with_1007_and_binary_with_1003) {
  rig *r = rig_open(false, true);
  live(r);
  wb_command command[4];
  say(r, "{\"type\":\"ticker\",\"x\":\"\xc3\x28\"}");
  cr_assert_eq(commands(r, command, 4), 1);
  cr_assert_eq(command[0].close_code, 1007u);
  push(r, 0, WB_FRAME_BINARY, "abc");
  work(r);
  cr_assert_eq(commands(r, command, 4), 1);
  cr_assert_eq(command[0].close_code, 1003u);
}

Test(stages, a_product_not_asked_for_is_counted_and_troubles_no_book) {
  rig *r = rig_open(false, true);
  live(r);
  say(r, "{\"type\":\"l2update\",\"product_id\":\"XRP-USD\",\"changes\":[[\"buy\",\"10\",\"7\"]],\"time\":\"\"}");
  wb_command command[4];
  cr_assert_eq(r->book.rejected[WB_REJECT_UNKNOWN_PRODUCT], 1u);
  cr_assert_eq(commands(r, command, 4), 0);
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
}

Test(stages, a_malformed_ticker_or_match_is_counted_and_troubles_no_book) {
  rig *r = rig_open(false, true);
  live(r);
  say(r, "{\"type\":\"ticker\",\"product_id\":\"BTC-USD\",\"sequence\":1,\"best_bid\":\"x\",\"best_ask\":\"1\"}");
  say(r, "{\"type\":\"match\",\"product_id\":\"ETH-USD\"}");
  say(r, "{\"type\":\"match\"}");
  wb_command command[4];
  cr_assert_eq(commands(r, command, 4), 0);
  cr_assert_eq(r->book.rejected[WB_REJECT_BAD_NUMBER], 1u);
  cr_assert_eq(r->book.rejected[WB_REJECT_MISSING_FIELD], 2u);
  cr_assert_eq(view(r, 0).rejected, 1u);
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  cr_assert_eq(view(r, 1).state, WB_STATE_LIVE);
}

Test(stages, what_makes_no_book_leaves_books_and_witnesses_as_they_were) {
  rig *r = rig_open(false, true);
  live(r);
  const wb_view_data before = view(r, 0);
  say(r, "{\"type\":\"match\",\"product_id\":\"BTC-USD\",\"sequence\":1,\"trade_id\":1,\"price\":\"100\",\"size\":\"1\","
         "\"side\":\"buy\"}");
  /* Its trades have ids of their own; its prices are finer than the book's units, as are those of the ticker, which says no best prices then. */
  say(r, "{\"type\":\"rfq_match\",\"product_id\":\"BTC-USD\",\"trade_id\":900,\"price\":\"1.0000000001\",\"size\":\"1\","
         "\"side\":\"buy\"}");
  say(r, "{\"type\":\"ticker\",\"product_id\":\"BTC-USD\",\"sequence\":2,\"best_bid\":\"1.0000000001\",\"best_ask\":\"2\"}");
  say(r, "{\"type\":\"auction\",\"product_id\":\"BTC-USD\",\"sequence\":3,\"auction_state\":\"opening\",\"best_bid_price\":"
         "\"7\"}");
  say(r, "{\"type\":\"status\",\"products\":[{\"id\":\"BTC-USD\",\"base_increment\":\"7\",\"quote_increment\":\"0.0000000001\","
         "\"status\":\"delisted\"},{\"id\":\"XRP-USD\"}]}");
  for (unsigned i = 0; i < 3; i++) {
    r->now_ns += 2 * (uint64_t)S;
    work(r);
  }
  const wb_view_data after = view(r, 0);
  cr_expect_eq(after.state, WB_STATE_LIVE);
  cr_expect_eq(memcmp(after.alarms, before.alarms, sizeof after.alarms), 0);
  cr_expect_eq(after.lost_trades, 0);
  cr_expect(after.price_decimals == before.price_decimals && after.size_decimals == before.size_decimals);
  cr_expect(after.best_bid == before.best_bid && after.best_ask == before.best_ask && after.updates == before.updates);
  cr_expect_eq(r->book.unknown, 0);
  for (unsigned i = 0; i < WB_REJECT_COUNT; i++) cr_expect_eq(r->book.rejected[i], 0);
}

Test(stages, messages_of_unknown_types_are_counted_and_of_a_part_only_those_about_its_products) {
  for (unsigned part = 0; part < 2; part++) {
    rig *r = rig_open(false, false);
    r->parse.part = part;
    live(r);
    uint64_t before = r->parse.messages_in;
    say(r, "{\"type\":\"weather\",\"product_id\":\"BTC-USD\"}");
    say(r, "{\"type\":\"weather\",\"product_id\":\"XRP-USD\"}");
    say(r, "{\"type\":\"weather\"}");
    say(r, "{\"type\":\"status\",\"products\":[{\"id\":\"BTC-USD\",\"base_increment\":\"1\",\"quote_increment\":\"1\"}]}");
    say(r, "{\"type\":\"open\",\"product_id\":\"BTC-USD\"}");
    cr_expect_eq(r->book.unknown, part ? 1 : 3);
    cr_expect_eq(r->parse.messages_in - before, part ? 2 : 5);
    cr_expect_eq(view(r, 0).state, WB_STATE_LIVE);
  }
}

Test(stages, a_book_crossed_for_longer_than_allowed_is_resynchronised_and_its_analytics_keep_running) {
  rig *r = rig_open(false, true);
  live(r);
  wb_command command[4];
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"150\",\"1\"]],\"time\":\"\"}");
  wb_view_data v = view(r, 0);
  cr_assert_eq(v.state, WB_STATE_LIVE);
  cr_assert_eq(v.crossed, 1u);
  cr_assert_eq((int64_t)(v.best_ask - v.best_bid), -49 * (int64_t)E8);
  r->now_ns += S / 2;
  work(r);
  cr_assert_eq(commands(r, command, 4), 0);
  r->now_ns += 2 * (uint64_t)S;
  work(r);
  cr_assert_eq(commands(r, command, 4), 2);
  cr_assert_eq(command[0].kind, WB_COMMAND_GAP);
  cr_assert_eq(command[0].alarm, WB_ALARM_CROSSED);
  cr_assert_eq(command[0].seen, 150 * E8);
  cr_assert_eq(command[0].expected, 101 * E8);
  cr_assert_eq(command[0].decimals, 8u);
  cr_assert_eq(command[1].kind, WB_COMMAND_RESUBSCRIBE);
  cr_assert_eq(command[1].reason, WB_REASON_CROSSED);
  cr_assert_eq(view(r, 0).state, WB_STATE_RESYNCING);
  cr_assert_eq(view(r, 0).alarms[WB_ALARM_CROSSED], 1u);
}

/* Live and in a replay, from the same messages. */
static void crosses_and_comes_late(rig *r) {
  live(r);
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"150\",\"1\"]],\"time\":\"\"}");
  r->now_ns += S;
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"99\",\"2\"]],\"time\":\"\"}");
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  r->now_ns++;
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"150\",\"0\"]],\"time\":\"\"}");
}

Test(stages, the_update_that_comes_when_a_book_is_crossed_for_too_long_is_dropped_in_a_replay_too) {
  for (int interactive = 0; interactive < 2; interactive++) {
    rig *r = rig_open(false, interactive);
    crosses_and_comes_late(r);
    wb_view_data v = view(r, 0);
    cr_assert_eq(v.state, interactive ? WB_STATE_RESYNCING : WB_STATE_STALE);
    cr_assert_eq(v.reason, WB_REASON_CROSSED);
    cr_assert_eq(v.updates, 2u);
    cr_assert_eq(v.best_bid, 150 * E8);
    cr_assert_eq(v.alarms[WB_ALARM_CROSSED], 1u);
    push(r, 1, WB_FRAME_RESYNC, "{\"event\":\"resync\",\"product\":\"BTC-USD\"}");
    work(r);
    v = view(r, 0);
    cr_assert_eq(v.state, WB_STATE_RESYNCING);
    cr_assert_eq(v.resyncs, 1u);
    cr_assert_eq(r->book.resyncs, 1u);
  }
}

Test(stages, an_alarm_that_the_governor_holds_back_is_counted_and_the_book_stays_live) {
  rig *r = rig_open(false, true);
  live(r);
  wb_command command[8];
  for (int i = 0; i < 4; i++) {
    for (int back = 1; back >= 0; back--)
      say(r,
          "{\"type\":\"l2update\",\"product_id\":\"ETH-USD\",\"changes\":[[\"buy\",\"9\",\"1\"]],\"time\":\"2026-08-02T05:43:5%"
          "dZ\"}",
          back);
    if (i == 0) { /* the first makes the book suspect */
      cr_assert_eq(commands(r, command, 8), 2);
      cr_assert_eq(command[0].kind, WB_COMMAND_GAP);
      cr_assert_eq(command[0].alarm, WB_ALARM_TIME);
      cr_assert_eq(command[0].expected - command[0].seen, (uint64_t)S);
      cr_assert_eq(command[1].reason, WB_REASON_TIME);
      cr_assert_eq(view(r, 1).state, WB_STATE_RESYNCING);
      say(r, "{\"type\":\"snapshot\",\"product_id\":\"ETH-USD\",\"asks\":[[\"11\",\"2\"]],\"bids\":[[\"10\",\"1\"]]}");
    }
    cr_assert_eq(view(r, 1).state, WB_STATE_LIVE);
    cr_assert_eq(view(r, 1).alarms[WB_ALARM_TIME], (uint32_t)i + 1);
    cr_assert_eq(view(r, 1).last_alarm, WB_ALARM_TIME + 1);
  }
  cr_assert_eq(commands(r, command, 8), 0, "one record a second");
  cr_assert_eq(view(r, 1).resyncs, 1u);
  cr_assert_eq(view(r, 0).alarms[WB_ALARM_TIME], 0u);
}

Test(stages, heartbeats_that_stop_are_missed_when_messages_of_others_come) {
  rig *r = rig_open(false, true);
  live(r);
  for (int second = 0; second < 20; second++) {
    r->now_ns += S;
    for (int product = 0; product < 2; product++)
      if (product == 0 || second < 3)
        say(r,
            "{\"type\":\"heartbeat\",\"sequence\":1,\"last_trade_id\":1,\"product_id\":\"%s\",\"time\":\"2026-08-02T05:43:%"
            "02dZ\"}",
            product ? "ETH-USD" : "BTC-USD", second);
    cr_assert_eq(view(r, 1).alarms[WB_ALARM_HEARTBEAT], second >= 8, "second %d", second);
    if (second == 8) cr_assert_eq(view(r, 1).reason, WB_REASON_HEARTBEAT);
  }
  cr_assert_eq(view(r, 0).alarms[WB_ALARM_HEARTBEAT], 0u);
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
}

Test(stages, a_lost_line_makes_books_stale_and_a_new_snapshot_makes_them_live_again) {
  rig *r = rig_open(false, true);
  live(r);
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  work(r);
  cr_assert_eq(view(r, 0).state, WB_STATE_STALE);
  cr_assert_eq(view(r, 0).connected, 0u);
  live(r);
}

Test(stages, no_book_is_trusted_behind_a_gap_of_the_log_before_its_snapshot) {
  rig *r = rig_open(false, false);
  live(r);
  push(r, 1, WB_FRAME_GAP, "{\"event\":\"gap\"}");
  work(r);
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(view(r, i).state, WB_STATE_STALE);
    cr_assert_eq(view(r, i).reason, WB_REASON_GAP);
  }
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100\",\"7\"]],\"time\":\"\"}");
  cr_assert_eq(view(r, 0).updates, 0u);
  say(r, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"7\",\"2\"]],\"bids\":[[\"6\",\"1\"]]}");
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  cr_assert_eq(view(r, 1).state, WB_STATE_STALE);
}

Test(stages, an_update_whose_snapshot_is_in_a_gap_is_no_fault) {
  rig *r = rig_open(false, false);
  push(r, 1, WB_FRAME_GAP, "{\"event\":\"gap\"}");
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100\",\"7\"]],\"time\":\"\"}");
  cr_assert_eq(r->book.rejected[WB_REJECT_NO_SNAPSHOT], 0u);
  cr_assert_eq(view(r, 0).state, WB_STATE_WAITING);
}

Test(stages, finer_numbers_than_the_units_hold_rescale_the_book_exactly) {
  rig *r = rig_open(false, false);
  live(r);
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100.0000000001\",\"0.123456789\"]],"
         "\"time\":\"\"}");
  wb_view_data v = view(r, 0);
  cr_assert_eq(v.state, WB_STATE_LIVE);
  cr_assert_eq(v.price_decimals, 10u);
  cr_assert_eq(v.size_decimals, 9u);
  cr_assert_eq(v.best_bid, UINT64_C(1000000000001));
  cr_assert_eq(v.best_bid_size, UINT64_C(123456789));
  cr_assert_eq(v.best_ask, UINT64_C(1010000000000));
  cr_assert_eq(wb_book_size(r->product[0].book, WB_SIDE_BID, UINT64_C(990000000000)), 5 * E8 * 10);
  cr_assert_eq(view(r, 1).price_decimals, 8u);
}

Test(stages, frames_of_several_rings_are_taken_in_the_order_of_their_numbers) {
  rig *r = rig_open(false, false);
  live(r);
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  push(r, 1, WB_FRAME_CONNECT, "{}");
  push(r, 0, WB_FRAME_TEXT, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[],\"bids\":[]}");
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  push(r, 0, WB_FRAME_TEXT, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[],\"bids\":[]}");
  work(r);
  cr_assert_eq(r->parse.next_number, r->number);
  cr_assert_eq(view(r, 0).snapshots, 3u);
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  cr_assert_eq(view(r, 1).state, WB_STATE_STALE);
}

Test(stages, latency_is_counted_from_receive_for_every_applied_message) {
  rig *r = rig_open(false, true);
  live(r);
  uint64_t before = r->book.wire_to_book.count;
  for (int i = 0; i < 100; i++)
    push(r, 0, WB_FRAME_TEXT,
         "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100\",\"7\"]],\"time\":\"\"}");
  r->now_ns += 5000;
  work(r);
  cr_assert_eq(r->book.wire_to_book.count - before, 100u);
  cr_assert_eq(r->book.wire_to_book.max, 5000u);
}

Test(stages, a_capture_holds_levels_and_views_of_one_moment) {
  rig *r = rig_open(false, false);
  live(r);
  wb_book_stage_capture_ask(&r->book);
  cr_assert_not(wb_book_stage_capture_ready(&r->book));
  work(r);
  cr_assert(wb_book_stage_capture_ready(&r->book));
  cr_assert_eq(r->book.capture_count[0], 2u);
  cr_assert_eq(r->book.capture_count[3], 1u);
  cr_assert_eq(r->book.capture[0].price, 100 * E8);
  cr_assert_eq(r->book.capture[1].price, 99 * E8);
  cr_assert_eq(r->book.capture_view[0].best_bid, 100 * E8);
}

/* ------------------------------------------------------------------------------------------------ redundant lines */

enum { A, B };

static rig *rig_of_two(bool pipelined) {
  rig *r = rig_open(pipelined, true);
  wb_arbiter_init(&r->arbiter, zeroed(wb_arbiter_bytes(2, 2)), 2, 2, &wb_recover_default, r->now_ns);
  r->book.config.arbiter = &r->arbiter;
  r->parse.redundant = true;
  for (r->line = B + 1; r->line-- > A;) push(r, 1, WB_FRAME_CONNECT, "{}");
  r->line = A;
  return r;
}

static void snapshot_of(rig *r, uint8_t line, const char *bid) {
  r->line = line;
  say(r, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"101\",\"2\"]],\"bids\":[[\"%s\",\"1\"]]}", bid);
}

static void update_of(rig *r, uint8_t line, const char *bid, const char *size, unsigned second) {
  r->line = line;
  say(r,
      "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"%s\",\"%s\"]],\"time\":\"2026-08-02T05:43:%"
      "02uZ\"}",
      bid, size, second);
}

/* Both lines live and placed. */
static rig *two_live(bool pipelined) {
  rig *r = rig_of_two(pipelined);
  snapshot_of(r, A, "100");
  snapshot_of(r, B, "100");
  for (unsigned second = 1; second <= 2; second++)
    for (uint8_t line = A; line <= B; line++) update_of(r, line, "99", "3", second);
  cr_assert_eq(view(r, 0).updates, 2u);
  cr_assert_eq(view(r, 0).snapshots, 1u);
  cr_assert_eq(r->arbiter.line[B].duplicates, 1u);
  return r;
}

Test(stages, of_two_lines_each_update_is_applied_once_whether_copies_are_parsed_or_not) {
  for (int pipelined = 0; pipelined < 2; pipelined++) {
    rig *r = two_live(pipelined);
    for (unsigned second = 3; second < 50; second++) {
      uint8_t first = second % 3 ? A : B;
      update_of(r, first, "98", "4", second);
      update_of(r, 1 - first, "98", "4", second);
    }
    cr_assert_eq(view(r, 0).updates, 49u);
    cr_assert_eq(r->arbiter.line[A].duplicates + r->arbiter.line[B].duplicates, 48u);
    cr_assert_eq(r->arbiter.line[A].late, 0u);
    cr_assert_eq(r->parse.messages_in, 2u + 2 * 49);
  }
}

Test(stages, copies_that_come_in_one_burst_are_found_behind_each_other) {
  rig *r = two_live(false);
  for (unsigned i = 0; i < 20; i++)
    for (r->line = A; r->line <= B; r->line++) {
      char text[200];
      snprintf(text, sizeof text,
               "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"98\",\"4\"]],\"time\":\"2026-08-"
               "02T05:44:%02uZ\"}",
               i);
      push(r, 0, WB_FRAME_TEXT, text);
    }
  work(r);
  cr_assert_eq(view(r, 0).updates, 22u);
  cr_assert_eq(r->arbiter.line[B].duplicates, 21u);
}

Test(stages, a_lost_line_leaves_a_book_live_by_the_other) {
  rig *r = two_live(false);
  r->line = A;
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  work(r);
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  cr_assert_eq(view(r, 0).connected, 1u);
  update_of(r, B, "98", "4", 3);
  cr_assert_eq(view(r, 0).updates, 3u);
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  work(r);
  cr_assert_eq(view(r, 0).state, WB_STATE_STALE);
  cr_assert_eq(view(r, 0).connected, 0u);
}

Test(stages, what_is_wrong_with_a_line_is_asked_of_that_line) {
  rig *r = two_live(false);
  wb_command command[4];
  r->line = B;
  say(r, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"bid\",\"10\",\"7\"]],\"time\":\"\"}");
  cr_assert_eq(commands(r, command, 4), 1);
  cr_assert_eq(command[0].kind, WB_COMMAND_RESUBSCRIBE);
  cr_assert_eq(command[0].line, B);
  cr_assert_eq(command[0].connection, 11u);
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  say(r, "[");
  cr_assert_eq(commands(r, command, 4), 1);
  cr_assert_eq(command[0].kind, WB_COMMAND_RECONNECT);
  cr_assert_eq(command[0].line, B);
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  update_of(r, A, "98", "4", 3);
  cr_assert_eq(view(r, 0).updates, 3u);
}

Test(stages, a_book_that_stays_crossed_is_asked_for_on_both_lines) {
  rig *r = two_live(false);
  wb_command command[4];
  update_of(r, A, "150", "1", 3);
  r->now_ns += 2 * (uint64_t)S;
  work(r);
  cr_assert_eq(commands(r, command, 4), 3);
  cr_assert_eq(command[0].kind, WB_COMMAND_GAP);
  cr_assert_neq(command[1].line, command[2].line);
  cr_assert_eq(view(r, 0).state, WB_STATE_RESYNCING);
  snapshot_of(r, B, "100");
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  cr_assert_eq(view(r, 0).best_bid, 100 * E8);
}

Test(stages, a_snapshot_that_a_live_book_does_not_need_is_not_loaded_and_one_that_is_ahead_is) {
  rig *r = two_live(false);
  r->line = B;
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  push(r, 1, WB_FRAME_CONNECT, "{}");
  snapshot_of(r, B, "97");
  cr_assert_eq(view(r, 0).snapshots, 1u);
  cr_assert_eq(view(r, 0).best_bid, 100 * E8);
  update_of(r, B, "96", "1", 1); /* behind */
  cr_assert_eq(view(r, 0).snapshots, 1u);
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  push(r, 1, WB_FRAME_CONNECT, "{}");
  snapshot_of(r, B, "97");
  update_of(r, B, "96", "1", 9); /* ahead */
  cr_assert_eq(view(r, 0).snapshots, 2u);
  cr_assert_eq(view(r, 0).best_bid, 97 * E8);
  cr_assert_eq(view(r, 0).bid_levels, 2u);
  update_of(r, A, "100", "5", 3);
  cr_assert_eq(view(r, 0).best_bid, 97 * E8);
  cr_assert_eq(r->arbiter.line[A].late, 1u);
}

Test(stages, a_staged_snapshot_is_forgotten_when_its_line_is_lost_or_another_comes) {
  rig *r = two_live(false);
  r->line = B;
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  push(r, 1, WB_FRAME_CONNECT, "{}");
  snapshot_of(r, B, "97");
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  push(r, 1, WB_FRAME_CONNECT, "{}");
  work(r);
  update_of(r, B, "96", "1", 9);
  cr_assert_eq(view(r, 0).snapshots, 1u);
  cr_assert_eq(view(r, 0).best_bid, 100 * E8);
  cr_assert_eq(wb_book_load_end(r->product[0].book), WB_E_STATE);
}

static void *book_thread(void *self) {
  rig *r = self;
  /* First whether the end was told: what is looked at before that may not be the last. */
  while (!__atomic_load_n(&r->now_ns, __ATOMIC_ACQUIRE) ||
         wb_load_acquire(&r->messages.tail) != wb_load_acquire(&r->messages.head))
    wb_book_stage_work(&r->book);
  return NULL;
}

Test(stages, parse_and_book_on_two_threads_give_the_same_book_as_on_one) {
  rig *one = rig_open(false, false), *two = rig_open(true, false);
  live(one);
  live(two);
  /* From here on the book thread owns two's books until it is told, by the clock set to something, to end. */
  two->now_ns = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, book_thread, two);
  srand(11);
  for (int i = 0; i < 20000; i++) {
    char text[4096];
    int n = snprintf(text, sizeof text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[",
                     rand() % 2 ? "BTC-USD" : "ETH-USD");
    int changes = 1 + rand() % 5;
    for (int c = 0; c < changes; c++)
      n += snprintf(text + n, sizeof text - (size_t)n, "%s[\"%s\",\"%d.%02d\",\"%d\"]", c ? "," : "",
                    rand() % 2 ? "buy" : "sell", 50 + rand() % 100, rand() % 100, rand() % 3);
    snprintf(text + n, sizeof text - (size_t)n, "],\"time\":\"2026-08-02T05:43:52.535977Z\"}");
    push(one, 0, WB_FRAME_TEXT, text);
    push(two, 0, WB_FRAME_TEXT, text);
    while (wb_parse_stage_work(&one->parse)) {
    }
    while (wb_parse_stage_work(&two->parse)) {
    }
  }
  __atomic_store_n(&two->now_ns, S, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  for (int i = 0; i < 2; i++) {
    wb_view_data a = view(one, i), b = view(two, i);
    cr_assert_eq(wb_book_hash(one->product[i].book), wb_book_hash(two->product[i].book));
    cr_assert_eq(a.updates, b.updates);
    cr_assert_eq(a.mid2_sum_low, b.mid2_sum_low);
    cr_assert_eq(a.max_spread, b.max_spread);
    cr_assert_gt(a.updates, 9000u);
  }
}
