#include "engine/feed/witness.h"

#include <string.h>

enum { LATE_LOOKS = 2 };

const wb_witness_config wb_witness_default = {
    .policy =
        {
            [WB_ALARM_TIME] = WB_WITNESS_RESYNC,
            [WB_ALARM_UNKNOWN] = WB_WITNESS_COUNT,
            [WB_ALARM_SILENT] = WB_WITNESS_RESYNC,
            [WB_ALARM_HEARTBEAT] = WB_WITNESS_RESYNC,
            [WB_ALARM_TICKER] = WB_WITNESS_RESYNC,
            [WB_ALARM_TRADES] = WB_WITNESS_RESYNC,
            [WB_ALARM_CROSSED] = WB_WITNESS_RESYNC,
            [WB_ALARM_CHECKSUM] = WB_WITNESS_RESYNC,
        },
    .silent_ns = UINT64_C(10000000000),
    .silent_sequences = 100,
    .heartbeat_ns = UINT64_C(5000000000),
    .trade_grace_ns = UINT64_C(1500000000),
    .ticker_window_ns = UINT64_C(500000000),
    .ticker_tries = 4,
    .resync_min_ns = UINT64_C(1000000000),
    .resync_max_ns = UINT64_C(600000000000),
};

const char *wb_alarm_name(wb_alarm alarm) {
  static const char *const names[] = {
#define X(name, text, reason) text,
      WB_ALARM_LIST(X)
#undef X
  };
  return (unsigned)alarm < WB_ALARM_COUNT ? names[alarm] : "?";
}

wb_reason wb_alarm_reason(wb_alarm alarm) {
  static const uint8_t reasons[] = {
#define X(name, text, reason) reason,
      WB_ALARM_LIST(X)
#undef X
  };
  return (unsigned)alarm < WB_ALARM_COUNT ? (wb_reason)reasons[alarm] : WB_REASON_NONE;
}

static bool read_word(wb_witness_config *config, const char *word) {
  static const char *const policies[] = {"off", "count", "resync"};
  if (strcmp(word, "off") == 0) {
    memset(config->policy, WB_WITNESS_OFF, sizeof config->policy);
    return true;
  }
  const char *equals = strchr(word, '=');
  for (unsigned alarm = 0; equals && alarm < WB_ALARM_COUNT; alarm++) {
    const char *name = wb_alarm_name((wb_alarm)alarm);
    if (strlen(name) != (size_t)(equals - word) || memcmp(name, word, strlen(name)) != 0) continue;
    for (unsigned policy = 0; policy < sizeof policies / sizeof *policies; policy++) {
      if (strcmp(policies[policy], equals + 1) != 0) continue;
      config->policy[alarm] = (uint8_t)policy;
      return true;
    }
  }
  return false;
}

int wb_witness_config_read(wb_witness_config *config, char *const *words, wb_error *error) {
  *config = wb_witness_default;
  for (; *words; words++)
    if (!read_word(config, *words))
      return wb_error_set(error, WB_E_CONFIG, 0, "witness",
                          "--witness '%s' is neither off nor KIND=off, KIND=count or KIND=resync with a KIND of time, unknown, "
                          "silent, heartbeat, ticker, trades, crossed or checksum",
                          *words);
  return 0;
}

/* ------------------------------------------------------------------------------------------------ beginning anew */

void wb_witness_rescaled(wb_witness *witness) {
  witness->tickers = witness->pending = false;
  witness->contradicted = 0;
}

void wb_witness_snapshot(wb_witness *witness, unsigned line) {
  witness->time_ns[line] = WB_TIME_NONE;
  wb_witness_rescaled(witness);
}

void wb_witness_connected(wb_witness *witness) {
  for (unsigned line = 0; line < WB_LINE_COUNT_MAX; line++) witness->time_ns[line] = WB_TIME_NONE;
  wb_witness_rescaled(witness);
  witness->beats = witness->trades = false;
  witness->late = 0;
  witness->owed_trade_id = 0;
}

