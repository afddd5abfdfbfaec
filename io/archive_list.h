/* archive_list.h - the segments below DIR/<feed> as files: plain, compressed, or both, and what the archiver knows of each.
 *
 * Order:   by the last part of the path, so by time; equal ones by the path.
 * Killed:  what an archiver that was killed left half made (*.tmp of compressed segments and indexes) is removed on the way.
 * Memory:  some 200 bytes a segment. Threads: one. Belongs to io/archiver. */
#ifndef WB_IO_ARCHIVE_LIST_H
#define WB_IO_ARCHIVE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest path below the root, a suffix and a NUL included. */
enum { WB_ARCHIVE_BELOW_BYTES = 1008 };

/* A segment, in one form or both. path: below the root, of the plain form; name: its last part. age, sealed, archived, indexed, gone and
 * the retry are the archiver's, and zero at first. */
typedef struct wb_archive_entry {
  char *path;
  const char *name;
  bool plain, zst, sealed, archived, indexed, gone;
  uint64_t plain_bytes, zst_bytes, index_bytes;
  int64_t written_utc_ns, age_ns; /* since it was written, as of the monotonic time aged_at_ns */
  uint64_t aged_at_ns;
  uint64_t retry_at_ns, retry_ns;
} wb_archive_entry;

/* wb_archive_list_read lists what lies below a folder. 0 with *entry (wb_archive_list_free) and *count; or -errno. */
int wb_archive_list_read(const char *root, wb_archive_entry **entry, size_t *count);
void wb_archive_list_free(wb_archive_entry *entry, size_t count);

/* wb_archive_list_find returns the entry of a path, or NULL. */
wb_archive_entry *wb_archive_list_find(const wb_archive_entry *entry, size_t count, const char *path);

#endif
