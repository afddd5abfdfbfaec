#include "io/wirebook.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/decimal.h"
#include "io/report.h"

enum { CHANGES_MAX = WB_PART_DELTAS_MAX, POLLS_PER_LOG = 1024, WAIT_NS = 20000000 };

struct wirebook {
  wb_node *node;
  wb_log *log;
  wb_products *products;
  wb_observer observer;
  wirebook_sink sink;
  bool started;
  unsigned polls;
  wirebook_change change[CHANGES_MAX];
};

_Static_assert((int)WIREBOOK_BID == (int)WB_SIDE_BID && (int)WIREBOOK_ASK == (int)WB_SIDE_ASK, "sides are the engine's");
_Static_assert((int)WIREBOOK_LIVE == (int)WB_STATE_LIVE && (int)WIREBOOK_REMOVED == (int)WB_STATE_REMOVED,
               "states are the engine's");
_Static_assert((int)WIREBOOK_LOG_DEBUG == (int)WB_LOG_DEBUG, "levels are the engine's");
_Static_assert(WIREBOOK_PRODUCT_NONE == WB_PRODUCT_NONE && WIREBOOK_TIME_NONE == WB_TIME_NONE, "nothing is the engine's");
_Static_assert(sizeof(wirebook_level) == sizeof(wb_level), "levels are copied as they are");

static int tell(wirebook_error *error, const wb_error *from) {
  if (error) {
    error->code = from->code;
    snprintf(error->detail, sizeof error->detail, "%s", from->detail);
  }
  return from->code;
}

/* ------------------------------------------------------------------------------------------------ a codec of the program's own */

struct wirebook_out {
  wb_out *out;
  const wb_frame *frame;
  const wb_products *products;
  bool put;
};

typedef struct codec_state {
  const wirebook_codec *of;
  const wb_products *products;
  _Alignas(WB_CACHE_LINE_BYTES) uint8_t own[];
} codec_state;

static wb_message *begin(wirebook_out *out, wb_message_kind kind, uint32_t product, int64_t time_ns, uint32_t deltas) {
  wb_message *message = out->out->claim(out->out, deltas);
  memset(message, 0, sizeof *message);
  message->kind = (uint8_t)kind;
  message->part = WB_PART_FIRST | WB_PART_LAST;
  message->product = (uint16_t)product;
  message->delta_count = deltas;
  message->recv_ns = out->frame->recv_ns;
  message->number = out->frame->number;
  message->time_ns = time_ns;
  message->connection = out->frame->connection;
  message->line = out->frame->line;
  return message;
}

static void end(wirebook_out *out, wb_message *message) {
  out->out->commit(out->out, message);
  out->put = true;
}

static void reject(wirebook_out *out, uint32_t product, wb_reject reason, uint32_t offset) {
  wb_message *message =
      begin(out, WB_MESSAGE_REJECT, product < out->products->count ? product : WB_PRODUCT_NONE, WB_TIME_NONE, 0);
  message->u.reject.reason = reason;
  message->u.reject.offset = offset;
  end(out, message);
}

static bool sound(wirebook_out *out, uint32_t product, const wirebook_change *change, size_t count) {
  if (product >= out->products->count) return reject(out, product, WB_REJECT_UNKNOWN_PRODUCT, 0), false;
  for (size_t i = 0; i < count; i++) {
    if (change[i].price > WB_QUANTITY_MAX || change[i].size > WB_QUANTITY_MAX)
      return reject(out, product, WB_REJECT_NUMBER_RANGE, 0), false;
    if (change[i].side > WIREBOOK_ASK) return reject(out, product, WB_REJECT_UNKNOWN_SIDE, 0), false;
  }
  return true;
}

