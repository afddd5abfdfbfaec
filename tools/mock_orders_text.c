#include <stdio.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "tools/mock_orders.h"

enum { BOOK_AROUND_BYTES = 512, BOOK_ROW_BYTES = 2 * WB_MOCK_NUMBER_TEXT + WB_MOCK_ID_BYTES + 16 };

/* The parts of a message as text. */
typedef struct parts {
  char order[WB_MOCK_ID_BYTES + 1], price[WB_MOCK_NUMBER_TEXT], size[WB_MOCK_NUMBER_TEXT], old_size[WB_MOCK_NUMBER_TEXT];
  const char *side;
} parts;

static void parts_of(parts *to, const wb_mock_orders *orders, const wb_mock_text *text, const wb_mock_order_message *message) {
  wb_mock_text_id(wb_mock_orders_id(orders, message->order), to->order);
  wb_mock_text_price(text, message->price, to->price);
  wb_mock_text_size(text, message->size, to->size);
  wb_mock_text_size(text, message->old_size, to->old_size);
  to->side = message->side == WB_SIDE_BID ? "buy" : "sell";
}

/* ------------------------------------------------------------------------------------------------ full */

static int put_received(const wb_mock_orders *orders, const wb_mock_order_message *message, const parts *part, const char *time,
                        char *to) {
  const wb_mock_market *market = orders->market;
  char client[WB_MOCK_ID_BYTES + 1], limit[3 * WB_MOCK_NUMBER_TEXT], funds[WB_DECIMAL_TEXT_BYTES];
  wb_mock_text_id(wb_mock_orders_id(orders, ~message->order), client);
  if (message->market) {
    wb_decimal_print((__int128)message->price * message->size, market->price_decimals + market->size_decimals, funds);
    snprintf(limit, sizeof limit, "\"funds\":\"%s\"", funds);
  } else {
    snprintf(limit, sizeof limit, "\"size\":\"%s\",\"price\":\"%s\"", part->size, part->price);
  }
  return snprintf(to, WB_MOCK_ORDER_BYTES_MAX,
                  "{\"type\":\"received\",\"time\":\"%.27s\",\"product_id\":\"%s\",\"sequence\":%llu,\"order_id\":\"%s\",%s,"
                  "\"side\":\"%s\",\"order_type\":\"%s\",\"client_oid\":\"%s\"}",
                  time, market->product, (unsigned long long)message->sequence, part->order, limit, part->side,
                  message->market ? "market" : "limit", client);
}

static int put_done(const wb_mock_orders *orders, const wb_mock_order_message *message, const parts *part, const char *time,
                    char *to) {
  const char *reason = message->reason == WB_ORDER_FILLED ? "filled" : "canceled";
  const char *product = orders->market->product;
  unsigned long long sequence = message->sequence;
  if (message->market)
    return snprintf(
        to, WB_MOCK_ORDER_BYTES_MAX,
        "{\"type\":\"done\",\"time\":\"%.27s\",\"product_id\":\"%s\",\"sequence\":%llu,\"order_id\":\"%s\",\"reason\":"
        "\"%s\",\"side\":\"%s\"}",
        time, product, sequence, part->order, reason, part->side);
  return snprintf(to, WB_MOCK_ORDER_BYTES_MAX,
                  "{\"type\":\"done\",\"time\":\"%.27s\",\"product_id\":\"%s\",\"sequence\":%llu,\"price\":\"%s\",\"order_id\":"
                  "\"%s\",\"reason\":\"%s\",\"side\":\"%s\",\"remaining_size\":\"%s\"%s}",
                  time, product, sequence, part->price, part->order, reason, part->side, part->size,
                  message->reason == WB_ORDER_CANCELED ? ",\"cancel_reason\":\"101\"" : "");
}

