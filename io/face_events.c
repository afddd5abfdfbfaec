#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/feed/recover.h"
#include "io/face_json.h"
#include "io/face_modules.h"
#include "io/publish_text.h"

enum {
  LEVELS_DEFAULT = 50,
  INTERVAL_MS = 250,
  INTERVAL_MS_MIN = 50,
  INTERVAL_MS_MAX = 60000,
  READ_MAX = 1 << 16,           /* changes a turn */
  BEHIND_BYTES_MAX = 256 << 10, /* who has more in its queue is told of no book and no status meanwhile */
  EVENT_BYTES = 1024,
  NOBODY = UINT32_MAX
};
static const uint64_t STATUS_NS = 1000000000, QUIET_NS = 5000000000;

struct state;

typedef struct stream {
  wb_face_client *client; /* NULL: gone */
  uint32_t product;       /* NOBODY: none */
  uint32_t depth;
  uint64_t interval_ns, due_ns, told_ns, status_due_ns;
  uint64_t updates, recv_ns; /* of the book that it was told last */
  uint8_t book_state;
  bool has_book;
} stream;

/* What was told of a product's state. */
typedef struct told {
  uint8_t state, reason, reject;
} told;

typedef struct state {
  wb_face *face;
  wirebook_shm ring;
  stream *stream[WB_FACE_CLIENTS_MAX];
  unsigned count;
  told *told;
  char *status; /* an event, made of the report as of status_ns */
  size_t status_bytes;
  uint64_t status_ns;
  char text[EVENT_BYTES + 2 * WB_DEPTH_MAX * WB_PUBLISH_LEVEL_BYTES_MAX];
} state;

/* ------------------------------------------------------------------------------------------------ telling */

static void tell(stream *to, const char *text, size_t bytes, uint64_t now_ns) {
  if (!to->client) return;
  to->told_ns = now_ns;
  if (wb_face_put(to->client, text, bytes) == WB_E_FULL && to->client) wb_face_end(to->client, 0, "");
}

static bool behind(const stream *of) { return !of->client || wb_face_queued(of->client) > BEHIND_BYTES_MAX; }

static size_t __attribute__((format(printf, 3, 4))) add(state *s, size_t at, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int bytes = vsnprintf(s->text + at, EVENT_BYTES - at, format, arguments);
  va_end(arguments);
  return at + (size_t)bytes;
}

/* id: how far the ring of changes was read. */
static size_t begin(state *s, const char *event) {
  return add(s, 0, "event: %s\nid: %llu\ndata: ", event, (unsigned long long)s->ring.next);
}

static void tell_state(state *s, uint32_t product, uint64_t now_ns) {
  wirebook_shm_view view;
  char reason[128], since[WB_UTC_TEXT_BYTES] = "";
  if (!wirebook_shm_view_read(&s->ring, product, &view)) return;
  const told now = {view.state, view.reason, view.reject};
  if (memcmp(&now, &s->told[product], sizeof now) == 0) return;
  s->told[product] = now;
  int64_t ago_ns = view.state_since_ns && now_ns > view.state_since_ns ? (int64_t)(now_ns - view.state_since_ns) : 0;
  wb_utc_text(wb_clock_utc_ns() - ago_ns, since);
  size_t bytes = begin(s, "state");
  bytes = add(s, bytes, "{\"product_id\":\"%s\",\"state\":\"%s\",\"reason\":\"%s\",\"since\":\"%s\"}\n\n",
              wirebook_shm_id(&s->ring, product), wb_state_name((wb_state)view.state),
              wb_face_json_reason(&view, reason, sizeof reason), since);
  for (unsigned i = 0; i < s->count; i++) tell(s->stream[i], s->text, bytes, now_ns);
}

static void know_states(state *s) {
  for (uint32_t i = 0; i < wirebook_shm_count(&s->ring); i++) {
    wirebook_shm_view view;
    if (wirebook_shm_view_read(&s->ring, i, &view)) s->told[i] = (told){view.state, view.reason, view.reject};
  }
}

