#include <criterion/criterion.h>

#define RIG_CHECK(condition) cr_assert(condition)
#include "tests/publisher_rig.h"
#include "tests/unit/random.h"

static void snapshot(rig *r, unsigned product, unsigned levels, int64_t time_us) {
  wb_delta delta[2 * 64];
  for (unsigned i = 0; i < levels; i++) {
    delta[2 * i] = (wb_delta){.price = (1000 - i) * UINT64_C(1000000), .size = i + 1, .side = WB_SIDE_BID};
    delta[2 * i + 1] = (wb_delta){.price = (1001 + i) * UINT64_C(1000000), .size = i + 1, .side = WB_SIDE_ASK};
  }
  rig_message(r, product, WB_MESSAGE_SNAPSHOT, RIG_WHOLE, delta, 2 * levels, time_us);
}

static void update(rig *r, unsigned product, uint64_t cents, uint64_t size, wb_side side, int64_t time_us) {
  const wb_delta delta = {.price = cents * 1000000, .size = size, .side = side};
  rig_message(r, product, WB_MESSAGE_UPDATE, RIG_WHOLE, &delta, 1, time_us);
}

static void line(rig *r, wb_message_kind kind) { rig_message(r, WB_PRODUCT_NONE, kind, RIG_WHOLE, NULL, 0, 0); }

static rig *opened(void) {
  rig *r = rig_open_with(0);
  line(r, WB_MESSAGE_CONNECT);
  return r;
}

static void after(rig *r, uint64_t ns) {
  r->now_ns += ns;
  rig_turns(r);
}

static const char level2[] = "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2\"]}";
static const char batch[] = "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2_50\"]}";

/* ------------------------------------------------------------------------------------------------ text */

Test(publish_text, numbers_are_exact_and_have_no_zeros_that_say_nothing) {
  static const struct {
    uint64_t value;
    unsigned decimals;
    const char *text;
  } rows[] = {{0, 8, "0"},
              {1, 8, "0.00000001"},
              {150000000, 8, "1.5"},
              {100000000, 8, "1"},
              {10, 0, "10"},
              {WB_QUANTITY_MAX, 0, "4611686018427387903"},
              {WB_QUANTITY_MAX, 18, "4.611686018427387903"},
              {1, 18, "0.000000000000000001"}};
  char text[WB_DECIMAL_TEXT_BYTES], slow[WB_DECIMAL_TEXT_BYTES];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    text[wb_publish_number(rows[i].value, rows[i].decimals, text)] = 0;
    cr_assert_str_eq(text, rows[i].text);
  }
  seed();
  for (unsigned i = 0; i < 100000; i++) {
    uint64_t value = next() >> (2 + next() % 62);
    unsigned decimals = next() % 19;
    text[wb_publish_number(value, decimals, text)] = 0;
    wb_decimal_print(value, decimals, slow);
    cr_assert_str_eq(text, slow);
    cr_assert(strlen(text) <= 20);
  }
}

Test(publish_text, messages_are_the_exchanges) {
  const wb_publish_product about = {"BTC-USD", 2, 8};
  const wb_level bid[] = {{4983253, 150000000}}, ask[] = {{4983300, 1}, {4983301, 2}};
  const wb_delta delta[] = {{4983253, 0, WB_SIDE_BID}, {4983300, 100000000, WB_SIDE_ASK}};
  const wb_publish_trade trade = {4983253, 5, 7, 9, 1500000000, WB_SIDE_ASK, 2, 1};
  const int64_t time_ns = INT64_C(1785649432535977000);
  char text[WB_PUBLISH_TEXT_BYTES_MAX];
  text[wb_publish_snapshot(&about, (const wb_level *const[]){bid, ask}, (const uint32_t[]){1, 2}, time_ns, text)] = 0;
  cr_expect_str_eq(text, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"49833\",\"0.00000001\"],[\"49833.01\","
                         "\"0.00000002\"]],\"bids\":[[\"49832.53\",\"1.5\"]],\"time\":\"2026-08-02T05:43:52.535977Z\"}");
  text[wb_publish_update(&about, delta, 2, WB_TIME_NONE, text)] = 0;
  cr_expect_str_eq(text,
                   "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"49832.53\",\"0\"],[\"sell\","
                   "\"49833\",\"1\"]],\"time\":\"0001-01-01T00:00:00.000000Z\"}");
  text[wb_publish_match("BTC-USD", &trade, false, text)] = 0;
  cr_expect_str_eq(text,
                   "{\"type\":\"match\",\"trade_id\":7,\"maker_order_id\":\"00000000-0000-0000-0000-000000000000\","
                   "\"taker_order_id\":\"00000000-0000-0000-0000-000000000000\",\"side\":\"sell\",\"size\":\"0.5\",\"price\":"
                   "\"49832.53\",\"product_id\":\"BTC-USD\",\"sequence\":9,\"time\":\"1970-01-01T00:00:01.500000Z\"}");
  text[wb_publish_ticker(&about, (const wb_level[]){bid[0], {0, 0}}, &trade, 11, 0, text)] = 0;
  cr_expect_str_eq(
      text, "{\"type\":\"ticker\",\"sequence\":11,\"product_id\":\"BTC-USD\",\"price\":\"49832.53\",\"best_bid\":"
            "\"49832.53\",\"best_bid_size\":\"1.5\",\"best_ask\":\"0\",\"best_ask_size\":\"0\",\"side\":\"buy\",\"time\":"
            "\"1970-01-01T00:00:00.000000Z\",\"trade_id\":7,\"last_size\":\"0.5\"}");
  text[wb_publish_heartbeat("BTC-USD", 11, 7, 0, text)] = 0;
  cr_expect_str_eq(text, "{\"type\":\"heartbeat\",\"sequence\":11,\"last_trade_id\":7,\"product_id\":\"BTC-USD\",\"time\":"
                         "\"1970-01-01T00:00:00.000000Z\"}");
}

