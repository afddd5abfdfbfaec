/* wirebook_shm.h - reads the books of a running node from shared memory: no library, no system call but to open (and to yield where the writer was interrupted in the middle), no lock, and nothing that the writer could notice.
 *
 * Shapes:   a file in /dev/shm, laid out as the structures below: head, products, views, depths, ring.
 *             view    what is known of a product as of its last whole message: touch, sums, counts, state; written with each message
 *             depth   the best levels of a product, some 10 ms old at most (`--shm-depth-ms`)
 *             ring    every change of every book, lossy: a reader that is lapped learns how many changes it lost
 * Layout:   frozen for WIREBOOK_SHM_VERSION; another version is refused. Little endian, 64-bit words, everything 64-byte aligned.
 * Units:    prices and sizes are integers in units of 10^-decimals, exact; the decimals stand beside them. recv_ns and alive_ns are CLOCK_MONOTONIC, time_ns is
 *           nanoseconds since 1970 UTC or INT64_MIN.
 * Threads:  any number of readers in any number of processes; a reader's own structures belong to one thread.
 * Errors:   functions return 0 or -errno; -EPROTO for what is no such file or another version.
 * Language: C99 and C++17 with GCC's or Clang's __atomic builtins, POSIX. Cost: a view or a change is some tens of ns.
 * Licence:  MIT, as the rest of the source; a program that only reads is not touched by the licence of wolfSSL.
 *
 *   wirebook_shm shm;
 *   if (wirebook_shm_open(&shm, "books") == 0) {
 *     wirebook_shm_view view;
 *     int product = wirebook_shm_find(&shm, "BTC-USD");
 *     if (product >= 0 && wirebook_shm_view_read(&shm, (uint32_t)product, &view)) use(view.best_bid, view.price_decimals);
 *     wirebook_shm_close(&shm);
 *   } */
#ifndef WIREBOOK_SHM_H
#define WIREBOOK_SHM_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WIREBOOK_SHM_MAGIC UINT64_C(0x4d48534b4f4f4257) /* "WBOOKSHM" */
#define WIREBOOK_SHM_VERSION 1u
#define WIREBOOK_SHM_DEAD_NS UINT64_C(3000000000) /* a writer that has not been heard of for so long is dead */

enum { WIREBOOK_SHM_WAITING = 0, WIREBOOK_SHM_LIVE, WIREBOOK_SHM_STALE, WIREBOOK_SHM_RESYNCING, WIREBOOK_SHM_REMOVED };
enum { WIREBOOK_SHM_BID = 0, WIREBOOK_SHM_ASK = 1 };

typedef struct wirebook_shm_head { /* 256 bytes */
  uint64_t magic;                  /* 0: not whole yet */
  uint32_t version, depth;         /* depth: levels a side of a depth */
  uint64_t bytes;                  /* of the file */
  uint64_t generation;             /* of this writer: another one is another file, open it anew */
  uint64_t writer_pid;
  uint64_t alive_ns;                                  /* when the book thread last had a turn */
  uint64_t ended;                                     /* 1: the writer ended as it should; nothing changes any more */
  uint32_t product_max, product_count;                /* the count grows only */
  uint64_t ring_records;                              /* a power of two */
  uint64_t products_at, views_at, depths_at, ring_at; /* offsets in the file */
  uint64_t product_bytes, view_bytes, depth_bytes, record_bytes; /* from one to the next */
  uint64_t reserved[7];
  uint64_t ring_next; /* position of the change that comes next; on a cache line of its own */
  uint64_t more[7];
} wirebook_shm_head;

/* best_bid_size or best_ask_size 0: that side is empty. Mid average = (mid2_sum_high * 2^64 + mid2_sum_low) / (2 * mid_held). */
typedef struct wirebook_shm_view { /* behind the 8 bytes of the sequence */
  uint32_t bid_levels, ask_levels;
  uint64_t updates, changes, unknown, crossed;
  uint64_t recv_ns;
  int64_t time_ns;
  uint64_t best_bid, best_bid_size, best_ask, best_ask_size;
  uint64_t mid2_sum_low, mid2_sum_high, max_spread, mid_held;
  uint64_t snapshots, rejected, resyncs, state_since_ns, lost_trades;
  int64_t added_utc_ns, removed_utc_ns; /* when it came and went while the node ran; 0: it did not */
  uint32_t alarms[8];
  uint8_t state, reason, reject, price_decimals, size_decimals, connected, last_alarm, reserved;
} wirebook_shm_view;

typedef struct wirebook_shm_level {
  uint64_t price, size;
} wirebook_shm_level;

typedef struct wirebook_shm_depth { /* 64 bytes, then depth bids, then depth asks */
  uint64_t sequence;
  uint64_t recv_ns, updates; /* of the message it is as of */
  int64_t time_ns;
  uint32_t bid_count, ask_count;
  uint8_t price_decimals, size_decimals, state, reserved[5];
  uint64_t more[2];
} wirebook_shm_depth;

