#include "engine/ring/frames.h"

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

uint64_t wb_frames_look_position(wb_frames *frames) {
  uint64_t least = UINT64_MAX;
  for (unsigned i = 0; i < frames->reader_count; i++) {
    /* [F2] acquires wb_frames_release: the reader has done with the bytes before the head comes round to them. */
    uint64_t position = wb_load_acquire(&frames->reader[i].released_position);
    if (position < least) least = position;
  }
  return frames->released_position_seen = least;
}
