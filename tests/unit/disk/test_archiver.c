#include "io/archiver.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "io/host.h"
#include "io/log_index.h"
#include "io/sink_zstd.h"

enum { FRAMES = 4300, LINE = 1000 };
#define FEED "feed"
#define INFO "{\"feed\":\"coinbase-exchange\"}"
#define HOUR FEED "/2026-01-01/13"
static const int64_t START_UTC_NS = INT64_C(1767272400000000000); /* 2026-01-01T13:00:00 */
static const uint64_t SECOND = UINT64_C(1000000000), MINUTE = UINT64_C(60000000000);

static uint64_t fake_ns;
static char said[65536];
static uint64_t clock_now(void *self) { return fake_ns; }
static int64_t clock_offset(void *self) { return START_UTC_NS; }
static void log_put(void *self, int level, const char *text) {
  size_t used = strlen(said);
  snprintf(said + used, sizeof said - used, "%d %s\n", level, text);
}
static const wb_host host = {.now_ns = clock_now, .utc_offset_ns = clock_offset, .log = log_put};

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) { return remove(path); }
static char dir[64], hooked[128], command[256];
static void make_dir(void) {
  char path[200];
  snprintf(dir, sizeof dir, "/tmp/wb_archiver_XXXXXX");
  cr_assert(mkdtemp(dir));
  static const char *const folders[] = {FEED, FEED "/2026-01-01", HOUR};
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, folders[i]);
    cr_assert_eq(mkdir(path, 0700), 0);
  }
  snprintf(hooked, sizeof hooked, "%s/hooked", dir);
  snprintf(command, sizeof command, "sh -c 'echo \"$2\" >> \"$1\"' sh %s {}", hooked);
  fake_ns = 3600 * SECOND; /* 14:00: all of the segments' hour is over */
  *said = 0;
}
static void drop_dir(void) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }
static void fresh_dir(void) {
  drop_dir();
  make_dir();
}

/* ------------------------------------------------------------------------------------------------ segments */

static const char *path_of(unsigned segment, const char *suffix) {
  static char path[4][256];
  static unsigned turn;
  char *text = path[turn++ % 4];
  snprintf(text, sizeof path[0], "%s/" HOUR "/20260101T13%02u00.000000000Z-%06u.wbseg%s", dir, segment, segment, suffix);
  return text;
}

static bool there(unsigned segment, const char *suffix) { return access(path_of(segment, suffix), F_OK) == 0; }
static uint64_t size_of(unsigned segment, const char *suffix) {
  struct stat about;
  return stat(path_of(segment, suffix), &about) ? 0 : (uint64_t)about.st_size;
}

static void put_file(const char *path, const void *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  cr_assert(file, "%s", path);
  cr_assert_eq(fwrite(bytes, 1, count, file), count);
  fclose(file);
}

/* One chunk of FRAMES frames: 4.4 MB, two blocks. Written at the start plus its minute. */
static void put_segment(unsigned segment) {
  static uint8_t bytes[WB_SEGMENT_HEADER_BYTES + WB_CHUNK_HEADER_BYTES + FRAMES * (sizeof(wb_frame) + LINE)];
  static wb_frame frame[FRAMES];
  uint64_t from = (uint64_t)segment * FRAMES;
  wb_segment_info info = {
      .segment = segment, .created_utc_ns = 1000 + segment, .node = {7}, .first_number = from, .text = INFO};
  cr_assert_eq(wb_segment_header_write(&info, bytes), 0);
  uint8_t *at = bytes + WB_SEGMENT_HEADER_BYTES, *data = at + WB_CHUNK_HEADER_BYTES + sizeof frame;
  uint64_t random = from + 1;
  for (unsigned i = 0; i < FRAMES; i++) {
    frame[i] =
        (wb_frame){.position = (uint64_t)i * LINE, .number = from + i, .bytes = LINE, .connection = 1, .kind = WB_FRAME_TEXT};
    random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    char text[LINE + 1];
    snprintf(text, sizeof text, "%-*llu %*llu", LINE - 40, (unsigned long long)(from + i), 39, (unsigned long long)random);
    memcpy(data + (size_t)i * LINE, text, LINE);
  }
  memcpy(at + WB_CHUNK_HEADER_BYTES, frame, sizeof frame);
  wb_chunk chunk = {.chunk_bytes = (uint32_t)(sizeof bytes - WB_SEGMENT_HEADER_BYTES),
                    .frame_count = FRAMES,
                    .data_offset = WB_CHUNK_HEADER_BYTES + sizeof frame,
                    .data_bytes = FRAMES * LINE,
                    .body_crc = wb_crc32c(wb_crc32c(0, frame, sizeof frame), data, FRAMES * LINE)};
  wb_chunk_header_write(&chunk, at);
  put_file(path_of(segment, ""), bytes, sizeof bytes);
  int64_t utc_ns = START_UTC_NS + (int64_t)(segment * MINUTE);
  struct timespec times[2] = {{.tv_sec = utc_ns / 1000000000}, {.tv_sec = utc_ns / 1000000000}};
  cr_assert_eq(utimensat(AT_FDCWD, path_of(segment, ""), times, 0), 0);
}

