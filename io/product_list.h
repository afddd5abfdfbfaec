/* product_list.h - what an exchange lists, and what is chosen of it.
 *
 * Words    BTC-USD         that product, whatever its state; BTC means BTC-USD, and BTC-USD BTC/USD where the feed's ids have a slash. Where there is a list it must be on it
 *          all             every product that trades
 *          *-USD, BTC-*    those of them whose id matches: * any text, ? any character
 *          quote:USD       those of them that are paid in USD
 *          !DOGE-*         not these, of what the three above choose; also !quote:EUR
 * Order    named products in the order of the words, then the others in that of the list.
 * Alias    a product that gets another one's data (-USDC on Advanced Trade) is left out where that one is chosen.
 * Memory   allocated, grows with the rows. Threads: cold, one. */
#ifndef WB_IO_PRODUCT_LIST_H
#define WB_IO_PRODUCT_LIST_H

#include <stdbool.h>

#include "engine/base/error.h"
#include "engine/base/products.h"

/* One row. Texts are NUL-terminated, "" where not said. */
typedef struct wb_listed {
  char id[WB_PRODUCT_ID_BYTES], quote[WB_PRODUCT_ID_BYTES];
  char alias[WB_PRODUCT_ID_BYTES]; /* the product whose data it gets */
  uint8_t price_decimals, size_decimals;
  bool trades;
} wb_listed;

typedef struct wb_product_list {
  wb_listed *row;
  uint32_t count, capacity;
} wb_product_list;

/* wb_product_list_add appends a row; false where memory is out. wb_product_list_free empties the list. */
bool wb_product_list_add(wb_product_list *list, const wb_listed *row);
void wb_product_list_free(wb_product_list *list);

/* wb_product_list_wanted: a word is one that only a list can answer. */
bool wb_product_list_wanted(char *const *word);

/* wb_product_list_choose adds what the words (NULL-terminated, in any case) choose to the table, with their decimals. list: NULL if there is none. warn is told, a
 * line each, what was chosen though it does not trade or left out though it was named. Returns 0, or WB_E_CONFIG: a word that is no product id,
 * that is not on the list (with the nearest that are), that needs a list or chooses nothing, more products than a table holds, or none at all. */
int wb_product_list_choose(const wb_product_list *list, char *const *word, char separator, wb_products *products,
                           void (*warn)(void *self, const char *text), void *self, wb_error *error);

/* wb_product_list_nearest writes up to three ids of the list that are most like id, and equally so, separated by commas; "" if none is. */
void wb_product_list_nearest(const wb_product_list *list, const char *id, char *text, size_t size);

/* wb_glob_match: * any text, ? any character. O(pattern * text). */
bool wb_glob_match(const char *pattern, const char *text);

#endif
