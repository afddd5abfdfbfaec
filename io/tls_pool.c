#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/limits.h"
#include "io/tls_private.h"

enum { CLASS_BITS_MIN = 6, CLASS_BITS_MAX = 16, CLASS_COUNT = CLASS_BITS_MAX - CLASS_BITS_MIN + 1, WARM_BLOCKS = 4 };

typedef struct block {
  _Alignas(16) size_t bytes; /* of the class, or as asked for when larger than all classes */
} block;

typedef struct kept {
  _Alignas(WB_CACHE_PAIR_BYTES) block *_Atomic slot[WB_TLS_POOL_KEPT];
} kept;

static kept classes[CLASS_COUNT];
_Thread_local bool wb_tls_pool_wipes;

static unsigned class_of(size_t bytes) {
  if (bytes <= (size_t)1 << CLASS_BITS_MIN) return 0;
  return 64 - CLASS_BITS_MIN - (unsigned)__builtin_clzll(bytes - 1);
}

void *wb_tls_pool_take(size_t bytes) {
  if (bytes > SIZE_MAX - sizeof(block)) return NULL;
  unsigned class = class_of(bytes);
  if (class < CLASS_COUNT) {
    bytes = (size_t)1 << (class + CLASS_BITS_MIN);
    for (int i = 0; i < WB_TLS_POOL_KEPT; i++) {
      if (!atomic_load_explicit(&classes[class].slot[i], memory_order_relaxed)) continue;
      block *b = atomic_exchange_explicit(&classes[class].slot[i], NULL, memory_order_acquire); /* [give] */
      if (b) return b + 1;
    }
  }
  block *b = malloc(sizeof *b + bytes);
  if (!b) return NULL;
  b->bytes = bytes;
  return b + 1;
}

void wb_tls_pool_give(void *memory) {
  if (!memory) return;
  block *b = (block *)memory - 1;
  unsigned class = class_of(b->bytes);
  if (wb_tls_pool_wipes) explicit_bzero(memory, b->bytes);
  for (int i = 0; class < CLASS_COUNT && i < WB_TLS_POOL_KEPT; i++) {
    block *none = NULL;
    if (atomic_load_explicit(&classes[class].slot[i], memory_order_relaxed)) continue;
    if (atomic_compare_exchange_strong_explicit(&classes[class].slot[i], &none, b, memory_order_release, /* [take] */
                                                memory_order_relaxed))
      return;
  }
  free(b);
}

void wb_tls_pool_warm(void) {
  for (unsigned kind = 0; kind < CLASS_COUNT; kind++) {
    void *memory[WARM_BLOCKS];
    for (unsigned i = 0; i < WARM_BLOCKS; i++) memory[i] = wb_tls_pool_take((size_t)1 << (kind + CLASS_BITS_MIN));
    for (unsigned i = 0; i < WARM_BLOCKS; i++) wb_tls_pool_give(memory[i]);
  }
}

void *wb_tls_pool_resize(void *memory, size_t bytes) {
  size_t before = memory ? ((block *)memory - 1)->bytes : 0;
  if (memory && bytes <= before) return memory;
  void *larger = wb_tls_pool_take(bytes);
  if (!larger) return NULL;
  if (memory) memcpy(larger, memory, before);
  wb_tls_pool_give(memory);
  return larger;
}
