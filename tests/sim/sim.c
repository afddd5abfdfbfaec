#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/store/segment.h"
#include "io/log_reader.h"
#include "io/sink_segment.h"
#include "io/source_ws.h"
#include "tests/sim/sim.h"

enum { LIVES_MAX = 3, ARENA_BYTES = 16 << 20, TURNS_MAX = 40000 };
#define RECOVERY_NS (150 * SIM_S)
#define QUIET_NS (8 * SIM_S) /* as long as a wrong best level takes to be found, and to be mended */

sim_world sim;
sim_life sim_lives[LIVES_MAX];

static uint32_t messages = 150;
static char folder[64];
int __real_unlink(const char *path);

/* ------------------------------------------------------------------------------------------------ dice, memory, words */

/* SplitMix64, Steele, Lea and Flood 2014. */
static uint64_t dice(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t sim_draw(uint64_t below) { return below > 1 ? dice(&sim.random) % below : 0; }
bool sim_chance(uint32_t one_in) { return sim_draw(one_in) == 0; }

bool sim_fault(sim_fault_kind kind) {
  if (!sim.faults_on || !sim.one_in[kind] || !sim_chance(sim.one_in[kind])) return false;
  sim.fault[kind]++;
  return true;
}

void sim_mix(const void *bytes, size_t count) {
  const uint8_t *at = bytes;
  for (size_t i = 0; i < count; i++) sim.hash = (sim.hash ^ at[i]) * UINT64_C(0x100000001b3);
}

static struct arena {
  struct arena *next;
  size_t used, bytes;
} * arena, *arena_first;

void *sim_alloc(size_t bytes) {
  bytes = (bytes + 127) & ~(size_t)127;
  while (!arena || arena->bytes - arena->used < bytes) {
    if (arena && arena->next) {
      arena = arena->next;
      arena->used = 128;
      continue;
    }
    size_t size = bytes + 128 > ARENA_BYTES ? bytes + 128 : ARENA_BYTES;
    struct arena *more = aligned_alloc(128, size);
    if (!more) abort();
    *more = (struct arena){.used = 128, .bytes = size};
    if (arena) arena->next = more;
    else arena_first = more;
    arena = more;
  }
  void *memory = (uint8_t *)arena + arena->used;
  arena->used += bytes;
  return memset(memory, 0, bytes);
}

void *sim_grow(void *array, size_t used, size_t *room, size_t element) {
  if (used < *room && element > 1) return array;
  *room = *room ? 2 * *room : element > 1 ? 16 : 4096;
  void *larger = sim_alloc(*room * element);
  if (used) memcpy(larger, array, used * element);
  return larger;
}

static void folder_empty(bool remove_it) {
  DIR *open = opendir(folder);
  if (!open) return;
  for (struct dirent *entry; (entry = readdir(open));) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (entry->d_name[0] != '.') __real_unlink(path);
  }
  closedir(open);
  if (remove_it) rmdir(folder);
}

void sim_say(const char *format, ...) {
  printf("%12.6f ", (double)sim.now_ns / 1e9);
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  putchar('\n');
}

static const char *const canaries[] = {
#define X(name, text) text,
    SIM_CANARY_LIST(X)
#undef X
};

void sim_fail(const char *property, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (sim.canary && sim.planted) {
    printf("canary %s caught by seed %" PRIu64 ": %s: %s\n", canaries[sim.canary], sim.seed, property, text);
    folder_empty(true);
    fflush(stdout);
    _exit(0);
  }
  printf("FAILED seed %" PRIu64 ": %s: %s\n  life %u, turn %" PRIu64 ", %.6f s; the log, if one was read: %s\n"
         "  again: sim --seed %" PRIu64 " --messages %u --verbose\n",
         sim.seed, property, text, sim.life, sim.turn, (double)sim.now_ns / 1e9, folder, sim.seed, messages);
  fflush(stdout);
  _exit(1);
}

/* ------------------------------------------------------------------------------------------------ the plan of a seed */

