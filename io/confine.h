/* confine.h - what the process may still do once it runs: least privilege by Landlock and seccomp.
 *
 * What:    open makes rules of what a node needs; enter takes every other file, program and TCP port away from the calling thread
 *          and all that it starts later (no_new_privs, Landlock by plain system calls); seal takes away system calls, on all
 *          threads (libseccomp; confine_calls.c alone includes it, confine_calls_none.c stands in where it is not built in).
 *          Nothing of it can be undone, and processes that are started inherit it.
 * Modes:   OFF does nothing. TRY does what the kernel offers, and lets a system call that is not listed through, with a line in
 *          the kernel's log. ON does all or fails, and a system call that is not listed ends the process by SIGSYS, with a line
 *          on standard error that has its number.
 * Files:   read: /etc, /usr, /lib, /lib64, the resolver's folder, the authorities' file. Read, write, make, rename and remove
 *          regular files and folders: the data folder, the report's folder, /dev/null. What is open stays open.
 * Command: its program, that one's interpreter or loader and nothing else may be run. It inherits everything, so where there
 *          is one, all system calls are allowed but those that administer a kernel or reach into other processes (EPERM).
 * Ports:   TCP connections go to the ports named and to 53; none is bound. UDP is not restricted. From Landlock ABI 4 on.
 * Told:    the line needs a thread that does not block SIGSYS: none of a node's does, but the C library in the middle of starting a thread.
 * Signals: reach processes of the same confinement only, as do abstract UNIX sockets. From ABI 6 on.
 * Not:     a system call filter does not see what io_uring does on its own; no new ring can be made after seal, and Landlock
 *          holds for those that are open.
 * Memory:  some 4 KiB, allocated at open; libseccomp's while seal runs. Threads: cold, one.
 * See:     SECURITY.md; docs/operations.md, "Least privilege" */
#ifndef WB_IO_CONFINE_H
#define WB_IO_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

typedef enum { WB_CONFINE_OFF = 0, WB_CONFINE_TRY, WB_CONFINE_ON } wb_confine_mode;
enum { WB_CONFINE_RULES_MAX = 64, WB_CONFINE_PORTS_MAX = 16 };

/* Text is used until close. Names that are not there: data_dir is made; standard ones are passed over; others are errors. */
typedef struct wb_confine_config {
  wb_confine_mode mode;
  const char *data_dir;    /* NULL: nothing is stored */
  const char *report_file; /* NULL or "-": none */
  const char *ca_file;     /* NULL: the system's */
  const char *command;     /* as wb_hook_open takes it; NULL: none */
  uint16_t port[WB_CONFINE_PORTS_MAX];
  unsigned port_count;
  char *const *allow; /* NULL-terminated, each "read:PATH", "write:PATH", "exec:PATH" (beneath it) or "port:N"; NULL: none */
} wb_confine_config;

/* Of a path and all beneath it. WRITE and EXEC have READ with them. */
enum { WB_CONFINE_READ = 1, WB_CONFINE_WRITE = 2, WB_CONFINE_EXEC = 4 };
typedef struct wb_confine_rule {
  unsigned may;
  int fd; /* O_PATH; -1 after enter */
  char path[256];
} wb_confine_rule;

typedef enum {
  WB_CALLS_ALL = 0, /* not restricted */
  WB_CALLS_LOGGED,  /* those not listed are logged by the kernel */
  WB_CALLS_LISTED,  /* those not listed end the process */
  WB_CALLS_DENIED   /* those listed as dangerous fail with EPERM */
} wb_confine_calls;

/* What is in force. landlock_abi: 0 when Landlock is not. lacking: what mode TRY had to do without, "" if nothing. */
typedef struct wb_confine_status {
  wb_confine_mode mode;
  int landlock_abi;
  bool ports_held;
  wb_confine_calls calls;
  char lacking[200];
} wb_confine_status;

typedef struct wb_confine wb_confine;

/* wb_confine_open checks the configuration and makes the rules; nothing is taken away yet. NULL with *error: WB_E_CONFIG for an
 * allow that is none, a path that is not there or a command that is not found; WB_E_LIMIT for too many rules; WB_E_UNSUPPORTED for
 * mode ON where Landlock or the filter is missing (the detail says what to do). */
wb_confine *wb_confine_open(const wb_confine_config *config, wb_error *error);
void wb_confine_close(wb_confine *confine); /* NULL is allowed; what is in force stays */

/* wb_confine_enter: threads that run already stay outside, so call it while there is none but the caller's. 0; WB_E_SYSTEM. */
int wb_confine_enter(wb_confine *confine, wb_error *error);

/* wb_confine_seal, when everything has been opened and started, after enter. 0; WB_E_SYSTEM (in mode TRY it is noted in lacking). */
int wb_confine_seal(wb_confine *confine, wb_error *error);

void wb_confine_status_read(const wb_confine *confine, wb_confine_status *status);
const wb_confine_rule *wb_confine_rules(const wb_confine *confine, unsigned *count);
const uint16_t *wb_confine_ports(const wb_confine *confine, unsigned *count);

/* wb_confine_describe writes one line for people; returns text. */
const char *wb_confine_describe(const wb_confine *confine, char *text, size_t size);
const char *wb_confine_mode_name(wb_confine_mode mode);    /* "off", "try", "on" */
const char *wb_confine_calls_name(wb_confine_calls calls); /* "all", "logged", "listed", "denied" */

/* What there is on this machine: Landlock's ABI, 0 without; whether the program was built with a system call filter, and the
 * kernel takes one. */
int wb_confine_landlock_abi(void);
bool wb_confine_calls_built(void);
bool wb_confine_calls_there(void);

/* wb_confine_calls_load puts a filter on all threads: LOGGED, LISTED or DENIED. Its part of seal. 0; WB_E_SYSTEM. */
int wb_confine_calls_load(wb_confine_calls calls, wb_error *error);

#endif
