#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>

#include "engine/feed/tape.h"
#include "engine/ring/atomic.h"
#include "io/face_private.h"
#include "io/report.h"

/* Between two looks into the books: five a second at most, whoever asks, and a thousand times as long as the book thread copied, at 5 ns a level: 0.45 s for
 * 90,000 levels. */
#define BETWEEN_NS WB_FACE_CACHE_NS
#define LEVEL_NS UINT64_C(5000)
enum { HISTS = 4, NOW = 2 };

/* ------------------------------------------------------------------------------------------------ the control thread */

static int64_t free_bytes(const wb_face *face) {
  const char *folder = wb_node_config_of(face->node)->data_dir;
  struct statvfs about;
  return folder && statvfs(folder, &about) == 0 ? (int64_t)(about.f_bavail * about.f_frsize) : -1;
}

static void take_status(wb_face *face) {
  wb_face_status *status = face->status;
  status->free_bytes = free_bytes(face);
  wb_node_status_get(face->node, &status->node);
  wb_node_latency(face->node, &status->wire_to_book, &status->exchange_to_book);
  for (unsigned i = 0; i < status->node.line_count; i++) wb_node_lag(face->node, i, &status->lag[i]);
  status->taken_ns = wb_clock_ns();
}

/* What was counted between two copies. The largest value of that time is known to its bucket only. */
static void subtract(wb_hist *later, const wb_hist *earlier) {
  uint64_t count = 0;
  for (unsigned i = 0; i < WB_HIST_BUCKETS; i++) {
    later->bucket[i] -= earlier->bucket[i] < later->bucket[i] ? earlier->bucket[i] : later->bucket[i];
    count += later->bucket[i];
  }
  later->count = count;
  later->max = wb_hist_percentile(later, 100);
}

static json_t *recent(wb_face *face, uint64_t now_ns) {
  wb_hist *hist = face->before;
  json_t *object = json_object();
  wb_node_latency(face->node, &hist[NOW], &hist[NOW + 1]);
  json_object_set_new(object, "seconds", json_real((double)((now_ns - face->before_ns) / 1000000) / 1000));
  for (unsigned i = 0; i < NOW; i++) {
    wb_hist copy = hist[NOW + i];
    subtract(&hist[NOW + i], &hist[i]);
    hist[i] = copy;
    json_object_set_new(object, i ? "exchange_to_book" : "wire_to_book", wb_report_latency(&hist[NOW + i]));
  }
  face->before_ns = now_ns;
  return object;
}

static json_t *disk(const wb_face *face) {
  const wb_node_config *config = wb_node_config_of(face->node);
  wb_node_status status;
  if (!config->data_dir) return json_null();
  wb_node_status_get(face->node, &status);
  int64_t room = free_bytes(face);
  return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I}", "folder", config->data_dir, "free_bytes",
                   room >= 0 ? json_integer(room) : json_null(), "written_bytes", (json_int_t)status.stored_bytes, "frames",
                   (json_int_t)status.stored_frames, "segments", (json_int_t)status.segments, "errors",
                   (json_int_t)status.store_errors);
}

static void take_report(wb_face *face) {
  uint64_t now_ns = wb_clock_ns();
  json_t *report = wb_report_build(face->node, NULL);
  if (!report) return;
  json_object_set_new(report, "latency_recent_ns", recent(face, now_ns));
  json_object_set_new(report, "disk", disk(face));
  char *text = json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(12));
  json_decref(report);
  if (!text) return;
  free(face->report.text);
  face->report = (wb_face_report){.taken_ns = now_ns, .text = text, .bytes = strlen(text)};
}

static void take_book(wb_face *face) {
  const wb_book_whole *whole = wb_node_book(face->node, face->ask_product);
  face->book = (wb_face_book){0};
  if (!whole) return;
  face->book = (wb_face_book){.taken_ns = wb_clock_ns(),
                              .product = whole->product,
                              .bid_count = whole->count[WB_SIDE_BID],
                              .ask_count = whole->count[WB_SIDE_ASK],
                              .bid = whole->level,
                              .ask = whole->level + whole->room,
                              .view = whole->view};
}