static int held(unsigned segment) {
  int fd = open(path_of(segment, ""), O_RDWR | O_CLOEXEC);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
  return fd;
}

/* The log holds frames from..to-1, each once and unharmed. */
static void expect_log(uint64_t from, uint64_t to) {
  char path[128];
  snprintf(path, sizeof path, "%s/" FEED, dir);
  const char *paths = path;
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = &paths, .path_count = 1, .verify = true}, NULL);
  cr_assert(reader);
  wb_log_record record;
  uint64_t n = from;
  for (; wb_log_reader_next(reader, &record); n++) {
    cr_assert_eq(record.frame.number, n);
    cr_assert_eq(strtoull((const char *)record.bytes, NULL, 10), n);
  }
  wb_log_totals totals = wb_log_reader_totals(reader);
  cr_assert_eq(n, to);
  cr_assert_eq(totals.damages + totals.gaps + totals.duplicates, 0);
  wb_log_reader_close(reader);
}

/* How often the command was run for a segment. */
static unsigned times_hooked(unsigned segment) {
  char line[512], name[64];
  unsigned times = 0;
  snprintf(name, sizeof name, "-%06u.wbseg", segment);
  FILE *file = fopen(hooked, "r");
  while (file && fgets(line, sizeof line, file)) times += strstr(line, name) != NULL;
  if (file) fclose(file);
  return times;
}

/* ------------------------------------------------------------------------------------------------ running it */

static wb_archiver_config config_of(void) { return (wb_archiver_config){.dir = dir, .feed = FEED, .host = &host}; }

static wb_archiver *begin(const wb_archiver_config *config) {
  wb_error error = {0};
  wb_archiver *archiver = wb_archiver_open(config, &error);
  cr_assert(archiver, "%s", error.detail);
  return archiver;
}

static unsigned settle(wb_archiver *archiver) {
  unsigned steps = 0;
  for (;;) {
    if (wb_archiver_do_work(archiver)) steps++;
    else if (wb_archiver_hook_running(archiver)) sched_yield();
    else return steps;
  }
}

static wb_archiver_status status_of(const wb_archiver *archiver) {
  wb_archiver_status status;
  wb_archiver_status_read(archiver, &status);
  return status;
}

static wb_archiver_status all_of(const wb_archiver_config *config) {
  wb_archiver *archiver = begin(config);
  settle(archiver);
  wb_archiver_status status = status_of(archiver);
  wb_archiver_close(archiver);
  return status;
}

TestSuite(archiver, .init = make_dir, .fini = drop_dir);

