/* other_process.c - the books of a running node from another process, without a library: follows every change of one product in a second book for so many changes,
 * then compares that with the node's depth. other_process NAME PRODUCT CHANGES */
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <wirebook_shm.h>

enum { LEVELS_MAX = 1000 };

static int better(unsigned side, uint64_t a, uint64_t b) { return side == WIREBOOK_SHM_BID ? a > b : a < b; }

static void put(wirebook_shm_level *level, uint32_t *count, const wirebook_shm_change *change) {
  uint32_t i = 0;
  while (i < *count && better(change->side, level[i].price, change->price)) i++;
  if (i < *count && level[i].price == change->price) {
    if (change->size) level[i].size = change->size;
    else memmove(&level[i], &level[i + 1], (--*count - i) * sizeof *level);
  } else if (change->size && *count < LEVELS_MAX) {
    memmove(&level[i + 1], &level[i], ((*count)++ - i) * sizeof *level);
    level[i].price = change->price;
    level[i].size = change->size;
  }
}

int main(int argc, char **argv) {
  static wirebook_shm_level own[2][LEVELS_MAX], theirs[2][LEVELS_MAX];
  wirebook_shm_depth depth;
  wirebook_shm_change change;
  wirebook_shm_view view;
  wirebook_shm shm;
  uint64_t lost = 0, followed = 0, lapped = 0, wanted;
  uint32_t count[2] = {0, 0};
  int product, failed, known = 0;
  if (argc != 4) return fprintf(stderr, "usage: other_process NAME PRODUCT CHANGES\n"), 2;
  wanted = strtoull(argv[3], NULL, 10);
  failed = wirebook_shm_open(&shm, argv[1]);
  if (failed) return fprintf(stderr, "%s: %s\n", argv[1], strerror(-failed)), 1;
  product = wirebook_shm_find(&shm, argv[2]);
  if (product < 0) return fprintf(stderr, "%s: no such product\n", argv[2]), 1;
  while (followed < wanted && wirebook_shm_alive(&shm)) {
    if (!wirebook_shm_next(&shm, &change, &lost)) {
      sched_yield();
      continue;
    }
    if (lost) known = 0, lapped += lost, lost = 0;
    if (change.product != product) continue;
    if (change.kind == WIREBOOK_SHM_SNAPSHOT) known = 0;
    if (change.kind == WIREBOOK_SHM_CHANGE && !known &&
        change.last) { /* begin with the depth as of a message that is through */
      if (!wirebook_shm_view_read(&shm, (uint32_t)product, &view)) return 1;
      if (!wirebook_shm_depth_read(&shm, (uint32_t)product, &depth, own[0], own[1], LEVELS_MAX)) return 1;
      known = depth.recv_ns >= change.recv_ns && view.bid_levels < LEVELS_MAX / 2 && view.ask_levels < LEVELS_MAX / 2;
      count[0] = depth.bid_count;
      count[1] = depth.ask_count;
      followed = 0;
    } else if (change.kind == WIREBOOK_SHM_CHANGE && known) {
      put(own[change.side], &count[change.side],
          &change); /* totals, so that what the depth had already is told again without harm */
      followed++;
    }
  }
  /* The node's depth may be ahead of what was followed: on, until it is not. */
  while (wirebook_shm_depth_read(&shm, (uint32_t)product, &depth, theirs[0], theirs[1], LEVELS_MAX)) {
    int same = depth.bid_count == count[0] && depth.ask_count == count[1] &&
               memcmp(own[0], theirs[0], count[0] * sizeof own[0][0]) == 0 &&
               memcmp(own[1], theirs[1], count[1] * sizeof own[1][0]) == 0;
    if (same) {
      printf("%" PRIu64 " changes followed, %" PRIu64 " lost, %u bids, %u asks: the node's book\n", followed, lapped, count[0],
             count[1]);
      return 0;
    }
    if (!wirebook_shm_next(&shm, &change, &lost)) {
      if (!wirebook_shm_alive(&shm)) break;
      sched_yield();
    } else if (lost) {
      break;
    } else if (change.product == product && change.kind == WIREBOOK_SHM_CHANGE) {
      put(own[change.side], &count[change.side], &change);
    }
  }
  fprintf(stderr, "another book\n");
  return 1;
}
