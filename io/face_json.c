#include "io/face_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/event.h"
#include "engine/feed/recover.h"

void wb_face_json(wb_face_client *client, unsigned status, json_t *value) {
  char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(16)) : NULL;
  if (text) wb_face_answer(client, status, WB_FACE_JSON, NULL, text, strlen(text));
  else wb_face_refuse(client, 503, "no memory");
  free(text);
  json_decref(value);
}

json_t *wb_face_json_decimal(__int128 value, unsigned decimals) {
  char text[WB_DECIMAL_TEXT_BYTES];
  wb_decimal_print(value, decimals, text);
  return json_string(text);
}

json_t *wb_face_json_time(int64_t utc_ns) {
  char text[WB_UTC_TEXT_BYTES];
  if (utc_ns == WB_TIME_NONE) return json_null();
  wb_utc_text(utc_ns, text);
  return json_string(text);
}

const char *wb_face_json_reason(const wirebook_shm_view *view, char *text, size_t size) {
  snprintf(text, size, "%s%s%s", wb_reason_text((wb_reason)view->reason), view->reject ? ": " : "",
           view->reject ? wb_reject_name((wb_reject)view->reject) : "");
  return text;
}
