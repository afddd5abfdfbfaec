#include "engine/stages/spill_stage.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/memory.h"
#include "tests/unit/random.h"

enum { RINGS = 3, NOTES = RINGS - 1, FROM_BYTES = 65536, TO_BYTES = 131072, FRAMES = 512, READER = 1 };
#define UTC_NS INT64_C(1700000000000000000)

static wb_frames from[RINGS], to[RINGS];
static wb_spill_stage stage;
static uint64_t number; /* of the record to come */

static int64_t utc_offset_ns(void *self) { return UTC_NS; }
static const wb_host host = {.utc_offset_ns = utc_offset_ns};

static void frames_open(wb_frames *frames, size_t bytes, unsigned readers) {
  void *base = wb_mirror_open(bytes, false, NULL);
  wb_frame *frame = calloc(FRAMES, sizeof *frame);
  cr_assert(base && frame);
  cr_assert_eq(wb_frames_init(frames, base, bytes, frame, FRAMES, readers), 0);
}

static void open_stage(void) {
  stage = (wb_spill_stage){.ring_count = RINGS, .reader = READER, .host = &host};
  for (unsigned i = 0; i < RINGS; i++) {
    frames_open(&from[i], FROM_BYTES, 2);
    frames_open(&to[i], TO_BYTES, 1);
    stage.from[i] = &from[i];
    stage.to[i] = &to[i];
  }
  wb_spill_stage_init(&stage);
  number = 0;
}

static void close_stage(void) {
  for (unsigned i = 0; i < RINGS; i++) {
    wb_mirror_close(from[i].base, from[i].bytes);
    wb_mirror_close(to[i].base, to[i].bytes);
    free(from[i].frame);
    free(to[i].frame);
  }
}

static uint8_t byte_at(uint64_t of, uint32_t at) { return (uint8_t)(of * 31 + at * 7 + at / 253); }

/* Received on a line: a header that belongs to no record, then the record. */
static bool receive(unsigned ring, uint32_t bytes, uint32_t header) {
  if (wb_frames_room(&from[ring], header + bytes) < header + bytes || !wb_frames_slots(&from[ring], 1)) return false;
  for (uint32_t i = 0; i < bytes; i++) wb_frames_head(&from[ring])[header + i] = byte_at(number, i);
  wb_frames_advance(&from[ring], header + bytes);
  wb_frames_push(&from[ring], &(wb_frame){.position = from[ring].head - bytes,
                                          .recv_ns = number * 10,
                                          .number = number,
                                          .bytes = bytes,
                                          .connection = 3,
                                          .line = (uint8_t)ring,
                                          .kind = WB_FRAME_TEXT});
  wb_frames_publish(&from[ring]);
  number++;
  return true;
}

/* As the parser: everything is read at once. */
static void parse(void) {
  size_t count;
  for (unsigned i = 0; i < RINGS; i++)
    while (wb_frames_peek(&from[i], 0, 0, SIZE_MAX, &count)) wb_frames_release(&from[i], 0, count);
}

/* What the sink was given: each number once, as a record or in one gap. */
enum { NUMBERS = 400000 };
static uint8_t given[NUMBERS];
static uint32_t size_of[NUMBERS];
static uint8_t ring_of[NUMBERS];
static uint64_t gaps, dropped;

static void take_gap(const wb_frame *frame, const uint8_t *bytes) {
  wb_gap gap;
  cr_assert(wb_gap_read(frame, bytes, &gap), "%.*s", (int)frame->bytes, (const char *)bytes);
  uint64_t size = 0, of[RINGS][2] = {{0}};
  for (uint64_t i = gap.first; i <= gap.last; i++) {
    cr_assert_eq(given[i]++, 0, "%" PRIu64, i);
    size += size_of[i];
    of[ring_of[i]][0]++;
    of[ring_of[i]][1] += size_of[i];
  }
  cr_assert_eq(size, gap.bytes);
  cr_assert_eq(frame->recv_ns, gap.first * 10);
  cr_assert_eq(gap.from_utc_ns, UTC_NS + (int64_t)gap.first * 10);
  cr_assert_eq(gap.to_utc_ns, UTC_NS + (int64_t)gap.last * 10);
  char lines[128];
  snprintf(lines, sizeof lines, "\"lines\":[[%" PRIu64 ",%" PRIu64 "],[%" PRIu64 ",%" PRIu64 "],[%" PRIu64 ",%" PRIu64 "]]}",
           of[0][0], of[0][1], of[1][0], of[1][1], of[2][0], of[2][1]);
  cr_assert_eq(memcmp(bytes + frame->bytes - strlen(lines), lines, strlen(lines)), 0, "%.*s", (int)frame->bytes,
               (const char *)bytes);
  gaps++;
  dropped += gap.frames;
}

