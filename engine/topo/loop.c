#include "engine/topo/loop.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/ring/atomic.h"

void wb_loop_init(wb_loop *loop, const char *name, const wb_loop_host *host, wb_wait wait) {
  memset(loop, 0, sizeof *loop);
  loop->name = name;
  loop->host = host;
  loop->wait = wait;
  loop->spin_ns = 20000;
  loop->timeout_ns = 1000000;
}

int wb_loop_add(wb_loop *loop, const wb_agent *agent) {
  if (loop->agent_count == WB_LOOP_AGENTS_MAX) return WB_E_FULL;
  loop->agent[loop->agent_count] = *agent;
  if (agent->idle && !loop->sleeper) loop->sleeper = &loop->agent[loop->agent_count];
  loop->agent_count++;
  return 0;
}

int wb_loop_feeds(wb_loop *from, wb_loop *to) {
  if (from->downstream_count == WB_LOOP_DOWNSTREAM_MAX) return WB_E_FULL;
  from->downstream[from->downstream_count++] = to;
  return 0;
}

static void wake_sleeping(wb_loop *loop) {
  if (!__atomic_load_n(&loop->sleeping, __ATOMIC_RELAXED)) return; /* L1 */
  if (loop->sleeper) loop->sleeper->wake(loop->sleeper->self);
  else if (__atomic_exchange_n(&loop->sleeping, 0, __ATOMIC_SEQ_CST)) loop->host->wake(&loop->sleeping);
}

int wb_loop_turn(wb_loop *loop) {
  int work = 0;
  for (unsigned i = 0; i < loop->agent_count; i++) work += loop->agent[i].do_work(loop->agent[i].self);
  wb_store_relaxed(&loop->turns, loop->turns + 1);
  if (!work) return 0;
  wb_store_relaxed(&loop->busy_turns, loop->busy_turns + 1);
  wb_store_relaxed(&loop->work, loop->work + (uint64_t)work);
  if (loop->downstream_count) {
    wb_fence_full(); /* L1: what was published is seen by a loop that we see awake */
    for (unsigned i = 0; i < loop->downstream_count; i++) wake_sleeping(loop->downstream[i]);
  }
  return work;
}

void wb_loop_wake(wb_loop *loop) {
  wb_fence_full(); /* L1, for whoever published outside a turn */
  wake_sleeping(loop);
}

static void block(wb_loop *loop) {
  __atomic_store_n(&loop->sleeping, 1, __ATOMIC_RELAXED);
  wb_fence_full(); /* L1: a writer that does not see the store has published what the turn below sees */
  if (wb_loop_turn(loop) == 0 && !__atomic_load_n(&loop->stopping, __ATOMIC_ACQUIRE)) {
    if (loop->sleeper) loop->sleeper->idle(loop->sleeper->self, loop->timeout_ns);
    else loop->host->sleep(&loop->sleeping, 1, loop->timeout_ns);
  }
  __atomic_store_n(&loop->sleeping, 0, __ATOMIC_RELAXED);
}

void wb_loop_run(wb_loop *loop) {
  uint64_t idle_since_ns = 0;
  while (!__atomic_load_n(&loop->stopping, __ATOMIC_ACQUIRE)) {
    if (wb_loop_turn(loop)) {
      idle_since_ns = 0;
    } else if (loop->wait == WB_WAIT_SPIN) {
      wb_pause();
    } else if (loop->wait == WB_WAIT_YIELD) {
      loop->host->yield();
    } else {
      uint64_t now_ns = loop->host->now_ns(loop->host->self);
      if (!idle_since_ns) idle_since_ns = now_ns;
      if (now_ns - idle_since_ns < loop->spin_ns) wb_pause();
      else block(loop);
    }
  }
}

void wb_loop_stop(wb_loop *loop) {
  __atomic_store_n(&loop->stopping, 1, __ATOMIC_RELEASE);
  wb_loop_wake(loop);
}
