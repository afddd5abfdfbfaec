/* coinbase_exchange.h - the dialect of Coinbase's Exchange feed (ws-feed.exchange.coinbase.com), level 2 and what comes beside
 * it.
 *
 * Decodes  snapshot -> SNAPSHOT (parts of at most WB_PART_DELTAS_MAX levels), l2update -> UPDATE, heartbeat -> HEARTBEAT,
 *          subscriptions -> SUBSCRIPTIONS per product of level2, level2_batch, level2_50, error -> ERROR, every other type ->
 *          IGNORED, node records CONNECT/DISCONNECT -> CONNECT/DISCONNECT, other kinds -> IGNORED or REJECT.
 * Strict   (contract.md): a message that breaks JSON (RFC 8259), UTF-8 or the schema gives one REJECT and no book change; key
 * order, white space, unknown keys and escapes are all legal. Units    prices and sizes in units of 10^-decimals of the
 * product, WB_DECIMALS_DEFAULT at first. A snapshot whose numbers need other decimals chooses them (fewest that hold them all
 * exactly); an update that needs finer ones widens. Either way a SCALE message comes first. What fits no scale is rejected as
 * number_range. Source   https://docs.cdp.coinbase.com/exchange/websocket-feed/channels, measured frames. */
#ifndef WB_CODEC_COINBASE_EXCHANGE_H
#define WB_CODEC_COINBASE_EXCHANGE_H

#include "engine/port.h"

extern const wb_codec wb_codec_coinbase_exchange;

#endif
