/* Where there is no Boost.Beast. */
#include "bench/reference/echo_beast.h"

bool echo_beast_there(void) { return false; }
echo_beast *echo_beast_open(uint16_t port) { return NULL; }
void echo_beast_close(echo_beast *client) {}
const void *echo_beast_ask(echo_beast *client, const void *text, size_t bytes, size_t *answer_bytes) { return NULL; }
