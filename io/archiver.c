#include "io/archiver.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/ring/atomic.h"
#include "engine/store/segment.h"
#include "io/archive_list.h"
#include "io/folder.h"
#include "io/hook.h"
#include "io/host.h"
#include "io/log_index.h"
#include "io/sink_zstd.h"

enum {
  PATH_BYTES = 4096,
  ROOT_BYTES = PATH_BYTES - WB_ARCHIVE_BELOW_BYTES - 16,
  WRITEBACK_BYTES = 8 << 20,
  MARKS_SLACK = 1000
};
static const int64_t HEADERLESS_NS = INT64_C(60000000000); /* so old, a file without a whole header has no writer */
static const uint64_t RESCAN_NS = UINT64_C(60000000000);

typedef wb_archive_entry entry;

typedef enum { STEP_NONE = 0, STEP_ENCODE, STEP_SYNC, STEP_COMPARE, STEP_RENAME, STEP_SYNC_FOLDER, STEP_REMOVE } step;

/* The segment being compressed. */
typedef struct job {
  step step;
  size_t index; /* of its entry; no scan runs meanwhile */
  bool again;   /* both forms were there: only compared */
  int from, to;
  wb_zstd_decoder *decoder;
  uint64_t at, bytes, made, flushed;
  struct stat about;
} job;

struct wb_archiver {
  wb_archiver_config config;
  char root[ROOT_BYTES];
  int root_fd, marks_fd, wake_fd;
  bool locked, told_locked, told_lockless;
  entry *entry;
  size_t count;
  uint64_t check_at_ns, scan_at_ns, marks;
  bool retain_due;
  job job;
  wb_zstd_encoder *encoder;
  wb_log_indexer *indexer; /* at work on the entry `indexing`; no scan runs meanwhile */
  size_t indexing;
  wb_hook *hook;
  char *hook_path;           /* of the entry that the command runs for */
  wb_archiver_status status; /* W archiver, R any, each field relaxed */
  uint64_t stopping;         /* W control, R archiver */
  bool started;
  pthread_t thread;
  uint8_t block[WB_ZSTD_BLOCK_BYTES], decoded[WB_ZSTD_BLOCK_BYTES];
};

static void count(uint64_t *field, uint64_t more) { wb_store_relaxed(field, wb_load_relaxed(field) + more); }
static uint64_t now(const wb_archiver *a) { return a->config.host->now_ns(a->config.host->self); }
static int64_t utc(const wb_archiver *a) { return (int64_t)now(a) + a->config.host->utc_offset_ns(a->config.host->self); }

static void say(const wb_archiver *a, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(const wb_archiver *a, int level, const char *format, ...) {
  if (!a->config.host->log) return;
  char text[PATH_BYTES + 512] = "archiver: ";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + strlen(text), sizeof text - strlen(text), format, arguments);
  va_end(arguments);
  a->config.host->log(a->config.host->self, level, text);
}

static const char *full(const wb_archiver *a, const char *path, const char *suffix, char text[PATH_BYTES]) {
  snprintf(text, PATH_BYTES, "%s/%s%s", a->root, path, suffix);
  return text;
}

static uint64_t doubled(uint64_t retry_ns, uint64_t first_ns) {
  uint64_t next = retry_ns ? 2 * retry_ns : first_ns;
  return next < WB_ARCHIVER_RETRY_NS_MAX ? next : WB_ARCHIVER_RETRY_NS_MAX;
}

static void retry_later(wb_archiver *a, entry *e) {
  e->retry_ns = doubled(e->retry_ns, a->config.retry_ns);
  e->retry_at_ns = now(a) + e->retry_ns;
}

static bool compressible(const wb_archiver *a, const entry *e) {
  return e->sealed && !e->gone && e->plain && (e->zst || (a->config.level && e->plain_bytes));
}
static bool indexable(const wb_archiver *a, const entry *e) {
  return a->config.index && e->sealed && !e->gone && !e->indexed && !compressible(a, e);
}
static bool presentable(const wb_archiver *a, const entry *e) {
  return a->hook && e->sealed && !e->gone && !compressible(a, e) && !indexable(a, e) && !e->archived;
}