Test(archiver, open_refuses_what_cannot_work) {
  wb_archiver_config bad[5];
  int codes[] = {WB_E_INVALID, WB_E_INVALID, WB_E_SYSTEM, WB_E_CONFIG, WB_E_LIMIT};
  for (int i = 0; i < 5; i++) bad[i] = config_of();
  bad[0].dir = NULL;
  bad[1].host = NULL;
  bad[2].feed = "nothing";
  bad[3].command = "'";
  bad[4].level = 20;
  for (int i = 0; i < 5; i++) {
    wb_error error = {0};
    cr_assert_null(wb_archiver_open(&bad[i], &error), "case %d", i);
    cr_assert_eq(error.code, codes[i], "case %d: %s", i, error.detail);
  }
}

Test(archiver, sealed_segments_are_compressed_and_the_one_being_written_is_not) {
  for (unsigned i = 0; i < 3; i++) put_segment(i);
  cr_assert_eq(chmod(path_of(0, ""), 0640), 0);
  uint64_t before = size_of(0, "") + size_of(1, "");
  int fd = held(2);
  wb_archiver_config config = config_of();
  config.level = 1;
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  cr_assert(there(0, ".zst") && there(1, ".zst") && there(2, ""));
  cr_assert(!there(0, "") && !there(1, "") && !there(2, ".zst") && !there(2, ".zst.tmp"));
  struct stat about;
  cr_assert_eq(stat(path_of(0, ".zst"), &about), 0);
  cr_assert_eq(about.st_mode & 07777, 0640);
  cr_assert_eq(about.st_mtim.tv_sec, START_UTC_NS / 1000000000);
  wb_archiver_status status = status_of(archiver);
  cr_assert_eq(status.compressed, 2);
  cr_assert_eq(status.bytes_before, before);
  cr_assert_eq(status.bytes_after, size_of(0, ".zst") + size_of(1, ".zst"));
  cr_assert_lt(status.bytes_after, before / 3);
  cr_assert_eq(status.waiting + status.failures + status.deleted + status.hooks, 0);
  expect_log(0, 3 * FRAMES);
  close(fd);
  cr_assert_eq(wb_archiver_do_work(archiver), 0, "not looked at before it is time");
  fake_ns += SECOND;
  settle(archiver);
  cr_assert(there(2, ".zst") && !there(2, ""));
  cr_assert_eq(status_of(archiver).compressed, 3);
  wb_archiver_close(archiver);
  expect_log(0, 3 * FRAMES);
}

Test(archiver, a_file_that_was_just_made_is_left_alone_and_one_without_a_header_later) {
  put_file(path_of(0, ""), "", 0);
  put_file(path_of(1, ""), "wirebook", 8);
  struct timespec times[2] = {{.tv_sec = START_UTC_NS / 1000000000 + 3600}, {.tv_sec = START_UTC_NS / 1000000000 + 3600}};
  for (unsigned i = 0; i < 2; i++) utimensat(AT_FDCWD, path_of(i, ""), times, 0);
  wb_archiver_config config = config_of();
  config.level = 1;
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  cr_assert(there(0, "") && there(1, ""));
  fake_ns += 61 * SECOND;
  settle(archiver);
  cr_assert(there(0, "") && there(1, ".zst") && !there(1, ""), "what is empty cannot be smaller");
  wb_archiver_close(archiver);
}

Test(archiver, foreign_files_links_and_folders_are_not_touched) {
  char path[200], link[256];
  snprintf(path, sizeof path, "%s/" FEED "/notes.txt", dir);
  put_file(path, "x", 1);
  put_segment(1);
  snprintf(path, sizeof path, "%s/kept", dir);
  cr_assert_eq(rename(path_of(1, ""), path), 0);
  snprintf(link, sizeof link, "%s", path_of(2, ""));
  cr_assert_eq(symlink(path, link), 0);
  cr_assert_eq(mkdir(path_of(3, ""), 0700), 0);
  wb_archiver_config config = config_of();
  config.level = 1;
  config.retain_ns = 1;
  wb_archiver_status status = all_of(&config);
  cr_assert_eq(status.compressed + status.deleted, 0);
  cr_assert(there(2, "") && there(3, ""));
  cr_assert_eq(access(path, F_OK), 0);
}

/* ------------------------------------------------------------------------------------------------ killed at any step */

