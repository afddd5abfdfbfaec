#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/book/book.h"
#include "io/http1.h"
#include "io/ws.h"
#include "tests/sim/sim.h"

enum { TEXT_BYTES = 600000, MESSAGES_PER_PUMP = 64, CALM_NS = 30 * SIM_MS /* between messages when the faults are over */ };

static const struct market_kind {
  const char *id;
  unsigned price_decimals, size_decimals;
  uint64_t mid, size_least, size_most;
  uint32_t reach; /* ticks from the mid */
} kinds[SIM_PRODUCTS_MAX] = {
    {"BTC-USD", 2, 8, 6000000, 1, 900000000, 300},
    {"ETH-USD", 2, 8, 250000, 1, UINT64_C(90000000000), 100000},
    {"SHIB-USD", 10, 0, 83100, 1, 900000000, 40},                                       /* finer than the usual 8 decimals */
    {"DUST-USD", 4, 0, 50000, UINT64_C(1000000000000), UINT64_C(90000000000000), 2000}, /* sizes that need coarser ones */
    {"THIN-USD", 8, 8, UINT64_C(150000000000), 1, 1000000, 3},
    {"DEEP-USD", 2, 6, 10000000, 1, 900000000, 60000},
};

typedef struct market {
  sim_book book;
  uint64_t mid, crossed_until_ns, sequence, trade_id;
  uint32_t target;
  uint64_t version, *hash; /* of the book after each update */
  size_t hash_room;
} market;

static market *markets;
static uint64_t next_ns;
static char *text;

const char *sim_product_id(unsigned product) { return kinds[product].id; }
const sim_book *sim_truth(unsigned product) { return &markets[product].book; }
uint64_t sim_truth_at(unsigned product, uint64_t version) { return markets[product].hash[version]; }
unsigned sim_price_decimals(unsigned product) { return kinds[product].price_decimals; }
unsigned sim_size_decimals(unsigned product) { return kinds[product].size_decimals; }

/* ------------------------------------------------------------------------------------------------ books */

void sim_book_set(sim_book *book, unsigned side, uint64_t price, uint64_t size) {
  sim_level *level = book->level[side];
  uint32_t low = 0, high = book->count[side];
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    bool better = side == WB_SIDE_BID ? level[middle].price > price : level[middle].price < price;
    if (better) low = middle + 1;
    else high = middle;
  }
  bool there = low < book->count[side] && level[low].price == price;
  uint32_t behind = book->count[side] - low;
  if (there && size) level[low].size = size;
  else if (there) memmove(level + low, level + low + 1, (--book->count[side], behind - 1) * sizeof *level);
  else if (size) {
    if (book->count[side] == SIM_LEVELS_MAX) sim_fail("simulator", "a book of too many levels");
    memmove(level + low + 1, level + low, behind * sizeof *level);
    level[low] = (sim_level){price, size};
    book->count[side]++;
  }
}

void sim_book_copy(sim_book *to, const sim_book *from) {
  for (unsigned side = 0; side < 2; side++)
    memcpy(to->level[side], from->level[side], (to->count[side] = from->count[side]) * sizeof(sim_level));
}

uint64_t sim_book_hash(const sim_book *book) {
  uint64_t hash = 0;
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < book->count[side]; i++)
      hash += wb_level_hash((wb_side)side, book->level[side][i].price, book->level[side][i].size);
  return hash;
}

bool sim_book_crossed(const sim_book *book) {
  return book->count[0] && book->count[1] && book->level[0][0].price >= book->level[1][0].price;
}

static uint64_t draw_size(unsigned product) {
  return kinds[product].size_least + sim_draw(kinds[product].size_most - kinds[product].size_least);
}

static uint64_t draw_price(const market *m, unsigned product, unsigned side) {
  uint64_t away = 1 + sim_draw(kinds[product].reach);
  return side == WB_SIDE_BID ? m->mid - away : m->mid + away;
}

