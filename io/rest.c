#include "io/rest.h"

#include <errno.h>
#include <fcntl.h>
#include <http_parser.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/http1.h"
#include "io/resolve.h"
#include "io/tls.h"

enum { IN_BYTES = 64 << 10, SLICE_MS = 100, FIELD_BYTES = 32 };

typedef struct call {
  const wb_rest_config *config;
  wb_error *error;
  uint64_t until_ns;
  int fd;
  wb_tls *tls;
  uint8_t cipher[IN_BYTES], in[IN_BYTES];

  wb_rest_answer answer;
  size_t room, head_bytes;
  char field[FIELD_BYTES];
  size_t field_bytes;
  unsigned value_digits;
  bool in_value, value_bad, whole;
  int failed; /* by a callback of the parser */
} call;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int fail(call *c, int code, int os_errno, const char *detail) {
  return wb_error_set(c->error, code, os_errno, "rest", "%s", detail);
}

/* Waits for events of fd: 0, or the end of the time, or of the caller's wish. */
static int await(call *c, int fd, short events) {
  for (;;) {
    if (c->config->stop && __atomic_load_n(c->config->stop, __ATOMIC_RELAXED)) return fail(c, WB_E_STATE, 0, "stopped");
    uint64_t now = now_ns();
    if (now >= c->until_ns) return fail(c, WB_E_TIMEOUT, 0, "no whole answer in time");
    uint64_t left_ms = (c->until_ns - now + 999999) / 1000000;
    struct pollfd p = {.fd = fd, .events = events};
    int ready = poll(&p, 1, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return fail(c, WB_E_SYSTEM, errno, "poll");
  }
}

/* ------------------------------------------------------------------------------------------------ connection */

struct wb_rest_names {
  wb_resolve *resolve;
  int event; /* readable: an answer is there */
};

wb_rest_names *wb_rest_names_open(wb_error *error) {
  wb_rest_names *names = malloc(sizeof *names);
  if (!names) {
    wb_error_set(error, WB_E_MEMORY, 0, "rest", "no memory");
    return NULL;
  }
  names->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  names->resolve = names->event >= 0 ? wb_resolve_open(error) : NULL;
  if (names->resolve) return names;
  if (names->event < 0) wb_error_set(error, WB_E_SYSTEM, errno, "rest", "eventfd");
  wb_rest_names_close(names);
  return NULL;
}

void wb_rest_names_close(wb_rest_names *names) {
  if (!names) return;
  wb_resolve_close(names->resolve);
  if (names->event >= 0) close(names->event);
  free(names);
}

static void wake(void *names) { eventfd_write(((wb_rest_names *)names)->event, 1); }

static int await_name(call *c, const wb_rest_names *names) {
  eventfd_t times;
  int result = await(c, names->event, POLLIN);
  if (result == 0) eventfd_read(names->event, &times);
  return result;
}

static int ask_name(call *c, wb_rest_names *names, const wb_url *url, wb_address *address) {
  int count;
  while ((count = wb_resolve_start(names->resolve, url->host, url->port, wake, names)) == WB_E_STATE)
    if ((count = await_name(c, names)) < 0) return count; /* what an earlier call gave up is still under way */
  if (count < 0) return fail(c, count, 0, "the name cannot be looked up");
  while ((count = wb_resolve_poll(names->resolve, address, WB_RESOLVE_ADDRESSES_MAX, c->error)) == 0)
    if ((count = await_name(c, names)) < 0) break;
  return count;
}

static int look_up(call *c, const wb_url *url, wb_address *address) {
  if (c->config->names) return ask_name(c, c->config->names, url, address);
  wb_rest_names *own = wb_rest_names_open(c->error);
  int count = own ? ask_name(c, own, url, address) : WB_E_SYSTEM;
  wb_rest_names_close(own);
  return count;
}

static int dial(call *c, const wb_address *address) {
  c->fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (c->fd < 0) return fail(c, WB_E_SYSTEM, errno, "socket");
  int on = 1, trouble = 0;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->fd, (const struct sockaddr *)&address->address, address->bytes) < 0 && errno != EINPROGRESS) trouble = errno;
  int result = trouble ? 0 : await(c, c->fd, POLLOUT);
  socklen_t bytes = sizeof trouble;
  if (result == 0 && !trouble) getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &trouble, &bytes);
  if (trouble) result = wb_error_set(c->error, WB_E_CONNECT, trouble, "rest", "%s does not answer", address->text);
  if (result < 0) close(c->fd), c->fd = -1;
  return result;
}

static int send_all(call *c, const uint8_t *bytes, size_t count) {
  while (count) {
    ssize_t sent = send(c->fd, bytes, count, MSG_NOSIGNAL);
    if (sent > 0) bytes += sent, count -= (size_t)sent;
    else if (sent < 0 && errno != EAGAIN && errno != EINTR) return fail(c, WB_E_CLOSED, errno, "the peer takes no request");
    else {
      int result = await(c, c->fd, POLLOUT);
      if (result < 0) return result;
    }
  }
  return 0;
}

