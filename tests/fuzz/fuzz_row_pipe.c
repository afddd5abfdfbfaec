/* fuzz_row_pipe.c - rows as bytes, as wirebook-parquet reads them.
 *
 * Input:   byte 0: the table; the rest is a row.
 * Oracle:  what is read as a row is written as the same bytes, and lies within them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/row_pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good) {
  if (!good) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  wb_table_id table = (wb_table_id)(data[0] % WB_TABLE_COUNT);
  wb_value value[WB_TABLE_COLUMNS_MAX];
  size_t count = size - 1;
  uint8_t *row = malloc(count ? count : 1); /* its end is the memory's */
  memcpy(row, data + 1, count);
  if (wb_row_pipe_read(row, count, table, value) == 0) {
    char *made;
    size_t bytes;
    FILE *to = open_memstream(&made, &bytes);
    check(to && wb_row_pipe_write(to, table, value, NULL) == 0);
    fclose(to);
    check(bytes == sizeof(uint32_t) + count && memcmp(made + sizeof(uint32_t), row, count) == 0);
    free(made);
  }
  free(row);
  return 0;
}