static int put_change(const wb_mock_orders *orders, const wb_mock_order_message *message, const parts *part, const char *time,
                      char *to) {
  char price[3 * WB_MOCK_NUMBER_TEXT];
  if (message->modified) snprintf(price, sizeof price, "\"old_price\":\"%s\",\"new_price\":\"%s\"", part->price, part->price);
  else snprintf(price, sizeof price, "\"price\":\"%s\"", part->price);
  return snprintf(
      to, WB_MOCK_ORDER_BYTES_MAX,
      "{\"type\":\"change\",\"reason\":\"%s\",\"time\":\"%.27s\",\"sequence\":%llu,\"order_id\":\"%s\",\"side\":\"%s\","
      "\"product_id\":\"%s\",\"old_size\":\"%s\",\"new_size\":\"%s\",%s}",
      message->modified ? "modify_order" : "STP", time, (unsigned long long)message->sequence, part->order, part->side,
      orders->market->product, part->old_size, part->size, price);
}

size_t wb_mock_orders_full(const wb_mock_orders *orders, const wb_mock_text *text, const wb_mock_order_message *message,
                           const char *time, char *to) {
  if (message->kind == WB_ORDER_MATCH) {
    wb_mock_trade trade = wb_mock_orders_trade(orders, message);
    return wb_mock_text_match(text, "match", &trade, time, to);
  }
  parts part;
  parts_of(&part, orders, text, message);
  int bytes;
  switch (message->kind) {
  case WB_ORDER_RECEIVED: bytes = put_received(orders, message, &part, time, to); break;
  case WB_ORDER_DONE: bytes = put_done(orders, message, &part, time, to); break;
  case WB_ORDER_CHANGE: bytes = put_change(orders, message, &part, time, to); break;
  default:
    bytes = snprintf(
        to, WB_MOCK_ORDER_BYTES_MAX,
        "{\"type\":\"open\",\"time\":\"%.27s\",\"product_id\":\"%s\",\"sequence\":%llu,\"order_id\":\"%s\",\"price\":"
        "\"%s\",\"remaining_size\":\"%s\",\"side\":\"%s\"}",
        time, orders->market->product, (unsigned long long)message->sequence, part.order, part.price, part.size, part.side);
  }
  return wb_mock_text_spaced(text, to, (size_t)bytes);
}

/* ------------------------------------------------------------------------------------------------ level3 */

size_t wb_mock_orders_schema(const wb_mock_text *text, char *to) {
  static const char schema[] =
      "{\"type\":\"level3\",\"schema\":{"
      "\"change\":[\"type\",\"product_id\",\"sequence\",\"order_id\",\"price\",\"size\",\"time\"],"
      "\"done\":[\"type\",\"product_id\",\"sequence\",\"order_id\",\"time\"],"
      "\"match\":[\"type\",\"product_id\",\"sequence\",\"maker_order_id\",\"taker_order_id\",\"price\",\"size\",\"time\"],"
      "\"noop\":[\"type\",\"product_id\",\"sequence\",\"time\"],"
      "\"open\":[\"type\",\"product_id\",\"sequence\",\"order_id\",\"side\",\"price\",\"size\",\"time\"]}}";
  memcpy(to, schema, sizeof schema);
  return wb_mock_text_spaced(text, to, sizeof schema - 1);
}

