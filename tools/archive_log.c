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

static bool is_done(const wb_archive_segment *segment, const wb_archive_cursor *cursor) {
  if (!cursor->there) return false;
  if (same_run(segment, cursor->node)) return segment->number <= cursor->segment;
  return segment->created_utc_ns <= cursor->created_utc_ns;
}

void wb_archive_log_next(wb_archive_log *log, const wb_archive_cursor *cursor, bool over, size_t *begin, size_t *end,
                         bool *missed) {
  size_t at = 0;
  while (at < log->count && is_done(&log->segment[at], cursor)) at++;
  *begin = at;
  *missed = false;
  if (at < log->count && cursor->there) {
    wb_archive_segment *first = &log->segment[at];
    bool goes_on = same_run(first, cursor->node);
    *missed = goes_on ? first->number != cursor->segment + 1 : first->number != 0 || !cursor->run_over;
    if (goes_on && first->first_number < cursor->next_number) {
      *missed = true;
      first->first_number = cursor->next_number;
    }
  }
  while (at < log->count && !log->segment[at].growing && (at + 1 < log->count || over)) at++;
  *end = at;
}