/* ------------------------------------------------------------------------------------------------ entries */

static entry *find(const wb_archiver *a, const char *path) { return wb_archive_list_find(a->entry, a->count, path); }

static uint64_t bytes_of(const entry *e) { return e->plain_bytes + e->zst_bytes + e->index_bytes; }

static void drop_gone(wb_archiver *a) {
  size_t kept = 0;
  for (size_t i = 0; i < a->count; i++) {
    if (a->entry[i].gone) free(a->entry[i].path);
    else a->entry[kept++] = a->entry[i];
  }
  a->count = kept;
}

/* Takes the size before the lock: a writer locks a segment before it writes the header. */
static bool sealed(wb_archiver *a, const char *path, struct stat *about) {
  char text[PATH_BYTES];
  int fd = open(full(a, path, "", text), O_RDONLY | O_CLOEXEC);
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
  bool found = fd >= 0 && !fstat(fd, about), free_of_writers = false;
  if (found && !fcntl(fd, F_OFD_GETLK, &lock)) {
    int64_t written = (int64_t)about->st_mtim.tv_sec * 1000000000 + about->st_mtim.tv_nsec;
    free_of_writers = lock.l_type != F_WRLCK && (about->st_size >= WB_SEGMENT_HEADER_BYTES || utc(a) - written > HEADERLESS_NS);
  } else if (found && !a->told_lockless) {
    a->told_lockless = true;
    say(a, WB_LOG_WARNING, "cannot tell which segments are being written in %s: %s; nothing is done there", a->root,
        strerror(errno));
  }
  if (fd >= 0) close(fd);
  return free_of_writers;
}

static int scan(wb_archiver *a) {
  entry *found;
  size_t entries;
  int result = wb_archive_list_read(a->root, &found, &entries);
  if (result) {
    say(a, WB_LOG_WARNING, "cannot read %s: %s", a->root, strerror(-result));
    return result;
  }
  for (size_t i = 0; i < entries; i++) {
    entry *e = &found[i], *old = find(a, e->path);
    struct stat about;
    if (old) {
      e->archived = old->archived, e->retry_at_ns = old->retry_at_ns, e->retry_ns = old->retry_ns;
      e->indexed = old->indexed && old->plain == e->plain, e->index_bytes = old->index_bytes;
    }
    bool known = old && old->written_utc_ns == e->written_utc_ns;
    e->age_ns = known ? old->age_ns : utc(a) - e->written_utc_ns;
    e->aged_at_ns = known ? old->aged_at_ns : now(a);
    e->sealed = e->zst || (old && old->sealed) || sealed(a, e->path, &about);
  }
  wb_archive_list_free(a->entry, a->count);
  a->entry = found;
  a->count = entries;
  return 0;
}

/* ------------------------------------------------------------------------------------------------ what was archived */

static bool write_all(int fd, const void *bytes, size_t left) {
  for (const char *at = bytes; left;) {
    ssize_t wrote = write(fd, at, left);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    at += wrote;
    left -= (size_t)wrote;
  }
  return true;
}

/* Replaces the list of names by those that are still there. */
static void marks_rewrite(wb_archiver *a) {
  char path[PATH_BYTES], temporary[PATH_BYTES];
  full(a, ".archived", "", path);
  FILE *file = fopen(full(a, ".archived", ".tmp", temporary), "we");
  bool good = file;
  a->marks = 0;
  for (size_t i = 0; good && i < a->count; i++)
    if (a->entry[i].archived) {
      good = fprintf(file, "%s\n", a->entry[i].name) > 0;
      a->marks++;
    }
  if (file) good = !fflush(file) && !fsync(fileno(file)) && good;
  if (file && fclose(file)) good = false;
  if (good) good = !rename(temporary, path);
  if (a->marks_fd >= 0) close(a->marks_fd);
  a->marks_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (!good || a->marks_fd < 0) say(a, WB_LOG_WARNING, "cannot write %s: %s", path, strerror(errno));
}

