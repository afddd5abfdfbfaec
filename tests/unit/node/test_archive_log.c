#include "tools/archive_log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/store/segment.h"
#include "tests/unit/random.h"
#include "tools/archive_place.h"

enum { FOLDERS_OPEN = 8, PATH_BYTES = 256, CURSOR_BYTES = 1024 };
#define NAME "books.json"
#define OPTIONS "feed=some"

static char dir[64], out[80];
static wb_archive_place place;

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *at) { return remove(path); }
static void make_dir(void) {
  wb_error error;
  snprintf(dir, sizeof dir, "/tmp/wb_archive_log_XXXXXX");
  cr_assert(mkdtemp(dir));
  snprintf(out, sizeof out, "%s/out", dir);
  cr_assert_eq(wb_archive_place_open(&place, out, &error), 0);
}
static void drop_dir(void) {
  wb_archive_place_close(&place);
  nftw(dir, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
}

/* ------------------------------------------------------------------------------------------------ a log without records */

static void segment_path(char *path, unsigned run, uint64_t number) {
  snprintf(path, PATH_BYTES, "%s/%u-%06" PRIu64 ".wbseg", dir, run, number);
}

/* Returns the descriptor by which its writer holds it. */
static int segment_made(unsigned run, uint64_t number, uint64_t first_number, int64_t created_utc_ns) {
  char path[PATH_BYTES];
  uint8_t header[WB_SEGMENT_HEADER_BYTES];
  wb_segment_info info = {
      .segment = number, .first_number = first_number, .created_utc_ns = created_utc_ns, .text = "{\"feed\":\"some\"}"};
  memset(info.node, (int)run + 1, sizeof info.node);
  cr_assert_eq(wb_segment_header_write(&info, header), 0);
  segment_path(path, run, number);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  cr_assert(fd >= 0);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
  cr_assert_eq(write(fd, header, sizeof header), (ssize_t)sizeof header);
  return fd;
}

static void sealed(unsigned run, uint64_t number, uint64_t first_number, int64_t created_utc_ns) {
  close(segment_made(run, number, first_number, created_utc_ns));
}

static void removed(unsigned run, uint64_t number) {
  char path[PATH_BYTES];
  segment_path(path, run, number);
  cr_assert_eq(unlink(path), 0);
}

static void file_is(const char *text) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/.archive/" NAME, out);
  FILE *file = fopen(path, "w");
  cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int read_cursor(wb_archive_cursor *cursor) {
  wb_error error;
  return wb_archive_cursor_read(&place, NAME, OPTIONS, cursor, &error);
}

/* All that is ready is done, a unit of ten rows each: their names, and '!' behind the first one of a pass in which something was missed. */
static const char *done(wb_archive_cursor *cursor, bool over) {
  static char text[1024];
  wb_error error;
  *text = 0;
  for (bool more = true; more;) {
    wb_archive_log log;
    size_t begin, end;
    bool missed;
    cr_assert_eq(wb_archive_log_open(&log, dir, &error), 0);
    cr_assert(wb_archive_log_meet(&log, cursor) >= 0);
    wb_archive_log_next(&log, cursor, over, &begin, &end, &missed);
    more = begin < end;
    for (size_t i = begin; i < end; i++) {
      const wb_archive_segment *unit = &log.segment[i];
      size_t at = strlen(text);
      snprintf(text + at, sizeof text - at, "%s%u-%" PRIu64 "%s", at ? " " : "", unit->node[0] - 1u, unit->number,
               missed && i == begin ? "!" : "");
      wb_archive_log_done(&log, cursor, i, unit->first_number + 9, unit->number, unit->created_utc_ns);
      cr_assert_eq(wb_archive_cursor_write(&place, NAME, OPTIONS, cursor, &error), 0);
    }
    wb_archive_log_close(&log);
  }
  return text;
}

TestSuite(archive_log, .init = make_dir, .fini = drop_dir);

Test(archive_log, no_cursor_is_none_and_a_wrong_one_is_told) {
  static const char *const wrong[] = {
      "",
      "{",
      "[]",
      "{\"options\":\"" OPTIONS "\"}",
      "{\"options\":\"" OPTIONS "\",\"runs\":[]}",
      "{\"options\":\"" OPTIONS "\",\"runs\":{}}",
      "{\"options\":\"" OPTIONS "\",\"runs\":[1]}",
      "{\"options\":\"" OPTIONS "\",\"runs\":[{\"node\":\"00\",\"next_segment\":1,\"next_number\":1,\"from_segment\":1,"
      "\"from_utc_ns\":1,\"over\":true}]}",
      "{\"options\":\"" OPTIONS "\",\"node\":\"0g000000000000000000000000000000\",\"segment\":1,\"next_number\":1,"
      "\"created_utc_ns\":1,\"run_over\":true}",
  };
  wb_archive_cursor cursor;
  cr_expect_eq(read_cursor(&cursor), 0);
  cr_expect(!cursor.there && cursor.count == 0);
  wb_archive_cursor_close(&cursor);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    file_is(wrong[i]);
    cr_expect_eq(read_cursor(&cursor), WB_E_DAMAGED, "%s", wrong[i]);
    wb_archive_cursor_close(&cursor);
  }
  file_is(
      "{\"options\":\"other\",\"runs\":[{\"node\":\"01010101010101010101010101010101\",\"next_segment\":1,\"next_number\":1,"
      "\"from_segment\":1,\"from_utc_ns\":1,\"over\":true}]}");
  cr_expect_eq(read_cursor(&cursor), WB_E_CONFIG);
  wb_archive_cursor_close(&cursor);
}

