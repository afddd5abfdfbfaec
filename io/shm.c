#include "io/shm.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/ring/atomic.h"
#include "io/host.h"
#include "io/memory.h"
#include "io/wirebook_shm.h"

enum {
  NAME_MAX_BYTES = 63,
  RING_BYTES = 1 << 20,
  AHEAD = 8,
  ALIVE_NS = 100000000,
  PATH_BYTES = 128,
  COPY_WARM_BYTES = 1 << 20,
  COPY_SLICE = 4096
};

#define ALIKE(ours, theirs)                                                                                                    \
  _Static_assert(offsetof(wb_view_data, ours) == offsetof(wirebook_shm_view, theirs),                                          \
                 "a view is published as it lies: a new version")
ALIKE(updates, updates);
ALIKE(crossed, crossed);
ALIKE(recv_ns, recv_ns);
ALIKE(best_bid, best_bid);
ALIKE(mid2_sum_low, mid2_sum_low);
ALIKE(mid_held, mid_held);
ALIKE(snapshots, snapshots);
ALIKE(lost_trades, lost_trades);
ALIKE(removed_utc_ns, removed_utc_ns);
ALIKE(alarms, alarms);
ALIKE(state, state);
ALIKE(size_decimals, size_decimals);
ALIKE(last_alarm, last_alarm);
_Static_assert(sizeof(wb_view_data) == sizeof(wirebook_shm_view), "a view is published as it lies: a new version");
_Static_assert(offsetof(wb_view, word) == 8, "the sequence lies before the words");
_Static_assert(sizeof(wirebook_shm_head) == 256 && sizeof(wirebook_shm_depth) == 64 && sizeof(wirebook_shm_change) == 64,
               "the layout is frozen");
_Static_assert((int)WIREBOOK_SHM_LIVE == (int)WB_STATE_LIVE && (int)WIREBOOK_SHM_REMOVED == (int)WB_STATE_REMOVED,
               "states are the engine's");

struct wb_shm {
  wb_shm_config config;
  const wb_book_stage *stage;
  const wb_products *products;
  wb_observer observer;
  char path[PATH_BYTES], made[PATH_BYTES];
  bool shown; /* under its name */
  wirebook_shm_head *head;
  uint8_t *base;
  size_t bytes;
  uint64_t next, alive_due_ns, depth_due_ns;
  uint16_t *changed; /* products whose depth is behind */
  uint8_t *is_changed;
  uint32_t changed_count;
  uint64_t copy_asked; /* W who asks, R book [M2] */
  uint64_t copy_done;  /* W book, R who asks [M2] */
  wb_shm_copy copy;    /* product: W who asks, the rest: W book; each before the word above */
  wb_level *levels;    /* of the copy: copy_levels bids, then as many asks */
  uint64_t copy_begun; /* the asked one that has begun; 0: it is to begin anew */
  unsigned copy_side;  /* where it goes on; 2: all is copied */
};

static size_t up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

/* ------------------------------------------------------------------------------------------------ observer */

static void put(wb_shm *shm, const wirebook_shm_change *change) {
  uint64_t position = shm->next++;
  uint64_t *word = (uint64_t *)(void *)(shm->base + shm->head->ring_at +
                                        (position & (shm->head->ring_records - 1)) * sizeof(wirebook_shm_change));
  __builtin_prefetch(
      shm->base + shm->head->ring_at + ((position + AHEAD) & (shm->head->ring_records - 1)) * sizeof(wirebook_shm_change), 1);
  wb_store_relaxed(word, 2 * position + 1);
  wb_fence_release(); /* M1: the odd number is seen before any new word */
  wb_words_store(word + 1, (const uint64_t *)(const void *)change + 1, sizeof *change / 8 - 1);
  wb_store_release(word, 2 * position + 2);              /* M1: every word is seen before the even number */
  wb_store_release(&shm->head->ring_next, position + 1); /* M1 */
}

static void changed(wb_shm *shm, uint32_t product) {
  if (shm->is_changed[product]) return;
  shm->is_changed[product] = 1;
  shm->changed[shm->changed_count++] = (uint16_t)product;
}

static wirebook_shm_change change_of(const wb_shm *shm, uint32_t product, uint8_t kind) {
  const wb_book_product *p = &shm->stage->product[product];
  return (wirebook_shm_change){.product = (uint16_t)product,
                               .kind = kind,
                               .last = 1,
                               .time_ns = WB_TIME_NONE,
                               .price_decimals = p->price_decimals,
                               .size_decimals = p->size_decimals};
}

