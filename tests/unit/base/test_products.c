#include "engine/base/products.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "tests/unit/random.h"

/* A table in memory of exactly the size that wb_products_bytes asks for, so that a sanitizer sees a byte too many. */
static wb_products table(uint32_t capacity) {
  size_t bytes = wb_products_bytes(capacity);
  void *memory = malloc(bytes);
  cr_assert(memory);
  memset(memory, 0xa5, bytes);
  wb_products products;
  cr_assert_eq(wb_products_init(&products, memory, capacity), 0);
  return products;
}

static int add(wb_products *products, const char *id) { return wb_products_add(products, id, strlen(id)); }
static int find(const wb_products *products, const char *id) { return wb_products_find(products, id, strlen(id)); }

Test(products, init_refuses_no_memory_and_capacities_outside_1_to_4096) {
  static _Alignas(64) uint8_t memory[64];
  wb_products products;
  cr_expect_eq(wb_products_init(&products, NULL, 1), WB_E_INVALID);
  cr_expect_eq(wb_products_init(&products, memory, 0), WB_E_INVALID);
  cr_expect_eq(wb_products_init(&products, memory, WB_PRODUCT_COUNT_MAX + 1), WB_E_INVALID);
  cr_expect_eq(wb_products_init(&products, memory, UINT32_MAX), WB_E_INVALID);
}

