/* Level 3 from text to books: an exchange written in plain lists speaks `full` or `level3`, answers with snapshots, and loses messages; and, where
 * WIREBOOK_RECORDINGS names the folder of recordings, one of `full` against the top of book that its authors printed. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/book/book.h"
#include "engine/book/order_sync.h"
#include "engine/codec/coinbase_orders.h"
#include "engine/codec/coinbase_roads.h"
#include "tests/unit/random.h"

static uint64_t below(uint64_t bound) { return next() % bound; }

static void *zeroed(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes) != 0) abort();
  return memset(memory, 0, bytes);
}

/* ------------------------------------------------------------------------------------------------ the chain */

enum { QUEUE_MAX = 64 };

/* A decoder, the book of orders behind it, and the level-2 book that is fed with its deltas. */
typedef struct chain {
  wb_order_out out;
  wb_products products;
  void *memory;
  wb_coinbase *codec;
  wb_order_sync sync;
  wb_book *book;
  wb_order_event queue[QUEUE_MAX];
  uint64_t kinds[WB_ORDER_IGNORED + 1], results[4];
  uint8_t price_decimals, size_decimals;
} chain;

static void chain_put(wb_order_out *out, const wb_order_event *event) {
  chain *c = (chain *)out;
  wb_delta delta[WB_ORDERS_DELTAS_MAX], level[16];
  uint32_t count, cursor = 0;
  uint64_t unknown = 0;
  c->kinds[event->kind]++;
  wb_order_sync_result result = wb_order_sync_take(&c->sync, event, delta, &count);
  c->results[result]++;
  if (event->kind == WB_ORDER_SCALE) {
    int finer = event->price_decimals - c->price_decimals, finer_size = event->size_decimals - c->size_decimals;
    c->price_decimals = event->price_decimals;
    c->size_decimals = event->size_decimals;
    if (finer < 0 || finer_size < 0) wb_book_clear(c->book);
    else cr_assert_eq(wb_book_scale(c->book, wb_pow10((unsigned)finer), wb_pow10((unsigned)finer_size)), 0);
  }
  if (result == WB_ORDER_SYNC_CHANGED) {
    cr_assert_eq(wb_book_apply(c->book, delta, count, &unknown), 0);
    cr_assert_eq(unknown, 0, "a delta removed a level that was not there");
  }
  if (result != WB_ORDER_SYNC_LOADED) return;
  wb_book_load_begin(c->book);
  while ((count = wb_orders_levels(c->sync.orders, &cursor, level, 16))) wb_book_load_add(c->book, level, count);
  cr_assert_eq(wb_book_load_end(c->book), 0);
}

static chain *chain_open(uint32_t order_max) {
  chain *c = calloc(1, sizeof *c);
  wb_orders_config orders = {order_max, 42};
  wb_book_config book = {0, 1 << 14};
  c->out.put = chain_put;
  c->memory = zeroed(wb_products_bytes(1));
  wb_products_init(&c->products, c->memory, 1);
  wb_products_add(&c->products, "BTC-USD", 7);
  c->codec = zeroed(wb_coinbase_size(&c->products));
  cr_assert_eq(wb_coinbase_init(c->codec, &c->products), 0);
  c->book = wb_book_init(zeroed(wb_book_bytes(&book)), &book);
  c->price_decimals = c->size_decimals = WB_DECIMALS_DEFAULT;
  wb_order_sync_init(&c->sync, wb_orders_init(zeroed(wb_orders_bytes(&orders)), &orders), c->queue, QUEUE_MAX,
                     WB_DECIMALS_DEFAULT, WB_DECIMALS_DEFAULT);
  return c;
}

static void chain_close(chain *c) {
  free(c->sync.orders);
  free(c->book);
  free(c->codec);
  free(c->memory);
  free(c);
}

static void say(chain *c, const char *text) {
  wb_coinbase_orders_decode(c->codec, (const uint8_t *)text, (uint32_t)strlen(text), &c->out);
}

static void answer(chain *c, const char *text) {
  wb_coinbase_orders_snapshot(c->codec, 0, (const uint8_t *)text, (uint32_t)strlen(text), &c->out);
}

/* ------------------------------------------------------------------------------------------------ an exchange in plain lists */

enum { ORDERS_MAX = 120, PRICES = 30, SNAPSHOT_BYTES_MAX = 1 << 15 };

