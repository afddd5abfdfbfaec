#include "io/deflate.h"

#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

enum { WINDOW_BITS = 15, MEMORY_LEVEL = 8, TAIL_BYTES = 4, AT_BLOCK = 128 };

static const uint8_t tail[TAIL_BYTES] = {0x00, 0x00, 0xff, 0xff};

struct wb_inflate {
  z_stream z;
  bool takeover;
  bool between;      /* what was taken ends where a block does */
  size_t tail_taken; /* of the message that ends */
};

wb_inflate *wb_inflate_open(void) {
  wb_inflate *i = calloc(1, sizeof *i);
  if (!i) return NULL;
  if (inflateInit2(&i->z, -WINDOW_BITS) != Z_OK) {
    free(i);
    return NULL;
  }
  /* The window is otherwise allocated by the first message. */
  if (inflateSetDictionary(&i->z, tail, 1) != Z_OK) {
    wb_inflate_close(i);
    return NULL;
  }
  wb_inflate_begin(i, false);
  return i;
}

void wb_inflate_close(wb_inflate *i) {
  if (!i) return;
  inflateEnd(&i->z);
  free(i);
}

void wb_inflate_begin(wb_inflate *i, bool takeover) {
  inflateReset(&i->z);
  i->takeover = takeover;
  i->between = false;
  i->tail_taken = 0;
}

static int take(wb_inflate *i, const uint8_t **in, size_t *count, uint8_t *out, size_t room, size_t *given) {
  z_stream *z = &i->z;
  for (;;) {
    uInt in_bytes = *count < UINT_MAX ? (uInt)*count : UINT_MAX;
    uInt out_bytes = room - *given < UINT_MAX ? (uInt)(room - *given) : UINT_MAX;
    z->next_in = *in;
    z->avail_in = in_bytes;
    z->next_out = out + *given;
    z->avail_out = out_bytes;
    int result = inflate(z, Z_SYNC_FLUSH);
    *in = z->next_in;
    *count -= in_bytes - z->avail_in;
    *given += out_bytes - z->avail_out;
    bool idle = z->avail_in == in_bytes && z->avail_out == out_bytes; /* zlib then forgets where it is */
    i->between = result == Z_STREAM_END || z->data_type == AT_BLOCK || (i->between && idle);
    /* A block may say that it is the last: the next one begins at the next byte, and knows the text all the same (7.2.3.4). */
    if (result == Z_STREAM_END) inflateResetKeep(z);
    else if (result != Z_OK && result != Z_BUF_ERROR) return WB_E_DAMAGED;
    if (*given == room) return 0;
    if (*count == 0) return 1;
  }
}

int wb_inflate_read(wb_inflate *i, const uint8_t **in, size_t *count, bool last, uint8_t *out, size_t room, size_t *given) {
  *given = 0;
  int result = take(i, in, count, out, room, given);
  if (result <= 0 || !last) return result;
  const uint8_t *rest = tail + i->tail_taken;
  size_t rest_bytes = TAIL_BYTES - i->tail_taken;
  result = take(i, &rest, &rest_bytes, out, room, given);
  i->tail_taken = TAIL_BYTES - rest_bytes;
  if (result <= 0) return result;
  i->tail_taken = 0;
  if (!i->between) return WB_E_DAMAGED;
  if (!i->takeover) inflateReset(&i->z);
  return 1;
}

struct wb_deflate {
  z_stream z;
  bool takeover;
};

wb_deflate *wb_deflate_open(unsigned window_bits, bool takeover) {
  wb_deflate *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  d->takeover = takeover;
  if (deflateInit2(&d->z, Z_BEST_SPEED, Z_DEFLATED, -(int)window_bits, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
    free(d);
    return NULL;
  }
  return d;
}

void wb_deflate_close(wb_deflate *d) {
  if (!d) return;
  deflateEnd(&d->z);
  free(d);
}

size_t wb_deflate_bytes_max(wb_deflate *d, size_t count) { return deflateBound(&d->z, count) + 2 * TAIL_BYTES; }

int64_t wb_deflate_write(wb_deflate *d, const void *text, size_t count, uint8_t *out, size_t room) {
  if (count > UINT_MAX || room < 1) return WB_E_LIMIT;
  if (count == 0) { /* zlib would flush nothing twice */
    out[0] = 0;
    return 1;
  }
  z_stream *z = &d->z;
  z->next_in = text;
  z->avail_in = (uInt)count;
  z->next_out = out;
  z->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
  if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in || !z->avail_out) return WB_E_LIMIT;
  if (!d->takeover) deflateReset(z);
  return z->next_out - out - TAIL_BYTES;
}
