/* node_private.h - what a node is made of, between node_run.c (open, run, end) and node_show.c (what it shows). Private to the two. */
#ifndef WB_IO_NODE_PRIVATE_H
#define WB_IO_NODE_PRIVATE_H

#include <pthread.h>

#include "engine/stages/parse_stage.h"
#include "engine/stages/spill_stage.h"
#include "io/node_level3.h"
#include "io/node_run.h"
#include "io/shm.h"
#include "io/source_ws.h"

typedef struct wb_node_thread {
  wb_loop loop;
  pthread_t thread;
  wb_node *node;
  int cpu; /* -1: not pinned */
  bool spills, flushes, running;
  uint32_t released; /* W control, R the thread: nobody will wake its loop any more */
} wb_node_thread;

/* A node. Threads: see node_run.h. */
struct wb_node {
  wb_node_config config;
  wb_host host;
  wb_loop_host loop_host;
  wb_node_thread thread[WB_NODE_THREADS_MAX];
  unsigned thread_count, book_thread;
  wb_loop all; /* every stage, for wb_node_poll */
  wb_layout layout;
  wb_wait wait;
  bool started, finished;

  wb_frames *frames; /* lines, answers of level 3, then notes */
  unsigned ring_count;
  void *journal[WB_PARSE_RINGS_MAX];
  size_t journal_bytes[WB_PARSE_RINGS_MAX];
  wb_frame *descriptors[WB_PARSE_RINGS_MAX];

  wb_spill_stage spill;
  wb_frames *spill_frames; /* as frames; NULL: the sink reads those */
  void *spill_journal[WB_PARSE_RINGS_MAX];
  size_t spill_bytes[WB_PARSE_RINGS_MAX];
  wb_frame *spill_descriptors[WB_PARSE_RINGS_MAX];

  wb_source_ws *live;
  wb_source_replay *replay;
  wb_log_window part;
  wb_uring *flush_ring;
  wb_sink_segment *sink;
  wb_archiver *archiver;
  wb_sink_segment_status sink_status; /* final, after finish */
  int sink_result;
  wb_error sink_error;

  wb_parse_stage parse;
  wb_book_stage book;
  wb_witness_config witness;
  wb_arbiter arbiter;
  void *arbiter_memory; /* NULL: there is one line, or level 3 */
  unsigned lines;       /* redundant ones */
  wb_node_level3 level3;
  wb_tape *tapes;
  wb_ring commands, messages;
  void *commands_memory, *messages_memory;
  wb_book_product *product;
  wb_view *views; /* in shm where there is one */
  wb_shm *shm;
  uint64_t *mid2;
  const wb_book **book_of; /* each product's */
  wb_pool pool;            /* of the books: what changes touch of them */
  void *books, *pool_memory;
  size_t books_bytes, pool_bytes;
  wb_level *capture;
  uint32_t *capture_count;
  wb_view_data *capture_view;
  wb_book_whole whole;
  void *codec_state;
  uint8_t *batch;

  int64_t started_utc_ns;
  uint64_t started_ns, finished_ns;
};

/* By wb_layout: its name, and how many hot threads it has. */
static const struct {
  const char *name;
  unsigned hot;
} wb_node_layouts[] = {
    [WB_LAYOUT_AUTO] = {"auto", 1}, [WB_LAYOUT_FUSED] = {"fused", 1}, [WB_LAYOUT_PIPELINED] = {"pipelined", 3}};

#endif
