/* fuzz_log.c - the log reader over a chain of segments, plain and compressed, cut, flipped, copied and out of order.
 *
 * Input:   a program: each byte an operation, with the bytes it needs behind it. It begins runs and segments, puts chunks of
 *          several lines into them, and damages the files as they would lie on disk. See build.
 * Oracle:  what is whole in each file by a walk over it in memory (of a compressed one, over all that can be decoded). Of that, the
 *          reader gives every frame once, run after run, in the order of the numbers, with its bytes; and counts the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/limits.h"
#include "io/log_reader.h"
#include "io/sink_zstd.h"
#include "tests/fuzz/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES_MAX = 8, FILE_BYTES_MAX = 1 << 16, LINES = 3, NUMBERS_MAX = 512, RUNS_MAX = FILES_MAX };

typedef struct file {
  uint8_t bytes[FILE_BYTES_MAX]; /* as a segment, then as on disk */
  size_t count;
  unsigned run;
  uint32_t chunks;
  bool compressed;
  uint64_t least; /* lowest frame number in it */
} file;

static file files[FILES_MAX];
static unsigned file_count, run_count;
static uint64_t next_number, journal[LINES];
static wb_zstd_encoder *encoder;

static const uint8_t *at, *end;

static unsigned byte(void) { return at < end ? *at++ : 0; }

static uint8_t payload(unsigned run, uint64_t number, unsigned i) { return (uint8_t)(run * 37 + number * 11 + i); }
static uint32_t payload_bytes(uint64_t number) { return (uint32_t)(number * 7 % 23); }

static file *begin(bool new_run, bool compressed) {
  if (file_count == FILES_MAX) return NULL;
  if (new_run) {
    run_count++;
    next_number = 0;
    memset(journal, 0, sizeof journal);
  }
  file *f = &files[file_count];
  f->count = WB_SEGMENT_HEADER_BYTES;
  f->run = run_count;
  f->chunks = 0;
  f->compressed = compressed;
  f->least = UINT64_MAX;
  file_count++;
  return f;
}

/* A chunk of frames with numbers first, first + step, ... */
static void chunk(file *f, unsigned line, uint64_t first, unsigned frame_count, unsigned step, unsigned padding) {
  wb_frame frame[8];
  uint32_t data_bytes = 0;
  for (unsigned i = 0; i < frame_count; i++) {
    uint64_t number = first + (uint64_t)i * step;
    frame[i] = (wb_frame){.position = journal[line] + data_bytes,
                          .recv_ns = number,
                          .number = number,
                          .bytes = payload_bytes(number),
                          .connection = 1,
                          .line = (uint8_t)line,
                          .kind = WB_FRAME_TEXT};
    data_bytes += frame[i].bytes + 2;
  }
  uint32_t data_offset = WB_CHUNK_HEADER_BYTES + frame_count * (uint32_t)sizeof(wb_frame) + padding;
  uint32_t chunk_bytes = (data_offset + data_bytes + 7) & ~7u;
  if (f->count + chunk_bytes > FILE_BYTES_MAX / 2) return; /* zstd may make it a little larger */
  uint8_t *to = f->bytes + f->count;
  memset(to, 0, chunk_bytes);
  memcpy(to + WB_CHUNK_HEADER_BYTES, frame, frame_count * sizeof(wb_frame));
  for (unsigned i = 0; i < frame_count; i++)
    for (unsigned k = 0; k < frame[i].bytes; k++)
      to[data_offset + (frame[i].position - journal[line]) + k] = payload(f->run, frame[i].number, k);
  wb_chunk header = {.chunk_bytes = chunk_bytes,
                     .frame_count = frame_count,
                     .data_offset = data_offset,
                     .data_bytes = data_bytes,
                     .first_position = journal[line],
                     .number = f->chunks++,
                     .line = line,
                     .body_crc = wb_crc32c(wb_crc32c(0, frame, frame_count * sizeof(wb_frame)), to + data_offset, data_bytes)};
  wb_chunk_header_write(&header, to);
  f->count += chunk_bytes;
  journal[line] += data_bytes;
  if (frame_count && first < f->least) f->least = first;
}