/* price in cents, size in units of 10^-decimals, which the text shows. In the order in which they came to their places. */
typedef struct market_order {
  uint64_t number, price, size;
  wb_side side;
} market_order;

typedef struct market {
  market_order order[ORDERS_MAX];
  unsigned count, size_decimals;
  uint64_t sequence, number, trade_id;
  bool compact;
} market;

static const char *id_text(uint64_t number) {
  static char text[4][40];
  static unsigned next;
  char *to = text[next++ % 4];
  snprintf(to, 40, "%08x-0000-4000-8000-%012" PRIx64, (unsigned)(number * 2654435761u), number);
  return to;
}

static const char *price_text(uint64_t cents) {
  static char text[4][32];
  static unsigned next;
  char *to = text[next++ % 4];
  snprintf(to, 32, "%lu.%02lu", cents / 100, cents % 100);
  return to;
}

static const char *size_text(const market *m, uint64_t size) {
  static char text[4][WB_DECIMAL_TEXT_BYTES];
  static unsigned next;
  char *to = text[next++ % 4];
  wb_decimal_print((__int128)size, m->size_decimals, to);
  return to;
}

static void market_snapshot(const market *m, char *text) {
  size_t used = (size_t)sprintf(text, "{\"sequence\":%lu", m->sequence);
  for (unsigned side = 0; side < 2; side++) {
    const char *comma = "";
    used += (size_t)sprintf(text + used, ",\"%s\":[", side == WB_SIDE_BID ? "bids" : "asks");
    for (unsigned i = 0; i < m->count; i++) {
      const market_order *o = &m->order[i];
      if (o->side != (wb_side)side) continue;
      used += (size_t)sprintf(text + used, "%s[\"%s\",\"%s\",\"%s\"]", comma, price_text(o->price), size_text(m, o->size),
                              id_text(o->number));
      comma = ",";
    }
    used += (size_t)sprintf(text + used, "]");
  }
  sprintf(text + used, "}");
  cr_assert_lt(used, SNAPSHOT_BYTES_MAX - 2);
}

static void market_remove(market *m, unsigned at) {
  memmove(&m->order[at], &m->order[at + 1], (--m->count - at) * sizeof *m->order);
}

#define P "\"product_id\":\"BTC-USD\",\"time\":\"2026-08-02T05:43:52.100001Z\""
#define T "2026-08-02T05:43:52.100001Z"

