/* uring.h - io_uring: one ring a thread, operations that call back when they complete. The only file pair that includes
 * liburing.
 *
 * What:    single issuer, deferred task run, registered ring descriptor; operations carry their own completion function.
 *          Where the kernel lacks a feature (probed at open) the plain form is used; wb_uring_describe says which is in force.
 * Threads: a ring belongs to the thread that first polls or waits (or fills the submission queue). It may be opened, and given
 *          its first operations and files, by another thread that then hands it over. wb_uring_wake: any thread.
 * Order:   operations of one batch start in the order of the calls but may complete in any.
 * Memory:  nothing is allocated after open.
 * Full:    a full submission queue is submitted and tried again, so no operation fails for want of room. */
#ifndef WB_IO_URING_H
#define WB_IO_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "engine/base/error.h"

typedef struct wb_uring wb_uring;
typedef struct wb_op wb_op;

/* One operation in flight. done is called from wb_uring_poll or wb_uring_wait with the result (>= 0, or -errno) and the CQE's
 * flags. An op may be submitted again, or freed, from its own done. It and the bytes it points to must live, and it must not be
 * submitted twice, while busy is true. done must not poll or wait. */
struct wb_op {
  void (*done)(wb_op *op, int result, unsigned flags);
  void *self;
  bool busy;
  bool more;    /* multishot: more completions will come (busy stays true) */
  bool accepts; /* private */
};

/* wb_uring_open: entries: submission queue size, power of two. file_count: registered-file slots (0: none). NULL on failure:
 * io_uring missing or forbidden (the error says which sysctl or seccomp rule to look at). */
wb_uring *wb_uring_open(unsigned entries, unsigned file_count, wb_error *error);

/* wb_uring_close, on the owner's thread: cancels what is in flight and waits until the kernel has let go of its memory (at most
 * one second), without calling done; the ops are not busy afterwards, sockets accepted meanwhile are closed. On another thread
 * nothing may be in flight, or the owner's thread must have ended. NULL is allowed. */
void wb_uring_close(wb_uring *ring);

/* wb_uring_poll submits what is prepared, runs deferred work and calls done for what has completed, without waiting. Returns
 * how many completed. No system call when nothing is prepared and the kernel has flagged no work: a few ns. */
int wb_uring_poll(wb_uring *ring);

/* wb_uring_wait is wb_uring_poll that waits for at least one completion, a wake, a signal, or timeout_ns (0: does not wait).
 * One system call submits and waits. */
int wb_uring_wait(wb_uring *ring, uint64_t timeout_ns);

/* wb_uring_wake ends a wb_uring_wait of another thread, or the next one if none is under way, so that a wake between a last
 * look for work and the wait is not lost. What the caller wrote before it is visible when the wait returns. At most one eventfd
 * write, none if nobody waits. */
void wb_uring_wake(wb_uring *ring);

/* Registered files: install puts fd in a free slot and returns it as a handle for the calls below (negative: none free, use the
 * plain fd). A handle is (slot | WB_URING_FIXED). remove empties the slot. */
#define WB_URING_FIXED 0x40000000
int wb_uring_file_install(wb_uring *ring, int fd);
void wb_uring_file_remove(wb_uring *ring, int handle);

/* Operations. file: a plain fd or a handle. address is copied; part[] must stay until the next poll or wait, as the array and
 * not only what it points to; bytes until done. send and writev may do less than asked for. offset (uint64_t)-1: the file's own
 * position. timeout completes with -ETIME. cancel does nothing when the target is not busy. */
void wb_uring_connect(wb_uring *ring, wb_op *op, int file, const struct sockaddr *address, socklen_t bytes);
void wb_uring_accept(wb_uring *ring, wb_op *op, int file); /* multishot where the kernel has it: result is a new fd */
void wb_uring_recv(wb_uring *ring, wb_op *op, int file, void *bytes, size_t count);
void wb_uring_send(wb_uring *ring, wb_op *op, int file, const void *bytes, size_t count);
void wb_uring_writev(wb_uring *ring, wb_op *op, int file, const struct iovec *part, unsigned parts, uint64_t offset);
void wb_uring_fsync(wb_uring *ring, wb_op *op, int file, bool data_only);
void wb_uring_timeout(wb_uring *ring, wb_op *op, uint64_t after_ns);
void wb_uring_cancel(wb_uring *ring, wb_op *target); /* target completes with -ECANCELED (or its result) */
void wb_uring_shutdown(wb_uring *ring, wb_op *op, int file, int how);

/* wb_uring_describe writes what is in force: "single issuer, deferred task run, multishot accept, registered files 16". */
const char *wb_uring_describe(const wb_uring *ring, char *text, size_t size);

#endif