Test(archive_log, what_is_written_of_a_cursor_is_read) {
  seed();
  for (unsigned turn = 0; turn < 20; turn++) {
    wb_archive_run run[9] = {0};
    wb_archive_cursor cursor = {.run = run, .count = 1 + next() % 9}, got;
    for (size_t i = 0; i < cursor.count; i++) {
      for (unsigned k = 0; k < sizeof run->node; k++) run[i].node[k] = (uint8_t)next();
      run[i].over = next() & 1;
      run[i].next_segment = next();
      run[i].next_number = next();
      run[i].from_segment = next();
      run[i].from_utc_ns = (int64_t)next();
    }
    wb_error error;
    cr_assert_eq(wb_archive_cursor_write(&place, NAME, OPTIONS, &cursor, &error), 0);
    cr_assert_eq(read_cursor(&got), 0);
    cr_expect(cursor.there && got.there && got.until_utc_ns == INT64_MIN);
    cr_assert_eq(got.count, cursor.count);
    for (size_t i = 0; i < got.count; i++) {
      const wb_archive_run *a = &run[i], *b = &got.run[i];
      cr_expect(memcmp(a->node, b->node, sizeof a->node) == 0 && a->over == b->over && a->next_segment == b->next_segment &&
                a->next_number == b->next_number && a->from_segment == b->from_segment && a->from_utc_ns == b->from_utc_ns);
    }
    wb_archive_cursor_close(&got);
  }
}

/* ------------------------------------------------------------------------------------------------ which units */

Test(archive_log, a_run_that_began_when_the_clock_was_set_back_is_done) {
  wb_archive_cursor cursor;
  read_cursor(&cursor);
  sealed(0, 0, 0, 1000);
  sealed(0, 1, 10, 1100);
  cr_expect_str_eq(done(&cursor, false), "0-0");
  sealed(1, 0, 0, 500);
  cr_expect_str_eq(done(&cursor, false), "0-1"); /* it is over, though it is the last by its time */
  sealed(1, 1, 10, 1200);
  cr_expect_str_eq(done(&cursor, false), "1-0"); /* its last one waits, though another stands behind it */
  cr_expect_str_eq(done(&cursor, true), "1-1");
  cr_expect_str_eq(done(&cursor, true), "");
  wb_archive_cursor_close(&cursor);
}

