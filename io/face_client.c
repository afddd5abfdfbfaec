#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/face_private.h"

#define SECOND UINT64_C(1000000000)
#define REQUEST_NS (10 * SECOND) /* TLS handshake, or a request from its first byte to its last */
#define IDLE_NS (60 * SECOND)
#define TAKE_NS (60 * SECOND) /* for the peer to take all of an answer */
#define PING_NS (20 * SECOND)
#define FINISH_NS (2 * SECOND)
enum { QUEUE_BYTES_MIN = 4 << 10, TLS_PIECE_BYTES = 64 << 10, KEPT_BYTES_MAX = 256 << 10, HEAD_ROOM = 1024 };

static const struct {
  unsigned status;
  const char *reason;
} reasons[] = {{200, "OK"},
               {204, "No Content"},
               {301, "Moved Permanently"},
               {304, "Not Modified"},
               {307, "Temporary Redirect"},
               {400, "Bad Request"},
               {401, "Unauthorized"},
               {403, "Forbidden"},
               {404, "Not Found"},
               {405, "Method Not Allowed"},
               {413, "Content Too Large"},
               {414, "URI Too Long"},
               {421, "Misdirected Request"},
               {426, "Upgrade Required"},
               {429, "Too Many Requests"},
               {431, "Request Header Fields Too Large"},
               {500, "Internal Server Error"},
               {501, "Not Implemented"},
               {503, "Service Unavailable"},
               {505, "HTTP Version Not Supported"}};

static const char *reason_of(unsigned status) {
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
    if (reasons[i].status == status) return reasons[i].reason;
  return "";
}

static void receive(wb_face_client *client);
static void take(wb_face_client *client, uint64_t now_ns);

/* ------------------------------------------------------------------------------------------------ queue */

static bool reserve(wb_face_bytes *to, size_t bytes) {
  if (to->capacity - to->count >= bytes) return true;
  size_t capacity = to->capacity ? to->capacity : QUEUE_BYTES_MIN;
  while (capacity - to->count < bytes) capacity *= 2;
  uint8_t *grown = realloc(to->bytes, capacity);
  if (!grown) return false;
  to->bytes = grown;
  to->capacity = capacity;
  return true;
}

/* What one large answer needed is not kept for all that may follow. */
static void give_back(wb_face_bytes *of) {
  of->count = 0;
  if (of->capacity <= KEPT_BYTES_MAX) return;
  free(of->bytes);
  *of = (wb_face_bytes){0};
}

static size_t unsent(const wb_face_client *client) {
  size_t cipher = 0;
  if (client->tls) wb_tls_output(client->tls, &cipher);
  return client->filling.count + client->sending.count - client->sent + client->lent_count + cipher;
}

static bool put(wb_face_client *client, const void *bytes, size_t count) {
  if (client->state == WB_FACE_GONE) return false;
  if (!reserve(&client->filling, count)) {
    wb_face_client_end(client, WB_FACE_REFUSED);
    return false;
  }
  if (!unsent(client)) client->progress_ns = wb_clock_ns();
  if (count) memcpy(client->filling.bytes + client->filling.count, bytes, count);
  client->filling.count += count;
  return true;
}

size_t wb_face_queued(const wb_face_client *client) { return unsent(client); }

/* ------------------------------------------------------------------------------------------------ ending */

static void lent_end(wb_face_client *client) {
  if (client->lent_done) client->lent_done(client->lent_self);
  client->lent = NULL;
  client->lent_count = 0;
  client->lent_done = NULL;
}

static void handler_end(wb_face_client *client) {
  const wb_face_handler *handler = client->handler;
  client->handler = NULL;
  if (handler && handler->gone) handler->gone(client, client->self);
}

void wb_face_client_end(wb_face_client *client, wb_face_ending ending) {
  if (client->state == WB_FACE_GONE) return;
  if (client->state != WB_FACE_FINISHING) client->ending = ending;
  client->state = WB_FACE_GONE;
  client->face->counts.ended[client->ending]++;
  handler_end(client);
  wb_uring_cancel(client->face->ring, &client->recv_op);
  wb_uring_cancel(client->face->ring, &client->send_op);
}

