/* bench_sink.c - what it costs to store frames: the flusher against bare writes of the same bytes.
 *
 * What:    write/...: 1 MiB pwrites out of a memfd, into a new file: direct (O_DIRECT), the reference, and buffered. sink/...:
 *          the whole flusher (checksums, descriptors, chunks, release) over published frames of 160 and 1400 bytes, with direct
 *          writes and without, with chunks of other sizes and with more and fewer of them in flight. paced/...: a line that
 *          brings so many bytes a second, gathered or not: there the CPU is the figure, the time is given. zstd/...: up to 64
 *          MiB of segment, as a feed of single changes makes it, through zstd in memory: whole, as `zstd -b1` does, the reference,
 *          and in blocks of 1 MiB, as `zstd -b1 -B1048576` does. encode/...: the same by io/sink_zstd, which adds a checksum.
 *          archive/...: the whole way of such a file, read, compressed, synced, read back and compared, renamed, removed.
 * Clock:   from the first write until the file is synced, so that nothing is left to be paid for later.
 * CPU:     printed at the end of each case: CPU seconds of this process, with the kernel's threads that work for its io_uring,
 *          per GB of file. What kernel threads of nobody do for it (writing dirty pages out) is not in it.
 * Check:   all frames are released, in direct chunks or in none; the log reads back with right checksums, number and length of
 *          every frame (after a fixed share of the runs: it is read from the disk).
 * Where:   a folder of its own in $WIREBOOK_BENCH_DIR, or in /var/tmp; up to 256 MiB at once, removed after each run.
 * Read:    an item is 1 MiB of file. The disk's mood swings by the second: only ratios within a round mean something. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "bench/harness.h"
#include "io/archiver.h"
#include "io/host.h"
#include "io/log_reader.h"
#include "io/memory.h"
#include "io/sink_segment.h"
#include "io/sink_zstd.h"

enum { JOURNAL_BYTES = 1 << 26, FRAME_COUNT = 1 << 19, WRITE_BYTES = 1 << 20, READ_BACK_SHARE = 4 };

typedef enum { WRITE_DIRECT, WRITE_BUFFERED, SINK_DIRECT, SINK_BUFFERED } method;

typedef struct parameter {
  method method;
  uint32_t frame_bytes, chunk_bytes;
  unsigned writes;
  uint64_t bytes_per_second, linger_ns; /* 0: as fast as it goes */
} parameter;

typedef struct bench {
  const parameter *parameter;
  char name[80], dir[256];
  uint8_t *journal;
  wb_frame *descriptors;
  wb_uring *ring;
  wb_host host;
  uint64_t runs, frames, bytes, cpu_ns;
  wb_sink_segment_status status;
  const char *wrong;
} bench;

static uint64_t process_cpu_ns(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static uint64_t host_now(void *self) { return wb_clock_ns(); }
static int64_t host_offset(void *self) { return INT64_C(1767225600000000000); }
static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) { return remove(path); }

static void teardown(void *state) {
  bench *b = state;
  if (b->bytes)
    printf("%-44s %7.3f CPU seconds a GB, %5.2f %% more bytes than the journal's\n", b->name,
           (double)b->cpu_ns / (double)b->bytes,
           b->frames ? 100.0 * ((double)b->bytes / ((double)b->frames * b->parameter->frame_bytes) - 1) : 0);
  if (*b->dir) nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  wb_uring_close(b->ring);
  if (b->journal) wb_mirror_close(b->journal, JOURNAL_BYTES);
  free(b->descriptors);
  free(b);
}

static void *setup(const void *raw, bool smoke) {
  const parameter *p = raw;
  bench *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->parameter = p;
  static const char *names[] = {"write/direct", "write/buffered", "sink/direct", "sink/buffered"};
  if (p->bytes_per_second)
    snprintf(b->name, sizeof b->name, "%s %u B, %u MB/s, linger %d us", names[p->method], p->frame_bytes,
             (unsigned)(p->bytes_per_second / 1000000), (int)((p->linger_ns + 1) / 1000));
  else if (p->chunk_bytes)
    snprintf(b->name, sizeof b->name, "%s %u B, %u KiB", names[p->method], p->frame_bytes, p->chunk_bytes >> 10);
  else if (p->writes) snprintf(b->name, sizeof b->name, "%s %u B, %u writes", names[p->method], p->frame_bytes, p->writes);
  else snprintf(b->name, sizeof b->name, "%s %u B", names[p->method], p->frame_bytes);
  const char *where = getenv("WIREBOOK_BENCH_DIR");
  snprintf(b->dir, sizeof b->dir, "%s/wb_bench_sink_XXXXXX", where ? where : "/var/tmp");
  b->journal = wb_mirror_open(JOURNAL_BYTES, true, NULL);
  b->descriptors = calloc(FRAME_COUNT, sizeof *b->descriptors);
  b->ring = wb_uring_open(64, 0, NULL);
  b->host = (wb_host){.now_ns = host_now, .utc_offset_ns = host_offset};
  if (!mkdtemp(b->dir)) *b->dir = 0;
  if (!b->journal || !b->descriptors || !b->ring || !*b->dir) {
    teardown(b);
    return NULL;
  }
  uint64_t random = 1;
  for (size_t at = 0; at < JOURNAL_BYTES; at += 8) {
    random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    memcpy(b->journal + at, &random, 8);
  }
  return b;
}

