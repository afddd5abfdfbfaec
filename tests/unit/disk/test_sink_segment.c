#include "io/sink_segment.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/store/segment.h"
#include "io/log_reader.h"
#include "io/memory.h"

enum { JOURNAL_BYTES = 1 << 20, FRAME_COUNT = 1024, LINES = 3, EXPECTED_MAX = 1 << 18 };

/* Content is a function of the number, so that nothing needs to be kept to check it. */
static uint32_t bytes_of(uint64_t number) {
  uint64_t mixed = number * UINT64_C(0x9e3779b97f4a7c15);
  return mixed >> 60 == 0 ? (uint32_t)(mixed >> 40) % 40000 : (uint32_t)(mixed >> 40) % 300;
}
static uint8_t byte_of(uint64_t number, uint32_t at) { return (uint8_t)(number * 31 + at * 7 + (at >> 8)); }

static uint64_t fake_ns = 1000;
static int64_t fake_offset_ns;
static uint64_t clock_now(void *self) { return fake_ns; }
static int64_t clock_offset(void *self) { return fake_offset_ns; }
static const wb_host host = {.now_ns = clock_now, .utc_offset_ns = clock_offset};

typedef struct rig {
  char dir[64];
  wb_frames frames[LINES];
  wb_frames *line[LINES];
  void *base[LINES];
  wb_frame *frame[LINES];
  wb_uring *ring;
  wb_sink_segment *sink;
  wb_sink_segment_config config;
  uint64_t number;
  uint8_t line_of[EXPECTED_MAX]; /* by number */
} rig;

static uint64_t seed_state = 88172645463325252u;
static uint64_t draw(uint64_t below) {
  seed_state ^= seed_state << 13;
  seed_state ^= seed_state >> 7;
  seed_state ^= seed_state << 17;
  return seed_state % below;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) { return remove(path); }

static rig *rig_open(unsigned lines, unsigned readers) {
  rig *r = calloc(1, sizeof *r);
  wb_error error = {0};
  fake_offset_ns = INT64_C(1767225600) * 1000000000 - (int64_t)fake_ns; /* 2026-01-01T00:00:00Z */
  snprintf(r->dir, sizeof r->dir, "/tmp/wb_sink_XXXXXX");
  cr_assert(mkdtemp(r->dir));
  for (unsigned i = 0; i < lines; i++) {
    r->base[i] = wb_mirror_open(JOURNAL_BYTES, false, &error);
    cr_assert(r->base[i], "%s", error.detail);
    r->frame[i] = calloc(FRAME_COUNT, sizeof(wb_frame));
    cr_assert_eq(wb_frames_init(&r->frames[i], r->base[i], JOURNAL_BYTES, r->frame[i], FRAME_COUNT, readers), 0);
    r->line[i] = &r->frames[i];
  }
  r->ring = wb_uring_open(64, 0, &error);
  cr_assert(r->ring, "%s", error.detail);
  r->config = (wb_sink_segment_config){.dir = r->dir,
                                       .feed = "coinbase-exchange",
                                       .info = "{\"feed\":\"coinbase-exchange\",\"products\":[\"BTC-USD\"]}",
                                       .line = r->line,
                                       .line_count = lines,
                                       .linger_ns = WB_SINK_LINGER_NEVER,
                                       .ring = r->ring,
                                       .host = &host};
  return r;
}

static void rig_start(rig *r) {
  wb_error error = {0};
  r->sink = wb_sink_segment_open(&r->config, &error);
  cr_assert(r->sink, "%s", error.detail);
}

static void rig_close(rig *r) {
  wb_uring_close(r->ring);
  for (unsigned i = 0; i < r->config.line_count; i++) {
    wb_mirror_close(r->base[i], JOURNAL_BYTES);
    free(r->frame[i]);
  }
  nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(r);
}

/* Pushes the next number on a line if there is room, with a few bytes of framing in front. */
static bool push(rig *r, unsigned line) {
  wb_frames *frames = &r->frames[line];
  uint64_t number = r->number;
  uint32_t bytes = bytes_of(number), front = (uint32_t)(number % 5) * 2;
  if (wb_frames_room(frames, bytes + front) < bytes + front || !wb_frames_slots(frames, 1)) return false;
  cr_assert(number < EXPECTED_MAX);
  memset(wb_frames_head(frames), 0xee, front);
  wb_frames_advance(frames, front);
  uint8_t *to = wb_frames_head(frames);
  for (uint32_t i = 0; i < bytes; i++) to[i] = byte_of(number, i);
  wb_frame frame = {.position = frames->head,
                    .recv_ns = fake_ns,
                    .number = number,
                    .bytes = bytes,
                    .connection = 1,
                    .line = (uint8_t)line,
                    .kind = number % 7 ? WB_FRAME_TEXT : WB_FRAME_BINARY};
  wb_frames_advance(frames, bytes);
  wb_frames_push(frames, &frame);
  r->line_of[number] = (uint8_t)line;
  r->number++;
  return true;
}

