/* echo_beast.h - Boost.Beast over TLS, synchronous, as its examples have it: what an echo client of io/tls, io/ws and io/uring is held against. */
#ifndef WB_BENCH_REFERENCE_ECHO_BEAST_H
#define WB_BENCH_REFERENCE_ECHO_BEAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct echo_beast echo_beast;

/* echo_beast_there: whether it was built. */
bool echo_beast_there(void);

/* echo_beast_open connects to wss://127.0.0.1:port, whose certificate is not checked. NULL if that fails. */
echo_beast *echo_beast_open(uint16_t port);
void echo_beast_close(echo_beast *client);

/* echo_beast_ask sends a text message and waits for one. Returns its bytes, which stay until the next call, or NULL. */
const void *echo_beast_ask(echo_beast *client, const void *text, size_t bytes, size_t *answer_bytes);

#ifdef __cplusplus
}
#endif

#endif
