#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "io/config.h"
#include "io/confine.h"
#include "io/control.h"
#include "io/cpu.h"
#include "io/face.h"
#include "io/http1.h"
#include "io/report.h"
#include "io/source_rest.h"
#include "tools/commands.h"
#include "tools/console.h"
#include "tools/market.h"
#include "tools/products.h"
#include "tools/service.h"

static const wb_option options[] = {
    {"url", WB_OPTION_LIST, "WIREBOOK_URL", NULL, NULL, "URL",
     "feed (default: the feed's own); repeat or comma: redundant lines of the same feed", false, false},
    {"lines", WB_OPTION_COUNT, "WIREBOOK_LINES", "1", NULL, "N", "so many redundant connections to one --url", false, false},
    {"feed", WB_OPTION_CHOICE, "WIREBOOK_FEED", "coinbase-exchange", "coinbase-exchange|coinbase-advanced|kraken", NULL,
     "dialect of the feed", false, false},
    {"connections", WB_OPTION_TEXT, "WIREBOOK_CONNECTIONS", "1", NULL, "N|auto",
     "connections that the products of each line are dealt over; auto: one for each 100 products, up to 8", false, false},
    {"shard", WB_OPTION_TEXT, "WIREBOOK_SHARD", NULL, NULL, "N/M",
     "carry the share of node N (0 to M-1) of M only, the products being dealt over them as over connections", false, false},
    {"weights", WB_OPTION_TEXT, NULL, NULL, NULL, "REPORT",
     "deal them by the messages that an earlier run's report tells of each (default: evenly)", false, false},
    {"product", WB_OPTION_LIST, "PRODUCT_ID", "BTC-USD", NULL, "ID",
     "product, repeat or comma; BTC means BTC-USD; @FILE reads a list; all, '*-USD', quote:USD and '!DOGE-*' choose from the "
     "exchange's list",
     false, false},
    {"products-from", WB_OPTION_TEXT, "WIREBOOK_PRODUCTS_FROM", NULL, NULL, "rest|URL|FILE",
     "the exchange's list of products, for ids, decimals and what trades (default: rest where --product needs it)", false,
     false},
    {"product-room", WB_OPTION_COUNT, NULL, NULL, NULL, "N",
     "memory for products to come while the node runs (default 64 with --control, else none)", false, false},
    {"control", WB_OPTION_TEXT, "WIREBOOK_CONTROL", NULL, NULL, "PATH", "socket for `wirebook ctl`: products come and go",
     false, false},
    {"channel", WB_OPTION_LIST, "WIREBOOK_CHANNEL", NULL, NULL, "NAME",
     "channel, repeat or comma (default: the feed's own; level2_batch,heartbeat); full or level3: books of orders", false,
     false},
    {"data", WB_OPTION_TEXT, "WIREBOOK_DATA", "./data", NULL, "DIR", "where raw frames are stored", false, false},
    {"store", WB_OPTION_SWITCH, "DATA_STORE", "true", NULL, NULL, "store raw frames", true, false},
    {"sync", WB_OPTION_CHOICE, "WIREBOOK_SYNC", "interval", "none|interval|batch", NULL,
     "when the log is brought to disk for good: when the kernel likes, each --sync-ms, or before frames count as stored", false,
     false},
    {"sync-ms", WB_OPTION_COUNT, "WIREBOOK_SYNC_MS", "1000", NULL, "MS",
     "interval of --sync interval, and the most that a crash of the machine may cost, 1 to 3600000", false, false},
    {"rotate-bytes", WB_OPTION_BYTES, NULL, "1G", NULL, "BYTES", "size of a segment of the log", false, false},
    {"rotate-seconds", WB_OPTION_COUNT, NULL, "3600", NULL, "N", "a segment ends at multiples of this in UTC", false, false},
    {"compress", WB_OPTION_TEXT, "WIREBOOK_COMPRESS", "none", NULL, "none|zstd[:LEVEL]",
     "what becomes of segments that are full; levels are 1 to 19, 1 if not said", false, false},
    {"index", WB_OPTION_CHOICE, "WIREBOOK_INDEX", "auto", "auto|on|off", NULL,
     "index of each full segment for replay --from --to; auto: with --compress, --retain-... or --on-seal", false, false},
    {"retain-age", WB_OPTION_AGE, "WIREBOOK_RETAIN_AGE", NULL, NULL, "AGE", "delete segments so old (36h, 7d); 0: never", false,
     false},
    {"retain-bytes", WB_OPTION_BYTES, "WIREBOOK_RETAIN_BYTES", NULL, NULL, "BYTES",
     "delete the oldest segments when all are larger; 0: never", false, false},
    {"on-seal", WB_OPTION_TEXT, "WIREBOOK_ON_SEAL", NULL, NULL, "CMD",
     "run for each finished segment, its path in place of {} or last", false, false},
    {"mock", WB_OPTION_SWITCH, "USE_MOCKED_FEED", "false", NULL, NULL, "feed is the mock at --mock-server and --mock-port",
     false, false},
    {"mock-server", WB_OPTION_TEXT, "MOCK_SERVER", "127.0.0.1", NULL, "HOST", "host of the mock", false, false},
    {"mock-port", WB_OPTION_COUNT, "MOCK_PORT", "9001", NULL, "PORT", "port of the mock", false, false},
    {"rest", WB_OPTION_TEXT, "WIREBOOK_REST", NULL, NULL, "URL",
     "level 3: REST API that books are asked of (default: the feed's own, with --mock the mock)", false, false},
    {"rest-rate", WB_OPTION_COUNT, "WIREBOOK_REST_RATE", "5", NULL, "N", "level 3: REST requests a second at most, 1 to 10",
     false, false},
    {"ca", WB_OPTION_TEXT, "WIREBOOK_CA", NULL, NULL, "FILE", "certificate authorities (default: the system's)", false, false},
    {"insecure", WB_OPTION_SWITCH, NULL, "false", NULL, NULL, "accept any certificate; loopback only", false, false},
    {"key-file", WB_OPTION_TEXT, "WIREBOOK_KEY_FILE", NULL, NULL, "FILE",
     "key to log in with, readable by its owner only (or WIREBOOK_KEY, WIREBOOK_SECRET, WIREBOOK_PASSPHRASE)", false, false},
    {"deflate", WB_OPTION_CHOICE, "WIREBOOK_DEFLATE", "off", "off|takeover|no-takeover", NULL,
     "offer compression (permessage-deflate), with or without context takeover: less traffic, more latency", false, false},
    {"layout", WB_OPTION_TEXT, "WIREBOOK_LAYOUT", "auto", NULL, "auto|fused|pipelined|CPUS",
     "stages on threads; CPUS: 2 for fused, 4 for pipelined (\"2,3\")", false, false},
    {"wait", WB_OPTION_CHOICE, NULL, "auto", "auto|spin|yield|block", NULL, "what a thread does when there is nothing to do",
     false, false},
    {"report", WB_OPTION_TEXT, NULL, NULL, NULL, "FILE", "JSON report at the end and on SIGUSR1 (- for stdout)", false, false},
    {"once", WB_OPTION_SWITCH, NULL, "false", NULL, NULL, "end when the peer closes instead of reconnecting", false, false},
    {"seconds", WB_OPTION_NUMBER, NULL, NULL, NULL, "N", "end after N seconds", false, false},
    {"messages", WB_OPTION_COUNT, NULL, NULL, NULL, "N", "end after N messages or a few more", false, false},
    {"max-message", WB_OPTION_BYTES, NULL, "32M", NULL, "BYTES", "larger messages are refused with close 1009", false, false},
    {"journal", WB_OPTION_BYTES, NULL, NULL, NULL, "BYTES", "frame memory of a line (default: two largest messages)", false,
     false},
    {"spill", WB_OPTION_BYTES, "WIREBOOK_SPILL", NULL, NULL, "BYTES",
     "memory for what the disk has not taken yet (default 256M, or the journals if more); 0: the line waits for the disk",
     false, false},
    {"depth", WB_OPTION_COUNT, NULL, "50", NULL, "N", "levels a side in the report, 1 to 1000", false, false},
    {"orders", WB_OPTION_COUNT, "WIREBOOK_ORDERS", "262144", NULL, "N", "level 3: orders a book, 1 to 16777216", false, false},
    {"bars", WB_OPTION_LIST, "WIREBOOK_BARS", NULL, NULL, "KIND=STEP",
     "bars of trades: time=SECONDS, ticks=TRADES, volume=SIZE (default time=60); `off`", false, false},
    {"imbalance-levels", WB_OPTION_COUNT, NULL, "10", NULL, "N", "levels a side of imbalance and pressure, 1 to 60", false,
     false},
    {"depth-bps", WB_OPTION_COUNT, NULL, "10", NULL, "N", "basis points from the mid that depth is measured to, 0 to 10000",
     false, false},
    {"mid-window", WB_OPTION_COUNT, NULL, "10", NULL, "N", "mids averaged, 1 to 1024", false, false},
    {"crossed-ms", WB_OPTION_COUNT, NULL, "1000", NULL, "MS", "resynchronise a book crossed for longer; 0: never", false,
     false},
    {"witness", WB_OPTION_LIST, NULL, NULL, NULL, "KIND=WHAT",
     "off, count or resync for time, unknown, silent, heartbeat, ticker, trades, crossed, checksum; `off` for all", false,
     false},
    {"shm", WB_OPTION_TEXT, "WIREBOOK_SHM", NULL, NULL, "NAME",
     "shared memory for other processes (wirebook top NAME, wirebook_shm.h)", false, false},
    {"shm-depth-ms", WB_OPTION_COUNT, NULL, "10", NULL, "MS", "how old depths in shared memory may be, 0 to 1000", false,
     false},
    {"listen", WB_OPTION_TEXT, "WIREBOOK_LISTEN", NULL, NULL, "ADDR:PORT",
     "HTTP face: state, metrics, books, as docs/api.md says; beyond loopback with a token or clients' certificates", false,
     false},
    {"listen-token-file", WB_OPTION_TEXT, "WIREBOOK_LISTEN_TOKEN_FILE", NULL, NULL, "FILE",
     "token that requests must bear, readable by its owner only (or WIREBOOK_LISTEN_TOKEN)", false, false},
    {"listen-cert", WB_OPTION_TEXT, NULL, NULL, NULL, "FILE", "TLS: chain of certificates (PEM), with --listen-key", false,
     false},
    {"listen-key", WB_OPTION_TEXT, NULL, NULL, NULL, "FILE", "TLS: key of --listen-cert (PEM)", false, false},
    {"listen-client-ca", WB_OPTION_TEXT, NULL, NULL, NULL, "FILE", "TLS: clients must have a certificate of this authority",
     false, false},
    {"listen-origin", WB_OPTION_TEXT, NULL, NULL, NULL, "ORIGIN", "pages from there may read, too (https://host; * for any)",
     false, false},
    {"listen-rate", WB_OPTION_COUNT, NULL, "100", NULL, "N", "requests a second of one address, 1 to 10000", false, false},
    {"silence", WB_OPTION_NUMBER, NULL, "10", NULL, "SECONDS", "reconnect when nothing was received for so long", false, false},
    {"grace", WB_OPTION_NUMBER, NULL, "10", NULL, "SECONDS", "time to drain and store after a signal", false, false},
    {"console", WB_OPTION_CHOICE, NULL, "auto", "auto|live|plain|off", NULL, "live view, plain lines, or nothing", false,
     false},
    {"log", WB_OPTION_TEXT, "WIREBOOK_LOG", NULL, NULL, "FILE", "log file (default: stderr)", false, false},
    {"log-level", WB_OPTION_CHOICE, "WIREBOOK_LOG_LEVEL", "info", "error|warning|info|debug", NULL, "what is logged", false,
     false},
    {"log-format", WB_OPTION_CHOICE, "WIREBOOK_LOG_FORMAT", "text", "text|json", NULL, "form of the log", false, false},
    {"confine", WB_OPTION_CHOICE, "WIREBOOK_CONFINE", "off", "off|try|on", NULL,
     "give up what a running node does not need (Landlock, seccomp)", false, false},
    {"confine-allow", WB_OPTION_LIST, "WIREBOOK_CONFINE_ALLOW", NULL, NULL, "WHAT",
     "what a confined node and its command may besides: read:PATH, write:PATH, exec:PATH, port:N", false, false},
    {"config", WB_OPTION_TEXT, "WIREBOOK_CONFIG", NULL, NULL, "FILE", "YAML file of these options", false, true},
};
enum {
  OPTIONS = sizeof options / sizeof *options,
  PRODUCTS_PER_CONNECTION = 100, /* what one subscribe message asks for */
  CONNECTIONS_AUTO_MAX = 8,      /* as many as an exchange lets be made in a second */
  PRODUCT_ROOM_DEFAULT = 64
};

