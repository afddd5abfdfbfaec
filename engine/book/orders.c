#include "engine/book/orders.h"

#include <string.h>

#include "engine/book/slots.h"

enum { ORDER_COUNT_DEFAULT = 1 << 18, ORDER_COUNT_MAX = 1 << 24 };

/* Orders and levels are named by 1 + their index in their pool; 0 is none. level: 0 in one that is free, whose next is the next free one. */
typedef struct order {
  wb_order_id id;
  uint64_t size;
  uint32_t previous, next, level, hash;
} order;

/* A level without orders is free, and first is the next free one. */
typedef struct level {
  uint64_t key; /* price << 1 | side */
  uint64_t size;
  uint32_t first, last, count, hash;
} level;

struct wb_orders {
  wb_slots by_id, by_key;
  order *order; /* [1 + index], as levels */
  level *level;
  uint64_t hash_key;
  uint32_t order_max;
  uint32_t order_count, order_fresh, order_free; /* fresh: of the pool taken at least once */
  uint32_t level_count, level_fresh, level_free;
  uint64_t disagreements;
};

static void *carve(char *memory, size_t *bytes, size_t count, size_t each) {
  size_t at = *bytes;
  *bytes = (at + count * each + WB_CACHE_LINE_BYTES - 1) & ~(size_t)(WB_CACHE_LINE_BYTES - 1);
  return memory ? memory + at : NULL;
}

/* Places everything behind the book, or only counts if memory is NULL; *orders is filled either way. */
static size_t layout(const wb_orders_config *config, char *memory, wb_orders *orders) {
  uint32_t max = config->order_count_max ? config->order_count_max : ORDER_COUNT_DEFAULT, slots = 2;
  if (max > ORDER_COUNT_MAX) return 0;
  while (slots < 2 * max) slots *= 2;
  size_t bytes = 0;
  carve(memory, &bytes, 1, sizeof *orders);
  orders->by_id.slot = carve(memory, &bytes, slots, sizeof(wb_slot));
  orders->by_key.slot = carve(memory, &bytes, slots, sizeof(wb_slot));
  orders->order = carve(memory, &bytes, max + (size_t)1, sizeof(order));
  orders->level = carve(memory, &bytes, max + (size_t)1, sizeof(level));
  orders->by_id.mask = orders->by_key.mask = slots - 1;
  orders->order_max = max;
  orders->hash_key = config->hash_key;
  return bytes;
}

size_t wb_orders_bytes(const wb_orders_config *config) {
  wb_orders orders;
  return config ? layout(config, NULL, &orders) : 0;
}

wb_orders *wb_orders_init(void *memory, const wb_orders_config *config) {
  wb_orders *orders = memory;
  if (!memory || (uintptr_t)memory % WB_CACHE_LINE_BYTES || !wb_orders_bytes(config)) return NULL;
  memset(orders, 0, sizeof *orders);
  layout(config, memory, orders);
  return orders;
}

void wb_orders_clear(wb_orders *orders) {
  if (orders->order_count) {
    memset(orders->by_id.slot, 0, (orders->by_id.mask + (size_t)1) * sizeof(wb_slot));
    memset(orders->by_key.slot, 0, (orders->by_key.mask + (size_t)1) * sizeof(wb_slot));
  }
  orders->order_count = orders->order_fresh = orders->order_free = 0;
  orders->level_count = orders->level_fresh = orders->level_free = 0;
}

/* ---------------------------------------------------------------------------------------------------- finding */

/* Folds the product of two keyed words: every bit of both reaches every bit of the hash. */
static uint32_t hash_of(const wb_orders *orders, uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)(a ^ orders->hash_key ^ UINT64_C(0x9e3779b97f4a7c15)) *
                              (b ^ (orders->hash_key << 32 | orders->hash_key >> 32) ^ UINT64_C(0xbf58476d1ce4e5b9));
  uint64_t fold = (uint64_t)product ^ (uint64_t)(product >> 64);
  return (uint32_t)(fold ^ fold >> 32);
}

static uint32_t find_order(const wb_orders *orders, wb_order_id id, uint32_t hash) {
  uint32_t at = hash, found;
  while ((found = wb_slots_next(&orders->by_id, hash, &at)) && !wb_order_id_same(orders->order[found].id, id)) continue;
  return found;
}

static uint32_t find_level(const wb_orders *orders, uint64_t key, uint32_t hash) {
  uint32_t at = hash, found;
  while ((found = wb_slots_next(&orders->by_key, hash, &at)) && orders->level[found].key != key) continue;
  return found;
}

