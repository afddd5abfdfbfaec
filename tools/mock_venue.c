#include "tools/mock_venue.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/codec/json.h"
#include "io/host.h"
#include "io/log_reader.h"
#include "io/node_run.h"
#include "io/source_replay.h"
#include "tools/mock_exchange.h"
#include "tools/products.h"

enum { TURNS = 64, LEVEL_BYTES = 2 * WB_DECIMAL_TEXT_BYTES + 8, HEAD_BYTES = 256 };
enum { LAST_MATCH, LAST_TICKER, LASTS };

/* A record that the books may still speak of; its bytes are the journal's until the node is polled again. */
typedef struct record {
  const uint8_t *bytes;
  uint32_t count;
  uint8_t kind, line;
} record;

/* What is known of a product beside its book. line: whose messages that make no book are passed on, -1: of the next that has one. right: it has a
 * book, which is what it was at the exchange at some time. */
typedef struct told {
  char *last[LASTS];
  size_t last_bytes[LASTS];
  int line;
  bool right;
} told;

struct wb_mock_venue {
  wb_mock_server *server;
  const wb_products *products;
  wb_products *own; /* NULL: products are those of the options */
  char **ids;       /* of the log, NULL-terminated */
  size_t id_count;
  wb_log *log;
  wb_observer observer;
  wb_node *node;
  told *told;                                /* a product, and one for what is of none */
  record record[WB_REPLAY_TURN_RECORDS + 1]; /* of a turn; and that a window begins */
  size_t record_count, passed;
  uint64_t first_number; /* of record[0] */
  wb_level *level;
  uint32_t level_room;
  int64_t position_utc_ns; /* of the log's clock, as of */
  uint64_t position_ns;
  bool going, ended, failed;
  wb_error trouble; /* the first */
};

/* ------------------------------------------------------------------------------------------------ what a message is */

typedef struct about {
  const struct kind *kind; /* NULL: of no interest */
  uint32_t product;        /* the count of products: none */
  wb_json_value type;
} about;

/* What the books do not take. last: what newcomers are told; -1: nothing of it. */
static const struct kind {
  const char *name;
  uint16_t channels;
  int last;
  bool book;
} kinds[] = {
    {"snapshot", 0, -1, true},
    {"match", 1 << WB_MOCK_MATCHES, LAST_MATCH, true},
    {"last_match", 1 << WB_MOCK_MATCHES, LAST_MATCH, false},
    {"heartbeat", 1 << WB_MOCK_HEARTBEAT, -1, false},
    {"ticker", 1 << WB_MOCK_TICKER | 1 << WB_MOCK_TICKER_BATCH, LAST_TICKER, false},
    {"status", 1 << WB_MOCK_STATUS, -1, false},
    {"auction", 1 << WB_MOCK_AUCTIONS, -1, false},
    {"rfq_match", 1 << WB_MOCK_RFQ_MATCHES, -1, false},
};

static about about_of(const wb_mock_venue *venue, const record *of) {
  static const char *const names[] = {"type", "product_id"};
  about found = {.product = venue->products->count};
  wb_json json = {of->bytes, of->count, 0};
  wb_json_value value[2];
  uint32_t twice;
  char text[WB_PRODUCT_ID_BYTES];
  if (of->kind != WB_FRAME_TEXT || wb_json_members(&json, 0, names, 2, value, &twice) != 0 || twice) return found;
  for (unsigned i = 0; i < 2; i++)
    if (value[i].at && of->bytes[value[i].at] != '"') return found;
  found.type = value[0];
  if (value[1].at) {
    uint32_t bytes = wb_json_string(&json, value[1].at, text, sizeof text);
    int product = bytes <= sizeof text ? wb_products_find(venue->products, text, bytes) : -1;
    if (product < 0) return found;
    found.product = (uint32_t)product;
  }
  uint32_t bytes = value[0].at ? wb_json_string(&json, value[0].at, text, sizeof text) : 0;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strlen(kinds[i].name) == bytes && memcmp(kinds[i].name, text, bytes) == 0) found.kind = &kinds[i];
  return found;
}

/* ------------------------------------------------------------------------------------------------ telling it */

static void put_to_all(wb_mock_server *server, uint32_t product, uint16_t channels, const record *of) {
  for (uint32_t i = 0; i < server->client_count; i++) {
    wb_mock_client *client = server->client[i];
    if (client->state != WB_MOCK_OPEN || !(client->wants[product] & channels)) continue;
    client->record.heartbeats += channels == 1 << WB_MOCK_HEARTBEAT;
    wb_mock_client_put(client, (const char *)of->bytes, of->count);
  }
}

