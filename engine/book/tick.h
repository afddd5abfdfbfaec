/* tick.h - exact division by powers of ten without dividing.
 *
 * What: n / (2^e 5^e) for an n it divides is n times the inverse of 5^e modulo 2^64, shifted by e; rotated instead of shifted,
 * an n it does not divide gives more than (2^64-1) / 10^e. Granlund and Montgomery 1994, section 9; Warren, Hacker's Delight,
 * 10-17. Three cycles of multiply and one of rotate, the test included. */
#ifndef WB_BOOK_TICK_H
#define WB_BOOK_TICK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wb_tick {
  uint64_t inverse; /* of 5^exponent modulo 2^64 */
  uint64_t limit;   /* (2^64-1) / unit */
  unsigned exponent;
  uint64_t unit; /* 10^exponent */
} wb_tick;

/* wb_tick_set makes the tick 10^exponent, exponent 0..18. */
static inline void wb_tick_set(wb_tick *tick, unsigned exponent) {
  tick->unit = tick->inverse = 1;
  for (unsigned i = 0; i < exponent; i++) {
    tick->unit *= 10;
    tick->inverse *= UINT64_C(0xcccccccccccccccd);
  }
  tick->limit = UINT64_MAX / tick->unit;
  tick->exponent = exponent;
}

/* wb_tick_of returns price / tick, or more than tick->limit if the tick does not divide price. */
static inline uint64_t wb_tick_of(const wb_tick *tick, uint64_t price) {
  uint64_t product = price * tick->inverse;
  return product >> (tick->exponent & 63) | product << (-tick->exponent & 63);
}

static inline bool wb_tick_divides(const wb_tick *tick, uint64_t price) { return wb_tick_of(tick, price) <= tick->limit; }

/* wb_tick_exponent returns the largest exponent up to max whose power of ten divides price. */
static inline unsigned wb_tick_exponent(uint64_t price, unsigned max) {
  unsigned exponent = 0;
  for (; exponent < max && price % 10 == 0; exponent++) price /= 10;
  return exponent;
}

#endif
