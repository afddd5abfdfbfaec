#include "engine/stages/level3.h"

#include <string.h>

#include "engine/base/decimal.h"
#include "engine/ring/atomic.h"

enum { OPENING_NONE = 0, OPENING_HELD, OPENING_RESTS, OPENING_OVER };
enum { LEVELS_AT_ONCE = 256 };

static size_t lines_of(size_t bytes) { return (bytes + WB_CACHE_LINE_BYTES - 1) & ~(size_t)(WB_CACHE_LINE_BYTES - 1); }

static size_t events_bytes(size_t count) { return lines_of(count * sizeof(wb_order_event)); }

static size_t waiting_bytes(void) { return events_bytes(WB_LEVEL3_EVENTS_MAX) + events_bytes(WB_LEVEL3_HELD_MAX); }

size_t wb_level3_bytes(const wb_level3_config *config) {
  size_t orders = wb_orders_bytes(&config->orders), count = config->products->count;
  if (!orders) return 0;
  return count * (lines_of(orders) + waiting_bytes()) + lines_of(count * sizeof(wb_level3_product)) +
         2 * lines_of(count * sizeof(wb_level3_view));
}

void wb_level3_init(wb_level3 *level3, void *memory, const wb_level3_config *config) {
  uint32_t count = config->products->count;
  uint8_t *at = memory;
  *level3 = (wb_level3){.product_count = count, .recording = config->recording};
  level3->product = (void *)at;
  at += lines_of(count * sizeof(wb_level3_product));
  level3->begun = (void *)at;
  at += lines_of(count * sizeof(wb_level3_view));
  level3->view = (void *)at;
  at += lines_of(count * sizeof(wb_level3_view));
  size_t orders_bytes = lines_of(wb_orders_bytes(&config->orders));
  for (uint32_t i = 0; i < count; i++) {
    const wb_product *product = &config->products->product[i];
    wb_orders *orders = wb_orders_init(at, &config->orders);
    at += orders_bytes;
    wb_order_sync_init(&level3->product[i].sync, orders, (void *)at, WB_LEVEL3_EVENTS_MAX, product->price_decimals,
                       product->size_decimals);
    level3->product[i].held = (void *)(at + events_bytes(WB_LEVEL3_EVENTS_MAX));
    at += waiting_bytes();
  }
}

/* ------------------------------------------------------------------------------------------------ lines */

bool wb_level3_line(wb_level3 *level3, uint32_t line, uint16_t connection, bool up) {
  uint32_t index = line % WB_LINE_COUNT_MAX, bit = UINT32_C(1) << index, others = level3->lines & ~bit;
  level3->lines = up ? others | bit : others;
  level3->told |= bit;
  level3->connection[index] = connection;
  for (uint32_t i = 0; i < level3->product_count; i++) level3->product[i].seen[index] = 0;
  if (others) return false;
  for (uint32_t i = 0; i < level3->product_count; i++) wb_level3_again(level3, i);
  return true;
}

uint32_t wb_level3_line_up(const wb_level3 *level3) { return level3->lines ? (uint32_t)__builtin_ctz(level3->lines) : 0; }

void wb_level3_again(wb_level3 *level3, uint32_t product) {
  wb_level3_product *of = &level3->product[product];
  wb_order_sync_restart(&of->sync);
  of->held_count = 0;
  of->asked = false;
}

void wb_level3_doubt(wb_level3 *level3, uint32_t product) {
  wb_order_sync *sync = &level3->product[product].sync;
  if (sync->state == WB_ORDER_SYNC_LIVE) wb_order_sync_restart(sync);
}

bool wb_level3_first(wb_level3 *level3, uint32_t product) {
  wb_level3_product *of = &level3->product[product];
  if (of->asked || of->sync.state != WB_ORDER_SYNC_WAITING) return false;
  return of->asked = true;
}

/* ------------------------------------------------------------------------------------------------ events */

