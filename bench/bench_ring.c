/* bench_ring.c - what it costs to hand a record to another CPU.
 *
 * What:    ck_ring/...: Concurrency Kit's SPSC ring as its users have it, records copied in and out by a ring of their type.
 *          ring/...: wb_ring, `batch` records a claim and commit, and a consumer that does what the node's does
 *          (engine/stages/book_stage.c): takes what there is, at most WORK records, and gives it back at once.
 *          frames/apart/...: wb_frames with its one reader on another CPU, a descriptor and 128 bytes a record.
 *          frames/hot/...: what storing costs the thread that takes frames: it writes, decodes for a while and reads as the first
 *          reader; with readers:2 a second one on another CPU sums every byte, as the flusher does.
 *          rtt/line: one cache line that carries question and answer. rtt/lines: a line for either direction, the least that any
 *          pair of one-way rings can move. rtt/ring, rtt/ck_ring: one record of 32 bytes there and another back.
 * Check:   the consumer sums what it reads, weighted by order; the sum must be the producer's.
 * Read:    throughput in ns/item; the ratio is to the line named. Compare within one run only: the host moves the CPUs closer
 *          together and farther apart (see the control line). */
#include <ck_ring.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/harness.h"
#include "engine/ring/frames.h"
#include "engine/ring/ring.h"
#include "io/cpu.h"
#include "io/memory.h"

enum {
  RING_BYTES = 1 << 19,
  SLOTS = 16384,
  WORK = 4096,
  FRAME_BYTES = 128,
  JOURNAL_BYTES = 1 << 25,
  DESCRIPTORS = 1 << 18,
  DECODE = 96,
  TRIES = 4
};

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
  uint64_t (*consume)(void *state, uint64_t count); /* NULL: the other thread has nothing to do */
  uint64_t batch;
  unsigned readers; /* of the frames; 0: no frames */
  uint64_t bytes;   /* a record */
} wb_parameter;

/* One thread stays for the life of the case: asleep until its `turn`, it does its half of a run and says so in `done`. All
 * cases' threads share a CPU, so that one that waited awake would take it from the one that works. */
typedef struct wb_pair {
  const wb_parameter *parameter;
  pthread_t thread;
  bool running;
  uint64_t sum, peer_sum, hot_sum;
  long preempted; /* the peer, in the run before */
  sem_t turn;
  uint64_t turns, count;
  bool stop;
  _Alignas(128) uint64_t done;
  _Alignas(128) wb_ring ring;
  _Alignas(128) wb_ring back;
  _Alignas(128) wb_frames frames;
  _Alignas(128) ck_ring_t ck;
  _Alignas(128) ck_ring_t ck_back;
  _Alignas(128) uint64_t line;
  _Alignas(128) uint64_t line_back;
  _Alignas(128) void *memory, *back_memory, *journal;
  wb_frame *descriptor;
  void *slots, *back_slots;
} wb_pair;

/* The value of word `word` of record `number`, cheap to make and to check, different in every record of a lap. */
static inline uint64_t value_of(uint64_t number, uint64_t word) { return number * 8 + word + 1; }
static inline uint64_t weigh(uint64_t sum, uint64_t value) { return (sum << 1 | sum >> 63) + value; }
/* The sum of all words of frame `number`. */
static inline uint64_t frame_value(uint64_t number) {
  uint64_t words = FRAME_BYTES / 8;
  return words * value_of(number, 0) + words * (words - 1) / 2;
}

/* ------------------------------------------------------------------------------------------------ wb_ring, one way */

