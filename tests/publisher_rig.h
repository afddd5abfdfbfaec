/* publisher_rig.h - a book stage that shares its books, a publisher that reads them, and clients that keep books of their own by what they are sent. Included once
 * by a test, which says by RIG_CHECK(condition) how it fails. */
#ifndef WB_TESTS_PUBLISHER_RIG_H
#define WB_TESTS_PUBLISHER_RIG_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/decimal.h"
#include "io/host.h"
#include "io/memory.h"
#include "io/publisher.h"

enum { RIG_PRODUCTS = 3, RIG_CLIENTS = 4, RIG_LEVELS = 1 << 12, RIG_SLICE = 30, RIG_TEXTS = 64, RIG_DECIMALS = 8 };
enum { RIG_S = 1000000000, RIG_MS = 1000000 };

/* What a client has of a product. */
typedef struct rig_book {
  wb_book *book;
  uint32_t snapshots, updates, changes;
  int64_t time_us; /* of the last message, as microseconds in its text */
} rig_book;

typedef struct rig_client {
  wb_publisher_client *at;
  struct rig *rig;
  rig_book book[RIG_PRODUCTS];
  char *text[RIG_TEXTS]; /* the last ones, in a ring */
  uint32_t count;
  size_t queued;
  int refuse; /* what put answers */
  unsigned code;
  char reason[128];
  void (*seen)(struct rig_client *client, int product, const rig_book *book); /* after a message of level 2; NULL: nobody */
} rig_client;

typedef struct rig {
  char name[64];
  uint64_t now_ns, number;
  wb_products products;
  wb_host host;
  wb_book_product product[RIG_PRODUCTS];
  wb_book_stage stage;
  wb_observer observer;
  void (*applied)(struct rig *rig); /* before the readers of the ring are told of a message; NULL: nobody */
  wb_shm *shm;
  wirebook_shm books;
  wb_publisher *publisher;
  rig_client client[RIG_CLIENTS];
} rig;

static const char *const rig_ids[RIG_PRODUCTS] = {"BTC-USD", "ETH-USD", "LTC-USD"};
static const wb_book_config rig_book_config = {.window_ticks = 1024, .level_count_max = RIG_LEVELS};

static uint64_t rig_now(void *self) { return ((rig *)self)->now_ns; }
static int64_t rig_offset(void *self) { return 0; }
static void rig_log(void *self, int level, const char *text) {}
static void rig_applied(void *self, const wb_message *message) {
  if (((rig *)self)->applied) ((rig *)self)->applied(self);
}

static void *rig_zeroed(size_t bytes) {
  size_t whole = (bytes + 127) & ~(size_t)127;
  void *memory = aligned_alloc(128, whole);
  RIG_CHECK(memory != NULL);
  return memset(memory, 0, whole);
}

static wb_book *rig_book_made(void) {
  void *memory = wb_arena_open(wb_book_bytes(&rig_book_config), NULL);
  RIG_CHECK(memory != NULL);
  return wb_book_init(memory, &rig_book_config);
}

/* ------------------------------------------------------------------------------------------------ clients */

static int rig_product(const json_t *message) {
  const char *id = json_string_value(json_object_get(message, "product_id"));
  for (int i = 0; id && i < RIG_PRODUCTS; i++)
    if (strcmp(id, rig_ids[i]) == 0) return i;
  return -1;
}

static uint64_t rig_number(const json_t *text) {
  uint64_t value = 0;
  RIG_CHECK(json_is_string(text) &&
            wb_decimal_parse(json_string_value(text), json_string_length(text), RIG_DECIMALS, &value) == 0);
  return value;
}

static void rig_load(rig_book *book, const json_t *levels, wb_side side) {
  for (size_t i = 0; i < json_array_size(levels); i++) {
    const json_t *pair = json_array_get(levels, i);
    wb_delta level = {.price = rig_number(json_array_get(pair, 0)), .side = side};
    level.size = rig_number(json_array_get(pair, 1));
    RIG_CHECK(level.size != 0 && wb_book_load_add(book->book, &level, 1) == 0);
  }
}

