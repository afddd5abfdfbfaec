#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "io/confine.h"

enum { API_TSYNC = 2, API_LOG = 3, API_SSB = 4, OPTIMIZE_TREE = 2 };

/* What a node does after its start, found by tracing the system tests, and what the same functions of the C library do elsewhere.
 * Neither a new thread, program or ring, nor a change of who one is. */
static const char *const listed[] = {
    /* rings and sockets */
    "io_uring_enter", "io_uring_register", "connect", "bind", "getsockname", "getpeername", "getsockopt", "setsockopt",
    "shutdown", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "poll", "ppoll", "ppoll_time64", "select",
    "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2",
    /* files */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek", "_llseek",
    "close", "close_range", "open", "openat", "openat2", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs",
    "access", "faccessat", "faccessat2", "getdents64", "getcwd", "readlink", "readlinkat", "mkdir", "mkdirat", "rmdir",
    "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "ftruncate", "fallocate", "fsync", "fdatasync",
    "sync_file_range", "fadvise64", "readahead", "copy_file_range", "sendfile", "flock", "fcntl", "fchmod", "fchmodat",
    "fchown", "utimensat", "utimensat_time64", "umask", "dup", "dup2", "dup3", "pipe2",
    /* memory */
    "mmap", "munmap", "mremap", "madvise", "mprotect", "brk", "mincore", "membarrier",
    /* threads, signals, time */
    "futex", "futex_time64", "futex_waitv", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "sched_setaffinity",
    "sched_getscheduler", "sched_setscheduler", "sched_getparam", "getpriority", "setpriority", "ioprio_get", "ioprio_set",
    "getcpu", "gettid", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "getrusage", "getrlimit",
    "sysinfo", "uname", "times", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack",
    "restart_syscall", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "exit",
    "exit_group"};

/* As docker/seccomp-io_uring.json, and rings, whose doings no filter sees. */
static const char *const denied[] = {"acct",
                                     "add_key",
                                     "adjtimex",
                                     "bpf",
                                     "clock_adjtime",
                                     "clock_settime",
                                     "create_module",
                                     "delete_module",
                                     "fanotify_init",
                                     "finit_module",
                                     "fsconfig",
                                     "fsmount",
                                     "fsopen",
                                     "fspick",
                                     "get_kernel_syms",
                                     "init_module",
                                     "io_uring_setup",
                                     "ioperm",
                                     "iopl",
                                     "kcmp",
                                     "kexec_file_load",
                                     "kexec_load",
                                     "keyctl",
                                     "lookup_dcookie",
                                     "modify_ldt",
                                     "mount",
                                     "mount_setattr",
                                     "move_mount",
                                     "move_pages",
                                     "name_to_handle_at",
                                     "nfsservctl",
                                     "open_by_handle_at",
                                     "open_tree",
                                     "perf_event_open",
                                     "pivot_root",
                                     "process_vm_readv",
                                     "process_vm_writev",
                                     "ptrace",
                                     "query_module",
                                     "quotactl",
                                     "quotactl_fd",
                                     "reboot",
                                     "request_key",
                                     "setdomainname",
                                     "sethostname",
                                     "setns",
                                     "settimeofday",
                                     "swapoff",
                                     "swapon",
                                     "sysfs",
                                     "syslog",
                                     "umount",
                                     "umount2",
                                     "unshare",
                                     "uselib",
                                     "userfaultfd",
                                     "ustat",
                                     "vhangup",
                                     "vm86",
                                     "vm86old"};

bool wb_confine_calls_built(void) { return true; }

bool wb_confine_calls_there(void) { return seccomp_api_get() >= API_TSYNC; }

/* Each name of the table; what this machine's kernel never had is passed over. */
static int add(scmp_filter_ctx filter, uint32_t action, const char *const *name, size_t count) {
  int result = 0;
  for (size_t i = 0; i < count && result == 0; i++) {
    int call = seccomp_syscall_resolve_name(name[i]);
    if (call == __NR_SCMP_ERROR) continue;
    result = seccomp_rule_add(filter, action, call, 0);
    if (result == -EDOM) result = 0;
  }
  return result;
}