static void finish(wb_face_client *client, wb_face_ending ending) {
  if (client->state >= WB_FACE_FINISHING) return;
  client->state = WB_FACE_FINISHING;
  client->ending = ending;
  client->deadline_ns = wb_clock_ns() + TAKE_NS;
  handler_end(client);
}

static void close_frame(wb_face_client *client, unsigned code, const char *reason) {
  if (client->closed) return;
  client->closed = true;
  uint8_t frame[WB_WS_HEADER_BYTES_MAX + WB_WS_CONTROL_BYTES_MAX];
  size_t bytes = strlen(reason);
  if (bytes > WB_FACE_CLOSE_REASON_BYTES) bytes = WB_FACE_CLOSE_REASON_BYTES;
  size_t header = wb_ws_header(frame, WB_WS_CLOSE, true, 2 + bytes, NULL);
  frame[header] = (uint8_t)(code >> 8);
  frame[header + 1] = (uint8_t)code;
  memcpy(frame + header + 2, reason, bytes);
  put(client, frame, header + 2 + bytes);
}

/* Of streams and sockets: the last words, then the end. */
static void part(wb_face_client *client, wb_face_ending ending, unsigned code, const char *reason) {
  if (client->state == WB_FACE_SOCKET) close_frame(client, code, reason);
  else if (client->state == WB_FACE_STREAM && !client->head_only) put(client, "0\r\n\r\n", 5);
  finish(client, ending);
}

void wb_face_end(wb_face_client *client, unsigned code, const char *reason) { part(client, WB_FACE_ENDED, code, reason); }

void wb_face_client_stop(wb_face_client *client) {
  if (client->state == WB_FACE_HELD) wb_face_refuse(client, 503, "the node ends");
  if (client->state == WB_FACE_ANSWERING) client->keep = false;
  else if (client->state < WB_FACE_ANSWERING) wb_face_client_end(client, WB_FACE_STOPPED);
  else part(client, WB_FACE_STOPPED, 1001, "the node ends");
}

void wb_face_client_free(wb_face_client *client) {
  lent_end(client);
  close(client->fd);
  wb_tls_close(client->tls);
  free(client->filling.bytes);
  free(client->sending.bytes);
  free(client->cipher);
  free(client->ws);
  free(client);
}

/* ------------------------------------------------------------------------------------------------ sending */

/* All is sent. Whether there may be more now. */
static bool sent_all(wb_face_client *client, uint64_t now_ns) {
  if (client->state == WB_FACE_FINISHING && !client->shut) {
    client->shut = true;
    client->deadline_ns = now_ns + FINISH_NS;
    if (client->peer_shut) wb_face_client_end(client, client->ending);
    else
      shutdown(client->fd, SHUT_WR); /* and wait for its end: a close with bytes unread would take away what it has not read */
    return false;
  }
  if (client->state != WB_FACE_ANSWERING) return false;
  if (!client->keep) {
    finish(client, WB_FACE_ENDED);
    return true;
  }
  client->state = WB_FACE_READING;
  client->answered = false;
  client->deadline_ns = now_ns + IDLE_NS;
  take(client, now_ns);
  if (client->peer_shut && client->state == WB_FACE_READING) finish(client, WB_FACE_ENDED); /* nothing more will come */
  return unsent(client) || client->state == WB_FACE_ANSWERING || client->state == WB_FACE_FINISHING;
}

static const uint8_t *piece(wb_face_client *client, size_t *count) {
  if (client->sent == client->sending.count && client->filling.count) {
    wb_face_bytes swap = client->sending;
    client->sending = client->filling;
    client->filling = swap;
    give_back(&client->filling);
    client->sent = 0;
  }
  *count = client->sending.count - client->sent;
  if (*count) return client->sending.bytes + client->sent;
  *count = client->lent_count;
  return client->lent;
}