/* ------------------------------------------------------------------------------------------------ requests */

Test(publisher, what_is_wrong_with_a_request_is_said_in_the_exchanges_words) {
  static const struct {
    const char *request, *message, *reason;
  } rows[] = {
      {"{}", "Failed to subscribe", "Type has to be either subscribe or unsubscribe"},
      {"{\"type\":1}", "Failed to subscribe", "Type has to be either subscribe or unsubscribe"},
      {"{\"type\":\"subscribe\"}", "Failed to subscribe", "channels has to be a list of at least one channel"},
      {"{\"type\":\"subscribe\",\"channels\":[]}", "Failed to subscribe", "channels has to be a list of at least one channel"},
      {"{\"type\":\"unsubscribe\",\"channels\":{}}", "Failed to unsubscribe",
       "channels has to be a list of at least one channel"},
      {"{\"type\":\"subscribe\",\"product_ids\":\"BTC-USD\",\"channels\":[\"level2\"]}", "Failed to subscribe",
       "product_ids has to be a list"},
      {"{\"type\":\"subscribe\",\"channels\":[\"level2\"]}", "Failed to subscribe",
       "You need to specify at least one product ID for channel level2"},
      {"{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"leve\\u00e92\"]}", "Failed to subscribe",
       "leve\xc3\xa9"
       "2 is not a valid channel"},
      {"{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[7]}", "Failed to subscribe",
       "a channel is a name or {\"name\", \"product_ids\"}"},
      {"{\"type\":\"subscribe\",\"product_ids\":[\"DOGE-USD\"],\"channels\":[\"level2\"]}", "Failed to subscribe",
       "DOGE-USD is not a valid product"},
      {"{\"type\":\"subscribe\",\"channels\":[{\"name\":\"level2\",\"product_ids\":[7]}]}", "Failed to subscribe",
       "what is no string is not a valid product"},
  };
  rig *r = opened();
  rig_client *client = rig_join(r, 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uint32_t before = client->count;
    rig_say(client, rows[i].request);
    cr_assert_eq(client->count, before + 1, "%s", rows[i].request);
    json_t *error = json_loads(rig_text(client, 0), 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(error, "type")), "error");
    cr_expect_str_eq(json_string_value(json_object_get(error, "message")), rows[i].message);
    cr_expect_str_eq(json_string_value(json_object_get(error, "reason")), rows[i].reason);
    json_decref(error);
  }
  cr_assert_eq(client->code, 0);
  rig_close(r);
}

