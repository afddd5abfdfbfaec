/* wirebook.h - a wirebook node inside your program: exact order books of an exchange's feed, on its threads or on yours.
 *
 * Shapes:   wirebook            a node: lines to the exchange, a book for each product, optionally the log of raw frames
 *           own threads         wirebook_open, wirebook_start, wirebook_wait ... wirebook_close; your functions are called on the node's threads
 *           your thread         wirebook_open, wirebook_poll again and again, wirebook_close; no thread of the node's, no lock
 * Units:    prices and sizes are integers in units of 10^-decimals, exact; decimals are said beside them, may become more while the node runs
 *           (WIREBOOK_SCALE), and are at most 18. Times are nanoseconds: time_ns of the exchange, since 1970 UTC, WIREBOOK_TIME_NONE if it
 *           said none; recv_ns of CLOCK_MONOTONIC, when the bytes were handed to the process.
 * Threads:  a node belongs to the thread that opened it, its control thread. wirebook_touch_read and what only asks about products may be called from any.
 *           Your functions must not wait: the feed waits for them.
 * Memory:   the node's is the library's; what a function of yours is given is valid until it returns. After start, nothing is allocated on hot threads.
 * Errors:   negative results are -WIREBOOK_E_...; functions that take a wirebook_error fill it when they fail. NULL is allowed for an error that is of
 *           no interest, and nowhere else where it is not said.
 * Versions: a config begins with its own size, so that a program built against an older header runs with a newer library.
 * Language: C99 and later, C++17 and later. Licence: the library links wolfSSL, which is under GPL-2.0-or-later, and so is it as a whole.
 *
 *   static void changed(void *self, const wirebook_event *event) { ... }
 *   ...
 *   const char *product[] = {"BTC-USD", NULL};
 *   wirebook_config config;
 *   wirebook_config_init(&config, sizeof config);
 *   config.product = product;
 *   config.sink.event = changed;
 *   wirebook *node = wirebook_open(&config, &error);
 *   if (node && wirebook_start(node, &error) == 0) while (wirebook_wait(node, 1000, &error) == 0) {}
 *   wirebook_close(node); */
#ifndef WIREBOOK_H
#define WIREBOOK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WIREBOOK_API __attribute__((visibility("default")))
#else
#define WIREBOOK_API
#endif

enum { WIREBOOK_BID = 0, WIREBOOK_ASK = 1 };
enum { WIREBOOK_LOG_ERROR = 0, WIREBOOK_LOG_WARNING, WIREBOOK_LOG_INFO, WIREBOOK_LOG_DEBUG };
#define WIREBOOK_PRODUCT_NONE 65535u
#define WIREBOOK_TIME_NONE INT64_MIN

typedef struct wirebook wirebook;

/* code: negative; see wirebook_error_text. detail: a sentence for people. */
typedef struct wirebook_error {
  int code;
  char detail[256];
} wirebook_error;

/* The new total at a price, never a difference; size 0: the level is gone. */
typedef struct wirebook_change {
  uint64_t price, size;
  uint32_t side; /* WIREBOOK_BID, WIREBOOK_ASK */
  uint32_t reserved;
} wirebook_change;

typedef struct wirebook_level {
  uint64_t price, size;
} wirebook_level;

/* ------------------------------------------------------------------------------------------------ what happens */

enum {
  WIREBOOK_SNAPSHOT = 1, /* the book is new: its levels by wirebook_levels; no changes */
  WIREBOOK_UPDATE, /* changes, already in the book, in their order; a message of more than some thousands comes in parts */
  WIREBOOK_TRADE,  /* one change: price, size, side of the maker; trade_id */
  WIREBOOK_SCALE,  /* units became finer; the book is in the new ones */
  WIREBOOK_STATE   /* state or reason may have changed: wirebook_touch_read */
};

typedef struct wirebook_event {
  uint32_t kind;
  uint32_t product;    /* 0 .. wirebook_product_count - 1 */
  const char *id;      /* its name */
  uint8_t first, last; /* of a message in parts; both in a whole one */
  uint8_t price_decimals, size_decimals;
  uint32_t change_count;
  const wirebook_change *change;
  uint64_t trade_id;
  int64_t time_ns;
  uint64_t recv_ns;
  uint64_t number; /* of the raw frame: contiguous over all lines of the node */
} wirebook_event;