static void sent(wb_face_client *client, size_t count) {
  if (client->sent < client->sending.count) {
    client->sent += count;
    if (client->sent < client->sending.count) return;
    client->sent = 0;
    give_back(&client->sending);
  } else {
    client->lent += count;
    client->lent_count -= count;
    if (!client->lent_count) lent_end(client);
  }
}

static bool send_tls(wb_face_client *client) {
  size_t count, output_count;
  const uint8_t *output = wb_tls_output(client->tls, &output_count), *bytes;
  if (!output_count && client->state != WB_FACE_SECURING && (bytes = piece(client, &count)) && count) {
    if (count > TLS_PIECE_BYTES) count = TLS_PIECE_BYTES;
    if (wb_tls_write(client->tls, bytes, count, NULL) != 0) {
      wb_face_client_end(client, WB_FACE_BAD_TLS);
      return true;
    }
    sent(client, count);
    output = wb_tls_output(client->tls, &output_count);
  }
  if (!output_count && client->state == WB_FACE_FINISHING && !client->notified) {
    client->notified = true;
    wb_tls_shutdown(client->tls);
    output = wb_tls_output(client->tls, &output_count);
  }
  if (!output_count) return false;
  wb_tls_pin(client->tls, true);
  wb_uring_send(client->face->ring, &client->send_op, client->fd, output, output_count);
  return true;
}

static bool send_plain(wb_face_client *client) {
  size_t count;
  const uint8_t *bytes = piece(client, &count);
  if (count) wb_uring_send(client->face->ring, &client->send_op, client->fd, bytes, count);
  return count;
}

static void flush(wb_face_client *client) {
  while (!client->send_op.busy && client->state != WB_FACE_GONE)
    if (!(client->tls ? send_tls(client) : send_plain(client)) && !sent_all(client, wb_clock_ns())) break;
}

static void send_done(wb_op *op, int result, unsigned flags) {
  wb_face_client *client = op->self;
  if (client->state == WB_FACE_GONE) return;
  if (result < 0) {
    wb_face_client_end(client, WB_FACE_ENDED);
    return;
  }
  client->face->counts.sent_bytes += (uint64_t)result;
  client->progress_ns = wb_clock_ns();
  if (client->tls) {
    wb_tls_pin(client->tls, false);
    wb_tls_sent(client->tls, (size_t)result);
  } else {
    sent(client, (size_t)result);
  }
  flush(client);
  receive(client);
}

/* ------------------------------------------------------------------------------------------------ answering */

static void put_text(wb_face_client *client, const char *text) { put(client, text, strlen(text)); }

static void answer_head(wb_face_client *client, unsigned status, const char *type, const char *fields, size_t count) {
  char line[256];
  const char *origin = client->face->config.origin;
  time_t now = (time_t)(wb_clock_utc_ns() / (int64_t)SECOND);
  struct tm fields_of;
  client->face->counts.responses[status / 100 % 6]++;
  snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\n", status, reason_of(status), type);
  put_text(client, line);
  strftime(line, sizeof line, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&now, &fields_of));
  put_text(client, line);
  if (count == SIZE_MAX) snprintf(line, sizeof line, "Transfer-Encoding: chunked\r\n");
  else snprintf(line, sizeof line, "Content-Length: %zu\r\n", count);
  if (status != 304) put_text(client, line); /* which has no body, and says nothing of the one that was meant */
  if (!fields || !strstr(fields, "Cache-Control:")) put_text(client, "Cache-Control: no-store\r\n");
  if (fields) put_text(client, fields);
  if (origin) {
    put_text(client, "Vary: Origin\r\nAccess-Control-Allow-Origin: ");
    put_text(client, origin);
    put_text(client, "\r\n");
  }
  put_text(client, "X-Content-Type-Options: nosniff\r\n");
  put_text(client, client->keep ? "\r\n" : "Connection: close\r\n\r\n");
}

