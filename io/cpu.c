#include "io/cpu.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int wb_cpu_list_has(const wb_cpu_list *list, int cpu) {
  for (uint32_t i = 0; i < list->count; i++)
    if (list->cpu[i] == cpu) return 1;
  return 0;
}

/* Reads digits at *text and moves past them; -1 if there are none, WB_CPU_COUNT_MAX for all that is too large. */
static int number(const char **text) {
  if (**text < '0' || **text > '9') return -1;
  int value = 0;
  for (; **text >= '0' && **text <= '9'; ++*text) {
    value = value * 10 + (**text - '0');
    if (value > WB_CPU_COUNT_MAX) value = WB_CPU_COUNT_MAX;
  }
  return value;
}

static int refuse(wb_cpu_list *list, int code, const char *what, wb_error *error) {
  list->count = 0;
  return wb_error_set(error, code, 0, "CPU list", "%s", what);
}

int wb_cpu_list_parse(const char *text, wb_cpu_list *list, wb_error *error) {
  list->count = 0;
  while (*text != '\0' && *text != '\n') {
    int first = number(&text), last = first;
    if (first < 0) return refuse(list, WB_E_SYNTAX, "a CPU number is missing; the form is 0,2-3", error);
    if (*text == '-') {
      text++;
      last = number(&text);
      if (last < first) return refuse(list, WB_E_SYNTAX, "a range must run from the lower to the higher CPU", error);
    }
    if (last >= WB_CPU_COUNT_MAX) return refuse(list, WB_E_RANGE, "CPU numbers end at 1023", error);
    for (int cpu = first; cpu <= last; cpu++) {
      if (wb_cpu_list_has(list, cpu)) return refuse(list, WB_E_SYNTAX, "a CPU is named twice", error);
      list->cpu[list->count++] = (uint16_t)cpu;
    }
    if (*text == ',') {
      text++;
      if (*text == '\0' || *text == '\n') return refuse(list, WB_E_SYNTAX, "nothing follows the last comma", error);
    } else if (*text != '\0' && *text != '\n') {
      return refuse(list, WB_E_SYNTAX, "a character that is no digit, comma or dash; the form is 0,2-3", error);
    }
  }
  if (*text == '\n' && text[1] != '\0') return refuse(list, WB_E_SYNTAX, "more than one line", error);
  return 0;
}

const char *wb_cpu_list_print(const wb_cpu_list *list, char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (uint32_t i = 0; i < list->count && used < size;) {
    uint32_t end = i + 1;
    while (end < list->count && list->cpu[end] == list->cpu[end - 1] + 1) end++;
    int wrote = end - i == 1 ? snprintf(text + used, size - used, "%s%u", i ? "," : "", list->cpu[i])
                             : snprintf(text + used, size - used, "%s%u-%u", i ? "," : "", list->cpu[i], list->cpu[end - 1]);
    used += (size_t)wrote;
    i = end;
  }
  return text;
}

/* Reads a small file whole, NUL-terminated. Returns false with errno set if it cannot be read or does not fit. */
static bool slurp(const char *path, char *text, size_t size) {
  FILE *file = fopen(path, "re");
  if (!file) return false;
  size_t count = fread(text, 1, size, file);
  bool failed = ferror(file) != 0;
  int saved = errno;
  fclose(file);
  errno = failed ? saved : EFBIG;
  if (failed || count == size) return false;
  text[count] = '\0';
  return true;
}

int wb_cpu_list_read(const char *path, wb_cpu_list *list, wb_error *error) {
  char text[8192];
  list->count = 0;
  if (!slurp(path, text, sizeof text)) return wb_error_set(error, WB_E_SYSTEM, errno, "read", "cannot read %s", path);
  return wb_cpu_list_parse(text, list, error);
}

int wb_cpu_allowed(wb_cpu_list *list, wb_error *error) {
  cpu_set_t set;
  list->count = 0;
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return wb_error_set(error, WB_E_SYSTEM, errno, "sched_getaffinity", "cannot see which CPUs may be used");
  for (int cpu = 0; cpu < WB_CPU_COUNT_MAX; cpu++)
    if (CPU_ISSET(cpu, &set)) list->cpu[list->count++] = (uint16_t)cpu;
  return 0;
}

int wb_cpu_isolated(wb_cpu_list *list, wb_error *error) {
  return wb_cpu_list_read("/sys/devices/system/cpu/isolated", list, error);
}

/* "max 100000" or "150000 100000": thousandths of a CPU, 0 for no limit. */
static uint64_t quota_of(const char *path) {
  char text[128];
  unsigned long long quota, period;
  if (!slurp(path, text, sizeof text) || sscanf(text, "%llu %llu", &quota, &period) != 2 || period == 0) return 0;
  uint64_t millis = quota / period * 1000 + quota % period * 1000 / period;
  return millis ? millis : 1;
}

uint64_t wb_cpu_quota(const char *root, const char *self) {
  char text[8192], path[PATH_MAX];
  if (!slurp(self ? self : "/proc/self/cgroup", text, sizeof text)) return 0;
  char *group = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
  if (!group) return 0;
  group = strchr(group, '/');
  group[strcspn(group, "\n")] = '\0';
  uint64_t least = 0;
  for (;;) {
    int wrote = snprintf(path, sizeof path, "%s%s/cpu.max", root ? root : "/sys/fs/cgroup", group);
    uint64_t quota = (size_t)wrote < sizeof path ? quota_of(path) : 0;
    if (quota && (!least || quota < least)) least = quota;
    char *slash = strrchr(group, '/');
    if (!slash) return least;
    *slash = '\0';
  }
}

unsigned wb_cpu_usable_count(void) {
  wb_cpu_list list;
  unsigned count = wb_cpu_allowed(&list, NULL) == 0 && list.count ? list.count : 1;
  uint64_t quota = wb_cpu_quota(NULL, NULL);
  if (quota && quota / 1000 < count) count = (unsigned)(quota / 1000);
  return count ? count : 1;
}

int wb_cpu_pin(pthread_t thread, int cpu, wb_error *error) {
  if (cpu < 0 || cpu >= WB_CPU_COUNT_MAX) return wb_error_set(error, WB_E_INVALID, 0, "wb_cpu_pin", "%d is no CPU", cpu);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  int failed = pthread_setaffinity_np(thread, sizeof set, &set);
  if (failed) return wb_error_set(error, WB_E_SYSTEM, failed, "pthread_setaffinity_np", "cannot pin a thread to CPU %d", cpu);
  return 0;
}

void wb_cpu_step_aside(const wb_cpu_list *avoid, bool idle) {
  enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_IDLE = 3 << 13 };
  wb_cpu_list allowed;
  cpu_set_t others;
  CPU_ZERO(&others);
  if (!wb_cpu_allowed(&allowed, NULL))
    for (uint32_t i = 0; i < allowed.count; i++)
      if (!wb_cpu_list_has(avoid, allowed.cpu[i])) CPU_SET(allowed.cpu[i], &others);
  if (CPU_COUNT(&others)) sched_setaffinity(0, sizeof others, &others);
  const struct sched_param none = {0};
  if (!idle || sched_setscheduler(0, SCHED_IDLE, &none)) setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
  if (idle) syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

void wb_cpu_name(pthread_t thread, const char *name) {
  char kept[16];
  snprintf(kept, sizeof kept, "%s", name);
  pthread_setname_np(thread, kept);
}