static void on_applied(void *self, const wb_message *message) {
  wb_shm *shm = self;
  const wb_observer *other = shm->config.observer;
  if (other && other->applied) other->applied(other->self, message);
  if (message->product >= shm->config.product_max) return;
  bool deltas = message->kind == WB_MESSAGE_UPDATE || message->kind == WB_MESSAGE_TRADE;
  wirebook_shm_change change = change_of(shm, message->product,
                                         message->kind == WB_MESSAGE_UPDATE  ? WIREBOOK_SHM_CHANGE
                                         : message->kind == WB_MESSAGE_TRADE ? WIREBOOK_SHM_TRADE
                                                                             : WIREBOOK_SHM_SNAPSHOT);
  change.time_ns = message->time_ns;
  change.recv_ns = message->recv_ns;
  change.number = message->number;
  if (message->kind == WB_MESSAGE_TRADE) change.trade_id = message->u.trade.trade_id;
  for (uint32_t i = 0; i < (deltas ? message->delta_count : 1); i++) {
    if (deltas) {
      change.price = message->deltas[i].price;
      change.size = message->deltas[i].size;
      change.side = message->deltas[i].side;
      change.last = i + 1 == message->delta_count && message->part & WB_PART_LAST;
    }
    put(shm, &change);
  }
  if (change.kind == WIREBOOK_SHM_SNAPSHOT) shm->copy_begun = 0;
  if (message->kind != WB_MESSAGE_TRADE) changed(shm, message->product);
}

static void on_state(void *self, uint32_t product) {
  wb_shm *shm = self;
  const wb_observer *other = shm->config.observer;
  if (other && other->state) other->state(other->self, product);
  if (product >= shm->config.product_max) return;
  wirebook_shm_change change = change_of(shm, product, WIREBOOK_SHM_STATE);
  put(shm, &change);
  changed(shm, product);
}

static void on_frame(void *self, const wb_frame *frame, const uint8_t *bytes) {
  const wb_observer *other = ((wb_shm *)self)->config.observer;
  other->frame(other->self, frame, bytes);
}

static void depth(wb_shm *shm, uint32_t product) {
  const wb_book_product *p = &shm->stage->product[product];
  const wb_view_data *view = &p->view->data;
  wirebook_shm_depth *to = (void *)(shm->base + shm->head->depths_at + product * shm->head->depth_bytes);
  wirebook_shm_depth head = {.recv_ns = view->recv_ns,
                             .updates = view->updates,
                             .time_ns = view->time_ns,
                             .price_decimals = p->price_decimals,
                             .size_decimals = p->size_decimals,
                             .state = view->state};
  wb_level level[2][WB_DEPTH_MAX];
  head.bid_count = wb_book_levels(p->book, WB_SIDE_BID, level[0], shm->config.depth);
  head.ask_count = wb_book_levels(p->book, WB_SIDE_ASK, level[1], shm->config.depth);
  uint64_t *word = (uint64_t *)(void *)to;
  uint64_t sequence = word[0];
  wb_store_relaxed(word, sequence + 1);
  wb_fence_release(); /* M1 */
  wb_words_store(word + 1, (const uint64_t *)(const void *)&head + 1, sizeof head / 8 - 1);
  for (unsigned side = 0; side < 2; side++)
    wb_words_store(word + sizeof head / 8 + (size_t)side * 2 * shm->config.depth, (const uint64_t *)(const void *)level[side],
                   2 * (side ? head.ask_count : head.bid_count));
  wb_store_release(word, sequence + 2); /* M1 */
}

static void products(wb_shm *shm) {
  uint32_t count = shm->stage->product_count; /* what the book thread knows of the table */
  if (count > shm->config.product_max) count = shm->config.product_max;
  for (uint32_t i = shm->head->product_count; i < count; i++)
    memcpy(shm->base + shm->head->products_at + i * shm->head->product_bytes, shm->products->product[i].id,
           sizeof(shm->products->product[i].id));
  __atomic_store_n(&shm->head->product_count, count, __ATOMIC_RELEASE); /* M1 */
}

static void depths(wb_shm *shm) {
  for (uint32_t i = 0; i < shm->changed_count; i++) {
    depth(shm, shm->changed[i]);
    shm->is_changed[shm->changed[i]] = 0;
  }
  shm->changed_count = 0;
}

/* ------------------------------------------------------------------------------------------------ copies */

/* A large update may be in the book in part. */
static bool between_messages(const wb_shm *shm) {
  const wirebook_shm_change *last =
      (const void *)(shm->base + shm->head->ring_at + ((shm->next - 1) & (shm->head->ring_records - 1)) * sizeof *last);
  return !shm->next || last->kind != WIREBOOK_SHM_CHANGE || last->last;
}

