#include "engine/stages/book_stage.h"

#include <string.h>

#include "engine/base/decimal.h"
#include "engine/book/prefetch.h"
#include "engine/ring/atomic.h"
#include "engine/stages/book_private.h"

enum { TICK_NS = 50000000, WATCHES_PER_ROUND = 20, MESSAGES_PER_WORK = 4096 };

/* So long a line says nothing, not even by a heartbeat, before the clock speaks for it. */
static const uint64_t QUIET_NS = UINT64_C(1500000000);

/* So many products stay in the cache by themselves; of a message of more changes not even the beginning is fetched. What is fetched for more messages
 * than these at a time displaces itself. */
enum { CACHED_PRODUCTS = 64, FETCH_DELTAS_MAX = 16, FETCH_MESSAGES = 8 };

/* The products of the table up to count come. */
static void begin_products(wb_book_stage *stage, uint32_t count, uint64_t now_ns) {
  const wb_book_stage_config *config = &stage->config;
  for (; stage->product_count < count; stage->product_count++) {
    uint32_t i = stage->product_count;
    wb_book_product *product = &stage->product[i];
    wb_recover_init(&product->recover, config->recover, now_ns);
    wb_mids_init(&product->mids, config->mid2 + (size_t)i * config->mid_window, config->mid_window);
    product->price_decimals = config->products->product[i].price_decimals;
    product->size_decimals = config->products->product[i].size_decimals;
    product->view->data.time_ns = WB_TIME_NONE;
  }
}

void wb_book_stage_init(wb_book_stage *stage, const wb_book_stage_config *config, wb_book_product *product, wb_level *capture,
                        uint32_t *capture_count, wb_view_data *capture_view) {
  WB_CHECK(!config->codec || config->codec->checksum_levels <= WB_CHECKSUM_LEVELS_MAX);
  memset(stage, 0, sizeof *stage);
  stage->config = *config;
  if (!stage->config.recover) stage->config.recover = &wb_recover_default;
  if (!stage->config.witness) stage->config.witness = &wb_witness_default;
  stage->product = product;
  for (uint32_t i = 0; config->book && i < config->products->capacity; i++) config->book[i] = product[i].book;
  stage->capture = capture;
  stage->capture_count = capture_count;
  stage->capture_view = capture_view;
  wb_hist_init(&stage->wire_to_book);
  wb_hist_init(&stage->exchange_to_book);
  uint64_t now_ns = config->host->now_ns(config->host->self);
  stage->utc_offset_ns = config->host->utc_offset_ns(config->host->self);
  begin_products(stage, config->products->count, now_ns);
}

/* Takes the time of what was applied and published: no reader could have seen it later than that. */
static void record_applied(wb_book_stage *stage) {
  if (!stage->applied_count) return;
  wb_stage_add(&stage->messages_applied, stage->applied_count);
  if (stage->config.timed) {
    uint64_t now_ns = stage->config.host->now_ns(stage->config.host->self), since_ns[2][WB_BOOK_BATCH];
    uint32_t known = 0;
    for (uint32_t i = 0; i < stage->applied_count; i++) {
      since_ns[0][i] = now_ns - stage->applied_recv_ns[i];
      int64_t ns = (int64_t)(now_ns + (uint64_t)stage->utc_offset_ns - (uint64_t)stage->applied_time_ns[i]);
      since_ns[1][known] = ns > 0 ? (uint64_t)ns : 0;
      known += stage->applied_time_ns[i] != WB_TIME_NONE;
    }
    wb_hist_record_all(&stage->wire_to_book, since_ns[0], stage->applied_count);
    wb_hist_record_all(&stage->exchange_to_book, since_ns[1], known);
  }
  stage->applied_count = 0;
}

/* What a part of an update that is not the last adds to the counts of its product. */
static void count_part(wb_book_product *product, uint64_t changes, uint64_t unknown) {
  wb_view_data *view = &product->view->data;
  wb_view_begin(product->view);
  wb_word_store(&view->changes, view->changes + changes);
  wb_word_store(&view->unknown, view->unknown + unknown);
  wb_view_end(product->view);
}

/* The end of a whole message that changed a book. */
static inline void applied(wb_book_stage *stage, wb_book_product *product, const wb_message *message, uint64_t updates,
                           uint64_t changes, uint64_t unknown) {
  wb_view_data *view = &product->view->data;
  wb_level bid, ask;
  wb_book_best(product->book, WB_SIDE_BID, &bid);
  wb_book_best(product->book, WB_SIDE_ASK, &ask);
  wb_analytics analytics = wb_stage_analytics(view);
  bool both = wb_analytics_update(&analytics, &product->mids, bid.price, bid.size, ask.price, ask.size);
  bool crossed = both && bid.price >= ask.price;
  if (!crossed) product->crossed_since_ns = 0;
  else if (!product->crossed_since_ns) product->crossed_since_ns = message->recv_ns;
  if (__builtin_expect(product->witness.tickers, 0)) {
    const wb_touch touch = {.price = {bid.price, ask.price}, .size = {bid.size, ask.size}};
    wb_witness_touch(&product->witness, stage->config.witness, message->recv_ns, &touch);
  }
  wb_view_begin(product->view);
  wb_word_store(&product->view->word[0], wb_book_level_counts(product->book));
  wb_word_store(&view->updates, view->updates + updates);
  wb_word_store(&view->changes, view->changes + changes);
  if (__builtin_expect(unknown | crossed, 0)) {
    wb_word_store(&view->unknown, view->unknown + unknown);
    wb_word_store(&view->crossed, view->crossed + crossed);
  }
  wb_word_store(&view->recv_ns, message->recv_ns);
  if (message->time_ns != WB_TIME_NONE) wb_word_store(&view->time_ns, message->time_ns);
  wb_stage_put_analytics(view, &analytics);
  if (__builtin_expect(product->replaced, 0)) wb_stage_put_rest(product);
  wb_view_end(product->view);
  stage->applied_recv_ns[stage->applied_count] = message->recv_ns;
  stage->applied_time_ns[stage->applied_count] = message->time_ns;
  if (++stage->applied_count == WB_BOOK_BATCH) record_applied(stage);
}

