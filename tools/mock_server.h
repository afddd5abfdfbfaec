/* mock_server.h - the mock exchange: markets on one side, WebSocket clients on the other, one thread, one io_uring.
 *
 * Shape:   mock_market, mock_text   books and their messages, pure
 *          mock_dialect             what the exchange says and understands (a table of dialects): mock_exchange; mock_advanced,
 *                                   with mock_advanced_text and mock_tape
 *          mock_number              numbers of a connection's messages, for a dialect that counts them
 *          mock_client              one connection: TLS, upgrade, frames, output queue, closing
 *          mock_deflate             permessage-deflate of a connection, both ways
 *          mock_fault               a table of faults, for tests of recovery
 *          mock_recording           a recording in place of the markets
 *          mock_venue               a log in place of the markets
 *          mock_orders              the orders under a market, once somebody asks for them
 *          mock_rest, mock_listing  REST on the same port
 *          mock_limits              what the exchange does not put up with
 *          mock_login               who may log in, where that is checked
 *          mock_server              listening, the clock that drives the markets, who gets what, ending; mock_report what it
 * was Order:   a product's messages go to all its subscribers in one order; a client that joins gets a snapshot of now first.
 * Full:    without a rate the fastest subscriber of a product sets the pace; whoever falls client_buffer_bytes behind is closed
 *          (ErrSlowConsume).
 * Threads: one. */
#ifndef WB_TOOLS_MOCK_SERVER_H
#define WB_TOOLS_MOCK_SERVER_H

#include <stdio.h>
#include <sys/socket.h>

#include "engine/base/products.h"
#include "io/deflate.h"
#include "io/extension.h"
#include "io/tls.h"
#include "io/uring.h"
#include "io/ws.h"
#include "tools/mock_limits.h"
#include "tools/mock_login.h"
#include "tools/mock_orders.h"
#include "tools/mock_text.h"

typedef struct wb_mock_server wb_mock_server;
typedef struct wb_mock_client wb_mock_client;
typedef struct wb_mock_product wb_mock_product;
typedef struct wb_mock_venue wb_mock_venue;
typedef struct wb_mock_dialect wb_mock_dialect;
typedef struct wb_mock_fault wb_mock_fault;

enum {
  WB_MOCK_CLIENTS_MAX = 256,
  WB_MOCK_CHANNELS_MAX = 10,
  WB_MOCK_TIMERS = 4,
  WB_MOCK_IN_BYTES = 512 << 10,      /* a subscribe of all 4,096 products is 80 KB */
  WB_MOCK_MESSAGE_BYTES = 256 << 10, /* largest message of a client */
  WB_MOCK_CATCH_UP = 256,            /* messages at most before the ring is looked at again */
  WB_MOCK_CHUNK_BYTES = 256 << 10    /* queued ahead of the socket when there is no rate: fits L2 twice */
};

typedef struct wb_mock_options {
  const char *host;
  uint16_t port;
  const char *port_file, *report_file, *store_dir, *recording;
  const wb_products *products;
  bool products_given;
  uint32_t levels, changes_min, changes_max;
  double rate;       /* messages a second and product, 0: as fast as the clients take them */
  uint64_t messages; /* of a product, 0: no end */
  uint64_t seed;
  int64_t start_us; /* the exchange's clock at its first message, -1: the real one */
  uint64_t batch_ns;
  uint32_t depth; /* levels a side in the report */
  bool once, quiet, spaced, tls;
  uint32_t clients; /* with once: end after so many */
  const char *certificate_file, *key_file;
  uint64_t client_buffer_bytes, subscribe_ns;
  const wb_mock_dialect *dialect;
  const wb_mock_fault *fault;
  uint64_t fault_after;
  bool fault_repeat;
  wb_deflate_mode deflate; /* what a client that offers permessage-deflate gets */
  const char *login_file;  /* NULL: whatever looks like a login is one */
  int64_t login_ahead_s;
  uint64_t snapshot_bytes; /* snapshots are padded to this size, 0: not */
  bool epoch;              /* event_time of snapshots is 1970 */
  bool idle_given;         /* otherwise the dialect says it */
  uint64_t idle_ns;        /* a client that has subscribed and got no message for so long is closed, 0: never */
  bool enforce;            /* limits; otherwise what goes beyond them is counted alone */
  wb_mock_rate rest_rate;
  uint64_t rest_delay_ns;
  uint64_t status_ns, ticker_batch_ns; /* between two messages of these channels */
  const wb_products *auctions;         /* in auction mode, NULL: none */
  bool log;                            /* `recording` is a log that a node has stored */
  double speed;                        /* of a log, 0: as fast as the clients take it */
  int64_t at_utc_ns;                   /* where it begins, INT64_MIN: at its beginning */
  bool hold, loop;                     /* at its end */
} wb_mock_options;

