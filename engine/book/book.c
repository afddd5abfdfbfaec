#include "engine/book/book.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/book/layout.h"

enum { WINDOW_TICKS_DEFAULT = 1 << 18, LEVEL_COUNT_MAX = 1 << 22 };

/* The window is placed by the eighth best level (of large sides), so that a few lone orders far off do not drag it along, with
 * a quarter of it on the better side. */
enum { ANCHOR_RANK = 8 };

/* It is moved only after so many changes missed it, one in so many of its side, and only by an eighth of itself or more. */
enum { MISS_COUNT = 64, MISS_LEVELS = 32, MISS_RATE = 32 };

enum { PAGE_BYTES = 4096 };

static inline uint64_t flip_of(unsigned side) { return ((uint64_t)side - 1) & WB_QUANTITY_MAX; }

/* ---------------------------------------------------------------------------------------------------- memory */

static size_t whole_lines(size_t bytes) { return (bytes + WB_CACHE_LINE_BYTES - 1) & ~(size_t)(WB_CACHE_LINE_BYTES - 1); }

static void *carve(char *memory, size_t *bytes, size_t count, size_t each) {
  size_t at = *bytes;
  *bytes = at + whole_lines(count * each);
  return memory ? memory + at : NULL;
}

static bool sizes_of(const wb_book_config *config, uint32_t *ticks, uint32_t *levels) {
  if (!config) return false;
  *ticks = config->window_ticks ? config->window_ticks : WINDOW_TICKS_DEFAULT;
  *levels = config->level_count_max ? config->level_count_max : WB_BOOK_LEVELS_DEFAULT;
  return *ticks >= WB_WINDOW_TICKS_MIN && *ticks <= WB_WINDOW_TICKS_MAX && !(*ticks & (*ticks - 1)) &&
         *levels <= LEVEL_COUNT_MAX;
}

/* Places everything that is not in the pool at memory, or only counts if memory is NULL; *book is filled either way. */
static size_t layout(uint32_t levels, char *memory, wb_book *book) {
  uint32_t blocks = wb_far_blocks_max(levels);
  size_t bytes = 0;
  for (unsigned i = 0; i < 2; i++) {
    wb_book_side *side = &book->side[i];
    side->level_count_max = levels;
    side->far.first = carve(memory, &bytes, blocks, sizeof *side->far.first);
    side->far.entry = carve(memory, &bytes, blocks, sizeof *side->far.entry);
    side->far.pool = carve(memory, &bytes, blocks, sizeof *side->far.pool);
    book->staging[i].level_max = 2 * levels;
    book->staging[i].level = carve(memory, &bytes, 2 * (size_t)levels, sizeof(wb_level));
  }
  book->scratch = carve(memory, &bytes, 2 * (size_t)levels, sizeof(wb_level));
  return bytes;
}

size_t wb_book_pool_bytes(const wb_book_config *config) {
  uint32_t ticks, levels;
  return sizes_of(config, &ticks, &levels) ? sizeof(wb_book) + 2 * wb_window_pool_bytes(ticks, levels) : 0;
}

size_t wb_book_rest_bytes(const wb_book_config *config) {
  wb_book book;
  uint32_t ticks, levels;
  return sizes_of(config, &ticks, &levels) ? layout(levels, NULL, &book) : 0;
}

wb_book *wb_book_init_in(wb_pool *pool, void *rest, const wb_book_config *config) {
  uint32_t ticks, levels;
  if (!rest || (uintptr_t)rest % WB_CACHE_LINE_BYTES || !sizes_of(config, &ticks, &levels)) return NULL;
  wb_book *book = wb_pool_take(pool, sizeof *book);
  layout(levels, rest, book);
  for (unsigned i = 0; i < 2; i++) {
    wb_window_init(&book->side[i].window, ticks, pool);
    book->side[i].flip = flip_of(i);
    book->side[i].touch = &book->touch[i];
    book->side[i].level_count = &book->level_count[i];
    book->staging[i].flip = book->side[i].flip;
  }
  wb_book_clear(book);
  return book;
}

size_t wb_book_bytes(const wb_book_config *config) {
  size_t bytes = wb_book_pool_bytes(config);
  return bytes ? whole_lines(sizeof(wb_pool)) + bytes + wb_book_rest_bytes(config) : 0;
}

