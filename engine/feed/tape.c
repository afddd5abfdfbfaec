#include "engine/feed/tape.h"

#include <string.h>

#include "engine/base/decimal.h"

enum { NS_DECIMALS = 9, NUMBER_BYTES_MAX = 40 };

/* ------------------------------------------------------------------------------------------------ what is asked for */

static int read_step(wb_tape_step *step, const char *word, wb_error *error) {
  static const char *const names[] = {[WB_BAR_TIME] = "time=", [WB_BAR_TICKS] = "ticks=", [WB_BAR_VOLUME] = "volume="};
  unsigned kind = 0;
  while (kind <= WB_BAR_VOLUME && strncmp(word, names[kind], strlen(names[kind])) != 0) kind++;
  wb_bars bars;
  if (kind <= WB_BAR_VOLUME) {
    const char *text = word + strlen(names[kind]);
    unsigned digits, decimals = kind == WB_BAR_TIME ? NS_DECIMALS : 0;
    size_t bytes = strlen(text);
    *step = (wb_tape_step){.kind = (uint8_t)kind};
    if (bytes <= NUMBER_BYTES_MAX && (kind != WB_BAR_VOLUME || wb_decimal_need(text, bytes, &digits, &decimals) == 0) &&
        decimals <= WB_DECIMALS_MAX && wb_decimal_parse(text, bytes, decimals, &step->step) == 0 &&
        wb_bars_init(&bars, (wb_bar_kind)kind, step->step) == 0) {
      step->step_decimals = kind == WB_BAR_VOLUME ? (uint8_t)decimals : 0;
      return 0;
    }
  }
  return wb_error_set(error, WB_E_CONFIG, 0, "bars", "'%s' is not time=SECONDS, ticks=TRADES, volume=SIZE or off", word);
}

int wb_tape_config_read(wb_tape_config *config, char *const *words, wb_error *error) {
  static char *const standard[] = {"time=60", NULL};
  *config = (wb_tape_config){.series_count = 0};
  if (!*words) words = standard;
  if (strcmp(words[0], "off") == 0 && !words[1]) return 0;
  for (; *words; words++) {
    if (config->series_count == WB_TAPE_SERIES_MAX)
      return wb_error_set(error, WB_E_CONFIG, 0, "bars", "more than %d kinds of bars", WB_TAPE_SERIES_MAX);
    if (read_step(&config->series[config->series_count++], *words, error) != 0) return WB_E_CONFIG;
  }
  return 0;
}

/* ------------------------------------------------------------------------------------------------ units */

static unsigned larger(unsigned a, unsigned b) { return a > b ? a : b; }

static void begin(wb_tape *tape, unsigned price_decimals, unsigned size_decimals) {
  const wb_tape_config *config = tape->config;
  for (uint32_t i = 0; i < config->series_count; i++) size_decimals = larger(size_decimals, config->series[i].step_decimals);
  for (uint32_t i = 0; i < config->series_count; i++) {
    const wb_tape_step *series = &config->series[i];
    uint64_t step = series->step;
    bool over =
        series->kind == WB_BAR_VOLUME && __builtin_mul_overflow(step, wb_pow10(size_decimals - series->step_decimals), &step);
    wb_bars_init(&tape->series[i].bars, (wb_bar_kind)series->kind, over ? UINT64_MAX : step);
  }
  memset(&tape->trades, 0, sizeof tape->trades);
  tape->price_decimals = (uint8_t)price_decimals;
  tape->size_decimals = (uint8_t)size_decimals;
}

void wb_tape_init(wb_tape *tape, const wb_tape_config *config, unsigned price_decimals, unsigned size_decimals) {
  memset(tape, 0, sizeof *tape);
  tape->config = config;
  begin(tape, price_decimals, size_decimals);
}

static bool scale(wb_tape *tape, uint64_t price_factor, uint64_t size_factor) {
  bool good = wb_trades_scale(&tape->trades, price_factor, size_factor) == 0;
  for (uint32_t i = 0; i < tape->config->series_count && good; i++) {
    wb_tape_series *series = &tape->series[i];
    uint64_t kept = series->bars.closed < WB_TAPE_BARS_KEPT ? series->bars.closed : WB_TAPE_BARS_KEPT;
    good = wb_bars_scale(&series->bars, price_factor, size_factor) == 0;
    for (uint64_t k = 0; k < kept && good; k++) good = wb_bar_scale(&series->kept[k], price_factor, size_factor) == 0;
  }
  return good;
}

/* Brings a trade and the tape to the same units. False if no units hold both. */
static bool meet(wb_tape *tape, wb_trade *trade, unsigned price_decimals, unsigned size_decimals) {
  unsigned price = larger(tape->price_decimals, price_decimals), size = larger(tape->size_decimals, size_decimals);
  uint64_t price_factor = wb_pow10(price - price_decimals), size_factor = wb_pow10(size - size_decimals);
  if (trade->price > WB_QUANTITY_MAX / price_factor || trade->size > WB_QUANTITY_MAX / size_factor) return false;
  trade->price *= price_factor;
  trade->size *= size_factor;
  if (price == tape->price_decimals && size == tape->size_decimals) return true;
  if (!scale(tape, wb_pow10(price - tape->price_decimals), wb_pow10(size - tape->size_decimals))) return false;
  tape->price_decimals = (uint8_t)price;
  tape->size_decimals = (uint8_t)size;
  return true;
}

/* ------------------------------------------------------------------------------------------------ trades */

static void keep(wb_tape_series *series, const wb_bar *closed) {
  series->kept[(series->bars.closed - 1) % WB_TAPE_BARS_KEPT] = *closed;
}

void wb_tape_take(wb_tape *tape, const wb_trade *trade, bool numbered, unsigned price_decimals, unsigned size_decimals) {
  wb_trade own = *trade;
  wb_bar closed;
  if (!meet(tape, &own, price_decimals, size_decimals)) {
    own = *trade;
    tape->restarts++;
    begin(tape, price_decimals, size_decimals);
    if (!meet(tape, &own, price_decimals, size_decimals)) return;
  }
  tape->unnumbered = !numbered;
  if (!numbered) own.trade_id = tape->trades.last.trade_id + 1;
  if (!wb_trades_take(&tape->trades, &own)) return;
  for (uint32_t i = 0; i < tape->config->series_count; i++)
    if (wb_bars_take(&tape->series[i].bars, &own, &closed)) keep(&tape->series[i], &closed);
}

void wb_tape_until(wb_tape *tape, int64_t time_ns) {
  wb_bar closed;
  for (uint32_t i = 0; i < tape->config->series_count; i++)
    if (wb_bars_until(&tape->series[i].bars, time_ns, &closed)) keep(&tape->series[i], &closed);
}

uint32_t wb_tape_bars(const wb_tape *tape, uint32_t series, wb_bar bar[WB_TAPE_BARS_KEPT]) {
  const wb_tape_series *of = &tape->series[series];
  uint64_t closed = of->bars.closed, count = closed < WB_TAPE_BARS_KEPT ? closed : WB_TAPE_BARS_KEPT;
  for (uint64_t i = 0; i < count; i++) bar[i] = of->kept[(closed - count + i) % WB_TAPE_BARS_KEPT];
  return (uint32_t)count;
}
