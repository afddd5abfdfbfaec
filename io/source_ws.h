/* source_ws.h - the ingest stage: WebSocket lines over io_uring and TLS, from name to frames in the journal.
 *
 * What:    for each line resolve, connect, TLS, upgrade, subscribe, receive straight into the line's journal (TLS: decrypt
 * straight into it), describe each message, answer pings, watch for silence, reconnect with back-off. All lines together make at most 8 connections and 8 messages a second. The node's own
 *          records, and control frames between the fragments of a message, go to one more frame ring, the notes; all else lies in the
 *          line's journal as it came.
 * Threads: do_work, idle from the ingest thread; wake, stop and the counters from any. Edges F1, F2 (frames), B1 (commands in), A1, A2 (REST).
 * Memory:  nothing is allocated after open but inside a TLS connection while it is being set up, and by wolfCrypt while it signs a login.
 * Order:   every record gets the next number of the node, over all lines and notes.
 * Full:    when a reader of the frames is too far behind, receiving stops until there is room (TCP holds the peer back);
 * counted. */
#ifndef WB_IO_SOURCE_WS_H
#define WB_IO_SOURCE_WS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/port.h"
#include "engine/ring/frames.h"
#include "engine/ring/ring.h"
#include "engine/topo/loop.h"
#include "io/extension.h"
#include "io/login.h"

typedef struct wb_source_ws wb_source_ws;

/* Who gets level-3 snapshots, off the ingest thread: io/source_rest. */
typedef struct wb_source_asker {
  void *self; /* NULL: nothing is asked for */
  void (*ask)(void *self, uint16_t product, uint8_t line, uint16_t connection);
  bool (*take)(void *self, uint64_t number, uint64_t now_ns);
} wb_source_asker;

typedef struct wb_source_ws_config {
  const char *url[WB_LINE_COUNT_MAX];
  unsigned line_count;
  unsigned connections; /* line i carries the products whose part is i % connections; 0: 1 */
  const char *ca_file;  /* NULL: system roots */
  bool insecure;        /* loopback only: open refuses it for other hosts when they are resolved */
  bool once;            /* do not reconnect */
  bool spins;           /* the thread never sleeps: sockets are asked instead of waited for */
  const wb_codec *codec;
  const wb_products
      *products; /* may grow up to its capacity, and its products go and come back: whoever does it wakes the loop */
  const char *const *channels; /* NULL-terminated */
  wb_login *login;             /* of all lines; sent to loopback or by TLS only. NULL: none. Outlives the source */
  uint64_t message_bytes_max;
  wb_deflate_mode deflate;              /* what permessage-deflate is offered */
  wb_frames *frames[WB_LINE_COUNT_MAX]; /* one a line */
  wb_frames *notes;
  wb_ring *commands; /* from the book stage */
  wb_source_asker asker;
  const wb_host *host;
  uint64_t connect_timeout_ns;             /* resolve to upgrade; 0: 10 s */
  uint64_t silence_ns;                     /* no byte for this long: reconnect (a ping is sent at half of it); 0: 10 s */
  uint64_t backoff_min_ns, backoff_max_ns; /* 0: 250 ms, 30 s */
  uint64_t good_ns;                        /* so long with data before the back-off starts anew; 0: 5 s */
} wb_source_ws_config;

typedef enum {
  WB_LINE_IDLE = 0,
  WB_LINE_RESOLVING,
  WB_LINE_CONNECTING,
  WB_LINE_SECURING,
  WB_LINE_UPGRADING,
  WB_LINE_OPEN,
  WB_LINE_ENDING,  /* Close was sent or received; waiting for the other's */
  WB_LINE_CLOSING, /* operations are being cancelled */
  WB_LINE_ENDED
} wb_line_state;

/* Counters of one line. W ingest, R any. */
typedef struct wb_line_stats {
  uint64_t state; /* wb_line_state */
  uint64_t messages, bytes, connects, reconnects, stalls;
  uint64_t recv_ns;
} wb_line_stats;

wb_source_ws *wb_source_ws_open(const wb_source_ws_config *config, wb_error *error);
void wb_source_ws_close(wb_source_ws *source);

/* wb_source_ws_agent is the stage for a loop. */
wb_agent wb_source_ws_agent(wb_source_ws *source);

/* wb_source_ws_thread_end: the ingest thread calls it before it ends. */
void wb_source_ws_thread_end(wb_source_ws *source);

/* wb_source_ws_wake: there is something to do. Any thread. */
void wb_source_ws_wake(wb_source_ws *source);

/* wb_source_ws_stop: say Close 1000 on every open line, take what still comes, end. Any thread. */
void wb_source_ws_stop(wb_source_ws *source);

/* wb_source_ws_ended: every line has ended, for stop, once, or a peer that refused for good. *error (may be NULL) tells why it
 * failed; code 0 if it did not. Any thread. */
bool wb_source_ws_ended(const wb_source_ws *source, wb_error *error);

const wb_line_stats *wb_source_ws_stats(const wb_source_ws *source, unsigned line);
const char *wb_line_state_name(wb_line_state state);

/* wb_line_name writes what a line is called: "A", or "A2" for the second of the connections of line A. connections: as in the config, 1 or more. */
void wb_line_name(unsigned line, unsigned connections, char name[16]);

/* wb_source_ws_taken returns how many records were numbered so far: when all stages have reached it, nothing is under way. Any
 * thread. */
uint64_t wb_source_ws_taken(const wb_source_ws *source);

/* wb_source_ws_describe writes how the kernel's io_uring is used, and line 0's TLS. */
const char *wb_source_ws_describe(const wb_source_ws *source, char *text, size_t size);

#endif
