#include "io/sink_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "engine/ring/atomic.h"
#include "engine/store/gap.h"
#include "engine/store/segment.h"
#include "io/folder.h"
#include "io/host.h"

enum {
  PARTS = 4,
  DIR_BYTES_MAX = 2048,
  PATH_BYTES = DIR_BYTES_MAX + 256,
  SMALL_CHUNK_SHARE = 4,
  SMALL_RING_SHARE = 8,
  NAME_TRIES = 1000
};
static const uint64_t LOOK_NS = UINT64_C(1000000000); /* how often the open segment is looked for in its folder */

/* What direct writes are aligned to: memory, offsets and lengths. A stage holds what of a chunk does not lie in whole pages of
 * the journal: header, descriptors and first bytes at its front, the last bytes in its last page. */
enum {
  PAGE_BYTES = 4096,
  STAGE_FRONT_BYTES =
      (WB_CHUNK_HEADER_BYTES + WB_SINK_CHUNK_FRAMES_MAX * (int)sizeof(wb_frame) + 2 * PAGE_BYTES - 2) & ~(PAGE_BYTES - 1),
  STAGE_BYTES = STAGE_FRONT_BYTES + PAGE_BYTES
};

typedef enum { SLOT_FREE = 0, SLOT_HELD, SLOT_WRITING, SLOT_WRITTEN } slot_state;

/* One chunk on its way. HELD: taken off the line, waits for a segment. A filler has no frames: it ends at a page's border. */
typedef struct slot {
  wb_op op;
  slot_state state;
  unsigned line;
  wb_chunk chunk;
  const wb_frame *frame; /* NULL: filler */
  bool aligned;          /* laid out for a direct write, its ends in the stage */
  bool direct;           /* the write in flight is one */
  uint64_t start;        /* of the chunk in the segment */
  uint64_t offset, left; /* of what is not written yet */
  struct iovec part[PARTS];
  unsigned part_first, part_count;
  uint8_t header[WB_CHUNK_HEADER_BYTES];
} slot;

typedef struct line {
  wb_frames *frames;
  uint64_t taken;       /* descriptors in slots, not yet released */
  uint64_t taken_ns;    /* when the last chunk was taken */
  uint64_t next_number; /* no frame of this line still to be taken has a lower number */
} line;

struct wb_sink_segment {
  wb_sink_segment_config config;
  line line[WB_SINK_LINES_MAX];
  unsigned turn; /* line to be asked first */

  slot slot[WB_SINK_WRITES_MAX]; /* oldest .. newest are in the order of the file */
  uint64_t oldest, newest;
  unsigned writes_in_flight;
  uint64_t frames_taken, number_end; /* of all lines */

  uint8_t *stage; /* STAGE_BYTES a slot, NULL: no direct writes */

  int fd;        /* -1: no segment */
  int direct_fd; /* the same file, past the page cache; -1: not open */
  bool direct_refused;
  uint64_t offset, segment;
  uint32_t chunk_number;
  int64_t created_utc_ns; /* in the last name that was tried */
  uint64_t frames_before; /* written before the open segment */
  uint64_t looked_ns;
  uint64_t rotate_at_ns; /* monotonic, as of when it was last worked out */
  int64_t rotate_at_utc_ns;
  bool rotating;

  bool failing; /* the segment is to be cut when nothing is in flight */
  bool failed;  /* state FAILING: no chunk was written since */
  uint64_t retry_at_ns, retry_ns;

  wb_op sync_op;
  bool syncing;
  uint64_t sync_end;    /* BATCH: slots below it are covered by the sync in flight */
  uint64_t sync_frames; /* INTERVAL: released frames covered by it */
  uint64_t synced_ns, unsynced_frames;
  bool spoiled; /* a sync of the segment failed: what lies in it may not be readable, whatever later syncs say */

  wb_op last_op; /* last sync of a finished segment */
  int last_fd;   /* -1: none */
  uint64_t last_frames;

  int completed;                 /* since do_work began */
  wb_sink_segment_status status; /* W sink, R any, each field relaxed */
  char root[DIR_BYTES_MAX];      /* dir/feed */
  char path[PATH_BYTES];         /* of the open segment */
  wb_segment_info info;
};

static void count(uint64_t *field, uint64_t more) { wb_store_relaxed(field, wb_load_relaxed(field) + more); }

