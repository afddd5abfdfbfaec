/* Frames as the exchange sends or sent them, written by hand, and the messages they must become:
 * tests/golden/coinbase_exchange. NAME.jsonl has one frame a line; NAME.expected one message a line, the number of its frame in
 * front. */
#include <criterion/criterion.h>

#include "tests/unit/codec/capture.h"

enum { FILE_BYTES_MAX = 1 << 16 };

static char *read_whole(const char *name, const char *suffix) {
  char path[256];
  snprintf(path, sizeof path, "tests/golden/coinbase_exchange/%s.%s", name, suffix);
  FILE *file = fopen(path, "r");
  cr_assert(file, "%s", path);
  char *text = calloc(1, FILE_BYTES_MAX);
  size_t bytes = fread(text, 1, FILE_BYTES_MAX - 1, file);
  cr_assert(bytes > 0 && bytes < FILE_BYTES_MAX - 1);
  fclose(file);
  return text;
}

/* The messages of all frames by one road, in the form of the expected file. */
static void replay(wb_coinbase_road road, const char *frames, char *got) {
  static const char *const ids[] = {"BTC-USD", "ETH-USD", "BTC-EUR", "YFI-USD", "BAT-USDC"};
  wb_products products;
  void *memory = NULL, *state = NULL;
  cr_assert_eq(posix_memalign(&memory, 64, wb_products_bytes(8)), 0);
  wb_products_init(&products, memory, 8);
  for (unsigned i = 0; i < 5; i++) wb_products_add(&products, ids[i], strlen(ids[i]));
  cr_assert_eq(posix_memalign(&state, 64, wb_codec_coinbase_exchange.size(&products)), 0);
  cr_assert_eq(wb_codec_coinbase_exchange.init(state, &products), 0);
  ((wb_coinbase *)state)->fast = road;
  capture said;
  capture_init(&said, &products);
  size_t used = 0;
  unsigned number = 1;
  for (const char *line = frames, *end; (end = strchr(line, '\n')); line = end + 1, number++) {
    size_t bytes = (size_t)(end - line);
    wb_frame frame = {.kind = WB_FRAME_TEXT, .bytes = (uint32_t)bytes, .number = number};
    uint8_t *exact = calloc(1, bytes + WB_READ_SLACK_BYTES);
    memcpy(exact, line, bytes);
    capture_clear(&said);
    wb_codec_coinbase_exchange.decode(state, &frame, exact, &said.out);
    free(exact);
    cr_assert_null(said.broken, "%s", said.broken);
    for (unsigned i = 0; i < said.count; i++) {
      cr_assert_eq(said.message[i]->number, number);
      used += (size_t)snprintf(got + used, FILE_BYTES_MAX - used, "%u ", number);
      used += capture_print(&said, i, got + used, FILE_BYTES_MAX - used);
      used += (size_t)snprintf(got + used, FILE_BYTES_MAX - used, "\n");
      cr_assert_lt(used, FILE_BYTES_MAX);
    }
  }
  capture_clear(&said);
  free(state);
  free(memory);
}

static void golden(const char *name) {
  wb_coinbase_road road[ROADS_MAX];
  const char *road_name[ROADS_MAX];
  unsigned count = roads_of(road, road_name);
  char *frames = read_whole(name, "jsonl"), *want = read_whole(name, "expected"), *got = calloc(1, FILE_BYTES_MAX);
  for (unsigned i = 0; i < count; i++) {
    replay(road[i], frames, got);
    const char *w = want, *g = got;
    for (unsigned line = 1; *w || *g; line++) {
      size_t wanted = strcspn(w, "\n"), gotten = strcspn(g, "\n");
      cr_assert(wanted == gotten && memcmp(w, g, wanted) == 0, "%s, line %u, %s road\nwant %.*s\ngot  %.*s", name, line,
                road_name[i], (int)wanted, w, (int)gotten, g);
      w += wanted + (w[wanted] == '\n');
      g += gotten + (g[gotten] == '\n');
    }
  }
  free(frames);
  free(want);
  free(got);
}

Test(golden, frames_of_today) { golden("today"); }
Test(golden, frames_of_2016_to_2022_and_the_odd_ones) { golden("older"); }
Test(golden, frames_with_blanks_after_colons_and_commas) { golden("spaced"); }
Test(golden, frames_of_every_channel) { golden("channels"); }
Test(golden, frames_that_break_the_schema) { golden("refused"); }