/* ------------------------------------------------------------------------------------------------ server */

struct wb_mock_product {
  wb_mock_market market;
  wb_mock_text text;
  uint64_t snapshots, updates;
  uint64_t epoch_ns, epoch_updates; /* update n is due at epoch_ns + (n - epoch_updates) / rate */
  wb_mock_client *subscriber[WB_MOCK_CLIENTS_MAX];
  uint32_t subscriber_count;
  wb_mock_client *follower[WB_MOCK_CLIENTS_MAX]; /* of its orders */
  uint32_t follower_count;
  int64_t time_us;         /* of its last update: none is older than the one before it */
  bool done;               /* all its messages were sent */
  bool auction;            /* it is in auction mode */
  uint64_t batch_trade_id; /* last trade that ticker_batch told */
  FILE *store;
  wb_mock_orders *orders; /* NULL: nobody asked for them yet */
};

/* What the report tells of a client. */
typedef struct wb_mock_record {
  unsigned number;
  char address[64];
  uint64_t messages, bytes, snapshots, updates, orders, heartbeats, requests, faults;
  char ending[256];
} wb_mock_record;

enum { WB_MOCK_RECORDS_MAX = 1024 };

struct wb_mock_server {
  wb_mock_options options;
  wb_uring *ring;
  wb_tls_context *tls;
  wb_mock_login *login; /* NULL: not checked */
  int listener;
  wb_op accept_op;
  uint64_t accept_retry_ns;
  wb_mock_product *product;
  uint32_t product_count;
  wb_mock_client *client[WB_MOCK_CLIENTS_MAX];
  uint32_t client_count, client_number, served_count; /* served: subscribed and gone */
  wb_mock_record record[WB_MOCK_RECORDS_MAX];
  uint32_t record_count;
  uint8_t *update; /* the one being made: WB_WS_HEADER_BYTES_MAX bytes, then its text */
  char *snapshot;
  size_t snapshot_room;
  wb_mock_time time;
  wb_delta delta[WB_MOCK_CHANGES_MAX];
  unsigned delta_count; /* of the last update */
  uint64_t batch_due_ns, stop_ns;
  bool fault_done, stopping;
  struct wb_mock_advanced_state *advanced; /* private to mock_advanced */
  char *recording;                         /* --from: its messages one behind the other */
  size_t *recording_end;
  size_t recording_count;
  wb_mock_venue *venue; /* --from a log */
  wb_mock_source source[WB_MOCK_SOURCES_MAX];
  wb_mock_breaches breaches;
  uint64_t timer_due_ns[WB_MOCK_TIMERS]; /* of channels that come at an interval */
  uint64_t rfq_random, rfq_count;
};

/* wb_mock_server_run listens, serves until a signal or the end that the options say, writes the report. Returns 0 or a negative
 * error. Changes the handling of SIGINT, SIGTERM and SIGPIPE. */
int wb_mock_server_run(const wb_mock_options *options, wb_error *error);

/* wb_mock_server_find returns the index of a product, or -1. */
int wb_mock_server_find(const wb_mock_server *server, const char *id);

/* wb_mock_server_join puts a client among the subscribers of a product and sends it the book as it is; leave takes it off. */
void wb_mock_server_join(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client);
void wb_mock_server_leave(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client);

/* wb_mock_server_follow puts a client among those who get a product's orders, if it is not there; unfollow takes it off. */
void wb_mock_server_follow(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client);
void wb_mock_server_unfollow(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client);