static uint32_t step(unsigned product, wb_delta *delta) {
  market *m = &markets[product];
  uint32_t count = 0;
  bool crossed = sim.now_ns < m->crossed_until_ns;
  if (!crossed && sim_chance(3)) {
    uint64_t by = 1 + kinds[product].reach / 8;
    m->mid += sim_draw(2 * by + 1) - by;
    if (m->mid > 2 * kinds[product].mid || m->mid < kinds[product].mid / 2) m->mid = kinds[product].mid;
  }
  for (unsigned side = 0; side < 2 && !crossed; side++) {
    const sim_level *best = m->book.level[side];
    while (m->book.count[side] && count < SIM_CHANGES_MAX - 8 &&
           (side == WB_SIDE_BID ? best->price >= m->mid : best->price <= m->mid)) {
      delta[count++] = (wb_delta){.price = best->price, .side = side};
      sim_book_set(&m->book, side, best->price, 0);
    }
  }
  for (uint64_t i = 1 + sim_draw(3); i; i--) {
    unsigned side = (unsigned)sim_draw(2);
    uint32_t levels = m->book.count[side];
    wb_delta change = {.price = draw_price(m, product, side), .size = draw_size(product), .side = side};
    if (levels > m->target || (levels && sim_chance(3))) {
      change.price = m->book.level[side][sim_draw(levels)].price;
      if (sim_chance(2) || levels > m->target) change.size = 0;
    } else if (sim_chance(40)) change.size = 0; /* a removal of what is perhaps not there */
    sim_book_set(&m->book, side, change.price, change.size);
    delta[count++] = change;
  }
  if (!crossed && m->book.count[1] && sim_fault(SIM_CROSSED)) {
    wb_delta change = {.price = m->book.level[1][0].price + sim_draw(3), .size = draw_size(product), .side = WB_SIDE_BID};
    sim_book_set(&m->book, WB_SIDE_BID, change.price, change.size);
    delta[count++] = change;
    m->crossed_until_ns = sim.now_ns + sim_draw(5 * SIM_S);
  }
  m->sequence += count;
  return count;
}

/* ------------------------------------------------------------------------------------------------ framing */

static sim_item *item_push(sim_conn *conn, const sim_item *item) {
  conn->item = sim_grow(conn->item, conn->items, &conn->items_room, sizeof *item);
  conn->item[conn->items] = *item;
  return &conn->item[conn->items++];
}

static void frame_write(sim_conn *conn, int opcode, bool fin, const uint8_t *bytes, size_t count) {
  uint8_t header[WB_WS_HEADER_BYTES_MAX];
  size_t header_bytes = wb_ws_header(header, opcode, fin, count, NULL);
  sim_wire_write(conn, header, header_bytes);
  sim_wire_write(conn, bytes, count);
}

static void control(sim_conn *conn, int opcode, bool nested, const uint8_t *bytes, size_t count) {
  uint8_t kind = opcode == WB_WS_PING ? WB_FRAME_PING : opcode == WB_WS_PONG ? WB_FRAME_PONG : WB_FRAME_CLOSE;
  uint8_t *copy = sim_alloc(count + 1);
  memcpy(copy, bytes, count);
  sim_item item = {.kind = kind, .nested = nested, .bytes = copy, .count = (uint32_t)count, .start = conn->down_bytes};
  frame_write(conn, opcode, true, copy, count);
  item.end = conn->down_bytes;
  item_push(conn, &item);
}

static void random_control(sim_conn *conn, bool nested) {
  uint8_t payload[WB_WS_CONTROL_BYTES_MAX];
  size_t count = sim_draw(sizeof payload + 1);
  for (size_t i = 0; i < count; i++) payload[i] = (uint8_t)sim_draw(256);
  control(conn, sim_chance(3) ? WB_WS_PONG : WB_WS_PING, nested, payload, count);
}

