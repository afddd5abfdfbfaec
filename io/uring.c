#include "io/uring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/limits.h"

enum { SUBMIT_RETRY_MAX = 100000, IO_BYTES_MAX = 1 << 30 };
#define CLOSE_WAIT_NS UINT64_C(1000000000)

/* What a submission queue entry points to, kept until the kernel has copied it (at the latest when its slot is used again). */
typedef union slot {
  struct __kernel_timespec time;
  struct sockaddr_storage address;
} slot;

struct wb_uring {
  struct io_uring ring;
  slot *slot;
  uint32_t *file_free;
  uint32_t file_count, file_free_count;
  uint64_t in_flight;
  wb_op wake_op, timer_op;
  uint64_t timer_ns; /* what the timer was last set to */
  int wake_fd;
  pid_t owner; /* 0: nobody yet */
  bool deferred, cooperative, ring_registered, multishot_accept;

  /* W any thread, R owner [release: wb_uring_wake, acquire: wait_end] */
  _Alignas(WB_CACHE_PAIR_BYTES) _Atomic int woken;
  /* W owner, R any thread */
  _Alignas(WB_CACHE_PAIR_BYTES) _Atomic int waiting;
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct __kernel_timespec timespec_of(uint64_t ns) {
  return (struct __kernel_timespec){.tv_sec = (long long)(ns / 1000000000u), .tv_nsec = (long long)(ns % 1000000000u)};
}

/* ------------------------------------------------------------------------------------------------ open */

static int open_failed(wb_error *error, int code) {
  int forbidden = -1;
  FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
  if (file) {
    if (fscanf(file, "%d", &forbidden) != 1) forbidden = -1;
    fclose(file);
  }
  if (code == ENOSYS)
    return wb_error_set(
        error, WB_E_UNSUPPORTED, code, "io_uring_setup",
        "this kernel has no io_uring, or a seccomp rule hides it (a container's profile must allow io_uring_setup, "
        "io_uring_enter and io_uring_register)");
  if (code == EPERM && forbidden > 0)
    return wb_error_set(error, WB_E_UNSUPPORTED, code, "io_uring_setup",
                        "io_uring is forbidden: sysctl kernel.io_uring_disabled is %d (0 allows it to everybody)", forbidden);
  if (code == EPERM || code == EACCES)
    return wb_error_set(error, WB_E_UNSUPPORTED, code, "io_uring_setup",
                        "io_uring is forbidden by a seccomp rule or security module (a container's profile must allow "
                        "io_uring_setup, io_uring_enter and io_uring_register)");
  if (code == ENOMEM)
    return wb_error_set(error, WB_E_MEMORY, code, "io_uring_setup",
                        "no memory for the queues (look at ulimit -l on old kernels)");
  return wb_error_set(error, WB_E_SYSTEM, code, "io_uring_setup", "%s", strerror(code));
}

static void wake_done(wb_op *op, int result, unsigned flags);
static void timer_done(wb_op *op, int result, unsigned flags);

wb_uring *wb_uring_open(unsigned entries, unsigned file_count, wb_error *error) {
  static const unsigned modes[] = {
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED,
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED,
      IORING_SETUP_R_DISABLED,
  };
  if (!entries || entries > 32768 || (entries & (entries - 1))) {
    wb_error_set(error, WB_E_INVALID, 0, "io_uring_setup", "%u entries: a power of two up to 32768 is needed", entries);
    return NULL;
  }
  if (file_count > 32768) {
    wb_error_set(error, WB_E_LIMIT, 0, "io_uring_setup", "%u registered files, at most 32768", file_count);
    return NULL;
  }
  wb_uring *ring = aligned_alloc(_Alignof(wb_uring), sizeof *ring);
  if (!ring) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "io_uring_setup", "no memory for a ring");
    return NULL;
  }
  memset(ring, 0, sizeof *ring);
  ring->wake_op = (wb_op){.done = wake_done, .self = ring};
  ring->timer_op = (wb_op){.done = timer_done, .self = ring};
  ring->slot = calloc(entries, sizeof *ring->slot);
  ring->file_free = file_count ? calloc(file_count, sizeof *ring->file_free) : NULL;
  ring->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (!ring->slot || (file_count && !ring->file_free) || ring->wake_fd < 0) {
    if (ring->wake_fd < 0) wb_error_set(error, WB_E_SYSTEM, errno, "eventfd", "%s", strerror(errno));
    else
      wb_error_set(error, WB_E_MEMORY, ENOMEM, "io_uring_setup", "no memory for %u entries and %u files", entries, file_count);
    goto failed;
  }

  int code = -EINVAL;
  for (size_t i = 0; i < sizeof modes / sizeof *modes && code == -EINVAL; i++) {
    struct io_uring_params parameters = {.flags = modes[i] | IORING_SETUP_CQSIZE,
                                         .cq_entries = entries * 2 < 256 ? 256 : entries * 2};
    code = io_uring_queue_init_params(entries, &ring->ring, &parameters);
    ring->deferred = modes[i] & IORING_SETUP_DEFER_TASKRUN;
    ring->cooperative = modes[i] & IORING_SETUP_COOP_TASKRUN;
  }
  if (code < 0) {
    open_failed(error, -code);
    goto failed;
  }
  struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->ring);
  if (probe) {
    /* Multishot accept itself cannot be probed; it came with the kernel (5.19) that brought this operation. */
    ring->multishot_accept = io_uring_opcode_supported(probe, IORING_OP_SOCKET);
    io_uring_free_probe(probe);
  }
  if (file_count && !io_uring_register_files_sparse(&ring->ring, file_count)) {
    ring->file_count = ring->file_free_count = file_count;
    for (uint32_t i = 0; i < file_count; i++) ring->file_free[i] = file_count - 1 - i;
  }
  return ring;

