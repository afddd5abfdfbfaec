/* frames.h - the frame ring of one line: a payload journal and the descriptors of the records in it. One writer (ingest), up to
 * WB_FRAMES_READERS_MAX gating readers (parser, flusher) of the one copy.
 *
 * What:    received bytes are written by the kernel, or by the TLS record decoder, straight at the head of the journal. The
 *          writer then describes each whole record by a wb_frame and publishes the descriptors in bursts. Readers read records
 *          in place, each at its own pace, and release them in order; memory is used again when the slowest has released it.
 * Memory:  the journal is mapped twice in a row (io/memory: wb_mirror), so every record up to the journal's size is contiguous,
 *          and WB_READ_SLACK_BYTES past any record are readable. Descriptors lie in an ordinary array.
 * Order:   positions only grow; position p lies at base[p & mask].
 * Turn:    a journal that its readers keep up with need not be cycled through as a whole: the writer goes back to the beginning of
 *          the mapping, by skipping positions up to the next multiple of its size, as soon as three quarters of what lies there in
 *          front of its head have been released. What is written and read then stays in the cache. When it comes to what the readers still hold
 *          there, it jumps over that, so all of the journal can be used as ever.
 * Threads: one writer, one thread a reader. Edges F1 (publish -> peek) and F2 (release -> room), see docs/threading.md.
 * Full:    room returns what is free, 0 included. The writer decides what to do. */
#ifndef WB_RING_FRAMES_H
#define WB_RING_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/event.h"
#include "engine/ring/atomic.h"

enum { WB_FRAMES_READERS_MAX = 4 };

/* For readers that keep up: half a second-level cache, so that what is received does not drive the books out of it. */
enum { WB_FRAMES_TURN_BYTES = 128 << 10 };

typedef struct wb_frames_reader {
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t released; /* W reader, R writer [F2]: descriptors given back */
  uint64_t released_position; /* W reader, R writer [F2]: journal bytes below this are given back; stored before `released` */
  uint64_t published_seen;    /* W reader, private */
} wb_frames_reader;

typedef struct wb_frames {
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t published; /* W writer, R readers [F1]: descriptors readable */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t pushed;    /* W writer, private: descriptors written */
  uint64_t head;                                    /* W writer, private: journal position where the next received byte goes */
  uint64_t pushed_end;                              /* W writer, private: end of the last pushed record */
  uint64_t released_seen, released_position_seen;   /* W writer, private: least of the readers when last looked */
  /* W writer, private: positions in which nothing lies, skipped by the last turn and jumped over since; 0: none */
  uint64_t skip_from, skip_to, jump_from, jump_to;
  uint64_t turn_look; /* W writer, private: below this head a turn is not looked for */
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t
      partial_end;           /* W writer, R readers [F3]: end of what has come of a record that is not whole */
  uint64_t partial_position; /* W writer, R readers [F3]: its first byte; stored before partial_end */
  _Alignas(WB_CACHE_PAIR_BYTES) uint8_t *base; /* constant after init */
  uint64_t bytes, mask;
  wb_frame *frame;
  uint64_t frame_count, frame_mask;
  uint32_t reader_count;
  size_t turn_bytes; /* set by the owner after init: so far from the beginning of the mapping a turn is due; 0: never */
  wb_frames_reader reader[WB_FRAMES_READERS_MAX];
} wb_frames;

/* wb_frames_init: base[0 .. 2 * bytes) is the journal mapped twice (bytes: power of two >= 64 KiB), frame[0 .. frame_count) the
 * descriptors (power of two >= 64), reader_count 1..WB_FRAMES_READERS_MAX. Returns 0 or WB_E_INVALID. */
int wb_frames_init(wb_frames *frames, void *base, size_t bytes, wb_frame *frame, size_t frame_count, unsigned reader_count);

/* wb_frames_look and wb_frames_look_position read every reader's line and return the least `released` or `released_position`
 * among them. Writer only; slots and room call them when what they know does not suffice. */
uint64_t wb_frames_look(wb_frames *frames);
uint64_t wb_frames_look_position(wb_frames *frames);

/* ---- writer */

/* wb_frames_head returns where the next received byte goes. */
static inline uint8_t *wb_frames_head(const wb_frames *frames) { return frames->base + (frames->head & frames->mask); }

/* wb_frames_at returns the byte at a position not yet released by every reader. Any thread that holds it. */
static inline uint8_t *wb_frames_at(const wb_frames *frames, uint64_t position) {
  return frames->base + (position & frames->mask);
}

/* wb_frames_room returns how many bytes may be written at the head (0..journal bytes - WB_READ_SLACK_BYTES). It looks at the
 * readers' lines only when what it knew is less than `wanted`. */
static inline size_t wb_frames_room(wb_frames *frames, size_t wanted) {
  uint64_t limit = frames->bytes - WB_READ_SLACK_BYTES;
  size_t room = limit - (frames->head - frames->released_position_seen);
  return room >= wanted ? room : limit - (frames->head - wb_frames_look_position(frames));
}

/* wb_frames_advance says that `bytes` bytes were written at the head (at most what wb_frames_room said). They belong to nobody
 * until a pushed descriptor covers them. */
static inline void wb_frames_advance(wb_frames *frames, size_t bytes) {
  WB_DCHECK(bytes <= frames->bytes - WB_READ_SLACK_BYTES - (frames->head - frames->released_position_seen));
  frames->head += bytes;
}

