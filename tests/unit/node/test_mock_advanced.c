#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/decimal.h"
#include "tools/mock_advanced_text.h"

#define START_US INT64_C(1785649432535977)

static uint64_t fresh_seed(void) {
  uint64_t seed = (uint64_t)time(NULL);
  fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
  return seed;
}

static uint64_t dice(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *state >> 11;
}

/* ------------------------------------------------------------------------------------------------ numbers and times */

Test(mock_advanced, a_number_is_written_exactly_and_without_zeros_that_say_nothing) {
  uint64_t state = fresh_seed();
  for (int i = 0; i < 200000; i++) {
    unsigned decimals = (unsigned)(dice(&state) % 9);
    uint64_t value = dice(&state) >> dice(&state) % 53, unit = wb_pow10(decimals);
    if (dice(&state) % 3 == 0) value -= value % wb_pow10((unsigned)(dice(&state) % 9));
    char text[40], expected[WB_DECIMAL_TEXT_BYTES];
    *wb_mock_text_trimmed(text, value, decimals, unit) = 0;
    wb_decimal_print((__int128)value, decimals, expected);
    cr_assert_str_eq(text, expected, "%llu, %u decimals: %s", (unsigned long long)value, decimals, text);
  }
}

/* The same with the C library's fraction digits, cut one by one. */
static void slow_stamp(const char *time, unsigned ns, char *to) {
  sprintf(to, "%.26s%03u", time, ns);
  while (to[strlen(to) - 1] == '0') to[strlen(to) - 1] = 0;
  if (to[strlen(to) - 1] == '.') to[strlen(to) - 1] = 0;
  strcat(to, "Z");
}

Test(mock_advanced, a_time_has_as_many_digits_as_it_needs) {
  uint64_t state = fresh_seed();
  for (int i = 0; i < 50000; i++) {
    static const int64_t steps[] = {1, 10, 1000, 100000, 1000000};
    int64_t step = steps[dice(&state) % 5], us = START_US / step * step + (int64_t)(dice(&state) % 1000) * step;
    wb_mock_time clock = {0};
    const char *time = wb_mock_time_text(&clock, us);
    unsigned ns = dice(&state) % 4 ? (unsigned)(dice(&state) % 1000) : 0;
    char text[32], expected[48];
    cr_assert_eq(wb_mock_advanced_stamp(time, ns, text), strlen(text));
    slow_stamp(time, ns, expected);
    cr_assert_str_eq(text, expected);
  }
}

/* ------------------------------------------------------------------------------------------------ level 2, against the market */

/* Parses a text with a number put into its hole, after it was seen that it is no JSON without. */
static json_t *numbered(const char *text, size_t bytes, uint64_t number) {
  size_t hole = wb_mock_advanced_hole(text, bytes);
  cr_assert_gt(hole, 0, "no hole in %.*s", (int)(bytes < 200 ? bytes : 200), text);
  cr_assert_null(json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL));
  char *whole = malloc(bytes + 32);
  int more = sprintf(whole, "%.*s%llu", (int)hole, text, (unsigned long long)number) - (int)hole;
  memcpy(whole + hole + more, text + hole, bytes - hole);
  cr_assert_eq(wb_mock_advanced_hole(whole, bytes + (size_t)more), 0, "a number and a hole");
  json_error_t where;
  json_t *root = json_loadb(whole, bytes + (size_t)more, JSON_REJECT_DUPLICATES, &where);
  cr_assert(root, "%s in %.300s", where.text, whole);
  cr_assert_eq(json_integer_value(json_object_get(root, "sequence_num")), (json_int_t)number);
  free(whole);
  return root;
}

static json_t *first_event(json_t *root) {
  json_t *list = json_object_get(root, "events");
  cr_assert_eq(json_array_size(list), 1);
  return json_array_get(list, 0);
}

static uint64_t exact(const char *text, unsigned decimals) {
  uint64_t value;
  cr_assert_eq(wb_decimal_parse(text, strlen(text), decimals, &value), 0, "%s with %u decimals", text, decimals);
  return value;
}

static const char *string_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  cr_assert(text, "no %s", key);
  return text;
}

