/* archive_log.h - a log as `wirebook archive` sees it: its segments in order, which of them are units by now, and where one begins and ends.
 *
 * Unit:    the records of a run from the lowest number that a segment may hold up to the lowest that the next one may, wherever they lie; so units are the same
 *          whenever they are looked at, and together they are the log. A unit is complete when the segment behind it has been begun: no record of it can
 *          come any more. Where lines are far apart it may be empty, and the next that is not has more. That of a run's last segment is complete when another run has begun, or when the caller knows that the node has ended.
 * Threads: one. */
#ifndef WB_TOOLS_ARCHIVE_LOG_H
#define WB_TOOLS_ARCHIVE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

enum { WB_ARCHIVE_NAME_BYTES = 128 };

typedef struct wb_archive_segment {
  char *path;
  char name[WB_ARCHIVE_NAME_BYTES]; /* of the file, without what follows the first segment's ending */
  uint8_t node[16];
  unsigned run; /* from 0 */
  bool growing;
  uint64_t number, first_number, end_number; /* of its unit: first <= n < end */
  int64_t created_utc_ns;
} wb_archive_segment;

typedef struct wb_archive_log {
  wb_archive_segment *segment;
  size_t count, unreadable; /* unreadable: with a header that is none, or none yet; not among them */
} wb_archive_log;

/* What has been done: the last unit of all, the lowest number of its run that is left to do, and a receive time from which on a replay comes to the state of that
 * place (INT64_MIN: from the beginning on). */
typedef struct wb_archive_cursor {
  bool there;
  bool run_over; /* that unit was the last of its run */
  uint8_t node[16];
  uint64_t segment, next_number;
  int64_t created_utc_ns, from_utc_ns;
} wb_archive_cursor;

/* wb_archive_log_open reads the headers. Returns 0 or a negative error; close in any case. */
int wb_archive_log_open(wb_archive_log *log, const char *dir, wb_error *error);
void wb_archive_log_close(wb_archive_log *log);

/* wb_archive_log_next says which units are to be done: *begin <= index < *end, maybe none. over: the node has ended. Numbers of the first that the cursor says are
 * done are taken off it. *missed: segments between the cursor and it are not there any more, or it may hold records that were held to be over. */
void wb_archive_log_next(wb_archive_log *log, const wb_archive_cursor *cursor, bool over, size_t *begin, size_t *end,
                         bool *missed);

#endif
