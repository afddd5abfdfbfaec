/* partitions.h - rows dealt to folders, product=ID/date=YYYY-MM-DD by the product and the day (UTC) of receipt, each of which becomes Parquet files.
 *
 * Folder:  OUT/TABLE/product=BTC-USD/date=2026-01-31/part-00000.parquet ...; `/` of an id is written %2F, what is missing __HIVE_DEFAULT_PARTITION__. A file has
 *          up to WB_PARTITION_PART_ROWS rows, or WB_PARTITION_PART_BYTES of them before they are compressed, in their order.
 * Whole:   a folder is made under OUT/TABLE/.unfinished, synced, and renamed when all its rows have come: an hour after its day, by the rows' times of receipt, or at
 *          the end. One that was there before is replaced. If rows of a finished day come all the same (a clock was set back), it goes on.
 * Again:   with the folder lies what it was made of (.wirebook: inputs, rows). Where that is there for the same inputs, rows are only counted; if their count is
 *          another in the end, the mark is taken away and the run fails.
 * Memory:  WB_PARTITION_BUFFER_BYTES for each folder that is being made, and DuckDB's for one file. Rows that wait lie on disk.
 * One:     a lock on OUT/TABLE keeps a second program out. Threads: one. */
#ifndef WB_TOOLS_PARQUET_PARTITIONS_H
#define WB_TOOLS_PARQUET_PARTITIONS_H

#include "tools/parquet/parquet_file.h"

enum {
  WB_PARTITION_PART_ROWS = 8 * WB_PARQUET_GROUP_ROWS,
  WB_PARTITION_PART_BYTES = 256 << 20,
  WB_PARTITION_BUFFER_BYTES = 64 << 10
};

typedef struct wb_partitions wb_partitions;

/* inputs: names what the rows are made of, without blanks. The rest as wb_parquet_open. */
wb_partitions *wb_partitions_open(wb_table_id table, const char *out, const char *inputs, unsigned decimals, const char *memory,
                                  wb_error *error);

/* wb_partitions_put takes the next row, bytes[0..count) as row_pipe.h has it. Returns 0 or negative with *error. */
int wb_partitions_put(wb_partitions *partitions, const uint8_t *bytes, uint32_t count, wb_error *error);

/* wb_partitions_end finishes all folders: every row has come. */
int wb_partitions_end(wb_partitions *partitions, wb_error *error);

/* wb_partitions_close takes away what is unfinished. */
void wb_partitions_close(wb_partitions *partitions);

#endif
