/* loop.h - agents and the loop that runs them: the same agents on many threads, on one, or on the caller's own.
 *
 * An agent is a single-threaded stage: do_work does a bounded amount and says how much. A loop runs its agents in order, turn
 * after turn, and waits in the chosen way when a whole turn found nothing. It knows nothing of what flows between them.
 * Threads: a loop is run by one thread; wb_loop_stop and wb_loop_wake may be called from any. Edge L1, see docs/threading.md.
 */
#ifndef WB_TOPO_LOOP_H
#define WB_TOPO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/limits.h"

enum { WB_LOOP_AGENTS_MAX = 8, WB_LOOP_DOWNSTREAM_MAX = 4 };

/* do_work returns how much was done (0: nothing). idle waits for this agent's own source of work (a kernel queue) at most
 * timeout_ns; NULL where it has none. wake, callable from another thread, ends such a wait early; NULL exactly where idle is.
 */
typedef struct wb_agent {
  const char *name;
  void *self;
  int (*do_work)(void *self);
  void (*idle)(void *self, uint64_t timeout_ns);
  void (*wake)(void *self);
} wb_agent;

/* SPIN never leaves the CPU; YIELD offers it to others; BLOCK spins a little (spin_ns), then sleeps until work may be there. */
typedef enum { WB_WAIT_SPIN = 0, WB_WAIT_YIELD, WB_WAIT_BLOCK } wb_wait;

typedef struct wb_loop wb_loop;

/* What the loop needs of the world. sleep waits on *word == expected (a futex) at most timeout_ns; wake ends it. */
typedef struct wb_loop_host {
  uint64_t (*now_ns)(void *self);
  void (*yield)(void);
  void (*sleep)(uint32_t *word, uint32_t expected, uint64_t timeout_ns);
  void (*wake)(uint32_t *word);
  void *self;
} wb_loop_host;

struct wb_loop {
  const char *name;
  const wb_loop_host *host;
  wb_agent agent[WB_LOOP_AGENTS_MAX];
  unsigned agent_count;
  wb_wait wait;
  uint64_t spin_ns;                            /* BLOCK: how long to spin before sleeping */
  uint64_t timeout_ns;                         /* BLOCK: longest sleep, the bound of every timer's lateness */
  wb_loop *downstream[WB_LOOP_DOWNSTREAM_MAX]; /* loops that read what this one writes: woken after work if they sleep */
  unsigned downstream_count;
  wb_agent *sleeper;                                              /* the agent whose idle is used; set by wb_loop_add */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t turns, busy_turns, work; /* W loop, R any */
  _Alignas(WB_CACHE_PAIR_BYTES) uint32_t sleeping;                /* W loop, R upstream [L1] */
  uint32_t stopping;                                              /* W any, R loop */
};

void wb_loop_init(wb_loop *loop, const char *name, const wb_loop_host *host, wb_wait wait);

/* wb_loop_add appends an agent. Returns 0, WB_E_FULL. The first agent with an idle of its own becomes the loop's sleeper. */
int wb_loop_add(wb_loop *loop, const wb_agent *agent);

/* wb_loop_feeds says that `to` reads what `from` writes. Returns 0, WB_E_FULL. */
int wb_loop_feeds(wb_loop *from, wb_loop *to);

/* wb_loop_turn runs each agent once and returns the work done. For the embedder's own thread. */
int wb_loop_turn(wb_loop *loop);

/* wb_loop_run turns until wb_loop_stop, waiting in the loop's way. */
void wb_loop_run(wb_loop *loop);

void wb_loop_stop(wb_loop *loop);

/* wb_loop_wake, after publishing something outside a turn: if the loop sleeps, it wakes; if not, its next turn sees what was published. A full
 * fence and a load where it does not sleep. */
void wb_loop_wake(wb_loop *loop);

#endif
