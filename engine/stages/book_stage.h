/* book_stage.h - the stage that owns the books: takes normalized messages in order, keeps books, analytics and product states,
 * publishes views, and asks the ingest stage for resyncs.
 *
 * Threads: all functions from the book thread but those said to be for any thread. Edges V1 (views), B1 (commands to ingest),
 * B2 (capture of depth), see docs/threading.md.
 * Memory: everything is given at init; nothing is allocated afterwards.
 * Order: a message's changes are applied together; readers and analytics see the book between messages only. */
#ifndef WB_STAGES_BOOK_STAGE_H
#define WB_STAGES_BOOK_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/hist.h"
#include "engine/book/analytics.h"
#include "engine/book/book.h"
#include "engine/feed/arbiter.h"
#include "engine/feed/recover.h"
#include "engine/feed/tape.h"
#include "engine/feed/witness.h"
#include "engine/port.h"
#include "engine/ring/ring.h"
#include "engine/stages/level3.h"
#include "engine/stages/view.h"

/* What the book stage asks of the ingest stage, over a ring of these. ASK: the product's level-3 book by REST; with WB_REASON_CONNECTED for the first time, which
 * is no resync. */
typedef enum { WB_COMMAND_RESUBSCRIBE = 1, WB_COMMAND_RECONNECT, WB_COMMAND_GAP, WB_COMMAND_ASK } wb_command_kind;
typedef struct wb_command {
  uint8_t kind; /* wb_command_kind */
  uint8_t line;
  uint16_t product;    /* RESUBSCRIBE, GAP, ASK */
  uint16_t close_code; /* RECONNECT: WebSocket close code to say */
  uint8_t reason, reject;
  uint16_t connection;     /* the one it is about */
  uint8_t alarm, decimals; /* GAP: wb_alarm; seen and expected are in units of 10^-decimals */
  uint16_t reserved[2];
  uint64_t seen, expected; /* GAP: see wb_evidence */
  uint64_t recv_ns;        /* GAP: of the message that raised the alarm */
} wb_command;
_Static_assert(sizeof(wb_command) == 40, "commands are five words");

/* One product. An update touches its first cache line and, of its view, the first two. What the view shows up to mid_held is kept there and
 * nowhere else. */
typedef struct wb_book_product {
  _Alignas(WB_CACHE_LINE_BYTES) wb_book *book;
  wb_view *view;
  wb_mids mids;
  uint64_t crossed_since_ns; /* 0: not crossed */
  bool live;                 /* as its view says */
  bool applying;             /* an update's parts are being applied */
  bool unknown_seen;         /* the update being applied removed a level that was not there */
  bool replaced;             /* the book by a snapshot: the view is behind also in what updates do not change */
  bool loading;              /* between FIRST and LAST of a snapshot */
  bool load_failed;          /* its levels do not fit */
  bool marked;               /* named by the ack that is being read */
  wb_witness witness;        /* begins with what updates of the first line touch */
  wb_recover recover;
  uint8_t price_decimals, size_decimals;
  uint64_t snapshots, rejected, skipped;
  int64_t added_utc_ns, removed_utc_ns;
  uint64_t snapshots_gone; /* of the snapshots: those of before it was removed */
  uint16_t lines;          /* a bit for each line that has said that it carries the product */
  uint16_t depth;          /* levels a side that its last message spoke of; 0: all */
  uint64_t told_trade_id;  /* the observer has been told of trades up to it */
} wb_book_product;
_Static_assert(offsetof(wb_book_product, witness) + offsetof(wb_witness, time_ns[1]) <= WB_CACHE_LINE_BYTES,
               "an update touches one line");

/* Messages whose latencies are taken together while more of the burst is at hand. */
enum { WB_BOOK_BATCH = 32 };

typedef struct wb_book_stage_config {
  const wb_products *products;
  const wb_host *host;
  const wb_codec *codec; /* its checksum; NULL: none is looked at */
  wb_ring *commands;     /* to ingest; NULL: nothing is asked for (replay) */
  uint64_t crossed_ns;   /* a book crossed for longer is resynchronised; 0: never */
  uint32_t mid_window;
  uint64_t *mid2;              /* mid_window words a product */
  const wb_book **book;        /* products->capacity, filled here: what messages will touch is fetched; NULL: it is not */
  uint32_t depth;              /* levels a side in a capture */
  bool timed;                  /* measure latencies (live); replay does not */
  wb_arbiter *arbiter;         /* of redundant lines; NULL: there is one line, or level3 */
  wb_level3 *level3;           /* books are made of orders; NULL: of levels */
  wb_tape *tape;               /* products->capacity of them, and as many more for the capture; NULL: trades are not kept */
  const wb_observer *observer; /* NULL: nobody */
  const wb_recover_config *recover; /* NULL: wb_recover_default */
  const wb_witness_config *witness; /* NULL: wb_witness_default */
} wb_book_stage_config;