/* A whole message as one frame or several. */
static void emit(sim_conn *conn, sim_item item) {
  if (conn->ended) return;
  item.start = conn->down_bytes;
  item.tainted = item.product < SIM_PRODUCTS_MAX && conn->sub[item.product].tainted;
  item.disturbed = item.tainted || (item.product < SIM_PRODUCTS_MAX && conn->sub[item.product].disturbed);
  int opcode = item.kind == WB_FRAME_BINARY ? WB_WS_BINARY : WB_WS_TEXT;
  size_t at = 0;
  if (sim_fault(SIM_FRAGMENTED)) {
    item.fragmented = true;
    for (uint64_t more = 1 + sim_draw(4); more; more--) {
      size_t some = sim_draw(item.count - at + 1);
      frame_write(conn, at || opcode == WB_WS_CONTINUATION ? WB_WS_CONTINUATION : opcode, false, item.bytes + at, some);
      opcode = WB_WS_CONTINUATION;
      at += some;
      if (sim_chance(3)) random_control(conn, true);
    }
  }
  frame_write(conn, opcode, true, item.bytes + at, item.count - at);
  item.end = conn->down_bytes;
  item_push(conn, &item);
}

static void taint(sim_conn *conn, const sim_item *item) {
  if (item->product == UINT8_MAX) return;
  conn->sub[item->product].disturbed = true;
  if (item->says != SIM_SAYS_NOTHING) conn->sub[item->product].tainted = true;
}

/* Through what a faulty exchange or proxy does to messages. */
static void publish(sim_conn *conn, const sim_item *item) {
  sim.messages_sent++;
  if (sim_fault(SIM_LOSS)) {
    taint(conn, item);
    return;
  }
  if (!conn->held.full && sim_fault(SIM_REORDER)) {
    taint(conn, item);
    conn->held.full = true;
    conn->held.item = *item;
    return;
  }
  emit(conn, *item);
  if (conn->held.full) {
    conn->held.full = false;
    taint(conn, &conn->held.item);
    emit(conn, conn->held.item);
  } else if (sim_fault(SIM_DUPLICATE)) {
    if (sim_chance(2)) emit(conn, *item);
    else {
      taint(conn, item);
      conn->held.full = true;
      conn->held.item = *item;
    }
  }
}

static void publish_text(sim_conn *conn, sim_item item, const char *bytes, size_t count) {
  uint8_t *copy = sim_alloc(count + 1);
  memcpy(copy, bytes, count);
  item.kind = WB_FRAME_TEXT;
  item.bytes = copy;
  item.count = (uint32_t)count;
  publish(conn, &item);
}

/* ------------------------------------------------------------------------------------------------ messages */

/* Of redundant lines most seeds write a number in one way, so that messages are the same byte for byte. */
static size_t put_number(char *to, uint64_t value, unsigned decimals) {
  size_t n = wb_decimal_print(value, decimals, to);
  if (!sim.config.alike && sim_chance(4)) {
    if (!memchr(to, '.', n)) to[n++] = '.';
    for (uint64_t zeros = 1 + sim_draw(4); zeros; zeros--) to[n++] = '0';
  }
  return n;
}

static size_t put_level(char *to, unsigned product, const char *side, uint64_t price, uint64_t size) {
  size_t n = (size_t)(side ? sprintf(to, "[\"%s\",\"", side) : sprintf(to, "[\""));
  n += put_number(to + n, price, kinds[product].price_decimals);
  n += (size_t)sprintf(to + n, "\",\"");
  n += put_number(to + n, size, kinds[product].size_decimals);
  return n + (size_t)sprintf(to + n, "\"]");
}

