#include "io/confine.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/random.h"

static char place[64], data[128], outside[128];

static void make_places(void) {
  strcpy(place, "/tmp/wirebook-confine-XXXXXX");
  cr_assert(mkdtemp(place));
  snprintf(data, sizeof data, "%s/new/data", place);
  snprintf(outside, sizeof outside, "%s/outside", place);
  cr_assert_eq(mkdir(outside, 0755), 0);
}

static void remove_places(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", place);
  cr_expect_eq(system(command), 0);
}

TestSuite(confine, .init = make_places, .fini = remove_places);

static const char *in(const char *folder, const char *name) {
  static char path[4][512];
  static unsigned turn;
  char *made = path[turn++ % 4];
  snprintf(made, sizeof path[0], "%s/%s", folder, name);
  return made;
}

static void put(const char *path, const char *text, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0, "%s", path);
}

static wb_confine *opened(const wb_confine_config *config) {
  wb_error error = {0};
  wb_confine *confine = wb_confine_open(config, &error);
  cr_assert(confine, "%s", error.detail);
  return confine;
}

static int refused(const wb_confine_config *config) {
  wb_error error = {0};
  wb_confine *confine = wb_confine_open(config, &error);
  if (!confine) cr_expect(*error.detail);
  wb_confine_close(confine);
  return confine ? 0 : error.code;
}

static unsigned may(const wb_confine *confine, const char *path) {
  char whole[PATH_MAX];
  unsigned count, found = 0;
  const wb_confine_rule *rule = wb_confine_rules(confine, &count);
  if (!realpath(path, whole)) return 0;
  for (unsigned i = 0; i < count; i++)
    if (strcmp(rule[i].path, whole) == 0) found |= rule[i].may;
  return found;
}

/* ------------------------------------------------------------------------------------------------ rules */

Test(confine, open_refuses_what_is_no_rule) {
  static const char *const bad[] = {"",
                                    "write:",
                                    "write",
                                    "rw:/tmp",
                                    "/tmp",
                                    "read:/nowhere/at/all",
                                    "exec:",
                                    "port:",
                                    "port:0",
                                    "port:65536",
                                    "port:80x",
                                    "port:-1",
                                    "port: 80",
                                    "port:+8",
                                    "port:08",
                                    "WRITE:/tmp",
                                    "exec:/nowhere",
                                    "port:80:443",
                                    "port:99999999999999999999"};
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *allow[] = {(char *)bad[i], NULL};
    cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .allow = allow}), WB_E_CONFIG, "'%s'", bad[i]);
    cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_OFF, .allow = allow}), 0, "off looks at nothing");
  }
}

Test(confine, open_refuses_a_command_whose_program_is_not_there) {
  put(in(outside, "plain"), "x", 0644);
  put(in(outside, "lost"), "#!/nowhere/interpreter\n", 0755);
  const char *bad[] = {
      "", "  ", "no-such-program-at-all x", "/nowhere/at/all", "''", in(outside, "plain"), in(outside, "lost"), outside};
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .command = bad[i]}), WB_E_CONFIG, "'%s'", bad[i]);
}

Test(confine, open_refuses_more_rules_and_ports_than_there_is_room_for) {
  char text[WB_CONFINE_RULES_MAX][24], *allow[WB_CONFINE_RULES_MAX + 1] = {0};
  for (int i = 0; i < WB_CONFINE_RULES_MAX; i++) allow[i] = "read:/tmp";
  cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .allow = allow}), WB_E_LIMIT);
  for (int i = 0; i < WB_CONFINE_PORTS_MAX; i++) {
    snprintf(text[i], sizeof text[i], "port:%d", 1000 + i);
    allow[i] = text[i];
  }
  allow[WB_CONFINE_PORTS_MAX] = NULL;
  cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .allow = allow}), WB_E_LIMIT, "53 is one more");
  allow[WB_CONFINE_PORTS_MAX - 1] = "port:1000";
  cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .allow = allow}), 0, "one twice is one");
}

Test(confine, a_data_folder_that_cannot_be_made_is_told) {
  put(in(outside, "file"), "x", 0644);
  cr_expect_lt(refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .data_dir = in(outside, "file/data")}), 0);
}

