#include "engine/feed/recover.h"

#include <string.h>

const wb_recover_config wb_recover_default = {
    .snapshot_wait_ns = UINT64_C(10000000000),
    .resync_min_ns = UINT64_C(1000000000),
    .resync_max_ns = UINT64_C(30000000000),
    .resync_tries = 3,
};

static void enter(wb_recover *recover, wb_state state, wb_reason reason, wb_reject reject, uint64_t now_ns) {
  recover->state = (uint8_t)state;
  recover->reason = (uint8_t)reason;
  recover->reject = (uint8_t)reject;
  recover->since_ns = now_ns;
}

void wb_recover_init(wb_recover *recover, const wb_recover_config *config, uint64_t now_ns) {
  memset(recover, 0, sizeof *recover);
  recover->config = config;
  enter(recover, WB_STATE_WAITING, WB_REASON_START, WB_REJECT_NONE, now_ns);
}

void wb_recover_connected(wb_recover *recover, uint64_t now_ns) {
  recover->connected = recover->awaiting = true;
  recover->acknowledged = false;
  enter(recover, recover->state == WB_STATE_WAITING ? WB_STATE_WAITING : WB_STATE_STALE, WB_REASON_CONNECTED, WB_REJECT_NONE,
        now_ns);
}

void wb_recover_disconnected(wb_recover *recover, uint64_t now_ns) {
  recover->connected = recover->awaiting = false;
  enter(recover, recover->state == WB_STATE_WAITING ? WB_STATE_WAITING : WB_STATE_STALE, WB_REASON_DISCONNECTED, WB_REJECT_NONE,
        now_ns);
}

void wb_recover_snapshot(wb_recover *recover, uint64_t now_ns) {
  recover->tries = 0;
  recover->reconnected = false;
  if (recover->state != WB_STATE_LIVE) enter(recover, WB_STATE_LIVE, WB_REASON_NONE, WB_REJECT_NONE, now_ns);
}

void wb_recover_suspect(wb_recover *recover, wb_reason reason, wb_reject reject, uint64_t now_ns) {
  if (recover->state == WB_STATE_STALE && !recover->awaiting) return;
  recover->awaiting = false;
  enter(recover, recover->state == WB_STATE_WAITING ? WB_STATE_WAITING : WB_STATE_STALE, reason, reject, now_ns);
}

static uint64_t interval(const wb_recover *recover) {
  uint64_t wait = recover->config->resync_min_ns;
  for (uint32_t i = 1; i < recover->tries && wait < recover->config->resync_max_ns; i++) wait *= 2;
  return wait < recover->config->resync_max_ns ? wait : recover->config->resync_max_ns;
}

wb_action wb_recover_poll(wb_recover *recover, uint64_t now_ns) {
  if (!recover->connected || recover->state == WB_STATE_LIVE) return WB_ACTION_NONE;
  if (recover->awaiting && now_ns - recover->since_ns < recover->config->snapshot_wait_ns) return WB_ACTION_NONE;
  if (recover->resync_ns && now_ns - recover->resync_ns < interval(recover)) return WB_ACTION_NONE;
  recover->resync_ns = now_ns;
  if (recover->tries >= recover->config->resync_tries && recover->acknowledged && !recover->reconnected) {
    recover->reconnected = true;
    return WB_ACTION_RECONNECT;
  }
  recover->tries++;
  recover->resyncs++;
  enter(recover, recover->state == WB_STATE_WAITING ? WB_STATE_WAITING : WB_STATE_RESYNCING,
        !recover->awaiting      ? (wb_reason)recover->reason
        : recover->acknowledged ? WB_REASON_SILENT
                                : WB_REASON_NOT_ACKNOWLEDGED,
        (wb_reject)recover->reject, now_ns);
  recover->awaiting = true;
  return WB_ACTION_RESUBSCRIBE;
}

void wb_recover_asked(wb_recover *recover, uint64_t now_ns) {
  recover->resyncs++;
  if (recover->state != WB_STATE_STALE) return;
  enter(recover, WB_STATE_RESYNCING, (wb_reason)recover->reason, (wb_reject)recover->reject, now_ns);
  recover->awaiting = true;
}

void wb_recover_removed(wb_recover *recover, uint64_t now_ns) {
  recover->connected = recover->awaiting = false;
  enter(recover, WB_STATE_REMOVED, WB_REASON_NONE, WB_REJECT_NONE, now_ns);
}

const char *wb_state_name(wb_state state) {
  static const char *const names[] = {"waiting", "live", "stale", "resyncing", "removed"};
  return (unsigned)state < 5 ? names[state] : "unknown";
}

const char *wb_reason_text(wb_reason reason) {
  static const char *const texts[] = {
#define X(name, text) text,
      WB_REASON_LIST(X)
#undef X
  };
  return (unsigned)reason < WB_REASON_COUNT ? texts[reason] : "unknown";
}
