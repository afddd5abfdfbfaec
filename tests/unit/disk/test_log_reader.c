#include "io/log_reader.h"

#include "engine/store/gap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "engine/base/limits.h"

enum { FRAMES_MAX = 4000, LINES_MAX = 4 };

static uint64_t seed_state = 1;
static uint64_t draw(uint64_t below) {
  seed_state ^= seed_state << 13;
  seed_state ^= seed_state >> 7;
  seed_state ^= seed_state << 17;
  return seed_state % below;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) { return remove(path); }
static char dir[64];
static void make_dir(void) {
  snprintf(dir, sizeof dir, "/tmp/wb_log_XXXXXX");
  cr_assert(mkdtemp(dir));
}
static void drop_dir(void) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* ------------------------------------------------------------------------------------------------ writing logs by hand */

static FILE *file;
static char file_path[200];
static uint32_t chunk_number;

static void begin(const char *name, uint8_t node, uint64_t segment, int64_t created, uint64_t first_number) {
  wb_segment_info info = {.segment = segment, .created_utc_ns = created, .node = {node}, .first_number = first_number};
  snprintf(info.text, sizeof info.text, "{\"node\":%d}", node);
  uint8_t header[WB_SEGMENT_HEADER_BYTES];
  cr_assert_eq(wb_segment_header_write(&info, header), 0);
  snprintf(file_path, sizeof file_path, "%s/%s.wbseg", dir, name);
  file = fopen(file_path, "wb");
  cr_assert(file);
  fwrite(header, 1, sizeof header, file);
  chunk_number = 0;
}

static void end(void) { fclose(file); }

static uint64_t gap_last; /* not 0: frames are gap records of their number to this one */

static uint32_t text_of(uint64_t number, char *text) {
  wb_gap gap = {.first = number, .last = gap_last, .frames = gap_last - number + 1};
  return gap_last ? (uint32_t)wb_gap_print(&gap, text) : (uint32_t)snprintf(text, 24, "%llu", (unsigned long long)number);
}

/* One chunk of `count` frames with the given numbers; the bytes of a frame are its number as text. */
static void put(unsigned line, const uint64_t *number, uint32_t count) {
  static wb_frame frame[FRAMES_MAX];
  static char data[FRAMES_MAX * 24 + 8];
  static uint8_t chunk_bytes[WB_CHUNK_HEADER_BYTES];
  uint32_t used = 0;
  memset(data, 0, sizeof data);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t bytes = text_of(number[i], data + used);
    frame[i] = (wb_frame){.position = 700 + used,
                          .recv_ns = 1000 + number[i],
                          .number = number[i],
                          .bytes = bytes,
                          .connection = 1,
                          .line = (uint8_t)line,
                          .kind = gap_last ? WB_FRAME_GAP : WB_FRAME_TEXT};
    used += bytes;
  }
  wb_chunk chunk = {.frame_count = count,
                    .data_offset = (uint32_t)(WB_CHUNK_HEADER_BYTES + count * sizeof(wb_frame)),
                    .data_bytes = used,
                    .first_position = 700,
                    .utc_offset_ns = 5000,
                    .number = chunk_number++,
                    .line = line,
                    .body_crc = wb_crc32c(wb_crc32c(0, frame, count * sizeof(wb_frame)), data, used)};
  chunk.chunk_bytes = (chunk.data_offset + used + 7) & ~7u;
  wb_chunk_header_write(&chunk, chunk_bytes);
  fwrite(chunk_bytes, 1, sizeof chunk_bytes, file);
  fwrite(frame, sizeof(wb_frame), count, file);
  fwrite(data, 1, chunk.chunk_bytes - chunk.data_offset, file);
}

static void put_range(unsigned line, uint64_t from, uint64_t to) {
  uint64_t number[FRAMES_MAX];
  for (uint64_t n = from; n <= to; n++) number[n - from] = n;
  put(line, number, (uint32_t)(to - from + 1));
}

static void put_gap(unsigned line, uint64_t first, uint64_t last) {
  gap_last = last;
  put(line, &first, 1);
  gap_last = 0;
}