wb_book *wb_book_init(void *memory, const wb_book_config *config) {
  size_t bytes = wb_book_pool_bytes(config);
  if (!memory || (uintptr_t)memory % WB_CACHE_LINE_BYTES || !bytes) return NULL;
  wb_pool *pool = (void *)((char *)memory + bytes);
  wb_pool_init(pool, memory, bytes);
  return wb_book_init_in(pool, (char *)pool + whole_lines(sizeof *pool), config);
}

static void touch(void *memory, size_t bytes) {
  for (size_t at = 0; at < bytes; at += PAGE_BYTES) ((volatile char *)memory)[at] = 0;
}

void wb_book_warm(wb_book *book, uint32_t levels) {
  for (unsigned i = 0; i < 2; i++) {
    wb_book_side *side = &book->side[i];
    if (levels > side->level_count_max) levels = side->level_count_max;
    uint32_t blocks = wb_far_blocks_max(levels) / 2;
    touch(side->far.first, blocks * sizeof *side->far.first);
    touch(side->far.entry, blocks * sizeof *side->far.entry);
    touch(side->far.pool, blocks * sizeof *side->far.pool);
    touch(book->staging[i].level, levels * sizeof *book->staging[i].level);
  }
}

/* ---------------------------------------------------------------------------------------------------- one side */

static void side_clear(wb_book_side *side) {
  wb_window_clear(&side->window);
  wb_far_clear(&side->far);
  *side->level_count = 0;
  side->best = WB_KEY_NONE;
  *side->touch = (wb_level){0, 0};
}

/* All levels of a side in key order: those of the overflow before the window, the window's, the rest of the overflow. */
typedef struct cursor {
  wb_far_position far;
  uint64_t window; /* next key of the window */
} cursor;

static cursor side_begin(const wb_book_side *side) { return (cursor){{0, 0}, wb_window_next(&side->window, 0)}; }

static bool side_next(const wb_book_side *side, cursor *at, uint64_t *key, uint64_t **size) {
  bool have = wb_far_get(&side->far, at->far, key, size);
  if (have && *key < at->window) {
    wb_far_advance(&side->far, &at->far);
    return true;
  }
  if (at->window == WB_KEY_NONE) return false;
  *key = at->window;
  *size = wb_window_at(&side->window, *key);
  at->window = wb_window_next(&side->window, *key + 1);
  return true;
}

/* Finds the best level anew; none is better than key. */
static void side_touch(wb_book_side *side, uint64_t key, uint64_t unit) {
  uint64_t inside = wb_window_next(&side->window, key), outside = side->far.best;
  side->best = inside < outside ? inside : outside;
  *side->touch = (wb_level){0, 0};
  if (side->best == WB_KEY_NONE) return;
  side->touch->price = (side->best ^ side->flip) * unit;
  side->touch->size =
      inside < outside ? *wb_window_at(&side->window, inside) : side->far.pool[side->far.entry[0].block].size[0];
}

static uint64_t base_for(const wb_window *window, uint64_t anchor) {
  uint64_t lead = (window->mask + 1) / 4;
  return (anchor > lead ? anchor - lead : 0) & ~UINT64_C(63);
}

static uint32_t anchor_rank(uint32_t level_count) { return level_count / 8 < ANCHOR_RANK ? level_count / 8 : ANCHOR_RANK; }

/* Replaces a side by levels sorted best first. */
static void side_build(wb_book_side *side, const wb_tick *tick, const wb_level *level, uint32_t count) {
  side_clear(side);
  if (!count) return;
  side->window.base = base_for(&side->window, wb_tick_of(tick, level[anchor_rank(count)].price) ^ side->flip);
  uint32_t in = 0, out;
  while (in < count && (wb_tick_of(tick, level[in].price) ^ side->flip) < side->window.base) in++;
  for (out = in; out < count; out++) {
    uint64_t key = wb_tick_of(tick, level[out].price) ^ side->flip;
    if (!wb_window_covers(&side->window, key)) break;
    wb_window_put(&side->window, key, level[out].size);
  }
  wb_far_append(&side->far, tick, side->flip, level, in);
  wb_far_append(&side->far, tick, side->flip, level + out, count - out);
  *side->level_count = count;
  side_touch(side, 0, tick->unit);
}

static uint32_t levels_from(const wb_book_side *side, cursor at, uint64_t unit, wb_level *level, uint32_t max) {
  uint32_t count = 0;
  uint64_t key, *size;
  for (; count < max && side_next(side, &at, &key, &size); count++) level[count] = (wb_level){(key ^ side->flip) * unit, *size};
  return count;
}

