/* measures.h - what the levels of a book say about where its price goes: microprice, imbalance, pressure, depth.
 *
 * Given    levels as wb_book_levels gives them: best first, sizes above zero, prices and sizes 1..WB_QUANTITY_MAX in units of 10^-decimals.
 * Exact    sums and products in 128 bits, which cannot overflow but where it is said; a result is rounded once, half to even, to as many decimals
 *          (0..18) as are asked for (ratio.h). Nothing is floating point.
 * Returns  0, or WB_E_STATE where there are not the levels it takes, or WB_E_INVALID for too many decimals.
 * Cost     O(levels given). Threads: pure. */
#ifndef WB_BOOK_MEASURES_H
#define WB_BOOK_MEASURES_H

#include "engine/book/book.h"

/* Both sides of a book, as far as they were copied. */
typedef struct wb_sides {
  const wb_level *bid, *ask;
  uint32_t bid_count, ask_count;
} wb_sides;

/* wb_measure_microprice gives the touch weighted by the sizes across it, with `decimals` decimals more than a price:
 *   (bid price * ask size + ask price * bid size) / (bid size + ask size)
 * Takes both sides. Source: Gatheral and Oomen, Zero-intelligence realized variance estimation, Finance and Stochastics 14, 2010. (Stoikov, The
 * micro-price, Quantitative Finance 18, 2018, calls it the weighted mid, and means by micro-price one with a correction that is estimated.) */
int wb_measure_microprice(const wb_sides *sides, unsigned decimals, __int128 *value);

/* wb_measure_imbalance gives, of the sums of sizes of the best `levels` (1 or more) levels of each side, with `decimals` decimals,
 *   (bid size - ask size) / (bid size + ask size)
 * which is -1 .. 1; an empty side counts 0. Takes a level. Source for one level: Gould and Bonart, Queue imbalance as a one-tick-ahead price predictor
 * in a limit order book, Market Microstructure and Liquidity 2, 2016. */
int wb_measure_imbalance(const wb_sides *sides, uint32_t levels, unsigned decimals, __int128 *value);

/* wb_measure_pressure is the imbalance of the best `levels` (1..WB_PRESSURE_LEVELS_MAX) levels where each counts half of the one before:
 *   sum of 2^-i (bid size i - ask size i) / sum of 2^-i (bid size i + ask size i),  i = 0 .. levels - 1
 * Multi-level imbalances are commonly weighted by a decay from level to level; one half is this project's choice, because it keeps
 * the sums exact: 62 bits of size and 60 levels fit 122. */
#define WB_PRESSURE_LEVELS_MAX 60
int wb_measure_pressure(const wb_sides *sides, uint32_t levels, unsigned decimals, __int128 *value);

/* What lies within a distance of the mid. notional, the sum of price times size, stays at its largest value where it would overflow. partial: every
 * level given is within, so there may be more behind them. */
typedef struct wb_depth {
  unsigned __int128 size, notional;
  uint32_t level_count;
  bool saturated, partial;
} wb_depth;

/* wb_measure_depth adds up, of one side, the levels whose distance from the mid is no more than basis_points of it:
 *   |mid - price| <= mid * basis_points / 10,000,  mid = (best bid + best ask) / 2
 * with no rounding at all; in a crossed book what is better than the mid is within. Takes both sides. */
int wb_measure_depth(const wb_sides *sides, wb_side side, uint32_t basis_points, wb_depth *depth);

#endif