static void marks_load(wb_archiver *a) {
  char path[PATH_BYTES], *line = NULL;
  size_t capacity = 0;
  FILE *file = fopen(full(a, ".archived", "", path), "re");
  ssize_t bytes;
  while (file && (bytes = getline(&line, &capacity, file)) > 0) {
    if (line[bytes - 1] != '\n') break; /* cut short: its command may run once more */
    line[bytes - 1] = 0;
    for (size_t low = 0, high = a->count; low < high;) {
      size_t middle = (low + high) / 2;
      int order = strcmp(line, a->entry[middle].name);
      if (!order) a->entry[middle].archived = true;
      if (order <= 0) high = middle;
      else low = middle + 1;
    }
  }
  free(line);
  if (file) fclose(file);
  marks_rewrite(a);
}

static void mark(wb_archiver *a, const entry *e) {
  char line[512];
  int bytes = snprintf(line, sizeof line, "%s\n", e->name);
  if (!write_all(a->marks_fd, line, (size_t)bytes) || fdatasync(a->marks_fd))
    say(a, WB_LOG_WARNING, "cannot note that %s was handed over: %s", e->name, strerror(errno));
  if (++a->marks > 2 * a->count + MARKS_SLACK) marks_rewrite(a);
}

/* ------------------------------------------------------------------------------------------------ delete */

/* Removes the folders above a path that are empty; never those into which segments go now. */
static void remove_folders(wb_archiver *a, const char *path) {
  char text[PATH_BYTES], hour[32];
  time_t seconds = (time_t)(utc(a) / 1000000000);
  struct tm at;
  gmtime_r(&seconds, &at);
  strftime(hour, sizeof hour, "%Y-%m-%d/%H", &at);
  full(a, path, "", text);
  const char *below = text + strlen(a->root) + 1;
  for (char *slash; (slash = strrchr(text, '/')) > below;) {
    *slash = 0;
    if (!strncmp(hour, below, strlen(below)) || rmdir(text)) return;
  }
}

/* Before the segment goes: what is left of a segment is never an index. */
static void discard_index(wb_archiver *a, const entry *e) {
  char path[PATH_BYTES], index[PATH_BYTES];
  if (!wb_log_index_path(full(a, e->path, "", path), index, sizeof index)) unlink(index);
}

static bool discard(wb_archiver *a, entry *e, const char *why) {
  char path[PATH_BYTES];
  bool failed = false;
  discard_index(a, e);
  if (e->plain && unlink(full(a, e->path, "", path)) && errno != ENOENT) failed = true;
  if (!failed && e->zst && unlink(full(a, e->path, ".zst", path)) && errno != ENOENT) failed = true;
  if (failed) {
    say(a, WB_LOG_WARNING, "cannot delete %s: %s", path, strerror(errno));
    return false;
  }
  bool early = a->hook && !e->archived;
  say(a, early ? WB_LOG_WARNING : WB_LOG_INFO, "deleted %s: %s%s", e->path, why,
      early ? ", although the command has not succeeded for it" : "");
  count(&a->status.deleted, 1);
  count(&a->status.deleted_bytes, bytes_of(e));
  count(&a->status.unarchived, early);
  e->gone = true;
  remove_folders(a, e->path);
  return true;
}

static void retain(wb_archiver *a) {
  uint64_t total = 0, limit = a->config.retain_bytes ? a->config.retain_bytes : UINT64_MAX;
  uint64_t now_ns = now(a);
  size_t left = 0;
  for (size_t i = 0; i < a->count; i++) {
    if (a->entry[i].gone) continue;
    total += bytes_of(&a->entry[i]);
    left++;
  }
  for (unsigned pass = 0; pass < 3; pass++) /* by age; by size; by size, whatever the command said */
    for (size_t i = 0; i < a->count && (pass == 0 || total > limit); i++) {
      entry *e = &a->entry[i];
      bool old = a->config.retain_ns && e->age_ns + (int64_t)(now_ns - e->aged_at_ns) >= (int64_t)a->config.retain_ns;
      if (!e->sealed || e->gone || (pass < 2 && a->hook && !e->archived) || (pass == 0 && !old)) continue;
      if (pass && left == 1) continue; /* one segment may be larger than all are allowed to be */
      if (a->hook_path && !strcmp(a->hook_path, e->path)) continue;
      if (!discard(a, e, pass ? "--retain-bytes" : "--retain-age")) continue;
      total -= bytes_of(e);
      left--;
    }
  drop_gone(a);
}

