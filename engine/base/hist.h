/* hist.h - latency histogram, log-linear (HdrHistogram's bucketing): every value from 0 to 2^40-1 ns (18 minutes) is counted
 * with a relative error below 1/128; larger values are counted in the last bucket and shown by max exactly.
 *
 * Source of the shape: Gil Tene, HdrHistogram. Memory: fixed, about 36 KiB, no pointers. Threads: one writer; others may read a
 * copy taken by wb_hist_copy (counts are read one by one: a copy taken while the writer runs is at most a few records off). */
#ifndef WB_BASE_HIST_H
#define WB_BASE_HIST_H

#include <stdint.h>

enum { WB_HIST_SUB_BITS = 7, WB_HIST_VALUE_BITS = 40 };
#define WB_HIST_BUCKETS ((WB_HIST_VALUE_BITS - WB_HIST_SUB_BITS + 1) << WB_HIST_SUB_BITS)

typedef struct wb_hist {
  uint64_t count, max, min, sum;
  uint64_t bucket[WB_HIST_BUCKETS];
} wb_hist;

void wb_hist_init(wb_hist *hist);

/* wb_hist_record counts one value, in nanoseconds. O(1), a few ns. */
void wb_hist_record(wb_hist *hist, uint64_t value_ns);

/* wb_hist_record_many counts a value n times (a batch that shares one measurement). */
void wb_hist_record_many(wb_hist *hist, uint64_t value_ns, uint64_t n);

/* wb_hist_record_all counts n values. Cheaper than one by one. */
void wb_hist_record_all(wb_hist *hist, const uint64_t *value_ns, uint32_t n);

/* wb_hist_percentile returns the smallest bucket top that at least `percentile` (0..100) of the values do not exceed, never
 * above max; 0 for an empty histogram. O(buckets). */
uint64_t wb_hist_percentile(const wb_hist *hist, double percentile);

/* wb_hist_count_upto returns how many values are at most value_ns, to the width of a bucket. O(buckets). */
uint64_t wb_hist_count_upto(const wb_hist *hist, uint64_t value_ns);

void wb_hist_copy(wb_hist *to, const wb_hist *from);
void wb_hist_merge(wb_hist *into, const wb_hist *from);

#endif
