#include "io/publish_request.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "io/ws.h"

static const struct {
  const char *name;
  wb_publish_channel channel;
} channels[] = {
    {"level2", WB_PUBLISH_LEVEL2},
    {"level2_batch", WB_PUBLISH_LEVEL2_BATCH},
    {"level2_50", WB_PUBLISH_LEVEL2_BATCH},
    {"heartbeat", WB_PUBLISH_HEARTBEAT},
    {"ticker", WB_PUBLISH_TICKER},
    {"ticker_batch", WB_PUBLISH_TICKER_BATCH},
    {"ticker_1000", WB_PUBLISH_TICKER_BATCH},
    {"matches", WB_PUBLISH_MATCHES},
};
enum { ROWS = sizeof channels / sizeof *channels };

typedef struct reading {
  wb_publish_request *request;
  const wb_products *products;
  const json_t *root_products;
  const char *message; /* "Failed to subscribe" */
  wb_publish_complain *complain;
  void *self;
  unsigned complaints;
} reading;

size_t wb_publish_error(const char *message, const char *reason, char *to) {
  json_t *error = json_pack("{s:s,s:s,s:s*}", "type", "error", "message", message, "reason", reason);
  size_t bytes = error ? json_dumpb(error, to, WB_PUBLISH_ERROR_BYTES_MAX, JSON_COMPACT) : 0;
  json_decref(error);
  return bytes <= WB_PUBLISH_ERROR_BYTES_MAX ? bytes : 0;
}

static void say(reading *r, const char *message, const char *reason) {
  char text[WB_PUBLISH_ERROR_BYTES_MAX];
  if (r->complaints++ >= WB_PUBLISH_COMPLAINTS_MAX) return;
  size_t bytes = wb_publish_error(message, reason, text);
  if (bytes) r->complain(r->self, text, bytes);
}

static void __attribute__((format(printf, 2, 3))) fail(reading *r, const char *format, ...) {
  char reason[192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  size_t bytes = strlen(reason);
  while (bytes && !wb_utf8_valid((const uint8_t *)reason, bytes)) reason[--bytes] = 0; /* cut within a character */
  say(r, r->message, reason);
}

static int find(reading *r, const json_t *id) {
  if (!json_is_string(id)) return -1;
  int product = wb_products_find(r->products, json_string_value(id), json_string_length(id));
  return product >= 0 && !wb_product_removed(&r->products->product[product]) ? product : -1;
}

static void check(reading *r, const json_t *ids) {
  size_t i;
  json_t *id;
  json_array_foreach(ids, i, id) if (find(r, id) < 0)
      fail(r, "%s is not a valid product", json_is_string(id) ? json_string_value(id) : "what is no string");
}

static void want(reading *r, const json_t *ids, wb_publish_channel channel) {
  wb_publish_request *request = r->request;
  for (size_t i = 0; i < json_array_size(ids); i++) {
    int product = find(r, json_array_get(ids, i));
    if (product < 0) continue;
    if (!request->wants[product]) request->product[request->product_count++] = (uint16_t)product;
    request->wants[product] |= (uint8_t)(1u << channel);
  }
}

static void read_channel(reading *r, const json_t *entry) {
  wb_publish_request *request = r->request;
  const json_t *name = json_is_object(entry) ? json_object_get(entry, "name") : entry;
  const json_t *own = json_is_object(entry) ? json_object_get(entry, "product_ids") : NULL;
  if (!json_is_string(name) || (own && !json_is_array(own))) {
    fail(r, "a channel is a name or {\"name\", \"product_ids\"}");
    return;
  }
  size_t row = 0;
  while (row < ROWS && strcmp(channels[row].name, json_string_value(name)) != 0) row++;
  if (row == ROWS) {
    fail(r, "%s is not a valid channel", json_string_value(name));
    return;
  }
  wb_publish_channel channel = channels[row].channel;
  bool none = json_array_size(own) + json_array_size(r->root_products) == 0;
  if (none && !request->unsubscribe) {
    fail(r, "You need to specify at least one product ID for channel %s", channels[row].name);
    return;
  }
  if (!(request->named >> channel & 1)) request->order[request->order_count++] = (uint8_t)channel;
  request->named |= (uint8_t)(1u << channel);
  if (none) request->whole |= (uint8_t)(1u << channel);
  request->name[channel] = channels[row].name;
  check(r, own);
  want(r, r->root_products, channel);
  want(r, own, channel);
}

static void read_root(reading *r, const json_t *root) {
  const char *type = json_string_value(json_object_get(root, "type"));
  const json_t *list = json_object_get(root, "channels");
  r->request->unsubscribe = type && strcmp(type, "unsubscribe") == 0;
  r->message = r->request->unsubscribe ? "Failed to unsubscribe" : "Failed to subscribe";
  r->root_products = json_object_get(root, "product_ids");
  if (!type || (!r->request->unsubscribe && strcmp(type, "subscribe") != 0)) {
    fail(r, "Type has to be either subscribe or unsubscribe");
  } else if (!json_is_array(list) || json_array_size(list) == 0) {
    fail(r, "channels has to be a list of at least one channel");
  } else if (r->root_products && !json_is_array(r->root_products)) {
    fail(r, "product_ids has to be a list");
  } else {
    check(r, r->root_products);
    for (size_t i = 0; i < json_array_size(list); i++) read_channel(r, json_array_get(list, i));
  }
}

int wb_publish_request_read(wb_publish_request *request, const wb_products *products, const char *text, size_t bytes,
                            wb_publish_complain *complain, void *self) {
  reading r = {.request = request, .products = products, .complain = complain, .self = self};
  *request = (wb_publish_request){.wants = request->wants, .product = request->product};
  if (!wb_utf8_valid((const uint8_t *)text, bytes)) return WB_E_UTF8;
  json_error_t where;
  json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
  if (!json_is_object(root)) {
    say(&r, "Malformed JSON", root ? "a message is an object" : where.text);
    json_decref(root);
    return WB_E_SYNTAX;
  }
  read_root(&r, root);
  json_decref(root);
  return request->unsubscribe ? request->named != 0 : request->product_count != 0;
}