/* wb_mock_server_orders returns a product's orders, which begin with the first call; NULL when there is no memory. From then on its
 * trades, its last one included, are those of the orders, and its sequence theirs. */
wb_mock_orders *wb_mock_server_orders(wb_mock_server *server, wb_mock_product *product);

/* wb_mock_server_snapshot sends the whole book to one client. */
void wb_mock_server_snapshot(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client);

/* wb_mock_server_time is the exchange's time of a product's next message, as text. */
const char *wb_mock_server_time(wb_mock_server *server, const wb_mock_product *product);

/* wb_mock_recording_open reads options.recording and makes the products it is about (or those of the options, if given).
 * wb_mock_play sends a client what is due of it and returns when to be called again (0: at once, UINT64_MAX: when there is
 * room). */
int wb_mock_recording_open(wb_mock_server *server, wb_error *error);
uint64_t wb_mock_play(wb_mock_client *client, uint64_t now_ns);

/* wb_mock_report_write writes the report (docs/mock.md). Returns 0 or WB_E_SYSTEM. */
int wb_mock_report_write(const wb_mock_server *server, const char *path, wb_error *error);

/* ------------------------------------------------------------------------------------------------ client */

typedef enum {
  WB_MOCK_SECURING,  /* TLS handshake */
  WB_MOCK_UPGRADING, /* HTTP */
  WB_MOCK_OPEN,
  WB_MOCK_CLOSING,   /* our Close is on its way; the client's is awaited */
  WB_MOCK_FINISHING, /* what is queued goes out, then end of stream both ways */
  WB_MOCK_GONE       /* operations are being cancelled */
} wb_mock_client_state;

typedef struct wb_mock_bytes {
  uint8_t *bytes;
  size_t count, capacity;
} wb_mock_bytes;

/* An answer to a REST request that is sent when it is due. */
typedef struct wb_mock_held {
  uint8_t *bytes; /* NULL: none */
  size_t count;
  uint64_t due_ns;
  bool close; /* the connection ends with it */
} wb_mock_held;

struct wb_mock_client {
  wb_mock_server *server;
  wb_mock_source *source;
  wb_mock_record record;
  wb_mock_client_state state;
  int fd;
  wb_op recv_op, send_op;
  wb_tls *tls;
  wb_ws ws;
  uint8_t *in, *cipher; /* WB_MOCK_IN_BYTES each, cipher with TLS only */
  size_t in_count;
  wb_mock_bytes filling, sending; /* whole frames being queued; those on their way, sent bytes of them taken */
  size_t sent;
  uint64_t deadline_ns, heartbeat_ns; /* 0: none */
  uint32_t joined, joined_open;       /* products it gets; those of them that go on */
  bool subscribed, notified, shut, mute, reset_when_sent, schema_sent;

  char account[64]; /* who signed in, or its address */
  uint16_t *wants;  /* a product: bits of the dialect's channels */
  uint8_t channel_order[WB_MOCK_CHANNELS_MAX], channel_count;
  char channel_name[WB_MOCK_CHANNELS_MAX][24]; /* by channel, as it was asked for */

  wb_deflate *deflate; /* NULL: nothing was agreed on */
  wb_inflate *inflate;
  uint8_t *text; /* with deflate: the client's message that is coming, WB_MOCK_MESSAGE_BYTES at most, and one more */
  size_t text_bytes;

  uint64_t until_order;                                        /* as until_fault, of the messages of orders */
  uint64_t until_fault;                                        /* counts down with the updates; the fault comes at 0 */
  const wb_mock_product *withheld, *wrong_ticker, *lost_match; /* by a fault: no updates, false tickers, not its next trade */
  bool quoted_beats;                                           /* by a fault: heartbeats count in a string */
  char slow_head[256];                                         /* an upgrade answer that is sent byte by byte */
  size_t slow_bytes, slow_sent;
  uint64_t slow_due_ns;

  uint64_t sequence;                   /* number of its next message, where the dialect counts them */
  uint64_t idle_messages, idle_due_ns; /* closed then, if it has got no more than so many */
  wb_mock_held held;

  bool playing; /* --from */
  size_t played;
  uint64_t play_epoch_ns, play_epoch;
};

