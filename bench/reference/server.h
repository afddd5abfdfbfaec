/* server.h - a loopback WebSocket server for one client at a time, ws or wss: options, listening, TLS, upgrade, the beginning and the end of a
 * connection. What is sent between them is the program's. */
#ifndef WB_BENCH_REFERENCE_SERVER_H
#define WB_BENCH_REFERENCE_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/reference/feed.h"

enum { WRITE_BYTES = 1 << 20 };
#define CLOSE_1000 "\x88\x02\x03\xe8"

typedef struct peer {
  int fd;
  SSL *ssl; /* NULL: ws */
  text in;
  uint64_t asked; /* products that it asked for */
} peer;

static const char *pem; /* certificate and key; NULL: ws */
static uint64_t cpu = UINT64_MAX, port;

static ssize_t receive(const peer *p, void *bytes, size_t size) {
  for (;;) {
    ssize_t n = p->ssl ? SSL_read(p->ssl, bytes, (int)size) : recv(p->fd, bytes, size, 0);
    if (n >= 0 || errno != EINTR) return n;
  }
}

static bool send_all(const peer *p, const char *bytes, size_t size) {
  while (size) {
    size_t most = size < WRITE_BYTES ? size : WRITE_BYTES;
    ssize_t n = p->ssl ? SSL_write(p->ssl, bytes, (int)most) : send(p->fd, bytes, most, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    size -= (size_t)n;
  }
  return true;
}

/* Takes one whole masked frame off the client's stream and counts the products in it; its opcode, or -1 at the end of the stream. */
static int next_frame(peer *p) {
  text *in = &p->in;
  for (;;) {
    unsigned char *at = (unsigned char *)in->bytes;
    if (in->used >= 2) {
      size_t payload = at[1] & 127, head = 2;
      if (payload == 126 && in->used >= 4) payload = (size_t)at[2] << 8 | at[3], head = 4;
      if ((at[1] & 127) == 127) return -1;
      size_t whole = head + 4 + payload;
      if (((at[1] & 127) != 126 || head == 4) && in->used >= whole) {
        int opcode = at[0] & 15;
        for (size_t i = 0; i < payload; i++) at[head + 4 + i] ^= at[head + i % 4];
        for (unsigned char *id = at + head + 4, *end = at + whole; (id = memmem(id, (size_t)(end - id), "-USD\"", 5)); id += 5)
          p->asked++;
        memmove(in->bytes, in->bytes + whole, in->used - whole);
        in->used -= whole;
        return opcode;
      }
    }
    ssize_t n = receive(p, room(in, 4096), 4096);
    if (n <= 0) return -1;
    in->used += (size_t)n;
  }
}

/* The upgrade; cycles from the path. Returns whether the client now speaks WebSocket. */
static bool upgrade(peer *p, uint64_t *cycles) {
  text *in = &p->in;
  char *end;
  while (!in->used || !(end = strstr(in->bytes, "\r\n\r\n"))) {
    ssize_t n = receive(p, room(in, 4096), 4095);
    if (n <= 0) return false;
    in->used += (size_t)n;
    in->bytes[in->used] = 0;
  }
  const char *key = strcasestr(in->bytes, "\r\nSec-WebSocket-Key:");
  if (strncmp(in->bytes, "GET /", 5) != 0 || !key) return false;
  *cycles = strtoull(in->bytes + 5, NULL, 10);
  key += 20;
  key += strspn(key, " ");
  char salted[128], accept[64], answer[256];
  snprintf(salted, sizeof salted, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)strcspn(key, "\r "), key);
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1((const unsigned char *)salted, strlen(salted), digest);
  EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
  int bytes = snprintf(
      answer, sizeof answer,
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
      accept);
  size_t taken = (size_t)(end + 4 - in->bytes);
  memmove(in->bytes, end + 4, in->used - taken);
  in->used -= taken;
  return send_all(p, answer, (size_t)bytes);
}

/* TLS 1.3 with AES-128-GCM for everybody, so that all decrypt the same. */
static SSL_CTX *tls_open(const char *file) {
  SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
  if (!tls || SSL_CTX_use_certificate_chain_file(tls, file) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls, file, SSL_FILETYPE_PEM) != 1 || !SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) ||
      SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") != 1)
    die("--tls");
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return tls;
}

