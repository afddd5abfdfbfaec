#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/iso8601.h"
#include "engine/event.h"
#include "engine/feed/recover.h"
#include "io/face_json.h"
#include "io/face_modules.h"
#include "io/face_tape.h"
#include "io/face_text.h"
#include "io/report.h"

#define SECOND INT64_C(1000000000)
enum { DAY_S = 86400, HOUR_LENGTH = 3 };
_Static_assert(sizeof(wb_level) == sizeof(wirebook_shm_level) && offsetof(wb_level, size) == offsetof(wirebook_shm_level, size),
               "levels of shared memory are the engine's");
_Static_assert(sizeof(wb_view_data) == sizeof(wirebook_shm_view), "shared memory shows views as they lie");

/* ------------------------------------------------------------------------------------------------ what is asked for */

static bool own_path(const wb_face_request *request) { return strncmp(request->path, "/api/", 5) == 0; }

/* The product of the path, or -1 and refused. The exchange's forms have no place for a state, so that only a live product is answered there. */
static int product_of(wb_face_client *client, const wb_face_request *request, wirebook_shm_view *view) {
  const wirebook_shm *books = wb_face_books(wb_face_of(client));
  int product = wirebook_shm_find(books, request->word[0]);
  char text[200], reason[128];
  if (product < 0 || !wirebook_shm_view_read(books, (uint32_t)product, view) || view->state == WIREBOOK_SHM_REMOVED) {
    wb_face_refuse(client, 404, "NotFound");
    return -1;
  }
  if (own_path(request) || view->state == WIREBOOK_SHM_LIVE) return product;
  snprintf(text, sizeof text, "%s is %s: %s", request->word[0], wb_state_name((wb_state)view->state),
           wb_face_json_reason(view, reason, sizeof reason));
  wb_face_refuse(client, 503, text);
  return -1;
}

static void put_state(wb_face_text *text, const wirebook_shm_view *view) {
  char reason[128];
  wb_face_text_addf(text, ",\"state\":\"%s\",\"reason\":\"%s\"", wb_state_name((wb_state)view->state),
                    wb_face_json_reason(view, reason, sizeof reason));
}

static void put_time(wb_face_text *text, const char *name, int64_t time_ns) {
  char utc[WB_UTC_TEXT_BYTES];
  if (time_ns == WB_TIME_NONE) {
    wb_face_text_addf(text, "\"%s\":null", name);
    return;
  }
  wb_utc_text(time_ns, utc);
  wb_face_text_addf(text, "\"%s\":\"%s\"", name, utc);
}

static void put_quoted(wb_face_text *text, __int128 value, unsigned decimals) {
  wb_face_text_put(text, "\"", 1);
  wb_face_text_decimal(text, value, decimals);
  wb_face_text_put(text, "\"", 1);
}

/* ------------------------------------------------------------------------------------------------ products */

static void split(const char *id, char base[WB_PRODUCT_ID_BYTES], char quote[WB_PRODUCT_ID_BYTES]) {
  size_t bytes = strcspn(id, "-/");
  snprintf(base, WB_PRODUCT_ID_BYTES, "%.*s", (int)bytes, id);
  snprintf(quote, WB_PRODUCT_ID_BYTES, "%.*s", WB_PRODUCT_ID_BYTES - 1, id[bytes] ? id + bytes + 1 : "");
}

static json_t *listed(const char *id, const wirebook_shm_view *view) {
  char base[WB_PRODUCT_ID_BYTES], quote[WB_PRODUCT_ID_BYTES], display[2 * WB_PRODUCT_ID_BYTES];
  split(id, base, quote);
  snprintf(display, sizeof display, "%s/%s", base, quote);
  bool live = view->state == WIREBOOK_SHM_LIVE;
  return json_pack(
      "{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:b, s:b, s:b, s:b, s:s, s:s, s:b, s:b, s:b}", "id", id, "base_currency", base,
      "quote_currency", quote, "quote_increment", wb_face_json_decimal(1, view->price_decimals), "base_increment",
      wb_face_json_decimal(1, view->size_decimals), "display_name", display, "min_market_funds", "0", "margin_enabled", 0,
      "post_only", 0, "limit_only", 0, "cancel_only", 0, "status", live ? "online" : "offline", "status_message",
      wb_state_name((wb_state)view->state), "trading_disabled", 0, "fx_stablecoin", 0, "auction_mode", 0);
}

