/* event.h - the two record types that everything between the wire and the reader speaks.
 *
 * wb_frame    before the codec: where one raw record lies in a line's journal, and when and how it came.
 * wb_message  after the codec: one normalized message, or one part of a large one, with exact integers.
 *
 * Both are plain data without pointers, the same in memory, in rings and (wb_frame) on disk, little endian. */
#ifndef WB_EVENT_H
#define WB_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/limits.h"

/* ------------------------------------------------------------------------------------------------ raw frames */

/* What the bytes of a record are. The first group came from the peer; the second is said by the node itself, as JSON text,
 * so that a log tells what happened without its reader knowing the program. Values are frozen: they are on disk. */
typedef enum {
  WB_FRAME_TEXT = 1,   /* one whole WebSocket text message, reassembled */
  WB_FRAME_BINARY = 2, /* one whole WebSocket binary message */
  WB_FRAME_PING = 3,   /* payload of a control frame */
  WB_FRAME_PONG = 4,
  WB_FRAME_CLOSE = 5,   /* payload: 2-byte code, reason */
  WB_FRAME_HTTP = 6,    /* response head of the upgrade, and whatever body came with a refusal */
  WB_FRAME_PARTIAL = 7, /* bytes of a message that the end of its connection, or a limit, cut short */
  WB_FRAME_OVERSIZE =
      8, /* what came of a message that was refused for its size; PARTIAL records with what still came may follow */
  WB_FRAME_VIOLATION = 9, /* what came from the byte on that broke the WebSocket protocol; PARTIAL records may follow */
  WB_FRAME_ANSWER =
      10, /* answer of a REST request: a line of method, path and status, then the body; status 0: none came, and why */

  WB_FRAME_CONNECT = 16,    /* {"event":"connect","url":...,"address":...,"tls":...} : the connection is open, upgrade done */
  WB_FRAME_DISCONNECT = 17, /* {"event":"disconnect","reason":...}: books of this line are suspect from here on */
  WB_FRAME_SENT = 18,       /* a text message that the node sent (subscribe, unsubscribe) */
  WB_FRAME_RESYNC = 19,     /* {"event":"resync","product":...,"reason":...} */
  WB_FRAME_GAP = 20,        /* {"event":"gap",...}: something is known to be missing here; engine/store/gap.h */
  WB_FRAME_STALL = 21,      /* {"event":"stall",...}: the node stopped reading because a reader was too far behind */
  WB_FRAME_END = 22,        /* {"event":"end",...}: the node ended the connection by its own will; books stay as they are */
  WB_FRAME_PRODUCTS = 23, /* {"event":"products","change":...,"products":[...]}: which products the line carries from here on */

  WB_FRAME_WINDOW = 255 /* never stored: a replay's window begins here, what came before only made its books */
} wb_frame_kind;

/* One record. 32 bytes, so that two share a cache line and none straddles one. */
typedef struct wb_frame {
  uint64_t position; /* first byte, as a position in the line's journal (only grows) */
  uint64_t recv_ns;  /* CLOCK_MONOTONIC when the bytes of its last packet were handed to the process */
  uint64_t number;   /* per node, from 0, contiguous over all lines: the order in which the node took the records */
  uint32_t bytes;
  uint16_t connection; /* of this line, counted from 1 as TCP connects, modulo 65536 */
  uint8_t line;        /* index of the line, from 0 */
  uint8_t kind;        /* wb_frame_kind */
} wb_frame;
_Static_assert(sizeof(wb_frame) == 32, "wb_frame is 32 bytes in memory and on disk");

/* ------------------------------------------------------------------------------------------------ normalized messages */

typedef enum { WB_SIDE_BID = 0, WB_SIDE_ASK = 1 } wb_side;

/* What the exchange says of a product as a whole, and what may be done with it. OTHER: a word that is none of these. */
typedef enum {
  WB_STATUS_UNSAID = 0,
  WB_STATUS_ONLINE,
  WB_STATUS_OFFLINE,
  WB_STATUS_INTERNAL,
  WB_STATUS_DELISTED,
  WB_STATUS_OTHER
} wb_status;
typedef enum { WB_TYPE_UNSAID = 0, WB_TYPE_SPOT, WB_TYPE_FUTURE, WB_TYPE_OTHER } wb_product_type;
enum {
  WB_PRODUCT_POST_ONLY = 1,
  WB_PRODUCT_LIMIT_ONLY = 2,
  WB_PRODUCT_CANCEL_ONLY = 4,
  WB_PRODUCT_AUCTION = 8,
  WB_PRODUCT_TRADING_DISABLED = 16,
  WB_PRODUCT_DISABLED = 32,
  WB_PRODUCT_VIEW_ONLY = 64,
  WB_PRODUCT_FX_STABLECOIN = 128
};

