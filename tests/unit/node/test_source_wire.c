#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io/deflate.h"
#include "io/memory.h"
#include "io/source_wire.h"
#include "tests/unit/random.h"

enum { JOURNAL_BYTES = 1 << 18, FRAMES = 64, MESSAGE_BYTES_MAX = 100000 };

static wb_frames frames;
static wb_frame descriptors[FRAMES];
static uint8_t *base;
static wb_wire *wire;
static wb_ws ws;
static uint64_t begun;

static void begin(wb_deflate_mode mode) {
  wb_ws_init(&ws, WB_WS_CLIENT, MESSAGE_BYTES_MAX);
  wb_wire_begin(wire, &(wb_deflate_terms){mode, 15}, (const uint8_t *)"", 0);
  begun = frames.head;
}

static void setup(void) {
  base = wb_mirror_open(JOURNAL_BYTES, false, NULL);
  wire = wb_wire_open();
  cr_assert(base && wire);
  cr_assert_eq(wb_frames_init(&frames, base, JOURNAL_BYTES, descriptors, FRAMES, 1), 0);
  begin(WB_DEFLATE_TAKEOVER);
}

static void teardown(void) {
  wb_wire_close(wire);
  wb_mirror_close(base, JOURNAL_BYTES);
}

TestSuite(source_wire, .init = setup, .fini = teardown);

static void receive(const void *bytes, size_t count) {
  uint8_t *at;
  cr_assert_geq(wb_wire_room(wire, &at), count);
  memcpy(at, bytes, count);
  wb_wire_advance(wire, count);
}

/* The record of what the journal has from begun on: read, and given back. */
static void push(size_t count) {
  cr_assert_gt(wb_frames_slots(&frames, 1), 0);
  wb_frames_push(&frames, &(wb_frame){.position = begun, .bytes = (uint32_t)count});
  wb_frames_publish(&frames);
  begun += count;
}

static void give_back(void) {
  size_t count;
  while (wb_frames_peek(&frames, 0, 0, SIZE_MAX, &count)) wb_frames_release(&frames, 0, count);
}

static int take(wb_ws_item *item) {
  size_t consumed = 77;
  int result = wb_wire_read(wire, &ws, &frames, begun, item, &consumed);
  cr_expect_eq(consumed, result == 1 && !item->nested ? item->count : 0);
  return result;
}

static void expect_text(const void *text, size_t count) {
  wb_ws_item item;
  cr_assert_eq(take(&item), 1);
  cr_assert_eq(item.opcode, WB_WS_TEXT);
  cr_assert(item.count == count && memcmp(item.bytes, text, count) == 0);
  cr_assert_eq(item.bytes, wb_frames_at(&frames, begun));
  push(count);
  give_back();
}

static size_t frame_put(uint8_t *to, int opcode, bool fin, bool compressed, const void *payload, size_t count) {
  size_t header = wb_ws_header(to, opcode, fin, count, NULL);
  if (compressed) to[0] |= WB_WS_COMPRESSED;
  memcpy(to + header, payload, count);
  return header + count;
}

static const uint8_t hello[] = {0xc1, 7, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 7, 0};

/* ------------------------------------------------------------------------------------------------ bad input */