/* ------------------------------------------------------------------------------------------------ compress */

static void job_close(wb_archiver *a) {
  if (a->job.from >= 0) close(a->job.from);
  if (a->job.to >= 0) close(a->job.to);
  wb_zstd_decoder_close(a->job.decoder);
  a->job = (job){.from = -1, .to = -1};
}

/* Leaves the segment as it was. */
static void job_fail(wb_archiver *a, const char *what, int os_errno) {
  entry *e = &a->entry[a->job.index];
  char path[PATH_BYTES];
  unlink(full(a, e->path, ".zst.tmp", path));
  retry_later(a, e);
  count(&a->status.failures, 1);
  say(a, WB_LOG_WARNING, "cannot compress %s: %s%s%s; again in %" PRIu64 " s", e->path, what, os_errno ? ": " : "",
      os_errno ? strerror(os_errno) : "", e->retry_ns / 1000000000);
  job_close(a);
}

static void job_start(wb_archiver *a, size_t index) {
  entry *e = &a->entry[index];
  char path[PATH_BYTES];
  job *j = &a->job;
  *j = (job){.step = e->zst ? STEP_COMPARE : STEP_ENCODE, .index = index, .again = e->zst, .from = -1, .to = -1};
  j->from = open(full(a, e->path, "", path), O_RDONLY | O_CLOEXEC);
  if (j->from < 0 && errno == ENOENT) { /* somebody took it */
    a->scan_at_ns = a->check_at_ns = 0;
    job_close(a);
    return;
  }
  if (j->from < 0 || fstat(j->from, &j->about)) return job_fail(a, "it cannot be read", errno);
  j->bytes = (uint64_t)j->about.st_size;
  posix_fadvise(j->from, 0, 0, POSIX_FADV_SEQUENTIAL);
  if (j->again) return;
  j->to = open(full(a, e->path, ".zst.tmp", path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (j->to < 0) job_fail(a, "no new file", errno);
}

/* Reads the next block of the plain form into a->block; 0 on an error, or at an end that comes too early. */
static size_t job_read(wb_archiver *a) {
  job *j = &a->job;
  size_t wanted = j->bytes - j->at < sizeof a->block ? (size_t)(j->bytes - j->at) : sizeof a->block, got = 0;
  while (got < wanted) {
    ssize_t more = pread(j->from, a->block + got, wanted - got, (off_t)(j->at + got));
    if (more < 0 && errno == EINTR) continue;
    if (!more) errno = 0;
    if (more <= 0) return 0;
    got += (size_t)more;
  }
  j->at += got;
  return got;
}

static void encode(wb_archiver *a) {
  job *j = &a->job;
  size_t got = job_read(a);
  if (!got) return job_fail(a, "it cannot be read", errno);
  const uint8_t *frame;
  size_t bytes = wb_zstd_encode(a->encoder, a->block, got, &frame);
  if (!bytes) return job_fail(a, "zstd failed", 0);
  if (!write_all(j->to, frame, bytes)) return job_fail(a, "write", errno);
  j->made += bytes;
  if (j->made - j->flushed >= WRITEBACK_BYTES) { /* so that the sync at the end is a short one */
    sync_file_range(j->to, (off_t)j->flushed, (off_t)(j->made - j->flushed), SYNC_FILE_RANGE_WRITE);
    j->flushed = j->made;
  }
  if (j->at == j->bytes) j->step = STEP_SYNC;
}

static void sync_made(wb_archiver *a) {
  job *j = &a->job;
  const struct timespec times[2] = {j->about.st_atim, j->about.st_mtim};
  if (futimens(j->to, times) || fchmod(j->to, j->about.st_mode & 07777)) return job_fail(a, "times and mode", errno);
  if (fsync(j->to)) return job_fail(a, "sync", errno);
  posix_fadvise(j->to, 0, 0, POSIX_FADV_DONTNEED); /* what is compared comes from the disk */
  j->at = 0;
  j->step = STEP_COMPARE;
}

static void compare(wb_archiver *a) {
  job *j = &a->job;
  entry *e = &a->entry[j->index];
  char path[PATH_BYTES];
  wb_error error;
  if (!j->decoder && !(j->decoder = wb_zstd_decoder_open(full(a, e->path, j->again ? ".zst" : ".zst.tmp", path), &error)))
    return job_fail(a, "it cannot be read back", error.os_errno);
  size_t got = j->at < j->bytes ? job_read(a) : 0;
  if (!got && j->at < j->bytes) return job_fail(a, "it cannot be read", errno);
  size_t decoded = wb_zstd_decoder_read(j->decoder, a->decoded, got ? got : 1);
  bool same = decoded == got && !memcmp(a->block, a->decoded, got) && !wb_zstd_decoder_code(j->decoder);
  if (same && got) return;
  if (same) {
    posix_fadvise(j->from, 0, 0, POSIX_FADV_DONTNEED);
    j->step = j->again ? STEP_REMOVE : STEP_RENAME;
  } else if (!j->again) {
    job_fail(a, "what was written reads differently", 0);
  } else if (wb_zstd_decoder_code(j->decoder) == WB_E_SYSTEM) {
    job_fail(a, "the compressed form cannot be read", 0);
  } else {
    say(a, WB_LOG_WARNING, "%s.zst is not the same as %s: removed", e->path, e->name);
    if (unlink(full(a, e->path, ".zst", path))) return job_fail(a, "remove", errno);
    e->zst = false;
    e->zst_bytes = 0;
    job_close(a);
  }
}

static void rename_made(wb_archiver *a) {
  char from[PATH_BYTES], to[PATH_BYTES];
  entry *e = &a->entry[a->job.index];
  if (rename(full(a, e->path, ".zst.tmp", from), full(a, e->path, ".zst", to))) return job_fail(a, "rename", errno);
  e->zst = true;
  e->zst_bytes = a->job.made;
  a->job.step = STEP_SYNC_FOLDER;
}

static void sync_folder(wb_archiver *a) {
  char path[PATH_BYTES];
  full(a, a->entry[a->job.index].path, "", path);
  *strrchr(path, '/') = 0;
  int result = wb_folder_sync(path);
  if (result) return job_fail(a, "sync of the folder", -result);
  a->job.step = STEP_REMOVE;
}

static void remove_plain(wb_archiver *a) {
  char path[PATH_BYTES];
  entry *e = &a->entry[a->job.index];
  struct stat about;
  if (!sealed(a, e->path, &about) || (uint64_t)about.st_size != a->job.bytes)
    return job_fail(a, "it is being written again", 0);
  if (unlink(full(a, e->path, "", path))) return job_fail(a, "remove", errno);
  say(a, WB_LOG_INFO, "compressed %s: %" PRIu64 " bytes to %" PRIu64, e->path, a->job.bytes, e->zst_bytes);
  count(&a->status.compressed, 1);
  count(&a->status.bytes_before, a->job.bytes);
  count(&a->status.bytes_after, e->zst_bytes);
  e->plain = e->indexed = false;
  e->plain_bytes = e->retry_at_ns = e->retry_ns = 0;
  a->retain_due = true;
  job_close(a);
}

static void job_step(wb_archiver *a) {
  static void (*const steps[])(wb_archiver *) = {
      [STEP_ENCODE] = encode,      [STEP_SYNC] = sync_made,          [STEP_COMPARE] = compare,
      [STEP_RENAME] = rename_made, [STEP_SYNC_FOLDER] = sync_folder, [STEP_REMOVE] = remove_plain};
  steps[a->job.step](a);
}

/* ------------------------------------------------------------------------------------------------ index */

/* A segment that cannot be indexed is read whole by those who want a part of it; it goes on its way without. */
static void index_end(wb_archiver *a, entry *e, int result, const wb_error *error) {
  char path[PATH_BYTES], index[PATH_BYTES];
  struct stat about;
  wb_log_indexer_close(a->indexer);
  a->indexer = NULL;
  e->indexed = true;
  if (result) {
    count(&a->status.index_failures, 1);
    say(a, WB_LOG_WARNING, "no index of %s: %s", e->path, error->detail);
  } else if (!wb_log_index_path(full(a, e->path, "", path), index, sizeof index) && !stat(index, &about)) {
    e->index_bytes = (uint64_t)about.st_size;
    a->retain_due = true;
  }
}

static void index_start(wb_archiver *a, size_t at) {
  char path[PATH_BYTES];
  wb_error error = {0};
  entry *e = &a->entry[at];
  full(a, e->path, e->plain ? "" : ".zst", path);
  if (wb_log_index_is_right(path)) return index_end(a, e, 0, &error);
  a->indexer = wb_log_indexer_open(path, &error);
  a->indexing = at;
  if (!a->indexer) index_end(a, e, error.code, &error);
}

static void index_step(wb_archiver *a) {
  wb_error error = {0};
  int result = wb_log_indexer_step(a->indexer, &error);
  if (result > 0) return;
  if (!result) count(&a->status.indexed, 1);
  index_end(a, &a->entry[a->indexing], result, &error);
}

/* ------------------------------------------------------------------------------------------------ command */

static void hook_failed(wb_archiver *a, entry *e, const char *why) {
  retry_later(a, e);
  count(&a->status.hook_failures, 1);
  say(a, WB_LOG_WARNING, "command for %s: %s; again in %" PRIu64 " s", e->path, why, e->retry_ns / 1000000000);
}

static void taken_away(wb_archiver *a, entry *e) {
  e->gone = a->retain_due = true; /* which drops it, between jobs */
  discard_index(a, e);
  remove_folders(a, e->path);
}

static void hook_start(wb_archiver *a, entry *e) {
  char path[PATH_BYTES];
  wb_error error;
  if (access(full(a, e->path, e->plain ? "" : ".zst", path), F_OK) && errno == ENOENT) {
    say(a, WB_LOG_WARNING, "%s is gone before the command has succeeded for it", e->path);
    taken_away(a, e);
    return;
  }
  a->hook_path = strdup(e->path);
  if (!a->hook_path) hook_failed(a, e, "no memory");
  else if (wb_hook_start(a->hook, path, &error)) hook_failed(a, e, error.detail);
  if (wb_hook_running(a->hook)) return;
  free(a->hook_path);
  a->hook_path = NULL;
}

static int hook_end(wb_archiver *a) {
  wb_hook_end end;
  if (!a->hook || !wb_hook_poll(a->hook, &end)) return 0;
  char path[PATH_BYTES], why[256];
  entry *e = find(a, a->hook_path);
  free(a->hook_path);
  a->hook_path = NULL;
  if (!end.status) count(&a->status.hooks, 1);
  snprintf(why, sizeof why, "exit code %d%s%s", end.status, *end.line ? ": " : "", end.line);
  if (e && end.status) {
    hook_failed(a, e, why);
  } else if (e) {
    say(a, WB_LOG_INFO, "command for %s: %s", e->path, why);
    e->archived = true;
    e->retry_at_ns = e->retry_ns = 0;
    a->retain_due = true;
    if (access(full(a, e->path, e->plain ? "" : ".zst", path), F_OK)) taken_away(a, e);
    else mark(a, e);
  }
  return 1;
}

/* ------------------------------------------------------------------------------------------------ work */

static bool lock(wb_archiver *a) {
  if (a->locked) return true;
  if (now(a) < a->check_at_ns) return false;
  a->check_at_ns = now(a) + a->config.check_ns;
  a->locked = !flock(a->root_fd, LOCK_EX | LOCK_NB);
  if (!a->locked && !a->told_locked)
    say(a, WB_LOG_INFO, "%s: %s", a->root, errno == EWOULDBLOCK ? "another process archives here" : strerror(errno));
  a->told_locked = true;
  if (!a->locked) return false;
  a->check_at_ns = 0;
  if (!scan(a) && a->hook) marks_load(a);
  return true;
}

static void check(wb_archiver *a, uint64_t now_ns) {
  bool any_open = false, fresh = now_ns >= a->scan_at_ns;
  for (size_t i = 0; i < a->count && !fresh; i++) {
    entry *e = &a->entry[i];
    if (e->sealed) continue;
    struct stat about = {.st_size = -1};
    any_open = true;
    fresh = sealed(a, e->path, &about) || about.st_size < 0;
    if (about.st_size >= 0) e->plain_bytes = (uint64_t)about.st_size;
  }
  if (fresh || !any_open) {
    a->scan_at_ns = now_ns + RESCAN_NS;
    scan(a);
  }
  a->check_at_ns = now_ns + a->config.check_ns;
  a->retain_due = true;
}

static void set_waiting(wb_archiver *a) {
  uint64_t waiting = 0;
  for (size_t i = 0; i < a->count; i++)
    waiting += compressible(a, &a->entry[i]) || indexable(a, &a->entry[i]) || presentable(a, &a->entry[i]);
  wb_store_relaxed(&a->status.waiting, waiting);
}

int wb_archiver_do_work(void *self) {
  wb_archiver *a = self;
  if (!lock(a)) return 0;
  int work = hook_end(a);
  if (a->job.step) {
    job_step(a);
    return 1;
  }
  if (a->indexer) {
    index_step(a);
    return 1;
  }
  uint64_t now_ns = now(a);
  if (now_ns >= a->check_at_ns) {
    check(a, now_ns);
    work = 1;
  }
  if (a->retain_due) retain(a);
  a->retain_due = false;
  if (a->hook && !wb_hook_running(a->hook))
    for (size_t i = 0; i < a->count; i++)
      if (presentable(a, &a->entry[i]) && now_ns >= a->entry[i].retry_at_ns) {
        hook_start(a, &a->entry[i]);
        work = 1;
        break;
      }
  for (size_t i = 0; i < a->count; i++)
    if (compressible(a, &a->entry[i]) && now_ns >= a->entry[i].retry_at_ns) {
      job_start(a, i);
      work = 1;
      break;
    }
  for (size_t i = 0; i < a->count && !a->job.step; i++)
    if (indexable(a, &a->entry[i])) {
      index_start(a, i);
      work = 1;
      break;
    }
  set_waiting(a);
  return work;
}

bool wb_archiver_hook_running(const wb_archiver *a) { return a->hook && wb_hook_running(a->hook); }

/* ------------------------------------------------------------------------------------------------ thread */

/* Works until it is told to stop or, with end_ns, until then or until there is nothing left to do. */
static void work(wb_archiver *a, uint64_t end_ns) {
  while (end_ns ? wb_clock_ns() < end_ns : !wb_load_acquire(&a->stopping)) {
    if (wb_archiver_do_work(a)) continue;
    bool running = wb_archiver_hook_running(a);
    if (end_ns && !running) return;
    struct pollfd watch[WB_HOOK_WATCH_MAX + 1];
    unsigned watched = running ? wb_hook_watch(a->hook, watch) : 0;
    if (!end_ns) watch[watched++] = (struct pollfd){.fd = a->wake_fd, .events = POLLIN};
    uint64_t wait_ns = a->config.check_ns, now_ns = wb_clock_ns();
    if (end_ns && end_ns - now_ns < wait_ns) wait_ns = now_ns < end_ns ? end_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait_ns / 1000000000), .tv_nsec = (long)(wait_ns % 1000000000)};
    ppoll(watch, watched, &timeout, NULL);
  }
}