static void sink(unsigned ring, size_t most) {
  static uint64_t last[RINGS];
  if (!stage.frames) memset(last, 0, sizeof last);
  size_t count;
  const wb_frame *frame = wb_frames_peek(&to[ring], 0, 0, most, &count);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *bytes = wb_frames_at(&to[ring], frame[i].position);
    cr_assert(frame[i].number >= last[ring]);
    last[ring] = frame[i].number;
    if (frame[i].kind == WB_FRAME_GAP) {
      cr_assert_eq(ring, NOTES);
      take_gap(&frame[i], bytes);
      continue;
    }
    uint64_t n = frame[i].number;
    cr_assert_eq(given[n]++, 0, "%" PRIu64, n);
    cr_assert(frame[i].bytes == size_of[n] && frame[i].line == ring && ring_of[n] == ring && frame[i].connection == 3 &&
              frame[i].recv_ns == n * 10 && frame[i].kind == WB_FRAME_TEXT);
    for (uint32_t j = 0; j < frame[i].bytes; j++) cr_assert_eq(bytes[j], byte_at(n, j), "record %" PRIu64, n);
  }
  wb_frames_release(&to[ring], 0, count);
}

static void sink_all(void) {
  for (unsigned i = 0; i < RINGS; i++)
    for (size_t count; wb_frames_peek(&to[i], 0, 0, 1, &count);) sink(i, SIZE_MAX);
}

static void remember(unsigned ring, uint32_t bytes, uint32_t header) {
  size_of[number] = bytes;
  ring_of[number] = (uint8_t)ring;
  receive(ring, bytes, header);
}

TestSuite(spill, .init = open_stage, .fini = close_stage);

Test(spill, nothing_published_is_nothing_to_do) {
  cr_expect_eq(wb_spill_stage_work(&stage), 0);
  wb_spill_stage_finish(&stage);
  sink_all();
  cr_expect(stage.frames == 0 && gaps == 0);
}

Test(spill, a_record_is_copied_and_its_line_free_at_once) {
  remember(1, 1000, 4);
  parse();
  wb_spill_stage_work(&stage);
  cr_expect_eq(wb_frames_room(&from[1], SIZE_MAX), FROM_BYTES - WB_READ_SLACK_BYTES);
  cr_expect_eq(stage.frames, 1);
  sink_all();
  cr_expect_eq(given[0], 1);
}

Test(spill, records_wait_for_the_numbers_in_front_of_them) {
  number = 1;
  remember(0, 100, 2);
  wb_spill_stage_work(&stage);
  cr_expect_eq(stage.frames, 0);
  number = 0;
  remember(NOTES, 50, 0);
  wb_spill_stage_work(&stage);
  cr_expect_eq(stage.frames, 2);
  sink_all();
  cr_expect(given[0] == 1 && given[1] == 1);
}

Test(spill, the_largest_record_of_a_line_fits) {
  remember(0, FROM_BYTES - WB_READ_SLACK_BYTES, 0);
  wb_spill_stage_work(&stage);
  cr_expect_eq(stage.frames, 1);
  sink_all();
  cr_expect_eq(given[0], 1);
}

