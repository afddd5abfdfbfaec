#include "engine/feed/arbiter.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINES = 3, S = 1000000000 };
enum { A, B, C };

static wb_arbiter *arbiter_open(uint32_t lines) {
  wb_arbiter *a = malloc(sizeof *a);
  void *memory = aligned_alloc(64, (wb_arbiter_bytes(lines, 2) + 63) & ~(size_t)63);
  cr_assert(a && memory);
  wb_arbiter_init(a, memory, lines, 2, &wb_recover_default, S);
  return a;
}

static void arbiter_close(wb_arbiter *a) {
  free(a->entry); /* the memory given begins with them */
  free(a);
}

static wb_state state_of(const wb_arbiter *a, uint32_t line) {
  return (wb_state)wb_arbiter_place_of(a, 0, line)->recover.state;
}

static wb_state shown(const wb_arbiter *a) {
  wb_recover recover = {0};
  wb_arbiter_show(a, 0, true, &recover);
  return (wb_state)recover.state;
}

/* One update, applied where that is what becomes of it. */
static wb_verdict say(wb_arbiter *a, uint32_t line, uint64_t hash, int64_t time_ns, uint64_t recv_ns) {
  wb_verdict verdict = wb_arbiter_update(a, 0, line, hash, time_ns, recv_ns);
  if (verdict <= WB_VERDICT_REPLACE) wb_arbiter_applied(a, 0, line, hash, time_ns, recv_ns);
  return verdict;
}

static wb_load snapshot(wb_arbiter *a, uint32_t line, bool same) {
  wb_load load = wb_arbiter_load(a, 0, line, same);
  wb_arbiter_loaded(a, 0, line, load, same, S);
  return load;
}

/* Two lines, both live, in step and placed, the book at time 100. */
static wb_arbiter *both(void) {
  wb_arbiter *a = arbiter_open(2);
  for (uint32_t line = A; line <= B; line++) wb_arbiter_connected(a, 0, line, S);
  cr_assert_eq(snapshot(a, A, false), WB_LOAD_NOW);
  cr_assert_eq(say(a, A, 1, 80, S), WB_VERDICT_APPLY);
  cr_assert_eq(snapshot(a, B, true), WB_LOAD_NEVER);
  cr_assert_eq(say(a, A, 11, 90, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, B, 11, 90, S), WB_VERDICT_OWED); /* perhaps not the same, but one that says the same within this time */
  cr_assert_eq(say(a, A, 12, 100, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, B, 12, 100, S), WB_VERDICT_DUPLICATE);
  a->line[B].late = a->line[B].duplicates = a->line[A].wins = 0;
  return a;
}

/* ------------------------------------------------------------------------------------------------ hash */