/* ------------------------------------------------------------------------------------------------ reading them */

static uint64_t got[FRAMES_MAX * 2];
static unsigned got_run[FRAMES_MAX * 2];
static wb_log_note notes[FRAMES_MAX];
static char note_path[FRAMES_MAX][200];
static unsigned note_count;
static wb_log_totals totals;

static void take_note(void *self, const wb_log_note *what) {
  cr_assert(note_count < FRAMES_MAX);
  if (what->segment) snprintf(note_path[note_count], sizeof *note_path, "%s", what->segment->path);
  notes[note_count++] = *what;
}

static size_t read_paths(const char *const *path, size_t paths, bool verify, uint32_t window) {
  note_count = 0;
  wb_error error = {0};
  wb_log_reader *reader = wb_log_reader_open(
      &(wb_log_reader_config){.path = path, .path_count = paths, .verify = verify, .window_chunks = window, .note = take_note},
      &error);
  cr_assert(reader, "%s", error.detail);
  wb_log_record record;
  size_t count = 0;
  uint8_t sum = 0;
  while (wb_log_reader_next(reader, &record)) {
    cr_assert(count < FRAMES_MAX * 2);
    char text[24];
    int bytes = snprintf(text, sizeof text, "%llu", (unsigned long long)record.frame.number);
    if (record.frame.kind == WB_FRAME_TEXT) {
      cr_assert_eq(record.frame.bytes, (uint32_t)bytes);
      cr_assert_eq(memcmp(record.bytes, text, (size_t)bytes), 0);
    }
    for (int i = 0; i < WB_READ_SLACK_BYTES; i++) sum ^= record.bytes[bytes + i]; /* readable */
    cr_assert_eq(record.utc_ns, (int64_t)(6000 + record.frame.number));
    got_run[count] = record.run;
    got[count++] = record.frame.number;
  }
  cr_assert_eq(wb_log_reader_next(reader, &record), 0, "the end is stable");
  totals = wb_log_reader_totals(reader);
  cr_assert_eq(totals.frames, count);
  cr_assert_leq(sum, 255);
  wb_log_reader_close(reader);
  return count;
}

static size_t read_dir(void) {
  const char *path = dir;
  return read_paths(&path, 1, true, 0);
}

static void expect_range(size_t at, uint64_t from, uint64_t to) {
  for (uint64_t n = from; n <= to; n++) cr_assert_eq(got[at + n - from], n);
}

TestSuite(log_reader, .init = make_dir, .fini = drop_dir);

Test(log_reader, a_missing_path_is_an_error_an_empty_folder_is_not) {
  const char *path[] = {dir, "/nowhere/at/all"};
  wb_error error = {0};
  cr_assert_null(wb_log_reader_open(&(wb_log_reader_config){.path = path, .path_count = 2}, &error));
  cr_assert_eq(error.code, WB_E_SYSTEM);
  cr_assert_eq(error.os_errno, ENOENT);
  cr_assert(strstr(error.detail, "/nowhere/at/all"));
  cr_assert_eq(read_dir(), 0);
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = path, .path_count = 1}, &error);
  cr_assert_null(wb_log_reader_segment(reader, 0));
  wb_log_reader_close(reader);
}

Test(log_reader, lines_are_merged_by_number_across_chunks_and_segments) {
  begin("a", 1, 0, 100, 0);
  put_range(1, 5, 9);
  put_range(0, 0, 4);
  put_range(1, 15, 19);
  end();
  begin("b", 1, 1, 200, 10);
  put_range(0, 10, 14);
  put_range(0, 20, 22);
  end();
  cr_assert_eq(read_dir(), 23);
  expect_range(0, 0, 22);
  cr_assert_eq(note_count, 0);
}

