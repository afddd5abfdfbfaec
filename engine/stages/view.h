/* view.h - what readers see of one product: touch, analytics, state and counts, published after every whole message by a
 * sequence lock.
 *
 * Threads: one writer (the book stage), any number of readers that never disturb it. Edge V1, see docs/threading.md.
 * Units: 10^-decimals of the view itself; a reader never needs another source to print it. */
#ifndef WB_STAGES_VIEW_H
#define WB_STAGES_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/limits.h"
#include "engine/feed/witness.h"
#include "engine/ring/atomic.h"

/* Whole words only, so that copying by words is copying by fields. */
typedef struct wb_view_data {
  uint64_t best_bid, best_bid_size, best_ask, best_ask_size; /* size 0: the side is empty */
  uint64_t max_spread;
  uint64_t mid2_sum_low, mid2_sum_high, mid_held; /* mid average = sum / (2 * held) */
  uint64_t snapshots, updates, changes, rejected, unknown, crossed, resyncs;
  uint64_t bid_levels, ask_levels;
  uint64_t recv_ns, state_since_ns;
  uint64_t lost_trades;
  int64_t time_ns;                 /* exchange time of the last message, WB_TIME_NONE if it had none */
  uint32_t alarms[WB_ALARM_SLOTS]; /* by wb_alarm */
  uint8_t state, reason, reject, price_decimals, size_decimals, connected;
  uint8_t last_alarm; /* wb_alarm + 1, 0 none */
  uint8_t reserved;
} wb_view_data;
enum { WB_VIEW_WORDS = sizeof(wb_view_data) / 8 };

typedef struct wb_view {
  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t sequence; /* W book, R any [V1]; odd while the words change */
  uint64_t word[WB_VIEW_WORDS];                    /* W book, R any [V1] */
} wb_view;

/* wb_view_publish makes data visible. Writer only, O(1), never waits. */
static inline void wb_view_publish(wb_view *view, const wb_view_data *data) {
  const uint64_t *word = (const uint64_t *)(const void *)data;
  uint64_t sequence = view->sequence;
  wb_store_relaxed(&view->sequence, sequence + 1);
  wb_fence_release(); /* V1: the odd sequence is seen before any new word */
  wb_words_store(view->word, word, WB_VIEW_WORDS);
  wb_store_release(&view->sequence, sequence + 2); /* V1: every word is seen before the even sequence */
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