static void put(wirebook_out *out, wb_message_kind kind, uint32_t product, int64_t time_ns, const wirebook_change *change,
                size_t count) {
  if (!sound(out, product, change, count)) return;
  size_t done = 0;
  do {
    uint32_t n = count - done < CHANGES_MAX ? (uint32_t)(count - done) : CHANGES_MAX;
    wb_message *message = begin(out, kind, product, time_ns, n);
    for (uint32_t i = 0; i < n; i++)
      message->deltas[i] = (wb_delta){.price = change[done + i].price,
                                      .size = change[done + i].size & (UINT64_MAX >> 1),
                                      .side = change[done + i].side & 1};
    message->part = (uint8_t)((done ? 0 : WB_PART_FIRST) | (done + n == count ? WB_PART_LAST : 0));
    end(out, message);
    done += n;
  } while (done < count);
}

void wirebook_out_snapshot(wirebook_out *out, uint32_t product, int64_t time_ns, const wirebook_change *level, size_t count) {
  put(out, WB_MESSAGE_SNAPSHOT, product, time_ns, level, count);
}

void wirebook_out_update(wirebook_out *out, uint32_t product, int64_t time_ns, const wirebook_change *change, size_t count) {
  put(out, WB_MESSAGE_UPDATE, product, time_ns, change, count);
}

void wirebook_out_trade(wirebook_out *out, uint32_t product, int64_t time_ns, const wirebook_change *trade, uint64_t trade_id) {
  if (!sound(out, product, trade, 1)) return;
  wb_message *message = begin(out, WB_MESSAGE_TRADE, product, time_ns, 1);
  message->deltas[0] = (wb_delta){.price = trade->price, .size = trade->size & (UINT64_MAX >> 1), .side = trade->side & 1};
  message->u.trade.trade_id = trade_id;
  end(out, message);
}

void wirebook_out_scale(wirebook_out *out, uint32_t product, unsigned price_decimals, unsigned size_decimals) {
  if (!sound(out, product, NULL, 0)) return;
  if (price_decimals > WB_DECIMALS_MAX || size_decimals > WB_DECIMALS_MAX) {
    reject(out, product, WB_REJECT_NUMBER_RANGE, 0);
    return;
  }
  wb_message *message = begin(out, WB_MESSAGE_SCALE, product, WB_TIME_NONE, 0);
  message->u.scale.price_decimals = (uint8_t)price_decimals;
  message->u.scale.size_decimals = (uint8_t)size_decimals;
  end(out, message);
}

void wirebook_out_reject(wirebook_out *out, uint32_t product, uint32_t offset) {
  reject(out, product, WB_REJECT_WRONG_TYPE, offset);
}

uint32_t wirebook_products_count(const wirebook_products *products) {
  return ((const wb_products *)(const void *)products)->count;
}

const char *wirebook_products_id(const wirebook_products *products, uint32_t product) {
  const wb_products *p = (const void *)products;
  return product < p->count ? p->product[product].id : NULL;
}

int wirebook_products_find(const wirebook_products *products, const char *id, size_t bytes) {
  return wb_products_find((const void *)products, id, bytes);
}

static wirebook_frame shown(const wb_frame *frame, const uint8_t *bytes) {
  return (wirebook_frame){.bytes = bytes,
                          .byte_count = frame->bytes,
                          .kind = frame->kind,
                          .line = frame->line,
                          .connection = frame->connection,
                          .recv_ns = frame->recv_ns,
                          .number = frame->number};
}

