/* export_private.h - what an export is made of, between export.c (books and trades) and export_frames.c (raw records). Private to the two. */
#ifndef WB_IO_EXPORT_PRIVATE_H
#define WB_IO_EXPORT_PRIVATE_H

#include "io/export.h"

/* Where a row of bars, made when the next trade comes, is from. */
typedef struct wb_export_place {
  int64_t time_ns;
  wb_replay_origin origin;
} wb_export_place;

/* One product: its last touch in units of 10^-WB_DECIMALS_MAX, and its trades. */
typedef struct wb_export_product {
  __int128 touch[4]; /* bid, its size, ask, its size */
  wb_tape tape;
  wb_export_place last; /* trade */
} wb_export_product;

/* Raw records need no node: their way is a source and its frame ring. */
typedef struct wb_export_frames {
  wb_source_replay *source;
  wb_agent agent;
  wb_frames ring;
  wb_host host;
  wb_log_window part;
  void *journal;
  size_t journal_bytes;
  wb_frame *descriptors;
  char *base64;
  size_t base64_bytes;
} wb_export_frames;

struct wb_export {
  wb_export_config config;
  wb_observer observer;
  wb_node *node; /* NULL: raw records are exported */
  wb_export_frames *frames;
  wb_export_product *product;
  wb_level *level; /* room for a snapshot */
  uint32_t level_count;
  uint64_t rows, records;
  bool finished;
  wb_error error; /* of the sink */
};

/* Fills in the columns that all tables begin with. */
void wb_export_own(wb_value *cell, const char *product, uint32_t product_bytes, int64_t time_ns,
                   const wb_replay_origin *origin);
void wb_export_put(wb_export *export, wb_table_id table, const wb_value *cell, const wb_replay_origin *origin);

int wb_export_frames_open(wb_export *export, wb_error *error);

/* As wb_export_step. */
int wb_export_frames_step(wb_export *export, wb_error *error);
void wb_export_frames_close(wb_export *export);

#endif
