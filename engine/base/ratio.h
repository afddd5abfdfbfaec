/* ratio.h - the last step of an exact measure: a fraction as a decimal number, rounded once.
 *
 * Threads: pure. */
#ifndef WB_BASE_RATIO_H
#define WB_BASE_RATIO_H

/* wb_ratio gives numerator / denominator in units of 10^-decimals (0..18), rounded half to even: what wb_decimal_print takes. Returns 0;
 * WB_E_INVALID if the denominator is 0 or there are too many decimals; WB_E_RANGE if the denominator exceeds 2^124 or the result 2^127 - 1. One division, and two more
 * a decimal. */
int wb_ratio(unsigned __int128 numerator, unsigned __int128 denominator, unsigned decimals, __int128 *value);

#endif
