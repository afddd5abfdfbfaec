/* bare - receive loops that drop the bytes: the limit of any client of this sender on this machine.
 *
 * Usage: bare block|spin|epoll|uring|uring-spin PORT CYCLES PRODUCTS [tls] [stamp]
 * uring: multishot receive into provided buffers, waiting, or looking without an end. tls: block and spin only.
 * stamp: each receive is followed by a look at the clock, against which the time that each message carries is counted.
 * Nothing else is parsed; the end of the stream ends it. */
#include <liburing.h>
#include <sys/epoll.h>

#include "bench/reference/client.h"
#include "bench/reference/stamp.h"

enum { RECEIVE_BYTES = 256 * 1024, BUFFERS = 32, BUFFER_BYTES = 64 * 1024, KEPT_BYTES = 4 << 20 };

static bool stamping;
static stamp_hist latency;
static char *kept; /* what came of a frame that is not whole yet */
static size_t kept_bytes;

/* Whole frames of these bytes; returns how many bytes they are. */
static size_t stamp_frames(const char *bytes, size_t size, int64_t utc_ns) {
  size_t at = 0;
  while (size - at >= 2) {
    const unsigned char *head = (const unsigned char *)bytes + at;
    size_t header = head[1] == 126 ? 4 : head[1] == 127 ? 10 : 2, payload = head[1];
    if (size - at < header) break;
    if (header == 4) payload = (size_t)head[2] << 8 | head[3];
    for (size_t i = 2; header == 10 && i < 10; i++) payload = payload << 8 | head[i];
    if (header == 10) payload &= UINT32_MAX;
    if (size - at - header < payload) break;
    stamp_message(&latency, bytes + at + header, payload, utc_ns);
    at += header + payload;
  }
  return at;
}

static uint64_t took(const char *bytes, size_t size) {
  if (!stamping) return size;
  int64_t utc_ns = stamp_clock(CLOCK_REALTIME);
  if (!kept_bytes) {
    size_t whole = stamp_frames(bytes, size, utc_ns);
    memcpy(kept, bytes + whole, kept_bytes = size - whole);
    return size;
  }
  if (size > KEPT_BYTES - kept_bytes) client_fail("a frame too large");
  memcpy(kept + kept_bytes, bytes, size);
  kept_bytes += size;
  size_t whole = stamp_frames(kept, kept_bytes, utc_ns);
  memmove(kept, kept + whole, kept_bytes -= whole);
  return size;
}

static uint64_t receive_block(const client_line *line, char *buffer) {
  uint64_t bytes = 0;
  for (ssize_t n; (n = client_receive(line, buffer, RECEIVE_BYTES, 0)) > 0;) bytes += took(buffer, (size_t)n);
  return bytes;
}

static uint64_t receive_spin(const client_line *line, char *buffer) {
  uint64_t bytes = 0;
  if (line->ssl && fcntl(line->fd, F_SETFL, O_NONBLOCK)) client_fail("O_NONBLOCK");
  for (;;) {
    errno = 0;
    ssize_t n = client_receive(line, buffer, RECEIVE_BYTES, MSG_DONTWAIT);
    if (n > 0) bytes += took(buffer, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) return bytes;
  }
}

static uint64_t receive_epoll(const client_line *line, char *buffer) {
  int fd = line->fd;
  uint64_t bytes = 0;
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event)) client_fail("epoll");
  for (;;) {
    if (epoll_wait(poll, &event, 1, -1) < 0 && errno != EINTR) client_fail("epoll_wait");
    ssize_t n = recv(fd, buffer, RECEIVE_BYTES, MSG_DONTWAIT);
    if (n > 0) bytes += took(buffer, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) return bytes;
  }
}

static void arm(struct io_uring *ring, int fd) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
  if (!sqe) client_fail("io_uring_get_sqe");
  io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = 0;
}

