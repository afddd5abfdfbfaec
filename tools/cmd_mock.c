#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "io/config.h"
#include "io/log_reader.h"
#include "tools/commands.h"
#include "tools/mock_server.h"
#include "tools/products.h"
#include "tools/times.h"

static const wb_option options_list[] = {
    {.name = "port",
     .kind = WB_OPTION_COUNT,
     .environment = "MOCK_PORT",
     .otherwise = "9001",
     .value_name = "PORT",
     .help = "port to listen on, 0 for any that is free"},
    {.name = "host",
     .kind = WB_OPTION_TEXT,
     .environment = "MOCK_HOST",
     .otherwise = "127.0.0.1",
     .value_name = "HOST",
     .help = "address to listen on"},
    {.name = "port-file", .kind = WB_OPTION_TEXT, .value_name = "FILE", .help = "write the port there once listening"},
    {.name = "product",
     .kind = WB_OPTION_LIST,
     .environment = "PRODUCT_ID",
     .otherwise = "BTC-USD",
     .value_name = "ID",
     .help = "products, repeated or separated by commas, or @FILE; BTC means BTC-USD"},
    {.name = "levels", .kind = WB_OPTION_COUNT, .otherwise = "1000", .value_name = "N", .help = "levels a side of each book"},
    {.name = "rate",
     .kind = WB_OPTION_TEXT,
     .otherwise = "20",
     .value_name = "N|max",
     .help = "updates a second and product; max or 0: as fast as the clients take them"},
    {.name = "updates-per-message",
     .kind = WB_OPTION_TEXT,
     .environment = "L2UPDATE_COUNT",
     .otherwise = "1-3",
     .value_name = "N|A-B",
     .help = "changes in an update"},
    {.name = "batch-ms",
     .kind = WB_OPTION_COUNT,
     .otherwise = "0",
     .value_name = "MS",
     .help = "send what fell due in groups, so many milliseconds apart"},
    {.name = "messages",
     .kind = WB_OPTION_COUNT,
     .otherwise = "0",
     .value_name = "N",
     .help = "updates of each product, then Close 1000; 0: no end"},
    {.name = "seed", .kind = WB_OPTION_COUNT, .otherwise = "1", .value_name = "N", .help = "same seed, same messages"},
    {.name = "start-time",
     .kind = WB_OPTION_TEXT,
     .value_name = "UTC",
     .help = "the exchange's clock begins there (2026-08-02T05:43:52Z) and runs with the messages"},
    {.name = "dialect",
     .kind = WB_OPTION_TEXT,
     .otherwise = "coinbase-exchange",
     .value_name = "NAME",
     .help = "how the exchange speaks"},
    {.name = "spaced", .kind = WB_OPTION_SWITCH, .otherwise = "false", .help = "JSON with blanks after ':' and ','"},
    {.name = "tls", .kind = WB_OPTION_SWITCH, .otherwise = "false", .help = "wss instead of ws; needs --cert and --key"},
    {.name = "cert", .kind = WB_OPTION_TEXT, .value_name = "FILE", .help = "certificate chain, PEM"},
    {.name = "key", .kind = WB_OPTION_TEXT, .value_name = "FILE", .help = "its key, PEM"},
    {.name = "deflate",
     .kind = WB_OPTION_CHOICE,
     .otherwise = "off",
     .choices = "off|takeover|no-takeover",
     .help = "compress for clients that offer permessage-deflate"},
    {.name = "login-file",
     .kind = WB_OPTION_TEXT,
     .value_name = "FILE",
     .help = "accounts whose logins are right, JSON; otherwise a login is believed"},
    {.name = "login-ahead",
     .kind = WB_OPTION_COUNT,
     .otherwise = "0",
     .value_name = "SECONDS",
     .help = "judge the time of logins by a clock so far ahead"},
    {.name = "from",
     .kind = WB_OPTION_TEXT,
     .value_name = "PATH",
     .help = "serve a log that a node has stored, as it was received; or a recording, one message a line, to each client from "
             "its first"},
    {.name = "speed",
     .kind = WB_OPTION_TEXT,
     .otherwise = "1x",
     .value_name = "Nx|max",
     .help = "of a log: N times as fast as it was received, or as fast as the clients take it"},
    {.name = "at", .kind = WB_OPTION_TEXT, .value_name = "TIME", .help = "begin a log there, with the books of that time"},
    {.name = "loop", .kind = WB_OPTION_SWITCH, .otherwise = "false", .help = "begin a log anew after its end"},
    {.name = "hold",
     .kind = WB_OPTION_SWITCH,
     .otherwise = "false",
     .help = "after a log's end let the books stand still, instead of Close 1000"},
    {.name = "scenario", .kind = WB_OPTION_TEXT, .value_name = "NAME", .help = "a fault, see below"},
    {.name = "scenario-after",
     .kind = WB_OPTION_COUNT,
     .otherwise = "100",
     .value_name = "N",
     .help = "faults of the stream come in place of a client's N-th update"},
    {.name = "scenario-repeat",
     .kind = WB_OPTION_SWITCH,
     .otherwise = "false",
     .help = "again after each further N, and to each client; otherwise once a run"},
    {.name = "snapshot-bytes",
     .kind = WB_OPTION_BYTES,
     .otherwise = "0",
     .value_name = "BYTES",
     .help = "fill each snapshot up to this size with blanks"},
    {.name = "snapshot-epoch",
     .kind = WB_OPTION_SWITCH,
     .otherwise = "false",
     .help = "event_time of snapshots is 1970-01-01T00:00:00Z (coinbase-advanced)"},
    {.name = "client-buffer",
     .kind = WB_OPTION_BYTES,
     .otherwise = "64M",
     .value_name = "BYTES",
     .help = "a client further behind is closed (ErrSlowConsume)"},
    {.name = "subscribe-timeout",
     .kind = WB_OPTION_NUMBER,
     .otherwise = "5",
     .value_name = "SECONDS",
     .help = "a client that has not subscribed by then is closed"},
    {.name = "idle-timeout",
     .kind = WB_OPTION_NUMBER,
     .value_name = "SECONDS",
     .help = "a client that got no message for so long is closed, 0: never (coinbase-advanced: 60 to 90, otherwise 0)"},
    {.name = "limits",
     .kind = WB_OPTION_CHOICE,
     .otherwise = "count",
     .choices = "count|enforce",
     .help = "connections, messages, sizes, subscriptions beyond the exchange's limits: count them, or answer as it does"},
    {.name = "rest-limit",
     .kind = WB_OPTION_COUNT,
     .otherwise = "10",
     .value_name = "N",
     .help = "REST requests a second and address, half as many more in a burst; 0: any number"},
    {.name = "rest-delay-ms",
     .kind = WB_OPTION_COUNT,
     .otherwise = "0",
     .value_name = "MS",
     .help = "a REST answer is made at once and sent so much later"},
    {.name = "status-ms",
     .kind = WB_OPTION_COUNT,
     .otherwise = "5000",
     .value_name = "MS",
     .help = "from one message of the channel status to the next"},
    {.name = "ticker-batch-ms",
     .kind = WB_OPTION_COUNT,
     .otherwise = "5000",
     .value_name = "MS",
     .help = "from one ticker of ticker_batch to the next"},
    {.name = "auction", .kind = WB_OPTION_LIST, .value_name = "ID", .help = "products that are in auction mode, as --product"},
    {.name = "once", .kind = WB_OPTION_SWITCH, .otherwise = "false", .help = "end when --clients clients were served"},
    {.name = "clients", .kind = WB_OPTION_COUNT, .otherwise = "1", .value_name = "N", .help = "how many, for --once"},
    {.name = "store",
     .kind = WB_OPTION_TEXT,
     .value_name = "DIR",
     .help = "write the snapshots and updates sent to DIR/PRODUCT.jsonl"},
    {.name = "report",
     .kind = WB_OPTION_TEXT,
     .value_name = "FILE",
     .help = "at the end write books and counts there, as JSON"},
    {.name = "depth", .kind = WB_OPTION_TEXT, .otherwise = "50", .value_name = "N|all", .help = "levels a side in the report"},
    {.name = "quiet", .kind = WB_OPTION_SWITCH, .otherwise = "false", .help = "no log on stderr"},
};
enum { OPTION_COUNT = sizeof options_list / sizeof *options_list };

