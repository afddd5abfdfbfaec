#include "tools/mock_market.h"

#include <stdlib.h>
#include <string.h>

/* Of 1,024 changes 276 delete and 287 create, as long as the side has as many levels as it should. */
enum { DELETE_SHARE = 276, CREATE_SHARE = 287, BIAS_MAX = 270, TRIES = 64, SEARCH = 2048, FRACTION = 1024 };

typedef struct product_form {
  const char *id;
  uint64_t mid;
  uint8_t price_decimals, size_decimals, size_shift;
} product_form;

static const product_form forms[] = {
    {"BTC-USD", 3748000, 2, 8, 0}, {"ETH-USD", 187349, 2, 8, 0},  {"LTC-USD", 8817, 2, 8, 0},   {"SOL-USD", 17236, 2, 8, 0},
    {"BTC-EUR", 3451277, 2, 8, 0}, {"BTC-GBP", 2951046, 2, 8, 0}, {"ETH-EUR", 172512, 2, 8, 0}, {"ETH-BTC", 4998, 5, 8, 0},
    {"LTC-BTC", 2352, 6, 8, 0},    {"XRP-USD", 21534, 4, 6, 0},   {"DOGE-USD", 19873, 5, 1, 8}, {"ADA-USD", 5812, 4, 8, 0},
    {"SKL-USD", 7923, 4, 1, 10},   {"SKL-BTC", 1306, 8, 1, 10},   {"AVAX-USD", 2417, 2, 8, 0},  {"LINK-USD", 17345, 3, 2, 12},
};

/* BTC-USD, 2026-08-07, 45,393 levels: how many levels of a side lie within how many ticks of the best. */
#define MEASURED_MID 3748000
#define MEASURED_RANKS 22697
static const struct {
  uint64_t rank, ticks;
} measured[] = {{0, 1},           {23, 1 << 10},    {250, 1 << 14},
                {567, 1 << 16},   {2338, 1 << 18},  {8398, 1 << 20},
                {16569, 1 << 22}, {22243, 1 << 24}, {22697, UINT64_C(13895354341)}};

/* BTC-USD, 2021: how deep updates fall; share of WB_MOCK_RANKS against rank. */
static const struct {
  uint32_t share, rank;
} depth[] = {{0, 0}, {61, 1}, {256, 9}, {512, 37}, {922, 290}, {1014, 600}, {1024, 1850}};