static uint64_t receive_uring_in(int fd, char *buffer, bool spin) {
  struct io_uring ring;
  struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                            IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE,
                                   .cq_entries = 4096};
  errno = -io_uring_queue_init_params(8, &ring, &params);
  if (errno) client_fail("io_uring");
  struct io_uring_buf_ring *buffers;
  if (posix_memalign((void **)&buffers, 4096, BUFFERS * sizeof(struct io_uring_buf))) client_fail("memory");
  struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)buffers, .ring_entries = BUFFERS, .bgid = 0};
  errno = -io_uring_register_buf_ring(&ring, &registration, 0);
  if (errno) client_fail("buffer ring");
  io_uring_buf_ring_init(buffers);
  for (unsigned short i = 0; i < BUFFERS; i++)
    io_uring_buf_ring_add(buffers, buffer + (size_t)i * BUFFER_BYTES, BUFFER_BYTES, i, io_uring_buf_ring_mask(BUFFERS), i);
  io_uring_buf_ring_advance(buffers, BUFFERS);
  arm(&ring, fd);
  for (uint64_t bytes = 0;;) {
    int waited = !spin                                                     ? io_uring_submit_and_wait(&ring, 1)
                 : io_uring_sq_ready(&ring)                                ? io_uring_submit_and_get_events(&ring)
                 : IO_URING_READ_ONCE(*ring.sq.kflags) & IORING_SQ_TASKRUN ? io_uring_get_events(&ring)
                                                                           : 0;
    if (waited < 0 && waited != -EINTR) errno = -waited, client_fail("io_uring_submit_and_wait");
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, used = 0;
    bool again = false, end = false;
    io_uring_for_each_cqe(&ring, head, cqe) {
      seen++;
      if (cqe->flags & IORING_CQE_F_BUFFER) {
        unsigned short id = (unsigned short)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        if (cqe->res > 0) bytes += took(buffer + (size_t)id * BUFFER_BYTES, (size_t)cqe->res);
        io_uring_buf_ring_add(buffers, buffer + (size_t)id * BUFFER_BYTES, BUFFER_BYTES, id, io_uring_buf_ring_mask(BUFFERS),
                              (int)used++);
      }
      if (!(cqe->flags & IORING_CQE_F_MORE)) again = true;
      if (cqe->res == 0 || (cqe->res < 0 && cqe->res != -ENOBUFS)) end = true;
    }
    io_uring_buf_ring_advance(buffers, (int)used);
    io_uring_cq_advance(&ring, seen);
    if (end) return bytes;
    if (again) arm(&ring, fd);
  }
}

static uint64_t receive_uring(const client_line *line, char *buffer) { return receive_uring_in(line->fd, buffer, false); }
static uint64_t receive_uring_spin(const client_line *line, char *buffer) { return receive_uring_in(line->fd, buffer, true); }

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    uint64_t (*receive)(const client_line *, char *);
    bool tls;
  } ways[] = {{"block", receive_block, true},
              {"spin", receive_spin, true},
              {"epoll", receive_epoll, false},
              {"uring", receive_uring, false},
              {"uring-spin", receive_uring_spin, false}};
  enum { WAYS = sizeof ways / sizeof *ways };
  unsigned way = 0;
  while (way < WAYS && (argc < 2 || strcmp(argv[1], ways[way].name) != 0)) way++;
  if (argc > 2 && strcmp(argv[argc - 1], "stamp") == 0) stamping = true, argc--;
  if (way == WAYS || argc < 3) {
    fprintf(stderr, "usage: bare block|spin|epoll|uring|uring-spin PORT CYCLES PRODUCTS [tls] [stamp]\n");
    return 2;
  }
  client_options o = client_parse(argc - 1, argv + 1);
  if (o.tls && !ways[way].tls) {
    fprintf(stderr, "bare: %s is not for TLS\n", argv[1]);
    return 2;
  }
  char *buffer = NULL;
  kept = malloc(KEPT_BYTES);
  if (!kept || posix_memalign((void **)&buffer, 4096, BUFFERS * BUFFER_BYTES)) client_fail("memory");
  memset(buffer, 0, BUFFERS * BUFFER_BYTES);
  memset(kept, 0, KEPT_BYTES);
  client_line line = client_connect(&o);
  uint64_t start = client_ns(), bytes = ways[way].receive(&line, buffer);
  printf("{\"bytes\":%llu,\"seconds\":%.9f", (unsigned long long)bytes, (double)(client_ns() - start) / 1e9);
  if (stamping) printf(","), stamp_print("latency_ns", &latency);
  printf("}\n");
  close(line.fd);
  return 0;
}
