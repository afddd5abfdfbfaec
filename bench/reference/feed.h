/* feed.h - the feed that sender and pacer send: a snapshot a product, then updates of 1 to 3 changes, 30 % of them removals, and what every
 * client's books must be in the end. Encoded in memory before anybody connects, deterministic by seed.
 *
 * Places: how many levels a change lies behind the touch has the quantiles of real BTC-USD updates (half within 40, 99 % within 575, all
 *         within 1,850), and how far apart levels lie those of a real book; the middle does not move. */
#ifndef WB_BENCH_REFERENCE_FEED_H
#define WB_BENCH_REFERENCE_FEED_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/reference/sorted.h"

enum { PRODUCTS_MAX = 400, PRODUCTS_NAMED = 8, MIDS = 10, SHOWN = 50 };

/* After those with a name come P008-USD and so on. */
static struct {
  char id[16];
  uint64_t mid; /* cents */
} known[PRODUCTS_MAX] = {{"BTC-USD", 6500000}, {"ETH-USD", 2500000}, {"LTC-USD", 1900000}, {"SOL-USD", 1500000},
                         {"BCH-USD", 4500000}, {"ZEC-USD", 3900000}, {"XMR-USD", 3100000}, {"AAVE-USD", 2900000}};

/* [0] bids, [1] asks; prices in cents, sizes in 10^-8. */
typedef struct product {
  sorted side[2];
  uint64_t max_spread, mid2[MIDS], mid_count, updates, changes;
} product;

typedef struct text {
  char *bytes;
  size_t used, size;
} text;

static struct { uint64_t levels, products, cycle, tail, seed; } feed = {1000, 1, 262144, 100000, 1};

static product now[PRODUCTS_MAX], before[PRODUCTS_MAX], expected[PRODUCTS_MAX];
static text snapshots, updates;
static size_t tail_bytes;
static uint64_t cycle_messages, cycle_changes, tail_changes, message_number;
static uint64_t state;

static void die(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}

static uint64_t random_u64(void) {
  uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}
static uint64_t below(uint64_t n) { return (uint64_t)(((unsigned __int128)random_u64() * n) >> 64); }

static uint64_t price_at(const sorted *s, unsigned side, uint64_t rank) {
  uint64_t value = s->value[s->count - 1 - rank];
  return side ? ~value : value;
}
static void put(product *p, unsigned side, uint64_t price, uint64_t size) {
  sorted *s = &p->side[side];
  uint64_t key = side ? price : ~price;
  sorted_put_at(s, sorted_halves(s->value, s->count, ~key), key, size);
}

static void copy(product *to, const product *from) {
  uint64_t *memory[2][2];
  for (unsigned side = 0; side < 2; side++) memory[side][0] = to->side[side].value, memory[side][1] = to->side[side].size;
  *to = *from;
  for (unsigned side = 0; side < 2; side++) {
    const sorted *s = &from->side[side];
    to->side[side].value = memcpy(memory[side][0], s->value, s->count * sizeof *s->value);
    to->side[side].size = memcpy(memory[side][1], s->size, s->count * sizeof *s->size);
  }
}

static char *room(text *t, size_t bytes) {
  if (t->used + bytes > t->size) {
    t->size = 2 * t->size + bytes;
    if (!(t->bytes = realloc(t->bytes, t->size))) die("memory");
  }
  return t->bytes + t->used;
}

static void frame(text *t, const char *payload, size_t bytes) {
  unsigned char *at = (unsigned char *)room(t, bytes + 10);
  size_t head = bytes < 126 ? 2 : bytes < 65536 ? 4 : 10;
  at[0] = 0x81;
  at[1] = head == 2 ? (unsigned char)bytes : head == 4 ? 126 : 127;
  for (size_t i = 2; i < head; i++) at[i] = (unsigned char)(bytes >> (8 * (head - 1 - i)));
  memcpy(at + head, payload, bytes);
  t->used += head + bytes;
}

static int print_time(char *out) {
  uint64_t us = 20752535977 + message_number * 7, s = us / 1000000 % 86400;
  return sprintf(out, "\"time\":\"2026-08-02T%02u:%02u:%02u.%06uZ\"}", (unsigned)(s / 3600), (unsigned)(s / 60 % 60),
                 (unsigned)(s % 60), (unsigned)(us % 1000000));
}

static int print_decimal(char *out, uint64_t n, unsigned decimals) {
  uint64_t unit = decimals == 2 ? 100 : 100000000;
  return sprintf(out, "%llu.%0*llu", (unsigned long long)(n / unit), (int)decimals, (unsigned long long)(n % unit));
}

static uint64_t random_size(void) { return 1 + (below(10) ? below(300000000) : below(5000000000)); }

/* How far the level of this rank lies behind the one before it. */
static uint64_t random_gap(uint64_t rank, uint64_t mid) {
  uint64_t mean = rank < 600 ? 58 : rank < 8400 ? 125 : rank < 16500 ? 388 : 100, most = mid / (feed.levels + feed.levels / 4);
  if (mean > most) mean = most;
  return 1 + below(2 * mean - 1);
}