/* A match is told to newcomers as the last one. */
static void remember(wb_mock_venue *venue, const about *what, const record *of) {
  static const char type[] = "\"last_match\"";
  told *to = &venue->told[what->product];
  bool match = what->kind->last == LAST_MATCH;
  size_t from = match ? what->type.at : 0, until = match ? what->type.end : 0, put = match ? sizeof type - 1 : 0;
  size_t bytes = of->count - (until - from) + put;
  char *text = realloc(to->last[what->kind->last], bytes);
  if (!text) return;
  memcpy(text, of->bytes, from);
  memcpy(text + from, type, put);
  memcpy(text + from + put, of->bytes + until, of->count - until);
  to->last[what->kind->last] = text;
  to->last_bytes[what->kind->last] = bytes;
}

static void tell(wb_mock_venue *venue, const about *what, const record *of) {
  uint32_t product = what->product < venue->products->count ? what->product : 0;
  if (what->kind->last >= 0) remember(venue, what, of);
  put_to_all(venue->server, product, what->kind->channels, of);
}

/* A record that no book speaks of any more. */
static void pass(wb_mock_venue *venue, const record *of) {
  if (of->kind == WB_FRAME_CONNECT || of->kind == WB_FRAME_DISCONNECT || of->kind == WB_FRAME_END)
    for (uint32_t i = 0; i <= venue->products->count; i++)
      if (venue->told[i].line == of->line) venue->told[i].line = -1;
  about what = about_of(venue, of);
  if (!what.kind || what.kind->book) return;
  told *from = &venue->told[what.product];
  if (from->line < 0) from->line = of->line;
  if (from->line == of->line) tell(venue, &what, of);
}

static char *put_text(char *to, const char *text) {
  size_t bytes = strlen(text);
  memcpy(to, text, bytes);
  return to + bytes;
}

static char *put_levels(wb_mock_venue *venue, const wb_book_product *product, wb_side side, char *to) {
  uint32_t count = wb_book_levels(product->book, side, venue->level, venue->level_room);
  for (uint32_t i = 0; i < count; i++) {
    to = put_text(to, i ? ",[\"" : "[\"");
    to += wb_decimal_print(venue->level[i].price, product->price_decimals, to);
    to = put_text(to, "\",\"");
    to += wb_decimal_print(venue->level[i].size, product->size_decimals, to);
    to = put_text(to, "\"]");
  }
  return to;
}

/* The book as text, in the server's memory for snapshots. */
static size_t make_snapshot(wb_mock_venue *venue, uint32_t index) {
  wb_mock_server *server = venue->server;
  const wb_book_product *product = wb_node_product(venue->node, index);
  uint32_t bids = wb_book_level_count(product->book, WB_SIDE_BID), asks = wb_book_level_count(product->book, WB_SIDE_ASK);
  uint32_t most = bids > asks ? bids : asks;
  if (venue->level_room < most) {
    wb_level *grown = realloc(venue->level, most * sizeof *grown);
    if (!grown) return 0;
    venue->level = grown;
    venue->level_room = most;
  }
  size_t room = HEAD_BYTES + ((size_t)bids + asks) * LEVEL_BYTES;
  if (server->snapshot_room < room) {
    char *grown = realloc(server->snapshot, room);
    if (!grown) return 0;
    server->snapshot = grown;
    server->snapshot_room = room;
  }
  char *to = server->snapshot;
  to += sprintf(to, "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"asks\":[", venue->products->product[index].id);
  to = put_text(put_levels(venue, product, WB_SIDE_ASK, to), "],\"bids\":[");
  to = put_text(put_levels(venue, product, WB_SIDE_BID, to), "]");
  int64_t time_ns = product->view->data.time_ns;
  char time[WB_UTC_TEXT_BYTES];
  if (time_ns >= 0) {
    wb_utc_text(time_ns, time);
    to += sprintf(to, ",\"time\":\"%s\"", time);
  }
  return (size_t)(put_text(to, "}") - server->snapshot);
}

static void put_snapshot(wb_mock_product *product, wb_mock_client *client, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  client->record.snapshots++;
  product->snapshots++;
}