static uint64_t splitmix(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* xoshiro256++, Blackman and Vigna. */
static inline uint64_t random_next(wb_mock_market *market) {
  uint64_t *s = market->random, sum = s[0] + s[3], t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = s[3] << 45 | s[3] >> 19;
  return (sum << 23 | sum >> 41) + s[0];
}

static inline uint64_t below(wb_mock_market *market, uint64_t bound) {
  return (uint64_t)(((unsigned __int128)random_next(market) * bound) >> 64);
}

static inline uint64_t random_size(const wb_mock_market *market, uint64_t bits) {
  return 1 + ((((bits & 0xffffff) + 1) << (bits >> 24 & 7)) >> market->size_shift);
}

/* Ranks are in 1/FRACTION of a level here. */
static uint64_t depth_at(uint32_t share) {
  unsigned i = 1;
  while (depth[i].share < share) i++;
  uint64_t ranks = (depth[i].rank - depth[i - 1].rank) * FRACTION, shares = depth[i].share - depth[i - 1].share;
  return depth[i - 1].rank * FRACTION + ranks * (share - depth[i - 1].share) / shares;
}

static uint64_t distance(const wb_mock_market *market, int which, uint64_t rank, uint32_t levels) {
  uint64_t mid = market->mid_start, least = rank / FRACTION + 1;
  if (levels > MEASURED_RANKS) rank = rank * MEASURED_RANKS / levels;
  unsigned i = 1;
  while (i < sizeof measured / sizeof *measured - 1 && measured[i].rank * FRACTION < rank) i++;
  uint64_t from = measured[i - 1].ticks, to = measured[i].ticks, first = measured[i - 1].rank, last = measured[i].rank;
  unsigned __int128 rise = (unsigned __int128)(to - from) * (rank - first * FRACTION) / ((last - first) * FRACTION);
  uint64_t ticks = (uint64_t)((from + rise) * mid / MEASURED_MID);
  if (which == WB_SIDE_BID)
    ticks = (uint64_t)((unsigned __int128)ticks * mid / (ticks + mid)); /* pressed together above zero */
  return ticks > least ? ticks : least;
}

static void side_build(wb_mock_market *market, int which, uint32_t levels) {
  wb_mock_side *side = &market->side[which];
  uint64_t mid = market->mid_start, last = 0;
  for (uint32_t rank = 0; rank < levels; rank++) {
    uint64_t near = distance(market, which, (uint64_t)rank * FRACTION, levels);
    uint64_t far = distance(market, which, (uint64_t)(rank + 1) * FRACTION, levels);
    uint64_t away = near + (far > near ? below(market, far - near) : 0);
    last = away > last ? away : last + 1;
    if (which == WB_SIDE_BID && last >= mid) break;
    uint64_t price = which == WB_SIDE_BID ? mid - last : mid + last;
    side->level[side->count++] = (wb_mock_level){price, random_size(market, random_next(market))};
  }
  for (uint32_t i = 0; i < side->count / 2; i++) {
    wb_mock_level swap = side->level[i];
    side->level[i] = side->level[side->count - 1 - i];
    side->level[side->count - 1 - i] = swap;
  }
  side->target = side->count;
  side->pull = (256 << 16) / (side->target + 16);
  for (uint32_t i = 0; i <= WB_MOCK_RANKS; i++) {
    uint64_t rank = depth_at(i), deepest = (uint64_t)levels * FRACTION;
    side->away[i] = (uint32_t)distance(market, which, rank > deepest ? rank % deepest : rank, levels);
  }
}

static wb_mock_trade trade_of(uint64_t id, int which, uint64_t price, uint64_t size) {
  return (wb_mock_trade){.id = id,
                         .price = price,
                         .size = size,
                         .maker = {0x4000, UINT64_C(0x8000) << 48 | id},
                         .taker = {0x4000, UINT64_C(0x9000) << 48 | id},
                         .side = (wb_side)which};
}

static void form_of(wb_mock_market *market, uint64_t hash) {
  product_form form = {NULL, 100000 + hash % 4900000, 2, 8, 0};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
    if (strcmp(forms[i].id, market->product) == 0) form = forms[i];
  market->price_decimals = form.price_decimals;
  market->size_decimals = form.size_decimals;
  market->size_shift = form.size_shift;
  market->mid_start = market->mid_target = form.mid;
}

int wb_mock_market_open(wb_mock_market *market, const char *product, uint32_t levels, uint64_t seed, uint32_t changes_min,
                        uint32_t changes_max, wb_error *error) {
  memset(market, 0, sizeof *market);
  if (!product || !*product || strlen(product) >= sizeof market->product)
    return wb_error_set(error, WB_E_INVALID, 0, "mock market", "a product id has 1 to %d characters", WB_PRODUCT_ID_BYTES - 1);
  if (levels < 1 || levels > WB_MOCK_LEVELS_MAX)
    return wb_error_set(error, WB_E_INVALID, 0, "mock market", "%u levels a side, 1 to %d are possible", levels,
                        WB_MOCK_LEVELS_MAX);
  if (changes_min < 1 || changes_max < changes_min || changes_max > WB_MOCK_CHANGES_MAX)
    return wb_error_set(error, WB_E_INVALID, 0, "mock market", "%u to %u changes a message, 1 to %d are possible", changes_min,
                        changes_max, WB_MOCK_CHANGES_MAX);
  strcpy(market->product, product);
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (const char *c = product; *c; c++) hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
  uint64_t state = seed ^ hash;
  for (int i = 0; i < 4; i++) market->random[i] = splitmix(&state);
  market->changes_min = changes_min;
  market->changes_max = changes_max;
  form_of(market, hash);
  for (uint32_t i = 0; i < WB_MOCK_RANKS; i++) market->rank[i] = (uint16_t)(depth_at(i) / FRACTION);
  for (int which = 0; which < 2; which++) {
    wb_mock_side *side = &market->side[which];
    side->capacity = 2 * levels + 64;
    side->level = malloc(side->capacity * sizeof *side->level);
    if (!side->level) {
      wb_mock_market_close(market);
      return wb_error_set(error, WB_E_MEMORY, 0, "mock market", "no memory for %u levels a side", levels);
    }
    side_build(market, which, levels);
  }
  market->sequence = UINT64_C(90000000000) + (random_next(market) >> 30);
  market->last_trade_id = UINT64_C(700000000) + (random_next(market) >> 40);
  const wb_mock_level *bid = wb_mock_market_level(market, WB_SIDE_BID, 0);
  market->last_trade = trade_of(market->last_trade_id, WB_SIDE_BID, bid->price, bid->size);
  market->last_trade.sequence = market->sequence;
  market->open = market->low = market->high = bid->price;
  return 0;
}

void wb_mock_market_close(wb_mock_market *market) {
  for (int which = 0; which < 2; which++) {
    free(market->side[which].level);
    market->side[which].level = NULL;
    market->side[which].count = 0;
  }
}

const wb_mock_level *wb_mock_market_level(const wb_mock_market *market, wb_side side, uint32_t rank) {
  const wb_mock_side *s = &market->side[side];
  return rank < s->count ? &s->level[s->count - 1 - rank] : NULL;
}

static inline uint64_t best_price(const wb_mock_side *side) { return side->level[side->count - 1].price; }

/* Index of the first level (from the worst) that is not worse than price: where price is, or belongs. */
static inline uint32_t place(const wb_mock_side *side, int which, uint64_t price) {
  uint64_t flip = which == WB_SIDE_ASK ? UINT64_MAX : 0; /* ~p falls where p rises */
  uint64_t key = price ^ flip;
  const wb_mock_level *level = side->level;
  uint32_t first = side->count > SEARCH ? side->count - SEARCH : 0, length = side->count - first;
  if (first && (level[first].price ^ flip) >= key) first = 0, length = side->count;
  while (length > 1) {
    uint32_t half = length / 2;
    first += half & (0 - (uint32_t)((level[first + half - 1].price ^ flip) < key));
    length -= half;
  }
  return first + ((level[first].price ^ flip) < key);
}

/* A new level where the feed has them, or at the next free price further away. */
static bool create(wb_mock_market *market, int which, uint32_t share, uint64_t size, wb_delta *delta) {
  wb_mock_side *side = &market->side[which];
  if (side->count == side->capacity) return false;
  uint64_t touch = best_price(&market->side[!which]), near = side->away[share], far = side->away[share + 1];
  uint64_t away = near + (far > near ? below(market, far - near + 1) : 0), price;
  if (which == WB_SIDE_BID) {
    price = market->mid_target > away ? market->mid_target - away : 1;
    if (price >= touch) price = touch - 1;
  } else {
    price = market->mid_target + away;
    if (price <= touch) price = touch + 1;
  }
  uint32_t index = place(side, which, price);
  for (int tries = 0; index < side->count && side->level[index].price == price; index--, tries++) {
    price += which == WB_SIDE_BID ? UINT64_MAX : 1;
    if (tries == TRIES) return false;
    if (index == 0) break;
    if (side->level[index - 1].price != price) break;
  }
  if (price == 0) return false;
  wb_mock_level *at = &side->level[index];
  memmove(at + 1, at, (side->count - index) * sizeof *at);
  *at = (wb_mock_level){price, size};
  side->count++;
  market->created++;
  *delta = (wb_delta){.price = price, .size = size, .side = (unsigned)which};
  return true;
}

static void trade(wb_mock_market *market, int which, uint64_t price, uint64_t size, const wb_delta *delta) {
  if (market->trade_count == WB_MOCK_TRADES_MAX) return;
  wb_mock_trade *made = &market->trade[market->trade_count++];
  *made = trade_of(++market->last_trade_id, which, price, size);
  made->delta = delta;
  market->volume += size;
  if (price < market->low) market->low = price;
  if (price > market->high) market->high = price;
}

static void destroy(wb_mock_market *market, int which, uint32_t rank, wb_delta *delta) {
  wb_mock_side *side = &market->side[which];
  wb_mock_level *at = &side->level[side->count - 1 - rank];
  *delta = (wb_delta){.price = at->price, .size = 0, .side = (unsigned)which};
  if (rank == 0) trade(market, which, at->price, at->size, delta);
  memmove(at, at + 1, rank * sizeof *at);
  side->count--;
  market->deleted++;
}

static void resize(wb_mock_market *market, int which, uint32_t rank, uint64_t size, wb_delta *delta) {
  wb_mock_side *side = &market->side[which];
  wb_mock_level *at = &side->level[side->count - 1 - rank];
  if (rank == 0 && size < at->size) trade(market, which, at->price, at->size - size, delta);
  at->size = size == at->size ? size + 1 : size;
  *delta = (wb_delta){.price = at->price, .size = at->size, .side = (unsigned)which};
}

static void walk(wb_mock_market *market) {
  uint64_t start = market->mid_start, step = 1 + start / 200000;
  bool up = random_next(market) >> 63;
  if (market->mid_target + step > start + start / 10) up = false;
  if (market->mid_target < start - start / 10 + step) up = true;
  market->mid_target += up ? step : -step;
}

static void change(wb_mock_market *market, wb_delta *delta) {
  uint64_t bits = random_next(market);
  int which = bits & 1;
  uint32_t share = bits >> 1 & 1023, depth_share = bits >> 11 & (WB_MOCK_RANKS - 1);
  uint32_t rank = market->rank[depth_share];
  const wb_mock_side *side = &market->side[which];
  int64_t bias = ((int64_t)side->count - side->target) * side->pull / 65536;
  bias = bias > BIAS_MAX ? BIAS_MAX : bias < -BIAS_MAX ? -BIAS_MAX : bias;
  bool remove = share < (uint32_t)(DELETE_SHARE + bias), add = !remove && share < DELETE_SHARE + CREATE_SHARE;
  if (rank == 0 && (remove || add)) { /* the touch moves towards where the mid wants to go */
    bool up = best_price(&market->side[WB_SIDE_BID]) + best_price(&market->side[WB_SIDE_ASK]) < 2 * market->mid_target;
    which = up == add ? WB_SIDE_BID : WB_SIDE_ASK;
    side = &market->side[which];
  }
  if (remove && side->count == 1) remove = false, add = true;
  uint64_t size = random_size(market, bits >> 21);
  if (add && create(market, which, depth_share, size, delta)) return;
  if (rank >= side->count) rank %= side->count;
  if (remove) destroy(market, which, rank, delta);
  else resize(market, which, rank, size, delta);
}

static void __attribute__((noinline)) number_trades(wb_mock_market *market) {
  for (uint32_t i = 0; i < market->trade_count; i++) market->trade[i].sequence = market->sequence;
  market->last_trade = market->trade[market->trade_count - 1];
}

unsigned wb_mock_market_step(wb_mock_market *market, wb_delta *delta) {
  unsigned count = market->changes_min;
  if (market->changes_max > count) { /* the lesser of two: small messages are the rule */
    uint64_t bits = random_next(market), choices = market->changes_max - count + 1;
    unsigned a = (unsigned)((bits >> 32) * choices >> 32), b = (unsigned)((bits & UINT32_MAX) * choices >> 32);
    count += a < b ? a : b;
  }
  market->trade_count = 0;
  for (unsigned i = 0; i < count; i++) change(market, &delta[i]);
  if ((market->messages & 31) == 0) walk(market);
  market->messages++;
  market->changes += count;
  market->sequence += count + 3;
  if (market->trade_count) number_trades(market);
  return count;
}
