#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/deal.h"
#include "engine/ring/atomic.h"
#include "io/cpu.h"
#include "io/http1.h"
#include "io/memory.h"
#include "io/node_private.h"
#include "io/ws.h"

enum {
  NOTES_BYTES = 1 << 20,
  NOTES_FRAMES = 8192,
  LINE_FRAMES = 1 << 18,
  WRITTEN_TURN_BYTES = 2 << 20,
  FRAME_SHARE = 128,
  SPILL_WARM_BYTES = 32 << 20,
  MESSAGES_BYTES = 8 << 20,
  COMMANDS_BYTES = 64 << 10
};
/* Some 3 MiB for each of so few products; of more, the books take memory as they need it. */
enum { WARM_PRODUCTS = 8, WARM_LEVELS = 1 << 15, WARM_POOL_BYTES = 2 << 20 };
enum { READER_PARSE = 0, READER_STORE = 1 };
#define JOURNAL_BYTES_MAX (UINT64_C(1) << 36)
/* Two seconds of 100 MB/s with a disk that takes nothing, and most of a minute of what a busy feed sends. */
#define SPILL_BYTES_DEFAULT (UINT64_C(256) << 20)

static const uint64_t CLOSE_TIMEOUT_NS = UINT64_C(5000000000), ARCHIVE_TIMEOUT_NS = UINT64_C(5000000000);

static void host_yield(void) { sched_yield(); }

static uint64_t power_of_two(uint64_t at_least) {
  uint64_t n = 65536;
  if (at_least > JOURNAL_BYTES_MAX) return UINT64_MAX;
  while (n < at_least) n *= 2;
  return n;
}

/* A journal of a few times as much is in the cache as it is. What is written straight from a journal is written in large pieces: a sink that looks once in a
 * millisecond is not further behind than WRITTEN_TURN_BYTES at 1 GB/s. */
static size_t turn_bytes(size_t journal_bytes, bool written) {
  size_t turn = written ? WRITTEN_TURN_BYTES : WB_FRAMES_TURN_BYTES;
  return journal_bytes >= 4 * turn ? turn : 0;
}

/* Lines have the large ones. */
static size_t frame_count(const wb_node *node, unsigned ring) {
  return ring < (node->config.line_count ? node->config.line_count : 1) ? LINE_FRAMES : NOTES_FRAMES;
}

static bool spills(const wb_node_config *config) { return config->data_dir && config->line_count && config->spill_bytes; }

static void *lines_alloc(size_t bytes) {
  size_t whole = (bytes + WB_CACHE_PAIR_BYTES - 1) & ~(size_t)(WB_CACHE_PAIR_BYTES - 1);
  void *memory = aligned_alloc(WB_CACHE_PAIR_BYTES, whole ? whole : WB_CACHE_PAIR_BYTES);
  if (memory) memset(memory, 0, whole);
  return memory;
}

/* ------------------------------------------------------------------------------------------------ open */

static int open_rings(wb_node *node, wb_error *error) {
  const wb_node_config *config = &node->config;
  unsigned lines = config->line_count ? config->line_count : 1;
  unsigned readers = config->data_dir ? 2 : 1;
  node->ring_count = config->line_count ? lines + node->level3.on + 1 : lines;
  node->frames = lines_alloc(node->ring_count * sizeof *node->frames);
  if (!node->frames) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "node", "no memory for frame rings");
  /* A message, what its fragments and the control frames between them may add, and a response head behind or before it. */
  uint64_t least = config->message_bytes_max + WB_WS_OVERHEAD_BYTES_MAX + WB_WS_HEADER_BYTES_MAX + WB_HTTP_HEAD_BYTES_MAX +
                   WB_READ_SLACK_BYTES;
  uint64_t twice = 2 * config->message_bytes_max;
  uint64_t line_bytes = power_of_two(config->journal_bytes ? config->journal_bytes : twice > least ? twice : least);
  if (line_bytes < least || line_bytes == UINT64_MAX)
    return wb_error_set(
        error, WB_E_LIMIT, 0, "node", "--journal must be %llu bytes at least, for messages of %llu, and %llu at most",
        (unsigned long long)least, (unsigned long long)config->message_bytes_max, (unsigned long long)JOURNAL_BYTES_MAX);
  for (unsigned i = 0; i < node->ring_count; i++) {
    bool notes = i == lines + node->level3.on;
    size_t count = frame_count(node, i);
    node->journal_bytes[i] = notes ? NOTES_BYTES : line_bytes;
    bool live = config->line_count && i < lines; /* a first touch costs more than a message */
    node->journal[i] = wb_mirror_open(node->journal_bytes[i], live, error);
    if (!node->journal[i]) return WB_E_MEMORY;
    node->descriptors[i] = wb_arena_open(count * sizeof(wb_frame), error);
    if (!node->descriptors[i]) return WB_E_MEMORY;
    if (live) wb_memory_populate(node->descriptors[i], count * sizeof(wb_frame));
    int result =
        wb_frames_init(&node->frames[i], node->journal[i], node->journal_bytes[i], node->descriptors[i], count, readers);
    if (result != 0) return wb_error_set(error, result, 0, "node", "frame ring");
    if (config->line_count && !notes)
      node->frames[i].turn_bytes = turn_bytes(node->journal_bytes[i], config->data_dir && !spills(config));
  }
  node->commands_memory = wb_mirror_open(COMMANDS_BYTES, false, error);
  if (!node->commands_memory) return WB_E_MEMORY;
  wb_ring_init(&node->commands, node->commands_memory, COMMANDS_BYTES);
  if (node->layout == WB_LAYOUT_PIPELINED) {
    node->messages_memory = wb_mirror_open(MESSAGES_BYTES, true, error);
    if (!node->messages_memory) return WB_E_MEMORY;
    wb_ring_init(&node->messages, node->messages_memory, MESSAGES_BYTES);
  }
  return 0;
}