/* A child does so many steps and is gone: nothing is cleaned up. True if it had come to the end before. */
static bool killed_after(const wb_archiver_config *config, unsigned steps) {
  pid_t pid = fork();
  cr_assert_geq(pid, 0);
  if (!pid) {
    wb_archiver *archiver = wb_archiver_open(config, NULL);
    if (!archiver) _exit(2);
    for (unsigned i = 0; i < steps;) {
      if (wb_archiver_do_work(archiver)) i++;
      else if (!wb_archiver_hook_running(archiver)) _exit(1);
      else sched_yield();
    }
    raise(SIGKILL);
  }
  int status;
  cr_assert_eq(waitpid(pid, &status, 0), pid);
  cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 1);
  return WIFEXITED(status);
}

Test(archiver, killed_at_any_step_it_loses_nothing_and_ends_the_same_after_the_next_start, .timeout = 120) {
  wb_archiver_config config = config_of();
  config.level = 1;
  bool ended = false;
  unsigned steps = 0, states = 0;
  for (; !ended; steps++) {
    fresh_dir();
    config.command = command;
    for (unsigned i = 0; i < 2; i++) put_segment(i);
    ended = killed_after(&config, steps);
    states |= 1u << (there(0, "") + 2 * there(0, ".zst") + 4 * there(0, ".zst.tmp"));
    expect_log(0, 2 * FRAMES);
    if (steps % 2) killed_after(&config, steps / 2); /* and once more on the way back */
    expect_log(0, 2 * FRAMES);
    wb_archiver_status status = all_of(&config);
    cr_assert_eq(status.failures + status.hook_failures + status.deleted + status.waiting, 0, "step %u", steps);
    for (unsigned i = 0; i < 2; i++) {
      cr_assert(there(i, ".zst") && !there(i, "") && !there(i, ".zst.tmp"), "step %u", steps);
      cr_assert_geq(times_hooked(i), 1, "step %u", steps);
    }
    expect_log(0, 2 * FRAMES);
  }
  cr_assert_gt(steps, 16);
  cr_assert_eq(states, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 5, "plain alone, compressed alone, both, plain with a .tmp: %x",
               states);
  for (unsigned i = 0; i < 2; i++) cr_assert_eq(times_hooked(i), 1, "not killed, run once");
}

Test(archiver, whatever_a_crash_left_behind_the_log_stays_whole) {
  static uint8_t good[4 << 20], other[4 << 20];
  wb_archiver_config config = config_of();
  config.level = 1;
  put_segment(0);
  put_segment(1);
  all_of(&config);
  size_t good_bytes = size_of(0, ".zst"), other_bytes = size_of(1, ".zst");
  FILE *file = fopen(path_of(0, ".zst"), "rb");
  cr_assert_eq(fread(good, 1, sizeof good, file), good_bytes);
  fclose(file);
  file = fopen(path_of(1, ".zst"), "rb");
  cr_assert_eq(fread(other, 1, sizeof other, file), other_bytes);
  fclose(file);
  struct {
    const char *suffix;
    const uint8_t *bytes;
    size_t count;
    bool redone;
  } left[] = {{".zst.tmp", good, 0, true},
              {".zst.tmp", good, good_bytes / 2, true},
              {".zst.tmp", good, good_bytes, true},
              {".zst", good, good_bytes, false},
              {".zst", good, 0, true},
              {".zst", good, 100, true},
              {".zst", good, good_bytes - 1, true},
              {".zst", other, other_bytes, true},
              {".zst", (uint8_t *)"garbage", 7, true}};
  for (unsigned level = 0; level < 2; level++)
    for (unsigned i = 0; i < sizeof left / sizeof *left; i++) {
      fresh_dir();
      put_segment(0);
      put_file(path_of(0, left[i].suffix), left[i].bytes, left[i].count);
      config.level = (int)level;
      expect_log(0, FRAMES);
      wb_archiver_status status = all_of(&config);
      bool tmp = i < 3, zst = level || !left[i].redone;
      cr_assert_eq(there(0, ".zst"), zst, "case %u, level %u", i, level);
      cr_assert_eq(there(0, ""), !zst, "case %u, level %u", i, level);
      cr_assert(!there(0, ".zst.tmp"));
      cr_assert_eq(strstr(said, "is not the same as") != NULL, left[i].redone && !tmp, "case %u: %s", i, said);
      cr_assert_eq(status.failures, 0);
      expect_log(0, FRAMES);
    }
}