/* A raw record as it came: kind 1 is a text message; the others are in docs/formats.md. */
typedef struct wirebook_frame {
  const uint8_t *bytes;
  uint32_t byte_count;
  uint8_t kind, line;
  uint16_t connection;
  uint64_t recv_ns, number;
} wirebook_frame;

/* Where what happens goes; each function may be NULL. frame: on the parse thread, before the record is decoded. event: on the book thread, after the book
 * took it. */
typedef struct wirebook_sink {
  void *self;
  void (*frame)(void *self, const wirebook_frame *frame);
  void (*event)(void *self, const wirebook_event *event);
} wirebook_sink;

/* ------------------------------------------------------------------------------------------------ a feed of your own */

/* Where a codec puts what a frame says; only within its decode. Prices and sizes in the product's units as of now: wirebook_out_scale makes them finer, and
 * must come first. Anything a codec does not put counts as a message that says nothing. */
typedef struct wirebook_out wirebook_out;
WIREBOOK_API void wirebook_out_snapshot(wirebook_out *out, uint32_t product, int64_t time_ns, const wirebook_change *level,
                                        size_t count);
WIREBOOK_API void wirebook_out_update(wirebook_out *out, uint32_t product, int64_t time_ns, const wirebook_change *change,
                                      size_t count);
WIREBOOK_API void wirebook_out_trade(wirebook_out *out, uint32_t product, int64_t time_ns, const wirebook_change *trade,
                                     uint64_t trade_id);
WIREBOOK_API void wirebook_out_scale(wirebook_out *out, uint32_t product, unsigned price_decimals, unsigned size_decimals);

/* The frame breaks the dialect at that byte: it changes no book, the product (WIREBOOK_PRODUCT_NONE: all of them) is fetched anew. */
WIREBOOK_API void wirebook_out_reject(wirebook_out *out, uint32_t product, uint32_t offset);

/* The products of a node, for a codec: ids and their indexes. */
typedef struct wirebook_products wirebook_products;
WIREBOOK_API uint32_t wirebook_products_count(const wirebook_products *products);
WIREBOOK_API const char *wirebook_products_id(const wirebook_products *products, uint32_t product);
WIREBOOK_API int wirebook_products_find(const wirebook_products *products, const char *id, size_t bytes); /* or -1 */

/* A venue's dialect. Outlives every node that uses it; at most WIREBOOK_CODECS_MAX different ones in a process. */
enum { WIREBOOK_CODECS_MAX = 4 };
typedef struct wirebook_codec {
  const char *name, *url;
  const char *const *channels; /* default channels, NULL-terminated; what begins like the first one makes the books */
  size_t state_bytes;          /* of a node: zeroed, 64-byte aligned */

  /* init (may be NULL) returns 0 or a negative error. decode takes one frame (64 bytes past its end are readable). subscribe writes the messages that ask for the
   * products index[0..count) of channels, or give them up, one a line, NUL-terminated; returns the length, or -1 when size is too small. */
  int (*init)(void *state, const wirebook_products *products);
  void (*decode)(void *state, const wirebook_frame *frame, wirebook_out *out);
  int (*subscribe)(const wirebook_products *products, const char *const *channels, const uint16_t *index, uint32_t count,
                   int unsubscribe, char *text, size_t size);
} wirebook_codec;

/* ------------------------------------------------------------------------------------------------ a node */

typedef struct wirebook_config {
  size_t bytes;                /* of this structure: set by wirebook_config_init */
  const char *feed;            /* "coinbase-exchange", "coinbase-advanced" */
  const wirebook_codec *codec; /* instead of feed; NULL */
  const char *const *url;      /* NULL-terminated; several: redundant lines of one feed. NULL: the feed's own */
  const char *const *product;  /* NULL-terminated ids. Needed */
  const char *const *channel;  /* NULL-terminated; NULL: the feed's default */
  const char *ca_file;         /* NULL: the system's */
  int insecure;                /* accept any certificate, of loopback only */
  int once;                    /* end when the peer closes, do not reconnect */
  const char *data_dir;        /* where raw frames are stored; NULL: nowhere */
  uint32_t depth;              /* levels a side that wirebook_depth gives; 0: 50 */
  const char *log_file;        /* NULL: stderr */
  int log_level;               /* WIREBOOK_LOG_WARNING */
  wirebook_sink sink;
} wirebook_config;

