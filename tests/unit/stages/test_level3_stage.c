/* Level 3 in the stages: an exchange of one product speaks `full` on two lines that lose messages, come and go, and answers requests late, badly or never
 * in time. Whenever the product is live its level-2 book is the exchange's as of the sequence it stands at; and what the stages were given, given again
 * to others that ask for nothing, leads to the same. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stages/parse_stage.h"
#include "io/memory.h"
#include "tests/unit/random.h"

enum {
  S = 1000000000,
  MS = 1000000,
  JOURNAL = 1 << 22,
  TEXT_MAX = 1 << 15,
  ORDERS = 60,
  LINES = 2,
  OUTBOX = 4096,
  ASKED = 64,
  EVENTS_MAX = 1 << 17
};

static uint64_t below(uint64_t bound) { return next() % bound; }
static bool chance(double of) { return (double)(next() >> 11) < of * 9007199254740992.0; }

static void *zeroed(size_t bytes) {
  size_t whole = (bytes + 127) & ~(size_t)127;
  void *memory = aligned_alloc(128, whole);
  cr_assert_not_null(memory);
  return memset(memory, 0, whole);
}

/* ------------------------------------------------------------------------------------------------ the stages */

typedef struct rig {
  wb_products products;
  wb_host host;
  uint64_t now_ns, number;
  wb_frames ring;
  wb_ring commands;
  wb_parse_stage parse;
  wb_book_stage book;
  wb_book_product product;
  wb_view *view;
  wb_level3 level3;
  wb_tape_config bars;
  wb_tape *tape;
} rig;

static uint64_t rig_now(void *self) { return ((rig *)self)->now_ns; }
static int64_t rig_offset(void *self) { return 0; }
static void rig_log(void *self, int level, const char *text) {}

static rig *rig_open(bool interactive, bool recording, uint32_t order_max) {
  static const wb_recover_config recover = {10 * (uint64_t)S, S / 10, S, UINT32_MAX};
  rig *r = zeroed(sizeof *r);
  r->now_ns = S;
  wb_products_init(&r->products, zeroed(wb_products_bytes(2)), 2);
  wb_products_add(&r->products, "BTC-USD", 7);
  r->host = (wb_host){.self = r, .now_ns = rig_now, .utc_offset_ns = rig_offset, .log = rig_log};
  cr_assert_eq(
      wb_frames_init(&r->ring, wb_mirror_open(JOURNAL, false, NULL), JOURNAL, zeroed(4096 * sizeof(wb_frame)), 4096, 1), 0);
  wb_ring_init(&r->commands, wb_mirror_open(65536, false, NULL), 65536);
  wb_book_config config = {.window_ticks = 1024, .level_count_max = 32768};
  r->view = zeroed(sizeof *r->view);
  r->product.book = wb_book_init(zeroed(wb_book_bytes(&config)), &config);
  r->product.view = r->view;
  wb_level3_config level3 = {.products = &r->products, .orders = {order_max, 42}, .recording = recording};
  wb_level3_init(&r->level3, zeroed(wb_level3_bytes(&level3)), &level3);
  cr_assert_eq(wb_tape_config_read(&r->bars, (char *[]){"ticks=5", NULL}, NULL), 0);
  r->tape = zeroed(2 * r->products.capacity * sizeof *r->tape);
  wb_tape_init(r->tape, &r->bars, WB_DECIMALS_DEFAULT, WB_DECIMALS_DEFAULT);
  wb_book_stage_init(&r->book,
                     &(wb_book_stage_config){.products = &r->products,
                                             .host = &r->host,
                                             .commands = interactive ? &r->commands : NULL,
                                             .mid_window = 10,
                                             .mid2 = zeroed(10 * sizeof(uint64_t)),
                                             .depth = 10,
                                             .recover = &recover,
                                             .level3 = &r->level3,
                                             .tape = r->tape},
                     &r->product, zeroed(2 * 10 * sizeof(wb_level)), zeroed(2 * sizeof(uint32_t)),
                     zeroed(sizeof(wb_view_data)));
  const wb_codec *codec = wb_codec_find("coinbase-exchange");
  r->parse = (wb_parse_stage){.ring = {&r->ring},
                              .ring_count = 1,
                              .codec = codec,
                              .codec_state = zeroed(codec->size(&r->products)),
                              .products = &r->products,
                              .host = &r->host,
                              .book = &r->book,
                              .batch = zeroed(WB_PARSE_BATCH_BYTES)};
  cr_assert_eq(codec->init(r->parse.codec_state, &r->products), 0);
  codec->orders->begin(r->parse.codec_state);
  wb_parse_stage_init(&r->parse);
  return r;
}

