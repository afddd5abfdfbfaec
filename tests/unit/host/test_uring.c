#include "io/uring.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)

/* Stands before the library's: plays a kernel that knows only some of the setup flags, or forbids the call. */
static unsigned kernel_flags = ~0u;
static int kernel_errno;

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *parameters) {
  static int (*real)(unsigned, struct io_uring *, struct io_uring_params *);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "io_uring_queue_init_params");
  if (kernel_errno) return -kernel_errno;
  if (parameters->flags & ~kernel_flags) return -EINVAL;
  return real(entries, ring, parameters);
}

typedef struct result {
  wb_op op;
  int value, count;
} result;

static void keep(wb_op *op, int value, unsigned flags) {
  result *r = op->self;
  r->value = value;
  r->count++;
}

static void result_init(result *r) { *r = (result){.op = {.done = keep, .self = r}}; }

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void wait_for(wb_uring *ring, const result *r, int count) {
  uint64_t end = now_ns() + 20 * SECOND_NS;
  while (r->count < count) {
    wb_uring_wait(ring, SECOND_NS);
    cr_assert(now_ns() < end, "no completion within 20 s");
  }
}

static wb_uring *opened(unsigned entries, unsigned files) {
  wb_error error = {0};
  wb_uring *ring = wb_uring_open(entries, files, &error);
  cr_assert_not_null(ring, "%s", error.detail);
  return ring;
}

static int listener(struct sockaddr_in *address) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof *address;
  cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)address, bytes) && !listen(fd, 128));
  cr_assert(!getsockname(fd, (struct sockaddr *)address, &bytes));
  return fd;
}

static int open_fds(void) {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* ------------------------------------------------------------------------------------------------ bad inputs */

Test(uring, open_refuses_sizes_that_are_no_power_of_two_or_too_large) {
  unsigned bad[] = {0, 3, 100, 65536, 1u << 31};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wb_error error = {0};
    cr_assert_null(wb_uring_open(bad[i], 0, &error));
    cr_assert_eq(error.code, WB_E_INVALID);
    cr_assert_null(wb_uring_open(bad[i], 0, NULL));
  }
  wb_error error = {0};
  cr_assert_null(wb_uring_open(8, 40000, &error));
  cr_assert_eq(error.code, WB_E_LIMIT);
}

Test(uring, open_says_in_words_why_the_kernel_refuses) {
  int before = open_fds();
  const struct {
    int code, expected;
    const char *word;
  } cases[] = {{ENOSYS, WB_E_UNSUPPORTED, "seccomp"}, {EPERM, WB_E_UNSUPPORTED, "forbidden"}, {ENOMEM, WB_E_MEMORY, "memory"}};
  for (size_t i = 0; i < 3; i++) {
    wb_error error = {0};
    kernel_errno = cases[i].code;
    cr_assert_null(wb_uring_open(8, 4, &error));
    cr_assert_eq(error.code, cases[i].expected);
    cr_assert_eq(error.os_errno, cases[i].code);
    cr_assert_not_null(strstr(error.detail, cases[i].word), "%s", error.detail);
  }
  cr_assert_eq(open_fds(), before);
}

Test(uring, close_takes_null_and_a_ring_never_used) {
  int before = open_fds();
  wb_uring_close(NULL);
  wb_uring_close(opened(8, 8));
  cr_assert_eq(open_fds(), before);
}

Test(uring, errors_of_the_kernel_come_as_results) {
  wb_uring *ring = opened(8, 0);
  result r;
  result_init(&r);
  char bytes[8];
  wb_uring_recv(ring, &r.op, 1000, bytes, sizeof bytes);
  wait_for(ring, &r, 1);
  cr_assert_eq(r.value, -EBADF);
  cr_assert(!r.op.busy);
  wb_uring_recv(ring, &r.op, 3 | WB_URING_FIXED, bytes, sizeof bytes);
  wait_for(ring, &r, 2);
  cr_assert_eq(r.value, -EBADF);
  struct sockaddr_in address;
  int fd = listener(&address);
  close(fd);
  fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  wb_uring_connect(ring, &r.op, fd, (struct sockaddr *)&address, sizeof address);
  wait_for(ring, &r, 3);
  cr_assert_eq(r.value, -ECONNREFUSED);
  close(fd);
  wb_uring_close(ring);
}

