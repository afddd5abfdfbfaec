/* Kraken's dialect: frames as the exchange sends them (https://docs.kraken.com/api/docs/websocket-v2/book, .../instrument) and what they must become
 * (tests/golden/kraken), messages printed from known integers in every legal form, and the checksum of its guide. */
#include <criterion/criterion.h>

#include "tests/unit/codec/kraken.h"
#include "tests/unit/random.h"

enum { FILE_BYTES_MAX = 1 << 16, LEVELS_MAX = 5000, TEXT_MAX = 1 << 20 };

static const wb_codec *const codec = &wb_codec_kraken;

static char *read_whole(const char *name, const char *suffix) {
  char path[256];
  snprintf(path, sizeof path, "tests/golden/kraken/%s.%s", name, suffix);
  FILE *file = fopen(path, "r");
  cr_assert(file, "%s", path);
  char *text = calloc(1, FILE_BYTES_MAX);
  size_t bytes = fread(text, 1, FILE_BYTES_MAX - 1, file);
  cr_assert(bytes > 0 && bytes < FILE_BYTES_MAX - 1);
  fclose(file);
  return text;
}

/* One message a line, the number of its frame in front. anew: each frame meets a new codec. */
static void golden(const char *name, bool anew) {
  kraken_rig rig;
  kraken_init(&rig);
  char *frames = read_whole(name, "jsonl"), *want = read_whole(name, "expected"), *got = calloc(1, FILE_BYTES_MAX);
  size_t used = 0;
  unsigned number = 1;
  for (const char *line = frames, *end; (end = strchr(line, '\n')); line = end + 1, number++) {
    if (anew) codec->init(rig.state, &rig.products);
    const char *broken = kraken_decode(&rig, WB_FRAME_TEXT, line, (size_t)(end - line), '"');
    cr_assert_null(broken, "frame %u: %s", number, broken);
    for (unsigned i = 0; i < rig.got.count; i++) {
      used += (size_t)snprintf(got + used, FILE_BYTES_MAX - used, "%u ", number);
      used += capture_print(&rig.got, i, got + used, FILE_BYTES_MAX - used);
      used += (size_t)snprintf(got + used, FILE_BYTES_MAX - used, "\n");
      cr_assert_lt(used, FILE_BYTES_MAX);
    }
  }
  const char *w = want, *g = got;
  for (unsigned line = 1; *w || *g; line++) {
    size_t wanted = strcspn(w, "\n"), gotten = strcspn(g, "\n");
    cr_assert(wanted == gotten && memcmp(w, g, wanted) == 0, "%s, line %u\nwant %.*s\ngot  %.*s", name, line, (int)wanted, w,
              (int)gotten, g);
    w += wanted + (w[wanted] == '\n');
    g += gotten + (g[gotten] == '\n');
  }
  free(frames);
  free(want);
  free(got);
  kraken_fini(&rig);
}

Test(kraken, frames_of_today) { golden("today", false); }
Test(kraken, frames_that_break_the_schema_change_nothing) { golden("refused", true); }

Test(kraken, is_found_by_its_name_and_refuses_nothing_to_work_with) {
  cr_assert_eq(wb_codec_find("kraken"), codec);
  kraken_rig rig;
  kraken_init(&rig);
  rig.products.product[1].price_decimals = WB_DECIMALS_MAX + 1;
  cr_assert_eq(codec->init(rig.state, &rig.products), WB_E_INVALID);
  rig.products.product[1].price_decimals = WB_DECIMALS_MAX;
  cr_assert_eq(codec->init(rig.state, &rig.products), 0);
  kraken_fini(&rig);
}

/* The messages of one text frame, printed. */
static const char *said(kraken_rig *rig, const char *text) {
  static char print[1 << 16];
  size_t used = 0;
  const char *broken = kraken_decode(rig, WB_FRAME_TEXT, text, strlen(text), 0);
  cr_assert_null(broken, "%s: %s", broken, text);
  for (unsigned i = 0; i < rig->got.count; i++) {
    if (i) used += (size_t)snprintf(print + used, sizeof print - used, "; ");
    used += capture_print(&rig->got, i, print + used, sizeof print - used);
  }
  return print;
}

