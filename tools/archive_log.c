#include "tools/archive_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/log_reader.h"

static void name_of(const char *path, char *name) {
  const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path, *end = strstr(file, ".wbseg");
  size_t bytes = end ? (size_t)(end - file) : strlen(file);
  if (bytes >= WB_ARCHIVE_NAME_BYTES) bytes = WB_ARCHIVE_NAME_BYTES - 1;
  memcpy(name, file, bytes);
  name[bytes] = 0;
}

static bool same_run(const wb_archive_segment *a, const uint8_t *node) { return memcmp(a->node, node, sizeof a->node) == 0; }

static int add(wb_archive_log *log, const wb_log_segment *from) {
  wb_archive_segment *grown = realloc(log->segment, (log->count + 1) * sizeof *grown);
  if (!grown) return WB_E_MEMORY;
  log->segment = grown;
  wb_archive_segment *to = &grown[log->count], *before = log->count ? to - 1 : NULL;
  *to = (wb_archive_segment){.path = strdup(from->path),
                             .growing = from->growing,
                             .number = from->segment,
                             .first_number = from->first_number,
                             .end_number = UINT64_MAX,
                             .created_utc_ns = from->created_utc_ns};
  if (!to->path) return WB_E_MEMORY;
  memcpy(to->node, from->node, sizeof to->node);
  name_of(to->path, to->name);
  bool goes_on = before && same_run(before, to->node);
  to->run = before ? before->run + !goes_on : 0;
  if (goes_on && before->first_number > to->first_number)
    to->first_number = before->first_number; /* each holds for all behind it */
  if (goes_on) before->end_number = to->first_number;
  log->count++;
  return 0;
}

int wb_archive_log_open(wb_archive_log *log, const char *dir, wb_error *error) {
  *log = (wb_archive_log){0};
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = &dir, .path_count = 1}, error);
  if (!reader) return error->code;
  const wb_log_segment *segment;
  int result = 0;
  for (size_t i = 0; result == 0 && (segment = wb_log_reader_segment(reader, i)); i++) {
    if (segment->readable) result = add(log, segment);
    else log->unreadable++;
  }
  wb_log_reader_close(reader);
  return result == 0 ? 0 : wb_error_set(error, result, ENOMEM, "archive", "no memory for %zu segments", log->count);
}

void wb_archive_log_close(wb_archive_log *log) {
  for (size_t i = 0; i < log->count; i++) free(log->segment[i].path);
  free(log->segment);
  *log = (wb_archive_log){0};
}

/* ------------------------------------------------------------------------------------------------ what is done */

static wb_archive_run *find(const wb_archive_cursor *cursor, const wb_archive_segment *segment) {
  for (size_t i = 0; i < cursor->count; i++)
    if (same_run(segment, cursor->run[i].node)) return &cursor->run[i];
  return NULL;
}

static bool begins_run(const wb_archive_log *log, size_t i) { return !i || log->segment[i].run != log->segment[i - 1].run; }

static size_t run_begin(const wb_archive_log *log, size_t i) {
  while (!begins_run(log, i)) i--;
  return i;
}

/* Whether a segment of the run is there with a number from first to last. */
static bool holds(const wb_archive_log *log, const wb_archive_run *run, uint64_t first, uint64_t last) {
  for (size_t i = 0; i < log->count; i++) {
    const wb_archive_segment *segment = &log->segment[i];
    if (segment->number >= first && segment->number <= last && same_run(segment, run->node)) return true;
  }
  return false;
}

/* A run that the cursor of before held to be done began in front of its own, which is the last. */
static void insert(wb_archive_cursor *cursor, const wb_archive_run *run) {
  size_t at = cursor->count - (run->over ? 1 : 0);
  memmove(&cursor->run[at + 1], &cursor->run[at], (cursor->count - at) * sizeof *run);
  cursor->run[at] = *run;
  cursor->count++;
}

