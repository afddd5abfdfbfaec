/* mock_limits.h - how often an address may do a thing, and how often one did it too often.
 *
 * Limits:  of the real exchange, where it says them. Connections: 8 a second, in bursts of up to 20. Messages of clients: the documents say 100 a second in one
 *          place, 10 a second in bursts of 1,000 in another, and 8 a second where nobody is logged in: 8, in bursts of up to 100, keep to all of
 *          them. Subscriptions: 10 of a product, channel and account. Size of a client's message: not said; 64 KiB here.
 * Memory:  the caller's. Threads: one. */
#ifndef WB_TOOLS_MOCK_LIMITS_H
#define WB_TOOLS_MOCK_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

enum {
  WB_MOCK_SOURCES_MAX = 512, /* addresses remembered: twice the clients that can be there at a time */
  WB_MOCK_SUBSCRIPTIONS_MAX = 10,
  WB_MOCK_LIMIT_BYTES = 64 << 10
};

/* So many a second, in bursts of up to so many. per_second 0: no limit. */
typedef struct wb_mock_rate {
  uint32_t per_second, burst;
} wb_mock_rate;

extern const wb_mock_rate wb_mock_rate_connections, wb_mock_rate_messages;

/* wb_mock_rate_take says whether one more is within the rate, and counts it if so. *used_ns: the caller's, 0 at first. */
bool wb_mock_rate_take(const wb_mock_rate *rate, uint64_t *used_ns, uint64_t now_ns);

/* What an address did so far. */
typedef struct wb_mock_source {
  char address[64];
  uint32_t clients;
  uint64_t connections_ns, messages_ns, requests_ns; /* for wb_mock_rate_take */
} wb_mock_source;

/* wb_mock_source_of finds an address in source[WB_MOCK_SOURCES_MAX], or puts it in place of one without clients that has been still for longest. At
 * most half of them may have clients. */
wb_mock_source *wb_mock_source_of(wb_mock_source *source, const char *address);

/* What went beyond a limit. */
typedef struct wb_mock_breaches {
  uint64_t connections, messages, size, subscriptions, requests;
} wb_mock_breaches;

#endif