Test(archive_log, a_pass_does_not_go_on_with_a_run_that_was_there_before) {
  wb_archive_cursor cursor;
  wb_archive_log log;
  wb_error error;
  size_t begin, end;
  bool missed;
  read_cursor(&cursor);
  sealed(0, 0, 0, 1000);
  sealed(0, 1, 10, 1100);
  cr_expect_str_eq(done(&cursor, false), "0-0");
  removed(0, 0);
  sealed(1, 0, 0, 500);
  sealed(1, 1, 10, 600);
  sealed(2, 0, 0, 2000);
  cr_assert_eq(wb_archive_log_open(&log, dir, &error), 0); /* 1-0 1-1 0-1 2-0 */
  cr_assert_eq(wb_archive_log_meet(&log, &cursor), 1);
  wb_archive_log_next(&log, &cursor, true, &begin, &end, &missed);
  cr_expect(begin == 0 && end == 2 && !missed);
  wb_archive_log_close(&log);
  cr_expect_str_eq(done(&cursor, true), "1-0 1-1 0-1 2-0");
  wb_archive_cursor_close(&cursor);
}

Test(archive_log, a_segment_that_its_writer_holds_is_not_done) {
  wb_archive_cursor cursor;
  read_cursor(&cursor);
  int fd = segment_made(0, 0, 0, 1000);
  sealed(1, 0, 0, 2000);
  cr_expect_str_eq(done(&cursor, true), "1-0");
  close(fd);
  cr_expect_str_eq(done(&cursor, false), "0-0");
  wb_archive_cursor_close(&cursor);
}

Test(archive_log, a_unit_that_was_held_to_be_over_goes_on_where_it_was_and_that_is_told) {
  wb_archive_cursor cursor;
  read_cursor(&cursor);
  sealed(0, 0, 0, 1000);
  cr_expect_str_eq(done(&cursor, true), "0-0");
  cr_expect_eq(cursor.run[0].next_number, 10);
  sealed(0, 1, 4, 1100);
  sealed(0, 2, 8, 1200);
  wb_archive_log log;
  wb_error error;
  size_t begin, end;
  bool missed;
  cr_assert_eq(wb_archive_log_open(&log, dir, &error), 0);
  wb_archive_log_next(&log, &cursor, true, &begin, &end, &missed);
  cr_expect(begin == 1 && end == 3 && missed && log.segment[1].first_number == 10 && log.segment[2].first_number == 10);
  wb_archive_log_done(&log, &cursor, 1, 0, 0, INT64_MIN);
  cr_expect_eq(cursor.run[0].next_number, 10, "it does not go back");
  wb_archive_log_close(&log);
  wb_archive_cursor_close(&cursor);
}

Test(archive_log, what_is_gone_before_it_was_done_is_told_once_and_what_is_done_may_go) {
  wb_archive_cursor cursor;
  read_cursor(&cursor);
  sealed(0, 3, 30, 1000); /* the first that there is */
  sealed(0, 4, 40, 1100);
  sealed(0, 5, 50, 1200);
  cr_expect_str_eq(done(&cursor, false), "0-3 0-4");
  removed(0, 3);
  removed(0, 4);
  sealed(1, 0, 0, 2000);
  cr_expect_str_eq(done(&cursor, false), "0-5");
  removed(0, 5);
  sealed(1, 1, 10, 2100);
  sealed(1, 2, 20, 2200);
  cr_expect_str_eq(done(&cursor, false), "1-0 1-1");
  cr_expect_eq(cursor.count, 1, "of the first nothing is left");
  removed(1, 2);
  sealed(2, 0, 0, 100);
  sealed(3, 1, 10, 3000);
  cr_expect_str_eq(done(&cursor, false), "2-0!");
  sealed(3, 2, 20, 3100);
  sealed(3, 4, 40, 3200);
  cr_expect_str_eq(done(&cursor, false), "3-1! 3-2");
  removed(3, 4);
  sealed(3, 5, 50, 3300);
  sealed(3, 6, 60, 3400);
  cr_expect_str_eq(done(&cursor, false), "3-5!");
  cr_expect_str_eq(done(&cursor, true), "3-6");
  wb_archive_cursor_close(&cursor);
}