static void write_bare(bench *b, uint64_t count) {
  char path[300];
  snprintf(path, sizeof path, "%s/bare", b->dir);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | (b->parameter->method == WRITE_DIRECT ? O_DIRECT : 0), 0600);
  if (fd < 0) {
    b->wrong = "cannot open a file like that here";
    return;
  }
  for (uint64_t i = 0; i < count && !b->wrong; i++)
    if (pwrite(fd, b->journal + i * WRITE_BYTES % JOURNAL_BYTES, WRITE_BYTES, (off_t)(i * WRITE_BYTES)) != WRITE_BYTES)
      b->wrong = "a write failed";
  if (fdatasync(fd)) b->wrong = "the sync failed";
  close(fd);
}

/* Publishes as a saturated line does: whenever there is room. The bytes of the journal are left as they are. */
static void write_sink(bench *b, uint64_t count) {
  const parameter *p = b->parameter;
  wb_frames frames, *line = &frames;
  wb_frames_init(&frames, b->journal, JOURNAL_BYTES, b->descriptors, FRAME_COUNT, 1);
  wb_sink_segment *sink =
      wb_sink_segment_open(&(wb_sink_segment_config){.dir = b->dir,
                                                     .feed = "bench",
                                                     .info = "{}",
                                                     .rotate_bytes = UINT64_MAX,
                                                     .chunk_bytes = p->chunk_bytes,
                                                     .writes = p->writes,
                                                     .linger_ns = p->linger_ns,
                                                     .direct_bytes = p->method == SINK_DIRECT ? 0 : WB_SINK_DIRECT_NEVER,
                                                     .line = &line,
                                                     .line_count = 1,
                                                     .ring = b->ring,
                                                     .host = &b->host},
                           NULL);
  if (!sink) {
    b->wrong = "the sink does not open";
    return;
  }
  wb_frame frame = {.bytes = p->frame_bytes, .connection = 1, .kind = WB_FRAME_TEXT};
  uint64_t end = count * WRITE_BYTES / p->frame_bytes;
  uint64_t begun_ns = wb_clock_ns();
  while (frame.number < end) {
    uint64_t due = end;
    frame.recv_ns = wb_clock_ns();
    if (p->bytes_per_second) due = (frame.recv_ns - begun_ns) * (p->bytes_per_second / 1000000) / 1000 / p->frame_bytes;
    if (due > end) due = end;
    size_t room = wb_frames_room(&frames, JOURNAL_BYTES / 4) / p->frame_bytes,
           slots = wb_frames_slots(&frames, FRAME_COUNT / 4);
    for (size_t n = room < slots ? room : slots; n && frame.number < due; n--) {
      frame.position = frames.head;
      wb_frames_advance(&frames, p->frame_bytes);
      wb_frames_push(&frames, &frame);
      frame.number++;
    }
    wb_frames_publish(&frames);
    if (!wb_sink_segment_do_work(sink)) wb_sink_segment_idle(sink, 1000000);
  }
  if (wb_sink_segment_close(sink, UINT64_C(60000000000), &b->status, NULL)) b->wrong = "the sink does not close well";
}

static void run(void *state, wb_bench_run *run) {
  bench *b = state;
  bool bare = b->parameter->method <= WRITE_BUFFERED;
  b->wrong = NULL;
  b->status = (wb_sink_segment_status){0};
  uint64_t cpu_ns = process_cpu_ns();
  if (bare) write_bare(b, run->iterations);
  else write_sink(b, run->iterations);
  b->cpu_ns += process_cpu_ns() - cpu_ns;
  run->bytes = bare ? run->iterations * WRITE_BYTES : b->status.bytes_written;
  run->items = run->bytes / WRITE_BYTES;
  b->bytes += run->bytes;
  b->frames += b->status.frames_written;
}

