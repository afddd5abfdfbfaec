/* face_tape.h - what the HTTP face keeps of trades: the last ones of each product, and candles, made of the changes in shared memory.
 *
 * What:    candles begin at multiples of their length, by the exchange's time; one without a trade is not there. Trades that were overwritten before the
 *          face came to read them are missing, and counted.
 * Memory:  of a product, from its first trade on: WB_FACE_TRADES trades, and up to WB_FACE_CANDLES candles of each length. 129 KiB at most.
 * Threads: the face's. */
#ifndef WB_IO_FACE_TAPE_H
#define WB_IO_FACE_TAPE_H

#include "io/wirebook_shm.h"

enum { WB_FACE_TRADES = 256, WB_FACE_CANDLES = 300, WB_FACE_CANDLE_LENGTHS = 6 };

/* In seconds, as the exchange offers them. */
extern const uint32_t wb_face_candle_length[WB_FACE_CANDLE_LENGTHS];

typedef struct wb_face_candle {
  unsigned __int128 volume;
  int64_t begin_s; /* since 1970 UTC */
  uint64_t low, high, open, close;
  uint8_t price_decimals, size_decimals;
} wb_face_candle;

typedef struct wb_face_tape wb_face_tape;

/* wb_face_tape_open follows the changes from now on, and adds those (of any kind) that were overwritten unread to *lost; NULL: no memory. */
wb_face_tape *wb_face_tape_open(const wirebook_shm *books, uint64_t *lost);
void wb_face_tape_close(wb_face_tape *tape);

/* wb_face_tape_follow takes what has come. */
void wb_face_tape_follow(wb_face_tape *tape);

/* wb_face_tape_trade gives the trade so many before the last one; NULL: there is none. wb_face_tape_candle likewise, of a length's index. */
const wirebook_shm_change *wb_face_tape_trade(const wb_face_tape *tape, uint32_t product, uint32_t before);
const wb_face_candle *wb_face_tape_candle(const wb_face_tape *tape, uint32_t product, unsigned length, uint32_t before);

#endif