/* The book was replaced. By the record itself, or by one before it that waited for another line's copy of this. */
static void replaced(wb_mock_venue *venue, uint32_t index, const record *of) {
  venue->told[index].right = true;
  wb_mock_product *product = &venue->server->product[index];
  about what = about_of(venue, of);
  bool itself = what.kind == &kinds[0] && what.product == index;
  const char *text = (const char *)of->bytes;
  size_t bytes = of->count;
  if (!itself && product->subscriber_count) {
    bytes = make_snapshot(venue, index);
    text = venue->server->snapshot;
  }
  for (uint32_t i = product->subscriber_count; i-- > 0;)
    if (bytes) put_snapshot(product, product->subscriber[i], text, bytes);
    else wb_mock_client_drop(product->subscriber[i], true, "no memory for a snapshot");
}

static void updated(wb_mock_product *product, const record *of) {
  product->updates++;
  for (uint32_t i = product->subscriber_count; i-- > 0;) {
    product->subscriber[i]->record.updates++;
    wb_mock_client_put(product->subscriber[i], (const char *)of->bytes, of->count);
  }
}

/* ------------------------------------------------------------------------------------------------ what the node says */

static void on_frame(void *self, const wb_frame *frame, const uint8_t *bytes) {
  wb_mock_venue *venue = self;
  if (!venue->record_count) venue->first_number = frame->number;
  venue->record[venue->record_count++] = (record){bytes, frame->bytes, frame->kind, frame->line};
}

/* Passes on the records in front of this one; the books speak of them in their order. */
static void pass_to(wb_mock_venue *venue, size_t index) {
  while (venue->passed < index) pass(venue, &venue->record[venue->passed++]);
}

static void on_applied(void *self, const wb_message *message) {
  wb_mock_venue *venue = self;
  size_t index = message->number - venue->first_number;
  if (message->kind == WB_MESSAGE_SCALE || !(message->part & WB_PART_LAST)) return;
  pass_to(venue, index);
  const record *of = &venue->record[index];
  if (message->kind == WB_MESSAGE_SNAPSHOT) replaced(venue, message->product, of);
  if (message->kind == WB_MESSAGE_UPDATE) updated(&venue->server->product[message->product], of);
  if (message->kind == WB_MESSAGE_TRADE) {
    about what = about_of(venue, of);
    if (what.kind) tell(venue, &what, of);
  }
  venue->passed = index + 1;
}

/* A line that is down makes a book old, anything else wrong. */
static void on_state(void *self, uint32_t product) {
  wb_mock_venue *venue = self;
  const wb_book_product *p = wb_node_product(venue->node, product);
  if (!p->live && p->recover.reason != WB_REASON_DISCONNECTED && p->recover.reason != WB_REASON_CONNECTED)
    venue->told[product].right = false;
}

static void on_settled(void *self, uint64_t now_ns) {
  wb_mock_venue *venue = self;
  pass_to(venue, venue->record_count);
  venue->record_count = venue->passed = 0;
}

/* ------------------------------------------------------------------------------------------------ clients */

void wb_mock_venue_snapshot(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client) {
  uint32_t index = (uint32_t)(product - server->product);
  wb_mock_venue *venue = server->venue;
  if (!venue->told[index].right) return;
  size_t bytes = make_snapshot(venue, index);
  if (bytes) put_snapshot(product, client, server->snapshot, bytes);
  else wb_mock_client_drop(client, true, "no memory for a snapshot");
}

void wb_mock_venue_greet(wb_mock_client *client, uint32_t product, uint16_t channels) {
  const told *known = &client->server->venue->told[product];
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!kinds[i].book && kinds[i].last >= 0 && kinds[i].channels & channels && known->last[kinds[i].last])
      wb_mock_client_put(client, known->last[kinds[i].last], known->last_bytes[kinds[i].last]);
}

static bool listens(const wb_mock_client *client) { return client->subscribed && client->state == WB_MOCK_OPEN; }

static bool anybody(const wb_mock_server *server, size_t queued_most) {
  for (uint32_t i = 0; i < server->client_count; i++)
    if (listens(server->client[i]) && server->client[i]->filling.count < queued_most) return true;
  return false;
}

/* ------------------------------------------------------------------------------------------------ playing */

const wb_error *wb_mock_venue_trouble(const wb_mock_venue *venue) { return venue->trouble.code ? &venue->trouble : NULL; }

static void note_trouble(wb_mock_venue *venue, const wb_error *error) {
  if (!venue->trouble.code) venue->trouble = *error;
  if (!venue->server->options.quiet) fprintf(stderr, "mock: %s\n", error->detail);
}

