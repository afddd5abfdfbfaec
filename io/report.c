#include "io/report.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/report_market.h"

static bool both(const wb_view_data *view) { return view->best_bid_size && view->best_ask_size; }

void wb_report_mid(const wb_view_data *view, char *text) {
  *text = 0;
  if (both(view)) wb_decimal_print((__int128)(view->best_bid + view->best_ask) * 5, view->price_decimals + 1u, text);
}

void wb_report_mid_average(const wb_view_data *view, char *text) {
  *text = 0;
  if (!view->mid_held) return;
  unsigned __int128 sum = ((unsigned __int128)view->mid2_sum_high << 64) | view->mid2_sum_low;
  uint64_t divisor = 2 * view->mid_held;
  unsigned twos = 0, fives = 0;
  uint64_t rest = divisor;
  while (rest % 2 == 0) rest /= 2, twos++;
  while (rest % 5 == 0) rest /= 5, fives++;
  unsigned more = twos > fives ? twos : fives, decimals = view->price_decimals;
  if (rest != 1 && sum % rest != 0) more = decimals < 10 ? 10 - decimals : 0;
  for (unsigned i = 0; i < more; i++) sum *= 10;
  unsigned __int128 whole = sum / divisor, left = sum % divisor * 2;
  if (left > divisor || (left == divisor && (whole & 1))) whole++;
  wb_decimal_print((__int128)whole, decimals + more, text);
}

static json_t *decimal(__int128 value, unsigned decimals) {
  char text[WB_DECIMAL_TEXT_BYTES];
  wb_decimal_print(value, decimals, text);
  return json_string(text);
}

static json_t *text_or_null(const char *text) { return *text ? json_string(text) : json_null(); }

static json_t *levels(const wb_level *level, uint32_t count, const wb_view_data *view) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < count; i++) {
    json_t *pair = json_array();
    json_array_append_new(pair, decimal(level[i].price, view->price_decimals));
    json_array_append_new(pair, decimal(level[i].size, view->size_decimals));
    json_array_append_new(array, pair);
  }
  return array;
}

static json_t *utc(int64_t utc_ns) {
  char text[WB_UTC_TEXT_BYTES];
  wb_utc_text(utc_ns, text);
  return json_string(text);
}

static json_t *product(const wb_view_data *view, const wb_level *bid, uint32_t bids, const wb_level *ask, uint32_t asks) {
  json_t *object = json_object();
  char reason[128], text[WB_DECIMAL_TEXT_BYTES];
  snprintf(reason, sizeof reason, "%s%s%s", wb_reason_text((wb_reason)view->reason), view->reject ? ": " : "",
           view->reject ? wb_reject_name((wb_reject)view->reject) : "");
  json_object_set_new(object, "state", json_string(wb_state_name((wb_state)view->state)));
  json_object_set_new(object, "reason", json_string(reason));
  if (view->added_utc_ns) json_object_set_new(object, "added_utc", utc(view->added_utc_ns));
  if (view->removed_utc_ns) json_object_set_new(object, "removed_utc", utc(view->removed_utc_ns));
  json_object_set_new(object, "snapshots", json_integer((json_int_t)view->snapshots));
  json_object_set_new(object, "updates", json_integer((json_int_t)view->updates));
  json_object_set_new(object, "changes", json_integer((json_int_t)view->changes));
  json_object_set_new(object, "rejected", json_integer((json_int_t)view->rejected));
  json_object_set_new(object, "resyncs", json_integer((json_int_t)view->resyncs));
  json_object_set_new(object, "crossed", json_integer((json_int_t)view->crossed));
  json_object_set_new(object, "unknown_removals", json_integer((json_int_t)view->unknown));
  json_object_set_new(object, "lost_trades", json_integer((json_int_t)view->lost_trades));
  json_t *alarms = json_object();
  for (unsigned i = 0; i < WB_ALARM_COUNT; i++)
    if (view->alarms[i]) json_object_set_new(alarms, wb_alarm_name((wb_alarm)i), json_integer(view->alarms[i]));
  json_object_set_new(object, "alarms", alarms);
  json_object_set_new(object, "last_alarm",
                      view->last_alarm ? json_string(wb_alarm_name((wb_alarm)(view->last_alarm - 1))) : json_null());
  bool bid_there = view->best_bid_size, ask_there = view->best_ask_size;
  unsigned pd = view->price_decimals, sd = view->size_decimals;
  json_object_set_new(object, "best_bid", bid_there ? decimal(view->best_bid, pd) : json_null());
  json_object_set_new(object, "best_bid_size", bid_there ? decimal(view->best_bid_size, sd) : json_null());
  json_object_set_new(object, "best_ask", ask_there ? decimal(view->best_ask, pd) : json_null());
  json_object_set_new(object, "best_ask_size", ask_there ? decimal(view->best_ask_size, sd) : json_null());
  wb_report_mid(view, text);
  json_object_set_new(object, "mid", text_or_null(text));
  json_object_set_new(object, "spread", both(view) ? decimal((__int128)view->best_ask - view->best_bid, pd) : json_null());
  json_object_set_new(object, "max_spread", view->mid_held ? decimal(view->max_spread, pd) : json_null());
  wb_report_mid_average(view, text);
  json_object_set_new(object, "mid_average", text_or_null(text));
  json_object_set_new(object, "bid_levels", json_integer((json_int_t)view->bid_levels));
  json_object_set_new(object, "ask_levels", json_integer((json_int_t)view->ask_levels));
  json_object_set_new(object, "bids", levels(bid, bids, view));
  json_object_set_new(object, "asks", levels(ask, asks, view));
  return object;
}