static wb_delta read_change(const wb_mock_market *market, const json_t *change) {
  const char *side = string_of(change, "side");
  cr_assert(strcmp(side, "bid") == 0 || strcmp(side, "offer") == 0);
  return (wb_delta){.price = exact(string_of(change, "price_level"), market->price_decimals),
                    .size = exact(string_of(change, "new_quantity"), market->size_decimals),
                    .side = strcmp(side, "bid") == 0 ? WB_SIDE_BID : WB_SIDE_ASK};
}

/* Writes into memory of exactly the promised size, so that a sanitizer sees a byte too many. */
static json_t *written(const wb_mock_text *text, const wb_delta *delta, unsigned count, const char *time) {
  const wb_mock_side *side = text->market->side;
  size_t room = wb_mock_advanced_update_bytes_max(delta ? count : side[0].count + side[1].count);
  char *bytes = malloc(room + WB_MOCK_TEXT_SLACK);
  size_t length =
      delta ? wb_mock_advanced_update(text, delta, count, time, bytes) : wb_mock_advanced_snapshot(text, time, bytes);
  cr_assert_leq(length, room);
  json_t *root = numbered(bytes, length, length);
  free(bytes);
  return root;
}

static void whole_book(const wb_mock_text *text, const char *time) {
  const wb_mock_market *market = text->market;
  json_t *root = written(text, NULL, 0, time), *event = first_event(root), *change;
  cr_assert_str_eq(string_of(event, "type"), "snapshot");
  unsigned seen[2] = {0, 0}, turns = 0;
  int last = -1;
  char *found[2] = {calloc(market->side[0].count, 1), calloc(market->side[1].count, 1)};
  size_t i;
  json_array_foreach(json_object_get(event, "updates"), i, change) {
    wb_delta level = read_change(market, change);
    uint32_t rank = 0;
    while (wb_mock_market_level(market, level.side, rank) &&
           wb_mock_market_level(market, level.side, rank)->price != level.price)
      rank++;
    cr_assert_lt(rank, market->side[level.side].count, "a level that is not there");
    cr_assert_eq(wb_mock_market_level(market, level.side, rank)->size, (uint64_t)level.size);
    cr_assert_eq(found[level.side][rank], 0, "a level twice");
    found[level.side][rank] = 1;
    seen[level.side]++;
    turns += last >= 0 && last != (int)level.side;
    last = level.side;
    if (text->epoch) cr_assert_str_eq(string_of(change, "event_time"), "1970-01-01T00:00:00Z");
  }
  cr_assert_eq(seen[0], market->side[0].count);
  cr_assert_eq(seen[1], market->side[1].count);
  if (seen[0] > 50 && seen[1] > 50) cr_assert_gt(turns, 10, "the sides are apart");
  free(found[0]);
  free(found[1]);
  json_decref(root);
}

static void follow(const char *product, const char *name, uint32_t levels, uint32_t most, bool spaced_too, bool epoch) {
  static wb_delta delta[WB_MOCK_CHANGES_MAX];
  wb_mock_market market;
  wb_mock_text text;
  wb_mock_time clock = {0};
  cr_assert_eq(wb_mock_market_open(&market, product, levels, fresh_seed(), 1, most, NULL), 0);
  wb_mock_text_init(&text, &market, spaced_too);
  text.epoch = epoch;
  whole_book(&text, wb_mock_time_text(&clock, START_US));
  for (int64_t i = 0; i < 300; i++) {
    const char *time = wb_mock_time_text(&clock, START_US + i * 1000);
    unsigned count = wb_mock_market_step(&market, delta);
    json_t *root = written(&text, delta, count, time), *event = first_event(root), *list = json_object_get(event, "updates");
    cr_assert_str_eq(string_of(root, "channel"), "l2_data");
    cr_assert_str_eq(string_of(event, "type"), "update");
    cr_assert_str_eq(string_of(event, "product_id"), name);
    cr_assert_eq(memcmp(string_of(root, "timestamp"), time, 23), 0);
    cr_assert_eq(json_array_size(list), count);
    for (unsigned n = 0; n < count; n++) {
      wb_delta change = read_change(&market, json_array_get(list, n));
      cr_assert(change.price == delta[n].price && change.size == delta[n].size && change.side == delta[n].side);
    }
    json_decref(root);
  }
  whole_book(&text, wb_mock_time_text(&clock, START_US));
  wb_mock_market_close(&market);
}

