#include "engine/book/order_sync.h"

#include <string.h>

#include "engine/base/decimal.h"

void wb_order_sync_init(wb_order_sync *sync, wb_orders *orders, wb_order_event *queue, uint32_t event_max,
                        uint8_t price_decimals, uint8_t size_decimals) {
  WB_CHECK(event_max > 0);
  memset(sync, 0, sizeof *sync);
  sync->orders = orders;
  sync->queue = queue;
  sync->event_max = event_max;
  sync->price_decimals = price_decimals;
  sync->size_decimals = size_decimals;
}

void wb_order_sync_restart(wb_order_sync *sync) {
  sync->state = WB_ORDER_SYNC_WAITING;
  sync->why = WB_ORDER_SYNC_START;
  sync->queue_count = 0;
}

static wb_order_event *queued(const wb_order_sync *sync, uint32_t index) {
  return &sync->queue[((uint64_t)sync->queue_first + index) % sync->event_max];
}

static void drop_first(wb_order_sync *sync) {
  sync->queue_first = (sync->queue_first + 1) % sync->event_max;
  sync->queue_count--;
}

static wb_order_sync_result ask(wb_order_sync *sync, wb_order_sync_why why) {
  sync->state = WB_ORDER_SYNC_WAITING;
  sync->why = (uint8_t)why;
  return WB_ORDER_SYNC_ASK;
}

static wb_order_sync_why why_of(int code) {
  return code == WB_E_FULL ? WB_ORDER_SYNC_FULL : code == WB_E_STATE ? WB_ORDER_SYNC_CONTRADICTION : WB_ORDER_SYNC_RANGE;
}

static wb_order_sync_result keep(wb_order_sync *sync, const wb_order_event *event) {
  if (sync->queue_count) {
    uint64_t last = queued(sync, sync->queue_count - 1)->sequence;
    if (event->sequence <= last) {
      sync->old++;
      return WB_ORDER_SYNC_NONE;
    }
    if (event->sequence - last > 1) {
      sync->skipped += event->sequence - last - 1;
      sync->queue_count = 0;
    }
  }
  if (sync->queue_count == sync->event_max) {
    drop_first(sync);
    sync->overrun++;
  }
  *queued(sync, sync->queue_count++) = *event;
  return WB_ORDER_SYNC_NONE;
}

static wb_order_sync_result apply(wb_order_sync *sync, const wb_order_event *event, wb_delta *delta, uint32_t *delta_count) {
  if (event->sequence <= sync->sequence) {
    sync->old++;
    return WB_ORDER_SYNC_NONE;
  }
  if (event->sequence - sync->sequence > 1) {
    sync->skipped += event->sequence - sync->sequence - 1;
    keep(sync, event);
    return ask(sync, WB_ORDER_SYNC_GAP);
  }
  int result = wb_orders_apply(sync->orders, event, delta);
  if (result < 0) {
    keep(sync, event);
    return ask(sync, why_of(result));
  }
  sync->sequence = event->sequence;
  *delta_count = (uint32_t)result;
  return result ? WB_ORDER_SYNC_CHANGED : WB_ORDER_SYNC_NONE;
}

/* ---------------------------------------------------------------------------------------------------- snapshot */

static void load_begin(wb_order_sync *sync, const wb_order_event *event) {
  if (sync->state == WB_ORDER_SYNC_LIVE && event->sequence < sync->sequence)
    return; /* what came after it is not at hand any more */
  wb_orders_clear(sync->orders);
  sync->state = WB_ORDER_SYNC_LOADING;
  sync->load_failed = WB_ORDER_SYNC_START;
  sync->sequence = event->sequence;
}

static void load_order(wb_order_sync *sync, const wb_order_event *event) {
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  if (sync->state != WB_ORDER_SYNC_LOADING || sync->load_failed) return;
  int result = wb_orders_apply(sync->orders, event, delta);
  if (result < 0) sync->load_failed = (uint8_t)why_of(result);
}

