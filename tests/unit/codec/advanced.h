/* advanced.h - the two roads of the Advanced Trade dialect side by side: the oracle of its tests and of its fuzz target. */
#ifndef WB_TESTS_ADVANCED_H
#define WB_TESTS_ADVANCED_H

#include "engine/codec/coinbase_advanced.h"
#include "tests/unit/codec/capture.h"

enum { ADVANCED_ROADS = 2, ADVANCED_PRODUCTS = 4 };

typedef struct advanced {
  wb_products products;
  void *memory;
  wb_coinbase *state[ADVANCED_ROADS]; /* full, fast */
  capture got[ADVANCED_ROADS];
} advanced;

static inline void advanced_init(advanced *all) {
  static const char *const ids[ADVANCED_PRODUCTS] = {"BTC-USD", "ETH-USD", "BAT-USDC", "BTC-PERP-INTX"};
  memset(all, 0, sizeof *all);
  if (posix_memalign(&all->memory, 64, wb_products_bytes(ADVANCED_PRODUCTS)) != 0) abort();
  wb_products_init(&all->products, all->memory, ADVANCED_PRODUCTS);
  for (unsigned i = 0; i < ADVANCED_PRODUCTS; i++) wb_products_add(&all->products, ids[i], strlen(ids[i]));
  for (unsigned i = 0; i < ADVANCED_ROADS; i++) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, wb_codec_coinbase_advanced.size(&all->products)) != 0) abort();
    all->state[i] = memory;
    if (wb_codec_coinbase_advanced.init(memory, &all->products) != 0) abort();
    if (i == 0) all->state[i]->fast = wb_coinbase_advanced_full;
    capture_init(&all->got[i], &all->products);
  }
}

static inline void advanced_fini(advanced *all) {
  for (unsigned i = 0; i < ADVANCED_ROADS; i++) {
    capture_clear(&all->got[i]);
    free(all->state[i]);
  }
  free(all->memory);
}

/* Decodes one record on both roads, its bytes at the very end of their memory but for the slack, which is filled with `slack`. Returns what is wrong, or
 * NULL. What was said stays in got[] until the next call. */
static inline const char *advanced_decode(advanced *all, wb_frame_kind kind, const void *text, size_t bytes, uint8_t slack) {
  wb_frame frame = {.recv_ns = 11, .number = 22, .line = 3, .kind = (uint8_t)kind, .bytes = (uint32_t)bytes};
  uint8_t *memory = malloc(bytes + WB_READ_SLACK_BYTES);
  if (!memory) abort();
  if (bytes) memcpy(memory, text, bytes);
  memset(memory + bytes, slack, WB_READ_SLACK_BYTES);
  const char *broken = NULL;
  for (unsigned i = 0; i < ADVANCED_ROADS && !broken; i++) {
    capture *got = &all->got[i];
    capture_clear(got);
    wb_codec_coinbase_advanced.decode(all->state[i], &frame, memory, &got->out);
    broken = got->broken;
    if (!broken && got->count == 0) broken = "a frame without a message";
    if (!broken && got->open) broken = "the last part is missing";
    capture_drop_aborted(got);
    if (!broken && got->message[got->count - 1]->kind == WB_MESSAGE_REJECT &&
        got->count != 1u + (got->message[0]->kind == WB_MESSAGE_GAP))
      broken = "a reject beside another";
  }
  if (!broken && !capture_same(&all->got[1], &all->got[0])) broken = "the fast road differs from the full road";
  if (!broken && memcmp(all->state[0]->sequence, all->state[1]->sequence, sizeof all->state[0]->sequence) != 0)
    broken = "the roads' sequences differ";
  for (unsigned p = 0; p < ADVANCED_PRODUCTS && !broken; p++)
    if (all->state[0]->product[p].price_decimals != all->state[1]->product[p].price_decimals ||
        all->state[0]->product[p].size_decimals != all->state[1]->product[p].size_decimals)
      broken = "the roads' scales differ";
  free(memory);
  return broken;
}

#endif
