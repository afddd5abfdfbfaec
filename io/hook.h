/* hook.h - a command that is run for a path: one at a time, in the background.
 *
 * Command: words separated by blanks; '...' keeps what is in it, "..." too but \" and \\, a backslash outside quotes takes the
 *          next character as it is. {} within a word stands for the path; if no word has it, the path is the last argument.
 *          There is no shell, unless the command is one: sh -c 'mv "$1" /archive' sh
 * Process: a group of its own, standard input is /dev/null, output and errors are one pipe, whose last line is kept. CPUs and
 *          scheduling are those of the calling thread, or of the hook's own; signals are as at login.
 * Memory:  allocated at open and start. Threads: one, and the hook's own where it was asked for. */
#ifndef WB_IO_HOOK_H
#define WB_IO_HOOK_H

#include <poll.h>
#include <stdbool.h>

#include "engine/base/error.h"
#include "io/cpu.h"

typedef struct wb_hook wb_hook;

/* wb_hook_open: WB_E_CONFIG for a command without words, an open quote, or a program named by a path that cannot be run. */
wb_hook *wb_hook_open(const char *command, wb_error *error);

/* wb_hook_close kills what still runs (wb_hook_kill). */
void wb_hook_close(wb_hook *hook);

/* wb_hook_thread_start: from now on commands are started by a thread of the hook's own at nice 19, on CPUs other than those to avoid (io/cpu.h).
 * For a caller at SCHED_IDLE: what that one starts could never leave it, and on a busy machine would never end. To be called from a thread
 * with the usual scheduling. 0 or WB_E_SYSTEM. wb_hook_thread_stop: by the caller's thread again. */
int wb_hook_thread_start(wb_hook *hook, const wb_cpu_list *avoid, wb_error *error);
void wb_hook_thread_stop(wb_hook *hook);

/* wb_hook_start runs the command for a path; none may be running. 0 or WB_E_SYSTEM (not found, no memory, ...). */
int wb_hook_start(wb_hook *hook, const char *path, wb_error *error);
bool wb_hook_running(const wb_hook *hook);

/* status: exit code; 128 + signal number if it was killed. line: last line of its output that is not blank, "" if none,
 * printable ASCII. */
typedef struct wb_hook_end {
  int status;
  char line[160];
} wb_hook_end;

/* wb_hook_poll takes in output and tells whether the command has ended: 1 with *end (then none is running), 0. Never waits. */
int wb_hook_poll(wb_hook *hook, wb_hook_end *end);

/* wb_hook_watch fills what to wait for until there is something for wb_hook_poll, and returns how many (0..2). */
enum { WB_HOOK_WATCH_MAX = 2 };
unsigned wb_hook_watch(const wb_hook *hook, struct pollfd *watch);

/* wb_hook_kill ends what runs: SIGTERM to its group, after a second SIGKILL. */
void wb_hook_kill(wb_hook *hook);

#endif