static void reject(wb_book_stage *stage, const wb_message *message, wb_reject reason) {
  wb_stage_add(&stage->rejected[reason], 1);
  uint64_t now_ns = message->recv_ns;
  bool harmless = message->kind == WB_MESSAGE_REJECT && message->u.reject.harmless;
  if (message->kind == WB_MESSAGE_REJECT && message->u.reject.answer)
    harmless = message->product == WB_PRODUCT_NONE || stage->product[message->product].recover.state == WB_STATE_LIVE;
  if (message->product != WB_PRODUCT_NONE) {
    stage->product[message->product].rejected++;
    if (harmless) wb_stage_publish(stage, &stage->product[message->product]);
    else wb_stage_suspect(stage, message->product, message->line, WB_REASON_REJECTED, reason, now_ns);
    return;
  }
  if (harmless || reason == WB_REJECT_UNKNOWN_PRODUCT) return;
  /* Nobody can tell whose change was lost. */
  for (uint32_t i = 0; i < stage->product_count; i++) {
    if (!wb_stage_carries(stage, message->line, i)) continue;
    wb_stage_doubt(stage, i, message->line, WB_REASON_REJECTED, reason, now_ns);
    wb_stage_publish(stage, &stage->product[i]);
  }
  wb_stage_command(stage, &(wb_command){
                              .kind = WB_COMMAND_RECONNECT,
                              .line = message->line,
                              .product = WB_PRODUCT_NONE,
                              .close_code = reason == WB_REJECT_BAD_UTF8 ? 1007
                                            : reason == WB_REJECT_BINARY ? 1003
                                                                         : 1000,
                              .reason = WB_REASON_REJECTED,
                              .reject = (uint8_t)reason,
                          });
}

static void too_many_levels(wb_book_stage *stage, const wb_message *message, uint32_t line) {
  wb_stage_add(&stage->rejected[WB_REJECT_LEVELS_MAX], 1);
  stage->product[message->product].rejected++;
  wb_stage_suspect(stage, message->product, line, WB_REASON_LEVELS, WB_REJECT_LEVELS_MAX, message->recv_ns);
}

/* Whether the update's time, or that by which the book is crossed, made it suspect: then it is not applied. */
static inline bool untimely(wb_book_stage *stage, const wb_message *message) {
  wb_book_product *product = &stage->product[message->product];
  wb_evidence finding;
  bool backwards = wb_witness_update(&product->witness, message->line, message->time_ns, &finding);
  if (__builtin_expect(backwards, 0) &&
      wb_stage_alarm(stage, message->product, message->line, WB_ALARM_TIME, &finding, message->recv_ns))
    return true;
  return __builtin_expect(product->crossed_since_ns != 0, 0) &&
         wb_stage_stays_crossed(stage, message->product, message->recv_ns);
}

/* What only time makes wrong, by the messages' clock: a round of all products takes a second. */
static __attribute__((noinline)) void watch(wb_book_stage *stage, uint32_t line, uint64_t recv_ns, int64_t time_ns) {
  uint64_t ticks = 1 + (recv_ns - stage->watch_due_ns) / TICK_NS;
  if (ticks > WATCHES_PER_ROUND) ticks = WATCHES_PER_ROUND;
  stage->watch_due_ns = recv_ns + TICK_NS;
  wb_evidence finding;
  for (uint64_t n = (stage->product_count * ticks + WATCHES_PER_ROUND - 1) / WATCHES_PER_ROUND; n; n--, stage->watched++) {
    if (stage->watched >= stage->product_count) stage->watched = 0;
    wb_book_product *product = &stage->product[stage->watched];
    if (product->recover.state != WB_STATE_LIVE || wb_stage_stays_crossed(stage, stage->watched, recv_ns)) continue;
    if (time_ns != WB_TIME_NONE && line == wb_stage_witness_line(stage, stage->watched) &&
        wb_witness_late(&product->witness, stage->config.witness, time_ns, &finding))
      wb_stage_alarm(stage, stage->watched, line, WB_ALARM_HEARTBEAT, &finding, recv_ns);
  }
}

static inline void look(wb_book_stage *stage, uint32_t line, uint64_t recv_ns, int64_t time_ns) {
  if (__builtin_expect(recv_ns > stage->watch_due_ns, 0)) watch(stage, line, recv_ns, time_ns);
}

void wb_book_stage_copy(wb_book_stage *stage, const wb_frame *frame) { look(stage, frame->line, frame->recv_ns, WB_TIME_NONE); }

