/* stress_face.c - the HTTP face with modules of its own, and clients of every kind at the same time: echoes over WebSocket, streams in chunks, answers
 * that are held, lent and large, pipelined and cut at random. Every byte that comes back is compared; what was lent is given back; the face ends while
 * clients are still there. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/face_route.h"
#include "io/ws.h"

#define REQUIRE(e) ((e) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #e), abort()))

enum { CLIENTS = 8, ROUNDS = 24, LINES = 100, LENT_BYTES = 3 << 20, FLOOD_BYTES = 64 << 10, TICKS = 3 };

static atomic_uint lent_now, gone, socket_gone;
static uint8_t pattern[LENT_BYTES];
static uint16_t port;

/* ------------------------------------------------------------------------------------------------ modules */

static void echo_text(wb_face_client *client, void *self, const char *text, size_t bytes) {
  if (bytes == 3 && memcmp(text, "end", 3) == 0) {
    wb_face_end(client, 4000, "as asked");
    return;
  }
  if (bytes == 5 && memcmp(text, "flood", 5) == 0) {
    int result;
    unsigned count = 0;
    while ((result = wb_face_put(client, pattern, FLOOD_BYTES)) == 0) count++;
    REQUIRE(result == WB_E_FULL && wb_face_queued(client) <= WB_FACE_QUEUE_BYTES_MAX + FLOOD_BYTES && count >= 60);
    wb_face_end(client, 1013, "slow");
    REQUIRE(wb_face_put(client, "x", 1) == WB_E_CLOSED);
    return;
  }
  REQUIRE(wb_face_put(client, text, bytes) == 0);
}

static void echo_gone(wb_face_client *client, void *self) { atomic_fetch_add(&socket_gone, 1); }

static const wb_face_handler echo_handler = {.text = echo_text, .gone = echo_gone};

static void echo(wb_face_client *client, const wb_face_request *request) {
  if (wb_face_socket(client, &echo_handler, NULL)) REQUIRE(wb_face_put(client, "hello", 5) == 0);
}

static void count_tick(wb_face_client *client, void *self, uint64_t now_ns) {
  unsigned *line = self;
  char text[32];
  for (unsigned i = 0; i < 10; i++) {
    int bytes = snprintf(text, sizeof text, "line %u\n", (*line)++);
    REQUIRE(wb_face_put(client, text, (size_t)bytes) == 0);
  }
  if (*line == LINES) wb_face_end(client, 0, "");
}

static void own_gone(wb_face_client *client, void *self) {
  free(self);
  atomic_fetch_add(&gone, 1);
}

static const wb_face_handler count_handler = {.tick = count_tick, .gone = own_gone};

static void count(wb_face_client *client, const wb_face_request *request) {
  wb_face_stream(client, "text/plain", "X-More: yes\r\n", &count_handler, calloc(1, sizeof(unsigned)));
}

static void lent_done(void *self) {
  free(self);
  atomic_fetch_sub(&lent_now, 1);
}

static void lend(wb_face_client *client) {
  void *copy = malloc(LENT_BYTES);
  memcpy(copy, pattern, LENT_BYTES);
  atomic_fetch_add(&lent_now, 1);
  wb_face_answer_lent(client, 200, "application/octet-stream", NULL, copy, LENT_BYTES, lent_done, copy);
}

static void later_tick(wb_face_client *client, void *self, uint64_t now_ns) {
  unsigned *ticks = self;
  if (++*ticks == TICKS) lend(client);
}

static const wb_face_handler later_handler = {.tick = later_tick, .gone = own_gone};

static void later(wb_face_client *client, const wb_face_request *request) {
  wb_face_hold(client, &later_handler, calloc(1, sizeof(unsigned)));
}

static void large(wb_face_client *client, const wb_face_request *request) { lend(client); }

static const wb_face_handler never_handler = {.gone = own_gone};
static void never(wb_face_client *client, const wb_face_request *request) { wb_face_hold(client, &never_handler, NULL); }

