#include "io/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int wb_folder_sync(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int result = fsync(fd) ? -errno : 0;
  close(fd);
  return result;
}

int wb_folder_make(char *path, bool sync) {
  size_t parent = 0; /* bytes of the parent's path, 0: "." */
  for (size_t at = 1;; at++) {
    if (path[at] != '/' && path[at]) continue;
    char was = path[at];
    path[at] = 0;
    int result = mkdir(path, 0755) ? -errno : 0;
    if (!result && sync) {
      char kept = path[parent];
      path[parent] = 0;
      result = wb_folder_sync(parent ? path : kept == '/' ? "/" : ".");
      path[parent] = kept;
    } else if (result) {
      struct stat about;
      if (!stat(path, &about)) result = S_ISDIR(about.st_mode) ? 0 : -ENOTDIR;
    }
    path[at] = was;
    if (result || !was) return result;
    parent = at;
  }
}
