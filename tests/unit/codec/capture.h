/* capture.h - a wb_out that keeps what a codec says and checks what no codec may ever say; and the roads of the Exchange
 * dialect side by side, which is the oracle of its tests and of its fuzz target. Each claim is memory of its own, of exactly
 * the size asked for, so that the address sanitizer sees a delta too many. */
#ifndef WB_TESTS_CAPTURE_H
#define WB_TESTS_CAPTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/codec/coinbase_exchange.h"
#include "engine/codec/coinbase_roads.h"

enum { CAPTURE_MESSAGES_MAX = 4096 };

/* broken: the first rule that a message broke, or NULL. open: parts of a message are out and its LAST is not. */
typedef struct capture {
  wb_out out;
  const wb_products *products;
  wb_message *claimed;
  uint32_t claimed_count;
  wb_message *message[CAPTURE_MESSAGES_MAX];
  unsigned count, open_from;
  bool open;
  const char *broken;
} capture;

static inline wb_message *capture_claim(wb_out *out, uint32_t delta_count) {
  capture *to = (capture *)out;
  if (delta_count > WB_PART_DELTAS_MAX) to->broken = "claim of more than WB_PART_DELTAS_MAX";
  free(to->claimed);
  void *memory = NULL;
  if (posix_memalign(&memory, 64, sizeof(wb_message) + delta_count * sizeof(wb_delta)) != 0) abort();
  to->claimed = memory;
  to->claimed_count = delta_count;
  memset(to->claimed, 0xa5, sizeof(wb_message) + delta_count * sizeof(wb_delta));
  return to->claimed;
}

static inline const char *capture_check(const capture *to, const wb_message *message) {
  bool first = message->part & WB_PART_FIRST, last = message->part & WB_PART_LAST, aborted = message->part & WB_PART_ABORT;
  bool book = message->kind == WB_MESSAGE_SNAPSHOT || message->kind == WB_MESSAGE_UPDATE;
  if (message != to->claimed) return "commit of what was not claimed";
  if (message->delta_count > to->claimed_count) return "more deltas than claimed";
  static const struct {
    uint8_t deltas, price_min, product; /* product: must have one */
    uint8_t flags;
  } kinds[] = {[WB_MESSAGE_SNAPSHOT] = {.price_min = 1, .product = 1},
               [WB_MESSAGE_UPDATE] = {.price_min = 1, .product = 1},
               [WB_MESSAGE_SCALE] = {.product = 1},
               [WB_MESSAGE_TICKER] = {WB_TICKER_DELTAS, 0, 1, (uint8_t)~WB_FLAG_PAST},
               [WB_MESSAGE_TRADE] = {1, 1, 1, WB_FLAG_PAST},
               [WB_MESSAGE_STATUS] = {.deltas = 2},
               [WB_MESSAGE_CANDLE] = {WB_CANDLE_DELTAS, 1, 1, WB_FLAG_PAST},
               [WB_MESSAGE_AUCTION] = {3, 0, 1, 0},
               [WB_MESSAGE_RFQ] = {1, 1, 1, 0},
               [WB_MESSAGE_UNKNOWN] = {0}};
  if (message->kind < WB_MESSAGE_SNAPSHOT || message->kind > WB_MESSAGE_UNKNOWN) return "unknown kind";
  bool rows = message->kind == WB_MESSAGE_STATUS && message->product == WB_PRODUCT_NONE;
  if (message->product != WB_PRODUCT_NONE && message->product >= to->products->count) return "product out of range";
  if (!book && message->delta_count != (rows ? 0 : kinds[message->kind].deltas)) return "deltas that are none of its own";
  if (kinds[message->kind].product && message->product == WB_PRODUCT_NONE) return "no product";
  if (message->flags & ~kinds[message->kind].flags) return "flags that are none of its own";
  if (message->decimals[0] > WB_DECIMALS_MAX || message->decimals[1] > WB_DECIMALS_MAX) return "units out of range";
  if (aborted && (!last || first || message->delta_count)) return "an abort is an empty last part";
  if (first == to->open) return "first part where none is due, or missing";
  if (to->open) {
    const wb_message *before = to->message[to->count - 1];
    if (before->kind != message->kind) return "parts of two kinds";
    if (book && (before->product != message->product || before->time_ns != message->time_ns)) return "parts disagree";
    if (message->kind == WB_MESSAGE_UPDATE && aborted) return "aborted update";
  }
  if (message->kind == WB_MESSAGE_REJECT &&
      (message->u.reject.reason == WB_REJECT_NONE || message->u.reject.reason >= WB_REJECT_COUNT))
    return "reject without a reason";
  if (message->kind == WB_MESSAGE_SCALE &&
      (message->u.scale.price_decimals > WB_DECIMALS_MAX || message->u.scale.size_decimals > WB_DECIMALS_MAX))
    return "scale out of range";
  for (uint32_t i = 0; i < message->delta_count; i++)
    if (message->deltas[i].price < kinds[message->kind].price_min || message->deltas[i].price > WB_QUANTITY_MAX ||
        message->deltas[i].size > WB_QUANTITY_MAX)
      return "quantity out of range";
  for (unsigned i = 0; i < sizeof message->reserved; i++)
    if (message->reserved[i]) return "reserved byte set";
  return NULL;
}

