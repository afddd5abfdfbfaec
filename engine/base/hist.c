#include "engine/base/hist.h"

#include "engine/base/error.h"

enum { SUB_COUNT = 1 << WB_HIST_SUB_BITS };

static unsigned bucket_of(uint64_t value) {
  if (value < SUB_COUNT) return (unsigned)value;
  if (value >> WB_HIST_VALUE_BITS) return WB_HIST_BUCKETS - 1;
  unsigned shift = 63u - (unsigned)__builtin_clzll(value) - WB_HIST_SUB_BITS;
  return ((shift + 1) << WB_HIST_SUB_BITS) + ((unsigned)(value >> shift) & (SUB_COUNT - 1));
}

static uint64_t bucket_top(unsigned bucket) {
  if (bucket < SUB_COUNT) return bucket;
  if (bucket == WB_HIST_BUCKETS - 1) return UINT64_MAX;
  unsigned shift = (bucket >> WB_HIST_SUB_BITS) - 1;
  return ((uint64_t)(SUB_COUNT + (bucket & (SUB_COUNT - 1)) + 1) << shift) - 1;
}

static uint64_t load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static void store(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }

void wb_hist_init(wb_hist *hist) { *hist = (wb_hist){.min = UINT64_MAX}; }

void wb_hist_record_many(wb_hist *hist, uint64_t value_ns, uint64_t n) {
  if (n == 0) return;
  uint64_t *bucket = &hist->bucket[bucket_of(value_ns)];
  store(bucket, *bucket + n);
  store(&hist->count, hist->count + n);
  store(&hist->sum, hist->sum + value_ns * n);
  if (value_ns > hist->max) store(&hist->max, value_ns);
  if (value_ns < hist->min) store(&hist->min, value_ns);
}

void wb_hist_record(wb_hist *hist, uint64_t value_ns) { wb_hist_record_many(hist, value_ns, 1); }

void wb_hist_record_all(wb_hist *hist, const uint64_t *value_ns, uint32_t n) {
  uint64_t sum = 0, max = hist->max, min = hist->min;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t value = value_ns[i], *bucket = &hist->bucket[bucket_of(value)];
    store(bucket, *bucket + 1);
    sum += value;
    max = value > max ? value : max;
    min = value < min ? value : min;
  }
  store(&hist->count, hist->count + n);
  store(&hist->sum, hist->sum + sum);
  store(&hist->max, max);
  store(&hist->min, min);
}

uint64_t wb_hist_percentile(const wb_hist *hist, double percentile) {
  if (hist->count == 0) return 0;
  if (!(percentile > 0)) percentile = 0;
  if (percentile > 100) percentile = 100;
  /* 99.9 is not exact in binary: without the small allowance its rank among 1000 values would be 1000, not 999. */
  double exact = percentile * (double)hist->count / 100 * (1 - 1e-12);
  uint64_t rank = (uint64_t)exact;
  if ((double)rank < exact || rank == 0) rank++;
  uint64_t below = 0;
  for (unsigned i = 0; i < WB_HIST_BUCKETS; i++) {
    below += hist->bucket[i];
    if (below >= rank) {
      uint64_t top = bucket_top(i);
      return top < hist->max ? top : hist->max;
    }
  }
  return hist->max;
}

uint64_t wb_hist_count_upto(const wb_hist *hist, uint64_t value_ns) {
  uint64_t count = 0;
  for (unsigned i = 0, last = bucket_of(value_ns); i <= last; i++) count += hist->bucket[i];
  return count;
}

void wb_hist_copy(wb_hist *to, const wb_hist *from) {
  to->count = load(&from->count);
  to->max = load(&from->max);
  to->min = load(&from->min);
  to->sum = load(&from->sum);
  for (unsigned i = 0; i < WB_HIST_BUCKETS; i++) to->bucket[i] = load(&from->bucket[i]);
}

void wb_hist_merge(wb_hist *into, const wb_hist *from) {
  store(&into->count, into->count + from->count);
  store(&into->sum, into->sum + from->sum);
  if (from->max > into->max) store(&into->max, from->max);
  if (from->min < into->min) store(&into->min, from->min);
  for (unsigned i = 0; i < WB_HIST_BUCKETS; i++)
    if (from->bucket[i]) store(&into->bucket[i], into->bucket[i] + from->bucket[i]);
}
