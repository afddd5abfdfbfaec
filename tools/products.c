#include "tools/products.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(wb_products *products, const char *text, char separator, wb_error *error) {
  char id[64];
  size_t n = 0;
  for (; text[n] && n < sizeof id - 5; n++) id[n] = text[n] == '-' ? separator : (char)toupper((unsigned char)text[n]);
  id[n] = 0;
  if (strcmp(id, "ALL") == 0)
    return wb_error_set(error, WB_E_CONFIG, 0, "product",
                        "'all' needs the exchange's list of products, which this version does not read: name them, or @FILE");
  if (!strchr(id, separator)) snprintf(id + n, 5, "%cUSD", separator);
  int index = separator != '/' && strchr(id, '/') ? WB_E_SYNTAX : wb_products_add(products, id, strlen(id));
  if (index >= 0) return 0;
  if (index == WB_E_FULL) return wb_error_set(error, WB_E_CONFIG, 0, "product", "more than %d products", WB_PRODUCT_COUNT_MAX);
  return wb_error_set(error, WB_E_CONFIG, 0, "product", "'%s' is no product id (BTC-USD, ETH-EUR, ...)", text);
}

static int add_file(wb_products *products, const char *path, char separator, wb_error *error) {
  FILE *file = fopen(path, "re");
  if (!file) return wb_error_set(error, WB_E_CONFIG, errno, "product", "cannot read %s: %s", path, strerror(errno));
  char word[128];
  int result = 0;
  while (result == 0 && fscanf(file, "%*[ \t\r\n\v\f,]") != EOF && fscanf(file, "%127[^ \t\r\n,]", word) == 1)
    if (word[0] == '#') {
      if (fscanf(file, "%*[^\n]") == EOF) break;
    } else {
      result = add(products, word, separator, error);
    }
  fclose(file);
  return result;
}

wb_products *wb_products_open(char *const *list, char separator, wb_error *error) {
  size_t head = (sizeof(wb_products) + 63) & ~(size_t)63;
  uint8_t *memory = aligned_alloc(64, (head + wb_products_bytes(WB_PRODUCT_COUNT_MAX) + 63) & ~(size_t)63);
  if (!memory) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "product", "no memory");
    return NULL;
  }
  wb_products *products = (void *)memory;
  wb_products_init(products, memory + head, WB_PRODUCT_COUNT_MAX);
  int result = 0;
  for (; *list && result == 0; list++)
    result = **list == '@' ? add_file(products, *list + 1, separator, error) : add(products, *list, separator, error);
  if (result == 0 && products->count == 0) result = wb_error_set(error, WB_E_CONFIG, 0, "product", "no product is named");
  if (result == 0) return products;
  free(memory);
  return NULL;
}

void wb_products_close(wb_products *products) { free(products); }
