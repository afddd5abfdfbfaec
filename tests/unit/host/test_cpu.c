#include "io/cpu.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/random.h"

static wb_cpu_list list, other;

Test(cpu, texts_that_are_no_list_are_refused_with_a_reason_and_leave_the_list_empty) {
  static const struct {
    const char *text;
    int code;
  } bad[] = {{",", WB_E_SYNTAX},       {"0,", WB_E_SYNTAX},
             {",0", WB_E_SYNTAX},      {"0,,1", WB_E_SYNTAX},
             {"-1", WB_E_SYNTAX},      {"1-", WB_E_SYNTAX},
             {"3-1", WB_E_SYNTAX},     {"1-2-3", WB_E_SYNTAX},
             {"a", WB_E_SYNTAX},       {"0 1", WB_E_SYNTAX},
             {" 0", WB_E_SYNTAX},      {"0x1", WB_E_SYNTAX},
             {"0,0", WB_E_SYNTAX},     {"0-3,2", WB_E_SYNTAX},
             {"1\n2", WB_E_SYNTAX},    {"1\n\n", WB_E_SYNTAX},
             {"+1", WB_E_SYNTAX},      {"1,\n", WB_E_SYNTAX},
             {"1024", WB_E_RANGE},     {"0-1024", WB_E_RANGE},
             {"0-3:1/2", WB_E_SYNTAX}, {"99999999999999999999", WB_E_RANGE},
             {"1.5", WB_E_SYNTAX},     {"0-99999999999", WB_E_RANGE}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    wb_error error = {0};
    list.count = 5;
    cr_expect_eq(wb_cpu_list_parse(bad[i].text, &list, &error), bad[i].code, "'%s'", bad[i].text);
    cr_expect_eq(error.code, bad[i].code);
    cr_expect_neq(error.detail[0], '\0');
    cr_expect_eq(list.count, 0);
    cr_expect_eq(wb_cpu_list_parse(bad[i].text, &list, NULL), bad[i].code);
  }
}

Test(cpu, a_list_keeps_the_order_in_which_it_was_said) {
  cr_assert_eq(wb_cpu_list_parse("5,0,2-4,1023\n", &list, NULL), 0);
  static const uint16_t expected[] = {5, 0, 2, 3, 4, 1023};
  cr_assert_eq(list.count, 6);
  cr_expect_eq(memcmp(list.cpu, expected, sizeof expected), 0);
  cr_expect(wb_cpu_list_has(&list, 3) && !wb_cpu_list_has(&list, 1) && !wb_cpu_list_has(&list, -1));
  cr_expect_eq(wb_cpu_list_parse("", &list, NULL), 0);
  cr_expect_eq(list.count, 0);
  cr_expect_eq(wb_cpu_list_parse("\n", &list, NULL), 0);
  cr_expect_eq(wb_cpu_list_parse("0-1023", &list, NULL), 0);
  cr_expect_eq(list.count, 1024);
}

Test(cpu, print_cuts_to_fit_and_terminates) {
  char text[32];
  wb_cpu_list_parse("0-3,8,10-11", &list, NULL);
  cr_expect_str_eq(wb_cpu_list_print(&list, text, sizeof text), "0-3,8,10-11");
  cr_expect_str_eq(wb_cpu_list_print(&list, text, 6), "0-3,8");
  cr_expect_str_eq(wb_cpu_list_print(&list, text, 2), "0");
  cr_expect_str_eq(wb_cpu_list_print(&list, text, 1), "");
  list.count = 0;
  cr_expect_str_eq(wb_cpu_list_print(&list, text, sizeof text), "");
}

Test(cpu, random_lists_read_back_as_they_were_printed) {
  seed();
  static char text[8192];
  for (unsigned turn = 0; turn < 3000; turn++) {
    list.count = 0;
    for (uint64_t wanted = next() % 40; list.count < wanted;) {
      int cpu = next() % 2 && list.count ? list.cpu[list.count - 1] + 1 : (int)(next() % WB_CPU_COUNT_MAX);
      if (cpu < WB_CPU_COUNT_MAX && !wb_cpu_list_has(&list, cpu)) list.cpu[list.count++] = (uint16_t)cpu;
    }
    wb_cpu_list_print(&list, text, sizeof text);
    cr_assert_eq(wb_cpu_list_parse(text, &other, NULL), 0, "%s", text);
    cr_assert_eq(other.count, list.count);
    cr_assert_eq(memcmp(other.cpu, list.cpu, list.count * sizeof list.cpu[0]), 0, "%s", text);
  }
}

static char directory[] = "/tmp/wirebook-cpu-XXXXXX";

