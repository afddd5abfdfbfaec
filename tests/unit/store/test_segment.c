#include "engine/store/segment.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/crc32c.h"

enum { FRAMES_MAX = 40, CHUNKS_MAX = 24, IMAGE_BYTES_MAX = 1 << 20 };

/* What a built segment should read back as. */
typedef struct model_chunk {
  wb_chunk chunk;
  wb_frame frame[FRAMES_MAX];
  uint8_t data[8192];
  size_t offset; /* in the image */
} model_chunk;

typedef struct model {
  wb_segment_info info;
  model_chunk chunk[CHUNKS_MAX];
  uint32_t count;
  size_t bytes;
} model;

static uint64_t seed_state;
static uint64_t draw(uint64_t below) {
  seed_state ^= seed_state << 13;
  seed_state ^= seed_state >> 7;
  seed_state ^= seed_state << 17;
  return below ? seed_state % below : seed_state;
}

static wb_segment_info some_info(void) {
  wb_segment_info info = {.segment = 7, .created_utc_ns = INT64_C(1767225600123456789), .first_number = 41};
  for (int i = 0; i < 16; i++) info.node[i] = (uint8_t)(i * 17);
  snprintf(info.text, sizeof info.text, "{\"feed\":\"coinbase-exchange\",\"products\":[\"BTC-USD\"]}");
  return info;
}

static bool same_info(const wb_segment_info *a, const wb_segment_info *b) {
  return a->version == b->version && a->segment == b->segment && a->created_utc_ns == b->created_utc_ns &&
         a->first_number == b->first_number && !memcmp(a->node, b->node, sizeof a->node) && !strcmp(a->text, b->text);
}

static bool same_chunk(const wb_chunk *a, const wb_chunk *b) {
  return a->chunk_bytes == b->chunk_bytes && a->frame_count == b->frame_count && a->data_offset == b->data_offset &&
         a->data_bytes == b->data_bytes && a->first_position == b->first_position && a->utc_offset_ns == b->utc_offset_ns &&
         a->number == b->number && a->line == b->line && a->body_crc == b->body_crc;
}

/* Writes one chunk at image + at and returns its length. front and pad: spare bytes around the data. */
static size_t put_chunk(uint8_t *image, size_t at, model_chunk *made, uint32_t front, uint32_t pad) {
  wb_chunk *chunk = &made->chunk;
  size_t frames_bytes = chunk->frame_count * sizeof(wb_frame);
  chunk->data_offset = (uint32_t)(WB_CHUNK_HEADER_BYTES + frames_bytes) + front;
  chunk->chunk_bytes = ((chunk->data_offset + chunk->data_bytes + 7) & ~7u) + pad;
  chunk->body_crc = wb_crc32c(wb_crc32c(0, made->frame, frames_bytes), made->data, chunk->data_bytes);
  memset(image + at, 0, chunk->chunk_bytes);
  wb_chunk_header_write(chunk, image + at);
  memcpy(image + at + WB_CHUNK_HEADER_BYTES, made->frame, frames_bytes);
  memcpy(image + at + chunk->data_offset, made->data, chunk->data_bytes);
  made->offset = at;
  return chunk->chunk_bytes;
}

static void build(model *m, uint8_t *image, uint32_t chunks, uint32_t frames_max, uint32_t frame_bytes_max) {
  m->info = some_info();
  m->count = chunks;
  cr_assert_eq(wb_segment_header_write(&m->info, image), 0);
  m->info.version = WB_SEGMENT_VERSION;
  m->bytes = WB_SEGMENT_HEADER_BYTES;
  uint64_t number = m->info.first_number, position = draw(1 << 20);
  for (uint32_t c = 0; c < chunks; c++) {
    model_chunk *made = &m->chunk[c];
    *made = (model_chunk){.chunk = {.frame_count = (uint32_t)draw(frames_max + 1),
                                    .number = c,
                                    .line = (uint32_t)draw(3),
                                    .utc_offset_ns = (int64_t)draw(0),
                                    .first_position = position}};
    uint32_t used = 0;
    for (uint32_t i = 0; i < made->chunk.frame_count; i++) {
      uint32_t bytes = (uint32_t)draw(frame_bytes_max + 1), skip = (uint32_t)draw(8);
      made->frame[i] = (wb_frame){.position = position + used + skip,
                                  .recv_ns = draw(0),
                                  .number = number++,
                                  .bytes = bytes,
                                  .connection = (uint16_t)draw(9),
                                  .line = (uint8_t)made->chunk.line,
                                  .kind = WB_FRAME_TEXT};
      used += skip + bytes;
    }
    for (uint32_t i = 0; i < used; i++) made->data[i] = (uint8_t)draw(256);
    made->chunk.data_bytes = used;
    position += used;
    m->bytes += put_chunk(image, m->bytes, made, draw(4) ? 0 : (uint32_t)draw(100), draw(4) ? 0 : 8 * (uint32_t)draw(20));
  }
}

