/* Messages that say how deep the exchange's book is and what its checksum: by hand, with a checksum that anybody can reckon. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stages/book_stage.h"
#include "io/memory.h"

enum { S = 1000000000, DEPTH = 10 };

typedef struct rig {
  wb_host host;
  wb_products products;
  wb_book_stage stage;
  wb_book_product product[2];
  wb_view *views;
  wb_ring commands;
  wb_witness_config witness;
  wb_arbiter arbiter;
  uint64_t now_ns;
} rig;

/* What rigs are made of: kept, so that the next rig of the same test frees it. */
static void *kept[32];
static unsigned kept_count;

static void *zeroed(size_t bytes) {
  void *memory = aligned_alloc(128, (bytes + 127) & ~(size_t)127);
  cr_assert(memory && kept_count < 32);
  return memset(kept[kept_count++] = memory, 0, bytes);
}

static uint64_t rig_now(void *self) { return ((rig *)self)->now_ns; }
static int64_t rig_offset(void *self) { return 0; }
static void rig_log(void *self, int level, const char *text) {}

/* Sums of what the best three levels a side have; bids count a thousandfold. */
static uint32_t sums(const wb_level *bid, uint32_t bid_count, const wb_level *ask, uint32_t ask_count) {
  uint64_t sum = 0;
  cr_assert(bid_count <= 3 && ask_count <= 3);
  for (uint32_t i = 0; i < bid_count; i++) sum += 1000 * (bid[i].price + bid[i].size);
  for (uint32_t i = 0; i < ask_count; i++) sum += ask[i].price + ask[i].size;
  return (uint32_t)sum;
}

static const wb_codec codec = {.name = "sums", .checksum = sums, .checksum_levels = 3};

static rig *rig_open(bool interactive, unsigned lines) {
  while (kept_count) free(kept[--kept_count]);
  rig *r = zeroed(sizeof *r);
  r->now_ns = 100 * (uint64_t)S;
  r->witness = wb_witness_default;
  wb_products_init(&r->products, zeroed(wb_products_bytes(2)), 2);
  wb_products_add(&r->products, "A/B", 3);
  wb_products_add(&r->products, "C/D", 3);
  r->host = (wb_host){.self = r, .now_ns = rig_now, .utc_offset_ns = rig_offset, .log = rig_log};
  wb_ring_init(&r->commands, wb_mirror_open(65536, false, NULL), 65536);
  const wb_book_config config = {.window_ticks = 1024, .level_count_max = 1024};
  r->views = zeroed(2 * sizeof *r->views);
  for (int i = 0; i < 2; i++) {
    r->product[i].book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
    r->product[i].view = &r->views[i];
  }
  if (lines > 1) wb_arbiter_init(&r->arbiter, zeroed(wb_arbiter_bytes(lines, 2)), lines, 2, &wb_recover_default, r->now_ns);
  wb_book_stage_init(&r->stage,
                     &(wb_book_stage_config){.products = &r->products,
                                             .host = &r->host,
                                             .codec = &codec,
                                             .commands = interactive ? &r->commands : NULL,
                                             .mid_window = 10,
                                             .mid2 = zeroed(2 * 10 * sizeof(uint64_t)),
                                             .depth = DEPTH,
                                             .witness = &r->witness,
                                             .arbiter = lines > 1 ? &r->arbiter : NULL},
                     r->product, zeroed(2 * 2 * DEPTH * sizeof(wb_level)), zeroed(4 * sizeof(uint32_t)),
                     zeroed(2 * sizeof(wb_view_data)));
  return r;
}

static wb_message *message_of(rig *r, wb_message_kind kind, uint16_t product) {
  static _Alignas(64) uint8_t memory[4096];
  wb_message *message = memset(memory, 0, sizeof memory);
  r->now_ns += 1000000;
  message->kind = (uint8_t)kind;
  message->part = WB_PART_FIRST | WB_PART_LAST;
  message->product = product;
  message->recv_ns = r->now_ns;
  message->time_ns = WB_TIME_NONE;
  return message;
}

static void take(rig *r, wb_message *message) {
  wb_book_stage_take(&r->stage, message);
  wb_book_stage_settle(&r->stage);
}

static void connect(rig *r, uint8_t line) {
  wb_message *message = message_of(r, WB_MESSAGE_CONNECT, WB_PRODUCT_NONE);
  message->line = line;
  take(r, message);
}

/* Deltas are a string of "b101:2" and "a102:0"; checksum -1: none; -2: the right one of the book that results. */
static void book(rig *r, wb_message_kind kind, const char *text, uint16_t depth, int64_t checksum, uint8_t line) {
  wb_message *message = message_of(r, kind, 0);
  message->line = line;
  while (*text) {
    wb_delta *delta = &message->deltas[message->delta_count++];
    delta->side = *text == 'a' ? WB_SIDE_ASK : WB_SIDE_BID;
    char *end;
    delta->price = strtoull(text + 1, &end, 10);
    delta->size = strtoull(end + 1, &end, 10);
    text = *end ? end + 1 : end;
  }
  message->u.book.depth = depth;
  message->u.book.checked = checksum != -1;
  message->u.book.checksum = (uint32_t)checksum;
  take(r, message);
}