Test(mock_advanced, updates_and_snapshots_say_exactly_what_the_book_does) {
  follow("BTC-USD", "BTC-USD", 400, 3, false, false);
  follow("SKL-USD", "SKL-USD", 60, 50, true, true);
  follow("SKL-BTC", "SKL-BTC", 1, 1, false, true);
  follow("A-USDC", "A-USD", 2, 4096, true, false);
  follow("ABCDEFGHIJ-KLMNOPQRST-UVWX-USDC", "ABCDEFGHIJ-KLMNOPQRST-UVWX-USD", 100, 4096, false, false);
}

Test(mock_advanced, fields_of_a_change_are_found_with_and_without_blanks) {
  wb_mock_market market;
  wb_mock_text text;
  cr_assert_eq(wb_mock_market_open(&market, "BTC-USD", 10, 1, 1, 3, NULL), 0);
  for (int blanks = 0; blanks < 2; blanks++) {
    wb_delta delta = {.price = 3748123, .size = 150000000, .side = WB_SIDE_ASK};
    static const char *const expected[] = {"offer", "37481.23", "1.5"};
    char bytes[1024];
    wb_mock_text_init(&text, &market, blanks);
    size_t count = wb_mock_advanced_update(&text, &delta, 1, "2026-08-02T05:43:52.535977Z", bytes);
    for (int field = WB_MOCK_SIDE; field <= WB_MOCK_SIZE; field++) {
      size_t from, to;
      wb_mock_advanced_field(bytes, count, (wb_mock_field)field, &from, &to);
      cr_assert_eq(to - from, strlen(expected[field]));
      cr_assert_eq(memcmp(bytes + from, expected[field], to - from), 0);
    }
  }
  wb_mock_market_close(&market);
}

Test(mock_advanced, only_an_empty_sequence_num_is_a_hole) {
  static const char head[] = "{\"channel\":\"l2_data\",\"timestamp\":\"2026-08-02T05:43:52Z\"";
  static const char *const rest[] = {"",
                                     ",",
                                     ":,",
                                     ",\"sequence_num\":0,\"events\":[]}",
                                     ",\"a\":\"x:,\",\"b\": , }",
                                     ",\"sequence_nums\":,\"a\":1}",
                                     ",\"sequence_num\",,",
                                     ",\"note\":\"sequence_num\":x,"};
  char text[600];
  for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
    int count = sprintf(text, "%s%s", head, rest[i]);
    for (int bytes = 0; bytes <= count; bytes++) cr_assert_eq(wb_mock_advanced_hole(text, (size_t)bytes), 0, "%s", text);
  }
  for (int blank = 0; blank < 2; blank++) {
    int count = sprintf(text, "%s,\"sequence_num\":%s,\"events\":[]}", head, blank ? " " : "");
    size_t expected = sizeof head - 1 + 16 + (size_t)blank;
    for (size_t bytes = 0; bytes <= (size_t)count; bytes++)
      cr_assert_eq(wb_mock_advanced_hole(text, bytes), bytes > expected ? expected : 0);
  }
  memset(text, ' ', sizeof text);
  memcpy(text + 500, "\"sequence_num\":,", 16);
  cr_assert_eq(wb_mock_advanced_hole(text, sizeof text), 0, "looked for in the head alone");
}

/* ------------------------------------------------------------------------------------------------ trades */

enum { SLOW_TRADES = 4000 };

