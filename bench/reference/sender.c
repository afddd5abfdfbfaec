/* sender - a feed from memory: a loopback WebSocket server that sends what was encoded before anybody connected.
 *
 * Usage:  sender --levels N [--products P] [--cycle MESSAGES] [--tail MESSAGES] [--seed S] [--cpu C] [--port PORT] [--tls PEM]
 * Stream: after the upgrade and the first message of the client: ack, one snapshot a product, then updates of 1 to 3 changes, 30 % of
 *         them removals, then Close. A client asks for "/K": K whole cycles, then the first `tail` messages of one. The end of
 *         a cycle puts every level back as the snapshot had it, so that a cycle can follow itself, and all K end in the same
 *         book.
 * Places: how many levels a change lies behind the touch has the quantiles of real BTC-USD updates (half within 40, 99 % within 575, all
 *         within 1,850), and how far apart levels lie those of a real book; the middle does not move.
 * Output: a line of JSON with the port and what every client's books must be in the end; then one line a connection: from the
 *         first byte of the updates to the client's Close or end of stream. Ends when standard input does.
 *
 * One thread sends, in writes of up to 1 MB. Deterministic by seed. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/reference/sorted.h"

enum { PRODUCTS_MAX = 8, MIDS = 10, SHOWN = 50, WRITE_BYTES = 1 << 20 };

static const struct {
  const char *id;
  uint64_t mid; /* cents */
} known[PRODUCTS_MAX] = {{"BTC-USD", 6500000}, {"ETH-USD", 2500000}, {"LTC-USD", 1900000}, {"SOL-USD", 1500000},
                         {"BCH-USD", 4500000}, {"ZEC-USD", 3900000}, {"XMR-USD", 3100000}, {"AAVE-USD", 2900000}};

/* [0] bids, [1] asks; prices in cents, sizes in 10^-8. */
typedef struct product {
  sorted side[2];
  uint64_t max_spread, mid2[MIDS], mid_count, updates, changes;
} product;

typedef struct text {
  char *bytes;
  size_t used, size;
} text;

static struct { uint64_t levels, products, cycle, tail, seed, cpu, port; } option = {1000, 1, 262144, 100000, 1, UINT64_MAX, 0};

static const char *pem; /* certificate and key; NULL: ws */
static product now[PRODUCTS_MAX], before[PRODUCTS_MAX], expected[PRODUCTS_MAX];
static text snapshots, updates;
static size_t tail_bytes;
static uint64_t cycle_messages, cycle_changes, tail_changes, message_number;
static uint64_t state;

