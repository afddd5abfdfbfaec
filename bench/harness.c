#include "bench/harness.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "io/cpu.h"

enum { REPETITIONS_MAX = 1000, TRIPS = 256, TRIPS_PER_SAMPLE = 16 };

typedef struct wb_sample {
  double real_ns, cpu_ns, cycles, items, bytes;
} wb_sample;

typedef struct wb_row {
  const wb_bench_case *test;
  const struct wb_row *against;
  void *state;
  uint64_t iterations;
  wb_sample *samples;
  wb_hist latency;
} wb_row;

typedef struct wb_control {
  double *line_rtt_ns, *memcpy_gb_s; /* one of each a round */
  double load_before, load_after;
  uint64_t steal_before, steal_after;
  double tsc_mhz;
} wb_control;

typedef struct wb_options {
  bool smoke, list;
  unsigned repetitions;
  const char *filter, *json_path;
} wb_options;

/* ------------------------------------------------------------------------------------------------ statistics */

typedef struct wb_spread {
  double min, median, max, mean, stddev;
} wb_spread;

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static wb_spread spread_of(const double *values, unsigned count) {
  double *sorted = malloc(count * sizeof *sorted), sum = 0, squares = 0;
  if (!sorted) abort();
  memcpy(sorted, values, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, by_value);
  for (unsigned i = 0; i < count; i++) sum += sorted[i];
  double mean = sum / count;
  for (unsigned i = 0; i < count; i++) squares += (sorted[i] - mean) * (sorted[i] - mean);
  wb_spread result = {.min = sorted[0],
                      .median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2,
                      .max = sorted[count - 1],
                      .mean = mean,
                      .stddev = count > 1 ? sqrt(squares / (count - 1)) : 0};
  free(sorted);
  return result;
}

static double ns_per_item(const wb_row *row, const wb_sample *sample) { return sample->real_ns / sample->items; }
static double cycles_per_item(const wb_row *row, const wb_sample *sample) { return sample->cycles / sample->items; }
static double items_per_second(const wb_row *row, const wb_sample *sample) { return sample->items / sample->real_ns * 1e9; }
static double bytes_per_second(const wb_row *row, const wb_sample *sample) { return sample->bytes / sample->real_ns * 1e9; }
static double real_time(const wb_row *row, const wb_sample *sample) { return sample->real_ns / (double)row->iterations; }
static double cpu_time(const wb_row *row, const wb_sample *sample) { return sample->cpu_ns / (double)row->iterations; }
static double ratio(const wb_row *row, const wb_sample *sample) {
  const wb_sample *other = &row->against->samples[sample - row->samples];
  return ns_per_item(row->against, other) / ns_per_item(row, sample);
}

static wb_spread over_rounds(const wb_row *row, unsigned rounds, double (*figure)(const struct wb_row *, const wb_sample *)) {
  double values[REPETITIONS_MAX];
  for (unsigned i = 0; i < rounds; i++) values[i] = figure(row, &row->samples[i]);
  return spread_of(values, rounds);
}

/* ------------------------------------------------------------------------------------------------ the machine */

static const wb_cpu_list *allowed(void) {
  static wb_cpu_list list; /* taken once, before anything is pinned */
  if (!list.count && (wb_cpu_allowed(&list, NULL) != 0 || !list.count)) list = (wb_cpu_list){.count = 1};
  return &list;
}

unsigned wb_bench_cpu_count(void) { return allowed()->count; }

int wb_bench_cpu(unsigned index) { return allowed()->cpu[index % allowed()->count]; }

static bool slurp(const char *path, char *text, size_t size) {
  FILE *file = fopen(path, "re");
  if (!file) return false;
  size_t count = fread(text, 1, size - 1, file);
  fclose(file);
  text[count] = '\0';
  text[strcspn(text, "\n")] = '\0';
  return count > 0;
}

/* The value of the first "key : value" line of /proc/cpuinfo. */
static bool cpuinfo(const char *key, char *value, size_t size) {
  FILE *file = fopen("/proc/cpuinfo", "re");
  if (!file) return false;
  char line[512];
  bool found = false;
  while (!found && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (!colon || strncmp(line, key, strlen(key)) != 0) continue;
    colon[strcspn(colon, "\n")] = '\0';
    snprintf(value, size, "%s", colon + 1 + strspn(colon + 1, " "));
    found = true;
  }
  fclose(file);
  return found;
}

