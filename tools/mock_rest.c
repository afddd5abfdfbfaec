#include "tools/mock_rest.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "io/host.h"
#include "tools/mock_listing.h"

#define IDLE_NS UINT64_C(30000000000)

static const struct {
  unsigned status;
  const char *reason, *message;
} refusals[] = {
    {400, "Bad Request", "Bad request"},
    {404, "Not Found", "NotFound"},
    {405, "Method Not Allowed", "Method not allowed"},
    {429, "Too Many Requests", "Public rate limit exceeded"},
    {500, "Internal Server Error", "Internal server error"},
};

/* ------------------------------------------------------------------------------------------------ answering */

typedef struct reply {
  unsigned status; /* 200, or one of the refusals: no body is needed then */
  char *body;
  size_t bytes;
  bool cut, close;
} reply;

static void hold(wb_mock_client *client, const reply *answer) {
  const char *reason = "OK";
  char head[256], message[64];
  const char *body = answer->body;
  size_t bytes = answer->bytes;
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    if (refusals[i].status != answer->status) continue;
    reason = refusals[i].reason;
    body = message;
    bytes = (size_t)snprintf(message, sizeof message, "{\"message\":\"%s\"}", refusals[i].message);
  }
  int head_bytes = snprintf(
      head, sizeof head, "HTTP/1.1 %u %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n%s%s\r\n",
      answer->status, reason, bytes, answer->status == 429 ? "Retry-After: 1\r\n" : "",
      answer->close && !answer->cut ? "Connection: close\r\n" : "");
  if (answer->cut) bytes /= 2;
  wb_mock_held *held = &client->held;
  held->bytes = malloc((size_t)head_bytes + bytes);
  if (!held->bytes) {
    wb_mock_client_drop(client, true, "no memory for an answer");
    return;
  }
  memcpy(held->bytes, head, (size_t)head_bytes);
  memcpy(held->bytes + head_bytes, body, bytes);
  held->count = (size_t)head_bytes + bytes;
  held->close = answer->close || answer->cut;
}

bool wb_mock_rest_tick(wb_mock_client *client, uint64_t now_ns) {
  wb_mock_held *held = &client->held;
  if (!held->bytes || now_ns < held->due_ns) return false;
  if (client->filling.count + client->sending.count - client->sent > client->server->options.client_buffer_bytes)
    wb_mock_client_drop(client, true, "asks more than it reads");
  wb_mock_client_put_raw(client, held->bytes, held->count);
  free(held->bytes);
  held->bytes = NULL;
  client->deadline_ns = now_ns + IDLE_NS;
  if (held->close) wb_mock_client_finish(client, "answered");
  return true;
}

/* ------------------------------------------------------------------------------------------------ what is asked for */

typedef struct request {
  wb_mock_server *server;
  wb_mock_client *client;
  wb_mock_product *product;
  const char *query;
} request;

/* The number of a parameter, otherwise if it is not there; UINT64_MAX if it is none. */
static uint64_t parameter(const char *query, const char *name, uint64_t otherwise) {
  size_t bytes = strlen(name);
  while (query && *query && !(strncmp(query, name, bytes) == 0 && query[bytes] == '=')) {
    query = strchr(query, '&');
    query += query ? 1 : 0;
  }
  if (!query || !*query) return otherwise;
  const char *digits = query + bytes + 1;
  size_t count = strspn(digits, "0123456789");
  bool good = count && count < 10 && (!digits[count] || digits[count] == '&');
  return good ? strtoull(digits, NULL, 10) : UINT64_MAX;
}

static void take_json(reply *answer, json_t *root) {
  answer->body = root ? json_dumps(root, JSON_COMPACT) : NULL;
  answer->status = answer->body ? 200 : 500;
  if (answer->body) answer->bytes = strlen(answer->body);
  json_decref(root);
}

static void book(const request *asked, reply *answer) {
  wb_mock_server *server = asked->server;
  uint64_t level = parameter(asked->query, "level", 1);
  wb_mock_orders *orders = wb_mock_server_orders(server, asked->product);
  if (level < 1 || level > 3) {
    answer->status = 400;
    return;
  }
  wb_mock_answer plan = {.status = 200};
  const wb_mock_fault *fault = server->options.fault;
  if (fault && fault->answer && wb_mock_fault_now(asked->client)) {
    wb_mock_fault_happened(asked->client);
    fault->answer(&plan);
  }
  answer->cut = plan.cut;
  answer->status = orders ? plan.status : 500;
  if (answer->status != 200) return;
  answer->body = malloc(wb_mock_orders_book_bytes_max(orders, (unsigned)level));
  if (!answer->body) answer->status = 500;
  else
    answer->bytes = wb_mock_orders_book(orders, (unsigned)level, asked->product->auction, orders->sequence - plan.behind,
                                        wb_mock_server_time(server, asked->product), answer->body);
}

static json_t *number(__int128 value, unsigned decimals) {
  char text[WB_DECIMAL_TEXT_BYTES];
  wb_decimal_print(value, decimals, text);
  return json_string(text);
}