/* ------------------------------------------------------------------------------------------------ heartbeats and trades */

static uint64_t between(int64_t from_ns, int64_t to_ns) { return to_ns > from_ns ? (uint64_t)to_ns - (uint64_t)from_ns : 0; }

bool wb_witness_heartbeat(wb_witness *witness, const wb_witness_config *config, uint64_t sequence, int64_t time_ns,
                          uint64_t messages, bool live, wb_evidence *finding) {
  witness->late = 0;
  if (time_ns == WB_TIME_NONE) return false;
  witness->beat_time_ns = time_ns;
  bool quiet = live && witness->beats && messages == witness->messages && sequence >= witness->sequence &&
               time_ns >= witness->silent_since_ns;
  bool alarm = quiet && between(witness->silent_since_ns, time_ns) >= config->silent_ns &&
               sequence - witness->sequence >= config->silent_sequences;
  if (alarm) *finding = (wb_evidence){.seen = sequence - witness->sequence};
  witness->beats = true;
  if (quiet && !alarm) return false;
  witness->messages = messages;
  witness->sequence = sequence;
  witness->silent_since_ns = time_ns;
  return alarm;
}

bool wb_witness_late(wb_witness *witness, const wb_witness_config *config, int64_t time_ns, wb_evidence *finding) {
  if (!witness->beats || between(witness->beat_time_ns, time_ns) < config->heartbeat_ns) return false;
  if (++witness->late < LATE_LOOKS) return false;
  *finding =
      (wb_evidence){.seen = between(witness->beat_time_ns, time_ns), .expected = UINT64_C(1000000000), .unit = WB_UNIT_NS};
  witness->beats = false;
  return true;
}

/* From the one behind the last on, up to this one, all are missing. */
static bool lost(wb_witness *witness, uint64_t trade_id, wb_evidence *finding) {
  *finding = (wb_evidence){.seen = trade_id, .expected = witness->trade_id + 1};
  witness->lost_trades += trade_id - witness->trade_id;
  return true;
}

bool wb_witness_trade(wb_witness *witness, uint64_t trade_id, wb_evidence *finding) {
  bool alarm = witness->trades && trade_id > witness->trade_id + 1 && lost(witness, trade_id - 1, finding);
  if (!witness->trades || trade_id > witness->trade_id) witness->trade_id = trade_id;
  witness->trades = true;
  return alarm;
}

bool wb_witness_last_trade(wb_witness *witness, const wb_witness_config *config, uint64_t trade_id, int64_t time_ns,
                           wb_evidence *finding) {
  if (!witness->trades || time_ns == WB_TIME_NONE) return false;
  if (witness->owed_trade_id <= witness->trade_id) witness->owed_trade_id = 0;
  bool alarm = witness->owed_trade_id && between(witness->owed_since_ns, time_ns) >= config->trade_grace_ns;
  if (alarm) {
    lost(witness, witness->owed_trade_id, finding);
    witness->trade_id = witness->owed_trade_id;
    witness->owed_trade_id = 0;
  }
  if (!witness->owed_trade_id && trade_id > witness->trade_id) {
    witness->owed_trade_id = trade_id;
    witness->owed_since_ns = time_ns;
  }
  return alarm;
}

/* ------------------------------------------------------------------------------------------------ tickers */

static wb_touch_range range_of(const wb_touch *touch) {
  wb_touch_range range = {.moved = {false, false}};
  for (unsigned side = 0; side < 2; side++) {
    range.low[side] = range.high[side] = touch->price[side];
    range.size[side] = touch->size[side];
  }
  return range;
}