Test(arbiter, a_hash_changes_with_every_bit_and_with_the_length_and_reads_nothing_else) {
  uint8_t bytes[300];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 37);
  for (size_t count = 0; count <= 200; count++) {
    uint8_t *exact = malloc(count ? count : 1); /* what lies behind is the sanitizer's */
    memcpy(exact, bytes, count);
    uint64_t hash = wb_arbiter_hash(exact, count);
    cr_assert_neq(hash, 0u);
    for (size_t bit = 0; bit < 8 * count; bit++) {
      exact[bit / 8] ^= (uint8_t)(1u << bit % 8);
      cr_assert_neq(wb_arbiter_hash(exact, count), hash, "%zu bytes, bit %zu", count, bit);
      exact[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_neq(wb_arbiter_hash(bytes, count + 1), hash);
    free(exact);
  }
  memset(bytes, 0, sizeof bytes);
  for (size_t count = 0; count < 200; count++) cr_assert_neq(wb_arbiter_hash(bytes, count), wb_arbiter_hash(bytes, count + 1));
}

/* ------------------------------------------------------------------------------------------------ verdicts */

Test(arbiter, a_copy_is_dropped_and_counted_with_its_lag_and_the_first_wins_once) {
  wb_arbiter *a = arbiter_open(LINES);
  for (uint32_t line = A; line <= C; line++) wb_arbiter_connected(a, 0, line, S);
  snapshot(a, A, false);
  snapshot(a, B, true);
  snapshot(a, C, true);
  say(a, A, 6, 90, S);
  say(a, B, 6, 90, S);
  cr_assert_eq(say(a, A, 7, 100, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, B, 7, 100, S + 250), WB_VERDICT_DUPLICATE);
  cr_assert_not(wb_arbiter_copy(a, C, 7, S + 800)); /* not placed yet: the message itself must tell */
  cr_assert_eq(say(a, C, 7, 100, S + 900), WB_VERDICT_OWED);
  cr_assert_eq(say(a, A, 8, 110, S), WB_VERDICT_APPLY);
  cr_assert(wb_arbiter_copy(a, C, 8, S + 1000));
  cr_assert_not(wb_arbiter_copy(a, C, 8, S + 1000));
  cr_assert(wb_arbiter_copy(a, B, 8, S));
  cr_assert_eq(a->line[A].wins, 2u);
  cr_assert_eq(a->line[B].duplicates, 2u);
  cr_assert_eq(a->line[B].lag.min, 0u);
  cr_assert_eq(a->line[B].lag.max, 250u);
  cr_assert_eq(a->line[C].lag.count, 1u);
  cr_assert_eq(a->line[C].lag.max, 1000u);
  cr_assert_eq(a->line[A].duplicates + a->line[B].wins + a->line[C].wins, 0u);
}

Test(arbiter, the_line_that_is_in_step_goes_on_whoever_was_first) {
  wb_arbiter *a = both();
  cr_assert_eq(say(a, A, 2, 110, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, B, 2, 110, S), WB_VERDICT_DUPLICATE);
  cr_assert_eq(say(a, B, 3, 110, S), WB_VERDICT_APPLY); /* of the same time, ahead of A */
  cr_assert_eq(say(a, B, 4, 120, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, A, 3, 110, S), WB_VERDICT_DUPLICATE);
  cr_assert_eq(say(a, A, 4, 120, S), WB_VERDICT_DUPLICATE);
  cr_assert_eq(say(a, A, 5, WB_TIME_NONE, S), WB_VERDICT_APPLY);
}

Test(arbiter, a_message_said_twice_is_matched_copy_by_copy) {
  wb_arbiter *a = both();
  cr_assert_eq(say(a, A, 9, 110, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, A, 8, 110, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, A, 9, 110, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, B, 9, 110, S), WB_VERDICT_DUPLICATE);
  cr_assert_eq(say(a, B, 8, 110, S), WB_VERDICT_DUPLICATE); /* the first 9 did not put B behind it */
  cr_assert_eq(say(a, B, 9, 110, S), WB_VERDICT_DUPLICATE);
  cr_assert_eq(say(a, B, 9, 120, S), WB_VERDICT_APPLY);
}

Test(arbiter, what_is_older_than_the_book_is_late_and_what_is_newer_is_applied) {
  wb_arbiter *a = both();
  cr_assert_eq(say(a, A, 2, 200, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, B, 3, 150, S), WB_VERDICT_LATE);
  cr_assert_eq(say(a, B, 4, 250, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, A, 5, 240, S), WB_VERDICT_LATE);
  cr_assert_eq(a->line[A].late, 1u);
  cr_assert_eq(a->line[B].late, 1u);
  cr_assert_eq(shown(a), WB_STATE_LIVE);
}

Test(arbiter, what_bears_the_books_time_but_is_no_copy_is_owed_until_the_book_has_passed_it) {
  wb_arbiter *a = both();
  say(a, A, 2, 200, S);
  cr_assert_eq(say(a, B, 3, 200, S), WB_VERDICT_OWED);
  cr_assert_eq(say(a, B, 4, 210, S), WB_VERDICT_OWED); /* it may begin behind the book */
  cr_assert_eq(say(a, A, 5, 220, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, B, 6, 230, S), WB_VERDICT_APPLY);
}

Test(arbiter, a_line_that_was_owed_is_in_step_when_its_last_message_is_applied_from_another) {
  wb_arbiter *a = both();
  say(a, A, 2, 200, S);
  say(a, B, 3, 200, S);
  cr_assert_eq(say(a, B, 4, 210, S), WB_VERDICT_OWED);
  cr_assert_eq(say(a, A, 4, 210, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, B, 5, 210, S), WB_VERDICT_APPLY);
}

Test(arbiter, a_book_that_is_owed_something_by_the_line_that_ends_is_resynchronised) {
  wb_arbiter *a = both();
  say(a, A, 2, 200, S);
  cr_assert_eq(say(a, B, 3, 200, S), WB_VERDICT_OWED);
  cr_assert_eq(shown(a), WB_STATE_LIVE);
  wb_arbiter_disconnected(a, 0, A, S);
  cr_assert_eq(state_of(a, B), WB_STATE_STALE);
  cr_assert_eq(wb_arbiter_place_of(a, 0, B)->recover.reason, WB_REASON_OUT_OF_STEP);
  cr_assert_eq(shown(a), WB_STATE_STALE);
  cr_assert_eq(say(a, B, 4, 210, S), WB_VERDICT_NOT_LIVE);
  cr_assert_eq(snapshot(a, B, false), WB_LOAD_NOW);
  cr_assert_eq(say(a, B, 5, 150, S), WB_VERDICT_APPLY);
}

Test(arbiter, a_line_that_ends_leaves_the_book_live_by_the_other) {
  wb_arbiter *a = both();
  say(a, A, 2, 200, S);
  say(a, A, 3, 210, S);
  say(a, B, 2, 200, S);
  wb_arbiter_disconnected(a, 0, A, S);
  cr_assert_eq(shown(a), WB_STATE_LIVE);
  cr_assert_eq(say(a, B, 3, 210, S), WB_VERDICT_DUPLICATE); /* it catches up first */
  cr_assert_eq(say(a, B, 4, 220, S), WB_VERDICT_APPLY);
  wb_arbiter_disconnected(a, 0, B, S);
  cr_assert_eq(shown(a), WB_STATE_STALE);
}

Test(arbiter, a_line_out_of_place_for_too_long_asks_for_a_snapshot_while_the_book_stays_live) {
  wb_arbiter *a = both();
  say(a, B, 2, 200, S);
  for (uint64_t i = 0; i <= 11; i++) {
    cr_assert_eq(say(a, A, 200 + i, 200 + (int64_t)i, S + i * WB_ARBITER_PATIENCE_NS / 10), WB_VERDICT_OWED);
    cr_assert_eq(state_of(a, A), i <= 10 ? WB_STATE_LIVE : WB_STATE_STALE);
  }
  cr_assert_eq(shown(a), WB_STATE_LIVE);
  cr_assert_eq(state_of(a, B), WB_STATE_LIVE);
}

Test(arbiter, a_line_that_finds_its_place_again_and_again_is_left_alone) {
  wb_arbiter *a = both();
  for (uint64_t i = 0; i < 100; i++) {
    uint64_t recv_ns = S + i * WB_ARBITER_PATIENCE_NS / 10;
    cr_assert_eq(say(a, A, 1000 + i, 200 + 10 * (int64_t)i, recv_ns), WB_VERDICT_APPLY);
    cr_assert_eq(say(a, B, 5000 + i, 200 + 10 * (int64_t)i, recv_ns), WB_VERDICT_OWED);
  }
  cr_assert_eq(state_of(a, B), WB_STATE_LIVE);
}

Test(arbiter, the_only_live_line_is_not_late_for_ever) {
  wb_arbiter *a = both();
  say(a, A, 2, 1000, S);
  wb_arbiter_disconnected(a, 0, A, S);
  cr_assert_eq(say(a, B, 3, 900, S), WB_VERDICT_LATE);
  cr_assert_eq(shown(a), WB_STATE_LIVE);
  cr_assert_eq(say(a, B, 4, 901, S + WB_ARBITER_PATIENCE_NS + 1), WB_VERDICT_LATE);
  cr_assert_eq(state_of(a, B), WB_STATE_STALE);
}

/* ------------------------------------------------------------------------------------------------ snapshots */

Test(arbiter, a_snapshot_for_a_live_book_waits_and_replaces_it_with_the_update_behind_it_if_that_is_newer) {
  wb_arbiter *a = both();
  wb_arbiter_disconnected(a, 0, B, S);
  wb_arbiter_connected(a, 0, B, S);
  cr_assert_eq(snapshot(a, B, false), WB_LOAD_LATER);
  cr_assert_eq(say(a, B, 50, 400, S), WB_VERDICT_REPLACE);
  cr_assert_eq(say(a, A, 51, 300, S), WB_VERDICT_LATE);
  cr_assert_eq(say(a, A, 50, 400, S), WB_VERDICT_OWED); /* the snapshot may hold another of this time */
  cr_assert_eq(say(a, B, 52, 410, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, A, 52, 410, S), WB_VERDICT_DUPLICATE);
  cr_assert_eq(say(a, A, 53, 410, S), WB_VERDICT_APPLY);
}

Test(arbiter, a_snapshot_whose_next_update_is_not_newer_is_not_needed) {
  static const struct {
    uint64_t hash;
    int64_t time_ns;
    wb_verdict verdict;
  } cases[] = {
      {12, 100, WB_VERDICT_OWED}, {50, 90, WB_VERDICT_LATE}, {50, 100, WB_VERDICT_OWED}, {50, WB_TIME_NONE, WB_VERDICT_OWED}};
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    wb_arbiter *a = both();
    wb_arbiter_disconnected(a, 0, B, S);
    wb_arbiter_connected(a, 0, B, S);
    snapshot(a, B, false);
    cr_assert_eq(say(a, B, cases[i].hash, cases[i].time_ns, S), cases[i].verdict, "case %u", i);
    cr_assert_eq(wb_arbiter_book_of(a, 0)->waiting, WB_LINE_NONE);
    cr_assert_eq(shown(a), WB_STATE_LIVE);
  }
}

