/* arbiter.h - redundant lines of one feed: which of their messages the books take.
 *
 * What:    every line brings the same messages, sooner or later. The first copy of an update is applied; the others are known by a hash of all their
 *          bytes and dropped, before they are parsed where that can be told. What is not identical, because another server of the exchange cuts
 *          its messages elsewhere, is told apart by time. Each line has a state of its own for each product; a product is live while one line is.
 * Shape:   a product's book has made a number of steps, one a message applied, and stands at a time. Of each line it is known which step its last
 *          message is (it is in step with the book when that is the newest), or that it is not ahead of the book (it is placed), or neither.
 * Rule:    of an update that no line has shown before, with time t, and a book at time T:
 *            the line is in step and placed        apply: it begins where the book stands
 *            t < T                                 late: all of it is in the book. The line is placed
 *            t > T, the line placed or in step     apply: it begins where the book stands or before, ends behind it, and sizes are totals
 *            otherwise                             owed: nobody can tell whether it ends before the book or begins behind it. Dropped; the line is not
 *                                                  placed until the book is known to have reached it
 *          A product whose lines are all out of place is resynchronised, and so is a line that goes on being out of place. A snapshot of a line for a
 *          book that another can go on from waits for that line's next update: if that is newer than the book, both replace it; else the snapshot was
 *          not needed. The proof, and what was weighed: docs/adr/0010-redundant-lines.md.
 * Memory:  given at init: some 40 KiB a line, 100 bytes a line and product, and 640 KiB for the last WB_ARBITER_MESSAGES updates. A copy that comes after more
 *          of them than that is told by its time.
 * Threads: one, the owner of the books; the counters and histograms of lines are read by any. */
#ifndef WB_FEED_ARBITER_H
#define WB_FEED_ARBITER_H

#include <string.h>

#include "engine/base/hist.h"
#include "engine/base/limits.h"
#include "engine/event.h"
#include "engine/feed/recover.h"

/* 16,384 updates are 0.16 s at 100,000 a second and 16 s at the pace of a lively product; their table fits the second cache. Larger frames than
 * WB_ARBITER_BYTES_MAX are not hashed: 1,600 changes in one update were never seen, and a snapshot is not known by its bytes. */
enum { WB_ARBITER_MESSAGES = 1 << 14, WB_ARBITER_BYTES_MAX = 64 << 10 };

/* A line out of place, or one that is late while no other is live, for longer than this asks for a snapshot. */
#define WB_ARBITER_PATIENCE_NS UINT64_C(1000000000)

typedef enum {
  WB_VERDICT_APPLY = 0,
  WB_VERDICT_REPLACE,   /* the line's snapshot, staged since it came, replaces the book; then this update is applied */
  WB_VERDICT_DUPLICATE, /* another line's copy was applied */
  WB_VERDICT_LATE,
  WB_VERDICT_OWED,
  WB_VERDICT_NOT_LIVE /* the line has no snapshot that holds */
} wb_verdict;

/* What a snapshot is for a book: to be loaded at once, to be kept staged until its line's next update, or to be dropped. */
typedef enum { WB_LOAD_NOW = 0, WB_LOAD_LATER, WB_LOAD_NEVER } wb_load;

/* Of one line. W book, R any. */
typedef struct wb_arbiter_line {
  uint64_t wins;       /* updates of this line that were applied and of which another line brought a copy */
  uint64_t duplicates; /* copies, dropped */
  uint64_t late;       /* updates that were dropped without being copies: older than the book, or of no certain place */
  wb_hist lag;         /* of the copies: how long after the one that was applied they were received, ns */
} wb_arbiter_line;

/* What one line has of one product. */
typedef struct wb_arbiter_place {
  uint64_t step;    /* of the book that its last message is; 0: none that is known */
  uint64_t chain;   /* of the messages of time_ns that it is owed; else 0 */
  int64_t time_ns;  /* while not placed: a time that its last message does not exceed; INT64_MAX: unknown */
  uint64_t owed_ns; /* since when its updates have been dropped for want of a place; 0: they are not */
  bool placed;      /* its last message is known not to be ahead of the book */
  wb_recover recover;
} wb_arbiter_place;

/* Of one product; line_count places follow it. */
typedef struct wb_arbiter_book {
  uint64_t step, first_step;    /* newest, and that of the snapshot with which the book began anew */
  int64_t time_ns, time_max_ns; /* where the book stands: between these; the same after an update with a time */
  uint64_t chain;               /* of the messages of time_ns that were applied */
  int64_t joint_ns;             /* of the first update after a snapshot; INT64_MAX: it is still to come */
  uint8_t waiting;              /* line whose snapshot is staged; WB_LINE_NONE */
} wb_arbiter_book;

