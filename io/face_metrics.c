#include <stdio.h>
#include <string.h>

#include "engine/feed/recover.h"
#include "engine/feed/witness.h"
#include "io/face_modules.h"
#include "io/face_text.h"

/* The text format of Prometheus 0.0.4, or OpenMetrics 1.0: there a counter's family has its name without _total, and the text an end. */
typedef struct page {
  wb_face_text text;
  bool open;
} page;

static const char prometheus[] = "text/plain; version=0.0.4; charset=utf-8";
static const char open_metrics[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/* ------------------------------------------------------------------------------------------------ families */

static void family(page *to, const char *name, const char *type, const char *help) {
  const char *total = strcmp(type, "counter") == 0 && !to->open ? "_total" : "";
  wb_face_text_addf(&to->text, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, total, help, name, total, type);
}

static void counter(page *to, const char *name, const char *help, uint64_t value) {
  family(to, name, "counter", help);
  wb_face_text_addf(&to->text, "%s_total %llu\n", name, (unsigned long long)value);
}

static void gauge(page *to, const char *name, const char *help, double value) {
  family(to, name, "gauge", help);
  wb_face_text_addf(&to->text, "%s %.15g\n", name, value);
}

/* Some 1/128 of a bucket's edge counts to the next one. */
static void buckets(page *to, const char *name, const char *label, const wb_hist *hist) {
  static const struct {
    const char *le;
    uint64_t ns;
  } edges[] = {{"1e-06", 1000},     {"2e-06", 2000},      {"5e-06", 5000},    {"1e-05", 10000},    {"2e-05", 20000},
               {"5e-05", 50000},    {"0.0001", 100000},   {"0.0002", 200000}, {"0.0005", 500000},  {"0.001", 1000000},
               {"0.002", 2000000},  {"0.005", 5000000},   {"0.01", 10000000}, {"0.02", 20000000},  {"0.05", 50000000},
               {"0.1", 100000000},  {"0.2", 200000000},   {"0.5", 500000000}, {"1.0", 1000000000}, {"2.0", 2000000000},
               {"5.0", 5000000000}, {"10.0", 10000000000}};
  uint64_t all = wb_hist_count_upto(hist, UINT64_MAX); /* what was counted while it was copied is in all of it or in nothing */
  const char *comma = *label ? "," : "";
  for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
    wb_face_text_addf(&to->text, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, label, comma, edges[i].le,
                      (unsigned long long)wb_hist_count_upto(hist, edges[i].ns));
  wb_face_text_addf(&to->text, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, comma, (unsigned long long)all);
  const char *open = *label ? "{" : "", *close = *label ? "}" : "";
  wb_face_text_addf(&to->text, "%s_count%s%s%s %llu\n", name, open, label, close, (unsigned long long)all);
  wb_face_text_addf(&to->text, "%s_sum%s%s%s %.9f\n", name, open, label, close, (double)hist->sum / 1e9);
}

/* ------------------------------------------------------------------------------------------------ the node */

static void put_node(page *to, const wb_face_status *status, const wb_node_config *config) {
  const wb_node_status *node = &status->node;
  family(to, "wirebook_build_info", "gauge", "What runs, 1.");
  wb_face_text_addf(&to->text, "wirebook_build_info{version=\"" WB_VERSION "\",feed=\"%s\",layout=\"%s\",wait=\"%s\"} 1\n",
                    config->codec->name, node->layout, node->wait);
  gauge(to, "wirebook_start_time_seconds", "When the node started, in seconds since 1970.",
        (double)(node->started_utc_ns / 1000000) / 1000);
  gauge(to, "wirebook_uptime_seconds", "How long it has run.", (double)(node->elapsed_ns / 1000000) / 1000);
  counter(to, "wirebook_messages", "Messages parsed.", node->messages);
  counter(to, "wirebook_message_bytes", "Their bytes.", node->bytes);
  counter(to, "wirebook_changes", "Changes of levels applied to books.", node->changes);
  counter(to, "wirebook_applied_messages", "Messages applied to books.", node->applied);
  counter(to, "wirebook_exchange_errors", "Errors that the exchange said.", node->errors);
  counter(to, "wirebook_unknown_messages", "Messages of types and channels that are not known.", node->unknown);
  counter(to, "wirebook_reconnects", "Connections made again, of all lines.", node->reconnects);
  counter(to, "wirebook_resyncs", "Books asked for anew.", node->resyncs);
  family(to, "wirebook_rejected_messages", "counter", "Messages that changed no book, by reason.");
  for (unsigned i = 1; i < WB_REJECT_COUNT; i++)
    wb_face_text_addf(&to->text, "wirebook_rejected_messages_total{reason=\"%s\"} %llu\n", wb_reject_name((wb_reject)i),
                      (unsigned long long)node->rejected[i]);
  family(to, "wirebook_wire_to_book_seconds", "histogram",
         "From the last packet of a message to the moment its change can be read.");
  buckets(to, "wirebook_wire_to_book_seconds", "", &status->wire_to_book);
  family(to, "wirebook_exchange_to_book_seconds", "histogram", "From the time in a message to the same moment.");
  buckets(to, "wirebook_exchange_to_book_seconds", "", &status->exchange_to_book);
}

static void put_lines(page *to, const wb_face_status *status) {
  const wb_node_status *node = &status->node;
  static const struct {
    const char *name, *help;
    size_t at;
  } fields[] = {
      {"wirebook_line_messages", "Messages of a line.", offsetof(wb_node_line, messages)},
      {"wirebook_line_bytes", "Their bytes.", offsetof(wb_node_line, bytes)},
      {"wirebook_line_connects", "Connections made.", offsetof(wb_node_line, connects)},
      {"wirebook_line_reconnects", "Connections made again.", offsetof(wb_node_line, reconnects)},
      {"wirebook_line_stalls", "Times that a line waited for room.", offsetof(wb_node_line, stalls)},
      {"wirebook_line_wins", "Messages that this line brought first.", offsetof(wb_node_line, wins)},
      {"wirebook_line_duplicates", "Messages that another line had brought.", offsetof(wb_node_line, duplicates)},
      {"wirebook_line_late", "Messages older than the book, not known as copies.", offsetof(wb_node_line, late)},
  };
  if (!node->line_count) return;
  for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
    family(to, fields[f].name, "counter", fields[f].help);
    for (unsigned i = 0; i < node->line_count; i++) {
      uint64_t value;
      memcpy(&value, (const uint8_t *)&node->line[i] + fields[f].at, sizeof value);
      wb_face_text_addf(&to->text, "%s_total{line=\"%s\"} %llu\n", fields[f].name, node->line[i].name,
                        (unsigned long long)value);
    }
  }
  family(to, "wirebook_line_live", "gauge", "1: the line is connected and subscribed.");
  for (unsigned i = 0; i < node->line_count; i++)
    wb_face_text_addf(&to->text, "wirebook_line_live{line=\"%s\"} %d\n", node->line[i].name,
                      strcmp(node->line[i].state, "live") == 0);
  family(to, "wirebook_line_lag_seconds", "histogram", "How long after the first line a copy came.");
  for (unsigned i = 0; i < node->line_count; i++) {
    char label[32];
    snprintf(label, sizeof label, "line=\"%s\"", node->line[i].name);
    buckets(to, "wirebook_line_lag_seconds", label, &status->lag[i]);
  }
}