/* Whether a line that is up has not come to this number yet. */
static bool awaited(const wb_level3 *level3, const wb_level3_product *of, uint64_t sequence) {
  for (uint32_t lines = level3->lines; lines; lines &= lines - 1)
    if (of->seen[__builtin_ctz(lines)] < sequence) return true;
  return false;
}

static wb_order_event *held(const wb_level3_product *of, uint32_t index) {
  return &of->held[(of->held_first + index) % WB_LEVEL3_HELD_MAX];
}

/* What is held already. */
static bool count_old(wb_level3 *level3, wb_level3_product *of, uint32_t line) {
  uint64_t *duplicates = &level3->duplicates[line % WB_LINE_COUNT_MAX];
  wb_store_relaxed(duplicates, *duplicates + 1);
  of->sync.old++;
  return true;
}

bool wb_level3_hold(wb_level3 *level3, const wb_message *message) {
  wb_level3_product *of = &level3->product[message->product];
  const wb_order_event *event = wb_message_order(message);
  const wb_order_sync *sync = &of->sync;
  if (!(level3->lines & (level3->lines - 1)) || event->kind > WB_ORDER_NOOP || !(event->has & WB_ORDER_HAS_SEQUENCE))
    return false;
  uint64_t *seen = &of->seen[message->line % WB_LINE_COUNT_MAX];
  if (event->sequence > *seen) *seen = event->sequence;
  if (sync->state != WB_ORDER_SYNC_LIVE || event->sequence <= sync->sequence + 1) return false;
  uint64_t behind = of->held_count ? held(of, of->held_count - 1)->sequence : 0;
  if (event->sequence <= behind) return count_old(level3, of, message->line);
  bool runs = !of->held_count || event->sequence == behind + 1;
  if (!runs || of->held_count == WB_LEVEL3_HELD_MAX || !awaited(level3, of, sync->sequence + 1)) return false;
  if (!of->held_count) of->held_since_ns = message->recv_ns;
  *held(of, of->held_count++) = *event;
  return true;
}

bool wb_level3_release(wb_level3 *level3, uint32_t product, uint64_t recv_ns, wb_order_event *event) {
  wb_level3_product *of = &level3->product[product];
  const wb_order_sync *sync = &of->sync;
  if (!of->held_count) return false;
  bool hole = sync->state == WB_ORDER_SYNC_LIVE && held(of, 0)->sequence > sync->sequence + 1;
  bool late = recv_ns > of->held_since_ns + WB_LEVEL3_HELD_NS || of->held_count == WB_LEVEL3_HELD_MAX;
  if (hole && !late && awaited(level3, of, sync->sequence + 1)) return false;
  *event = *held(of, 0);
  of->held_first = (of->held_first + 1) % WB_LEVEL3_HELD_MAX;
  of->held_count--;
  return true;
}

bool wb_level3_trade(const wb_level3 *level3, const wb_order_event *event, wb_trade *trade, bool *numbered) {
  const wb_order_sync *sync = &level3->product[event->product].sync;
  if (event->kind != WB_ORDER_MATCH) return false;
  wb_order maker = {.side = (wb_side)event->side};
  *numbered = event->has & WB_ORDER_HAS_TRADE_ID;
  if (!*numbered && (sync->state != WB_ORDER_SYNC_LIVE || event->sequence != sync->sequence + 1 ||
                     !wb_orders_find(sync->orders, event->order, &maker)))
    return false;
  *trade = (wb_trade){.trade_id = event->trade_id,
                      .price = event->price,
                      .size = event->size,
                      .time_ns = event->time_ns,
                      .taker = wb_trade_taker(maker.side)};
  return true;
}

static wb_order_sync_result put(wb_order_sync *sync, wb_order_kind kind, const wb_order_event *event) {
  wb_order_event as = *event;
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  uint32_t count;
  as.kind = (uint8_t)kind;
  return wb_order_sync_take(sync, &as, delta, &count);
}

