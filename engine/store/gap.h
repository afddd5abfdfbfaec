/* gap.h - the text of a gap record: what of a node's records was given up, and when.
 *
 *   {"event":"gap","reason":"storage behind","first":N,"last":N,"frames":N,"bytes":N,"from":NS,"to":NS,"lines":[[FRAMES,BYTES],...]}
 *
 * The frame numbers first..last of a run are in no record of the log, but for the gap record itself, which has the number `first`. frames is
 * last - first + 1; bytes are those of the records. from and to are the receive times of the first and the last, in nanoseconds
 * since 1970 UTC. lines: of each line, the node's own records last. Threads: pure. */
#ifndef WB_STORE_GAP_H
#define WB_STORE_GAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/event.h"

enum { WB_GAP_LINES_MAX = WB_LINE_COUNT_MAX + 2 };

/* 222 bytes, and 44 for each line at most. */
enum { WB_GAP_TEXT_BYTES = 1024 };

typedef struct wb_gap {
  uint64_t first, last, frames, bytes;
  int64_t from_utc_ns, to_utc_ns;
  struct {
    uint64_t frames, bytes;
  } line[WB_GAP_LINES_MAX];
  unsigned line_count;
} wb_gap;

/* wb_gap_print writes the text, NUL-terminated, and returns its length. */
size_t wb_gap_print(const wb_gap *gap, char text[WB_GAP_TEXT_BYTES]);

/* wb_gap_read takes a record (bytes[0..frame->bytes)) apart, as far as `to`; lines are not read. false if it is no gap record, or one that
 * contradicts itself or its own number. */
bool wb_gap_read(const wb_frame *frame, const uint8_t *bytes, wb_gap *gap);

#endif
