#include "io/host.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine/ring/atomic.h"

uint64_t wb_clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t wb_clock_utc_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void wb_random_fill(void *bytes, size_t count) {
  uint8_t *at = bytes;
  while (count) {
    ssize_t n = getrandom(at, count, 0);
    if (n < 0) {
      WB_CHECK(errno == EINTR);
      continue;
    }
    at += n;
    count -= (size_t)n;
  }
}

void wb_futex_sleep(uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
  struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u), .tv_nsec = (long)(timeout_ns % 1000000000u)};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, NULL, 0);
}

void wb_futex_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

void wb_utc_text(int64_t utc_ns, char text[WB_UTC_TEXT_BYTES]) {
  time_t seconds = (time_t)(utc_ns / 1000000000);
  long micro = (long)(utc_ns % 1000000000) / 1000;
  if (micro < 0) {
    micro += 1000000;
    seconds--;
  }
  struct tm tm;
  gmtime_r(&seconds, &tm);
  size_t n = strftime(text, WB_UTC_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(text + n, WB_UTC_TEXT_BYTES - n, ".%06ldZ", micro);
}

enum { LOG_LINES = 512, LOG_LINE_BYTES = 512 };

/* Vyukov's bounded queue. sequence is the position whose line may be put here next; one more, once that line is whole [G1]. */
typedef struct log_line {
  uint64_t sequence;
  int64_t utc_ns;
  int level;
  char text[LOG_LINE_BYTES];
} log_line;

struct wb_log {
  FILE *file;
  int level;
  bool json;
  uint64_t head;    /* W any, by compare and swap */
  uint64_t tail;    /* the drain's own: in front of it everything was written */
  uint64_t dropped; /* W any */
  log_line line[LOG_LINES];
};

wb_log *wb_log_open(const char *file, int level, bool json, wb_error *error) {
  wb_log *log = calloc(1, sizeof *log);
  if (!log) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "log", "no memory for the log queue");
    return NULL;
  }
  log->file = file ? fopen(file, "ae") : stderr;
  if (!log->file) {
    wb_error_set(error, WB_E_SYSTEM, errno, "log", "cannot open log file %s: %s", file, strerror(errno));
    free(log);
    return NULL;
  }
  log->level = level;
  log->json = json;
  for (uint64_t i = 0; i < LOG_LINES; i++) log->line[i].sequence = i;
  return log;
}

void wb_log_put(wb_log *log, int level, const char *text) {
  if (!log || level > log->level) return;
  int64_t utc_ns = wb_clock_utc_ns();
  uint64_t position = wb_load_relaxed(&log->head);
  log_line *line;
  for (;;) {
    line = &log->line[position % LOG_LINES];
    uint64_t sequence = wb_load_acquire(&line->sequence); /* G1: the drain has let go of it */
    if (sequence < position) {
      __atomic_fetch_add(&log->dropped, 1, __ATOMIC_RELAXED);
      return;
    }
    if (sequence > position) position = wb_load_relaxed(&log->head);
    else if (__atomic_compare_exchange_n(&log->head, &position, position + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) break;
  }
  line->utc_ns = utc_ns;
  line->level = level;
  snprintf(line->text, LOG_LINE_BYTES, "%s", text);
  wb_store_release(&line->sequence, position + 1); /* G1 */
}

void wb_log_putf(wb_log *log, int level, const char *format, ...) {
  if (!log || level > log->level) return;
  char text[LOG_LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  wb_log_put(log, level, text);
}

static void write_line(wb_log *log, int64_t utc_ns, int level, const char *text) {
  static const char *const names[] = {"error", "warning", "info", "debug"};
  const char *name = names[level < 0 ? 0 : level > 3 ? 3 : level];
  char when[WB_UTC_TEXT_BYTES];
  wb_utc_text(utc_ns, when);
  if (!log->json) {
    fprintf(log->file, "%s %-7s %s\n", when, name, text);
    return;
  }
  fprintf(log->file, "{\"time\":\"%s\",\"level\":\"%s\",\"text\":\"", when, name);
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    if (*c == '"' || *c == '\\') fprintf(log->file, "\\%c", *c);
    else if (*c < 0x20) fprintf(log->file, "\\u%04x", *c);
    else if (*c < 0x80) fputc(*c, log->file);
    else fprintf(log->file, "\\u%04x", *c); /* Latin-1 reading of foreign bytes keeps the line valid JSON */
  }
  fputs("\"}\n", log->file);
}

int wb_log_drain(wb_log *log) {
  if (!log) return 0;
  int count = 0;
  bool whole = true;
  for (uint64_t position = log->tail, end = wb_load_relaxed(&log->head); position < end; position++) {
    log_line *line = &log->line[position % LOG_LINES];
    uint64_t sequence = wb_load_acquire(&line->sequence); /* G1 */
    if (sequence == position + 1) {
      write_line(log, line->utc_ns, line->level, line->text);
      wb_store_release(&line->sequence, position + LOG_LINES); /* G1 */
      count++;
    }
    whole &= sequence != position;
    if (whole) log->tail = position + 1;
  }
  uint64_t dropped = __atomic_exchange_n(&log->dropped, 0, __ATOMIC_RELAXED);
  if (dropped) {
    char text[LOG_LINE_BYTES];
    snprintf(text, sizeof text, "%llu log lines dropped: the queue was full", (unsigned long long)dropped);
    write_line(log, wb_clock_utc_ns(), WB_LOG_WARNING, text);
  }
  if (count || dropped) fflush(log->file);
  return count;
}

void wb_log_close(wb_log *log) {
  if (!log) return;
  wb_log_drain(log);
  if (log->file != stderr) fclose(log->file);
  free(log);
}

static uint64_t host_now(void *self) { return wb_clock_ns(); }
static int64_t host_offset(void *self) { return wb_clock_utc_ns() - (int64_t)wb_clock_ns(); }
static void host_log(void *self, int level, const char *text) { wb_log_put(self, level, text); }

void wb_host_make(wb_host *host, wb_log *log) {
  *host = (wb_host){.self = log, .now_ns = host_now, .utc_offset_ns = host_offset, .log = host_log};
}
