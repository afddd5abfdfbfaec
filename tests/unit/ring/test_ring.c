#include "engine/ring/ring.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/memory.h"
#include "tests/unit/random.h"

enum { BYTES = 4096 };
static wb_ring ring;
static uint8_t *base;

static void open_ring(void) {
  base = wb_mirror_open(BYTES, false, NULL);
  cr_assert(base);
  cr_assert_eq(wb_ring_init(&ring, base, BYTES), 0);
}

static void close_ring(void) { wb_mirror_close(base, BYTES); }

Test(ring_init, refuses_no_memory_small_and_crooked_sizes) {
  cr_expect_eq(wb_ring_init(NULL, &ring, 4096), WB_E_INVALID);
  cr_expect_eq(wb_ring_init(&ring, NULL, 4096), WB_E_INVALID);
  static const size_t bad[] = {0, 1, 64, 2048, 4095, 4097, 6144, 12288, SIZE_MAX};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_eq(wb_ring_init(&ring, &ring, bad[i]), WB_E_INVALID);
}

Test(ring_init, words_of_two_threads_never_share_a_pair_of_cache_lines) {
  cr_expect_eq(_Alignof(wb_ring), WB_CACHE_PAIR_BYTES);
  size_t first[] = {offsetof(wb_ring, head),      offsetof(wb_ring, claimed),   offsetof(wb_ring, tail),
                    offsetof(wb_ring, streaming), offsetof(wb_ring, head_seen), offsetof(wb_ring, base)};
  size_t last[] = {offsetof(wb_ring, head),      offsetof(wb_ring, owned), offsetof(wb_ring, tail),
                   offsetof(wb_ring, streaming), offsetof(wb_ring, rest),  offsetof(wb_ring, close_bytes)};
  for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
    cr_expect_eq(first[i] / WB_CACHE_PAIR_BYTES, i);
    cr_expect_eq(last[i] / WB_CACHE_PAIR_BYTES, i);
  }
}

TestSuite(ring, .init = open_ring, .fini = close_ring);

Test(ring, a_new_ring_is_empty) {
  size_t bytes = 7;
  cr_expect_null(wb_ring_peek(&ring, &bytes));
  cr_expect_eq(bytes, 0);
}

#ifdef WB_DEBUG
Test(ring, a_claim_of_nothing_is_a_programmer_error, .signal = SIGABRT) { wb_ring_claim(&ring, 0); }
Test(ring, a_claim_larger_than_the_ring_is_a_programmer_error, .signal = SIGABRT) { wb_ring_claim(&ring, BYTES + 1); }
Test(ring, to_trim_more_than_was_claimed_is_a_programmer_error, .signal = SIGABRT) {
  wb_ring_claim(&ring, 8);
  wb_ring_commit(&ring);
  wb_ring_trim(&ring, 8);
}
Test(ring, to_release_more_than_was_peeked_is_a_programmer_error, .signal = SIGABRT) {
  size_t bytes;
  wb_ring_claim(&ring, 8);
  wb_ring_commit(&ring);
  wb_ring_peek(&ring, &bytes);
  wb_ring_release(&ring, 16);
}
#else
Test(ring, a_claim_larger_than_the_ring_is_never_given) {
  cr_expect_null(wb_ring_claim(&ring, BYTES + 1));
  cr_expect_null(wb_ring_claim(&ring, SIZE_MAX));
  cr_expect_null(wb_ring_claim(&ring, SIZE_MAX - BYTES + 1));
  cr_expect_eq(wb_ring_claim(&ring, BYTES), base);
}
#endif

/* One record in, one look. */
static void pass_on(size_t bytes) {
  size_t found;
  cr_assert(wb_ring_claim(&ring, bytes));
  wb_ring_commit(&ring);
  cr_assert(wb_ring_peek(&ring, &found));
  wb_ring_release(&ring, found);
}

Test(ring, a_look_that_finds_nothing_ends_all_rest) {
  size_t bytes;
  for (unsigned i = 0; i < 100; i++) pass_on(8);
  cr_assert_gt(ring.rest, 0);
  cr_expect_null(wb_ring_peek(&ring, &bytes));
  cr_expect_eq(ring.rest, 0);
  for (unsigned i = 0; i < WB_RING_REST_STEP - 1; i++) {
    pass_on(8);
    cr_expect_eq(ring.rest, 0);
  }
}

