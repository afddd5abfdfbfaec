/* face_route.h - what a route of the HTTP face sees: a request, ways to answer it, and where to read what the node knows.
 *
 * Shape:   a module is a table of routes, and perhaps a state; io/face_modules.c lists the modules. A route's function does one of these, at once:
 *            answer      a whole body, copied or lent
 *            hold        the answer is given later, by its tick
 *            stream      a body without an end (server-sent events), in chunks
 *            socket      a WebSocket: each text message comes in, messages go out
 * Threads: all functions here, and a module's but open and close, on the face's thread, one after the other: none may wait.
 * Full:    what waits for a peer is bounded: wb_face_put refuses what is above WB_FACE_QUEUE_BYTES_MAX. A peer that takes nothing for
 *          WB_FACE_SLOW_NS is closed.
 * Order:   what is put goes out in order, in as few packets as can be, at the end of the turn. */
#ifndef WB_IO_FACE_ROUTE_H
#define WB_IO_FACE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/hist.h"
#include "engine/book/book.h"
#include "io/face.h"
#include "io/http1.h"
#include "io/node_run.h"
#include "io/wirebook_shm.h"

enum { WB_FACE_WORDS_MAX = 2, WB_FACE_WORD_BYTES = 64, WB_FACE_QUERY_BYTES = 512 };
enum { WB_FACE_HEAD_BYTES_MAX = 8192, WB_FACE_BODY_BYTES_MAX = 8192, WB_FACE_MESSAGE_BYTES_MAX = 8192 };
enum { WB_FACE_QUEUE_BYTES_MAX = 4 << 20 }; /* of a stream or a socket: seconds of a busy feed */
#define WB_FACE_TURN_NS UINT64_C(10000000)  /* from tick to tick, where anything waits for one */
#define WB_FACE_REST_NS UINT64_C(50000000)  /* where nothing does */

typedef struct wb_face_client wb_face_client; /* a connection */

/* Valid while the route's function runs. */
typedef struct wb_face_request {
  const char *method;                               /* GET where HEAD was asked for: the body is left out by itself */
  const char *path;                                 /* without the query, as it came */
  char word[WB_FACE_WORDS_MAX][WB_FACE_WORD_BYTES]; /* what each '*' of the route stands for, decoded */
  const char *head;                                 /* for wb_http_header */
  size_t head_bytes;
  const char *body;
  size_t body_bytes;
  const char *query; /* as it came, without '?'; "" if there is none */
  void *self;        /* the module's */
  uint64_t now_ns;
} wb_face_request;

/* wb_face_query finds a parameter and decodes it (%XX, +): its text, or NULL if it is not there or longer than text. */
const char *wb_face_query(const wb_face_request *request, const char *name, char *text, size_t size);

/* wb_face_query_count reads a number: false for one that is none or out of range; *value is otherwise if it is not there. */
bool wb_face_query_count(const wb_face_request *request, const char *name, uint64_t otherwise, uint64_t least, uint64_t most,
                         uint64_t *value);

/* wb_face_text_is compares a field of a head with a text, whatever the case. */
bool wb_face_text_is(wb_http_text field, const char *text);

/* ------------------------------------------------------------------------------------------------ answering */

/* type: Content-Type. fields: further lines, each with its CRLF; NULL: none. bytes are copied. One answer a request. */
void wb_face_answer(wb_face_client *client, unsigned status, const char *type, const char *fields, const void *bytes,
                    size_t count);

/* wb_face_answer_lent: as wb_face_answer, without the copy: bytes stay until done(self); done NULL: forever. */
void wb_face_answer_lent(wb_face_client *client, unsigned status, const char *type, const char *fields, const void *bytes,
                         size_t count, void (*done)(void *self), void *self);

/* wb_face_refuse answers {"message":"..."}; text is plain ASCII, without quotes or backslashes. */
void wb_face_refuse(wb_face_client *client, unsigned status, const char *text);

/* Of a connection that is held, streams or is a WebSocket; each may be NULL. */
typedef struct wb_face_handler {
  void (*tick)(wb_face_client *client, void *self, uint64_t now_ns);
  void (*text)(wb_face_client *client, void *self, const char *text, size_t bytes); /* WebSocket: each message, UTF-8 */
  void (*gone)(wb_face_client *client,
               void *self); /* once, the last call: answered, ended, closed by the peer or for a limit */
} wb_face_handler;

/* wb_face_hold: tick is to answer; what is not answered after WB_FACE_HOLD_NS is refused with 503. */
void wb_face_hold(wb_face_client *client, const wb_face_handler *handler, void *self);

/* wb_face_stream answers 200 with a body in chunks: each wb_face_put is one. */
void wb_face_stream(wb_face_client *client, const char *type, const char *fields, const wb_face_handler *handler, void *self);

/* wb_face_socket takes a WebSocket up: each wb_face_put is a text message. false: none was asked for, or by a page from elsewhere; it was refused, and no
 * function of the handler is called. Pings and their answers, closes and silence are seen to. */
bool wb_face_socket(wb_face_client *client, const wb_face_handler *handler, void *self);

/* wb_face_put: 0; WB_E_FULL, nothing was put; WB_E_CLOSED, it is ending. Where nothing is queued a message of any size is taken. */
int wb_face_put(wb_face_client *client, const void *bytes, size_t count);