/* Redundant lines: whether the book takes this update. */
static __attribute__((noinline)) bool arbitrate(wb_book_stage *stage, const wb_message *message) {
  wb_arbiter *arbiter = stage->config.arbiter;
  wb_book_product *product = &stage->product[message->product];
  wb_arbiter_book *book = wb_arbiter_book_of(arbiter, message->product);
  bool waited = book->waiting == message->line;
  wb_verdict verdict =
      wb_arbiter_update(arbiter, message->product, message->line, message->hash, message->time_ns, message->recv_ns);
  /* Where a copy is not met before it is parsed, it must make no difference. */
  look(stage, message->line, message->recv_ns, verdict == WB_VERDICT_DUPLICATE ? WB_TIME_NONE : message->time_ns);
  switch (verdict) {
  case WB_VERDICT_APPLY:
    return wb_arbiter_place_of(arbiter, message->product, message->line)->recover.state == WB_STATE_LIVE &&
           !untimely(stage, message);
  case WB_VERDICT_REPLACE:
    if (wb_book_load_end(product->book) == 0) {
      product->snapshots++;
      product->crossed_since_ns = 0;
      product->replaced = true;
      wb_stage_tell_as(stage, message, WB_MESSAGE_SNAPSHOT, NULL, 0, 0);
      return true;
    }
    too_many_levels(stage, message, message->line);
    return false;
  case WB_VERDICT_LATE:
  case WB_VERDICT_OWED:
  case WB_VERDICT_DUPLICATE:
    if (waited) wb_book_load_drop(product->book);
    if (verdict == WB_VERDICT_DUPLICATE) return false;
    if (wb_stage_show(stage, message->product)) wb_stage_publish(stage, product);
    wb_stage_act(stage, message->product, message->recv_ns);
    return false;
  case WB_VERDICT_NOT_LIVE: break;
  }
  if (wb_arbiter_place_of(arbiter, message->product, message->line)->recover.state == WB_STATE_WAITING && !product->skipped++)
    reject(stage, message, WB_REJECT_NO_SNAPSHOT);
  return false;
}

/* What a message says of the whole book, once its changes are in it. Returns whether its checksum is another, and then both in *finding. */
static __attribute__((noinline)) bool contradicted(const wb_book_stage *stage, wb_book_product *product,
                                                   const wb_message *message, wb_evidence *finding) {
  wb_book *book = product->book;
  const wb_codec *codec = stage->config.codec;
  wb_level level[2][WB_CHECKSUM_LEVELS_MAX];
  uint32_t count[2];
  product->depth = message->u.book.depth;
  for (unsigned side = 0; side < 2; side++)
    if (message->u.book.depth) wb_book_truncate(book, (wb_side)side, message->u.book.depth);
  if (!message->u.book.checked || !codec || !codec->checksum ||
      stage->config.witness->policy[WB_ALARM_CHECKSUM] == WB_WITNESS_OFF)
    return false;
  for (unsigned side = 0; side < 2; side++)
    count[side] = wb_book_levels(book, (wb_side)side, level[side], codec->checksum_levels);
  uint32_t ours = codec->checksum(level[WB_SIDE_BID], count[WB_SIDE_BID], level[WB_SIDE_ASK], count[WB_SIDE_ASK]);
  *finding = (wb_evidence){.seen = ours, .expected = message->u.book.checksum};
  return ours != message->u.book.checksum;
}

static inline bool says_of_book(const wb_message *message) { return __builtin_expect(message->u.words[0] != 0, 0); }

static void take_update(wb_book_stage *stage, const wb_message *message) {
  wb_book_product *product = &stage->product[message->product];
  if (message->part & WB_PART_FIRST) {
    product->applying = stage->config.arbiter ? arbitrate(stage, message) : product->live && !untimely(stage, message);
    if (!product->applying && !stage->config.arbiter && product->recover.state == WB_STATE_WAITING && !product->skipped++) {
      reject(stage, message, WB_REJECT_NO_SNAPSHOT);
      return;
    }
  }
  if (!product->applying) return;
  uint64_t unknown = 0;
  if (wb_book_apply(product->book, message->deltas, message->delta_count, &unknown) != 0) {
    product->applying = false;
    count_part(product, 0, unknown);
    too_many_levels(stage, message, WB_LINE_NONE);
    return;
  }
  wb_stage_add(&stage->changes, message->delta_count);
  if (__builtin_expect(unknown != 0, 0)) product->unknown_seen = true;
  if (!(message->part & WB_PART_LAST)) {
    count_part(product, message->delta_count, unknown);
    wb_stage_tell(stage, message);
    return;
  }
  wb_evidence finding;
  bool wrong = says_of_book(message) && contradicted(stage, product, message, &finding);
  if (stage->config.arbiter)
    wb_arbiter_applied(stage->config.arbiter, message->product, message->line, message->hash, message->time_ns,
                       message->recv_ns);
  applied(stage, product, message, 1, message->delta_count, unknown);
  wb_stage_tell(stage, message);
  if (__builtin_expect(product->unknown_seen, 0)) {
    product->unknown_seen = false;
    wb_stage_alarm(stage, message->product, message->line, WB_ALARM_UNKNOWN,
                   &(wb_evidence){.seen = product->view->data.unknown}, message->recv_ns);
  }
  if (__builtin_expect(wrong, 0))
    wb_stage_alarm(stage, message->product, message->line, WB_ALARM_CHECKSUM, &finding, message->recv_ns);
}

