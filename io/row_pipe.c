#include "io/row_pipe.h"

#include <errno.h>
#include <string.h>

static const char magic[] = "wbrows1\n";

static int done(FILE *to, wb_error *error) {
  if (!ferror_unlocked(to)) return 0;
  return wb_error_set(error, WB_E_SYSTEM, errno, "export", "cannot hand rows on: %s", strerror(errno));
}

static void put_word(FILE *to, uint32_t word) { fwrite_unlocked(&word, sizeof word, 1, to); }

int wb_row_pipe_head(FILE *to, wb_table_id table, wb_error *error) {
  fwrite_unlocked(magic, 1, sizeof magic - 1, to);
  putc_unlocked((int)table, to);
  return done(to, error);
}

int wb_row_pipe_write(FILE *to, wb_table_id id, const wb_value *cell, wb_error *error) {
  const wb_table *table = wb_table_of(id);
  uint64_t bytes = 0;
  for (unsigned i = 0; i < table->column_count; i++) {
    bool text = table->column[i].kind == WB_VALUE_TEXT;
    bytes += text ? sizeof(uint32_t) : 1;
    if (cell[i].there) bytes += text ? cell[i].bytes : sizeof cell[i].number;
  }
  if (bytes > WB_ROW_PIPE_BYTES_MAX)
    return wb_error_set(error, WB_E_LIMIT, 0, "export", "a row of %llu bytes", (unsigned long long)bytes);
  put_word(to, (uint32_t)bytes);
  for (unsigned i = 0; i < table->column_count; i++) {
    const wb_value *at = &cell[i];
    if (table->column[i].kind == WB_VALUE_TEXT) {
      put_word(to, at->there ? at->bytes : UINT32_MAX);
      if (at->there) fwrite_unlocked(at->text, 1, at->bytes, to);
    } else {
      putc_unlocked(at->there ? at->decimals + 1 : 0, to);
      if (at->there) fwrite_unlocked(&at->number, sizeof at->number, 1, to);
    }
  }
  return done(to, error);
}

int wb_row_pipe_end(FILE *to, wb_error *error) {
  put_word(to, WB_ROW_PIPE_END);
  return done(to, error);
}

int wb_row_pipe_table(const uint8_t head[WB_ROW_PIPE_HEAD_BYTES]) {
  return memcmp(head, magic, sizeof magic - 1) || head[sizeof magic - 1] >= WB_TABLE_COUNT ? WB_E_DAMAGED
                                                                                           : head[sizeof magic - 1];
}

static bool take(const uint8_t **at, const uint8_t *end, void *to, size_t bytes) {
  if ((size_t)(end - *at) < bytes) return false;
  memcpy(to, *at, bytes);
  *at += bytes;
  return true;
}

int wb_row_pipe_read(const uint8_t *bytes, size_t count, wb_table_id id, wb_value cell[WB_TABLE_COLUMNS_MAX]) {
  const wb_table *table = wb_table_of(id);
  const uint8_t *end = bytes + count;
  for (unsigned i = 0; i < table->column_count; i++) {
    wb_value *to = &cell[i];
    *to = (wb_value){0};
    if (table->column[i].kind == WB_VALUE_TEXT) {
      uint32_t length;
      if (!take(&bytes, end, &length, sizeof length)) return WB_E_DAMAGED;
      if (length == UINT32_MAX) continue;
      if ((size_t)(end - bytes) < length) return WB_E_DAMAGED;
      *to = wb_value_text((const char *)bytes, length);
      bytes += length;
    } else {
      uint8_t tag;
      if (!take(&bytes, end, &tag, 1) || tag > WB_VALUE_DECIMALS_MAX + 1) return WB_E_DAMAGED;
      to->there = tag > 0;
      if (!to->there) continue;
      to->decimals = (uint8_t)(tag - 1);
      if (!take(&bytes, end, &to->number, sizeof to->number)) return WB_E_DAMAGED;
    }
  }
  return bytes == end ? 0 : WB_E_DAMAGED;
}
