#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine/base/error.h"
#include "engine/topo/loop.h"
#include "io/host.h"

static uint64_t now(void *self) { return wb_clock_ns(); }
static void yield(void) { sched_yield(); }
static const wb_loop_host host = {.now_ns = now, .yield = yield, .sleep = wb_futex_sleep, .wake = wb_futex_wake};

static int give(void *self) { return *(int *)self; }

Test(loop, a_turn_runs_every_agent_once_in_order_and_adds_up_their_work) {
  wb_loop loop;
  int two = 2, none = 0, three = 3;
  wb_loop_init(&loop, "test", &host, WB_WAIT_SPIN);
  cr_assert_eq(wb_loop_add(&loop, &(wb_agent){.name = "a", .self = &two, .do_work = give}), 0);
  cr_assert_eq(wb_loop_add(&loop, &(wb_agent){.name = "b", .self = &none, .do_work = give}), 0);
  cr_assert_eq(wb_loop_add(&loop, &(wb_agent){.name = "c", .self = &three, .do_work = give}), 0);
  cr_assert_eq(wb_loop_turn(&loop), 5);
  two = three = 0;
  cr_assert_eq(wb_loop_turn(&loop), 0);
  cr_assert_eq(loop.turns, 2u);
  cr_assert_eq(loop.busy_turns, 1u);
  cr_assert_eq(loop.work, 5u);
}

Test(loop, a_ninth_agent_is_refused) {
  wb_loop loop;
  int none = 0;
  wb_loop_init(&loop, "test", &host, WB_WAIT_SPIN);
  for (int i = 0; i < WB_LOOP_AGENTS_MAX; i++)
    cr_assert_eq(wb_loop_add(&loop, &(wb_agent){.name = "a", .self = &none, .do_work = give}), 0);
  cr_assert_eq(wb_loop_add(&loop, &(wb_agent){.name = "a", .self = &none, .do_work = give}), WB_E_FULL);
}

typedef struct box {
  atomic_int pending, done;
} box;

static int take(void *self) {
  box *b = self;
  int n = atomic_exchange(&b->pending, 0);
  atomic_fetch_add(&b->done, n);
  return n;
}

static void *run(void *loop) {
  wb_loop_run(loop);
  return NULL;
}

/* Hands over one item at a time, from an upstream loop's turn, to a loop that sleeps whenever it is idle. Were a wake lost,
 * each would cost the sleeper's whole timeout, and the test its time limit. */
Test(loop, a_sleeping_loop_is_woken_by_the_loop_that_feeds_it, .timeout = 60) {
  wb_loop up, down;
  box in = {0}, out = {0};
  wb_loop_init(&up, "up", &host, WB_WAIT_BLOCK);
  wb_loop_init(&down, "down", &host, WB_WAIT_BLOCK);
  down.spin_ns = 0;
  down.timeout_ns = UINT64_C(30000000000);
  wb_loop_add(&up, &(wb_agent){.name = "in", .self = &in, .do_work = take});
  wb_loop_add(&down, &(wb_agent){.name = "out", .self = &out, .do_work = take});
  cr_assert_eq(wb_loop_feeds(&up, &down), 0);
  pthread_t thread;
  pthread_create(&thread, NULL, run, &down);
  for (int i = 1; i <= 2000; i++) {
    atomic_store(&out.pending, 1);
    atomic_store(&in.pending, 1);
    wb_loop_turn(&up);
    while (atomic_load(&out.done) < i) sched_yield();
  }
  wb_loop_stop(&down);
  pthread_join(thread, NULL);
  cr_assert_eq(atomic_load(&out.done), 2000);
}

Test(loop, every_wait_strategy_ends_when_stopped, .timeout = 20) {
  for (int wait = WB_WAIT_SPIN; wait <= WB_WAIT_BLOCK; wait++) {
    wb_loop loop;
    box b = {0};
    wb_loop_init(&loop, "test", &host, (wb_wait)wait);
    loop.timeout_ns = UINT64_C(10000000000);
    wb_loop_add(&loop, &(wb_agent){.name = "a", .self = &b, .do_work = take});
    pthread_t thread;
    pthread_create(&thread, NULL, run, &loop);
    atomic_store(&b.pending, 5);
    wb_loop_wake(&loop);
    while (wait != WB_WAIT_BLOCK && atomic_load(&b.done) < 5) sched_yield();
    wb_loop_stop(&loop);
    pthread_join(thread, NULL);
  }
}
