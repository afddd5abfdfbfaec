/* random.h - the random numbers of a unit test: seed() says the seed, WIREBOOK_SEED repeats it. Included once by a test. */
#ifndef WB_TESTS_RANDOM_H
#define WB_TESTS_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state;

static inline void seed(void) {
  const char *given = getenv("WIREBOOK_SEED");
  state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)clock();
  fprintf(stderr, "seed: WIREBOOK_SEED=%" PRIu64 "\n", state);
}

/* SplitMix64, Steele, Lea and Flood 2014. */
static inline uint64_t next(void) {
  uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

#endif
