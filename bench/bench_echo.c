/* bench_echo.c - a message there and back over TLS and WebSocket on loopback: io/uring, io/tls and io/ws against Boost.Beast.
 *
 * What:    echo/256/wirebook: one text message of 256 bytes is masked, encrypted, sent, and its echo received, decrypted and framed, looking
 *          at the ring without an end; .../wait: the same, sleeping until something comes; echo/256/beast: Boost.Beast with OpenSSL.
 *          All ask the same server, a thread on another CPU that looks at its socket without an end.
 * Clock:   from the first message of a run on; connecting, handshake and upgrade are done before.
 * Check:   each echo is what was sent.
 * Read:    ns an item is the time of a round trip; the most of it is the kernel's loopback and the server, for all alike. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/harness.h"
#include "bench/reference/echo_beast.h"
#include "io/cpu.h"
#include "io/host.h"
#include "io/http1.h"
#include "io/tls.h"
#include "io/uring.h"
#include "io/ws.h"

enum { MESSAGE = 256, ROOM = 1 << 16 };

typedef enum { SPIN, WAIT, BEAST } kind;

/* One end of a connection: what was received and decrypted, up to `used`, of which `done` is past. */
typedef struct end {
  int fd;
  wb_tls *tls;
  wb_ws ws;
  uint8_t cipher[ROOM], plain[ROOM];
  size_t used, done;
} end;

typedef struct bench {
  kind kind;
  int listener;
  uint16_t port;
  pthread_t thread;
  wb_tls_context *server_context, *client_context;
  end server, client;
  wb_uring *ring;
  wb_op send_op, recv_op;
  uint8_t sent[MESSAGE];
  bool answered, open;
  const char *wrong;
} bench;

/* Decrypts what was fed behind what is there; false at the end of the connection. */
static bool decrypt(end *e) {
  wb_error error;
  if (e->done == e->used) e->done = e->used = 0;
  for (int n;;) {
    n = wb_tls_read(e->tls, e->plain + e->used, ROOM - e->used, &error);
    if (n <= 0) return n == 0;
    e->used += (size_t)n;
  }
}

/* The next whole message; 0: not yet. */
static int next(end *e, wb_ws_item *item) {
  size_t consumed = 0;
  int result = wb_ws_read(&e->ws, e->plain + e->done, e->used - e->done, item, &consumed, NULL);
  e->done += consumed;
  return result;
}

static int write_frame(end *e, const void *bytes, size_t count, const uint8_t *mask) {
  uint8_t frame[WB_WS_HEADER_BYTES_MAX + MESSAGE];
  wb_error error;
  size_t header = wb_ws_header(frame, WB_WS_TEXT, true, count, mask);
  memcpy(frame + header, bytes, count);
  if (mask) wb_ws_mask(frame + header, count, mask, 0);
  return wb_tls_write(e->tls, frame, header + count, &error);
}

/* ------------------------------------------------------------------------------------------------ server */

static bool server_flush(end *e) {
  size_t count;
  for (const uint8_t *bytes; (bytes = wb_tls_output(e->tls, &count)) && count;) {
    ssize_t n = send(e->fd, bytes, count, MSG_NOSIGNAL);
    if (n < 0) return false;
    wb_tls_sent(e->tls, (size_t)n);
  }
  return true;
}

static bool server_receive(end *e) {
  for (;;) {
    ssize_t n = recv(e->fd, e->cipher, sizeof e->cipher, MSG_DONTWAIT);
    if (n > 0) wb_tls_feed(e->tls, e->cipher, (size_t)n);
    if (n >= 0 || (errno != EAGAIN && errno != EINTR)) return n > 0;
  }
}

static bool server_begin(end *e) {
  wb_error error;
  for (int result; (result = wb_tls_handshake(e->tls, &error)) != 1;)
    if (result < 0 || !server_flush(e) || !server_receive(e)) return false;
  wb_http_request request;
  for (int result; (result = wb_http_upgrade_read((char *)e->plain, e->used, &request, &error)) != 1;)
    if (result < 0 || !server_flush(e) || (!wb_tls_fed(e->tls) && !server_receive(e)) || !decrypt(e)) return false;
  e->done = request.head_bytes;
  char answer[512];
  int bytes = wb_http_upgrade_answer(request.key, NULL, answer, sizeof answer);
  return bytes > 0 && wb_tls_write(e->tls, (uint8_t *)answer, (size_t)bytes, &error) == 0 && server_flush(e);
}