enum {
  WIREBOOK_SHM_CHANGE = 1, /* a level is new, another size, or gone (size 0) */
  WIREBOOK_SHM_SNAPSHOT,   /* the book is another one: read depth or view, changes go on from here */
  WIREBOOK_SHM_TRADE,      /* price, size, side of the maker */
  WIREBOOK_SHM_STATE       /* the product's state or reason may be another */
};

typedef struct wirebook_shm_change { /* 64 bytes; sequence is the ring's */
  uint64_t sequence;
  uint64_t price, size;
  int64_t time_ns;
  uint64_t recv_ns;
  uint64_t number; /* of the raw frame */
  uint64_t trade_id;
  uint16_t product;
  uint8_t kind, side, last; /* last: of its message */
  uint8_t price_decimals, size_decimals, reserved;
} wirebook_shm_change;

/* ------------------------------------------------------------------------------------------------ reading */

/* Words are read before the sequence is looked at again. ThreadSanitizer knows no fences: there each load has the order. */
#if defined(__SANITIZE_THREAD__)
#define WIREBOOK_SHM_WORD(at) __atomic_load_n(at, __ATOMIC_ACQUIRE)
#define WIREBOOK_SHM_FENCE() ((void)0)
#else
#define WIREBOOK_SHM_WORD(at) __atomic_load_n(at, __ATOMIC_RELAXED)
#define WIREBOOK_SHM_FENCE() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#endif

typedef struct wirebook_shm {
  const uint8_t *base;
  const wirebook_shm_head *head;
  size_t bytes;
  uint64_t next; /* of the ring, for wirebook_shm_next */
} wirebook_shm;

/* wirebook_shm_close unmaps what wirebook_shm_open mapped; again, or after an open that failed, it does nothing. */
static inline void wirebook_shm_close(wirebook_shm *shm) {
  if (shm->base) munmap((void *)(uintptr_t)shm->base, shm->bytes);
  memset(shm, 0, sizeof *shm);
}

/* wirebook_shm_open maps /dev/shm/NAME. 0; -ENOENT: there is no such node; -EPROTO; or what open and mmap say. */
static inline int wirebook_shm_open(wirebook_shm *shm, const char *name) {
  char path[256];
  struct stat about;
  void *base;
  int fd, result = 0;
  memset(shm, 0, sizeof *shm);
  if (!*name || strchr(name, '/') || snprintf(path, sizeof path, "/dev/shm/%s", name) >= (int)sizeof path) return -EINVAL;
  fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  if (fstat(fd, &about) != 0) result = -errno;
  else if ((uint64_t)about.st_size < sizeof(wirebook_shm_head)) result = -EPROTO;
  base = result ? MAP_FAILED : mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, fd, 0);
  if (!result && base == MAP_FAILED) result = -errno;
  close(fd);
  if (result) return result;
  shm->base = (const uint8_t *)base;
  shm->head = (const wirebook_shm_head *)base;
  shm->bytes = (size_t)about.st_size;
  if (__atomic_load_n(&shm->head->magic, __ATOMIC_ACQUIRE) != WIREBOOK_SHM_MAGIC ||
      shm->head->version != WIREBOOK_SHM_VERSION || shm->head->bytes != shm->bytes) {
    wirebook_shm_close(shm);
    return -EPROTO;
  }
  shm->next = __atomic_load_n(&shm->head->ring_next, __ATOMIC_ACQUIRE);
  return 0;
}

/* wirebook_shm_alive: 1 while the writer runs; 0: it ended, or has not been heard of for WIREBOOK_SHM_DEAD_NS. What was written stays readable. */
static inline int wirebook_shm_alive(const wirebook_shm *shm) {
  struct timespec now;
  uint64_t now_ns, alive_ns = __atomic_load_n(&shm->head->alive_ns, __ATOMIC_RELAXED);
  clock_gettime(CLOCK_MONOTONIC, &now);
  now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  return !__atomic_load_n(&shm->head->ended, __ATOMIC_ACQUIRE) &&
         (now_ns < alive_ns || now_ns - alive_ns < WIREBOOK_SHM_DEAD_NS);
}

/* wirebook_shm_count returns how many products there are by now; it only grows. */
static inline uint32_t wirebook_shm_count(const wirebook_shm *shm) {
  return __atomic_load_n(&shm->head->product_count, __ATOMIC_ACQUIRE);
}

/* wirebook_shm_id returns the name of a product, 0 .. count - 1; NULL out of range. */
static inline const char *wirebook_shm_id(const wirebook_shm *shm, uint32_t product) {
  if (product >= wirebook_shm_count(shm)) return NULL;
  return (const char *)shm->base + shm->head->products_at + product * shm->head->product_bytes;
}

/* wirebook_shm_find returns the index of a product, or -1. It stays the same as long as the writer lives. O(products). */
static inline int wirebook_shm_find(const wirebook_shm *shm, const char *id) {
  uint32_t i, count = wirebook_shm_count(shm);
  for (i = 0; i < count; i++)
    if (strcmp(wirebook_shm_id(shm, i), id) == 0) return (int)i;
  return -1;
}

/* Between two tries: 1 to go on, 0 when the writer died in the middle of a write. */
static inline int wirebook_shm_again(const wirebook_shm *shm, uint32_t tries) {
  if (tries % 1024 != 1023) return 1;
  sched_yield(); /* it may wait for this CPU */
  return wirebook_shm_alive(shm);
}

