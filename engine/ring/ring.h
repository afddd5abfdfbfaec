/* ring.h - single producer, single consumer ring of contiguous records, DPDK-style on Concurrency Kit's primitives.
 *
 * What:    a byte ring. The producer claims room for one record or a burst, writes it in place and commits; the consumer peeks
 *          at whatever is there, reads in place and releases. The user frames its own records (size known from the record).
 * Shape:   free-running 64-bit positions; each side keeps a private copy of the other's position and looks at the shared one
 * only when that copy does not suffice (rte_ring's rule, cached as in Rigtorp's and FastForward's rings). Memory:  the record
 * area is given by the caller and must be mapped twice in a row (io/memory: wb_mirror), so every range is contiguous. wb_ring
 * itself is three cache-line pairs: W producer, W consumer, constants. Threads: one producer, one consumer. Edges R1 (commit ->
 * peek) and R2 (release -> claim), see docs/threading.md. Full:    claim returns NULL: expected, counted by the caller. */
#ifndef WB_RING_RING_H
#define WB_RING_RING_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/limits.h"

typedef struct wb_ring {
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t head; /* W producer, R consumer [R1] */
  uint64_t tail_seen;                          /* W producer, private */
  uint64_t claimed;                            /* W producer, private: written but not yet committed end */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t tail; /* W consumer, R producer [R2] */
  uint64_t head_seen;                          /* W consumer, private */
  _Alignas(WB_CACHE_PAIR_BYTES) uint8_t *base; /* constant after init */
  uint64_t bytes, mask;
} wb_ring;

/* wb_ring_init makes an empty ring over base[0 .. 2 * bytes), where base[i] and base[bytes + i] are the same memory. bytes:
 * power of two >= 4096. Returns 0 or WB_E_INVALID. */
int wb_ring_init(wb_ring *ring, void *base, size_t bytes);

/* wb_ring_claim reserves `bytes` contiguous bytes after what was claimed before and returns where to write them; NULL if the
 * consumer is too far behind. bytes: 1..ring bytes. Producer only. Several claims may be open; wb_ring_commit publishes all of
 * them. O(1), no syscall. Keep records a multiple of 8 bytes. */
void *wb_ring_claim(wb_ring *ring, size_t bytes);

/* wb_ring_trim gives back the last `bytes` of what was claimed and not committed. Producer only. */
void wb_ring_trim(wb_ring *ring, size_t bytes);

/* wb_ring_commit makes everything claimed visible to the consumer, by one release store [R1]. Producer only. */
void wb_ring_commit(wb_ring *ring);

/* wb_ring_peek returns the oldest unread byte and in *bytes how many contiguous bytes are readable; NULL and 0 if none.
 * Consumer only. Valid until wb_ring_release. */
const void *wb_ring_peek(wb_ring *ring, size_t *bytes);

/* wb_ring_release gives `bytes` bytes back to the producer, by one release store [R2]. Consumer only. */
void wb_ring_release(wb_ring *ring, size_t bytes);

#endif
