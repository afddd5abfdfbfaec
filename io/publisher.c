#include "io/publisher.h"

#include <stdlib.h>
#include <string.h>

#include "io/memory.h"

enum {
  LEVEL2 = 1 << WB_PUBLISH_LEVEL2 | 1 << WB_PUBLISH_LEVEL2_BATCH,
  TICKERS = 1 << WB_PUBLISH_TICKER | 1 << WB_PUBLISH_TICKER_BATCH,
  READ_MAX = 1 << 16,        /* records a turn */
  SNAPSHOTS_BYTES = 8 << 20, /* formatted a turn, then others have theirs */
  LEVEL_BYTES = 32,          /* of a snapshot, as a rule */
  REQUESTS_PER_SECOND = 100,
};
/* A level costs the book thread some 5 ns, of which copies may take a twentieth. */
static const uint64_t LEVEL_REST_NS = 100;
static const uint64_t SECOND_NS = 1000000000, BATCH_NS = 50000000, TICKER_BATCH_NS = 5000000000, COPY_NS = 250000000,
                      SUBSCRIBE_NS = 5000000000;

typedef struct product_row {
  uint32_t subscribers[WB_PUBLISH_CHANNELS];
  uint32_t waiting; /* clients that get a snapshot before anything else of level 2 */
  bool live, traded;
  wb_publish_book book; /* while anybody subscribes to level 2 */
  uint64_t sequence, batch_trade_id;
  uint64_t copy_due_ns; /* not before */
  wb_publish_trade trade;
} product_row;

struct wb_publisher_client {
  void *peer;
  bool ended, subscribed;
  uint64_t joined_ns, requests_ns;
  uint8_t *wants;                      /* a product: bits of channels */
  uint8_t *waits;                      /* those of level 2 that have no snapshot yet */
  uint32_t count[WB_PUBLISH_CHANNELS]; /* products */
  uint8_t order[WB_PUBLISH_CHANNELS], order_count;
  const char *name[WB_PUBLISH_CHANNELS]; /* as it was asked for last */
};

struct wb_publisher {
  wb_publisher_config config;
  wb_products products;
  wirebook_shm ring;
  product_row *row;
  uint16_t *followed; /* products somebody subscribes to level 2 of */
  uint32_t followed_count, turn;
  wb_publisher_client **client;
  uint32_t client_count;
  wb_publish_request request;
  char *text;
  size_t text_bytes;
  wb_level *level[2];
  bool asking;
  uint64_t batch_due_ns, second_due_ns, ticker_due_ns;
  uint64_t ask_due_ns; /* for a copy of any book */
  wb_publisher_counts counts;
};

/* ------------------------------------------------------------------------------------------------ sending */

static void end(wb_publisher *p, wb_publisher_client *client, unsigned code, const char *reason) {
  client->ended = true;
  p->config.port.end(p->config.port.self, client->peer, code, reason);
}

static void put(wb_publisher *p, wb_publisher_client *client, const char *text, size_t bytes) {
  if (client->ended) return;
  p->counts.put++;
  if (p->config.port.put(p->config.port.self, client->peer, text, bytes) == 0) return;
  p->counts.slow++;
  end(p, client, 1008, "ErrSlowConsume");
}

static bool gets(const wb_publisher_client *client, uint32_t product, wb_publish_channel channel) {
  return !client->ended && (client->wants[product] & ~client->waits[product]) >> channel & 1;
}

/* p->text[0..bytes) to all that subscribed. */
static void publish(wb_publisher *p, uint32_t product, wb_publish_channel channel, size_t bytes) {
  p->counts.formatted++;
  for (uint32_t i = 0; i < p->client_count; i++)
    if (gets(p->client[i], product, channel)) put(p, p->client[i], p->text, bytes);
}

static bool anybody(const wb_publisher *p, uint32_t product, wb_publish_channel channel) {
  for (uint32_t i = 0; p->row[product].subscribers[channel] && i < p->client_count; i++)
    if (gets(p->client[i], product, channel)) return true;
  return false;
}

static const char *id_of(const wb_publisher *p, uint32_t product) { return p->products.product[product].id; }

static wb_publish_product book_product(const wb_publisher *p, uint32_t product) {
  const wb_publish_book *book = &p->row[product].book;
  return (wb_publish_product){id_of(p, product), book->price_decimals, book->size_decimals};
}

