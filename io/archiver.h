/* archiver.h - what becomes of sealed segments: compressed, handed to a command, deleted when they are too old or too many.
 *
 * What:    an agent that looks through DIR/<feed> and takes segments that nobody writes any more, oldest name first, through these
 *          steps. A step left out by the configuration is passed over; a segment is in its final form before its command runs.
 *            compress  NAME.wbseg.zst.tmp is written (io/sink_zstd.h), synced, read back and compared with NAME.wbseg byte for
 *                      byte, renamed to NAME.wbseg.zst, its folder synced; then NAME.wbseg is removed. Times and mode are kept.
 *            index     NAME.wbidx is made (io/log_index.h), unless a right one is there. What cannot be indexed goes on without.
 *            command   run with the path of the final form (io/hook.h), one at a time. What succeeded is noted in DIR/<feed>/
 *                      .archived, so no segment is handed over twice, unless the process dies between the two. What failed is
 *                      tried again after retry_ns, doubling up to 5 minutes; others go on meanwhile. The command may move or
 *                      delete the file, and its index; an index whose segment it took away is removed.
 *            delete    the oldest first; never one that is being written, nor what a running step has in hand. With a command,
 *                      age deletes only what it has succeeded for. Age grows by the monotonic clock from when a segment was first seen, so that a
 *                      clock that is set while the archiver runs makes nothing old. retain_bytes is a limit of the disk: when deleting those does
 *                      not suffice, it takes others too, with a warning each. It never takes the last one, however large that is.
 * Killed:  at any instant the log is whole: a .tmp is removed at the next start; where both forms are there, they are compared
 *          again, and the compressed one stays if it is right and is made anew if not.
 * Sealed:  no writer holds the segment's write lock (docs/formats.md, "Still growing"), whichever process it is of. Where the file
 *          system has no locks nothing is done. One archiver works in a folder; others wait for it to end (flock on the folder).
 * Hot:     its thread runs at SCHED_IDLE (else nice 19) and idle I/O priority, commands at nice 19 (a second thread starts them), both on
 *          CPUs other than those to avoid, if there are any. No stage calls it or waits for it. It looks for sealed segments each check_ns.
 * Memory:  some 200 bytes a segment in the folder, 8 MiB, the encoder's, and while an index is made that of io/log_index. Allocates while it
 *          works.
 * Threads: open, start, stop, close from one; do_work from its own thread, or from the caller's in place of start and stop;
 *          wb_archiver_status_read from any. */
#ifndef WB_IO_ARCHIVER_H
#define WB_IO_ARCHIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/port.h"
#include "io/cpu.h"

/* Level 1 compresses this feed as well as level 3 does, in two thirds of the time. */
enum { WB_ARCHIVER_LEVEL_DEFAULT = 1, WB_ARCHIVER_LEVEL_MAX = 19 };
#define WB_ARCHIVER_CHECK_NS_DEFAULT UINT64_C(1000000000)
#define WB_ARCHIVER_RETRY_NS_DEFAULT UINT64_C(1000000000)
#define WB_ARCHIVER_RETRY_NS_MAX UINT64_C(300000000000)

/* dir, feed and command are copied. */
typedef struct wb_archiver_config {
  const char *dir, *feed;      /* as the sink's */
  int level;                   /* of zstd, 1..19; 0: segments stay as they are */
  uint64_t retain_ns;          /* since a segment was last written; 0: for ever */
  uint64_t retain_bytes;       /* of all segments and indexes, the open ones too; 0: no limit */
  bool index;                  /* make indexes */
  const char *command;         /* NULL: none */
  uint64_t check_ns, retry_ns; /* 0: the defaults */
  wb_cpu_list avoid;           /* CPUs of the hot threads */
  const wb_host *host;         /* now_ns, utc_offset_ns; log may be NULL */
} wb_archiver_config;

/* bytes_before, bytes_after: of compressed segments. indexed: indexes made. deleted counts unarchived, too: deleted although the command had not
 * succeeded. failures: of compressing (each is tried again). waiting: sealed, and not through with all steps. */
typedef struct wb_archiver_status {
  uint64_t compressed, bytes_before, bytes_after, failures;
  uint64_t indexed, index_failures;
  uint64_t hooks, hook_failures;
  uint64_t deleted, deleted_bytes, unarchived;
  uint64_t waiting;
} wb_archiver_status;

typedef struct wb_archiver wb_archiver;

/* wb_archiver_open checks the configuration; dir/feed must be there. NULL with *error. */
wb_archiver *wb_archiver_open(const wb_archiver_config *config, wb_error *error);

/* wb_archiver_do_work does one step (a block of io/sink_zstd.h, a sync, a rename, ...). 1, or 0 when there is nothing to do now. It waits for the
 * disk, never for the command. */
int wb_archiver_do_work(void *archiver);
bool wb_archiver_hook_running(const wb_archiver *archiver);

/* wb_archiver_start runs it on a thread of its own: 0 or WB_E_SYSTEM. wb_archiver_stop (call it when the writer has ended) ends
 * the thread, if there is one, looks once more, and spends up to timeout_ns on what is sealed by then, on the caller's thread, which is not an
 * idle one; then a command that still runs is killed. What is left is done after the next start. */
int wb_archiver_start(wb_archiver *archiver, wb_error *error);
void wb_archiver_stop(wb_archiver *archiver, uint64_t timeout_ns);
void wb_archiver_close(wb_archiver *archiver); /* stops it, if need be */

void wb_archiver_status_read(const wb_archiver *archiver, wb_archiver_status *status);

#endif
