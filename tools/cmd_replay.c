#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "io/config.h"
#include "io/report.h"
#include "tools/commands.h"
#include "tools/console.h"
#include "tools/market.h"
#include "tools/replay.h"
#include "tools/times.h"

static const wb_option options[] = {
    {"feed", WB_OPTION_CHOICE, "WIREBOOK_FEED", "coinbase-exchange", "coinbase-exchange|coinbase-advanced|kraken", NULL,
     "dialect of the recording", false, false},
    {"product", WB_OPTION_LIST, "PRODUCT_ID", "BTC-USD", NULL, "ID",
     "product, repeat or comma; BTC means BTC-USD; @FILE reads a list", false, false},
    {"channel", WB_OPTION_LIST, "WIREBOOK_CHANNEL", NULL, NULL, "NAME",
     "channel that makes the books: full or level3 of orders, level2 of levels (default: as the log says, else of levels)",
     false, false},
    {"speed", WB_OPTION_TEXT, NULL, "max", NULL, "max|Nx", "as fast as it goes, or N times as fast as it was received", false,
     false},
    {"from", WB_OPTION_TEXT, NULL, NULL, NULL, "TIME",
     "only what was received at TIME or later; the books at TIME are made first", false, false},
    {"to", WB_OPTION_TEXT, NULL, NULL, NULL, "TIME", "only what was received before TIME", false, false},
    {"report", WB_OPTION_TEXT, NULL, NULL, NULL, "FILE", "JSON report at the end (- for stdout)", false, false},
    {"max-message", WB_OPTION_BYTES, NULL, "32M", NULL, "BYTES", "largest message", false, false},
    {"depth", WB_OPTION_COUNT, NULL, "50", NULL, "N", "levels a side in the report, 1 to 1000", false, false},
    {"orders", WB_OPTION_COUNT, "WIREBOOK_ORDERS", "262144", NULL, "N", "level 3: orders a book, 1 to 16777216", false, false},
    {"bars", WB_OPTION_LIST, "WIREBOOK_BARS", NULL, NULL, "KIND=STEP",
     "bars of trades: time=SECONDS, ticks=TRADES, volume=SIZE (default time=60); `off`", false, false},
    {"imbalance-levels", WB_OPTION_COUNT, NULL, "10", NULL, "N", "levels a side of imbalance and pressure, 1 to 60", false,
     false},
    {"depth-bps", WB_OPTION_COUNT, NULL, "10", NULL, "N", "basis points from the mid that depth is measured to, 0 to 10000",
     false, false},
    {"mid-window", WB_OPTION_COUNT, NULL, "10", NULL, "N", "mids averaged, 1 to 1024", false, false},
    {"crossed-ms", WB_OPTION_COUNT, NULL, "1000", NULL, "MS", "a book crossed for longer is stale; 0: never", false, false},
    {"witness", WB_OPTION_LIST, NULL, NULL, NULL, "KIND=WHAT",
     "off, count or resync (stale) for time, unknown, silent, heartbeat, ticker, trades, crossed, checksum; `off` for all",
     false, false},
    {"layout", WB_OPTION_CHOICE, "WIREBOOK_LAYOUT", "auto", "auto|fused|pipelined", NULL, "stages on threads", false, false},
    {"console", WB_OPTION_CHOICE, NULL, "auto", "auto|live|plain|off", NULL, "live view, plain lines, or nothing", false,
     false},
    {"log-level", WB_OPTION_CHOICE, "WIREBOOK_LOG_LEVEL", "warning", "error|warning|info|debug", NULL,
     "what is logged, on stderr", false, false},
    {"config", WB_OPTION_TEXT, "WIREBOOK_CONFIG", NULL, NULL, "FILE", "YAML file of these options", false, true},
};
enum { OPTIONS = sizeof options / sizeof *options };

static int wrong(const wb_error *error) {
  fprintf(stderr, "wirebook replay: %s\n", error->detail);
  return 2;
}