Test(archive_log, a_cursor_that_knew_the_last_run_alone_is_gone_on_with) {
  wb_archive_cursor cursor;
  file_is("{\"options\":\"" OPTIONS "\",\"node\":\"02020202020202020202020202020202\",\"segment\":1,\"next_number\":20,"
          "\"created_utc_ns\":2100,\"from_utc_ns\":2050,\"run_over\":false}");
  sealed(0, 0, 0, 1000); /* in front of it: done */
  sealed(0, 1, 10, 1100);
  sealed(1, 1, 10, 2100);
  sealed(1, 2, 20, 2200);
  sealed(1, 3, 30, 2300);
  cr_assert_eq(read_cursor(&cursor), 0);
  cr_expect_str_eq(done(&cursor, false), "1-2");
  wb_archive_cursor_close(&cursor);
  cr_assert_eq(read_cursor(&cursor), 0);
  cr_expect_eq(cursor.count, 2);
  sealed(2, 0, 0, 500); /* what comes in front of it from now on is not */
  cr_expect_str_eq(done(&cursor, false), "1-3");
  cr_expect_str_eq(done(&cursor, true), "2-0");
  wb_archive_cursor_close(&cursor);
}

Test(archive_log, a_replay_begins_with_the_run_in_front_if_that_was_there_before) {
  wb_archive_cursor cursor;
  wb_archive_log log;
  wb_error error;
  int64_t from;
  read_cursor(&cursor);
  sealed(0, 0, 0, 1000);
  sealed(0, 1, 10, 1100);
  done(&cursor, false);
  sealed(1, 0, 0, 500);
  sealed(1, 1, 10, 600);
  done(&cursor, true);
  sealed(2, 0, 0, 2000);
  sealed(2, 1, 10, 2100);
  cr_assert_eq(wb_archive_log_open(&log, dir, &error), 0); /* 1-0 1-1 0-0 0-1 2-0 2-1 */
  cr_assert_eq(wb_archive_log_meet(&log, &cursor), 1);
  cr_expect_eq(wb_archive_log_from(&log, &cursor, 1, &from), 0);
  cr_expect_eq(from, 600);
  wb_archive_log_done(&log, &cursor, 2, 9, 0, 900);
  cr_expect_eq(wb_archive_log_from(&log, &cursor, 3, &from), 2); /* the one in front came later */
  cr_expect_eq(from, 900);
  wb_archive_log_done(&log, &cursor, 3, 19, 1, 1100);
  cr_expect_eq(wb_archive_log_from(&log, &cursor, 4, &from), 2);
  cr_expect_eq(from, 1100);
  wb_archive_log_done(&log, &cursor, 4, 9, 0, 1950);
  cr_expect_eq(wb_archive_log_from(&log, &cursor, 5, &from), 2); /* it takes in what lies in front of this run */
  cr_expect_eq(from, 1950);
  wb_archive_log_done(&log, &cursor, 4, 9, 0, 2000);
  cr_expect_eq(wb_archive_log_from(&log, &cursor, 5, &from), 4);
  cr_expect_eq(from, 2000);
  cursor.run[0].next_segment = 1;
  cr_expect_eq(wb_archive_log_from(&log, &cursor, 4, &from), 4); /* of the one in front not all is done */
  cr_expect_eq(from, INT64_MIN);
  cursor.run[0].next_segment = 2;
  wb_archive_log_close(&log);
  removed(2, 0);
  cr_assert_eq(wb_archive_log_open(&log, dir, &error), 0);
  cr_expect_eq(wb_archive_log_from(&log, &cursor, 4, &from), 2);
  cr_expect_eq(from, 1100);
  wb_archive_log_close(&log);
  removed(0, 1); /* where its last row was */
  cr_assert_eq(wb_archive_log_open(&log, dir, &error), 0);
  cr_expect_eq(wb_archive_log_from(&log, &cursor, 3, &from), 3);
  cr_expect_eq(from, INT64_MIN);
  wb_archive_log_close(&log);
  wb_archive_cursor_close(&cursor);
}

/* ------------------------------------------------------------------------------------------------ against a model */

enum { RUNS = 7, SEGMENTS = 64, RECORDS = 4096, LINES = 2, ACTIONS = 400, TURNS = 30, BEFORE = 50 };

/* Of a record: the segment it lies in, and the unit that has its row, -1: none. */
typedef struct record {
  unsigned run, line;
  uint64_t number;
  int64_t utc_ns, segment, unit;
  bool row, twice;
} record;

