/* ring.h - single producer, single consumer ring of contiguous records, DPDK-style on Concurrency Kit's primitives.
 *
 * What:    a byte ring. The producer claims room for one record or a burst, writes it in place and commits; the consumer peeks
 *          at whatever is there, reads in place and releases. The user frames its own records (size known from the record).
 * Shape:   free-running 64-bit positions; each side keeps a private copy of the other's position and looks at the shared one
 *          only when that copy does not suffice (rte_ring's rule, cached as in Rigtorp's and FastForward's rings).
 * Pace:    a record alone, and a stream of them, want the opposite of each other; the consumer tells them apart by whether its
 *          looks find something every time. Alone: the consumer looks at once, always, and the producer writes into the free
 *          lines ahead after each commit, so that the next record need not wait for them. In a stream: the consumer rests before
 *          it looks, the longer the stream goes on the longer, up to WB_RING_REST_MAX pauses (1.7 us on Zen 4), or the two would
 *          take each line from the other while it is being written; and it writes once into each line it has read, so that the
 *          producer fetches lines ahead instead of asking one by one for leave to write what both hold. Figures:
 *          docs/adr/0008-rings.md.
 * Memory:  the record area is given by the caller and must be mapped twice in a row (io/memory: wb_mirror), so every range is
 *          contiguous. What is free or released holds anything. wb_ring itself is six cache-line pairs: what the producer tells
 *          and what it keeps to itself, what the consumer tells (two) and what it keeps to itself, constants.
 * Threads: one producer, one consumer. Edges R1 (commit -> peek) and R2 (release -> claim), see docs/threading.md.
 * Full:    claim returns NULL: expected, counted by the caller. */
#ifndef WB_RING_RING_H
#define WB_RING_RING_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/ring/atomic.h"

enum {
  WB_RING_OWN_BYTES = 256,       /* as far ahead the producer takes lines */
  WB_RING_REST_MAX = 64,         /* pauses before a look, at most */
  WB_RING_REST_STEP = 8,         /* looks in a row that found something: a stream; one pause more for each as many */
  WB_RING_CLOSE_BYTES = 1 << 16, /* no rest behind a look that found as much, or an eighth of the ring */
  WB_RING_TAKE_BYTES = 1024      /* as much in one release is a stream, too */
};

typedef struct wb_ring {
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t head;      /* W producer, R consumer [R1] */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t claimed;   /* W producer, private: written but not yet committed end */
  uint64_t tail_seen;                               /* W producer, private */
  uint64_t owned;                                   /* W producer, private: lines up to here were taken after a commit */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t tail;      /* W consumer, R producer [R2] */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t streaming; /* W consumer, R producer: a hint that orders nothing */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t head_seen; /* W consumer, private */
  uint32_t streak, rest; /* W consumer, private: looks in a row that found something; pauses before the next one */
  _Alignas(WB_CACHE_PAIR_BYTES) uint8_t *base; /* constant after init */
  uint64_t bytes, mask;
  uint64_t close_bytes; /* less than this is close behind */
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

/* wb_ring_commit makes everything claimed visible to the consumer, by one release store [R1], and then, unless the consumer
 * has more than enough to read, writes into the free lines that come next. Producer only. */
static inline void wb_ring_commit(wb_ring *ring) {
  /* [R1] releases to wb_ring_peek: the records are written before the consumer can see where they end. */
  wb_store_release(&ring->head, ring->claimed);
  if (wb_load_relaxed(&ring->streaming)) return;
  if (ring->owned - ring->claimed > WB_RING_OWN_BYTES) ring->owned = ring->claimed;
  if (ring->claimed + WB_RING_OWN_BYTES + WB_CACHE_LINE_BYTES - ring->tail_seen > ring->bytes) return;
  for (; ring->owned - ring->claimed < WB_RING_OWN_BYTES; ring->owned += WB_CACHE_LINE_BYTES)
    ring->base[ring->owned & ring->mask] = 0;
}

/* wb_ring_peek returns the oldest unread byte and in *bytes how many contiguous bytes are readable; NULL and 0 if none.
 * Consumer only. Valid until wb_ring_release. In a stream it may rest before it looks, see above. */
static inline const void *wb_ring_peek(wb_ring *ring, size_t *bytes) {
  if (ring->head_seen == ring->tail) {
    for (uint32_t rest = ring->rest; rest > 0; rest--) wb_pause();
    /* [R1] acquires wb_ring_commit: what we read below head was written before it moved. */
    ring->head_seen = wb_load_acquire(&ring->head);
    if (ring->head_seen == ring->tail) {
      if (ring->streak >= WB_RING_REST_STEP) wb_store_relaxed(&ring->streaming, 0);
      ring->streak = ring->rest = 0;
      return *bytes = 0, NULL;
    }
    if (ring->streak < WB_RING_REST_MAX * WB_RING_REST_STEP && ++ring->streak == WB_RING_REST_STEP)
      wb_store_relaxed(&ring->streaming, 1);
    ring->rest = ring->head_seen - ring->tail < ring->close_bytes ? ring->streak / WB_RING_REST_STEP : 0;
  }
  *bytes = ring->head_seen - ring->tail;
  return ring->base + (ring->tail & ring->mask);
}

/* wb_ring_release gives `bytes` bytes back to the producer, by one release store [R2]. What they held is lost. Consumer only. */
static inline void wb_ring_release(wb_ring *ring, size_t bytes) {
  WB_DCHECK(bytes <= ring->head_seen - ring->tail);
  if (ring->streak > 1 || bytes >= WB_RING_TAKE_BYTES) {
    uint8_t *read = ring->base + (ring->tail & ring->mask);
    for (size_t at = 0; at < bytes; at += WB_CACHE_LINE_BYTES) read[at] = 0;
  }
  /* [R2] releases to wb_ring_claim: we are done reading before the producer can see that the room is free. */
  wb_store_release(&ring->tail, ring->tail + bytes);
}

#endif
