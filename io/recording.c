#include "io/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "engine/base/limits.h"

enum { INPUT_BYTES = 256 << 10, TEXT_BYTES_FIRST = 1 << 20 };

typedef enum { PLAIN, GZIP, ZSTD } form;

struct wb_recording {
  int fd;
  form form;
  z_stream gzip;
  ZSTD_DStream *zstd;
  bool between;      /* compressed: at the edge of a member or frame */
  size_t in, in_end; /* compressed bytes in input[] */
  bool input_ended;
  char *text; /* decoded: [begin, end), scanned for a line end up to `scanned` */
  size_t begin, end, scanned, capacity;
  bool ended;
  bool skipping; /* within a line that is too long */
  uint64_t line;
  wb_error error; /* that every further call returns */
  uint8_t input[INPUT_BYTES];
};

static int stop(wb_recording *r, int code, int os_errno, const char *text) {
  wb_error_set(&r->error, code, os_errno, "recording", "%s", text);
  return code;
}

static int fill_input(wb_recording *r) {
  if (r->in < r->in_end || r->input_ended) return 0;
  ssize_t got;
  do got = read(r->fd, r->input, sizeof r->input);
  while (got < 0 && errno == EINTR);
  if (got < 0) return stop(r, WB_E_SYSTEM, errno, strerror(errno));
  r->in = 0;
  r->in_end = (size_t)got;
  r->input_ended = got == 0;
  return 0;
}

wb_recording *wb_recording_open(const char *path, wb_error *error) {
  wb_recording *r = malloc(sizeof *r);
  if (r) {
    memset(r, 0, offsetof(wb_recording, input));
    r->text = malloc(TEXT_BYTES_FIRST + WB_READ_SLACK_BYTES);
  }
  if (!r || !r->text) {
    free(r);
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "recording", "no memory");
    return NULL;
  }
  r->capacity = TEXT_BYTES_FIRST;
  r->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
  if (r->fd < 0) {
    wb_error_set(error, WB_E_SYSTEM, errno, "recording", "%s: %s", path, strerror(errno));
    wb_recording_close(r);
    return NULL;
  }
  /* The first bytes decide, and a pipe may give them one by one. */
  while (r->in_end < 4 && !r->input_ended) {
    ssize_t got = read(r->fd, r->input + r->in_end, sizeof r->input - r->in_end);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      wb_error_set(error, WB_E_SYSTEM, errno, "recording", "%s: %s", path, strerror(errno));
      wb_recording_close(r);
      return NULL;
    }
    r->in_end += (size_t)got;
    r->input_ended = got == 0;
  }
  const uint8_t *b = r->input;
  if (r->in_end >= 2 && b[0] == 0x1f && b[1] == 0x8b) r->form = GZIP;
  else if (r->in_end >= 4 && !memcmp(b, "\x28\xb5\x2f\xfd", 4)) r->form = ZSTD;
  else if (r->in_end >= 4 && (b[0] & 0xf0) == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18)
    r->form = ZSTD; /* a skippable frame in front */
  r->between = true;
  int result = 0;
  if (r->form == GZIP && inflateInit2(&r->gzip, 15 + 16) != Z_OK) result = WB_E_MEMORY;
  if (r->form == ZSTD && !(r->zstd = ZSTD_createDStream())) result = WB_E_MEMORY;
  if (result) {
    r->form = PLAIN;
    wb_error_set(error, result, ENOMEM, "recording", "no memory");
    wb_recording_close(r);
    return NULL;
  }
  return r;
}

void wb_recording_close(wb_recording *r) {
  if (!r) return;
  if (r->form == GZIP) inflateEnd(&r->gzip);
  ZSTD_freeDStream(r->zstd);
  if (r->fd >= 0) close(r->fd);
  free(r->text);
  free(r);
}

static int decode_gzip(wb_recording *r, char *to, size_t room, size_t *made) {
  if (r->between && inflateReset(&r->gzip) != Z_OK) return stop(r, WB_E_DAMAGED, 0, "gzip cannot be reset");
  r->gzip.next_in = r->input + r->in;
  r->gzip.avail_in = (uInt)(r->in_end - r->in);
  r->gzip.next_out = (Bytef *)to;
  r->gzip.avail_out = room > UINT32_MAX ? UINT32_MAX : (uInt)room;
  size_t asked = r->gzip.avail_out;
  int result = inflate(&r->gzip, Z_NO_FLUSH);
  *made = asked - r->gzip.avail_out;
  r->in = r->in_end - r->gzip.avail_in;
  r->between = result == Z_STREAM_END;
  if (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR) return 0;
  return stop(r, result == Z_MEM_ERROR ? WB_E_MEMORY : WB_E_DAMAGED, 0, r->gzip.msg ? r->gzip.msg : "wrong gzip data");
}

