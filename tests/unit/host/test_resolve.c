#include "io/resolve.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Stands before the library's, so that no test asks a name server: every name but localhost is answered here, names that begin
 * with "slow" only when the test says so. */
static sem_t entered, answer, left;
static atomic_int masked, masked_refusal; /* signals blocked in the thread that asked */
static char thread_name[16];              /* of that thread */

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found) {
  static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if ((hints->ai_flags & AI_NUMERICHOST) || !strcmp(host, "localhost")) return real(host, port, hints, found);
  if (!strcmp(host, "broken.test")) return errno = EMFILE, EAI_SYSTEM;
  if (strncmp(host, "slow", 4)) {
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    atomic_store(&masked, sigismember(&now, SIGTERM) + sigismember(&now, SIGINT) + sigismember(&now, SIGUSR1));
    atomic_store(&masked_refusal, sigismember(&now, SIGSYS));
    pthread_getname_np(pthread_self(), thread_name, sizeof thread_name);
    return EAI_NONAME;
  }
  sem_post(&entered);
  while (sem_wait(&answer)) {
  }
  int code = real("127.0.0.9", port, hints, found);
  sem_post(&left);
  return code;
}

static void setup(void) {
  sem_init(&entered, 0, 0);
  sem_init(&answer, 0, 0);
  sem_init(&left, 0, 0);
}

static void wait_for(sem_t *semaphore) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += 20;
  cr_assert_eq(sem_timedwait(semaphore, &end), 0, "nothing happened within 20 s");
}

static void wake(void *self) { sem_post(self); }

static int answered(wb_resolve *resolve, const char *host, const char *port, wb_address *address, unsigned max,
                    wb_error *error) {
  sem_t woken;
  sem_init(&woken, 0, 0);
  cr_assert_eq(wb_resolve_start(resolve, host, port, wake, &woken), 0);
  wait_for(&woken);
  return wb_resolve_poll(resolve, address, max, error);
}

Test(resolve, bad_hosts_and_ports_are_refused, .init = setup) {
  wb_resolve *resolve = wb_resolve_open(NULL);
  cr_assert_not_null(resolve);
  char name[300];
  memset(name, 'a', sizeof name);
  name[256] = 0;
  wb_address address[2];
  wb_error error = {0};
  cr_assert_eq(wb_resolve_poll(resolve, address, 2, &error), WB_E_STATE);
  cr_assert_eq(error.code, WB_E_STATE);
  cr_assert_eq(wb_resolve_poll(resolve, address, 2, NULL), WB_E_STATE);
  cr_assert_eq(wb_resolve_poll(resolve, address, 0, NULL), WB_E_INVALID);
  cr_assert_eq(wb_resolve_start(resolve, NULL, "1", NULL, NULL), WB_E_INVALID);
  cr_assert_eq(wb_resolve_start(resolve, "", "1", NULL, NULL), WB_E_INVALID);
  cr_assert_eq(wb_resolve_start(resolve, "a", NULL, NULL, NULL), WB_E_INVALID);
  const char *const ports[] = {"", "0", "00000", "65536", "99999", "000443", "http", "44 3", "-1", "+1", "443x"};
  for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
    cr_assert_eq(wb_resolve_start(resolve, "a", ports[i], NULL, NULL), WB_E_INVALID, "port %s", ports[i]);
  cr_assert_eq(wb_resolve_start(resolve, name, "1", NULL, NULL), WB_E_LIMIT);
  wb_resolve_close(resolve);
  wb_resolve_close(NULL);
}