Test(confine, the_rules_are_what_a_node_needs) {
  const char *report = in(outside, "report.json");
  put(in(outside, "ca.pem"), "x", 0644);
  char *allow[] = {"exec:/usr/bin", "port:22", "port:65535", NULL};
  wb_confine *c = opened(&(wb_confine_config){.mode = WB_CONFINE_TRY,
                                              .data_dir = data,
                                              .report_file = report,
                                              .ca_file = in(outside, "ca.pem"),
                                              .port = {443, 443},
                                              .port_count = 2,
                                              .allow = allow});
  struct stat about;
  cr_expect(stat(data, &about) == 0 && S_ISDIR(about.st_mode), "it is made");
  cr_expect_eq(may(c, data), WB_CONFINE_WRITE);
  cr_expect_eq(may(c, outside), WB_CONFINE_WRITE, "the report's");
  cr_expect_eq(may(c, in(outside, "ca.pem")), WB_CONFINE_READ);
  cr_expect_eq(may(c, "/etc"), WB_CONFINE_READ);
  cr_expect_eq(may(c, "/usr/bin"), WB_CONFINE_EXEC);
  cr_expect_eq(may(c, "/"), 0);
  cr_expect_eq(may(c, "/tmp"), 0);
  unsigned count;
  const uint16_t *port = wb_confine_ports(c, &count);
  cr_assert_eq(count, 4);
  cr_expect(port[0] == 443 && port[1] == 53 && port[2] == 22 && port[3] == 65535);
  wb_confine_close(c);
  c = opened(&(wb_confine_config){.mode = WB_CONFINE_TRY, .report_file = "-"});
  cr_expect_eq(may(c, "."), 0, "standard output needs no folder");
  wb_confine_close(c);
  c = opened(&(wb_confine_config){.mode = WB_CONFINE_TRY, .report_file = "report.json"});
  cr_expect_eq(may(c, "."), WB_CONFINE_WRITE);
  wb_confine_close(c);
}

Test(confine, a_commands_program_is_found_with_what_runs_it) {
  put(in(outside, "script"), "#! /bin/sh -e\ntrue\n", 0755);
  put(in(outside, "a b"), "#!/usr/bin/env -i cat\n", 0755);
  put(in(outside, "again"), "#!script\n", 0755);
  char quoted[1024];
  snprintf(quoted, sizeof quoted, " '%s'\\ b {} x", in(outside, "a"));
  const struct {
    const char *command, *needs[3];
  } some[] = {{"sh -c 'x'", {"/bin/sh"}},
              {"/bin/cat", {"/bin/cat"}},
              {in(outside, "script"), {in(outside, "script"), "/bin/sh"}},
              {quoted, {in(outside, "a b"), "/usr/bin/env", "/bin/cat"}}};
  for (unsigned i = 0; i < sizeof some / sizeof *some; i++) {
    wb_confine *c = opened(&(wb_confine_config){.mode = WB_CONFINE_TRY, .command = some[i].command});
    for (unsigned j = 0; j < 3 && some[i].needs[j]; j++)
      cr_expect_eq(may(c, some[i].needs[j]), WB_CONFINE_EXEC, "%s: %s", some[i].command, some[i].needs[j]);
    cr_expect_eq(may(c, "/usr/bin/python3"), 0);
    wb_confine_close(c);
  }
}

Test(confine, scripts_that_run_each_other_end) {
  char text[1024];
  snprintf(text, sizeof text, "#!%s\n", in(outside, "b"));
  put(in(outside, "a"), text, 0755);
  snprintf(text, sizeof text, "#!%s\n", in(outside, "a"));
  put(in(outside, "b"), text, 0755);
  snprintf(text, sizeof text, "#!/usr/bin/env %s\n", in(outside, "c"));
  put(in(outside, "c"), text, 0755);
  cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .command = in(outside, "a")}), 0);
  cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .command = in(outside, "c")}), 0);
}

/* Damaged programs: any bytes behind a good beginning are read without harm. */
Test(confine, programs_of_random_bytes_do_no_harm) {
  seed();
  char bytes[256];
  for (int i = 0; i < 2000; i++) {
    for (size_t j = 0; j < sizeof bytes; j++) bytes[j] = (char)next();
    memcpy(bytes, i % 2 ? "\177ELF\2" : "#!", i % 2 ? 5 : 2);
    int fd = open(in(outside, "damaged"), O_WRONLY | O_CREAT | O_TRUNC, 0755);
    cr_assert(write(fd, bytes, sizeof bytes) == sizeof bytes && close(fd) == 0);
    int code = refused(&(wb_confine_config){.mode = WB_CONFINE_TRY, .command = in(outside, "damaged")});
    cr_assert(code == 0 || code == WB_E_CONFIG, "%d", code);
  }
}

