/* Where there is no simdjson: it cannot be opened. */
#include "bench/reference/simdjson_parser.h"

simdjson_parser *simdjson_parser_open(size_t bytes_max, const char *const *ids, size_t count) { return NULL; }
void simdjson_parser_close(simdjson_parser *parser) {}
int simdjson_parser_parse(simdjson_parser *parser, const uint8_t *text, size_t bytes, int with_time,
                          simdjson_message *message) {
  return -1;
}
