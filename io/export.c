#include "io/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "io/export_private.h"

static const char *const sides[] = {[WB_SIDE_BID] = "bid", [WB_SIDE_ASK] = "ask"};

static wb_value side_of(unsigned side) { return wb_value_text(sides[side], 3); }

void wb_export_own(wb_value *cell, const char *product, uint32_t product_bytes, int64_t time_ns,
                   const wb_replay_origin *origin) {
  cell[WB_COLUMN_PRODUCT] = product_bytes ? wb_value_text(product, product_bytes) : (wb_value){0};
  cell[WB_COLUMN_TIME] = wb_value_time(time_ns);
  cell[WB_COLUMN_RECV_TIME] = wb_value_time(origin->utc_ns);
  cell[WB_COLUMN_RECV_NS] = wb_value_ns(origin->utc_ns);
  cell[WB_COLUMN_NUMBER] = wb_value_integer(origin->number);
}

void wb_export_put(wb_export *export, wb_table_id table, const wb_value *cell, const wb_replay_origin *origin) {
  const wb_row_sink *sink = &export->config.sink;
  if (export->error.code) return;
  if (sink->put(sink->self, table, cell, origin, &export->error) == 0) export->rows++;
}

/* ------------------------------------------------------------------------------------------------ rows */

static bool wanted(const wb_export *export, wb_table_id table) { return export->config.tables >> table & 1; }

static void own(const wb_export *export, wb_value *cell, uint32_t product, int64_t time_ns, const wb_replay_origin *origin) {
  const wb_product *of = &export->config.node.products->product[product];
  wb_export_own(cell, of->id, of->id_bytes, time_ns, origin);
}

static void put_delta(wb_export *export, wb_value *cell, const wb_book_product *of, unsigned side, uint64_t price,
                      uint64_t size, const wb_replay_origin *origin) {
  cell[WB_COLUMN_OWN + 1] = side_of(side);
  cell[WB_COLUMN_OWN + 2] = wb_value_decimal((__int128)price, of->price_decimals);
  cell[WB_COLUMN_OWN + 3] = wb_value_decimal((__int128)size, of->size_decimals);
  wb_export_put(export, WB_TABLE_DELTAS, cell, origin);
}

static void put_deltas(wb_export *export, const wb_message *message, const wb_replay_origin *origin) {
  const wb_book_product *of = wb_node_product(export->node, message->product);
  wb_value cell[WB_TABLE_COLUMNS_MAX];
  own(export, cell, message->product, message->time_ns, origin);
  cell[WB_COLUMN_OWN] = wb_value_boolean(false);
  for (uint32_t i = 0; i < message->delta_count; i++)
    put_delta(export, cell, of, message->deltas[i].side, message->deltas[i].price, message->deltas[i].size, origin);
}

static void put_snapshot(wb_export *export, const wb_message *message, const wb_replay_origin *origin) {
  const wb_book_product *of = wb_node_product(export->node, message->product);
  wb_value cell[WB_TABLE_COLUMNS_MAX];
  own(export, cell, message->product, message->time_ns, origin);
  cell[WB_COLUMN_OWN] = wb_value_boolean(true);
  for (unsigned side = WB_SIDE_BID; side <= WB_SIDE_ASK; side++) {
    uint32_t count = wb_book_level_count(of->book, (wb_side)side);
    if (count > export->level_count) {
      wb_level *grown = realloc(export->level, count * sizeof *grown);
      if (!grown) {
        wb_error_set(&export->error, WB_E_MEMORY, ENOMEM, "export", "no memory for a snapshot of %u levels", count);
        return;
      }
      export->level = grown;
      export->level_count = count;
    }
    count = wb_book_levels(of->book, (wb_side)side, export->level, count);
    for (uint32_t i = 0; i < count; i++)
      put_delta(export, cell, of, side, export->level[i].price, export->level[i].size, origin);
  }
}

