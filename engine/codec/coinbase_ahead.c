#include "engine/codec/coinbase_fast.h"

/* A level of the fast roads, the comma behind it and the bracket of the next are no longer. */
enum { LEVEL_BYTES_MAX = 128, STEP_BYTES_MIN = 8192 };

static const char head[] = "{\"type\":\"snapshot\",\"product_id\":";
_Static_assert(sizeof head - 1 == WB_FAST_HEAD_BYTES, "both heads are as long");

/* The beginning of a side, `,"asks":[`, behind the character at text. Returns the first of its levels, or NULL. */
static const uint8_t *begin_side(wb_coinbase_ahead *ahead, const uint8_t *text) {
  uint64_t word = wb_fast_load(text + 1);
  if (word == WB_FAST_WORD(',', '"', 'a', 's', 'k', 's', '"', ':')) ahead->side = WB_SIDE_ASK;
  else if (word == WB_FAST_WORD(',', '"', 'b', 'i', 'd', 's', '"', ':')) ahead->side = WB_SIDE_BID;
  else return NULL;
  if ((ahead->seen & 1u << ahead->side) || text[9] != '[') return NULL;
  ahead->seen |= (uint8_t)(1u << ahead->side);
  return text + 10;
}

/* Reads levels from ahead->at to stop, and puts out what it has read. False where the text is not of the kind that fast roads take. */
static bool read_levels(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, const uint8_t *stop, wb_out *out) {
  wb_coinbase_ahead *ahead = &state->ahead;
  const wb_coinbase_product *product = &state->product[ahead->product];
  const uint8_t *text = bytes + ahead->at;
  while (text < stop) {
    if (ahead->between) {
      if (ahead->seen == 3 || stop - text < 11) break;
      text = begin_side(ahead, text);
      if (!text) return false;
      ahead->between = false;
    }
    size_t most = (size_t)(stop - text) / WB_FAST_LEVEL_BYTES_MIN + 1;
    uint32_t room = most < WB_PART_DELTAS_MAX ? (uint32_t)most : WB_PART_DELTAS_MAX;
    wb_message *message = out->claim(out, room);
    wb_delta *full = message->deltas + room;
    wb_fast_run end = state->side(state, product, text, stop, message->deltas, full, (wb_side)ahead->side);
    if (!end.text) end = wb_fast_side_any(state, product, text, stop, message->deltas, full, (wb_side)ahead->side);
    if (!end.text || (*end.text != ',' && *end.text != ']')) return false;
    wb_fast_header(message, frame, WB_MESSAGE_SNAPSHOT, ahead->out ? 0 : WB_PART_FIRST, ahead->product,
                   (size_t)(end.delta - message->deltas), WB_TIME_NONE);
    out->commit(out, message);
    ahead->out = true;
    ahead->between = *end.text == ']';
    text = end.text + !ahead->between;
  }
  ahead->at = (uint64_t)(text - bytes);
  return true;
}

static void begin(wb_coinbase *state, const uint8_t *bytes) {
  wb_coinbase_ahead *ahead = &state->ahead;
  const uint8_t *text = bytes + WB_FAST_HEAD_BYTES;
  const wb_coinbase_product *product =
      memcmp(bytes, head, sizeof head - 1) == 0 ? wb_fast_snapshot_product(state, &text) : NULL;
  ahead->given_up = !product;
  if (!product) return;
  ahead->product = (uint16_t)(product - state->product);
  ahead->at = (uint64_t)(text - bytes);
  ahead->between = true;
}

/* The last comma between two levels in [from, end), or NULL if it is not near the end. */
static const uint8_t *last_comma(const uint8_t *from, const uint8_t *end) {
  const uint8_t *least = end - from > LEVEL_BYTES_MAX ? end - LEVEL_BYTES_MAX : from;
  while (--end > least)
    if (end[-1] == ']' && end[0] == ',' && end[1] == '[') return end;
  return NULL;
}

bool wb_coinbase_read_ahead(void *memory, uint8_t line, uint64_t position, const uint8_t *bytes, size_t count, wb_out *out) {
  wb_coinbase *state = memory;
  wb_coinbase_ahead *ahead = &state->ahead;
  if (state->level3) return false; /* level-2 snapshots are nothing to it */
  if (ahead->open && (ahead->line != line || ahead->position != position)) return false; /* one at a time */
  if (!ahead->open) {
    if (count < STEP_BYTES_MIN) return false;
    *ahead = (wb_coinbase_ahead){.open = true, .line = line, .position = position};
    begin(state, bytes);
  }
  if (ahead->given_up || count - ahead->at < STEP_BYTES_MIN) return false;
  /* Behind the last comma but one between two levels: levels are read in pairs, and what is before the last comma has come whole. */
  const uint8_t *stop = last_comma(bytes + ahead->at, bytes + count - 1);
  if (stop) stop = last_comma(bytes + ahead->at, stop);
  if (!stop) return false;
  wb_frame none = {.line = line};
  ahead->given_up = !read_levels(state, &none, bytes, stop + 1, out);
  return !ahead->given_up;
}

bool wb_coinbase_ahead_ends(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_coinbase_ahead *ahead = &state->ahead;
  if (frame->line != ahead->line) return false;
  ahead->open = false;
  if (!ahead->out) return false;
  if (frame->kind == WB_FRAME_TEXT && frame->position == ahead->position && !ahead->given_up) {
    int64_t time_ns;
    const uint8_t *stop = wb_fast_tail_any(state, bytes + frame->bytes, &time_ns);
    if (stop && stop > bytes + ahead->at && read_levels(state, frame, bytes, stop, out) && ahead->between && ahead->seen == 3 &&
        bytes + ahead->at + 1 == stop) {
      wb_message *message = out->claim(out, 0);
      wb_fast_header(message, frame, WB_MESSAGE_SNAPSHOT, WB_PART_LAST, ahead->product, 0, time_ns);
      out->commit(out, message);
      return true;
    }
  }
  wb_fast_abandon(frame, out, ahead->product, WB_TIME_NONE);
  if (frame->kind != WB_FRAME_TEXT || frame->position != ahead->position) return false;
  state->full(state, frame, bytes, out);
  return true;
}