static void tell_trade(state *s, const wirebook_shm_change *change, uint64_t now_ns) {
  size_t bytes = 0;
  for (unsigned i = 0; i < s->count; i++) {
    if (s->stream[i]->product != change->product) continue;
    if (!bytes) {
      char time[WB_UTC_TEXT_BYTES + 2] = "null", price[24], size[24];
      price[wb_publish_number(change->price, change->price_decimals, price)] = 0;
      size[wb_publish_number(change->size, change->size_decimals, size)] = 0;
      if (change->time_ns != WB_TIME_NONE) {
        wb_utc_text(change->time_ns, time + 1);
        time[0] = '"';
        strcat(time, "\"");
      }
      bytes = add(s, begin(s, "trade"),
                  "{\"product_id\":\"%s\",\"trade_id\":%llu,\"time\":%s,\"side\":\"%s\",\"price\":\"%s\",\"size\":\"%s\"}\n\n",
                  wirebook_shm_id(&s->ring, change->product), (unsigned long long)change->trade_id, time,
                  change->side == WIREBOOK_SHM_BID ? "buy" : "sell", price, size);
    }
    tell(s->stream[i], s->text, bytes, now_ns);
  }
}

static void read_ring(state *s, uint64_t now_ns) {
  wirebook_shm_change change;
  uint64_t lost = 0;
  for (unsigned n = 0; n < READ_MAX && wirebook_shm_next(&s->ring, &change, &lost); n++) {
    if (change.kind == WIREBOOK_SHM_TRADE) tell_trade(s, &change, now_ns);
    else if ((change.kind == WIREBOOK_SHM_STATE || change.kind == WIREBOOK_SHM_SNAPSHOT) &&
             change.product < s->ring.head->product_max)
      tell_state(s, change.product, now_ns);
  }
  for (uint32_t i = 0; lost && i < wirebook_shm_count(&s->ring); i++) tell_state(s, i, now_ns);
}

static void tell_book(state *s, stream *to, uint64_t now_ns) {
  wirebook_shm_depth depth;
  wb_level bid[WB_DEPTH_MAX], ask[WB_DEPTH_MAX];
  if (to->product == NOBODY || now_ns < to->due_ns || behind(to) ||
      !wirebook_shm_depth_read(&s->ring, to->product, &depth, (wirebook_shm_level *)(void *)bid,
                               (wirebook_shm_level *)(void *)ask, to->depth))
    return;
  bool same = to->updates == depth.updates && to->recv_ns == depth.recv_ns && to->book_state == depth.state;
  if (to->has_book && same) return;
  to->has_book = true;
  to->updates = depth.updates;
  to->recv_ns = depth.recv_ns;
  to->book_state = depth.state;
  to->due_ns = now_ns + to->interval_ns;
  char time[WB_UTC_TEXT_BYTES] = "";
  bool timed = depth.time_ns != WB_TIME_NONE && depth.recv_ns;
  if (timed) wb_utc_text(depth.time_ns, time);
  const char *id = wirebook_shm_id(&s->ring, to->product), *mark = timed ? "\"" : "";
  const wb_publish_product about = {id, depth.price_decimals, depth.size_decimals};
  char *at = s->text + add(s, begin(s, "book"), "{\"product_id\":\"%s\",\"time\":%s%s%s,\"bids\":[", id, mark,
                           timed ? time : "null", mark);
  at += wb_publish_levels(&about, bid, depth.bid_count, at);
  at = stpcpy(at, "],\"asks\":[");
  at += wb_publish_levels(&about, ask, depth.ask_count, at);
  at = stpcpy(at, "]}\n\n");
  tell(to, s->text, (size_t)(at - s->text), now_ns);
}

/* ------------------------------------------------------------------------------------------------ status */

/* Copies a report without its levels: `,"bids":[[...],...]`, and asks likewise. In a string these would have backslashes. */
static size_t copy_without_levels(const char *from, size_t bytes, char *to) {
  static const char keys[2][10] = {",\"bids\":[", ",\"asks\":["};
  char *at = to;
  for (size_t i = 0; i < bytes;) {
    bool levels = bytes - i > 9 && (memcmp(from + i, keys[0], 9) == 0 || memcmp(from + i, keys[1], 9) == 0);
    if (!levels) {
      *at++ = from[i++];
      continue;
    }
    i += 9;
    for (unsigned open = 1; open && i < bytes; i++) open += (from[i] == '[') - (from[i] == ']');
  }
  return (size_t)(at - to);
}

