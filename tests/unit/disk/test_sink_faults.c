/* The sink on a scripted ring: this file stands in for io/uring.c, completes operations late and in any order, cuts writes
 * short and fails them, so that each way of an error is met many times and on every machine. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/log_reader.h"
#include "io/memory.h"
#include "io/sink_segment.h"

enum { JOURNAL_BYTES = 1 << 17, FRAME_COUNT = 256, LINES = 2, OPS_MAX = 64, LINE_OF_MAX = 1 << 17 };

static uint64_t seed_state;
static uint64_t draw(uint64_t below) {
  seed_state ^= seed_state << 13;
  seed_state ^= seed_state >> 7;
  seed_state ^= seed_state << 17;
  return seed_state % below;
}

/* ------------------------------------------------------------------------------------------------ the ring */

typedef struct pending {
  wb_op *op;
  int file;
  const struct iovec *part; /* NULL: fsync */
  unsigned parts;
  uint64_t offset, covers; /* covers: writes that were complete when it was submitted */
} pending;

struct wb_uring {
  pending op[OPS_MAX];
  unsigned count;
  unsigned short_writes, write_errors, sync_errors, refuse_direct; /* one in so many, 0: none */
  uint64_t shorts, errors, interrupts, completed, directs, refusals, syncs;
  uint64_t written, covered; /* writes complete, and of them covered by a sync */
};

void wb_uring_writev(wb_uring *ring, wb_op *op, int file, const struct iovec *part, unsigned parts, uint64_t offset) {
  cr_assert_not(op->busy);
  cr_assert(ring->count < OPS_MAX);
  op->busy = true;
  ring->op[ring->count++] = (pending){op, file, part, parts, offset, ring->written};
}

void wb_uring_fsync(wb_uring *ring, wb_op *op, int file, bool data_only) { wb_uring_writev(ring, op, file, NULL, 0, 0); }
void wb_uring_wake(wb_uring *ring) {}

static int perform(wb_uring *ring, const pending *p) {
  if (!p->part) {
    if (ring->sync_errors && !draw(ring->sync_errors)) return -EIO;
    ring->syncs++;
    if (ring->covered < p->covers) ring->covered = p->covers;
    return 0;
  }
  uint64_t whole = 0, limit;
  for (unsigned i = 0; i < p->parts; i++) whole += p->part[i].iov_len;
  cr_assert(whole > 0);
  limit = whole;
  int result = 0;
  if (ring->write_errors && !draw(ring->write_errors)) { /* an error may leave anything behind */
    static const int errors[] = {ENOSPC, EIO, EDQUOT, ECANCELED};
    result = -errors[draw(4)];
    limit = draw(whole);
    ring->errors++;
  } else if (ring->short_writes && !draw(ring->short_writes)) {
    limit = draw(whole);
    ring->shorts++;
    if (!limit) return ring->interrupts++, -EINTR;
  }
  int flags = fcntl(p->file, F_GETFL);
  bool direct = flags & O_DIRECT;
  if (direct) {
    bool aligned = p->offset % 4096 == 0;
    for (unsigned i = 0; i < p->parts; i++)
      aligned &= (uintptr_t)p->part[i].iov_base % 4096 == 0 && p->part[i].iov_len % 4096 == 0;
    cr_assert(aligned, "a direct write at %zu that a disk would refuse", (size_t)p->offset);
    ring->directs++;
    if (ring->refuse_direct && !draw(ring->refuse_direct)) return ring->refusals++, -EINVAL;
    fcntl(p->file, F_SETFL, flags & ~O_DIRECT); /* so that it can stop at any byte */
  }
  uint64_t written = 0;
  for (unsigned i = 0; i < p->parts && written < limit; i++) {
    uint64_t bytes = p->part[i].iov_len < limit - written ? p->part[i].iov_len : limit - written;
    cr_assert_eq(pwrite(p->file, p->part[i].iov_base, bytes, (off_t)(p->offset + written)), (ssize_t)bytes);
    written += bytes;
  }
  if (direct) fcntl(p->file, F_SETFL, flags);
  ring->written++;
  return result ? result : (int)written;
}

int wb_uring_poll(wb_uring *ring) {
  unsigned some = (unsigned)draw(ring->count + 1);
  for (unsigned i = 0; i < some; i++) {
    unsigned at = (unsigned)draw(ring->count);
    pending p = ring->op[at];
    ring->op[at] = ring->op[--ring->count];
    int result = perform(ring, &p);
    p.op->busy = false;
    ring->completed++;
    p.op->done(p.op, result, 0);
  }
  return (int)some;
}

int wb_uring_wait(wb_uring *ring, uint64_t timeout_ns) { return wb_uring_poll(ring); }

/* ------------------------------------------------------------------------------------------------ the run */

static uint64_t fake_ns;
static uint64_t clock_now(void *self) { return fake_ns; }
static int64_t clock_offset(void *self) { return INT64_C(1767225600000000000); }
static uint64_t errors_logged;
static void take_log(void *self, int level, const char *text) { errors_logged += level == WB_LOG_ERROR; }
static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) { return remove(path); }