Test(log_reader, segments_are_sorted_by_run_and_segment_not_by_name_or_argument) {
  begin("a", 2, 0, 500, 0);
  put_range(0, 0, 4);
  end();
  begin("b", 1, 1, 90, 5); /* clock set back: the segment number counts */
  put_range(0, 5, 9);
  end();
  begin("z", 1, 0, 100, 0);
  put_range(0, 0, 4);
  end();
  cr_assert_eq(read_dir(), 15);
  expect_range(0, 0, 9);
  expect_range(10, 0, 4);
  cr_assert_eq(got_run[9], 0);
  cr_assert_eq(got_run[10], 1);
  cr_assert_eq(note_count, 0);
}

Test(log_reader, a_file_named_twice_is_read_once_and_a_copy_gives_nothing_new) {
  begin("a", 1, 0, 100, 0);
  put_range(0, 0, 4);
  end();
  const char *path[] = {dir, strdup(file_path), dir};
  cr_assert_eq(read_paths(path, 3, true, 0), 5);
  cr_assert_eq(totals.duplicates, 0);
  begin("copy", 1, 0, 100, 0);
  put_range(0, 0, 4);
  end();
  cr_assert_eq(read_paths(path, 3, true, 0), 5);
  cr_assert_eq(totals.duplicates, 5);
  free((char *)path[1]);
}

Test(log_reader, missing_numbers_are_reported_once_with_their_ends) {
  begin("a", 1, 0, 100, 0);
  put_range(0, 3, 4); /* 0..2 missing at the very start */
  put_range(0, 6, 9);
  put_range(1, 12, 13);
  end();
  begin("b", 1, 2, 300, 40); /* segment 1 was removed */
  put_range(0, 50, 51);
  end();
  cr_assert_eq(read_dir(), 10);
  cr_assert_eq(note_count, 4);
  const uint64_t want[4][2] = {{0, 2}, {5, 5}, {10, 11}, {14, 49}};
  for (int i = 0; i < 4; i++) {
    cr_assert_eq(notes[i].kind, WB_LOG_NOTE_GAP);
    cr_assert_eq(notes[i].first, want[i][0]);
    cr_assert_eq(notes[i].last, want[i][1]);
  }
  cr_assert_eq(totals.gaps, 4);
  cr_assert_eq(totals.numbers_missing, 3 + 1 + 2 + 36);
}

Test(log_reader, what_a_gap_record_names_is_not_missing) {
  begin("a", 1, 0, 100, 0);
  put_range(0, 0, 4);
  put_gap(1, 5, 9); /* written before what lies behind it, as its line is another one */
  put_range(0, 10, 12);
  put_gap(1, 13, 13);
  put_range(0, 14, 14);
  put_gap(1, 15, 20);
  end();
  begin("b", 1, 1, 200, 21);
  put_range(0, 21, 22);
  put_gap(1, 23, 30); /* the end of the run */
  end();
  cr_assert_eq(read_dir(), 5 + 1 + 3 + 1 + 1 + 1 + 2 + 1);
  expect_range(0, 0, 5);
  expect_range(6, 10, 15);
  cr_expect_eq(note_count, 0);
  cr_expect(totals.gaps == 0 && totals.numbers_missing == 0);
  cr_expect_eq(totals.numbers_dropped, 4 + 0 + 5 + 7);
}

Test(log_reader, what_is_missing_behind_a_gap_record_is_told_and_what_it_names_too_much_is_given) {
  begin("a", 1, 0, 100, 0);
  put_gap(1, 0, 4);
  put_range(0, 3, 3);
  put_range(0, 7, 8);
  put_gap(1, 9, UINT64_MAX);
  put_range(0, 11, 12);
  end();
  cr_assert_eq(read_dir(), 1 + 1 + 2 + 1 + 2);
  cr_expect(got[1] == 3 && got[2] == 7 && got[4] == 9 && got[5] == 11);
  cr_assert_eq(note_count, 2);
  cr_expect(notes[0].first == 5 && notes[0].last == 6 && notes[1].first == 10 && notes[1].last == 10);
  cr_expect_eq(totals.numbers_missing, 3);
}

Test(log_reader, what_lies_before_the_first_segment_given_is_no_gap) {
  begin("b", 1, 4, 300, 40);
  put_range(0, 44, 49);
  put_range(1, 42, 43);
  end();
  cr_assert_eq(read_dir(), 8);
  expect_range(0, 42, 49);
  cr_assert_eq(note_count, 0);
}

