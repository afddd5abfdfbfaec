#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/deal.h"
#include "engine/ring/atomic.h"
#include "io/memory.h"
#include "io/node_private.h"

enum { WHOLE_LEVELS_MIN = 1024 };
/* How often to look for the book thread's answer: by turns, then each millisecond. Of the clock it would be too late when all of the process was halted. */
enum { LOOKS_AT_ONCE = 1000, LOOKS = LOOKS_AT_ONCE + 1000 };

const wb_view *wb_node_view(const wb_node *node, uint32_t product) { return &node->views[product]; }

const wb_book_product *wb_node_product(const wb_node *node, uint32_t product) { return &node->product[product]; }

const wb_replay_origin *wb_node_origin(const wb_node *node, uint64_t number) {
  return wb_source_replay_origin(node->replay, number);
}

wb_log_totals wb_node_replayed(const wb_node *node) { return wb_source_replay_totals(node->replay); }

static bool capture_ready(const wb_node *node) {
  for (unsigned looks = 0; !wb_book_stage_capture_ready(&node->book); looks++) {
    if (looks == LOOKS) return false;
    if (looks < LOOKS_AT_ONCE) sched_yield();
    else nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return true;
}

/* An answer that came too late for whoever asked has still to come before the next one is asked for. */
static bool capture(wb_node *node, wb_book_whole *whole) {
  bool runs = node->started && !node->finished;
  if (runs && !capture_ready(node)) return false;
  node->book.whole = whole;
  if (!runs) {
    wb_book_stage_capture_now(&node->book);
    return true;
  }
  wb_book_stage_capture_ask(&node->book);
  wb_loop_wake(&node->thread[node->book_thread].loop);
  return capture_ready(node);
}

bool wb_node_capture(wb_node *node, const wb_level **level, const uint32_t **count, const wb_view_data **view) {
  *level = node->capture;
  *count = node->capture_count;
  *view = node->capture_view;
  return capture(node, NULL);
}

static bool whole_room(wb_book_whole *whole, uint64_t levels) {
  if (whole->room >= levels) return true;
  uint64_t room = levels + levels / 4 + WHOLE_LEVELS_MIN;
  if (room > UINT32_MAX) return false;
  wb_level *larger = wb_arena_open(2 * room * sizeof *larger, NULL);
  if (!larger) return false;
  wb_memory_populate(larger, 2 * room * sizeof *larger); /* here, and not by the book thread */
  if (whole->level) wb_arena_close(whole->level, 2 * (size_t)whole->room * sizeof *larger);
  *whole = (wb_book_whole){.level = larger, .room = (uint32_t)room};
  return true;
}

const wb_book_whole *wb_node_book(wb_node *node, uint32_t product) {
  wb_book_whole *whole = &node->whole;
  wb_view_data view;
  wb_view_read(&node->views[product], &view);
  uint64_t levels = view.bid_levels > view.ask_levels ? view.bid_levels : view.ask_levels;
  for (unsigned tries = 0; tries < 3; tries++, levels = 2 * (uint64_t)whole->room) {
    if ((node->started && !capture_ready(node)) || !whole_room(whole, levels + 1)) return NULL;
    whole->product = product;
    if (!capture(node, whole)) return NULL;
    if (whole->count[WB_SIDE_BID] < whole->room && whole->count[WB_SIDE_ASK] < whole->room) return whole;
  }
  return NULL;
}

bool wb_node_reader(const wb_node *node, wirebook_shm *reader) {
  if (node->shm) wb_shm_reader(node->shm, reader);
  return node->shm;
}

uint32_t wb_node_levels_max(const wb_node *node) {
  uint32_t levels = node->config.book.level_count_max;
  return levels ? levels : WB_BOOK_LEVELS_DEFAULT;
}

void wb_node_copy_ask(wb_node *node, uint32_t product) {
  wb_shm_copy_ask(node->shm, product);
  wb_loop_wake(&node->thread[node->book_thread].loop);
}

const wb_shm_copy *wb_node_copy(wb_node *node) {
  const wb_shm_copy *copy = wb_shm_copy_ready(node->shm);
  if (!copy) wb_loop_wake(&node->thread[node->book_thread].loop);
  return copy;
}

void wb_node_hot_cpus(const wb_node *node, wb_cpu_list *list) {
  list->count = 0;
  for (unsigned i = 0; i < wb_node_layouts[node->layout].hot; i++)
    if (node->thread[i].cpu >= 0) list->cpu[list->count++] = (uint16_t)node->thread[i].cpu;
}

const wb_tape *wb_node_tapes(const wb_node *node) { return node->tapes + node->config.products->capacity; }

const wb_level3_view *wb_node_orders(const wb_node *node) { return node->level3.on ? node->level3.books.view : NULL; }

void wb_node_status_get(wb_node *node, wb_node_status *status) {
  memset(status, 0, sizeof *status);
  status->started_utc_ns = node->started_utc_ns;
  status->elapsed_ns = (node->finished ? node->finished_ns : wb_clock_ns()) - node->started_ns;
  status->messages = wb_load_relaxed(&node->parse.messages_in);
  status->bytes = wb_load_relaxed(&node->parse.bytes_in);
  status->changes = wb_load_relaxed(&node->book.changes);
  status->applied = wb_load_relaxed(&node->book.messages_applied);
  status->errors = wb_load_relaxed(&node->book.errors);
  status->unknown = wb_load_relaxed(&node->book.unknown);
  status->resyncs = wb_load_relaxed(&node->book.resyncs);
  for (unsigned i = 0; i < WB_REJECT_COUNT; i++) status->rejected[i] = wb_load_relaxed(&node->book.rejected[i]);
  status->line_count = node->config.line_count;
  uint32_t count[WB_LINE_COUNT_MAX];
  uint64_t line_bytes[WB_LINE_COUNT_MAX] = {0};
  unsigned connections = node->config.connections;
  wb_deal_count(node->config.products, connections, count);
  for (unsigned i = 0; i < status->line_count; i++) {
    const wb_line_stats *stats = wb_source_ws_stats(node->live, i);
    status->line[i] = (wb_node_line){.url = node->config.url[i],
                                     .state = wb_line_state_name((wb_line_state)wb_load_relaxed(&stats->state)),
                                     .messages = wb_load_relaxed(&stats->messages),
                                     .bytes = wb_load_relaxed(&stats->bytes),
                                     .connects = wb_load_relaxed(&stats->connects),
                                     .reconnects = wb_load_relaxed(&stats->reconnects),
                                     .stalls = wb_load_relaxed(&stats->stalls)};
    status->reconnects += status->line[i].reconnects;
    line_bytes[i / connections] += status->line[i].bytes;
  }
  for (unsigned i = 0; i < status->line_count; i++) {
    wb_node_line *line = &status->line[i];
    wb_line_name(i, connections, line->name);
    line->products = count[i % connections];
    line->share = line_bytes[i / connections] ? (double)line->bytes / (double)line_bytes[i / connections] : 0;
  }
  if (node->arbiter_memory) {
    status->line_count = node->arbiter.line_count;
    for (unsigned i = 0; i < status->line_count; i++) {
      const wb_arbiter_line *arbitrated = &node->arbiter.line[i];
      wb_node_line *line = &status->line[i];
      if (node->replay) {
        *line = (wb_node_line){.url = "", .state = "replay"};
        wb_line_name(i, 1, line->name);
      }
      line->duplicates = wb_load_relaxed(&arbitrated->duplicates);
      line->wins = wb_load_relaxed(&arbitrated->wins);
      line->late = wb_load_relaxed(&arbitrated->late);
    }
  }
  if (node->level3.on && node->lines > 1) wb_node_level3_status(&node->level3, node->replay ? node->lines : 0, status);
  status->layout = wb_node_layouts[node->layout].name;
  static const char *const waits[] = {"spin", "yield", "block"};
  status->wait = waits[node->wait];
  status->storing = node->config.data_dir != NULL;
  if (status->storing) {
    wb_sink_segment_status sink = node->sink_status;
    if (!node->finished) wb_sink_segment_status_read(node->sink, &sink);
    status->stored_frames = sink.frames_written;
    status->synced_frames = sink.frames_synced;
    status->stored_bytes = sink.bytes_written;
    status->store_errors = sink.errors;
    status->segments = sink.segments;
    status->dropped_frames = wb_load_relaxed(&node->spill.dropped_frames);
    status->dropped_bytes = wb_load_relaxed(&node->spill.dropped_bytes);
    status->gaps = wb_load_relaxed(&node->spill.gaps);
    status->spill_bytes_max = wb_load_relaxed(&node->spill.held_bytes_max);
  }
  if (node->finished && node->replay) {
    wb_log_totals totals = wb_source_replay_totals(node->replay);
    status->read_bytes = totals.read_bytes;
    status->read_of_bytes = totals.of_bytes;
  }
  status->archiving = node->archiver;
  if (node->archiver) wb_archiver_status_read(node->archiver, &status->archive);
}

void wb_node_latency(const wb_node *node, wb_hist *wire_to_book, wb_hist *exchange_to_book) {
  wb_hist_copy(wire_to_book, &node->book.wire_to_book);
  wb_hist_copy(exchange_to_book, &node->book.exchange_to_book);
}

uint64_t wb_node_turns(const wb_node *node) { return wb_load_relaxed(&node->thread[node->book_thread].loop.turns); }

void wb_node_lag(const wb_node *node, unsigned line, wb_hist *lag) {
  if (node->arbiter_memory) wb_hist_copy(lag, &node->arbiter.line[line].lag);
  else wb_hist_init(lag);
}

const wb_node_config *wb_node_config_of(const wb_node *node) { return &node->config; }

void wb_node_describe(const wb_node *node, char *text, size_t size) {
  size_t n = (size_t)snprintf(text, size, "layout %s, wait %s, threads", wb_node_layouts[node->layout].name,
                              node->wait == WB_WAIT_SPIN    ? "spin"
                              : node->wait == WB_WAIT_YIELD ? "yield"
                                                            : "block");
  for (unsigned i = 0; i < node->thread_count && n < size; i++) {
    const wb_node_thread *thread = &node->thread[i];
    if (thread->cpu >= 0) n += (size_t)snprintf(text + n, size - n, " %s@%d", thread->loop.name, thread->cpu);
    else n += (size_t)snprintf(text + n, size - n, " %s", thread->loop.name);
  }
  if (node->live && n < size) {
    char ring[256];
    n += (size_t)snprintf(text + n, size - n, "; io_uring: %s; journal %zu MiB a line",
                          wb_source_ws_describe(node->live, ring, sizeof ring), node->journal_bytes[0] >> 20);
    if (node->spill_frames && n < size) snprintf(text + n, size - n, ", spill %zu MiB a line", node->spill_bytes[0] >> 20);
  }
}