static uint8_t line_of[LINE_OF_MAX];

static uint64_t read_back(const char *dir, bool holes) {
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = &dir, .path_count = 1, .verify = true}, NULL);
  cr_assert(reader);
  wb_log_record record;
  uint64_t frames = 0;
  for (; wb_log_reader_next(reader, &record); frames++) {
    uint64_t number = record.frame.number;
    if (!holes) cr_assert_eq(number, frames);
    cr_assert_eq(record.frame.line, line_of[number]);
    uint64_t twice[2] = {0};
    memcpy(twice, record.bytes, record.frame.bytes < 16 ? record.frame.bytes : 16);
    if (record.frame.bytes >= 8) cr_assert_eq(twice[0], number);
    if (record.frame.bytes > 8) cr_assert_eq(record.bytes[record.frame.bytes - 1], (uint8_t)number);
  }
  wb_log_totals totals = wb_log_reader_totals(reader);
  cr_assert_eq(totals.damages + totals.duplicates, 0);
  if (!holes) cr_assert_eq(totals.gaps, 0);
  wb_log_reader_close(reader);
  return frames;
}

static wb_sink_segment_status run(uint64_t seed, wb_sync sync, wb_uring script, uint64_t frames, bool close_early) {
  printf("seed %llu, sync %d\n", (unsigned long long)seed, (int)sync);
  seed_state = seed;
  fake_ns = 0;
  errors_logged = 0;
  char dir[] = "/tmp/wb_faults_XXXXXX";
  cr_assert(mkdtemp(dir));
  wb_frames lines[LINES], *line[LINES];
  static wb_frame descriptors[LINES][FRAME_COUNT];
  void *base[LINES];
  for (unsigned i = 0; i < LINES; i++) {
    base[i] = wb_mirror_open(JOURNAL_BYTES, false, NULL);
    cr_assert_eq(wb_frames_init(&lines[i], base[i], JOURNAL_BYTES, descriptors[i], FRAME_COUNT, 1), 0);
    line[i] = &lines[i];
  }
  wb_host host = {.now_ns = clock_now, .utc_offset_ns = clock_offset, .log = take_log};
  wb_sink_segment *sink = wb_sink_segment_open(&(wb_sink_segment_config){.dir = dir,
                                                                         .feed = "f",
                                                                         .info = "{}",
                                                                         .rotate_bytes = 200000,
                                                                         .sync = sync,
                                                                         .sync_ns = 3000,
                                                                         .retry_ns = 1000,
                                                                         .linger_ns = 300,
                                                                         .chunk_bytes = 16384,
                                                                         .direct_bytes = 9000,
                                                                         .line = line,
                                                                         .line_count = LINES,
                                                                         .ring = &script,
                                                                         .host = &host},
                                               NULL);
  cr_assert(sink);
  wb_sink_segment_status status;
  uint64_t number = 0, written = 0, syncs = 0, synced = 0;
  while (number < frames) {
    unsigned i = (unsigned)draw(LINES);
    for (uint64_t burst = draw(30); burst && number < frames; burst--) {
      uint32_t bytes = (uint32_t)draw(600);
      if (wb_frames_room(line[i], bytes) < bytes || !wb_frames_slots(line[i], 1)) break;
      uint8_t *to = wb_frames_head(line[i]);
      memset(to, (int)(number & 0xff), bytes);
      memcpy(to, &number, bytes < 8 ? bytes : 8);
      line_of[number] = (uint8_t)i;
      wb_frame frame = {
          .position = line[i]->head, .recv_ns = fake_ns, .number = number++, .bytes = bytes, .line = (uint8_t)i, .kind = 1};
      wb_frames_advance(line[i], bytes);
      wb_frames_push(line[i], &frame);
    }
    wb_frames_publish(line[i]);
    fake_ns += draw(500);
    wb_sink_segment_do_work(sink);
    wb_sink_segment_status_read(sink, &status);
    cr_assert_eq(status.frames_written, lines[0].reader[0].released + lines[1].reader[0].released);
    if (sync == WB_SYNC_BATCH && status.frames_written > written) cr_assert(script.syncs > syncs, "released before a sync");
    cr_assert(status.frames_synced <= status.frames_written);
    if (sync == WB_SYNC_NONE) cr_assert_eq(status.frames_synced, 0);
    if (sync == WB_SYNC_BATCH) cr_assert_eq(status.frames_synced, status.frames_written);
    if (status.frames_synced > synced) cr_assert(script.syncs > syncs, "said to be synced before a sync");
    synced = status.frames_synced;
    if (sync == WB_SYNC_BATCH && !script.short_writes && !script.write_errors && !script.refuse_direct)
      cr_assert(status.chunks_written <= script.covered, "released what the sync did not cover");
    written = status.frames_written;
    syncs = script.syncs;
  }
  if (close_early) {
    script.write_errors = 1;
  } else {
    while (lines[0].reader[0].released + lines[1].reader[0].released < frames) {
      fake_ns += 1000;
      wb_sink_segment_do_work(sink);
    }
    script.write_errors = script.sync_errors = 0;
  }
  wb_error error = {0};
  int result = wb_sink_segment_close(sink, close_early ? 1000000 : UINT64_C(10000000000), &status, &error);
  cr_assert_eq(script.count, 0, "nothing is in flight after close");
  cr_assert_eq(status.frames_written + status.frames_lost, frames);
  if (!close_early) cr_assert_eq(result, 0, "%s", error.detail);
  if (!close_early && sync != WB_SYNC_NONE) cr_assert_eq(status.frames_synced + status.frames_doubtful, frames);
  if (status.frames_lost) cr_assert_eq(result, WB_E_SYSTEM);
  cr_assert_eq(read_back(dir, close_early), status.frames_written);
  if (script.write_errors && !close_early) cr_assert(errors_logged > 0);
  if (script.short_writes) cr_assert(script.shorts > 0);
  if (!close_early) cr_assert(script.directs > (script.refuse_direct ? 10 : 100));
  if (script.refuse_direct) cr_assert(script.refusals > 0);
  if (script.refuse_direct == 1) cr_assert_eq(status.chunks_direct, 0);
  for (unsigned i = 0; i < LINES; i++) wb_mirror_close(base[i], JOURNAL_BYTES);
  nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return status;
}

