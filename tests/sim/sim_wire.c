#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "io/host.h"
#include "io/resolve.h"
#include "io/source_line.h"
#include "io/uring.h"
#include "tests/sim/sim.h"

enum { SOCKET_BASE = 1 << 20, OPS_MAX = 64 };

/* ------------------------------------------------------------------------------------------------ connections */

static sim_conn *conn_of(int fd) {
  size_t index = (size_t)fd - SOCKET_BASE;
  return fd >= SOCKET_BASE && index < sim.conns ? sim.conn[index] : NULL;
}

void sim_wire_reset(void) {
  sim.conn = NULL;
  sim.conns = sim.conns_room = 0;
  sim.connects = 0;
  memset(sim.line_connects, 0, sizeof sim.line_connects);
}

void sim_wire_cut(sim_conn *conn, size_t at, bool reset) {
  if (conn->cut_at != SIZE_MAX) return;
  conn->cut_at = at;
  conn->cut_reset = reset;
  conn->ended = true;
}

void sim_wire_write(sim_conn *conn, const void *bytes, size_t count) {
  if (!count || conn->cut_at != SIZE_MAX) return;
  while (conn->down_room < conn->down_bytes + count) conn->down = sim_grow(conn->down, conn->down_bytes, &conn->down_room, 1);
  memcpy(conn->down + conn->down_bytes, bytes, count);
  conn->down_bytes += count;
  uint64_t at = sim.now_ns + sim_draw(2 * sim.config.latency_ns + 1);
  if (sim_fault(SIM_DELAY)) at += sim_draw(sim_chance(5) ? 2 * SIM_S : 100 * SIM_MS);
  if (at < conn->silent_until_ns) at = conn->silent_until_ns;
  if (conn->arrivals && at < conn->arrival[conn->arrivals - 1].at_ns) at = conn->arrival[conn->arrivals - 1].at_ns;
  conn->arrival = sim_grow(conn->arrival, conn->arrivals, &conn->arrivals_room, sizeof *conn->arrival);
  conn->arrival[conn->arrivals++] = (sim_arrival){at, conn->down_bytes};
  if (sim_fault(SIM_RESET)) sim_wire_cut(conn, conn->down_bytes - sim_draw(count + 1), true);
}

/* How much of the stream has arrived, and whether its end has. */
static size_t there(sim_conn *conn, bool *end) {
  while (conn->arrived < conn->arrivals && conn->arrival[conn->arrived].at_ns <= sim.now_ns) conn->arrived++;
  size_t bytes = conn->arrived ? conn->arrival[conn->arrived - 1].end : 0;
  *end = bytes >= conn->cut_at || (conn->cut_at != SIZE_MAX && conn->arrived == conn->arrivals);
  return bytes < conn->cut_at ? bytes : conn->cut_at;
}

static bool receivable(sim_conn *conn) {
  bool end;
  return there(conn, &end) > conn->given || end;
}

static int receive(sim_conn *conn, void *bytes, size_t room) {
  bool end;
  size_t count = there(conn, &end) - conn->given;
  if (!count) return conn->cut_reset ? -ECONNRESET : 0;
  if (count > room) count = room;
  if (sim_fault(SIM_SHORT_RECEIVE)) count = sim_chance(3) ? 1 : 1 + sim_draw(count);
  memcpy(bytes, conn->down + conn->given, count);
  conn->given += count;
  return (int)count;
}

static int transmit(sim_conn *conn, const void *bytes, size_t count) {
  if (conn->up_dead || (conn->cut_at != SIZE_MAX && conn->cut_reset)) return -EPIPE;
  if (sim_fault(SIM_SEND_ERROR)) {
    conn->up_dead = true;
    sim_wire_cut(conn, conn->down_bytes, true);
    return -ECONNRESET;
  }
  if (sim_fault(SIM_SHORT_SEND)) count = 1 + sim_draw(count);
  while (conn->up_room < conn->up_bytes + count) conn->up = sim_grow(conn->up, conn->up_bytes, &conn->up_room, 1);
  memcpy(conn->up + conn->up_bytes, bytes, count);
  conn->up_bytes += count;
  return (int)count;
}

