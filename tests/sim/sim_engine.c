#include <string.h>

#include "io/memory.h"
#include "tests/sim/sim.h"

enum { NOTES_BYTES = 1 << 18, NOTES_FRAMES = 1024, COMMANDS_BYTES = 4096, MESSAGES_BYTES = 1 << 21, MIRRORS = 24 };

static void (*real_commit)(wb_out *out, wb_message *message);

/* Mirrored memory is kept from seed to seed: what lies in it may matter to nobody. */
static void *mirror(unsigned use, size_t bytes) {
  static void *kept[13][MIRRORS];
  unsigned size = (unsigned)__builtin_ctzl(bytes);
  if (!kept[use][size]) kept[use][size] = wb_mirror_open(bytes, true, NULL);
  if (!kept[use][size]) sim_fail("simulator", "no memory");
  return kept[use][size];
}

static uint64_t now(void *self) { return sim.now_ns; }
static int64_t offset(void *self) { return sim.utc_offset_ns; }
static void take_log(void *self, int level, const char *text) {
  if (strstr(text, "is lost")) sim.lost_log = true;
  if (sim.verbose) sim_say("%s", text);
}

/* The planted bugs that lie between the codec and the books. */
static void commit(wb_out *out, wb_message *message) {
  bool drop = (sim.canary == SIM_CANARY_DISCONNECT && message->kind == WB_MESSAGE_DISCONNECT) ||
              (sim.canary == SIM_CANARY_REJECT && message->kind == WB_MESSAGE_REJECT && message->product != WB_PRODUCT_NONE);
  if (drop) {
    sim.planted = true;
    return;
  }
  if ((sim.canary == SIM_CANARY_DELTA || sim.canary == SIM_CANARY_REPLAY) && message->kind == WB_MESSAGE_UPDATE &&
      message->delta_count && message->number > 60 && !sim.planted) {
    message->delta_count--;
    sim.planted = true;
  }
  real_commit(out, message);
}

static wb_witness_config witness_of(bool live) {
  wb_witness_config config = wb_witness_default;
  if (live && sim.canary == SIM_CANARY_WITNESS) config.policy[WB_ALARM_TICKER] = WB_WITNESS_OFF, sim.planted = true;
  return config;
}

sim_engine *sim_engine_open(bool live) {
  const sim_config *c = &sim.config;
  sim_engine *e = sim_alloc(sizeof *e);
  wb_products_init(&e->products, sim_alloc(wb_products_bytes(SIM_PRODUCTS_MAX)), SIM_PRODUCTS_MAX);
  for (unsigned i = 0; i < c->products; i++) wb_products_add(&e->products, sim_product_id(i), strlen(sim_product_id(i)));
  e->host = (wb_host){.self = e, .now_ns = now, .utc_offset_ns = offset, .log = take_log};
  unsigned use = live ? 0 : 5;
  for (unsigned i = 0; i <= c->lines; i++) {
    uint64_t bytes = i == c->lines ? NOTES_BYTES : c->journal_bytes;
    size_t frames = i == c->lines ? NOTES_FRAMES : c->frame_count;
    void *memory = mirror(use + (i == c->lines ? SIM_LINES_MAX : i), bytes);
    if (wb_frames_init(&e->ring[i], memory, bytes, sim_alloc(frames * sizeof(wb_frame)), frames, live ? 3 : 1))
      sim_fail("simulator", "the rings");
  }
  if (wb_ring_init(&e->commands, mirror(use + 3, COMMANDS_BYTES), COMMANDS_BYTES) ||
      wb_ring_init(&e->messages, mirror(use + 4, MESSAGES_BYTES), MESSAGES_BYTES))
    sim_fail("simulator", "the rings");
  for (unsigned i = 0; live && i < c->lines; i++) e->ring[i].turn_bytes = c->turn_bytes;
  if (live && c->spill_bytes) {
    e->spill = (wb_spill_stage){.ring_count = c->lines + 1, .reader = 1, .host = &e->host};
    for (unsigned i = 0; i <= c->lines; i++) {
      uint64_t bytes = i == c->lines ? NOTES_BYTES : c->spill_bytes;
      size_t frames = i == c->lines ? NOTES_FRAMES : c->frame_count;
      void *memory = mirror(10 + (i == c->lines ? SIM_LINES_MAX : i), bytes);
      if (wb_frames_init(&e->spilled[i], memory, bytes, sim_alloc(frames * sizeof(wb_frame)), frames, 1))
        sim_fail("simulator", "the spill rings");
      if (i < c->lines) e->spilled[i].turn_bytes = c->turn_bytes;
      e->spill.from[i] = &e->ring[i];
      e->spill.to[i] = &e->spilled[i];
    }
    wb_spill_stage_init(&e->spill);
  }
  wb_book_config book = {.window_ticks = c->window_ticks, .level_count_max = c->level_count_max};
  size_t book_bytes = wb_book_rest_bytes(&book), pool_bytes = c->products * wb_book_pool_bytes(&book);
  e->arena_bytes = pool_bytes + c->products * book_bytes;
  e->arena = wb_arena_open(e->arena_bytes, NULL);
  if (!e->arena) sim_fail("simulator", "no memory for books");
  wb_pool_init(&e->pool, e->arena, pool_bytes);
  e->product = sim_alloc(c->products * sizeof *e->product);
  e->views = sim_alloc(c->products * sizeof *e->views);
  for (unsigned i = 0; i < c->products; i++) {
    e->product[i].book = wb_book_init_in(&e->pool, (uint8_t *)e->arena + pool_bytes + i * book_bytes, &book);
    e->product[i].view = &e->views[i];
  }
  e->witness = witness_of(live);
  if (c->lines > 1)
    wb_arbiter_init(&e->arbiter, sim_alloc(wb_arbiter_bytes(c->lines, c->products)), c->lines, c->products, &wb_recover_default,
                    sim.now_ns);
  wb_book_stage_init(&e->book,
                     &(wb_book_stage_config){.products = &e->products,
                                             .host = &e->host,
                                             .commands = live ? &e->commands : NULL,
                                             .crossed_ns = c->crossed_ns,
                                             .mid_window = 10,
                                             .mid2 = sim_alloc(c->products * 10 * sizeof(uint64_t)),
                                             .depth = 4,
                                             .timed = live,
                                             .witness = &e->witness,
                                             .arbiter = c->lines > 1 ? &e->arbiter : NULL},
                     e->product, sim_alloc(c->products * 2 * 4 * sizeof(wb_level)),
                     sim_alloc(c->products * 2 * sizeof(uint32_t)), sim_alloc(c->products * sizeof(wb_view_data)));
  const wb_codec *codec = wb_codec_find("coinbase-exchange");
  bool over_ring = live && c->drive != SIM_DRIVE_INLINE;
  e->parse = (wb_parse_stage){.ring = {&e->ring[0], &e->ring[1], &e->ring[2]},
                              .ring_count = live ? c->lines + 1 : 1,
                              .redundant = c->lines > 1,
                              .codec = codec,
                              .codec_state = sim_alloc(codec->size(&e->products)),
                              .products = &e->products,
                              .host = &e->host,
                              .messages = over_ring ? &e->messages : NULL,
                              .book = over_ring ? NULL : &e->book,
                              .batch = over_ring ? NULL : sim_alloc(WB_PARSE_BATCH_BYTES)};
  if (over_ring) e->book.messages = &e->messages;
  codec->init(e->parse.codec_state, &e->products);
  wb_parse_stage_init(&e->parse);
  if (sim.canary && live == (sim.canary != SIM_CANARY_REPLAY)) {
    real_commit = e->parse.out.commit;
    e->parse.out.commit = commit;
  }
  return e;
}

