/* Rows of products, wherever Coinbase lists them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/coinbase_products.h"
#include "tests/unit/random.h"

enum { ROWS_MAX = 64 };

static struct {
  wb_product_rows out;
  wb_product_row row[ROWS_MAX];
  int count;
} got;

static void put(wb_product_rows *rows, const wb_product_row *row) {
  (void)rows;
  cr_assert_lt(got.count, ROWS_MAX);
  got.row[got.count++] = *row;
}

/* The text in memory of exactly its size, so that the address sanitizer sees a byte too far. */
static int read_bytes(const char *text, size_t bytes, wb_error *error) {
  uint8_t *copy = malloc(bytes ? bytes : 1);
  memcpy(copy, text, bytes);
  got.out.put = put;
  got.count = 0;
  int count = wb_coinbase_products_read(copy, (uint32_t)bytes, &got.out, error);
  cr_assert_eq(count < 0 ? 0 : count, got.count);
  free(copy);
  return count;
}

static int read_text(const char *text) { return read_bytes(text, strlen(text), NULL); }

static const wb_product_row *only(const char *text) {
  cr_assert_eq(read_text(text), 1, "%s", text);
  return &got.row[0];
}

static void is(wb_increment got_one, uint64_t value, unsigned decimals) {
  cr_expect_eq(got_one.value, value);
  cr_expect_eq(got_one.decimals, decimals);
}

#define ROW(more) "{\"id\":\"A-B\",\"base_increment\":\"0.1\",\"quote_increment\":\"0.01\"" more "}"

Test(products, rows_of_the_exchange_feeds_status_message) {
  cr_assert_eq(
      read_text(
          "{\"type\":\"status\",\"products\":[{\"id\":\"BTC-USD\",\"base_currency\":\"BTC\",\"quote_currency\":\"USD\","
          "\"base_increment\":\"0.00000001\",\"quote_increment\":\"0.01\",\"display_name\":\"BTC-USD\",\"status\":\"online\","
          "\"status_message\":null,\"min_market_funds\":\"10\",\"post_only\":false,\"limit_only\":false,\"cancel_only\":"
          "false,\"fx_stablecoin\":false},{\"id\":\"SKL-BTC\",\"base_increment\":\"0.1\",\"quote_increment\":"
          "\"0.00000001\",\"status\":\"delisted\",\"cancel_only\":true,\"post_only\":true}],\"currencies\":[{\"id\":"
          "\"USD\",\"min_size\":\"0.01\",\"details\":{\"push\":1.5e3}}]}"),
      2);
  const wb_product_row *row = &got.row[0];
  cr_expect_eq(row->reject, WB_REJECT_NONE);
  cr_expect_str_eq(row->id, "BTC-USD");
  cr_expect_str_eq(row->base, "BTC");
  cr_expect_str_eq(row->quote, "USD");
  cr_expect_str_eq(row->alias, "");
  is(row->price, 1, 2);
  is(row->size, 1, 8);
  is(row->min_funds, 10, 0);
  cr_expect_eq(row->status, WB_STATUS_ONLINE);
  cr_expect_eq(row->type, WB_TYPE_UNSAID);
  cr_expect_eq(row->flags, 0);
  row++;
  cr_expect_str_eq(row->id, "SKL-BTC");
  is(row->price, 1, 8);
  is(row->size, 1, 1);
  is(row->min_funds, 0, 0);
  cr_expect_eq(row->status, WB_STATUS_DELISTED);
  cr_expect_eq(row->flags, WB_PRODUCT_CANCEL_ONLY | WB_PRODUCT_POST_ONLY);
}

Test(products, rows_of_the_exchanges_rest_answer) {
  const wb_product_row *row = only(
      " [ {\"id\":\"ETH-EUR\",\"base_currency\":\"ETH\",\"quote_currency\":\"EUR\",\"quote_increment\":\"0.01\","
      "\"base_increment\":\"0.000000001\",\"display_name\":\"ETH-EUR\",\"min_market_funds\":\"0.84\",\"margin_enabled\":false,"
      "\"post_only\":false,\"limit_only\":true,\"cancel_only\":false,\"status\":\"offline\",\"status_message\":\"\","
      "\"trading_disabled\":true,\"fx_stablecoin\":true,\"max_slippage_percentage\":\"0.02\",\"auction_mode\":true,"
      "\"high_bid_limit_percentage\":\"\"} ]\n");
  cr_expect_eq(row->reject, WB_REJECT_NONE);
  is(row->size, 1, 9);
  is(row->min_funds, 84, 2);
  cr_expect_eq(row->status, WB_STATUS_OFFLINE);
  cr_expect_eq(row->flags, WB_PRODUCT_LIMIT_ONLY | WB_PRODUCT_TRADING_DISABLED | WB_PRODUCT_FX_STABLECOIN | WB_PRODUCT_AUCTION);
}

