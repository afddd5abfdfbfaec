#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/feed/witness.h"

static const int64_t T = INT64_C(1785649440000000000), MS = 1000000, S = 1000000000;
static const wb_witness_config *const config = &wb_witness_default;
static wb_witness w;
static wb_evidence found;

static void setup(void) {
  memset(&w, 0, sizeof w);
  wb_witness_connected(&w);
}
TestSuite(witness, .init = setup);

/* ------------------------------------------------------------------------------------------------ settings */

Test(witness, words_that_say_no_policy_are_refused_and_named) {
  static const char *const words[] = {
      "",          "on",          "ticker",         "ticker=",      "ticker=on", "=off", "tickers=off",
      "ticke=off", "ticker=off ", "ticker=resyncs", "TICKER=count", "off=off",   "?=off"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    char word[32];
    strcpy(word, words[i]);
    wb_witness_config read;
    wb_error error = {0};
    cr_assert_eq(wb_witness_config_read(&read, (char *[]){word, NULL}, &error), WB_E_CONFIG, "%s", word);
    cr_assert(strstr(error.detail, "--witness '"));
    cr_assert_eq(wb_witness_config_read(&read, (char *[]){word, NULL}, NULL), WB_E_CONFIG);
  }
}

Test(witness, words_change_the_defaults_in_their_order) {
  wb_witness_config read;
  cr_assert_eq(wb_witness_config_read(&read, (char *[]){NULL}, NULL), 0);
  cr_assert_eq(memcmp(read.policy, config->policy, sizeof read.policy), 0);
  char off[] = "off", ticker[] = "ticker=resync", time[] = "time=count";
  cr_assert_eq(wb_witness_config_read(&read, (char *[]){time, off, ticker, NULL}, NULL), 0);
  for (unsigned i = 0; i < WB_ALARM_COUNT; i++)
    cr_assert_eq(read.policy[i], i == WB_ALARM_TICKER ? WB_WITNESS_RESYNC : WB_WITNESS_OFF);
  cr_assert_eq(wb_witness_config_read(&read, (char *[]){off, time, NULL}, NULL), 0);
  cr_assert_eq(read.policy[WB_ALARM_TIME], WB_WITNESS_COUNT);
}

Test(witness, every_alarm_has_a_name_and_a_reason_of_its_own) {
  for (unsigned i = 0; i < WB_ALARM_COUNT; i++) {
    cr_assert_neq(wb_alarm_reason((wb_alarm)i), WB_REASON_NONE);
    cr_assert(*wb_reason_text(wb_alarm_reason((wb_alarm)i)));
    for (unsigned j = 0; j < i; j++) {
      cr_assert_str_neq(wb_alarm_name((wb_alarm)i), wb_alarm_name((wb_alarm)j));
      cr_assert_neq(wb_alarm_reason((wb_alarm)i), wb_alarm_reason((wb_alarm)j));
    }
  }
  cr_assert_str_eq(wb_alarm_name(WB_ALARM_COUNT), "?");
  cr_assert_eq(wb_alarm_reason(WB_ALARM_COUNT), WB_REASON_NONE);
}

/* ------------------------------------------------------------------------------------------------ time */

Test(witness, an_update_older_than_the_one_before_it_is_an_alarm_and_an_equal_one_none) {
  cr_assert_not(wb_witness_update(&w, 0, T, &found));
  cr_assert_not(wb_witness_update(&w, 0, T, &found));
  cr_assert_not(wb_witness_update(&w, 0, T + 1, &found));
  cr_assert(wb_witness_update(&w, 0, T, &found));
  cr_assert_eq(found.seen, (uint64_t)T);
  cr_assert_eq(found.expected, (uint64_t)T + 1);
  cr_assert_eq(found.unit, WB_UNIT_NS);
  cr_assert_not(wb_witness_update(&w, 0, T, &found), "the step is the alarm, not what follows it");
}

