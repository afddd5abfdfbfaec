/* bare - receive loops that drop the bytes: the limit of any client of this sender on this machine.
 *
 * Usage: bare block|spin|epoll|uring PORT CYCLES PRODUCTS [tls]
 * tls: blocking, whichever way was named. uring: multishot receive into provided buffers, waiting. Nothing is parsed; the end of the stream ends it. */
#include <liburing.h>
#include <sys/epoll.h>

#include "bench/reference/client.h"

enum { RECEIVE_BYTES = 256 * 1024, BUFFERS = 32, BUFFER_BYTES = 64 * 1024 };

static uint64_t receive_block(int fd, char *buffer) {
  uint64_t bytes = 0;
  for (ssize_t n; (n = recv(fd, buffer, RECEIVE_BYTES, 0)) > 0;) bytes += (uint64_t)n;
  return bytes;
}

static uint64_t receive_tls(const client_line *line, char *buffer) {
  uint64_t bytes = 0;
  for (ssize_t n; (n = client_receive(line, buffer, RECEIVE_BYTES, 0)) > 0;) bytes += (uint64_t)n;
  return bytes;
}

static uint64_t receive_spin(int fd, char *buffer) {
  uint64_t bytes = 0;
  for (;;) {
    ssize_t n = recv(fd, buffer, RECEIVE_BYTES, MSG_DONTWAIT);
    if (n > 0) bytes += (uint64_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) return bytes;
  }
}

static uint64_t receive_epoll(int fd, char *buffer) {
  uint64_t bytes = 0;
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event)) client_fail("epoll");
  for (;;) {
    if (epoll_wait(poll, &event, 1, -1) < 0 && errno != EINTR) client_fail("epoll_wait");
    ssize_t n = recv(fd, buffer, RECEIVE_BYTES, MSG_DONTWAIT);
    if (n > 0) bytes += (uint64_t)n;
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

static uint64_t receive_uring(int fd, char *buffer) {
  struct io_uring ring;
  struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
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
    int waited = io_uring_submit_and_wait(&ring, 1);
    if (waited < 0 && waited != -EINTR) errno = -waited, client_fail("io_uring_submit_and_wait");
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, used = 0;
    bool again = false, end = false;
    io_uring_for_each_cqe(&ring, head, cqe) {
      seen++;
      if (cqe->res > 0) bytes += (uint64_t)cqe->res;
      if (cqe->flags & IORING_CQE_F_BUFFER) {
        unsigned short id = (unsigned short)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
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

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    uint64_t (*receive)(int, char *);
  } ways[] = {{"block", receive_block}, {"spin", receive_spin}, {"epoll", receive_epoll}, {"uring", receive_uring}};
  unsigned way = 0;
  while (way < 4 && (argc < 2 || strcmp(argv[1], ways[way].name) != 0)) way++;
  if (way == 4) {
    fprintf(stderr, "usage: bare block|spin|epoll|uring PORT CYCLES PRODUCTS [tls]\n");
    return 2;
  }
  client_options o = client_parse(argc - 1, argv + 1);
  char *buffer;
  if (posix_memalign((void **)&buffer, 4096, BUFFERS * BUFFER_BYTES)) client_fail("memory");
  memset(buffer, 0, BUFFERS * BUFFER_BYTES);
  client_line line = client_connect(&o);
  uint64_t start = client_ns(), bytes = o.tls ? receive_tls(&line, buffer) : ways[way].receive(line.fd, buffer);
  printf("{\"bytes\":%llu,\"seconds\":%.9f}\n", (unsigned long long)bytes, (double)(client_ns() - start) / 1e9);
  close(line.fd);
  return 0;
}