static void die(const char *what) {
  fprintf(stderr, "sender: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t random_u64(void) {
  uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}
static uint64_t below(uint64_t n) { return (uint64_t)(((unsigned __int128)random_u64() * n) >> 64); }

static uint64_t price_at(const sorted *s, unsigned side, uint64_t rank) {
  uint64_t value = s->value[s->count - 1 - rank];
  return side ? ~value : value;
}
static void put(product *p, unsigned side, uint64_t price, uint64_t size) {
  sorted *s = &p->side[side];
  uint64_t key = side ? price : ~price;
  sorted_put_at(s, sorted_halves(s->value, s->count, ~key), key, size);
}

static void copy(product *to, const product *from) {
  uint64_t *memory[2][2];
  for (unsigned side = 0; side < 2; side++) memory[side][0] = to->side[side].value, memory[side][1] = to->side[side].size;
  *to = *from;
  for (unsigned side = 0; side < 2; side++) {
    const sorted *s = &from->side[side];
    to->side[side].value = memcpy(memory[side][0], s->value, s->count * sizeof *s->value);
    to->side[side].size = memcpy(memory[side][1], s->size, s->count * sizeof *s->size);
  }
}

static char *room(text *t, size_t bytes) {
  if (t->used + bytes > t->size) {
    t->size = 2 * t->size + bytes;
    if (!(t->bytes = realloc(t->bytes, t->size))) die("memory");
  }
  return t->bytes + t->used;
}

static void frame(text *t, const char *payload, size_t bytes) {
  unsigned char *at = (unsigned char *)room(t, bytes + 10);
  size_t head = bytes < 126 ? 2 : bytes < 65536 ? 4 : 10;
  at[0] = 0x81;
  at[1] = head == 2 ? (unsigned char)bytes : head == 4 ? 126 : 127;
  for (size_t i = 2; i < head; i++) at[i] = (unsigned char)(bytes >> (8 * (head - 1 - i)));
  memcpy(at + head, payload, bytes);
  t->used += head + bytes;
}

static int print_time(char *out) {
  uint64_t us = 20752535977 + message_number * 7, s = us / 1000000 % 86400;
  return sprintf(out, "\"time\":\"2026-08-02T%02u:%02u:%02u.%06uZ\"}", (unsigned)(s / 3600), (unsigned)(s / 60 % 60),
                 (unsigned)(s % 60), (unsigned)(us % 1000000));
}

static int print_decimal(char *out, uint64_t n, unsigned decimals) {
  uint64_t unit = decimals == 2 ? 100 : 100000000;
  return sprintf(out, "%llu.%0*llu", (unsigned long long)(n / unit), (int)decimals, (unsigned long long)(n % unit));
}

static uint64_t random_size(void) { return 1 + (below(10) ? below(300000000) : below(5000000000)); }

/* How far the level of this rank lies behind the one before it. */
static uint64_t random_gap(uint64_t rank, uint64_t mid) {
  uint64_t mean = rank < 600     ? 58
                  : rank < 8400  ? 125
                  : rank < 16500 ? 388
                                 : 100,
           most = mid / (option.levels + option.levels / 4);
  if (mean > most) mean = most;
  return 1 + below(2 * mean - 1);
}

static uint64_t random_rank(uint64_t count) {
  static const uint64_t bound[] = {0, 40, 275, 575, 1850};
  uint64_t u = below(100), part = u < 50 ? 0 : u < 90 ? 1 : u < 99 ? 2 : 3;
  return (bound[part] + below(bound[part + 1] - bound[part])) % count;
}

static void make_snapshot(unsigned index) {
  product *p = &now[index];
  size_t size = option.levels * 80 + 1024;
  char *out = malloc(size), *at = out;
  if (!out) die("memory");
  at += sprintf(at, "{\"type\":\"snapshot\",\"product_id\":\"%s\",", known[index].id);
  for (unsigned side = 2; side-- > 0;) {
    sorted *s = &p->side[side];
    uint64_t price = known[index].mid;
    at += sprintf(at, "\"%s\":[", side ? "asks" : "bids");
    for (uint64_t rank = 0; rank < option.levels; rank++) {
      uint64_t gap = rank ? random_gap(rank, known[index].mid) : 1 + below(40), amount = random_size();
      price = side ? price + gap : price - gap;
      s->value[option.levels - 1 - rank] = side ? ~price : price;
      s->size[option.levels - 1 - rank] = amount;
      at += sprintf(at, "%s[\"", rank ? "," : "");
      at += print_decimal(at, price, 2);
      at += sprintf(at, "\",\"");
      at += print_decimal(at, amount, 8);
      at += sprintf(at, "\"]");
    }
    s->count = (uint32_t)option.levels;
    at += sprintf(at, "],");
  }
  at += print_time(at);
  frame(&snapshots, out, (size_t)(at - out));
  free(out);
}

/* Analytics after a whole message. */
static void count_touch(product *p) {
  if (!p->side[0].count || !p->side[1].count) return;
  uint64_t bid = price_at(&p->side[0], 0, 0), ask = price_at(&p->side[1], 1, 0);
  if (ask - bid > p->max_spread) p->max_spread = ask - bid;
  p->mid2[p->mid_count++ % MIDS] = bid + ask;
}

typedef struct change {
  unsigned side;
  uint64_t price, size;
} change;

static void make_update(unsigned index, const change *changes, unsigned count) {
  char out[512], *at = out;
  at += sprintf(at, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[", known[index].id);
  for (unsigned i = 0; i < count; i++) {
    at += sprintf(at, "%s[\"%s\",\"", i ? "," : "", changes[i].side ? "sell" : "buy");
    at += print_decimal(at, changes[i].price, 2);
    at += sprintf(at, "\",\"");
    at += print_decimal(at, changes[i].size, 8);
    at += sprintf(at, "\"]");
    put(&now[index], changes[i].side, changes[i].price, changes[i].size);
  }
  at += sprintf(at, "],");
  at += print_time(at);
  frame(&updates, out, (size_t)(at - out));
  count_touch(&now[index]);
  now[index].updates++;
  now[index].changes += count;
  cycle_messages++;
  cycle_changes += count;
  message_number++;
}

/* 30 % remove, about 30 % add (more while the side is short of levels), the rest set another size. */
static change random_change(const product *p, uint64_t mid) {
  unsigned side = (unsigned)below(2);
  const sorted *s = &p->side[side];
  uint64_t wanted = option.levels - option.levels / 20, slack = option.levels / 20 + 1, rank = random_rank(s->count),
           u = below(1000);
  int64_t add = 300 + 300 * ((int64_t)wanted - (int64_t)s->count) / (int64_t)slack;
  uint64_t price = price_at(s, side, rank);
  if (u < 300 && s->count > 2) return (change){side, price, 0};
  if ((int64_t)u >= 300 + add || s->count >= option.levels) return (change){side, price, random_size()};
  uint64_t better = rank ? price_at(s, side, rank - 1) : mid, gap = better > price ? better - price : price - better;
  if (!rank && gap > 12) gap = 12; /* a new best is a little better than the old */
  if (gap < 2) return (change){side, price, random_size()};
  uint64_t step = 1 + below(gap - 1);
  return (change){side, side ? price - step : price + step, random_size()};
}

static void make_cycle(void) {
  while (cycle_messages < option.cycle) {
    unsigned index = (unsigned)below(option.products), u = (unsigned)below(100), count = u < 64 ? 1 : u < 91 ? 2 : 3;
    change changes[3];
    for (unsigned i = 0; i < count; i++) {
      bool again;
      do {
        changes[i] = random_change(&now[index], known[index].mid);
        again = false;
        for (unsigned j = 0; j < i; j++) again |= changes[j].side == changes[i].side && changes[j].price == changes[i].price;
      } while (again);
    }
    make_update(index, changes, count);
    if (cycle_messages == option.tail) {
      for (unsigned i = 0; i < option.products; i++) copy(&expected[i], &now[i]);
      tail_bytes = updates.used;
      tail_changes = cycle_changes;
    }
  }
}

/* Ends a cycle: every level as the snapshot had it. */
static void restore(unsigned index) {
  change changes[3];
  unsigned count = 0;
  sorted had[2];
  for (unsigned side = 0; side < 2; side++) {
    const sorted *s = &now[index].side[side];
    had[side].count = s->count;
    had[side].value = malloc((s->count + 1) * sizeof *s->value);
    had[side].size = malloc((s->count + 1) * sizeof *s->size);
    if (!had[side].value || !had[side].size) die("memory");
    memcpy(had[side].value, s->value, s->count * sizeof *s->value);
    memcpy(had[side].size, s->size, s->count * sizeof *s->size);
  }
  for (unsigned side = 0; side < 2; side++) {
    const sorted *a = &had[side], *b = &before[index].side[side];
    for (uint32_t i = 0, j = 0; i < a->count || j < b->count;) {
      uint64_t value, size;
      if (j == b->count || (i < a->count && a->value[i] < b->value[j])) value = a->value[i++], size = 0;
      else {
        bool same = i < a->count && a->value[i] == b->value[j] && a->size[i] == b->size[j];
        if (i < a->count && a->value[i] == b->value[j]) i++;
        value = b->value[j], size = b->size[j];
        j++;
        if (same) continue;
      }
      changes[count++] = (change){side, side ? ~value : value, size};
      if (count == 3) make_update(index, changes, 3), count = 0;
    }
    free(a->value);
    free(a->size);
  }
  if (count) make_update(index, changes, count);
}

static void print_levels(const sorted *s, unsigned side) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < s->count; i++) sum += price_at(s, side, i) * s->size[s->count - 1 - i];
  printf("\"%s_levels\":%u,\"%s_sum\":\"%llu\",\"%ss\":[", side ? "ask" : "bid", s->count, side ? "ask" : "bid",
         (unsigned long long)sum, side ? "ask" : "bid");
  for (uint32_t i = 0; i < s->count && i < SHOWN; i++) {
    char price[32], size[32];
    print_decimal(price, price_at(s, side, i), 2);
    print_decimal(size, s->size[s->count - 1 - i], 8);
    printf("%s[\"%s\",\"%s\"]", i ? "," : "", price, size);
  }
  printf("]");
}

/* updates and changes are of one cycle and of the tail: a client has seen cycles times the first, and the second. */
static void print_expected(unsigned port) {
  printf(
      "{\"port\":%u,\"cycle\":{\"messages\":%llu,\"changes\":%llu,\"bytes\":%zu},\"tail\":{\"messages\":%llu,\"changes\":%llu,"
      "\"bytes\":%zu},\"snapshot_bytes\":%zu,\"products\":{",
      port, (unsigned long long)cycle_messages, (unsigned long long)cycle_changes, updates.used,
      (unsigned long long)option.tail, (unsigned long long)tail_changes, tail_bytes, snapshots.used);
  for (unsigned i = 0; i < option.products; i++) {
    const product *p = &expected[i];
    uint64_t sum = 0, mids = p->mid_count < MIDS ? p->mid_count : MIDS;
    for (uint64_t m = 0; m < mids; m++) sum += p->mid2[m];
    printf("%s\"%s\":{\"max_spread\":\"%llu.%02llu\",\"mid2_sum\":\"%llu\",\"mids\":%llu,", i ? "," : "", known[i].id,
           (unsigned long long)(now[i].max_spread / 100), (unsigned long long)(now[i].max_spread % 100),
           (unsigned long long)sum, (unsigned long long)mids);
    print_levels(&p->side[0], 0);
    printf(",");
    print_levels(&p->side[1], 1);
    printf("}");
  }
  printf("}}\n");
  fflush(stdout);
}

/* ---- the connection ---- */

typedef struct peer {
  int fd;
  SSL *ssl; /* NULL: ws */
} peer;

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

/* Takes one whole masked frame off the client's stream; its opcode, or -1 at the end of the stream. */
static int next_frame(const peer *p, text *in) {
  for (;;) {
    const unsigned char *at = (const unsigned char *)in->bytes;
    if (in->used >= 2) {
      size_t payload = at[1] & 127, head = 2;
      if (payload == 126 && in->used >= 4) payload = (size_t)at[2] << 8 | at[3], head = 4;
      if ((at[1] & 127) == 127) return -1;
      size_t whole = head + 4 + payload;
      if (((at[1] & 127) != 126 || head == 4) && in->used >= whole) {
        int opcode = at[0] & 15;
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
static bool upgrade(const peer *p, text *in, uint64_t *cycles) {
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

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void serve(int fd, SSL_CTX *tls) {
  peer to = {fd, tls ? SSL_new(tls) : NULL};
  text in = {0}, ack = {0};
  uint64_t cycles = 0;
  char out[1024], *at = out;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  bool good = !to.ssl || (SSL_set_fd(to.ssl, fd) && SSL_accept(to.ssl) == 1);
  good = good && upgrade(&to, &in, &cycles) && next_frame(&to, &in) == 1;
  at += sprintf(at, "{\"type\":\"subscriptions\",\"channels\":[");
  for (unsigned channel = 0; channel < 2; channel++) {
    at += sprintf(at, "%s{\"name\":\"%s\",\"product_ids\":[", channel ? "," : "", channel ? "heartbeat" : "level2_batch");
    for (unsigned i = 0; i < option.products; i++) at += sprintf(at, "%s\"%s\"", i ? "," : "", known[i].id);
    at += sprintf(at, "]}");
  }
  at += sprintf(at, "]}");
  frame(&ack, out, (size_t)(at - out));
  good = good && send_all(&to, ack.bytes, ack.used) && send_all(&to, snapshots.bytes, snapshots.used);
  double start = seconds();
  for (uint64_t i = 0; good && i < cycles; i++) good = send_all(&to, updates.bytes, updates.used);
  good = good && send_all(&to, updates.bytes, tail_bytes) && send_all(&to, "\x88\x02\x03\xe8", 4);
  double sent = seconds();
  if (to.ssl) SSL_shutdown(to.ssl);
  shutdown(fd, SHUT_WR);
  for (int opcode = 0; good && opcode >= 0 && opcode != 8;) opcode = next_frame(&to, &in);
  double end = seconds(), took = end - start;
  uint64_t messages = cycles * cycle_messages + option.tail, bytes = cycles * updates.used + tail_bytes;
  printf("{\"good\":%s,\"cycles\":%llu,\"messages\":%llu,\"bytes\":%llu,\"seconds\":%.9f,\"sent_seconds\":%.9f}\n",
         good ? "true" : "false", (unsigned long long)cycles, (unsigned long long)messages, (unsigned long long)bytes, took,
         sent - start);
  fflush(stdout);
  while (good && recv(fd, out, sizeof out, 0) > 0) {
  }
  SSL_free(to.ssl);
  ERR_clear_error();
  close(fd);
  free(in.bytes);
  free(ack.bytes);
}

/* TLS 1.3 with AES-128-GCM for everybody, so that all decrypt the same. */
static SSL_CTX *tls_open(const char *pem) {
  SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
  if (!tls || SSL_CTX_use_certificate_chain_file(tls, pem) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls, pem, SSL_FILETYPE_PEM) != 1 || !SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) ||
      SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") != 1)
    die("--tls");
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return tls;
}

static void options(int argc, char **argv) {
  static const struct {
    const char *name;
    uint64_t *value, least, most;
  } known_options[] = {{"--levels", &option.levels, 10, 1000000}, {"--products", &option.products, 1, PRODUCTS_MAX},
                       {"--cycle", &option.cycle, 1, 10000000},   {"--tail", &option.tail, 1, 10000000},
                       {"--seed", &option.seed, 0, UINT64_MAX},   {"--cpu", &option.cpu, 0, CPU_SETSIZE - 1},
                       {"--port", &option.port, 0, 65535}};
  for (int i = 1; i < argc; i += 2) {
    if (strcmp(argv[i], "--tls") == 0 && i + 1 < argc) {
      pem = argv[i + 1];
      continue;
    }
    unsigned k = 0, count = sizeof known_options / sizeof *known_options;
    while (k < count && strcmp(argv[i], known_options[k].name) != 0) k++;
    char *end = argv[i];
    if (k < count && i + 1 < argc) *known_options[k].value = strtoull(argv[i + 1], &end, 10);
    if (k == count || i + 1 == argc || *end || *known_options[k].value < known_options[k].least ||
        *known_options[k].value > known_options[k].most) {
      fprintf(stderr, "sender: wrong option '%s'\n", argv[i]);
      exit(2);
    }
  }
  if (option.tail > option.cycle) option.tail = option.cycle;
}

int main(int argc, char **argv) {
  options(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  SSL_CTX *tls = pem ? tls_open(pem) : NULL;
  state = option.seed;
  for (unsigned i = 0; i < option.products; i++) {
    for (unsigned side = 0; side < 2; side++) {
      product *all[] = {&now[i], &before[i], &expected[i]};
      for (unsigned k = 0; k < 3; k++) {
        sorted *s = &all[k]->side[side];
        s->value = calloc(option.levels + 2, sizeof *s->value);
        s->size = calloc(option.levels + 2, sizeof *s->size);
        if (!s->value || !s->size) die("memory");
      }
    }
    make_snapshot(i);
    count_touch(&now[i]);
    copy(&before[i], &now[i]);
  }
  make_cycle();
  for (unsigned i = 0; i < option.products; i++) restore(i);

  if (option.cpu != UINT64_MAX) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(option.cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) die("--cpu");
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)option.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
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
  return 0;
}