Test(witness, each_line_has_a_time_of_its_own) {
  cr_assert_not(wb_witness_update(&w, 0, T, &found));
  cr_assert_not(wb_witness_update(&w, 1, T - S, &found));
  cr_assert_not(wb_witness_update(&w, 0, T, &found));
  cr_assert(wb_witness_update(&w, 1, T - 2 * S, &found));
}

Test(witness, no_time_a_snapshot_and_a_new_connection_are_no_step_back) {
  cr_assert_not(wb_witness_update(&w, 0, T, &found));
  cr_assert_not(wb_witness_update(&w, 0, WB_TIME_NONE, &found));
  cr_assert(wb_witness_update(&w, 0, T - 1, &found));
  wb_witness_snapshot(&w, 0);
  cr_assert_not(wb_witness_update(&w, 0, T - S, &found));
  wb_witness_connected(&w);
  cr_assert_not(wb_witness_update(&w, 0, T - 2 * S, &found));
}

/* ------------------------------------------------------------------------------------------------ silent, heartbeat */

static bool beat(int64_t second, uint64_t sequence, uint64_t messages) {
  return wb_witness_heartbeat(&w, config, sequence, T + second * S, messages, true, &found);
}

Test(witness, heartbeats_whose_sequence_grows_while_no_level_2_message_comes_are_an_alarm) {
  for (int second = 0; second < 10; second++) cr_assert_not(beat(second, 1000 + 20 * (uint64_t)second, 7));
  cr_assert(beat(10, 1300, 7));
  cr_assert_eq(found.seen, 300u);
  for (int second = 11; second < 20; second++)
    cr_assert_not(beat(second, 1300 + 100 * (uint64_t)second, 7), "not each second again");
  cr_assert(beat(20, 9000, 7));
}

Test(witness, a_product_in_which_nothing_happens_is_no_alarm) {
  for (int second = 0; second < 3600; second++) cr_assert_not(beat(second, 1000 + (uint64_t)second % 2, 7));
}

Test(witness, level_2_messages_now_and_then_are_no_alarm) {
  for (int second = 0; second < 3600; second++) cr_assert_not(beat(second, 1000 * (uint64_t)second, (uint64_t)second / 9));
}

Test(witness, a_book_that_takes_no_messages_is_not_called_silent) {
  for (int second = 0; second < 100; second++)
    cr_assert_not(wb_witness_heartbeat(&w, config, 1000 * (uint64_t)second, T + second * S, 7, false, &found));
}

Test(witness, sequences_and_times_that_go_back_begin_anew) {
  cr_assert_not(beat(0, UINT64_MAX, 7));
  cr_assert_not(beat(20, 5, 7));
  cr_assert_not(beat(10, 500, 7));
  cr_assert_not(beat(19, 5000, 7));
  cr_assert(beat(20, 5000, 7));
}

Test(witness, times_as_far_apart_as_times_can_be_are_harmless) {
  static const int64_t times[] = {INT64_MIN + 1, -1, 0, 1, INT64_MAX};
  for (unsigned a = 0; a < 5; a++)
    for (unsigned b = 0; b < 5; b++) {
      setup();
      wb_witness_heartbeat(&w, config, 1, times[a], 7, true, &found);
      wb_witness_late(&w, config, times[b], &found);
      wb_witness_trade(&w, 1, &found);
      wb_witness_last_trade(&w, config, 9, times[a], &found);
      wb_witness_last_trade(&w, config, 9, times[b], &found);
      bool alarm = wb_witness_heartbeat(&w, config, 1000, times[b], 7, true, &found);
      cr_assert(!alarm || b > a);
    }
}

Test(witness, heartbeats_that_stop_while_the_line_goes_on_are_one_alarm_until_they_come_again) {
  cr_assert_not(wb_witness_late(&w, config, T + 100 * S, &found), "there were none yet");
  beat(0, 1, 1);
  cr_assert_not(wb_witness_late(&w, config, T + 4 * S, &found));
  cr_assert_not(wb_witness_late(&w, config, T + 50 * S, &found), "one message may lie about its time");
  beat(1, 1, 1);
  cr_assert_not(wb_witness_late(&w, config, T + 6 * S, &found));
  cr_assert(wb_witness_late(&w, config, T + 7 * S, &found));
  cr_assert_eq(found.seen, (uint64_t)(6 * S));
  for (int i = 0; i < 10; i++) cr_assert_not(wb_witness_late(&w, config, T + (8 + i) * S, &found));
  beat(20, 1, 1);
  cr_assert_not(wb_witness_late(&w, config, T + 26 * S, &found));
  cr_assert(wb_witness_late(&w, config, T + 26 * S, &found));
}

