/* node_run.h - a whole node: a source, the parse and book stages, the flusher, the memory between them, and the threads they
 * run on.
 *
 * What:    open reserves everything; start puts the stages on threads as the layout says, or the caller polls them all from his
 *          own thread; stop ends it in order: source, parser, books, log.
 * Threads: open, start, stop, close, status and report from one thread (the control thread); views from any. With poll that
 *          same thread is also every stage.
 * Memory:  nothing is allocated on the stages' threads after start (but by TLS while a connection is being set up). */
#ifndef WB_IO_NODE_RUN_H
#define WB_IO_NODE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/hist.h"
#include "engine/feed/tape.h"
#include "engine/port.h"
#include "engine/stages/book_stage.h"
#include "engine/topo/loop.h"
#include "io/archiver.h"
#include "io/confine.h"
#include "io/cpu.h"
#include "io/extension.h"
#include "io/host.h"
#include "io/login.h"
#include "io/shm.h"
#include "io/sink_segment.h"
#include "io/source_replay.h"
#include "io/wirebook_shm.h"

typedef struct wb_node wb_node;

typedef enum { WB_LAYOUT_AUTO = 0, WB_LAYOUT_FUSED, WB_LAYOUT_PIPELINED } wb_layout;
typedef enum { WB_NODE_WAIT_AUTO = 0, WB_NODE_WAIT_SPIN, WB_NODE_WAIT_YIELD, WB_NODE_WAIT_BLOCK } wb_node_wait;
enum { WB_NODE_THREADS_MAX = 5, WB_NODE_CPUS_MAX = 4 };

/* 256 MiB, or as much as the lines' journals if those are more. */
#define WB_NODE_SPILL_DEFAULT UINT64_MAX

typedef struct wb_node_config {
  const wb_codec *codec;
  wb_products
      *products; /* outlives the node. Open makes its capacity what there is room for; it grows by wb_node_product_add alone */
  uint32_t product_room; /* so many may come while the node runs: memory is reserved for them */
  const char *const
      *channels; /* NULL-terminated; one of level 3 makes the books of orders. Replay: NULL for those that the log names */
  wb_log *log;
  wb_confine
      *confine; /* NULL: none. Entered by open before its first thread, sealed when start has started all; outlives the node */

  /* live source; several URLs are redundant lines of one feed, the same one twice is two connections: */
  const char *url[WB_LINE_COUNT_MAX];
  unsigned line_count; /* 0: replay */
  /* So many URLs one after the other are the connections of one line: each carries the products whose part it is. 0: 1. Divides line_count. */
  unsigned connections;
  const char *ca_file;
  bool insecure, once;
  wb_login *login;         /* NULL: none. Outlives the node */
  wb_deflate_mode deflate; /* what permessage-deflate is offered */
  uint64_t message_bytes_max;
  uint64_t silence_ns;      /* 0: 10 s */
  const char *rest;         /* level 3: URL of the REST API; NULL: the codec's */
  uint32_t rest_per_second; /* level 3: requests at most; 0: WB_REST_PER_SECOND_DEFAULT */

  /* replay source (line_count 0): */
  char *const *path; /* NULL-terminated */
  double speed;      /* 0: as fast as it goes; 1: as it was received; n: n times as fast */
  bool part;         /* only what was received at from_utc_ns or later, and before to_utc_ns */
  int64_t from_utc_ns, to_utc_ns;
  bool origins; /* wb_node_origin is asked for */

  /* store: */
  const char *data_dir; /* NULL: no store */
  wb_sync sync;
  uint64_t sync_ns;                 /* of WB_SYNC_INTERVAL; 0: the sink's default */
  uint64_t rotate_bytes, rotate_ns; /* 0: defaults of the sink */
  /* Live: memory for what the disk has not taken yet, all lines together; 0: the line waits; or WB_NODE_SPILL_DEFAULT. */
  uint64_t spill_bytes;
  wb_archiver_config archive; /* level, index, retain_*, command; the rest is filled in. All zero: none. See wb_node_archive */

  wb_layout layout;
  int cpu[WB_NODE_CPUS_MAX]; /* with cpu_count > 0: one CPU a thread, in the order of the stages; spill and flush share one */
  unsigned cpu_count;
  wb_node_wait wait;
  uint64_t journal_bytes; /* a line; 0: the power of two that holds two largest messages */
  uint32_t depth, mid_window;
  uint64_t crossed_ms;
  const wb_observer *observer; /* NULL: nobody; outlives the node */
  const char *shm_name;        /* shared memory (io/shm.h), NULL: none */
  uint64_t shm_depth_ns;
  bool listens;                     /* for wb_node_reader: shared memory even without a name */
  const wb_witness_config *witness; /* NULL: wb_witness_default. With several lines unknown is off: they take turns in a book */
  wb_book_config book;
  uint32_t order_count_max;             /* level 3: orders a book; 0: see wb_orders_config */
  wb_tape_config tape;                  /* bars of trades */
  uint32_t imbalance_levels, depth_bps; /* of the report's measures; levels 0: WB_IMBALANCE_LEVELS_DEFAULT */
} wb_node_config;