int wb_archive_log_meet(const wb_archive_log *log, wb_archive_cursor *cursor) {
  bool first = cursor->count == 0;
  int result = 0;
  for (size_t i = 0; i < log->count; i++) {
    const wb_archive_segment *segment = &log->segment[i];
    if (!begins_run(log, i) || find(cursor, segment)) continue;
    wb_archive_run *grown = realloc(cursor->run, (cursor->count + 1) * sizeof *grown), run = {.from_utc_ns = INT64_MIN};
    if (!grown) return WB_E_MEMORY;
    cursor->run = grown;
    memcpy(run.node, segment->node, sizeof run.node);
    if (first) run.next_segment = segment->number;
    for (size_t k = i; k < log->count && log->segment[k].run == segment->run; k++) {
      if (log->segment[k].created_utc_ns > cursor->until_utc_ns) break;
      run.over = true;
      run.next_segment = log->segment[k].number + 1;
    }
    insert(cursor, &run);
    result = 1;
  }
  if (log->count) cursor->until_utc_ns = INT64_MIN;
  return result;
}

/* Returns whether segments that were left to do are gone. */
static bool forget(const wb_archive_log *log, wb_archive_cursor *cursor) {
  bool missed = false;
  size_t kept = 0;
  for (size_t i = 0; i < cursor->count; i++) {
    wb_archive_run run = cursor->run[i];
    if (!run.over && !holds(log, &run, run.next_segment, UINT64_MAX)) run.over = missed = true;
    if (holds(log, &run, 0, UINT64_MAX)) cursor->run[kept++] = run;
  }
  cursor->count = kept;
  return missed;
}

void wb_archive_log_next(wb_archive_log *log, wb_archive_cursor *cursor, bool over, size_t *begin, size_t *end, bool *missed) {
  *begin = *end = 0;
  *missed = false;
  if (!log->count) return;
  const wb_archive_run *last = &cursor->run[cursor->count - 1], *run = NULL;
  for (size_t i = 0; i < log->count; i++) {
    wb_archive_segment *segment = &log->segment[i];
    const wb_archive_run *before = run;
    bool fresh = begins_run(log, i), ends_run = i + 1 == log->count || begins_run(log, i + 1);
    if (fresh) run = find(cursor, segment);
    bool ready = segment->number >= run->next_segment && !segment->growing && (!ends_run || over || run != last);
    if (*end > *begin && (!ready || run < before)) break;
    if (!ready) continue;
    if (*begin == *end) *begin = i;
    if (i == *begin || fresh) *missed |= segment->number != run->next_segment;
    if (segment->first_number < run->next_number) {
      *missed = true;
      segment->first_number = run->next_number;
    }
    *end = i + 1;
  }
  if (*begin < *end) *missed |= forget(log, cursor);
}

size_t wb_archive_log_from(const wb_archive_log *log, const wb_archive_cursor *cursor, size_t unit, int64_t *from_utc_ns) {
  size_t begin = run_begin(log, unit);
  const wb_archive_segment *first = &log->segment[begin];
  const wb_archive_run *run = find(cursor, first), *front = begin ? find(cursor, first - 1) : NULL;
  if (front && (front > run || front->next_segment <= first[-1].number)) front = NULL;
  const wb_archive_run *last = unit > begin ? run : front;
  *from_utc_ns = last && holds(log, last, last->from_segment, last->from_segment) ? last->from_utc_ns : INT64_MIN;
  bool with_front = front && (last == front || *from_utc_ns < first->created_utc_ns);
  return with_front && *from_utc_ns != INT64_MIN ? run_begin(log, begin - 1) : begin;
}

void wb_archive_log_done(const wb_archive_log *log, wb_archive_cursor *cursor, size_t unit, uint64_t last_number,
                         uint64_t from_segment, int64_t from_utc_ns) {
  const wb_archive_segment *segment = &log->segment[unit];
  wb_archive_run *run = find(cursor, segment);
  bool rows = from_utc_ns != INT64_MIN;
  uint64_t next = segment->end_number != UINT64_MAX ? segment->end_number : rows ? last_number + 1 : segment->first_number;
  run->over = segment->end_number == UINT64_MAX;
  run->next_segment = segment->number + 1;
  if (run->next_number < next) run->next_number = next;
  if (!rows) return;
  run->from_segment = from_segment;
  run->from_utc_ns = from_utc_ns;
}

void wb_archive_cursor_close(wb_archive_cursor *cursor) { free(cursor->run); }
