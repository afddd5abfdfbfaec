/* parse_stage.h - the stage that turns raw frames into normalized messages: walks the frame rings of all lines in the one order
 * in which the node took the frames, and hands each to the codec.
 *
 * What comes out goes over a ring to the book stage on another thread, or, where that ring is NULL, a few frames' worth at a time
 * straight into wb_book_stage_take_batch on this one. Threads: the parse thread. Edges F1, F2 (frames), R1, R2 (messages). */
#ifndef WB_STAGES_PARSE_STAGE_H
#define WB_STAGES_PARSE_STAGE_H

#include <stdint.h>

#include "engine/port.h"
#include "engine/ring/frames.h"
#include "engine/ring/ring.h"
#include "engine/stages/book_stage.h"

enum { WB_PARSE_RINGS_MAX = WB_LINE_COUNT_MAX + 2 }; /* and answers, and notes */

typedef struct wb_parse_stage {
  wb_out out; /* first: the codec's view of this stage */
  wb_frames *ring[WB_PARSE_RINGS_MAX];
  uint32_t ring_count, current;
  unsigned reader; /* which reader of the rings this stage is */
  uint64_t next_number;
  bool part; /* replay of a part: frames about no product of the table are neither counted nor complained of */
  bool counts;
  const wb_codec *codec;
  void *codec_state;
  const wb_products *products;
  const wb_host *host;
  const wb_observer *observer; /* frame; NULL: nobody */
  /* Words for people on what an error of the exchange, bytes[0..count), means, written to text[0..size); NULL for none. NULL: nobody has any. */
  const char *(*explain)(void *self, const char *bytes, size_t count, char *text, size_t size);
  void *explain_self;
  wb_ring *messages;   /* to the book stage, or NULL */
  wb_book_stage *book; /* where messages is NULL */
  uint8_t *batch;      /* where messages is NULL: WB_PARSE_BATCH_BYTES, 64-byte aligned; messages on their way to it */
  uint32_t batch_bytes;
  bool
      redundant; /* lines bring the same messages: each bears its frame's hash, and copies are dropped where the books tell at once */
  uint64_t hash; /* of the frame that is being decoded; 0: none */
  uint32_t claimed_bytes;
  const wb_frame *frame; /* being decoded */
  const uint8_t *frame_bytes;
  uint64_t frames, messages_in, bytes_in, reject_logs, log_window_ns; /* W parse, R any */
} wb_parse_stage;

enum { WB_PARSE_BATCH_BYTES = sizeof(wb_message) + WB_PART_DELTAS_MAX * sizeof(wb_delta) + 8192 };

/* wb_parse_stage_init sets up what the caller filled in (rings, reader, codec, products, host, and messages or book and
 * batch). */
void wb_parse_stage_init(wb_parse_stage *stage);

/* wb_parse_stage_work is the agent's do_work: a bounded number of frames. */
int wb_parse_stage_work(void *stage);

#endif