static void usage(void) {
  puts("usage: wirebook mock [options]\n\nA mock exchange: simulated books over ws or wss, from a seed, with faults on "
       "demand.\n");
  wb_config_usage(options_list, OPTION_COUNT);
  puts("\nscenarios:");
  for (unsigned i = 0; wb_mock_fault_at(i); i++) printf("  %-28s %s\n", wb_mock_fault_at(i)->name, wb_mock_fault_at(i)->help);
  puts("\ndialects:");
  for (unsigned i = 0; wb_mock_dialect_at(i); i++) printf("  %s\n", wb_mock_dialect_at(i)->name);
}

static int wrong(wb_error *error, const wb_config *config, const char *name, const char *hint) {
  return wb_error_set(error, WB_E_CONFIG, 0, "option", "--%s %s (%s): %s", name, wb_config_text(config, name),
                      wb_config_source(config, name), hint);
}

static bool whole(const char *text, uint32_t *number, const char **end) {
  if (*text < '0' || *text > '9') return false;
  char *stop;
  unsigned long long value = strtoull(text, &stop, 10);
  *number = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
  *end = stop;
  return true;
}

static bool range(const char *text, uint32_t *from, uint32_t *to) {
  const char *end;
  if (!whole(text, from, &end)) return false;
  *to = *from;
  if (*end == '-' && !whole(end + 1, to, &end)) return false;
  return *end == 0 && *from >= 1 && *from <= *to && *to <= WB_MOCK_CHANGES_MAX;
}

