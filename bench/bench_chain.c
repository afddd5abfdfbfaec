/* bench_chain.c - from the bytes of a receive to the best price, in memory, against the libraries that a careful user would join.
 *
 * What:    chain/handed:N: messages of one change (memory_node.h, 1,000 levels) are copied into the journal, N at a time, and taken until
 *          the view shows them. simdjson/deltas: simdjson alone parses the same messages where they lie, to the same integers, and
 *          keeps no book; .../time: their time as well, as the chain does.
 *          tls/B/wirebook: io/tls reads records of B bytes; tls/B/stock: wolfSSL_read of the system's wolfSSL.
 *          record/wirebook/handed:N: TLS records of one WebSocket frame each, N a receive, decrypted into the journal, framed, parsed,
 *          applied, best bid and ask read; record/stock: wolfSSL_read, the frame's header, simdjson, std::map, best bid and ask.
 * Clock:   stands still while records are encrypted. All use TLS 1.3 with AES-128-GCM; the same server encrypts for all.
 * Check:   the best prices read, summed over the messages, are those of a book to which the same integers were applied directly; after
 *          whole passes the books equal it; simdjson's integers are those of the texts; every record came whole and in order.
 * Without: a C++ compiler, or simdjson, there are no cases with it. wolfSSL's allocator is that of io/tls for both: faster than malloc, so
 *          it does the stock ones no harm. */
#include <unistd.h>

#include "bench/harness.h"
#include "bench/memory_node.h"
#include "bench/reference/chain_wolfssl.h"
#include "bench/reference/map.h"
#include "bench/reference/simdjson_parser.h"
#include "io/tls.h"
#include "io/ws.h"

enum { MESSAGES = 2048, LEVELS = 1000, PASS_BYTES = 4 << 20, PLAIN_BYTES = 1 << 15 };
#define SUITE "TLS13-AES128-GCM-SHA256"
#define FLIP(side) ((side) == WB_SIDE_BID ? (uint64_t)WB_QUANTITY_MAX : 0)

typedef enum { CHAIN, SIMDJSON, TLS_WIREBOOK, TLS_STOCK, RECORD_WIREBOOK, RECORD_STOCK } kind;

typedef struct parameter {
  kind kind;
  uint32_t handed;       /* messages, or records, at a time */
  uint32_t record_bytes; /* TLS_... */
  bool with_time;        /* SIMDJSON */
} parameter;

typedef struct bench {
  parameter p;
  memory_node *node;
  uint64_t *best; /* after each message of a pass */
  uint64_t sum, expected;
  const char *wrong;

  wb_tls_context *server_context, *client_context;
  wb_tls *server, *client;
  stock_tls *stock;
  uint8_t *cipher, *plain;
  uint32_t *cipher_end; /* of each record of a pass */
  uint32_t record_count;
  uint64_t record; /* its number is the first word of it, TLS_... */
  wb_ws ws;

  simdjson_parser *parser;
  map *side[2];
} bench;

static uint64_t best_value(wb_level bid, wb_level ask) { return bid.price * 3 + bid.size * 5 + ask.price * 7 + ask.size * 11; }

static uint64_t best_of(const wb_book *book) {
  wb_level bid, ask;
  wb_book_best(book, WB_SIDE_BID, &bid);
  wb_book_best(book, WB_SIDE_ASK, &ask);
  return best_value(bid, ask);
}

/* ------------------------------------------------------------------------------------------------ TLS in memory */

static bool make_certificate(bench *b) {
  char folder[] = "/tmp/wb_bench_chain_XXXXXX", path[3][64];
  if (!mkdtemp(folder)) return false;
  for (unsigned i = 0; i < 3; i++) snprintf(path[i], sizeof path[i], "%s/%u", folder, i);
  wb_error error;
  if (wb_tls_certificate_make(path[0], path[1], path[2], &error) == 0)
    b->server_context = wb_tls_server_open(path[0], path[1], &error);
  for (unsigned i = 0; i < 3; i++) unlink(path[i]);
  rmdir(folder);
  return b->server_context != NULL;
}