static void say(wb_face_client *client, const wb_face_request *request) {
  char text[64];
  const char *word = wb_face_query(request, "word", text, sizeof text);
  REQUIRE(request->body_bytes == 0 || memcmp(request->body, "body", 4) == 0);
  wb_face_answer(client, 200, "text/plain", NULL, word ? word : request->word[0], strlen(word ? word : request->word[0]));
}

static void silent(wb_face_client *client, const wb_face_request *request) {}

static void look(wb_face_client *client, void *self, uint64_t now_ns) {
  const wb_face_report *report = wb_face_report_since(wb_face_of(client), wb_face_asked_ns(client));
  const wb_face_book *book = wb_face_book_since(wb_face_of(client), 0, wb_face_asked_ns(client));
  const wb_face_status *status = wb_face_status_since(wb_face_of(client), wb_face_asked_ns(client));
  if (!report || !book || !status) return;
  REQUIRE(book->bid_count == 1 && book->ask_count == 2 && book->bid[0].price < book->ask[0].price);
  REQUIRE(report->text[0] == '{' && report->text[report->bytes - 1] == '}' && status->node.changes);
  wb_face_answer(client, 200, "text/plain", NULL, "same", 4);
}

static const wb_face_handler look_handler = {.tick = look, .gone = own_gone};
static void asks(wb_face_client *client, const wb_face_request *request) { wb_face_hold(client, &look_handler, NULL); }

static const wb_face_route routes[] = {{"UPGRADE", "/echo", echo},   {"GET", "/echo", echo},   {"GET", "/count", count},
                                       {"GET", "/later", later},     {"GET", "/large", large}, {"GET", "/never", never},
                                       {"GET", "/say/*/twice", say}, {"POST", "/say/*", say},  {"GET", "/say/*", say},
                                       {"GET", "/silent", silent},   {"GET", "/asks", asks},   {0}};
static const wb_face_module module = {.name = "stress", .route = routes};
const wb_face_module *const wb_face_modules[] = {&module, NULL};

/* ------------------------------------------------------------------------------------------------ clients */

typedef struct client {
  int fd;
  uint64_t random;
  uint8_t in[8 << 20];
  size_t count;
} client;

static size_t below(client *c, size_t bound) {
  c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (size_t)(c->random >> 33) % bound;
}

static void meet(client *c) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(c->fd >= 0 && connect(c->fd, (struct sockaddr *)&at, sizeof at) == 0);
  c->count = 0;
}

static void put(client *c, const void *bytes, size_t count) {
  for (size_t at = 0; at < count;) {
    size_t piece = 1 + below(c, count - at < 2000 ? count - at : 2000);
    ssize_t sent = send(c->fd, (const uint8_t *)bytes + at, piece, MSG_NOSIGNAL);
    if (sent < 0) return; /* it was closed: what came back says why */
    at += (size_t)sent;
  }
}

static bool more(client *c) {
  REQUIRE(c->count < sizeof c->in);
  ssize_t got = recv(c->fd, c->in + c->count, sizeof c->in - c->count, 0);
  REQUIRE(got >= 0 || errno == ECONNRESET);
  if (got > 0) c->count += (size_t)got;
  return got > 0;
}

static void taken(client *c, size_t count) {
  c->count -= count;
  memmove(c->in, c->in + count, c->count);
}

static size_t head_of(client *c) {
  const uint8_t *end;
  while (!(end = memmem(c->in, c->count, "\r\n\r\n", 4))) REQUIRE(more(c));
  return (size_t)(end - c->in) + 4;
}

/* Reads one answer with Content-Length; its body is then at in + *head, to be taken. */
static unsigned answer(client *c, size_t *head, size_t *body) {
  *head = head_of(c);
  wb_http_text length = wb_http_header((const char *)c->in, *head, "Content-Length");
  REQUIRE(length.at);
  *body = strtoull(length.at, NULL, 10);
  while (c->count < *head + *body) REQUIRE(more(c));
  return (unsigned)strtoul((const char *)c->in + 9, NULL, 10);
}

