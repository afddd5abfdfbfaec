#include "io/machine.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/uring.h"
#include "tests/unit/random.h"

static char root[64];
static wb_findings findings, other;

static void put(const char *name, const void *bytes, size_t count) {
  char path[PATH_MAX];
  int used = snprintf(path, sizeof path, "%s/%s", root, name);
  cr_assert_lt(used, (int)sizeof path);
  for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
    *at = '\0';
    cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST, "%s", path);
    *at = '/';
  }
  FILE *file = fopen(path, "w");
  cr_assert(file, "%s", path);
  cr_assert_eq(fwrite(bytes, 1, count, file), count);
  cr_assert_eq(fclose(file), 0);
}

static void without(const char *name) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", root, name);
  cr_assert_eq(unlink(path), 0, "%s", path);
}

static int removed(const char *path, const struct stat *status, int kind, struct FTW *walk) { return remove(path); }

static void setup(void) {
  strcpy(root, "/tmp/wirebook-machine-XXXXXX");
  cr_assert(mkdtemp(root));
}

static void teardown(void) { nftw(root, removed, 16, FTW_DEPTH | FTW_PHYS); }

TestSuite(machine, .init = setup, .fini = teardown);

#define CPU "sys/devices/system/cpu/"
#define CLOCK "sys/devices/system/clocksource/clocksource0/"
#define HUGE "sys/kernel/mm/transparent_hugepage/"
#define FLAGS "fpu constant_tsc nonstop_tsc aes avx2 avx512f avx512bw avx512vl bmi1 bmi2 vaes vpclmulqdq"

static const struct {
  const char *name, *text;
} well[] = {
    {"proc/cpuinfo", "processor\t: 0\nvmx flags\t: vnmi\nflags\t\t: " FLAGS "\n\nprocessor\t: 1\nflags\t\t: hypervisor\n"},
    {"proc/cmdline", "quiet isolcpus=2-3 rcu_nocbs=2-3 nohz_full=2-3\n"},
    {"proc/stat", "cpu  100 0 100 9000 10 0 0 1 0 0\ncpu0 1 2\n"},
    {"proc/meminfo",
     "MemTotal: 1 kB\nSwapTotal:       0 kB\nSwapFree:        0 kB\nHugePages_Total:       8\nHugePages_Free:        4\n"
     "Hugepagesize:       2048 kB\n"},
    {"proc/self/status", "Name:\twirebook\nSeccomp:\t0\nSeccomp_filters:\t0\n"},
    {"proc/self/cgroup", "0::/\n"},
    {"proc/sys/kernel/osrelease", "6.1.0-21-amd64\n"},
    {"proc/sys/kernel/io_uring_disabled", "0\n"},
    {"proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"},
    {"proc/sys/net/core/rmem_max", "212992\n"},
    {"proc/sys/net/core/busy_read", "50\n"},
    {"proc/sys/net/core/busy_poll", "50\n"},
    {CPU "online", "0-3\n"},
    {CPU "isolated", "2-3\n"},
    {CPU "nohz_full", "2-3\n"},
    {CPU "cpu0/topology/thread_siblings_list", "0\n"},
    {CPU "cpu1/topology/thread_siblings_list", "1,5\n"}, /* 5 is not ours */
    {CPU "cpu0/cpufreq/scaling_governor", "performance\n"},
    {CPU "cpu1/cpufreq/scaling_governor", "performance\n"},
    {CPU "intel_pstate/no_turbo", "0\n"},
    {"sys/devices/system/node/online", "0\n"},
    {CLOCK "current_clocksource", "tsc\n"},
    {CLOCK "available_clocksource", "tsc hpet acpi_pm \n"},
    {HUGE "enabled", "always [madvise] never\n"},
    {HUGE "shmem_enabled", "always within_size [advise] never deny force\n"},
};
enum { WELL = sizeof well / sizeof *well };

