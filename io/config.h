/* config.h - options of a command: flags, environment, YAML file, defaults, from one table.
 *
 * Precedence: flag, then environment, then the file named by --config, then default. Every value knows where it came from. A
 * list given at one place replaces the whole list of a lower one; within one place it may be repeated or separated by commas.
 * -o is short for --out. The file is a YAML mapping whose keys are the flags' names; lists are sequences. Unknown keys are errors.
 * Threads: cold, one. The only file pair that includes libcyaml. */
#ifndef WB_IO_CONFIG_H
#define WB_IO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

typedef enum {
  WB_OPTION_TEXT,
  WB_OPTION_SWITCH, /* a flag without a value; in environment and file true/false, yes/no, on/off, 1/0 */
  WB_OPTION_COUNT,  /* unsigned integer */
  WB_OPTION_BYTES,  /* unsigned integer with an optional k, M, G (powers of 1024) */
  WB_OPTION_NUMBER, /* non-negative decimal */
  WB_OPTION_AGE,    /* seconds, or with s, m (minutes), h, d, w */
  WB_OPTION_CHOICE, /* one of choices */
  WB_OPTION_LIST
} wb_option_kind;

/* One option. otherwise: default as text, NULL for none. choices: "a|b|c". no_flag: a switch that is on by default is turned
 * off by --no-NAME. */
typedef struct wb_option {
  const char *name; /* "max-message": flag --max-message, key max-message */
  wb_option_kind kind;
  const char *environment; /* NULL: none */
  const char *otherwise;
  const char *choices;
  const char *value_name; /* "BYTES" in help */
  const char *help;
  bool no_flag;
  bool no_file; /* not a key of the file */
} wb_option;

typedef struct wb_config wb_config;

/* wb_config_load reads everything. Operands (words that are no flags) are kept in order. Returns NULL with *error: WB_E_CONFIG
 * and a detail that names the place and gives a hint. `--help` and `--check-config` are switches of every command (do not list
 * them); the caller asks for them. */
wb_config *wb_config_load(const wb_option *option, unsigned count, int argc, char **argv, wb_error *error);
void wb_config_free(wb_config *config);

bool wb_config_help(const wb_config *config);
bool wb_config_check(const wb_config *config);

/* By name; programmer errors are checked. Text: NULL when there is none. List: NULL-terminated, never NULL. */
const char *wb_config_text(const wb_config *config, const char *name);
bool wb_config_switch(const wb_config *config, const char *name);
uint64_t wb_config_count(const wb_config *config, const char *name);

/* wb_config_choice returns the index of a CHOICE's value among its choices. */
int wb_config_choice(const wb_config *config, const char *name);
double wb_config_number(const wb_config *config, const char *name);

/* wb_config_age_ns returns an AGE in nanoseconds; 0 where there is none. */
uint64_t wb_config_age_ns(const wb_config *config, const char *name);
char *const *wb_config_list(const wb_config *config, const char *name);
char *const *wb_config_operands(const wb_config *config, unsigned *count);

/* wb_config_source returns "flag", "environment NAME", "file PATH" or "default". wb_config_rank: 3, 2, 1, 0 for these. */
const char *wb_config_source(const wb_config *config, const char *name);
int wb_config_rank(const wb_config *config, const char *name);

/* wb_config_print writes the effective settings, one a line, with their sources; wb_config_usage the table of options for
 * --help. To stdout. */
void wb_config_print(const wb_config *config);
void wb_config_usage(const wb_option *option, unsigned count);

#endif
