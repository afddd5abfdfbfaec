/* source_line.h - one connection of the WebSocket source, between source_line.c (what flows: send, receive, frame, end) and source_ws.c (what is
 * decided: connect, subscribe, time, life). Private to the two. Threads: the ingest thread. */
#ifndef WB_IO_SOURCE_LINE_H
#define WB_IO_SOURCE_LINE_H

#include "io/http1.h"
#include "io/resolve.h"
#include "io/source_wire.h"
#include "io/source_ws.h"
#include "io/tls.h"
#include "io/uring.h"
#include "io/ws.h"

enum {
  WB_LINE_RECV_BYTES_MAX = 256 << 10,
  WB_LINE_CIPHER_BYTES = 256 << 10,
  WB_LINE_OUT_BYTES = 256 << 10,
  WB_LINE_ADDRESSES_MAX = 8,
  WB_LINE_NOTE_BYTES_MAX = 32 << 10
};
static const uint64_t WB_LINE_MS = 1000000, WB_LINE_SEND_INTERVAL_NS = 125 * 1000000; /* at most 8 connects a second */

typedef struct wb_line {
  wb_source_ws *source;
  unsigned index;
  wb_frames *frames;
  wb_url url;
  wb_line_stats *stats;
  wb_line_state state;
  char why[256];  /* the connection ended */
  bool permanent; /* do not try again */

  wb_resolve *resolve;
  wb_address address[WB_LINE_ADDRESSES_MAX];
  unsigned address_count, address_index, address_first;
  int fd, file;
  wb_op connect_op, recv_op, send_op;
  wb_tls *tls;
  uint8_t *cipher, *out;
  uint8_t *into; /* spinning: where the next receive goes; NULL: none is wanted */
  size_t into_bytes;
  size_t out_count, out_sending;
  wb_ws ws;
  wb_wire *wire; /* NULL: permessage-deflate is never offered */
  bool deflated; /* it was agreed on: what is received goes through the wire */
  char key[WB_WS_KEY_BYTES + 1];
  uint64_t scan;     /* journal position of the first byte not yet part of a record */
  uint64_t recv_ns;  /* of the bytes being looked at */
  uint64_t heard_ns; /* when the line last showed life */
  bool stalled, close_sent, close_seen, pinged;
  bool pong_owed; /* the newest ping is not answered yet */
  size_t pong_bytes;
  uint8_t pong[WB_WS_CONTROL_BYTES_MAX];
  bool deaf; /* framing is lost, or the peer has said Close: what still comes is kept raw only */
  uint16_t connection;

  uint64_t due_ns;         /* IDLE: next attempt; others: deadline of the state, 0 none */
  uint64_t stall_note_ns;  /* when a stall was last put on record: at most one a second */
  uint64_t retry_after_ns; /* what a refusal asked for */
  uint64_t open_ns;
  unsigned tries;
  uint64_t send_due_ns; /* next subscribe may be sent */
  uint32_t subscribed;  /* products asked for since open */
  uint8_t *resync;      /* per product: unsubscribe and subscribe wanted */
  uint32_t resync_count;
} wb_line;

struct wb_source_ws {
  wb_source_ws_config config;
  wb_uring *ring;
  wb_tls_context *tls;
  wb_line line[WB_LINE_COUNT_MAX];
  wb_line_stats stats[WB_LINE_COUNT_MAX];
  const char *level2[8]; /* channels that make books */
  uint64_t number;       /* W ingest, private */
  uint64_t taken;        /* W ingest, R any: numbers published */
  uint32_t stop_asked;   /* W any, R ingest */
  uint32_t ended;        /* W ingest (after error), R any */
  bool stopping;
  uint64_t gap_logs_ns; /* alarms said in words since then */
  unsigned gap_logs;
  uint64_t connect_due_ns; /* lines connect one after the other */
  unsigned turn;
  int brought; /* completions of the last wait, not yet said to the loop */
  wb_error error;
};

static inline uint64_t wb_source_now(const wb_source_ws *source) {
  return source->config.host->now_ns(source->config.host->self);
}

/* Log lines and records about this line. wb_line_published makes every record pushed so far visible. */
void wb_line_say(const wb_line *l, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void wb_line_note_text(wb_line *l, wb_frame_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
void wb_line_published(wb_line *l);

/* wb_line_allowance: how many records may be made before it is asked again; 0: a reader is too far behind, and nothing that could make a record may be
 * begun. */
size_t wb_line_allowance(wb_line *l);

void wb_line_enter(wb_line *l, wb_line_state state);

/* Sending; false when the connection failed on the way (its state is CLOSING then). */
bool wb_line_ask_upgrade(wb_line *l);
bool wb_line_send(wb_line *l, int opcode, const void *payload, size_t count);
bool wb_line_send_text(wb_line *l, const char *text, size_t count); /* and keeps a record of it */
void wb_line_send_close(wb_line *l, unsigned code);

/* Receiving: arm asks the kernel for more, or says that poll should, which asks the socket itself and returns whether something came; unstall tries
 * again after a reader gave room back, decrypt takes a TLS connection as far as what was received allows (false: no room for plaintext). */
void wb_line_arm(wb_line *l);
int wb_line_poll(wb_line *l);
bool wb_line_unstall(wb_line *l);
bool wb_line_decrypt(wb_line *l);
void wb_line_on_sent(wb_op *op, int result, unsigned flags);
void wb_line_on_received(wb_op *op, int result, unsigned flags);

/* The end: fail records why and begins to close; permanent: a peer that never let us in need not be tried again. hang_up is fail with the reason already
 * in l->why. settle finishes once the kernel holds nothing of the line any more. */
void wb_line_fail(wb_line *l, bool permanent, const char *format, ...) __attribute__((format(printf, 3, 4)));
void wb_line_hang_up(wb_line *l);
void wb_line_settle(wb_line *l);

#endif
