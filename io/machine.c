#include "io/machine.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "engine/base/hist.h"
#include "engine/base/limits.h"
#include "io/confine.h"
#include "io/host.h"
#include "io/uring.h"

enum { TEXT_BYTES = 16384, CLOCK_LOOKS = 4000, RALLY = 32, BLOCK_BYTES = 4096 };
#define MILLISECOND UINT64_C(1000000)
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (MIB * KIB)

const char *wb_finding_state_name(wb_finding_state state) {
  static const char *const names[] = {"ok", "could be better", "missing", "unknown"};
  return (unsigned)state < WB_FINDING_STATES ? names[state] : "?";
}

bool wb_machine_can_run(const wb_machine *machine) { return machine->uring_works; }

/* ------------------------------------------------------------------------------------------------ measuring */

static void measure_clock(wb_machine *m) {
  uint64_t least = UINT64_MAX;
  for (int batch = 0; batch < 5; batch++) {
    uint64_t start = wb_clock_ns();
    for (int i = 1; i < CLOCK_LOOKS; i++) (void)wb_clock_ns();
    uint64_t took = wb_clock_ns() - start;
    if (took < least) least = took;
  }
  m->clock_ps = least * 1000 / CLOCK_LOOKS;
}

typedef struct court {
  /* W ping and pong in turn: odd is pong's to answer */
  _Alignas(WB_CACHE_PAIR_BYTES) _Atomic uint32_t ball;
  /* W ping, R pong */
  _Alignas(WB_CACHE_PAIR_BYTES) _Atomic bool over;
  _Alignas(WB_CACHE_PAIR_BYTES) uint16_t cpu[2];
  wb_hist hist;
} court;

static void *pong(void *self) {
  court *c = self;
  if (wb_cpu_pin(pthread_self(), c->cpu[1], NULL) != 0) return NULL;
  while (!atomic_load_explicit(&c->over, memory_order_relaxed)) {
    uint32_t ball = atomic_load_explicit(&c->ball, memory_order_acquire);
    if (ball & 1) atomic_store_explicit(&c->ball, ball + 1, memory_order_release);
  }
  return NULL;
}

static void *ping(void *self) {
  court *c = self;
  uint64_t end = wb_clock_ns() + 200 * MILLISECOND;
  bool playing = wb_cpu_pin(pthread_self(), c->cpu[0], NULL) == 0;
  for (uint32_t ball = 0, rallies = 0; playing && rallies < 20000; rallies++) {
    uint64_t start = wb_clock_ns();
    for (int i = 0; playing && i < RALLY; i++, ball += 2) {
      atomic_store_explicit(&c->ball, ball + 1, memory_order_release);
      for (uint32_t looks = 1; playing && atomic_load_explicit(&c->ball, memory_order_acquire) != ball + 2; looks++)
        playing = looks % 1024 || wb_clock_ns() < end;
    }
    uint64_t now = wb_clock_ns();
    if (playing && rallies) wb_hist_record(&c->hist, (now - start) / RALLY);
    if (now >= end) break;
  }
  atomic_store_explicit(&c->over, true, memory_order_relaxed);
  return NULL;
}

static void measure_hop(wb_machine *m) {
  if (m->allowed.count < 2) return;
  court *c = aligned_alloc(WB_CACHE_PAIR_BYTES, sizeof *c);
  if (!c) return;
  memset(c, 0, sizeof *c);
  wb_hist_init(&c->hist);
  c->cpu[0] = m->hop_cpu[0] = m->allowed.cpu[0];
  c->cpu[1] = m->hop_cpu[1] = m->allowed.cpu[1];
  pthread_t first, second;
  if (pthread_create(&second, NULL, pong, c) == 0) {
    if (pthread_create(&first, NULL, ping, c) == 0) pthread_join(first, NULL);
    else atomic_store(&c->over, true);
    pthread_join(second, NULL);
    m->hop_ns = wb_hist_percentile(&c->hist, 50);
  }
  free(c);
}

static void timeout_done(wb_op *op, int result, unsigned flags) { *(int *)op->self = result; }

static void measure_uring(wb_machine *m) {
  wb_error error;
  wb_uring *ring = wb_uring_open(8, 1, &error);
  if (!ring) {
    snprintf(m->uring, sizeof m->uring, "%s", error.detail);
    return;
  }
  int result = 0;
  wb_op op = {.done = timeout_done, .self = &result};
  uint64_t end = wb_clock_ns() + 300 * MILLISECOND;
  wb_uring_timeout(ring, &op, 1);
  do wb_uring_wait(ring, MILLISECOND);
  while (op.busy && wb_clock_ns() < end);
  m->uring_works = result == -ETIME;
  if (m->uring_works) wb_uring_describe(ring, m->uring, sizeof m->uring);
  else snprintf(m->uring, sizeof m->uring, "opens, but no operation completes (io_uring_enter may be forbidden)");
  wb_uring_close(ring);
}

