/* bench_orders - the level-3 book: ns an event at the depth of BTC-USD, and ns a message of text.
 *
 * Work:    100,000 orders, a tenth of them within 2^14 ticks of the touch, the rest out to 2^24: some 87,000 levels. Orders come and go
 *          in one random order of 200,000, so what is touched is as cold as in a market: an order that is done was opened 100,000
 *          opens ago. `open` and `done` keep a clock of their own, and the other half of the work is outside it. `match` and
 *          `change` go through the orders that are open in random order; `change/price` moves each there and back.
 *          `mixed` is 7 opens, 7 that are done, a match and a change of size, each fed to a level-2 book by its deltas: a whole
 *          event from the decoder on. `decode` is text to event, of messages of `full` and arrays of `level3`; `snapshot` an
 *          order of a whole answer, decoded and opened.
 * Check:   the count of orders, the book's own check of itself, and, where there is a level-2 book, that both say the same totals.
 * Read:    ns each. `mixed` and `decode/level3` are held against the rows that are named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "engine/book/book.h"
#include "engine/book/orders.h"
#include "engine/codec/coinbase_orders.h"
#include "engine/codec/coinbase_roads.h"
#include "io/memory.h"

#define CENT 1000000u
#define MID (UINT64_C(6000000) * CENT)

enum { OPEN_COUNT = 100000, SMOKE_COUNT = 2000, BATCH = 1024, TEXTS = 4096, TEXT_BYTES_MAX = 320 };

static uint64_t state;
static uint64_t next_random(void) {
  uint64_t mix = state += UINT64_C(0x9e3779b97f4a7c15);
  mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  mix = (mix ^ mix >> 27) * UINT64_C(0x94d049bb133111eb);
  return mix ^ mix >> 31;
}
static uint64_t below(uint64_t bound) { return next_random() % bound; }

typedef enum { OPEN, DONE, MATCH, CHANGE_SIZE, CHANGE_PRICE, AHEAD, MIXED, SNAPSHOT } operation;

typedef struct bench {
  wb_order_out out; /* first: what a snapshot is decoded to */
  wb_orders *orders;
  wb_book *book;
  void *orders_memory, *book_memory;
  size_t orders_bytes, book_bytes;
  wb_order_event *event; /* 2 * count orders in the order in which they come; those from `first` on, count of them, are open */
  wb_order_event *other; /* events of the open ones in random order: matches or changes */
  uint32_t count, first, next;
  uint64_t sum;
  wb_products products;
  void *products_memory;
  wb_coinbase *codec;
  char *text;
  uint32_t text_bytes;
} bench;

/* Ticks from the touch: a tenth of the orders within 2^14, the rest out to 2^24, as many in each doubling. */
static uint64_t distance(void) {
  unsigned bits = below(10) ? 14 + (unsigned)below(11) : 6 + (unsigned)below(9);
  return 1 + below(UINT64_C(1) << bits) % 5900000;
}

static wb_order_event order_event(wb_order_kind kind) {
  wb_order_event event = {.kind = (uint8_t)kind, .side = (uint8_t)below(2), .order = {next_random(), next_random()}};
  uint64_t away = distance() * CENT;
  event.has = WB_ORDER_HAS_SEQUENCE | WB_ORDER_HAS_SIDE | WB_ORDER_HAS_PRICE | WB_ORDER_HAS_SIZE;
  event.price = event.side == WB_SIDE_ASK ? MID + away : MID - away;
  event.size = 100000000 + below(1000000000);
  event.time_ns = WB_TIME_NONE;
  return event;
}

/* Price and total of every level, by the book of orders. */
static uint64_t totals_hash(const wb_orders *orders) {
  uint64_t hash = 0;
  uint32_t cursor = 0;
  for (wb_delta level; wb_orders_levels(orders, &cursor, &level, 1);)
    hash += wb_level_hash((wb_side)level.side, level.price, level.size);
  return hash;
}

static void apply(bench *b, const wb_order_event *event) {
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  int count = wb_orders_apply(b->orders, event, delta);
  if (count < 0) abort();
  if (b->book) wb_book_apply(b->book, delta, (uint32_t)count, NULL);
  b->sum += (uint64_t)count;
}

static void put_resting(wb_order_out *out, const wb_order_event *event) { apply((bench *)out, event); }

