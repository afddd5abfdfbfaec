#include <string.h>

#include "engine/base/decimal.h"
#include "tests/sim/sim.h"

enum { ROUND_MS = 3000, SENT_WINDOW = 16 };

/* What a line has brought of a product. */
typedef struct product {
  sim_book book;
  uint64_t version; /* of the exchange's book that it is now */
  bool good;        /* a snapshot came on this connection, and nothing since that makes it wrong in a way that can be seen */
  bool either;      /* something came of which nobody may tell whose it was: the node decides, and says so */
  bool changed, disturbed;
  bool overdue;                               /* a message came by whose time the book is crossed for too long */
  uint64_t crossed_since_ns, crossed_seen_ns; /* when its message was received; when it was met here */
  uint64_t resyncs, resync_first_ns;
} product;

static sim_engine *engine;
static sim_life *life;
static product *all_products; /* line by line */
static struct reach {
  uint64_t version, first_step; /* which its live book was seen to be, since it began anew at that step */
} * reached;                    /* of each product */
static size_t next;             /* record to be applied */
static bool connected[SIM_LINES_MAX];
static uint64_t broken_count; /* messages that the node must have counted as rejected */
static uint64_t sent_ns[SIM_LINES_MAX][SENT_WINDOW], sent_count[SIM_LINES_MAX];

static product *products_of(unsigned line) { return all_products + line * sim.config.products; }

void sim_model_reset(sim_engine *e, sim_life *l) {
  engine = e;
  life = l;
  all_products = sim_alloc(sim.config.lines * sim.config.products * sizeof *all_products);
  reached = sim_alloc(sim.config.products * sizeof *reached);
  next = 0;
  broken_count = 0;
  memset(connected, 0, sizeof connected);
  memset(sent_count, 0, sizeof sent_count);
  memset(sent_ns, 0, sizeof sent_ns);
  for (unsigned i = 0; i < SIM_PRODUCTS_MAX; i++) life->diverged[i] = UINT64_MAX;
}

static sim_conn *conn_of(const sim_record *r) {
  for (size_t i = sim.conns; i-- > 0;)
    if (sim.conn[i]->connected && sim.conn[i]->line == r->frame.line && sim.conn[i]->connection == r->frame.connection)
      return sim.conn[i];
  sim_fail("log", "record %zu names connection %u, which never was", next, r->frame.connection);
}

void sim_model_collect(void) {
  for (bool found = true; found;) {
    found = false;
    for (unsigned i = 0; i <= sim.config.lines; i++) {
      size_t count;
      const wb_frame *frame = wb_frames_peek(&engine->ring[i], 2, 0, 1, &count);
      if (!frame || frame->number != life->records) continue;
      life->record = sim_grow(life->record, life->records, &life->records_room, sizeof *life->record);
      sim_record *r = &life->record[life->records++];
      r->frame = *frame;
      r->ring = i;
      uint8_t *at = wb_frames_at(&engine->ring[i], frame->position);
      r->bytes = memcpy(sim_alloc(frame->bytes + 1u), at, frame->bytes);
      if (sim.canary == SIM_CANARY_BYTE && !sim.planted && frame->number > 60 && frame->kind == WB_FRAME_TEXT &&
          frame->bytes > 60) {
        at[frame->bytes - 30] ^= 1;
        sim.planted = true;
      }
      wb_frames_release(&engine->ring[i], 2, 1);
      sim_mix(&r->frame.number, sizeof r->frame.number);
      sim_mix(&r->frame.recv_ns, sizeof r->frame.recv_ns);
      sim_mix(&r->frame.kind, 1);
      sim_mix(r->bytes, r->frame.bytes);
      sim.records++;
      if (sim.verbose)
        sim_say("record %zu, kind %u, connection %u, %u bytes: %.*s", life->records - 1, r->frame.kind, r->frame.connection,
                r->frame.bytes, r->frame.bytes < 120 ? (int)r->frame.bytes : 120, (const char *)r->bytes);
      found = true;
    }
  }
}

