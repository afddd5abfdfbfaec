#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tools/mock_market.c"
#include "tools/mock_text.c"

#define START_US INT64_C(1785649432535977)

/* ------------------------------------------------------------------------------------------------ a slow book, from text */

typedef struct slow_level {
  uint64_t price, size;
} slow_level;

typedef struct slow_book {
  slow_level level[2][8192]; /* unsorted */
  unsigned count[2];
  unsigned created, deleted, changes;
} slow_book;

/* All digits of a number that must have exactly `decimals` of them behind the dot. */
static uint64_t exact(const char *text, unsigned decimals) {
  const char *dot = strchr(text, '.');
  size_t behind = dot ? strlen(dot + 1) : 0;
  cr_assert_eq(behind, decimals, "%s has not %u decimals", text, decimals);
  cr_assert(text[0] != '0' || text[1] == 0 || text[1] == '.', "%s has a leading zero", text);
  cr_assert(text[0] != '.' && text[0] != 0);
  uint64_t value = 0;
  for (const char *c = text; *c; c++) {
    if (*c == '.') continue;
    cr_assert(*c >= '0' && *c <= '9', "%s is no number", text);
    value = 10 * value + (uint64_t)(*c - '0');
  }
  return value;
}

static void slow_set(slow_book *book, int side, uint64_t price, uint64_t size) {
  book->changes++;
  for (unsigned i = 0; i < book->count[side]; i++) {
    slow_level *level = &book->level[side][i];
    if (level->price != price) continue;
    cr_assert_neq(level->size, size, "a change that changes nothing");
    level->size = size;
    if (size == 0) {
      *level = book->level[side][--book->count[side]];
      book->deleted++;
    }
    return;
  }
  cr_assert_neq(size, 0, "zero for an unknown level");
  book->level[side][book->count[side]++] = (slow_level){price, size};
  book->created++;
}

static void slow_snapshot(slow_book *book, const json_t *root, const wb_mock_market *market) {
  static const char *const names[] = {"bids", "asks"};
  memset(book, 0, sizeof *book);
  for (int side = 0; side < 2; side++) {
    json_t *list = json_object_get(root, names[side]), *pair;
    size_t i;
    uint64_t last = 0;
    json_array_foreach(list, i, pair) {
      cr_assert_eq(json_array_size(pair), 2);
      uint64_t price = exact(json_string_value(json_array_get(pair, 0)), market->price_decimals);
      uint64_t size = exact(json_string_value(json_array_get(pair, 1)), market->size_decimals);
      if (i) cr_assert(side == WB_SIDE_BID ? price < last : price > last, "levels are not best first");
      last = price;
      cr_assert_neq(size, 0);
      book->level[side][book->count[side]++] = (slow_level){price, size};
    }
  }
}

static void slow_update(slow_book *book, const json_t *root, const wb_mock_market *market) {
  json_t *change;
  size_t i;
  json_array_foreach(json_object_get(root, "changes"), i, change) {
    cr_assert_eq(json_array_size(change), 3);
    const char *side = json_string_value(json_array_get(change, 0));
    cr_assert(strcmp(side, "buy") == 0 || strcmp(side, "sell") == 0);
    slow_set(book, strcmp(side, "buy") == 0 ? WB_SIDE_BID : WB_SIDE_ASK,
             exact(json_string_value(json_array_get(change, 1)), market->price_decimals),
             exact(json_string_value(json_array_get(change, 2)), market->size_decimals));
  }
}

static uint64_t slow_best(const slow_book *book, int side) {
  cr_assert_gt(book->count[side], 0, "an empty side");
  uint64_t best = book->level[side][0].price;
  for (unsigned i = 1; i < book->count[side]; i++)
    if (side == WB_SIDE_BID ? book->level[side][i].price > best : book->level[side][i].price < best)
      best = book->level[side][i].price;
  return best;
}

static int by_price(const void *a, const void *b) {
  uint64_t x = ((const slow_level *)a)->price, y = ((const slow_level *)b)->price;
  return (x > y) - (x < y);
}