/* Begins the log, and goes on to the first record that is to be told. */
static int begin(wb_mock_venue *venue, wb_error *error) {
  const wb_mock_options *options = &venue->server->options;
  char *path[] = {(char *)options->recording, NULL};
  wb_node_config config = {.codec = wb_codec_find(options->dialect->name),
                           .products = (wb_products *)venue->products,
                           .log = venue->log,
                           .path = path,
                           .part = options->at_utc_ns != INT64_MIN,
                           .from_utc_ns = options->at_utc_ns,
                           .to_utc_ns = INT64_MAX,
                           .layout = WB_LAYOUT_FUSED,
                           .depth = 1,
                           .crossed_ms = 1000,
                           .observer = &venue->observer};
  venue->node = wb_node_open(&config, error);
  if (!venue->node) return error->code;
  venue->ended = venue->going = false;
  while ((venue->position_utc_ns = wb_node_replay_until(venue->node, INT64_MIN)) == WB_TIME_NONE &&
         !wb_node_ended(venue->node, NULL))
    wb_node_poll(venue->node);
  wb_log_drain(venue->log);
  return 0;
}

static void forget(wb_mock_venue *venue) {
  for (uint32_t i = 0; i <= venue->products->count; i++) {
    for (int k = 0; k < LASTS; k++) free(venue->told[i].last[k]);
    venue->told[i] = (told){.line = -1};
  }
}

static void end(wb_mock_server *server) {
  wb_mock_venue *venue = server->venue;
  wb_error error = {0};
  if (!venue->ended) wb_node_ended(venue->node, &error);
  if (error.code) note_trouble(venue, &error);
  venue->ended = true;
  if (server->options.hold) return;
  for (uint32_t i = 0; i < server->client_count; i++)
    if (listens(server->client[i])) wb_mock_client_close(server->client[i], 1000, "end of the log");
  if (!server->options.loop || venue->failed) return;
  wb_node_close(venue->node);
  venue->node = NULL;
  forget(venue);
  if (begin(venue, &error) == 0) return;
  venue->ended = venue->failed = true;
  note_trouble(venue, &error);
}

/* Time of the log that has come. */
static int64_t clock_of(const wb_mock_venue *venue, uint64_t now_ns) {
  return venue->position_utc_ns + (int64_t)((double)(now_ns - venue->position_ns) * venue->server->options.speed);
}

/* How long a piece of the log's time takes; an hour at most, and then it is asked again. */
static uint64_t ahead_ns(int64_t log_ns, double speed) {
  double real_ns = (double)log_ns / speed;
  return real_ns < 3.6e12 ? (uint64_t)real_ns + 1 : UINT64_C(3600000000000);
}

uint64_t wb_mock_venue_play(wb_mock_server *server, uint64_t now_ns) {
  wb_mock_venue *venue = server->venue;
  double speed = server->options.speed;
  if (venue->ended) {
    end(server);
    return UINT64_MAX;
  }
  if (venue->going) venue->position_utc_ns = clock_of(venue, now_ns);
  venue->position_ns = now_ns;
  venue->going = anybody(server, SIZE_MAX);
  if (!venue->going) return UINT64_MAX;
  for (int n = 0; n < TURNS; n++) {
    if (speed <= 0 && !anybody(server, WB_MOCK_CHUNK_BYTES)) return UINT64_MAX;
    int64_t next = wb_node_replay_until(venue->node, speed > 0 ? venue->position_utc_ns : INT64_MAX);
    if (speed > 0 && next != WB_TIME_NONE && next > venue->position_utc_ns)
      return now_ns + ahead_ns(next - venue->position_utc_ns, speed);
    wb_node_poll(venue->node);
    wb_log_drain(venue->log);
    if (!wb_node_ended(venue->node, NULL)) continue;
    end(server);
    return UINT64_MAX;
  }
  return 0;
}

/* ------------------------------------------------------------------------------------------------ open and close */

static int refuse(wb_error *error, const char *path, const char *why) {
  return wb_error_set(error, WB_E_CONFIG, 0, "mock", "%s cannot be served: %s", path, why);
}

static int add_ids(wb_mock_venue *venue, json_t *list) {
  size_t i;
  json_t *id;
  json_array_foreach(list, i, id) {
    char **grown = realloc(venue->ids, (venue->id_count + 2) * sizeof *grown);
    if (!grown) return WB_E_MEMORY;
    venue->ids = grown;
    grown[venue->id_count] = strdup(json_is_string(id) ? json_string_value(id) : "");
    grown[venue->id_count + 1] = NULL;
    if (!grown[venue->id_count++]) return WB_E_MEMORY;
  }
  return 0;
}

