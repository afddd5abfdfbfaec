#include <criterion/criterion.h>

#include "engine/codec/json.h"
#include "tests/unit/codec/capture.h"

static roads all;
static void open_roads(void) { roads_init(&all); }
static void close_roads(void) { roads_fini(&all); }
TestSuite(exchange, .init = open_roads, .fini = close_roads);

static const capture *decode(const char *text) {
  const char *broken = roads_decode(&all, text, strlen(text), 0);
  cr_assert(!broken, "%s: %s", broken, text);
  return &all.got[all.count - 1];
}

static void says(const char *text, const char *want) {
  char got[4096];
  const capture *said = decode(text);
  size_t used = 0;
  for (unsigned i = 0; i < said->count; i++) {
    if (i) got[used++] = '\n';
    used += capture_print(said, i, got + used, sizeof got - used);
  }
  cr_assert_str_eq(got, want, "%s", text);
}

static void rejects(const char *text, wb_reject reason, const char *product) {
  const capture *said = decode(text);
  cr_assert_eq(said->count, 1, "%s", text);
  const wb_message *message = said->message[0];
  cr_assert_eq(message->kind, WB_MESSAGE_REJECT, "%s", text);
  cr_assert_eq(message->u.reject.reason, reason, "%s: %s", text, wb_reject_name((wb_reject)message->u.reject.reason));
  cr_assert_leq(message->u.reject.offset, strlen(text));
  if (!product) cr_assert_eq(message->product, WB_PRODUCT_NONE, "%s", text);
  else cr_assert_eq(message->product, wb_products_find(&all.products, product, strlen(product)), "%s", text);
}

#define HEAD "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\","
#define UPDATE(changes) HEAD "\"changes\":[" changes "]}"
#define CHANGE(price, size) UPDATE("[\"buy\",\"" price "\",\"" size "\"]")
#define TIMED(time) HEAD "\"changes\":[[\"buy\",\"1\",\"2\"]],\"time\":" time "}"
#define SNAPSHOT(bids, asks) "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":[" bids "],\"asks\":[" asks "]}"

Test(exchange, is_found_by_name_and_says_where_its_feed_is) {
  cr_assert_eq(wb_codec_find("coinbase-exchange"), &wb_codec_coinbase_exchange);
  cr_assert_null(wb_codec_find("coinbase"));
  cr_assert_null(wb_codec_find(""));
  cr_assert_eq(wb_codec_at(0), &wb_codec_coinbase_exchange);
  unsigned count = 0;
  for (; wb_codec_at(count); count++) cr_assert_eq(wb_codec_find(wb_codec_at(count)->name), wb_codec_at(count));
  cr_assert_geq(count, 1);
  cr_assert_null(wb_codec_at(count));
  cr_assert_null(wb_codec_at(UINT32_MAX));
  cr_assert_str_eq(wb_codec_coinbase_exchange.url, "wss://ws-feed.exchange.coinbase.com");
  cr_assert_str_eq(wb_codec_coinbase_exchange.channels[0], "level2_batch");
  cr_assert_str_eq(wb_codec_coinbase_exchange.channels[1], "heartbeat");
  cr_assert_null(wb_codec_coinbase_exchange.channels[2]);
}

Test(exchange, init_refuses_no_memory_and_decimals_out_of_range) {
  cr_assert_eq(wb_codec_coinbase_exchange.init(NULL, &all.products), WB_E_INVALID);
  cr_assert_eq(wb_codec_coinbase_exchange.init(all.state[0], NULL), WB_E_INVALID);
  all.products.product[2].size_decimals = WB_DECIMALS_MAX + 1;
  cr_assert_eq(wb_codec_coinbase_exchange.init(all.state[0], &all.products), WB_E_INVALID);
  all.products.product[2].size_decimals = WB_DECIMALS_MAX;
  all.products.product[2].price_decimals = 2;
  cr_assert_eq(wb_codec_coinbase_exchange.init(all.state[0], &all.products), 0);
  cr_assert_eq(all.state[0]->product[2].price_decimals, 2);
  cr_assert_eq(all.state[0]->product[2].size_decimals, WB_DECIMALS_MAX);
  cr_assert_eq(all.state[0]->product[1].size_decimals, WB_DECIMALS_DEFAULT);
}