static void *thread_main(void *self) {
  wb_archiver *a = self;
  wb_cpu_name(pthread_self(), "wb-archiver");
  wb_cpu_step_aside(&a->config.avoid, true);
  work(a, 0);
  return NULL;
}

int wb_archiver_start(wb_archiver *a, wb_error *error) {
  if (a->hook && wb_hook_thread_start(a->hook, &a->config.avoid, error) != 0) return WB_E_SYSTEM;
  int failed = pthread_create(&a->thread, NULL, thread_main, a);
  if (failed) return wb_error_set(error, WB_E_SYSTEM, failed, "archiver", "cannot start a thread: %s", strerror(failed));
  a->started = true;
  return 0;
}

void wb_archiver_stop(wb_archiver *a, uint64_t timeout_ns) {
  if (!a->started && !a->locked) return;
  wb_store_release(&a->stopping, 1);
  (void)!write(a->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
  if (a->started) pthread_join(a->thread, NULL);
  a->started = false;
  if (a->hook) wb_hook_thread_stop(a->hook);
  a->check_at_ns = a->scan_at_ns = 0;
  work(a, wb_clock_ns() + timeout_ns); /* from here on: an idle thread may be long in ending */
  if (a->hook) wb_hook_kill(a->hook);
  set_waiting(a);
}

/* ------------------------------------------------------------------------------------------------ open and close */

static int opened(wb_archiver *a, const wb_archiver_config *c, wb_error *error) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", c->dir, c->feed);
  char *real = realpath(path, NULL);
  size_t bytes = real ? strlen(real) : 0;
  if (bytes && bytes < sizeof a->root) memcpy(a->root, real, bytes + 1);
  free(real);
  if (bytes >= sizeof a->root) return wb_error_set(error, WB_E_LIMIT, 0, "archiver", "the path of %s is too long", path);
  a->root_fd = bytes ? open(a->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  a->wake_fd = a->root_fd < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
  if (a->wake_fd < 0) return wb_error_set(error, WB_E_SYSTEM, errno, "archiver", "cannot open %s: %s", path, strerror(errno));
  if (c->command && !(a->hook = wb_hook_open(c->command, error))) return WB_E_CONFIG;
  if (c->level && !(a->encoder = wb_zstd_encoder_open(c->level, error))) return WB_E_LIMIT;
  return 0;
}

wb_archiver *wb_archiver_open(const wb_archiver_config *config, wb_error *error) {
  if (!config->dir || !config->feed || !config->host) {
    wb_error_set(error, WB_E_INVALID, 0, "archiver", "dir, feed and host are needed");
    return NULL;
  }
  wb_archiver *a = calloc(1, sizeof *a);
  if (!a) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "archiver", "no memory");
    return NULL;
  }
  a->config = *config;
  a->config.dir = a->config.feed = a->config.command = NULL;
  if (!a->config.check_ns) a->config.check_ns = WB_ARCHIVER_CHECK_NS_DEFAULT;
  if (!a->config.retry_ns) a->config.retry_ns = WB_ARCHIVER_RETRY_NS_DEFAULT;
  if (a->config.retain_ns > INT64_MAX) a->config.retain_ns = INT64_MAX;
  a->job = (job){.from = -1, .to = -1};
  a->root_fd = a->marks_fd = a->wake_fd = -1;
  if (!opened(a, config, error)) return a;
  wb_archiver_close(a);
  return NULL;
}