/* wb_mock_client_open takes over a connected socket. NULL when there is no memory (the socket is closed). */
wb_mock_client *wb_mock_client_open(wb_mock_server *server, int fd);

/* wb_mock_client_put queues one message of the server, with its number where the dialect counts them and it has none yet;
 * put_frame any frame; put_raw bytes as they are. All do nothing once the client is not OPEN (put_raw: once it is GONE). A
 * client too far behind is closed instead. */
void wb_mock_client_put(wb_mock_client *client, const char *text, size_t bytes);
void wb_mock_client_put_frame(wb_mock_client *client, int opcode, bool fin, const void *payload, size_t bytes);
void wb_mock_client_put_raw(wb_mock_client *client, const void *bytes, size_t count);

/* wb_mock_client_put_made queues header and payload that lie as one piece: the fast way for messages all clients get. */
static inline void wb_mock_client_put_made(wb_mock_client *client, const uint8_t *frame, size_t bytes);

/* wb_mock_client_close starts a close handshake; finish sends what is queued and ends the connection; drop ends it at once,
 * with a reset if so said. reason goes into the record. */
void wb_mock_client_close(wb_mock_client *client, unsigned code, const char *reason);
void wb_mock_client_finish(wb_mock_client *client, const char *reason);
void wb_mock_client_drop(wb_mock_client *client, bool reset, const char *reason);

/* wb_mock_client_flush starts to send what is queued, if nothing is being sent. */
void wb_mock_client_flush(wb_mock_client *client);

/* wb_mock_client_tick looks at the client's clocks and returns when it wants to be called again (UINT64_MAX: never). */
uint64_t wb_mock_client_tick(wb_mock_client *client, uint64_t now_ns);

/* wb_mock_client_free frees a GONE client with nothing in flight; returns false while something is. */
bool wb_mock_client_free(wb_mock_client *client);

/* Private to the fast way above and to mock_deflate. */
bool wb_mock_client_room(wb_mock_client *client, size_t bytes);

static inline void wb_mock_client_put_made(wb_mock_client *client, const uint8_t *frame, size_t bytes) {
  wb_mock_bytes *to = &client->filling;
  if (__builtin_expect(to->capacity - to->count < bytes || client->state != WB_MOCK_OPEN || client->mute, 0) &&
      !wb_mock_client_room(client, bytes))
    return;
  __builtin_memcpy(to->bytes + to->count, frame, bytes);
  to->count += bytes;
  client->record.messages++;
  client->record.bytes += bytes;
}

/* ------------------------------------------------------------------------------------------------ numbered messages */

enum { WB_MOCK_NUMBER_BYTES_MAX = 20 };

/* wb_mock_number_put queues one message with the client's next number in its hole (an offset, which the dialect found);
 * wb_mock_number_text returns a copy with any number, to be freed, and what it has become long; NULL when there is no memory.
 * wb_mock_number_bytes is the length of a number. */
void wb_mock_number_put(wb_mock_client *client, const char *text, size_t bytes, size_t hole);
char *wb_mock_number_text(uint64_t number, const char *text, size_t *bytes, size_t hole);
size_t wb_mock_number_bytes(uint64_t number);

/* ------------------------------------------------------------------------------------------------ permessage-deflate */

/* wb_mock_deflate_begin: terms were agreed on; false when there is no memory. end frees what it made. put queues one compressed message; read is
 * wb_ws_read, but that *consumed counts where it returns 0, too. */
bool wb_mock_deflate_begin(wb_mock_client *client, const wb_deflate_terms *terms);
void wb_mock_deflate_end(wb_mock_client *client);
void wb_mock_deflate_put(wb_mock_client *client, const void *text, size_t bytes);
int wb_mock_deflate_read(wb_mock_client *client, uint8_t *bytes, size_t count, wb_ws_item *item, size_t *consumed);

/* ------------------------------------------------------------------------------------------------ dialect */

