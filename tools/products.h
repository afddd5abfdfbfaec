/* products.h - --product values to a table: commas, @FILE, and BTC for BTC-USD. Cold. */
#ifndef WB_TOOLS_PRODUCTS_H
#define WB_TOOLS_PRODUCTS_H

#include "engine/base/error.h"
#include "engine/base/products.h"

/* wb_products_open makes a table from the list (NULL-terminated); wb_products_close frees it. NULL with *error: WB_E_CONFIG. */
wb_products *wb_products_open(char *const *list, wb_error *error);
void wb_products_close(wb_products *products);

#endif
