/* bench_book - the book against an ordered map and against flat sorted arrays: one message of changes, then both best levels
 * with their sizes read.
 *
 * Work:    books and changes follow what was measured on BTC-USD (docs/adr/0003-book-window-and-overflow.md): 18,376 bids and
 * 27,017 asks spread over ten decades of distance from the touch; changes at distances of p50 1,779, p90 21,438, p99 69,196 and
 * at most 207,772 ticks; 27 % remove a level, 27 % make one. The second half of the changes undoes the first, so that the
 * stream can run round and round with the same book at the same place.
 * Check:   the sum of all best levels read, and the hash of the whole book at the end, against those the generator noted from a
 * structure of its own.
 * Read:    map is std::map; where there is no C++ compiler, a red-black tree in C, which is somewhat slower. "book/..." is held against
 * "map/...", so its ratio is how many times faster it is; "sorted-.../..." is held against "book/...", so a ratio of 0.4 says that the
 * book is 2.5 times faster. "book/levels:50" is held against "book/levels:45000".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "bench/reference/map.h"
#include "bench/reference/sorted.h"
#include "engine/book/prefetch.h"
#include "io/memory.h"

#define CENT 1000000u
#define FLIP(side) ((side) == WB_SIDE_BID ? (uint64_t)WB_QUANTITY_MAX : 0)
#define INLINE static inline __attribute__((always_inline))

/* ------------------------------------------------------------------------------------------------ the work */

typedef struct work {
  uint32_t product_count, bid_count, ask_count; /* levels a product */
  bool narrow;                                  /* all levels next to the touch, changes anywhere among them */
  bool smoke;
  uint32_t change_count; /* a round; a multiple of 24 */
  wb_delta *level;       /* the first book of every product, best first, bids before asks */
  wb_delta *change;
  uint16_t *product; /* of each change */
  uint64_t *best;    /* [i]: value of the best levels of its product after change i */
  uint64_t *hash;    /* [i]: of all books before change i */
} work;

static uint64_t state;
static uint64_t next_random(void) {
  uint64_t mix = state += UINT64_C(0x9e3779b97f4a7c15);
  mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  mix = (mix ^ mix >> 27) * UINT64_C(0x94d049bb133111eb);
  return mix ^ mix >> 31;
}
static uint64_t below(uint64_t bound) { return next_random() % bound; }

typedef struct knot {
  double share, ticks;
} knot;

/* Straight between the knots, in the logarithm from the second on. */
static uint64_t draw(const knot *knots) {
  double u = (double)(next_random() >> 11) / 9007199254740992.0;
  unsigned i = 1;
  while (u > knots[i].share) i++;
  double part = (u - knots[i - 1].share) / (knots[i].share - knots[i - 1].share);
  double low = knots[i - 1].ticks, high = knots[i].ticks;
  if (i == 1) return (uint64_t)(low + part * (high - low));
  double ticks = low * __builtin_exp(part * __builtin_log(high / low));
  return (uint64_t)ticks;
}

static const knot level_knots[] = {{0, 0},         {.001, 1 << 10}, {.011, 1 << 14}, {.025, 1 << 16}, {.103, 1 << 18},
                                   {.37, 1 << 20}, {.73, 1 << 22},  {.98, 1 << 24},  {1, 1.4e10}};
static const knot change_knots[] = {{0, 0}, {.1, 90}, {.5, 1779}, {.9, 21438}, {.99, 69196}, {1, 207772}};

static sorted sorted_open(uint32_t levels) {
  sorted s = {calloc(levels + SORTED_PAD, sizeof(uint64_t)), calloc(levels + SORTED_PAD, sizeof(uint64_t)), 0};
  if (!s.value || !s.size) abort();
  s.value += SORTED_PAD;
  return s;
}

static void sorted_close(sorted *s) {
  free(s->value - SORTED_PAD);
  free(s->size);
}

static inline uint64_t best_value(wb_level bid, wb_level ask) {
  return bid.price * 3 + bid.size * 5 + ask.price * 7 + ask.size * 11;
}