void wb_archiver_close(wb_archiver *a) {
  if (!a) return;
  wb_archiver_stop(a, 0);
  if (a->job.step) {
    char path[PATH_BYTES];
    unlink(full(a, a->entry[a->job.index].path, ".zst.tmp", path));
  }
  job_close(a);
  wb_log_indexer_close(a->indexer);
  wb_hook_close(a->hook);
  wb_zstd_encoder_close(a->encoder);
  wb_archive_list_free(a->entry, a->count);
  free(a->hook_path);
  if (a->marks_fd >= 0) close(a->marks_fd);
  if (a->wake_fd >= 0) close(a->wake_fd);
  if (a->root_fd >= 0) close(a->root_fd);
  free(a);
}

void wb_archiver_status_read(const wb_archiver *a, wb_archiver_status *status) {
  const wb_archiver_status *from = &a->status;
  *status = (wb_archiver_status){.compressed = wb_load_relaxed(&from->compressed),
                                 .bytes_before = wb_load_relaxed(&from->bytes_before),
                                 .bytes_after = wb_load_relaxed(&from->bytes_after),
                                 .failures = wb_load_relaxed(&from->failures),
                                 .indexed = wb_load_relaxed(&from->indexed),
                                 .index_failures = wb_load_relaxed(&from->index_failures),
                                 .hooks = wb_load_relaxed(&from->hooks),
                                 .hook_failures = wb_load_relaxed(&from->hook_failures),
                                 .deleted = wb_load_relaxed(&from->deleted),
                                 .deleted_bytes = wb_load_relaxed(&from->deleted_bytes),
                                 .unarchived = wb_load_relaxed(&from->unarchived),
                                 .waiting = wb_load_relaxed(&from->waiting)};
}