Test(exchange, works_with_a_table_of_4096_products_and_finds_each) {
  void *memory = NULL, *state = NULL;
  wb_products products;
  cr_assert_eq(posix_memalign(&memory, 64, wb_products_bytes(WB_PRODUCT_COUNT_MAX)), 0);
  cr_assert_eq(wb_products_init(&products, memory, WB_PRODUCT_COUNT_MAX), 0);
  for (unsigned i = 0; i < WB_PRODUCT_COUNT_MAX; i++) {
    char id[32];
    int bytes = sprintf(id, "P%u-USD%.*s", i, (int)(i % 20), "-ABCDEFGHIJKLMNOPQRS");
    cr_assert_eq(wb_products_add(&products, id, (size_t)bytes), (int)i);
  }
  cr_assert_eq(posix_memalign(&state, 64, wb_codec_coinbase_exchange.size(&products)), 0);
  cr_assert_eq(wb_codec_coinbase_exchange.init(state, &products), 0);
  capture got;
  capture_init(&got, &products);
  for (unsigned i = 0; i < WB_PRODUCT_COUNT_MAX; i++) {
    char text[256 + WB_READ_SLACK_BYTES] = {0};
    wb_frame frame = {.kind = WB_FRAME_TEXT};
    frame.bytes = (uint32_t)sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"buy\",\"1\",\"2\"]]}",
                                    products.product[i].id);
    capture_clear(&got);
    wb_codec_coinbase_exchange.decode(state, &frame, (uint8_t *)text, &got.out);
    cr_assert_eq(got.message[0]->kind, WB_MESSAGE_UPDATE);
    cr_assert_eq(got.message[0]->product, i);
  }
  capture_clear(&got);
  free(state);
  free(memory);
}

Test(exchange, the_nodes_note_of_a_resync_names_its_product_and_any_other_note_is_passed_by) {
  static const struct {
    const char *note;
    uint16_t product;
  } cases[] = {{"{\"event\":\"resync\",\"product\":\"ETH-USD\",\"reason\":\"x\"}", 1},
               {"{\"event\":\"resync\",\"product\":\"XRP-USD\"}", WB_PRODUCT_NONE},
               {"{\"event\":\"resync\",\"product\":7}", WB_PRODUCT_NONE},
               {"{\"event\":\"resync\"}", WB_PRODUCT_NONE},
               {"{\"product\":\"ETH-USD\"", WB_PRODUCT_NONE},
               {"", WB_PRODUCT_NONE}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint8_t bytes[256] = {0};
    memcpy(bytes, cases[i].note, strlen(cases[i].note));
    wb_frame frame = {.kind = WB_FRAME_RESYNC, .bytes = (uint32_t)strlen(cases[i].note)};
    capture *got = &all.got[1];
    capture_clear(got);
    wb_codec_coinbase_exchange.decode(all.state[1], &frame, bytes, &got->out);
    cr_assert_null(got->broken);
    cr_assert_eq(got->count, 1u);
    cr_assert_eq(got->message[0]->product, cases[i].product, "%s", cases[i].note);
    cr_assert_eq(got->message[0]->kind, cases[i].product == WB_PRODUCT_NONE ? WB_MESSAGE_IGNORED : WB_MESSAGE_RESYNC);
  }
}

Test(exchange, each_kind_of_record_becomes_one_message) {
  static const struct {
    uint8_t kind, want;
  } cases[] = {{WB_FRAME_BINARY, WB_MESSAGE_REJECT},
               {WB_FRAME_PING, WB_MESSAGE_IGNORED},
               {WB_FRAME_PONG, WB_MESSAGE_IGNORED},
               {WB_FRAME_CLOSE, WB_MESSAGE_IGNORED},
               {WB_FRAME_HTTP, WB_MESSAGE_IGNORED},
               {WB_FRAME_PARTIAL, WB_MESSAGE_IGNORED},
               {WB_FRAME_OVERSIZE, WB_MESSAGE_REJECT},
               {WB_FRAME_VIOLATION, WB_MESSAGE_REJECT},
               {WB_FRAME_END, WB_MESSAGE_IGNORED},
               {WB_FRAME_CONNECT, WB_MESSAGE_CONNECT},
               {WB_FRAME_DISCONNECT, WB_MESSAGE_DISCONNECT},
               {WB_FRAME_SENT, WB_MESSAGE_IGNORED},
               {WB_FRAME_RESYNC, WB_MESSAGE_IGNORED},
               {WB_FRAME_GAP, WB_MESSAGE_GAP},
               {WB_FRAME_STALL, WB_MESSAGE_IGNORED},
               {0, WB_MESSAGE_IGNORED},
               {255, WB_MESSAGE_IGNORED}};
  static uint8_t bytes[256];
  static const char update[] = CHANGE("1", "2");
  memcpy(bytes, update, sizeof update);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wb_frame frame = {.kind = cases[i].kind, .bytes = sizeof update - 1, .recv_ns = 5, .number = 6, .line = 7};
    capture *got = &all.got[1];
    capture_clear(got);
    wb_codec_coinbase_exchange.decode(all.state[1], &frame, bytes, &got->out);
    cr_assert_null(got->broken);
    cr_assert_eq(got->count, 1);
    const wb_message *message = got->message[0];
    cr_assert_eq(message->kind, cases[i].want, "%u", cases[i].kind);
    cr_assert_eq(message->part, WB_PART_FIRST | WB_PART_LAST);
    cr_assert_eq(message->product, WB_PRODUCT_NONE);
    cr_assert(message->recv_ns == 5 && message->number == 6 && message->line == 7);
    if (cases[i].kind == WB_FRAME_BINARY) cr_assert_eq(message->u.reject.reason, WB_REJECT_BINARY);
    if (cases[i].kind == WB_FRAME_OVERSIZE) cr_assert_eq(message->u.reject.reason, WB_REJECT_TOO_LARGE);
    if (cases[i].kind == WB_FRAME_VIOLATION) cr_assert_eq(message->u.reject.reason, WB_REJECT_PROTOCOL);
  }
}

