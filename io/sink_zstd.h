/* sink_zstd.h - sealed segments in compressed form (NAME.wbseg.zst): block in, frame out, and back.
 *
 * Form:    every WB_ZSTD_BLOCK_BYTES of the segment are one zstd frame of their own, with content size and checksum; frame
 *          follows frame. Any zstd program gives the segment back. The decoder reads every file of zstd frames, whoever made it.
 * Why:     a frame made in one call spares the copy into the stream's window (11 % of the time at level 1), and what is damaged
 *          ends within its own frame. 4 MiB cost 1 % less than 1 MiB; beyond it nothing is gained.
 * Memory:  allocated at open only: encoder 5 MiB and what the level takes (1 MiB at 1, 80 MiB at 19); decoder 256 KiB and the
 *          window (4 MiB at most of what the encoder made; 128 MiB, which is zstd's own limit, of what others did).
 * Threads: one at a time. This file pair and recording are the only ones that include zstd. */
#ifndef WB_IO_SINK_ZSTD_H
#define WB_IO_SINK_ZSTD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

enum { WB_ZSTD_BLOCK_BYTES = 4 << 20, WB_ZSTD_LEVEL_MAX = 19 };

typedef struct wb_zstd_encoder wb_zstd_encoder;

/* wb_zstd_encoder_open: level 1..WB_ZSTD_LEVEL_MAX. NULL with *error. */
wb_zstd_encoder *wb_zstd_encoder_open(int level, wb_error *error);
void wb_zstd_encoder_close(wb_zstd_encoder *encoder);

/* wb_zstd_encode makes one frame of bytes[0..count), count 1..WB_ZSTD_BLOCK_BYTES. Returns its size, *frame is good until the
 * next call; 0 if zstd failed (no memory). */
size_t wb_zstd_encode(wb_zstd_encoder *encoder, const void *bytes, size_t count, const uint8_t **frame);

typedef struct wb_zstd_decoder wb_zstd_decoder;

/* wb_zstd_decoder_open opens a file. NULL with *error (WB_E_SYSTEM, os_errno set; WB_E_MEMORY). */
wb_zstd_decoder *wb_zstd_decoder_open(const char *path, wb_error *error);
void wb_zstd_decoder_close(wb_zstd_decoder *decoder);

/* wb_zstd_decoder_read gives the next count decoded bytes; fewer only at the end, or where nothing more can be decoded.
 * wb_zstd_decoder_code tells which: 0 so far, or at the clean end; WB_E_DAMAGED for bytes that are wrong or cut short;
 * WB_E_SYSTEM. Wrong bytes may be given before the checksum behind them tells. */
size_t wb_zstd_decoder_read(wb_zstd_decoder *decoder, void *to, size_t count);
int wb_zstd_decoder_code(const wb_zstd_decoder *decoder);

/* wb_zstd_decoder_seek goes to file_offset, where a frame must begin: the next bytes read are those of that frame. 0 or WB_E_SYSTEM. */
int wb_zstd_decoder_seek(wb_zstd_decoder *decoder, uint64_t file_offset);

/* wb_zstd_decoder_edge says whether a frame ends with the bytes given so far, and in *file_offset where the next one begins. */
bool wb_zstd_decoder_edge(wb_zstd_decoder *decoder, uint64_t *file_offset);

/* wb_zstd_decoder_taken returns how many bytes were read of the file. */
uint64_t wb_zstd_decoder_taken(const wb_zstd_decoder *decoder);

/* wb_zstd_is says whether bytes[0..count) begin like a file of zstd frames. */
bool wb_zstd_is(const uint8_t *bytes, size_t count);

/* wb_zstd_content_bytes returns how many bytes a file's frames say they hold; of a file cut short, with the frame in which it
 * ends. 0 if they do not say. */
uint64_t wb_zstd_content_bytes(const char *path);

#endif