/* Carries what the one says to the other until both are done. */
static bool shake_hands(bench *b) {
  wb_error error;
  uint8_t to_server[16384], to_client[16384];
  size_t to_server_count = 0;
  int server = 0, client = 0;
  for (unsigned turn = 0; turn < 8 && (server != 1 || client != 1); turn++) {
    client = b->stock ? stock_tls_handshake(b->stock) : wb_tls_handshake(b->client, &error);
    const uint8_t *bytes = b->stock ? b->stock->out : wb_tls_output(b->client, &to_server_count);
    if (b->stock) to_server_count = b->stock->out_count;
    if (client < 0 || to_server_count > sizeof to_server) return false;
    if (to_server_count) memcpy(to_server, bytes, to_server_count);
    if (b->stock) b->stock->out_count = 0;
    else wb_tls_sent(b->client, to_server_count);
    if (to_server_count) wb_tls_feed(b->server, to_server, to_server_count);
    server = wb_tls_handshake(b->server, &error);
    size_t count;
    bytes = wb_tls_output(b->server, &count);
    if (server < 0 || count > sizeof to_client) return false;
    if (count) memcpy(to_client, bytes, count);
    wb_tls_sent(b->server, count);
    if (count && b->stock) stock_tls_feed(b->stock, to_client, count);
    else if (count) wb_tls_feed(b->client, to_client, count);
  }
  uint8_t nothing[64];
  /* What follows the handshake, such as session tickets, is taken now. */
  if (b->stock ? stock_tls_read(b->stock, nothing, sizeof nothing) : wb_tls_read(b->client, nothing, sizeof nothing, &error))
    return false;
  return server == 1 && client == 1;
}

static bool open_tls(bench *b) {
  wb_error error;
  b->cipher = malloc(PASS_BYTES);
  b->cipher_end = calloc(MESSAGES, sizeof *b->cipher_end);
  if (!b->cipher || !b->cipher_end || !make_certificate(b)) return false;
  b->server = wb_tls_open(b->server_context, NULL, &error);
  bool stock = b->p.kind == TLS_STOCK || b->p.kind == RECORD_STOCK;
  if (stock) b->stock = stock_tls_open(SUITE);
  else if ((b->client_context = wb_tls_client_open(NULL, true, &error)))
    b->client = wb_tls_open(b->client_context, NULL, &error);
  if (!b->server || (stock ? !b->stock : !b->client) || !shake_hands(b)) return false;
  char suite[96];
  wb_tls_describe(b->server, suite, sizeof suite);
  if (strstr(suite, "TLSv1.3") && strstr(suite, "AES_128_GCM")) return true;
  fprintf(stderr, "bench_chain: %s is not what is compared here\n", suite);
  return false;
}

/* The records of a pass. */
static void encrypt(bench *b) {
  wb_error error;
  size_t used = 0, count;
  uint8_t frame[WB_WS_HEADER_BYTES_MAX + MEMORY_NODE_TEXT];
  for (uint32_t i = 0; i < b->record_count; i++) {
    const uint8_t *bytes = frame;
    size_t size;
    if (b->node) {
      size = wb_ws_header(frame, WB_WS_TEXT, true, b->node->bytes[i], NULL);
      memcpy(frame + size, b->node->text[i], b->node->bytes[i]);
      size += b->node->bytes[i];
    } else {
      memcpy(b->plain, &b->record, sizeof b->record);
      b->record++;
      bytes = b->plain;
      size = b->p.record_bytes;
    }
    if (wb_tls_write(b->server, bytes, size, &error) != 0) {
      b->wrong = "the server does not encrypt";
      return;
    }
    wb_tls_output(b->server, &count);
    b->cipher_end[i] = (uint32_t)(used + count);
    if (b->cipher_end[i] > PASS_BYTES) abort();
    memcpy(b->cipher + used, wb_tls_output(b->server, &count), count);
    wb_tls_sent(b->server, count);
    used += count;
  }
}

