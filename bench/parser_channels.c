#include "bench/parser_channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/coinbase_advanced.h"
#include "engine/codec/coinbase_exchange.h"

/* 256 messages a row, each printed from integers whose sum is kept. Those of status are a list of STATUS_ROWS products. */
enum { MESSAGES = 256, STATUS_ROWS = 100, TEXT_BYTES_MAX = 320 * STATUS_ROWS, PLAIN_BYTES_MAX = 2048 };

/* What a message is printed with: numbers of two and of eight places that need all of them, and the sum of what they become. */
typedef struct print {
  char *text;
  uint32_t used;
  uint64_t random, sum;
  char number[8][32];
  unsigned numbers;
} print;

typedef struct row {
  const char *name;
  const wb_codec *codec;
  void (*print)(print *p);
  uint32_t bytes_max;
} row;

typedef struct channel {
  wb_out out;
  const row *row;
  wb_products products;
  wb_coinbase *state;
  wb_message *message;
  uint8_t *text;
  wb_frame frame[MESSAGES];
  uint64_t message_sum[MESSAGES], sum, bytes, wrong;
  _Alignas(64) uint8_t table[4096];
} channel;

static uint64_t next(print *p) {
  p->random ^= p->random << 13;
  p->random ^= p->random >> 7;
  p->random ^= p->random << 17;
  return p->random;
}

#define PUT(...) (p->used += (uint32_t)sprintf(p->text + p->used, __VA_ARGS__))

/* A number as text, which lasts for seven more; in units of `book` more places it goes to the sum. */
static const char *number(print *p, unsigned places, uint64_t below, uint64_t book) {
  char *to = p->number[p->numbers++ % 8];
  uint64_t value = next(p) % below * 10 + 1 + next(p) % 9, unit = places == 2 ? 100 : 100000000;
  p->sum += value * book;
  sprintf(to, "%lu.%0*lu", (unsigned long)(value / unit), (int)places, (unsigned long)(value % unit));
  return to;
}

static const char *price(print *p) { return number(p, 2, 900000, 1); }
static const char *book_price(print *p) { return number(p, 2, 900000, 1000000); }
static const char *size(print *p) { return number(p, 8, 100000000, 1); }

static void print_heartbeat(print *p) {
  uint64_t sequence = next(p) % 100000000000, trade = next(p) % 1000000000;
  p->sum += sequence + trade;
  PUT("{\"type\":\"heartbeat\",\"sequence\":%lu,\"last_trade_id\":%lu,\"product_id\":\"BTC-USD\",\"time\":\"2026-08-02T05:44:"
      "00.250000Z\"}",
      (unsigned long)sequence, (unsigned long)trade);
}

static void print_ticker(print *p) {
  PUT("{\"type\":\"ticker\",\"sequence\":%lu,\"product_id\":\"BTC-USD\",\"price\":\"%s\",\"open_24h\":\"%s\",\"volume_24h\":\"%"
      "s\","
      "\"low_24h\":\"%s\",\"high_24h\":\"%s\",\"volume_30d\":\"%s\",",
      (unsigned long)(next(p) % 100000000000), price(p), price(p), size(p), price(p), price(p), size(p));
  PUT("\"best_bid\":\"%s\",\"best_bid_size\":\"%s\",\"best_ask\":\"%s\",\"best_ask_size\":\"%s\",\"side\":\"%s\",\"time\":"
      "\"2026-08-02T05:44:00.540000Z\",\"trade_id\":%lu,\"last_size\":\"%s\"}",
      book_price(p), size(p), book_price(p), size(p), next(p) & 1 ? "buy" : "sell", (unsigned long)(next(p) % 1000000000),
      size(p));
}