static void seal(unsigned index) {
  file *f = &files[index];
  uint64_t least = UINT64_MAX;
  for (unsigned i = index; i < file_count && files[i].run == f->run; i++)
    if (files[i].least < least) least = files[i].least;
  wb_segment_info info = {.segment = index,
                          .created_utc_ns = (int64_t)index + 1,
                          .node = {(uint8_t)f->run},
                          .first_number = least == UINT64_MAX ? 0 : least,
                          .text = "{}"};
  wb_segment_header_write(&info, f->bytes);
  if (!f->compressed) return;
  static uint8_t plain[FILE_BYTES_MAX];
  size_t count = f->count, piece = 1 + count / (1 + index % 3);
  memcpy(plain, f->bytes, count);
  f->count = 0;
  for (size_t from = 0; from < count; from += piece) {
    const uint8_t *zstd;
    size_t made = wb_zstd_encode(encoder, plain + from, count - from < piece ? count - from : piece, &zstd);
    WB_CHECK(made && f->count + made <= FILE_BYTES_MAX);
    memcpy(f->bytes + f->count, zstd, made);
    f->count += made;
  }
}

static void damage(file *f, unsigned how) {
  size_t where = byte() * 256u;
  where = (where + byte()) % (f->count + 1);
  if (how & 1) f->count = where;
  else if (where < f->count) f->bytes[where] ^= (uint8_t)(1 + how % 255);
}

static void build(void) {
  file *f = begin(true, false);
  unsigned damages[16][2], damage_count = 0, copies = 0;
  const uint8_t *damage_at[16];
  while (at < end) {
    unsigned operation = byte(), argument = operation / 8;
    switch (operation % 8) {
    case 0: f = file_count < FILES_MAX - 2 ? begin(argument & 1, argument & 2) : f; break;
    case 5:
      if (damage_count < 16) {
        damages[damage_count][0] = argument;
        damages[damage_count][1] = byte();
        damage_at[damage_count++] = at;
        at += end - at < 2 ? end - at : 2;
      }
      break;
    case 6: copies = 1 + argument % 2; break;
    case 7: next_number += argument; break; /* missing */
    default: {
      /* Two lines take turns: the later numbers may come first. */
      unsigned frames = argument % 4 + 1, line = operation % 8 % LINES, other = (line + 1) % LINES,
               padding = argument & 16 ? 8 : 0;
      if (next_number > NUMBERS_MAX) break;
      if (argument & 8) {
        chunk(f, other, next_number + 1, frames, 2, padding);
        chunk(f, line, next_number, frames, 2, padding);
        next_number += 2 * frames;
      } else {
        chunk(f, line, next_number, operation % 8 == 4 ? 0 : frames, 1, padding);
        next_number += operation % 8 == 4 ? 0 : frames;
      }
    }
    }
  }
  for (unsigned i = 0; i < file_count; i++) seal(i);
  for (unsigned i = 0; i < copies && file_count < FILES_MAX; i++, file_count++) files[file_count] = files[i];
  for (unsigned i = 0; i < damage_count; i++) {
    at = damage_at[i];
    damage(&files[damages[i][1] % file_count], damages[i][0]);
  }
}

/* ------------------------------------------------------------------------------------------------ what must come */

/* By run and number: how often it is whole on disk. Of a compressed file that is damaged, a block in front of the damage may be
 * given or not, as the decoder gets along; so there is what must be given, and what may. */
typedef struct tally {
  unsigned times[RUNS_MAX + 1][NUMBERS_MAX * 2];
  uint64_t frames;
} tally;

static tally must, may;

/* Counts what is whole in a file. Returns whether there is more in it. */
static bool expect(tally *t, const uint8_t *bytes, size_t count) {
  wb_segment_cursor cursor;
  wb_segment_info info;
  wb_chunk chunk;
  const uint8_t *frame, *data;
  if (wb_segment_open(&cursor, bytes, count, &info)) return true;
  int result;
  while ((result = wb_segment_next(&cursor, true, &chunk, &frame, &data)) == 1)
    for (uint32_t i = 0; i < chunk.frame_count; i++) {
      wb_frame one;
      memcpy(&one, frame + i * sizeof one, sizeof one);
      t->times[info.node[0]][one.number]++;
      t->frames++;
    }
  return result != 0;
}