void sim_engine_close(sim_engine *e) { wb_arena_close(e->arena, e->arena_bytes); }

/* The planted bug of the arbiter. */
static void confuse(sim_engine *e) {
  for (uint32_t i = 0; i < e->arbiter.product_count; i++)
    for (uint32_t line = 0; line < e->arbiter.line_count; line++) {
      wb_arbiter_place *place = wb_arbiter_place_of(&e->arbiter, i, line);
      place->step = wb_arbiter_book_of(&e->arbiter, i)->step;
      place->placed = sim.planted = true;
    }
}

uint64_t sim_engine_step(sim_engine *e, void (*between)(sim_engine *engine, uint64_t number)) {
  if (sim.canary == SIM_CANARY_ARBITER) confuse(e);
  while (wb_parse_stage_work(&e->parse)) /* each call may end with what is due by time */
    if (!e->parse.messages && between) between(e, e->parse.next_number);
  if (!e->parse.messages) return e->parse.next_number;
  if (sim.config.drive == SIM_DRIVE_RING) {
    while (wb_book_stage_work(&e->book)) {
    }
    return e->parse.next_number;
  }
  size_t bytes;
  for (const wb_message *message; (message = wb_ring_peek(&e->messages, &bytes));) {
    uint64_t number = message->number;
    uint32_t one = wb_message_bytes(message->delta_count), taken = 0;
    if (wb_book_stage_take_batch(&e->book, message, one, &taken) != one || taken != 1)
      sim_fail("simulator", "a message is no message");
    bool last = bytes == one || ((const wb_message *)(const void *)((const uint8_t *)message + one))->number != number;
    wb_ring_release(&e->messages, one);
    if (last && between) between(e, number + 1);
  }
  wb_book_stage_settle(&e->book);
  return e->parse.next_number;
}

bool sim_engine_all_live(const sim_engine *e) {
  for (uint32_t i = 0; i < e->products.count; i++)
    for (unsigned line = 0; line < sim.config.lines; line++)
      if (sim_engine_recover(e, i, line)->state != WB_STATE_LIVE) return false;
  return true;
}

const wb_recover *sim_engine_recover(const sim_engine *e, unsigned product, unsigned line) {
  if (sim.config.lines == 1) return &e->product[product].recover;
  return &wb_arbiter_place_of(&e->arbiter, product, line)->recover;
}
