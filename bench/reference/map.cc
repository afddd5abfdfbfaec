#include "bench/reference/map.h"

#include <map>

struct map {
  std::map<uint64_t, uint64_t> levels;
};

map *map_open() { return new map; }
void map_close(map *m) { delete m; }
void map_clear(map *m) { m->levels.clear(); }

void map_put(map *m, uint64_t key, uint64_t size) {
  if (size) m->levels[key] = size;
  else m->levels.erase(key);
}

bool map_first(const map *m, uint64_t *key, uint64_t *size) {
  auto first = m->levels.begin();
  if (first == m->levels.end()) return false;
  *key = first->first;
  *size = first->second;
  return true;
}

void map_each(const map *m, void (*take)(void *self, uint64_t key, uint64_t size), void *self) {
  for (const auto &level : m->levels) take(self, level.first, level.second);
}
