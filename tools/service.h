/* service.h - a node as a service: what its manager (systemd, or whoever set NOTIFY_SOCKET) is told of it.
 *
 * READY=1    when all books are live for the first time, so that what is ordered after the node finds them; after WB_SERVICE_READY_NS in any case: an exchange
 *            that is down is no failed start, the node waits for it and STATUS says so.
 * STATUS=    books live, lines up, messages; every 5 s.
 * WATCHDOG=1 twice in each time that the manager allows, but only if the book thread has had a turn since the last.
 * STOPPING=1 when the node begins to end.
 * Threads:   the control thread. Where there is no manager, all of it is nothing. */
#ifndef WB_TOOLS_SERVICE_H
#define WB_TOOLS_SERVICE_H

#include "io/node_run.h"
#include "io/notify.h"

#define WB_SERVICE_READY_NS (UINT64_C(60) * 1000000000)

typedef struct wb_service {
  wb_notify notify;
  wb_node *node;
  uint64_t started_ns, status_due_ns, beat_due_ns, turns;
  bool ready, stopping;
} wb_service;

/* wb_service_open, before the process is confined: what the environment says of a manager that is none goes to the log, and nobody is told. */
void wb_service_open(wb_service *service, wb_log *log);
void wb_service_start(wb_service *service, wb_node *node, uint64_t now_ns);

/* wb_service_turn tells what is due. To be called each 50 ms or so. */
void wb_service_turn(wb_service *service, uint64_t now_ns);

/* wb_service_stopping tells it once. */
void wb_service_stopping(wb_service *service);
void wb_service_close(wb_service *service);

#endif
