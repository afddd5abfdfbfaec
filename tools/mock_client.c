#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/host.h"
#include "io/http1.h"
#include "tools/mock_rest.h"

#define CLOSE_NS UINT64_C(2000000000)
/* A slow client still reads megabytes from the kernel's buffers when the last byte was sent; a reset would take them away. */
#define CLOSING_NS UINT64_C(30000000000)
#define SLOW_HEAD_NS UINT64_C(10000000)
#define IDLE_NS UINT64_C(60000000000)
#define IDLE_STEP_NS UINT64_C(1000000000)
enum { IDLE_STEPS = 31, TLS_PIECE_BYTES = 256 << 10, QUEUE_BYTES_MIN = 64 << 10 };

static void receive(wb_mock_client *client);

/* ------------------------------------------------------------------------------------------------ queue */

static bool reserve(wb_mock_bytes *to, size_t bytes) {
  if (to->capacity - to->count >= bytes) return true;
  size_t capacity = to->capacity ? to->capacity : QUEUE_BYTES_MIN;
  while (capacity - to->count < bytes) capacity *= 2;
  uint8_t *grown = realloc(to->bytes, capacity);
  if (!grown) return false;
  to->bytes = grown;
  to->capacity = capacity;
  return true;
}

bool wb_mock_client_room(wb_mock_client *client, size_t bytes) {
  if (client->state != WB_MOCK_OPEN || client->mute) return false;
  if (client->filling.count + client->sending.count - client->sent > client->server->options.client_buffer_bytes) {
    client->filling.count = 0;
    wb_mock_client_close(client, 1008, "ErrSlowConsume");
    return false;
  }
  if (reserve(&client->filling, bytes)) return true;
  wb_mock_client_drop(client, true, "no memory for its queue");
  return false;
}

void wb_mock_client_put_raw(wb_mock_client *client, const void *bytes, size_t count) {
  if (client->state == WB_MOCK_GONE) return;
  if (!reserve(&client->filling, count)) {
    wb_mock_client_drop(client, true, "no memory for its queue");
    return;
  }
  memcpy(client->filling.bytes + client->filling.count, bytes, count);
  client->filling.count += count;
}

void wb_mock_client_put_frame(wb_mock_client *client, int opcode, bool fin, const void *payload, size_t bytes) {
  uint8_t header[WB_WS_HEADER_BYTES_MAX];
  size_t header_bytes = wb_ws_header(header, opcode, fin, bytes, NULL);
  if (!wb_mock_client_room(client, header_bytes + bytes)) return;
  wb_mock_client_put_raw(client, header, header_bytes);
  wb_mock_client_put_raw(client, payload, bytes);
  client->record.bytes += header_bytes + bytes;
}

void wb_mock_client_put(wb_mock_client *client, const char *text, size_t bytes) {
  if (client->state != WB_MOCK_OPEN || client->mute) return;
  size_t hole = wb_mock_dialect_hole(client->server->options.dialect, text, bytes);
  if (hole) {
    wb_mock_number_put(client, text, bytes, hole);
    return;
  }
  if (client->deflate) wb_mock_deflate_put(client, text, bytes);
  else wb_mock_client_put_frame(client, WB_WS_TEXT, true, text, bytes);
  client->record.messages++;
}

/* ------------------------------------------------------------------------------------------------ sending */

static bool next_piece(wb_mock_client *client) {
  if (client->sent == client->sending.count) {
    wb_mock_bytes swap = client->sending;
    client->sending = client->filling;
    client->filling = swap;
    client->filling.count = 0;
    client->sent = 0;
  }
  return client->sent < client->sending.count;
}

static void sent_all(wb_mock_client *client) {
  if (client->reset_when_sent) {
    wb_mock_client_drop(client, true, "reset by a fault");
  } else if (client->state == WB_MOCK_FINISHING && !client->shut) {
    client->shut = true;
    shutdown(client->fd, SHUT_WR);
  }
}