Test(witness, heartbeats_without_times_say_nothing) {
  for (int i = 0; i < 100; i++) {
    cr_assert_not(wb_witness_heartbeat(&w, config, 1000 * (uint64_t)i, WB_TIME_NONE, 7, true, &found));
    cr_assert_not(wb_witness_late(&w, config, T + i * S, &found));
    cr_assert_not(wb_witness_last_trade(&w, config, 1000 * (uint64_t)i, WB_TIME_NONE, &found));
  }
}

/* ------------------------------------------------------------------------------------------------ trades */

Test(witness, a_hole_in_the_trade_ids_is_an_alarm_that_names_it) {
  cr_assert_not(wb_witness_trade(&w, 881613, &found), "the first may be any");
  cr_assert_not(wb_witness_trade(&w, 881614, &found));
  cr_assert(wb_witness_trade(&w, 881618, &found));
  cr_assert_eq(found.expected, 881615u);
  cr_assert_eq(found.seen, 881617u);
  cr_assert_eq(w.lost_trades, 3u);
  cr_assert_not(wb_witness_trade(&w, 881619, &found));
}

Test(witness, trades_that_come_twice_late_or_on_another_line_are_no_hole) {
  static const uint64_t ids[] = {5, 6, 6, 5, 7, 7, 6, 8};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) cr_assert_not(wb_witness_trade(&w, ids[i], &found));
  cr_assert_eq(w.lost_trades, 0u);
}

Test(witness, trades_missed_while_disconnected_are_no_hole) {
  wb_witness_trade(&w, 5, &found);
  wb_witness_connected(&w);
  cr_assert_not(wb_witness_trade(&w, 500, &found));
}

Test(witness, a_trade_that_a_heartbeat_tells_of_may_come_later_but_has_to_come) {
  wb_witness_trade(&w, 100, &found);
  cr_assert_not(wb_witness_last_trade(&w, config, 103, T, &found));
  cr_assert_not(wb_witness_last_trade(&w, config, 103, T + S, &found));
  for (uint64_t id = 101; id <= 103; id++) cr_assert_not(wb_witness_trade(&w, id, &found));
  cr_assert_not(wb_witness_last_trade(&w, config, 105, T + 2 * S, &found));
  cr_assert_not(wb_witness_last_trade(&w, config, 107, T + 3 * S, &found));
  cr_assert(wb_witness_last_trade(&w, config, 108, T + 4 * S, &found));
  cr_assert_eq(found.expected, 104u);
  cr_assert_eq(found.seen, 105u);
  cr_assert_eq(w.lost_trades, 2u);
  cr_assert(wb_witness_last_trade(&w, config, 108, T + 6 * S, &found));
  cr_assert_eq(found.expected, 106u);
  cr_assert_eq(found.seen, 108u);
  cr_assert_eq(w.lost_trades, 5u);
  cr_assert_not(wb_witness_last_trade(&w, config, 108, T + 60 * S, &found));
}

Test(witness, where_no_trades_are_subscribed_heartbeats_tell_of_none_lost) {
  for (int i = 0; i < 100; i++) cr_assert_not(wb_witness_last_trade(&w, config, (uint64_t)i, T + i * S, &found));
}

/* ------------------------------------------------------------------------------------------------ ticker */

static wb_touch touch(uint64_t bid, uint64_t bid_size, uint64_t ask, uint64_t ask_size) {
  return (wb_touch){.price = {bid, ask}, .size = {bid_size, ask_size}};
}

static bool ticker(int64_t ms, wb_touch ours, wb_touch theirs, bool sizes) {
  return wb_witness_ticker(&w, config, (uint64_t)(S + ms * MS), &ours, &theirs, sizes, &found);
}

