/* fuzz_deflate.c - wb_inflate_read against a slow, obvious reading of RFC 1951, and what wb_deflate_write makes against what it was made of.
 *
 * Input:   byte 0: bit 0 context takeover, bits 1..3 the window of the way back; then payloads of messages, each behind its length in two bytes (little
 *          endian; the last one may be shorter).
 * Oracle:  the reference decodes bit by bit and knows all text since the context began. The inflater gets each payload whole, cut at random and byte by
 *          byte, with room for all, for a few bytes and for one; each time a message is the same text, or damaged, at the same message. Then the
 *          payloads are taken as texts: compressed and inflated they are what they were. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(e) ((e) ? (void)0 : abort())

enum { INPUT_BYTES_MAX = 1 << 16, TEXT_BYTES_MAX = 1 << 18, SMALL_BYTES = 2048, CODES = 288, LENGTH_MAX = 15 };

/* ------------------------------------------------------------------------------------------------ reference */

typedef struct bits {
  const uint8_t *bytes;
  size_t count, at; /* in bits */
  bool wrong;
} bits;

static struct {
  uint8_t text[TEXT_BYTES_MAX];
  size_t count, begin; /* begin: of the context */
} known;

static unsigned take(bits *b, unsigned count) {
  unsigned value = 0;
  for (unsigned i = 0; i < count; i++, b->at++) {
    if (b->at >= b->count) {
      b->wrong = true;
      return 0;
    }
    value |= (unsigned)(b->bytes[b->at / 8] >> b->at % 8 & 1) << i;
  }
  return value;
}

/* 3.2.2: codes of a length are consecutive, in the order of their symbols. */
typedef struct code {
  unsigned of_length[LENGTH_MAX + 1], symbol[CODES];
} code;

static bool code_make(code *c, const uint8_t *length, unsigned count, bool may_lack) {
  unsigned n = 0;
  memset(c, 0, sizeof *c);
  for (unsigned bits_of = 1; bits_of <= LENGTH_MAX; bits_of++)
    for (unsigned i = 0; i < count; i++)
      if (length[i] == bits_of) {
        c->symbol[n++] = i;
        c->of_length[bits_of]++;
      }
  int left = 1;
  for (unsigned bits_of = 1; bits_of <= LENGTH_MAX; bits_of++) {
    left = 2 * left - (int)c->of_length[bits_of];
    if (left < 0) return false;
  }
  return left == 0 || (may_lack && n == c->of_length[1]); /* none, or one of a single bit */
}

static unsigned code_take(const code *c, bits *b) {
  unsigned value = 0, first = 0, index = 0;
  for (unsigned bits_of = 1; bits_of <= LENGTH_MAX && !b->wrong; bits_of++) {
    value = 2 * value + take(b, 1);
    first *= 2;
    if (value - first < c->of_length[bits_of]) return c->symbol[index + value - first];
    index += c->of_length[bits_of];
    first += c->of_length[bits_of];
  }
  b->wrong = true;
  return 0;
}

static void put(bits *b, unsigned byte) {
  if (known.count == TEXT_BYTES_MAX) b->wrong = true;
  else known.text[known.count++] = (uint8_t)byte;
}

static void compressed(bits *b, const code *literals, const code *distances) {
  while (!b->wrong) {
    unsigned symbol = code_take(literals, b);
    if (b->wrong || symbol == 256) return;
    if (symbol < 256) {
      put(b, symbol);
      continue;
    }
    if (symbol > 285) b->wrong = true;
    unsigned extra = symbol < 265 || symbol == 285 ? 0 : (symbol - 261) / 4, length = 3;
    for (unsigned i = 257; i < symbol; i++) length += i < 265 ? 1 : 1u << (i - 261) / 4;
    if (symbol == 285) length = 258;
    length += take(b, extra);
    symbol = code_take(distances, b);
    if (symbol > 29) b->wrong = true;
    unsigned distance = 1;
    for (unsigned i = 0; i < symbol && i < 30; i++) distance += i < 4 ? 1 : 1u << (i - 2) / 2;
    distance += symbol < 4 || symbol > 29 ? 0 : take(b, (symbol - 2) / 2);
    if (distance > known.count - known.begin) b->wrong = true;
    for (; length && !b->wrong; length--) put(b, known.text[known.count - distance]);
  }
}

