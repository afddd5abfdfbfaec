/* deflate.h - the bytes of permessage-deflate (RFC 7692 7.2): one message's text to its compressed payload and back.
 *
 * What:    raw DEFLATE; a payload is what is left of a message flushed to a byte, without the 00 00 ff ff at its end. With context takeover a message may
 *          refer to the 32 KiB of text before it.
 * Memory:  allocated by open, nothing later; an inflater takes 40 KiB, whatever it is fed. It never writes more than it is given room for, so
 *          how much a message may grow to is its caller's to say.
 * Threads: one each. With recording the only file pair that includes zlib. */
#ifndef WB_IO_DEFLATE_H
#define WB_IO_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

typedef struct wb_inflate wb_inflate;
typedef struct wb_deflate wb_deflate;

/* wb_inflate_open returns NULL when there is no memory. */
wb_inflate *wb_inflate_open(void);
void wb_inflate_close(wb_inflate *inflate);

/* wb_inflate_begin forgets everything: a connection begins. takeover: its messages may refer to those before them. */
void wb_inflate_begin(wb_inflate *inflate, bool takeover);

/* wb_inflate_read takes a piece of a message's payload, *in[0..*count), and writes text to out[0..room), room > 0; *in, *count move on, *given is what
 * was written. last: the payload ends with this piece. Returns 1 when all was taken, and all text it holds was given; 0 when there was no room for more: to
 * be called again with what is left (nothing, even) and the same last; WB_E_DAMAGED for what is no DEFLATE, refers to text that is not there, or ends
 * where no message can (at the byte where it shows, or a little behind). After an error only wb_inflate_begin helps. */
int wb_inflate_read(wb_inflate *inflate, const uint8_t **in, size_t *count, bool last, uint8_t *out, size_t room,
                    size_t *given);

/* wb_deflate_open: window_bits 9..15; takeover: messages refer to those before them. NULL when there is no memory. */
wb_deflate *wb_deflate_open(unsigned window_bits, bool takeover);
void wb_deflate_close(wb_deflate *deflate);

/* wb_deflate_bytes_max returns the room that the payload of a text of count bytes may need. */
size_t wb_deflate_bytes_max(wb_deflate *deflate, size_t count);

/* wb_deflate_write writes the payload of one message (1 byte at least) and returns its length; WB_E_LIMIT when room is less than wb_deflate_bytes_max says,
 * and it did not fit. */
int64_t wb_deflate_write(wb_deflate *deflate, const void *text, size_t count, uint8_t *out, size_t room);

#endif