/* ------------------------------------------------------------------------------------------------ what a record means */

static void apply_delta(product *p, const sim_item *item) {
  for (uint32_t i = 0; i < item->delta_count; i++)
    sim_book_set(&p->book, item->delta[i].side, item->delta[i].price, item->delta[i].size);
}

static void mark_crossed(product *p, uint64_t recv_ns) {
  if (!sim_book_crossed(&p->book)) p->crossed_since_ns = 0;
  else if (!p->crossed_since_ns) {
    p->crossed_since_ns = recv_ns;
    p->crossed_seen_ns = sim.now_ns;
  }
}

static void apply_item(const sim_item *item, unsigned line, uint64_t recv_ns) {
  product *products = products_of(line);
  broken_count += item->counts;
  if (item->kind == WB_FRAME_TEXT && item->product < SIM_PRODUCTS_MAX) products[item->product].disturbed = item->disturbed;
  if (item->says == SIM_SAYS_NOTHING) return;
  if (item->says == SIM_SAYS_LIST) {
    for (unsigned i = 0; i < sim.config.products; i++)
      if (!(item->listed & 1u << i)) products[i].either |= products[i].good;
    return;
  }
  if (item->product == UINT8_MAX) {
    for (unsigned i = 0; i < sim.config.products; i++) products[i].good = false;
    return;
  }
  product *p = &products[item->product];
  switch ((sim_says)item->says) {
  case SIM_SAYS_BROKEN_ANY:
    for (unsigned i = 0; i < sim.config.products; i++) products[i].either |= products[i].good;
    p->good = false;
    break;
  case SIM_SAYS_BROKEN: p->good = false; break;
  case SIM_SAYS_SNAPSHOT:
    p->book.count[0] = p->book.count[1] = 0;
    apply_delta(p, item);
    p->good = connected[line];
    p->version = item->version;
    p->either = false;
    p->changed = true;
    p->crossed_since_ns = 0;
    mark_crossed(p, recv_ns);
    break;
  case SIM_SAYS_UPDATE:
    if (!p->good) return;
    apply_delta(p, item);
    p->version = item->version;
    p->changed = true;
    mark_crossed(p, recv_ns);
    break;
  case SIM_SAYS_LIST:
  case SIM_SAYS_NOTHING: return;
  }
  if (p->good && !item->tainted && sim_book_hash(&p->book) != item->truth)
    sim_fail("simulator", "the model's book of %s is not the exchange's at record %zu", sim_product_id(item->product), next);
}

static void expect_bytes(const sim_conn *conn, const sim_record *r, bool compare) {
  if (conn->covered + r->frame.bytes > conn->given)
    sim_fail("log", "record %zu (kind %u) holds more than connection %u received", next, r->frame.kind, conn->connection);
  if (compare && memcmp(conn->down + conn->covered, r->bytes, r->frame.bytes))
    sim_fail("log", "record %zu (kind %u) is not what connection %u received at byte %zu", next, r->frame.kind,
             conn->connection, conn->covered);
}

static void take_item(sim_conn *conn, const sim_record *r) {
  if (conn->item_next == conn->items) sim_fail("log", "record %zu (kind %u) was never sent", next, r->frame.kind);
  const sim_item *item = &conn->item[conn->item_next++];
  if (item->kind != r->frame.kind)
    sim_fail("log", "record %zu is of kind %u, sent was kind %u", next, r->frame.kind, item->kind);
  if (!item->nested && item->start != conn->covered)
    sim_fail("log", "record %zu begins at byte %zu of the connection, accounted are %zu", next, item->start, conn->covered);
  if (item->kind == WB_FRAME_VIOLATION || item->kind == WB_FRAME_OVERSIZE) {
    expect_bytes(conn, r, true);
    conn->covered += r->frame.bytes;
  } else {
    if (item->count != r->frame.bytes || memcmp(item->bytes, r->bytes, item->count))
      sim_fail("log", "record %zu (kind %u, %u bytes) is not what was sent (%u bytes)", next, r->frame.kind, r->frame.bytes,
               item->count);
    if (!item->nested) conn->covered = item->end;
  }
  apply_item(item, conn->line, r->frame.recv_ns);
}