static void put_analytics(json_t *product, const wirebook_shm_view *view) {
  wb_view_data data;
  char text[WB_DECIMAL_TEXT_BYTES], reason[128];
  memcpy(&data, view, sizeof data);
  json_object_set_new(product, "state", json_string(wb_state_name((wb_state)view->state)));
  json_object_set_new(product, "reason", json_string(wb_face_json_reason(view, reason, sizeof reason)));
  json_object_set_new(product, "updates", json_integer((json_int_t)view->updates));
  json_object_set_new(product, "changes", json_integer((json_int_t)view->changes));
  json_object_set_new(product, "bid_levels", json_integer((json_int_t)view->bid_levels));
  json_object_set_new(product, "ask_levels", json_integer((json_int_t)view->ask_levels));
  json_object_set_new(product, "time", wb_face_json_time(view->time_ns));
  json_object_set_new(product, "best_bid",
                      view->best_bid_size ? wb_face_json_decimal(view->best_bid, view->price_decimals) : json_null());
  json_object_set_new(product, "best_ask",
                      view->best_ask_size ? wb_face_json_decimal(view->best_ask, view->price_decimals) : json_null());
  wb_report_mid(&data, text);
  json_object_set_new(product, "mid", *text ? json_string(text) : json_null());
  wb_report_mid_average(&data, text);
  json_object_set_new(product, "mid_average", *text ? json_string(text) : json_null());
}

static void products(wb_face_client *client, const wb_face_request *request) {
  const wirebook_shm *books = wb_face_books(wb_face_of(client));
  json_t *list = json_array();
  for (uint32_t i = 0; i < wirebook_shm_count(books); i++) {
    wirebook_shm_view view;
    if (!wirebook_shm_view_read(books, i, &view) || view.state == WIREBOOK_SHM_REMOVED) continue;
    json_t *one = listed(wirebook_shm_id(books, i), &view);
    if (own_path(request)) put_analytics(one, &view);
    json_array_append_new(list, one);
  }
  wb_face_json(client, 200, list);
}

static void product(wb_face_client *client, const wb_face_request *request) {
  wirebook_shm_view view;
  const wirebook_shm *books = wb_face_books(wb_face_of(client));
  int found = wirebook_shm_find(books, request->word[0]);
  if (found < 0 || !wirebook_shm_view_read(books, (uint32_t)found, &view) || view.state == WIREBOOK_SHM_REMOVED) {
    wb_face_refuse(client, 404, "NotFound");
    return;
  }
  json_t *one = listed(request->word[0], &view);
  if (own_path(request)) put_analytics(one, &view);
  wb_face_json(client, 200, one);
}

static void currencies(wb_face_client *client, const wb_face_request *request) {
  const wirebook_shm *books = wb_face_books(wb_face_of(client));
  json_t *names = json_object(), *list = json_array();
  for (uint32_t i = 0; i < wirebook_shm_count(books); i++) {
    char part[2][WB_PRODUCT_ID_BYTES];
    split(wirebook_shm_id(books, i), part[0], part[1]);
    for (unsigned k = 0; k < 2; k++)
      if (*part[k] && !json_object_get(names, part[k])) {
        json_object_set_new(names, part[k], json_true());
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:{}}", "id", part[k], "name", part[k],
                                              "min_size", "0.00000001", "status", "online", "message", "", "max_precision",
                                              "0.00000001", "convertible_to", "details"));
      }
  }
  json_decref(names);
  wb_face_json(client, 200, list);
}

static void now(wb_face_client *client, const wb_face_request *request) {
  int64_t utc_ns = wb_clock_utc_ns();
  wb_face_json(client, 200,
               json_pack("{s:o, s:f}", "iso", wb_face_json_time(utc_ns), "epoch", (double)(utc_ns / 1000000) / 1000));
}

/* ------------------------------------------------------------------------------------------------ book */

typedef struct sides {
  const wb_level *bid, *ask;
  uint32_t bid_count, ask_count;
} sides;