Test(archiver, what_cannot_be_written_is_tried_again_later_and_the_segment_stays) {
  put_segment(0);
  wb_archiver_config config = config_of();
  config.level = 1;
  cr_assert_eq(mkdir(path_of(0, ".zst"), 0700), 0); /* the rename fails */
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  cr_assert_eq(status_of(archiver).failures, 1);
  cr_assert_eq(status_of(archiver).waiting, 1);
  cr_assert(there(0, "") && !there(0, ".zst.tmp"));
  settle(archiver);
  cr_assert_eq(status_of(archiver).failures, 1, "not at once");
  fake_ns += SECOND;
  settle(archiver);
  cr_assert_eq(status_of(archiver).failures, 2);
  fake_ns += SECOND;
  settle(archiver);
  cr_assert_eq(status_of(archiver).failures, 2, "the pause doubles");
  rmdir(path_of(0, ".zst"));
  fake_ns += SECOND;
  settle(archiver);
  cr_assert_eq(status_of(archiver).compressed, 1);
  cr_assert(there(0, ".zst") && !there(0, ""));
  wb_archiver_close(archiver);
  expect_log(0, FRAMES);
}

/* ------------------------------------------------------------------------------------------------ command */

Test(archiver, the_command_gets_each_final_form_once_oldest_first_over_restarts) {
  for (unsigned i = 0; i < 4; i++) put_segment(i);
  wb_archiver_config config = config_of();
  config.level = 1;
  config.command = command;
  int fd = held(3);
  for (unsigned restart = 0; restart < 3; restart++) {
    wb_archiver_status status = all_of(&config);
    cr_assert_eq(status.hooks, restart ? 0 : 3);
  }
  close(fd);
  config.level = 0;
  cr_assert_eq(all_of(&config).hooks, 1);
  char line[512];
  FILE *file = fopen(hooked, "r");
  for (unsigned i = 0; i < 4; i++) {
    char expected[300];
    snprintf(expected, sizeof expected, "%s\n", path_of(i, i < 3 ? ".zst" : ""));
    cr_assert(fgets(line, sizeof line, file));
    cr_assert_str_eq(line, expected);
  }
  cr_assert_null(fgets(line, sizeof line, file));
  fclose(file);
  config.level = 1; /* a later change of form is no new segment */
  cr_assert_eq(all_of(&config).hooks, 0);
  cr_assert(there(3, ".zst"));
}

Test(archiver, a_failing_command_is_tried_again_with_growing_pauses_while_others_go_on) {
  for (unsigned i = 0; i < 2; i++) put_segment(i);
  char fails[600], gate[160];
  snprintf(gate, sizeof gate, "%s/gate", dir);
  snprintf(fails, sizeof fails,
           "sh -c 'case $2 in *000000.wbseg) test -e %s || { echo not now; exit 5; };; esac; echo $2 >> $1' sh %s {}", gate,
           hooked);
  wb_archiver_config config = config_of();
  config.command = fails;
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  cr_assert_eq(times_hooked(0), 0);
  cr_assert_eq(times_hooked(1), 1);
  cr_assert(strstr(said, "exit code 5: not now"), "%s", said);
  uint64_t failures = 1;
  cr_assert_eq(status_of(archiver).hook_failures, failures);
  for (uint64_t pause = 1; pause < 1000; pause = pause < 150 ? 2 * pause : pause < 300 ? 300 : 1000) {
    fake_ns += (pause - 1) * SECOND;
    settle(archiver);
    cr_assert_eq(status_of(archiver).hook_failures, failures, "pause %u", (unsigned)pause);
    fake_ns += SECOND;
    settle(archiver);
    cr_assert_eq(status_of(archiver).hook_failures, ++failures, "pause %u", (unsigned)pause);
  }
  cr_assert_eq(status_of(archiver).waiting, 1);
  put_file(gate, "", 0);
  fake_ns += 300 * SECOND;
  settle(archiver);
  cr_assert_eq(times_hooked(0), 1);
  cr_assert_eq(status_of(archiver).hooks, 2);
  cr_assert_eq(status_of(archiver).waiting, 0);
  wb_archiver_close(archiver);
}