/* One body, compiled for each record size. */
static inline __attribute__((always_inline)) uint64_t ring_produce(wb_pair *pair, uint64_t count, size_t size) {
  uint64_t sum = 0, batch = pair->parameter->batch;
  for (uint64_t number = 0; number < count;) {
    uint64_t burst = count - number < batch ? count - number : batch, *record;
    while (!(record = wb_ring_claim(&pair->ring, burst * size))) wb_pause();
    for (uint64_t end = number + burst; number < end; number++, record += size / 8) {
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
    if (bytes > WORK * size) bytes = WORK * size;
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

/* ------------------------------------------------------------------------------------------------ wb_frames */

static inline uint64_t frames_write(wb_pair *pair, uint64_t number) {
  while (wb_frames_room(&pair->frames, FRAME_BYTES) < FRAME_BYTES || wb_frames_slots(&pair->frames, 1) < 1)
    wb_frames_publish(&pair->frames), wb_pause();
  wb_frame frame = {.position = pair->frames.head, .number = number, .bytes = FRAME_BYTES, .kind = WB_FRAME_TEXT};
  uint64_t *bytes = (uint64_t *)(void *)wb_frames_head(&pair->frames);
  for (uint64_t i = 0; i < FRAME_BYTES / 8; i++) bytes[i] = value_of(number, i);
  wb_frames_advance(&pair->frames, FRAME_BYTES);
  wb_frames_push(&pair->frames, &frame);
  return frame_value(number);
}

static uint64_t frames_produce(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0, batch = pair->parameter->batch;
  for (uint64_t number = 0; number < count;) {
    for (uint64_t burst = count - number < batch ? count - number : batch; burst > 0; burst--, number++)
      sum = weigh(sum, frames_write(pair, number));
    wb_frames_publish(&pair->frames);
  }
  return sum;
}

/* All that reader `reader` finds, at most WORK frames. */
static inline uint64_t frames_read(wb_pair *pair, unsigned reader, uint64_t *sum, bool decode) {
  size_t found;
  const wb_frame *frame = wb_frames_peek(&pair->frames, reader, 0, WORK, &found);
  for (size_t i = 0; i < found; i++) {
    const uint64_t *bytes = (const uint64_t *)(const void *)wb_frames_at(&pair->frames, frame[i].position);
    uint64_t value = 0;
    for (size_t word = 0; word < frame[i].bytes / 8; word++) value += bytes[word];
    *sum = weigh(*sum, value);
    for (unsigned step = 0; decode && step < DECODE; step++) {
      value = weigh(value, step);
      WB_BENCH_KEEP(value);
    }
  }
  wb_frames_release(&pair->frames, reader, found);
  return found;
}

static uint64_t frames_consume(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0, found;
  for (; count > 0; count -= found)
    if (!(found = frames_read(pair, pair->parameter->readers - 1, &sum, false))) wb_pause();
  return sum;
}

static uint64_t frames_hot(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0, batch = pair->parameter->batch;
  pair->hot_sum = 0;
  for (uint64_t number = 0; number < count;) {
    for (uint64_t burst = count - number < batch ? count - number : batch; burst > 0; burst--, number++)
      sum = weigh(sum, frames_write(pair, number));
    wb_frames_publish(&pair->frames);
    frames_read(pair, 0, &pair->hot_sum, true);
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

static uint64_t rtt_lines_ask(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    wb_store_release(&pair->line, number + 1);
    while (wb_load_acquire(&pair->line_back) != number + 1) wb_pause();
    sum = weigh(sum, number + 1);
  }
  return sum;
}

static uint64_t rtt_lines_answer(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    while (wb_load_acquire(&pair->line) != number + 1) wb_pause();
    wb_store_release(&pair->line_back, number + 1);
    sum = weigh(sum, number + 1);
  }
  return sum;
}

static inline void send(wb_ring *ring, uint64_t value) {
  *(uint64_t *)wb_ring_claim(ring, 32) = value;
  wb_ring_commit(ring);
}

/* Waits as a node's loop does that spins. */
static inline uint64_t receive(wb_ring *ring) {
  const uint64_t *record;
  size_t bytes;
  while (!(record = wb_ring_peek(ring, &bytes))) wb_pause();
  uint64_t value = *record;
  wb_ring_release(ring, 32);
  return value;
}

static uint64_t rtt_ring_ask(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    send(&pair->ring, number);
    sum = weigh(sum, receive(&pair->back) - 1);
  }
  return sum;
}

static uint64_t rtt_ring_answer(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    uint64_t value = receive(&pair->ring);
    send(&pair->back, value + 1);
    sum = weigh(sum, value);
  }
  return sum;
}

static uint64_t rtt_ck_ask(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    record32 record = {{number}};
    while (!CK_RING_ENQUEUE_SPSC(record32, &pair->ck, pair->slots, &record)) ck_pr_stall();
    while (!CK_RING_DEQUEUE_SPSC(record32, &pair->ck_back, pair->back_slots, &record)) ck_pr_stall();
    sum = weigh(sum, record.word[0] - 1);
  }
  return sum;
}

static uint64_t rtt_ck_answer(void *self, uint64_t count) {
  wb_pair *pair = self;
  uint64_t sum = 0;
  for (uint64_t number = 0; number < count; number++) {
    record32 record;
    while (!CK_RING_DEQUEUE_SPSC(record32, &pair->ck, pair->slots, &record)) ck_pr_stall();
    sum = weigh(sum, record.word[0]);
    record.word[0]++;
    while (!CK_RING_ENQUEUE_SPSC(record32, &pair->ck_back, pair->back_slots, &record)) ck_pr_stall();
  }
  return sum;
}

/* ------------------------------------------------------------------------------------------------ the pair of threads */