static void give(rig *r, wb_frame_kind kind, unsigned line, uint16_t connection, const char *text) {
  size_t bytes = strlen(text);
  cr_assert_geq(wb_frames_room(&r->ring, bytes), bytes);
  cr_assert_geq(wb_frames_slots(&r->ring, 1), 1u);
  memcpy(wb_frames_head(&r->ring), text, bytes);
  wb_frame frame = {.position = r->ring.head,
                    .recv_ns = r->now_ns,
                    .number = r->number++,
                    .bytes = (uint32_t)bytes,
                    .connection = connection,
                    .line = (uint8_t)line,
                    .kind = (uint8_t)kind};
  wb_frames_advance(&r->ring, bytes);
  wb_frames_push(&r->ring, &frame);
  wb_frames_publish(&r->ring);
  while (wb_parse_stage_work(&r->parse)) {
  }
}

static const wb_order_sync *sync_of(const rig *r) { return &r->level3.product[0].sync; }

/* ------------------------------------------------------------------------------------------------ the exchange */

typedef struct order {
  uint64_t number, price, size; /* cents, hundredths */
  wb_side side;
} order;

typedef struct line {
  bool up;
  uint16_t connection;
  char *out[OUTBOX];
  unsigned first, count;
} line;

typedef struct asked {
  unsigned line, due;
  uint16_t connection;
  bool early; /* the answer is of the moment of the request, else of when it is given */
  char *text;
} asked;

/* What the stages were given, to be given again. */
typedef struct given {
  uint64_t now_ns;
  wb_frame_kind kind;
  unsigned line;
  uint16_t connection;
  char *text;
} given;

typedef struct world {
  rig *r;
  order order[ORDERS];
  unsigned count, step;
  uint64_t number, sequence, trade_id, first_trade_id; /* first: the first that a line brought */
  uint64_t *hash;                                      /* of the book as of each sequence */
  line line[LINES];
  asked asked[ASKED];
  unsigned asked_count;
  given *given;
  unsigned given_count;
  unsigned live, answers;
} world;

static const char *id_text(uint64_t number) {
  static char text[4][40];
  static unsigned at;
  snprintf(text[++at % 4], 40, "00000000-0000-4000-8000-%012" PRIx64, number);
  return text[at % 4];
}

static void hand(world *w, wb_frame_kind kind, unsigned number, uint16_t connection, const char *text) {
  cr_assert_lt(w->given_count, EVENTS_MAX);
  w->given[w->given_count++] = (given){w->r->now_ns, kind, number, connection, strdup(text)};
  give(w->r, kind, number, connection, text);
}

static uint64_t total(const world *w, wb_side side, uint64_t price) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < w->count; i++)
    if (w->order[i].side == side && w->order[i].price == price) sum += w->order[i].size;
  return sum;
}

static uint64_t hash_of(const world *w) {
  uint64_t hash = 0;
  for (unsigned i = 0; i < w->count; i++) {
    bool met = false;
    for (unsigned k = 0; k < i && !met; k++)
      met = w->order[k].side == w->order[i].side && w->order[k].price == w->order[i].price;
    if (!met)
      hash +=
          wb_level_hash(w->order[i].side, w->order[i].price * 1000000, total(w, w->order[i].side, w->order[i].price) * 1000000);
  }
  return hash;
}

static char *snapshot(const world *w, const char *status) {
  char *text = malloc(TEXT_MAX);
  int used = snprintf(text, TEXT_MAX, "GET /products/BTC-USD/book?level=3 %s\n{\"sequence\":%" PRIu64, status, w->sequence);
  for (unsigned side = 0; side < 2; side++) {
    const char *comma = "";
    used += snprintf(text + used, (size_t)(TEXT_MAX - used), ",\"%s\":[", side ? "asks" : "bids");
    for (unsigned i = 0; i < w->count; i++) {
      const order *o = &w->order[i];
      if (o->side != (wb_side)side) continue;
      used +=
          snprintf(text + used, (size_t)(TEXT_MAX - used), "%s[\"%" PRIu64 ".%02u\",\"%" PRIu64 ".%02u\",\"%s\"]", comma,
                   o->price / 100, (unsigned)(o->price % 100), o->size / 100, (unsigned)(o->size % 100), id_text(o->number));
      comma = ",";
    }
    used += snprintf(text + used, (size_t)(TEXT_MAX - used), "]");
  }
  snprintf(text + used, (size_t)(TEXT_MAX - used), "}");
  return text;
}

/* A message on its way on each line that is up, but for those that lose it. */
static void say(world *w, const char *text, double loss) {
  for (unsigned i = 0; i < LINES; i++) {
    line *l = &w->line[i];
    if (!l->up || l->count == OUTBOX || chance(loss)) continue;
    l->out[(l->first + l->count++) % OUTBOX] = strdup(text);
  }
}