static int replay(const wb_config *config, wb_node_config *settings, wb_log *log) {
  wb_error error;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  settings->log = log;
  wb_node *node = wb_node_open(settings, &error);
  if (!node) return wrong(&error) - (error.code != WB_E_CONFIG && error.code != WB_E_LIMIT);
  const char *wanted = wb_config_text(config, "console");
  bool live = strcmp(wanted, "live") == 0 || (strcmp(wanted, "auto") == 0 && isatty(STDOUT_FILENO));
  const char *path = wb_config_text(config, "report");
  bool quiet = strcmp(wanted, "off") == 0 || (path && strcmp(path, "-") == 0);
  wb_console *console = quiet ? NULL : wb_console_open(node, live);
  int code = 0;
  uint64_t draw_due_ns = wb_clock_ns();
  unsigned stops = 0;
  if (wb_node_start(node, &error) != 0) {
    fprintf(stderr, "wirebook replay: %s\n", error.detail);
    code = 1;
  }
  while (code == 0 && !wb_node_ended(node, &error)) {
    struct timespec timeout = {.tv_nsec = 2000000};
    int signal_number = sigtimedwait(&set, NULL, &timeout);
    if (signal_number > 0) {
      if (stops++) _exit(128 + signal_number);
      wb_node_stop(node);
    }
    wb_log_drain(log);
    if (console && live && wb_clock_ns() >= draw_due_ns) {
      wb_console_draw(console);
      draw_due_ns = wb_clock_ns() + 250000000;
    }
  }
  if (code == 0 && error.code != 0) {
    fprintf(stderr, "wirebook replay: %s\n", error.detail);
    code = 1;
  }
  wb_node_finish(node, NULL);
  wb_log_drain(log);
  if (console) wb_console_summary(console);
  if (path && wb_report_write(node, path, &error) != 0) {
    fprintf(stderr, "wirebook replay: %s\n", error.detail);
    code = 1;
  }
  wb_console_close(console);
  wb_node_close(node);
  return code;
}

int wb_cmd_replay(int argc, char **argv) {
  wb_error error;
  wb_config *config = wb_config_load(options, OPTIONS, argc, argv, &error);
  if (!config) return wrong(&error);
  int code = 0;
  unsigned paths;
  wb_node_config node = {0};
  wb_replay_settings settings = {.node = &node};
  node.path = wb_config_operands(config, &paths);
  uint64_t depth = wb_config_count(config, "depth"), window = wb_config_count(config, "mid-window");
  const char *layout = wb_config_text(config, "layout");
  if (wb_config_help(config)) {
    puts("usage: wirebook replay [OPTIONS] PATH...\n\nRuns segments of a log, or text recordings (one JSON message a line; "
         "plain, gzip or zstd; receive time in\n"
         "front or not), through the same stages as a live feed, and reports as `run` does.\n" WB_TIMES_HELP);
    wb_config_usage(options, OPTIONS);
  } else if (wb_config_check(config)) {
    wb_config_print(config);
  } else if (!paths) {
    fputs("wirebook replay: no path was given; --help tells more\n", stderr);
    code = 2;
  } else if (!wb_speed_parse(wb_config_text(config, "speed"), &node.speed)) {
    fprintf(stderr, "wirebook replay: --speed '%s' is neither max nor a factor such as 1x or 10x\n",
            wb_config_text(config, "speed"));
    code = 2;
  } else if (depth < 1 || depth > WB_DEPTH_MAX || window < 1 || window > WB_MID_WINDOW_MAX) {
    fputs("wirebook replay: --depth is 1 to 1000, --mid-window 1 to 1024\n", stderr);
    code = 2;
  } else if (wb_market_settings(config, &node, &error) != 0) {
    code = wrong(&error);
  } else if (wb_replay_settings_read(&settings, config, &error) != 0) {
    code = wrong(&error);
  } else {
    node.depth = (uint32_t)depth;
    node.mid_window = (uint32_t)window;
    node.layout = strcmp(layout, "pipelined") == 0 ? WB_LAYOUT_PIPELINED : WB_LAYOUT_FUSED;
    node.wait = WB_NODE_WAIT_YIELD;
    int level = wb_config_choice(config, "log-level");
    wb_log *log = wb_log_open(NULL, level, false, &error);
    code = log ? replay(config, &node, log) : wrong(&error);
    wb_log_close(log);
  }
  wb_replay_settings_free(&settings);
  wb_config_free(config);
  return code;
}