static void publish(rig *r) {
  for (unsigned i = 0; i < r->config.line_count; i++) wb_frames_publish(&r->frames[i]);
}

static uint64_t released(const rig *r) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < r->config.line_count; i++) sum += r->frames[i].reader[r->config.reader].released;
  return sum;
}

static void work_until_released(rig *r, uint64_t frames) {
  while (released(r) < frames)
    if (!wb_sink_segment_do_work(r->sink)) wb_sink_segment_idle(r->sink, 1000000);
}

static uint64_t gaps_noted, damages_noted;
static void note(void *self, const wb_log_note *what) { (*(what->kind == WB_LOG_NOTE_GAP ? &gaps_noted : &damages_noted))++; }

/* Reads the log back and compares every byte; returns how many segments there were. */
static size_t check(const rig *r, uint64_t frames) {
  const char *path = r->dir;
  wb_log_reader_config config = {.path = &path, .path_count = 1, .verify = true, .note = note};
  wb_error error = {0};
  wb_log_reader *reader = wb_log_reader_open(&config, &error);
  cr_assert(reader, "%s", error.detail);
  gaps_noted = damages_noted = 0;
  wb_log_record record;
  uint64_t number = 0;
  for (; wb_log_reader_next(reader, &record); number++) {
    cr_assert_eq(record.frame.number, number);
    cr_assert_eq(record.frame.line, r->line_of[number]);
    cr_assert_eq(record.frame.bytes, bytes_of(number));
    cr_assert_eq(record.frame.kind, number % 7 ? WB_FRAME_TEXT : WB_FRAME_BINARY);
    cr_assert_eq(record.utc_ns, (int64_t)record.frame.recv_ns + fake_offset_ns);
    for (uint32_t i = 0; i < record.frame.bytes; i++)
      if (record.bytes[i] != byte_of(number, i)) cr_assert(false, "frame %zu, byte %u", (size_t)number, i);
  }
  cr_assert_eq(number, frames);
  wb_log_totals totals = wb_log_reader_totals(reader);
  cr_assert_eq(totals.frames, frames);
  cr_assert_eq(totals.duplicates, 0);
  cr_assert_eq(totals.damages + totals.gaps + gaps_noted + damages_noted, 0);
  size_t segments = 0;
  while (wb_log_reader_segment(reader, segments)) segments++;
  wb_log_reader_close(reader);
  return segments;
}

Test(sink_segment, open_refuses_what_cannot_work) {
  rig *r = rig_open(1, 1);
  const wb_sink_segment_config good = r->config;
  char text[4000];
  memset(text, ' ', sizeof text);
  text[3999] = 0;
  wb_sink_segment_config bad[14];
  int codes[14] = {0};
  unsigned n = 0;
#define BAD(change, expected) bad[n] = good, bad[n].change, codes[n++] = expected
  BAD(dir = NULL, WB_E_INVALID);
  BAD(info = NULL, WB_E_INVALID);
  BAD(ring = NULL, WB_E_INVALID);
  BAD(feed = "", WB_E_CONFIG);
  BAD(feed = "a/b", WB_E_CONFIG);
  BAD(feed = "..", WB_E_CONFIG);
  BAD(line_count = 0, WB_E_LIMIT);
  BAD(line_count = WB_SINK_LINES_MAX + 1, WB_E_LIMIT);
  BAD(reader = 1, WB_E_INVALID);
  BAD(info = text, WB_E_LIMIT);
  BAD(chunk_bytes = 100, WB_E_LIMIT);
  BAD(writes = 17, WB_E_LIMIT);
  BAD(dir = text, WB_E_LIMIT);
  BAD(dir = "/proc/nothing", WB_E_SYSTEM);
  for (unsigned i = 0; i < n; i++) {
    wb_error error = {0};
    cr_assert_null(wb_sink_segment_open(&bad[i], &error), "case %u", i);
    cr_assert_eq(error.code, codes[i], "case %u: %s", i, error.detail);
    cr_assert(*error.detail);
  }
  rig_close(r);
}