struct wb_mock_dialect {
  const char *name;
  size_t level_bytes;                         /* of a snapshot, a level at most (with the usual prices and sizes) */
  bool closes_idle;                           /* after 60 to 90 seconds without a message */
  size_t (*update_bytes_max)(unsigned count); /* of an update of so many changes, a snapshot of so many levels */
  size_t (*update)(const wb_mock_text *text, const wb_delta *delta, unsigned count, const char *time, char *to);
  size_t (*snapshot)(const wb_mock_text *text, const char *time, char *to);
  void (*take)(wb_mock_client *client, const char *text, size_t bytes); /* a message of the client */
  void (*heartbeat)(wb_mock_client *client);                            /* once a second after client->heartbeat_ns was set */
  void (*traded)(wb_mock_server *server, wb_mock_product *product, const char *time); /* before an update that trades made */
  void (*invalid)(wb_mock_client *client, const wb_mock_product *product);            /* says that there is no such product */

  /* Where the number of a message belongs that is still without: its offset, 0: nowhere. NULL: messages are not numbered. */
  size_t (*hole)(const char *text, size_t bytes);

  /* First byte and end of a field of an update's first change. NULL: a change is ["side","price","size"]. */
  void (*field)(const char *text, size_t bytes, wb_mock_field field, size_t *from, size_t *to);

  /* Before the first client; after the last; at each turn of the server, returns when to be called again. NULL: nothing. */
  int (*open)(wb_mock_server *server, wb_error *error);
  void (*close)(wb_mock_server *server);
  uint64_t (*tick)(wb_mock_server *server, uint64_t now_ns);
  void (*orders)(wb_mock_server *server, wb_mock_product *product,
                 const char *time); /* before an update, to those who follow */
};

/* wb_mock_dialect_find by name, NULL if there is none; at enumerates, NULL past the end. */
const wb_mock_dialect *wb_mock_dialect_find(const char *name);
const wb_mock_dialect *wb_mock_dialect_at(unsigned index);
extern const wb_mock_dialect wb_mock_exchange, wb_mock_advanced;

/* wb_mock_dialect_hole is the hole of a text in the client's dialect, 0 if there is none. */
static inline size_t wb_mock_dialect_hole(const wb_mock_dialect *dialect, const char *text, size_t bytes) {
  return dialect->hole ? dialect->hole(text, bytes) : 0;
}

/* What one subscribe asks for, for faults to change before it is granted. */
typedef struct wb_mock_request {
  uint16_t *wants;   /* a product of the server: bits of channels */
  uint16_t *product; /* those it names, in its order */
  uint32_t product_count;
  bool renamed; /* acknowledge another name than the one asked for */
  bool silent;  /* do not acknowledge */
} wb_mock_request;

void wb_mock_exchange_error(wb_mock_client *client, const char *message, const char *reason);

/* ------------------------------------------------------------------------------------------------ faults */

/* How a REST book is answered, for a fault to change. */
typedef struct wb_mock_answer {
  unsigned status; /* 200, 429 or 500 */
  uint64_t behind; /* its sequence is so much lower than it is */
  bool cut;        /* half of the body, then the end of the connection */
} wb_mock_answer;

/* One row; the functions that are not NULL say when it happens. numbered: the update is given with its number in, which is
 * used up whatever is sent. */
struct wb_mock_fault {
  const char *name, *help;
  const wb_mock_dialect *dialect; /* the only one in which it can happen; NULL: in all */
  bool numbered;
  bool (*upgrade)(wb_mock_client *client, const char *key); /* instead of the answer to the HTTP request */
  void (*subscribe)(wb_mock_client *client, wb_mock_request *request);
  void (*update)(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes); /* instead of it */
  void (*order)(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes);  /* likewise, of orders */
  void (*answer)(wb_mock_answer *answer);                                                           /* before it */
};

const wb_mock_fault *wb_mock_fault_find(const char *name);
const wb_mock_fault *wb_mock_fault_at(unsigned index);
const wb_mock_fault *wb_mock_advanced_fault_at(unsigned index); /* those of that dialect alone */

/* wb_mock_fault_now says whether the run's fault is still to come to this client; wb_mock_fault_happened counts it. */
bool wb_mock_fault_now(const wb_mock_client *client);
void wb_mock_fault_happened(wb_mock_client *client);

/* wb_mock_fault_not_yet, from within the fault: it did not, and is to come with the client's next update. */
void wb_mock_fault_not_yet(wb_mock_client *client);

#endif