static size_t put_time(char *to, uint64_t time_ns) {
  uint64_t ms = time_ns / SIM_MS; /* a seed lives for hours, not for days */
  return (size_t)sprintf(to, "\"time\":\"2026-11-21T%02u:%02u:%02u.%03uZ\"", (unsigned)(ms / 3600000 % 24),
                         (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
}

static void send_snapshot(sim_conn *conn, unsigned product) {
  const sim_book *book = &markets[product].book;
  size_t n = (size_t)sprintf(text, "{\"type\":\"snapshot\",\"product_id\":\"%s\"", kinds[product].id);
  unsigned first = (unsigned)sim_draw(2);
  for (unsigned turn = 0; turn < 2; turn++) {
    unsigned side = first ^ turn;
    n += (size_t)sprintf(text + n, ",\"%s\":[", side == WB_SIDE_BID ? "bids" : "asks");
    for (uint32_t i = 0; i < book->count[side]; i++) {
      if (i) text[n++] = ',';
      n += put_level(text + n, product, NULL, book->level[side][i].price, book->level[side][i].size);
    }
    text[n++] = ']';
  }
  text[n++] = '}';
  uint32_t count = book->count[0] + book->count[1], at = 0;
  wb_delta *delta = sim_alloc((count + 1) * sizeof *delta);
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < book->count[side]; i++)
      delta[at++] = (wb_delta){.price = book->level[side][i].price, .size = book->level[side][i].size, .side = side};
  conn->sub[product].tainted = false;
  conn->sub[product].batched = conn->sub[product].batch_count = 0;
  publish_text(conn,
               (sim_item){.says = SIM_SAYS_SNAPSHOT,
                          .product = (uint8_t)product,
                          .delta = delta,
                          .delta_count = count,
                          .truth = sim_book_hash(book),
                          .version = markets[product].version},
               text, n);
}

static size_t put_update(char *to, unsigned product, const wb_delta *delta, uint32_t count, uint64_t time_ns) {
  size_t n = (size_t)sprintf(to, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[", kinds[product].id);
  for (uint32_t i = 0; i < count; i++) {
    if (i) to[n++] = ',';
    n += put_level(to + n, product, delta[i].side ? "sell" : "buy", delta[i].price, delta[i].size);
  }
  n += (size_t)sprintf(to + n, "],");
  n += put_time(to + n, time_ns);
  to[n++] = '}';
  return n;
}

/* What was an update, spoilt; the exchange's book has moved all the same. */
static void send_malformed(sim_conn *conn, unsigned product, size_t n) {
  const char *id = kinds[product].id;
  sim_item item = {.says = SIM_SAYS_BROKEN, .product = (uint8_t)product, .counts = true};
  static const char *const wrong_number[] = {
      "-1.5", "1e5", "", "0", "007", "1.", ".5", "0x1", "99999999999999999999999999999999"};
  uint64_t how = sim_draw(11);
  switch (how == 8 && sim.config.lines > 1 ? 9 : how) {
  case 0:
    n = (size_t)sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"hold\",\"1\",\"1\"]]}", id);
    break;
  case 1:
    n = (size_t)sprintf(
        text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"buy\",\"1\",\"1\"],[\"buy\",\"%s\",\"1\"]]}", id,
        wrong_number[sim_draw(sizeof wrong_number / sizeof *wrong_number)]);
    break;
  case 2: n = (size_t)sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"%s\"}", id); break;
  case 3: n = (size_t)sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":{}}", id); break;
  case 4:
    n = (size_t)sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[],\"time\":\"2026-13-01T00:00:00Z\"}",
                        id);
    break;
  case 5: n = (size_t)sprintf(text, "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"asks\":[]}", id); break;
  case 6: /* cut short */
    n = sim_draw(n);
    item.says = SIM_SAYS_BROKEN_ANY;
    break;
  case 7: { /* a byte that is no UTF-8 */
    size_t at = sim_draw(n + 1);
    memmove(text + at + 1, text + at, n++ - at);
    text[at] = (char)0xff;
    item.says = SIM_SAYS_BROKEN_ANY;
    break;
  }
  case 8: /* somebody else's: that one of ours is missing nobody can see */
    n = (size_t)sprintf(text, "{\"type\":\"l2update\",\"product_id\":\"NOPE-USD\",\"changes\":[[\"buy\",\"1\",\"1\"]]}");
    conn->sub[product].tainted = conn->sub[product].disturbed = true;
    item.says = SIM_SAYS_NOTHING;
    break;
  case 9:
    n = (size_t)sprintf(text, sim_chance(2) ? "{\"type\":\"l2update\",\"changes\":[]}" : "[]");
    item.says = SIM_SAYS_BROKEN_ANY;
    break;
  default:
    text[n++] = 'x';
    item.says = SIM_SAYS_BROKEN_ANY;
    break;
  }
  publish_text(conn, item, text, n);
}

