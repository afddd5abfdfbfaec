#include "io/face_tape.h"

#include <stdbool.h>
#include <stdlib.h>

#include "engine/base/decimal.h"
#include "engine/event.h"
#include "io/host.h"

#define SECOND INT64_C(1000000000)
_Static_assert(sizeof(wb_face_candle) == 64, "a product takes 129 KiB");
enum { CANDLES_FIRST = 8, REPEATS = 32 };

const uint32_t wb_face_candle_length[WB_FACE_CANDLE_LENGTHS] = {60, 300, 900, 3600, 21600, 86400};

typedef struct series {
  wb_face_candle *candle; /* a ring: the n-th, from 0, at n % capacity */
  uint64_t count;
  uint32_t capacity; /* grows to WB_FACE_CANDLES before the ring turns */
} series;

typedef struct product {
  uint64_t trade_count;
  series series[WB_FACE_CANDLE_LENGTHS];
  wirebook_shm_change trade[WB_FACE_TRADES]; /* the n-th at n % WB_FACE_TRADES */
} product;

struct wb_face_tape {
  wirebook_shm books;
  uint64_t *lost;
  product **product;
  uint32_t product_max;
};

wb_face_tape *wb_face_tape_open(const wirebook_shm *books, uint64_t *lost) {
  wb_face_tape *tape = calloc(1, sizeof *tape);
  if (!tape) return NULL;
  tape->books = *books;
  tape->lost = lost;
  tape->product_max = books->head->product_max;
  tape->product = calloc(tape->product_max, sizeof *tape->product);
  if (tape->product) return tape;
  free(tape);
  return NULL;
}

void wb_face_tape_close(wb_face_tape *tape) {
  for (uint32_t i = 0; i < tape->product_max; i++) {
    for (unsigned k = 0; tape->product[i] && k < WB_FACE_CANDLE_LENGTHS; k++) free(tape->product[i]->series[k].candle);
    free(tape->product[i]);
  }
  free(tape->product);
  free(tape);
}

/* Brings a value to finer units; false: it cannot be held. */
static bool finer(uint64_t *value, unsigned from, unsigned to) {
  return from == to || (to - from <= WB_DECIMALS_MAX && !__builtin_mul_overflow(*value, wb_pow10(to - from), value));
}

/* Candle and trade come to the finer units of the two. Where that cannot be, the candle begins anew with the trade. */
static void trade_into(wb_face_candle *candle, const wirebook_shm_change *trade) {
  uint64_t price = trade->price, size = trade->size;
  wb_face_candle c = *candle;
  unsigned pd = c.price_decimals > trade->price_decimals ? c.price_decimals : trade->price_decimals;
  unsigned sd = c.size_decimals > trade->size_decimals ? c.size_decimals : trade->size_decimals;
  unsigned __int128 volume = c.volume;
  bool held = finer(&price, trade->price_decimals, pd) && finer(&size, trade->size_decimals, sd) &&
              finer(&c.low, c.price_decimals, pd) && finer(&c.high, c.price_decimals, pd) &&
              finer(&c.open, c.price_decimals, pd) && finer(&c.close, c.price_decimals, pd) &&
              !__builtin_mul_overflow(volume, (unsigned __int128)wb_pow10(sd - c.size_decimals), &volume);
  if (!held || !c.open) {
    *candle = (wb_face_candle){.begin_s = c.begin_s,
                               .low = trade->price,
                               .high = trade->price,
                               .open = trade->price,
                               .close = trade->price,
                               .volume = trade->size,
                               .price_decimals = trade->price_decimals,
                               .size_decimals = trade->size_decimals};
    return;
  }
  if (price < c.low) c.low = price;
  if (price > c.high) c.high = price;
  c.close = price;
  c.volume = volume + size;
  c.price_decimals = (uint8_t)pd;
  c.size_decimals = (uint8_t)sd;
  *candle = c;
}

static wb_face_candle *candle_at(series *s, uint64_t number) { return &s->candle[number % s->capacity]; }

static void series_take(series *s, const wirebook_shm_change *trade, uint32_t length) {
  int64_t begin_s = trade->time_ns / SECOND / length * length;
  for (uint64_t i = 0; i < 2 && i < s->count && i < s->capacity; i++) { /* a trade may come a little late */
    wb_face_candle *candle = candle_at(s, s->count - 1 - i);
    if (candle->begin_s == begin_s) trade_into(candle, trade);
    if (candle->begin_s == begin_s) return;
    if (candle->begin_s < begin_s) break;
  }
  if (s->count && candle_at(s, s->count - 1)->begin_s > begin_s) return;
  if (s->count == s->capacity && s->capacity < WB_FACE_CANDLES) {
    uint32_t capacity = s->capacity ? 2 * s->capacity : CANDLES_FIRST;
    if (capacity > WB_FACE_CANDLES) capacity = WB_FACE_CANDLES;
    wb_face_candle *grown = realloc(s->candle, capacity * sizeof *grown);
    if (!grown) return;
    s->candle = grown;
    s->capacity = capacity;
  }
  wb_face_candle *candle = candle_at(s, s->count++);
  *candle = (wb_face_candle){.begin_s = begin_s};
  trade_into(candle, trade);
}

/* Two channels may tell of the same trade. */
static bool repeated(const product *p, uint64_t trade_id) {
  for (uint64_t i = 0; trade_id && i < p->trade_count && i < REPEATS; i++)
    if (p->trade[(p->trade_count - 1 - i) % WB_FACE_TRADES].trade_id == trade_id) return true;
  return false;
}

static void take(wb_face_tape *tape, wirebook_shm_change *trade) {
  if (trade->product >= tape->product_max) return;
  product **at = &tape->product[trade->product];
  if (!*at) *at = calloc(1, sizeof **at);
  if (!*at) return;
  if (repeated(*at, trade->trade_id)) return;
  if (trade->time_ns == WB_TIME_NONE || trade->time_ns < 0) trade->time_ns = wb_clock_utc_ns();
  (*at)->trade[(*at)->trade_count++ % WB_FACE_TRADES] = *trade;
  for (unsigned i = 0; i < WB_FACE_CANDLE_LENGTHS; i++) series_take(&(*at)->series[i], trade, wb_face_candle_length[i]);
}

void wb_face_tape_follow(wb_face_tape *tape) {
  wirebook_shm_change change;
  /* At most a ring's worth at a time: what is written meanwhile comes with the next call. */
  for (uint64_t i = tape->books.head->ring_records; i-- > 0 && wirebook_shm_next(&tape->books, &change, tape->lost);)
    if (change.kind == WIREBOOK_SHM_TRADE && change.price && change.size) take(tape, &change);
}

const wirebook_shm_change *wb_face_tape_trade(const wb_face_tape *tape, uint32_t index, uint32_t before) {
  const product *p = index < tape->product_max ? tape->product[index] : NULL;
  return p && before < p->trade_count && before < WB_FACE_TRADES ? &p->trade[(p->trade_count - 1 - before) % WB_FACE_TRADES]
                                                                 : NULL;
}

const wb_face_candle *wb_face_tape_candle(const wb_face_tape *tape, uint32_t index, unsigned length, uint32_t before) {
  const product *p = index < tape->product_max ? tape->product[index] : NULL;
  const series *s = p ? &p->series[length] : NULL;
  return s && before < s->count && before < s->capacity ? &s->candle[(s->count - 1 - before) % s->capacity] : NULL;
}
