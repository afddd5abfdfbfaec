/* table.h - the tables that a log is exported as: their columns, and one row of them as cells.
 *
 * Frozen: names, order and kinds of columns are promised in docs/export.md; a column may be added behind the others.
 * Exact:  prices and sizes are integers with their decimals beside them, wide enough for sums and for halves.
 * Threads: pure. */
#ifndef WB_IO_TABLE_H
#define WB_IO_TABLE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
  WB_TABLE_DELTAS = 0,
  WB_TABLE_QUOTES,
  WB_TABLE_TRADES,
  WB_TABLE_BARS,
  WB_TABLE_FRAMES,
  WB_TABLE_COUNT
} wb_table_id;

typedef enum {
  WB_VALUE_TEXT = 0, /* UTF-8 without NUL */
  WB_VALUE_INTEGER,  /* int64_t */
  WB_VALUE_DECIMAL,
  WB_VALUE_BOOLEAN,
  WB_VALUE_TIME /* microseconds since 1970 UTC */
} wb_value_kind;

typedef struct wb_column {
  const char *name;
  wb_value_kind kind;
} wb_column;

/* Every table begins with the same columns. */
enum { WB_COLUMN_PRODUCT = 0, WB_COLUMN_TIME, WB_COLUMN_RECV_TIME, WB_COLUMN_RECV_NS, WB_COLUMN_NUMBER, WB_COLUMN_OWN };
enum { WB_TABLE_COLUMNS_MAX = 13 };

typedef struct wb_table {
  const char *name;
  const wb_column *column;
  unsigned column_count;
} wb_table;

const wb_table *wb_table_of(wb_table_id id);

/* One value. All zero is a NULL. number: of all kinds but TEXT; a DECIMAL is number * 10^-decimals, decimals 0..WB_VALUE_DECIMALS_MAX. */
enum { WB_VALUE_DECIMALS_MAX = 19 };
typedef struct wb_value {
  __int128 number;
  const char *text;
  uint32_t bytes;
  uint8_t decimals;
  bool there;
} wb_value;

static inline wb_value wb_value_text(const char *text, uint32_t bytes) {
  return (wb_value){.text = text, .bytes = bytes, .there = true};
}
static inline wb_value wb_value_decimal(__int128 number, unsigned decimals) {
  return (wb_value){.number = number, .decimals = (uint8_t)decimals, .there = true};
}
static inline wb_value wb_value_boolean(bool value) { return (wb_value){.number = value, .there = true}; }

/* wb_value_integer: NULL where it is above INT64_MAX. */
static inline wb_value wb_value_integer(uint64_t number) {
  return (wb_value){.number = (__int128)number, .there = number <= INT64_MAX};
}

/* wb_value_time of nanoseconds since 1970, cut to microseconds; wb_value_ns of the same as an INTEGER; NULL of WB_TIME_NONE. */
wb_value wb_value_time(int64_t utc_ns);
wb_value wb_value_ns(int64_t utc_ns);

#endif
