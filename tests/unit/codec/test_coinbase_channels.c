/* The channels beside level 2, of both dialects: what each message says, what it may leave out, and what breaks it. */
#include <criterion/criterion.h>

#include "tests/unit/codec/advanced.h"
#include "tests/unit/random.h"

static roads all;
static advanced both;
static void setup(void) {
  roads_init(&all);
  advanced_init(&both);
}
static void teardown(void) {
  roads_fini(&all);
  advanced_fini(&both);
}
TestSuite(channels, .init = setup, .fini = teardown);

/* Of the dialect that the text is in, on all its roads. Advanced frames each begin a connection. */
static const capture *decode(const char *text) {
  bool other = strstr(text, "\"channel\"") != NULL;
  if (other) cr_assert_null(advanced_decode(&both, WB_FRAME_CONNECT, "{}", 2, 0));
  const char *broken =
      other ? advanced_decode(&both, WB_FRAME_TEXT, text, strlen(text), '"') : roads_decode(&all, text, strlen(text), '"');
  cr_assert_null(broken, "%s: %s", broken, text);
  return other ? &both.got[1] : &all.got[0];
}

static void says(const char *text, const char *want) {
  char got[4096];
  const capture *said = decode(text);
  size_t used = 0;
  for (unsigned i = 0; i < said->count; i++) {
    if (i) got[used++] = '\n';
    used += capture_print(said, i, got + used, sizeof got - used);
  }
  cr_assert_str_eq(got, want, "%s\nwant %s\ngot  %s", text, want, got);
}

/* Refused, alone, and so that no book becomes suspect. */
static void refused(const char *text, wb_reject reason) {
  const capture *said = decode(text);
  const wb_message *message = said->message[0];
  cr_assert_eq(said->count, 1, "%s", text);
  cr_assert_eq(message->kind, WB_MESSAGE_REJECT, "%s", text);
  cr_assert_eq(message->u.reject.reason, reason, "%s: %s", text, wb_reject_name((wb_reject)message->u.reject.reason));
  cr_assert_eq(message->u.reject.harmless, 1, "%s", text);
  cr_assert_leq(message->u.reject.offset, strlen(text));
}

typedef struct fault {
  const char *text;
  wb_reject reason;
} fault;

static void all_refused(const fault *faults, unsigned count) {
  for (unsigned i = 0; i < count; i++) refused(faults[i].text, faults[i].reason);
}
#define ALL_REFUSED(faults) all_refused(faults, sizeof faults / sizeof *faults)

/* ------------------------------------------------------------------------------------------------ tickers */

#define BEST "\"best_bid\":\"1\",\"best_bid_size\":\"2\",\"best_ask\":\"3\",\"best_ask_size\":\"4\""
#define TICKER(more) "{\"type\":\"ticker\",\"sequence\":9,\"product_id\":\"ETH-USD\"," BEST more "}"
#define TOUCH "ticker ETH-USD sequence 9 bid:100000000:200000000 ask:300000000:400000000"

Test(channels, a_ticker_says_the_last_trade_as_its_taker_saw_it) {
  says(TICKER(",\"price\":\"1.50\",\"last_size\":\"7\",\"trade_id\":18446744073709551615,\"side\":\"buy\""),
       TOUCH " units 1 0 last 15 bought 7 trade 18446744073709551615");
  says(TICKER(",\"price\":\"2\",\"last_size\":\"0.5\",\"trade_id\":0,\"side\":\"sell\""),
       TOUCH " units 0 1 last 2 sold 5 trade 0");
}

Test(channels, a_products_first_ticker_may_lack_its_trade_or_part_of_it) {
  says(TICKER(""), TOUCH);
  says(TICKER(",\"price\":null,\"last_size\":null,\"trade_id\":null,\"side\":null"), TOUCH);
  says(TICKER(",\"price\":\"5\""), TOUCH " last 5");
  says(TICKER(",\"price\":\"5\",\"last_size\":\"1\",\"trade_id\":7"), TOUCH " last 5");
  says(TICKER(",\"price\":\"5\",\"last_size\":\"1\",\"side\":\"buy\""), TOUCH " last 5");
  says(TICKER(",\"price\":\"5\",\"trade_id\":7,\"side\":\"sell\""), TOUCH " last 5");
}