static void same_books(slow_book *book, const wb_mock_market *market) {
  for (int side = 0; side < 2; side++) {
    qsort(book->level[side], book->count[side], sizeof(slow_level), by_price);
    cr_assert_eq(book->count[side], market->side[side].count);
    for (unsigned i = 0; i < book->count[side]; i++) {
      unsigned rank = side == WB_SIDE_BID ? book->count[side] - 1 - i : i;
      const wb_mock_level *level = wb_mock_market_level(market, (wb_side)side, rank);
      cr_assert_eq(level->price, book->level[side][i].price);
      cr_assert_eq(level->size, book->level[side][i].size);
    }
  }
}

static uint64_t fresh_seed(void) {
  uint64_t seed = (uint64_t)time(NULL);
  fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
  return seed;
}

/* Writes into memory of exactly the promised size, so that a sanitizer sees a byte too many. */
static json_t *parsed(const wb_mock_text *text, const wb_delta *delta, unsigned count, wb_mock_time *clock, int64_t us) {
  size_t room = count ? wb_mock_text_update_bytes_max(count) : wb_mock_text_snapshot_bytes_max(text->market);
  char *bytes = malloc(room + WB_MOCK_TEXT_SLACK);
  const char *now = wb_mock_time_text(clock, us);
  size_t length = count ? wb_mock_text_update(text, delta, count, now, bytes) : wb_mock_text_snapshot(text, now, bytes);
  cr_assert_leq(length, room);
  json_error_t where;
  json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &where);
  cr_assert(root, "%s in %.*s", where.text, (int)(length < 300 ? length : 300), bytes);
  cr_assert_str_eq(json_string_value(json_object_get(root, "type")), count ? "l2update" : "snapshot");
  cr_assert_str_eq(json_string_value(json_object_get(root, "product_id")), text->market->product);
  cr_assert_str_eq(json_string_value(json_object_get(root, "time")), now);
  free(bytes);
  return root;
}

static void follow(const char *product, uint32_t levels, uint32_t least, uint32_t most, unsigned messages, bool spaced) {
  static slow_book book;
  static wb_delta delta[WB_MOCK_CHANGES_MAX];
  wb_mock_market market;
  wb_mock_text text;
  wb_mock_time clock = {0};
  uint64_t seed = fresh_seed();
  cr_assert_eq(wb_mock_market_open(&market, product, levels, seed, least, most, NULL), 0);
  wb_mock_text_init(&text, &market, spaced);
  uint64_t mid = market.mid_start;
  json_t *root = parsed(&text, NULL, 0, &clock, START_US);
  slow_snapshot(&book, root, &market);
  json_decref(root);
  same_books(&book, &market);
  for (unsigned i = 1; i <= messages; i++) {
    unsigned count = wb_mock_market_step(&market, delta);
    cr_assert(count >= least && count <= most);
    root = parsed(&text, delta, count, &clock, START_US + i);
    slow_update(&book, root, &market);
    json_decref(root);
    uint64_t bid = slow_best(&book, WB_SIDE_BID), ask = slow_best(&book, WB_SIDE_ASK);
    cr_assert_lt(bid, ask, "crossed after message %u", i);
    cr_assert(bid > mid - mid / 5 && ask < mid + mid / 5, "the mid ran away");
    if (i % (messages / 50 + 1) == 0) same_books(&book, &market);
  }
  same_books(&book, &market);
  cr_assert_eq(book.created, market.created);
  cr_assert_eq(book.deleted, market.deleted);
  cr_assert_eq(book.changes, market.changes);
  cr_assert_eq(market.messages, messages);
  wb_mock_market_close(&market);
}

/* ------------------------------------------------------------------------------------------------ bad inputs, life cycle */