failed:
  if (ring->wake_fd >= 0) close(ring->wake_fd);
  free(ring->file_free);
  free(ring->slot);
  free(ring);
  return NULL;
}

const char *wb_uring_describe(const wb_uring *ring, char *text, size_t size) {
  char files[48] = "no registered files";
  if (ring->file_count) snprintf(files, sizeof files, "registered files %u", ring->file_count);
  snprintf(text, size, "%s, %s, %s%s",
           ring->deferred      ? "single issuer, deferred task run"
           : ring->cooperative ? "cooperative task run"
                               : "plain",
           ring->multishot_accept ? "multishot accept" : "single accept", files,
           ring->ring_registered ? ", registered ring" : "");
  return text;
}

/* ------------------------------------------------------------------------------------------------ submission */

static void wake_arm(wb_uring *ring);

/* The first use binds the ring to the thread: single issuer and the registered descriptor are both a thread's. */
static void own(wb_uring *ring) {
  ring->owner = gettid();
  /* io_uring_enable_rings is declared by liburing 2.3 but missing from its shared library. */
  WB_CHECK(!io_uring_register((unsigned)ring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
  ring->ring_registered = io_uring_register_ring_fd(&ring->ring) == 1;
  wake_arm(ring);
}

static void submit_for_room(wb_uring *ring) {
  if (!ring->owner) own(ring);
  /* A refusal here (no memory for the requests) passes; one that does not is a ring that nobody polls. */
  for (int i = 0; io_uring_submit(&ring->ring) < 0; i++) {
    WB_CHECK(i < SUBMIT_RETRY_MAX);
    io_uring_get_events(&ring->ring);
    sched_yield();
  }
}

static struct io_uring_sqe *next_sqe(wb_uring *ring) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
  while (!sqe) {
    submit_for_room(ring);
    sqe = io_uring_get_sqe(&ring->ring);
  }
  return sqe;
}

static slot *slot_of(wb_uring *ring, const struct io_uring_sqe *sqe) { return &ring->slot[sqe - ring->ring.sq.sqes]; }

static void start(wb_uring *ring, wb_op *op, struct io_uring_sqe *sqe, int file) {
  WB_DCHECK(!op->busy);
  if (file >= 0 && (file & WB_URING_FIXED)) {
    sqe->fd = file & ~WB_URING_FIXED;
    sqe->flags |= IOSQE_FIXED_FILE;
  }
  io_uring_sqe_set_data(sqe, op);
  op->busy = true;
  op->more = op->accepts = false;
  ring->in_flight++;
}

static void wake_arm(wb_uring *ring) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  io_uring_prep_poll_add(sqe, ring->wake_fd, POLLIN);
  start(ring, &ring->wake_op, sqe, -1);
}

static void wake_done(wb_op *op, int result, unsigned flags) {
  wb_uring *ring = op->self;
  eventfd_t ignored;
  eventfd_read(ring->wake_fd, &ignored);
  wake_arm(ring);
}

static void timer_done(wb_op *op, int result, unsigned flags) {}