static void market_move(unsigned product, wb_delta *delta, uint32_t *count) {
  market *m = &markets[product];
  *count = step(product, delta);
  m->hash = sim_grow(m->hash, m->version + 1, &m->hash_room, sizeof *m->hash);
  m->hash[++m->version] = sim_book_hash(&m->book);
}

/* A connection whose messages are cut otherwise than the other's gets some updates as one. Returns whether it is due, and what it says then. */
static bool gather(sim_conn *conn, unsigned product, const wb_delta **delta, uint32_t *count) {
  if (!sim.config.batches || conn->line + 1u < sim.config.lines) return true;
  if (!conn->sub[product].batch) conn->sub[product].batch = sim_alloc(SIM_BATCH_MAX * SIM_CHANGES_MAX * sizeof(wb_delta));
  wb_delta *batch = conn->sub[product].batch;
  if (*count) {
    memcpy(batch + conn->sub[product].batch_count, *delta, *count * sizeof *batch);
    conn->sub[product].batch_count += *count;
    conn->sub[product].batch_ns = sim.now_ns;
  }
  if (++conn->sub[product].batched < SIM_BATCH_MAX && *count && sim_chance(2)) return false;
  *count = conn->sub[product].batch_count;
  *delta = memcpy(sim_alloc((*count + 1) * sizeof *batch), batch, *count * sizeof *batch);
  conn->sub[product].batched = conn->sub[product].batch_count = 0;
  return true;
}

static void send_update(sim_conn *conn, unsigned product, const wb_delta *delta, uint32_t count) {
  if (!conn || conn->ended || !conn->upgraded || !conn->sub[product].on) return;
  if (conn->sub[product].wanted && !sim_fault(SIM_EARLY)) return;
  uint64_t time_ns = count ? sim.now_ns : conn->sub[product].batch_ns;
  if (!gather(conn, product, &delta, &count)) return;
  size_t n = put_update(text, product, delta, count, time_ns);
  if (sim_fault(SIM_MALFORMED)) {
    send_malformed(conn, product, n);
    return;
  }
  publish_text(conn,
               (sim_item){.says = SIM_SAYS_UPDATE,
                          .product = (uint8_t)product,
                          .delta = delta,
                          .delta_count = count,
                          .truth = sim_book_hash(&markets[product].book),
                          .version = markets[product].version},
               text, n);
}

static void send_heartbeat(sim_conn *conn, unsigned product) {
  size_t n = (size_t)sprintf(text, "{\"type\":\"heartbeat\",\"sequence\":%llu,\"last_trade_id\":%llu,\"product_id\":\"%s\",",
                             (unsigned long long)markets[product].sequence, (unsigned long long)markets[product].trade_id,
                             kinds[product].id);
  n += put_time(text + n, sim.now_ns);
  text[n++] = '}';
  publish_text(conn, (sim_item){.product = (uint8_t)product}, text, n);
}

static void send_ticker(sim_conn *conn, unsigned product) {
  const sim_book *book = &markets[product].book;
  size_t n = (size_t)sprintf(text, "{\"type\":\"ticker\",\"sequence\":%llu,\"product_id\":\"%s\"",
                             (unsigned long long)markets[product].sequence, kinds[product].id);
  for (unsigned side = 0; side < 2; side++) {
    sim_level best = book->count[side] ? book->level[side][0] : (sim_level){0, 0};
    const char *name = side == WB_SIDE_BID ? "bid" : "ask";
    n += (size_t)sprintf(text + n, ",\"best_%s\":\"", name);
    n += wb_decimal_print(best.price, kinds[product].price_decimals, text + n);
    n += (size_t)sprintf(text + n, "\",\"best_%s_size\":\"", name);
    n += wb_decimal_print(best.size, kinds[product].size_decimals, text + n);
    n += (size_t)sprintf(text + n, "\"");
  }
  text[n++] = '}';
  publish_text(conn, (sim_item){.product = (uint8_t)product}, text, n);
}