static wb_order_sync_why load_play(wb_order_sync *sync) {
  wb_delta delta[WB_ORDERS_DELTAS_MAX];
  if (sync->load_failed) return (wb_order_sync_why)sync->load_failed;
  while (sync->queue_count && queued(sync, 0)->sequence <= sync->sequence) {
    drop_first(sync);
    sync->old++;
  }
  if (sync->queue_count && queued(sync, 0)->sequence - sync->sequence > 1) return WB_ORDER_SYNC_OLD;
  for (uint32_t i = 0; i < sync->queue_count; i++) {
    int result = wb_orders_apply(sync->orders, queued(sync, i), delta);
    if (result < 0) return why_of(result);
  }
  sync->sequence += sync->queue_count;
  sync->queue_count = 0;
  return WB_ORDER_SYNC_START;
}

static wb_order_sync_result load_end(wb_order_sync *sync) {
  if (sync->state != WB_ORDER_SYNC_LOADING) return WB_ORDER_SYNC_NONE;
  wb_order_sync_why why = load_play(sync);
  if (why == WB_ORDER_SYNC_START) {
    sync->state = WB_ORDER_SYNC_LIVE;
    sync->loaded++;
    return WB_ORDER_SYNC_LOADED;
  }
  wb_orders_clear(sync->orders);
  sync->useless++;
  return ask(sync, why);
}

/* ---------------------------------------------------------------------------------------------------- units */

/* A quantity in other units; false if it has none there. */
static bool convert(uint64_t *quantity, int finer) {
  uint64_t factor = wb_pow10((unsigned)(finer < 0 ? -finer : finer));
  if (finer < 0 ? *quantity % factor != 0 : *quantity > WB_QUANTITY_MAX / factor) return false;
  *quantity = finer < 0 ? *quantity / factor : *quantity * factor;
  return true;
}

static wb_order_sync_result scale(wb_order_sync *sync, const wb_order_event *event) {
  int price = event->price_decimals - sync->price_decimals, size = event->size_decimals - sync->size_decimals;
  sync->price_decimals = event->price_decimals;
  sync->size_decimals = event->size_decimals;
  for (uint32_t i = 0; i < sync->queue_count; i++) {
    wb_order_event *waiting = queued(sync, i);
    if (convert(&waiting->price, price) && convert(&waiting->old_price, price) && convert(&waiting->size, size) &&
        convert(&waiting->old_size, size))
      continue;
    sync->queue_count = 0;
  }
  if (price >= 0 && size >= 0 && wb_orders_scale(sync->orders, wb_pow10((unsigned)price), wb_pow10((unsigned)size)) == 0)
    return WB_ORDER_SYNC_NONE;
  wb_orders_clear(sync->orders);
  return sync->state == WB_ORDER_SYNC_WAITING ? WB_ORDER_SYNC_NONE : ask(sync, WB_ORDER_SYNC_RANGE);
}

/* ---------------------------------------------------------------------------------------------------- events */

wb_order_sync_result wb_order_sync_take(wb_order_sync *sync, const wb_order_event *event, wb_delta delta[WB_ORDERS_DELTAS_MAX],
                                        uint32_t *delta_count) {
  *delta_count = 0;
  switch (event->kind) {
  case WB_ORDER_SNAPSHOT: load_begin(sync, event); return WB_ORDER_SYNC_NONE;
  case WB_ORDER_RESTING: load_order(sync, event); return WB_ORDER_SYNC_NONE;
  case WB_ORDER_SNAPSHOT_END: return load_end(sync);
  case WB_ORDER_SCALE: return scale(sync, event);
  default:
    if (!(event->has & WB_ORDER_HAS_SEQUENCE)) return WB_ORDER_SYNC_NONE;
    return sync->state == WB_ORDER_SYNC_LIVE ? apply(sync, event, delta, delta_count) : keep(sync, event);
  }
}

int wb_order_sync_move(wb_order_sync *sync, wb_orders *larger) {
  int result = wb_orders_copy(larger, sync->orders);
  if (result == 0) sync->orders = larger;
  return result;
}