Test(exchange, text_that_is_no_json_is_rejected_for_the_product_it_named_before) {
  static const char *const tails[] = {"",
                                      "\"changes\":[[\"buy\",\"1\",\"2\"],]}",
                                      "\"changes\":[[\"buy\",\"1\",\"2\"]]",
                                      "\"x\":01}",
                                      "\"x\":\"\x01\"}",
                                      "\"x\":1,}",
                                      "\"x\":nul}",
                                      "\"x\":\"\\x\"}",
                                      "\"x\":1}}",
                                      "\"x\":1}x",
                                      "\"x\":1}{}"};
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    char text[256];
    sprintf(text, HEAD "%s", tails[i]);
    rejects(text, WB_REJECT_BAD_JSON, "BTC-USD");
  }
  rejects("", WB_REJECT_BAD_JSON, NULL);
  rejects(" ", WB_REJECT_BAD_JSON, NULL);
  rejects("hello", WB_REJECT_BAD_JSON, NULL);
  rejects("{\"type\":\"ticker\",\"price\":}", WB_REJECT_BAD_JSON, NULL);
  rejects("{\"type\":\"l2update\",\"product_id\":\"BTC-U", WB_REJECT_BAD_JSON, NULL);
  rejects("\xef\xbb\xbf{\"type\":\"ticker\"}", WB_REJECT_BAD_JSON, NULL);
  char deep[300];
  int used = sprintf(deep, HEAD "\"x\":");
  memset(deep + used, '[', WB_JSON_DEPTH_MAX);
  memset(deep + used + WB_JSON_DEPTH_MAX, ']', WB_JSON_DEPTH_MAX);
  strcpy(deep + used + 2 * WB_JSON_DEPTH_MAX, "}");
  rejects(deep, WB_REJECT_BAD_JSON, "BTC-USD");
}

Test(exchange, text_that_is_no_utf8_is_rejected_whatever_else_is_wrong_with_it) {
  rejects(HEAD "\"x\":\"\xff\"}", WB_REJECT_BAD_UTF8, "BTC-USD");
  rejects("{\"type\":\"ticker\",\"x\":\"\xc0\x80\"}", WB_REJECT_BAD_UTF8, NULL);
  rejects("{\"type\":\"ticker\",\"x\":\"\xed\xa0\x80\"}", WB_REJECT_BAD_UTF8, NULL);
  rejects("{\"\xe2\x82\":1,}", WB_REJECT_BAD_UTF8, NULL);
  rejects("\x80", WB_REJECT_BAD_UTF8, NULL);
  cr_assert_eq(decode("{\"a\":\"12345678\xf4\x90\x80\x80\"}")->message[0]->u.reject.offset, 14);
}

Test(exchange, a_message_must_be_an_object_that_says_its_type_once_as_a_string) {
  rejects("[]", WB_REJECT_WRONG_TYPE, NULL);
  rejects("\"snapshot\"", WB_REJECT_WRONG_TYPE, NULL);
  rejects(" null ", WB_REJECT_WRONG_TYPE, NULL);
  rejects("[{\"type\":\"heartbeat\"}]", WB_REJECT_WRONG_TYPE, NULL);
  rejects("{}", WB_REJECT_MISSING_FIELD, NULL);
  rejects("{\"Type\":\"heartbeat\",\"product_id\":\"ETH-USD\"}", WB_REJECT_MISSING_FIELD, "ETH-USD");
  rejects("{\"type\":1}", WB_REJECT_MISSING_FIELD, NULL);
  rejects("{\"type\":null}", WB_REJECT_MISSING_FIELD, NULL);
  rejects("{\"type\":[\"snapshot\"]}", WB_REJECT_MISSING_FIELD, NULL);
  rejects("{\"type\":\"ticker\",\"type\":\"ticker\"}", WB_REJECT_BAD_JSON, NULL);
}

