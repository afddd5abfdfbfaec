/* decimal.h - exact fixed-point text: parse and print, no doubles anywhere.
 *
 * Grammar accepted (the numbers of the feed, a subset of JSON's): digits [ '.' digits ]. At least one digit on both sides of a
 * dot. No sign, no exponent, no blank, at most 40 characters. "007" is refused as JSON refuses it. Threads: pure. */
#ifndef WB_BASE_DECIMAL_H
#define WB_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* wb_decimal_parse reads text[0..bytes) and gives value * 10^decimals (decimals 0..18), 0..WB_QUANTITY_MAX.
 * Returns 0; WB_E_SYNTAX if the text is no number of the grammar above; WB_E_RANGE if it is one that has more non-zero
 * decimals than `decimals`, or is too large. *value is written on success only. */
int wb_decimal_parse(const char *text, size_t bytes, unsigned decimals, uint64_t *value);

/* wb_decimal_need says what a number of the grammar needs: *integer_digits (without leading zeros, 0 for 0.x) and *decimals
 * (without trailing zeros). Returns 0 or WB_E_SYNTAX. */
int wb_decimal_need(const char *text, size_t bytes, unsigned *integer_digits, unsigned *decimals);

/* wb_decimal_print writes value * 10^-decimals (decimals 0..36), without trailing zeros or a bare dot, "-" in front when
 * negative, NUL-terminated, into text[WB_DECIMAL_TEXT_BYTES]. Returns the length. */
#define WB_DECIMAL_TEXT_BYTES 48
size_t wb_decimal_print(__int128 value, unsigned decimals, char *text);

/* wb_pow10 returns 10^n, n 0..18. */
uint64_t wb_pow10(unsigned n);

#endif
