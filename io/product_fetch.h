/* product_fetch.h - an exchange's list of products, from its REST API or a file that holds the answer. Cold; waits. */
#ifndef WB_IO_PRODUCT_FETCH_H
#define WB_IO_PRODUCT_FETCH_H

#include "io/product_list.h"
#include "io/rest.h"

/* wb_product_list_fetch reads the list into an empty one. from: a URL (http or https), or the path of a file. rest: for a URL. warn is told of rows that cannot be
 * read, which are left out. Returns 0 with a row at least; WB_E_CONFIG for a file that cannot be read, or what wb_rest_get and wb_coinbase_products_read return;
 * *error says why, and the list is empty. */
int wb_product_list_fetch(wb_product_list *list, const char *from, const wb_rest_config *rest,
                          void (*warn)(void *self, const char *text), void *self, wb_error *error);

#endif