static wb_view_data view(rig *r) {
  wb_view_data data;
  wb_view_read(&r->views[0], &data);
  return data;
}

static size_t commands(rig *r, wb_command *command, size_t max) {
  size_t bytes;
  const void *at = wb_ring_peek(&r->commands, &bytes);
  size_t count = bytes / sizeof *command;
  cr_assert_leq(count, max);
  if (bytes) memcpy(command, at, bytes);
  if (bytes) wb_ring_release(&r->commands, bytes);
  return count;
}

#define SNAPSHOT "b100:1 b99:2 b98:3 b97:4 a101:5 a102:6 a103:7 a104:8"
/* 1000 * (297 + 6) + 306 + 18 */
enum { SUM = 303324 };

static void live(rig *r, uint8_t line) {
  connect(r, line);
  book(r, WB_MESSAGE_SNAPSHOT, SNAPSHOT, 4, SUM, line);
  cr_assert_eq(view(r).state, WB_STATE_LIVE);
}

Test(checksum, a_book_that_the_exchange_vouches_for_goes_on_and_nothing_is_asked_for) {
  rig *r = rig_open(true, 1);
  wb_command command[4];
  live(r, 0);
  book(r, WB_MESSAGE_UPDATE, "b100:3", 4, SUM + 2000, 0);
  book(r, WB_MESSAGE_UPDATE, "b97:9", 4, SUM + 2000, 0);
  book(r, WB_MESSAGE_UPDATE, "", 4, SUM + 2000, 0);
  wb_view_data v = view(r);
  cr_assert_eq(v.state, WB_STATE_LIVE);
  cr_assert_eq(v.updates, 3u);
  cr_assert_eq(v.last_alarm, 0u);
  cr_assert_eq(commands(r, command, 4), 0u);
}

Test(checksum, another_checksum_than_the_exchanges_is_an_alarm_and_the_product_is_fetched_anew) {
  rig *r = rig_open(true, 1);
  wb_command command[4];
  live(r, 0);
  book(r, WB_MESSAGE_UPDATE, "b100:3", 4, SUM + 1999, 0);
  wb_view_data v = view(r);
  cr_assert_eq(v.state, WB_STATE_RESYNCING);
  cr_assert_eq(v.reason, WB_REASON_CHECKSUM);
  cr_assert_eq(v.alarms[WB_ALARM_CHECKSUM], 1u);
  cr_assert_eq(v.last_alarm, WB_ALARM_CHECKSUM + 1u);
  cr_assert_eq(v.updates, 1u);
  cr_assert_eq(commands(r, command, 4), 2u);
  cr_assert(command[0].kind == WB_COMMAND_GAP && command[0].alarm == WB_ALARM_CHECKSUM && command[0].product == 0);
  cr_assert(command[0].seen == SUM + 2000 && command[0].expected == SUM + 1999 && command[0].decimals == 0);
  cr_assert(command[1].kind == WB_COMMAND_RESUBSCRIBE && command[1].reason == WB_REASON_CHECKSUM && command[1].product == 0);
  book(r, WB_MESSAGE_UPDATE, "b100:4", 4, 1, 0);
  cr_assert_eq(view(r).alarms[WB_ALARM_CHECKSUM], 1u, "a book that is not live is held against nothing");
  book(r, WB_MESSAGE_SNAPSHOT, SNAPSHOT, 4, SUM, 0);
  cr_assert_eq(view(r).state, WB_STATE_LIVE);
}

Test(checksum, a_snapshot_is_checked_too_and_a_replay_comes_to_the_same) {
  for (int interactive = 0; interactive < 2; interactive++) {
    rig *r = rig_open(interactive, 1);
    connect(r, 0);
    book(r, WB_MESSAGE_SNAPSHOT, SNAPSHOT, 4, SUM + 1, 0);
    wb_view_data v = view(r);
    cr_assert_eq(v.state, interactive ? WB_STATE_RESYNCING : WB_STATE_STALE);
    cr_assert_eq(v.reason, WB_REASON_CHECKSUM);
    cr_assert_eq(v.alarms[WB_ALARM_CHECKSUM], 1u);
    cr_assert_eq(v.snapshots, 1u);
  }
}

Test(checksum, the_governor_keeps_an_exchange_whose_checksums_are_always_wrong_from_being_asked_for_ever) {
  rig *r = rig_open(true, 1);
  unsigned asked = 0;
  live(r, 0);
  for (unsigned second = 0; second < 3600; second++) {
    wb_command command[8];
    r->now_ns += S;
    book(r, WB_MESSAGE_SNAPSHOT, SNAPSHOT, 4, 1, 0);
    for (size_t i = commands(r, command, 8); i--;)
      asked += command[i].kind == WB_COMMAND_RESUBSCRIBE && command[i].product == 0;
  }
  cr_assert(asked >= 5 && asked <= 50, "%u", asked);
  cr_assert_eq(view(r).alarms[WB_ALARM_CHECKSUM], 3600u);
}