/* Messages of a real feed are some 140 bytes long. */
static size_t spill_frame_count(size_t bytes) { return bytes / FRAME_SHARE; }

static int open_spill(wb_node *node, wb_error *error) {
  const wb_node_config *config = &node->config;
  if (!spills(config)) return 0;
  uint64_t least = node->journal_bytes[0] * config->line_count, total = config->spill_bytes;
  if (total == WB_NODE_SPILL_DEFAULT) total = least > SPILL_BYTES_DEFAULT ? least : SPILL_BYTES_DEFAULT;
  uint64_t share = power_of_two(total / config->line_count / 2 + 1); /* the largest that is not more */
  if (total < least || share == UINT64_MAX)
    return wb_error_set(error, WB_E_LIMIT, 0, "node",
                        "--spill must be 0 or %llu bytes at least, as much as the journals of %u lines, and %llu at most",
                        (unsigned long long)least, config->line_count, (unsigned long long)JOURNAL_BYTES_MAX);
  node->spill_frames = lines_alloc(node->ring_count * sizeof *node->spill_frames);
  if (!node->spill_frames) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "node", "no memory for spill rings");
  for (unsigned i = 0; i < node->ring_count; i++) {
    bool notes = i + 1 == node->ring_count, line = i < config->line_count;
    node->spill_bytes[i] = notes ? NOTES_BYTES : line ? share : node->journal_bytes[i];
    size_t count = spill_frame_count(node->spill_bytes[i]);
    node->spill_journal[i] = wb_mirror_open(node->spill_bytes[i], false, error);
    if (!node->spill_journal[i]) return WB_E_MEMORY;
    node->spill_descriptors[i] = wb_arena_open(count * sizeof(wb_frame), error);
    if (!node->spill_descriptors[i]) return WB_E_MEMORY;
    int result = wb_frames_init(&node->spill_frames[i], node->spill_journal[i], node->spill_bytes[i],
                                node->spill_descriptors[i], count, 1);
    if (result != 0) return wb_error_set(error, result, 0, "node", "spill ring");
    if (!notes) node->spill_frames[i].turn_bytes = turn_bytes(node->spill_bytes[i], true);
    uint64_t warm = SPILL_WARM_BYTES / config->line_count & ~UINT64_C(4095); /* what a disk that keeps up needs */
    if (line || notes) wb_memory_populate(node->spill_journal[i], node->spill_bytes[i] < warm ? node->spill_bytes[i] : warm);
    node->spill.from[i] = &node->frames[i];
    node->spill.to[i] = &node->spill_frames[i];
  }
  node->spill.ring_count = node->ring_count;
  node->spill.reader = READER_STORE;
  node->spill.host = &node->host;
  wb_spill_stage_init(&node->spill);
  return 0;
}

static const char *explain(void *self, const char *bytes, size_t count, char *text, size_t size) {
  const wb_node *node = self;
  return node->config.line_count ? wb_login_explain(node->config.login, node->config.codec->name, bytes, count, text, size)
                                 : NULL;
}

