#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/config.h"

static const wb_option options[] = {
    {"url", WB_OPTION_LIST, "T_URL", NULL, NULL, "URL", "a list", false, false},
    {"product", WB_OPTION_LIST, "T_PRODUCT", "BTC-USD", NULL, "ID", "a list", false, false},
    {"store", WB_OPTION_SWITCH, "T_STORE", "true", NULL, NULL, "on by default", true, false},
    {"mock", WB_OPTION_SWITCH, "T_MOCK", "false", NULL, NULL, "off by default", false, false},
    {"max-message", WB_OPTION_BYTES, "T_MAX", "32M", NULL, "BYTES", "a size", false, false},
    {"seconds", WB_OPTION_NUMBER, NULL, NULL, NULL, "N", "a number", false, false},
    {"wait", WB_OPTION_CHOICE, NULL, "auto", "auto|spin", NULL, "a choice", false, false},
    {"config", WB_OPTION_TEXT, "T_CONFIG", NULL, NULL, "FILE", "the file", false, true},
};
enum { OPTIONS = sizeof options / sizeof *options };

static wb_error error;

static wb_config *load(const char *const *words) {
  char *argv[16] = {"test"};
  int argc = 1;
  for (; *words; words++) argv[argc++] = (char *)*words;
  memset(&error, 0, sizeof error);
  return wb_config_load(options, OPTIONS, argc, argv, &error);
}
#define LOAD(...) load((const char *const[]){__VA_ARGS__, NULL})

static const char *file_with(const char *text) {
  static char path[64];
  strcpy(path, "/tmp/wb-config-XXXXXX");
  int fd = mkstemp(path);
  cr_assert(fd >= 0);
  cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  close(fd);
  return path;
}

Test(config, defaults_hold_when_nothing_is_said) {
  wb_config *c = load((const char *const[]){NULL});
  cr_assert_not_null(c);
  cr_assert_str_eq(wb_config_list(c, "product")[0], "BTC-USD");
  cr_assert_null(wb_config_list(c, "url")[0]);
  cr_assert(wb_config_switch(c, "store"));
  cr_assert_eq(wb_config_count(c, "max-message"), 32u << 20);
  cr_assert_eq(wb_config_choice(c, "wait"), 0);
  cr_assert_null(wb_config_text(c, "seconds"));
  cr_assert_str_eq(wb_config_source(c, "product"), "default");
  wb_config_free(c);
}

Test(config, a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default) {
  const char *path = file_with("max-message: 1M\nproduct: [A-USD, B-USD]\nwait: spin\nstore: no\n");
  setenv("T_MAX", "2M", 1);
  wb_config *c = LOAD("--config", path);
  cr_assert_not_null(c, "%s", error.detail);
  cr_assert_eq(wb_config_count(c, "max-message"), 2u << 20);
  cr_assert_str_eq(wb_config_source(c, "max-message"), "environment T_MAX");
  cr_assert_str_eq(wb_config_list(c, "product")[1], "B-USD");
  cr_assert_null(wb_config_list(c, "product")[2]);
  cr_assert_str_eq(wb_config_text(c, "wait"), "spin");
  cr_assert_eq(wb_config_choice(c, "wait"), 1);
  cr_assert_not(wb_config_switch(c, "store"));
  wb_config_free(c);
  c = LOAD("--config", path, "--max-message=3k", "--product", "X-USD,Y-USD", "--product", "Z-USD", "--store");
  cr_assert_not_null(c, "%s", error.detail);
  cr_assert_eq(wb_config_count(c, "max-message"), 3072u);
  cr_assert_str_eq(wb_config_list(c, "product")[0], "X-USD");
  cr_assert_str_eq(wb_config_list(c, "product")[2], "Z-USD");
  cr_assert_null(wb_config_list(c, "product")[3]);
  cr_assert(wb_config_switch(c, "store"));
  cr_assert_eq(wb_config_rank(c, "store"), 3);
  wb_config_free(c);
  unsetenv("T_MAX");
  unlink(path);
}

Test(config, the_file_may_be_named_by_the_environment) {
  const char *path = file_with("wait: spin\n");
  setenv("T_CONFIG", path, 1);
  wb_config *c = load((const char *const[]){NULL});
  cr_assert_not_null(c, "%s", error.detail);
  cr_assert_str_eq(wb_config_text(c, "wait"), "spin");
  wb_config_free(c);
  unsetenv("T_CONFIG");
  unlink(path);
}

Test(config, an_unknown_key_or_bad_yaml_in_the_file_is_an_error_that_names_the_file) {
  const char *const bad[] = {"produkt: [A]\n", "product: {a: b}\n", "wait: [spin\n", "wait: never\n", "store: perhaps\n"};
  for (unsigned i = 0; i < 5; i++) {
    const char *path = file_with(bad[i]);
    cr_assert_null(LOAD("--config", path), "%s", bad[i]);
    cr_assert_eq(error.code, WB_E_CONFIG);
    cr_assert_not_null(strstr(error.detail, path), "%s", error.detail);
    unlink(path);
  }
  cr_assert_null(LOAD("--config", "/nonexistent/file.yaml"));
}

Test(config, an_unknown_flag_gets_a_hint) {
  cr_assert_null(LOAD("--prodct", "X"));
  cr_assert_not_null(strstr(error.detail, "--product"), "%s", error.detail);
  cr_assert_null(LOAD("--max", "1"));
  cr_assert_not_null(strstr(error.detail, "--max-message"), "%s", error.detail);
  cr_assert_null(LOAD("--no-mock"));
  cr_assert_null(LOAD("-x"));
}

Test(config, wrong_values_say_where_and_what_is_wanted) {
  const char *const bad[][2] = {{"--max-message", "12Q"}, {"--max-message", "-1"}, {"--max-message", "99999999999999999999"},
                                {"--seconds", "soon"},    {"--seconds", "-3"},     {"--wait", "spi"},
                                {"--wait", "auto|spin"},  {"--max-message", ""},   {"--wait", ""}};
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
    cr_assert_null(LOAD(bad[i][0], bad[i][1]), "%s %s", bad[i][0], bad[i][1]);
    cr_assert_not_null(strstr(error.detail, bad[i][0]), "%s", error.detail);
  }
  cr_assert_null(LOAD("--seconds"));
  cr_assert_not_null(strstr(error.detail, "needs a value"));
}

Test(config, words_that_are_no_flags_are_kept_in_order) {
  unsigned count;
  wb_config *c = LOAD("one", "--mock", "two", "--", "--three");
  cr_assert_not_null(c);
  char *const *words = wb_config_operands(c, &count);
  cr_assert_eq(count, 3u);
  cr_assert_str_eq(words[1], "two");
  cr_assert_str_eq(words[2], "--three");
  cr_assert(wb_config_switch(c, "mock"));
  wb_config_free(c);
  c = load((const char *const[]){NULL});
  cr_assert_eq(*wb_config_operands(c, &count), NULL);
  wb_config_free(c);
}
