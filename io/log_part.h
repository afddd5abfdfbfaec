/* log_part.h - which stretches of a log have to be read for a part of it: what products show in a window of time.
 *
 * Window:  it begins with the first record, in the order of the log, that was received at `from` or later, and ends in front of the first
 *          that was received at `to` or later. Where the clock was set back, that is the first stretch of time that fits.
 * Start:   each product's book is made from its last snapshot in front of the window, as far as indexes tell; without one, from the
 *          log's beginning. From there on all that names the product, or concerns all, is read.
 * Trust:   a segment without an index that is believed is read whole, whatever it may hold; and so is what lies behind the last
 *          stretch of an index. So what is read never depends on a guess.
 * Threads: one. Belongs to io/log_reader. */
#ifndef WB_IO_LOG_PART_H
#define WB_IO_LOG_PART_H

#include "io/log_index.h"

typedef struct wb_log_part wb_log_part;

/* A stretch to be read: its number in the index, the lowest record number in it and those behind it, one past the highest number in
 * the stretches passed over in front of it, 0 if there is none, and the lowest number in all that are passed over in front of it or
 * behind. The last step of a way has no stretch: it says what holds behind all of them. */
typedef struct wb_log_step {
  uint32_t stretch;
  uint64_t lowest_number, passed_end, passed_lowest;
} wb_log_step;

/* The way through one segment. Of what is passed over, from_number and to_number are the lowest record numbers received at `from` or
 * later, and at `to` or later; UINT64_MAX if there are none. */
typedef struct wb_log_way {
  wb_log_index loaded;
  wb_log_step *step; /* step_count of them, and the last */
  uint32_t step_count, next;
  uint64_t from_number, to_number;
} wb_log_way;

/* wb_log_part_open looks at the indexes of a reader's segments, in their order. complain is told of each that is there but is not
 * believed. NULL: no memory. */
wb_log_part *wb_log_part_open(const wb_log_window *window, wb_log_reader *reader,
                              void (*complain)(wb_log_reader *reader, const wb_log_segment *segment, const wb_error *why));
void wb_log_part_close(wb_log_part *part);

/* wb_log_part_read_bytes returns how much of indexes was read, but for those of ways. */
uint64_t wb_log_part_read_bytes(const wb_log_part *part);

/* wb_log_part_passes says whether nothing of a segment (its index in reading order) is needed, and in *passed_end one past its highest
 * number. */
bool wb_log_part_passes(const wb_log_part *part, size_t segment, uint64_t *passed_end);

/* wb_log_part_way finds the way through a segment; part NULL: through all of it. 0; negative: it has no index, or there is no memory: read all of it. */
int wb_log_part_way(wb_log_part *part, const wb_log_segment *segment, wb_log_way *way);
void wb_log_way_close(wb_log_way *way);

#endif