static bool write_direct(const char *dir) {
  _Alignas(BLOCK_BYTES) char block[BLOCK_BYTES] = {0};
  int file = open(dir, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
  if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/.wirebook-doctor-XXXXXX", dir) >= (int)sizeof path) return false;
    file = mkostemp(path, O_DIRECT | O_CLOEXEC);
    if (file >= 0) unlink(path);
  }
  if (file < 0) return false;
  bool wrote = pwrite(file, block, sizeof block, 0) == (ssize_t)sizeof block;
  close(file);
  return wrote;
}

static void measure_directory(const char *data_dir, wb_machine *m) {
  char dir[PATH_MAX];
  struct stat status;
  struct statfs system;
  snprintf(dir, sizeof dir, "%s", *data_dir ? data_dir : ".");
  m->data_there = stat(dir, &status) == 0;
  while (stat(dir, &status) != 0 && errno == ENOENT && strcmp(dir, "/") != 0 && strcmp(dir, ".") != 0) {
    size_t end = strlen(dir);
    while (end > 1 && dir[end - 1] == '/') end--;
    while (end && dir[end - 1] != '/') end--;
    while (end > 1 && dir[end - 1] == '/') end--;
    if (end) dir[end] = '\0';
    else strcpy(dir, ".");
  }
  m->data_asked = true;
  snprintf(m->data_dir, sizeof m->data_dir, "%.255s", dir);
  if (stat(dir, &status) != 0 || !S_ISDIR(status.st_mode) || statfs(dir, &system) != 0) return;
  m->data_type = (uint32_t)system.f_type;
  m->data_free_bytes = (uint64_t)system.f_bavail * (uint64_t)system.f_bsize;
  m->data_writable = access(dir, W_OK | X_OK) == 0;
  m->data_direct = m->data_writable && write_direct(dir);
}

static uint64_t soft_limit(int resource) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0) return 0;
  return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

void wb_machine_measure(const char *data_dir, wb_machine *m) {
  memset(m, 0, sizeof *m);
  (void)wb_cpu_allowed(&m->allowed, NULL);
  measure_clock(m);
  measure_hop(m);
  measure_uring(m);
  m->landlock_abi = wb_confine_landlock_abi();
  m->filter_built = wb_confine_calls_built();
  m->filter_works = wb_confine_calls_there();
  m->memlock_bytes = soft_limit(RLIMIT_MEMLOCK);
  m->files_max = soft_limit(RLIMIT_NOFILE);
  m->slack_ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
  struct timex timex = {0};
  int clock = adjtimex(&timex);
  m->clock_synchronised = clock < 0 ? -1 : clock != TIME_ERROR && !(timex.status & STA_UNSYNC);
  m->clock_error_us = clock < 0 ? 0 : (uint64_t)timex.maxerror;
  struct statfs shm;
  if (statfs("/dev/shm", &shm) == 0 && shm.f_type == TMPFS_MAGIC) m->shm_bytes = (uint64_t)shm.f_blocks * (uint64_t)shm.f_bsize;
  if (data_dir) measure_directory(data_dir, m);
}

/* ------------------------------------------------------------------------------------------------ reading */

typedef struct judge {
  const char *root;
  const wb_machine *machine;
  wb_findings *findings;
} judge;

/* The beginning of a file, cut to fit, NUL-terminated; "" and false if it cannot be read. */
__attribute__((format(printf, 4, 5))) static bool slurp(const judge *j, char *text, size_t size, const char *format, ...) {
  char name[256], path[PATH_MAX];
  va_list list;
  va_start(list, format);
  vsnprintf(name, sizeof name, format, list);
  va_end(list);
  *text = '\0';
  if ((size_t)snprintf(path, sizeof path, "%s/%s", j->root, name) >= sizeof path) return false;
  FILE *file = fopen(path, "re");
  if (!file) return false;
  size_t count = fread(text, 1, size - 1, file);
  bool failed = ferror(file) != 0;
  fclose(file);
  text[failed ? 0 : count] = '\0';
  return !failed;
}

static bool word(const judge *j, char *text, size_t size, const char *path) {
  bool there = slurp(j, text, size, "%s", path);
  text[strcspn(text, "\n")] = '\0';
  return there && *text;
}

/* Blanks, then digits, up to a blank, the line's end or a unit; moves past them. */
static bool digits(const char **text, uint64_t *value) {
  const char *at = *text + strspn(*text, " \t");
  if (!isdigit((unsigned char)*at)) return false;
  char *end;
  errno = 0;
  *value = strtoull(at, &end, 10);
  *text = end;
  return errno == 0 && (*end == '\0' || isspace((unsigned char)*end));
}

static bool count(const judge *j, const char *path, uint64_t *value) {
  char text[64];
  const char *at = text;
  return word(j, text, sizeof text, path) && digits(&at, value);
}

/* "Key:  123 kB" of a text of such lines. */
static bool field(const char *text, const char *key, uint64_t *value) {
  size_t bytes = strlen(key);
  for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
    if (strncmp(line, key, bytes) == 0 && line[bytes] == ':') {
      line += bytes + 1;
      return digits(&line, value);
    }
  return false;
}

