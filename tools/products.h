/* products.h - --product values to a table: commas, @FILE, BTC for BTC-USD, BTC-USD for BTC/USD where the feed has it so. Cold. */
#ifndef WB_TOOLS_PRODUCTS_H
#define WB_TOOLS_PRODUCTS_H

#include "engine/base/error.h"
#include "engine/base/products.h"

/* wb_products_open makes a table from the list (NULL-terminated), separator being that of the feed's ids (wb_codec); wb_products_close frees it. NULL with
 * *error: WB_E_CONFIG. */
wb_products *wb_products_open(char *const *list, char separator, wb_error *error);
void wb_products_close(wb_products *products);

#endif
