/* P1: one thread adds products and removes some, which come back; readers follow the table and find every product that they have been shown, with all that
 * was said of it, under its own index and no other, and none that they have not. Again and again, with a table that begins empty. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/products.h"

#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 40 };
#else
enum { ROUNDS = 400 };
#endif
enum { READERS = 2, PRODUCTS = 1000 };

static wb_products products;
static pthread_barrier_t begin, end;

static int name(uint32_t i, char id[WB_PRODUCT_ID_BYTES]) {
  return snprintf(id, WB_PRODUCT_ID_BYTES, "P%u-%s", i, i % 3 ? "USD" : "EUR");
}

static void fail(const char *what, uint32_t i) {
  printf("stress_products: %s, product %u\n", what, i);
  exit(1);
}

static void look(const wb_products *own, uint32_t from) {
  char id[WB_PRODUCT_ID_BYTES];
  for (uint32_t i = from; i < own->count; i++) {
    const wb_product *product = &own->product[i];
    int bytes = name(i, id);
    if (wb_products_find(own, id, (size_t)bytes) != (int)i) fail("not found", i);
    if (strcmp(product->id, id) != 0 || product->id_bytes != bytes) fail("another id", i);
    if (product->price_decimals != i % 19 || product->size_decimals != i % 7 || product->part != i % 16)
      fail("not all was shown", i);
  }
  int bytes = name(own->count, id);
  if (wb_products_find(own, id, (size_t)bytes) >= 0) fail("shown too soon", own->count);
}

static void *reader(void *follows) {
  uint64_t count = 0;
  for (unsigned round = 0; round < ROUNDS; round++) {
    pthread_barrier_wait(&begin);
    wb_products own = products; /* the head of an empty table */
    pthread_barrier_wait(&begin);
    while (own.count < PRODUCTS || wb_product_removed(&own.product[0])) {
      uint32_t before = own.count;
      if (!wb_products_follow(&own, &products)) continue;
      count++;
      look(&own, before);
      if (own.count == PRODUCTS) look(&own, 0);
    }
    for (uint32_t i = 0; i < PRODUCTS; i++)
      if (wb_product_removed(&own.product[i]) != (i % 5 == 3)) fail("removed, or not", i);
    pthread_barrier_wait(&end);
  }
  *(uint64_t *)follows = count;
  return NULL;
}

int main(void) {
  pthread_t thread[READERS];
  uint64_t follows[READERS];
  void *memory = aligned_alloc(64, (wb_products_bytes(PRODUCTS) + 63) & ~(size_t)63);
  if (!memory) return 1;
  pthread_barrier_init(&begin, NULL, READERS + 1);
  pthread_barrier_init(&end, NULL, READERS + 1);
  for (unsigned i = 0; i < READERS; i++) pthread_create(&thread[i], NULL, reader, &follows[i]);
  for (unsigned round = 0; round < ROUNDS; round++) {
    char id[WB_PRODUCT_ID_BYTES];
    wb_products_init(&products, memory, PRODUCTS);
    pthread_barrier_wait(&begin);
    pthread_barrier_wait(&begin);
    for (uint32_t i = 0; i < PRODUCTS; i++) {
      const wb_product like = {.price_decimals = i % 19, .size_decimals = i % 7, .part = i % 16};
      if (wb_products_add_as(&products, id, (size_t)name(i, id), &like) != (int)i) fail("not added", i);
      if (i == 10) wb_products_remove(&products, 0); /* it comes back last of all */
      if (i % 5 == 3) wb_products_remove(&products, i);
      if (i % 16 == 0) sched_yield(); /* where there are fewer CPUs than threads */
    }
    wb_products_add(&products, id, (size_t)name(0, id));
    pthread_barrier_wait(&end);
  }
  for (unsigned i = 0; i < READERS; i++) pthread_join(thread[i], NULL);
  printf("stress_products: %d tables of %d products, %llu and %llu looks\n", ROUNDS, PRODUCTS, (unsigned long long)follows[0],
         (unsigned long long)follows[1]);
  free(memory);
  return 0;
}