Test(mock_market, refuses_what_it_cannot_be) {
  wb_mock_market market;
  wb_error error;
  char longest[WB_PRODUCT_ID_BYTES + 1];
  memset(longest, 'A', sizeof longest);
  longest[WB_PRODUCT_ID_BYTES] = 0;
  cr_expect_eq(wb_mock_market_open(&market, NULL, 10, 1, 1, 3, &error), WB_E_INVALID);
  cr_expect_eq(wb_mock_market_open(&market, "", 10, 1, 1, 3, &error), WB_E_INVALID);
  cr_expect_eq(wb_mock_market_open(&market, longest, 10, 1, 1, 3, &error), WB_E_INVALID);
  cr_expect_eq(wb_mock_market_open(&market, "BTC-USD", 0, 1, 1, 3, &error), WB_E_INVALID);
  cr_expect_eq(wb_mock_market_open(&market, "BTC-USD", WB_MOCK_LEVELS_MAX + 1, 1, 1, 3, &error), WB_E_INVALID);
  cr_expect_eq(wb_mock_market_open(&market, "BTC-USD", 10, 1, 0, 3, &error), WB_E_INVALID);
  cr_expect_eq(wb_mock_market_open(&market, "BTC-USD", 10, 1, 3, 2, &error), WB_E_INVALID);
  cr_expect_eq(wb_mock_market_open(&market, "BTC-USD", 10, 1, 1, WB_MOCK_CHANGES_MAX + 1, NULL), WB_E_INVALID);
  cr_expect_gt(strlen(error.detail), 0);
}

Test(mock_market, opens_a_book_of_the_levels_asked_for) {
  static const uint32_t sizes[] = {1, 2, 50, 1000, 30000, 100000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    wb_mock_market market;
    cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", sizes[i], 7, 1, 3, NULL), 0);
    for (int side = 0; side < 2; side++) {
      cr_expect_eq(market.side[side].count, sizes[i]);
      cr_expect_not_null(wb_mock_market_level(&market, (wb_side)side, sizes[i] - 1));
      cr_expect_null(wb_mock_market_level(&market, (wb_side)side, sizes[i]));
    }
    cr_expect_lt(wb_mock_market_level(&market, WB_SIDE_BID, 0)->price, wb_mock_market_level(&market, WB_SIDE_ASK, 0)->price);
    wb_mock_market_close(&market);
    cr_expect_null(wb_mock_market_level(&market, WB_SIDE_BID, 0));
  }
}

Test(mock_market, has_no_more_bids_than_the_price_has_ticks) {
  wb_mock_market market;
  cr_assert_eq(wb_mock_market_open(&market, "SKL-BTC", 5000, 7, 1, 3, NULL), 0);
  cr_expect_lt(market.side[WB_SIDE_BID].count, 1306);
  cr_expect_eq(market.side[WB_SIDE_ASK].count, 5000);
  cr_expect_geq(wb_mock_market_level(&market, WB_SIDE_BID, market.side[WB_SIDE_BID].count - 1)->price, 1);
  wb_mock_market_close(&market);
}

/* Measured on the real book: 23 levels of a side within 2^10 ticks of the best, 250 within 2^14, 8,398 within 2^20. */
Test(mock_market, lays_levels_as_far_apart_as_the_real_book) {
  wb_mock_market market;
  cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", MEASURED_RANKS, 3, 1, 3, NULL), 0);
  static const struct {
    uint64_t ticks;
    uint32_t least, most;
  } within[] = {{1 << 10, 20, 27}, {1 << 14, 235, 265}, {1 << 20, 8200, 8600}, {1 << 24, 22000, 22500}};
  uint64_t best = wb_mock_market_level(&market, WB_SIDE_ASK, 0)->price;
  for (size_t i = 0; i < 4; i++) {
    uint32_t count = 0;
    while (wb_mock_market_level(&market, WB_SIDE_ASK, count)->price <= best + within[i].ticks) count++;
    cr_expect(count >= within[i].least && count <= within[i].most, "%u levels within %llu ticks", count,
              (unsigned long long)within[i].ticks);
  }
  wb_mock_market_close(&market);
}

/* ------------------------------------------------------------------------------------------------ against the slow book */