static void happen(world *w, double loss) {
  char text[512], rest[256];
  unsigned what = (unsigned)below(10), i = w->count ? (unsigned)below(w->count) : 0;
  const char *type = "received";
  w->sequence++;
  if (w->count < 5 || (what < 4 && w->count < ORDERS)) {
    wb_side side = (wb_side)below(2);
    order o = {++w->number, side ? 1001 + below(20) : 999 - below(20), 1 + below(500), side};
    w->order[w->count++] = o;
    type = "open";
    snprintf(rest, sizeof rest,
             "\"order_id\":\"%s\",\"side\":\"%s\",\"price\":\"%" PRIu64 ".%02u\",\"remaining_size\":\"%" PRIu64 ".%02u\"",
             id_text(o.number), side ? "sell" : "buy", o.price / 100, (unsigned)(o.price % 100), o.size / 100,
             (unsigned)(o.size % 100));
  } else if (what < 6) {
    order *o = &w->order[i];
    uint64_t size = chance(0.5) ? o->size : 1 + below(o->size);
    type = "match";
    snprintf(rest, sizeof rest,
             "\"trade_id\":%" PRIu64 ",\"maker_order_id\":\"%s\",\"taker_order_id\":\"%s\",\"side\":\"%s\",\"price\":\"%" PRIu64
             ".%02u\",\"size\":\"%" PRIu64 ".%02u\"",
             ++w->trade_id, id_text(o->number), id_text(++w->number), o->side ? "sell" : "buy", o->price / 100,
             (unsigned)(o->price % 100), size / 100, (unsigned)(size % 100));
    if (o->size == size) memmove(o, o + 1, (--w->count - i) * sizeof *o);
    else o->size -= size;
  } else if (what < 9) {
    type = "done";
    snprintf(rest, sizeof rest, "\"order_id\":\"%s\",\"reason\":\"canceled\"", id_text(w->order[i].number));
    memmove(&w->order[i], &w->order[i + 1], (--w->count - i) * sizeof *w->order);
  } else {
    snprintf(rest, sizeof rest, "\"order_id\":\"%s\",\"side\":\"buy\"", id_text(++w->number));
  }
  w->hash[w->sequence] = hash_of(w);
  snprintf(text, sizeof text, "{\"type\":\"%s\",\"product_id\":\"BTC-USD\",\"sequence\":%" PRIu64 ",%s}", type, w->sequence,
           rest);
  say(w, text, loss);
}

static void deliver(world *w, unsigned number) {
  line *l = &w->line[number];
  char *text = l->out[l->first++ % OUTBOX];
  l->count--;
  const char *id = strstr(text, "\"trade_id\":");
  if (id && !w->first_trade_id) w->first_trade_id = strtoull(id + 11, NULL, 10);
  hand(w, WB_FRAME_TEXT, number, l->connection, text);
  free(text);
}

static void bring_up(world *w, unsigned number) {
  line *l = &w->line[number];
  l->up = true;
  hand(w, WB_FRAME_CONNECT, number, ++l->connection, "{}");
  l->out[(l->first + l->count++) % OUTBOX] =
      strdup("{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"full\",\"product_ids\":[\"BTC-USD\"]}]}");
}

static void take_down(world *w, unsigned number) {
  line *l = &w->line[number];
  for (; l->count; l->count--) free(l->out[l->first++ % OUTBOX]);
  l->up = false;
  hand(w, WB_FRAME_DISCONNECT, number, l->connection, "{}");
}

/* As ingest does: what is about a connection that is gone is dropped, a resync is put on record. */
static void serve(world *w, unsigned patience) {
  size_t bytes;
  const wb_command *command;
  while ((command = wb_ring_peek(&w->r->commands, &bytes)) && bytes) {
    wb_command c = *command;
    wb_ring_release(&w->r->commands, sizeof c);
    line *l = &w->line[c.line];
    if (!l->up || c.connection != l->connection || (c.kind != WB_COMMAND_ASK && c.kind != WB_COMMAND_RESUBSCRIBE)) continue;
    if (c.kind == WB_COMMAND_RESUBSCRIBE || c.reason != WB_REASON_CONNECTED)
      hand(w, WB_FRAME_RESYNC, c.line, c.connection, "{\"event\":\"resync\",\"product\":\"BTC-USD\"}");
    if (c.kind != WB_COMMAND_ASK || w->asked_count == ASKED) continue;
    asked *a = &w->asked[w->asked_count++];
    *a = (asked){.line = c.line, .due = w->step + (unsigned)below(patience), .connection = c.connection, .early = chance(0.5)};
    a->text = a->early ? snapshot(w, "200") : NULL;
  }
}

