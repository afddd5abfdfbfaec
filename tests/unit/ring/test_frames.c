#include "engine/ring/frames.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/memory.h"
#include "tests/unit/random.h"

enum { BYTES = 65536, FRAMES = 64, READERS = 3, LIMIT = BYTES - WB_READ_SLACK_BYTES };
static wb_frames frames;
static wb_frame descriptors[FRAMES];
static uint8_t *base;

static void open_frames(void) {
  base = wb_mirror_open(BYTES, false, NULL);
  cr_assert(base);
  cr_assert_eq(wb_frames_init(&frames, base, BYTES, descriptors, FRAMES, READERS), 0);
}

static void close_frames(void) { wb_mirror_close(base, BYTES); }

static void push(uint64_t position, uint32_t bytes) {
  wb_frames_push(&frames, &(wb_frame){.position = position, .bytes = bytes});
}

static void write_and_push(uint32_t bytes) {
  cr_assert_geq(wb_frames_room(&frames, bytes), bytes);
  cr_assert_geq(wb_frames_slots(&frames, 1), 1);
  uint64_t position = frames.head;
  wb_frames_advance(&frames, bytes);
  push(position, bytes);
}

static void read_all(unsigned reader) {
  size_t count;
  while (wb_frames_peek(&frames, reader, 0, SIZE_MAX, &count)) wb_frames_release(&frames, reader, count);
}

Test(frames_init, refuses_missing_memory_and_crooked_sizes) {
  cr_expect_eq(wb_frames_init(NULL, &frames, BYTES, descriptors, FRAMES, 1), WB_E_INVALID);
  cr_expect_eq(wb_frames_init(&frames, NULL, BYTES, descriptors, FRAMES, 1), WB_E_INVALID);
  cr_expect_eq(wb_frames_init(&frames, &frames, BYTES, NULL, FRAMES, 1), WB_E_INVALID);
  static const size_t bytes[] = {0, 4096, 32768, 65535, 65537, 98304, SIZE_MAX};
  for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
    cr_expect_eq(wb_frames_init(&frames, &frames, bytes[i], descriptors, FRAMES, 1), WB_E_INVALID, "%zu", bytes[i]);
  static const size_t counts[] = {0, 1, 32, 63, 65, 96, SIZE_MAX};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    cr_expect_eq(wb_frames_init(&frames, &frames, BYTES, descriptors, counts[i], 1), WB_E_INVALID, "%zu", counts[i]);
  cr_expect_eq(wb_frames_init(&frames, &frames, BYTES, descriptors, FRAMES, 0), WB_E_INVALID);
  cr_expect_eq(wb_frames_init(&frames, &frames, BYTES, descriptors, FRAMES, WB_FRAMES_READERS_MAX + 1), WB_E_INVALID);
}

Test(frames_init, words_of_two_threads_never_share_a_pair_of_cache_lines) {
  size_t published = offsetof(wb_frames, published) / WB_CACHE_PAIR_BYTES,
         mine = offsetof(wb_frames, pushed) / WB_CACHE_PAIR_BYTES;
  size_t last = offsetof(wb_frames, released_position_seen) / WB_CACHE_PAIR_BYTES;
  size_t constants = offsetof(wb_frames, base) / WB_CACHE_PAIR_BYTES;
  size_t readers = offsetof(wb_frames, reader) / WB_CACHE_PAIR_BYTES;
  cr_expect(published != mine && mine == last && constants != mine && constants != published && readers > constants);
  cr_expect_eq(sizeof(wb_frames_reader) % WB_CACHE_PAIR_BYTES, 0);
}

TestSuite(frames, .init = open_frames, .fini = close_frames);

Test(frames, everything_is_free_at_first) {
  size_t count = 9;
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT);
  cr_expect_eq(wb_frames_slots(&frames, SIZE_MAX), FRAMES);
  cr_expect_eq(wb_frames_head(&frames), base);
  for (unsigned reader = 0; reader < READERS; reader++) {
    cr_expect_null(wb_frames_peek(&frames, reader, 0, SIZE_MAX, &count));
    cr_expect_eq(count, 0);
  }
}

#ifdef WB_DEBUG
Test(frames, to_advance_past_the_room_is_a_programmer_error, .signal = SIGABRT) { wb_frames_advance(&frames, LIMIT + 1); }
Test(frames, a_record_past_the_head_is_a_programmer_error, .signal = SIGABRT) {
  wb_frames_advance(&frames, 10);
  push(0, 11);
}
Test(frames, records_out_of_order_are_a_programmer_error, .signal = SIGABRT) {
  wb_frames_advance(&frames, 20);
  push(10, 10);
  push(0, 10);
}
Test(frames, to_push_without_a_slot_is_a_programmer_error, .signal = SIGABRT) {
  for (unsigned i = 0; i <= FRAMES; i++) push(0, 0);
}
Test(frames, to_release_what_was_not_published_is_a_programmer_error, .signal = SIGABRT) {
  push(0, 0);
  wb_frames_release(&frames, 0, 1);
}
Test(frames, a_reader_out_of_range_is_a_programmer_error, .signal = SIGABRT) {
  size_t count;
  wb_frames_peek(&frames, READERS, 0, 1, &count);
}
#endif

