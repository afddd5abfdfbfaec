#include "io/memory.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page;

static void set_up(void) { page = (size_t)sysconf(_SC_PAGESIZE); }

TestSuite(memory, .init = set_up);

Test(memory, a_mirror_of_a_wrong_size_is_refused_with_a_reason) {
  const size_t bad[] = {0, 1, page - 1, page + 1, page / 2, 3 * page, 5 * page, SIZE_MAX, SIZE_MAX / 2 + 1};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    wb_error error = {0};
    cr_expect_null(wb_mirror_open(bad[i], false, &error), "%zu", bad[i]);
    cr_expect_eq(error.code, WB_E_INVALID, "%zu", bad[i]);
    cr_expect_neq(error.detail[0], '\0');
    cr_expect_null(wb_mirror_open(bad[i], false, NULL));
  }
}

static unsigned mappings(void) {
  FILE *file = fopen("/proc/self/maps", "re");
  unsigned lines = 0;
  for (int c; file && (c = fgetc(file)) != EOF;) lines += c == '\n';
  if (file) fclose(file);
  return lines;
}

static int first_free_file(void) {
  int file = dup(0);
  close(file);
  return file;
}

Test(memory, a_mirror_that_cannot_be_had_leaves_nothing_behind) {
  wb_error error = {0};
  unsigned before = mappings();
  int file = first_free_file();
  for (int i = 0; i < 50; i++) {
    cr_expect_null(wb_mirror_open(SIZE_MAX / 16 + 1, false, &error));
    cr_expect_neq(error.code, 0);
    cr_expect_neq(error.os_errno, 0);
  }
  cr_expect_eq(first_free_file(), file);
  cr_expect_leq(mappings(), before + 4);
}

Test(memory, both_halves_of_a_mirror_are_the_same_bytes) {
  for (size_t bytes = page; bytes <= 4 << 20; bytes *= 4) {
    wb_error error = {0};
    uint8_t *base = wb_mirror_open(bytes, bytes % (64 * page) == 0, &error);
    cr_assert(base, "%s", error.detail);
    for (size_t i = 0; i < 2 * bytes; i += 97) cr_assert_eq(base[i], 0);
    for (size_t i = 0; i < bytes; i++) base[i] = (uint8_t)(i * 31 + i / 253);
    cr_assert_eq(memcmp(base, base + bytes, bytes), 0);
    for (size_t i = 0; i < bytes; i++) base[bytes + i] = (uint8_t)(i * 17 + i / 251);
    cr_assert_eq(memcmp(base, base + bytes, bytes), 0);
    memset(base + bytes - 100, 'x', 200);
    cr_assert(base[0] == 'x' && base[99] == 'x' && base[2 * bytes - 1] == 'x');
    wb_mirror_close(base, bytes);
  }
}

Test(memory, a_page_of_zeros_follows_a_mirror) {
  uint8_t *base = wb_mirror_open(16 * page, true, NULL);
  memset(base, 0xff, 32 * page);
  for (size_t i = 0; i < page; i++) cr_assert_eq(base[32 * page + i], 0);
  wb_mirror_close(base, 16 * page);
}

Test(memory, the_page_behind_a_mirror_is_only_for_reading) {
  uint8_t *base = wb_mirror_open(16 * page, false, NULL);
  int ends[2];
  cr_assert(base && pipe(ends) == 0);
  cr_assert_eq(write(ends[1], "xy", 2), 2);
  cr_expect_eq(read(ends[0], base + 32 * page, 1), -1);
  cr_expect_eq(errno, EFAULT);
  cr_expect_eq(read(ends[0], base + 32 * page - 1, 1), 1);
  cr_expect(base[32 * page - 1] == 'x' && base[32 * page] == 0);
  close(ends[0]);
  close(ends[1]);
  wb_mirror_close(base, 16 * page);
}

