#include "io/product_list.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "io/product_fetch.h"
#include "tests/unit/random.h"

static wb_product_list list;
static _Alignas(64) uint8_t memory[1 << 20];
static wb_products products;
static wb_error error;
static char warned[4096];

static void row(const char *id, bool trades, const char *alias) {
  wb_listed listed = {.price_decimals = 2, .size_decimals = 9, .trades = trades};
  strcpy(listed.id, id);
  strcpy(listed.quote, strchr(id, '-') + 1);
  strcpy(listed.alias, alias);
  cr_assert(wb_product_list_add(&list, &listed));
}

static void open_list(void) {
  row("BTC-USD", true, "");
  row("ETH-USD", true, "");
  row("BTC-USDC", true, "BTC-USD");
  row("DOGE-USD", true, "");
  row("ETH-EUR", true, "");
  row("OLD-USD", false, "");
  row("SOL-USDC", true, "SOL-USD");
}
static void close_list(void) { wb_product_list_free(&list); }
TestSuite(list, .init = open_list, .fini = close_list);

static void on_warn(void *self, const char *text) {
  cr_assert_eq(self, warned);
  strcat(strcat(warned, text), "\n");
}

static int choose_of(const wb_product_list *from, const char *words) {
  char text[1024], *word[64], *rest = text;
  unsigned count = 0;
  strcpy(text, words);
  for (char *one; (one = strsep(&rest, " "));)
    if (*one) word[count++] = one;
  word[count] = NULL;
  *warned = 0;
  cr_assert_leq(wb_products_bytes(4096), sizeof memory);
  wb_products_init(&products, memory, 4096);
  return wb_product_list_choose(from, word, '-', &products, on_warn, warned, &error);
}

static void chooses(const char *words, const char *ids) {
  cr_assert_eq(choose_of(&list, words), 0, "%s: %s", words, error.detail);
  char got[1024] = "";
  for (uint32_t i = 0; i < products.count; i++) strcat(strcat(got, i ? " " : ""), products.product[i].id);
  cr_expect_str_eq(got, ids, "%s", words);
}

static void refuses(const wb_product_list *from, const char *words, const char *why) {
  cr_assert_eq(choose_of(from, words), WB_E_CONFIG, "%s", words);
  cr_expect(strstr(error.detail, why), "%s: %s", words, error.detail);
}

Test(list, words_that_are_no_ids_or_need_a_list_are_refused_without_one) {
  refuses(NULL, "", "no product is named");
  refuses(NULL, "all", "--products-from");
  refuses(NULL, "BTC *-USD", "--products-from");
  refuses(NULL, "quote:usd", "--products-from");
  refuses(NULL, "!DOGE-*", "--products-from");
  refuses(NULL, "BTC/USD", "no product id");
  refuses(NULL, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "no product id");
  cr_assert_eq(choose_of(NULL, "btc eth-eur BTC"), 0);
  cr_assert_eq(products.count, 2u);
  cr_assert_str_eq(products.product[1].id, "ETH-EUR");
  cr_assert_eq(products.product[0].price_decimals, WB_DECIMALS_DEFAULT);
}

Test(list, an_id_that_is_not_on_the_list_is_refused_with_the_nearest_that_are) {
  refuses(&list, "BTC-USDX", "BTC-USDX is not on the exchange's list; did you mean BTC-USD, BTC-USDC?");
  refuses(&list, "DOG", "did you mean DOGE-USD?");
  refuses(&list, "COMPLETELY-OTHER", "COMPLETELY-OTHER is not on the exchange's list");
  cr_assert_null(strstr(error.detail, "did you mean"));
}

Test(list, patterns_choose_what_trades_in_the_order_of_the_list_after_what_is_named) {
  chooses("all", "BTC-USD ETH-USD DOGE-USD ETH-EUR SOL-USDC");
  chooses("*-USD", "BTC-USD ETH-USD DOGE-USD");
  chooses("eth-*", "ETH-USD ETH-EUR");
  chooses("?T?-USD", "BTC-USD ETH-USD");
  chooses("quote:eur", "ETH-EUR");
  chooses("quote:E*", "ETH-EUR");
  chooses("ETH-EUR *-USD", "ETH-EUR BTC-USD ETH-USD DOGE-USD");
  chooses("*-USD ETH DOGE", "ETH-USD DOGE-USD BTC-USD");
}

Test(list, what_is_left_out_is_left_out_of_patterns_alone_wherever_the_word_stands) {
  chooses("!DOGE-* *-USD", "BTC-USD ETH-USD");
  chooses("all !quote:USD*", "ETH-EUR");
  refuses(&list, "*-USD !quote:USD ETH-*", "'*-USD' chooses none");
  chooses("DOGE-USD *-USD !DOGE-*", "DOGE-USD BTC-USD ETH-USD");
  refuses(&list, "*-USD !all", "chooses none");
  refuses(&list, "!DOGE-*", "no product is named");
}

Test(list, a_pattern_that_chooses_nothing_is_refused) {
  refuses(&list, "all *-GBP", "'*-GBP' chooses none of the 7 products");
  refuses(&list, "OLD-*", "chooses none");
}

