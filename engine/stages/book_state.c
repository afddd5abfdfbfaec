#include <string.h>

#include "engine/stages/book_private.h"

enum { TOLD_NS = 1000000000 };

void wb_stage_put_rest(wb_book_product *product) {
  product->live = product->recover.state == WB_STATE_LIVE;
  product->replaced = false;
  wb_view_data data = {
      .snapshots = product->snapshots,
      .rejected = product->rejected,
      .resyncs = product->recover.resyncs,
      .state_since_ns = product->recover.since_ns,
      .state = product->recover.state,
      .reason = product->recover.reason,
      .reject = product->recover.reject,
      .price_decimals = product->price_decimals,
      .size_decimals = product->size_decimals,
      .connected = product->recover.connected,
      .lost_trades = product->witness.lost_trades,
      .added_utc_ns = product->added_utc_ns,
      .removed_utc_ns = product->removed_utc_ns,
      .last_alarm = product->witness.last_alarm,
  };
  memcpy(data.alarms, product->witness.alarms, sizeof data.alarms);
  wb_words_store(product->view->word + WB_VIEW_LIVE_WORDS, (const uint64_t *)(const void *)&data + WB_VIEW_LIVE_WORDS,
                 WB_VIEW_WORDS - WB_VIEW_LIVE_WORDS);
}

void wb_stage_publish_with(wb_book_stage *stage, wb_book_product *product, const wb_analytics *analytics) {
  wb_view_begin(product->view);
  wb_word_store(&product->view->word[0], wb_book_level_counts(product->book));
  wb_stage_put_analytics(&product->view->data, analytics);
  wb_stage_put_rest(product);
  wb_view_end(product->view);
  const wb_observer *observer = stage->config.observer;
  if (observer && observer->state) observer->state(observer->self, (uint32_t)(product - stage->product));
}

void wb_stage_tell_as(const wb_book_stage *stage, const wb_message *message, wb_message_kind kind, const wb_delta *delta,
                      uint32_t count, uint64_t trade_id) {
  struct {
    wb_message message;
    wb_delta delta[WB_ORDERS_DELTAS_MAX];
  } as = {.message = *message};
  as.message.kind = (uint8_t)kind;
  as.message.part = WB_PART_FIRST | WB_PART_LAST;
  as.message.delta_count = count;
  if (count) memcpy(as.delta, delta, count * sizeof *delta);
  if (kind == WB_MESSAGE_TRADE) as.message.u.trade.trade_id = trade_id;
  wb_stage_tell(stage, &as.message);
}

void wb_stage_publish(wb_book_stage *stage, wb_book_product *product) {
  const wb_analytics analytics = wb_stage_analytics(&product->view->data);
  wb_stage_publish_with(stage, product, &analytics);
}

void wb_stage_command(wb_book_stage *stage, const wb_command *what) {
  if (!stage->config.commands) return;
  wb_command *slot = wb_ring_claim(stage->config.commands, sizeof *slot);
  if (!slot) {
    wb_stage_add(&stage->commands_dropped, 1); /* asked again at the next tick */
    return;
  }
  *slot = *what;
  slot->connection = stage->connection[what->line];
  wb_ring_commit(stage->config.commands);
}

bool wb_stage_show(wb_book_stage *stage, uint32_t index) {
  wb_arbiter *arbiter = stage->config.arbiter;
  wb_book_product *product = &stage->product[index];
  if (!arbiter || wb_stage_removed(product)) return false;
  wb_arbiter_book *book = wb_arbiter_book_of(arbiter, index);
  if (book->waiting != WB_LINE_NONE && wb_arbiter_place_of(arbiter, index, book->waiting)->recover.state != WB_STATE_LIVE) {
    book->waiting = WB_LINE_NONE;
    wb_book_load_drop(product->book);
  }
  return wb_arbiter_show(arbiter, index, product->snapshots != product->snapshots_gone, &product->recover);
}

uint32_t wb_stage_witness_line(const wb_book_stage *stage, uint32_t index) {
  const wb_arbiter *arbiter = stage->config.arbiter;
  if (stage->config.level3) return wb_level3_line_up(stage->config.level3);
  if (!arbiter) return wb_stage_only_line(&stage->product[index]);
  uint32_t line = 0;
  while (line + 1 < arbiter->line_count && !wb_arbiter_place_of(arbiter, index, line)->recover.connected) line++;
  return line;
}

