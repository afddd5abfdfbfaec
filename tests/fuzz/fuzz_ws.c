/* fuzz_ws.c - wb_ws_read and wb_ws_read_piece against a slow, obvious reading of RFC 6455 and of RFC 7692 6.
 *
 * Input:   byte 0 chooses: bit 0 our role (0 client, 1 server), bits 1..2 the message limit; the rest is what the peer sends.
 * Oracle:  the reference walks the whole input once and lists what must come out. The reader gets the input whole, by random
 *          cuts and byte by byte, in a buffer that moves and is exactly as large as what is in it; each time the same items
 * must come at the same places, with the same end. *wanted must be exact: no item before it, and at it an item, an error or a
 *          larger *wanted. The pieces of wb_ws_read_piece, put together, are the messages of the same list, made anew with RSV1 allowed. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(e) ((e) ? (void)0 : abort())

enum { INPUT_BYTES_MAX = 1 << 19, EVERY_BYTE_MAX = 1024 };

typedef struct expected {
  int result; /* 1 item, 0 more is needed, WB_E_* */
  int opcode;
  bool nested, compressed;
  size_t fragments, count, stream_end; /* stream_end: bytes of the stream done with after this item */
  uint8_t *bytes;
} expected;

static struct {
  expected *all;
  size_t count, capacity;
} list;

static expected *expect(int result) {
  if (list.count == list.capacity) {
    list.capacity = list.capacity ? 2 * list.capacity : 64;
    list.all = realloc(list.all, list.capacity * sizeof *list.all);
    REQUIRE(list.all);
  }
  list.all[list.count] = (expected){.result = result};
  return &list.all[list.count++];
}

static bool reference_utf8(const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count;) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t point = bytes[i];
    size_t length = point < 0x80 ? 1 : (point & 0xe0) == 0xc0 ? 2 : (point & 0xf0) == 0xe0 ? 3 : (point & 0xf8) == 0xf0 ? 4 : 0;
    if (length == 0 || i + length > count) return false;
    if (length > 1) point &= 0x7fu >> length;
    for (size_t k = 1; k < length; k++) {
      if ((bytes[i + k] & 0xc0) != 0x80) return false;
      point = point << 6 | (bytes[i + k] & 0x3f);
    }
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += length;
  }
  return true;
}

static int reference_close(const uint8_t *bytes, size_t count) {
  static const unsigned fine[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
  if (count == 0) return 0;
  if (count == 1) return WB_E_PROTOCOL;
  unsigned code = bytes[0] * 256u + bytes[1];
  bool valid = code >= 3000 && code < 5000;
  for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) valid |= code == fine[i];
  if (!valid) return WB_E_PROTOCOL;
  return reference_utf8(bytes + 2, count - 2) ? 0 : WB_E_UTF8;
}

/* Lists every item of the stream, then the end: 0 or an error. */
static void reference(const uint8_t *stream, size_t size, int role, uint64_t message_bytes_max, bool may_compress) {
  size_t position = 0, message_count = 0, fragments = 0, nested = 0;
  uint8_t *message = malloc(size + 1);
  int message_opcode = -1, error = 0;
  bool compressed = false;
  REQUIRE(message);
  while (position < size) {
    const uint8_t *at = stream + position;
    size_t left = size - position;
    bool fin = at[0] >= 0x80;
    int opcode = at[0] % 16;
    error = WB_E_PROTOCOL;
    bool rsv1 = at[0] / 16 % 8 == 4 && may_compress && (at[0] % 16 == 1 || at[0] % 16 == 2);
    if (at[0] / 16 % 8 != 0 && !rsv1) break;
    if (opcode != 0 && opcode != 1 && opcode != 2 && opcode != 8 && opcode != 9 && opcode != 10) break;
    bool control = opcode >= 8;
    if (control && !fin) break;
    if (control && message_opcode >= 0 && nested == 64) break;
    if (opcode == 0 && message_opcode < 0) break;
    if ((opcode == 1 || opcode == 2) && message_opcode >= 0) break;
    error = 0;
    if (left < 2) break;

    error = WB_E_PROTOCOL;
    bool masked = at[1] >= 0x80;
    if (masked && role == WB_WS_CLIENT) break;
    if (!masked && role == WB_WS_SERVER) break;
    uint64_t length = at[1] % 128;
    if (control && length > 125) break;
    size_t header = 2;
    error = 0;
    if (length == 126) {
      if (left < 4) break;
      header = 4;
      length = at[2] * 256u + at[3];
      if (length < 126) error = WB_E_PROTOCOL;
    } else if (length == 127) {
      if (left < 10) break;
      header = 10;
      length = 0;
      for (int i = 2; i < 10; i++) length = length * 256 + at[i];
      if (at[2] >= 0x80 || length < 65536) error = WB_E_PROTOCOL;
    }
    if (error) break;
    error = WB_E_TOO_LARGE;
    if (!control && message_count + length > message_bytes_max) break;
    error = 0;
    const uint8_t *mask = at + header;
    if (masked) header += 4;
    if (left < header || left - header < length) break;

    uint8_t *payload = malloc(length + 1);
    REQUIRE(payload);
    for (size_t i = 0; i < length; i++) payload[i] = at[header + i] ^ (masked ? mask[i % 4] : 0);
    if (opcode == 8) error = reference_close(payload, length);
    if (error) {
      free(payload);
      break;
    }
    position += header + length;
    if (control) {
      expected *e = expect(1);
      e->opcode = opcode;
      e->nested = message_opcode >= 0;
      e->fragments = 1;
      e->bytes = payload;
      e->count = length;
      e->stream_end = position;
      nested += e->nested;
      continue;
    }
    memcpy(message + message_count, payload, length);
    free(payload);
    message_count += length;
    fragments++;
    if (opcode != 0) message_opcode = opcode, compressed = rsv1;
    if (!fin) continue;
    expected *e = expect(1);
    e->opcode = message_opcode;
    e->compressed = compressed;
    e->fragments = fragments;
    e->bytes = malloc(message_count + 1);
    REQUIRE(e->bytes);
    memcpy(e->bytes, message, message_count);
    e->count = message_count;
    e->stream_end = position;
    message_opcode = -1;
    message_count = fragments = nested = 0;
  }
  expect(error);
  free(message);
}