void wb_mock_client_flush(wb_mock_client *client) {
  if (client->send_op.busy || client->state == WB_MOCK_GONE) return;
  wb_uring *ring = client->server->ring;
  if (!client->tls) {
    if (next_piece(client))
      wb_uring_send(ring, &client->send_op, client->fd, client->sending.bytes + client->sent,
                    client->sending.count - client->sent);
    else sent_all(client);
    return;
  }
  size_t count;
  const uint8_t *output = wb_tls_output(client->tls, &count);
  if (!count && client->state != WB_MOCK_SECURING && next_piece(client)) {
    size_t piece = client->sending.count - client->sent;
    if (piece > TLS_PIECE_BYTES) piece = TLS_PIECE_BYTES;
    wb_error error;
    if (wb_tls_write(client->tls, client->sending.bytes + client->sent, piece, &error)) {
      wb_mock_client_drop(client, true, error.detail);
      return;
    }
    client->sent += piece;
    output = wb_tls_output(client->tls, &count);
  }
  if (!count && client->state == WB_MOCK_FINISHING && !client->notified && !client->reset_when_sent) {
    client->notified = true;
    wb_tls_shutdown(client->tls);
    output = wb_tls_output(client->tls, &count);
  }
  if (count) {
    wb_tls_pin(client->tls, true);
    wb_uring_send(ring, &client->send_op, client->fd, output, count);
  } else {
    sent_all(client);
  }
}

static void send_done(wb_op *op, int result, unsigned flags) {
  wb_mock_client *client = op->self;
  if (client->state == WB_MOCK_GONE) return;
  if (result < 0) {
    wb_mock_client_drop(client, false, result == -EPIPE || result == -ECONNRESET ? "reset by the client" : strerror(-result));
    return;
  }
  if (client->tls) {
    wb_tls_pin(client->tls, false);
    wb_tls_sent(client->tls, (size_t)result);
  } else {
    client->sent += (size_t)result;
  }
  if (client->state >= WB_MOCK_CLOSING)
    client->deadline_ns = wb_clock_ns() + (client->state == WB_MOCK_CLOSING ? CLOSING_NS : CLOSE_NS);
  wb_mock_client_flush(client);
}

/* ------------------------------------------------------------------------------------------------ ending */

static void ending(wb_mock_client *client, const char *reason) {
  if (!client->record.ending[0]) snprintf(client->record.ending, sizeof client->record.ending, "%s", reason);
}

static void leave_all(wb_mock_client *client) {
  for (uint32_t i = 0; i < client->server->product_count; i++) {
    wb_mock_server_leave(client->server, &client->server->product[i], client);
    wb_mock_server_unfollow(client->server, &client->server->product[i], client);
  }
  client->heartbeat_ns = 0;
  client->playing = false;
}

void wb_mock_client_close(wb_mock_client *client, unsigned code, const char *reason) {
  if (client->state != WB_MOCK_OPEN) return;
  char text[160];
  snprintf(text, sizeof text, "closed %u %s", code, reason);
  ending(client, text);
  leave_all(client);
  uint8_t payload[WB_WS_CONTROL_BYTES_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
  size_t bytes = strlen(reason), most = sizeof payload - 2;
  if (bytes > most) bytes = most;
  memcpy(payload + 2, reason, bytes);
  uint8_t header[WB_WS_HEADER_BYTES_MAX];
  size_t header_bytes = wb_ws_header(header, WB_WS_CLOSE, true, 2 + bytes, NULL);
  wb_mock_client_put_raw(client, header, header_bytes);
  wb_mock_client_put_raw(client, payload, 2 + bytes);
  if (client->state == WB_MOCK_GONE) return;
  client->state = WB_MOCK_CLOSING;
  client->deadline_ns = wb_clock_ns() + CLOSING_NS;
}

void wb_mock_client_finish(wb_mock_client *client, const char *reason) {
  if (client->state >= WB_MOCK_FINISHING) return;
  ending(client, reason);
  leave_all(client);
  client->state = WB_MOCK_FINISHING;
  client->deadline_ns = wb_clock_ns() + CLOSE_NS;
  wb_mock_client_flush(client);
}

void wb_mock_client_drop(wb_mock_client *client, bool reset, const char *reason) {
  if (client->state == WB_MOCK_GONE) return;
  ending(client, reason);
  leave_all(client);
  client->state = WB_MOCK_GONE;
  client->deadline_ns = 0;
  if (reset) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  }
  wb_uring_cancel(client->server->ring, &client->recv_op);
  wb_uring_cancel(client->server->ring, &client->send_op);
}

bool wb_mock_client_free(wb_mock_client *client) {
  if (client->recv_op.busy || client->send_op.busy) return false;
  close(client->fd);
  if (client->tls) wb_tls_close(client->tls);
  wb_mock_deflate_end(client);
  free(client->in);
  free(client->cipher);
  free(client->filling.bytes);
  free(client->sending.bytes);
  free(client->wants);
  free(client->held.bytes);
  if (client->source) client->source->clients--;
  free(client);
  return true;
}