Test(mock_market, messages_make_the_same_book_and_never_cross_it) { follow("BTC-USD", 300, 1, 3, 100000, false); }
Test(mock_market, fifty_changes_a_message_make_the_same_book) { follow("ETH-USD", 50, 50, 50, 4000, true); }
Test(mock_market, one_level_a_side_never_runs_empty) { follow("LTC-USD", 1, 1, 5, 20000, false); }
Test(mock_market, a_dense_book_of_few_ticks_holds_together) { follow("SKL-BTC", 1000, 1, 3, 5000, false); }
Test(mock_market, whole_number_sizes_and_unknown_products_work) { follow("QQQ-ZZZ", 100, 1, 9, 5000, true); }
Test(mock_market, one_decimal_sizes_work) { follow("DOGE-USD", 100, 1, 3, 5000, false); }

Test(mock_market, deletes_27_and_creates_28_of_100_and_keeps_its_levels) {
  static const uint32_t sizes[] = {50, 1000, 30000};
  static wb_delta delta[WB_MOCK_CHANGES_MAX];
  for (size_t i = 0; i < 3; i++) {
    wb_mock_market market;
    cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", sizes[i], fresh_seed(), 1, 3, NULL), 0);
    uint32_t margin = sizes[i] / 4 + 36; /* 50 levels: a side's count has a standard deviation of six, and 155,000 tries */
    for (int n = 0; n < 100000; n++) {
      wb_mock_market_step(&market, delta);
      for (int side = 0; side < 2; side++)
        cr_assert(market.side[side].count + margin > sizes[i] && market.side[side].count < sizes[i] + margin);
    }
    double deleted = (double)market.deleted / (double)market.changes, created = (double)market.created / (double)market.changes;
    cr_expect(deleted > 0.265 && deleted < 0.285, "%f deleted", deleted);
    cr_expect(created > 0.265 && created < 0.29, "%f created", created);
    double changes = (double)market.changes / (double)market.messages;
    cr_expect(changes > 1.53 && changes < 1.58, "%f changes a message", changes);
    wb_mock_market_close(&market);
  }
}

/* ------------------------------------------------------------------------------------------------ determinism */

static uint64_t digest_of(const char *product, uint64_t seed, unsigned messages, bool other_market_between) {
  static wb_delta delta[WB_MOCK_CHANGES_MAX];
  wb_mock_market market, other;
  wb_mock_text text;
  wb_mock_time clock = {0};
  char bytes[1024];
  uint64_t digest = 0;
  cr_assert_eq(wb_mock_market_open(&market, product, 200, seed, 1, 3, NULL), 0);
  cr_assert_eq(wb_mock_market_open(&other, "ETH-USD", 20, seed, 1, 1, NULL), 0);
  wb_mock_text_init(&text, &market, false);
  for (unsigned i = 0; i < messages; i++) {
    unsigned count = wb_mock_market_step(&market, delta);
    size_t length = wb_mock_text_update(&text, delta, count, wb_mock_time_text(&clock, START_US + i), bytes);
    for (size_t k = 0; k < length; k++) digest = digest * 31 + (uint8_t)bytes[k];
    if (other_market_between) wb_mock_market_step(&other, delta);
  }
  wb_mock_market_close(&market);
  wb_mock_market_close(&other);
  return digest;
}

Test(mock_market, same_seed_and_product_give_the_same_bytes) {
  uint64_t digest = digest_of("BTC-USD", 42, 20000, false);
  cr_expect_eq(digest_of("BTC-USD", 42, 20000, true), digest);
  cr_expect_neq(digest_of("BTC-USD", 43, 20000, false), digest);
  cr_expect_neq(digest_of("BTC-EUR", 42, 20000, false), digest);
}

Test(mock_market, the_sequence_of_heartbeats_only_grows) {
  static wb_delta delta[WB_MOCK_CHANGES_MAX];
  wb_mock_market market;
  wb_mock_text text;
  char bytes[WB_MOCK_HEARTBEAT_BYTES_MAX];
  cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", 50, 1, 1, 3, NULL), 0);
  wb_mock_text_init(&text, &market, false);
  json_int_t sequence = 0, trade = 0, first_trade = 0;
  for (int i = 0; i < 2000; i++) {
    wb_mock_market_step(&market, delta);
    size_t length = wb_mock_text_heartbeat(&text, "2026-08-02T05:43:52.535977Z", bytes);
    json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL);
    cr_assert(root);
    json_int_t next = json_integer_value(json_object_get(root, "sequence"));
    json_int_t next_trade = json_integer_value(json_object_get(root, "last_trade_id"));
    cr_assert_gt(next, sequence);
    cr_assert_geq(next_trade, trade);
    if (!i) first_trade = next_trade;
    sequence = next;
    trade = next_trade;
    json_decref(root);
  }
  cr_expect_gt(trade, first_trade);
  wb_mock_market_close(&market);
}

