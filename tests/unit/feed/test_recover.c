#include <criterion/criterion.h>
#include <string.h>

#include "engine/feed/recover.h"

static const uint64_t S = UINT64_C(1000000000);

static wb_recover make(void) {
  wb_recover recover;
  wb_recover_init(&recover, &wb_recover_default, 5 * S);
  return recover;
}

Test(recover, a_new_product_waits_and_asks_for_nothing_while_the_line_is_down) {
  wb_recover r = make();
  cr_assert_eq(r.state, WB_STATE_WAITING);
  cr_assert_eq(r.reason, WB_REASON_START);
  for (uint64_t t = 5; t < 100; t++) cr_assert_eq(wb_recover_poll(&r, t * S), WB_ACTION_NONE);
}

Test(recover, a_connected_line_has_ten_seconds_for_its_snapshot) {
  wb_recover r = make();
  wb_recover_connected(&r, 6 * S);
  cr_assert_eq(wb_recover_poll(&r, 15 * S), WB_ACTION_NONE);
  cr_assert_eq(wb_recover_poll(&r, 16 * S), WB_ACTION_RESUBSCRIBE);
  cr_assert_eq(r.state, WB_STATE_WAITING);
  cr_assert_eq(r.reason, WB_REASON_NOT_ACKNOWLEDGED);
}

Test(recover, silence_after_an_ack_is_told_from_no_ack) {
  wb_recover r = make();
  wb_recover_connected(&r, 6 * S);
  r.acknowledged = true;
  cr_assert_eq(wb_recover_poll(&r, 17 * S), WB_ACTION_RESUBSCRIBE);
  cr_assert_eq(r.reason, WB_REASON_SILENT);
}

Test(recover, a_snapshot_makes_the_book_live_and_a_suspicion_stale_at_once_and_asks_at_once) {
  wb_recover r = make();
  wb_recover_connected(&r, 6 * S);
  wb_recover_snapshot(&r, 7 * S);
  cr_assert_eq(r.state, WB_STATE_LIVE);
  cr_assert_eq(wb_recover_poll(&r, 1000 * S), WB_ACTION_NONE);
  wb_recover_suspect(&r, WB_REASON_REJECTED, WB_REJECT_BAD_NUMBER, 1001 * S);
  cr_assert_eq(r.state, WB_STATE_STALE);
  cr_assert_eq(r.reject, WB_REJECT_BAD_NUMBER);
  cr_assert_eq(wb_recover_poll(&r, 1001 * S), WB_ACTION_RESUBSCRIBE);
  cr_assert_eq(r.state, WB_STATE_RESYNCING);
  cr_assert_eq(r.reason, WB_REASON_REJECTED);
  wb_recover_snapshot(&r, 1002 * S);
  cr_assert_eq(r.state, WB_STATE_LIVE);
  cr_assert_eq(r.tries, 0u);
}

/* Every answer is bad again, and the line comes back at once when it is reconnected. Returns when what was asked for. */
static unsigned insist(wb_recover *r, bool acknowledged, uint64_t seconds, uint64_t *asked, unsigned max,
                       unsigned *reconnects) {
  unsigned count = 0;
  *reconnects = 0;
  for (uint64_t t = 8 * S; t < seconds * S; t += S / 10) {
    r->acknowledged = acknowledged;
    wb_recover_suspect(r, WB_REASON_REJECTED, WB_REJECT_BAD_JSON, t);
    wb_action action = wb_recover_poll(r, t);
    if (action == WB_ACTION_NONE) continue;
    if (count < max) asked[count++] = t;
    if (action != WB_ACTION_RECONNECT) continue;
    ++*reconnects;
    wb_recover_disconnected(r, t);
    wb_recover_connected(r, t);
  }
  return count;
}