static int wrong(const wb_error *error) {
  fprintf(stderr, "wirebook run: %s\n", error->detail);
  return 2;
}

static int limited(const wb_config *config, const char *name, uint64_t least, uint64_t most, uint64_t *value, wb_error *error) {
  *value = wb_config_count(config, name);
  if (*value >= least && *value <= most) return 0;
  return wb_error_set(error, WB_E_CONFIG, 0, "option", "--%s %llu: must be %llu to %llu", name, (unsigned long long)*value,
                      (unsigned long long)least, (unsigned long long)most);
}

static int layout(const wb_config *config, wb_node_config *node, wb_error *error) {
  const char *text = wb_config_text(config, "layout");
  static const char *const names[] = {"auto", "fused", "pipelined"};
  for (int i = 0; i < 3; i++)
    if (strcmp(text, names[i]) == 0) {
      node->layout = (wb_layout)i;
      return 0;
    }
  wb_cpu_list list;
  if (wb_cpu_list_parse(text, &list, NULL) != 0 || list.count < 1 || list.count > WB_NODE_CPUS_MAX)
    return wb_error_set(error, WB_E_CONFIG, 0, "layout",
                        "--layout '%s' is neither auto, fused, pipelined nor a list of 1 to 4 CPUs", text);
  node->layout = list.count >= 3 ? WB_LAYOUT_PIPELINED : WB_LAYOUT_FUSED;
  node->cpu_count = list.count;
  for (unsigned i = 0; i < list.count; i++) node->cpu[i] = list.cpu[i];
  return 0;
}