Test(sink_segment, a_sink_that_never_saw_a_frame_leaves_no_file) {
  rig *r = rig_open(1, 1);
  rig_start(r);
  for (int i = 0; i < 100; i++) cr_assert_eq(wb_sink_segment_do_work(r->sink), 0);
  wb_sink_segment_status status;
  wb_sink_segment_status_read(r->sink, &status);
  cr_assert_eq(status.state, WB_SINK_IDLE);
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(status.segments + status.frames_written + status.errors + status.frames_lost, 0);
  cr_assert_eq(check(r, 0), 0);
  rig_close(r);
}

Test(sink_segment, files_are_named_by_feed_day_hour_and_creation) {
  rig *r = rig_open(1, 1);
  fake_offset_ns += INT64_C(1000000000) * (3600 * 13 + 5) + 42;
  rig_start(r);
  cr_assert(push(r, 0));
  publish(r);
  work_until_released(r, 1);
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, NULL, NULL), 0);
  char path[200];
  snprintf(path, sizeof path, "%s/coinbase-exchange/2026-01-01/13/20260101T130005.000000042Z-000000.wbseg", r->dir);
  cr_assert_eq(access(path, F_OK), 0, "%s", path);
  cr_assert_eq(check(r, 1), 1);
  rig_close(r);
}

Test(sink_segment, a_published_frame_is_on_its_way_after_one_call) {
  rig *r = rig_open(1, 1);
  rig_start(r);
  cr_assert(push(r, 0));
  publish(r);
  cr_assert(wb_sink_segment_do_work(r->sink) > 0);
  while (!released(r)) wb_sink_segment_idle(r->sink, 1000000000); /* waits for completions only: starts nothing */
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, NULL, NULL), 0);
  cr_assert_eq(check(r, 1), 1);
  rig_close(r);
}

Test(sink_segment, a_busy_line_is_gathered_but_no_frame_waits_longer_than_asked) {
  rig *r = rig_open(2, 1);
  r->config.linger_ns = 1000;
  rig_start(r);
  cr_assert(push(r, 0));
  publish(r);
  work_until_released(r, 1); /* a quiet line's first frame goes at once: the clock stands still */
  for (int i = 0; i < 5; i++) {
    cr_assert(push(r, 0));
    publish(r);
    cr_assert_eq(wb_sink_segment_do_work(r->sink), 0);
    fake_ns += 199;
  }
  cr_assert(push(r, 1));
  publish(r);
  work_until_released(r, 2); /* the other line is quiet */
  cr_assert_eq(r->frames[0].reader[0].released, 1);
  fake_ns += 5;
  work_until_released(r, 7);
  wb_sink_segment_status status;
  wb_sink_segment_status_read(r->sink, &status);
  cr_assert_eq(status.chunks_written, 3);
  cr_assert(push(r, 0));
  publish(r);
  cr_assert_eq(wb_sink_segment_close(r->sink, UINT64_C(60000000000), NULL, NULL), 0);
  cr_assert_eq(check(r, 8), 1);
  rig_close(r);
}

Test(sink_segment, a_gathering_sink_does_not_wait_when_the_ring_runs_full) {
  rig *r = rig_open(1, 1);
  r->config.linger_ns = UINT64_C(1) << 60;
  rig_start(r);
  while (r->number < 20000) { /* the clock stands still */
    for (int i = 0; i < 60; i++) cr_assert(push(r, 0));
    publish(r);
    while (r->number - released(r) >= FRAME_COUNT / 4)
      if (!wb_sink_segment_do_work(r->sink)) wb_sink_segment_idle(r->sink, 1000000);
  }
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, UINT64_C(60000000000), &status, NULL), 0);
  cr_assert_eq(status.frames_written, r->number);
  check(r, r->number);
  rig_close(r);
}