/* The next event of a recording that may begin with its book; false: it is one like any other. */
static bool open_recording(wb_level3_product *of, const wb_order_event *event, wb_order_sync_result *result) {
  wb_order_sync *sync = &of->sync;
  bool rests = event->kind == WB_ORDER_OPEN && event->sequence == of->first.sequence;
  *result = WB_ORDER_SYNC_NONE;
  switch (of->opening) {
  case OPENING_NONE:
    of->opening = event->kind == WB_ORDER_OPEN ? OPENING_HELD : OPENING_OVER;
    of->first = *event;
    return false;
  case OPENING_HELD:
    of->opening = rests && !wb_order_id_same(event->order, of->first.order) ? OPENING_RESTS : OPENING_OVER;
    if (of->opening == OPENING_OVER) return false;
    put(sync, WB_ORDER_SNAPSHOT, event);
    put(sync, WB_ORDER_RESTING, &of->first);
    put(sync, WB_ORDER_RESTING, event);
    return true;
  case OPENING_RESTS:
    if (rests) {
      put(sync, WB_ORDER_RESTING, event);
      return true;
    }
    of->opening = OPENING_OVER;
    put(sync, (wb_order_kind)event->kind, event); /* queues, and is played by what follows */
    *result = put(sync, WB_ORDER_SNAPSHOT_END, &of->first);
    return true;
  default: return false;
  }
}

/* Whether the snapshot was asked for on a connection that is still up, as far as is known: the log of a replay may begin behind it. */
static bool in_force(const wb_level3 *level3, const wb_message *message) {
  uint32_t index = message->line % WB_LINE_COUNT_MAX;
  if (!(level3->told >> index & 1)) return true;
  return (level3->lines >> index & 1) && level3->connection[index] == message->connection;
}

wb_order_sync_result wb_level3_take(wb_level3 *level3, const wb_message *message, const wb_order_event *event,
                                    wb_delta delta[WB_ORDERS_DELTAS_MAX], uint32_t *count) {
  wb_level3_product *of = &level3->product[message->product];
  wb_order_sync *sync = &of->sync;
  wb_order_sync_result result;
  *count = 0;
  if (event->kind >= WB_ORDER_SNAPSHOT && event->kind <= WB_ORDER_SNAPSHOT_END) {
    if (event->kind == WB_ORDER_SNAPSHOT) of->aside = !in_force(level3, message);
    if (!of->aside) return wb_order_sync_take(sync, event, delta, count);
    if (event->kind != WB_ORDER_SNAPSHOT_END) return WB_ORDER_SYNC_NONE;
    sync->useless++;
    if (sync->state == WB_ORDER_SYNC_LIVE) return WB_ORDER_SYNC_NONE;
    sync->why = WB_ORDER_SYNC_OLD;
    return WB_ORDER_SYNC_ASK;
  }
  if (level3->recording && (event->has & WB_ORDER_HAS_SEQUENCE) && open_recording(of, event, &result)) return result;
  uint64_t old = sync->old, *duplicates = &level3->duplicates[message->line % WB_LINE_COUNT_MAX];
  result = wb_order_sync_take(sync, event, delta, count);
  if (sync->old != old) wb_store_relaxed(duplicates, *duplicates + 1);
  return result;
}

wb_reason wb_level3_why(const wb_level3 *level3, uint32_t product) {
  static const uint8_t reasons[] = {
      [WB_ORDER_SYNC_START] = WB_REASON_CONNECTED,      [WB_ORDER_SYNC_GAP] = WB_REASON_GAP,
      [WB_ORDER_SYNC_CONTRADICTION] = WB_REASON_ORDERS, [WB_ORDER_SYNC_FULL] = WB_REASON_ORDERS_MAX,
      [WB_ORDER_SYNC_RANGE] = WB_REASON_RANGE,          [WB_ORDER_SYNC_OLD] = WB_REASON_OLD};
  return (wb_reason)reasons[level3->product[product].sync.why];
}