/* Reads the first `count` bytes of the image; returns how many chunks came, each compared with the model. */
static uint32_t read_back(const model *m, const uint8_t *image, size_t count, bool verify, int *last, size_t *good) {
  wb_segment_cursor cursor;
  wb_segment_info info;
  *good = 0;
  if ((*last = wb_segment_open(&cursor, image, count, &info))) return 0;
  cr_assert(same_info(&info, &m->info));
  uint32_t chunks = 0;
  wb_chunk chunk;
  const uint8_t *frame, *data;
  while ((*last = wb_segment_next(&cursor, verify, &chunk, &frame, &data)) == 1) {
    cr_assert(chunks < m->count);
    const model_chunk *want = &m->chunk[chunks++];
    cr_assert(same_chunk(&chunk, &want->chunk));
    cr_assert_eq(memcmp(frame, want->frame, chunk.frame_count * sizeof(wb_frame)), 0);
    cr_assert_eq(memcmp(data, want->data, chunk.data_bytes), 0);
  }
  *good = cursor.offset;
  int again = wb_segment_next(&cursor, verify, &chunk, &frame, &data);
  cr_assert_eq(again, *last, "the end of a segment is stable");
  cr_assert_eq(cursor.offset, *good);
  return chunks;
}

static void start(uint64_t seed) {
  seed_state = seed;
  printf("seed %llu\n", (unsigned long long)seed);
}

static model shared;
static uint8_t image[IMAGE_BYTES_MAX], copy[IMAGE_BYTES_MAX];

Test(segment, refuses_a_header_text_that_does_not_fit) {
  wb_segment_info info = some_info();
  memset(info.text, 'x', sizeof info.text);
  cr_assert_eq(wb_segment_header_write(&info, image), WB_E_LIMIT);
  info.text[sizeof info.text - 1] = 0;
  cr_assert_eq(wb_segment_header_write(&info, image), 0);
  wb_segment_info back;
  cr_assert_eq(wb_segment_header_read(image, WB_SEGMENT_HEADER_BYTES, &back), 0);
  cr_assert_str_eq(back.text, info.text);
}

Test(segment, refuses_what_is_no_segment) {
  wb_segment_info info = some_info(), back;
  memset(copy, 0, sizeof copy);
  cr_assert_eq(wb_segment_header_read(copy, WB_SEGMENT_HEADER_BYTES, &back), WB_E_DAMAGED);
  cr_assert_eq(wb_segment_header_write(&info, image), 0);
  for (size_t count = 0; count < WB_SEGMENT_HEADER_BYTES; count++)
    cr_assert_eq(wb_segment_header_read(image, count, &back), WB_E_DAMAGED);
  cr_assert_eq(wb_segment_header_read(image, WB_SEGMENT_HEADER_BYTES, &back), 0);
}

Test(segment, refuses_another_version_as_such) {
  wb_segment_info info = some_info(), back;
  cr_assert_eq(wb_segment_header_write(&info, image), 0);
  image[8] = 2;
  cr_assert_eq(wb_segment_header_read(image, WB_SEGMENT_HEADER_BYTES, &back), WB_E_VERSION);
}