Test(exchange, a_key_that_is_read_and_comes_twice_is_rejected_and_one_that_is_not_read_may) {
  rejects(HEAD "\"changes\":[],\"changes\":[]}", WB_REJECT_BAD_JSON, "BTC-USD");
  rejects(HEAD "\"changes\":[],\"product_id\":\"BTC-USD\"}", WB_REJECT_BAD_JSON, NULL);
  rejects(HEAD "\"changes\":[],\"time\":\"\",\"t\\u0069me\":\"\"}", WB_REJECT_BAD_JSON, "BTC-USD");
  rejects(SNAPSHOT("", "],\"bids\":["), WB_REJECT_BAD_JSON, "BTC-USD");
  says(HEAD "\"changes\":[],\"x\":1,\"x\":2,\"bids\":1,\"bids\":2}", "update BTC-USD");
}

Test(exchange, a_book_message_lacking_a_field_is_rejected) {
  rejects("{\"type\":\"l2update\",\"changes\":[]}", WB_REJECT_MISSING_FIELD, NULL);
  rejects("{\"type\":\"l2update\",\"product_id\":\"BTC-USD\"}", WB_REJECT_MISSING_FIELD, "BTC-USD");
  rejects("{\"type\":\"snapshot\",\"bids\":[],\"asks\":[]}", WB_REJECT_MISSING_FIELD, NULL);
  rejects("{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":[]}", WB_REJECT_MISSING_FIELD, "BTC-USD");
  rejects("{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[]}", WB_REJECT_MISSING_FIELD, "BTC-USD");
}

Test(exchange, a_field_of_another_type_is_rejected) {
  static const char *const changes[] = {"1",
                                        "\"x\"",
                                        "{}",
                                        "null",
                                        "[]",
                                        "[\"buy\",\"1\"]",
                                        "[\"buy\",\"1\",\"2\",\"3\"]",
                                        "[\"buy\",1,\"2\"]",
                                        "[\"buy\",\"1\",2]",
                                        "[\"buy\",\"1\",null]",
                                        "[1,\"1\",\"2\"]",
                                        "[\"buy\",[\"1\"],\"2\"]",
                                        "[\"buy\",\"1\",\"2\"],1"};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    char text[256];
    sprintf(text, UPDATE("%s"), changes[i]);
    rejects(text, WB_REJECT_WRONG_TYPE, "BTC-USD");
  }
  rejects(HEAD "\"changes\":{}}", WB_REJECT_WRONG_TYPE, "BTC-USD");
  rejects(HEAD "\"changes\":null}", WB_REJECT_WRONG_TYPE, "BTC-USD");
  rejects("{\"type\":\"l2update\",\"product_id\":7,\"changes\":[]}", WB_REJECT_WRONG_TYPE, NULL);
  rejects("{\"type\":\"l2update\",\"product_id\":null,\"changes\":[]}", WB_REJECT_WRONG_TYPE, NULL);
  rejects(SNAPSHOT("[\"1\"]", ""), WB_REJECT_WRONG_TYPE, "BTC-USD");
  rejects(SNAPSHOT("", "[\"1\",\"2\",\"3\"]"), WB_REJECT_WRONG_TYPE, "BTC-USD");
  rejects(SNAPSHOT("", "[\"1\",2]"), WB_REJECT_WRONG_TYPE, "BTC-USD");
  rejects(SNAPSHOT("1", ""), WB_REJECT_WRONG_TYPE, "BTC-USD");
  rejects("{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":{},\"asks\":[]}", WB_REJECT_WRONG_TYPE, "BTC-USD");
  rejects(TIMED("1"), WB_REJECT_WRONG_TYPE, "BTC-USD");
  rejects(TIMED("null"), WB_REJECT_WRONG_TYPE, "BTC-USD");
}