static void answer(world *w, double bad) {
  for (unsigned i = 0; i < w->asked_count;) {
    asked a = w->asked[i];
    if (w->step < a.due) {
      i++;
      continue;
    }
    w->asked[i] = w->asked[--w->asked_count];
    char *text = chance(bad) ? snapshot(w, "503") : a.early ? strdup(a.text) : snapshot(w, "200");
    if (chance(bad)) text[below(strlen(text)) + 1] = 0;
    w->answers++;
    hand(w, WB_FRAME_ANSWER, a.line, a.connection, text);
    free(text);
    free(a.text);
  }
}

static void look(world *w) {
  const rig *r = w->r;
  bool live = r->product.recover.state == WB_STATE_LIVE;
  cr_assert_eq(live, sync_of(r)->state == WB_ORDER_SYNC_LIVE, "step %u: a product is live when its orders are", w->step);
  w->live += live;
  if (!live) return;
  cr_assert_eq(wb_book_hash(r->product.book), w->hash[sync_of(r)->sequence], "step %u: sequence %" PRIu64, w->step,
               sync_of(r)->sequence);
  cr_assert_null(wb_orders_check(sync_of(r)->orders));
}

static void compare(const rig *a, const rig *b) {
  const wb_book_product *x = &a->product, *y = &b->product;
  cr_expect_eq(x->recover.state, y->recover.state);
  cr_expect_eq(x->recover.reason, y->recover.reason, "%s, %s", wb_reason_text((wb_reason)x->recover.reason),
               wb_reason_text((wb_reason)y->recover.reason));
  /* What was asked of a line that went down meanwhile is not on record. */
  cr_expect_geq(x->recover.resyncs, y->recover.resyncs, "%" PRIu64 " %" PRIu64, x->recover.resyncs, y->recover.resyncs);
  cr_expect(x->snapshots == y->snapshots && x->view->data.updates == y->view->data.updates &&
            x->view->data.changes == y->view->data.changes && x->rejected == y->rejected);
  cr_expect_eq(wb_book_hash(x->book), wb_book_hash(y->book));
  cr_expect_eq(sync_of(a)->sequence, sync_of(b)->sequence);
  cr_expect(sync_of(a)->loaded == sync_of(b)->loaded && sync_of(a)->useless == sync_of(b)->useless &&
            sync_of(a)->skipped == sync_of(b)->skipped);
  const wb_trades *s = &a->tape->trades, *t = &b->tape->trades;
  cr_expect(s->flow.count == t->flow.count && s->flow.volume == t->flow.volume && s->flow.notional == t->flow.notional &&
            s->missing == t->missing && s->old == t->old && s->last.trade_id == t->last.trade_id);
  cr_expect_eq(memcmp(a->level3.duplicates, b->level3.duplicates, sizeof a->level3.duplicates), 0);
}

static void turn(world *w, unsigned events, double loss, double bad, double cut, unsigned patience) {
  rig *r = w->r;
  w->step++;
  r->now_ns += below(20 * MS);
  for (unsigned n = events ? (unsigned)below(events) : 0; n; n--) happen(w, loss);
  for (unsigned n = (unsigned)below(12); n; n--) {
    unsigned number = (unsigned)below(LINES);
    if (w->line[number].count) deliver(w, number);
  }
  for (unsigned i = 0; i < LINES; i++) {
    if (w->line[i].up ? chance(cut) : chance(0.05)) (w->line[i].up ? take_down : bring_up)(w, i);
  }
  answer(w, bad);
  wb_book_stage_settle(&r->book);
  serve(w, patience);
  look(w);
}

static void follow(unsigned steps, double loss, double bad, double cut) {
  world *w = zeroed(sizeof *w);
  w->r = rig_open(true, false, 1 << 10);
  w->hash = calloc(EVENTS_MAX, sizeof *w->hash);
  w->given = calloc(EVENTS_MAX, sizeof *w->given);
  for (unsigned i = 0; i < 50; i++) happen(w, 1);
  for (unsigned i = 0; i < steps; i++) turn(w, 4, loss, bad, cut, 40);
  cr_expect_gt(w->live, steps / 20, "live in %u of %u steps", w->live, steps);
  for (unsigned i = 0; i < 3000; i++) turn(w, i < 2000 ? 3 : 0, 0, 0, 0, 10);
  cr_expect_eq(w->r->product.recover.state, WB_STATE_LIVE, "%s", wb_reason_text((wb_reason)w->r->product.recover.reason));
  cr_expect_eq(sync_of(w->r)->sequence, w->sequence);
  cr_expect_eq(w->r->tape->trades.last.trade_id, w->trade_id);
  cr_expect_eq(w->r->tape->trades.flow.count + w->r->tape->trades.missing, w->trade_id - w->first_trade_id + 1);
  cr_log_info("%u steps, live in %u, %u answers, %" PRIu64 " loaded, %" PRIu64 " useless, %" PRIu64 " skipped", w->step,
              w->live, w->answers, sync_of(w->r)->loaded, sync_of(w->r)->useless, sync_of(w->r)->skipped);
  rig *again = rig_open(false, false, 1 << 10);
  for (unsigned i = 0; i < w->given_count; i++) {
    again->now_ns = w->given[i].now_ns;
    give(again, w->given[i].kind, w->given[i].line, w->given[i].connection, w->given[i].text);
    free(w->given[i].text);
  }
  wb_book_stage_settle(&again->book);
  compare(w->r, again);
}