Test(mock_advanced, a_tape_tells_each_trade_once_and_makes_candles_of_five_minutes) {
  static wb_mock_print all[SLOW_TRADES];
  wb_mock_tape tape;
  uint64_t state = fresh_seed(), told = 1;
  int64_t us = START_US;
  all[0] = (wb_mock_print){{.id = 7, .price = 1000, .size = 5}, us};
  wb_mock_tape_init(&tape, &all[0].trade, us);
  cr_assert(wb_mock_tape_waiting(&tape) == 0 && wb_mock_tape_past(&tape) == 1 && tape.candle.volume == 0);
  for (uint64_t made = 1; made < SLOW_TRADES; made++) {
    if (wb_mock_tape_waiting(&tape) == WB_MOCK_BATCH_TRADES || dice(&state) % 20 == 0) {
      cr_assert_eq(wb_mock_tape_waiting(&tape), made - told);
      for (; told < made; told++) cr_assert_eq(memcmp(wb_mock_tape_at(&tape, told), &all[told], sizeof all[0]), 0);
      tape.told = tape.made;
    }
    us += (int64_t)(dice(&state) % 40) * (dice(&state) % 10 ? 1000 : 3000000);
    all[made] = (wb_mock_print){{.id = 7 + made, .price = 900 + dice(&state) % 200, .size = 1 + dice(&state) % 9}, us};
    wb_mock_tape_add(&tape, &all[made].trade, us);
    unsigned past = wb_mock_tape_past(&tape);
    cr_assert_eq(past, told < WB_MOCK_PAST_TRADES ? told : WB_MOCK_PAST_TRADES);
    for (uint64_t n = told - past; n < told; n++) cr_assert_eq(wb_mock_tape_at(&tape, n)->trade.id, 7 + n);
    int64_t bucket_s = us / 300000000 * 300;
    wb_mock_candle candle = {.start_s = bucket_s, .low = UINT64_MAX};
    for (uint64_t n = 0; n <= made; n++) {
      const wb_mock_trade *trade = &all[n].trade;
      if (all[n].time_us / 300000000 * 300 != bucket_s) continue;
      if (!candle.open) candle.open = trade->price;
      if (trade->price > candle.high) candle.high = trade->price;
      if (trade->price < candle.low) candle.low = trade->price;
      candle.close = trade->price;
      candle.volume += n ? trade->size : 0;
    }
    cr_assert_eq(memcmp(&candle, &tape.candle, sizeof candle), 0, "trade %llu", (unsigned long long)made);
  }
}

Test(mock_advanced, the_longest_messages_of_trades_tickers_candles_and_status_fit_their_room) {
  wb_mock_market market;
  wb_mock_text text;
  wb_mock_tape tape;
  wb_mock_time clock = {0};
  cr_assert_eq(wb_mock_market_open(&market, "ABCDEFGHIJ-KLMNOPQRST-UVWX-PERP", 10, 1, 1, 1, NULL), 0);
  market.price_decimals = market.size_decimals = 8;
  market.sequence = UINT64_MAX - 1;
  market.open = 1;
  market.low = market.high = market.volume = UINT64_MAX - 1;
  wb_mock_trade trade = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 1, WB_SIDE_ASK};
  market.last_trade = trade;
  for (int side = 0; side < 2; side++)
    for (uint32_t i = 0; i < market.side[side].count; i++)
      market.side[side].level[i] = (wb_mock_level){UINT64_MAX - 1, UINT64_MAX - 1};
  wb_mock_text_init(&text, &market, false);
  const char *time = wb_mock_time_text(&clock, START_US);
  wb_mock_tape_init(&tape, &trade, START_US);
  for (int i = 0; i < WB_MOCK_BATCH_TRADES; i++) wb_mock_tape_add(&tape, &trade, START_US);
  char *room = malloc(WB_MOCK_ADVANCED_TRADES_BYTES_MAX), *small = malloc(WB_MOCK_ADVANCED_BYTES_MAX);
  for (int snapshot = 0; snapshot < 2; snapshot++) {
    size_t bytes = wb_mock_advanced_trades(&text, &tape, 1, WB_MOCK_BATCH_TRADES, snapshot, time, room);
    cr_assert_lt(bytes, WB_MOCK_ADVANCED_TRADES_BYTES_MAX);
    json_t *root = numbered(room, bytes, 1);
    cr_assert_eq(json_array_size(json_object_get(first_event(root), "trades")), WB_MOCK_BATCH_TRADES);
    json_decref(root);
  }
  wb_mock_candle candle = {INT64_MAX, UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX - 1};
  size_t bytes[] = {0, 0, 0, 0};
  for (int i = 0; i < 4; i++) {
    bytes[i] = i == 0   ? wb_mock_advanced_ticker(&text, false, "snapshot", time, small)
               : i == 1 ? wb_mock_advanced_ticker(&text, true, "update", time, small)
               : i == 2 ? wb_mock_advanced_candle(&text, &candle, "snapshot", time, small)
                        : wb_mock_advanced_heartbeat(time, UINT64_MAX, true, small);
    cr_assert_lt(bytes[i], WB_MOCK_ADVANCED_BYTES_MAX);
    json_decref(numbered(small, bytes[i], UINT64_MAX / 2));
  }
  json_t *product = json_loadb(small, wb_mock_advanced_product(&text, small), 0, NULL);
  cr_assert(product);
  cr_assert_str_eq(string_of(product, "base_increment"), "0.00000001");
  json_decref(product);
  free(room);
  free(small);
  wb_mock_market_close(&market);
}