Test(products, rows_of_every_event_of_the_advanced_feeds_status_message) {
  cr_assert_eq(
      read_text(
          "{\"channel\":\"status\",\"client_id\":\"\",\"timestamp\":\"2026-09-07T01:58:00.2Z\",\"sequence_num\":0,\"events\":["
          "{\"type\":\"snapshot\",\"products\":[{\"product_type\":\"SPOT\",\"id\":\"BTC-USD\",\"base_currency\":\"BTC\","
          "\"quote_currency\":\"USD\",\"base_increment\":\"0.00000001\",\"quote_increment\":\"0.01\",\"display_name\":"
          "\"BTC/USD\",\"status\":\"online\",\"status_message\":\"\",\"min_market_funds\":\"1\"}]},{\"type\":\"update\","
          "\"products\":[]},{\"products\":[" ROW(",\"product_type\":\"FUTURE\",\"status\":\"\"") "," ROW(
              ",\"product_type\":\"EQUITY\",\"status\":\"halted\"") "]}]}"),
      3);
  cr_expect_eq(got.row[0].type, WB_TYPE_SPOT);
  cr_expect_eq(got.row[0].status, WB_STATUS_ONLINE);
  cr_expect_eq(got.row[1].type, WB_TYPE_FUTURE);
  cr_expect_eq(got.row[1].status, WB_STATUS_UNSAID);
  cr_expect_eq(got.row[2].type, WB_TYPE_OTHER);
  cr_expect_eq(got.row[2].status, WB_STATUS_OTHER);
}

Test(products, rows_of_the_advanced_rest_answer_and_their_aliases) {
  cr_assert_eq(
      read_text(
          "{\"products\":[{\"product_id\":\"BTC-USDC\",\"price\":\"79944.1\",\"price_percentage_change_24h\":\"-1.5\","
          "\"base_increment\":\"0.00000001\",\"quote_increment\":\"0.01\",\"quote_min_size\":\"1\",\"quote_max_size\":"
          "\"150000000\",\"base_name\":\"Bitcoin\",\"watched\":false,\"is_disabled\":false,\"status\":\"online\","
          "\"view_only\":true,\"product_type\":\"SPOT\",\"quote_currency_id\":\"USDC\",\"base_currency_id\":\"BTC\","
          "\"fcm_trading_session_details\":null,\"alias\":\"BTC-USD\",\"alias_to\":[],\"price_increment\":\"0.01\"},"
          "{\"product_id\":\"BTC-USD\",\"base_increment\":\"0.00000001\",\"quote_increment\":\"0.01\",\"alias\":\"\","
          "\"alias_to\":[\"BTC-USDC\"],\"price_increment\":null},"
          "{\"product_id\":\"NGS-19NOV26-CDE\",\"base_increment\":\"1\",\"quote_increment\":\"0.001\",\"price_increment\":"
          "\"5\",\"is_disabled\":true,\"base_currency_id\":\"\",\"product_type\":\"FUTURE\"}],\"num_products\":3}"),
      3);
  cr_expect_str_eq(got.row[0].id, "BTC-USDC");
  cr_expect_str_eq(got.row[0].base, "BTC");
  cr_expect_str_eq(got.row[0].quote, "USDC");
  cr_expect_str_eq(got.row[0].alias, "BTC-USD");
  cr_expect_eq(got.row[0].alias_count, 0);
  cr_expect_eq(got.row[0].flags, WB_PRODUCT_VIEW_ONLY);
  is(got.row[0].min_funds, 1, 0);
  cr_expect_eq(got.row[1].alias_count, 1);
  cr_expect_str_eq(got.row[1].alias_to[0], "BTC-USDC");
  is(got.row[1].price, 1, 2);
  is(got.row[2].price, 5, 0);
  is(got.row[2].size, 1, 0);
  cr_expect_eq(got.row[2].flags, WB_PRODUCT_DISABLED);
}

Test(products, an_increment_is_exact_with_the_fewest_decimals_that_hold_it) {
  static const struct {
    const char *text;
    uint64_t value;
    unsigned decimals;
  } cases[] = {{"1", 1, 0},
               {"1.00", 1, 0},
               {"0.25", 25, 2},
               {"0.0500", 5, 2},
               {"1000", 1000, 0},
               {"2.50", 25, 1},
               {"0.000000000000000001", 1, 18}};
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[256];
    snprintf(text, sizeof text, "[{\"id\":\"A\",\"base_increment\":\"%s\",\"quote_increment\":\"%s\"}]", cases[i].text,
             cases[i].text);
    const wb_product_row *row = only(text);
    cr_expect_eq(row->reject, WB_REJECT_NONE, "%s", cases[i].text);
    is(row->price, cases[i].value, cases[i].decimals);
    is(row->size, cases[i].value, cases[i].decimals);
  }
}