static void print_trade(print *p, const char *type, bool book) {
  PUT("{\"type\":\"%s\",\"trade_id\":%lu,\"maker_order_id\":\"00000000-0000-4000-8000-000000000001\",\"taker_order_id\":"
      "\"00000000-0000-4000-8000-000000000002\",\"side\":\"%s\",\"size\":\"%s\",\"price\":\"%s\",\"product_id\":\"BTC-USD\","
      "\"sequence\":%lu,\"time\":\"2026-08-02T05:44:00.541000Z\"}",
      type, (unsigned long)(next(p) % 1000000000), next(p) & 1 ? "buy" : "sell", size(p), book ? book_price(p) : price(p),
      (unsigned long)(next(p) % 100000000000));
}

static void print_match(print *p) { print_trade(p, "match", true); }
static void print_rfq(print *p) { print_trade(p, "rfq_match", false); }

static void print_auction(print *p) {
  PUT("{\"type\":\"auction\",\"product_id\":\"BTC-USD\",\"sequence\":%lu,\"auction_state\":\"collection\",\"best_bid_price\":"
      "\"%s\","
      "\"best_bid_size\":\"%s\",\"best_ask_price\":\"%s\",\"best_ask_size\":\"%s\",\"open_price\":\"%s\",\"open_size\":\"%s\","
      "\"can_open\":\"yes\",\"timestamp\":\"2026-08-02T20:46:03.511254Z\"}",
      (unsigned long)(next(p) % 100000000000), price(p), size(p), price(p), size(p), price(p), size(p));
}

static void print_subscriptions(print *p) {
  p->sum += 1; /* products 0 and 1 */
  PUT("{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2_50\",\"product_ids\":[\"ETH-USD\",\"BTC-USD\"],\"account_"
      "ids\":null},"
      "{\"name\":\"heartbeat\",\"product_ids\":[\"ETH-USD\",\"BTC-USD\"],\"account_ids\":null}]}");
}

/* Two of the products are known: increments of 1, and a least order of 10. */
static void print_products(print *p, const char *more) {
  for (unsigned i = 0; i < STATUS_ROWS; i++) {
    char other[16];
    snprintf(other, sizeof other, "X%u-USD", i);
    bool known = i == 7 || i == 30;
    p->sum += known ? 12 : 0;
    PUT("%s{\"id\":\"%s\",\"base_currency\":\"X%u\",\"quote_currency\":\"USD\",\"base_increment\":\"0.00000001\",\"quote_"
        "increment\":"
        "\"0.01\",\"display_name\":\"X%u-USD\",\"status\":\"online\",\"status_message\":\"\",\"min_market_funds\":\"10\"%s}",
        i ? "," : "", known ? i == 7 ? "BTC-USD" : "ETH-USD" : other, i, i, more);
  }
}

static void print_status(print *p) {
  PUT("{\"type\":\"status\",\"products\":[");
  print_products(p, ",\"post_only\":false,\"limit_only\":false,\"cancel_only\":false,\"fx_stablecoin\":false");
  PUT("],\"currencies\":[]}");
}

static void advanced_begin(print *p, const char *name) {
  PUT("{\"channel\":\"%s\",\"client_id\":\"\",\"timestamp\":\"2026-09-07T01:58:00.%06luZ\",\"sequence_num\":%lu,\"events\":[",
      name, (unsigned long)(next(p) % 1000000), (unsigned long)(next(p) % 1000000));
}

static void print_l2_data(print *p) {
  advanced_begin(p, "l2_data");
  PUT("{\"type\":\"update\",\"product_id\":\"BTC-USD\",\"updates\":[{\"side\":\"bid\",\"event_time\":\"2026-09-07T01:58:00."
      "090001Z\","
      "\"price_level\":\"%s\",\"new_quantity\":\"%s\"}]}]}",
      book_price(p), size(p));
}

static void print_heartbeats(print *p) {
  uint64_t counter = next(p) % 1000000;
  p->sum += counter;
  PUT("{\"channel\":\"heartbeats\",\"client_id\":\"\",\"timestamp\":\"2026-09-07T01:57:59.675755362Z\",\"sequence_num\":0,"
      "\"events\":["
      "{\"current_time\":\"2026-09-07 01:57:59.674409 +0000 UTC m=+139651.272674714\",\"heartbeat_counter\":%lu}]}",
      (unsigned long)counter);
}