/* Where levels go without a word (depth), all is of one moment. */
static void copy_on(wb_shm *shm, uint64_t asked) {
  wb_shm_copy *copy = &shm->copy;
  const wb_book_product *p = &shm->stage->product[copy->product];
  if (shm->copy_begun != asked) {
    shm->copy_begun = asked;
    shm->copy_side = 0;
    copy->count[0] = copy->count[1] = 0;
    copy->position = shm->next;
  }
  for (uint32_t left = p->depth ? UINT32_MAX : shm->config.copy_slice; left && shm->copy_side < 2;) {
    wb_level *level = shm->levels + shm->copy_side * (size_t)shm->config.copy_levels;
    uint32_t *count = &copy->count[shm->copy_side], room = shm->config.copy_levels - *count, most = left < room ? left : room;
    wb_side side = (wb_side)shm->copy_side;
    uint32_t more = *count ? wb_book_levels_after(p->book, side, level[*count - 1].price, level + *count, most)
                           : wb_book_levels(p->book, side, level, most);
    copy->level[side] = level;
    *count += more;
    left -= more;
    if (more < most || most == room) shm->copy_side++;
  }
  if (shm->copy_side < 2 || !between_messages(shm)) return;
  copy->until = shm->next;
  copy->time_ns = p->view->data.time_ns;
  copy->depth = p->depth;
  copy->price_decimals = p->price_decimals;
  copy->size_decimals = p->size_decimals;
  wb_store_release(&shm->copy_done, asked); /* M2: the copy is seen before its number */
}

void wb_shm_copy_ask(wb_shm *shm, uint32_t product) {
  shm->copy.product = product;
  wb_store_release(&shm->copy_asked, shm->copy_asked + 1); /* M2: the product is seen before the number */
}

const wb_shm_copy *wb_shm_copy_ready(const wb_shm *shm) {
  return shm->copy_asked && wb_load_acquire(&shm->copy_done) == shm->copy_asked ? &shm->copy : NULL; /* M2 */
}

static void on_settled(void *self, uint64_t now_ns) {
  wb_shm *shm = self;
  const wb_observer *other = shm->config.observer;
  if (other && other->settled) other->settled(other->self, now_ns);
  uint64_t asked = wb_load_acquire(&shm->copy_asked); /* M2 */
  if (__builtin_expect(asked != shm->copy_done, 0)) copy_on(shm, asked);
  if (now_ns >= shm->alive_due_ns) {
    shm->alive_due_ns = now_ns + ALIVE_NS;
    wb_store_relaxed(&shm->head->alive_ns, now_ns);
    products(shm);
  }
  if (!shm->changed_count || now_ns < shm->depth_due_ns) return;
  shm->depth_due_ns = now_ns + shm->config.depth_ns;
  depths(shm);
}

/* ------------------------------------------------------------------------------------------------ file */

static bool named_well(const char *name) {
  size_t bytes = strlen(name);
  for (size_t i = 0; i < bytes; i++)
    if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i])) return false;
  return bytes && bytes <= NAME_MAX_BYTES && name[0] != '.';
}

static int in_use(const wb_shm *shm, wb_error *error) {
  wirebook_shm other;
  if (wirebook_shm_open(&other, shm->config.name) != 0) return 0;
  int alive = wirebook_shm_alive(&other);
  unsigned long long pid = other.head->writer_pid;
  wirebook_shm_close(&other);
  if (alive) return wb_error_set(error, WB_E_STATE, 0, "shm", "%s is written by another node (process %llu)", shm->path, pid);
  unlink(shm->path);
  return 0;
}

