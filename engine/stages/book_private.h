/* book_private.h - one product's state, between book_state.c (what it is, who is told, what is asked for) and book_stage.c (what messages do to
 * it). Private to the two. Threads: the book thread. */
#ifndef WB_STAGES_BOOK_PRIVATE_H
#define WB_STAGES_BOOK_PRIVATE_H

#include "engine/ring/atomic.h"
#include "engine/stages/book_stage.h"

static inline void wb_stage_add(uint64_t *counter, uint64_t n) { wb_store_relaxed(counter, *counter + n); }

/* What updates change is kept in the view itself and written there, between wb_view_begin and wb_view_end. */
static inline wb_analytics wb_stage_analytics(const wb_view_data *view) {
  return (wb_analytics){.best_bid = view->best_bid,
                        .best_bid_size = view->best_bid_size,
                        .best_ask = view->best_ask,
                        .best_ask_size = view->best_ask_size,
                        .mid2_sum = (unsigned __int128)view->mid2_sum_high << 64 | view->mid2_sum_low,
                        .max_spread = view->max_spread,
                        .mid_held = view->mid_held};
}

static inline void wb_stage_put_analytics(wb_view_data *view, const wb_analytics *analytics) {
  wb_word_store(&view->best_bid, analytics->best_bid);
  wb_word_store(&view->best_bid_size, analytics->best_bid_size);
  wb_word_store(&view->best_ask, analytics->best_ask);
  wb_word_store(&view->best_ask_size, analytics->best_ask_size);
  wb_word_store(&view->mid2_sum_low, (uint64_t)analytics->mid2_sum);
  wb_word_store(&view->mid2_sum_high, (uint64_t)(analytics->mid2_sum >> 64));
  wb_word_store(&view->max_spread, analytics->max_spread);
  wb_word_store(&view->mid_held, analytics->mid_held);
}

static inline void wb_stage_tell(const wb_book_stage *stage, const wb_message *message) {
  const wb_observer *observer = stage->config.observer;
  if (__builtin_expect(observer != NULL, 0) && observer->applied) observer->applied(observer->self, message);
}

static inline bool wb_stage_removed(const wb_book_product *product) { return product->recover.state == WB_STATE_REMOVED; }

static inline uint16_t wb_stage_bit(uint32_t line) { return (uint16_t)(1u << line % WB_LINE_COUNT_MAX); }

/* Whether what happens to the line concerns the product. Where nothing was said of its products a line carries all. */
static inline bool wb_stage_carries(const wb_book_stage *stage, uint32_t line, uint32_t index) {
  const wb_book_product *product = &stage->product[index];
  return !wb_stage_removed(product) && (!(stage->dealt & wb_stage_bit(line)) || (product->lines & wb_stage_bit(line)));
}

/* Where lines are not redundant: the one that carries the product. */
static inline uint32_t wb_stage_only_line(const wb_book_product *product) {
  return product->lines ? (uint32_t)__builtin_ctz(product->lines) : 0;
}

/* Its view: what updates do not change of it, between wb_view_begin and wb_view_end, whatever changes the state is followed by this; all of it, with the
 * analytics that it has or with others. The observer is told. */
void wb_stage_put_rest(wb_book_product *product);
void wb_stage_publish(wb_book_stage *stage, wb_book_product *product);
void wb_stage_publish_with(wb_book_stage *stage, wb_book_product *product, const wb_analytics *analytics);

/* Tells the observer what a message of another kind came to. */
void wb_stage_tell_as(const wb_book_stage *stage, const wb_message *message, wb_message_kind kind, const wb_delta *delta,
                      uint32_t count, uint64_t trade_id);

/* Puts a command on its way to ingest; a full ring drops it, counted: it is asked again at the next tick. */
void wb_stage_command(wb_book_stage *stage, const wb_command *what);

/* Redundant lines: brings the product's state up to date, and forgets the snapshot of a line that is not live any more. Returns whether the state changed. */
bool wb_stage_show(wb_book_stage *stage, uint32_t index);

/* The line whose witnesses are listened to, as each line has its own: the first that is up. */
uint32_t wb_stage_witness_line(const wb_book_stage *stage, uint32_t index);

/* Asks for what is due. */
void wb_stage_act(wb_book_stage *stage, uint32_t index, uint64_t now_ns);

/* The product is not to be trusted any more; suspect also publishes that and acts. line: the one that is suspect; WB_LINE_NONE: the book itself is. */
void wb_stage_doubt(wb_book_stage *stage, uint32_t index, uint32_t line, wb_reason reason, wb_reject reject, uint64_t now_ns);
void wb_stage_suspect(wb_book_stage *stage, uint32_t index, uint32_t line, wb_reason reason, wb_reject reject, uint64_t now_ns);

/* A witness speaks. Returns whether the book is suspect now: on the line, if its own time went back, else on all. Alarms that count only, or that the governor holds
 * back, leave the book live. */
bool wb_stage_alarm(wb_book_stage *stage, uint32_t index, uint32_t line, wb_alarm kind, const wb_evidence *finding,
                    uint64_t now_ns);

/* Whether the book has been crossed for too long, which is an alarm. */
bool wb_stage_stays_crossed(wb_book_stage *stage, uint32_t index, uint64_t now_ns);

#endif