Test(publisher, hostile_clients_are_ended_with_the_right_code) {
  static const struct {
    const char *text;
    unsigned code;
    const char *reason;
  } rows[] = {{"{\"type\":\"sub", 1008, "Malformed JSON"},
              {"[]", 1008, "Malformed JSON"},
              {"", 1008, "Malformed JSON"},
              {"{\"type\":\"a\",\"type\":\"b\"}", 1008, "Malformed JSON"},
              {"{\"type\":\"\xff\"}", 1007, "invalid UTF-8"}};
  rig *r = opened();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    rig_client *client = rig_join(r, 0);
    rig_say(client, rows[i].text);
    cr_assert_eq(client->code, rows[i].code, "%s", rows[i].text);
    cr_assert_str_eq(client->reason, rows[i].reason);
    rig_say(client, level2);
    rig_leave(client);
  }
  char *large = rig_zeroed(WB_PUBLISH_REQUEST_BYTES_MAX + 2);
  memset(large, ' ', WB_PUBLISH_REQUEST_BYTES_MAX + 1);
  rig_client *client = rig_join(r, 1);
  rig_say(client, large);
  cr_assert_eq(client->code, 1009);
  free(large);
  client = rig_join(r, 2);
  for (unsigned i = 0; i < 100; i++) rig_say(client, level2);
  cr_assert_eq(client->code, 0);
  rig_say(client, level2);
  cr_assert_eq(client->code, 1008);
  cr_assert_str_eq(client->reason, "ErrSlowRead");
  rig_close(r);
}

Test(publisher, a_client_that_subscribes_to_nothing_is_ended_after_5_seconds) {
  rig *r = opened();
  rig_client *idle = rig_join(r, 0), *other = rig_join(r, 1);
  rig_say(other, level2);
  rig_say(idle, "{\"type\":\"subscribe\",\"product_ids\":[\"DOGE-USD\"],\"channels\":[\"level2\"]}");
  after(r, UINT64_C(4900) * RIG_MS);
  cr_assert_eq(idle->code, 0);
  after(r, 200 * RIG_MS);
  cr_assert_eq(idle->code, 1008);
  cr_assert_eq(other->code, 0);
  rig_close(r);
}

Test(publisher, one_bad_product_does_not_spoil_the_rest_and_the_ack_is_the_whole_list) {
  rig *r = opened();
  rig_client *client = rig_join(r, 0);
  rig_say(client, "{\"type\":\"subscribe\",\"product_ids\":[\"ETH-USD\"],\"channels\":[\"level2_batch\",{\"name\":\"ticker\","
                  "\"product_ids\":[\"BTC-USD\",\"DOGE-USD\",\"BTC-USD\"]}]}");
  cr_assert_str_eq(rig_text(client, 0), "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2_batch\",\"product_ids\":["
                                        "\"ETH-USD\"],\"account_ids\":null},{\"name\":\"ticker\",\"product_ids\":[\"BTC-USD\","
                                        "\"ETH-USD\"],\"account_ids\":null}]}");
  cr_assert_eq(client->count, 2);
  rig_say(client, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2_50\",\"heartbeat\"]}");
  cr_assert_str_eq(rig_text(client, 0),
                   "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2_50\",\"product_ids\":["
                   "\"BTC-USD\",\"ETH-USD\"],\"account_ids\":null},{\"name\":\"ticker\",\"product_ids\":["
                   "\"BTC-USD\",\"ETH-USD\"],\"account_ids\":null},{\"name\":\"heartbeat\",\"product_ids\":["
                   "\"BTC-USD\"],\"account_ids\":null}]}");
  rig_say(client,
          "{\"type\":\"unsubscribe\",\"channels\":[\"ticker\",{\"name\":\"level2_batch\",\"product_ids\":[\"BTC-USD\"]}]}");
  cr_assert_str_eq(rig_text(client, 0),
                   "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2_50\",\"product_ids\":["
                   "\"ETH-USD\"],\"account_ids\":null},{\"name\":\"heartbeat\",\"product_ids\":[\"BTC-USD\"],"
                   "\"account_ids\":null}]}");
  rig_say(client, "{\"type\":\"unsubscribe\",\"product_ids\":[\"ETH-USD\",\"BTC-USD\"],\"channels\":[\"level2\",\"level2_"
                  "batch\",\"heartbeat\"]}");
  cr_assert_str_eq(rig_text(client, 0), "{\"type\":\"subscriptions\",\"channels\":[]}");
  rig_close(r);
}

/* ------------------------------------------------------------------------------------------------ books */

Test(publisher, a_subscriber_has_the_nodes_book_after_every_message) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  update(r, 0, 1000, 77, WB_SIDE_BID, 2);
  rig_client *client = rig_join(r, 0);
  rig_say(client, level2);
  rig_turns(r);
  cr_assert_eq(client->book[0].snapshots, 1);
  cr_assert(rig_same(r, client, 0));
  for (unsigned i = 0; i < 50; i++) {
    update(r, 0, 990 + i % 10, i % 3, WB_SIDE_BID, 3 + i);
    rig_turns(r);
    cr_assert_eq(client->book[0].updates, i + 1);
    cr_assert_eq(client->book[0].time_us, 3 + i);
    cr_assert(rig_same(r, client, 0));
  }
  cr_assert_eq(client->book[0].snapshots, 1);
  rig_close(r);
}

