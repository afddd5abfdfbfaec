#include "engine/base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const int codes[] = {
#define X(name, value, text) name,
    WB_ERROR_LIST(X)
#undef X
};
enum { CODES = sizeof codes / sizeof codes[0] };

Test(error, a_number_that_is_no_code_has_a_name_and_a_text_all_the_same) {
  static const int none[] = {0, 1, -1000, INT_MIN, INT_MAX};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    cr_expect_str_eq(wb_error_name(none[i]), "WB_E_?");
    cr_expect_str_eq(wb_error_text(none[i]), "unknown error");
  }
}

Test(error, a_reason_out_of_range_is_unknown) {
  cr_expect_str_eq(wb_reject_name(WB_REJECT_COUNT), "unknown");
  cr_expect_str_eq(wb_reject_name((wb_reject)UINT_MAX), "unknown");
}

Test(error, codes_are_negative_distinct_and_frozen_from_minus_1_down) {
  for (int i = 0; i < CODES; i++) cr_expect_eq(codes[i], -1 - i);
}

Test(error, every_code_has_its_own_name_and_text) {
  for (int i = 0; i < CODES; i++) {
    cr_expect_eq(strncmp(wb_error_name(codes[i]), "WB_E_", 5), 0);
    cr_expect_str_neq(wb_error_text(codes[i]), "unknown error");
    for (int j = 0; j < i; j++) {
      cr_expect_str_neq(wb_error_name(codes[i]), wb_error_name(codes[j]));
      cr_expect_str_neq(wb_error_text(codes[i]), wb_error_text(codes[j]));
    }
  }
  cr_expect_str_eq(wb_error_name(WB_E_RANGE), "WB_E_RANGE");
  cr_expect_str_eq(wb_error_text(WB_E_RANGE), "number out of range");
}

Test(error, every_reason_has_the_name_of_the_report) {
  for (int i = 0; i < WB_REJECT_COUNT; i++)
    for (int j = 0; j < i; j++) cr_expect_str_neq(wb_reject_name((wb_reject)i), wb_reject_name((wb_reject)j));
  cr_expect_str_eq(wb_reject_name(WB_REJECT_BAD_NUMBER), "bad_number");
  cr_expect_str_eq(wb_reject_name(WB_REJECT_PROTOCOL), "protocol");
}

Test(error, set_without_an_error_returns_the_code) { cr_expect_eq(wb_error_set(NULL, WB_E_TLS, 0, "x", "%d", 1), WB_E_TLS); }

Test(error, set_fills_every_field) {
  wb_error error;
  memset(&error, 0xa5, sizeof error);
  cr_expect_eq(wb_error_set(&error, WB_E_CONNECT, ECONNREFUSED, "connect", "%s port %d", "127.0.0.1", 9001), WB_E_CONNECT);
  cr_expect_eq(error.code, WB_E_CONNECT);
  cr_expect_eq(error.os_errno, ECONNREFUSED);
  cr_expect_eq(error.position, 0);
  cr_expect_str_eq(error.what, "connect");
  cr_expect_str_eq(error.detail, "127.0.0.1 port 9001");
}

Test(error, a_long_detail_is_cut_and_terminated) {
  wb_error error;
  char text[1000];
  memset(text, 'y', sizeof text);
  text[999] = '\0';
  memset(&error, 0xa5, sizeof error);
  wb_error_set(&error, WB_E_CONFIG, 0, "config", "%s", text);
  cr_expect_eq(strlen(error.detail), sizeof error.detail - 1);
}

Test(error, a_check_that_holds_does_nothing) {
  int evaluated = 0;
  WB_CHECK(++evaluated == 1);
  cr_expect_eq(evaluated, 1);
}

Test(error, a_check_that_fails_aborts, .signal = SIGABRT) { WB_CHECK(1 == 2); }

static void leave(const char *file, int line, const char *expression) {
  _exit(strcmp(expression, "1 == 2") == 0 && strstr(file, "test_error.c") && line > 0 ? 42 : 43);
}

Test(error, a_check_that_fails_calls_the_hook_with_what_failed, .exit_code = 42) {
  wb_check_hook_set(leave);
  WB_CHECK(1 == 2);
}

static void come_back(const char *file, int line, const char *expression) {}

Test(error, a_hook_that_returns_ends_in_abort, .signal = SIGABRT) {
  wb_check_hook_set(come_back);
  WB_CHECK(1 == 2);
}

Test(error, a_debug_check_is_evaluated_in_debug_builds_only) {
  int evaluated = 0;
  WB_DCHECK(++evaluated == 1);
#ifdef WB_DEBUG
  cr_expect_eq(evaluated, 1);
#else
  cr_expect_eq(evaluated, 0);
#endif
}