Test(log_reader, a_torn_segment_gives_its_prefix_and_the_rest_is_damage_by_offset) {
  begin("a", 1, 0, 100, 0);
  put_range(0, 0, 9);
  fflush(file);
  long good = ftell(file);
  put_range(0, 10, 19);
  end();
  struct stat about;
  stat(file_path, &about);
  for (off_t cut = about.st_size; cut >= good; cut--) {
    cr_assert_eq(truncate(file_path, cut), 0);
    size_t want = cut == about.st_size ? 20 : 10;
    cr_assert_eq(read_dir(), want);
    cr_assert_eq(note_count, cut != about.st_size && cut != good);
    if (note_count) {
      cr_assert_eq(notes[0].kind, WB_LOG_NOTE_DAMAGE);
      cr_assert_eq(notes[0].offset, (uint64_t)good);
      cr_assert_eq(notes[0].bytes, (uint64_t)(cut - good));
      cr_assert_eq(notes[0].code, WB_E_DAMAGED);
      cr_assert_str_eq(note_path[0], file_path);
    }
  }
}

Test(log_reader, damage_in_the_middle_of_a_run_is_damage_and_a_gap_and_the_rest_is_read) {
  begin("a", 1, 0, 100, 0);
  put_range(0, 0, 9);
  long good = ftell(file);
  put_range(0, 10, 19);
  end();
  FILE *damage = fopen(file_path, "r+b");
  fseek(damage, good + 200, SEEK_SET);
  fputc('?', damage);
  fclose(damage);
  begin("b", 1, 1, 200, 20);
  put_range(0, 20, 29);
  end();
  cr_assert_eq(read_dir(), 20);
  cr_assert_eq(note_count, 2);
  cr_assert_eq(notes[0].kind, WB_LOG_NOTE_DAMAGE);
  cr_assert_eq(notes[0].offset, (uint64_t)good);
  cr_assert_eq(notes[1].kind, WB_LOG_NOTE_GAP);
  cr_assert_eq(notes[1].first, 10);
  cr_assert_eq(notes[1].last, 19);
  expect_range(10, 20, 29);
}

Test(log_reader, files_that_are_no_segments_or_of_another_version_are_reported) {
  begin("a", 1, 0, 100, 0);
  put_range(0, 0, 9);
  end();
  begin("version", 1, 1, 200, 10);
  fseek(file, 8, SEEK_SET);
  fputc(9, file);
  end();
  snprintf(file_path, sizeof file_path, "%s/empty.wbseg", dir);
  fclose(fopen(file_path, "wb"));
  snprintf(file_path, sizeof file_path, "%s/other.txt", dir); /* not looked at */
  fclose(fopen(file_path, "wb"));
  cr_assert_eq(read_dir(), 10);
  cr_assert_eq(note_count, 2);
  int versions = 0;
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(notes[i].kind, WB_LOG_NOTE_DAMAGE);
    cr_assert_eq(notes[i].offset, 0);
    versions += notes[i].code == WB_E_VERSION;
  }
  cr_assert_eq(versions, 1);
}

Test(log_reader, a_segment_that_its_writer_holds_open_has_no_damage) {
  begin("a", 1, 0, 100, 0);
  put_range(0, 0, 9);
  fwrite("half a chunk", 1, 12, file);
  fflush(file);
  int fd = open(file_path, O_RDWR);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
  const char *path = dir;
  wb_error error;
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = &path, .path_count = 1}, &error);
  cr_assert(reader && wb_log_reader_segment(reader, 0)->growing, "known before it is read");
  wb_log_reader_close(reader);
  cr_assert_eq(read_dir(), 10);
  cr_assert_eq(note_count, 0);
  close(fd);
  cr_assert_eq(read_dir(), 10);
  cr_assert_eq(note_count, 1);
  end();
}

