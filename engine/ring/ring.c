#include "engine/ring/ring.h"

int wb_ring_init(wb_ring *ring, void *base, size_t bytes) {
  if (!ring || !base || bytes < 4096 || (bytes & (bytes - 1)) != 0) return WB_E_INVALID;
  size_t close_bytes = bytes / 8 < WB_RING_CLOSE_BYTES ? bytes / 8 : WB_RING_CLOSE_BYTES;
  *ring = (wb_ring){.base = base, .bytes = bytes, .mask = bytes - 1, .close_bytes = close_bytes};
  return 0;
}