Test(kraken, bytes_that_are_no_utf8_records_of_the_node_and_binary_messages_are_as_in_the_other_dialects) {
  static const struct {
    wb_frame_kind kind;
    const char *text, *want;
  } cases[] = {
      {WB_FRAME_TEXT, "{\"channel\":\"\xff\"}", "reject - bad_utf8 12"},
      {WB_FRAME_BINARY, "{}", "reject - binary 0"},
      {WB_FRAME_OVERSIZE, "{}", "reject - too_large 0"},
      {WB_FRAME_VIOLATION, "{}", "reject - protocol 0"},
      {WB_FRAME_CONNECT, "{}", "connect -"},
      {WB_FRAME_DISCONNECT, "{}", "disconnect -"},
      {WB_FRAME_GAP, "{\"event\":\"gap\"}", "gap - expected 0 came 0"},
      {WB_FRAME_GAP, "{\"event\":\"gap\",\"product\":\"BTC/USD\"}", "ignored -"},
      {WB_FRAME_RESYNC, "{\"event\":\"resync\",\"product\":\"ETH/BTC\"}", "resync ETH/BTC"},
      {WB_FRAME_SENT, "{\"method\":\"subscribe\"}", "ignored -"},
      {WB_FRAME_PING, "x", "ignored -"},
  };
  kraken_rig rig;
  kraken_init(&rig);
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    char print[256];
    cr_assert_null(kraken_decode(&rig, cases[i].kind, cases[i].text, strlen(cases[i].text), 0));
    capture_print(&rig.got, 0, print, sizeof print);
    cr_assert_str_eq(print, cases[i].want);
  }
  kraken_fini(&rig);
}

/* ------------------------------------------------------------------------------------------------ units and depth */

#define SNAPSHOT(product, bids, asks)                                                                                          \
  "{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"" product "\",\"bids\":[" bids "],\"asks\":[" asks      \
  "],\"checksum\":1}]}"
#define UPDATE(product, bids)                                                                                                  \
  "{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"" product "\",\"bids\":[" bids                            \
  "],\"asks\":[],\"checksum\":1}]}"
#define LEVEL(price, qty) "{\"price\":" price ",\"qty\":" qty "}"
#define PRECISION(product, price, qty)                                                                                         \
  "{\"channel\":\"instrument\",\"type\":\"update\",\"data\":{\"pairs\":[{\"symbol\":\"" product                                \
  "\",\"price_precision\":" price ",\"qty_precision\":" qty "}]}}"
#define ACK(product, depth)                                                                                                    \
  "{\"method\":\"subscribe\",\"result\":{\"channel\":\"book\",\"symbol\":\"" product "\"" depth "},\"success\":true}"

Test(kraken, numbers_are_what_their_text_says) {
  static const struct {
    const char *price, *want;
  } cases[] = {
      {"1", "scale A 0 0; snapshot A checksum 1 bid:1:1"},
      {"\"1\"", "scale A 0 0; snapshot A checksum 1 bid:1:1"},
      {"1.50", "scale A 2 0; snapshot A checksum 1 bid:150:1"},
      {"\"1.50\"", "scale A 2 0; snapshot A checksum 1 bid:150:1"},
      {"1e2", "scale A 0 0; snapshot A checksum 1 bid:100:1"},
      {"1.5E+1", "scale A 0 0; snapshot A checksum 1 bid:15:1"},
      {"1.50e1", "scale A 1 0; snapshot A checksum 1 bid:150:1"},
      {"5.1e-7", "scale A 8 0; snapshot A checksum 1 bid:51:1"},
      {"1E-18", "scale A 18 0; snapshot A checksum 1 bid:1:1"},
      {"10e-19", "scale A 18 0; snapshot A checksum 1 bid:1:1"},
      {"1000000000000000000e-30", "scale A 18 0; snapshot A checksum 1 bid:1000000:1"},
      {"1e18", "scale A 0 0; snapshot A checksum 1 bid:1000000000000000000:1"},
      {"4611686018427387903", "scale A 0 0; snapshot A checksum 1 bid:4611686018427387903:1"},
      {"4611686018427387904", "reject A number_range 75"},
      {"1e19", "reject A number_range 75"},
      {"1e-19", "reject A number_range 75"},
      {"18446744073709551616", "reject A number_range 75"},
      {"1e4294967297", "reject A number_range 75"},
      {"0e5", "reject A bad_number 75"},
      {"-1", "reject A bad_number 75"},
      {"true", "reject A wrong_type 75"},
      {"\"1e\"", "reject A bad_number 75"},
      {"\"1.5e-\"", "reject A bad_number 75"},
      {"1.000000000000000000000000000000000000001", "reject A bad_number 75"},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    kraken_rig rig;
    char text[512];
    kraken_init(&rig);
    snprintf(text, sizeof text, SNAPSHOT("A", LEVEL("%s", "1"), ""), cases[i].price);
    const char *got = said(&rig, text);
    cr_assert_str_eq(got, cases[i].want, "%s\ngot  %s\nwant %s", text, got, cases[i].want);
    kraken_fini(&rig);
  }
}

