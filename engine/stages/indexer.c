#include "engine/stages/indexer.h"

#include <string.h>

struct wb_indexer {
  wb_out out; /* first: the codec's view */
  const wb_codec *codec;
  void *codec_state;
  wb_products products;
  bool unknown; /* the frame names a product that is not in the table */
  wb_message *message;
  wb_index_builder builder;
};

static size_t lines(size_t bytes) { return (bytes + WB_CACHE_LINE_BYTES - 1) & ~(size_t)(WB_CACHE_LINE_BYTES - 1); }

static size_t codec_bytes(const wb_codec *codec) {
  return lines(codec->size(&(wb_products){.count = WB_PRODUCT_COUNT_MAX, .capacity = WB_PRODUCT_COUNT_MAX}));
}

size_t wb_indexer_bytes(const wb_codec *codec) {
  return lines(sizeof(wb_indexer)) + wb_message_bytes(WB_PART_DELTAS_MAX) + codec_bytes(codec) +
         lines(wb_products_bytes(WB_PRODUCT_COUNT_MAX));
}

static wb_message *claim(wb_out *out, uint32_t delta_count) { return ((wb_indexer *)out)->message; }

static void commit(wb_out *out, wb_message *message) {
  wb_indexer *x = (wb_indexer *)out;
  if (message->kind == WB_MESSAGE_REJECT && message->u.reject.reason == WB_REJECT_UNKNOWN_PRODUCT) {
    x->unknown = true;
    return;
  }
  if (message->kind == WB_MESSAGE_STATUS) return; /* changes no book, and names every product */
  bool all = message->kind == WB_MESSAGE_REJECT || message->kind == WB_MESSAGE_ERROR || message->kind == WB_MESSAGE_CONNECT ||
             message->kind == WB_MESSAGE_DISCONNECT;
  if (all) wb_index_mark_all(&x->builder);
  bool whole = (message->part & WB_PART_LAST) && !(message->part & WB_PART_ABORT);
  if (message->product != WB_PRODUCT_NONE)
    wb_index_mark(&x->builder, message->product, message->kind == WB_MESSAGE_SNAPSHOT && whole);
}

wb_indexer *wb_indexer_init(void *memory, const wb_codec *codec) {
  uint8_t *at = memory;
  wb_indexer *x = memory;
  x->out = (wb_out){claim, commit};
  x->codec = codec;
  at += lines(sizeof *x);
  x->message = (void *)at;
  at += wb_message_bytes(WB_PART_DELTAS_MAX);
  x->codec_state = at;
  at += codec_bytes(codec);
  wb_products_init(&x->products, at, WB_PRODUCT_COUNT_MAX);
  return x;
}

int wb_indexer_begin(wb_indexer *x, const uint8_t *header) {
  wb_products_init(&x->products, x->products.product, WB_PRODUCT_COUNT_MAX);
  int result = x->codec->init(x->codec_state, &x->products);
  return result ? result : wb_index_begin(&x->builder, header);
}

/* Adds the products that a text names plainly. Whether any is new. */
static bool learn(wb_indexer *x, const uint8_t *bytes, size_t count) {
  const char *name = x->codec->product_key;
  size_t name_bytes = strlen(name);
  uint32_t before = x->products.count;
  for (const uint8_t *end = bytes + count, *at = bytes; (at = memmem(at, (size_t)(end - at), name, name_bytes));) {
    at += name_bytes;
    while (at < end && (*at == ' ' || *at == ':')) at++;
    const uint8_t *quote = at < end && *at == '"' ? memchr(at + 1, '"', (size_t)(end - at - 1)) : NULL;
    if (quote) wb_products_add(&x->products, (const char *)at + 1, (size_t)(quote - at - 1));
  }
  return x->products.count > before && x->codec->init(x->codec_state, &x->products) == 0;
}

static bool harmless(uint8_t kind) {
  return kind == WB_FRAME_PING || kind == WB_FRAME_PONG || kind == WB_FRAME_CLOSE || kind == WB_FRAME_HTTP ||
         kind == WB_FRAME_PARTIAL || kind == WB_FRAME_SENT || kind == WB_FRAME_STALL;
}

void wb_indexer_chunk(wb_indexer *x, const wb_chunk *chunk, const uint8_t *frame, const uint8_t *data) {
  wb_index_chunk(&x->builder, chunk, frame);
  for (uint32_t i = 0; i < chunk->frame_count; i++) {
    wb_frame f;
    memcpy(&f, frame + i * sizeof f, sizeof f);
    if (harmless(f.kind)) continue;
    if (f.kind != WB_FRAME_TEXT && f.kind != WB_FRAME_BINARY) {
      wb_index_mark_all(&x->builder);
      continue;
    }
    const uint8_t *bytes = data + (f.position - chunk->first_position);
    x->unknown = false;
    x->codec->decode(x->codec_state, &f, bytes, &x->out);
    if (!x->unknown) continue;
    x->unknown = false;
    if (learn(x, bytes, f.bytes)) x->codec->decode(x->codec_state, &f, bytes, &x->out);
    else x->unknown = true;
    if (x->unknown) wb_index_mark_all(&x->builder);
  }
}

size_t wb_indexer_index_bytes(const wb_indexer *x, uint32_t block_count) {
  return wb_index_bytes(&x->builder, &x->products, block_count);
}

void wb_indexer_write(wb_indexer *x, uint64_t file_bytes, bool whole, const wb_index_block *block, uint32_t block_count,
                      uint8_t *bytes) {
  wb_index_write(&x->builder, &x->products, file_bytes, whole, block, block_count, bytes);
}
