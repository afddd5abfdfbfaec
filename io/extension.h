/* extension.h - permessage-deflate in the opening handshake: what is offered, what an answer agrees to (RFC 7692 5, 7.1).
 *
 * Shape:   text in, terms out; a line is the value of one Sec-WebSocket-Extensions header, not NUL-terminated.
 * Threads: pure. */
#ifndef WB_IO_EXTENSION_H
#define WB_IO_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
  WB_DEFLATE_OFF = 0,
  WB_DEFLATE_TAKEOVER,   /* a message may refer to the text before it */
  WB_DEFLATE_NO_TAKEOVER /* each message stands alone */
} wb_deflate_mode;

/* What both ends keep to. */
typedef struct wb_deflate_terms {
  wb_deflate_mode server;     /* of its messages; OFF: nothing was agreed on */
  uint8_t server_window_bits; /* 8..15 */
} wb_deflate_terms;

/* wb_extension_offer returns what a client's Sec-WebSocket-Extensions says, NULL for OFF. Without takeover both ends are asked to do without; with it
 * nothing is asked for, and the server may still choose. Static. */
const char *wb_extension_offer(wb_deflate_mode mode);

/* wb_extension_agree reads a server's answer to that offer (not OFF). Returns NULL and fills *terms, or what is wrong with it, static: another extension,
 * more than one, a parameter unknown, twice, of an illegal value or that must not be there (client_max_window_bits was not offered), or none where
 * server_no_context_takeover was asked for. */
const char *wb_extension_agree(wb_deflate_mode offered, const char *line, size_t bytes, wb_deflate_terms *terms);

/* wb_extension_accept chooses, for a server that wants mode (not OFF) of its own messages, the first of a client's offers that it can keep to:
 * fills *terms and writes the answer, NUL-terminated, to text (128 bytes suffice). Returns false if there is none; the connection then goes on without.
 * A window of 2^8 is declined, as zlib knows none. */
bool wb_extension_accept(wb_deflate_mode mode, const char *line, size_t bytes, wb_deflate_terms *terms, char *text,
                         size_t size);

#endif
