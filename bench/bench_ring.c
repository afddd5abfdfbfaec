/* bench_ring.c - what it costs to hand a record to another CPU.
 *
 * What:    ring/...: wb_ring between two pinned threads, records of 8, 32 and 64 bytes, `batch` records a commit; the consumer
 *          takes all there is and releases it at once. frames/...: wb_frames with one reader, a descriptor and 128 bytes a
 * record. ck_ring/...: Concurrency Kit's SPSC ring as it comes (ck_ring_enqueue_spsc moves a pointer; the others a record by a
 *          ring of their type). rtt/...: there and back again, one record at a time, against a bare cache line.
 * Check:   the consumer sums what it reads, weighted by order; the sum must be the producer's.
 * Read:    throughput in ns/item; the ratio is to the line named. Compare within one run only: the host moves the CPUs closer
 *          together and farther apart (see the control line). */
#include <ck_ring.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "engine/ring/frames.h"
#include "engine/ring/ring.h"
#include "io/cpu.h"
#include "io/memory.h"

enum { RING_BYTES = 1 << 19, SLOTS = 16384, FRAME_BYTES = 128, JOURNAL_BYTES = 1 << 21 };

typedef struct record8 {
  uint64_t word[1];
} record8;
typedef struct record32 {
  uint64_t word[4];
} record32;
typedef struct record64 {
  uint64_t word[8];
} record64;

CK_RING_PROTOTYPE(record8, record8)
CK_RING_PROTOTYPE(record32, record32)
CK_RING_PROTOTYPE(record64, record64)

typedef struct wb_parameter {
  uint64_t (*produce)(void *state, uint64_t count);
  uint64_t (*consume)(void *state, uint64_t count);
  uint64_t batch;
  uint64_t bytes; /* a record */
} wb_parameter;

/* One thread stays for the life of the case: it waits for `turn` to change, does its half of the run and says so in `done`. */
typedef struct wb_pair {
  const wb_parameter *parameter;
  pthread_t thread;
  bool running;
  uint64_t sum, peer_sum;
  _Alignas(128) uint64_t turn;
  uint64_t count;
  bool stop;
  _Alignas(128) uint64_t done;
  _Alignas(128) wb_ring ring;
  _Alignas(128) wb_ring back;
  _Alignas(128) wb_frames frames;
  _Alignas(128) ck_ring_t ck;
  _Alignas(128) ck_ring_t ck_back;
  _Alignas(128) uint64_t line;
  _Alignas(128) void *memory, *back_memory, *journal;
  wb_frame *descriptor;
  void *slots, *back_slots;
} wb_pair;

/* The value of word `word` of record `number`, cheap to make and to check, different in every record of a lap. */
static inline uint64_t value_of(uint64_t number, uint64_t word) { return number * 8 + word + 1; }
static inline uint64_t weigh(uint64_t sum, uint64_t value) { return (sum << 1 | sum >> 63) + value; }

/* ------------------------------------------------------------------------------------------------ wb_ring, one way */

/* One body, compiled for each record size. */
static inline __attribute__((always_inline)) uint64_t ring_produce(wb_pair *pair, uint64_t count, size_t size) {
  uint64_t sum = 0, batch = pair->parameter->batch;
  for (uint64_t number = 0; number < count;) {
    for (uint64_t burst = count - number < batch ? count - number : batch; burst > 0; burst--, number++) {
      uint64_t *record;
      while (!(record = wb_ring_claim(&pair->ring, size))) wb_ring_commit(&pair->ring), wb_pause();
      for (uint64_t i = 0; i < size / 8; i++) record[i] = value_of(number, i);
      sum = weigh(sum, value_of(number, 0) ^ value_of(number, size / 8 - 1));
    }
    wb_ring_commit(&pair->ring);
  }
  return sum;
}

static inline __attribute__((always_inline)) uint64_t ring_consume(wb_pair *pair, uint64_t count, size_t size) {
  uint64_t sum = 0;
  while (count > 0) {
    size_t bytes;
    const uint64_t *record = wb_ring_peek(&pair->ring, &bytes);
    if (!record) {
      wb_pause();
      continue;
    }
    for (size_t at = 0; at < bytes; at += size, record += size / 8) sum = weigh(sum, record[0] ^ record[size / 8 - 1]);
    count -= bytes / size;
    wb_ring_release(&pair->ring, bytes);
  }
  return sum;
}

