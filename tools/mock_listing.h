/* mock_listing.h - what the exchange says of its products, for REST and for the channel status. Cold.
 *
 * Each returns a new reference, or NULL when there is no memory. A product's increments are those of its market. */
#ifndef WB_TOOLS_MOCK_LISTING_H
#define WB_TOOLS_MOCK_LISTING_H

#include <jansson.h>

#include "tools/mock_server.h"

/* Of Exchange's /products, and with fewer keys of its channel status; of Advanced Trade's /api/v3/brokerage/market/products, where X-USDC, if X-USD is there,
 * is its alias. */
json_t *wb_mock_listing_product(const wb_mock_product *product, bool status);
json_t *wb_mock_listing_advanced(const wb_mock_server *server, const wb_mock_product *product);

/* wb_mock_listing_currencies lists what the products are made of, each once. */
json_t *wb_mock_listing_currencies(const wb_mock_server *server);

#endif