static wb_level sorted_best(const sorted *s, unsigned side) {
  if (!s->count) return (wb_level){0, 0};
  return (wb_level){~s->value[s->count - 1] ^ FLIP(side), s->size[s->count - 1]};
}

static uint64_t ticks_of(uint64_t price) { return price / CENT; }

/* The sign of worse. */
static uint64_t away(unsigned side, uint64_t tick, int64_t distance) {
  int64_t at = side == WB_SIDE_BID ? (int64_t)tick - distance : (int64_t)tick + distance;
  return at < 1 ? 0 : (uint64_t)at * CENT;
}

/* A change at a drawn distance from the best of its side: the level nearest to it, or a new one. */
static wb_delta random_change(const work *w, const sorted book[2]) {
  for (;;) {
    unsigned side = (unsigned)below(2), kind = (unsigned)below(100);
    const sorted *s = &book[side];
    uint64_t size = 1 + below(100000000), price;
    if (kind >= 27 && w->narrow) {
      uint32_t at = (uint32_t)below(s->count);
      price = ~s->value[at] ^ FLIP(side);
    } else {
      uint64_t tick = ticks_of(sorted_best(s, side).price);
      uint64_t other = ticks_of(sorted_best(&book[!side], !side).price), spread = tick > other ? tick - other : other - tick;
      int64_t distance = (int64_t)(w->narrow ? below(4 * s->count) : draw(change_knots));
      if (kind < 27 && spread > 1 && distance < (w->narrow ? 4 : 90)) distance = -(int64_t)(1 + below(spread - 1));
      price = away(side, tick, distance);
      if (!price) continue;
      uint32_t place = sorted_halves(s->value, s->count, ~(price ^ FLIP(side)));
      bool there = place < s->count && s->value[place] == ~(price ^ FLIP(side));
      if (kind < 27 && there) continue;
      if (kind >= 27) price = ~s->value[place < s->count ? place : s->count - 1] ^ FLIP(side);
    }
    uint32_t wanted = side ? w->ask_count : w->bid_count;
    bool removes = kind >= 27 && kind < 54;
    if (removes && s->count < wanted - wanted / 4) continue;
    if (kind < 27 && s->count > wanted + wanted / 4) continue;
    return (wb_delta){.price = price, .size = removes ? 0 : size, .side = side};
  }
}

static void sorted_put(sorted *s, uint64_t key, uint64_t size) {
  sorted_put_at(s, sorted_halves(s->value, s->count, ~key), key, size);
}

static uint64_t sorted_size(const sorted *s, uint64_t key) {
  uint32_t place = sorted_halves(s->value, s->count, ~key);
  return place < s->count && s->value[place] == ~key ? s->size[place] : 0;
}

