#include "io/source_wire.h"

#include <stdlib.h>
#include <string.h>

#include "io/deflate.h"

enum { SHOWN_BYTES_MIN = 64 << 10 };

struct wb_wire {
  wb_inflate *inflate;
  size_t begin, end; /* received and not read: bytes[begin .. end) */
  bool inside;       /* piece is not in the journal yet */
  wb_ws_piece piece;
  uint8_t bytes[WB_WIRE_RECV_BYTES_MAX];
};

wb_wire *wb_wire_open(void) {
  wb_wire *wire = malloc(sizeof *wire);
  if (!wire) return NULL;
  memset(wire, 0, sizeof *wire); /* so that no page is missing later */
  wire->inflate = wb_inflate_open();
  if (wire->inflate) return wire;
  free(wire);
  return NULL;
}

void wb_wire_close(wb_wire *wire) {
  if (!wire) return;
  wb_inflate_close(wire->inflate);
  free(wire);
}

void wb_wire_begin(wb_wire *wire, const wb_deflate_terms *terms, const uint8_t *bytes, size_t count) {
  WB_CHECK(count <= sizeof wire->bytes);
  wb_inflate_begin(wire->inflate, terms->server == WB_DEFLATE_TAKEOVER);
  memcpy(wire->bytes, bytes, count);
  wire->begin = 0;
  wire->end = count;
  wire->inside = false;
}

size_t wb_wire_room(wb_wire *wire, uint8_t **at) {
  if (wire->inside) return 0;
  wire->end -= wire->begin;
  memmove(wire->bytes, wire->bytes + wire->begin, wire->end);
  wire->begin = 0;
  *at = wire->bytes + wire->end;
  return sizeof wire->bytes - wire->end;
}

void wb_wire_advance(wb_wire *wire, size_t count) {
  WB_DCHECK(count <= sizeof wire->bytes - wire->end);
  wire->end += count;
}

static int piece_take(wb_wire *wire, wb_frames *frames, uint64_t message_bytes_max, uint64_t begun) {
  wb_ws_piece *piece = &wire->piece;
  int result = 0;
  while (!result) {
    uint64_t more = message_bytes_max - (frames->head - begun);
    size_t room = wb_frames_room(frames, WB_WIRE_RECV_BYTES_MAX), given;
    if (room > more) room = more + 1; /* what fills it is too large */
    if (!room) return WB_E_FULL;
    if (piece->compressed) {
      const uint8_t *in = piece->bytes;
      result = wb_inflate_read(wire->inflate, &in, &piece->count, piece->last, wb_frames_head(frames), room, &given);
      piece->bytes = wire->bytes + (in - wire->bytes);
    } else {
      given = piece->count < room ? piece->count : room;
      memcpy(wb_frames_head(frames), piece->bytes, given);
      piece->bytes += given;
      piece->count -= given;
      result = piece->count == 0;
    }
    wb_frames_advance(frames, given);
    if (given > more) return WB_E_TOO_LARGE;
  }
  return result;
}

int wb_wire_read(wb_wire *wire, wb_ws *ws, wb_frames *frames, uint64_t begun, wb_ws_item *item, size_t *consumed) {
  wb_ws_piece *piece = &wire->piece;
  *consumed = 0;
  for (;;) {
    if (!wire->inside) {
      size_t used;
      int result = wb_ws_read_piece(ws, wire->bytes + wire->begin, wire->end - wire->begin, piece, &used);
      if (result == 0 && ws->opcode == WB_WS_TEXT && frames->head - begun >= SHOWN_BYTES_MIN) wb_frames_show(frames, begun);
      if (result <= 0) return result;
      wire->begin += used;
      if (piece->opcode >= WB_WS_CLOSE) {
        *item =
            (wb_ws_item){.opcode = piece->opcode, .nested = true, .fragments = 1, .bytes = piece->bytes, .count = piece->count};
        return 1;
      }
      wire->inside = true;
    }
    int result = piece_take(wire, frames, ws->message_bytes_max, begun);
    if (result < 0) return result;
    wire->inside = false;
    if (!piece->last) continue;
    *consumed = frames->head - begun;
    *item = (wb_ws_item){.opcode = piece->opcode, .fragments = 1, .bytes = wb_frames_at(frames, begun), .count = *consumed};
    return 1;
  }
}

size_t wb_wire_drain(wb_wire *wire, wb_frames *frames) {
  if (wire->inside) wire->begin = (size_t)(wire->piece.bytes - wire->bytes);
  wire->inside = false;
  size_t rest = wire->end - wire->begin, room = wb_frames_room(frames, rest);
  if (room > rest) room = rest;
  memcpy(wb_frames_head(frames), wire->bytes + wire->begin, room);
  wb_frames_advance(frames, room);
  wire->begin += room;
  return rest - room;
}