Test(uring, send_to_a_closed_peer_is_an_error_and_no_signal) {
  wb_uring *ring = opened(8, 0);
  int pair[2];
  cr_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  close(pair[1]);
  result r;
  result_init(&r);
  wb_uring_send(ring, &r.op, pair[0], "x", 1);
  wait_for(ring, &r, 1);
  cr_assert_eq(r.value, -EPIPE);
  close(pair[0]);
  wb_uring_close(ring);
}

/* ------------------------------------------------------------------------------------------------ operations */

static void exchange(wb_uring *ring, bool installed) {
  struct sockaddr_in address;
  int listening = listener(&address), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int client = installed ? wb_uring_file_install(ring, fd) : fd;
  int accepting = installed ? wb_uring_file_install(ring, listening) : listening;
  cr_assert(client >= 0 && accepting >= 0);
  result accepted, connected, sent, received;
  result_init(&accepted), result_init(&connected), result_init(&sent), result_init(&received);
  wb_uring_accept(ring, &accepted.op, accepting);
  struct sockaddr_in gone = address; /* the address is copied */
  wb_uring_connect(ring, &connected.op, client, (struct sockaddr *)&gone, sizeof gone);
  memset(&gone, 0xff, sizeof gone);
  wait_for(ring, &connected, 1);
  cr_assert_eq(connected.value, 0);
  wait_for(ring, &accepted, 1);
  int server = accepted.value;
  cr_assert(server >= 0);
  cr_assert(fcntl(server, F_GETFD) & FD_CLOEXEC);

  char text[] = "level2", got[16] = {0};
  wb_uring_recv(ring, &received.op, server, got, sizeof got);
  cr_assert_eq(wb_uring_poll(ring), 0);
  cr_assert(received.op.busy);
  wb_uring_send(ring, &sent.op, client, text, 6);
  wait_for(ring, &sent, 1);
  wait_for(ring, &received, 1);
  cr_assert_eq(sent.value, 6);
  cr_assert_eq(received.value, 6);
  cr_assert_arr_eq(got, text, 6);

  wb_uring_shutdown(ring, &sent.op, client, SHUT_WR);
  wb_uring_recv(ring, &received.op, server, got, sizeof got);
  wait_for(ring, &sent, 2);
  wait_for(ring, &received, 2);
  cr_assert_eq(sent.value, 0);
  cr_assert_eq(received.value, 0);

  wb_uring_cancel(ring, &accepted.op);
  int count = accepted.count;
  if (accepted.op.busy) {
    wait_for(ring, &accepted, count + 1);
    cr_assert_eq(accepted.value, -ECANCELED);
  }
  cr_assert(!accepted.op.busy);
  if (installed) wb_uring_file_remove(ring, client), wb_uring_file_remove(ring, accepting);
  close(server), close(fd), close(listening);
}

Test(uring, a_tcp_connection_is_made_used_and_ended) {
  wb_uring *ring = opened(8, 0);
  exchange(ring, false);
  wb_uring_close(ring);
}

Test(uring, a_tcp_connection_is_made_used_and_ended_by_registered_files) {
  wb_uring *ring = opened(8, 4);
  for (int i = 0; i < 20; i++) exchange(ring, true);
  wb_uring_close(ring);
}

Test(uring, an_older_kernel_serves_as_well) {
  const struct {
    unsigned flags;
    const char *words;
  } cases[] = {{~(unsigned)IORING_SETUP_DEFER_TASKRUN, "cooperative task run"},
               {~(unsigned)(IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN), "plain"},
               {~0u, "single issuer, deferred task run"}};
  for (size_t i = 0; i < 3; i++) {
    kernel_flags = cases[i].flags;
    wb_uring *ring = opened(8, 4);
    exchange(ring, false);
    exchange(ring, true);
    char text[200];
    cr_assert_eq(strncmp(wb_uring_describe(ring, text, sizeof text), cases[i].words, strlen(cases[i].words)), 0, "%s", text);
    wb_uring_wake(ring);
    cr_assert_eq(wb_uring_wait(ring, 20 * SECOND_NS), 0);
    wb_uring_close(ring);
  }
}

