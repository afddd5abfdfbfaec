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

/* wb_reading_again finds other members of the root, which is known to be well formed by now; a REJECT from here on is harmless. */
void wb_reading_again(wb_reading *r, const char *const *keys, unsigned count, wb_members *root);

/* wb_reading_product gives the index of the product that a string names, or -1. wb_reading_named: whether the member that names the product is right, and
 * names a known one, which find has found. */
int wb_reading_product(const wb_reading *r, wb_json_value string);
bool wb_reading_named(wb_reading *r, const wb_members *members, unsigned key);

/* wb_reading_says: whether a member that may be missing, or null, says something; one that comes twice does, and is then refused. */
static inline bool wb_reading_says(const wb_reading *r, const wb_members *members, unsigned key) {
  return members->value[key].at != 0 && (wb_reading_kind(r, members->value[key]) != 'n' || members->twice >> key & 1);
}

/* wb_reading_word gives the place of a string among words[0..count), or count. wb_reading_side reads a side of two words, the bid's first. */
unsigned wb_reading_word(const wb_reading *r, wb_json_value string, const char *const *words, unsigned count);
bool wb_reading_side(wb_reading *r, const wb_members *members, unsigned key, const char *const words[2], wb_side *side);

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

/* Numbers in units of the message's own. A quantity: which member it is, to which delta it goes, as its price or its size, whether it must be there (a price
 * then above zero), and the flag that says that it was. wb_reading_quantities reads them into deltas, which are zero, in the fewest decimals that hold each of
 * them. One that need not be there and does not fit beside the others is left out; one that must is number_range. */
typedef struct wb_quantity {
  uint8_t key, delta;
  bool size, must;
  uint8_t flag;
} wb_quantity;
bool wb_reading_quantities(wb_reading *r, const wb_members *members, const wb_quantity *quantities, unsigned count,
                           wb_delta *deltas, uint8_t decimals[2], uint8_t *flags);

/* A ticker on its way. wb_reading_best reads the best levels, by side, in the product's units: what does not fit them is as not said, since only what changes
 * a book may widen them. */
typedef struct wb_ticker_reading {
  wb_delta delta[WB_TICKER_DELTAS];
  uint64_t sequence, trade_id;
  uint8_t flags, decimals[2];
} wb_ticker_reading;
bool wb_reading_best(wb_reading *r, const wb_members *members, const unsigned price_key[2], const unsigned size_key[2],
                     wb_ticker_reading *ticker);
void wb_reading_put_ticker(const wb_reading *r, const wb_ticker_reading *ticker, wb_out *out);

/* wb_reading_rows reads the rows of a `status` message, of products that the table has not only their ids. *ours and *others grow. out NULL: they are only
 * checked. wb_reading_put_rows ends them. */
bool wb_reading_rows(wb_reading *r, wb_json_value rows, uint32_t *ours, uint32_t *others, wb_out *out);
void wb_reading_put_rows(const wb_reading *r, uint32_t ours, uint32_t others, wb_out *out);

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