int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol) {
  sim_conn *conn = sim_alloc(sizeof *conn);
  conn->cut_at = SIZE_MAX;
  sim.conn = sim_grow(sim.conn, sim.conns, &sim.conns_room, sizeof *sim.conn);
  sim.conn[sim.conns++] = conn;
  return SOCKET_BASE + (int)sim.conns - 1;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t bytes);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t bytes) { return 0; }

ssize_t __wrap_recv(int fd, void *bytes, size_t count, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t count, int flags) {
  sim_conn *conn = conn_of(fd);
  if (!receivable(conn)) {
    errno = EAGAIN;
    return -1;
  }
  int result = receive(conn, bytes, count);
  if (result < 0) {
    errno = -result;
    return -1;
  }
  conn->given_counted = conn->given;
  return result;
}

int sim_disk_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
  sim_conn *conn = conn_of(fd);
  if (!conn) return sim_disk_close(fd);
  conn->closed = true;
  return 0;
}

/* ------------------------------------------------------------------------------------------------ io_uring */

typedef enum { OP_CONNECT, OP_RECV, OP_SEND, OP_WRITEV, OP_FSYNC } op_kind;

typedef struct pending {
  op_kind kind;
  wb_op *op;
  int fd;
  void *bytes;
  size_t count;
  const struct iovec *part;
  uint64_t offset, due_ns;
  bool cancelled;
} pending;

struct wb_uring {
  pending op[OPS_MAX];
  unsigned count;
  bool woken;
};

wb_uring *wb_uring_open(unsigned entries, unsigned file_count, wb_error *error) { return sim_alloc(sizeof(wb_uring)); }
void wb_uring_close(wb_uring *ring) {
  if (!ring) return;
  for (unsigned i = 0; i < ring->count; i++) ring->op[i].op->busy = false;
  ring->count = 0;
}
void wb_uring_wake(wb_uring *ring) { ring->woken = true; }
int wb_uring_file_install(wb_uring *ring, int fd) { return WB_E_FULL; }
void wb_uring_file_remove(wb_uring *ring, int handle) {}
const char *wb_uring_describe(const wb_uring *ring, char *text, size_t size) {
  snprintf(text, size, "simulated");
  return text;
}

static pending *submit(wb_uring *ring, op_kind kind, wb_op *op, int fd, uint64_t due_ns) {
  if (op->busy) sim_fail("protocol", "an operation is submitted while it is under way");
  if (ring->count == OPS_MAX) sim_fail("simulator", "too many operations");
  op->busy = true;
  op->more = false;
  pending *p = &ring->op[ring->count++];
  *p = (pending){.kind = kind, .op = op, .fd = fd, .due_ns = due_ns};
  return p;
}

void wb_uring_connect(wb_uring *ring, wb_op *op, int file, const struct sockaddr *address, socklen_t bytes) {
  uint64_t due_ns = sim.now_ns + sim_draw(2 * sim.config.latency_ns + 1);
  submit(ring, OP_CONNECT, op, file, sim_fault(SIM_CONNECT_SILENT) ? UINT64_MAX : due_ns);
}

void wb_uring_recv(wb_uring *ring, wb_op *op, int file, void *bytes, size_t count) {
  pending *p = submit(ring, OP_RECV, op, file, 0);
  p->bytes = bytes;
  p->count = count;
}

void wb_uring_send(wb_uring *ring, wb_op *op, int file, const void *bytes, size_t count) {
  pending *p = submit(ring, OP_SEND, op, file, 0);
  p->bytes = (void *)bytes;
  p->count = count;
}

static uint64_t disk_due(void) {
  return sim.now_ns + (sim_fault(SIM_SLOW_DISK) ? sim_draw(3 * SIM_S) : sim_chance(2) ? 0 : sim_draw(SIM_MS));
}

void wb_uring_writev(wb_uring *ring, wb_op *op, int file, const struct iovec *part, unsigned parts, uint64_t offset) {
  pending *p = submit(ring, OP_WRITEV, op, file, disk_due());
  p->part = part;
  p->count = parts;
  p->offset = offset;
}

void wb_uring_fsync(wb_uring *ring, wb_op *op, int file, bool data_only) {
  submit(ring, OP_FSYNC, op, file, disk_due())->offset = sim_disk_sync_begin(file);
}