static uint64_t key_of(wb_side side, uint64_t price) { return price << 1 | (uint64_t)side; }
static uint32_t order_hash(const wb_orders *orders, wb_order_id id) { return hash_of(orders, id.high, id.low); }
static uint32_t level_hash(const wb_orders *orders, uint64_t key) { return hash_of(orders, key, 0); }

static uint32_t find(const wb_orders *orders, wb_order_id id) { return find_order(orders, id, order_hash(orders, id)); }

static uint32_t find_price(const wb_orders *orders, wb_side side, uint64_t price) {
  uint64_t key = key_of(side, price);
  return find_level(orders, key, level_hash(orders, key));
}

/* ---------------------------------------------------------------------------------------------------- queues */

static wb_delta delta_of(const level *l) { return (wb_delta){.price = l->key >> 1, .size = l->size, .side = l->key & 1}; }

/* The level of a key, made where there is none. */
static uint32_t take_level(wb_orders *orders, uint64_t key) {
  uint32_t hash = level_hash(orders, key), at = find_level(orders, key, hash);
  if (at) return at;
  at = orders->level_free;
  if (at) orders->level_free = orders->level[at].first;
  else at = ++orders->level_fresh;
  orders->level[at] = (level){.key = key, .hash = hash};
  wb_slots_add(&orders->by_key, hash, at);
  orders->level_count++;
  return at;
}

static void link_last(wb_orders *orders, uint32_t at, uint32_t to) {
  order *o = &orders->order[at];
  level *l = &orders->level[to];
  o->level = to;
  o->previous = l->last;
  o->next = 0;
  if (l->last) orders->order[l->last].next = at;
  else l->first = at;
  l->last = at;
  l->count++;
  l->size += o->size;
}

/* Takes an order out of its queue; a level that it leaves empty is free afterwards. Gives the total that is left. */
static wb_delta unlink_order(wb_orders *orders, uint32_t at) {
  const order *o = &orders->order[at];
  uint32_t from = o->level;
  level *l = &orders->level[from];
  if (o->previous) orders->order[o->previous].next = o->next;
  else l->first = o->next;
  if (o->next) orders->order[o->next].previous = o->previous;
  else l->last = o->previous;
  l->size -= o->size;
  wb_delta delta = delta_of(l);
  if (--l->count == 0) {
    wb_slots_remove(&orders->by_key, l->hash, from);
    l->first = orders->level_free;
    orders->level_free = from;
    orders->level_count--;
  }
  return delta;
}

static wb_delta drop_order(wb_orders *orders, uint32_t at) {
  wb_delta delta = unlink_order(orders, at);
  order *o = &orders->order[at];
  wb_slots_remove(&orders->by_id, o->hash, at);
  o->level = 0;
  o->next = orders->order_free;
  orders->order_free = at;
  orders->order_count--;
  return delta;
}

/* ---------------------------------------------------------------------------------------------------- events */

static bool in_range(uint64_t quantity) { return quantity - 1 < (uint64_t)WB_QUANTITY_MAX; }

static bool total_fits(const wb_orders *orders, wb_side side, uint64_t price, uint64_t more) {
  uint32_t at = find_price(orders, side, price);
  return !at || orders->level[at].size + more <= (uint64_t)WB_QUANTITY_MAX;
}

static int open_order(wb_orders *orders, const wb_order_event *event, wb_delta *delta) {
  uint32_t hash = order_hash(orders, event->order);
  if (event->side > WB_SIDE_ASK || !in_range(event->price) || !in_range(event->size)) return WB_E_INVALID;
  if (find_order(orders, event->order, hash)) return WB_E_STATE;
  if (orders->order_count == orders->order_max) return WB_E_FULL;
  uint32_t to = take_level(orders, key_of((wb_side)event->side, event->price));
  if (orders->level[to].size + event->size > (uint64_t)WB_QUANTITY_MAX) return WB_E_RANGE;
  uint32_t at = orders->order_free;
  if (at) orders->order_free = orders->order[at].next;
  else at = ++orders->order_fresh;
  orders->order[at] = (order){.id = event->order, .size = event->size, .hash = hash};
  wb_slots_add(&orders->by_id, hash, at);
  orders->order_count++;
  link_last(orders, at, to);
  delta[0] = delta_of(&orders->level[to]);
  return 1;
}

static bool other_side(const wb_orders *orders, const order *o, const wb_order_event *event) {
  return (event->has & WB_ORDER_HAS_SIDE) && event->side != (orders->level[o->level].key & 1);
}

static int match_order(wb_orders *orders, const wb_order_event *event, wb_delta *delta) {
  uint32_t at = find(orders, event->order);
  order *o = &orders->order[at];
  if (!in_range(event->size)) return WB_E_INVALID;
  if (!at || event->size > o->size || other_side(orders, o, event)) return WB_E_STATE;
  if (event->size == o->size) {
    delta[0] = drop_order(orders, at);
    return 1;
  }
  o->size -= event->size;
  orders->level[o->level].size -= event->size;
  delta[0] = delta_of(&orders->level[o->level]);
  return 1;
}