/* wb_frames_turn goes back to the beginning of the mapping if that is due: turn_bytes of it were written, and three quarters of what was
 * are released. After a turn, when room is less than `wanted`, it jumps over what the readers still hold of the time before. Returns
 * whether the head has moved; the last `rest` bytes below it, which no descriptor covers (at most a quarter of turn_bytes), have then
 * moved along. Not while anybody else writes at the head or reads those bytes. O(rest); looks at the readers once in an eighth of
 * turn_bytes. */
bool wb_frames_turn_now(wb_frames *frames, size_t rest, size_t wanted);
static inline bool wb_frames_turn(wb_frames *frames, size_t rest, size_t wanted) {
  if (!frames->turn_bytes) return false;
  bool look = (frames->head & frames->mask) >= frames->turn_bytes && frames->head >= frames->turn_look;
  return (look || wb_frames_room(frames, wanted) < wanted) && wb_frames_turn_now(frames, rest, wanted);
}

/* wb_frames_held returns how many bytes lie between the slowest reader and the head. Writer only; looks at the readers. */
uint64_t wb_frames_held(wb_frames *frames);

/* wb_frames_slots returns how many descriptors may be pushed, looking at the readers only when fewer than `wanted` are known.
 */
static inline size_t wb_frames_slots(wb_frames *frames, size_t wanted) {
  size_t slots = frames->frame_count - (frames->pushed - frames->released_seen);
  return slots >= wanted ? slots : frames->frame_count - (frames->pushed - wb_frames_look(frames));
}

/* wb_frames_push writes one descriptor (there must be a slot). Records are pushed in order of position and lie below the head.
 */
static inline void wb_frames_push(wb_frames *frames, const wb_frame *frame) {
  WB_DCHECK(frames->pushed - frames->released_seen < frames->frame_count);
  WB_DCHECK(frame->position + frame->bytes <= frames->head);
  WB_DCHECK(frame->position >= frames->pushed_end);
  frames->pushed_end = frame->position + frame->bytes;
  frames->frame[frames->pushed++ & frames->frame_mask] = *frame;
}

/* wb_frames_publish makes all pushed descriptors visible, by one release store [F1]. */
static inline void wb_frames_publish(wb_frames *frames) {
  /* [F1] releases to wb_frames_peek: bytes and descriptors are written before a reader can count the descriptors. */
  if (frames->published != frames->pushed) wb_store_release(&frames->published, frames->pushed);
}

/* wb_frames_show makes bytes [position, head) visible as the beginning of a record that is not whole yet [F3]. The next
 * record that is described covers them. */
static inline void wb_frames_show(wb_frames *frames, uint64_t position) {
  wb_store_relaxed(&frames->partial_position, position);
  /* [F3] releases to wb_frames_partial: the bytes are written, and the position is the one that goes with this end. */
  wb_store_release(&frames->partial_end, frames->head);
}

/* ---- reader `reader` (0..reader_count-1) */

/* wb_frames_partial returns the beginning of a record that is not whole, as far as it has come, and its position; NULL if none was
 * shown that this reader, having released everything described, has still before it. The bytes stay until it has released the record that
 * describes them. */
static inline const uint8_t *wb_frames_partial(const wb_frames *frames, unsigned reader, uint64_t *position, size_t *bytes) {
  uint64_t end = wb_load_acquire(&frames->partial_end); /* [F3] */
  *position = wb_load_relaxed(&frames->partial_position);
  if (*position >= end || *position < frames->reader[reader].released_position) return NULL; /* none, or that of a later one */
  *bytes = end - *position;
  return wb_frames_at(frames, *position);
}

/* wb_frames_peek returns the oldest unreleased descriptor of this reader, skipping `skip` of them, and in *count how many lie
 * contiguous in memory (at most max); NULL and 0 if none. */
static inline const wb_frame *wb_frames_peek(wb_frames *frames, unsigned reader, size_t skip, size_t max, size_t *count) {
  WB_DCHECK(reader < frames->reader_count);
  wb_frames_reader *mine = &frames->reader[reader];
  size_t known = mine->published_seen - mine->released;
  if (known <= skip) {
    /* [F1] acquires wb_frames_publish: the descriptors and their bytes below `published` are complete. */
    mine->published_seen = wb_load_acquire(&frames->published);
    known = mine->published_seen - mine->released;
    if (known <= skip) return *count = 0, NULL;
  }
  uint64_t index = (mine->released + skip) & frames->frame_mask;
  size_t found = known - skip;
  if (found > frames->frame_count - index) found = frames->frame_count - index;
  if (found > max) found = max;
  *count = found;
  return found ? &frames->frame[index] : NULL;
}

/* wb_frames_release gives back `count` descriptors and the bytes up to the end of the last of them [F2]. */
static inline void wb_frames_release(wb_frames *frames, unsigned reader, size_t count) {
  WB_DCHECK(reader < frames->reader_count);
  wb_frames_reader *mine = &frames->reader[reader];
  WB_DCHECK(count <= mine->published_seen - mine->released);
  if (count == 0) return;
  const wb_frame *last = &frames->frame[(mine->released + count - 1) & frames->frame_mask];
  /* [F2] both release to the writer's look: bytes to wb_frames_room, the descriptor `last` itself to wb_frames_slots. In this
   * order, so that whoever sees the descriptors free sees their bytes free, too. */
  wb_store_release(&mine->released_position, last->position + last->bytes);
  wb_store_release(&mine->released, mine->released + count);
}

#endif