static void fixed(bits *b) {
  uint8_t length[CODES];
  code literals, distances;
  for (unsigned i = 0; i < CODES; i++) length[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  code_make(&literals, length, CODES, false);
  memset(length, 5, 32);
  code_make(&distances, length, 32, false);
  compressed(b, &literals, &distances);
}

static void dynamic(bits *b) {
  static const uint8_t order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  unsigned literal_count = 257 + take(b, 5), distance_count = 1 + take(b, 5), count = 4 + take(b, 4);
  uint8_t length[19] = {0}, lengths[320];
  code literals, distances, of_lengths;
  if (literal_count > 286 || distance_count > 30) b->wrong = true;
  for (unsigned i = 0; i < count; i++) length[order[i]] = (uint8_t)take(b, 3);
  if (b->wrong || !code_make(&of_lengths, length, 19, false)) {
    b->wrong = true;
    return;
  }
  for (unsigned n = 0; n < literal_count + distance_count && !b->wrong;) {
    unsigned symbol = code_take(&of_lengths, b), repeat = 1, value = symbol;
    if (symbol == 16 && n == 0) b->wrong = true;
    if (symbol >= 16) {
      value = symbol == 16 && n ? lengths[n - 1] : 0;
      repeat = symbol == 16 ? 3 + take(b, 2) : symbol == 17 ? 3 + take(b, 3) : 11 + take(b, 7);
    }
    if (n + repeat > literal_count + distance_count) b->wrong = true;
    while (repeat-- && !b->wrong) lengths[n++] = (uint8_t)value;
  }
  if (b->wrong) return;
  b->wrong = !lengths[256] || !code_make(&literals, lengths, literal_count, true) ||
             !code_make(&distances, lengths + literal_count, distance_count, true);
  if (!b->wrong) compressed(b, &literals, &distances);
}

static void stored(bits *b) {
  b->at = (b->at + 7) / 8 * 8;
  unsigned count = take(b, 16), complement = take(b, 16);
  if (count + complement != 0xffff) b->wrong = true;
  for (; count && !b->wrong; count--) put(b, take(b, 8));
}

/* One message, RFC 7692 7.2.2: whether its text was added to what is known. */
static bool reference(const uint8_t *payload, size_t count, bool takeover) {
  uint8_t *whole = malloc(count + 4);
  REQUIRE(whole);
  memcpy(whole, payload, count);
  memcpy(whole + count, "\x00\x00\xff\xff", 4);
  bits b = {.bytes = whole, .count = 8 * (count + 4)};
  if (!takeover) known.begin = known.count;
  while (b.at < b.count && !b.wrong) {
    bool last = take(&b, 1);
    unsigned kind = take(&b, 2);
    if (kind == 0) stored(&b);
    else if (kind == 1) fixed(&b);
    else if (kind == 2) dynamic(&b);
    else b.wrong = true;
    if (last) b.at = (b.at + 7) / 8 * 8;
  }
  free(whole);
  return !b.wrong;
}

/* ------------------------------------------------------------------------------------------------ the inflater */

static uint64_t random_state;

static size_t random_below(size_t bound) {
  random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (size_t)((random_state >> 33) % bound);
}

/* in_max, out_max: pieces of up to so many bytes, 0 all at once. Returns bytes of text, or an error. */
static int64_t inflate_message(wb_inflate *inflate, const uint8_t *payload, size_t count, size_t in_max, size_t out_max,
                               uint8_t *text, size_t text_max) {
  size_t at = 0, text_bytes = 0;
  do {
    size_t piece = in_max ? 1 + random_below(in_max) : count;
    if (piece > count - at) piece = count - at;
    uint8_t *exact = malloc(piece + !piece);
    REQUIRE(exact);
    memcpy(exact, payload + at, piece);
    at += piece;
    const uint8_t *in = exact;
    int result;
    do {
      size_t room = out_max ? 1 + random_below(out_max) : text_max + 1 - text_bytes, given = 77;
      uint8_t *out = malloc(room);
      REQUIRE(out);
      result = wb_inflate_read(inflate, &in, &piece, at == count, out, room, &given);
      REQUIRE(result == 1 || result == 0 || result == WB_E_DAMAGED);
      REQUIRE(given <= room && in + piece <= exact + count && (result != 1 || piece == 0) && (result != 0 || given == room));
      if (text_bytes + given > text_max) result = WB_E_TOO_LARGE;
      else memcpy(text + text_bytes, out, given);
      text_bytes += given;
      free(out);
    } while (result == 0);
    free(exact);
    if (result < 0) return result;
  } while (at < count);
  return (int64_t)text_bytes;
}

static size_t message_next(const uint8_t **data, size_t *size, const uint8_t **payload) {
  size_t count = (*data)[0] + 256u * (*data)[1];
  if (count > *size - 2) count = *size - 2;
  *payload = *data + 2;
  *data += 2 + count;
  *size -= 2 + count;
  return count;
}

static void differ(const uint8_t *data, size_t size, bool takeover, size_t in_max, size_t out_max) {
  wb_inflate *inflate = wb_inflate_open();
  static uint8_t text[TEXT_BYTES_MAX];
  const uint8_t *payload;
  REQUIRE(inflate);
  wb_inflate_begin(inflate, takeover);
  known.count = known.begin = 0;
  while (size >= 2) {
    size_t count = message_next(&data, &size, &payload), before = known.count;
    bool fine = reference(payload, count, takeover);
    if (!fine && known.count == TEXT_BYTES_MAX) break; /* more than the test holds */
    int64_t got = inflate_message(inflate, payload, count, in_max, out_max, text, TEXT_BYTES_MAX - before);
    REQUIRE(fine ? got == (int64_t)(known.count - before) : got == WB_E_DAMAGED);
    if (!fine) break;
    REQUIRE(memcmp(text, known.text + before, known.count - before) == 0);
  }
  wb_inflate_close(inflate);
}

static void there_and_back(const uint8_t *data, size_t size, bool takeover, unsigned window_bits) {
  wb_inflate *inflate = wb_inflate_open();
  wb_deflate *deflate = wb_deflate_open(window_bits, takeover);
  const uint8_t *text;
  REQUIRE(inflate && deflate);
  wb_inflate_begin(inflate, takeover);
  while (size >= 2) {
    size_t count = message_next(&data, &size, &text), room = wb_deflate_bytes_max(deflate, count);
    uint8_t *payload = malloc(room), *again = malloc(count + 1);
    REQUIRE(payload && again);
    int64_t bytes = wb_deflate_write(deflate, text, count, payload, room);
    REQUIRE(bytes > 0);
    REQUIRE(inflate_message(inflate, payload, (size_t)bytes, 0, 0, again, count) == (int64_t)count);
    REQUIRE(memcmp(again, text, count) == 0);
    free(payload);
    free(again);
  }
  wb_deflate_close(deflate);
  wb_inflate_close(inflate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > INPUT_BYTES_MAX) return 0;
  bool takeover = data[0] & 1;
  unsigned window_bits = 9 + (data[0] >> 1 & 7) % 7;
  data++;
  size--;
  random_state = size;
  for (size_t i = 0; i < size && i < 64; i++) random_state = random_state * 31 + data[i];
  differ(data, size, takeover, 0, 0);
  differ(data, size, takeover, 1 + size / 8, 5000);
  if (size <= SMALL_BYTES && known.count <= 1 << 16) {
    differ(data, size, takeover, 1, 100);
    differ(data, size, takeover, 0, 1);
  }
  there_and_back(data, size, takeover, window_bits);
  return 0;
}