Test(ring, records_that_come_one_by_one_never_make_the_consumer_rest) {
  size_t bytes;
  for (unsigned i = 0; i < 1000; i++) {
    cr_assert_null(wb_ring_peek(&ring, &bytes));
    pass_on(8);
    cr_assert_eq(ring.rest, 0);
  }
}

Test(ring, rest_grows_with_the_stream_up_to_its_limit) {
  for (unsigned i = 1; i < 2 * WB_RING_REST_MAX * WB_RING_REST_STEP; i++) {
    pass_on(8);
    cr_assert_eq(ring.rest, i / WB_RING_REST_STEP < WB_RING_REST_MAX ? i / WB_RING_REST_STEP : WB_RING_REST_MAX);
  }
}

Test(ring, the_producer_is_told_that_a_stream_began_and_that_it_ended) {
  size_t bytes;
  for (unsigned turn = 0; turn < 3; turn++) {
    for (unsigned i = 0; i < WB_RING_REST_STEP; i++) {
      cr_expect_eq(ring.streaming, 0);
      pass_on(8);
    }
    for (unsigned i = 0; i < 1000; i++) {
      cr_assert_eq(ring.streaming, 1);
      pass_on(8);
    }
    cr_expect_null(wb_ring_peek(&ring, &bytes));
  }
  cr_expect_eq(ring.streaming, 0);
}

Test(ring, a_consumer_that_is_far_behind_does_not_rest) {
  for (unsigned i = 0; i < 1000; i++) pass_on(8);
  cr_assert_gt(ring.rest, 0);
  pass_on(BYTES / 8);
  cr_expect_eq(ring.rest, 0);
}

Test(ring, a_part_given_back_leaves_the_rest_of_a_burst_as_it_was) {
  for (size_t part = 8; part < BYTES; part += 8) {
    size_t bytes;
    memset(wb_ring_claim(&ring, BYTES), 'x', BYTES);
    wb_ring_commit(&ring);
    wb_ring_peek(&ring, &bytes);
    wb_ring_release(&ring, part);
    const char *left = wb_ring_peek(&ring, &bytes);
    cr_assert_eq(bytes, BYTES - part);
    for (size_t i = 0; i < bytes; i++) cr_assert_eq(left[i], 'x', "byte %zu behind %zu", i, part);
    wb_ring_release(&ring, bytes);
  }
}

Test(ring, a_commit_leaves_everything_unread_as_it_was) {
  /* Up to full, in records that do not fit lines: what a commit writes ahead must stay out of the unread part. */
  for (unsigned lap = 0; lap < 50; lap++) {
    size_t bytes, held = 0, record = 8 * (1 + lap);
    for (; wb_ring_claim(&ring, record); held += record) {
      memset(ring.base + ((ring.claimed - record) & ring.mask), 'y', record);
      wb_ring_commit(&ring);
    }
    const char *all = wb_ring_peek(&ring, &bytes);
    cr_assert_eq(bytes, held);
    for (size_t i = 0; i < bytes; i++) cr_assert_eq(all[i], 'y', "byte %zu of lap %u", i, lap);
    wb_ring_release(&ring, bytes);
    cr_assert_null(wb_ring_peek(&ring, &bytes));
  }
}

Test(ring, what_is_claimed_cannot_be_seen_before_commit) {
  size_t bytes;
  memset(wb_ring_claim(&ring, 16), 'a', 16);
  cr_expect_null(wb_ring_peek(&ring, &bytes));
  memset(wb_ring_claim(&ring, 8), 'b', 8);
  cr_expect_null(wb_ring_peek(&ring, &bytes));
  wb_ring_commit(&ring);
  const char *text = wb_ring_peek(&ring, &bytes);
  cr_assert_eq(bytes, 24);
  cr_expect_eq(memcmp(text, "aaaaaaaaaaaaaaaabbbbbbbb", 24), 0);
}

