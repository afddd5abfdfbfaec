#include "io/recording.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "engine/base/limits.h"

static uint64_t seed_state = 1;
static uint64_t draw(uint64_t below) {
  seed_state ^= seed_state << 13;
  seed_state ^= seed_state >> 7;
  seed_state ^= seed_state << 17;
  return seed_state % below;
}

static char path[64];
static void make_file(void) {
  snprintf(path, sizeof path, "/tmp/wb_rec_XXXXXX");
  close(mkstemp(path));
}
static void drop_file(void) { unlink(path); }

static void store(const void *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  cr_assert_eq(fwrite(bytes, 1, count, file), count);
  fclose(file);
}

/* Packs text as one gzip member or zstd frame; returns the length. */
static size_t gzip(const char *text, size_t count, uint8_t *to, size_t room) {
  z_stream z = {0};
  cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = (Bytef *)text, z.avail_in = (uInt)count, z.next_out = to, z.avail_out = (uInt)room;
  cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
  size_t made = room - z.avail_out;
  deflateEnd(&z);
  return made;
}
static size_t zstd(const char *text, size_t count, uint8_t *to, size_t room) {
  size_t made = ZSTD_compress(to, room, text, count, 1);
  cr_assert_not(ZSTD_isError(made));
  return made;
}

static int last;
static volatile uint64_t slack_sum;
static wb_error last_error;

/* Reads everything; returns the number of lines and puts them into text, one after the other, each ended by '\n'. */
static size_t read_all(char *text, size_t *bytes, int64_t *time) {
  wb_recording *recording = wb_recording_open(path, &last_error);
  cr_assert(recording, "%s", last_error.detail);
  wb_recording_line line;
  size_t count = 0;
  *bytes = 0;
  while ((last = wb_recording_next(recording, &line, &last_error)) == 1) {
    memcpy(text + *bytes, line.bytes, line.count);
    *bytes += line.count;
    text[(*bytes)++] = '\n';
    for (int i = 0; i < WB_READ_SLACK_BYTES; i++) slack_sum += (uint8_t)line.bytes[line.count + (size_t)i]; /* readable */
    if (time) time[count] = line.recv_utc_ns;
    count++;
  }
  wb_recording_line again;
  if (last != WB_E_TOO_LARGE) cr_assert_eq(wb_recording_next(recording, &again, NULL), last, "the end is stable");
  wb_recording_close(recording);
  return count;
}

TestSuite(recording, .init = make_file, .fini = drop_file);

Test(recording, open_refuses_what_cannot_be_read) {
  wb_error error = {0};
  cr_assert_null(wb_recording_open("/nowhere/at/all", &error));
  cr_assert_eq(error.code, WB_E_SYSTEM);
  cr_assert_eq(error.os_errno, ENOENT);
  cr_assert_null(wb_recording_open("/tmp", &error));
  cr_assert_eq(error.os_errno, EISDIR);
}