Test(publisher, nothing_is_formatted_while_nobody_subscribes) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  for (unsigned i = 0; i < 100; i++) {
    update(r, 0, 1000, i + 1, WB_SIDE_BID, 2 + i);
    after(r, 60 * RIG_MS);
  }
  const wb_publisher_counts *counts = wb_publisher_counts_of(r->publisher);
  cr_assert_eq(counts->formatted, 0);
  cr_assert_eq(counts->copies, 0);
  rig_client *client = rig_join(r, 0);
  rig_say(client, "{\"type\":\"subscribe\",\"product_ids\":[\"ETH-USD\"],\"channels\":[\"level2\",\"heartbeat\"]}");
  uint64_t formatted = counts->formatted;
  for (unsigned i = 0; i < 100; i++) {
    update(r, 0, 1000, i + 1, WB_SIDE_BID, 200 + i);
    after(r, 60 * RIG_MS);
  }
  cr_assert_eq(counts->formatted, formatted, "nothing of another product either, nor of one that is not live");
  rig_close(r);
}

Test(publisher, a_message_is_formatted_once_for_all) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_turns(r);
  for (unsigned i = 0; i < RIG_CLIENTS; i++) rig_say(rig_join(r, i), level2);
  cr_assert_null(wb_publisher_join(r->publisher, &r->client[0], r->now_ns), "clients are bounded");
  rig_turns(r);
  const wb_publisher_counts *counts = wb_publisher_counts_of(r->publisher);
  cr_assert_eq(counts->snapshots, 1);
  uint64_t formatted = counts->formatted, put = counts->put;
  update(r, 0, 1000, 5, WB_SIDE_BID, 2);
  rig_turns(r);
  cr_assert_eq(counts->formatted, formatted + 1);
  cr_assert_eq(counts->put, put + RIG_CLIENTS);
  for (unsigned i = 0; i < RIG_CLIENTS; i++) cr_assert(rig_same(r, &r->client[i], 0));
  rig_close(r);
}

Test(publisher, a_batch_says_once_what_is_different_and_comes_each_50_ms) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0);
  rig_say(client, batch);
  after(r, 100 * RIG_MS);
  for (unsigned i = 0; i < 30; i++) {
    update(r, 0, 1000 - i % 2, i + 100, WB_SIDE_BID, 2 + i);
    update(r, 0, 1001, i % 2, WB_SIDE_ASK, 2 + i);       /* as it was in the end */
    update(r, 0, 1500, (i + 1) % 2, WB_SIDE_ASK, 2 + i); /* came and went */
    after(r, RIG_MS);
  }
  cr_assert_eq(client->book[0].updates, 0);
  after(r, 20 * RIG_MS);
  cr_assert_eq(client->book[0].updates, 1);
  cr_assert_eq(client->book[0].changes, 2);
  cr_assert_eq(client->book[0].time_us, 31);
  cr_assert(rig_same(r, client, 0));
  after(r, 50 * RIG_MS);
  cr_assert_eq(client->book[0].updates, 1, "what has not changed is not said");
  rig_close(r);
}

Test(publisher, a_client_that_joins_between_two_batches_has_the_book_of_the_others) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *first = rig_join(r, 0), *second = rig_join(r, 1);
  rig_say(first, batch);
  after(r, 60 * RIG_MS);
  update(r, 0, 1000, 5, WB_SIDE_BID, 2);
  after(r, RIG_MS);
  rig_say(second, batch);
  after(r, RIG_MS);
  cr_assert(rig_same(r, second, 0));
  update(r, 0, 1000, 0, WB_SIDE_BID, 3);
  after(r, 60 * RIG_MS);
  cr_assert(rig_same(r, first, 0) && rig_same(r, second, 0));
  cr_assert_eq(wb_publisher_counts_of(r->publisher)->copies, 1, "of the second the node knows nothing");
  rig_close(r);
}

Test(publisher, a_book_that_is_replaced_is_sent_anew_and_nothing_before_it) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0);
  rig_say(client, level2);
  rig_turns(r);
  update(r, 0, 1000, 5, WB_SIDE_BID, 2);
  snapshot(r, 0, 7, 3);
  update(r, 0, 1000, 6, WB_SIDE_BID, 4);
  after(r, 300 * RIG_MS);
  cr_assert_eq(client->book[0].updates, 1, "the one before");
  cr_assert_eq(client->book[0].snapshots, 2);
  cr_assert(rig_same(r, client, 0));
  update(r, 0, 1000, 7, WB_SIDE_BID, 5);
  rig_turns(r);
  cr_assert_eq(client->book[0].updates, 2);
  cr_assert(rig_same(r, client, 0));
  rig_close(r);
}