static inline void capture_commit(wb_out *out, wb_message *message) {
  capture *to = (capture *)out;
  const char *broken = to->count == CAPTURE_MESSAGES_MAX ? "too many messages" : capture_check(to, message);
  if (broken) {
    to->broken = broken;
    return;
  }
  if (!to->open) to->open_from = to->count;
  to->message[to->count++] = message;
  to->open = !(message->part & WB_PART_LAST);
  to->claimed = NULL;
}

static inline void capture_init(capture *to, const wb_products *products) {
  memset(to, 0, sizeof *to);
  to->out = (wb_out){capture_claim, capture_commit};
  to->products = products;
}

static inline void capture_clear(capture *to) {
  for (unsigned i = 0; i < to->count; i++) free(to->message[i]);
  free(to->claimed);
  capture_init(to, to->products);
}

/* Takes out what was aborted, as a reader of the messages does. */
static inline void capture_drop_aborted(capture *from) {
  unsigned kept = 0, first = 0;
  for (unsigned i = 0; i < from->count; i++) {
    wb_message *message = from->message[i];
    if (message->part & WB_PART_FIRST) first = kept;
    from->message[kept++] = message;
    if (!(message->part & WB_PART_ABORT)) continue;
    while (kept > first) free(from->message[--kept]);
  }
  from->count = kept;
}

static inline bool capture_same(const capture *a, const capture *b) {
  if (a->count != b->count) return false;
  for (unsigned i = 0; i < a->count; i++) {
    if (memcmp(a->message[i], b->message[i], sizeof(wb_message)) != 0) return false;
    if (memcmp(a->message[i]->deltas, b->message[i]->deltas, a->message[i]->delta_count * sizeof(wb_delta)) != 0) return false;
  }
  return true;
}

/* What it says, and no more. */
static inline size_t capture_print_ticker(const wb_message *message, char *text, size_t size) {
  static const char *const names[WB_TICKER_DELTAS] = {
      [WB_TICKER_LAST] = "last",         [WB_TICKER_OPEN_24H] = "open_24h", [WB_TICKER_LOW_24H] = "low_24h",
      [WB_TICKER_HIGH_24H] = "high_24h", [WB_TICKER_LOW_52W] = "low_52w",   [WB_TICKER_HIGH_52W] = "high_52w"};
  const wb_delta *delta = message->deltas;
  size_t used = 0;
#define PUT(...) used += (size_t)snprintf(text + used, used < size ? size - used : 0, __VA_ARGS__)
  PUT(" sequence %llu%s%s", (unsigned long long)message->u.ticker.sequence,
      message->flags & (WB_FLAG_BEST | WB_FLAG_SIZES) ? "" : " no best",
      (message->flags & (WB_FLAG_BEST | WB_FLAG_SIZES)) == WB_FLAG_BEST ? " no sizes" : "");
  for (unsigned i = 0; i < 2 && message->flags & WB_FLAG_BEST; i++)
    PUT(" %s:%llu:%llu", delta[i].side == WB_SIDE_BID ? "bid" : "ask", (unsigned long long)delta[i].price,
        (unsigned long long)delta[i].size);
  if (message->decimals[0] || message->decimals[1]) PUT(" units %u %u", message->decimals[0], message->decimals[1]);
  for (unsigned i = WB_TICKER_LAST; i < WB_TICKER_DELTAS; i++)
    if (delta[i].price) PUT(" %s %llu", names[i], (unsigned long long)delta[i].price);
  if (message->flags & WB_FLAG_TRADE)
    PUT(" %s %llu trade %llu", delta[WB_TICKER_LAST].side == WB_SIDE_BID ? "bought" : "sold",
        (unsigned long long)delta[WB_TICKER_LAST].size, (unsigned long long)message->u.ticker.trade_id);
  if (message->flags & WB_FLAG_VOLUME_24H) PUT(" volume_24h %llu", (unsigned long long)delta[WB_TICKER_OPEN_24H].size);
  if (message->flags & WB_FLAG_VOLUME_30D) PUT(" volume_30d %llu", (unsigned long long)delta[WB_TICKER_LOW_24H].size);
#undef PUT
  return used;
}