static uint64_t random_state;

static size_t random_below(size_t bound) {
  random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (size_t)((random_state >> 33) % bound);
}

/* step_max: 0 all at once, otherwise pieces of 1..step_max bytes. */
static void feed(const uint8_t *stream, size_t size, int role, uint64_t message_bytes_max, size_t step_max) {
  wb_ws ws;
  wb_ws_init(&ws, role, message_bytes_max);
  uint8_t *buffer = malloc(1);
  size_t count = 0, given = 0, consumed_total = 0, next = 0, wanted_before = 0;
  struct {
    const uint8_t *bytes;
    const expected *e;
  } nested[WB_WS_NESTED_MAX];
  size_t nested_count = 0;
  bool ended = false;
  REQUIRE(buffer);
  while (!ended) {
    wb_ws_item item;
    size_t consumed = 77, wanted = 77;
    int result = wb_ws_read(&ws, buffer, count, &item, &consumed, &wanted);
    REQUIRE(next < list.count);
    const expected *e = &list.all[next];
    if (wanted_before) {
      REQUIRE(count >= wanted_before || result < 0 || (result == 0 && wanted == wanted_before));
      REQUIRE(count < wanted_before || result != 0 || wanted > wanted_before);
    }
    wanted_before = result == 0 ? wanted : 0;
    if (result == 1) {
      REQUIRE(e->result == 1 && item.opcode == e->opcode && item.nested == e->nested && item.fragments == e->fragments);
      REQUIRE(item.count == e->count && memcmp(item.bytes, e->bytes, e->count) == 0);
      next++;
      if (item.nested) {
        REQUIRE(consumed == 0 && item.bytes >= ws.nested && item.bytes + item.count <= ws.nested + sizeof ws.nested);
        REQUIRE(nested_count < WB_WS_NESTED_MAX);
        nested[nested_count].bytes = item.bytes;
        nested[nested_count++].e = e;
        REQUIRE(ws.nested_count == nested_count);
        continue;
      }
      REQUIRE(consumed <= count && item.bytes >= buffer && item.bytes + item.count <= buffer + consumed);
      if (item.opcode < WB_WS_CLOSE) {
        for (size_t i = 0; i < nested_count; i++) REQUIRE(memcmp(nested[i].bytes, nested[i].e->bytes, nested[i].e->count) == 0);
        nested_count = 0;
      }
      consumed_total += consumed;
      REQUIRE(consumed_total == e->stream_end);
      REQUIRE(memcmp(buffer + consumed, stream + consumed_total, count - consumed) == 0);
    } else if (result < 0) {
      REQUIRE(consumed == 0 && e->result == result && next == list.count - 1);
      REQUIRE(wb_ws_close_code(result) == (result == WB_E_UTF8 ? 1007 : result == WB_E_TOO_LARGE ? 1009 : 1002));
      ended = true;
      continue;
    } else {
      REQUIRE(result == 0 && consumed == 0 && wanted > count);
      if (given == size) {
        REQUIRE(e->result == 0 && next == list.count - 1);
        ended = true;
        continue;
      }
    }
    /* The unconsumed bytes move, and more come behind them when there was no item. */
    size_t kept = count - consumed, more = result ? 0 : step_max ? 1 + random_below(step_max) : size;
    if (more > size - given) more = size - given;
    uint8_t *moved = malloc(kept + more + !(kept + more));
    REQUIRE(moved);
    memcpy(moved, buffer + consumed, kept);
    memcpy(moved + kept, stream + given, more);
    free(buffer);
    buffer = moved;
    count = kept + more;
    given += more;
  }
  free(buffer);
}