static void put_store(page *to, const wb_face_status *status) {
  const wb_node_status *node = &status->node;
  if (node->storing) {
    counter(to, "wirebook_store_frames", "Frames written to the log.", node->stored_frames);
    counter(to, "wirebook_store_synced_frames", "Frames that are on the disk for good.", node->synced_frames);
    counter(to, "wirebook_store_bytes", "Bytes written to the log.", node->stored_bytes);
    counter(to, "wirebook_store_segments", "Segments begun.", node->segments);
    counter(to, "wirebook_store_errors", "Writes and syncs that failed.", node->store_errors);
    counter(to, "wirebook_store_dropped_frames", "Frames that are not in the log: the disk was too slow.",
            node->dropped_frames);
    counter(to, "wirebook_store_dropped_bytes", "Their bytes.", node->dropped_bytes);
    counter(to, "wirebook_store_gaps", "Records in the log of what is missing.", node->gaps);
    gauge(to, "wirebook_store_spill_max_bytes", "The most that has waited for the disk.", (double)node->spill_bytes_max);
    if (status->free_bytes >= 0) gauge(to, "wirebook_store_free_bytes", "Free bytes of the disk.", (double)status->free_bytes);
  }
  if (!node->archiving) return;
  const wb_archiver_status *archive = &node->archive;
  counter(to, "wirebook_archive_compressed_segments", "Segments compressed.", archive->compressed);
  counter(to, "wirebook_archive_failures", "Compressions that failed.", archive->failures);
  counter(to, "wirebook_archive_indexed_segments", "Segments indexed.", archive->indexed);
  counter(to, "wirebook_archive_index_failures", "Indexes that failed.", archive->index_failures);
  counter(to, "wirebook_archive_hooks", "Commands run.", archive->hooks);
  counter(to, "wirebook_archive_hook_failures", "Commands that failed.", archive->hook_failures);
  counter(to, "wirebook_archive_deleted_segments", "Segments deleted.", archive->deleted);
  counter(to, "wirebook_archive_deleted_bytes", "Their bytes.", archive->deleted_bytes);
  gauge(to, "wirebook_archive_waiting_segments", "Segments that wait.", (double)archive->waiting);
}