static void write_snapshot(bench *b) {
  size_t used = 0;
  b->text = malloc((size_t)b->count * 100 + 200);
  if (!b->text) abort();
  for (unsigned side = 0; side < 2; side++) {
    const char *before = side ? "],\"asks\":[" : "{\"sequence\":1,\"bids\":[";
    for (uint32_t i = 0; i < b->count; i++) {
      const wb_order_event *e = &b->event[i];
      if (e->side != side) continue;
      uint64_t h = e->order.high, l = e->order.low;
      used += (size_t)sprintf(b->text + used, "%s[\"%lu.%02lu\",\"%lu.%08lu\",\"%08lx-%04lx-%04lx-%04lx-%012lx\"]", before,
                              e->price / CENT / 100, e->price / CENT % 100, e->size / 100000000, e->size % 100000000, h >> 32,
                              h >> 16 & 0xffff, h & 0xffff, l >> 48, l & 0xffffffffffff);
      before = ",";
    }
  }
  used += (size_t)sprintf(b->text + used, "]}");
  b->text_bytes = (uint32_t)used;
}

static wb_coinbase *codec_of(const wb_products *products) {
  void *memory;
  if (posix_memalign(&memory, 64, wb_coinbase_size(products)) != 0 || wb_coinbase_init(memory, products) != 0) abort();
  return memory;
}

static void open_codec(bench *b) {
  if (posix_memalign(&b->products_memory, 64, wb_products_bytes(1)) != 0) abort();
  wb_products_init(&b->products, b->products_memory, 1);
  wb_products_add(&b->products, "BTC-USD", 7);
  b->codec = codec_of(&b->products);
}

static void *book_setup(const void *parameter, bool smoke) {
  operation what = *(const operation *)parameter;
  bench *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  state = 1;
  b->count = smoke ? SMOKE_COUNT : OPEN_COUNT;
  b->event = malloc(2 * (size_t)b->count * sizeof *b->event);
  b->other = malloc(b->count * sizeof *b->other);
  wb_orders_config orders = {2 * b->count, 12345};
  wb_book_config book = {0, 0};
  b->orders_bytes = wb_orders_bytes(&orders);
  b->book_bytes = wb_book_bytes(&book);
  b->orders_memory = wb_arena_open(b->orders_bytes, NULL);
  b->book_memory = wb_arena_open(b->book_bytes, NULL);
  if (!b->event || !b->other || !b->orders_memory || !b->book_memory) return NULL;
  b->orders = wb_orders_init(b->orders_memory, &orders);
  if (what == MIXED) b->book = wb_book_init(b->book_memory, &book);
  for (uint32_t i = 0; i < 2 * b->count; i++) b->event[i] = order_event(WB_ORDER_OPEN);
  for (uint32_t i = 0; i < b->count; i++) {
    if (what != SNAPSHOT) apply(b, &b->event[i]);
    b->other[i] = b->event[i];
    b->other[i].old_price = b->event[i].side == WB_SIDE_ASK ? MID + distance() * CENT : MID - distance() * CENT;
    if (what == MATCH) b->other[i].size = 1;
    b->other[i].kind = what == MATCH ? WB_ORDER_MATCH : WB_ORDER_CHANGE;
  }
  for (uint32_t i = b->count; i-- > 1;) {
    uint32_t j = (uint32_t)below(i + 1);
    wb_order_event swap = b->other[i];
    b->other[i] = b->other[j];
    b->other[j] = swap;
  }
  if (what == SNAPSHOT) {
    b->out.put = put_resting;
    open_codec(b);
    write_snapshot(b);
  }
  return b;
}

static void book_teardown(void *opaque) {
  bench *b = opaque;
  if (b->orders_memory) wb_arena_close(b->orders_memory, b->orders_bytes);
  if (b->book_memory) wb_arena_close(b->book_memory, b->book_bytes);
  free(b->event);
  free(b->other);
  free(b->products_memory);
  free(b->codec);
  free(b->text);
  free(b);
}

static wb_order_event *event_at(bench *b, uint32_t index) {
  return &b->event[index < 2 * b->count ? index : index - 2 * b->count];
}

static void open_next(bench *b, uint32_t i) { apply(b, event_at(b, (b->first + i + b->count) % (2 * b->count))); }

static void end_next(bench *b, uint32_t i) {
  wb_order_event *event = event_at(b, (b->first + i) % (2 * b->count));
  event->kind = WB_ORDER_DONE;
  apply(b, event);
  event->kind = WB_ORDER_OPEN;
}

/* A batch of opens, then as many that are done; one of the two on the clock. */
static void run_halves(bench *b, wb_bench_run *run, bool opens) {
  for (uint64_t left = run->iterations; left;) {
    uint32_t batch = left < BATCH ? (uint32_t)left : BATCH;
    uint64_t ns[3], cycles[3];
    ns[0] = wb_bench_now_ns(), cycles[0] = wb_bench_cycles();
    for (uint32_t i = 0; i < batch; i++) open_next(b, i);
    ns[1] = wb_bench_now_ns(), cycles[1] = wb_bench_cycles();
    for (uint32_t i = 0; i < batch; i++) end_next(b, i);
    ns[2] = wb_bench_now_ns(), cycles[2] = wb_bench_cycles();
    run->elapsed_ns += ns[2 - opens] - ns[1 - opens];
    run->cycles += cycles[2 - opens] - cycles[1 - opens];
    b->first = (b->first + batch) % (2 * b->count);
    left -= batch;
  }
  run->items = run->iterations;
}

