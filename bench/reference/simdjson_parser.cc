#include "bench/reference/simdjson_parser.h"

#include <immintrin.h>
#include <simdjson.h>

#include <string_view>
#include <vector>

using namespace simdjson;

static_assert(SIMDJSON_PARSER_PADDING >= SIMDJSON_PADDING, "enough to be read");

struct simdjson_parser {
  ondemand::parser parser;
  std::vector<std::string_view> ids;
  char minute[16] = {};
  int64_t minute_ns = 0;
};

namespace {

constexpr uint64_t powers[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* Moves what precedes byte i over it; row 15 moves nothing. */
struct dot_rows {
  uint8_t row[16][16];
};
constexpr dot_rows make_dot_rows() {
  dot_rows rows{};
  for (int dot = 0; dot < 16; dot++)
    for (int i = 0; i < 16; i++) rows.row[dot][i] = uint8_t(dot == 15 || i > dot ? i : i == 0 ? 0x80 : i - 1);
  return rows;
}
alignas(64) constexpr dot_rows without_dot = make_dot_rows();
alignas(64) constexpr uint8_t last_bytes[32] = {0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
                                                0,   0,   0,   0,   0,   255, 255, 255, 255, 255, 255,
                                                255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

/* digits[.digits]" in units of 10^-8, up to 16 characters. False where it is none. */
inline bool decimal(const char *text, uint64_t *value) {
  __m128i from = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text));
  unsigned quotes = unsigned(_mm_movemask_epi8(_mm_cmpeq_epi8(from, _mm_set1_epi8('"')))) | 0x10000;
  unsigned bytes = unsigned(__builtin_ctz(quotes));
  if (bytes == 0 || text[bytes] != '"') return false;
  __m128i digits = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text + bytes - 16));
  digits = _mm_and_si128(_mm_sub_epi8(digits, _mm_set1_epi8('0')),
                         _mm_loadu_si128(reinterpret_cast<const __m128i *>(last_bytes + bytes)));
  unsigned dots = unsigned(_mm_movemask_epi8(_mm_cmpeq_epi8(digits, _mm_set1_epi8('.' - '0')))) | 0x8000;
  unsigned dot = unsigned(__builtin_ctz(dots)), places = 15 - dot;
  digits = _mm_shuffle_epi8(digits, _mm_load_si128(reinterpret_cast<const __m128i *>(without_dot.row[dot])));
  bool bad = !_mm_testz_si128(_mm_subs_epu8(digits, _mm_set1_epi8(9)), _mm_set1_epi8(-1));
  bad |= places > 8 || (places && places + 2 > bytes) || (text[0] == '0' && bytes > 1 && text[1] != '.');
  if (bad) return false;
  __m128i fours = _mm_madd_epi16(_mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a)), _mm_set1_epi32(0x00010064));
  __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x00012710));
  uint64_t both = uint64_t(_mm_cvtsi128_si64(eights));
  uint64_t number = (both & 0xffffffff) * 100000000 + (both >> 32);
  return !__builtin_mul_overflow(number, powers[8 - places], value);
}

inline bool digits_of(const char *text, int count, int64_t *value) {
  *value = 0;
  for (int i = 0; i < count; i++) {
    unsigned digit = unsigned(static_cast<unsigned char>(text[i])) - '0';
    if (digit > 9) return false;
    *value = *value * 10 + digit;
  }
  return true;
}

int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = year / 400, of_era = year - era * 400;
  int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* 2026-08-02T05:43:52.535977Z": most share their minute with the one before. */
