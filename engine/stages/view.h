/* view.h - what readers see of one product: touch, analytics, state and counts, published after every whole message by a
 * sequence lock.
 *
 * Threads: one writer (the book stage), any number of readers that never disturb it. Edge V1, see docs/threading.md.
 * Units: 10^-decimals of the view itself; a reader never needs another source to print it. */
#ifndef WB_STAGES_VIEW_H
#define WB_STAGES_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/limits.h"
#include "engine/feed/witness.h"
#include "engine/ring/atomic.h"

/* Whole words only, so that copying by words is copying by fields. What most messages change comes first and is, with the sequence
 * before it, two cache lines. */
typedef struct wb_view_data {
  uint64_t bid_levels : 32, ask_levels : 32;
  uint64_t updates, changes, unknown, crossed;
  uint64_t recv_ns;
  int64_t time_ns; /* exchange time of the last message, WB_TIME_NONE if it had none */
  uint64_t best_bid, best_bid_size, best_ask, best_ask_size; /* size 0: the side is empty */
  uint64_t mid2_sum_low, mid2_sum_high;                      /* mid average = sum / (2 * held) */
  uint64_t max_spread, mid_held;

  uint64_t snapshots, rejected, resyncs, state_since_ns;
  uint64_t lost_trades;
  int64_t added_utc_ns, removed_utc_ns; /* when it came and went while the node ran; 0: it did not */
  uint32_t alarms[WB_ALARM_SLOTS];      /* by wb_alarm */
  uint8_t state, reason, reject, price_decimals, size_decimals, connected;
  uint8_t last_alarm; /* wb_alarm + 1, 0 none */
  uint8_t reserved;
} wb_view_data;
enum { WB_VIEW_WORDS = sizeof(wb_view_data) / 8, WB_VIEW_LIVE_WORDS = offsetof(wb_view_data, snapshots) / 8 };
_Static_assert(1 + WB_VIEW_LIVE_WORDS == 2 * WB_CACHE_LINE_BYTES / 8, "two lines, with the sequence");

typedef struct wb_view {
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t sequence; /* W book, R any [V1]; odd while the words change */
  union {
    uint64_t word[WB_VIEW_WORDS]; /* W book, R any [V1] */
    wb_view_data data;            /* the same, for the writer to read */
  };
} wb_view;

/* wb_view_begin and wb_view_end: between them the writer changes words, in place, by wb_word_store and wb_words_store; a reader sees all
 * of that or nothing. Writer only, as short as can be: readers try again meanwhile. */
static inline void wb_view_begin(wb_view *view) {
  wb_store_relaxed(&view->sequence, view->sequence + 1);
  wb_fence_release(); /* V1: the odd sequence is seen before any new word */
}
static inline void wb_view_end(wb_view *view) {
  wb_store_release(&view->sequence, view->sequence + 1); /* V1: every word is seen before the even sequence */
}

/* wb_view_read copies a consistent state into *data. Any thread; tries again while a write is under way (tens of ns). */
static inline void wb_view_read(const wb_view *view, wb_view_data *data) {
  uint64_t *word = (uint64_t *)(void *)data;
  for (;;) {
    uint64_t before = wb_load_acquire(&view->sequence); /* V1 */
    if (before & 1) continue;
    wb_words_load(word, view->word, WB_VIEW_WORDS);
    wb_fence_acquire(); /* V1: the words are read before the sequence is looked at again */
    if (wb_load_relaxed(&view->sequence) == before) return;
  }
}

#endif