Test(channels, statistics_of_a_ticker_are_exact_in_the_fewest_decimals_that_hold_them) {
  says(TICKER(",\"open_24h\":\"1.10\",\"low_24h\":\"1.125\",\"high_24h\":\"2\",\"volume_24h\":\"0.00\",\"volume_30d\":\"3.5\""),
       TOUCH " units 3 1 open_24h 1100 low_24h 1125 high_24h 2000 volume_24h 0 volume_30d 35");
  says(TICKER(",\"volume_30d\":\"4611686018427387903\""), TOUCH " volume_30d 4611686018427387903");
}

Test(channels, a_number_that_no_units_hold_beside_the_others_is_left_out_and_costs_no_other) {
  says(TICKER(",\"volume_24h\":\"0.00000001\",\"volume_30d\":\"46116860184.27387904\""), TOUCH " units 0 8 volume_24h 1");
  says(TICKER(",\"volume_24h\":\"0.00000001\",\"volume_30d\":\"46116860184.27387903\""),
       TOUCH " units 0 8 volume_24h 1 volume_30d 4611686018427387903");
  says(TICKER(",\"volume_24h\":\"1\",\"volume_30d\":\"0.0000000000000000001\""), TOUCH " volume_24h 1");
  says(TICKER(",\"price\":\"99999999999999999999\",\"low_24h\":\"1\""), TOUCH " low_24h 1");
  says(TICKER(",\"price\":\"5\",\"last_size\":\"99999999999999999999\",\"trade_id\":7,\"side\":\"sell\""), TOUCH " last 5");
}

Test(channels, a_ticker_whose_rest_breaks_the_schema_is_refused) {
  static const fault faults[] = {
      {TICKER(",\"price\":7"), WB_REJECT_WRONG_TYPE},
      {TICKER(",\"price\":\"-7\""), WB_REJECT_BAD_NUMBER},
      {TICKER(",\"price\":\"\""), WB_REJECT_BAD_NUMBER},
      {TICKER(",\"last_size\":\"1e3\""), WB_REJECT_BAD_NUMBER},
      {TICKER(",\"open_24h\":true"), WB_REJECT_WRONG_TYPE},
      {TICKER(",\"low_24h\":\"NaN\""), WB_REJECT_BAD_NUMBER},
      {TICKER(",\"high_24h\":\"01\""), WB_REJECT_BAD_NUMBER},
      {TICKER(",\"volume_24h\":\".5\""), WB_REJECT_BAD_NUMBER},
      {TICKER(",\"volume_30d\":[]"), WB_REJECT_WRONG_TYPE},
      {TICKER(",\"volume_30d\":\"00000000000000000000000000000000000000001\""), WB_REJECT_BAD_NUMBER},
      {TICKER(",\"trade_id\":\"7\""), WB_REJECT_WRONG_TYPE},
      {TICKER(",\"trade_id\":-7"), WB_REJECT_BAD_NUMBER},
      {TICKER(",\"trade_id\":18446744073709551616"), WB_REJECT_NUMBER_RANGE},
      {TICKER(",\"side\":\"BUY\""), WB_REJECT_UNKNOWN_SIDE},
      {TICKER(",\"side\":1"), WB_REJECT_WRONG_TYPE},
      {TICKER(",\"price\":\"1\",\"price\":\"1\""), WB_REJECT_BAD_JSON},
      {TICKER(",\"price\":\"1\",\"price\":null"), WB_REJECT_BAD_JSON},
      {TICKER(",\"side\":null,\"side\":null"), WB_REJECT_BAD_JSON},
      {TICKER(",\"time\":\"yesterday\""), WB_REJECT_BAD_TIME},
  };
  ALL_REFUSED(faults);
}

Test(channels, a_ticker_or_a_trade_is_the_same_wherever_its_type_and_its_keys_stand) {
  static const char ticker[] = TOUCH " units 1 0 last 15 bought 7 trade 8";
  static const char trade[] = "trade ETH-USD past sequence 9 trade 8 ask:100000000:200000000";
#define REST ",\"price\":\"1.5\",\"last_size\":\"7\",\"trade_id\":8,\"side\":\"buy\""
  says(TICKER(REST), ticker);
  says("{\"sequence\":9,\"product_id\":\"ETH-USD\"," BEST REST ",\"type\":\"ticker\"}", ticker);
  says("{\"type\":\"t\\u0069cker\",\"sequence\":9,\"product_id\":\"ETH-USD\"," BEST REST "}", ticker);
  says(
      "{ \"type\" : \"ticker\" , \"x\":{\"price\":1,\"type\":2}, \"sequence\" : 9 , \"product_\\u0069d\":\"ETH-USD\"," BEST REST
      "}",
      ticker);
#define PAST "\"price\":\"1\",\"size\":\"2\",\"side\":\"sell\",\"trade_id\":8,\"product_id\":\"ETH-USD\",\"sequence\":9"
  says("{\"type\":\"last_match\"," PAST "}", trade);
  says("{" PAST ",\"type\":\"last_match\"}", trade);
  says("{\"type\" :\"last_match\"," PAST "}", trade);
  says("{\"type\":\"last_mat\"," PAST "}", "unknown ETH-USD");
  says("{\"type\":\"match\",\"z\":1," PAST "}", "trade ETH-USD sequence 9 trade 8 ask:100000000:200000000");
}

