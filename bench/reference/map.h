/* map.h - std::map for benches in C: a side of a book, the smallest key the best. */
#ifndef WB_BENCH_REFERENCE_MAP_H
#define WB_BENCH_REFERENCE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct map map;

map *map_open(void);
void map_close(map *m);
void map_clear(map *m);

/* map_put sets the size at a key; size 0 removes the key. */
void map_put(map *m, uint64_t key, uint64_t size);

/* map_first returns whether there is one. */
bool map_first(const map *m, uint64_t *key, uint64_t *size);
void map_each(const map *m, void (*take)(void *self, uint64_t key, uint64_t size), void *self);

#ifdef __cplusplus
}
#endif

#endif