/* Opens everything. NULL on failure, *error says what. */
wb_node *wb_node_open(const wb_node_config *config, wb_error *error);

/* wb_node_start starts the threads. 0 or a negative error. */
int wb_node_start(wb_node *node, wb_error *error);

/* wb_node_poll does one turn of all stages on the caller's thread, instead of wb_node_start; what is asked for by REST has a thread of its own even so. Sealed segments are for wb_node_archive. Returns the
 * work done; WB_E_STATE with the pipelined layout, whose stages wait for each other. */
int wb_node_poll(wb_node *node);

/* wb_node_replay_until: a replay that is polled goes on as far as wb_source_replay_until says, which it is. */
int64_t wb_node_replay_until(wb_node *node, int64_t utc_ns);

/* wb_node_archive does one step of what becomes of sealed segments (io/archiver.h) where there are no threads, for nodes that are polled: whoever
 * polls a node and asks for compression, a command or retention calls this, too, or nothing is archived. A step may wait for a disk, so
 * call it between two polls only where such a wait does no harm, else from one other thread, up to wb_node_finish, which does the rest in 5 s at
 * most. Returns 1 for a step, 0 when there is nothing to do by now; WB_E_STATE where wb_node_start has started a thread for it. */
int wb_node_archive(wb_node *node);

/* wb_node_stop asks the source to end (Close 1000 on live lines). wb_node_ended: the source has ended and everything it took
 * has been through the books; *error as wb_source_ws_ended. */
void wb_node_stop(wb_node *node);
bool wb_node_ended(wb_node *node, wb_error *error);

/* wb_node_finish ends the stages in order and brings the log to disk. Call it when wb_node_ended (or to cut short). Returns 0,
 * or WB_E_SYSTEM when not everything could be stored. Status, views and capture stay readable until close. */
int wb_node_finish(wb_node *node, wb_error *error);
void wb_node_close(wb_node *node);

/* wb_node_product_add and wb_node_product_remove, while a live node runs: the connections that carry the product ask for it, or no longer; all other
 * books go on as they are. like: as wb_products_add_as takes it, but for its part, which is the connection with the fewest products. Return 1; 0 where there
 * was nothing to do; WB_E_SYNTAX or WB_E_LIMIT (no id), WB_E_FULL (no room is left), WB_E_INVALID (remove: not one of its products), WB_E_STATE (replay). */
int wb_node_product_add(wb_node *node, const char *id, size_t bytes, const wb_product *like);
int wb_node_product_remove(wb_node *node, const char *id, size_t bytes);

const wb_view *wb_node_view(const wb_node *node, uint32_t product);

/* wb_node_product is the book thread's, or the polling thread's. */
const wb_book_product *wb_node_product(const wb_node *node, uint32_t product);

/* wb_node_origin, of a polled replay: where the record of this number comes from, for an observer that is being told of it. */
const wb_replay_origin *wb_node_origin(const wb_node *node, uint64_t number);

