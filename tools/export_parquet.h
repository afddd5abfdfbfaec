/* export_parquet.h - rows handed to wirebook-parquet, a program of its own beside this one, so that a node never links DuckDB. */
#ifndef WB_TOOLS_EXPORT_PARQUET_H
#define WB_TOOLS_EXPORT_PARQUET_H

#include "io/config.h"
#include "io/export.h"

typedef struct wb_export_parquet wb_export_parquet;

/* wb_export_parquet_start starts it for a folder, OUT/TABLE; inputs names what the rows are from. wb_export_parquet_put gives it a row. */
wb_export_parquet *wb_export_parquet_start(const char *out, wb_table_id table, const char *inputs, uint64_t decimals,
                                           const char *memory, wb_error *error);
int wb_export_parquet_put(wb_export_parquet *parquet, wb_table_id table, const wb_value *cell, wb_error *error);

/* wb_export_parquet_open starts it for a folder. what: where the rows are from; its sink is set. config: options, which with the files of the log name the inputs. NULL with
 * *error: WB_E_CONFIG where the program is not there, and how to get it. */
wb_export_parquet *wb_export_parquet_open(const wb_config *config, wb_export_config *what, wb_table_id table, wb_error *error);

/* wb_export_parquet_close waits for its end. whole: all rows were put; otherwise it takes away what it was at. Returns 0, or negative: it has said why, or the detail
 * of *error does, if there is any. */
int wb_export_parquet_close(wb_export_parquet *parquet, bool whole, wb_error *error);

#endif
