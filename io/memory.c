#include "io/memory.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define HUGE_BYTES (UINT64_C(2) << 20)

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* Aligned address space that is nobody else's. */
static uint8_t *reserve(size_t need, size_t align) {
  size_t whole = need + align;
  uint8_t *start = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return NULL;
  uint8_t *base = (uint8_t *)(((uintptr_t)start + align - 1) & ~(uintptr_t)(align - 1));
  if (base > start) munmap(start, (size_t)(base - start));
  if (start + whole > base + need) munmap(base + need, (size_t)(start + whole - (base + need)));
  return base;
}

static int populate(uint8_t *base, size_t bytes, bool huge) {
  if (madvise(base, bytes, MADV_POPULATE_WRITE) == 0) return 0;
  if (errno != EINVAL || huge) return -1; /* EINVAL: a kernel before 5.14 */
  for (size_t at = 0; at < bytes; at += page_bytes()) *(volatile uint8_t *)(base + at) = 0;
  return 0;
}

static void *mirror(size_t bytes, bool prefault, unsigned flags, size_t align, wb_error *error) {
  int file = memfd_create("wirebook", MFD_CLOEXEC | flags);
  if (file < 0) return wb_error_set(error, WB_E_SYSTEM, errno, "memfd_create", "cannot make shared memory"), NULL;
  uint8_t *base = NULL;
  if (ftruncate(file, (off_t)bytes) != 0) {
    wb_error_set(error, WB_E_MEMORY, errno, "ftruncate", "cannot size shared memory to %zu bytes", bytes);
    goto failed;
  }
  /* Both halves and the page behind them at once, so that nothing else can come to lie in between. */
  base = reserve(2 * bytes + page_bytes(), align);
  if (!base) {
    wb_error_set(error, WB_E_MEMORY, errno, "mmap", "cannot reserve %zu bytes of address space", 2 * bytes);
    goto failed;
  }
  for (int half = 0; half < 2; half++) {
    if (mmap(base + (size_t)half * bytes, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
      wb_error_set(error, WB_E_MEMORY, errno, "mmap", "cannot map %zu bytes twice in a row", bytes);
      goto failed;
    }
  }
  if (mprotect(base + 2 * bytes, page_bytes(), PROT_READ) != 0) {
    wb_error_set(error, WB_E_MEMORY, errno, "mprotect", "cannot make the page behind the mirror readable");
    goto failed;
  }
  bool huge = (flags & MFD_HUGETLB) != 0;
  if (align >= HUGE_BYTES && !huge) (void)madvise(base, 2 * bytes, MADV_HUGEPAGE);
  if (prefault && populate(base, 2 * bytes, huge) != 0) {
    wb_error_set(error, WB_E_MEMORY, errno, "madvise", "cannot back %zu bytes with memory now", bytes);
    goto failed;
  }
  close(file);
  return base;

failed:
  if (base) wb_mirror_close(base, bytes);
  close(file);
  return NULL;
}

void *wb_mirror_open(size_t bytes, bool prefault, wb_error *error) {
  if (bytes == 0 || (bytes & (bytes - 1)) != 0 || bytes % page_bytes() != 0 || bytes > SIZE_MAX / 8)
    return wb_error_set(error, WB_E_INVALID, 0, "wb_mirror_open", "%zu bytes is not a power of two of whole pages", bytes),
           NULL;
  size_t align = bytes >= HUGE_BYTES ? HUGE_BYTES : page_bytes();
  /* Pages of the huge-page pool only together with prefault: populating says no where a cgroup's limit would otherwise end the
   * process with SIGBUS at the first touch. */
  if (prefault && align == HUGE_BYTES) {
    void *base = mirror(bytes, true, MFD_HUGETLB | (21u << MAP_HUGE_SHIFT), align, NULL);
    if (base) return base;
  }
  return mirror(bytes, prefault, 0, align, error);
}

void wb_mirror_close(void *base, size_t bytes) {
  if (base) munmap(base, 2 * bytes + page_bytes());
}

void *wb_arena_open(size_t bytes, wb_error *error) {
  if (bytes == 0) return wb_error_set(error, WB_E_INVALID, 0, "wb_arena_open", "an arena of 0 bytes"), NULL;
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base != MAP_FAILED) return base;
  return wb_error_set(error, WB_E_MEMORY, errno, "mmap", "cannot reserve %zu bytes", bytes), NULL;
}

void *wb_arena_open_huge(size_t bytes, wb_error *error) {
  if (bytes == 0 || bytes > SIZE_MAX / 2)
    return wb_error_set(error, WB_E_INVALID, 0, "wb_arena_open_huge", "an arena of %zu bytes", bytes), NULL;
  size_t whole = (bytes + page_bytes() - 1) & ~(page_bytes() - 1);
  uint8_t *base = reserve(whole, HUGE_BYTES);
  if (!base || mprotect(base, whole, PROT_READ | PROT_WRITE) != 0) {
    wb_error_set(error, WB_E_MEMORY, errno, "mmap", "cannot reserve %zu bytes", bytes);
    if (base) munmap(base, whole);
    return NULL;
  }
  (void)madvise(base, whole, MADV_HUGEPAGE);
  return base;
}

void wb_arena_close(void *base, size_t bytes) {
  if (base) munmap(base, bytes);
}

void wb_memory_populate(void *base, size_t bytes) { (void)madvise(base, bytes, MADV_POPULATE_WRITE); }