static int flush(call *c) {
  size_t count;
  const uint8_t *bytes = wb_tls_output(c->tls, &count);
  int result = count ? send_all(c, bytes, count) : 0;
  if (result == 0 && count) wb_tls_sent(c->tls, count);
  return result;
}

/* Bytes of the socket: > 0, 0 at its end, or an error. */
static ssize_t receive(call *c, uint8_t *bytes, size_t size) {
  for (;;) {
    ssize_t count = recv(c->fd, bytes, size, 0);
    if (count >= 0) return count;
    if (errno != EAGAIN && errno != EINTR) return fail(c, WB_E_CLOSED, errno, "the connection broke");
    int result = await(c, c->fd, POLLIN);
    if (result < 0) return result;
  }
}

static int secure(call *c) {
  for (;;) {
    int done = wb_tls_handshake(c->tls, c->error), sent = flush(c);
    if (done < 0) return done;
    if (sent < 0) return sent;
    if (done) return 0;
    if (wb_tls_fed(c->tls)) continue;
    ssize_t count = receive(c, c->cipher, sizeof c->cipher);
    if (count < 0) return (int)count;
    if (count == 0) return fail(c, WB_E_CLOSED, 0, "closed by the peer while TLS was agreed on");
    wb_tls_feed(c->tls, c->cipher, (size_t)count);
  }
}

/* Plain bytes: > 0, 0 at the end that the peer means, or an error. */
static ssize_t read_some(call *c) {
  if (!c->tls) return receive(c, c->in, sizeof c->in);
  for (;;) {
    int count = wb_tls_read(c->tls, c->in, sizeof c->in, c->error);
    if (count == WB_E_CLOSED) return 0;
    if (count != 0) return count;
    ssize_t came = receive(c, c->cipher, sizeof c->cipher);
    if (came < 0) return came;
    if (came == 0) return fail(c, WB_E_CLOSED, 0, "the connection was cut within TLS");
    wb_tls_feed(c->tls, c->cipher, (size_t)came);
  }
}

/* ------------------------------------------------------------------------------------------------ answer */

static int refuse(call *c, int code, const char *detail) {
  c->failed = fail(c, code, 0, detail);
  return -1;
}

static int on_begin(http_parser *parser) {
  call *c = parser->data;
  c->answer.retry_after_s = 0, c->field_bytes = c->head_bytes = 0, c->in_value = false;
  return 0;
}

static int on_head(call *c, size_t count) {
  return (c->head_bytes += count) > WB_HTTP_HEAD_BYTES_MAX ? refuse(c, WB_E_TOO_LARGE, "the head of the answer is too large")
                                                           : 0;
}

static int on_status(http_parser *parser, const char *at, size_t count) { return (void)at, on_head(parser->data, count); }

static int on_field(http_parser *parser, const char *at, size_t count) {
  call *c = parser->data;
  if (c->in_value) c->in_value = false, c->field_bytes = 0;
  for (size_t i = 0; i < count; i++, c->field_bytes++)
    if (c->field_bytes < FIELD_BYTES) c->field[c->field_bytes] = at[i];
  return on_head(c, count);
}

static int on_value(http_parser *parser, const char *at, size_t count) {
  static const char name[] = "Retry-After";
  call *c = parser->data;
  if (!c->in_value) c->in_value = true, c->value_digits = 0, c->value_bad = false;
  if (c->field_bytes != sizeof name - 1 || strncasecmp(c->field, name, sizeof name - 1) != 0) return on_head(c, count);
  for (size_t i = 0; i < count; i++) {
    if (at[i] < '0' || at[i] > '9' || ++c->value_digits > 6) c->value_bad = true;
    c->answer.retry_after_s = c->value_bad ? 0 : c->answer.retry_after_s * 10 + (unsigned)(at[i] - '0');
  }
  return on_head(c, count);
}

static int on_heads_end(http_parser *parser) {
  call *c = parser->data;
  size_t max = c->config->max_bytes ? c->config->max_bytes : WB_REST_BYTES;
  if (parser->content_length != UINT64_MAX && parser->content_length > max)
    return refuse(c, WB_E_TOO_LARGE, "the body of the answer is too large");
  return 0;
}

static int on_body(http_parser *parser, const char *at, size_t count) {
  call *c = parser->data;
  size_t max = c->config->max_bytes ? c->config->max_bytes : WB_REST_BYTES, bytes = c->answer.body_bytes;
  if (count > max - bytes) return refuse(c, WB_E_TOO_LARGE, "the body of the answer is too large");
  if (bytes + count >= c->room) {
    size_t room = 2 * (bytes + count) + 4096;
    uint8_t *body = realloc(c->answer.body, room);
    if (!body) return refuse(c, WB_E_MEMORY, "no memory for the answer");
    c->answer.body = body, c->room = room;
  }
  memcpy(c->answer.body + bytes, at, count);
  c->answer.body_bytes += count;
  return 0;
}

static int on_whole(http_parser *parser) {
  call *c = parser->data;
  if (parser->status_code < 200 && parser->status_code != 101) return 0; /* interim */
  c->whole = true;
  c->answer.status = parser->status_code;
  http_parser_pause(parser, 1);
  return 0;
}