static void update(wb_publisher *p, uint32_t product, wb_publish_channel channel, const wb_publish_changes *changes) {
  if (!changes->count || !p->row[product].live || !anybody(p, product, channel)) return;
  wb_publish_product about = book_product(p, product);
  publish(p, product, channel, wb_publish_update(&about, changes->at, changes->count, p->row[product].book.time_ns, p->text));
}

/* What has changed since the last batch. */
static void flush(wb_publisher *p, uint32_t product) {
  wb_publish_book *book = &p->row[product].book;
  if (book->whole && wb_publish_book_batch(book)) update(p, product, WB_PUBLISH_LEVEL2_BATCH, &book->batch);
}

static bool live_view(const wb_publisher *p, uint32_t product, wirebook_shm_view *view) {
  return wirebook_shm_view_read(&p->ring, product, view) && view->state == WIREBOOK_SHM_LIVE;
}

static size_t ticker(wb_publisher *p, uint32_t product) {
  wirebook_shm_view view;
  if (!live_view(p, product, &view)) return 0;
  const product_row *row = &p->row[product];
  wb_publish_product about = {id_of(p, product), view.price_decimals, view.size_decimals};
  const wb_level best[2] = {{view.best_bid, view.best_bid_size}, {view.best_ask, view.best_ask_size}};
  return wb_publish_ticker(&about, best, row->traded ? &row->trade : NULL, row->sequence,
                           row->traded ? row->trade.time_ns : view.time_ns, p->text);
}

/* ------------------------------------------------------------------------------------------------ subscriptions */

/* From here on nothing of level 2 before another snapshot. */
static void restart(wb_publisher *p, uint32_t product) {
  for (uint32_t i = 0; i < p->client_count; i++) {
    wb_publisher_client *client = p->client[i];
    if (!(client->wants[product] & LEVEL2)) continue;
    p->row[product].waiting += !client->waits[product];
    client->waits[product] = client->wants[product] & LEVEL2;
  }
}

static void follow(wb_publisher *p, uint32_t product) { p->followed[p->followed_count++] = (uint16_t)product; }

static void unfollow(wb_publisher *p, uint32_t product) {
  uint32_t at = 0;
  while (p->followed[at] != product) at++;
  p->followed[at] = p->followed[--p->followed_count];
  wb_publish_book_close(&p->row[product].book);
}

static bool is_followed(const product_row *row) {
  return row->subscribers[WB_PUBLISH_LEVEL2] || row->subscribers[WB_PUBLISH_LEVEL2_BATCH];
}

static void add(wb_publisher *p, wb_publisher_client *client, uint32_t product, uint8_t added) {
  product_row *row = &p->row[product];
  if (added & LEVEL2 && !is_followed(row)) follow(p, product);
  if (added & LEVEL2) {
    row->waiting += !client->waits[product];
    client->waits[product] |= added & LEVEL2;
  }
  client->wants[product] |= added;
  for (unsigned channel = 0; channel < WB_PUBLISH_CHANNELS; channel++) {
    client->count[channel] += added >> channel & 1;
    row->subscribers[channel] += added >> channel & 1;
  }
}

static void drop(wb_publisher *p, wb_publisher_client *client, uint32_t product, uint8_t unwanted) {
  product_row *row = &p->row[product];
  unwanted &= client->wants[product];
  if (!unwanted) return;
  bool waited = client->waits[product], was_followed = is_followed(row);
  client->wants[product] &= (uint8_t)~unwanted;
  client->waits[product] &= (uint8_t)~unwanted;
  row->waiting -= waited && !client->waits[product];
  for (unsigned channel = 0; channel < WB_PUBLISH_CHANNELS; channel++) {
    client->count[channel] -= unwanted >> channel & 1;
    row->subscribers[channel] -= unwanted >> channel & 1;
  }
  if (was_followed && !is_followed(row)) unfollow(p, product);
}

