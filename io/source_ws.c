#include "io/source_ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/ring/atomic.h"
#include "engine/stages/book_stage.h"
#include "io/host.h"
#include "io/http1.h"
#include "io/resolve.h"
#include "io/tls.h"
#include "io/uring.h"
#include "io/ws.h"

enum {
  RECV_BYTES_MAX = 256 << 10,
  CIPHER_BYTES = 256 << 10,
  OUT_BYTES = 256 << 10,
  ADDRESSES_MAX = 8,
  PRODUCTS_PER_SUBSCRIBE = 100,
  NOTES_RESERVE_BYTES = 128 << 10,
  NOTE_BYTES_MAX = 32 << 10
};
static const uint64_t MS = 1000000, SEND_INTERVAL_NS = 125 * 1000000; /* at most 8 client messages a second */

typedef struct line {
  wb_source_ws *source;
  unsigned index;
  wb_frames *frames;
  wb_url url;
  wb_line_stats *stats;
  wb_line_state state;
  char why[256];  /* the connection ended */
  bool permanent; /* do not try again */

  wb_resolve *resolve;
  wb_address address[ADDRESSES_MAX];
  unsigned address_count, address_index;
  int fd, file;
  wb_op connect_op, recv_op, send_op;
  wb_tls *tls;
  uint8_t *cipher, *out;
  size_t out_count, out_sending;
  wb_ws ws;
  char key[WB_WS_KEY_BYTES + 1];
  uint64_t scan; /* journal position of the first byte not yet part of a record */
  uint64_t recv_ns;
  bool stalled, close_sent, pinged;
  bool deaf; /* framing is lost: what still comes is kept raw only */
  uint16_t connection;

  uint64_t due_ns; /* IDLE: next attempt; others: deadline of the state, 0 none */
  uint64_t open_ns;
  unsigned tries;
  uint64_t send_due_ns; /* next subscribe may be sent */
  uint32_t subscribed;  /* products asked for since open */
  uint8_t *resync;      /* per product: unsubscribe and subscribe wanted */
  uint32_t resync_count;
} line;

struct wb_source_ws {
  wb_source_ws_config config;
  wb_uring *ring;
  wb_tls_context *tls;
  line line[WB_LINE_COUNT_MAX];
  wb_line_stats stats[WB_LINE_COUNT_MAX];
  const char *level2[8];
  uint64_t number;     /* W ingest, private */
  uint64_t taken;      /* W ingest, R any: numbers published */
  uint32_t stop_asked; /* W any, R ingest */
  uint32_t ended;      /* W ingest (after error), R any */
  bool stopping;
  unsigned turn;
  wb_error error;
};