static void work_fill(work *w) {
  uint32_t wanted[2] = {w->bid_count, w->ask_count}, levels = w->bid_count + w->ask_count, half = w->change_count / 2;
  sorted(*book)[2] = calloc(w->product_count, sizeof *book);
  w->level = calloc((size_t)w->product_count * levels, sizeof *w->level);
  w->change = calloc(w->change_count, sizeof *w->change);
  w->product = calloc(w->change_count, sizeof *w->product);
  w->best = calloc(w->change_count, sizeof *w->best);
  w->hash = calloc(w->change_count + 1, sizeof *w->hash);
  if (!book || !w->level || !w->change || !w->product || !w->best || !w->hash) abort();
  state = 20260807;
  wb_delta *level = w->level;
  for (uint32_t p = 0; p < w->product_count; p++) {
    uint64_t mid = 6321417 + below(1000);
    for (unsigned side = 0; side < 2; side++) {
      sorted *s = &book[p][side];
      *s = sorted_open(2 * wanted[side] + 64);
      sorted_put(s, (mid + side) * CENT ^ FLIP(side), 1 + below(100000000));
      while (s->count < wanted[side]) {
        uint64_t price = away(side, mid + side, (int64_t)(w->narrow ? below(4 * wanted[side]) : draw(level_knots)));
        if (price) sorted_put(s, price ^ FLIP(side), 1 + below(100000000));
      }
      for (uint32_t i = s->count; i-- > 0; level++) {
        *level = (wb_delta){.price = ~s->value[i] ^ FLIP(side), .size = s->size[i], .side = side};
        w->hash[0] += wb_level_hash((wb_side)side, level->price, level->size);
      }
    }
  }
  for (uint32_t i = 0; i < w->change_count; i++) {
    uint32_t from = w->change_count - 1 - i;
    w->product[i] = i < half ? (uint16_t)below(w->product_count) : w->product[from];
    sorted *both = book[w->product[i]];
    if (i < half) {
      w->change[i] = random_change(w, both);
      /* What undoes it, for the second half. */
      w->change[from] = w->change[i];
      w->change[from].size = sorted_size(&both[w->change[i].side], w->change[i].price ^ FLIP(w->change[i].side));
    }
    wb_delta change = w->change[i];
    uint64_t key = change.price ^ FLIP(change.side), before = sorted_size(&both[change.side], key);
    sorted_put(&both[change.side], key, change.size);
    w->hash[i + 1] = w->hash[i];
    if (before) w->hash[i + 1] -= wb_level_hash((wb_side)change.side, change.price, before);
    if (change.size) w->hash[i + 1] += wb_level_hash((wb_side)change.side, change.price, change.size);
    w->best[i] = best_value(sorted_best(&both[0], 0), sorted_best(&both[1], 1));
  }
  if (w->hash[w->change_count] != w->hash[0]) abort();
  for (uint32_t p = 0; p < w->product_count; p++) {
    sorted_close(&book[p][0]);
    sorted_close(&book[p][1]);
  }
  free(book);
}

/* The same work is shared by the cases, made when first asked for. */
static const work *work_get(uint32_t product_count, uint32_t bid_count, uint32_t ask_count, bool narrow, bool smoke) {
  static work made[8];
  unsigned i = 0;
  for (; made[i].product_count; i++)
    if (made[i].product_count == product_count && made[i].bid_count == bid_count && made[i].narrow == narrow) return &made[i];
  made[i] = (work){product_count, bid_count, ask_count, narrow, smoke, smoke ? 24000 : 480000, 0, 0, 0, 0, 0};
  work_fill(&made[i]);
  return &made[i];
}

/* ------------------------------------------------------------------------------------------------ what is measured */

typedef enum { KIND_MAP, KIND_LINEAR, KIND_EIGHTS, KIND_HALVES, KIND_BOOK } structure;

typedef struct setting {
  structure kind;
  uint32_t product_count, bid_count, ask_count;
  bool narrow;
  uint32_t batch; /* changes a message; 0: 1 */
  uint32_t window_ticks;
  bool latency, shuffled, prefetch;
} setting;

typedef struct product {
  map *map[2];
  sorted sorted[2];
  wb_book *book;
} product;

typedef struct bench {
  const setting *set;
  const work *work;
  product *product;
  void *arena;
  size_t arena_bytes;
  wb_delta *load;                             /* the first book as it is loaded */
  uint64_t message, message_before, messages; /* next message, the one this run began with; messages of a round */
  uint32_t batch;
  uint64_t sum;
  double ns_per_cycle;
} bench;

INLINE void put(structure kind, product *p, const wb_delta *delta, uint32_t count) {
  if (kind == KIND_BOOK) {
    wb_book_apply(p->book, delta, count, NULL);
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    unsigned side = delta[i].side;
    uint64_t key = delta[i].price ^ FLIP(side), size = delta[i].size;
    sorted *s = &p->sorted[side];
    if (kind == KIND_MAP) {
      map_put(p->map[side], key, size);
    } else if (kind == KIND_LINEAR) {
      sorted_put_at(s, sorted_linear(s->value, s->count, ~key), key, size);
#if defined(__x86_64__)
    } else if (kind == KIND_EIGHTS && __builtin_cpu_supports("avx512f")) {
      sorted_put_at(s, sorted_eights(s->value, s->count, ~key), key, size);
#endif
    } else {
      sorted_put_at(s, sorted_halves(s->value, s->count, ~key), key, size);
    }
  }
}