static void acknowledge(wb_publisher *p, wb_publisher_client *client) {
  static const char head[] = "{\"type\":\"subscriptions\",\"channels\":[", tail[] = "],\"account_ids\":null}";
  char *at = stpcpy(p->text, head);
  for (unsigned i = 0; i < client->order_count; i++) {
    unsigned channel = client->order[i];
    at = stpcpy(stpcpy(stpcpy(at, i ? ",{\"name\":\"" : "{\"name\":\""), client->name[channel]), "\",\"product_ids\":[");
    bool first = true;
    for (uint32_t product = 0; product < p->products.count; product++) {
      if (!(client->wants[product] >> channel & 1)) continue;
      at = stpcpy(stpcpy(stpcpy(at, first ? "\"" : ",\""), id_of(p, product)), "\"");
      first = false;
    }
    at = stpcpy(at, tail);
  }
  at = stpcpy(at, "]}");
  p->counts.formatted++;
  put(p, client, p->text, (size_t)(at - p->text));
}

static void list(wb_publisher_client *client, const wb_publish_request *request) {
  for (unsigned i = 0; i < request->order_count; i++) {
    unsigned channel = request->order[i];
    if (!client->name[channel]) client->order[client->order_count++] = (uint8_t)channel;
    client->name[channel] = request->name[channel];
  }
}

static void unlist_empty(wb_publisher_client *client) {
  unsigned kept = 0;
  for (unsigned i = 0; i < client->order_count; i++) {
    unsigned channel = client->order[i];
    if (client->count[channel]) client->order[kept++] = (uint8_t)channel;
    else client->name[channel] = NULL;
  }
  client->order_count = (uint8_t)kept;
}

static void greet(wb_publisher *p, wb_publisher_client *client, uint32_t product, uint8_t added) {
  const product_row *row = &p->row[product];
  size_t bytes = 0;
  if (added >> WB_PUBLISH_MATCHES & 1 && row->traded) {
    p->counts.formatted++;
    put(p, client, p->text, wb_publish_match(id_of(p, product), &row->trade, true, p->text));
  }
  if (added & TICKERS) bytes = ticker(p, product);
  p->counts.formatted += bytes != 0;
  if (bytes) put(p, client, p->text, bytes);
}

static void subscribe(wb_publisher *p, wb_publisher_client *client, wb_publish_request *request) {
  client->subscribed = true;
  for (uint32_t i = 0; i < request->product_count; i++) {
    uint16_t product = request->product[i];
    request->wants[product] &= (uint8_t)~client->wants[product];
    add(p, client, product, request->wants[product]);
  }
  list(client, request);
  unlist_empty(client);
  acknowledge(p, client);
  for (uint32_t i = 0; i < request->product_count; i++)
    greet(p, client, request->product[i], request->wants[request->product[i]]);
}

static void unsubscribe(wb_publisher *p, wb_publisher_client *client, const wb_publish_request *request) {
  for (uint32_t i = 0; request->whole && i < p->products.count; i++) drop(p, client, i, request->whole);
  for (uint32_t i = 0; i < request->product_count; i++)
    drop(p, client, request->product[i], request->wants[request->product[i]]);
  unlist_empty(client);
  acknowledge(p, client);
}

typedef struct complaint {
  wb_publisher *publisher;
  wb_publisher_client *client;
} complaint;

static void complain(void *self, const char *text, size_t bytes) {
  const complaint *about = self;
  about->publisher->counts.formatted++;
  put(about->publisher, about->client, text, bytes);
}

/* A peer's requests are due one after the other; it may be ahead by a second's. */
static bool too_many(wb_publisher_client *client, uint64_t now_ns) {
  uint64_t least_ns = now_ns > SECOND_NS ? now_ns - SECOND_NS : 0;
  if (client->requests_ns < least_ns) client->requests_ns = least_ns;
  client->requests_ns += SECOND_NS / REQUESTS_PER_SECOND;
  return client->requests_ns > now_ns;
}

void wb_publisher_take(wb_publisher *p, wb_publisher_client *client, const char *text, size_t bytes, uint64_t now_ns) {
  if (client->ended) return;
  if (too_many(client, now_ns)) {
    end(p, client, 1008, "ErrSlowRead");
    return;
  }
  if (bytes > WB_PUBLISH_REQUEST_BYTES_MAX) {
    end(p, client, 1009, "Message too big");
    return;
  }
  wb_products_follow(&p->products, p->config.products);
  complaint about = {p, client};
  int result = wb_publish_request_read(&p->request, &p->products, text, bytes, complain, &about);
  if (result == WB_E_UTF8) end(p, client, 1007, "invalid UTF-8");
  else if (result < 0 && !client->ended) end(p, client, 1008, "Malformed JSON");
  else if (result > 0 && p->request.unsubscribe) unsubscribe(p, client, &p->request);
  else if (result > 0) subscribe(p, client, &p->request);
  for (uint32_t i = 0; i < p->request.product_count; i++) p->request.wants[p->request.product[i]] = 0;
}