static int archive(const wb_config *config, wb_node_config *node, wb_error *error) {
  const char *text = wb_config_text(config, "compress"), *level = text + strlen("zstd:");
  wb_archiver_config *archive_of = &node->archive;
  if (strcmp(text, "zstd") == 0) {
    archive_of->level = WB_ARCHIVER_LEVEL_DEFAULT;
  } else if (strncmp(text, "zstd:", 5) == 0) {
    char *end;
    long n = strtol(level, &end, 10);
    if (*level >= '0' && *level <= '9' && !*end && n >= 1 && n <= WB_ARCHIVER_LEVEL_MAX) archive_of->level = (int)n;
  }
  if (!archive_of->level && strcmp(text, "none") != 0)
    return wb_error_set(error, WB_E_CONFIG, 0, "compress", "--compress '%s' is not none, zstd, or zstd:1 to zstd:%d", text,
                        WB_ARCHIVER_LEVEL_MAX);
  archive_of->retain_ns = wb_config_age_ns(config, "retain-age");
  archive_of->retain_bytes = wb_config_count(config, "retain-bytes");
  archive_of->command = wb_config_text(config, "on-seal");
  if (archive_of->command && !*archive_of->command) archive_of->command = NULL;
  bool archives = archive_of->level || archive_of->retain_ns || archive_of->retain_bytes || archive_of->command;
  int index = wb_config_choice(config, "index"); /* auto, on, off */
  archive_of->index = index == 1 || (index == 0 && archives);
  if (archive_of->retain_bytes && archive_of->retain_bytes < node->rotate_bytes)
    return wb_error_set(error, WB_E_CONFIG, 0, "retain-bytes",
                        "--retain-bytes %llu cannot hold: a single segment may have %llu (--rotate-bytes)",
                        (unsigned long long)archive_of->retain_bytes, (unsigned long long)node->rotate_bytes);
  return 0;
}