/* ------------------------------------------------------------------------------------------------ text */

Test(mock_market, trades_take_from_the_best_level_of_before_and_their_ids_have_no_holes) {
  wb_mock_market market;
  cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", 50, 7, 1, 3, NULL), 0);
  wb_delta delta[WB_MOCK_CHANGES_MAX];
  uint64_t id = market.last_trade_id, volume = 0, trades = 0;
  cr_assert_eq(market.last_trade.id, id);
  for (int step = 0; step < 20000; step++) {
    uint64_t best[2] = {wb_mock_market_level(&market, WB_SIDE_BID, 0)->price,
                        wb_mock_market_level(&market, WB_SIDE_ASK, 0)->price};
    unsigned count = wb_mock_market_step(&market, delta);
    cr_assert_leq(market.trade_count, count);
    for (uint32_t i = 0; i < market.trade_count; i++) {
      const wb_mock_trade *trade = &market.trade[i];
      cr_assert_eq(trade->id, ++id);
      cr_assert_gt(trade->size, 0u);
      if (i == 0 && count == 1) cr_assert_eq(trade->price, best[trade->side]);
      volume += trade->size;
      trades++;
    }
    cr_assert_eq(market.last_trade_id, id);
    cr_assert_eq(market.last_trade.id, id);
  }
  cr_assert_eq(market.volume, volume);
  cr_assert_gt(trades, 500u);
  cr_assert(market.low <= market.open && market.open <= market.high && market.low < market.high);
  wb_mock_market_close(&market);
}

