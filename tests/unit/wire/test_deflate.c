#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io/deflate.h"
#include "tests/unit/random.h"

enum { TEXT_BYTES_MAX = 1 << 20 };

typedef struct message {
  const char *payload, *text; /* payload in hex */
} message;

static size_t unhex(const char *hex, uint8_t *bytes) {
  size_t count = 0;
  unsigned byte;
  for (; *hex; hex += *hex == ' ' ? 1 : 2)
    if (*hex != ' ' && sscanf(hex, "%2x", &byte) == 1) bytes[count++] = (uint8_t)byte;
  return count;
}

/* Inflates one message: in pieces of in_max bytes, into rooms of out_max, 0: at once; random: up to so many. Returns its length, or an error. */
static int64_t message_read(wb_inflate *inflate, const uint8_t *payload, size_t count, size_t in_max, size_t out_max,
                            bool random, uint8_t *text) {
  size_t at = 0, text_bytes = 0;
  do {
    size_t piece = !in_max ? count : random ? next() % in_max : in_max;
    if (piece > count - at) piece = count - at;
    const uint8_t *in = payload + at;
    at += piece;
    int result;
    do {
      size_t room = !out_max ? TEXT_BYTES_MAX - text_bytes : random ? 1 + next() % out_max : out_max, given;
      cr_assert_leq(text_bytes + room, TEXT_BYTES_MAX + 70000);
      result = wb_inflate_read(inflate, &in, &piece, at == count, text + text_bytes, room, &given);
      text_bytes += given;
    } while (result == 0);
    if (result < 0) return result;
    cr_assert_eq(piece, 0);
  } while (at < count);
  return (int64_t)text_bytes;
}

/* Reads all messages in many ways; the last one, and no other, may end in an error instead of a text (NULL). */
static void reads(const message *all, size_t count, bool takeover) {
  static const size_t ways[][3] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {3, 2, 0}, {7, 5, 1}, {2, 3, 1}};
  static uint8_t payload[1 << 16], text[TEXT_BYTES_MAX + 70000];
  wb_inflate *inflate = wb_inflate_open();
  cr_assert(inflate);
  for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
    wb_inflate_begin(inflate, takeover);
    for (size_t i = 0; i < count; i++) {
      int64_t got = message_read(inflate, payload, unhex(all[i].payload, payload), ways[w][0], ways[w][1], ways[w][2], text);
      if (!all[i].text) cr_expect_eq(got, WB_E_DAMAGED, "%s, way %zu: %ld", all[i].payload, w, (long)got);
      else
        cr_expect(got == (int64_t)strlen(all[i].text) && memcmp(text, all[i].text, (size_t)got) == 0, "%s, way %zu: %ld",
                  all[i].payload, w, (long)got);
    }
  }
  wb_inflate_close(inflate);
}

#define READS(takeover, ...)                                                                                                   \
  reads((const message[]){__VA_ARGS__}, sizeof((const message[]){__VA_ARGS__}) / sizeof(message), takeover)

/* ------------------------------------------------------------------------------------------------ bad input */

Test(deflate, what_is_no_deflate_is_damaged) {
  READS(true, {"06", NULL}); /* reserved block type */
  READS(true, {"07 00", NULL});
  READS(true, {"00 05 00 fa fe 48 65 6c 6c 6f 00", NULL}); /* a length that is not its complement's */
  READS(true, {"f2 48 cd c9 c9 07 00", "Hello"}, {"ff ff ff", NULL});
  READS(true, {"fd ff ff", NULL});          /* 286 and more codes */
  READS(true, {"04 00 00 00 00 00", NULL}); /* no codes at all */
}

Test(deflate, a_message_that_ends_within_a_block_is_damaged_wherever_it_is_cut) {
  static const char *const cuts[] = {"", "f2", "f2 48", "f2 48 cd", "f2 48 cd c9", "f2 48 cd c9 c9", "f2 48 cd c9 c9 07"};
  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) READS(true, {cuts[i], NULL});
  READS(true, {"f3 48 cd c9 c9 07 00", NULL}); /* 7.2.3.4: one octet after a last block is necessary */
}

