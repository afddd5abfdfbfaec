/* memory.h - large memory from the kernel: mirrored rings, lazily backed arenas, huge pages where the machine has them. Cold
 * functions, any thread. */
#ifndef WB_IO_MEMORY_H
#define WB_IO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* wb_mirror_open maps one piece of memory of `bytes` (power of two, multiple of the page size) twice in a row and returns its
 * base, so that base[i] and base[bytes + i] are the same byte; a readable page follows. NULL on failure. prefault touches every
 * page now. */
void *wb_mirror_open(size_t bytes, bool prefault, wb_error *error);
void wb_mirror_close(void *base, size_t bytes);

/* wb_arena_open reserves `bytes` of zeroed private memory, page-aligned, backed as it is touched. NULL on failure. */
void *wb_arena_open(size_t bytes, wb_error *error);
void wb_arena_close(void *base, size_t bytes);

/* wb_arena_open_huge: the same for what is used densely, on huge pages where the kernel has some to give; wb_arena_close. */
void *wb_arena_open_huge(size_t bytes, wb_error *error);

/* wb_memory_populate backs whole pages with memory now, so that the first touch costs nothing later. Best effort: what cannot be backed
 * is backed as it is touched. */
void wb_memory_populate(void *base, size_t bytes);

#endif
