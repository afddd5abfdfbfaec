/* pool.h - memory for the hot parts of many books, dense: what is taken lies right behind what was taken before, whoever took it. Some MiB of
 * huge pages then hold what a few changes a book touch of hundreds of books.
 *
 * What:    room for ever (heads of books, cells of their windows) and blocks of sizes, which can be given back.
 * Memory:  given by the caller, zeroed, 64-byte aligned; may be lazily backed. Room for ever is zero; a block holds anything.
 * Full:    never: the caller gives as much as all of its books can take, see wb_book_pool_bytes.
 * Threads: one, that of all books of the pool. */
#ifndef WB_BOOK_POOL_H
#define WB_BOOK_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { WB_POOL_BLOCK_WORDS = 64 };

typedef struct wb_pool {
  uint8_t *next, *end;
  uint64_t *spare; /* the block given back last; its first word is the one before */
} wb_pool;

void wb_pool_init(wb_pool *pool, void *memory, size_t bytes);

/* wb_pool_take returns room for ever. bytes: a multiple of 64. */
void *wb_pool_take(wb_pool *pool, size_t bytes);

uint64_t *wb_pool_block_take(wb_pool *pool);
void wb_pool_block_give(wb_pool *pool, uint64_t *block);

#endif
