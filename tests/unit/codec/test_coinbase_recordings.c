/* Recorded frames of a folder that WIREBOOK_RECORDINGS names, each file as a whole: what its frames become, and under which reason the odd ones end. */
#include <criterion/criterion.h>

#include "engine/codec/coinbase_advanced.h"
#include "engine/codec/coinbase_orders.h"
#include "tests/unit/codec/capture.h"

enum { KINDS = WB_MESSAGE_UNKNOWN + 1, PRODUCTS_MAX = 16 };

typedef struct recording {
  char *text;
  size_t bytes;
  uint32_t frames[KINDS]; /* by the kind of their last message */
  uint32_t past, scales;
  wb_products products;
  void *table, *state;
  const wb_codec *codec;
  capture got;
} recording;

static recording *open_recording(const char *name, const wb_codec *codec) {
  const char *folder = getenv("WIREBOOK_RECORDINGS");
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder ? folder : "", name);
  FILE *file = folder ? fopen(path, "rb") : NULL;
  if (!file) cr_skip_test("WIREBOOK_RECORDINGS names no folder with %s", name);
  recording *r = calloc(1, sizeof *r);
  fseek(file, 0, SEEK_END);
  r->bytes = (size_t)ftell(file);
  rewind(file);
  r->text = calloc(1, r->bytes + WB_READ_SLACK_BYTES);
  cr_assert_eq(fread(r->text, 1, r->bytes, file), r->bytes);
  fclose(file);
  r->codec = codec;
  cr_assert_eq(posix_memalign(&r->table, 64, wb_products_bytes(PRODUCTS_MAX)), 0);
  wb_products_init(&r->products, r->table, PRODUCTS_MAX);
  for (const char *at = r->text; (at = strstr(at, "\"product_id\""));) { /* all that it names are asked for */
    at = strchr(at + 12, '"') + 1;
    cr_assert_geq(wb_products_add(&r->products, at, strcspn(at, "\"")), 0);
  }
  cr_assert_eq(posix_memalign(&r->state, 64, codec->size(&r->products)), 0);
  cr_assert_eq(codec->init(r->state, &r->products), 0);
  capture_init(&r->got, &r->products);
  return r;
}

static void close_recording(recording *r) {
  capture_clear(&r->got);
  free(r->state);
  free(r->table);
  free(r->text);
  free(r);
}

/* The next frame, or NULL; what it became is in got. */
static const char *next_frame(recording *r, const char *before, size_t *bytes) {
  const char *line = before ? before + strcspn(before, "\n") + 1 : r->text;
  while (*line == '\n') line++;
  *bytes = strcspn(line, "\n");
  if (*bytes == 0) return NULL;
  wb_frame frame = {.kind = WB_FRAME_TEXT, .bytes = (uint32_t)*bytes, .line = 1};
  capture_clear(&r->got);
  r->codec->decode(r->state, &frame, (const uint8_t *)line, &r->got.out);
  cr_assert_null(r->got.broken, "%s: %.*s", r->got.broken, (int)(*bytes < 300 ? *bytes : 300), line);
  capture_drop_aborted(&r->got);
  cr_assert_gt(r->got.count, 0);
  const wb_message *last = r->got.message[r->got.count - 1];
  r->frames[last->kind]++;
  r->past += (last->flags & WB_FLAG_PAST) != 0;
  return line;
}

static void decode_all(recording *r) {
  const char *line = NULL;
  for (size_t bytes; (line = next_frame(r, line, &bytes));) {
  }
}

/* What the n-th frame, from 1, became. */
static void becomes(recording *r, unsigned n, const char *want) {
  const char *line = NULL;
  char got[4096];
  size_t bytes, used = 0;
  while (n--) line = next_frame(r, line, &bytes);
  for (unsigned i = 0; i < r->got.count; i++) {
    if (i) got[used++] = '\n';
    used += capture_print(&r->got, i, got + used, sizeof got - used);
  }
  cr_expect_str_eq(got, want);
}

/* A member's decimal as units of 10^-decimals, read digit by digit; its key must be there. */
static uint64_t slow_number(const char *line, const char *key, unsigned decimals) {
  char name[32];
  snprintf(name, sizeof name, "\"%s\":\"", key);
  const char *at = strstr(line, name);
  cr_assert_not_null(at, "%s", key);
  uint64_t value = 0;
  bool point = false;
  unsigned places = 0;
  for (at += strlen(name); *at != '"'; at++) {
    if (*at == '.') point = true;
    else if (places < decimals || !point) value = value * 10 + (uint64_t)(*at - '0'), places += point;
    else cr_assert_eq(*at, '0', "%s", key);
  }
  for (; places < decimals; places++) value *= 10;
  return value;
}

#define ADVANCED &wb_codec_coinbase_advanced
#define EXCHANGE &wb_codec_coinbase_exchange