/* ------------------------------------------------------------------------------------------------ status */

#define ROW(id, more) "{\"id\":\"" id "\",\"base_increment\":\"0.001\",\"quote_increment\":\"0.25\"" more "}"
#define STATUS(rows) "{\"type\":\"status\",\"products\":[" rows "],\"currencies\":[{\"id\":\"USD\",\"min_size\":0.01}]}"

Test(channels, status_is_a_message_for_each_known_product_and_counts_the_others) {
  says(STATUS(ROW("ETH-USD", "") "," ROW("XRP-USD", "") "," ROW("A", ",\"status\":\"delisted\",\"min_market_funds\":\"1.5\"")),
       "status ETH-USD status 0 type 0 flags 0 funds 0 units 2 3 25:1 0:0\n"
       "status A status 4 type 0 flags 0 funds 1 units 2 3 25:1 15:0\nstatus - ours 2 others 1");
  says("{\"products\":[],\"type\":\"status\"}", "status - ours 0 others 0");
}

Test(channels, a_row_of_a_product_that_nobody_asked_for_breaks_nothing) {
  says(STATUS("{\"id\":\"XRP-USD\"},{\"id\":\"A-PRODUCT-WHOSE-NAME-IS-TOO-LONG-FOR-ANY-TABLE\"}," ROW("A", "")),
       "status A status 0 type 0 flags 0 funds 0 units 2 3 25:1 0:0\nstatus - ours 1 others 2");
}

Test(channels, a_row_of_a_known_product_that_breaks_the_schema_refuses_the_whole_status) {
  static const fault faults[] = {
      {"{\"type\":\"status\"}", WB_REJECT_MISSING_FIELD},
      {"{\"type\":\"status\",\"products\":null}", WB_REJECT_WRONG_TYPE},
      {"{\"type\":\"status\",\"products\":[],\"products\":[]}", WB_REJECT_BAD_JSON},
      {STATUS("7"), WB_REJECT_WRONG_TYPE},
      {STATUS("{}"), WB_REJECT_MISSING_FIELD},
      {STATUS("{\"id\":7}"), WB_REJECT_WRONG_TYPE},
      {STATUS(ROW("A", "") "," ROW("ETH-USD", ",\"status\":7")), WB_REJECT_WRONG_TYPE},
      {STATUS(ROW("A", "") ",{\"id\":\"ETH-USD\",\"base_increment\":\"1\"}"), WB_REJECT_MISSING_FIELD},
      {STATUS(ROW("A", ",\"min_market_funds\":\"x\"")), WB_REJECT_BAD_NUMBER},
      {STATUS(ROW("A", ",\"id\":\"A\"")), WB_REJECT_BAD_JSON},
  };
  ALL_REFUSED(faults);
  refused(STATUS(ROW("A", "") "," ROW("ETH-USD", ",\"status\":7")), WB_REJECT_WRONG_TYPE);
  cr_assert_eq(all.got[0].message[0]->product, 1);
}

/* ------------------------------------------------------------------------------------------------ auctions and requests for quote */

#define AUCTION(more) "{\"type\":\"auction\",\"product_id\":\"ETH-USD\",\"sequence\":3," more "}"

