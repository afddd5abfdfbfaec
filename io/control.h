/* control.h - the socket by which a running node is told what to do: one datagram asks, one answers.
 *
 * What:    a UNIX datagram socket at a path, mode 0600. A request is one line, `add ID[:PRICE_DECIMALS:SIZE_DECIMALS] ...` or `remove ID ...`; the answer
 *          has a line for each id, `added ID`, `removed ID`, `unchanged ID`, or `failed ID: why`. Anything else is answered by `failed: why`. A
 *          datagram is whole or not there at all, so nobody who asks can hold up the node.
 * Threads: the node's control thread. Memory: allocated at open. */
#ifndef WB_IO_CONTROL_H
#define WB_IO_CONTROL_H

#include "io/node_run.h"

/* The longest request: some 1,600 ids of usual length. */
enum { WB_CONTROL_BYTES_MAX = 32 << 10 };

typedef struct wb_control wb_control;

/* wb_control_open binds the socket; one that a node has left behind is replaced. NULL with *error: WB_E_CONFIG for a path that is too long, WB_E_SYSTEM where
 * another node listens at it, or it cannot be made. close removes it where it may. */
wb_control *wb_control_open(const char *path, wb_error *error);
void wb_control_close(wb_control *control); /* NULL is allowed */

/* wb_control_fd is readable when somebody asks. wb_control_serve answers all who have, and never waits. */
int wb_control_fd(const wb_control *control);
void wb_control_serve(wb_control *control, wb_node *node);

/* wb_control_ask, from another process: sends a request to the node at path and writes its answer, NUL-terminated, within timeout_ms. Returns 0; WB_E_CONNECT
 * where no node listens, WB_E_TIMEOUT, WB_E_CONFIG, WB_E_SYSTEM. */
int wb_control_ask(const char *path, const char *request, char *answer, size_t size, int timeout_ms, wb_error *error);

#endif
