/* stamp.h - latencies of the reference clients and the pacer: from the time a message carries to a look at the clock, in buckets as fine as
 * those of wirebook's report (relative error below 1/128, rounded up), so that both round alike. C and C++. */
#ifndef WB_BENCH_REFERENCE_STAMP_H
#define WB_BENCH_REFERENCE_STAMP_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STAMP_SUB_BITS = 7, STAMP_BUCKETS = (40 - STAMP_SUB_BITS + 1) << STAMP_SUB_BITS, STAMP_TIME_BYTES = 27 };

typedef struct stamp_hist {
  uint64_t count, max, bucket[STAMP_BUCKETS];
} stamp_hist;

static inline int64_t stamp_clock(clockid_t which) {
  struct timespec t;
  clock_gettime(which, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What CLOCK_REALTIME is ahead of CLOCK_MONOTONIC: the closest of some looks. */
static inline int64_t stamp_utc_offset(void) {
  int64_t best = INT64_MAX, offset = 0;
  for (int i = 0; i < 16; i++) {
    int64_t earlier = stamp_clock(CLOCK_MONOTONIC), utc = stamp_clock(CLOCK_REALTIME), after = stamp_clock(CLOCK_MONOTONIC);
    if (after - earlier >= best) continue;
    best = after - earlier;
    offset = utc - (earlier + after) / 2;
  }
  return offset;
}

static inline void stamp_record(stamp_hist *hist, int64_t ns) {
  uint64_t value = ns > 0 ? (uint64_t)ns : 0;
  unsigned shift = value >> STAMP_SUB_BITS ? 63 - (unsigned)__builtin_clzll(value) - STAMP_SUB_BITS : 0;
  uint64_t index = ((uint64_t)shift << STAMP_SUB_BITS) + (value >> shift);
  hist->bucket[index < STAMP_BUCKETS ? index : STAMP_BUCKETS - 1]++;
  hist->count++;
  if (value > hist->max) hist->max = value;
}

static inline uint64_t stamp_percentile(const stamp_hist *hist, double percentile) {
  double exact = percentile * (double)hist->count / 100 * (1 - 1e-12);
  uint64_t rank = (uint64_t)exact, below = 0;
  rank += (double)rank < exact || rank == 0;
  for (uint64_t i = 0; i < STAMP_BUCKETS - 1; i++) {
    below += hist->bucket[i];
    if (below < rank) continue;
    unsigned shift = i >> STAMP_SUB_BITS ? (unsigned)(i >> STAMP_SUB_BITS) - 1 : 0;
    uint64_t top = ((i - ((uint64_t)shift << STAMP_SUB_BITS) + 1) << shift) - 1;
    return top < hist->max ? top : hist->max;
  }
  return hist->max;
}

static inline void stamp_print(const char *name, const stamp_hist *hist) {
  printf("\"%s\":{\"count\":%llu,\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"p99_9\":%llu,\"p99_99\":%llu,\"max\":%llu}", name,
         (unsigned long long)hist->count, (unsigned long long)stamp_percentile(hist, 50),
         (unsigned long long)stamp_percentile(hist, 90), (unsigned long long)stamp_percentile(hist, 99),
         (unsigned long long)stamp_percentile(hist, 99.9), (unsigned long long)stamp_percentile(hist, 99.99),
         (unsigned long long)hist->max);
}

/* The time of 27 characters; 0 for the year 0001, which says that the message is not to be timed. */
static inline int64_t stamp_time(const char *text) {
  static char second[20];
  static int64_t second_ns;
  if (memcmp(text, second, 19) != 0) {
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    memcpy(second, text, 19);
    sscanf(second, "%d-%d-%dT%d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    second_ns = tm.tm_year == 1 - 1900 ? 0 : (int64_t)timegm(&tm) * 1000000000;
  }
  int64_t micro = 0;
  for (unsigned i = 20; i < 26; i++) micro = micro * 10 + (text[i] - '0');
  return second_ns ? second_ns + micro * 1000 : 0;
}

/* Counts the latency of one message of the feed, which ends in its time, `"}`. */
static inline void stamp_message(stamp_hist *hist, const char *payload, size_t size, int64_t utc_ns) {
  if (size < STAMP_TIME_BYTES + 2 || payload[size - 3] != 'Z') return;
  int64_t time_ns = stamp_time(payload + size - 2 - STAMP_TIME_BYTES);
  if (time_ns) stamp_record(hist, utc_ns - time_ns);
}

#endif