static void advanced_ticker(print *p, const char *name, bool best) {
  advanced_begin(p, name);
  PUT("{\"type\":\"update\",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\"BTC-USD\",\"price\":\"%s\",\"volume_24_h\":\"%"
      "s\","
      "\"low_24_h\":\"%s\",\"high_24_h\":\"%s\",\"low_52_w\":\"%s\",\"high_52_w\":\"%s\",\"price_percent_chg_24_h\":\"-4."
      "15775596190603\"",
      price(p), size(p), price(p), price(p), price(p), price(p));
  if (best)
    PUT(",\"best_bid\":\"%s\",\"best_bid_quantity\":\"%s\",\"best_ask\":\"%s\",\"best_ask_quantity\":\"%s\"", book_price(p),
        size(p), book_price(p), size(p));
  PUT("}]}]}");
}

static void print_advanced_ticker(print *p) { advanced_ticker(p, "ticker", true); }
static void print_ticker_batch(print *p) { advanced_ticker(p, "ticker_batch", false); }

static void print_market_trades(print *p) {
  advanced_begin(p, "market_trades");
  PUT("{\"type\":\"update\",\"trades\":[");
  for (unsigned i = 0; i < 4; i++)
    PUT("%s{\"trade_id\":\"%u\",\"product_id\":\"BTC-USD\",\"price\":\"%s\",\"size\":\"%s\",\"side\":\"SELL\",\"time\":"
        "\"2026-09-07T01:58:00.450000Z\"}",
        i ? "," : "", 1000 - i, book_price(p), size(p));
  PUT("]}]}");
}

static void print_candles(print *p) {
  advanced_begin(p, "candles");
  PUT("{\"type\":\"update\",\"candles\":[{\"start\":\"1788746400\",\"high\":\"%s\",\"low\":\"%s\",\"open\":\"%s\",\"close\":\"%"
      "s\","
      "\"volume\":\"%s\",\"product_id\":\"BTC-USD\"}]}]}",
      price(p), price(p), price(p), price(p), size(p));
}

static void print_advanced_status(print *p) {
  advanced_begin(p, "status");
  PUT("{\"type\":\"snapshot\",\"products\":[");
  print_products(p, ",\"product_type\":\"SPOT\"");
  PUT("]}]}");
}

#define EXCHANGE &wb_codec_coinbase_exchange
#define ADVANCED &wb_codec_coinbase_advanced
static const row rows[] = {{"parser/exchange/heartbeat", EXCHANGE, print_heartbeat, PLAIN_BYTES_MAX},
                           {"parser/exchange/ticker", EXCHANGE, print_ticker, PLAIN_BYTES_MAX},
                           {"parser/exchange/match", EXCHANGE, print_match, PLAIN_BYTES_MAX},
                           {"parser/exchange/auction", EXCHANGE, print_auction, PLAIN_BYTES_MAX},
                           {"parser/exchange/rfq_match", EXCHANGE, print_rfq, PLAIN_BYTES_MAX},
                           {"parser/exchange/subscriptions", EXCHANGE, print_subscriptions, PLAIN_BYTES_MAX},
                           {"parser/exchange/status", EXCHANGE, print_status, TEXT_BYTES_MAX},
                           {"parser/advanced/l2_data", ADVANCED, print_l2_data, PLAIN_BYTES_MAX},
                           {"parser/advanced/heartbeats", ADVANCED, print_heartbeats, PLAIN_BYTES_MAX},
                           {"parser/advanced/ticker", ADVANCED, print_advanced_ticker, PLAIN_BYTES_MAX},
                           {"parser/advanced/ticker_batch", ADVANCED, print_ticker_batch, PLAIN_BYTES_MAX},
                           {"parser/advanced/market_trades", ADVANCED, print_market_trades, PLAIN_BYTES_MAX},
                           {"parser/advanced/candles", ADVANCED, print_candles, PLAIN_BYTES_MAX},
                           {"parser/advanced/status", ADVANCED, print_advanced_status, TEXT_BYTES_MAX}};

