#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/ws.h"

enum { BUFFER_BYTES = 1 << 17 };

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static uint64_t random_state;

static void random_seed(void) {
  const char *given = getenv("WIREBOOK_SEED");
  random_state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)clock();
  fprintf(stderr, "seed: WIREBOOK_SEED=%" PRIu64 "\n", random_state);
}

static uint32_t random_next(void) {
  random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(random_state >> 32);
}

static size_t random_below(size_t bound) { return random_next() % bound; }

/* Writes a whole frame as a peer of `role` gets it. */
static size_t frame_put(uint8_t *to, int role, int opcode, bool fin, const void *payload, size_t count) {
  size_t header = wb_ws_header(to, opcode, fin, count, role == WB_WS_SERVER ? mask : NULL);
  if (count) memcpy(to + header, payload, count);
  if (role == WB_WS_SERVER)
    for (size_t i = 0; i < count; i++) to[header + i] ^= mask[i % 4];
  return header + count;
}

/* Reads all of bytes in pieces of `step` (0: all at once), skipping items, until an error or the end. */
static int read_all(int role, uint64_t message_bytes_max, const uint8_t *bytes, size_t count, size_t step, size_t *items) {
  wb_ws ws;
  wb_ws_init(&ws, role, message_bytes_max);
  uint8_t *copy = malloc(count + 1);
  memcpy(copy, bytes, count);
  size_t begin = 0, given = step ? 0 : count, consumed;
  int result;
  *items = 0;
  for (;;) {
    wb_ws_item item;
    result = wb_ws_read(&ws, copy + begin, given - begin, &item, &consumed, NULL);
    if (result < 0) break;
    begin += consumed;
    *items += result == 1;
    if (result) continue;
    if (given == count) break;
    given = given + step < count ? given + step : count;
  }
  free(copy);
  return result;
}

static int first_error(int role, uint64_t message_bytes_max, const uint8_t *bytes, size_t count) {
  size_t items, items_by_step;
  int whole = read_all(role, message_bytes_max, bytes, count, 0, &items);
  for (size_t step = 1; step < 4; step++) {
    cr_assert_eq(read_all(role, message_bytes_max, bytes, count, step, &items_by_step), whole);
    cr_assert_eq(items_by_step, items);
  }
  return whole;
}

/* ------------------------------------------------------------------------------------------------ bad input */

Test(ws, an_unknown_role_is_a_programmer_error, .signal = SIGABRT) {
  wb_ws ws;
  wb_ws_init(&ws, 2, 100);
}

