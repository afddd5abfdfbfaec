/* shm.h - the writer of io/wirebook_shm.h: a file in /dev/shm that other processes read the books from, or the same in memory of this process alone.
 *
 * What:    the views of the books lie in the file themselves, so that they cost nothing more; depths and the ring of changes are written by an observer
 *          of the book stage: some ns a change, and a copy of the depth of what changed each depth_ns.
 * File:    /dev/shm/NAME, mode 0640. It appears whole or not at all; that of a dead writer is replaced, that of a living one refused. Removed at the end.
 * Copies:  whole books, for one other thread of this process, which asks; the book thread copies some levels at the end of each turn. A copy holds all changes
 *          before the ring's position as it began, none from that on where it was whole, and of those between some. A change says a level's whole
 *          size: so whoever applies all from the first position on has, from the second on, the book.
 * Threads: open and close: the control thread. The observer's functions: the book thread. Edges M1, M2 (copies), docs/threading.md. */
#ifndef WB_IO_SHM_H
#define WB_IO_SHM_H

#include "engine/port.h"
#include "engine/stages/book_stage.h"
#include "io/wirebook_shm.h"

typedef struct wb_shm wb_shm;

typedef struct wb_shm_config {
  const char *name;            /* 1..63 of letters, digits, '-', '_', '.'; NULL: no file, for wb_shm_reader alone */
  uint32_t product_max;        /* room for so many */
  uint32_t depth;              /* levels a side */
  uint64_t depth_ns;           /* how often a depth is written at most */
  size_t ring_bytes;           /* power of two; 0: 1 MiB, 16,384 changes */
  uint32_t copy_levels;        /* levels a side of a copy at most; 0: there are none */
  uint32_t copy_slice;         /* levels copied a turn; 0: 4096, some 30 us */
  const wb_observer *observer; /* told as well, first; NULL: nobody */
} wb_shm_config;

typedef struct wb_shm_copy {
  uint32_t product;
  uint32_t count[2];        /* by side */
  const wb_level *level[2]; /* best first */
  uint64_t position;        /* of the ring as it began */
  uint64_t until;           /* and as it was whole, between two messages */
  int64_t time_ns;          /* of the last message */
  uint16_t depth;           /* levels a side that the exchange speaks of: what is worse is no level. 0: all are */
  uint8_t price_decimals, size_decimals;
} wb_shm_copy;

/* wb_shm_open makes the file. NULL on failure: WB_E_CONFIG (name), WB_E_STATE (another node writes it), WB_E_SYSTEM. */
wb_shm *wb_shm_open(const wb_shm_config *config, wb_error *error);

/* wb_shm_views is where the views of product_max products are to lie, zeroed. */
wb_view *wb_shm_views(wb_shm *shm);

/* wb_shm_observer is for the stages' config; stage is what it watches, products its ids. */
const wb_observer *wb_shm_observer(wb_shm *shm, const wb_book_stage *stage, const wb_products *products);

/* wb_shm_copy_ask asks for a copy of a product's book; wb_shm_copy_ready returns it, NULL while it is not made. It is the asking thread's until it asks
 * again. The book thread may have to be woken, for each turn. Cost there: some ns a level. */
void wb_shm_copy_ask(wb_shm *shm, uint32_t product);
const wb_shm_copy *wb_shm_copy_ready(const wb_shm *shm);

/* wb_shm_reader opens a reader in this process, which must not be closed: it ends with wb_shm_close. */
void wb_shm_reader(const wb_shm *shm, wirebook_shm *reader);

/* wb_shm_show puts the file under its name, if it has one. Returns 0, or WB_E_STATE when another node was faster. */
int wb_shm_show(wb_shm *shm, wb_error *error);

/* wb_shm_close writes what is behind, says that it ended, and removes the file; before the books are freed, on any thread when theirs has ended. NULL is
 * allowed. */
void wb_shm_close(wb_shm *shm);

#endif