static uint32_t side_levels(const wb_book_side *side, uint64_t unit, wb_level *level, uint32_t max) {
  return levels_from(side, side_begin(side), unit, level, max);
}

static void window_move(wb_book_side *side, uint64_t base) {
  wb_window *window = &side->window;
  uint64_t ticks = window->mask + 1;
  bool up = base > window->base;
  uint64_t from = up ? window->base : base + ticks, to = up ? base : window->base + ticks;
  for (uint64_t key = wb_window_next(window, from); key < to; key = wb_window_next(window, key + 1)) {
    wb_far_insert(&side->far, key, *wb_window_at(window, key));
    wb_window_put(window, key, 0);
  }
  window->base = base;
  uint64_t key, *size;
  while (wb_far_get(&side->far, wb_far_seek(&side->far, base), &key, &size) && key < base + ticks) {
    wb_window_put(window, key, *size);
    wb_far_remove(&side->far, key);
  }
}

static void side_missed(wb_book *book, wb_book_side *side) {
  wb_window *window = &side->window;
  uint32_t window_levels = *side->level_count - side->far.level_count;
  if (++side->miss_count < MISS_COUNT + window_levels / MISS_LEVELS) return;
  if ((uint64_t)side->miss_count * MISS_RATE >= side->change_count && *side->level_count) {
    uint64_t key = 0, *size;
    uint32_t rank = anchor_rank(*side->level_count);
    cursor at = side_begin(side);
    do side_next(side, &at, &key, &size);
    while (rank--);
    uint64_t base = base_for(window, key);
    uint64_t shift = base > window->base ? base - window->base : window->base - base;
    if (shift > window->mask / 8) {
      window_move(side, base);
      book->recentres++;
    }
  }
  side->change_count = side->miss_count = 0;
}

/* ---------------------------------------------------------------------------------------------------- changes */

static void refine(wb_book *book, unsigned exponent) {
  wb_tick fine;
  wb_tick_set(&fine, exponent);
  if (book->level_count[0] + book->level_count[1]) book->refinements++;
  for (unsigned i = 0; i < 2; i++) {
    uint32_t count = side_levels(&book->side[i], book->tick.unit, book->scratch, book->side[i].level_count_max);
    side_build(&book->side[i], &fine, book->scratch, count);
  }
  book->tick = fine;
}

/* A change outside the window, or of a price that the tick does not divide. */
static __attribute__((noinline, cold)) int apply_outside(wb_book *book, const wb_delta *delta, uint64_t *unknown) {
  wb_book_side *side = &book->side[delta->side];
  uint64_t price = delta->price, size = delta->size;
  if (!wb_tick_divides(&book->tick, price)) {
    if (!size) {
      *unknown += 1;
      return 0;
    }
    if (*side->level_count >= side->level_count_max) return WB_E_FULL;
    refine(book, wb_tick_exponent(price, book->tick.exponent));
  }
  uint64_t key = wb_tick_of(&book->tick, price) ^ side->flip;
  if (size && *side->level_count == 0) side->window.base = base_for(&side->window, key);
  if (wb_window_covers(&side->window, key)) {
    *side->level_count += !wb_window_put(&side->window, key, size);
    side_touch(side, 0, book->tick.unit);
    return 0;
  }
  uint64_t *known = wb_far_find(&side->far, key);
  if (!known && !size) {
    *unknown += 1;
  } else if (!known) {
    if (*side->level_count >= side->level_count_max) return WB_E_FULL;
    wb_far_insert(&side->far, key, size);
    *side->level_count += 1;
  } else if (!size) {
    wb_far_remove(&side->far, key);
    *side->level_count -= 1;
  } else {
    *known = size;
  }
  if (key <= side->best) side_touch(side, 0, book->tick.unit);
  side_missed(book, side);
  return 0;
}

