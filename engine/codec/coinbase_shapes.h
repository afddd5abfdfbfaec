/* coinbase_shapes.h - the two shapes of the fast roads, around a reader of one level of each road's own.
 *
 * How      included once by each fast road, after it has defined WB_FAST_TARGET (the instructions it may use), wb_fast_change
 * (reads
 *          `["buy","P","S"]`) and wb_fast_level (reads `["P","S"]`); both store the level and return what follows, or NULL. */
#ifndef WB_CODEC_COINBASE_SHAPES_H
#define WB_CODEC_COINBASE_SHAPES_H

#include "engine/codec/coinbase_fast.h"

WB_FAST_TARGET static __attribute__((noinline)) bool wb_fast_update(wb_coinbase *state, const wb_frame *frame,
                                                                    const uint8_t *text, const uint8_t *end, wb_out *out) {
  uint32_t id_bytes;
  int64_t time_ns;
  int product = wb_fast_product(state, text, &id_bytes);
  if (product < 0) return false;
  text += id_bytes;
  if (wb_fast_load(text) != WB_FAST_WORD('"', ',', '"', 'c', 'h', 'a', 'n', 'g') ||
      wb_fast_load(text + 5) != WB_FAST_WORD('a', 'n', 'g', 'e', 's', '"', ':', '['))
    return false;
  text += 13;
  const uint8_t *stop = wb_fast_tail(state, end, &time_ns);
  if (!stop || stop <= text) return false;
  size_t most = (size_t)(stop - text) / WB_FAST_CHANGE_BYTES_MIN;
  uint32_t room = most < WB_PART_DELTAS_MAX ? (uint32_t)most : WB_PART_DELTAS_MAX;
  wb_fast_units units = wb_fast_units_of(state, product);
  wb_message *message = wb_coinbase_claim(out, frame, WB_MESSAGE_UPDATE, (uint16_t)product, room);
  message->time_ns = time_ns;
  wb_delta *delta = message->deltas, *full = delta + room;
  for (;; text++) {
    if (text >= stop || delta == full) return false;
    text = wb_fast_change(&units, text, stop, delta++);
    if (!text) return false;
    if (*text != ',') break;
  }
  if (*text != ']' || text + 1 != stop) return false;
  message->delta_count = (uint32_t)(delta - message->deltas);
  out->commit(out, message);
  return true;
}

WB_FAST_TARGET static __attribute__((noinline)) bool wb_fast_snapshot(wb_coinbase *state, const wb_frame *frame,
                                                                      const uint8_t *text, const uint8_t *end, wb_out *out) {
  uint32_t id_bytes;
  int64_t time_ns;
  int product = wb_fast_product(state, text, &id_bytes);
  if (product < 0) return false;
  text += id_bytes;
  const uint8_t *stop = wb_fast_tail(state, end, &time_ns);
  if (!stop || text[0] != '"') return false;
  wb_fast_units units = wb_fast_units_of(state, product);
  wb_message *message = NULL;
  wb_delta *delta = NULL, *full = NULL;
  uint8_t part = WB_PART_FIRST;
  unsigned seen = 0;
  for (unsigned i = 0; i < 2; i++) {
    uint64_t word = wb_fast_load(text + 1);
    wb_side side = word == WB_FAST_WORD(',', '"', 'a', 's', 'k', 's', '"', ':') ? WB_SIDE_ASK : WB_SIDE_BID;
    if (side == WB_SIDE_BID && word != WB_FAST_WORD(',', '"', 'b', 'i', 'd', 's', '"', ':')) goto abandon;
    if ((seen & 1u << side) || text[9] != '[') goto abandon;
    seen |= 1u << side;
    for (text += 10;; text++) {
      if (text >= stop) goto abandon;
      if (delta == full) {
        if (message) {
          message->part = part;
          out->commit(out, message);
          part = 0;
        }
        size_t most = (size_t)(stop - text) / WB_FAST_LEVEL_BYTES_MIN + 1;
        uint32_t room = most < WB_PART_DELTAS_MAX ? (uint32_t)most : WB_PART_DELTAS_MAX;
        message = wb_coinbase_claim(out, frame, WB_MESSAGE_SNAPSHOT, (uint16_t)product, room);
        message->time_ns = time_ns;
        delta = message->deltas;
        full = delta + room;
      }
      text = wb_fast_level(&units, text, stop, side, delta++);
      if (!text) goto abandon;
      if (*text != ',') break;
    }
    if (*text != ']') goto abandon;
  }
  if (text + 1 != stop) goto abandon;
  message->part = part | WB_PART_LAST;
  message->delta_count = (uint32_t)(delta - message->deltas);
  out->commit(out, message);
  return true;

abandon:
  return wb_fast_abandon(frame, out, (uint16_t)product, time_ns, part == 0);
}

WB_FAST_TARGET static inline bool wb_fast_road(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  if (frame->bytes < WB_FAST_BYTES_MIN) return false;
  const uint8_t *end = bytes + frame->bytes, *text = bytes + WB_FAST_HEAD_BYTES;
  switch (wb_fast_head(bytes)) {
  case WB_FAST_UPDATE: return wb_fast_update(state, frame, text, end, out);
  case WB_FAST_SNAPSHOT: return wb_fast_snapshot(state, frame, text, end, out);
  default: return false;
  }
}

#endif