static void codec_decode(void *self, const wb_frame *frame, const uint8_t *bytes, wb_out *to) {
  codec_state *state = self;
  wirebook_out out = {.out = to, .frame = frame, .products = state->products};
  if (frame->kind == WB_FRAME_CONNECT || frame->kind == WB_FRAME_DISCONNECT) {
    wb_message *message = begin(&out, frame->kind == WB_FRAME_CONNECT ? WB_MESSAGE_CONNECT : WB_MESSAGE_DISCONNECT,
                                WB_PRODUCT_NONE, WB_TIME_NONE, 0);
    end(&out, message);
    return;
  }
  wirebook_frame view = shown(frame, bytes);
  if (frame->kind == WB_FRAME_TEXT || frame->kind == WB_FRAME_BINARY) state->of->decode(state->own, &view, &out);
  else if (frame->kind == WB_FRAME_PARTIAL || frame->kind == WB_FRAME_OVERSIZE || frame->kind == WB_FRAME_VIOLATION)
    reject(&out, WB_PRODUCT_NONE, frame->kind == WB_FRAME_OVERSIZE ? WB_REJECT_TOO_LARGE : WB_REJECT_PROTOCOL, 0);
  if (!out.put) end(&out, begin(&out, WB_MESSAGE_IGNORED, WB_PRODUCT_NONE, WB_TIME_NONE, 0));
}

/* The engine's table has no self before a state is made: a slot each. */
static struct {
  const wirebook_codec *of;
  wb_codec codec;
} slots[WIREBOOK_CODECS_MAX];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t codec_size(unsigned slot) { return sizeof(codec_state) + slots[slot].of->state_bytes; }

static int codec_init(unsigned slot, void *self, const wb_products *products) {
  codec_state *state = self;
  memset(state, 0, codec_size(slot));
  state->of = slots[slot].of;
  state->products = products;
  return state->of->init ? state->of->init(state->own, (const void *)products) : 0;
}

static int codec_subscribe(unsigned slot, const wb_products *products, const char *const *channels, const uint16_t *index,
                           uint32_t count, bool unsubscribe, char *text, size_t size) {
  int bytes = slots[slot].of->subscribe((const void *)products, channels, index, count, unsubscribe, text, size);
  return bytes < 0 || (size_t)bytes >= size ? WB_E_LIMIT : bytes;
}

#define SLOT(n)                                                                                                                \
  static size_t size_##n(const wb_products *products) { return codec_size(n); }                                                \
  static int init_##n(void *state, const wb_products *products) { return codec_init(n, state, products); }                     \
  static int subscribe_##n(const wb_products *products, const char *const *channels, const uint16_t *index, uint32_t count,    \
                           bool unsubscribe, char *text, size_t size) {                                                        \
    return codec_subscribe(n, products, channels, index, count, unsubscribe, text, size);                                      \
  }
SLOT(0)
SLOT(1)
SLOT(2)
SLOT(3)
static const wb_codec forms[WIREBOOK_CODECS_MAX] = {
    {.size = size_0, .init = init_0, .subscribe = subscribe_0},
    {.size = size_1, .init = init_1, .subscribe = subscribe_1},
    {.size = size_2, .init = init_2, .subscribe = subscribe_2},
    {.size = size_3, .init = init_3, .subscribe = subscribe_3},
};

static const wb_codec *codec_of(const wirebook_codec *codec, wb_error *error) {
  if (!codec->name || !codec->url || !codec->channels || !codec->channels[0] || !codec->decode || !codec->subscribe) {
    wb_error_set(error, WB_E_CONFIG, 0, "codec", "a codec needs a name, a url, channels, decode and subscribe");
    return NULL;
  }
  const wb_codec *found = NULL;
  pthread_mutex_lock(&slots_lock);
  for (unsigned i = 0; i < WIREBOOK_CODECS_MAX && !found; i++) {
    if (slots[i].of && slots[i].of != codec) continue;
    if (!slots[i].of) {
      slots[i].of = codec;
      slots[i].codec = forms[i];
      slots[i].codec.name = codec->name;
      slots[i].codec.url = codec->url;
      slots[i].codec.channels = codec->channels;
      slots[i].codec.level2 = codec->channels[0];
      slots[i].codec.product_key = "\"product_id\"";
      slots[i].codec.separator = '-';
      slots[i].codec.decode = codec_decode;
    }
    found = &slots[i].codec;
  }
  pthread_mutex_unlock(&slots_lock);
  if (!found) wb_error_set(error, WB_E_LIMIT, 0, "codec", "more than %d codecs in a process", WIREBOOK_CODECS_MAX);
  return found;
}