/* ------------------------------------------------------------------------------------------------ what is timed: one pass */

static void pass_chain(bench *b) {
  memory_node *n = b->node;
  const wb_view *view = &n->views[0];
  for (uint32_t i = 0; i < MESSAGES; i += b->p.handed) {
    uint64_t before = view->sequence;
    for (uint32_t j = i; j < i + b->p.handed; j++) memory_node_push(n, n->text[j], n->bytes[j]);
    wb_frames_publish(&n->frames);
    memory_node_drain(n);
    if (view->sequence == before) b->wrong = "the view does not show a message that was taken";
    b->sum += best_of(n->product[0].book);
  }
}

static void pass_tls(bench *b) {
  wb_error error;
  uint64_t expected = b->record - b->record_count, number;
  for (uint32_t i = 0; i < b->record_count; i++) {
    uint32_t from = i ? b->cipher_end[i - 1] : 0, count = b->cipher_end[i] - from;
    int n;
    if (b->stock) {
      stock_tls_feed(b->stock, b->cipher + from, count);
      n = stock_tls_read(b->stock, b->plain, PLAIN_BYTES);
    } else {
      wb_tls_feed(b->client, b->cipher + from, count);
      n = wb_tls_read(b->client, b->plain, PLAIN_BYTES, &error);
    }
    memcpy(&number, b->plain, sizeof number);
    if (n != (int)b->p.record_bytes || number != expected++) b->wrong = "a record did not come whole and in order";
  }
}

static void pass_record(bench *b) {
  memory_node *n = b->node;
  wb_frames *frames = &n->frames;
  wb_error error;
  uint64_t scan = frames->head;
  for (uint32_t i = 0, from = 0; i < MESSAGES; i += b->p.handed) {
    uint32_t end = b->cipher_end[i + b->p.handed - 1];
    wb_tls_feed(b->client, b->cipher + from, end - from);
    from = end;
    for (int got; wb_frames_room(frames, PLAIN_BYTES) >= PLAIN_BYTES && wb_frames_slots(frames, 1) &&
                  (got = wb_tls_read(b->client, wb_frames_head(frames), PLAIN_BYTES, &error)) != 0;) {
      if (got < 0) {
        b->wrong = "a record is not read";
        return;
      }
      wb_frames_advance(frames, (size_t)got);
      wb_ws_item item;
      size_t consumed;
      for (uint8_t *at; scan < frames->head; scan += consumed) {
        at = wb_frames_at(frames, scan);
        if (wb_ws_read(&b->ws, at, frames->head - scan, &item, &consumed, NULL) != 1) break;
        memory_node_describe(n, scan + (uint64_t)(item.bytes - at), (uint32_t)item.count);
      }
    }
    wb_frames_publish(frames);
    memory_node_drain(n);
    b->sum += best_of(n->product[0].book);
  }
}

static void pass_simdjson(bench *b) {
  const memory_node *n = b->node;
  simdjson_delta delta[16];
  simdjson_message message = {.deltas = delta};
  for (uint32_t i = 0; i < MESSAGES; i++) {
    if (simdjson_parser_parse(b->parser, (const uint8_t *)n->text[i], n->bytes[i], b->p.with_time, &message) != 0 ||
        message.count != 1)
      b->wrong = "simdjson does not read a message";
    b->sum += delta[0].price * 3 + delta[0].size_side * 5;
  }
}

static void apply(bench *b, unsigned side, uint64_t price, uint64_t size) { map_put(b->side[side], price ^ FLIP(side), size); }

static uint64_t best_of_maps(const bench *b) {
  wb_level best[2] = {{0, 0}, {0, 0}};
  for (unsigned side = 0; side < 2; side++) {
    uint64_t key, size;
    if (map_first(b->side[side], &key, &size)) best[side] = (wb_level){key ^ FLIP(side), size};
  }
  return best_value(best[WB_SIDE_BID], best[WB_SIDE_ASK]);
}