Test(level3_stage, a_live_book_is_the_exchanges_while_messages_are_lost) {
  seed();
  follow(20000, 0.005, 0, 0);
}

Test(level3_stage, a_live_book_is_the_exchanges_while_answers_are_bad_or_late) {
  seed();
  follow(10000, 0.01, 0.4, 0);
}

Test(level3_stage, a_live_book_is_the_exchanges_while_lines_come_and_go) {
  seed();
  follow(20000, 0, 0.1, 0.01);
}

Test(level3_stage, a_live_book_is_the_exchanges_whatever_goes_wrong) {
  seed();
  follow(20000, 0.005, 0.2, 0.005);
}

/* ------------------------------------------------------------------------------------------------ one by one */

static const char *const ack = "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"full\",\"product_ids\":[\"BTC-USD\"]}]}";
static const char *const book_at_10 =
    "GET /products/BTC-USD/book?level=3 "
    "200\n{\"sequence\":10,\"bids\":[[\"99\",\"1\",\"00000000-0000-4000-8000-000000000001\"]],"
    "\"asks\":[[\"101\",\"2\",\"00000000-0000-4000-8000-000000000002\"]]}";

static void open_order(rig *r, uint64_t sequence, unsigned number, const char *price, const char *size) {
  char text[512];
  snprintf(text, sizeof text,
           "{\"type\":\"open\",\"product_id\":\"BTC-USD\",\"sequence\":%" PRIu64
           ",\"order_id\":\"%s\",\"side\":\"buy\",\"price\":\"%s\",\"remaining_size\":\"%s\"}",
           sequence, id_text(number), price, size);
  give(r, WB_FRAME_TEXT, 0, 1, text);
}

static unsigned commands(rig *r, wb_command *last) {
  size_t bytes;
  const wb_command *command = wb_ring_peek(&r->commands, &bytes);
  unsigned count = (unsigned)(bytes / sizeof *command);
  if (count) *last = command[count - 1];
  if (bytes) wb_ring_release(&r->commands, bytes);
  return count;
}

Test(level3_stage, the_first_snapshot_is_asked_for_when_the_subscription_is_in_force_and_is_no_resync) {
  rig *r = rig_open(true, false, 100);
  wb_command c;
  give(r, WB_FRAME_CONNECT, 0, 1, "{}");
  cr_expect_eq(commands(r, &c), 0, "what is asked for before may be older than the first event");
  give(r, WB_FRAME_TEXT, 0, 1, ack);
  cr_expect_eq(commands(r, &c), 1);
  cr_expect(c.kind == WB_COMMAND_ASK && c.reason == WB_REASON_CONNECTED && c.connection == 1);
  give(r, WB_FRAME_TEXT, 0, 1, ack);
  open_order(r, 11, 3, "98", "1");
  cr_expect_eq(commands(r, &c), 0, "once");
  give(r, WB_FRAME_ANSWER, 0, 1, book_at_10);
  cr_expect(r->product.recover.state == WB_STATE_LIVE && r->product.recover.resyncs == 0 && sync_of(r)->sequence == 11);
}

Test(level3_stage, an_answer_to_a_connection_that_is_gone_is_left_aside_and_asked_for_again) {
  rig *r = rig_open(true, false, 100);
  wb_command c;
  give(r, WB_FRAME_CONNECT, 0, 1, "{}");
  give(r, WB_FRAME_TEXT, 0, 1, ack);
  give(r, WB_FRAME_DISCONNECT, 0, 1, "{}");
  give(r, WB_FRAME_ANSWER, 0, 1, book_at_10);
  cr_expect_eq(r->product.recover.state, WB_STATE_WAITING, "nobody listens");
  give(r, WB_FRAME_CONNECT, 0, 2, "{}");
  commands(r, &c);
  give(r, WB_FRAME_ANSWER, 0, 1, book_at_10);
  cr_expect(r->product.recover.state == WB_STATE_WAITING && wb_book_level_count(r->product.book, WB_SIDE_BID) == 0);
  give(r, WB_FRAME_TEXT, 0, 2, ack);
  cr_expect_eq(commands(r, &c), 2, "of an answer that came to nothing, and the first of the connection");
  give(r, WB_FRAME_ANSWER, 0, 2, book_at_10);
  cr_expect_eq(r->product.recover.state, WB_STATE_LIVE);
}

