/* publish_book.h - a product's book once more, on the thread that republishes it: begun by a copy of the node's (io/shm.h), kept by the ring of changes.
 *
 * Rule:    all changes from the ring's position as the copy began are applied, whole messages at a time. Once the position is passed where it was whole, the book is
 *          after each message what the node's was after it; not to be shown before.
 * Ends:    a book that was replaced, brought to other units, or of which changes were lost is no longer whole, and needs another copy.
 * Memory:  allocated as it is opened, backed as it is used. Threads: one. */
#ifndef WB_IO_PUBLISH_BOOK_H
#define WB_IO_PUBLISH_BOOK_H

#include "engine/book/book.h"
#include "io/shm.h"
#include "io/wirebook_shm.h"

typedef struct wb_publish_changes {
  wb_delta *at;
  uint32_t count, room;
} wb_publish_changes;

/* A level that changed; a level may have several of these, in their order. */
typedef struct wb_publish_touch {
  uint64_t price;
  uint64_t was; /* its size before */
  uint32_t order;
  uint8_t side;
} wb_publish_touch;

typedef struct wb_publish_book {
  wb_book *book;
  size_t bytes;
  bool whole;
  uint8_t price_decimals, size_decimals;
  uint16_t depth;  /* levels a side that are kept; 0: all */
  int64_t time_ns; /* of the last message */
  uint64_t from;   /* the ring's position from which on changes are applied */
  wb_publish_changes
      message; /* what the last message changed, in its order: with what was cut off, without what it took out and was not there */
  wb_publish_changes batch; /* what wb_publish_book_batch has found */
  wb_publish_touch *touch;  /* since then */
  uint32_t touch_count, touch_room;
  bool open;       /* the message is not whole yet, and not in the book */
  int64_t open_ns; /* its time */
} wb_publish_book;

/* wb_publish_book_open makes an empty one that is not whole. 0 or WB_E_MEMORY. close is for what was opened, or is all zero. */
int wb_publish_book_open(wb_publish_book *book, uint32_t level_count_max);
void wb_publish_book_close(wb_publish_book *book);

/* wb_publish_book_load begins with a copy. 0, or WB_E_FULL: it holds more levels than there is room for. */
int wb_publish_book_load(wb_publish_book *book, const wb_shm_copy *copy);

/* wb_publish_book_take takes the product's next record of the ring. Returns 1 when a message is whole and in the book, now in `message`; else 0, and the book may
 * not be whole any more. */
int wb_publish_book_take(wb_publish_book *book, const wirebook_shm_change *change);

/* wb_publish_book_batch puts into `batch` what is different since the last call, or the load: each level once, by side and price. Returns the count. */
uint32_t wb_publish_book_batch(wb_publish_book *book);

#endif
