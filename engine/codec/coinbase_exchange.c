#include "engine/codec/coinbase_exchange.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/decimal.h"
#include "engine/codec/coinbase_fast.h"
#include "engine/codec/coinbase_orders.h"
#include "engine/codec/coinbase_roads.h"
#include "engine/codec/json.h"

static uint32_t slot_count(uint32_t products) {
  uint32_t count = 16;
  while (count < 4 * products) count *= 2;
  return count;
}

size_t wb_coinbase_size(const wb_products *products) {
  uint32_t capacity = products->capacity;
  size_t bytes = sizeof(wb_coinbase) + capacity * sizeof(wb_coinbase_product) + slot_count(capacity) * sizeof(uint16_t);
  return (bytes + WB_CACHE_LINE_BYTES - 1) / WB_CACHE_LINE_BYTES * WB_CACHE_LINE_BYTES;
}

static void fill_forms(wb_coinbase *state) {
  for (unsigned decimals = 0; decimals <= WB_DECIMALS_MAX; decimals++)
    for (unsigned bytes = 1; bytes <= 16; bytes++)
      for (unsigned dot = 0; dot < 16; dot++) {
        unsigned places = 15 - dot, digits = bytes - (places > 0), whole = digits - places;
        if (places + 2 > bytes && places > 0) continue;
        if (places > decimals || whole + decimals > WB_DECIMALS_MAX) continue;
        state->form[decimals][bytes][dot].least = whole > 1 ? state->pow10[digits - 1] : 0;
        state->form[decimals][bytes][dot].times = state->pow10[decimals - places];
      }
}

static void add_product(wb_coinbase *state, uint32_t index) {
  const wb_product *product = &state->own.product[index];
  wb_coinbase_product *own = &state->product[index];
  unsigned begin_bytes = product->id_bytes + 1u + WB_COINBASE_CHANGES_BYTES;
  uint8_t begin[WB_COINBASE_BEGIN_BYTES + 1];
  snprintf((char *)begin, sizeof begin, "\"%s\",\"changes\":[[\"", product->id);
  *own = (wb_coinbase_product){.mask = (UINT64_C(1) << begin_bytes) - 1,
                               .price_decimals = product->price_decimals,
                               .size_decimals = product->size_decimals,
                               .id_bytes = product->id_bytes};
  memcpy(own->begin, begin, begin_bytes);
  uint32_t slot = wb_coinbase_slot(state, begin);
  while (state->slots[slot]) slot = (slot + 1) & state->slot_mask;
  state->slots[slot] = (uint16_t)(index + 1);
}

int wb_coinbase_init(void *memory, const wb_products *products) {
  if (!memory || !products) return WB_E_INVALID;
  wb_coinbase *state = memory;
  memset(state, 0, sizeof *state);
  state->shared = products;
  state->own = *products;
  state->products = &state->own;
  state->product = (wb_coinbase_product *)(state + 1);
  state->slots = (uint16_t *)(void *)(state->product + products->capacity);
  state->slot_mask = slot_count(products->capacity) - 1;
  memset(state->slots, 0, slot_count(products->capacity) * sizeof *state->slots);
  memcpy(state->tail, "]],\"time\":\"1970-01-01T00:00:00.000000Z\"}", WB_COINBASE_TAIL_BYTES);
  unsigned way = 0;
  while (!wb_coinbase_way_at(way)->has()) way++;
  state->fast = wb_coinbase_way_at(way)->road;
  state->side = wb_coinbase_way_at(way)->side;
  state->words = wb_coinbase_fast;
  state->full = wb_coinbase_full;
  wb_coinbase_orders_init(state);
  for (unsigned i = 0; i <= WB_DECIMALS_MAX; i++) state->pow10[i] = wb_pow10(i);
  fill_forms(state);
  for (uint32_t i = 0; i < products->count; i++) {
    const wb_product *product = &products->product[i];
    if (product->price_decimals > WB_DECIMALS_MAX || product->size_decimals > WB_DECIMALS_MAX) return WB_E_INVALID;
    add_product(state, i);
  }
  return 0;
}

static bool always(void) { return true; }

static const wb_coinbase_way ways[] = {
#if defined(__x86_64__)
    {"avx512", wb_coinbase_has_avx512, wb_coinbase_fast_avx512, wb_coinbase_side_avx512},
    {"avx2", wb_coinbase_has_avx2, wb_coinbase_fast_avx2, wb_coinbase_side_avx2},
    {"sse42", wb_coinbase_has_sse42, wb_coinbase_fast_sse42, wb_coinbase_side_sse42},
#elif defined(__aarch64__)
    {"neon", wb_coinbase_has_neon, wb_coinbase_fast_neon, wb_coinbase_side_neon},
#endif
    {"portable", always, wb_coinbase_fast, wb_fast_side_any},
};

