#include "io/face_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ring/atomic.h"
#include "io/base64.h"

#define SECOND UINT64_C(1000000000)
enum { BACKLOG = 128, RING_ENTRIES = 256, FILE_BYTES_MAX = 4096 };
enum { CLIENTS_NEAR = 4 }; /* places for this machine's own, whoever holds the others */

static const char what[] = "listen", variable[] = "WIREBOOK_LISTEN_TOKEN";

/* ------------------------------------------------------------------------------------------------ open */

static int read_address(wb_face *face, wb_error *error) {
  const char *text = face->config.listen, *colon = strrchr(text, ':');
  char host[64];
  size_t bytes = colon ? (size_t)(colon - text) : 0;
  bool six = bytes > 2 && text[0] == '[' && text[bytes - 1] == ']';
  struct sockaddr_in6 *at6 = (struct sockaddr_in6 *)&face->at;
  struct sockaddr_in *at4 = (struct sockaddr_in *)&face->at;
  char *end = NULL;
  unsigned long port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 65536;
  bool good = bytes && bytes < sizeof host && port < 65536 && !*end;
  if (good) {
    snprintf(host, sizeof host, "%.*s", (int)(bytes - 2 * six), text + six);
    if (strcmp(host, "localhost") == 0) snprintf(host, sizeof host, "127.0.0.1");
    good = inet_pton(six ? AF_INET6 : AF_INET, host, six ? (void *)&at6->sin6_addr : (void *)&at4->sin_addr) == 1;
  }
  if (!good)
    return wb_error_set(error, WB_E_CONFIG, 0, what, "--listen '%.100s' is no ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080",
                        text);
  face->at.ss_family = six ? AF_INET6 : AF_INET;
  if (six) at6->sin6_port = htons((uint16_t)port);
  else at4->sin_port = htons((uint16_t)port);
  face->loopback = six ? IN6_IS_ADDR_LOOPBACK(&at6->sin6_addr) : ntohl(at4->sin_addr.s_addr) >> 24 == 127;
  return 0;
}

static int take_token(wb_face *face, const char *text, size_t bytes, wb_error *error) {
  while (bytes && (text[bytes - 1] == '\n' || text[bytes - 1] == '\r')) bytes--;
  bool good = bytes >= WB_FACE_TOKEN_BYTES_MIN && bytes <= WB_FACE_TOKEN_BYTES_MAX;
  for (size_t i = 0; good && i < bytes; i++) good = text[i] > ' ' && text[i] < 0x7f;
  if (!good)
    return wb_error_set(error, WB_E_CONFIG, 0, what, "a token has %d to %d visible ASCII characters", WB_FACE_TOKEN_BYTES_MIN,
                        WB_FACE_TOKEN_BYTES_MAX);
  memcpy(face->token, text, bytes);
  face->token_bytes = bytes;
  return 0;
}

static int read_token_file(wb_face *face, const char *path, wb_error *error) {
  char text[FILE_BYTES_MAX];
  struct stat about;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t bytes = fd >= 0 && fstat(fd, &about) == 0 ? read(fd, text, sizeof text) : -1;
  int failed = errno, result;
  if (fd >= 0) close(fd);
  if (bytes < 0) result = wb_error_set(error, WB_E_CONFIG, failed, what, "%.160s: %s", path, strerror(failed));
  else if (!S_ISREG(about.st_mode) || (about.st_uid != geteuid() && about.st_uid != 0) || about.st_mode & 077)
    result =
        wb_error_set(error, WB_E_CONFIG, 0, what,
                     "%.140s must be a regular file of the node's user that is open to nobody else (mode %03o): chmod 600 it",
                     path, (unsigned)about.st_mode & 0777);
  else result = take_token(face, text, (size_t)bytes, error);
  explicit_bzero(text, sizeof text);
  return result;
}

static int read_token(wb_face *face, wb_error *error) {
  char *given = getenv(variable);
  if (face->config.token_file) return read_token_file(face, face->config.token_file, error);
  if (!given || !*given) return 0;
  int result = take_token(face, given, strlen(given), error);
  explicit_bzero(given, strlen(given)); /* as /proc shows it */
  unsetenv(variable);
  return result;
}

