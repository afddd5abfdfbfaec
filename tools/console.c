#include "tools/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io/report.h"

struct wb_console {
  wb_node *node;
  bool live;
  unsigned drawn; /* lines on the screen */
  uint64_t then_ns, then_messages, then_bytes, then_stored;
  uint64_t *then_updates;
  double rate, byte_rate, store_rate;
  wb_hist hist[2], lag;
};

static const char *human_bytes(double n, char *text, size_t size) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
  unsigned unit = 0;
  while (n >= 1000 && unit < 4) {
    n /= 1000;
    unit++;
  }
  snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
  return text;
}

static const char *human_ns(uint64_t ns, char *text, size_t size) {
  if (ns < 10000) snprintf(text, size, "%llu ns", (unsigned long long)ns);
  else if (ns < 10000000) snprintf(text, size, "%.1f us", (double)ns / 1e3);
  else if (ns < UINT64_C(10000000000)) snprintf(text, size, "%.1f ms", (double)ns / 1e6);
  else snprintf(text, size, "%.1f s", (double)ns / 1e9);
  return text;
}

wb_console *wb_console_open(wb_node *node, bool live) {
  wb_console *console = calloc(1, sizeof *console);
  if (!console) return NULL;
  console->node = node;
  console->live = live;
  console->then_updates = calloc(wb_node_config_of(node)->products->capacity, sizeof *console->then_updates);
  console->then_ns = wb_clock_ns();
  return console;
}

void wb_console_close(wb_console *console) {
  if (!console) return;
  free(console->then_updates);
  free(console);
}

static void line_end(wb_console *console) {
  fputs(console->live ? "\033[K\n" : "\n", stdout);
  console->drawn++;
}

static void erase(wb_console *console) {
  if (console->live && console->drawn) printf("\033[%uA\r\033[J", console->drawn);
  console->drawn = 0;
}

static const char *colour(bool live, unsigned state) {
  if (!live) return "";
  return state == WB_STATE_LIVE ? "\033[32m" : state == WB_STATE_WAITING ? "\033[33m" : "\033[31m";
}

void wb_console_row(bool live, const char *id, const wb_view_data *view, double rate, bool with_reason) {
  char bid[WB_DECIMAL_TEXT_BYTES] = "-", ask[WB_DECIMAL_TEXT_BYTES] = "-", mid[WB_DECIMAL_TEXT_BYTES],
       spread[WB_DECIMAL_TEXT_BYTES] = "-", max[WB_DECIMAL_TEXT_BYTES] = "-", average[WB_DECIMAL_TEXT_BYTES];
  if (view->best_bid_size) wb_decimal_print(view->best_bid, view->price_decimals, bid);
  if (view->best_ask_size) wb_decimal_print(view->best_ask, view->price_decimals, ask);
  if (view->best_bid_size && view->best_ask_size)
    wb_decimal_print((__int128)view->best_ask - view->best_bid, view->price_decimals, spread);
  if (view->mid_held) wb_decimal_print(view->max_spread, view->price_decimals, max);
  wb_report_mid(view, mid);
  wb_report_mid_average(view, average);
  printf("%-12s %14s %14s %15s %10s %10s %16s %7llu/%-7llu %9.0f  %s%-9s%s", id, bid, ask, *mid ? mid : "-", spread, max,
         *average ? average : "-", (unsigned long long)view->bid_levels, (unsigned long long)view->ask_levels, rate,
         colour(live, view->state), wb_state_name((wb_state)view->state), live ? "\033[0m" : "");
  if (with_reason && view->state != WB_STATE_LIVE)
    printf(" %s%s%s", wb_reason_text((wb_reason)view->reason), view->reject ? ": " : "",
           view->reject ? wb_reject_name((wb_reject)view->reject) : "");
  else if (with_reason && view->last_alarm) printf(" (last alarm: %s)", wb_alarm_name((wb_alarm)(view->last_alarm - 1)));
}

void wb_console_head(bool live) {
  printf("%s%-12s %14s %14s %15s %10s %10s %16s %15s %9s  %-9s%s", live ? "\033[1m" : "", "product", "best bid", "best ask",
         "mid", "spread", "max spread", "mid average", "levels bid/ask", "updates/s", "state", live ? "\033[0m" : "");
}

static void latency_row(wb_console *console, const char *name, const wb_hist *hist) {
  if (!hist->count) return;
  char text[5][24];
  printf("%-16s p50 %s, p90 %s, p99 %s, p99.9 %s, max %s", name, human_ns(wb_hist_percentile(hist, 50), text[0], 24),
         human_ns(wb_hist_percentile(hist, 90), text[1], 24), human_ns(wb_hist_percentile(hist, 99), text[2], 24),
         human_ns(wb_hist_percentile(hist, 99.9), text[3], 24), human_ns(hist->max, text[4], 24));
  line_end(console);
}

