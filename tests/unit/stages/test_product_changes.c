/* Products that come and go, and lines that carry some of them: through the parser and the books, as the records of the node tell it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stages/parse_stage.h"
#include "io/memory.h"
#include "tests/unit/random.h"

enum { JOURNAL = 1 << 20, S = 1000000000, CAPACITY = 8, LINES = 4 };

typedef struct rig {
  wb_products products;
  wb_host host;
  uint64_t now_ns, number;
  wb_arbiter arbiter;
  wb_frames ring;
  wb_ring commands;
  wb_parse_stage parse;
  wb_book_stage book;
  wb_book_product product[CAPACITY];
  wb_view view[CAPACITY];
  char logged[512];
} rig;

static uint64_t rig_now(void *self) { return ((rig *)self)->now_ns; }
static int64_t rig_offset(void *self) { return 0; }
static void rig_log(void *self, int level, const char *text) { snprintf(((rig *)self)->logged, 512, "%s", text); }

/* Memory of the rigs of a test; it goes with its process. */
static void *kept[1024];
static unsigned kept_count;

static void *zeroed(size_t bytes) {
  void *memory = aligned_alloc(128, (bytes + 127) & ~(size_t)127);
  cr_assert(memory && kept_count < sizeof kept / sizeof *kept);
  kept[kept_count++] = memory;
  return memset(memory, 0, (bytes + 127) & ~(size_t)127);
}

/* A table with BTC-USD and room for seven more. redundant: the lines bring copies of each other's messages. */
static rig *rig_open(bool redundant) {
  rig *r = zeroed(sizeof *r);
  r->now_ns = S;
  wb_products_init(&r->products, zeroed(wb_products_bytes(CAPACITY)), CAPACITY);
  wb_products_add(&r->products, "BTC-USD", 7);
  r->host = (wb_host){.self = r, .now_ns = rig_now, .utc_offset_ns = rig_offset, .log = rig_log};
  cr_assert_eq(
      wb_frames_init(&r->ring, wb_mirror_open(JOURNAL, false, NULL), JOURNAL, zeroed(4096 * sizeof(wb_frame)), 4096, 1), 0);
  wb_ring_init(&r->commands, wb_mirror_open(65536, false, NULL), 65536);
  wb_book_config config = {.window_ticks = 1024, .level_count_max = 1024};
  for (int i = 0; i < CAPACITY; i++) {
    r->product[i].book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
    r->product[i].view = &r->view[i];
  }
  wb_arbiter_init(&r->arbiter, zeroed(wb_arbiter_bytes(LINES, CAPACITY)), LINES, CAPACITY, &wb_recover_default, S);
  wb_book_stage_init(&r->book,
                     &(wb_book_stage_config){.products = &r->products,
                                             .host = &r->host,
                                             .commands = &r->commands,
                                             .mid_window = 10,
                                             .mid2 = zeroed(CAPACITY * 10 * sizeof(uint64_t)),
                                             .depth = 10,
                                             .arbiter = redundant ? &r->arbiter : NULL},
                     r->product, zeroed(CAPACITY * 2 * 10 * sizeof(wb_level)), zeroed(CAPACITY * 2 * sizeof(uint32_t)),
                     zeroed(CAPACITY * sizeof(wb_view_data)));
  const wb_codec *codec = wb_codec_find("coinbase-exchange");
  r->parse = (wb_parse_stage){.ring = {&r->ring},
                              .ring_count = 1,
                              .codec = codec,
                              .codec_state = zeroed(codec->size(&r->products)),
                              .products = &r->products,
                              .host = &r->host,
                              .book = &r->book,
                              .batch = zeroed(WB_PARSE_BATCH_BYTES),
                              .redundant = redundant};
  cr_assert_eq(codec->init(r->parse.codec_state, &r->products), 0);
  wb_parse_stage_init(&r->parse);
  return r;
}