static int decode_zstd(wb_recording *r, char *to, size_t room, size_t *made) {
  ZSTD_inBuffer in = {r->input, r->in_end, r->in};
  ZSTD_outBuffer out = {to, room, 0};
  size_t result = ZSTD_decompressStream(r->zstd, &out, &in);
  *made = out.pos;
  r->in = in.pos;
  if (ZSTD_isError(result)) return stop(r, WB_E_DAMAGED, 0, ZSTD_getErrorName(result));
  r->between = result == 0;
  return 0;
}

/* Decodes more text behind r->end. 0 with r->ended at the end. */
static int more(wb_recording *r) {
  if (r->begin && (r->begin == r->end || r->end == r->capacity)) {
    memmove(r->text, r->text + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->scanned -= r->begin;
    r->begin = 0;
  }
  if (r->end == r->capacity) {
    size_t capacity = 2 * r->capacity;
    char *text = realloc(r->text, capacity + WB_READ_SLACK_BYTES);
    if (!text) return stop(r, WB_E_MEMORY, ENOMEM, "no memory for a long line");
    r->text = text;
    r->capacity = capacity;
  }
  char *to = r->text + r->end;
  size_t room = r->capacity - r->end, made = 0;
  while (!made) {
    int result = fill_input(r);
    if (result) return result;
    if (r->in == r->in_end && (r->form == PLAIN || r->between)) {
      r->ended = true;
      return 0;
    }
    bool dry = r->in == r->in_end;
    if (r->form == PLAIN) {
      made = r->in_end - r->in < room ? r->in_end - r->in : room;
      memcpy(to, r->input + r->in, made);
      r->in += made;
    } else {
      result = r->form == GZIP ? decode_gzip(r, to, room, &made) : decode_zstd(r, to, room, &made);
      r->end += made;
      if (result) return result;
      if (dry && !made && !r->between) return stop(r, WB_E_DAMAGED, 0, "compressed data end too early");
      continue;
    }
    r->end += made;
  }
  return 0;
}

size_t wb_recording_time(const char *text, size_t count, int64_t *utc_ns) {
  uint64_t whole = 0, fraction = 0;
  size_t at = 0, digits = 0, places = 0;
  for (; at < count && text[at] >= '0' && text[at] <= '9'; at++, digits++) {
    if (digits == 19) return 0;
    whole = whole * 10 + (uint64_t)(text[at] - '0');
  }
  if (!digits) return 0;
  bool dot = at < count && text[at] == '.';
  if (dot) {
    size_t first = ++at;
    for (; at < count && text[at] >= '0' && text[at] <= '9'; at++)
      if (places < 9) fraction = fraction * 10 + (uint64_t)(text[at] - '0'), places++;
    if (at == first) return 0;
    for (; places < 9; places++) fraction *= 10;
  }
  if (at < count && text[at] == ':') at++;
  size_t blanks = at;
  while (at < count && (text[at] == ' ' || text[at] == '\t')) at++;
  if (at == blanks) return 0;
  bool seconds = dot || digits <= 11;
  if (seconds ? whole > INT64_MAX / 1000000000 - 1 : whole > INT64_MAX) return 0;
  *utc_ns = (int64_t)(seconds ? whole * 1000000000 + fraction : whole);
  return at;
}

static bool blank(const char *text, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
  return true;
}

int wb_recording_next(wb_recording *r, wb_recording_line *line, wb_error *error) {
  for (;;) {
    char *end = memchr(r->text + r->scanned, '\n', r->end - r->scanned);
    if (!end) {
      r->scanned = r->end;
      if (r->skipping || r->end - r->begin > (size_t)WB_RECORDING_LINE_BYTES_MAX + 2) {
        r->skipping = true;
        r->begin = r->end;
      }
      if (!r->ended && !r->error.code) {
        more(r);
        continue;
      }
      if (r->error.code) {
        if (error) {
          *error = r->error;
          error->position = r->line + 1;
        }
        return r->error.code;
      }
      if (r->begin == r->end && !r->skipping) return 0;
    }
    char *text = r->text + r->begin;
    size_t count = end ? (size_t)(end - text) : r->end - r->begin;
    r->begin += count + (end != NULL);
    r->scanned = r->begin;
    r->line++;
    if (r->line == 1 && count >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) text += 3, count -= 3;
    if (count && text[count - 1] == '\r') count--;
    if (r->skipping || count > WB_RECORDING_LINE_BYTES_MAX) {
      r->skipping = false;
      wb_error_set(error, WB_E_TOO_LARGE, 0, "recording", "line of more than %d bytes", WB_RECORDING_LINE_BYTES_MAX);
      if (error) error->position = r->line;
      return WB_E_TOO_LARGE;
    }
    if (blank(text, count)) continue;
    int64_t utc_ns = WB_TIME_NONE;
    size_t front = wb_recording_time(text, count, &utc_ns);
    *line = (wb_recording_line){.recv_utc_ns = utc_ns, .bytes = text + front, .count = count - front, .number = r->line};
    return 1;
  }
}
