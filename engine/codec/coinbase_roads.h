/* coinbase_roads.h - what the files of the Exchange dialect share: its state, and the two roads through a text message.
 *
 * Full road  any legal JSON. Reads the whole message first and emits only then, so that a reject changes nothing.
 * Fast road  the exact shapes that the exchange sends, in one pass. It accepts nothing that the full road would refuse and
 *            gives the same messages. On the first byte that is not to its liking it leaves the message to the full road:
 *            with nothing committed or, where parts of a snapshot were already out, after a part LAST|ABORT.
 * See        coinbase_exchange.h. Private to engine/codec, its tests and its fuzz target. */
#ifndef WB_CODEC_COINBASE_ROADS_H
#define WB_CODEC_COINBASE_ROADS_H

#include <string.h>

#include "engine/port.h"

/* What the codec keeps of one product, a cache line. begin: how an update goes on from its id, `"BTC-USD","changes":[`, then zeros;
 * mask: a bit for each of those bytes. acked: the last acknowledgement that named it. decimals: the units it decodes in now. */
enum { WB_COINBASE_BEGIN_BYTES = 48, WB_COINBASE_CHANGES_BYTES = 13 };
typedef struct wb_coinbase_product {
  uint8_t begin[WB_COINBASE_BEGIN_BYTES];
  uint64_t mask;
  uint32_t acked;
  uint8_t id_bytes, price_decimals, size_decimals, reserved;
} wb_coinbase_product;
_Static_assert(sizeof(wb_coinbase_product) == 64, "a product is one cache line");

/* A number of up to 16 characters by its length and the place of its dot, its last character being 15: least is the smallest
 * value of its digits that has no leading zero, times the power of ten that brings it to the product's units; 0 where one power
 * does not do, or the number would be none. */
typedef struct wb_coinbase_form {
  uint64_t least, times;
} wb_coinbase_form;

typedef struct wb_coinbase wb_coinbase;

/* Where reading ended, in the text and in the deltas; text is NULL where it is not of the kind that fast roads take. */
typedef struct wb_fast_run {
  const uint8_t *text;
  wb_delta *delta;
} wb_fast_run;

/* Reads levels of one side: as many as there are up to stop or full, with a comma behind each but the last of the side. */
typedef wb_fast_run (*wb_coinbase_side)(const wb_coinbase *state, const wb_coinbase_product *product, const uint8_t *text,
                                        const uint8_t *stop, wb_delta *delta, const wb_delta *full, wb_side side);

/* How far reading ahead has come in a snapshot that is still coming in: the record that will begin at position in the line's
 * journal, `at` bytes of it. */
typedef struct wb_coinbase_ahead {
  uint64_t position, at;
  uint16_t product;
  uint8_t line, side;
  uint8_t seen;  /* a bit for each side that has begun */
  bool open;     /* there is such a record; ... */
  bool between;  /* ... `at` is at what ends a side, or comes before the first; ... */
  bool out;      /* ... parts of it were put out; ... */
  bool given_up; /* ... it is for decode alone */
} wb_coinbase_ahead;

/* Of one line of the Advanced Trade dialect: the sequence_num that the next message of its connection must have. */
typedef struct wb_coinbase_sequence {
  uint64_t next;
  bool known;
} wb_coinbase_sequence;

/* The fields of one kind of `level3` message, in their order; each is a key of coinbase_orders.c. */
enum { WB_COINBASE_FIELDS_MAX = 16, WB_COINBASE_COMPACT_KINDS = 5 };
typedef struct wb_coinbase_fields {
  uint8_t key[WB_COINBASE_FIELDS_MAX];
  uint8_t count;
} wb_coinbase_fields;

typedef struct wb_coinbase_schema {
  wb_coinbase_fields kind[WB_COINBASE_COMPACT_KINDS];
} wb_coinbase_schema;

/* A road: takes a text message from its first claim to its last commit. */
typedef void (*wb_coinbase_road)(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);

/* tail: how a message ends, `]],"time":"2026-08-02T05:43:52.535977Z"}`, with the minute of the last time read, and minute_ns what
 * that means. product: one each; slots: products by wb_coinbase_slot, open addressing, index + 1 or 0 for empty. Both lie behind
 * the struct. */