/* ------------------------------------------------------------------------------------------------ products */

typedef struct field {
  const char *name, *type, *help;
  size_t at;
  unsigned bytes;
} field;

#define FIELD(name, type, help, member)                                                                                        \
  { name, type, help, offsetof(wirebook_shm_view, member), sizeof((wirebook_shm_view *)0)->member }

static uint64_t value_of(const wirebook_shm_view *view, const field *of) {
  uint64_t value = 0;
  memcpy(&value, (const uint8_t *)view + of->at, of->bytes);
  return value;
}

/* The id and the view of a product that somebody wants; NULL. */
static const char *shown(const wirebook_shm *books, uint32_t product, wirebook_shm_view *view) {
  bool wanted = wirebook_shm_view_read(books, product, view) && view->state != WIREBOOK_SHM_REMOVED;
  return wanted ? wirebook_shm_id(books, product) : NULL;
}

static void put_products(page *to, const wirebook_shm *books, uint64_t now_ns) {
  static const field fields[] = {
      FIELD("wirebook_product_snapshots", "counter", "Snapshots applied.", snapshots),
      FIELD("wirebook_product_updates", "counter", "Messages applied.", updates),
      FIELD("wirebook_product_changes", "counter", "Changes of levels applied.", changes),
      FIELD("wirebook_product_rejected", "counter", "Messages that broke the schema.", rejected),
      FIELD("wirebook_product_resyncs", "counter", "Times that the book was asked for anew.", resyncs),
      FIELD("wirebook_product_crossed", "counter", "Messages after which the book was crossed.", crossed),
      FIELD("wirebook_product_unknown_removals", "counter", "Removals of levels that were not there.", unknown),
      FIELD("wirebook_product_lost_trades", "counter", "Trades missing in their numbers.", lost_trades),
      FIELD("wirebook_product_bid_levels", "gauge", "Levels of bids.", bid_levels),
      FIELD("wirebook_product_ask_levels", "gauge", "Levels of asks.", ask_levels),
  };
  wirebook_shm_view view;
  const char *id;
  uint32_t count = wirebook_shm_count(books), in_state[WIREBOOK_SHM_REMOVED] = {0};
  for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
    const char *total = strcmp(fields[f].type, "counter") == 0 ? "_total" : "";
    family(to, fields[f].name, fields[f].type, fields[f].help);
    for (uint32_t i = 0; i < count; i++)
      if ((id = shown(books, i, &view)))
        wb_face_text_addf(&to->text, "%s%s{product=\"%s\"} %llu\n", fields[f].name, total, id,
                          (unsigned long long)value_of(&view, &fields[f]));
  }
  family(to, "wirebook_product_alarms", "counter", "Alarms of witnesses of the book, by kind.");
  for (uint32_t i = 0; i < count; i++)
    for (unsigned a = 0; a < WB_ALARM_COUNT && (id = shown(books, i, &view)); a++)
      wb_face_text_addf(&to->text, "wirebook_product_alarms_total{product=\"%s\",alarm=\"%s\"} %u\n", id,
                        wb_alarm_name((wb_alarm)a), view.alarms[a]);
  family(to, "wirebook_product_quiet_seconds", "gauge", "Since its last message.");
  for (uint32_t i = 0; i < count; i++)
    if ((id = shown(books, i, &view)) && view.recv_ns)
      wb_face_text_addf(&to->text, "wirebook_product_quiet_seconds{product=\"%s\"} %.3f\n", id,
                        now_ns > view.recv_ns ? (double)(now_ns - view.recv_ns) / 1e9 : 0);
  family(to, "wirebook_product_state", "gauge", "1 for the state that the product is in.");
  for (uint32_t i = 0; i < count; i++) {
    if (!(id = shown(books, i, &view))) continue;
    for (unsigned s = 0; s < WIREBOOK_SHM_REMOVED; s++)
      wb_face_text_addf(&to->text, "wirebook_product_state{product=\"%s\",state=\"%s\"} %d\n", id, wb_state_name((wb_state)s),
                        view.state == s);
    in_state[view.state < WIREBOOK_SHM_REMOVED ? view.state : 0]++;
  }
  family(to, "wirebook_products", "gauge", "Products by state.");
  for (unsigned s = 0; s < WIREBOOK_SHM_REMOVED; s++)
    wb_face_text_addf(&to->text, "wirebook_products{state=\"%s\"} %u\n", wb_state_name((wb_state)s), in_state[s]);
}