Test(uring, accept_gives_every_connection) {
  enum { CONNECTIONS = 40 };
  wb_uring *ring = opened(8, 0);
  struct sockaddr_in address;
  int listening = listener(&address), fd[CONNECTIONS], server[CONNECTIONS];
  result accepted;
  result_init(&accepted);
  wb_uring_accept(ring, &accepted.op, listening);
  for (int i = 0; i < CONNECTIONS; i++) {
    wb_uring_poll(ring);
    fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(!connect(fd[i], (struct sockaddr *)&address, sizeof address));
    wait_for(ring, &accepted, i + 1);
    cr_assert(accepted.value >= 0);
    server[i] = accepted.value;
    if (!accepted.op.busy) wb_uring_accept(ring, &accepted.op, listening);
  }
  cr_assert(accepted.op.more, "this kernel has multishot accept");
  wb_uring_close(ring);
  for (int i = 0; i < CONNECTIONS; i++) close(fd[i]), close(server[i]);
  close(listening);
}

Test(uring, writev_and_fsync_put_bytes_in_a_file) {
  wb_uring *ring = opened(8, 1);
  char path[] = "/tmp/wb_uring.XXXXXX", got[16] = {0};
  int fd = mkstemp(path), file = wb_uring_file_install(ring, fd);
  unlink(path);
  struct iovec part[2] = {{"abc", 3}, {"defg", 4}};
  result written, synced;
  result_init(&written), result_init(&synced);
  wb_uring_writev(ring, &written.op, file, part, 2, 5);
  wait_for(ring, &written, 1);
  cr_assert_eq(written.value, 7);
  wb_uring_fsync(ring, &synced.op, file, true);
  wait_for(ring, &synced, 1);
  cr_assert_eq(synced.value, 0);
  wb_uring_fsync(ring, &synced.op, fd, false);
  wait_for(ring, &synced, 2);
  cr_assert_eq(synced.value, 0);
  cr_assert_eq(pread(fd, got, 16, 0), 12);
  cr_assert_arr_eq(got, "\0\0\0\0\0abcdefg", 12);
  wb_uring_file_remove(ring, file);
  close(fd);
  wb_uring_close(ring);
}

Test(uring, timeout_completes_no_earlier_than_asked) {
  wb_uring *ring = opened(8, 0);
  result late, soon;
  result_init(&late), result_init(&soon);
  uint64_t begin = now_ns();
  wb_uring_timeout(ring, &late.op, 40000000);
  wb_uring_timeout(ring, &soon.op, 10000000);
  wait_for(ring, &soon, 1);
  cr_assert_geq(now_ns() - begin, 10000000);
  cr_assert_eq(soon.value, -ETIME);
  int completed = late.count;
  if (now_ns() - begin < 40000000) cr_assert_eq(completed, 0);
  wait_for(ring, &late, 1);
  cr_assert_geq(now_ns() - begin, 40000000);
  wb_uring_close(ring);
}

Test(uring, cancel_ends_an_operation_that_would_never_end) {
  wb_uring *ring = opened(8, 0);
  int pair[2];
  cr_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  result r, t;
  result_init(&r), result_init(&t);
  char bytes[8];
  wb_uring_cancel(ring, &r.op); /* not busy: nothing */
  wb_uring_recv(ring, &r.op, pair[0], bytes, sizeof bytes);
  wb_uring_timeout(ring, &t.op, 3600 * SECOND_NS);
  wb_uring_poll(ring);
  wb_uring_cancel(ring, &r.op);
  wb_uring_cancel(ring, &t.op);
  wait_for(ring, &r, 1);
  wait_for(ring, &t, 1);
  cr_assert_eq(r.value, -ECANCELED);
  cr_assert_eq(t.value, -ECANCELED);
  wb_uring_recv(ring, &r.op, pair[0], bytes, sizeof bytes);
  wb_uring_cancel(ring, &r.op); /* in the same batch */
  wait_for(ring, &r, 2);
  cr_assert_eq(r.value, -ECANCELED);
  wb_uring_close(ring);
  close(pair[0]), close(pair[1]);
}