static void extend(wb_touch_range *range, const wb_touch_range *by) {
  for (unsigned side = 0; side < 2; side++) {
    range->moved[side] |= by->moved[side] || by->low[side] != range->low[side] || by->high[side] != range->high[side] ||
                          by->size[side] != range->size[side];
    if (by->low[side] < range->low[side]) range->low[side] = by->low[side];
    if (by->high[side] > range->high[side]) range->high[side] = by->high[side];
  }
}

static void turn_window(wb_witness *witness, const wb_witness_config *config, uint64_t recv_ns) {
  uint64_t since_ns = recv_ns - witness->window_since_ns;
  if (since_ns < config->ticker_window_ns) return;
  wb_touch_range still = range_of(&witness->touch);
  witness->past = since_ns < 2 * config->ticker_window_ns ? witness->now : still;
  witness->now = still;
  witness->window_since_ns = recv_ns;
}

void wb_witness_touch(wb_witness *witness, const wb_witness_config *config, uint64_t recv_ns, const wb_touch *touch) {
  turn_window(witness, config, recv_ns);
  wb_touch_range range = range_of(touch);
  extend(&witness->now, &range);
  if (witness->pending && recv_ns < witness->due_ns) extend(&witness->around, &range);
  witness->touch = *touch;
}

static bool contradicts(const wb_witness *witness, wb_evidence *finding) {
  const wb_touch_range *around = &witness->around;
  const wb_touch *ticker = &witness->ticker;
  for (unsigned side = 0; side < 2; side++) {
    if (ticker->price[side] < around->low[side] || ticker->price[side] > around->high[side]) {
      *finding = (wb_evidence){.seen = ticker->price[side], .expected = around->high[side], .unit = WB_UNIT_PRICE};
      return true;
    }
    if (witness->ticker_sizes && !around->moved[side] && ticker->size[side] != around->size[side]) {
      *finding = (wb_evidence){.seen = ticker->size[side], .expected = around->size[side], .unit = WB_UNIT_SIZE};
      return true;
    }
  }
  return false;
}

bool wb_witness_ticker(wb_witness *witness, const wb_witness_config *config, uint64_t recv_ns, const wb_touch *ours,
                       const wb_touch *ticker, bool sizes, wb_evidence *finding) {
  if (!witness->tickers) {
    witness->tickers = true;
    witness->touch = *ours;
    witness->past = witness->now = range_of(ours);
    witness->window_since_ns = recv_ns;
  }
  bool alarm = false;
  if (witness->pending) {
    if (recv_ns < witness->due_ns) return false;
    witness->contradicted = contradicts(witness, finding) ? (uint8_t)(witness->contradicted + 1) : 0;
    alarm = witness->contradicted >= config->ticker_tries;
    if (alarm) witness->contradicted = 0;
  }
  turn_window(witness, config, recv_ns);
  witness->pending = true;
  witness->ticker = *ticker;
  witness->ticker_sizes = sizes;
  witness->around = witness->past;
  extend(&witness->around, &witness->now);
  witness->due_ns = recv_ns + config->ticker_window_ns;
  return alarm;
}

/* ------------------------------------------------------------------------------------------------ governor */

bool wb_witness_alarm(wb_witness *witness, const wb_witness_config *config, wb_alarm alarm, bool live, uint64_t now_ns) {
  witness->alarms[alarm]++;
  witness->last_alarm = (uint8_t)(alarm + 1);
  if (config->policy[alarm] != WB_WITNESS_RESYNC || !live) return false;
  bool remembered =
      witness->wait_ns && now_ns >= witness->last_alarm_ns && now_ns - witness->last_alarm_ns < config->resync_max_ns;
  witness->last_alarm_ns = now_ns;
  if (remembered && now_ns < witness->next_resync_ns) return false;
  uint64_t wait_ns = remembered ? 2 * witness->wait_ns : config->resync_min_ns;
  witness->wait_ns = wait_ns < config->resync_max_ns ? wait_ns : config->resync_max_ns;
  witness->next_resync_ns = now_ns + witness->wait_ns;
  return true;
}