/* ------------------------------------------------------------------------------------------------ in force */

typedef struct scene {
  wb_confine_config config;
  bool seals;
  int (*act)(void);
} scene;

static char said[512];
static wb_confine *in_force;

/* Plays it in a process of its own: what act returned, or 128 + the signal that ended it. What it said is kept. */
static int played(const scene *s) {
  wb_confine *confine = in_force = opened(&s->config);
  int pipes[2], status;
  cr_assert_eq(pipe(pipes), 0);
  pid_t child = fork();
  if (!child) {
    dup2(pipes[1], STDERR_FILENO);
    wb_error error;
    if (wb_confine_enter(confine, &error) != 0 || (s->seals && wb_confine_seal(confine, &error) != 0)) _exit(125);
    _exit(s->act());
  }
  close(pipes[1]);
  ssize_t got, used = 0;
  while ((got = read(pipes[0], said + used, sizeof said - 1 - (size_t)used)) > 0) used += got;
  said[used] = 0;
  close(pipes[0]);
  cr_assert_eq(waitpid(child, &status, 0), child);
  wb_confine_close(confine);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool lacks_landlock(int abi) {
  if (wb_confine_landlock_abi() >= abi) return false;
  cr_log_warn("no Landlock of ABI %d here", abi);
  return true;
}

static bool makes(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0;
}

static int uses_files(void) {
  if (!makes(in(data, "a")) || mkdir(in(data, "sub"), 0755) || rename(in(data, "a"), in(data, "sub/b"))) return 1;
  if (truncate(in(data, "sub/b"), 0) || unlink(in(data, "sub/b")) || rmdir(in(data, "sub"))) return 2;
  if (makes(in(outside, "x")) || errno != EACCES || mkdir(in(outside, "y"), 0755) == 0 || errno != EACCES) return 3;
  if (open(in(outside, "there"), O_RDONLY) >= 0 || errno != EACCES) return 4;
  if (truncate(in(outside, "there"), 0) == 0 || unlink(in(outside, "there")) == 0) return 5;
  if (rename(in(outside, "there"), in(data, "there")) == 0) return 6;
  if (symlink("/etc/passwd", in(data, "link")) == 0 || mkfifo(in(data, "fifo"), 0644) == 0) return 7;
  if (open("/etc/hosts", O_RDONLY) < 0 || open("/etc/hosts", O_RDWR) >= 0) return 8;
  if (open("/dev/null", O_RDWR) < 0 || open("/proc/self/environ", O_RDONLY) >= 0) return 9;
  return 0;
}

static void *uses_files_too(void *result) {
  *(int *)result = uses_files();
  return NULL;
}

static int uses_files_on_a_thread(void) {
  pthread_t thread;
  int result = 99;
  return pthread_create(&thread, NULL, uses_files_too, &result) || pthread_join(thread, NULL) ? 98 : result;
}

Test(confine, files_are_those_of_the_rules_alone_on_this_thread_and_later_ones) {
  if (lacks_landlock(3)) return;
  put(in(outside, "there"), "x", 0644);
  cr_expect_eq(played(&(scene){{.mode = WB_CONFINE_OFF, .data_dir = data}, false, uses_files}), 1,
               "off makes no folder and holds nobody");
  cr_expect_eq(played(&(scene){{.mode = WB_CONFINE_TRY, .data_dir = data}, false, uses_files}), 0);
  cr_expect_eq(played(&(scene){{.mode = WB_CONFINE_TRY, .data_dir = data}, false, uses_files_on_a_thread}), 0);
  cr_expect_eq(access(in(outside, "there"), F_OK), 0);
}

static int prior = -1;
static int writes_what_was_open(void) { return write(prior, "late", 4) == 4 ? 0 : errno; }

Test(confine, what_is_open_stays_open) {
  prior = open(in(outside, "log"), O_WRONLY | O_CREAT | O_APPEND, 0644);
  cr_expect_eq(played(&(scene){{.mode = WB_CONFINE_TRY, .data_dir = data}, true, writes_what_was_open}), 0);
}

static uint16_t port_named, port_other;

static int listens(uint16_t *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&address, bytes) || listen(fd, 8) || getsockname(fd, (struct sockaddr *)&address, &bytes))
    return -1;
  *port = ntohs(address.sin_port);
  return fd;
}