int wb_level3_load(const wb_level3 *level3, uint32_t product, wb_book *book) {
  wb_delta level[LEVELS_AT_ONCE];
  uint32_t cursor = 0, count;
  int result = 0;
  wb_book_load_begin(book);
  while (result == 0 && (count = wb_orders_levels(level3->product[product].sync.orders, &cursor, level, LEVELS_AT_ONCE)))
    result = wb_book_load_add(book, level, count);
  if (result == 0) return wb_book_load_end(book);
  wb_book_load_drop(book);
  return result;
}

static bool multiply(uint64_t *quantity, uint64_t factor) {
  if (*quantity > WB_QUANTITY_MAX / factor) return false;
  *quantity *= factor;
  return true;
}

static bool refine(wb_order_event *event, uint64_t price_factor, uint64_t size_factor) {
  return multiply(&event->price, price_factor) && multiply(&event->old_price, price_factor) &&
         multiply(&event->size, size_factor) && multiply(&event->old_size, size_factor);
}

/* Brings what waits here to finer units. What cannot be brought there is dropped, and its numbers are missing. */
static void refine_waiting(wb_level3_product *of, int price, int size) {
  bool good = price >= 0 && size >= 0;
  uint64_t price_factor = good ? wb_pow10((unsigned)price) : 0, size_factor = good ? wb_pow10((unsigned)size) : 0;
  if (of->opening == OPENING_HELD && !(good && refine(&of->first, price_factor, size_factor))) of->opening = OPENING_OVER;
  for (uint32_t i = 0; i < of->held_count; i++)
    if (!(good && refine(held(of, i), price_factor, size_factor))) of->held_count = 0;
}

bool wb_level3_scale(wb_level3 *level3, const wb_message *message) {
  wb_level3_product *of = &level3->product[message->product];
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  uint32_t count;
  refine_waiting(of, message->u.scale.price_decimals - of->sync.price_decimals,
                 message->u.scale.size_decimals - of->sync.size_decimals);
  wb_order_event event = {.kind = WB_ORDER_SCALE,
                          .price_decimals = message->u.scale.price_decimals,
                          .size_decimals = message->u.scale.size_decimals,
                          .product = message->product};
  return wb_order_sync_take(&of->sync, &event, delta, &count) != WB_ORDER_SYNC_ASK;
}

/* ------------------------------------------------------------------------------------------------ what it shows */

static wb_level3_view counters(const wb_order_sync *sync) {
  return (wb_level3_view){.loaded = sync->loaded,
                          .useless = sync->useless,
                          .old = sync->old,
                          .skipped = sync->skipped,
                          .overrun = sync->overrun,
                          .disagreements = wb_orders_disagreements(sync->orders)};
}

void wb_level3_window(wb_level3 *level3) {
  for (uint32_t i = 0; i < level3->product_count; i++) level3->begun[i] = counters(&level3->product[i].sync);
  for (uint32_t i = 0; i < WB_LINE_COUNT_MAX; i++) wb_store_relaxed(&level3->duplicates[i], 0);
}

void wb_level3_capture(wb_level3 *level3) {
  for (uint32_t i = 0; i < level3->product_count; i++) {
    const wb_order_sync *sync = &level3->product[i].sync;
    const wb_level3_view now = counters(sync), *begun = &level3->begun[i];
    level3->view[i] = (wb_level3_view){.orders = wb_orders_count(sync->orders),
                                       .sequence = sync->sequence,
                                       .loaded = now.loaded - begun->loaded,
                                       .useless = now.useless - begun->useless,
                                       .old = now.old - begun->old,
                                       .skipped = now.skipped - begun->skipped,
                                       .overrun = now.overrun - begun->overrun,
                                       .disagreements = now.disagreements - begun->disagreements};
  }
}