static void expect(client *c, unsigned status, const void *bytes, size_t count) {
  size_t head, body;
  REQUIRE(answer(c, &head, &body) == status);
  REQUIRE(!bytes || (body == count && memcmp(c->in + head, bytes, count) == 0));
  taken(c, head + body);
}

static void ask(client *c, const char *method, const char *path, const char *more_lines) {
  char text[512];
  put(c, text, (size_t)snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method, path, more_lines));
}

static void pipeline(client *c) {
  meet(c);
  char text[4096];
  size_t used = 0;
  unsigned count_of = 1 + (unsigned)below(c, 20);
  for (unsigned i = 0; i < count_of; i++)
    used += (size_t)snprintf(text + used, sizeof text - used,
                             i % 3 ? "GET /say/x%u?word=%%41+%u HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                   : "POST /say/x%u?word=%%41+%u HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody",
                             i, i);
  put(c, text, used);
  for (unsigned i = 0; i < count_of; i++) {
    int bytes = snprintf(text, sizeof text, "A %u", i);
    expect(c, 200, text, (size_t)bytes);
  }
  close(c->fd);
}

static void bodies(client *c) {
  meet(c);
  ask(c, "GET", "/large", "");
  expect(c, 200, pattern, LENT_BYTES);
  ask(c, "GET", "/later", "");
  expect(c, 200, pattern, LENT_BYTES);
  ask(c, "GET", "/say/abc/twice", "");
  expect(c, 200, "abc", 3);
  ask(c, "HEAD", "/large", "");
  size_t head = head_of(c);
  REQUIRE(memmem(c->in, head, "Content-Length: 3145728\r\n", 25) && c->count == head);
  taken(c, head);
  ask(c, "GET", "/silent", "");
  expect(c, 500, NULL, 0);
  ask(c, "GET", "/asks", "");
  expect(c, 200, "same", 4);
  if (below(c, 2)) { /* and one that it does not wait for */
    ask(c, "GET", below(c, 2) ? "/large" : "/later", "");
    if (below(c, 2)) head_of(c);
  }
  close(c->fd);
}

static void stream(client *c) {
  meet(c);
  ask(c, "GET", "/count", "");
  size_t head = head_of(c);
  REQUIRE(memmem(c->in, head, "Transfer-Encoding: chunked\r\n", 28));
  REQUIRE(memmem(c->in, head, "X-More: yes\r\n", 13));
  while (more(c)) {
  }
  taken(c, head);
  char line[32];
  for (unsigned i = 0; i < LINES; i++) {
    int bytes = snprintf(line, sizeof line, "line %u\n", i), size_bytes;
    char chunk[64];
    size_bytes = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", bytes, line);
    REQUIRE(c->count >= (size_t)size_bytes && memcmp(c->in, chunk, (size_t)size_bytes) == 0);
    taken(c, (size_t)size_bytes);
  }
  REQUIRE(c->count == 5 && memcmp(c->in, "0\r\n\r\n", 5) == 0);
  close(c->fd);
}

#define UPGRADE                                                                                                                \
  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void frame(client *c, int opcode, bool fin, const void *bytes, size_t count) {
  uint8_t text[WB_WS_HEADER_BYTES_MAX + WB_FACE_MESSAGE_BYTES_MAX + 1];
  uint8_t mask[4] = {(uint8_t)below(c, 256), (uint8_t)below(c, 256), (uint8_t)below(c, 256), (uint8_t)below(c, 256)};
  size_t header = wb_ws_header(text, opcode, fin, count, mask);
  memcpy(text + header, bytes, count);
  wb_ws_mask(text + header, count, mask, 0);
  put(c, text, header + count);
}

static uint8_t item(client *c, wb_ws *ws, uint8_t *bytes, size_t *count) {
  wb_ws_item one;
  size_t consumed;
  int result;
  while ((result = wb_ws_read(ws, c->in, c->count, &one, &consumed, NULL)) == 0) REQUIRE(more(c));
  REQUIRE(result == 1);
  *count = one.count;
  memcpy(bytes, one.bytes, one.count);
  taken(c, consumed);
  return one.opcode;
}