static bool cut_in_fragments(const sim_conn *conn) {
  size_t i = conn->item_next;
  while (i < conn->items && conn->item[i].nested) i++;
  return i < conn->items && conn->item[i].fragmented;
}

static void take_end(const sim_conn *conn) {
  if (conn->covered != conn->given_counted)
    sim_fail("log", "connection %u ended with %zu bytes received and %zu accounted for", conn->connection, conn->given_counted,
             conn->covered);
}

/* At most 8 messages a second are said, and a product is asked for anew once a second at most. */
static void take_sent(const sim_record *r) {
  uint64_t *slot = &sent_ns[r->frame.line][sent_count[r->frame.line]++ % SENT_WINDOW];
  if (*slot && r->frame.recv_ns - *slot < SIM_S)
    sim_fail("rate", "%d messages were sent within a second, the last is record %zu", SENT_WINDOW + 1, next);
  *slot = r->frame.recv_ns;
}

static void take_resync(const sim_record *r) {
  char said[512];
  snprintf(said, sizeof said, "%.*s", (int)r->frame.bytes, (const char *)r->bytes);
  for (unsigned i = 0; i < sim.config.products; i++) {
    if (!strstr(said, sim_product_id(i))) continue;
    product *p = &products_of(r->frame.line)[i];
    if (!p->resyncs) p->resync_first_ns = r->frame.recv_ns;
    if (++p->resyncs > 3 + (r->frame.recv_ns - p->resync_first_ns) / SIM_S)
      sim_fail("rate", "%s was resynchronised %llu times in %llu ms", sim_product_id(i), (unsigned long long)p->resyncs,
               (unsigned long long)((r->frame.recv_ns - p->resync_first_ns) / SIM_MS));
  }
}

static void apply_record(const sim_record *r) {
  for (unsigned line = 0; line < sim.config.lines; line++)
    for (unsigned i = 0; i < sim.config.products; i++) {
      product *p = &products_of(line)[i];
      p->overdue |= p->crossed_since_ns && r->frame.recv_ns > p->crossed_since_ns + sim.config.crossed_ns;
    }
  sim_conn *conn = conn_of(r);
  switch (r->frame.kind) {
  case WB_FRAME_CONNECT:
  case WB_FRAME_DISCONNECT:
    connected[conn->line] = r->frame.kind == WB_FRAME_CONNECT;
    for (unsigned i = 0; i < sim.config.products; i++) {
      product *p = &products_of(conn->line)[i];
      p->good = p->either = p->disturbed = p->overdue = false;
    }
    if (!connected[conn->line]) take_end(conn);
    break;
  case WB_FRAME_END: take_end(conn); break;
  case WB_FRAME_HTTP:
    expect_bytes(conn, r, true);
    conn->covered += r->frame.bytes;
    break;
  case WB_FRAME_PARTIAL:
    expect_bytes(conn, r, !cut_in_fragments(conn));
    conn->covered += r->frame.bytes;
    break;
  case WB_FRAME_SENT: take_sent(r); break;
  case WB_FRAME_RESYNC: take_resync(r); break;
  case WB_FRAME_GAP:
  case WB_FRAME_STALL: break;
  default: take_item(conn, r);
  }
}

/* ------------------------------------------------------------------------------------------------ what the books say */

static uint64_t in_units(uint64_t value, unsigned from, unsigned to) {
  return to >= from ? value * wb_pow10(to - from) : value / wb_pow10(from - to);
}

