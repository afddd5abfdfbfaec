#include "io/config.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 128, RANK_DEFAULT = 0, RANK_FILE = 1, RANK_ENVIRONMENT = 2, RANK_FLAG = 3 };

typedef struct value {
  char **item; /* NULL-terminated; one for all kinds but lists */
  unsigned count;
  int rank;
} value;

struct wb_config {
  const wb_option *option;
  unsigned count;
  value value[OPTIONS_MAX];
  char **operand;
  unsigned operand_count;
  char *file;
  char source[512];
  bool help, check;
};

static void *must(void *memory) {
  WB_CHECK(memory != NULL);
  return memory;
}

static void clear(value *v) {
  for (unsigned i = 0; i < v->count; i++) free(v->item[i]);
  free(v->item);
  v->item = NULL;
  v->count = 0;
}

static void append(char ***list, unsigned *count, const char *text, size_t bytes) {
  *list = must(realloc(*list, (*count + 2) * sizeof **list));
  (*list)[(*count)++] = must(strndup(text, bytes));
  (*list)[*count] = NULL;
}

/* ------------------------------------------------------------------------------------------------ values */

static bool parse_switch(const char *text, bool *on) {
  static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0", ""};
  for (unsigned i = 0; i < 4; i++)
    if (strcasecmp(text, yes[i]) == 0) return *on = true, true;
  for (unsigned i = 0; i < 5; i++)
    if (strcasecmp(text, no[i]) == 0) return *on = false, true;
  return false;
}

static bool parse_count(const char *text, bool suffix, uint64_t *count) {
  if (*text < '0' || *text > '9') return false;
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  if (errno) return false;
  unsigned shift = 0;
  if (suffix && *end) {
    shift = *end == 'k' || *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (!shift) return false;
    end++;
    if (strcmp(end, "iB") == 0) end += 2;
  }
  if (*end || n > UINT64_MAX >> shift) return false;
  *count = (uint64_t)n << shift;
  return true;
}

static bool parse_number(const char *text, double *number) {
  if (!((*text >= '0' && *text <= '9') || *text == '.')) return false;
  char *end;
  *number = strtod(text, &end);
  return *end == 0 && *number < 1e18;
}

static bool parse_age(const char *text, uint64_t *age_ns) {
  static const char letters[] = "smhdw";
  static const uint64_t seconds[] = {1, 60, 3600, 86400, 604800};
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  const char *unit = *end ? strchr(letters, *end) : letters;
  if (*text < '0' || *text > '9' || errno || !unit || (*end && end[1])) return false;
  uint64_t unit_ns = seconds[unit - letters] * 1000000000;
  *age_ns = n * unit_ns;
  return n <= INT64_MAX / unit_ns;
}

static bool is_choice(const char *choices, const char *text) {
  size_t bytes = strlen(text);
  for (const char *at = choices; bytes && !strchr(text, '|'); at++) {
    if (strncmp(at, text, bytes) == 0 && (at[bytes] == '|' || at[bytes] == 0)) return true;
    at = strchr(at, '|');
    if (!at) return false;
  }
  return false;
}

static int set(wb_config *config, unsigned index, int rank, const char *text, const char *place, wb_error *error) {
  const wb_option *option = &config->option[index];
  value *v = &config->value[index];
  bool on;
  uint64_t count;
  double number;
  const char *wanted = NULL;
  switch (option->kind) {
  case WB_OPTION_SWITCH: wanted = parse_switch(text, &on) ? NULL : "true or false"; break;
  case WB_OPTION_COUNT: wanted = parse_count(text, false, &count) ? NULL : "a whole number"; break;
  case WB_OPTION_BYTES: wanted = parse_count(text, true, &count) ? NULL : "a size in bytes (k, M, G allowed)"; break;
  case WB_OPTION_NUMBER: wanted = parse_number(text, &number) ? NULL : "a number"; break;
  case WB_OPTION_AGE: wanted = parse_age(text, &count) ? NULL : "an age (seconds, or with s, m, h, d, w)"; break;
  case WB_OPTION_CHOICE: wanted = is_choice(option->choices, text) ? NULL : option->choices; break;
  default: break;
  }
  if (wanted) return wb_error_set(error, WB_E_CONFIG, 0, "option", "%s: '%s' is not %s", place, text, wanted);
  if (option->kind != WB_OPTION_LIST || v->rank != rank) clear(v);
  v->rank = rank;
  if (option->kind != WB_OPTION_LIST) {
    append(&v->item, &v->count, text, strlen(text));
    return 0;
  }
  for (const char *at = text; *at;) {
    size_t bytes = strcspn(at, ",");
    if (bytes) append(&v->item, &v->count, at, bytes);
    at += bytes + (at[bytes] == ',');
  }
  return 0;
}

