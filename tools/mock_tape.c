#include "tools/mock_tape.h"

#include <string.h>

static int64_t bucket(int64_t time_us) {
  int64_t second = time_us / 1000000;
  return second - second % WB_MOCK_CANDLE_SECONDS;
}

void wb_mock_tape_init(wb_mock_tape *tape, const wb_mock_trade *last, int64_t time_us) {
  memset(tape, 0, sizeof *tape);
  tape->print[0] = (wb_mock_print){*last, time_us};
  tape->made = tape->told = 1;
  tape->candle = (wb_mock_candle){bucket(time_us), last->price, last->price, last->price, last->price, 0};
}

void wb_mock_tape_add(wb_mock_tape *tape, const wb_mock_trade *trade, int64_t time_us) {
  wb_mock_candle *candle = &tape->candle;
  tape->print[tape->made++ % WB_MOCK_TAPE_TRADES] = (wb_mock_print){*trade, time_us};
  if (bucket(time_us) != candle->start_s)
    *candle = (wb_mock_candle){bucket(time_us), trade->price, trade->price, trade->price, trade->price, 0};
  if (trade->price > candle->high) candle->high = trade->price;
  if (trade->price < candle->low) candle->low = trade->price;
  candle->close = trade->price;
  candle->volume += trade->size;
}
