/* witness.h - what else the wire tells of a product, held against its book. Level 2 has no sequence numbers: that an update is missing shows
 * only where something independent says otherwise. A pure state machine, one a product, time comes in as an argument.
 *
 *   time       an update is older, by its own time, than the one before it on the same line
 *   unknown    an update removes a level that the book does not have
 *   silent     the product's heartbeats go on and their sequence grows, but no level 2 message comes: updates are withheld
 *   heartbeat  the product had heartbeats and has none any more, while others of its line come
 *   ticker     several tickers in a row say a best bid or ask that the book had at no moment around them
 *   trades     trade ids are missing
 *   crossed    the book is crossed after whole messages for longer than allowed (the caller's to find)
 *   checksum   the book has another checksum than the exchange says (the caller's to find)
 *
 * Time     silent, heartbeat and the grace of trades are measured by the exchange's own times, so that a node that was halted, or a line
 *          held back, does not accuse the exchange: a message's place in the stream tells, not when it was read. Tickers are
 *          measured by receive times. Where messages have no times these witnesses say nothing.
 * Governor An alarm may make the book suspect. The first does; the next only resync_min_ns later, then after twice as long, up to
 *          resync_max_ns; resync_max_ns without an alarm, and all is forgotten. A feed that alarms for ever is resynchronised 50 times an
 *          hour at most. In between alarms are counted, and the book stays live.
 * Memory   the caller's, zeroed. Threads: one. Nothing here is random or reads a clock: the same messages give the same alarms.
 * See      docs/adr/0011-witnesses.md */
#ifndef WB_FEED_WITNESS_H
#define WB_FEED_WITNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/limits.h"
#include "engine/event.h"
#include "engine/feed/recover.h"

/* name, text, reason */
#define WB_ALARM_LIST(X)                                                                                                       \
  X(WB_ALARM_TIME, "time", WB_REASON_TIME)                                                                                     \
  X(WB_ALARM_UNKNOWN, "unknown", WB_REASON_UNKNOWN)                                                                            \
  X(WB_ALARM_SILENT, "silent", WB_REASON_WITHHELD)                                                                             \
  X(WB_ALARM_HEARTBEAT, "heartbeat", WB_REASON_HEARTBEAT)                                                                      \
  X(WB_ALARM_TICKER, "ticker", WB_REASON_TICKER)                                                                               \
  X(WB_ALARM_TRADES, "trades", WB_REASON_TRADES)                                                                               \
  X(WB_ALARM_CROSSED, "crossed", WB_REASON_CROSSED)                                                                            \
  X(WB_ALARM_CHECKSUM, "checksum", WB_REASON_CHECKSUM)

typedef enum {
#define X(name, text, reason) name,
  WB_ALARM_LIST(X)
#undef X
      WB_ALARM_COUNT
} wb_alarm;

#define WB_ALARM_SLOTS ((WB_ALARM_COUNT + 1) & ~1) /* counters by wb_alarm, in whole words */

typedef enum { WB_WITNESS_OFF = 0, WB_WITNESS_COUNT, WB_WITNESS_RESYNC } wb_witness_policy;

typedef struct wb_witness_config {
  uint8_t policy[WB_ALARM_COUNT]; /* wb_witness_policy */
  uint64_t silent_ns;             /* no level 2 message for so long ... */
  uint64_t silent_sequences;      /* ... while the sequence grew by so much */
  uint64_t heartbeat_ns;          /* heartbeats come each second; none for so long */
  uint64_t trade_grace_ns;        /* a trade may come so much later than the heartbeat that tells of it */
  uint64_t ticker_window_ns;      /* a ticker may be so far ahead of the book, or behind it */
  uint32_t ticker_tries;          /* so many in a row, a window apart, are an alarm */
  uint64_t resync_min_ns, resync_max_ns;
} wb_witness_config;

/* The values of this project: all resync but unknown, which is counted (it was never seen, but need not be an error); 10 s and 100; 5 s;
 * 1.5 s; 500 ms, ten batches of the exchange; 4; 1 s to 10 min. */
extern const wb_witness_config wb_witness_default;

/* wb_witness_config_read makes config the default, changed as each of the words (NULL-terminated) says: "off", or "KIND=off",
 * "KIND=count", "KIND=resync". Returns 0, or WB_E_CONFIG with *error (may be NULL). */
int wb_witness_config_read(wb_witness_config *config, char *const *words, wb_error *error);

const char *wb_alarm_name(wb_alarm alarm); /* "ticker"; "unknown" is one of them */
wb_reason wb_alarm_reason(wb_alarm alarm); /* why the book is suspect then */

/* What an alarm saw, and what it should have seen, in this unit. Of trades: the last and the first id that are missing. */
typedef enum { WB_UNIT_ONE = 0, WB_UNIT_NS, WB_UNIT_PRICE, WB_UNIT_SIZE } wb_unit;
typedef struct wb_evidence {
  uint64_t seen, expected;
  uint8_t unit; /* wb_unit */
} wb_evidence;