static void push(rig *r, unsigned line, wb_frame_kind kind, const char *text) {
  size_t bytes = strlen(text);
  cr_assert_geq(wb_frames_room(&r->ring, bytes), bytes);
  cr_assert_geq(wb_frames_slots(&r->ring, 1), 1u);
  memcpy(wb_frames_head(&r->ring), text, bytes);
  wb_frame frame = {.position = r->ring.head,
                    .recv_ns = r->now_ns,
                    .number = r->number++,
                    .bytes = (uint32_t)bytes,
                    .connection = 1,
                    .line = (uint8_t)line,
                    .kind = (uint8_t)kind};
  wb_frames_advance(&r->ring, bytes);
  wb_frames_push(&r->ring, &frame);
  wb_frames_publish(&r->ring);
  while (wb_parse_stage_work(&r->parse)) {
  }
}

static void change(rig *r, unsigned line, const char *what, const char *ids) {
  char text[512];
  snprintf(text, sizeof text, "{\"event\":\"products\",\"change\":%s,\"line\":%u,\"utc_ns\":%llu,\"products\":[%s]}", what,
           line, (unsigned long long)(1000 + r->number), ids);
  push(r, line, WB_FRAME_PRODUCTS, text);
}

static void snapshot(rig *r, unsigned line, const char *id, unsigned bid) {
  char text[512];
  snprintf(text, sizeof text,
           "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"asks\":[[\"%u\",\"2\"]],\"bids\":[[\"%u\",\"1\"]]}", id, bid + 1,
           bid);
  push(r, line, WB_FRAME_TEXT, text);
}

static void update(rig *r, unsigned line, const char *id, unsigned price, unsigned size) {
  char text[512];
  snprintf(text, sizeof text,
           "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"buy\",\"%u\",\"%u\"]],\"time\":\"2026-08-02T05:%"
           "02u:%02u.%06uZ\"}",
           id, price, size, 43 + (unsigned)(r->number / 60000), (unsigned)(r->number / 1000 % 60),
           (unsigned)(r->number % 1000));
  push(r, line, WB_FRAME_TEXT, text);
}

static wb_view_data view(const rig *r, unsigned product) {
  wb_view_data data;
  wb_view_read(&r->view[product], &data);
  return data;
}

static int commands(rig *r, wb_command *out, int max) {
  size_t bytes;
  const wb_command *command = wb_ring_peek(&r->commands, &bytes);
  int count = (int)(bytes / sizeof *command);
  for (int i = 0; i < count && i < max; i++) out[i] = command[i];
  if (bytes) wb_ring_release(&r->commands, bytes);
  return count;
}

Test(changes, a_note_that_is_none_changes_nothing) {
  rig *r = rig_open(false);
  push(r, 0, WB_FRAME_CONNECT, "{}");
  snapshot(r, 0, "BTC-USD", 100);
  wb_products_add(&r->products, "ETH-USD", 7);
  static const char *const broken[] = {"",
                                       "{",
                                       "[]",
                                       "{}",
                                       "{\"change\":\"removed\"}",
                                       "{\"change\":1,\"products\":[\"BTC-USD\"]}",
                                       "{\"change\":\"removed\",\"products\":\"BTC-USD\"}",
                                       "{\"change\":\"gone\",\"products\":[\"BTC-USD\"]}",
                                       "{\"change\":\"\",\"products\":[\"BTC-USD\"]}",
                                       "{\"change\":\"removed\",\"products\":[1,null,{},[\"BTC-USD\"],\"ZZZ\"]}",
                                       "{\"change\":\"removed\",\"products\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]}",
                                       "{\"change\":\"added\",\"products\":[\"LTC-USD\"]}"};
  for (unsigned i = 0; i < sizeof broken / sizeof *broken; i++) push(r, 0, WB_FRAME_PRODUCTS, broken[i]);
  cr_assert_eq(view(r, 0).state, WB_STATE_LIVE);
  cr_assert_eq(r->book.product_count, 1u);
}