Test(sink_faults, completions_in_any_order_release_in_order) {
  wb_sink_segment_status status = run(1, WB_SYNC_NONE, (wb_uring){0}, 40000, false);
  cr_assert_eq(status.errors, 0);
}

Test(sink_faults, short_writes_are_continued_where_they_stopped) {
  wb_sink_segment_status status = run(2, WB_SYNC_NONE, (wb_uring){.short_writes = 2}, 40000, false);
  cr_assert_eq(status.errors, 0);
}

Test(sink_faults, failed_writes_go_into_a_new_segment_without_loss_or_repetition) {
  for (uint64_t seed = 3; seed < 8; seed++) {
    wb_sink_segment_status status = run(seed, WB_SYNC_NONE, (wb_uring){.short_writes = 4, .write_errors = 20}, 8000, false);
    cr_assert(status.errors > 10);
    cr_assert_eq(status.frames_lost, 0);
  }
}

Test(sink_faults, a_failed_interval_sync_marks_frames_doubtful) {
  wb_sink_segment_status status = run(9, WB_SYNC_INTERVAL, (wb_uring){.write_errors = 30, .sync_errors = 5}, 20000, false);
  cr_assert(status.frames_doubtful > 0);
  cr_assert(status.frames_doubtful < status.frames_written);
}

Test(sink_faults, interval_policy_says_of_every_frame_in_the_end_that_it_is_synced) {
  wb_sink_segment_status status = run(50, WB_SYNC_INTERVAL, (wb_uring){.short_writes = 5}, 20000, false);
  cr_assert_eq(status.frames_synced, 20000u);
  cr_assert(status.syncs > 10);
}

Test(sink_faults, batch_policy_releases_only_what_a_sync_has_covered) {
  wb_sink_segment_status status = run(40, WB_SYNC_BATCH, (wb_uring){0}, 40000, false);
  cr_assert_eq(status.errors, 0);
  cr_assert(status.chunks_direct > 100);
}

Test(sink_faults, batch_policy_writes_again_what_a_failed_sync_did_not_cover) {
  for (uint64_t seed = 10; seed < 14; seed++) {
    wb_sink_segment_status status =
        run(seed, WB_SYNC_BATCH, (wb_uring){.short_writes = 6, .write_errors = 30, .sync_errors = 6}, 8000, false);
    cr_assert(status.errors > 10);
    cr_assert_eq(status.frames_lost, 0);
  }
}

Test(sink_faults, closing_while_every_write_fails_ends_and_counts_the_rest) {
  uint64_t lost = 0;
  for (uint64_t seed = 20; seed < 30; seed++) lost += run(seed, (wb_sync)(seed % 3), (wb_uring){0}, 2000, true).frames_lost;
  cr_assert(lost > 100);
}

Test(sink_faults, refused_direct_writes_go_through_the_page_cache_and_are_no_error) {
  wb_sink_segment_status status = run(31, WB_SYNC_NONE, (wb_uring){.refuse_direct = 1}, 40000, false);
  cr_assert_eq(status.errors, 0);
  status = run(32, WB_SYNC_BATCH, (wb_uring){.refuse_direct = 3, .short_writes = 3}, 20000, false);
  cr_assert_eq(status.errors, 0);
  cr_assert(status.chunks_direct > 0);
  run(33, WB_SYNC_INTERVAL, (wb_uring){.refuse_direct = 3, .short_writes = 3, .write_errors = 30}, 20000, false);
}