static bool rate(const char *text, double *number) {
  if (strcmp(text, "max") == 0) return *number = 0, true;
  if (*text < '0' || *text > '9') return false;
  char *end;
  *number = strtod(text, &end);
  return *end == 0 && (*number == 0 || (*number >= 0.001 && *number <= 1e8));
}

static bool start_time(const char *text, int64_t *us) {
  struct tm tm = {0};
  const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
  if (!end) return false;
  *us = (int64_t)timegm(&tm) * 1000000;
  if (*end == '.') {
    int64_t unit = 100000;
    for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10) *us += (*end - '0') * unit;
  }
  return strcmp(end, "Z") == 0 && *us >= 0;
}

/* What belongs to a log alone, or to no log. */
static int log_options(wb_mock_options *options, const wb_config *config, wb_error *error) {
  static const char *const of_logs[] = {"speed", "at", "loop", "hold"}, *const of_markets[] = {"rate", "messages", "batch-ms"};
  struct stat status;
  const char *path = options->recording, *at = wb_config_text(config, "at");
  options->log = path && ((stat(path, &status) == 0 && S_ISDIR(status.st_mode)) || wb_log_is_segment_file(path));
  for (size_t i = 0; i < sizeof of_logs / sizeof *of_logs; i++)
    if (!options->log && wb_config_rank(config, of_logs[i]))
      return wrong(error, config, of_logs[i], "it is for a log (--from a folder or a segment)");
  for (size_t i = 0; i < sizeof of_markets / sizeof *of_markets; i++)
    if (options->log && wb_config_rank(config, of_markets[i]))
      return wrong(error, config, of_markets[i], "it has no meaning with a log: --speed says how fast it goes");
  if (!wb_speed_parse(wb_config_text(config, "speed"), &options->speed))
    return wrong(error, config, "speed", "max, or a factor such as 1x or 10x");
  if (at && !wb_time_parse(at, &options->at_utc_ns))
    return wrong(error, config, "at", "a time like 2026-01-31T23:59:59Z or -1h is needed");
  if (options->hold && options->loop)
    return wb_error_set(error, WB_E_CONFIG, 0, "option", "a log that begins anew (--loop) does not stand still (--hold)");
  return 0;
}