INLINE uint64_t read_best(structure kind, const product *p) {
  wb_level best[2] = {{0, 0}, {0, 0}};
  for (unsigned side = 0; side < 2; side++) {
    if (kind == KIND_BOOK) {
      wb_book_best(p->book, (wb_side)side, &best[side]);
    } else if (kind == KIND_MAP) {
      uint64_t key, size;
      if (map_first(p->map[side], &key, &size)) best[side] = (wb_level){key ^ FLIP(side), size};
    } else {
      best[side] = sorted_best(&p->sorted[side], side);
    }
  }
  return best_value(best[0], best[1]);
}

static void add_hash(void *side_and_hash, uint64_t key, uint64_t size) {
  uint64_t *of = side_and_hash;
  of[1] += wb_level_hash((wb_side)of[0], key ^ FLIP(of[0]), size);
}

static uint64_t hash_of(const bench *b) {
  uint64_t hash = 0;
  for (uint32_t p = 0; p < b->work->product_count; p++) {
    const product *at = &b->product[p];
    if (b->set->kind == KIND_BOOK) {
      hash += wb_book_hash(at->book);
      continue;
    }
    for (unsigned side = 0; side < 2; side++) {
      if (b->set->kind == KIND_MAP) {
        uint64_t side_and_hash[2] = {side, 0};
        map_each(at->map[side], add_hash, side_and_hash);
        hash += side_and_hash[1];
      } else {
        for (uint32_t i = 0; i < at->sorted[side].count; i++)
          hash += wb_level_hash((wb_side)side, ~at->sorted[side].value[i] ^ FLIP(side), at->sorted[side].size[i]);
      }
    }
  }
  return hash;
}

static uint32_t levels_of(const work *w) { return w->bid_count + w->ask_count; }

static void load(bench *b, uint32_t p) {
  const wb_delta *level = &b->load[(size_t)p * levels_of(b->work)];
  uint32_t count = levels_of(b->work);
  product *at = &b->product[p];
  if (b->set->kind == KIND_BOOK) {
    wb_book_load_begin(at->book);
    wb_book_load_add(at->book, level, count);
    wb_book_load_end(at->book);
    return;
  }
  if (b->set->kind == KIND_MAP) {
    map_clear(at->map[0]);
    map_clear(at->map[1]);
  }
  at->sorted[0].count = at->sorted[1].count = 0;
  for (uint32_t i = count; i-- > 0;) put(b->set->kind == KIND_MAP ? KIND_MAP : KIND_HALVES, at, &level[i], 1);
}

static void *bench_setup(const void *parameter, bool smoke) {
  const setting *set = parameter;
  bench *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->set = set;
  b->work = work_get(set->product_count, set->bid_count, set->ask_count, set->narrow, smoke);
  b->batch = set->batch ? set->batch : 1;
  b->messages = b->work->change_count / b->batch;
  b->product = calloc(set->product_count, sizeof *b->product);
  size_t levels = (size_t)set->product_count * levels_of(b->work);
  b->load = malloc(levels * sizeof *b->load);
  if (!b->product || !b->load) abort();
  memcpy(b->load, b->work->level, levels * sizeof *b->load);
  if (set->shuffled)
    for (size_t i = levels; i-- > 1;) {
      size_t j = below(i + 1);
      wb_delta swap = b->load[i];
      b->load[i] = b->load[j];
      b->load[j] = swap;
    }
  wb_book_config config = {set->window_ticks, 0};
  size_t bytes = (wb_book_bytes(&config) + 4095) & ~(size_t)4095;
  if (set->kind == KIND_BOOK) {
    b->arena_bytes = bytes * set->product_count;
    b->arena = wb_arena_open(b->arena_bytes, NULL);
    if (!b->arena) return NULL;
  }
  for (uint32_t p = 0; p < set->product_count; p++) {
    product *at = &b->product[p];
    if (set->kind == KIND_BOOK) {
      at->book = wb_book_init((char *)b->arena + p * bytes, &config);
    } else if (set->kind == KIND_MAP) {
      at->map[0] = map_open();
      at->map[1] = map_open();
    } else {
      at->sorted[0] = sorted_open(2 * set->bid_count + 64);
      at->sorted[1] = sorted_open(2 * set->ask_count + 64);
    }
    load(b, p);
  }
  uint64_t ns = wb_bench_now_ns(), cycles = wb_bench_cycles();
  while (wb_bench_now_ns() - ns < 5000000) continue;
  b->ns_per_cycle = (double)(wb_bench_now_ns() - ns) / (double)(wb_bench_cycles() - cycles);
  return b;
}