json_t *wb_report_latency(const wb_hist *hist) {
  json_t *object = json_object();
  if (!hist->count) return object;
  static const struct {
    const char *name;
    double percentile;
  } points[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"p99_99", 99.99}};
  json_object_set_new(object, "count", json_integer((json_int_t)hist->count));
  for (unsigned i = 0; i < sizeof points / sizeof *points; i++)
    json_object_set_new(object, points[i].name, json_integer((json_int_t)wb_hist_percentile(hist, points[i].percentile)));
  json_object_set_new(object, "max", json_integer((json_int_t)hist->max));
  return object;
}

static json_t *archive(const wb_archiver_status *status) {
  const struct {
    const char *name;
    uint64_t value;
  } fields[] = {{"compressed", status->compressed},
                {"bytes_before", status->bytes_before},
                {"bytes_after", status->bytes_after},
                {"failures", status->failures},
                {"indexed", status->indexed},
                {"index_failures", status->index_failures},
                {"hooks", status->hooks},
                {"hook_failures", status->hook_failures},
                {"deleted", status->deleted},
                {"deleted_bytes", status->deleted_bytes},
                {"unarchived", status->unarchived},
                {"waiting", status->waiting}};
  json_t *object = json_object();
  for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++)
    json_object_set_new(object, fields[i].name, json_integer((json_int_t)fields[i].value));
  return object;
}

static json_t *part(const wb_node_config *config, const wb_node_status *status) {
  char from[WB_UTC_TEXT_BYTES], to[WB_UTC_TEXT_BYTES];
  wb_utc_text(config->from_utc_ns, from);
  wb_utc_text(config->to_utc_ns, to);
  return json_pack("{so, so, sI, sI}", "from_utc", config->from_utc_ns == INT64_MIN ? json_null() : json_string(from), "to_utc",
                   config->to_utc_ns == INT64_MAX ? json_null() : json_string(to), "read_bytes", (json_int_t)status->read_bytes,
                   "of_bytes", (json_int_t)status->read_of_bytes);
}

static json_t *confinement(const wb_confine *confine) {
  wb_confine_status status;
  wb_confine_status_read(confine, &status);
  json_t *object = json_object(), *ports = status.ports_held ? json_array() : json_null();
  unsigned count;
  const uint16_t *port = wb_confine_ports(confine, &count);
  for (unsigned i = 0; status.ports_held && i < count; i++) json_array_append_new(ports, json_integer(port[i]));
  json_object_set_new(object, "mode", json_string(wb_confine_mode_name(status.mode)));
  json_object_set_new(object, "landlock_abi", json_integer(status.landlock_abi));
  json_object_set_new(object, "tcp_ports", ports);
  json_object_set_new(object, "system_calls", json_string(wb_confine_calls_name(status.calls)));
  json_object_set_new(object, "lacking", json_string(status.lacking));
  return object;
}

/* A replay knows nothing of a line's connections but what came of its messages. */
static json_t *line_of(const wb_node_line *line, const wb_hist *lag) {
  json_t *object = json_pack("{s:s, s:I, s:I, s:I, s:o}", "line", line->name, "duplicates", (json_int_t)line->duplicates,
                             "wins", (json_int_t)line->wins, "late", (json_int_t)line->late, "lag_ns", wb_report_latency(lag));
  if (!*line->url) return object;
  json_object_set_new(object, "url", json_string(line->url));
  json_object_set_new(object, "products", json_integer(line->products));
  json_object_set_new(object, "messages", json_integer((json_int_t)line->messages));
  json_object_set_new(object, "share", json_real((double)(int)(line->share * 10000 + 0.5) / 10000));
  json_object_set_new(object, "state", json_string(line->state));
  json_object_set_new(object, "reconnects", json_integer((json_int_t)line->reconnects));
  json_object_set_new(object, "stalls", json_integer((json_int_t)line->stalls));
  return object;
}

