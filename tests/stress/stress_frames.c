/* Edges F1 and F2: one writer and three readers of one journal that is lapped many times, each reader at a pace of its own: one
 * releases at once, one by the batch, one keeps many records and peeks past them (as a flusher with writes in flight does) and
 * compares the bytes once more just before it gives them back. Records are of random sizes, gaps between them included; every
 * descriptor and every byte is compared with what the seed says.
 *
 * Usage: stress_frames [RECORDS [SEED]]. Exits 1 with a message at the first wrong byte. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/ring/frames.h"
#include "io/memory.h"

enum { JOURNAL_BYTES = 65536, FRAMES = 256, READERS = 3, HELD = 100 };

static wb_frames frames;
static wb_frame descriptors[FRAMES];
static uint64_t record_count, seed;

static uint64_t mix(uint64_t value) {
  uint64_t z = value * UINT64_C(0x9e3779b97f4a7c15) + seed;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void fail(unsigned reader, const char *what, uint64_t a, uint64_t b) {
  fprintf(stderr, "stress_frames: reader %u: %s: %" PRIu64 " instead of %" PRIu64 " (seed %" PRIu64 ")\n", reader, what, a, b,
          seed);
  exit(1);
}

/* Most records are like those of the feed, a few are as large as half of the journal. */
static uint32_t bytes_of(uint64_t number) {
  uint64_t chance = mix(number * 4);
  return (uint32_t)(chance % 512 == 0 ? (chance >> 16) % (JOURNAL_BYTES / 2) : (chance >> 16) % 400);
}

static uint32_t gap_of(uint64_t number) { return (uint32_t)(mix(number * 4 + 1) % 15); }

static void fill(uint8_t *bytes, uint32_t count, uint64_t number) {
  uint64_t word = mix(number * 4 + 2);
  for (uint32_t i = 0; i + 8 <= count; i += 8, word += UINT64_C(0x9e3779b97f4a7c15)) memcpy(bytes + i, &word, 8);
  for (uint32_t i = count & ~7u; i < count; i++) bytes[i] = (uint8_t)(word >> (i % 8 * 8));
}

static void check(unsigned reader, const wb_frame *frame, uint64_t number, uint64_t end) {
  if (frame->number != number) fail(reader, "number", frame->number, number);
  if (frame->bytes != bytes_of(number)) fail(reader, "bytes", frame->bytes, bytes_of(number));
  if (frame->position != end + gap_of(number)) fail(reader, "position", frame->position, end + gap_of(number));
  if (frame->recv_ns != mix(number * 4 + 3)) fail(reader, "recv_ns", frame->recv_ns, mix(number * 4 + 3));
  uint8_t expected[JOURNAL_BYTES / 2];
  fill(expected, frame->bytes, number);
  if (memcmp(wb_frames_at(&frames, frame->position), expected, frame->bytes) != 0)
    fail(reader, "content of record", number, number);
}

static void wait_a_little(unsigned *turn) { ++*turn % 64 == 0 ? (void)sched_yield() : wb_pause(); }

static void *write_all(void *self) {
  unsigned turn = 0;
  uint64_t chance = 1;
  for (uint64_t number = 0; number < record_count;) {
    for (uint64_t burst = 1 + mix(~chance++) % 40; burst > 0 && number < record_count; burst--, number++) {
      uint32_t gap = gap_of(number), bytes = bytes_of(number);
      while (wb_frames_room(&frames, gap + bytes) < gap + bytes || wb_frames_slots(&frames, 1) < 1) {
        wb_frames_publish(&frames);
        wait_a_little(&turn);
      }
      wb_frame frame = {.position = frames.head + gap, .recv_ns = mix(number * 4 + 3), .number = number, .bytes = bytes};
      memset(wb_frames_head(&frames), 0xee, gap);
      fill(wb_frames_head(&frames) + gap, bytes, number);
      /* Half of the records arrive in two pieces. */
      if (bytes % 2) wb_frames_advance(&frames, gap);
      wb_frames_advance(&frames, bytes % 2 ? bytes : gap + bytes);
      wb_frames_push(&frames, &frame);
    }
    wb_frames_publish(&frames);
  }
  return NULL;
}

static void *read_all(void *self) {
  unsigned reader = *(unsigned *)self, turn = 0;
  uint64_t number = 0, end = 0, chance = reader, held_number = 0, held_end = 0;
  size_t held = 0;
  while (held_number < record_count) {
    size_t count, max = reader == 0 ? 1 : SIZE_MAX;
    const wb_frame *frame = wb_frames_peek(&frames, reader, held, max, &count);
    for (size_t i = 0; i < count; i++) {
      check(reader, &frame[i], number++, end);
      end = frame[i].position + frame[i].bytes;
    }
    held += count;
    if (count == 0) wait_a_little(&turn);
    /* The last reader keeps records until it has many, or until there is nothing more to come by. */
    size_t give = reader < 2 ? held : held > HELD || count == 0 ? mix(~chance++) % (held + 1) : 0;
    if (reader == 2 && give > 0) {
      size_t left = give;
      while (left > 0) {
        const wb_frame *again = wb_frames_peek(&frames, reader, give - left, left, &count);
        if (count == 0) fail(reader, "records held", left, give);
        for (size_t i = 0; i < count; i++) {
          check(reader, &again[i], held_number++, held_end);
          held_end = again[i].position + again[i].bytes;
        }
        left -= count;
      }
    } else {
      held_number += give;
    }
    wb_frames_release(&frames, reader, give);
    held -= give;
    if (mix(~chance++) % 512 == 0) sched_yield();
  }
  if (number != record_count) fail(reader, "records", number, record_count);
  return NULL;
}

int main(int argc, char **argv) {
#if defined(WB_ATOMIC_C11)
  record_count = 30000;
#else
  record_count = 1000000;
#endif
  if (argc > 1) record_count = strtoull(argv[1], NULL, 0);
  seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
  printf("seed %" PRIu64 "\n", seed);
  void *base = wb_mirror_open(JOURNAL_BYTES, true, NULL);
  if (!base || wb_frames_init(&frames, base, JOURNAL_BYTES, descriptors, FRAMES, READERS) != 0)
    return fprintf(stderr, "stress_frames: no memory\n"), 1;
  pthread_t thread[READERS];
  unsigned reader[READERS];
  for (unsigned i = 0; i < READERS; i++) {
    reader[i] = i;
    if (pthread_create(&thread[i], NULL, read_all, &reader[i]) != 0) return fprintf(stderr, "stress_frames: no thread\n"), 1;
  }
  write_all(NULL);
  for (unsigned i = 0; i < READERS; i++) pthread_join(thread[i], NULL);
  size_t room = wb_frames_room(&frames, SIZE_MAX), slots = wb_frames_slots(&frames, SIZE_MAX);
  if (room != JOURNAL_BYTES - WB_READ_SLACK_BYTES) fail(READERS, "room at the end", room, JOURNAL_BYTES - WB_READ_SLACK_BYTES);
  if (slots != FRAMES) fail(READERS, "slots at the end", slots, FRAMES);
  printf("%" PRIu64 " records to %d readers, %" PRIu64 " laps of the journal, %" PRIu64 " of the descriptors\n", record_count,
         READERS, frames.head / JOURNAL_BYTES, record_count / FRAMES);
  wb_mirror_close(base, JOURNAL_BYTES);
  return 0;
}