/* ------------------------------------------------------------------------------------------------ what happens */

static void on_frame(void *self, const wb_frame *frame, const uint8_t *bytes) {
  wirebook *w = self;
  wirebook_frame view = shown(frame, bytes);
  w->sink.frame(w->sink.self, &view);
}

static wirebook_event event_of(const wirebook *w, uint32_t kind, uint32_t product) {
  const wb_book_product *p = wb_node_product(w->node, product);
  return (wirebook_event){.kind = kind,
                          .product = product,
                          .id = w->products->product[product].id,
                          .first = 1,
                          .last = 1,
                          .price_decimals = p->price_decimals,
                          .size_decimals = p->size_decimals,
                          .change = w->change,
                          .time_ns = WIREBOOK_TIME_NONE};
}

static void on_applied(void *self, const wb_message *message) {
  static const uint8_t kinds[] = {[WB_MESSAGE_SNAPSHOT] = WIREBOOK_SNAPSHOT,
                                  [WB_MESSAGE_UPDATE] = WIREBOOK_UPDATE,
                                  [WB_MESSAGE_TRADE] = WIREBOOK_TRADE,
                                  [WB_MESSAGE_SCALE] = WIREBOOK_SCALE};
  wirebook *w = self;
  wirebook_event event = event_of(w, kinds[message->kind], message->product);
  event.time_ns = message->time_ns;
  event.recv_ns = message->recv_ns;
  event.number = message->number;
  if (message->kind == WB_MESSAGE_TRADE) event.trade_id = message->u.trade.trade_id;
  if (message->kind == WB_MESSAGE_UPDATE) {
    event.first = (message->part & WB_PART_FIRST) != 0;
    event.last = (message->part & WB_PART_LAST) != 0;
  }
  if (message->kind == WB_MESSAGE_UPDATE || message->kind == WB_MESSAGE_TRADE) {
    event.change_count = message->delta_count;
    for (uint32_t i = 0; i < message->delta_count; i++) {
      w->change[i].price = message->deltas[i].price;
      w->change[i].size = message->deltas[i].size;
      w->change[i].side = message->deltas[i].side;
    }
  }
  w->sink.event(w->sink.self, &event);
}

static void on_state(void *self, uint32_t product) {
  wirebook *w = self;
  wirebook_event event = event_of(w, WIREBOOK_STATE, product);
  w->sink.event(w->sink.self, &event);
}

/* ------------------------------------------------------------------------------------------------ a node */

void wirebook_config_init(wirebook_config *config, size_t bytes) {
  wirebook_config defaults = {.bytes = bytes, .feed = "coinbase-exchange", .log_level = WIREBOOK_LOG_WARNING};
  memset(config, 0, bytes);
  memcpy(config, &defaults, bytes < sizeof defaults ? bytes : sizeof defaults);
}

static wb_products *products_of(const char *const *ids, wb_error *error) {
  uint32_t count = 0;
  while (ids && ids[count]) count++;
  if (!count || count > WB_PRODUCT_COUNT_MAX) {
    wb_error_set(error, WB_E_CONFIG, 0, "product", "1 to %d products are needed", WB_PRODUCT_COUNT_MAX);
    return NULL;
  }
  size_t head = (sizeof(wb_products) + 63) & ~(size_t)63;
  uint8_t *memory = aligned_alloc(64, (head + wb_products_bytes(count) + 63) & ~(size_t)63);
  if (!memory) {
    wb_error_set(error, WB_E_MEMORY, 0, "product", "no memory");
    return NULL;
  }
  wb_products *products = (void *)memory;
  wb_products_init(products, memory + head, count);
  for (uint32_t i = 0; i < count; i++)
    if (wb_products_add(products, ids[i], strlen(ids[i])) < 0) {
      wb_error_set(error, WB_E_CONFIG, 0, "product", "'%.64s' is no product id (BTC-USD, ETH-EUR, ...)", ids[i]);
      free(memory);
      return NULL;
    }
  return products;
}