Test(deflate, text_before_the_context_began_cannot_be_referred_to) {
  READS(true, {"f2 00 11 00 00", NULL});
  READS(false, {"f2 48 cd c9 c9 07 00", "Hello"}, {"f2 00 11 00 00", NULL});
}

Test(deflate, room_that_is_too_small_for_a_payload_is_a_limit) {
  wb_deflate *deflate = wb_deflate_open(15, true);
  uint8_t text[4096], payload[16];
  for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)(i * i >> 3);
  cr_expect_eq(wb_deflate_write(deflate, text, sizeof text, payload, sizeof payload), WB_E_LIMIT);
  cr_expect_eq(wb_deflate_write(deflate, text, 0, payload, 0), WB_E_LIMIT);
  wb_deflate_close(deflate);
  cr_expect_eq(wb_deflate_open(8, true), NULL, "zlib knows no raw window of 2^8");
  cr_expect_eq(wb_deflate_open(16, true), NULL);
}

/* ------------------------------------------------------------------------------------------------ RFC 7692 7.2.3 */

Test(deflate, the_examples_of_rfc_7692_are_read) {
  READS(true, {"f2 48 cd c9 c9 07 00", "Hello"});                                    /* 7.2.3.1 one block */
  READS(true, {"f2 48 cd c9 c9 07 00", "Hello"}, {"f2 48 cd c9 c9 07 00", "Hello"}); /* 7.2.3.2 the same again */
  READS(true, {"f2 48 cd c9 c9 07 00", "Hello"}, {"f2 00 11 00 00", "Hello"});       /* 7.2.3.2 by the window */
  READS(true, {"00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"});                        /* 7.2.3.3 no compression */
  READS(true, {"f3 48 cd c9 c9 07 00 00", "Hello"});                                 /* 7.2.3.4 a last block */
  READS(true, {"f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"});                  /* 7.2.3.5 two blocks */
  READS(true, {"00", ""});                                                           /* 7.2.3.6 an empty message */
}

Test(deflate, without_takeover_each_message_stands_alone) {
  READS(false, {"f2 48 cd c9 c9 07 00", "Hello"}, {"f2 48 cd c9 c9 07 00", "Hello"}, {"00", ""},
        {"f3 48 cd c9 c9 07 00 00", "Hello"});
}

Test(deflate, a_last_block_ends_neither_the_stream_nor_the_context) {
  READS(true, {"f3 48 cd c9 c9 07 00 00", "Hello"}, {"f3 48 cd c9 c9 07 00 00", "Hello"}, {"f2 00 11 00 00", "Hello"},
        {"f2 48 cd c9 c9 07 00", "Hello"});
  READS(true, {"03 00 03 00 03 00 f3 48 cd c9 c9 07 00 00", "Hello"}, {"03 00 03 00 00", ""}, {"f2 00 11 00 00", "Hello"});
}

Test(deflate, empty_blocks_add_nothing) {
  READS(true, {"00 00 00 ff ff 00 00 00 ff ff 00", ""}, {"00 00 00 ff ff f2 48 cd c9 c9 07 00", "Hello"}, {"02 00", ""},
        {"f2 00 11 00 00", "Hello"});
}

/* ------------------------------------------------------------------------------------------------ life cycle */

Test(deflate, a_new_connection_begins_with_nothing_whatever_the_last_one_left) {
  wb_inflate *inflate = wb_inflate_open();
  uint8_t hello[16], again[16], text[TEXT_BYTES_MAX / 64];
  size_t hello_bytes = unhex("f2 48 cd c9 c9 07 00", hello), again_bytes = unhex("f2 00 11 00 00", again), given;
  for (int i = 0; i < 3; i++) {
    const uint8_t *in = hello;
    size_t count = hello_bytes;
    wb_inflate_begin(inflate, true);
    cr_assert_eq(wb_inflate_read(inflate, &in, &count, true, text, sizeof text, &given), 1);
    cr_assert(given == 5 && memcmp(text, "Hello", 5) == 0);
    wb_inflate_begin(inflate, true);
    in = again, count = again_bytes;
    cr_assert_eq(wb_inflate_read(inflate, &in, &count, true, text, sizeof text, &given), WB_E_DAMAGED);
    wb_inflate_begin(inflate, true); /* in the middle of a message */
    in = hello, count = 3;
    cr_assert_eq(wb_inflate_read(inflate, &in, &count, false, text, sizeof text, &given), 1);
  }
  wb_inflate_close(inflate);
  wb_inflate_close(NULL);
  wb_deflate_close(NULL);
}

