/* simdjson_parser.h - messages of the feed by simdjson on-demand, to the same fixed-point deltas as engine/codec gives: what its
 * parser is held against in bench_parser.
 *
 * Written as a careful user of the library would: fields in the order in which they come, strings taken raw, where they lie,
 * numbers read from there sixteen characters at once, checked, exact. It knows no unit but 10^-8 and refuses what it does not
 * hold. C and C++. */
#ifndef WB_BENCH_REFERENCE_SIMDJSON_PARSER_H
#define WB_BENCH_REFERENCE_SIMDJSON_PARSER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What must be readable past a text. */
enum { SIMDJSON_PARSER_PADDING = 64 };

typedef struct simdjson_parser simdjson_parser;

/* price, then size with the side in its highest bit: a wb_delta. */
typedef struct simdjson_delta {
  uint64_t price, size_side;
} simdjson_delta;

/* product: index of the id; time_ns since 1970 UTC, INT64_MIN where it was not asked for. */
typedef struct simdjson_message {
  int product;
  int64_t time_ns;
  size_t count;
  simdjson_delta *deltas; /* given by the caller, room for all */
} simdjson_message;

/* simdjson_parser_open makes a parser for texts of up to bytes_max and products ids[0..count), which must outlive it. */
simdjson_parser *simdjson_parser_open(size_t bytes_max, const char *const *ids, size_t count);
void simdjson_parser_close(simdjson_parser *parser);

/* simdjson_parser_parse reads one l2update or snapshot, its time too if asked. Returns 0, or -1 for anything that is not right. */
int simdjson_parser_parse(simdjson_parser *parser, const uint8_t *text, size_t bytes, int with_time, simdjson_message *message);

#ifdef __cplusplus
}
#endif

#endif