/* One change of a book: the new total size at a price (never a difference); size 0 removes the level.
 * price and size are integers in units of 10^-decimals of the message's product, or of the message itself, 0..WB_QUANTITY_MAX. */
typedef struct wb_delta {
  uint64_t price;
  uint64_t size : 63;
  uint64_t side : 1; /* wb_side */
} wb_delta;
_Static_assert(sizeof(wb_delta) == 16, "wb_delta is two words");

/* One level of a side, in the same units. */
typedef struct wb_level {
  uint64_t price, size;
} wb_level;

typedef enum {
  WB_MESSAGE_SNAPSHOT = 1,  /* deltas: levels of the whole book, in any order; parts FIRST .. LAST replace the book at LAST */
  WB_MESSAGE_UPDATE,        /* deltas: applied in order; readers see the book after LAST only */
  WB_MESSAGE_HEARTBEAT,     /* u.heartbeat; of a whole connection, product WB_PRODUCT_NONE: u.beat */
  WB_MESSAGE_SUBSCRIPTIONS, /* one per acknowledged product of a level-2 channel; FIRST and LAST frame the whole ack. product
                               WB_PRODUCT_NONE in an ack that names no product. u.subscription */
  WB_MESSAGE_ERROR,         /* the exchange reports an error; text in the raw frame */
  WB_MESSAGE_REJECT,        /* a message that broke the schema: u.reject; product may be WB_PRODUCT_NONE */
  WB_MESSAGE_IGNORED,       /* a legal message of a known kind that carries nothing anybody here reads */
  WB_MESSAGE_CONNECT,       /* line is up: all its books wait for a snapshot */
  WB_MESSAGE_DISCONNECT,    /* line is down */
  WB_MESSAGE_SCALE,         /* u.scale: from here on the product's units are these; the book rescales itself */
  WB_MESSAGE_TICKER,        /* deltas by WB_TICKER_*; u.ticker */
  WB_MESSAGE_TRADE,         /* one delta: price, size, side of the maker; u.trade */
  WB_MESSAGE_WINDOW,        /* a replay's window begins: counts and analytics start anew, books stay */
  WB_MESSAGE_GAP,           /* messages are missing between this and the next: no book can be trusted until its snapshot */
  WB_MESSAGE_RESYNC,        /* the node asked for the product anew: for a replay, which asks for nothing itself */
  WB_MESSAGE_PRODUCT,       /* the product's place in the node changes: u.product */
  WB_MESSAGE_ORDER,         /* a wb_order_event in the place of WB_ORDER_DELTAS deltas: engine/order_event.h */

  /* What no book is made of. The deltas of these are in units of their own: `decimals`. */
  WB_MESSAGE_STATUS, /* deltas: increments of price and size, then as a price the least worth of an order in quote; u.status. The last of a message
                         has product WB_PRODUCT_NONE, no deltas, u.rows */
  WB_MESSAGE_CANDLE,  /* deltas by WB_CANDLE_*; u.candle */
  WB_MESSAGE_AUCTION, /* deltas: best bid, best ask, where the auction would open now; price 0 where not said; u.auction */
  WB_MESSAGE_RFQ,     /* a trade by request for quote, beside the book: as TRADE, in units of its own */
  WB_MESSAGE_UNKNOWN  /* a legal message of a type, or a channel, that nobody here has heard of */
} wb_message_kind;

enum {
  WB_PART_FIRST = 1, /* first part of a message */
  WB_PART_LAST = 2,  /* last part; a whole message has both */
  WB_PART_ABORT = 4  /* with LAST: the message turned out malformed; forget its parts (a REJECT message follows) */
};

/* The deltas of a TICKER. The first two are in the product's units, the others in units of the message. A price is 0 where it is not said, or, of the first
 * two, where that side is empty; one that no units hold together with the others counts as not said. */
enum {
  WB_TICKER_BID,      /* best bid and its size */
  WB_TICKER_ASK,      /* best ask and its size */
  WB_TICKER_LAST,     /* last trade: price, size, and the taker's side */
  WB_TICKER_OPEN_24H, /* size: volume of 24 h */
  WB_TICKER_LOW_24H,  /* size: volume of 30 days */
  WB_TICKER_HIGH_24H,
  WB_TICKER_LOW_52W,
  WB_TICKER_HIGH_52W,
  WB_TICKER_DELTAS
};

/* The deltas of a CANDLE. */
enum { WB_CANDLE_OPEN /* size: volume */, WB_CANDLE_HIGH, WB_CANDLE_LOW, WB_CANDLE_CLOSE, WB_CANDLE_DELTAS };

