/* fuzz_config.c - a configuration file of any bytes.
 *
 * Input:   the file.
 * Oracle:  a refusal says where and why; what is accepted holds only values of its options' kinds, written down here once more;
 *          and written out again as plainly as YAML can be, it is accepted again with the same values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const wb_option options[] = {
    {"product", WB_OPTION_LIST, NULL, "BTC-USD", NULL, "ID", "a list", false, false},
    {"url", WB_OPTION_LIST, NULL, NULL, NULL, "URL", "a list", false, false},
    {"store", WB_OPTION_SWITCH, NULL, "true", NULL, NULL, "a switch", true, false},
    {"max-message", WB_OPTION_BYTES, NULL, "32M", NULL, "BYTES", "a size", false, false},
    {"depth", WB_OPTION_COUNT, NULL, "50", NULL, "N", "a count", false, false},
    {"seconds", WB_OPTION_NUMBER, NULL, NULL, NULL, "N", "a number", false, false},
    {"retain-age", WB_OPTION_AGE, NULL, NULL, NULL, "AGE", "an age", false, false},
    {"wait", WB_OPTION_CHOICE, NULL, "auto", "auto|spin|yield|block", NULL, "a choice", false, false},
    {"data", WB_OPTION_TEXT, NULL, "./data", NULL, "DIR", "a text", false, false},
    {"config", WB_OPTION_TEXT, NULL, NULL, NULL, "FILE", "the file", false, true},
};
/* libyaml needs the square of the depth of what is nested, so long texts are slow and nothing else. */
enum { OPTIONS = sizeof options / sizeof *options, INPUT_BYTES_MAX = 2048, WRITTEN_BYTES_MAX = 1 << 16 };

static wb_config *load(const void *bytes, size_t count, wb_error *error) {
  int fd = memfd_create("config", MFD_CLOEXEC);
  WB_CHECK(fd >= 0 && write(fd, bytes, count) == (ssize_t)count);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  char *argv[] = {"fuzz", "--config", path, NULL};
  memset(error, 0, sizeof *error);
  wb_config *config = wb_config_load(options, OPTIONS, 3, argv, error);
  close(fd);
  return config;
}

static const char *after_digits(const char *text) { return text + strspn(text, "0123456789"); }

static bool good(const wb_option *option, const char *text) {
  static const char *const switches[] = {"true", "yes", "on", "1", "false", "no", "off", "0", ""};
  const char *rest = after_digits(text);
  bool begun = rest > text;
  switch (option->kind) {
  case WB_OPTION_SWITCH:
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
      if (strcasecmp(text, switches[i]) == 0) return true;
    return false;
  case WB_OPTION_COUNT: return begun && !*rest;
  case WB_OPTION_BYTES: return begun && (!*rest || (strchr("kKMG", *rest) && (!rest[1] || strcmp(rest + 1, "iB") == 0)));
  case WB_OPTION_AGE: return begun && (!*rest || (strchr("smhdw", *rest) && !rest[1]));
  case WB_OPTION_NUMBER: return begun || (*text == '.' && after_digits(text + 1) > text + 1);
  case WB_OPTION_CHOICE:
    return !strcmp(text, "auto") || !strcmp(text, "spin") || !strcmp(text, "yield") || !strcmp(text, "block");
  default: return true;
  }
}