Test(source_wire, what_breaks_the_rules_is_refused_and_drained_as_it_came) {
  static const struct {
    const char *what;
    int error;
    size_t count, text, rest; /* of the journal afterwards: text, then the last bytes as they came */
    uint8_t bytes[24];
  } cases[] = {
      {"no DEFLATE", WB_E_DAMAGED, 4, 0, 1, {0xc1, 2, 0x06, 0}},
      {"cut within a block", WB_E_DAMAGED, 8, 5, 0, {0xc1, 6, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 7}},
      {"RSV1 on a ping", WB_E_PROTOCOL, 2, 0, 2, {0xc9, 0}},
      {"RSV1 on a continuation", WB_E_PROTOCOL, 11, 4, 6, {0x41, 3, 0xf2, 0x48, 0xcd, 0xc0, 4, 0xc9, 0xc9, 7, 0}},
      {"RSV2", WB_E_PROTOCOL, 3, 0, 3, {0xe1, 1, 0}},
      {"RSV3", WB_E_PROTOCOL, 3, 0, 3, {0x91, 1, 'a'}},
      {"masked", WB_E_PROTOCOL, 7, 0, 7, {0xc1, 0x81, 1, 2, 3, 4, 5}},
      {"a close that must not be", WB_E_PROTOCOL, 4, 0, 4, {0x88, 2, 3, 0xed}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_ws_item item;
    begin(WB_DEFLATE_TAKEOVER);
    receive(cases[i].bytes, cases[i].count);
    cr_expect_eq(take(&item), cases[i].error, "%s", cases[i].what);
    cr_expect_eq(wb_wire_drain(wire, &frames), 0);
    size_t kept = frames.head - begun;
    cr_expect(kept >= cases[i].rest && memcmp(wb_frames_head(&frames) - cases[i].rest,
                                              cases[i].bytes + cases[i].count - cases[i].rest, cases[i].rest) == 0,
              "%s", cases[i].what);
    cr_expect_leq(kept, cases[i].text + cases[i].rest + 1, "%s: %zu", cases[i].what, kept);
    push(kept);
    give_back();
  }
}

Test(source_wire, a_text_is_too_large_by_one_byte_and_not_before) {
  static uint8_t text[MESSAGE_BYTES_MAX + 1], payload[4096], out[4096];
  memset(text, ' ', sizeof text);
  for (int more = 0; more <= 1; more++)
    for (int compressed = 0; compressed <= 1; compressed++) {
      wb_deflate *deflate = wb_deflate_open(15, false);
      wb_ws_item item;
      int64_t bytes = wb_deflate_write(deflate, text, MESSAGE_BYTES_MAX + (size_t)more, payload, sizeof payload);
      cr_assert_gt(bytes, 0);
      wb_deflate_close(deflate);
      begin(WB_DEFLATE_TAKEOVER);
      if (compressed) {
        receive(out, frame_put(out, WB_WS_TEXT, true, true, payload, (size_t)bytes));
      } else {
        uint8_t header[WB_WS_HEADER_BYTES_MAX];
        receive(header, wb_ws_header(header, WB_WS_TEXT, true, MESSAGE_BYTES_MAX + (size_t)more, NULL));
        receive(text, MESSAGE_BYTES_MAX);
      }
      if (!more) {
        expect_text(text, MESSAGE_BYTES_MAX);
        continue;
      }
      cr_expect_eq(take(&item), WB_E_TOO_LARGE);
      cr_expect_leq(frames.head - begun, MESSAGE_BYTES_MAX + 1);
      wb_wire_drain(wire, &frames);
      push(frames.head - begun);
      give_back();
    }
}

Test(source_wire, a_compressed_message_without_end_and_without_text_is_too_large) {
  static uint8_t out[10000];
  static const uint8_t empty[] = {0, 0, 0, 0xff, 0xff};
  wb_ws_item item;
  size_t count = wb_ws_header(out, WB_WS_TEXT, false, 5000, NULL);
  out[0] |= WB_WS_COMPRESSED;
  for (int i = 0; i < 1000; i++) memcpy(out + count + 5 * i, empty, 5);
  receive(out, count + 5000);
  int result, frames_taken = 1;
  while ((result = take(&item)) == 0 && frames_taken < 100) {
    count = wb_ws_header(out, WB_WS_CONTINUATION, false, 5000, NULL);
    for (int i = 0; i < 1000; i++) memcpy(out + count + 5 * i, empty, 5);
    receive(out, count + 5000);
    frames_taken++;
  }
  cr_expect_eq(result, WB_E_TOO_LARGE);
  cr_expect_eq(frames_taken, MESSAGE_BYTES_MAX / 5000 + 1);
  cr_expect_eq(frames.head, begun);
}

/* ------------------------------------------------------------------------------------------------ life cycle */

Test(source_wire, what_came_behind_the_upgrade_is_read_first) {
  static uint8_t both[sizeof hello + 2] = {0};
  memcpy(both, hello, sizeof hello);
  memcpy(both + sizeof hello, hello, 2);
  wb_wire_begin(wire, &(wb_deflate_terms){WB_DEFLATE_TAKEOVER, 15}, both, sizeof both);
  expect_text("Hello", 5);
  receive(hello + 2, sizeof hello - 2);
  expect_text("Hello", 5);
}

Test(source_wire, control_frames_lie_elsewhere_even_between_fragments) {
  static const uint8_t stream[] = {0x41, 3, 0xf2, 0x48, 0xcd, 0x89, 1,    'p', 0x8a, 0,
                                   0x80, 4, 0xc9, 0xc9, 7,    0,    0x88, 2,   3,    0xe8};
  wb_ws_item item;
  receive(stream, sizeof stream);
  cr_assert_eq(take(&item), 1);
  cr_expect(item.opcode == WB_WS_PING && item.nested && item.count == 1 && item.bytes[0] == 'p');
  cr_assert_eq(take(&item), 1);
  cr_expect(item.opcode == WB_WS_PONG && item.nested && item.count == 0);
  expect_text("Hello", 5);
  cr_assert_eq(take(&item), 1);
  cr_expect(item.opcode == WB_WS_CLOSE && item.nested && item.count == 2);
  cr_expect_eq(take(&item), 0);
}

Test(source_wire, a_large_text_is_shown_while_it_comes) {
  static uint8_t text[90000], out[100000];
  wb_ws_item item;
  size_t bytes;
  uint64_t position;
  for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)('a' + i % 26);
  size_t count = frame_put(out, WB_WS_TEXT, true, false, text, sizeof text);
  receive(out, 40000);
  cr_assert_eq(take(&item), 0);
  cr_expect_null(wb_frames_partial(&frames, 0, &position, &bytes));
  receive(out + 40000, 40000);
  cr_assert_eq(take(&item), 0);
  const uint8_t *partial = wb_frames_partial(&frames, 0, &position, &bytes);
  cr_assert_not_null(partial);
  cr_expect(position == begun && bytes == 79990 && memcmp(partial, text, bytes) == 0);
  receive(out + 80000, count - 80000);
  expect_text(text, sizeof text);
}