Test(recording, times_are_seconds_with_a_fraction_or_whole_nanoseconds) {
  static const struct {
    const char *text;
    int64_t ns;
    size_t taken;
  } cases[] = {
      {"1618677817.061845\t{", 1618677817061845000, 18},
      {"1618677817.0618958 {", 1618677817061895800, 19},
      {"1618677817.1234567899 \t {", 1618677817123456789, 24},
      {"1618677817061845123\t{", 1618677817061845123, 20},
      {"1618677817\t{", 1618677817000000000, 11},
      {"1618677817.061845: {", 1618677817061845000, 19},
      {"0.5 x", 500000000, 4},
      {"123456789012 {", 123456789012, 13},
      {"{\"a\":1}", 0, 0},
      {"", 0, 0},
      {"1618677817.061845{", 0, 0},
      {"1618677817.\t{", 0, 0},
      {".5\t{", 0, 0},
      {"-1.5\t{", 0, 0},
      {"1e9\t{", 0, 0},
      {"9223372036854775808\t{", 0, 0},
      {"12345678901234567890\t{", 0, 0},
      {"99999999999.5\t{", 0, 0},
      {"1618677817.061845", 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t ns = 0;
    size_t taken = wb_recording_time(cases[i].text, strlen(cases[i].text), &ns);
    cr_assert_eq(taken, cases[i].taken, "%s: %zu", cases[i].text, taken);
    cr_assert_eq(ns, cases[i].ns, "%s: %lld", cases[i].text, (long long)ns);
  }
}

Test(recording, line_ends_byte_order_mark_and_blank_lines_are_taken_off) {
  static const char text[] = "\xef\xbb\xbf{\"a\":1}\r\n\n  \r\n1.5\t{\"b\":2}\n\t\nnot json at all\n12 {\"last\":3}";
  store(text, sizeof text - 1);
  char back[200];
  size_t bytes;
  int64_t time[8];
  cr_assert_eq(read_all(back, &bytes, time), 4);
  cr_assert_eq(last, 0);
  back[bytes] = 0;
  cr_assert_str_eq(back, "{\"a\":1}\n{\"b\":2}\nnot json at all\n{\"last\":3}\n");
  cr_assert_eq(time[0], WB_TIME_NONE);
  cr_assert_eq(time[1], 1500000000);
  cr_assert_eq(time[2], WB_TIME_NONE);
  cr_assert_eq(time[3], 12000000000);
}

Test(recording, an_empty_file_has_no_lines) {
  char back[8];
  size_t bytes;
  cr_assert_eq(read_all(back, &bytes, NULL), 0);
  cr_assert_eq(last, 0);
  store("\n", 1);
  cr_assert_eq(read_all(back, &bytes, NULL), 0);
  store("x", 1);
  cr_assert_eq(read_all(back, &bytes, NULL), 1);
}

enum { TEXT_MAX = 8 << 20 };
static char text[TEXT_MAX], back[TEXT_MAX];
static uint8_t packed[TEXT_MAX + (1 << 20)];

static size_t make_text(size_t lines, size_t line_max, size_t *bytes) {
  size_t used = 0;
  for (size_t i = 0; i < lines; i++) {
    size_t count = 1 + (draw(50) ? draw(200) : draw(line_max));
    if (used + count + 1 > TEXT_MAX) return *bytes = used, i;
    for (size_t k = 0; k < count; k++) text[used++] = (char)('A' + draw(draw(10) ? 4 : 26));
    text[used++] = '\n';
  }
  *bytes = used;
  return lines;
}

Test(recording, plain_gzip_and_zstd_give_the_same_lines_however_they_were_cut_into_members) {
  for (int round = 0; round < 3; round++) {
    size_t bytes, back_bytes, lines = make_text(400, 300000, &bytes), used = 0;
    for (int form = 0; form < 3; form++) {
      used = 0;
      if (form == 0) memcpy(packed, text, used = bytes);
      for (size_t at = 0; form && at < bytes;) {
        size_t part = round ? 1 + draw(bytes / 3) : bytes;
        if (part > bytes - at) part = bytes - at;
        used += form == 1 ? gzip(text + at, part, packed + used, sizeof packed - used)
                          : zstd(text + at, part, packed + used, sizeof packed - used);
        at += part;
      }
      store(packed, used);
      cr_assert_eq(read_all(back, &back_bytes, NULL), lines, "round %d form %d", round, form);
      cr_assert_eq(last, 0, "%s", last_error.detail);
      cr_assert_eq(back_bytes, bytes);
      cr_assert_eq(memcmp(back, text, bytes), 0);
    }
  }
}

/* A cut anywhere gives whole lines in front of it and says damage (or, between two members, ends). */
Test(recording, compressed_text_cut_short_gives_whole_lines_then_damage) {
  size_t bytes, back_bytes;
  make_text(60, 5000, &bytes);
  for (int form = 1; form < 3; form++) {
    size_t whole = form == 1 ? gzip(text, bytes, packed, sizeof packed) : zstd(text, bytes, packed, sizeof packed);
    size_t step = whole / 300 + 1;
    for (size_t cut = 5; cut < whole; cut += step) {
      store(packed, cut);
      read_all(back, &back_bytes, NULL);
      cr_assert_eq(last, WB_E_DAMAGED, "form %d cut %zu of %zu: %d", form, cut, whole, last);
      cr_assert(back_bytes <= bytes && memcmp(back, text, back_bytes) == 0);
      cr_assert(last_error.position > 0 && *last_error.detail);
    }
  }
}

Test(recording, wrong_compressed_bytes_never_give_a_wrong_line_and_an_end_without_error) {
  size_t bytes, back_bytes;
  make_text(60, 5000, &bytes);
  for (int form = 1; form < 3; form++) {
    uint8_t *own = packed;
    size_t whole = form == 1 ? gzip(text, bytes, own, sizeof packed) : zstd(text, bytes, own, sizeof packed);
    unsigned seen = 0;
    for (int i = 0; i < 300; i++) {
      size_t at = 4 + draw(whole - 4);
      uint8_t was = own[at];
      own[at] ^= (uint8_t)(1 << draw(8));
      store(own, whole);
      read_all(back, &back_bytes, NULL);
      cr_assert(last == WB_E_DAMAGED || last == 0);
      seen += last != 0;
      own[at] = was;
    }
    cr_assert(form == 2 || seen > 290, "%u", seen); /* zstd frames carry no checksum unless asked for */
    cr_assert(seen > 0);
  }
}

Test(recording, bytes_that_come_one_by_one_through_a_pipe_read_the_same) {
  size_t bytes;
  seed_state = 77;
  make_text(40, 5000, &bytes);
  size_t used = zstd(text, bytes, packed, sizeof packed), sent = 0;
  int ends[2];
  cr_assert_eq(pipe(ends), 0);
  pid_t child = fork();
  if (!child) {
    close(ends[0]);
    for (; sent < used; sent++)
      if (write(ends[1], packed + sent, 1) != 1) _exit(1);
    _exit(0);
  }
  close(ends[1]);
  cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
  drop_file();
  snprintf(path, sizeof path, "-");
  size_t back_bytes;
  cr_assert_eq(read_all(back, &back_bytes, NULL), 40);
  cr_assert_eq(last, 0);
  cr_assert_eq(back_bytes, bytes);
  cr_assert_eq(memcmp(back, text, bytes), 0);
}

Test(recording, a_line_above_the_limit_is_refused_by_number_and_the_next_is_read) {
  size_t limit = WB_RECORDING_LINE_BYTES_MAX;
  char *long_line = malloc(limit + 1);
  memset(long_line, 'x', limit + 1);
  size_t used = 0;
#define PUT(from, count) used += zstd(from, count, packed + used, sizeof packed - used)
  PUT("first\n", 6);
  PUT(long_line, limit); /* just fits */
  PUT("\r\n", 2);
  PUT(long_line, limit + 1);
  PUT("\n", 1);
  for (int i = 0; i < 3; i++) PUT(long_line, limit);
  PUT("\nlast\n", 6);
  store(packed, used);
  free(long_line);
  wb_recording *recording = wb_recording_open(path, NULL);
  wb_recording_line line;
  wb_error error = {0};
  cr_assert_eq(wb_recording_next(recording, &line, &error), 1);
  cr_assert_eq(wb_recording_next(recording, &line, &error), 1);
  cr_assert_eq(line.count, limit);
  cr_assert_eq(wb_recording_next(recording, &line, &error), WB_E_TOO_LARGE);
  cr_assert_eq(error.position, 3);
  cr_assert_eq(wb_recording_next(recording, &line, &error), WB_E_TOO_LARGE);
  cr_assert_eq(error.position, 4);
  cr_assert_eq(wb_recording_next(recording, &line, &error), 1);
  cr_assert_eq(line.number, 5);
  cr_assert_eq(memcmp(line.bytes, "last", 4), 0);
  cr_assert_eq(wb_recording_next(recording, &line, &error), 0);
  wb_recording_close(recording);
}
