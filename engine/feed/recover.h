/* recover.h - what state one product's book is in, and what to do about it: a pure state machine, time comes in as an argument.
 *
 *   WAITING    no snapshot yet
 *   LIVE       snapshot applied, every message since applied too
 *   STALE      the book is known to be wrong or old; its content is the last good one; updates are not applied
 *   RESYNCING  as STALE, and a fresh snapshot was asked for (unsubscribe and subscribe)
 *   REMOVED    nobody wants it any more; the book is empty, and nothing but wb_recover_init brings it back
 *
 * Policy: a product that is not live asks for a resync at once, then again after resync_min_ns, doubling to resync_max_ns.
 * After resync_tries in a row without a snapshot the line is reconnected, but only where the exchange acknowledges the product,
 * and only once until the product has been live again: a product that the exchange does not serve, or serves malformed, must not
 * disturb the others for ever. It goes on being asked for each resync_max_ns. While the line is down nothing is asked for.
 * Threads: one. */
#ifndef WB_FEED_RECOVER_H
#define WB_FEED_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

typedef enum { WB_STATE_WAITING = 0, WB_STATE_LIVE, WB_STATE_STALE, WB_STATE_RESYNCING, WB_STATE_REMOVED } wb_state;

#define WB_REASON_LIST(X)                                                                                                      \
  X(WB_REASON_NONE, "")                                                                                                        \
  X(WB_REASON_START, "not connected yet")                                                                                      \
  X(WB_REASON_CONNECTED, "connected, no snapshot yet")                                                                         \
  X(WB_REASON_DISCONNECTED, "line disconnected")                                                                               \
  X(WB_REASON_REJECTED, "message rejected")                                                                                    \
  X(WB_REASON_CROSSED, "book stayed crossed")                                                                                  \
  X(WB_REASON_NOT_ACKNOWLEDGED, "not acknowledged by the exchange")                                                            \
  X(WB_REASON_RANGE, "number out of range of the book")                                                                        \
  X(WB_REASON_LEVELS, "more levels than the book holds")                                                                       \
  X(WB_REASON_SILENT, "no snapshot in time")                                                                                   \
  X(WB_REASON_GAP, "records missing")                                                                                          \
  X(WB_REASON_TIME, "time went backwards")                                                                                     \
  X(WB_REASON_UNKNOWN, "removal of a level that was not there")                                                                \
  X(WB_REASON_WITHHELD, "updates are withheld")                                                                                \
  X(WB_REASON_HEARTBEAT, "heartbeats stopped")                                                                                 \
  X(WB_REASON_TICKER, "ticker contradicts the book")                                                                           \
  X(WB_REASON_TRADES, "trades are missing")                                                                                    \
  X(WB_REASON_OUT_OF_STEP, "out of step with the other lines")                                                                 \
  X(WB_REASON_CHECKSUM, "checksum contradicts the book")                                                                       \
  X(WB_REASON_ORDERS, "an order's event contradicts the book")                                                                 \
  X(WB_REASON_ORDERS_MAX, "more orders than the book holds")                                                                   \
  X(WB_REASON_OLD, "the snapshot is older than what followed")

typedef enum {
#define X(name, text) name,
  WB_REASON_LIST(X)
#undef X
      WB_REASON_COUNT
} wb_reason;

typedef enum { WB_ACTION_NONE = 0, WB_ACTION_RESUBSCRIBE, WB_ACTION_RECONNECT } wb_action;

typedef struct wb_recover_config {
  uint64_t snapshot_wait_ns; /* a product of a connected line without a snapshot for this long asks for a resync */
  uint64_t resync_min_ns, resync_max_ns;
  uint32_t resync_tries;
} wb_recover_config;

/* The values of this project: 10 s, 1 s to 30 s, 3 tries. */
extern const wb_recover_config wb_recover_default;

typedef struct wb_recover {
  const wb_recover_config *config;
  uint8_t state;  /* wb_state */
  uint8_t reason; /* wb_reason */
  uint8_t reject; /* wb_reject, with WB_REASON_REJECTED */
  bool connected;
  bool awaiting;      /* a snapshot is due by itself: just connected, or asked for */
  bool acknowledged;  /* W caller: the exchange's last list of subscriptions names the product */
  bool reconnected;   /* the line was reconnected for this product's sake since it was live */
  uint32_t tries;     /* resyncs asked for since the book was live */
  uint64_t since_ns;  /* when state and reason began */
  uint64_t resync_ns; /* when a resync was asked for last; 0: never */
  uint64_t resyncs;   /* asked for since start */
} wb_recover;

void wb_recover_init(wb_recover *recover, const wb_recover_config *config, uint64_t now_ns);
void wb_recover_connected(wb_recover *recover, uint64_t now_ns);
void wb_recover_disconnected(wb_recover *recover, uint64_t now_ns);

/* wb_recover_snapshot: a snapshot was applied: LIVE. */
void wb_recover_snapshot(wb_recover *recover, uint64_t now_ns);

/* wb_recover_suspect: the book can no longer be trusted. A book that waits for its snapshot goes on waiting, with the new
 * reason. */
void wb_recover_suspect(wb_recover *recover, wb_reason reason, wb_reject reject, uint64_t now_ns);

/* wb_recover_poll says what is due now; RESUBSCRIBE moves the state to RESYNCING. Call it a few times a second, and after a
 * suspect. */
wb_action wb_recover_poll(wb_recover *recover, uint64_t now_ns);

/* wb_recover_asked is for a replay, instead of polling: the log says that a resync was asked for. */
void wb_recover_asked(wb_recover *recover, uint64_t now_ns);

/* wb_recover_removed: REMOVED. Only wb_recover_poll may be asked then; it says NONE. */
void wb_recover_removed(wb_recover *recover, uint64_t now_ns);

const char *wb_state_name(wb_state state);    /* "waiting", "live", "stale", "resyncing", "removed" */
const char *wb_reason_text(wb_reason reason); /* static */

#endif