/* The client is let in, subscribes to all products, in one message or more, and gets the ack. */
static inline bool let_in(peer *to, int fd, SSL_CTX *tls, uint64_t *cycles) {
  char out[256 + 32 * PRODUCTS_MAX], *at = out;
  text ack = {0};
  *to = (peer){.fd = fd, .ssl = tls ? SSL_new(tls) : NULL};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  bool good = !to->ssl || (SSL_set_fd(to->ssl, fd) && SSL_accept(to->ssl) == 1);
  good = good && upgrade(to, cycles);
  while (good && to->asked < feed.products) good = next_frame(to) == 1;
  at += sprintf(at, "{\"type\":\"subscriptions\",\"channels\":[");
  for (unsigned channel = 0; channel < 2; channel++) {
    at += sprintf(at, "%s{\"name\":\"%s\",\"product_ids\":[", channel ? "," : "", channel ? "heartbeat" : "level2_batch");
    for (unsigned i = 0; i < feed.products; i++) at += sprintf(at, "%s\"%s\"", i ? "," : "", known[i].id);
    at += sprintf(at, "]}");
  }
  at += sprintf(at, "]}");
  frame(&ack, out, (size_t)(at - out));
  good = good && send_all(to, ack.bytes, ack.used);
  free(ack.bytes);
  return good;
}

/* let_in, and the snapshots. */
static inline bool begin(peer *to, int fd, SSL_CTX *tls, uint64_t *cycles) {
  return let_in(to, fd, tls, cycles) && send_all(to, snapshots.bytes, snapshots.used);
}

/* Close was sent: until the client's, or the end of its stream. */
static inline void await_close(peer *to, bool good) {
  if (to->ssl) SSL_shutdown(to->ssl);
  shutdown(to->fd, SHUT_WR);
  for (int opcode = 0; good && opcode >= 0 && opcode != 8;) opcode = next_frame(to);
}

static inline void finish(peer *to, bool good) {
  char out[1024];
  while (good && recv(to->fd, out, sizeof out, 0) > 0) {
  }
  SSL_free(to->ssl);
  ERR_clear_error();
  close(to->fd);
  free(to->in.bytes);
}

typedef struct server_option {
  const char *name;
  uint64_t *value, least, most;
} server_option;

/* The options of all servers, and one program's own. */
static inline void server_options(int argc, char **argv, const server_option *own, size_t own_count) {
  static const server_option common[] = {{"--levels", &feed.levels, 10, 1000000},
                                         {"--products", &feed.products, 1, PRODUCTS_MAX},
                                         {"--seed", &feed.seed, 0, UINT64_MAX},
                                         {"--cpu", &cpu, 0, CPU_SETSIZE - 1},
                                         {"--port", &port, 0, 65535}};
  const size_t common_count = sizeof common / sizeof *common;
  for (int i = 1; i < argc; i += 2) {
    if (strcmp(argv[i], "--tls") == 0 && i + 1 < argc) {
      pem = argv[i + 1];
      continue;
    }
    const server_option *found = NULL;
    for (size_t k = 0; k < common_count + own_count && !found; k++) {
      const server_option *one = k < common_count ? &common[k] : &own[k - common_count];
      if (strcmp(argv[i], one->name) == 0) found = one;
    }
    char *rest = argv[i];
    if (found && i + 1 < argc) *found->value = strtoull(argv[i + 1], &rest, 10);
    if (!found || i + 1 == argc || *rest || *found->value < found->least || *found->value > found->most) {
      fprintf(stderr, "%s: wrong option '%s'\n", program_invocation_short_name, argv[i]);
      exit(2);
    }
  }
}

/* Says what is expected of clients, then serves one after another until standard input ends. */
static inline void serve_all(void (*serve)(int fd, SSL_CTX *tls)) {
  signal(SIGPIPE, SIG_IGN);
  SSL_CTX *tls = pem ? tls_open(pem) : NULL;
  if (cpu != UINT64_MAX) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) die("--cpu");
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 16) ||
      getsockname(listener, (struct sockaddr *)&address, &size))
    die("listening");
  print_expected(ntohs(address.sin_port));
  for (struct pollfd polled[2] = {{listener, POLLIN, 0}, {0, POLLIN, 0}}; poll(polled, 2, -1) > 0 || errno == EINTR;) {
    if (polled[1].revents) break;
    if (!(polled[0].revents & POLLIN)) continue;
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0) serve(fd, tls);
  }
  SSL_CTX_free(tls);
}

#endif