static const char *read_back(bench *b, uint64_t frames) {
  const char *path = b->dir;
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = &path, .path_count = 1, .verify = true}, NULL);
  if (!reader) return "the log cannot be read";
  wb_log_record record;
  uint64_t number = 0;
  for (; wb_log_reader_next(reader, &record); number++) {
    uint64_t position = record.frame.number * b->parameter->frame_bytes % JOURNAL_BYTES;
    if (record.frame.number != number || record.frame.bytes != b->parameter->frame_bytes ||
        memcmp(record.bytes, b->journal + position, record.frame.bytes) != 0)
      break;
  }
  wb_log_totals totals = wb_log_reader_totals(reader);
  wb_log_reader_close(reader);
  return number != frames || totals.damages || totals.gaps ? "the log is not what was published" : NULL;
}

static const char *check(void *state, const wb_bench_run *run) {
  bench *b = state;
  const parameter *p = b->parameter;
  const char *wrong = b->wrong;
  if (!wrong && p->method >= SINK_DIRECT) {
    uint64_t frames = run->iterations * WRITE_BYTES / p->frame_bytes;
    if (b->status.frames_written != frames) wrong = "not all frames were written";
    else if (p->method == SINK_BUFFERED && b->status.chunks_direct) wrong = "direct chunks where there should be none";
    else if (p->method == SINK_DIRECT && !p->bytes_per_second && run->iterations >= 64 &&
             b->status.chunks_direct * 2 < b->status.chunks_written)
      wrong = "chunks that should be direct are not: does the file system take direct writes?";
    else if (run->smoke || b->runs++ % READ_BACK_SHARE == 0) wrong = read_back(b, frames);
  }
  char path[300];
  snprintf(path, sizeof path, "%s/bare", b->dir);
  unlink(path);
  snprintf(path, sizeof path, "%s/bench", b->dir);
  nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return wrong;
}

/* ------------------------------------------------------------------------------------------------ compression */

enum { LOG_BYTES = 64 << 20, BLOCK = WB_ZSTD_BLOCK_BYTES };

typedef enum { ZSTD_WHOLE, ZSTD_BLOCKS, ENCODE, ARCHIVE } road;
typedef struct squeeze_parameter {
  road road;
  int level;
} squeeze_parameter;

typedef struct squeeze {
  squeeze_parameter parameter;
  char dir[200], name[120];
  uint8_t *log, *frame, *back;
  ZSTD_CCtx *context;
  wb_zstd_encoder *encoder;
  wb_host host;
  uint64_t in, out, cpu_ns;
  size_t last_block, last_frame;
  bool failed;
} squeeze;

/* Chunks of about a MiB: descriptors, then messages of one change with prices near each other, sizes of eight digits, and times. */
static void make_log(uint8_t *log) {
  enum { CHUNK_FRAMES = 6000 };
  uint64_t random = 7, number = 0, position = 0, ns = 0;
  for (size_t at = 0; at < LOG_BYTES;) {
    wb_frame frame[CHUNK_FRAMES];
    char text[CHUNK_FRAMES * 160];
    size_t used = 0;
    for (unsigned i = 0; i < CHUNK_FRAMES; i++) {
      random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
      unsigned draw = (unsigned)(random >> 33);
      ns += 20000 + draw % 200000;
      int bytes = sprintf(text + used + 4,
                          "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"%s\",\"%u.%02u\",\"%u.%08u\"]],"
                          "\"time\":\"2026-01-01T13:%02u:%02u.%06uZ\"}",
                          draw % 3 ? "BTC-USD" : "ETH-USD", draw & 8 ? "buy" : "sell", 37000 + draw / 16 % 1000,
                          draw / 32 % 100, draw / 64 % 3, (unsigned)(random >> 12) % 100000000,
                          (unsigned)(ns / 60000000000 % 60), (unsigned)(ns / 1000000000 % 60), (unsigned)(ns / 1000 % 1000000));
      memcpy(text + used, "\x81\x7e\0", 3);
      text[used + 3] = (char)bytes;
      frame[i] = (wb_frame){.position = position + used + 4,
                            .recv_ns = ns + 123456789,
                            .number = number++,
                            .bytes = (uint32_t)bytes,
                            .connection = 1,
                            .kind = WB_FRAME_TEXT};
      used += (size_t)bytes + 4;
    }
    position += used;
    uint8_t header[WB_CHUNK_HEADER_BYTES];
    wb_chunk_header_write(&(wb_chunk){.frame_count = CHUNK_FRAMES, .data_bytes = (uint32_t)used}, header);
    const struct {
      const void *bytes;
      size_t count;
    } parts[] = {{header, sizeof header}, {frame, sizeof frame}, {text, used}};
    for (unsigned i = 0; i < 3; i++) {
      size_t count = LOG_BYTES - at < parts[i].count ? LOG_BYTES - at : parts[i].count;
      memcpy(log + at, parts[i].bytes, count);
      at += count;
    }
  }
}