Test(archiver, a_command_that_moves_the_file_away_leaves_no_empty_folders) {
  for (unsigned i = 0; i < 3; i++) put_segment(i);
  char moves[200], path[200];
  snprintf(moves, sizeof moves, "mv {} %s", dir);
  wb_archiver_config config = config_of();
  config.level = 1;
  config.command = moves;
  wb_archiver_status status = all_of(&config);
  cr_assert_eq(status.hooks, 3);
  cr_assert_eq(status.waiting + status.deleted + status.hook_failures, 0);
  snprintf(path, sizeof path, "%s/" HOUR, dir);
  cr_assert_neq(access(path, F_OK), 0);
  snprintf(path, sizeof path, "%s/20260101T130100.000000000Z-000001.wbseg.zst", dir);
  cr_assert_eq(access(path, F_OK), 0);
}

Test(archiver, folders_into_which_segments_go_now_stay) {
  put_segment(0);
  fake_ns = 60 * SECOND; /* 13:01 */
  wb_archiver_config config = config_of();
  config.retain_ns = 1;
  cr_assert_eq(all_of(&config).deleted, 1);
  char path[200];
  snprintf(path, sizeof path, "%s/" HOUR, dir);
  cr_assert_eq(access(path, F_OK), 0);
}

/* ------------------------------------------------------------------------------------------------ retention */

static const char *index_of(unsigned segment) {
  static char path[256];
  cr_assert_eq(wb_log_index_path(path_of(segment, ""), path, sizeof path), 0);
  return path;
}

Test(archiver, each_final_form_gets_an_index_before_its_command_and_a_right_one_is_left_alone) {
  wb_archiver_config config = config_of();
  char look[256];
  snprintf(look, sizeof look, "sh -c 'ls \"${2%%.wbseg*}.wbidx\" >> \"$1\"' sh %s {}", hooked);
  config.index = true;
  config.command = look;
  for (unsigned i = 0; i < 3; i++) put_segment(i);
  wb_archiver_status status = all_of(&config);
  cr_assert_eq(status.indexed, 3u);
  cr_assert_eq(status.hooks, 3u);
  cr_assert_eq(status.index_failures + status.hook_failures + status.waiting, 0u);
  for (unsigned i = 0; i < 3; i++) cr_assert(wb_log_index_is_right(path_of(i, "")));
  config.level = 1; /* what was an index of the plain form is one no more */
  status = all_of(&config);
  cr_assert_eq(status.indexed, 3u);
  for (unsigned i = 0; i < 3; i++) cr_assert(wb_log_index_is_right(path_of(i, ".zst")));
  cr_assert_eq(all_of(&config).indexed, 0u);
  expect_log(0, 3 * FRAMES);
}

Test(archiver, a_segment_that_cannot_be_indexed_goes_on_without) {
  wb_archiver_config config = config_of();
  config.index = true;
  config.command = command;
  put_segment(0);
  FILE *file = fopen(path_of(1, ""), "wb"); /* no header in it, and old */
  fclose(file);
  struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
  cr_assert_eq(utimensat(AT_FDCWD, path_of(1, ""), times, 0), 0);
  wb_archiver_status status = all_of(&config);
  cr_assert_eq(status.index_failures, 1u);
  cr_assert_eq(status.indexed, 1u);
  cr_assert_eq(status.hooks, 2u);
  cr_assert(strstr(said, "no index of"));
}