static void tree(void) {
  for (int i = 0; i < WELL; i++) put(well[i].name, well[i].text, strlen(well[i].text));
}

static wb_machine fit(void) {
  return (wb_machine){.allowed = {.count = 2, .cpu = {0, 1}},
                      .clock_ps = 22000,
                      .hop_ns = 120,
                      .hop_cpu = {0, 1},
                      .uring_works = true,
                      .uring = "single issuer, deferred task run",
                      .landlock_abi = 4,
                      .filter_built = true,
                      .filter_works = true,
                      .memlock_bytes = 65536,
                      .files_max = 1024,
                      .slack_ns = 50000,
                      .clock_synchronised = 1,
                      .clock_error_us = 1500,
                      .shm_bytes = 64 << 20,
                      .data_asked = true,
                      .data_dir = "/data",
                      .data_there = true,
                      .data_type = EXT4_SUPER_MAGIC,
                      .data_free_bytes = UINT64_C(16) << 30,
                      .data_writable = true,
                      .data_direct = true};
}

static const wb_finding *finding(const char *key) {
  for (unsigned i = 0; i < findings.count; i++)
    if (strcmp(findings.finding[i].key, key) == 0) return &findings.finding[i];
  cr_assert_fail("no finding %s", key);
  return NULL;
}

/* Whatever the machine said: whole texts, and a fix exactly where there is something to mend. */
static void sound(void) {
  for (unsigned i = 0; i < findings.count; i++) {
    const wb_finding *f = &findings.finding[i];
    cr_assert(strchr(f->key, '.') && *f->label && *f->why && *f->value, "%s", f->key);
    cr_assert(memchr(f->value, 0, sizeof f->value) && memchr(f->fix, 0, sizeof f->fix), "%s", f->key);
    for (const char *at = f->value; *at; at++) cr_assert(*at >= ' ' && *at <= '~', "%s", f->key);
    bool wrong = f->state == WB_FINDING_BETTER || f->state == WB_FINDING_MISSING;
    cr_assert_eq(*f->fix != '\0', wrong, "%s is %s: '%s'", f->key, wb_finding_state_name(f->state), f->fix);
    cr_assert_leq(strlen(f->label), 26, "%s", f->label);
  }
}

static unsigned not_ok(void) {
  unsigned count = 0;
  for (unsigned i = 0; i < findings.count; i++) count += findings.finding[i].state != WB_FINDING_OK;
  return count;
}

Test(machine, a_machine_that_tells_nothing_is_unknown_and_cannot_run) {
  wb_machine machine = {.slack_ns = -1, .clock_synchronised = -1};
  wb_machine_judge(root, &machine, &findings);
  sound();
  static const char *const said[] = {
      "cpu.quota",     "cpu.nohz_full", "kernel.io_uring", "kernel.landlock",
      "kernel.filter", "kernel.files",  "kernel.memlock",  "memory.shm"}; /* that they are not there says something */
  unsigned unknown = 0;
  for (unsigned i = 0; i < findings.count; i++) unknown += findings.finding[i].state == WB_FINDING_UNKNOWN;
  cr_expect_eq(unknown + sizeof said / sizeof *said, findings.count);
  for (size_t i = 0; i < sizeof said / sizeof *said; i++)
    cr_expect_neq(finding(said[i])->state, WB_FINDING_UNKNOWN, "%s", said[i]);
  cr_expect_eq(finding("kernel.io_uring")->state, WB_FINDING_MISSING);
  cr_expect_not(wb_machine_can_run(&machine));
  char name[5000];
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  wb_machine_judge(name, &machine, &other);
  cr_expect_eq(memcmp(&findings, &other, sizeof other), 0, "a root too long for a path is a tree without files");
}

