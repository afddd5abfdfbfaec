/* mock_text.h - the market messages of a dialect as text, fast: prepared pieces around exact integers.
 *
 * What:    one wb_mock_text a product holds what never changes in its messages. Keys stand in the order of the real feed in
 * 2026: snapshot type, product_id, asks, bids, time; l2update type, product_id, changes, time. Prices and sizes have all
 *          decimals of their product ("0.00000000" deletes). Spaced: a blank after each ':' and ',', as many JSON writers do.
 * Memory:  none of its own; each writer needs WB_MOCK_TEXT_SLACK writable bytes behind what its bytes_max says.
 * Threads: one. */
#ifndef WB_TOOLS_MOCK_TEXT_H
#define WB_TOOLS_MOCK_TEXT_H

#include <stddef.h>

#include "tools/mock_market.h"

enum { WB_MOCK_TEXT_SLACK = 64, WB_MOCK_TIME_BYTES = 27, WB_MOCK_HEARTBEAT_BYTES_MAX = 256, WB_MOCK_TICKER_BYTES_MAX = 768 };

/* What an update says of a change. */
typedef enum { WB_MOCK_SIDE, WB_MOCK_PRICE, WB_MOCK_SIZE } wb_mock_field;

typedef struct wb_mock_piece {
  char text[16];
  uint8_t bytes;
} wb_mock_piece;

typedef struct wb_mock_text {
  const wb_mock_market *market;
  const struct wb_mock_form *form;
  uint64_t price_unit, size_unit;
  char update[112]; /* up to and with the '[' of changes */
  uint32_t update_bytes;
  bool spaced, epoch; /* epoch: changes of a snapshot bear the time 0, where the dialect has times there */
} wb_mock_text;

void wb_mock_text_init(wb_mock_text *text, const wb_mock_market *market, bool spaced);

/* The longest each message can be. */
size_t wb_mock_text_update_bytes_max(unsigned count);
size_t wb_mock_text_snapshot_bytes_max(const wb_mock_market *market);

/* wb_mock_text_update writes the l2update of delta[0..count), count >= 1; wb_mock_text_snapshot the whole book;
 * wb_mock_text_heartbeat its sequence and last trade. time: WB_MOCK_TIME_BYTES characters. Each returns the bytes written. */
size_t wb_mock_text_update(const wb_mock_text *text, const wb_delta *delta, unsigned count, const char *time, char *to);
size_t wb_mock_text_snapshot(const wb_mock_text *text, const char *time, char *to);
size_t wb_mock_text_heartbeat(const wb_mock_text *text, const char *time, char *to);

/* wb_mock_text_ticker writes the last trade and the best levels, wb_mock_text_match a trade (type: "match" or "last_match"), into
 * WB_MOCK_TICKER_BYTES_MAX bytes. */
size_t wb_mock_text_ticker(const wb_mock_text *text, const char *time, char *to);
size_t wb_mock_text_match(const wb_mock_text *text, const char *type, const wb_mock_trade *trade, const char *time, char *to);

/* wb_mock_text_number writes value * 10^-decimals with all decimals (unit = 10^decimals, decimals 0..8) and returns the end;
 * up to 7 bytes behind it are scratched. */
char *wb_mock_text_number(char *to, uint64_t value, unsigned decimals, uint64_t unit);

/* wb_mock_text_trimmed is wb_mock_text_number without the zeros that say nothing: "37480", "0.5", "0". */
char *wb_mock_text_trimmed(char *to, uint64_t value, unsigned decimals, uint64_t unit);

/* wb_mock_text_space copies JSON with a blank after each ':' and ',' outside of strings, at most twice as long as it was.
 * Returns the bytes written. */
size_t wb_mock_text_space(const char *json, size_t bytes, char *to);

/* A time as text, "2026-08-02T05:43:52.535977Z"; what it has in common with the last one is kept. */
typedef struct wb_mock_time {
  int64_t us, second;
  char text[WB_MOCK_TIME_BYTES + 5];
} wb_mock_time;
const char *wb_mock_time_text(wb_mock_time *time, int64_t utc_us); /* utc_us >= 0; valid until the next call */

#endif