static void bench_teardown(void *opaque) {
  bench *b = opaque;
  for (uint32_t p = 0; p < b->work->product_count; p++) {
    if (b->product[p].map[0]) {
      map_close(b->product[p].map[0]);
      map_close(b->product[p].map[1]);
    }
    if (b->product[p].sorted[0].value) {
      sorted_close(&b->product[p].sorted[0]);
      sorted_close(&b->product[p].sorted[1]);
    }
  }
  if (b->arena) wb_arena_close(b->arena, b->arena_bytes);
  free(b->product);
  free(b->load);
  free(b);
}

INLINE void run_kind(structure kind, bench *b, wb_bench_run *run, uint32_t batch, bool latency, bool prefetch) {
  const wb_delta *change = b->work->change;
  const uint16_t *of = b->work->product;
  product *products = b->product;
  uint64_t message = b->message, messages = b->messages, sum = 0;
  b->message_before = message;
  for (uint64_t i = run->iterations; i; i--) {
    uint64_t start = latency ? wb_bench_cycles() : 0;
    product *p = &products[of[message * batch]];
    const wb_delta *now = &change[message * batch];
    if (++message == messages) message = 0;
    if (prefetch) wb_book_prefetch_size(wb_book_prefetch_cell(products[of[message * batch]].book, &change[message]));
    put(kind, p, now, batch);
    sum += read_best(kind, p);
    if (latency) {
      WB_BENCH_KEEP(sum);
      wb_hist_record(run->latency, (uint64_t)((double)(wb_bench_cycles() - start) * b->ns_per_cycle));
    }
  }
  b->message = message;
  b->sum = sum;
  run->items = run->iterations * batch;
}

#define RUN(name, kind)                                                                                                        \
  static void name(void *opaque, wb_bench_run *run) {                                                                          \
    bench *b = opaque;                                                                                                         \
    if (b->set->latency) run_kind(kind, b, run, 1, true, false);                                                               \
    else if (b->set->prefetch) run_kind(kind, b, run, 1, false, true);                                                         \
    else if (b->batch == 1) run_kind(kind, b, run, 1, false, false);                                                           \
    else run_kind(kind, b, run, b->batch, false, false);                                                                       \
  }
RUN(run_map, KIND_MAP)
RUN(run_linear, KIND_LINEAR)
RUN(run_eights, KIND_EIGHTS)
RUN(run_halves, KIND_HALVES)
RUN(run_book, KIND_BOOK)

static const char *check_changes(void *opaque, const wb_bench_run *run) {
  bench *b = opaque;
  uint64_t sum = 0, message = b->message_before, batch = b->batch;
  for (uint64_t i = 0; i < run->iterations; i++) {
    sum += b->work->best[message * batch + batch - 1];
    if (++message == b->messages) message = 0;
  }
  if (sum != b->sum) return "the best levels read are not the generator's";
  return hash_of(b) == b->work->hash[b->message * batch] ? NULL : "the book is not the generator's";
}

