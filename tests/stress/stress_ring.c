/* Edges R1 and R2: one producer and one consumer on a ring far smaller than what goes through it, records of random sizes in
 * random bursts, some of them trimmed. The consumer knows from the seed what every record must hold and compares every byte.
 *
 * Usage: stress_ring [BYTES [SEED]]. Exits 1 with a message at the first wrong byte. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/ring/ring.h"
#include "io/memory.h"

enum { RECORD_MAX = 512 };

static wb_ring ring;
static uint64_t total_bytes;
static size_t ring_bytes;

static uint64_t next(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void fail(const char *what, uint64_t a, uint64_t b) {
  fprintf(stderr, "stress_ring: %s: %" PRIu64 " instead of %" PRIu64 " (ring of %zu bytes)\n", what, a, b, ring_bytes);
  exit(1);
}

/* A record: its size in bytes, its number, then words from the content stream, which both sides draw from the same seed. */
static size_t record_bytes(uint64_t *sizes) { return 16 + 8 * (next(sizes) % ((RECORD_MAX - 16) / 8 + 1)); }

typedef struct side {
  uint64_t sizes, content, chance;
} side;

static void pause_sometimes(uint64_t *chance) {
  if (next(chance) % 256 == 0) sched_yield();
}

static uint64_t *claim(size_t bytes) {
  uint64_t *room;
  for (unsigned turn = 0; !(room = wb_ring_claim(&ring, bytes)); turn++) {
    wb_ring_commit(&ring); /* the burst is larger than the room: hand over what there is */
    turn % 64 == 63 ? (void)sched_yield() : wb_pause();
  }
  return room;
}

static void *produce(void *self) {
  side *mine = self;
  uint64_t sent = 0, number = 0;
  while (sent < total_bytes) {
    for (uint64_t burst = 1 + next(&mine->chance) % 32; burst > 0 && sent < total_bytes; burst--) {
      size_t bytes = record_bytes(&mine->sizes), extra = next(&mine->chance) % 4 == 0 ? 8 * (next(&mine->chance) % 8) : 0;
      uint64_t *record = claim(bytes + extra);
      memset(record, 0xee, bytes + extra);
      wb_ring_trim(&ring, extra);
      record[0] = bytes;
      record[1] = number++;
      for (size_t i = 2; i < bytes / 8; i++) record[i] = next(&mine->content);
      sent += bytes;
    }
    wb_ring_commit(&ring);
    pause_sometimes(&mine->chance);
  }
  uint64_t *end = claim(16);
  end[0] = 16;
  end[1] = UINT64_MAX;
  wb_ring_commit(&ring);
  return NULL;
}

static uint64_t consume(side *mine) {
  uint64_t number = 0;
  for (unsigned idle = 0;;) {
    size_t readable, used = 0;
    const uint8_t *bytes = wb_ring_peek(&ring, &readable);
    if (!bytes) {
      ++idle % 64 == 0 ? (void)sched_yield() : wb_pause();
      continue;
    }
    if (readable > ring_bytes) fail("readable bytes", readable, ring_bytes);
    size_t enough = 1 + next(&mine->chance) % (readable + 1);
    while (used < readable && used < enough) {
      const uint64_t *record = (const uint64_t *)(const void *)(bytes + used);
      if (readable - used < 16) fail("a record was cut", readable - used, 16);
      if (record[1] == UINT64_MAX) {
        if (record[0] != 16 || readable - used != 16) fail("bytes of the end record", readable - used, 16);
        wb_ring_release(&ring, readable);
        return number;
      }
      size_t expected = record_bytes(&mine->sizes);
      if (record[0] != expected) fail("record size", record[0], expected);
      if (record[1] != number) fail("record number", record[1], number);
      if (expected > readable - used) fail("a record was cut", readable - used, expected);
      for (size_t i = 2; i < expected / 8; i++) {
        uint64_t word = next(&mine->content);
        if (record[i] != word) fail("content", record[i], word);
      }
      number++;
      used += expected;
    }
    wb_ring_release(&ring, used);
    pause_sometimes(&mine->chance);
  }
}

int main(int argc, char **argv) {
#if defined(WB_ATOMIC_C11)
  const uint64_t wanted = UINT64_C(8) << 20;
#else
  const uint64_t wanted = UINT64_C(1) << 30;
#endif
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
  static const size_t sizes[] = {4096, 65536, 1 << 20};
  printf("seed %" PRIu64 "\n", seed);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    ring_bytes = sizes[i];
    total_bytes = (argc > 1 ? strtoull(argv[1], NULL, 0) : wanted) / 3;
    wb_error error;
    void *base = wb_mirror_open(ring_bytes, true, &error);
    if (!base || wb_ring_init(&ring, base, ring_bytes) != 0) return fprintf(stderr, "stress_ring: no memory\n"), 1;
    side producer = {seed, seed + 1, seed + 2}, consumer = {seed, seed + 1, seed + 3};
    pthread_t thread;
    if (pthread_create(&thread, NULL, produce, &producer) != 0) return fprintf(stderr, "stress_ring: no thread\n"), 1;
    uint64_t records = consume(&consumer);
    pthread_join(thread, NULL);
    if (ring.head != ring.tail || ring.claimed != ring.head) fail("end of the ring", ring.tail, ring.head);
    if (ring.tail < total_bytes) fail("bytes", ring.tail, total_bytes);
    printf("ring of %7zu bytes: %" PRIu64 " records, %" PRIu64 " bytes, %" PRIu64 " laps\n", ring_bytes, records, ring.tail,
           ring.tail / ring_bytes);
    wb_mirror_close(base, ring_bytes);
  }
  return 0;
}
