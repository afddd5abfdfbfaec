/* client.h - what every reference client needs besides receiving and parsing: connecting, the upgrade, the subscribe, the answer to Close.
 *
 * Arguments of every client: PORT CYCLES PRODUCT[,PRODUCT...] [STORE_FILE] [spin] [tls]. C and C++. */
#ifndef WB_BENCH_REFERENCE_CLIENT_H
#define WB_BENCH_REFERENCE_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct client_options {
  const char *port, *cycles, *products, *store; /* store: NULL where nothing is stored */
  bool spin, tls;
} client_options;

typedef struct client_line {
  int fd;
  SSL *ssl; /* NULL: ws */
} client_line;

static inline void client_fail(const char *what) {
  fprintf(stderr, "client: %s: %s\n", what, errno ? strerror(errno) : "no errno");
  exit(1);
}

static inline client_options client_parse(int argc, char **argv) {
  client_options o = {argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL, NULL, false, false};
  if (argc < 4) {
    fprintf(stderr, "usage: %s PORT CYCLES PRODUCT[,PRODUCT...] [STORE_FILE] [spin] [tls]\n", argv[0]);
    exit(2);
  }
  for (int i = 4; i < argc; i++)
    if (strcmp(argv[i], "spin") == 0) o.spin = true;
    else if (strcmp(argv[i], "tls") == 0) o.tls = true;
    else o.store = argv[i];
  return o;
}

static inline int client_store(const client_options *o) {
  if (!o->store) return -1;
  int fd = open(o->store, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) client_fail(o->store);
  return fd;
}

static inline void client_write(int fd, const void *bytes, size_t size) {
  const char *at = (const char *)bytes;
  while (size) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) client_fail("write");
    at += n;
    size -= (size_t)n;
  }
}

static inline void client_send(const client_line *line, const void *bytes, size_t size) {
  ssize_t n = line->ssl ? SSL_write(line->ssl, bytes, (int)size) : send(line->fd, bytes, size, MSG_NOSIGNAL);
  if (n != (ssize_t)size) client_fail("send");
}

/* As recv: 0 at the end of the stream. Over TLS as many records as are there and fit. flags: not over TLS. */
static inline ssize_t client_receive(const client_line *line, char *bytes, size_t size, int flags) {
  if (!line->ssl) return recv(line->fd, bytes, size, flags);
  int n = SSL_read(line->ssl, bytes, (int)size);
  if (n > 0) return n;
  int why = SSL_get_error(line->ssl, n);
  return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

/* One masked frame; the key is zero, so the bytes stay as they are. payload: below 64 KB. */
static inline void client_frame(const client_line *line, unsigned opcode, const char *payload, size_t size) {
  unsigned char out[16384];
  size_t head = size < 126 ? 2 : 4;
  if (size > sizeof out - 8) client_fail("frame too long");
  out[0] = (unsigned char)(0x80 | opcode);
  out[1] = (unsigned char)(0x80 | (size < 126 ? size : 126));
  if (head == 4) out[2] = (unsigned char)(size >> 8), out[3] = (unsigned char)size;
  memset(out + head, 0, 4);
  memcpy(out + head + 4, payload, size);
  client_send(line, out, head + 4 + size);
}

static inline size_t client_subscribe_text(const client_options *o, char *out, size_t size) {
  size_t at = (size_t)snprintf(out, size, "{\"type\":\"subscribe\",\"channels\":[\"level2_batch\"],\"product_ids\":[");
  for (const char *id = o->products; *id;) {
    size_t bytes = strcspn(id, ",");
    at += (size_t)snprintf(out + at, size - at, "%s\"%.*s\"", id == o->products ? "" : ",", (int)bytes, id);
    id += bytes + (id[bytes] == ',');
  }
  return at + (size_t)snprintf(out + at, size - at, "]}");
}

static inline client_line client_connect(const client_options *o) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)atoi(o->port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) client_fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  client_line line = {fd, NULL};
  if (o->tls) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 256 << 10);
    line.ssl = SSL_new(context);
    if (!line.ssl || !SSL_set_fd(line.ssl, fd) || SSL_connect(line.ssl) != 1) client_fail("TLS");
  }
  char text[8192]; /* 400 products are subscribed to in 5 KB */
  int bytes = snprintf(text, sizeof text,
                       "GET /%s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                       o->cycles, o->port);
  client_send(&line, text, (size_t)bytes);
  /* The server says nothing more before the subscribe, so all that comes is the answer. */
  size_t used = 0;
  do {
    ssize_t n = client_receive(&line, text + used, sizeof text - 1 - used, 0);
    if (n <= 0) client_fail("upgrade");
    used += (size_t)n;
    text[used] = 0;
  } while (!strstr(text, "\r\n\r\n"));
  /* RFC 6455, section 1.3: the answer to this key. */
  if (strncmp(text, "HTTP/1.1 101 ", 13) != 0 || !strstr(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) client_fail("upgrade refused");
  client_frame(&line, 1, text, client_subscribe_text(o, text, sizeof text));
  return line;
}

static inline uint64_t client_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
