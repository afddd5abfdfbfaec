#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io/row_pipe.h"
#include "tests/unit/random.h"

enum { TEXT_MAX = 300 };

static char text[WB_TABLE_COLUMNS_MAX][TEXT_MAX];

static void random_row(const wb_table *table, wb_value *value) {
  for (unsigned i = 0; i < table->column_count; i++) {
    value[i] = (wb_value){0};
    if (next() % 4 == 0) continue;
    if (table->column[i].kind == WB_VALUE_TEXT) {
      value[i] = wb_value_text(text[i], (uint32_t)(next() % TEXT_MAX));
      for (uint32_t k = 0; k < value[i].bytes; k++) text[i][k] = (char)next();
    } else {
      value[i] = wb_value_decimal((__int128)((unsigned __int128)next() << 64 | next()) >> next() % 128,
                                  (unsigned)(next() % (WB_VALUE_DECIMALS_MAX + 1)));
    }
  }
}

static void is_same(const wb_table *table, const wb_value *a, const wb_value *b) {
  for (unsigned i = 0; i < table->column_count; i++) {
    cr_assert_eq(a[i].there, b[i].there);
    if (!a[i].there) continue;
    cr_assert_eq(a[i].bytes, b[i].bytes);
    if (table->column[i].kind == WB_VALUE_TEXT) cr_assert_eq(memcmp(a[i].text, b[i].text, a[i].bytes), 0);
    else cr_assert(a[i].number == b[i].number && a[i].decimals == b[i].decimals);
  }
}

/* The row behind its length. */
static uint8_t *written(wb_table_id table, const wb_value *value, uint32_t *bytes) {
  char *made;
  size_t count;
  FILE *to = open_memstream(&made, &count);
  cr_assert_eq(wb_row_pipe_write(to, table, value, NULL), 0);
  fclose(to);
  memcpy(bytes, made, sizeof *bytes);
  cr_assert_eq(count, sizeof *bytes + *bytes);
  uint8_t *row = malloc(*bytes ? *bytes : 1); /* of exactly that size, for the sanitizer */
  memcpy(row, made + sizeof *bytes, *bytes);
  free(made);
  return row;
}

Test(row_pipe, a_head_is_of_a_table_or_of_none) {
  for (int id = 0; id < WB_TABLE_COUNT; id++) {
    uint8_t head[WB_ROW_PIPE_HEAD_BYTES + 1];
    FILE *to = fmemopen(head, sizeof head, "w");
    cr_assert_eq(wb_row_pipe_head(to, (wb_table_id)id, NULL), 0);
    fclose(to);
    cr_assert_eq(wb_row_pipe_table(head), id);
    for (unsigned i = 0; i < WB_ROW_PIPE_HEAD_BYTES; i++) {
      uint8_t was = head[i];
      head[i] ^= 0x80;
      cr_assert_eq(wb_row_pipe_table(head), WB_E_DAMAGED);
      head[i] = was;
    }
    head[WB_ROW_PIPE_HEAD_BYTES - 1] = WB_TABLE_COUNT;
    cr_assert_eq(wb_row_pipe_table(head), WB_E_DAMAGED);
  }
}

Test(row_pipe, every_row_comes_back_and_no_part_of_one_is_a_row) {
  seed();
  for (unsigned round = 0; round < 2000; round++) {
    wb_table_id id = (wb_table_id)(next() % WB_TABLE_COUNT);
    const wb_table *table = wb_table_of(id);
    wb_value value[WB_TABLE_COLUMNS_MAX], back[WB_TABLE_COLUMNS_MAX];
    uint32_t bytes;
    random_row(table, value);
    uint8_t *row = written(id, value, &bytes);
    cr_assert_eq(wb_row_pipe_read(row, bytes, id, back), 0);
    is_same(table, value, back);
    uint32_t cut = (uint32_t)(next() % bytes);
    uint8_t *part = malloc(cut ? cut : 1);
    memcpy(part, row, cut);
    cr_assert_eq(wb_row_pipe_read(part, cut, id, back), WB_E_DAMAGED);
    free(part);
    uint8_t *more = malloc(bytes + 1);
    memcpy(more, row, bytes);
    more[bytes] = 0;
    cr_assert_eq(wb_row_pipe_read(more, bytes + 1, id, back), WB_E_DAMAGED);
    free(more);
    free(row);
  }
}

Test(row_pipe, bytes_that_are_wrong_are_a_row_or_damage_within_their_bounds) {
  seed();
  for (unsigned round = 0; round < 20000; round++) {
    wb_table_id id = (wb_table_id)(next() % WB_TABLE_COUNT);
    wb_value value[WB_TABLE_COLUMNS_MAX], back[WB_TABLE_COLUMNS_MAX];
    uint32_t bytes;
    random_row(wb_table_of(id), value);
    uint8_t *row = written(id, value, &bytes);
    for (unsigned n = 1 + (unsigned)(next() % 4); n; n--) row[next() % bytes] = (uint8_t)next();
    if (wb_row_pipe_read(row, bytes, id, back) == 0)
      for (unsigned i = 0; i < wb_table_of(id)->column_count; i++)
        if (wb_table_of(id)->column[i].kind == WB_VALUE_TEXT && back[i].there)
          cr_assert((const uint8_t *)back[i].text >= row && back[i].bytes <= bytes - (size_t)((uint8_t *)back[i].text - row));
    free(row);
  }
}

Test(row_pipe, a_full_stream_is_an_error) {
  wb_value value[WB_TABLE_COLUMNS_MAX] = {wb_value_text("BTC-USD", 7)};
  wb_error error;
  FILE *full = fopen("/dev/full", "w");
  setvbuf(full, NULL, _IONBF, 0);
  cr_assert_eq(wb_row_pipe_write(full, WB_TABLE_TRADES, value, &error), WB_E_SYSTEM);
  fclose(full);
}