static unsigned clamp(size_t count) { return count > IO_BYTES_MAX ? IO_BYTES_MAX : (unsigned)count; }

void wb_uring_connect(wb_uring *ring, wb_op *op, int file, const struct sockaddr *address, socklen_t bytes) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  slot *copy = slot_of(ring, sqe);
  WB_CHECK(bytes <= sizeof copy->address);
  memcpy(&copy->address, address, bytes);
  io_uring_prep_connect(sqe, file, (const struct sockaddr *)&copy->address, bytes);
  start(ring, op, sqe, file);
}

void wb_uring_accept(wb_uring *ring, wb_op *op, int file) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  if (ring->multishot_accept) io_uring_prep_multishot_accept(sqe, file, NULL, NULL, SOCK_CLOEXEC);
  else io_uring_prep_accept(sqe, file, NULL, NULL, SOCK_CLOEXEC);
  start(ring, op, sqe, file);
  op->accepts = true;
}

void wb_uring_recv(wb_uring *ring, wb_op *op, int file, void *bytes, size_t count) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  io_uring_prep_recv(sqe, file, bytes, clamp(count), 0);
  start(ring, op, sqe, file);
}

void wb_uring_send(wb_uring *ring, wb_op *op, int file, const void *bytes, size_t count) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  io_uring_prep_send(sqe, file, bytes, clamp(count), MSG_NOSIGNAL);
  start(ring, op, sqe, file);
}

void wb_uring_writev(wb_uring *ring, wb_op *op, int file, const struct iovec *part, unsigned parts, uint64_t offset) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  io_uring_prep_writev(sqe, file, part, parts, offset);
  start(ring, op, sqe, file);
}

void wb_uring_fsync(wb_uring *ring, wb_op *op, int file, bool data_only) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  io_uring_prep_fsync(sqe, file, data_only ? IORING_FSYNC_DATASYNC : 0);
  start(ring, op, sqe, file);
}

void wb_uring_timeout(wb_uring *ring, wb_op *op, uint64_t after_ns) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  slot *copy = slot_of(ring, sqe);
  copy->time = timespec_of(after_ns);
  io_uring_prep_timeout(sqe, &copy->time, 0, 0);
  start(ring, op, sqe, -1);
}

void wb_uring_cancel(wb_uring *ring, wb_op *target) {
  if (!target->busy) return;
  struct io_uring_sqe *sqe = next_sqe(ring);
  io_uring_prep_cancel(sqe, target, 0);
  io_uring_sqe_set_data(sqe, NULL);
}

void wb_uring_shutdown(wb_uring *ring, wb_op *op, int file, int how) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  io_uring_prep_shutdown(sqe, file, how);
  start(ring, op, sqe, file);
}

/* ------------------------------------------------------------------------------------------------ completion */