Test(channels, an_auction_says_its_state_its_touch_and_where_it_would_open) {
  says(AUCTION("\"auction_state\":\"collection\""),
       "auction ETH-USD sequence 3 state 1 open 0 units 0 0 bid:0:0 ask:0:0 bid:0:0");
  says(AUCTION(
           "\"auction_state\":\"opening\",\"can_open\":\"yes\",\"open_price\":\"1.25\",\"open_size\":\"3\",\"best_ask_price\":"
           "\"2\",\"best_ask_size\":\"0.5\",\"best_bid_price\":null,\"timestamp\":\"1970-01-01T00:00:01Z\""),
       "auction ETH-USD at 1000000000 sequence 3 state 2 open 1 units 2 1 bid:0:0 ask:200:5 bid:125:30");
  says(AUCTION("\"auction_state\":\"complete\",\"can_open\":\"no\""),
       "auction ETH-USD sequence 3 state 3 open 0 units 0 0 bid:0:0 ask:0:0 bid:0:0");
  says(AUCTION("\"auction_state\":\"somewhere\",\"can_open\":null"),
       "auction ETH-USD sequence 3 state 4 open 0 units 0 0 bid:0:0 ask:0:0 bid:0:0");
}

Test(channels, an_auction_that_breaks_the_schema_is_refused) {
  static const fault faults[] = {
      {"{\"type\":\"auction\"}", WB_REJECT_MISSING_FIELD},
      {"{\"type\":\"auction\",\"product_id\":\"XRP-USD\",\"sequence\":3,\"auction_state\":\"opening\"}",
       WB_REJECT_UNKNOWN_PRODUCT},
      {"{\"type\":\"auction\",\"product_id\":\"A\",\"auction_state\":\"opening\"}", WB_REJECT_MISSING_FIELD},
      {AUCTION("\"x\":1"), WB_REJECT_MISSING_FIELD},
      {AUCTION("\"auction_state\":null"), WB_REJECT_WRONG_TYPE},
      {AUCTION("\"auction_state\":\"opening\",\"can_open\":\"perhaps\""), WB_REJECT_WRONG_TYPE},
      {AUCTION("\"auction_state\":\"opening\",\"can_open\":true"), WB_REJECT_WRONG_TYPE},
      {AUCTION("\"auction_state\":\"opening\",\"open_price\":1"), WB_REJECT_WRONG_TYPE},
      {AUCTION("\"auction_state\":\"opening\",\"open_size\":\"-1\""), WB_REJECT_BAD_NUMBER},
      {AUCTION("\"auction_state\":\"opening\",\"timestamp\":\"1\""), WB_REJECT_BAD_TIME},
      {AUCTION("\"auction_state\":\"opening\",\"sequence\":3"), WB_REJECT_BAD_JSON},
  };
  ALL_REFUSED(faults);
}

#define RFQ(more) "{\"type\":\"rfq_match\",\"product_id\":\"ETH-USD\",\"trade_id\":4," more "}"

Test(channels, an_rfq_match_is_a_trade_beside_the_book_and_widens_nothing) {
  says(RFQ("\"price\":\"1.0000000005\",\"size\":\"0.000000001\",\"side\":\"sell\""),
       "rfq ETH-USD sequence 0 trade 4 units 10 9 ask:10000000005:1");
  says(RFQ("\"price\":\"2\",\"size\":\"0\",\"side\":\"buy\",\"sequence\":5"),
       "rfq ETH-USD sequence 5 trade 4 units 0 0 bid:2:0");
  cr_assert_eq(all.state[0]->product[1].price_decimals, WB_DECIMALS_DEFAULT);
}

Test(channels, an_rfq_match_that_breaks_the_schema_is_refused) {
  static const fault faults[] = {
      {"{\"type\":\"rfq_match\"}", WB_REJECT_MISSING_FIELD},
      {"{\"type\":\"rfq_match\",\"product_id\":\"A\",\"price\":\"1\",\"size\":\"1\",\"side\":\"buy\"}",
       WB_REJECT_MISSING_FIELD},
      {RFQ("\"size\":\"1\",\"side\":\"buy\""), WB_REJECT_MISSING_FIELD},
      {RFQ("\"price\":\"1\",\"side\":\"buy\""), WB_REJECT_MISSING_FIELD},
      {RFQ("\"price\":\"1\",\"size\":\"1\""), WB_REJECT_MISSING_FIELD},
      {RFQ("\"price\":null,\"size\":\"1\",\"side\":\"buy\""), WB_REJECT_WRONG_TYPE},
      {RFQ("\"price\":\"0.0\",\"size\":\"1\",\"side\":\"buy\""), WB_REJECT_BAD_NUMBER},
      {RFQ("\"price\":\"1\",\"size\":\"99999999999999999999\",\"side\":\"buy\""), WB_REJECT_NUMBER_RANGE},
      {RFQ("\"price\":\"0.0000000000000000001\",\"size\":\"1\",\"side\":\"buy\""), WB_REJECT_NUMBER_RANGE},
      {RFQ("\"price\":\"1\",\"size\":\"1\",\"side\":\"up\""), WB_REJECT_UNKNOWN_SIDE},
      {RFQ("\"price\":\"1\",\"size\":\"1\",\"side\":\"buy\",\"sequence\":\"5\""), WB_REJECT_WRONG_TYPE},
      {RFQ("\"price\":\"1\",\"size\":\"1\",\"side\":\"buy\",\"size\":\"1\""), WB_REJECT_BAD_JSON},
  };
  ALL_REFUSED(faults);
}

