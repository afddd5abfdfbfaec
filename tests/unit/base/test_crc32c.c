/* The code is included, not linked, so that the table behind machines without the instruction is tested on every machine. */
#include "engine/base/crc32c.c"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/random.h"

/* RFC 3720, bit by bit. */
static uint32_t model(uint32_t crc, const uint8_t *bytes, size_t count) {
  crc = ~crc;
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
  }
  return ~crc;
}

static uint8_t bytes[20000];

static void fill(void) {
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)next();
}

Test(crc32c, nothing_changes_nothing) {
  cr_expect_eq(wb_crc32c(0, "", 0), 0);
  cr_expect_eq(wb_crc32c(0x12345678, "", 0), 0x12345678);
}

Test(crc32c, published_check_values) {
  cr_expect_eq(wb_crc32c(0, "123456789", 9), 0xe3069283);
  uint8_t text[48] = {0};
  cr_expect_eq(wb_crc32c(0, text, 32), 0x8a9136aa, "RFC 3720 B.4: 32 bytes of zeroes");
  memset(text, 0xff, 32);
  cr_expect_eq(wb_crc32c(0, text, 32), 0x62a8ab43, "RFC 3720 B.4: 32 bytes of ones");
  for (unsigned i = 0; i < 32; i++) text[i] = (uint8_t)i;
  cr_expect_eq(wb_crc32c(0, text, 32), 0x46dd794e, "RFC 3720 B.4: 32 bytes of incrementing 00..1f");
  for (unsigned i = 0; i < 32; i++) text[i] = (uint8_t)(31 - i);
  cr_expect_eq(wb_crc32c(0, text, 32), 0x113fdb5c, "RFC 3720 B.4: 32 bytes of decrementing 1f..00");
  static const uint8_t command[48] = {0x01, 0xc0, [16] = 0x14, [20] = 0, 0, 0x04, [24] = 0, 0,
                                      0,    0x14, 0,           0,        0, 0x18, 0x28,     [40] = 0x02};
  cr_expect_eq(wb_crc32c(0, command, 48), 0xd9963a56, "RFC 3720 B.4: an iSCSI SCSI Read command PDU");
}

Test(crc32c, every_length_at_every_alignment_equals_the_bitwise_model) {
  seed();
  fill();
  for (size_t length = 0; length < 800; length++)
    cr_assert_eq(wb_crc32c(7, bytes + length % 16, length), model(7, bytes + length % 16, length), "%zu bytes", length);
}

Test(crc32c, the_table_equals_the_bitwise_model) {
  seed();
  fill();
  for (size_t length = 0; length < 600; length++)
    cr_assert_eq(~crc_table(~UINT32_C(7), bytes, length), model(7, bytes, length), "%zu bytes", length);
}

Test(crc32c, random_lengths_and_starting_values_equal_the_table) {
  seed();
  fill();
  for (unsigned turn = 0; turn < 20000; turn++) {
    size_t at = next() % 64, length = turn % 8 == 0 ? next() % (sizeof bytes - 64) : next() % 1000;
    uint32_t crc = (uint32_t)next();
    cr_assert_eq(wb_crc32c(crc, bytes + at, length), ~crc_table(~crc, bytes + at, length), "%zu bytes at %zu", length, at);
  }
}

Test(crc32c, any_cut_gives_the_crc_of_the_whole) {
  seed();
  fill();
  for (unsigned turn = 0; turn < 2000; turn++) {
    size_t length = next() % sizeof bytes, done = 0;
    uint32_t whole = wb_crc32c(0, bytes, length), parts = 0;
    while (done < length) {
      size_t part = 1 + next() % (length - done);
      parts = wb_crc32c(parts, bytes + done, part);
      done += part;
    }
    cr_assert_eq(parts, whole);
  }
  uint32_t one_by_one = 0;
  for (size_t i = 0; i < sizeof bytes; i++) one_by_one = wb_crc32c(one_by_one, bytes + i, 1);
  cr_assert_eq(one_by_one, wb_crc32c(0, bytes, sizeof bytes));
}

Test(crc32c, every_single_bit_matters) {
  seed();
  fill();
  uint32_t whole = wb_crc32c(0, bytes, 4000);
  for (size_t bit = 0; bit < 4000 * 8; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    cr_assert_neq(wb_crc32c(0, bytes, 4000), whole, "bit %zu", bit);
    bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
}