/* A key in the environment wins over the file's if that is named at a lower place; both in one place contradict each other. */
static int login(const wb_config *config, wb_node_config *node, wb_error *error) {
  const char *file = wb_config_text(config, "key-file"), *feed = wb_config_text(config, "feed");
  int rank = file ? wb_config_rank(config, "key-file") : 0;
  bool said = wb_login_in_environment();
  if (said && rank == 2)
    return wb_error_set(error, WB_E_CONFIG, 0, "key-file",
                        "WIREBOOK_KEY_FILE and WIREBOOK_KEY say different keys: give one of them");
  if (said && rank < 2) {
    node->login = wb_login_open_environment(feed, error);
    return node->login ? 0 : WB_E_CONFIG;
  }
  wb_login_environment_wipe();
  if (!file) return 0;
  node->login = wb_login_open_file(feed, file, error);
  return node->login ? 0 : WB_E_CONFIG;
}

/* A URL given at a higher place than --mock wins over it, and the other way round; both as flags contradict each other. */
static int feed(const wb_config *config, wb_node_config *node, char *mock_url, char *mock_rest, size_t size, wb_error *error) {
  node->codec = wb_codec_find(wb_config_text(config, "feed"));
  char *const *urls = wb_config_list(config, "url");
  int url_rank = *urls ? wb_config_rank(config, "url") : -1;
  bool mock = wb_config_switch(config, "mock");
  if (mock && url_rank == wb_config_rank(config, "mock"))
    return wb_error_set(error, WB_E_CONFIG, 0, "url", "--mock and --url say different feeds: give one of them");
  if (mock && url_rank < wb_config_rank(config, "mock")) {
    snprintf(mock_url, size, "ws://%s:%llu/", wb_config_text(config, "mock-server"),
             (unsigned long long)wb_config_count(config, "mock-port"));
    node->url[node->line_count++] = mock_url;
    snprintf(mock_rest, size, "http://%s:%llu", wb_config_text(config, "mock-server"),
             (unsigned long long)wb_config_count(config, "mock-port"));
    node->rest = mock_rest;
  } else {
    for (; *urls; urls++) {
      if (node->line_count == WB_LINE_COUNT_MAX)
        return wb_error_set(error, WB_E_CONFIG, 0, "url", "more than %d lines (--url)", WB_LINE_COUNT_MAX);
      node->url[node->line_count++] = *urls;
    }
  }
  if (!node->line_count)
    node->url[node->line_count++] = node->login && node->codec->login_url ? node->codec->login_url : node->codec->url;
  if (wb_config_text(config, "rest")) node->rest = wb_config_text(config, "rest");
  uint64_t lines;
  if (limited(config, "lines", 1, WB_LINE_COUNT_MAX, &lines, error) != 0) return WB_E_CONFIG;
  if (lines > 1 && node->line_count > 1)
    return wb_error_set(error, WB_E_CONFIG, 0, "lines", "--lines is for one --url; several are a line each");
  while (node->line_count < lines) node->url[node->line_count++] = node->url[0];
  return 0;
}

