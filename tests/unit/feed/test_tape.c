#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/feed/tape.h"
#include "tests/unit/random.h"

#define S INT64_C(1000000000)

static wb_tape_config config_of(char *const *words) {
  wb_tape_config config;
  wb_error error;
  cr_assert_eq(wb_tape_config_read(&config, words, &error), 0, "%s", error.detail);
  return config;
}

static wb_trade trade(uint64_t id, uint64_t price, uint64_t size, int64_t time_ns) {
  return (wb_trade){
      .trade_id = id, .price = price, .size = size, .time_ns = time_ns, .taker = id & 1 ? WB_SIDE_ASK : WB_SIDE_BID};
}

Test(tape, words_that_name_no_bars_are_refused) {
  static char *const bad[][6] = {{"time"},
                                 {"time="},
                                 {"time=0"},
                                 {"time=-1"},
                                 {"time=9300000000"},
                                 {"ticks=1.5"},
                                 {"ticks="},
                                 {"volume=0.00"},
                                 {"volume=1e3"},
                                 {"hours=1"},
                                 {"off", "time=1"},
                                 {""},
                                 {"TIME=1"},
                                 {"volume= 1"},
                                 {"ticks=12x"},
                                 {"time=1", "time=2", "time=3", "time=4", "time=5"},
                                 {"volume=0.0000000000000000001"}};
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
    wb_tape_config config;
    wb_error error = {0};
    cr_expect_eq(wb_tape_config_read(&config, bad[i], &error), WB_E_CONFIG, "%s", bad[i][0]);
    cr_expect_eq(error.code, WB_E_CONFIG);
  }
}

Test(tape, words_name_steps_exactly) {
  wb_tape_config config = config_of((char *[]){"time=0.5", "ticks=100", "volume=12.50", NULL});
  cr_expect_eq(config.series_count, 3);
  cr_expect(config.series[0].kind == WB_BAR_TIME && config.series[0].step == S / 2);
  cr_expect(config.series[1].kind == WB_BAR_TICKS && config.series[1].step == 100);
  cr_expect(config.series[2].kind == WB_BAR_VOLUME && config.series[2].step == 125 && config.series[2].step_decimals == 1);
  config = config_of((char *[]){NULL});
  cr_expect(config.series_count == 1 && config.series[0].kind == WB_BAR_TIME && config.series[0].step == 60 * S);
  cr_expect_eq(config_of((char *[]){"off", NULL}).series_count, 0);
}

Test(tape, the_last_bars_are_kept_oldest_first_and_a_repeated_trade_is_in_none) {
  wb_tape_config config = config_of((char *[]){"ticks=2", NULL});
  wb_tape tape;
  wb_bar bar[WB_TAPE_BARS_KEPT];
  wb_tape_init(&tape, &config, 2, 2);
  cr_expect_eq(wb_tape_bars(&tape, 0, bar), 0);
  for (uint64_t id = 1; id <= 2 * (WB_TAPE_BARS_KEPT + 3) + 1; id++) {
    wb_trade t = trade(id, 100 + id, id, (int64_t)id * S);
    wb_tape_take(&tape, &t, true, 2, 2);
    wb_tape_take(&tape, &t, true, 2, 2);
  }
  cr_expect_eq(wb_tape_bars(&tape, 0, bar), WB_TAPE_BARS_KEPT);
  for (uint64_t i = 0; i < WB_TAPE_BARS_KEPT; i++) {
    uint64_t first = 2 * (i + 3) + 1;
    cr_expect(bar[i].first_trade_id == first && bar[i].last_trade_id == first + 1 && bar[i].flow.volume == 2 * first + 1);
  }
  cr_expect_eq(tape.trades.old, 2 * (WB_TAPE_BARS_KEPT + 3) + 1);
  cr_expect_eq(tape.series[0].bars.bar.flow.count, 1);
}

Test(tape, a_bar_of_time_closes_by_a_heartbeat) {
  wb_tape_config config = config_of((char *[]){"time=1", NULL});
  wb_tape tape;
  wb_bar bar[WB_TAPE_BARS_KEPT];
  wb_tape_init(&tape, &config, 2, 2);
  wb_trade t = trade(1, 100, 1, 10 * S + 1);
  wb_tape_take(&tape, &t, true, 2, 2);
  wb_tape_until(&tape, WB_TIME_NONE);
  wb_tape_until(&tape, 11 * S - 1);
  cr_expect_eq(wb_tape_bars(&tape, 0, bar), 0);
  wb_tape_until(&tape, 11 * S);
  cr_expect_eq(wb_tape_bars(&tape, 0, bar), 1);
  cr_expect(bar[0].start_ns == 10 * S && bar[0].end_ns == 11 * S);
}

