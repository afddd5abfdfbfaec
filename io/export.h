/* export.h - a log, or a part of it, as rows of tables (io/table.h): its records go through the stages of a node, and what these come to
 * becomes rows, at once and in the order of the log.
 *
 * deltas   each change that a book took; with `snapshot` the levels of a book that a snapshot made, bids first, best first. A level that is gone has size 0.
 * quotes   the touch after each message that changed it; a side that is empty is NULL. A book that is not live changes no more until its snapshot.
 * trades   each trade once, by rising ids, where the feed numbers them.
 * bars     of these trades (engine/feed/bars.h), when they close; at the end of the part those that are open, too. What a row says of its message is
 *          that of the bar's last trade.
 * frames   every record of the log, whatever products are asked for; product: the first that its text names.
 * Window:  as of a replay: books are made before it, rows come from the records within it alone; frames are all that were received then.
 * Threads: one, which is every stage of the node. Memory: that of a node, and the levels of the largest snapshot. */
#ifndef WB_IO_EXPORT_H
#define WB_IO_EXPORT_H

#include "io/node_run.h"
#include "io/table.h"

typedef struct wb_export wb_export;

/* Where rows go. put takes one: cells are valid until it returns, origin is that of the row's record. Returns 0, or a negative error with *error,
 * which ends the export. */
typedef struct wb_row_sink {
  void *self;
  int (*put)(void *self, wb_table_id table, const wb_value *cell, const wb_replay_origin *origin, wb_error *error);
} wb_row_sink;

/* node: of a replay (path, codec, products, part, tape, ...); layout, observer, speed and origins are filled in. tables: a bit (1 << wb_table_id) for each
 * that is wanted, WB_TABLE_FRAMES only alone. */
typedef struct wb_export_config {
  wb_node_config node;
  uint32_t tables;
  wb_row_sink sink;
} wb_export_config;

/* wb_export_open reads the headers of the log. What config points to must stay until close. NULL with *error. */
wb_export *wb_export_open(const wb_export_config *config, wb_error *error);

/* wb_export_step takes some records. Returns 1 when there are more; 0 at the end, all rows being put; negative with *error: the sink failed, or, everything that is whole
 * being put, the log is not. */
int wb_export_step(wb_export *export, wb_error *error);

/* wb_export_ended: all rows were put, whatever the last step returned. */
bool wb_export_ended(const wb_export *export);

/* wb_export_totals: so far. of_bytes 0: unknown (a recording). */
typedef struct wb_export_totals {
  uint64_t rows, records, read_bytes, of_bytes;
} wb_export_totals;
wb_export_totals wb_export_totals_get(const wb_export *export);
void wb_export_close(wb_export *export);

#endif