int wb_book_apply(wb_book *book, const wb_delta *delta, uint32_t count, uint64_t *unknown) {
  uint64_t ignored = 0;
  if (!unknown) unknown = &ignored;
  for (const wb_delta *end = delta + count; delta < end; delta++) {
    WB_DCHECK(delta->price <= WB_QUANTITY_MAX && delta->size <= WB_QUANTITY_MAX);
    wb_book_side *side = &book->side[delta->side];
    __asm__("" : "+r"(side)); /* or its address is computed anew at every use */
    side->change_count++;
    uint64_t tick = wb_tick_of(&book->tick, delta->price), key = tick ^ flip_of(delta->side);
    if (__builtin_expect(tick > book->tick.limit || !wb_window_covers(&side->window, key), 0)) {
      int result = apply_outside(book, delta, unknown);
      if (result) return result;
      continue;
    }
    bool has = delta->size != 0;
    if (__builtin_expect(book->level_count[delta->side] >= side->level_count_max, 0) && has &&
        !wb_window_has(&side->window, key))
      return WB_E_FULL;
    bool had = wb_window_put(&side->window, key, delta->size);
    /* The whole word, since it is read as one right afterwards. */
    book->level_counts += (uint64_t)((int64_t)has - had) << 32 * delta->side;
    *unknown += !(has | had);
    if (__builtin_expect(key > side->best, 1)) continue;
    if (has) {
      side->best = key;
      book->touch[delta->side] = (wb_level){delta->price, delta->size};
    } else if (key == side->best) {
      side_touch(side, key, book->tick.unit);
    }
  }
  return 0;
}

void wb_book_truncate(wb_book *book, wb_side which, uint32_t level_count) {
  wb_book_side *side = &book->side[which];
  while (*side->level_count > level_count) {
    uint64_t inside = wb_window_last(&side->window), outside = wb_far_last(&side->far);
    bool far = inside == WB_KEY_NONE || (outside != WB_KEY_NONE && outside > inside);
    if (far) wb_far_remove(&side->far, outside);
    else wb_window_put(&side->window, inside, 0);
    --*side->level_count;
    if ((far ? outside : inside) == side->best) side_touch(side, 0, book->tick.unit);
  }
}

void wb_book_clear(wb_book *book) {
  side_clear(&book->side[0]);
  side_clear(&book->side[1]);
  wb_tick_set(&book->tick, WB_DECIMALS_MAX);
}

int wb_book_scale(wb_book *book, uint64_t price_factor, uint64_t size_factor) {
  unsigned shift = 0;
  for (uint64_t power = 1; power != price_factor; power *= 10)
    if (++shift > WB_DECIMALS_MAX) return WB_E_INVALID;
  unsigned size_shift = 0;
  for (uint64_t power = 1; power != size_factor; power *= 10)
    if (++size_shift > WB_DECIMALS_MAX) return WB_E_INVALID;
  uint64_t price_max = WB_QUANTITY_MAX / price_factor, size_max = WB_QUANTITY_MAX / size_factor, key, *size;
  for (unsigned i = 0; i < 2; i++) {
    const wb_book_side *side = &book->side[i];
    for (cursor at = side_begin(side); side_next(side, &at, &key, &size);)
      if ((key ^ side->flip) * book->tick.unit > price_max || *size > size_max) return WB_E_RANGE;
    if (book->load_open && !wb_staging_fits(&book->staging[i], price_max, size_max)) return WB_E_RANGE;
  }
  for (unsigned i = 0; i < 2; i++) {
    wb_book_side *side = &book->side[i];
    for (cursor at = side_begin(side); side_next(side, &at, &key, &size);) *size *= size_factor;
    side->touch->price *= price_factor;
    side->touch->size *= size_factor;
    if (book->load_open) wb_staging_scale(&book->staging[i], price_factor, size_factor);
  }
  /* The ticks stay; the tick grows. Beyond 10^18 only the price 0 is left, and that is a multiple of everything. */
  unsigned exponent = book->tick.exponent + shift, staged_exponent = book->staged_exponent + shift;
  wb_tick_set(&book->tick, exponent < WB_DECIMALS_MAX ? exponent : WB_DECIMALS_MAX);
  book->staged_exponent = staged_exponent < WB_DECIMALS_MAX ? staged_exponent : WB_DECIMALS_MAX;
  return 0;
}

/* ---------------------------------------------------------------------------------------------------- snapshots */

void wb_book_load_begin(wb_book *book) {
  wb_staging_begin(&book->staging[0]);
  wb_staging_begin(&book->staging[1]);
  book->staged_exponent = WB_DECIMALS_MAX;
  book->load_open = true;
}