/* ------------------------------------------------------------------------------------------------ the ring */

static void take_book(wb_publisher *p, uint32_t product, const wirebook_shm_change *change) {
  product_row *row = &p->row[product];
  wirebook_shm_view view;
  if (change->kind == WIREBOOK_SHM_STATE) {
    bool live = live_view(p, product, &view);
    if (!live) {
      if (row->live) flush(p, product);
      row->book.whole = false; /* the view is live again before the ring says that the book is another one */
      restart(p, product);
    }
    row->live = live;
    return;
  }
  if (change->kind == WIREBOOK_SHM_SNAPSHOT) flush(p, product);
  bool whole = row->book.whole, done = wb_publish_book_take(&row->book, change);
  if (whole && !row->book.whole) restart(p, product);
  if (done) update(p, product, WB_PUBLISH_LEVEL2, &row->book.message);
}

static void take_trade(wb_publisher *p, uint32_t product, const wirebook_shm_change *change) {
  product_row *row = &p->row[product];
  row->traded = true;
  row->trade = (wb_publish_trade){.price = change->price,
                                  .size = change->size,
                                  .trade_id = change->trade_id,
                                  .sequence = change->number,
                                  .time_ns = change->time_ns,
                                  .side = change->side,
                                  .price_decimals = change->price_decimals,
                                  .size_decimals = change->size_decimals};
  if (row->subscribers[WB_PUBLISH_MATCHES])
    publish(p, product, WB_PUBLISH_MATCHES, wb_publish_match(id_of(p, product), &row->trade, false, p->text));
  size_t bytes = row->subscribers[WB_PUBLISH_TICKER] ? ticker(p, product) : 0;
  if (bytes) publish(p, product, WB_PUBLISH_TICKER, bytes);
}

static void lapped(wb_publisher *p, uint64_t lost) {
  p->counts.lapped += lost;
  for (uint32_t i = 0; i < p->followed_count; i++) {
    p->row[p->followed[i]].book.whole = false;
    restart(p, p->followed[i]);
  }
}

static void read_ring(wb_publisher *p) {
  wirebook_shm_change change;
  uint64_t lost = 0;
  for (unsigned n = 0; n < READ_MAX && wirebook_shm_next(&p->ring, &change, &lost); n++) {
    if (lost) lapped(p, lost);
    lost = 0;
    if (change.product >= p->products.count && !wb_products_follow(&p->products, p->config.products)) continue;
    if (change.product >= p->products.count) continue;
    product_row *row = &p->row[change.product];
    if (change.kind != WIREBOOK_SHM_STATE) row->sequence = change.number;
    if (change.kind == WIREBOOK_SHM_TRADE) take_trade(p, change.product, &change);
    else if (is_followed(row)) take_book(p, change.product, &change);
  }
  if (lost) lapped(p, lost);
}

/* What was read of the ring since the copy was made is read once more. */
static void load(wb_publisher *p, const wb_shm_copy *copy) {
  product_row *row = &p->row[copy->product];
  p->asking = false;
  if (!is_followed(row) || row->book.whole || !row->book.book || wb_publish_book_load(&row->book, copy) != 0) return;
  wirebook_shm_view view;
  row->live = live_view(p, copy->product, &view);
  wirebook_shm again = p->ring;
  wirebook_shm_change change;
  uint64_t lost = 0;
  for (again.next = copy->position; again.next < p->ring.next && wirebook_shm_next(&again, &change, &lost) && !lost;)
    if (change.product == copy->product) wb_publish_book_take(&row->book, &change);
  if (lost) row->book.whole = false;
  wb_publish_book_batch(&row->book);
  restart(p, copy->product);
}

static void ask(wb_publisher *p, uint64_t now_ns) {
  for (uint32_t n = 0; n < p->followed_count && !p->asking; n++, p->turn++) {
    uint32_t product = p->followed[p->turn % p->followed_count];
    product_row *row = &p->row[product];
    wirebook_shm_view view;
    if (row->book.whole || now_ns < row->copy_due_ns || !live_view(p, product, &view)) continue;
    if (!row->book.book && wb_publish_book_open(&row->book, p->config.level_count_max) != 0) continue;
    row->copy_due_ns = now_ns + COPY_NS;
    p->asking = true;
    p->counts.copies++;
    p->config.port.ask(p->config.port.self, product);
  }
}