/* Deals the products over the connections of each line. */
static int spread(const wb_config *config, wb_node_config *node, wb_error *error) {
  const char *text = wb_config_text(config, "connections");
  unsigned lines = node->line_count, most = WB_LINE_COUNT_MAX / lines;
  if (most > node->products->count) most = node->products->count;
  char *end = "";
  unsigned long count = (node->products->count + PRODUCTS_PER_CONNECTION - 1) / PRODUCTS_PER_CONNECTION;
  if (count > CONNECTIONS_AUTO_MAX) count = CONNECTIONS_AUTO_MAX;
  if (count > most) count = most;
  if (strcmp(text, "auto") != 0) {
    count = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (*end || count < 1 || count > most)
      return wb_error_set(error, WB_E_CONFIG, 0, "connections",
                          "--connections %s: must be auto or 1 to %u, as there are %u products and %d connections of %u lines",
                          text, most, node->products->count, WB_LINE_COUNT_MAX, lines);
  }
  node->connections = (unsigned)count;
  node->line_count = lines * node->connections;
  for (unsigned i = node->line_count; i-- > 0;) node->url[i] = node->url[i / node->connections];
  return wb_products_deal(node->products, node->connections, wb_config_text(config, "weights"), error);
}

/* The table, and what follows from it. */
static int products_of(const wb_config *config, wb_node_config *node, wb_error *error) {
  const wb_products_source source = {.from = wb_config_text(config, "products-from"),
                                     .ca_file = node->ca_file,
                                     .codec = node->codec,
                                     .insecure = node->insecure,
                                     .own = strcmp(node->url[0], node->codec->url) == 0};
  bool controlled = wb_config_text(config, "control");
  node->product_room = controlled ? PRODUCT_ROOM_DEFAULT : 0;
  if (wb_config_rank(config, "product-room")) {
    uint64_t room;
    if (limited(config, "product-room", 0, WB_PRODUCT_COUNT_MAX, &room, error) != 0) return WB_E_CONFIG;
    node->product_room = (uint32_t)room;
  }
  node->products = wb_products_open_listed(wb_config_list(config, "product"), &source, "run", error);
  if (!node->products) return WB_E_CONFIG;
  const char *shard = wb_config_text(config, "shard");
  if (shard && wb_products_shard(node->products, shard, wb_config_text(config, "weights"), error) != 0) return WB_E_CONFIG;
  return spread(config, node, error);
}

