/* sink_segment.h - the flusher: takes published frames off every line and appends them to segment files.
 *
 * What:    one gating reader of each line's frame ring. do_work groups runs of descriptors into chunks (engine/store/segment.h)
 *          and writes chunk header, descriptors and journal bytes by one vectored write each, several in flight; the frames
 *          are released when their write has completed, never before. The journal is not copied.
 * Direct:  a chunk of direct_bytes or more is laid out so that whole pages of the journal are whole pages of the file, and goes
 *          to the disk past the page cache (O_DIRECT); only header, descriptors and what shares a page with other chunks are
 *          copied. An empty chunk fills the file up to a page where one is needed. Smaller chunks go through the page cache,
 *          and so does everything where the file system refuses direct writes: that is no error. See
 *          docs/adr/0006-direct-writes.md.
 * Files:   DIR/<feed>/<YYYY-MM-DD>/<HH>/<YYYYMMDDTHHMMSS.nnnnnnnnnZ>-<segment number>.wbseg, times in UTC, of the segment's
 *          creation; where the clock was set back within a run, the last name's time and a nanosecond, so that a run's names are in
 *          order. A segment begins with the first frame there is for it, so none is empty, and ends at rotate_bytes, at the
 *          next multiple of rotate_ns, or at an error. While a segment is written its writer holds a write lock (an open file
 *          description lock) on it, by which readers tell a torn tail from one still growing.
 * Latency: a frame published on a line that was quiet for linger_ns is on its way at the end of the do_work call that finds it.
 *          After it, frames are gathered: a small chunk (less than 1/4 of chunk_bytes and 1/8 of its ring) waits until
 *          linger_ns have passed since the last chunk of its line, and while one of its line is in flight. So a slow disk is
 *          met with larger writes instead of more of them, and a busy line costs few large writes, which are cheap, instead
 *          of many small ones.
 * Sync:    NONE leaves it to the kernel (a crash of the process loses nothing, one of the machine may); INTERVAL syncs the file
 *          each sync_ns while there is something new; BATCH releases frames only when a sync has covered them.
 * Errors:  a short write is continued. After an error (no space, I/O) the segment is cut at its last good chunk and closed, and
 *          everything not yet released goes into a new segment, tried again with a pause that doubles from retry_ns to 5 s.
 *          Meanwhile frames stay in the ring: what to do when it fills up is the writer's choice.
 * Threads: all functions on the thread of the uring, but wb_sink_segment_status_read and wb_sink_segment_wake (any thread).
 * Memory:  allocated at open only.
 * Needs:   the bytes from the first to the end of the last published record of a line do not change before they are released, but for those that a
 *          turn (wb_frames_turn) skipped. */
#ifndef WB_IO_SINK_SEGMENT_H
#define WB_IO_SINK_SEGMENT_H

#include <stdint.h>

#include "engine/base/error.h"
#include "engine/port.h"
#include "engine/ring/frames.h"
#include "io/uring.h"

/* Chunks of 2 MiB: a direct write costs some 75 us of CPU besides what its size costs. 16384 descriptors are 512 KiB. */
enum { WB_SINK_CHUNK_BYTES_DEFAULT = 2 << 20, WB_SINK_CHUNK_FRAMES_MAX = 16384 };
/* The node's lines, and one ring more for what it says itself. */
enum { WB_SINK_LINES_MAX = WB_LINE_COUNT_MAX + 2 };
/* Each write in flight has a stage of 524 KiB, of which only as much is touched as its chunks' descriptors need. */
enum { WB_SINK_WRITES_DEFAULT = 4, WB_SINK_WRITES_MAX = 16 };
#define WB_SINK_DIRECT_NEVER UINT32_MAX
#define WB_SINK_ROTATE_BYTES_DEFAULT (UINT64_C(1) << 30)
#define WB_SINK_ROTATE_NS_DEFAULT (UINT64_C(3600) * 1000000000)
#define WB_SINK_SYNC_NS_DEFAULT UINT64_C(1000000000)
/* At 100 MB/s a chunk is then large enough to be written directly; a poll of the loop comes each millisecond anyway. */
#define WB_SINK_LINGER_NS_DEFAULT UINT64_C(5000000)
#define WB_SINK_LINGER_NEVER UINT64_MAX
#define WB_SINK_RETRY_NS_DEFAULT UINT64_C(100000000)
#define WB_SINK_RETRY_NS_MAX UINT64_C(5000000000)