/* The next thing that happens there, as text of one message. */
static void market_step(market *m, char *text) {
  static const char *const sides[] = {"buy", "sell"};
  unsigned kind = (unsigned)below(10), at = m->count ? (unsigned)below(m->count) : 0;
  uint64_t s = ++m->sequence;
  market_order *o = &m->order[at];
  if (kind >= 4 && m->count == 0) kind = 0;
  if (kind < 4 && m->count < ORDERS_MAX) {
    market_order new = {++m->number, 40000 + below(PRICES), 1 + below(1000), (wb_side)below(2)};
    m->order[m->count++] = new;
    if (m->compact)
      sprintf(text, "[\"open\",\"BTC-USD\",\"%lu\",\"%s\",\"%s\",\"%s\",\"%s\",\"" T "\"]", s, id_text(new.number),
              sides[new.side], price_text(new.price), size_text(m, new.size));
    else
      sprintf(text,
              "{\"type\":\"open\",\"side\":\"%s\",\"price\":\"%s\",\"order_id\":\"%s\",\"remaining_size\":\"%s\",\"sequence\":%"
              "lu," P "}",
              sides[new.side], price_text(new.price), id_text(new.number), size_text(m, new.size), s);
  } else if (kind < 6 && m->count) {
    uint64_t size = below(2) ? o->size : 1 + below(o->size);
    if (m->compact)
      sprintf(text, "[\"match\",\"BTC-USD\",\"%lu\",\"%s\",\"%s\",\"%s\",\"%s\",\"" T "\"]", s, id_text(o->number),
              id_text(++m->number), price_text(o->price), size_text(m, size));
    else
      sprintf(text,
              "{\"type\":\"match\",\"trade_id\":%lu,\"maker_order_id\":\"%s\",\"taker_order_id\":\"%s\",\"side\":\"%s\","
              "\"size\":\"%s\",\"price\":\"%s\",\"sequence\":%lu," P "}",
              ++m->trade_id, id_text(o->number), id_text(++m->number), sides[o->side], size_text(m, size), price_text(o->price),
              s);
    if ((o->size -= size) == 0) market_remove(m, at);
  } else if (kind < 7 && m->count) {
    if (m->compact) sprintf(text, "[\"done\",\"BTC-USD\",\"%lu\",\"%s\",\"" T "\"]", s, id_text(o->number));
    else
      sprintf(text,
              "{\"type\":\"done\",\"side\":\"%s\",\"order_id\":\"%s\",\"reason\":\"canceled\",\"price\":\"%s\",\"remaining_"
              "size\":\"%s\",\"sequence\":%lu," P "}",
              sides[o->side], id_text(o->number), price_text(o->price), size_text(m, o->size), s);
    market_remove(m, at);
  } else if (kind < 9 && m->count) {
    market_order now = *o;
    now.size = 1 + below(1000);
    if (below(2)) now.price = 40000 + below(PRICES);
    if (m->compact)
      sprintf(text, "[\"change\",\"BTC-USD\",\"%lu\",\"%s\",\"%s\",\"%s\",\"" T "\"]", s, id_text(o->number),
              price_text(now.price), size_text(m, now.size));
    else if (now.price != o->price)
      sprintf(text,
              "{\"type\":\"change\",\"reason\":\"modify_order\",\"side\":\"%s\",\"order_id\":\"%s\",\"old_size\":\"%s\",\"new_"
              "size\":\"%s\",\"old_price\":\"%s\",\"new_price\":\"%s\",\"sequence\":%lu," P "}",
              sides[o->side], id_text(o->number), size_text(m, o->size), size_text(m, now.size), price_text(o->price),
              price_text(now.price), s);
    else
      sprintf(text,
              "{\"type\":\"change\",\"reason\":\"STP\",\"side\":\"%s\",\"order_id\":\"%s\",\"old_size\":\"%s\",\"new_size\":\"%"
              "s\",\"price\":\"%s\",\"sequence\":%lu," P "}",
              sides[o->side], id_text(o->number), size_text(m, o->size), size_text(m, now.size), price_text(o->price), s);
    if (now.price == o->price && now.size <= o->size) {
      *o = now;
    } else {
      market_remove(m, at);
      m->order[m->count++] = now;
    }
  } else if (m->compact) {
    sprintf(text,
            below(2) ? "[\"noop\",\"BTC-USD\",\"%lu\",\"" T "\"]"
                     : "[\"done\",\"BTC-USD\",\"%lu\",\"ffffffff-0000-4000-8000-000000000000\",\"" T "\"]",
            s);
  } else {
    sprintf(text,
            below(2) ? "{\"type\":\"received\",\"side\":\"buy\",\"order_id\":\"ffffffff-0000-4000-8000-000000000000\",\"order_"
                       "type\":\"market\",\"funds\":\"3\",\"sequence\":%lu," P "}"
                     : "{\"type\":\"done\",\"side\":\"sell\",\"order_id\":\"ffffffff-0000-4000-8000-000000000000\",\"reason\":"
                       "\"filled\",\"sequence\":%lu," P "}",
            s);
  }
}

/* Every queue, every total, and level 2. */
static void expect_same(const market *m, const chain *c, uint64_t seed) {
  uint64_t price_unit = wb_pow10(c->price_decimals - 2u), size_unit = wb_pow10(c->size_decimals - m->size_decimals);
  uint32_t levels[2] = {0, 0};
  cr_assert_null(wb_orders_check(c->sync.orders));
  cr_assert_eq(wb_orders_count(c->sync.orders), m->count, "seed %lu sequence %lu", seed, m->sequence);
  for (unsigned side = 0; side < 2; side++)
    for (uint64_t price = 40000; price < 40000 + PRICES; price++) {
      wb_order queue[ORDERS_MAX];
      uint32_t count = wb_orders_queue(c->sync.orders, (wb_side)side, price * price_unit, queue, ORDERS_MAX), seen = 0;
      uint64_t total = 0;
      for (unsigned i = 0; i < m->count; i++) {
        const market_order *o = &m->order[i];
        if (o->side != (wb_side)side || o->price != price) continue;
        cr_assert(seen < count && queue[seen].size == o->size * size_unit && (queue[seen].id.low & 0xffffffffffff) == o->number,
                  "seed %lu sequence %lu: place %u at %lu", seed, m->sequence, seen, price);
        seen++;
        total += o->size * size_unit;
      }
      cr_assert_eq(seen, count);
      cr_assert_eq(wb_book_size(c->book, (wb_side)side, price * price_unit), total, "seed %lu sequence %lu", seed, m->sequence);
      levels[side] += count != 0;
    }
  for (unsigned side = 0; side < 2; side++) cr_assert_eq(wb_book_level_count(c->book, (wb_side)side), levels[side]);
}

