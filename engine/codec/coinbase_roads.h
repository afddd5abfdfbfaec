/* coinbase_roads.h - what the files of the Exchange dialect share: its state, and the two roads through a text message.
 *
 * Full road  any legal JSON. Reads the whole message first and emits only then, so that a reject changes nothing.
 * Fast road  the exact shapes that the exchange sends, in one pass. It accepts nothing that the full road would refuse and
 *            gives the same messages. On the first byte that is not to its liking it leaves the message to the full road:
 *            with nothing committed or, where parts of a snapshot were already out, after a part LAST|ABORT.
 * See        coinbase_exchange.h. Private to engine/codec, its tests and its fuzz target. */
#ifndef WB_CODEC_COINBASE_ROADS_H
#define WB_CODEC_COINBASE_ROADS_H

#include "engine/port.h"

/* What the codec keeps of one product: the units it decodes in now, and the last acknowledgement that named it. */
typedef struct wb_coinbase_product {
  uint32_t acked;
  uint8_t price_decimals, size_decimals;
} wb_coinbase_product;

/* A number of up to 16 characters by its length and the place of its dot, its last character being 15: least is the smallest
 * value of its digits that has no leading zero, times the power of ten that brings it to the product's units; 0 where one power
 * does not do, or the number would be none. */
typedef struct wb_coinbase_form {
  uint64_t least, times;
} wb_coinbase_form;

typedef struct wb_coinbase wb_coinbase;

/* A fast road: true when it emitted the whole message. */
typedef bool (*wb_coinbase_road)(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);

/* minute: the 16 bytes "2026-08-02T05:43" of the last time read, and what it means. slots: ids by wb_coinbase_id_slot, open
 * addressing, index + 1 or 0 for empty; product: one each. Both lie behind the struct. */
struct wb_coinbase {
  const wb_products *products;
  wb_coinbase_road fast;
  uint64_t minute[2];
  int64_t minute_ns;
  wb_coinbase_product *product;
  uint16_t *slots;
  uint32_t slot_mask;
  uint32_t ack_count;
  uint64_t pow10[WB_DECIMALS_MAX + 1];
  wb_coinbase_form form[WB_DECIMALS_MAX + 1][17][16]; /* by decimals, characters, place of the dot (15: none) */
};

void wb_coinbase_full(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);

/* The fast roads: one for every machine, one for those with AVX-512 (wb_coinbase_has_avx512). init chooses. */
bool wb_coinbase_fast(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
#if defined(__x86_64__)
bool wb_coinbase_has_avx512(void);
bool wb_coinbase_fast_avx512(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
#endif

/* wb_coinbase_id_slot hashes the first 16 bytes of a NUL-padded id to its first slot. */
static inline uint32_t wb_coinbase_id_slot(const wb_coinbase *state, uint64_t first, uint64_t second) {
  uint64_t hash = first * UINT64_C(0x9e3779b97f4a7c15) + second * UINT64_C(0xc2b2ae3d27d4eb4f);
  return (uint32_t)(hash >> 40) & state->slot_mask;
}

/* wb_coinbase_claim claims a message and fills its header: part FIRST|LAST, no time, delta_count as asked. */
static inline wb_message *wb_coinbase_claim(wb_out *out, const wb_frame *frame, wb_message_kind kind, uint16_t product,
                                            uint32_t delta_count) {
  wb_message *message = out->claim(out, delta_count);
  message->kind = (uint8_t)kind;
  message->part = WB_PART_FIRST | WB_PART_LAST;
  message->product = product;
  message->delta_count = delta_count;
  message->recv_ns = frame->recv_ns;
  message->number = frame->number;
  message->time_ns = WB_TIME_NONE;
  message->line = frame->line;
  message->connection = frame->connection;
  return message;
}

#endif