static int settings(const wb_config *config, wb_node_config *node, char *mock_url, char *mock_rest, size_t mock_url_size,
                    wb_error *error) {
  static wb_witness_config witness;
  uint64_t depth, window, sync_ms, shm_depth_ms, rest_rate, listen_rate;
  unsigned operands;
  char *const *operand = wb_config_operands(config, &operands);
  if (operands) return wb_error_set(error, WB_E_CONFIG, 0, "option", "'%s' is no option", operand[0]);
  if (login(config, node, error) != 0 || feed(config, node, mock_url, mock_rest, mock_url_size, error) != 0 ||
      layout(config, node, error) != 0)
    return WB_E_CONFIG;
  if (limited(config, "max-message", 1024, WB_MESSAGE_BYTES_MAX, &node->message_bytes_max, error) != 0 ||
      limited(config, "depth", 1, WB_DEPTH_MAX, &depth, error) != 0 ||
      limited(config, "mid-window", 1, WB_MID_WINDOW_MAX, &window, error) != 0 ||
      limited(config, "sync-ms", 1, 3600000, &sync_ms, error) != 0 ||
      limited(config, "shm-depth-ms", 0, 1000, &shm_depth_ms, error) != 0 ||
      limited(config, "listen-rate", 1, 10000, &listen_rate, error) != 0 ||
      limited(config, "rest-rate", 1, WB_REST_PER_SECOND_MAX, &rest_rate, error) != 0 ||
      wb_market_settings(config, node, error) != 0 ||
      wb_witness_config_read(&witness, wb_config_list(config, "witness"), error) != 0)
    return WB_E_CONFIG;
  node->witness = &witness;
  node->shm_name = wb_config_text(config, "shm");
  node->shm_depth_ns = shm_depth_ms * UINT64_C(1000000);
  node->depth = (uint32_t)depth;
  node->mid_window = (uint32_t)window;
  node->rest_per_second = (uint32_t)rest_rate;
  node->channels = (const char *const *)wb_config_list(config, "channel");
  if (!*node->channels) node->channels = node->codec->channels;
  node->ca_file = wb_config_text(config, "ca");
  node->insecure = wb_config_switch(config, "insecure");
  node->deflate = (wb_deflate_mode)wb_config_choice(config, "deflate");
  node->once = wb_config_switch(config, "once");
  node->data_dir = wb_config_switch(config, "store") ? wb_config_text(config, "data") : NULL;
  node->sync = (wb_sync)wb_config_choice(config, "sync");
  node->sync_ns = sync_ms * UINT64_C(1000000);
  node->rotate_bytes = wb_config_count(config, "rotate-bytes");
  node->rotate_ns = wb_config_count(config, "rotate-seconds") * UINT64_C(1000000000);
  node->journal_bytes = wb_config_count(config, "journal");
  node->spill_bytes = wb_config_rank(config, "spill") ? wb_config_count(config, "spill") : WB_NODE_SPILL_DEFAULT;
  node->silence_ns = (uint64_t)(wb_config_number(config, "silence") * 1e9);
  node->wait = (wb_node_wait)wb_config_choice(config, "wait");
  node->crossed_ms = wb_config_count(config, "crossed-ms");
  return archive(config, node, error);
}

/* Whether the books did not answer, so that it is to be tried again: which is told once. */
static bool report(wb_node *node, const char *path, bool again, wb_log *log) {
  wb_error error;
  if (!path || wb_report_write(node, path, &error) == 0) return false;
  bool later = error.code == WB_E_TIMEOUT;
  if (!later || !again) wb_log_put(log, WB_LOG_ERROR, error.detail);
  return later;
}

static void timespec_in(struct timespec *t, uint64_t ns) {
  t->tv_sec = (time_t)(ns / 1000000000u);
  t->tv_nsec = (long)(ns % 1000000000u);
}