static int open_node(wirebook *w, const wirebook_config *config, wb_error *error) {
  wb_node_config node = {.ca_file = config->ca_file,
                         .insecure = config->insecure,
                         .once = config->once,
                         .data_dir = config->data_dir,
                         .sync = WB_SYNC_INTERVAL,
                         .spill_bytes = WB_NODE_SPILL_DEFAULT,
                         .depth = config->depth,
                         .crossed_ms = 1000};
  if (config->depth > WB_DEPTH_MAX) return wb_error_set(error, WB_E_CONFIG, 0, "depth", "depth is 1 to %d", WB_DEPTH_MAX);
  node.codec = config->codec ? codec_of(config->codec, error) : wb_codec_find(config->feed ? config->feed : "");
  if (!node.codec && config->codec) return error->code;
  if (!node.codec)
    return wb_error_set(error, WB_E_CONFIG, 0, "feed", "there is no feed '%.64s'", config->feed ? config->feed : "");
  node.channels = config->channel ? config->channel : node.codec->channels;
  for (const char *const *url = config->url; url && *url; url++) {
    if (node.line_count == WB_LINE_COUNT_MAX)
      return wb_error_set(error, WB_E_CONFIG, 0, "url", "more than %d lines", WB_LINE_COUNT_MAX);
    node.url[node.line_count++] = *url;
  }
  if (!node.line_count) node.url[node.line_count++] = node.codec->url;
  if (!(w->log = wb_log_open(config->log_file, config->log_level, false, error)) ||
      !(w->products = products_of(config->product, error)))
    return error->code;
  node.log = w->log;
  node.products = w->products;
  w->sink = config->sink;
  w->observer = (wb_observer){.self = w,
                              .frame = w->sink.frame ? on_frame : NULL,
                              .applied = w->sink.event ? on_applied : NULL,
                              .state = w->sink.event ? on_state : NULL};
  node.observer = w->sink.frame || w->sink.event ? &w->observer : NULL;
  w->node = wb_node_open(&node, error);
  return w->node ? 0 : error->code;
}

wirebook *wirebook_open(const wirebook_config *config, wirebook_error *error) {
  wb_error trouble = {0};
  wirebook_config known = {0};
  if (!config || config->bytes < offsetof(wirebook_config, sink)) {
    wb_error_set(&trouble, WB_E_CONFIG, 0, "config", "wirebook_config_init was not called");
    tell(error, &trouble);
    return NULL;
  }
  memcpy(&known, config, config->bytes < sizeof known ? config->bytes : sizeof known);
  wirebook *w = calloc(1, sizeof *w);
  if (!w) wb_error_set(&trouble, WB_E_MEMORY, 0, "node", "no memory");
  if (!w || open_node(w, &known, &trouble) != 0) {
    tell(error, &trouble);
    wirebook_close(w);
    return NULL;
  }
  return w;
}

int wirebook_start(wirebook *w, wirebook_error *error) {
  wb_error trouble = {0};
  w->started = true;
  return wb_node_start(w->node, &trouble) == 0 ? 0 : tell(error, &trouble);
}

int wirebook_ended(wirebook *w, wirebook_error *error) {
  wb_error trouble = {0};
  if (!wb_node_ended(w->node, &trouble)) return 0;
  return trouble.code ? tell(error, &trouble) : 1;
}

int wirebook_wait(wirebook *w, unsigned timeout_ms, wirebook_error *error) {
  uint64_t until_ns = wb_clock_ns() + timeout_ms * UINT64_C(1000000);
  for (;;) {
    int ended = wirebook_ended(w, error);
    wb_log_drain(w->log);
    uint64_t now_ns = wb_clock_ns();
    if (ended || now_ns >= until_ns) return ended;
    uint64_t left_ns = until_ns - now_ns;
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = (long)(left_ns < WAIT_NS ? left_ns : WAIT_NS)}, NULL);
  }
}

