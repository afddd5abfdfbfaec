/* kraken.h - the dialect of Kraken's WebSocket API v2 (ws.kraken.com/v2): its book, whole to a depth and vouched for by checksums.
 *
 * Decodes  book -> SNAPSHOT and UPDATE with the exchange's checksum and the depth of the subscription, acknowledgements of book -> SUBSCRIPTIONS, each of
 *          one product, success false or an error -> ERROR, instrument -> SCALE or IGNORED, every other channel and method -> IGNORED; node records,
 *          binary messages and what was refused as the Coinbase dialects have them. A message about several products becomes several messages.
 * Strict   as in coinbase_exchange.h: UTF-8, JSON, schema, in this order; a message that breaks any of them gives one REJECT and changes no book. What
 *          must be there: of a book type ("snapshot" or "update") and data, an array of symbol, bids, asks and checksum; of a level price and qty. A
 *          timestamp may be missing. The REJECT of a message about several products names none, as all of them are lost; that of an instrument is harmless. A
 *          message of more than WB_PART_DELTAS_MAX levels is refused (levels_max): the largest that can be subscribed has 2000.
 * Numbers  are JSON's, an exponent included, or strings of such; their text decides, no double ever does.
 * Units    The checksum is reckoned from prices and sizes as the exchange writes them, with as many decimals as the product has, zeros and all. So the
 *          product's units are those decimals: the most that a number of its snapshot shows, or more where the instrument channel says so; an
 *          update, or an instrument, that shows more widens them. What does not fit 62 bits in them is number_range.
 * Depth    That of the last acknowledgement. In a recording that begins behind it, that of a snapshot both of whose sides have just as many levels as can be
 *          subscribed; otherwise none is known, and nothing is taken out.
 * Channels "book:N" is the channel book with a depth of N: 10, 25, 100, 500, 1000. instrument has no products and is asked for once a connection.
 * Products of capitals, as everywhere: "BTC/USD", but not "AAPLx/USD".
 * Cost     what Kraken writes as it writes it, in one pass: 95 ns for one change, 50 ns a level. Any other form, and a snapshot that changes the units, some six times
 *          that. The checksum 0.3 us (bench/bench_kraken.c).
 * Source   https://docs.kraken.com/api/docs/websocket-v2/book, .../websocket-v2/instrument, https://docs.kraken.com/api/docs/guides/spot-ws-book-v2 */
#ifndef WB_CODEC_KRAKEN_H
#define WB_CODEC_KRAKEN_H

#include "engine/port.h"

extern const wb_codec wb_codec_kraken;

#endif