static int open_books(wb_node *node, wb_error *error) {
  const wb_node_config *config = &node->config;
  uint32_t count = config->products->capacity, lines = node->replay ? wb_source_replay_lines(node->replay) : config->line_count;
  node->lines = lines;
  size_t one = wb_book_rest_bytes(&config->book);
  node->books_bytes = one * count;
  node->books = wb_arena_open(node->books_bytes, error);
  node->pool_bytes = wb_book_pool_bytes(&config->book) * count;
  node->pool_memory = wb_arena_open_huge(node->pool_bytes, error);
  node->product = lines_alloc(count * sizeof *node->product);
  node->mid2 = lines_alloc((size_t)count * config->mid_window * sizeof *node->mid2);
  node->book_of = lines_alloc(count * sizeof *node->book_of);
  bool shared = config->shm_name || config->listens;
  if (shared)
    node->shm = wb_shm_open(&(wb_shm_config){.name = config->shm_name,
                                             .product_max = count,
                                             .depth = config->depth,
                                             .depth_ns = config->shm_depth_ns,
                                             .copy_levels = config->listens ? wb_node_levels_max(node) : 0,
                                             .observer = config->observer},
                            error);
  if (shared && !node->shm) return error->code;
  const wb_observer *observer = node->shm ? wb_shm_observer(node->shm, &node->book, config->products) : config->observer;
  node->views = node->shm ? wb_shm_views(node->shm) : lines_alloc(count * sizeof *node->views);
  node->capture = calloc((size_t)2 * count * config->depth, sizeof *node->capture);
  node->capture_count = calloc((size_t)2 * count, sizeof *node->capture_count);
  node->capture_view = calloc(count, sizeof *node->capture_view);
  node->codec_state = lines_alloc(config->codec->size(config->products));
  node->batch = lines_alloc(WB_PARSE_BATCH_BYTES);
  node->tapes = calloc((size_t)2 * count, sizeof *node->tapes);
  bool redundant = lines > (config->line_count ? config->connections : 1) && !node->level3.on;
  if (redundant) {
    node->arbiter_memory = lines_alloc(wb_arbiter_bytes(lines, count));
    if (!node->arbiter_memory) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "node", "no memory for %u lines", lines);
    wb_arbiter_init(&node->arbiter, node->arbiter_memory, lines, count, &wb_recover_default, node->started_ns);
  }
  if (!node->books || !node->pool_memory || !node->product || !node->mid2 || !node->book_of || !node->views || !node->capture ||
      !node->capture_count || !node->capture_view || !node->codec_state || !node->batch || !node->tapes)
    return wb_error_set(error, WB_E_MEMORY, ENOMEM, "node", "no memory for %u books of up to %zu bytes", count, one);
  wb_pool_init(&node->pool, node->pool_memory, node->pool_bytes);
  if (config->line_count)
    wb_memory_populate(node->pool_memory, node->pool_bytes < WARM_POOL_BYTES ? node->pool_bytes : WARM_POOL_BYTES);
  for (uint32_t i = 0; i < count; i++) {
    node->product[i].book = wb_book_init_in(&node->pool, (uint8_t *)node->books + i * one, &config->book);
    if (!node->product[i].book) return wb_error_set(error, WB_E_INVALID, 0, "node", "book configuration out of range");
    node->product[i].view = &node->views[i];
    if (config->line_count && count <= WARM_PRODUCTS) wb_book_warm(node->product[i].book, WARM_LEVELS);
  }
  int result = config->codec->init(node->codec_state, config->products);
  if (result != 0) return wb_error_set(error, result, 0, "node", "codec %s", config->codec->name);
  bool recording = node->replay && wb_source_replay_recording(node->replay);
  result = wb_node_level3_open(&node->level3, config, recording, node->codec_state, error);
  if (result != 0) return result;
  for (uint32_t i = 0; i < count; i++)
    wb_tape_init(&node->tapes[i], &config->tape, config->products->product[i].price_decimals,
                 config->products->product[i].size_decimals);
  bool live = config->line_count > 0;
  node->witness = config->witness ? *config->witness : wb_witness_default;
  if (config->line_count > config->connections) node->witness.policy[WB_ALARM_UNKNOWN] = WB_WITNESS_OFF;
  uint8_t *trades = &node->witness.policy[WB_ALARM_TRADES]; /* level 3: they are missing in holes that its sequence has shown */
  if (node->level3.on && *trades == WB_WITNESS_RESYNC) *trades = WB_WITNESS_COUNT;
  wb_book_stage_init(&node->book,
                     &(wb_book_stage_config){
                         .products = config->products,
                         .host = &node->host,
                         .codec = config->codec,
                         .commands = live ? &node->commands : NULL,
                         .crossed_ns = config->crossed_ms * 1000000,
                         .mid_window = config->mid_window,
                         .mid2 = node->mid2,
                         .book = node->book_of,
                         .depth = config->depth,
                         .timed = live,
                         .witness = &node->witness,
                         .observer = observer,
                         .arbiter = node->arbiter_memory ? &node->arbiter : NULL,
                         .level3 = node->level3.on ? &node->level3.books : NULL,
                         .tape = node->tapes,
                         .recover = node->level3.on ? &wb_node_level3_recover : NULL,
                     },
                     node->product, node->capture, node->capture_count, node->capture_view);
  if (node->layout == WB_LAYOUT_PIPELINED) node->book.messages = &node->messages;
  node->parse = (wb_parse_stage){
      .ring_count = node->ring_count,
      .reader = READER_PARSE,
      .codec = config->codec,
      .codec_state = node->codec_state,
      .part = config->part,
      .products = config->products,
      .host = &node->host,
      .observer = observer,
      .explain = explain,
      .explain_self = node,
      .messages = node->layout == WB_LAYOUT_PIPELINED ? &node->messages : NULL,
      .book = &node->book,
      .batch = node->batch,
      .redundant = node->arbiter_memory != NULL,
  };
  for (unsigned i = 0; i < node->ring_count; i++) node->parse.ring[i] = &node->frames[i];
  wb_parse_stage_init(&node->parse);
  return node->shm ? wb_shm_show(node->shm, error) : 0;
}