Test(log_reader, a_window_too_small_for_the_disorder_ends_with_every_frame_given_or_counted) {
  begin("a", 1, 0, 100, 0);
  for (uint64_t n = 0; n < 100; n++) put_range(0, 2 * n + 1, 2 * n + 1);
  for (uint64_t n = 0; n < 100; n++) put_range(1, 2 * n, 2 * n);
  end();
  const char *path = dir;
  cr_assert_eq(read_paths(&path, 1, true, 0), 200);
  expect_range(0, 0, 199);
  size_t given = read_paths(&path, 1, true, 10);
  cr_assert_eq(given + totals.duplicates, 200);
  for (size_t i = 1; i < given; i++) cr_assert(got[i] > got[i - 1]);
  cr_assert(totals.gaps > 0);
}

/* Lines, chunks, segments, lost chunks and runs drawn at random, against a plain list of what was written. */
Test(log_reader, random_logs_read_as_the_sorted_list_of_what_was_written) {
  uint64_t frames = 0;
  for (uint64_t seed = 1; frames < 100000; seed++) {
    seed_state = seed * 104729;
    unsigned lines = 1 + (unsigned)draw(LINES_MAX), segment = 0;
    uint64_t total = 1 + draw(FRAMES_MAX - 1);
    static uint8_t line_of[FRAMES_MAX], written[FRAMES_MAX], kept[FRAMES_MAX];
    memset(written, 0, sizeof written);
    memset(kept, 0, sizeof kept);
    for (uint64_t n = 0; n < total; n++) line_of[n] = (uint8_t)draw(lines);
    uint64_t lowest = 0;
    bool is_open = false;
    while (lowest < total) {
      if (!is_open) {
        char name[32];
        snprintf(name, sizeof name, "%llu-%u", (unsigned long long)draw(1000), segment);
        begin(name, (uint8_t)seed, segment, 1000 + segment, lowest);
        segment++;
        is_open = true;
      }
      unsigned line = (unsigned)draw(lines);
      uint64_t number[64], limit = 1 + draw(63);
      uint32_t count = 0;
      for (uint64_t n = lowest; n < total && count < limit; n++)
        if (line_of[n] == line && !written[n]) {
          number[count++] = n;
          written[n] = 1;
        }
      if (count && draw(10)) {
        put(line, number, count);
        for (uint32_t i = 0; i < count; i++) kept[number[i]] = 1;
      }
      while (lowest < total && written[lowest]) lowest++;
      if (!draw(20)) end(), is_open = false;
    }
    if (is_open) end();
    size_t count = read_dir(), at = 0;
    uint64_t missing = 0, tail = 0;
    for (uint64_t n = 0; n < total; n++) {
      if (!kept[n]) {
        tail++;
        continue;
      }
      missing += tail;
      tail = 0;
      cr_assert_eq(got[at++], n, "seed %llu", (unsigned long long)seed);
    }
    cr_assert_eq(at, count, "seed %llu", (unsigned long long)seed);
    cr_assert_eq(totals.duplicates + totals.damages, 0);
    cr_assert(totals.numbers_missing >= missing && totals.numbers_missing <= missing + tail, "seed %llu",
              (unsigned long long)seed);
    frames += total;
    drop_dir();
    cr_assert_eq(mkdir(dir, 0700), 0);
  }
}

Test(log_reader, a_line_that_ends_before_the_others_is_named_by_the_numbers_missing) {
  make_dir();
  begin("one", 1, 0, 10, 0);
  uint64_t even[20], odd[8];
  for (uint64_t i = 0; i < 20; i++) even[i] = 2 * i;
  for (uint64_t i = 0; i < 8; i++) odd[i] = 2 * i + 1;
  put(0, even, 20);
  put(1, odd, 8); /* 17, 19 ... 37 were never written */
  end();
  const char *path = dir;
  cr_assert_eq(read_paths(&path, 1, true, 0), 28u);
  cr_assert_eq(totals.numbers_missing, 11u);
  cr_assert_eq(totals.gaps, 11u);
  cr_assert_eq(notes[0].kind, WB_LOG_NOTE_GAP);
  cr_assert(notes[0].first == 17 && notes[0].last == 17);
  drop_dir();
}
