/* port.h - the seams: tables of functions by which a codec, a source, a sink or a host plugs into the engine.
 *
 * Each table is plain data with a name; adding a venue or a sink is adding one file and one row. */
#ifndef WB_PORT_H
#define WB_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/products.h"
#include "engine/event.h"

/* ------------------------------------------------------------------------------------------------ out: codec -> book */

/* Where a codec puts its messages. claim returns room for a message of up to delta_count (0..WB_PART_DELTAS_MAX) deltas,
 * 64-byte aligned, its header still to be written; never NULL: it waits where the ring behind it is full. At most one claim is open. commit
 * hands it over (message->delta_count as written, at most what was claimed); a claim not committed is simply claimed again. */
typedef struct wb_out {
  wb_message *(*claim)(struct wb_out *out, uint32_t delta_count);
  void (*commit)(struct wb_out *out, wb_message *message);
} wb_out;

/* ------------------------------------------------------------------------------------------------ codec: one venue's dialect
 */

/* Level 3 of a venue: order by order, spliced to snapshots that are asked for by REST. */
typedef struct wb_codec_orders {
  const char *rest; /* where REST is when nobody says otherwise */

  /* channel says whether a channel brings orders. */
  bool (*channel)(const char *name);

  /* begin turns an instance to level 3, right after init: text of such channels and ANSWER frames become ORDER messages, level-2 books are
   * IGNORED. */
  void (*begin)(void *state);

  /* path writes what is asked for to get a product's book, NUL-terminated; an ANSWER frame begins with "GET ", it, a blank, and the status. Returns its
   * length, or WB_E_LIMIT when size is too small. */
  int (*path)(const wb_products *products, uint16_t product, char *text, size_t size);
} wb_codec_orders;

typedef struct wb_codec {
  const char *name;            /* "coinbase-exchange": the value of --feed */
  const char *url;             /* where the feed is when nobody says otherwise */
  const char *login_url;       /* and for who logs in; NULL: the same */
  const char *products_url;    /* where its list of products is, over REST */
  const char *const *channels; /* default channels, NULL-terminated */
  const char *level2;          /* how the names of those channels begin that make the book: a resync asks for these anew */
  const char *product_key;     /* with its quotes: the member by which messages name their product */
  char separator;              /* between the two currencies of a product id: '-' in "BTC-USD" */

  /* size returns the bytes of one instance's state, for as many products as the table has room for; init makes it in that memory (64-byte
   * aligned) for a products table that outlives it. init returns 0 or a negative error. Products that come later are taken in when a record of
   * kind WB_FRAME_PRODUCTS tells of them. */
  size_t (*size)(const wb_products *products);
  int (*init)(void *state, const wb_products *products);

  /* decode takes one frame and its bytes (WB_READ_SLACK_BYTES past the end are readable) and puts 1 or more messages to out:
   * never none, so that every frame is accounted for. Never fails: what is wrong with the bytes becomes a REJECT message. It
   * copies recv_ns, number, connection and line of the frame into each message. No allocation, no syscall, no clock. */
  void (*decode)(void *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);

  /* ahead (may be NULL) takes what has come of a large text message that is not whole yet: bytes[0..count) of the record that will begin at
   * position in its line's journal. It is called again with more of the same, or with the beginning of another. It may put parts of
   * a SNAPSHOT to out, without number, before the rest is known to be well formed; decode then goes on from there, or takes them back by a part
   * LAST|ABORT when the record turns out otherwise or cut short. Returns whether it got on. */
  bool (*ahead)(void *state, uint8_t line, uint64_t position, const uint8_t *bytes, size_t count, wb_out *out);

  /* subscribe writes the subscribe (or unsubscribe) messages, one a line, for the channels (NULL-terminated) and the products
   * index[0..count) into text, NUL-terminated. Returns its length, or WB_E_LIMIT when size is too small. */
  int (*subscribe)(const wb_products *products, const char *const *channels, const uint16_t *index, uint32_t count,
                   bool unsubscribe, char *text, size_t size);

  /* checksum (NULL where no message has one) reckons what u.book.checksum says of a book: of its best levels, best first, checksum_levels (up to
   * WB_CHECKSUM_LEVELS_MAX) a side or as many as there are, in the product's units. Called where the books are. Pure. */
  uint32_t (*checksum)(const wb_level *bid, uint32_t bid_count, const wb_level *ask, uint32_t ask_count);
  uint32_t checksum_levels;

  const wb_codec_orders *orders; /* NULL: no level 3 here */
} wb_codec;

/* wb_codec_find returns the codec of that name from the table of codecs, or NULL. wb_codec_at enumerates it (NULL past the
 * end). */
const wb_codec *wb_codec_find(const char *name);
const wb_codec *wb_codec_at(unsigned index);

/* ------------------------------------------------------------------------------------------------ observer: who is told */

/* Told of what happens, at once, on the thread where it happens: an embedding program, or what republishes books. Must not wait; what it takes, the
 * feed waits for. Each function may be NULL. */
typedef struct wb_observer {
  void *self;

  /* A raw record, before the codec, on the parse thread. The bytes are the journal's: copy what is to stay. */
  void (*frame)(void *self, const wb_frame *frame, const uint8_t *bytes);

  /* Book thread, after the book took it: a part of an UPDATE (with PART_LAST the message is whole); the end of a SNAPSHOT, whose levels are the book's and
   * not the message's; a SCALE; a TRADE, of one line where there are several. */
  void (*applied)(void *self, const wb_message *message);

  /* Book thread: the product's state, its reason or another rare field of its view may have changed. */
  void (*state)(void *self, uint32_t product);

  /* Book thread, at the end of each turn, of a burst of messages or an idle one. */
  void (*settled)(void *self, uint64_t now_ns);
} wb_observer;

/* ------------------------------------------------------------------------------------------------ host: what the engine asks
 * of the world */

/* now_ns: CLOCK_MONOTONIC. utc_offset_ns: CLOCK_REALTIME - CLOCK_MONOTONIC as of now. log: one line, may be called from any thread and never
 * waits for a disk or for another thread. */
enum { WB_LOG_ERROR = 0, WB_LOG_WARNING, WB_LOG_INFO, WB_LOG_DEBUG };
typedef struct wb_host {
  void *self;
  uint64_t (*now_ns)(void *self);
  int64_t (*utc_offset_ns)(void *self);
  void (*log)(void *self, int level, const char *text);
} wb_host;

#endif
