#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/config.h"
#include "io/export.h"
#include "io/folder.h"
#include "io/row_text.h"
#include "tools/commands.h"
#include "tools/export_parquet.h"
#include "tools/replay.h"
#include "tools/times.h"

#define TABLES "deltas|quotes|trades|bars|frames"

static const wb_option options[] = {
    {"table", WB_OPTION_CHOICE, NULL, "deltas", TABLES, NULL, "what the rows are", false, false},
    {"format", WB_OPTION_CHOICE, NULL, "csv", "csv|jsonl|parquet", NULL, "how they are written", false, false},
    {"out", WB_OPTION_TEXT, NULL, "-", NULL, "FILE",
     "where to, also -o; - for stdout; parquet: a folder, in which TABLE/product=ID/date=DAY/ are made", false, false},
    {"decimals", WB_OPTION_COUNT, NULL, "9", NULL, "N", "parquet: prices and sizes are DECIMAL(38,N), N up to 18", false,
     false},
    {"memory", WB_OPTION_TEXT, NULL, "512MB", NULL, "SIZE", "parquet: what DuckDB may take", false, false},
    {"feed", WB_OPTION_CHOICE, "WIREBOOK_FEED", "coinbase-exchange", "coinbase-exchange|coinbase-advanced|kraken", NULL,
     "dialect of the log", false, false},
    {"product", WB_OPTION_LIST, "PRODUCT_ID", "BTC-USD", NULL, "ID",
     "product, repeat or comma; BTC means BTC-USD; @FILE reads a list", false, false},
    {"channel", WB_OPTION_LIST, "WIREBOOK_CHANNEL", NULL, NULL, "NAME",
     "channel that makes the books: full or level3 of orders, level2 of levels (default: as the log says, else of levels)",
     false, false},
    {"from", WB_OPTION_TEXT, NULL, NULL, NULL, "TIME",
     "only what was received at TIME or later; the books at TIME are made first", false, false},
    {"to", WB_OPTION_TEXT, NULL, NULL, NULL, "TIME", "only what was received before TIME", false, false},
    {"bars", WB_OPTION_LIST, "WIREBOOK_BARS", NULL, NULL, "KIND=STEP",
     "bars of trades: time=SECONDS, ticks=TRADES, volume=SIZE (default time=60)", false, false},
    {"max-message", WB_OPTION_BYTES, NULL, "32M", NULL, "BYTES", "largest message", false, false},
    {"orders", WB_OPTION_COUNT, "WIREBOOK_ORDERS", "262144", NULL, "N", "level 3: orders a book, 1 to 16777216", false, false},
    {"crossed-ms", WB_OPTION_COUNT, NULL, "1000", NULL, "MS", "a book crossed for longer is stale; 0: never", false, false},
    {"witness", WB_OPTION_LIST, NULL, NULL, NULL, "KIND=WHAT",
     "off, count or resync (stale) for time, unknown, silent, heartbeat, ticker, trades, crossed, checksum; `off` for all",
     false, false},
    {"log-level", WB_OPTION_CHOICE, "WIREBOOK_LOG_LEVEL", "warning", "error|warning|info|debug", NULL,
     "what is logged, on stderr", false, false},
    {"config", WB_OPTION_TEXT, "WIREBOOK_CONFIG", NULL, NULL, "FILE", "YAML file of these options", false, true},
};
enum { OPTIONS = sizeof options / sizeof *options, BUFFER_BYTES = 1 << 20, DRAW_NS = 250000000 };

/* Whoever reads what comes out may go when he has seen enough; wirebook-parquet says itself why it went. */
static int wrong(const wb_error *error) {
  if (error->os_errno != EPIPE) fprintf(stderr, "wirebook export: %s\n", error->detail);
  return error->code == WB_E_CONFIG || error->code == WB_E_LIMIT ? 2 : 1;
}

/* ------------------------------------------------------------------------------------------------ progress */

typedef struct progress {
  bool shown; /* stderr is a terminal */
  uint64_t started_ns, due_ns;
} progress;