/* Nobody tells books of levels how many orders a level has: 0. */
static void put_levels(wb_face_text *text, const char *name, const wb_level *level, uint32_t count,
                       const wirebook_shm_view *view) {
  wb_face_text_addf(text, "\"%s\":[", name);
  for (uint32_t i = 0; i < count; i++) {
    wb_face_text_add(text, i ? ",[\"" : "[\"");
    wb_face_text_decimal(text, level[i].price, view->price_decimals);
    wb_face_text_add(text, "\",\"");
    wb_face_text_decimal(text, level[i].size, view->size_decimals);
    wb_face_text_add(text, "\",0]");
  }
  wb_face_text_add(text, "]");
}

static void book_answer(wb_face_client *client, const wirebook_shm_view *view, const sides *of, bool own) {
  wb_face_text text = {0};
  wb_face_text_add(&text, "{");
  put_levels(&text, "bids", of->bid, of->bid_count, view);
  wb_face_text_add(&text, ",");
  put_levels(&text, "asks", of->ask, of->ask_count, view);
  wb_face_text_addf(&text, ",\"sequence\":%llu,\"auction_mode\":false,\"auction\":null,",
                    (unsigned long long)(view->snapshots + view->updates));
  put_time(&text, "time", view->time_ns);
  if (own) put_state(&text, view);
  wb_face_text_add(&text, "}");
  wb_face_text_answer(client, WB_FACE_JSON, &text);
}

/* Of what the book thread writes anyway, some 10 ms old. */
static void depth_answer(wb_face_client *client, const wb_face_request *request, uint32_t product, uint32_t levels,
                         wirebook_shm_view *view) {
  wirebook_shm_level level[2][WB_DEPTH_MAX];
  wirebook_shm_depth depth;
  if (!wirebook_shm_depth_read(wb_face_books(wb_face_of(client)), product, &depth, level[0], level[1], levels)) {
    wb_face_refuse(client, 503, "the node has ended");
    return;
  }
  if (!own_path(request) && depth.state != WIREBOOK_SHM_LIVE) {
    wb_face_refuse(client, 503, "it is not live yet");
    return;
  }
  view->state = depth.state;
  view->updates = depth.updates;
  view->time_ns = depth.time_ns;
  view->price_decimals = depth.price_decimals;
  view->size_decimals = depth.size_decimals;
  const sides best = {(const void *)level[0], (const void *)level[1], depth.bid_count, depth.ask_count};
  book_answer(client, view, &best, own_path(request));
}

typedef struct book_wait {
  uint32_t product, depth;
  bool own;
} book_wait;

static void book_tick(wb_face_client *client, void *self, uint64_t now_ns) {
  const book_wait *wait = self;
  const wb_face_book *book = wb_face_book_since(wb_face_of(client), wait->product, wb_face_asked_ns(client));
  wirebook_shm_view view;
  if (!book) return;
  memcpy(&view, &book->view, sizeof view);
  sides all = {book->bid, book->ask, book->bid_count, book->ask_count};
  if (all.bid_count > wait->depth) all.bid_count = wait->depth;
  if (all.ask_count > wait->depth) all.ask_count = wait->depth;
  if (!wait->own && view.state != WIREBOOK_SHM_LIVE) wb_face_refuse(client, 503, "it is no longer live");
  else book_answer(client, &view, &all, wait->own);
}

static void book_gone(wb_face_client *client, void *self) { free(self); }

static const wb_face_handler book_handler = {.tick = book_tick, .gone = book_gone};

static void book(wb_face_client *client, const wb_face_request *request) {
  wirebook_shm_view view;
  uint64_t level, depth;
  int found = product_of(client, request, &view);
  if (found < 0) return;
  if (!wb_face_query_count(request, "level", 1, 1, 2, &level)) {
    wb_face_refuse(client, 400, "level is 1 or 2");
    return;
  }
  if (!wb_face_query_count(request, "depth", level == 1 ? 1 : UINT32_MAX, 1, UINT32_MAX, &depth)) {
    wb_face_refuse(client, 400, "depth is a number of levels");
    return;
  }
  if (depth == 1) { /* the touch, of this moment */
    wb_level bid = {view.best_bid, view.best_bid_size}, ask = {view.best_ask, view.best_ask_size};
    book_answer(client, &view, &(sides){&bid, &ask, bid.size > 0, ask.size > 0}, own_path(request));
    return;
  }
  if (depth <= wb_face_books(wb_face_of(client))->head->depth) {
    depth_answer(client, request, (uint32_t)found, (uint32_t)depth, &view);
    return;
  }
  book_wait *wait = malloc(sizeof *wait);
  if (!wait) {
    wb_face_refuse(client, 503, "no memory");
    return;
  }
  *wait = (book_wait){.product = (uint32_t)found, .depth = (uint32_t)depth, .own = own_path(request)};
  wb_face_hold(client, &book_handler, wait);
  book_tick(client, wait, request->now_ns);
}