/* ------------------------------------------------------------------------------------------------ the face */

static void put_face(page *to, const wb_face *face) {
  wb_face_counts counts;
  wb_face_counts_read(face, &counts);
  gauge(to, "wirebook_face_connections", "Connections to this server.", counts.clients);
  gauge(to, "wirebook_face_streams", "Of them, streams.", counts.streams);
  gauge(to, "wirebook_face_sockets", "Of them, WebSockets.", counts.sockets);
  counter(to, "wirebook_face_accepted_connections", "Connections accepted.", counts.accepted);
  counter(to, "wirebook_face_requests", "Requests.", counts.requests);
  family(to, "wirebook_face_responses", "counter", "Answers, by the class of their status.");
  for (unsigned i = 1; i < 6; i++)
    wb_face_text_addf(&to->text, "wirebook_face_responses_total{class=\"%uxx\"} %llu\n", i,
                      (unsigned long long)counts.responses[i]);
  counter(to, "wirebook_face_sent_bytes", "Bytes sent.", counts.sent_bytes);
  counter(to, "wirebook_face_received_bytes", "Bytes received.", counts.received_bytes);
  counter(to, "wirebook_face_sent_messages", "Messages sent to WebSockets and streams.", counts.messages_out);
  counter(to, "wirebook_face_received_messages", "Messages received from WebSockets.", counts.messages_in);
  counter(to, "wirebook_face_lost_changes",
          "Changes overwritten before trades were read of them: trades and candles here may lack some.", counts.changes_lost);
  family(to, "wirebook_face_ended_connections", "counter", "Connections that ended, by reason.");
  for (unsigned i = 0; i < WB_FACE_ENDINGS; i++)
    wb_face_text_addf(&to->text, "wirebook_face_ended_connections_total{reason=\"%s\"} %llu\n",
                      wb_face_ending_name((wb_face_ending)i), (unsigned long long)counts.ended[i]);
}

/* ------------------------------------------------------------------------------------------------ module */

static void answer(wb_face_client *client, const wb_face_status *status, bool open, uint64_t now_ns) {
  wb_face *face = wb_face_of(client);
  page to = {.open = open};
  put_node(&to, status, wb_face_config_of(face));
  put_lines(&to, status);
  put_store(&to, status);
  put_products(&to, wb_face_books(face), now_ns);
  put_face(&to, face);
  if (open) wb_face_text_add(&to.text, "# EOF\n");
  wb_face_text_answer(client, open ? open_metrics : prometheus, &to.text);
}

static void tick(wb_face_client *client, void *open, uint64_t now_ns) {
  const wb_face_status *status = wb_face_status_since(wb_face_of(client), wb_face_asked_ns(client));
  if (status) answer(client, status, open != NULL, now_ns);
}

static const wb_face_handler handler = {.tick = tick};

static void metrics(wb_face_client *client, const wb_face_request *request) {
  static char open;
  wb_http_text accept = wb_http_header(request->head, request->head_bytes, "Accept");
  void *self = accept.at && memmem(accept.at, accept.bytes, "application/openmetrics-text", 28) ? &open : NULL;
  wb_face_hold(client, &handler, self);
  tick(client, self, request->now_ns);
}

static const wb_face_route routes[] = {{"GET", "/metrics", metrics}, {0}};

const wb_face_module wb_face_metrics = {.name = "metrics", .route = routes};