static void line_rows(wb_console *console, const wb_node_status *status) {
  unsigned connections = wb_node_config_of(console->node)->connections;
  for (unsigned i = 0; i < status->line_count; i++) {
    const wb_node_line *line = &status->line[i];
    printf("line %s %s%s%s", line->name, line->url, *line->url ? " " : "", line->state);
    if (*line->url) printf(", reconnects %llu", (unsigned long long)line->reconnects);
    if (connections > 1) printf(", %u products, %.0f %% of the bytes", line->products, 100 * line->share);
    if (status->line_count > connections) {
      char text[2][24];
      wb_node_lag(console->node, i, &console->lag);
      printf(", first %llu, copies %llu, late %llu", (unsigned long long)line->wins, (unsigned long long)line->duplicates,
             (unsigned long long)line->late);
      if (console->lag.count)
        printf(", behind by p50 %s, p99 %s", human_ns(wb_hist_percentile(&console->lag, 50), text[0], 24),
               human_ns(wb_hist_percentile(&console->lag, 99), text[1], 24));
    }
    line_end(console);
  }
}

static void products(wb_console *console, double seconds, bool rates_over_run) {
  const wb_products *list = wb_node_config_of(console->node)->products;
  unsigned rows = list->count;
  if (console->live) {
    struct winsize size = {0};
    unsigned height = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 8 ? size.ws_row - 8u : 16;
    if (rows > height) rows = height;
  }
  wb_console_head(console->live);
  line_end(console);
  for (unsigned i = 0; i < list->count; i++) {
    wb_view_data view;
    wb_view_read(wb_node_view(console->node, i), &view);
    double rate = seconds > 0 ? (double)(view.updates - (rates_over_run ? 0 : console->then_updates[i])) / seconds : 0;
    console->then_updates[i] = view.updates;
    if (i >= rows) continue;
    wb_console_row(console->live, list->product[i].id, &view, rate, true);
    line_end(console);
  }
  if (rows < list->count) {
    printf("... and %u more", list->count - rows);
    line_end(console);
  }
}

void wb_console_draw(wb_console *console) {
  uint64_t now_ns = wb_clock_ns();
  double seconds = (double)(now_ns - console->then_ns) / 1e9;
  wb_node_status status;
  wb_node_status_get(console->node, &status);
  console->rate = seconds > 0 ? (double)(status.messages - console->then_messages) / seconds : 0;
  console->byte_rate = seconds > 0 ? (double)(status.bytes - console->then_bytes) / seconds : 0;
  console->store_rate = seconds > 0 ? (double)(status.stored_bytes - console->then_stored) / seconds : 0;
  console->then_ns = now_ns;
  console->then_messages = status.messages;
  console->then_bytes = status.bytes;
  console->then_stored = status.stored_bytes;
  wb_node_latency(console->node, &console->hist[0], &console->hist[1]);

  erase(console);
  char text[3][24];
  printf("%.0f s, %llu messages, %.0f/s, %s/s", (double)status.elapsed_ns / 1e9, (unsigned long long)status.messages,
         console->rate, human_bytes(console->byte_rate, text[0], 24));
  if (status.storing)
    printf("; stored %llu frames, %s, %s/s%s", (unsigned long long)status.stored_frames,
           human_bytes((double)status.stored_bytes, text[1], 24), human_bytes(console->store_rate, text[2], 24),
           status.store_errors ? " (storage errors: see log)" : "");
  if (status.dropped_frames)
    printf("; %llu dropped in %llu gaps", (unsigned long long)status.dropped_frames, (unsigned long long)status.gaps);
  line_end(console);
  line_rows(console, &status);
  products(console, seconds, false);
  latency_row(console, "wire to book", &console->hist[0]);
  latency_row(console, "exchange to book", &console->hist[1]);
  fflush(stdout);
}

void wb_console_above(wb_console *console, const char *text) {
  erase(console);
  puts(text);
  fflush(stdout);
}

void wb_console_summary(wb_console *console) {
  wb_node_status status;
  wb_node_status_get(console->node, &status);
  wb_node_latency(console->node, &console->hist[0], &console->hist[1]);
  erase(console);
  double seconds = (double)status.elapsed_ns / 1e9;
  char text[2][24];
  products(console, seconds, true);
  printf("\n%llu messages, %s, %llu changes in %.3f s (%.0f messages/s); reconnects %llu, resyncs %llu\n",
         (unsigned long long)status.messages, human_bytes((double)status.bytes, text[0], 24),
         (unsigned long long)status.changes, seconds, seconds > 0 ? (double)status.messages / seconds : 0,
         (unsigned long long)status.reconnects, (unsigned long long)status.resyncs);
  bool any = false;
  for (unsigned i = 1; i < WB_REJECT_COUNT; i++)
    if (status.rejected[i]) {
      printf("%s%s %llu", any ? ", " : "rejected: ", wb_reject_name((wb_reject)i), (unsigned long long)status.rejected[i]);
      any = true;
    }
  if (any) putchar('\n');
  if (status.line_count > 1) line_rows(console, &status);
  if (status.storing)
    printf("stored %llu frames, %s in %s\n", (unsigned long long)status.stored_frames,
           human_bytes((double)status.stored_bytes, text[1], 24), wb_node_config_of(console->node)->data_dir);
  latency_row(console, "wire to book", &console->hist[0]);
  latency_row(console, "exchange to book", &console->hist[1]);
  console->drawn = 0;
  fflush(stdout);
}
