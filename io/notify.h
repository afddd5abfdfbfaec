/* notify.h - tells the service manager that started the process how it is doing: READY=1, STATUS=, WATCHDOG=1, STOPPING=1.
 *
 * What:    datagrams of "NAME=VALUE" lines to the UNIX socket that NOTIFY_SOCKET names: a path, or '@' and an abstract name. The socket is connected at open,
 *          so that a process that is confined later may still speak.
 * Memory:  none. Threads: one. Cost: one sendto a message, which never waits.
 * Source:  sd_notify(3), sd_watchdog_enabled(3), "Notes". */
#ifndef WB_IO_NOTIFY_H
#define WB_IO_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/base/error.h"

typedef struct wb_notify {
  int fd;               /* -1: nobody wants to be told */
  uint64_t watchdog_ns; /* told no WATCHDOG=1 for so long, the manager ends the process; 0: it does not watch */
  struct sockaddr_un at;
  socklen_t at_bytes;
} wb_notify;

/* wb_notify_open reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: they are not for the commands that the process
 * runs. Returns 0, also where nobody wants to be told; WB_E_CONFIG for a name or a time that is none, WB_E_SYSTEM where there is no socket to be had: then
 * *notify tells nobody. */
int wb_notify_open(wb_notify *notify, wb_error *error);
void wb_notify_close(wb_notify *notify);

/* wb_notify_send sends lines ("READY=1\nSTATUS=2 of 2 books live"). false: not taken now (the manager's queue is full, it is restarting): say it again later. */
bool wb_notify_send(wb_notify *notify, const char *lines);

#endif