/* The touch as it is now; within: a row if it is another. */
static void put_quote(wb_export *export, const wb_message *message, const wb_replay_origin *origin) {
  const wb_book_product *of = wb_node_product(export->node, message->product);
  wb_export_product *product = &export->product[message->product];
  const wb_view_data *view = &of->view->data;
  const wb_level best[2] = {{view->best_bid, view->best_bid_size}, {view->best_ask, view->best_ask_size}};
  __int128 touch[4], price_unit = wb_pow10(WB_DECIMALS_MAX - of->price_decimals),
                     size_unit = wb_pow10(WB_DECIMALS_MAX - of->size_decimals);
  for (unsigned side = 0; side < 2; side++) {
    touch[2 * side] = best[side].size ? price_unit * best[side].price : 0;
    touch[2 * side + 1] = size_unit * best[side].size;
  }
  if (memcmp(touch, product->touch, sizeof touch) == 0) return;
  memcpy(product->touch, touch, sizeof touch);
  if (!origin->within) return;
  wb_value cell[WB_TABLE_COLUMNS_MAX] = {{0}};
  own(export, cell, message->product, message->time_ns, origin);
  for (unsigned side = 0; side < 2; side++)
    if (best[side].size) {
      cell[WB_COLUMN_OWN + 2 * side] = wb_value_decimal((__int128)best[side].price, of->price_decimals);
      cell[WB_COLUMN_OWN + 2 * side + 1] = wb_value_decimal((__int128)best[side].size, of->size_decimals);
    }
  if (best[WB_SIDE_BID].size && best[WB_SIDE_ASK].size) {
    __int128 bid = (__int128)best[WB_SIDE_BID].price, ask = (__int128)best[WB_SIDE_ASK].price;
    cell[WB_COLUMN_OWN + 4] = wb_value_decimal((bid + ask) * 5, of->price_decimals + 1u);
    cell[WB_COLUMN_OWN + 5] = wb_value_decimal(ask - bid, of->price_decimals);
  }
  wb_export_put(export, WB_TABLE_QUOTES, cell, origin);
}

static void put_bar(wb_export *export, uint32_t product, const wb_bars *bars, const wb_bar *bar, const wb_export_place *last) {
  const wb_tape *tape = &export->product[product].tape;
  wb_value cell[WB_TABLE_COLUMNS_MAX] = {{0}}, *at = cell + WB_COLUMN_OWN;
  const uint64_t prices[] = {bar->open, bar->high, bar->low, bar->close};
  own(export, cell, product, last->time_ns, &last->origin);
  *at++ = wb_value_time(bar->start_ns);
  *at++ = bars->kind == WB_BAR_TIME ? wb_value_decimal((__int128)bars->step, 9) : (wb_value){0};
  for (unsigned i = 0; i < 4; i++) *at++ = wb_value_decimal((__int128)prices[i], tape->price_decimals);
  *at++ = wb_value_decimal((__int128)bar->flow.volume, tape->size_decimals);
  *at++ = wb_value_integer(bar->flow.count);
  wb_export_put(export, WB_TABLE_BARS, cell, &last->origin);
}

static void put_trade(wb_export *export, const wb_message *message, const wb_replay_origin *origin) {
  const wb_book_product *of = wb_node_product(export->node, message->product);
  wb_export_product *product = &export->product[message->product];
  wb_tape *tape = &product->tape;
  const wb_delta *delta = message->deltas;
  uint64_t closed[WB_TAPE_SERIES_MAX], taken = tape->trades.flow.count, restarts = tape->restarts,
                                       id = message->u.trade.trade_id;
  for (uint32_t i = 0; i < tape->config->series_count; i++) closed[i] = tape->series[i].bars.closed;
  wb_tape_take(tape,
               &(wb_trade){.trade_id = id,
                           .price = delta->price,
                           .size = delta->size,
                           .time_ns = message->time_ns,
                           .taker = wb_trade_taker((wb_side)delta->side)},
               id != 0, of->price_decimals, of->size_decimals);
  if (tape->trades.flow.count == taken && tape->restarts == restarts) return; /* it repeats an id */
  wb_export_place here = {message->time_ns, *origin};
  if (wanted(export, WB_TABLE_TRADES)) {
    wb_value cell[WB_TABLE_COLUMNS_MAX];
    own(export, cell, message->product, message->time_ns, origin);
    cell[WB_COLUMN_OWN] = id ? wb_value_integer(id) : (wb_value){0};
    cell[WB_COLUMN_OWN + 1] = side_of(delta->side);
    cell[WB_COLUMN_OWN + 2] = wb_value_decimal((__int128)delta->price, of->price_decimals);
    cell[WB_COLUMN_OWN + 3] = wb_value_decimal((__int128)delta->size, of->size_decimals);
    wb_export_put(export, WB_TABLE_TRADES, cell, origin);
  }
  for (uint32_t i = 0; i < tape->config->series_count && wanted(export, WB_TABLE_BARS); i++) {
    const wb_tape_series *series = &tape->series[i];
    if (tape->restarts != restarts || series->bars.closed == closed[i]) continue;
    const wb_bar *bar = &series->kept[(series->bars.closed - 1) % WB_TAPE_BARS_KEPT];
    put_bar(export, message->product, &series->bars, bar,
            bar->last_trade_id == tape->trades.last.trade_id ? &here : &product->last);
  }
  product->last = here;
}