int wirebook_poll(wirebook *w) {
  if (w->started) return WB_E_STATE;
  if (++w->polls % POLLS_PER_LOG == 0) wb_log_drain(w->log);
  return wb_node_poll(w->node);
}

void wirebook_stop(wirebook *w) { wb_node_stop(w->node); }

void wirebook_close(wirebook *w) {
  if (!w) return;
  if (w->node) wb_node_finish(w->node, NULL);
  if (w->log) wb_log_drain(w->log);
  wb_node_close(w->node);
  wb_log_close(w->log);
  free(w->products);
  free(w);
}

/* ------------------------------------------------------------------------------------------------ reading */

uint32_t wirebook_product_count(const wirebook *w) { return w->products->count; }

const char *wirebook_product_id(const wirebook *w, uint32_t product) {
  return product < w->products->count ? w->products->product[product].id : NULL;
}

int wirebook_product_find(const wirebook *w, const char *id) { return wb_products_find(w->products, id, strlen(id)); }

static void touch_of(const wb_view_data *view, wirebook_touch *touch) {
  *touch = (wirebook_touch){.state = view->state,
                            .price_decimals = view->price_decimals,
                            .size_decimals = view->size_decimals,
                            .bid = view->best_bid,
                            .bid_size = view->best_bid_size,
                            .ask = view->best_ask,
                            .ask_size = view->best_ask_size,
                            .bid_levels = view->bid_levels,
                            .ask_levels = view->ask_levels,
                            .snapshots = view->snapshots,
                            .updates = view->updates,
                            .changes = view->changes,
                            .recv_ns = view->recv_ns,
                            .time_ns = view->time_ns};
}

void wirebook_touch_read(const wirebook *w, uint32_t product, wirebook_touch *touch) {
  memset(touch, 0, sizeof *touch);
  if (product >= w->products->count) return;
  wb_view_data view;
  wb_view_read(wb_node_view(w->node, product), &view);
  touch_of(&view, touch);
}

uint32_t wirebook_levels(const wirebook *w, uint32_t product, int side, wirebook_level *level, uint32_t max) {
  if (product >= w->products->count || (side != WIREBOOK_BID && side != WIREBOOK_ASK)) return 0;
  return wb_book_levels(wb_node_product(w->node, product)->book, (wb_side)side, (wb_level *)(void *)level, max);
}

int wirebook_depth(wirebook *w, uint32_t product, int side, wirebook_level *level, uint32_t max, wirebook_touch *touch) {
  const wb_level *all;
  const uint32_t *count;
  const wb_view_data *view;
  if (product >= w->products->count || (side != WIREBOOK_BID && side != WIREBOOK_ASK)) return WB_E_INVALID;
  if (!wb_node_capture(w->node, &all, &count, &view)) return WB_E_TIMEOUT;
  uint32_t depth = wb_node_config_of(w->node)->depth, at = 2 * product + (uint32_t)side, n = count[at] < max ? count[at] : max;
  memcpy(level, all + (size_t)at * depth, n * sizeof *level);
  if (touch) touch_of(&view[product], touch);
  return (int)n;
}

int wirebook_report(wirebook *w, const char *path, wirebook_error *error) {
  wb_error trouble = {0};
  return wb_report_write(w->node, path, &trouble) == 0 ? 0 : tell(error, &trouble);
}

size_t wirebook_decimal(uint64_t value, unsigned decimals, char *text, size_t size) {
  return size < WB_DECIMAL_TEXT_BYTES || decimals > 36 ? 0 : wb_decimal_print((__int128)value, decimals, text);
}

const char *wirebook_state_name(uint32_t state) { return state <= WIREBOOK_REMOVED ? wb_state_name((wb_state)state) : "?"; }
const char *wirebook_error_text(int code) { return wb_error_text(code); }
const char *wirebook_version(void) { return WB_VERSION; }