static void run_open(void *opaque, wb_bench_run *run) { run_halves(opaque, run, true); }
static void run_done(void *opaque, wb_bench_run *run) { run_halves(opaque, run, false); }

static wb_order_event *next_other(bench *b) {
  wb_order_event *event = &b->other[b->next];
  if (++b->next == b->count) b->next = 0;
  return event;
}

static void run_match(void *opaque, wb_bench_run *run) {
  bench *b = opaque;
  for (uint64_t i = run->iterations; i; i--) apply(b, next_other(b));
  run->items = run->iterations;
}

static void run_change_size(void *opaque, wb_bench_run *run) {
  bench *b = opaque;
  for (uint64_t i = run->iterations; i; i--) {
    wb_order_event *event = next_other(b);
    event->has = WB_ORDER_HAS_SIZE;
    event->size--;
    apply(b, event);
  }
  run->items = run->iterations;
}

static void run_change_price(void *opaque, wb_bench_run *run) {
  bench *b = opaque;
  for (uint64_t i = run->iterations; i; i--) {
    wb_order_event *event = next_other(b);
    uint64_t price = event->price;
    event->price = event->old_price;
    event->old_price = price;
    apply(b, event);
  }
  run->items = run->iterations;
}

static void run_ahead(void *opaque, wb_bench_run *run) {
  bench *b = opaque;
  wb_order_place place;
  for (uint64_t i = run->iterations; i; i--) {
    if (!wb_orders_ahead(b->orders, next_other(b)->order, &place)) abort();
    b->sum += place.size_ahead;
  }
  run->items = run->iterations;
}

static void run_mixed(void *opaque, wb_bench_run *run) {
  bench *b = opaque;
  for (uint64_t i = run->iterations; i; i--) {
    for (unsigned turn = 0; turn < 7; turn++) {
      open_next(b, 0);
      end_next(b, 0);
      b->first = (b->first + 1) % (2 * b->count);
    }
    const wb_order_event *open = event_at(b, (b->first + (uint32_t)below(b->count)) % (2 * b->count));
    wb_order_event event = {.kind = WB_ORDER_MATCH, .order = open->order, .size = 1};
    apply(b, &event);
    event = (wb_order_event){.kind = WB_ORDER_CHANGE, .has = WB_ORDER_HAS_SIZE, .order = open->order, .size = open->size / 2};
    apply(b, &event);
  }
  run->items = run->iterations * 16;
}

static void run_snapshot(void *opaque, wb_bench_run *run) {
  bench *b = opaque;
  for (uint64_t i = run->iterations; i; i--) {
    wb_orders_clear(b->orders);
    wb_coinbase_orders_snapshot(b->codec, 0, (const uint8_t *)b->text, b->text_bytes, &b->out);
  }
  run->items = run->iterations * b->count;
  run->bytes = run->iterations * b->text_bytes;
}

static const char *book_check(void *opaque, const wb_bench_run *run) {
  bench *b = opaque;
  (void)run;
  const char *broken = wb_orders_check(b->orders);
  if (broken) return broken;
  uint32_t count = wb_orders_count(b->orders);
  if (count != b->count) return "orders are missing, or too many";
  return b->book && wb_book_hash(b->book) != totals_hash(b->orders) ? "the level-2 book has other totals" : NULL;
}

/* ------------------------------------------------------------------------------------------------ text */

typedef struct texts {
  wb_order_out out;
  wb_products products;
  void *products_memory;
  wb_coinbase *codec;
  char (*text)[TEXT_BYTES_MAX];
  uint32_t bytes[TEXTS];
  uint64_t sum, each; /* sum of sizes said; what a round of all texts says */
  wb_order_kind kind;
  uint64_t strange; /* events that are not of that kind */
} texts;

typedef struct text_setting {
  wb_order_kind kind;
  bool compact;
} text_setting;

static void put_text(wb_order_out *out, const wb_order_event *event) {
  texts *t = (texts *)out;
  t->sum += event->size;
  t->strange += event->kind != t->kind;
}