Test(tape, units_meet_whichever_of_the_two_is_finer_and_nothing_is_rounded) {
  wb_tape_config config = config_of((char *[]){"volume=2.5", "ticks=1", NULL});
  wb_tape tape;
  wb_bar bar[WB_TAPE_BARS_KEPT];
  wb_tape_init(&tape, &config, 0, 0); /* the step asks for a decimal of size */
  cr_expect_eq(tape.size_decimals, 1);
  wb_tape_take(&tape, &(wb_trade){1, 100, 2, 0, WB_SIDE_BID}, true, 0, 0);     /* 2 at 100 */
  wb_tape_take(&tape, &(wb_trade){2, 100125, 25, 0, WB_SIDE_ASK}, true, 3, 2); /* 0.25 at 100.125 */
  wb_tape_take(&tape, &(wb_trade){3, 101, 1, 0, WB_SIDE_BID}, true, 0, 0);     /* 1 at 101 */
  cr_expect(tape.price_decimals == 3 && tape.size_decimals == 2);
  cr_expect(tape.trades.flow.volume == 325 && wb_flow_signed(&tape.trades.flow) == 275 && tape.trades.last.price == 101000);
  cr_expect(tape.trades.flow.notional == (unsigned __int128)100000 * 200 + 100125 * 25 + 101000 * 100);
  cr_expect_eq(wb_tape_bars(&tape, 0, bar), 1);
  cr_expect(bar[0].flow.volume == 325 && bar[0].high == 101000 && bar[0].low == 100000);
  cr_expect_eq(wb_tape_bars(&tape, 1, bar), 3);
  cr_expect(bar[0].open == 100000 && bar[0].flow.volume == 200, "a bar that was kept is in the new units");
  cr_expect_eq(tape.restarts, 0);
}

Test(tape, units_that_cannot_be_held_begin_the_tape_anew) {
  wb_tape_config config = config_of((char *[]){"ticks=1", NULL});
  wb_tape tape;
  wb_tape_init(&tape, &config, 0, 0);
  wb_trade huge = trade(1, WB_QUANTITY_MAX, 1, 0), fine = trade(2, 5, 1, 0);
  wb_tape_take(&tape, &huge, true, 0, 0);
  wb_tape_take(&tape, &fine, true, 1, 0);
  cr_expect(tape.restarts == 1 && tape.trades.flow.count == 1 && tape.trades.last.price == 5 && tape.price_decimals == 1);
  wb_tape_take(&tape, &huge, true, 0, 0);
  cr_expect(tape.restarts == 2 && tape.trades.last.price == WB_QUANTITY_MAX && tape.price_decimals == 0);
}

Test(tape, trades_without_ids_are_numbered_by_their_count) {
  wb_tape_config config = config_of((char *[]){"off", NULL});
  wb_tape tape;
  wb_tape_init(&tape, &config, 0, 0);
  for (unsigned i = 0; i < 3; i++) wb_tape_take(&tape, &(wb_trade){0, 1, 1, 0, WB_SIDE_BID}, false, 0, 0);
  cr_expect(tape.unnumbered && tape.trades.flow.count == 3 && tape.trades.last.trade_id == 3 && tape.trades.gaps == 0);
}

/* Trades in units that change at random, against sums kept in the finest of them. */
Test(tape, sums_are_those_of_all_trades_whatever_units_they_came_in) {
  enum { FINEST = 6 };
  seed();
  wb_tape_config config = config_of((char *[]){"ticks=7", "volume=3.25", "time=5", NULL});
  wb_tape tape;
  unsigned __int128 volume = 0, notional = 0;
  wb_tape_init(&tape, &config, 2, 2);
  for (uint64_t id = 1; id <= 20000; id++) {
    unsigned price_decimals = (unsigned)(next() % (FINEST + 1)), size_decimals = (unsigned)(next() % (FINEST + 1));
    wb_trade t = trade(id, 1 + next() % 100000, 1 + next() % 1000, (int64_t)(id * (next() % 3)) * S);
    volume += (unsigned __int128)t.size * wb_pow10(FINEST - size_decimals);
    notional += (unsigned __int128)t.price * wb_pow10(FINEST - price_decimals) * t.size * wb_pow10(FINEST - size_decimals);
    wb_tape_take(&tape, &t, true, price_decimals, size_decimals);
  }
  const wb_flow *flow = &tape.trades.flow;
  uint64_t price_factor = wb_pow10((unsigned)(FINEST - tape.price_decimals)),
           size_factor = wb_pow10((unsigned)(FINEST - tape.size_decimals));
  cr_expect(flow->volume * size_factor == volume && flow->notional * price_factor * size_factor == notional &&
            flow->count == 20000);
  cr_expect_eq(tape.series[0].bars.closed, 20000 / 7);
  cr_expect_eq(tape.restarts, 0);
}