Test(level3_stage, an_answer_that_is_refused_or_broken_leaves_a_live_book_alone) {
  rig *r = rig_open(true, false, 100);
  wb_command c;
  give(r, WB_FRAME_CONNECT, 0, 1, "{}");
  give(r, WB_FRAME_TEXT, 0, 1, ack);
  give(r, WB_FRAME_ANSWER, 0, 1, "GET /products/BTC-USD/book?level=3 429\n{}");
  cr_expect_eq(r->product.recover.reason, WB_REASON_REJECTED);
  cr_expect_eq(commands(r, &c), 2);
  cr_expect(c.kind == WB_COMMAND_ASK && c.reject == WB_REJECT_STATUS);
  give(r, WB_FRAME_ANSWER, 0, 1, book_at_10);
  static const char *const bad[] = {"",
                                    "GET",
                                    "GET /products/BTC-USD/book?level=3 0\ntimed out",
                                    "GET /products/BTC-USD/book?level=3 200",
                                    "GET /products/BTC-USD/book?level=3 200\n",
                                    "GET /products/BTC-USD/book?level=3 2000\n{\"sequence\":99,\"bids\":[],\"asks\":[]}",
                                    "GET /products/BTC-USD/book?level=2 200\n{\"sequence\":99,\"bids\":[],\"asks\":[]}",
                                    "GET /products/ABC-USD/book?level=3 200\n{\"sequence\":99,\"bids\":[],\"asks\":[]}",
                                    "GET /products/BTC-USD/book?level=3 200\n{\"sequence\":99,\"bids\":[]}"};
  uint64_t before = r->product.rejected;
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
    give(r, WB_FRAME_ANSWER, 0, 1, bad[i]);
    cr_expect_eq(r->product.recover.state, WB_STATE_LIVE, "%s", bad[i]);
  }
  cr_expect_eq(r->product.rejected, before + 5, "those that name the product");
}

Test(level3_stage, level_2_messages_in_between_change_nothing) {
  rig *r = rig_open(true, false, 100);
  give(r, WB_FRAME_CONNECT, 0, 1, "{}");
  give(r, WB_FRAME_ANSWER, 0, 1, book_at_10);
  uint64_t hash = wb_book_hash(r->product.book);
  give(r, WB_FRAME_TEXT, 0, 1, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"99\",\"7\"]]}");
  give(r, WB_FRAME_TEXT, 0, 1,
       "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":[],\"asks\":[[\"0.000000000001\",\"7\"]]}");
  cr_expect(wb_book_hash(r->product.book) == hash && r->product.recover.state == WB_STATE_LIVE &&
            r->product.price_decimals == 8);
}

Test(level3_stage, finer_units_scale_orders_and_levels_alike) {
  rig *r = rig_open(true, false, 100);
  give(r, WB_FRAME_CONNECT, 0, 1, "{}");
  give(r, WB_FRAME_ANSWER, 0, 1, book_at_10);
  open_order(r, 11, 3, "98.0000000001", "1.00000000001");
  cr_expect(r->product.price_decimals == 10 && r->product.size_decimals == 11 && r->product.recover.state == WB_STATE_LIVE);
  cr_expect_eq(wb_book_size(r->product.book, WB_SIDE_BID, UINT64_C(980000000001)), UINT64_C(100000000001));
  cr_expect_eq(wb_book_size(r->product.book, WB_SIDE_ASK, UINT64_C(1010000000000)), UINT64_C(200000000000));
  cr_expect_eq(wb_orders_level(sync_of(r)->orders, WB_SIDE_ASK, UINT64_C(1010000000000)).size, UINT64_C(200000000000));
}

Test(level3_stage, a_book_that_is_full_says_so_and_is_asked_for_again) {
  rig *r = rig_open(true, false, 2);
  wb_command c;
  give(r, WB_FRAME_CONNECT, 0, 1, "{}");
  give(r, WB_FRAME_TEXT, 0, 1, ack);
  give(r, WB_FRAME_ANSWER, 0, 1, book_at_10);
  commands(r, &c);
  open_order(r, 11, 3, "98", "1");
  cr_expect(r->product.recover.state != WB_STATE_LIVE && r->product.recover.reason == WB_REASON_ORDERS_MAX);
  cr_expect(commands(r, &c) == 1 && c.kind == WB_COMMAND_ASK && c.reason == WB_REASON_ORDERS_MAX);
}