/* ------------------------------------------------------------------------------------------------ what is due */

static size_t snapshot(wb_publisher *p, uint32_t product) {
  const wb_publish_book *book = &p->row[product].book;
  uint32_t count[2];
  for (unsigned side = 0; side < 2; side++)
    count[side] = wb_book_levels(book->book, (wb_side)side, p->level[side], p->config.level_count_max);
  wb_publish_product about = book_product(p, product);
  p->counts.formatted++;
  p->counts.snapshots++;
  return wb_publish_snapshot(&about, (const wb_level *const *)p->level, count, book->time_ns, p->text);
}

/* Whether a snapshot of some size fits, and half of the queue for what follows. */
static bool has_room(const wb_publisher *p, const wb_publisher_client *client, size_t bytes) {
  size_t queued = p->config.port.queued(p->config.port.self, client->peer);
  return !queued || queued + bytes <= p->config.queue_bytes_max / 2;
}

/* Returns the bytes of the snapshot: 0 if nobody gets one. */
static size_t deliver(wb_publisher *p, uint32_t product) {
  product_row *row = &p->row[product];
  uint64_t levels = wb_book_level_counts(row->book.book);
  size_t bytes = 0, about = ((levels & UINT32_MAX) + (levels >> 32)) * LEVEL_BYTES;
  for (uint32_t i = 0; row->waiting && i < p->client_count; i++) {
    wb_publisher_client *client = p->client[i];
    if (client->ended || !client->waits[product] || !has_room(p, client, about)) continue;
    if (!bytes) {
      flush(p, product); /* so that a batch begins where this snapshot is */
      bytes = snapshot(p, product);
    }
    client->waits[product] = 0;
    row->waiting--;
    put(p, client, p->text, bytes);
  }
  return bytes;
}

static void batches(wb_publisher *p) {
  for (uint32_t i = 0; i < p->followed_count; i++) flush(p, p->followed[i]);
}

/* By the exchange's clock, as its last message showed it. */
static void heartbeats(wb_publisher *p, uint64_t now_ns, int64_t utc_ns) {
  for (uint32_t i = 0; i < p->products.count; i++) {
    const product_row *row = &p->row[i];
    wirebook_shm_view view;
    if (!row->subscribers[WB_PUBLISH_HEARTBEAT] || !live_view(p, i, &view)) continue;
    int64_t time_ns =
        view.time_ns == WB_TIME_NONE || now_ns < view.recv_ns ? utc_ns : view.time_ns + (int64_t)(now_ns - view.recv_ns);
    publish(p, i, WB_PUBLISH_HEARTBEAT,
            wb_publish_heartbeat(id_of(p, i), row->sequence, row->traded ? row->trade.trade_id : 0, time_ns, p->text));
  }
}

static void ticker_batches(wb_publisher *p) {
  for (uint32_t i = 0; i < p->products.count; i++) {
    product_row *row = &p->row[i];
    if (!row->subscribers[WB_PUBLISH_TICKER_BATCH] || !row->traded || row->trade.trade_id == row->batch_trade_id) continue;
    size_t bytes = ticker(p, i);
    if (!bytes) continue;
    row->batch_trade_id = row->trade.trade_id;
    publish(p, i, WB_PUBLISH_TICKER_BATCH, bytes);
  }
}

static bool due(uint64_t *due_ns, uint64_t every_ns, uint64_t now_ns) {
  if (now_ns < *due_ns) return false;
  *due_ns = now_ns - *due_ns < every_ns ? *due_ns + every_ns : now_ns + every_ns;
  return true;
}