/* Random bursts on several lines through journals that wrap many times, segments of every size, each policy. */
static void random_run(unsigned lines, wb_sync sync, uint64_t rotate_bytes, uint32_t chunk_bytes, unsigned writes,
                       uint64_t frames) {
  rig *r = rig_open(lines, 2);
  r->config.reader = 1;
  r->config.sync = sync;
  r->config.sync_ns = 5000;
  r->config.rotate_bytes = rotate_bytes;
  r->config.chunk_bytes = chunk_bytes;
  r->config.direct_bytes = chunk_bytes < 1 << 20 ? 12000 : 0;
  r->config.writes = writes;
  rig_start(r);
  printf("seed %llu, %u lines, sync %d\n", (unsigned long long)seed_state, lines, (int)sync);
  uint64_t largest = 0;
  while (r->number < frames) {
    for (uint64_t burst = draw(40); burst && r->number < frames; burst--) push(r, (unsigned)draw(lines));
    if (draw(3)) publish(r);
    if (draw(2) && !wb_sink_segment_do_work(r->sink) && !draw(4)) wb_sink_segment_idle(r->sink, 100000);
    for (unsigned i = 0; i < lines; i++) /* the other reader keeps up */
      for (size_t count; wb_frames_peek(&r->frames[i], 0, 0, SIZE_MAX, &count);) wb_frames_release(&r->frames[i], 0, count);
    if (r->number - released(r) > largest) largest = r->number - released(r);
    fake_ns += 100;
  }
  publish(r);
  wb_sink_segment_status status;
  wb_error error = {0};
  cr_assert_eq(wb_sink_segment_close(r->sink, 10000000000, &status, &error), 0, "%s", error.detail);
  cr_assert_eq(status.frames_written, frames);
  cr_assert_eq(status.errors + status.frames_lost + status.frames_doubtful, 0);
  cr_assert_eq(released(r), frames);
  cr_assert(largest > 100);
  for (unsigned i = 0; i < lines; i++)
    cr_assert(r->frames[i].head > 2 * JOURNAL_BYTES && r->frames[i].published > 2 * FRAME_COUNT,
              "line %u: %zu bytes, %zu frames", i, (size_t)r->frames[i].head, (size_t)r->frames[i].published);
  size_t segments = check(r, frames);
  cr_assert_eq(segments, status.segments);
  if (rotate_bytes < 1 << 20) cr_assert(segments > 10, "%zu segments", segments);
  if (sync != WB_SYNC_NONE) cr_assert(status.syncs > 0);
  if (r->config.direct_bytes)
    cr_assert(status.chunks_direct > 10 && status.chunks_direct < status.chunks_written, "%zu of %zu chunks are direct",
              (size_t)status.chunks_direct, (size_t)status.chunks_written);
  rig_close(r);
}

Test(sink_segment, one_line_in_small_segments_reads_back_byte_for_byte) {
  random_run(1, WB_SYNC_NONE, 200000, 65536, 4, 30000);
}
Test(sink_segment, two_lines_read_back_in_the_order_of_arrival) { random_run(2, WB_SYNC_NONE, 300000, 16384, 4, 30000); }
Test(sink_segment, three_lines_with_interval_sync) { random_run(3, WB_SYNC_INTERVAL, 300000, 65536, 3, 30000); }
Test(sink_segment, two_lines_with_batch_sync) { random_run(2, WB_SYNC_BATCH, 1 << 30, 65536, 4, 20000); }
Test(sink_segment, one_write_at_a_time) { random_run(2, WB_SYNC_NONE, 1 << 30, 1 << 20, 1, 20000); }
Test(sink_segment, every_chunk_its_own_segment) { random_run(1, WB_SYNC_NONE, 1, 1 << 20, 16, 10000); }

Test(sink_segment, a_busy_line_does_not_starve_a_quiet_one) {
  rig *r = rig_open(2, 1);
  r->config.chunk_bytes = 4096;
  r->config.writes = 4;
  rig_start(r);
  cr_assert(push(r, 1));
  publish(r);
  wb_frames *quiet = &r->frames[1];
  for (uint64_t round = 0; r->number < 20000; round++) {
    while (push(r, 0)) {
    } /* always more than the pipeline holds */
    publish(r);
    uint64_t before = quiet->reader[0].released;
    uint64_t busy = r->frames[0].reader[0].released;
    while (quiet->reader[0].released == before) {
      if (!wb_sink_segment_do_work(r->sink)) wb_sink_segment_idle(r->sink, 1000000);
      cr_assert(r->frames[0].reader[0].released - busy < FRAME_COUNT);
      if (busy + FRAME_COUNT / 2 < r->frames[0].reader[0].released) push(r, 0), publish(r);
    }
    cr_assert(push(r, 1));
    publish(r);
  }
  cr_assert_eq(wb_sink_segment_close(r->sink, 10000000000, NULL, NULL), 0);
  check(r, r->number);
  rig_close(r);
}