static bool may_answer(wb_face_client *client) {
  if (client->answered || client->state == WB_FACE_GONE || client->state == WB_FACE_FINISHING) return false;
  client->answered = true;
  return true;
}

static void answered(wb_face_client *client) {
  if (client->state == WB_FACE_GONE) return;
  client->state = WB_FACE_ANSWERING;
  client->deadline_ns = wb_clock_ns() + TAKE_NS;
  handler_end(client);
}

void wb_face_answer(wb_face_client *client, unsigned status, const char *type, const char *fields, const void *bytes,
                    size_t count) {
  if (!may_answer(client)) return;
  answer_head(client, status, type, fields, count);
  if (!client->head_only) put(client, bytes, count);
  answered(client);
}

void wb_face_answer_lent(wb_face_client *client, unsigned status, const char *type, const char *fields, const void *bytes,
                         size_t count, void (*done)(void *self), void *self) {
  if (may_answer(client)) {
    answer_head(client, status, type, fields, count);
    if (client->state != WB_FACE_GONE && !client->head_only && count) {
      client->lent = bytes;
      client->lent_count = count;
      client->lent_done = done;
      client->lent_self = self;
      done = NULL;
    }
    answered(client);
  }
  if (done) done(self);
}

void wb_face_refuse(wb_face_client *client, unsigned status, const char *text) {
  char body[256];
  int bytes = snprintf(body, sizeof body, "{\"message\":\"%.200s\"}\n", text);
  const char *fields = status == 401                    ? "WWW-Authenticate: Bearer, Basic realm=\"wirebook\"\r\n"
                       : status == 429 || status == 503 ? "Retry-After: 1\r\n"
                       : status == 426                  ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                                        : NULL;
  wb_face_answer(client, status, "application/json; charset=utf-8", fields, body, (size_t)bytes);
}

void wb_face_hold(wb_face_client *client, const wb_face_handler *handler, void *self) {
  client->handler = handler;
  client->self = self;
  client->state = WB_FACE_HELD;
  client->deadline_ns = client->asked_ns + WB_FACE_HOLD_NS;
}

void wb_face_stream(wb_face_client *client, const char *type, const char *fields, const wb_face_handler *handler, void *self) {
  client->handler = handler;
  client->self = self;
  if (!may_answer(client)) return;
  answer_head(client, 200, type, fields, SIZE_MAX);
  if (client->state == WB_FACE_GONE) return;
  if (client->head_only) {
    answered(client);
    return;
  }
  client->keep = false;
  client->state = WB_FACE_STREAM;
  client->deadline_ns = 0;
}

/* A page's Origin must be the face's own, as its Host names it, or the one that was allowed. */
static bool own_page(const wb_face_client *client) {
  wb_http_text origin = wb_http_header(client->head, client->call->head_bytes, "Origin"), host = client->call->host;
  const char *allowed = client->face->config.origin;
  if (!origin.at) return true;
  if (allowed && (strcmp(allowed, "*") == 0 || wb_face_text_is(origin, allowed))) return true;
  const char *scheme = client->tls ? "https://" : "http://";
  size_t bytes = strlen(scheme);
  return origin.bytes == bytes + host.bytes && memcmp(origin.at, scheme, bytes) == 0 &&
         memcmp(origin.at + bytes, host.at, host.bytes) == 0;
}

bool wb_face_socket(wb_face_client *client, const wb_face_handler *handler, void *self) {
  char text[256];
  if (!client->call->upgrade || !own_page(client)) {
    wb_face_refuse(client, client->call->upgrade ? 403 : 426,
                   client->call->upgrade ? "not for pages from elsewhere" : "this is a WebSocket");
    return false;
  }
  if (!client->ws) client->ws = malloc(sizeof *client->ws);
  int bytes = wb_http_upgrade_answer(client->call->key, NULL, text, sizeof text);
  if (!client->ws || bytes < 0 || !may_answer(client)) {
    wb_face_refuse(client, 503, "no memory");
    return false;
  }
  wb_ws_init(client->ws, WB_WS_SERVER, WB_FACE_MESSAGE_BYTES_MAX);
  client->face->counts.responses[1]++;
  if (!put(client, text, (size_t)bytes)) return false;
  client->handler = handler;
  client->self = self;
  client->keep = false;
  client->state = WB_FACE_SOCKET;
  client->deadline_ns = 0;
  return true;
}