Test(machine, states_have_names_and_a_number_that_is_none_has_a_mark) {
  cr_expect_str_eq(wb_finding_state_name(WB_FINDING_OK), "ok");
  cr_expect_str_eq(wb_finding_state_name(WB_FINDING_BETTER), "could be better");
  cr_expect_str_eq(wb_finding_state_name(WB_FINDING_MISSING), "missing");
  cr_expect_str_eq(wb_finding_state_name(WB_FINDING_UNKNOWN), "unknown");
  cr_expect_str_eq(wb_finding_state_name((wb_finding_state)WB_FINDING_STATES), "?");
}

Test(machine, on_a_machine_made_for_it_all_is_well_and_nothing_is_to_be_mended) {
  tree();
  wb_machine machine = fit();
  wb_machine_judge(root, &machine, &findings);
  sound();
  for (unsigned i = 0; i < findings.count; i++)
    cr_expect_eq(findings.finding[i].state, WB_FINDING_OK, "%s: %s", findings.finding[i].key, findings.finding[i].value);
  for (unsigned i = 1; i < findings.count; i++)
    for (unsigned k = 0; k < i; k++) cr_expect_str_neq(findings.finding[i].key, findings.finding[k].key);
  cr_expect(wb_machine_can_run(&machine));
  cr_expect_str_eq(finding("cpu.usable")->value, "2 (0-1)");
  cr_expect_str_eq(finding("cpu.hop")->value, "120 ns p50 between CPU 0 and 1");
  cr_expect_str_eq(finding("cpu.virtual")->value, "no", "of the first CPU");
  cr_expect_str_eq(finding("clock.cost")->value, "22.0 ns");
  cr_expect_str_eq(finding("clock.synchronised")->value, "synchronised, at most 1.500 ms off");
  cr_expect_str_eq(finding("data.free")->value, "16.0 GiB");
  unsigned all = findings.count;
  machine.data_asked = false;
  wb_machine_judge(root, &machine, &findings);
  cr_expect_eq(findings.count, all - 4);
  for (unsigned i = 0; i < findings.count; i++) cr_expect_neq(strncmp(findings.finding[i].key, "data.", 5), 0);
}

enum { OK = WB_FINDING_OK, BETTER = WB_FINDING_BETTER, MISSING = WB_FINDING_MISSING, UNKNOWN = WB_FINDING_UNKNOWN };