Test(kraken, units_are_the_decimals_that_are_shown_and_a_finer_number_widens_them_before_it_is_put_out) {
  kraken_rig rig;
  kraken_init(&rig);
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", LEVEL("1.0", "2.50"), "")), "scale A 1 2; snapshot A checksum 1 bid:10:250");
  cr_assert_str_eq(said(&rig, UPDATE("A", LEVEL("1", "0"))), "update A checksum 1 bid:10:0");
  cr_assert_str_eq(said(&rig, UPDATE("A", LEVEL("1.25", "0.00000000"))), "scale A 2 2; update A checksum 1 bid:125:0");
  cr_assert_str_eq(said(&rig, UPDATE("A", LEVEL("1", "0.00001"))), "scale A 2 5; update A checksum 1 bid:100:1");
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", "", "")), "snapshot A checksum 1", "none to show any: they stay");
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", "", LEVEL("1.5", "3"))), "scale A 1 0; snapshot A checksum 1 ask:15:3");
  kraken_fini(&rig);
}

Test(kraken, instruments_widen_units_at_once_and_make_them_coarser_with_the_next_snapshot) {
  kraken_rig rig;
  kraken_init(&rig);
  cr_assert_str_eq(said(&rig, PRECISION("A", "1", "8")), "ignored -");
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", LEVEL("7", "1"), "")), "scale A 1 8; snapshot A checksum 1 bid:70:100000000");
  cr_assert_str_eq(said(&rig, PRECISION("A", "3", "2")), "scale A 3 8");
  cr_assert_str_eq(said(&rig, UPDATE("A", LEVEL("7", "1"))), "update A checksum 1 bid:7000:100000000");
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", LEVEL("7.1", "1"), "")), "scale A 3 2; snapshot A checksum 1 bid:7100:100");
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", LEVEL("7.1234", "1"), "")), "scale A 4 2; snapshot A checksum 1 bid:71234:100",
                   "what is shown is more than what is said");
  kraken_fini(&rig);
}

Test(kraken, an_instrument_message_that_is_broken_anywhere_changes_no_units) {
  kraken_rig rig;
  kraken_init(&rig);
  said(&rig, "{\"channel\":\"instrument\",\"data\":{\"pairs\":[{\"symbol\":\"A\",\"price_precision\":3,\"qty_precision\":3},{"
             "\"symbol\":\"ETH/BTC\"}]}}");
  cr_assert_eq(rig.got.message[0]->kind, WB_MESSAGE_REJECT);
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", LEVEL("7.5", "1"), "")), "scale A 1 0; snapshot A checksum 1 bid:75:1");
  kraken_fini(&rig);
}

Test(kraken, the_depth_is_that_of_the_last_acknowledgement) {
  kraken_rig rig;
  kraken_init(&rig);
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", LEVEL("1", "1"), "")), "scale A 0 0; snapshot A checksum 1 bid:1:1");
  cr_assert_str_eq(said(&rig, ACK("A", ",\"depth\":10")), "subscriptions A single");
  cr_assert_str_eq(said(&rig, UPDATE("A", LEVEL("1", "2"))), "update A depth 10 checksum 1 bid:1:2");
  cr_assert_str_eq(said(&rig, ACK("A", ",\"depth\":1000")), "subscriptions A single");
  cr_assert_str_eq(said(&rig, SNAPSHOT("A", LEVEL("1", "1"), "")), "snapshot A depth 1000 checksum 1 bid:1:1");
  cr_assert_str_eq(
      said(&rig,
           "{\"method\":\"unsubscribe\",\"result\":{\"channel\":\"book\",\"symbol\":\"A\",\"depth\":25},\"success\":true}"),
      "subscriptions A single gone");
  cr_assert_str_eq(said(&rig, UPDATE("A", LEVEL("1", "2"))), "update A depth 1000 checksum 1 bid:1:2",
                   "what is still on its way");
  cr_assert_str_eq(said(&rig, ACK("A", "")), "subscriptions A single");
  cr_assert_str_eq(said(&rig, UPDATE("A", LEVEL("1", "2"))), "update A checksum 1 bid:1:2");
  cr_assert_str_eq(said(&rig, ACK("ETH/BTC", ",\"depth\":10")), "subscriptions ETH/BTC single");
  cr_assert_str_eq(said(&rig, UPDATE("A", LEVEL("1", "2"))), "update A checksum 1 bid:1:2");
  kraken_fini(&rig);
}