/* The end of a snapshot that is well formed. Returns whether it is the book now. */
static bool load(wb_book_stage *stage, const wb_message *message) {
  wb_book_product *product = &stage->product[message->product];
  wb_arbiter *arbiter = stage->config.arbiter;
  bool same = arbiter && stage->load_hash == wb_book_hash(product->book);
  wb_load when = arbiter ? wb_arbiter_load(arbiter, message->product, message->line, same) : WB_LOAD_NOW;
  if (product->load_failed || (when == WB_LOAD_NOW && wb_book_load_end(product->book) != 0)) {
    if (product->load_failed) wb_book_load_drop(product->book);
    too_many_levels(stage, message, message->line);
    return false;
  }
  if (when == WB_LOAD_NEVER) wb_book_load_drop(product->book);
  wb_witness_snapshot(&product->witness, message->line);
  if (arbiter) wb_arbiter_loaded(arbiter, message->product, message->line, when, same, message->recv_ns);
  else wb_recover_snapshot(&product->recover, message->recv_ns);
  wb_stage_show(stage, message->product);
  if (when != WB_LOAD_NOW) wb_stage_publish(stage, product);
  return when == WB_LOAD_NOW;
}

static void take_snapshot(wb_book_stage *stage, const wb_message *message) {
  wb_book_product *product = &stage->product[message->product];
  if (message->part & WB_PART_FIRST) {
    if (product->loading) wb_book_load_drop(product->book);
    wb_book_load_begin(product->book);
    product->loading = true;
    product->load_failed = false;
    stage->load_hash = 0;
    if (stage->config.arbiter) wb_arbiter_book_of(stage->config.arbiter, message->product)->waiting = WB_LINE_NONE;
  }
  if (!product->loading) return;
  if (!product->load_failed && !(message->part & WB_PART_ABORT))
    product->load_failed = wb_book_load_add(product->book, message->deltas, message->delta_count) != 0;
  for (uint32_t i = 0; stage->config.arbiter && i < message->delta_count; i++)
    if (message->deltas[i].size)
      stage->load_hash += wb_level_hash((wb_side)message->deltas[i].side, message->deltas[i].price, message->deltas[i].size);
  if (!(message->part & WB_PART_LAST)) return;
  product->loading = false;
  if (message->part & WB_PART_ABORT) {
    wb_book_load_drop(product->book);
    return;
  }
  if (!load(stage, message)) return;
  product->snapshots++;
  product->crossed_since_ns = 0;
  product->replaced = true;
  wb_evidence finding;
  bool wrong = says_of_book(message) && contradicted(stage, product, message, &finding);
  applied(stage, product, message, 0, 0, 0);
  wb_stage_tell(stage, message);
  if (wrong) wb_stage_alarm(stage, message->product, message->line, WB_ALARM_CHECKSUM, &finding, message->recv_ns);
}

static void take_scale(wb_book_stage *stage, const wb_message *message) {
  wb_book_product *product = &stage->product[message->product];
  wb_analytics analytics = wb_stage_analytics(&product->view->data);
  bool held = !stage->config.level3 || wb_level3_scale(stage->config.level3, message);
  wb_witness_rescaled(&product->witness);
  unsigned price = message->u.scale.price_decimals, size = message->u.scale.size_decimals;
  bool coarser = price < product->price_decimals || size < product->size_decimals, fits = false;
  bool empty = wb_book_level_counts(product->book) == 0;
  if (!coarser) {
    uint64_t price_factor = wb_pow10(price - product->price_decimals), size_factor = wb_pow10(size - product->size_decimals);
    fits = wb_book_scale(product->book, price_factor, size_factor) == 0;
    if (fits) wb_analytics_scale(&analytics, &product->mids, price_factor, size_factor);
  }
  product->price_decimals = (uint8_t)price;
  product->size_decimals = (uint8_t)size;
  if (!fits) {
    wb_book_clear(product->book);
    wb_analytics_restart(&analytics, &product->mids);
    wb_analytics_update(&analytics, &product->mids, 0, 0, 0, 0);
  }
  /* Coarser units come only right before a snapshot. */
  if (coarser && !empty)
    wb_stage_doubt(stage, message->product, WB_LINE_NONE, WB_REASON_RANGE, WB_REJECT_NONE, message->recv_ns);
  wb_stage_publish_with(stage, product, &analytics);
  wb_stage_tell(stage, message);
  if (!coarser && !fits) {
    wb_stage_add(&stage->rejected[WB_REJECT_NUMBER_RANGE], 1);
    product->rejected++;
    wb_stage_suspect(stage, message->product, WB_LINE_NONE, WB_REASON_RANGE, WB_REJECT_NUMBER_RANGE, message->recv_ns);
  } else if (!held) {
    wb_stage_suspect(stage, message->product, WB_LINE_NONE, WB_REASON_RANGE, WB_REJECT_NONE, message->recv_ns);
  }
}

static wb_recover *recover_of(wb_book_stage *stage, uint32_t index, uint32_t line) {
  wb_arbiter *arbiter = stage->config.arbiter;
  return arbiter ? &wb_arbiter_place_of(arbiter, index, line)->recover : &stage->product[index].recover;
}

/* ------------------------------------------------------------------------------------------------ level 3 */

