/* The code is included, not linked, so that the table behind machines without the instruction is tested on every machine. */
#include "engine/base/crc32.c"

#include <criterion/criterion.h>

#include "tests/unit/random.h"

/* IEEE 802.3, bit by bit. */
static uint32_t model(uint32_t crc, const uint8_t *bytes, size_t count) {
  crc = ~crc;
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
  }
  return ~crc;
}

Test(crc32, nothing_changes_nothing) {
  cr_expect_eq(wb_crc32(0, "", 0), 0);
  cr_expect_eq(wb_crc32(0x12345678, "", 0), 0x12345678);
}

Test(crc32, published_check_value) { cr_expect_eq(wb_crc32(0, "123456789", 9), 0xcbf43926); }

Test(crc32, every_length_from_any_start_equals_the_bitwise_model) {
  uint8_t bytes[600];
  seed();
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)next();
  for (size_t length = 0; length < sizeof bytes; length++) {
    uint32_t start = (uint32_t)next();
    cr_assert_eq(wb_crc32(start, bytes, length), model(start, bytes, length), "%zu bytes", length);
  }
}

Test(crc32, the_table_equals_the_bitwise_model) {
  uint8_t bytes[600];
  seed();
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)next();
  for (size_t length = 0; length < sizeof bytes; length++)
    cr_assert_eq(~crc_table(~UINT32_C(7), bytes, length), model(7, bytes, length), "%zu bytes", length);
}

Test(crc32, of_two_parts_is_that_of_the_whole_wherever_it_is_cut) {
  uint8_t bytes[300];
  seed();
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)next();
  for (size_t cut = 0; cut <= sizeof bytes; cut++)
    cr_assert_eq(wb_crc32(wb_crc32(0, bytes, cut), bytes + cut, sizeof bytes - cut), wb_crc32(0, bytes, sizeof bytes));
}