Test(source_wire, a_full_journal_keeps_what_came_and_goes_on_when_there_is_room) {
  static uint8_t text[60000], payload[4096], out[8192];
  memset(text, ' ', sizeof text);
  wb_deflate *deflate = wb_deflate_open(15, true);
  wb_ws_item item;
  size_t count = 0;
  uint8_t *at;
  for (int i = 0; i < 10; i++) {
    int64_t bytes = wb_deflate_write(deflate, text, sizeof text, payload, sizeof payload);
    count += frame_put(out + count, WB_WS_TEXT, true, true, payload, (size_t)bytes);
  }
  receive(out, count);
  int texts = 0, full = 0, result;
  while ((result = take(&item)) != 0) {
    if (result == WB_E_FULL) {
      cr_expect_eq(wb_wire_room(wire, &at), 0);
      cr_assert_eq(take(&item), WB_E_FULL, "nothing has changed");
      give_back();
      full++;
      continue;
    }
    cr_assert_eq(result, 1);
    cr_assert(item.count == sizeof text && memcmp(item.bytes, text, sizeof text) == 0);
    push(item.count);
    texts++;
  }
  cr_expect_eq(texts, 10);
  cr_expect_geq(full, 2);
  wb_deflate_close(deflate);
}

Test(source_wire, draining_into_a_full_journal_tells_what_is_left) {
  static uint8_t noise[70000];
  memset(noise, 0xff, sizeof noise);
  size_t room = wb_frames_room(&frames, JOURNAL_BYTES);
  wb_frames_advance(&frames, room - 30000);
  receive(noise, sizeof noise);
  cr_expect_eq(wb_wire_drain(wire, &frames), 40000);
  push(frames.head - begun);
  give_back();
  cr_expect_eq(wb_wire_drain(wire, &frames), 0);
  cr_expect_eq(frames.head - begun, 40000);
}

