#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "io/config.h"
#include "io/export.h"
#include "tools/archive_log.h"
#include "tools/archive_place.h"
#include "tools/commands.h"
#include "tools/export_parquet.h"
#include "tools/products.h"

static const wb_option options[] = {
    {"out", WB_OPTION_TEXT, NULL, NULL, NULL, "DIR", "where to, also -o; TABLE/product=ID/date=DAY/ are made in it", false,
     false},
    {"table", WB_OPTION_LIST, NULL, "all", NULL, "NAME", "deltas, quotes, trades, frames, repeat or comma; all: these four",
     false, false},
    {"once", WB_OPTION_SWITCH, NULL, "false", NULL, NULL,
     "the node has ended: do what is there, its last segment with it, and end", false, false},
    {"decimals", WB_OPTION_COUNT, NULL, "9", NULL, "N", "prices and sizes are DECIMAL(38,N), N up to 18", false, false},
    {"memory", WB_OPTION_TEXT, NULL, "256MB", NULL, "SIZE", "what DuckDB may take for a table", false, false},
    {"feed", WB_OPTION_CHOICE, "WIREBOOK_FEED", "coinbase-exchange", "coinbase-exchange|coinbase-advanced|kraken", NULL,
     "dialect of the log", false, false},
    {"product", WB_OPTION_LIST, "PRODUCT_ID", "BTC-USD", NULL, "ID",
     "product, repeat or comma; BTC means BTC-USD; @FILE reads a list", false, false},
    {"channel", WB_OPTION_LIST, "WIREBOOK_CHANNEL", NULL, NULL, "NAME",
     "channel that makes the books: full or level3 of orders, level2 of levels (default: as the log says, else of levels)",
     false, false},
    {"max-message", WB_OPTION_BYTES, NULL, "32M", NULL, "BYTES", "largest message", false, false},
    {"orders", WB_OPTION_COUNT, "WIREBOOK_ORDERS", "262144", NULL, "N", "level 3: orders a book, 1 to 16777216", false, false},
    {"log-level", WB_OPTION_CHOICE, "WIREBOOK_LOG_LEVEL", "warning", "error|warning|info|debug", NULL,
     "what is logged, on stderr", false, false},
    {"config", WB_OPTION_TEXT, "WIREBOOK_CONFIG", NULL, NULL, "FILE", "YAML file of these options", false, true},
};
enum { OPTIONS = sizeof options / sizeof *options, OPTIONS_TEXT_BYTES = 1024, FOLDERS_OPEN = 8, OPEN_TRIES = 10 };

/* Trades of this long before a unit are looked at, so that one that two lines tell comes once. */
#define BEFORE_NS INT64_C(60000000000)
/* How often to look anyway; and for a segment that is just being begun. */
enum { LOOK_MS = 60000, SOON_MS = 200, SOON_TRIES = 25 };

typedef struct archive {
  const char *dir;
  uint64_t decimals;
  const char *memory;
  bool once, damaged; /* damaged: something was told that is to be told by the exit code, too */
  uint32_t tables;
  wb_node_config node;
  wb_products *products;
  wb_archive_place place;
  int watch;
} archive;

/* Tables that are made in one pass, and how far they are. */
typedef struct lane {
  archive *of;
  const char *cursor_name;
  uint32_t tables;
  char options[OPTIONS_TEXT_BYTES];
  wb_archive_cursor cursor;

  /* the pass: units at .. end are left to do */
  wb_archive_log log;
  size_t at, end;
  wb_export_parquet *parquet[WB_TABLE_COUNT];
  uint64_t last_number, last_segment; /* of the unit's rows */
  int64_t last_utc_ns;
  const wb_log_segment *segment; /* of the last row, in */
  unsigned run;
} lane;

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
  if (stopping) _exit(128 + number);
  stopping = 1;
}