static double load_now(void) {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

/* Jiffies that the host took from all CPUs since boot. */
static uint64_t steal_now(void) {
  char text[512];
  unsigned long long steal = 0;
  if (slurp("/proc/stat", text, sizeof text)) sscanf(text, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &steal);
  return steal;
}

static double tsc_mhz(void) {
  uint64_t start = wb_bench_now_ns(), cycles = wb_bench_cycles(), now;
  do now = wb_bench_now_ns();
  while (now - start < 20000000);
  return (double)(wb_bench_cycles() - cycles) * 1e3 / (double)(now - start);
}

/* ------------------------------------------------------------------------------------------------ control columns */

typedef struct wb_line {
  _Alignas(128) uint64_t word; /* even: the ponger answered; odd: the pinger asked; UINT64_MAX: the end */
  _Alignas(128) int cpu;
} wb_line;

static void *pong(void *self) {
  wb_line *line = self;
  wb_cpu_pin(pthread_self(), line->cpu, NULL);
  for (uint64_t expect = 1;; expect += 2) {
    uint64_t word;
    while ((word = __atomic_load_n(&line->word, __ATOMIC_ACQUIRE)) != expect)
      if (word == UINT64_MAX) return NULL;
    __atomic_store_n(&line->word, expect + 1, __ATOMIC_RELEASE);
  }
}

/* Median round trip of a bare cache line between the first two CPUs; 0 where there is one CPU. */
static double line_rtt_ns(void) {
  if (wb_bench_cpu_count() < 2) return 0;
  wb_line line = {.cpu = wb_bench_cpu(1)};
  pthread_t thread;
  if (pthread_create(&thread, NULL, pong, &line) != 0) return 0;
  double trips[TRIPS];
  unsigned count = 0;
  uint64_t word = 0, until = 0;
  for (unsigned i = 0; i <= TRIPS; i++) {
    uint64_t start = wb_bench_now_ns();
    if (until && start > until) break; /* the other CPU is busy: be content with what there is */
    for (unsigned j = 0; j < TRIPS_PER_SAMPLE; j++, word += 2) {
      __atomic_store_n(&line.word, word + 1, __ATOMIC_RELEASE);
      while (__atomic_load_n(&line.word, __ATOMIC_ACQUIRE) != word + 2) continue;
    }
    uint64_t end = wb_bench_now_ns();
    if (i > 0) trips[count++] = (double)(end - start) / TRIPS_PER_SAMPLE; /* the first one waits for the thread */
    if (!until) until = end + 20000000;
  }
  __atomic_store_n(&line.word, UINT64_MAX, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  return count ? spread_of(trips, count).median : 0;
}

static double memcpy_gb_s(void) {
  enum { BYTES = 8 << 20, TURNS = 5 };
  static uint8_t *from, *to;
  if (!from) {
    from = malloc(BYTES);
    to = malloc(BYTES);
    if (!from || !to) abort();
    memset(from, 1, BYTES);
    memset(to, 2, BYTES);
  }
  double best[TURNS];
  for (unsigned i = 0; i < TURNS; i++) {
    uint64_t start = wb_bench_now_ns();
    memcpy(to, from, BYTES);
    WB_BENCH_CLOBBER();
    best[i] = BYTES / (double)(wb_bench_now_ns() - start);
  }
  return spread_of(best, TURNS).median;
}

/* ------------------------------------------------------------------------------------------------ running */

static uint64_t cpu_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool run_once(wb_row *row, bool smoke, wb_hist *latency, wb_sample *sample) {
  wb_bench_run run = {.iterations = row->iterations, .smoke = smoke, .latency = latency};
  uint64_t cpu = cpu_now_ns(), start = wb_bench_now_ns(), cycles = wb_bench_cycles();
  row->test->run(row->state, &run);
  cycles = wb_bench_cycles() - cycles;
  uint64_t elapsed = wb_bench_now_ns() - start;
  cpu = cpu_now_ns() - cpu;
  const char *wrong = row->test->check(row->state, &run);
  if (!wrong && run.items == 0) wrong = "the run says that it did nothing";
  if (wrong) {
    fprintf(stderr, "%s: wrong result after %llu iterations: %s\n", row->test->name, (unsigned long long)run.iterations, wrong);
    return false;
  }
  sample->real_ns = (double)(run.elapsed_ns ? run.elapsed_ns : elapsed ? elapsed : 1);
  sample->cycles = (double)(run.cycles ? run.cycles : cycles);
  sample->cpu_ns = (double)cpu;
  sample->items = (double)run.items;
  sample->bytes = (double)run.bytes;
  return true;
}

/* Finds how many iterations fill the time of one run. The faster of two runs counts: one that was interrupted looks long. */
static bool calibrate(wb_row *row, bool smoke) {
  double wanted = smoke ? 2e6 : 50e6;
  uint64_t most = row->test->iterations_max ? row->test->iterations_max : UINT64_MAX / 16;
  wb_sample first, second;
  for (row->iterations = 1;;) {
    if (!run_once(row, smoke, &row->latency, &first) || !run_once(row, smoke, &row->latency, &second)) return false;
    double elapsed = first.real_ns < second.real_ns ? first.real_ns : second.real_ns;
    if (elapsed >= wanted || row->iterations == most) break;
    double factor = wanted * 1.1 / elapsed;
    factor = factor < 1.1 ? 1.1 : factor > 10 ? 10 : factor;
    uint64_t next = (uint64_t)((double)row->iterations * factor) + 1;
    row->iterations = next < most ? next : most;
  }
  wb_hist_init(&row->latency);
  return true;
}

static bool run_all(wb_row *rows, unsigned count, const wb_options *options, wb_control *control) {
  bool good = true;
  for (unsigned i = 0; good && i < count; i++) {
    rows[i].state = rows[i].test->setup(rows[i].test->parameter, options->smoke);
    if (!rows[i].state) {
      fprintf(stderr, "%s: setup failed\n", rows[i].test->name);
      good = false;
    }
  }
  for (unsigned i = 0; good && i < count; i++) good = calibrate(&rows[i], options->smoke);
  control->load_before = load_now();
  control->steal_before = steal_now();
  for (unsigned round = 0; good && round < options->repetitions; round++) {
    control->line_rtt_ns[round] = line_rtt_ns();
    control->memcpy_gb_s[round] = memcpy_gb_s();
    for (unsigned i = 0; good && i < count; i++)
      good = run_once(&rows[i], options->smoke, &rows[i].latency, &rows[i].samples[round]);
  }
  control->load_after = load_now();
  control->steal_after = steal_now();
  for (unsigned i = 0; i < count; i++)
    if (rows[i].state && rows[i].test->teardown) rows[i].test->teardown(rows[i].state);
  return good;
}

/* ------------------------------------------------------------------------------------------------ the table */

static const char *build_type(void) {
#if defined(__OPTIMIZE__) && !defined(WB_DEBUG)
  return "release";
#else
  return "debug";
#endif
}

static void print_machine(const wb_control *control) {
  char model[256] = "unknown CPU";
  cpuinfo("model name", model, sizeof model);
  struct utsname name;
  uname(&name);
  printf("machine  %s, %u CPUs allowed, pinned to CPU %d, TSC %.0f MHz, Linux %s, %s build\n", model, wb_bench_cpu_count(),
         wb_bench_cpu(0), control->tsc_mhz, name.release, build_type());
}

static void print_control(const wb_control *control, unsigned rounds) {
  wb_spread rtt = spread_of(control->line_rtt_ns, rounds), copy = spread_of(control->memcpy_gb_s, rounds);
  printf("control  cache-line round trip %.0f ns (%.0f .. %.0f), memcpy %.1f GB/s (%.1f .. %.1f), load %.2f -> %.2f, "
         "steal %llu jiffies, %u rounds\n",
         rtt.median, rtt.min, rtt.max, copy.median, copy.min, copy.max, control->load_before, control->load_after,
         (unsigned long long)(control->steal_after - control->steal_before), rounds);
}

static void print_table(const wb_row *rows, unsigned count, unsigned rounds) {
  int width = 4;
  for (unsigned i = 0; i < count; i++)
    if ((int)strlen(rows[i].test->name) > width) width = (int)strlen(rows[i].test->name);
  printf("\n%-*s %11s %11s %11s %9s %11s %8s  %s\n", width, "case", "ns/item", "min", "max", "cycles", "Mitems/s", "GB/s",
         "ratio");
  for (unsigned i = 0; i < count; i++) {
    const wb_row *row = &rows[i];
    wb_spread ns = over_rounds(row, rounds, ns_per_item);
    printf("%-*s %11.2f %11.2f %11.2f %9.1f %11.3f %8.2f", width, row->test->name, ns.median, ns.min, ns.max,
           over_rounds(row, rounds, cycles_per_item).median, 1e3 / ns.median,
           over_rounds(row, rounds, bytes_per_second).median / 1e9);
    if (row->against) printf("  %.2f x %s", over_rounds(row, rounds, ratio).median, row->against->test->name);
    const wb_hist *latency = &row->latency;
    if (latency->count)
      printf("  latency ns p50 %llu p99 %llu p99.9 %llu max %llu", (unsigned long long)wb_hist_percentile(latency, 50),
             (unsigned long long)wb_hist_percentile(latency, 99), (unsigned long long)wb_hist_percentile(latency, 99.9),
             (unsigned long long)latency->max);
    printf("\n");
  }
  printf("\n");
}

/* ------------------------------------------------------------------------------------------------ JSON */

static json_t *spread_json(wb_spread spread) {
  return json_pack("{s:f,s:f,s:f}", "min", spread.min, "median", spread.median, "max", spread.max);
}

static json_t *caches_json(void) {
  json_t *caches = json_array();
  for (int index = 0;; index++) {
    char path[128], level[32], type[32], size[32], sharing[256];
    const char *names[] = {"level", "type", "size", "shared_cpu_list"};
    char *values[] = {level, type, size, sharing};
    const size_t sizes[] = {sizeof level, sizeof type, sizeof size, sizeof sharing};
    for (int i = 0; i < 4; i++) {
      snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, names[i]);
      if (!slurp(path, values[i], sizes[i])) return caches;
    }
    wb_cpu_list list;
    unsigned shared = wb_cpu_list_parse(sharing, &list, NULL) == 0 ? list.count : 1;
    char *unit;
    long long bytes = strtoll(size, &unit, 10);
    bytes <<= *unit == 'K' ? 10 : *unit == 'M' ? 20 : 0;
    json_array_append_new(caches, json_pack("{s:s,s:i,s:I,s:i}", "type", type, "level", atoi(level), "size", (json_int_t)bytes,
                                            "num_sharing", (int)shared));
  }
}

static json_t *context_json(const char *program, const wb_control *control, unsigned rounds) {
  char date[64], host[256] = "", mhz[64] = "0", model[256] = "", governor[64] = "performance", executable[4096] = "";
  time_t now = time(NULL);
  struct tm local;
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&now, &local));
  gethostname(host, sizeof host - 1);
  cpuinfo("cpu MHz", mhz, sizeof mhz);
  cpuinfo("model name", model, sizeof model);
  slurp("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor, sizeof governor);
  if (readlink("/proc/self/exe", executable, sizeof executable - 1) < 0) snprintf(executable, sizeof executable, "%s", program);
  double load[3] = {0};
  getloadavg(load, 3);
  return json_pack("{s:s,s:s,s:s,s:i,s:i,s:b,s:o,s:[fff],s:s,s:s,s:f,s:o,s:o,s:f,s:f,s:I}", "date", date, "host_name", host,
                   "executable", executable, "num_cpus", (int)sysconf(_SC_NPROCESSORS_ONLN), "mhz_per_cpu",
                   (int)lround(atof(mhz)), "cpu_scaling_enabled", strcmp(governor, "performance") != 0, "caches", caches_json(),
                   "load_avg", load[0], load[1], load[2], "library_build_type", build_type(), "cpu_model", model, "tsc_mhz",
                   control->tsc_mhz, "control_line_rtt_ns", spread_json(spread_of(control->line_rtt_ns, rounds)),
                   "control_memcpy_gb_s", spread_json(spread_of(control->memcpy_gb_s, rounds)), "control_load_before",
                   control->load_before, "control_load_after", control->load_after, "control_steal_jiffies",
                   (json_int_t)(control->steal_after - control->steal_before));
}