static int open_tls(wb_face *face, wb_error *error) {
  const wb_face_config *config = &face->config;
  if (!config->certificate != !config->key || (config->client_ca && !config->certificate))
    return wb_error_set(error, WB_E_CONFIG, 0, what,
                        "--listen-cert and --listen-key belong together, and --listen-client-ca to them");
  if (!config->certificate) return 0;
  face->tls = wb_tls_server_open(config->certificate, config->key, error);
  return !face->tls ? WB_E_CONFIG : config->client_ca ? wb_tls_server_demand(face->tls, config->client_ca, error) : 0;
}

static int open_listener(wb_face *face, wb_error *error) {
  int on = 1;
  socklen_t bytes = face->at.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  face->listener = socket(face->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool good = face->listener >= 0 && setsockopt(face->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  if (good && face->at.ss_family == AF_INET6) good = setsockopt(face->listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
  if (good && bind(face->listener, (struct sockaddr *)&face->at, bytes) == 0 && listen(face->listener, BACKLOG) == 0 &&
      getsockname(face->listener, (struct sockaddr *)&face->at, &bytes) == 0)
    return 0;
  return wb_error_set(error, WB_E_SYSTEM, errno, what, "cannot listen at %.100s: %s", face->config.listen, strerror(errno));
}

wb_face *wb_face_open(const wb_face_config *config, wb_error *error) {
  wb_face *face = calloc(1, sizeof *face);
  if (!face) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, what, "no memory");
    return NULL;
  }
  face->config = *config;
  if (!face->config.rate) face->config.rate = WB_FACE_RATE_DEFAULT;
  face->listener = face->bell = -1;
  int result = read_address(face, error);
  if (result == 0) result = read_token(face, error);
  if (result == 0 && !face->loopback && !face->token_bytes && !config->client_ca)
    result = wb_error_set(error, WB_E_CONFIG, 0, what,
                          "--listen %.60s is open to other machines: that needs --listen-token-file (or %s), or "
                          "--listen-cert, --listen-key and --listen-client-ca",
                          config->listen, variable);
  if (result == 0) result = open_tls(face, error);
  if (result == 0) result = open_listener(face, error);
  if (result == 0) {
    face->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    face->ring = face->bell >= 0 ? wb_uring_open(RING_ENTRIES, 0, error) : NULL;
    if (face->ring) return face;
    if (face->bell < 0) wb_error_set(error, WB_E_SYSTEM, errno, what, "%s", strerror(errno));
  }
  wb_face_close(face);
  return NULL;
}

const char *wb_face_url(const wb_face *face, char *text, size_t size) {
  char host[INET6_ADDRSTRLEN];
  bool six = face->at.ss_family == AF_INET6;
  const struct sockaddr_in6 *at6 = (const struct sockaddr_in6 *)&face->at;
  const struct sockaddr_in *at4 = (const struct sockaddr_in *)&face->at;
  inet_ntop(face->at.ss_family, six ? (const void *)&at6->sin6_addr : (const void *)&at4->sin_addr, host, sizeof host);
  snprintf(text, size, "http%s://%s%s%s:%u", face->tls ? "s" : "", six ? "[" : "", host, six ? "]" : "",
           ntohs(six ? at6->sin6_port : at4->sin_port));
  return text;
}

/* ------------------------------------------------------------------------------------------------ requests */

bool wb_face_text_is(wb_http_text field, const char *text) {
  return field.at && field.bytes == strlen(text) && strncasecmp(field.at, text, field.bytes) == 0;
}

static int hex(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* NUL-terminated; false: too long, or no code. */
static bool decode(const char *from, size_t bytes, bool plus, char *text, size_t size) {
  size_t used = 0;
  for (size_t i = 0; i < bytes; i++) {
    char c = from[i];
    if (c == '+' && plus) c = ' ';
    if (c == '%') {
      int high = i + 2 < bytes ? hex(from[i + 1]) : -1, low = high >= 0 ? hex(from[i + 2]) : -1;
      if (low < 0 || (high == 0 && low == 0)) return false;
      c = (char)(high << 4 | low);
      i += 2;
    }
    if (used + 1 >= size) return false;
    text[used++] = c;
  }
  text[used] = 0;
  return true;
}

const char *wb_face_query(const wb_face_request *request, const char *name, char *text, size_t size) {
  size_t bytes = strlen(name);
  for (const char *at = request->query; *at; at += *at == '&') {
    size_t length = strcspn(at, "&");
    if (length > bytes && memcmp(at, name, bytes) == 0 && at[bytes] == '=')
      return decode(at + bytes + 1, length - bytes - 1, true, text, size) ? text : NULL;
    at += length;
  }
  return NULL;
}

bool wb_face_query_count(const wb_face_request *request, const char *name, uint64_t otherwise, uint64_t least, uint64_t most,
                         uint64_t *value) {
  char text[24];
  *value = otherwise;
  if (!wb_face_query(request, name, text, sizeof text)) return true;
  char *end;
  *value = strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && !*end && strlen(text) < 19 && *value >= least && *value <= most;
}

/* Whether a path is that of a route; the words that its '*' stand for. */
static bool leads_to(const char *route, const char *path, size_t bytes, wb_face_request *request) {
  unsigned word = 0;
  const char *end = path + bytes;
  for (; *route; route++) {
    if (*route != '*') {
      if (path == end || *path++ != *route) return false;
      continue;
    }
    size_t length = 0;
    while (path + length < end && path[length] != '/') length++;
    if (!length || word == WB_FACE_WORDS_MAX || !decode(path, length, false, request->word[word++], WB_FACE_WORD_BYTES))
      return false;
    path += length;
  }
  return path == end;
}

static bool same(const uint8_t *token, size_t token_bytes, const uint8_t *given, size_t bytes) {
  uint8_t differs = token_bytes != bytes;
  for (size_t i = 0; i < token_bytes; i++) differs |= token[i] ^ (bytes ? given[i < bytes ? i : 0] : 0);
  return !differs;
}

/* "Bearer TOKEN", or as a browser asks its user: "Basic " and base64 of "anybody:TOKEN". */
static bool authorized(const wb_face *face, wb_http_text field) {
  uint8_t plain[WB_FACE_TOKEN_BYTES_MAX + 64];
  if (!face->token_bytes) return true;
  if (field.bytes > 7 && strncasecmp(field.at, "Bearer ", 7) == 0)
    return same(face->token, face->token_bytes, (const uint8_t *)field.at + 7, field.bytes - 7);
  if (field.bytes <= 6 || strncasecmp(field.at, "Basic ", 6) != 0) return false;
  int bytes = wb_base64_decode(field.at + 6, field.bytes - 6, plain, sizeof plain);
  const uint8_t *colon = bytes > 0 ? memchr(plain, ':', (size_t)bytes) : NULL;
  return colon && same(face->token, face->token_bytes, colon + 1, (size_t)(plain + bytes - colon - 1));
}

/* A page that a browser was led to under another name must not read what is meant for this machine. */
static bool named_well(const wb_face *face, wb_http_text host) {
  char text[64], own[96];
  if (!face->loopback) return true;
  if (host.bytes >= sizeof text) return false;
  memcpy(text, host.at, host.bytes);
  text[host.bytes] = 0;
  char *colon = strrchr(text, ':');
  if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && (text[0] != '[' || colon[-1] == ']')) *colon = 0;
  const char *self = strstr(wb_face_url(face, own, sizeof own), "://") + 3;
  *strrchr(own, ':') = 0;
  return strcasecmp(text, "localhost") == 0 || strcmp(text, "127.0.0.1") == 0 || strcmp(text, "[::1]") == 0 ||
         strcmp(text, self) == 0;
}

/* A bucket an address, of `rate` requests. The least used makes way for an address that is new. */
static bool rate_take(wb_face *face, const struct in6_addr *address, uint64_t now_ns) {
  wb_face_source *source = NULL, *oldest = face->source;
  for (unsigned i = 0; i < WB_FACE_CLIENTS_MAX && !source; i++) {
    if (memcmp(&face->source[i].address, address, sizeof *address) == 0) source = &face->source[i];
    else if (face->source[i].full_ns < oldest->full_ns) oldest = &face->source[i];
  }
  if (!source) *(source = oldest) = (wb_face_source){.address = *address};
  uint64_t full_ns = (source->full_ns > now_ns ? source->full_ns : now_ns) + SECOND / face->config.rate;
  if (full_ns - now_ns > SECOND) return false;
  source->full_ns = full_ns;
  return true;
}

void wb_face_route_take(wb_face_client *client, const wb_http_call *call, uint64_t now_ns) {
  wb_face *face = client->face;
  char query[WB_FACE_QUERY_BYTES], allowed[64];
  const char *mark = memchr(call->target.at, '?', call->target.bytes);
  size_t path_bytes = mark ? (size_t)(mark - call->target.at) : call->target.bytes;
  size_t query_bytes = mark ? call->target.bytes - path_bytes - 1 : 0;
  if (!rate_take(face, &client->address, now_ns)) {
    wb_face_refuse(client, 429, "too many requests");
    return;
  }
  if (!named_well(face, call->host)) {
    wb_face_refuse(client, 421, "this is not the host of that name");
    return;
  }
  bool known = authorized(face, wb_http_header(client->head, call->head_bytes, "Authorization"));
  if (query_bytes >= sizeof query) {
    wb_face_refuse(client, 414, "the query is too long");
    return;
  }
  if (mark) memcpy(query, mark + 1, query_bytes);
  query[query_bytes] = 0;
  wb_face_request request = {.method = call->upgrade       ? "UPGRADE"
                                       : client->head_only ? "GET"
                                                           : call->method,
                             .path = call->target.at,
                             .head = client->head,
                             .head_bytes = call->head_bytes,
                             .body = client->head + call->head_bytes,
                             .body_bytes = call->body_bytes,
                             .query = query,
                             .now_ns = now_ns};
  const char *other = NULL;
  for (unsigned m = 0; wb_face_modules[m]; m++)
    for (const wb_face_route *route = wb_face_modules[m]->route; route->path; route++) {
      if (!leads_to(route->path, call->target.at, path_bytes, &request)) continue;
      if (strcmp(route->method, "UPGRADE") != 0) other = route->method; /* which is no method to tell a client of */
      if (strcmp(route->method, request.method) != 0 || (!known && !wb_face_modules[m]->open_to_all)) continue;
      request.self = face->module[m];
      route->take(client, &request);
      if (client->state == WB_FACE_ANSWERING && !client->answered) wb_face_refuse(client, 500, "no answer");
      return;
    }
  if (!known) {
    client->keep = false;
    wb_face_refuse(client, 401, "a token is needed");
    return;
  }
  if (!other) {
    wb_face_refuse(client, 404, "NotFound");
    return;
  }
  snprintf(allowed, sizeof allowed, "Allow: %s\r\n", strcmp(other, "GET") == 0 ? "GET, HEAD" : other);
  static const char body[] = "{\"message\":\"method not allowed\"}\n";
  wb_face_answer(client, 405, "application/json; charset=utf-8", allowed, body, sizeof body - 1);
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void address_of(int fd, struct in6_addr *address) {
  struct sockaddr_storage peer = {0};
  socklen_t bytes = sizeof peer;
  getpeername(fd, (struct sockaddr *)&peer, &bytes);
  *address = (struct in6_addr){0};
  if (peer.ss_family == AF_INET6) *address = ((struct sockaddr_in6 *)&peer)->sin6_addr;
  else if (peer.ss_family == AF_INET) memcpy(&address->s6_addr[12], &((struct sockaddr_in *)&peer)->sin_addr, 4);
}

static void accepted(wb_op *op, int result, unsigned flags) {
  static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\n"
                             "Content-Length: 35\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
                             "{\"message\":\"too many connections\"}\n";
  wb_face *face = op->self;
  uint64_t now_ns = wb_clock_ns();
  wb_face_client *client = NULL;
  if (result >= 0) {
    struct in6_addr address;
    face->counts.accepted++;
    address_of(result, &address);
    bool near = IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4COMPAT(&address) && address.s6_addr[12] == 127);
    if (face->counts.clients < WB_FACE_CLIENTS_MAX - (near ? 0u : CLIENTS_NEAR)) {
      client = wb_face_client_open(face, result, &address, now_ns);
    } else {
      if (!face->tls) send(result, full, sizeof full - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
      close(result);
    }
    if (client) face->client[face->counts.clients++] = client;
    else face->counts.ended[WB_FACE_REFUSED]++;
  }
  if (op->busy || result == -ECANCELED) return;
  if (result >= 0) wb_uring_accept(face->ring, op, face->listener);
  else face->accept_retry_ns = now_ns + SECOND / 10;
}

static void turn(wb_face *face) {
  uint64_t now_ns = wb_clock_ns();
  if (!face->accept_op.busy && face->accept_retry_ns && now_ns >= face->accept_retry_ns) {
    face->accept_retry_ns = 0;
    wb_uring_accept(face->ring, &face->accept_op, face->listener);
  }
  wb_face_ask_turn(face, now_ns);
  for (unsigned i = 0; i < face->module_count; i++)
    if (wb_face_modules[i]->tick) wb_face_modules[i]->tick(face->module[i], now_ns);
  unsigned streams = 0, sockets = 0;
  for (unsigned i = face->counts.clients; i-- > 0;) {
    wb_face_client *client = face->client[i];
    if (wb_face_client_tick(client, now_ns)) {
      wb_face_client_free(client);
      face->client[i] = face->client[--face->counts.clients];
      continue;
    }
    streams += client->state == WB_FACE_STREAM;
    sockets += client->state == WB_FACE_SOCKET;
  }
  face->counts.streams = streams;
  face->counts.sockets = sockets;
}

static bool awaits_tick(const wb_face *face) {
  bool held = face->counts.streams || face->counts.sockets || wb_face_ask_wanted(face);
  for (unsigned i = 0; i < face->counts.clients && !held; i++) held = face->client[i]->state == WB_FACE_HELD;
  return held;
}

static void *thread_main(void *self) {
  wb_face *face = self;
  wb_cpu_name(pthread_self(), "wb-face");
  wb_cpu_step_aside(&face->avoid, false);
  face->accept_op = (wb_op){.done = accepted, .self = face};
  wb_uring_accept(face->ring, &face->accept_op, face->listener);
  while (!__atomic_load_n(&face->stop, __ATOMIC_ACQUIRE)) {
    wb_uring_wait(face->ring, awaits_tick(face) ? WB_FACE_TURN_NS : WB_FACE_REST_NS);
    turn(face);
  }
  wb_uring_cancel(face->ring, &face->accept_op);
  for (unsigned i = 0; i < face->counts.clients; i++) wb_face_client_stop(face->client[i]);
  for (uint64_t due_ns = wb_clock_ns() + SECOND; face->counts.clients && wb_clock_ns() < due_ns;) {
    turn(face);
    wb_uring_wait(face->ring, WB_FACE_TURN_NS);
  }
  for (unsigned i = 0; i < face->counts.clients; i++) wb_face_client_end(face->client[i], WB_FACE_STOPPED);
  wb_tls_thread_end();
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ life */

int wb_face_start(wb_face *face, wb_node *node, wb_error *error) {
  face->node = node;
  wb_node_reader(node, &face->books);
  wb_node_hot_cpus(node, &face->avoid);
  int result = wb_face_ask_open(face, error);
  if (result != 0) return result;
  for (; wb_face_modules[face->module_count]; face->module_count++) {
    const wb_face_module *module = wb_face_modules[face->module_count];
    WB_CHECK(face->module_count < WB_FACE_MODULES_MAX);
    if (module->open && !(face->module[face->module_count] = module->open(face, error))) return WB_E_MEMORY;
  }
  int failed = pthread_create(&face->thread, NULL, thread_main, face);
  if (failed) return wb_error_set(error, WB_E_SYSTEM, failed, what, "cannot start a thread: %s", strerror(failed));
  face->started = true;
  return 0;
}

void wb_face_close(wb_face *face) {
  if (!face) return;
  if (face->started) {
    __atomic_store_n(&face->stop, 1, __ATOMIC_RELEASE);
    wb_uring_wake(face->ring);
    pthread_join(face->thread, NULL);
  }
  while (face->module_count-- > 0)
    if (wb_face_modules[face->module_count]->close && face->module[face->module_count])
      wb_face_modules[face->module_count]->close(face->module[face->module_count]);
  wb_face_ask_close(face);
  wb_uring_close(face->ring); /* before what it works on is freed */
  for (unsigned i = 0; i < face->counts.clients; i++) wb_face_client_free(face->client[i]);
  if (face->listener >= 0) close(face->listener);
  if (face->bell >= 0) close(face->bell);
  if (face->tls) wb_tls_context_close(face->tls);
  explicit_bzero(face->token, sizeof face->token);
  free(face);
}

int wb_face_fd(const wb_face *face) { return face->bell; }
wb_face *wb_face_of(const wb_face_client *client) { return client->face; }
uint64_t wb_face_asked_ns(const wb_face_client *client) { return client->asked_ns; }
const wirebook_shm *wb_face_books(const wb_face *face) { return &face->books; }
wb_node *wb_face_node(const wb_face *face) { return face->node; }
const wb_node_config *wb_face_config_of(const wb_face *face) { return wb_node_config_of(face->node); }
void wb_face_counts_read(const wb_face *face, wb_face_counts *counts) { *counts = face->counts; }

uint64_t *wb_face_changes_lost(wb_face *face) { return &face->counts.changes_lost; }

const char *wb_face_ending_name(wb_face_ending ending) {
  static const char *const names[] = {
#define X(name, text) text,
      WB_FACE_ENDING_LIST(X)
#undef X
  };
  return names[ending];
}
