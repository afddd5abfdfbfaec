#include <criterion/criterion.h>
#include <stdio.h>

#include "tools/mock_limits.c"

Test(mock_limits, a_burst_is_let_through_and_then_so_many_a_second) {
  const wb_mock_rate rate = {8, 20};
  uint64_t used = 0, now = 5 * SECOND_NS;
  for (int i = 0; i < 20; i++) cr_assert(wb_mock_rate_take(&rate, &used, now));
  for (int i = 0; i < 3; i++) cr_assert_not(wb_mock_rate_take(&rate, &used, now));
  for (int i = 0; i < 100; i++) {
    cr_assert_not(wb_mock_rate_take(&rate, &used, now + SECOND_NS / 8 - 1));
    now += SECOND_NS / 8;
    cr_assert(wb_mock_rate_take(&rate, &used, now));
  }
  now += 3600 * SECOND_NS;
  for (int i = 0; i < 20; i++) cr_assert(wb_mock_rate_take(&rate, &used, now), "what was not used is no more than one burst");
  cr_assert_not(wb_mock_rate_take(&rate, &used, now));
}

Test(mock_limits, no_rate_is_no_limit_and_a_burst_of_one_is_one_at_a_time) {
  const wb_mock_rate none = {0, 0}, one = {1, 1};
  uint64_t used = 0;
  for (int i = 0; i < 1000; i++) cr_assert(wb_mock_rate_take(&none, &used, 7));
  used = 0;
  cr_assert(wb_mock_rate_take(&one, &used, SECOND_NS));
  cr_assert_not(wb_mock_rate_take(&one, &used, SECOND_NS));
  cr_assert(wb_mock_rate_take(&one, &used, 2 * SECOND_NS));
}

Test(mock_limits, an_address_is_known_again_and_the_one_still_for_longest_gives_way) {
  static wb_mock_source source[WB_MOCK_SOURCES_MAX];
  char address[32];
  for (int i = 0; i < WB_MOCK_SOURCES_MAX; i++) {
    snprintf(address, sizeof address, "127.0.0.%d", i);
    wb_mock_source *made = wb_mock_source_of(source, address);
    cr_assert_eq(made, wb_mock_source_of(source, address));
    made->requests_ns = (uint64_t)(1000 + i);
  }
  source[0].clients = 1;
  cr_assert_eq(wb_mock_source_of(source, "::1"), &source[1]);
  cr_assert_eq(source[1].requests_ns, 0u);
  cr_assert_eq(wb_mock_source_of(source, "127.0.0.0"), &source[0]);
  cr_assert_eq(source[0].requests_ns, 1000u);
}
