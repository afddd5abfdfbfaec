/* cpu.h - which CPUs this process may use, how much of them, and how a thread is put on one of them and named.
 *
 * Memory:  lists are the caller's. Threads: any; cold functions (files of /proc and /sys are read anew with each call). */
#ifndef WB_IO_CPU_H
#define WB_IO_CPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* glibc's cpu_set_t ends there, too. */
#define WB_CPU_COUNT_MAX 1024

/* Distinct CPUs in the order in which they were said: the first one is the first stage's. */
typedef struct wb_cpu_list {
  uint32_t count;
  uint16_t cpu[WB_CPU_COUNT_MAX];
} wb_cpu_list;

/* wb_cpu_list_parse reads "0,2-3" (the form of the kernel's files and of taskset -c; order is kept; one newline may follow).
 * Empty text is the empty list. Returns 0; WB_E_SYNTAX for another text, a range that runs backwards, or a CPU named twice;
 * WB_E_RANGE for a number from WB_CPU_COUNT_MAX up. The list is empty after a failure. */
int wb_cpu_list_parse(const char *text, wb_cpu_list *list, wb_error *error);

/* wb_cpu_list_print writes the list in the same form, cut to fit, NUL-terminated (size >= 1), and returns text. */
const char *wb_cpu_list_print(const wb_cpu_list *list, char *text, size_t size);

/* wb_cpu_list_read parses a file that holds a list, as /sys/devices/system/cpu/isolated, nohz_full or online. Returns 0,
 * WB_E_SYSTEM when the file cannot be read (errno in *error), or as wb_cpu_list_parse. */
int wb_cpu_list_read(const char *path, wb_cpu_list *list, wb_error *error);

/* wb_cpu_list_has returns 1 if the CPU is in the list, else 0. */
int wb_cpu_list_has(const wb_cpu_list *list, int cpu);

/* wb_cpu_allowed gives the CPUs the calling thread may run on (its affinity mask), ascending. Returns 0 or WB_E_SYSTEM. */
int wb_cpu_allowed(wb_cpu_list *list, wb_error *error);

/* wb_cpu_isolated gives the CPUs that the kernel keeps free of other work (isolcpus); empty where there are none. */
int wb_cpu_isolated(wb_cpu_list *list, wb_error *error);

/* wb_cpu_quota returns the least CPU bandwidth limit of the process's cgroup (version 2) and those above it, in thousandths of
 * a CPU; 0 if there is none. root and self: "/sys/fs/cgroup" and "/proc/self/cgroup" when NULL. */
uint64_t wb_cpu_quota(const char *root, const char *self);

/* wb_cpu_usable_count returns how many threads may spin at the same time: the allowed CPUs, but no more than the quota pays for
 * in whole CPUs; at least 1. */
unsigned wb_cpu_usable_count(void);

/* wb_cpu_pin puts a thread on one CPU and nowhere else. Returns 0, WB_E_INVALID for a number that is no CPU's, or WB_E_SYSTEM
 * (the CPU is not there or not allowed). */
int wb_cpu_pin(pthread_t thread, int cpu, wb_error *error);

/* wb_cpu_step_aside puts the calling thread, and what it starts from then on, on CPUs other than those to avoid, where there are any, and behind
 * others: with idle at SCHED_IDLE (nice 19 where that is refused) and idle I/O priority, which on a busy machine may mean never; without, at
 * nice 19. No thread without rights comes back from either. */
void wb_cpu_step_aside(const wb_cpu_list *avoid, bool idle);

/* wb_cpu_name names a thread as ps, top and perf show it; the kernel keeps 15 characters. A thread names itself: the name of another one is a
 * file of /proc, which is not one of a confined node's. */
void wb_cpu_name(pthread_t thread, const char *name);

#endif
