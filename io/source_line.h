/* source_line.h - one connection of the WebSocket source, between source_line.c (what flows: send, receive, frame, end), source_products.c (what is asked
 * for) and source_ws.c (what is decided: connect, time, life). Private to the three. Threads: the ingest thread. */
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
  WB_LINE_NOTE_BYTES_MAX = 32 << 10,
  WB_LINE_ASK_BYTES = 33 << 10,
  WB_CHANNELS_MAX = 16
};
static const uint64_t WB_LINE_MS = 1000000,
                      WB_LINE_SEND_INTERVAL_NS = 125 * 1000000; /* at most 8 connects, and 8 messages, a second */

/* What a line still has to ask the exchange of a product. */
typedef enum { WB_WISH_NONE = 0, WB_WISH_ADD, WB_WISH_REMOVE, WB_WISH_RESYNC, WB_WISH_COUNT } wb_wish;

typedef struct wb_line {
  wb_source_ws *source;
  unsigned index;
  char name[16]; /* "A", or "A2": the second connection of line A */
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
  uint8_t *wish;                      /* wb_wish, per product */
  uint32_t wish_count[WB_WISH_COUNT]; /* of NONE it says nothing */
  char *ask;                          /* messages that are to be sent, one a line; ask_at: the next */
  size_t ask_at;
  bool asked; /* something, since open */
} wb_line;

struct wb_source_ws {
  wb_source_ws_config config;
  wb_uring *ring;
  wb_tls_context *tls;
  wb_line line[WB_LINE_COUNT_MAX];
  wb_line_stats stats[WB_LINE_COUNT_MAX];
  const char *level2[8];
  const char *leave[WB_CHANNELS_MAX + 1]; /* the channels that are asked for by product */
  wb_products products;                   /* what was followed of config.products */
  uint8_t *wanted;                        /* per product: the lines carry it */
  bool products_due;                      /* there is more of what was followed to be told */
  uint64_t number;                        /* W ingest, private */
  uint64_t taken;                         /* W ingest, R any: numbers published */
  uint32_t stop_asked;                    /* W any, R ingest */
  uint32_t ended;                         /* W ingest (after error), R any */
  bool stopping;
  uint64_t gap_logs_ns; /* alarms said in words since then */
  unsigned gap_logs;
  uint64_t connect_due_ns; /* lines connect one after the other, */
  uint64_t send_due_ns;    /* and their messages go out so */
  unsigned turn, first;    /* first: the line behind the one that sent last, looked at before the others */
  int brought;             /* completions of the last wait, not yet said to the loop */
  wb_error error;
};

static inline uint64_t wb_source_now(const wb_source_ws *source) {
  return source->config.host->now_ns(source->config.host->self);
}

/* Log lines and records about this line. wb_line_published makes every record pushed so far visible. */
void wb_line_say(const wb_line *l, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void wb_line_note(wb_line *l, wb_frame_kind kind, const void *bytes, size_t count, uint64_t recv_ns);
void wb_line_note_text(wb_line *l, wb_frame_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
void wb_line_published(wb_line *l);

/* wb_line_allowance: how many records may be made before it is asked again; 0: a reader is too far behind, and nothing that could make a record may be
 * begun. */
size_t wb_line_allowance(wb_line *l);

void wb_line_enter(wb_line *l, wb_line_state state);

/* wb_line_wish: what is to be asked of a product next; what was wished before is forgotten. */
static inline void wb_line_wish(wb_line *l, uint32_t product, wb_wish wish) {
  l->wish_count[l->wish[product]]--;
  l->wish[product] = (uint8_t)wish;
  l->wish_count[wish]++;
}

/* wb_line_carries: the product is one of the line's, and wanted. */
static inline bool wb_line_carries(const wb_line *l, uint32_t product) {
  const wb_source_ws *source = l->source;
  return source->wanted[product] &&
         source->products.product[product].part % source->config.connections == l->index % source->config.connections;
}

/* wb_line_wanted: it carries any. wb_line_begin: before the connection is said to be open. Says which products it carries where not all do, and wishes for
 * them. wb_line_ask sends the next message of what is wished for, if it is time. wb_source_products follows the table, and returns how many products have
 * come or gone. */
bool wb_line_wanted(const wb_line *l);
void wb_line_begin(wb_line *l);
void wb_line_ask(wb_line *l, uint64_t now_ns);
int wb_source_products(wb_source_ws *source);

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
