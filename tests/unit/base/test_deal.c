#include "engine/base/deal.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/random.h"

enum { MOST = 1000 };

static uint64_t weight[MOST];
static uint32_t order[MOST + 1];
static uint8_t part[MOST + 1];

static uint64_t heavy(uint64_t own) { return own ? own : 1; }

/* Deals, and checks what holds of every deal: each product has one of the connections, nothing is written behind the last, and no two connections
 * differ by more than the heaviest product. */
static void deal(uint32_t count, uint32_t parts) {
  memset(part, 0xa5, sizeof part);
  order[count] = 0xa5a5a5a5;
  wb_deal(weight, count, parts, order, part);
  uint64_t load[255] = {0}, heaviest = 0, least = UINT64_MAX, most = 0;
  for (uint32_t i = 0; i < count; i++) {
    cr_assert_lt(part[i], parts, "product %u of %u", i, count);
    load[part[i]] += heavy(weight[i]);
    if (heavy(weight[i]) > heaviest) heaviest = heavy(weight[i]);
  }
  for (uint32_t j = 0; j < parts; j++) {
    least = load[j] < least ? load[j] : least;
    most = load[j] > most ? load[j] : most;
  }
  cr_assert_leq(most - least, heaviest, "%u products, %u parts", count, parts);
  cr_assert_eq(part[count], 0xa5);
  cr_assert_eq(order[count], 0xa5a5a5a5);
}

Test(deal, no_products_and_one_connection_are_dealt_too) {
  deal(0, 1);
  deal(0, 255);
  weight[0] = 7;
  deal(1, 1);
  deal(1, 255);
  deal(MOST, 1);
}

Test(deal, equal_weights_are_dealt_in_turn) {
  for (uint32_t i = 0; i < 10; i++) weight[i] = 5;
  deal(10, 4);
  for (uint32_t i = 0; i < 10; i++) cr_assert_eq(part[i], i % 4);
}

Test(deal, products_of_no_weight_are_spread_as_well) {
  memset(weight, 0, sizeof weight);
  deal(400, 4);
  unsigned count[4] = {0};
  for (uint32_t i = 0; i < 400; i++) count[part[i]]++;
  for (uint32_t j = 0; j < 4; j++) cr_assert_eq(count[j], 100u);
}

Test(deal, the_heaviest_are_kept_apart) {
  memset(weight, 0, sizeof weight);
  weight[3] = 1000, weight[7] = 900, weight[9] = 800;
  deal(10, 3);
  cr_assert(part[3] != part[7] && part[7] != part[9] && part[3] != part[9]);
}

Test(deal, ten_thousand_random_deals_are_whole_and_balanced_and_come_out_the_same_again) {
  seed();
  for (unsigned turn = 0; turn < 10000; turn++) {
    uint32_t count = (uint32_t)(next() % 200), parts = 1 + (uint32_t)(next() % 16);
    unsigned bits = (unsigned)(next() % 50);
    for (uint32_t i = 0; i < count; i++) weight[i] = next() >> (14 + bits);
    deal(count, parts);
    uint8_t before[200];
    memcpy(before, part, count);
    deal(count, parts);
    cr_assert_eq(memcmp(before, part, count), 0);
  }
}

Test(deal, a_product_that_comes_later_goes_to_the_connection_with_the_fewest_that_are_wanted) {
  static _Alignas(64) uint8_t memory[4096];
  wb_products products;
  cr_assert_leq(wb_products_bytes(16), sizeof memory);
  wb_products_init(&products, memory, 16);
  cr_assert_eq(wb_deal_next(&products, 1), 0);
  cr_assert_eq(wb_deal_next(&products, 255), 0);
  static const char *const ids[] = {"A-B", "C-D", "E-F", "G-H", "I-J", "K-L"};
  for (unsigned i = 0; i < 6; i++) {
    const wb_product like = {.part = wb_deal_next(&products, 3)};
    cr_assert_eq(like.part, i % 3);
    wb_products_add_as(&products, ids[i], 3, &like);
  }
  wb_products_remove(&products, 1);
  uint32_t count[3];
  wb_deal_count(&products, 3, count);
  cr_assert(count[0] == 2 && count[1] == 1 && count[2] == 2);
  cr_assert_eq(wb_deal_next(&products, 3), 1);
}