static void send_trade(sim_conn *conn, unsigned product) {
  market *m = &markets[product];
  const sim_book *book = &m->book;
  if (!book->count[0]) return;
  size_t n = (size_t)sprintf(
      text, "{\"type\":\"match\",\"trade_id\":%llu,\"sequence\":%llu,\"product_id\":\"%s\",\"side\":\"buy\",\"price\":\"",
      (unsigned long long)++m->trade_id, (unsigned long long)m->sequence, kinds[product].id);
  n += wb_decimal_print(book->level[0][0].price, kinds[product].price_decimals, text + n);
  n += (size_t)sprintf(text + n, "\",\"size\":\"0\"}");
  publish_text(conn, (sim_item){.product = (uint8_t)product}, text, n);
}

static void send_other(sim_conn *conn) {
  unsigned product = (unsigned)sim_draw(sim.config.products);
  if (sim.config.lines == 1 && sim_chance(3)) send_trade(conn, product); /* it goes to one connection */
  else send_ticker(conn, product);
}

/* Once a second; and, when the books stand still, tickers with them, so that a wrong one has time to be found. */
static void send_heartbeats(sim_conn *conn) {
  if (!conn->heartbeats || sim.now_ns < conn->beat_ns) return;
  conn->beat_ns = sim.now_ns + SIM_S;
  for (unsigned i = 0; i < sim.config.products && !conn->ended; i++) {
    send_heartbeat(conn, i);
    if (sim.quiet) send_ticker(conn, i);
  }
}

static void garbage(sim_conn *conn, wb_frame_kind kind, const uint8_t *head, size_t count) {
  uint8_t bytes[300];
  size_t n = sim_draw(sizeof bytes);
  for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)sim_draw(256);
  sim_item item = {
      .kind = (uint8_t)kind, .says = SIM_SAYS_BROKEN, .product = UINT8_MAX, .counts = true, .start = conn->down_bytes};
  sim_wire_write(conn, head, count);
  item.end = conn->down_bytes; /* of what must be there for the node to see it */
  item_push(conn, &item);
  sim_wire_write(conn, bytes, n);
  conn->ended = true;
}

static void misbehave(sim_conn *conn) {
  if (sim_fault(SIM_BINARY)) {
    uint8_t *bytes = sim_alloc(16);
    publish(conn, &(sim_item){.kind = WB_FRAME_BINARY,
                              .says = SIM_SAYS_BROKEN,
                              .product = UINT8_MAX,
                              .counts = true,
                              .bytes = bytes,
                              .count = 16});
  }
  if (sim_fault(SIM_CLOSE)) {
    uint8_t payload[6] = {1000 >> 8, 1000 & 255, 'b', 'y', 'e', '"'};
    control(conn, WB_WS_CLOSE, false, payload, sim_chance(4) ? 0 : 2 + sim_draw(5));
    conn->ended = true;
  } else if (sim_fault(SIM_VIOLATION)) {
    static const uint8_t heads[][2] = {{0xf1, 0x01}, {0x81, 0x81}, {0x83, 0x00}, {0x80, 0x05}, {0x09, 0x00}, {0x89, 0x7e}};
    unsigned which = (unsigned)sim_draw(6);
    garbage(conn, WB_FRAME_VIOLATION, heads[which], 2);
  } else if (sim_fault(SIM_OVERSIZE)) {
    uint8_t head[10] = {0x81, 0x7f, 0, 0, 0, 0, 0x7f, (uint8_t)sim_draw(256), 0, 0};
    garbage(conn, WB_FRAME_OVERSIZE, head, sizeof head);
  } else if (sim_fault(SIM_HANG_UP)) {
    sim_wire_cut(conn, conn->down_bytes, false);
  } else if (sim_fault(SIM_STALL)) {
    conn->silent_until_ns = sim.now_ns + 9 * SIM_S + sim_draw(12 * SIM_S);
  }
  if (sim_chance(30)) random_control(conn, false);
}

