/* fuzz_note.c - records of the node about products (kind 23), as a log may hold them: any bytes.
 *
 * Oracle:  every message names a product that the codec knows by then, or none where a line's share begins anew, and says one of three changes. The codec knows the
 *          first two of the table, and more only after a record that adds them, which are in the table. Said a second time the same record gives the same
 *          messages, and whatever was said, each product that is known is found in an update. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/coinbase_roads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 4096, MESSAGES_MAX = 4096, PRODUCTS = 5, KNOWN = 2 };

static const char *const ids[PRODUCTS] = {"BTC-USD", "ETH-USD", "LTC-USD", "SOL-USD", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};

typedef struct said {
  wb_out out;
  _Alignas(64) uint8_t room[sizeof(wb_message) + WB_PART_DELTAS_MAX * sizeof(wb_delta)];
  const wb_coinbase *codec;
  wb_message message[MESSAGES_MAX];
  unsigned count;
} said;

static wb_message *claim(wb_out *out, uint32_t delta_count) {
  WB_CHECK(delta_count <= WB_PART_DELTAS_MAX);
  return (void *)((said *)out)->room;
}

static void commit(wb_out *out, wb_message *message) {
  said *to = (said *)out;
  WB_CHECK(to->count < MESSAGES_MAX && message->line == 1 && message->number == 7);
  if (message->kind == WB_MESSAGE_PRODUCT) {
    unsigned change = message->u.product.change;
    WB_CHECK(change >= WB_PRODUCT_CARRIED && change <= WB_PRODUCT_REMOVED);
    if (message->product == WB_PRODUCT_NONE) WB_CHECK(change == WB_PRODUCT_CARRIED && to->count == 0);
    else WB_CHECK(message->product < to->codec->own.count && to->codec->own.count <= PRODUCTS);
  }
  to->message[to->count++] = *message;
}

static void finds(wb_coinbase *codec, said *to) {
  for (uint32_t i = 0; i < codec->own.count; i++) {
    char text[256] = {0};
    int n = snprintf(text, sizeof text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"buy\",\"1\",\"2\"]]}",
                     ids[i]);
    to->count = 0;
    codec->fast(codec, &(wb_frame){.number = 7, .line = 1, .bytes = (uint32_t)n, .kind = WB_FRAME_TEXT}, (const uint8_t *)text,
                &to->out);
    WB_CHECK(to->count == 1 && to->message[0].kind == WB_MESSAGE_UPDATE && to->message[0].product == i);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > INPUT_BYTES_MAX) return 0;
  static _Alignas(64) uint8_t memory[4096];
  static said first, second;
  static wb_coinbase *codec;
  wb_products products;
  WB_CHECK(wb_products_bytes(PRODUCTS) <= sizeof memory && wb_products_init(&products, memory, PRODUCTS) == 0);
  if (!codec) codec = aligned_alloc(64, wb_coinbase_size(&products));
  for (unsigned i = 0; i < PRODUCTS; i++) {
    if (i == KNOWN) WB_CHECK(wb_coinbase_init(codec, &products) == 0);
    WB_CHECK(wb_products_add(&products, ids[i], strlen(ids[i])) == (int)i);
  }
  first.out = second.out = (wb_out){claim, commit};
  first.codec = second.codec = codec;
  uint8_t *bytes = malloc(size ? size : 1); /* of exactly that size */
  WB_CHECK(bytes);
  memcpy(bytes, data, size);
  const wb_frame frame = {.number = 7, .line = 1, .bytes = (uint32_t)size, .kind = WB_FRAME_PRODUCTS};
  first.count = second.count = 0;
  wb_coinbase_other(codec, &frame, bytes, &first.out);
  uint32_t known = codec->own.count;
  WB_CHECK(first.count > 0 && known >= KNOWN);
  for (unsigned i = 0; i < first.count && known > KNOWN; i++)
    if (first.message[i].product >= KNOWN) WB_CHECK(first.message[i].u.product.change == WB_PRODUCT_ADDED);
  wb_coinbase_other(codec, &frame, bytes, &second.out);
  WB_CHECK(second.count == first.count && codec->own.count == known);
  WB_CHECK(memcmp(first.message, second.message, first.count * sizeof *first.message) == 0);
  finds(codec, &first);
  free(bytes);
  return 0;
}