static void run_load(void *opaque, wb_bench_run *run) {
  bench *b = opaque;
  for (uint64_t i = 0; i < run->iterations; i++) load(b, 0);
  run->items = run->iterations * levels_of(b->work);
}

static const char *check_load(void *opaque, const wb_bench_run *run) {
  bench *b = opaque;
  return hash_of(b) == b->work->hash[0] ? NULL : "the book loaded is not the generator's";
}

#define MANY .product_count = 1, .bid_count = 18376, .ask_count = 27017
#define FEW .product_count = 1, .bid_count = 50, .ask_count = 50, .narrow = true
#define THOUSAND .bid_count = 1000, .ask_count = 1000, .narrow = true
#define CASE(name, against, run, check, ...)                                                                                   \
  { name, against, &(const setting){__VA_ARGS__}, 1, 0, bench_setup, run, check, bench_teardown }
#define MAP(name, against, ...) CASE("map/" name, against, run_map, check_changes, .kind = KIND_MAP, __VA_ARGS__)
#define BOOK(name, against, ...) CASE("book/" name, against, run_book, check_changes, .kind = KIND_BOOK, __VA_ARGS__)
#define LINEAR(name, against, ...)                                                                                             \
  CASE("sorted-linear/" name, against, run_linear, check_changes, .kind = KIND_LINEAR, __VA_ARGS__)
#define EIGHTS(name, against, ...)                                                                                             \
  CASE("sorted-eights/" name, against, run_eights, check_changes, .kind = KIND_EIGHTS, __VA_ARGS__)
#define HALVES(name, against, ...)                                                                                             \
  CASE("sorted-halves/" name, against, run_halves, check_changes, .kind = KIND_HALVES, __VA_ARGS__)

int main(int argc, char **argv) {
  const wb_bench_case cases[] = {
      MAP("levels:45000", NULL, MANY),
      BOOK("levels:45000", "map/levels:45000", MANY),
      LINEAR("levels:45000", "book/levels:45000", MANY),
      EIGHTS("levels:45000", "book/levels:45000", MANY),
      HALVES("levels:45000", "book/levels:45000", MANY),
      BOOK("levels:45000/window:17", "book/levels:45000", MANY, .window_ticks = 1 << 17),
      BOOK("levels:45000/window:19", "book/levels:45000", MANY, .window_ticks = 1 << 19),

      MAP("levels:45000/batch:12", NULL, MANY, .batch = 12),
      BOOK("levels:45000/batch:12", "map/levels:45000/batch:12", MANY, .batch = 12),
      EIGHTS("levels:45000/batch:12", "book/levels:45000/batch:12", MANY, .batch = 12),

      MAP("levels:45000/latency", NULL, MANY, .latency = true),
      BOOK("levels:45000/latency", "map/levels:45000/latency", MANY, .latency = true),

      BOOK("levels:50", "book/levels:45000", FEW),
      MAP("levels:50", "book/levels:50", FEW),
      LINEAR("levels:50", "book/levels:50", FEW),
      EIGHTS("levels:50", "book/levels:50", FEW),
      HALVES("levels:50", "book/levels:50", FEW),

      BOOK("products:1", NULL, THOUSAND, .product_count = 1),
      BOOK("products:400", "book/products:1", THOUSAND, .product_count = 400),
      BOOK("products:400/prefetch", "book/products:1", THOUSAND, .product_count = 400, .prefetch = true),
      MAP("products:400", "book/products:400", THOUSAND, .product_count = 400),
      EIGHTS("products:400", "book/products:400", THOUSAND, .product_count = 400),

      CASE("map/load:45000", NULL, run_load, check_load, .kind = KIND_MAP, MANY),
      CASE("book/load:45000", "map/load:45000", run_load, check_load, .kind = KIND_BOOK, MANY),
      CASE("book/load:45000/shuffled", "book/load:45000", run_load, check_load, .kind = KIND_BOOK, MANY, .shuffled = true),
  };
  return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