/* ------------------------------------------------------------------------------------------------ what the node says */

static void on_subscribe(sim_conn *conn, const char *said) {
  conn->heartbeats = true;
  bool off = strstr(said, "\"unsubscribe\"");
  const char *list = strstr(said, "\"level2");
  const char *end = list ? strchr(list, ']') : NULL;
  if (!end) sim_fail("protocol", "a subscription without products: %s", said);
  char ids[1024];
  snprintf(ids, sizeof ids, "%.*s", (int)(end - list), list);
  int n = sprintf(text, "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2_batch\",\"product_ids\":[");
  bool first = true;
  sim_item ack = {.says = SIM_SAYS_LIST, .product = UINT8_MAX};
  for (unsigned i = 0; i < sim.config.products; i++) {
    char id[WB_PRODUCT_ID_BYTES + 2];
    snprintf(id, sizeof id, "\"%s\"", kinds[i].id);
    if (strstr(ids, id)) {
      conn->sub[i].tainted =
          true; /* until its snapshot: a book that is live meanwhile, by one asked for earlier, misses updates */
      if (off) conn->sub[i].on = conn->sub[i].wanted = false;
      else if (!sim_fault(SIM_REFUSED_PRODUCT)) {
        conn->sub[i].on = conn->sub[i].wanted = true;
        conn->sub[i].snapshot_ns = sim.now_ns + sim_draw(sim_chance(10) ? 3 * SIM_S : 50 * SIM_MS);
        if (sim_fault(SIM_NO_SNAPSHOT)) conn->sub[i].snapshot_ns = UINT64_MAX;
      }
    }
    if (!conn->sub[i].on) continue;
    ack.listed |= (uint8_t)(1u << i);
    n += sprintf(text + n, "%s%s", first ? "" : ",", id);
    first = false;
  }
  n += sprintf(text + n, "]}]}");
  publish_text(conn, ack, text, (size_t)n);
}

static void on_upgrade(sim_conn *conn) {
  wb_http_request request;
  wb_error error;
  int result = wb_http_upgrade_read((const char *)conn->up, conn->up_bytes, &request, &error);
  if (result == 0) return;
  if (result < 0) sim_fail("protocol", "the node's upgrade is refused: %s", error.detail);
  conn->up_read = request.head_bytes;
  conn->upgraded = true;
  static const char *const answers[] = {"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy",
                                        "HTTP/1.1 429 Too Many Requests\r\n\r\n",
                                        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
                                        "SSH-2.0-OpenSSH_9.2\r\n",
                                        "",
                                        "HTTP/1.1 1"};
  if (sim_fault(SIM_UPGRADE)) {
    const char *answer = answers[sim_draw(sizeof answers / sizeof *answers)];
    sim_wire_write(conn, answer, strlen(answer));
    conn->ended = true;
    if (sim_chance(2)) sim_wire_cut(conn, conn->down_bytes, false);
    return;
  }
  char answer[512];
  int n = wb_http_upgrade_answer(request.key, NULL, answer, sizeof answer);
  sim_wire_write(conn, answer, (size_t)n);
  wb_ws_init(conn->ws = sim_alloc(sizeof(wb_ws)), WB_WS_SERVER, 65536);
}