static void draw(progress *p, const wb_export *export) {
  uint64_t now_ns = wb_clock_ns();
  if (!p->shown || now_ns < p->due_ns) return;
  p->due_ns = now_ns + DRAW_NS;
  wb_export_totals totals = wb_export_totals_get(export);
  char bar[32] = "";
  if (totals.of_bytes) {
    unsigned tenths = (unsigned)(totals.read_bytes * 10 / totals.of_bytes);
    snprintf(bar, sizeof bar, "[%-10.*s] %3u%%  ", tenths < 10 ? (int)tenths : 10, "##########",
             (unsigned)(totals.read_bytes * 100 / totals.of_bytes));
  }
  fprintf(stderr, "\r%s%llu rows, %.0f s\033[K", bar, (unsigned long long)totals.rows, (double)(now_ns - p->started_ns) / 1e9);
}

static void wipe(const progress *p) {
  if (p->shown) fputs("\r\033[K", stderr);
}

/* ------------------------------------------------------------------------------------------------ text */

typedef struct text_out {
  FILE *file;
  wb_row_form form;
  const char *path;
  char *temporary; /* NULL: stdout */
} text_out;

static int put_text(void *self, wb_table_id table, const wb_value *cell, const wb_replay_origin *origin, wb_error *error) {
  text_out *out = self;
  (void)origin;
  return wb_row_text_write(out->file, out->form, wb_table_of(table), cell, error);
}

static int cannot(wb_error *error, const char *path) {
  return wb_error_set(error, WB_E_SYSTEM, errno, "export", "cannot write %s: %s", path, strerror(errno));
}

static int text_open(text_out *out, wb_table_id table, wb_error *error) {
  static char buffer[BUFFER_BYTES]; /* stdout keeps it */
  if (strcmp(out->path, "-") == 0) out->file = stdout;
  else if (asprintf(&out->temporary, "%s.tmp", out->path) < 0) out->temporary = NULL;
  else out->file = fopen(out->temporary, "we");
  if (!out->file) return cannot(error, out->path);
  setvbuf(out->file, buffer, _IOFBF, sizeof buffer);
  return wb_row_text_head(out->file, out->form, wb_table_of(table), error);
}

/* The file appears under its name when it is whole and on disk. A damaged log's has what is whole of the log. */
static int text_keep(text_out *out, wb_error *error) {
  if (fflush(out->file) != 0) return cannot(error, out->path);
  if (!out->temporary) return 0;
  if (fsync(fileno(out->file)) != 0 || rename(out->temporary, out->path) != 0) return cannot(error, out->path);
  free(out->temporary);
  out->temporary = NULL;
  char *slash = strrchr(out->path, '/'), *folder = slash ? strndup(out->path, (size_t)(slash - out->path)) : NULL;
  int result = wb_folder_sync(!slash ? "." : folder && *folder ? folder : "/");
  free(folder);
  errno = -result;
  return result == 0 ? 0 : cannot(error, out->path);
}

static void text_close(text_out *out) {
  if (out->file && out->file != stdout) fclose(out->file);
  if (out->temporary) unlink(out->temporary);
  free(out->temporary);
}

/* ------------------------------------------------------------------------------------------------ the work */

/* Puts all rows. Returns 0; 1 where all that is whole was put, but the log is not, and *error says what; negative where rows could not be put. */
static int put_all(const wb_export_config *config, wb_error *error) {
  wb_export *export = wb_export_open(config, error);
  if (!export) return error->code;
  progress p = {.shown = isatty(STDERR_FILENO), .started_ns = wb_clock_ns()};
  int result;
  while ((result = wb_export_step(export, error)) > 0) draw(&p, export);
  wipe(&p);
  bool read = result < 0 && wb_export_ended(export);
  wb_export_close(export);
  return read ? 1 : result;
}