/* Before the books: the log says how many lines it is of. */
static int open_replay(wb_node *node, wb_error *error) {
  const wb_node_config *config = &node->config;
  if (config->line_count) return 0;
  node->part = (wb_log_window){config->from_utc_ns, config->to_utc_ns, config->products};
  node->replay = wb_source_replay_open(&(wb_source_replay_config){.path = config->path,
                                                                  .speed = config->speed,
                                                                  .frames = node->frames,
                                                                  .host = &node->host,
                                                                  .part = config->part ? &node->part : NULL,
                                                                  .codec = config->codec,
                                                                  .origins = config->origins},
                                       error);
  if (!node->replay) return WB_E_INVALID;
  if (!config->channels) node->level3.on = wb_source_replay_orders(node->replay);
  return 0;
}

static int open_source(wb_node *node, wb_error *error) {
  const wb_node_config *config = &node->config;
  if (!config->line_count) return 0;
  wb_source_ws_config source = {
      .line_count = config->line_count,
      .connections = config->connections,
      .ca_file = config->ca_file,
      .insecure = config->insecure,
      .once = config->once,
      .codec = config->codec,
      .products = config->products,
      .channels = config->channels,
      .login = config->login,
      .message_bytes_max = config->message_bytes_max,
      .deflate = config->deflate,
      .silence_ns = config->silence_ns,
      .spins = node->wait == WB_WAIT_SPIN,
      .notes = &node->frames[node->ring_count - 1],
      .asker = {node->level3.rest, wb_source_rest_ask, wb_source_rest_take},
      .commands = &node->commands,
      .host = &node->host,
  };
  for (unsigned i = 0; i < config->line_count; i++) {
    source.url[i] = config->url[i];
    source.frames[i] = &node->frames[i];
  }
  node->live = wb_source_ws_open(&source, error);
  return node->live ? 0 : WB_E_INVALID;
}

/* The JSON object of a segment's header: who recorded what. */
static void describe_log(const wb_node *node, char *text, size_t size) {
  const wb_node_config *config = &node->config;
  size_t n = (size_t)snprintf(text, size, "{\"wirebook\":\"" WB_VERSION "\",\"feed\":\"%s\",\"lines\":[", config->codec->name);
  for (unsigned i = 0; i < config->line_count; i++) /* a replay counts them: one that is too long is there without its name */
    n += (size_t)snprintf(text + n, size - n, "%s\"%s\"", i ? "," : "",
                          n + strlen(config->url[i]) + 256 < size ? config->url[i] : "");
  n += (size_t)snprintf(text + n, size - n, "],\"channels\":[");
  for (const char *const *channel = config->channels; channel && *channel && n + strlen(*channel) + 256 < size; channel++)
    n += (size_t)snprintf(text + n, size - n, "%s\"%s\"", channel == config->channels ? "" : ",", *channel);
  n += (size_t)snprintf(text + n, size - n, "],\"product_count\":%u,\"products\":[", config->products->count);
  /* As many ids as there is room for; the whole list is in the subscribe messages of the log. */
  for (uint32_t i = 0; i < config->products->count && n + WB_PRODUCT_ID_BYTES + 8 < size; i++)
    n += (size_t)snprintf(text + n, size - n, "%s\"%s\"", i ? "," : "", config->products->product[i].id);
  snprintf(text + n, size - n, "]}");
}