/* Asks for a first snapshot, now that events of the product come. */
static void ask_first(wb_book_stage *stage, uint32_t index) {
  wb_level3 *level3 = stage->config.level3;
  if (level3->recording || !wb_level3_first(level3, index)) return;
  wb_stage_command(stage, &(wb_command){.kind = WB_COMMAND_ASK,
                                        .line = (uint8_t)wb_stage_witness_line(stage, index),
                                        .product = (uint16_t)index,
                                        .reason = WB_REASON_CONNECTED});
}

static void tell_trade(const wb_book_stage *stage, const wb_message *message, const wb_trade *trade) {
  const wb_delta delta = {.price = trade->price, .size = trade->size, .side = !trade->taker};
  wb_stage_tell_as(stage, message, WB_MESSAGE_TRADE, &delta, 1, trade->trade_id);
}

static void tape_trade(wb_book_stage *stage, const wb_message *message, const wb_trade *trade, bool numbered) {
  wb_book_product *product = &stage->product[message->product];
  bool past = message->flags & WB_FLAG_PAST; /* of before the subscription: it says the next id, and counts for nothing */
  if (stage->config.tape && !past)
    wb_tape_take(&stage->config.tape[message->product], trade, numbered, product->price_decimals, product->size_decimals);
  uint32_t line = wb_stage_witness_line(stage, message->product);
  bool mine = stage->config.level3 || message->line == line; /* the lines of level 3 are one by then */
  if (stage->config.observer && !past && (numbered ? trade->trade_id > product->told_trade_id : mine)) {
    if (numbered) product->told_trade_id = trade->trade_id; /* by whichever line has it first */
    tell_trade(stage, message, trade);
  }
  if (!mine) return;
  wb_evidence finding;
  if (numbered && wb_witness_trade(&stage->product[message->product].witness, trade->trade_id, &finding))
    wb_stage_alarm(stage, message->product, line, WB_ALARM_TRADES, &finding, message->recv_ns);
}

static void orders_changed(wb_book_stage *stage, const wb_message *message, const wb_delta *delta, uint32_t count) {
  wb_book_product *product = &stage->product[message->product];
  uint64_t unknown = 0;
  if (wb_book_apply(product->book, delta, count, &unknown) != 0) {
    count_part(product, 0, unknown);
    too_many_levels(stage, message, WB_LINE_NONE);
    return;
  }
  wb_stage_add(&stage->changes, count);
  applied(stage, product, message, 1, count, unknown);
  if (stage->config.observer) wb_stage_tell_as(stage, message, WB_MESSAGE_UPDATE, delta, count, 0);
}

static void orders_loaded(wb_book_stage *stage, const wb_message *message) {
  wb_book_product *product = &stage->product[message->product];
  if (wb_level3_load(stage->config.level3, message->product, product->book) != 0) {
    too_many_levels(stage, message, WB_LINE_NONE);
    return;
  }
  wb_witness_snapshot(&product->witness, message->line);
  wb_recover_snapshot(&product->recover, message->recv_ns);
  product->snapshots++;
  product->crossed_since_ns = 0;
  product->replaced = true;
  applied(stage, product, message, 0, 0, 0);
  wb_stage_tell_as(stage, message, WB_MESSAGE_SNAPSHOT, NULL, 0, 0);
}

static void take_event(wb_book_stage *stage, const wb_message *message, const wb_order_event *event) {
  wb_level3 *level3 = stage->config.level3;
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  uint32_t count;
  wb_trade trade;
  bool numbered, traded = wb_level3_trade(level3, event, &trade, &numbered);
  switch (wb_level3_take(level3, message, event, delta, &count)) {
  case WB_ORDER_SYNC_NONE: break;
  case WB_ORDER_SYNC_CHANGED: orders_changed(stage, message, delta, count); break;
  case WB_ORDER_SYNC_LOADED: orders_loaded(stage, message); break;
  case WB_ORDER_SYNC_ASK:
    wb_stage_suspect(stage, message->product, WB_LINE_NONE, wb_level3_why(level3, message->product), WB_REJECT_NONE,
                     message->recv_ns);
  }
  if (traded) tape_trade(stage, message, &trade, numbered);
}

/* What was held of a product, as far as it is to be taken now. */
static void release_held(wb_book_stage *stage, const wb_message *message, uint32_t index) {
  for (wb_order_event event; wb_level3_release(stage->config.level3, index, message->recv_ns, &event);) {
    wb_message as = *message;
    as.product = (uint16_t)index;
    as.time_ns = event.time_ns;
    take_event(stage, &as, &event);
  }
}

static void take_order(wb_book_stage *stage, const wb_message *message) {
  wb_level3 *level3 = stage->config.level3;
  if (!level3) return;
  release_held(stage, message, message->product);
  if (!wb_level3_hold(level3, message)) take_event(stage, message, wb_message_order(message));
  release_held(stage, message, message->product);
  if (wb_level3_heard(level3, message->product)) ask_first(stage, message->product);
}

/* ------------------------------------------------------------------------------------------------ the rest of the feed */

static void take_subscriptions(wb_book_stage *stage, const wb_message *message) {
  if (message->u.subscription.single) {
    recover_of(stage, message->product, message->line)->acknowledged = !message->u.subscription.gone;
    return;
  }
  if (message->part & WB_PART_FIRST)
    for (uint32_t i = 0; i < stage->product_count; i++) stage->product[i].marked = false;
  if (message->product != WB_PRODUCT_NONE) stage->product[message->product].marked = true;
  if (!(message->part & WB_PART_LAST)) return;
  for (uint32_t i = 0; i < stage->product_count; i++) {
    if (!wb_stage_carries(stage, message->line, i)) continue;
    recover_of(stage, i, message->line)->acknowledged = stage->product[i].marked;
    if (stage->config.level3 && stage->product[i].marked) ask_first(stage, i);
  }
}