static uint64_t ring_produce8(void *pair, uint64_t count) { return ring_produce(pair, count, 8); }
static uint64_t ring_consume8(void *pair, uint64_t count) { return ring_consume(pair, count, 8); }
static uint64_t ring_produce32(void *pair, uint64_t count) { return ring_produce(pair, count, 32); }
static uint64_t ring_consume32(void *pair, uint64_t count) { return ring_consume(pair, count, 32); }
static uint64_t ring_produce64(void *pair, uint64_t count) { return ring_produce(pair, count, 64); }
static uint64_t ring_consume64(void *pair, uint64_t count) { return ring_consume(pair, count, 64); }

/* ------------------------------------------------------------------------------------------------ ck_ring, one way */

#define CK_CASE(size)                                                                                                          \
  static uint64_t ck_produce##size(void *self, uint64_t count) {                                                               \
    wb_pair *pair = self;                                                                                                      \
    uint64_t sum = 0;                                                                                                          \
    for (uint64_t number = 0; number < count; number++) {                                                                      \
      record##size record;                                                                                                     \
      for (uint64_t i = 0; i < size / 8; i++) record.word[i] = value_of(number, i);                                            \
      while (!CK_RING_ENQUEUE_SPSC(record##size, &pair->ck, pair->slots, &record)) ck_pr_stall();                              \
      sum = weigh(sum, value_of(number, 0) ^ value_of(number, size / 8 - 1));                                                  \
    }                                                                                                                          \
    return sum;                                                                                                                \
  }                                                                                                                            \
  static uint64_t ck_consume##size(void *self, uint64_t count) {                                                               \
    wb_pair *pair = self;                                                                                                      \
    uint64_t sum = 0;                                                                                                          \
    for (; count > 0; count--) {                                                                                               \
      record##size record;                                                                                                     \
      while (!CK_RING_DEQUEUE_SPSC(record##size, &pair->ck, pair->slots, &record)) ck_pr_stall();                              \
      sum = weigh(sum, record.word[0] ^ record.word[size / 8 - 1]);                                                            \
    }                                                                                                                          \
    return sum;                                                                                                                \
  }
CK_CASE(8)
CK_CASE(32)
CK_CASE(64)

/* ------------------------------------------------------------------------------------------------ wb_frames, one reader */

static uint64_t frames_produce(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0, batch = pair->parameter->batch;
  for (uint64_t number = 0; number < count;) {
    uint64_t burst = count - number < batch ? count - number : batch;
    for (; burst > 0; burst--, number++) {
      while (wb_frames_room(&pair->frames, FRAME_BYTES) < FRAME_BYTES || wb_frames_slots(&pair->frames, 1) < 1)
        wb_frames_publish(&pair->frames), wb_pause();
      wb_frame frame = {.position = pair->frames.head, .number = number, .bytes = FRAME_BYTES, .kind = WB_FRAME_TEXT};
      uint64_t *bytes = (uint64_t *)(void *)wb_frames_head(&pair->frames);
      for (uint64_t i = 0; i < FRAME_BYTES / 8; i++) bytes[i] = value_of(number, i);
      wb_frames_advance(&pair->frames, FRAME_BYTES);
      wb_frames_push(&pair->frames, &frame);
      sum = weigh(sum, value_of(number, 0) ^ value_of(number, FRAME_BYTES / 8 - 1));
    }
    wb_frames_publish(&pair->frames);
  }
  return sum;
}

static uint64_t frames_consume(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  while (count > 0) {
    size_t found;
    const wb_frame *frame = wb_frames_peek(&pair->frames, 0, 0, SIZE_MAX, &found);
    if (!frame) {
      wb_pause();
      continue;
    }
    for (size_t i = 0; i < found; i++) {
      const uint64_t *bytes = (const uint64_t *)(const void *)wb_frames_at(&pair->frames, frame[i].position);
      sum = weigh(sum, bytes[0] ^ bytes[frame[i].bytes / 8 - 1]);
    }
    wb_frames_release(&pair->frames, 0, found);
    count -= found;
  }
  return sum;
}

/* ------------------------------------------------------------------------------------------------ there and back again */

static uint64_t rtt_line_ask(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    wb_store_release(&pair->line, 2 * number + 1);
    while (wb_load_acquire(&pair->line) != 2 * number + 2) continue;
    sum = weigh(sum, 2 * number + 1);
  }
  pair->line = 0;
  return sum;
}

static uint64_t rtt_line_answer(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0, asked;
  for (uint64_t number = 0; number < count; number++) {
    while ((asked = wb_load_acquire(&pair->line)) != 2 * number + 1) continue;
    wb_store_release(&pair->line, asked + 1);
    sum = weigh(sum, asked);
  }
  return sum;
}

static inline void send(wb_ring *ring, uint64_t value) {
  *(uint64_t *)wb_ring_claim(ring, 32) = value;
  wb_ring_commit(ring);
}

static inline uint64_t receive(wb_ring *ring, bool expect) {
  const uint64_t *record;
  size_t bytes;
  while (!(record = wb_ring_peek(ring, &bytes)))
    if (expect) wb_ring_expect(ring);
  uint64_t value = *record;
  wb_ring_release(ring, 32);
  return value;
}

static inline uint64_t ring_ask(wb_pair *pair, uint64_t count, bool expect) {
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    send(&pair->ring, number);
    sum = weigh(sum, receive(&pair->back, expect) - 1);
  }
  return sum;
}