Test(products, key_order_blanks_escapes_unknown_keys_and_nulls_are_legal) {
  const wb_product_row *row =
      only("{ \"currencies\" : null , \"products\" : [ { \"x\":[{\"id\":7}], \"quote_increment\" : \"0\\u002e01\" , "
           "\"b\\u0061se_increment\":\"\\u0031\", \"id\":\"\\u0041-B\", \"status\":null, \"post_only\":null, \"alias\":null, "
           "\"alias_to\":null, \"min_market_funds\":null, \"base_currency\":null, \"product_type\":null } ] , "
           "\"type\":\"status\" }");
  cr_expect_eq(row->reject, WB_REJECT_NONE);
  cr_expect_str_eq(row->id, "A-B");
  is(row->price, 1, 2);
  is(row->size, 1, 0);
  is(only("[" ROW(",\"min_market_funds\":1") "]")->min_funds, 1, 0);
  is(only("[" ROW(",\"min_market_funds\":0.5") "]")->min_funds, 5, 1);
  is(only("[" ROW(",\"min_market_funds\":\"0\"") "]")->min_funds, 0, 0);
}

Test(products, a_row_that_breaks_the_schema_says_why_and_hides_no_other) {
  static const struct {
    const char *row;
    wb_reject reason;
  } cases[] = {
      {"7", WB_REJECT_WRONG_TYPE},
      {"[]", WB_REJECT_WRONG_TYPE},
      {"{}", WB_REJECT_MISSING_FIELD},
      {"{\"id\":\"\",\"base_increment\":\"1\",\"quote_increment\":\"1\"}", WB_REJECT_MISSING_FIELD},
      {"{\"id\":null,\"base_increment\":\"1\",\"quote_increment\":\"1\"}", WB_REJECT_MISSING_FIELD},
      {"{\"id\":7,\"base_increment\":\"1\",\"quote_increment\":\"1\"}", WB_REJECT_WRONG_TYPE},
      {"{\"id\":\"A\\u0000B\",\"base_increment\":\"1\",\"quote_increment\":\"1\"}", WB_REJECT_WRONG_TYPE},
      {"{\"id\":\"\u00c4\",\"base_increment\":\"1\",\"quote_increment\":\"1\"}", WB_REJECT_WRONG_TYPE},
      {"{\"id\":\"THIRTY-TWO-CHARACTERS-ID.OF_0-XY\",\"base_increment\":\"1\",\"quote_increment\":\"1\"}", WB_REJECT_TOO_LARGE},
      {"{\"id\":\"A\",\"base_increment\":\"1\"}", WB_REJECT_MISSING_FIELD},
      {"{\"id\":\"A\",\"quote_increment\":\"1\"}", WB_REJECT_MISSING_FIELD},
      {"{\"id\":\"A\",\"base_increment\":\"1\",\"quote_increment\":null}", WB_REJECT_MISSING_FIELD},
      {"{\"id\":\"A\",\"base_increment\":\"1\",\"quote_increment\":0.01}", WB_REJECT_WRONG_TYPE},
      {"{\"id\":\"A\",\"base_increment\":\"1\",\"quote_increment\":\"\"}", WB_REJECT_BAD_NUMBER},
      {"{\"id\":\"A\",\"base_increment\":\"1\",\"quote_increment\":\"0.00\"}", WB_REJECT_BAD_NUMBER},
      {"{\"id\":\"A\",\"base_increment\":\"1\",\"quote_increment\":\"1e-8\"}", WB_REJECT_BAD_NUMBER},
      {"{\"id\":\"A\",\"base_increment\":\"-1\",\"quote_increment\":\"1\"}", WB_REJECT_BAD_NUMBER},
      {"{\"id\":\"A\",\"base_increment\":\"0.0000000000000000001\",\"quote_increment\":\"1\"}", WB_REJECT_NUMBER_RANGE},
      {"{\"id\":\"A\",\"base_increment\":\"99999999999999999999\",\"quote_increment\":\"1\"}", WB_REJECT_NUMBER_RANGE},
      {"{\"id\":\"A\",\"base_increment\":\"0.00000000000000000000000000000000000000001\",\"quote_increment\":\"1\"}",
       WB_REJECT_BAD_NUMBER},
      {ROW(",\"price_increment\":\"x\""), WB_REJECT_BAD_NUMBER},
      {ROW(",\"id\":\"A-B\""), WB_REJECT_BAD_JSON},
      {ROW(",\"product_id\":\"A-B\""), WB_REJECT_BAD_JSON},
      {ROW(",\"base_increment\":\"0.1\""), WB_REJECT_BAD_JSON},
      {ROW(",\"status\":7"), WB_REJECT_WRONG_TYPE},
      {ROW(",\"product_type\":{}"), WB_REJECT_WRONG_TYPE},
      {ROW(",\"post_only\":\"true\""), WB_REJECT_WRONG_TYPE},
      {ROW(",\"fx_stablecoin\":0"), WB_REJECT_WRONG_TYPE},
      {ROW(",\"min_market_funds\":-1"), WB_REJECT_WRONG_TYPE},
      {ROW(",\"min_market_funds\":1e3"), WB_REJECT_BAD_NUMBER},
      {ROW(",\"min_market_funds\":true"), WB_REJECT_WRONG_TYPE},
      {ROW(",\"min_market_funds\":\"1\",\"quote_min_size\":\"1\""), WB_REJECT_BAD_JSON},
      {ROW(",\"alias\":[]"), WB_REJECT_WRONG_TYPE},
      {ROW(",\"alias_to\":\"A\""), WB_REJECT_WRONG_TYPE},
      {ROW(",\"alias_to\":[null]"), WB_REJECT_WRONG_TYPE},
      {ROW(",\"alias_to\":[\"1\",\"2\",\"3\",\"4\",\"5\"]"), WB_REJECT_TOO_LARGE},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[1024];
    int bytes = snprintf(text, sizeof text, "[" ROW("") ",%s," ROW("") "]", cases[i].row);
    cr_assert_eq(read_text(text), 3, "%s", cases[i].row);
    cr_expect_eq(got.row[1].reject, cases[i].reason, "%s: %s", cases[i].row, wb_reject_name((wb_reject)got.row[1].reject));
    cr_expect(got.row[1].offset > 50 && got.row[1].offset < (uint32_t)bytes - 50, "%s: %u", cases[i].row, got.row[1].offset);
    cr_expect_eq(got.row[0].reject, WB_REJECT_NONE);
    cr_expect_eq(got.row[2].reject, WB_REJECT_NONE);
    cr_expect_str_eq(got.row[2].id, "A-B");
  }
}

