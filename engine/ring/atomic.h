/* atomic.h - the few memory accesses by which two threads of wirebook meet, and nothing else.
 *
 * What:    relaxed load, load-acquire and store-release of one 64-bit word, on Concurrency Kit: plain moves on TSO machines
 * (its fences are compiler barriers there), real fences elsewhere. Why two: Concurrency Kit's accesses are inline assembly,
 * which ThreadSanitizer cannot see. Under it the same are the compiler's C11 atomics, so that a missing edge is found and
 * a present one is not reported. */
#ifndef WB_RING_ATOMIC_H
#define WB_RING_ATOMIC_H

#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define WB_ATOMIC_C11 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WB_ATOMIC_C11 1
#endif
#endif

#if defined(WB_ATOMIC_C11)

static inline uint64_t wb_load_relaxed(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline uint64_t wb_load_acquire(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void wb_store_relaxed(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }
static inline void wb_store_release(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

/* ThreadSanitizer does not see fences: a sequence lock's words are atomic themselves, so it reports nothing that is no race. */
static inline void wb_fence_acquire(void) {}
static inline void wb_fence_release(void) {}
static inline void wb_fence_full(void) {
  static uint32_t word;
  __atomic_fetch_add(&word, 0, __ATOMIC_SEQ_CST);
}

#else

#include <ck_pr.h>

/* wb_load_relaxed reads the word once, whole. */
static inline uint64_t wb_load_relaxed(const uint64_t *word) { return ck_pr_load_64(word); }

/* wb_load_acquire: no later access of this thread is done before it. Pairs with wb_store_release of the same word. */
static inline uint64_t wb_load_acquire(const uint64_t *word) {
  uint64_t value = ck_pr_load_64(word);
  ck_pr_fence_acquire();
  return value;
}

/* wb_store_relaxed writes the word once, whole. */
static inline void wb_store_relaxed(uint64_t *word, uint64_t value) { ck_pr_store_64(word, value); }

/* wb_store_release: all earlier accesses of this thread, loads too, are done before it. */
static inline void wb_store_release(uint64_t *word, uint64_t value) {
  ck_pr_fence_release();
  ck_pr_store_64(word, value);
}

/* The fences of a sequence lock, and of the handshake "I sleep / I published". */
static inline void wb_fence_acquire(void) { ck_pr_fence_acquire(); }
static inline void wb_fence_release(void) { ck_pr_fence_release(); }
static inline void wb_fence_full(void) { ck_pr_fence_memory(); }

#endif

/* The words under a sequence lock: a copy that was torn is thrown away by whoever made it, so how they are moved is the compiler's choice; only
 * ThreadSanitizer wants to see each of them moved whole. Fences around them are the caller's. */
#if defined(WB_ATOMIC_C11)
#define wb_word_store(to, value) __atomic_store_n(to, value, __ATOMIC_RELAXED)
#else
#define wb_word_store(to, value) (*(to) = (value))
#endif
static inline void wb_words_store(uint64_t *to, const uint64_t *from, unsigned count) {
#if defined(WB_ATOMIC_C11)
  for (unsigned i = 0; i < count; i++) wb_store_relaxed(&to[i], from[i]);
#else
  memcpy(to, from, count * sizeof *to);
#endif
}
static inline void wb_words_load(uint64_t *to, const uint64_t *from, unsigned count) {
#if defined(WB_ATOMIC_C11)
  for (unsigned i = 0; i < count; i++) to[i] = wb_load_relaxed(&from[i]);
#else
  memcpy(to, from, count * sizeof *to);
#endif
}

/* wb_pause is the body of a busy wait. */
static inline void wb_pause(void) {
#if defined(WB_ATOMIC_C11)
  __asm__ volatile("" : : : "memory");
#else
  ck_pr_stall();
#endif
}

#endif
