/* replay.h - options that replay and export share: what is replayed of a log, and how its books are made. */
#ifndef WB_TOOLS_REPLAY_H
#define WB_TOOLS_REPLAY_H

#include "io/config.h"
#include "io/node_run.h"

/* node is the caller's; the rest is what it points to. */
typedef struct wb_replay_settings {
  wb_node_config *node;
  wb_products *products;
  wb_witness_config witness;
} wb_replay_settings;

/* wb_replay_settings_read puts the options feed, product, channel, from, to, max-message, crossed-ms and witness into *settings->node. config and settings must
 * outlive the node. Returns 0, or WB_E_CONFIG with *error. */
int wb_replay_settings_read(wb_replay_settings *settings, const wb_config *config, wb_error *error);
void wb_replay_settings_free(wb_replay_settings *settings);

#endif
