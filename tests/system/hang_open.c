/* Preloaded into the node: an open that would make a segment waits until the pipe named by WIREBOOK_HANG_OPEN has been opened and closed by
 * somebody else, as on a disk that hangs. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int open(const char *path, int flags, ...) {
  int (*next)(const char *, int, ...);
  *(void **)&next = dlsym(RTLD_NEXT, "open");
  va_list arguments;
  va_start(arguments, flags);
  int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
  va_end(arguments);
  const char *pipe = getenv("WIREBOOK_HANG_OPEN");
  if (pipe && (flags & O_CREAT) && strstr(path, ".wbseg")) {
    int fd = next(pipe, O_RDONLY | O_CLOEXEC); /* waits for a writer */
    char byte;
    while (read(fd, &byte, 1) > 0) {
    }
    close(fd);
  }
  return next(path, flags, mode);
}
