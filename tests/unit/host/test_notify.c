#include "io/notify.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set_up(void) {
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
}

TestSuite(notify, .init = set_up);

/* A manager's socket: at a path of its own, or at an abstract name. */
static int listening(char *name, size_t size, bool abstract) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  if (abstract) snprintf(name, size, "@wirebook-notify-%d", (int)getpid());
  else snprintf(name, size, "/tmp/wirebook-notify-%d", (int)getpid());
  memcpy(at.sun_path, name, strlen(name));
  if (abstract) at.sun_path[0] = 0;
  else unlink(name);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
  cr_assert_eq(bind(fd, (struct sockaddr *)&at, abstract ? bytes : sizeof at), 0);
  return fd;
}

static const char *heard(int fd) {
  static char text[8192];
  ssize_t bytes = recv(fd, text, sizeof text - 1, 0);
  text[bytes < 0 ? 0 : bytes] = 0;
  return text;
}

Test(notify, a_name_that_is_neither_a_path_nor_abstract_is_refused_and_nobody_is_told) {
  char longest[200];
  memset(longest, 'x', sizeof longest - 1);
  longest[0] = '/';
  longest[sizeof longest - 1] = 0;
  const char *const bad[] = {"run/notify", "/", "@", "vsock:2:9999", " ", longest};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wb_notify notify;
    wb_error error = {0};
    setenv("NOTIFY_SOCKET", bad[i], 1);
    cr_expect_eq(wb_notify_open(&notify, &error), WB_E_CONFIG, "%s", bad[i]);
    cr_expect_eq(notify.fd, -1);
    cr_expect_neq(error.detail[0], 0);
    cr_expect(wb_notify_send(&notify, "READY=1"), "nobody is there to miss it");
    cr_expect_null(getenv("NOTIFY_SOCKET"));
  }
}

Test(notify, a_socket_at_which_nobody_listens_is_an_error_of_the_system) {
  wb_notify notify;
  wb_error error = {0};
  setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
  cr_expect_eq(wb_notify_open(&notify, &error), WB_E_SYSTEM);
  cr_expect_eq(notify.fd, -1);
  cr_expect(strstr(error.detail, "/nonexistent/notify"), "%s", error.detail);
}

Test(notify, a_watchdog_time_that_is_none_is_refused) {
  char name[64];
  int manager = listening(name, sizeof name, true);
  const char *const bad[] = {"0", "-1", "1s", "x", "18446744073709551616", "18446744073709551615"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wb_notify notify;
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", bad[i], 1);
    cr_expect_eq(wb_notify_open(&notify, NULL), WB_E_CONFIG, "%s", bad[i]);
    cr_expect_eq(notify.fd, -1);
    cr_expect_eq(notify.watchdog_ns, 0);
  }
  close(manager);
}

Test(notify, without_a_manager_nothing_is_opened_and_everything_counts_as_told) {
  wb_notify notify;
  setenv("NOTIFY_SOCKET", "", 1);
  setenv("WATCHDOG_USEC", "1000000", 1);
  cr_expect_eq(wb_notify_open(&notify, NULL), 0);
  cr_expect_eq(notify.fd, -1);
  cr_expect_eq(notify.watchdog_ns, 0);
  cr_expect(wb_notify_send(&notify, "READY=1"));
  wb_notify_close(&notify);
}

Test(notify, what_is_sent_arrives_whole_at_a_path_and_at_an_abstract_name) {
  for (int abstract = 0; abstract < 2; abstract++) {
    char name[64];
    int manager = listening(name, sizeof name, abstract);
    wb_notify notify;
    wb_error error = {0};
    setenv("NOTIFY_SOCKET", name, 1);
    cr_assert_eq(wb_notify_open(&notify, &error), 0, "%s", error.detail);
    cr_expect(wb_notify_send(&notify, "READY=1\nSTATUS=2 of 2 books live"));
    cr_expect(wb_notify_send(&notify, "WATCHDOG=1"));
    cr_expect_str_eq(heard(manager), "READY=1\nSTATUS=2 of 2 books live");
    cr_expect_str_eq(heard(manager), "WATCHDOG=1");
    wb_notify_close(&notify);
    cr_expect_eq(notify.fd, -1);
    close(manager);
    if (!abstract) unlink(name);
  }
}

Test(notify, the_watchdog_is_for_the_process_that_it_names) {
  char name[64], own[24];
  int manager = listening(name, sizeof name, true);
  snprintf(own, sizeof own, "%d", (int)getpid());
  const struct {
    const char *pid;
    uint64_t ns;
  } cases[] = {{NULL, 3000000000}, {own, 3000000000}, {"1", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wb_notify notify;
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    if (cases[i].pid) setenv("WATCHDOG_PID", cases[i].pid, 1);
    cr_assert_eq(wb_notify_open(&notify, NULL), 0);
    cr_expect_eq(notify.watchdog_ns, cases[i].ns, "%zu", i);
    cr_expect(!getenv("NOTIFY_SOCKET") && !getenv("WATCHDOG_USEC") && !getenv("WATCHDOG_PID"), "not for its children");
    wb_notify_close(&notify);
  }
  close(manager);
}

Test(notify, a_manager_whose_queue_is_full_is_never_waited_for_and_hears_the_next) {
  char name[64];
  int manager = listening(name, sizeof name, true);
  wb_notify notify;
  setenv("NOTIFY_SOCKET", name, 1);
  cr_assert_eq(wb_notify_open(&notify, NULL), 0);
  unsigned sent = 0;
  while (sent < 1000000 && wb_notify_send(&notify, "WATCHDOG=1")) sent++;
  cr_assert_lt(sent, 1000000, "a queue has an end");
  for (unsigned i = 0; i < sent; i++) cr_assert_str_eq(heard(manager), "WATCHDOG=1");
  cr_expect_str_eq(heard(manager), "");
  cr_expect(wb_notify_send(&notify, "READY=1"));
  cr_expect_str_eq(heard(manager), "READY=1");
  wb_notify_close(&notify);
  close(manager);
}

Test(notify, a_manager_that_was_restarted_is_told_at_its_new_socket) {
  char name[64];
  int manager = listening(name, sizeof name, false);
  wb_notify notify;
  setenv("NOTIFY_SOCKET", name, 1);
  cr_assert_eq(wb_notify_open(&notify, NULL), 0);
  close(manager);
  cr_expect_not(wb_notify_send(&notify, "WATCHDOG=1"), "nobody is there");
  manager = listening(name, sizeof name, false);
  cr_expect(wb_notify_send(&notify, "WATCHDOG=1"));
  cr_expect_str_eq(heard(manager), "WATCHDOG=1");
  wb_notify_close(&notify);
  close(manager);
  unlink(name);
}