Test(changes, a_product_that_is_in_the_table_is_unknown_until_the_record_that_adds_it) {
  rig *r = rig_open(false);
  push(r, 0, WB_FRAME_CONNECT, "{}");
  wb_products_add(&r->products, "ETH-USD", 7);
  snapshot(r, 0, "ETH-USD", 10);
  cr_assert_eq(r->book.rejected[WB_REJECT_UNKNOWN_PRODUCT], 1u);
  cr_assert_eq(r->book.product_count, 1u);
  change(r, 0, "\"added\"", "\"ETH-USD\"");
  cr_assert_eq(r->book.product_count, 2u);
  cr_assert_eq(view(r, 1).state, WB_STATE_WAITING);
  cr_assert_eq(view(r, 1).reason, WB_REASON_CONNECTED);
  cr_assert_eq(view(r, 1).added_utc_ns, 1002);
  snapshot(r, 0, "ETH-USD", 10);
  update(r, 0, "ETH-USD", 9, 3);
  cr_assert_eq(view(r, 1).state, WB_STATE_LIVE);
  cr_assert_eq(view(r, 1).bid_levels, 2u);
}

Test(changes, a_product_added_while_the_line_is_down_waits_for_it) {
  rig *r = rig_open(false);
  wb_products_add(&r->products, "ETH-USD", 7);
  change(r, 0, "\"added\"", "\"ETH-USD\"");
  cr_assert_eq(view(r, 1).reason, WB_REASON_START);
  push(r, 0, WB_FRAME_CONNECT, "{}");
  cr_assert_eq(view(r, 1).reason, WB_REASON_CONNECTED);
}

Test(changes, a_removed_product_is_empty_and_deaf_and_the_others_go_on) {
  for (int redundant = 0; redundant < 2; redundant++) {
    rig *r = rig_open(redundant);
    wb_products_add(&r->products, "ETH-USD", 7);
    push(r, 0, WB_FRAME_CONNECT, "{}");
    change(r, 0, "\"added\"", "\"ETH-USD\"");
    snapshot(r, 0, "BTC-USD", 100);
    snapshot(r, 0, "ETH-USD", 10);
    uint64_t hash = wb_book_hash(r->product[0].book);
    change(r, 0, "\"removed\"", "\"ETH-USD\"");
    wb_view_data gone = view(r, 1);
    cr_assert(gone.state == WB_STATE_REMOVED && gone.bid_levels == 0 && gone.best_bid_size == 0 && !gone.connected);
    cr_assert_gt(gone.removed_utc_ns, 1000);
    /* What was still on its way, and all that happens to the line. */
    update(r, 0, "ETH-USD", 9, 3);
    snapshot(r, 0, "ETH-USD", 10);
    push(r, 0, WB_FRAME_TEXT,
         "{\"type\":\"heartbeat\",\"product_id\":\"ETH-USD\",\"sequence\":1,\"last_trade_id\":1,\"time\":\"2026-08-02T05:43:52."
         "000000Z\"}");
    push(r, 0, WB_FRAME_TEXT,
         "{\"type\":\"l2update\",\"product_id\":\"ETH-USD\",\"changes\":[[\"bid\",\"1\",\"1\"]],\"time\":\"\"}");
    push(r, 0, WB_FRAME_TEXT,
         "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"]}]}");
    change(r, 0, "\"removed\"", "\"ETH-USD\"");
    cr_assert_eq(view(r, 1).state, WB_STATE_REMOVED);
    cr_assert_eq(view(r, 1).removed_utc_ns, gone.removed_utc_ns);
    cr_assert_eq(view(r, 1).snapshots, gone.snapshots);
    cr_assert_eq(wb_book_level_count(r->product[1].book, WB_SIDE_BID), 0u);
    cr_assert(r->product[0].recover.acknowledged || redundant);
    push(r, 0, WB_FRAME_DISCONNECT, "{}");
    push(r, 0, WB_FRAME_CONNECT, "{}");
    push(r, 0, WB_FRAME_GAP, "{\"event\":\"gap\",\"reason\":\"storage behind\"}");
    wb_command asked[8];
    r->now_ns += 60 * (uint64_t)S;
    wb_book_stage_settle(&r->book);
    int count = commands(r, asked, 8);
    for (int i = 0; i < count; i++) cr_assert_eq(asked[i].product, 0u);
    cr_assert_eq(view(r, 1).state, WB_STATE_REMOVED);
    cr_assert_eq(wb_book_hash(r->product[0].book), hash);
  }
}

