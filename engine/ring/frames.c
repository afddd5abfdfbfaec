#include "engine/ring/frames.h"

#include <string.h>

int wb_frames_init(wb_frames *frames, void *base, size_t bytes, wb_frame *frame, size_t frame_count, unsigned reader_count) {
  if (!frames || !base || !frame) return WB_E_INVALID;
  if (bytes < 65536 || (bytes & (bytes - 1)) != 0) return WB_E_INVALID;
  if (frame_count < 64 || (frame_count & (frame_count - 1)) != 0) return WB_E_INVALID;
  if (reader_count < 1 || reader_count > WB_FRAMES_READERS_MAX) return WB_E_INVALID;
  *frames = (wb_frames){.base = base,
                        .bytes = bytes,
                        .mask = bytes - 1,
                        .frame = frame,
                        .frame_count = frame_count,
                        .frame_mask = frame_count - 1,
                        .reader_count = reader_count};
  return 0;
}

uint64_t wb_frames_look(wb_frames *frames) {
  uint64_t least = UINT64_MAX;
  for (unsigned i = 0; i < frames->reader_count; i++) {
    /* [F2] acquires wb_frames_release: the reader has done with the descriptors before we write over them. */
    uint64_t released = wb_load_acquire(&frames->reader[i].released);
    if (released < least) least = released;
  }
  return frames->released_seen = least;
}

static uint64_t released_position(const wb_frames *frames) {
  uint64_t least = UINT64_MAX;
  for (unsigned i = 0; i < frames->reader_count; i++) {
    /* [F2] acquires wb_frames_release: the reader has done with the bytes before the head comes round to them. */
    uint64_t position = wb_load_acquire(&frames->reader[i].released_position);
    if (position < least) least = position;
  }
  return least;
}

/* Where the first byte lies that is still held: who has released all in front of a hole has released the hole. */
static uint64_t behind_holes(const wb_frames *frames, uint64_t position) {
  if (position >= frames->skip_from && position < frames->skip_to) position = frames->skip_to;
  if (position >= frames->jump_from && position < frames->jump_to) position = frames->jump_to;
  return position;
}

uint64_t wb_frames_look_position(wb_frames *frames) {
  uint64_t least = behind_holes(frames, released_position(frames));
  /* Behind what was jumped over comes the end of the mapping, and behind that what was written since the turn. */
  if (frames->jump_to && least < frames->skip_to) least = frames->skip_to;
  return frames->released_position_seen = least;
}

static void move(wb_frames *frames, size_t rest, uint64_t to) {
  memcpy(frames->base + (to & frames->mask), frames->base + ((frames->head - rest) & frames->mask), rest);
  frames->head = to + rest;
}

bool wb_frames_turn_now(wb_frames *frames, size_t rest, size_t wanted) {
  WB_DCHECK(rest <= frames->turn_bytes / 4 && frames->head - rest >= frames->pushed_end);
  uint64_t written = frames->head & frames->mask, lap = frames->head - written, least = released_position(frames);
  frames->turn_look = frames->head + frames->turn_bytes / 8;
  if (behind_holes(frames, least) < frames->skip_to) {
    uint64_t to = frames->skip_from + frames->bytes;
    size_t room = frames->bytes - WB_READ_SLACK_BYTES - (frames->head - wb_frames_look_position(frames));
    if (frames->jump_to || room >= wanted || to - frames->skip_to + rest + WB_READ_SLACK_BYTES + room >= frames->bytes)
      return false;
    frames->jump_from = frames->pushed_end;
    frames->jump_to = to;
    move(frames, rest, to);
    wb_frames_look_position(frames);
    return true;
  }
  if (least < frames->skip_to || least < frames->jump_to || written < frames->turn_bytes || written > frames->bytes / 2 ||
      least < lap + written / 4 * 3)
    return false;
  frames->skip_from = frames->pushed_end;
  frames->skip_to = lap + frames->bytes;
  frames->jump_from = frames->jump_to = 0;
  move(frames, rest, frames->skip_to);
  wb_frames_look_position(frames);
  return true;
}

uint64_t wb_frames_held(wb_frames *frames) {
  uint64_t least = behind_holes(frames, released_position(frames)), held = frames->head - least;
  if (least < frames->skip_from) held -= frames->skip_to - frames->skip_from;
  if (least < frames->jump_from) held -= frames->jump_to - frames->jump_from;
  return held;
}