static void book(int64_t ms, wb_touch ours) { wb_witness_touch(&w, config, (uint64_t)(S + ms * MS), &ours); }

Test(witness, tickers_that_say_another_price_than_a_book_that_stands_still_are_an_alarm_within_four) {
  wb_touch ours = touch(100, 5, 101, 5);
  for (int i = 0; i < 4; i++) cr_assert_not(ticker(600 * i, ours, touch(100, 5, 102, 5), true));
  cr_assert(ticker(2400, ours, touch(100, 5, 102, 5), true));
  cr_assert_eq(found.seen, 102u);
  cr_assert_eq(found.expected, 101u);
  cr_assert_eq(found.unit, WB_UNIT_PRICE);
}

Test(witness, tickers_that_say_another_size_are_an_alarm_but_not_where_they_have_none) {
  wb_touch ours = touch(100, 5, 101, 5);
  for (int i = 0; i < 100; i++) cr_assert_not(ticker(600 * i, ours, touch(100, 0, 101, 0), false));
  setup();
  for (int i = 0; i < 4; i++) cr_assert_not(ticker(600 * i, ours, touch(100, 4, 101, 5), true));
  cr_assert(ticker(2400, ours, touch(100, 4, 101, 5), true));
  cr_assert_eq(found.seen, 4u);
  cr_assert_eq(found.expected, 5u);
  cr_assert_eq(found.unit, WB_UNIT_SIZE);
}

Test(witness, a_burst_of_wrong_tickers_is_one_and_one_right_one_forgives_those_before_it) {
  wb_touch ours = touch(100, 5, 101, 5), wrong = touch(99, 5, 101, 5);
  for (int i = 0; i < 499; i++) cr_assert_not(ticker(i, ours, wrong, true));
  for (int i = 0; i < 100; i++) cr_assert_not(ticker(500 + 600 * i, ours, i % 3 == 2 ? ours : wrong, true));
}

Test(witness, a_ticker_may_be_ahead_of_the_book_or_behind_it) {
  wb_touch before = touch(100, 5, 101, 5), after = touch(100, 5, 103, 2);
  for (int i = 0; i < 100; i++) {
    int64_t at = 2000 * i;
    cr_assert_not(ticker(at, before, after, true));
    book(at + 400, after);
    cr_assert_not(ticker(at + 800, after, before, true));
    book(at + 1500, before);
  }
}

Test(witness, what_moves_within_a_batch_is_no_contradiction) {
  /* The best ask goes up and down; tickers show sizes that no batch ended with, and prices in between. */
  for (int i = 0; i < 1000; i++) {
    wb_touch ours = touch(100, 5 + (uint64_t)i % 3, 101 + (uint64_t)(i & 2), 5);
    book(50 * i, ours);
    cr_assert_not(ticker(50 * i, ours, touch(100, 9, 102, 8), true));
  }
}

Test(witness, an_empty_side_is_a_price_of_zero_to_both) {
  for (int i = 0; i < 100; i++) cr_assert_not(ticker(600 * i, touch(0, 0, 101, 5), touch(0, 0, 101, 5), true));
  for (int i = 0; i < 4; i++)
    cr_assert_not(ticker(100000 + 600 * i, touch(100, 1, 101, 5), touch(0, 0, 101, 5), true) && i < 3);
}

Test(witness, a_snapshot_and_other_units_forget_what_tickers_said) {
  wb_touch ours = touch(100, 5, 101, 5), wrong = touch(100, 5, 102, 5);
  for (int i = 0; i < 100; i++) {
    cr_assert_not(ticker(600 * i, ours, wrong, true));
    if (i % 4 == 3) wb_witness_snapshot(&w, 0);
  }
  for (int i = 0; i < 100; i++) {
    cr_assert_not(ticker(600 * i, ours, wrong, true));
    if (i % 4 == 3) wb_witness_rescaled(&w);
  }
}