static int find(const wb_config *config, const char *name, size_t bytes) {
  for (unsigned i = 0; i < config->count; i++)
    if (strncmp(config->option[i].name, name, bytes) == 0 && config->option[i].name[bytes] == 0) return (int)i;
  return -1;
}

/* ------------------------------------------------------------------------------------------------ file */

typedef struct file_data {
  char *text[OPTIONS_MAX];
  char **list[OPTIONS_MAX];
  unsigned list_count[OPTIONS_MAX];
} file_data;

typedef struct file_log {
  char text[160];
} file_log;

static void on_log(cyaml_log_t level, void *context, const char *format, va_list arguments) {
  file_log *log = context;
  if (level < CYAML_LOG_ERROR || log->text[0]) return;
  vsnprintf(log->text, sizeof log->text, format, arguments);
  log->text[strcspn(log->text, "\n")] = 0;
}

static int load_file(wb_config *config, const char *path, wb_error *error) {
  static const cyaml_schema_value_t entry = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED)};
  cyaml_schema_field_t field[OPTIONS_MAX + 1];
  memset(field, 0, sizeof field);
  unsigned fields = 0;
  for (unsigned i = 0; i < config->count; i++) {
    if (config->option[i].no_file) continue;
    cyaml_schema_field_t *f = &field[fields++];
    f->key = config->option[i].name;
    if (config->option[i].kind == WB_OPTION_LIST) {
      f->data_offset = (uint32_t)(offsetof(file_data, list) + i * sizeof(char **));
      f->count_offset = (uint32_t)(offsetof(file_data, list_count) + i * sizeof(unsigned));
      f->count_size = sizeof(unsigned);
      f->value = (cyaml_schema_value_t){.type = CYAML_SEQUENCE,
                                        .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                                        .data_size = sizeof(char *),
                                        .sequence = {.entry = &entry, .min = 0, .max = CYAML_UNLIMITED}};
    } else {
      f->data_offset = (uint32_t)(offsetof(file_data, text) + i * sizeof(char *));
      f->value = (cyaml_schema_value_t){.type = CYAML_STRING,
                                        .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                                        .data_size = sizeof(char),
                                        .string = {.min = 0, .max = CYAML_UNLIMITED}};
    }
  }
  cyaml_schema_value_t top = {
      .type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER, .data_size = sizeof(file_data), .mapping = {.fields = field}};
  file_log log = {{0}};
  cyaml_config_t settings = {
      .log_level = CYAML_LOG_ERROR, .log_fn = on_log, .log_ctx = &log, .mem_fn = cyaml_mem, .flags = CYAML_CFG_DEFAULT};
  file_data *data = NULL;
  cyaml_err_t failed = cyaml_load_file(path, &settings, &top, (void **)&data, NULL);
  if (failed != CYAML_OK)
    return wb_error_set(error, WB_E_CONFIG, 0, "config file", "%s: %s%s%s", path, cyaml_strerror(failed),
                        log.text[0] ? ": " : "", log.text);
  int result = 0;
  for (unsigned i = 0; i < config->count && data && result == 0; i++) {
    char place[600];
    snprintf(place, sizeof place, "%.400s: %s", path, config->option[i].name);
    if (data->text[i]) result = set(config, i, RANK_FILE, data->text[i], place, error);
    for (unsigned j = 0; j < data->list_count[i] && result == 0; j++)
      result = set(config, i, RANK_FILE, data->list[i][j], place, error);
  }
  cyaml_free(&settings, &top, data, 0);
  return result;
}

/* ------------------------------------------------------------------------------------------------ flags */

