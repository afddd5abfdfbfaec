/* face.h - the HTTP face of a node: what it knows, for programs and people, over HTTP/1.1 and WebSocket.
 *
 * What:    one thread with an io_uring of its own, behind others and off the hot CPUs. It reads the books as any reader of shared memory does
 *          (io/wirebook_shm.h); what only the control thread can say (the report, whole books) it asks that thread for, a few times a second at most.
 *          What comes from outside makes no hot thread wait, and nothing grow without a limit.
 * Routes:  io/face_modules.c lists them; io/face_route.h is what each of them sees.
 * Limits:  WB_FACE_...; a connection that keeps to none of them is closed, and counted under its reason.
 * Threads: all functions from the control thread. Edges X1, X2, docs/threading.md.
 * Memory:  allocated at open, and for each connection as it comes.
 * See:     docs/api.md */
#ifndef WB_IO_FACE_H
#define WB_IO_FACE_H

#include <stdbool.h>

#include "engine/base/error.h"
#include "io/node_run.h"

enum { WB_FACE_CLIENTS_MAX = 64, WB_FACE_TOKEN_BYTES_MIN = 16, WB_FACE_TOKEN_BYTES_MAX = 512, WB_FACE_RATE_DEFAULT = 100 };

typedef struct wb_face wb_face;

/* Text is used until close. Beyond loopback a token or an authority of clients' certificates is needed. */
typedef struct wb_face_config {
  const char *listen;      /* "127.0.0.1:8080", "[::1]:8080"; port 0: any */
  const char *token_file;  /* a file with the token, readable by its owner only; NULL: WIREBOOK_LISTEN_TOKEN, or none */
  const char *certificate; /* PEM; NULL: no TLS. Then key, too */
  const char *key;
  const char *client_ca; /* clients must have a certificate of this authority; NULL: they need none */
  const char *origin;    /* of pages from elsewhere that may read; "*": of any; NULL: of none */
  uint32_t rate;         /* requests a second of an address, and as many at once; 0: WB_FACE_RATE_DEFAULT */
} wb_face_config;

/* wb_face_open checks all of it and listens. NULL with *error: WB_E_CONFIG for what is no address, no token, no certificate, or would be open to
 * everybody; WB_E_SYSTEM where the address cannot be had. Before the node is opened: a confined one may not bind. */
wb_face *wb_face_open(const wb_face_config *config, wb_error *error);

/* wb_face_url writes where it listens ("http://127.0.0.1:8080"); returns text. */
const char *wb_face_url(const wb_face *face, char *text, size_t size);

/* wb_face_start serves a node that was opened with `listens` and outlives the face; before it starts: a confined node starts no threads later. 0 or a
 * negative error. */
int wb_face_start(wb_face *face, wb_node *node, wb_error *error);

/* wb_face_fd is readable when the face asks; wb_face_serve then answers: as long as a report takes. */
int wb_face_fd(const wb_face *face);
void wb_face_serve(wb_face *face);

/* wb_face_close tells connections good-bye, a second at most. NULL is allowed. */
void wb_face_close(wb_face *face);

#endif
