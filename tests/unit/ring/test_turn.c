/* wb_frames_turn: a journal that goes back to its beginning early, and jumps over what its readers still hold there. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "engine/ring/frames.h"
#include "io/memory.h"
#include "tests/unit/random.h"

enum { BYTES = 65536, FRAMES = 1024, READERS = 2, LIMIT = BYTES - WB_READ_SLACK_BYTES, TURN = 4096 };
static wb_frames frames;
static wb_frame descriptors[FRAMES];
static uint8_t *base;

static void open_frames(void) {
  base = wb_mirror_open(BYTES, false, NULL);
  cr_assert(base);
  cr_assert_eq(wb_frames_init(&frames, base, BYTES, descriptors, FRAMES, READERS), 0);
  frames.turn_bytes = TURN;
}

static void close_frames(void) { wb_mirror_close(base, BYTES); }

static void write_record(uint32_t bytes) {
  cr_assert_geq(wb_frames_room(&frames, bytes), bytes);
  uint64_t position = frames.head;
  memset(wb_frames_head(&frames), (int)(bytes % 251), bytes);
  wb_frames_advance(&frames, bytes);
  wb_frames_push(&frames, &(wb_frame){.position = position, .bytes = bytes});
  wb_frames_publish(&frames);
}

static void release(unsigned reader, size_t most) {
  size_t count;
  while (most && wb_frames_peek(&frames, reader, 0, most, &count)) {
    wb_frames_release(&frames, reader, count);
    most -= count;
  }
}

static void release_all(void) {
  for (unsigned reader = 0; reader < READERS; reader++) release(reader, SIZE_MAX);
}

TestSuite(turn, .init = open_frames, .fini = close_frames);

Test(turn, nothing_turns_that_was_not_told_to) {
  frames.turn_bytes = 0;
  write_record(TURN);
  release_all();
  cr_expect(!wb_frames_turn(&frames, 0, 1));
  cr_expect_eq(frames.head, TURN);
}

Test(turn, none_is_due_before_turn_bytes_are_written) {
  write_record(TURN - 1);
  release_all();
  cr_expect(!wb_frames_turn(&frames, 0, 1));
}

Test(turn, none_is_due_before_three_quarters_are_released_by_the_slowest) {
  for (unsigned i = 0; i < 8; i++) write_record(TURN / 8);
  release(0, SIZE_MAX);
  release(1, 5);
  cr_expect(!wb_frames_turn(&frames, 0, 1));
  release(1, 1);
  write_record(TURN / 8); /* it is looked for once in an eighth */
  release(0, SIZE_MAX);
  release(1, 1);
  cr_expect(wb_frames_turn(&frames, 0, 1));
  cr_expect_eq(frames.head, BYTES);
  cr_expect_eq(wb_frames_head(&frames), base);
}

Test(turn, after_it_the_whole_journal_is_free_when_all_is_released) {
  write_record(TURN);
  release_all();
  cr_assert(wb_frames_turn(&frames, 0, 1));
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT);
  cr_expect_eq(wb_frames_held(&frames), 0);
  write_record(LIMIT); /* the largest there is */
  cr_expect_eq(wb_frames_held(&frames), LIMIT);
}

Test(turn, the_beginning_of_a_message_moves_along) {
  write_record(TURN);
  memcpy(wb_frames_head(&frames), "begun", 5);
  wb_frames_advance(&frames, 5);
  release_all();
  cr_assert(wb_frames_turn(&frames, 5, 1));
  cr_expect_eq(frames.head, BYTES + 5);
  cr_expect_eq(memcmp(base, "begun", 5), 0);
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT - 5);
}

Test(turn, what_a_reader_holds_keeps_its_place_and_is_jumped_over) {
  for (unsigned i = 0; i < 8; i++) write_record(TURN / 8);
  release(0, SIZE_MAX);
  release(1, 6);
  cr_assert(wb_frames_turn(&frames, 0, 1));
  cr_expect_eq(wb_frames_held(&frames), TURN / 4);
  size_t before = wb_frames_room(&frames, SIZE_MAX);
  cr_expect_eq(before, TURN / 8 * 6 - WB_READ_SLACK_BYTES);
  write_record((uint32_t)before);
  memcpy(wb_frames_head(&frames) - 3, "end", 3);
  cr_expect(wb_frames_turn(&frames, 0, 1));
  cr_expect_eq(frames.head, BYTES + TURN);
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT - TURN);
  cr_expect_eq(wb_frames_held(&frames), TURN / 4 + before);
  write_record(LIMIT - TURN);
  cr_expect_eq(wb_frames_room(&frames, 1), 0);
  cr_expect(!wb_frames_turn(&frames, 0, 1));
  size_t count;
  const wb_frame *held = wb_frames_peek(&frames, 1, 0, SIZE_MAX, &count);
  cr_assert_eq(count, 2); /* known since before the turn */
  for (unsigned i = 0; i < 2; i++) {
    const uint8_t *at = wb_frames_at(&frames, held[i].position);
    for (unsigned j = 0; j < TURN / 8; j++) cr_assert_eq(at[j], TURN / 8 % 251);
  }
  held = wb_frames_peek(&frames, 1, 2, SIZE_MAX, &count);
  cr_assert_eq(count, 2);
  cr_expect_eq(memcmp(wb_frames_at(&frames, held[0].position) + before - 3, "end", 3), 0);
  release_all();
  cr_expect_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT);
}

