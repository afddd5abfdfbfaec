#include "tools/parquet/parquet_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/decimal.h"
#include "tools/parquet/duckdb.h"

struct wb_parquet {
  const wb_table *table;
  unsigned decimals;
  duckdb_database database;
  duckdb_connection connection;
  duckdb_appender appender; /* NULL between files */
  duckdb_data_chunk chunk;
  duckdb_vector vector[WB_TABLE_COLUMNS_MAX];
  void *data[WB_TABLE_COLUMNS_MAX];
  idx_t rows, rows_max; /* in the chunk */
};

static int failed(wb_error *error, const char *what, const char *why) {
  return wb_error_set(error, WB_E_SYSTEM, 0, "parquet", "%s: %s", what, why ? why : "DuckDB says no more");
}

static int query(wb_parquet *parquet, const char *sql, wb_error *error) {
  duckdb_result result = {0};
  duckdb_state state = duckdb_query(parquet->connection, sql, &result);
  int code = state == DuckDBSuccess ? 0 : failed(error, "cannot write", duckdb_result_error(&result));
  duckdb_destroy_result(&result);
  return code;
}

static int open_database(wb_parquet *parquet, const char *memory, const char *folder, wb_error *error) {
  const char *const settings[][2] = {{"threads", "1"},
                                     {"memory_limit", memory},
                                     {"temp_directory", folder},
                                     {"autoinstall_known_extensions", "false"},
                                     {"autoload_known_extensions", "false"},
                                     {"allow_persistent_secrets", "false"}};
  duckdb_config config;
  char *why = NULL;
  duckdb_state state = duckdb_create_config(&config);
  for (unsigned i = 0; i < sizeof settings / sizeof *settings && state == DuckDBSuccess; i++)
    state = duckdb_set_config(config, settings[i][0], settings[i][1]);
  if (state != DuckDBSuccess) {
    duckdb_destroy_config(&config);
    return wb_error_set(error, WB_E_CONFIG, 0, "parquet", "DuckDB takes no --memory '%s'", memory);
  }
  state = duckdb_open_ext(NULL, &parquet->database, config, &why);
  if (state == DuckDBSuccess) state = duckdb_connect(parquet->database, &parquet->connection);
  int code = state == DuckDBSuccess ? 0 : failed(error, "cannot start DuckDB", why);
  duckdb_free(why);
  duckdb_destroy_config(&config);
  return code;
}

static duckdb_logical_type type_of(const wb_parquet *parquet, wb_value_kind kind) {
  switch (kind) {
  case WB_VALUE_TEXT: return duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
  case WB_VALUE_INTEGER: return duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
  case WB_VALUE_BOOLEAN: return duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
  case WB_VALUE_TIME: return duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ);
  default: return duckdb_create_decimal_type(38, (uint8_t)parquet->decimals);
  }
}

static void make_chunk(wb_parquet *parquet) {
  duckdb_logical_type type[WB_TABLE_COLUMNS_MAX];
  for (unsigned i = 0; i < parquet->table->column_count; i++) type[i] = type_of(parquet, parquet->table->column[i].kind);
  parquet->chunk = duckdb_create_data_chunk(type, parquet->table->column_count);
  for (unsigned i = 0; i < parquet->table->column_count; i++) duckdb_destroy_logical_type(&type[i]);
}

wb_parquet *wb_parquet_open(wb_table_id table, unsigned decimals, const char *memory, const char *folder, wb_error *error) {
  wb_parquet *parquet = calloc(1, sizeof *parquet);
  if (!parquet) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "parquet", "no memory");
    return NULL;
  }
  parquet->table = wb_table_of(table);
  parquet->decimals = decimals;
  parquet->rows_max = duckdb_vector_size();
  if (open_database(parquet, memory, folder, error) == 0) {
    make_chunk(parquet);
    if (parquet->chunk) return parquet;
    failed(error, "cannot start DuckDB", "no memory for rows");
  }
  wb_parquet_close(parquet);
  return NULL;
}

void wb_parquet_close(wb_parquet *parquet) {
  if (!parquet) return;
  if (parquet->appender) duckdb_appender_destroy(&parquet->appender);
  if (parquet->chunk) duckdb_destroy_data_chunk(&parquet->chunk);
  if (parquet->connection) duckdb_disconnect(&parquet->connection);
  if (parquet->database) duckdb_close(&parquet->database);
  free(parquet);
}

/* ------------------------------------------------------------------------------------------------ rows */

static void look_at_chunk(wb_parquet *parquet) {
  duckdb_data_chunk_reset(parquet->chunk);
  for (unsigned i = 0; i < parquet->table->column_count; i++) {
    parquet->vector[i] = duckdb_data_chunk_get_vector(parquet->chunk, i);
    parquet->data[i] = duckdb_vector_get_data(parquet->vector[i]);
  }
  parquet->rows = 0;
}