Test(publisher, a_product_that_is_not_live_is_silent_and_begins_with_a_snapshot_when_it_is_again) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0), *late = rig_join(r, 1);
  rig_say(client, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"level2\",\"heartbeat\"]}");
  after(r, UINT64_C(1100) * RIG_MS);
  cr_assert_eq(rig_texts(client, "heartbeat"), 1);
  line(r, WB_MESSAGE_DISCONNECT);
  rig_turns(r);
  rig_say(late, level2);
  for (unsigned i = 0; i < 5; i++) after(r, RIG_S);
  cr_assert_eq(rig_texts(client, "heartbeat"), 1);
  cr_assert_eq(late->book[0].snapshots, 0);
  line(r, WB_MESSAGE_CONNECT);
  snapshot(r, 0, 9, 9);
  after(r, RIG_S);
  cr_assert_eq(client->book[0].snapshots, 2);
  cr_assert_eq(client->book[0].updates, 0);
  cr_assert_eq(late->book[0].snapshots, 1);
  cr_assert(rig_same(r, client, 0) && rig_same(r, late, 0));
  cr_assert_eq(rig_texts(client, "heartbeat"), 2);
  rig_close(r);
}

static void turn(rig *r) { wb_publisher_turn(r->publisher, r->now_ns, (int64_t)r->now_ns); }

Test(publisher, a_book_of_before_is_never_sent_as_the_new_one) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0);
  rig_say(client, level2);
  rig_turns(r);
  line(r, WB_MESSAGE_DISCONNECT);
  rig_turns(r);
  line(r, WB_MESSAGE_CONNECT);
  r->applied = turn; /* the view shows the new book, the ring does not say so yet */
  snapshot(r, 0, 7, 3);
  r->applied = NULL;
  rig_turns(r);
  after(r, 300 * RIG_MS);
  cr_assert_eq(client->book[0].snapshots, 2);
  cr_assert(rig_same(r, client, 0));
  rig_close(r);
}

Test(publisher, a_reader_that_is_lapped_sends_snapshots_and_no_update_that_does_not_fit) {
  rig *r = rig_open_with(64 * sizeof(wirebook_shm_change));
  line(r, WB_MESSAGE_CONNECT);
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0);
  rig_say(client, level2);
  rig_turns(r);
  for (unsigned i = 0; i < 200; i++) update(r, 0, 900 + i % 100, i + 1, WB_SIDE_BID, 2 + i);
  after(r, 300 * RIG_MS);
  cr_assert_gt(wb_publisher_counts_of(r->publisher)->lapped, 0);
  cr_assert_eq(client->book[0].updates, 0);
  cr_assert_eq(client->book[0].snapshots, 2);
  cr_assert(rig_same(r, client, 0));
  rig_close(r);
}

Test(publisher, units_that_become_finer_are_followed_by_a_snapshot_in_them) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0);
  rig_say(client, level2);
  rig_turns(r);
  wb_message *scale = rig_zeroed(wb_message_bytes(0));
  *scale = (wb_message){.kind = WB_MESSAGE_SCALE, .part = RIG_WHOLE};
  scale->u.scale.price_decimals = scale->u.scale.size_decimals = RIG_DECIMALS + 1;
  wb_book_stage_take(&r->stage, scale);
  free(scale);
  const wb_delta fine = {.price = 1000 * UINT64_C(10000000), .size = 50, .side = WB_SIDE_BID};
  rig_message(r, 0, WB_MESSAGE_UPDATE, RIG_WHOLE, &fine, 1, 2);
  after(r, 300 * RIG_MS);
  cr_assert_eq(client->book[0].snapshots, 2);
  cr_assert_eq(wb_book_size(client->book[0].book, WB_SIDE_BID, UINT64_C(1000) * 1000000), 5);
  cr_assert_eq(wb_book_size(client->book[0].book, WB_SIDE_BID, UINT64_C(999) * 1000000), 2);
  rig_close(r);
}

