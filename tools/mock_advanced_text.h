/* mock_advanced_text.h - the messages of the Advanced Trade dialect as text.
 *
 * What:    keys in the order of the real feed in 2026, numbers without zeros that say nothing, times with as many digits as
 *          they need: event_time and the times of trades up to 6, timestamp up to 9, the last three of them made up. X-USDC is
 *          told under the name of X-USD. Bids and offers of a snapshot lie among each other, and not all best first.
 * Number:  every client counts its messages, so a text is made once for all with the place of its number empty:
 *          "sequence_num":,"events". wb_mock_advanced_hole finds that place within the first 48 to 255 bytes, where every
 *          message has it; tools/mock_number.c fills it.
 * Time:    text of WB_MOCK_TIME_BYTES, as wb_mock_time_text makes it.
 * Spaced:  updates and snapshots as wb_mock_text.spaced says; all else is written without blanks.
 * Memory:  none of its own; writers of level 2 need WB_MOCK_TEXT_SLACK writable bytes behind what update_bytes_max says.
 * Threads: one. */
#ifndef WB_TOOLS_MOCK_ADVANCED_TEXT_H
#define WB_TOOLS_MOCK_ADVANCED_TEXT_H

#include "tools/mock_tape.h"
#include "tools/mock_text.h"

enum {
  WB_MOCK_ADVANCED_LEVEL_BYTES = 128, /* a level of a snapshot takes no more */
  WB_MOCK_ADVANCED_BYTES_MAX = 1024,  /* a heartbeat, ticker, candle, or product of the status */
  WB_MOCK_ADVANCED_TRADES_BYTES_MAX = 256 + 256 * WB_MOCK_BATCH_TRADES
};

/* As the members of wb_mock_dialect of these names. */
size_t wb_mock_advanced_update_bytes_max(unsigned count);
size_t wb_mock_advanced_update(const wb_mock_text *text, const wb_delta *delta, unsigned count, const char *time, char *to);
size_t wb_mock_advanced_snapshot(const wb_mock_text *text, const char *time, char *to);
size_t wb_mock_advanced_hole(const char *text, size_t bytes);
void wb_mock_advanced_field(const char *text, size_t bytes, wb_mock_field field, size_t *from, size_t *to);

/* wb_mock_advanced_stamp writes a time with three more digits (ns: any number, they are made of it) as the feed does, at
 * most 30 bytes; wb_mock_advanced_name the name by which a product is known. Both NUL-terminated, both return the bytes. */
size_t wb_mock_advanced_stamp(const char *time, uint64_t ns, char to[32]);
size_t wb_mock_advanced_name(const wb_mock_market *market, char to[WB_PRODUCT_ID_BYTES]);

/* wb_mock_advanced_head writes a message up to and with the type of its first event (such as "snapshot"; NULL: events of
 * that channel have none). What follows is the rest of the event and "}]}". */
size_t wb_mock_advanced_head(const char *channel, const char *type, const char *stamp, char *to);

/* One message each. batch: of the channel ticker_batch, which tells no best levels. Trades are those of the tape from `from`
 * on, at most WB_MOCK_BATCH_TRADES; a snapshot has the newest first. uptime_ns: of the server; quoted: its counter is a
 * string. */
size_t wb_mock_advanced_ticker(const wb_mock_text *text, bool batch, const char *type, const char *time, char *to);
size_t wb_mock_advanced_trades(const wb_mock_text *text, const wb_mock_tape *tape, uint64_t from, unsigned count, bool snapshot,
                               const char *time, char *to);
size_t wb_mock_advanced_candle(const wb_mock_text *text, const wb_mock_candle *candle, const char *type, const char *time,
                               char *to);
size_t wb_mock_advanced_heartbeat(const char *time, uint64_t uptime_ns, bool quoted, char *to);

/* wb_mock_advanced_product writes one element of a status message's list of products. */
size_t wb_mock_advanced_product(const wb_mock_text *text, char *to);

#endif