/* As feed, piece by piece. */
static void feed_pieces(const uint8_t *stream, size_t size, int role, uint64_t message_bytes_max, size_t step_max) {
  wb_ws ws;
  wb_ws_init(&ws, role, message_bytes_max);
  uint8_t *buffer = malloc(1), *message = malloc(size + 1);
  size_t count = 0, given = 0, message_count = 0, next = 0;
  REQUIRE(buffer && message);
  for (;;) {
    wb_ws_piece piece;
    size_t consumed = 77;
    int result = wb_ws_read_piece(&ws, buffer, count, &piece, &consumed);
    REQUIRE(next < list.count);
    const expected *e = &list.all[next];
    if (result == 1) {
      REQUIRE(consumed > 0 && consumed <= count && piece.bytes >= buffer && piece.bytes + piece.count <= buffer + consumed);
      if (piece.opcode >= WB_WS_CLOSE) {
        REQUIRE(piece.last && !piece.compressed && e->result == 1 && e->opcode == piece.opcode);
        REQUIRE(e->count == piece.count && memcmp(e->bytes, piece.bytes, piece.count) == 0);
        next++;
      } else {
        memcpy(message + message_count, piece.bytes, piece.count);
        message_count += piece.count;
      }
      if (piece.opcode < WB_WS_CLOSE && piece.last) {
        REQUIRE(e->result == 1 && e->opcode == piece.opcode && e->compressed == piece.compressed);
        REQUIRE(e->count == message_count && memcmp(e->bytes, message, message_count) == 0);
        message_count = 0;
        next++;
      }
    } else if (result < 0) {
      REQUIRE(consumed == 0 && e->result == result && next == list.count - 1);
      break;
    } else {
      REQUIRE(result == 0 && consumed == 0 && count < WB_WS_HEADER_BYTES_MAX + WB_WS_CONTROL_BYTES_MAX);
      if (given == size) {
        REQUIRE(e->result == 0 && next == list.count - 1);
        break;
      }
    }
    size_t kept = count - consumed, more = result ? 0 : step_max ? 1 + random_below(step_max) : size;
    if (more > size - given) more = size - given;
    uint8_t *moved = malloc(kept + more + !(kept + more));
    REQUIRE(moved);
    memcpy(moved, buffer + consumed, kept);
    memcpy(moved + kept, stream + given, more);
    free(buffer);
    buffer = moved;
    count = kept + more;
    given += more;
  }
  free(buffer);
  free(message);
}

static void list_clear(void) {
  for (size_t i = 0; i < list.count; i++) free(list.all[i].bytes);
  list.count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint64_t limits[] = {125, 1000, 70000, 1 << 30};
  if (size < 1 || size > INPUT_BYTES_MAX) return 0;
  int role = data[0] & 1 ? WB_WS_SERVER : WB_WS_CLIENT;
  uint64_t message_bytes_max = limits[data[0] >> 1 & 3];
  const uint8_t *stream = data + 1;
  size--;
  random_state = size;
  for (size_t i = 0; i < size && i < 64; i++) random_state = random_state * 31 + stream[i];

  reference(stream, size, role, message_bytes_max, false);
  feed(stream, size, role, message_bytes_max, 0);
  feed(stream, size, role, message_bytes_max, 1 + size / 8);
  if (size <= EVERY_BYTE_MAX) {
    feed(stream, size, role, message_bytes_max, 1);
    feed(stream, size, role, message_bytes_max, 16);
  }
  list_clear();
  reference(stream, size, role, message_bytes_max, true);
  feed_pieces(stream, size, role, message_bytes_max, 0);
  feed_pieces(stream, size, role, message_bytes_max, 1 + size / 8);
  if (size <= EVERY_BYTE_MAX) feed_pieces(stream, size, role, message_bytes_max, 1);
  list_clear();
  return 0;
}