static void rig_take(rig_client *client, json_t *message) {
  const char *type = json_string_value(json_object_get(message, "type"));
  int product = rig_product(message);
  bool snapshot = strcmp(type, "snapshot") == 0;
  if (product < 0 || (!snapshot && strcmp(type, "l2update") != 0)) return;
  rig_book *book = &client->book[product];
  const char *time = json_string_value(json_object_get(message, "time"));
  int second, us;
  book->time_us = sscanf(time, "1970-01-01T00:00:%d.%dZ", &second, &us) == 2 ? second * 1000000 + us : -1;
  if (snapshot) {
    book->snapshots++;
    wb_book_load_begin(book->book);
    rig_load(book, json_object_get(message, "bids"), WB_SIDE_BID);
    rig_load(book, json_object_get(message, "asks"), WB_SIDE_ASK);
    RIG_CHECK(wb_book_load_end(book->book) == 0);
  } else {
    RIG_CHECK(book->snapshots > 0);
    book->updates++;
    const json_t *changes = json_object_get(message, "changes");
    RIG_CHECK(json_array_size(changes) > 0);
    for (size_t i = 0; i < json_array_size(changes); i++, book->changes++) {
      const json_t *change = json_array_get(changes, i);
      wb_delta delta = {.price = rig_number(json_array_get(change, 1))};
      delta.side = strcmp(json_string_value(json_array_get(change, 0)), "sell") == 0;
      delta.size = rig_number(json_array_get(change, 2));
      RIG_CHECK(wb_book_apply(book->book, &delta, 1, NULL) == 0);
    }
  }
  if (client->seen) client->seen(client, product, book);
}

static int rig_put(void *self, void *peer, const char *text, size_t bytes) {
  rig_client *client = peer;
  RIG_CHECK(client->code == 0);
  if (client->refuse) return client->refuse;
  json_t *message = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
  RIG_CHECK(json_is_object(message) && json_is_string(json_object_get(message, "type")));
  char **slot = &client->text[client->count++ % RIG_TEXTS];
  free(*slot);
  *slot = strndup(text, bytes);
  rig_take(client, message);
  json_decref(message);
  return 0;
}

static size_t rig_queued(void *self, void *peer) { return ((rig_client *)peer)->queued; }

static void rig_end(void *self, void *peer, unsigned code, const char *reason) {
  rig_client *client = peer;
  RIG_CHECK(client->code == 0);
  client->code = code;
  snprintf(client->reason, sizeof client->reason, "%s", reason);
}

static void rig_ask(void *self, uint32_t product) { wb_shm_copy_ask(((rig *)self)->shm, product); }
static const wb_shm_copy *rig_copy(void *self) { return wb_shm_copy_ready(((rig *)self)->shm); }

static inline rig_client *rig_join(rig *r, unsigned index) {
  rig_client *client = &r->client[index];
  client->rig = r;
  for (unsigned i = 0; i < RIG_PRODUCTS; i++)
    if (!client->book[i].book) client->book[i].book = rig_book_made();
  client->at = wb_publisher_join(r->publisher, client, r->now_ns);
  RIG_CHECK(client->at != NULL);
  return client;
}

static inline void rig_leave(rig_client *client) {
  wb_publisher_leave(client->rig->publisher, client->at);
  client->at = NULL;
  client->code = 0;
}

static inline void rig_say(rig_client *client, const char *text) {
  wb_publisher_take(client->rig->publisher, client->at, text, strlen(text), client->rig->now_ns);
}

/* The n-th last text of a client, 0: the last. */
static inline const char *rig_text(const rig_client *client, uint32_t n) {
  return n < client->count && n < RIG_TEXTS ? client->text[(client->count - 1 - n) % RIG_TEXTS] : "";
}

static inline unsigned rig_texts(const rig_client *client, const char *type) {
  char head[64];
  unsigned found = 0;
  snprintf(head, sizeof head, "{\"type\":\"%s\"", type);
  for (uint32_t i = 0; i < client->count && i < RIG_TEXTS; i++) found += strncmp(rig_text(client, i), head, strlen(head)) == 0;
  return found;
}

/* ------------------------------------------------------------------------------------------------ the node */