Test(archiver, an_index_goes_with_its_segment_whoever_takes_that) {
  wb_archiver_config config = config_of();
  config.index = true;
  config.command = "sh -c 'rm \"$1\"' sh {}";
  for (unsigned i = 0; i < 2; i++) put_segment(i);
  all_of(&config);
  cr_assert(!there(0, "") && access(index_of(0), F_OK) && access(index_of(1), F_OK));
  config.command = NULL;
  config.retain_ns = MINUTE;
  make_dir();
  put_segment(0);
  fake_ns = 0; /* young */
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  cr_assert_eq(access(index_of(0), F_OK), 0);
  fake_ns += 2 * MINUTE;
  settle(archiver);
  cr_assert(!there(0, "") && access(index_of(0), F_OK));
  wb_archiver_close(archiver);
}

Test(archiver, killed_at_any_step_of_indexing_it_loses_nothing_and_the_index_is_there_after_the_next_start, .timeout = 120) {
  wb_archiver_config config = config_of();
  config.index = true;
  bool ended = false;
  unsigned steps = 0;
  for (; !ended; steps++) {
    fresh_dir();
    put_segment(0);
    ended = killed_after(&config, steps);
    expect_log(0, FRAMES);
    cr_assert_eq(all_of(&config).waiting, 0u);
    cr_assert(wb_log_index_is_right(path_of(0, "")), "step %u", steps);
  }
  cr_assert_gt(steps, 3);
}

static int64_t jumped_ns;
static int64_t clock_jumped(void *self) { return START_UTC_NS + jumped_ns; }

Test(archiver, a_clock_that_jumps_a_day_ahead_makes_no_segment_old) {
  wb_host jumping = host;
  jumping.utc_offset_ns = clock_jumped;
  wb_archiver_config config = config_of();
  config.host = &jumping;
  config.retain_ns = 3600 * SECOND;
  jumped_ns = 0;
  fake_ns = 5 * MINUTE;
  for (unsigned i = 0; i < 3; i++) put_segment(i);
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  jumped_ns = INT64_C(86400000000000);
  fake_ns += 2 * MINUTE; /* it looks again */
  settle(archiver);
  cr_assert(there(0, "") && there(1, "") && there(2, ""));
  jumped_ns = INT64_C(-3600000000000);
  fake_ns += 53 * MINUTE + MINUTE / 2; /* an hour and half a minute after the first was written */
  settle(archiver);
  cr_assert(!there(0, "") && there(1, "") && there(2, ""));
  wb_archiver_close(archiver);
}

Test(archiver, age_deletes_the_oldest_and_never_the_one_being_written) {
  for (unsigned i = 0; i < 5; i++) put_segment(i);
  int fd = held(0);
  wb_archiver_config config = config_of();
  fake_ns = 10 * MINUTE;
  config.retain_ns = 8 * MINUTE; /* written at 13:00 to 13:04, now it is 13:10 */
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  cr_assert(there(0, "") && !there(1, "") && !there(2, "") && there(3, "") && there(4, ""));
  cr_assert_eq(status_of(archiver).deleted, 2);
  cr_assert_eq(status_of(archiver).deleted_bytes, 2 * size_of(0, ""));
  fake_ns += MINUTE;
  settle(archiver);
  cr_assert(!there(3, "") && there(4, ""));
  wb_archiver_close(archiver);
  close(fd);
}

Test(archiver, size_deletes_the_oldest_until_all_fit_counting_the_one_being_written) {
  for (unsigned i = 0; i < 6; i++) put_segment(i);
  int fd = held(5);
  uint64_t one = size_of(0, "");
  wb_archiver_config config = config_of();
  config.retain_bytes = 3 * one;
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  for (unsigned i = 0; i < 6; i++) cr_assert_eq(there(i, ""), i >= 3, "segment %u", i);
  cr_assert_eq(ftruncate(fd, (off_t)(one + 1)), 0); /* it grows */
  fake_ns += SECOND;
  settle(archiver);
  for (unsigned i = 0; i < 6; i++) cr_assert_eq(there(i, ""), i >= 4, "segment %u", i);
  cr_assert_eq(ftruncate(fd, (off_t)(9 * one)), 0);
  fake_ns += SECOND;
  settle(archiver);
  cr_assert(!there(4, "") && there(5, ""), "the one being written stays, whatever its size");
  cr_assert_eq(status_of(archiver).deleted, 5);
  wb_archiver_close(archiver);
  close(fd);
}