/* wirebook_config_init fills in the defaults. bytes: sizeof(wirebook_config). */
WIREBOOK_API void wirebook_config_init(wirebook_config *config, size_t bytes);

/* wirebook_open reserves everything, connects to nothing yet. What config points to must stay until close (product, url and channel: until open returns).
 * NULL on failure. */
WIREBOOK_API wirebook *wirebook_open(const wirebook_config *config, wirebook_error *error);

/* wirebook_start starts the node's threads. Returns 0 or a negative error. */
WIREBOOK_API int wirebook_start(wirebook *node, wirebook_error *error);

/* wirebook_wait waits at most timeout_ms for the end of a started node, and writes its log meanwhile. Returns 0 while it runs, 1 when it has ended by itself or by
 * wirebook_stop, or a negative error that ended it. */
WIREBOOK_API int wirebook_wait(wirebook *node, unsigned timeout_ms, wirebook_error *error);

/* wirebook_poll does one turn of everything on the caller's thread, which is then control, parse and book thread in one: never started, never waiting. Returns the work
 * done (0: nothing was there), or a negative error: -22 after wirebook_start. Over is over: 1 from wirebook_ended. */
WIREBOOK_API int wirebook_poll(wirebook *node);
WIREBOOK_API int wirebook_ended(wirebook *node, wirebook_error *error);

/* wirebook_stop asks for the end: Close 1000 on every line, everything that came is still taken. */
WIREBOOK_API void wirebook_stop(wirebook *node);

/* wirebook_close ends what still runs, brings the log to disk, frees everything. NULL is allowed. */
WIREBOOK_API void wirebook_close(wirebook *node);

/* ------------------------------------------------------------------------------------------------ reading */

/* Products have indexes 0 .. wirebook_product_count - 1, which stay what they are as long as the node is open. */
WIREBOOK_API uint32_t wirebook_product_count(const wirebook *node);
WIREBOOK_API const char *wirebook_product_id(const wirebook *node, uint32_t product); /* NULL out of range */
WIREBOOK_API int wirebook_product_find(const wirebook *node, const char *id);         /* or -1 */

enum { WIREBOOK_WAITING = 0, WIREBOOK_LIVE, WIREBOOK_STALE, WIREBOOK_RESYNCING, WIREBOOK_REMOVED };

/* What is known of a product as of its last whole message. size 0: that side is empty. */
typedef struct wirebook_touch {
  uint32_t state; /* only of a LIVE book it is certain that it is the exchange's */
  uint8_t price_decimals, size_decimals;
  uint16_t reserved;
  uint64_t bid, bid_size, ask, ask_size;
  uint64_t bid_levels, ask_levels;
  uint64_t snapshots, updates, changes;
  uint64_t recv_ns;
  int64_t time_ns;
} wirebook_touch;

/* wirebook_touch_read copies it: any thread, never disturbs the writer, tens of ns. product out of range: all zero. */
WIREBOOK_API void wirebook_touch_read(const wirebook *node, uint32_t product, wirebook_touch *touch);

/* wirebook_levels copies up to max levels of a side, best first, of the whole book, and returns how many: within sink.event, or on the thread that polls. */
WIREBOOK_API uint32_t wirebook_levels(const wirebook *node, uint32_t product, int side, wirebook_level *level, uint32_t max);

/* wirebook_depth is for the control thread of a started node: asks the book thread for up to config.depth levels of a side and waits for them (a second at most).
 * touch (may be NULL) is of the same moment. Returns how many, or a negative error. */
WIREBOOK_API int wirebook_depth(wirebook *node, uint32_t product, int side, wirebook_level *level, uint32_t max,
                                wirebook_touch *touch);

/* wirebook_report writes the JSON report (docs/operations.md) to a file, "-" is stdout. Control thread. */
WIREBOOK_API int wirebook_report(wirebook *node, const char *path, wirebook_error *error);

/* wirebook_decimal writes value * 10^-decimals without trailing zeros, NUL-terminated, and returns the length; 0 if size is less than 48. Pure. */
WIREBOOK_API size_t wirebook_decimal(uint64_t value, unsigned decimals, char *text, size_t size);
WIREBOOK_API const char *wirebook_state_name(uint32_t state); /* "live"; "?" for none */
WIREBOOK_API const char *wirebook_error_text(int code);       /* static */
WIREBOOK_API const char *wirebook_version(void);              /* of the library: "0.1.0" */

#ifdef __cplusplus
}
#endif
#endif