static int open_sink(wb_node *node, wb_error *error) {
  const wb_node_config *config = &node->config;
  if (!config->data_dir) return 0;
  node->flush_ring = wb_uring_open(64, 0, error);
  if (!node->flush_ring) return WB_E_SYSTEM;
  char info[3000];
  describe_log(node, info, sizeof info);
  wb_frames *rings[WB_PARSE_RINGS_MAX];
  for (unsigned i = 0; i < node->ring_count; i++) rings[i] = node->spill_frames ? &node->spill_frames[i] : &node->frames[i];
  node->sink = wb_sink_segment_open(&(wb_sink_segment_config){.dir = config->data_dir,
                                                              .feed = config->codec->name,
                                                              .info = info,
                                                              .rotate_bytes = config->rotate_bytes,
                                                              .rotate_ns = config->rotate_ns,
                                                              .sync = config->sync,
                                                              .sync_ns = config->sync_ns,
                                                              .line = rings,
                                                              .line_count = node->ring_count,
                                                              .reader = node->spill_frames ? 0 : READER_STORE,
                                                              .ring = node->flush_ring,
                                                              .host = &node->host},
                                    error);
  return node->sink ? 0 : WB_E_SYSTEM;
}

/* ------------------------------------------------------------------------------------------------ layout */

/* Which CPU each thread gets. Chosen lists are taken as they are; `auto` pins only to CPUs that are this process's own:
 * isolated, or left to it by an affinity mask narrower than the machine. A layout named explicitly pins in any case. */
static int place(wb_node *node, wb_error *error) {
  const wb_node_config *config = &node->config;
  unsigned needed = wb_node_layouts[node->layout].hot + (config->data_dir ? 1 : 0);
  for (unsigned i = 0; i < WB_NODE_THREADS_MAX; i++) node->thread[i].cpu = -1;
  if (config->cpu_count) {
    if (config->cpu_count < needed)
      return wb_error_set(error, WB_E_CONFIG, 0, "layout", "layout %s runs %u threads, but %u CPUs were named",
                          wb_node_layouts[node->layout].name, needed, config->cpu_count);
    for (unsigned i = 0; i < needed; i++) node->thread[i].cpu = config->cpu[i];
    if (spills(config)) node->thread[needed].cpu = node->thread[needed - 1].cpu;
    return 0;
  }
  wb_cpu_list allowed, isolated, online;
  if (wb_cpu_allowed(&allowed, error) != 0) return WB_E_SYSTEM;
  if (wb_cpu_isolated(&isolated, NULL) != 0) isolated.count = 0;
  if (wb_cpu_list_read("/sys/devices/system/cpu/online", &online, NULL) != 0) online.count = allowed.count;
  if (config->layout == WB_LAYOUT_AUTO && !isolated.count && allowed.count >= online.count) return 0;
  /* Hot threads from the last CPU downwards (interrupts tend to be served by the first), isolated ones first; the flusher
   * shares what is left. */
  unsigned hot = wb_node_layouts[node->layout].hot, placed = 0;
  for (unsigned pass = 0; pass < 2 && placed < hot; pass++)
    for (unsigned i = allowed.count; i-- > 0 && placed < hot;) {
      int cpu = allowed.cpu[i];
      if ((wb_cpu_list_has(&isolated, cpu) == 1) != (pass == 0)) continue;
      bool taken = false;
      for (unsigned j = 0; j < placed; j++) taken |= node->thread[j].cpu == cpu;
      if (!taken) node->thread[placed++].cpu = cpu;
    }
  if (placed < hot) /* fewer CPUs than hot threads: pinning would only set them against each other */
    for (unsigned i = 0; i < hot; i++) node->thread[i].cpu = -1;
  return 0;
}

static int open_archiver(wb_node *node, wb_error *error) {
  wb_archiver_config archive = node->config.archive;
  if (!node->sink || !(archive.level || archive.retain_ns || archive.retain_bytes || archive.command || archive.index))
    return 0;
  archive.dir = node->config.data_dir;
  archive.feed = node->config.codec->name;
  archive.host = &node->host;
  wb_node_hot_cpus(node, &archive.avoid);
  node->archiver = wb_archiver_open(&archive, error);
  return node->archiver ? 0 : WB_E_CONFIG;
}

static void wake_ingest(void *self) { wb_source_ws_wake(((wb_node *)self)->live); }

static int open_rest(wb_node *node, wb_error *error) {
  wb_source_rest_config rest = {
      .frames = &node->frames[node->config.line_count], .host = &node->host, .wake = wake_ingest, .self = node};
  wb_node_hot_cpus(node, &rest.avoid);
  return wb_node_level3_connect(&node->level3, &node->config, &rest, error);
}

static wb_wait wait_of(const wb_node *node) {
  switch (node->config.wait) {
  case WB_NODE_WAIT_SPIN: return WB_WAIT_SPIN;
  case WB_NODE_WAIT_YIELD: return WB_WAIT_YIELD;
  case WB_NODE_WAIT_BLOCK: return WB_WAIT_BLOCK;
  default:
    /* Spinning needs a CPU that nothing else wants: one for each hot thread, and two more for the rest of the machine. */
    return wb_cpu_usable_count() >= wb_node_layouts[node->layout].hot + 2 && node->thread[0].cpu >= 0 ? WB_WAIT_SPIN
                                                                                                      : WB_WAIT_BLOCK;
  }
}