static void line_fail(line *l, bool permanent, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void line_scan(line *l);
static void line_arm(line *l);

static uint64_t now(const wb_source_ws *source) { return source->config.host->now_ns(source->config.host->self); }

static void say(const line *l, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(const line *l, int level, const char *format, ...) {
  char text[480], body[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(body, sizeof body, format, arguments);
  va_end(arguments);
  snprintf(text, sizeof text, "line %c %s", 'A' + (int)l->index, body);
  l->source->config.host->log(l->source->config.host->self, level, text);
}

static void line_enter(line *l, wb_line_state state) {
  l->state = state;
  wb_store_relaxed(&l->stats->state, state);
}

/* ------------------------------------------------------------------------------------------------ records */

static void note(line *l, wb_frame_kind kind, const void *bytes, size_t count) {
  wb_source_ws *source = l->source;
  wb_frames *notes = source->config.notes;
  if (count > NOTE_BYTES_MAX) count = NOTE_BYTES_MAX;
  if (wb_frames_room(notes, count) < count || wb_frames_slots(notes, 1) == 0) {
    say(l, WB_LOG_ERROR, "a record of %zu bytes is lost: the flusher is too far behind", count);
    return;
  }
  memcpy(wb_frames_head(notes), bytes, count);
  wb_frame frame = {.position = notes->head,
                    .recv_ns = l->recv_ns,
                    .number = source->number++,
                    .bytes = (uint32_t)count,
                    .connection = l->connection,
                    .line = (uint8_t)l->index,
                    .kind = (uint8_t)kind};
  wb_frames_advance(notes, count);
  wb_frames_push(notes, &frame);
  wb_frames_publish(notes);
}

static void note_text(line *l, wb_frame_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note_text(line *l, wb_frame_kind kind, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  note(l, kind, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

/* A record made of journal bytes [position, position + count) that nobody owns yet. */
static void record(line *l, wb_frame_kind kind, uint64_t position, size_t count) {
  wb_frame frame = {.position = position,
                    .recv_ns = l->recv_ns,
                    .number = l->source->number++,
                    .bytes = (uint32_t)count,
                    .connection = l->connection,
                    .line = (uint8_t)l->index,
                    .kind = (uint8_t)kind};
  wb_frames_push(l->frames, &frame);
}

static void published(line *l) {
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

static void line_pump(line *l) {
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

static void on_sent(wb_op *op, int result, unsigned flags) {
  line *l = op->self;
  if (l->tls) wb_tls_pin(l->tls, false);
  if (l->state == WB_LINE_CLOSING) return;
  if (result < 0) {
    line_fail(l, false, "send failed: %s", strerror(-result));
    return;
  }
  if (l->tls) {
    wb_tls_sent(l->tls, (size_t)result);
  } else {
    l->out_count -= (size_t)result;
    memmove(l->out, l->out + result, l->out_count);
  }
  line_pump(l);
}

static bool line_write(line *l, const void *bytes, size_t count) {
  if (l->tls) {
    wb_error error;
    if (wb_tls_write(l->tls, bytes, count, &error) != 0) {
      line_fail(l, false, "TLS: %s", error.detail);
      return false;
    }
  } else if (l->out_count + count > OUT_BYTES) {
    line_fail(l, false, "the peer does not read what is sent to it");
    return false;
  } else {
    memcpy(l->out + l->out_count, bytes, count);
    l->out_count += count;
  }
  line_pump(l);
  return true;
}

static bool line_send(line *l, int opcode, const void *payload, size_t count) {
  uint8_t frame[WB_WS_HEADER_BYTES_MAX + NOTE_BYTES_MAX];
  uint8_t mask[4];
  if (count > NOTE_BYTES_MAX) return false;
  wb_random_fill(mask, sizeof mask);
  size_t header = wb_ws_header(frame, opcode, true, count, mask);
  memcpy(frame + header, payload, count);
  wb_ws_mask(frame + header, count, mask, 0);
  return line_write(l, frame, header + count);
}

static void line_send_close(line *l, unsigned code) {
  if (l->close_sent) return;
  uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
  l->close_sent = true;
  line_send(l, WB_WS_CLOSE, payload, 2);
}

static bool line_send_text(line *l, const char *text, size_t count) {
  if (!line_send(l, WB_WS_TEXT, text, count)) return false;
  note(l, WB_FRAME_SENT, text, count);
  wb_store_release(&l->source->taken, l->source->number);
  return true;
}

/* ------------------------------------------------------------------------------------------------ end of a connection */

static void line_settle(line *l) {
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
    line_enter(l, WB_LINE_ENDED);
    return;
  }
  line_enter(l, WB_LINE_IDLE);
}

static void line_fail(line *l, bool permanent, const char *format, ...) {
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
    uint64_t rest = l->frames->head - l->scan;
    if (rest) record(l, was == WB_LINE_UPGRADING ? WB_FRAME_HTTP : WB_FRAME_PARTIAL, l->scan, rest);
    l->scan = l->frames->head;
    published(l);
  }
  uint64_t now_ns = now(source);
  l->recv_ns = now_ns;
  if (up) {
    char text[256];
    note_text(l, expected ? WB_FRAME_END : WB_FRAME_DISCONNECT,
              "{\"event\":\"%s\",\"line\":%u,\"connection\":%u,\"reason\":\"%s\"}", expected ? "end" : "disconnect", l->index,
              l->connection, plain(l->why, text, sizeof text));
    published(l);
    if (now_ns - l->open_ns >= source->config.good_ns && wb_load_relaxed(&l->stats->messages)) l->tries = 0;
  }
  /* A peer that never let us in and will not: nothing to wait for. */
  l->permanent = permanent && l->connection == 0;
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
    if (wait_ns < SEND_INTERVAL_NS) wait_ns = SEND_INTERVAL_NS;
    if (l->due_ns > now_ns + wait_ns && was == WB_LINE_UPGRADING) wait_ns = l->due_ns - now_ns; /* Retry-After */
    l->tries++;
    l->due_ns = now_ns + wait_ns;
    wb_store_relaxed(&l->stats->reconnects, l->stats->reconnects + 1);
    say(l, WB_LOG_WARNING, "%s: %s; next attempt in %llu ms", up ? "disconnected" : "not connected", l->why,
        (unsigned long long)(wait_ns / MS));
  } else {
    say(l, expected ? WB_LOG_INFO : WB_LOG_WARNING, "ended: %s", l->why);
  }

  line_enter(l, WB_LINE_CLOSING);
  if (l->connect_op.busy) wb_uring_cancel(source->ring, &l->connect_op);
  if (l->recv_op.busy) wb_uring_cancel(source->ring, &l->recv_op);
  if (l->send_op.busy) wb_uring_cancel(source->ring, &l->send_op);
  /* line_time settles it, so that whoever called on the way here finds the connection in place, and CLOSING. */
}

/* The end of a closing handshake, whose reason is known already. */
static void line_hang_up(line *l) {
  char why[sizeof l->why];
  memcpy(why, l->why, sizeof why);
  line_fail(l, false, "%s", why);
}

/* ------------------------------------------------------------------------------------------------ receiving */

static void line_opened(line *l) {
  wb_source_ws *source = l->source;
  l->connection++;
  l->open_ns = l->recv_ns;
  l->due_ns = 0;
  l->subscribed = 0;
  l->send_due_ns = 0;
  l->resync_count = 0;
  memset(l->resync, 0, source->config.products->count);
  l->close_sent = l->pinged = l->deaf = false;
  wb_ws_init(&l->ws, WB_WS_CLIENT, source->config.message_bytes_max);
  wb_store_relaxed(&l->stats->connects, l->stats->connects + 1);
  char tls[96] = "none", text[256];
  if (l->tls) wb_tls_describe(l->tls, tls, sizeof tls);
  note_text(l, WB_FRAME_CONNECT,
            "{\"event\":\"connect\",\"line\":%u,\"connection\":%u,\"url\":\"%s\",\"address\":\"%s\",\"tls\":\"%s\"}", l->index,
            l->connection, plain(source->config.url[l->index], text, sizeof text), l->address[l->address_index].text, tls);
  published(l);
  line_enter(l, WB_LINE_OPEN);
  say(l, WB_LOG_INFO, "connected to %s (%s), TLS %s", source->config.url[l->index], l->address[l->address_index].text, tls);
}

static void line_upgrade(line *l) {
  wb_http_response response;
  wb_error error;
  const char *bytes = (const char *)wb_frames_at(l->frames, l->scan);
  memset(&response, 0, sizeof response);
  int result = wb_http_upgrade_response(bytes, l->frames->head - l->scan, l->key, &response, &error);
  if (result == 0) return;
  if (result < 0) {
    unsigned status = result == WB_E_REFUSED ? response.status : 0;
    bool permanent = status >= 300 && status < 500 && status != 408 && status != 425 && status != 429;
    if (response.retry_after_s)
      l->due_ns = now(l->source) + (uint64_t)(response.retry_after_s < 3600 ? response.retry_after_s : 3600) * 1000 * MS;
    line_fail(l, permanent, "%s", error.detail);
    return;
  }
  record(l, WB_FRAME_HTTP, l->scan, response.head_bytes);
  l->scan += response.head_bytes;
  published(l);
  line_opened(l);
}

static void line_control(line *l, const wb_ws_item *item) {
  static const uint8_t kinds[] = {[WB_WS_CLOSE] = WB_FRAME_CLOSE, [WB_WS_PING] = WB_FRAME_PING, [WB_WS_PONG] = WB_FRAME_PONG};
  note(l, (wb_frame_kind)kinds[item->opcode], item->bytes, item->count);
  if (item->opcode == WB_WS_PING) {
    if (!l->close_sent) line_send(l, WB_WS_PONG, item->bytes, item->count);
  } else if (item->opcode == WB_WS_CLOSE) {
    unsigned code = 1005;
    const char *reason = "";
    size_t reason_bytes = 0;
    int result = wb_ws_close_parse(item->bytes, item->count, &code, &reason, &reason_bytes);
    bool ours = l->close_sent;
    line_send_close(l, result == 0 ? (code == 1005 ? 1000 : code) : wb_ws_close_code(result));
    if (l->state == WB_LINE_CLOSING) return;
    if (result == 0)
      snprintf(l->why, sizeof l->why, ours ? "closed" : "peer closed with %u%s%.*s", code, reason_bytes ? ": " : "",
               (int)reason_bytes, reason);
    else snprintf(l->why, sizeof l->why, "peer closed with a malformed close frame");
    if (ours) {
      line_hang_up(l);
      return;
    }
    line_enter(l, WB_LINE_ENDING);
    l->due_ns = now(l->source) + 1000 * MS; /* for the answer to leave and the peer to hang up */
  }
}

/* Room for what one received run may push; more is asked for when it runs out. */
static bool line_ready(line *l) {
  wb_source_ws *source = l->source;
  if (wb_frames_slots(l->frames, 8) >= 8 && wb_frames_slots(source->config.notes, 64) >= 64 &&
      wb_frames_room(source->config.notes, NOTES_RESERVE_BYTES) >= NOTES_RESERVE_BYTES)
    return true;
  wb_frames_publish(l->frames);
  return false;
}

static void line_stall(line *l) {
  if (l->stalled) return;
  l->stalled = true;
  wb_store_relaxed(&l->stats->stalls, l->stats->stalls + 1);
}

static void line_scan(line *l) {
  if (l->state == WB_LINE_UPGRADING) line_upgrade(l);
  uint64_t messages = 0, bytes = 0;
  size_t slots = 0;
  while (l->state == WB_LINE_OPEN || l->state == WB_LINE_ENDING) {
    if (slots == 0) {
      if (!line_ready(l)) {
        line_stall(l);
        break;
      }
      slots = wb_frames_slots(l->frames, 8) - 4;
    }
    if (l->deaf) {
      uint64_t rest = l->frames->head - l->scan;
      if (rest) record(l, WB_FRAME_PARTIAL, l->scan, rest);
      l->scan = l->frames->head;
      break;
    }
    wb_ws_item item;
    size_t consumed;
    uint8_t *at = wb_frames_at(l->frames, l->scan);
    int result = wb_ws_read(&l->ws, at, l->frames->head - l->scan, &item, &consumed, NULL);
    if (result == 0) {
      break;
    }
    if (result < 0) {
      published(l);
      unsigned code = wb_ws_close_code(result);
      line_send_close(l, code);
      if (l->state == WB_LINE_CLOSING) break;
      if (result == WB_E_TOO_LARGE)
        snprintf(l->why, sizeof l->why, "message larger than %llu bytes (--max-message), closed with 1009",
                 (unsigned long long)l->source->config.message_bytes_max);
      else snprintf(l->why, sizeof l->why, "%s, closed with %u", wb_error_text(result), code);
      /* What follows cannot be framed any more: let the close leave, then hang up. */
      l->due_ns = now(l->source) + 200 * MS;
      line_enter(l, WB_LINE_ENDING);
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
      l->scan += consumed;
      line_control(l, &item);
      slots--;
    }
  }
  if (messages) {
    wb_store_relaxed(&l->stats->messages, l->stats->messages + messages);
    wb_store_relaxed(&l->stats->bytes, l->stats->bytes + bytes);
  }
  published(l);
}

/* Decrypts all that was received; false while there is no room for plaintext. */
static bool line_decrypt(line *l) {
  wb_error error;
  for (;;) {
    if (l->state == WB_LINE_CLOSING) return true;
    if (l->state == WB_LINE_SECURING) {
      int result = wb_tls_handshake(l->tls, &error);
      line_pump(l);
      if (result == 0) return true;
      if (result < 0) {
        line_fail(l, result == WB_E_CERTIFICATE, "%s", error.detail);
        return true;
      }
      line_enter(l, WB_LINE_UPGRADING);
      char request[2048];
      int n = wb_http_upgrade_request(&l->url, l->key, "wirebook/" WB_VERSION, request, sizeof request);
      if (n < 0) {
        line_fail(l, true, "the URL is too long");
        return true;
      }
      if (!line_write(l, request, (size_t)n)) return true;
    }
    size_t room = wb_frames_room(l->frames, RECV_BYTES_MAX);
    if (room == 0) return false;
    int n = wb_tls_read(l->tls, wb_frames_head(l->frames), room < RECV_BYTES_MAX ? room : RECV_BYTES_MAX, &error);
    line_pump(l);
    if (n == 0) return true;
    if (n < 0) {
      line_scan(l);
      if (n == WB_E_CLOSED && l->state == WB_LINE_ENDING) line_hang_up(l);
      else line_fail(l, false, "%s", n == WB_E_CLOSED ? "the peer closed TLS" : error.detail);
      return true;
    }
    wb_frames_advance(l->frames, (size_t)n);
    line_scan(l);
    if (l->stalled) return false;
  }
}

static void on_received(wb_op *op, int result, unsigned flags) {
  line *l = op->self;
  if (l->state == WB_LINE_CLOSING) return;
  if (result <= 0) {
    if (result == -ECANCELED || result == -EAGAIN || result == -EINTR) {
      line_arm(l);
    } else if (l->state == WB_LINE_ENDING) {
      line_hang_up(l);
    } else {
      line_fail(l, false, "%s", result == 0 ? "the peer hung up without a close frame" : strerror(-result));
    }
    return;
  }
  l->recv_ns = now(l->source);
  l->pinged = false;
  wb_store_relaxed(&l->stats->recv_ns, l->recv_ns);
  if (l->tls) {
    wb_tls_feed(l->tls, l->cipher, (size_t)result);
    if (!line_decrypt(l)) line_stall(l);
  } else {
    wb_frames_advance(l->frames, (size_t)result);
    line_scan(l);
  }
  line_arm(l);
}

static void line_arm(line *l) {
  if (l->recv_op.busy || l->stalled || l->state < WB_LINE_SECURING || l->state > WB_LINE_ENDING) return;
  if (l->tls) {
    wb_uring_recv(l->source->ring, &l->recv_op, l->file, l->cipher, CIPHER_BYTES);
    return;
  }
  size_t room = wb_frames_room(l->frames, RECV_BYTES_MAX);
  if (room == 0) {
    line_stall(l);
    return;
  }
  wb_uring_recv(l->source->ring, &l->recv_op, l->file, wb_frames_head(l->frames),
                room < RECV_BYTES_MAX ? room : RECV_BYTES_MAX);
}

/* Tries again after a reader gave room back. */
static bool line_unstall(line *l) {
  if (!line_ready(l) || wb_frames_room(l->frames, RECV_BYTES_MAX) == 0) return false;
  l->stalled = false;
  line_scan(l);
  if (!l->stalled && l->tls && l->state != WB_LINE_CLOSING && !line_decrypt(l)) l->stalled = true;
  line_arm(l);
  return true;
}

/* ------------------------------------------------------------------------------------------------ beginning of a connection */

static bool is_loopback(const wb_address *address) {
  if (address->address.ss_family == AF_INET)
    return (ntohl(((const struct sockaddr_in *)(const void *)&address->address)->sin_addr.s_addr) >> 24) == 127;
  if (address->address.ss_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)&address->address)->sin6_addr);
  return false;
}

static void line_connect(line *l);

static void on_connected(wb_op *op, int result, unsigned flags) {
  line *l = op->self;
  wb_source_ws *source = l->source;
  if (l->state == WB_LINE_CLOSING) return;
  if (result < 0) {
    const char *address = l->address[l->address_index].text;
    if (l->address_index + 1 < l->address_count && result != -ECANCELED) {
      say(l, WB_LOG_INFO, "%s: %s; trying the next address", address, strerror(-result));
      if (l->file & WB_URING_FIXED) wb_uring_file_remove(source->ring, l->file);
      close(l->fd);
      l->fd = -1;
      l->address_index++;
      line_connect(l);
    } else {
      line_fail(l, false, "%s: %s", address, strerror(-result));
    }
    return;
  }
  uint8_t random[16];
  wb_random_fill(random, sizeof random);
  wb_ws_key(random, l->key);
  l->scan = l->frames->head;
  l->out_count = 0;
  l->stalled = false;
  wb_error error;
  if (l->url.tls) {
    l->tls = wb_tls_open(source->tls, l->url.host, &error);
    if (!l->tls) {
      line_fail(l, false, "%s", error.detail);
      return;
    }
    line_enter(l, WB_LINE_SECURING);
    line_decrypt(l);
  } else {
    line_enter(l, WB_LINE_UPGRADING);
    char request[2048];
    int n = wb_http_upgrade_request(&l->url, l->key, "wirebook/" WB_VERSION, request, sizeof request);
    if (n < 0) {
      line_fail(l, true, "the URL is too long");
      return;
    }
    line_write(l, request, (size_t)n);
  }
  line_arm(l);
}

static void line_connect(line *l) {
  wb_source_ws *source = l->source;
  const wb_address *address = &l->address[l->address_index];
  if (source->config.insecure && l->url.tls && !is_loopback(address)) {
    line_fail(l, true, "--insecure is for loopback only, and %s is not", address->text);
    return;
  }
  l->fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (l->fd < 0) {
    line_fail(l, false, "socket: %s", strerror(errno));
    return;
  }
  int one = 1;
  setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  int handle = wb_uring_file_install(source->ring, l->fd);
  l->file = handle >= 0 ? handle : l->fd;
  line_enter(l, WB_LINE_CONNECTING);
  wb_uring_connect(source->ring, &l->connect_op, l->file, (const struct sockaddr *)&address->address, address->bytes);
}

static void resolver_wake(void *self) { wb_uring_wake(((wb_source_ws *)self)->ring); }

static void line_begin(line *l, uint64_t now_ns) {
  wb_source_ws *source = l->source;
  l->permanent = false;
  l->due_ns = now_ns + source->config.connect_timeout_ns;
  line_enter(l, WB_LINE_RESOLVING);
  if (wb_resolve_start(l->resolve, l->url.host, l->url.port, resolver_wake, source) != 0)
    line_fail(l, false, "the resolver is busy");
}

static void line_resolved(line *l) {
  wb_error error;
  int count = wb_resolve_poll(l->resolve, l->address, ADDRESSES_MAX, &error);
  if (count == 0) return;
  if (count < 0) {
    line_fail(l, false, "%s", error.detail);
    return;
  }
  l->address_count = (unsigned)count;
  l->address_index = 0;
  line_connect(l);
}

/* ------------------------------------------------------------------------------------------------ subscriptions and time */

static bool line_ask(line *l, const char *const *channels, const uint16_t *index, uint32_t count, bool unsubscribe) {
  char text[16384];
  int n =
      l->source->config.codec->subscribe(l->source->config.products, channels, index, count, unsubscribe, text, sizeof text);
  if (n < 0) {
    line_fail(l, true, "the subscribe message is too large");
    return false;
  }
  return line_send_text(l, text, (size_t)n);
}

static void line_subscriptions(line *l, uint64_t now_ns) {
  wb_source_ws *source = l->source;
  const wb_products *products = source->config.products;
  if (now_ns < l->send_due_ns) return;
  uint16_t index[PRODUCTS_PER_SUBSCRIBE];
  uint32_t count = 0;
  if (l->subscribed < products->count) {
    while (count < PRODUCTS_PER_SUBSCRIBE && l->subscribed < products->count) index[count++] = (uint16_t)l->subscribed++;
    line_ask(l, source->config.channels, index, count, false);
  } else if (l->resync_count) {
    for (uint32_t i = 0; i < products->count && count < PRODUCTS_PER_SUBSCRIBE; i++) {
      if (!l->resync[i]) continue;
      l->resync[i] = 0;
      l->resync_count--;
      index[count++] = (uint16_t)i;
    }
    if (line_ask(l, source->level2, index, count, true)) line_ask(l, source->level2, index, count, false);
  } else {
    return;
  }
  l->send_due_ns = now_ns + 2 * SEND_INTERVAL_NS;
}

static void line_time(line *l, uint64_t now_ns) {
  const wb_source_ws_config *config = &l->source->config;
  switch (l->state) {
  case WB_LINE_IDLE:
    if (now_ns >= l->due_ns) line_begin(l, now_ns);
    break;
  case WB_LINE_RESOLVING: line_resolved(l); break;
  case WB_LINE_OPEN:
    line_subscriptions(l, now_ns);
    if (l->state != WB_LINE_OPEN) break;
    if (l->stalled) break;
    if (now_ns > l->recv_ns + config->silence_ns) {
      line_fail(l, false, "nothing received for %llu s", (unsigned long long)(config->silence_ns / 1000 / MS));
    } else if (now_ns > l->recv_ns + config->silence_ns / 2 && !l->pinged) {
      l->pinged = true;
      line_send(l, WB_WS_PING, "wirebook", 8);
    } else if (l->tries && now_ns > l->open_ns + config->good_ns && l->recv_ns > l->open_ns) {
      l->tries = 0;
    }
    break;
  case WB_LINE_CLOSING: line_settle(l); break;
  default: break;
  }
  if (l->due_ns && now_ns >= l->due_ns && l->state >= WB_LINE_RESOLVING && l->state <= WB_LINE_ENDING &&
      l->state != WB_LINE_OPEN) {
    static const char *const doing[] = {"", "resolving the name", "connecting", "TLS handshake", "waiting for the upgrade"};
    if (l->state == WB_LINE_ENDING) line_hang_up(l);
    else line_fail(l, false, "timed out: %s", doing[l->state]);
  }
}

static int source_commands(wb_source_ws *source) {
  if (!source->config.commands) return 0;
  size_t bytes;
  const wb_command *command = wb_ring_peek(source->config.commands, &bytes);
  size_t count = bytes / sizeof *command;
  for (size_t i = 0; i < count; i++, command++) {
    line *l = &source->line[command->line];
    if (l->state != WB_LINE_OPEN || l->stats->connects == 0) continue;
    l->recv_ns = now(source);
    if (command->kind == WB_COMMAND_RESUBSCRIBE && !l->resync[command->product]) {
      l->resync[command->product] = 1;
      l->resync_count++;
      note_text(l, WB_FRAME_RESYNC, "{\"event\":\"resync\",\"product\":\"%s\",\"reason\":\"%s\",\"reject\":\"%s\"}",
                source->config.products->product[command->product].id, wb_reason_text((wb_reason)command->reason),
                wb_reject_name((wb_reject)command->reject));
      wb_store_release(&source->taken, source->number);
      say(l, WB_LOG_WARNING, "resynchronising %s: %s%s%s", source->config.products->product[command->product].id,
          wb_reason_text((wb_reason)command->reason), command->reject ? ": " : "",
          command->reject ? wb_reject_name((wb_reject)command->reject) : "");
    } else if (command->kind == WB_COMMAND_RECONNECT) {
      line_send_close(l, command->close_code);
      if (l->state == WB_LINE_OPEN) line_fail(l, false, "reconnecting: %s", wb_reason_text((wb_reason)command->reason));
    }
  }
  if (count) wb_ring_release(source->config.commands, count * sizeof *command);
  return (int)count;
}

static void source_stop(wb_source_ws *source, uint64_t now_ns) {
  source->stopping = true;
  for (unsigned i = 0; i < source->config.line_count; i++) {
    line *l = &source->line[i];
    if (l->state == WB_LINE_OPEN) {
      snprintf(l->why, sizeof l->why, "closed");
      line_send_close(l, 1000);
      if (l->state == WB_LINE_OPEN) {
        line_enter(l, WB_LINE_ENDING);
        l->due_ns = now_ns + 1000 * MS;
      }
    } else if (l->state == WB_LINE_IDLE) {
      line_enter(l, WB_LINE_ENDED);
    } else if (l->state != WB_LINE_ENDING) {
      line_fail(l, false, "stopped");
    }
  }
}

static int source_time(wb_source_ws *source) {
  uint64_t now_ns = now(source);
  int count = source_commands(source);
  if (!source->stopping && __atomic_load_n(&source->stop_asked, __ATOMIC_ACQUIRE)) source_stop(source, now_ns);
  bool ended = true;
  for (unsigned i = 0; i < source->config.line_count; i++) {
    line *l = &source->line[i];
    if (l->stalled && l->state >= WB_LINE_SECURING && l->state <= WB_LINE_ENDING && line_unstall(l)) count++;
    line_time(l, now_ns);
    ended &= l->state == WB_LINE_ENDED;
  }
  if (ended && !__atomic_load_n(&source->ended, __ATOMIC_RELAXED)) {
    wb_store_release(&source->taken, source->number);
    __atomic_store_n(&source->ended, 1, __ATOMIC_RELEASE);
  }
  return count;
}

static int source_work(void *self) {
  wb_source_ws *source = self;
  int count = wb_uring_poll(source->ring);
  if (count == 0 || ++source->turn % 64 == 0) count += source_time(source);
  return count;
}

static void source_idle(void *self, uint64_t timeout_ns) { wb_uring_wait(((wb_source_ws *)self)->ring, timeout_ns); }
static void source_wake(void *self) { wb_uring_wake(((wb_source_ws *)self)->ring); }

/* ------------------------------------------------------------------------------------------------ life */

static void default_to(uint64_t *value, uint64_t otherwise) {
  if (!*value) *value = otherwise;
}

wb_source_ws *wb_source_ws_open(const wb_source_ws_config *config, wb_error *error) {
  wb_source_ws *source =
      aligned_alloc(WB_CACHE_PAIR_BYTES, (sizeof *source + WB_CACHE_PAIR_BYTES - 1) & ~(size_t)(WB_CACHE_PAIR_BYTES - 1));
  if (!source) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "source", "no memory for the lines");
    return NULL;
  }
  memset(source, 0, sizeof *source);
  source->config = *config;
  default_to(&source->config.connect_timeout_ns, 10000 * MS);
  default_to(&source->config.silence_ns, 10000 * MS);
  default_to(&source->config.backoff_min_ns, 250 * MS);
  default_to(&source->config.backoff_max_ns, 30000 * MS);
  default_to(&source->config.good_ns, 5000 * MS);
  unsigned level2_count = 0;
  for (const char *const *channel = config->channels; *channel && level2_count < 7; channel++)
    if (strncmp(*channel, "level2", 6) == 0) source->level2[level2_count++] = *channel;
  if (!level2_count) source->level2[0] = config->channels[0];

  source->ring = wb_uring_open(256, config->line_count, error);
  if (!source->ring) goto failed;
  bool tls = false;
  for (unsigned i = 0; i < config->line_count; i++) {
    line *l = &source->line[i];
    l->source = source;
    l->index = i;
    l->frames = config->frames[i];
    l->stats = &source->stats[i];
    l->fd = l->file = -1;
    l->connect_op = (wb_op){.done = on_connected, .self = l};
    l->recv_op = (wb_op){.done = on_received, .self = l};
    l->send_op = (wb_op){.done = on_sent, .self = l};
    if (wb_url_parse(config->url[i], &l->url, error) != 0) goto failed;
    tls |= l->url.tls;
    l->resync = calloc(config->products->count, 1);
    l->cipher = l->url.tls ? malloc(CIPHER_BYTES) : NULL;
    l->out = malloc(OUT_BYTES);
    if (!l->resync || !l->out || (l->url.tls && !l->cipher)) {
      wb_error_set(error, WB_E_MEMORY, ENOMEM, "source", "no memory for the line's buffers");
      goto failed;
    }
    l->resolve = wb_resolve_open(error);
    if (!l->resolve) goto failed;
  }
  if (tls) {
    source->tls = wb_tls_client_open(config->ca_file, config->insecure, error);
    if (!source->tls) goto failed;
  }
  return source;
failed:
  wb_source_ws_close(source);
  return NULL;
}

void wb_source_ws_close(wb_source_ws *source) {
  if (!source) return;
  for (unsigned i = 0; i < source->config.line_count; i++) {
    line *l = &source->line[i];
    if (l->fd >= 0) close(l->fd);
    wb_tls_close(l->tls);
    wb_resolve_close(l->resolve);
    free(l->resync);
    free(l->out);
  }
  /* The kernel may write to a buffer until the ring is gone. */
  wb_uring_close(source->ring);
  for (unsigned i = 0; i < source->config.line_count; i++) free(source->line[i].cipher);
  wb_tls_context_close(source->tls);
  free(source);
}

wb_agent wb_source_ws_agent(wb_source_ws *source) {
  return (wb_agent){.name = "ingest", .self = source, .do_work = source_work, .idle = source_idle, .wake = source_wake};
}

void wb_source_ws_thread_end(wb_source_ws *source) {
  if (source->tls) wb_tls_thread_end();
}

void wb_source_ws_stop(wb_source_ws *source) {
  __atomic_store_n(&source->stop_asked, 1, __ATOMIC_RELEASE);
  wb_uring_wake(source->ring);
}

bool wb_source_ws_ended(const wb_source_ws *source, wb_error *error) {
  if (!__atomic_load_n(&source->ended, __ATOMIC_ACQUIRE)) return false;
  if (error) *error = source->error;
  return true;
}

const wb_line_stats *wb_source_ws_stats(const wb_source_ws *source, unsigned index) { return &source->stats[index]; }

const char *wb_line_state_name(wb_line_state state) {
  static const char *const names[] = {"idle", "resolving", "connecting", "securing", "upgrading",
                                      "live", "closing",   "closing",    "ended"};
  return (unsigned)state < sizeof names / sizeof *names ? names[state] : "unknown";
}

uint64_t wb_source_ws_taken(const wb_source_ws *source) { return wb_load_acquire(&source->taken); }

const char *wb_source_ws_describe(const wb_source_ws *source, char *text, size_t size) {
  return wb_uring_describe(source->ring, text, size);
}