static int change_order(wb_orders *orders, const wb_order_event *event, wb_delta *delta) {
  uint32_t at = find(orders, event->order);
  if (!at) return 0;
  order *o = &orders->order[at];
  level *l = &orders->level[o->level];
  wb_side side = (wb_side)(l->key & 1);
  uint64_t old_price = l->key >> 1, price = event->has & WB_ORDER_HAS_PRICE ? event->price : old_price;
  uint64_t size = event->has & WB_ORDER_HAS_SIZE ? event->size : o->size;
  if (!in_range(price) || size > (uint64_t)WB_QUANTITY_MAX) return WB_E_INVALID;
  if (other_side(orders, o, event)) return WB_E_STATE;
  if (price != old_price && size && !total_fits(orders, side, price, size)) return WB_E_RANGE;
  if (price == old_price && l->size - o->size + size > (uint64_t)WB_QUANTITY_MAX) return WB_E_RANGE;
  orders->disagreements += (event->has & WB_ORDER_HAS_OLD_SIZE) && event->old_size != o->size;
  if (size == 0) {
    delta[0] = drop_order(orders, at);
    return 1;
  }
  if (price == old_price && size <= o->size) {
    l->size -= o->size - size;
    o->size = size;
    delta[0] = delta_of(l);
    return 1;
  }
  delta[0] = unlink_order(orders, at);
  o->size = size;
  uint32_t to = take_level(orders, key_of(side, price));
  link_last(orders, at, to);
  delta[price != old_price] = delta_of(&orders->level[to]);
  return 1 + (price != old_price);
}

static int end_order(wb_orders *orders, const wb_order_event *event, wb_delta *delta) {
  uint32_t at = find(orders, event->order);
  if (!at) return 0;
  const order *o = &orders->order[at];
  if (other_side(orders, o, event)) return WB_E_STATE;
  orders->disagreements += (event->has & WB_ORDER_HAS_SIZE) && event->size != o->size;
  delta[0] = drop_order(orders, at);
  return 1;
}

int wb_orders_apply(wb_orders *orders, const wb_order_event *event, wb_delta delta[WB_ORDERS_DELTAS_MAX]) {
  switch (event->kind) {
  case WB_ORDER_OPEN:
  case WB_ORDER_RESTING: return open_order(orders, event, delta);
  case WB_ORDER_MATCH: return match_order(orders, event, delta);
  case WB_ORDER_CHANGE: return change_order(orders, event, delta);
  case WB_ORDER_DONE: return end_order(orders, event, delta);
  default: return 0;
  }
}

/* ---------------------------------------------------------------------------------------------------- reading */

static wb_order order_of(const wb_orders *orders, uint32_t at) {
  const order *o = &orders->order[at];
  uint64_t key = orders->level[o->level].key;
  return (wb_order){.id = o->id, .price = key >> 1, .size = o->size, .side = (wb_side)(key & 1)};
}

bool wb_orders_find(const wb_orders *orders, wb_order_id id, wb_order *found) {
  uint32_t at = find(orders, id);
  if (at) *found = order_of(orders, at);
  return at != 0;
}

bool wb_orders_ahead(const wb_orders *orders, wb_order_id id, wb_order_place *place) {
  uint32_t at = find(orders, id);
  if (!at) return false;
  const level *l = &orders->level[orders->order[at].level];
  *place = (wb_order_place){.level_size = l->size, .level_orders = l->count};
  while ((at = orders->order[at].previous)) {
    place->orders_ahead++;
    place->size_ahead += orders->order[at].size;
  }
  return true;
}

wb_order_level wb_orders_level(const wb_orders *orders, wb_side side, uint64_t price) {
  uint32_t at = find_price(orders, side, price);
  return at ? (wb_order_level){orders->level[at].size, orders->level[at].count} : (wb_order_level){0, 0};
}

uint32_t wb_orders_queue(const wb_orders *orders, wb_side side, uint64_t price, wb_order *to, uint32_t max) {
  uint32_t at = find_price(orders, side, price), count = 0;
  if (at) at = orders->level[at].first;
  for (; at && count < max; at = orders->order[at].next) to[count++] = order_of(orders, at);
  return count;
}

uint32_t wb_orders_levels(const wb_orders *orders, uint32_t *cursor, wb_delta *delta, uint32_t max) {
  uint32_t count = 0;
  for (; count < max && *cursor < orders->level_fresh; ++*cursor)
    if (orders->level[*cursor + 1].count) delta[count++] = delta_of(&orders->level[*cursor + 1]);
  return count;
}