/* Copies up to 40 words that a writer may be changing, as bytes; 1 when all are of one moment, 0 when the writer died in the middle. */
static inline int wirebook_shm_copy(const wirebook_shm *shm, const uint64_t *sequence, const uint64_t *word, void *to,
                                    size_t words) {
  uint64_t copy[40];
  uint32_t i;
  for (i = 0; wirebook_shm_again(shm, i); i++) {
    uint64_t before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
    size_t n;
    if (before & 1) continue;
    for (n = 0; n < words; n++) copy[n] = WIREBOOK_SHM_WORD(&word[n]);
    WIREBOOK_SHM_FENCE();
    if (__atomic_load_n(sequence, __ATOMIC_RELAXED) != before) continue;
    memcpy(to, copy, words * sizeof *copy);
    return 1;
  }
  return 0;
}

/* wirebook_shm_view_read: 1 and *view, or 0 for a product out of range, or one in whose middle the writer died. */
static inline int wirebook_shm_view_read(const wirebook_shm *shm, uint32_t product, wirebook_shm_view *view) {
  const uint64_t *at;
  if (product >= wirebook_shm_count(shm)) return 0;
  at = (const uint64_t *)(const void *)(shm->base + shm->head->views_at + product * shm->head->view_bytes);
  return wirebook_shm_copy(shm, at, at + 1, view, sizeof *view / 8);
}

/* wirebook_shm_depth_read copies up to max levels of each side, best first (bid and ask have room for max; max above head->depth gives head->depth): 1, *depth and the
 * levels, with depth->bid_count and ask_count cut to max; or 0 as wirebook_shm_view_read. */
static inline int wirebook_shm_depth_read(const wirebook_shm *shm, uint32_t product, wirebook_shm_depth *depth,
                                          wirebook_shm_level *bid, wirebook_shm_level *ask, uint32_t max) {
  uint64_t head[sizeof *depth / 8];
  const uint8_t *at;
  const uint64_t *sequence, *word;
  uint32_t all = shm->head->depth, n = max < all ? max : all;
  uint32_t i;
  if (product >= wirebook_shm_count(shm)) return 0;
  at = shm->base + shm->head->depths_at + product * shm->head->depth_bytes;
  sequence = (const uint64_t *)(const void *)at;
  word = (const uint64_t *)(const void *)(at + sizeof(wirebook_shm_depth));
  for (i = 0; wirebook_shm_again(shm, i); i++) {
    uint64_t before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
    uint32_t k;
    if (before & 1) continue;
    for (k = 0; k < sizeof *depth / 8; k++) head[k] = WIREBOOK_SHM_WORD(&sequence[k]);
    for (k = 0; k < n; k++) {
      bid[k].price = WIREBOOK_SHM_WORD(&word[2 * k]);
      bid[k].size = WIREBOOK_SHM_WORD(&word[2 * k + 1]);
      ask[k].price = WIREBOOK_SHM_WORD(&word[2 * (all + k)]);
      ask[k].size = WIREBOOK_SHM_WORD(&word[2 * (all + k) + 1]);
    }
    WIREBOOK_SHM_FENCE();
    if (__atomic_load_n(sequence, __ATOMIC_RELAXED) != before) continue;
    memcpy(depth, head, sizeof *depth);
    if (depth->bid_count > n) depth->bid_count = n;
    if (depth->ask_count > n) depth->ask_count = n;
    return 1;
  }
  return 0;
}

/* wirebook_shm_next takes the next change since open, or since the last call: 1 and *change; 0: there is none yet. *lost grows by the changes that were overwritten before
 * they were read: the books must then be read anew. */
static inline int wirebook_shm_next(wirebook_shm *shm, wirebook_shm_change *change, uint64_t *lost) {
  const wirebook_shm_head *head = shm->head;
  for (;;) {
    const uint64_t *word = (const uint64_t *)(const void *)(shm->base + head->ring_at +
                                                            (shm->next & (head->ring_records - 1)) * head->record_bytes);
    uint64_t whole = 2 * shm->next + 2, sequence = __atomic_load_n(word, __ATOMIC_ACQUIRE), tail;
    if (sequence < whole) return 0;
    if (sequence == whole) {
      uint64_t copy[sizeof *change / 8];
      size_t n;
      for (n = 0; n < sizeof *change / 8; n++) copy[n] = WIREBOOK_SHM_WORD(&word[n]);
      WIREBOOK_SHM_FENCE();
      if (__atomic_load_n(word, __ATOMIC_RELAXED) == whole) {
        copy[0] = shm->next++;
        memcpy(change, copy, sizeof *change);
        return 1;
      }
    }
    /* Lapped: on from half a ring behind the writer. */
    tail = __atomic_load_n(&head->ring_next, __ATOMIC_ACQUIRE) - head->ring_records / 2;
    if (tail <= shm->next) continue;
    *lost += tail - shm->next;
    shm->next = tail;
  }
}

#ifdef __cplusplus
}
#endif
#endif