Test(level3_stage, a_recording_that_opens_with_its_book_is_live_from_its_first_message_on) {
  rig *r = rig_open(false, true, 100);
  open_order(r, 10, 1, "99", "1");
  open_order(r, 10, 2, "99", "2");
  open_order(r, 10, 3, "98", "1");
  cr_expect_eq(r->product.recover.state, WB_STATE_WAITING);
  open_order(r, 11, 4, "97", "4");
  cr_expect(r->product.recover.state == WB_STATE_LIVE && sync_of(r)->sequence == 11);
  cr_expect_eq(wb_book_size(r->product.book, WB_SIDE_BID, UINT64_C(9900000000)), UINT64_C(300000000));
  cr_expect_eq(wb_book_level_count(r->product.book, WB_SIDE_BID), 3);
}

Test(level3_stage, a_recording_that_begins_in_the_middle_is_never_live) {
  rig *r = rig_open(false, true, 100);
  open_order(r, 10, 1, "99", "1");
  open_order(r, 10, 1, "99", "1"); /* the same twice is no book */
  for (uint64_t sequence = 11; sequence < 20; sequence++) open_order(r, sequence, (unsigned)sequence, "99", "1");
  cr_expect_eq(r->product.recover.state, WB_STATE_WAITING);
}

static void open_on(rig *r, unsigned of, uint64_t sequence) {
  char text[256];
  snprintf(text, sizeof text,
           "{\"type\":\"open\",\"product_id\":\"BTC-USD\",\"sequence\":%" PRIu64
           ",\"order_id\":\"%s\",\"side\":\"buy\",\"price\":\"98\",\"remaining_size\":\"1\"}",
           sequence, id_text(sequence));
  give(r, WB_FRAME_TEXT, of, 1, text);
}

static rig *two_lines(void) {
  rig *r = rig_open(true, false, 1000);
  wb_command c;
  give(r, WB_FRAME_CONNECT, 0, 1, "{}");
  give(r, WB_FRAME_CONNECT, 1, 1, "{}");
  give(r, WB_FRAME_TEXT, 0, 1, ack);
  give(r, WB_FRAME_ANSWER, 0, 1, book_at_10);
  commands(r, &c);
  return r;
}

Test(level3_stage, a_hole_of_one_line_is_filled_by_the_other) {
  rig *r = two_lines();
  wb_command c;
  open_on(r, 0, 11);
  open_on(r, 0, 13);
  open_on(r, 0, 14);
  cr_expect(r->product.recover.state == WB_STATE_LIVE && sync_of(r)->sequence == 11, "held");
  open_on(r, 1, 11);
  open_on(r, 1, 12);
  cr_expect(r->product.recover.state == WB_STATE_LIVE && sync_of(r)->sequence == 14 && commands(r, &c) == 0);
  open_on(r, 1, 13);
  cr_expect_eq(wb_book_size(r->product.book, WB_SIDE_BID, UINT64_C(9800000000)), UINT64_C(400000000));
}

static void match_on(rig *r, unsigned of, uint64_t sequence, uint64_t trade_id) {
  char text[512];
  snprintf(text, sizeof text,
           "{\"type\":\"match\",\"product_id\":\"BTC-USD\",\"sequence\":%" PRIu64 ",\"trade_id\":%" PRIu64
           ",\"maker_order_id\":\"%s\",\"taker_order_id\":\"%s\",\"side\":\"sell\",\"price\":\"101\",\"size\":\"0.1\"}",
           sequence, trade_id, id_text(2), id_text(99));
  give(r, WB_FRAME_TEXT, of, 1, text);
}

Test(level3_stage, trades_of_two_lines_are_those_of_one_and_only_what_both_lose_is_missing) {
  rig *r = two_lines();
  match_on(r, 0, 11, 5);
  match_on(r, 0, 13, 7);
  match_on(r, 1, 11, 5);
  match_on(r, 1, 12, 6);
  match_on(r, 1, 13, 7);
  match_on(r, 0, 14, 8);
  match_on(r, 1, 14, 8);
  const wb_trades *trades = &r->tape->trades;
  cr_expect(trades->flow.count == 4 && trades->missing == 0 && trades->last.trade_id == 8 &&
            r->product.witness.lost_trades == 0);
  match_on(r, 0, 16, 10);
  match_on(r, 1, 16, 10);
  cr_expect(trades->flow.count == 5 && trades->missing == 1 && r->product.witness.lost_trades == 1);
}