static void ticker(const request *asked, reply *answer) {
  const wb_mock_market *market = &asked->product->market;
  const wb_mock_trade *last = &market->last_trade;
  unsigned price = market->price_decimals, size = market->size_decimals;
  take_json(answer,
            json_pack("{s:o,s:o,s:o,s:I,s:o,s:o,s:s}", "ask",
                      number(wb_mock_market_level(market, WB_SIDE_ASK, 0)->price, price), "bid",
                      number(wb_mock_market_level(market, WB_SIDE_BID, 0)->price, price), "volume",
                      number(market->volume, size), "trade_id", (json_int_t)last->id, "price", number(last->price, price),
                      "size", number(last->size, size), "time", wb_mock_server_time(asked->server, asked->product)));
}

static void trades(const request *asked, reply *answer) {
  const wb_mock_orders *orders = wb_mock_server_orders(asked->server, asked->product);
  const wb_mock_market *market = &asked->product->market;
  uint64_t most = parameter(asked->query, "limit", WB_MOCK_HISTORY);
  json_t *list = json_array();
  for (uint64_t i = 0; orders && i < orders->trade_count && i < WB_MOCK_HISTORY && i < most; i++) {
    uint64_t at = (orders->trade_count - 1 - i) % WB_MOCK_HISTORY;
    const wb_mock_trade *trade = &orders->history[at].trade;
    json_array_append_new(list, json_pack("{s:I,s:s,s:o,s:o,s:s}", "trade_id", (json_int_t)trade->id, "side",
                                          trade->side == WB_SIDE_BID ? "buy" : "sell", "size",
                                          number(trade->size, market->size_decimals), "price",
                                          number(trade->price, market->price_decimals), "time", orders->history[at].time));
  }
  take_json(answer, list);
}

static void product(const request *asked, reply *answer) { take_json(answer, wb_mock_listing_product(asked->product, false)); }

static void products(const request *asked, reply *answer) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < asked->server->product_count; i++)
    json_array_append_new(list, wb_mock_listing_product(&asked->server->product[i], false));
  take_json(answer, list);
}

static void advanced_product(const request *asked, reply *answer) {
  take_json(answer, wb_mock_listing_advanced(asked->server, asked->product));
}

static void advanced_products(const request *asked, reply *answer) {
  uint32_t count = asked->server->product_count;
  json_t *list = json_array();
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(list, wb_mock_listing_advanced(asked->server, &asked->server->product[i]));
  take_json(answer, json_pack("{s:o,s:I}", "products", list, "num_products", (json_int_t)count));
}

static void now(const request *asked, reply *answer) {
  int64_t us = wb_clock_utc_ns() / 1000;
  wb_mock_time text = {0};
  json_t *iso = json_stringn(wb_mock_time_text(&text, us), WB_MOCK_TIME_BYTES);
  take_json(answer, json_pack("{s:o,s:f}", "iso", iso, "epoch", (double)us / 1e6));
}

/* A '*' stands for a product. */
static const struct {
  const char *path;
  void (*answer)(const request *asked, reply *answer);
} routes[] = {
    {"/time", now},
    {"/products", products},
    {"/products/*", product},
    {"/products/*/book", book},
    {"/products/*/ticker", ticker},
    {"/products/*/trades", trades},
    {"/api/v3/brokerage/market/products", advanced_products},
    {"/api/v3/brokerage/market/products/*", advanced_product},
};

static bool leads_to(request *asked, const char *path, const char *target, size_t bytes) {
  const char *star = strchr(path, '*');
  size_t before = star ? (size_t)(star - path) : strlen(path);
  if (bytes < before || memcmp(path, target, before) != 0) return false;
  if (!star) return bytes == before;
  size_t id_bytes = strcspn(target + before, "/?"), after = strlen(star + 1);
  char id[WB_PRODUCT_ID_BYTES];
  if (id_bytes >= sizeof id || bytes != before + id_bytes + after || memcmp(target + before + id_bytes, star + 1, after) != 0)
    return false;
  memcpy(id, target + before, id_bytes);
  id[id_bytes] = 0;
  int found = wb_mock_server_find(asked->server, id);
  if (found >= 0) asked->product = &asked->server->product[found];
  return found >= 0;
}

static void route(request *asked, const char *target, reply *answer) {
  size_t bytes = strcspn(target, "?");
  asked->query = target[bytes] ? target + bytes + 1 : NULL;
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
    if (!leads_to(asked, routes[i].path, target, bytes)) continue;
    answer->status = 200;
    routes[i].answer(asked, answer);
    return;
  }
}

size_t wb_mock_rest_take(wb_mock_client *client, const wb_http_request *http) {
  wb_mock_server *server = client->server;
  uint64_t now_ns = wb_clock_ns();
  reply answer = {.status = 404, .close = http->close};
  request asked = {.server = server, .client = client};
  client->record.requests++;
  client->deadline_ns = 0;
  client->held.due_ns = now_ns + server->options.rest_delay_ns;
  if (http->body) {
    answer.status = 400;
    answer.close = true;
  } else if (!http->get) {
    answer.status = 405;
    answer.close = true;
  } else if (!wb_mock_rate_take(&server->options.rest_rate, &client->source->requests_ns, now_ns)) {
    server->breaches.requests++;
    answer.status = 429;
  } else {
    route(&asked, http->target, &answer);
  }
  hold(client, &answer);
  free(answer.body);
  wb_mock_rest_tick(client, now_ns);
  return http->head_bytes;
}