Test(uring, more_operations_than_entries_are_in_flight_at_once) {
  enum { OPS = 3000 };
  wb_uring *ring = opened(4, 0);
  result *r = calloc(OPS, sizeof *r);
  for (int i = 0; i < OPS; i++) {
    result_init(&r[i]);
    wb_uring_timeout(ring, &r[i].op, 3600 * SECOND_NS);
  }
  wb_uring_poll(ring);
  for (int i = 0; i < OPS; i++) wb_uring_cancel(ring, &r[i].op);
  for (int i = 0; i < OPS; i++) {
    wait_for(ring, &r[i], 1);
    cr_assert_eq(r[i].value, -ECANCELED);
  }
  wb_uring_poll(ring);
  for (int i = 0; i < OPS; i++) cr_assert_eq(r[i].count, 1);
  wb_uring_close(ring);
  free(r);
}

typedef struct chain {
  wb_op op;
  wb_uring *ring;
  int left;
} chain;

static void again(wb_op *op, int value, unsigned flags) {
  chain *c = op->self;
  cr_assert_eq(value, -ETIME);
  cr_assert(!op->busy);
  if (--c->left) wb_uring_timeout(c->ring, op, 1);
}

Test(uring, an_operation_is_submitted_again_from_its_own_done) {
  wb_uring *ring = opened(2, 0);
  chain c[5];
  for (int i = 0; i < 5; i++) {
    c[i] = (chain){.op = {.done = again, .self = &c[i]}, .ring = ring, .left = 500};
    wb_uring_timeout(ring, &c[i].op, 1);
  }
  uint64_t end = now_ns() + 20 * SECOND_NS;
  for (int completed = 0; completed < 2500;) {
    completed += wb_uring_wait(ring, SECOND_NS);
    cr_assert(now_ns() < end);
  }
  for (int i = 0; i < 5; i++) cr_assert_eq(c[i].left, 0);
  wb_uring_close(ring);
}

static void release(wb_op *op, int value, unsigned flags) {
  ++*(int *)op->self;
  free(op);
}

Test(uring, an_operation_may_be_freed_in_its_own_done) {
  wb_uring *ring = opened(8, 0);
  int count = 0;
  for (int i = 0; i < 100; i++) {
    wb_op *op = calloc(1, sizeof *op);
    *op = (wb_op){.done = release, .self = &count};
    wb_uring_timeout(ring, op, 1000);
  }
  for (int completed = 0; completed < 100;) completed += wb_uring_wait(ring, SECOND_NS);
  cr_assert_eq(count, 100);
  wb_uring_close(ring);
}

/* ------------------------------------------------------------------------------------------------ files */

Test(uring, registered_files_run_out_and_are_used_again) {
  wb_uring *ring = opened(8, 3);
  int pair[2], handle[3];
  cr_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  cr_assert_lt(wb_uring_file_install(ring, -1), 0);
  cr_assert_lt(wb_uring_file_install(ring, 1000), 0);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 3; i++) {
      handle[i] = wb_uring_file_install(ring, pair[i & 1]);
      cr_assert(handle[i] >= 0 && (handle[i] & WB_URING_FIXED));
    }
    cr_assert(handle[0] != handle[1] && handle[1] != handle[2] && handle[0] != handle[2]);
    cr_assert_eq(wb_uring_file_install(ring, pair[0]), WB_E_FULL);
    result sent, received;
    result_init(&sent), result_init(&received);
    char byte = 0;
    wb_uring_send(ring, &sent.op, handle[0], "x", 1);
    wb_uring_recv(ring, &received.op, handle[1], &byte, 1);
    wait_for(ring, &received, 1);
    cr_assert_eq(byte, 'x');
    for (int i = 0; i < 3; i++) wb_uring_file_remove(ring, handle[i]);
    wb_uring_recv(ring, &received.op, handle[1], &byte, 1);
    wait_for(ring, &received, 2);
    cr_assert_eq(received.value, -EBADF);
  }
  wb_uring_file_remove(ring, pair[0]); /* a plain fd: nothing */
  wb_uring_close(ring);
  ring = opened(8, 0);
  cr_assert_eq(wb_uring_file_install(ring, pair[0]), WB_E_FULL);
  wb_uring_close(ring);
  close(pair[0]), close(pair[1]);
}

