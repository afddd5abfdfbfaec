/* coinbase_exchange.h - the dialect of Coinbase's Exchange feed (ws-feed.exchange.coinbase.com), level 2 and what comes beside
 * it.
 *
 * Decodes  snapshot -> SNAPSHOT (parts of at most WB_PART_DELTAS_MAX levels), l2update -> UPDATE, heartbeat -> HEARTBEAT,
 *          subscriptions -> SUBSCRIPTIONS, one for each known product of level2, level2_batch and level2_50 however often it is
 *          named, ticker (of ticker, ticker_batch and ticker_1000) -> TICKER, match -> TRADE, last_match -> TRADE with WB_FLAG_PAST, status ->
 *          STATUS, one for each known product and one that ends them, auction -> AUCTION, rfq_match -> RFQ, error -> ERROR, types of
 *          full, level3, user and balance -> IGNORED, every other type -> UNKNOWN, node records CONNECT/DISCONNECT -> CONNECT/DISCONNECT, RESYNC -> RESYNC, binary
 *          messages and what was refused for its size or framing -> REJECT, every other record -> IGNORED. Messages of one part carry FIRST and LAST.
 * Strict   a message that breaks UTF-8, JSON (RFC 8259) or the schema, looked for in this order, gives one REJECT
 *          and changes nothing. Key order, white space, unknown keys and escapes are legal; so are escapes of lone surrogates,
 *          which equal nothing. A key that is read and comes twice is bad_json (I-JSON, RFC 7493): which of the two was meant
 *          nobody can say. Nesting deeper than 64 is bad_json. What must be there: l2update product_id, changes of
 *          [side, price, size]; snapshot product_id, bids and asks of [price, size]; heartbeat product_id, sequence,
 *          last_trade_id; subscriptions channels; ticker product_id, sequence, best_bid, best_ask and both of best_bid_size and
 *          best_ask_size or neither; match product_id, sequence, trade_id, price, size, side; rfq_match the same but for sequence;
 *          status products, whose rows coinbase_products.h reads (of products that are not in the table only the id); auction product_id,
 *          sequence, auction_state. What else a ticker or an auction says may be missing or null. time may be missing or "". Prices are
 *          above zero (a ticker's and an auction's may be zero: no such side); sizes may be zero, arrays empty. A REJECT names the product where the
 *          message named a known one, once, before the trouble. That of any of these but l2update, snapshot, heartbeat and subscriptions whose JSON
 *          is sound is harmless.
 * Parts    A snapshot is read and handed over in one pass. What breaks after its first part is out ends with LAST|ABORT; then
 *          come the REJECT or, where the message was right but not as expected, its parts again from FIRST. All parts of a message
 *          carry its time. An update is handed over only after its last byte was read, however large.
 * Units    Prices and sizes in units of 10^-decimals of the product, those of the products table at first. A snapshot whose numbers
 *          do not all fit chooses anew, price and size apart: WB_DECIMALS_DEFAULT where that holds them all exactly, else the
 *          fewest that do. An update that needs finer units widens. Either way a SCALE message comes first. What fits no scale is
 *          number_range. A match widens as an update does; best prices of a ticker that do not fit are left out: no book of these units
 *          could be held against them. Whatever makes no book has units of its own message, and widens nothing. The units are the instance's: what it decodes must reach one and the same set of books.
 * Cost     with AVX-512 18 ns for one change, claim and commit included, 4.8 GB/s for 12 changes and for a snapshot; with AVX2 28 ns, 3.1
 *          and 2.7 GB/s; anywhere 39 ns, 1.6 and 1.2 GB/s; some 25 times the first in another form than the exchange's own
 *          (docs/adr/0007-parser-roads.md, bench/bench_parser.c). The other channels take the road of any JSON, a ticker in one pass: 21,000
 *          instructions, 1.5 us; a match 9,100, 0.7 us; a heartbeat 4,500, 0.3 us; status 1.5 us for each product that it lists.
 * Source   https://docs.cdp.coinbase.com/exchange/websocket-feed/channels, measured frames. */
#ifndef WB_CODEC_COINBASE_EXCHANGE_H
#define WB_CODEC_COINBASE_EXCHANGE_H

#include "engine/port.h"

extern const wb_codec wb_codec_coinbase_exchange;

#endif