Test(archiver, what_the_command_did_not_succeed_for_outlives_its_age_but_not_the_disk_limit) {
  for (unsigned i = 0; i < 5; i++) put_segment(i);
  char fails[200];
  snprintf(fails, sizeof fails, "sh -c 'case $1 in *-000002.wbseg|*-000004.wbseg) exit 0;; esac; exit 1' sh");
  wb_archiver_config config = config_of();
  config.command = fails;
  wb_archiver *archiver = begin(&config);
  settle(archiver);
  wb_archiver_close(archiver);
  config.retain_ns = 1;
  archiver = begin(&config);
  settle(archiver);
  cr_assert(there(0, "") && there(1, "") && !there(2, "") && there(3, "") && !there(4, ""), "age takes what was archived");
  cr_assert_eq(status_of(archiver).unarchived, 0);
  wb_archiver_close(archiver);
  put_segment(2);
  put_segment(4);
  config.retain_ns = 0;
  all_of(&config); /* 2 and 4 are archived again: their notes went with the files */
  config.retain_bytes = 4 * size_of(0, "");
  wb_archiver_status status = all_of(&config);
  cr_assert(there(0, "") && there(1, "") && !there(2, "") && there(3, "") && there(4, ""), "what was archived goes first");
  cr_assert_eq(status.deleted, 1);
  config.retain_bytes = 2 * size_of(0, "");
  *said = 0;
  status = all_of(&config);
  cr_assert(!there(0, "") && there(1, "") && !there(2, "") && there(3, "") && !there(4, ""), "then the oldest");
  cr_assert_eq(status.deleted, 2);
  cr_assert_eq(status.unarchived, 1);
  cr_assert(strstr(said, "000000.wbseg: --retain-bytes, although the command has not succeeded for it"), "%s", said);
}

Test(archiver, of_two_in_a_folder_one_works_until_it_ends) {
  put_segment(0);
  wb_archiver_config config = config_of();
  wb_archiver *first = begin(&config);
  settle(first);
  config.level = 1;
  wb_archiver *second = begin(&config);
  settle(second);
  cr_assert(there(0, "") && !there(0, ".zst"));
  cr_assert(strstr(said, "another process archives here"));
  wb_archiver_close(first);
  fake_ns += SECOND;
  settle(second);
  cr_assert(!there(0, "") && there(0, ".zst"));
  wb_archiver_close(second);
}

/* ------------------------------------------------------------------------------------------------ thread */

static wb_host real_host;

Test(archiver, its_thread_finishes_what_is_sealed_when_it_is_stopped_and_kills_a_command_that_hangs) {
  for (unsigned i = 0; i < 3; i++) put_segment(i);
  wb_host_make(&real_host, NULL);
  wb_archiver_config config = config_of();
  config.host = &real_host;
  config.level = 1;
  config.command = command;
  int fd = held(2);
  wb_archiver *archiver = begin(&config);
  cr_assert_eq(wb_archiver_start(archiver, NULL), 0);
  while (status_of(archiver).hooks < 2) sched_yield();
  close(fd);
  wb_archiver_stop(archiver, 60 * SECOND);
  wb_archiver_status status = status_of(archiver);
  cr_assert_eq(status.compressed, 3);
  cr_assert_eq(status.hooks, 3);
  wb_archiver_close(archiver);

  put_segment(3);
  config.command = "sh -c 'read x </dev/zero'";
  archiver = begin(&config);
  cr_assert_eq(wb_archiver_start(archiver, NULL), 0);
  while (status_of(archiver).compressed < 1) sched_yield();
  wb_archiver_stop(archiver, SECOND / 10);
  cr_assert_eq(status_of(archiver).hooks, 0);
  cr_assert_eq(status_of(archiver).waiting, 1);
  wb_archiver_close(archiver);
  expect_log(0, 4 * FRAMES);
}
