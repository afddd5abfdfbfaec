#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "engine/base/decimal.h"
#include "io/config.h"
#include "io/wirebook_shm.h"
#include "tools/commands.h"
#include "tools/console.h"

static const wb_option options[] = {
    {"once", WB_OPTION_SWITCH, NULL, "false", NULL, NULL, "print the table once and end", false, false},
    {"interval", WB_OPTION_NUMBER, NULL, "0.5", NULL, "SECONDS", "between two pictures", false, false},
    {"product", WB_OPTION_LIST, NULL, NULL, NULL, "ID", "only these; repeat or comma", false, false},
    {"depth", WB_OPTION_COUNT, NULL, "0", NULL, "N", "best levels a side of each product shown, too", false, false},
    {"config", WB_OPTION_TEXT, "WIREBOOK_CONFIG", NULL, NULL, "FILE", "YAML file of these options", false, true},
};
enum { OPTIONS = sizeof options / sizeof *options };

typedef struct top {
  const wb_config *config;
  wirebook_shm shm;
  bool live; /* a terminal */
  unsigned drawn, height;
  uint64_t then_ns, generation;
  uint64_t then_updates[WB_PRODUCT_COUNT_MAX];
} top;

static void line_end(top *t) {
  fputs(t->live ? "\033[K\n" : "\n", stdout);
  t->drawn++;
}

static bool wanted(const top *t, const char *id) {
  char *const *list = wb_config_list(t->config, "product");
  if (!*list) return true;
  for (; *list; list++)
    if (strcmp(*list, id) == 0) return true;
  return false;
}

static void level(const wirebook_shm_level *l, const wirebook_shm_depth *depth, bool there) {
  char price[WB_DECIMAL_TEXT_BYTES] = "", size[WB_DECIMAL_TEXT_BYTES] = "";
  if (there) wb_decimal_print(l->price, depth->price_decimals, price), wb_decimal_print(l->size, depth->size_decimals, size);
  printf("  %18s %14s", size, price);
}

static void levels(top *t, uint32_t product, uint32_t max) {
  static wirebook_shm_level bid[WB_DEPTH_MAX], ask[WB_DEPTH_MAX];
  wirebook_shm_depth depth;
  if (!wirebook_shm_depth_read(&t->shm, product, &depth, bid, ask, max)) return;
  uint32_t rows = depth.bid_count > depth.ask_count ? depth.bid_count : depth.ask_count;
  for (uint32_t i = 0; i < rows; i++) {
    level(&bid[i], &depth, i < depth.bid_count);
    level(&ask[i], &depth, i < depth.ask_count);
    line_end(t);
  }
}

static void draw(top *t) {
  uint64_t now_ns = wb_clock_ns();
  double seconds = t->generation == t->shm.head->generation ? (double)(now_ns - t->then_ns) / 1e9 : 0;
  uint32_t count = wirebook_shm_count(&t->shm), shown = 0, more = 0, depth = (uint32_t)wb_config_count(t->config, "depth");
  if (t->live && t->drawn) printf("\033[%uA\r\033[J", t->drawn);
  t->drawn = 0;
  printf("process %llu, %s", (unsigned long long)t->shm.head->writer_pid,
         wirebook_shm_alive(&t->shm) ? "running"
         : t->shm.head->ended        ? "ended"
                                     : "not heard of for seconds");
  line_end(t);
  wb_console_head(t->live);
  line_end(t);
  for (uint32_t i = 0; i < count; i++) {
    wb_view_data view;
    const char *id = wirebook_shm_id(&t->shm, i);
    if (!wanted(t, id) || !wirebook_shm_view_read(&t->shm, i, (wirebook_shm_view *)(void *)&view)) continue;
    double rate = seconds > 0 ? (double)(view.updates - t->then_updates[i]) / seconds : 0;
    t->then_updates[i] = view.updates;
    if (t->live && shown + 3 > t->height) {
      more++;
      continue;
    }
    wb_console_row(t->live, id, &view, rate, true);
    line_end(t);
    shown++;
    if (depth) levels(t, i, depth);
  }
  if (more) {
    printf("... and %u more", more);
    line_end(t);
  }
  t->then_ns = now_ns;
  t->generation = t->shm.head->generation;
  fflush(stdout);
}

/* Another writer may have taken the name. */
static void follow(top *t, const char *name) {
  wirebook_shm newer;
  if (wirebook_shm_alive(&t->shm) || wirebook_shm_open(&newer, name) != 0) return;
  if (newer.head->generation == t->shm.head->generation) {
    wirebook_shm_close(&newer);
    return;
  }
  wirebook_shm_close(&t->shm);
  t->shm = newer;
}

static int run(top *t, const char *name) {
  int failed = wirebook_shm_open(&t->shm, name);
  if (failed) {
    fprintf(stderr, "wirebook top: %s: %s\n", name,
            failed == -ENOENT   ? "no node writes shared memory of this name (run --shm NAME)"
            : failed == -EPROTO ? "no shared memory of this version of wirebook"
            : failed == -EINVAL ? "not a name of shared memory"
                                : strerror(-failed));
    return failed == -EINVAL ? 2 : 1;
  }
  t->live = isatty(STDOUT_FILENO) && !wb_config_switch(t->config, "once");
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  int signals = signalfd(-1, &set, SFD_CLOEXEC);
  struct pollfd fd = {.fd = signals, .events = POLLIN};
  double interval = wb_config_number(t->config, "interval");
  do {
    struct winsize size = {0};
    t->height = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 8 ? size.ws_row - 1u : 24;
    follow(t, name);
    draw(t);
  } while (!wb_config_switch(t->config, "once") && poll(&fd, 1, (int)(interval * 1000)) == 0);
  int code = wirebook_shm_alive(&t->shm) || t->shm.head->ended ? 0 : 1;
  wirebook_shm_close(&t->shm);
  close(signals);
  return code;
}

int wb_cmd_top(int argc, char **argv) {
  wb_error error;
  wb_config *config = wb_config_load(options, OPTIONS, argc, argv, &error);
  if (!config) {
    fprintf(stderr, "wirebook top: %s\n", error.detail);
    return 2;
  }
  unsigned operands;
  char *const *operand = wb_config_operands(config, &operands);
  int code = 0;
  double interval = wb_config_number(config, "interval");
  if (wb_config_help(config)) {
    puts("usage: wirebook top [OPTIONS] NAME\n\nShows the books of the running node that was started with --shm NAME. Exit "
         "code 1: there is none, or it died.\n");
    wb_config_usage(options, OPTIONS);
  } else if (operands != 1) {
    fprintf(stderr, "wirebook top: name the shared memory of one node (run --shm NAME)\n");
    code = 2;
  } else if (!(interval >= 0.01 && interval <= 3600)) {
    fprintf(stderr, "wirebook top: --interval must be 0.01 to 3600 seconds\n");
    code = 2;
  } else if (wb_config_check(config)) {
    wb_config_print(config);
  } else {
    static top t;
    t.config = config;
    code = run(&t, operand[0]);
  }
  wb_config_free(config);
  return code;
}