/* ------------------------------------------------------------------------------------------------ random streams */

Test(source_wire, random_messages_arrive_as_they_were_however_the_stream_is_cut) {
  static uint8_t stream[1 << 20], text[1 << 20], payload[1 << 17];
  struct {
    size_t at, count;
    int opcode;
  } sent[200];
  seed();
  for (int round = 0; round < 30; round++) {
    bool takeover = next() % 2;
    wb_deflate *deflate = wb_deflate_open(9 + (unsigned)(next() % 7), takeover);
    size_t stream_bytes = 0, text_bytes = 0;
    unsigned sent_count = 0;
    while (sent_count < 190 && stream_bytes < 500000) {
      size_t count = next() % 10 ? next() % 400 : next() % 20000, cut;
      uint8_t *at = text + text_bytes;
      for (size_t i = 0; i < count; i++) at[i] = (uint8_t)(next() % 4 ? 'a' + i % 7 : next());
      bool compressed = next() % 4;
      int64_t bytes = compressed ? wb_deflate_write(deflate, at, count, payload, sizeof payload) : (int64_t)count;
      const uint8_t *from = compressed ? payload : at;
      cr_assert_geq(bytes, 0);
      int opcode = next() % 8 ? WB_WS_TEXT : WB_WS_BINARY, first = opcode;
      for (size_t done = 0; opcode >= 0; done += cut) {
        cut = next() % 2 ? (size_t)bytes - done : next() % ((size_t)bytes - done + 1);
        bool last = done + cut == (size_t)bytes && next() % 4;
        stream_bytes += frame_put(stream + stream_bytes, first, last, compressed && first, from + done, cut);
        first = WB_WS_CONTINUATION;
        if (!last && next() % 4 == 0 && sent_count < 190) {
          stream_bytes += frame_put(stream + stream_bytes, WB_WS_PING, true, false, "ping", 4);
          sent[sent_count].opcode = WB_WS_PING;
          sent[sent_count++].count = 4;
        }
        if (!last) continue;
        sent[sent_count].opcode = opcode;
        sent[sent_count].at = text_bytes;
        sent[sent_count++].count = count;
        opcode = -1;
      }
      text_bytes += count;
    }
    begin(takeover ? WB_DEFLATE_TAKEOVER : WB_DEFLATE_NO_TAKEOVER);
    unsigned got = 0;
    size_t step = round % 3 == 0 ? 1 : 1 + next() % 20000;
    for (size_t at = 0; at < stream_bytes;) {
      size_t piece = step == 1 ? 1 : 1 + next() % step;
      if (piece > stream_bytes - at) piece = stream_bytes - at;
      receive(stream + at, piece);
      at += piece;
      wb_ws_item item;
      int result;
      while ((result = take(&item)) != 0) {
        cr_assert_eq(result, 1, "round %d item %u: %d", round, got, result);
        cr_assert_lt(got, sent_count);
        cr_assert(item.opcode == sent[got].opcode && item.count == sent[got].count, "round %d item %u", round, got);
        const void *expected = item.opcode == WB_WS_PING ? (const void *)"ping" : text + sent[got].at;
        cr_assert_eq(memcmp(item.bytes, expected, item.count), 0, "round %d item %u", round, got);
        if (!item.nested) {
          push(item.count);
          give_back();
        }
        got++;
      }
    }
    cr_assert_eq(got, sent_count);
    wb_deflate_close(deflate);
  }
}