static int make(wb_shm *shm, wb_error *error) {
  uint32_t products = shm->config.product_max, levels = shm->config.depth;
  size_t ring = shm->config.ring_bytes ? shm->config.ring_bytes : RING_BYTES, id = sizeof((wb_product *)0)->id;
  wirebook_shm_head head = {.version = WIREBOOK_SHM_VERSION,
                            .depth = levels,
                            .generation = (uint64_t)wb_clock_utc_ns(),
                            .writer_pid = (uint64_t)getpid(),
                            .alive_ns = wb_clock_ns(),
                            .product_max = products,
                            .ring_records = ring / sizeof(wirebook_shm_change),
                            .product_bytes = id,
                            .view_bytes = sizeof(wb_view),
                            .depth_bytes = up(sizeof(wirebook_shm_depth) + 2 * levels * sizeof(wirebook_shm_level), 64),
                            .record_bytes = sizeof(wirebook_shm_change)};
  head.products_at = 4096;
  head.views_at = up(head.products_at + products * head.product_bytes, 4096);
  head.depths_at = up(head.views_at + products * head.view_bytes, 4096);
  head.ring_at = up(head.depths_at + products * head.depth_bytes, 4096);
  head.bytes = up(head.ring_at + ring, 4096);
  shm->bytes = head.bytes;
  const char *name = shm->config.name;
  if (name) unlink(shm->made);
  int fd =
      name ? open(shm->made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640) : memfd_create("wirebook", MFD_CLOEXEC);
  if (fd < 0) return wb_error_set(error, WB_E_SYSTEM, errno, "shm", "cannot make %s: %s", shm->made, strerror(errno));
  void *base = MAP_FAILED;
  int failed = posix_fallocate(fd, 0, (off_t)shm->bytes); /* so that no touch ends in SIGBUS later */
  if (!failed) base = mmap(NULL, shm->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (!failed && base == MAP_FAILED) failed = errno;
  close(fd);
  if (failed) {
    if (name) unlink(shm->made);
    return wb_error_set(error, WB_E_SYSTEM, failed, "shm", "no %zu bytes of shared memory for %s: %s", shm->bytes, shm->path,
                        strerror(failed));
  }
  shm->base = base;
  shm->head = base;
  *shm->head = head;
  return 0;
}

wb_shm *wb_shm_open(const wb_shm_config *config, wb_error *error) {
  if (config->name && !named_well(config->name)) {
    wb_error_set(error, WB_E_CONFIG, 0, "shm", "a name of shared memory has 1 to %d letters, digits, '-', '_' or '.'",
                 NAME_MAX_BYTES);
    return NULL;
  }
  wb_shm *shm = calloc(1, sizeof *shm);
  if (shm) shm->changed = calloc(config->product_max, sizeof *shm->changed);
  if (shm) shm->is_changed = calloc(config->product_max, sizeof *shm->is_changed);
  if (!shm || !shm->changed || !shm->is_changed) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "shm", "no memory");
    wb_shm_close(shm);
    return NULL;
  }
  shm->config = *config;
  if (!shm->config.copy_slice) shm->config.copy_slice = COPY_SLICE;
  size_t copy_bytes = 2 * (size_t)config->copy_levels * sizeof *shm->levels;
  if (copy_bytes) shm->levels = wb_arena_open(copy_bytes, error);
  if (copy_bytes && !shm->levels) {
    wb_shm_close(shm);
    return NULL;
  }
  for (unsigned side = 0; side < 2 && copy_bytes; side++)
    wb_memory_populate(shm->levels + side * (size_t)config->copy_levels,
                       copy_bytes / 2 < COPY_WARM_BYTES ? copy_bytes / 2 : COPY_WARM_BYTES);
  snprintf(shm->path, sizeof shm->path, "/dev/shm/%s", config->name ? config->name : "");
  snprintf(shm->made, sizeof shm->made, "/dev/shm/.%s.%ld", config->name ? config->name : "", (long)getpid());
  if ((!config->name || in_use(shm, error) == 0) && make(shm, error) == 0) return shm;
  wb_shm_close(shm);
  return NULL;
}

wb_view *wb_shm_views(wb_shm *shm) { return (wb_view *)(void *)(shm->base + shm->head->views_at); }

const wb_observer *wb_shm_observer(wb_shm *shm, const wb_book_stage *stage, const wb_products *products) {
  const wb_observer *other = shm->config.observer;
  shm->stage = stage;
  shm->products = products;
  shm->observer = (wb_observer){.self = shm,
                                .frame = other && other->frame ? on_frame : NULL,
                                .applied = on_applied,
                                .state = on_state,
                                .settled = on_settled};
  return &shm->observer;
}

void wb_shm_reader(const wb_shm *shm, wirebook_shm *reader) {
  *reader =
      (wirebook_shm){.base = shm->base, .head = shm->head, .bytes = shm->bytes, .next = wb_load_acquire(&shm->head->ring_next)};
}

int wb_shm_show(wb_shm *shm, wb_error *error) {
  products(shm);
  wb_store_release(&shm->head->magic, WIREBOOK_SHM_MAGIC);
  if (!shm->config.name) return 0;
  shm->shown = renameat2(AT_FDCWD, shm->made, AT_FDCWD, shm->path, RENAME_NOREPLACE) == 0;
  return shm->shown ? 0
                    : wb_error_set(error, errno == EEXIST ? WB_E_STATE : WB_E_SYSTEM, errno, "shm", "cannot make %s: %s",
                                   shm->path, strerror(errno));
}

void wb_shm_close(wb_shm *shm) {
  if (!shm) return;
  if (shm->base) {
    if (shm->stage) depths(shm);
    __atomic_store_n(&shm->head->ended, 1, __ATOMIC_RELEASE);
    if (shm->config.name) unlink(shm->shown ? shm->path : shm->made);
    munmap(shm->base, shm->bytes);
  }
  if (shm->levels) wb_arena_close(shm->levels, 2 * (size_t)shm->config.copy_levels * sizeof *shm->levels);
  free(shm->changed);
  free(shm->is_changed);
  free(shm);
}
