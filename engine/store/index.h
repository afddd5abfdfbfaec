/* index.h - what lies where in a segment, kept in a file beside it (NAME.wbidx), so that a part of a log is read without the rest:
 * memory in, memory out, no I/O.
 *
 * What:    a segment is divided into stretches: whole chunks, one behind the other, WB_INDEX_STRETCH_BYTES or more (the last may be
 *          smaller). For each the index says where it lies, its numbers and receive times, and which products it has something
 *          about, which of them with a whole snapshot. A book at a time is then made of the last stretch in front of it that
 *          has a snapshot of the product, and of those behind it that name the product or concern all products.
 *          Of a compressed segment it says, too, where in the file blocks begin from which it can be decoded.
 *   head:  128 bytes, then product ids, 32 bytes each, then one bitmap: products of which the segment has a snapshot.
 *   table: stretches, 80 bytes each; two bitmaps for each stretch (products, snapshots); blocks, 16 bytes each.
 *          All integers little endian; bitmaps in whole groups of 8 bytes, bit i of byte i / 8 is product i. Two checksums, so that heads can
 *          be read alone. Layout: docs/formats.md, "Index".
 * Belief:  an index is of a segment if node, segment number, header checksum and file size are the same. Its reader decides that.
 * Memory:  the builder is one object of some 4.3 MiB, of which as much is touched as there are stretches. When a segment has more
 *          than WB_INDEX_STRETCHES_MAX, neighbours are joined two by two.
 * Threads: one. */
#ifndef WB_STORE_INDEX_H
#define WB_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/products.h"
#include "engine/store/segment.h"

enum {
  WB_INDEX_VERSION = 1,
  WB_INDEX_STRETCH_BYTES = 16 << 10,
  WB_INDEX_STRETCHES_MAX = 4096,
  WB_INDEX_BLOCKS_MAX = 1 << 20,
  WB_INDEX_BITMAP_BYTES_MAX = WB_PRODUCT_COUNT_MAX / 8
};

/* The largest there can be: 4096 products in 4096 stretches, and as many blocks as there may be. */
#define WB_INDEX_FILE_BYTES_MAX (32u << 20)

/* ALL: the stretch holds what any product's book may depend on: a connection's beginning or end, a gap, a message that was
 * refused. WHOLE, in the head: nothing lies behind the last stretch; otherwise there is damage. */
enum { WB_INDEX_ALL = 1, WB_INDEX_WHOLE = 2 };

/* As on disk. Without a record, first_number is UINT64_MAX and last_number 0, and likewise the times. */
typedef struct wb_index_stretch {
  uint64_t offset, bytes; /* of the segment, decoded */
  uint64_t first_number, last_number;
  int64_t first_utc_ns, last_utc_ns;    /* receive times: lowest, highest */
  uint64_t first_recv_ns, last_recv_ns; /* the same by the monotonic clock */
  uint32_t chunk, chunk_count;          /* number of the first chunk */
  uint32_t lines;                       /* bit i: line i, bit 31: 31 and more */
  uint32_t flags;                       /* WB_INDEX_* */
} wb_index_stretch;

/* From file_offset on the file can be decoded, and gives the segment's bytes from offset on. As on disk. */
typedef struct wb_index_block {
  uint64_t file_offset, offset;
} wb_index_block;

/* As on disk. */
typedef struct wb_index_head {
  char magic[8];
  uint32_t version, head_crc; /* of the whole head, with head_crc 0 */
  uint32_t head_bytes, table_crc;
  uint64_t segment;
  uint8_t node[16];
  uint32_t header_crc, flags; /* of the segment's file header */
  uint64_t file_bytes;        /* of the segment, as it lies on disk */
  uint64_t indexed_bytes;     /* decoded; where the last stretch ends */
  uint64_t first_number, last_number;
  int64_t first_utc_ns, last_utc_ns;
  uint32_t stretch_count, block_count; /* no blocks: not compressed */
  uint32_t product_count, reserved[3];
} wb_index_head;
_Static_assert(sizeof(wb_index_stretch) == 80 && sizeof(wb_index_block) == 16 && sizeof(wb_index_head) == 128,
               "the records of an index are the same in memory and on disk");

/* An index that lies in memory. table is NULL where only the head was read. */
typedef struct wb_index {
  wb_index_head head;
  const uint8_t *id, *snapshots, *table;
  uint32_t bitmap_bytes;
} wb_index;

/* wb_index_head_read checks a head, of which bytes[0..count) is the file's beginning. 0, WB_E_VERSION, WB_E_DAMAGED; where count
 * is too small for a head that may be right, WB_E_LIMIT and index->head.head_bytes says how many are needed. */
int wb_index_head_read(const uint8_t *bytes, size_t count, wb_index *index);

/* wb_index_size returns how large the file of an index is whose head was read. */
size_t wb_index_size(const wb_index *index);

/* wb_index_read checks a whole index, and that its stretches and blocks follow each other: 0, WB_E_DAMAGED, WB_E_VERSION. The bytes
 * must outlive it. */
int wb_index_read(const uint8_t *bytes, size_t count, wb_index *index);

wb_index_stretch wb_index_stretch_at(const wb_index *index, uint32_t stretch);
wb_index_block wb_index_block_at(const wb_index *index, uint32_t block);

/* wb_index_product returns the index's number of a product, or -1. The others say whether the segment has a snapshot of a product of
 * that number; and whether a stretch has something about it, or a snapshot. */
int wb_index_product(const wb_index *index, const wb_product *product);
bool wb_index_has_snapshot(const wb_index *index, uint32_t product);
bool wb_index_stretch_has(const wb_index *index, uint32_t stretch, uint32_t product, bool snapshot);

/* ------------------------------------------------------------------------------------------------ making one */

typedef struct wb_index_builder {
  wb_index_head head;
  uint64_t stretch_bytes;
  wb_index_stretch stretch[WB_INDEX_STRETCHES_MAX];
  uint8_t products[WB_INDEX_STRETCHES_MAX][WB_INDEX_BITMAP_BYTES_MAX];
  uint8_t snapshots[WB_INDEX_STRETCHES_MAX][WB_INDEX_BITMAP_BYTES_MAX];
} wb_index_builder;

/* wb_index_begin starts the index of a segment with this file header (WB_SEGMENT_HEADER_BYTES): 0, WB_E_DAMAGED, WB_E_VERSION. */
int wb_index_begin(wb_index_builder *builder, const uint8_t *header);

/* wb_index_chunk takes the next chunk of the segment and its frame records; the marks that follow are about it. */
void wb_index_chunk(wb_index_builder *builder, const wb_chunk *chunk, const uint8_t *frame);
void wb_index_mark(wb_index_builder *builder, uint32_t product, bool snapshot);
void wb_index_mark_all(wb_index_builder *builder);

/* wb_index_bytes returns how large the index is; wb_index_write makes it in so many bytes. file_bytes: of the segment, on disk.
 * whole: nothing lies behind its last chunk. block: NULL if it is not compressed. */
size_t wb_index_bytes(const wb_index_builder *builder, const wb_products *products, uint32_t block_count);
void wb_index_write(wb_index_builder *builder, const wb_products *products, uint64_t file_bytes, bool whole,
                    const wb_index_block *block, uint32_t block_count, uint8_t *bytes);

#endif