static int reaches(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0), result = connect(fd, (struct sockaddr *)&address, sizeof address) ? errno : 0;
  close(fd);
  return result;
}

static int connects(void) {
  uint16_t port;
  if (reaches(port_named)) return 1;
  if (reaches(port_other) != EACCES) return 2;
  return listens(&port) >= 0 || errno != EACCES ? 3 : 0;
}

Test(confine, connections_go_to_the_ports_named_and_none_is_bound) {
  if (lacks_landlock(4)) return;
  int named = listens(&port_named), other = listens(&port_other);
  cr_assert(named >= 0 && other >= 0);
  scene s = {{.mode = WB_CONFINE_TRY, .port = {port_named}, .port_count = 1}, false, connects};
  cr_expect_eq(played(&s), 0);
  char text[32], *allow[] = {text, NULL};
  snprintf(text, sizeof text, "port:%u", port_other);
  s.config.allow = allow;
  cr_expect_eq(played(&s), 2, "it may reach it now");
}

static int signals_its_parent(void) { return kill(getppid(), 0) == 0 ? 1 : errno == EPERM ? 0 : 2; }

Test(confine, signals_stay_inside) {
  if (lacks_landlock(6)) return;
  cr_expect_eq(played(&(scene){{.mode = WB_CONFINE_OFF}, false, signals_its_parent}), 1);
  cr_expect_eq(played(&(scene){{.mode = WB_CONFINE_TRY}, false, signals_its_parent}), 0);
}

static int runs(const char *path, const char *word) {
  int status;
  pid_t child = fork();
  if (!child) {
    execl(path, path, "-c", word, (char *)NULL);
    _exit(errno == EACCES ? 100 : 101);
  }
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 102;
}

static int runs_the_shell(void) { return runs("/bin/sh", "exit 7"); }
static int runs_another(void) { return runs("/bin/bash", "exit 7"); }
static int runs_what_it_wrote(void) {
  int fd = open(in(data, "made"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  static const char text[] = "#!/bin/sh\nexit 7\n";
  if (fd < 0 || write(fd, text, sizeof text - 1) != sizeof text - 1 || close(fd)) return 1;
  return runs(in(data, "made"), "");
}

Test(confine, only_the_commands_program_runs) {
  if (lacks_landlock(1)) return;
  scene s = {{.mode = WB_CONFINE_TRY, .data_dir = data, .command = "/bin/sh -c 'x'"}, true, runs_the_shell};
  cr_expect_eq(played(&s), 7);
  s.act = runs_another;
  cr_expect_eq(played(&s), 100);
  s.act = runs_what_it_wrote;
  cr_expect_eq(played(&s), 100);
  char *allow[] = {"exec:/bin", NULL};
  s.config.allow = allow;
  s.act = runs_another;
  cr_expect_eq(played(&s), 7);
}

static int traces(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno; }
static int starts(void) { return runs("/bin/sh", "exit 7"); }
static int opens_a_ring(void) {
  char room[256] = {0};
  return syscall(SYS_io_uring_setup, 1, room) < 0 ? errno : 0;
}
static int opens_a_raw_socket(void) { return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? errno : 0; }
static int raises_its_limit(void) { return setpgid(0, 0) ? errno : 0; }
static int does_its_work(void) {
  char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || munmap(memory, 1 << 20) || !makes(in(data, "a"))) return 1;
  struct pollfd none = {.fd = -1};
  prctl(PR_SET_NAME, "confined");
  return poll(&none, 1, 0) || socket(AF_INET, SOCK_STREAM, 0) < 0 || isatty(0) > 1;
}

static pthread_barrier_t met;
static void *trace_when_told(void *unused) {
  pthread_barrier_wait(&met);
  (void)traces();
  return NULL;
}

Test(confine, a_call_that_is_not_listed_ends_the_process_and_says_its_number) {
  if (lacks_landlock(1) || !wb_confine_calls_there()) return;
  char number[64];
  snprintf(number, sizeof number, "system call %d ", (int)SYS_ptrace);
  scene s = {{.mode = WB_CONFINE_ON, .data_dir = data}, true, traces};
  cr_expect_eq(played(&s), 128 + SIGSYS);
  cr_expect(strstr(said, number), "%s", said);
  int (*const others[])(void) = {starts, opens_a_ring, opens_a_raw_socket, raises_its_limit};
  for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
    s.act = others[i];
    cr_expect_eq(played(&s), 128 + SIGSYS, "%u", i);
    cr_expect(strstr(said, "wirebook: ended: system call "), "%s", said);
  }
  s.act = does_its_work;
  cr_expect_eq(played(&s), 0, "%s", said);
}