Test(ring, a_trimmed_end_is_never_seen_and_is_claimed_again) {
  size_t bytes;
  uint8_t *first = wb_ring_claim(&ring, 64);
  wb_ring_trim(&ring, 40);
  cr_expect_eq(wb_ring_claim(&ring, 8), first + 24);
  wb_ring_trim(&ring, 8);
  wb_ring_commit(&ring);
  cr_expect_eq(wb_ring_peek(&ring, &bytes), first);
  cr_expect_eq(bytes, 24);
  wb_ring_claim(&ring, 8);
  wb_ring_trim(&ring, 8);
  wb_ring_commit(&ring);
  wb_ring_release(&ring, 24);
  cr_expect_null(wb_ring_peek(&ring, &bytes));
}

Test(ring, a_full_ring_gives_no_claim_until_room_is_released) {
  size_t bytes;
  cr_assert(wb_ring_claim(&ring, BYTES));
  cr_expect_null(wb_ring_claim(&ring, 1));
  wb_ring_commit(&ring);
  cr_expect_null(wb_ring_claim(&ring, 1));
  cr_assert(wb_ring_peek(&ring, &bytes));
  cr_expect_eq(bytes, BYTES);
  wb_ring_release(&ring, 8);
  cr_expect_null(wb_ring_claim(&ring, 9));
  cr_expect_eq(wb_ring_claim(&ring, 8), base);
  cr_expect_null(wb_ring_claim(&ring, 1));
}

Test(ring, a_record_over_the_end_is_contiguous_on_both_sides) {
  size_t bytes;
  wb_ring_claim(&ring, BYTES - 8);
  wb_ring_commit(&ring);
  wb_ring_peek(&ring, &bytes);
  wb_ring_release(&ring, BYTES - 8);
  char *text = wb_ring_claim(&ring, 32);
  cr_assert(text);
  strcpy(text, "over the end, and on it goes..");
  wb_ring_commit(&ring);
  cr_expect_str_eq((const char *)wb_ring_peek(&ring, &bytes), "over the end, and on it goes..");
  cr_expect_eq(bytes, 32);
}

Test(ring, positions_may_pass_the_end_of_64_bits) {
  size_t bytes;
  ring.head = ring.claimed = ring.tail = ring.head_seen = ring.tail_seen = UINT64_MAX - BYTES + 1 - 64;
  for (unsigned i = 0; i < 1000; i++) {
    uint64_t *word = wb_ring_claim(&ring, 8 * (1 + i % 100));
    cr_assert(word);
    word[0] = i;
    wb_ring_commit(&ring);
    const uint64_t *seen = wb_ring_peek(&ring, &bytes);
    cr_assert(bytes == 8 * (1 + i % 100) && *seen == i);
    wb_ring_release(&ring, bytes);
  }
}

Test(ring, two_hundred_thousand_random_operations_equal_a_plain_queue) {
  seed();
  enum { OPERATIONS = 200000 };
  uint64_t written = 0, committed = 0, consumed = 0, seen = 0, laps = 0;
  for (unsigned turn = 0; turn < OPERATIONS; turn++) {
    size_t bytes = 1 + next() % (next() % 50 == 0 ? BYTES : 300), readable;
    switch (next() % 6) {
    case 0:
    case 1: {
      uint8_t *room = wb_ring_claim(&ring, bytes);
      cr_assert_eq(room != NULL, bytes <= BYTES - (written - consumed));
      if (!room) break;
      cr_assert_eq(room, base + written % BYTES);
      for (size_t i = 0; i < bytes; i++) room[i] = (uint8_t)((written + i) * 7 + (written + i) / 251);
      written += bytes;
      break;
    }
    case 2:
      bytes = next() % 40;
      if (bytes > written - committed) break;
      wb_ring_trim(&ring, bytes);
      written -= bytes;
      break;
    case 3:
      wb_ring_commit(&ring);
      committed = written;
      break;
    default: {
      const uint8_t *text = wb_ring_peek(&ring, &readable);
      if (seen == consumed) seen = committed; /* it looks again only when it has read all it knew */
      cr_assert_eq(readable, seen - consumed);
      cr_assert_eq(text != NULL, readable > 0);
      for (size_t i = 0; i < readable; i++)
        cr_assert_eq(text[i], (uint8_t)((consumed + i) * 7 + (consumed + i) / 251), "position %" PRIu64, consumed + i);
      size_t part = readable ? next() % (readable + 1) : 0;
      wb_ring_release(&ring, part);
      consumed += part;
    }
    }
    laps = consumed / BYTES;
  }
  cr_assert_gt(laps, 100);
}
