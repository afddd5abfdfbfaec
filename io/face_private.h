/* face_private.h - what the HTTP face is made of, between face.c (listening, the thread, routes), face_client.c (connections) and face_ask.c (what the
 * control thread is asked for). Private to the three. */
#ifndef WB_IO_FACE_PRIVATE_H
#define WB_IO_FACE_PRIVATE_H

#include <netinet/in.h>
#include <pthread.h>

#include "io/cpu.h"
#include "io/face_route.h"
#include "io/tls.h"
#include "io/uring.h"
#include "io/ws.h"

enum { WB_FACE_MODULES_MAX = 16, WB_FACE_IN_BYTES = WB_FACE_HEAD_BYTES_MAX + WB_FACE_BODY_BYTES_MAX };
enum { WB_FACE_CIPHER_BYTES = 16 << 10, WB_FACE_CLOSE_REASON_BYTES = 123 };

/* In this order a connection goes through them; from ANSWERING back to READING where it is kept. */
typedef enum {
  WB_FACE_SECURING = 0, /* TLS handshake */
  WB_FACE_READING,      /* of a request */
  WB_FACE_ANSWERING,    /* the answer is going out */
  WB_FACE_HELD,
  WB_FACE_STREAM,
  WB_FACE_SOCKET,
  WB_FACE_FINISHING, /* what is queued, then an end of the sending side */
  WB_FACE_GONE       /* but for operations that are still in flight */
} wb_face_client_state;

typedef struct wb_face_bytes {
  uint8_t *bytes;
  size_t count, capacity;
} wb_face_bytes;

/* An address that asks: shared by its connections. A bucket of requests. */
typedef struct wb_face_source {
  struct in6_addr address;
  uint64_t full_ns; /* when the bucket is full again */
} wb_face_source;

struct wb_face_client {
  wb_face *face;
  int fd;
  wb_face_client_state state;
  wb_tls *tls;   /* NULL: plain */
  bool notified; /* close_notify is written */
  bool shut;     /* nothing more is sent */
  bool peer_shut;
  bool begun; /* a request has begun to come */
  size_t
      large; /* the message that was taken while nothing was queued: of any size, and there is room for as much as ever behind it */
  bool keep;      /* the connection, after this answer */
  bool head_only; /* no body */
  bool answered;  /* this request */
  bool closed;    /* WebSocket: a close went out */
  wb_face_ending ending;
  struct in6_addr address;
  wb_op recv_op, send_op;
  uint64_t deadline_ns; /* of the request, the hold, the end; 0: none */
  uint64_t progress_ns; /* when the peer last took something, or began to have to */
  uint64_t heard_ns;    /* when something last came */
  uint64_t asked_ns;
  uint64_t pinged_ns;
  uint8_t *cipher;
  size_t in_count;
  wb_face_bytes filling, sending;
  size_t sent; /* of sending */
  const uint8_t *lent;
  size_t lent_count;
  void (*lent_done)(void *self);
  void *lent_self;
  const wb_face_handler *handler;
  void *self;
  const wb_http_call *call; /* while its route's function runs */
  const char *head;
  wb_ws *ws; /* allocated with the first upgrade */
  uint8_t in[WB_FACE_IN_BYTES];
};

typedef enum { WB_FACE_ASK_STATUS = 0, WB_FACE_ASK_REPORT, WB_FACE_ASK_BOOK, WB_FACE_ASKS } wb_face_ask;
enum { WB_FACE_ASK_IDLE = 0, WB_FACE_ASK_ASKED, WB_FACE_ASK_DONE };

struct wb_face {
  wb_face_config config;
  wb_uring *ring;
  int listener, bell; /* bell: rings the control thread */
  bool loopback;
  struct sockaddr_storage at;
  uint8_t token[WB_FACE_TOKEN_BYTES_MAX];
  size_t token_bytes;
  wb_tls_context *tls;
  pthread_t thread;
  bool started;
  uint32_t stop; /* W control, R face */
  wb_node *node;
  wirebook_shm books;
  wb_cpu_list avoid;
  wb_op accept_op;
  uint64_t accept_retry_ns;
  wb_face_client *client[WB_FACE_CLIENTS_MAX];
  wb_face_source source[WB_FACE_CLIENTS_MAX];
  wb_face_counts counts;
  void *module[WB_FACE_MODULES_MAX];
  unsigned module_count;

  /* What the control thread is asked for [X1], and answers [X2]: one thing at a time. Whose turn it is to touch the results, ask_state says: control's
   * while ASKED, else the face's. */
  uint64_t ask_state; /* W face (ASKED, IDLE), control (DONE) */
  wb_face_ask ask;
  uint32_t ask_product;
  wb_face_status *status; /* taken_ns 0: none yet; so are the others */
  wb_face_report report;
  wb_face_book book;
  bool wants[WB_FACE_ASKS]; /* of the face's thread, as the next two */
  uint32_t wants_product;
  uint64_t wants_since_ns; /* since when the one who wants it has waited */
  uint64_t ask_due_ns;     /* the next one at the earliest */
  wb_hist *
      before; /* control: wire_to_book and exchange_to_book as of the report before, what came since, and room for two copies */
  uint64_t before_ns;
};

/* face_client.c. wb_face_client_open takes a connection that was accepted; NULL, and fd is closed: there is no memory. wb_face_client_tick looks at its clocks, flushes,
 * and tells whether it can be freed. wb_face_client_end: nothing more is said; wb_face_client_stop: what is under way is finished, and no more. */
wb_face_client *wb_face_client_open(wb_face *face, int fd, const struct in6_addr *address, uint64_t now_ns);
bool wb_face_client_tick(wb_face_client *client, uint64_t now_ns);
void wb_face_client_end(wb_face_client *client, wb_face_ending ending);
void wb_face_client_stop(wb_face_client *client);
void wb_face_client_free(wb_face_client *client);

/* face.c: finds the route of a request that came whole, and calls it. */
void wb_face_route_take(wb_face_client *client, const wb_http_call *call, uint64_t now_ns);

/* face_ask.c, on the face's thread. */
void wb_face_ask_turn(wb_face *face, uint64_t now_ns);
bool wb_face_ask_wanted(const wb_face *face);
int wb_face_ask_open(wb_face *face, wb_error *error);
void wb_face_ask_close(wb_face *face);

#endif
