#include "io/archive_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, DEPTH_MAX = 3 };

typedef struct listing {
  const char *root;
  wb_archive_entry *entry;
  size_t count, capacity;
} listing;

static int by_name(const void *one, const void *other) {
  const wb_archive_entry *a = one, *b = other;
  int names = strcmp(a->name, b->name);
  return names ? names : strcmp(a->path, b->path);
}

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

wb_archive_entry *wb_archive_list_find(const wb_archive_entry *entry, size_t count, const char *path) {
  wb_archive_entry key = {.path = (char *)path, .name = name_of(path)};
  return count ? bsearch(&key, entry, count, sizeof key, by_name) : NULL;
}

void wb_archive_list_free(wb_archive_entry *entry, size_t count) {
  for (size_t i = 0; i < count; i++) free(entry[i].path);
  free(entry);
}

static bool ends_with(const char *text, const char *end) {
  size_t bytes = strlen(text), end_bytes = strlen(end);
  return bytes > end_bytes && !strcmp(text + bytes - end_bytes, end);
}

static int list_file(listing *list, const char *path, bool zst, const struct stat *about) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? 2 * list->capacity : 256;
    wb_archive_entry *more = realloc(list->entry, capacity * sizeof *more);
    if (!more) return -ENOMEM;
    list->entry = more;
    list->capacity = capacity;
  }
  uint64_t bytes = (uint64_t)about->st_size;
  wb_archive_entry e = {.path = strndup(path, strlen(path) - (zst ? 4 : 0)),
                        .plain = !zst,
                        .zst = zst,
                        .plain_bytes = zst ? 0 : bytes,
                        .zst_bytes = zst ? bytes : 0,
                        .written_utc_ns = (int64_t)about->st_mtim.tv_sec * 1000000000 + about->st_mtim.tv_nsec};
  if (!e.path) return -ENOMEM;
  e.name = name_of(e.path);
  list->entry[list->count++] = e;
  return 0;
}

/* folder: below the root, "" or ending in a slash. */
static int list_folder(listing *list, const char *folder, unsigned depth) {
  char text[PATH_BYTES];
  snprintf(text, sizeof text, "%s/%s", list->root, folder);
  DIR *dir = opendir(text);
  if (!dir) return errno == ENOENT && depth ? 0 : -errno;
  int result = 0;
  struct dirent *item;
  while (!result && (item = readdir(dir))) {
    struct stat about;
    if (item->d_name[0] == '.' || fstatat(dirfd(dir), item->d_name, &about, AT_SYMLINK_NOFOLLOW)) continue;
    bool is_folder = S_ISDIR(about.st_mode), zst = ends_with(item->d_name, ".wbseg.zst");
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s%s%s", folder, item->d_name, is_folder ? "/" : "") >= WB_ARCHIVE_BELOW_BYTES) continue;
    if (is_folder && depth < DEPTH_MAX) result = list_folder(list, path, depth + 1);
    else if (!S_ISREG(about.st_mode)) continue;
    else if (zst || ends_with(item->d_name, ".wbseg")) result = list_file(list, path, zst, &about);
    else if (ends_with(item->d_name, ".wbseg.zst.tmp") || ends_with(item->d_name, ".wbidx.tmp"))
      unlinkat(dirfd(dir), item->d_name, 0); /* of a run that was killed */
  }
  closedir(dir);
  return result;
}

static void join_forms(listing *list) {
  size_t kept = 0;
  if (list->count) qsort(list->entry, list->count, sizeof *list->entry, by_name);
  for (size_t i = 0; i < list->count; i++) {
    wb_archive_entry *e = &list->entry[i], *last = kept ? &list->entry[kept - 1] : NULL;
    if (!last || strcmp(last->path, e->path)) {
      list->entry[kept++] = *e;
      continue;
    }
    last->plain |= e->plain;
    last->zst |= e->zst;
    last->plain_bytes += e->plain_bytes;
    last->zst_bytes += e->zst_bytes;
    free(e->path);
  }
  list->count = kept;
}

int wb_archive_list_read(const char *root, wb_archive_entry **entry, size_t *count) {
  listing list = {.root = root};
  int result = list_folder(&list, "", 0);
  if (result) {
    wb_archive_list_free(list.entry, list.count);
    return result;
  }
  join_forms(&list);
  *entry = list.entry;
  *count = list.count;
  return 0;
}