Test(exchange, a_text_that_is_no_number_of_the_feed_is_rejected_as_price_and_as_size) {
  static const char *const numbers[] = {"",
                                        " ",
                                        "-1",
                                        "+1",
                                        "1e5",
                                        "1E5",
                                        "NaN",
                                        "inf",
                                        "0x1",
                                        ".5",
                                        "5.",
                                        ".",
                                        "1.2.3",
                                        "1,5",
                                        "1 ",
                                        " 1",
                                        "00",
                                        "01",
                                        "007.5",
                                        "0.-10000",
                                        "1_0",
                                        "0.0000000000000000000000000000000000000001",
                                        "10000000000000000000000000000000000000000",
                                        "\\u0000",
                                        "1\\n",
                                        "\\ud835\\udfd9"};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    char text[256];
    sprintf(text, CHANGE("%s", "1"), numbers[i]);
    rejects(text, WB_REJECT_BAD_NUMBER, "BTC-USD");
    sprintf(text, CHANGE("1", "%s"), numbers[i]);
    rejects(text, WB_REJECT_BAD_NUMBER, "BTC-USD");
    sprintf(text, SNAPSHOT("[\"%s\",\"1\"]", ""), numbers[i]);
    rejects(text, WB_REJECT_BAD_NUMBER, "BTC-USD");
    sprintf(text, SNAPSHOT("[\"1\",\"1\"]", "[\"1\",\"%s\"]"), numbers[i]);
    rejects(text, WB_REJECT_BAD_NUMBER, "BTC-USD");
  }
  rejects(CHANGE("0", "1"), WB_REJECT_BAD_NUMBER, "BTC-USD");
  rejects(CHANGE("0.00", "1"), WB_REJECT_BAD_NUMBER, "BTC-USD");
  rejects(SNAPSHOT("[\"0.00000000\",\"1\"]", ""), WB_REJECT_BAD_NUMBER, "BTC-USD");
}

Test(exchange, a_number_that_no_scale_holds_is_rejected_and_leaves_the_scale_alone) {
  rejects(CHANGE("46116860184.27387904", "1"), WB_REJECT_NUMBER_RANGE, "BTC-USD");
  rejects(CHANGE("1", "99999999999999999999"), WB_REJECT_NUMBER_RANGE, "BTC-USD");
  rejects(CHANGE("1", "0.0000000000000000001"), WB_REJECT_NUMBER_RANGE, "BTC-USD");
  rejects(UPDATE("[\"buy\",\"1\",\"0.000000001\"],[\"buy\",\"1\",\"9999999999\"]"), WB_REJECT_NUMBER_RANGE, "BTC-USD");
  rejects(SNAPSHOT("[\"1\",\"0.000000001\"]", "[\"1\",\"9999999999\"]"), WB_REJECT_NUMBER_RANGE, "BTC-USD");
  rejects(SNAPSHOT("[\"1\",\"4611686018427387904\"]", ""), WB_REJECT_NUMBER_RANGE, "BTC-USD");
  says(CHANGE("46116860184.27387903", "1.5"), "update BTC-USD bid:4611686018427387903:150000000");
}

Test(exchange, another_side_than_buy_and_sell_is_rejected) {
  static const char *const sides[] = {"", "bid", "Buy", "BUY", "buy ", "sells", "buyy", "offer", "\\ud800"};
  for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
    char text[256];
    sprintf(text, UPDATE("[\"%s\",\"1\",\"2\"]"), sides[i]);
    rejects(text, WB_REJECT_UNKNOWN_SIDE, "BTC-USD");
  }
}

Test(exchange, a_product_not_asked_for_is_rejected) {
  static const char *const ids[] = {
      "", "XRP-USD", "btc-usd", "BTC-USD ", "BTC-US", "BTC-USD\\u0000", "THIRTY-ONE-CHARACTERS-ID.OF_0-XY", "\\ud800"};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    char text[256];
    sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"buy\",\"1\",\"2\"]]}", ids[i]);
    rejects(text, WB_REJECT_UNKNOWN_PRODUCT, NULL);
    sprintf(text, "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"bids\":[],\"asks\":[]}", ids[i]);
    rejects(text, WB_REJECT_UNKNOWN_PRODUCT, NULL);
    sprintf(text, "{\"type\":\"heartbeat\",\"product_id\":\"%s\",\"sequence\":1,\"last_trade_id\":1}", ids[i]);
    rejects(text, WB_REJECT_UNKNOWN_PRODUCT, NULL);
  }
}