Test(segment, every_flipped_bit_of_a_header_is_seen) {
  wb_segment_info info = some_info(), back;
  cr_assert_eq(wb_segment_header_write(&info, image), 0);
  for (size_t bit = 0; bit < WB_SEGMENT_HEADER_BYTES * 8; bit++) {
    image[bit / 8] ^= (uint8_t)(1u << bit % 8);
    int result = wb_segment_header_read(image, WB_SEGMENT_HEADER_BYTES, &back);
    cr_assert_eq(result, bit / 8 >= 8 && bit / 8 < 12 ? WB_E_VERSION : WB_E_DAMAGED, "bit %zu", bit);
    image[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
}

/* A header whose checksum is right but whose numbers do not fit each other. */
Test(segment, refuses_a_chunk_header_that_contradicts_itself) {
  const wb_chunk good = {.chunk_bytes = 64 + 2 * 32 + 16,
                         .frame_count = 2,
                         .data_offset = 128,
                         .data_bytes = 10,
                         .first_position = 1000,
                         .number = 3,
                         .line = 1};
  wb_chunk bad[9], back;
  for (int i = 0; i < 9; i++) bad[i] = good;
  bad[0].chunk_bytes += 4;                /* no multiple of 8 */
  bad[1].chunk_bytes = 136;               /* data reaches past the end */
  bad[2].data_offset = 127;               /* data overlaps the frames */
  bad[3].frame_count = 3;                 /* frames overlap the data */
  bad[4].frame_count = UINT32_MAX;        /* product overflows 32 bits */
  bad[5].data_bytes = UINT32_MAX;         /* sum overflows 32 bits */
  bad[6].first_position = UINT64_MAX - 8; /* positions wrap */
  bad[7].chunk_bytes = 0;
  bad[8].line = 256; /* more than a frame can name */
  uint8_t bytes[WB_CHUNK_HEADER_BYTES];
  wb_chunk_header_write(&good, bytes);
  cr_assert_eq(wb_chunk_header_read(bytes, sizeof bytes, &back), 0);
  cr_assert(same_chunk(&back, &good));
  cr_assert_eq(wb_chunk_header_read(bytes, sizeof bytes - 1, &back), WB_E_DAMAGED);
  for (int i = 0; i < 9; i++) {
    wb_chunk_header_write(&bad[i], bytes);
    cr_assert_eq(wb_chunk_header_read(bytes, sizeof bytes, &back), WB_E_DAMAGED, "case %d", i);
  }
}

/* Right checksums everywhere, yet a frame that lies outside its chunk's data. */
Test(segment, refuses_frames_outside_their_chunk) {
  for (int c = 0; c < 5; c++) {
    start(1);
    build(&shared, image, 1, 0, 0);
    model_chunk *made = &shared.chunk[0];
    *made = (model_chunk){.chunk = {.frame_count = 1, .data_bytes = 100, .first_position = 5000, .line = 2}};
    made->frame[0] = (wb_frame){.position = 5000, .bytes = 100, .line = 2, .kind = WB_FRAME_TEXT};
    switch (c) {
    case 1: made->frame[0].position = 4999; break;
    case 2: made->frame[0].bytes = 101; break;
    case 3: made->frame[0].position = 5101, made->frame[0].bytes = 0; break;
    case 4: made->frame[0].position = UINT64_MAX, made->frame[0].bytes = UINT32_MAX; break;
    default: break;
    }
    size_t bytes = WB_SEGMENT_HEADER_BYTES + put_chunk(image, WB_SEGMENT_HEADER_BYTES, made, 0, 0), good;
    wb_segment_cursor cursor;
    wb_segment_info info;
    wb_chunk chunk;
    const uint8_t *frame, *data;
    cr_assert_eq(wb_segment_open(&cursor, image, bytes, &info), 0);
    cr_assert_eq(wb_segment_next(&cursor, true, &chunk, &frame, &data), c ? WB_E_DAMAGED : 1, "case %d", c);
    good = cursor.offset;
    cr_assert_eq(good, c ? WB_SEGMENT_HEADER_BYTES : bytes);
  }
}

Test(segment, refuses_a_chunk_out_of_its_place) {
  start(2);
  build(&shared, image, 3, 4, 40);
  size_t second = shared.chunk[1].offset, third = shared.chunk[2].offset;
  memcpy(copy, image, second);
  memcpy(copy + second, image + third, shared.bytes - third); /* chunk 2 where chunk 1 should be */
  int last;
  size_t good;
  cr_assert_eq(read_back(&shared, copy, second + shared.bytes - third, true, &last, &good), 1);
  cr_assert_eq(last, WB_E_DAMAGED);
  cr_assert_eq(good, second);
}

Test(segment, cut_at_every_byte_reads_as_the_longest_whole_prefix) {
  start(3);
  build(&shared, image, 12, 6, 90);
  for (size_t cut = 0; cut <= shared.bytes; cut++) {
    uint8_t *exact = malloc(cut ? cut : 1); /* so that a read past the cut is seen by the sanitizer */
    memcpy(exact, image, cut);
    uint32_t want = 0;
    size_t want_good = cut < WB_SEGMENT_HEADER_BYTES ? 0 : WB_SEGMENT_HEADER_BYTES;
    while (want < shared.count && cut >= shared.chunk[want].offset + shared.chunk[want].chunk.chunk_bytes) {
      want_good = shared.chunk[want].offset + shared.chunk[want].chunk.chunk_bytes;
      want++;
    }
    int last;
    size_t good;
    cr_assert_eq(read_back(&shared, exact, cut, cut % 2, &last, &good), want, "cut at %zu", cut);
    cr_assert_eq(good, want_good, "cut at %zu", cut);
    cr_assert_eq(last, want_good && cut == want_good ? 0 : WB_E_DAMAGED, "cut at %zu", cut);
    free(exact);
  }
}

Test(segment, every_flipped_byte_is_seen_or_is_padding) {
  start(4);
  build(&shared, image, 10, 5, 60);
  uint64_t harmless = 0;
  for (size_t at = 0; at < shared.bytes; at++) {
    uint8_t was = image[at];
    image[at] ^= (uint8_t)(1 + draw(255));
    uint32_t chunk = 0;
    while (chunk < shared.count && at >= shared.chunk[chunk].offset + shared.chunk[chunk].chunk.chunk_bytes) chunk++;
    const model_chunk *hit = &shared.chunk[chunk < shared.count ? chunk : 0];
    size_t in_chunk = at - hit->offset, frames_end = WB_CHUNK_HEADER_BYTES + hit->chunk.frame_count * sizeof(wb_frame);
    bool spare = at >= WB_SEGMENT_HEADER_BYTES && ((in_chunk >= frames_end && in_chunk < hit->chunk.data_offset) ||
                                                   in_chunk >= hit->chunk.data_offset + hit->chunk.data_bytes);
    int last;
    size_t good;
    uint32_t got = read_back(&shared, image, shared.bytes, true, &last, &good);
    if (spare) {
      cr_assert_eq(got, shared.count);
      cr_assert_eq(last, 0);
      harmless++;
    } else if (at < WB_SEGMENT_HEADER_BYTES) {
      cr_assert_eq(got, 0);
      cr_assert(last < 0);
    } else {
      cr_assert_eq(got, chunk, "flip at %zu", at);
      cr_assert_eq(last, WB_E_DAMAGED);
      cr_assert_eq(good, hit->offset);
    }
    image[at] = was;
  }
  cr_assert(harmless > 0 && harmless < shared.bytes / 4);
}

Test(segment, random_segments_read_back_as_written) {
  uint64_t frames = 0;
  for (uint64_t round = 1; frames < 100000; round++) {
    if (round % 100 == 1) start(round * 7919);
    build(&shared, image, (uint32_t)draw(CHUNKS_MAX + 1), FRAMES_MAX, 120);
    for (uint32_t c = 0; c < shared.count; c++) frames += shared.chunk[c].chunk.frame_count;
    int last;
    size_t good;
    cr_assert_eq(read_back(&shared, image, shared.bytes, true, &last, &good), shared.count);
    cr_assert_eq(last, 0);
    cr_assert_eq(good, shared.bytes);
  }
}

/* The committed file is version 1 for good: writing the same content must give the same bytes. */
Test(segment, version_1_is_frozen) {
  static const char path[] = "tests/fuzz/corpus/segment/version_1";
  seed_state = 20260101;
  build(&shared, image, 3, 4, 50);
  FILE *file = fopen(path, "rb");
  cr_assert(file, "%s is missing", path);
  size_t bytes = fread(copy, 1, sizeof copy, file);
  fclose(file);
  cr_assert_eq(bytes, shared.bytes);
  cr_assert_eq(memcmp(copy, image, bytes), 0);
  cr_assert_eq(memcmp(copy, "wirebook\1\0\0\0", 12), 0);
  cr_assert_eq(memcmp(copy + WB_SEGMENT_HEADER_BYTES, "WBCK", 4), 0);
}

Test(segment, a_chunk_that_a_disk_put_into_another_segment_is_damage_however_whole_it_is) {
  static uint8_t one[IMAGE_BYTES_MAX], other[IMAGE_BYTES_MAX];
  static model m;
  seed_state = 5;
  build(&m, one, 6, 8, 200);
  wb_segment_info info = some_info();
  uint32_t mark = wb_segment_mark(&info);
  for (uint32_t i = 0; i < m.count; i++) {
    m.chunk[i].chunk.mark = mark;
    wb_chunk_header_write(&m.chunk[i].chunk, one + m.chunk[i].offset);
  }
  memcpy(other, one, m.bytes);
  info.segment++;
  cr_assert_neq(wb_segment_mark(&info), mark);
  uint32_t other_mark = wb_segment_mark(&info);
  for (uint32_t i = 0; i < m.count; i++) {
    m.chunk[i].chunk.mark = other_mark;
    wb_chunk_header_write(&m.chunk[i].chunk, other + m.chunk[i].offset);
  }
  memcpy(one + m.chunk[3].offset, other + m.chunk[3].offset, m.chunk[3].chunk.chunk_bytes);
  wb_segment_cursor cursor;
  wb_chunk chunk;
  const uint8_t *frame, *data;
  cr_assert_eq(wb_segment_open(&cursor, one, m.bytes, &info), 0);
  for (uint32_t i = 0; i < 3; i++) cr_assert_eq(wb_segment_next(&cursor, true, &chunk, &frame, &data), 1);
  cr_assert_eq(wb_segment_next(&cursor, true, &chunk, &frame, &data), WB_E_DAMAGED);
  cr_assert_eq(cursor.offset, m.chunk[3].offset);
}