json_t *wb_report_build(wb_node *node, wb_error *error) {
  const wb_node_config *config = wb_node_config_of(node);
  const wb_level *level;
  const uint32_t *count;
  const wb_view_data *view;
  if (!wb_node_capture(node, &level, &count, &view)) {
    wb_error_set(error, WB_E_TIMEOUT, 0, "report", "the book stage did not answer");
    return NULL;
  }
  wb_node_status status;
  wb_node_status_get(node, &status);
  wb_hist *hist = malloc(3 * sizeof *hist);
  if (!hist) {
    wb_error_set(error, WB_E_MEMORY, errno, "report", "no memory");
    return NULL;
  }
  wb_node_latency(node, &hist[0], &hist[1]);

  char started[WB_UTC_TEXT_BYTES];
  wb_utc_text(status.started_utc_ns, started);
  json_t *report = json_object();
  json_object_set_new(report, "wirebook", json_string(WB_VERSION));
  json_object_set_new(report, "feed", json_string(config->codec->name));
  json_object_set_new(report, "started_utc", json_string(started));
  json_object_set_new(report, "elapsed_s", json_real((double)(status.elapsed_ns / 1000000) / 1000));
  json_object_set_new(report, "messages", json_integer((json_int_t)status.messages));
  json_object_set_new(report, "bytes", json_integer((json_int_t)status.bytes));
  json_object_set_new(report, "changes", json_integer((json_int_t)status.changes));
  json_object_set_new(report, "stored_frames", json_integer((json_int_t)status.stored_frames));
  json_object_set_new(report, "synced_frames", json_integer((json_int_t)status.synced_frames));
  json_object_set_new(report, "reconnects", json_integer((json_int_t)status.reconnects));
  json_object_set_new(report, "resyncs", json_integer((json_int_t)status.resyncs));
  json_object_set_new(report, "unknown", json_integer((json_int_t)status.unknown));
  if (config->part) json_object_set_new(report, "part", part(config, &status));
  if (status.storing)
    json_object_set_new(report, "store",
                        json_pack("{s:I, s:I, s:I, s:I}", "dropped_frames", (json_int_t)status.dropped_frames, "dropped_bytes",
                                  (json_int_t)status.dropped_bytes, "gaps", (json_int_t)status.gaps, "spill_bytes_max",
                                  (json_int_t)status.spill_bytes_max));
  if (status.archiving) json_object_set_new(report, "archive", archive(&status.archive));
  if (config->confine) json_object_set_new(report, "confine", confinement(config->confine));
  json_t *rejected = json_object();
  for (unsigned i = 1; i < WB_REJECT_COUNT; i++)
    if (status.rejected[i])
      json_object_set_new(rejected, wb_reject_name((wb_reject)i), json_integer((json_int_t)status.rejected[i]));
  json_object_set_new(report, "rejected", rejected);
  json_t *lines = json_array();
  for (unsigned i = 0; i < status.line_count; i++) {
    const wb_node_line *line = &status.line[i];
    wb_node_lag(node, i, &hist[2]);
    json_array_append_new(lines, line_of(line, &hist[2]));
  }
  json_object_set_new(report, "lines", lines);
  json_t *latencies = json_object();
  json_object_set_new(latencies, "wire_to_book", wb_report_latency(&hist[0]));
  json_object_set_new(latencies, "exchange_to_book", wb_report_latency(&hist[1]));
  json_object_set_new(report, "latency_ns", latencies);
  free(hist);
  bool live = status.line_count && *status.line[0].url; /* a replay's clock is that of its records */
  uint64_t now_ns = wb_clock_ns();
  json_t *products = json_object();
  const wb_level3_view *orders = wb_node_orders(node);
  uint32_t levels_measured = config->imbalance_levels < config->depth ? config->imbalance_levels : config->depth;
  for (uint32_t i = 0; i < config->products->count; i++) {
    const wb_sides sides = {level + (size_t)2 * i * config->depth, level + ((size_t)2 * i + 1) * config->depth, count[2 * i],
                            count[2 * i + 1]};
    json_t *one = product(&view[i], sides.bid, sides.bid_count, sides.ask, sides.ask_count);
    if (live && view[i].state_since_ns && now_ns >= view[i].state_since_ns)
      json_object_set_new(one, "for_s", json_real((double)((now_ns - view[i].state_since_ns) / 1000000) / 1000));
    wb_report_measures(one, &view[i], &sides, levels_measured, config->depth_bps);
    wb_report_trades(one, &wb_node_tapes(node)[i]);
    wb_report_orders(one, orders ? &orders[i] : NULL);
    json_object_set_new(products, config->products->product[i].id, one);
  }
  json_object_set_new(report, "products", products);
  return report;
}

int wb_report_write(wb_node *node, const char *path, wb_error *error) {
  json_t *report = wb_report_build(node, error);
  if (!report) return WB_E_STATE;
  int result = 0;
  if (strcmp(path, "-") == 0) {
    json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    putchar('\n');
  } else {
    char name[4096];
    snprintf(name, sizeof name, "%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(name, "we");
    bool good = file && json_dumpf(report, file, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) == 0 && fputc('\n', file) != EOF;
    if (file && fclose(file) != 0) good = false;
    if (good && rename(name, path) != 0) good = false;
    if (!good) {
      result = wb_error_set(error, WB_E_SYSTEM, errno, "report", "cannot write %s: %s", path, strerror(errno));
      unlink(name);
    }
  }
  json_decref(report);
  return result;
}