static bool has_word(const char *text, const char *wanted) {
  size_t bytes = strlen(wanted);
  for (const char *at = text; (at = strstr(at, wanted)); at += bytes)
    if ((at == text || isspace((unsigned char)at[-1])) && (!at[bytes] || isspace((unsigned char)at[bytes]))) return true;
  return false;
}

/* -1: not there; WB_E_SYNTAX and the like: odd. Kernels without such CPUs write an empty line, or "(null)". */
static int cpus(const judge *j, const char *path, wb_cpu_list *list) {
  char text[8192];
  list->count = 0;
  if (!slurp(j, text, sizeof text, "%s", path)) return -1;
  if (strncmp(text, "(null)", 6) == 0) return 0;
  return wb_cpu_list_parse(text, list, NULL) == 0 ? 0 : WB_E_SYNTAX;
}

static const char *size_text(uint64_t bytes, char text[32]) {
  if (bytes == UINT64_MAX) return "unlimited";
  if (bytes >= GIB) snprintf(text, 32, "%" PRIu64 ".%" PRIu64 " GiB", bytes / GIB, bytes % GIB * 10 / GIB);
  else if (bytes >= MIB) snprintf(text, 32, "%" PRIu64 " MiB", bytes / MIB);
  else snprintf(text, 32, "%" PRIu64 " KiB", bytes / KIB);
  return text;
}

/* ------------------------------------------------------------------------------------------------ findings */

static wb_finding *find(const judge *j, const char *key, const char *label, const char *why) {
  WB_CHECK(j->findings->count < WB_FINDING_COUNT_MAX);
  wb_finding *f = &j->findings->finding[j->findings->count++];
  *f = (wb_finding){.key = key, .label = label, .why = why, .state = WB_FINDING_UNKNOWN};
  strcpy(f->value, "not told by this machine");
  return f;
}

__attribute__((format(printf, 3, 4))) static void found(wb_finding *f, wb_finding_state state, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(f->value, sizeof f->value, format, list);
  va_end(list);
  for (char *at = f->value; *at; at++)
    if (!isprint((unsigned char)*at)) *at = '?';
  f->state = state;
}

/* What would mend it; kept only where there is something to mend. */
__attribute__((format(printf, 2, 3))) static void mend(wb_finding *f, const char *format, ...) {
  if (f->state != WB_FINDING_BETTER && f->state != WB_FINDING_MISSING) return;
  va_list list;
  va_start(list, format);
  vsnprintf(f->fix, sizeof f->fix, format, list);
  va_end(list);
}

static wb_finding_state ok_if(bool good) { return good ? WB_FINDING_OK : WB_FINDING_BETTER; }

/* ------------------------------------------------------------------------------------------------ CPUs */

/* Which CPUs to keep free: all but the first (of many: the first two), at most the four that a node can use. */
static void suggestion(const judge *j, char *text, size_t size) {
  wb_cpu_list online, list = {0};
  if (cpus(j, "sys/devices/system/cpu/online", &online) != 0) online.count = 0;
  for (uint32_t i = online.count > 4 ? 2 : 1; i < online.count && list.count < 4; i++) list.cpu[list.count++] = online.cpu[i];
  wb_cpu_list_print(&list, text, size);
}

static void judge_shares(const judge *j) {
  char list[128], root[PATH_MAX], self[PATH_MAX];
  const wb_cpu_list *allowed = &j->machine->allowed;
  snprintf(root, sizeof root, "%s/sys/fs/cgroup", j->root);
  snprintf(self, sizeof self, "%s/proc/self/cgroup", j->root);
  uint64_t quota = wb_cpu_quota(root, self);
  wb_finding *f = find(j, "cpu.usable", "usable CPUs", "the hot thread and the one that writes to disk want a CPU each");
  if (allowed->count) {
    found(f, ok_if(allowed->count >= 2), "%u (%s)", allowed->count, wb_cpu_list_print(allowed, list, sizeof list));
    mend(f, "give the process two CPUs or more (taskset -c, docker run --cpuset-cpus=0-3)");
  }
  f = find(j, "cpu.quota", "CPU quota", "a thread that has used up its quota stands still until the next period");
  found(f, ok_if(!quota), quota ? "%" PRIu64 ".%03" PRIu64 " CPUs" : "none", quota / 1000, quota % 1000);
  mend(f, "echo max > /sys/fs/cgroup/GROUP/cpu.max; containers: --cpuset-cpus in place of --cpus");
}