/* ------------------------------------------------------------------------------------------------ threads */

Test(uring, wait_returns_at_its_timeout) {
  wb_uring *ring = opened(8, 0);
  uint64_t begin = now_ns();
  cr_assert_eq(wb_uring_wait(ring, 5000000), 0);
  cr_assert_geq(now_ns() - begin, 5000000);
  cr_assert_eq(wb_uring_wait(ring, 0), 0);
  wb_uring_close(ring);
}

Test(uring, a_wake_before_the_wait_is_not_lost) {
  wb_uring *ring = opened(8, 0);
  uint64_t begin = now_ns();
  for (int i = 0; i < 3; i++) {
    wb_uring_wake(ring);
    wb_uring_wake(ring);
    cr_assert_eq(wb_uring_wait(ring, 60 * SECOND_NS), 0);
  }
  cr_assert_lt(now_ns() - begin, 30 * SECOND_NS);
  begin = now_ns();
  while (now_ns() - begin < 5000000) wb_uring_wait(ring, 5000000); /* and counts once */
  wb_uring_close(ring);
}

typedef struct shared {
  wb_uring *ring;
  atomic_int request, answer;
} shared;

static void *waiter(void *argument) {
  shared *s = argument;
  for (int seen = 0; seen >= 0;) {
    int request = atomic_load_explicit(&s->request, memory_order_relaxed);
    if (request == seen) {
      wb_uring_wait(s->ring, 60 * SECOND_NS);
      continue;
    }
    seen = request;
    atomic_store(&s->answer, request);
  }
  wb_uring_close(s->ring);
  return NULL;
}

Test(uring, no_wake_from_another_thread_is_ever_lost) {
  enum { ROUNDS = 20000 };
  shared s = {.ring = opened(8, 0)};
  pthread_t thread;
  cr_assert(!pthread_create(&thread, NULL, waiter, &s));
  uint64_t end = now_ns() + 200 * SECOND_NS;
  for (int i = 1; i <= ROUNDS; i++) {
    uint64_t begun = now_ns();
    atomic_store_explicit(&s.request, i, memory_order_relaxed);
    wb_uring_wake(s.ring);
    for (unsigned looks = 0; atomic_load(&s.answer) != i; looks++) {
      cr_assert(now_ns() < end, "lost in round %d", i);
      if (looks > 1000) sched_yield(); /* where there are fewer CPUs than threads */
    }
    cr_assert_lt(now_ns() - begun, 50 * SECOND_NS, "late in round %d", i); /* the waiter sleeps 60 s */
  }
  atomic_store_explicit(&s.request, -1, memory_order_relaxed);
  wb_uring_wake(s.ring);
  pthread_join(thread, NULL);
}

static void *exchanger(void *argument) {
  shared *s = argument;
  exchange(s->ring, true);
  return NULL;
}

Test(uring, a_ring_opened_and_prepared_on_one_thread_is_used_on_another) {
  int before = open_fds();
  shared s = {.ring = opened(8, 4)};
  int pair[2];
  cr_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  int handle = wb_uring_file_install(s.ring, pair[0]);
  cr_assert(handle >= 0);
  result r;
  result_init(&r);
  char byte;
  wb_uring_recv(s.ring, &r.op, handle, &byte, 1);
  cr_assert_eq(write(pair[1], "y", 1), 1);
  pthread_t thread;
  cr_assert(!pthread_create(&thread, NULL, exchanger, &s));
  pthread_join(thread, NULL);
  cr_assert_eq(r.count, 1);
  cr_assert_eq(byte, 'y');
  wb_uring_close(s.ring); /* on a third party after the owner has ended */
  close(pair[0]), close(pair[1]);
  cr_assert_eq(open_fds(), before);
}

/* ------------------------------------------------------------------------------------------------ close */