Test(publisher, a_message_in_parts_is_sent_whole) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *first = rig_join(r, 0), *second = rig_join(r, 1);
  rig_say(first, level2);
  rig_turns(r);
  const wb_delta delta[] = {{1000000000, 50, WB_SIDE_BID}, {1001000000, 60, WB_SIDE_ASK}};
  rig_message(r, 0, WB_MESSAGE_UPDATE, WB_PART_FIRST, delta, 1, 2);
  rig_say(second, level2);
  after(r, 60 * RIG_MS);
  cr_assert_eq(first->book[0].updates, 0);
  cr_assert_eq(second->book[0].snapshots, 1);
  cr_assert_eq(wb_book_size(second->book[0].book, WB_SIDE_BID, 1000000000), 1, "half a message is in no snapshot");
  rig_message(r, 0, WB_MESSAGE_UPDATE, WB_PART_LAST, delta + 1, 1, 2);
  rig_turns(r);
  cr_assert_eq(first->book[0].updates, 1);
  cr_assert_eq(first->book[0].changes, 2);
  cr_assert(rig_same(r, first, 0) && rig_same(r, second, 0));
  rig_close(r);
}

Test(publisher, a_message_with_more_changes_than_there_is_room_for_becomes_a_snapshot) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0), *batched = rig_join(r, 1);
  rig_say(client, level2);
  rig_say(batched, batch);
  rig_turns(r);
  enum { PART = 4096, PARTS = 3 };
  wb_delta *delta = rig_zeroed(PART * sizeof *delta);
  for (unsigned part = 0; part < PARTS; part++) {
    for (unsigned i = 0; i < PART; i++)
      delta[i] = (wb_delta){.price = (2000 + i % 100) * UINT64_C(1000000), .size = part + i + 1, .side = WB_SIDE_ASK};
    rig_message(r, 0, WB_MESSAGE_UPDATE, part == 0 ? WB_PART_FIRST : part + 1 < PARTS ? 0 : WB_PART_LAST, delta, PART, 2);
  }
  free(delta);
  after(r, 300 * RIG_MS);
  cr_assert_eq(client->book[0].updates + batched->book[0].updates, 0);
  cr_assert_eq(client->book[0].snapshots, 2);
  cr_assert(rig_same(r, client, 0) && rig_same(r, batched, 0));
  rig_close(r);
}

Test(publisher, no_copy_of_a_book_is_made_in_the_middle_of_a_message) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0);
  const wb_delta delta[] = {{1000000000, 50, WB_SIDE_BID}, {1001000000, 60, WB_SIDE_ASK}};
  rig_message(r, 0, WB_MESSAGE_UPDATE, WB_PART_FIRST, delta, 1, 2);
  rig_say(client, level2);
  rig_turns(r);
  rig_turns(r);
  cr_assert_eq(client->book[0].snapshots, 0);
  rig_message(r, 0, WB_MESSAGE_UPDATE, WB_PART_LAST, delta + 1, 1, 2);
  rig_turns(r);
  cr_assert_eq(client->book[0].snapshots, 1);
  cr_assert(rig_same(r, client, 0));
  rig_close(r);
}

Test(publisher, what_the_exchange_takes_out_without_a_word_is_said_to_subscribers) {
  enum { DEPTH = 10 };
  rig *r = opened();
  struct {
    wb_message message;
    wb_delta delta[2 * DEPTH];
  } m = {.message = {.kind = WB_MESSAGE_SNAPSHOT, .part = RIG_WHOLE, .delta_count = 2 * DEPTH, .time_ns = 1000}};
  m.message.u.book.depth = DEPTH;
  for (unsigned i = 0; i < DEPTH; i++) {
    m.delta[2 * i] = (wb_delta){.price = 1000 - i, .size = 1, .side = WB_SIDE_BID};
    m.delta[2 * i + 1] = (wb_delta){.price = 1001 + i, .size = 1, .side = WB_SIDE_ASK};
  }
  wb_book_stage_take(&r->stage, &m.message);
  rig_client *client = rig_join(r, 0), *batched = rig_join(r, 1);
  rig_say(client, level2);
  rig_say(batched, batch);
  rig_turns(r);
  m.message.kind = WB_MESSAGE_UPDATE;
  for (unsigned i = 0; i < 20; i++) {
    m.message.delta_count = 3;
    m.message.number = i;
    for (unsigned n = 0; n < 3; n++) m.delta[n] = (wb_delta){.price = 1100 + 3 * i + n, .size = 2, .side = WB_SIDE_BID};
    wb_book_stage_take(&r->stage, &m.message);
    after(r, 60 * RIG_MS);
    cr_assert_eq(wb_book_level_count(r->product[0].book, WB_SIDE_BID), DEPTH);
    cr_assert_eq(client->book[0].updates, i + 1);
    cr_assert(rig_same(r, client, 0) && rig_same(r, batched, 0));
  }
  rig_close(r);
}