void wb_publisher_turn(wb_publisher *p, uint64_t now_ns, int64_t utc_ns) {
  read_ring(p);
  const wb_shm_copy *copy = p->asking ? p->config.port.copy(p->config.port.self) : NULL;
  if (copy && p->ring.next >= copy->until) {
    p->ask_due_ns = now_ns + ((uint64_t)copy->count[0] + copy->count[1]) * LEVEL_REST_NS;
    load(p, copy);
  }
  if (now_ns >= p->ask_due_ns) ask(p, now_ns);
  if (due(&p->batch_due_ns, BATCH_NS, now_ns)) batches(p);
  if (due(&p->second_due_ns, SECOND_NS, now_ns)) heartbeats(p, now_ns, utc_ns);
  if (due(&p->ticker_due_ns, TICKER_BATCH_NS, now_ns)) ticker_batches(p);
  size_t bytes = 0;
  for (uint32_t i = p->followed_count; i-- > 0 && bytes < SNAPSHOTS_BYTES;) {
    const product_row *row = &p->row[p->followed[i]];
    if (row->waiting && row->live && row->book.whole) bytes += deliver(p, p->followed[i]);
  }
  for (uint32_t i = 0; i < p->client_count; i++) {
    wb_publisher_client *client = p->client[i];
    if (!client->subscribed && !client->ended && now_ns > client->joined_ns + SUBSCRIBE_NS)
      end(p, client, 1008, "no subscribe in time");
  }
}

/* ------------------------------------------------------------------------------------------------ life */

wb_publisher_client *wb_publisher_join(wb_publisher *p, void *peer, uint64_t now_ns) {
  if (p->client_count == p->config.client_count_max) return NULL;
  wb_publisher_client *client = calloc(1, sizeof *client + 2 * (size_t)p->products.capacity);
  if (!client) return NULL;
  client->peer = peer;
  client->joined_ns = now_ns;
  client->wants = (uint8_t *)(client + 1);
  client->waits = client->wants + p->products.capacity;
  p->client[p->client_count++] = client;
  return client;
}

void wb_publisher_leave(wb_publisher *p, wb_publisher_client *client) {
  for (uint32_t i = 0; i < p->products.count; i++) drop(p, client, i, client->wants[i]);
  uint32_t at = 0;
  while (p->client[at] != client) at++;
  p->client[at] = p->client[--p->client_count];
  free(client);
}

const wb_publisher_counts *wb_publisher_counts_of(const wb_publisher *p) { return &p->counts; }

static size_t text_room(const wb_publisher_config *config) {
  size_t levels = 2 * (size_t)config->level_count_max * WB_PUBLISH_LEVEL_BYTES_MAX;
  size_t ids = (size_t)WB_PUBLISH_CHANNELS * config->products->capacity * (WB_PRODUCT_ID_BYTES + 3);
  return (levels > ids ? levels : ids) + WB_PUBLISH_TEXT_BYTES_MAX;
}

wb_publisher *wb_publisher_open(const wb_publisher_config *config, wb_error *error) {
  uint32_t capacity = config->products->capacity;
  wb_publisher *p = calloc(1, sizeof *p);
  if (!p) goto no_memory;
  p->config = *config;
  p->products = *config->products;
  p->products.count = 0;
  p->products.version = 0;
  wb_products_follow(&p->products, config->products);
  p->ring = *config->books;
  p->ring.next = __atomic_load_n(&p->ring.head->ring_next, __ATOMIC_ACQUIRE);
  p->row = calloc(capacity, sizeof *p->row);
  p->followed = calloc(capacity, sizeof *p->followed);
  p->client = calloc(config->client_count_max, sizeof(wb_publisher_client *));
  p->request.wants = calloc(capacity, 1);
  p->request.product = calloc(capacity, sizeof *p->request.product);
  p->text_bytes = text_room(config);
  p->text = wb_arena_open(p->text_bytes, NULL);
  for (unsigned side = 0; side < 2; side++) p->level[side] = wb_arena_open(config->level_count_max * sizeof(wb_level), NULL);
  if (p->row && p->followed && p->client && p->request.wants && p->request.product && p->text && p->level[0] && p->level[1])
    return p;
  wb_publisher_close(p);
no_memory:
  wb_error_set(error, WB_E_MEMORY, 0, "publisher", "no memory");
  return NULL;
}

void wb_publisher_close(wb_publisher *p) {
  if (!p) return;
  for (uint32_t i = 0; i < p->followed_count; i++) wb_publish_book_close(&p->row[p->followed[i]].book);
  if (p->text) wb_arena_close(p->text, p->text_bytes);
  for (unsigned side = 0; side < 2; side++)
    if (p->level[side]) wb_arena_close(p->level[side], p->config.level_count_max * sizeof(wb_level));
  free(p->row);
  free(p->followed);
  free(p->client);
  free(p->request.wants);
  free(p->request.product);
  free(p);
}