/* ------------------------------------------------------------------------------------------------ receiving */

/* Whether a message keeps to the limits, or they are not enforced. */
static bool put_up_with(wb_mock_client *client, size_t bytes) {
  wb_mock_server *server = client->server;
  bool too_many = !wb_mock_rate_take(&wb_mock_rate_messages, &client->source->messages_ns, wb_clock_ns());
  bool too_big = bytes > WB_MOCK_LIMIT_BYTES;
  server->breaches.messages += too_many;
  server->breaches.size += too_big;
  if (!server->options.enforce) return true;
  if (too_many) wb_mock_client_close(client, 1008, "ErrSlowRead");
  else if (too_big) wb_mock_client_close(client, 1009, "Message too big");
  return !too_many && !too_big;
}

static void take_item(wb_mock_client *client, const wb_ws_item *item) {
  switch (item->opcode) {
  case WB_WS_TEXT:
    if (!put_up_with(client, item->count)) break;
    if (client->state == WB_MOCK_OPEN && !client->mute)
      client->server->options.dialect->take(client, (const char *)item->bytes, item->count);
    break;
  case WB_WS_BINARY: wb_mock_client_close(client, 1003, "text messages only"); break;
  case WB_WS_PING: wb_mock_client_put_frame(client, WB_WS_PONG, true, item->bytes, item->count); break;
  case WB_WS_CLOSE:
    if (client->mute) break;
    unsigned code = 1005;
    const char *reason = "";
    size_t reason_bytes = 0;
    bool good = wb_ws_close_parse(item->bytes, item->count, &code, &reason, &reason_bytes) == 0;
    if (client->state == WB_MOCK_OPEN) {
      char text[160];
      snprintf(text, sizeof text, "client closed %u %.*s", code, (int)reason_bytes, reason);
      ending(client, text);
      wb_mock_client_close(client, !good ? 1002 : code == 1005 ? 1000 : code, "");
    }
    wb_mock_client_finish(client, "");
    break;
  default: break;
  }
}

static size_t take_frames(wb_mock_client *client) {
  size_t at = 0;
  while (client->state == WB_MOCK_OPEN || client->state == WB_MOCK_CLOSING) {
    wb_ws_item item;
    size_t consumed = 0, wanted = 0;
    uint8_t *bytes = client->in + at;
    size_t count = client->in_count - at;
    int code = client->deflate ? wb_mock_deflate_read(client, bytes, count, &item, &consumed)
                               : wb_ws_read(&client->ws, bytes, count, &item, &consumed, &wanted);
    if (code == 0 && wanted > WB_MOCK_IN_BYTES) code = WB_E_TOO_LARGE;
    if (code < 0) {
      const char *reason = code == WB_E_TOO_LARGE ? "Message too big" : wb_error_text(code);
      wb_mock_client_close(client, wb_ws_close_code(code), reason);
      wb_mock_client_finish(client, reason);
      break;
    }
    at += consumed;
    if (code == 0) return at;
    take_item(client, &item);
  }
  return client->state == WB_MOCK_OPEN || client->state == WB_MOCK_CLOSING ? at : client->in_count;
}

static void refuse(wb_mock_client *client, const char *status, const char *header) {
  char text[256];
  int bytes = snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, header);
  wb_mock_client_put_raw(client, text, (size_t)bytes);
  wb_mock_client_finish(client, status);
}