Test(deflate, a_bomb_gives_no_more_than_there_is_room_for) {
  static uint8_t blanks[1 << 20], payload[8192], room[4096];
  memset(blanks, ' ', sizeof blanks);
  wb_deflate *deflate = wb_deflate_open(15, false);
  wb_inflate *inflate = wb_inflate_open();
  int64_t bytes = wb_deflate_write(deflate, blanks, sizeof blanks, payload, sizeof payload);
  cr_assert_gt(bytes, 0);
  const uint8_t *in = payload;
  size_t count = (size_t)bytes, given, all = 0;
  int result;
  while ((result = wb_inflate_read(inflate, &in, &count, true, room, sizeof room, &given)) == 0) {
    cr_assert_eq(given, sizeof room);
    all += given;
  }
  cr_expect_eq(result, 1);
  cr_expect_eq(all + given, sizeof blanks);
  wb_deflate_close(deflate);
  wb_inflate_close(inflate);
}

/* ------------------------------------------------------------------------------------------------ random messages */

static size_t random_text(uint8_t *text) {
  static const char *const words[] = {"{\"type\":\"l2update\",",
                                      "\"product_id\":\"BTC-USD\",",
                                      "\"changes\":[[\"buy\",\"",
                                      "37479.69",
                                      "0.0",
                                      "\"]]}",
                                      "Hello"};
  size_t wanted = next() % 8 == 0 ? next() % 200000 : next() % 600, count = 0;
  unsigned kind = next() % 4;
  while (count < wanted) {
    const char *word = words[next() % (sizeof words / sizeof words[0])];
    size_t bytes = strlen(word);
    if (kind == 0) text[count++] = (uint8_t)next();
    else if (kind == 1) text[count++] = ' ';
    else if (count + bytes <= wanted) memcpy(text + count, word, bytes), count += bytes;
    else text[count++] = 'x';
  }
  return count;
}

Test(deflate, random_texts_come_back_whole_by_bytes_and_by_random_cuts) {
  static uint8_t text[1 << 18], payload[1 << 19], again[TEXT_BYTES_MAX + 70000];
  seed();
  for (int round = 0; round < 60; round++) {
    bool takeover = next() % 2;
    wb_deflate *deflate = wb_deflate_open(9 + (unsigned)(next() % 7), takeover);
    wb_inflate *inflate = wb_inflate_open();
    cr_assert(deflate && inflate);
    wb_inflate_begin(inflate, takeover);
    for (int i = 0; i < 20; i++) {
      size_t count = random_text(text), room = wb_deflate_bytes_max(deflate, count);
      cr_assert_leq(room, sizeof payload);
      int64_t bytes = wb_deflate_write(deflate, text, count, payload, room);
      cr_assert_gt(bytes, 0);
      size_t in_max = next() % 3     ? 1 + next() % 5000
                      : count < 2000 ? 1
                                     : 0,
             out_max = next() % 3     ? 1 + next() % 70000
                       : count < 2000 ? 1
                                      : 0;
      int64_t got = message_read(inflate, payload, (size_t)bytes, in_max, out_max, in_max > 1, again);
      cr_assert(got == (int64_t)count && memcmp(text, again, count) == 0, "round %d message %d: %ld of %zu", round, i,
                (long)got, count);
    }
    wb_deflate_close(deflate);
    wb_inflate_close(inflate);
  }
}