static void listen_to(sim_conn *conn) {
  if (!conn->upgraded) on_upgrade(conn);
  while (conn->ws) {
    wb_ws_item item;
    size_t consumed;
    int result = wb_ws_read(conn->ws, conn->up + conn->up_read, conn->up_bytes - conn->up_read, &item, &consumed, NULL);
    if (result == 0) break;
    if (result < 0) sim_fail("protocol", "the node's frames break RFC 6455: %s", wb_error_name(result));
    if (item.opcode == WB_WS_TEXT) {
      char said[16384];
      snprintf(said, sizeof said, "%.*s", (int)item.count, (const char *)item.bytes);
      if (!conn->ended) on_subscribe(conn, said);
    } else if (item.opcode == WB_WS_PING && !conn->ended) {
      control(conn, WB_WS_PONG, false, item.bytes, item.count);
    } else if (item.opcode == WB_WS_CLOSE) {
      if (!conn->ended && sim_chance(2)) control(conn, WB_WS_CLOSE, false, item.bytes, item.count);
      conn->ended = true;
      sim_wire_cut(conn, conn->down_bytes, false);
    }
    conn->up_read += consumed;
  }
}

/* ------------------------------------------------------------------------------------------------ time */

void sim_exchange_reset(void) {
  if (!text) text = malloc(TEXT_BYTES);
  markets = sim_alloc(SIM_PRODUCTS_MAX * sizeof *markets);
  next_ns = sim.now_ns;
  for (unsigned i = 0; i < sim.config.products; i++) {
    market *m = &markets[i];
    m->mid = kinds[i].mid;
    m->target = i == 5 ? 2600 : i == 4 ? 1 + (uint32_t)sim_draw(4) : 3 + (uint32_t)sim_draw(40);
    for (unsigned side = 0; side < 2; side++)
      for (uint32_t n = 0; n < m->target; n++) sim_book_set(&m->book, side, draw_price(m, i, side), draw_size(i));
    m->hash = sim_grow(NULL, 0, &m->hash_room, sizeof *m->hash);
    m->hash[0] = sim_book_hash(&m->book);
  }
}

void sim_exchange_heal(void) {
  for (unsigned i = 0; i < sim.config.products; i++) markets[i].crossed_until_ns = 0;
  for (size_t i = 0; i < sim.conns; i++) sim.conn[i]->held.full = false;
}

void sim_exchange_pump(void) {
  sim_conn *now[SIM_LINES_MAX] = {NULL};
  for (size_t i = 0; i < sim.conns; i++) {
    sim_conn *conn = sim.conn[i];
    if (!conn->connected || conn->closed || conn->up_dead) continue;
    listen_to(conn);
    if (!conn->ended && conn->ws) now[conn->line] = conn;
  }
  for (unsigned line = 0; line < sim.config.lines; line++) {
    if (now[line]) send_heartbeats(now[line]);
    for (unsigned i = 0; now[line] && i < sim.config.products; i++) {
      sim_conn *conn = now[line];
      if (sim.quiet && conn->sub[i].batched && !conn->ended) send_update(conn, i, NULL, 0);
      if (!conn->sub[i].wanted || sim.now_ns < conn->sub[i].snapshot_ns) continue;
      conn->sub[i].wanted = false;
      send_snapshot(conn, i);
    }
  }
  if (sim.quiet) next_ns = sim.now_ns + sim.config.interval_ns;
  for (unsigned n = 0; next_ns <= sim.now_ns; n++) {
    if (n == MESSAGES_PER_PUMP) next_ns = sim.now_ns;
    uint64_t interval_ns = sim.faults_on || sim.config.interval_ns > CALM_NS ? sim.config.interval_ns : CALM_NS;
    next_ns += 1 + sim_draw(2 * interval_ns);
    bool any = false;
    for (unsigned line = 0; line < sim.config.lines; line++) any |= now[line] != NULL;
    bool other = any && sim_chance(8);
    unsigned product = other ? 0 : (unsigned)sim_draw(sim.config.products);
    uint32_t count = 0;
    wb_delta *delta = other ? NULL : sim_alloc(SIM_CHANGES_MAX * sizeof *delta);
    if (!other) market_move(product, delta, &count);
    for (unsigned line = 0; line < sim.config.lines; line++) {
      if (!now[line]) continue;
      if (other) send_other(now[line]);
      else send_update(now[line], product, delta, count);
      if (!now[line]->ended) misbehave(now[line]);
      if (now[line]->ended) now[line] = NULL;
    }
  }
}
