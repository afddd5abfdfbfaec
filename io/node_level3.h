/* node_level3.h - what a node has for level 3: the books of orders, and who asks for their snapshots. Private to node_run.
 *
 * Threads: the control thread. */
#ifndef WB_IO_NODE_LEVEL3_H
#define WB_IO_NODE_LEVEL3_H

#include "engine/feed/recover.h"
#include "engine/stages/level3.h"
#include "io/node_run.h"
#include "io/source_rest.h"

typedef struct wb_node_level3 {
  bool on;
  wb_level3 books;
  void *memory;
  size_t bytes;
  wb_source_rest *rest; /* NULL: nothing is asked for */
  bool asks;            /* its thread was started by a node that is polled */
} wb_node_level3;

/* An answer that is refused is asked for again as a book is; but a line is not to blame for it, and is never reconnected. */
extern const wb_recover_config wb_node_level3_recover;

/* wb_node_level3_choose turns it on where the channels (NULL-terminated, or NULL) make books of orders. One of them does by itself: WB_E_CONFIG for two, or
 * one of levels beside it, which would be two sources of one book. */
int wb_node_level3_choose(wb_node_level3 *level3, const wb_codec *codec, const char *const *channels, wb_error *error);

/* wb_node_level3_open makes the books, and turns the codec's instance; nothing where it is off. */
int wb_node_level3_open(wb_node_level3 *level3, const wb_node_config *config, bool recording, void *codec_state,
                        wb_error *error);

/* wb_node_level3_connect makes who asks, live; rest: as far as it is not of the config. */
int wb_node_level3_connect(wb_node_level3 *level3, const wb_node_config *config, const wb_source_rest_config *rest,
                           wb_error *error);

/* wb_node_level3_status adds what each line brought to the status; replayed: lines of a log, which the status does not know yet, or 0. */
void wb_node_level3_status(const wb_node_level3 *level3, unsigned replayed, wb_node_status *status);
void wb_node_level3_close(wb_node_level3 *level3);

#endif