/* ------------------------------------------------------------------------------------------------ Advanced Trade */

#define ADVANCED(channel, events)                                                                                              \
  "{\"channel\":\"" channel "\",\"sequence_num\":0,\"timestamp\":\"1970-01-01T00:00:09Z\",\"events\":[" events "]}"
#define AT " at 9000000000"

Test(channels, a_heartbeat_of_a_connection_carries_its_counter_as_a_number_or_a_text) {
  says(ADVANCED("heartbeats", "{\"heartbeat_counter\":5}"), "heartbeat -" AT " sequence 0 counter 5");
  says(ADVANCED("heartbeats", "{\"heartbeat_counter\":\"5\",\"current_time\":null}"), "heartbeat -" AT " sequence 0 counter 5");
  says(ADVANCED("heartbeats",
                "{\"current_time\":\"1970-01-01 00:00:02.5 +0000 UTC m=+0.1\",\"heartbeat_counter\":18446744073709551615}"),
       "heartbeat - at 2500000000 sequence 0 counter 18446744073709551615");
  says(ADVANCED("heartbeats", "{\"heartbeat_counter\":1},{\"heartbeat_counter\":2}"),
       "heartbeat -" AT " sequence 0 counter 1\nheartbeat -" AT " sequence 0 counter 2");
}

#define CANDLE(more) "{\"candles\":[{\"start\":\"300\",\"product_id\":\"ETH-USD\"," more "}]}"
#define OHLC "\"open\":\"1\",\"high\":\"2.5\",\"low\":\"0.75\",\"close\":\"2\""

Test(channels, a_candle_is_exact_in_units_of_its_own_and_flagged_where_it_is_past) {
  says(ADVANCED("candles", CANDLE(OHLC ",\"volume\":\"12345678901234567\"")),
       "candle ETH-USD" AT " sequence 0 start 300000000000 units 2 0 100:12345678901234567 250:0 75:0 200:0");
  says(ADVANCED("candles", "{\"type\":\"snapshot\",\"candles\":[{\"start\":\"9223372036\",\"product_id\":\"BAT-USD\"," OHLC
                           ",\"volume\":\"0.000\"}]}"),
       "candle BAT-USDC" AT " past sequence 0 start 9223372036000000000 units 2 0 100:0 250:0 75:0 200:0");
  says(ADVANCED("candles", "{\"candles\":[]}"), "ignored -");
}

Test(channels, a_ticker_without_best_prices_is_a_ticker_that_says_none) {
  says(ADVANCED("ticker_batch", "{\"tickers\":[{\"product_id\":\"ETH-USD\",\"price\":\"2\",\"volume_24_h\":null}]}"),
       "ticker ETH-USD" AT " sequence 0 no best last 2");
  says(ADVANCED("ticker",
                "{\"tickers\":[{\"product_id\":\"ETH-USD\",\"best_bid\":\"1\",\"best_ask\":\"2\",\"low_52_w\":\"0.5\","
                "\"high_52_w\":\"3\",\"price_percent_chg_24_h\":\"-1e-7\"}]}"),
       "ticker ETH-USD" AT " sequence 0 no sizes bid:100000000:0 ask:200000000:0 units 1 0 low_52w 5 high_52w 30");
}

Test(channels, trades_of_a_snapshot_are_past_and_those_of_an_update_are_not) {
#define TRADE "\"trades\":[{\"trade_id\":\"7\",\"product_id\":\"ETH-USD\",\"price\":\"1\",\"size\":\"2\",\"side\":\"BUY\"}]"
  says(ADVANCED("market_trades", "{\"type\":\"snapshot\"," TRADE "},{\"type\":\"update\"," TRADE "},{" TRADE "}"),
       "trade ETH-USD" AT " past sequence 0 trade 7 bid:100000000:200000000\n"
       "trade ETH-USD" AT " sequence 0 trade 7 bid:100000000:200000000\n"
       "trade ETH-USD" AT " sequence 0 trade 7 bid:100000000:200000000");
}

