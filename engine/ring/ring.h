/* ring.h - single producer, single consumer ring of contiguous records, DPDK-style on Concurrency Kit's primitives.
 *
 * What:    a byte ring. The producer claims room for one record or a burst, writes it in place and commits; the consumer peeks
 *          at whatever is there, reads in place and releases. The user frames its own records (size known from the record).
 * Shape:   free-running 64-bit positions; each side keeps a private copy of the other's position and looks at the shared one
 *          only when that copy does not suffice (rte_ring's rule, cached as in Rigtorp's and FastForward's rings).
 * Memory:  the record area is given by the caller and must be mapped twice in a row (io/memory: wb_mirror), so every range is
 *          contiguous. wb_ring itself is four cache-line pairs: what the producer tells, what it keeps to itself (written with
 *          every claim, so not on the line the consumer polls), W consumer, constants.
 * Threads: one producer, one consumer. Edges R1 (commit -> peek) and R2 (release -> claim), see docs/threading.md.
 * Full:    claim returns NULL: expected, counted by the caller. */
#ifndef WB_RING_RING_H
#define WB_RING_RING_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/ring/atomic.h"

typedef struct wb_ring {
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t head;    /* W producer, R consumer [R1] */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t claimed; /* W producer, private: written but not yet committed end */
  uint64_t tail_seen;                             /* W producer, private */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t tail;    /* W consumer, R producer [R2] */
  uint64_t head_seen;                             /* W consumer, private */
  _Alignas(WB_CACHE_PAIR_BYTES) uint8_t *base;    /* constant after init */
  uint64_t bytes, mask;
} wb_ring;

/* wb_ring_init makes an empty ring over base[0 .. 2 * bytes), where base[i] and base[bytes + i] are the same memory. bytes:
 * power of two >= 4096. Returns 0 or WB_E_INVALID. */
int wb_ring_init(wb_ring *ring, void *base, size_t bytes);

/* wb_ring_claim reserves `bytes` contiguous bytes after what was claimed before and returns where to write them; NULL if the
 * consumer is too far behind. bytes: 1..ring bytes. Producer only. Several claims may be open; wb_ring_commit publishes all of
 * them. O(1), no syscall. Keep records a multiple of 8 bytes. */
static inline void *wb_ring_claim(wb_ring *ring, size_t bytes) {
  WB_DCHECK(bytes >= 1 && bytes <= ring->bytes);
  if (bytes > ring->bytes - (ring->claimed - ring->tail_seen)) {
    /* [R2] acquires wb_ring_release: the consumer's last reads of these bytes come before our writes to them. */
    ring->tail_seen = wb_load_acquire(&ring->tail);
    if (bytes > ring->bytes - (ring->claimed - ring->tail_seen)) return NULL;
  }
  void *room = ring->base + (ring->claimed & ring->mask);
  ring->claimed += bytes;
  return room;
}

/* wb_ring_trim gives back the last `bytes` of what was claimed and not committed. Producer only. */
static inline void wb_ring_trim(wb_ring *ring, size_t bytes) {
  WB_DCHECK(bytes <= ring->claimed - ring->head);
  ring->claimed -= bytes;
}

/* wb_ring_commit makes everything claimed visible to the consumer, by one release store [R1]. Producer only. */
static inline void wb_ring_commit(wb_ring *ring) {
  /* [R1] releases to wb_ring_peek: the records are written before the consumer can see where they end. */
  wb_store_release(&ring->head, ring->claimed);
}

/* wb_ring_peek returns the oldest unread byte and in *bytes how many contiguous bytes are readable; NULL and 0 if none.
 * Consumer only. Valid until wb_ring_release. */
static inline const void *wb_ring_peek(wb_ring *ring, size_t *bytes) {
  if (ring->head_seen == ring->tail) {
    /* [R1] acquires wb_ring_commit: what we read below head was written before it moved. */
    ring->head_seen = wb_load_acquire(&ring->head);
    if (ring->head_seen == ring->tail) return *bytes = 0, NULL;
  }
  *bytes = ring->head_seen - ring->tail;
  return ring->base + (ring->tail & ring->mask);
}

/* wb_ring_expect, after a peek that found nothing, has the CPU fetch the line where the next record will begin, so that it
 * comes together with the word that announces it and not after it. For a consumer that waits for one record at a time: it
 * shortens that hop by about a quarter (bench_ring rtt/...); one that follows close behind a busy producer of small records
 * does better without. Consumer only. */
static inline void wb_ring_expect(const wb_ring *ring) { __builtin_prefetch(ring->base + (ring->tail & ring->mask)); }

/* wb_ring_release gives `bytes` bytes back to the producer, by one release store [R2]. Consumer only. */
static inline void wb_ring_release(wb_ring *ring, size_t bytes) {
  WB_DCHECK(bytes <= ring->head_seen - ring->tail);
  /* [R2] releases to wb_ring_claim: we are done reading before the producer can see that the room is free. */
  wb_store_release(&ring->tail, ring->tail + bytes);
}

#endif
