/* mock_rest.h - the mock's REST side: a GET that asks for no upgrade, on the port of the feed (docs/mock.md).
 *
 * What:    products, books, tickers, trades, the time, of the same markets as the feed. One answer at a time of a connection; the next request waits in
 *          its buffer. A body with the numbers of now may be held back for a while. A book or the trades make their product's orders begin. */
#ifndef WB_TOOLS_MOCK_REST_H
#define WB_TOOLS_MOCK_REST_H

#include "io/http1.h"
#include "tools/mock_server.h"

/* wb_mock_rest_take answers a request, at once or later; returns the bytes of the request. Not while an answer is held. */
size_t wb_mock_rest_take(wb_mock_client *client, const wb_http_request *http);

/* wb_mock_rest_tick sends what is held and due; true if it did, and the next request may be looked at. */
bool wb_mock_rest_tick(wb_mock_client *client, uint64_t now_ns);

#endif