void wb_uring_cancel(wb_uring *ring, wb_op *target) {
  for (unsigned i = 0; i < ring->count; i++)
    if (ring->op[i].op == target) ring->op[i].cancelled = true;
}

static bool ready(const pending *p) {
  if (p->cancelled) return true;
  if (p->kind == OP_RECV) return receivable(conn_of(p->fd));
  return sim.now_ns >= p->due_ns;
}

static int perform(const pending *p) {
  sim_conn *conn = conn_of(p->fd);
  switch (p->kind) {
  case OP_CONNECT:
    if (p->cancelled) return -ECANCELED;
    if (sim_fault(SIM_CONNECT_REFUSED)) return -ECONNREFUSED;
    conn->connected = true;
    conn->line = (uint8_t)((const wb_line *)p->op->self)->index;
    conn->connection = (uint16_t)++sim.line_connects[conn->line];
    sim.connects++;
    return 0;
  case OP_RECV:
    if (p->cancelled && (!receivable(conn) || sim_chance(2))) return -ECANCELED;
    else {
      int result = receive(conn, p->bytes, p->count);
      if (!p->cancelled) conn->given_counted = conn->given;
      return result;
    }
  case OP_SEND: return p->cancelled && sim_chance(2) ? -ECANCELED : transmit(conn, p->bytes, p->count);
  case OP_WRITEV: return p->cancelled ? -ECANCELED : sim_disk_writev(p->fd, p->part, (unsigned)p->count, p->offset);
  case OP_FSYNC: return sim_disk_sync_end(p->fd, p->offset);
  }
  return -EINVAL;
}

int wb_uring_poll(wb_uring *ring) {
  int done = 0;
  bool lazy = sim_chance(4);
  unsigned first = ring->count ? (unsigned)sim_draw(ring->count) : 0;
  for (unsigned tries = ring->count; tries; tries--) {
    unsigned at = (first + tries) % ring->count;
    if (!ready(&ring->op[at]) || (lazy && sim_chance(2))) continue;
    pending p = ring->op[at];
    ring->op[at] = ring->op[--ring->count];
    int result = perform(&p);
    p.op->busy = false;
    done++;
    p.op->done(p.op, result, 0);
    if (!ring->count) break;
  }
  return done;
}

int wb_uring_wait(wb_uring *ring, uint64_t timeout_ns) {
  sim.now_ns += timeout_ns < SIM_MS ? timeout_ns : SIM_MS;
  return wb_uring_poll(ring);
}

/* ------------------------------------------------------------------------------------------------ names, dice, clocks */

struct wb_resolve {
  bool asked, fails;
  uint64_t due_ns;
};

wb_resolve *wb_resolve_open(wb_error *error) { return sim_alloc(sizeof(wb_resolve)); }
void wb_resolve_close(wb_resolve *resolve) {}

int wb_resolve_start(wb_resolve *resolve, const char *host, const char *port, void (*wake)(void *), void *wake_self) {
  if (resolve->asked) return WB_E_STATE;
  resolve->asked = true;
  resolve->due_ns = sim.now_ns + sim_draw(20 * SIM_MS);
  resolve->fails = sim_fault(SIM_RESOLVE);
  return 0;
}

int wb_resolve_poll(wb_resolve *resolve, wb_address *address, unsigned max, wb_error *error) {
  if (!resolve->asked) return WB_E_STATE;
  if (sim.now_ns < resolve->due_ns) return 0;
  resolve->asked = false;
  if (resolve->fails) return wb_error_set(error, WB_E_RESOLVE, 0, "resolve", "no such name");
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  memset(address, 0, sizeof *address);
  memcpy(&address->address, &in, sizeof in);
  address->bytes = sizeof in;
  strcpy(address->text, "127.0.0.1:9");
  return 1;
}

void wb_random_fill(void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) ((uint8_t *)bytes)[i] = (uint8_t)sim_draw(256);
}

uint64_t wb_clock_ns(void) { return sim.now_ns; }
int64_t wb_clock_utc_ns(void) { return (int64_t)(sim.now_ns + (uint64_t)sim.utc_offset_ns); }
