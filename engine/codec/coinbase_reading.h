/* coinbase_reading.h - what the full roads of both Coinbase dialects share: a message being read with a reason where it breaks, its values by
 * kind, and levels in whatever form they lie.
 *
 * Strict   see coinbase_exchange.h: a key that is read must be there, once, and of its kind; every number is exact in the product's units, which
 *          a snapshot chooses anew and an update widens where its numbers ask for it.
 * Errors   functions that return bool return false with reason and offset set. Private to engine/codec. */
#ifndef WB_CODEC_COINBASE_READING_H
#define WB_CODEC_COINBASE_READING_H

#include "engine/codec/coinbase_roads.h"
#include "engine/codec/json.h"

/* One message on its way; reason is what broke it, offset where. harmless: a REJECT of it makes no book suspect. */
typedef struct wb_reading {
  wb_coinbase *state;
  const wb_frame *frame;
  wb_json json;
  uint16_t product;
  int64_t time_ns;
  wb_reject reason;
  uint32_t offset;
  bool harmless;
} wb_reading;

/* Members of one object: those asked for by keys, a bit for each that came more than once, and where the object ends. */
enum { WB_MEMBERS_MAX = 24 };
typedef struct wb_members {
  wb_json_value value[WB_MEMBERS_MAX];
  uint32_t twice, end;
} wb_members;

wb_reading wb_reading_of(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes);

/* wb_reading_root reads the whole text: UTF-8, then JSON, then that it is an object, and finds the members of that. It is the caller who knows what names
 * the product, and is asked for it by find before anything is refused. */
bool wb_reading_root(wb_reading *r, const char *const *keys, unsigned count, wb_members *root,
                     void (*find)(wb_reading *r, const wb_members *root));

bool wb_reading_refuse(wb_reading *r, wb_reject reason, uint32_t offset);
void wb_reading_reject(const wb_reading *r, wb_out *out); /* the REJECT message */

static inline uint8_t wb_reading_kind(const wb_reading *r, wb_json_value value) { return r->json.text[value.at]; }
bool wb_reading_is(const wb_reading *r, wb_json_value string, const char *word);

/* wb_reading_object finds members of an object that is already known to be well formed. */
bool wb_reading_object(wb_reading *r, wb_json_value value, const char *const *keys, unsigned count, wb_members *members);
bool wb_reading_have(wb_reading *r, const wb_members *members, unsigned key);
bool wb_reading_have_kind(wb_reading *r, const wb_members *members, unsigned key, char kind);

/* wb_reading_product gives the index of the product that a string names, or -1. */
int wb_reading_product(const wb_reading *r, wb_json_value string);

/* wb_reading_time: *time_ns stays as it is where the member is missing or "". */
bool wb_reading_time(wb_reading *r, const wb_members *members, unsigned key, int64_t *time_ns);
bool wb_reading_unsigned(wb_reading *r, const wb_members *members, unsigned key, uint64_t *number);

/* wb_reading_number reads one number in units of 10^-decimals. One that is right but does not fit gives UINT64_MAX; wb_reading_decimals says how many decimals a number
 * that is right has. wb_reading_widening reads one that must
 * be there, in decimals that become as many as it needs; wb_reading_scale makes such decimals the product's and says so by a SCALE, if they are others. */
bool wb_reading_number(wb_reading *r, wb_json_value string, unsigned decimals, uint64_t *number);
unsigned wb_reading_decimals(const wb_reading *r, wb_json_value string);
bool wb_reading_widening(wb_reading *r, const wb_members *members, unsigned key, unsigned *decimals, uint64_t *number);
void wb_reading_scale(wb_reading *r, const unsigned decimals[2], wb_out *out);

/* What a ticker says of the best levels, by side: sizes are given, and all of it fits the product's units. put: one that does not fit is IGNORED, since only what
 * changes a book may widen its units. */
typedef struct wb_ticker_reading {
  uint64_t price[2], size[2];
  bool sizes, fits;
} wb_ticker_reading;
bool wb_reading_ticker(wb_reading *r, const wb_members *members, const unsigned price_key[2], const unsigned size_key[2],
                       wb_ticker_reading *ticker);
void wb_reading_put_ticker(const wb_reading *r, const wb_ticker_reading *ticker, uint64_t sequence, wb_out *out);

/* ------------------------------------------------------------------------------------------------ levels */

typedef struct wb_book_level {
  wb_json_value price, size;
  wb_side side;
} wb_book_level;

/* Goes through the levels of a message: arrays in the order they were sent. next gives the next level; false at the end, and where a level has the wrong
 * shape: then with a reason. */
typedef struct wb_levels {
  bool (*next)(wb_reading *r, struct wb_levels *levels, wb_book_level *level);
  wb_json json;
  wb_json_value array[2];
  wb_side side[2];
  unsigned arrays, index;
  bool changes, inside;
} wb_levels;

/* wb_levels_element gives the next element of the arrays. */
bool wb_levels_element(wb_levels *levels, wb_json_value *element);

/* wb_reading_levels reads all levels and hands them over as a SNAPSHOT or an UPDATE, before it a SCALE where the units change. level_bytes: fewest bytes
 * that a level takes in the text. out NULL: they are only checked. */
bool wb_reading_levels(wb_reading *r, const wb_levels *levels, bool snapshot, uint32_t level_bytes, wb_out *out);

#endif
