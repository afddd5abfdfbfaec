#include <criterion/criterion.h>

#include "engine/base/decimal.h"
#include "engine/base/error.h"
#include "engine/base/ratio.h"
#include "tests/unit/random.h"

static void expect(unsigned __int128 numerator, unsigned __int128 denominator, unsigned decimals, const char *want) {
  __int128 value = 0;
  char text[WB_DECIMAL_TEXT_BYTES];
  cr_assert_eq(wb_ratio(numerator, denominator, decimals, &value), 0, "%s", want);
  wb_decimal_print(value, decimals, text);
  cr_expect_str_eq(text, want);
}

Test(ratio, what_has_no_value_is_refused_and_written_nowhere) {
  __int128 value = 7;
  const unsigned __int128 all = ~(unsigned __int128)0, largest = (unsigned __int128)1 << 124;
  cr_expect_eq(wb_ratio(1, 0, 2, &value), WB_E_INVALID);
  cr_expect_eq(wb_ratio(1, 1, 19, &value), WB_E_INVALID);
  cr_expect_eq(wb_ratio(1, largest + 1, 2, &value), WB_E_RANGE);
  cr_expect_eq(wb_ratio(all, 1, 0, &value), WB_E_RANGE);
  cr_expect_eq(wb_ratio(all / 2, 1, 1, &value), WB_E_RANGE);
  cr_expect_eq(wb_ratio(all, 2, 0, &value), WB_E_RANGE, "rounds up to 2^127");
  cr_expect(value == 7);
  cr_expect_eq(wb_ratio(all / 2, 1, 0, &value), 0);
  cr_expect(value == (__int128)(all / 2));
  cr_expect_eq(wb_ratio(largest - 1, largest, 18, &value), 0);
  cr_expect(value == (__int128)wb_pow10(18));
}

Test(ratio, halves_go_to_the_even_neighbour) {
  expect(1, 2, 0, "0");
  expect(3, 2, 0, "2");
  expect(5, 2, 0, "2");
  expect(1, 8, 2, "0.12");
  expect(3, 8, 2, "0.38");
  expect(1, 3, 18, "0.333333333333333333");
  expect(2, 3, 18, "0.666666666666666667");
  expect(999, 1000, 2, "1");
  expect(0, 5, 4, "0");
}

Test(ratio, what_is_given_is_never_further_from_the_fraction_than_half_a_unit) {
  seed();
  for (unsigned i = 0; i < 100000; i++) {
    uint64_t numerator = next() >> next() % 64, denominator = (next() >> next() % 63) | 1;
    unsigned decimals = (unsigned)(next() % 10);
    __int128 value;
    cr_assert_eq(wb_ratio(numerator, denominator >> 8 | 1, decimals, &value), 0);
    denominator = denominator >> 8 | 1;
    __int128 twice = 2 * ((__int128)numerator * wb_pow10(decimals) - value * denominator);
    cr_assert(twice <= (__int128)denominator && -twice <= (__int128)denominator, "%lu / %lu, %u", numerator, denominator,
              decimals);
    if (twice == (__int128)denominator || -twice == (__int128)denominator) cr_assert(value % 2 == 0);
  }
}
