/* coinbase_shapes.h - the two shapes of the fast roads, around pieces of each road's own.
 *
 * How      included once by each fast road, after it has defined WB_FAST_TARGET (the instructions it may use) and
 *            wb_fast_head            whether a head begins here; what its type is was seen before
 *            wb_fast_update_product  see coinbase_words.h, where the three are that every machine can run
 *            wb_fast_tail
 *            wb_fast_reader          what numbers are read with, made by wb_fast_reader_of(state, product)
 *            wb_fast_change          reads `["buy","P","S"]`, stores it and returns what follows, or NULL
 *            wb_fast_next_change     the same behind another one
 *            wb_fast_levels          reads one `["P","S"]` or more, as many as *delta .. full has room for, moves *delta on and
 *                                    returns what follows, or NULL */
#ifndef WB_CODEC_COINBASE_SHAPES_H
#define WB_CODEC_COINBASE_SHAPES_H

#include "engine/codec/coinbase_fast.h"

/* Reading is done by functions of their own, which call no other on the way, so that little is kept in memory. */

/* What follows the first change of an update. Returns its message, or NULL. */
WB_FAST_TARGET static __attribute__((noinline)) wb_message *wb_fast_read_more(const wb_coinbase *state,
                                                                              const wb_coinbase_product *product,
                                                                              const uint8_t *text, const uint8_t *stop,
                                                                              wb_message *message) {
  wb_fast_reader reader = wb_fast_reader_of(state, product);
  wb_delta *delta = message->deltas + 1;
  while (*text == ',' && stop - text > WB_FAST_CHANGE_BYTES_MIN) {
    text = wb_fast_next_change(&reader, text + 1, stop, delta++);
    if (__builtin_expect(!text, 0)) return NULL;
  }
  message->delta_count = (uint32_t)(delta - message->deltas);
  return *text == ']' && text + 1 == stop && wb_fast_sound(&reader) ? message : NULL;
}

WB_FAST_TARGET static __attribute__((noinline)) wb_message *wb_fast_read_update(wb_coinbase *state, const wb_frame *frame,
                                                                                const uint8_t *bytes, wb_message *message) {
  int64_t time_ns;
  if (__builtin_expect(!wb_fast_head(bytes, false), 0)) return NULL;
  const uint8_t *text = bytes + WB_FAST_HEAD_BYTES, *stop = wb_fast_tail(state, bytes + frame->bytes, &time_ns);
  if (__builtin_expect(!stop, 0)) return NULL;
  const wb_coinbase_product *product = wb_fast_update_product(state, &text);
  if (__builtin_expect(!product || stop - text < WB_FAST_CHANGE_BYTES_MIN, 0)) return NULL;
  wb_fast_header(message, frame, WB_MESSAGE_UPDATE, WB_PART_FIRST | WB_PART_LAST, (uint64_t)(product - state->product), 1,
                 time_ns);
  wb_fast_reader reader = wb_fast_reader_of(state, product);
  text = wb_fast_change(&reader, text, stop, message->deltas);
  if (__builtin_expect(!text || !wb_fast_sound(&reader), 0)) return NULL;
  return *text == ']' && text + 1 == stop ? message : wb_fast_read_more(state, product, text, stop, message);
}

WB_FAST_TARGET static __attribute__((noinline)) wb_fast_run wb_fast_side(const wb_coinbase *state,
                                                                         const wb_coinbase_product *product,
                                                                         const uint8_t *text, const uint8_t *stop,
                                                                         wb_delta *delta, const wb_delta *full, wb_side side) {
  wb_fast_reader reader = wb_fast_reader_of(state, product);
  for (;; text++) {
    text = wb_fast_levels(&reader, text, stop, side, &delta, full);
    if (!text) return WB_FAST_NO_RUN;
    if (*text != ',' || text + 1 >= stop || delta == full) break;
  }
  return wb_fast_side_sound(&reader) ? (wb_fast_run){text, delta} : WB_FAST_NO_RUN;
}

