#include "io/hook.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static wb_hook_end run(const char *command, const char *path) {
  wb_error error = {0};
  wb_hook *hook = wb_hook_open(command, &error);
  cr_assert(hook, "%s: %s", command, error.detail);
  cr_assert_eq(wb_hook_start(hook, path, &error), 0, "%s", error.detail);
  wb_hook_end end;
  while (!wb_hook_poll(hook, &end)) {
    cr_assert(wb_hook_running(hook));
    struct pollfd watch[WB_HOOK_WATCH_MAX];
    cr_assert_gt(poll(watch, wb_hook_watch(hook, watch), 30000), 0, "nothing happened");
  }
  cr_assert(!wb_hook_running(hook));
  cr_assert_eq(wb_hook_poll(hook, &end), 0, "its end is told once");
  wb_hook_close(hook);
  return end;
}

static void says(const char *command, const char *path, const char *expected) {
  wb_hook_end end = run(command, path);
  cr_assert_eq(end.status, 0, "%s", command);
  cr_assert_str_eq(end.line, expected, "%s said %s", command, end.line);
}

Test(hook, open_refuses_what_is_no_command) {
  static const char *const bad[] = {"",           "  \t", "sh -c 'exit 0", "sh \"a", "/nowhere/at/all", "./no-such-program x",
                                    "/etc/passwd"};
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
    wb_error error = {0};
    cr_assert_null(wb_hook_open(bad[i], &error), "%s", bad[i]);
    cr_assert_eq(error.code, WB_E_CONFIG, "%s", bad[i]);
  }
}

Test(hook, the_path_is_the_last_argument_or_in_place_of_braces) {
  says("echo", "/a/b", "/a/b");
  says("echo one  two", "/a/b", "one two /a/b");
  says("echo {} x{}y{}", "/a/b", "/a/b x/a/by/a/b");
  says("echo {}", "{} $HOME `id` ;", "{} $HOME `id` ;");
}

Test(hook, quotes_keep_words_together_and_no_shell_looks_at_them) {
  says("printf '[%s]' 'a  b' \"c 'd'\" e\\ f \"g\\\"h\\\\i\\j\" 'k\\l' ''", "p", "[a  b][c 'd'][e f][g\"h\\i\\j][k\\l][][p]");
  says("echo $HOME *", "p", "$HOME * p");
  says("sh -c 'echo \"<$1>\" && echo done:$#' sh", "a b", "done:1");
}

Test(hook, exit_codes_and_signals_are_told) {
  cr_assert_eq(run("sh -c 'exit 7'", "p").status, 7);
  cr_assert_eq(run("sh -c 'kill -KILL $$'", "p").status, 128 + SIGKILL);
}

Test(hook, the_last_line_of_output_and_errors_is_kept_and_cut_and_made_printable) {
  says("sh -c 'echo one; echo two >&2; echo'", "p", "two");
  says("sh -c 'printf \"a\\tb\\rc\\n  \\n\"'", "p", "c");
  says("printf '\\033[1mx%s'", "y", "?[1mxy");
  wb_hook_end end =
      run("sh -c 'i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; "
          "printf %0200d 5'",
          "p");
  cr_assert_eq(strlen(end.line), sizeof end.line - 1);
  cr_assert_eq(strspn(end.line, "0"), sizeof end.line - 1);
}

Test(hook, a_program_that_is_not_found_is_an_error_of_start_and_the_hook_stays_good) {
  wb_error error = {0};
  wb_hook *hook = wb_hook_open("no-such-program-anywhere", &error);
  cr_assert(hook);
  for (int i = 0; i < 3; i++) {
    cr_assert_eq(wb_hook_start(hook, "p", &error), WB_E_SYSTEM);
    cr_assert_eq(error.os_errno, ENOENT);
    cr_assert(!wb_hook_running(hook));
  }
  wb_hook_close(hook);
}

Test(hook, standard_input_is_empty_and_signals_are_not_blocked) {
  sigset_t set;
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  says("sh -c 'cat; grep SigBlk /proc/self/status | tr -d \"[:space:]\"'", "p", "SigBlk:0000000000000000");
  cr_assert_eq(run("sh -c 'kill -PIPE $$'", "p").status, 128 + SIGPIPE);
}

static void *start_idle(void *self) {
  wb_cpu_step_aside(&(wb_cpu_list){0}, true);
  return (void *)(intptr_t)wb_hook_start(self, "p", NULL);
}

Test(hook, a_command_is_not_idle_although_the_thread_that_asks_for_it_is) {
  wb_hook *hook = wb_hook_open("sh -c 'cut -d\" \" -f19,41 /proc/self/stat'", NULL); /* nice, policy */
  for (int turn = 0; turn < 3; turn++) {
    if (turn < 2) cr_assert_eq(wb_hook_thread_start(hook, &(wb_cpu_list){0}, NULL), 0);
    pthread_t thread;
    void *failed;
    pthread_create(&thread, NULL, start_idle, hook);
    pthread_join(thread, &failed);
    cr_assert_null(failed);
    wb_hook_end end;
    while (!wb_hook_poll(hook, &end)) {
      struct pollfd watch[WB_HOOK_WATCH_MAX];
      cr_assert_gt(poll(watch, wb_hook_watch(hook, watch), 30000), 0, "nothing happened");
    }
    char mine[16];
    snprintf(mine, sizeof mine, "%d 5", getpriority(PRIO_PROCESS, 0));
    cr_assert_str_eq(end.line, turn < 2 ? "19 0" : mine, "%s", end.line);
    wb_hook_thread_stop(hook);
  }
  wb_hook_close(hook);
}

Test(hook, a_thread_of_its_own_tells_what_cannot_be_started_and_ends_with_the_hook) {
  wb_error error = {0};
  wb_hook *hook = wb_hook_open("no-such-program-anywhere", NULL);
  cr_assert_eq(wb_hook_thread_start(hook, &(wb_cpu_list){0}, NULL), 0);
  for (int i = 0; i < 3; i++) {
    cr_assert_eq(wb_hook_start(hook, "p", &error), WB_E_SYSTEM);
    cr_assert_eq(error.os_errno, ENOENT);
    cr_assert(!wb_hook_running(hook));
  }
  wb_hook_close(hook);
}

Test(hook, kill_ends_a_command_with_all_its_children_even_one_that_does_not_want_to) {
  char fifo[] = "/tmp/wb_hook_XXXXXX";
  close(mkstemp(fifo));
  unlink(fifo);
  cr_assert_eq(mkfifo(fifo, 0600), 0);
  static const char *const commands[] = {"sh -c 'exec 9>\"$1\"; echo ready >&9; read x </dev/zero; sleep 1000' sh",
                                         "sh -c 'trap \"\" TERM; exec 9>\"$1\"; echo ready >&9; (sleep 1000); sleep 1000' sh"};
  for (unsigned i = 0; i < 2; i++) {
    wb_hook *hook = wb_hook_open(commands[i], NULL);
    cr_assert_eq(wb_hook_start(hook, fifo, NULL), 0);
    int fd = open(fifo, O_RDONLY);
    char text[8];
    cr_assert_eq(read(fd, text, 6), 6);
    wb_hook_close(hook);
    cr_assert_eq(read(fd, text, 1), 0, "nobody holds the other end any more");
    close(fd);
  }
  unlink(fifo);
}