uint32_t wb_orders_count(const wb_orders *orders) { return orders->order_count; }
uint32_t wb_orders_level_count(const wb_orders *orders) { return orders->level_count; }
uint64_t wb_orders_disagreements(const wb_orders *orders) { return orders->disagreements; }

/* ---------------------------------------------------------------------------------------------------- the whole */

int wb_orders_copy(wb_orders *to, const wb_orders *from) {
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  wb_orders_clear(to);
  if (from->order_count > to->order_max) return WB_E_FULL;
  for (uint32_t i = 1; i <= from->level_fresh; i++) {
    if (from->level[i].count == 0) continue;
    for (uint32_t at = from->level[i].first; at; at = from->order[at].next) {
      wb_order o = order_of(from, at);
      wb_order_event event = {
          .kind = WB_ORDER_RESTING, .side = (uint8_t)o.side, .order = o.id, .price = o.price, .size = o.size};
      open_order(to, &event, delta);
    }
  }
  return 0;
}

static bool is_power_of_ten(uint64_t factor) {
  while (factor && factor % 10 == 0) factor /= 10;
  return factor == 1;
}

int wb_orders_scale(wb_orders *orders, uint64_t price_factor, uint64_t size_factor) {
  if (!is_power_of_ten(price_factor) || !is_power_of_ten(size_factor)) return WB_E_INVALID;
  for (uint32_t i = 1; i <= orders->level_fresh; i++) {
    const level *l = &orders->level[i];
    if (l->count && (l->key >> 1 > WB_QUANTITY_MAX / price_factor || l->size > WB_QUANTITY_MAX / size_factor))
      return WB_E_RANGE;
  }
  if (orders->level_count) memset(orders->by_key.slot, 0, (orders->by_key.mask + (size_t)1) * sizeof(wb_slot));
  for (uint32_t i = 1; i <= orders->level_fresh; i++) {
    level *l = &orders->level[i];
    if (l->count == 0) continue;
    l->key = key_of((wb_side)(l->key & 1), (l->key >> 1) * price_factor);
    l->size *= size_factor;
    l->hash = level_hash(orders, l->key);
    wb_slots_add(&orders->by_key, l->hash, i);
    for (uint32_t at = l->first; at; at = orders->order[at].next) orders->order[at].size *= size_factor;
  }
  return 0;
}

static uint32_t slots_taken(const wb_slots *slots) {
  uint32_t taken = 0;
  for (uint32_t i = 0; i <= slots->mask; i++) taken += slots->slot[i].thing != 0;
  return taken;
}

const char *wb_orders_check(const wb_orders *orders) {
  uint32_t in_levels = 0, levels = 0, free_orders = 0, free_levels = 0;
  for (uint32_t i = 1; i <= orders->level_fresh; i++) {
    const level *l = &orders->level[i];
    uint32_t count = 0, last = 0;
    uint64_t size = 0;
    if (l->count == 0) continue;
    levels++;
    if (!in_range(l->key >> 1)) return "a price out of range";
    if (find_level(orders, l->key, level_hash(orders, l->key)) != i) return "a level is not found by its price";
    for (uint32_t at = l->first; at; at = orders->order[at].next) {
      const order *o = &orders->order[at];
      if (++count > l->count) return "more orders in a queue than its level counts";
      if (o->level != i || o->previous != last) return "an order does not know its level or its neighbour";
      if (!in_range(o->size)) return "a size out of range";
      if (find(orders, o->id) != at) return "an order is not found by its id";
      size += o->size;
      last = at;
    }
    if (count != l->count || last != l->last || size != l->size) return "a level does not add up";
    if (size > (uint64_t)WB_QUANTITY_MAX) return "a total out of range";
    in_levels += count;
  }
  for (uint32_t at = orders->order_free; at && free_orders <= orders->order_fresh; at = orders->order[at].next) {
    if (orders->order[at].level) return "a free order has a level";
    free_orders++;
  }
  for (uint32_t at = orders->level_free; at && free_levels <= orders->level_fresh; at = orders->level[at].first) {
    if (orders->level[at].count) return "a free level has orders";
    free_levels++;
  }
  if (in_levels != orders->order_count || in_levels + free_orders != orders->order_fresh) return "orders are lost";
  if (levels != orders->level_count || levels + free_levels != orders->level_fresh) return "levels are lost";
  if (orders->order_fresh > orders->order_max || orders->level_fresh > orders->order_max) return "a pool is overrun";
  if (slots_taken(&orders->by_id) != in_levels || slots_taken(&orders->by_key) != levels) return "slots of what is gone";
  return NULL;
}
