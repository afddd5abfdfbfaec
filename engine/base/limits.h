/* limits.h - every bound of the engine in one place, each with the arithmetic that chose it. */
#ifndef WB_BASE_LIMITS_H
#define WB_BASE_LIMITS_H

/* 64 bytes is the line of x86-64 and of most arm64; two lines apart keeps the adjacent-line prefetcher of x86 from
 * tying the writer's line to the reader's. */
#define WB_CACHE_LINE_BYTES 64
#define WB_CACHE_PAIR_BYTES 128

/* Coinbase lists some 700 products; ids are ASCII such as "BTC-PERP-INTX". 31 characters and a NUL. */
#define WB_PRODUCT_COUNT_MAX 4096
#define WB_PRODUCT_ID_BYTES 32

/* Redundant or sharded connections of one node. */
#define WB_LINE_COUNT_MAX 16

/* One decoded message part carries at most this many changes: 4096 * 16 B = 64 KiB, which stays in L2. An update with
 * more changes (never seen) and every large snapshot arrives in several parts. */
#define WB_PART_DELTAS_MAX 4096

/* Largest WebSocket message accepted when nothing else is set: six times the largest seen (5,012,290 bytes). */
#define WB_MESSAGE_BYTES_DEFAULT (32u << 20)
#define WB_MESSAGE_BYTES_MAX (1u << 30)

/* Levels shown a side in reports and views. The book itself is always whole. */
#define WB_DEPTH_DEFAULT 50
#define WB_DEPTH_MAX 1000

/* Levels a side that a venue's checksum covers: 10 at Kraken, 25 elsewhere. */
#define WB_CHECKSUM_LEVELS_MAX 25
/* Levels a side in imbalance and pressure. */
#define WB_IMBALANCE_LEVELS_DEFAULT 10

/* Mids averaged. */
#define WB_MID_WINDOW_DEFAULT 10
#define WB_MID_WINDOW_MAX 1024

/* Decimal places held: a product's prices and sizes are integers in units of 10^-decimals, decimals 0..WB_DECIMALS_MAX.
 * 8 holds 0.00000001 and 9,999,999,999.00 at once (9.99e17 < 2^62), so it is the default that widens. */
#define WB_DECIMALS_DEFAULT 8
#define WB_DECIMALS_MAX 18

/* Prices and sizes fit 62 bits, so that a sum of two and a side bit still fit 64. */
#define WB_QUANTITY_MAX ((INT64_C(1) << 62) - 1)

/* Readable slack a parser may load past the end of a message (one AVX-512 register). Frame memory provides it. */
#define WB_READ_SLACK_BYTES 64

#endif
