/* fuzz_book.c - bytes as operations on an order book, against lists that are searched from their beginning.
 *
 * Input:   byte 0: the limit of levels; then operations, a byte each and what they need: see run.
 * Oracle:  after each operation every level, count, size and hash, what it returned, and the book's own check of itself. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/decimal.h"
#include "engine/base/error.h"
#include "engine/book/prefetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS_MAX = 400, LEVELS_MAX = 4096, BATCH_MAX = 4 };

typedef struct list {
  wb_level level[2][LEVELS_MAX]; /* in no order */
  uint32_t count[2];
} list;

static list model, load;
static bool load_open, load_full;
static uint32_t level_max;

static const uint8_t *at, *end;

static unsigned byte(void) { return at < end ? *at++ : 0; }

/* A few digits at any place, or as many units below the largest. */
static uint64_t quantity(void) {
  unsigned shape = byte();
  uint64_t digits = byte();
  if (shape & 0x40) digits = digits << 8 | byte();
  uint64_t value = digits * wb_pow10(shape & 15);
  return shape & 0x80 ? (uint64_t)WB_QUANTITY_MAX - digits : value <= (uint64_t)WB_QUANTITY_MAX ? value : digits;
}

static wb_delta change(void) {
  unsigned flags = byte();
  uint64_t price = quantity(), size = flags & 2 ? 0 : flags & 4 ? quantity() : 1 + flags / 8;
  return (wb_delta){.price = price, .size = size, .side = flags & 1};
}

/* Returns false if a level was to be removed that is not there. */
static bool set(list *l, wb_delta delta) {
  wb_level *level = l->level[delta.side];
  uint32_t *count = &l->count[delta.side], i = 0;
  while (i < *count && level[i].price != delta.price) i++;
  if (delta.size) {
    level[i] = (wb_level){delta.price, delta.size};
    if (i == *count) ++*count;
    return true;
  }
  if (i == *count) return false;
  level[i] = level[--*count];
  return true;
}

static bool has(const list *l, wb_delta delta) {
  for (uint32_t i = 0; i < l->count[delta.side]; i++)
    if (l->level[delta.side][i].price == delta.price) return true;
  return false;
}

static bool fits(const list *l, uint64_t price_factor, uint64_t size_factor) {
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < l->count[side]; i++) {
      unsigned __int128 price = (unsigned __int128)l->level[side][i].price * price_factor;
      unsigned __int128 size = (unsigned __int128)l->level[side][i].size * size_factor;
      if (price > (uint64_t)WB_QUANTITY_MAX || size > (uint64_t)WB_QUANTITY_MAX) return false;
    }
  return true;
}

static void multiply(list *l, uint64_t price_factor, uint64_t size_factor) {
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < l->count[side]; i++) {
      l->level[side][i].price *= price_factor;
      l->level[side][i].size *= size_factor;
    }
}

static int bids_first(const void *a, const void *b) {
  uint64_t left = ((const wb_level *)a)->price, right = ((const wb_level *)b)->price;
  return left < right ? 1 : left > right ? -1 : 0;
}

static int asks_first(const void *a, const void *b) { return -bids_first(a, b); }

static void compare(const wb_book *book) {
  static wb_level got[LEVELS_MAX];
  uint64_t hash = 0;
  for (unsigned side = 0; side < 2; side++) {
    uint32_t count = model.count[side];
    wb_level *wanted = model.level[side], best;
    qsort(wanted, count, sizeof *wanted, side == WB_SIDE_BID ? bids_first : asks_first);
    WB_CHECK(wb_book_level_count(book, (wb_side)side) == count);
    WB_CHECK(wb_book_levels(book, (wb_side)side, got, LEVELS_MAX) == count);
    for (uint32_t i = 0; i < count; i++) {
      WB_CHECK(got[i].price == wanted[i].price && got[i].size == wanted[i].size);
      WB_CHECK(wb_book_size(book, (wb_side)side, wanted[i].price) == wanted[i].size);
      hash += wb_level_hash((wb_side)side, wanted[i].price, wanted[i].size);
    }
    WB_CHECK(wb_book_best(book, (wb_side)side, &best) == (count != 0));
    WB_CHECK(best.price == (count ? wanted[0].price : 0) && best.size == (count ? wanted[0].size : 0));
  }
  WB_CHECK(wb_book_hash(book) == hash);
  WB_CHECK(wb_book_check(book) == NULL);
}