static void say(wb_sink_segment *sink, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(wb_sink_segment *sink, int level, const char *format, ...) {
  if (!sink->config.host->log) return;
  char text[PATH_BYTES + 256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  sink->config.host->log(sink->config.host->self, level, text);
}

static uint64_t now(const wb_sink_segment *sink) { return sink->config.host->now_ns(sink->config.host->self); }
static int64_t utc_offset(const wb_sink_segment *sink) { return sink->config.host->utc_offset_ns(sink->config.host->self); }
static int64_t utc(const wb_sink_segment *sink) { return (int64_t)(now(sink) + (uint64_t)utc_offset(sink)); }
static slot *slot_at(wb_sink_segment *sink, uint64_t index) { return &sink->slot[index % sink->config.writes]; }
static bool in_flight(const wb_sink_segment *sink) { return sink->writes_in_flight || sink->syncing; }

static void set_state(wb_sink_segment *sink) {
  wb_sink_state state = sink->failed ? WB_SINK_FAILING : sink->fd < 0 ? WB_SINK_IDLE : WB_SINK_WRITING;
  __atomic_store_n(&sink->status.state, state, __ATOMIC_RELAXED);
}

static void fail(wb_sink_segment *sink, int os_errno, const char *what) {
  if (!sink->failed) say(sink, WB_LOG_ERROR, "raw log: %s %s: %s", what, sink->path, strerror(os_errno));
  sink->failing = sink->failed = true;
  count(&sink->status.errors, 1);
  __atomic_store_n(&sink->status.os_errno, os_errno, __ATOMIC_RELAXED);
  set_state(sink);
}

/* ------------------------------------------------------------------------------------------------ release */

static void release_oldest(wb_sink_segment *sink) {
  slot *s = slot_at(sink, sink->oldest++);
  wb_frames_release(sink->line[s->line].frames, sink->config.reader, s->chunk.frame_count);
  sink->line[s->line].taken -= s->chunk.frame_count;
  if (sink->config.sync != WB_SYNC_BATCH) sink->unsynced_frames += s->chunk.frame_count;
  else count(&sink->status.frames_synced, s->chunk.frame_count);
  count(&sink->status.frames_written, s->chunk.frame_count);
  count(&sink->status.bytes_written, s->chunk.chunk_bytes);
  count(&sink->status.chunks_written, 1);
  if (s->direct) count(&sink->status.chunks_direct, 1);
  s->state = SLOT_FREE;
  if (sink->failed && !sink->failing) {
    say(sink, WB_LOG_INFO, "raw log: writing again, to %s", sink->path);
    sink->failed = false;
    sink->retry_ns = sink->config.retry_ns;
    set_state(sink);
  }
}

static void retire(wb_sink_segment *sink);

static void sync_done(wb_op *op, int result, unsigned flags) {
  wb_sink_segment *sink = op->self;
  sink->syncing = false;
  sink->completed++;
  if (result < 0) {
    count(&sink->status.frames_doubtful, sink->unsynced_frames);
    sink->unsynced_frames = 0;
    sink->spoiled = true;
    fail(sink, -result, "sync of");
    return;
  }
  count(&sink->status.syncs, 1);
  count(&sink->status.frames_synced, sink->sync_frames);
  sink->unsynced_frames -= sink->sync_frames;
  while (sink->config.sync == WB_SYNC_BATCH && sink->oldest < sink->sync_end) release_oldest(sink);
  retire(sink);
}

static void sync_start(wb_sink_segment *sink) {
  sink->syncing = true;
  sink->sync_frames = sink->unsynced_frames;
  sink->sync_op.done = sync_done;
  sink->sync_op.self = sink;
  wb_uring_fsync(sink->config.ring, &sink->sync_op, sink->fd, true);
}

static void retire(wb_sink_segment *sink) {
  uint64_t end = sink->oldest;
  while (end < sink->newest && slot_at(sink, end)->state == SLOT_WRITTEN) end++;
  if (sink->config.sync != WB_SYNC_BATCH)
    while (sink->oldest < end) release_oldest(sink);
  else if (sink->oldest < end && !sink->syncing && !sink->failing) {
    sink->sync_end = end;
    sync_start(sink);
  }
}

/* ------------------------------------------------------------------------------------------------ write */

static void write_done(wb_op *op, int result, unsigned flags);

static void write_start(wb_sink_segment *sink, slot *s, bool direct) {
  s->direct = direct;
  s->state = SLOT_WRITING;
  s->op.done = write_done;
  s->op.self = sink;
  sink->writes_in_flight++;
  wb_uring_writev(sink->config.ring, &s->op, direct ? sink->direct_fd : sink->fd, s->part + s->part_first,
                  s->part_count - s->part_first, s->offset);
}

static void refuse_direct(wb_sink_segment *sink) {
  if (!sink->direct_refused) say(sink, WB_LOG_INFO, "raw log: no direct writes to %s", sink->path);
  sink->direct_refused = true;
}

static void write_done(wb_op *op, int result, unsigned flags) {
  wb_sink_segment *sink = op->self;
  slot *s = (slot *)((char *)op - offsetof(slot, op));
  sink->writes_in_flight--;
  sink->completed++;
  s->state = SLOT_HELD;
  if (result == -EINVAL && s->direct) {
    refuse_direct(sink);
    if (!sink->failing) write_start(sink, s, false);
    return;
  }
  if (result < 0 && result != -EINTR) return fail(sink, -result, "write to");
  if (result == 0) return fail(sink, EIO, "write to");
  size_t written = result < 0 ? 0 : (size_t)result;
  s->offset += written;
  s->left -= written;
  while (s->part_first < s->part_count && written >= s->part[s->part_first].iov_len)
    written -= s->part[s->part_first++].iov_len;
  if (s->left) {
    s->part[s->part_first].iov_base = (char *)s->part[s->part_first].iov_base + written;
    s->part[s->part_first].iov_len -= written;
    if (!sink->failing) write_start(sink, s, false); /* the rest may lie anyhow */
    return;
  }
  s->state = SLOT_WRITTEN;
  retire(sink);
}

static uint8_t *stage_of(const wb_sink_segment *sink, const slot *s) {
  return sink->stage + (size_t)(s - sink->slot) * STAGE_BYTES;
}

static uint64_t filler_bytes(uint64_t offset) {
  uint64_t gap = -offset & (PAGE_BYTES - 1);
  return gap < WB_CHUNK_HEADER_BYTES ? gap + PAGE_BYTES : gap;
}

static void add_part(slot *s, const void *bytes, uint64_t count) {
  if (count) s->part[s->part_count++] = (struct iovec){(void *)bytes, count};
}

/* Gives a held chunk its place in the open segment and writes it. */
static void place(wb_sink_segment *sink, slot *s) {
  static const uint8_t zero[PAGE_BYTES];
  wb_chunk *chunk = &s->chunk;
  chunk->number = sink->chunk_number++;
  chunk->mark = wb_segment_mark(&sink->info);
  if (!s->frame) chunk->chunk_bytes = (uint32_t)filler_bytes(sink->offset);
  uint8_t *stage = s->aligned ? stage_of(sink, s) : NULL;
  wb_chunk_header_write(chunk, stage ? stage : s->header);
  s->start = s->offset = sink->offset;
  s->left = chunk->chunk_bytes;
  sink->offset += chunk->chunk_bytes;
  s->part_first = s->part_count = 0;
  uint64_t end = chunk->data_offset + (uint64_t)chunk->data_bytes, pad = chunk->chunk_bytes - end;
  if (stage) {
    uint64_t lead = -(uint64_t)chunk->data_offset & (PAGE_BYTES - 1), whole = end & ~(uint64_t)(PAGE_BYTES - 1);
    add_part(s, stage, chunk->data_offset + lead);
    add_part(s, wb_frames_at(sink->line[s->line].frames, chunk->first_position) + lead, whole - chunk->data_offset - lead);
    add_part(s, stage + STAGE_FRONT_BYTES, chunk->chunk_bytes - whole);
  } else {
    add_part(s, s->header, sizeof s->header);
    add_part(s, s->frame, chunk->frame_count * sizeof(wb_frame));
    if (chunk->data_bytes) add_part(s, wb_frames_at(sink->line[s->line].frames, chunk->first_position), chunk->data_bytes);
    add_part(s, zero, pad);
  }
  write_start(sink, s, stage && sink->direct_fd >= 0 && !sink->direct_refused && s->start % PAGE_BYTES == 0);
}

/* ------------------------------------------------------------------------------------------------ segments */

/* No frame that is still to be written has a lower number. Numbers have no holes that no gap record names: when as many frames were taken as there are
 * numbers below the highest, all of them were. */
static uint64_t lowest_number(wb_sink_segment *sink) {
  uint64_t lowest = sink->number_end;
  if (sink->frames_taken != sink->number_end - sink->config.first_number)
    for (unsigned i = 0; i < sink->config.line_count; i++)
      if (sink->line[i].next_number < lowest) lowest = sink->line[i].next_number;
  for (uint64_t i = sink->oldest; i < sink->newest; i++)
    if (slot_at(sink, i)->frame && slot_at(sink, i)->frame->number < lowest) lowest = slot_at(sink, i)->frame->number;
  return lowest;
}

static int segment_create(wb_sink_segment *sink, int64_t created_utc_ns) {
  time_t seconds = created_utc_ns / 1000000000;
  struct tm at;
  gmtime_r(&seconds, &at);
  char day[64], stamp[64];
  strftime(day, sizeof day, "%Y-%m-%d/%H", &at);
  strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &at);
  int folder_bytes = snprintf(sink->path, sizeof sink->path, "%s/%s", sink->root, day);
  bool sync = sink->config.sync != WB_SYNC_NONE;
  int result = wb_folder_make(sink->path, sync);
  if (result) return result;
  snprintf(sink->path + folder_bytes, sizeof sink->path - (size_t)folder_bytes, "/%s.%09dZ-%06" PRIu64 ".wbseg", stamp,
           (int)(created_utc_ns % 1000000000), sink->segment);
  int fd = open(sink->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return -errno;

  sink->info.segment = sink->segment;
  sink->info.created_utc_ns = created_utc_ns;
  sink->info.first_number = lowest_number(sink);
  uint8_t header[WB_SEGMENT_HEADER_BYTES];
  wb_segment_header_write(&sink->info, header);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  (void)fcntl(fd, F_OFD_SETLK, &lock); /* a file system without locks only loses the mark */
  ssize_t written = pwrite(fd, header, sizeof header, 0);
  if (written != (ssize_t)sizeof header) result = written < 0 ? -errno : -ENOSPC;
  if (!result && sync) {
    sink->path[folder_bytes] = 0;
    result = wb_folder_sync(sink->path);
    sink->path[folder_bytes] = '/';
  }
  if (result) {
    unlink(sink->path);
    close(fd);
    return result;
  }
  sink->fd = fd;
  sink->direct_refused = false;
  if (sink->stage) {
    sink->direct_fd = open(sink->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
    if (sink->direct_fd < 0) refuse_direct(sink);
  }
  return 0;
}

static void close_direct(wb_sink_segment *sink) {
  if (sink->direct_fd >= 0) close(sink->direct_fd);
  sink->direct_fd = -1;
}

static void set_rotation(wb_sink_segment *sink, int64_t utc_ns, bool fresh) {
  if (fresh) sink->rotate_at_utc_ns = (utc_ns / (int64_t)sink->config.rotate_ns + 1) * (int64_t)sink->config.rotate_ns;
  sink->rotate_at_ns = now(sink) + (uint64_t)(sink->rotate_at_utc_ns - utc_ns);
}

static void segment_start(wb_sink_segment *sink) {
  int64_t utc_ns = utc(sink), created_utc_ns = utc_ns > sink->created_utc_ns ? utc_ns : sink->created_utc_ns + 1;
  int result = -EEXIST;
  for (int try = 0; try < NAME_TRIES && result == -EEXIST; try++) {
    sink->created_utc_ns = created_utc_ns + try;
    result = segment_create(sink, sink->created_utc_ns);
  }
  if (result) {
    fail(sink, -result, "cannot begin");
    return;
  }
  set_rotation(sink, utc_ns, true);
  sink->frames_before = sink->status.frames_written;
  sink->looked_ns = now(sink);
  sink->offset = WB_SEGMENT_HEADER_BYTES;
  sink->chunk_number = 0;
  sink->segment++;
  sink->rotating = false;
  sink->synced_ns = now(sink);
  sink->spoiled = false;
  count(&sink->status.segments, 1);
  set_state(sink);
  for (uint64_t i = sink->oldest; i < sink->newest; i++) place(sink, slot_at(sink, i));
}

static void last_done(wb_op *op, int result, unsigned flags) {
  wb_sink_segment *sink = op->self;
  sink->completed++;
  if (result < 0) {
    count(&sink->status.frames_doubtful, sink->last_frames);
    count(&sink->status.errors, 1);
    __atomic_store_n(&sink->status.os_errno, -result, __ATOMIC_RELAXED);
    say(sink, WB_LOG_ERROR, "raw log: last sync of a segment: %s", strerror(-result));
  } else {
    count(&sink->status.syncs, 1);
    count(&sink->status.frames_synced, sink->last_frames);
  }
  close(sink->last_fd);
  sink->last_fd = -1;
}

/* Ends the open segment at `length`; its last sync goes on by itself. Nothing of it is in flight. */
static void segment_finish(wb_sink_segment *sink, uint64_t length) {
  close_direct(sink);
  if (sink->spoiled) {
    count(&sink->status.frames_doubtful, sink->unsynced_frames);
    sink->unsynced_frames = 0;
  }
  if (length <= WB_SEGMENT_HEADER_BYTES) {
    unlink(sink->path);
    close(sink->fd);
    sink->segment--;
    count(&sink->status.segments, UINT64_MAX);
  } else {
    if (length < sink->offset && ftruncate(sink->fd, (off_t)length))
      say(sink, WB_LOG_ERROR, "raw log: cannot cut %s at %" PRIu64 ": %s", sink->path, length, strerror(errno));
    if (sink->config.sync == WB_SYNC_NONE) {
      close(sink->fd);
    } else {
      sink->last_fd = sink->fd;
      sink->last_frames = sink->unsynced_frames;
      sink->last_op.done = last_done;
      sink->last_op.self = sink;
      wb_uring_fsync(sink->config.ring, &sink->last_op, sink->last_fd, true);
    }
  }
  sink->unsynced_frames = 0;
  sink->fd = -1;
  sink->rotating = false;
  set_state(sink);
}

/* After an error, when nothing is in flight any more: the chunks not released will be written again elsewhere. */
static void segment_cut(wb_sink_segment *sink) {
  if (sink->fd >= 0) segment_finish(sink, sink->oldest < sink->newest ? slot_at(sink, sink->oldest)->start : sink->offset);
  for (uint64_t i = sink->oldest; i < sink->newest; i++) slot_at(sink, i)->state = SLOT_HELD;
  sink->failing = false;
  sink->retry_at_ns = now(sink) + sink->retry_ns;
  sink->retry_ns = sink->retry_ns * 2 < WB_SINK_RETRY_NS_MAX ? sink->retry_ns * 2 : WB_SINK_RETRY_NS_MAX;
}

/* ------------------------------------------------------------------------------------------------ take */

/* Sets the sizes of a chunk. Aligned: data lies in the chunk as it does in memory relative to pages, so that whole pages of the
 * journal are whole pages of the file, and the chunk is as many pages. */
static void lay_out(wb_chunk *chunk, const uint8_t *data, bool aligned) {
  const uint64_t page = PAGE_BYTES - 1;
  uint64_t at = WB_CHUNK_HEADER_BYTES + chunk->frame_count * sizeof(wb_frame), up = 7;
  if (aligned) {
    uint64_t lead = -(uintptr_t)data & page;
    at = ((at + lead + page) & ~page) - lead;
    up = page;
  }
  chunk->data_offset = (uint32_t)at;
  chunk->chunk_bytes = (uint32_t)((at + chunk->data_bytes + up) & ~up);
}

/* Copies what of a chunk shares a page of the journal with others: their bytes may change while it is written. */
static void fill_stage(uint8_t *stage, const wb_chunk *chunk, const wb_frame *first, const uint8_t *data) {
  uint64_t frames_end = WB_CHUNK_HEADER_BYTES + chunk->frame_count * sizeof(wb_frame);
  uint64_t lead = -(uint64_t)chunk->data_offset & (PAGE_BYTES - 1);
  uint64_t end = chunk->data_offset + (uint64_t)chunk->data_bytes, tail = end % PAGE_BYTES;
  memcpy(stage + WB_CHUNK_HEADER_BYTES, first, frames_end - WB_CHUNK_HEADER_BYTES);
  memset(stage + frames_end, 0, chunk->data_offset - frames_end);
  memcpy(stage + chunk->data_offset, data, lead);
  if (tail) {
    memcpy(stage + STAGE_FRONT_BYTES, data + chunk->data_bytes - tail, tail);
    memset(stage + STAGE_FRONT_BYTES + tail, 0, PAGE_BYTES - tail);
  }
}

/* What a gap record names will never come. */
static void take_gap(wb_sink_segment *sink, line *l, const wb_frame *frame) {
  wb_gap gap;
  if (!wb_gap_read(frame, wb_frames_at(l->frames, frame->position), &gap)) return;
  if (l->next_number <= gap.last) l->next_number = gap.last + 1;
  sink->frames_taken += gap.frames - 1;
}

/* Takes a chunk off a line into a free slot, or first the filler that it needs in front of it. False if there is none, if it is
 * too small to go already, or if it does not fit the segment any more (rotating is set then). */
static bool take(wb_sink_segment *sink, unsigned index) {
  line *l = &sink->line[index];
  size_t frame_count;
  const wb_frame *first = wb_frames_peek(l->frames, sink->config.reader, l->taken, WB_SINK_CHUNK_FRAMES_MAX, &frame_count);
  if (!first) return false;
  bool all = false; /* nothing more is published */
  while (frame_count < WB_SINK_CHUNK_FRAMES_MAX) {
    size_t more_count;
    const wb_frame *more = wb_frames_peek(l->frames, sink->config.reader, l->taken + frame_count,
                                          WB_SINK_CHUNK_FRAMES_MAX - frame_count, &more_count);
    all = !more;
    if (!more || more != first + frame_count) break;
    frame_count += more_count;
  }
  const wb_frame *last = first + frame_count - 1;
  uint64_t span = last->position + last->bytes - first->position;
  bool small = all && span + frame_count * sizeof(wb_frame) < sink->config.chunk_bytes / SMALL_CHUNK_SHARE &&
               span < l->frames->bytes / SMALL_RING_SHARE && frame_count < l->frames->frame_count / SMALL_RING_SHARE;
  if (small && (l->taken || (sink->config.linger_ns && now(sink) - l->taken_ns < sink->config.linger_ns))) return false;

  /* What a turn of the journal skipped, half of it and more, may be written meanwhile. */
  uint64_t end = first->position + first->bytes, hole_bytes = l->frames->bytes / SMALL_RING_SHARE;
  size_t fitting = 1;
  for (; fitting < frame_count; fitting++) {
    uint64_t next_end = first[fitting].position + first[fitting].bytes;
    if (first[fitting].position < end || first[fitting].position - end > hole_bytes ||
        next_end - first->position > sink->config.chunk_bytes)
      break;
    end = next_end;
  }
  const uint8_t *data = wb_frames_at(l->frames, first->position);
  wb_chunk chunk = {.frame_count = (uint32_t)fitting,
                    .data_bytes = (uint32_t)(end - first->position),
                    .first_position = first->position,
                    .utc_offset_ns = utc_offset(sink),
                    .line = index};
  uint64_t frames_bytes = fitting * sizeof(wb_frame), bytes = frames_bytes + chunk.data_bytes;
  bool aligned =
      sink->stage && !sink->direct_refused && bytes >= sink->config.direct_bytes && chunk.data_bytes >= 2 * PAGE_BYTES;
  bool filler = aligned && sink->fd >= 0 && sink->offset % PAGE_BYTES;
  uint64_t before = filler ? filler_bytes(sink->offset) : 0;
  lay_out(&chunk, data, aligned);
  if (sink->fd >= 0 && sink->chunk_number && sink->offset + before + chunk.chunk_bytes > sink->config.rotate_bytes) {
    sink->rotating = true;
    return false;
  }

  slot *s = slot_at(sink, sink->newest++);
  if (filler) {
    *s = (slot){.state = SLOT_HELD, .line = index, .chunk = {.data_offset = WB_CHUNK_HEADER_BYTES, .line = index}};
    return true;
  }
  chunk.body_crc = wb_crc32c(wb_crc32c(0, first, frames_bytes), data, chunk.data_bytes);
  *s = (slot){.state = SLOT_HELD, .line = index, .frame = first, .aligned = aligned, .chunk = chunk};
  if (aligned) fill_stage(stage_of(sink, s), &chunk, first, data);
  l->taken += fitting;
  if (sink->config.linger_ns) l->taken_ns = now(sink);
  l->next_number = first[fitting - 1].number + 1;
  for (size_t i = 0; i < fitting; i++)
    if (first[i].kind == WB_FRAME_GAP) take_gap(sink, l, &first[i]);
  if (sink->number_end < l->next_number) sink->number_end = l->next_number;
  sink->frames_taken += fitting;
  return true;
}

static bool anything_published(wb_sink_segment *sink) {
  for (unsigned i = 0; i < sink->config.line_count; i++) {
    size_t found;
    if (wb_frames_peek(sink->line[i].frames, sink->config.reader, sink->line[i].taken, 1, &found)) return true;
  }
  return false;
}

static int take_all(wb_sink_segment *sink) {
  int started = 0;
  unsigned idle = 0;
  while (sink->newest - sink->oldest < sink->config.writes && idle < sink->config.line_count && !sink->rotating) {
    bool taken = take(sink, sink->turn);
    if (!taken || slot_at(sink, sink->newest - 1)->frame) sink->turn = (sink->turn + 1) % sink->config.line_count;
    if (!taken) {
      idle++;
      continue;
    }
    idle = 0;
    started++;
    if (sink->fd >= 0) place(sink, slot_at(sink, sink->newest - 1));
    else segment_start(sink); /* places it */
    if (sink->failing) break;
  }
  return started;
}

/* What was written to a file that somebody removed is gone; what comes goes into a new one. */
static void look_for_segment(wb_sink_segment *sink) {
  struct stat about;
  if (fstat(sink->fd, &about) || about.st_nlink) return;
  uint64_t gone = sink->status.frames_written - sink->frames_before;
  say(sink, WB_LOG_ERROR, "raw log: %s was removed while it was written: %" PRIu64 " frames are gone with it", sink->path,
      gone);
  count(&sink->status.frames_lost, gone);
  count(&sink->status.errors, 1);
  sink->frames_before = sink->status.frames_written;
  sink->rotating = true;
}

static void keep_time(wb_sink_segment *sink) {
  uint64_t at = now(sink);
  if (at - sink->looked_ns >= LOOK_NS && !sink->rotating) {
    sink->looked_ns = at;
    look_for_segment(sink);
  }
  if (at >= sink->rotate_at_ns && sink->chunk_number) {
    int64_t utc_ns = utc(sink);
    if (utc_ns >= sink->rotate_at_utc_ns) sink->rotating = true;
    else set_rotation(sink, utc_ns, false);
  }
  if (sink->config.sync == WB_SYNC_INTERVAL && !sink->syncing && at - sink->synced_ns >= sink->config.sync_ns) {
    sink->synced_ns = at;
    if (sink->unsynced_frames) sync_start(sink);
  }
}

int wb_sink_segment_do_work(void *self) {
  wb_sink_segment *sink = self;
  int work = 0;
  sink->completed = 0;
  if (sink->fd >= 0 && !sink->failing) keep_time(sink);
  if ((sink->failing || sink->rotating) && !in_flight(sink) && sink->last_fd < 0) {
    if (sink->failing) segment_cut(sink);
    else if (sink->oldest == sink->newest) segment_finish(sink, sink->offset);
    work++;
  }
  if (!sink->failing && !sink->rotating) {
    if (sink->fd < 0 && sink->oldest < sink->newest && now(sink) >= sink->retry_at_ns) {
      segment_start(sink);
      work++;
    }
    if (!sink->failing && (sink->fd >= 0 || sink->oldest == sink->newest)) work += take_all(sink);
  }
  if (in_flight(sink) || sink->last_fd >= 0) wb_uring_poll(sink->config.ring);
  return work + sink->completed;
}

void wb_sink_segment_idle(void *self, uint64_t timeout_ns) {
  wb_sink_segment *sink = self;
  sink->completed = 0;
  wb_uring_wait(sink->config.ring, timeout_ns);
}

void wb_sink_segment_wake(void *self) { wb_uring_wake(((wb_sink_segment *)self)->config.ring); }

void wb_sink_segment_status_read(const wb_sink_segment *sink, wb_sink_segment_status *status) {
  const wb_sink_segment_status *from = &sink->status;
  *status = (wb_sink_segment_status){.state = __atomic_load_n(&from->state, __ATOMIC_RELAXED),
                                     .os_errno = __atomic_load_n(&from->os_errno, __ATOMIC_RELAXED),
                                     .errors = wb_load_relaxed(&from->errors),
                                     .segments = wb_load_relaxed(&from->segments),
                                     .chunks_written = wb_load_relaxed(&from->chunks_written),
                                     .chunks_direct = wb_load_relaxed(&from->chunks_direct),
                                     .frames_written = wb_load_relaxed(&from->frames_written),
                                     .frames_synced = wb_load_relaxed(&from->frames_synced),
                                     .bytes_written = wb_load_relaxed(&from->bytes_written),
                                     .syncs = wb_load_relaxed(&from->syncs),
                                     .frames_doubtful = wb_load_relaxed(&from->frames_doubtful),
                                     .frames_lost = wb_load_relaxed(&from->frames_lost)};
}

/* ------------------------------------------------------------------------------------------------ open and close */

static int config_check(wb_sink_segment_config *c, wb_error *error) {
  static const char what[] = "raw log";
  if (!c->dir || !*c->dir || !c->feed || !c->info || !c->line || !c->ring || !c->host)
    return wb_error_set(error, WB_E_INVALID, 0, what, "dir, feed, info, line, ring and host are needed");
  if (c->line_count < 1 || c->line_count > WB_SINK_LINES_MAX)
    return wb_error_set(error, WB_E_LIMIT, 0, what, "%u lines; 1 to %d are allowed", c->line_count, WB_SINK_LINES_MAX);
  for (unsigned i = 0; i < c->line_count; i++)
    if (!c->line[i] || c->reader >= c->line[i]->reader_count)
      return wb_error_set(error, WB_E_INVALID, 0, what, "line %u has no reader %u", i, c->reader);
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (!*c->feed || *c->feed == '.' || c->feed[strspn(c->feed, letters)])
    return wb_error_set(error, WB_E_CONFIG, 0, what, "feed name \"%s\" cannot be the name of a folder", c->feed);
  size_t root_bytes = strlen(c->dir) + 1 + strlen(c->feed) + 1, info_bytes = strlen(c->info) + 1;
  if (root_bytes > DIR_BYTES_MAX)
    return wb_error_set(error, WB_E_LIMIT, 0, what, "path of %zu bytes; %d are allowed", root_bytes, DIR_BYTES_MAX);
  if (info_bytes > sizeof((wb_segment_info *)0)->text)
    return wb_error_set(error, WB_E_LIMIT, 0, what, "segment information of %zu bytes; %zu are allowed", info_bytes,
                        sizeof((wb_segment_info *)0)->text);
  if (!c->rotate_bytes) c->rotate_bytes = WB_SINK_ROTATE_BYTES_DEFAULT;
  if (!c->rotate_ns) c->rotate_ns = WB_SINK_ROTATE_NS_DEFAULT;
  if (!c->sync_ns) c->sync_ns = WB_SINK_SYNC_NS_DEFAULT;
  if (!c->retry_ns) c->retry_ns = WB_SINK_RETRY_NS_DEFAULT;
  if (!c->chunk_bytes) c->chunk_bytes = WB_SINK_CHUNK_BYTES_DEFAULT;
  if (!c->linger_ns) c->linger_ns = WB_SINK_LINGER_NS_DEFAULT;
  if (c->linger_ns == WB_SINK_LINGER_NEVER) c->linger_ns = 0;
  if (!c->writes) c->writes = WB_SINK_WRITES_DEFAULT;
  if (!c->direct_bytes) c->direct_bytes = c->chunk_bytes / SMALL_CHUNK_SHARE;
  if (c->chunk_bytes < 4096 || c->chunk_bytes > 1u << 30)
    return wb_error_set(error, WB_E_LIMIT, 0, what, "chunks of %u bytes; 4096 to 2^30 are allowed", c->chunk_bytes);
  if (c->writes > WB_SINK_WRITES_MAX)
    return wb_error_set(error, WB_E_LIMIT, 0, what, "%u writes at once; %d are allowed", c->writes, WB_SINK_WRITES_MAX);
  if (c->rotate_ns > INT64_MAX / 4) return wb_error_set(error, WB_E_LIMIT, 0, what, "rotation time is too long");
  return 0;
}

wb_sink_segment *wb_sink_segment_open(const wb_sink_segment_config *config, wb_error *error) {
  wb_sink_segment_config checked = *config;
  if (config_check(&checked, error)) return NULL;
  wb_sink_segment *sink = aligned_alloc(64, (sizeof *sink + 63) & ~(size_t)63);
  if (!sink) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "raw log", "no memory for the sink");
    return NULL;
  }
  memset(sink, 0, sizeof *sink);
  sink->config = checked;
  sink->fd = sink->direct_fd = sink->last_fd = -1;
  if (checked.direct_bytes != WB_SINK_DIRECT_NEVER) {
    sink->stage = aligned_alloc(PAGE_BYTES, checked.writes * (size_t)STAGE_BYTES);
    if (!sink->stage) {
      wb_error_set(error, WB_E_MEMORY, ENOMEM, "raw log", "no memory for %u stages of %d bytes", checked.writes, STAGE_BYTES);
      free(sink);
      return NULL;
    }
  }
  sink->retry_ns = checked.retry_ns;
  sink->number_end = checked.first_number;
  for (unsigned i = 0; i < checked.line_count; i++)
    sink->line[i] =
        (line){.frames = checked.line[i], .taken_ns = now(sink) - checked.linger_ns, .next_number = checked.first_number};
  snprintf(sink->info.text, sizeof sink->info.text, "%s", checked.info);
  memcpy(sink->info.node, checked.node, sizeof checked.node);
  static const uint8_t unset[sizeof checked.node];
  if (!memcmp(checked.node, unset, sizeof unset)) wb_random_fill(sink->info.node, sizeof sink->info.node);
  snprintf(sink->root, sizeof sink->root, "%s/%s", checked.dir, checked.feed);
  sink->config.dir = sink->config.feed = sink->config.info = NULL;
  int result = wb_folder_make(sink->root, checked.sync != WB_SYNC_NONE);
  if (!result && access(sink->root, W_OK | X_OK)) result = -errno;
  if (result) {
    wb_error_set(error, WB_E_SYSTEM, -result, "raw log", "cannot write to %s: %s", sink->root, strerror(-result));
    free(sink->stage);
    free(sink);
    return NULL;
  }
  return sink;
}

static uint64_t frames_left(wb_sink_segment *sink) {
  uint64_t left = 0;
  for (unsigned i = 0; i < sink->config.line_count; i++) {
    line *l = &sink->line[i];
    size_t found = 0;
    for (size_t skip = 0; wb_frames_peek(l->frames, sink->config.reader, skip, SIZE_MAX, &found); skip += found) left += found;
  }
  return left;
}

int wb_sink_segment_close(wb_sink_segment *sink, uint64_t timeout_ns, wb_sink_segment_status *status, wb_error *error) {
  uint64_t begun = wb_clock_ns();
  int result = 0;
  sink->config.linger_ns = 0;
  while ((sink->oldest < sink->newest || anything_published(sink)) && wb_clock_ns() - begun < timeout_ns)
    if (!wb_sink_segment_do_work(sink)) wb_uring_wait(sink->config.ring, 1000000);
  sink->failing |= sink->oldest < sink->newest; /* starts nothing more; what is in flight must end, it reads the journal */
  while (in_flight(sink) || sink->last_fd >= 0) wb_uring_wait(sink->config.ring, 1000000);

  uint64_t left = frames_left(sink);
  if (left) {
    count(&sink->status.frames_lost, left);
    int os_errno = sink->status.os_errno;
    result = wb_error_set(error, WB_E_SYSTEM, os_errno, "raw log", "%" PRIu64 " frames were not written: %s", left,
                          os_errno ? strerror(os_errno) : "no time left");
  }
  close_direct(sink);
  if (sink->fd >= 0) {
    uint64_t length = sink->oldest < sink->newest ? slot_at(sink, sink->oldest)->start : sink->offset;
    if (length <= WB_SEGMENT_HEADER_BYTES) {
      unlink(sink->path);
      count(&sink->status.segments, UINT64_MAX);
    } else {
      int os_errno = 0;
      if (length < sink->offset && ftruncate(sink->fd, (off_t)length)) os_errno = errno;
      if (fsync(sink->fd)) os_errno = errno;
      *strrchr(sink->path, '/') = 0;
      int folder = wb_folder_sync(sink->path);
      if (folder) os_errno = -folder;
      count(os_errno || sink->spoiled ? &sink->status.frames_doubtful : &sink->status.frames_synced, sink->unsynced_frames);
      if (os_errno) {
        count(&sink->status.errors, 1);
        result = wb_error_set(error, WB_E_SYSTEM, os_errno, "raw log", "last sync in %s: %s", sink->path, strerror(os_errno));
      }
    }
    close(sink->fd);
  }
  if (status) {
    sink->fd = -1;
    set_state(sink);
    wb_sink_segment_status_read(sink, status);
  }
  free(sink->stage);
  free(sink);
  return result;
}