static int export_text(const wb_config *config, wb_export_config *what, wb_table_id table) {
  wb_error error;
  text_out out = {.path = wb_config_text(config, "out"), .form = (wb_row_form)wb_config_choice(config, "format")};
  what->sink = (wb_row_sink){&out, put_text};
  int result = text_open(&out, table, &error);
  if (result == 0) result = put_all(what, &error);
  int code = result == 0 ? 0 : wrong(&error);
  if (result >= 0 && text_keep(&out, &error) != 0) code = wrong(&error);
  text_close(&out);
  return code;
}

/* Whole days stay, whatever becomes of the others. */
static int export_parquet(const wb_config *config, wb_export_config *what, wb_table_id table) {
  wb_error error;
  wb_export_parquet *parquet = wb_export_parquet_open(config, what, table, &error);
  if (!parquet) return wrong(&error);
  int result = put_all(what, &error), code = result == 0 ? 0 : wrong(&error);
  if (wb_export_parquet_close(parquet, result >= 0, &error) == 0 || code) return code;
  return *error.detail ? wrong(&error) : 1;
}

/* A table of bars tells those of time apart, by their seconds, and no others. */
static int bars_of(const wb_config *config, wb_table_id table, wb_node_config *node, wb_error *error) {
  if (wb_tape_config_read(&node->tape, wb_config_list(config, "bars"), error) != 0) return WB_E_CONFIG;
  unsigned other = 0;
  for (uint32_t i = 0; i < node->tape.series_count; i++) other += node->tape.series[i].kind != WB_BAR_TIME;
  if (table != WB_TABLE_BARS || (node->tape.series_count && other < 2)) return 0;
  return wb_error_set(error, WB_E_CONFIG, 0, "bars",
                      other ? "a table holds one kind of bars by ticks or volume: export the others apart"
                            : "--bars off leaves no bars to export");
}

int wb_cmd_export(int argc, char **argv) {
  wb_error error;
  wb_config *config = wb_config_load(options, OPTIONS, argc, argv, &error);
  if (!config) return wrong(&error);
  int code = 0;
  unsigned paths;
  wb_export_config what = {0};
  wb_replay_settings settings = {.node = &what.node};
  what.node.path = wb_config_operands(config, &paths);
  wb_table_id table = (wb_table_id)wb_config_choice(config, "table");
  uint64_t orders = wb_config_count(config, "orders");
  bool parquet = strcmp(wb_config_text(config, "format"), "parquet") == 0;
  what.tables = 1u << table;
  what.node.order_count_max = (uint32_t)orders;
  if (wb_config_help(config)) {
    puts("usage: wirebook export [OPTIONS] PATH...\n\nTurns segments of a log, or text recordings, into a table, by replaying "
         "them: the changes of books, their touches, trades,\n"
         "bars of trades, or the raw frames. The columns are in docs/export.md.\n" WB_TIMES_HELP);
    wb_config_usage(options, OPTIONS);
  } else if (wb_config_check(config)) {
    wb_config_print(config);
  } else if (!paths) {
    fputs("wirebook export: no path was given; --help tells more\n", stderr);
    code = 2;
  } else if (orders < 1 || orders > 16777216) {
    fputs("wirebook export: --orders is 1 to 16777216\n", stderr);
    code = 2;
  } else if (parquet && (strcmp(wb_config_text(config, "out"), "-") == 0 || wb_config_count(config, "decimals") > 18)) {
    fputs("wirebook export: --format parquet needs --out, a folder, and --decimals up to 18\n", stderr);
    code = 2;
  } else if (bars_of(config, table, &what.node, &error) != 0 || wb_replay_settings_read(&settings, config, &error) != 0) {
    code = wrong(&error);
  } else {
    wb_log *log = wb_log_open(NULL, wb_config_choice(config, "log-level"), false, &error);
    what.node.log = log;
    code = log ? (parquet ? export_parquet : export_text)(config, &what, table) : wrong(&error);
    wb_log_close(log);
  }
  wb_replay_settings_free(&settings);
  wb_config_free(config);
  return code;
}