Test(machine, one_file_that_says_another_thing_changes_one_finding) {
  static const struct {
    const char *name, *text; /* NULL: the file is not there */
    const char *key;
    int state;
    const char *value, *fix;
  } change[] = {
      {CPU "isolated", "\n", "cpu.isolated", BETTER, "none", "isolcpus=managed_irq,domain,1-3;"},
      {CPU "isolated", "2-\n", "cpu.isolated", UNKNOWN, "not told by this machine", ""},
      {CPU "isolated", NULL, "cpu.isolated", UNKNOWN, "not told by this machine", ""},
      {CPU "nohz_full", "(null)\n", "cpu.nohz_full", BETTER, "none", "kernel parameter nohz_full=1-3"},
      {CPU "nohz_full", NULL, "cpu.nohz_full", BETTER, "none (the kernel is built without NO_HZ_FULL)", "CONFIG_NO_HZ_FULL=y"},
      {CPU "nohz_full", "x", "cpu.nohz_full", UNKNOWN, "not told by this machine", ""},
      {"proc/cmdline", "quiet\n", "cpu.rcu_nocbs", OK, "2-3 (by nohz_full)", ""},
      {"proc/cmdline", "xrcu_nocbs=1\n", "cpu.rcu_nocbs", OK, "2-3 (by nohz_full)", ""},
      {"proc/cmdline", NULL, "cpu.rcu_nocbs", UNKNOWN, "not told by this machine", ""},
      {CPU "cpu0/topology/thread_siblings_list", "0-1\n", "cpu.smt", BETTER, "0+1", "nosmt"},
      {CPU "cpu0/topology/thread_siblings_list", NULL, "cpu.smt", OK, "none among the usable CPUs", ""},
      {CPU "cpu1/cpufreq/scaling_governor", "powersave\n", "cpu.governor", BETTER, "powersave on 1 of 2 CPUs", "cpupower"},
      {CPU "cpu1/cpufreq/scaling_governor", NULL, "cpu.governor", OK, "performance", ""},
      {CPU "cpu1/cpufreq/scaling_governor", "\n", "cpu.governor", OK, "performance", ""},
      {CPU "intel_pstate/no_turbo", "1\n", "cpu.turbo", BETTER, "off", "no_turbo"},
      {CPU "intel_pstate/no_turbo", NULL, "cpu.turbo", UNKNOWN, "not told by this machine", ""},
      {CPU "intel_pstate/no_turbo", "yes\n", "cpu.turbo", UNKNOWN, "not told by this machine", ""},
      {"proc/cpuinfo", "flags : constant_tsc nonstop_tsc aes avx2 avx512f avx512bw bmi1 bmi2 vaes vpclmulqdq", "cpu.avx512",
       BETTER, "without avx512vl", "-cpu host"},
      {"proc/cpuinfo", "flags : constant_tsc nonstop_tsc xaes aesx avx2 avx512f avx512bw avx512vl bmi1 bmi2 vaes vpclmulqdq\n",
       "cpu.aes", BETTER, "without aes", "-cpu host"},
      {"proc/cpuinfo", "flags : " FLAGS " hypervisor\n", "cpu.virtual", BETTER, "yes", "bare metal"},
      {"sys/devices/system/node/online", "0-1\n", "cpu.numa", BETTER, "2 (0-1)", "numactl"},
      {"sys/devices/system/node/online", "", "cpu.numa", UNKNOWN, "not told by this machine", ""},
      {"proc/stat", "cpu  100 0 100 9000 10 0 0 790 0 0\n", "cpu.steal", BETTER, "7.9% since boot", "instance"},
      {"proc/stat", "cpu  1 2 3 4 5 6 7\ncpu0 9 9 9\n", "cpu.steal", UNKNOWN, "not told by this machine", ""},
      {"proc/stat", "cpu  0 0 0 0 0 0 0 0\n", "cpu.steal", UNKNOWN, "not told by this machine", ""},
      {"proc/stat", "cpu  1 2 3 -4 5 6 7 8\n", "cpu.steal", UNKNOWN, "not told by this machine", ""},
      {"proc/stat", "cpu  1 2 3 4 5 6 7 99999999999999999999999\n", "cpu.steal", UNKNOWN, "not told by this machine", ""},
      {"sys/fs/cgroup/cpu.max", "150000 100000\n", "cpu.quota", BETTER, "1.500 CPUs", "cpu.max"},
      {"sys/fs/cgroup/cpu.max", "max 100000\n", "cpu.quota", OK, "none", ""},
      {CLOCK "current_clocksource", "hpet\n", "clock.source", BETTER, "hpet", "echo tsc > "},
      {CLOCK "current_clocksource", "arch_sys_counter\n", "clock.source", OK, "arch_sys_counter", ""},
      {CLOCK "current_clocksource", NULL, "clock.source", UNKNOWN, "not told by this machine", ""},
      {"proc/cpuinfo", "flags : constant_tsc aes avx2 avx512f avx512bw avx512vl bmi1 bmi2 vaes vpclmulqdq\n", "clock.tsc",
       BETTER, "constant, may stop", "invtsc"},
      {"proc/sys/kernel/osrelease", "5.15.0\n", "kernel.version", BETTER, "5.15.0", "6.1"},
      {"proc/sys/kernel/osrelease", "6.0.9\n", "kernel.version", BETTER, "6.0.9", "6.1"},
      {"proc/sys/kernel/osrelease", "7.0-rc1\n", "kernel.version", OK, "7.0-rc1", ""},
      {"proc/sys/kernel/io_uring_disabled", "1\n", "kernel.io_uring_disabled", BETTER, "1, though this process may",
       "sysctl -w"},
      {"proc/sys/kernel/io_uring_disabled", NULL, "kernel.io_uring_disabled", OK, "not there (kernels before 6.6 have none)",
       ""},
      {"proc/self/status", "Seccomp:\t2\n", "kernel.seccomp", OK, "a filter is in force", ""},
      {"proc/self/status", "Seccomp:\t77777\n", "kernel.seccomp", OK, "?", ""},
      {"proc/self/status", "NoSeccomp:\t2\n", "kernel.seccomp", UNKNOWN, "not told by this machine", ""},
      {HUGE "enabled", "always madvise [never]\n", "memory.thp", BETTER, "never", "echo madvise"},
      {HUGE "enabled", "always madvise never\n", "memory.thp", UNKNOWN, "always madvise never", ""},
      {HUGE "enabled", "[]\n", "memory.thp", UNKNOWN, "not told by this machine", ""},
      {HUGE "shmem_enabled", "[deny]", "memory.thp_shared", BETTER, "deny", "echo advise"},
      {"proc/sys/net/ipv4/tcp_rmem", "4096 87380 1048576\n", "net.tcp_rmem", BETTER, "up to 1 MiB (4096 87380 1048576)",
       "tcp_rmem="},
      {"proc/sys/net/ipv4/tcp_rmem", "4096 87380\n", "net.tcp_rmem", UNKNOWN, "not told by this machine", ""},
      {"proc/sys/net/core/rmem_max", "65536\n", "net.rmem_max", BETTER, "64 KiB", "rmem_max="},
      {"proc/sys/net/core/busy_read", "0\n", "net.busy_read", BETTER, "busy_read 0 us, busy_poll 50 us", "busy_read=50"},
      {"proc/sys/net/core/busy_poll", NULL, "net.busy_read", OK, "busy_read 50 us", ""},
  };
  wb_machine machine = fit();
  for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
    teardown();
    cr_assert_eq(mkdir(root, 0700), 0);
    tree();
    if (change[i].text) put(change[i].name, change[i].text, strlen(change[i].text));
    else without(change[i].name);
    wb_machine_judge(root, &machine, &findings);
    sound();
    const wb_finding *f = finding(change[i].key);
    cr_expect_eq((int)f->state, change[i].state, "%zu: %s is %s", i, f->key, wb_finding_state_name(f->state));
    if (change[i].state != UNKNOWN) cr_expect_str_eq(f->value, change[i].value, "%zu: %s", i, f->key);
    cr_expect(strstr(f->fix, change[i].fix), "%zu: %s: %s", i, f->key, f->fix);
    cr_expect_eq(not_ok(), (unsigned)(change[i].state != OK), "%zu: %s alone", i, f->key);
  }
}

