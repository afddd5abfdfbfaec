/* Edges F1 and F2 with the spill stage between them: a writer of two rings, a parser, the spill stage, and a sink that stands still now and then,
 * each on a thread of its own. Rings turn early. Whatever comes out is compared byte for byte; each number must be stored or in exactly
 * one gap.
 *
 * Usage: stress_spill [RECORDS [SEED]]. Exits 1 with a message at the first wrong byte. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/stages/spill_stage.h"
#include "io/memory.h"

enum { RINGS = 2, FROM_BYTES = 65536, TO_BYTES = 131072, FRAMES = 256, BYTES_MAX = 3000, PARSE = 0, STORE = 1 };

static wb_frames from[RINGS], to[RINGS];
static wb_spill_stage stage;
static uint64_t record_count, seed;
static uint32_t written, spilled; /* ended */

static uint64_t mix(uint64_t value) {
  uint64_t z = value * UINT64_C(0x9e3779b97f4a7c15) + seed;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void fail(const char *what, uint64_t number) {
  fprintf(stderr, "stress_spill: %s: record %" PRIu64 " (seed %" PRIu64 ")\n", what, number, seed);
  exit(1);
}

static uint32_t bytes_of(uint64_t number) { return (uint32_t)(mix(number) >> 16) % (mix(number) % 64 ? 400 : BYTES_MAX); }
static unsigned ring_of(uint64_t number) { return mix(number ^ 77) % 10 == 0; }
static uint8_t byte_at(uint64_t number, uint32_t at) { return (uint8_t)(number * 31 + at * 7 + at / 253); }

static void *write_all(void *self) {
  for (uint64_t number = 0; number < record_count; number++) {
    wb_frames *ring = &from[ring_of(number)];
    uint32_t bytes = bytes_of(number), header = 4;
    wb_frames_turn(ring, 0, header + bytes);
    while (wb_frames_room(ring, header + bytes) < header + bytes || !wb_frames_slots(ring, 1)) sched_yield();
    for (uint32_t i = 0; i < bytes; i++) wb_frames_head(ring)[header + i] = byte_at(number, i);
    wb_frames_advance(ring, header + bytes);
    wb_frames_push(ring, &(wb_frame){.position = ring->head - bytes, .number = number, .bytes = bytes, .kind = WB_FRAME_TEXT});
    wb_frames_publish(ring);
  }
  __atomic_store_n(&written, 1, __ATOMIC_RELEASE);
  return NULL;
}

static void *parse_all(void *self) {
  uint64_t taken = 0;
  while (taken < record_count) {
    uint64_t before = taken;
    for (unsigned i = 0; i < RINGS; i++) {
      size_t count;
      wb_frames_peek(&from[i], PARSE, 0, 32, &count);
      wb_frames_release(&from[i], PARSE, count);
      taken += count;
    }
    if (taken == before) sched_yield();
  }
  return NULL;
}

static void *spill_all(void *self) {
  while (!__atomic_load_n(&written, __ATOMIC_ACQUIRE))
    if (!wb_spill_stage_work(&stage)) sched_yield();
  wb_spill_stage_finish(&stage);
  __atomic_store_n(&spilled, 1, __ATOMIC_RELEASE);
  return NULL;
}

static uint64_t stored, named, gaps;

static size_t drain(unsigned ring, uint8_t *seen) {
  size_t count;
  const wb_frame *frame = wb_frames_peek(&to[ring], 0, 0, 64, &count);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *bytes = wb_frames_at(&to[ring], frame[i].position);
    uint64_t number = frame[i].number;
    wb_gap gap;
    if (frame[i].kind == WB_FRAME_GAP) {
      if (!wb_gap_read(&frame[i], bytes, &gap) || gap.last >= record_count) fail("gap", number);
      for (uint64_t n = gap.first; n <= gap.last; n++)
        if (seen[n]++) fail("named and stored", n);
      named += gap.frames;
      gaps++;
      continue;
    }
    if (number >= record_count || seen[number]++) fail("stored twice", number);
    if (frame[i].bytes != bytes_of(number) || ring_of(number) != ring) fail("frame", number);
    for (uint32_t j = 0; j < frame[i].bytes; j++)
      if (bytes[j] != byte_at(number, j)) fail("bytes", number);
    stored++;
  }
  wb_frames_release(&to[ring], 0, count);
  return count;
}

static void *sink_all(void *self) {
  uint8_t *seen = calloc(record_count, 1);
  for (uint64_t turn = 0;; turn++) {
    /* Stands still, at first and now and then, until records are dropped, or the end. */
    uint64_t dropped = wb_load_relaxed(&stage.dropped_frames);
    if (turn == 0 || mix(~turn) % 4096 == 0)
      while (wb_load_relaxed(&stage.dropped_frames) == dropped && !__atomic_load_n(&spilled, __ATOMIC_ACQUIRE)) sched_yield();
    bool last = __atomic_load_n(&spilled, __ATOMIC_ACQUIRE);
    size_t count = 0;
    for (unsigned i = 0; i < RINGS; i++) count += drain(i, seen);
    if (!count && last) break;
    if (!count) sched_yield();
  }
  for (uint64_t n = 0; n < record_count; n++)
    if (!seen[n]) fail("neither stored nor named", n);
  free(seen);
  return NULL;
}

static int64_t utc_offset_ns(void *self) { return 0; }
static const wb_host host = {.utc_offset_ns = utc_offset_ns};

static void frames_open(wb_frames *frames, size_t bytes, unsigned readers) {
  void *base = wb_mirror_open(bytes, false, NULL);
  wb_frame *frame = calloc(FRAMES, sizeof *frame);
  if (!base || !frame || wb_frames_init(frames, base, bytes, frame, FRAMES, readers)) fail("memory", 0);
  frames->turn_bytes = bytes / 16;
}

int main(int argc, char **argv) {
  record_count = argc > 1 ? strtoull(argv[1], NULL, 0) : 300000;
  seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
  stage = (wb_spill_stage){.ring_count = RINGS, .reader = STORE, .host = &host};
  for (unsigned i = 0; i < RINGS; i++) {
    frames_open(&from[i], FROM_BYTES, 2);
    frames_open(&to[i], TO_BYTES, 1);
    stage.from[i] = &from[i];
    stage.to[i] = &to[i];
  }
  to[RINGS - 1].turn_bytes = 0; /* as of the notes */
  wb_spill_stage_init(&stage);
  void *(*const mains[])(void *) = {write_all, parse_all, spill_all, sink_all};
  pthread_t thread[4];
  for (unsigned i = 0; i < 4; i++)
    if (pthread_create(&thread[i], NULL, mains[i], NULL)) fail("thread", i);
  for (unsigned i = 0; i < 4; i++) pthread_join(thread[i], NULL);
  printf("%" PRIu64 " records: %" PRIu64 " stored, %" PRIu64 " in %" PRIu64 " gaps; seed %" PRIu64 "\n", record_count, stored,
         named, gaps, seed);
  if (!gaps || stored + named != record_count || named != stage.dropped_frames) fail("counts", stored + named);
  for (unsigned i = 0; i < RINGS; i++) {
    wb_mirror_close(from[i].base, FROM_BYTES);
    wb_mirror_close(to[i].base, TO_BYTES);
    free(from[i].frame);
    free(to[i].frame);
  }
  return 0;
}