static int wrong(const wb_error *error) {
  if (*error->detail) fprintf(stderr, "wirebook archive: %s\n", error->detail);
  return error->code == WB_E_CONFIG || error->code == WB_E_LIMIT ? 2 : 1;
}

static void tell(archive *a, const char *text, const char *what) {
  fprintf(stderr, "wirebook archive: %s%s%s\n", what, *what ? ": " : "", text);
  a->damaged = true;
}

/* ------------------------------------------------------------------------------------------------ a unit */

static void drop_unit(lane *l) {
  for (unsigned t = 0; t < WB_TABLE_COUNT; t++) {
    if (l->parquet[t]) wb_export_parquet_close(l->parquet[t], false, NULL);
    l->parquet[t] = NULL;
  }
}

static int finish_unit(lane *l, wb_error *error) {
  archive *a = l->of;
  const wb_archive_segment *unit = &l->log.segment[l->at];
  int result = 0;
  for (unsigned t = 0; t < WB_TABLE_COUNT && result == 0; t++) {
    if (!l->parquet[t]) continue;
    result = wb_export_parquet_close(l->parquet[t], true, error);
    l->parquet[t] = NULL;
    if (result == 0) result = wb_archive_place_publish(&a->place, (wb_table_id)t, unit->name, error);
  }
  if (result != 0) return result;
  int64_t from_utc_ns = l->last_utc_ns != WB_TIME_NONE ? l->last_utc_ns - BEFORE_NS : INT64_MIN;
  wb_archive_log_done(&l->log, &l->cursor, l->at, l->last_number, l->last_segment, from_utc_ns);
  l->at++;
  l->last_utc_ns = WB_TIME_NONE;
  return wb_archive_cursor_write(&a->place, l->cursor_name, l->options, &l->cursor, error);
}

static unsigned run_of(lane *l, const wb_log_segment *segment) {
  if (segment == l->segment) return l->run;
  l->segment = segment;
  l->run = 0;
  for (size_t i = 0; i < l->log.count; i++)
    if (memcmp(l->log.segment[i].node, segment->node, sizeof segment->node) == 0) l->run = l->log.segment[i].run;
  return l->run;
}

/* Rows come in the order of the log, from somewhere in front of the first unit to somewhere behind the last. */
static int put(void *self, wb_table_id table, const wb_value *value, const wb_replay_origin *origin, wb_error *error) {
  lane *l = self;
  archive *a = l->of;
  unsigned run = run_of(l, origin->segment);
  const wb_archive_segment *unit = &l->log.segment[l->at];
  for (; l->at < l->end; unit++) {
    if (run < unit->run || (run == unit->run && origin->number < unit->end_number)) break;
    int result = finish_unit(l, error);
    if (result != 0) return result;
  }
  if (l->at == l->end || run < unit->run || origin->number < unit->first_number) return 0;
  if (!l->parquet[table] &&
      !(l->parquet[table] = wb_export_parquet_start(a->place.work, table, unit->name, a->decimals, a->memory, error)))
    return error->code;
  l->last_number = origin->number;
  l->last_segment = origin->segment->segment;
  l->last_utc_ns = origin->utc_ns;
  return wb_export_parquet_put(l->parquet[table], table, value, error);
}

/* ------------------------------------------------------------------------------------------------ a pass */

/* Records that are missing behind the last unit are in segments to come. */
static bool is_of_later(const lane *l, const wb_error *error) {
  return error->what && strcmp(error->what, WB_REPLAY_MISSING) == 0 && error->position >= l->log.segment[l->end - 1].end_number;
}