Test(mock_text, tickers_and_matches_say_the_market_as_it_is) {
  for (int spaced = 0; spaced < 2; spaced++) {
    wb_mock_market market;
    wb_mock_text text;
    wb_delta delta[WB_MOCK_CHANGES_MAX];
    cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", 50, 7, 1, 3, NULL), 0);
    wb_mock_text_init(&text, &market, spaced);
    while (!market.trade_count) wb_mock_market_step(&market, delta);
    char to[WB_MOCK_TICKER_BYTES_MAX];
    wb_mock_time time = {0};
    const char *now = wb_mock_time_text(&time, START_US);
    size_t bytes = wb_mock_text_ticker(&text, now, to);
    cr_assert_eq(memmem(to, bytes, ": ", 2) != NULL, spaced);
    json_t *root = json_loadb(to, bytes, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(root);
    cr_assert_str_eq(json_string_value(json_object_get(root, "type")), "ticker");
    cr_assert_eq(exact(json_string_value(json_object_get(root, "best_bid")), 2),
                 wb_mock_market_level(&market, WB_SIDE_BID, 0)->price);
    cr_assert_eq(exact(json_string_value(json_object_get(root, "best_ask_size")), 8),
                 wb_mock_market_level(&market, WB_SIDE_ASK, 0)->size);
    cr_assert_eq((uint64_t)json_integer_value(json_object_get(root, "trade_id")), market.last_trade_id);
    json_decref(root);
    bytes = wb_mock_text_match(&text, "match", &market.trade[0], now, to);
    root = json_loadb(to, bytes, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(root);
    cr_assert_eq(exact(json_string_value(json_object_get(root, "price")), 2), market.trade[0].price);
    cr_assert_eq(exact(json_string_value(json_object_get(root, "size")), 8), market.trade[0].size);
    cr_assert_str_eq(json_string_value(json_object_get(root, "side")), market.trade[0].side == WB_SIDE_BID ? "buy" : "sell");
    cr_assert_str_eq(json_string_value(json_object_get(root, "time")), "2026-08-02T05:43:52.535977Z");
    json_decref(root);
    wb_mock_market_close(&market);
  }
}

Test(mock_text, keys_stand_as_on_the_real_feed) {
  wb_mock_market market;
  wb_mock_text text;
  char bytes[4096];
  cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", 2, 1, 1, 3, NULL), 0);
  wb_delta delta[] = {{.price = 3747969, .size = 0, .side = WB_SIDE_BID},
                      {.price = 3748000, .size = 196000001, .side = WB_SIDE_ASK}};
  wb_mock_text_init(&text, &market, false);
  size_t length = wb_mock_text_update(&text, delta, 2, "2026-08-02T05:43:52.535977Z", bytes);
  bytes[length] = 0;
  cr_expect_str_eq(bytes,
                   "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"37479.69\",\"0.00000000\"],"
                   "[\"sell\",\"37480.00\",\"1.96000001\"]],\"time\":\"2026-08-02T05:43:52.535977Z\"}");
  wb_mock_text_init(&text, &market, true);
  length = wb_mock_text_update(&text, delta, 1, "2026-08-02T05:43:52.535977Z", bytes);
  bytes[length] = 0;
  cr_expect_str_eq(bytes, "{\"type\": \"l2update\", \"product_id\": \"BTC-USD\", \"changes\": [[\"buy\", \"37479.69\", "
                          "\"0.00000000\"]], \"time\": \"2026-08-02T05:43:52.535977Z\"}");
  wb_mock_text_init(&text, &market, false);
  length = wb_mock_text_snapshot(&text, "2026-08-02T05:43:52.535977Z", bytes);
  bytes[length] = 0;
  static const char *const order[] = {"{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"", "\"]],\"bids\":[[\"",
                                      "\"]],\"time\":\"2026-08-02T05:43:52.535977Z\"}"};
  const char *at = bytes;
  for (int i = 0; i < 3; i++) {
    const char *found = strstr(at, order[i]);
    cr_assert(found && (i || found == bytes), "%s", bytes);
    at = found + strlen(order[i]);
  }
  cr_expect_eq(*at, 0);
  wb_mock_market_close(&market);
}

static void slow_number(uint64_t value, unsigned decimals, uint64_t unit, char *text) {
  if (decimals)
    sprintf(text, "%llu.%0*llu", (unsigned long long)(value / unit), (int)decimals, (unsigned long long)(value % unit));
  else sprintf(text, "%llu", (unsigned long long)value);
}

Test(mock_text, numbers_are_exact) {
  static const uint64_t edges[] = {
      0, 1, 9, 10, 99, 100, 99999999, 100000000, 100000001, 9999999999999999, 10000000000000000, UINT64_MAX - 1, UINT64_MAX};
  uint64_t state = fresh_seed();
  for (int i = 0; i < 200000; i++) {
    uint64_t value = i < 13 * 9 ? edges[i / 9] : splitmix(&state) >> (splitmix(&state) & 63), unit = 1;
    unsigned decimals = (unsigned)i % 9;
    for (unsigned k = 0; k < decimals; k++) unit *= 10;
    char fast[64], slow[64];
    *wb_mock_text_number(fast, value, decimals, unit) = 0;
    slow_number(value, decimals, unit, slow);
    cr_assert_str_eq(fast, slow);
  }
}

Test(mock_text, times_are_exact_and_go_on_over_midnight) {
  wb_mock_time clock = {0};
  cr_expect_str_eq(wb_mock_time_text(&clock, 0), "1970-01-01T00:00:00.000000Z");
  cr_expect_str_eq(wb_mock_time_text(&clock, 1), "1970-01-01T00:00:00.000001Z");
  cr_expect_str_eq(wb_mock_time_text(&clock, INT64_C(1785628799999999)), "2026-08-01T23:59:59.999999Z");
  cr_expect_str_eq(wb_mock_time_text(&clock, INT64_C(1785628800000000)), "2026-08-02T00:00:00.000000Z");
  cr_expect_str_eq(wb_mock_time_text(&clock, INT64_C(1785628799000010)), "2026-08-01T23:59:59.000010Z");
  cr_expect_str_eq(wb_mock_time_text(&clock, INT64_C(1709164800000000)), "2024-02-29T00:00:00.000000Z");
}
