/* resolve.h - getaddrinfo on a thread of its own, so that no caller's thread ever waits for DNS.
 *
 * Threads: open, start, poll and close from one thread; the resolver's own thread does the work. */
#ifndef WB_IO_RESOLVE_H
#define WB_IO_RESOLVE_H

#include <netdb.h>
#include <sys/socket.h>

#include "engine/base/error.h"

typedef struct wb_resolve wb_resolve;

typedef struct wb_address {
  struct sockaddr_storage address;
  socklen_t bytes;
  char text[64]; /* "127.0.0.1:9001", "[::1]:9001" */
} wb_address;

wb_resolve *wb_resolve_open(wb_error *error);
void wb_resolve_close(wb_resolve *resolve);

/* wb_resolve_start asks for host and port (copied); one request at a time. wake(wake_self) is called from the resolver's thread
 * when it is done (may be NULL). */
int wb_resolve_start(wb_resolve *resolve, const char *host, const char *port, void (*wake)(void *), void *wake_self);

/* wb_resolve_poll returns 0 while it goes on, the number of addresses (up to max, in the order to try) when done, WB_E_RESOLVE
 * with *error. A result is given once. */
int wb_resolve_poll(wb_resolve *resolve, wb_address *address, unsigned max, wb_error *error);

#endif