static void judge_isolation(const judge *j) {
  wb_cpu_list list, full;
  char text[128], wanted[64], line[4096];
  suggestion(j, wanted, sizeof wanted);
  static const char other[] = "a machine with two CPUs or more";
  wb_finding *f = find(j, "cpu.isolated", "isolated CPUs", "the scheduler puts other work on a CPU that is not isolated");
  if (cpus(j, "sys/devices/system/cpu/isolated", &list) == 0) {
    found(f, ok_if(list.count), "%s", list.count ? wb_cpu_list_print(&list, text, sizeof text) : "none");
    if (*wanted) mend(f, "kernel parameter isolcpus=managed_irq,domain,%s; then wirebook run --layout %s", wanted, wanted);
    else mend(f, "%s", other);
  }
  f = find(j, "cpu.nohz_full", "tickless CPUs",
           "the timer interrupts a spinning thread a hundred to a thousand times a second");
  int read = cpus(j, "sys/devices/system/cpu/nohz_full", &full);
  if (read == 0 || read == -1) {
    found(f, ok_if(full.count), "%s",
          full.count   ? wb_cpu_list_print(&full, text, sizeof text)
          : read == -1 ? "none (the kernel is built without NO_HZ_FULL)"
                       : "none");
    const char *kernel = read == -1 ? "a kernel with CONFIG_NO_HZ_FULL=y, and " : "";
    if (*wanted) mend(f, "%skernel parameter nohz_full=%s", kernel, wanted);
    else mend(f, "%s", other);
  }
  f = find(j, "cpu.rcu_nocbs", "CPUs without RCU work", "the kernel's deferred freeing runs on the CPU that caused it");
  if (slurp(j, line, sizeof line, "proc/cmdline")) {
    const char *said = strstr(line, "rcu_nocbs=");
    if (said && said != line && !isspace((unsigned char)said[-1])) said = NULL;
    int bytes = said ? (int)strcspn(said + 10, " \n") : 0;
    if (bytes) found(f, WB_FINDING_OK, "%.*s", bytes, said + 10);
    else if (full.count) found(f, WB_FINDING_OK, "%s (by nohz_full)", wb_cpu_list_print(&full, text, sizeof text));
    else found(f, WB_FINDING_BETTER, "none");
    if (*wanted) mend(f, "kernel parameter rcu_nocbs=%s", wanted);
    else mend(f, "%s", other);
  }
}

static void judge_siblings(const judge *j) {
  const wb_cpu_list *allowed = &j->machine->allowed;
  wb_cpu_list siblings;
  char text[8192], pairs[128] = "";
  bool told = false;
  wb_finding *f = find(j, "cpu.smt", "SMT siblings", "two threads on one core share its caches and execution units");
  for (uint32_t i = 0; i < allowed->count; i++) {
    if (!slurp(j, text, sizeof text, "sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", allowed->cpu[i])) continue;
    if (wb_cpu_list_parse(text, &siblings, NULL) != 0) continue;
    told = true;
    for (uint32_t s = 0; s < siblings.count; s++)
      if (siblings.cpu[s] > allowed->cpu[i] && wb_cpu_list_has(allowed, siblings.cpu[s])) {
        size_t used = strlen(pairs);
        snprintf(pairs + used, sizeof pairs - used, "%s%u+%u", used ? " " : "", allowed->cpu[i], siblings.cpu[s]);
      }
  }
  uint64_t active;
  if (told) found(f, ok_if(!*pairs), "%s", *pairs ? pairs : "none among the usable CPUs");
  else if (count(j, "sys/devices/system/cpu/smt/active", &active)) found(f, ok_if(!active), "%s", active ? "on" : "off");
  mend(f, "echo off > /sys/devices/system/cpu/smt/control, or kernel parameter nosmt, or leave a hot CPU's sibling idle");
}

static void judge_speed(const judge *j) {
  const wb_cpu_list *allowed = &j->machine->allowed;
  char text[64], first[64] = "";
  unsigned told = 0, slow = 0;
  wb_finding *f = find(j, "cpu.governor", "frequency governor", "a CPU that clocked down takes its time to come back");
  for (uint32_t i = 0; i < allowed->count; i++) {
    if (!slurp(j, text, sizeof text, "sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", allowed->cpu[i])) continue;
    text[strcspn(text, "\n")] = '\0';
    if (!*text) continue;
    told++;
    if (strcmp(text, "performance") == 0) continue;
    if (!slow++) snprintf(first, sizeof first, "%s", text);
  }
  if (told && !slow) found(f, WB_FINDING_OK, "performance");
  if (slow) found(f, WB_FINDING_BETTER, "%s on %u of %u CPUs", first, slow, told);
  if (!told) found(f, WB_FINDING_UNKNOWN, "not told (on a virtual machine the host decides)");
  mend(f, "cpupower frequency-set -g performance");

  uint64_t value;
  bool on = false, known = true;
  f = find(j, "cpu.turbo", "turbo", "without it the CPU is slower, with it less even");
  if (count(j, "sys/devices/system/cpu/intel_pstate/no_turbo", &value)) on = !value;
  else if (count(j, "sys/devices/system/cpu/cpufreq/boost", &value)) on = value;
  else known = false;
  if (known) found(f, ok_if(on), "%s", on ? "on" : "off");
  mend(f, "echo 0 > /sys/devices/system/cpu/intel_pstate/no_turbo, or echo 1 > /sys/devices/system/cpu/cpufreq/boost");
}

/* The flags of the first CPU; "" if there are none. Returns whether they are those of an x86 CPU. */
static bool flags_of(const judge *j, char flags[TEXT_BYTES]) {
  char text[TEXT_BYTES];
  slurp(j, text, sizeof text, "proc/cpuinfo");
  *flags = '\0';
  static const char *const keys[] = {"flags", "Features"};
  for (int i = 0; i < 2; i++)
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
      size_t bytes = strlen(keys[i]);
      const char *at = strncmp(line, keys[i], bytes) == 0 ? line + bytes + strspn(line + bytes, " \t") : "";
      if (*at != ':') continue;
      snprintf(flags, TEXT_BYTES, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
      return i == 0;
    }
  return false;
}

