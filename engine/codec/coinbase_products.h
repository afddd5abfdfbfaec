/* coinbase_products.h - what Coinbase says of its products, row by row: ids, increments, status.
 *
 * Reads    the `status` message of the Exchange feed and of the Advanced Trade feed, and the answers of REST: Exchange's GET /products, an array of
 *          rows, and Advanced Trade's GET /market/products, an object of them. Currencies and whatever else lies beside the rows pass by.
 * Strict   the whole text is UTF-8 and JSON (RFC 8259) before the first row is handed over. A row that breaks the schema is handed over too, with
 *          its reason: one odd product among hundreds hides no other. What must be there: id or product_id, base_increment, and quote_increment or
 *          price_increment, which wins where both are there. Missing or null is everything else that is not said. Increments are strings, above zero; a key that is
 *          read and comes twice is bad_json, and so are both an id and a product_id; texts are of printable ASCII and fit WB_PRODUCT_ID_BYTES, else too_large.
 * Exact    an increment is value * 10^-decimals with the fewest decimals that hold it: 0.01 is 1 and 2, 0.25 is 25 and 2, 5 is 5 and 0. Its
 *          decimals are what a price, or a size, of the product needs.
 * Memory   none but the caller's stack. Threads: pure. Cost: every byte is looked at some five times; a list of 700 products, 600 KB, takes some milliseconds.
 * Source   https://docs.cdp.coinbase.com/exchange/websocket-feed/channels (status), .../exchange/reference/exchangerestapi_getproducts,
 *          .../api-reference/advanced-trade-api/rest-api/products/list-public-products */
#ifndef WB_CODEC_COINBASE_PRODUCTS_H
#define WB_CODEC_COINBASE_PRODUCTS_H

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/codec/json.h"
#include "engine/event.h"

/* An exact decimal, 0 where it was not said: value 0..WB_QUANTITY_MAX, decimals 0..WB_DECIMALS_MAX. */
typedef struct wb_increment {
  uint64_t value;
  uint8_t decimals;
} wb_increment;

/* One product. Texts are NUL-terminated, "" where not said. Advanced Trade's names: base_currency_id, quote_currency_id, quote_min_size for min_funds; alias is
 * the product whose data it gets, alias_to those that get its own. */
enum { WB_PRODUCT_ALIASES_MAX = 4 };
typedef struct wb_product_row {
  char id[WB_PRODUCT_ID_BYTES], base[WB_PRODUCT_ID_BYTES], quote[WB_PRODUCT_ID_BYTES], alias[WB_PRODUCT_ID_BYTES];
  char alias_to[WB_PRODUCT_ALIASES_MAX][WB_PRODUCT_ID_BYTES];
  wb_increment price, size;
  wb_increment min_funds; /* least worth of an order, in quote */
  uint32_t offset;        /* of a row that broke the schema: byte of the text where the trouble was seen */
  uint8_t reject;         /* wb_reject; where it is one, only what was read before it is there */
  uint8_t status;         /* wb_status */
  uint8_t type;           /* wb_product_type */
  uint8_t flags;          /* WB_PRODUCT_* */
  uint8_t alias_count;
} wb_product_row;

/* Where rows go, one by one, in the order of the text. A row is gone when put returns. */
typedef struct wb_product_rows {
  void (*put)(struct wb_product_rows *rows, const wb_product_row *row);
} wb_product_rows;

/* wb_coinbase_products_read puts each row of text[0..bytes) to rows; nothing is read past it. Returns how many there were, or WB_E_UTF8, WB_E_SYNTAX
 * where it is no JSON, WB_E_PROTOCOL where it is no list of products (an answer that says an error): then there was no row. error may be NULL. */
int wb_coinbase_products_read(const uint8_t *text, uint32_t bytes, wb_product_rows *rows, wb_error *error);

/* wb_coinbase_products_row reads the row that a value of a text that is known to be well formed is. Returns row->reject == WB_REJECT_NONE. */
bool wb_coinbase_products_row(const wb_json *json, wb_json_value value, wb_product_row *row);

#endif