static bool make_status(state *s, const wb_face_report *report) {
  if (s->status_ns == report->taken_ns) return true;
  char *made = realloc(s->status, report->bytes + EVENT_BYTES);
  if (!made) return false;
  size_t bytes = begin(s, "status");
  memcpy(made, s->text, bytes);
  bytes += copy_without_levels(report->text, report->bytes, made + bytes);
  memcpy(made + bytes, "\n\n", 2);
  s->status = made;
  s->status_bytes = bytes + 2;
  s->status_ns = report->taken_ns;
  return true;
}

static void tell_status(state *s, stream *to, uint64_t now_ns) {
  if (now_ns < to->status_due_ns || behind(to)) return;
  const wb_face_report *report = wb_face_report_since(s->face, to->status_due_ns);
  if (!report || !make_status(s, report)) return;
  to->status_due_ns = now_ns + STATUS_NS;
  tell(to, s->status, s->status_bytes, now_ns);
}

/* ------------------------------------------------------------------------------------------------ life */

static void sweep(state *s) {
  for (unsigned i = s->count; i-- > 0;) {
    if (s->stream[i]->client) continue;
    free(s->stream[i]);
    s->stream[i] = s->stream[--s->count];
  }
}

static void tick(void *self, uint64_t now_ns) {
  static const char alive[] = ": the node is there\n\n";
  state *s = self;
  sweep(s);
  if (!s->count) return;
  read_ring(s, now_ns);
  for (unsigned i = 0; i < s->count; i++) {
    stream *to = s->stream[i];
    tell_book(s, to, now_ns);
    tell_status(s, to, now_ns);
    if (now_ns - to->told_ns > QUIET_NS) tell(to, alive, sizeof alive - 1, now_ns);
  }
}

static void gone(wb_face_client *client, void *self) { ((stream *)self)->client = NULL; }

static const wb_face_handler handler = {.gone = gone};

static void take(wb_face_client *client, const wb_face_request *request) {
  state *s = request->self;
  char id[WB_PRODUCT_ID_BYTES];
  uint64_t depth, interval_ms;
  const char *product = wb_face_query(request, "product", id, sizeof id);
  int index = product ? wirebook_shm_find(&s->ring, product) : -1;
  if (product && index < 0) {
    wb_face_refuse(client, 404, "NotFound");
    return;
  }
  if (!wb_face_query_count(request, "depth", LEVELS_DEFAULT, 1, WB_DEPTH_MAX, &depth) ||
      !wb_face_query_count(request, "interval_ms", INTERVAL_MS, INTERVAL_MS_MIN, INTERVAL_MS_MAX, &interval_ms)) {
    wb_face_refuse(client, 400, "depth is 1 to 1000, interval_ms 50 to 60000");
    return;
  }
  stream *new = s->count < WB_FACE_CLIENTS_MAX ? calloc(1, sizeof *new) : NULL;
  if (!new) {
    wb_face_refuse(client, 503, "too many streams");
    return;
  }
  *new = (stream){.client = client,
                  .product = product ? (uint32_t)index : NOBODY,
                  .depth = (uint32_t)depth,
                  .interval_ns = interval_ms * 1000000,
                  .status_due_ns = request->now_ns,
                  .told_ns = request->now_ns};
  if (!s->count) {
    s->ring.next = __atomic_load_n(&s->ring.head->ring_next, __ATOMIC_ACQUIRE);
    know_states(s);
  }
  s->stream[s->count++] = new;
  wb_face_stream(client, "text/event-stream; charset=utf-8", "X-Accel-Buffering: no\r\n", &handler, new);
  tell(new, "retry: 1000\n\n", 13, request->now_ns);
}

static void *open_events(wb_face *face, wb_error *error) {
  state *s = calloc(1, sizeof *s);
  if (s) s->told = calloc(wb_face_books(face)->head->product_max, sizeof *s->told);
  if (s && s->told) {
    s->face = face;
    s->ring = *wb_face_books(face);
    return s;
  }
  free(s);
  wb_error_set(error, WB_E_MEMORY, 0, "listen", "no memory");
  return NULL;
}

static void close_events(void *self) {
  state *s = self;
  for (unsigned i = 0; i < s->count; i++) free(s->stream[i]);
  free(s->told);
  free(s->status);
  free(s);
}

static const wb_face_route routes[] = {{"GET", "/api/v1/events", take}, {0}};

const wb_face_module wb_face_events = {
    .name = "events", .route = routes, .open = open_events, .tick = tick, .close = close_events};
