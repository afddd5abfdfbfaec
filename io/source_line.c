#include "io/source_line.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/ring/atomic.h"
#include "io/host.h"

enum { NOTES_RESERVE_BYTES = 128 << 10, PONG_BACKLOG_BYTES = 16 << 10, SHOWN_BYTES_MIN = 64 << 10, MOVED_BYTES_MAX = 4 << 10 };

static void line_scan(wb_line *l);
static void line_pong(wb_line *l);

void wb_line_say(const wb_line *l, int level, const char *format, ...) {
  char text[480], body[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(body, sizeof body, format, arguments);
  va_end(arguments);
  snprintf(text, sizeof text, "line %s %s", l->name, body);
  for (char *c = text; *c; c++) /* a peer's words may be among it */
    if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) *c = '?';
  l->source->config.host->log(l->source->config.host->self, level, text);
}

static int64_t utc_ns(const wb_line *l) {
  const wb_host *host = l->source->config.host;
  return (int64_t)host->now_ns(host->self) + host->utc_offset_ns(host->self);
}

void wb_line_enter(wb_line *l, wb_line_state state) {
  l->state = state;
  wb_store_relaxed(&l->stats->state, state);
}

/* ------------------------------------------------------------------------------------------------ records */

void wb_line_note(wb_line *l, wb_frame_kind kind, const void *bytes, size_t count, uint64_t recv_ns) {
  wb_source_ws *source = l->source;
  wb_frames *notes = source->config.notes;
  if (count > WB_LINE_NOTE_BYTES_MAX) count = WB_LINE_NOTE_BYTES_MAX;
  if (wb_frames_room(notes, count) < count || wb_frames_slots(notes, 1) == 0) {
    wb_line_say(l, WB_LOG_ERROR, "a record of %zu bytes is lost: the flusher is too far behind", count);
    return;
  }
  memcpy(wb_frames_head(notes), bytes, count);
  wb_frame frame = {.position = notes->head,
                    .recv_ns = recv_ns,
                    .number = source->number++,
                    .bytes = (uint32_t)count,
                    .connection = l->connection,
                    .line = (uint8_t)l->index,
                    .kind = (uint8_t)kind};
  wb_frames_advance(notes, count);
  wb_frames_push(notes, &frame);
  wb_frames_publish(notes);
}

void wb_line_note_text(wb_line *l, wb_frame_kind kind, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  wb_line_note(l, kind, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1, wb_source_now(l->source));
}

/* A record made of journal bytes [position, position + count) that nobody owns yet. */
static void record(wb_line *l, wb_frame_kind kind, uint64_t position, size_t count) {
  if (wb_frames_slots(l->frames, 1) == 0) { /* wb_line_allowance keeps some for the end of a connection */
    wb_line_say(l, WB_LOG_ERROR, "a record of %zu bytes is lost: the readers are too far behind", count);
    return;
  }
  wb_frame frame = {.position = position,
                    .recv_ns = l->recv_ns,
                    .number = l->source->number++,
                    .bytes = (uint32_t)count,
                    .connection = l->connection,
                    .line = (uint8_t)l->index,
                    .kind = (uint8_t)kind};
  wb_frames_push(l->frames, &frame);
}

void wb_line_published(wb_line *l) {
  wb_frames_publish(l->frames);
  wb_store_release(&l->source->taken, l->source->number);
}