Test(changes, a_product_that_comes_back_begins_anew_under_its_index) {
  for (int redundant = 0; redundant < 2; redundant++) {
    rig *r = rig_open(redundant);
    push(r, 0, WB_FRAME_CONNECT, "{}");
    snapshot(r, 0, "BTC-USD", 100);
    update(r, 0, "BTC-USD", 99, 3);
    change(r, 0, "\"removed\"", "\"BTC-USD\"");
    change(r, 0, "\"added\"", "\"BTC-USD\"");
    wb_view_data v = view(r, 0);
    cr_assert(v.state == WB_STATE_WAITING && v.reason == WB_REASON_CONNECTED && v.removed_utc_ns == 0 && v.added_utc_ns > 1000);
    cr_assert_eq(v.updates, 1u, "counts go on");
    update(r, 0, "BTC-USD", 98, 3); /* of the subscription before */
    cr_assert(view(r, 0).state == WB_STATE_WAITING && view(r, 0).rejected == 0);
    snapshot(r, 0, "BTC-USD", 50);
    update(r, 0, "BTC-USD", 49, 3);
    v = view(r, 0);
    cr_assert(v.state == WB_STATE_LIVE && v.bid_levels == 2 && v.updates == 2);
  }
}

/* Four products, two of them on each of two connections; redundant: of lines A and B. */
static rig *dealt(bool redundant) {
  rig *r = rig_open(redundant);
  static const char *const ids[] = {"ETH-USD", "LTC-USD", "SOL-USD"};
  for (unsigned i = 0; i < 3; i++) wb_products_add(&r->products, ids[i], 7);
  change(r, 0, "\"added\"", "\"ETH-USD\",\"LTC-USD\",\"SOL-USD\"");
  for (unsigned line = 0; line < (redundant ? 4u : 2u); line++) {
    change(r, line, "\"carried\",\"first\":true", line % 2 ? "\"LTC-USD\"" : "\"BTC-USD\"");
    change(r, line, "\"carried\"", line % 2 ? "\"SOL-USD\"" : "\"ETH-USD\"");
    push(r, line, WB_FRAME_CONNECT, "{}");
    for (unsigned i = 0; i < 2; i++) snapshot(r, line, line % 2 ? i ? "SOL-USD" : "LTC-USD" : i ? "ETH-USD" : "BTC-USD", 100);
  }
  for (unsigned i = 0; i < 4; i++) cr_assert_eq(view(r, i).state, WB_STATE_LIVE, "%u", i);
  return r;
}

Test(changes, what_happens_to_a_connection_concerns_the_products_that_it_carries_alone) {
  static const struct {
    wb_frame_kind kind;
    const char *text;
  } events[] = {{WB_FRAME_DISCONNECT, "{}"}, {WB_FRAME_CONNECT, "{}"}, {WB_FRAME_TEXT, "{\"type\":"}, {WB_FRAME_BINARY, "x"}};
  for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
    rig *r = dealt(false);
    push(r, 1, events[i].kind, events[i].text);
    cr_assert(view(r, 0).state == WB_STATE_LIVE && view(r, 1).state == WB_STATE_LIVE, "%u", i);
    cr_assert(view(r, 2).state == WB_STATE_STALE && view(r, 3).state == WB_STATE_STALE, "%u", i);
  }
}

Test(changes, a_resync_is_asked_of_the_connection_that_carries_the_product) {
  rig *r = dealt(false);
  wb_command asked[4];
  commands(r, asked, 4);
  push(r, 1, WB_FRAME_TEXT,
       "{\"type\":\"l2update\",\"product_id\":\"SOL-USD\",\"changes\":[[\"bid\",\"1\",\"1\"]],\"time\":\"\"}");
  cr_assert_eq(commands(r, asked, 4), 1);
  cr_assert(asked[0].kind == WB_COMMAND_RESUBSCRIBE && asked[0].line == 1 && asked[0].product == 3);
}