static void pass_stock(bench *b) {
  simdjson_delta delta[16];
  simdjson_message message = {.deltas = delta};
  for (uint32_t i = 0, from = 0; i < MESSAGES; i++) {
    stock_tls_feed(b->stock, b->cipher + from, b->cipher_end[i] - from);
    from = b->cipher_end[i];
    int got = stock_tls_read(b->stock, b->plain, PLAIN_BYTES);
    size_t header = b->plain[1] < 126 ? 2 : 4, size = header == 2 ? b->plain[1] : (size_t)b->plain[2] << 8 | b->plain[3];
    if (got < 4 || b->plain[0] != (0x80 | WB_WS_TEXT) || header + size != (size_t)got ||
        simdjson_parser_parse(b->parser, b->plain + header, size, true, &message) != 0) {
      b->wrong = "a record is not read";
      return;
    }
    for (size_t d = 0; d < message.count; d++) apply(b, delta[d].size_side >> 63, delta[d].price, delta[d].size_side << 1 >> 1);
    b->sum += best_of_maps(b);
  }
}

static void add_hash(void *self, uint64_t key, uint64_t size) {
  uint64_t *side_and_hash = self;
  side_and_hash[1] += wb_level_hash((wb_side)side_and_hash[0], key ^ FLIP(side_and_hash[0]), size);
}

static uint64_t hash_of_maps(const bench *b) {
  uint64_t hash = 0;
  for (unsigned side = 0; side < 2; side++) {
    uint64_t side_and_hash[2] = {side, 0};
    map_each(b->side[side], add_hash, side_and_hash);
    hash += side_and_hash[1];
  }
  return hash;
}

static bool open_libraries(bench *b) {
  static const char *const ids[] = {"P000-USD"};
  if (b->p.kind != SIMDJSON && b->p.kind != RECORD_STOCK) return true;
  b->parser = simdjson_parser_open(PLAIN_BYTES, ids, 1);
  b->side[0] = map_open();
  b->side[1] = map_open();
  for (uint32_t i = 0; i < 2 * LEVELS; i++) apply(b, b->node->level[i].side, b->node->level[i].price, b->node->level[i].size);
  return b->parser != NULL;
}

static void close_libraries(bench *b) {
  if (b->parser) simdjson_parser_close(b->parser);
  for (unsigned side = 0; side < 2; side++)
    if (b->side[side]) map_close(b->side[side]);
}

static void pass(bench *b) {
  switch (b->p.kind) {
  case CHAIN: pass_chain(b); break;
  case SIMDJSON: pass_simdjson(b); break;
  case TLS_WIREBOOK:
  case TLS_STOCK: pass_tls(b); break;
  case RECORD_WIREBOOK: pass_record(b); break;
  case RECORD_STOCK: pass_stock(b); break;
  }
}

/* ------------------------------------------------------------------------------------------------ cases */

/* What a pass must sum up to. The second pass over the model says it: a first one begins with the snapshot. */
static void expect(bench *b) {
  const memory_node *n = b->node;
  for (uint32_t i = 0; i < MESSAGES; i++) {
    wb_book_apply(n->model[0], &n->change[i], 1, NULL);
    if (b->p.kind == SIMDJSON)
      b->expected += n->change[i].price * 3 + (n->change[i].size | (uint64_t)n->change[i].side << 63) * 5;
    else if ((i + 1) % b->p.handed == 0) b->expected += best_of(n->model[0]);
  }
}

static void teardown(void *state) {
  bench *b = state;
  close_libraries(b);
  if (b->stock) stock_tls_close(b->stock);
  if (b->client) wb_tls_close(b->client);
  if (b->server) wb_tls_close(b->server);
  if (b->client_context) wb_tls_context_close(b->client_context);
  if (b->server_context) wb_tls_context_close(b->server_context);
  if (b->node) memory_node_close(b->node);
  free(b->cipher);
  free(b->cipher_end);
  free(b->plain);
  free(b);
}