static void judge_instructions(const judge *j, const char *flags, bool x86) {
  static const struct {
    const char *key, *label, *why, *need[6];
    bool anywhere;
  } sets[] = {
      {"cpu.aes", "AES instructions", "every byte of TLS goes through AES", {"aes"}, true},
      {"cpu.vaes", "VAES instructions", "AES on four blocks at once", {"vaes", "vpclmulqdq"}, false},
      {"cpu.avx2", "AVX2 instructions", "wide vectors for the record cipher", {"avx2"}, false},
      {"cpu.avx512",
       "AVX-512 instructions",
       "the parser's fastest road needs AVX-512 F, BW, VL and BMI 1, 2",
       {"avx512f", "avx512bw", "avx512vl", "bmi1", "bmi2"},
       false},
  };
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    wb_finding *f = find(j, sets[i].key, sets[i].label, sets[i].why);
    char lacking[64] = "";
    for (int n = 0; sets[i].need[n]; n++)
      if (!has_word(flags, sets[i].need[n])) {
        size_t used = strlen(lacking);
        snprintf(lacking + used, sizeof lacking - used, " %s", sets[i].need[n]);
      }
    if (*flags && (x86 || sets[i].anywhere)) found(f, ok_if(!*lacking), "%s%s", *lacking ? "without" : "yes", lacking);
    else if (*flags) found(f, WB_FINDING_UNKNOWN, "not an x86 CPU");
    mend(f, "a CPU that has them; on a virtual machine pass the host's on (qemu -cpu host)");
  }
}

static void judge_place(const judge *j, const char *flags, bool x86) {
  const wb_machine *m = j->machine;
  wb_cpu_list nodes;
  char text[TEXT_BYTES], list[64];
  wb_finding *f = find(j, "cpu.numa", "NUMA nodes", "memory and network cards of another node are farther away");
  if (cpus(j, "sys/devices/system/node/online", &nodes) == 0 && nodes.count) {
    found(f, ok_if(nodes.count == 1), "%u (%s)", nodes.count, wb_cpu_list_print(&nodes, list, sizeof list));
    mend(f, "numactl --cpunodebind=N --membind=N wirebook run ..., N from /sys/class/net/CARD/device/numa_node");
  }
  f = find(j, "cpu.hop", "cache line round trip", "a frame passes from thread to thread by cache lines");
  if (m->hop_ns)
    found(f, ok_if(m->hop_ns <= 300), "%" PRIu64 " ns p50 between CPU %u and %u", m->hop_ns, m->hop_cpu[0], m->hop_cpu[1]);
  else if (m->allowed.count < 2) found(f, WB_FINDING_UNKNOWN, "not measured with one CPU");
  else found(f, WB_FINDING_UNKNOWN, "not measured: the CPUs are busy or cannot be pinned to");
  mend(f, "name CPUs that share a last-level cache (lscpu -e): wirebook run --layout 2,3");

  f = find(j, "cpu.virtual", "virtual machine", "a hypervisor takes the CPU away without a word");
  if (*flags && x86) {
    bool virtual = has_word(flags, "hypervisor");
    found(f, ok_if(!virtual), "%s", virtual ? "yes" : "no");
    mend(f, "bare metal, or an instance with CPUs of its own");
  }
  f = find(j, "cpu.steal", "stolen time", "time in which the machine wanted to run and the host ran something else");
  uint64_t part[8], sum = 0;
  int parts = 0;
  if (slurp(j, text, sizeof text, "proc/stat") && strncmp(text, "cpu ", 4) == 0) {
    const char *at = text + 4;
    for (text[strcspn(text, "\n")] = '\0'; parts < 8 && digits(&at, &part[parts]) && part[parts] < UINT64_MAX / 16; parts++)
      sum += part[parts];
  }
  if (parts == 8 && sum) {
    unsigned tenths = (unsigned)((double)part[7] * 1000 / (double)sum + 0.5);
    found(f, ok_if(tenths < 5), "%u.%u%% since boot", tenths / 10, tenths % 10);
  }
  mend(f, "an instance with CPUs of its own (dedicated, not shared or burstable)");
}

/* ------------------------------------------------------------------------------------------------ clock, kernel */