static void *produce(void *self) {
  rig *r = self;
  while (r->number < 60000) {
    bool pushed = false;
    for (int burst = 0; burst < 16 && r->number < 60000; burst++) pushed |= push(r, (unsigned)(r->number * 7 / 5 % 2));
    publish(r);
    if (!pushed) sched_yield();
  }
  return NULL;
}

Test(sink_segment, a_writer_on_another_thread_is_read_back_byte_for_byte) {
  rig *r = rig_open(2, 1);
  r->config.rotate_bytes = 1 << 22;
  rig_start(r);
  pthread_t writer;
  cr_assert_eq(pthread_create(&writer, NULL, produce, r), 0);
  work_until_released(r, 60000);
  pthread_join(writer, NULL);
  cr_assert_eq(wb_sink_segment_close(r->sink, 10000000000, NULL, NULL), 0);
  cr_assert(check(r, 60000) > 1);
  rig_close(r);
}

Test(sink_segment, segments_end_at_the_hour) {
  rig *r = rig_open(1, 1);
  rig_start(r);
  uint64_t done = 0;
  for (int minute = 0; minute < 150; minute += 10) {
    cr_assert(push(r, 0));
    publish(r);
    work_until_released(r, ++done);
    fake_ns += UINT64_C(600) * 1000000000;
  }
  wb_sink_segment_status status;
  while (wb_sink_segment_do_work(r->sink)) {
  }
  wb_sink_segment_status_read(r->sink, &status);
  cr_assert_eq(status.segments, 3);
  fake_ns += UINT64_C(3600) * 1000000000; /* a silent feed's segment ends, too, and the next begins with the next frame */
  while (wb_sink_segment_do_work(r->sink)) {
  }
  wb_sink_segment_status_read(r->sink, &status);
  cr_assert_eq(status.state, WB_SINK_IDLE);
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(status.segments, 3);
  cr_assert_eq(check(r, done), 3);
  const char *hours[] = {"00", "01", "02"};
  for (int i = 0; i < 3; i++) {
    char path[200];
    snprintf(path, sizeof path, "%s/coinbase-exchange/2026-01-01/%s", r->dir, hours[i]);
    cr_assert_eq(access(path, F_OK), 0, "%s", path);
  }
  rig_close(r);
}

Test(sink_segment, a_clock_set_back_gives_no_second_file_of_a_name) {
  rig *r = rig_open(1, 1);
  r->config.rotate_bytes = 1;
  rig_start(r);
  for (uint64_t done = 0; done < 50;) {
    cr_assert(push(r, 0));
    publish(r);
    work_until_released(r, ++done); /* the clock stands still */
  }
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(status.segments, 50);
  r->number = 0; /* the next run of the node begins at the same time, with the same segment number */
  for (unsigned i = 0; i < 1; i++)
    cr_assert_eq(wb_frames_init(&r->frames[i], r->base[i], JOURNAL_BYTES, r->frame[i], FRAME_COUNT, 1), 0);
  rig_start(r);
  cr_assert(push(r, 0));
  publish(r);
  work_until_released(r, 1);
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  const char *path = r->dir;
  wb_log_reader_config config = {.path = &path, .path_count = 1};
  wb_log_reader *reader = wb_log_reader_open(&config, NULL);
  wb_log_record record;
  uint64_t frames = 0;
  unsigned run = 0;
  while (wb_log_reader_next(reader, &record)) frames++, run = record.run;
  cr_assert_eq(frames, 51);
  cr_assert_eq(run, 1);
  wb_log_reader_close(reader);
  rig_close(r);
}

Test(sink_segment, a_segment_being_written_reads_as_its_whole_prefix_without_damage) {
  rig *r = rig_open(2, 1);
  rig_start(r);
  for (uint64_t done = 0; done < 200;) {
    while (r->number < done + 20) cr_assert(push(r, (unsigned)draw(2)));
    publish(r);
    work_until_released(r, done += 20);
    cr_assert_eq(check(r, done), 1);
  }
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, NULL, NULL), 0);
  cr_assert_eq(check(r, 200), 1);
  rig_close(r);
}

/* A small file system, seen by this process only (in a chroot, whose root is no mount that could be made private, until it is unmounted). */
static bool small_disk(rig *r, const char *options) {
  if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS)) return false;
  mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
  return !mount("none", r->dir, "tmpfs", 0, options);
}