static int read_answer(call *c) {
  static const http_parser_settings settings = {.on_message_begin = on_begin,
                                                .on_status = on_status,
                                                .on_header_field = on_field,
                                                .on_header_value = on_value,
                                                .on_headers_complete = on_heads_end,
                                                .on_body = on_body,
                                                .on_message_complete = on_whole};
  http_parser parser;
  http_parser_init(&parser, HTTP_RESPONSE);
  parser.data = c;
  while (!c->whole) {
    ssize_t count = read_some(c);
    if (count < 0) return (int)count;
    http_parser_execute(&parser, &settings, (const char *)c->in, (size_t)count);
    if (c->failed) return c->failed;
    enum http_errno trouble = HTTP_PARSER_ERRNO(&parser);
    if (trouble == HPE_INVALID_EOF_STATE || (count == 0 && !c->whole && trouble == HPE_OK))
      return fail(c, WB_E_CLOSED, 0, "the answer was cut short");
    if (trouble != HPE_OK && trouble != HPE_PAUSED) return fail(c, WB_E_PROTOCOL, 0, http_errno_description(trouble));
  }
  if (!c->answer.body && !(c->answer.body = malloc(1))) return fail(c, WB_E_MEMORY, 0, "no memory for the answer");
  c->answer.body[c->answer.body_bytes] = 0;
  return 0;
}

/* ------------------------------------------------------------------------------------------------ call */

static int ask(call *c, const wb_url *url) {
  char text[2048];
  bool port = strcmp(url->port, url->tls ? "443" : "80") != 0;
  const char *agent = c->config->user_agent, *token = c->config->token;
  int bytes =
      snprintf(text, sizeof text,
               "GET %s HTTP/1.1\r\nHost: %s%s%s%s%s\r\n%s%s%s%s%s%sAccept: application/json\r\nConnection: close\r\n\r\n",
               url->target, url->host_is_ipv6 ? "[" : "", url->host, url->host_is_ipv6 ? "]" : "", port ? ":" : "",
               port ? url->port : "", agent ? "User-Agent: " : "", agent ? agent : "", agent ? "\r\n" : "",
               token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
  if (bytes >= (int)sizeof text) return fail(c, WB_E_CONFIG, 0, "the request is too long");
  if (!c->tls) return send_all(c, (const uint8_t *)text, (size_t)bytes);
  int result = wb_tls_write(c->tls, (const uint8_t *)text, (size_t)bytes, c->error);
  return result < 0 ? result : flush(c);
}

static int connect_any(call *c, const wb_url *url) {
  wb_address address[WB_RESOLVE_ADDRESSES_MAX];
  int count = look_up(c, url, address), result = count < 0 ? count : WB_E_CONNECT;
  for (int i = 0; i < count && (result == WB_E_CONNECT || result == WB_E_SYSTEM); i++) result = dial(c, &address[i]);
  return result;
}

static int url_read(call *c, const char *text, wb_url *url) {
  char as_socket[sizeof url->host + sizeof url->target + 32];
  bool plain = text && strncasecmp(text, "http://", 7) == 0;
  if (!plain && (!text || strncasecmp(text, "https://", 8) != 0))
    return fail(c, WB_E_CONFIG, 0, "the URL must begin with http:// or https://");
  if (snprintf(as_socket, sizeof as_socket, "ws%s", text + 4) >= (int)sizeof as_socket)
    return fail(c, WB_E_CONFIG, 0, "the URL is too long");
  return wb_url_parse(as_socket, url, c->error);
}

int wb_rest_get(const wb_rest_config *config, const char *text, wb_rest_answer *answer, wb_error *error) {
  call *c = malloc(sizeof *c);
  if (!c) return wb_error_set(error, WB_E_MEMORY, 0, "rest", "no memory for a request");
  memset(c, 0, sizeof *c);
  c->config = config, c->error = error, c->fd = -1;
  c->until_ns = now_ns() + (config->timeout_ns ? config->timeout_ns : WB_REST_TIMEOUT_NS);

  wb_url url;
  wb_tls_context *context = NULL;
  int result = url_read(c, text, &url);
  if (result == 0 && url.tls && !(context = wb_tls_client_open(config->ca_file, config->insecure, error))) result = WB_E_TLS;
  if (result == 0) result = connect_any(c, &url);
  if (result == 0 && url.tls && !(c->tls = wb_tls_open(context, url.host, error))) result = WB_E_TLS;
  if (result == 0 && url.tls) result = secure(c);
  if (result == 0) result = ask(c, &url);
  if (result == 0) result = read_answer(c);

  if (c->tls) wb_tls_close(c->tls);
  if (context) wb_tls_context_close(context);
  if (c->fd >= 0) close(c->fd);
  if (result < 0) free(c->answer.body);
  else *answer = c->answer;
  free(c);
  return result;
}

void wb_rest_free(wb_rest_answer *answer) {
  free(answer->body);
  *answer = (wb_rest_answer){0};
}