/* A whole book, copied on request: room levels of bids, then as many of asks, best first. */
typedef struct wb_book_whole {
  wb_level *level;
  uint32_t product, room;
  uint32_t count[2]; /* room: there are more */
  wb_view_data view; /* of the same moment */
} wb_book_whole;

typedef struct wb_book_stage {
  wb_book_stage_config config;
  wb_book_product *product;
  uint32_t product_count; /* that have come */
  uint16_t dealt, up;     /* bits for lines: carries some products only; is connected */
  wb_ring *messages;      /* from the parser; NULL when the parser calls wb_book_stage_take itself */

  wb_hist wire_to_book, exchange_to_book;
  uint64_t applied_recv_ns[WB_BOOK_BATCH]; /* of the messages applied since latencies were taken */
  int64_t applied_time_ns[WB_BOOK_BATCH];
  uint32_t applied_count;

  uint64_t rejected[WB_REJECT_COUNT];                                    /* W book, R any */
  uint64_t changes, messages_applied, errors, resyncs, commands_dropped; /* W book, R any */
  uint64_t unknown;                                                      /* messages of unknown types; W book, R any */
  uint64_t tick_due_ns;
  uint64_t watch_due_ns; /* by the messages' clock: what only time makes wrong is looked for, with some products at a time */
  uint32_t watched;      /* where that goes on */
  uint16_t connection[WB_LINE_COUNT_MAX]; /* of each line's last CONNECT */
  uint64_t load_hash;                     /* of the snapshot that is being loaded */
  int64_t utc_offset_ns;                  /* as of the last tick */

  /* capture of depth on request [B2] */
  uint64_t capture_asked;     /* W any one thread, R book */
  uint64_t capture_done;      /* W book, R that thread */
  wb_level *capture;          /* product_count * 2 * depth levels: bids then asks of each product */
  uint32_t *capture_count;    /* product_count * 2 */
  wb_view_data *capture_view; /* product_count: the views of the same moment */
  wb_book_whole *whole;       /* W that thread, before it asks: instead of a capture, this book alone; NULL: a capture */
} wb_book_stage;

/* wb_book_stage_init. product: zeroed array, with book and view already set by the caller, of as many as there is room for; so is capture: that * 2 *
 * depth levels and counts. */
void wb_book_stage_init(wb_book_stage *stage, const wb_book_stage_config *config, wb_book_product *product, wb_level *capture,
                        uint32_t *capture_count, wb_view_data *capture_view);

/* wb_book_stage_take takes one message or part. */
void wb_book_stage_take(wb_book_stage *stage, const wb_message *message);

/* wb_book_stage_take_batch takes some of the messages that lie one behind the other in bytes[0..count), and returns
 * how many bytes they were; *taken grows by their number. As if each were taken by itself, but what they will touch is fetched
 * into the cache for all of them at once. */
size_t wb_book_stage_take_batch(wb_book_stage *stage, const void *bytes, size_t count, uint32_t *taken);

/* wb_book_stage_copy: a frame of one of several lines passed by that the arbiter knew for a copy (wb_arbiter_copy); nothing but its time is of interest. */
void wb_book_stage_copy(wb_book_stage *stage, const wb_frame *frame);

/* wb_book_stage_settle ends a burst: records the latencies of its last messages (up to WB_BOOK_BATCH of them against one clock reading taken
 * after they were published, so that none is understated), runs what is due by time, answers a capture. Call it at the end of every
 * burst and when idle. */
void wb_book_stage_settle(wb_book_stage *stage);

/* wb_book_stage_work is the agent's do_work where messages come over a ring. */
int wb_book_stage_work(void *stage);

/* wb_book_stage_capture_now copies depth levels of every product into the capture arrays. Book thread, or any when that has
 * ended. */
void wb_book_stage_capture_now(wb_book_stage *stage);

/* Any one other thread: ask for a capture, then see whether it is done (the arrays are then that thread's until it asks again).
 */
void wb_book_stage_capture_ask(wb_book_stage *stage);
bool wb_book_stage_capture_ready(const wb_book_stage *stage);

#endif
