#include "engine/codec/coinbase_channels.h"

static const char *const sides[2] = {"buy", "sell"};

/* ------------------------------------------------------------------------------------------------ ticker */

enum {
  PRODUCT_ID,
  SEQUENCE,
  TIME,
  BEST_BID,
  BEST_BID_SIZE,
  BEST_ASK,
  BEST_ASK_SIZE,
  PRICE,
  LAST_SIZE,
  SIDE,
  TRADE_ID,
  OPEN_24H,
  LOW_24H,
  HIGH_24H,
  VOLUME_24H,
  VOLUME_30D,
  TICKER_COUNT
};
static const char *const ticker_keys[TICKER_COUNT] = {
    "product_id", "sequence", "time",     "best_bid", "best_bid_size", "best_ask", "best_ask_size", "price",
    "last_size",  "side",     "trade_id", "open_24h", "low_24h",       "high_24h", "volume_24h",    "volume_30d"};

static const wb_quantity ticker_quantities[] = {
    {PRICE, WB_TICKER_LAST, false, false, 0},
    {LAST_SIZE, WB_TICKER_LAST, true, false, WB_FLAG_TRADE},
    {OPEN_24H, WB_TICKER_OPEN_24H, false, false, 0},
    {LOW_24H, WB_TICKER_LOW_24H, false, false, 0},
    {HIGH_24H, WB_TICKER_HIGH_24H, false, false, 0},
    {VOLUME_24H, WB_TICKER_OPEN_24H, true, false, WB_FLAG_VOLUME_24H},
    {VOLUME_30D, WB_TICKER_LOW_24H, true, false, WB_FLAG_VOLUME_30D},
};

/* A product's first ticker may have no trade to speak of, or not all of it. */
static bool read_last_trade(wb_reading *r, const wb_members *root, wb_ticker_reading *ticker) {
  wb_delta *last = &ticker->delta[WB_TICKER_LAST];
  wb_side side = WB_SIDE_BID;
  bool id_said = wb_reading_says(r, root, TRADE_ID), side_said = wb_reading_says(r, root, SIDE);
  if (id_said && !wb_reading_unsigned(r, root, TRADE_ID, &ticker->trade_id)) return false;
  if (side_said && !wb_reading_side(r, root, SIDE, sides, &side)) return false;
  last->side = side;
  if (id_said && side_said && ticker->flags & WB_FLAG_TRADE) return true;
  ticker->flags &= (uint8_t)~WB_FLAG_TRADE;
  ticker->trade_id = 0;
  *last = (wb_delta){.price = last->price};
  return true;
}

bool wb_channel_ticker(wb_reading *r, wb_out *out) {
  static const unsigned price_key[] = {[WB_SIDE_BID] = BEST_BID, [WB_SIDE_ASK] = BEST_ASK};
  static const unsigned size_key[] = {[WB_SIDE_BID] = BEST_BID_SIZE, [WB_SIDE_ASK] = BEST_ASK_SIZE};
  wb_members root;
  wb_ticker_reading ticker = {0};
  wb_reading_again(r, ticker_keys, TICKER_COUNT, &root);
  if (!wb_reading_named(r, &root, PRODUCT_ID) || !wb_reading_unsigned(r, &root, SEQUENCE, &ticker.sequence) ||
      !wb_reading_best(r, &root, price_key, size_key, &ticker) ||
      !wb_reading_quantities(r, &root, ticker_quantities, sizeof ticker_quantities / sizeof *ticker_quantities, ticker.delta,
                             ticker.decimals, &ticker.flags) ||
      !read_last_trade(r, &root, &ticker) || !wb_reading_time(r, &root, TIME, &r->time_ns))
    return false;
  wb_reading_put_ticker(r, &ticker, out);
  return true;
}

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