Test(confine, the_filter_holds_for_threads_that_were_there_before) {
  if (!wb_confine_calls_there()) return;
  pid_t child = fork();
  if (!child) {
    pthread_t thread;
    close(STDERR_FILENO);
    pthread_barrier_init(&met, NULL, 2);
    if (pthread_create(&thread, NULL, trace_when_told, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) _exit(1);
    if (wb_confine_calls_load(WB_CALLS_LISTED, NULL) != 0) _exit(2);
    pthread_barrier_wait(&met);
    pthread_join(thread, NULL);
    _exit(3);
  }
  int status;
  cr_assert_eq(waitpid(child, &status, 0), child);
  cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%x", status);
}

Test(confine, mode_try_lets_calls_through_and_tells_what_it_lacks) {
  scene s = {{.mode = WB_CONFINE_TRY, .data_dir = data}, true, traces};
  cr_expect_eq(played(&s), 0);
  wb_confine *c = opened(&s.config);
  wb_confine_status status;
  wb_confine_status_read(c, &status);
  cr_expect(status.mode == WB_CONFINE_TRY && status.landlock_abi == 0 && status.calls == WB_CALLS_ALL,
            "nothing is in force yet");
  wb_confine_close(c);
}

Test(confine, with_a_command_only_what_administers_a_kernel_is_denied) {
  if (lacks_landlock(1) || !wb_confine_calls_there()) return;
  scene s = {{.mode = WB_CONFINE_ON, .data_dir = data, .command = "sh"}, true, traces};
  cr_expect_eq(played(&s), EPERM);
  s.act = opens_a_ring;
  cr_expect_eq(played(&s), EPERM);
  s.act = starts;
  cr_expect_eq(played(&s), 7);
}

Test(confine, off_takes_nothing_away) {
  int (*const all[])(void) = {traces, opens_a_ring, starts};
  const int expected[] = {0, -1, 7};
  for (int i = 0; i < 3; i++) {
    int result = played(&(scene){{.mode = WB_CONFINE_OFF}, true, all[i]});
    cr_expect(expected[i] < 0 ? result < 128 : result == expected[i], "%d: %d", i, result);
  }
}

static int describes(void) {
  char text[600];
  wb_confine_describe(in_force, text, sizeof text);
  return write(STDERR_FILENO, text, strlen(text)) < 0;
}

Test(confine, what_is_in_force_is_described) {
  char text[600];
  wb_confine *c = opened(&(wb_confine_config){.mode = WB_CONFINE_OFF});
  cr_expect_str_eq(wb_confine_describe(c, text, sizeof text), "confinement off");
  for (size_t size = 1; size < 20; size++) {
    memset(text, 'x', sizeof text);
    wb_confine_describe(c, text, size);
    cr_expect(strlen(text) < size && text[size] == 'x');
  }
  wb_confine_close(c);
  cr_expect_str_eq(wb_confine_mode_name(WB_CONFINE_ON), "on");
  cr_expect_str_eq(wb_confine_mode_name((wb_confine_mode)7), "?");
  cr_expect_str_eq(wb_confine_calls_name(WB_CALLS_DENIED), "denied");
  cr_expect_str_eq(wb_confine_calls_name((wb_confine_calls)9), "?");
}

Test(confine, what_is_in_force_is_described_when_it_is) {
  if (lacks_landlock(4) || !wb_confine_calls_there()) return;
  char expected[2 * PATH_MAX];
  snprintf(
      expected, sizeof expected,
      "confinement on: Landlock ABI %d, writes to %s /dev/null, TCP to ports 443 53; system calls not listed: end the process",
      wb_confine_landlock_abi(), data);
  cr_expect_eq(played(&(scene){{.mode = WB_CONFINE_ON, .data_dir = data, .port = {443}, .port_count = 1}, true, describes}), 0);
  cr_expect_str_eq(said, expected);
}

Test(confine, mode_on_needs_all_of_it) {
  if (wb_confine_landlock_abi() && wb_confine_calls_there()) {
    cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_ON}), 0);
  } else {
    cr_expect_eq(refused(&(wb_confine_config){.mode = WB_CONFINE_ON}), WB_E_UNSUPPORTED);
  }
}
