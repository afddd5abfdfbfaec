/* face_json.h - answers of the HTTP face that are JSON. Private to io/face_*.c. The face's thread. */
#ifndef WB_IO_FACE_JSON_H
#define WB_IO_FACE_JSON_H

#include <jansson.h>

#include "io/face_route.h"

#define WB_FACE_JSON "application/json; charset=utf-8"

/* wb_face_json answers with a value, which it takes; NULL: 503, there was no memory for it. */
void wb_face_json(wb_face_client *client, unsigned status, json_t *value);

/* A number as the feeds write it, in a string; a time, NULL for WB_TIME_NONE. */
json_t *wb_face_json_decimal(__int128 value, unsigned decimals);
json_t *wb_face_json_time(int64_t utc_ns);

/* wb_face_json_reason writes why a product is in its state; returns text. */
const char *wb_face_json_reason(const wirebook_shm_view *view, char *text, size_t size);

#endif
