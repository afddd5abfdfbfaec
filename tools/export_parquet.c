#include "tools/export_parquet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/row_pipe.h"

enum { BUFFER_BYTES = 1 << 20, PIPE_BYTES = 1 << 20 };

struct wb_export_parquet {
  FILE *to;
  char *buffer;
  pid_t child;
};

/* ------------------------------------------------------------------------------------------------ inputs */

/* FNV-1a, 64 bits: inputs are only told apart from others that nobody made to look alike. */
static void fold(uint64_t *h, const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) *h = (*h ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

static void fold_text(uint64_t *h, const char *text) { fold(h, text ? text : "", text ? strlen(text) + 1 : 1); }

/* What is no file, standard input say, is never the same again. */
static void fold_file(uint64_t *h, const char *path) {
  struct stat about;
  bool file = stat(path, &about) == 0 && S_ISREG(about.st_mode);
  const int64_t what[] = {file ? about.st_size : wb_clock_utc_ns(), file ? about.st_mtim.tv_sec : 0,
                          file ? about.st_mtim.tv_nsec : 0};
  fold(h, what, sizeof what);
}

static void fold_log(uint64_t *h, const char *path) {
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = &path, .path_count = 1}, NULL);
  const wb_log_segment *segment;
  for (size_t i = 0; reader && (segment = wb_log_reader_segment(reader, i)); i++) {
    fold(h, segment->node, sizeof segment->node);
    fold(h, &segment->segment, sizeof segment->segment);
    fold_file(h, segment->path);
  }
  if (reader) wb_log_reader_close(reader);
}

/* What the rows depend on: the program, the options, the files. */
static uint64_t inputs_of(const wb_config *config, const wb_export_config *what) {
  static const char *const texts[] = {"feed", "from", "to", "table"}, *const lists[] = {"channel", "bars", "witness"},
                           *const counts[] = {"max-message", "orders", "crossed-ms", "decimals"};
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  fold_text(&h, WB_VERSION);
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) fold_text(&h, wb_config_text(config, texts[i]));
  for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) {
    for (char *const *item = wb_config_list(config, lists[i]); *item; item++) fold_text(&h, *item);
    fold_text(&h, NULL);
  }
  for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
    uint64_t count = wb_config_count(config, counts[i]);
    fold(&h, &count, sizeof count);
  }
  for (uint32_t i = 0; i < what->node.products->count; i++) fold_text(&h, what->node.products->product[i].id);
  for (char *const *path = what->node.path; *path; path++) {
    struct stat about;
    if (stat(*path, &about) == 0 && S_ISDIR(about.st_mode)) fold_log(&h, *path);
    else fold_file(&h, *path);
  }
  return h;
}

/* ------------------------------------------------------------------------------------------------ the program */

/* Beside this one, or where the environment says. */
static int program(char *path, size_t size, wb_error *error) {
  const char *said = getenv("WIREBOOK_PARQUET");
  if (said) {
    snprintf(path, size, "%s", said);
  } else {
    ssize_t n = readlink("/proc/self/exe", path, size - sizeof "wirebook-parquet");
    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    strcpy(slash ? slash + 1 : path, "wirebook-parquet");
  }
  if (access(path, X_OK) == 0) return 0;
  return wb_error_set(
      error, WB_E_CONFIG, errno, "parquet",
      "Parquet is written by %s, which is not there: it is built where DuckDB's library is, which tools/npm/fetch "
      "fetches (then cmake and ninja again; docs/export.md)",
      path);
}

int wb_export_parquet_put(wb_export_parquet *parquet, wb_table_id table, const wb_value *cell, wb_error *error) {
  return wb_row_pipe_write(parquet->to, table, cell, error);
}

static int put(void *self, wb_table_id table, const wb_value *cell, const wb_replay_origin *origin, wb_error *error) {
  (void)origin;
  return wb_export_parquet_put(self, table, cell, error);
}

static int start(wb_export_parquet *parquet, const char *path, char *const *argv, wb_error *error) {
  int ends[2];
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t defaults;
  if (pipe2(ends, O_CLOEXEC) != 0) return wb_error_set(error, WB_E_SYSTEM, errno, "parquet", "pipe: %s", strerror(errno));
  fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* where the system lets it */
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  int failed = posix_spawn(&parquet->child, path, &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[0]);
  parquet->to = failed ? NULL : fdopen(ends[1], "w");
  if (parquet->to) return 0;
  close(ends[1]);
  parquet->child = failed ? 0 : parquet->child;
  return wb_error_set(error, WB_E_SYSTEM, failed ? failed : errno, "parquet", "cannot start %s: %s", path,
                      strerror(failed ? failed : errno));
}

wb_export_parquet *wb_export_parquet_start(const char *out, wb_table_id table, const char *inputs, uint64_t decimals,
                                           const char *memory, wb_error *error) {
  char path[PATH_MAX], digits[32];
  if (program(path, sizeof path, error) != 0) return NULL;
  wb_export_parquet *parquet = calloc(1, sizeof *parquet);
  if (!parquet) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "parquet", "no memory");
    return NULL;
  }
  snprintf(digits, sizeof digits, "%llu", (unsigned long long)decimals);
  char *argv[] = {path,         "--out", (char *)out, "--inputs",     (char *)inputs,
                  "--decimals", digits,  "--memory",  (char *)memory, NULL};
  if (start(parquet, path, argv, error) == 0) {
    parquet->buffer = malloc(BUFFER_BYTES);
    if (parquet->buffer) setvbuf(parquet->to, parquet->buffer, _IOFBF, BUFFER_BYTES);
    if (wb_row_pipe_head(parquet->to, table, error) == 0) return parquet;
  }
  wb_export_parquet_close(parquet, false, NULL);
  return NULL;
}

wb_export_parquet *wb_export_parquet_open(const wb_config *config, wb_export_config *what, wb_table_id table, wb_error *error) {
  char inputs[32];
  snprintf(inputs, sizeof inputs, "%016llx", (unsigned long long)inputs_of(config, what));
  wb_export_parquet *parquet =
      wb_export_parquet_start(wb_config_text(config, "out"), table, inputs, wb_config_count(config, "decimals"),
                              wb_config_text(config, "memory"), error);
  what->sink = (wb_row_sink){parquet, put};
  return parquet;
}

int wb_export_parquet_close(wb_export_parquet *parquet, bool whole, wb_error *error) {
  int status = 0;
  if (parquet->to) {
    if (whole) wb_row_pipe_end(parquet->to, error);
    fclose(parquet->to); /* what did not get through, the program's exit code tells */
  }
  while (parquet->child > 0 && waitpid(parquet->child, &status, 0) < 0 && errno == EINTR) {
  }
  free(parquet->buffer);
  free(parquet);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  if (WIFSIGNALED(status))
    return wb_error_set(error, WB_E_SYSTEM, 0, "parquet", "wirebook-parquet ended by signal %d", WTERMSIG(status));
  return wb_error_set(error, WB_E_SYSTEM, 0, "parquet", "%s", "");
}
