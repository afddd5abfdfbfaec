/* Where there is no std::map: the tree that it usually is. */
#include "bench/reference/map.h"
#include "bench/reference/tree.h"

struct map {
  tree levels;
};

map *map_open(void) { return calloc(1, sizeof(map)); }
void map_clear(map *m) { tree_clear(&m->levels); }

void map_close(map *m) {
  tree_clear(&m->levels);
  free(m);
}

void map_put(map *m, uint64_t key, uint64_t size) {
  if (size) tree_put(&m->levels, key, size);
  else tree_remove(&m->levels, key);
}

bool map_first(const map *m, uint64_t *key, uint64_t *size) {
  const tree_node *first = m->levels.first;
  if (!first) return false;
  *key = first->key;
  *size = first->size;
  return true;
}

void map_each(const map *m, void (*take)(void *self, uint64_t key, uint64_t size), void *self) {
  for (const tree_node *node = m->levels.first; node; node = tree_next(node)) take(self, node->key, node->size);
}