Test(resolve, an_ip_literal_is_answered_at_once_and_given_once, .init = setup) {
  wb_resolve *resolve = wb_resolve_open(NULL);
  const struct {
    const char *host, *text;
    int family;
  } cases[] = {{"127.0.0.1", "127.0.0.1:9001", AF_INET}, {"::1", "[::1]:9001", AF_INET6}, {"0:0::1", "[::1]:9001", AF_INET6}};
  for (size_t i = 0; i < 3; i++) {
    wb_address address[2];
    cr_assert_eq(wb_resolve_start(resolve, cases[i].host, "9001", NULL, NULL), 0);
    cr_assert_eq(wb_resolve_poll(resolve, address, 2, NULL), 1);
    cr_assert_eq(address[0].address.ss_family, cases[i].family);
    cr_assert_str_eq(address[0].text, cases[i].text);
    cr_assert_eq(address[0].bytes, cases[i].family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    if (cases[i].family == AF_INET) {
      struct sockaddr_in in;
      memcpy(&in, &address[0].address, sizeof in);
      cr_assert_eq(ntohs(in.sin_port), 9001);
      cr_assert_eq(ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
    }
    cr_assert_eq(wb_resolve_poll(resolve, address, 2, NULL), WB_E_STATE);
  }
  wb_address address;
  cr_assert_eq(answered(resolve, "127.0.0.1", "1", &address, 1, NULL), 1); /* and it wakes */
  wb_resolve_close(resolve);
}

Test(resolve, localhost_is_found_by_the_thread, .init = setup) {
  wb_resolve *resolve = wb_resolve_open(NULL);
  wb_address address[WB_RESOLVE_ADDRESSES_MAX];
  int count = answered(resolve, "localhost", "443", address, WB_RESOLVE_ADDRESSES_MAX, NULL);
  cr_assert_geq(count, 1);
  for (int i = 0; i < count; i++)
    cr_assert(!strcmp(address[i].text, "127.0.0.1:443") || !strcmp(address[i].text, "[::1]:443"), "%s", address[i].text);
  cr_assert_eq(answered(resolve, "localhost", "443", address, 1, NULL), 1);
  wb_resolve_close(resolve);
}

Test(resolve, failure_says_which_name_and_why, .init = setup) {
  wb_resolve *resolve = wb_resolve_open(NULL);
  wb_address address;
  wb_error error = {0};
  cr_assert_eq(answered(resolve, "no.such.test", "443", &address, 1, &error), WB_E_RESOLVE);
  cr_assert_eq(error.code, WB_E_RESOLVE);
  cr_assert_not_null(strstr(error.detail, "no.such.test"), "%s", error.detail);
  cr_assert_eq(answered(resolve, "no.such.test", "443", &address, 1, NULL), WB_E_RESOLVE);
  cr_assert_eq(answered(resolve, "broken.test", "443", &address, 1, &error), WB_E_RESOLVE);
  cr_assert_eq(error.os_errno, EMFILE);
  cr_assert_eq(wb_resolve_poll(resolve, &address, 1, &error), WB_E_STATE);
  wb_resolve_close(resolve);
}

Test(resolve, one_request_at_a_time_and_an_untaken_result_is_dropped, .init = setup) {
  wb_resolve *resolve = wb_resolve_open(NULL);
  wb_address address;
  sem_t woken;
  sem_init(&woken, 0, 0);
  char host[] = "slow.test", port[] = "443";
  cr_assert_eq(wb_resolve_start(resolve, host, port, wake, &woken), 0);
  memset(host, 'x', sizeof host - 1), memset(port, '9', sizeof port - 1); /* both are copied */
  wait_for(&entered);
  cr_assert_eq(wb_resolve_start(resolve, "localhost", "1", NULL, NULL), WB_E_STATE);
  cr_assert_eq(wb_resolve_start(resolve, "127.0.0.1", "1", NULL, NULL), WB_E_STATE);
  cr_assert_eq(wb_resolve_poll(resolve, &address, 1, NULL), 0);
  sem_post(&answer);
  wait_for(&woken);
  cr_assert_eq(wb_resolve_start(resolve, "127.0.0.1", "1", NULL, NULL), 0);
  cr_assert_eq(wb_resolve_poll(resolve, &address, 1, NULL), 1);
  cr_assert_str_eq(address.text, "127.0.0.1:1");
  wb_resolve_close(resolve);
}

static atomic_int wakes;

static void count_wake(void *self) { atomic_fetch_add(&wakes, 1); }

Test(resolve, close_does_not_wait_for_a_slow_answer_and_nobody_is_woken_after_it, .init = setup, .timeout = 30) {
  for (int i = 0; i < 50; i++) {
    wb_resolve *resolve = wb_resolve_open(NULL);
    cr_assert_eq(wb_resolve_start(resolve, "slow.test", "1", count_wake, NULL), 0);
    if (i % 2) wait_for(&entered);
    wb_resolve_close(resolve); /* nothing answers before this returns */
    if (i % 2) {
      sem_post(&answer);
      wait_for(&left);
    }
  }
  cr_assert_eq(atomic_load(&wakes), 0);
}

Test(resolve, its_thread_takes_no_signal_of_the_program_but_the_one_that_tells_a_refused_call, .init = setup) {
  wb_resolve *resolve = wb_resolve_open(NULL);
  wb_address address;
  cr_assert_eq(answered(resolve, "no.such.test", "1", &address, 1, NULL), WB_E_RESOLVE);
  cr_assert_eq(atomic_load(&masked), 3);
  cr_assert_eq(atomic_load(&masked_refusal), 0);
  cr_assert_str_eq(thread_name, "wb-resolve");
  sigset_t now;
  sigprocmask(SIG_BLOCK, NULL, &now);
  cr_assert_eq(sigismember(&now, SIGTERM), 0, "the caller's own mask is as before");
  wb_resolve_close(resolve);
}