/* Messages are lost now and then; snapshots are some messages old when they come. size_decimals grows halfway, which widens the units. */
static void follow(bool compact, uint64_t seed) {
  static char text[1024], snapshot[SNAPSHOT_BYTES_MAX];
  static market m;
  chain *c = chain_open(ORDERS_MAX);
  uint64_t steps = 30000, compared = 0;
  m = (market){.sequence = 1000, .size_decimals = 8, .compact = compact};
  snapshot[0] = 0;
  state = seed;
  for (uint64_t step = 0; step < steps; step++) {
    if (step == steps / 2) {
      m.size_decimals = 10;
      for (unsigned i = 0; i < m.count; i++) m.order[i].size *= 100;
    }
    market_step(&m, text);
    if (below(1000)) say(c, text);
    if (below(20) == 0) market_snapshot(&m, snapshot);
    if (c->sync.state == WB_ORDER_SYNC_WAITING && snapshot[0] && below(15) == 0) {
      answer(c, snapshot);
      snapshot[0] = 0; /* each answer is asked for */
    }
    if (c->sync.state == WB_ORDER_SYNC_LIVE && c->sync.sequence == m.sequence && (step % 16 == 0 || step + 1 == steps)) {
      expect_same(&m, c, seed);
      compared++;
    }
  }
  cr_log_info("seed %lu: %lu compared, %lu loads, %lu useless, %lu skipped", seed, compared, c->sync.loaded, c->sync.useless,
              c->sync.skipped);
  cr_assert_eq(c->kinds[WB_ORDER_REJECT], 0);
  cr_assert_eq(c->size_decimals, 10);
  cr_assert_eq(wb_orders_disagreements(c->sync.orders), 0);
  cr_assert(compared > steps / 64 && c->sync.loaded > 3 && c->sync.skipped > 3);
  chain_close(c);
}

Test(level3, books_of_full_are_the_exchanges) {
  for (uint64_t seed = 1; seed <= 3; seed++) follow(false, seed);
}

Test(level3, books_of_level3_are_the_exchanges) {
  for (uint64_t seed = 4; seed <= 6; seed++) follow(true, seed);
}

Test(level3, books_are_the_exchanges_by_a_seed_of_its_own) {
  seed();
  uint64_t s = next();
  follow(s & 1, s);
}

/* ------------------------------------------------------------------------------------------------ a recording */

#define RECORDING "pyalgotrade_2016-03_BTC-USD_full_0"

static char *read_recording(const char *suffix) {
  char path[512];
  const char *folder = getenv("WIREBOOK_RECORDINGS");
  if (!folder) return NULL;
  snprintf(path, sizeof path, "%s/" RECORDING ".%s", folder, suffix);
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  size_t bytes = (size_t)ftell(file);
  rewind(file);
  char *text = calloc(1, bytes + 1);
  cr_assert_eq(fread(text, 1, bytes, file), bytes);
  fclose(file);
  return text;
}

static const char *member(const char *line, const char *name, char *to) {
  char key[32];
  snprintf(key, sizeof key, "\"%s\": \"", name);
  const char *at = strstr(line, key);
  cr_assert(at, "%s", name);
  at += strlen(key);
  size_t bytes = strcspn(at, "\"");
  memcpy(to, at, bytes);
  to[bytes] = 0;
  return to;
}