/* ------------------------------------------------------------------------------------------------ clients */

Test(publisher, a_slow_client_is_ended_and_the_others_go_on) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *slow = rig_join(r, 0), *other = rig_join(r, 1);
  rig_say(slow, level2);
  rig_say(other, level2);
  rig_turns(r);
  slow->refuse = WB_E_FULL;
  for (unsigned i = 0; i < 10; i++) {
    update(r, 0, 1000, 5 + i, WB_SIDE_BID, 2 + i);
    after(r, 10 * RIG_MS);
  }
  cr_assert_eq(slow->code, 1008);
  cr_assert_str_eq(slow->reason, "ErrSlowConsume");
  cr_assert_eq(wb_publisher_counts_of(r->publisher)->slow, 1);
  cr_assert_eq(other->book[0].updates, 10);
  cr_assert(rig_same(r, other, 0));
  rig_leave(slow);
  after(r, 60 * RIG_MS);
  rig_close(r);
}

Test(publisher, a_client_with_much_in_its_queue_waits_for_its_snapshots) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  snapshot(r, 1, 20, 1);
  rig_client *client = rig_join(r, 0), *other = rig_join(r, 1);
  static const char both[] = "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"],\"channels\":[\"level2\"]}";
  client->queued = 2 << 20;
  rig_say(client, both);
  rig_say(other, both);
  for (unsigned i = 0; i < 5; i++) {
    after(r, 10 * RIG_MS);
    update(r, 0, 1000, 5 + i, WB_SIDE_BID, 2 + i);
  }
  cr_assert_eq(client->book[0].snapshots + client->book[1].snapshots + client->book[0].updates, 0);
  cr_assert_eq(other->book[0].snapshots + other->book[1].snapshots, 2);
  client->queued = 0;
  after(r, 10 * RIG_MS);
  cr_assert(rig_same(r, client, 0) && rig_same(r, client, 1) && rig_same(r, other, 0));
  rig_close(r);
}

Test(publisher, who_unsubscribes_hears_no_more_and_who_subscribes_again_begins_with_a_snapshot) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0);
  rig_say(client, level2);
  rig_turns(r);
  rig_say(client, "{\"type\":\"unsubscribe\",\"channels\":[\"level2\"]}");
  uint32_t count = client->count;
  update(r, 0, 1000, 5, WB_SIDE_BID, 2);
  after(r, UINT64_C(2) * RIG_S);
  cr_assert_eq(client->count, count);
  rig_say(client, batch);
  rig_turns(r);
  cr_assert_eq(client->book[0].snapshots, 2);
  cr_assert(rig_same(r, client, 0));
  rig_close(r);
}

/* ------------------------------------------------------------------------------------------------ trades */

static void trade(rig *r, unsigned product, uint64_t cents, int64_t time_us) {
  const wb_delta delta = {.price = cents * 1000000, .size = 50000000, .side = WB_SIDE_ASK};
  rig_message(r, product, WB_MESSAGE_TRADE, RIG_WHOLE, &delta, 1, time_us);
}

Test(publisher, matches_begin_with_the_last_one_and_tickers_follow_trades) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  trade(r, 0, 1001, 2);
  rig_turns(r);
  rig_client *client = rig_join(r, 0), *batched = rig_join(r, 1);
  rig_say(client, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"],\"channels\":[\"matches\",\"ticker\"]}");
  rig_say(batched, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channels\":[\"ticker_1000\"]}");
  cr_assert_eq(rig_texts(client, "last_match"), 1);
  cr_assert_eq(rig_texts(client, "ticker"), 1, "of the product that is live");
  cr_assert_eq(rig_texts(batched, "ticker"), 1);
  trade(r, 0, 1000, 3);
  trade(r, 0, 999, 4);
  trade(r, 2, 999, 4);
  rig_turns(r);
  cr_assert_eq(rig_texts(client, "match"), 2);
  cr_assert_eq(rig_texts(client, "ticker"), 3);
  cr_assert(strstr(rig_text(client, 0), "\"price\":\"9.99\"") && strstr(rig_text(client, 0), "\"best_bid\":\"10\",") &&
            strstr(rig_text(client, 0), "\"side\":\"buy\""));
  cr_assert(strstr(rig_text(client, 1), "\"type\":\"match\"") && strstr(rig_text(client, 1), "\"side\":\"sell\""));
  for (unsigned i = 0; i < 110; i++) after(r, 100 * RIG_MS);
  cr_assert_eq(rig_texts(batched, "ticker"), 2, "once in 5 s, and only where there were trades");
  rig_close(r);
}