Test(exchange, a_time_that_is_none_is_rejected_and_no_time_is_legal) {
  static const char *const times[] = {"yesterday",
                                      "2026-08-02",
                                      "2026-08-02T05:43:52",
                                      "2026-08-02T05:43:52.535977+00:00",
                                      "2026-02-29T05:43:52.535977Z",
                                      "2026-08-02T25:43:52.535977Z",
                                      "2026-08-02T05:43:60.535977Z",
                                      "2026-08-02T05:43:52.5359770000Z",
                                      "2026-08-02T05:43:52.53597xZ",
                                      "9999-08-02T05:43:52.535977Z"};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    char text[256];
    sprintf(text, TIMED("\"%s\""), times[i]);
    rejects(text, WB_REJECT_BAD_TIME, "BTC-USD");
  }
  says(TIMED("\"\""), "update BTC-USD bid:100000000:200000000");
  says(TIMED("\"0001-01-01T00:00:00.000000Z\""), "update BTC-USD bid:100000000:200000000");
  says(TIMED("\"2026-08-02T05:43:52.535977Z\""), "update BTC-USD at 1785649432535977000 bid:100000000:200000000");
  says(TIMED("\"2026-08-02T05:43:53.000001Z\""), "update BTC-USD at 1785649433000001000 bid:100000000:200000000");
  says(TIMED("\"2026-08-02T05:43:52Z\""), "update BTC-USD at 1785649432000000000 bid:100000000:200000000");
  says(TIMED("\"2026-08-02T05:44:52.999999Z\""), "update BTC-USD at 1785649492999999000 bid:100000000:200000000");
  says(TIMED("\"2026-08-02T05:43:52.123456789Z\""), "update BTC-USD at 1785649432123456789 bid:100000000:200000000");
}

Test(exchange, key_order_white_space_escapes_and_unknown_keys_change_nothing) {
  static const char want[] = "update BTC-USD at 1785649432535977000 bid:150000000:0 ask:200000000:25000000";
  says(HEAD "\"changes\":[[\"buy\",\"1.5\",\"0.00\"],[\"sell\",\"2\",\"0.25\"]],\"time\":\"2026-08-02T05:43:52.535977Z\"}",
       want);
  says(" { \"type\" : \"l2update\", \"product_id\" : \"BTC-USD\", \"changes\" : [ [ \"buy\" , \"1.5\" , \"0.00\" ] , "
       "[\"sell\", \"2\", "
       "\"0.25\"] ], \"time\": \"2026-08-02T05:43:52.535977Z\" }\r\n",
       want);
  says("{\"time\":\"2026-08-02T05:43:52.535977Z\",\"changes\":[[\"buy\",\"1.5\",\"0.00\"],[\"sell\",\"2\",\"0.25\"]],"
       "\"product_id\":\"BTC-USD\",\"type\":\"l2update\"}",
       want);
  says("{\"a\":-0,\"b\":1e5,\"c\":[[[]],{\"changes\":[],\"type\":\"snapshot\"}],\"d\":\"\\u0000\\ud800\",\"e\":{\"time\":1},"
       "\"t\\u0079pe\":"
       "\"\\u006c2update\",\"product_id\":\"BTC\\u002dUSD\",\"\xe2\x82\xac\":\"\xf0\x9f\x98\x80\",\"ch\\u0061nges\":[["
       "\"b\\u0075y\","
       "\"1\\u002e5\",\"0.0\\u0030\"],[\"sell\",\"\\u0032\",\"0.25\"]],\"time\":\"2026-08-02T05:43:52.535977\\u005a\",\"z\":"
       "null}",
       want);
}

Test(exchange, empty_changes_and_empty_sides_and_sizes_of_zero_are_legal) {
  says(UPDATE(""), "update BTC-USD");
  says(SNAPSHOT("", ""), "snapshot BTC-USD");
  says(SNAPSHOT("[\"1\",\"0\"]", ""), "snapshot BTC-USD bid:100000000:0");
  says(SNAPSHOT("", "[\"1\",\"0.00000000\"],[\"2\",\"3\"]"), "snapshot BTC-USD ask:100000000:0 ask:200000000:300000000");
}

Test(exchange, an_update_that_needs_finer_units_widens_first) {
  says(CHANGE("1", "0.5"), "update BTC-USD bid:100000000:50000000");
  says(CHANGE("1", "0.123456789"), "scale BTC-USD 8 9\nupdate BTC-USD bid:100000000:123456789");
  says(CHANGE("1", "0.5"), "update BTC-USD bid:100000000:500000000");
  says(CHANGE("0.00000000012", "0.5"), "scale BTC-USD 11 9\nupdate BTC-USD bid:12:500000000");
  says("{\"type\":\"l2update\",\"product_id\":\"ETH-USD\",\"changes\":[[\"buy\",\"1\",\"1\"]]}",
       "update ETH-USD bid:100000000:100000000");
  says(CHANGE("1.000000000000000000", "0.5000000000"), "update BTC-USD bid:100000000000:500000000");
}