/* What asks for a book anew: its channel where that may not be in force, else the snapshot that its orders are spliced to. */
static wb_command_kind refetch(wb_book_stage *stage, uint32_t index, const wb_recover *recover) {
  wb_level3 *level3 = stage->config.level3;
  bool mute = recover->reason == WB_REASON_WITHHELD || recover->reason == WB_REASON_HEARTBEAT;
  if (level3 && !mute && (recover->acknowledged || wb_level3_heard(level3, index))) return WB_COMMAND_ASK;
  if (level3) wb_level3_again(level3, index);
  return WB_COMMAND_RESUBSCRIBE;
}

void wb_stage_act(wb_book_stage *stage, uint32_t index, uint64_t now_ns) {
  wb_book_product *product = &stage->product[index];
  wb_arbiter *arbiter = stage->config.arbiter;
  if (!stage->config.commands) return;
  bool acted = false;
  for (uint32_t line = 0; line < (arbiter ? arbiter->line_count : 1); line++) {
    wb_recover *recover = arbiter ? &wb_arbiter_place_of(arbiter, index, line)->recover : &product->recover;
    wb_action action = wb_recover_poll(recover, now_ns);
    if (action == WB_ACTION_NONE) continue;
    if (action == WB_ACTION_RESUBSCRIBE) wb_stage_add(&stage->resyncs, 1);
    wb_stage_command(
        stage, &(wb_command){
                   .kind = (uint8_t)(action == WB_ACTION_RESUBSCRIBE ? refetch(stage, index, recover) : WB_COMMAND_RECONNECT),
                   .line = (uint8_t)(arbiter ? line : wb_stage_witness_line(stage, index)),
                   .product = (uint16_t)index,
                   .close_code = 1000,
                   .reason = recover->reason,
                   .reject = recover->reject,
               });
    acted = true;
  }
  if (!acted) return;
  wb_stage_show(stage, index);
  wb_stage_publish(stage, product);
}

void wb_stage_doubt(wb_book_stage *stage, uint32_t index, uint32_t line, wb_reason reason, wb_reject reject, uint64_t now_ns) {
  if (wb_stage_removed(&stage->product[index])) return;
  if (stage->config.arbiter) wb_arbiter_suspect(stage->config.arbiter, index, line, reason, reject, now_ns);
  else wb_recover_suspect(&stage->product[index].recover, reason, reject, now_ns);
  if (stage->config.level3) wb_level3_doubt(stage->config.level3, index);
  wb_stage_show(stage, index);
}

void wb_stage_suspect(wb_book_stage *stage, uint32_t index, uint32_t line, wb_reason reason, wb_reject reject,
                      uint64_t now_ns) {
  wb_stage_doubt(stage, index, line, reason, reject, now_ns);
  wb_stage_publish(stage, &stage->product[index]);
  wb_stage_act(stage, index, now_ns);
}

bool wb_stage_alarm(wb_book_stage *stage, uint32_t index, uint32_t line, wb_alarm kind, const wb_evidence *finding,
                    uint64_t now_ns) {
  wb_book_product *product = &stage->product[index];
  wb_witness *witness = &product->witness;
  if (stage->config.witness->policy[kind] == WB_WITNESS_OFF) return false;
  bool resync = wb_witness_alarm(witness, stage->config.witness, kind, product->recover.state == WB_STATE_LIVE, now_ns);
  if (resync || now_ns - witness->told_ns >= TOLD_NS) {
    const uint8_t decimals[] = {0, 9, product->price_decimals, product->size_decimals};
    witness->told_ns = now_ns;
    wb_stage_command(stage, &(wb_command){
                                .kind = WB_COMMAND_GAP,
                                .line = (uint8_t)line,
                                .product = (uint16_t)index,
                                .reason = (uint8_t)wb_alarm_reason(kind),
                                .alarm = (uint8_t)kind,
                                .decimals = decimals[finding->unit],
                                .seen = finding->seen,
                                .expected = finding->expected,
                                .recv_ns = now_ns,
                            });
  }
  if (resync)
    wb_stage_suspect(stage, index, kind == WB_ALARM_TIME ? line : WB_LINE_NONE, wb_alarm_reason(kind), WB_REJECT_NONE, now_ns);
  else wb_stage_publish(stage, product);
  return resync;
}

bool wb_stage_stays_crossed(wb_book_stage *stage, uint32_t index, uint64_t now_ns) {
  wb_book_product *product = &stage->product[index];
  if (!product->crossed_since_ns || !stage->config.crossed_ns || now_ns <= product->crossed_since_ns + stage->config.crossed_ns)
    return false;
  product->crossed_since_ns = now_ns;
  const wb_evidence finding = {
      .seen = product->view->data.best_bid, .expected = product->view->data.best_ask, .unit = WB_UNIT_PRICE};
  return wb_stage_alarm(stage, index, wb_stage_witness_line(stage, index), WB_ALARM_CROSSED, &finding, now_ns);
}