enum { WB_COINBASE_TAIL_BYTES = 40, WB_COINBASE_MINUTE_AT = 11, WB_COINBASE_MINUTE_BYTES = 16 };
struct wb_coinbase {
  _Alignas(WB_CACHE_LINE_BYTES) uint8_t tail[WB_CACHE_LINE_BYTES];
  int64_t minute_ns;
  wb_coinbase_product *product;
  uint16_t *slots;
  uint32_t slot_mask;
  uint32_t ack_count;
  wb_coinbase_road fast, words, full; /* where a text message goes first, where from there, and where at last */
  wb_coinbase_side side;
  wb_coinbase_ahead ahead;
  const wb_products *products; /* own: what the records so far have told of; shared has what is still to come */
  wb_products own;
  const wb_products *shared;
  uint64_t pow10[WB_DECIMALS_MAX + 1];
  wb_coinbase_form form[WB_DECIMALS_MAX + 1][17][16]; /* by decimals, characters, place of the dot (15: none) */
  wb_coinbase_sequence sequence[WB_LINE_COUNT_MAX];
  wb_coinbase_schema schema; /* of `level3` */
  bool level3;               /* see coinbase_orders.h */
};

/* What both dialects do alike: the codec's `size` and `init`, and `decode` of every record but text. */
size_t wb_coinbase_size(const wb_products *products);
int wb_coinbase_init(void *memory, const wb_products *products);
void wb_coinbase_other(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);

/* A text that grows in a buffer of fixed size; length may pass size, which says that it did not fit. */
typedef struct wb_text_buffer {
  char *text;
  size_t size, length;
} wb_text_buffer;
void wb_text_put(wb_text_buffer *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

void wb_coinbase_full(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);

/* wb_coinbase_read_ahead is the codec's `ahead`; wb_coinbase_ahead_ends takes the record that comes after it on that line: true if it was that
 * snapshot, which is then decoded. */
bool wb_coinbase_read_ahead(void *state, uint8_t line, uint64_t position, const uint8_t *bytes, size_t count, wb_out *out);
bool wb_coinbase_ahead_ends(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);

/* The fast roads, the fastest first; the last is for every machine. wb_coinbase_road_at enumerates those of this build, NULL past
 * the end; init chooses the first whose has() is true. */
typedef struct wb_coinbase_way {
  const char *name;
  bool (*has)(void);
  wb_coinbase_road road;
  wb_coinbase_side side; /* of a snapshot, as that road reads it */
} wb_coinbase_way;
const wb_coinbase_way *wb_coinbase_way_at(unsigned index);

void wb_coinbase_fast(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
#if defined(__x86_64__)
bool wb_coinbase_has_avx512(void);
void wb_coinbase_fast_avx512(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
wb_fast_run wb_coinbase_side_avx512(const wb_coinbase *state, const wb_coinbase_product *product, const uint8_t *text,
                                    const uint8_t *stop, wb_delta *delta, const wb_delta *full, wb_side side);
bool wb_coinbase_has_avx2(void);
void wb_coinbase_fast_avx2(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
wb_fast_run wb_coinbase_side_avx2(const wb_coinbase *state, const wb_coinbase_product *product, const uint8_t *text,
                                  const uint8_t *stop, wb_delta *delta, const wb_delta *full, wb_side side);
bool wb_coinbase_has_sse42(void);
void wb_coinbase_fast_sse42(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
wb_fast_run wb_coinbase_side_sse42(const wb_coinbase *state, const wb_coinbase_product *product, const uint8_t *text,
                                   const uint8_t *stop, wb_delta *delta, const wb_delta *full, wb_side side);
#elif defined(__aarch64__)
bool wb_coinbase_has_neon(void);
void wb_coinbase_fast_neon(wb_coinbase *state, const wb_frame *frame, const uint8_t *bytes, wb_out *out);
wb_fast_run wb_coinbase_side_neon(const wb_coinbase *state, const wb_coinbase_product *product, const uint8_t *text,
                                  const uint8_t *stop, wb_delta *delta, const wb_delta *full, wb_side side);
#endif

/* wb_coinbase_slot hashes the 16 bytes of an id that begins behind the quote at text, which in an update are its own and those of
 * `","changes":[["` behind it. */
static inline uint32_t wb_coinbase_slot(const wb_coinbase *state, const uint8_t *text) {
  uint64_t first, second;
  memcpy(&first, text + 1, sizeof first);
  memcpy(&second, text + 9, sizeof second);
  return (uint32_t)(((first ^ (second << 29 | second >> 35)) * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & state->slot_mask;
}

/* wb_coinbase_claim claims a message and writes its whole header: part FIRST|LAST, no time, delta_count as asked. */
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
  memset(&message->u, 0, sizeof message->u);
  message->connection = frame->connection;
  message->line = frame->line;
  message->flags = 0;
  memset(message->decimals, 0, sizeof message->decimals);
  memset(message->reserved, 0, sizeof message->reserved);
  message->hash = 0;
  return message;
}

#endif