typedef enum { WB_SYNC_NONE = 0, WB_SYNC_INTERVAL, WB_SYNC_BATCH } wb_sync;

/* Zero means the default. Everything pointed to is used until close, but dir, feed and info, which are copied. */
typedef struct wb_sink_segment_config {
  const char *dir;       /* made if missing */
  const char *feed;      /* a folder's name: letters, digits, '-', '_', '.', not beginning with a dot */
  const char *info;      /* JSON object for the segments' headers: feed, URLs, products, program version; up to 3071 bytes */
  uint8_t node[16];      /* of this run; all zero: drawn at random */
  uint64_t first_number; /* number of the first frame that will come */
  uint64_t rotate_bytes; /* a segment is no larger, unless one chunk alone is */
  uint64_t rotate_ns;    /* segments end at multiples of it in UTC; default: at each hour */
  wb_sync sync;
  uint64_t sync_ns;
  uint64_t linger_ns; /* or WB_SINK_LINGER_NEVER */
  uint64_t retry_ns;
  uint32_t chunk_bytes;  /* journal bytes a chunk aims at, 4096..2^30 */
  uint32_t direct_bytes; /* chunks of so many bytes are written directly; default 1/4 of chunk_bytes; WB_SINK_DIRECT_NEVER */
  unsigned writes;       /* in flight at once, 1..WB_SINK_WRITES_MAX */
  wb_frames *const *line;
  unsigned line_count; /* 1..WB_SINK_LINES_MAX; its index is the chunk's line */
  unsigned reader;     /* the sink's reader index, the same in every line */
  wb_uring *ring;
  const wb_host *host; /* now_ns, utc_offset_ns; log may be NULL */
} wb_sink_segment_config;

typedef enum { WB_SINK_IDLE = 0, WB_SINK_WRITING, WB_SINK_FAILING } wb_sink_state;

/* state IDLE: no segment open; FAILING: from an error until a chunk is written again. frames_written: released after their
 * write (BATCH: their sync). frames_synced: of them, those that a sync has covered since, so that no crash of the machine loses them. chunks_written counts fillers, too; chunks_direct are those of them that went past the page
 * cache. frames_doubtful: released, then a sync of their file failed, so that a crash of the machine may
 * lose them. frames_lost: given up by wb_sink_segment_close, or in a segment that
 * somebody removed while it was written (looked for each second). */
typedef struct wb_sink_segment_status {
  wb_sink_state state;
  int os_errno; /* of the last error, 0 if there was none */
  uint64_t errors, segments, chunks_written, chunks_direct, frames_written, frames_synced, bytes_written, syncs;
  uint64_t frames_doubtful, frames_lost;
} wb_sink_segment_status;

typedef struct wb_sink_segment wb_sink_segment;

/* wb_sink_segment_open checks the configuration and that dir/feed can be written to. NULL with *error filled. */
wb_sink_segment *wb_sink_segment_open(const wb_sink_segment_config *config, wb_error *error);

/* wb_sink_segment_do_work starts at most `writes` chunks, polls the ring once when anything is in flight, and returns how many
 * chunks it started or saw completed (0: nothing to do). It may wait for the disk where a segment begins (open, mkdir, and
 * the sync of its folder unless NONE), nowhere else. The shape of an agent's do_work. */
int wb_sink_segment_do_work(void *sink);

/* wb_sink_segment_idle waits for a completion, a wake, or timeout_ns. A frame being published wakes nobody. */
void wb_sink_segment_idle(void *sink, uint64_t timeout_ns);
void wb_sink_segment_wake(void *sink);

void wb_sink_segment_status_read(const wb_sink_segment *sink, wb_sink_segment_status *status);

/* wb_sink_segment_close writes everything published, syncs file and folder whatever the policy, and frees the sink. It tries
 * for at most timeout_ns (real time) when the disk does not take the frames, then gives up: WB_E_SYSTEM with *error, and the
 * number of frames not written in status->frames_lost. status (may be NULL) gets the final figures. */
int wb_sink_segment_close(wb_sink_segment *sink, uint64_t timeout_ns, wb_sink_segment_status *status, wb_error *error);

#endif
