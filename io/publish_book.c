#include "io/publish_book.h"

#include <stdlib.h>
#include <string.h>

#include "io/memory.h"

enum { WINDOW_TICKS = 1 << 14, ROOM = 64, TOUCHES_MAX = 1 << 22 };

int wb_publish_book_open(wb_publish_book *book, uint32_t level_count_max) {
  const wb_book_config config = {.window_ticks = WINDOW_TICKS, .level_count_max = level_count_max};
  memset(book, 0, sizeof *book);
  book->changes_max = 2 * level_count_max;
  book->bytes = wb_book_bytes(&config);
  void *memory = book->bytes ? wb_arena_open(book->bytes, NULL) : NULL;
  book->book = memory ? wb_book_init(memory, &config) : NULL;
  return book->book ? 0 : WB_E_MEMORY;
}

void wb_publish_book_close(wb_publish_book *book) {
  if (book->book) wb_arena_close(book->book, book->bytes);
  free(book->message.at);
  free(book->batch.at);
  free(book->touch);
  memset(book, 0, sizeof *book);
}

static int add(const wb_publish_book *book, wb_publish_changes *changes, const wb_delta *delta) {
  if (changes->count >= book->changes_max) return WB_E_FULL;
  if (changes->count == changes->room) {
    uint32_t room = changes->room ? 2 * changes->room : ROOM;
    wb_delta *at = realloc(changes->at, room * sizeof *at);
    if (!at) return WB_E_FULL;
    changes->at = at;
    changes->room = room;
  }
  changes->at[changes->count++] = *delta;
  return 0;
}

static int touch(wb_publish_book *book, const wb_delta *delta) {
  if (book->touch_count == book->touch_room) {
    uint32_t room = book->touch_room ? 2 * book->touch_room : ROOM;
    wb_publish_touch *at = room <= TOUCHES_MAX ? realloc(book->touch, room * sizeof *at) : NULL;
    if (!at) return WB_E_FULL;
    book->touch = at;
    book->touch_room = room;
  }
  book->touch[book->touch_count] = (wb_publish_touch){.price = delta->price,
                                                      .was = wb_book_size(book->book, (wb_side)delta->side, delta->price),
                                                      .order = book->touch_count,
                                                      .side = delta->side};
  book->touch_count++;
  return 0;
}

static void lose(wb_publish_book *book) {
  book->whole = false;
  book->open = false;
  book->message.count = book->batch.count = book->touch_count = 0;
}

int wb_publish_book_load(wb_publish_book *book, const wb_shm_copy *copy) {
  lose(book);
  wb_book_load_begin(book->book);
  for (unsigned side = 0; side < 2; side++)
    for (uint32_t i = 0; i < copy->count[side]; i++) {
      const wb_level *level = &copy->level[side][i];
      const wb_delta delta = {.price = level->price, .size = level->size, .side = side};
      if (wb_book_load_add(book->book, &delta, 1) == 0) continue;
      wb_book_load_drop(book->book);
      return WB_E_FULL;
    }
  int result = wb_book_load_end(book->book);
  book->whole = result == 0;
  book->from = copy->position;
  book->price_decimals = copy->price_decimals;
  book->size_decimals = copy->size_decimals;
  book->depth = copy->depth;
  book->time_ns = copy->time_ns;
  return result;
}

/* What the exchange takes out without a word is said to those who are told of changes alone. */
static int cut(wb_publish_book *book, wb_side side) {
  uint32_t count = wb_book_level_count(book->book, side);
  if (!book->depth || count <= book->depth) return 0;
  wb_level *level = malloc(count * sizeof *level);
  int result = level ? 0 : WB_E_MEMORY;
  if (level) wb_book_levels(book->book, side, level, count);
  for (uint32_t i = book->depth; level && i < count && result == 0; i++) {
    const wb_delta gone = {.price = level[i].price, .side = side};
    result = add(book, &book->message, &gone);
    if (result == 0) result = touch(book, &gone);
  }
  free(level);
  wb_book_truncate(book->book, side, book->depth);
  return result;
}

static int apply(wb_publish_book *book) {
  int result = 0;
  book->open = false;
  book->time_ns = book->open_ns;
  uint32_t count = book->message.count, kept = 0;
  for (uint32_t i = 0; i < count && result == 0; i++) {
    const wb_delta delta = book->message.at[i];
    result = touch(book, &delta);
    if (result != 0) break;
    if (delta.size || book->touch[book->touch_count - 1].was) book->message.at[kept++] = delta;
    result = wb_book_apply(book->book, &delta, 1, NULL);
  }
  book->message.count = kept;
  for (unsigned side = 0; side < 2 && result == 0; side++) result = cut(book, (wb_side)side);
  if (result != 0) lose(book);
  return result == 0;
}

int wb_publish_book_take(wb_publish_book *book, const wirebook_shm_change *change) {
  if (!book->whole || change->sequence < book->from) return 0;
  if (change->kind == WIREBOOK_SHM_SNAPSHOT ||
      (change->kind == WIREBOOK_SHM_CHANGE &&
       (change->price_decimals != book->price_decimals || change->size_decimals != book->size_decimals)))
    lose(book);
  if (!book->whole || change->kind != WIREBOOK_SHM_CHANGE) return 0;
  if (!book->open) book->message.count = 0;
  const wb_delta delta = {.price = change->price, .size = change->size, .side = change->side};
  book->open = true;
  book->open_ns = change->time_ns;
  if (add(book, &book->message, &delta) != 0) lose(book);
  return book->whole && change->last ? apply(book) : 0;
}

static int by_level(const void *a, const void *b) {
  const wb_publish_touch *x = a, *y = b;
  if (x->side != y->side) return x->side < y->side ? -1 : 1;
  if (x->price != y->price) return x->price < y->price ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

uint32_t wb_publish_book_batch(wb_publish_book *book) {
  const wb_publish_touch *touch = book->touch, *first = touch;
  book->batch.count = 0;
  if (book->touch_count) qsort(book->touch, book->touch_count, sizeof *book->touch, by_level);
  for (uint32_t i = 0; i < book->touch_count; i++) {
    if (touch[i].side != first->side || touch[i].price != first->price) first = &touch[i];
    if (i + 1 < book->touch_count && touch[i + 1].side == first->side && touch[i + 1].price == first->price) continue;
    wb_delta delta = {.price = first->price, .side = first->side};
    delta.size = wb_book_size(book->book, (wb_side)first->side, first->price);
    if (delta.size != first->was && add(book, &book->batch, &delta) != 0) lose(book);
  }
  book->touch_count = 0;
  return book->batch.count;
}