/* Flags of a message. */
enum {
  WB_FLAG_PAST = 1,        /* TRADE, CANDLE: of the time before the subscription */
  WB_FLAG_BEST = 2,        /* TICKER: it says the best prices, and they fit the product's units */
  WB_FLAG_SIZES = 4,       /* ... and their sizes */
  WB_FLAG_TRADE = 8,       /* ... id, size and side of the last trade */
  WB_FLAG_VOLUME_24H = 16, /* ... volumes */
  WB_FLAG_VOLUME_30D = 32
};

typedef enum {
  WB_AUCTION_UNSAID = 0,
  WB_AUCTION_COLLECTION,
  WB_AUCTION_OPENING,
  WB_AUCTION_COMPLETE,
  WB_AUCTION_OTHER
} wb_auction_state;

/* What becomes of a product. CARRIED: the line has it, said for each before the line connects where lines do not all carry the same; first comes one
 * with WB_PRODUCT_NONE: what the line carried before is forgotten. ADDED, REMOVED: while the node runs, once for each line that carries it. */
typedef enum { WB_PRODUCT_CARRIED = 1, WB_PRODUCT_ADDED, WB_PRODUCT_REMOVED } wb_product_change;

#define WB_PRODUCT_NONE UINT16_MAX
#define WB_TIME_NONE INT64_MIN /* no time in the message, or year 0001 */

/* One normalized message or part: 64 bytes, then delta_count deltas. */
typedef struct wb_message {
  uint8_t kind;     /* wb_message_kind */
  uint8_t part;     /* WB_PART_* */
  uint16_t product; /* index in the node's product table */
  uint32_t delta_count;
  uint64_t recv_ns; /* of its frame */
  uint64_t number;  /* of its frame */
  int64_t time_ns;  /* exchange time, nanoseconds since 1970 UTC, or WB_TIME_NONE */
  union {
    struct {
      uint32_t checksum; /* the exchange's, of the book after this message: see wb_codec.checksum */
      uint16_t depth;    /* levels a side that the exchange speaks of: what is worse, it takes out without a word; 0: all */
      uint8_t checked;   /* there is a checksum */
    } book;              /* SNAPSHOT, UPDATE: the same in all parts */
    struct {
      uint8_t single; /* it is of this product alone: of the others it says nothing */
      uint8_t gone;   /* single: it is subscribed no longer */
    } subscription;
    struct {
      uint64_t sequence, last_trade_id;
    } heartbeat;
    struct {
      uint64_t sequence, counter; /* the server's count of seconds */
    } beat;
    struct {
      uint32_t reason;  /* wb_reject */
      uint32_t offset;  /* byte of the frame where the trouble was seen */
      uint8_t harmless; /* well-formed JSON of a type that changes no book: counted, no book becomes suspect */
      uint8_t answer;   /* it was to be a snapshot: a book that is live needs none */
    } reject;
    struct {
      uint8_t price_decimals, size_decimals;
    } scale;
    struct {
      uint64_t sequence, trade_id; /* of the last trade, WB_FLAG_TRADE */
    } ticker;
    struct {
      uint64_t sequence, trade_id;
    } trade;
    struct {
      uint8_t status, type, flags; /* wb_status, wb_product_type, WB_PRODUCT_* */
      uint8_t funds_decimals;      /* of the least worth; its units are the message's for the increments */
    } status;
    struct {
      uint32_t ours, others; /* of products in the table, and of others, which are passed by */
    } rows;
    struct {
      uint64_t sequence;
      int64_t start_ns; /* since 1970 UTC */
    } candle;
    struct {
      uint64_t sequence;
      uint8_t state; /* wb_auction_state */
      uint8_t can_open;
    } auction;
    struct {
      uint64_t expected, came; /* sequence of a line's messages; both 0: records of all lines are missing in a log */
    } gap;
    struct {
      int64_t utc_ns; /* when */
      uint8_t change; /* wb_product_change */
    } product;
    uint64_t words[2];
  } u;
  uint16_t connection; /* of its frame */
  uint8_t line;
  uint8_t flags;       /* WB_FLAG_* */
  uint8_t decimals[2]; /* of prices and of sizes that are in units of the message's own: the fewest that hold them */
  uint8_t reserved[2];
  uint64_t hash; /* of its frame, where lines are redundant (engine/feed/arbiter.h) */
  wb_delta deltas[];
} wb_message;
_Static_assert(sizeof(wb_message) == 64, "header of a message is one cache line");

/* wb_message_bytes returns the room a message takes in a ring: whole cache lines. */
static inline uint32_t wb_message_bytes(uint32_t delta_count) {
  return (uint32_t)(sizeof(wb_message) + delta_count * sizeof(wb_delta) + WB_CACHE_LINE_BYTES - 1) &
         ~(uint32_t)(WB_CACHE_LINE_BYTES - 1);
}

#endif