/* A snapshot of so many bids and asks, each its own integers. */
static size_t snapshot_text(char *text, unsigned bids, unsigned asks) {
  size_t used = (size_t)sprintf(text, "{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"A\",\"bids\":[");
  for (unsigned i = 0; i < bids + asks; i++) {
    if (i == bids) used += (size_t)sprintf(text + used, "],\"asks\":[");
    used += (size_t)sprintf(text + used, "%s{\"price\":%u,\"qty\":%u}", i == 0 || i == bids ? "" : ",", i + 1, i % 9);
  }
  if (!asks) used += (size_t)sprintf(text + used, "],\"asks\":[");
  return used + (size_t)sprintf(text + used, "],\"checksum\":1}]}");
}

Test(kraken, without_an_acknowledgement_a_snapshot_full_on_both_sides_tells_the_depth) {
  static const unsigned counts[][3] = {{10, 10, 10},       {25, 25, 25}, {100, 100, 100}, {500, 500, 500},
                                       {1000, 1000, 1000}, {10, 9, 0},   {9, 10, 0},      {10, 25, 0},
                                       {11, 11, 0},        {0, 0, 0},    {24, 24, 0},     {1001, 1001, 0}};
  char *text = malloc(TEXT_MAX);
  for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
    kraken_rig rig;
    kraken_init(&rig);
    size_t bytes = snapshot_text(text, counts[i][0], counts[i][1]);
    cr_assert_null(kraken_decode(&rig, WB_FRAME_TEXT, text, bytes, 0));
    cr_assert_eq(rig.got.message[rig.got.count - 1]->u.book.depth, counts[i][2], "%u and %u levels", counts[i][0],
                 counts[i][1]);
    said(&rig, UPDATE("A", LEVEL("1", "1")));
    cr_assert_eq(rig.got.message[0]->u.book.depth, counts[i][2], "and it stays");
    said(&rig, ACK("A", ",\"depth\":500"));
    cr_assert_null(kraken_decode(&rig, WB_FRAME_TEXT, text, bytes, 0));
    cr_assert_eq(rig.got.message[rig.got.count - 1]->u.book.depth, 500, "an acknowledgement knows better");
    kraken_fini(&rig);
  }
  free(text);
}

Test(kraken, levels_of_every_count_come_out_whole_up_to_those_of_one_part) {
  static const unsigned counts[] = {0, 1, 2, 4095, 4096, 4097, LEVELS_MAX};
  char *text = malloc(TEXT_MAX);
  for (unsigned i = 0; i < 2 * sizeof counts / sizeof *counts; i++) {
    kraken_rig rig;
    kraken_init(&rig);
    unsigned count = counts[i / 2], bids = i & 1 ? count / 3 : count;
    cr_assert_null(kraken_decode(&rig, WB_FRAME_TEXT, text, snapshot_text(text, bids, count - bids), ']'));
    const wb_message *message = rig.got.message[rig.got.count - 1];
    if (count > WB_PART_DELTAS_MAX) {
      cr_assert_eq(message->kind, WB_MESSAGE_REJECT);
      cr_assert_eq(message->u.reject.reason, WB_REJECT_LEVELS_MAX);
      cr_assert_eq(rig.got.count, 1u);
    } else {
      cr_assert_eq(message->delta_count, count);
      for (unsigned n = 0; n < count; n++)
        cr_assert(message->deltas[n].price == n + 1 && message->deltas[n].size == n % 9 &&
                  message->deltas[n].side == (n >= bids));
    }
    kraken_fini(&rig);
  }
  free(text);
}