static void check_values(const wb_config *config) {
  for (unsigned i = 0; i < OPTIONS - 1; i++) {
    const wb_option *option = &options[i];
    const char *text = wb_config_text(config, option->name), *source = wb_config_source(config, option->name);
    WB_CHECK(strncmp(source, wb_config_rank(config, option->name) ? "file " : "default", 5) == 0);
    if (option->kind == WB_OPTION_LIST) {
      for (char *const *item = wb_config_list(config, option->name); *item; item++) WB_CHECK(**item && !strchr(*item, ','));
      continue;
    }
    if (!text) {
      WB_CHECK(!option->otherwise);
      continue;
    }
    WB_CHECK(good(option, text));
    if (option->kind == WB_OPTION_COUNT) WB_CHECK(wb_config_count(config, option->name) == strtoull(text, NULL, 10));
    if (option->kind == WB_OPTION_BYTES) {
      char unit = *after_digits(text);
      uint64_t one = unit == 'G' ? 1u << 30 : unit == 'M' ? 1u << 20 : unit ? 1u << 10 : 1;
      WB_CHECK(wb_config_count(config, option->name) == strtoull(text, NULL, 10) * one);
    }
    if (option->kind == WB_OPTION_AGE) {
      static const uint64_t seconds[] = {1, 60, 3600, 86400, 604800};
      uint64_t one = seconds[*after_digits(text) ? strcspn("smhdw", after_digits(text)) : 0];
      WB_CHECK(wb_config_age_ns(config, option->name) == strtoull(text, NULL, 10) * one * 1000000000);
    }
    if (option->kind == WB_OPTION_SWITCH)
      WB_CHECK(wb_config_switch(config, option->name) ==
               (*text == '1' || strchr("tTyY", *text ? *text : 'x') || !strcasecmp(text, "on")));
    if (option->kind == WB_OPTION_CHOICE)
      WB_CHECK(wb_config_choice(config, option->name) == (int)strcspn("asyb", (char[]){*text, 0}));
    if (option->kind == WB_OPTION_NUMBER) WB_CHECK(wb_config_number(config, option->name) == strtod(text, NULL));
  }
}

/* "text" in double quotes, every character that is no letter or digit by its number. */
static size_t quote(const char *text, char *to) {
  size_t n = 0;
  to[n++] = '"';
  for (const uint8_t *c = (const uint8_t *)text; *c;) {
    uint32_t length = *c < 0x80 ? 1 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : 4, point = length == 1 ? *c : *c & (0x7fu >> length);
    for (uint32_t i = 1; i < length; i++) point = point << 6 | (c[i] & 0x3f);
    n += (size_t)sprintf(to + n, "\\U%08X", (unsigned)point);
    c += length;
  }
  to[n++] = '"';
  return n;
}

static void check_again(const wb_config *config) {
  static char text[WRITTEN_BYTES_MAX];
  size_t n = (size_t)sprintf(text, "---\n");
  for (unsigned i = 0; i < OPTIONS - 1; i++) {
    const char *name = options[i].name;
    if (wb_config_rank(config, name) == 0) continue;
    bool list = options[i].kind == WB_OPTION_LIST;
    n += (size_t)sprintf(text + n, "%s: %s", name, list ? "[" : "");
    if (list && !*wb_config_list(config, name)) n += quote(",", text + n);
    if (list)
      for (char *const *item = wb_config_list(config, name); *item; item++) {
        n += quote(*item, text + n);
        text[n++] = ',';
      }
    else n += quote(wb_config_text(config, name), text + n);
    n += (size_t)sprintf(text + n, "%s\n", list ? "]" : "");
  }
  wb_error error;
  if (n == 4) return; /* nothing was set */
  wb_config *again = load(text, n, &error);
  WB_CHECK(again != NULL);
  for (unsigned i = 0; i < OPTIONS - 1; i++) {
    const char *name = options[i].name;
    char *const *a = wb_config_list(config, name), *const *b = wb_config_list(again, name);
    for (; *a && *b; a++, b++) WB_CHECK(strcmp(*a, *b) == 0);
    WB_CHECK(!*a && !*b);
    if (options[i].kind != WB_OPTION_LIST) WB_CHECK(wb_config_rank(config, name) == wb_config_rank(again, name));
  }
  wb_config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > INPUT_BYTES_MAX) return 0;
  wb_error error;
  wb_config *config = load(data, size, &error);
  WB_CHECK((config == NULL) == (error.code == WB_E_CONFIG) && (config == NULL) == (error.detail[0] != 0));
  if (!config) return 0;
  check_values(config);
  check_again(config);
  wb_config_free(config);
  return 0;
}