static void judge_clock(const judge *j, const char *flags, bool x86) {
  const wb_machine *m = j->machine;
  char current[64], available[256];
  wb_finding *f = find(j, "clock.source", "clock source", "with any other, a look at the clock can be a system call");
  bool tsc_there = word(j, available, sizeof available, "sys/devices/system/clocksource/clocksource0/available_clocksource") &&
                   has_word(available, "tsc");
  if (word(j, current, sizeof current, "sys/devices/system/clocksource/clocksource0/current_clocksource")) {
    bool good = has_word(current, "tsc") || has_word(current, "arch_sys_counter");
    found(f, ok_if(good), "%s", current);
    mend(f,
         tsc_there
             ? "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource; kernel parameter clocksource=tsc"
             : "kernel parameters clocksource=tsc tsc=reliable, where the time stamp counter is sound");
  }
  f = find(j, "clock.tsc", "time stamp counter", "it must tick evenly whatever the CPU's frequency and sleep");
  if (*flags && x86) {
    bool constant = has_word(flags, "constant_tsc"), nonstop = has_word(flags, "nonstop_tsc");
    found(f, ok_if(constant && nonstop), "%s%s%s", constant ? "constant" : "not constant", ", ",
          nonstop ? "nonstop" : "may stop");
    mend(f, "a CPU with an invariant counter; on a virtual machine pass it on (qemu -cpu host,invtsc=on)");
  } else if (*flags) {
    found(f, WB_FINDING_UNKNOWN, "not an x86 CPU");
  }
  f = find(j, "clock.cost", "cost of the clock", "every packet gets a time when it comes");
  if (m->clock_ps) {
    found(f, ok_if(m->clock_ps <= 80000), "%" PRIu64 ".%" PRIu64 " ns", m->clock_ps / 1000, m->clock_ps % 1000 / 100);
    mend(f, "a clock source that needs no system call: see clock source");
  }
  f = find(j, "clock.synchronised", "wall clock", "exchange times and receive times are compared by it");
  if (m->clock_synchronised >= 0) {
    found(f, ok_if(m->clock_synchronised), "%s, at most %" PRIu64 ".%03" PRIu64 " ms off",
          m->clock_synchronised ? "synchronised" : "not synchronised", m->clock_error_us / 1000, m->clock_error_us % 1000);
    if (!m->clock_synchronised) found(f, WB_FINDING_BETTER, "not synchronised");
    mend(f, "apt-get install chrony && systemctl enable --now chrony");
  }
  f = find(j, "clock.slack", "timer slack", "a sleeping thread's timeouts may be so much late (packets are not)");
  if (m->slack_ns >= 0) {
    found(f, ok_if(m->slack_ns <= 50000), "%" PRId64 ".%" PRId64 " us", m->slack_ns / 1000, m->slack_ns % 1000 / 100);
    mend(f, "systemd: TimerSlackNSec=50us; else echo 50000 > /proc/PID/timerslack_ns");
  }
}

static void judge_kernel(const judge *j) {
  const wb_machine *m = j->machine;
  char text[TEXT_BYTES];
  unsigned major, minor = 0;
  bool known = word(j, text, sizeof text, "proc/sys/kernel/osrelease") && sscanf(text, "%u.%u", &major, &minor) == 2;
  wb_finding *f = find(j, "kernel.version", "kernel", "6.1 brought io_uring's deferred task run, 5.19 multishot accept");
  if (known) found(f, ok_if(major > 6 || (major == 6 && minor >= 1)), "%.180s", text);
  mend(f, "a kernel of 6.1 or later (Debian 12: apt-get install linux-image-amd64)");

  f = find(j, "kernel.io_uring", "io_uring", "all input and output goes by it; the node does not start without");
  found(f, m->uring_works ? ok_if(strstr(m->uring, "deferred task run")) : WB_FINDING_MISSING, "%s",
        *m->uring ? m->uring : "not tried");
  if (m->uring_works) mend(f, "a kernel of 6.1 or later");
  else mend(f, "sysctl -w kernel.io_uring_disabled=0; containers: --security-opt seccomp=docker/seccomp-io_uring.json");

  uint64_t value;
  f = find(j, "kernel.io_uring_disabled", "io_uring sysctl", "1 forbids it to unprivileged processes, 2 to all");
  if (count(j, "proc/sys/kernel/io_uring_disabled", &value)) {
    wb_finding_state barred = m->uring_works ? WB_FINDING_BETTER : WB_FINDING_MISSING;
    found(f, value == 0 ? WB_FINDING_OK : barred, "%" PRIu64 "%s", value,
          value && m->uring_works ? ", though this process may" : "");
    mend(f, "sysctl -w kernel.io_uring_disabled=0; to stay: the same in /etc/sysctl.d/60-wirebook.conf");
  } else {
    found(f, m->uring_works ? WB_FINDING_OK : WB_FINDING_UNKNOWN, "not there (kernels before 6.6 have none)");
  }
  f = find(j, "kernel.seccomp", "seccomp", "a filter of a container can forbid io_uring, and is run with each system call");
  if (slurp(j, text, sizeof text, "proc/self/status") && field(text, "Seccomp", &value)) {
    static const char *const modes[] = {"no filter", "strict", "a filter is in force"};
    found(f, value == 0 || m->uring_works ? WB_FINDING_OK : WB_FINDING_MISSING, "%s", value < 3 ? modes[value] : "?");
    mend(f, "docker run --security-opt seccomp=docker/seccomp-io_uring.json");
  }
  f = find(j, "kernel.landlock", "Landlock", "--confine takes files and, from ABI 4 on, ports away by it");
  if (m->landlock_abi) found(f, ok_if(m->landlock_abi >= 4), "ABI %d", m->landlock_abi);
  else found(f, WB_FINDING_BETTER, "not there");
  mend(f, m->landlock_abi ? "a kernel of 6.7 or later" : "kernel parameter lsm=landlock,... and a kernel of 5.13 or later");
  f = find(j, "kernel.filter", "system call filter", "--confine takes system calls away by it");
  found(f, ok_if(m->filter_works), m->filter_works ? "there" : m->filter_built ? "the kernel takes none" : "not built in");
  mend(f, m->filter_built ? "a kernel with CONFIG_SECCOMP_FILTER" : "apt-get install libseccomp-dev, and build again");
  f = find(j, "kernel.files", "open files", "a connection takes one, the log two, rings and memory a few");
  found(f,
        m->files_max >= 1024 ? WB_FINDING_OK
        : m->files_max >= 64 ? WB_FINDING_BETTER
                             : WB_FINDING_MISSING,
        "%" PRIu64, m->files_max);
  if (m->files_max == UINT64_MAX) found(f, WB_FINDING_OK, "unlimited");
  mend(f, "ulimit -n 1024; systemd: LimitNOFILE=1024");
  f = find(j, "kernel.memlock", "locked memory", "kernels before 5.12 charge io_uring's queues to it");
  char size[32];
  bool charged = !known || major < 5 || (major == 5 && minor < 12);
  found(f, ok_if(!charged || m->memlock_bytes >= 8 * MIB), "%s", size_text(m->memlock_bytes, size));
  mend(f, "ulimit -l unlimited; systemd: LimitMEMLOCK=infinity");
}