Test(machine, memory_files_are_read_by_field) {
  static const struct {
    const char *text, *key;
    int state;
    const char *value;
  } meminfo[] = {
      {"SwapTotal: 2097152 kB\nSwapFree: 2097152 kB\n", "memory.swap", OK, "0 KiB of 2.0 GiB in use"},
      {"SwapTotal: 2097152 kB\nSwapFree: 2084864 kB\n", "memory.swap", BETTER, "12 MiB of 2.0 GiB in use"},
      {"SwapTotal: 1 kB\nSwapFree: 2 kB\n", "memory.swap", UNKNOWN, "not told by this machine"},
      {"SwapTotal: 99999999999999999999 kB\nSwapFree: 2 kB\n", "memory.swap", UNKNOWN, "not told by this machine"},
      {"HugePages_Total: 0\nHugePages_Free: 0\nHugepagesize: 2048 kB\n", "memory.huge_pages", BETTER, "0 of 2048 KiB, 0 free"},
      {"HugePages_Total: 9\nHugePages_Free: 3\nHugepagesize: 2048 kB\n", "memory.huge_pages", BETTER, "9 of 2048 KiB, 3 free"},
      {"HugePages_Total: 1\nHugePages_Free: 1\nHugepagesize: 1048576 kB\n", "memory.huge_pages", OK,
       "1 of 1048576 KiB, 1 free"},
      {"HugePages_Total: 4\nHugePages_Free: 4\nHugepagesize: 0 kB\n", "memory.huge_pages", OK, "4 of 2048 KiB, 4 free"},
      {"HugePages_Total: 4\n", "memory.huge_pages", BETTER, "4 of 2048 KiB, 0 free"},
      {"HugePages_Total: four\n", "memory.huge_pages", UNKNOWN, "not told by this machine"},
  };
  wb_machine machine = fit();
  for (size_t i = 0; i < sizeof meminfo / sizeof *meminfo; i++) {
    put("proc/meminfo", meminfo[i].text, strlen(meminfo[i].text));
    wb_machine_judge(root, &machine, &findings);
    sound();
    cr_expect_eq((int)finding(meminfo[i].key)->state, meminfo[i].state, "%zu", i);
    cr_expect_str_eq(finding(meminfo[i].key)->value, meminfo[i].value);
  }
}

