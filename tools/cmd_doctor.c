#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/config.h"
#include "io/machine.h"
#include "tools/commands.h"

static const wb_option options[] = {
    {"data", WB_OPTION_TEXT, "WIREBOOK_DATA", "./data", NULL, "DIR", "where raw frames would be stored", false, false},
    {"json", WB_OPTION_SWITCH, NULL, "false", NULL, NULL, "as one JSON object", false, false},
    {"all", WB_OPTION_SWITCH, NULL, "false", NULL, NULL, "say why it matters for what is well, too", false, false},
    {"config", WB_OPTION_TEXT, "WIREBOOK_CONFIG", NULL, NULL, "FILE", "YAML file of these options", false, true},
};
enum { OPTIONS = sizeof options / sizeof *options };

static void print_json(const wb_findings *findings, const unsigned counts[WB_FINDING_STATES], bool can_run) {
  json_t *object = json_object(), *array = json_array(), *sums = json_object();
  for (int state = 0; state < WB_FINDING_STATES; state++)
    json_object_set_new(sums, wb_finding_state_name((wb_finding_state)state), json_integer(counts[state]));
  for (unsigned i = 0; i < findings->count; i++) {
    const wb_finding *f = &findings->finding[i];
    json_array_append_new(array, json_pack("{ss ss ss ss ss ss?}", "key", f->key, "label", f->label, "state",
                                           wb_finding_state_name(f->state), "value", f->value, "why", f->why, "fix",
                                           *f->fix ? f->fix : NULL));
  }
  json_object_set_new(object, "wirebook", json_string(WB_VERSION));
  json_object_set_new(object, "can_run", json_boolean(can_run));
  json_object_set_new(object, "counts", sums);
  json_object_set_new(object, "findings", array);
  json_dumpf(object, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(object);
}

static void print_text(const wb_findings *findings, const unsigned counts[WB_FINDING_STATES], bool can_run, bool all) {
  static const char *const colours[WB_FINDING_STATES] = {"\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m"};
  bool coloured = isatty(STDOUT_FILENO);
  const char *group = "";
  size_t group_bytes = 0;
  for (unsigned i = 0; i < findings->count; i++) {
    const wb_finding *f = &findings->finding[i];
    if (strncmp(f->key, group, group_bytes + 1) != 0 || !*group) {
      group = f->key;
      group_bytes = strcspn(group, ".");
      printf("%s%.*s\n", i ? "\n" : "", (int)group_bytes, group);
    }
    printf("  %s%-15s%s  %-26s  %s\n", coloured ? colours[f->state] : "", wb_finding_state_name(f->state),
           coloured ? "\x1b[0m" : "", f->label, f->value);
    if (all || *f->fix) printf("%-19swhy  %s\n", "", f->why);
    if (*f->fix) printf("%-19sfix  %s\n", "", f->fix);
  }
  printf("\n%u ok, %u could be better, %u missing, %u unknown: the node can%s run here\n", counts[WB_FINDING_OK],
         counts[WB_FINDING_BETTER], counts[WB_FINDING_MISSING], counts[WB_FINDING_UNKNOWN], can_run ? "" : "not");
}

static int doctor(const wb_config *config) {
  wb_machine machine;
  wb_findings findings;
  unsigned counts[WB_FINDING_STATES] = {0};
  wb_machine_measure(wb_config_text(config, "data"), &machine);
  wb_machine_judge("", &machine, &findings);
  bool can_run = wb_machine_can_run(&machine);
  for (unsigned i = 0; i < findings.count; i++) counts[findings.finding[i].state]++;
  if (wb_config_switch(config, "json")) print_json(&findings, counts, can_run);
  else print_text(&findings, counts, can_run, wb_config_switch(config, "all"));
  return can_run && fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

int wb_cmd_doctor(int argc, char **argv) {
  wb_error error;
  wb_config *config = wb_config_load(options, OPTIONS, argc, argv, &error);
  if (!config) {
    fprintf(stderr, "wirebook doctor: %s\n", error.detail);
    return 2;
  }
  int code = 0;
  unsigned operands;
  char *const *operand = wb_config_operands(config, &operands);
  if (wb_config_help(config)) {
    puts("usage: wirebook doctor [OPTIONS]\n\nWhat this machine offers and lacks for low latency, and what would mend it. "
         "Changes nothing.\n"
         "Exit code: 0 the node can run here; 1 it cannot (no io_uring); 2 wrong usage.\n");
    wb_config_usage(options, OPTIONS);
  } else if (operands) {
    fprintf(stderr, "wirebook doctor: '%s' is no option; --help lists all\n", operand[0]);
    code = 2;
  } else if (wb_config_check(config)) {
    wb_config_print(config);
  } else {
    code = doctor(config);
  }
  wb_config_free(config);
  return code;
}
