/* base64.h - base64 and base64url (RFC 4648), strict: what is accepted is what encoding would have written.
 *
 * Threads: pure. */
#ifndef WB_IO_BASE64_H
#define WB_IO_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* The padded form is the longer one. */
#define WB_BASE64_BYTES(count) (((count) + 2) / 3 * 4)

/* Both write NUL-terminated text, WB_BASE64_BYTES(count) + 1 bytes of room at most, and return its length: wb_base64_encode the alphabet of section 4
 * with padding, wb_base64url_encode that of section 5 without. */
size_t wb_base64_encode(const void *bytes, size_t count, char *text);
size_t wb_base64url_encode(const void *bytes, size_t count, char *text);

/* Both return how many bytes text[0..count) stands for; WB_E_SYNTAX where it is none (another character, padding that is missing or too much, bits set
 * behind the last byte), WB_E_LIMIT where they are more than size. */
int wb_base64_decode(const char *text, size_t count, void *bytes, size_t size);
int wb_base64url_decode(const char *text, size_t count, void *bytes, size_t size);

#endif
