#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/feed/trades.h"
#include "tests/unit/random.h"

static uint64_t below(uint64_t bound) { return next() % bound; }

static wb_trade trade_of(uint64_t id, uint64_t price, uint64_t size, wb_side maker) {
  return (wb_trade){id, price, size, (int64_t)id * 1000, wb_trade_taker(maker)};
}

Test(trades, the_taker_is_across_from_the_maker) {
  cr_expect_eq(wb_trade_taker(WB_SIDE_ASK), WB_SIDE_BID, "the maker sold: an up-tick, a buyer took");
  cr_expect_eq(wb_trade_taker(WB_SIDE_BID), WB_SIDE_ASK);
}

Test(trades, before_the_first_there_is_nothing_to_say) {
  wb_trades trades = {0};
  __int128 price;
  cr_expect_eq(wb_flow_vwap(&trades.flow, 2, &price), WB_E_STATE);
  cr_expect_eq(wb_trades_behind(&trades, 1000), 0);
  cr_expect(wb_flow_signed(&trades.flow) == 0);
}

Test(trades, ids_that_jump_are_missing_and_ids_that_repeat_are_old) {
  wb_trades trades = {0};
  static const uint64_t ids[] = {100, 101, 101, 105, 104, 106};
  static const bool taken[] = {true, true, false, true, false, true};
  for (unsigned i = 0; i < 6; i++) {
    wb_trade trade = trade_of(ids[i], 10, 1, WB_SIDE_ASK);
    cr_expect_eq(wb_trades_take(&trades, &trade), taken[i], "%lu", ids[i]);
  }
  cr_expect_eq(trades.flow.count, 4);
  cr_expect_eq(trades.old, 2);
  cr_expect_eq(trades.gaps, 1);
  cr_expect_eq(trades.missing, 3);
  cr_expect_eq(trades.last.trade_id, 106);
  cr_expect_eq(wb_trades_behind(&trades, 106), 0);
  cr_expect_eq(wb_trades_behind(&trades, 105), 0);
  cr_expect_eq(wb_trades_behind(&trades, 109), 3);
}

Test(trades, vwap_and_signed_flow_of_a_few) {
  wb_trades trades = {0};
  __int128 price;
  const wb_trade some[] = {trade_of(1, 100, 3, WB_SIDE_ASK), trade_of(2, 101, 1, WB_SIDE_BID),
                           trade_of(3, 103, 2, WB_SIDE_ASK)};
  for (unsigned i = 0; i < 3; i++) wb_trades_take(&trades, &some[i]);
  cr_expect(trades.flow.volume == 6 && trades.flow.bought == 5);
  cr_expect(wb_flow_signed(&trades.flow) == 4);
  cr_expect_eq(wb_flow_vwap(&trades.flow, 3, &price), 0);
  cr_expect(price == 101167, "607 / 6");
  cr_expect_eq(wb_trades_scale(&trades, 10, 100), 0);
  cr_expect_eq(trades.last.price, 1030);
  cr_expect_eq(trades.last.size, 200);
  cr_expect(wb_flow_signed(&trades.flow) == 400);
  cr_expect_eq(wb_flow_vwap(&trades.flow, 2, &price), 0);
  cr_expect(price == 101167);
}

Test(trades, a_sum_that_overflows_says_so) {
  wb_trades trades = {0};
  __int128 price;
  const uint64_t max = WB_QUANTITY_MAX;
  for (uint64_t id = 1; id <= 16; id++) {
    wb_trade trade = trade_of(id, max, max, WB_SIDE_BID);
    wb_trades_take(&trades, &trade);
    cr_expect_eq(wb_flow_vwap(&trades.flow, 0, &price), 0);
    cr_expect(price == (__int128)max);
  }
  cr_expect_not(trades.flow.saturated);
  wb_trade trade = trade_of(17, max, max, WB_SIDE_BID);
  wb_trades_take(&trades, &trade);
  cr_expect(trades.flow.saturated);
  cr_expect(trades.flow.notional == ~(unsigned __int128)0);
  cr_expect_eq(wb_flow_vwap(&trades.flow, 0, &price), WB_E_RANGE);
  cr_expect(wb_flow_signed(&trades.flow) == -17 * (__int128)max);
  wb_trades before = trades;
  cr_expect_eq(wb_trades_scale(&trades, 1, 10), WB_E_RANGE);
  cr_expect(memcmp(&before, &trades, sizeof trades) == 0);
}

/* Every trade kept in a list, and everything added up from it anew. */
Test(trades_model, sums_of_random_trades) {
  enum { TRADES_MAX = 400 };
  wb_trade kept[TRADES_MAX];
  for (uint64_t seed = 1; seed <= 50; seed++) {
    state = seed;
    uint64_t count = 0, missing = 0, old = 0, id = below(1000);
    wb_trades trades = {0};
    for (unsigned i = 0; i < 2 * TRADES_MAX && count < TRADES_MAX; i++) {
      id += below(20) ? 1 : below(10);
      wb_trade trade = trade_of(below(15) ? id : id - 1, 1 + below(1000000), 1 + below(UINT64_C(1) << 40), (wb_side)below(2));
      bool fresh = count == 0 || trade.trade_id > kept[count - 1].trade_id;
      if (fresh && count) missing += trade.trade_id - kept[count - 1].trade_id - 1;
      if (fresh) kept[count++] = trade;
      else old++;
      cr_assert_eq(wb_trades_take(&trades, &trade), fresh, "seed %lu", seed);
    }
    unsigned __int128 volume = 0, notional = 0;
    __int128 flow = 0, vwap;
    for (uint64_t i = 0; i < count; i++) {
      volume += kept[i].size;
      notional += (unsigned __int128)kept[i].price * kept[i].size;
      flow += kept[i].taker == WB_SIDE_BID ? (__int128)kept[i].size : -(__int128)kept[i].size;
    }
    cr_assert(trades.flow.count == count && trades.missing == missing && trades.old == old, "seed %lu", seed);
    cr_assert(trades.flow.volume == volume && trades.flow.notional == notional && wb_flow_signed(&trades.flow) == flow,
              "seed %lu", seed);
    cr_assert_eq(wb_flow_vwap(&trades.flow, 6, &vwap), 0);
    __int128 twice = 2 * ((__int128)notional * 1000000 - vwap * (__int128)volume);
    cr_assert(twice <= (__int128)volume && -twice <= (__int128)volume, "seed %lu: vwap", seed);
  }
}