Test(arbiter, what_was_applied_before_a_book_began_anew_is_no_copy) {
  wb_arbiter *a = both();
  say(a, A, 2, 200, S);
  wb_arbiter_disconnected(a, 0, A, S);
  wb_arbiter_disconnected(a, 0, B, S);
  wb_arbiter_connected(a, 0, A, S);
  wb_arbiter_connected(a, 0, B, S);
  cr_assert_eq(snapshot(a, A, false), WB_LOAD_NOW); /* of a server that is far behind */
  cr_assert_eq(snapshot(a, B, true), WB_LOAD_NEVER);
  say(a, A, 5, 150, S);
  say(a, B, 5, 150, S);
  say(a, A, 6, 160, S);
  cr_assert_eq(say(a, B, 6, 160, S), WB_VERDICT_DUPLICATE);
  say(a, A, 7, 170, S);
  cr_assert_not(wb_arbiter_copy(a, B, 2, S));
  cr_assert_eq(say(a, B, 2, 200, S), WB_VERDICT_APPLY);
  cr_assert_eq(say(a, A, 2, 200, S), WB_VERDICT_DUPLICATE);
}

Test(arbiter, a_book_that_is_wrong_by_its_content_is_wrong_on_all_lines) {
  wb_arbiter *a = both();
  wb_arbiter_suspect(a, 0, WB_LINE_NONE, WB_REASON_CROSSED, WB_REJECT_NONE, S);
  cr_assert_eq(state_of(a, A), WB_STATE_STALE);
  cr_assert_eq(state_of(a, B), WB_STATE_STALE);
  cr_assert_eq(snapshot(a, A, false), WB_LOAD_NOW);
  cr_assert_eq(snapshot(a, B, false), WB_LOAD_LATER);
  cr_assert_eq(shown(a), WB_STATE_LIVE);
}