/* Best levels by wb_side; price and size 0 where there is none. */
typedef struct wb_touch {
  uint64_t price[2], size[2];
} wb_touch;

/* Where the touch was over some time. size: that of a side that did not move. */
typedef struct wb_touch_range {
  uint64_t low[2], high[2], size[2];
  bool moved[2];
} wb_touch_range;

/* What updates touch comes first. */
typedef struct wb_witness {
  bool tickers;                       /* the product has tickers: its touch is of interest */
  bool beats, trades;                 /* it has heartbeats with times; trades */
  bool pending;                       /* a ticker waits for what the book will do */
  uint8_t late, contradicted;         /* looks at which a heartbeat was due; tickers in a row */
  int64_t time_ns[WB_LINE_COUNT_MAX]; /* of each line's last update */

  uint64_t messages, sequence; /* silent: level 2 messages and sequence as of the last heartbeat after which one came */
  int64_t silent_since_ns, beat_time_ns;
  uint64_t trade_id, owed_trade_id; /* the last one; one that a heartbeat told of, 0 none */
  int64_t owed_since_ns;
  uint64_t lost_trades;

  uint64_t window_since_ns, due_ns; /* of `now`; when the ticker that waits is judged */
  wb_touch touch, ticker;
  bool ticker_sizes;
  wb_touch_range past, now, around; /* the window before, this one, around the ticker that waits */

  uint64_t last_alarm_ns, next_resync_ns, wait_ns; /* governor; wait_ns 0: nothing is remembered */
  uint64_t told_ns;                                /* W caller: when an alarm was last put on record */
  uint32_t alarms[WB_ALARM_SLOTS];
  uint8_t last_alarm; /* wb_alarm + 1, 0 none */
} wb_witness;

/* wb_witness_connected forgets what was seen on the connections before; wb_witness_snapshot what a book that begins anew on a line makes
 * void; wb_witness_rescaled what is in units that are no more. Counts and governor stay. */
void wb_witness_connected(wb_witness *witness);
void wb_witness_snapshot(wb_witness *witness, unsigned line);
void wb_witness_rescaled(wb_witness *witness);

/* The functions that return a bool say whether there is an alarm, and then what it saw in *finding. */

/* wb_witness_update takes the time of an update (WB_TIME_NONE: none). For every message: 2 ns. */
static inline bool wb_witness_update(wb_witness *witness, unsigned line, int64_t time_ns, wb_evidence *finding) {
  int64_t before_ns = witness->time_ns[line];
  if (time_ns == WB_TIME_NONE) return false;
  witness->time_ns[line] = time_ns;
  if (__builtin_expect(time_ns >= before_ns, 1)) return false;
  *finding = (wb_evidence){.seen = (uint64_t)time_ns, .expected = (uint64_t)before_ns, .unit = WB_UNIT_NS};
  return true;
}

/* wb_witness_heartbeat takes a heartbeat's sequence and time; messages: how many level 2 messages the book has taken; live: whether it
 * takes any. For silent. wb_witness_last_trade takes its last trade, for trades. wb_witness_late looks, once a second or so, whether a heartbeat is
 * missing, time_ns being the newest of its line. */
bool wb_witness_heartbeat(wb_witness *witness, const wb_witness_config *config, uint64_t sequence, int64_t time_ns,
                          uint64_t messages, bool live, wb_evidence *finding);
bool wb_witness_last_trade(wb_witness *witness, const wb_witness_config *config, uint64_t trade_id, int64_t time_ns,
                           wb_evidence *finding);
bool wb_witness_late(wb_witness *witness, const wb_witness_config *config, int64_t time_ns, wb_evidence *finding);

/* wb_witness_trade takes a trade's id. One that is not above the last is a repetition. */
bool wb_witness_trade(wb_witness *witness, uint64_t trade_id, wb_evidence *finding);

/* wb_witness_touch takes the book's touch after a whole message; only needed where witness->tickers. wb_witness_ticker takes the
 * exchange's, ours being the book's as it is (sizes: whether it has any). A side contradicts the book when its price is none between the
 * lowest and highest that the book had within a window before and after, or when the book's best level stood still all the while and
 * the sizes differ: what a batch of 50 ms may hide is no contradiction. One ticker a window is judged. */
void wb_witness_touch(wb_witness *witness, const wb_witness_config *config, uint64_t recv_ns, const wb_touch *touch);
bool wb_witness_ticker(wb_witness *witness, const wb_witness_config *config, uint64_t recv_ns, const wb_touch *ours,
                       const wb_touch *ticker, bool sizes, wb_evidence *finding);

/* wb_witness_alarm counts an alarm, and says whether the book is to be made suspect for it. live: whether it still could be. */
bool wb_witness_alarm(wb_witness *witness, const wb_witness_config *config, wb_alarm alarm, bool live, uint64_t now_ns);

#endif