static int scenario(wb_mock_options *options, const wb_config *config, wb_error *error) {
  const char *name = wb_config_text(config, "scenario");
  options->fault_after = wb_config_count(config, "scenario-after");
  options->fault_repeat = wb_config_switch(config, "scenario-repeat");
  options->snapshot_bytes = wb_config_count(config, "snapshot-bytes");
  if (options->fault_after < 1) return wb_error_set(error, WB_E_CONFIG, 0, "option", "--scenario-after 0: it counts from 1");
  if (!name) return 0;
  options->fault = wb_mock_fault_find(name);
  if (!options->fault) return wrong(error, config, "scenario", "not a scenario; --help lists all");
  if (options->fault->dialect && options->fault->dialect != options->dialect)
    return wrong(error, config, "scenario", "cannot happen in this --dialect");
  if (strcmp(name, "bigsnapshot") == 0) {
    if (!options->snapshot_bytes) options->snapshot_bytes = 5000000;
    /* What remains up to the size is filled with blanks. */
    uint64_t levels = options->snapshot_bytes / 2 / options->dialect->level_bytes;
    if (levels > options->levels) options->levels = levels > WB_MOCK_LEVELS_MAX ? WB_MOCK_LEVELS_MAX : (uint32_t)levels;
  }
  return 0;
}