/* Escapes what may stand in a reason, for the JSON of notes. */
static const char *plain(const char *text, char *out, size_t size) {
  size_t n = 0;
  for (; *text && n + 1 < size; text++)
    out[n++] = (*text == '"' || *text == '\\')                              ? '\''
               : (unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e ? ' '
                                                                            : *text;
  out[n] = 0;
  return out;
}

/* ------------------------------------------------------------------------------------------------ sending */

static void line_pump(wb_line *l) {
  if (l->send_op.busy || l->fd < 0 || l->state == WB_LINE_CLOSING) return;
  const uint8_t *bytes = l->out;
  size_t count = l->out_count;
  if (l->tls) {
    bytes = wb_tls_output(l->tls, &count);
    if (count) wb_tls_pin(l->tls, true);
  }
  if (!count) return;
  l->out_sending = count;
  wb_uring_send(l->source->ring, &l->send_op, l->file, bytes, count);
}

void wb_line_on_sent(wb_op *op, int result, unsigned flags) {
  wb_line *l = op->self;
  if (l->tls) wb_tls_pin(l->tls, false);
  if (l->state == WB_LINE_CLOSING) return;
  if (result < 0) {
    wb_line_fail(l, false, "send failed: %s", strerror(-result));
    return;
  }
  if (l->tls) {
    wb_tls_sent(l->tls, (size_t)result);
  } else {
    l->out_count -= (size_t)result;
    memmove(l->out, l->out + result, l->out_count);
  }
  line_pong(l);
  line_pump(l);
}

static bool line_write(wb_line *l, const void *bytes, size_t count) {
  size_t waiting = l->out_count;
  if (l->tls) wb_tls_output(l->tls, &waiting);
  if (waiting + count > WB_LINE_OUT_BYTES) {
    wb_line_fail(l, false, "the peer does not read what is sent to it");
    return false;
  }
  if (l->tls) {
    wb_error error;
    if (wb_tls_write(l->tls, bytes, count, &error) != 0) {
      wb_line_fail(l, false, "TLS: %s", error.detail);
      return false;
    }
  } else {
    memcpy(l->out + l->out_count, bytes, count);
    l->out_count += count;
  }
  line_pump(l);
  return true;
}

bool wb_line_send(wb_line *l, int opcode, const void *payload, size_t count) {
  uint8_t frame[WB_WS_HEADER_BYTES_MAX + WB_LINE_NOTE_BYTES_MAX];
  uint8_t mask[4];
  if (count > WB_LINE_NOTE_BYTES_MAX) return false;
  wb_random_fill(mask, sizeof mask);
  size_t header = wb_ws_header(frame, opcode, true, count, mask);
  memcpy(frame + header, payload, count);
  wb_ws_mask(frame + header, count, mask, 0);
  return line_write(l, frame, header + count);
}

void wb_line_send_close(wb_line *l, unsigned code) {
  if (l->close_sent) return;
  uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
  l->close_sent = true;
  wb_line_send(l, WB_WS_CLOSE, payload, 2);
}

bool wb_line_send_text(wb_line *l, const char *text, size_t count) {
  wb_login *login = l->source->config.login;
  wb_login_text to = {text, count};
  if (login && wb_login_sign(login, text, count, utc_ns(l), &to) != 0) {
    wb_line_fail(l, false, "a login could not be signed");
    return false;
  }
  bool sent = wb_line_send(l, WB_WS_TEXT, to.text, to.bytes);
  if (login) wb_login_strike(login, &to);
  if (sent) wb_line_note(l, WB_FRAME_SENT, to.text, to.bytes, wb_source_now(l->source));
  wb_store_release(&l->source->taken, l->source->number);
  return sent;
}

/* ------------------------------------------------------------------------------------------------ end of a connection */

void wb_line_settle(wb_line *l) {
  if (l->state != WB_LINE_CLOSING || l->connect_op.busy || l->recv_op.busy || l->send_op.busy) return;
  wb_source_ws *source = l->source;
  if (l->fd >= 0) {
    if (l->file & WB_URING_FIXED) wb_uring_file_remove(source->ring, l->file);
    close(l->fd);
  }
  l->fd = l->file = -1;
  wb_tls_close(l->tls);
  l->tls = NULL;
  if (source->stopping || l->permanent || source->config.once) {
    wb_line_enter(l, WB_LINE_ENDED);
    return;
  }
  wb_line_enter(l, WB_LINE_IDLE);
}

void wb_line_fail(wb_line *l, bool permanent, const char *format, ...) {
  wb_source_ws *source = l->source;
  if (l->state == WB_LINE_CLOSING || l->state == WB_LINE_ENDED) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(l->why, sizeof l->why, format, arguments);
  va_end(arguments);

  wb_line_state was = l->state;
  bool up = was == WB_LINE_OPEN || was == WB_LINE_ENDING;
  bool expected = source->stopping && up;
  if (up || was == WB_LINE_UPGRADING) {
    size_t lost = l->deflated ? wb_wire_drain(l->wire, l->frames) : 0;
    if (lost) wb_line_say(l, WB_LOG_ERROR, "%zu bytes that were received are lost: the readers are too far behind", lost);
    uint64_t rest = l->frames->head - l->scan;
    if (rest) record(l, was == WB_LINE_UPGRADING ? WB_FRAME_HTTP : WB_FRAME_PARTIAL, l->scan, rest);
    l->scan = l->frames->head;
    wb_line_published(l);
  }
  uint64_t now_ns = wb_source_now(source);
  l->recv_ns = now_ns;
  if (up) {
    char text[256];
    wb_line_note_text(l, expected ? WB_FRAME_END : WB_FRAME_DISCONNECT,
                      "{\"event\":\"%s\",\"line\":%u,\"connection\":%u,\"reason\":\"%s\"}", expected ? "end" : "disconnect",
                      l->index, l->connection, plain(l->why, text, sizeof text));
    wb_line_published(l);
    if (now_ns - l->open_ns >= source->config.good_ns && wb_load_relaxed(&l->stats->messages)) l->tries = 0;
  }
  /* A peer that never let us in and will not: nothing to wait for. */
  l->permanent = permanent && wb_load_relaxed(&l->stats->connects) == 0;
  if (!expected && (l->permanent || source->config.once) && source->error.code == 0 && !(source->config.once && up))
    wb_error_set(&source->error, permanent ? WB_E_REFUSED : WB_E_CONNECT, 0, "connect", "%s: %s", source->config.url[l->index],
                 l->why);

  if (!source->stopping && !l->permanent && !source->config.once) {
    uint64_t cap = source->config.backoff_min_ns;
    for (unsigned i = 0; i < l->tries && cap < source->config.backoff_max_ns; i++) cap *= 2;
    if (cap > source->config.backoff_max_ns) cap = source->config.backoff_max_ns;
    uint64_t dice;
    wb_random_fill(&dice, sizeof dice);
    uint64_t wait_ns = dice % cap;
    if (wait_ns < WB_LINE_SEND_INTERVAL_NS) wait_ns = WB_LINE_SEND_INTERVAL_NS;
    if (wait_ns < l->retry_after_ns) wait_ns = l->retry_after_ns;
    l->retry_after_ns = 0;
    l->tries++;
    l->due_ns = now_ns + wait_ns;
    wb_store_relaxed(&l->stats->reconnects, l->stats->reconnects + 1);
    wb_line_say(l, WB_LOG_WARNING, "%s: %s; next attempt in %llu ms", up ? "disconnected" : "not connected", l->why,
                (unsigned long long)(wait_ns / WB_LINE_MS));
  } else {
    wb_line_say(l, expected ? WB_LOG_INFO : WB_LOG_WARNING, "ended: %s", l->why);
  }

  wb_line_enter(l, WB_LINE_CLOSING);
  if (l->connect_op.busy) wb_uring_cancel(source->ring, &l->connect_op);
  if (l->recv_op.busy) wb_uring_cancel(source->ring, &l->recv_op);
  l->into = NULL;
  if (l->send_op.busy) wb_uring_cancel(source->ring, &l->send_op);
  /* line_time settles it, so that whoever called on the way here finds the connection in place, and CLOSING. */
}

/* The end of a closing handshake, whose reason is known already. */
void wb_line_hang_up(wb_line *l) {
  char why[sizeof l->why];
  memcpy(why, l->why, sizeof why);
  wb_line_fail(l, false, "%s", why);
}

/* ------------------------------------------------------------------------------------------------ receiving */

static void line_opened(wb_line *l, const wb_deflate_terms *deflate) {
  wb_source_ws *source = l->source;
  l->open_ns = l->heard_ns = l->recv_ns;
  l->due_ns = 0;
  l->close_sent = l->pinged = l->close_seen = l->deaf = false;
  wb_ws_init(&l->ws, WB_WS_CLIENT, source->config.message_bytes_max);
  l->deflated = deflate->server != WB_DEFLATE_OFF;
  if (l->deflated) {
    wb_wire_begin(l->wire, deflate, wb_frames_at(l->frames, l->scan), l->frames->head - l->scan);
    l->scan = l->frames->head;
  }
  wb_store_relaxed(&l->stats->connects, l->stats->connects + 1);
  static const char *const deflated[] = {"", ", permessage-deflate with context takeover",
                                         ", permessage-deflate without context takeover"};
  char tls[96] = "none", text[256];
  if (l->tls) wb_tls_describe(l->tls, tls, sizeof tls);
  wb_line_begin(l);
  wb_line_note_text(l, WB_FRAME_CONNECT,
                    "{\"event\":\"connect\",\"line\":%u,\"connection\":%u,\"url\":\"%s\",\"address\":\"%s\",\"tls\":\"%s\"}",
                    l->index, l->connection, plain(source->config.url[l->index], text, sizeof text),
                    l->address[l->address_index].text, tls);
  wb_line_published(l);
  wb_line_enter(l, WB_LINE_OPEN);
  wb_line_say(l, WB_LOG_INFO, "connected to %s (%s), TLS %s%s", source->config.url[l->index], l->address[l->address_index].text,
              tls, source->config.deflate && !l->deflated ? ", permessage-deflate declined" : deflated[deflate->server]);
}

/* What a refusal asks for, at most an hour. */
static uint64_t retry_after_ns(const wb_line *l, const wb_http_response *response) {
  int64_t wait_s = response->retry_after_s;
  if (response->retry_at_utc_s) wait_s = response->retry_at_utc_s - utc_ns(l) / 1000000000 + 1;
  return wait_s <= 0 ? 0 : (uint64_t)(wait_s < 3600 ? wait_s : 3600) * 1000 * WB_LINE_MS;
}

/* A login bears a time. */
static void line_clock(wb_line *l, int64_t date_utc_s) {
  wb_login *login = l->source->config.login;
  if (!login || !date_utc_s) return;
  int64_t skew_s = wb_login_heard(login, utc_ns(l), date_utc_s);
  if (llabs(skew_s) > WB_LOGIN_SKEW_S_MAX)
    wb_line_say(l, WB_LOG_WARNING, "this machine's clock is %lld s %s the exchange's, logins will be refused", llabs(skew_s),
                skew_s > 0 ? "ahead of" : "behind");
}

static void line_upgrade(wb_line *l) {
  wb_http_response response;
  wb_error error;
  const char *bytes = (const char *)wb_frames_at(l->frames, l->scan);
  memset(&response, 0, sizeof response);
  int result = wb_http_upgrade_response(bytes, l->frames->head - l->scan, l->key, l->source->config.deflate, &response, &error);
  if (result == 0) return;
  if (result < 0) {
    unsigned status = result == WB_E_REFUSED ? response.status : 0;
    bool permanent = status >= 300 && status < 500 && status != 408 && status != 425 && status != 429;
    l->retry_after_ns = retry_after_ns(l, &response);
    wb_line_fail(l, permanent, "%s", error.detail);
    return;
  }
  record(l, WB_FRAME_HTTP, l->scan, response.head_bytes);
  l->scan += response.head_bytes;
  wb_line_published(l);
  line_clock(l, response.date_utc_s);
  line_opened(l, &response.deflate);
}

/* Answers the newest ping only, when they come faster than the peer reads the answers (RFC 6455 5.5.3). */
static void line_pong(wb_line *l) {
  size_t waiting = l->out_count;
  if (l->tls) wb_tls_output(l->tls, &waiting);
  if (!l->pong_owed || waiting > PONG_BACKLOG_BYTES) return;
  l->pong_owed = false;
  if (!l->close_sent) wb_line_send(l, WB_WS_PONG, l->pong, l->pong_bytes);
}

/* position: of the payload in the journal; a frame nested in a message that is not complete lies elsewhere, and is noted. */
static void line_control(wb_line *l, const wb_ws_item *item, uint64_t position) {
  static const uint8_t kinds[] = {[WB_WS_CLOSE] = WB_FRAME_CLOSE, [WB_WS_PING] = WB_FRAME_PING, [WB_WS_PONG] = WB_FRAME_PONG};
  if (item->nested) wb_line_note(l, (wb_frame_kind)kinds[item->opcode], item->bytes, item->count, l->recv_ns);
  else record(l, (wb_frame_kind)kinds[item->opcode], position, item->count);
  if (item->opcode == WB_WS_PING) {
    memcpy(l->pong, item->bytes, item->count);
    l->pong_bytes = item->count;
    l->pong_owed = true;
    line_pong(l);
  } else if (item->opcode == WB_WS_CLOSE && !l->close_seen) {
    l->close_seen = true;
    unsigned code = 1005;
    const char *reason = "";
    size_t reason_bytes = 0;
    int result = wb_ws_close_parse(item->bytes, item->count, &code, &reason, &reason_bytes);
    bool ours = l->close_sent;
    wb_line_send_close(l, result == 0 ? (code == 1005 ? 1000 : code) : wb_ws_close_code(result));
    if (l->state == WB_LINE_CLOSING) return;
    if (result == 0)
      snprintf(l->why, sizeof l->why, ours ? "closed" : "peer closed with %u%s%.*s", code, reason_bytes ? ": " : "",
               (int)reason_bytes, reason);
    else snprintf(l->why, sizeof l->why, "peer closed with a malformed close frame");
    if (ours) {
      wb_line_hang_up(l);
      return;
    }
    wb_line_enter(l, WB_LINE_ENDING);
    l->deaf = true;                                           /* RFC 6455 5.5.1: the peer sends nothing more that counts */
    l->due_ns = wb_source_now(l->source) + 1000 * WB_LINE_MS; /* for the answer to leave and the peer to hang up */
  }
}

/* The reserve that only the beginning and the end of connections may use: 4 descriptors of the line, 32 and 64 KiB of the notes. */
size_t wb_line_allowance(wb_line *l) {
  wb_frames *notes = l->source->config.notes;
  size_t records = wb_frames_slots(l->frames, 8), said = wb_frames_slots(notes, 64),
         room = wb_frames_room(notes, NOTES_RESERVE_BYTES);
  if (records < 8 || said < 64 || room < NOTES_RESERVE_BYTES) return 0;
  size_t allowed = records - 4;
  if (said - 32 < allowed) allowed = said - 32;
  size_t nested = (room - NOTES_RESERVE_BYTES / 2) / WB_WS_CONTROL_BYTES_MAX;
  return nested < allowed ? nested : allowed;
}

static void line_stall(wb_line *l) {
  if (l->stalled) return;
  l->stalled = true;
  wb_store_relaxed(&l->stats->stalls, l->stats->stalls + 1);
  uint64_t now_ns = wb_source_now(l->source);
  if (now_ns - l->stall_note_ns < 1000 * WB_LINE_MS) return;
  l->stall_note_ns = now_ns;
  wb_line_note_text(l, WB_FRAME_STALL, "{\"event\":\"stall\",\"line\":%u,\"stalls\":%llu}", l->index,
                    (unsigned long long)l->stats->stalls);
}

static void line_scan(wb_line *l) {
  if (l->state == WB_LINE_UPGRADING) {
    if (wb_line_allowance(l) == 0) {
      line_stall(l);
      return;
    }
    line_upgrade(l);
  }
  uint64_t messages = 0, bytes = 0;
  size_t slots = 0;
  while (l->state == WB_LINE_OPEN || l->state == WB_LINE_ENDING) {
    if (slots == 0 && (slots = wb_line_allowance(l)) == 0) {
      line_stall(l);
      break;
    }
    if (l->deaf) {
      if (l->deflated && wb_wire_drain(l->wire, l->frames)) line_stall(l);
      uint64_t rest = l->frames->head - l->scan;
      if (rest) record(l, WB_FRAME_PARTIAL, l->scan, rest);
      l->scan = l->frames->head;
      break;
    }
    wb_ws_item item;
    size_t consumed;
    uint8_t *at = wb_frames_at(l->frames, l->scan);
    int result = l->deflated ? wb_wire_read(l->wire, &l->ws, l->frames, l->scan, &item, &consumed)
                             : wb_ws_read(&l->ws, at, l->frames->head - l->scan, &item, &consumed, NULL);
    if (result == 0) {
      size_t header = wb_ws_message_begins(&l->ws, at, l->frames->head - l->scan);
      if (header && l->frames->head - l->scan >= SHOWN_BYTES_MIN) wb_frames_show(l->frames, l->scan + header);
      break;
    }
    if (result == WB_E_FULL) {
      line_stall(l);
      break;
    }
    if (result < 0) {
      wb_line_published(l);
      unsigned code = wb_ws_close_code(result);
      wb_line_send_close(l, code);
      if (l->state == WB_LINE_CLOSING) break;
      if (result == WB_E_TOO_LARGE)
        snprintf(l->why, sizeof l->why,
                 "message larger than %llu bytes (--max-message) or cut into too many pieces, closed with 1009",
                 (unsigned long long)l->source->config.message_bytes_max);
      else
        snprintf(l->why, sizeof l->why, "%s, closed with %u",
                 result == WB_E_DAMAGED ? "damaged compressed data" : wb_error_text(result), code);
      /* What follows cannot be framed any more: let the close leave, then hang up. */
      l->due_ns = wb_source_now(l->source) + 200 * WB_LINE_MS;
      wb_line_enter(l, WB_LINE_ENDING);
      if (l->deflated) wb_wire_drain(l->wire, l->frames);
      record(l, result == WB_E_TOO_LARGE ? WB_FRAME_OVERSIZE : WB_FRAME_VIOLATION, l->scan, l->frames->head - l->scan);
      l->scan = l->frames->head;
      l->deaf = true;
      continue;
    }
    if (item.opcode == WB_WS_TEXT || item.opcode == WB_WS_BINARY) {
      record(l, item.opcode == WB_WS_TEXT ? WB_FRAME_TEXT : WB_FRAME_BINARY, l->scan + (uint64_t)(item.bytes - at), item.count);
      messages++;
      bytes += item.count;
      slots--;
      l->scan += consumed;
    } else {
      uint64_t position = l->scan + (uint64_t)(item.nested ? 0 : item.bytes - at);
      l->scan += consumed;
      line_control(l, &item, position);
      slots--;
    }
  }
  if (messages) {
    wb_store_relaxed(&l->stats->messages, l->stats->messages + messages);
    wb_store_relaxed(&l->stats->bytes, l->stats->bytes + bytes);
  }
  wb_line_published(l);
}

bool wb_line_ask_upgrade(wb_line *l) {
  wb_line_enter(l, WB_LINE_UPGRADING);
  l->deflated = false;
  char request[2048];
  int n = wb_http_upgrade_request(&l->url, l->key, "wirebook/" WB_VERSION, l->source->config.deflate, request, sizeof request);
  if (n >= 0) return line_write(l, request, (size_t)n);
  wb_line_fail(l, true, "the URL is too long");
  return false;
}

/* Where the next bytes of the peer go, TLS taken off, and how many may come at once. A message that has only begun in the journal moves with the
 * head; one that is large stays, the parser may be reading it. */
static size_t line_room(wb_line *l, uint8_t **at) {
  size_t room;
  if (l->deflated) {
    room = wb_wire_room(l->wire, at);
  } else {
    uint64_t rest = l->frames->head - l->scan;
    if (rest <= MOVED_BYTES_MAX && wb_frames_turn(l->frames, rest, WB_LINE_RECV_BYTES_MAX)) l->scan = l->frames->head - rest;
    *at = wb_frames_head(l->frames);
    room = wb_frames_room(l->frames, WB_LINE_RECV_BYTES_MAX);
  }
  return room < WB_LINE_RECV_BYTES_MAX ? room : WB_LINE_RECV_BYTES_MAX;
}

static void line_take(wb_line *l, size_t count) {
  if (l->deflated) wb_wire_advance(l->wire, count);
  else wb_frames_advance(l->frames, count);
  line_scan(l);
}

/* Decrypts all that was received; false while there is no room for plaintext. */
bool wb_line_decrypt(wb_line *l) {
  wb_error error;
  for (;;) {
    if (l->state == WB_LINE_CLOSING) return true;
    if (l->state == WB_LINE_SECURING) {
      int result = wb_tls_handshake(l->tls, &error);
      line_pump(l);
      if (result == 0) return true;
      if (result < 0) {
        wb_line_fail(l, result == WB_E_CERTIFICATE, "TLS: %s", error.detail);
        return true;
      }
      if (!wb_line_ask_upgrade(l)) return true;
    }
    uint8_t *at;
    size_t room = line_room(l, &at);
    if (room == 0) return false;
    int n = wb_tls_read(l->tls, at, room, &error);
    line_pump(l);
    if (n == 0) return true;
    if (n < 0) {
      line_scan(l);
      if (n == WB_E_CLOSED && l->state == WB_LINE_ENDING) wb_line_hang_up(l);
      else if (n == WB_E_CLOSED) wb_line_fail(l, false, "the peer closed TLS");
      else wb_line_fail(l, false, "TLS: %s", error.detail);
      return true;
    }
    line_take(l, (size_t)n);
    if (l->stalled) return false;
  }
}

void wb_line_on_received(wb_op *op, int result, unsigned flags) {
  wb_line *l = op->self;
  if (l->state == WB_LINE_CLOSING) return;
  if (result <= 0) {
    if (result == -ECANCELED || result == -EAGAIN || result == -EINTR) {
      wb_line_arm(l);
    } else if (l->state == WB_LINE_ENDING) {
      wb_line_hang_up(l);
    } else {
      static const char *const doing[] = {[WB_LINE_SECURING] = "in the TLS handshake",
                                          [WB_LINE_UPGRADING] = "before it answered the upgrade",
                                          [WB_LINE_OPEN] = "without a close frame"};
      if (result == 0) wb_line_fail(l, false, "the peer hung up %s", doing[l->state]);
      else wb_line_fail(l, false, "%s", strerror(-result));
    }
    return;
  }
  l->recv_ns = wb_source_now(l->source);
  l->heard_ns = l->recv_ns;
  l->pinged = false;
  wb_store_relaxed(&l->stats->recv_ns, l->recv_ns);
  if (l->tls) {
    wb_tls_feed(l->tls, l->cipher, (size_t)result);
    if (!wb_line_decrypt(l)) line_stall(l);
  } else {
    line_take(l, (size_t)result);
  }
  wb_line_arm(l);
}

static void line_receive(wb_line *l, void *bytes, size_t count) {
  if (l->source->config.spins) l->into = bytes, l->into_bytes = count;
  else wb_uring_recv(l->source->ring, &l->recv_op, l->file, bytes, count);
}

void wb_line_arm(wb_line *l) {
  if (l->recv_op.busy || l->into || l->stalled || l->state < WB_LINE_SECURING || l->state > WB_LINE_ENDING) return;
  if (l->tls) {
    line_receive(l, l->cipher, WB_LINE_CIPHER_BYTES);
    return;
  }
  uint8_t *at;
  size_t room = line_room(l, &at);
  if (room == 0) {
    line_stall(l);
    return;
  }
  line_receive(l, at, room);
}

/* A thread that never sleeps has nothing to gain from a receive that the kernel keeps: its way through the queues costs half a
 * microsecond. */
int wb_line_poll(wb_line *l) {
  if (!l->into) return 0;
  ssize_t count = recv(l->fd, l->into, l->into_bytes, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  l->into = NULL;
  wb_line_on_received(&l->recv_op, count < 0 ? -errno : (int)count, 0);
  return 1;
}

/* Tries again after a reader gave room back. */
bool wb_line_unstall(wb_line *l) {
  bool all_back = wb_frames_slots(l->frames, l->frames->frame_count) == l->frames->frame_count;
  uint8_t *at;
  size_t room = l->deflated ? wb_frames_room(l->frames, WB_LINE_RECV_BYTES_MAX) : line_room(l, &at);
  if (room == 0) {
    if (all_back) /* and still there is no room: what lies there can never become a record */
      wb_line_fail(l, false, "a message that does not fit the journal (--journal)");
    return false;
  }
  if (wb_line_allowance(l) == 0) return false;
  l->stalled = false;
  l->heard_ns = wb_source_now(l->source); /* the peer was held back, not silent */
  l->pinged = false;
  line_scan(l);
  if (!l->stalled && l->tls && l->state != WB_LINE_CLOSING && !wb_line_decrypt(l)) l->stalled = true;
  wb_line_arm(l);
  return true;
}