static void apply(wb_book *book, unsigned count) {
  wb_delta delta[BATCH_MAX];
  uint64_t unknown = 5, wanted_unknown = 5;
  int wanted = 0;
  for (unsigned i = 0; i < count; i++) {
    delta[i] = change();
    if (wanted) continue;
    if (delta[i].size && !has(&model, delta[i]) && model.count[delta[i].side] == level_max) wanted = WB_E_FULL;
    else wanted_unknown += !set(&model, delta[i]);
  }
  for (unsigned i = 0; i < count; i++) {
    wb_book_prefetch_way(book, &delta[i]);
    wb_book_prefetch_size(wb_book_prefetch_cell(book, &delta[i]));
  }
  WB_CHECK(wb_book_apply(book, delta, count, &unknown) == wanted && unknown == wanted_unknown);
}

static void add(wb_book *book, unsigned count) {
  wb_delta delta[BATCH_MAX];
  bool over = false; /* it may say so as soon as it notices, and must not without cause */
  for (unsigned i = 0; i < count; i++) {
    delta[i] = change();
    over |= load.count[0] > level_max || load.count[1] > level_max;
    if (load_open && !load_full) set(&load, delta[i]);
  }
  if (load_full) return; /* it can only be dropped */
  int result = wb_book_load_add(book, delta, count);
  if (!load_open) WB_CHECK(result == WB_E_STATE);
  else if (result) WB_CHECK(result == WB_E_FULL && over), load_full = true;
}

static void finish(wb_book *book) {
  if (load_full) {
    wb_book_load_drop(book);
  } else {
    int wanted = !load_open ? WB_E_STATE : load.count[0] > level_max || load.count[1] > level_max ? WB_E_FULL : 0;
    WB_CHECK(wb_book_load_end(book) == wanted);
    if (!wanted) model = load;
  }
  load_open = load_full = false;
}

static void scale(wb_book *book) {
  unsigned factors = byte();
  uint64_t price_factor = wb_pow10(factors & 7), size_factor = wb_pow10(factors >> 3 & 7);
  if (load_full) return;
  if (factors & 0x40) {
    WB_CHECK(wb_book_scale(book, price_factor + 1, size_factor) == WB_E_INVALID);
    return;
  }
  bool good = fits(&model, price_factor, size_factor) && (!load_open || fits(&load, price_factor, size_factor));
  int result = wb_book_scale(book, price_factor, size_factor);
  /* What an open load holds counts as it came, superseded levels too. */
  WB_CHECK(good ? result == 0 || (load_open && result == WB_E_RANGE) : result == WB_E_RANGE);
  if (result) return;
  multiply(&model, price_factor, size_factor);
  if (load_open) multiply(&load, price_factor, size_factor);
}

static void run(wb_book *book) {
  unsigned operation = byte(), count = 1 + operation / 8 % BATCH_MAX;
  switch (operation % 8) {
  default: apply(book, count); break;
  case 3:
  case 4: add(book, count); break;
  case 5:
    wb_book_load_begin(book);
    load_open = true;
    load_full = false;
    memset(load.count, 0, sizeof load.count);
    break;
  case 6:
    if (operation & 0x80) wb_book_load_drop(book), load_open = load_full = false;
    else finish(book);
    break;
  case 7:
    if (operation & 0x80) scale(book);
    else if (operation & 0x40) wb_book_clear(book), memset(model.count, 0, sizeof model.count);
    else apply(book, count);
    break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  level_max = 1 + data[0] % 64;
  wb_book_config config = {1024, level_max};
  size_t bytes = wb_book_bytes(&config);
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  WB_CHECK(memory != MAP_FAILED);
  wb_book *book = wb_book_init(memory, &config);
  WB_CHECK(book != NULL);
  memset(model.count, 0, sizeof model.count);
  memset(load.count, 0, sizeof load.count);
  load_open = load_full = false;
  at = data + 1;
  end = data + size;
  for (unsigned i = 0; at < end && i < OPERATIONS_MAX; i++) {
    run(book);
    compare(book);
  }
  munmap(memory, bytes);
  return 0;
}