static void plan(uint64_t seed) {
  static const uint32_t rates[] = {
#define X(name, text, one_in) one_in,
      SIM_FAULT_LIST(X)
#undef X
  };
  static const uint64_t intervals[] = {SIM_MS, 8 * SIM_MS, 50 * SIM_MS}, latencies[] = {SIM_MS / 20, 2 * SIM_MS, 40 * SIM_MS};
  sim.seed = seed;
  sim.random = seed * UINT64_C(0xd1342543de82ef95) + 1;
  sim.now_ns = SIM_S + sim_draw(SIM_S);
  sim.utc_offset_ns = INT64_C(1790000000) * (int64_t)SIM_S + (int64_t)sim_draw(7200 * SIM_S);
  sim.turn = 0;
  arena = arena_first;
  if (arena) arena->used = 128;

  bool deep = sim_chance(25);
  sim_config *c = &sim.config;
  *c = (sim_config){
      .products = deep ? SIM_PRODUCTS_MAX : 1 + (unsigned)sim_draw(SIM_PRODUCTS_MAX - 1),
      .lives = 1 + (unsigned)sim_draw(LIVES_MAX),
      .interval_ns = intervals[sim_draw(3)],
      .latency_ns = latencies[sim_draw(3)],
      .journal_bytes = deep ? 1 << 20 : 65536u << sim_draw(3),
      .frame_count = 64u << sim_draw(6),
      .message_bytes_max = deep ? 400000 : 16384,
      .level_count_max = SIM_LEVELS_MAX,
      .window_ticks = sim_chance(2) ? 1024 : 4096,
      .crossed_ns = 100 * SIM_MS + sim_draw(2 * SIM_S),
      .rotate_bytes = 12288u << sim_draw(8),
      .sync = (unsigned)sim_draw(3),
      .sync_ns = 50 * SIM_MS + sim_draw(SIM_S),
      .linger_ns = sim_chance(2) ? WB_SINK_LINGER_NEVER : 5 * SIM_MS,
      .chunk_bytes = 4096u << sim_draw(6),
      .direct_bytes = sim_chance(2) ? WB_SINK_DIRECT_NEVER : 512u << sim_draw(6),
      .writes = 1 + (unsigned)sim_draw(6),
      .drive = (unsigned)sim_draw(3),
      .spins = sim_chance(2),
  };
  c->turn_bytes = sim_chance(2) ? 16384 : 0;
  c->spill_bytes = sim_chance(2) ? c->journal_bytes << sim_draw(2) : 0;
  bool clean = sim_chance(12);
  uint32_t share = 2 + (uint32_t)sim_draw(5);
  for (unsigned i = 0; i < SIM_FAULT_COUNT; i++) {
    bool has = sim_chance(share);
    uint32_t rate = rates[i] < 4 ? rates[i] : rates[i] / 2 + (uint32_t)sim_draw(rates[i] + 1);
    sim.one_in[i] = clean || !has ? 0 : rate;
  }
  c->lines = sim_chance(3) ? SIM_LINES_MAX : 1;
  if (c->lines == 1) return;
  c->batches = sim_chance(3);
  c->alike = !sim_chance(4);
  /* What nobody can see, on two lines as on one. */
  sim.one_in[SIM_LOSS] = sim.one_in[SIM_REORDER] = sim.one_in[SIM_DUPLICATE] = sim.one_in[SIM_EARLY] = 0;
}