Test(recordings, every_frame_of_ten_products_in_2021_is_known_and_right) {
  recording *r = open_recording("cryptofeed_2021-04-17_10products_l2_ticker_matches.jsonl", EXCHANGE);
  const char *line = NULL;
  for (size_t bytes; (line = next_frame(r, line, &bytes));) {
    const wb_message *m = r->got.message[r->got.count - 1];
    if (m->kind != WB_MESSAGE_TICKER) continue;
    const wb_delta *d = m->deltas;
    char text[1024];
    snprintf(text, sizeof text, "%.*s", (int)bytes, line);
    const unsigned flags = WB_FLAG_BEST | WB_FLAG_TRADE | WB_FLAG_VOLUME_24H | WB_FLAG_VOLUME_30D;
    cr_assert_eq(m->flags, flags, "%s", text);
    cr_assert_eq(d[WB_TICKER_BID].price, slow_number(text, "best_bid", WB_DECIMALS_DEFAULT));
    cr_assert_eq(d[WB_TICKER_ASK].price, slow_number(text, "best_ask", WB_DECIMALS_DEFAULT));
    cr_assert_eq(d[WB_TICKER_LAST].price, slow_number(text, "price", m->decimals[0]));
    cr_assert_eq(d[WB_TICKER_LAST].size, slow_number(text, "last_size", m->decimals[1]));
    cr_assert_eq(d[WB_TICKER_LAST].side == WB_SIDE_ASK, strstr(text, "\"side\":\"sell\"") != NULL);
    cr_assert_eq(d[WB_TICKER_OPEN_24H].price, slow_number(text, "open_24h", m->decimals[0]));
    cr_assert_eq(d[WB_TICKER_LOW_24H].price, slow_number(text, "low_24h", m->decimals[0]));
    cr_assert_eq(d[WB_TICKER_HIGH_24H].price, slow_number(text, "high_24h", m->decimals[0]));
    cr_assert_eq(d[WB_TICKER_OPEN_24H].size, slow_number(text, "volume_24h", m->decimals[1]));
    cr_assert_eq(d[WB_TICKER_LOW_24H].size, slow_number(text, "volume_30d", m->decimals[1]));
    cr_assert_eq(m->u.ticker.trade_id, strtoull(strstr(text, "\"trade_id\":") + 11, NULL, 10));
    cr_assert_eq(m->u.ticker.sequence, strtoull(strstr(text, "\"sequence\":") + 11, NULL, 10));
  }
  static const uint32_t want[KINDS] = {[WB_MESSAGE_SUBSCRIPTIONS] = 3,
                                       [WB_MESSAGE_SNAPSHOT] = 10,
                                       [WB_MESSAGE_UPDATE] = 9719,
                                       [WB_MESSAGE_TICKER] = 107,
                                       [WB_MESSAGE_TRADE] = 107};
  for (unsigned kind = 0; kind < KINDS; kind++) cr_expect_eq(r->frames[kind], want[kind], "kind %u: %u", kind, r->frames[kind]);
  cr_expect_eq(r->past, 10, "one last_match a product");
  close_recording(r);
}

Test(recordings, every_frame_of_level2_in_2018_and_2022_is_known) {
  static const struct {
    const char *name;
    uint32_t snapshots, updates;
  } files[] = {{"bytewax_2022-07-13_BTC_ETH_level2.jsonl", 2, 14}, {"sanketr_2018_BTC-USD_level2.jsonl", 1, 10}};
  for (unsigned i = 0; i < 2; i++) {
    recording *r = open_recording(files[i].name, EXCHANGE);
    decode_all(r);
    for (unsigned kind = 0; kind < KINDS; kind++)
      cr_expect_eq(r->frames[kind],
                   kind == WB_MESSAGE_SNAPSHOT ? files[i].snapshots
                   : kind == WB_MESSAGE_UPDATE ? files[i].updates
                                               : 0,
                   "%s, kind %u: %u", files[i].name, kind, r->frames[kind]);
    close_recording(r);
  }
}

Test(recordings, every_frame_of_level2_50_in_2026_is_known) {
  recording *r = open_recording("exchange_2026-08-02_level2_50_ETH.jsonl", EXCHANGE);
  becomes(r, 1, "subscriptions ETH-USD"); /* of its two products only this one has frames */
  becomes(r, 3, "trade ETH-USD at 1785649426370822000 past sequence 101198200174 trade 831829513 ask:187357000000:14237354");
  memset(r->frames, 0, sizeof r->frames);
  decode_all(r);
  cr_expect_eq(r->frames[WB_MESSAGE_SUBSCRIPTIONS] + r->frames[WB_MESSAGE_SNAPSHOT] + r->frames[WB_MESSAGE_TRADE] +
                   r->frames[WB_MESSAGE_UPDATE],
               4);
  close_recording(r);
}