/* ------------------------------------------------------------------------------------------------ trades */

/* To the hour: what was traded in the last 24 that this node saw. */
static unsigned __int128 day_volume(const wb_face_tape *tape, uint32_t product, unsigned decimals) {
  int64_t from_s = wb_clock_utc_ns() / SECOND - DAY_S;
  unsigned __int128 volume = 0;
  const wb_face_candle *candle;
  for (uint32_t i = 0; (candle = wb_face_tape_candle(tape, product, HOUR_LENGTH, i)) && candle->begin_s > from_s; i++) {
    unsigned __int128 more = candle->volume;
    for (unsigned d = candle->size_decimals; d < decimals; d++) more *= 10;
    for (unsigned d = decimals; d < candle->size_decimals; d++) more /= 10;
    volume += more;
  }
  return volume;
}

static void ticker(wb_face_client *client, const wb_face_request *request) {
  wirebook_shm_view view;
  const wb_face_tape *tape = request->self;
  int found = product_of(client, request, &view);
  if (found < 0) return;
  const wirebook_shm_change *last = wb_face_tape_trade(tape, (uint32_t)found, 0);
  wb_face_text text = {0};
  wb_face_text_add(&text, "{\"ask\":");
  if (view.best_ask_size) put_quoted(&text, view.best_ask, view.price_decimals);
  else wb_face_text_add(&text, "null");
  wb_face_text_add(&text, ",\"bid\":");
  if (view.best_bid_size) put_quoted(&text, view.best_bid, view.price_decimals);
  else wb_face_text_add(&text, "null");
  wb_face_text_add(&text, ",\"volume\":");
  put_quoted(&text, (__int128)day_volume(tape, (uint32_t)found, view.size_decimals), view.size_decimals);
  if (last) {
    wb_face_text_addf(&text, ",\"trade_id\":%llu,\"price\":", (unsigned long long)last->trade_id);
    put_quoted(&text, last->price, last->price_decimals);
    wb_face_text_add(&text, ",\"size\":");
    put_quoted(&text, last->size, last->size_decimals);
    wb_face_text_add(&text, ",");
    put_time(&text, "time", last->time_ns);
  } else {
    wb_face_text_add(&text, ",\"trade_id\":null,\"price\":null,\"size\":null,");
    put_time(&text, "time", view.time_ns);
  }
  if (own_path(request)) put_state(&text, &view);
  wb_face_text_add(&text, "}");
  wb_face_text_answer(client, WB_FACE_JSON, &text);
}

static void trades(wb_face_client *client, const wb_face_request *request) {
  wirebook_shm_view view;
  uint64_t most;
  int found = product_of(client, request, &view);
  if (found < 0) return;
  if (!wb_face_query_count(request, "limit", 100, 1, 1000, &most)) {
    wb_face_refuse(client, 400, "limit is 1 to 1000");
    return;
  }
  wb_face_text text = {0};
  const wirebook_shm_change *trade;
  wb_face_text_add(&text, "[");
  for (uint32_t i = 0; i < most && (trade = wb_face_tape_trade(request->self, (uint32_t)found, i)); i++) {
    wb_face_text_addf(&text, "%s{\"trade_id\":%llu,\"side\":\"%s\",\"size\":", i ? "," : "",
                      (unsigned long long)trade->trade_id, trade->side == WIREBOOK_SHM_BID ? "buy" : "sell");
    put_quoted(&text, trade->size, trade->size_decimals);
    wb_face_text_add(&text, ",\"price\":");
    put_quoted(&text, trade->price, trade->price_decimals);
    wb_face_text_add(&text, ",");
    put_time(&text, "time", trade->time_ns);
    wb_face_text_add(&text, "}");
  }
  wb_face_text_add(&text, "]");
  wb_face_text_answer(client, WB_FACE_JSON, &text);
}

