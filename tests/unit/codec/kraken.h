/* kraken.h - the Kraken dialect with a capture behind it, and its levels read both ways: the ground of its tests and of its fuzz target. */
#ifndef WB_TESTS_KRAKEN_H
#define WB_TESTS_KRAKEN_H

#include "engine/codec/kraken.h"
#include "tests/unit/codec/capture.h"

enum { KRAKEN_PRODUCTS = 4 };

typedef struct kraken_rig {
  wb_products products;
  void *memory, *state;
  capture got;
} kraken_rig;

static inline void kraken_init(kraken_rig *rig) {
  static const char *const ids[KRAKEN_PRODUCTS] = {"BTC/USD", "MATIC/USD", "ETH/BTC", "A"};
  memset(rig, 0, sizeof *rig);
  if (posix_memalign(&rig->memory, 64, wb_products_bytes(KRAKEN_PRODUCTS)) != 0) abort();
  wb_products_init(&rig->products, rig->memory, KRAKEN_PRODUCTS);
  for (unsigned i = 0; i < KRAKEN_PRODUCTS; i++) wb_products_add(&rig->products, ids[i], strlen(ids[i]));
  if (posix_memalign(&rig->state, 64, wb_codec_kraken.size(&rig->products)) != 0) abort();
  if (wb_codec_kraken.init(rig->state, &rig->products) != 0) abort();
  capture_init(&rig->got, &rig->products);
}

static inline void kraken_fini(kraken_rig *rig) {
  capture_clear(&rig->got);
  free(rig->state);
  free(rig->memory);
}

/* Decodes one record, its bytes at the very end of their memory but for the slack, which is filled with `slack`. Returns what is wrong, or NULL. What was
 * said stays in got until the next call. */
static inline const char *kraken_decode(kraken_rig *rig, wb_frame_kind kind, const void *text, size_t bytes, uint8_t slack) {
  wb_frame frame = {.recv_ns = 11, .number = 22, .line = 3, .kind = (uint8_t)kind, .bytes = (uint32_t)bytes};
  uint8_t *memory = malloc(bytes + WB_READ_SLACK_BYTES);
  if (!memory) abort();
  if (bytes) memcpy(memory, text, bytes);
  memset(memory + bytes, slack, WB_READ_SLACK_BYTES);
  capture *got = &rig->got;
  capture_clear(got);
  wb_codec_kraken.decode(rig->state, &frame, memory, &got->out);
  free(memory);
  if (got->broken) return got->broken;
  if (got->count == 0) return "a frame without a message";
  if (got->open) return "the last part is missing";
  for (unsigned i = 0; i < got->count; i++) {
    const wb_message *message = got->message[i];
    bool book = message->kind == WB_MESSAGE_SNAPSHOT || message->kind == WB_MESSAGE_UPDATE;
    if (message->recv_ns != 11 || message->number != 22 || message->line != 3)
      return "not the frame's receive time, number and line";
    if (book && (!message->u.book.checked || message->part != (WB_PART_FIRST | WB_PART_LAST)))
      return "a book message is whole and has a checksum";
  }
  return NULL;
}

/* Decodes a text as it is and with a blank behind each brace, which no level of Kraken's own form has: both must say the same, but for where the trouble
 * is. Returns what is wrong, or NULL. */
static inline const char *kraken_decode_both(kraken_rig *as_is, kraken_rig *spaced, const uint8_t *text, size_t bytes,
                                             uint8_t slack) {
  uint8_t *copy = malloc(2 * bytes + 1);
  size_t used = 0;
  bool string = false;
  if (!copy) abort();
  for (size_t i = 0; i < bytes; i++) {
    copy[used++] = text[i];
    if (string && text[i] == '\\' && i + 1 < bytes) copy[used++] = text[++i];
    else if (text[i] == '"') string = !string;
    else if (!string && text[i] == '{') copy[used++] = ' ';
  }
  const char *broken = kraken_decode(as_is, WB_FRAME_TEXT, text, bytes, slack);
  if (!broken) broken = kraken_decode(spaced, WB_FRAME_TEXT, copy, used, slack);
  free(copy);
  if (broken) return broken;
  for (unsigned i = 0; i < as_is->got.count + spaced->got.count; i++) {
    wb_message *message = i < as_is->got.count ? as_is->got.message[i] : spaced->got.message[i - as_is->got.count];
    if (message->kind == WB_MESSAGE_REJECT) message->u.reject.offset = 0;
  }
  return capture_same(&as_is->got, &spaced->got) ? NULL : "with blanks it is another message";
}

#endif