void wb_face_serve(wb_face *face) {
  static void (*const takes[WB_FACE_ASKS])(wb_face *) = {take_status, take_report, take_book};
  eventfd_t ignored;
  eventfd_read(face->bell, &ignored);
  if (wb_load_acquire(&face->ask_state) != WB_FACE_ASK_ASKED) return; /* X1 */
  takes[face->ask](face);
  wb_store_release(&face->ask_state, WB_FACE_ASK_DONE); /* X2 */
  wb_uring_wake(face->ring);
}

int wb_face_ask_open(wb_face *face, wb_error *error) {
  face->status = calloc(1, sizeof *face->status);
  face->before = calloc(HISTS, sizeof *face->before);
  face->before_ns = wb_clock_ns();
  if (face->status && face->before) return 0;
  return wb_error_set(error, WB_E_MEMORY, ENOMEM, "listen", "no memory");
}

void wb_face_ask_close(wb_face *face) {
  free(face->status);
  free(face->before);
  free(face->report.text);
}

/* ------------------------------------------------------------------------------------------------ the face's thread */

bool wb_face_ask_wanted(const wb_face *face) {
  bool wanted = false;
  for (unsigned i = 0; i < WB_FACE_ASKS; i++) wanted |= face->wants[i];
  return wanted;
}

/* Levels that the book thread copied for the last answer. */
static uint64_t copied(const wb_face *face) {
  return face->ask == WB_FACE_ASK_BOOK
             ? (uint64_t)face->book.bid_count + face->book.ask_count
             : (uint64_t)wirebook_shm_count(&face->books) * (2 * face->books.head->depth + sizeof(wb_tape) / sizeof(wb_level));
}

/* Each kind in its turn, so that none waits for ever behind another. */
void wb_face_ask_turn(wb_face *face, uint64_t now_ns) {
  uint64_t state = wb_load_acquire(&face->ask_state); /* X2 */
  if (state == WB_FACE_ASK_ASKED) return;
  if (state == WB_FACE_ASK_DONE) {
    face->wants[face->ask] = false;
    uint64_t rest_ns = copied(face) * LEVEL_NS;
    if (face->ask != WB_FACE_ASK_STATUS) face->ask_due_ns = now_ns + (rest_ns > BETWEEN_NS ? rest_ns : BETWEEN_NS);
    wb_store_relaxed(&face->ask_state, WB_FACE_ASK_IDLE);
    return; /* whoever waits for it sees it in this turn */
  }
  for (unsigned i = 1; i <= WB_FACE_ASKS; i++) {
    wb_face_ask ask = (wb_face_ask)((face->ask + i) % WB_FACE_ASKS);
    if (!face->wants[ask] || (ask != WB_FACE_ASK_STATUS && now_ns < face->ask_due_ns)) continue;
    face->ask = ask;
    face->ask_product = face->wants_product;
    wb_store_release(&face->ask_state, WB_FACE_ASK_ASKED); /* X1 */
    eventfd_write(face->bell, 1);
    return;
  }
}

/* What is being asked for again is the control thread's. */
static bool mine(const wb_face *face, wb_face_ask ask) {
  return face->ask != ask || wb_load_relaxed(&face->ask_state) == WB_FACE_ASK_IDLE;
}

static bool fresh(uint64_t taken_ns, uint64_t since_ns) { return taken_ns && taken_ns + WB_FACE_CACHE_NS >= since_ns; }

const wb_face_status *wb_face_status_since(wb_face *face, uint64_t since_ns) {
  if (mine(face, WB_FACE_ASK_STATUS) && fresh(face->status->taken_ns, since_ns)) return face->status;
  face->wants[WB_FACE_ASK_STATUS] = true;
  return NULL;
}

const wb_face_report *wb_face_report_since(wb_face *face, uint64_t since_ns) {
  if (mine(face, WB_FACE_ASK_REPORT) && fresh(face->report.taken_ns, since_ns)) return &face->report;
  face->wants[WB_FACE_ASK_REPORT] = true;
  return NULL;
}

const wb_face_book *wb_face_book_since(wb_face *face, uint32_t product, uint64_t since_ns) {
  if (mine(face, WB_FACE_ASK_BOOK) && face->book.product == product && fresh(face->book.taken_ns, since_ns)) return &face->book;
  if (!face->wants[WB_FACE_ASK_BOOK] || since_ns < face->wants_since_ns) { /* whoever has waited longest */
    face->wants_product = product;
    face->wants_since_ns = since_ns;
  }
  face->wants[WB_FACE_ASK_BOOK] = true;
  return NULL;
}