int wb_face_put(wb_face_client *client, const void *bytes, size_t count) {
  if ((client->state != WB_FACE_STREAM && client->state != WB_FACE_SOCKET) || client->closed) return WB_E_CLOSED;
  uint8_t header[WB_WS_HEADER_BYTES_MAX + 8];
  bool stream = client->state == WB_FACE_STREAM;
  if (stream && !count) return 0;
  size_t header_bytes = stream ? (size_t)snprintf((char *)header, sizeof header, "%zx\r\n", count)
                               : wb_ws_header(header, WB_WS_TEXT, true, count, NULL);
  size_t queued = unsent(client);
  if (!queued) client->large = count;
  if (queued && queued + header_bytes + count > WB_FACE_QUEUE_BYTES_MAX + client->large) return WB_E_FULL;
  if (!put(client, header, header_bytes) || !put(client, bytes, count) || (stream && !put(client, "\r\n", 2)))
    return WB_E_CLOSED;
  client->face->counts.messages_out++;
  return 0;
}

/* ------------------------------------------------------------------------------------------------ receiving */

static void control_frame(wb_face_client *client, int opcode, const uint8_t *payload, size_t bytes) {
  uint8_t frame[WB_WS_HEADER_BYTES_MAX + WB_WS_CONTROL_BYTES_MAX];
  size_t header = wb_ws_header(frame, opcode, true, bytes, NULL);
  if (unsent(client) + header + bytes > WB_FACE_QUEUE_BYTES_MAX + client->large) return;
  if (bytes) memcpy(frame + header, payload, bytes);
  put(client, frame, header + bytes);
}

static void take_item(wb_face_client *client, const wb_ws_item *item) {
  unsigned code = 1005;
  const char *reason = "";
  size_t reason_bytes = 0;
  switch (item->opcode) {
  case WB_WS_TEXT:
    client->face->counts.messages_in++;
    if (!wb_utf8_valid(item->bytes, item->count)) part(client, WB_FACE_BAD_REQUEST, 1007, "no UTF-8");
    else if (client->handler && client->handler->text)
      client->handler->text(client, client->self, (const char *)item->bytes, item->count);
    break;
  case WB_WS_BINARY: part(client, WB_FACE_BAD_REQUEST, 1003, "text messages only"); break;
  case WB_WS_PING: control_frame(client, WB_WS_PONG, item->bytes, item->count); break;
  case WB_WS_CLOSE:
    if (wb_ws_close_parse(item->bytes, item->count, &code, &reason, &reason_bytes) != 0) code = 1002;
    part(client, WB_FACE_ENDED, code == 1005 ? 1000 : code, "");
    break;
  default: break;
  }
}

static size_t take_frames(wb_face_client *client) {
  size_t at = 0;
  while (client->state == WB_FACE_SOCKET) {
    wb_ws_item item;
    size_t consumed = 0, wanted = 0;
    int result = wb_ws_read(client->ws, client->in + at, client->in_count - at, &item, &consumed, &wanted);
    if (result == 0 && wanted > sizeof client->in) result = WB_E_TOO_LARGE;
    if (result == 0) break;
    if (result < 0) {
      part(client, WB_FACE_BAD_REQUEST, wb_ws_close_code(result), wb_error_text(result));
      break;
    }
    at += consumed;
    take_item(client, &item);
  }
  return at;
}

static size_t refuse_bytes(wb_face_client *client, unsigned status, const char *text) {
  client->keep = false;
  wb_face_refuse(client, status, text);
  finish(client, WB_FACE_BAD_REQUEST);
  return client->in_count;
}