/* ------------------------------------------------------------------------------------------------ in every form */

static size_t blank(char *text) {
  static const char *const blanks[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
  return (size_t)sprintf(text, "%s", blanks[next() % 7]);
}

/* A key, now and then with a character escaped, and its colon. */
static size_t key(char *text, const char *name) {
  size_t used = blank(text);
  if (next() % 8 == 0) used += (size_t)sprintf(text + used, "\"\\u%04x%s\"", (unsigned)name[0], name + 1);
  else used += (size_t)sprintf(text + used, "\"%s\"", name);
  used += blank(text + used);
  text[used++] = ':';
  return used + blank(text + used);
}

/* digits * 10^-decimals in one of the forms that JSON has for it, which show as many decimals. */
static size_t number(char *text, uint64_t digits, unsigned decimals) {
  char plain[64];
  const char *quote = next() % 6 == 0 ? "\"" : "";
  snprintf(plain, sizeof plain, "%0*llu", (int)decimals + 1, (unsigned long long)digits);
  if (next() % 5 == 0) {
    size_t whole = 1 + (size_t)(next() % strlen(plain));
    if (plain[0] == '0') whole = 1;
    int exponent = (int)(strlen(plain) - whole) - (int)decimals;
    if (strlen(plain) == whole) return (size_t)sprintf(text, "%s%s%c%d%s", quote, plain, "eE"[next() & 1], exponent, quote);
    return (size_t)sprintf(text, "%s%.*s.%s%c%s%d%s", quote, (int)whole, plain, plain + whole, "eE"[next() & 1],
                           exponent >= 0 && next() & 1 ? "+" : "", exponent, quote);
  }
  size_t whole = strlen(plain) - decimals;
  return (size_t)sprintf(text, "%s%.*s%s%s%s", quote, (int)whole, plain, decimals ? "." : "", plain + whole, quote);
}

static size_t levels(char *text, const wb_delta *delta, unsigned count, wb_side side, const unsigned decimals[2]) {
  size_t used = (size_t)sprintf(text, "[");
  bool first = true;
  for (unsigned i = 0; i < count; i++) {
    if (delta[i].side != side) continue;
    if (!first) text[used++] = ',';
    first = false;
    used += blank(text + used);
    text[used++] = '{';
    unsigned swap = next() & 1;
    for (unsigned n = 0; n < 2; n++) {
      if (n) text[used++] = ',';
      if (next() % 16 == 0) used += (size_t)sprintf(text + used, "\"orders\":[{\"price\":7}],");
      used += key(text + used, n == swap ? "price" : "qty");
      used += number(text + used, n == swap ? delta[i].price : delta[i].size, decimals[n == swap ? 0 : 1]);
      used += blank(text + used);
    }
    text[used++] = '}';
  }
  return used + (size_t)sprintf(text + used, "]");
}

Test(kraken, messages_printed_from_known_integers_in_every_legal_form_come_back_as_those) {
  static const unsigned decimals[2] = {3, 8};
  static wb_delta want[64];
  char *text = malloc(TEXT_MAX);
  kraken_rig rig;
  kraken_init(&rig);
  seed();
  said(&rig, PRECISION("A", "3", "8"));
  said(&rig, SNAPSHOT("A", LEVEL("1.000", "1.00000000"), ""));
  for (unsigned turn = 0; turn < 20000; turn++) {
    unsigned count = (unsigned)(next() % 20), order = (unsigned)(next() % 4);
    bool snapshot = next() % 4 == 0;
    uint32_t checksum = (uint32_t)next();
    for (unsigned i = 0, bids = (unsigned)(next() % (count + 1)); i < count; i++)
      want[i] = (wb_delta){.price = 1 + next() % (next() & 1 ? 100000000 : 3000),
                           .size = next() % 3 ? next() % 5000000000u : 0,
                           .side = i >= bids};
    size_t used = (size_t)sprintf(text, "{");
    used += key(text + used, "channel");
    used += (size_t)sprintf(text + used, "\"book\",");
    used += key(text + used, "type");
    used += (size_t)sprintf(text + used, "\"%s\",", snapshot ? "snapshot" : "update");
    used += key(text + used, "data");
    used += (size_t)sprintf(text + used, "[{");
    for (unsigned i = 0; i < 4; i++) {
      if (i) text[used++] = ',';
      switch ((i + order) % 4) {
      case 0:
        used += key(text + used, "symbol");
        used += (size_t)sprintf(text + used, "\"A\"");
        break;
      case 1:
        used += key(text + used, "bids");
        used += levels(text + used, want, count, WB_SIDE_BID, decimals);
        break;
      case 2:
        used += key(text + used, "asks");
        used += levels(text + used, want, count, WB_SIDE_ASK, decimals);
        break;
      default: used += key(text + used, "checksum"); used += (size_t)sprintf(text + used, "%u", checksum);
      }
    }
    used += (size_t)sprintf(text + used, "}]}");
    const char *broken = kraken_decode(&rig, WB_FRAME_TEXT, text, used, (uint8_t)next());
    cr_assert_null(broken, "%s: %.*s", broken, (int)used, text);
    const wb_message *message = rig.got.message[0];
    cr_assert(rig.got.count == 1 && message->kind == (snapshot ? WB_MESSAGE_SNAPSHOT : WB_MESSAGE_UPDATE) &&
                  message->u.book.checksum == checksum && message->delta_count == count &&
                  memcmp(message->deltas, want, count * sizeof *want) == 0,
              "%.*s", (int)used, text);
  }
  kraken_fini(&rig);
  free(text);
}

Test(kraken, frames_damaged_at_random_say_the_same_with_blanks_and_never_what_no_codec_may_say) {
  char *frames = read_whole("today", "jsonl"), text[8192];
  kraken_rig as_is, spaced;
  kraken_init(&as_is);
  kraken_init(&spaced);
  seed();
  for (unsigned turn = 0; turn < 40000; turn++) {
    unsigned line = (unsigned)(next() % 26);
    const char *from = frames;
    while (line--) from = strchr(from, '\n') + 1;
    size_t bytes = strcspn(from, "\n");
    memcpy(text, from, bytes);
    for (unsigned damage = (unsigned)(next() % 3); damage--;) {
      size_t at = (size_t)(next() % bytes);
      switch (next() % 4) {
      case 0: text[at] = (char)next(); break;
      case 1: text[at] = "0123456789.\"{}[]:,-eE \\u"[next() % 24]; break;
      case 2:
        memmove(text + at, text + at + 1, bytes - at - 1);
        bytes--;
        break;
      default: bytes = at + 1; /* cut */
      }
    }
    const char *broken = kraken_decode_both(&as_is, &spaced, (const uint8_t *)text, bytes, (uint8_t)next());
    cr_assert_null(broken, "%s: %.*s", broken, (int)bytes, text);
  }
  free(frames);
  kraken_fini(&as_is);
  kraken_fini(&spaced);
}

/* ------------------------------------------------------------------------------------------------ the checksum */

/* https://docs.kraken.com/api/docs/guides/spot-ws-book-v2, word by word: the text without its point and without the zeros that are then at its
 * beginning; bit by bit. */
static uint32_t slow_checksum(const wb_level *bid, unsigned bids, const wb_level *ask, unsigned asks,
                              const unsigned decimals[2]) {
  char text[4096] = "";
  for (unsigned i = 0; i < asks + bids; i++) {
    const wb_level *level = i < asks ? &ask[i] : &bid[i - asks];
    for (unsigned n = 0; n < 2; n++) {
      char number[64], bare[64];
      unsigned used = 0;
      uint64_t value = n ? level->size : level->price, unit = wb_pow10(decimals[n]);
      snprintf(number, sizeof number, decimals[n] ? "%llu.%0*llu" : "%llu", (unsigned long long)(value / unit),
               (int)decimals[n], (unsigned long long)(value % unit));
      for (const char *c = number; *c; c++)
        if (*c != '.') bare[used++] = *c;
      bare[used] = 0;
      strcat(text, bare + strspn(bare, "0"));
    }
  }
  uint32_t crc = ~UINT32_C(0);
  for (const char *c = text; *c; c++) {
    crc ^= (uint8_t)*c;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
  }
  return ~crc;
}

Test(kraken, the_checksum_of_the_guides_example_is_the_guides) {
  kraken_rig rig;
  kraken_init(&rig);
  char *frames = read_whole("today", "jsonl");
  const char *from = strstr(frames, "{\"channel\":\"book\",\"type\":\"snapshot\"");
  cr_assert_null(kraken_decode(&rig, WB_FRAME_TEXT, from, strcspn(from, "\n"), 0));
  const wb_message *message = rig.got.message[1];
  cr_assert(message->kind == WB_MESSAGE_SNAPSHOT && message->delta_count == 20 && message->u.book.checksum == 3310070434u);
  wb_level level[2][10];
  for (unsigned i = 0; i < 20; i++) level[i / 10][i % 10] = (wb_level){message->deltas[i].price, message->deltas[i].size};
  cr_assert_eq(codec->checksum(level[WB_SIDE_BID], 10, level[WB_SIDE_ASK], 10), 3310070434u);
  level[WB_SIDE_ASK][9].size++;
  cr_assert_neq(codec->checksum(level[WB_SIDE_BID], 10, level[WB_SIDE_ASK], 10), 3310070434u);
  free(frames);
  kraken_fini(&rig);
}

Test(kraken, the_checksum_of_any_levels_is_that_of_a_slow_reading_of_the_guide) {
  seed();
  cr_assert_eq(codec->checksum_levels, 10u);
  for (unsigned turn = 0; turn < 20000; turn++) {
    wb_level level[2][10];
    unsigned count[2] = {(unsigned)(next() % 11), (unsigned)(next() % 11)};
    unsigned decimals[2] = {(unsigned)(next() % 19), (unsigned)(next() % 19)};
    for (unsigned i = 0; i < 20; i++)
      level[i / 10][i % 10] = (wb_level){1 + (next() >> (2 + next() % 60)), 1 + (next() >> (2 + next() % 60))};
    if (turn == 0)
      for (unsigned i = 0; i < 20; i++) level[i / 10][i % 10] = (wb_level){WB_QUANTITY_MAX, WB_QUANTITY_MAX};
    cr_assert_eq(codec->checksum(level[0], count[0], level[1], count[1]),
                 slow_checksum(level[0], count[0], level[1], count[1], decimals));
  }
}

/* ------------------------------------------------------------------------------------------------ asking */

Test(kraken, asks_one_channel_a_message_and_for_instruments_once) {
  kraken_rig rig;
  kraken_init(&rig);
  char text[512];
  const uint16_t first[] = {0, 2}, second[] = {3};
  int bytes = codec->subscribe(&rig.products, codec->channels, first, 2, false, text, sizeof text);
  cr_assert_str_eq(text, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"instrument\",\"snapshot\":true}}\n"
                         "{\"method\":\"subscribe\",\"params\":{\"channel\":\"book\",\"symbol\":[\"BTC/USD\",\"ETH/BTC\"],"
                         "\"depth\":1000,\"snapshot\":true}}");
  cr_assert_eq(bytes, (int)strlen(text));
  cr_assert_eq(codec->subscribe(&rig.products, codec->channels, first, 2, false, text, (size_t)bytes), WB_E_LIMIT);
  cr_assert_eq(codec->subscribe(&rig.products, codec->channels, first, 2, false, text, (size_t)bytes + 1), bytes);
  codec->subscribe(&rig.products, codec->channels, second, 1, false, text, sizeof text);
  cr_assert_str_eq(
      text, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"book\",\"symbol\":[\"A\"],\"depth\":1000,\"snapshot\":true}}");
  codec->subscribe(&rig.products, codec->channels + 1, second, 1, true, text, sizeof text);
  cr_assert_str_eq(text, "{\"method\":\"unsubscribe\",\"params\":{\"channel\":\"book\",\"symbol\":[\"A\"],\"depth\":1000}}");
  static const char *const plain[] = {"book", "ticker", NULL};
  codec->subscribe(&rig.products, plain, second, 1, false, text, sizeof text);
  cr_assert_str_eq(text, "{\"method\":\"subscribe\",\"params\":{\"channel\":\"book\",\"symbol\":[\"A\"],\"snapshot\":true}}\n"
                         "{\"method\":\"subscribe\",\"params\":{\"channel\":\"ticker\",\"symbol\":[\"A\"],\"snapshot\":true}}");
  kraken_fini(&rig);
}