const wb_coinbase_way *wb_coinbase_way_at(unsigned index) { return index < sizeof ways / sizeof *ways ? &ways[index] : NULL; }

/* Whether one of the node's own notes names a product, and which, if it is a known one. */
static bool notes_product(const wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, uint16_t *product) {
  static const char *const names[] = {"product"};
  wb_json json = {bytes, frame->bytes, 0};
  wb_json_value value;
  uint32_t twice;
  char id[WB_PRODUCT_ID_BYTES];
  *product = WB_PRODUCT_NONE;
  if (wb_json_members(&json, 0, names, 1, &value, &twice) != 0 || value.at == 0 || bytes[value.at] != '"') return false;
  int index = wb_products_find(state->products, id, wb_json_string(&json, value.at, id, sizeof id));
  if (index >= 0) *product = (uint16_t)index;
  return true;
}

/* The index of a product that a note names; one that has come while the node runs is taken in with it. */
static int noted_product(wb_coinbase *state, const char *id, uint32_t bytes, unsigned change) {
  int index = wb_products_find(&state->own, id, bytes);
  if (index >= 0 || change != WB_PRODUCT_ADDED) return index;
  wb_products all = state->own;
  wb_products_follow(&all, state->shared);
  index = wb_products_find(&all, id, bytes);
  while (index >= (int)state->own.count) add_product(state, state->own.count++);
  return index;
}

static void put_product(const wb_frame *frame, uint16_t product, unsigned change, uint64_t utc_ns, wb_out *out) {
  wb_message *message = wb_coinbase_claim(out, frame, WB_MESSAGE_PRODUCT, product, 0);
  message->u.product.change = (uint8_t)change;
  message->u.product.utc_ns = (int64_t)utc_ns;
  out->commit(out, message);
}

/* What the node says of the products of a line. Returns whether there was anything to say. */
static bool note_products(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  enum { CHANGE, FIRST, PRODUCTS, UTC_NS, KEY_COUNT };
  static const char *const keys[] = {"change", "first", "products", "utc_ns"};
  static const char *const changes[] = {"", "carried", "added", "removed"};
  wb_json json = {bytes, frame->bytes, 0};
  wb_json_value value[KEY_COUNT];
  uint32_t twice;
  char text[WB_PRODUCT_ID_BYTES];
  if (wb_json_members(&json, 0, keys, KEY_COUNT, value, &twice) != 0 || value[CHANGE].at == 0 || value[PRODUCTS].at == 0 ||
      bytes[value[CHANGE].at] != '"' || bytes[value[PRODUCTS].at] != '[')
    return false;
  uint32_t length = wb_json_string(&json, value[CHANGE].at, text, sizeof text);
  unsigned change = WB_PRODUCT_REMOVED;
  while (change && (strlen(changes[change]) != length || memcmp(changes[change], text, length) != 0)) change--;
  uint64_t utc_ns = 0;
  if (value[UTC_NS].at)
    wb_decimal_parse((const char *)bytes + value[UTC_NS].at, value[UTC_NS].end - value[UTC_NS].at, 0, &utc_ns);
  bool any = change == WB_PRODUCT_CARRIED && value[FIRST].at && bytes[value[FIRST].at] == 't';
  if (any) put_product(frame, WB_PRODUCT_NONE, change, utc_ns, out);
  wb_json ids = {bytes, value[PRODUCTS].end, value[PRODUCTS].at + 1};
  for (wb_json_value id; change && wb_json_element(&ids, &id);) {
    int index = bytes[id.at] == '"' ? noted_product(state, text, wb_json_string(&json, id.at, text, sizeof text), change) : -1;
    if (index < 0) continue;
    put_product(frame, (uint16_t)index, change, utc_ns, out);
    any = true;
  }
  return any;
}