static void *text_setup(const void *parameter, bool smoke) {
  static const char *const sides[] = {"buy", "sell"};
  const text_setting *set = parameter;
  texts *t = calloc(1, sizeof *t);
  (void)smoke;
  if (!t || posix_memalign(&t->products_memory, 64, wb_products_bytes(1)) != 0) return NULL;
  state = 2;
  t->out.put = put_text;
  t->kind = set->kind;
  t->text = calloc(TEXTS, sizeof *t->text);
  wb_products_init(&t->products, t->products_memory, 1);
  wb_products_add(&t->products, "BTC-USD", 7);
  t->codec = codec_of(&t->products);
  if (!t->text) return NULL;
  for (uint32_t i = 0; i < TEXTS; i++) {
    wb_order_event e = order_event(set->kind);
    char id[40], price[32], size[32], *text = t->text[i];
    uint64_t h = e.order.high, l = e.order.low, sequence = 760636963 + i;
    unsigned micros = (unsigned)below(1000000);
    snprintf(id, sizeof id, "%08lx-%04lx-%04lx-%04lx-%012lx", h >> 32, h >> 16 & 0xffff, h & 0xffff, l >> 48,
             l & 0xffffffffffff);
    snprintf(price, sizeof price, "%lu.%02lu", e.price / CENT / 100, e.price / CENT % 100);
    snprintf(size, sizeof size, "%lu.%08lu", e.size / 100000000, e.size % 100000000);
    t->each += e.size;
    if (set->compact)
      t->bytes[i] = (uint32_t)snprintf(
          text, TEXT_BYTES_MAX, "[\"open\",\"BTC-USD\",\"%lu\",\"%s\",\"%s\",\"%s\",\"%s\",\"2026-08-02T05:43:52.%06uZ\"]",
          sequence, id, sides[e.side], price, size, micros);
    else if (set->kind == WB_ORDER_OPEN)
      t->bytes[i] =
          (uint32_t)snprintf(text, TEXT_BYTES_MAX,
                             "{\"type\":\"open\",\"side\":\"%s\",\"product_id\":\"BTC-USD\",\"time\":\"2026-08-02T05:43:52.%"
                             "06uZ\",\"sequence\":%lu,\"price\":\"%s\",\"order_id\":\"%s\",\"remaining_size\":\"%s\"}",
                             sides[e.side], micros, sequence, price, id, size);
    else
      t->bytes[i] = (uint32_t)snprintf(text, TEXT_BYTES_MAX,
                                       "{\"type\":\"match\",\"trade_id\":7260713,\"maker_order_id\":\"%s\",\"taker_order_id\":"
                                       "\"%s\",\"side\":\"%s\",\"size\":\"%s\",\"price\":\"%s\",\"product_id\":\"BTC-USD\","
                                       "\"sequence\":%lu,\"time\":\"2026-08-02T05:43:52.%06uZ\"}",
                                       id, id, sides[e.side], size, price, sequence, micros);
    if (t->bytes[i] >= TEXT_BYTES_MAX) abort();
  }
  return t;
}

static void text_run(void *opaque, wb_bench_run *run) {
  texts *t = opaque;
  t->sum = t->strange = 0;
  for (uint64_t i = run->iterations; i; i--) {
    for (uint32_t n = 0; n < TEXTS; n++) {
      wb_coinbase_orders_decode(t->codec, (const uint8_t *)t->text[n], t->bytes[n], &t->out);
      run->bytes += t->bytes[n];
    }
  }
  run->items = run->iterations * TEXTS;
}

static const char *text_check(void *opaque, const wb_bench_run *run) {
  const texts *t = opaque;
  return t->strange || t->sum != run->iterations * t->each ? "events are not those of the text" : NULL;
}

static void text_teardown(void *opaque) {
  texts *t = opaque;
  free(t->products_memory);
  free(t->codec);
  free(t->text);
  free(t);
}

#define BOOK(name, against, run, what)                                                                                         \
  { name, against, &(const operation){what}, 1, 0, book_setup, run, book_check, book_teardown }
#define TEXT(name, against, kind, compact)                                                                                     \
  { name, against, &(const text_setting){kind, compact}, 1, 0, text_setup, text_run, text_check, text_teardown }

int main(int argc, char **argv) {
  const wb_bench_case cases[] = {
      BOOK("orders/open", NULL, run_open, OPEN),
      BOOK("orders/done", NULL, run_done, DONE),
      BOOK("orders/match", NULL, run_match, MATCH),
      BOOK("orders/change/size", NULL, run_change_size, CHANGE_SIZE),
      BOOK("orders/change/price", NULL, run_change_price, CHANGE_PRICE),
      BOOK("orders/ahead", NULL, run_ahead, AHEAD),
      BOOK("orders+book/mixed", "orders/open", run_mixed, MIXED),
      BOOK("orders/snapshot", NULL, run_snapshot, SNAPSHOT),
      TEXT("decode/full/open", NULL, WB_ORDER_OPEN, false),
      TEXT("decode/full/match", NULL, WB_ORDER_MATCH, false),
      TEXT("decode/level3/open", "decode/full/open", WB_ORDER_OPEN, true),
  };
  return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