/* wb_node_replayed, of a polled replay: what its reader met so far. */
wb_log_totals wb_node_replayed(const wb_node *node);

/* wb_node_capture makes the stage's capture arrays fresh: asks the book thread and waits for its answer, or does it itself when
 * the stages have ended or are polled. false if the book thread did not answer within a second of this thread's time. The arrays hold
 * depth levels: bids of product 0, its asks, ...; view has the views of the same moment. */
bool wb_node_capture(wb_node *node, const wb_level **level, const uint32_t **count, const wb_view_data **view);

/* wb_node_book copies the whole book of a product in the same way: some ns a level on the book thread. NULL where wb_node_capture gives false, or memory is
 * short. Valid until the next call. */
const wb_book_whole *wb_node_book(wb_node *node, uint32_t product);

/* wb_node_reader opens a reader of the node's shared memory (named, or `listens`), which ends with the node and is not to be closed. false: there is none. */
bool wb_node_reader(const wb_node *node, wirebook_shm *reader);

/* wb_node_hot_cpus lists the CPUs that hot threads are pinned to: what is cold keeps off them. */
void wb_node_hot_cpus(const wb_node *node, wb_cpu_list *list);

/* Of the last capture: tapes of all products, and of level 3 what became of their orders, else NULL. */
const wb_tape *wb_node_tapes(const wb_node *node);
const wb_level3_view *wb_node_orders(const wb_node *node);

/* wb_node_copy_ask asks for a copy of a product's book, wb_node_copy returns it once it is made (io/shm.h) and wakes the book thread meanwhile; of a node that
 * listens, from one thread, never waiting. wb_node_levels_max is how many levels a side of a book may have. */
void wb_node_copy_ask(wb_node *node, uint32_t product);
const wb_shm_copy *wb_node_copy(wb_node *node);
uint32_t wb_node_levels_max(const wb_node *node);

typedef struct wb_node_line {
  char name[16];     /* "A", "B2" */
  uint32_t products; /* it is to carry */
  double share;      /* of the bytes of its line, 0 to 1 */
  const char *url;   /* "": replay */
  const char *state; /* "replay": replay */
  uint64_t messages, bytes, connects, reconnects, stalls;
  uint64_t duplicates, wins, late; /* see wb_arbiter_line */
} wb_node_line;

typedef struct wb_node_status {
  int64_t started_utc_ns;
  uint64_t elapsed_ns;
  uint64_t messages, bytes, changes, applied, errors;
  uint64_t unknown; /* messages of types and channels that the codec does not know */
  uint64_t reconnects, resyncs, stored_frames, synced_frames, stored_bytes, store_errors, segments;
  uint64_t rejected[WB_REJECT_COUNT];
  unsigned line_count; /* replay: 0, or the lines of a log of redundant ones */
  wb_node_line line[WB_LINE_COUNT_MAX];
  const char *layout, *wait;
  bool storing, archiving;
  uint64_t read_bytes, read_of_bytes; /* replay of a log, after finish: see wb_log_totals */
  uint64_t dropped_frames, dropped_bytes, gaps, spill_bytes_max;
  wb_archiver_status archive;
} wb_node_status;
void wb_node_status_get(wb_node *node, wb_node_status *status);

/* Copies of the histograms, good enough while running, exact after finish. */
void wb_node_latency(const wb_node *node, wb_hist *wire_to_book, wb_hist *exchange_to_book);

/* wb_node_turns counts the turns that the book thread has had: it moves at least each few milliseconds while that thread runs, and stands still when it
 * hangs. Any thread; one relaxed load. */
uint64_t wb_node_turns(const wb_node *node);

/* wb_node_lag copies the lag of a line, 0..line_count-1, behind the one that was first. */
void wb_node_lag(const wb_node *node, unsigned line, wb_hist *lag);

const wb_node_config *wb_node_config_of(const wb_node *node);

/* wb_node_describe writes lines for people: layout, CPUs, wait strategy, io_uring in force, memory. */
void wb_node_describe(const wb_node *node, char *text, size_t size);

#endif
