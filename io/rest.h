/* rest.h - one GET of a REST API, over http or https: for what is wanted once or rarely, on a thread that may wait.
 *
 * What:    HTTP/1.1 on a connection of its own: resolve, connect (each address in turn), TLS by io/tls, one request, the whole answer (Content-Length,
 *          chunked, or up to the end). Redirects are answers like any other. Parsed by http-parser.
 * Bounds:  time for the whole, bytes of head and body; a peer that says more, or dawdles, is left.
 * Threads: any, but none that must not wait. A thread that got https calls wb_tls_thread_end before it ends.
 * Source:  RFC 9110, RFC 9112. */
#ifndef WB_IO_REST_H
#define WB_IO_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* Who looks names up, on a thread of its own: to be kept by who may start none later (io/confine.h). For one call at a time. NULL on failure, *error says what. */
typedef struct wb_rest_names wb_rest_names;
wb_rest_names *wb_rest_names_open(wb_error *error);
void wb_rest_names_close(wb_rest_names *names);

typedef struct wb_rest_config {
  const char *ca_file; /* https: as wb_tls_client_open; NULL: the system's */
  bool insecure;
  uint64_t timeout_ns;         /* for the whole; 0: WB_REST_TIMEOUT_NS */
  size_t max_bytes;            /* of the body; 0: WB_REST_BYTES */
  const char *user_agent;      /* NULL: none is said */
  const char *token;           /* said as Authorization: Bearer; NULL: none. Visible ASCII */
  struct wb_rest_names *names; /* NULL: of its own, which starts a thread */
  const uint32_t *stop;        /* W any, R the call: it gives up within 0.1 s when this is not 0; may be NULL */
} wb_rest_config;

#define WB_REST_TIMEOUT_NS (10 * (uint64_t)1000000000)
#define WB_REST_BYTES ((size_t)64 << 20)

typedef struct wb_rest_answer {
  unsigned status;        /* 100 .. 999 */
  unsigned retry_after_s; /* of Retry-After in seconds; 0 if absent or a date */
  uint8_t *body;          /* NUL behind its end; NULL only where the call failed */
  size_t body_bytes;
} wb_rest_answer;

/* wb_rest_get asks url ("https://api.exchange.coinbase.com/products"). Returns 0 for any whole answer, whatever its status, to be freed with wb_rest_free; or,
 * with *error (may be NULL) and nothing to free, WB_E_CONFIG (the URL), WB_E_RESOLVE, WB_E_CONNECT, WB_E_TLS, WB_E_CERTIFICATE, WB_E_TIMEOUT, WB_E_CLOSED (cut
 * short), WB_E_PROTOCOL (no HTTP), WB_E_TOO_LARGE, WB_E_STATE (stopped), WB_E_MEMORY, WB_E_SYSTEM. */
int wb_rest_get(const wb_rest_config *config, const char *url, wb_rest_answer *answer, wb_error *error);
void wb_rest_free(wb_rest_answer *answer);

#endif