static size_t take_upgrade(wb_mock_client *client) {
  if (client->slow_bytes || client->held.bytes) return 0;
  wb_http_request request;
  switch (wb_http_upgrade_read((const char *)client->in, client->in_count, &request, NULL)) {
  case 0: return 0;
  case 1: break;
  case WB_E_REFUSED:
    if (request.plain && !client->server->options.recording) return wb_mock_rest_take(client, &request);
    refuse(client, "426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    return client->in_count;
  case WB_E_TOO_LARGE: refuse(client, "431 Request Header Fields Too Large", ""); return client->in_count;
  default: refuse(client, "400 Bad Request", ""); return client->in_count;
  }
  if (!wb_mock_rate_take(&wb_mock_rate_connections, &client->source->connections_ns, wb_clock_ns())) {
    client->server->breaches.connections++;
    if (client->server->options.enforce) {
      refuse(client, "429 Too Many Requests", "Retry-After: 1\r\n");
      return client->in_count;
    }
  }
  const wb_mock_fault *fault = client->server->options.fault;
  if (fault && fault->upgrade && wb_mock_fault_now(client)) {
    wb_mock_fault_happened(client);
    if (fault->upgrade(client, request.key)) return request.head_bytes;
  }
  char answer[384], extensions[128];
  wb_deflate_mode mode = client->server->options.deflate;
  wb_deflate_terms terms;
  bool agreed =
      mode && wb_extension_accept(mode, request.extensions, strlen(request.extensions), &terms, extensions, sizeof extensions);
  int bytes = wb_http_upgrade_answer(request.key, agreed ? extensions : NULL, answer, sizeof answer);
  if (bytes < 0 || (agreed && !wb_mock_deflate_begin(client, &terms))) {
    refuse(client, "500 Internal Server Error", "");
    return client->in_count;
  }
  wb_mock_client_put_raw(client, answer, (size_t)bytes);
  client->state = WB_MOCK_OPEN;
  return request.head_bytes;
}

static void take_input(wb_mock_client *client) {
  size_t before;
  do {
    before = client->in_count;
    size_t done = client->state == WB_MOCK_UPGRADING                                  ? take_upgrade(client)
                  : client->state == WB_MOCK_OPEN || client->state == WB_MOCK_CLOSING ? take_frames(client)
                                                                                      : client->in_count;
    client->in_count -= done;
    memmove(client->in, client->in + done, client->in_count);
  } while (client->in_count && client->in_count != before);
}

static bool take_cipher(wb_mock_client *client, size_t count) {
  if (client->state >= WB_MOCK_FINISHING) return true;
  wb_error error = {0};
  wb_tls_feed(client->tls, client->cipher, count);
  if (client->state == WB_MOCK_SECURING) {
    int code = wb_tls_handshake(client->tls, &error);
    if (code < 0) {
      ending(client, error.detail);
      wb_mock_client_finish(client, error.detail);
      return true;
    }
    if (code) client->state = WB_MOCK_UPGRADING;
  }
  while (client->state > WB_MOCK_SECURING && client->state < WB_MOCK_FINISHING) {
    if (client->in_count == WB_MOCK_IN_BYTES) return false;
    int bytes = wb_tls_read(client->tls, client->in + client->in_count, WB_MOCK_IN_BYTES - client->in_count, &error);
    if (bytes == 0) break;
    if (bytes < 0) {
      if (bytes != WB_E_CLOSED) ending(client, error.detail);
      wb_mock_client_finish(client, "end of stream");
      break;
    }
    client->in_count += (size_t)bytes;
    take_input(client);
  }
  return true;
}

static void recv_done(wb_op *op, int result, unsigned flags) {
  wb_mock_client *client = op->self;
  if (client->state == WB_MOCK_GONE) return;
  if (result <= 0) {
    const char *reason = result == 0 ? "end of stream" : result == -ECONNRESET ? "reset by the client" : strerror(-result);
    wb_mock_client_drop(client, false, reason);
    return;
  }
  bool room = true;
  if (client->tls) {
    room = take_cipher(client, (size_t)result);
  } else {
    client->in_count += (size_t)result;
    take_input(client);
  }
  if (!room || client->in_count == WB_MOCK_IN_BYTES) {
    wb_mock_client_close(client, 1009, "Message too big");
    wb_mock_client_finish(client, "Message too big");
    client->in_count = 0;
  }
  receive(client);
  wb_mock_client_flush(client);
}

static void receive(wb_mock_client *client) {
  if (client->state == WB_MOCK_GONE) return;
  wb_uring *ring = client->server->ring;
  if (client->tls) wb_uring_recv(ring, &client->recv_op, client->fd, client->cipher, WB_MOCK_IN_BYTES);
  else wb_uring_recv(ring, &client->recv_op, client->fd, client->in + client->in_count, WB_MOCK_IN_BYTES - client->in_count);
}

/* ------------------------------------------------------------------------------------------------ clocks */

static void slow_head(wb_mock_client *client, uint64_t now_ns) {
  while (client->slow_sent < client->slow_bytes && now_ns >= client->slow_due_ns) {
    wb_mock_client_put_raw(client, client->slow_head + client->slow_sent++, 1);
    client->slow_due_ns += SLOW_HEAD_NS;
    wb_mock_client_flush(client);
  }
  if (client->slow_sent < client->slow_bytes || client->state != WB_MOCK_UPGRADING) return;
  client->slow_bytes = client->slow_sent = 0;
  client->state = WB_MOCK_OPEN;
  take_input(client);
}

static uint64_t earlier(uint64_t a, uint64_t b) { return b && b < a ? b : a; }

static uint64_t idle_ns(const wb_mock_client *client) {
  const wb_mock_options *options = &client->server->options;
  if (options->idle_given) return options->idle_ns;
  return options->dialect->closes_idle ? IDLE_NS + client->record.number % IDLE_STEPS * IDLE_STEP_NS : 0;
}

/* A message counts, whatever its channel; a ping does not. */
static void look_idle(wb_mock_client *client, uint64_t now_ns) {
  uint64_t most = client->subscribed && !client->mute && client->state == WB_MOCK_OPEN ? idle_ns(client) : 0;
  if (most == 0) {
    client->idle_due_ns = 0;
  } else if (!client->idle_due_ns || client->record.messages != client->idle_messages) {
    client->idle_messages = client->record.messages;
    client->idle_due_ns = now_ns + most;
  } else if (now_ns >= client->idle_due_ns) {
    wb_mock_client_close(client, 1001, "no updates");
    client->idle_due_ns = 0;
  }
}

uint64_t wb_mock_client_tick(wb_mock_client *client, uint64_t now_ns) {
  if (client->state == WB_MOCK_GONE) return UINT64_MAX;
  if (client->slow_bytes) slow_head(client, now_ns);
  if (wb_mock_rest_tick(client, now_ns)) take_input(client);
  if (client->deadline_ns && now_ns >= client->deadline_ns) {
    if (client->state == WB_MOCK_OPEN) {
      wb_mock_client_close(client, 1008, "no subscribe in time");
    } else {
      wb_mock_client_drop(client, client->state == WB_MOCK_CLOSING, "timed out");
      return UINT64_MAX;
    }
  }
  if (client->heartbeat_ns && now_ns >= client->heartbeat_ns) {
    client->heartbeat_ns += UINT64_C(1000000000);
    client->server->options.dialect->heartbeat(client);
  }
  look_idle(client, now_ns);
  uint64_t next = earlier(earlier(earlier(UINT64_MAX, client->deadline_ns), client->heartbeat_ns), client->idle_due_ns);
  if (client->held.bytes) next = earlier(next, client->held.due_ns);
  return client->slow_bytes ? earlier(next, client->slow_due_ns) : next;
}

/* ------------------------------------------------------------------------------------------------ open */

static void address_of(wb_mock_client *client) {
  struct sockaddr_storage storage;
  socklen_t bytes = sizeof storage;
  char host[INET6_ADDRSTRLEN] = "?";
  unsigned port = 0;
  if (getpeername(client->fd, (struct sockaddr *)&storage, &bytes) == 0) {
    if (storage.ss_family == AF_INET) {
      const struct sockaddr_in *in = (const struct sockaddr_in *)&storage;
      inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
      port = ntohs(in->sin_port);
    } else if (storage.ss_family == AF_INET6) {
      const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&storage;
      inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
      port = ntohs(in->sin6_port);
    }
  }
  snprintf(client->record.address, sizeof client->record.address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
  snprintf(client->account, sizeof client->account, "%s", host);
  client->source = wb_mock_source_of(client->server->source, host);
  client->source->clients++;
}

wb_mock_client *wb_mock_client_open(wb_mock_server *server, int fd) {
  wb_mock_client *client = calloc(1, sizeof *client);
  if (client) {
    client->server = server;
    client->fd = fd;
    client->in = malloc(WB_MOCK_IN_BYTES);
    client->wants = calloc(server->product_count ? server->product_count : 1, sizeof *client->wants);
    if (server->tls) {
      client->cipher = malloc(WB_MOCK_IN_BYTES);
      client->tls = wb_tls_open(server->tls, NULL, NULL);
    }
  }
  if (!client || !client->in || !client->wants || (server->tls && (!client->cipher || !client->tls))) {
    if (client) wb_mock_client_free(client);
    else close(fd);
    return NULL;
  }
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  client->recv_op = (wb_op){.done = recv_done, .self = client};
  client->send_op = (wb_op){.done = send_done, .self = client};
  client->state = server->tls ? WB_MOCK_SECURING : WB_MOCK_UPGRADING;
  client->deadline_ns = wb_clock_ns() + server->options.subscribe_ns;
  client->until_fault = client->until_order = server->options.fault_after;
  wb_ws_init(&client->ws, WB_WS_SERVER, WB_MOCK_MESSAGE_BYTES);
  address_of(client);
  receive(client);
  return client;
}