static void squeeze_teardown(void *state) {
  squeeze *s = state;
  if (s->out)
    printf("%-44s %7.3f CPU seconds a GB, ratio %.2f\n", s->name, (double)s->cpu_ns / (double)s->in,
           (double)s->in / (double)s->out);
  if (*s->dir) nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  ZSTD_freeCCtx(s->context);
  wb_zstd_encoder_close(s->encoder);
  free(s->log);
  free(s->frame);
  free(s->back);
  free(s);
}

static void *squeeze_setup(const void *raw, bool smoke) {
  squeeze *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->parameter = *(const squeeze_parameter *)raw;
  static const char *const names[] = {"zstd/whole", "zstd/1MiB", "encode", "archive"};
  snprintf(s->name, sizeof s->name, "%s, level %d", names[s->parameter.road], s->parameter.level);
  const char *where = getenv("WIREBOOK_BENCH_DIR");
  snprintf(s->dir, sizeof s->dir, "%s/wb_bench_zstd_XXXXXX", where ? where : "/var/tmp");
  s->log = malloc(LOG_BYTES);
  s->frame = malloc(ZSTD_compressBound(LOG_BYTES));
  s->back = malloc(LOG_BYTES);
  s->context = ZSTD_createCCtx();
  s->encoder = wb_zstd_encoder_open(s->parameter.level, NULL);
  wb_host_make(&s->host, NULL);
  s->host.log = NULL;
  if (!mkdtemp(s->dir)) *s->dir = 0;
  if (!s->log || !s->frame || !s->back || !s->context || !s->encoder || !*s->dir) {
    squeeze_teardown(s);
    return NULL;
  }
  make_log(s->log);
  return s;
}

static void archive_run(squeeze *s, uint64_t bytes, wb_bench_run *run) {
  char path[300];
  snprintf(path, sizeof path, "%s/log", s->dir);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/log/x.wbseg", s->dir);
  FILE *file = fopen(path, "we");
  for (uint64_t at = 0; file && at < bytes; at += BLOCK) fwrite(s->log + at % LOG_BYTES, 1, BLOCK, file);
  if (file && (fflush(file) || fsync(fileno(file)))) s->failed = true;
  if (file) fclose(file);
  wb_archiver *archiver = wb_archiver_open(
      &(wb_archiver_config){.dir = s->dir, .feed = "log", .level = s->parameter.level, .host = &s->host}, NULL);
  s->failed |= !file || !archiver;
  if (s->failed) return;
  uint64_t begun = wb_bench_now_ns(), cycles = wb_bench_cycles(), cpu_ns = process_cpu_ns();
  while (wb_archiver_do_work(archiver)) {
  }
  s->cpu_ns += process_cpu_ns() - cpu_ns;
  run->elapsed_ns = wb_bench_now_ns() - begun;
  run->cycles = wb_bench_cycles() - cycles;
  wb_archiver_status status;
  wb_archiver_status_read(archiver, &status);
  wb_archiver_close(archiver);
  s->failed = status.bytes_before != bytes;
  s->out += status.bytes_after;
}

static void squeeze_run(void *state, wb_bench_run *run) {
  squeeze *s = state;
  run->bytes = run->iterations * BLOCK;
  run->items = run->bytes / WRITE_BYTES;
  s->in += run->bytes;
  if (s->parameter.road == ARCHIVE) {
    archive_run(s, run->bytes, run);
    return;
  }
  uint64_t cpu_ns = process_cpu_ns();
  size_t block = s->parameter.road == ENCODE ? BLOCK : s->parameter.road == ZSTD_BLOCKS ? WRITE_BYTES : run->bytes;
  const uint8_t *frame = s->frame;
  for (uint64_t at = 0; at < run->bytes; at += block) {
    s->last_frame = s->parameter.road == ENCODE ? wb_zstd_encode(s->encoder, s->log + at, block, &frame)
                                                : ZSTD_compressCCtx(s->context, s->frame, ZSTD_compressBound(block),
                                                                    s->log + at, block, s->parameter.level);
    s->out += s->last_frame;
    s->last_block = at;
  }
  s->cpu_ns += process_cpu_ns() - cpu_ns;
  if (frame != s->frame) memcpy(s->frame, frame, s->last_frame);
}