Test(level3_stage, what_is_held_follows_the_units) {
  rig *r = two_lines();
  open_on(r, 0, 12);
  give(r, WB_FRAME_TEXT, 1, 1,
       "{\"type\":\"open\",\"product_id\":\"BTC-USD\",\"sequence\":11,\"order_id\":\"00000000-0000-4000-8000-00000000000b\","
       "\"side\":\"buy\",\"price\":\"97.0000000001\",\"remaining_size\":\"1.000000001\"}");
  cr_expect(r->product.recover.state == WB_STATE_LIVE && sync_of(r)->sequence == 12);
  cr_expect(r->product.price_decimals == 10 && r->product.size_decimals == 9);
  cr_expect_eq(wb_book_size(r->product.book, WB_SIDE_BID, UINT64_C(980000000000)), UINT64_C(1000000000));
}

Test(level3_stage, what_is_held_and_fits_no_units_is_missing) {
  rig *r = two_lines();
  give(r, WB_FRAME_TEXT, 0, 1,
       "{\"type\":\"open\",\"product_id\":\"BTC-USD\",\"sequence\":12,\"order_id\":\"00000000-0000-4000-8000-00000000000c\","
       "\"side\":\"buy\",\"price\":\"97\",\"remaining_size\":\"40000000000\"}");
  give(r, WB_FRAME_TEXT, 1, 1,
       "{\"type\":\"open\",\"product_id\":\"BTC-USD\",\"sequence\":11,\"order_id\":\"00000000-0000-4000-8000-00000000000b\","
       "\"side\":\"buy\",\"price\":\"97\",\"remaining_size\":\"1.0000000001\"}");
  open_on(r, 0, 13);
  open_on(r, 1, 13);
  cr_expect(r->product.recover.state != WB_STATE_LIVE && r->product.recover.reason == WB_REASON_GAP);
}

Test(level3_stage, the_opening_of_a_recording_follows_the_units) {
  rig *r = rig_open(false, true, 100);
  open_order(r, 10, 1, "99", "1");
  open_order(r, 10, 2, "98.0000000001", "1.000000001");
  open_order(r, 11, 3, "97", "1");
  cr_expect_eq(r->product.recover.state, WB_STATE_LIVE);
  cr_expect_eq(wb_book_size(r->product.book, WB_SIDE_BID, UINT64_C(990000000000)), UINT64_C(1000000000));
}

Test(level3_stage, a_hole_that_no_line_fills_is_fetched_anew_at_once) {
  rig *r = two_lines();
  wb_command c;
  open_on(r, 0, 12);
  cr_expect_eq(r->product.recover.state, WB_STATE_LIVE);
  open_on(r, 1, 12);
  cr_expect(r->product.recover.reason == WB_REASON_GAP && commands(r, &c) == 1 && c.kind == WB_COMMAND_ASK);
  give(r, WB_FRAME_ANSWER, 0, 1,
       "GET /products/BTC-USD/book?level=3 "
       "200\n{\"sequence\":11,\"bids\":[],\"asks\":[[\"101\",\"2\",\"00000000-0000-4000-8000-000000000002\"]]}");
  cr_expect(r->product.recover.state == WB_STATE_LIVE && sync_of(r)->sequence == 12, "what was held waited for the snapshot");
}

Test(level3_stage, a_hole_is_fetched_anew_when_the_line_that_could_fill_it_is_late_or_goes) {
  for (unsigned how = 0; how < 3; how++) {
    rig *r = two_lines();
    open_on(r, 0, 12);
    r->now_ns += WB_LEVEL3_HELD_NS + 1;
    if (how == 0) open_on(r, 0, 13);
    else if (how == 1) give(r, WB_FRAME_DISCONNECT, 1, 1, "{}");
    else
      give(r, WB_FRAME_TEXT, 0, 1,
           "{\"type\":\"heartbeat\",\"product_id\":\"BTC-USD\",\"sequence\":12,\"last_trade_id\":7,\"time\":\"2026-08-02T05:43:"
           "55.200001Z\"}");
    cr_expect_eq(r->product.recover.reason, WB_REASON_GAP, "%u", how);
  }
}

Test(level3_stage, no_more_is_held_than_there_is_room_for) {
  rig *r = two_lines();
  for (uint64_t sequence = 12; sequence < 12 + 2 * WB_LEVEL3_HELD_MAX; sequence++) open_on(r, 0, sequence);
  cr_expect_eq(r->product.recover.reason, WB_REASON_GAP);
  give(r, WB_FRAME_ANSWER, 0, 1, "GET /products/BTC-USD/book?level=3 200\n{\"sequence\":11,\"bids\":[],\"asks\":[]}");
  cr_expect(r->product.recover.state == WB_STATE_LIVE && sync_of(r)->sequence == 11 + 2 * WB_LEVEL3_HELD_MAX);
}