Test(sink_segment, a_full_disk_loses_nothing_that_the_ring_can_hold) {
  rig *r = rig_open(2, 1);
  if (!small_disk(r, "size=4m")) {
    cr_log_warn("cannot mount a small file system here; the fault test with a scripted ring covers the case");
    rig_close(r);
    cr_skip_test();
  }
  r->config.sync = WB_SYNC_INTERVAL;
  r->config.retry_ns = 1000;
  rig_start(r);
  char ballast[200];
  snprintf(ballast, sizeof ballast, "%s/ballast", r->dir);
  int fd = open(ballast, O_CREAT | O_WRONLY, 0600);
  cr_assert_eq(posix_fallocate(fd, 0, 3800 << 10), 0);
  close(fd);
  wb_sink_segment_status status = {0};
  while (status.state != WB_SINK_FAILING) {
    push(r, (unsigned)draw(2));
    publish(r);
    wb_sink_segment_do_work(r->sink);
    wb_sink_segment_status_read(r->sink, &status);
  }
  cr_assert_eq(status.os_errno, ENOSPC);
  while (status.errors < 5) { /* retries fail, nothing is released that was not written */
    push(r, (unsigned)draw(2));
    publish(r);
    fake_ns += 1000000000;
    if (!wb_sink_segment_do_work(r->sink)) wb_sink_segment_idle(r->sink, 100000);
    wb_sink_segment_status_read(r->sink, &status);
  }
  wb_sink_segment_status_read(r->sink, &status);
  cr_assert_eq(status.state, WB_SINK_FAILING);
  cr_assert_eq(status.frames_written, released(r));
  cr_assert(released(r) < r->number);
  cr_assert_eq(unlink(ballast), 0);
  while (released(r) < r->number) {
    fake_ns += 1000000000;
    if (!wb_sink_segment_do_work(r->sink)) wb_sink_segment_idle(r->sink, 1000000);
  }
  wb_sink_segment_status_read(r->sink, &status);
  cr_assert_eq(status.state, WB_SINK_WRITING);
  uint64_t frames = r->number;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(status.frames_written, frames);
  cr_assert_eq(status.frames_lost, 0);
  cr_assert(check(r, frames) >= 2);
  umount(r->dir);
  rig_close(r);
}

Test(sink_segment, closing_onto_a_full_disk_says_how_many_frames_are_lost) {
  rig *r = rig_open(1, 1);
  if (!small_disk(r, "size=100k")) {
    rig_close(r);
    cr_skip_test();
  }
  rig_start(r);
  while (push(r, 0)) {
  }
  publish(r);
  wb_sink_segment_status status = {0};
  while (status.state != WB_SINK_FAILING) { /* before it closes, whose time may be over before a first failure */
    if (!wb_sink_segment_do_work(r->sink)) wb_sink_segment_idle(r->sink, 1000000);
    wb_sink_segment_status_read(r->sink, &status);
  }
  wb_error error = {0};
  cr_assert_eq(wb_sink_segment_close(r->sink, 500000000, &status, &error), WB_E_SYSTEM);
  cr_assert_eq(error.os_errno, ENOSPC);
  cr_assert(status.frames_lost > 0);
  cr_assert_eq(status.frames_lost + status.frames_written, r->number);
  cr_assert_eq(status.frames_written, released(r));
  check(r, status.frames_written);
  umount(r->dir);
  rig_close(r);
}

static char segment_path[200];
static int find_segment(const char *path, const struct stat *about, int kind, struct FTW *where) {
  if (kind == FTW_F) snprintf(segment_path, sizeof segment_path, "%s", path);
  return 0;
}

static uint8_t *read_segment(const rig *r, size_t *count) {
  nftw(r->dir, find_segment, 16, FTW_PHYS);
  FILE *file = fopen(segment_path, "rb");
  cr_assert(file);
  uint8_t *bytes = malloc(1 << 22);
  *count = fread(bytes, 1, 1 << 22, file);
  cr_assert(*count < 1 << 22);
  fclose(file);
  return bytes;
}

/* Small chunks, then large ones, and so on: a few of each. */
static void mixed_chunks(rig *r, unsigned rounds) {
  for (unsigned round = 0; round < rounds; round++) {
    uint64_t end = r->frames[round % 2].head + (round % 3 ? 1 : 12500 + draw(20000));
    while (r->frames[round % 2].head < end) cr_assert(push(r, round % 2));
    publish(r);
    work_until_released(r, r->number);
  }
}

