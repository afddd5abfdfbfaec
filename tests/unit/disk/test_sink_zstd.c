#include "io/sink_zstd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "engine/base/limits.h"
#include "io/log_reader.h"

static uint64_t seed_state = 1;
static uint64_t draw(uint64_t below) {
  seed_state ^= seed_state << 13;
  seed_state ^= seed_state >> 7;
  seed_state ^= seed_state << 17;
  return seed_state % below;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) { return remove(path); }
static char dir[64], path[128];
static void make_dir(void) {
  snprintf(dir, sizeof dir, "/tmp/wb_zstd_XXXXXX");
  cr_assert(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/file.zst", dir);
}
static void drop_dir(void) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static void put_file(const char *to, const void *bytes, size_t count) {
  FILE *file = fopen(to, "wb");
  cr_assert(file);
  cr_assert_eq(fwrite(bytes, 1, count, file), count);
  fclose(file);
}

/* Like a feed: text that repeats itself with digits that do not. */
static void fill(uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (at < count) {
    char text[128];
    int made = snprintf(text, sizeof text, "{\"type\":\"l2update\",\"changes\":[[\"buy\",\"%u.%02u\",\"%u\"]]}",
                        (unsigned)draw(50000), (unsigned)draw(100), (unsigned)draw(1u << 30));
    for (int i = 0; i < made && at < count; i++) bytes[at++] = (uint8_t)text[i];
  }
}

static size_t encoded(wb_zstd_encoder *encoder, const uint8_t *bytes, size_t count, uint8_t *to) {
  size_t made = 0;
  for (size_t at = 0; at < count; at += WB_ZSTD_BLOCK_BYTES) {
    const uint8_t *frame;
    size_t part = count - at < WB_ZSTD_BLOCK_BYTES ? count - at : WB_ZSTD_BLOCK_BYTES;
    size_t got = wb_zstd_encode(encoder, bytes + at, part, &frame);
    cr_assert_gt(got, 0);
    memcpy(to + made, frame, got);
    made += got;
  }
  return made;
}

/* Reads by random cuts. Returns how much there was. */
static size_t decoded(const uint8_t *expected, size_t most, size_t cut, int *code) {
  wb_error error = {0};
  wb_zstd_decoder *decoder = wb_zstd_decoder_open(path, &error);
  cr_assert(decoder, "%s", error.detail);
  static uint8_t part[1 << 20];
  size_t count = 0;
  for (;;) {
    size_t wanted = 1 + draw(cut), got = wb_zstd_decoder_read(decoder, part, wanted);
    cr_assert_leq(count + got, most);
    cr_assert_eq(memcmp(part, expected + count, got), 0);
    count += got;
    if (got < wanted) break;
  }
  *code = wb_zstd_decoder_code(decoder);
  cr_assert_eq(wb_zstd_decoder_read(decoder, part, 1), 0, "the end is stable");
  cr_assert_eq(wb_zstd_decoder_code(decoder), *code);
  wb_zstd_decoder_close(decoder);
  return count;
}

TestSuite(zstd, .init = make_dir, .fini = drop_dir);

Test(zstd, levels_and_files_that_are_none_are_refused) {
  wb_error error = {0};
  cr_assert_null(wb_zstd_encoder_open(0, &error));
  cr_assert_eq(error.code, WB_E_LIMIT);
  cr_assert_null(wb_zstd_encoder_open(WB_ZSTD_LEVEL_MAX + 1, &error));
  cr_assert_null(wb_zstd_decoder_open("/nowhere/at/all", &error));
  cr_assert_eq(error.code, WB_E_SYSTEM);
  cr_assert_eq(error.os_errno, ENOENT);
  cr_assert_eq(wb_zstd_content_bytes("/nowhere/at/all"), 0);
  cr_assert(!wb_zstd_is((const uint8_t *)"wirebook", 8));
  cr_assert(!wb_zstd_is((const uint8_t *)"\x28\xb5\x2f", 3));
  put_file(path, "not zstd at all", 15);
  int code;
  cr_assert_eq(decoded((const uint8_t *)"", 0, 10, &code), 0);
  cr_assert_eq(code, WB_E_DAMAGED);
  cr_assert(!wb_log_is_segment_file(path));
  cr_assert(!wb_log_is_segment_file(dir));
  cr_assert(!wb_log_is_segment_file("/nowhere/at/all"));
}

Test(zstd, what_was_encoded_is_decoded_at_any_size_level_and_cut) {
  enum { MOST = 3 * WB_ZSTD_BLOCK_BYTES + 1000 };
  uint8_t *bytes = malloc(MOST), *file = malloc(MOST * 2);
  static const size_t sizes[] = {0, 1, 4096, WB_ZSTD_BLOCK_BYTES - 1, WB_ZSTD_BLOCK_BYTES, WB_ZSTD_BLOCK_BYTES + 1, MOST};
  static const int levels[] = {1, 3, 19};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (unsigned k = 0; k < 3; k++) {
      if (levels[k] == 19 && sizes[i] > 4096) continue;
      wb_zstd_encoder *encoder = wb_zstd_encoder_open(levels[k], NULL);
      if (k == 1)
        for (size_t at = 0; at < sizes[i]; at++) bytes[at] = (uint8_t)draw(256);
      else fill(bytes, sizes[i]);
      put_file(path, file, encoded(encoder, bytes, sizes[i], file));
      int code;
      cr_assert_eq(decoded(bytes, sizes[i], k ? 1 << 20 : 70000, &code), sizes[i]);
      cr_assert_eq(code, 0);
      cr_assert_eq(wb_zstd_content_bytes(path), sizes[i]);
      wb_zstd_encoder_close(encoder);
    }
  free(file);
  free(bytes);
}

Test(zstd, a_file_cut_anywhere_gives_a_prefix_and_is_damaged_but_at_the_edge_of_a_frame) {
  enum { COUNT = WB_ZSTD_BLOCK_BYTES + 300000 };
  uint8_t *bytes = malloc(COUNT), *file = malloc(COUNT);
  fill(bytes, COUNT);
  wb_zstd_encoder *encoder = wb_zstd_encoder_open(1, NULL);
  size_t first = encoded(encoder, bytes, WB_ZSTD_BLOCK_BYTES, file), whole = encoded(encoder, bytes, COUNT, file);
  wb_zstd_encoder_close(encoder);
  size_t last = 0;
  for (size_t cut = 0; cut <= whole;
       cut += cut < 20 || whole - cut <= 20 || (cut > first - 5 && cut < first + 5) ? 1 : 1 + draw(9000)) {
    put_file(path, file, cut);
    int code;
    size_t count = decoded(bytes, COUNT, 1 << 20, &code);
    bool edge = cut == 0 || cut == first || cut == whole;
    if (edge && code) cr_assert(false, "cut at %zu", cut);
    if (!code) cr_assert(count == 0 || count % WB_ZSTD_BLOCK_BYTES == 0 || count == COUNT, "cut at %zu", cut);
    cr_assert_geq(count, last, "more of the file is more of the log");
    if (cut >= first) cr_assert_geq(count, WB_ZSTD_BLOCK_BYTES);
    cr_assert_geq(wb_zstd_content_bytes(path), count);
    last = count;
    if (cut < whole - 20 && whole - cut < 20000) cut = whole - 20;
  }
  cr_assert_eq(last, COUNT);
  put_file(path, file, whole);
  FILE *more = fopen(path, "ab");
  fputs("garbage", more);
  fclose(more);
  int code;
  cr_assert_eq(decoded(bytes, COUNT, 1 << 20, &code), COUNT);
  cr_assert_eq(code, WB_E_DAMAGED);
  free(file);
  free(bytes);
}

/* ------------------------------------------------------------------------------------------------ segments */

enum { CHUNK_FRAMES = 300, CHUNKS = 24, FRAMES = CHUNK_FRAMES * CHUNKS };

static uint8_t segment[8 << 20];

/* A segment whose frames are from, from + 1, ...; returns its size. text of frame n: n, then filling. */
static size_t make_segment(uint64_t number, uint64_t from) {
  wb_segment_info info = {
      .segment = number, .created_utc_ns = 1000 + (int64_t)number, .node = {9}, .first_number = from, .text = "{}"};
  cr_assert_eq(wb_segment_header_write(&info, segment), 0);
  size_t at = WB_SEGMENT_HEADER_BYTES;
  for (uint32_t k = 0; k < CHUNKS; k++) {
    wb_frame frame[CHUNK_FRAMES];
    uint8_t *data = segment + at + WB_CHUNK_HEADER_BYTES + sizeof frame;
    uint32_t used = 0;
    for (uint32_t i = 0; i < CHUNK_FRAMES; i++) {
      uint64_t n = from + k * CHUNK_FRAMES + i;
      uint32_t bytes = 100 + (uint32_t)(n % 300);
      frame[i] =
          (wb_frame){.position = used, .recv_ns = n, .number = n, .bytes = bytes, .connection = 1, .kind = WB_FRAME_TEXT};
      memset(data + used, ' ', bytes);
      snprintf((char *)data + used, bytes, "frame %llu %llu", (unsigned long long)n, (unsigned long long)draw(UINT32_MAX));
      used += bytes;
    }
    memcpy(segment + at + WB_CHUNK_HEADER_BYTES, frame, sizeof frame);
    wb_chunk chunk = {.frame_count = CHUNK_FRAMES,
                      .data_offset = WB_CHUNK_HEADER_BYTES + sizeof frame,
                      .data_bytes = used,
                      .number = k,
                      .body_crc = wb_crc32c(wb_crc32c(0, frame, sizeof frame), data, used)};
    chunk.chunk_bytes = (chunk.data_offset + used + 7) & ~7u;
    memset(data + used, 0, chunk.chunk_bytes - chunk.data_offset - used);
    wb_chunk_header_write(&chunk, segment + at);
    at += chunk.chunk_bytes;
  }
  cr_assert_leq(at, sizeof segment);
  return at;
}

static void put_segment(uint64_t number, uint64_t from, bool plain, bool zst) {
  static uint8_t file[8 << 20];
  size_t count = make_segment(number, from);
  char name[160];
  snprintf(name, sizeof name, "%s/%03llu.wbseg", dir, (unsigned long long)number);
  if (plain) put_file(name, segment, count);
  strcat(name, ".zst");
  wb_zstd_encoder *encoder = wb_zstd_encoder_open(1, NULL);
  if (zst) put_file(name, file, encoded(encoder, segment, count, file));
  wb_zstd_encoder_close(encoder);
}

static wb_log_totals totals;
static wb_log_note last_note;
static void take_note(void *self, const wb_log_note *note) { last_note = *note; }

/* Returns how many frames there were; they are 0, 1, ... without holes, each as it was made. */
static uint64_t read_log(const char *what, uint64_t window_bytes) {
  wb_error error = {0};
  wb_log_reader *reader = wb_log_reader_open(
      &(wb_log_reader_config){.path = &what, .path_count = 1, .window_bytes = window_bytes, .note = take_note}, &error);
  cr_assert(reader, "%s", error.detail);
  wb_log_record record;
  uint64_t n = 0;
  uint8_t sum = 0;
  for (; wb_log_reader_next(reader, &record); n++) {
    char text[40];
    int bytes = snprintf(text, sizeof text, "frame %llu ", (unsigned long long)n);
    cr_assert_eq(record.frame.number, n);
    cr_assert_eq(record.frame.bytes, 100 + n % 300);
    cr_assert_eq(memcmp(record.bytes, text, (size_t)bytes), 0);
    for (unsigned i = 0; i < WB_READ_SLACK_BYTES; i++) sum ^= record.bytes[record.frame.bytes + i]; /* readable */
  }
  totals = wb_log_reader_totals(reader);
  cr_assert_leq(sum, 255);
  wb_log_reader_close(reader);
  return n;
}

Test(zstd, a_log_reads_the_same_in_any_mixture_of_forms_and_both_forms_count_once) {
  for (unsigned mixture = 0; mixture < 27; mixture++) {
    unsigned forms = mixture;
    for (unsigned i = 0; i < 3; i++, forms /= 3) put_segment(i, i * FRAMES, forms % 3 != 1, forms % 3 != 0);
    cr_assert_eq(read_log(dir, 0), 3 * FRAMES, "mixture %u", mixture);
    cr_assert_eq(totals.damages + totals.gaps + totals.duplicates, 0, "mixture %u", mixture);
    drop_dir();
    mkdir(dir, 0700);
  }
}

Test(zstd, a_compressed_segment_is_known_by_its_content) {
  put_segment(0, 0, true, true);
  char name[160];
  snprintf(name, sizeof name, "%s/000.wbseg.zst", dir);
  cr_assert(wb_log_is_segment_file(name));
  cr_assert_eq(read_log(name, 0), FRAMES);
  snprintf(path, sizeof path, "%s/other", dir);
  rename(name, path);
  cr_assert(wb_log_is_segment_file(path));
  cr_assert_eq(read_log(path, 0), FRAMES);
  snprintf(name, sizeof name, "%s/000.wbseg", dir);
  cr_assert(wb_log_is_segment_file(name));
}

Test(zstd, a_small_window_reads_all_that_is_in_order) {
  for (unsigned i = 0; i < 3; i++) put_segment(i, i * FRAMES, false, true);
  cr_assert_eq(read_log(dir, 1), 3 * FRAMES);
  cr_assert_eq(totals.damages + totals.gaps + totals.duplicates, 0);
}

Test(zstd, a_torn_compressed_segment_gives_its_whole_chunks_and_damage_by_offset) {
  put_segment(0, 0, false, true);
  size_t whole = make_segment(0, 0);
  char name[160];
  snprintf(name, sizeof name, "%s/000.wbseg.zst", dir);
  struct stat about;
  cr_assert_eq(stat(name, &about), 0);
  uint64_t last = FRAMES, partial = 0;
  for (off_t cut = about.st_size - 1; cut >= 0; cut -= cut > about.st_size - 10 || cut < 10 ? 1 : (off_t)(1 + draw(7000))) {
    cr_assert_eq(truncate(name, cut), 0);
    uint64_t count = read_log(dir, 0);
    cr_assert_eq(count % CHUNK_FRAMES, 0);
    cr_assert_leq(count, last);
    bool edge = totals.damages == 0; /* of a frame and a chunk at once: then the end is clean */
    if (!edge) {
      cr_assert_eq(last_note.kind, WB_LOG_NOTE_DAMAGE);
      cr_assert_eq(last_note.code, WB_E_DAMAGED);
      cr_assert_leq(last_note.offset + last_note.bytes, whole);
    }
    partial += count && count < FRAMES;
    last = count;
  }
  cr_assert_gt(partial, 20);
}

Test(zstd, a_wrong_byte_anywhere_is_damage_and_never_a_wrong_frame) {
  put_segment(0, 0, false, true);
  char name[160];
  snprintf(name, sizeof name, "%s/000.wbseg.zst", dir);
  struct stat about;
  cr_assert_eq(stat(name, &about), 0);
  for (int i = 0; i < 300; i++) {
    long at = (long)draw((uint64_t)about.st_size);
    FILE *file = fopen(name, "r+b");
    fseek(file, at, SEEK_SET);
    int was = fgetc(file), wrong = was ^ (int)(1 + draw(255));
    fseek(file, at, SEEK_SET);
    fputc(wrong, file);
    fclose(file);
    read_log(dir, 0); /* checks each frame */
    cr_assert_gt(totals.damages, 0, "byte %ld", at);
    file = fopen(name, "r+b");
    fseek(file, at, SEEK_SET);
    fputc(was, file);
    fclose(file);
  }
  cr_assert_eq(read_log(dir, 0), FRAMES);
}
