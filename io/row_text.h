/* row_text.h - rows as text: CSV (RFC 4180 with LF, a line of column names first, UTF-8) or JSON Lines (one object a row).
 *
 * CSV      NULL is nothing between the commas, text that is empty is "". Text is quoted where it must be.
 * JSON     INTEGER as a number, DECIMAL as a string, NULL as null.
 * Both     decimals exact, without exponent or trailing zeros; booleans true and false; times as 2026-01-31T23:59:59.123456Z.
 * Threads: one. Memory: that of the stream. */
#ifndef WB_IO_ROW_TEXT_H
#define WB_IO_ROW_TEXT_H

#include <stdio.h>

#include "engine/base/error.h"
#include "io/table.h"

typedef enum { WB_ROW_CSV = 0, WB_ROW_JSON } wb_row_form;

/* wb_row_text_head writes what comes before the first row, wb_row_text_write a row. Return 0 or WB_E_SYSTEM with *error: what the stream took is kept in it, so a full disk may be
 * noticed only by fflush. */
int wb_row_text_head(FILE *to, wb_row_form form, const wb_table *table, wb_error *error);
int wb_row_text_write(FILE *to, wb_row_form form, const wb_table *table, const wb_value *cell, wb_error *error);

#endif