inline bool time_of(simdjson_parser *parser, const char *text, int64_t *time_ns) {
  if (memcmp(text, parser->minute, 16) != 0) {
    int64_t year, month, day, hour, minute;
    if (!digits_of(text, 4, &year) || !digits_of(text + 5, 2, &month) || !digits_of(text + 8, 2, &day) ||
        !digits_of(text + 11, 2, &hour) || !digits_of(text + 14, 2, &minute) || text[4] != '-' || text[7] != '-' ||
        text[10] != 'T' || text[13] != ':' || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59)
      return false;
    memcpy(parser->minute, text, 16);
    parser->minute_ns = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * INT64_C(60000000000);
  }
  /* ":SS.FFFFFF", its eight digits as one number of microseconds. */
  uint64_t from, seconds;
  memcpy(&from, text + 18, 8);
  memcpy(&seconds, text + 17, 8);
  uint64_t word = ((from & ~UINT64_C(0xffff)) | (seconds & 0xffff)) ^ UINT64_C(0x3030303030303030);
  if ((((word + UINT64_C(0x767676767676767a)) | word) & UINT64_C(0x8080808080808080)) || text[16] != ':' || text[19] != '.' ||
      text[26] != 'Z' || text[27] != '"')
    return false;
  word = word * 10 + (word >> 8);
  word = ((word & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
          ((word >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
         32;
  *time_ns = parser->minute_ns + int64_t(word) * 1000;
  return true;
}

inline bool level_of(ondemand::array_iterator &at, simdjson_delta *delta) {
  ondemand::raw_json_string price, size;
  if ((*at).get_raw_json_string().get(price)) return false;
  ++at;
  if ((*at).get_raw_json_string().get(size)) return false;
  ++at;
  return decimal(price.raw(), &delta->price) && decimal(size.raw(), &delta->size_side) && delta->price != 0 &&
         at == ondemand::array_iterator();
}

inline bool levels_of(ondemand::object &object, const char *key, uint64_t side, simdjson_message *message) {
  ondemand::array levels;
  if (object.find_field_unordered(key).get_array().get(levels)) return false;
  simdjson_delta *delta = message->deltas + message->count;
  for (auto item : levels) {
    ondemand::array level;
    ondemand::array_iterator at;
    if (item.get_array().get(level) || level.begin().get(at) || !level_of(at, delta)) return false;
    delta->size_side |= side;
    delta++;
  }
  message->count = size_t(delta - message->deltas);
  return true;
}

inline bool changes_of(ondemand::object &object, simdjson_message *message) {
  ondemand::array changes;
  if (object.find_field("changes").get_array().get(changes)) return false;
  simdjson_delta *delta = message->deltas;
  for (auto item : changes) {
    ondemand::array change;
    ondemand::array_iterator at;
    ondemand::raw_json_string word;
    if (item.get_array().get(change) || change.begin().get(at) || (*at).get_raw_json_string().get(word)) return false;
    ++at;
    bool sell = memcmp(word.raw(), "sell\"", 5) == 0;
    if ((!sell && memcmp(word.raw(), "buy\"", 4) != 0) || !level_of(at, delta)) return false;
    delta->size_side |= uint64_t(sell) << 63;
    delta++;
  }
  message->count = size_t(delta - message->deltas);
  return true;
}

} // namespace

simdjson_parser *simdjson_parser_open(size_t bytes_max, const char *const *ids, size_t count) {
  auto *parser = new simdjson_parser;
  parser->ids.assign(ids, ids + count);
  if (parser->parser.allocate(bytes_max)) {
    delete parser;
    return nullptr;
  }
  return parser;
}

void simdjson_parser_close(simdjson_parser *parser) { delete parser; }

int simdjson_parser_parse(simdjson_parser *parser, const uint8_t *text, size_t bytes, int with_time, simdjson_message *message) {
  ondemand::document document;
  ondemand::object object;
  ondemand::raw_json_string type, id, time;
  if (parser->parser.iterate(text, bytes, bytes + SIMDJSON_PARSER_PADDING).get(document) || document.get_object().get(object) ||
      object.find_field("type").get_raw_json_string().get(type) || object.find_field("product_id").get_raw_json_string().get(id))
    return -1;
  message->product = -1;
  message->time_ns = INT64_MIN;
  message->count = 0;
  for (size_t i = 0; i < parser->ids.size(); i++) {
    const std::string_view &one = parser->ids[i];
    if (memcmp(id.raw(), one.data(), one.size()) == 0 && id.raw()[one.size()] == '"') message->product = int(i);
  }
  if (message->product < 0) return -1;
  if (memcmp(type.raw(), "l2update\"", 9) == 0) {
    if (!changes_of(object, message)) return -1;
  } else if (memcmp(type.raw(), "snapshot\"", 9) != 0 || !levels_of(object, "asks", UINT64_C(1) << 63, message) ||
             !levels_of(object, "bids", 0, message)) {
    return -1;
  }
  if (!with_time) return 0;
  if (object.find_field("time").get_raw_json_string().get(time)) return -1;
  return time_of(parser, time.raw(), &message->time_ns) ? 0 : -1;
}
