/* L1: items handed over one by one to a loop that sleeps whenever it is idle, for up to an hour: a lost wake hangs the test. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "engine/topo/loop.h"
#include "io/host.h"

enum { ITEMS = 20000 };

typedef struct box {
  atomic_uint pending, done;
} box;

static int take(void *self) {
  box *b = self;
  unsigned n = atomic_exchange_explicit(&b->pending, 0, memory_order_acq_rel);
  atomic_fetch_add(&b->done, n);
  return (int)n;
}

static uint64_t now(void *self) { return wb_clock_ns(); }
static void yield(void) { sched_yield(); }

static void *run(void *loop) {
  wb_loop_run(loop);
  return NULL;
}

int main(void) {
  static const wb_loop_host host = {.now_ns = now, .yield = yield, .sleep = wb_futex_sleep, .wake = wb_futex_wake};
  static wb_loop up, down;
  static box in, out;
  wb_loop_init(&up, "up", &host, WB_WAIT_BLOCK);
  wb_loop_init(&down, "down", &host, WB_WAIT_BLOCK);
  down.spin_ns = 0;
  down.timeout_ns = UINT64_C(3600000000000);
  wb_loop_add(&up, &(wb_agent){.name = "in", .self = &in, .do_work = take});
  wb_loop_add(&down, &(wb_agent){.name = "out", .self = &out, .do_work = take});
  wb_loop_feeds(&up, &down);
  pthread_t thread;
  pthread_create(&thread, NULL, run, &down);
  for (unsigned i = 1; i <= ITEMS; i++) {
    atomic_store_explicit(&out.pending, 1, memory_order_release);
    atomic_store_explicit(&in.pending, 1, memory_order_release);
    wb_loop_turn(&up);
    while (atomic_load(&out.done) < i) sched_yield();
  }
  wb_loop_stop(&down);
  pthread_join(thread, NULL);
  printf("stress_loop: %u items handed over\n", atomic_load(&out.done));
  return atomic_load(&out.done) == ITEMS ? 0 : 1;
}