static const char *path_of(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static void write_file(const char *name, const char *text) {
  FILE *file = fopen(path_of(name), "we");
  cr_assert(file);
  fputs(text, file);
  fclose(file);
}

static void make_directory(void) { cr_assert(mkdtemp(directory)); }

static void remove_directory(void) {
  static const char *const names[] = {"list", "self", "cpu.max", "a/cpu.max", "a/b/cpu.max"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unlink(path_of(names[i]));
  rmdir(path_of("a/b"));
  rmdir(path_of("a"));
  rmdir(directory);
}

TestSuite(cpu_files, .init = make_directory, .fini = remove_directory);

Test(cpu_files, a_list_file_is_read_whole_or_refused) {
  wb_error error = {0};
  cr_expect_eq(wb_cpu_list_read(path_of("list"), &list, &error), WB_E_SYSTEM);
  cr_expect_eq(error.os_errno, ENOENT);
  write_file("list", "1,3-4\n");
  cr_expect_eq(wb_cpu_list_read(path_of("list"), &list, &error), 0);
  cr_expect_eq(list.count, 3);
  write_file("list", "");
  cr_expect_eq(wb_cpu_list_read(path_of("list"), &list, &error), 0);
  cr_expect_eq(list.count, 0);
  write_file("list", "nonsense\n");
  cr_expect_eq(wb_cpu_list_read(path_of("list"), &list, &error), WB_E_SYNTAX);
  static char large[10000];
  memset(large, '1', sizeof large - 1);
  write_file("list", large);
  cr_expect_eq(wb_cpu_list_read(path_of("list"), &list, &error), WB_E_SYSTEM);
  cr_expect_eq(error.os_errno, EFBIG);
  cr_expect_eq(wb_cpu_list_read(directory, &list, &error), WB_E_SYSTEM);
}

static uint64_t quota(void) {
  char self[256];
  snprintf(self, sizeof self, "%s", path_of("self"));
  return wb_cpu_quota(directory, self);
}

Test(cpu_files, the_quota_is_the_least_of_the_group_and_those_above_it) {
  cr_expect_eq(quota(), 0, "no cgroup file");
  mkdir(path_of("a"), 0700);
  mkdir(path_of("a/b"), 0700);
  write_file("self", "12:cpu:/elsewhere\n0::/a/b\n");
  cr_expect_eq(quota(), 0, "no limit file");
  write_file("a/b/cpu.max", "max 100000\n");
  cr_expect_eq(quota(), 0);
  write_file("a/cpu.max", "250000 100000\n");
  cr_expect_eq(quota(), 2500);
  write_file("a/b/cpu.max", "150000 100000\n");
  cr_expect_eq(quota(), 1500);
  write_file("cpu.max", "50000 100000\n");
  cr_expect_eq(quota(), 500);
  write_file("self", "0::/\n");
  cr_expect_eq(quota(), 500);
  write_file("cpu.max", "1 1000000\n");
  cr_expect_eq(quota(), 1, "never rounded to no limit");
  write_file("self", "4:memory:/a\n");
  cr_expect_eq(quota(), 0, "version 1 only");
}

Test(cpu_files, limits_that_make_no_sense_are_no_limits) {
  write_file("self", "0::/\n");
  static const char *const bad[] = {"", "\n", "max", "100", "x y", "100 0", "-"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    write_file("cpu.max", bad[i]);
    cr_expect_eq(quota(), 0, "'%s'", bad[i]);
  }
}

Test(cpu, allowed_is_the_affinity_mask_and_usable_is_no_more) {
  cr_assert_eq(wb_cpu_allowed(&list, NULL), 0);
  cr_assert_gt(list.count, 0);
  cpu_set_t set;
  cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
  cr_expect_eq(list.count, (uint32_t)CPU_COUNT(&set));
  for (uint32_t i = 0; i < list.count; i++) cr_expect(CPU_ISSET(list.cpu[i], &set));
  cr_expect(wb_cpu_usable_count() >= 1 && wb_cpu_usable_count() <= list.count);
}

Test(cpu, isolated_cpus_are_a_list_of_this_machine) {
  wb_error error = {0};
  cr_assert_eq(wb_cpu_isolated(&list, &error), 0, "%s", error.detail);
  for (uint32_t i = 0; i < list.count; i++) cr_expect_lt(list.cpu[i], (uint16_t)sysconf(_SC_NPROCESSORS_CONF));
}

Test(cpu, a_number_that_is_no_cpu_cannot_be_pinned_to) {
  wb_error error = {0};
  cr_expect_eq(wb_cpu_pin(pthread_self(), -1, &error), WB_E_INVALID);
  cr_expect_eq(wb_cpu_pin(pthread_self(), WB_CPU_COUNT_MAX, &error), WB_E_INVALID);
  long configured = sysconf(_SC_NPROCESSORS_CONF);
  if (configured < WB_CPU_COUNT_MAX) {
    cr_expect_eq(wb_cpu_pin(pthread_self(), (int)configured, &error), WB_E_SYSTEM);
    cr_expect_eq(error.os_errno, EINVAL);
  }
}

Test(cpu, a_pinned_thread_runs_there_and_nowhere_else) {
  cr_assert_eq(wb_cpu_allowed(&other, NULL), 0);
  for (uint32_t i = 0; i < other.count; i++) {
    cr_assert_eq(wb_cpu_pin(pthread_self(), other.cpu[i], NULL), 0);
    cr_expect_eq(sched_getcpu(), other.cpu[i]);
    cr_assert_eq(wb_cpu_allowed(&list, NULL), 0);
    cr_expect(list.count == 1 && list.cpu[0] == other.cpu[i]);
    cr_expect_eq(wb_cpu_usable_count(), 1);
  }
}

Test(cpu, a_name_is_cut_to_what_the_kernel_keeps) {
  char name[16];
  wb_cpu_name(pthread_self(), "wb-ingest");
  pthread_getname_np(pthread_self(), name, sizeof name);
  cr_expect_str_eq(name, "wb-ingest");
  wb_cpu_name(pthread_self(), "a-name-of-more-than-fifteen-characters");
  pthread_getname_np(pthread_self(), name, sizeof name);
  cr_expect_str_eq(name, "a-name-of-more-");
}