Test(witness, where_receive_times_are_missing_tickers_say_nothing) {
  wb_touch ours = touch(100, 5, 101, 5), wrong = touch(1, 1, 2, 2);
  for (int i = 0; i < 100; i++) cr_assert_not(wb_witness_ticker(&w, config, 0, &ours, &wrong, true, &found));
}

/* A slow obvious witness of tickers: all touches ever, and for each judged ticker all of those around it. */
Test(witness, tickers_are_judged_as_a_slow_model_that_forgets_nothing_judges_them) {
  uint64_t seed = 0x9e3779b97f4a7c15u;
  printf("seed %llx\n", (unsigned long long)seed);
  srand((unsigned)seed);
  enum { STEPS = 100000 };
  static struct {
    uint64_t at;
    wb_touch touch;
  } all[STEPS + 1];
  uint64_t window = config->ticker_window_ns, now = 10 * (uint64_t)S, alarms = 0, since = 0;
  int count = 0, streak = 0;
  bool pending = false;
  uint64_t asked = 0;
  wb_touch ours = touch(100, 5, 104, 5), asked_touch = ours;
  for (int i = 0; i < STEPS; i++) {
    now += (uint64_t)(rand() % 400) * (uint64_t)MS;
    if (rand() % 3 == 0) {
      unsigned side = (unsigned)rand() % 2;
      if (rand() % 2) ours.price[side] = (side ? 103u : 99u) + (unsigned)rand() % 3;
      else ours.size[side] = 4u + (unsigned)rand() % 3;
      if (w.tickers) wb_witness_touch(&w, config, now, &ours);
      all[count].at = now;
      all[count++].touch = ours;
      continue;
    }
    wb_touch theirs = ours;
    if (rand() % 4) theirs.price[rand() % 2] += (uint64_t)(rand() % 5) - 2;
    if (rand() % 4 == 0) theirs.size[rand() % 2] = 4u + (unsigned)rand() % 4;
    bool expect = false;
    if (pending && now < asked + window) {
      cr_assert_not(wb_witness_ticker(&w, config, now, &ours, &theirs, true, &found));
      continue;
    }
    if (pending) {
      /* A right book is never accused: whatever was within [asked - window, asked + window) excuses. */
      bool contradicted = false;
      for (unsigned side = 0; side < 2; side++) {
        uint64_t low = UINT64_MAX, high = 0, size = 0;
        bool moved = false;
        for (int t = count - 1; t >= 0; t--) {
          bool ended = t + 1 < count && all[t + 1].at <= asked - window;
          if (all[t].at >= asked + window) continue;
          if (ended) break;
          if (low != UINT64_MAX)
            moved |= all[t].touch.price[side] != low || all[t].touch.price[side] != high || all[t].touch.size[side] != size;
          if (all[t].touch.price[side] < low) low = all[t].touch.price[side];
          if (all[t].touch.price[side] > high) high = all[t].touch.price[side];
          size = all[t].touch.size[side];
        }
        if (low == UINT64_MAX) continue;
        contradicted |=
            asked_touch.price[side] < low || asked_touch.price[side] > high || (!moved && asked_touch.size[side] != size);
      }
      int before = w.contradicted;
      expect = wb_witness_ticker(&w, config, now, &ours, &theirs, true, &found);
      bool said = expect || w.contradicted > before;
      cr_assert(!said || contradicted || since < 3, "step %d: accused although the book had it", i);
      streak = said ? streak + 1 : 0;
      cr_assert_eq(expect, streak == (int)config->ticker_tries, "step %d", i);
      if (expect) alarms++, streak = 0;
      since++;
    } else {
      cr_assert_not(wb_witness_ticker(&w, config, now, &ours, &theirs, true, &found));
    }
    pending = true;
    asked = now;
    asked_touch = theirs;
  }
  cr_assert_gt(alarms, 10u);
}

/* ------------------------------------------------------------------------------------------------ governor */

static bool alarm_at(uint64_t ns) { return wb_witness_alarm(&w, config, WB_ALARM_TICKER, true, ns); }

