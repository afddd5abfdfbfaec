#include "engine/base/products.h"

#include "engine/base/error.h"

static uint32_t slot_count(uint32_t capacity) {
  uint32_t count = 4;
  while (count < 2 * capacity) count *= 2;
  return count;
}

/* FNV-1a 64, folded; ids are short and looked up once a message at the most. */
static uint32_t hash_id(const char *id, size_t bytes) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ (uint8_t)id[i]) * UINT64_C(0x100000001b3);
  return (uint32_t)(hash ^ (hash >> 32));
}

size_t wb_products_bytes(uint32_t capacity) { return capacity * sizeof(wb_product) + slot_count(capacity) * sizeof(uint16_t); }

int wb_products_init(wb_products *products, void *memory, uint32_t capacity) {
  if (!memory || capacity < 1 || capacity > WB_PRODUCT_COUNT_MAX) return WB_E_INVALID;
  memset(memory, 0, wb_products_bytes(capacity));
  products->product = memory;
  products->slots = (uint16_t *)(void *)(products->product + capacity);
  products->count = 0;
  products->capacity = capacity;
  products->slot_mask = slot_count(capacity) - 1;
  return 0;
}

int wb_products_find(const wb_products *products, const char *id, size_t bytes) {
  if (bytes == 0 || bytes >= WB_PRODUCT_ID_BYTES) return -1;
  for (uint32_t slot = hash_id(id, bytes) & products->slot_mask; products->slots[slot];
       slot = (slot + 1) & products->slot_mask) {
    const wb_product *product = &products->product[products->slots[slot] - 1];
    if (product->id_bytes == bytes && memcmp(product->id, id, bytes) == 0) return products->slots[slot] - 1;
  }
  return -1;
}

int wb_products_add(wb_products *products, const char *id, size_t bytes) {
  if (bytes == 0 || bytes >= WB_PRODUCT_ID_BYTES) return WB_E_LIMIT;
  for (size_t i = 0; i < bytes; i++) {
    char c = id[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '/' || c == '.' || c == '_')) return WB_E_SYNTAX;
  }
  int known = wb_products_find(products, id, bytes);
  if (known >= 0) return known;
  if (products->count == products->capacity) return WB_E_FULL;
  wb_product *product = &products->product[products->count];
  memset(product, 0, sizeof *product);
  memcpy(product->id, id, bytes);
  product->id_bytes = (uint8_t)bytes;
  product->price_decimals = product->size_decimals = WB_DECIMALS_DEFAULT;
  uint32_t slot = hash_id(id, bytes) & products->slot_mask;
  while (products->slots[slot]) slot = (slot + 1) & products->slot_mask;
  products->slots[slot] = (uint16_t)(products->count + 1);
  return (int)products->count++;
}
