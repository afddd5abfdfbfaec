/* indexer.h - makes the index of a segment (engine/store/index.h): asks the feed's codec what each frame is about.
 *
 * What:    the codec itself decodes every frame, so that an index never thinks of a message otherwise than a replay does. Products
 *          are those that the frames name, found as they come. What is refused counts for all products, and so does what the node
 *          noted about connections and gaps.
 * Memory:  given at init; nothing is allocated.
 * Threads: one. Cost: that of decoding, some 1 GB/s. */
#ifndef WB_STAGES_INDEXER_H
#define WB_STAGES_INDEXER_H

#include "engine/port.h"
#include "engine/store/index.h"

typedef struct wb_indexer wb_indexer;

/* wb_indexer_bytes returns the memory wb_indexer_init needs: 64-byte aligned, zeroed. */
size_t wb_indexer_bytes(const wb_codec *codec);
wb_indexer *wb_indexer_init(void *memory, const wb_codec *codec);

/* wb_indexer_begin starts the index of a segment with this file header: 0, WB_E_DAMAGED, WB_E_VERSION. */
int wb_indexer_begin(wb_indexer *indexer, const uint8_t *header);

/* wb_indexer_chunk takes the next whole chunk as wb_segment_next gives it. WB_READ_SLACK_BYTES behind its data are readable. */
void wb_indexer_chunk(wb_indexer *indexer, const wb_chunk *chunk, const uint8_t *frame, const uint8_t *data);

/* As wb_index_bytes and wb_index_write. */
size_t wb_indexer_index_bytes(const wb_indexer *indexer, uint32_t block_count);
void wb_indexer_write(wb_indexer *indexer, uint64_t file_bytes, bool whole, const wb_index_block *block, uint32_t block_count,
                      uint8_t *bytes);

#endif