static void line_of_product(wb_book_stage *stage, uint32_t index, uint32_t line, bool up, uint64_t now_ns) {
  wb_arbiter *arbiter = stage->config.arbiter;
  wb_book_product *product = &stage->product[index];
  if (product->loading) wb_book_load_drop(product->book);
  product->loading = product->applying = false;
  if (up || arbiter) wb_witness_connected(&product->witness);
  if (arbiter) (up ? wb_arbiter_connected : wb_arbiter_disconnected)(arbiter, index, line, now_ns);
  else (up ? wb_recover_connected : wb_recover_disconnected)(&product->recover, now_ns);
  wb_stage_show(stage, index);
  wb_stage_publish(stage, product);
}

static void take_line(wb_book_stage *stage, const wb_message *message) {
  bool up = message->kind == WB_MESSAGE_CONNECT;
  if (up) stage->connection[message->line % WB_LINE_COUNT_MAX] = message->connection;
  if (up) stage->watch_due_ns = 0; /* in a replay another machine's clock may begin here */
  bool feed = !stage->config.level3 || wb_level3_line(stage->config.level3, message->line, message->connection, up);
  stage->up = (uint16_t)(up ? stage->up | wb_stage_bit(message->line) : stage->up & ~wb_stage_bit(message->line));
  for (uint32_t i = 0; i < stage->product_count; i++) {
    if (!wb_stage_carries(stage, message->line, i)) continue;
    if (!feed) {
      wb_witness_connected(&stage->product[i].witness);
      release_held(stage, message, i);
      continue;
    }
    if (up) stage->product[i].skipped = 0;
    line_of_product(stage, i, message->line, up, message->recv_ns);
  }
}

static void remove_product(wb_book_stage *stage, uint32_t index, const wb_message *message) {
  wb_book_product *product = &stage->product[index];
  wb_analytics analytics = wb_stage_analytics(&product->view->data);
  if (product->loading) wb_book_load_drop(product->book);
  product->loading = product->applying = false;
  wb_book_clear(product->book);
  wb_analytics_restart(&analytics, &product->mids);
  wb_analytics_update(&analytics, &product->mids, 0, 0, 0, 0);
  product->crossed_since_ns = 0;
  product->lines = 0;
  product->snapshots_gone = product->snapshots;
  product->skipped = 1; /* updates that are still on their way are nobody's fault, even if it comes back */
  product->removed_utc_ns = message->u.product.utc_ns;
  if (stage->config.arbiter) wb_arbiter_forget(stage->config.arbiter, index, message->recv_ns);
  wb_recover_removed(&product->recover, message->recv_ns);
  wb_stage_publish_with(stage, product, &analytics);
}

static void add_product(wb_book_stage *stage, uint32_t index, const wb_message *message) {
  begin_products(stage, index + 1, message->recv_ns);
  wb_book_product *product = &stage->product[index];
  if (wb_stage_removed(product)) {
    uint64_t resyncs = product->recover.resyncs;
    wb_recover_init(&product->recover, stage->config.recover, message->recv_ns);
    product->recover.resyncs = resyncs;
    product->added_utc_ns = product->removed_utc_ns = 0;
  }
  if (!product->added_utc_ns) product->added_utc_ns = message->u.product.utc_ns;
}

static void take_product(wb_book_stage *stage, const wb_message *message) {
  uint16_t line = wb_stage_bit(message->line);
  if (message->product == WB_PRODUCT_NONE) {
    stage->dealt |= line;
    for (uint32_t i = 0; i < stage->product_count; i++) stage->product[i].lines &= (uint16_t)~line;
    return;
  }
  if (message->u.product.change == WB_PRODUCT_REMOVED) {
    if (!wb_stage_removed(&stage->product[message->product])) remove_product(stage, message->product, message);
    return;
  }
  if (message->u.product.change == WB_PRODUCT_ADDED) add_product(stage, message->product, message);
  stage->product[message->product].lines |= line;
  if (message->u.product.change == WB_PRODUCT_CARRIED) return;
  if (stage->up & line) line_of_product(stage, message->product, message->line, true, message->recv_ns);
  else wb_stage_publish(stage, &stage->product[message->product]);
}

static void take_window(wb_book_stage *stage) {
  record_applied(stage);
  if (stage->config.arbiter) wb_arbiter_restart(stage->config.arbiter);
  if (stage->config.level3) wb_level3_window(stage->config.level3);
  uint64_t *count[] = {&stage->changes, &stage->messages_applied, &stage->errors, &stage->resyncs, &stage->unknown};
  for (unsigned i = 0; i < sizeof count / sizeof *count; i++) wb_store_relaxed(count[i], 0);
  for (unsigned i = 0; i < WB_REJECT_COUNT; i++) wb_store_relaxed(&stage->rejected[i], 0);
  for (uint32_t i = 0; i < stage->product_count; i++) {
    wb_book_product *product = &stage->product[i];
    wb_view_data *view = &product->view->data;
    product->snapshots_gone = product->snapshots = product->rejected = 0;
    memset(product->witness.alarms, 0, sizeof product->witness.alarms);
    product->witness.lost_trades = product->witness.last_alarm = 0;
    wb_analytics analytics = wb_stage_analytics(view);
    wb_analytics_restart(&analytics, &product->mids);
    if (stage->config.tape)
      wb_tape_init(&stage->config.tape[i], stage->config.tape[i].config, product->price_decimals, product->size_decimals);
    wb_view_begin(product->view);
    wb_word_store(&view->updates, 0);
    wb_word_store(&view->changes, 0);
    wb_word_store(&view->unknown, 0);
    wb_word_store(&view->crossed, 0);
    wb_stage_put_analytics(view, &analytics);
    wb_stage_put_rest(product);
    wb_view_end(product->view);
  }
}

