#include "tools/mock_orders.h"

#include <stdlib.h>
#include <string.h>

/* The most messages that one change can become: a taker, and a match and a done for each order of the level. */
enum { MESSAGES_A_CHANGE = 2 + 2 * WB_MOCK_ORDERS_MAX, MESSAGES_BESIDE = 3 };
_Static_assert((int)WB_MOCK_TRADES_MAX *(int)WB_MOCK_ORDERS_MAX <= (int)WB_MOCK_TRADES_ROOM,
               "a trade takes from each order of a level at most");

static uint64_t mixed(uint64_t value) {
  uint64_t z = value * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static uint64_t drawn(wb_mock_orders *orders) { return mixed(orders->salt + ++orders->draws); }

/* ------------------------------------------------------------------------------------------------ queues */

static uint32_t slot_of(const wb_mock_orders *orders, uint64_t price) { return (uint32_t)mixed(price) & orders->slot_mask; }

static wb_mock_queue *queue_at(const wb_mock_orders *orders, unsigned side, uint64_t price) {
  wb_mock_queue *slot = orders->slot[side];
  uint32_t i = slot_of(orders, price);
  while (slot[i].price && slot[i].price != price) i = (i + 1) & orders->slot_mask;
  return &slot[i];
}

/* What was put further on because this slot was taken moves back into it. */
static void queue_forget(wb_mock_orders *orders, unsigned side, wb_mock_queue *queue) {
  wb_mock_queue *slot = orders->slot[side];
  uint32_t mask = orders->slot_mask, hole = (uint32_t)(queue - slot), i = hole;
  for (;;) {
    i = (i + 1) & mask;
    if (!slot[i].price) break;
    if (((i - slot_of(orders, slot[i].price)) & mask) < ((i - hole) & mask)) continue;
    slot[hole] = slot[i];
    hole = i;
  }
  slot[hole] = (wb_mock_queue){0};
}

static wb_mock_order *append(wb_mock_orders *orders, wb_mock_queue *queue, uint64_t size) {
  uint32_t index = orders->order_free;
  if (index) orders->order_free = orders->order[index].next;
  else index = ++orders->order_used;
  wb_mock_order *order = &orders->order[index];
  *order = (wb_mock_order){.number = ++orders->numbers, .size = size, .before = queue->last};
  if (queue->last) orders->order[queue->last].next = index;
  else queue->first = index;
  queue->last = index;
  queue->count++;
  queue->total += size;
  return order;
}

static void take_out(wb_mock_orders *orders, wb_mock_queue *queue, uint32_t index) {
  wb_mock_order *order = &orders->order[index];
  if (order->before) orders->order[order->before].next = order->next;
  else queue->first = order->next;
  if (order->next) orders->order[order->next].before = order->before;
  else queue->last = order->before;
  queue->count--;
  order->next = orders->order_free;
  orders->order_free = index;
}

/* ------------------------------------------------------------------------------------------------ what happens to them */

static wb_mock_order_message *say(wb_mock_orders *orders, wb_order_kind kind, unsigned side, uint64_t order, uint64_t price,
                                  uint64_t size) {
  wb_mock_order_message *message = &orders->message[orders->message_count++];
  *message = (wb_mock_order_message){.kind = (uint8_t)kind,
                                     .side = (uint8_t)side,
                                     .booked = kind != WB_ORDER_RECEIVED,
                                     .sequence = ++orders->market->sequence,
                                     .order = order,
                                     .price = price,
                                     .size = size};
  return message;
}

static void say_change(wb_mock_orders *orders, unsigned side, wb_mock_order *order, uint64_t price, uint64_t size,
                       bool modified) {
  wb_mock_order_message *message = say(orders, WB_ORDER_CHANGE, side, order->number, price, size);
  message->old_size = order->size;
  message->modified = modified;
  order->size = size;
}

static void say_done(wb_mock_orders *orders, unsigned side, uint64_t order, uint64_t price, uint64_t size,
                     wb_order_reason reason) {
  say(orders, WB_ORDER_DONE, side, order, price, size)->reason = (uint8_t)reason;
}

static void enlarge(wb_mock_orders *orders, unsigned side, uint64_t price, uint64_t size) {
  wb_mock_queue *queue = queue_at(orders, side, price);
  uint64_t bits = drawn(orders);
  if (queue->count == WB_MOCK_ORDERS_MAX || (queue->count && (bits & 3) == 0)) {
    wb_mock_order *last = &orders->order[queue->last];
    say_change(orders, side, last, price, last->size + size, true);
    queue->total += size;
    return;
  }
  queue->price = price;
  uint64_t first = size > 1 && !queue->count && (bits >> 2 & 3) == 0 ? 1 + (bits >> 8) % (size - 1) : size;
  for (uint64_t piece = first; piece; piece = size - piece, size = piece) {
    const wb_mock_order *order = append(orders, queue, piece);
    say(orders, WB_ORDER_RECEIVED, side, order->number, price, piece);
    say(orders, WB_ORDER_OPEN, side, order->number, price, piece);
  }
}

static void cancel(wb_mock_orders *orders, unsigned side, wb_mock_queue *queue, uint64_t size) {
  uint64_t bits = drawn(orders);
  queue->total -= size;
  while (size) {
    uint32_t index = bits & 1 ? queue->first : queue->last;
    wb_mock_order *order = &orders->order[index];
    if (order->size > size) {
      say_change(orders, side, order, queue->price, order->size - size, bits & 2);
      return;
    }
    size -= order->size;
    say_done(orders, side, order->number, queue->price, order->size, WB_ORDER_CANCELED);
    take_out(orders, queue, index);
  }
}

static void take(wb_mock_orders *orders, unsigned side, wb_mock_queue *queue, uint64_t size, const char *time) {
  wb_mock_market *market = orders->market;
  uint64_t taker = ++orders->numbers;
  bool market_order = drawn(orders) & 1;
  say(orders, WB_ORDER_RECEIVED, !side, taker, queue->price, size)->market = market_order;
  queue->total -= size;
  while (size) {
    wb_mock_order *maker = &orders->order[queue->first];
    uint64_t traded = maker->size < size ? maker->size : size;
    wb_mock_order_message *match = say(orders, WB_ORDER_MATCH, side, maker->number, queue->price, traded);
    match->taker = taker;
    match->trade_id = ++market->last_trade_id;
    market->last_trade = market->trade[market->trade_count++] = wb_mock_orders_trade(orders, match);
    uint64_t at = orders->trade_count++ % WB_MOCK_HISTORY;
    orders->history[at].trade = market->last_trade;
    memcpy(orders->history[at].time, time, WB_MOCK_TIME_BYTES);
    size -= traded;
    maker->size -= traded;
    if (maker->size) continue;
    say_done(orders, side, maker->number, queue->price, 0, WB_ORDER_FILLED);
    take_out(orders, queue, queue->first);
  }
  wb_mock_order_message *done = say(orders, WB_ORDER_DONE, !side, taker, queue->price, 0);
  done->reason = WB_ORDER_FILLED;
  done->market = market_order;
  done->booked = false;
}

static void pass_by(wb_mock_orders *orders, uint64_t bits) {
  const wb_mock_side *side = &orders->market->side[bits & 1];
  uint64_t number = ++orders->numbers, price = side->level[side->count - 1].price, size = 1 + (bits >> 8 & 0xffff);
  say(orders, WB_ORDER_RECEIVED, bits & 1, number, price, size);
  say_done(orders, bits & 1, number, price, size, WB_ORDER_CANCELED);
  orders->message[orders->message_count - 1].booked = false;
}

void wb_mock_orders_step(wb_mock_orders *orders, const wb_delta *delta, unsigned count, const char *time) {
  wb_mock_market *market = orders->market;
  const wb_delta *made[WB_MOCK_TRADES_MAX];
  uint32_t made_count = market->trade_count, trades = 0;
  for (uint32_t i = 0; i < made_count; i++) made[i] = market->trade[i].delta;
  market->sequence = orders->sequence;
  market->last_trade_id -= made_count;
  market->trade_count = 0;
  orders->message_count = 0;
  if (orders->stray) say_done(orders, WB_SIDE_BID, ++orders->numbers, market->mid_start, 1, WB_ORDER_CANCELED);
  orders->stray = false;
  uint64_t bits = drawn(orders);
  if (bits >> 60 == 0) pass_by(orders, bits);
  for (unsigned i = 0; i < count; i++) {
    wb_mock_queue *queue = queue_at(orders, delta[i].side, delta[i].price);
    bool traded = trades < made_count && made[trades] == &delta[i];
    trades += traded;
    if (delta[i].size > queue->total) enlarge(orders, delta[i].side, delta[i].price, delta[i].size - queue->total);
    else if (traded) take(orders, delta[i].side, queue, queue->total - delta[i].size, time);
    else cancel(orders, delta[i].side, queue, queue->total - delta[i].size);
    if (queue->count == 0) queue_forget(orders, delta[i].side, queue);
  }
  orders->sequence = market->sequence;
}

/* ------------------------------------------------------------------------------------------------ to look at */

const wb_mock_queue *wb_mock_orders_queue(const wb_mock_orders *orders, wb_side side, uint64_t price) {
  const wb_mock_queue *queue = queue_at(orders, side, price);
  return queue->price ? queue : NULL;
}

wb_order_id wb_mock_orders_id(const wb_mock_orders *orders, uint64_t number) {
  uint64_t high = mixed(orders->salt ^ mixed(2 * number)), low = mixed(orders->salt ^ mixed(2 * number + 1));
  return (wb_order_id){(high & ~UINT64_C(0xf000)) | 0x4000, (low & UINT64_MAX >> 2) | UINT64_C(1) << 63};
}

wb_mock_trade wb_mock_orders_trade(const wb_mock_orders *orders, const wb_mock_order_message *message) {
  return (wb_mock_trade){.id = message->trade_id,
                         .price = message->price,
                         .size = message->size,
                         .sequence = message->sequence,
                         .maker = wb_mock_orders_id(orders, message->order),
                         .taker = wb_mock_orders_id(orders, message->taker),
                         .side = (wb_side)message->side};
}

/* ------------------------------------------------------------------------------------------------ open and close */

static void level_divide(wb_mock_orders *orders, unsigned side, const wb_mock_level *level) {
  wb_mock_queue *queue = queue_at(orders, side, level->price);
  queue->price = level->price;
  uint64_t left = level->size, bits = drawn(orders),
           pieces = 1 + (uint64_t)__builtin_ctzll(bits | 1 << (WB_MOCK_ORDERS_MAX - 1));
  for (; pieces > 1 && left > pieces; pieces--) {
    uint64_t piece = 1 + drawn(orders) % (left - pieces);
    append(orders, queue, piece);
    left -= piece;
  }
  append(orders, queue, left);
}

int wb_mock_orders_open(wb_mock_orders *orders, wb_mock_market *market, uint64_t seed, wb_error *error) {
  memset(orders, 0, sizeof *orders);
  orders->market = market;
  orders->sequence = market->sequence;
  orders->salt = mixed(seed);
  for (const char *c = market->product; *c; c++) orders->salt = mixed(orders->salt ^ (uint8_t)*c);
  uint32_t levels = market->side[0].capacity, slots = 1;
  while (slots < levels + levels / 8 + 1) slots *= 2;
  orders->slot_mask = slots - 1;
  orders->order = malloc((1 + 2 * (size_t)levels * WB_MOCK_ORDERS_MAX) * sizeof *orders->order);
  orders->message = malloc((MESSAGES_BESIDE + (size_t)market->changes_max * MESSAGES_A_CHANGE) * sizeof *orders->message);
  for (int side = 0; side < 2; side++) orders->slot[side] = calloc(slots, sizeof *orders->slot[side]);
  if (!orders->order || !orders->message || !orders->slot[0] || !orders->slot[1]) {
    wb_mock_orders_close(orders);
    return wb_error_set(error, WB_E_MEMORY, 0, "mock orders", "no memory for the orders of %s", market->product);
  }
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = market->side[side].count; i-- > 0;) level_divide(orders, side, &market->side[side].level[i]);
  return 0;
}

void wb_mock_orders_close(wb_mock_orders *orders) {
  free(orders->order);
  free(orders->message);
  free(orders->slot[0]);
  free(orders->slot[1]);
  memset(orders, 0, sizeof *orders);
}