static struct {
  record record[RECORDS];
  size_t records;
  unsigned runs, segments[RUNS], lowest[RUNS]; /* made; the lowest that is there */
  bool unit_done[RUNS][SEGMENTS];
  bool running, fresh; /* a run that nobody has looked at */
  int fd;              /* of the open segment, or -1 */
  uint64_t number;
  int64_t clock, created;
  bool attentive, missed;
  wb_archive_cursor cursor;
} world;

static bool some(unsigned one_of) { return next() % one_of == 0; }

static void seal(void) {
  if (world.fd >= 0) close(world.fd);
  world.fd = -1;
}

static void write_line(unsigned line) {
  unsigned run = world.runs - 1;
  uint64_t lowest = UINT64_MAX;
  bool any = false;
  for (size_t i = 0; i < world.records; i++) {
    const record *r = &world.record[i];
    if (r->segment >= 0) continue;
    if (r->number < lowest) lowest = r->number;
    any |= r->line == line;
  }
  if (!any || (world.fd < 0 && world.segments[run] == SEGMENTS)) return;
  if (world.fd < 0) {
    world.created = world.clock > world.created ? world.clock : world.created + 1;
    world.fd = segment_made(run, world.segments[run]++, lowest, world.created);
  }
  for (size_t i = 0; i < world.records; i++)
    if (world.record[i].segment < 0 && world.record[i].line == line) world.record[i].segment = world.segments[run] - 1;
}

static void begin_run(void) {
  if (world.running || world.runs == RUNS || (world.attentive && world.fresh)) return;
  world.runs++;
  world.running = world.fresh = true;
  world.number = 0;
  world.created = INT64_MIN;
}

static void end_run(void) {
  if (!world.running) return;
  for (unsigned line = 0; line < LINES; line++) write_line(line);
  for (size_t i = 0; i < world.records; i++)
    if (world.record[i].segment < 0) world.record[i].row = false; /* there was no more room for it */
  seal();
  world.running = false;
}

static void receive(void) {
  if (!world.running) return;
  for (unsigned left = 1 + next() % 6, rows = next() % 4; left && world.records < RECORDS; left--)
    world.record[world.records++] = (record){.run = world.runs - 1,
                                             .line = next() % LINES,
                                             .number = world.number++,
                                             .utc_ns = world.clock,
                                             .segment = -1,
                                             .unit = -1,
                                             .row = rows};
}

/* Whether all of a segment is done: it may hold records of later units. */
static bool all_done(unsigned run, unsigned segment) {
  for (size_t i = 0; i < world.records; i++) {
    const record *r = &world.record[i];
    if (r->run == run && r->segment == segment && r->row && (r->unit < 0 || !world.unit_done[run][r->unit % SEGMENTS]))
      return false;
  }
  return world.unit_done[run][segment];
}

/* Retention: of some run the lowest ones that are done. */
static void retain(void) {
  if (!world.runs) return;
  unsigned run = next() % world.runs;
  for (unsigned left = next() % 4; left; left--) {
    unsigned lowest = world.lowest[run];
    bool open = world.fd >= 0 && run == world.runs - 1 && lowest + 1 == world.segments[run];
    if (lowest == world.segments[run] || open || !all_done(run, lowest)) return;
    removed(run, lowest);
    world.lowest[run]++;
  }
}

/* Makes the unit's rows as a replay of these segments does, which says nothing before it has met a record of that time. */
static void make_unit(const wb_archive_log *log, size_t begin, size_t end, size_t at, int64_t from, record *last) {
  const wb_archive_segment *unit = &log->segment[at];
  unsigned run = unit->node[0] - 1u;
  int64_t name = run * SEGMENTS + (int64_t)unit->number;
  for (size_t i = 0; i < world.records; i++)
    if (world.record[i].unit == name) world.record[i].unit = -1; /* its files are replaced */
  bool within = false;
  *last = (record){.utc_ns = INT64_MIN};
  for (size_t s = begin; s < end; s++) {
    unsigned of = log->segment[s].node[0] - 1u;
    if (s > begin && log->segment[s].run == log->segment[s - 1].run) continue;
    for (size_t i = 0; i < world.records; i++) { /* a run's are in the order of their numbers */
      record *r = &world.record[i];
      bool there = false;
      for (size_t k = s; k < end && log->segment[k].run == log->segment[s].run; k++)
        there |= r->segment == (int64_t)log->segment[k].number;
      if (r->run != of || !there) continue;
      within |= r->utc_ns >= from;
      if (!within || !r->row || of != run || r->number < unit->first_number || r->number >= unit->end_number) continue;
      r->twice |= r->unit >= 0;
      r->unit = name;
      *last = *r;
    }
  }
}

