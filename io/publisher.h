/* publisher.h - the node's books to clients of the Exchange dialect: who subscribed to what, and what they are sent. No socket, no clock.
 *
 * Channels: level2 (an l2update a message of the feed), level2_batch or level2_50 (what changed in 50 ms), heartbeat (each second, of products that are
 *           live), ticker (on trades), ticker_batch (each 5 s, if traded), matches (with last_match first).
 * Books:    io/publish_book.h. A subscriber gets a snapshot, then every change after it; a new snapshot where the book was replaced, was not live, or where the
 *           ring lapped this reader. Never an update that its book is not ready for. While a product is not live its subscribers hear nothing of it.
 * Numbers:  sequence is the number of the raw frame that the product's last change or trade came in.
 * Cost:     a message is formatted once for all its subscribers, and not at all for none.
 * Full:     a peer that port.put refuses is ended with 1008 ErrSlowConsume. A snapshot waits until there is room for it, or nothing else is queued.
 * Limits:   client_count_max clients; WB_PUBLISH_REQUEST_BYTES_MAX a request, of which 100 a second, in bursts of as many (1008 ErrSlowRead); a first
 *           subscribe within 5 s (1008). What is no JSON ends with 1008, no UTF-8 with 1007.
 * Memory:   allocated as clients come and products are subscribed to. Threads: one. */
#ifndef WB_IO_PUBLISHER_H
#define WB_IO_PUBLISHER_H

#include "io/publish_book.h"
#include "io/publish_request.h"
#include "io/publish_text.h"

typedef struct wb_publisher wb_publisher;
typedef struct wb_publisher_client wb_publisher_client;

/* The world. peer is what wb_publisher_join was given. None of these calls the publisher. */
typedef struct wb_publisher_port {
  void *self;
  int (*put)(void *self, void *peer, const char *text,
             size_t bytes);                 /* a text message: 0, or negative: it is too far behind, or gone */
  size_t (*queued)(void *self, void *peer); /* bytes that it has not taken yet */
  void (*end)(void *self, void *peer, unsigned code,
              const char *reason);           /* after what is queued; wb_publisher_leave follows some time */
  void (*ask)(void *self, uint32_t product); /* as wb_shm_copy_ask */
  const wb_shm_copy *(*copy)(void *self);    /* as wb_shm_copy_ready */
} wb_publisher_port;

typedef struct wb_publisher_config {
  wb_publisher_port port;
  const wb_products *products; /* of the node, which may add to it; outlives the publisher */
  const wirebook_shm *books;   /* of the node; read on from where its ring is now */
  uint32_t client_count_max;
  size_t queue_bytes_max;   /* of a client: port.put takes no more, but for one message where nothing is queued */
  uint32_t level_count_max; /* of a side of a book */
} wb_publisher_config;

typedef struct wb_publisher_counts {
  uint64_t formatted; /* messages, each for any number of clients */
  uint64_t put;       /* messages of clients */
  uint64_t snapshots; /* of those formatted */
  uint64_t copies;    /* of books that were asked for */
  uint64_t lapped;    /* changes of the ring that were overwritten before they were read */
  uint64_t slow;      /* clients ended for it */
} wb_publisher_counts;

/* wb_publisher_open: NULL with *error (WB_E_MEMORY). close: no client may be left. NULL is allowed. */
wb_publisher *wb_publisher_open(const wb_publisher_config *config, wb_error *error);
void wb_publisher_close(wb_publisher *publisher);

/* wb_publisher_join takes a client in; NULL: there are client_count_max, or no memory. leave forgets it, once. */
wb_publisher_client *wb_publisher_join(wb_publisher *publisher, void *peer, uint64_t now_ns);
void wb_publisher_leave(wb_publisher *publisher, wb_publisher_client *client);

/* wb_publisher_take takes one text message of a client. */
void wb_publisher_take(wb_publisher *publisher, wb_publisher_client *client, const char *text, size_t bytes, uint64_t now_ns);

/* wb_publisher_turn reads what is new and sends what is due; to be called each 10 ms or so while there are clients, and now and then while there are none,
 * for the last trades. utc_ns: of the same moment. */
void wb_publisher_turn(wb_publisher *publisher, uint64_t now_ns, int64_t utc_ns);

const wb_publisher_counts *wb_publisher_counts_of(const wb_publisher *publisher);

#endif
