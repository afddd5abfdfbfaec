/* products.h - --product values to a table: commas, @FILE, BTC for BTC-USD, BTC-USD for BTC/USD where the feed has it so, and what the exchange lists. Cold. */
#ifndef WB_TOOLS_PRODUCTS_H
#define WB_TOOLS_PRODUCTS_H

#include "engine/base/error.h"
#include "engine/base/products.h"
#include "engine/port.h"
#include "io/product_list.h"

/* wb_products_open makes a table from the list (NULL-terminated), separator being that of the feed's ids (wb_codec); wb_products_close frees it. NULL with
 * *error: WB_E_CONFIG. */
wb_products *wb_products_open(char *const *list, char separator, wb_error *error);
void wb_products_close(wb_products *products);

/* Where the exchange's list is, if it is wanted. from: "rest", a URL, a file; NULL: the codec's own REST API, if a word of the list needs one and own says that
 * the feed is the codec's own, too. */
typedef struct wb_products_source {
  const char *from, *ca_file;
  const wb_codec *codec;
  bool insecure, own;
} wb_products_source;

/* wb_products_open_listed is wb_products_open with that list; what it has to say goes to stderr, after "wirebook COMMAND: ". */
wb_products *wb_products_open_listed(char *const *list, const wb_products_source *source, const char *command, wb_error *error);

/* wb_products_deal deals them to the connections of a line (1..255): by the messages that an earlier run's report tells of each, or evenly where report is NULL.
 * Returns 0 or WB_E_CONFIG (a report that is none). */
int wb_products_deal(wb_products *products, unsigned connections, const char *report, wb_error *error);

/* wb_products_shard keeps those that are the share of one of several nodes, and takes out the others: shard is "N/M", node N (0..M - 1) of M (1..255). Dealt as
 * to connections; with the same list and the same report no two nodes have the same product, and none is left out. Before the table is anybody else's. Returns 0 or
 * WB_E_CONFIG (no shard, no report, no product left), WB_E_MEMORY. */
int wb_products_shard(wb_products *products, const char *shard, const char *report, wb_error *error);

#endif
