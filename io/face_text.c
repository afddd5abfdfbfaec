#include "io/face_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"

enum { TEXT_BYTES_MIN = 16 << 10, LINE_BYTES = 512 };

void wb_face_text_put(wb_face_text *text, const char *bytes, size_t count) {
  if (text->failed) return;
  if (text->capacity - text->count < count) {
    size_t capacity = text->capacity ? text->capacity : TEXT_BYTES_MIN;
    while (capacity - text->count < count) capacity *= 2;
    char *grown = realloc(text->bytes, capacity);
    text->failed = !grown;
    if (!grown) return;
    text->bytes = grown;
    text->capacity = capacity;
  }
  memcpy(text->bytes + text->count, bytes, count);
  text->count += count;
}

void wb_face_text_add(wb_face_text *text, const char *string) { wb_face_text_put(text, string, strlen(string)); }

void wb_face_text_addf(wb_face_text *text, const char *format, ...) {
  char line[LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  int bytes = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  WB_DCHECK(bytes >= 0 && (size_t)bytes < sizeof line);
  wb_face_text_add(text, line);
}

void wb_face_text_decimal(wb_face_text *text, __int128 value, unsigned decimals) {
  char digits[WB_DECIMAL_TEXT_BYTES];
  wb_face_text_put(text, digits, wb_decimal_print(value, decimals, digits));
}

void wb_face_text_answer(wb_face_client *client, const char *type, wb_face_text *text) {
  if (text->failed) {
    free(text->bytes);
    wb_face_refuse(client, 503, "no memory");
  } else {
    wb_face_answer_lent(client, 200, type, NULL, text->bytes, text->count, free, text->bytes);
  }
  *text = (wb_face_text){0};
}