Test(sink_segment, large_chunks_lie_on_pages_of_the_file_as_they_do_in_the_journal) {
  rig *r = rig_open(2, 1);
  r->config.direct_bytes = 12000;
  rig_start(r);
  mixed_chunks(r, 60);
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(check(r, r->number), 1);
  size_t count;
  uint8_t *bytes = read_segment(r, &count);
  wb_segment_cursor cursor;
  wb_segment_info info;
  cr_assert_eq(wb_segment_open(&cursor, bytes, count, &info), 0);
  wb_chunk chunk;
  const uint8_t *frame, *data;
  uint64_t fillers = 0, large = 0, chunks = 0;
  for (; wb_segment_next(&cursor, true, &chunk, &frame, &data) == 1; chunks++) {
    uint64_t start = cursor.offset - chunk.chunk_bytes, end = start + chunk.data_offset + chunk.data_bytes;
    if (!chunk.frame_count) {
      fillers++;
      cr_assert_eq(cursor.offset % 4096, 0);
      cr_assert(chunk.chunk_bytes < 4096 + WB_CHUNK_HEADER_BYTES);
    } else if (chunk.data_bytes > 12000) {
      large++;
      cr_assert_eq(start % 4096, 0);
      cr_assert_eq(cursor.offset % 4096, 0);
      cr_assert_eq((start + chunk.data_offset) % 4096, chunk.first_position % 4096);
      cr_assert(chunk.chunk_bytes < 64 + chunk.frame_count * sizeof(wb_frame) + chunk.data_bytes + 3 * 4096);
    } else {
      cr_assert(cursor.offset - end < 8);
    }
    for (uint64_t at = end; at < cursor.offset; at++) cr_assert_eq(bytes[at], 0, "padding holds nothing");
  }
  cr_assert_eq(cursor.offset, count);
  cr_assert_eq(chunks, status.chunks_written);
  cr_assert(large >= 15 && fillers >= 10, "%zu large, %zu fillers", (size_t)large, (size_t)fillers);
  cr_assert_eq(large, status.chunks_direct);
  free(bytes);
  rig_close(r);
}

Test(sink_segment, a_segment_with_direct_chunks_cut_at_any_byte_reads_as_its_longest_prefix) {
  rig *r = rig_open(2, 1);
  r->config.direct_bytes = 12000;
  rig_start(r);
  mixed_chunks(r, 5);
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(status.chunks_direct, 2);
  size_t count;
  uint8_t *bytes = read_segment(r, &count);
  for (size_t cut = WB_SEGMENT_HEADER_BYTES, prefix = cut, next = 0; cut <= count; cut++) {
    wb_segment_cursor cursor;
    wb_segment_info info;
    wb_chunk chunk;
    const uint8_t *frame, *data;
    cr_assert_eq(wb_segment_open(&cursor, bytes, cut, &info), 0);
    int result;
    while ((result = wb_segment_next(&cursor, true, &chunk, &frame, &data)) == 1) {
    }
    if (!next && cut < count) {
      cr_assert_eq(wb_chunk_header_read(bytes + prefix, count - prefix, &chunk), 0);
      next = prefix + chunk.chunk_bytes;
    }
    if (cut == next) prefix = next, next = 0;
    cr_assert_eq(cursor.offset, prefix, "cut at %zu", cut);
    cr_assert_eq(result, cut == prefix ? 0 : WB_E_DAMAGED, "cut at %zu", cut);
  }
  free(bytes);
  rig_close(r);
}

Test(sink_segment, a_segment_being_written_directly_reads_as_its_whole_prefix) {
  rig *r = rig_open(2, 1);
  r->config.direct_bytes = 12000;
  rig_start(r);
  for (int i = 0; i < 40; i++) {
    mixed_chunks(r, 4);
    cr_assert_eq(check(r, r->number), 1);
  }
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, NULL, NULL), 0);
  check(r, r->number);
  rig_close(r);
}

Test(sink_segment, a_file_system_that_refuses_direct_writes_is_written_through_the_page_cache) {
  rig *r = rig_open(2, 1);
  if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) || mount("none", r->dir, "ramfs", 0, NULL)) {
    rig_close(r);
    cr_skip_test();
  }
  r->config.direct_bytes = 12000;
  rig_start(r);
  mixed_chunks(r, 30);
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(status.errors + status.chunks_direct + status.frames_lost, 0);
  check(r, r->number);
  umount(r->dir);
  rig_close(r);
}