/* ------------------------------------------------------------------------------------------------ memory, net, disk */

/* "always [madvise] never": the word in brackets. */
static bool chosen(const judge *j, const char *path, char *text, size_t size) {
  if (!word(j, text, size, path)) return false;
  char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;
  if (!close || close == open + 1) return false;
  *close = '\0';
  memmove(text, open + 1, (size_t)(close - open));
  return true;
}

static void judge_memory(const judge *j) {
  char text[TEXT_BYTES], mode[128], size[32], other[32];
  uint64_t total, vacant, kib;
  bool told = slurp(j, text, sizeof text, "proc/meminfo");
  wb_finding *f =
      find(j, "memory.huge_pages", "huge pages", "8 MiB of a pipelined node's queues lie in them: fewer misses of the TLB");
  if (told && field(text, "HugePages_Total", &total)) {
    if (!field(text, "HugePages_Free", &vacant)) vacant = 0;
    if (!field(text, "Hugepagesize", &kib) || !kib || kib > GIB) kib = 2048;
    found(f, ok_if(vacant >= (8 * MIB + kib * KIB - 1) / (kib * KIB)), "%" PRIu64 " of %" PRIu64 " KiB, %" PRIu64 " free",
          total, kib, vacant);
    mend(f, "sysctl -w vm.nr_hugepages=8");
  }
  f = find(j, "memory.thp", "transparent huge pages", "books and analytics touch less of the TLB");
  if (chosen(j, "sys/kernel/mm/transparent_hugepage/enabled", mode, sizeof mode)) {
    found(f, ok_if(strcmp(mode, "never") != 0), "%s", mode);
    mend(f, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
  }
  f = find(j, "memory.thp_shared", "huge shared memory", "the journal that all frames lie in is shared memory");
  if (chosen(j, "sys/kernel/mm/transparent_hugepage/shmem_enabled", mode, sizeof mode)) {
    found(f, ok_if(strcmp(mode, "never") != 0 && strcmp(mode, "deny") != 0), "%s", mode);
    mend(f, "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled");
  }
  f = find(j, "memory.swap", "swap", "a page that went to disk costs milliseconds when it is needed");
  if (told && field(text, "SwapTotal", &total) && field(text, "SwapFree", &vacant) && total < UINT64_MAX / KIB &&
      vacant <= total) {
    if (!total) found(f, WB_FINDING_OK, "none");
    else
      found(f, ok_if(vacant == total), "%s of %s in use", size_text((total - vacant) * KIB, size),
            size_text(total * KIB, other));
    mend(f, "swapoff -a; to stay: sysctl -w vm.swappiness=0 and no swap in /etc/fstab");
  }
  f = find(j, "memory.shm", "/dev/shm", "memory shared with other programs lies there (the journal does not)");
  if (j->machine->shm_bytes) found(f, ok_if(j->machine->shm_bytes >= 64 * MIB), "%s", size_text(j->machine->shm_bytes, size));
  else found(f, WB_FINDING_BETTER, "no file system in memory is mounted there");
  mend(f, "mount -t tmpfs -o size=1G tmpfs /dev/shm (remount,size=1G where it is too small); docker run --shm-size=1g");
}

static void judge_net(const judge *j) {
  char text[128], size[32];
  const char *at = text;
  uint64_t value[3], poll;
  wb_finding *f =
      find(j, "net.tcp_rmem", "TCP receive buffer", "a snapshot of 5 MB comes in one burst, and must not shut the window");
  if (word(j, text, sizeof text, "proc/sys/net/ipv4/tcp_rmem") && digits(&at, &value[0]) && digits(&at, &value[1]) &&
      digits(&at, &value[2])) {
    found(f, ok_if(value[2] >= 6 * MIB), "up to %s (%" PRIu64 " %" PRIu64 " %" PRIu64 ")", size_text(value[2], size), value[0],
          value[1], value[2]);
    mend(f, "sysctl -w net.ipv4.tcp_rmem=\"4096 131072 33554432\"");
  }
  f = find(j, "net.rmem_max", "largest buffer by hand",
           "caps buffers that a program asks for; the node leaves the size to the kernel");
  if (count(j, "proc/sys/net/core/rmem_max", &value[0])) {
    found(f, ok_if(value[0] >= 212992), "%s", size_text(value[0], size));
    mend(f, "sysctl -w net.core.rmem_max=4194304");
  }
  f = find(j, "net.busy_read", "busy polling", "receiving asks the network card itself rather than waiting for its interrupt");
  if (count(j, "proc/sys/net/core/busy_read", &value[0])) {
    if (count(j, "proc/sys/net/core/busy_poll", &poll))
      found(f, ok_if(value[0]), "busy_read %" PRIu64 " us, busy_poll %" PRIu64 " us", value[0], poll);
    else found(f, ok_if(value[0]), "busy_read %" PRIu64 " us", value[0]);
    mend(f, "sysctl -w net.core.busy_read=50 net.core.busy_poll=50");
  }
}

static void judge_disk(const judge *j) {
  static const struct {
    uint64_t type;
    const char *name;
    bool good;
  } kinds[] = {
      {EXT4_SUPER_MAGIC, "ext4", true},  {XFS_SUPER_MAGIC, "xfs", true},
      {F2FS_SUPER_MAGIC, "f2fs", true},  {BTRFS_SUPER_MAGIC, "btrfs", false},
      {0x2FC12FC1, "zfs", false},        {TMPFS_MAGIC, "tmpfs", false},
      {RAMFS_MAGIC, "ramfs", false},     {OVERLAYFS_SUPER_MAGIC, "overlay", false},
      {NFS_SUPER_MAGIC, "nfs", false},   {0xFF534D42, "cifs", false},
      {0xFE534D42, "smb", false},        {V9FS_MAGIC, "9p", false},
      {FUSE_SUPER_MAGIC, "fuse", false},
  };
  const wb_machine *m = j->machine;
  char size[32];
  size_t kind = 0, last = sizeof kinds / sizeof *kinds;
  wb_finding *f = find(j, "data.directory", "data directory", "raw frames are stored there");
  found(f, m->data_writable ? WB_FINDING_OK : WB_FINDING_MISSING, "%s%.150s%s", m->data_there ? "" : "to be made in ",
        m->data_dir,
        m->data_writable ? ""
        : m->data_type   ? ", which cannot be written to"
                         : ", which is no directory that can be reached");
  mend(f, "another --data DIR, or: mkdir -p DIR && chown $(id -u) DIR");
  f = find(j, "data.file_system", "data file system",
           "local disks answer evenly; copies on write, networks and memory do not or do not last");
  if (m->data_type) {
    while (kind < last && kinds[kind].type != m->data_type) kind++;
    if (kind < last) found(f, ok_if(kinds[kind].good), "%s", kinds[kind].name);
    else found(f, WB_FINDING_UNKNOWN, "type 0x%" PRIx64, m->data_type);
    mend(f, "--data on ext4 or xfs of a local disk (in a container: a volume)");
  }
  f = find(j, "data.free", "data free space", "a full disk stops the node; a segment is 1 GiB");
  if (m->data_type) {
    uint64_t bytes = m->data_free_bytes;
    found(f,
          bytes >= 16 * GIB ? WB_FINDING_OK
          : bytes >= GIB    ? WB_FINDING_BETTER
                            : WB_FINDING_MISSING,
          "%s", size_text(bytes, size));
    mend(f, "a larger disk, or fewer segments kept: find DIR -name '*.wbseg' -mtime +7 -delete");
  }
  f = find(j, "data.direct", "writes past the page cache",
           "a file system without O_DIRECT is seldom a local disk's (the log goes through the cache)");
  if (m->data_writable) {
    found(f, ok_if(m->data_direct), "%s", m->data_direct ? "possible" : "not possible");
    mend(f, "--data on ext4 or xfs of a local disk");
  }
}

void wb_machine_judge(const char *root, const wb_machine *machine, wb_findings *findings) {
  judge j = {root, machine, findings};
  char flags[TEXT_BYTES];
  findings->count = 0;
  bool x86 = flags_of(&j, flags);
  judge_shares(&j);
  judge_isolation(&j);
  judge_siblings(&j);
  judge_speed(&j);
  judge_instructions(&j, flags, x86);
  judge_place(&j, flags, x86);
  judge_clock(&j, flags, x86);
  judge_kernel(&j);
  judge_memory(&j);
  judge_net(&j);
  if (machine->data_asked) judge_disk(&j);
}
