#include "engine/codec/coinbase_advanced.h"
#include "engine/codec/coinbase_fast.h"

/* `{"channel":"l2_data","client_id":"","timestamp":"2026-09-07T01:57:58.894355Z","sequence_num":0,"events":[{"type":"update",
 * "product_id":"BTC-USD","updates":[{"side":"bid","event_time":"2026-09-07T01:57:58.894355Z","price_level":"79943.9",
 * "new_quantity":"3.0105"}]}]}`, without the line's ends. Nothing is looked at further than WB_READ_SLACK_BYTES behind a place that is in the text. */
enum { CLIENT_BYTES_MAX = 40, CHANGE_BYTES_MIN = 86, TIME_BYTES_MAX = 30, TIME_BYTES_MIN = 20 };

#define IS(text, literal) (memcmp((text), (literal), sizeof(literal) - 1) == 0)
#define AFTER(text, literal) ((text) + sizeof(literal) - 1)

/* A time up to its closing quote, which is returned; or NULL. */
static const uint8_t *read_time(wb_coinbase *state, const uint8_t *text, int64_t *time_ns) {
  const uint8_t *quote = text + TIME_BYTES_MIN;
  while (*quote != '"')
    if (quote++ == text + TIME_BYTES_MAX) return NULL;
  if (quote - text == WB_FAST_TIME_BYTES && memcmp(text, state->tail + WB_COINBASE_MINUTE_AT, WB_COINBASE_MINUTE_BYTES) == 0 &&
      text[16] == ':' && text[17] < '6' && text[19] == '.' && text[26] == 'Z') {
    uint64_t first = (uint64_t)text[17] | (uint64_t)text[18] << 8;
    uint64_t digits = (wb_fast_load(text + 18) & ~UINT64_C(0xffff)) | first; /* "ss" and six places */
    digits ^= WB_FAST_EACH('0');
    if (wb_fast_not_digits(digits)) return NULL;
    uint64_t number = wb_fast_digits(digits);
    *time_ns = state->minute_ns + (int64_t)number * 1000;
    return quote;
  }
  return wb_fast_time_any(state, text, (size_t)(quote - text), time_ns) ? quote : NULL;
}

/* The head of a message, up to the first of its changes. Returns that, or NULL. */
typedef struct head {
  const wb_coinbase_product *product;
  uint64_t sequence;
  int64_t timestamp_ns;
  bool snapshot;
} head;

static const uint8_t *read_head(wb_coinbase *state, const uint8_t *text, const uint8_t *end, head *of) {
  if (!IS(text, "{\"channel\":\"l2_data\",\"")) return NULL;
  text = AFTER(text, "{\"channel\":\"l2_data\",");
  if (IS(text, "\"client_id\":\"")) {
    text = AFTER(text, "\"client_id\":\"");
    unsigned bytes = 0;
    for (; text[bytes] != '"'; bytes++)
      if (bytes == CLIENT_BYTES_MAX || text[bytes] < 0x20 || text[bytes] > 0x7e || text[bytes] == '\\') return NULL;
    text += bytes + 1;
    if (text >= end || *text++ != ',') return NULL;
  }
  if (!IS(text, "\"timestamp\":\"")) return NULL;
  text = read_time(state, AFTER(text, "\"timestamp\":\""), &of->timestamp_ns);
  if (!text || text >= end || !IS(text, "\",\"sequence_num\":")) return NULL;
  text = AFTER(text, "\",\"sequence_num\":");
  const uint8_t *number = text;
  of->sequence = 0;
  for (; (uint8_t)(*text - '0') < 10 && text - number < 18; text++) of->sequence = of->sequence * 10 + (uint8_t)(*text - '0');
  if (text == number || (*number == '0' && text - number > 1)) return NULL;
  if (text >= end || !IS(text, ",\"events\":[{\"type\":\"")) return NULL;
  text = AFTER(text, ",\"events\":[{\"type\":\"");
  of->snapshot = IS(text, "snapshot\"");
  if (!of->snapshot && !IS(text, "update\"")) return NULL;
  text += of->snapshot ? 9 : 7;
  if (text >= end || !IS(text, ",\"product_id\":\"")) return NULL;
  text = AFTER(text, ",\"product_id\":\"");
  const uint8_t *quote = memchr(text, '"', WB_PRODUCT_ID_BYTES);
  int product = quote ? wb_coinbase_advanced_product(state, (const char *)text, (size_t)(quote - text)) : -1;
  if (product < 0 || quote >= end || !IS(quote, "\",\"updates\":[{")) return NULL;
  of->product = &state->product[product];
  return AFTER(quote, "\",\"updates\":[");
}