/* All that can be decoded, step bytes at once. zstd frames that fit are decoded whole or not at all; of others, block by block. */
static bool decode(const char *path, size_t step, uint8_t *to, size_t room, size_t *count) {
  size_t got;
  wb_zstd_decoder *decoder = wb_zstd_decoder_open(path, NULL);
  WB_CHECK(decoder != NULL);
  *count = 0;
  memset(to, 0, room); /* what is counted and was not written is no segment of before */
  while (*count + step <= room && (got = wb_zstd_decoder_read(decoder, to + *count, step))) *count += got;
  bool damaged = wb_zstd_decoder_code(decoder) != 0;
  wb_zstd_decoder_close(decoder);
  return damaged;
}

static bool expect_file(const file *f, const char *path) {
  static uint8_t decoded[2 * FILE_BYTES_MAX];
  const uint8_t *bytes = f->bytes;
  size_t count = f->count;
  bool zstd = wb_zstd_is(f->bytes, f->count), damaged = zstd && decode(path, FILE_BYTES_MAX, decoded, sizeof decoded, &count);
  if (zstd) bytes = decoded;
  bool more = expect(&must, bytes, count) || damaged;
  if (damaged) WB_CHECK(decode(path, 1, decoded, sizeof decoded, &count));
  expect(&may, bytes, count);
  return more;
}

static void check(const char *const *path, uint64_t damages) {
  static bool given[RUNS_MAX + 1][NUMBERS_MAX * 2];
  memset(given, 0, sizeof given);
  wb_log_reader *reader = wb_log_reader_open(
      &(wb_log_reader_config){.path = path, .path_count = file_count, .verify = true, .window_chunks = 1024}, NULL);
  WB_CHECK(reader != NULL);
  wb_log_record record;
  uint64_t frames = 0, before = 0;
  unsigned run_before = 0;
  while (wb_log_reader_next(reader, &record)) {
    unsigned run = record.segment->node[0];
    uint64_t number = record.frame.number;
    WB_CHECK(run > run_before || (run == run_before && number > before));
    WB_CHECK(number < NUMBERS_MAX * 2 && may.times[run][number] > 0);
    WB_CHECK(record.frame.bytes == payload_bytes(number));
    for (unsigned k = 0; k < record.frame.bytes; k++) WB_CHECK(record.bytes[k] == payload(run, number, k));
    touch(record.bytes, record.frame.bytes + (size_t)WB_READ_SLACK_BYTES);
    given[run][number] = true;
    frames++;
    run_before = run;
    before = number;
  }
  wb_log_totals totals = wb_log_reader_totals(reader);
  for (unsigned run = 1; run <= run_count; run++)
    for (unsigned n = 0; n < NUMBERS_MAX * 2; n++) WB_CHECK(!must.times[run][n] || given[run][n]);
  WB_CHECK(totals.frames == frames && totals.damages == damages);
  WB_CHECK(frames + totals.duplicates >= must.frames && frames + totals.duplicates <= may.frames);
  wb_log_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!encoder) encoder = wb_zstd_encoder_open(1, NULL);
  WB_CHECK(encoder != NULL);
  file_count = run_count = 0;
  at = data;
  end = data + size;
  build();
  int fd[FILES_MAX];
  char name[FILES_MAX][64];
  const char *path[FILES_MAX];
  uint64_t damages = 0;
  memset(&must, 0, sizeof must);
  memset(&may, 0, sizeof may);
  for (unsigned i = 0; i < file_count; i++) {
    fd[i] = memfd_create("segment", MFD_CLOEXEC);
    WB_CHECK(fd[i] >= 0 && write(fd[i], files[i].bytes, files[i].count) == (ssize_t)files[i].count);
    snprintf(name[i], sizeof name[i], "/proc/self/fd/%d", fd[i]);
    path[file_count - 1 - i] = name[i];
    damages += expect_file(&files[i], name[i]);
  }
  check(path, damages);
  for (unsigned i = 0; i < file_count; i++) close(fd[i]);
  return 0;
}