static void take_heartbeat(wb_book_stage *stage, const wb_message *message) {
  if (message->product == WB_PRODUCT_NONE || message->line != wb_stage_witness_line(stage, message->product)) return;
  if (stage->config.tape) wb_tape_until(&stage->config.tape[message->product], message->time_ns);
  const wb_level3 *level3 = stage->config.level3;
  if (level3) release_held(stage, message, message->product);
  const wb_witness_config *config = stage->config.witness;
  wb_book_product *product = &stage->product[message->product];
  wb_evidence finding;
  if (wb_witness_last_trade(&product->witness, config, message->u.heartbeat.last_trade_id, message->time_ns, &finding))
    wb_stage_alarm(stage, message->product, message->line, WB_ALARM_TRADES, &finding, message->recv_ns);
  if (wb_witness_heartbeat(&product->witness, config, message->u.heartbeat.sequence, message->time_ns,
                           level3 ? level3->product[message->product].sync.sequence
                                  : product->snapshots + product->view->data.updates,
                           product->recover.state == WB_STATE_LIVE, &finding))
    wb_stage_alarm(stage, message->product, message->line, WB_ALARM_SILENT, &finding, message->recv_ns);
}

static void take_trade(wb_book_stage *stage, const wb_message *message) {
  const wb_delta *of = message->deltas;
  wb_trade trade = {.trade_id = message->u.trade.trade_id,
                    .price = of->price,
                    .size = of->size,
                    .time_ns = message->time_ns,
                    .taker = wb_trade_taker((wb_side)of->side)};
  tape_trade(stage, message, &trade, true);
}

static void take_ticker(wb_book_stage *stage, const wb_message *message) {
  wb_book_product *product = &stage->product[message->product];
  const wb_view_data *a = &product->view->data;
  const wb_arbiter *arbiter = stage->config.arbiter;
  if (!(message->flags & WB_FLAG_BEST)) return;
  if (product->recover.state != WB_STATE_LIVE || message->line != wb_stage_witness_line(stage, message->product)) return;
  if (arbiter && !wb_arbiter_in_step(arbiter, message->product, message->line)) return; /* it speaks of another moment */
  const wb_touch ours = {.price = {a->best_bid, a->best_ask}, .size = {a->best_bid_size, a->best_ask_size}};
  const wb_touch theirs = {.price = {message->deltas[0].price, message->deltas[1].price},
                           .size = {message->deltas[0].size, message->deltas[1].size}};
  wb_evidence finding;
  if (wb_witness_ticker(&product->witness, stage->config.witness, message->recv_ns, &ours, &theirs,
                        message->flags & WB_FLAG_SIZES, &finding))
    wb_stage_alarm(stage, message->product, message->line, WB_ALARM_TICKER, &finding, message->recv_ns);
}

static void take_resync(wb_book_stage *stage, const wb_message *message) {
  if (stage->config.commands) return; /* it asked for it */
  wb_stage_add(&stage->resyncs, 1);
  wb_recover_asked(recover_of(stage, message->product, message->line), message->recv_ns);
  wb_stage_show(stage, message->product);
  wb_stage_publish(stage, &stage->product[message->product]);
}

static void take_gap(wb_book_stage *stage, const wb_message *message) {
  bool of_line = message->u.gap.expected || message->u.gap.came;
  for (uint32_t i = 0; i < stage->product_count; i++) {
    if (of_line ? !wb_stage_carries(stage, message->line, i) : wb_stage_removed(&stage->product[i])) continue;
    stage->product[i].skipped++; /* an update before its snapshot is then nobody's fault */
    wb_stage_suspect(stage, i, of_line ? message->line : WB_LINE_NONE, WB_REASON_GAP, WB_REJECT_NONE, message->recv_ns);
  }
}

/* About one product but an update, which a book that is not live refuses by itself. */
static void take_more(wb_book_stage *stage, const wb_message *message) {
  if (message->product != WB_PRODUCT_NONE && wb_stage_removed(&stage->product[message->product]))
    return; /* was still on its way */
  switch (message->kind) {
  case WB_MESSAGE_SNAPSHOT: take_snapshot(stage, message); break;
  case WB_MESSAGE_HEARTBEAT: take_heartbeat(stage, message); break;
  case WB_MESSAGE_TICKER: take_ticker(stage, message); break;
  case WB_MESSAGE_TRADE: take_trade(stage, message); break;
  default: take_resync(stage, message); break;
  }
}