static wb_agent source_agent(wb_node *node) {
  return node->live ? wb_source_ws_agent(node->live) : wb_source_replay_agent(node->replay);
}

static void open_threads(wb_node *node) {
  bool pipelined = node->layout == WB_LAYOUT_PIPELINED;
  wb_agent parse = {.name = "parse", .self = &node->parse, .do_work = wb_parse_stage_work};
  wb_agent book = {.name = "book", .self = &node->book, .do_work = wb_book_stage_work};
  wb_agent flush = {.name = "flush",
                    .self = node->sink,
                    .do_work = wb_sink_segment_do_work,
                    .idle = wb_sink_segment_idle,
                    .wake = wb_sink_segment_wake};
  wb_agent spill = {.name = "spill", .self = &node->spill, .do_work = wb_spill_stage_work};
  wb_agent source = source_agent(node);
  wb_loop_init(&node->all, "all", &node->loop_host, node->wait);
  wb_loop_add(&node->all, &source);
  wb_loop_add(&node->all, &parse);
  if (node->spill_frames) wb_loop_add(&node->all, &spill);
  if (node->sink) wb_loop_add(&node->all, &flush);

  wb_node_thread *thread = node->thread;
  wb_loop_init(&thread->loop, pipelined ? "ingest" : "hot", &node->loop_host, node->wait);
  wb_loop_add(&thread->loop, &source);
  if (pipelined) {
    thread++;
    wb_loop_init(&thread->loop, "parse", &node->loop_host, node->wait);
    wb_loop_add(&thread->loop, &parse);
    if (node->wait == WB_WAIT_BLOCK) wb_loop_feeds(&thread[-1].loop, &thread->loop);
    thread++;
    wb_loop_init(&thread->loop, "book", &node->loop_host, node->wait);
    wb_loop_add(&thread->loop, &book);
    if (node->wait == WB_WAIT_BLOCK) {
      wb_loop_feeds(&thread[-1].loop, &thread->loop);
      wb_loop_feeds(&thread->loop, &node->thread[0].loop); /* commands */
    }
  } else {
    wb_loop_add(&thread->loop, &parse);
  }
  node->book_thread = (unsigned)(thread - node->thread);
  if (node->spill_frames) { /* a thread of its own: the sink waits for the disk where a segment begins */
    thread++;
    wb_loop_init(&thread->loop, "spill", &node->loop_host, WB_WAIT_BLOCK);
    thread->loop.spin_ns = 0;
    wb_loop_add(&thread->loop, &spill);
    thread->spills = true;
  }
  if (node->sink) {
    thread++;
    wb_loop_init(&thread->loop, "flush", &node->loop_host, WB_WAIT_BLOCK);
    thread->loop.spin_ns = 0;
    wb_loop_add(&thread->loop, &flush);
    thread->flushes = true;
  }
  node->thread_count = (unsigned)(thread - node->thread) + 1;
  /* Who spins before it sleeps holds up whom it has just woken where the two must share a CPU. */
  if (pipelined && wb_cpu_usable_count() < wb_node_layouts[node->layout].hot)
    for (unsigned i = 0; i < node->thread_count; i++) node->thread[i].loop.spin_ns = 0;
  for (unsigned i = 0; i < node->thread_count; i++) node->thread[i].node = node;
}

static int level3_suits(const wb_node *node, wb_error *error) {
  if (!node->level3.on || (node->config.connections == 1 && !node->config.product_room)) return 0;
  return wb_error_set(error, WB_E_CONFIG, 0, "node",
                      "books of orders (full, level3) have one connection a line, and no products that come and go");
}