static void *setup(const void *parameter_of, bool smoke) {
  bench *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->p = *(const parameter *)parameter_of;
  bool bare = b->p.kind == TLS_WIREBOOK || b->p.kind == TLS_STOCK, records = bare || b->p.kind >= RECORD_WIREBOOK;
  b->record_count = bare ? (b->p.record_bytes > 4096 ? 64 : MESSAGES) : MESSAGES;
  b->plain = calloc(1, PLAIN_BYTES);
  if (!bare) b->node = memory_node_open(LEVELS, 1, MESSAGES);
  if (!b->plain || (!bare && !b->node) || (records && !open_tls(b)) || !open_libraries(b)) {
    teardown(b);
    return NULL;
  }
  wb_ws_init(&b->ws, WB_WS_CLIENT, 1 << 20);
  if (b->node) expect(b);
  if (records) encrypt(b);
  if (!b->wrong) pass(b);
  b->sum = 0;
  return b;
}

static void run(void *state, wb_bench_run *r) {
  bench *b = state;
  uint64_t passes = r->iterations / b->record_count + 1, ns = 0, cycles = 0;
  b->sum = 0;
  for (uint64_t i = 0; i < passes && !b->wrong; i++) {
    if (b->server) encrypt(b);
    uint64_t from_ns = wb_bench_now_ns(), from_cycles = wb_bench_cycles();
    pass(b);
    cycles += wb_bench_cycles() - from_cycles;
    ns += wb_bench_now_ns() - from_ns;
  }
  r->elapsed_ns = ns;
  r->cycles = cycles;
  r->items = passes * b->record_count;
  if (b->node)
    for (uint32_t i = 0; i < MESSAGES; i++) r->bytes += passes * b->node->bytes[i];
  else r->bytes = r->items * b->p.record_bytes;
}

static const char *check(void *state, const wb_bench_run *r) {
  bench *b = state;
  if (b->wrong || !b->node) return b->wrong;
  if (b->sum != b->expected * (r->items / MESSAGES)) return "what was read is not what the messages say";
  if (b->p.kind == RECORD_STOCK)
    return hash_of_maps(b) == wb_book_hash(b->node->model[0]) ? NULL : "the maps differ from the model";
  return b->p.kind == SIMDJSON ? NULL : memory_node_check(b->node);
}

#define CASE(name, against, ...)                                                                                               \
  { name, against, &(const parameter){__VA_ARGS__}, 1, 0, setup, run, check, teardown }

enum { WITH_SIMDJSON = 3 }; /* so many of the cases, the first ones */

int main(int argc, char **argv) {
  const wb_bench_case cases[] = {
      CASE("simdjson/deltas", NULL, SIMDJSON, 1, 0, false),
      CASE("simdjson/deltas/time", NULL, SIMDJSON, 1, 0, true),
      CASE("record/stock", NULL, RECORD_STOCK, 1, 0, false),
      CASE("chain/handed:1", "simdjson/deltas", CHAIN, 1, 0, false),
      CASE("chain/handed:64", "simdjson/deltas", CHAIN, 64, 0, false),
      CASE("record/wirebook/handed:1", "record/stock", RECORD_WIREBOOK, 1, 0, false),
      CASE("record/wirebook/handed:64", "record/stock", RECORD_WIREBOOK, 64, 0, false),
      CASE("tls/160/stock", NULL, TLS_STOCK, 1, 160, false),
      CASE("tls/160/wirebook", "tls/160/stock", TLS_WIREBOOK, 1, 160, false),
      CASE("tls/16384/stock", NULL, TLS_STOCK, 1, 16384, false),
      CASE("tls/16384/wirebook", "tls/16384/stock", TLS_WIREBOOK, 1, 16384, false),
  };
  static const char *const id = "P000-USD";
  simdjson_parser *there = simdjson_parser_open(PLAIN_BYTES, &id, 1);
  unsigned skipped = there ? 0 : WITH_SIMDJSON;
  if (there) simdjson_parser_close(there);
  return wb_bench_main(argc, argv, cases + skipped, sizeof cases / sizeof *cases - skipped);
}
