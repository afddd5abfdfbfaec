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

enum { WB_RESOLVE_ADDRESSES_MAX = 16 }; /* more of one name are cut off */

wb_resolve *wb_resolve_open(wb_error *error);

/* wb_resolve_close gives a request up; it does not wait for it. NULL is allowed. */
void wb_resolve_close(wb_resolve *resolve);

/* wb_resolve_start asks for host (name or IP literal, without brackets) and port ("1".."65535"), both copied; one request at a
 * time. wake(wake_self), may be NULL, is called when it is done: from the resolver's thread, or before wb_resolve_start returns
 * for an IP literal, which needs no thread; never after wb_resolve_close. It must not call the resolver. A result nobody took
 * is dropped. Returns 0, WB_E_INVALID, WB_E_LIMIT (host longer than 255), WB_E_STATE while another request goes on. */
int wb_resolve_start(wb_resolve *resolve, const char *host, const char *port, void (*wake)(void *), void *wake_self);

/* wb_resolve_poll returns 0 while it goes on, the number of addresses (up to max, in the order to try) when done, WB_E_RESOLVE
 * with *error. A result is given once. max: at least 1. WB_E_STATE when nothing was asked. */
int wb_resolve_poll(wb_resolve *resolve, wb_address *address, unsigned max, wb_error *error);

#endif