static json_t *head_json(const wb_row *row, const char *suffix, const char *type, unsigned rounds, uint64_t iterations) {
  char name[512];
  snprintf(name, sizeof name, "%s%s", row->test->name, suffix);
  return json_pack("{s:s,s:s,s:s,s:i,s:i,s:I,s:s}", "name", name, "run_name", row->test->name, "run_type", type, "repetitions",
                   (int)rounds, "threads", row->test->threads ? (int)row->test->threads : 1, "iterations",
                   (json_int_t)iterations, "time_unit", "ns");
}

static const struct {
  const char *name;
  double (*figure)(const wb_row *, const wb_sample *);
} figures[] = {{"real_time", real_time},
               {"cpu_time", cpu_time},
               {"items_per_second", items_per_second},
               {"bytes_per_second", bytes_per_second},
               {"ns_per_item", ns_per_item},
               {"cycles_per_item", cycles_per_item},
               {"ratio", ratio}};
enum { FIGURES = sizeof figures / sizeof figures[0] };

static bool has_figure(const wb_row *row, unsigned figure) {
  if (figures[figure].figure == ratio) return row->against != NULL;
  return figures[figure].figure != bytes_per_second || row->samples[0].bytes > 0;
}

static void add_rows(json_t *benchmarks, const wb_row *row, unsigned rounds) {
  for (unsigned i = 0; i < rounds; i++) {
    json_t *one = head_json(row, "", "iteration", rounds, row->iterations);
    json_object_set_new(one, "repetition_index", json_integer(i));
    for (unsigned f = 0; f < FIGURES; f++)
      if (has_figure(row, f)) json_object_set_new(one, figures[f].name, json_real(figures[f].figure(row, &row->samples[i])));
    json_array_append_new(benchmarks, one);
  }
  static const char *const aggregates[] = {"mean", "median", "stddev"};
  for (unsigned a = 0; a < 3; a++) {
    char suffix[16];
    snprintf(suffix, sizeof suffix, "_%s", aggregates[a]);
    json_t *one = head_json(row, suffix, "aggregate", rounds, rounds);
    json_object_set_new(one, "aggregate_name", json_string(aggregates[a]));
    json_object_set_new(one, "aggregate_unit", json_string("time"));
    for (unsigned f = 0; f < FIGURES; f++) {
      if (!has_figure(row, f)) continue;
      wb_spread spread = over_rounds(row, rounds, figures[f].figure);
      json_object_set_new(one, figures[f].name, json_real(a == 0 ? spread.mean : a == 1 ? spread.median : spread.stddev));
    }
    if (row->against) json_object_set_new(one, "against", json_string(row->against->test->name));
    if (a == 1 && row->latency.count)
      json_object_set_new(one, "latency_ns",
                          json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "count", (json_int_t)row->latency.count, "p50",
                                    (json_int_t)wb_hist_percentile(&row->latency, 50), "p99",
                                    (json_int_t)wb_hist_percentile(&row->latency, 99), "p99_9",
                                    (json_int_t)wb_hist_percentile(&row->latency, 99.9), "p99_99",
                                    (json_int_t)wb_hist_percentile(&row->latency, 99.99), "max", (json_int_t)row->latency.max));
    json_array_append_new(benchmarks, one);
  }
}

