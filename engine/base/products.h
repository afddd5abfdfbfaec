/* products.h - the products of a node: id <-> index, fixed at open, read by every stage.
 *
 * Memory: given by the caller, nothing allocated. Threads: written before start, then read-only and shared freely. */
#ifndef WB_BASE_PRODUCTS_H
#define WB_BASE_PRODUCTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/limits.h"

/* id is NUL-padded to its whole width, so ids compare as four words. Where increments are known (option, status channel)
 * price_decimals and size_decimals say them; WB_DECIMALS_DEFAULT otherwise. */
typedef struct wb_product {
  char id[WB_PRODUCT_ID_BYTES];
  uint8_t id_bytes;
  uint8_t price_decimals, size_decimals;
  uint8_t reserved[5];
} wb_product;

/* slots: open addressing, power of two >= 2 * capacity, index + 1 or 0 for empty. */
typedef struct wb_products {
  wb_product *product;
  uint16_t *slots;
  uint32_t count, capacity, slot_mask;
} wb_products;

/* wb_products_bytes returns the memory wb_products_init needs for capacity (1..WB_PRODUCT_COUNT_MAX) products. */
size_t wb_products_bytes(uint32_t capacity);

/* wb_products_init makes an empty table in memory (64-byte aligned, zeroed or not, wb_products_bytes long). Returns 0 or
 * WB_E_INVALID. */
int wb_products_init(wb_products *products, void *memory, uint32_t capacity);

/* wb_products_add adds an id (1..31 bytes of 'A'-'Z', '0'-'9', '-', '/', '.', '_') and returns its index; the index it already has
 * if it was added before; WB_E_SYNTAX for another character, WB_E_LIMIT for a wrong length, WB_E_FULL when the table is full.
 */
int wb_products_add(wb_products *products, const char *id, size_t bytes);

/* wb_products_find returns the index of an id of any bytes, or -1. O(1), no more than one probe on average. */
int wb_products_find(const wb_products *products, const char *id, size_t bytes);

#endif