static int begin(wb_parquet *parquet, wb_error *error) {
  char sql[1024] = "CREATE OR REPLACE TABLE rows (";
  for (unsigned i = 0; i < parquet->table->column_count; i++) {
    static const char *const names[] = {[WB_VALUE_TEXT] = "VARCHAR",
                                        [WB_VALUE_INTEGER] = "BIGINT",
                                        [WB_VALUE_BOOLEAN] = "BOOLEAN",
                                        [WB_VALUE_TIME] = "TIMESTAMPTZ"};
    const wb_column *column = &parquet->table->column[i];
    char decimal[32];
    snprintf(decimal, sizeof decimal, "DECIMAL(38,%u)", parquet->decimals);
    size_t used = strlen(sql);
    snprintf(sql + used, sizeof sql - used, "%s\"%s\" %s", i ? ", " : "", column->name,
             column->kind == WB_VALUE_DECIMAL ? decimal : names[column->kind]);
  }
  strncat(sql, ")", sizeof sql - strlen(sql) - 1);
  int result = query(parquet, sql, error);
  if (result != 0) return result;
  if (duckdb_appender_create(parquet->connection, NULL, "rows", &parquet->appender) != DuckDBSuccess)
    return failed(error, "cannot take rows", parquet->appender ? duckdb_appender_error(parquet->appender) : NULL);
  look_at_chunk(parquet);
  return 0;
}

static int hand_over(wb_parquet *parquet, wb_error *error) {
  if (!parquet->rows) return 0;
  duckdb_data_chunk_set_size(parquet->chunk, parquet->rows);
  if (duckdb_append_data_chunk(parquet->appender, parquet->chunk) != DuckDBSuccess)
    return failed(error, "cannot take rows", duckdb_appender_error(parquet->appender));
  look_at_chunk(parquet);
  return 0;
}

/* The number in units of 10^-decimals of the files. */
static bool in_units(const wb_parquet *parquet, const wb_value *cell, __int128 *number) {
  static const __int128 least = -((__int128)1000000000000000000 * 1000000000000000000 * 100); /* -10^38 */
  *number = cell->number;
  for (unsigned d = cell->decimals; d > parquet->decimals; d--) {
    if (*number % 10) return false;
    *number /= 10;
  }
  if (cell->decimals < parquet->decimals &&
      __builtin_mul_overflow(*number, (__int128)wb_pow10(parquet->decimals - cell->decimals), number))
    return false;
  return *number > least && *number < -least;
}

static int out_of_range(const wb_parquet *parquet, const wb_value *row, unsigned column, wb_error *error) {
  char text[WB_DECIMAL_TEXT_BYTES];
  const wb_value *id = &row[WB_COLUMN_PRODUCT];
  wb_decimal_print(row[column].number, row[column].decimals, text);
  return wb_error_set(error, WB_E_RANGE, 0, "parquet", "%.*s: %s %s does not fit DECIMAL(38,%u): give --decimals up to %d",
                      (int)id->bytes, id->there ? id->text : "", parquet->table->column[column].name, text, parquet->decimals,
                      WB_PARQUET_DECIMALS_MAX);
}

int wb_parquet_put(wb_parquet *parquet, const wb_value *cell, wb_error *error) {
  int result = parquet->appender ? 0 : begin(parquet, error);
  if (result != 0) return result;
  idx_t row = parquet->rows;
  for (unsigned i = 0; i < parquet->table->column_count; i++) {
    const wb_value *from = &cell[i];
    void *to = parquet->data[i];
    if (!from->there) {
      duckdb_vector_ensure_validity_writable(parquet->vector[i]);
      duckdb_validity_set_row_invalid(duckdb_vector_get_validity(parquet->vector[i]), row);
      continue;
    }
    switch (parquet->table->column[i].kind) {
    case WB_VALUE_TEXT: duckdb_vector_assign_string_element_len(parquet->vector[i], row, from->text, from->bytes); break;
    case WB_VALUE_BOOLEAN: ((bool *)to)[row] = from->number != 0; break;
    case WB_VALUE_INTEGER:
    case WB_VALUE_TIME: ((int64_t *)to)[row] = (int64_t)from->number; break;
    case WB_VALUE_DECIMAL: {
      __int128 number;
      if (!in_units(parquet, from, &number)) return out_of_range(parquet, cell, i, error);
      memcpy((uint8_t *)to + row * sizeof number, &number, sizeof number);
      break;
    }
    }
  }
  return ++parquet->rows == parquet->rows_max ? hand_over(parquet, error) : 0;
}

/* ------------------------------------------------------------------------------------------------ files */

static int sync_file(const char *path, wb_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int result = fd < 0 || fsync(fd) != 0
                   ? wb_error_set(error, WB_E_SYSTEM, errno, "parquet", "cannot write %s: %s", path, strerror(errno))
                   : 0;
  if (fd >= 0) close(fd);
  return result;
}

/* ' twice, as SQL has it. */
static bool quote(const char *path, char *to, size_t size) {
  size_t used = 0;
  for (; *path && used + 3 < size; path++) {
    if (*path == '\'') to[used++] = '\'';
    to[used++] = *path;
  }
  to[used] = 0;
  return !*path;
}

int wb_parquet_write(wb_parquet *parquet, const char *path, wb_error *error) {
  char quoted[2048], sql[2400];
  int result = parquet->appender ? 0 : begin(parquet, error);
  if (result == 0) result = hand_over(parquet, error);
  if (result == 0 && duckdb_appender_close(parquet->appender) != DuckDBSuccess)
    result = failed(error, "cannot take rows", duckdb_appender_error(parquet->appender));
  duckdb_appender_destroy(&parquet->appender);
  if (result != 0) return result;
  if (!quote(path, quoted, sizeof quoted))
    return wb_error_set(error, WB_E_LIMIT, ENAMETOOLONG, "parquet", "the path %.100s... is too long", path);
  snprintf(sql, sizeof sql, "COPY rows TO '%s' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE %d)", quoted,
           WB_PARQUET_GROUP_ROWS);
  result = query(parquet, sql, error);
  if (result == 0) result = query(parquet, "DROP TABLE rows", error);
  return result == 0 ? sync_file(path, error) : result;
}
