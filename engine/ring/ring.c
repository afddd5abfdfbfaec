#include "engine/ring/ring.h"

int wb_ring_init(wb_ring *ring, void *base, size_t bytes) {
  if (!ring || !base || bytes < 4096 || (bytes & (bytes - 1)) != 0) return WB_E_INVALID;
  *ring = (wb_ring){.base = base, .bytes = bytes, .mask = bytes - 1};
  return 0;
}