typedef struct wb_arbiter_entry {
  uint64_t hash, recv_ns;
  uint32_t step, previous; /* previous: position of the one before it in its slot */
  uint16_t product, shown; /* shown: a bit for each line that brought it */
  uint8_t line, won;
} wb_arbiter_entry;
_Static_assert(sizeof(wb_arbiter_entry) == 32 && WB_LINE_COUNT_MAX <= 16, "two entries a cache line, a bit a line");

enum { WB_LINE_NONE = UINT8_MAX };

typedef struct wb_arbiter {
  wb_arbiter_line *line;
  uint8_t *books; /* book_bytes each */
  wb_arbiter_entry *entry;
  uint32_t *slot;
  uint32_t line_count, product_count, book_bytes;
  uint32_t position; /* of the newest entry; counts from 1 and wraps */
} wb_arbiter;

/* wb_arbiter_init makes an arbiter of 2..WB_LINE_COUNT_MAX lines in memory (wb_arbiter_bytes of it, aligned to a cache line), which outlives it. */
size_t wb_arbiter_bytes(uint32_t line_count, uint32_t product_count);
void wb_arbiter_init(wb_arbiter *arbiter, void *memory, uint32_t line_count, uint32_t product_count,
                     const wb_recover_config *recover, uint64_t now_ns);

static inline wb_arbiter_book *wb_arbiter_book_of(const wb_arbiter *arbiter, uint32_t product) {
  return (void *)(arbiter->books + (size_t)product * arbiter->book_bytes);
}

static inline wb_arbiter_place *wb_arbiter_place_of(const wb_arbiter *arbiter, uint32_t product, uint32_t line) {
  return (wb_arbiter_place *)(void *)(wb_arbiter_book_of(arbiter, product) + 1) + line;
}

/* wb_arbiter_hash names a frame: all of its bytes go into it, two words a multiplication (the mixing of Wang Yi's wyhash, public domain). Never 0. The
 * key is fixed, as a replay must come to the same result: a peer could make two frames with one hash, which gains it nothing that it could not have
 * by sending other frames. 10 ns for 130 bytes. */
uint64_t wb_arbiter_hash(const uint8_t *bytes, size_t count);

/* wb_arbiter_copy says whether an update of the line, known by its hash alone, is a copy of what was applied; then it is counted and nothing more is to
 * be done about it. False where only the message itself can tell: the line is not placed, or this is news. A few ns, one miss of the second cache. */
bool wb_arbiter_copy(wb_arbiter *arbiter, uint32_t line, uint64_t hash, uint64_t recv_ns);

/* wb_arbiter_update says what becomes of an update, and counts it if it is dropped. hash 0: it has none. After APPLY or REPLACE the caller changes
 * the book and says so by wb_arbiter_applied; if it cannot, it says so by wb_arbiter_suspect. OWED and LATE may have changed the state of lines. */
wb_verdict wb_arbiter_update(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t hash, int64_t time_ns,
                             uint64_t recv_ns);
void wb_arbiter_applied(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t hash, int64_t time_ns, uint64_t recv_ns);

/* wb_arbiter_load says what becomes of a whole snapshot of the line; same: its content is the book's. After it, and after the load if that is to be
 * NOW and worked, wb_arbiter_loaded makes the line live. A load that is LATER takes the place of another that waits. */
wb_load wb_arbiter_load(const wb_arbiter *arbiter, uint32_t product, uint32_t line, bool same);
void wb_arbiter_loaded(wb_arbiter *arbiter, uint32_t product, uint32_t line, wb_load load, bool same, uint64_t recv_ns);

/* What happens to a line, or in wb_arbiter_suspect with WB_LINE_NONE to the book itself, which is then wrong for every line. */
void wb_arbiter_connected(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t now_ns);
void wb_arbiter_disconnected(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t now_ns);
void wb_arbiter_suspect(wb_arbiter *arbiter, uint32_t product, uint32_t line, wb_reason reason, wb_reject reject,
                        uint64_t now_ns);

/* wb_arbiter_forget: the product is gone; if it comes back it begins anew, on lines that are connected then. */
void wb_arbiter_forget(wb_arbiter *arbiter, uint32_t product, uint64_t now_ns);

/* wb_arbiter_in_step: the line's last message made the book what it is. wb_arbiter_restart has lines counted anew. */
bool wb_arbiter_in_step(const wb_arbiter *arbiter, uint32_t product, uint32_t line);
void wb_arbiter_restart(wb_arbiter *arbiter);

/* wb_arbiter_show makes *shown the state of the product: that of its best line. held: it has had a snapshot. Returns whether anything changed. */
bool wb_arbiter_show(const wb_arbiter *arbiter, uint32_t product, bool held, wb_recover *shown);

#endif