Test(arbiter, a_rejected_message_concerns_its_line_alone) {
  wb_arbiter *a = both();
  wb_arbiter_suspect(a, 0, A, WB_REASON_REJECTED, WB_REJECT_BAD_NUMBER, S);
  cr_assert_eq(state_of(a, A), WB_STATE_STALE);
  cr_assert_eq(shown(a), WB_STATE_LIVE);
  cr_assert_eq(say(a, B, 2, 200, S), WB_VERDICT_APPLY);
}

Test(arbiter, copies_are_known_for_as_many_messages_as_are_kept_and_then_told_by_time) {
  wb_arbiter *a = both();
  for (uint32_t i = 0; i < WB_ARBITER_MESSAGES + 10; i++) say(a, A, 1000 + i, 1000 + i, S);
  cr_assert_eq(say(a, B, 1009, 1009, S), WB_VERDICT_LATE);
  cr_assert_eq(say(a, B, 1010, 1010, S), WB_VERDICT_DUPLICATE);
  cr_assert_eq(say(a, B, 1009 + WB_ARBITER_MESSAGES, 1009 + WB_ARBITER_MESSAGES, S), WB_VERDICT_DUPLICATE);
  cr_assert_eq(say(a, B, 5, 999999, S), WB_VERDICT_APPLY);
}

Test(arbiter, the_table_holds_when_its_positions_wrap) {
  wb_arbiter *a = both();
  a->position = UINT32_MAX - 100;
  for (uint32_t i = 0; i < 40000; i++) {
    cr_assert_eq(say(a, A, 1000 + i * 7, 1000 + i, S), WB_VERDICT_APPLY);
    if (i >= 100) cr_assert_eq(say(a, B, 1000 + (i - 100) * 7, 900 + i, S), WB_VERDICT_DUPLICATE, "message %u", i);
  }
}