sim_conn *sim_conn_of(unsigned line) {
  for (size_t i = sim.conns; i-- > 0;)
    if (sim.conn[i]->connected && sim.conn[i]->line == line) return sim.conn[i];
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ the log of a life */

typedef struct reading {
  sim_life *life;
  const uint8_t *node;
  uint8_t *promised;
  uint64_t missing_noted, named; /* named: in gap records */
  bool damaged, may_be_damaged, lead;
} reading;

static void take_note(void *self, const wb_log_note *note) {
  reading *r = self;
  const wb_log_segment *segment = note->segment;
  if (note->kind == WB_LOG_NOTE_DAMAGE) r->damaged |= segment->readable && memcmp(segment->node, r->node, 16) == 0;
  else if (segment && memcmp(segment->node, r->node, 16) == 0) r->missing_noted += note->last - note->first + 1;
}

static void promise(void *self, const uint8_t *bytes, size_t count) {
  reading *r = self;
  wb_segment_cursor cursor;
  wb_segment_info info;
  wb_chunk chunk;
  const uint8_t *frame, *data;
  if (wb_segment_open(&cursor, bytes, count, &info) || memcmp(info.node, r->node, 16)) return;
  while (wb_segment_next(&cursor, true, &chunk, &frame, &data) == 1)
    for (uint32_t i = 0; i < chunk.frame_count; i++) {
      wb_frame one;
      memcpy(&one, frame + i * sizeof one, sizeof one);
      if (one.number < r->life->records) r->promised[one.number] |= 2;
    }
}

static const sim_print *print_at(const sim_life *life, uint64_t number, size_t *hint) {
  while (*hint < life->prints && life->print[*hint].number < number) ++*hint;
  return *hint < life->prints && life->print[*hint].number == number ? &life->print[*hint] : NULL;
}

/* Behind a gap, a book that is live again holds what it should; all else is what came of another past. */
static void compare_behind_gap(const sim_print *live, const sim_print *again) {
  for (unsigned i = 0; i < sim.config.products; i++)
    if (live->live[i] && again->live[i] && live->content[i] != again->content[i])
      sim_fail("replay", "behind a gap the book of %s is live and not that of the live run at record %" PRIu64,
               sim_product_id(i), live->number);
}

static void compare_print(const sim_life *life, const sim_print *live, const sim_print *again) {
  bool any = false;
  for (unsigned i = 0; i < sim.config.products; i++) {
    bool diverged = life->diverged[i] <= live->number;
    any |= diverged;
    if ((!diverged || (live->live[i] && sim.config.lines == 1)) && live->product[i] != again->product[i])
      sim_fail("replay", "the book of %s in a replay is not that of the live run at record %" PRIu64, sim_product_id(i),
               live->number);
    if (!diverged && live->counts[i] != again->counts[i])
      sim_fail("replay", "the counts of %s in a replay are not those of the live run at record %" PRIu64, sim_product_id(i),
               live->number);
  }
  if (!any && live->stage != again->stage)
    sim_fail("replay", "the counts of a replay are not those of the live run at record %" PRIu64, live->number);
}

static void replay_one(sim_engine *e, const wb_log_record *record) {
  wb_frame frame = record->frame;
  if (wb_frames_room(&e->ring[0], frame.bytes) < frame.bytes || !wb_frames_slots(&e->ring[0], 1))
    sim_fail("replay", "record %" PRIu64 " does not fit", frame.number);
  memcpy(wb_frames_head(&e->ring[0]), record->bytes, frame.bytes);
  frame.position = e->ring[0].head;
  wb_frames_advance(&e->ring[0], frame.bytes);
  wb_frames_push(&e->ring[0], &frame);
  wb_frames_publish(&e->ring[0]);
  sim_engine_step(e, NULL);
}

/* A gap record of the log, not one of the witnesses', against what was dropped: the last number that it speaks for. False if it is none. */
static bool gap_of(const sim_life *life, const wb_log_record *record, uint64_t *last) {
  wb_gap gap;
  *last = record->frame.number;
  if (record->frame.kind != WB_FRAME_GAP || !wb_gap_read(&record->frame, record->bytes, &gap)) return false;
  uint64_t bytes = 0;
  for (uint64_t i = gap.first; i <= gap.last && i < life->records; i++) bytes += life->record[i].frame.bytes;
  const sim_spilled *notes = life->spilled[sim.config.lines];
  for (size_t i = 0; i < life->spills[sim.config.lines]; i++)
    if (notes[i].number == gap.first && notes[i].last == gap.last && gap.bytes == bytes) return *last = gap.last, true;
  sim_fail("log", "a gap record names %" PRIu64 " to %" PRIu64 ", which is not what was dropped", gap.first, gap.last);
}

/* Reads back what the disk holds of this life, each record against what was received, and replays it from the first on. */
static void check_log(reading *r) {
  sim_life *life = r->life;
  const char *path = folder;
  folder_empty(false);
  sim_disk_store(folder);
  wb_error error;
  wb_log_reader *log = wb_log_reader_open(
      &(wb_log_reader_config){.path = &path, .path_count = 1, .verify = true, .self = r, .note = take_note}, &error);
  if (!log) sim_fail("log", "%s", error.detail);
  sim_engine *again = sim_engine_open(false);
  wb_log_record record;
  uint64_t next = 0, seen = 0, compared = 0;
  size_t hint = 0;
  bool whole = true, gapped = false;
  while (wb_log_reader_next(log, &record) == 1) {
    if (memcmp(record.segment->node, r->node, 16)) continue;
    uint64_t number = record.frame.number;
    if (number < next) sim_fail("log", "record %" PRIu64 " comes twice", number);
    if (number >= life->records) sim_fail("log", "record %" PRIu64 " never was", number);
    uint64_t last;
    bool gap = gap_of(life, &record, &last);
    if (!gap) {
      wb_frame was = life->record[number].frame, is = record.frame;
      was.position = is.position;
      if (memcmp(&was, &is, sizeof is) || memcmp(life->record[number].bytes, record.bytes, is.bytes))
        sim_fail("log", "record %" PRIu64 " of the log is not what was received", number);
    }
    for (; next < number; next++) {
      whole = false;
      if (r->promised[next] == 3) sim_fail("log", "record %" PRIu64 " was promised and is not there", next);
    }
    next = last + 1;
    seen++;
    r->named += last - number;
    sim.gaps += gap;
    if (!whole) continue;
    replay_one(again, &record);
    if (gap) {
      gapped = true;
      again->parse.next_number = next;
      for (unsigned i = 0; i < sim.config.products; i++)
        if (again->product[i].recover.state == WB_STATE_LIVE) sim_fail("replay", "a book is live behind a gap");
    }
    const sim_print *live = print_at(life, next, &hint);
    if (!live) continue;
    sim_print print = sim_print_of(again, next);
    if (!gapped) compare_print(life, live, &print);
    else if (sim.config.lines == 1)
      compare_behind_gap(live, &print); /* of several, the live run had what another line brought */
    compared++;
  }
  for (uint64_t i = next; i < life->records; i++)
    if (r->promised[i] == 3) sim_fail("log", "record %" PRIu64 " was promised and is not there", i);
  const wb_log_segment *segment = NULL;
  for (size_t i = 0; (segment = wb_log_reader_segment(log, i)); i++)
    if (segment->readable && memcmp(segment->node, r->node, 16) == 0) {
      r->lead = segment->segment != 0;
      break;
    }
  if (segment && !r->lead && r->missing_noted != next - seen - r->named)
    sim_fail("log", "%" PRIu64 " records are missing, the reader says %" PRIu64, next - seen - r->named, r->missing_noted);
  bool damage = r->damaged && !r->may_be_damaged;
  if (life->clean && (damage || seen + r->named != life->records))
    sim_fail("log", "%" PRIu64 " of %zu records were stored, %" PRIu64 " are named%s", seen, life->records, r->named,
             damage ? ", and there is damage" : "");
  if (life->clean && !compared) sim_fail("replay", "nothing was compared");
  sim_mix(&seen, sizeof seen);
  sim_mix(&compared, sizeof compared);
  wb_log_reader_close(log);
  sim_engine_close(again);
}

/* ------------------------------------------------------------------------------------------------ a life */

typedef struct rig {
  sim_engine *engine;
  sim_life *life;
  wb_source_ws *source;
  wb_agent ingest;
  wb_sink_segment *sink;
  wb_frames *line[SIM_LINES_MAX + 1]; /* what the sink reads: the lines and behind them the notes, or their spill */
  unsigned reader;
  uint8_t node[16];
  uint64_t parser_back_ns, flusher_back_ns;
  uint64_t disk_back_ns, disk_back_dropped; /* the disk takes nothing until then, or until so many records were dropped */
  bool restful;                             /* nothing but time passes: larger steps */
} rig;

static void rig_open(rig *r, unsigned index) {
  static const char *const channels[] = {"level2_batch", "heartbeat", "ticker", "matches", NULL};
  sim_life *life = &sim_lives[index];
  *life = (sim_life){0};
  *r = (rig){.life = life};
  sim.life = index;
  sim.planted = false;
  sim_wire_reset();
  r->engine = sim_engine_open(true);
  sim_model_reset(r->engine, life);
  const unsigned lines = sim.config.lines;
  bool spills = sim.config.spill_bytes;
  r->reader = !spills;
  for (unsigned i = 0; i <= lines; i++) r->line[i] = spills ? &r->engine->spilled[i] : &r->engine->ring[i];
  wb_error error;
  r->source = wb_source_ws_open(&(wb_source_ws_config){.url = {"ws://127.0.0.1:9", "ws://127.0.0.1:9"},
                                                       .line_count = lines,
                                                       .spins = sim.config.spins,
                                                       .codec = wb_codec_find("coinbase-exchange"),
                                                       .products = &r->engine->products,
                                                       .channels = channels,
                                                       .message_bytes_max = sim.config.message_bytes_max,
                                                       .frames = {&r->engine->ring[0], &r->engine->ring[1]},
                                                       .notes = &r->engine->ring[lines],
                                                       .commands = &r->engine->commands,
                                                       .host = &r->engine->host,
                                                       .backoff_max_ns = (1 + sim_draw(10)) * SIM_S},
                                &error);
  if (!r->source) sim_fail("simulator", "%s", error.detail);
  r->ingest = wb_source_ws_agent(r->source);
  r->node[0] = (uint8_t)(index + 1);
  memcpy(r->node + 8, &sim.seed, sizeof sim.seed);
  wb_sink_segment_config config = {.dir = SIM_DIR,
                                   .feed = "feed",
                                   .info = "{}",
                                   .rotate_bytes = sim.config.rotate_bytes,
                                   .sync = (wb_sync)sim.config.sync,
                                   .sync_ns = sim.config.sync_ns,
                                   .linger_ns = sim.config.linger_ns,
                                   .chunk_bytes = sim.config.chunk_bytes,
                                   .direct_bytes = sim.config.direct_bytes,
                                   .writes = sim.config.writes,
                                   .line = r->line,
                                   .line_count = lines + 1,
                                   .reader = r->reader,
                                   .ring = wb_uring_open(256, 0, &error),
                                   .host = &r->engine->host};
  memcpy(config.node, r->node, sizeof config.node);
  r->sink = wb_sink_segment_open(&config, &error);
  if (!r->sink) sim_fail("simulator", "%s", error.detail);
  sim.lives++;
}

static void between(sim_engine *engine, uint64_t number) { sim_model_check(number, false); }

static void parse(rig *r) {
  if (sim.now_ns < r->parser_back_ns) return;
  uint64_t number = sim_engine_step(r->engine, between);
  sim_model_check(number, true);
}

static void plant(rig *r) {
  size_t count;
  if (sim.canary == SIM_CANARY_RECORD && !sim.planted && wb_frames_peek(r->line[0], r->reader, 0, 1, &count)) {
    wb_frames_release(r->line[0], r->reader, 1);
    sim.planted = true;
  } else if (sim.canary == SIM_CANARY_GAP && r->engine->spill.dropping && r->engine->spill.gap.frames > 1 && !sim.planted) {
    r->engine->spill.gap.last--;
    r->engine->spill.gap.frames--;
    sim.planted = true;
  } else if (sim.canary == SIM_CANARY_COMMAND && wb_ring_peek(&r->engine->commands, &count)) {
    wb_ring_release(&r->engine->commands, count);
    sim.planted = true;
  } else if (sim.canary == SIM_CANARY_STORM) {
    wb_command *command = wb_ring_claim(&r->engine->commands, sizeof *command);
    if (!command) return;
    *command =
        (wb_command){.kind = WB_COMMAND_RESUBSCRIBE, .connection = (uint16_t)sim.line_connects[0], .reason = WB_REASON_CROSSED};
    wb_ring_commit(&r->engine->commands);
    sim.planted = true;
  }
}

static void ingest(rig *r) {
  if (sim.canary) plant(r);
  for (unsigned n = 0; n < 8 && r->ingest.do_work(r->ingest.self); n++) {
  }
  sim_model_collect();
  if (sim.lost_log) sim_fail("log", "the node says that it lost a record");
}

/* Notes what came into the spill rings. */
static void note_spilled(rig *r) {
  sim_life *life = r->life;
  for (unsigned i = 0; i <= sim.config.lines; i++) {
    wb_frames *ring = &r->engine->spilled[i];
    for (uint64_t at = life->spills[i]; at < ring->published; at++) {
      const wb_frame *frame = &ring->frame[at & ring->frame_mask];
      wb_gap gap = {.last = frame->number};
      bool alarm = life->record[frame->number].frame.kind == WB_FRAME_GAP;
      if (frame->kind == WB_FRAME_GAP && !wb_gap_read(frame, wb_frames_at(ring, frame->position), &gap) && !alarm)
        sim_fail("log", "a gap record that nobody can read");
      life->spilled[i] = sim_grow(life->spilled[i], life->spills[i], &life->spills_room[i], sizeof **life->spilled);
      life->spilled[i][life->spills[i]++] = (sim_spilled){frame->number, gap.last};
    }
  }
}

static void spill(rig *r) {
  if (!sim.config.spill_bytes) return;
  do wb_spill_stage_work(&r->engine->spill);
  while (sim_chance(2));
  note_spilled(r);
}

static void flush(rig *r) {
  if (sim.canary) plant(r);
  if (sim.now_ns < r->disk_back_ns && r->engine->spill.dropped_frames < r->disk_back_dropped) return;
  if (sim.now_ns >= r->flusher_back_ns) wb_sink_segment_do_work(r->sink);
}

static void pass_time(rig *r) {
  uint64_t most;
  switch (sim_draw(10)) {
  case 0: most = 200000; break;
  case 1: most = 50 * SIM_MS; break;
  case 2:
  case 3: most = 5 * SIM_MS; break;
  default: most = 2 * sim.config.interval_ns;
  }
  bool online = false;
  for (unsigned line = 0; line < sim.config.lines; line++) online |= sim_conn_of(line) && !sim_conn_of(line)->closed;
  if (r->restful || !online) most = 100 * SIM_MS;
  uint64_t by = 1 + sim_draw(most);
  if (sim_fault(SIM_PAUSE)) by += sim_draw(sim_chance(5) ? 20 * SIM_S : 2 * SIM_S);
  if (sim_fault(SIM_SLOW_PARSER)) r->parser_back_ns = sim.now_ns + sim_draw(3 * SIM_S);
  if (sim_fault(SIM_SLOW_FLUSHER)) r->flusher_back_ns = sim.now_ns + sim_draw(5 * SIM_S);
  if (sim.config.spill_bytes && sim_fault(SIM_DISK_HALT)) {
    r->disk_back_ns = sim.now_ns + 300 * SIM_S;
    r->disk_back_dropped = r->engine->spill.dropped_frames + 1 + sim_draw(100);
  }
  if (sim_fault(SIM_CLOCK_STEP)) {
    int64_t most_s = sim_chance(2) ? 5 : 7200;
    sim.utc_offset_ns += ((int64_t)sim_draw((uint64_t)(2 * most_s)) - most_s) * (int64_t)SIM_S;
  }
  sim.now_ns += by;
  sim.simulated_ns += by;
}

static void turn(rig *r) {
  static void (*const stages[])(rig *) = {ingest, parse, flush, spill};
  sim.turn++;
  sim.turns++;
  pass_time(r);
  sim_exchange_pump();
  unsigned first = (unsigned)sim_draw(4), step = sim_chance(2) ? 1 : 3;
  for (unsigned i = 0; i < 4; i++) stages[(first + i * step) % 4](r);
}

/* What the end of a life leaves behind is compared with what was received in it. */
static void check_life(rig *r, reading *log) {
  check_log(log);
  sim_mix(&sim.now_ns, sizeof sim.now_ns);
  sim_engine_close(r->engine);
}

static reading promises(rig *r, bool machine) {
  sim_life *life = r->life;
  reading log = {.life = life, .node = r->node, .promised = sim_alloc(life->records + 1)};
  uint64_t at[SIM_LINES_MAX + 1] = {0}, durable = 0;
  uint8_t safe = !machine || sim.config.sync == WB_SYNC_BATCH ? 2 : 0;
  if (machine) sim_disk_durable(promise, &log);
  for (size_t i = 0; i < life->records; i++) durable += log.promised[i] != 0;
  for (size_t i = 0; i < life->records && !sim.config.spill_bytes; i++) {
    unsigned ring = life->record[i].ring;
    log.promised[i] |= safe | (at[ring]++ < r->line[ring]->reader[1].released);
  }
  for (unsigned ring = 0; ring <= sim.config.lines && sim.config.spill_bytes; ring++)
    for (size_t i = 0; i < life->spills[ring]; i++)
      log.promised[life->spilled[ring][i].number] |= safe | (i < r->line[ring]->reader[0].released);
  wb_sink_segment_status status;
  wb_sink_segment_status_read(r->sink, &status);
  if (machine && durable < status.frames_synced)
    sim_fail("log", "%" PRIu64 " records were said to be synced, %" PRIu64 " are", status.frames_synced, durable);
  return log;
}

static void end_abruptly(rig *r, bool machine) {
  sim.fault[machine ? SIM_CRASHED : SIM_KILLED]++;
  reading log = promises(r, machine);
  sim_disk_alive(false);
  wb_sink_segment_close(r->sink, 0, NULL, NULL);
  wb_source_ws_close(r->source);
  sim_disk_crash(machine);
  sim_disk_alive(true);
  check_life(r, &log);
}

/* Everything that was sent has been taken, on each line. */
static bool all_taken(void) {
  for (unsigned line = 0; line < sim.config.lines; line++) {
    const sim_conn *conn = sim_conn_of(line);
    if (!conn || conn->covered != conn->down_bytes) return false;
  }
  return true;
}

/* The exchange's books stand still, as long as QUIET_NS without a delivery that hangs. */
static void be_quiet(rig *r) {
  sim.quiet = true;
  for (uint64_t even_ns = sim.now_ns, until_ns = sim.now_ns + QUIET_NS; sim.now_ns < until_ns;) {
    turn(r);
    if (sim.now_ns - even_ns > SIM_S) until_ns = sim.now_ns + QUIET_NS;
    if (all_taken() || sim.now_ns - even_ns > SIM_S) even_ns = sim.now_ns;
  }
  sim.quiet = false;
}

static void recover(rig *r) {
  uint64_t begun_ns = sim.now_ns;
  unsigned connects = sim.connects;
  sim.faults_on = false;
  sim_exchange_heal();
  r->parser_back_ns = r->flusher_back_ns = r->disk_back_ns = 0;
  for (;;) {
    r->restful = false;
    uint64_t good_ns = 0;
    for (unsigned turns = 0; turns < 64 || sim.now_ns - good_ns < SIM_S; turns++) {
      turn(r);
      if (!sim_engine_all_live(r->engine) || !good_ns) good_ns = sim.now_ns;
      r->restful = turns > 200;
      if (sim.now_ns - begun_ns > RECOVERY_NS) {
        for (unsigned i = 0; i < sim.config.products; i++)
          for (unsigned line = 0; line < sim.config.lines; line++) {
            const wb_recover *recover = sim_engine_recover(r->engine, i, line);
            if (recover->state != WB_STATE_LIVE)
              sim_fail("recovery", "%s is still %s (%s) on line %c %u s after the last fault", sim_product_id(i),
                       wb_state_name((wb_state)recover->state), wb_reason_text((wb_reason)recover->reason), 'A' + (int)line,
                       (unsigned)(RECOVERY_NS / SIM_S));
          }
        sim_fail("recovery", "the books do not stay live");
      }
    }
    be_quiet(r);
    if (sim_engine_all_live(r->engine) && all_taken()) break;
  }
  sim_model_equal_truth();
  if (sim.connects - connects > 6 * sim.config.lines)
    sim_fail("rate", "%u connects after the last fault", sim.connects - connects);
}

static void end_cleanly(rig *r) {
  recover(r);
  wb_source_ws_stop(r->source);
  sim.quiet = true;
  for (uint64_t until_ns = sim.now_ns + 20 * SIM_S; !wb_source_ws_ended(r->source, NULL); turn(r))
    if (sim.now_ns > until_ns) sim_fail("recovery", "the node does not stop");
  sim.quiet = false;
  ingest(r);
  parse(r);
  uint64_t dropped = 0, gaps = 0;
  if (sim.config.spill_bytes) {
    wb_spill_stage_finish(&r->engine->spill);
    note_spilled(r);
    dropped = r->engine->spill.dropped_frames;
    gaps = r->engine->spill.gaps;
  }
  wb_sink_segment_status status;
  wb_error error;
  if (wb_sink_segment_close(r->sink, 60 * SIM_S, &status, &error)) sim_fail("log", "at the end: %s", error.detail);
  if (status.frames_lost || status.frames_written - gaps + dropped != r->life->records)
    sim_fail("log", "the sink wrote %" PRIu64 " of %zu records, and %" PRIu64 " were dropped", status.frames_written,
             r->life->records, dropped);
  wb_source_ws_close(r->source);
  r->life->clean = true;
  reading log = {.life = r->life, .node = r->node, .promised = sim_alloc(r->life->records + 1)};
  if (sim.config.sync != WB_SYNC_NONE && !status.frames_doubtful) { /* all of it was synced */
    sim_disk_crash(true);
    log.may_be_damaged = status.errors; /* what was cut off a segment may be there again */
  }
  check_life(r, &log);
}

static void run_seed(uint64_t seed) {
  uint64_t before = sim.hash;
  sim.hash = UINT64_C(0xcbf29ce484222325);
  plan(seed);
  sim_disk_reset();
  sim_exchange_reset();
  for (unsigned i = 0; i < sim.config.lives; i++) {
    rig r;
    sim.faults_on = true;
    sim.quiet = false;
    rig_open(&r, i);
    bool machine = sim.one_in[SIM_CRASHED] && (!sim.one_in[SIM_KILLED] || sim_chance(2));
    bool abrupt = machine || sim.one_in[SIM_KILLED];
    uint64_t begun = sim.messages_sent, want = abrupt ? 1 + sim_draw(messages) : messages;
    for (uint64_t turns = 0; sim.messages_sent - begun < want && turns < TURNS_MAX; turns++) turn(&r);
    if (abrupt) end_abruptly(&r, machine);
    else end_cleanly(&r);
  }
  sim.hash += before; /* of many seeds: the sum of each by itself */
  sim.messages += sim.messages_sent;
  sim.messages_sent = 0;
}

/* ------------------------------------------------------------------------------------------------ command line */

static void summary(uint64_t seeds) {
  static const char *const names[] = {
#define X(name, text, one_in) text,
      SIM_FAULT_LIST(X)
#undef X
  };
  printf("%" PRIu64 " seeds, %" PRIu64 " lives, %" PRIu64 " messages, %" PRIu64 " records, %" PRIu64 " gaps, %" PRIu64
         " turns, %.0f s simulated, %" PRIu64 " books compared\n",
         seeds, sim.lives, sim.messages, sim.records, sim.gaps, sim.turns, (double)sim.simulated_ns / 1e9, sim.checks);
  for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
    if (sim.fault[i]) printf("  %8" PRIu64 " %s\n", sim.fault[i], names[i]);
  printf("hash %016" PRIx64 "\n", sim.hash);
}

static int usage(void) {
  fputs("sim [--seeds N] [--seed S] [--messages M] [--verbose] [--canary NAME]\n"
        "  runs seeds S .. S+N-1 (1, 1), each until M messages a life were sent; a canary is a bug planted on purpose:\n ",
        stderr);
  for (unsigned i = 1; i < SIM_CANARY_COUNT; i++) fprintf(stderr, " %s", canaries[i]);
  fputc('\n', stderr);
  return 2;
}

int main(int count, char **argument) {
  uint64_t seeds = 1, first = 1;
  for (int i = 1; i < count; i++) {
    const char *name = argument[i], *value = i + 1 < count ? argument[i + 1] : NULL;
    if (strcmp(name, "--verbose") == 0) {
      sim.verbose = true;
      continue;
    }
    if (!value) return usage();
    i++;
    if (strcmp(name, "--canary") == 0) {
      for (unsigned c = 1; c < SIM_CANARY_COUNT; c++)
        if (strcmp(canaries[c], value) == 0) sim.canary = (sim_canary)c;
      if (!sim.canary) return usage();
      continue;
    }
    char *end;
    uint64_t number = strtoull(value, &end, 0);
    if (*end || end == value) return usage();
    if (strcmp(name, "--seeds") == 0) seeds = number;
    else if (strcmp(name, "--seed") == 0) first = number;
    else if (strcmp(name, "--messages") == 0) messages = (uint32_t)number;
    else return usage();
  }
  snprintf(folder, sizeof folder, "%s/wirebook-sim-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
  if (!mkdtemp(folder)) {
    fprintf(stderr, "sim: cannot make %s: %s\n", folder, strerror(errno));
    return 1;
  }
  for (uint64_t i = 0; i < seeds; i++) run_seed(first + i);
  folder_empty(true);
  if (sim.canary) {
    printf("canary %s was not caught by %" PRIu64 " seeds\n", canaries[sim.canary], seeds);
    return 1;
  }
  summary(seeds);
  for (struct arena *at = arena_first, *next; at; at = next) {
    next = at->next;
    free(at);
  }
  return 0;
}
