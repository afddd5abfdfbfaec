/* source_wire.h - a connection with permessage-deflate: what was received, on its way into the line's journal. Private to source_line and source_ws.
 *
 * What:    bytes are received into the wire instead of the journal. wb_wire_read finds the frames in them and puts each message together at the head
 *          of the journal, inflated as it comes, so that the record is the same as without compression; the transport's bytes are not kept.
 * Limits:  neither a message's text nor its compressed form may be larger than message_bytes_max; that is seen while it grows. Memory is the wire and the
 *          inflater's 40 KiB, whatever comes.
 * Full:    where the journal has no room the wire keeps what it has, and no more must be received.
 * Threads: the ingest thread. */
#ifndef WB_IO_SOURCE_WIRE_H
#define WB_IO_SOURCE_WIRE_H

#include "engine/ring/frames.h"
#include "io/extension.h"
#include "io/ws.h"

typedef struct wb_wire wb_wire;

/* wb_wire_open allocates all there will ever be; NULL when there is no memory. */
wb_wire *wb_wire_open(void);
void wb_wire_close(wb_wire *wire);

/* wb_wire_begin: a connection on which terms were agreed. bytes[0..count) came behind the answer to the upgrade, WB_WIRE_RECV_BYTES_MAX at most. */
enum { WB_WIRE_RECV_BYTES_MAX = (256 << 10) + (16 << 10) };
void wb_wire_begin(wb_wire *wire, const wb_deflate_terms *terms, const uint8_t *bytes, size_t count);

/* wb_wire_room returns how many bytes may be received, and where; 0 while what is there waits for room in the journal. wb_wire_advance says how many were. */
size_t wb_wire_room(wb_wire *wire, uint8_t **at);
void wb_wire_advance(wb_wire *wire, size_t count);

/* wb_wire_read gives what wb_ws_read gives, and takes the message that is being put together to begin at journal position begun, where the head was
 * when the last one was given. A message lies there, and *consumed is its length; a control frame lies elsewhere, nested, and *consumed is 0. Returns 1; 0
 * when more must be received; WB_E_FULL where the journal has no room: again when it has; WB_E_TOO_LARGE, WB_E_PROTOCOL or WB_E_UTF8 as wb_ws_read;
 * WB_E_DAMAGED as wb_inflate_read. After an error what came of the message is in the journal; the rest is for wb_wire_drain. */
int wb_wire_read(wb_wire *wire, wb_ws *ws, wb_frames *frames, uint64_t begun, wb_ws_item *item, size_t *consumed);

/* wb_wire_drain moves what was not read to the journal's head, as it was received. Returns how many bytes there was no room for. */
size_t wb_wire_drain(wb_wire *wire, wb_frames *frames);

#endif