static int read_options(wb_mock_options *options, const wb_config *config, wb_error *error) {
  unsigned operands;
  char *const *operand = wb_config_operands(config, &operands);
  if (operands) return wb_error_set(error, WB_E_CONFIG, 0, "option", "%s is no option; --help lists all", operand[0]);
  uint64_t port = wb_config_count(config, "port"), levels = wb_config_count(config, "levels");
  uint64_t rest_limit = wb_config_count(config, "rest-limit");
  if (port > 65535)
    return wb_error_set(error, WB_E_CONFIG, 0, "option", "--port %llu: at most 65535", (unsigned long long)port);
  if (levels < 1 || levels > WB_MOCK_LEVELS_MAX)
    return wb_error_set(error, WB_E_CONFIG, 0, "option", "--levels: 1 to %d", WB_MOCK_LEVELS_MAX);
  if (rest_limit > 1000000) return wrong(error, config, "rest-limit", "at most 1000000");
  *options = (wb_mock_options){
      .host = wb_config_text(config, "host"),
      .port = (uint16_t)port,
      .port_file = wb_config_text(config, "port-file"),
      .report_file = wb_config_text(config, "report"),
      .store_dir = wb_config_text(config, "store"),
      .recording = wb_config_text(config, "from"),
      .at_utc_ns = INT64_MIN,
      .hold = wb_config_switch(config, "hold"),
      .loop = wb_config_switch(config, "loop"),
      .levels = (uint32_t)levels,
      .messages = wb_config_count(config, "messages"),
      .seed = wb_config_count(config, "seed"),
      .start_us = -1,
      .batch_ns = wb_config_count(config, "batch-ms") * 1000000,
      .once = wb_config_switch(config, "once"),
      .quiet = wb_config_switch(config, "quiet"),
      .spaced = wb_config_switch(config, "spaced"),
      .tls = wb_config_switch(config, "tls"),
      .deflate = (wb_deflate_mode)wb_config_choice(config, "deflate"),
      .clients = (uint32_t)wb_config_count(config, "clients"),
      .login_file = wb_config_text(config, "login-file"),
      .login_ahead_s = (int64_t)wb_config_count(config, "login-ahead"),
      .certificate_file = wb_config_text(config, "cert"),
      .key_file = wb_config_text(config, "key"),
      .client_buffer_bytes = wb_config_count(config, "client-buffer"),
      .subscribe_ns = (uint64_t)(wb_config_number(config, "subscribe-timeout") * 1e9),
      .epoch = wb_config_switch(config, "snapshot-epoch"),
      .idle_given = wb_config_rank(config, "idle-timeout") > 0,
      .idle_ns = (uint64_t)(wb_config_number(config, "idle-timeout") * 1e9),
      .enforce = wb_config_choice(config, "limits") == 1,
      .rest_rate = {(uint32_t)rest_limit, (uint32_t)(rest_limit + rest_limit / 2)},
      .rest_delay_ns = wb_config_count(config, "rest-delay-ms") * 1000000,
      .status_ns = wb_config_count(config, "status-ms") * 1000000,
      .ticker_batch_ns = wb_config_count(config, "ticker-batch-ms") * 1000000,
      .dialect = wb_mock_dialect_find(wb_config_text(config, "dialect")),
  };
  if (!options->dialect) return wrong(error, config, "dialect", "not a dialect; --help lists all");
  if (!rate(wb_config_text(config, "rate"), &options->rate))
    return wrong(error, config, "rate", "a number from 0.001 to 1e8, or max");
  if (!range(wb_config_text(config, "updates-per-message"), &options->changes_min, &options->changes_max))
    return wrong(error, config, "updates-per-message", "a number or a range such as 1-3, at most 4096");
  const char *start = wb_config_text(config, "start-time"), *depth = wb_config_text(config, "depth"), *end = "";
  if (start && !start_time(start, &options->start_us))
    return wrong(error, config, "start-time", "a time as 2026-08-02T05:43:52Z is needed");
  if (strcmp(depth, "all") == 0) options->depth = UINT32_MAX;
  else if (!whole(depth, &options->depth, &end) || *end) return wrong(error, config, "depth", "a number or all");
  if (!options->status_ns || !options->ticker_batch_ns)
    return wb_error_set(error, WB_E_CONFIG, 0, "option", "--status-ms and --ticker-batch-ms: at least 1");
  if (options->tls != (options->certificate_file != NULL) || options->tls != (options->key_file != NULL))
    return wb_error_set(error, WB_E_CONFIG, 0, "option", "--tls, --cert and --key go together");
  if (options->store_dir && options->recording)
    return wb_error_set(error, WB_E_CONFIG, 0, "option", "--store has nothing to write with --from");
  if (options->store_dir && mkdir(options->store_dir, 0777) != 0) {
    struct stat status;
    if (stat(options->store_dir, &status) != 0 || !S_ISDIR(status.st_mode))
      return wrong(error, config, "store", "not a folder and cannot be made one");
  }
  int code = log_options(options, config, error);
  if (code) return code;
  options->products_given = wb_config_rank(config, "product") > 0;
  return scenario(options, config, error);
}

int wb_cmd_mock(int argc, char **argv) {
  wb_error error = {0};
  wb_config *config = wb_config_load(options_list, OPTION_COUNT, argc, argv, &error);
  wb_products *products = NULL, *auctions = NULL;
  wb_mock_options options;
  int status = 0;
  if (config && wb_config_help(config)) {
    usage();
  } else if (!config || read_options(&options, config, &error) ||
             !(options.products = products = wb_products_open(wb_config_list(config, "product"), '-', &error)) ||
             (wb_config_rank(config, "auction") &&
              !(options.auctions = auctions = wb_products_open(wb_config_list(config, "auction"), '-', &error)))) {
    fprintf(stderr, "wirebook mock: %s\n", error.detail);
    status = 2;
  } else if (wb_config_check(config)) {
    wb_config_print(config);
  } else if (wb_mock_server_run(&options, &error)) {
    fprintf(stderr, "wirebook mock: %s\n", error.detail[0] ? error.detail : wb_error_text(error.code));
    status = error.code == WB_E_CONFIG ? 2 : 1;
  }
  wb_products_close(products);
  wb_products_close(auctions);
  wb_config_free(config);
  return status;
}