static void *serve(void *self) {
  bench *b = self;
  end *e = &b->server;
  wb_cpu_pin(pthread_self(), wb_bench_cpu(1), NULL);
  e->fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
  if (e->fd < 0) return NULL;
  setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  wb_ws_item item;
  int result = server_begin(e) ? 0 : -1;
  while (result >= 0) {
    while ((result = next(e, &item)) == 1) {
      if (item.opcode != WB_WS_TEXT || item.count > MESSAGE || write_frame(e, item.bytes, item.count, NULL) != 0 ||
          !server_flush(e))
        break;
    }
    if (result != 0 || !server_receive(e) || !decrypt(e)) break;
  }
  close(e->fd);
  wb_tls_thread_end();
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ client */

static void client_receive(bench *b) {
  wb_uring_recv(b->ring, &b->recv_op, b->client.fd, b->client.cipher, sizeof b->client.cipher);
}

static void client_flush(bench *b) {
  size_t count;
  const uint8_t *bytes = wb_tls_output(b->client.tls, &count);
  if (!count || b->send_op.busy) return;
  wb_tls_pin(b->client.tls, true);
  wb_uring_send(b->ring, &b->send_op, b->client.fd, bytes, count);
}

static void on_sent(wb_op *op, int result, unsigned flags) {
  bench *b = op->self;
  wb_tls_pin(b->client.tls, false);
  if (result < 0) b->wrong = "the client cannot send";
  else wb_tls_sent(b->client.tls, (size_t)result);
  client_flush(b);
}

static void on_received(wb_op *op, int result, unsigned flags) {
  bench *b = op->self;
  end *e = &b->client;
  wb_ws_item item;
  if (result <= 0) {
    b->wrong = "the server hung up";
    return;
  }
  wb_tls_feed(e->tls, e->cipher, (size_t)result);
  if (b->open) {
    if (!decrypt(e)) b->wrong = "the client cannot read";
    for (int found; (found = next(e, &item)) != 0;) {
      if (found < 0 || item.count != MESSAGE || memcmp(item.bytes, b->sent, MESSAGE) != 0 ||
          !wb_utf8_valid(item.bytes, item.count))
        b->wrong = "not the echo of what was sent";
      b->answered = true;
      if (found < 0) return;
    }
    client_receive(b);
  } else {
    b->answered = true;
  }
}

static void client_await(bench *b) {
  while (!b->answered && !b->wrong) {
    if (b->kind == WAIT) wb_uring_wait(b->ring, UINT64_C(1000000000));
    else wb_uring_poll(b->ring);
  }
  b->answered = false;
}

/* One receive more of the handshake or the upgrade. */
static void client_more(bench *b) {
  client_flush(b);
  client_receive(b);
  client_await(b);
}

static void client_begin(bench *b) {
  end *e = &b->client;
  wb_error error;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(b->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  e->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (e->fd < 0 || connect(e->fd, (struct sockaddr *)&to, sizeof to) != 0) b->wrong = "the client cannot connect";
  setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  for (int result; !b->wrong && (result = wb_tls_handshake(e->tls, &error)) != 1;) {
    if (result < 0) b->wrong = "no handshake";
    else client_more(b);
  }
  wb_url url;
  char request[2048], key[WB_WS_KEY_BYTES + 1];
  uint8_t random[16];
  wb_random_fill(random, sizeof random);
  wb_ws_key(random, key);
  if (b->wrong || wb_url_parse("wss://127.0.0.1/", &url, &error) != 0) return;
  int bytes = wb_http_upgrade_request(&url, key, NULL, WB_DEFLATE_OFF, request, sizeof request);
  if (bytes < 0 || wb_tls_write(e->tls, (uint8_t *)request, (size_t)bytes, &error) != 0) b->wrong = "no upgrade";
  wb_http_response response;
  memset(&response, 0, sizeof response);
  for (int result; !b->wrong && (result = wb_http_upgrade_response((char *)e->plain, e->used, key, WB_DEFLATE_OFF, &response,
                                                                   &error)) != 1;) {
    client_more(b);
    if (result < 0 || !decrypt(e)) b->wrong = "no upgrade";
  }
  e->done = response.head_bytes;
  b->open = true;
  client_receive(b);
}

static void client_ask(bench *b) {
  uint8_t mask[4];
  wb_random_fill(mask, sizeof mask);
  if (write_frame(&b->client, b->sent, MESSAGE, mask) != 0) b->wrong = "the client cannot write";
  client_flush(b);
  client_await(b);
}

/* ------------------------------------------------------------------------------------------------ runs */

static void next_message(bench *b, uint64_t i) {
  for (unsigned at = 0; at < 8; at++, i >>= 4) b->sent[at] = (uint8_t)('a' + (i & 15));
}

static void begin_end(end *e, wb_tls_context *context, int role) {
  wb_error error;
  e->used = e->done = 0;
  e->fd = -1;
  wb_ws_init(&e->ws, role, MESSAGE);
  e->tls = wb_tls_open(context, NULL, &error);
  if (!e->tls) abort();
}

static void ask_ours(bench *b, wb_bench_run *r) {
  begin_end(&b->client, b->client_context, WB_WS_CLIENT);
  b->open = b->answered = false;
  b->ring = wb_uring_open(64, 0, NULL);
  if (!b->ring) abort();
  b->send_op = (wb_op){.done = on_sent, .self = b};
  b->recv_op = (wb_op){.done = on_received, .self = b};
  client_begin(b);
  uint64_t ns = wb_bench_now_ns(), cycles = wb_bench_cycles();
  for (uint64_t i = 0; i < r->iterations && !b->wrong; i++) {
    next_message(b, i);
    client_ask(b);
  }
  r->cycles = wb_bench_cycles() - cycles;
  r->elapsed_ns = wb_bench_now_ns() - ns;
  shutdown(b->client.fd, SHUT_RDWR);
  wb_uring_close(b->ring);
  close(b->client.fd);
  wb_tls_close(b->client.tls);
}

static void ask_beast(bench *b, wb_bench_run *r) {
  echo_beast *client = echo_beast_open(b->port);
  if (!client) {
    b->wrong = "Beast cannot connect";
    return;
  }
  uint64_t ns = wb_bench_now_ns(), cycles = wb_bench_cycles();
  for (uint64_t i = 0; i < r->iterations && !b->wrong; i++) {
    size_t bytes = 0;
    next_message(b, i);
    const void *answer = echo_beast_ask(client, b->sent, MESSAGE, &bytes);
    if (!answer || bytes != MESSAGE || memcmp(answer, b->sent, MESSAGE) != 0) b->wrong = "not the echo of what was sent";
  }
  r->cycles = wb_bench_cycles() - cycles;
  r->elapsed_ns = wb_bench_now_ns() - ns;
  echo_beast_close(client);
}

static void run(void *state, wb_bench_run *r) {
  bench *b = state;
  begin_end(&b->server, b->server_context, WB_WS_SERVER);
  if (pthread_create(&b->thread, NULL, serve, b)) abort();
  if (b->kind == BEAST) ask_beast(b, r);
  else ask_ours(b, r);
  if (b->wrong) shutdown(b->listener, SHUT_RD); /* the server may still wait for somebody to come */
  pthread_join(b->thread, NULL);
  wb_tls_close(b->server.tls);
  r->items = r->iterations;
  r->bytes = r->iterations * 2 * MESSAGE;
}

static const char *check(void *state, const wb_bench_run *r) { return ((bench *)state)->wrong; }

static void teardown(void *state) {
  bench *b = state;
  if (b->listener >= 0) close(b->listener);
  if (b->server_context) wb_tls_context_close(b->server_context);
  if (b->client_context) wb_tls_context_close(b->client_context);
  free(b);
}

static bool make_certificate(bench *b) {
  char folder[] = "/tmp/wb_bench_echo_XXXXXX", path[3][64];
  if (!mkdtemp(folder)) return false;
  for (unsigned i = 0; i < 3; i++) snprintf(path[i], sizeof path[i], "%s/%u", folder, i);
  wb_error error;
  if (wb_tls_certificate_make(path[0], path[1], path[2], &error) == 0)
    b->server_context = wb_tls_server_open(path[0], path[1], &error);
  for (unsigned i = 0; i < 3; i++) unlink(path[i]);
  rmdir(folder);
  return b->server_context != NULL;
}

static void *setup(const void *parameter, bool smoke) {
  bench *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  wb_error error;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  b->kind = *(const kind *)parameter;
  b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  b->client_context = wb_tls_client_open(NULL, true, &error);
  if (b->listener < 0 || bind(b->listener, (struct sockaddr *)&at, size) || listen(b->listener, 1) ||
      getsockname(b->listener, (struct sockaddr *)&at, &size) || !b->client_context || !make_certificate(b)) {
    teardown(b);
    return NULL;
  }
  b->port = ntohs(at.sin_port);
  memset(b->sent, 'x', sizeof b->sent);
  return b;
}

#define CASE(name, against, kind_of)                                                                                           \
  { name, against, &(const kind){kind_of}, 2, 1 << 16, setup, run, check, teardown }

int main(int argc, char **argv) {
  const wb_bench_case cases[] = {
      CASE("echo/256/wirebook", "echo/256/beast", SPIN),
      CASE("echo/256/wirebook/wait", "echo/256/beast", WAIT),
      CASE("echo/256/beast", NULL, BEAST),
  };
  return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases - !echo_beast_there());
}
