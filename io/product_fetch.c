#include "io/product_fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/coinbase_products.h"
#include "io/tls.h"

typedef struct rows {
  wb_product_rows out; /* first */
  wb_product_list *list;
  void (*warn)(void *self, const char *text);
  void *self;
  unsigned broken;
  bool full;
} rows;

static bool is_id(const char *text) { return *text && !text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")]; }

static uint8_t at_least(uint8_t decimals, uint8_t least) { return decimals < least ? least : decimals; }

/* Sizes are sent with eight places whatever the increment ("0.00000000" removes a level), so they are kept with no fewer. */
static void put(wb_product_rows *out, const wb_product_row *row) {
  rows *to = (rows *)out;
  if (row->reject != WB_REJECT_NONE || !is_id(row->id)) {
    char text[160];
    snprintf(text, sizeof text, "list of products: %s%sa row is left out, %s at byte %u", row->id, *row->id ? ": " : "",
             row->reject != WB_REJECT_NONE ? wb_reject_name((wb_reject)row->reject) : "no id", row->offset);
    if (to->broken++ < 10) to->warn(to->self, text);
    return;
  }
  const unsigned closed = WB_PRODUCT_TRADING_DISABLED | WB_PRODUCT_DISABLED | WB_PRODUCT_VIEW_ONLY;
  wb_listed listed = {.price_decimals = row->price.decimals,
                      .size_decimals = at_least(row->size.decimals, WB_DECIMALS_DEFAULT),
                      .trades = (row->status == WB_STATUS_ONLINE || row->status == WB_STATUS_UNSAID) && !(row->flags & closed)};
  memcpy(listed.id, row->id, sizeof listed.id);
  memcpy(listed.quote, row->quote, sizeof listed.quote);
  memcpy(listed.alias, row->alias, sizeof listed.alias);
  if (!wb_product_list_add(to->list, &listed)) to->full = true;
}

static int read_list(wb_product_list *list, const uint8_t *text, size_t bytes, const char *from,
                     void (*warn)(void *self, const char *text), void *self, wb_error *error) {
  rows to = {.out.put = put, .list = list, .warn = warn, .self = self};
  wb_error why;
  int result = bytes > UINT32_MAX ? wb_error_set(&why, WB_E_TOO_LARGE, 0, "products", "too large")
                                  : wb_coinbase_products_read(text, (uint32_t)bytes, &to.out, &why);
  if (result < 0) return wb_error_set(error, result, 0, "products", "%s: no list of products: %s", from, why.detail);
  if (to.full) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "products", "no memory for the list of products");
  if (!list->count) return wb_error_set(error, WB_E_PROTOCOL, 0, "products", "%s: no product is on the list", from);
  return 0;
}

static int read_file(const char *path, uint8_t **text, size_t *bytes, wb_error *error) {
  FILE *file = fopen(path, "re");
  size_t room = 1 << 20;
  *text = malloc(room);
  *bytes = 0;
  while (file && *text) {
    *bytes += fread(*text + *bytes, 1, room - *bytes, file);
    if (*bytes < room || room >= WB_REST_BYTES) break;
    uint8_t *grown = realloc(*text, room *= 2);
    if (!grown) free(*text);
    *text = grown;
  }
  int failed = !file || ferror(file) ? errno : !*text ? ENOMEM : *bytes >= WB_REST_BYTES ? EFBIG : 0;
  if (file) fclose(file);
  if (!failed) return 0;
  free(*text);
  return wb_error_set(error, WB_E_CONFIG, failed, "products", "cannot read %s: %s", path, strerror(failed));
}

int wb_product_list_fetch(wb_product_list *list, const char *from, const wb_rest_config *rest,
                          void (*warn)(void *self, const char *text), void *self, wb_error *error) {
  int result;
  if (strstr(from, "://")) {
    wb_rest_answer answer;
    result = wb_rest_get(rest, from, &answer, error);
    if (strncmp(from, "https:", 6) == 0) wb_tls_thread_end();
    if (result != 0) return result;
    result = answer.status == 200 ? read_list(list, answer.body, answer.body_bytes, from, warn, self, error)
                                  : wb_error_set(error, WB_E_REFUSED, 0, "products", "%s: answered %u", from, answer.status);
    wb_rest_free(&answer);
  } else {
    uint8_t *text;
    size_t bytes;
    result = read_file(from, &text, &bytes, error);
    if (result != 0) return result;
    result = read_list(list, text, bytes, from, warn, self, error);
    free(text);
  }
  if (result != 0) wb_product_list_free(list);
  return result;
}