wb_node *wb_node_open(const wb_node_config *config, wb_error *error) {
  if (config->line_count > WB_LINE_COUNT_MAX) {
    wb_error_set(error, WB_E_LIMIT, 0, "node", "at most %d lines", WB_LINE_COUNT_MAX);
    return NULL;
  }
  wb_node *node = lines_alloc(sizeof *node);
  if (!node) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "node", "no memory");
    return NULL;
  }
  node->config = *config;
  uint32_t room = config->products->capacity - config->products->count;
  if (config->product_room < room) config->products->capacity -= room - config->product_room;
  if (!node->config.connections) node->config.connections = 1;
  if (config->line_count % node->config.connections) {
    wb_error_set(error, WB_E_INVALID, 0, "node", "%u lines are not %u connections each", config->line_count,
                 node->config.connections);
    free(node);
    return NULL;
  }
  if (!node->config.depth) node->config.depth = WB_DEPTH_DEFAULT;
  if (!node->config.mid_window) node->config.mid_window = WB_MID_WINDOW_DEFAULT;
  if (!node->config.imbalance_levels) node->config.imbalance_levels = WB_IMBALANCE_LEVELS_DEFAULT;
  if (!node->config.message_bytes_max) node->config.message_bytes_max = WB_MESSAGE_BYTES_DEFAULT;
  wb_host_make(&node->host, config->log);
  node->loop_host = (wb_loop_host){.now_ns = node->host.now_ns,
                                   .self = node->host.self,
                                   .yield = host_yield,
                                   .sleep = wb_futex_sleep,
                                   .wake = wb_futex_wake};
  /* Parse and book together cost less than one hand-over between CPUs (docs/adr), so auto fuses them. */
  node->layout = config->layout == WB_LAYOUT_AUTO ? WB_LAYOUT_FUSED : config->layout;
  node->started_ns = wb_clock_ns();
  node->started_utc_ns = wb_clock_utc_ns();
  int placed = place(node, error);
  node->wait = wait_of(node);
  if (placed != 0 || wb_node_level3_choose(&node->level3, config->codec, config->channels, error) != 0 ||
      level3_suits(node, error) != 0 || open_rings(node, error) != 0 || open_replay(node, error) != 0 ||
      open_spill(node, error) != 0 || open_books(node, error) != 0 ||
      (config->confine && wb_confine_enter(config->confine, error) != 0) || open_rest(node, error) != 0 ||
      open_source(node, error) != 0 || open_sink(node, error) != 0 || open_archiver(node, error) != 0) {
    wb_node_close(node);
    return NULL;
  }
  open_threads(node);
  return node;
}

/* ------------------------------------------------------------------------------------------------ life */

static void *thread_main(void *self) {
  wb_node_thread *thread = self;
  wb_node *node = thread->node;
  char name[16];
  snprintf(name, sizeof name, "wb-%s", thread->loop.name);
  wb_cpu_name(pthread_self(), name);
  wb_loop_run(&thread->loop);
  if (thread == node->thread && node->live) wb_source_ws_thread_end(node->live);
  if (thread->spills) wb_spill_stage_finish(&node->spill);
  if (thread->flushes) {
    /* Whoever stopped the loop may still be about to wake the sink, which is freed below. */
    while (!__atomic_load_n(&thread->released, __ATOMIC_ACQUIRE)) wb_futex_sleep(&thread->released, 0, UINT64_C(1000000000));
    node->sink_result = wb_sink_segment_close(node->sink, CLOSE_TIMEOUT_NS, &node->sink_status, &node->sink_error);
    node->sink = NULL;
  }
  return NULL;
}

static void thread_join(wb_node_thread *thread) {
  if (!thread->running) return;
  wb_loop_stop(&thread->loop);
  __atomic_store_n(&thread->released, 1, __ATOMIC_RELEASE);
  wb_futex_wake(&thread->released);
  pthread_join(thread->thread, NULL);
  thread->running = false;
}

int wb_node_start(wb_node *node, wb_error *error) {
  node->started = true;
  for (unsigned i = node->thread_count; i-- > 0;) { /* readers before writers */
    wb_node_thread *thread = &node->thread[i];
    int failed = pthread_create(&thread->thread, NULL, thread_main, thread);
    if (failed) return wb_error_set(error, WB_E_SYSTEM, failed, "thread", "cannot start a thread: %s", strerror(failed));
    thread->running = true;
    if (thread->cpu >= 0 && wb_cpu_pin(thread->thread, thread->cpu, error) != 0) return WB_E_SYSTEM;
  }
  if (node->archiver && wb_archiver_start(node->archiver, error) != 0) return WB_E_SYSTEM;
  if (node->level3.rest && wb_source_rest_start(node->level3.rest, error) != 0) return WB_E_SYSTEM;
  return node->config.confine ? wb_confine_seal(node->config.confine, error) : 0;
}

int wb_node_poll(wb_node *node) {
  if (node->layout != WB_LAYOUT_FUSED) return WB_E_STATE;
  if (node->level3.rest && !node->level3.asks && wb_source_rest_start(node->level3.rest, NULL) != 0) return WB_E_SYSTEM;
  node->level3.asks = true;
  return wb_loop_turn(&node->all);
}

int64_t wb_node_replay_until(wb_node *node, int64_t utc_ns) { return wb_source_replay_until(node->replay, utc_ns); }

int wb_node_archive(wb_node *node) {
  if (node->started) return WB_E_STATE;
  return node->archiver ? wb_archiver_do_work(node->archiver) : 0;
}

void wb_node_stop(wb_node *node) {
  if (node->live) wb_source_ws_stop(node->live);
  else wb_source_replay_stop(node->replay);
}