Test(publisher, heartbeats_count_frames_and_say_the_last_trade) {
  rig *r = opened();
  snapshot(r, 0, 20, 1);
  rig_client *client = rig_join(r, 0);
  rig_say(client, "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"],\"channels\":[\"heartbeat\"]}");
  trade(r, 0, 1000, 2);
  uint64_t id = r->number;
  update(r, 0, 1000, 5, WB_SIDE_BID, 3000000);
  char expected[256];
  for (unsigned i = 0; i < 3; i++) after(r, RIG_S);
  cr_assert_eq(rig_texts(client, "heartbeat"), 3);
  snprintf(expected, sizeof expected,
           "{\"type\":\"heartbeat\",\"sequence\":%llu,\"last_trade_id\":%llu,\"product_id\":\"BTC-USD\",\"time\":"
           "\"1970-01-01T00:00:06.000000Z\"}",
           (unsigned long long)r->number, (unsigned long long)id);
  cr_assert_str_eq(rig_text(client, 0), expected, "by the exchange's clock");
  rig_close(r);
}

/* ------------------------------------------------------------------------------------------------ random operations */

static const char *const channel_words[] = {"level2", "level2_batch", "level2_50", "heartbeat",
                                            "ticker", "ticker_batch", "matches"};

static void random_request(rig_client *client) {
  char text[512];
  snprintf(text, sizeof text, "{\"type\":\"%s\",\"product_ids\":[\"%s\"],\"channels\":[\"%s\"]}",
           next() % 3 ? "subscribe" : "unsubscribe", rig_ids[next() % RIG_PRODUCTS], channel_words[next() % 7]);
  rig_say(client, text);
}

static void random_feed(rig *r, int64_t time_us) {
  unsigned product = next() % RIG_PRODUCTS, what = next() % 200;
  if (what == 0) line(r, WB_MESSAGE_DISCONNECT), line(r, WB_MESSAGE_CONNECT);
  else if (what < 6) snapshot(r, product, 1 + next() % 60, time_us);
  else if (what < 20) trade(r, product, 900 + next() % 200, time_us);
  else {
    wb_delta delta[8];
    uint32_t count = 1 + next() % 8;
    for (uint32_t i = 0; i < count; i++) {
      bool ask = next() & 1;
      delta[i] = (wb_delta){.price = ((ask ? 1001 : 900) + next() % 100) * 1000000, .size = next() % 3, .side = ask};
    }
    rig_message(r, product, WB_MESSAGE_UPDATE, RIG_WHOLE, delta, count, time_us);
  }
}

/* Whoever was told of its snapshot has the node's book: of level2 at once, of a batch when one is due. */
Test(publisher, clients_that_do_anything_have_the_nodes_books_at_rest) {
  seed();
  rig *r = rig_open_with(1 << 12);
  line(r, WB_MESSAGE_CONNECT);
  for (int64_t n = 1; n <= 100000; n++) {
    random_feed(r, n);
    rig_client *client = &r->client[next() % RIG_CLIENTS];
    unsigned what = next() % 200;
    if (what == 0 && !client->at) rig_join(r, (unsigned)(client - r->client));
    else if (what < 2 && client->at && client->code) rig_leave(client), client->refuse = 0;
    else if (what < 8 && client->at && !client->code) random_request(client);
    else if (what == 8 && next() % 8 == 0) client->refuse = WB_E_FULL;
    client->queued = what == 9 ? 2 << 20 : 0;
    if (what < 100) r->now_ns += 2 * RIG_MS, rig_turns(r);
    if (n % 500) continue;
    for (unsigned i = 0; i < RIG_CLIENTS; i++) r->client[i].queued = 0;
    for (unsigned i = 0; i < 20; i++) after(r, 60 * RIG_MS);
    for (unsigned i = 0; i < RIG_CLIENTS; i++) {
      client = &r->client[i];
      if (!client->at || client->code || client->refuse) continue;
      rig_say(client,
              "{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\",\"LTC-USD\"],\"channels\":[\"level2\"]}");
      for (unsigned k = 0; k < 20; k++) after(r, 60 * RIG_MS);
      for (unsigned product = 0; product < RIG_PRODUCTS && !client->code; product++)
        if (r->product[product].live)
          cr_assert(rig_same(r, client, product), "client %u, product %u, message %lld", i, product, (long long)n);
    }
  }
  cr_assert_gt(wb_publisher_counts_of(r->publisher)->lapped, 0);
  cr_assert_gt(wb_publisher_counts_of(r->publisher)->slow, 0);
  rig_close(r);
}