WB_FAST_TARGET static __attribute__((noinline)) void wb_fast_snapshot(wb_coinbase *state, const wb_frame *frame,
                                                                      const uint8_t *bytes, wb_out *out) {
  int64_t time_ns;
  if (!wb_fast_head(bytes, true)) goto leave;
  const uint8_t *text = bytes + WB_FAST_HEAD_BYTES, *stop = wb_fast_tail(state, bytes + frame->bytes, &time_ns);
  const wb_coinbase_product *product = wb_fast_snapshot_product(state, &text);
  if (!stop || !product) goto leave;
  uint16_t index = (uint16_t)(product - state->product);
  wb_message *message = NULL;
  wb_delta *delta = NULL, *full = NULL;
  uint32_t part = WB_PART_FIRST;
  unsigned seen = 0;
  for (unsigned i = 0; i < 2; i++) {
    uint64_t word = wb_fast_load(text + 1);
    wb_side side = word == WB_FAST_WORD(',', '"', 'a', 's', 'k', 's', '"', ':') ? WB_SIDE_ASK : WB_SIDE_BID;
    if (side == WB_SIDE_BID && word != WB_FAST_WORD(',', '"', 'b', 'i', 'd', 's', '"', ':')) goto abandon;
    if ((seen & 1u << side) || text[9] != '[') goto abandon;
    seen |= 1u << side;
    for (text += 10;; text++) {
      if (delta == full) {
        if (text >= stop) goto abandon;
        if (message) {
          wb_fast_header(message, frame, WB_MESSAGE_SNAPSHOT, part, index, (size_t)(delta - message->deltas), time_ns);
          out->commit(out, message);
          part = 0;
        }
        size_t most = (size_t)(stop - text) / WB_FAST_LEVEL_BYTES_MIN + 1;
        uint32_t room = most < WB_PART_DELTAS_MAX ? (uint32_t)most : WB_PART_DELTAS_MAX;
        message = out->claim(out, room);
        delta = message->deltas;
        full = delta + room;
      }
      wb_fast_run end = wb_fast_side(state, product, text, stop, delta, full, side);
      if (!end.text) end = wb_fast_side_again(state, product, text, stop, delta, full, side);
      text = end.text;
      delta = end.delta;
      if (!text) goto abandon;
      if (*text != ',') break;
    }
    if (*text != ']') goto abandon;
  }
  if (text + 1 != stop) goto abandon;
  wb_fast_header(message, frame, WB_MESSAGE_SNAPSHOT, part | WB_PART_LAST, index, (size_t)(delta - message->deltas), time_ns);
  out->commit(out, message);
  return;

abandon:
  if (part == 0) wb_fast_abandon(frame, out, index, time_ns);
  state->full(state, frame, bytes, out);
  return;

leave:
  WB_FAST_NEXT(state, frame, bytes, out);
}

/* No register but the common ones here, where there are calls. */
WB_FAST_INLINE void wb_fast_road(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  uint32_t over = frame->bytes - WB_FAST_BYTES_MIN;
  uint64_t type = wb_fast_load(bytes + WB_FAST_TYPE_AT);
  if (__builtin_expect(over < WB_PART_DELTAS_MAX * WB_FAST_CHANGE_BYTES_MIN && type == WB_FAST_L2UPDATE, 1)) {
    wb_message *message = out->claim(out, over / WB_FAST_CHANGE_BYTES_MIN + 1);
    message = wb_fast_read_update(state, frame, bytes, message);
    if (__builtin_expect(message != NULL, 1)) out->commit(out, message);
    else WB_FAST_NEXT(state, frame, bytes, out);
  } else if (frame->bytes >= WB_FAST_BYTES_MIN && type == WB_FAST_SNAPSHOT) {
    wb_fast_snapshot(state, frame, bytes, out);
  } else {
    state->full(state, frame, bytes, out);
  }
}

#endif
