/* Tickers and trades of the Exchange dialect, each on every road. */
#include <criterion/criterion.h>

#include "tests/unit/codec/capture.h"

static roads all;
static void setup(void) { roads_init(&all); }
static void teardown(void) { roads_fini(&all); }
TestSuite(coinbase_witness, .init = setup, .fini = teardown);

static void says(const char *frame, const char *want) {
  const char *broken = roads_decode(&all, frame, strlen(frame), 'x');
  cr_assert_null(broken, "%s: %s", broken, frame);
  char text[1024];
  cr_assert_eq(all.got[0].count, 1u);
  capture_print(&all.got[0], 0, text, sizeof text);
  cr_assert_str_eq(text, want, "%s\nwant %s\ngot  %s", frame, want, text);
}

/* In what way it is refused; never so that a book becomes suspect. */
static void refused(const char *frame, wb_reject reason, const char *product) {
  const char *broken = roads_decode(&all, frame, strlen(frame), 'x');
  cr_assert_null(broken, "%s: %s", broken, frame);
  const wb_message *message = all.got[0].message[0];
  cr_assert_eq(message->kind, WB_MESSAGE_REJECT, "%s", frame);
  cr_assert_eq(message->u.reject.reason, reason, "%s: %s", frame, wb_reject_name((wb_reject)message->u.reject.reason));
  cr_assert_eq(message->u.reject.harmless, 1u, "%s", frame);
  cr_assert_str_eq(message->product == WB_PRODUCT_NONE ? "-" : all.products.product[message->product].id, product, "%s", frame);
}

#define TICKER(fields) "{\"type\":\"ticker\",\"sequence\":9,\"product_id\":\"ETH-USD\"," fields "}"
#define BEST(bid, ask) "\"best_bid\":\"" bid "\",\"best_ask\":\"" ask "\""
#define SIZES(bid, ask) ",\"best_bid_size\":\"" bid "\",\"best_ask_size\":\"" ask "\""
#define MATCH(price, size, side)                                                                                               \
  "{\"type\":\"match\",\"trade_id\":7,\"product_id\":\"ETH-USD\",\"sequence\":9,\"price\":" price ",\"size\":" size            \
  ",\"side\":" side "}"

Test(coinbase_witness, a_ticker_carries_the_exchanges_best_bid_and_ask) {
  says(TICKER(BEST("1.5", "1.75") SIZES("3", "0.00000001")),
       "ticker ETH-USD sequence 9 bid:150000000:300000000 ask:175000000:1");
  says(TICKER("\"side\":null" SIZES("3", "4") "," BEST("2", "1")),
       "ticker ETH-USD sequence 9 bid:200000000:300000000 ask:100000000:400000000");
}

Test(coinbase_witness, a_ticker_of_old_has_no_sizes_and_the_first_of_a_product_no_trade) {
  says(TICKER(BEST("1.5", "1.75")), "ticker ETH-USD sequence 9 no sizes bid:150000000:0 ask:175000000:0");
  says(TICKER("\"price\":null,\"trade_id\":null,\"side\":null,\"time\":\"\"," BEST("1.50000000000", "2")),
       "ticker ETH-USD sequence 9 no sizes bid:150000000:0 ask:200000000:0");
}

Test(coinbase_witness, a_side_without_levels_is_a_price_of_zero) {
  says(TICKER(BEST("0", "0.00") SIZES("0", "0")), "ticker ETH-USD sequence 9 bid:0:0 ask:0:0");
}

Test(coinbase_witness, a_trade_carries_price_size_and_the_makers_side) {
  says(MATCH("\"1.5\"", "\"2\"", "\"buy\""), "trade ETH-USD sequence 9 trade 7 bid:150000000:200000000");
  says(
      "{\"type\":\"last_match\",\"trade_id\":18446744073709551615,\"product_id\":\"A\",\"sequence\":0,\"price\":\"1\",\"size\":"
      "\"0\",\"s\\u0069de\":\"sell\",\"time\":\"1970-01-01T00:00:01Z\"}",
      "trade A at 1000000000 past sequence 0 trade 18446744073709551615 ask:100000000:0");
}

Test(coinbase_witness, a_ticker_that_breaks_the_schema_is_refused_and_harms_no_book) {
  refused("{\"type\":\"ticker\"}", WB_REJECT_MISSING_FIELD, "-");
  refused("{\"type\":\"ticker\",\"product_id\":\"XRP-USD\",\"sequence\":9," BEST("1", "2") "}", WB_REJECT_UNKNOWN_PRODUCT, "-");
  refused("{\"type\":\"ticker\",\"product_id\":\"A\"," BEST("1", "2") "}", WB_REJECT_MISSING_FIELD, "A");
  refused(TICKER("\"best_bid\":\"1\""), WB_REJECT_MISSING_FIELD, "ETH-USD");
  refused(TICKER("\"best_ask\":\"1\""), WB_REJECT_MISSING_FIELD, "ETH-USD");
  refused(TICKER(BEST("1", "2") ",\"best_bid_size\":\"1\""), WB_REJECT_MISSING_FIELD, "ETH-USD");
  refused(TICKER(BEST("1", "2") ",\"best_ask_size\":\"1\""), WB_REJECT_MISSING_FIELD, "ETH-USD");
  refused(TICKER("\"best_bid\":1,\"best_ask\":\"2\""), WB_REJECT_WRONG_TYPE, "ETH-USD");
  refused(TICKER("\"best_bid\":null,\"best_ask\":\"2\""), WB_REJECT_WRONG_TYPE, "ETH-USD");
  refused(TICKER(BEST("-1", "2")), WB_REJECT_BAD_NUMBER, "ETH-USD");
  refused(TICKER(BEST("1", "NaN")), WB_REJECT_BAD_NUMBER, "ETH-USD");
  refused(TICKER(BEST("1", "2") SIZES("1e5", "1")), WB_REJECT_BAD_NUMBER, "ETH-USD");
  refused(TICKER(BEST("1", "2") ",\"best_bid\":\"1\""), WB_REJECT_BAD_JSON, "ETH-USD");
  refused(TICKER(BEST("1", "2") ",\"time\":\"x\""), WB_REJECT_BAD_TIME, "ETH-USD");
  refused(TICKER(BEST("1", "2") ",\"sequence\":9"), WB_REJECT_BAD_JSON, "ETH-USD");
}

