/* parser_channels.h - rows of bench_parser, one a channel of either dialect: what one message of it costs, all that it says read. */
#ifndef WB_BENCH_PARSER_CHANNELS_H
#define WB_BENCH_PARSER_CHANNELS_H

#include "bench/harness.h"

/* parser_channels_add writes their cases to cases[0..room) and returns how many there are. */
unsigned parser_channels_add(wb_bench_case *cases, unsigned room);

#endif
