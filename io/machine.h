/* machine.h - what this machine offers and lacks for low latency: files of /proc and /sys, a few system calls and two short
 * measurements, judged one by one, each with what would mend it.
 *
 * What:    wb_machine_measure asks the kernel and measures; wb_machine_judge reads files and judges both. Files are read below a
 *          root, so that a made-up tree can stand for a machine. Nothing is changed; a file that is missing or says something
 *          odd makes its finding unknown, never an error.
 * Memory:  the caller's. Threads: cold, any one; measuring starts two threads and joins them (under half a second).
 * See:     docs/operations.md, "What the machine offers" */
#ifndef WB_IO_MACHINE_H
#define WB_IO_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "io/cpu.h"

typedef enum {
  WB_FINDING_OK,
  WB_FINDING_BETTER,  /* the node runs, but not as fast or as steadily as it could */
  WB_FINDING_MISSING, /* something the node needs, or stands still without */
  WB_FINDING_UNKNOWN  /* the machine does not tell */
} wb_finding_state;
enum { WB_FINDING_STATES = WB_FINDING_UNKNOWN + 1, WB_FINDING_COUNT_MAX = 48 };

/* One check. key: "cpu.isolated", stable, its first part the group; label for people; value: what was found, printable ASCII;
 * why: half a sentence; fix: command or kernel parameter, "" where there is nothing to mend. key, label and why are static. */
typedef struct wb_finding {
  const char *key, *label, *why;
  wb_finding_state state;
  char value[200], fix[320];
} wb_finding;

typedef struct wb_findings {
  unsigned count;
  wb_finding finding[WB_FINDING_COUNT_MAX];
} wb_findings;

/* What a file cannot say. Where something could not be found out: zero, false or an empty list, if not said otherwise. */
typedef struct wb_machine {
  wb_cpu_list allowed;    /* CPUs the process may run on */
  uint64_t clock_ps;      /* one look at the monotonic clock, in picoseconds */
  uint64_t hop_ns;        /* p50 of a cache line's way to another CPU and back */
  uint16_t hop_cpu[2];    /* between these */
  bool uring_works;       /* a ring opened and an operation completed */
  char uring[256];        /* what is in force, or why not */
  int landlock_abi;       /* 0: none */
  bool filter_built;      /* the program has a system call filter of its own, */
  bool filter_works;      /* and the kernel takes it */
  uint64_t memlock_bytes; /* soft limits; UINT64_MAX: none */
  uint64_t files_max;
  int64_t slack_ns;        /* timer slack; -1 */
  int clock_synchronised;  /* 1, 0, or -1 */
  uint64_t clock_error_us; /* most the wall clock may be off, by the kernel's own estimate */
  uint64_t shm_bytes;      /* size of /dev/shm */
  bool data_asked;         /* the rest is filled */
  char data_dir[256];      /* the directory, or the nearest one above it that is there */
  bool data_there;         /* data_dir is the one that was asked for */
  uint64_t data_type;      /* statfs's f_type; 0 */
  uint64_t data_free_bytes;
  bool data_writable, data_direct; /* data_direct: a block was written with O_DIRECT (to a file without a name) */
} wb_machine;

/* wb_machine_measure fills *machine. data_dir: where frames would be stored (it need not be there yet), NULL not to ask. */
void wb_machine_measure(const char *data_dir, wb_machine *machine);

/* wb_machine_judge fills *findings, always the same keys in the same order (data.* only with data_asked), grouped. root: "" for
 * this machine, or a directory that holds proc/ and sys/. */
void wb_machine_judge(const char *root, const wb_machine *machine, wb_findings *findings);

/* wb_machine_can_run: whether the node can run at all. */
bool wb_machine_can_run(const wb_machine *machine);

/* wb_finding_state_name: "ok", "could be better", "missing", "unknown". Static. */
const char *wb_finding_state_name(wb_finding_state state);

#endif