Test(recordings, every_frame_of_the_advanced_feed_in_2026_is_known) {
  recording *r = open_recording("advanced_2026-09-07_BTC-PERP-INTX.jsonl", ADVANCED);
  becomes(r, 1,
          "snapshot BTC-PERP-INTX at 1788746278894355000 ask:7994410000000:120000000 bid:7994390000000:301050000 "
          "bid:7994380000000:50000000 ask:7994400000000:4800000");
  close_recording(r);
  r = open_recording("advanced_2026-09-07_BTC-PERP-INTX.jsonl", ADVANCED);
  becomes(r, 4, "heartbeat - at 1788824242674409000 sequence 3 counter 139651");
  close_recording(r);
  r = open_recording("advanced_2026-09-07_BTC-PERP-INTX.jsonl", ADVANCED);
  decode_all(r);
  static const uint32_t want[KINDS] = {
      [WB_MESSAGE_SNAPSHOT] = 1, [WB_MESSAGE_SUBSCRIPTIONS] = 2, [WB_MESSAGE_HEARTBEAT] = 1, [WB_MESSAGE_ERROR] = 1};
  for (unsigned kind = 0; kind < KINDS; kind++) cr_expect_eq(r->frames[kind], want[kind], "kind %u: %u", kind, r->frames[kind]);
  close_recording(r);
}

Test(recordings, odd_frames_of_2019_to_2022_end_under_their_reasons) {
  recording *r = open_recording("tardis-node_mappers_2019-2022_coinbase.jsonl", EXCHANGE);
  becomes(r, 1, "trade ETC-GBP at 1564617603816000000 sequence 253395153 trade 216544 bid:497800000:97133855");
  becomes(r, 2, "update BTC-EUR at 1564617603818000000 ask:920254000000:43200000");     /* milliseconds */
  becomes(r, 4, "snapshot BAT-USDC bid:24717500:529900000000 ask:25717500:1200000000"); /* type not first */
  becomes(r, 5, "update BTC-EUR bid:920270000000:58667860 ask:922239000000:459825");    /* year 0001: no time, but applied */
  becomes(r, 6, "reject YFI-USD bad_number 119");                                       /* size 0.-10000 */
  becomes(r, 7,
          "ticker BTC-USD at 1554076804540000000 sequence 8176375276 no sizes bid:409499000000:0 ask:409500000000:0 units 2 8 "
          "last 409500 open_24h 409414 low_24h 407701 high_24h 410300 bought 200000000 trade 61165589 volume_24h 314270640811 "
          "volume_30d 18321970896887");
  becomes(r, 9,
          "ticker BTC-USD at 1669852800122581000 sequence 50978628538 bid:1716515000000:61540890 ask:1716776000000:18528568 "
          "units 2 8 last 1716516 open_24h 1643794 low_24h 1642337 high_24h 1725937 sold 5000000 trade 463751434 volume_24h "
          "4249205081975 volume_30d 109382795195495");
  memset(r->frames, 0, sizeof r->frames);
  decode_all(r);
  static const uint32_t want[KINDS] = {[WB_MESSAGE_TRADE] = 1,
                                       [WB_MESSAGE_UPDATE] = 3,
                                       [WB_MESSAGE_SNAPSHOT] = 1,
                                       [WB_MESSAGE_REJECT] = 1,
                                       [WB_MESSAGE_TICKER] = 3};
  for (unsigned kind = 0; kind < KINDS; kind++) cr_expect_eq(r->frames[kind], want[kind], "kind %u: %u", kind, r->frames[kind]);
  close_recording(r);
}

Test(recordings, every_error_is_an_error) {
  for (unsigned dialect = 0; dialect < 2; dialect++) {
    recording *r = open_recording("errors.jsonl", dialect ? ADVANCED : EXCHANGE);
    decode_all(r);
    for (unsigned kind = 0; kind < KINDS; kind++) cr_expect_eq(r->frames[kind], kind == WB_MESSAGE_ERROR ? 6 : 0);
    close_recording(r);
  }
}

static uint32_t order_kinds[WB_ORDER_IGNORED + 1];
static void count_order(wb_order_out *out, const wb_order_event *event) {
  (void)out;
  order_kinds[event->kind]++;
}

Test(recordings, every_frame_of_full_in_2016_is_known_to_level_3_and_its_match_to_level_2) {
  recording *r = open_recording("pyalgotrade_2016-03_BTC-USD_full_0.jsonl", EXCHANGE);
  const wb_codec *codec = wb_codec_find("coinbase-exchange");
  wb_coinbase *orders = aligned_alloc(64, (codec->size(&r->products) + 63) & ~(size_t)63);
  cr_assert_eq(codec->init(orders, &r->products), 0);
  wb_order_out out = {count_order};
  const char *line = NULL;
  for (size_t bytes; (line = next_frame(r, line, &bytes));)
    wb_coinbase_orders_decode(orders, (const uint8_t *)line, (uint32_t)bytes, &out);
  static const uint32_t want[WB_ORDER_IGNORED + 1] = {
      [WB_ORDER_OPEN] = 7901, [WB_ORDER_RECEIVED] = 793, [WB_ORDER_DONE] = 790, [WB_ORDER_MATCH] = 1};
  for (unsigned kind = 0; kind <= WB_ORDER_IGNORED; kind++) cr_expect_eq(order_kinds[kind], want[kind], "kind %u", kind);
  for (unsigned kind = 0; kind < KINDS; kind++)
    cr_expect_eq(r->frames[kind],
                 kind == WB_MESSAGE_TRADE     ? 1
                 : kind == WB_MESSAGE_IGNORED ? 7901 + 793 + 790
                                              : 0,
                 "kind %u", kind);
  free(orders);
  close_recording(r);
}