/* A request, once it is whole: how many bytes it was. */
static size_t take_request(wb_face_client *client, uint64_t now_ns) {
  wb_http_call call;
  wb_error error;
  int result = wb_http_call_read((const char *)client->in, client->in_count, WB_FACE_HEAD_BYTES_MAX, &call, &error);
  if (result == 0) return 0;
  client->head_only = false;
  if (result < 0) {
    bool target = call.refusal == 431 && !memchr(client->in, '\n', client->in_count);
    client->face->counts.requests++;
    return refuse_bytes(client, target ? 414 : call.refusal, target ? "the target is too long" : error.detail);
  }
  if (call.body_bytes > WB_FACE_BODY_BYTES_MAX) {
    client->face->counts.requests++;
    return refuse_bytes(client, 413, "the body is too large");
  }
  if (client->in_count - call.head_bytes < call.body_bytes) return 0;
  client->keep = !call.close;
  client->asked_ns = now_ns;
  client->answered = false;
  client->face->counts.requests++;
  client->begun = false;
  client->state = WB_FACE_ANSWERING;
  client->call = &call;
  client->head = (const char *)client->in;
  client->head_only = strcmp(call.method, "HEAD") == 0;
  wb_face_route_take(client, &call, now_ns);
  client->call = NULL;
  return call.head_bytes + call.body_bytes;
}

static void take(wb_face_client *client, uint64_t now_ns) {
  size_t used = 0;
  if (client->state == WB_FACE_READING && client->in_count && !client->begun) {
    client->begun = true;
    client->deadline_ns = now_ns + REQUEST_NS;
  }
  if (client->state == WB_FACE_READING && client->in_count) used = take_request(client, now_ns);
  else if (client->state == WB_FACE_SOCKET) used = take_frames(client);
  if (client->state == WB_FACE_STREAM || client->state >= WB_FACE_FINISHING) used = client->in_count;
  client->in_count -= used;
  memmove(client->in, client->in + used, client->in_count);
  if (used && client->in_count && client->state == WB_FACE_SOCKET) take(client, now_ns); /* frames right behind the request */
}

static void end_of_input(wb_face_client *client) {
  client->peer_shut = true;
  if (client->state == WB_FACE_FINISHING) {
    if (client->shut) wb_face_client_end(client, client->ending);
  } else if (client->state != WB_FACE_ANSWERING &&
             client->state != WB_FACE_HELD) { /* those may be half closed and still listen */
    wb_face_client_end(client, WB_FACE_ENDED);
  }
}

static void take_cipher(wb_face_client *client, size_t count, uint64_t now_ns) {
  wb_error error;
  if (count) wb_tls_feed(client->tls, client->cipher, count);
  if (client->state == WB_FACE_SECURING) {
    int result = wb_tls_handshake(client->tls, &error);
    if (result < 0) {
      finish(client, WB_FACE_BAD_TLS); /* an alert may wait */
      client->notified = true;
      flush(client);
      return;
    }
    if (result == 0) return;
    client->state = WB_FACE_READING;
    client->deadline_ns = now_ns + REQUEST_NS;
  }
  while (client->state != WB_FACE_GONE && client->in_count < sizeof client->in) {
    int result = wb_tls_read(client->tls, client->in + client->in_count, sizeof client->in - client->in_count, &error);
    if (result == 0) return;
    if (result == WB_E_CLOSED) end_of_input(client);
    else if (result < 0) wb_face_client_end(client, WB_FACE_BAD_TLS);
    if (result < 0) return;
    client->in_count += (size_t)result;
    take(client, now_ns);
  }
}

static void receive_done(wb_op *op, int result, unsigned flags) {
  wb_face_client *client = op->self;
  if (client->state == WB_FACE_GONE) return;
  if (result < 0) {
    wb_face_client_end(client, WB_FACE_ENDED);
    return;
  }
  uint64_t now_ns = wb_clock_ns();
  client->heard_ns = now_ns;
  client->face->counts.received_bytes += (uint64_t)result;
  if (result == 0) {
    end_of_input(client);
  } else if (client->tls) {
    take_cipher(client, (size_t)result, now_ns);
  } else {
    client->in_count += (size_t)result;
    take(client, now_ns);
  }
  flush(client);
  receive(client);
}

