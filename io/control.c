#include "io/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_BYTES_MAX = 128 << 10, REQUESTS_PER_SERVE = 16 };

struct wb_control {
  int fd;
  struct sockaddr_un at;
  char request[WB_CONTROL_BYTES_MAX + 1], answer[ANSWER_BYTES_MAX];
};

static int address(const char *path, struct sockaddr_un *at, wb_error *error) {
  *at = (struct sockaddr_un){.sun_family = AF_UNIX};
  size_t bytes = strlen(path);
  if (bytes == 0 || bytes >= sizeof at->sun_path)
    return wb_error_set(error, WB_E_CONFIG, 0, "control", "'%s' is no path of 1 to %zu bytes", path, sizeof at->sun_path - 1);
  memcpy(at->sun_path, path, bytes);
  return 0;
}

/* A socket at the path that only those may write to whom the mode lets. */
static int bound(const struct sockaddr_un *at, mode_t mode) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  if (fchmod(fd, mode) == 0 && bind(fd, (const struct sockaddr *)at, sizeof *at) == 0) return fd;
  int failed = errno;
  close(fd);
  return -failed;
}

/* Whether a socket lies at the path that nobody listens at. */
static bool left_behind(const struct sockaddr_un *at) {
  struct stat found;
  if (lstat(at->sun_path, &found) != 0 || !S_ISSOCK(found.st_mode)) return false;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool gone = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno == ECONNREFUSED;
  if (fd >= 0) close(fd);
  return gone;
}

wb_control *wb_control_open(const char *path, wb_error *error) {
  wb_control *control = malloc(sizeof *control);
  if (!control) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "control", "no memory");
    return NULL;
  }
  if (address(path, &control->at, error) == 0) {
    control->fd = bound(&control->at, 0600);
    if (control->fd == -EADDRINUSE && left_behind(&control->at) && unlink(path) == 0) control->fd = bound(&control->at, 0600);
    if (control->fd >= 0) return control;
    wb_error_set(error, WB_E_SYSTEM, -control->fd, "control", "cannot listen at %s: %s", path, strerror(-control->fd));
  }
  free(control);
  return NULL;
}

void wb_control_close(wb_control *control) {
  if (!control) return;
  close(control->fd);
  unlink(control->at.sun_path);
  free(control);
}

int wb_control_fd(const wb_control *control) { return control->fd; }

/* ------------------------------------------------------------------------------------------------ requests */

/* "BTC-USD" or "BTC-USD:2:8"; cuts the word at the first colon. */
static bool product_of(char *word, wb_product *like) {
  *like = (wb_product){.price_decimals = WB_DECIMALS_DEFAULT, .size_decimals = WB_DECIMALS_DEFAULT};
  char *at = strchr(word, ':');
  if (!at) return true;
  *at++ = 0;
  uint8_t *decimals[] = {&like->price_decimals, &like->size_decimals};
  for (unsigned i = 0; i < 2; i++) {
    char *end;
    unsigned long n = strtoul(at, &end, 10);
    if (*at < '0' || *at > '9' || *end != (i ? 0 : ':') || n > WB_DECIMALS_MAX) return false;
    *decimals[i] = (uint8_t)n;
    at = end + 1;
  }
  return true;
}

static const char *failure(int result) {
  switch (result) {
  case WB_E_FULL: return "no room is left (--product-room)";
  case WB_E_INVALID: return "not one of the node's products";
  case WB_E_STATE: return "a replay takes the products it is given";
  default: return "no product id";
  }
}

static size_t carry_out(wb_node *node, bool adds, char *word, char *answer, size_t size) {
  wb_product like;
  bool good = (adds || !strchr(word, ':')) && product_of(word, &like);
  size_t bytes = strlen(word);
  int result = !good  ? WB_E_SYNTAX
               : adds ? wb_node_product_add(node, word, bytes, &like)
                      : wb_node_product_remove(node, word, bytes);
  int n = result < 0 ? snprintf(answer, size, "failed %.64s: %s\n", word, failure(result))
                     : snprintf(answer, size, "%s %s\n",
                                result == 0 ? "unchanged"
                                : adds      ? "added"
                                            : "removed",
                                word);
  return (size_t)n < size ? (size_t)n : size - 1;
}

static size_t serve(wb_control *control, wb_node *node) {
  char *rest = control->request, *verb = strsep(&rest, " \n");
  bool adds = strcmp(verb, "add") == 0;
  size_t used = 0, room = sizeof control->answer;
  if (adds || strcmp(verb, "remove") == 0)
    for (char *word; (word = strsep(&rest, " \n"));)
      if (*word) used += carry_out(node, adds, word, control->answer + used, room - used);
  if (!used) used = (size_t)snprintf(control->answer, room, "failed: neither `add ID ...` nor `remove ID ...`\n");
  return used;
}

void wb_control_serve(wb_control *control, wb_node *node) {
  for (unsigned i = 0; i < REQUESTS_PER_SERVE; i++) {
    struct sockaddr_un from;
    socklen_t from_bytes = sizeof from;
    ssize_t bytes = recvfrom(control->fd, control->request, WB_CONTROL_BYTES_MAX, MSG_DONTWAIT | MSG_TRUNC,
                             (struct sockaddr *)&from, &from_bytes);
    if (bytes < 0) return;
    size_t used;
    if (bytes > WB_CONTROL_BYTES_MAX) {
      used = (size_t)snprintf(control->answer, sizeof control->answer, "failed: more than %d bytes\n", WB_CONTROL_BYTES_MAX);
    } else {
      control->request[bytes] = 0;
      used = serve(control, node);
    }
    if (from_bytes > offsetof(struct sockaddr_un, sun_path))
      sendto(control->fd, control->answer, used, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&from, from_bytes);
  }
}

/* ------------------------------------------------------------------------------------------------ asking */

static int exchange(int fd, const struct sockaddr_un *at, const char *request, char *answer, size_t size, int timeout_ms,
                    wb_error *error) {
  if (connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 || send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
    return wb_error_set(error, WB_E_CONNECT, errno, "control", "no node listens at %s: %s", at->sun_path, strerror(errno));
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  if (poll(&wait, 1, timeout_ms) <= 0)
    return wb_error_set(error, WB_E_TIMEOUT, ETIMEDOUT, "control", "the node at %s does not answer", at->sun_path);
  ssize_t bytes = recv(fd, answer, size - 1, 0);
  if (bytes < 0) return wb_error_set(error, WB_E_SYSTEM, errno, "control", "no answer: %s", strerror(errno));
  answer[bytes] = 0;
  return 0;
}

int wb_control_ask(const char *path, const char *request, char *answer, size_t size, int timeout_ms, wb_error *error) {
  struct sockaddr_un at, own;
  char name[sizeof own.sun_path + 32];
  snprintf(name, sizeof name, "%s.%ld", path, (long)getpid());
  if (address(path, &at, error) != 0 || address(name, &own, error) != 0) return WB_E_CONFIG;
  int fd = bound(&own, 0666); /* the node may be another user's; a connected socket hears nobody else */
  if (fd < 0) return wb_error_set(error, WB_E_SYSTEM, -fd, "control", "cannot make %s: %s", name, strerror(-fd));
  int result = exchange(fd, &at, request, answer, size, timeout_ms, error);
  close(fd);
  unlink(own.sun_path);
  return result;
}
