#include "io/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/cpu.h"

enum { HOST_BYTES = 256, PORT_BYTES = 8, STACK_BYTES = 512 * 1024 };
enum { IDLE, ASKED, DONE };

/* Shared by its owner and the thread, freed by the last of the two; everything below is under the lock. */
struct wb_resolve {
  pthread_mutex_t lock;
  pthread_cond_t asked;
  int references, state;
  bool closed;
  char host[HOST_BYTES], port[PORT_BYTES];
  void (*wake)(void *);
  void *wake_self;
  unsigned count;
  wb_address address[WB_RESOLVE_ADDRESSES_MAX];
  wb_error error;
};

static void leave(wb_resolve *resolve) { /* with the lock held */
  bool last = !--resolve->references;
  pthread_mutex_unlock(&resolve->lock);
  if (!last) return;
  pthread_cond_destroy(&resolve->asked);
  pthread_mutex_destroy(&resolve->lock);
  free(resolve);
}

static int look_up(const char *host, const char *port, int flags, struct addrinfo **found) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
  *found = NULL;
  return getaddrinfo(host, port, &hints, found);
}

static unsigned keep(wb_address *address, const struct addrinfo *found) {
  unsigned count = 0;
  for (; found && count < WB_RESOLVE_ADDRESSES_MAX; found = found->ai_next) {
    if (found->ai_family != AF_INET && found->ai_family != AF_INET6) continue;
    wb_address *a = &address[count++];
    char host[INET6_ADDRSTRLEN + 32] = "?", port[PORT_BYTES] = "?";
    memset(a, 0, sizeof *a);
    memcpy(&a->address, found->ai_addr, found->ai_addrlen);
    a->bytes = found->ai_addrlen;
    getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(a->text, sizeof a->text, found->ai_family == AF_INET6 ? "[%.54s]:%s" : "%.54s:%s", host, port);
  }
  return count;
}

static void *work(void *argument) {
  wb_resolve *resolve = argument;
  wb_cpu_name(pthread_self(), "wb-resolve");
  pthread_mutex_lock(&resolve->lock);
  for (;;) {
    while (!resolve->closed && resolve->state != ASKED) pthread_cond_wait(&resolve->asked, &resolve->lock);
    if (resolve->closed) break;
    char host[HOST_BYTES], port[PORT_BYTES];
    memcpy(host, resolve->host, sizeof host);
    memcpy(port, resolve->port, sizeof port);
    pthread_mutex_unlock(&resolve->lock);

    struct addrinfo *found;
    int code = look_up(host, port, 0, &found), os_errno = code == EAI_SYSTEM ? errno : 0;

    pthread_mutex_lock(&resolve->lock);
    resolve->count = code ? 0 : keep(resolve->address, found);
    if (code)
      wb_error_set(&resolve->error, WB_E_RESOLVE, os_errno, "getaddrinfo", "%.150s: %s", host,
                   code == EAI_SYSTEM ? strerror(os_errno) : gai_strerror(code));
    else if (!resolve->count) wb_error_set(&resolve->error, WB_E_RESOLVE, 0, "getaddrinfo", "%.150s has no IP address", host);
    if (found) freeaddrinfo(found);
    resolve->state = DONE;
    if (!resolve->closed && resolve->wake) resolve->wake(resolve->wake_self);
  }
  leave(resolve);
  return NULL;
}

wb_resolve *wb_resolve_open(wb_error *error) {
  wb_resolve *resolve = calloc(1, sizeof *resolve);
  if (!resolve) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "resolver", "no memory");
    return NULL;
  }
  pthread_mutex_init(&resolve->lock, NULL);
  pthread_cond_init(&resolve->asked, NULL);
  resolve->references = 2;

  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  sigset_t all, before;
  sigfillset(&all);        /* signals are for the program's own threads */
  sigdelset(&all, SIGSYS); /* but what a refused system call is told by is for the thread that made it */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int code = pthread_create(&thread, &attributes, work, resolve);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (code) {
    wb_error_set(error, WB_E_SYSTEM, code, "pthread_create", "%s", strerror(code));
    resolve->references = 1;
    pthread_mutex_lock(&resolve->lock);
    leave(resolve);
    return NULL;
  }
  return resolve;
}

void wb_resolve_close(wb_resolve *resolve) {
  if (!resolve) return;
  pthread_mutex_lock(&resolve->lock);
  resolve->closed = true;
  pthread_cond_signal(&resolve->asked);
  leave(resolve);
}

static bool port_valid(const char *port) {
  unsigned value = 0, digits = 0;
  for (; port[digits]; digits++) {
    if (port[digits] < '0' || port[digits] > '9' || digits == 5) return false;
    value = value * 10 + (unsigned)(port[digits] - '0');
  }
  return value >= 1 && value <= 65535;
}

int wb_resolve_start(wb_resolve *resolve, const char *host, const char *port, void (*wake)(void *), void *wake_self) {
  if (!host || !*host || !port || !port_valid(port)) return WB_E_INVALID;
  if (strlen(host) >= HOST_BYTES) return WB_E_LIMIT;
  pthread_mutex_lock(&resolve->lock);
  if (resolve->state == ASKED) {
    pthread_mutex_unlock(&resolve->lock);
    return WB_E_STATE;
  }
  struct addrinfo *found;
  if (!look_up(host, port, AI_NUMERICHOST, &found)) {
    resolve->count = keep(resolve->address, found);
    resolve->state = DONE;
    freeaddrinfo(found);
    pthread_mutex_unlock(&resolve->lock);
    if (wake) wake(wake_self);
    return 0;
  }
  strcpy(resolve->host, host);
  strcpy(resolve->port, port);
  resolve->wake = wake;
  resolve->wake_self = wake_self;
  resolve->state = ASKED;
  pthread_cond_signal(&resolve->asked);
  pthread_mutex_unlock(&resolve->lock);
  return 0;
}

int wb_resolve_poll(wb_resolve *resolve, wb_address *address, unsigned max, wb_error *error) {
  if (!max) return WB_E_INVALID;
  pthread_mutex_lock(&resolve->lock);
  int result = 0;
  if (resolve->state == IDLE) {
    result = wb_error_set(error, WB_E_STATE, 0, "resolver", "nothing was asked");
  } else if (resolve->state == DONE) {
    unsigned count = resolve->count < max ? resolve->count : max;
    memcpy(address, resolve->address, count * sizeof *address);
    if (!count && error) *error = resolve->error;
    result = count ? (int)count : WB_E_RESOLVE;
    resolve->state = IDLE;
  }
  pthread_mutex_unlock(&resolve->lock);
  return result;
}
