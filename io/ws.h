/* ws.h - RFC 6455 framing: bytes in, messages out, in place; no I/O of its own.
 *
 * What:    wb_ws_read walks received bytes that lie contiguous in memory and gives whole messages and control frames as they
 * lie there. A message of one unmasked frame is given without touching its bytes. Fragments are moved together over the headers
 * between them as they complete, so the message is contiguous at the end; masked frames (server side) are unmasked in place.
 *
 * UTF-8:   not checked here: the codec does that on its way through the bytes (close reason text is checked).
 * Threads: one.
 *
 *          wb_ws_read_piece walks the same bytes where messages may be compressed (RFC 7692): it gives payload as it comes, in place, and keeps none.
 *
 * Limits:  message_bytes_max (more: WB_E_TOO_LARGE, as soon as a header shows it); control frames within one fragmented
 * message: at most WB_WS_NESTED_MAX (more: WB_E_PROTOCOL; the limit keeps a peer from growing the log without end); headers and
 * control frames of one fragmented message together: at most WB_WS_OVERHEAD_BYTES_MAX (more: WB_E_TOO_LARGE; else a peer could
 * fill any buffer with empty fragments). So *wanted is at most message_bytes_max + WB_WS_OVERHEAD_BYTES_MAX +
 * WB_WS_HEADER_BYTES_MAX.
 *
 * Source:  RFC 6455 sections 5, 7; RFC 7692 section 6. */
#ifndef WB_IO_WS_H
#define WB_IO_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

enum { WB_WS_CONTINUATION = 0, WB_WS_TEXT = 1, WB_WS_BINARY = 2, WB_WS_CLOSE = 8, WB_WS_PING = 9, WB_WS_PONG = 10 };
enum { WB_WS_HEADER_BYTES_MAX = 14, WB_WS_NESTED_MAX = 64, WB_WS_CONTROL_BYTES_MAX = 125 };
/* 32 MiB in fragments of 1 KiB need 128 KiB of headers; 8 times that is no honest peer's. */
enum { WB_WS_OVERHEAD_BYTES_MAX = 1 << 20 };
enum { WB_WS_COMPRESSED = 0x40 };            /* RSV1, in the first byte of a message's first header: RFC 7692 6 */
enum { WB_WS_CLIENT = 0, WB_WS_SERVER = 1 }; /* which end WE are: a client refuses masked frames, a server unmasked ones */

/* One whole message or control frame. bytes[0..count) lies in the buffer that was read (or, for a control frame nested in a
 * fragmented message, in wb_ws.nested until the first read after that message was given). */
typedef struct wb_ws_item {
  uint8_t opcode; /* TEXT, BINARY, CLOSE, PING, PONG */
  bool nested;    /* control frame between the fragments of a message that is not complete yet */
  uint32_t fragments;
  uint8_t *bytes;
  size_t count;
} wb_ws_item;

/* A piece of a message's payload, or one whole control frame (last, never compressed); bytes[0..count) lies in the buffer that was read. */
typedef struct wb_ws_piece {
  uint8_t opcode;  /* TEXT, BINARY, CLOSE, PING, PONG */
  bool compressed; /* the message is */
  bool last;       /* the message ends with this piece */
  uint8_t *bytes;
  size_t count;
} wb_ws_piece;

typedef struct wb_ws {
  uint64_t message_bytes_max;
  int role;
  /* state of the message at the front of the unconsumed bytes, offsets from its first byte */
  uint8_t opcode; /* 0: no fragmented message open */
  uint32_t fragments;
  size_t start; /* start of the payload put together so far */
  size_t fill;  /* its end */
  size_t scan;  /* start of the next frame header */
  uint32_t nested_count;
  size_t nested_used; /* bytes of nested[] in use */
  /* wb_ws_read_piece: nothing lies at start, fill and scan, but they count the same bytes */
  bool compressed, fin, masked;
  uint8_t mask[4];
  size_t left, phase; /* of the frame whose payload is coming: bytes to come, bytes that came */
  uint8_t nested[WB_WS_NESTED_MAX * WB_WS_CONTROL_BYTES_MAX];
} wb_ws;

/* wb_ws_init: role WB_WS_CLIENT or WB_WS_SERVER; message_bytes_max: largest payload of one message. */
void wb_ws_init(wb_ws *ws, int role, uint64_t message_bytes_max);

