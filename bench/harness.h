/* harness.h - the one bench harness: cases in, a table and Google-Benchmark JSON out.
 *
 * What:    a bench is a table of cases and a main that returns wb_bench_main(argc, argv, cases, count).
 * How:     every chosen case is set up; its iterations are calibrated, which warms it up; then the cases take turns, one timed
 *          run each, for as many rounds as there are repetitions, so that a change of the machine's mood hits all of them
 *          alike. After each timed run, outside the clock, the case checks the work it did: a wrong result ends with 1.
 * Prints:  per case: median, min and max ns an item, TSC cycles an item, GB/s, the ratio to the case it is held against (median
 *          of the ratios within each round), latency percentiles where the case records them. Before and after: the machine,
 *          and the control columns (raw cache-line round trip, memcpy, load, steal), without which the figures say nothing.
 * Options: --smoke (3 short rounds, for the test suite), --json FILE, --filter TEXT (cases whose name contains TEXT, and what
 *          they are held against), --repetitions N (default 11), --list, --help. Wrong usage: 2.
 * Threads: runs on the calling thread, pinned to wb_bench_cpu(0). A case with threads of its own pins them to wb_bench_cpu(1)
 *          and up, and has them wait, ready, before it starts its own clock. */
#ifndef WB_BENCH_HARNESS_H
#define WB_BENCH_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "engine/base/hist.h"

/* One timed run. In: iterations to do, smoke, where to record latencies. Out: how many items and bytes that was (bytes may stay
 * 0), and, only if the case keeps its own clock (to leave out preparation or a thread's start), its elapsed_ns and cycles. */
typedef struct wb_bench_run {
  uint64_t iterations;
  bool smoke;
  wb_hist *latency;
  uint64_t items, bytes;
  uint64_t elapsed_ns, cycles;
} wb_bench_run;

typedef struct wb_bench_case {
  const char *name;    /* "ring/record:32/batch:8": unique within the program */
  const char *against; /* name of the case this one is held against, NULL: none. Ratio above 1: this one is faster per item */
  const void *parameter;
  unsigned threads;        /* threads at work, for the JSON; 0 means 1 */
  uint64_t iterations_max; /* upper bound of what calibration may choose; 0: none */

  /* setup returns the state for one case, or NULL (the program ends with 1). parameter is the case's own. */
  void *(*setup)(const void *parameter, bool smoke);
  void (*run)(void *state, wb_bench_run *run);
  /* check says what is wrong with the work of the run just timed, or NULL if nothing is. Not optional. */
  const char *(*check)(void *state, const wb_bench_run *run);
  void (*teardown)(void *state); /* NULL: nothing to do */
} wb_bench_case;

/* wb_bench_main does everything and returns the exit status: 0, 1 a case failed, 2 wrong usage. */
int wb_bench_main(int argc, char **argv, const wb_bench_case *cases, unsigned count);

/* wb_bench_cpu returns the index-th CPU this process may use, modulo how many there are; wb_bench_cpu_count how many. */
int wb_bench_cpu(unsigned index);
unsigned wb_bench_cpu_count(void);

static inline uint64_t wb_bench_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* wb_bench_cycles reads the time-stamp counter (its rate is printed with the machine; nanoseconds where there is none). */
static inline uint64_t wb_bench_cycles(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return wb_bench_now_ns();
#endif
}

/* WB_BENCH_KEEP makes the compiler believe that a value is used; WB_BENCH_CLOBBER that all memory was read and written. */
#define WB_BENCH_KEEP(value) __asm__ volatile("" : : "r,m"(value) : "memory")
#define WB_BENCH_CLOBBER() __asm__ volatile("" : : : "memory")

#endif
