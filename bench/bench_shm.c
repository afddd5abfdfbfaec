/* bench_shm.c - what shared memory costs: its readers, and the writer.
 *
 * What:  view, depth:N, next: one read of io/wirebook_shm.h, of books that rest, and while another thread writes 100,000 messages a second to them. node/shm:off and
 *        on: the messages of memory_node.h through parser and books, without and with the ring of changes and depths (10 ms).
 * Check: what was read is whole (a view whose levels are the book's); after whole passes each book equals its model.
 * Read:  ns a read; ns a message. */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "bench/harness.h"
#include "bench/memory_node.h"
#include "io/cpu.h"
#include "io/shm.h"
#include "io/wirebook_shm.h"

enum { MESSAGES = 8192, RUN = 64, LEVELS = 1000, DEPTH = 50, PRODUCTS = 3, WRITES_PER_SECOND = 100000 };

typedef enum { READ_VIEW, READ_DEPTH, READ_NEXT, WRITE_ALONE, WRITE_SHARED } what;
typedef struct parameter {
  what what;
  uint32_t depth;
  bool written;
} parameter;

typedef struct bench {
  const parameter *p;
  memory_node *node;
  wb_shm *shm;
  wirebook_shm reader;
  pthread_t writer;
  uint32_t stop, ready;
  bool wrong;
} bench;

static void pass(memory_node *n, uint32_t from, uint32_t count) {
  for (uint32_t j = from; j < from + count; j++) memory_node_push(n, n->text[j], n->bytes[j]);
  wb_frames_publish(&n->frames);
  memory_node_drain(n);
}

static void *writer(void *self) {
  bench *b = self;
  wb_cpu_pin(pthread_self(), wb_bench_cpu(1), NULL);
  uint64_t begin_ns = wb_clock_ns(), written = 0;
  while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
    uint64_t due = (wb_clock_ns() - begin_ns) * WRITES_PER_SECOND / 1000000000;
    if (written + 8 > due) {
      sched_yield();
      continue;
    }
    pass(b->node, (uint32_t)(written % MESSAGES), 8);
    written += 8;
    __atomic_store_n(&b->ready, 1, __ATOMIC_RELEASE);
  }
  return NULL;
}

static void *setup(const void *raw, bool smoke) {
  static unsigned opened;
  bench *b = calloc(1, sizeof *b);
  b->p = raw;
  b->node = memory_node_open(LEVELS, PRODUCTS, MESSAGES);
  if (!b->node) return NULL;
  if (b->p->what == WRITE_ALONE) return b;
  char name[64];
  wb_error error;
  snprintf(name, sizeof name, "bench-%ld-%u", (long)getpid(), opened++);
  b->shm = wb_shm_open(&(wb_shm_config){.name = name, .product_max = PRODUCTS, .depth = DEPTH, .depth_ns = 10000000}, &error);
  if (!b->shm) return NULL;
  memory_node *n = b->node;
  for (uint32_t i = 0; i < PRODUCTS; i++) {
    memcpy(&wb_shm_views(b->shm)[i], &n->views[i], sizeof(wb_view));
    n->product[i].view = &wb_shm_views(b->shm)[i];
  }
  n->book.config.observer = wb_shm_observer(b->shm, &n->book, &n->products);
  if (wb_shm_show(b->shm, &error) != 0 || wirebook_shm_open(&b->reader, name) != 0) return NULL;
  pass(n, 0, MESSAGES);
  return b;
}

static void run(void *state, wb_bench_run *r) {
  bench *b = state;
  static wirebook_shm_level bid[DEPTH], ask[DEPTH];
  wirebook_shm_view view;
  wirebook_shm_depth depth;
  wirebook_shm_change change;
  uint64_t lost = 0;
  if (b->p->what >= WRITE_ALONE) {
    uint64_t passes = r->iterations / MESSAGES + 1;
    for (uint64_t i = 0; i < passes; i++)
      for (uint32_t j = 0; j < MESSAGES; j += RUN) pass(b->node, j, RUN);
    r->items = passes * MESSAGES;
    return;
  }
  if (b->p->written) {
    b->stop = b->ready = 0;
    pthread_create(&b->writer, NULL, writer, b);
    while (!__atomic_load_n(&b->ready, __ATOMIC_ACQUIRE)) sched_yield();
  }
  uint64_t begin_ns = wb_bench_now_ns();
  for (uint64_t i = 0; i < r->iterations; i++) {
    uint32_t product = (uint32_t)(i % PRODUCTS);
    switch (b->p->what) {
    case READ_VIEW:
      b->wrong |= !wirebook_shm_view_read(&b->reader, product, &view) || view.state != WIREBOOK_SHM_LIVE || !view.best_bid_size;
      break;
    case READ_DEPTH:
      b->wrong |=
          !wirebook_shm_depth_read(&b->reader, product, &depth, bid, ask, b->p->depth) || depth.bid_count != b->p->depth;
      break;
    default:
      if (!wirebook_shm_next(&b->reader, &change, &lost)) {
        b->reader.next =
            b->reader.head->ring_next - (b->reader.head->ring_next < 4096 ? b->reader.head->ring_next : 4096); /* once more */
        b->wrong |= !wirebook_shm_next(&b->reader, &change, &lost);
      }
    }
  }
  r->items = r->iterations;
  if (!b->p->written) return;
  r->elapsed_ns = wb_bench_now_ns() - begin_ns;
  __atomic_store_n(&b->stop, 1, __ATOMIC_RELEASE);
  pthread_join(b->writer, NULL);
}

static const char *check(void *state, const wb_bench_run *r) {
  bench *b = state;
  if (b->wrong) return "what was read is no live book";
  return b->p->what >= WRITE_ALONE ? memory_node_check(b->node) : NULL;
}

static void teardown(void *state) {
  bench *b = state;
  wirebook_shm_close(&b->reader);
  wb_shm_close(b->shm);
  memory_node_close(b->node);
  free(b);
}

#define CASE(name, against, what, depth, written)                                                                              \
  { name, against, &(const parameter){what, depth, written}, written ? 2 : 1, 0, setup, run, check, teardown }

int main(int argc, char **argv) {
  const wb_bench_case cases[] = {
      CASE("shm/view", NULL, READ_VIEW, 0, false),
      CASE("shm/view/written", "shm/view", READ_VIEW, 0, true),
      CASE("shm/depth:10", NULL, READ_DEPTH, 10, false),
      CASE("shm/depth:50", NULL, READ_DEPTH, 50, false),
      CASE("shm/depth:10/written", "shm/depth:10", READ_DEPTH, 10, true),
      CASE("shm/next", NULL, READ_NEXT, 0, false),
      CASE("node/shm:off", NULL, WRITE_ALONE, 0, false),
      CASE("node/shm:on", "node/shm:off", WRITE_SHARED, 0, false),
  };
  return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