static void put_open_bars(wb_export *export) {
  const wb_products *products = export->config.node.products;
  for (uint32_t p = 0; p < products->count; p++) {
    const wb_tape *tape = &export->product[p].tape;
    for (uint32_t i = 0; i < tape->config->series_count; i++)
      if (tape->series[i].bars.bar.flow.count)
        put_bar(export, p, &tape->series[i].bars, &tape->series[i].bars.bar, &export->product[p].last);
  }
}

static void on_applied(void *self, const wb_message *message) {
  wb_export *export = self;
  const wb_replay_origin *origin = wb_node_origin(export->node, message->number);
  if (message->kind == WB_MESSAGE_TRADE) {
    if (origin->within && export->config.tables & (1u << WB_TABLE_TRADES | 1u << WB_TABLE_BARS))
      put_trade(export, message, origin);
    return;
  }
  if (origin->within && wanted(export, WB_TABLE_DELTAS)) {
    if (message->kind == WB_MESSAGE_UPDATE) put_deltas(export, message, origin);
    if (message->kind == WB_MESSAGE_SNAPSHOT) put_snapshot(export, message, origin);
  }
  if (wanted(export, WB_TABLE_QUOTES) && message->part & WB_PART_LAST) put_quote(export, message, origin);
}

/* ------------------------------------------------------------------------------------------------ life */

static int open_node(wb_export *export, wb_error *error) {
  wb_node_config *node = &export->config.node;
  export->observer = (wb_observer){.self = export, .applied = on_applied};
  node->layout = WB_LAYOUT_FUSED;
  node->wait = WB_NODE_WAIT_YIELD;
  node->speed = 0;
  node->origins = true;
  node->observer = &export->observer;
  export->node = wb_node_open(node, error);
  if (!export->node) return -1;
  export->product = calloc(node->products->count, sizeof *export->product);
  if (!export->product) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "export", "no memory");
  for (uint32_t i = 0; i < node->products->count; i++)
    wb_tape_init(&export->product[i].tape, &node->tape, node->products->product[i].price_decimals,
                 node->products->product[i].size_decimals);
  return 0;
}

wb_export *wb_export_open(const wb_export_config *config, wb_error *error) {
  wb_export *export = calloc(1, sizeof *export);
  if (!export) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "export", "no memory");
    return NULL;
  }
  export->config = *config;
  bool frames = config->tables == 1u << WB_TABLE_FRAMES;
  if ((frames ? wb_export_frames_open(export, error) : open_node(export, error)) == 0) return export;
  wb_export_close(export);
  return NULL;
}

static int failed(wb_export *export, wb_error *error) {
  if (export->error.code) *error = export->error;
  return export->error.code;
}

int wb_export_step(wb_export *export, wb_error *error) {
  if (export->frames) {
    int result = wb_export_frames_step(export, error);
    export->finished = result != 1;
    return failed(export, error) ? export->error.code : result;
  }
  wb_node_poll(export->node);
  wb_log_drain(export->config.node.log);
  if (failed(export, error)) return export->error.code;
  if (!wb_node_ended(export->node, error)) return 1;
  if (!export->finished) {
    export->finished = true;
    wb_node_finish(export->node, NULL);
    if (wanted(export, WB_TABLE_BARS)) put_open_bars(export);
  }
  return failed(export, error) ? export->error.code : error->code;
}

bool wb_export_ended(const wb_export *export) { return export->finished && !export->error.code; }

wb_export_totals wb_export_totals_get(const wb_export *export) {
  wb_log_totals read = export->frames ? wb_source_replay_totals(export->frames->source) : wb_node_replayed(export->node);
  return (wb_export_totals){
      .rows = export->rows, .records = read.frames, .read_bytes = read.read_bytes, .of_bytes = read.of_bytes};
}

void wb_export_close(wb_export *export) {
  if (!export) return;
  wb_node_close(export->node);
  wb_export_frames_close(export);
  free(export->product);
  free(export->level);
  free(export);
}