/* A disk that takes nothing: the oldest stay, the newest go, the line is never held. */
Test(spill, a_sink_that_stands_still_costs_the_newest_and_they_are_named_at_the_end) {
  for (unsigned i = 0; i < 1000; i++) {
    size_of[number] = 1000;
    ring_of[number] = (uint8_t)(i % 2);
    cr_assert(receive(i % 2, 1000, 4), "record %u waits", i);
    parse();
    wb_spill_stage_work(&stage);
  }
  cr_expect_eq(stage.gaps, 1);
  cr_expect_gt(stage.dropped_frames, 500);
  cr_expect_eq(stage.frames + stage.dropped_frames, 1000);
  cr_expect_eq(stage.dropped_bytes, stage.dropped_frames * 1000);
  cr_expect_gt(stage.held_bytes_max, TO_BYTES);
  wb_spill_stage_finish(&stage);
  sink_all();
  cr_expect(gaps == 1 && dropped == stage.dropped_frames);
  for (unsigned i = 0; i < 1000; i++) cr_assert_eq(given[i], 1, "record %u", i);
  cr_expect_eq(given[stage.frames - 1], 1);
}

Test(spill, a_gap_ends_when_an_eighth_is_free_and_the_log_goes_on_behind_it) {
  for (unsigned i = 0; i < 200; i++) {
    remember(0, 1000, 4);
    parse();
    wb_spill_stage_work(&stage);
  }
  cr_assert(stage.dropping);
  sink(0, 12); /* not yet */
  remember(0, 1000, 4);
  wb_spill_stage_work(&stage);
  cr_expect(stage.dropping);
  uint64_t lost = stage.dropped_frames;
  sink(0, 10);
  remember(0, 1000, 4);
  wb_spill_stage_work(&stage);
  cr_expect(!stage.dropping);
  cr_expect_eq(stage.dropped_frames, lost);
  sink_all();
  cr_expect(gaps == 1 && dropped == lost);
  for (unsigned i = 0; i < number; i++) cr_assert_eq(given[i], 1, "record %u", i);
}

Test(spill, full_descriptors_and_full_notes_end_as_full_bytes_do) {
  for (unsigned i = 0; i < 3 * FRAMES; i++) {
    remember(i < FRAMES / 2 ? 0 : NOTES, 1, 0);
    parse();
    wb_spill_stage_work(&stage);
  }
  cr_expect(stage.dropping);
  wb_spill_stage_finish(&stage);
  cr_expect(!stage.dropping);
  sink_all();
  for (unsigned i = 0; i < number; i++) cr_assert_eq(given[i], 1, "record %u", i);
}

Test(spill, every_record_is_stored_or_in_exactly_one_gap_whatever_the_sink_does) {
  seed();
  to[0].turn_bytes = 8192;
  from[0].turn_bytes = from[1].turn_bytes = 4096;
  uint64_t ends = 0, held = 0;
  for (unsigned round = 0; round < 60; round++) {
    unsigned mood = (unsigned)(next() % 4); /* of the sink: quick, slow, asleep, one ring asleep */
    for (unsigned step = 0; step < 3000 && number < NUMBERS - 1; step++) {
      unsigned ring = next() % 20 == 0 ? NOTES : (unsigned)(next() % 2);
      uint32_t bytes = (uint32_t)(next() % 100 == 0 ? next() % 30000 : next() % 600);
      wb_frames_turn(&from[ring], 0, 1);
      size_of[number] = bytes;
      ring_of[number] = (uint8_t)ring;
      if (!receive(ring, bytes, (uint32_t)(next() % 50 == 0 ? 5000 : next() % 12))) held++;
      if (next() % 3 == 0) parse();
      if (next() % 3 == 0) wb_spill_stage_work(&stage);
      unsigned reads = (unsigned)(next() % RINGS);
      if (mood == 0 || (mood == 1 && next() % 16 == 0) || (mood == 3 && reads != 1)) sink(reads, 1 + next() % 64);
    }
    if (next() % 8 == 0 || (round == 59 && !ends)) {
      parse();
      wb_spill_stage_finish(&stage);
      ends++;
    }
    if (next() % 4 == 0) sink_all();
  }
  parse();
  wb_spill_stage_finish(&stage);
  sink_all();
  for (uint64_t i = 0; i < number; i++) cr_assert_eq(given[i], 1, "record %" PRIu64 " of %" PRIu64, i, number);
  cr_assert_eq(stage.frames + stage.dropped_frames, number);
  cr_assert(gaps == stage.gaps && dropped == stage.dropped_frames);
  cr_assert(gaps > 5 && stage.frames > number / 10 && ends, "%" PRIu64 " gaps, %" PRIu64 " of %" PRIu64 " stored", gaps,
            stage.frames, number);
}