/* Every record but text. */
__attribute__((noinline)) void wb_coinbase_other(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_message *message;
  uint16_t product;
  bool named;
  switch (frame->kind) {
  case WB_FRAME_BINARY:
    message = wb_coinbase_claim(out, frame, WB_MESSAGE_REJECT, WB_PRODUCT_NONE, 0);
    message->u.reject.reason = WB_REJECT_BINARY;
    break;
  case WB_FRAME_OVERSIZE:
  case WB_FRAME_VIOLATION:
    message = wb_coinbase_claim(out, frame, WB_MESSAGE_REJECT, WB_PRODUCT_NONE, 0);
    message->u.reject.reason = frame->kind == WB_FRAME_OVERSIZE ? WB_REJECT_TOO_LARGE : WB_REJECT_PROTOCOL;
    break;
  case WB_FRAME_CONNECT: message = wb_coinbase_claim(out, frame, WB_MESSAGE_CONNECT, WB_PRODUCT_NONE, 0); break;
  case WB_FRAME_DISCONNECT: message = wb_coinbase_claim(out, frame, WB_MESSAGE_DISCONNECT, WB_PRODUCT_NONE, 0); break;
  case WB_FRAME_GAP: /* of one product, or of the log */
    named = notes_product(state, frame, bytes, &product);
    message = wb_coinbase_claim(out, frame, named ? WB_MESSAGE_IGNORED : WB_MESSAGE_GAP, WB_PRODUCT_NONE, 0);
    break;
  case WB_FRAME_RESYNC:
    notes_product(state, frame, bytes, &product);
    message = wb_coinbase_claim(out, frame, product == WB_PRODUCT_NONE ? WB_MESSAGE_IGNORED : WB_MESSAGE_RESYNC, product, 0);
    break;
  case WB_FRAME_PRODUCTS:
    if (note_products(state, frame, bytes, out)) return;
    __attribute__((fallthrough));
  default: message = wb_coinbase_claim(out, frame, WB_MESSAGE_IGNORED, WB_PRODUCT_NONE, 0); break;
  }
  out->commit(out, message);
}

static void decode(void *memory, const wb_frame *frame, const uint8_t *bytes, wb_out *out) {
  wb_coinbase *state = memory;
  if (__builtin_expect(state->ahead.open, 0) && wb_coinbase_ahead_ends(state, frame, bytes, out)) return;
  if (__builtin_expect(frame->kind == WB_FRAME_TEXT, 1)) state->fast(state, frame, bytes, out);
  else if (frame->kind == WB_FRAME_ANSWER && state->level3) wb_coinbase_orders_answer(state, frame, bytes, out);
  else wb_coinbase_other(state, frame, bytes, out);
}

void wb_text_put(wb_text_buffer *to, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t room = to->length < to->size ? to->size - to->length : 0;
  to->length += (size_t)vsnprintf(room ? to->text + to->length : NULL, room, format, arguments);
  va_end(arguments);
}

/* status has no products. */
static int subscribe(const wb_products *products, const char *const *channels, const uint16_t *index, uint32_t count,
                     bool unsubscribe, char *text, size_t size) {
  wb_text_buffer to = {text, size, 0};
  wb_text_put(&to, "{\"type\":\"%s\",\"channels\":[", unsubscribe ? "unsubscribe" : "subscribe");
  for (const char *const *channel = channels; *channel; channel++) {
    wb_text_put(&to, "%s{\"name\":\"%s\"", channel == channels ? "" : ",", *channel);
    if (strcmp(*channel, "status") != 0) {
      wb_text_put(&to, ",\"product_ids\":[");
      for (uint32_t i = 0; i < count; i++) wb_text_put(&to, "%s\"%s\"", i ? "," : "", products->product[index[i]].id);
      wb_text_put(&to, "]");
    }
    wb_text_put(&to, "}");
  }
  wb_text_put(&to, "]}");
  return to.length < size ? (int)to.length : WB_E_LIMIT;
}

static const char *const default_channels[] = {"level2_batch", "heartbeat", NULL};

static const wb_codec_orders orders = {
    .rest = "https://api.exchange.coinbase.com",
    .channel = wb_coinbase_orders_channel,
    .begin = wb_coinbase_orders_begin,
    .path = wb_coinbase_orders_path,
};

const wb_codec wb_codec_coinbase_exchange = {
    .name = "coinbase-exchange",
    .url = "wss://ws-feed.exchange.coinbase.com",
    .login_url = "wss://ws-direct.exchange.coinbase.com",
    .products_url = "https://api.exchange.coinbase.com/products",
    .channels = default_channels,
    .level2 = "level2",
    .product_key = "\"product_id\"",
    .separator = '-',
    .size = wb_coinbase_size,
    .init = wb_coinbase_init,
    .decode = decode,
    .ahead = wb_coinbase_read_ahead,
    .subscribe = subscribe,
    .orders = &orders,
};
