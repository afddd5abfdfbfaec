#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/commands.h"

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *job;
} commands[] = {
    {"run", wb_cmd_run, "the node: connect, keep books, store raw frames"},
    {"mock", wb_cmd_mock, "a mock exchange to run against"},
    {"replay", wb_cmd_replay, "run segments or text recordings through the same engine"},
    {"export", wb_cmd_export, "a log as tables: book changes, quotes, trades, bars, frames; CSV, JSON Lines, Parquet"},
    {"archive", wb_cmd_archive, "a log that grows as Parquet, each sealed segment once"},
    {"inspect", wb_cmd_inspect, "what a log holds: products, times, counts, gaps, damage"},
    {"top", wb_cmd_top, "live view of a running node, from its shared memory"},
    {"ctl", wb_cmd_ctl, "tell a running node which products come and go"},
    {"health", wb_cmd_health, "whether a node on this machine is alive, or ready: for probes of containers"},
    {"doctor", wb_cmd_doctor, "what this machine offers and lacks for low latency, and what would mend it"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *to) {
  fputs("usage: wirebook COMMAND [OPTIONS]\n\n", to);
  for (unsigned i = 0; i < COMMANDS; i++) fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].job);
  fputs("\n`wirebook COMMAND --help` lists the options of a command; `wirebook --version` says the version.\n", to);
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2) {
    usage(stderr);
    return 2;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    usage(stdout);
    return 0;
  }
  if (strcmp(argv[1], "--version") == 0) {
    puts("wirebook " WB_VERSION);
    return 0;
  }
  for (unsigned i = 0; i < COMMANDS; i++)
    if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
  fprintf(stderr, "wirebook: unknown command '%s'\n", argv[1]);
  for (unsigned i = 0; i < COMMANDS; i++)
    if (argv[1][0] == commands[i].name[0]) fprintf(stderr, "did you mean `wirebook %s`?\n", commands[i].name);
  usage(stderr);
  return 2;
}