Test(products, add_refuses_lengths_outside_1_to_31) {
  wb_products products = table(4);
  cr_expect_eq(wb_products_add(&products, "A", 0), WB_E_LIMIT);
  cr_expect_eq(add(&products, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), WB_E_LIMIT);
  cr_expect_eq(wb_products_add(&products, "A", SIZE_MAX), WB_E_LIMIT);
  cr_expect_eq(products.count, 0);
  cr_expect_eq(add(&products, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 0);
  cr_expect_eq(products.product[0].id[31], '\0');
  free(products.product);
}

Test(products, add_refuses_every_byte_but_capitals_digits_dash_slash_dot_and_underscore) {
  wb_products products = table(300);
  for (int byte = 0; byte < 256; byte++) {
    char id[3] = {'X', (char)byte, 'Y'};
    bool good = byte != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/._", byte) != NULL;
    int got = wb_products_add(&products, id, 3);
    cr_expect(good ? got >= 0 : got == WB_E_SYNTAX, "byte %d gave %d", byte, got);
  }
  free(products.product);
}

Test(products, find_says_minus_1_for_anything_that_was_not_added) {
  wb_products products = table(4);
  add(&products, "BTC-USD");
  cr_expect_eq(wb_products_find(&products, "BTC-USD", 0), -1);
  cr_expect_eq(wb_products_find(&products, "BTC-USD", 6), -1);
  cr_expect_eq(wb_products_find(&products, "BTC-USD\0", 8), -1);
  cr_expect_eq(wb_products_find(&products, "BTC-USD", SIZE_MAX), -1);
  cr_expect_eq(find(&products, "btc-usd"), -1);
  cr_expect_eq(find(&products, "BTC-USDC"), -1);
  cr_expect_eq(find(&products, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), -1);
  cr_expect_eq(find(&products, "BTC-USD"), 0);
  free(products.product);
}

Test(products, a_full_table_still_knows_its_products) {
  wb_products products = table(2);
  cr_expect_eq(add(&products, "BTC-USD"), 0);
  cr_expect_eq(add(&products, "ETH-USD"), 1);
  cr_expect_eq(add(&products, "LTC-USD"), WB_E_FULL);
  cr_expect_eq(add(&products, "ETH-USD"), 1);
  cr_expect_eq(find(&products, "LTC-USD"), -1);
  cr_expect_eq(find(&products, "BTC-USD"), 0);
  free(products.product);
}

Test(products, a_new_product_is_padded_and_has_the_default_decimals) {
  wb_products products = table(1);
  add(&products, "BTC-USD");
  static const char padded[WB_PRODUCT_ID_BYTES] = "BTC-USD";
  cr_expect_eq(memcmp(products.product[0].id, padded, sizeof padded), 0);
  cr_expect_eq(products.product[0].id_bytes, 7);
  cr_expect_eq(products.product[0].price_decimals, WB_DECIMALS_DEFAULT);
  cr_expect_eq(products.product[0].size_decimals, WB_DECIMALS_DEFAULT);
  free(products.product);
}

Test(products, the_largest_table_can_be_filled) {
  wb_products products = table(WB_PRODUCT_COUNT_MAX);
  char id[32];
  for (int i = 0; i < WB_PRODUCT_COUNT_MAX; i++) {
    snprintf(id, sizeof id, "P%d-USD", i);
    cr_assert_eq(add(&products, id), i);
  }
  cr_assert_eq(add(&products, "ONE-MORE"), WB_E_FULL);
  for (int i = 0; i < WB_PRODUCT_COUNT_MAX; i++) {
    snprintf(id, sizeof id, "P%d-USD", i);
    cr_assert_eq(find(&products, id), i);
  }
  free(products.product);
}

Test(products, a_hundred_thousand_random_operations_equal_a_linear_list) {
  seed();
  enum { CAPACITY = 100 };
  static char list[CAPACITY][32];
  int count = 0;
  wb_products products = table(CAPACITY);
  for (unsigned turn = 0; turn < 100000; turn++) {
    char id[32];
    size_t length = 1 + next() % 3;
    for (size_t i = 0; i < length; i++) id[i] = "ABC-.7"[next() % 6];
    id[length] = '\0';
    int expected = -1;
    for (int i = 0; i < count; i++)
      if (strcmp(list[i], id) == 0) expected = i;
    cr_assert_eq(find(&products, id), expected, "%s", id);
    if (next() % 100 != 0) continue;
    if (expected < 0) {
      expected = count < CAPACITY ? count : WB_E_FULL;
      if (count < CAPACITY) strcpy(list[count++], id);
    }
    cr_assert_eq(add(&products, id), expected, "%s", id);
    cr_assert_eq((int)products.count, count);
  }
  cr_assert_eq(count, CAPACITY);
  free(products.product);
}

Test(products, an_index_is_never_given_to_another_id) {
  wb_products products = table(3);
  cr_assert_eq(add(&products, "BTC-USD"), 0);
  cr_assert_eq(add(&products, "ETH-USD"), 1);
  wb_products_remove(&products, 0);
  cr_assert(wb_product_removed(&products.product[0]));
  cr_assert_eq(find(&products, "BTC-USD"), 0);
  cr_assert_eq(add(&products, "LTC-USD"), 2);
  cr_assert_eq(add(&products, "BTC-USD"), 0);
  cr_assert_not(wb_product_removed(&products.product[0]));
  cr_assert_eq(products.count, 3u);
  free(products.product);
}

Test(products, a_new_product_has_the_decimals_and_the_part_that_were_said) {
  wb_products products = table(2);
  const wb_product like = {.id = "ZZZ", .price_decimals = 2, .size_decimals = 9, .part = 3, .removed = 1};
  cr_assert_eq(wb_products_add_as(&products, "ETH-USD", 7, &like), 0);
  const wb_product *own = products.product;
  cr_assert_str_eq(own->id, "ETH-USD");
  cr_assert(own->price_decimals == 2 && own->size_decimals == 9 && own->part == 3 && !own->removed);
  cr_assert_eq(wb_products_add_as(&products, "ETH-USD", 7, &(wb_product){.part = 1}), 0);
  cr_assert_eq(own->part, 3);
  free(products.product);
}

Test(products, a_head_shows_no_more_than_it_has_followed) {
  wb_products products = table(3), own = products;
  cr_assert_not(wb_products_follow(&own, &products));
  add(&products, "BTC-USD");
  cr_assert_eq(find(&own, "BTC-USD"), -1);
  cr_assert(wb_products_follow(&own, &products));
  cr_assert_eq(find(&own, "BTC-USD"), 0);
  add(&products, "ETH-USD");
  add(&products, "LTC-USD");
  cr_assert_eq(find(&own, "ETH-USD"), -1);
  cr_assert(wb_products_follow(&own, &products));
  cr_assert_not(wb_products_follow(&own, &products));
  cr_assert_eq(find(&own, "LTC-USD"), 2);
  wb_products_remove(&products, 1);
  cr_assert(wb_products_follow(&own, &products));
  wb_products_remove(&products, 1);
  add(&products, "BTC-USD");
  cr_assert_not(wb_products_follow(&own, &products), "nothing has changed");
  free(products.product);
}