int wb_book_load_add(wb_book *book, const wb_delta *delta, uint32_t count) {
  if (!book->load_open) return WB_E_STATE;
  wb_tick tick;
  wb_tick_set(&tick, book->staged_exponent);
  while (count) {
    wb_staging *staging = &book->staging[delta->side];
    if (staging->level_count == staging->level_max) {
      wb_staging_sort(staging, book->scratch);
      if (staging->level_count > staging->level_max / 2) return WB_E_FULL;
    }
    uint32_t run = wb_staging_add(staging, delta, count, &tick);
    delta += run;
    count -= run;
  }
  book->staged_exponent = tick.exponent;
  return 0;
}

int wb_book_load_end(wb_book *book) {
  if (!book->load_open) return WB_E_STATE;
  book->load_open = false;
  for (unsigned i = 0; i < 2; i++) {
    wb_staging_sort(&book->staging[i], book->scratch);
    if (book->staging[i].level_count > book->side[i].level_count_max) return WB_E_FULL;
  }
  wb_tick_set(&book->tick, book->staged_exponent);
  for (unsigned i = 0; i < 2; i++) {
    side_build(&book->side[i], &book->tick, book->staging[i].level, book->staging[i].level_count);
    book->side[i].change_count = book->side[i].miss_count = 0;
  }
  return 0;
}

void wb_book_load_drop(wb_book *book) { book->load_open = false; }

/* ---------------------------------------------------------------------------------------------------- reading */

uint64_t wb_book_size(const wb_book *book, wb_side side, uint64_t price) {
  const wb_book_side *s = &book->side[side];
  if (!wb_tick_divides(&book->tick, price)) return 0;
  uint64_t key = wb_tick_of(&book->tick, price) ^ s->flip;
  if (wb_window_covers(&s->window, key)) return wb_window_has(&s->window, key) ? *wb_window_at(&s->window, key) : 0;
  const uint64_t *size = wb_far_find(&s->far, key);
  return size ? *size : 0;
}

uint32_t wb_book_level_count(const wb_book *book, wb_side side) { return book->level_count[side]; }

uint32_t wb_book_levels(const wb_book *book, wb_side side, wb_level *level, uint32_t max) {
  return side_levels(&book->side[side], book->tick.unit, level, max);
}

uint32_t wb_book_levels_after(const wb_book *book, wb_side side, uint64_t price, wb_level *level, uint32_t max) {
  const wb_book_side *of = &book->side[side];
  uint64_t key = (price / book->tick.unit ^ of->flip) + (!of->flip || price % book->tick.unit == 0);
  cursor at = {wb_far_seek(&of->far, key), wb_window_next(&of->window, key)};
  return levels_from(of, at, book->tick.unit, level, max);
}

uint64_t wb_book_hash(const wb_book *book) {
  uint64_t hash = 0, key, *size;
  for (unsigned i = 0; i < 2; i++) {
    const wb_book_side *side = &book->side[i];
    for (cursor at = side_begin(side); side_next(side, &at, &key, &size);)
      hash += wb_level_hash((wb_side)i, (key ^ side->flip) * book->tick.unit, *size);
  }
  return hash;
}

void wb_book_stats_get(const wb_book *book, wb_book_stats *stats) {
  stats->recentres = book->recentres;
  stats->refinements = book->refinements;
  stats->overflow_levels = (uint64_t)book->side[0].far.level_count + book->side[1].far.level_count;
}

/* ---------------------------------------------------------------------------------------------------- self check */

const char *wb_book_check(const wb_book *book) {
  for (unsigned i = 0; i < 2; i++) {
    const wb_book_side *side = &book->side[i];
    const char *broken = wb_window_check(&side->window);
    if (!broken) broken = wb_far_check(&side->far);
    if (broken) return broken;
    uint64_t key, *size, last = 0;
    uint32_t count = 0, outside = 0;
    for (cursor at = side_begin(side); side_next(side, &at, &key, &size); count++) {
      if (count && key <= last) return "levels are in order";
      if (*size == 0) return "no level is empty";
      if ((key ^ side->flip) > WB_QUANTITY_MAX / book->tick.unit) return "prices are in range";
      outside += !wb_window_covers(&side->window, key);
      last = key;
    }
    if (count != *side->level_count || count > side->level_count_max) return "levels are counted";
    wb_level best = {0, 0};
    side_levels(side, book->tick.unit, &best, 1);
    if (best.price != side->touch->price || best.size != side->touch->size) return "the touch is the best level";
    if (outside != side->far.level_count) return "the overflow holds the levels outside the window, and no other";
  }
  return NULL;
}
