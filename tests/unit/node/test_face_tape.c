#include <criterion/criterion.h>

#define RIG_CHECK(condition) cr_assert(condition)
#include "io/face_tape.h"
#include "tests/publisher_rig.h"
#include "tests/unit/random.h"

static void trade(rig *r, unsigned product, uint64_t price, uint64_t size, int64_t time_us) {
  const wb_delta delta = {.price = price, .size = size, .side = WB_SIDE_BID};
  rig_message(r, product, WB_MESSAGE_TRADE, RIG_WHOLE, &delta, 1, time_us);
}

Test(face_tape, of_trades_that_were_overwritten_all_are_counted_and_the_rest_are_told) {
  seed();
  rig *r = rig_open_with(4096);
  uint64_t lost = 0, told = 0, records = r->books.head->ring_records;
  rig_message(r, WB_PRODUCT_NONE, WB_MESSAGE_CONNECT, RIG_WHOLE, NULL, 0, 0);
  wb_face_tape *tape = wb_face_tape_open(&r->books, &lost);
  cr_assert(tape && records < WB_FACE_TRADES);
  wb_face_tape_follow(tape); /* what is no trade */
  bool lapped = false;
  for (unsigned round = 0; round < 200; round++) {
    uint64_t some = 1 + next() % (2 * records), before = lost, first = told;
    for (uint64_t i = 0; i < some; i++, told++) trade(r, 1, told + 1, 1, 1000000 + (int64_t)told);
    wb_face_tape_follow(tape);
    lapped |= lost > before;
    if (some <= records / 2) cr_assert_eq(lost, before, "%zu of a ring of %zu", (size_t)some, (size_t)records);
    cr_assert_lt(lost - before, some);
    for (uint64_t i = 0; i < some - (lost - before); i++) {
      const wirebook_shm_change *last = wb_face_tape_trade(tape, 1, (uint32_t)i);
      cr_assert(last && last->price == told - i && last->price > first);
    }
  }
  cr_assert(lapped);
  const wb_face_candle *candle = wb_face_tape_candle(tape, 1, 5, 0);
  cr_assert(candle && candle->close == told);
  cr_assert_eq((uint64_t)candle->volume, told - lost);
  cr_assert_null(wb_face_tape_trade(tape, 0, 0));
  wb_face_tape_close(tape);
  rig_close(r);
}