static uint64_t random_rank(uint64_t count) {
  static const uint64_t bound[] = {0, 40, 275, 575, 1850};
  uint64_t u = below(100), part = u < 50 ? 0 : u < 90 ? 1 : u < 99 ? 2 : 3;
  return (bound[part] + below(bound[part + 1] - bound[part])) % count;
}

static void make_snapshot(unsigned index) {
  product *p = &now[index];
  size_t size = feed.levels * 80 + 1024;
  char *out = malloc(size), *at = out;
  if (!out) die("memory");
  at += sprintf(at, "{\"type\":\"snapshot\",\"product_id\":\"%s\",", known[index].id);
  for (unsigned side = 2; side-- > 0;) {
    sorted *s = &p->side[side];
    uint64_t price = known[index].mid;
    at += sprintf(at, "\"%s\":[", side ? "asks" : "bids");
    for (uint64_t rank = 0; rank < feed.levels; rank++) {
      uint64_t gap = rank ? random_gap(rank, known[index].mid) : 1 + below(40), amount = random_size();
      price = side ? price + gap : price - gap;
      s->value[feed.levels - 1 - rank] = side ? ~price : price;
      s->size[feed.levels - 1 - rank] = amount;
      at += sprintf(at, "%s[\"", rank ? "," : "");
      at += print_decimal(at, price, 2);
      at += sprintf(at, "\",\"");
      at += print_decimal(at, amount, 8);
      at += sprintf(at, "\"]");
    }
    s->count = (uint32_t)feed.levels;
    at += sprintf(at, "],");
  }
  at += print_time(at);
  frame(&snapshots, out, (size_t)(at - out));
  free(out);
}

/* Analytics after a whole message. */
static void count_touch(product *p) {
  if (!p->side[0].count || !p->side[1].count) return;
  uint64_t bid = price_at(&p->side[0], 0, 0), ask = price_at(&p->side[1], 1, 0);
  if (ask - bid > p->max_spread) p->max_spread = ask - bid;
  p->mid2[p->mid_count++ % MIDS] = bid + ask;
}

typedef struct change {
  unsigned side;
  uint64_t price, size;
} change;

static void make_update(unsigned index, const change *changes, unsigned count) {
  char out[512], *at = out;
  at += sprintf(at, "{\"type\":\"l2update\",\"product_id\":\"%.15s\",\"changes\":[", known[index].id);
  for (unsigned i = 0; i < count; i++) {
    at += sprintf(at, "%s[\"%s\",\"", i ? "," : "", changes[i].side ? "sell" : "buy");
    at += print_decimal(at, changes[i].price, 2);
    at += sprintf(at, "\",\"");
    at += print_decimal(at, changes[i].size, 8);
    at += sprintf(at, "\"]");
    put(&now[index], changes[i].side, changes[i].price, changes[i].size);
  }
  at += sprintf(at, "],");
  at += print_time(at);
  frame(&updates, out, (size_t)(at - out));
  count_touch(&now[index]);
  now[index].updates++;
  now[index].changes += count;
  cycle_messages++;
  cycle_changes += count;
  message_number++;
}

/* 30 % remove, about 30 % add (more while the side is short of levels), the rest set another size. */
static change random_change(const product *p, uint64_t mid) {
  unsigned side = (unsigned)below(2);
  const sorted *s = &p->side[side];
  uint64_t wanted = feed.levels - feed.levels / 20, slack = feed.levels / 20 + 1, rank = random_rank(s->count), u = below(1000);
  int64_t add = 300 + 300 * ((int64_t)wanted - (int64_t)s->count) / (int64_t)slack;
  uint64_t price = price_at(s, side, rank);
  if (u < 300 && s->count > 2) return (change){side, price, 0};
  if ((int64_t)u >= 300 + add || s->count >= feed.levels) return (change){side, price, random_size()};
  uint64_t better = rank ? price_at(s, side, rank - 1) : mid, gap = better > price ? better - price : price - better;
  if (!rank && gap > 12) gap = 12; /* a new best is a little better than the old */
  if (gap < 2) return (change){side, price, random_size()};
  uint64_t step = 1 + below(gap - 1);
  return (change){side, side ? price - step : price + step, random_size()};
}

static void make_cycle(void) {
  while (cycle_messages < feed.cycle) {
    unsigned index = (unsigned)below(feed.products), u = (unsigned)below(100), count = u < 64 ? 1 : u < 91 ? 2 : 3;
    change changes[3];
    for (unsigned i = 0; i < count; i++) {
      bool again;
      do {
        changes[i] = random_change(&now[index], known[index].mid);
        again = false;
        for (unsigned j = 0; j < i; j++) again |= changes[j].side == changes[i].side && changes[j].price == changes[i].price;
      } while (again);
    }
    make_update(index, changes, count);
    if (cycle_messages == feed.tail) {
      for (unsigned i = 0; i < feed.products; i++) copy(&expected[i], &now[i]);
      tail_bytes = updates.used;
      tail_changes = cycle_changes;
    }
  }
}