Test(uring, close_cancels_what_is_in_flight_and_calls_nobody) {
  int before = open_fds();
  wb_uring *ring = opened(8, 2);
  struct sockaddr_in address;
  int pair[2], listening = listener(&address), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  cr_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  result received, accepted, timed;
  result_init(&received), result_init(&accepted), result_init(&timed);
  char *bytes = malloc(64);
  wb_uring_recv(ring, &received.op, wb_uring_file_install(ring, pair[0]), bytes, 64);
  wb_uring_accept(ring, &accepted.op, listening);
  wb_uring_timeout(ring, &timed.op, 3600 * SECOND_NS);
  wb_uring_poll(ring);
  cr_assert(!connect(fd, (struct sockaddr *)&address, sizeof address)); /* accepted, but nobody will look */
  wb_uring_close(ring);
  free(bytes);
  cr_assert_eq(received.count + accepted.count + timed.count, 0);
  cr_assert(!received.op.busy && !accepted.op.busy && !timed.op.busy);
  close(pair[0]), close(pair[1]), close(listening), close(fd);
  cr_assert_eq(open_fds(), before);
}

Test(uring, describe_cuts_to_fit) {
  wb_uring *ring = opened(8, 16);
  char text[200], small[8];
  wb_uring_poll(ring);
  wb_uring_describe(ring, text, sizeof text);
  cr_assert_not_null(strstr(text, "registered files 16"), "%s", text);
  cr_assert_eq(strlen(wb_uring_describe(ring, small, sizeof small)), 7);
  wb_uring_close(ring);
}

/* ------------------------------------------------------------------------------------------------ random */

typedef struct stream {
  result sent, received;
  int fd[2];
  uint8_t out[4096], in[4096];
  uint64_t sent_bytes, received_bytes;
} stream;

static uint8_t byte_at(uint64_t position, unsigned seed) {
  uint64_t x = (position + seed) * UINT64_C(0x9e3779b97f4a7c15);
  return (uint8_t)(x >> 56);
}

Test(uring, random_sends_and_receives_keep_every_byte) {
  enum { STREAMS = 6, OPS = 60000 };
  unsigned seed = (unsigned)now_ns();
  const char *given = getenv("WB_SEED");
  if (given) seed = (unsigned)strtoul(given, NULL, 0);
  printf("seed %u\n", seed);
  srand(seed);
  wb_uring *ring = opened(4, STREAMS);
  stream *streams = calloc(STREAMS, sizeof *streams);
  int file[STREAMS];
  for (int i = 0; i < STREAMS; i++) {
    cr_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, streams[i].fd));
    file[i] = wb_uring_file_install(ring, streams[i].fd[0]);
    result_init(&streams[i].sent), result_init(&streams[i].received);
  }
  for (int done = 0; done < OPS;) {
    stream *s = &streams[rand() % STREAMS];
    if (!s->sent.op.busy) {
      if (s->sent.count) {
        cr_assert_gt(s->sent.value, 0);
        s->sent_bytes += (uint64_t)s->sent.value;
        s->sent.count = 0;
      }
      size_t count = 1 + (size_t)rand() % sizeof s->out;
      for (size_t i = 0; i < count; i++) s->out[i] = byte_at(s->sent_bytes + i, seed);
      wb_uring_send(ring, &s->sent.op, rand() & 1 ? file[s - streams] : s->fd[0], s->out, count);
    }
    if (!s->received.op.busy && rand() % 2) {
      if (s->received.count) {
        cr_assert_gt(s->received.value, 0);
        for (int i = 0; i < s->received.value; i++)
          cr_assert_eq(s->in[i], byte_at(s->received_bytes + (uint64_t)i, seed), "seed %u", seed);
        s->received_bytes += (uint64_t)s->received.value;
        s->received.count = 0;
      }
      wb_uring_recv(ring, &s->received.op, s->fd[1], s->in, 1 + (size_t)rand() % sizeof s->in);
    }
    if (rand() % 3) done += wb_uring_poll(ring);
    if (rand() % 50 == 0) wb_uring_wake(ring);
    if (rand() % 50 == 0) done += wb_uring_wait(ring, 1000);
  }
  uint64_t total = 0;
  for (int i = 0; i < STREAMS; i++) total += streams[i].received_bytes;
  cr_assert_gt(total, OPS);
  wb_uring_close(ring);
  for (int i = 0; i < STREAMS; i++) close(streams[i].fd[0]), close(streams[i].fd[1]);
  free(streams);
}