Test(exchange, a_snapshot_that_does_not_fit_chooses_the_fewest_decimals_but_the_default_where_that_will_do) {
  says(SNAPSHOT("[\"1\",\"0.123456789\"]", "[\"2\",\"1\"]"),
       "scale BTC-USD 8 9\nsnapshot BTC-USD bid:100000000:123456789 ask:200000000:1000000000");
  says(SNAPSHOT("[\"1\",\"0.5\"]", ""), "snapshot BTC-USD bid:100000000:500000000");
  says(SNAPSHOT("[\"1\",\"9999999999.5\"]", ""), "scale BTC-USD 8 8\nsnapshot BTC-USD bid:100000000:999999999950000000");
  says(SNAPSHOT("[\"1\",\"100000000000.25\"]", "[\"3\",\"0.1\"]"),
       "scale BTC-USD 8 2\nsnapshot BTC-USD bid:100000000:10000000000025 ask:300000000:10");
  says(CHANGE("1", "0.001"), "scale BTC-USD 8 3\nupdate BTC-USD bid:100000000:1");
  says(SNAPSHOT("[\"1\",\"0.00000001\"]", ""), "scale BTC-USD 8 8\nsnapshot BTC-USD bid:100000000:1");
}

Test(exchange, a_rejected_message_leaves_the_scale_as_it_was) {
  rejects(UPDATE("[\"buy\",\"1\",\"0.123456789\"],[\"buy\",\"1\",\"x\"]"), WB_REJECT_BAD_NUMBER, "BTC-USD");
  rejects(SNAPSHOT("[\"1\",\"0.123456789\"]", "[\"1\"]"), WB_REJECT_WRONG_TYPE, "BTC-USD");
  says(CHANGE("1", "0.5"), "update BTC-USD bid:100000000:50000000");
}

#define BEAT(sequence, trade)                                                                                                  \
  "{\"type\":\"heartbeat\",\"sequence\":" sequence ",\"last_trade_id\":" trade                                                 \
  ",\"product_id\":\"ETH-USD\",\"time\":\"2026-08-02T05:43:52.535977Z\"}"

Test(exchange, a_heartbeat_carries_its_two_numbers) {
  says(BEAT("90", "20"), "heartbeat ETH-USD at 1785649432535977000 sequence 90 trade 20");
  says(BEAT("18446744073709551615", "0"), "heartbeat ETH-USD at 1785649432535977000 sequence 18446744073709551615 trade 0");
  says("{\"type\":\"heartbeat\",\"sequence\":1,\"last_trade_id\":2,\"product_id\":\"A\"}", "heartbeat A sequence 1 trade 2");
  rejects(BEAT("18446744073709551616", "0"), WB_REJECT_NUMBER_RANGE, "ETH-USD");
  rejects(BEAT("184467440737095516150", "0"), WB_REJECT_NUMBER_RANGE, "ETH-USD");
  rejects(BEAT("-1", "0"), WB_REJECT_BAD_NUMBER, "ETH-USD");
  rejects(BEAT("1.0", "0"), WB_REJECT_BAD_NUMBER, "ETH-USD");
  rejects(BEAT("1", "1e3"), WB_REJECT_BAD_NUMBER, "ETH-USD");
  rejects(BEAT("\"1\"", "0"), WB_REJECT_WRONG_TYPE, "ETH-USD");
  rejects(BEAT("1", "null"), WB_REJECT_WRONG_TYPE, "ETH-USD");
  rejects("{\"type\":\"heartbeat\",\"last_trade_id\":1,\"product_id\":\"ETH-USD\"}", WB_REJECT_MISSING_FIELD, "ETH-USD");
  rejects("{\"type\":\"heartbeat\",\"sequence\":1,\"product_id\":\"ETH-USD\"}", WB_REJECT_MISSING_FIELD, "ETH-USD");
  rejects("{\"type\":\"heartbeat\",\"sequence\":1,\"last_trade_id\":1}", WB_REJECT_MISSING_FIELD, NULL);
  rejects("{\"type\":\"heartbeat\",\"sequence\":1,\"last_trade_id\":1,\"product_id\":\"A\",\"time\":\"x\"}", WB_REJECT_BAD_TIME,
          "A");
}

#define ACK(channels) "{\"type\":\"subscriptions\",\"channels\":[" channels "]}"