/* The recording begins with the orders of a snapshot as open messages of one sequence; they are put back into the shape of a snapshot. */
static const char *snapshot_of(const char *text, char *snapshot, uint64_t *sequence) {
  size_t used[2] = {0, 0};
  char *side_text[2] = {calloc(1, 1 << 20), calloc(1, 1 << 20)};
  *sequence = 0;
  for (const char *end; *text == '{' && (end = strchr(text, '\n')); text = end + 1) {
    char line[512], price[512], size[512], id[512], side[512];
    cr_assert_lt((size_t)(end - text), sizeof line);
    memcpy(line, text, (size_t)(end - text));
    line[end - text] = 0;
    const char *at = strstr(line, "\"sequence\": ");
    if (!at) break;
    uint64_t now = strtoull(at + 12, NULL, 10);
    cr_assert(*sequence == 0 || now == *sequence);
    *sequence = now;
    unsigned s = strcmp(member(line, "side", side), "sell") == 0;
    used[s] +=
        (size_t)sprintf(side_text[s] + used[s], "%s[\"%s\",\"%s\",\"%s\"]", used[s] ? "," : "", member(line, "price", price),
                        member(line, "remaining_size", size), member(line, "order_id", id));
  }
  sprintf(snapshot, "{\"sequence\":%lu,\"bids\":[%s],\"asks\":[%s]}", *sequence, side_text[0], side_text[1]);
  free(side_text[0]);
  free(side_text[1]);
  return text;
}

/* `[[412.96, 0.01], ...]` behind a key. */
static uint32_t expected_levels(const char *text, const char *key, wb_level *level) {
  uint32_t count = 0;
  const char *at = strstr(text, key);
  cr_assert(at);
  at += strlen(key);
  for (at = strchr(at, '[') + 1; *at == '['; at = strchr(at, ']') + 1, at += *at == ',' ? 2 : 0, count++) {
    size_t price = strcspn(at + 1, ","), size = strcspn(at + price + 3, "]");
    cr_assert_eq(wb_decimal_parse(at + 1, price, 8, &level[count].price), 0);
    cr_assert_eq(wb_decimal_parse(at + price + 3, size, 8, &level[count].size), 0);
  }
  return count;
}

Test(level3, the_recording_of_full_ends_with_the_book_that_its_authors_printed) {
  char *text = read_recording("jsonl"), *out = read_recording("out"), *snapshot = calloc(1, 1 << 21);
  if (!text || !out) cr_skip_test("WIREBOOK_RECORDINGS names no folder with " RECORDING);
  chain *c = chain_open(1 << 14);
  uint64_t sequence;
  const char *live = snapshot_of(text, snapshot, &sequence), *line = live;
  for (const char *end; *line && (end = strchr(line, '\n')); line = end + 1) {
    if (c->sync.queue_count == QUEUE_MAX / 2 && c->sync.state == WB_ORDER_SYNC_WAITING) answer(c, snapshot);
    wb_coinbase_orders_decode(c->codec, (const uint8_t *)line, (uint32_t)(end - line), &c->out);
  }
  cr_log_info("%lu resting, %lu received, %lu open, %lu match, %lu done", c->kinds[WB_ORDER_RESTING],
              c->kinds[WB_ORDER_RECEIVED], c->kinds[WB_ORDER_OPEN], c->kinds[WB_ORDER_MATCH], c->kinds[WB_ORDER_DONE]);
  cr_expect_eq(c->kinds[WB_ORDER_REJECT] + c->kinds[WB_ORDER_IGNORED] + c->kinds[WB_ORDER_SCALE], 0);
  cr_expect_eq(c->results[WB_ORDER_SYNC_ASK], 0);
  cr_expect_eq(c->results[WB_ORDER_SYNC_LOADED], 1);
  cr_expect_eq(wb_orders_disagreements(c->sync.orders), 0, "sizes that the exchange says are those of the book");
  cr_expect_null(wb_orders_check(c->sync.orders));
  const char *said = strstr(out, "\"sequence\": ");
  cr_assert_not_null(said);
  cr_expect_eq(c->sync.sequence, strtoull(said + 12, NULL, 10));
  static const char *const keys[] = {"\"bids\": ", "\"asks\": "};
  for (unsigned side = 0; side < 2; side++) {
    wb_level want[64], got[64];
    uint32_t count = expected_levels(out, keys[side], want);
    cr_expect_eq(count, 50);
    cr_expect_eq(wb_book_levels(c->book, (wb_side)side, got, count), count);
    for (uint32_t i = 0; i < count; i++)
      cr_expect(got[i].price == want[i].price && got[i].size == want[i].size, "%s level %u: %lu %lu, not %lu %lu", keys[side],
                i, got[i].price, got[i].size, want[i].price, want[i].size);
  }
  chain_close(c);
  free(text);
  free(out);
  free(snapshot);
}