Test(checksum, policies_count_and_off_are_heard) {
  for (int policy = WB_WITNESS_OFF; policy <= WB_WITNESS_COUNT; policy++) {
    rig *r = rig_open(true, 1);
    r->witness.policy[WB_ALARM_CHECKSUM] = (uint8_t)policy;
    live(r, 0);
    book(r, WB_MESSAGE_UPDATE, "b100:3", 4, 1, 0);
    cr_assert_eq(view(r).state, WB_STATE_LIVE);
    cr_assert_eq(view(r).alarms[WB_ALARM_CHECKSUM], policy == WB_WITNESS_COUNT);
  }
}

Test(checksum, a_message_without_one_and_a_codec_without_one_are_held_against_nothing) {
  static const wb_codec plain = {.name = "plain"};
  rig *r = rig_open(true, 1);
  live(r, 0);
  book(r, WB_MESSAGE_UPDATE, "b100:3", 4, -1, 0);
  cr_assert_eq(view(r).state, WB_STATE_LIVE);
  for (int i = 0; i < 2; i++) {
    r->stage.config.codec = i ? &plain : NULL;
    book(r, WB_MESSAGE_UPDATE, "b100:4", 4, 1, 0);
    cr_assert_eq(view(r).state, WB_STATE_LIVE);
  }
}

Test(checksum, levels_beyond_the_depth_are_dropped_before_the_checksum_is_reckoned_and_without_an_alarm) {
  rig *r = rig_open(true, 1);
  connect(r, 0);
  book(r, WB_MESSAGE_SNAPSHOT, "b100:1 b99:2 a101:5 a102:6", 2, 1000 * 202 + 214, 0);
  book(r, WB_MESSAGE_UPDATE, "b100:0 b98:3 b97:9 a103:1", 2, 1000 * (99 + 2 + 98 + 3) + 214, 0);
  wb_view_data v = view(r);
  cr_assert_eq(v.state, WB_STATE_LIVE);
  cr_assert_eq(v.bid_levels, 2u);
  cr_assert_eq(v.ask_levels, 2u);
  cr_assert_eq(v.unknown, 0u);
  wb_level level[4];
  cr_assert_eq(wb_book_levels(r->product[0].book, WB_SIDE_BID, level, 4), 2u);
  cr_assert(level[0].price == 99 && level[1].price == 98);
  book(r, WB_MESSAGE_UPDATE, "b97:9", 0, -1, 0);
  cr_assert_eq(view(r).bid_levels, 3u, "no depth, no limit");
}

Test(checksum, a_book_of_several_lines_that_is_wrong_is_wrong_for_all_of_them) {
  rig *r = rig_open(true, 2);
  live(r, 0);
  connect(r, 1);
  book(r, WB_MESSAGE_SNAPSHOT, SNAPSHOT, 4, SUM, 1);
  book(r, WB_MESSAGE_UPDATE, "b100:3", 4, SUM + 1, 0);
  cr_assert_eq(view(r).alarms[WB_ALARM_CHECKSUM], 1u);
  cr_assert_eq(view(r).reason, WB_REASON_CHECKSUM);
  for (unsigned line = 0; line < 2; line++)
    cr_assert_eq(wb_arbiter_place_of(&r->arbiter, 0, line)->recover.state, WB_STATE_RESYNCING);
}

/* ------------------------------------------------------------------------------------------------ what else came with it */

static void acknowledge(rig *r, uint16_t product, bool gone) {
  wb_message *message = message_of(r, WB_MESSAGE_SUBSCRIPTIONS, product);
  message->u.subscription.single = true;
  message->u.subscription.gone = gone;
  take(r, message);
}

Test(checksum, an_acknowledgement_of_a_single_product_says_nothing_of_the_others) {
  rig *r = rig_open(true, 1);
  connect(r, 0);
  acknowledge(r, 1, false);
  cr_assert(!r->product[0].recover.acknowledged && r->product[1].recover.acknowledged);
  acknowledge(r, 0, false);
  cr_assert(r->product[0].recover.acknowledged && r->product[1].recover.acknowledged);
  acknowledge(r, 1, true);
  cr_assert(r->product[0].recover.acknowledged && !r->product[1].recover.acknowledged);
}

Test(checksum, coarser_units_of_a_book_without_levels_are_no_reason_to_ask_for_it_anew) {
  rig *r = rig_open(true, 1);
  wb_command command[4];
  connect(r, 0);
  wb_message *message = message_of(r, WB_MESSAGE_SCALE, 0);
  message->u.scale.price_decimals = 1;
  message->u.scale.size_decimals = 2;
  take(r, message);
  r->now_ns += S;
  wb_book_stage_settle(&r->stage);
  cr_assert_eq(commands(r, command, 4), 0u);
  cr_assert_eq(view(r).reason, WB_REASON_CONNECTED);
  cr_assert(view(r).price_decimals == 1 && view(r).size_decimals == 2);
  book(r, WB_MESSAGE_SNAPSHOT, SNAPSHOT, 4, SUM, 0);
  message = message_of(r, WB_MESSAGE_SCALE, 0);
  take(r, message);
  cr_assert_eq(view(r).reason, WB_REASON_RANGE, "where levels were lost it is one");
}
