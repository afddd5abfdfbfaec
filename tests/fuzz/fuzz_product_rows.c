/* fuzz_product_rows.c - bytes as a list of products.
 *
 * Oracle:  a list is read or refused for a reason, and nothing past its end; rows that were not refused hold to the schema. The value of "products", or an array,
 *          is the same list under each of the names by which Coinbase sends it: as it is, in an object, in an event; row by row, but for where in the text a
 *          fault lies. Each row is the same again when it is the only one. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/coinbase_products.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 4096, INPUT_BYTES_MAX = 1 << 18 };

typedef struct list {
  wb_product_rows out;
  int count;
  wb_product_row row[ROWS_MAX];
} list;

static void put(wb_product_rows *rows, const wb_product_row *row) {
  list *to = (list *)rows;
  const uint64_t max = WB_QUANTITY_MAX;
  WB_CHECK(row->reject < WB_REJECT_COUNT && row->alias_count <= WB_PRODUCT_ALIASES_MAX);
  WB_CHECK(memchr(row->id, 0, sizeof row->id) && memchr(row->base, 0, sizeof row->base) &&
           memchr(row->quote, 0, sizeof row->quote));
  WB_CHECK(row->price.value <= max && row->size.value <= max && row->min_funds.value <= max);
  if (row->reject == WB_REJECT_NONE) {
    WB_CHECK(*row->id && row->price.value && row->size.value && row->offset == 0);
    WB_CHECK(row->price.decimals <= WB_DECIMALS_MAX && row->size.decimals <= WB_DECIMALS_MAX);
    WB_CHECK(!row->price.decimals || row->price.value % 10); /* the fewest */
    WB_CHECK(!row->size.decimals || row->size.value % 10);
  }
  if (to->count < ROWS_MAX) to->row[to->count] = *row;
  to->count++;
}

/* The text between two others, in memory of exactly its size. */
static int read_list(list *to, const char *before, const uint8_t *text, size_t bytes, const char *behind) {
  size_t head = strlen(before), tail = strlen(behind);
  uint8_t *exact = malloc(head + bytes + tail + 1);
  WB_CHECK(exact != NULL);
  memcpy(exact, before, head);
  if (bytes) memcpy(exact + head, text, bytes);
  memcpy(exact + head + bytes, behind, tail);
  uint8_t *shrunk = realloc(exact, head + bytes + tail ? head + bytes + tail : 1);
  wb_error error = {0};
  to->out.put = put;
  to->count = 0;
  int count = wb_coinbase_products_read(shrunk, (uint32_t)(head + bytes + tail), &to->out, &error);
  WB_CHECK(count == error.code || (count >= 0 && error.code == 0));
  WB_CHECK(to->count == (count < 0 ? 0 : count));
  free(shrunk);
  return count;
}

static bool same_row(wb_product_row a, wb_product_row b) {
  WB_CHECK((a.offset == 0) == (b.offset == 0));
  a.offset = b.offset = 0;
  return memcmp(&a, &b, sizeof a) == 0;
}

static void same(const list *a, const list *b) {
  WB_CHECK(a->count == b->count);
  for (int i = 0; i < a->count && i < ROWS_MAX; i++) WB_CHECK(same_row(a->row[i], b->row[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static list plain, other;
  if (size > INPUT_BYTES_MAX || read_list(&plain, "", data, size, "") < 0) return 0;
  wb_json json = {data, (uint32_t)size, 0};
  wb_json_blank(&json);
  if (data[json.at] != '[') return 0;
  read_list(&other, " {\"x\":[{\"id\":1}],\"products\" :", data, size, "}");
  same(&plain, &other);
  read_list(&other, "{\"channel\":\"status\",\"events\":[{\"type\":\"snapshot\",\"products\":", data, size, "}]}");
  same(&plain, &other);
  wb_json_value value;
  json.at++;
  for (int i = 0; i < plain.count && i < 64 && wb_json_element(&json, &value); i++) {
    WB_CHECK(read_list(&other, "[", data + value.at, value.end - value.at, "]") == 1);
    WB_CHECK(same_row(other.row[0], plain.row[i]));
  }
  return 0;
}
