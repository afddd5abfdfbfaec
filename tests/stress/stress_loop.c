/* L1: items handed over one by one to a loop that sleeps whenever it is idle, for up to an hour, on a futex or in io_uring: by a loop that feeds
 * it, and by a thread that publishes outside a turn and wakes it. A wake that is lost leaves an item lying, and is told after LOST_NS. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/ring/atomic.h"
#include "engine/topo/loop.h"
#include "io/host.h"
#include "io/uring.h"

enum { ITEMS = 50000, LOOKS = 5000, LATER = 64 };
#define HOUR_NS UINT64_C(3600000000000)
#define LOST_NS UINT64_C(60000000000)

typedef struct box {
  const char *name;
  atomic_uint pending, done;
} box;

static box in, fed, asked;
static wb_loop up, down;

/* Like a ring, nothing in it is a full fence. */
static int take(void *self) {
  box *b = self;
  if (!atomic_load_explicit(&b->pending, memory_order_acquire)) return 0;
  atomic_store_explicit(&b->pending, 0, memory_order_relaxed);
  atomic_store_explicit(&b->done, atomic_load_explicit(&b->done, memory_order_relaxed) + 1, memory_order_release);
  return 1;
}

static int nothing(void *self) { return wb_uring_poll(self); }
static void idle(void *self, uint64_t timeout_ns) { wb_uring_wait(self, timeout_ns); }
static void wake(void *self) { wb_uring_wake(self); }
static uint64_t now(void *self) { return wb_clock_ns(); }
static void yield(void) { sched_yield(); }

/* Looks without leaving the CPU at first, and then goes on a little later each time: so the next item meets the loop on its way to sleep. */
static void wait_taken(const box *b, unsigned items) {
  uint64_t began_ns = wb_clock_ns();
  for (unsigned looks = 0; atomic_load_explicit(&b->done, memory_order_acquire) < items; looks++) {
    if (looks < LOOKS) {
      wb_pause();
      continue;
    }
    if (wb_clock_ns() - began_ns > LOST_NS) {
      printf("stress_loop: item %u of %s lies there, its loop %s: a wake was lost\n", items, b->name,
             __atomic_load_n(&down.sleeping, __ATOMIC_RELAXED) ? "sleeps" : "is awake");
      exit(1);
    }
    sched_yield();
  }
  for (unsigned pauses = items % LATER; pauses; pauses--) wb_pause();
}

static void *run(void *loop) {
  wb_loop_run(loop);
  return NULL;
}

static void *ask(void *unused) {
  for (unsigned i = 1; i <= ITEMS; i++) {
    atomic_store_explicit(&asked.pending, 1, memory_order_release);
    wb_loop_wake(&down);
    wait_taken(&asked, i);
  }
  return NULL;
}

static void hand_over(wb_uring *ring) {
  static const wb_loop_host host = {.now_ns = now, .yield = yield, .sleep = wb_futex_sleep, .wake = wb_futex_wake};
  in = (box){.name = "in"}, fed = (box){.name = "fed"}, asked = (box){.name = "asked"};
  wb_loop_init(&up, "up", &host, WB_WAIT_BLOCK);
  wb_loop_init(&down, "down", &host, WB_WAIT_BLOCK);
  down.spin_ns = 0;
  down.timeout_ns = HOUR_NS;
  wb_loop_add(&up, &(wb_agent){.name = "in", .self = &in, .do_work = take});
  if (ring) wb_loop_add(&down, &(wb_agent){.name = "ring", .self = ring, .do_work = nothing, .idle = idle, .wake = wake});
  wb_loop_add(&down, &(wb_agent){.name = "fed", .self = &fed, .do_work = take});
  wb_loop_add(&down, &(wb_agent){.name = "asked", .self = &asked, .do_work = take});
  wb_loop_feeds(&up, &down);
  pthread_t thread, asks;
  pthread_create(&thread, NULL, run, &down);
  pthread_create(&asks, NULL, ask, NULL);
  for (unsigned i = 1; i <= ITEMS; i++) {
    atomic_store_explicit(&fed.pending, 1, memory_order_release);
    atomic_store_explicit(&in.pending, 1, memory_order_release);
    wb_loop_turn(&up);
    wait_taken(&fed, i);
  }
  pthread_join(asks, NULL);
  wb_loop_stop(&down);
  pthread_join(thread, NULL);
  printf("stress_loop: %d items fed, %d asked for, asleep %s\n", ITEMS, ITEMS, ring ? "in io_uring" : "on a futex");
}

int main(void) {
  wb_error error;
  wb_uring *ring = wb_uring_open(8, 0, &error);
  if (!ring) {
    printf("stress_loop: %s\n", error.detail);
    return 1;
  }
  hand_over(NULL);
  hand_over(ring);
  wb_uring_close(ring);
  return 0;
}