Test(witness, alarms_are_counted_by_kind_and_the_last_is_remembered) {
  wb_witness_alarm(&w, config, WB_ALARM_UNKNOWN, true, 1);
  wb_witness_alarm(&w, config, WB_ALARM_TIME, false, 2);
  wb_witness_alarm(&w, config, WB_ALARM_TIME, true, 3);
  cr_assert_eq(w.alarms[WB_ALARM_UNKNOWN], 1u);
  cr_assert_eq(w.alarms[WB_ALARM_TIME], 2u);
  cr_assert_eq(w.last_alarm, WB_ALARM_TIME + 1);
}

Test(witness, what_only_counts_and_what_a_stale_book_raises_resynchronises_nothing_and_costs_no_turn) {
  for (uint64_t i = 0; i < 100; i++) {
    cr_assert_not(wb_witness_alarm(&w, config, WB_ALARM_UNKNOWN, true, i));
    cr_assert_not(wb_witness_alarm(&w, config, WB_ALARM_TICKER, false, i));
  }
  cr_assert(alarm_at(100));
}

Test(witness, the_first_alarm_resynchronises_and_those_that_follow_wait_twice_as_long_each) {
  uint64_t at = 5 * (uint64_t)S, wait = (uint64_t)S;
  cr_assert(alarm_at(at));
  for (int i = 0; i < 15; i++) {
    cr_assert_not(alarm_at(at + 1));
    cr_assert_not(alarm_at(at + wait - 1));
    at += wait;
    cr_assert(alarm_at(at), "after %llu s", (unsigned long long)(wait / (uint64_t)S));
    wait = 2 * wait < 600 * (uint64_t)S ? 2 * wait : 600 * (uint64_t)S;
  }
}

Test(witness, ten_minutes_without_an_alarm_and_all_is_forgotten) {
  for (int i = 0; i < 8; i++) alarm_at((uint64_t)i * 200 * (uint64_t)S);
  cr_assert_not(alarm_at(1401 * (uint64_t)S));
  cr_assert(alarm_at(2001 * (uint64_t)S));
  cr_assert_not(alarm_at(2001 * (uint64_t)S + 1));
  cr_assert(alarm_at(2002 * (uint64_t)S));
}

Test(witness, a_clock_that_begins_anew_forgets_too) {
  for (int i = 0; i < 8; i++) alarm_at((uint64_t)(1000000 + 200 * i) * (uint64_t)S);
  cr_assert(alarm_at(1));
}

Test(witness, no_feed_however_it_alarms_is_resynchronised_more_than_fifty_times_an_hour) {
  unsigned worst = 0;
  /* Alarms without end but for pauses: after each run of `run` resyncs as long as it takes to be forgotten. */
  for (unsigned run = 1; run <= 14; run++) {
    setup();
    uint64_t at = 1, first[256] = {0}, done = 0;
    for (unsigned in_run = 0; done < 256; at += (uint64_t)S / 8) {
      if (!alarm_at(at)) continue;
      first[done++] = at;
      if (++in_run == run) in_run = 0, at += 600 * (uint64_t)S;
    }
    for (unsigned i = 0; i < 256; i++) {
      unsigned within = 0;
      for (unsigned j = i; j < 256 && first[j] - first[i] < 3600 * (uint64_t)S; j++) within++;
      if (within > worst) worst = within;
    }
  }
  /* And at random. */
  srand(4);
  for (int round = 0; round < 20; round++) {
    setup();
    uint64_t at = 1, first[256] = {0}, done = 0;
    while (done < 256) {
      if (alarm_at(at)) first[done++] = at;
      at += rand() % 8 ? (uint64_t)(rand() % 2000) * (uint64_t)MS : (uint64_t)(rand() % 700) * (uint64_t)S;
    }
    for (unsigned i = 0; i < 256; i++) {
      unsigned within = 0;
      for (unsigned j = i; j < 256 && first[j] - first[i] < 3600 * (uint64_t)S; j++) within++;
      if (within > worst) worst = within;
    }
  }
  printf("at worst %u an hour\n", worst);
  cr_assert_leq(worst, 50u);
  cr_assert_gt(worst, 20u, "the search looks for the worst");
}
