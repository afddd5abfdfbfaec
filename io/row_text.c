#include "io/row_text.h"

#include <errno.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "io/host.h"

static void put_csv(FILE *to, const char *text, size_t count) {
  bool plain = count > 0;
  for (size_t i = 0; i < count && plain; i++)
    plain = text[i] != '"' && text[i] != ',' && text[i] != '\n' && text[i] != '\r' && text[i] != ' ';
  if (plain) {
    fwrite_unlocked(text, 1, count, to);
    return;
  }
  putc_unlocked('"', to);
  for (const char *end = text + count; text < end;) {
    const char *quote = memchr(text, '"', (size_t)(end - text));
    size_t run = quote ? (size_t)(quote + 1 - text) : (size_t)(end - text);
    fwrite_unlocked(text, 1, run, to);
    if (quote) putc_unlocked('"', to);
    text += run;
  }
  putc_unlocked('"', to);
}

static void put_json(FILE *to, const char *text, size_t count) {
  putc_unlocked('"', to);
  for (size_t i = 0; i < count; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') putc_unlocked('\\', to);
    if (c < 0x20) fprintf(to, "\\u%04x", c);
    else putc_unlocked(c, to);
  }
  putc_unlocked('"', to);
}

static void put_time(FILE *to, int64_t micros, bool quoted) {
  char text[WB_UTC_TEXT_BYTES];
  wb_utc_text(micros * 1000, text);
  fprintf(to, quoted ? "\"%s\"" : "%s", text);
}

static void put_number(FILE *to, __int128 number, unsigned decimals, bool quoted) {
  char text[WB_DECIMAL_TEXT_BYTES];
  size_t bytes = wb_decimal_print(number, decimals, text);
  if (quoted) putc_unlocked('"', to);
  fwrite_unlocked(text, 1, bytes, to);
  if (quoted) putc_unlocked('"', to);
}

static void put_cell(FILE *to, wb_row_form form, wb_value_kind kind, const wb_value *cell) {
  bool json = form == WB_ROW_JSON;
  if (!cell->there) {
    if (json) fputs_unlocked("null", to);
    return;
  }
  switch (kind) {
  case WB_VALUE_TEXT: (json ? put_json : put_csv)(to, cell->text, cell->bytes); break;
  case WB_VALUE_INTEGER: put_number(to, cell->number, 0, false); break;
  case WB_VALUE_DECIMAL: put_number(to, cell->number, cell->decimals, json); break;
  case WB_VALUE_BOOLEAN: fputs_unlocked(cell->number ? "true" : "false", to); break;
  case WB_VALUE_TIME: put_time(to, (int64_t)cell->number, json); break;
  }
}

static int done(FILE *to, wb_error *error) {
  if (!ferror_unlocked(to)) return 0;
  return wb_error_set(error, WB_E_SYSTEM, errno, "export", "cannot write: %s", strerror(errno));
}

int wb_row_text_head(FILE *to, wb_row_form form, const wb_table *table, wb_error *error) {
  for (unsigned i = 0; i < table->column_count && form == WB_ROW_CSV; i++)
    fprintf(to, "%s%s", i ? "," : "", table->column[i].name);
  if (form == WB_ROW_CSV) putc_unlocked('\n', to);
  return done(to, error);
}

int wb_row_text_write(FILE *to, wb_row_form form, const wb_table *table, const wb_value *cell, wb_error *error) {
  for (unsigned i = 0; i < table->column_count; i++) {
    if (form == WB_ROW_JSON) fprintf(to, "%s\"%s\":", i ? "," : "{", table->column[i].name);
    else if (i) putc_unlocked(',', to);
    put_cell(to, form, table->column[i].kind, &cell[i]);
  }
  fputs_unlocked(form == WB_ROW_JSON ? "}\n" : "\n", to);
  return done(to, error);
}