static unsigned distance(const char *a, const char *b) {
  unsigned row[64], m = (unsigned)strlen(b);
  if (m >= 63) return 99;
  for (unsigned j = 0; j <= m; j++) row[j] = j;
  for (; *a; a++) {
    unsigned diagonal = row[0]++;
    for (unsigned j = 1; j <= m; j++) {
      unsigned best = diagonal + (*a != b[j - 1]);
      diagonal = row[j];
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[m];
}

static int unknown(const wb_config *config, const char *flag, wb_error *error) {
  const char *near = NULL;
  unsigned least = 4;
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)strcspn(flag + 2, "="), flag + 2);
  for (unsigned i = 0; i < config->count; i++) {
    unsigned d = distance(name, config->option[i].name);
    if (strlen(name) > 2 && strncmp(config->option[i].name, name, strlen(name)) == 0) d = 1;
    if (d < least) {
      least = d;
      near = config->option[i].name;
    }
  }
  if (near) return wb_error_set(error, WB_E_CONFIG, 0, "option", "unknown option --%s; did you mean --%s?", name, near);
  return wb_error_set(error, WB_E_CONFIG, 0, "option", "unknown option %s; --help lists all", flag);
}

static int load_flags(wb_config *config, int argc, char **argv, bool only_file, wb_error *error) {
  bool words_only = false;
  for (int i = 1; i < argc; i++) {
    const char *word = argv[i];
    if (!words_only && strcmp(word, "--") == 0) {
      words_only = true;
      continue;
    }
    if (words_only || word[0] != '-' || word[1] == 0) {
      if (!only_file) append(&config->operand, &config->operand_count, word, strlen(word));
      continue;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
      config->help = true;
      continue;
    }
    if (strcmp(word, "--check-config") == 0) {
      config->check = true;
      continue;
    }
    if (word[1] != '-') return wb_error_set(error, WB_E_CONFIG, 0, "option", "unknown option %s; --help lists all", word);
    size_t bytes = strcspn(word + 2, "=");
    const char *text = word[2 + bytes] == '=' ? word + 3 + bytes : NULL;
    int index = find(config, word + 2, bytes);
    bool off = false;
    if (index < 0 && strncmp(word, "--no-", 5) == 0) {
      index = find(config, word + 5, bytes - 3);
      if (index >= 0 && !config->option[index].no_flag) index = -1;
      off = index >= 0;
    }
    if (index < 0) return unknown(config, word, error);
    if (config->option[index].kind == WB_OPTION_SWITCH) {
      if (!text) text = off ? "false" : "true";
    } else if (!text) {
      if (i + 1 == argc)
        return wb_error_set(error, WB_E_CONFIG, 0, "option", "%s needs a value (%s)", word, config->option[index].value_name);
      text = argv[++i];
    }
    bool is_file = strcmp(config->option[index].name, "config") == 0;
    if (is_file != only_file) continue;
    int result = set(config, (unsigned)index, RANK_FLAG, text, word, error);
    if (result != 0) return result;
  }
  return 0;
}

wb_config *wb_config_load(const wb_option *option, unsigned count, int argc, char **argv, wb_error *error) {
  WB_CHECK(count <= OPTIONS_MAX);
  wb_config *config = must(calloc(1, sizeof *config));
  config->option = option;
  config->count = count;
  config->operand = must(calloc(1, sizeof *config->operand));
  for (unsigned i = 0; i < count; i++)
    if (option[i].otherwise) WB_CHECK(set(config, i, RANK_DEFAULT, option[i].otherwise, "default", NULL) == 0);
  if (load_flags(config, argc, argv, true, error) != 0) goto failed;
  int file = find(config, "config", 6);
  const char *path = file >= 0 && config->value[file].count ? config->value[file].item[0] : NULL;
  if (file >= 0 && !path && option[file].environment) path = getenv(option[file].environment);
  if (path) {
    config->file = must(strdup(path));
    if (load_file(config, config->file, error) != 0) goto failed;
  }
  for (unsigned i = 0; i < count; i++) {
    const char *text = option[i].environment ? getenv(option[i].environment) : NULL;
    if (!text || !*text) continue;
    if ((int)i == file) continue;
    char place[128];
    snprintf(place, sizeof place, "environment %s", option[i].environment);
    if (set(config, i, RANK_ENVIRONMENT, text, place, error) != 0) goto failed;
  }
  if (load_flags(config, argc, argv, false, error) != 0) goto failed;
  return config;
failed:
  wb_config_free(config);
  return NULL;
}

void wb_config_free(wb_config *config) {
  if (!config) return;
  for (unsigned i = 0; i < config->count; i++) clear(&config->value[i]);
  for (unsigned i = 0; i < config->operand_count; i++) free(config->operand[i]);
  free(config->operand);
  free(config->file);
  free(config);
}

