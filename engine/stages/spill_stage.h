/* spill_stage.h - the stage between the lines and the store: copies every record, in order, into rings of its own, which the sink reads at the pace
 * of the disk; so the line's journal never waits for storage.
 *
 * What:    a gating reader of all line rings and the notes ring. Runs of records that lie one behind the other are copied as they lie, into
 *          the ring of the same index, and released. Nothing here waits.
 * Full:    when a spill ring has no room for the next record, that one and all behind it, of every line, are dropped and counted: the oldest stay,
 *          and what is missing is one run of frame numbers. As soon as an eighth of each ring is free, a record WB_FRAME_GAP
 *          (engine/store/gap.h) goes, with the number of the first dropped record, into the last ring, and copying goes on behind
 *          it. Room for one gap record is kept there, so that it can be written at the end, too.
 * Memory:  given by the caller. Rings that turn early (wb_frames_turn) touch no more than the sink's lag.
 * Order:   by frame number over all rings, as the parser reads them.
 * Threads: one; edges F1 and F2 on both sides, see docs/threading.md. What is marked `R any` may be read by others. */
#ifndef WB_STAGES_SPILL_STAGE_H
#define WB_STAGES_SPILL_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/port.h"
#include "engine/ring/frames.h"
#include "engine/store/gap.h"

enum { WB_SPILL_RINGS_MAX = WB_GAP_LINES_MAX };

typedef struct wb_spill_stage {
  wb_frames *from[WB_SPILL_RINGS_MAX]; /* lines, answers where there are any, then notes */
  wb_frames *to[WB_SPILL_RINGS_MAX];   /* as many; each holds at least what its `from` holds */
  uint32_t ring_count, current;
  unsigned reader;     /* which reader of the `from` rings this stage is */
  const wb_host *host; /* utc_offset_ns; log may be NULL */
  uint64_t next_number;
  bool dropping; /* from gap.first on */
  wb_gap gap;
  uint64_t gap_recv_ns;                   /* of gap.first */
  uint64_t frames;                        /* W spill, R any: copied */
  uint64_t dropped_frames, dropped_bytes; /* W spill, R any */
  uint64_t gaps;                          /* W spill, R any: begun */
  uint64_t held_bytes_max;                /* W spill, R any: most that the rings held at once */
} wb_spill_stage;

/* wb_spill_stage_init sets up what the caller filled in (rings, count, reader, host). */
void wb_spill_stage_init(wb_spill_stage *stage);

/* wb_spill_stage_work is the agent's do_work: takes what is published, and returns 0 when that was so little that it pays to rest until there is more. */
int wb_spill_stage_work(void *stage);

/* wb_spill_stage_finish takes all that is published, and ends a gap that is open. When the writers have ended. */
void wb_spill_stage_finish(wb_spill_stage *stage);

#endif
