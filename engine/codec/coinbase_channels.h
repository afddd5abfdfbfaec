/* coinbase_channels.h - the channels of the Exchange feed that come seldom: status, auctionfeed, rfq_matches.
 *
 * Each takes a message whose root the full road has read, with the product that it names, and puts it out, or returns false with a
 * reason. What they refuse harms no book. Private to engine/codec. */
#ifndef WB_CODEC_COINBASE_CHANNELS_H
#define WB_CODEC_COINBASE_CHANNELS_H

#include "engine/codec/coinbase_reading.h"

bool wb_channel_status(wb_reading *r, wb_out *out);
bool wb_channel_auction(wb_reading *r, wb_out *out);
bool wb_channel_rfq(wb_reading *r, wb_out *out);

#endif