/* Ends a cycle: every level as the snapshot had it. */
static inline void restore(unsigned index) {
  change changes[3];
  unsigned count = 0;
  sorted had[2];
  for (unsigned side = 0; side < 2; side++) {
    const sorted *s = &now[index].side[side];
    had[side].count = s->count;
    had[side].value = malloc((s->count + 1) * sizeof *s->value);
    had[side].size = malloc((s->count + 1) * sizeof *s->size);
    if (!had[side].value || !had[side].size) die("memory");
    memcpy(had[side].value, s->value, s->count * sizeof *s->value);
    memcpy(had[side].size, s->size, s->count * sizeof *s->size);
  }
  for (unsigned side = 0; side < 2; side++) {
    const sorted *a = &had[side], *b = &before[index].side[side];
    for (uint32_t i = 0, j = 0; i < a->count || j < b->count;) {
      uint64_t value, size;
      if (j == b->count || (i < a->count && a->value[i] < b->value[j])) value = a->value[i++], size = 0;
      else {
        bool same = i < a->count && a->value[i] == b->value[j] && a->size[i] == b->size[j];
        if (i < a->count && a->value[i] == b->value[j]) i++;
        value = b->value[j], size = b->size[j];
        j++;
        if (same) continue;
      }
      changes[count++] = (change){side, side ? ~value : value, size};
      if (count == 3) make_update(index, changes, 3), count = 0;
    }
    free(a->value);
    free(a->size);
  }
  if (count) make_update(index, changes, count);
}

static void print_levels(const sorted *s, unsigned side) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < s->count; i++) sum += price_at(s, side, i) * s->size[s->count - 1 - i];
  printf("\"%s_levels\":%u,\"%s_sum\":\"%llu\",\"%ss\":[", side ? "ask" : "bid", s->count, side ? "ask" : "bid",
         (unsigned long long)sum, side ? "ask" : "bid");
  for (uint32_t i = 0; i < s->count && i < SHOWN; i++) {
    char price[32], size[32];
    print_decimal(price, price_at(s, side, i), 2);
    print_decimal(size, s->size[s->count - 1 - i], 8);
    printf("%s[\"%s\",\"%s\"]", i ? "," : "", price, size);
  }
  printf("]");
}

/* updates and changes are of one cycle and of the tail: a client has seen cycles times the first, and the second. max_spread is of
 * whole cycles, tail_max_spread of a tail alone. */
static inline void print_expected(unsigned port) {
  printf(
      "{\"port\":%u,\"cycle\":{\"messages\":%llu,\"changes\":%llu,\"bytes\":%zu},\"tail\":{\"messages\":%llu,\"changes\":%llu,"
      "\"bytes\":%zu},\"snapshot_bytes\":%zu,\"products\":{",
      port, (unsigned long long)cycle_messages, (unsigned long long)cycle_changes, updates.used, (unsigned long long)feed.tail,
      (unsigned long long)tail_changes, tail_bytes, snapshots.used);
  for (unsigned i = 0; i < feed.products; i++) {
    const product *p = &expected[i];
    uint64_t sum = 0, mids = p->mid_count < MIDS ? p->mid_count : MIDS;
    for (uint64_t m = 0; m < mids; m++) sum += p->mid2[m];
    printf("%s\"%s\":{\"max_spread\":\"%llu.%02llu\",\"tail_max_spread\":\"%llu.%02llu\",\"mid2_sum\":\"%llu\",\"mids\":%llu,",
           i ? "," : "", known[i].id, (unsigned long long)(now[i].max_spread / 100),
           (unsigned long long)(now[i].max_spread % 100), (unsigned long long)(p->max_spread / 100),
           (unsigned long long)(p->max_spread % 100), (unsigned long long)sum, (unsigned long long)mids);
    print_levels(&p->side[0], 0);
    printf(",");
    print_levels(&p->side[1], 1);
    printf("}");
  }
  printf("}}\n");
  fflush(stdout);
}

/* A cycle of feed.cycle messages; expected is of the first feed.tail of them. */
static inline void feed_make(void) {
  state = feed.seed;
  for (unsigned i = PRODUCTS_NAMED; i < feed.products; i++) {
    snprintf(known[i].id, sizeof known[i].id, "P%03u-USD", i);
    known[i].mid = 1500000 + 10007 * i;
  }
  for (unsigned i = 0; i < feed.products; i++) {
    for (unsigned side = 0; side < 2; side++) {
      product *all[] = {&now[i], &before[i], &expected[i]};
      for (unsigned k = 0; k < 3; k++) {
        sorted *s = &all[k]->side[side];
        s->value = calloc(2 * feed.levels + 2, sizeof *s->value); /* restore may add all before it removes the others */
        s->size = calloc(2 * feed.levels + 2, sizeof *s->size);
        if (!s->value || !s->size) die("memory");
      }
    }
    make_snapshot(i);
    count_touch(&now[i]);
    copy(&before[i], &now[i]);
    copy(&expected[i], &now[i]);
  }
  make_cycle();
}

#endif