Test(frames, a_record_cannot_be_seen_before_publish) {
  size_t count;
  write_and_push(100);
  write_and_push(50);
  cr_expect_null(wb_frames_peek(&frames, 0, 0, SIZE_MAX, &count));
  wb_frames_publish(&frames);
  const wb_frame *frame = wb_frames_peek(&frames, 0, 0, SIZE_MAX, &count);
  cr_assert_eq(count, 2);
  cr_expect(frame[0].position == 0 && frame[0].bytes == 100 && frame[1].position == 100 && frame[1].bytes == 50);
}

Test(frames, peek_skips_and_stops_as_told_and_a_skip_past_the_end_finds_nothing) {
  size_t count;
  for (uint32_t i = 1; i <= 10; i++) write_and_push(i);
  wb_frames_publish(&frames);
  const wb_frame *frame = wb_frames_peek(&frames, 1, 4, 3, &count);
  cr_assert(frame && count == 3);
  cr_expect(frame[0].bytes == 5 && frame[2].bytes == 7);
  cr_expect_null(wb_frames_peek(&frames, 1, 10, 1, &count));
  cr_expect_eq(count, 0);
  cr_expect_null(wb_frames_peek(&frames, 1, SIZE_MAX, 1, &count));
  cr_expect_eq(count, 0);
  cr_expect_null(wb_frames_peek(&frames, 1, 0, 0, &count));
  cr_expect_eq(count, 0);
  wb_frames_release(&frames, 1, 6);
  frame = wb_frames_peek(&frames, 1, 1, SIZE_MAX, &count);
  cr_expect(frame && frame->bytes == 8 && count == 3);
}

Test(frames, memory_comes_back_when_the_slowest_reader_releases) {
  size_t count;
  write_and_push(1000);
  write_and_push(500);
  wb_frames_publish(&frames);
  for (unsigned reader = 0; reader < READERS; reader++) {
    cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT - 1500);
    cr_expect_eq(wb_frames_slots(&frames, SIZE_MAX), FRAMES - 2);
    wb_frames_peek(&frames, reader, 0, SIZE_MAX, &count);
    wb_frames_release(&frames, reader, 1);
  }
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT - 500);
  cr_expect_eq(wb_frames_slots(&frames, SIZE_MAX), FRAMES - 1);
}

Test(frames, room_looks_at_the_readers_only_when_it_knows_less_than_wanted) {
  write_and_push(1000);
  wb_frames_publish(&frames);
  for (unsigned reader = 0; reader < READERS; reader++) read_all(reader);
  cr_expect_eq(wb_frames_room(&frames, LIMIT - 1000), LIMIT - 1000);
  cr_expect_eq(wb_frames_slots(&frames, FRAMES - 1), FRAMES - 1);
  cr_expect_eq(wb_frames_room(&frames, LIMIT - 999), LIMIT);
  cr_expect_eq(wb_frames_slots(&frames, FRAMES), FRAMES);
}

Test(frames, bytes_received_behind_the_last_record_stay_in_use_until_a_record_covers_them) {
  write_and_push(100);
  wb_frames_advance(&frames, 40); /* the beginning of the next message */
  wb_frames_publish(&frames);
  for (unsigned reader = 0; reader < READERS; reader++) read_all(reader);
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT - 40);
  wb_frames_advance(&frames, 60);
  push(110, 90); /* its header of 10 bytes belongs to no record */
  wb_frames_publish(&frames);
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT - 100);
  for (unsigned reader = 0; reader < READERS; reader++) read_all(reader);
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT);
}

Test(frames, a_full_journal_has_room_zero_and_a_full_table_slots_zero) {
  write_and_push(LIMIT);
  cr_expect_eq(wb_frames_room(&frames, 1), 0);
  for (unsigned i = 1; i < FRAMES; i++) push(LIMIT, 0);
  cr_expect_eq(wb_frames_slots(&frames, 1), 0);
  wb_frames_publish(&frames);
  for (unsigned reader = 0; reader < READERS; reader++) read_all(reader);
  cr_expect_eq(wb_frames_room(&frames, 1), LIMIT);
  cr_expect_eq(wb_frames_slots(&frames, 1), FRAMES);
}

Test(frames, a_record_over_the_end_of_the_journal_is_contiguous_and_readable_past_its_end) {
  size_t count;
  write_and_push(BYTES - 100);
  wb_frames_publish(&frames);
  for (unsigned reader = 0; reader < READERS; reader++) read_all(reader);
  memset(wb_frames_head(&frames), 'x', 1000);
  write_and_push(1000);
  wb_frames_publish(&frames);
  const wb_frame *frame = wb_frames_peek(&frames, 0, 0, 1, &count);
  const uint8_t *bytes = wb_frames_at(&frames, frame->position);
  for (size_t i = 0; i < 1000; i++) cr_assert_eq(bytes[i], 'x');
  volatile uint8_t sum = 0;
  for (size_t i = 0; i < WB_READ_SLACK_BYTES; i++) sum = (uint8_t)(sum + bytes[1000 + i]);
}