static bool settled(const wb_node *node) {
  uint64_t taken = node->live ? wb_source_ws_taken(node->live) : wb_source_replay_taken(node->replay);
  if (wb_load_acquire(&node->parse.frames) != taken) return false;
  return node->layout != WB_LAYOUT_PIPELINED || wb_load_acquire(&node->messages.tail) == wb_load_acquire(&node->messages.head);
}

bool wb_node_ended(wb_node *node, wb_error *error) {
  bool ended = node->live ? wb_source_ws_ended(node->live, error) : wb_source_replay_ended(node->replay, error);
  return ended && settled(node);
}

int wb_node_finish(wb_node *node, wb_error *error) {
  if (node->finished) return 0;
  node->finished = true;
  wb_source_rest_stop(node->level3.rest);
  /* Ingest, parse, book, spill, flush: each stage ends after the one that feeds it. */
  for (unsigned i = 0; i < node->thread_count; i++) {
    thread_join(&node->thread[i]);
  }
  if (node->sink && node->spill_frames) wb_spill_stage_finish(&node->spill);
  if (node->sink)
    node->sink_result = wb_sink_segment_close(node->sink, CLOSE_TIMEOUT_NS, &node->sink_status, &node->sink_error);
  node->sink = NULL;
  if (node->archiver) wb_archiver_stop(node->archiver, ARCHIVE_TIMEOUT_NS);
  node->finished_ns = wb_clock_ns();
  if (node->sink_result != 0 && error) *error = node->sink_error;
  return node->sink_result;
}

void wb_node_close(wb_node *node) {
  if (!node) return;
  if (node->started || node->sink) wb_node_finish(node, NULL);
  wb_archiver_close(node->archiver);
  wb_node_level3_close(&node->level3);
  wb_source_ws_close(node->live);
  wb_source_replay_close(node->replay);
  wb_uring_close(node->flush_ring);
  for (unsigned i = 0; i < node->ring_count; i++) {
    if (node->journal[i]) wb_mirror_close(node->journal[i], node->journal_bytes[i]);
    if (node->descriptors[i]) wb_arena_close(node->descriptors[i], frame_count(node, i) * sizeof(wb_frame));
  }
  for (unsigned i = 0; i < node->ring_count; i++) {
    if (node->spill_journal[i]) wb_mirror_close(node->spill_journal[i], node->spill_bytes[i]);
    if (node->spill_descriptors[i])
      wb_arena_close(node->spill_descriptors[i], spill_frame_count(node->spill_bytes[i]) * sizeof(wb_frame));
  }
  if (node->commands_memory) wb_mirror_close(node->commands_memory, COMMANDS_BYTES);
  if (node->messages_memory) wb_mirror_close(node->messages_memory, MESSAGES_BYTES);
  if (node->whole.level) wb_arena_close(node->whole.level, 2 * (size_t)node->whole.room * sizeof *node->whole.level);
  wb_shm_close(node->shm); /* reads the books once more */
  if (node->books) wb_arena_close(node->books, node->books_bytes);
  if (node->pool_memory) wb_arena_close(node->pool_memory, node->pool_bytes);
  free(node->frames);
  free(node->spill_frames);
  if (!node->shm) free(node->views);
  free(node->product);
  free(node->mid2);
  free(node->book_of);
  free(node->capture);
  free(node->capture_count);
  free(node->capture_view);
  free(node->codec_state);
  free(node->batch);
  free(node->arbiter_memory);
  free(node->tapes);
  free(node);
}

/* ------------------------------------------------------------------------------------------------ products that come and go */

int wb_node_product_add(wb_node *node, const char *id, size_t bytes, const wb_product *like) {
  wb_products *products = node->config.products;
  if (!node->live) return WB_E_STATE;
  if (node->config.codec->separator != '/' && memchr(id, '/', bytes)) return WB_E_SYNTAX;
  int known = wb_products_find(products, id, bytes);
  if (known >= 0 && !wb_product_removed(&products->product[known])) return 0;
  wb_product own = *like;
  own.part = wb_deal_next(products, node->config.connections);
  int index = wb_products_add_as(products, id, bytes, &own);
  if (index < 0) return index;
  wb_loop_wake(&node->thread[0].loop);
  return 1;
}

int wb_node_product_remove(wb_node *node, const char *id, size_t bytes) {
  wb_products *products = node->config.products;
  if (!node->live) return WB_E_STATE;
  int index = wb_products_find(products, id, bytes);
  if (index < 0) return WB_E_INVALID;
  if (wb_product_removed(&products->product[index])) return 0;
  wb_products_remove(products, (uint32_t)index);
  wb_loop_wake(&node->thread[0].loop);
  return 1;
}