/* As the exchange takes them: ISO 8601, or seconds since 1970. */
static bool query_time(const wb_face_request *request, const char *name, int64_t otherwise_s, int64_t *time_s) {
  char text[40], *end;
  int64_t time_ns;
  *time_s = otherwise_s;
  if (!wb_face_query(request, name, text, sizeof text)) return true;
  size_t bytes = strlen(text);
  if (*text >= '0' && *text <= '9' && bytes < 12) {
    *time_s = (int64_t)strtoull(text, &end, 10);
    if (!*end) return true;
  }
  if (bytes == strlen("2026-01-01T00:00:00")) text[bytes] = 'Z', text[++bytes] = 0;
  if (wb_iso8601_parse(text, bytes, &time_ns) != 0 || time_ns == WB_TIME_NONE) return false;
  *time_s = time_ns / SECOND;
  return true;
}

static void candles(wb_face_client *client, const wb_face_request *request) {
  wirebook_shm_view view;
  uint64_t granularity;
  int64_t start_s, end_s;
  unsigned length = 0;
  int found = product_of(client, request, &view);
  if (found < 0) return;
  bool good = wb_face_query_count(request, "granularity", 60, 1, DAY_S, &granularity);
  while (good && length < WB_FACE_CANDLE_LENGTHS && wb_face_candle_length[length] != granularity) length++;
  if (!good || length == WB_FACE_CANDLE_LENGTHS) {
    wb_face_refuse(client, 400, "Unsupported granularity");
    return;
  }
  if (!query_time(request, "start", 0, &start_s) || !query_time(request, "end", INT64_MAX, &end_s)) {
    wb_face_refuse(client, 400, "start and end are times in ISO 8601");
    return;
  }
  wb_face_text text = {0};
  const wb_face_candle *candle;
  bool any = false;
  wb_face_text_add(&text, "[");
  for (uint32_t i = 0; (candle = wb_face_tape_candle(request->self, (uint32_t)found, length, i)); i++) {
    if (candle->begin_s < start_s || candle->begin_s > end_s) continue;
    const uint64_t values[] = {candle->low, candle->high, candle->open, candle->close};
    wb_face_text_addf(&text, "%s[%lld", any ? "," : "", (long long)candle->begin_s);
    for (unsigned k = 0; k < 4; k++) {
      wb_face_text_add(&text, ",");
      wb_face_text_decimal(&text, values[k], candle->price_decimals);
    }
    wb_face_text_add(&text, ",");
    wb_face_text_decimal(&text, (__int128)candle->volume, candle->size_decimals);
    wb_face_text_add(&text, "]");
    any = true;
  }
  wb_face_text_add(&text, "]");
  wb_face_text_answer(client, WB_FACE_JSON, &text);
}

/* ------------------------------------------------------------------------------------------------ module */

static void *open_tape(wb_face *face, wb_error *error) {
  wb_face_tape *tape = wb_face_tape_open(wb_face_books(face), wb_face_changes_lost(face));
  if (!tape) wb_error_set(error, WB_E_MEMORY, 0, "listen", "no memory for trades");
  return tape;
}

static void tick(void *self, uint64_t now_ns) { wb_face_tape_follow(self); }
static void close_tape(void *self) { wb_face_tape_close(self); }

static const wb_face_route routes[] = {{"GET", "/time", now},
                                       {"GET", "/currencies", currencies},
                                       {"GET", "/products", products},
                                       {"GET", "/products/*", product},
                                       {"GET", "/products/*/book", book},
                                       {"GET", "/products/*/ticker", ticker},
                                       {"GET", "/products/*/trades", trades},
                                       {"GET", "/products/*/candles", candles},
                                       {"GET", "/api/v1/products", products},
                                       {"GET", "/api/v1/products/*", product},
                                       {"GET", "/api/v1/products/*/book", book},
                                       {"GET", "/api/v1/products/*/ticker", ticker},
                                       {"GET", "/api/v1/products/*/trades", trades},
                                       {"GET", "/api/v1/products/*/candles", candles},
                                       {0}};

const wb_face_module wb_face_products = {
    .name = "products", .route = routes, .open = open_tape, .tick = tick, .close = close_tape};