Test(channels, one_channel_of_two_names_is_one) {
  says(ADVANCED("subscriptions", "{\"subscriptions\":{\"level2\":[\"ETH-USD\"],\"l2_data\":[\"ETH-USD\",\"BTC-USD\"]}}"),
       "subscriptions ETH-USD first\nsubscriptions BTC-USD last");
  says(ADVANCED("subscriptions", "{\"subscriptions\":{\"l2_data\":[\"ETH-USD\"],\"level2\":null}}"), "subscriptions ETH-USD");
  says(ADVANCED("level2",
                "{\"type\":\"update\",\"product_id\":\"ETH-USD\",\"updates\":[{\"side\":\"bid\",\"price_level\":\"1\","
                "\"new_quantity\":\"2\"}]}"),
       "update ETH-USD" AT " bid:100000000:200000000");
  says("{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2_batch\",\"product_ids\":[\"A\"]},{\"name\":\"level2_50\","
       "\"product_ids\":[\"A\",\"ETH-USD\"]},{\"name\":\"ticker_1000\",\"product_ids\":[\"YFI-USD\"]}]}",
       "subscriptions A first\nsubscriptions ETH-USD last");
}

Test(channels, advanced_messages_that_break_the_schema_are_refused) {
  static const fault faults[] = {
      {"{\"channel\":\"heartbeats\",\"sequence_num\":0}", WB_REJECT_MISSING_FIELD},
      {"{\"channel\":\"ticker\",\"sequence_num\":0,\"events\":{}}", WB_REJECT_WRONG_TYPE},
      {ADVANCED("candles", "7"), WB_REJECT_WRONG_TYPE},
      {ADVANCED("heartbeats", "{}"), WB_REJECT_MISSING_FIELD},
      {ADVANCED("heartbeats", "{\"heartbeat_counter\":null}"), WB_REJECT_WRONG_TYPE},
      {ADVANCED("heartbeats", "{\"heartbeat_counter\":-1}"), WB_REJECT_BAD_NUMBER},
      {ADVANCED("heartbeats", "{\"heartbeat_counter\":\"x\"}"), WB_REJECT_BAD_NUMBER},
      {ADVANCED("heartbeats", "{\"heartbeat_counter\":\"0.5\"}"), WB_REJECT_NUMBER_RANGE},
      {ADVANCED("heartbeats", "{\"heartbeat_counter\":1,\"heartbeat_counter\":1}"), WB_REJECT_BAD_JSON},
      {ADVANCED("heartbeats", "{\"heartbeat_counter\":1,\"current_time\":7}"), WB_REJECT_WRONG_TYPE},
      {ADVANCED("heartbeats", "{\"heartbeat_counter\":1,\"current_time\":\"2026-09-07T01:58:00Z\"}"), WB_REJECT_BAD_TIME},
      {ADVANCED("candles", "{}"), WB_REJECT_MISSING_FIELD},
      {ADVANCED("candles", "{\"candles\":[7]}"), WB_REJECT_WRONG_TYPE},
      {ADVANCED("candles", "{\"candles\":[{\"start\":\"1\",\"product_id\":\"XYZ-USD\"}]}"), WB_REJECT_UNKNOWN_PRODUCT},
      {ADVANCED("candles", "{\"candles\":[{\"start\":1,\"product_id\":\"ETH-USD\"}]}"), WB_REJECT_WRONG_TYPE},
      {ADVANCED("candles", "{\"candles\":[{\"start\":\"9223372037\",\"product_id\":\"ETH-USD\"}]}"), WB_REJECT_NUMBER_RANGE},
      {ADVANCED("candles", "{\"candles\":[{\"start\":\"1.5\",\"product_id\":\"ETH-USD\"}]}"), WB_REJECT_NUMBER_RANGE},
      {ADVANCED("candles", CANDLE(OHLC)), WB_REJECT_MISSING_FIELD},
      {ADVANCED("candles", CANDLE("\"volume\":\"1\"")), WB_REJECT_MISSING_FIELD},
      {ADVANCED("candles", CANDLE(OHLC ",\"volume\":1")), WB_REJECT_WRONG_TYPE},
      {ADVANCED("candles", CANDLE(OHLC ",\"volume\":\"1\",\"low\":\"1\"")), WB_REJECT_BAD_JSON},
      {ADVANCED("candles", CANDLE("\"open\":\"0\",\"high\":\"1\",\"low\":\"1\",\"close\":\"1\",\"volume\":\"1\"")),
       WB_REJECT_BAD_NUMBER},
      {ADVANCED("candles", CANDLE(OHLC ",\"volume\":\"99999999999999999999\"")), WB_REJECT_NUMBER_RANGE},
      {ADVANCED("ticker", "{\"tickers\":[{\"product_id\":\"ETH-USD\",\"low_52_w\":1}]}"), WB_REJECT_WRONG_TYPE},
      {ADVANCED("ticker", "{\"tickers\":[{\"product_id\":\"ETH-USD\",\"price\":\"x\"}]}"), WB_REJECT_BAD_NUMBER},
      {ADVANCED("ticker_batch", "{\"tickers\":[{\"product_id\":\"ETH-USD\",\"best_bid\":\"1\"}]}"), WB_REJECT_MISSING_FIELD},
      {ADVANCED("market_trades", "{\"type\":\"snapshot\"}"), WB_REJECT_MISSING_FIELD},
      {ADVANCED("status", "{\"type\":\"snapshot\"}"), WB_REJECT_MISSING_FIELD},
      {ADVANCED("status", "{\"products\":[" ROW("ETH-USD", ",\"product_type\":1") "]}"), WB_REJECT_WRONG_TYPE},
  };
  ALL_REFUSED(faults);
}

