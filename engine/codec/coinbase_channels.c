#include "engine/codec/coinbase_channels.h"

static const char *const sides[2] = {"buy", "sell"};

/* ------------------------------------------------------------------------------------------------ status */

bool wb_channel_status(wb_reading *r, wb_out *out) {
  static const char *const keys[] = {"products", "time"};
  wb_members root;
  uint32_t ours = 0, others = 0;
  wb_reading_again(r, keys, 2, &root);
  if (!wb_reading_have_kind(r, &root, 0, '[') || !wb_reading_time(r, &root, 1, &r->time_ns) ||
      !wb_reading_rows(r, root.value[0], &ours, &others, NULL))
    return false;
  ours = others = 0;
  wb_reading_rows(r, root.value[0], &ours, &others, out);
  wb_reading_put_rows(r, ours, others, out);
  return true;
}

/* ------------------------------------------------------------------------------------------------ auctions */

bool wb_channel_auction(wb_reading *r, wb_out *out) {
  enum { PRODUCT, NUMBER, STATE, CAN_OPEN, BID, BID_SIZE, ASK, ASK_SIZE, OPEN, OPEN_SIZE, TIMESTAMP, COUNT };
  static const char *const keys[COUNT] = {"product_id",     "sequence",      "auction_state",  "can_open",
                                          "best_bid_price", "best_bid_size", "best_ask_price", "best_ask_size",
                                          "open_price",     "open_size",     "timestamp"};
  static const wb_quantity quantities[] = {
      {BID, 0, false, false, 0},     {BID_SIZE, 0, true, false, 0}, {ASK, 1, false, false, 0},
      {ASK_SIZE, 1, true, false, 0}, {OPEN, 2, false, false, 0},    {OPEN_SIZE, 2, true, false, 0},
  };
  static const char *const states[] = {"", "collection", "opening", "complete"};
  static const char *const words[] = {"no", "yes"};
  wb_members root;
  wb_delta delta[3] = {{.side = WB_SIDE_BID}, {.side = WB_SIDE_ASK}, {0}};
  uint64_t sequence;
  uint8_t decimals[2], flags = 0;
  unsigned can_open = 0;
  wb_reading_again(r, keys, COUNT, &root);
  if (!wb_reading_named(r, &root, PRODUCT) || !wb_reading_unsigned(r, &root, NUMBER, &sequence) ||
      !wb_reading_have_kind(r, &root, STATE, '"') ||
      !wb_reading_quantities(r, &root, quantities, sizeof quantities / sizeof *quantities, delta, decimals, &flags) ||
      !wb_reading_time(r, &root, TIMESTAMP, &r->time_ns))
    return false;
  if (wb_reading_says(r, &root, CAN_OPEN)) {
    if (!wb_reading_have_kind(r, &root, CAN_OPEN, '"')) return false;
    can_open = wb_reading_word(r, root.value[CAN_OPEN], words, 2);
    if (can_open == 2) return wb_reading_refuse(r, WB_REJECT_WRONG_TYPE, root.value[CAN_OPEN].at);
  }
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_AUCTION, r->product, 3);
  message->time_ns = r->time_ns;
  memcpy(message->decimals, decimals, sizeof decimals);
  message->u.auction.sequence = sequence;
  message->u.auction.state = (uint8_t)wb_reading_word(r, root.value[STATE], states, sizeof states / sizeof *states);
  message->u.auction.can_open = can_open == 1;
  memcpy(message->deltas, delta, sizeof delta);
  out->commit(out, message);
  return true;
}

/* ------------------------------------------------------------------------------------------------ requests for quote */

bool wb_channel_rfq(wb_reading *r, wb_out *out) {
  enum { PRODUCT, NUMBER, ID, MAKER, PAID, AMOUNT, WHEN, COUNT };
  static const char *const keys[COUNT] = {"product_id", "sequence", "trade_id", "side", "price", "size", "time"};
  static const wb_quantity quantities[] = {{PAID, 0, false, true, 0}, {AMOUNT, 0, true, true, 0}};
  wb_members root;
  wb_delta delta = {0};
  uint64_t sequence = 0, trade_id;
  uint8_t decimals[2], flags = 0;
  wb_side side;
  wb_reading_again(r, keys, COUNT, &root);
  if (!wb_reading_named(r, &root, PRODUCT) || !wb_reading_unsigned(r, &root, ID, &trade_id) ||
      (wb_reading_says(r, &root, NUMBER) && !wb_reading_unsigned(r, &root, NUMBER, &sequence)) ||
      !wb_reading_quantities(r, &root, quantities, 2, &delta, decimals, &flags) ||
      !wb_reading_side(r, &root, MAKER, sides, &side) || !wb_reading_time(r, &root, WHEN, &r->time_ns))
    return false;
  delta.side = side;
  wb_message *message = wb_coinbase_claim(out, r->frame, WB_MESSAGE_RFQ, r->product, 1);
  message->time_ns = r->time_ns;
  memcpy(message->decimals, decimals, sizeof decimals);
  message->u.trade.sequence = sequence;
  message->u.trade.trade_id = trade_id;
  message->deltas[0] = delta;
  out->commit(out, message);
  return true;
}
