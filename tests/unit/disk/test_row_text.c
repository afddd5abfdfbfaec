#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/event.h"
#include "io/row_text.h"

static char *row(wb_row_form form, wb_table_id table, const wb_value *value) {
  static char *made;
  size_t count;
  free(made);
  FILE *to = open_memstream(&made, &count);
  cr_assert_eq(wb_row_text_write(to, form, wb_table_of(table), value, NULL), 0);
  fclose(to);
  return made;
}

static const char *frame_text(wb_row_form form, const char *text) {
  wb_value value[WB_TABLE_COLUMNS_MAX] = {{0}};
  value[9] = wb_value_text(text, (uint32_t)strlen(text));
  return row(form, WB_TABLE_FRAMES, value);
}

Test(row_text, a_row_has_a_place_for_every_column_and_null_is_nothing) {
  wb_value value[WB_TABLE_COLUMNS_MAX] = {{0}};
  for (int id = 0; id < WB_TABLE_COUNT; id++) {
    const wb_table *table = wb_table_of((wb_table_id)id);
    const char *text = row(WB_ROW_CSV, (wb_table_id)id, value);
    cr_assert_eq(strspn(text, ","), table->column_count - 1);
    cr_assert_str_eq(text + table->column_count - 1, "\n");
  }
  cr_assert_str_eq(row(WB_ROW_JSON, WB_TABLE_TRADES, value),
                   "{\"product\":null,\"time\":null,\"recv_time\":null,\"recv_ns\":null,\"number\":null,\"trade_id\":null,"
                   "\"side\":null,\"price\":null,\"size\":null}\n");
}

Test(row_text, numbers_are_exact_plain_and_without_trailing_zeros) {
  const wb_value value[] = {wb_value_text("BTC-USD", 7), wb_value_time(INT64_C(1768780800000000999)),
                            wb_value_time(-1),           wb_value_ns(-1),
                            wb_value_integer(INT64_MAX), wb_value_integer((uint64_t)INT64_MAX + 1),
                            wb_value_text("bid", 3),     wb_value_decimal(WB_QUANTITY_MAX, 18),
                            wb_value_decimal(-1200, 2)};
  cr_assert_str_eq(row(WB_ROW_CSV, WB_TABLE_TRADES, value),
                   "BTC-USD,2026-01-19T00:00:00.000000Z,1969-12-31T23:59:59.999999Z,-1,9223372036854775807,,bid,"
                   "4.611686018427387903,-12\n");
  cr_assert_str_eq(
      row(WB_ROW_JSON, WB_TABLE_TRADES, value),
      "{\"product\":\"BTC-USD\",\"time\":\"2026-01-19T00:00:00.000000Z\",\"recv_time\":\"1969-12-31T23:59:59.999999Z\","
      "\"recv_ns\":-1,\"number\":9223372036854775807,\"trade_id\":null,\"side\":\"bid\","
      "\"price\":\"4.611686018427387903\",\"size\":\"-12\"}\n");
}

Test(row_text, times_at_the_ends_of_what_there_is_are_times) {
  const int64_t ends[] = {INT64_MIN + 1, INT64_MIN + 999, INT64_MAX, 0, WB_TIME_NONE};
  for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
    const wb_value value[WB_TABLE_COLUMNS_MAX] = {[1] = wb_value_time(ends[i]), [2] = wb_value_time(ends[i])};
    const char *text = row(WB_ROW_CSV, WB_TABLE_TRADES, value);
    cr_assert_eq(strlen(text), ends[i] == WB_TIME_NONE ? 9 : 9 + 2 * 27, "%s", text);
  }
}

Test(row_text, text_is_quoted_where_it_must_be) {
  cr_assert_str_eq(frame_text(WB_ROW_CSV, "plain"), ",,,,,,,,,plain,\n");
  cr_assert_str_eq(frame_text(WB_ROW_CSV, ""), ",,,,,,,,,\"\",\n");
  cr_assert_str_eq(frame_text(WB_ROW_CSV, "a,b"), ",,,,,,,,,\"a,b\",\n");
  cr_assert_str_eq(frame_text(WB_ROW_CSV, "\"a\"\r\n\""), ",,,,,,,,,\"\"\"a\"\"\r\n\"\"\",\n");
  cr_assert(strstr(frame_text(WB_ROW_JSON, "\"\\\n\x1f\xc3\xa4\x7f"), "\"text\":\"\\\"\\\\\\u000a\\u001f\xc3\xa4\x7f\","));
}

Test(row_text, a_full_stream_is_an_error) {
  const wb_value value[WB_TABLE_COLUMNS_MAX] = {wb_value_text("BTC-USD", 7)};
  wb_error error;
  FILE *full = fopen("/dev/full", "w");
  setvbuf(full, NULL, _IONBF, 0);
  cr_assert_eq(wb_row_text_write(full, WB_ROW_CSV, wb_table_of(WB_TABLE_TRADES), value, &error), WB_E_SYSTEM);
  cr_assert(strstr(error.detail, "No space left"), "%s", error.detail);
  fclose(full);
}