Test(channels, unknown_channels_are_counted_by_themselves_and_private_ones_pass_by) {
  says(ADVANCED("weather", "7"), "unknown -");
  says("{\"channel\":\"weather\",\"sequence_num\":0}", "unknown -");
  says(ADVANCED("user", "{\"orders\":7}"), "ignored -");
  says(ADVANCED("futures_balance_summary", ""), "ignored -");
}

/* ------------------------------------------------------------------------------------------------ a slow reading */

/* A decimal of at most `places` places, as text, its value and how many places it needs. */
typedef struct number {
  char text[48];
  uint64_t digits;
  unsigned places;
} number;

static number any_number(unsigned places, uint64_t below) {
  number made = {.digits = 1 + next() % below, .places = (unsigned)(next() % (places + 1))};
  uint64_t unit = wb_pow10(made.places);
  int used = snprintf(made.text, sizeof made.text, "%llu", (unsigned long long)(made.digits / unit));
  if (made.places)
    used += snprintf(made.text + used, sizeof made.text - (size_t)used, ".%0*llu", (int)made.places,
                     (unsigned long long)(made.digits % unit));
  for (unsigned zeros = made.places ? (unsigned)(next() % 4) : 0; zeros; zeros--) made.text[used++] = '0';
  made.text[used] = 0;
  for (; made.places && made.digits % 10 == 0; made.places--) made.digits /= 10;
  return made;
}

static uint64_t in_units(number of, unsigned decimals) { return of.digits * wb_pow10(decimals - of.places); }