static int run_pass(lane *l, char *const *path, int64_t from_utc_ns, wb_error *error) {
  archive *a = l->of;
  wb_export_config config = {.node = a->node, .tables = l->tables, .sink = {l, put}};
  config.node.path = path;
  config.node.part = from_utc_ns != INT64_MIN;
  config.node.from_utc_ns = from_utc_ns;
  config.node.to_utc_ns = INT64_MAX;
  l->segment = NULL;
  l->last_utc_ns = WB_TIME_NONE;
  wb_export *export = wb_export_open(&config, error);
  if (!export) return error->code;
  int result = 1;
  while (result > 0 && !stopping) result = wb_export_step(export, error);
  if (result < 0 && wb_export_ended(export)) {
    if (!is_of_later(l, error)) tell(a, error->detail, "");
    result = 0;
  }
  wb_export_close(export);
  while (result == 0 && l->at < l->end && !stopping) result = finish_unit(l, error);
  drop_unit(l);
  return stopping || result > 0 ? 0 : result;
}

/* The order in which runs are met is kept, once there is a cursor: it says which of them has ended. */
static int meet_runs(lane *l, wb_error *error) {
  int result = wb_archive_log_meet(&l->log, &l->cursor);
  if (result < 0) return wb_error_set(error, result, ENOMEM, "archive", "no memory");
  return result && l->cursor.there ? wb_archive_cursor_write(&l->of->place, l->cursor_name, l->options, &l->cursor, error) : 0;
}

/* All that follows one upon the other and is ready, in one pass. Returns 1 if there was something to do, 0, or a negative error. */
static int do_ready(lane *l, wb_error *error) {
  archive *a = l->of;
  bool missed = false;
  int result = wb_archive_log_open(&l->log, a->dir, error);
  char **path = NULL;
  if (result == 0) result = meet_runs(l, error);
  if (result == 0) {
    wb_archive_log_next(&l->log, &l->cursor, a->once, &l->at, &l->end, &missed);
    result = l->at < l->end;
  }
  if (result > 0 && missed)
    tell(a, "of what lies between it and the last one archived something is gone, or came too late",
         l->log.segment[l->at].path);
  if (result > 0 && !(path = calloc(l->end + 1, sizeof *path)))
    result = wb_error_set(error, WB_E_MEMORY, ENOMEM, "archive", "no memory");
  if (result > 0) {
    int64_t from_utc_ns;
    size_t begin = wb_archive_log_from(&l->log, &l->cursor, l->at, &from_utc_ns);
    for (size_t i = begin; i < l->end; i++) path[i - begin] = l->log.segment[i].path;
    int code = run_pass(l, path, from_utc_ns, error);
    if (code != 0) result = code;
  }
  free(path);
  return result;
}

/* As do_ready. A segment may take its compressed form, or go, between two looks. */
static int do_lane(lane *l, bool *soon, wb_error *error) {
  for (unsigned tries = 0;; tries++) {
    *error = (wb_error){0};
    int result = do_ready(l, error);
    *soon |= l->log.unreadable > 0;
    wb_archive_log_close(&l->log);
    if (result >= 0 || error->os_errno != ENOENT || tries == OPEN_TRIES) return result;
  }
}

/* Until nothing is ready, in turns, so that neither waits for the other for long. */
static int do_lanes(lane *lanes, unsigned count, bool *soon, wb_error *error) {
  bool more = true;
  int result = 0;
  while (more && result >= 0) {
    more = *soon = false;
    for (unsigned i = 0; i < count && result >= 0 && !stopping; i++) {
      result = do_lane(&lanes[i], soon, error);
      more |= result > 0;
    }
    more &= !stopping;
  }
  return result < 0 ? result : 0;
}

/* ------------------------------------------------------------------------------------------------ waiting */

static int watch_fd;

static int watch_folder(const char *path, const struct stat *about, int kind, struct FTW *at) {
  (void)about, (void)at;
  if (kind == FTW_D) (void)inotify_add_watch(watch_fd, path, IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR);
  return 0;
}

static void watch(const archive *a) {
  watch_fd = a->watch;
  nftw(a->dir, watch_folder, FOLDERS_OPEN, FTW_PHYS);
}