/* What the header of a segment says of who stored it. */
static int read_header(wb_mock_venue *venue, const wb_log_segment *segment, wb_error *error) {
  const wb_mock_options *options = &venue->server->options;
  const wb_codec *codec = wb_codec_find(options->dialect->name);
  json_t *header = json_loads(segment->text, 0, NULL), *products = json_object_get(header, "products"), *channel;
  const char *feed = json_string_value(json_object_get(header, "feed"));
  json_int_t count = json_integer_value(json_object_get(header, "product_count"));
  size_t i;
  int code = 0;
  if (!feed || strcmp(feed, codec->name) != 0) {
    char why[128];
    snprintf(why, sizeof why, "it is of %.32s, and only one of %s can be", feed ? feed : "no feed", codec->name);
    code = refuse(error, segment->path, why);
  }
  json_array_foreach(json_object_get(header, "channels"), i,
                     channel) if (!code && json_is_string(channel) && codec->orders->channel(json_string_value(channel))) code =
      refuse(error, segment->path, "its books are of orders (full, level3)");
  if (!code && !options->products_given && (size_t)count > json_array_size(products))
    code = refuse(error, segment->path, "its header has not room for all its products: name them with --product");
  if (!code && !options->products_given && add_ids(venue, products))
    code = wb_error_set(error, WB_E_MEMORY, 0, "mock", "no memory");
  json_decref(header);
  return code;
}

static int read_headers(wb_mock_venue *venue, wb_error *error) {
  const char *path = venue->server->options.recording;
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = &path, .path_count = 1}, error);
  if (!reader) return error->code;
  const wb_log_segment *segment;
  int code = 0;
  bool any = false;
  for (size_t i = 0; !code && (segment = wb_log_reader_segment(reader, i)); i++) {
    if (segment->readable) code = read_header(venue, segment, error);
    any |= segment->readable;
  }
  if (!code && !any) code = refuse(error, path, "no segment of a log is there");
  wb_log_reader_close(reader);
  return code;
}

static int open_products(wb_mock_venue *venue, wb_error *error) {
  wb_mock_server *server = venue->server;
  venue->products = server->options.products;
  if (!server->options.products_given) {
    if (!venue->id_count) return refuse(error, server->options.recording, "it names no product");
    venue->products = venue->own = wb_products_open(venue->ids, '-', error);
    if (!venue->own) return error->code;
  }
  uint32_t count = venue->products->count;
  venue->told = calloc(count + 1, sizeof *venue->told);
  server->product = calloc(count, sizeof *server->product);
  if (!venue->told || !server->product) return wb_error_set(error, WB_E_MEMORY, 0, "mock", "no memory for %u products", count);
  forget(venue);
  for (uint32_t i = 0; i < count; i++) strcpy(server->product[i].market.product, venue->products->product[i].id);
  server->product_count = count;
  return 0;
}

int wb_mock_venue_open(wb_mock_server *server, wb_error *error) {
  if (server->options.dialect != &wb_mock_exchange)
    return refuse(error, server->options.recording, "logs are served in the dialect coinbase-exchange alone");
  wb_mock_venue *venue = server->venue = calloc(1, sizeof *venue);
  if (!venue) return wb_error_set(error, WB_E_MEMORY, 0, "mock", "no memory");
  venue->server = server;
  venue->observer =
      (wb_observer){.self = venue, .frame = on_frame, .applied = on_applied, .state = on_state, .settled = on_settled};
  venue->log = wb_log_open(NULL, server->options.quiet ? WB_LOG_ERROR : WB_LOG_WARNING, false, error);
  if (!venue->log) return error->code;
  int code = read_headers(venue, error);
  if (!code) code = open_products(venue, error);
  return code ? code : begin(venue, error);
}

void wb_mock_venue_close(wb_mock_venue *venue) {
  if (!venue) return;
  wb_node_close(venue->node);
  if (venue->log) wb_log_drain(venue->log);
  wb_log_close(venue->log);
  if (venue->told) forget(venue);
  free(venue->told);
  for (size_t i = 0; i < venue->id_count; i++) free(venue->ids[i]);
  free(venue->ids);
  free(venue->level);
  wb_products_close(venue->own);
  free(venue);
}