/* The control loop: signals, limits, console, log. Returns the exit code so far. */
static int control(wb_node *node, const wb_config *config, wb_console *console, bool live, wb_log *log, int signals,
                   wb_control *asked, wb_face *face, wb_service *service) {
  const uint64_t SECOND = UINT64_C(1000000000);
  uint64_t started_ns = wb_clock_ns(), limit_ns = (uint64_t)(wb_config_number(config, "seconds") * 1e9);
  uint64_t messages_max = wb_config_count(config, "messages"), grace_ns = (uint64_t)(wb_config_number(config, "grace") * 1e9);
  uint64_t draw_ns = live ? SECOND / 4 : 10 * SECOND, draw_due_ns = started_ns + draw_ns, stopped_ns = 0;
  bool report_due = false;
  wb_error error;
  while (!wb_node_ended(node, &error)) {
    uint64_t now_ns = wb_clock_ns();
    wb_service_turn(service, now_ns);
    if (!stopped_ns) {
      wb_node_status status;
      if (messages_max) wb_node_status_get(node, &status);
      if ((limit_ns && now_ns - started_ns >= limit_ns) || (messages_max && status.messages >= messages_max)) {
        stopped_ns = now_ns;
        wb_service_stopping(service);
        wb_node_stop(node);
      }
    } else if (now_ns - stopped_ns > grace_ns) {
      wb_log_put(log, WB_LOG_ERROR, "not drained within the grace time");
      return 1;
    }
    if (console && now_ns >= draw_due_ns) {
      wb_console_draw(console);
      draw_due_ns = now_ns + draw_ns;
    }
    if (report_due) report_due = report(node, wb_config_text(config, "report"), true, log);
    wb_log_drain(log);
    uint64_t wait_ns = stopped_ns ? SECOND / 500 : SECOND / 20;
    if (limit_ns && !stopped_ns && started_ns + limit_ns - now_ns < wait_ns) wait_ns = started_ns + limit_ns - now_ns;
    struct timespec timeout;
    timespec_in(&timeout, wait_ns);
    struct pollfd fd[3] = {{.fd = signals, .events = POLLIN},
                           {.fd = asked ? wb_control_fd(asked) : -1, .events = POLLIN},
                           {.fd = face ? wb_face_fd(face) : -1, .events = POLLIN}};
    if (ppoll(fd, 3, &timeout, NULL) <= 0) continue;
    if (fd[1].revents) wb_control_serve(asked, node);
    if (fd[2].revents) wb_face_serve(face);
    struct signalfd_siginfo info;
    if (!fd[0].revents || read(signals, &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo == SIGUSR1) {
      report_due = report(node, wb_config_text(config, "report"), false, log);
    } else if (stopped_ns) {
      wb_log_drain(log);
      _exit(128 + (int)info.ssi_signo);
    } else {
      stopped_ns = now_ns;
      wb_service_stopping(service);
      wb_node_stop(node);
    }
  }
  if (error.code == 0) return 0;
  wb_log_put(log, WB_LOG_ERROR, error.detail);
  return 1;
}

/* Where a node of level 3 asks by REST; NULL: it does not. */
static const char *rest_of(const wb_node_config *node) {
  const wb_codec_orders *orders = node->codec->orders;
  for (const char *const *channel = node->channels; orders && *channel; channel++)
    if (orders->channel(*channel)) return node->rest ? node->rest : orders->rest;
  return NULL;
}

static wb_confine *confined(const wb_config *config, const wb_node_config *node, wb_error *error) {
  wb_confine_config confine = {.mode = (wb_confine_mode)wb_config_choice(config, "confine"),
                               .data_dir = node->data_dir,
                               .report_file = wb_config_text(config, "report"),
                               .ca_file = node->ca_file,
                               .command = node->archive.command,
                               .allow = wb_config_list(config, "confine-allow")};
  for (unsigned i = 0; i < node->line_count && i < WB_CONFINE_PORTS_MAX; i++) {
    wb_url url;
    if (wb_url_parse(node->url[i], &url, error) != 0) return NULL;
    confine.port[confine.port_count++] = (uint16_t)strtoul(url.port, NULL, 10);
  }
  const char *rest = rest_of(node);
  if (rest && confine.port_count < WB_CONFINE_PORTS_MAX) {
    char as_socket[512];
    wb_url url;
    if (strncmp(rest, "http", 4) != 0 || (size_t)snprintf(as_socket, sizeof as_socket, "ws%s", rest + 4) >= sizeof as_socket ||
        wb_url_parse(as_socket, &url, NULL) != 0) {
      wb_error_set(error, WB_E_CONFIG, 0, "rest", "--rest '%s' is no URL of http or https", rest);
      return NULL;
    }
    confine.port[confine.port_count++] = (uint16_t)strtoul(url.port, NULL, 10);
  }
  return wb_confine_open(&confine, error);
}

static wb_face *listening(const wb_config *config, wb_error *error) {
  const wb_face_config face = {.listen = wb_config_text(config, "listen"),
                               .token_file = wb_config_text(config, "listen-token-file"),
                               .certificate = wb_config_text(config, "listen-cert"),
                               .key = wb_config_text(config, "listen-key"),
                               .client_ca = wb_config_text(config, "listen-client-ca"),
                               .origin = wb_config_text(config, "listen-origin"),
                               .rate = (uint32_t)wb_config_count(config, "listen-rate")};
  return wb_face_open(&face, error);
}

static int run(const wb_config *config, wb_node_config *settings_of, wb_log *log, int signals) {
  wb_error error;
  settings_of->log = log;
  const char *control_path = wb_config_text(config, "control");
  wb_control *asked = control_path ? wb_control_open(control_path, &error) : NULL;
  if (control_path && !asked) {
    fprintf(stderr, "wirebook run: %s\n", error.detail);
    if (signals >= 0) close(signals);
    return error.code == WB_E_CONFIG ? 2 : 1;
  }
  settings_of->listens = wb_config_text(config, "listen");
  wb_face *face = settings_of->listens ? listening(config, &error) : NULL;
  if (settings_of->listens && !face) {
    fprintf(stderr, "wirebook run: %s\n", error.detail);
    wb_control_close(asked);
    if (signals >= 0) close(signals);
    return error.code == WB_E_CONFIG ? 2 : 1;
  }
  wb_service service;
  wb_service_open(&service, log);
  if (signals >= 0) settings_of->confine = confined(config, settings_of, &error);
  wb_node *node = settings_of->confine ? wb_node_open(settings_of, &error) : NULL;
  if (!node) {
    fprintf(stderr, "wirebook run: %s\n", signals < 0 ? strerror(errno) : error.detail);
    if (signals >= 0) close(signals);
    wb_confine_close(settings_of->confine);
    wb_control_close(asked);
    wb_face_close(face);
    wb_service_close(&service);
    return signals >= 0 && (error.code == WB_E_CONFIG || error.code == WB_E_LIMIT) ? 2 : 1;
  }
  char text[512];
  wb_node_describe(node, text, sizeof text);
  wb_log_put(log, WB_LOG_INFO, text);
  if (face) wb_log_putf(log, WB_LOG_INFO, "listening at %s", wb_face_url(face, text, sizeof text));
  if (settings_of->login) wb_log_put(log, WB_LOG_INFO, wb_login_describe(settings_of->login, text, sizeof text));
  const char *wanted = wb_config_text(config, "console");
  bool live = strcmp(wanted, "live") == 0 || (strcmp(wanted, "auto") == 0 && isatty(STDOUT_FILENO));
  wb_console *console = strcmp(wanted, "off") == 0 ? NULL : wb_console_open(node, live);
  int code = 1;
  if ((!face || wb_face_start(face, node, &error) == 0) && wb_node_start(node, &error) == 0) {
    wb_confine_status confinement;
    wb_confine_status_read(settings_of->confine, &confinement);
    wb_log_put(log, *confinement.lacking ? WB_LOG_WARNING : WB_LOG_INFO,
               wb_confine_describe(settings_of->confine, text, sizeof text));
    wb_service_start(&service, node, wb_clock_ns());
    code = control(node, config, console, live, log, signals, asked, face, &service);
  } else {
    wb_log_put(log, WB_LOG_ERROR, error.detail);
  }
  wb_service_stopping(&service);
  wb_face_close(face);
  if (wb_node_finish(node, &error) != 0) {
    wb_log_put(log, WB_LOG_ERROR, error.detail);
    code = 1;
  }
  wb_log_drain(log);
  if (console) wb_console_summary(console);
  const char *path = wb_config_text(config, "report");
  if (path && wb_report_write(node, path, &error) != 0) {
    wb_log_put(log, WB_LOG_ERROR, error.detail);
    code = 1;
  }
  wb_console_close(console);
  wb_control_close(asked);
  wb_node_close(node);
  wb_confine_close(settings_of->confine);
  wb_service_close(&service);
  close(signals);
  return code;
}

int wb_cmd_run(int argc, char **argv) {
  wb_error error;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL); /* before anything else, so that no early signal is lost, and every thread inherits it */
  int signals = signalfd(-1, &set, SFD_CLOEXEC);
  wb_config *config = wb_config_load(options, OPTIONS, argc, argv, &error);
  if (!config) return wrong(&error);
  int code = 0;
  wb_node_config node = {0};
  char mock_url[512], mock_rest[512];
  if (wb_config_help(config)) {
    puts("usage: wirebook run [OPTIONS]\n\nConnects to the feed, keeps the books of the named products, shows them and stores "
         "every raw frame.\n"
         "Values come from flags, then the environment [NAME], then --config FILE, then the default.\n");
    wb_config_usage(options, OPTIONS);
  } else if (settings(config, &node, mock_url, mock_rest, sizeof mock_url, &error) != 0 ||
             products_of(config, &node, &error) != 0) {
    code = wrong(&error);
  } else if (wb_config_check(config)) {
    wb_config_print(config);
  } else {
    /* A live view and a log on the same terminal would write over each other. */
    const char *file = wb_config_text(config, "log");
    int level = wb_config_choice(config, "log-level");
    bool both =
        !file && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) && strcmp(wb_config_text(config, "console"), "auto") == 0;
    wb_log *log =
        wb_log_open(file, both && level > WB_LOG_WARNING && wb_config_rank(config, "log-level") == 0 ? WB_LOG_WARNING : level,
                    strcmp(wb_config_text(config, "log-format"), "json") == 0, &error);
    code = log ? run(config, &node, log, signals) : wrong(&error);
    wb_log_close(log);
  }
  wb_login_close(node.login);
  if (node.products) wb_products_close(node.products);
  wb_config_free(config);
  return code;
}