static void upgraded(client *c, wb_ws *ws, uint8_t *bytes) {
  size_t count_of;
  meet(c);
  ask(c, "GET", "/echo", UPGRADE "Origin: http://localhost\r\n");
  size_t head = head_of(c);
  REQUIRE(memcmp(c->in, "HTTP/1.1 101 ", 13) == 0 && memmem(c->in, head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28));
  taken(c, head);
  wb_ws_init(ws, WB_WS_CLIENT, 1 << 20);
  REQUIRE(item(c, ws, bytes, &count_of) == WB_WS_TEXT && count_of == 5 && memcmp(bytes, "hello", 5) == 0);
}

static void ends_with(client *c, wb_ws *ws, uint8_t *bytes, unsigned code) {
  size_t count_of;
  uint8_t opcode;
  while ((opcode = item(c, ws, bytes, &count_of)) != WB_WS_CLOSE) {
  }
  REQUIRE(count_of >= 2 && (unsigned)(bytes[0] << 8 | bytes[1]) == code);
  while (more(c)) {
  }
  close(c->fd);
}

static void echoes(client *c) {
  static const struct {
    int opcode;
    const char *text;
    size_t bytes;
    unsigned code;
  } wrong[] = {
      {WB_WS_BINARY, "x", 1, 1003}, {WB_WS_TEXT, "\xff", 1, 1007},  {WB_WS_TEXT, NULL, WB_FACE_MESSAGE_BYTES_MAX + 1, 1009},
      {WB_WS_TEXT, "end", 3, 4000}, {WB_WS_TEXT, "flood", 5, 1013}, {WB_WS_CLOSE, "\x03\xe8", 2, 1000},
      {WB_WS_PONG, "", 0, 0}};
  uint8_t *bytes = malloc(1 << 20), sent[WB_FACE_MESSAGE_BYTES_MAX];
  wb_ws *ws = malloc(sizeof *ws);
  size_t count_of, i;
  meet(c);
  ask(c, "GET", "/echo", UPGRADE "Origin: http://elsewhere.example\r\n");
  expect(c, 403, NULL, 0);
  ask(c, "GET", "/echo", "");
  expect(c, 426, NULL, 0);
  close(c->fd);
  upgraded(c, ws, bytes);
  for (unsigned round = 0; round < 30; round++) {
    size_t length = below(c, 4) ? below(c, 200) : below(c, sizeof sent + 1), cut = below(c, length + 1);
    for (i = 0; i < length; i++) sent[i] = (uint8_t)(' ' + below(c, 90));
    if (length == 3 || length == 5) sent[0] = '_';
    frame(c, WB_WS_TEXT, false, sent, cut);
    if (below(c, 2)) frame(c, WB_WS_PING, true, "p", 1);
    frame(c, WB_WS_CONTINUATION, true, sent + cut, length - cut);
    uint8_t opcode;
    while ((opcode = item(c, ws, bytes, &count_of)) == WB_WS_PONG) REQUIRE(count_of == 1 && *bytes == 'p');
    REQUIRE(opcode == WB_WS_TEXT && count_of == length && memcmp(bytes, sent, length) == 0);
  }
  i = below(c, sizeof wrong / sizeof *wrong);
  memset(sent, 'x', sizeof sent);
  if (!wrong[i].code) { /* a frame that no client may send */
    put(c, "\x81\x01x", 3);
    ends_with(c, ws, bytes, 1002);
  } else {
    uint8_t large_text[WB_FACE_MESSAGE_BYTES_MAX + 1];
    memset(large_text, 'x', sizeof large_text);
    frame(c, wrong[i].opcode, true, wrong[i].text ? (const void *)wrong[i].text : large_text, wrong[i].bytes);
    ends_with(c, ws, bytes, wrong[i].code);
  }
  free(ws);
  free(bytes);
}

static void *client_main(void *seed) {
  static void (*const kinds[])(client *) = {pipeline, bodies, stream, echoes};
  client *c = malloc(sizeof *c);
  c->random = (uint64_t)(uintptr_t)seed;
  for (unsigned i = 0; i < ROUNDS; i++) kinds[below(c, 4)](c);
  free(c);
  return NULL;
}

