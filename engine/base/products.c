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
  products->version = 0;
  products->capacity = capacity;
  products->slot_mask = slot_count(capacity) - 1;
  return 0;
}

int wb_products_find(const wb_products *products, const char *id, size_t bytes) {
  if (bytes == 0 || bytes >= WB_PRODUCT_ID_BYTES) return -1;
  uint32_t found;
  for (uint32_t slot = hash_id(id, bytes) & products->slot_mask;
       (found = __atomic_load_n(&products->slots[slot], __ATOMIC_RELAXED)); slot = (slot + 1) & products->slot_mask) {
    if (found > products->count) continue; /* its bytes are not to be read yet */
    const wb_product *product = &products->product[found - 1];
    if (product->id_bytes == bytes && memcmp(product->id, id, bytes) == 0) return (int)found - 1;
  }
  return -1;
}

static void publish(wb_products *products) {
  __atomic_store_n(&products->version, products->version + 1, __ATOMIC_RELEASE);
} /* P1 */

static void mark(wb_products *products, int index, uint32_t removed) {
  wb_product *product = &products->product[index];
  if (product->removed == removed) return;
  __atomic_store_n(&product->removed, removed, __ATOMIC_RELAXED);
  publish(products);
}

int wb_products_add_as(wb_products *products, const char *id, size_t bytes, const wb_product *like) {
  if (bytes == 0 || bytes >= WB_PRODUCT_ID_BYTES) return WB_E_LIMIT;
  for (size_t i = 0; i < bytes; i++) {
    char c = id[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '/' || c == '.' || c == '_')) return WB_E_SYNTAX;
  }
  int known = wb_products_find(products, id, bytes);
  if (known >= 0) {
    mark(products, known, 0);
    return known;
  }
  if (products->count == products->capacity) return WB_E_FULL;
  wb_product *product = &products->product[products->count];
  *product = (wb_product){.id_bytes = (uint8_t)bytes,
                          .price_decimals = like->price_decimals,
                          .size_decimals = like->size_decimals,
                          .part = like->part};
  memcpy(product->id, id, bytes);
  uint32_t slot = hash_id(id, bytes) & products->slot_mask;
  while (products->slots[slot]) slot = (slot + 1) & products->slot_mask;
  __atomic_store_n(&products->slots[slot], (uint16_t)(products->count + 1), __ATOMIC_RELAXED);
  __atomic_store_n(&products->count, products->count + 1, __ATOMIC_RELEASE); /* P1 */
  publish(products);
  return (int)products->count - 1;
}

int wb_products_add(wb_products *products, const char *id, size_t bytes) {
  static const wb_product plain = {.price_decimals = WB_DECIMALS_DEFAULT, .size_decimals = WB_DECIMALS_DEFAULT};
  return wb_products_add_as(products, id, bytes, &plain);
}

void wb_products_remove(wb_products *products, uint32_t index) { mark(products, (int)index, 1); }

bool wb_products_follow(wb_products *own, const wb_products *products) {
  uint64_t version = __atomic_load_n(&products->version, __ATOMIC_ACQUIRE); /* P1 */
  if (own->version == version) return false;
  own->version = version;
  own->count = __atomic_load_n(&products->count, __ATOMIC_ACQUIRE); /* P1: it may be newer than the version */
  return true;
}