Test(exchange, an_acknowledgement_names_each_known_product_of_its_level_2_channels_once) {
  says(ACK("{\"name\":\"level2_50\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"],\"account_ids\":null},{\"name\":\"heartbeat\","
           "\"product_ids\":[\"A\"]}"),
       "subscriptions BTC-USD first\nsubscriptions ETH-USD last");
  says(ACK("{\"product_ids\":[\"A\",\"XRP-USD\",\"A\"],\"name\":\"level2\"},\"status\",{\"name\":\"level2_batch\",\"product_"
           "ids\":[\"A\",\"YFI-USD\"]}"),
       "subscriptions A first\nsubscriptions YFI-USD last");
  says(ACK("{\"name\":\"level2_batch\",\"product_ids\":[\"A\"]}"), "subscriptions A");
  says(ACK("{\"name\":\"level2_batch\",\"product_ids\":[\"A\"]}"), "subscriptions A");
  says(ACK("{\"name\":\"level2_batch\",\"product_ids\":[\"XRP-USD\"]},{\"name\":\"ticker\",\"product_ids\":7}"),
       "subscriptions -");
  says(ACK("{\"name\":\"level2_batch\",\"product_ids\":null},{\"name\":\"level2\"}"), "subscriptions -");
  says(ACK(""), "subscriptions -");
  says("{\"type\":\"subscriptions\",\"channels\":null}", "subscriptions -");
}

Test(exchange, an_acknowledgement_of_another_shape_is_rejected) {
  rejects("{\"type\":\"subscriptions\"}", WB_REJECT_MISSING_FIELD, NULL);
  rejects("{\"type\":\"subscriptions\",\"channels\":{}}", WB_REJECT_WRONG_TYPE, NULL);
  rejects(ACK("1"), WB_REJECT_WRONG_TYPE, NULL);
  rejects(ACK("{\"product_ids\":[]}"), WB_REJECT_MISSING_FIELD, NULL);
  rejects(ACK("{\"name\":1,\"product_ids\":[]}"), WB_REJECT_WRONG_TYPE, NULL);
  rejects(ACK("{\"name\":\"level2\",\"product_ids\":\"A\"}"), WB_REJECT_WRONG_TYPE, NULL);
  rejects(ACK("{\"name\":\"level2\",\"product_ids\":[\"A\",1]}"), WB_REJECT_WRONG_TYPE, NULL);
  rejects(ACK("{\"name\":\"level2\",\"name\":\"level2\",\"product_ids\":[\"A\"]}"), WB_REJECT_BAD_JSON, NULL);
}

Test(exchange, errors_are_said_what_others_read_is_passed_by_and_every_other_type_is_unknown) {
  says("{\"type\":\"error\",\"message\":\"Failed to subscribe\",\"reason\":\"ETH-USD is not a valid product\"}", "error -");
  says("{\"type\":\"open\",\"product_id\":\"ETH-USD\",\"price\":1,\"time\":\"never\"}", "ignored ETH-USD");
  says("{\"type\":\"done\",\"product_id\":\"XRP-USD\",\"time\":7,\"time\":8}", "ignored -");
  says("{\"type\":\"\"}", "unknown -");
  says("{\"type\":\"snapshots\",\"product_id\":\"ETH-USD\"}", "unknown ETH-USD");
  says("{\"type\":\"l2update\\u0000\"}", "unknown -");
}

Test(exchange, subscribe_writes_channels_and_products_and_says_when_there_is_no_room) {
  static const uint16_t index[] = {1, 0, 2};
  static const char want[] =
      "{\"type\":\"subscribe\",\"channels\":[{\"name\":\"level2_batch\",\"product_ids\":[\"ETH-USD\",\"BTC-USD\"]},"
      "{\"name\":\"heartbeat\",\"product_ids\":[\"ETH-USD\",\"BTC-USD\"]}]}";
  char text[512];
  const wb_codec *codec = &wb_codec_coinbase_exchange;
  cr_assert_eq(codec->subscribe(&all.products, codec->channels, index, 2, false, text, sizeof text), (int)strlen(want));
  cr_assert_str_eq(text, want);
  cr_assert_eq(codec->subscribe(&all.products, codec->channels, index, 2, false, text, sizeof want), (int)strlen(want));
  for (size_t size = 0; size < sizeof want; size++) {
    char *exact = malloc(size ? size : 1);
    cr_assert_eq(codec->subscribe(&all.products, codec->channels, index, 2, false, exact, size), WB_E_LIMIT);
    free(exact);
  }
  static const char *const unlisted[] = {"status", "ticker", NULL};
  codec->subscribe(&all.products, unlisted, index, 1, false, text, sizeof text);
  cr_assert_str_eq(
      text,
      "{\"type\":\"subscribe\",\"channels\":[{\"name\":\"status\"},{\"name\":\"ticker\",\"product_ids\":[\"ETH-USD\"]}]}");
  static const char *const one[] = {"level2", NULL};
  cr_assert_gt(codec->subscribe(&all.products, one, index + 2, 1, true, text, sizeof text), 0);
  cr_assert_str_eq(text, "{\"type\":\"unsubscribe\",\"channels\":[{\"name\":\"level2\",\"product_ids\":[\"BTC-PERP-INTX\"]}]}");
  says(text, "unknown -");
}