static void killed(void) {
  wb_archive_cursor_close(&world.cursor);
  cr_assert_eq(read_cursor(&world.cursor), 0);
}

/* One pass, or less of it. */
static bool look(bool over) {
  wb_archive_log log;
  wb_error error;
  size_t begin, end;
  bool missed, kills = world.cursor.there || !world.attentive; /* before there is a cursor, nobody knows who was first */
  cr_assert_eq(wb_archive_log_open(&log, dir, &error), 0);
  if (wb_archive_log_meet(&log, &world.cursor) > 0 && world.cursor.there)
    cr_assert_eq(wb_archive_cursor_write(&place, NAME, OPTIONS, &world.cursor, &error), 0);
  wb_archive_log_next(&log, &world.cursor, over, &begin, &end, &missed);
  world.missed |= missed;
  if (world.runs && world.segments[world.runs - 1]) world.fresh = false;
  int64_t from = INT64_MIN;
  size_t passed = begin < end ? wb_archive_log_from(&log, &world.cursor, begin, &from) : 0;
  for (size_t i = begin; i < end; i++) {
    record last;
    if (kills && some(9)) {
      killed();
      break;
    }
    make_unit(&log, passed, end, i, from, &last);
    if (kills && some(9)) {
      killed();
      break;
    }
    wb_archive_log_done(&log, &world.cursor, i, last.number, (uint64_t)last.segment,
                        last.utc_ns == INT64_MIN ? INT64_MIN : last.utc_ns - BEFORE);
    cr_assert_eq(wb_archive_cursor_write(&place, NAME, OPTIONS, &world.cursor, &error), 0);
    world.unit_done[log.segment[i].node[0] - 1][log.segment[i].number] = true;
    kills = true;
  }
  wb_archive_log_close(&log);
  return begin < end;
}

/* attentive: each run is looked at before the next one begins, and nobody says that a node has ended that has not. */
static void play(bool attentive) {
  drop_dir();
  make_dir();
  memset(&world, 0, sizeof world);
  world.attentive = attentive;
  world.fd = -1;
  world.clock = 100000;
  cr_assert_eq(read_cursor(&world.cursor), 0);
  for (unsigned i = 0; i < ACTIONS; i++) {
    world.clock += (int64_t)(next() % 20);
    switch (next() % 16) {
    case 0: begin_run(); break;
    case 1:
      if (some(3)) end_run();
      break;
    case 2: seal(); break;
    case 3:
      if (some(3)) world.clock -= (int64_t)(next() % 4000);
      break;
    case 4: retain(); break;
    case 5:
    case 6: look(!attentive && some(8)); break;
    case 7:
    case 8:
    case 9: write_line(next() % LINES); break;
    default: receive();
    }
  }
  end_run();
  while (look(true)) {
  }
  for (size_t i = 0; i < world.records; i++) {
    const record *r = &world.record[i];
    cr_assert(!r->twice, "record %" PRIu64 " of run %u is there twice", r->number, r->run);
    cr_assert(!r->row || r->unit >= 0 || (world.missed && !attentive), "record %" PRIu64 " of run %u is not there", r->number,
              r->run);
  }
  cr_assert(!attentive || !world.missed, "a word of what is gone, where nothing is");
  wb_archive_cursor_close(&world.cursor);
}

Test(archive_log, of_runs_met_as_they_begin_each_row_is_in_one_unit_whatever_the_clock_says) {
  seed();
  for (unsigned turn = 0; turn < TURNS; turn++) play(true);
}

Test(archive_log, of_runs_met_at_any_time_no_row_is_in_two_units_and_none_is_missing_without_a_word) {
  seed();
  for (unsigned turn = 0; turn < TURNS; turn++) play(false);
}
