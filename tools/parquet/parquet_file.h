/* parquet_file.h - one Parquet file after the other, through DuckDB: zstd, row groups of WB_PARQUET_GROUP_ROWS rows.
 *
 * Types:   TEXT VARCHAR, INTEGER BIGINT, BOOLEAN BOOLEAN, TIME TIMESTAMP in microseconds of UTC, DECIMAL DECIMAL(38, decimals).
 * Memory:  the rows of a file lie in a table of DuckDB's, which is held to a limit: what is above it goes to a folder for the while.
 * Threads: one, here and in DuckDB. The only file pair that includes DuckDB's header. */
#ifndef WB_TOOLS_PARQUET_FILE_H
#define WB_TOOLS_PARQUET_FILE_H

#include "engine/base/error.h"
#include "io/table.h"

enum { WB_PARQUET_GROUP_ROWS = 122880, WB_PARQUET_DECIMALS_MAX = 18 };

typedef struct wb_parquet wb_parquet;

/* decimals: 0..WB_PARQUET_DECIMALS_MAX, of all files. memory: as DuckDB takes it, "512MB". folder: for what is above, made when it is needed. NULL with *error. */
wb_parquet *wb_parquet_open(wb_table_id table, unsigned decimals, const char *memory, const char *folder, wb_error *error);
void wb_parquet_close(wb_parquet *parquet);

/* wb_parquet_put takes a row of the file that is being made. Returns 0, or negative with *error: WB_E_RANGE for a number that DECIMAL(38, decimals) does not hold
 * exactly. */
int wb_parquet_put(wb_parquet *parquet, const wb_value *cell, wb_error *error);

/* wb_parquet_write ends the file: writes it to path and syncs it. After an error the parquet is for closing only. */
int wb_parquet_write(wb_parquet *parquet, const char *path, wb_error *error);

#endif