static rig *rig_open_with(size_t ring_bytes) {
  rig *r = rig_zeroed(sizeof *r);
  wb_error error = {0};
  snprintf(r->name, sizeof r->name, "publisher-rig-%ld", (long)getpid());
  r->now_ns = RIG_S;
  wb_products_init(&r->products, rig_zeroed(wb_products_bytes(RIG_PRODUCTS + 1)), RIG_PRODUCTS + 1);
  for (unsigned i = 0; i < RIG_PRODUCTS; i++) wb_products_add(&r->products, rig_ids[i], 7);
  r->host = (wb_host){.self = r, .now_ns = rig_now, .utc_offset_ns = rig_offset, .log = rig_log};
  r->observer = (wb_observer){.self = r, .applied = rig_applied};
  r->shm = wb_shm_open(&(wb_shm_config){.name = r->name,
                                        .product_max = RIG_PRODUCTS,
                                        .depth = 10,
                                        .ring_bytes = ring_bytes,
                                        .copy_levels = RIG_LEVELS,
                                        .observer = &r->observer},
                       &error);
  if (!r->shm) fprintf(stderr, "%s\n", error.detail);
  RIG_CHECK(r->shm != NULL);
  for (unsigned i = 0; i < RIG_PRODUCTS; i++) {
    r->product[i].book = rig_book_made();
    r->product[i].view = wb_shm_views(r->shm) + i;
  }
  wb_book_stage_init(&r->stage,
                     &(wb_book_stage_config){.products = &r->products,
                                             .host = &r->host,
                                             .mid_window = 10,
                                             .mid2 = rig_zeroed(RIG_PRODUCTS * 10 * sizeof(uint64_t)),
                                             .depth = 10,
                                             .observer = wb_shm_observer(r->shm, &r->stage, &r->products)},
                     r->product, rig_zeroed(RIG_PRODUCTS * 20 * sizeof(wb_level)), rig_zeroed(RIG_PRODUCTS * 8),
                     rig_zeroed(RIG_PRODUCTS * sizeof(wb_view_data)));
  RIG_CHECK(wb_shm_show(r->shm, &error) == 0 && wirebook_shm_open(&r->books, r->name) == 0);
  wb_publisher_config config = {.port = {r, rig_put, rig_queued, rig_end, rig_ask, rig_copy},
                                .products = &r->products,
                                .books = &r->books,
                                .client_count_max = RIG_CLIENTS,
                                .queue_bytes_max = 4 << 20,
                                .level_count_max = RIG_LEVELS};
  r->publisher = wb_publisher_open(&config, &error);
  RIG_CHECK(r->publisher != NULL);
  return r;
}

static inline void rig_close(rig *r) {
  for (unsigned i = 0; i < RIG_CLIENTS; i++) {
    if (r->client[i].at) rig_leave(&r->client[i]);
    for (unsigned n = 0; n < RIG_TEXTS; n++) free(r->client[i].text[n]);
    for (unsigned n = 0; n < RIG_PRODUCTS; n++)
      if (r->client[i].book[n].book) wb_arena_close(r->client[i].book[n].book, wb_book_bytes(&rig_book_config));
  }
  wb_publisher_close(r->publisher);
  wirebook_shm_close(&r->books);
  wb_shm_close(r->shm);
  for (unsigned i = 0; i < RIG_PRODUCTS; i++) wb_arena_close(r->product[i].book, wb_book_bytes(&rig_book_config));
  free(r->products.product);
  free(r->stage.config.mid2);
  free(r->stage.capture);
  free(r->stage.capture_count);
  free(r->stage.capture_view);
  free(r);
}

/* A message of deltas at a time, in microseconds. */
static void rig_message(rig *r, unsigned product, wb_message_kind kind, unsigned part, const wb_delta *delta, uint32_t count,
                        int64_t time_us) {
  wb_message *message = rig_zeroed(wb_message_bytes(count));
  *message = (wb_message){.kind = (uint8_t)kind,
                          .part = (uint8_t)part,
                          .product = (uint16_t)product,
                          .delta_count = count,
                          .recv_ns = r->now_ns,
                          .number = ++r->number,
                          .time_ns = time_us * 1000};
  if (count) memcpy(message->deltas, delta, count * sizeof *delta);
  if (kind == WB_MESSAGE_TRADE) message->u.trade.trade_id = r->number;
  wb_book_stage_take(&r->stage, message);
  free(message);
}

enum { RIG_WHOLE = WB_PART_FIRST | WB_PART_LAST };

/* Turns of both, until a copy that was asked for is made. */
static inline void rig_turns(rig *r) {
  for (int i = 0; i < 6; i++) {
    wb_book_stage_settle(&r->stage);
    wb_publisher_turn(r->publisher, r->now_ns, (int64_t)r->now_ns);
  }
}

static inline bool rig_same(const rig *r, const rig_client *client, unsigned product) {
  return wb_book_hash(client->book[product].book) == wb_book_hash(r->product[product].book);
}

#endif