bool wb_config_help(const wb_config *config) { return config->help; }
bool wb_config_check(const wb_config *config) { return config->check; }

static const value *value_of(const wb_config *config, const char *name) {
  int index = find(config, name, strlen(name));
  WB_CHECK(index >= 0);
  return &config->value[index];
}

const char *wb_config_text(const wb_config *config, const char *name) {
  const value *v = value_of(config, name);
  return v->count ? v->item[0] : NULL;
}

bool wb_config_switch(const wb_config *config, const char *name) {
  const char *text = wb_config_text(config, name);
  bool on = false;
  if (text) parse_switch(text, &on);
  return on;
}

uint64_t wb_config_count(const wb_config *config, const char *name) {
  const char *text = wb_config_text(config, name);
  uint64_t count = 0;
  if (text) parse_count(text, true, &count);
  return count;
}

int wb_config_choice(const wb_config *config, const char *name) {
  const char *text = wb_config_text(config, name), *at = config->option[find(config, name, strlen(name))].choices;
  size_t bytes = strlen(text);
  int index = 0;
  while (strncmp(at, text, bytes) != 0 || (at[bytes] != '|' && at[bytes] != 0)) {
    at = strchr(at, '|');
    WB_CHECK(at != NULL); /* a value that is none was refused when it was read */
    at++;
    index++;
  }
  return index;
}

double wb_config_number(const wb_config *config, const char *name) {
  const char *text = wb_config_text(config, name);
  double number = 0;
  if (text) parse_number(text, &number);
  return number;
}

uint64_t wb_config_age_ns(const wb_config *config, const char *name) {
  const char *text = wb_config_text(config, name);
  uint64_t age_ns = 0;
  if (text) parse_age(text, &age_ns);
  return age_ns;
}

char *const *wb_config_list(const wb_config *config, const char *name) {
  static char *const none[] = {NULL};
  const value *v = value_of(config, name);
  return v->count ? v->item : none;
}

char *const *wb_config_operands(const wb_config *config, unsigned *count) {
  if (count) *count = config->operand_count;
  return config->operand;
}

int wb_config_rank(const wb_config *config, const char *name) { return value_of(config, name)->rank; }

const char *wb_config_source(const wb_config *config, const char *name) {
  char *source = ((wb_config *)config)->source;
  const wb_option *option = &config->option[find(config, name, strlen(name))];
  switch (wb_config_rank(config, name)) {
  case RANK_FLAG: return "flag";
  case RANK_ENVIRONMENT: snprintf(source, sizeof config->source, "environment %s", option->environment); return source;
  case RANK_FILE: snprintf(source, sizeof config->source, "file %s", config->file); return source;
  default: return "default";
  }
}

void wb_config_print(const wb_config *config) {
  for (unsigned i = 0; i < config->count; i++) {
    const char *name = config->option[i].name;
    char text[1024] = "";
    size_t n = 0;
    const value *v = &config->value[i];
    for (unsigned j = 0; j < v->count && n < sizeof text; j++)
      n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", j ? "," : "", v->item[j]);
    printf("%-16s %-40s # %s\n", name, v->count ? text : "-", wb_config_source(config, name));
  }
}

void wb_config_usage(const wb_option *option, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    char flag[64], more[256] = "";
    snprintf(flag, sizeof flag, "--%s%s%s%s", option[i].no_flag ? "[no-]" : "", option[i].name,
             option[i].kind == WB_OPTION_SWITCH ? "" : " ",
             option[i].kind == WB_OPTION_SWITCH   ? ""
             : option[i].kind == WB_OPTION_CHOICE ? option[i].choices
                                                  : option[i].value_name);
    size_t n = 0;
    if (option[i].otherwise && option[i].kind != WB_OPTION_SWITCH)
      n += (size_t)snprintf(more + n, sizeof more - n, " (default %s)", option[i].otherwise);
    if (option[i].environment) snprintf(more + n, sizeof more - n, " [%s]", option[i].environment);
    if (strlen(flag) <= 28) printf("  %-28s %s%s\n", flag, option[i].help, more);
    else printf("  %s\n  %-28s %s%s\n", flag, "", option[i].help, more);
  }
  printf("  %-28s %s\n  %-28s %s\n", "--check-config", "print the effective settings and where each came from, then end",
         "--help", "this text");
}