Test(list, a_named_product_that_does_not_trade_is_taken_with_a_warning) {
  chooses("OLD", "OLD-USD");
  cr_assert_str_eq(warned, "OLD-USD does not trade, as the exchange lists it\n");
  chooses("BTC", "BTC-USD");
  cr_assert_str_eq(warned, "");
}

Test(list, a_product_with_the_data_of_another_is_taken_only_without_that_one) {
  chooses("BTC-USDC", "BTC-USDC");
  cr_assert_str_eq(warned, "");
  chooses("BTC-USDC BTC-USD", "BTC-USD");
  cr_assert_str_eq(warned, "BTC-USDC has no book of its own, it is that of BTC-USD\n");
  chooses("quote:USDC", "BTC-USDC SOL-USDC");
  chooses("SOL-USDC all", "SOL-USDC BTC-USD ETH-USD DOGE-USD ETH-EUR");
}

Test(list, decimals_are_those_of_the_list) {
  chooses("BTC *-EUR", "BTC-USD ETH-EUR");
  for (unsigned i = 0; i < 2; i++) cr_assert(products.product[i].price_decimals == 2 && products.product[i].size_decimals == 9);
}

/* By trying every way. */
static bool slow_match(const char *pattern, const char *text) {
  if (*pattern == '*') return slow_match(pattern + 1, text) || (*text && slow_match(pattern, text + 1));
  if (*text == 0) return *pattern == 0;
  return (*pattern == *text || *pattern == '?') && slow_match(pattern + 1, text + 1);
}

Test(list, a_hundred_thousand_random_patterns_match_as_every_way_tried_says) {
  seed();
  for (unsigned turn = 0; turn < 100000; turn++) {
    char pattern[9], text[12];
    size_t m = next() % sizeof pattern, n = next() % sizeof text;
    for (size_t i = 0; i < m; i++) pattern[i] = "AB*?"[next() % 4];
    for (size_t i = 0; i < n; i++) text[i] = "AB"[next() % 2];
    pattern[m] = text[n] = 0;
    cr_assert_eq(wb_glob_match(pattern, text), slow_match(pattern, text), "%s %s", pattern, text);
  }
}

/* ------------------------------------------------------------------------------------------------ fetching */

static int fetch(wb_product_list *into, const char *text) {
  char path[] = "/tmp/wirebook-list-XXXXXX";
  int fd = mkstemp(path);
  cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
  *warned = 0;
  int result = wb_product_list_fetch(into, path, NULL, on_warn, warned, &error);
  unlink(path);
  return result;
}

Test(fetch, a_file_that_is_no_list_is_refused_with_a_reason_and_leaves_the_list_empty) {
  wb_product_list got = {0};
  cr_assert_eq(wb_product_list_fetch(&got, "/nonexistent/list", NULL, on_warn, warned, &error), WB_E_CONFIG);
  cr_assert_eq(wb_product_list_fetch(&got, "/tmp", NULL, on_warn, warned, &error), WB_E_CONFIG);
  const char *const wrong[] = {"", "[", "{}", "[]", "{\"message\":\"rate limit\"}", "[{\"id\":\"BTC-USD\"}]"};
  for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    *error.detail = 0;
    cr_assert_lt(fetch(&got, wrong[i]), 0, "%s", wrong[i]);
    cr_assert(*error.detail && got.count == 0 && got.row == NULL, "%s", wrong[i]);
  }
}

#define ROW(id, price, size, more)                                                                                             \
  "{\"id\":\"" id "\",\"quote_currency\":\"USD\",\"quote_increment\":\"" price "\",\"base_increment\":\"" size "\"" more "}"

Test(fetch, increments_become_decimals_and_states_say_what_trades) {
  wb_product_list got = {0};
  cr_assert_eq(
      fetch(&got, "[" ROW("A-USD", "0.01", "0.000000001", ",\"status\":\"online\"") "," ROW(
                      "B-USD", "0.0000000001", "0.1",
                      ",\"status\":\"delisted\"") "," ROW("C-USD", "x", "1",
                                                          "") "," ROW("D-USD", "1", "1",
                                                                      ",\"status\":\"online\",\"trading_disabled\":"
                                                                      "true") "," ROW("E-USD", "1", "1",
                                                                                      "") "," ROW("f-usd", "1", "1", "") "]"),
      0, "%s", error.detail);
  cr_assert_eq(got.count, 4u);
  const struct {
    uint8_t price, size;
    bool trades;
  } want[] = {{2, 9, true}, {10, 8, false}, {0, 8, false}, {0, 8, true}};
  for (unsigned i = 0; i < 4; i++)
    cr_expect(got.row[i].price_decimals == want[i].price && got.row[i].size_decimals == want[i].size &&
                  got.row[i].trades == want[i].trades && strcmp(got.row[i].quote, "USD") == 0,
              "%s", got.row[i].id);
  cr_assert(strstr(warned, "C-USD: a row is left out"), "%s", warned);
  cr_assert(strstr(warned, "f-usd: a row is left out, no id"), "%s", warned);
  wb_product_list_free(&got);
}