Test(products, a_text_that_is_no_list_of_products_gives_no_row_and_an_error_with_its_place) {
  static const struct {
    const char *text;
    int code;
    uint64_t position;
  } cases[] = {{"", WB_E_SYNTAX, 0},
               {"[" ROW("") ",]", WB_E_SYNTAX, 62},
               {"[" ROW("") "] x", WB_E_SYNTAX, 63},
               {"[\"\xff\"]", WB_E_UTF8, 2},
               {"7", WB_E_PROTOCOL, 0},
               {" {\"message\":\"NotFound\"}", WB_E_PROTOCOL, 1},
               {"{\"products\":{}}", WB_E_PROTOCOL, 0},
               {"{\"products\":[],\"products\":[]}", WB_E_PROTOCOL, 0},
               {"{\"events\":[{\"products\":[" ROW("") "]},{\"tickers\":[]}]}", WB_E_PROTOCOL, 0},
               {"{\"events\":[7]}", WB_E_PROTOCOL, 0},
               {"{\"events\":{}}", WB_E_PROTOCOL, 0}};
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    wb_error error = {0};
    cr_expect_eq(read_bytes(cases[i].text, strlen(cases[i].text), &error), cases[i].code, "%s", cases[i].text);
    cr_expect_eq(error.code, cases[i].code, "%s", cases[i].text);
    cr_expect_eq(error.position, cases[i].position, "%s: %u", cases[i].text, (unsigned)error.position);
  }
  cr_expect_eq(read_text("[]"), 0);
  cr_expect_eq(read_text("{\"products\":[]}"), 0);
  cr_expect_eq(read_text("{\"events\":[]}"), 0);
}

Test(products, every_cut_of_a_list_is_an_error_without_a_row_and_no_damage_reads_past_the_end) {
  static const char whole[] = "{\"products\":[" ROW(",\"alias_to\":[\"C-D\"],\"status\":\"online\"") "]}";
  for (size_t bytes = 0; bytes < sizeof whole - 1; bytes++) cr_assert_eq(read_bytes(whole, bytes, NULL), WB_E_SYNTAX);
  seed();
  for (unsigned turn = 0; turn < 20000; turn++) {
    char text[sizeof whole];
    memcpy(text, whole, sizeof whole);
    for (unsigned damage = 1 + (unsigned)(next() % 3); damage--;)
      text[next() % (sizeof whole - 1)] = next() & 1 ? (char)next() : "0123456789.\"{}[]:,-eE \\u"[next() % 24];
    if (read_bytes(text, sizeof whole - 1, NULL) != 1 || got.row[0].reject) continue;
    cr_assert(got.row[0].price.value && got.row[0].size.value && got.row[0].price.decimals <= WB_DECIMALS_MAX);
    cr_assert_neq(got.row[0].id[0], 0);
  }
}