static void compare_book(unsigned index, const sim_book *want, const char *whose) {
  static wb_level level[SIM_LEVELS_MAX];
  const wb_book_product *p = &engine->product[index];
  for (unsigned side = 0; side < 2; side++) {
    uint32_t count = wb_book_levels(p->book, (wb_side)side, level, SIM_LEVELS_MAX);
    bool same = count == want->count[side] && count == wb_book_level_count(p->book, (wb_side)side);
    for (uint32_t i = 0; same && i < count; i++)
      same = level[i].price == in_units(want->level[side][i].price, sim_price_decimals(index), p->price_decimals) &&
             level[i].size == in_units(want->level[side][i].size, sim_size_decimals(index), p->size_decimals);
    if (!same)
      sim_fail("book", "%s is live at record %zu, and its %s are not %s (%u levels, %u expected)", sim_product_id(index), next,
               side ? "asks" : "bids", whose, count, want->count[side]);
  }
}

/* Of one line and product: live exactly as long as nothing was wrong. */
static void check_line(unsigned i, unsigned line, uint64_t number, bool settled) {
  product *m = &products_of(line)[i];
  const wb_recover *recover = sim_engine_recover(engine, i, line);
  bool live = recover->state == WB_STATE_LIVE, alone = sim.config.lines == 1;
  const wb_book_product *p = &engine->product[i];
  bool by_clock = p->witness.last_alarm == WB_ALARM_CROSSED + 1 && p->witness.last_alarm_ns > engine->book.watch_due_ns;
  if (by_clock && life->diverged[i] > number) life->diverged[i] = number;
  if (m->either) {
    m->either = false;
    if (m->good && !live && recover->reason == WB_REASON_CROSSED && !m->overdue && life->diverged[i] > number)
      life->diverged[i] = number;
    m->good &= live;
  }
  if (live && !connected[line] && next && life->record[next - 1].frame.kind != WB_FRAME_END)
    sim_fail("state", "%s is live at record %zu while line %c is down", sim_product_id(i), next, 'A' + (int)line);
  if (live && !m->good && connected[line])
    sim_fail("state", "%s is live at record %zu without a snapshot of line %c that still holds", sim_product_id(i), next,
             'A' + (int)line);
  if (!live && m->good) {
    bool crossed = !alone || m->overdue || (m->crossed_since_ns && sim.now_ns > m->crossed_since_ns + sim.config.crossed_ns);
    bool range =
        recover->reason == WB_REASON_REJECTED && recover->reject == WB_REJECT_NUMBER_RANGE && sim_size_decimals(i) == 0;
    bool coarser = !alone && recover->reason == WB_REASON_RANGE && sim_size_decimals(i) == 0;
    bool out_of_step = !alone && recover->reason == WB_REASON_OUT_OF_STEP;
    /* Of several lines one may be so late with its heartbeats that what the others brought seems withheld; and the one that gets several updates as one
     * message has tickers that are ahead of them. */
    bool late = !alone && (recover->reason == WB_REASON_WITHHELD || recover->reason == WB_REASON_TICKER);
    bool witnessed = late || (m->disturbed && recover->reason >= WB_REASON_TIME && recover->reason <= WB_REASON_TRADES);
    if (!range && !witnessed && !coarser && !out_of_step && !(crossed && recover->reason == WB_REASON_CROSSED))
      sim_fail("state", "%s is %s (%s) at record %zu although nothing was wrong on line %c", sim_product_id(i),
               wb_state_name((wb_state)recover->state), wb_reason_text((wb_reason)recover->reason), next, 'A' + (int)line);
    m->good = false;
    if (recover->reason == WB_REASON_CROSSED && !m->overdue && life->diverged[i] > number) life->diverged[i] = number;
  }
  m->overdue = false;
  uint64_t due_ns = m->crossed_since_ns;
  if (due_ns < m->crossed_seen_ns) due_ns = m->crossed_seen_ns;
  if (due_ns < p->witness.next_resync_ns) due_ns = p->witness.next_resync_ns; /* the governor holds it back */
  if (alone && live && settled && m->crossed_since_ns &&
      sim.now_ns > due_ns + sim.config.crossed_ns + (uint64_t)ROUND_MS * SIM_MS)
    sim_fail("state", "%s is live at record %zu and crossed for %llu ms", sim_product_id(i), next,
             (unsigned long long)((sim.now_ns - m->crossed_since_ns) / SIM_MS));
}

/* Of several lines a live book is what the exchange's was after some update, no older than what every live line has brought and than what it was
 * before, and no newer than what any line has. */