Test(memory, a_prefaulted_mirror_is_resident_in_both_halves) {
  const size_t bytes = 64 * page;
  unsigned char resident[128] = {0};
  uint8_t *base = wb_mirror_open(bytes, true, NULL);
  cr_assert(base);
  cr_assert_eq(mincore(base, 2 * bytes, resident), 0);
  for (unsigned i = 0; i < 128; i++) cr_expect(resident[i] & 1, "page %u", i);
  wb_mirror_close(base, bytes);
}

Test(memory, a_closed_mirror_gives_everything_back) {
  wb_mirror_close(wb_mirror_open(page, true, NULL), page);
  unsigned before = mappings();
  int file = first_free_file();
  for (int i = 0; i < 2000; i++) {
    size_t bytes = i % 100 == 0 ? 4 << 20 : page << i % 4;
    void *base = wb_mirror_open(bytes, i % 2 == 0, NULL);
    cr_assert(base);
    wb_mirror_close(base, bytes);
  }
  cr_expect_eq(first_free_file(), file);
  cr_expect_leq(mappings(), before + 4);
}

Test(memory, mirrors_do_not_share_memory_with_one_another) {
  uint8_t *a = wb_mirror_open(page, false, NULL), *b = wb_mirror_open(page, false, NULL);
  memset(a, 'a', page);
  memset(b, 'b', page);
  cr_expect(a[0] == 'a' && a[2 * page - 1] == 'a' && b[0] == 'b');
  wb_mirror_close(a, page);
  wb_mirror_close(b, page);
}

Test(memory, closing_nothing_does_nothing) {
  wb_mirror_close(NULL, page);
  wb_arena_close(NULL, page);
}

Test(memory, an_arena_of_no_bytes_or_too_many_is_refused_with_a_reason) {
  wb_error error = {0};
  cr_expect_null(wb_arena_open(0, &error));
  cr_expect_eq(error.code, WB_E_INVALID);
  cr_expect_null(wb_arena_open(SIZE_MAX, &error));
  cr_expect_eq(error.code, WB_E_MEMORY);
  cr_expect_null(wb_arena_open(SIZE_MAX / 2, NULL));
  cr_expect_null(wb_arena_open_huge(0, &error));
  cr_expect_eq(error.code, WB_E_INVALID);
  cr_expect_null(wb_arena_open_huge(SIZE_MAX, NULL));
  error = (wb_error){0};
  unsigned before = mappings();
  cr_expect_null(wb_arena_open_huge(SIZE_MAX / 2, &error));
  cr_expect_eq(error.code, WB_E_MEMORY);
  cr_expect_leq(mappings(), before + 1);
}

Test(memory, an_arena_for_huge_pages_is_zeroed_lies_as_they_do_and_ends_with_its_last_page) {
  const size_t bytes = (UINT64_C(8) << 20) + 100;
  unsigned before = mappings();
  uint8_t *base = wb_arena_open_huge(bytes, NULL);
  cr_assert(base);
  cr_expect_eq((uintptr_t)base % (2 << 20), 0);
  for (size_t i = 0; i < bytes; i += 97) cr_assert_eq(base[i], 0);
  memset(base, 'z', bytes);
  wb_arena_close(base, bytes);
  cr_expect_leq(mappings(), before + 1);
}

Test(memory, an_arena_is_zeroed_page_aligned_and_backed_only_where_touched) {
  const size_t bytes = UINT64_C(8) << 30;
  uint8_t *base = wb_arena_open(bytes, NULL);
  cr_assert(base);
  cr_expect_eq((uintptr_t)base % page, 0);
  for (size_t i = 0; i < bytes; i += bytes / 16) cr_expect_eq(base[i], 0);
  memset(base + bytes - 1000, 'z', 1000);
  unsigned char resident[2];
  cr_assert_eq(mincore(base + bytes / 2 + (1 << 20) * 5, 2 * page, resident), 0);
  cr_expect((resident[0] & 1) == 0 && (resident[1] & 1) == 0);
  wb_arena_close(base, bytes);
}