static inline size_t capture_print(const capture *from, unsigned index, char *text, size_t size) {
  static const char *const kinds[] = {"?",      "snapshot", "update",  "heartbeat",  "subscriptions", "error",
                                      "reject", "ignored",  "connect", "disconnect", "scale",         "ticker",
                                      "trade",  "window",   "gap",     "resync",     "product",       "order",
                                      "status", "candle",   "auction", "rfq",        "unknown"};
  const wb_message *message = from->message[index];
  size_t used = 0;
#define PUT(...) used += (size_t)snprintf(text + used, used < size ? size - used : 0, __VA_ARGS__)
  PUT("%s %s", kinds[message->kind], message->product == WB_PRODUCT_NONE ? "-" : from->products->product[message->product].id);
  if (message->part & WB_PART_ABORT) PUT(" abort");
  else if (message->part == WB_PART_FIRST) PUT(" first");
  else if (message->part == WB_PART_LAST) PUT(" last");
  else if (message->part == 0) PUT(" middle");
  if (message->time_ns != WB_TIME_NONE) PUT(" at %lld", (long long)message->time_ns);
  if (message->flags & WB_FLAG_PAST) PUT(" past");
  if (message->kind == WB_MESSAGE_HEARTBEAT && message->product == WB_PRODUCT_NONE)
    PUT(" sequence %llu counter %llu", (unsigned long long)message->u.beat.sequence,
        (unsigned long long)message->u.beat.counter);
  else if (message->kind == WB_MESSAGE_HEARTBEAT)
    PUT(" sequence %llu trade %llu", (unsigned long long)message->u.heartbeat.sequence,
        (unsigned long long)message->u.heartbeat.last_trade_id);
  if (message->kind == WB_MESSAGE_REJECT)
    PUT(" %s %u%s", wb_reject_name(message->u.reject.reason), message->u.reject.offset,
        message->u.reject.harmless ? " harmless" : "");
  if (message->kind == WB_MESSAGE_TICKER)
    return used + capture_print_ticker(message, text + used, used < size ? size - used : 0);
  if (message->kind == WB_MESSAGE_TRADE || message->kind == WB_MESSAGE_RFQ)
    PUT(" sequence %llu trade %llu", (unsigned long long)message->u.trade.sequence,
        (unsigned long long)message->u.trade.trade_id);
  if (message->kind == WB_MESSAGE_GAP)
    PUT(" expected %llu came %llu", (unsigned long long)message->u.gap.expected, (unsigned long long)message->u.gap.came);
  if (message->kind == WB_MESSAGE_SCALE) PUT(" %u %u", message->u.scale.price_decimals, message->u.scale.size_decimals);
  if (message->kind == WB_MESSAGE_SUBSCRIPTIONS && message->u.subscription.single)
    PUT(" single%s", message->u.subscription.gone ? " gone" : "");
  if ((message->kind == WB_MESSAGE_SNAPSHOT || message->kind == WB_MESSAGE_UPDATE) && message->u.book.depth)
    PUT(" depth %u", message->u.book.depth);
  if ((message->kind == WB_MESSAGE_SNAPSHOT || message->kind == WB_MESSAGE_UPDATE) && message->u.book.checked)
    PUT(" checksum %u", message->u.book.checksum);
  if (message->kind == WB_MESSAGE_STATUS && message->product == WB_PRODUCT_NONE)
    PUT(" ours %u others %u", message->u.rows.ours, message->u.rows.others);
  else if (message->kind == WB_MESSAGE_STATUS)
    PUT(" status %u type %u flags %u funds %u", message->u.status.status, message->u.status.type, message->u.status.flags,
        message->u.status.funds_decimals);
  if (message->kind == WB_MESSAGE_CANDLE)
    PUT(" sequence %llu start %lld", (unsigned long long)message->u.candle.sequence, (long long)message->u.candle.start_ns);
  if (message->kind == WB_MESSAGE_AUCTION)
    PUT(" sequence %llu state %u open %u", (unsigned long long)message->u.auction.sequence, message->u.auction.state,
        message->u.auction.can_open);
  if (message->kind >= WB_MESSAGE_STATUS && message->delta_count)
    PUT(" units %u %u", message->decimals[0], message->decimals[1]);
  bool sided = message->kind != WB_MESSAGE_STATUS && message->kind != WB_MESSAGE_CANDLE;
  for (uint32_t i = 0; i < message->delta_count; i++)
    PUT(" %s%llu:%llu",
        !sided                                   ? ""
        : message->deltas[i].side == WB_SIDE_BID ? "bid:"
                                                 : "ask:",
        (unsigned long long)message->deltas[i].price, (unsigned long long)message->deltas[i].size);
#undef PUT
  return used;
}

/* ------------------------------------------------------------------------------------------------ roads side by side */

enum { ROADS_MAX = 8, ROADS_PRODUCTS = 6 };

