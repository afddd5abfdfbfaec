#include <stdlib.h>

#include "io/face_modules.h"
#include "io/publisher.h"

struct state;

/* A WebSocket. The publisher is not to be called from within what it calls: who is gone is swept out with the next turn. */
typedef struct peer {
  struct state *state;
  wb_face_client *face; /* NULL: gone */
  wb_publisher_client *at;
} peer;

typedef struct state {
  wb_node *node;
  wb_publisher *publisher;
  peer *peer[WB_FACE_CLIENTS_MAX];
  unsigned count;
} state;

static int put(void *self, void *to, const char *text, size_t bytes) {
  wb_face_client *face = ((peer *)to)->face;
  return face ? wb_face_put(face, text, bytes) : WB_E_CLOSED;
}

static size_t queued(void *self, void *to) {
  wb_face_client *face = ((peer *)to)->face;
  return face ? wb_face_queued(face) : 0;
}

static void end(void *self, void *to, unsigned code, const char *reason) {
  wb_face_client *face = ((peer *)to)->face;
  if (face) wb_face_end(face, code, reason);
}

static void ask(void *self, uint32_t product) { wb_node_copy_ask(((state *)self)->node, product); }
static const wb_shm_copy *copy(void *self) { return wb_node_copy(((state *)self)->node); }

static void text(wb_face_client *client, void *self, const char *bytes, size_t count) {
  peer *from = self;
  wb_publisher_take(from->state->publisher, from->at, bytes, count, wb_clock_ns());
}

static void gone(wb_face_client *client, void *self) { ((peer *)self)->face = NULL; }

static const wb_face_handler handler = {.text = text, .gone = gone};

static void sweep(state *s) {
  for (unsigned i = s->count; i-- > 0;) {
    if (s->peer[i]->face) continue;
    wb_publisher_leave(s->publisher, s->peer[i]->at);
    free(s->peer[i]);
    s->peer[i] = s->peer[--s->count];
  }
}

static void take(wb_face_client *client, const wb_face_request *request) {
  state *s = request->self;
  peer *new = s->count < WB_FACE_CLIENTS_MAX ? calloc(1, sizeof *new) : NULL;
  if (new) *new = (peer){.state = s, .face = client, .at = wb_publisher_join(s->publisher, new, request->now_ns)};
  if (!new || !new->at) {
    free(new);
    wb_face_refuse(client, 503, "too many subscribers");
    return;
  }
  s->peer[s->count++] = new;
  if (!wb_face_socket(client, &handler, new)) new->face = NULL;
}

static void *open_publisher(wb_face *face, wb_error *error) {
  state *s = calloc(1, sizeof *s);
  if (!s) {
    wb_error_set(error, WB_E_MEMORY, 0, "listen", "no memory");
    return NULL;
  }
  s->node = wb_face_node(face);
  wb_publisher_config config = {.port = {s, put, queued, end, ask, copy},
                                .products = wb_face_config_of(face)->products,
                                .books = wb_face_books(face),
                                .client_count_max = WB_FACE_CLIENTS_MAX,
                                .queue_bytes_max = WB_FACE_QUEUE_BYTES_MAX,
                                .level_count_max = wb_node_levels_max(s->node)};
  s->publisher = wb_publisher_open(&config, error);
  if (s->publisher) return s;
  free(s);
  return NULL;
}

static void tick(void *self, uint64_t now_ns) {
  state *s = self;
  sweep(s);
  wb_publisher_turn(s->publisher, now_ns, wb_clock_utc_ns());
}

static void close_publisher(void *self) {
  state *s = self;
  for (unsigned i = 0; i < s->count; i++) s->peer[i]->face = NULL;
  sweep(s);
  wb_publisher_close(s->publisher);
  free(s);
}

static const wb_face_route routes[] = {{"UPGRADE", "/", take}, {"UPGRADE", "/ws", take}, {"GET", "/ws", take}, {0}};

const wb_face_module wb_face_publish = {
    .name = "publish", .route = routes, .open = open_publisher, .tick = tick, .close = close_publisher};
