/* source_replay.h - the ingest stage of a replay: records from segments or text recordings go through the same frame ring as
 * live ones.
 *
 * A segment's records keep their kind, line, connection and receive time; a recording's lines become TEXT records of line 0.
 * Numbers are given anew, in the order of the files. Where a log of redundant lines goes on with another run, all lines are said to be down first: the run
 * before may have ended them without a word.
 * Paths: files or folders; segments and recordings may not be mixed.
 * Pace:    speed 0: as fast as the stages take them; n: n times as fast as they were received; or as far as the caller lets it, by
 *          wb_source_replay_until.
 * Gaps:    where records are missing and no record of the log says so, a GAP record does.
 * Part:    with a window, what is needed to make the books of its beginning comes first, as fast as it goes; then a WINDOW record; then
 *          the window's own records, and nothing behind them (io/log_part.h). Lines of a recording without a time belong to where they stand.
 * Threads: do_work from the ingest thread; stop and the state from any.
 * Memory:  allocated at open, and in the readers for the largest record. */
#ifndef WB_IO_SOURCE_REPLAY_H
#define WB_IO_SOURCE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/port.h"
#include "engine/ring/frames.h"
#include "engine/topo/loop.h"
#include "io/log_reader.h"

typedef struct wb_source_replay wb_source_replay;

typedef struct wb_source_replay_config {
  char *const *path; /* NULL-terminated */
  double speed;
  wb_frames *frames;
  const wb_host *host;
  const wb_log_window *part; /* NULL: everything. Used until close */
  const wb_codec *codec;
  bool origins; /* wb_source_replay_origin is asked for */
} wb_source_replay_config;

/* Where a record of the replay comes from. */
typedef struct wb_replay_origin {
  int64_t utc_ns;                /* when it was received, WB_TIME_NONE if a recording does not say */
  uint64_t number;               /* as the log has it; of a recording, its line in the file, from 1 */
  const wb_log_segment *segment; /* the reader's; NULL: a recording */
  bool within;                   /* of the window, or there is none */
  bool own;                      /* the replay's own word, in no log */
} wb_replay_origin;

wb_source_replay *wb_source_replay_open(const wb_source_replay_config *config, wb_error *error);

/* wb_source_replay_lines returns how many redundant lines the log was recorded from, as the headers of its segments say: 1..WB_LINE_COUNT_MAX. Where
 * there are several, a record of a line beyond them is damage. */
unsigned wb_source_replay_lines(const wb_source_replay *source);

/* wb_source_replay_orders: whether the headers name a channel of level 3. wb_source_replay_recording: it is a recording of messages alone. */
bool wb_source_replay_orders(const wb_source_replay *source);
bool wb_source_replay_recording(const wb_source_replay *source);
void wb_source_replay_close(wb_source_replay *source);
wb_agent wb_source_replay_agent(wb_source_replay *source);
void wb_source_replay_stop(wb_source_replay *source);

/* wb_source_replay_until, from the ingest thread: from now on do_work takes what was received up to utc_ns, whatever the speed, and little more than
 * WB_REPLAY_TURN_BYTES, or WB_REPLAY_TURN_RECORDS, at a time. Returns when the next record was received; WB_TIME_NONE when that is not known before do_work was called
 * again, or there is none. What comes in front of a window is taken in any case. */
enum { WB_REPLAY_TURN_BYTES = 256 << 10, WB_REPLAY_TURN_RECORDS = 256 };
int64_t wb_source_replay_until(wb_source_replay *source, int64_t utc_ns);

/* wb_source_replay_ended: everything was read, or stopped, or the input is damaged or unreadable (*error has code and text;
 * what came before the damage was replayed). Where records of the last run are missing, `what` is WB_REPLAY_MISSING and `position` the number of the first. */
#define WB_REPLAY_MISSING "records"
bool wb_source_replay_ended(const wb_source_replay *source, wb_error *error);
uint64_t wb_source_replay_taken(const wb_source_replay *source);

/* wb_source_replay_origin returns the origin of the record that the replay gave this number, until the frame ring has it back. Ingest thread. */
const wb_replay_origin *wb_source_replay_origin(const wb_source_replay *source, uint64_t number);

/* wb_source_replay_totals: of logs, what the reader met; when it has ended, or from the ingest thread. */
wb_log_totals wb_source_replay_totals(const wb_source_replay *source);

#endif