Test(changes, an_acknowledgement_of_one_connection_says_nothing_of_the_others_products) {
  rig *r = dealt(false);
  push(r, 0, WB_FRAME_TEXT,
       "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"]}]}");
  push(r, 1, WB_FRAME_TEXT, "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2\",\"product_ids\":[\"LTC-USD\"]}]}");
  static const bool want[] = {true, true, true, false};
  for (unsigned i = 0; i < 4; i++) cr_assert_eq(r->product[i].recover.acknowledged, want[i], "%u", i);
}

Test(changes, of_redundant_lines_in_parts_a_product_is_live_while_one_line_carries_it) {
  rig *r = dealt(true);
  for (unsigned i = 0; i < 2; i++) { /* the first copy says that a line is there, the second where */
    char both[256];
    snprintf(both, sizeof both,
             "{\"type\":\"l2update\",\"product_id\":\"SOL-USD\",\"changes\":[[\"buy\",\"99\",\"1\"]],\"time\":\"2026-08-02T05:"
             "42:0%u.000000Z\"}",
             i);
    push(r, 1, WB_FRAME_TEXT, both);
    push(r, 3, WB_FRAME_TEXT, both);
  }
  cr_assert_eq(r->arbiter.line[3].duplicates, 1u);
  push(r, 1, WB_FRAME_DISCONNECT, "{}");
  for (unsigned i = 0; i < 4; i++) cr_assert_eq(view(r, i).state, WB_STATE_LIVE, "%u", i);
  update(r, 3, "SOL-USD", 98, 1);
  cr_assert_eq(view(r, 3).updates, 3u);
  push(r, 3, WB_FRAME_DISCONNECT, "{}");
  cr_assert(view(r, 0).state == WB_STATE_LIVE && view(r, 1).state == WB_STATE_LIVE);
  cr_assert(view(r, 2).state == WB_STATE_STALE && view(r, 3).state == WB_STATE_STALE);
  cr_assert_not(view(r, 3).connected);
}

/* Against a model that knows of each product whether it is there, and its best bid while it is live. */
Test(changes, a_hundred_thousand_random_events_leave_each_book_as_a_list_of_them_says) {
  seed();
  for (int redundant = 0; redundant < 2; redundant++) {
    rig *r = rig_open(redundant);
    bool known[CAPACITY] = {true}, there[CAPACITY] = {true}, live[CAPACITY] = {0}, up = false;
    unsigned bid[CAPACITY] = {0};
    for (unsigned turn = 0; turn < 50000; turn++) {
      unsigned i = (unsigned)(next() % CAPACITY), price = 1 + (unsigned)(next() % 1000);
      char id[8], quoted[12];
      snprintf(id, sizeof id, i ? "P%u-USD" : "BTC-USD", i);
      snprintf(quoted, sizeof quoted, "\"%s\"", id);
      switch (next() % 12) {
      case 0:
        if (there[i] || (!known[i] && r->products.count != i)) break;
        cr_assert_eq(wb_products_add(&r->products, id, strlen(id)), (int)i);
        change(r, 0, "\"added\"", quoted);
        known[i] = there[i] = true;
        break;
      case 1:
        if (!there[i]) break;
        wb_products_remove(&r->products, i);
        change(r, 0, "\"removed\"", quoted);
        there[i] = live[i] = false;
        break;
      case 2:
        if (next() % 8) break;
        push(r, 0, up ? WB_FRAME_DISCONNECT : WB_FRAME_CONNECT, "{}");
        up = !up;
        memset(live, 0, sizeof live);
        break;
      case 3:
      case 4:
      case 5:
        if (!up) break;
        snapshot(r, 0, id, price);
        live[i] = there[i];
        bid[i] = price;
        break;
      default:
        if (!up || !live[i]) break;
        update(r, 0, id, bid[i] + 1, 1);
        update(r, 0, id, bid[i], 0);
        bid[i]++;
      }
      if (!known[i]) continue;
      wb_view_data v = view(r, i);
      cr_assert_eq(v.state == WB_STATE_REMOVED, !there[i], "turn %u", turn);
      cr_assert_eq(v.state == WB_STATE_LIVE, live[i], "turn %u: %s", turn, wb_state_name((wb_state)v.state));
      if (live[i]) cr_assert_eq(v.best_bid, bid[i] * UINT64_C(100000000), "turn %u", turn);
    }
  }
}
