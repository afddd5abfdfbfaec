#include "io/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A copy of a variable that is then gone, NULL if it is not set or empty; to be freed. */
static char *taken(const char *name) {
  const char *text = getenv(name);
  char *copy = text && *text ? strdup(text) : NULL;
  unsetenv(name);
  return copy;
}

static bool number(const char *text, uint64_t *value) {
  char *end;
  errno = 0;
  *value = strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && !*end && !errno;
}

static int watchdog(wb_notify *notify, const char *every, const char *whom, wb_error *error) {
  uint64_t us, pid;
  if (!every || (whom && number(whom, &pid) && pid != (uint64_t)getpid())) return 0;
  if (!number(every, &us) || us == 0 || us > UINT64_MAX / 1000)
    return wb_error_set(error, WB_E_CONFIG, 0, "notify", "WATCHDOG_USEC '%s' is no time in microseconds", every);
  notify->watchdog_ns = us * 1000;
  return 0;
}

static int address(wb_notify *notify, const char *name, wb_error *error) {
  size_t bytes = strlen(name);
  if ((*name != '/' && *name != '@') || bytes < 2 || bytes >= sizeof notify->at.sun_path)
    return wb_error_set(error, WB_E_CONFIG, 0, "notify",
                        "NOTIFY_SOCKET '%s' is neither a path nor '@' and an abstract name, of 2 to %zu bytes", name,
                        sizeof notify->at.sun_path - 1);
  notify->at.sun_family = AF_UNIX;
  memcpy(notify->at.sun_path, name, bytes);
  notify->at_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + (*name == '/'));
  if (*name == '@') notify->at.sun_path[0] = 0; /* its length ends an abstract name */
  return 0;
}

static int connected(wb_notify *notify) { return connect(notify->fd, (const struct sockaddr *)&notify->at, notify->at_bytes); }

int wb_notify_open(wb_notify *notify, wb_error *error) {
  *notify = (wb_notify){.fd = -1};
  char *name = taken("NOTIFY_SOCKET"), *every = taken("WATCHDOG_USEC"), *whom = taken("WATCHDOG_PID");
  int result = name ? address(notify, name, error) : 0;
  if (name && result == 0) result = watchdog(notify, every, whom, error);
  if (name && result == 0) {
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0 || connected(notify) != 0)
      result =
          wb_error_set(error, WB_E_SYSTEM, errno, "notify", "nobody listens at %s (NOTIFY_SOCKET): %s", name, strerror(errno));
  }
  if (result != 0) wb_notify_close(notify);
  free(name);
  free(every);
  free(whom);
  return result;
}

void wb_notify_close(wb_notify *notify) {
  if (notify->fd >= 0) close(notify->fd);
  *notify = (wb_notify){.fd = -1};
}

bool wb_notify_send(wb_notify *notify, const char *lines) {
  if (notify->fd < 0) return true;
  size_t bytes = strlen(lines);
  for (int tries = 0; tries < 2; tries++) {
    if (send(notify->fd, lines, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes) return true;
    if (errno == EAGAIN || connected(notify) != 0) return false; /* a manager that was restarted listens at a new socket */
  }
  return false;
}