static const char *squeeze_check(void *state, const wb_bench_run *run) {
  squeeze *s = state;
  if (s->failed) return "the segment was not compressed";
  if (s->parameter.road != ARCHIVE) {
    size_t got = ZSTD_decompress(s->back, LOG_BYTES, s->frame, s->last_frame);
    return got == run->bytes - s->last_block && !memcmp(s->back, s->log + s->last_block, got)
               ? NULL
               : "a frame is not what it was made from";
  }
  char path[300];
  snprintf(path, sizeof path, "%s/log/x.wbseg.zst", s->dir);
  bool right = wb_zstd_content_bytes(path) == run->bytes;
  unlink(path);
  return right ? NULL : "the compressed segment is not as long as it was";
}

#define SQUEEZE(label, base, ...)                                                                                              \
  {                                                                                                                            \
    label, base, &(squeeze_parameter){__VA_ARGS__}, 1, LOG_BYTES / BLOCK, squeeze_setup, squeeze_run, squeeze_check,           \
        squeeze_teardown                                                                                                       \
  }
#define CASE(label, base, ...)                                                                                                 \
  { label, base, &(parameter){__VA_ARGS__}, 2, 256, setup, run, check, teardown }

int main(int argc, char **argv) {
  const wb_bench_case cases[] = {
      CASE("write/direct", NULL, WRITE_DIRECT, 0, 0, 0, 0, 0),
      CASE("write/buffered", "write/direct", WRITE_BUFFERED, 0, 0, 0, 0, 0),
      CASE("sink/160/direct", "write/direct", SINK_DIRECT, 160, 0, 0, 0, 0),
      CASE("sink/160/buffered", "write/direct", SINK_BUFFERED, 160, 0, 0, 0, 0),
      CASE("sink/1400/direct", "write/direct", SINK_DIRECT, 1400, 0, 0, 0, 0),
      CASE("sink/1400/buffered", "write/direct", SINK_BUFFERED, 1400, 0, 0, 0, 0),
      CASE("sink/1400/direct/chunk:256K", "write/direct", SINK_DIRECT, 1400, 1 << 18, 4, 0, 0),
      CASE("sink/1400/direct/chunk:1M", "write/direct", SINK_DIRECT, 1400, 1 << 20, 4, 0, 0),
      CASE("sink/1400/direct/chunk:4M", "write/direct", SINK_DIRECT, 1400, 1 << 22, 4, 0, 0),
      CASE("sink/1400/direct/writes:2", "write/direct", SINK_DIRECT, 1400, 0, 2, 0, 0),
      CASE("sink/1400/direct/writes:8", "write/direct", SINK_DIRECT, 1400, 0, 8, 0, 0),
      CASE("sink/1400/buffered/chunk:256K", "write/direct", SINK_BUFFERED, 1400, 1 << 18, 4, 0, 0),
      CASE("paced/100MB/linger:0", NULL, SINK_DIRECT, 160, 0, 0, 100000000, WB_SINK_LINGER_NEVER),
      CASE("paced/100MB/linger:1ms", "paced/100MB/linger:0", SINK_DIRECT, 160, 0, 0, 100000000, 1000000),
      CASE("paced/100MB/linger:5ms", "paced/100MB/linger:0", SINK_DIRECT, 160, 0, 0, 100000000, 5000000),
      CASE("paced/400MB/linger:0", NULL, SINK_DIRECT, 160, 0, 0, 400000000, WB_SINK_LINGER_NEVER),
      CASE("paced/400MB/linger:1ms", "paced/400MB/linger:0", SINK_DIRECT, 160, 0, 0, 400000000, 1000000),
      CASE("paced/400MB/linger:5ms", "paced/400MB/linger:0", SINK_DIRECT, 160, 0, 0, 400000000, 5000000),
      SQUEEZE("zstd/whole", NULL, ZSTD_WHOLE, 1),
      SQUEEZE("zstd/1MiB", "zstd/whole", ZSTD_BLOCKS, 1),
      SQUEEZE("encode", "zstd/whole", ENCODE, 1),
      SQUEEZE("archive", "zstd/whole", ARCHIVE, 1),
      SQUEEZE("zstd/whole/level:3", "zstd/whole", ZSTD_WHOLE, 3),
      SQUEEZE("encode/level:3", "zstd/whole/level:3", ENCODE, 3),
  };
  return wb_bench_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