/* Calls of which only some uses are listed: bits of one argument that must be equal. */
static int add_some(scmp_filter_ctx filter) {
  const struct {
    int call;
    unsigned argument;
    uint64_t mask, value;
  } some[] = {
      {SCMP_SYS(socket), 0, UINT32_MAX, AF_UNIX},
      {SCMP_SYS(socket), 0, UINT32_MAX, AF_INET},
      {SCMP_SYS(socket), 0, UINT32_MAX, AF_INET6},
      {SCMP_SYS(socket), 0, UINT32_MAX, AF_NETLINK},
      {SCMP_SYS(ioctl), 1, UINT32_MAX, TCGETS},
      {SCMP_SYS(ioctl), 1, UINT32_MAX, TIOCGWINSZ},
      {SCMP_SYS(ioctl), 1, UINT32_MAX, FIONREAD},
      {SCMP_SYS(ioctl), 1, UINT32_MAX, FIONBIO},
      {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME},
      {SCMP_SYS(prctl), 0, UINT32_MAX, PR_GET_NAME},
      {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_TIMERSLACK},
      {SCMP_SYS(prctl), 0, UINT32_MAX, PR_GET_TIMERSLACK},
      {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_VMA},
      {SCMP_SYS(prlimit64), 2, UINT64_MAX, 0}, /* to ask, not to set */
      {SCMP_SYS(tgkill), 0, UINT32_MAX, (uint32_t)getpid()},
  };
  int result = 0;
  for (size_t i = 0; i < sizeof some / sizeof *some && result == 0; i++)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, some[i].call, 1,
                              SCMP_CMP(some[i].argument, SCMP_CMP_MASKED_EQ, some[i].mask, some[i].value));
  return result;
}

/* Runs where the call was made; the call itself was not. Its second SIGSYS, by then with no handler, ends the process. */
static void on_refused(int number, siginfo_t *info, void *context) {
  static const char before[] = "wirebook: ended: system call ", after[] = " is not one of a confined node's (--confine on)\n";
  char line[sizeof before + sizeof after + 10], digits[10], *to = line;
  unsigned value = (unsigned)info->si_syscall, used = 0;
  do digits[used++] = (char)('0' + value % 10);
  while (value /= 10);
  to = mempcpy(to, before, sizeof before - 1);
  while (used) *to++ = digits[--used];
  to = mempcpy(to, after, sizeof after - 1);
  (void)!write(STDERR_FILENO, line, (size_t)(to - line));
  raise(SIGSYS);
}

int wb_confine_calls_load(wb_confine_calls calls, wb_error *error) {
  uint32_t otherwise = calls == WB_CALLS_LISTED ? SCMP_ACT_TRAP : calls == WB_CALLS_LOGGED ? SCMP_ACT_LOG : SCMP_ACT_ALLOW;
  if (calls == WB_CALLS_LISTED) {
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_NODEFER | (int)SA_RESETHAND};
    sigaction(SIGSYS, &action, NULL);
  }
  scmp_filter_ctx filter = wb_confine_calls_there() ? seccomp_init(otherwise) : NULL;
  if (!filter) return wb_error_set(error, WB_E_SYSTEM, ENOSYS, "confine", "the kernel takes no system call filter");
  int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  if (result == 0) result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_TREE);
  if (result == 0 && seccomp_api_get() >= API_SSB) result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
  if (result == 0 && seccomp_api_get() >= API_LOG) result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
  if (result == 0 && calls == WB_CALLS_DENIED) {
    result = add(filter, SCMP_ACT_ERRNO(EPERM), denied, sizeof denied / sizeof *denied);
  } else if (result == 0) {
    result = add(filter, SCMP_ACT_ALLOW, listed, sizeof listed / sizeof *listed);
    if (result == 0) result = add_some(filter);
  }
  if (result == 0) result = seccomp_load(filter);
  seccomp_release(filter);
  if (result == 0) return 0;
  return wb_error_set(error, WB_E_SYSTEM, result < 0 ? -result : ESRCH, "confine", "the system call filter: %s",
                      strerror(result < 0 ? -result : ESRCH));
}