/* wb_face_queued: bytes that were put and have not been sent. */
size_t wb_face_queued(const wb_face_client *client);

/* wb_face_end ends a stream or a socket (with this close code and reason) once all is sent. gone comes later. */
void wb_face_end(wb_face_client *client, unsigned code, const char *reason);

wb_face *wb_face_of(const wb_face_client *client);

/* wb_face_asked_ns is when the request came: the `since` of what follows. */
uint64_t wb_face_asked_ns(const wb_face_client *client);

/* ------------------------------------------------------------------------------------------------ what the node knows */

/* wb_face_books reads the books: the face's own reader, whose ring is not to be moved on: take a copy of the structure for that. */
const wirebook_shm *wb_face_books(const wb_face *face);

/* wb_face_config_of is the node's. Its table of products is the control thread's: names and count are in wb_face_books. */
const wb_node_config *wb_face_config_of(const wb_face *face);

/* wb_face_node is for wb_node_copy_ask and wb_node_copy alone, which one module uses. */
wb_node *wb_face_node(const wb_face *face);

/* The node's counts and histograms of one moment. */
typedef struct wb_face_status {
  uint64_t taken_ns;
  wb_node_status node;
  int64_t free_bytes; /* of the disk of the data folder; -1: not known */
  wb_hist wire_to_book, exchange_to_book;
  wb_hist lag[WB_LINE_COUNT_MAX];
} wb_face_status;

/* The report (io/report.h) as of taken_ns, compact JSON with its closing brace, and percentiles of the time since the report before. */
typedef struct wb_face_report {
  uint64_t taken_ns;
  char *text;
  size_t bytes;
} wb_face_report;

/* A whole book, best first. */
typedef struct wb_face_book {
  uint64_t taken_ns;
  uint32_t product;
  uint32_t bid_count, ask_count;
  const wb_level *bid, *ask;
  wb_view_data view; /* of the same moment */
} wb_face_book;

/* Each returns what is younger than since_ns - WB_FACE_CACHE_NS, or NULL and asks for it: call again with the next tick. What is returned is valid
 * until the caller returns. */
#define WB_FACE_CACHE_NS UINT64_C(200000000)
#define WB_FACE_HOLD_NS UINT64_C(5000000000)
#define WB_FACE_SLOW_NS UINT64_C(10000000000)
const wb_face_status *wb_face_status_since(wb_face *face, uint64_t since_ns);
const wb_face_report *wb_face_report_since(wb_face *face, uint64_t since_ns);
const wb_face_book *wb_face_book_since(wb_face *face, uint32_t product, uint64_t since_ns);

/* ------------------------------------------------------------------------------------------------ modules */

typedef struct wb_face_route {
  const char *method; /* "GET" is HEAD, too; "UPGRADE" is a GET that asks for a WebSocket */
  const char *path;   /* "/products/ * /book", without the blanks: a '*' stands for one part of a path */
  void (*take)(wb_face_client *client, const wb_face_request *request);
} wb_face_route;

/* open (NULL: no state) and close run on the control thread, before and after the face's; tick with every turn. */
typedef struct wb_face_module {
  const char *name;
  const wb_face_route *route;                    /* ends with a path of NULL */
  void *(*open)(wb_face *face, wb_error *error); /* NULL with *error: the face does not start */
  void (*tick)(void *self, uint64_t now_ns);
  void (*close)(void *self);
  bool open_to_all; /* its routes need no token: there is nothing in what they answer that is anybody's own */
} wb_face_module;

/* In the order in which their routes are looked at; ends with NULL. */
extern const wb_face_module *const wb_face_modules[];

/* The face's own counts, of its thread. */
#define WB_FACE_ENDING_LIST(X)                                                                                                 \
  X(WB_FACE_ENDED, "ended")             /* by the peer, or as both agreed */                                                   \
  X(WB_FACE_REFUSED, "refused")         /* no room for it */                                                                   \
  X(WB_FACE_BAD_REQUEST, "bad_request") /* no HTTP, no WebSocket, or beyond a limit of size */                                 \
  X(WB_FACE_BAD_TLS, "bad_tls")                                                                                                \
  X(WB_FACE_SLOW_HEAD, "slow_request")  /* its request did not come in time */                                                 \
  X(WB_FACE_SLOW_READER, "slow_reader") /* it does not take what it asked for */                                               \
  X(WB_FACE_IDLE, "idle")                                                                                                      \
  X(WB_FACE_STOPPED, "stopped") /* the node ends */

typedef enum {
#define X(name, text) name,
  WB_FACE_ENDING_LIST(X)
#undef X
      WB_FACE_ENDINGS
} wb_face_ending;

typedef struct wb_face_counts {
  uint64_t accepted, requests, responses[6]; /* by the first digit of the status */
  uint64_t sent_bytes, received_bytes, messages_in, messages_out;
  uint64_t ended[WB_FACE_ENDINGS];
  uint64_t changes_lost; /* overwritten in shared memory before trades were read of them */
  unsigned clients, streams, sockets;
} wb_face_counts;
void wb_face_counts_read(const wb_face *face, wb_face_counts *counts);
uint64_t *wb_face_changes_lost(wb_face *face); /* for its module to count */
const char *wb_face_ending_name(wb_face_ending ending);

#endif