/* The model is the memory itself: bytes of records that a reader has still to release are never written again, and whenever nothing is held,
 * all of the journal is free. */
enum { RECORDS = 400000 };
static struct {
  uint64_t position, number;
  uint32_t bytes;
} list[RECORDS];
static uint8_t owner[BYTES]; /* readers that hold a byte */

static void own(uint64_t position, uint32_t bytes, int more) {
  for (uint32_t i = 0; i < bytes; i++) owner[(position + i) % BYTES] = (uint8_t)(owner[(position + i) % BYTES] + more);
}

static uint8_t byte_at(uint64_t number, uint32_t at) { return (uint8_t)(number * 31 + at * 7 + at / 251); }

Test(turn, a_hundred_thousand_random_operations_never_touch_what_a_reader_holds) {
  seed();
  uint64_t pushed = 0, released[READERS] = {0}, lazy = 0, turns = 0, jumps = 0, fulls = 0;
  size_t rest = 0; /* of the record to come, bytes that lie below the head */
  uint32_t coming = 0;
  for (unsigned step = 0; step < 100000 && pushed < RECORDS; step++) {
    if (next() % 8 < 5) {
      if (rest <= TURN / 4) {
        uint64_t skipped = frames.skip_to, jumped = frames.jump_to;
        uint8_t before[TURN / 4];
        memcpy(before, wb_frames_at(&frames, frames.head - rest), rest);
        size_t wanted = 1 + next() % 8192;
        if (wb_frames_turn(&frames, rest, wanted)) {
          turns += frames.skip_to != skipped;
          jumps += frames.jump_to != jumped && frames.jump_to;
          cr_assert_eq(memcmp(before, wb_frames_at(&frames, frames.head - rest), rest), 0);
          for (size_t i = 0; i < rest; i++) cr_assert_eq(owner[(frames.head - rest + i) % BYTES], 0);
        }
      }
      if (!coming) coming = 1 + (uint32_t)(next() % (next() % 50 == 0 ? 20000 : next() % 4 ? 300 : 3000));
      size_t room = wb_frames_room(&frames, SIZE_MAX), bytes = next() % (coming - rest + 1);
      fulls += bytes > room;
      if (bytes > room) bytes = room;
      for (size_t i = 0; i < bytes; i++) {
        cr_assert_eq(owner[(frames.head + i) % BYTES], 0, "step %u", step);
        wb_frames_head(&frames)[i] = byte_at(pushed, (uint32_t)(rest + i));
      }
      wb_frames_advance(&frames, bytes);
      rest += bytes;
      if (rest == coming && wb_frames_slots(&frames, 1)) {
        list[pushed].position = frames.head - rest;
        list[pushed].bytes = coming;
        wb_frames_push(&frames, &(wb_frame){.position = frames.head - rest, .bytes = coming, .number = pushed});
        wb_frames_publish(&frames);
        own(list[pushed].position, coming, READERS);
        pushed++;
        rest = coming = 0;
      }
    } else {
      unsigned reader = (unsigned)(next() % READERS);
      if (next() % 200 == 0) lazy = next() % 4; /* 2 and 3: nobody */
      size_t count, give = reader == lazy ? next() % 8 == 0 : next() % 16 == 0 ? SIZE_MAX : next() % 4;
      const wb_frame *frame = wb_frames_peek(&frames, reader, 0, give, &count);
      for (size_t i = 0; i < count; i++) {
        uint64_t number = released[reader] + i;
        cr_assert(frame[i].number == number && frame[i].position == list[number].position);
        const uint8_t *at = wb_frames_at(&frames, frame[i].position);
        for (uint32_t j = 0; j < frame[i].bytes; j++) cr_assert_eq(at[j], byte_at(number, j), "step %u", step);
        own(list[number].position, list[number].bytes, -1);
      }
      wb_frames_release(&frames, reader, count);
      released[reader] += count;
      if (released[0] == pushed && released[1] == pushed && !rest) {
        cr_assert_eq(wb_frames_room(&frames, SIZE_MAX), LIMIT, "step %u", step);
        cr_assert_eq(wb_frames_held(&frames), 0);
      }
    }
  }
  cr_assert_gt(turns, 100, "%" PRIu64 " turns", turns);
  cr_assert_gt(jumps, 20, "%" PRIu64 " jumps", jumps);
  cr_assert_gt(fulls, 20, "%" PRIu64 " times full", fulls);
}