static inline uint64_t ring_answer(wb_pair *pair, uint64_t count, bool expect) {
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    uint64_t value = receive(&pair->ring, expect);
    send(&pair->back, value + 1);
    sum = weigh(sum, value);
  }
  return sum;
}

static uint64_t rtt_ring_ask(void *pair, uint64_t count) { return ring_ask(pair, count, false); }
static uint64_t rtt_ring_answer(void *pair, uint64_t count) { return ring_answer(pair, count, false); }
static uint64_t rtt_expect_ask(void *pair, uint64_t count) { return ring_ask(pair, count, true); }
static uint64_t rtt_expect_answer(void *pair, uint64_t count) { return ring_answer(pair, count, true); }

static uint64_t rtt_ck_ask(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    record32 record = {{number}};
    while (!CK_RING_ENQUEUE_SPSC(record32, &pair->ck, pair->slots, &record)) continue;
    while (!CK_RING_DEQUEUE_SPSC(record32, &pair->ck_back, pair->back_slots, &record)) continue;
    sum = weigh(sum, record.word[0] - 1);
  }
  return sum;
}

static uint64_t rtt_ck_answer(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    record32 record;
    while (!CK_RING_DEQUEUE_SPSC(record32, &pair->ck, pair->slots, &record)) continue;
    sum = weigh(sum, record.word[0]);
    record.word[0]++;
    while (!CK_RING_ENQUEUE_SPSC(record32, &pair->ck_back, pair->back_slots, &record)) continue;
  }
  return sum;
}

/* ------------------------------------------------------------------------------------------------ the pair of threads */

static void *peer(void *self) {
  wb_pair *pair = self;
  wb_cpu_pin(pthread_self(), wb_bench_cpu(1), NULL);
  wb_cpu_name(pthread_self(), "bench-peer");
  for (uint64_t seen = 0;;) {
    while (wb_load_acquire(&pair->turn) == seen) wb_pause();
    seen++;
    if (pair->stop) return NULL;
    wb_store_release(&pair->done, seen * 2 - 1);
    pair->peer_sum = pair->parameter->consume(pair, pair->count);
    wb_store_release(&pair->done, seen * 2);
  }
}

static void run(void *self, wb_bench_run *run) {
  wb_pair *pair = self;
  uint64_t turn = pair->turn + 1;
  pair->count = run->iterations;
  wb_store_release(&pair->turn, turn);
  while (wb_load_acquire(&pair->done) < turn * 2 - 1) wb_pause();
  uint64_t start = wb_bench_now_ns(), cycles = wb_bench_cycles();
  pair->sum = pair->parameter->produce(pair, run->iterations);
  while (wb_load_acquire(&pair->done) < turn * 2) wb_pause();
  run->cycles = wb_bench_cycles() - cycles;
  run->elapsed_ns = wb_bench_now_ns() - start;
  run->items = run->iterations;
  run->bytes = run->iterations * pair->parameter->bytes;
}

