/* own_threads.c - the node on its own threads, functions of this program called on them: keeps a second book from the changes alone, and says at the end
 * whether it is the node's. own_threads PRODUCT URL REPORT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wirebook.h>

enum { LEVELS_MAX = 1 << 16 };

typedef struct book {
  wirebook *node;
  wirebook_level level[2][LEVELS_MAX]; /* best first */
  uint32_t count[2];
  uint64_t snapshots, updates, frames;
} book;

static int better(int side, uint64_t a, uint64_t b) { return side == WIREBOOK_BID ? a > b : a < b; }

static void change(book *b, const wirebook_change *c) {
  wirebook_level *level = b->level[c->side];
  uint32_t *count = &b->count[c->side], low = 0, high = *count;
  while (low < high) {
    uint32_t mid = (low + high) / 2;
    if (better((int)c->side, level[mid].price, c->price)) low = mid + 1;
    else high = mid;
  }
  int found = low < *count && level[low].price == c->price;
  if (c->size == 0) {
    if (found) memmove(&level[low], &level[low + 1], (--*count - low) * sizeof *level);
    return;
  }
  if (!found) {
    if (*count == LEVELS_MAX) abort();
    memmove(&level[low + 1], &level[low], ((*count)++ - low) * sizeof *level);
    level[low].price = c->price;
  }
  level[low].size = c->size;
}

static void happened(void *self, const wirebook_event *event) {
  book *b = self;
  if (event->kind == WIREBOOK_SNAPSHOT || event->kind == WIREBOOK_SCALE)
    for (int side = 0; side < 2; side++)
      b->count[side] = wirebook_levels(b->node, event->product, side, b->level[side], LEVELS_MAX);
  if (event->kind == WIREBOOK_SNAPSHOT) b->snapshots++;
  if (event->kind == WIREBOOK_UPDATE) {
    for (uint32_t i = 0; i < event->change_count; i++) change(b, &event->change[i]);
    b->updates += event->last;
  }
}

static void came(void *self, const wirebook_frame *frame) { ((book *)self)->frames += frame->byte_count != 0; }

int main(int count, char **word) {
  if (count != 4) return fprintf(stderr, "usage: own_threads PRODUCT URL REPORT\n"), 2;
  const char *product[] = {word[1], NULL}, *url[] = {word[2], NULL};
  static book b;
  wirebook_error error = {0};
  wirebook_config config;
  wirebook_config_init(&config, sizeof config);
  config.product = product;
  config.url = url;
  config.once = 1;
  config.depth = 1000;
  config.sink.self = &b;
  config.sink.event = happened;
  config.sink.frame = came;
  b.node = wirebook_open(&config, &error);
  if (!b.node || wirebook_start(b.node, &error) != 0) return fprintf(stderr, "%s\n", error.detail), wirebook_close(b.node), 1;
  int ended;
  while ((ended = wirebook_wait(b.node, 1000, &error)) == 0) {
  }
  int same = 1;
  static wirebook_level depth[1000];
  for (int side = 0; side < 2; side++) {
    int n = wirebook_depth(b.node, 0, side, depth, 1000, NULL);
    same = same && n >= 0 && (uint32_t)n == (b.count[side] < 1000 ? b.count[side] : 1000) &&
           memcmp(depth, b.level[side], (size_t)n * sizeof *depth) == 0;
  }
  if (wirebook_report(b.node, word[3], &error) != 0) ended = -1;
  printf("%" PRIu64 " snapshots, %" PRIu64 " updates, %" PRIu64 " frames, %u bids, %u asks: %s\n", b.snapshots, b.updates,
         b.frames, b.count[0], b.count[1], same ? "the node's book" : "another book");
  wirebook_close(b.node);
  if (ended < 0) fprintf(stderr, "%s\n", error.detail);
  return ended == 1 && same ? 0 : 1;
}
