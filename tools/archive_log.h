/* archive_log.h - a log as `wirebook archive` sees it: its segments in order, which of them are units by now, and where one begins and ends.
 *
 * Unit:    the records of a run from the lowest number that a segment may hold up to the lowest that the next one may, wherever they lie; so units are the same
 *          whenever they are looked at, and together they are the log. A unit is complete when the segment behind it has been begun: no record of it can
 *          come any more. Where lines are far apart it may be empty, and the next that is not has more. That of a run's last segment is
 *          complete when another run was met later, or when the caller knows that the node has ended; and none is while its writer holds it.
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

/* How far a run of a node is. Its last record that made a row, or more than one, lies in from_segment; where that is there, a replay from from_utc_ns on comes to
 * the state of next_number (INT64_MIN: there is none). */
typedef struct wb_archive_run {
  uint8_t node[16];
  bool over;                          /* the last of its segments is done */
  uint64_t next_segment, next_number; /* lowest ones that are left to do */
  uint64_t from_segment;
  int64_t from_utc_ns;
} wb_archive_run;

/* What has been done, of each run by itself: its time says where it is read, not what was there before it, as the clock may have been set back. Runs are in the order in
 * which they were met; while one node at a time writes the log, all but the last have ended. there: on disk. until_utc_ns: of a cursor that knew the last run alone, of
 * runs that it does not name, segments made up to then are done; else INT64_MIN. */
typedef struct wb_archive_cursor {
  wb_archive_run *run;
  size_t count;
  bool there;
  int64_t until_utc_ns;
} wb_archive_cursor;

/* wb_archive_log_open reads the headers. Returns 0 or a negative error; close in any case. */
int wb_archive_log_open(wb_archive_log *log, const char *dir, wb_error *error);
void wb_archive_log_close(wb_archive_log *log);

/* wb_archive_log_meet takes runs that the cursor does not name into it. Of those that are met first of all, what is there is to be done; of later ones, all that they
 * ever had. Returns 1 if there was one, 0, or WB_E_MEMORY. */
int wb_archive_log_meet(const wb_archive_log *log, wb_archive_cursor *cursor);

/* wb_archive_log_next says which units are to be done: *begin <= index < *end, maybe none. They are the first that are complete and those that follow upon them, of their run
 * and of runs that were met later. All runs of the log have been met. over: the node has ended. Numbers that are done are taken off them. *missed: segments that were left
 * to do are not there any more, or those that are may hold records of what was held to be over. If there is a unit, runs of which nothing is left in the log are forgotten. */
void wb_archive_log_next(wb_archive_log *log, wb_archive_cursor *cursor, bool over, size_t *begin, size_t *end, bool *missed);

/* wb_archive_log_from returns the segment from which a replay must begin, and in *from_utc_ns the receive time, INT64_MIN for its beginning, to come to the state in which
 * the unit begins: with the end of the run in front, if that was met before. */
size_t wb_archive_log_from(const wb_archive_log *log, const wb_archive_cursor *cursor, size_t unit, int64_t *from_utc_ns);

/* wb_archive_log_done takes a unit as done. last_number: of its last row, in that segment, received so long behind from_utc_ns that what is made of the rows behind it is not
 * changed by what came before; INT64_MIN: it has no row. */
void wb_archive_log_done(const wb_archive_log *log, wb_archive_cursor *cursor, size_t unit, uint64_t last_number,
                         uint64_t from_segment, int64_t from_utc_ns);
void wb_archive_cursor_close(wb_archive_cursor *cursor);

#endif