static void check_version(unsigned i) {
  const wb_book_product *p = &engine->product[i];
  uint64_t least = UINT64_MAX, most = 0;
  bool changed = false;
  for (unsigned line = 0; line < sim.config.lines; line++) {
    product *m = &products_of(line)[i];
    if (m->version > most) most = m->version;
    if (m->good && m->version < least) least = m->version;
    changed |= m->changed;
    m->changed = false;
  }
  uint64_t first_step = wb_arbiter_book_of(&engine->arbiter, i)->first_step;
  if (reached[i].first_step != first_step) reached[i] = (struct reach){.first_step = first_step};
  if (p->recover.state != WB_STATE_LIVE) return;
  if (!changed) return;
  static wb_level level[SIM_LEVELS_MAX];
  uint64_t hash = 0;
  for (unsigned side = 0; side < 2; side++) {
    uint32_t count = wb_book_levels(p->book, (wb_side)side, level, SIM_LEVELS_MAX);
    for (uint32_t k = 0; k < count; k++)
      hash += wb_level_hash((wb_side)side, in_units(level[k].price, p->price_decimals, sim_price_decimals(i)),
                            in_units(level[k].size, p->size_decimals, sim_size_decimals(i)));
  }
  uint64_t from = reached[i].version > least ? reached[i].version : least, version = from;
  while (version <= most && sim_truth_at(i, version) != hash) version++;
  if (version > most)
    sim_fail("book", "%s is live at record %zu, and its book is none of the exchange's from update %llu to %llu",
             sim_product_id(i), next, (unsigned long long)from, (unsigned long long)most);
  reached[i].version = version;
  sim.checks++;
}

static void check_product(unsigned i, uint64_t number, bool settled) {
  const wb_book_product *p = &engine->product[i];
  bool live = p->recover.state == WB_STATE_LIVE, any = false;
  for (unsigned line = 0; line < sim.config.lines; line++) {
    check_line(i, line, number, settled);
    any |= sim_engine_recover(engine, i, line)->state == WB_STATE_LIVE;
  }
  if (live != any) sim_fail("state", "%s is shown as %s at record %zu", sim_product_id(i), live ? "live" : "not live", next);
  if (sim.config.lines > 1) check_version(i);
  product *m = &products_of(0)[i];
  if (live && m->changed) {
    compare_book(i, &m->book, "what was delivered");
    m->changed = false;
    sim.checks++;
  }
  if (settled) {
    wb_view_data view;
    wb_level best[2];
    wb_view_read(p->view, &view);
    for (unsigned side = 0; side < 2; side++) wb_book_best(p->book, (wb_side)side, &best[side]);
    if (view.state != p->recover.state || view.best_bid != best[0].price || view.best_ask != best[1].price ||
        view.snapshots != p->snapshots || view.connected != p->recover.connected)
      sim_fail("view", "the view of %s is behind its book at record %zu", sim_product_id(i), next);
  }
}

void sim_model_check(uint64_t number, bool settled) {
  if (number > life->records) sim_fail("simulator", "the books are ahead of the records");
  bool more = next < number;
  while (next < number) apply_record(&life->record[next]), next++;
  for (unsigned i = 0; i < sim.config.products; i++) check_product(i, number, settled);
  uint64_t rejected = 0;
  for (unsigned i = 0; i < WB_REJECT_COUNT; i++) rejected += engine->book.rejected[i];
  if (rejected < broken_count)
    sim_fail("count", "%llu broken messages came until record %zu, %llu were counted", (unsigned long long)broken_count, next,
             (unsigned long long)rejected);
  const sim_print *last = life->prints ? &life->print[life->prints - 1] : NULL;
  if (!more && last && last->number == number) {
    bool moved = false; /* by a timer */
    for (unsigned i = 0; i < sim.config.products; i++)
      moved |= last->live[i] != (engine->product[i].recover.state == WB_STATE_LIVE);
    if (!moved) return;
    life->prints--;
  }
  life->print = sim_grow(life->print, life->prints, &life->prints_room, sizeof *life->print);
  life->print[life->prints++] = sim_print_of(engine, number);
}