Test(machine, another_kind_of_cpu_has_no_x86_findings) {
  tree();
  put("proc/cpuinfo", "Features\t: fp asimd aes crc32\n", 30);
  wb_machine machine = fit();
  wb_machine_judge(root, &machine, &findings);
  cr_expect_eq((int)finding("cpu.aes")->state, OK);
  static const char *const x86[] = {"cpu.vaes", "cpu.avx2", "cpu.avx512", "cpu.virtual", "clock.tsc"};
  for (size_t i = 0; i < sizeof x86 / sizeof *x86; i++) cr_expect_eq((int)finding(x86[i])->state, UNKNOWN, "%s", x86[i]);
}

static void alone(wb_machine *m) { m->allowed.count = 1, m->hop_ns = 0; }
static void unseen(wb_machine *m) { m->hop_ns = 0; }
static void far_away(wb_machine *m) { m->hop_ns = 301; }
static void slow_clock(wb_machine *m) { m->clock_ps = 412900; }
static void adrift(wb_machine *m) { m->clock_synchronised = 0; }
static void slack(wb_machine *m) { m->slack_ns = 1000000; }
static void plain(wb_machine *m) { strcpy(m->uring, "cooperative task run"); }
static void few(wb_machine *m) { m->files_max = 256; }
static void too_few(wb_machine *m) { m->files_max = 16; }
static void any_files(wb_machine *m) { m->files_max = UINT64_MAX; }
static void without_landlock(wb_machine *m) { m->landlock_abi = 0; }
static void old_landlock(wb_machine *m) { m->landlock_abi = 3; }
static void without_filter(wb_machine *m) { m->filter_works = false; }
static void not_built(wb_machine *m) { m->filter_works = m->filter_built = false; }
static void no_shm(wb_machine *m) { m->shm_bytes = 0; }
static void tmpfs(wb_machine *m) { m->data_type = TMPFS_MAGIC; }
static void strange(wb_machine *m) { m->data_type = 0xabc; }
static void filling(wb_machine *m) { m->data_free_bytes = UINT64_C(3) << 29; }
static void full(wb_machine *m) { m->data_free_bytes = 100 << 20; }
static void cached(wb_machine *m) { m->data_direct = false; }
static void to_be_made(wb_machine *m) { m->data_there = false; }