static void wait_for_more(const archive *a, int timeout_ms, const sigset_t *open_signals) {
  struct pollfd look = {.fd = a->watch, .events = POLLIN};
  struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
  char events[4096];
  if (ppoll(&look, 1, &timeout, open_signals) > 0)
    while (read(a->watch, events, sizeof events) > 0) {
    }
}

static int work(archive *a, lane *lanes, unsigned count, wb_error *error) {
  sigset_t held, before;
  sigemptyset(&held);
  sigaddset(&held, SIGINT);
  sigaddset(&held, SIGTERM);
  sigprocmask(SIG_BLOCK, &held, &before);
  sigdelset(&before, SIGINT);
  sigdelset(&before, SIGTERM);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  int result = 0;
  unsigned looks = 0;
  while (result == 0 && !stopping) {
    bool soon = false;
    watch(a); /* first: what comes while the log is looked at is seen */
    sigprocmask(SIG_UNBLOCK, &held, NULL);
    result = do_lanes(lanes, count, &soon, error);
    sigprocmask(SIG_BLOCK, &held, NULL);
    looks = soon ? looks + 1 : 0;
    bool never = looks > SOON_TRIES; /* it has been left without a header for good */
    if (result == 0 && !stopping && soon && (a->once || looks == SOON_TRIES))
      tell(a, "a segment has no readable header", a->dir);
    if (result != 0 || stopping || a->once) break;
    wait_for_more(a, soon && !never ? SOON_MS : LOOK_MS, &before);
  }
  return stopping && result < 0 ? 0 : result;
}

/* ------------------------------------------------------------------------------------------------ the command */

static int read_tables(archive *a, const wb_config *config, wb_error *error) {
  for (char *const *item = wb_config_list(config, "table"); *item; item++)
    for (const char *at = *item; *at;) {
      size_t bytes = strcspn(at, ",");
      uint32_t found = bytes == 3 && memcmp(at, "all", 3) == 0
                           ? 1u << WB_TABLE_DELTAS | 1u << WB_TABLE_QUOTES | 1u << WB_TABLE_TRADES | 1u << WB_TABLE_FRAMES
                           : 0;
      for (unsigned t = 0; t < WB_TABLE_COUNT; t++) {
        const char *name = wb_table_of((wb_table_id)t)->name;
        if (t != WB_TABLE_BARS && strlen(name) == bytes && memcmp(name, at, bytes) == 0) found |= 1u << t;
      }
      if (!found)
        return wb_error_set(error, WB_E_CONFIG, 0, "table", "--table %.*s: one of deltas, quotes, trades, frames, all%s",
                            (int)bytes, at, bytes == 4 && memcmp(at, "bars", 4) == 0 ? "; bars are made of trades" : "");
      a->tables |= found;
      at += bytes + (at[bytes] == ',');
    }
  return 0;
}

static int read_options(archive *a, const wb_config *config, wb_log *log, wb_error *error) {
  a->decimals = wb_config_count(config, "decimals");
  a->memory = wb_config_text(config, "memory");
  a->once = wb_config_switch(config, "once");
  uint64_t orders = wb_config_count(config, "orders");
  if (orders < 1 || orders > 16777216) return wb_error_set(error, WB_E_CONFIG, 0, "orders", "--orders is 1 to 16777216");
  if (a->decimals > 18) return wb_error_set(error, WB_E_CONFIG, 0, "decimals", "--decimals is 0 to 18");
  int result = read_tables(a, config, error);
  if (result != 0) return result;
  a->node.codec = wb_codec_find(wb_config_text(config, "feed"));
  a->node.products = a->products = wb_products_open(wb_config_list(config, "product"), a->node.codec->separator, error);
  if (!a->products) return error->code;
  a->node.channels = (const char *const *)wb_config_list(config, "channel");
  if (!*a->node.channels) a->node.channels = NULL;
  a->node.message_bytes_max = wb_config_count(config, "max-message");
  a->node.order_count_max = (uint32_t)orders;
  a->node.crossed_ms = 1000;
  a->node.log = log;
  return 0;
}

