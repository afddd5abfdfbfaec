#include "engine/feed/recover.h"
#include "io/face_json.h"
#include "io/face_modules.h"

static void health(wb_face_client *client, const wb_face_request *request) {
  bool alive = wirebook_shm_alive(wb_face_books(wb_face_of(client)));
  wb_face_json(client, alive ? 200 : 503, json_pack("{s:s}", "status", alive ? "ok" : "the books have had no turn for 3 s"));
}

static void ready(wb_face_client *client, const wb_face_request *request) {
  const wirebook_shm *books = wb_face_books(wb_face_of(client));
  uint32_t count = wirebook_shm_count(books), wanted = 0, live = 0;
  json_t *others = json_array();
  char text[128];
  for (uint32_t i = 0; i < count; i++) {
    wirebook_shm_view view;
    if (!wirebook_shm_view_read(books, i, &view) || view.state == WIREBOOK_SHM_REMOVED) continue;
    wanted++;
    if (view.state == WIREBOOK_SHM_LIVE) {
      live++;
      continue;
    }
    double since = view.state_since_ns && request->now_ns > view.state_since_ns
                       ? (double)((request->now_ns - view.state_since_ns) / 1000000) / 1000
                       : 0;
    json_array_append_new(others, json_pack("{s:s, s:s, s:s, s:f}", "product", wirebook_shm_id(books, i), "state",
                                            wb_state_name((wb_state)view.state), "reason",
                                            wb_face_json_reason(&view, text, sizeof text), "for_s", since));
  }
  bool is_ready = wanted && live == wanted && wirebook_shm_alive(books);
  wb_face_json(
      client, is_ready ? 200 : 503,
      json_pack("{s:b, s:i, s:i, s:o}", "ready", is_ready, "products", (int)wanted, "live", (int)live, "not_live", others));
}

static void status_tick(wb_face_client *client, void *self, uint64_t now_ns) {
  const wb_face_report *report = wb_face_report_since(wb_face_of(client), wb_face_asked_ns(client));
  if (report) wb_face_answer(client, 200, WB_FACE_JSON, NULL, report->text, report->bytes);
}

static const wb_face_handler status_handler = {.tick = status_tick};

static void status(wb_face_client *client, const wb_face_request *request) {
  wb_face_hold(client, &status_handler, NULL);
  status_tick(client, NULL, request->now_ns);
}

static const wb_face_route routes[] = {
    {"GET", "/healthz", health}, {"GET", "/readyz", ready}, {"GET", "/api/v1/status", status}, {0}};

const wb_face_module wb_face_health = {.name = "health", .route = routes};
