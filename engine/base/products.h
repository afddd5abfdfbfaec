/* products.h - the products of a node: id <-> index, read by every stage, growing while it runs.
 *
 * Shape:   append-only. An index is never given to another id; a product that is removed stays in its place and may come back.
 * Memory:  given by the caller, nothing allocated.
 * Threads: one writes (the control thread). The others read by heads of their own (wb_products_follow), which show them no more than they have
 *          followed. Edge P1, see docs/threading.md. */
#ifndef WB_BASE_PRODUCTS_H
#define WB_BASE_PRODUCTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/limits.h"

/* id is NUL-padded to its whole width, so ids compare as four words. Where increments are known (the exchange's list of products)
 * price_decimals and size_decimals follow from them; WB_DECIMALS_DEFAULT otherwise. part: which connection of a line carries it. All of it
 * is constant from its publication on, but removed (W writer, R any, relaxed). */
typedef struct wb_product {
  char id[WB_PRODUCT_ID_BYTES];
  uint8_t id_bytes;
  uint8_t price_decimals, size_decimals;
  uint8_t part;
  uint32_t removed; /* 1: nobody wants it any more */
} wb_product;
_Static_assert(sizeof(wb_product) == 40, "five words");

/* A head. slots: open addressing, power of two >= 2 * capacity, index + 1 or 0 for empty. version grows with each change. */
typedef struct wb_products {
  wb_product *product;
  uint16_t *slots;
  uint32_t count; /* [P1] */
  uint32_t capacity, slot_mask;
  uint64_t version; /* [P1] */
} wb_products;

/* wb_products_bytes returns the memory wb_products_init needs for capacity (1..WB_PRODUCT_COUNT_MAX) products. */
size_t wb_products_bytes(uint32_t capacity);

/* wb_products_init makes an empty table in memory (64-byte aligned, zeroed or not, wb_products_bytes long). Returns 0 or
 * WB_E_INVALID. */
int wb_products_init(wb_products *products, void *memory, uint32_t capacity);

/* wb_products_add adds an id (1..31 bytes of 'A'-'Z', '0'-'9', '-', '/', '.', '_') and returns its index; the index it already has
 * if it was added before, then it is no longer removed; WB_E_SYNTAX for another character, WB_E_LIMIT for a wrong length, WB_E_FULL when the
 * table is full. wb_products_add_as also says decimals (0..WB_DECIMALS_MAX) and part of one that is new. Writer. */
int wb_products_add(wb_products *products, const char *id, size_t bytes);
int wb_products_add_as(wb_products *products, const char *id, size_t bytes, const wb_product *like);

/* wb_products_remove marks a product as removed. Writer. */
void wb_products_remove(wb_products *products, uint32_t index);

/* wb_products_find returns the index of an id of any bytes, or -1. O(1), no more than one probe on average. */
int wb_products_find(const wb_products *products, const char *id, size_t bytes);

/* wb_products_follow makes *own, a copy of the head that belongs to the calling thread, show what has been published by now. Returns
 * whether anything changed. Any thread; one load where nothing did. */
bool wb_products_follow(wb_products *own, const wb_products *products);

/* wb_product_removed: any thread that has followed. */
static inline bool wb_product_removed(const wb_product *product) {
  return __atomic_load_n(&product->removed, __ATOMIC_RELAXED);
}

#endif