Test(machine, one_measure_that_is_worse_changes_one_finding) {
  static const struct {
    void (*change)(wb_machine *m);
    const char *key;
    int state;
    const char *value;
    unsigned bad;
  } change[] = {
      {alone, "cpu.usable", BETTER, "1 (0)", 2},
      {alone, "cpu.hop", UNKNOWN, "not measured with one CPU", 2},
      {unseen, "cpu.hop", UNKNOWN, "not measured: the CPUs are busy or cannot be pinned to", 1},
      {far_away, "cpu.hop", BETTER, "301 ns p50 between CPU 0 and 1", 1},
      {slow_clock, "clock.cost", BETTER, "412.9 ns", 1},
      {adrift, "clock.synchronised", BETTER, "not synchronised", 1},
      {slack, "clock.slack", BETTER, "1000.0 us", 1},
      {plain, "kernel.io_uring", BETTER, "cooperative task run", 1},
      {few, "kernel.files", BETTER, "256", 1},
      {too_few, "kernel.files", MISSING, "16", 1},
      {any_files, "kernel.files", OK, "unlimited", 0},
      {without_landlock, "kernel.landlock", BETTER, "not there", 1},
      {old_landlock, "kernel.landlock", BETTER, "ABI 3", 1},
      {without_filter, "kernel.filter", BETTER, "the kernel takes none", 1},
      {not_built, "kernel.filter", BETTER, "not built in", 1},
      {no_shm, "memory.shm", BETTER, "no file system in memory is mounted there", 1},
      {tmpfs, "data.file_system", BETTER, "tmpfs", 1},
      {strange, "data.file_system", UNKNOWN, "type 0xabc", 1},
      {filling, "data.free", BETTER, "1.5 GiB", 1},
      {full, "data.free", MISSING, "100 MiB", 1},
      {cached, "data.direct", BETTER, "not possible", 1},
      {to_be_made, "data.directory", OK, "to be made in /data", 0},
  };
  tree();
  for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
    wb_machine machine = fit();
    change[i].change(&machine);
    wb_machine_judge(root, &machine, &findings);
    sound();
    cr_expect_eq((int)finding(change[i].key)->state, change[i].state, "%zu", i);
    cr_expect_str_eq(finding(change[i].key)->value, change[i].value);
    cr_expect_eq(not_ok(), change[i].bad, "%zu", i);
    cr_expect(wb_machine_can_run(&machine));
  }
}

Test(machine, without_io_uring_it_cannot_run_and_what_forbids_it_is_missing) {
  tree();
  wb_machine machine = fit();
  machine.uring_works = false;
  strcpy(machine.uring, "io_uring is forbidden");
  put("proc/sys/kernel/io_uring_disabled", "2\n", 2);
  put("proc/self/status", "Seccomp:\t2\n", 11);
  wb_machine_judge(root, &machine, &findings);
  sound();
  cr_expect_not(wb_machine_can_run(&machine));
  static const char *const keys[] = {"kernel.io_uring", "kernel.io_uring_disabled", "kernel.seccomp"};
  for (int i = 0; i < 3; i++) cr_expect_eq((int)finding(keys[i])->state, MISSING, "%s", keys[i]);
  cr_expect_str_eq(finding("kernel.io_uring")->value, "io_uring is forbidden");
  cr_expect_eq(not_ok(), 3);
}

Test(machine, memory_locked_matters_on_old_kernels_only) {
  wb_machine machine = fit();
  put("proc/sys/kernel/osrelease", "5.10.0\n", 7);
  wb_machine_judge(root, &machine, &findings);
  cr_expect_eq((int)finding("kernel.memlock")->state, BETTER);
  machine.memlock_bytes = UINT64_MAX;
  wb_machine_judge(root, &machine, &findings);
  cr_expect_eq((int)finding("kernel.memlock")->state, OK);
  cr_expect_str_eq(finding("kernel.memlock")->value, "unlimited");
}

Test(machine, the_cpus_proposed_leave_one_or_two_to_the_rest) {
  static const struct {
    const char *online, *fix;
  } proposed[] = {{"0-1\n", "domain,1; then wirebook run --layout 1"},
                  {"0-3\n", "domain,1-3;"},
                  {"0-15\n", "domain,2-5;"},
                  {"0,2,4,6,8,10\n", "domain,4,6,8,10;"},
                  {"0\n", "a machine with two CPUs or more"},
                  {"?\n", "a machine with two CPUs or more"}};
  wb_machine machine = fit();
  put(CPU "isolated", "\n", 1);
  for (size_t i = 0; i < sizeof proposed / sizeof *proposed; i++) {
    put(CPU "online", proposed[i].online, strlen(proposed[i].online));
    wb_machine_judge(root, &machine, &findings);
    cr_expect(strstr(finding("cpu.isolated")->fix, proposed[i].fix), "%s", finding("cpu.isolated")->fix);
  }
}