Test(coinbase_witness, a_trade_that_breaks_the_schema_is_refused_and_harms_no_book) {
  refused("{\"type\":\"match\"}", WB_REJECT_MISSING_FIELD, "-");
  refused("{\"type\":\"match\",\"product_id\":\"A\",\"sequence\":1,\"price\":\"1\",\"size\":\"1\",\"side\":\"buy\"}",
          WB_REJECT_MISSING_FIELD, "A");
  refused(MATCH("\"0\"", "\"1\"", "\"buy\""), WB_REJECT_BAD_NUMBER, "ETH-USD");
  refused(MATCH("1", "\"1\"", "\"buy\""), WB_REJECT_WRONG_TYPE, "ETH-USD");
  refused(MATCH("\"1\"", "\"\"", "\"buy\""), WB_REJECT_BAD_NUMBER, "ETH-USD");
  refused(MATCH("\"1\"", "\"1\"", "\"bid\""), WB_REJECT_UNKNOWN_SIDE, "ETH-USD");
  refused(MATCH("\"1\"", "\"1\"", "1"), WB_REJECT_WRONG_TYPE, "ETH-USD");
  refused(MATCH("\"1\"", "\"1\"", "\"buy\",\"trade_id\":8"), WB_REJECT_BAD_JSON, "ETH-USD");
  refused(MATCH("\"1\"", "\"1\"", "\"buy\",\"time\":1"), WB_REJECT_WRONG_TYPE, "ETH-USD");
}

Test(coinbase_witness, a_ticker_finer_than_the_books_units_says_no_best_prices_and_widens_nothing) {
  says(TICKER(BEST("1.123456789", "2")), "ticker ETH-USD sequence 9 no best");
  says(TICKER(BEST("1", "2") SIZES("1", "0.000000001")), "ticker ETH-USD sequence 9 no best");
  says(TICKER(BEST("1", "99999999999999999999")), "ticker ETH-USD sequence 9 no best");
  cr_assert_eq(all.state[0]->product[1].price_decimals, WB_DECIMALS_DEFAULT);
  cr_assert_eq(all.state[0]->product[1].size_decimals, WB_DECIMALS_DEFAULT);
}

Test(coinbase_witness, a_trade_finer_than_the_books_units_widens_them_as_an_update_does) {
  static const char frame[] = MATCH("\"1\"", "\"0.123456789\"", "\"sell\"");
  char text[256];
  cr_assert_null(roads_decode(&all, frame, sizeof frame - 1, 'x'));
  cr_assert_eq(all.got[0].count, 2u);
  capture_print(&all.got[0], 0, text, sizeof text);
  cr_assert_str_eq(text, "scale ETH-USD 8 9");
  capture_print(&all.got[0], 1, text, sizeof text);
  cr_assert_str_eq(text, "trade ETH-USD sequence 9 trade 7 ask:100000000:123456789");
  says(MATCH("\"1\"", "\"0.5\"", "\"buy\""), "trade ETH-USD sequence 9 trade 7 bid:100000000:500000000");
}

Test(coinbase_witness, a_trade_that_is_refused_widens_nothing) {
  refused(MATCH("\"1.0000000000000000001\"", "\"1\"", "\"buy\""), WB_REJECT_NUMBER_RANGE, "ETH-USD");
  refused(MATCH("\"1\"", "\"99999999999999999999\"", "\"buy\""), WB_REJECT_NUMBER_RANGE, "ETH-USD");
  refused(MATCH("\"1.123456789\"", "\"1\"", "\"up\""), WB_REJECT_UNKNOWN_SIDE, "ETH-USD");
  refused(MATCH("\"0.000000000\"", "\"1\"", "\"buy\""), WB_REJECT_BAD_NUMBER, "ETH-USD");
  cr_assert_eq(all.state[0]->product[1].price_decimals, WB_DECIMALS_DEFAULT);
}

Test(coinbase_witness, what_is_no_json_is_not_known_to_be_harmless) {
  static const char whole[] = TICKER(BEST("1", "2"));
  for (size_t bytes = 0; bytes < sizeof whole - 1; bytes++) {
    const char *broken = roads_decode(&all, whole, bytes, '}');
    cr_assert_null(broken, "%s", broken);
    const wb_message *message = all.got[0].message[0];
    cr_assert_eq(message->kind, WB_MESSAGE_REJECT);
    cr_assert_eq(message->u.reject.harmless, 0u);
  }
}