static void receive(wb_face_client *client) {
  if (client->recv_op.busy || client->state == WB_FACE_GONE || client->peer_shut) return;
  if (client->tls && wb_tls_fed(client->tls)) {
    if (client->in_count < sizeof client->in) take_cipher(client, 0, wb_clock_ns());
    if (client->state == WB_FACE_GONE || client->peer_shut || wb_tls_fed(client->tls)) return;
  }
  /* What came behind a request waits where it lies until that is answered. */
  if (client->in_count && (client->state == WB_FACE_ANSWERING || client->state == WB_FACE_HELD)) return;
  if (client->tls) wb_uring_recv(client->face->ring, &client->recv_op, client->fd, client->cipher, WB_FACE_CIPHER_BYTES);
  else
    wb_uring_recv(client->face->ring, &client->recv_op, client->fd, client->in + client->in_count,
                  sizeof client->in - client->in_count);
}

/* ------------------------------------------------------------------------------------------------ life */

wb_face_client *wb_face_client_open(wb_face *face, int fd, const struct in6_addr *address, uint64_t now_ns) {
  wb_face_client *client = calloc(1, sizeof *client);
  bool good = client;
  if (good && face->tls) {
    client->cipher = malloc(WB_FACE_CIPHER_BYTES);
    client->tls = wb_tls_open(face->tls, NULL, NULL);
    good = client->cipher && client->tls;
  }
  if (!good) {
    if (client) free(client->cipher);
    free(client);
    close(fd);
    return NULL;
  }
  client->face = face;
  client->fd = fd;
  client->address = *address;
  client->state = client->tls ? WB_FACE_SECURING : WB_FACE_READING;
  client->deadline_ns = now_ns + REQUEST_NS;
  client->heard_ns = client->progress_ns = now_ns;
  client->recv_op = (wb_op){.done = receive_done, .self = client};
  client->send_op = (wb_op){.done = send_done, .self = client};
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  receive(client);
  return client;
}

static void overdue(wb_face_client *client) {
  switch (client->state) {
  case WB_FACE_SECURING: wb_face_client_end(client, WB_FACE_SLOW_HEAD); break;
  case WB_FACE_READING:
    wb_face_client_end(client, client->begun || !client->asked_ns ? WB_FACE_SLOW_HEAD : WB_FACE_IDLE);
    break;
  case WB_FACE_ANSWERING: wb_face_client_end(client, WB_FACE_SLOW_READER); break;
  case WB_FACE_HELD: wb_face_refuse(client, 503, "the node is too busy to say"); break;
  default: wb_face_client_end(client, client->ending); break;
  }
}

bool wb_face_client_tick(wb_face_client *client, uint64_t now_ns) {
  if (client->handler && client->handler->tick) client->handler->tick(client, client->self, now_ns);
  if (client->deadline_ns && now_ns >= client->deadline_ns) overdue(client);
  if (unsent(client) && now_ns >= client->progress_ns + WB_FACE_SLOW_NS) {
    client->ending = WB_FACE_SLOW_READER;
    wb_face_client_end(client, WB_FACE_SLOW_READER);
  }
  if (client->state == WB_FACE_SOCKET && now_ns >= client->heard_ns + IDLE_NS) part(client, WB_FACE_IDLE, 1001, "silent");
  if (client->state == WB_FACE_SOCKET && now_ns >= client->heard_ns + PING_NS && now_ns >= client->pinged_ns + PING_NS) {
    client->pinged_ns = now_ns;
    control_frame(client, WB_WS_PING, NULL, 0);
  }
  flush(client);
  receive(client);
  return client->state == WB_FACE_GONE && !client->recv_op.busy && !client->send_op.busy;
}