/* One change, from its brace on. Returns what follows its own, or NULL. */
WB_FAST_INLINE const uint8_t *read_change(wb_coinbase *state, const wb_fast_units *units, const uint8_t *text,
                                          const uint8_t *end, int64_t *time_ns, wb_delta *delta) {
  uint64_t price, size;
  if (end - text < CHANGE_BYTES_MIN || !IS(text, "{\"side\":\"")) return NULL;
  text = AFTER(text, "{\"side\":\"");
  bool offer = *text == 'o';
  if (offer ? !IS(text, "offer\",\"event_time\":\"") : !IS(text, "bid\",\"event_time\":\"")) return NULL;
  text = offer ? AFTER(text, "offer\",\"event_time\":\"") : AFTER(text, "bid\",\"event_time\":\"");
  text = read_time(state, text, time_ns);
  if (!text || !IS(text, "\",\"price_level\":\"")) return NULL;
  text = wb_fast_number(units->pow10, AFTER(text, "\",\"price_level\":\""), units->price_decimals, &price);
  if (!text || text >= end || price == 0 || !IS(text, "\",\"new_quantity\":\"")) return NULL;
  text = wb_fast_number(units->pow10, AFTER(text, "\",\"new_quantity\":\""), units->size_decimals, &size);
  if (!text || text >= end || text[1] != '}') return NULL;
  *delta = (wb_delta){.price = price, .size = size, .side = offer ? WB_SIDE_ASK : WB_SIDE_BID};
  return text + 2;
}

static uint32_t room_for(const uint8_t *text, const uint8_t *end) {
  size_t most = (size_t)(end - text) / CHANGE_BYTES_MIN + 1;
  return most < WB_PART_DELTAS_MAX ? (uint32_t)most : WB_PART_DELTAS_MAX;
}

/* An update in one message; a snapshot in parts as they are read. False where the text is not of this shape: parts that are out are taken back. */
static bool read_changes(wb_coinbase *state, const wb_frame *frame, const uint8_t *text, const uint8_t *end, const head *of,
                         wb_out *out) {
  wb_fast_units units = wb_fast_units_of(state, of->product);
  uint64_t product = (uint64_t)(of->product - state->product);
  wb_message_kind kind = of->snapshot ? WB_MESSAGE_SNAPSHOT : WB_MESSAGE_UPDATE;
  int64_t time_ns = WB_TIME_NONE, last_ns;
  unsigned part = WB_PART_FIRST;
  for (bool more = true; more;) {
    uint32_t room = room_for(text, end), count = 0;
    wb_message *message = out->claim(out, room);
    for (; count < room && more; count++) {
      text = read_change(state, &units, text, end, &last_ns, &message->deltas[count]);
      if (!text) goto other;
      if (!of->snapshot || (part && !count)) time_ns = last_ns;
      more = *text == ',';
      text += more;
    }
    if (more && !of->snapshot) goto other;
    if (!more && (end - text != 4 || !IS(text, "]}]}"))) goto other;
    if (part) time_ns = wb_advanced_time(time_ns, of->timestamp_ns, of->snapshot);
    wb_fast_header(message, frame, kind, part | (more ? 0 : WB_PART_LAST), product, count, time_ns);
    out->commit(out, message);
    part = 0;
  }
  return true;
other:
  if (!part) wb_fast_abandon(frame, out, (uint16_t)product, time_ns);
  return false;
}

void wb_coinbase_advanced_fast(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  const uint8_t *end = bytes + frame->bytes;
  head of;
  const uint8_t *text = read_head(state, bytes, end, &of);
  wb_coinbase_sequence *own = &state->sequence[frame->line % WB_LINE_COUNT_MAX];
  /* Whether GAP comes before it must be known before its first part: a message that is not the next is the full road's. */
  if (text && (!own->known || own->next == of.sequence) && read_changes(state, frame, text, end, &of, out))
    *own = (wb_coinbase_sequence){.next = of.sequence + 1, .known = true};
  else state->full(state, frame, bytes, out);
}