Test(channels, random_tickers_say_the_integers_that_their_texts_were_printed_from) {
  enum { FIELDS = 7 };
  static const struct {
    const char *name;
    uint8_t delta, size;
  } field[FIELDS] = {{"price", WB_TICKER_LAST, 0},        {"last_size", WB_TICKER_LAST, 1},
                     {"open_24h", WB_TICKER_OPEN_24H, 0}, {"low_24h", WB_TICKER_LOW_24H, 0},
                     {"high_24h", WB_TICKER_HIGH_24H, 0}, {"volume_24h", WB_TICKER_OPEN_24H, 1},
                     {"volume_30d", WB_TICKER_LOW_24H, 1}};
  seed();
  for (unsigned turn = 0; turn < 100000; turn++) {
    char part[FIELDS + 6][96], text[1600];
    number made[FIELDS];
    unsigned decimals[2] = {0}, parts = 0;
    uint32_t said = (uint32_t)next() & ((1u << FIELDS) - 1);
    uint64_t trade_id = next();
    bool sell = next() & 1;
    for (unsigned i = 0; i < FIELDS; i++) {
      made[i] = any_number(6, 1000000000000);
      if (!(said >> i & 1)) continue;
      if (made[i].places > decimals[field[i].size]) decimals[field[i].size] = made[i].places;
      snprintf(part[parts++], sizeof *part, "\"%s\":\"%.48s\"", field[i].name, made[i].text);
    }
    snprintf(part[parts++], sizeof *part, "\"trade_id\":%llu", (unsigned long long)trade_id);
    snprintf(part[parts++], sizeof *part, "\"side\":\"%s\"", sell ? "sell" : "buy");
    snprintf(part[parts++], sizeof *part, "\"product_id\":\"ETH-USD\"");
    snprintf(part[parts++], sizeof *part, "\"sequence\":%u", turn);
    snprintf(part[parts++], sizeof *part, "%s", BEST);
    for (unsigned i = parts; i > 1; i--) {
      unsigned other = (unsigned)(next() % i);
      char swap[sizeof *part];
      memcpy(swap, part[i - 1], sizeof swap);
      memcpy(part[i - 1], part[other], sizeof swap);
      memcpy(part[other], swap, sizeof swap);
    }
    unsigned type_at = next() & 1 ? 0 : (unsigned)(next() % (parts + 1));
    size_t used = (size_t)sprintf(text, "{");
    for (unsigned i = 0; i <= parts; i++) {
      if (i) used += (size_t)sprintf(text + used, ",%s", next() % 8 ? "" : " ");
      used += (size_t)sprintf(text + used, "%s", i == type_at ? "\"type\":\"ticker\"" : part[i - (i > type_at)]);
    }
    sprintf(text + used, "}");
    const capture *got = decode(text);
    cr_assert_eq(got->count, 1, "%s", text);
    const wb_message *m = got->message[0];
    cr_assert_eq(m->kind, WB_MESSAGE_TICKER, "%s", text);
    cr_assert_eq(m->u.ticker.sequence, turn);
    cr_assert(m->decimals[0] == decimals[0] && m->decimals[1] == decimals[1], "%s", text);
    for (unsigned i = 0; i < FIELDS; i++) {
      uint64_t is = field[i].size ? m->deltas[field[i].delta].size : m->deltas[field[i].delta].price;
      cr_assert_eq(is, said >> i & 1 ? in_units(made[i], decimals[field[i].size]) : 0, "%s of %s", field[i].name, text);
    }
    bool traded = said >> 1 & 1;
    cr_assert_eq((m->flags & WB_FLAG_TRADE) != 0, traded, "%s", text);
    cr_assert_eq(m->u.ticker.trade_id, traded ? trade_id : 0);
    cr_assert_eq(m->deltas[WB_TICKER_LAST].side, traded && sell ? WB_SIDE_ASK : WB_SIDE_BID);
  }
}

Test(channels, every_cut_of_a_message_of_any_channel_is_refused_and_says_nothing_else) {
  static const char *const texts[] = {
      TICKER(",\"price\":\"1.50\",\"last_size\":\"7\",\"trade_id\":1,\"side\":\"buy\",\"time\":\"1970-01-01T00:00:01Z\""),
      STATUS(ROW("ETH-USD", ",\"status\":\"online\"")),
      AUCTION("\"auction_state\":\"opening\",\"can_open\":\"yes\",\"open_price\":\"1.25\""),
      RFQ("\"price\":\"2\",\"size\":\"0\",\"side\":\"buy\",\"sequence\":5"),
      ADVANCED("heartbeats", "{\"current_time\":\"1970-01-01 00:00:02.5 +0000 UTC m=+0.1\",\"heartbeat_counter\":1}"),
      ADVANCED("candles", CANDLE(OHLC ",\"volume\":\"1\"")),
      ADVANCED("ticker_batch", "{\"tickers\":[{\"product_id\":\"ETH-USD\",\"price\":\"2\"}]}"),
      ADVANCED("market_trades", "{\"type\":\"snapshot\"," TRADE "}"),
      ADVANCED("status", "{\"products\":[" ROW("ETH-USD", "") "]}")};
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
    for (size_t bytes = 0; bytes < strlen(texts[i]); bytes++) {
      bool other = strstr(texts[i], "\"channel\"") != NULL;
      const char *broken =
          other ? advanced_decode(&both, WB_FRAME_TEXT, texts[i], bytes, '}') : roads_decode(&all, texts[i], bytes, '}');
      cr_assert_null(broken, "%s: %zu of %s", broken, bytes, texts[i]);
      const capture *got = other ? &both.got[1] : &all.got[0];
      cr_assert(got->count == 1 && got->message[0]->kind == WB_MESSAGE_REJECT, "%zu of %s", bytes, texts[i]);
      cr_assert_eq(got->message[0]->u.reject.harmless, 0);
    }
}