/* wb_ws_read looks at bytes[0..count), the bytes not yet consumed, which may grow at the end from call to call (and may move as
 * a whole, contents kept). Returns 1 and fills *item; 0 if more bytes are needed; WB_E_PROTOCOL, WB_E_TOO_LARGE or WB_E_UTF8
 * (bad close reason). *consumed: how many bytes at the front are done with after the item was used; the caller continues at
 * bytes + *consumed. For a nested item it is 0: the caller calls again with the same bytes. For 0 it is 0; *wanted (may be
 * NULL) is then the least count that can make progress, so that the caller knows how much room a large message needs. After an
 * error the connection is to be failed with wb_ws_close_code(error). O(bytes not seen before); a few nanoseconds for a whole
 * text frame in front of a client, which is answered here; wb_ws_read_any knows all the rest. */
int wb_ws_read_any(wb_ws *ws, uint8_t *bytes, size_t count, wb_ws_item *item, size_t *consumed, size_t *wanted);

static inline int wb_ws_read(wb_ws *ws, uint8_t *bytes, size_t count, wb_ws_item *item, size_t *consumed, size_t *wanted) {
  if (__builtin_expect(count >= 4 && bytes[0] == (0x80 | WB_WS_TEXT) && bytes[1] <= 126 && ws->role == WB_WS_CLIENT, 1)) {
    /* No fragmented message is open: it would begin here, without FIN. */
    /* Lengths of a real feed lie on both sides of 126: selected by arithmetic, a branch would be guessed wrong. */
    size_t length = bytes[1], extended = length == 126;
    size_t payload_bytes = length ^ ((length ^ ((size_t)bytes[2] << 8 | bytes[3])) & (0 - extended));
    size_t header_bytes = 2 + 2 * extended, least_bytes = 126 & (0 - extended);
    bool whole =
        payload_bytes >= least_bytes && payload_bytes <= ws->message_bytes_max && header_bytes + payload_bytes <= count;
    if (__builtin_expect(whole, 1)) {
      *item = (wb_ws_item){.opcode = WB_WS_TEXT, .fragments = 1, .bytes = bytes + header_bytes, .count = payload_bytes};
      *consumed = header_bytes + payload_bytes;
      return 1;
    }
  }
  return wb_ws_read_any(ws, bytes, count, item, consumed, wanted);
}

/* wb_ws_read_piece looks at bytes[0..count), those not yet consumed. Returns 1, fills *piece and says in *consumed how many bytes at the front
 * are done with after it was used; 0 if more are needed (at most WB_WS_HEADER_BYTES_MAX + WB_WS_CONTROL_BYTES_MAX); errors and limits as wb_ws_read, of
 * the payload as it is sent. A frame that begins may give a piece of no bytes. A stream is read by this from its first byte on, or never: RSV1 on the first
 * frame of a message is legal here alone. */
int wb_ws_read_piece(wb_ws *ws, uint8_t *bytes, size_t count, wb_ws_piece *piece, size_t *consumed);

/* wb_ws_message_begins, after wb_ws_read returned 0 for the same bytes: the length of the header if they begin with the one frame of a whole text
 * message, unmasked and of more than 64 KiB, whose payload is still coming; else 0. */
size_t wb_ws_message_begins(const wb_ws *ws, const uint8_t *bytes, size_t count);

/* wb_ws_header writes a frame header into header[WB_WS_HEADER_BYTES_MAX] and returns its length (2..14). mask: 4 bytes for a
 * client's frame, NULL for a server's. opcode, fin and payload_bytes must be what RFC 6455 allows (a control frame is whole and
 * at most WB_WS_CONTROL_BYTES_MAX; payload_bytes below 2^63). */
size_t wb_ws_header(uint8_t *header, int opcode, bool fin, uint64_t payload_bytes, const uint8_t *mask);

/* wb_ws_mask applies (or takes off) a mask in place. phase: offset of bytes[0] within the payload. SIMD-friendly. */
void wb_ws_mask(uint8_t *bytes, size_t count, const uint8_t mask[4], size_t phase);

/* wb_ws_close_parse reads the payload of a CLOSE frame: *code (1005 if empty), reason text within bytes. Returns 0,
 * WB_E_PROTOCOL (1-byte payload, or a code that must not be sent: RFC 6455 7.4 and the IANA registry it founded, which since
 * has 1012..1014) or WB_E_UTF8; *code and *reason are written on success only. The reason is not NUL-terminated. */
int wb_ws_close_parse(const uint8_t *bytes, size_t count, unsigned *code, const char **reason, size_t *reason_bytes);

/* wb_ws_close_code maps an error of wb_ws_read to the close code to send: 1002, 1007, 1009; 1011 for any other. WB_E_DAMAGED, compressed
 * data that is none, is 1007 too: RFC 7692 names no code, and RFC 6455 7.4.1 has it for data that is not consistent with the type of its message. */
unsigned wb_ws_close_code(int error);

/* wb_utf8_valid checks UTF-8 (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF). */
bool wb_utf8_valid(const uint8_t *bytes, size_t count);

#endif