/* ------------------------------------------------------------------------------------------------ against a source
 *
 * A source is a history of sizes of a few levels. Each line sends it cut into messages in its own way (or all the same), with a delay of its own, and
 * is now and then cut off; then it begins again with a snapshot. Lines that cut alike may say the same bytes again and again. Whatever the arbiter lets through, a live book is the source's at some event
 * that a live line has brought, never goes back, and when all is delivered is the newest. */

enum { EVENTS = 3000, LEVELS = 5, QUEUE = EVENTS };

typedef struct event {
  int64_t time_ns;
  uint32_t level, size;
} event;

typedef struct sent {
  bool snapshot;
  uint32_t first, end; /* events of it: first..end-1; a snapshot holds all before end */
  uint64_t due;
} sent;

typedef struct sender {
  sent queue[QUEUE];
  uint32_t head, tail, at; /* at: events sent */
  uint64_t delay, last_due;
  uint32_t cut; /* events a message, at most */
  bool up, reached_live;
} sender;

static event history[EVENTS + 1];
static uint64_t dice_state;
static uint64_t dice(uint64_t below) {
  uint64_t z = (dice_state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return (z ^ z >> 31) % below;
}

static void content(uint32_t events, uint32_t book[LEVELS]) {
  memset(book, 0, LEVELS * sizeof *book);
  for (uint32_t i = 0; i < events; i++) book[history[i].level] = history[i].size;
}

static void apply(const sent *m, uint32_t book[LEVELS]) {
  for (uint32_t i = m->first; i < m->end; i++) book[history[i].level] = history[i].size;
}

/* The bytes that two servers would both make of the same events. */
static uint64_t name_of(const sent *m) {
  event text[64];
  uint32_t count = 0;
  for (uint32_t i = m->first; i < m->end; i++) text[count++] = history[i];
  text[count - 1].time_ns = history[m->end - 1].time_ns;
  for (uint32_t i = 0; i + 1 < count; i++) text[i].time_ns = 0;
  return wb_arbiter_hash((const uint8_t *)text, count * sizeof *text);
}

static void send(sender *s, sent m, uint64_t now) {
  m.due = now + s->delay + dice(1 + s->delay / 4);
  if (m.due < s->last_due) m.due = s->last_due;
  s->last_due = m.due;
  s->queue[s->head++ % QUEUE] = m;
}

static void run(uint64_t seed, uint64_t counts[8]) {
  dice_state = seed;
  bool alike = dice(3) != 0;         /* all lines cut their messages at the same events */
  uint64_t same_time = 1 + dice(4);  /* events of one time */
  uint64_t quiet = dice(2) ? 0 : 40; /* between bursts */
  uint32_t lines = 2 + (uint32_t)dice(2);
  int64_t time_ns = 1000;
  for (uint32_t i = 0; i < EVENTS; i++) {
    if (dice(same_time) == 0) time_ns += 1 + (int64_t)dice(5);
    history[i] = (event){.time_ns = time_ns, .level = (uint32_t)dice(LEVELS), .size = alike ? (uint32_t)dice(3) : i};
  }
  bool boundary[EVENTS + 1] = {false};
  for (uint32_t i = 1; i <= EVENTS; i++) boundary[i] = dice(2) || i == EVENTS;
  wb_arbiter *a = arbiter_open(lines);
  static sender senders[LINES];
  memset(senders, 0, sizeof senders);
  for (uint32_t i = 0; i < lines; i++) senders[i].delay = dice(3) ? dice(6) : 20 + dice(60);
  uint32_t book[LEVELS] = {0}, staged[LEVELS] = {0}, made = 0, low = 0, end_of_staged = 0;
  bool was_live = false;
  uint64_t drops = 0;
  for (uint64_t now = 0; now < EVENTS * 3; now++) {
    uint64_t recv_ns = S + now * 20000000;
    if (made < EVENTS && (!quiet || now % 100 > quiet)) made += (uint32_t)dice(3);
    if (made > EVENTS) made = EVENTS;
    for (uint32_t i = 0; i < lines; i++) {
      sender *s = &senders[i];
      bool calm = now > EVENTS * 2;
      if (!s->up ? dice(30) == 0 || calm : !calm && dice(400) == 0) {
        s->up = !s->up;
        s->head = s->tail = 0;
        s->last_due = 0;
        if (s->up) {
          wb_arbiter_connected(a, 0, i, recv_ns);
          s->at = made;
          send(s, (sent){.snapshot = true, .end = made}, now);
        } else {
          wb_arbiter_disconnected(a, 0, i, recv_ns);
          drops++;
        }
      }
      if (!s->up) continue;
      const wb_arbiter_place *place = wb_arbiter_place_of(a, 0, i);
      if (place->recover.state == WB_STATE_STALE && !place->recover.awaiting && dice(20) == 0) { /* asked for anew */
        wb_recover_connected(&wb_arbiter_place_of(a, 0, i)->recover, recv_ns);
        s->at = made;
        send(s, (sent){.snapshot = true, .end = made}, now);
      }
      for (uint32_t end = s->at + 1; end <= made; end++) {
        bool whole = alike ? boundary[end] : dice(2) == 0 || end == EVENTS || end - s->at == 60;
        if (!whole) continue;
        send(s, (sent){.first = s->at, .end = end}, now);
        s->at = end;
      }
      while (s->tail < s->head && s->queue[s->tail % QUEUE].due <= now) {
        sent m = s->queue[s->tail++ % QUEUE];
        if (m.snapshot) {
          uint32_t whole[LEVELS];
          content(m.end, whole);
          bool same = memcmp(whole, book, sizeof book) == 0;
          wb_arbiter_book_of(a, 0)->waiting = WB_LINE_NONE;
          wb_load load = wb_arbiter_load(a, 0, i, same);
          wb_arbiter_loaded(a, 0, i, load, same, recv_ns);
          counts[load == WB_LOAD_NOW ? 5 : load == WB_LOAD_LATER ? 6 : 7]++;
          memcpy(staged, whole, sizeof staged);
          end_of_staged = m.end;
          if (load == WB_LOAD_NOW) memcpy(book, whole, sizeof book), low = m.end;
          continue;
        }
        uint64_t hash = name_of(&m);
        int64_t at_ns = history[m.end - 1].time_ns;
        wb_verdict verdict =
            wb_arbiter_copy(a, i, hash, recv_ns) ? WB_VERDICT_DUPLICATE : wb_arbiter_update(a, 0, i, hash, at_ns, recv_ns);
        counts[verdict < 5 ? verdict : 4]++;
        if (verdict > WB_VERDICT_REPLACE) continue;
        if (verdict == WB_VERDICT_REPLACE) {
          cr_assert_leq(end_of_staged, m.first);
          memcpy(book, staged, sizeof book);
        }
        apply(&m, book);
        wb_arbiter_applied(a, 0, i, hash, at_ns, recv_ns);
        uint32_t want[LEVELS];
        content(m.end, want);
        cr_assert_eq(memcmp(want, book, sizeof book), 0, "seed %llu: the book after event %u is not the source's",
                     (unsigned long long)seed, m.end);
        if (m.end < low) { /* but between messages of one time that have the same bytes */
          content(low, want);
          cr_assert(history[m.end - 1].time_ns == history[low - 1].time_ns && memcmp(want, book, sizeof book) == 0,
                    "seed %llu: the book goes back from event %u to %u", (unsigned long long)seed, low, m.end);
        }
        low = m.end;
      }
    }
    bool live = shown(a) == WB_STATE_LIVE;
    was_live |= live;
    uint32_t up = 0;
    for (uint32_t i = 0; i < lines; i++) up += state_of(a, i) == WB_STATE_LIVE;
    cr_assert_eq(live, up > 0, "seed %llu", (unsigned long long)seed);
  }
  uint32_t want[LEVELS];
  content(EVENTS, want);
  cr_assert(was_live && shown(a) == WB_STATE_LIVE, "seed %llu: not live at the end", (unsigned long long)seed);
  cr_assert_eq(memcmp(want, book, sizeof book), 0, "seed %llu: the book at the end is not the source's",
               (unsigned long long)seed);
  arbiter_close(a);
}

Test(arbiter, whatever_the_lines_do_a_live_book_is_the_sources_and_never_goes_back) {
  const char *given = getenv("WIREBOOK_SEED");
  uint64_t first = given ? strtoull(given, NULL, 0) : 1, counts[8] = {0};
  for (uint64_t seed = first; seed < first + (given ? 1 : 150); seed++) run(seed, counts);
  for (unsigned i = 0; i < 8; i++) cr_assert_gt(counts[i], 0u, "outcome %u never happened", i);
  printf("seeds %llu..: %llu applied, %llu replaced, %llu copies, %llu late, %llu owed\n", (unsigned long long)first,
         (unsigned long long)counts[0], (unsigned long long)counts[1], (unsigned long long)counts[2],
         (unsigned long long)counts[3], (unsigned long long)counts[4]);
}
