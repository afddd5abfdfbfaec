/* row_pipe.h - rows as bytes between two programs of one build on one machine: how `wirebook export` hands them to wirebook-parquet.
 *
 * Form:    "wbrows1\n", a byte: the wb_table_id; then rows, each its length (uint32_t) and its cells; UINT32_MAX where a length would be is the end: bytes that
 *          stop without it were cut short. A TEXT is its length (uint32_t, UINT32_MAX for NULL) and its bytes; any other cell a byte, 0 for NULL, else its decimals
 *          and 1, and its number (16 bytes). In the machine's own order.
 * Threads: pure, but for the stream. */
#ifndef WB_IO_ROW_PIPE_H
#define WB_IO_ROW_PIPE_H

#include <stddef.h>
#include <stdio.h>

#include "engine/base/error.h"
#include "io/table.h"

enum { WB_ROW_PIPE_HEAD_BYTES = 9 };
#define WB_ROW_PIPE_END UINT32_MAX
#define WB_ROW_PIPE_BYTES_MAX (UINT32_C(1) << 31)

/* These write to a stream; 0, or WB_E_SYSTEM with *error; WB_E_LIMIT for a row above WB_ROW_PIPE_BYTES_MAX. */
int wb_row_pipe_head(FILE *to, wb_table_id table, wb_error *error);
int wb_row_pipe_write(FILE *to, wb_table_id table, const wb_value *cell, wb_error *error);
int wb_row_pipe_end(FILE *to, wb_error *error);

/* wb_row_pipe_table reads a head: the table, or WB_E_DAMAGED. */
int wb_row_pipe_table(const uint8_t head[WB_ROW_PIPE_HEAD_BYTES]);

/* wb_row_pipe_read reads the cells of a row, which point into its bytes. Returns 0, or WB_E_DAMAGED where these are none. */
int wb_row_pipe_read(const uint8_t *bytes, size_t count, wb_table_id table, wb_value cell[WB_TABLE_COLUMNS_MAX]);

#endif