/* The same frames through each road, each with a state of its own. Road 0 is the full road alone. */
typedef struct roads {
  wb_products products;
  void *memory;
  wb_coinbase *state[ROADS_MAX];
  const char *name[ROADS_MAX];
  capture got[ROADS_MAX];
  unsigned count;
  char why[64];
} roads;

/* The roads of this machine, as far as there is room: the full road, then the fast ones. Returns how many. */
static inline unsigned roads_of(wb_coinbase_road *road, const char **name) {
  unsigned count = 0;
  road[count] = wb_coinbase_full;
  name[count++] = "full";
  const wb_coinbase_way *way;
  for (unsigned i = 0; (way = wb_coinbase_way_at(i)); i++) {
    if (!way->has() || count == ROADS_MAX) continue;
    road[count] = way->road;
    name[count++] = way->name;
  }
  return count;
}

static inline void roads_init(roads *all) {
  static const char *const ids[ROADS_PRODUCTS] = {"BTC-USD", "ETH-USD", "BTC-PERP-INTX",
                                                  "A",       "YFI-USD", "THIRTY-ONE-CHARACTERS-ID.OF_0-X"};
  wb_coinbase_road road[ROADS_MAX];
  memset(all, 0, sizeof *all);
  all->count = roads_of(road, all->name);
  if (posix_memalign(&all->memory, 64, wb_products_bytes(ROADS_PRODUCTS)) != 0) abort();
  wb_products_init(&all->products, all->memory, ROADS_PRODUCTS);
  for (unsigned i = 0; i < ROADS_PRODUCTS; i++) wb_products_add(&all->products, ids[i], strlen(ids[i]));
  for (unsigned i = 0; i < all->count; i++) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, wb_codec_coinbase_exchange.size(&all->products)) != 0) abort();
    all->state[i] = memory;
    if (wb_codec_coinbase_exchange.init(memory, &all->products) != 0) abort();
    all->state[i]->fast = road[i];
    capture_init(&all->got[i], &all->products);
  }
}

static inline void roads_fini(roads *all) {
  for (unsigned i = 0; i < all->count; i++) {
    capture_clear(&all->got[i]);
    free(all->state[i]);
  }
  free(all->memory);
}

/* Sets every product of every road to these units. */
static inline void roads_scale(roads *all, unsigned price_decimals, unsigned size_decimals) {
  for (unsigned i = 0; i < all->count; i++)
    for (unsigned p = 0; p < ROADS_PRODUCTS; p++) {
      all->state[i]->product[p].price_decimals = (uint8_t)price_decimals;
      all->state[i]->product[p].size_decimals = (uint8_t)size_decimals;
    }
}

static inline void roads_rescale(roads *all) { roads_scale(all, WB_DECIMALS_DEFAULT, WB_DECIMALS_DEFAULT); }

/* Decodes one frame on every road, its bytes lying at the very end of their memory but for the slack, which is filled with
 * `slack`. Returns what is wrong, or NULL. What was said stays in got[] until the next call. */
static inline const char *roads_decode(roads *all, const void *text, size_t bytes, uint8_t slack) {
  wb_frame frame = {.recv_ns = 11, .number = 22, .line = 3, .kind = WB_FRAME_TEXT, .bytes = (uint32_t)bytes};
  uint8_t *memory = malloc(bytes + WB_READ_SLACK_BYTES);
  if (!memory) abort();
  if (bytes) memcpy(memory, text, bytes);
  memset(memory + bytes, slack, WB_READ_SLACK_BYTES);
  const char *broken = NULL;
  for (unsigned i = 0; i < all->count && !broken; i++) {
    capture *got = &all->got[i];
    capture_clear(got);
    wb_codec_coinbase_exchange.decode(all->state[i], &frame, memory, &got->out);
    broken = got->broken;
    if (!broken && got->count == 0) broken = "a frame without a message";
    if (!broken && got->open) broken = "the last part is missing";
    for (unsigned m = 0; m < got->count && !broken; m++)
      if (got->message[m]->recv_ns != 11 || got->message[m]->number != 22 || got->message[m]->line != 3)
        broken = "not the frame's receive time, number and line";
    capture_drop_aborted(got);
    if (!broken && got->message[got->count - 1]->kind == WB_MESSAGE_REJECT && got->count != 1)
      broken = "a reject beside another";
    if (broken || i == 0) continue;
    if (!capture_same(got, &all->got[0])) {
      snprintf(all->why, sizeof all->why, "the %s road differs from the full road", all->name[i]);
      broken = all->why;
    }
    for (unsigned p = 0; p < ROADS_PRODUCTS; p++)
      if (all->state[i]->product[p].price_decimals != all->state[0]->product[p].price_decimals ||
          all->state[i]->product[p].size_decimals != all->state[0]->product[p].size_decimals)
        broken = "the roads' scales differ";
  }
  free(memory);
  return broken;
}

#endif