/* What a folder is begun with, and gone on with. Many products are told apart by a hash alone. */
static void options_text(const archive *a, const lane *l, char text[OPTIONS_TEXT_BYTES]) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (uint32_t i = 0; i < a->products->count; i++)
    for (const char *c = a->products->product[i].id; c == a->products->product[i].id || c[-1]; c++)
      h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
  size_t n =
      (size_t)snprintf(text, OPTIONS_TEXT_BYTES, "feed=%s decimals=%llu products=%u:%016llx tables=", a->node.codec->name,
                       (unsigned long long)a->decimals, a->products->count, (unsigned long long)h);
  for (unsigned t = 0; t < WB_TABLE_COUNT; t++)
    if (l->tables >> t & 1) n += (size_t)snprintf(text + n, OPTIONS_TEXT_BYTES - n, "%s,", wb_table_of((wb_table_id)t)->name);
  for (const char *const *c = a->node.channels; c && *c && n < OPTIONS_TEXT_BYTES; c++)
    n += (size_t)snprintf(text + n, OPTIONS_TEXT_BYTES - n, " channel=%.64s", *c);
}

static int archive_all(archive *a, const char *out, wb_error *error) {
  static lane lanes[2] = {{.cursor_name = "books.json"}, {.cursor_name = "frames.json"}};
  unsigned count = 0;
  int result = wb_archive_place_open(&a->place, out, error);
  for (unsigned i = 0; i < 2 && result == 0; i++) {
    lane *l = &lanes[i], *to = &lanes[count];
    l->tables = a->tables & (i ? 1u << WB_TABLE_FRAMES : ~(1u << WB_TABLE_FRAMES));
    if (!l->tables) continue;
    l->of = a;
    options_text(a, l, l->options);
    result = wb_archive_cursor_read(&a->place, l->cursor_name, l->options, &l->cursor, error);
    if (to != l) *to = *l;
    count++;
  }
  a->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (result == 0 && a->watch < 0) result = wb_error_set(error, WB_E_SYSTEM, errno, "archive", "inotify: %s", strerror(errno));
  if (result == 0) result = work(a, lanes, count, error);
  if (a->watch >= 0) close(a->watch);
  for (unsigned i = 0; i < count; i++) wb_archive_cursor_close(&lanes[i].cursor);
  wb_archive_place_close(&a->place);
  return result;
}

int wb_cmd_archive(int argc, char **argv) {
  wb_error error = {0};
  wb_config *config = wb_config_load(options, OPTIONS, argc, argv, &error);
  if (!config) return wrong(&error);
  unsigned paths;
  char *const *path = wb_config_operands(config, &paths);
  const char *out = wb_config_text(config, "out");
  archive a = {0};
  int code = 0;
  if (wb_config_help(config)) {
    puts("usage: wirebook archive DIR -o OUT [OPTIONS]\n\nTurns the segments of a log into Parquet, each once, as they are "
         "sealed: "
         "waits for the next one, and goes on where it was\nafter any end. docs/archive.md.\n");
    wb_config_usage(options, OPTIONS);
  } else if (wb_config_check(config)) {
    wb_config_print(config);
  } else if (paths != 1 || !out) {
    fputs("wirebook archive: a folder with a log and --out are needed; --help tells more\n", stderr);
    code = 2;
  } else {
    wb_log *log = wb_log_open(NULL, wb_config_choice(config, "log-level"), false, &error);
    a.dir = path[0];
    if (!log || read_options(&a, config, log, &error) != 0 || archive_all(&a, out, &error) != 0) code = wrong(&error);
    else code = a.damaged;
    wb_log_close(log);
  }
  if (a.products) wb_products_close(a.products);
  wb_config_free(config);
  return code;
}
