/* sorted.h - the reference "flat sorted array": keys and sizes in two arrays, the best at the end, so that a change near the
 * touch moves little. Three ways to search: one by one from the end, eight at a time from the end and by halves where that
 * takes too long (AVX-512 where there is one), and by halves without branches. A smaller key is the better; stored is its
 * complement. */
#ifndef WB_BENCH_REFERENCE_SORTED_H
#define WB_BENCH_REFERENCE_SORTED_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { SORTED_PAD = 8, SORTED_SCAN = 128 };

/* value[-SORTED_PAD..-1] are 0. */
typedef struct sorted {
  uint64_t *value, *size;
  uint32_t count;
} sorted;

static inline uint32_t sorted_halves(const uint64_t *value, uint32_t count, uint64_t wanted) {
  const uint64_t *low = value;
  while (count > 1) {
    uint32_t half = count / 2;
    low += low[half - 1] < wanted ? half : 0;
    count -= half;
  }
  return (uint32_t)(low - value) + (count == 1 && *low < wanted);
}

static inline uint32_t sorted_linear(const uint64_t *value, uint32_t count, uint64_t wanted) {
  while (count && value[count - 1] >= wanted) count--;
  return count;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static inline uint32_t sorted_eights(const uint64_t *value, uint32_t count,
                                                                        uint64_t wanted) {
  const __m512i all = _mm512_set1_epi64((long long)wanted);
  int64_t at = count;
  for (unsigned step = 0; step < SORTED_SCAN / 8 && at > 0; step++, at -= 8) {
    unsigned lower = _mm512_cmplt_epu64_mask(_mm512_loadu_si512(value + at - 8), all);
    if (lower) {
      at = at - 8 + (int64_t)(unsigned)__builtin_popcount(lower);
      return at > 0 ? (uint32_t)at : 0;
    }
  }
  return at > 0 ? sorted_halves(value, (uint32_t)at, wanted) : 0;
}
#endif

/* place: what a search gave for ~key. */
static inline void sorted_put_at(sorted *s, uint32_t place, uint64_t key, uint64_t size) {
  bool had = place < s->count && s->value[place] == ~key;
  if (had && size) {
    s->size[place] = size;
    return;
  }
  if (!had && !size) return;
  uint32_t tail = s->count - place;
  if (size) {
    memmove(&s->value[place + 1], &s->value[place], tail * sizeof *s->value);
    memmove(&s->size[place + 1], &s->size[place], tail * sizeof *s->size);
    s->value[place] = ~key;
    s->size[place] = size;
    s->count++;
  } else {
    memmove(&s->value[place], &s->value[place + 1], (tail - 1) * sizeof *s->value);
    memmove(&s->size[place], &s->size[place + 1], (tail - 1) * sizeof *s->size);
    s->count--;
  }
}

#endif
