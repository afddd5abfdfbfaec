/* face_text.h - text that grows, for bodies of the HTTP face. Private to io/face_*.c. Memory: allocated as needed; after a want of it nothing more is
 * added, and the answer is 503. */
#ifndef WB_IO_FACE_TEXT_H
#define WB_IO_FACE_TEXT_H

#include "io/face_route.h"

typedef struct wb_face_text {
  char *bytes;
  size_t count, capacity;
  bool failed;
} wb_face_text;

void wb_face_text_put(wb_face_text *text, const char *bytes, size_t count);
void wb_face_text_add(wb_face_text *text, const char *string);
void wb_face_text_addf(wb_face_text *text, const char *format, ...) __attribute__((format(printf, 2, 3))); /* up to 511 bytes */
void wb_face_text_decimal(wb_face_text *text, __int128 value, unsigned decimals);

/* wb_face_text_answer gives the text away as a body. */
void wb_face_text_answer(wb_face_client *client, const char *type, wb_face_text *text);

#endif