static bool kernel_has_work(const wb_uring *ring) {
  return IO_URING_READ_ONCE(*ring->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static bool reap_one(wb_uring *ring, struct io_uring_cqe *cqe) {
  wb_op *op = io_uring_cqe_get_data(cqe);
  if (!op || cqe->user_data == LIBURING_UDATA_TIMEOUT) return false;
  op->more = cqe->flags & IORING_CQE_F_MORE;
  op->busy = op->more;
  ring->in_flight -= !op->more;
  return true;
}

/* What completes while done functions run waits for the next call: a bounded amount of work each. */
static int reap(wb_uring *ring) {
  int count = 0;
  for (unsigned ready = io_uring_cq_ready(&ring->ring); ready; ready--) {
    struct io_uring_cq *cq = &ring->ring.cq;
    struct io_uring_cqe cqe = cq->cqes[*cq->khead & *cq->kring_mask];
    io_uring_cq_advance(&ring->ring, 1);
    if (!reap_one(ring, &cqe)) continue;
    wb_op *op = io_uring_cqe_get_data(&cqe);
    count += op != &ring->wake_op && op != &ring->timer_op;
    op->done(op, cqe.res, cqe.flags);
  }
  return count;
}

int wb_uring_poll(wb_uring *ring) {
  if (!ring->owner) own(ring);
  if (io_uring_sq_ready(&ring->ring)) io_uring_submit_and_get_events(&ring->ring);
  else if (kernel_has_work(ring)) io_uring_get_events(&ring->ring);
  return reap(ring);
}

/* A wake and the start of a wait are Dekker's problem: each side writes its word, then reads the other's, all four sequentially
 * consistent, so that at least one of the two sees the other: the waiter does not sleep or the waker writes the eventfd. */
int wb_uring_wait(wb_uring *ring, uint64_t timeout_ns) {
  if (!ring->owner) own(ring);
  atomic_store(&ring->waiting, 1); /* [wake] */
  if (!timeout_ns || atomic_load(&ring->woken) || kernel_has_work(ring) || io_uring_cq_ready(&ring->ring)) {
    atomic_store_explicit(&ring->waiting, 0, memory_order_relaxed);
    if (io_uring_sq_ready(&ring->ring) || kernel_has_work(ring)) io_uring_submit_and_get_events(&ring->ring);
  } else {
    /* One timer stays while waits come and go: to set and to cancel one for each is two ways out of a virtual machine, the
     * second of them between a message and its reader. It may end a wait early; a wait that must end sooner gets its own. */
    if (!ring->timer_op.busy) {
      ring->timer_ns = timeout_ns;
      wb_uring_timeout(ring, &ring->timer_op, timeout_ns);
    }
    if (ring->timer_ns <= timeout_ns) {
      io_uring_submit_and_wait(&ring->ring, 1);
    } else {
      struct __kernel_timespec time = timespec_of(timeout_ns);
      struct io_uring_cqe *cqe;
      io_uring_submit_and_wait_timeout(&ring->ring, &cqe, 1, &time, NULL);
    }
    atomic_store_explicit(&ring->waiting, 0, memory_order_relaxed);
  }
  atomic_exchange(&ring->woken, 0); /* [wake] acquires what the waker wrote before */
  return reap(ring);
}

void wb_uring_wake(wb_uring *ring) {
  if (atomic_exchange(&ring->woken, 1)) return; /* [wait] the one who set it has done, or will do, the rest */
  if (atomic_load(&ring->waiting)) eventfd_write(ring->wake_fd, 1);
}

/* ------------------------------------------------------------------------------------------------ files */

int wb_uring_file_install(wb_uring *ring, int fd) {
  if (fd < 0) return WB_E_INVALID;
  if (!ring->file_free_count) return WB_E_FULL;
  uint32_t file = ring->file_free[ring->file_free_count - 1];
  if (io_uring_register_files_update(&ring->ring, file, &fd, 1) != 1) return WB_E_SYSTEM;
  ring->file_free_count--;
  return (int)file | WB_URING_FIXED;
}

void wb_uring_file_remove(wb_uring *ring, int handle) {
  if (handle < 0 || !(handle & WB_URING_FIXED)) return;
  uint32_t file = (uint32_t)(handle & ~WB_URING_FIXED);
  WB_CHECK(file < ring->file_count && ring->file_free_count < ring->file_count);
  int none = -1;
  if (io_uring_register_files_update(&ring->ring, file, &none, 1) == 1) ring->file_free[ring->file_free_count++] = file;
}

/* ------------------------------------------------------------------------------------------------ close */

static void abandon(wb_uring *ring) {
  struct io_uring_sqe *sqe = next_sqe(ring);
  io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
  io_uring_sqe_set_data(sqe, NULL);
  uint64_t end_ns = now_ns() + CLOSE_WAIT_NS;
  while (ring->in_flight && now_ns() < end_ns) {
    struct __kernel_timespec time = timespec_of(CLOSE_WAIT_NS / 10);
    struct io_uring_cqe *cqe;
    io_uring_submit_and_wait_timeout(&ring->ring, &cqe, 1, &time, NULL);
    for (unsigned ready = io_uring_cq_ready(&ring->ring); ready; ready--) {
      struct io_uring_cq *cq = &ring->ring.cq;
      cqe = &cq->cqes[*cq->khead & *cq->kring_mask];
      if (reap_one(ring, cqe) && ((wb_op *)io_uring_cqe_get_data(cqe))->accepts && cqe->res >= 0) close(cqe->res);
      io_uring_cq_advance(&ring->ring, 1);
    }
  }
}

void wb_uring_close(wb_uring *ring) {
  if (!ring) return;
  if (ring->owner == gettid()) {
    abandon(ring);
  } else {
    /* The registered descriptor is an index into the owner's table; here the same index may be another ring. */
    ring->ring.int_flags = 0;
    ring->ring.enter_ring_fd = ring->ring.ring_fd;
  }
  io_uring_queue_exit(&ring->ring);
  close(ring->wake_fd);
  free(ring->file_free);
  free(ring->slot);
  free(ring);
}