/* Of a book that lost a message nobody may tell, but that its best levels are those that tickers say: unless the governor holds back. */
static void compare_touch(unsigned i) {
  const wb_book_product *p = &engine->product[i];
  const sim_book *want = sim_truth(i);
  if (sim.now_ns < p->witness.next_resync_ns) return;
  for (unsigned side = 0; side < 2; side++) {
    wb_level best;
    wb_book_best(p->book, (wb_side)side, &best);
    sim_level ours = {in_units(best.price, p->price_decimals, sim_price_decimals(i)),
                      in_units(best.size, p->size_decimals, sim_size_decimals(i))};
    sim_level theirs = want->count[side] ? want->level[side][0] : (sim_level){0, 0};
    if (ours.price != theirs.price || ours.size != theirs.size)
      sim_fail("witness", "the best %s of %s is not the exchange's, and no ticker has told", side ? "ask" : "bid",
               sim_product_id(i));
  }
}

/* Where a line is live although it is not sent what it asked for, another line's snapshot waits for an update, and none comes now. */
void sim_model_equal_truth(void) {
  for (unsigned i = 0; i < sim.config.products; i++) {
    bool tainted = false;
    for (unsigned line = 0; line < sim.config.lines; line++) {
      const sim_conn *conn = sim_conn_of(line);
      if (!conn || !connected[line]) sim_fail("recovery", "no connection is left of line %c", 'A' + (int)line);
      tainted |= conn->sub[i].tainted;
    }
    if (!tainted) compare_book(i, sim_truth(i), "the exchange's");
    else compare_touch(i);
  }
}

/* ------------------------------------------------------------------------------------------------ fingerprints */

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * UINT64_C(0xbf58476d1ce4e5b9);
  return hash ^ hash >> 29;
}

sim_print sim_print_of(const sim_engine *e, uint64_t number) {
  sim_print print = {.number = number, .stage = 1};
  for (uint32_t i = 0; i < e->products.count; i++) {
    const wb_book_product *p = &e->product[i];
    const wb_view_data *v = &p->view->data;
    wb_state state = (wb_state)p->recover.state;
    uint64_t book = mix(1, state == WB_STATE_RESYNCING ? WB_STATE_STALE : state); /* a replay asks for nothing */
    print.live[i] = state == WB_STATE_LIVE;
    book = mix(book, wb_book_hash(p->book));
    book = mix(mix(book, wb_book_level_count(p->book, WB_SIDE_BID)), wb_book_level_count(p->book, WB_SIDE_ASK));
    book = mix(mix(mix(book, p->price_decimals), p->size_decimals), p->recover.connected);
    book = mix(mix(mix(mix(book, v->best_bid), v->best_bid_size), v->best_ask), v->best_ask_size);
    print.product[i] = book;
    print.content[i] = mix(mix(wb_book_hash(p->book), p->price_decimals), p->size_decimals);
    uint64_t counts = mix(mix(mix(1, p->snapshots), v->updates), v->changes);
    counts = mix(mix(mix(mix(counts, p->rejected), v->unknown), p->skipped), v->crossed);
    counts = mix(mix(mix(counts, v->max_spread), v->mid_held), v->mid2_sum_low);
    print.counts[i] = mix(mix(counts, (uint64_t)v->time_ns), v->recv_ns);
  }
  for (unsigned i = 0; i < WB_REJECT_COUNT; i++) print.stage = mix(print.stage, e->book.rejected[i]);
  print.stage = mix(mix(print.stage, e->book.changes), e->book.messages_applied + e->book.applied_count);
  print.stage = mix(print.stage, e->book.errors);
  for (unsigned line = 0; line < e->arbiter.line_count; line++) {
    const wb_arbiter_line *l = &e->arbiter.line[line];
    print.stage = mix(mix(mix(mix(print.stage, l->duplicates), l->wins), l->late), l->lag.sum);
  }
  return print;
}