static void *never_main(void *unused) {
  client *c = malloc(sizeof *c);
  c->random = 1;
  meet(c);
  ask(c, "GET", "/never", "");
  expect(c, 503, NULL, 0);
  close(c->fd);
  free(c);
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ main */

static wb_node *open_node(wb_products *products, char *path) {
  FILE *file = fdopen(mkstemp(path), "w");
  fputs("{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"101\",\"2\"],[\"102\",\"2\"]],\"bids\":[[\"100\",\"1\"]"
        "]}\n"
        "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"100\",\"3\"]],\"time\":\"\"}\n",
        file);
  fclose(file);
  char *paths[] = {path, NULL};
  wb_error error;
  wb_node *node = wb_node_open(&(wb_node_config){.codec = wb_codec_find("coinbase-exchange"),
                                                 .products = products,
                                                 .channels = wb_codec_find("coinbase-exchange")->channels,
                                                 .path = paths,
                                                 .listens = true,
                                                 .message_bytes_max = 1 << 20},
                               &error);
  REQUIRE(node);
  while (!wb_node_ended(node, &error)) REQUIRE(wb_node_poll(node) >= 0);
  REQUIRE(error.code == 0);
  return node;
}

int main(void) {
  const char *given = getenv("WIREBOOK_SEED");
  uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
  fprintf(stderr, "seed: WIREBOOK_SEED=%" PRIu64 "\n", seed);
  for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (uint8_t)('a' + i % 23);
  static _Alignas(64) uint8_t memory[4096];
  static wb_products products;
  char path[] = "/tmp/wb-face-XXXXXX", url[128];
  wb_error error;
  REQUIRE(wb_products_bytes(4) <= sizeof memory);
  wb_products_init(&products, memory, 4);
  wb_products_add(&products, "BTC-USD", 7);
  wb_node *node = open_node(&products, path);
  wb_face *face = wb_face_open(&(wb_face_config){.listen = "127.0.0.1:0", .rate = 1000000}, &error);
  REQUIRE(face && wb_face_start(face, node, &error) == 0);
  port = (uint16_t)strtoul(strrchr(wb_face_url(face, url, sizeof url), ':') + 1, NULL, 10);

  pthread_t thread[CLIENTS], waits;
  for (uintptr_t i = 0; i < CLIENTS; i++)
    REQUIRE(pthread_create(&thread[i], NULL, client_main, (void *)(uintptr_t)(seed + i)) == 0);
  REQUIRE(pthread_create(&waits, NULL, never_main, NULL) == 0);
  for (unsigned i = 0; i <= CLIENTS;) { /* the control thread's part */
    struct pollfd fd = {.fd = wb_face_fd(face), .events = POLLIN};
    if (poll(&fd, 1, 10) > 0) wb_face_serve(face);
    else if (pthread_tryjoin_np(i == CLIENTS ? waits : thread[i], NULL) == 0) i++;
  }
  client *left = malloc(sizeof *left); /* one of each kind is still there when the face ends */
  left->random = seed;
  wb_ws *ws = malloc(sizeof *ws);
  uint8_t *bytes = malloc(1 << 20);
  upgraded(left, ws, bytes);
  int held = left->fd;
  meet(left);
  ask(left, "GET", "/never", "");
  wb_face_close(face);
  while (more(left)) {
  }
  REQUIRE(memmem(left->in, left->count, "HTTP/1.1 503 ", 13) || !left->count);
  close(left->fd);
  left->fd = held;
  left->count = 0;
  wb_ws_init(ws, WB_WS_CLIENT, 1 << 20);
  ends_with(left, ws, bytes, 1001);
  REQUIRE(atomic_load(&lent_now) == 0 && atomic_load(&gone) > 0 && atomic_load(&socket_gone) > 0);
  wb_node_close(node);
  unlink(path);
  free(bytes);
  free(ws);
  free(left);
  puts("passed");
  return 0;
}