static long preemptions(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

static void *peer(void *self) {
  wb_pair *pair = self;
  wb_cpu_pin(pthread_self(), wb_bench_cpu(1), NULL);
  wb_cpu_name(pthread_self(), "bench-peer");
  for (uint64_t turns = 1;; turns++) {
    while (sem_wait(&pair->turn) != 0) continue;
    if (pair->stop) return NULL;
    long before = preemptions();
    wb_store_release(&pair->done, turns * 2 - 1);
    if (pair->parameter->consume) pair->peer_sum = pair->parameter->consume(pair, pair->count);
    pair->preempted = preemptions() - before;
    wb_store_release(&pair->done, turns * 2);
  }
}

/* A run in which one of the two was taken off its CPU measures the scheduler: it is done again, a few times. */
static void run(void *self, wb_bench_run *run) {
  wb_pair *pair = self;
  pair->count = run->iterations;
  for (unsigned tries = 0; tries < (run->smoke ? 1 : TRIES); tries++) {
    uint64_t turns = ++pair->turns;
    sem_post(&pair->turn);
    while (wb_load_acquire(&pair->done) < turns * 2 - 1) wb_pause();
    long before = preemptions();
    uint64_t start = wb_bench_now_ns(), cycles = wb_bench_cycles();
    pair->sum = pair->parameter->produce(pair, run->iterations);
    while (wb_load_acquire(&pair->done) < turns * 2) wb_pause();
    cycles = wb_bench_cycles() - cycles;
    uint64_t elapsed_ns = wb_bench_now_ns() - start;
    bool undisturbed = pair->preempted == 0 && preemptions() == before;
    if (tries > 0 && !undisturbed && elapsed_ns > run->elapsed_ns) continue;
    run->cycles = cycles;
    run->elapsed_ns = elapsed_ns;
    if (undisturbed) break;
  }
  run->items = run->iterations;
  run->bytes = run->iterations * pair->parameter->bytes;
}

static const char *check(void *self, const wb_bench_run *run) {
  wb_pair *pair = self;
  if (pair->parameter->produce == frames_hot && pair->sum != pair->hot_sum) return "the first reader read other frames";
  if (pair->parameter->consume && pair->sum != pair->peer_sum) return "the consumer read other records than the producer wrote";
  return NULL;
}

static void teardown(void *self) {
  wb_pair *pair = self;
  if (pair->running) {
    pair->stop = true;
    sem_post(&pair->turn);
    pthread_join(pair->thread, NULL);
  }
  sem_destroy(&pair->turn);
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
  sem_init(&pair->turn, 0, 0);
  pair->parameter = parameter;
  pair->memory = wb_mirror_open(RING_BYTES, true, NULL);
  pair->back_memory = wb_mirror_open(RING_BYTES, true, NULL);
  pair->slots = aligned_alloc(128, SLOTS * sizeof(record64));
  pair->back_slots = aligned_alloc(128, SLOTS * sizeof(record64));
  bool good = pair->slots && pair->back_slots && wb_ring_init(&pair->ring, pair->memory, RING_BYTES) == 0 &&
              wb_ring_init(&pair->back, pair->back_memory, RING_BYTES) == 0;
  if (good && pair->parameter->readers) {
    pair->journal = wb_mirror_open(JOURNAL_BYTES, true, NULL);
    pair->descriptor = calloc(DESCRIPTORS, sizeof *pair->descriptor);
    good = pair->descriptor && wb_frames_init(&pair->frames, pair->journal, JOURNAL_BYTES, pair->descriptor, DESCRIPTORS,
                                              pair->parameter->readers) == 0;
  }
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

#define CASE(label, held, producer, consumer, burst, size) FRAMES(label, held, producer, consumer, burst, size, 0)
#define FRAMES(label, held, producer, consumer, burst, size, reader_count)                                                     \
  PAIR(label, held, producer, consumer, burst, size, reader_count, 1 << 19)
#define RTT(label, held, ask, answer, size) PAIR(label, held, ask, answer, 1, size, 0, 1 << 13)
#define PAIR(label, held, producer, consumer, burst, size, reader_count, most)                                                 \
  {                                                                                                                            \
    .name = label, .against = held, .threads = 2, .iterations_max = most, .setup = setup, .run = run, .check = check,          \
    .teardown = teardown, .parameter = &(const wb_parameter) {                                                                 \
      .produce = producer, .consume = consumer, .batch = burst, .bytes = size, .readers = reader_count                         \
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
    FRAMES("frames/apart/batch:1", NULL, frames_produce, frames_consume, 1, FRAME_BYTES, 1),
    FRAMES("frames/apart/batch:32", "frames/apart/batch:1", frames_produce, frames_consume, 32, FRAME_BYTES, 1),
    FRAMES("frames/hot/batch:1/readers:1", NULL, frames_hot, NULL, 1, FRAME_BYTES, 1),
    FRAMES("frames/hot/batch:1/readers:2", "frames/hot/batch:1/readers:1", frames_hot, frames_consume, 1, FRAME_BYTES, 2),
    FRAMES("frames/hot/batch:32/readers:1", NULL, frames_hot, NULL, 32, FRAME_BYTES, 1),
    FRAMES("frames/hot/batch:32/readers:2", "frames/hot/batch:32/readers:1", frames_hot, frames_consume, 32, FRAME_BYTES, 2),
    RTT("rtt/line", NULL, rtt_line_ask, rtt_line_answer, 0),
    RTT("rtt/lines", "rtt/line", rtt_lines_ask, rtt_lines_answer, 0),
    RTT("rtt/ring", "rtt/line", rtt_ring_ask, rtt_ring_answer, 32),
    RTT("rtt/ck_ring", "rtt/line", rtt_ck_ask, rtt_ck_answer, 32),
};

int main(int argc, char **argv) { return wb_bench_main(argc, argv, cases, sizeof cases / sizeof cases[0]); }