Test(frames, readable_slack_follows_even_the_last_byte_of_the_double_map) {
  size_t count;
  write_and_push(8);
  wb_frames_publish(&frames);
  for (unsigned reader = 0; reader < READERS; reader++) read_all(reader);
  frames.head = frames.pushed_end = BYTES - 1; /* the longest reach: a record that starts on the last byte of the first map */
  for (unsigned reader = 0; reader < READERS; reader++) frames.reader[reader].released_position = BYTES - 1;
  write_and_push(LIMIT);
  wb_frames_publish(&frames);
  const wb_frame *frame = wb_frames_peek(&frames, 0, 0, 1, &count);
  const uint8_t *end = wb_frames_at(&frames, frame->position) + frame->bytes;
  volatile uint8_t sum = 0;
  for (size_t i = 0; i < WB_READ_SLACK_BYTES; i++) sum = (uint8_t)(sum + end[i]);
}

/* The model: every record ever pushed, in one long list, and how far each reader is. */
enum { RECORDS = 200000 };
static wb_frame list[RECORDS];

static uint8_t byte_at(uint64_t position) { return (uint8_t)(position * 13 + position / 255); }

Test(frames, a_hundred_thousand_random_operations_equal_a_plain_list) {
  seed();
  uint64_t head = 0, end = 0, pushed = 0, published = 0, released[READERS] = {0}, position[READERS] = {0}, seen[READERS] = {0};
  uint64_t stalls = 0;
  for (unsigned turn = 0; turn < 100000; turn++) {
    uint64_t least = UINT64_MAX, least_position = UINT64_MAX;
    for (unsigned i = 0; i < READERS; i++) {
      if (released[i] < least) least = released[i];
      if (position[i] < least_position) least_position = position[i];
    }
    size_t count;
    switch (next() % 5) {
    case 0: {
      size_t room = wb_frames_room(&frames, SIZE_MAX);
      cr_assert_eq(room, LIMIT - (head - least_position));
      size_t bytes = next() % (next() % 20 == 0 ? BYTES : 2000);
      stalls += bytes > room;
      if (bytes > room) bytes = room;
      cr_assert_eq(wb_frames_head(&frames), base + head % BYTES);
      for (size_t i = 0; i < bytes; i++) wb_frames_head(&frames)[i] = byte_at(head + i);
      wb_frames_advance(&frames, bytes);
      head += bytes;
      break;
    }
    case 1:
      cr_assert_eq(wb_frames_slots(&frames, SIZE_MAX), FRAMES - (pushed - least));
      for (uint64_t burst = next() % 8; burst > 0 && pushed - least < FRAMES && pushed < RECORDS; burst--) {
        uint64_t from = end + (next() % 4 == 0 && head > end ? next() % (head - end) % 14 : 0);
        uint64_t bytes = head - from;
        if (next() % 4) bytes = next() % (bytes + 1);
        list[pushed] =
            (wb_frame){.position = from, .bytes = (uint32_t)bytes, .number = pushed, .recv_ns = next(), .kind = WB_FRAME_TEXT};
        wb_frames_push(&frames, &list[pushed++]);
        end = from + bytes;
      }
      break;
    case 2:
      wb_frames_publish(&frames);
      published = pushed;
      break;
    default: {
      unsigned reader = (unsigned)(next() % READERS);
      size_t skip = next() % 3 ? 0 : next() % 10, max = next() % 3 ? SIZE_MAX : next() % 10;
      const wb_frame *frame = wb_frames_peek(&frames, reader, skip, max, &count);
      uint64_t first = released[reader] + skip;
      if (seen[reader] <= first) seen[reader] = published;
      size_t expected = seen[reader] > first ? seen[reader] - first : 0, straight = FRAMES - first % FRAMES;
      if (expected > straight) expected = straight;
      if (expected > max) expected = max;
      cr_assert_eq(count, expected);
      cr_assert_eq(frame != NULL, count > 0);
      for (size_t i = 0; i < count; i++) {
        cr_assert_eq(memcmp(&frame[i], &list[first + i], sizeof *frame), 0);
        const uint8_t *bytes = wb_frames_at(&frames, frame[i].position);
        for (uint32_t j = 0; j < frame[i].bytes; j += 1 + j / 64) cr_assert_eq(bytes[j], byte_at(frame[i].position + j));
      }
      size_t give = count && skip == 0 ? next() % (count + 1) : 0;
      wb_frames_release(&frames, reader, give);
      released[reader] += give;
      if (give) position[reader] = list[released[reader] - 1].position + list[released[reader] - 1].bytes;
    }
    }
  }
  cr_assert_gt(head / BYTES, 20, "%" PRIu64 " laps of the journal", head / BYTES);
  cr_assert_gt(pushed / FRAMES, 100);
  cr_assert_gt(stalls, 10);
}