Test(sink_segment, direct_writes_can_be_forbidden) {
  rig *r = rig_open(2, 1);
  r->config.direct_bytes = WB_SINK_DIRECT_NEVER;
  rig_start(r);
  mixed_chunks(r, 30);
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(status.chunks_direct, 0);
  check(r, r->number);
  rig_close(r);
}

/* ------------------------------------------------------------------------------------------------ a world that misbehaves */

static uint64_t frames_read(const char *dir, wb_log_totals *totals) {
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = &dir, .path_count = 1, .verify = true}, NULL);
  wb_log_record record;
  uint64_t frames = 0;
  while (wb_log_reader_next(reader, &record)) frames++;
  *totals = wb_log_reader_totals(reader);
  wb_log_reader_close(reader);
  return frames;
}

static void push_one(rig *r) {
  cr_assert(push(r, 0));
  publish(r);
  work_until_released(r, r->number);
}

Test(sink_segment, a_folder_that_vanishes_while_it_is_written_is_made_anew_and_what_was_in_it_is_counted) {
  rig *r = rig_open(1, 1);
  rig_start(r);
  for (unsigned i = 0; i < 10; i++) push_one(r);
  char path[100];
  snprintf(path, sizeof path, "%s/coinbase-exchange", r->dir);
  nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  fake_ns += UINT64_C(1000000000);
  while (wb_sink_segment_do_work(r->sink)) {
  }
  for (unsigned i = 0; i < 7; i++) push_one(r);
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert_eq(status.frames_lost, 10u, "named");
  cr_assert_eq(status.errors, 1u);
  wb_log_totals totals;
  cr_assert_eq(frames_read(r->dir, &totals), 7u);
  cr_assert_eq(totals.damages, 0u);
  rig_close(r);
}

Test(sink_segment, a_folder_that_vanishes_between_two_segments_is_made_anew_and_nothing_written_later_is_lost) {
  rig *r = rig_open(1, 1);
  rig_start(r);
  push_one(r);
  fake_ns += UINT64_C(3600000000000);
  while (wb_sink_segment_do_work(r->sink)) {
  }
  char path[100];
  snprintf(path, sizeof path, "%s/coinbase-exchange", r->dir);
  nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  for (unsigned i = 0; i < 5; i++) push_one(r);
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  wb_log_totals totals;
  cr_assert_eq(frames_read(r->dir, &totals), 5u);
  cr_assert_eq(status.frames_lost + status.errors, 0u);
  rig_close(r);
}

static char names[64][80];
static unsigned name_count;
static int take_name(const char *path, const struct stat *about, int kind, struct FTW *where) {
  if (kind == FTW_F && name_count < 64) snprintf(names[name_count++], sizeof *names, "%s", path + where->base);
  return 0;
}
static int by_text(const void *one, const void *other) { return strcmp(one, other); }

Test(sink_segment, a_clock_that_jumps_a_day_ahead_or_an_hour_back_starts_no_storm_and_names_stay_in_order) {
  rig *r = rig_open(1, 1);
  rig_start(r);
  static const int64_t jump_s[] = {0, -3600, 86400, -3600, 0, -90000, 3600};
  for (unsigned i = 0; i < 7; i++) {
    fake_offset_ns += jump_s[i] * INT64_C(1000000000);
    for (unsigned k = 0; k < 90; k++) {
      fake_ns += UINT64_C(60000000000);
      push_one(r);
    }
  }
  wb_sink_segment_status status;
  cr_assert_eq(wb_sink_segment_close(r->sink, 1000000000, &status, NULL), 0);
  cr_assert(status.segments >= 5 && status.segments <= 12 + 7, "%zu segments in ten hours and a half", (size_t)status.segments);
  name_count = 0;
  nftw(r->dir, take_name, 16, FTW_PHYS);
  cr_assert_eq(name_count, status.segments);
  qsort(names, name_count, sizeof *names, by_text);
  for (unsigned i = 0; i < name_count; i++) {
    char end[32];
    snprintf(end, sizeof end, "Z-%06u.wbseg", i);
    cr_assert(strstr(names[i], end), "%s is not number %u", names[i], i);
  }
  wb_log_totals totals;
  cr_assert_eq(frames_read(r->dir, &totals), r->number);
  cr_assert_eq(totals.damages + totals.gaps + totals.duplicates, 0u);
  rig_close(r);
}