static const char *check(void *self, const wb_bench_run *run) {
  wb_pair *pair = self;
  return pair->sum == pair->peer_sum ? NULL : "the consumer read other records than the producer wrote";
}

static void teardown(void *self) {
  wb_pair *pair = self;
  if (pair->running) {
    pair->stop = true;
    wb_store_release(&pair->turn, pair->turn + 1);
    pthread_join(pair->thread, NULL);
  }
  wb_mirror_close(pair->memory, RING_BYTES);
  wb_mirror_close(pair->back_memory, RING_BYTES);
  wb_mirror_close(pair->journal, JOURNAL_BYTES);
  free(pair->descriptor);
  free(pair->slots);
  free(pair->back_slots);
  free(pair);
}

static void *setup(const void *parameter, bool smoke) {
  wb_pair *pair = aligned_alloc(128, sizeof *pair);
  if (!pair) return NULL;
  memset(pair, 0, sizeof *pair);
  pair->parameter = parameter;
  pair->memory = wb_mirror_open(RING_BYTES, true, NULL);
  pair->back_memory = wb_mirror_open(RING_BYTES, true, NULL);
  pair->journal = wb_mirror_open(JOURNAL_BYTES, true, NULL);
  pair->descriptor = calloc(SLOTS, sizeof *pair->descriptor);
  pair->slots = aligned_alloc(128, SLOTS * sizeof(record64));
  pair->back_slots = aligned_alloc(128, SLOTS * sizeof(record64));
  bool good = pair->descriptor && pair->slots && pair->back_slots && wb_ring_init(&pair->ring, pair->memory, RING_BYTES) == 0 &&
              wb_ring_init(&pair->back, pair->back_memory, RING_BYTES) == 0 &&
              wb_frames_init(&pair->frames, pair->journal, JOURNAL_BYTES, pair->descriptor, SLOTS, 1) == 0;
  if (good) {
    memset(pair->slots, 0, SLOTS * sizeof(record64));
    memset(pair->back_slots, 0, SLOTS * sizeof(record64));
    ck_ring_init(&pair->ck, SLOTS);
    ck_ring_init(&pair->ck_back, SLOTS);
    pair->running = good = pthread_create(&pair->thread, NULL, peer, pair) == 0;
  }
  if (!good) teardown(pair), pair = NULL;
  return pair;
}

#define CASE(label, held, producer, consumer, burst, size)                                                                     \
  {                                                                                                                            \
    .name = label, .against = held, .threads = 2, .setup = setup, .run = run, .check = check, .teardown = teardown,            \
    .parameter = &(const wb_parameter) {                                                                                       \
      .produce = producer, .consume = consumer, .batch = burst, .bytes = size                                                  \
    }                                                                                                                          \
  }
#define RING(size, burst)                                                                                                      \
  CASE("ring/record:" #size "/batch:" #burst, "ck_ring/record:" #size, ring_produce##size, ring_consume##size, burst, size)
#define RINGS(size)                                                                                                            \
  CASE("ck_ring/record:" #size, NULL, ck_produce##size, ck_consume##size, 1, size), RING(size, 1), RING(size, 4),              \
      RING(size, 32), RING(size, 128), RING(size, 256)

static const wb_bench_case cases[] = {
    RINGS(8),
    RINGS(32),
    RINGS(64),
    CASE("frames/batch:1", NULL, frames_produce, frames_consume, 1, FRAME_BYTES),
    CASE("frames/batch:32", "frames/batch:1", frames_produce, frames_consume, 32, FRAME_BYTES),
    CASE("rtt/line", NULL, rtt_line_ask, rtt_line_answer, 1, 0),
    CASE("rtt/ring", "rtt/line", rtt_ring_ask, rtt_ring_answer, 1, 32),
    CASE("rtt/ring_expect", "rtt/line", rtt_expect_ask, rtt_expect_answer, 1, 32),
    CASE("rtt/ck_ring", "rtt/line", rtt_ck_ask, rtt_ck_answer, 1, 32),
};

int main(int argc, char **argv) { return wb_bench_main(argc, argv, cases, sizeof cases / sizeof cases[0]); }