static bool write_json(FILE *file, const char *program, const wb_row *rows, unsigned count, const wb_control *control,
                       unsigned rounds) {
  json_t *benchmarks = json_array();
  for (unsigned i = 0; i < count; i++) add_rows(benchmarks, &rows[i], rounds);
  json_t *root = json_pack("{s:o,s:o}", "context", context_json(program, control, rounds), "benchmarks", benchmarks);
  bool good = root && json_dumpf(root, file, JSON_INDENT(2) | JSON_PRESERVE_ORDER) == 0 && fputc('\n', file) != EOF;
  json_decref(root);
  return good;
}

/* ------------------------------------------------------------------------------------------------ main */

static void usage(FILE *to, const char *program) {
  fprintf(to,
          "usage: %s [--smoke] [--json FILE] [--filter TEXT] [--repetitions N] [--list]\n"
          "  --smoke          three short rounds: does it run, are its results right\n"
          "  --json FILE      results in the format of Google Benchmark\n"
          "  --filter TEXT    cases whose name contains TEXT, and those they are held against\n"
          "  --repetitions N  rounds, 1..%d (default 11)\n"
          "  --list           names of the cases\n",
          program, REPETITIONS_MAX);
}

/* Returns -1 to go on, or the exit status. */
static int parse_options(int argc, char **argv, wb_options *options) {
  static const struct option table[] = {
      {"smoke", no_argument, NULL, 's'},
      {"json", required_argument, NULL, 'j'},
      {"filter", required_argument, NULL, 'f'},
      {"list", no_argument, NULL, 'l'},
      {"repetitions", required_argument, NULL, 'r'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
    char *end = NULL;
    long number = c == 'r' ? strtol(optarg, &end, 10) : 0;
    switch (c) {
    case 's': options->smoke = true; break;
    case 'l': options->list = true; break;
    case 'j': options->json_path = optarg; break;
    case 'f': options->filter = optarg; break;
    case 'h': return usage(stdout, argv[0]), 0;
    case 'r':
      if (*end != '\0' || end == optarg || number < 1 || number > REPETITIONS_MAX) return usage(stderr, argv[0]), 2;
      options->repetitions = (unsigned)number;
      break;
    default: return usage(stderr, argv[0]), 2;
    }
  }
  if (optind < argc) return usage(stderr, argv[0]), 2;
  if (!options->repetitions) options->repetitions = options->smoke ? 3 : 11;
  return -1;
}

static bool chosen(const wb_bench_case *cases, unsigned count, unsigned index, const char *filter) {
  if (!filter || strstr(cases[index].name, filter)) return true;
  for (unsigned i = 0; i < count; i++)
    if (cases[i].against && strcmp(cases[i].against, cases[index].name) == 0 && strstr(cases[i].name, filter)) return true;
  return false;
}

static wb_row *choose(const wb_bench_case *cases, unsigned count, const wb_options *options, unsigned *row_count) {
  wb_row *rows = calloc(count + 1, sizeof *rows);
  if (!rows) abort();
  *row_count = 0;
  for (unsigned i = 0; i < count; i++) {
    if (!chosen(cases, count, i, options->filter)) continue;
    wb_row *row = &rows[(*row_count)++];
    row->test = &cases[i];
    row->samples = calloc(options->repetitions, sizeof *row->samples);
    if (!row->samples) abort();
    wb_hist_init(&row->latency);
  }
  for (unsigned i = 0; i < *row_count; i++)
    for (unsigned j = 0; j < *row_count; j++)
      if (rows[i].test->against && strcmp(rows[i].test->against, rows[j].test->name) == 0) rows[i].against = &rows[j];
  return rows;
}

int wb_bench_main(int argc, char **argv, const wb_bench_case *cases, unsigned count) {
  wb_options options = {0};
  int status = parse_options(argc, argv, &options);
  if (status >= 0) return status;
  if (options.list) {
    for (unsigned i = 0; i < count; i++) puts(cases[i].name);
    return 0;
  }
  FILE *json = options.json_path ? fopen(options.json_path, "we") : NULL;
  if (options.json_path && !json) return perror(options.json_path), 2;
  wb_cpu_pin(pthread_self(), wb_bench_cpu(0), NULL);

  unsigned row_count;
  wb_row *rows = choose(cases, count, &options, &row_count);
  wb_control control = {.line_rtt_ns = calloc(options.repetitions, sizeof(double)),
                        .memcpy_gb_s = calloc(options.repetitions, sizeof(double)),
                        .tsc_mhz = tsc_mhz()};
  if (!control.line_rtt_ns || !control.memcpy_gb_s) abort();
  bool good = row_count > 0;
  if (!good) fprintf(stderr, "%s: no case matches\n", argv[0]);
  if (good) {
    print_machine(&control);
    good = run_all(rows, row_count, &options, &control);
  }
  if (good) {
    print_table(rows, row_count, options.repetitions);
    print_control(&control, options.repetitions);
  }
  if (good && json) good = write_json(json, argv[0], rows, row_count, &control, options.repetitions);
  if (json && fclose(json) != 0) good = false;
  for (unsigned i = 0; i < row_count; i++) free(rows[i].samples);
  free(rows);
  free(control.line_rtt_ns);
  free(control.memcpy_gb_s);
  return good ? 0 : 1;
}