Test(ws, every_violation_of_the_rfc_is_a_protocol_error_however_it_is_cut) {
  static const struct {
    const char *what;
    int role;
    size_t count;
    uint8_t bytes[16];
  } cases[] = {
      {"reserved bit 1", WB_WS_CLIENT, 3, {0xc1, 1, 'a'}},
      {"reserved bit 2", WB_WS_CLIENT, 3, {0xa1, 1, 'a'}},
      {"reserved bit 3", WB_WS_CLIENT, 3, {0x91, 1, 'a'}},
      {"reserved bit shows in the first byte", WB_WS_CLIENT, 1, {0xc1}},
      {"reserved data opcode 3", WB_WS_CLIENT, 3, {0x83, 1, 'a'}},
      {"reserved data opcode 7", WB_WS_CLIENT, 3, {0x87, 1, 'a'}},
      {"reserved control opcode 11", WB_WS_CLIENT, 3, {0x8b, 1, 'a'}},
      {"reserved control opcode 15", WB_WS_CLIENT, 3, {0x8f, 1, 'a'}},
      {"fragmented ping", WB_WS_CLIENT, 3, {0x09, 1, 'a'}},
      {"fragmented close", WB_WS_CLIENT, 2, {0x08, 0}},
      {"ping with 16-bit length", WB_WS_CLIENT, 2, {0x89, 126}},
      {"pong with 64-bit length", WB_WS_CLIENT, 2, {0x8a, 127}},
      {"continuation of nothing", WB_WS_CLIENT, 3, {0x80, 1, 'a'}},
      {"continuation of nothing, not final", WB_WS_CLIENT, 3, {0x00, 1, 'a'}},
      {"text within a fragmented message", WB_WS_CLIENT, 6, {0x01, 1, 'a', 0x81, 1, 'b'}},
      {"binary within a fragmented message", WB_WS_CLIENT, 6, {0x01, 1, 'a', 0x02, 1, 'b'}},
      {"continuation after the end of the message", WB_WS_CLIENT, 9, {0x01, 1, 'a', 0x80, 1, 'b', 0x80, 1, 'c'}},
      {"masked frame to a client", WB_WS_CLIENT, 7, {0x81, 0x81, 1, 2, 3, 4, 'a'}},
      {"masked ping to a client", WB_WS_CLIENT, 2, {0x89, 0x80}},
      {"unmasked frame to a server", WB_WS_SERVER, 3, {0x81, 1, 'a'}},
      {"unmasked long frame to a server", WB_WS_SERVER, 4, {0x81, 126, 1, 0}},
      {"16-bit length for 125 bytes", WB_WS_CLIENT, 4, {0x81, 126, 0, 125}},
      {"16-bit length for a whole message of 2 bytes", WB_WS_CLIENT, 6, {0x81, 126, 0, 2, 'a', 'b'}},
      {"unmasked whole frame to a server", WB_WS_SERVER, 4, {0x81, 2, 'a', 'b'}},
      {"16-bit length for nothing", WB_WS_CLIENT, 4, {0x82, 126, 0, 0}},
      {"64-bit length for 65535 bytes", WB_WS_CLIENT, 10, {0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}},
      {"64-bit length for 5 bytes", WB_WS_SERVER, 10, {0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5}},
      {"64-bit length with the top bit", WB_WS_CLIENT, 10, {0x81, 127, 0x80, 0, 0, 0, 0, 1, 0, 0}},
      {"close with one byte", WB_WS_CLIENT, 3, {0x88, 1, 3}},
      {"close with code 1005", WB_WS_CLIENT, 4, {0x88, 2, 3, 0xed}},
      {"close with code 999", WB_WS_CLIENT, 4, {0x88, 2, 3, 0xe7}},
      {"nested close with code 1006", WB_WS_CLIENT, 7, {0x01, 1, 'a', 0x88, 2, 3, 0xee}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    cr_expect_eq(first_error(cases[i].role, 1 << 20, cases[i].bytes, cases[i].count), WB_E_PROTOCOL, "%s", cases[i].what);
}

Test(ws, a_close_reason_that_is_no_utf8_is_an_error_of_its_own) {
  static const uint8_t bytes[] = {0x88, 5, 3, 0xe8, 0xed, 0xa0, 0x80};
  cr_expect_eq(first_error(WB_WS_CLIENT, 100, bytes, sizeof bytes), WB_E_UTF8);
}

Test(ws, a_message_of_the_limit_passes_and_one_byte_more_is_refused_by_its_header_alone) {
  static const uint64_t limits[] = {0, 1, 125, 126, 127, 1000, 65535, 65536, 70000};
  uint8_t *bytes = calloc(1, BUFFER_BYTES);
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
    for (int role = WB_WS_CLIENT; role <= WB_WS_SERVER; role++) {
      wb_ws ws;
      wb_ws_item item;
      size_t consumed;
      uint8_t *payload = calloc(1, limits[i] + 1);
      wb_ws_init(&ws, role, limits[i]);
      size_t count = frame_put(bytes, role, WB_WS_TEXT, true, payload, limits[i]);
      cr_assert_eq(wb_ws_read(&ws, bytes, count, &item, &consumed, NULL), 1);
      cr_assert(item.count == limits[i] && consumed == count);
      size_t header = wb_ws_header(bytes, WB_WS_TEXT, true, limits[i] + 1, role ? mask : NULL) - (role ? 4 : 0);
      cr_assert_eq(wb_ws_read(&ws, bytes, header, &item, &consumed, NULL), WB_E_TOO_LARGE);
      cr_assert_eq(wb_ws_read(&ws, bytes, header - 1, &item, &consumed, NULL), 0);
      cr_assert_eq(wb_ws_read(&ws, bytes, BUFFER_BYTES, &item, &consumed, NULL), WB_E_TOO_LARGE);
      free(payload);
    }
  free(bytes);
}

Test(ws, the_largest_length_there_is_does_not_overflow_anything) {
  static uint8_t bytes[] = {0x01, 1, 'a', 0x80, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'b'};
  cr_expect_eq(first_error(WB_WS_CLIENT, 1 << 20, bytes, sizeof bytes), WB_E_TOO_LARGE);
  wb_ws ws;
  wb_ws_item item;
  size_t consumed, wanted;
  wb_ws_init(&ws, WB_WS_CLIENT, UINT64_MAX);
  cr_expect_eq(wb_ws_read(&ws, bytes, sizeof bytes, &item, &consumed, &wanted), 0);
  cr_expect_eq(wanted, 3 + 10 + (size_t)INT64_MAX);
}

Test(ws, the_limit_counts_over_all_fragments) {
  uint8_t bytes[256], payload[100] = {0};
  for (size_t last = 49; last <= 51; last++) {
    size_t count = frame_put(bytes, WB_WS_CLIENT, WB_WS_BINARY, false, payload, 50);
    count += frame_put(bytes + count, WB_WS_CLIENT, WB_WS_PING, true, payload, 100);
    count += frame_put(bytes + count, WB_WS_CLIENT, WB_WS_CONTINUATION, true, payload, last);
    cr_expect_eq(first_error(WB_WS_CLIENT, 100, bytes, count), last == 51 ? WB_E_TOO_LARGE : 0);
  }
}

Test(ws, control_frames_do_not_count_against_the_message_limit) {
  uint8_t bytes[256], payload[125] = {0};
  size_t items, count = frame_put(bytes, WB_WS_CLIENT, WB_WS_PING, true, payload, 125);
  cr_expect_eq(read_all(WB_WS_CLIENT, 10, bytes, count, 0, &items), 0);
  cr_expect_eq(items, 1);
}

Test(ws, more_than_64_control_frames_within_a_message_are_refused_and_each_message_has_its_own_64) {
  uint8_t bytes[4096];
  for (int nested = 63; nested <= 65; nested++) {
    size_t count = 0, items;
    for (int message = 0; message < 2; message++) {
      count += frame_put(bytes + count, WB_WS_CLIENT, WB_WS_TEXT, false, "a", 1);
      for (int i = 0; i < nested; i++) count += frame_put(bytes + count, WB_WS_CLIENT, WB_WS_PING, true, "hi", 2);
      count += frame_put(bytes + count, WB_WS_CLIENT, WB_WS_CONTINUATION, true, "b", 1);
    }
    cr_expect_eq(first_error(WB_WS_CLIENT, 100, bytes, count), nested > 64 ? WB_E_PROTOCOL : 0);
    read_all(WB_WS_CLIENT, 100, bytes, count, 0, &items);
    cr_expect_eq(items, nested > 64 ? 64 : 2 * (size_t)(nested + 1));
  }
}

Test(ws, empty_fragments_without_end_are_refused_before_they_fill_the_buffer) {
  size_t size = 2 * WB_WS_OVERHEAD_BYTES_MAX, consumed, wanted, count = 2;
  uint8_t *bytes = calloc(1, size);
  wb_ws ws;
  wb_ws_item item;
  wb_ws_init(&ws, WB_WS_CLIENT, 1000);
  bytes[0] = WB_WS_TEXT;
  int result;
  while ((result = wb_ws_read(&ws, bytes, count, &item, &consumed, &wanted)) == 0) {
    cr_assert_leq(wanted, 1000 + WB_WS_OVERHEAD_BYTES_MAX + WB_WS_HEADER_BYTES_MAX);
    count += 2;
    cr_assert_leq(count, size);
  }
  cr_expect_eq(result, WB_E_TOO_LARGE);
  cr_expect_eq(count, WB_WS_OVERHEAD_BYTES_MAX + 2);
  free(bytes);
}

Test(ws, an_empty_buffer_needs_two_bytes_and_may_be_null) {
  wb_ws ws;
  wb_ws_item item;
  size_t consumed = 1, wanted = 1;
  wb_ws_init(&ws, WB_WS_CLIENT, 100);
  cr_expect_eq(wb_ws_read(&ws, NULL, 0, &item, &consumed, &wanted), 0);
  cr_expect(consumed == 0 && wanted == 2);
  cr_expect_eq(wb_ws_read(&ws, NULL, 0, &item, &consumed, NULL), 0);
}

/* ------------------------------------------------------------------------------------------------ good input */

Test(ws, the_examples_of_the_rfc_are_read_as_it_says) {
  struct {
    int role, opcode;
    size_t count;
    uint8_t bytes[16];
  } cases[] = {
      {WB_WS_CLIENT, WB_WS_TEXT, 7, {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}},
      {WB_WS_SERVER, WB_WS_TEXT, 11, {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}},
      {WB_WS_CLIENT, WB_WS_TEXT, 9, {0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}},
      {WB_WS_CLIENT, WB_WS_PING, 7, {0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}},
      {WB_WS_SERVER, WB_WS_PONG, 11, {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_ws ws;
    wb_ws_item item;
    size_t consumed;
    wb_ws_init(&ws, cases[i].role, 100);
    cr_assert_eq(wb_ws_read(&ws, cases[i].bytes, cases[i].count, &item, &consumed, NULL), 1);
    cr_expect(item.opcode == cases[i].opcode && !item.nested && item.fragments == (i == 2 ? 2 : 1));
    cr_expect(item.count == 5 && memcmp(item.bytes, "Hello", 5) == 0);
    cr_expect_eq(consumed, cases[i].count);
  }
}

Test(ws, a_message_of_one_frame_is_given_where_it_lies) {
  uint8_t *bytes = malloc(BUFFER_BYTES), *before = malloc(BUFFER_BYTES);
  static const size_t lengths[] = {0, 1, 2, 124, 125, 126, 127, 500, 65535, 65536};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    wb_ws ws;
    wb_ws_item item;
    size_t consumed;
    for (size_t k = 0; k < BUFFER_BYTES; k++) before[k] = (uint8_t)random_next();
    size_t header = wb_ws_header(before, WB_WS_TEXT, true, lengths[i], NULL);
    memcpy(bytes, before, BUFFER_BYTES);
    wb_ws_init(&ws, WB_WS_CLIENT, 1 << 20);
    cr_assert_eq(wb_ws_read(&ws, bytes, BUFFER_BYTES, &item, &consumed, NULL), 1);
    cr_expect(item.bytes == bytes + header && item.count == lengths[i] && consumed == header + lengths[i]);
    cr_expect(item.opcode == WB_WS_TEXT && item.fragments == 1 && !item.nested);
    cr_expect_arr_eq(bytes, before, BUFFER_BYTES);
  }
  free(bytes);
  free(before);
}

Test(ws, wanted_says_the_end_of_the_frame_as_soon_as_its_length_is_known) {
  uint8_t bytes[1000] = {0};
  wb_ws ws;
  wb_ws_item item;
  size_t consumed, wanted;
  wb_ws_header(bytes, WB_WS_TEXT, true, 500, mask);
  static const struct { size_t count, wanted; } steps[] = {{0, 2}, {1, 2}, {2, 4}, {3, 4}, {4, 508}, {7, 508}, {507, 508}};
  wb_ws_init(&ws, WB_WS_SERVER, 1000);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    cr_assert_eq(wb_ws_read(&ws, bytes, steps[i].count, &item, &consumed, &wanted), 0);
    cr_expect_eq(wanted, steps[i].wanted, "%zu", steps[i].count);
  }
  cr_assert_eq(wb_ws_read(&ws, bytes, 508, &item, &consumed, &wanted), 1);

  size_t count = frame_put(bytes, WB_WS_CLIENT, WB_WS_TEXT, false, bytes + 600, 100);
  frame_put(bytes + count, WB_WS_CLIENT, WB_WS_CONTINUATION, true, bytes + 600, 300);
  wb_ws_init(&ws, WB_WS_CLIENT, 1000);
  cr_assert_eq(wb_ws_read(&ws, bytes, count + 4, &item, &consumed, &wanted), 0);
  cr_expect_eq(wanted, count + 4 + 300);
}

Test(ws, fragments_are_moved_together_and_the_bytes_behind_keep_their_place) {
  uint8_t bytes[64];
  wb_ws ws;
  wb_ws_item item;
  size_t consumed, count = frame_put(bytes, WB_WS_CLIENT, WB_WS_TEXT, false, "one ", 4);
  count += frame_put(bytes + count, WB_WS_CLIENT, WB_WS_CONTINUATION, false, "two ", 4);
  wb_ws_init(&ws, WB_WS_CLIENT, 100);
  cr_assert_eq(wb_ws_read(&ws, bytes, count, &item, &consumed, NULL), 0);
  size_t last = count;
  count += frame_put(bytes + count, WB_WS_CLIENT, WB_WS_CONTINUATION, true, "three", 5);
  count += frame_put(bytes + count, WB_WS_CLIENT, WB_WS_TEXT, true, "next", 4);
  cr_assert_eq(wb_ws_read(&ws, bytes, count, &item, &consumed, NULL), 1);
  cr_expect(item.bytes == bytes + 2 && item.count == 13 && item.fragments == 3 && memcmp(item.bytes, "one two three", 13) == 0);
  cr_expect_eq(consumed, last + 7);
  uint8_t *rest = bytes + consumed;
  cr_assert_eq(wb_ws_read(&ws, rest, count - consumed, &item, &consumed, NULL), 1);
  cr_expect(item.bytes == rest + 2 && item.fragments == 1 && memcmp(item.bytes, "next", 4) == 0);
}

Test(ws, a_nested_control_frame_comes_at_once_and_stays_valid_until_the_read_after_its_message) {
  uint8_t bytes[64];
  wb_ws ws;
  wb_ws_item first, second, message;
  size_t consumed, count = frame_put(bytes, WB_WS_SERVER, WB_WS_TEXT, false, "ab", 2);
  count += frame_put(bytes + count, WB_WS_SERVER, WB_WS_PING, true, "ping", 4);
  wb_ws_init(&ws, WB_WS_SERVER, 100);
  cr_assert_eq(wb_ws_read(&ws, bytes, count, &first, &consumed, NULL), 1);
  cr_expect(first.nested && first.opcode == WB_WS_PING && consumed == 0 && ws.nested_count == 1);
  cr_assert_eq(wb_ws_read(&ws, bytes, count, &message, &consumed, NULL), 0);
  count += frame_put(bytes + count, WB_WS_SERVER, WB_WS_CLOSE, true,
                     "\x03\xe8"
                     "bye",
                     5);
  count += frame_put(bytes + count, WB_WS_SERVER, WB_WS_CONTINUATION, true, "cd", 2);
  cr_assert_eq(wb_ws_read(&ws, bytes, count, &second, &consumed, NULL), 1);
  cr_expect(second.nested && second.opcode == WB_WS_CLOSE && consumed == 0 && ws.nested_count == 2);
  cr_assert_eq(wb_ws_read(&ws, bytes, count, &message, &consumed, NULL), 1);
  cr_expect(!message.nested && consumed == count && ws.nested_count == 0);
  cr_expect(message.count == 4 && memcmp(message.bytes, "abcd", 4) == 0);
  cr_expect(first.count == 4 && memcmp(first.bytes, "ping", 4) == 0);
  cr_expect(second.count == 5 && memcmp(second.bytes,
                                        "\x03\xe8"
                                        "bye",
                                        5) == 0);
}

Test(ws, headers_are_the_shortest_that_hold_the_length) {
  static const struct {
    uint64_t payload_bytes;
    size_t count;
    uint8_t bytes[10];
  } cases[] = {
      {0, 2, {0x81, 0}},
      {125, 2, {0x81, 125}},
      {126, 4, {0x81, 126, 0, 126}},
      {65535, 4, {0x81, 126, 0xff, 0xff}},
      {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
      {UINT64_C(0x0123456789abcdef), 10, {0x81, 127, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t header[WB_WS_HEADER_BYTES_MAX];
    cr_assert_eq(wb_ws_header(header, WB_WS_TEXT, true, cases[i].payload_bytes, NULL), cases[i].count);
    cr_expect_arr_eq(header, cases[i].bytes, cases[i].count);
    cr_assert_eq(wb_ws_header(header, WB_WS_TEXT, true, cases[i].payload_bytes, mask), cases[i].count + 4);
    cr_expect(header[1] == (cases[i].bytes[1] | 0x80) && memcmp(header + cases[i].count, mask, 4) == 0);
  }
  uint8_t header[WB_WS_HEADER_BYTES_MAX];
  cr_expect(wb_ws_header(header, WB_WS_CONTINUATION, false, 3, NULL) == 2 && header[0] == 0x00);
  cr_expect(wb_ws_header(header, WB_WS_PONG, true, 3, NULL) == 2 && header[0] == 0x8a);
}

Test(ws, a_mask_is_the_same_in_one_go_and_in_pieces_and_touches_nothing_else) {
  uint8_t bytes[300], plain[300];
  for (size_t count = 0; count < 200; count++)
    for (size_t offset = 0; offset < 9; offset++) {
      size_t phase = random_below(1000), cut = random_below(count + 1);
      for (size_t i = 0; i < sizeof plain; i++) plain[i] = bytes[i] = (uint8_t)random_next();
      wb_ws_mask(bytes + offset, cut, mask, phase);
      wb_ws_mask(bytes + offset + cut, count - cut, mask, phase + cut);
      for (size_t i = 0; i < sizeof plain; i++) {
        bool within = i >= offset && i < offset + count;
        cr_assert_eq(bytes[i], within ? plain[i] ^ mask[(phase + i - offset) % 4] : plain[i]);
      }
    }
}

Test(ws, close_payloads_are_read_by_the_rules_of_the_rfc) {
  unsigned code = 1;
  const char *reason;
  size_t reason_bytes;
  cr_expect_eq(wb_ws_close_parse(NULL, 0, &code, &reason, &reason_bytes), 0);
  cr_expect(code == 1005 && reason_bytes == 0 && reason);
  cr_expect_eq(wb_ws_close_parse((const uint8_t *)"\x03", 1, &code, &reason, &reason_bytes), WB_E_PROTOCOL);
  for (unsigned value = 0; value < 65536; value++) {
    uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value, 'o', 'k'};
    bool valid = (value >= 1000 && value <= 1003) || (value >= 1007 && value <= 1014) || (value >= 3000 && value <= 4999);
    code = 1;
    cr_assert_eq(wb_ws_close_parse(bytes, 4, &code, &reason, &reason_bytes), valid ? 0 : WB_E_PROTOCOL, "%u", value);
    cr_assert_eq(code, valid ? value : 1);
    if (valid) cr_assert(reason == (const char *)bytes + 2 && reason_bytes == 2);
  }
  cr_expect_eq(wb_ws_close_parse((const uint8_t *)"\x03\xe8\xc3", 3, &code, &reason, &reason_bytes), WB_E_UTF8);
}

Test(ws, each_error_has_its_close_code) {
  cr_expect_eq(wb_ws_close_code(WB_E_PROTOCOL), 1002);
  cr_expect_eq(wb_ws_close_code(WB_E_UTF8), 1007);
  cr_expect_eq(wb_ws_close_code(WB_E_TOO_LARGE), 1009);
  cr_expect_eq(wb_ws_close_code(WB_E_SYSTEM), 1011);
}

/* ------------------------------------------------------------------------------------------------ UTF-8 */

static size_t encode(uint32_t point, uint8_t *to) {
  if (point < 0x80) return to[0] = (uint8_t)point, 1;
  size_t tail = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  for (size_t i = tail; i > 0; i--, point >>= 6) to[i] = 0x80 | (point & 0x3f);
  to[0] = (uint8_t)(0xff00 >> (tail + 1) | point);
  return tail + 1;
}

/* Valid is what encodes some code point: compare with the encoding of what it decodes to. */
static bool slow_utf8(const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count;) {
    uint8_t again[8];
    size_t length = bytes[i] < 0x80 ? 1 : bytes[i] < 0xe0 ? 2 : bytes[i] < 0xf0 ? 3 : 4;
    if (i + length > count) return false;
    uint32_t point = length == 1 ? bytes[i] : bytes[i] & (0x7f >> length);
    for (size_t k = 1; k < length; k++) point = point << 6 | (bytes[i + k] & 0x3f);
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    if (encode(point, again) != length || memcmp(again, bytes + i, length) != 0) return false;
    i += length;
  }
  return true;
}

Test(utf8, every_code_point_but_the_surrogates_is_valid_at_every_place_of_a_block) {
  uint8_t bytes[80];
  for (uint32_t point = 0; point <= 0x10ffff; point++) {
    memset(bytes, 'a', sizeof bytes);
    size_t at = point % 70, length = encode(point, bytes + at);
    bool surrogate = point >= 0xd800 && point < 0xe000;
    cr_assert_eq(wb_utf8_valid(bytes, sizeof bytes), !surrogate, "%x", point);
    if (point >= 0x80) {
      cr_assert_not(wb_utf8_valid(bytes, at + length - 1), "%x cut", point);
      cr_assert_not(wb_utf8_valid(bytes + at + 1, length - 1), "%x without its lead", point);
    }
  }
}

Test(utf8, every_sequence_of_two_bytes_and_the_corners_of_three_and_four_are_judged_as_the_model_does) {
  static const uint8_t corners[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
  uint8_t bytes[4];
  for (unsigned lead = 0; lead < 256; lead++)
    for (unsigned next = 0; next < 256; next++) {
      bytes[0] = (uint8_t)lead;
      bytes[1] = (uint8_t)next;
      cr_assert_eq(wb_utf8_valid(bytes, 2), slow_utf8(bytes, 2), "%02x %02x", lead, next);
      for (size_t i = 0; i < sizeof corners; i++) {
        bytes[2] = corners[i];
        cr_assert_eq(wb_utf8_valid(bytes, 3), slow_utf8(bytes, 3), "%02x %02x %02x", lead, next, bytes[2]);
        for (size_t k = 0; k < sizeof corners; k++) {
          bytes[3] = corners[k];
          cr_assert_eq(wb_utf8_valid(bytes, 4), slow_utf8(bytes, 4), "%02x %02x %02x %02x", lead, next, bytes[2], bytes[3]);
        }
      }
    }
}

Test(utf8, random_texts_whole_cut_and_damaged_are_judged_as_the_model_does) {
  random_seed();
  cr_expect(wb_utf8_valid(NULL, 0));
  size_t valid = 0, rounds = 100000;
  for (size_t round = 0; round < rounds; round++) {
    uint8_t bytes[160];
    size_t count = 0, wanted = random_below(150);
    while (count < wanted) {
      static const uint32_t bounds[] = {0x80, 0x80, 0x80, 0x800, 0x10000, 0x110000};
      uint32_t point = (uint32_t)random_below(bounds[random_below(6)]);
      if (point < 0xd800 || point >= 0xe000) count += encode(point, bytes + count);
    }
    if (count && random_below(2)) bytes[random_below(count)] ^= (uint8_t)(1u << random_below(8));
    if (random_below(4) == 0) count = random_below(count + 1);
    bool expected = slow_utf8(bytes, count);
    cr_assert_eq(wb_utf8_valid(bytes, count), expected);
    valid += expected;
  }
  cr_expect(valid > rounds / 4 && valid < rounds * 9 / 10, "%zu valid", valid);
}

/* ------------------------------------------------------------------------------------------------ model */

typedef struct sent {
  int opcode;
  bool nested;
  uint32_t fragments;
  size_t count, end; /* end: where its last frame ends in the stream */
  uint8_t bytes[2000];
} sent;

enum { STREAM_ITEMS_MAX = 600 };

/* Makes a stream of random messages in random fragments, with control frames between and within, and notes what was sent in
 * the order in which it becomes whole. */
static size_t stream_make(uint8_t *stream, int role, sent *items, size_t *item_count) {
  size_t at = 0;
  *item_count = 0;
  while (*item_count < STREAM_ITEMS_MAX - 80 && at < BUFFER_BYTES - 16000) {
    sent message = {.opcode = random_below(8) ? WB_WS_TEXT : WB_WS_BINARY};
    uint32_t fragments = random_below(3) ? 1 : 1 + (uint32_t)random_below(8);
    for (uint32_t i = 0; i < fragments; i++) {
      size_t count = random_below(4) ? random_below(250) : 110 + random_below(30);
      for (size_t k = 0; k < count; k++) message.bytes[message.count + k] = (uint8_t)random_next();
      at += frame_put(stream + at, role, i ? WB_WS_CONTINUATION : message.opcode, i + 1 == fragments,
                      message.bytes + message.count, count);
      message.count += count;
      while (i + 1 < fragments && random_below(3) == 0 && *item_count < STREAM_ITEMS_MAX - 2) {
        sent *control = &items[(*item_count)++];
        *control = (sent){.opcode = random_below(2) ? WB_WS_PING : WB_WS_PONG, .nested = true, .fragments = 1};
        control->count = random_below(126);
        for (size_t k = 0; k < control->count; k++) control->bytes[k] = (uint8_t)random_next();
        at += frame_put(stream + at, role, control->opcode, true, control->bytes, control->count);
        control->end = at;
      }
    }
    message.fragments = fragments;
    message.end = at;
    items[(*item_count)++] = message;
    if (random_below(10) == 0) {
      sent *control = &items[(*item_count)++];
      *control = (sent){.opcode = WB_WS_CLOSE, .fragments = 1, .count = 5, .bytes = {0x03, 0xe8, 'b', 'y', 'e'}};
      at += frame_put(stream + at, role, WB_WS_CLOSE, true, control->bytes, control->count);
      control->end = at;
    }
  }
  return at;
}

static size_t stream_check(const uint8_t *stream, size_t size, int role, size_t step_max, const sent *items,
                           size_t item_count) {
  wb_ws ws;
  uint8_t *bytes = malloc(size);
  size_t begin = 0, given = 0, next = 0;
  wb_ws_init(&ws, role, 2000);
  for (;;) {
    wb_ws_item item;
    size_t consumed;
    int result = wb_ws_read(&ws, bytes + begin, given - begin, &item, &consumed, NULL);
    cr_assert_geq(result, 0);
    if (result == 0) {
      if (given == size) break;
      size_t more = step_max ? 1 + random_below(step_max) : size;
      if (more > size - given) more = size - given;
      memcpy(bytes + given, stream + given, more);
      given += more;
      continue;
    }
    cr_assert_lt(next, item_count);
    const sent *s = &items[next++];
    cr_assert(item.opcode == s->opcode && item.nested == s->nested && item.fragments == s->fragments && item.count == s->count);
    cr_assert_arr_eq(item.bytes, s->bytes, s->count);
    begin += consumed;
    cr_assert(s->nested ? consumed == 0 : begin == s->end);
  }
  cr_assert(next == item_count && begin == size);
  free(bytes);
  return next;
}

Test(ws, random_streams_give_back_what_was_sent_whole_byte_by_byte_and_by_random_cuts, .timeout = 120) {
  random_seed();
  uint8_t *stream = malloc(BUFFER_BYTES);
  sent *items = malloc(STREAM_ITEMS_MAX * sizeof *items);
  static const size_t steps[] = {0, 1, 7, 300, 20000};
  size_t checked = 0;
  for (size_t round = 0; checked < 100000; round++) {
    int role = round % 2 ? WB_WS_SERVER : WB_WS_CLIENT;
    size_t item_count, size = stream_make(stream, role, items, &item_count);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
      checked += stream_check(stream, size, role, steps[i], items, item_count);
  }
  free(items);
  free(stream);
}