Test(machine, files_full_of_anything_give_the_same_keys_and_whole_texts) {
  seed();
  wb_machine machine = fit();
  machine.data_type = 0;
  tree();
  wb_machine_judge(root, &machine, &other);
  static char bytes[40000];
  static const char likely[] = "0123456789,-:.[] \n\tkBflagscpu ";
  for (int round = 0; round < 3000; round++) {
    int at = (int)(next() % WELL);
    size_t whole = strlen(well[at].text), count = next() % (round % 50 ? 64 : sizeof bytes);
    size_t start = next() % 3 ? whole : 0; /* the right text with errors, or none of it */
    if (start) {
      memcpy(bytes, well[at].text, whole);
      for (size_t n = count % 4; n; n--) bytes[next() % whole] = (char)next();
      count = next() % (whole + 1);
    } else {
      for (size_t i = 0; i < count; i++) bytes[i] = round % 2 ? (char)next() : likely[next() % (sizeof likely - 1)];
    }
    put(well[at].name, bytes, count);
    wb_machine_judge(root, &machine, &findings);
    sound();
    cr_assert_eq(findings.count, other.count);
    for (unsigned i = 0; i < findings.count; i++) cr_assert_str_eq(findings.finding[i].key, other.finding[i].key);
  }
}

Test(machine, this_machine_is_measured_and_left_as_it_was) {
  char dir[PATH_MAX];
  static wb_machine machine;
  snprintf(dir, sizeof dir, "%s/not//yet/there/", root);
  wb_machine_measure(dir, &machine);
  cr_expect_geq(machine.allowed.count, 1);
  cr_expect(machine.clock_ps > 0 && machine.clock_ps < 1000000000);
  wb_uring *ring = wb_uring_open(8, 0, NULL);
  cr_expect_eq(machine.uring_works, ring != NULL, "%s", machine.uring);
  wb_uring_close(ring);
  cr_expect_neq(*machine.uring, '\0');
  cr_expect_eq(machine.files_max, (uint64_t)sysconf(_SC_OPEN_MAX));
  cr_expect(machine.data_asked && machine.data_writable && !machine.data_there);
  cr_expect_str_eq(machine.data_dir, root);
  cr_expect(machine.data_type && machine.data_free_bytes);
  DIR *open = opendir(root);
  int entries = 0;
  while (readdir(open)) entries++;
  closedir(open);
  cr_expect_eq(entries, 2, "nothing but . and ..");
  wb_machine_judge("", &machine, &findings);
  sound();
}

Test(machine, a_data_directory_that_is_a_file_is_said_to_be_none) {
  char path[PATH_MAX];
  static wb_machine machine;
  put("file", "x", 1);
  snprintf(path, sizeof path, "%s/file", root);
  wb_machine_measure(path, &machine);
  cr_expect(machine.data_asked && !machine.data_writable && !machine.data_type);
  wb_machine_judge(root, &machine, &findings);
  sound();
  cr_expect_eq((int)finding("data.directory")->state, MISSING);
  cr_expect_eq((int)finding("data.free")->state, UNKNOWN);
  strcat(path, "/below");
  wb_machine_measure(path, &machine);
  cr_expect(machine.data_asked && !machine.data_writable);
  wb_machine_measure("", &machine);
  cr_expect_str_eq(machine.data_dir, ".");
  wb_machine_measure("not-here", &machine);
  cr_expect_str_eq(machine.data_dir, ".");
  wb_machine_measure("/not-here", &machine);
  cr_expect_str_eq(machine.data_dir, "/");
  wb_machine_measure(NULL, &machine);
  cr_expect_not(machine.data_asked);
}