size_t wb_mock_orders_level3(const wb_mock_orders *orders, const wb_mock_text *text, const wb_mock_order_message *message,
                             const char *time, char *to) {
  const char *product = orders->market->product;
  unsigned long long sequence = message->sequence;
  char taker[WB_MOCK_ID_BYTES + 1];
  parts part;
  int bytes;
  if (message->booked) parts_of(&part, orders, text, message);
  switch (message->booked ? message->kind : WB_ORDER_NOOP) {
  case WB_ORDER_NOOP:
    bytes = snprintf(to, WB_MOCK_ORDER_BYTES_MAX, "[\"noop\",\"%s\",\"%llu\",\"%.27s\"]", product, sequence, time);
    break;
  case WB_ORDER_DONE:
    bytes = snprintf(to, WB_MOCK_ORDER_BYTES_MAX, "[\"done\",\"%s\",\"%llu\",\"%s\",\"%.27s\"]", product, sequence, part.order,
                     time);
    break;
  case WB_ORDER_MATCH:
    wb_mock_text_id(wb_mock_orders_id(orders, message->taker), taker);
    bytes = snprintf(to, WB_MOCK_ORDER_BYTES_MAX, "[\"match\",\"%s\",\"%llu\",\"%s\",\"%s\",\"%s\",\"%s\",\"%.27s\"]", product,
                     sequence, part.order, taker, part.price, part.size, time);
    break;
  case WB_ORDER_CHANGE:
    bytes = snprintf(to, WB_MOCK_ORDER_BYTES_MAX, "[\"change\",\"%s\",\"%llu\",\"%s\",\"%s\",\"%s\",\"%.27s\"]", product,
                     sequence, part.order, part.price, part.size, time);
    break;
  default:
    bytes = snprintf(to, WB_MOCK_ORDER_BYTES_MAX, "[\"open\",\"%s\",\"%llu\",\"%s\",\"%s\",\"%s\",\"%s\",\"%.27s\"]", product,
                     sequence, part.order, part.side, part.price, part.size, time);
  }
  return wb_mock_text_spaced(text, to, (size_t)bytes);
}

/* ------------------------------------------------------------------------------------------------ the REST book */

static char *put_quoted(char *to, __int128 value, unsigned decimals) {
  *to++ = '"';
  to += wb_decimal_print(value, decimals, to);
  *to++ = '"';
  return to;
}

static char *put_row(char *to, const wb_mock_market *market, uint64_t price, uint64_t size) {
  *to++ = '[';
  to = put_quoted(to, price, market->price_decimals);
  *to++ = ',';
  to = put_quoted(to, size, market->size_decimals);
  *to++ = ',';
  return to;
}

static char *put_levels(char *to, const wb_mock_orders *orders, wb_side side, unsigned level) {
  const wb_mock_market *market = orders->market;
  uint32_t rows = level == 1 ? 1 : market->side[side].count;
  for (uint32_t i = 0; i < rows; i++) {
    const wb_mock_level *at = wb_mock_market_level(market, side, i);
    const wb_mock_queue *queue = wb_mock_orders_queue(orders, side, at->price);
    if (level < 3) {
      to = put_row(to, market, at->price, at->size);
      to += sprintf(to, "%u],", queue->count);
      continue;
    }
    for (uint32_t next = queue->first; next; next = orders->order[next].next) {
      to = put_row(to, market, at->price, orders->order[next].size);
      *to++ = '"';
      wb_mock_text_id(wb_mock_orders_id(orders, orders->order[next].number), to);
      memcpy(to + WB_MOCK_ID_BYTES, "\"],", 3);
      to += WB_MOCK_ID_BYTES + 3;
    }
  }
  return to - (to[-1] == ',');
}

size_t wb_mock_orders_book_bytes_max(const wb_mock_orders *orders, unsigned level) {
  const wb_mock_side *side = orders->market->side;
  size_t rows = level == 1 ? 2 : side[0].count + side[1].count;
  return BOOK_AROUND_BYTES + rows * (level == 3 ? WB_MOCK_ORDERS_MAX : 1) * BOOK_ROW_BYTES;
}

size_t wb_mock_orders_book(const wb_mock_orders *orders, unsigned level, bool auction, uint64_t sequence, const char *time,
                           char *to) {
  char *at = to + sprintf(to, "{\"bids\":[");
  at = put_levels(at, orders, WB_SIDE_BID, level);
  at += sprintf(at, "],\"asks\":[");
  at = put_levels(at, orders, WB_SIDE_ASK, level);
  at += sprintf(at, "],\"sequence\":%llu,\"auction_mode\":%s,\"auction\":null,\"time\":\"%.27s\"}",
                (unsigned long long)sequence, auction ? "true" : "false", time);
  return (size_t)(at - to);
}