static wb_message *claim(wb_out *out, uint32_t delta_count) { return ((channel *)out)->message; }

static void commit(wb_out *out, wb_message *message) {
  channel *c = (channel *)out;
  if (message->kind == WB_MESSAGE_HEARTBEAT) c->sum += message->u.words[1];
  if (message->kind == WB_MESSAGE_HEARTBEAT && message->product != WB_PRODUCT_NONE) c->sum += message->u.words[0];
  if (message->kind == WB_MESSAGE_SUBSCRIPTIONS) c->sum += message->product;
  for (uint32_t i = 0; i < message->delta_count; i++) c->sum += message->deltas[i].price + message->deltas[i].size;
  c->wrong += message->kind == WB_MESSAGE_REJECT || message->kind == WB_MESSAGE_GAP || message->kind == WB_MESSAGE_UNKNOWN;
}

static void teardown(void *state) {
  channel *c = state;
  free(c->state);
  free(c->message);
  free(c->text);
  free(c);
}

static bool prepare(channel *c) {
  void *memory = NULL;
  c->out = (wb_out){claim, commit};
  if (wb_products_init(&c->products, c->table, 16) != 0) return false;
  wb_products_add(&c->products, "ETH-USD", 7);
  wb_products_add(&c->products, "BTC-USD", 7);
  c->text = calloc(MESSAGES, c->row->bytes_max);
  if (!c->text || posix_memalign(&memory, 64, c->row->codec->size(&c->products)) != 0) return false;
  c->state = memory;
  if (posix_memalign(&memory, 64, wb_message_bytes(WB_PART_DELTAS_MAX)) != 0) return false;
  c->message = memory;
  if (c->row->codec->init(c->state, &c->products) != 0) return false;
  print p = {.text = (char *)c->text, .random = UINT64_C(88172645463325252)};
  for (unsigned i = 0; i < MESSAGES; i++) {
    uint32_t at = p.used;
    p.sum = 0;
    c->row->print(&p);
    c->frame[i] = (wb_frame){.position = at, .number = i, .bytes = p.used - at, .kind = WB_FRAME_TEXT};
    c->message_sum[i] = p.sum;
  }
  return true;
}

static void *setup(const void *argument, bool smoke) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, sizeof(channel)) != 0) return NULL;
  channel *c = memset(memory, 0, sizeof *c);
  c->row = argument;
  if (prepare(c)) return c;
  teardown(c);
  return NULL;
}

static void run(void *state, wb_bench_run *run) {
  channel *c = state;
  c->sum = c->bytes = 0;
  for (uint64_t done = 0; done < run->iterations; done++) {
    const wb_frame *frame = &c->frame[done % MESSAGES];
    c->state->sequence[0].known = false; /* the same messages come again and again */
    c->row->codec->decode(c->state, frame, c->text + frame->position, &c->out);
    c->bytes += frame->bytes;
  }
  run->items = run->iterations;
  run->bytes = c->bytes;
}

static const char *check(void *state, const wb_bench_run *run) {
  channel *c = state;
  uint64_t want = 0;
  for (unsigned i = 0; i < MESSAGES; i++)
    want += c->message_sum[i] * (run->iterations / MESSAGES + (i < run->iterations % MESSAGES));
  if (c->wrong) return "a message was refused";
  return c->sum == want ? NULL : "the decoded integers do not add up";
}

unsigned parser_channels_add(wb_bench_case *cases, unsigned room) {
  unsigned count = sizeof rows / sizeof *rows;
  if (count > room) abort();
  for (unsigned i = 0; i < count; i++)
    cases[i] = (wb_bench_case){
        .name = rows[i].name, .parameter = &rows[i], .setup = setup, .run = run, .check = check, .teardown = teardown};
  return count;
}