Test(recover, resyncs_of_a_product_that_keeps_failing_are_a_second_apart_then_double_up_to_half_a_minute) {
  wb_recover r = make();
  wb_recover_connected(&r, 6 * S);
  wb_recover_snapshot(&r, 7 * S);
  uint64_t asked[64];
  unsigned reconnects, count = insist(&r, false, 200, asked, 64, &reconnects);
  static const uint64_t apart[] = {1, 2, 4, 8, 16, 30, 30, 30};
  cr_assert_geq(count, 9u);
  cr_assert_eq(asked[0], 8 * S);
  for (unsigned i = 0; i < 8; i++) cr_assert_eq(asked[i + 1] - asked[i], apart[i] * S, "%u", i);
}

Test(recover, the_line_is_reconnected_once_for_a_product_that_is_served_but_stays_wrong) {
  wb_recover r = make();
  wb_recover_connected(&r, 6 * S);
  wb_recover_snapshot(&r, 7 * S);
  uint64_t asked[256];
  unsigned reconnects;
  insist(&r, true, 2000, asked, 256, &reconnects);
  cr_assert_eq(reconnects, 1u);
  wb_recover_snapshot(&r, 2001 * S);
  cr_assert_not(r.reconnected);
}

Test(recover, the_line_is_never_reconnected_for_a_product_that_the_exchange_does_not_acknowledge) {
  wb_recover r = make();
  wb_recover_connected(&r, 6 * S);
  uint64_t asked[256];
  unsigned reconnects, count = insist(&r, false, 2000, asked, 256, &reconnects);
  cr_assert_eq(reconnects, 0u);
  cr_assert_gt(count, 60u); /* and goes on being asked for */
}

Test(recover, a_lost_line_makes_a_live_book_stale_and_leaves_a_waiting_one_waiting) {
  wb_recover live = make(), waiting = make();
  wb_recover_connected(&live, 6 * S);
  wb_recover_snapshot(&live, 7 * S);
  wb_recover_disconnected(&live, 8 * S);
  wb_recover_disconnected(&waiting, 8 * S);
  cr_assert_eq(live.state, WB_STATE_STALE);
  cr_assert_eq(live.since_ns, 8 * S);
  cr_assert_eq(waiting.state, WB_STATE_WAITING);
  cr_assert_eq(wb_recover_poll(&live, 100 * S), WB_ACTION_NONE);
}

Test(recover, the_first_reason_of_a_stale_book_is_kept) {
  wb_recover r = make();
  wb_recover_connected(&r, 6 * S);
  wb_recover_snapshot(&r, 7 * S);
  wb_recover_suspect(&r, WB_REASON_CROSSED, WB_REJECT_NONE, 8 * S);
  wb_recover_suspect(&r, WB_REASON_REJECTED, WB_REJECT_BAD_JSON, 9 * S);
  cr_assert_eq(r.reason, WB_REASON_CROSSED);
  cr_assert_eq(r.since_ns, 8 * S);
}

Test(recover, every_state_and_reason_has_a_text) {
  for (int i = 0; i < 5; i++) cr_assert(strlen(wb_state_name((wb_state)i)) > 3);
  for (int i = 1; i < WB_REASON_COUNT; i++) cr_assert(strlen(wb_reason_text((wb_reason)i)) > 5);
  cr_assert_str_eq(wb_state_name((wb_state)99), "unknown");
  cr_assert_str_eq(wb_reason_text((wb_reason)99), "unknown");
}

Test(recover, a_replay_that_reads_of_a_resync_counts_it_and_waits_for_the_snapshot) {
  wb_recover r;
  wb_recover_init(&r, &wb_recover_default, 0);
  wb_recover_connected(&r, 1);
  wb_recover_asked(&r, 2);
  cr_assert_eq(r.state, WB_STATE_WAITING);
  wb_recover_snapshot(&r, 3);
  wb_recover_asked(&r, 4);
  cr_assert_eq(r.state, WB_STATE_LIVE, "a snapshot asked for earlier came before the note");
  wb_recover_suspect(&r, WB_REASON_TICKER, WB_REJECT_NONE, 5);
  wb_recover_asked(&r, 6);
  cr_assert_eq(r.state, WB_STATE_RESYNCING);
  cr_assert_eq(r.reason, WB_REASON_TICKER);
  cr_assert_eq(r.resyncs, 3u);
}