void wb_book_stage_take(wb_book_stage *stage, const wb_message *message) {
  if (!stage->config.arbiter || message->kind != WB_MESSAGE_UPDATE)
    look(stage, message->line, message->recv_ns, message->time_ns);
  switch (message->kind) {
  case WB_MESSAGE_UPDATE: take_update(stage, message); break;
  case WB_MESSAGE_ORDER: take_order(stage, message); break;
  case WB_MESSAGE_SNAPSHOT:
  case WB_MESSAGE_HEARTBEAT:
  case WB_MESSAGE_TICKER:
  case WB_MESSAGE_TRADE:
  case WB_MESSAGE_RESYNC: take_more(stage, message); break;
  case WB_MESSAGE_SCALE: take_scale(stage, message); break;
  case WB_MESSAGE_REJECT: reject(stage, message, (wb_reject)message->u.reject.reason); break;
  case WB_MESSAGE_SUBSCRIPTIONS: take_subscriptions(stage, message); break;
  case WB_MESSAGE_CONNECT:
  case WB_MESSAGE_DISCONNECT: take_line(stage, message); break;
  case WB_MESSAGE_GAP: take_gap(stage, message); break;
  case WB_MESSAGE_ERROR: wb_stage_add(&stage->errors, 1); break;
  case WB_MESSAGE_UNKNOWN: wb_stage_add(&stage->unknown, 1); break;
  case WB_MESSAGE_WINDOW: take_window(stage); break;
  case WB_MESSAGE_PRODUCT: take_product(stage, message); break;
  default: break;
  }
}

static void tick(wb_book_stage *stage, uint64_t now_ns) {
  bool quiet = now_ns > stage->watch_due_ns + QUIET_NS;
  for (uint32_t i = 0; i < stage->product_count; i++) {
    bool live = stage->product[i].recover.state == WB_STATE_LIVE;
    if (!live || !quiet || !wb_stage_stays_crossed(stage, i, now_ns)) wb_stage_act(stage, i, now_ns);
  }
}

void wb_book_stage_settle(wb_book_stage *stage) {
  record_applied(stage);
  if (wb_load_relaxed(&stage->capture_asked) != stage->capture_done) {
    uint64_t asked = wb_load_acquire(&stage->capture_asked); /* B2 */
    wb_book_stage_capture_now(stage);
    wb_store_release(&stage->capture_done, asked); /* B2 */
  }
  const wb_observer *observer = stage->config.observer;
  if (observer && observer->settled) observer->settled(observer->self, stage->config.host->now_ns(stage->config.host->self));
  if (!stage->config.commands) return;
  uint64_t now_ns = stage->config.host->now_ns(stage->config.host->self);
  if (now_ns < stage->tick_due_ns) return;
  stage->tick_due_ns = now_ns + TICK_NS;
  stage->utc_offset_ns = stage->config.host->utc_offset_ns(stage->config.host->self);
  tick(stage, now_ns);
}

/* Takes some messages; what they will touch of products that are not in the cache is fetched first. */
static size_t take_fetched(wb_book_stage *stage, const uint8_t *bytes, size_t count, uint32_t *taken) {
  const wb_book *const *const books = stage->config.book;
  const wb_message *batch[FETCH_MESSAGES], *update[FETCH_MESSAGES];
  wb_book_place place[FETCH_MESSAGES * FETCH_DELTAS_MAX], *end = place;
  uint32_t n = 0, updates = 0;
  size_t used = 0;
  while (used < count && n < FETCH_MESSAGES) {
    const wb_message *message = batch[n++] = (const void *)(bytes + used);
    uint32_t deltas = message->delta_count;
    used += wb_message_bytes(deltas);
    if (message->kind != WB_MESSAGE_UPDATE || deltas - 1 >= FETCH_DELTAS_MAX) continue;
    update[updates++] = message;
    __builtin_prefetch(&stage->product[message->product], 1);
    wb_book_prefetch_way(books[message->product], message->deltas);
  }
  for (uint32_t i = 0; i < updates; i++) {
    const wb_message *message = update[i];
    const wb_book *book = books[message->product];
    *end++ = wb_book_prefetch_cell(book, message->deltas);
    for (uint32_t k = 1; __builtin_expect(k < message->delta_count, 0); k++)
      *end++ = wb_book_prefetch_cell(book, &message->deltas[k]);
  }
  for (const wb_book_place *at = place; at < end; at++) wb_book_prefetch_size(*at);
  for (uint32_t i = 0; i < n; i++) wb_book_stage_take(stage, batch[i]);
  *taken += n;
  return used;
}

size_t wb_book_stage_take_batch(wb_book_stage *stage, const void *bytes, size_t count, uint32_t *taken) {
  const wb_message *first = bytes;
  bool many = count > sizeof *first && count > wb_message_bytes(first->delta_count);
  if (many && stage->product_count > CACHED_PRODUCTS && stage->config.book) return take_fetched(stage, bytes, count, taken);
  size_t used = 0;
  for (uint32_t n = 0; used < count && n < FETCH_MESSAGES; n++, (*taken)++) {
    const wb_message *message = (const void *)((const uint8_t *)bytes + used);
    used += wb_message_bytes(message->delta_count);
    wb_book_stage_take(stage, message);
  }
  return used;
}

int wb_book_stage_work(void *self) {
  wb_book_stage *stage = self;
  size_t bytes;
  const uint8_t *at = wb_ring_peek(stage->messages, &bytes);
  uint32_t count = 0;
  size_t used = 0;
  while (used < bytes && count < MESSAGES_PER_WORK) used += wb_book_stage_take_batch(stage, at + used, bytes - used, &count);
  if (used) wb_ring_release(stage->messages, used);
  wb_book_stage_settle(stage);
  return (int)count;
}
