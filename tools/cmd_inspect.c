#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/base/products.h"
#include "engine/port.h"
#include "engine/store/gap.h"
#include "io/frame_kind.h"
#include "io/log_index.h"
#include "io/recording.h"
#include "io/ws.h"
#include "tools/commands.h"
#include "tools/times.h"

/* Gaps, events and damages told one by one; more are only counted. */
enum { LIST_MAX = 1000, KINDS = WB_FRAME_KINDS, KIND_OTHER = 0, COLUMNS_MAX = 9 };

static const char *const *const kind_names = wb_frame_kind_names;

typedef struct tally {
  uint64_t frames, bytes;
  int64_t first_utc_ns, last_utc_ns; /* WB_TIME_NONE: no time known */
} tally;

typedef struct path_totals {
  const char *path;
  bool recording;
  uint64_t segments, growing, compressed, chunks, connections;
  tally all, kind[KINDS];
} path_totals;

typedef struct event {
  int64_t utc_ns;
  uint64_t number;
  unsigned kind, line, connection;
  char *text;
} event;

typedef struct gap {
  uint64_t first, last;
  unsigned run;
  char *path; /* of the frame behind it, NULL at the end of a run */
} gap;

typedef struct dropped {
  wb_gap gap;
  unsigned run;
} dropped;

typedef struct damage {
  char *path;
  const char *reason;
  uint64_t offset, bytes;
} damage;

typedef struct inspection {
  bool json, verify, frames, index;
  int64_t from_utc_ns, to_utc_ns;
  bool wanted[KINDS];
  path_totals *path;
  unsigned paths;
  wb_products products;
  void *products_memory;
  tally *product;
  tally no_product;
  event event[LIST_MAX];
  gap gap[LIST_MAX];
  dropped dropped[LIST_MAX];
  damage damage[LIST_MAX];
  uint64_t events, gaps, damages, gap_records, numbers_missing, numbers_dropped, duplicates;
  struct {
    bool known;
    unsigned run;
    uint16_t connection;
    tally all;
    uint64_t connections;
  } line[UINT8_MAX + 1];
  json_t *runs;
} inspection;

static void usage(FILE *to) {
  fputs("usage: wirebook inspect [OPTIONS] PATH...\n"
        "\n"
        "What a log holds. PATH: segment files, folders of them, or text recordings (plain, gzip or zstd).\n"
        "\n"
        "  --verify       read every record and check its checksum\n"
        "  --index        make the index of each finished segment that has none, or none that is right, and do no more\n"
        "  --json         as one JSON object (with --frames: one object a line)\n"
        "  --frames       print the raw frames, one a line: number, time, line.connection, kind, bytes, text\n"
        "  --from TIME    only frames received at TIME or later     (with --frames)\n"
        "  --to TIME      only frames received before TIME          (with --frames)\n"
        "  --kind KINDS   only frames of these kinds, comma or repeat (with --frames):\n"
        "                 text binary ping pong close http partial oversize violation connect disconnect sent resync gap\n"
        "                 stall end products answer\n"
        "  --help\n"
        "\n" WB_TIMES_HELP "Exit code: 0; 1 damage was found, or nothing could be read; 2 wrong usage.\n",
        to);
}

/* ------------------------------------------------------------------------------------------------ times and text */

enum { TIME_BYTES = 40 };

static const char *time_text(int64_t utc_ns, char text[TIME_BYTES]) {
  if (utc_ns == WB_TIME_NONE) return "-";
  int64_t fraction = utc_ns % 1000000000;
  time_t seconds = utc_ns / 1000000000 - (fraction < 0);
  if (fraction < 0) fraction += 1000000000;
  struct tm at;
  if (!gmtime_r(&seconds, &at)) return "-";
  size_t used = strftime(text, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &at);
  snprintf(text + used, TIME_BYTES - used, ".%09dZ", (int)fraction);
  return text;
}

/* Text as it is, what a terminal must not see as \n, \t, \\, \xNN. The caller frees it. */
static char *escaped(const uint8_t *bytes, size_t count) {
  bool utf8 = wb_utf8_valid(bytes, count);
  char *text = malloc(count * 4 + 1), *to = text;
  if (!text) abort();
  for (size_t i = 0; i < count; i++) {
    uint8_t b = bytes[i];
    if (b == '\n') *to++ = '\\', *to++ = 'n';
    else if (b == '\r') *to++ = '\\', *to++ = 'r';
    else if (b == '\t') *to++ = '\\', *to++ = 't';
    else if (b == '\\') *to++ = '\\', *to++ = '\\';
    else if (b < 0x20 || b == 0x7f || (b >= 0x80 && !utf8)) to += sprintf(to, "\\x%02x", b);
    else *to++ = (char)b;
  }
  *to = 0;
  return text;
}

static json_t *json_time(int64_t utc_ns) {
  char text[TIME_BYTES];
  return utc_ns == WB_TIME_NONE ? json_null() : json_string(time_text(utc_ns, text));
}

/* ------------------------------------------------------------------------------------------------ counting */

static const tally empty = {.first_utc_ns = WB_TIME_NONE, .last_utc_ns = WB_TIME_NONE};

static void add(tally *t, uint64_t bytes, int64_t utc_ns) {
  t->frames++;
  t->bytes += bytes;
  if (utc_ns == WB_TIME_NONE) return;
  if (t->first_utc_ns == WB_TIME_NONE || utc_ns < t->first_utc_ns) t->first_utc_ns = utc_ns;
  if (utc_ns > t->last_utc_ns) t->last_utc_ns = utc_ns;
}

/* The value of the first member in the text by which a venue names its products, by a plain scan: no JSON is parsed, so a message that names several products
 * counts for the first, and one that hides the name in another string for that. -1 if there is none. */
static int product_of(inspection *in, const uint8_t *bytes, size_t count) {
  const uint8_t *at = NULL, *end = bytes + count;
  const wb_codec *codec;
  for (unsigned i = 0; !at && (codec = wb_codec_at(i)); i++) {
    at = memmem(bytes, count, codec->product_key, strlen(codec->product_key));
    if (at) at += strlen(codec->product_key);
  }
  if (!at) return -1;
  for (; at < end && (*at == ' ' || *at == ':' || *at == '\t'); at++) {
  }
  if (at == end || *at++ != '"') return -1;
  const uint8_t *quote = memchr(at, '"', (size_t)(end - at));
  return quote ? wb_products_add(&in->products, (const char *)at, (size_t)(quote - at)) : -1;
}

static void count_frame(inspection *in, path_totals *path, unsigned kind, const uint8_t *bytes, size_t count, int64_t utc_ns) {
  add(&path->all, count, utc_ns);
  add(&path->kind[wb_frame_kind_known(kind)], count, utc_ns);
  if (kind != WB_FRAME_TEXT) return;
  int product = product_of(in, bytes, count);
  add(product < 0 ? &in->no_product : &in->product[product], count, utc_ns);
}

static void print_frame(inspection *in, const wb_frame *frame, const uint8_t *bytes, int64_t utc_ns) {
  unsigned kind = wb_frame_kind_known(frame->kind);
  if (!in->wanted[kind] || utc_ns < in->from_utc_ns || utc_ns >= in->to_utc_ns) return;
  char text[TIME_BYTES], *shown = escaped(bytes, frame->bytes);
  if (!in->json) {
    printf("%" PRIu64 " %s %u.%u %s %u %s\n", frame->number, time_text(utc_ns, text), frame->line, frame->connection,
           kind_names[kind], frame->bytes, shown);
  } else {
    json_t *as_is = json_stringn((const char *)bytes, frame->bytes); /* NULL if it is no UTF-8 */
    json_t *object = json_pack("{sI so si si ss si so}", "number", (json_int_t)frame->number, "utc", json_time(utc_ns), "line",
                               frame->line, "connection", frame->connection, "kind", kind_names[kind], "bytes",
                               (int)frame->bytes, as_is ? "text" : "escaped", as_is ? as_is : json_string(shown));
    json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(object);
  }
  free(shown);
}

static bool is_event(unsigned kind) {
  return kind == WB_FRAME_CLOSE || kind == WB_FRAME_CONNECT || kind == WB_FRAME_DISCONNECT || kind == WB_FRAME_RESYNC ||
         kind == WB_FRAME_GAP || kind == WB_FRAME_STALL || kind == WB_FRAME_OVERSIZE || kind == WB_FRAME_VIOLATION ||
         kind == WB_FRAME_END || kind == WB_FRAME_PRODUCTS;
}

static char *copied(const char *text) {
  char *copy = text ? strdup(text) : NULL;
  if (text && !copy) abort();
  return copy;
}

static void on_note(void *self, const wb_log_note *note) {
  inspection *in = self;
  const char *path = note->segment ? note->segment->path : NULL;
  if (note->kind == WB_LOG_NOTE_INDEX) {
    fprintf(stderr, "wirebook inspect: the index of %s is left aside: %s\n", path, note->text);
    return;
  }
  if (note->kind == WB_LOG_NOTE_GAP) {
    if (in->gaps < LIST_MAX)
      in->gap[in->gaps] = (gap){.first = note->first, .last = note->last, .run = note->run, .path = copied(path)};
    in->gaps++;
    if (in->frames) fprintf(stderr, "gap: frames %" PRIu64 " to %" PRIu64 " are missing\n", note->first, note->last);
    return;
  }
  if (in->damages < LIST_MAX)
    in->damage[in->damages] =
        (damage){.path = copied(path), .reason = wb_error_text(note->code), .offset = note->offset, .bytes = note->bytes};
  in->damages++;
  if (in->frames) fprintf(stderr, "damage: %s at byte %" PRIu64 ": %s\n", path, note->offset, wb_error_text(note->code));
}

static void count_record(inspection *in, const wb_log_record *record) {
  const wb_frame *frame = &record->frame;
  path_totals *path = &in->path[record->segment->path_index];
  count_frame(in, path, frame->kind, record->bytes, frame->bytes, record->utc_ns);
  if (!in->line[frame->line].all.frames) in->line[frame->line].all = empty;
  add(&in->line[frame->line].all, frame->bytes, record->utc_ns);
  bool of_connection = frame->kind <= WB_FRAME_CONNECT;
  if (of_connection && (!in->line[frame->line].known || in->line[frame->line].run != record->run ||
                        in->line[frame->line].connection != frame->connection)) {
    in->line[frame->line].known = true;
    in->line[frame->line].run = record->run;
    in->line[frame->line].connection = frame->connection;
    in->line[frame->line].connections++;
    path->connections++;
  }
  wb_gap named;
  if (frame->kind == WB_FRAME_GAP && wb_gap_read(frame, record->bytes, &named)) {
    if (in->gap_records < LIST_MAX) in->dropped[in->gap_records] = (dropped){named, record->run};
    in->gap_records++;
  }
  if (!is_event(frame->kind)) return;
  if (in->events < LIST_MAX)
    in->event[in->events] = (event){.utc_ns = record->utc_ns,
                                    .number = frame->number,
                                    .kind = frame->kind,
                                    .line = frame->line,
                                    .connection = frame->connection,
                                    .text = escaped(record->bytes, frame->bytes < 400 ? frame->bytes : 400)};
  in->events++;
}

/* ------------------------------------------------------------------------------------------------ reading */

static int complain(const wb_error *error) {
  fprintf(stderr, "wirebook inspect: %s\n", error->detail);
  return error->os_errno == ENOENT ? 2 : 1;
}

static void note_runs(inspection *in, const wb_log_reader *reader) {
  const wb_log_segment *segment;
  for (size_t i = 0; (segment = wb_log_reader_segment(reader, i)); i++) {
    path_totals *path = &in->path[segment->path_index];
    path->segments++;
    path->growing += segment->growing;
    path->compressed += segment->compressed;
    path->chunks += segment->chunks;
    if (!segment->readable || json_array_size(in->runs) > segment->run) continue;
    char node[33];
    for (int k = 0; k < 16; k++) sprintf(node + 2 * k, "%02x", segment->node[k]);
    json_t *info = json_loads(segment->text, 0, NULL);
    json_array_append_new(in->runs, json_pack("{ss so so}", "node", node, "started_utc", json_time(segment->created_utc_ns),
                                              "info", info ? info : json_null()));
  }
}

static int read_logs(inspection *in, const char *const *path, size_t paths) {
  wb_error error;
  const wb_log_window part = {.from_utc_ns = in->from_utc_ns, .to_utc_ns = in->to_utc_ns};
  bool whole = in->from_utc_ns == INT64_MIN && in->to_utc_ns == INT64_MAX;
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = path,
                                                                     .path_count = paths,
                                                                     .verify = in->verify,
                                                                     .part = whole || in->verify ? NULL : &part,
                                                                     .self = in,
                                                                     .note = on_note},
                                             &error);
  if (!reader) return complain(&error);
  wb_log_record record;
  while (wb_log_reader_next(reader, &record) == 1) {
    if (in->frames) print_frame(in, &record.frame, record.bytes, record.utc_ns);
    else count_record(in, &record);
    if (ferror(stdout)) break;
  }
  note_runs(in, reader);
  in->numbers_missing = wb_log_reader_totals(reader).numbers_missing;
  in->numbers_dropped = wb_log_reader_totals(reader).numbers_dropped;
  in->duplicates = wb_log_reader_totals(reader).duplicates;
  wb_log_reader_close(reader);
  int code = 0;
  for (size_t i = 0; i < paths; i++)
    if (!in->path[i].segments) {
      fprintf(stderr, "wirebook inspect: no segment in %s\n", path[i]);
      code = 1;
    }
  return code;
}

static int index_logs(const char *const *path, size_t paths) {
  wb_error error;
  wb_log_reader *reader = wb_log_reader_open(&(wb_log_reader_config){.path = path, .path_count = paths}, &error);
  if (!reader) return complain(&error);
  int code = 0;
  const wb_log_segment *segment;
  for (size_t i = 0; (segment = wb_log_reader_segment(reader, i)); i++) {
    const char *said = "has its index";
    if (!wb_log_index_is_right(segment->path)) {
      int result = wb_log_index_make(segment->path, &error);
      said = result ? error.detail : "indexed";
      if (result && result != WB_E_STATE) code = 1;
    }
    printf("%s: %s\n", segment->path, said);
  }
  wb_log_reader_close(reader);
  return code;
}

static int read_recording(inspection *in, path_totals *path) {
  wb_error error;
  wb_recording *recording = wb_recording_open(path->path, &error);
  if (!recording) return complain(&error);
  wb_recording_line line;
  int result;
  while ((result = wb_recording_next(recording, &line, &error))) {
    if (result == 1) {
      const uint8_t *bytes = (const uint8_t *)line.bytes;
      wb_frame frame = {.number = line.number, .bytes = (uint32_t)line.count, .kind = WB_FRAME_TEXT};
      if (in->frames) print_frame(in, &frame, bytes, line.recv_utc_ns);
      else count_frame(in, path, WB_FRAME_TEXT, bytes, line.count, line.recv_utc_ns);
      if (ferror(stdout)) break;
      continue;
    }
    fprintf(stderr, "wirebook inspect: %s, line %" PRIu64 ": %s\n", path->path, error.position, error.detail);
    if (in->damages < LIST_MAX)
      in->damage[in->damages] =
          (damage){.path = copied(path->path), .reason = wb_error_text(result), .offset = error.position, .bytes = 0};
    in->damages++;
    if (result != WB_E_TOO_LARGE) break;
  }
  wb_recording_close(recording);
  return 0;
}

static bool is_log(const char *path) {
  struct stat about;
  size_t bytes = strlen(path);
  if (stat(path, &about) || S_ISDIR(about.st_mode) || (bytes > 6 && !strcmp(path + bytes - 6, ".wbseg"))) return true;
  return (bytes > 10 && !strcmp(path + bytes - 10, ".wbseg.zst")) || wb_log_is_segment_file(path);
}

/* ------------------------------------------------------------------------------------------------ showing */

/* Rows of cells, shown with each column as wide as its widest cell; `right` has a bit for each column of numbers. */
typedef struct table {
  unsigned columns, right;
  size_t rows, capacity;
  char **cell;
} table;

static void row(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void row(table *t, const char *format, ...) { /* cells are separated by '\f' */
  va_list arguments;
  va_start(arguments, format);
  char *text, *rest;
  if (vasprintf(&text, format, arguments) < 0) abort();
  va_end(arguments);
  if (t->rows == t->capacity) {
    t->capacity = t->capacity ? 2 * t->capacity : 64;
    t->cell = realloc(t->cell, t->capacity * t->columns * sizeof *t->cell);
    if (!t->cell) abort();
  }
  rest = text;
  for (unsigned i = 0; i < t->columns; i++) {
    char *cell = strsep(&rest, "\f");
    t->cell[t->rows * t->columns + i] = copied(cell ? cell : "");
  }
  t->rows++;
  free(text);
}

static void show(table *t) {
  size_t width[COLUMNS_MAX] = {0};
  for (size_t i = 0; i < t->rows * t->columns; i++) {
    size_t bytes = strlen(t->cell[i]);
    if (bytes > width[i % t->columns]) width[i % t->columns] = bytes;
  }
  for (size_t i = 0; i < t->rows * t->columns; i++) {
    unsigned column = (unsigned)(i % t->columns);
    bool last = column + 1 == t->columns;
    if (t->right >> column & 1) printf("%*s%s", (int)width[column], t->cell[i], last ? "\n" : "  ");
    else printf("%-*s%s", last ? 0 : (int)width[column], t->cell[i], last ? "\n" : "  ");
    free(t->cell[i]);
  }
  free(t->cell);
  *t = (table){0};
}

static void more(uint64_t count) {
  if (count > LIST_MAX) printf("... and %" PRIu64 " more\n", count - LIST_MAX);
}

static int by_frames(const void *one, const void *other, void *tallies) {
  uint64_t a = ((const tally *)tallies)[*(const uint16_t *)one].frames,
           b = ((const tally *)tallies)[*(const uint16_t *)other].frames;
  return a < b ? 1 : a > b ? -1 : 0;
}

static void show_text(inspection *in) {
  char first[TIME_BYTES], last[TIME_BYTES];
  size_t at;
  json_t *run;
  json_array_foreach(in->runs, at, run) {
    char *info = json_dumps(json_object_get(run, "info"), JSON_COMPACT | JSON_ENCODE_ANY);
    printf("run %zu  node %s  since %s  %s\n", at, json_string_value(json_object_get(run, "node")),
           json_string_value(json_object_get(run, "started_utc")), info ? info : "");
    free(info);
  }
  if (json_array_size(in->runs)) putchar('\n');

  table t = {.columns = 8, .right = 0x9e};
  row(&t, "PATH\fSEGMENTS\fCHUNKS\fFRAMES\fBYTES\fFIRST (UTC)\fLAST (UTC)\fCONNECTIONS");
  for (unsigned i = 0; i < in->paths; i++) {
    const path_totals *p = &in->path[i];
    row(&t, "%s%s\f%" PRIu64 "\f%" PRIu64 "\f%" PRIu64 "\f%" PRIu64 "\f%s\f%s\f%" PRIu64, p->path,
        p->recording ? " (recording)"
        : p->growing ? " (being written)"
                     : "",
        p->segments, p->chunks, p->all.frames, p->all.bytes, time_text(p->all.first_utc_ns, first),
        time_text(p->all.last_utc_ns, last), p->connections);
  }
  show(&t);

  t = (table){.columns = in->paths > 1 ? 4 : 3, .right = in->paths > 1 ? 0xc : 0x6};
  putchar('\n');
  row(&t, "KIND\f%sFRAMES\fBYTES", in->paths > 1 ? "PATH\f" : "");
  for (unsigned i = 0; i < in->paths; i++)
    for (unsigned k = 0; k < KINDS; k++)
      if (in->path[i].kind[k].frames)
        row(&t, "%s\f%s%s%" PRIu64 "\f%" PRIu64, kind_names[k], in->paths > 1 ? in->path[i].path : "",
            in->paths > 1 ? "\f" : "", in->path[i].kind[k].frames, in->path[i].kind[k].bytes);
  show(&t);

  t = (table){.columns = 6, .right = 0x26};
  putchar('\n');
  row(&t, "LINE\fFRAMES\fBYTES\fFIRST (UTC)\fLAST (UTC)\fCONNECTIONS");
  for (unsigned i = 0; i <= UINT8_MAX; i++) {
    const tally *l = &in->line[i].all;
    if (l->frames)
      row(&t, "%u\f%" PRIu64 "\f%" PRIu64 "\f%s\f%s\f%" PRIu64, i, l->frames, l->bytes, time_text(l->first_utc_ns, first),
          time_text(l->last_utc_ns, last), in->line[i].connections);
  }
  show(&t);

  t = (table){.columns = 5, .right = 0x6};
  putchar('\n');
  row(&t, "PRODUCT\fFRAMES\fBYTES\fFIRST (UTC)\fLAST (UTC)");
  uint16_t *order = malloc((in->products.count + 1) * sizeof *order);
  if (!order) abort();
  for (uint32_t i = 0; i < in->products.count; i++) order[i] = (uint16_t)i;
  qsort_r(order, in->products.count, sizeof *order, by_frames, in->product);
  for (uint32_t i = 0; i <= in->products.count; i++) {
    const tally *p = i < in->products.count ? &in->product[order[i]] : &in->no_product;
    if (!p->frames) continue;
    row(&t, "%s\f%" PRIu64 "\f%" PRIu64 "\f%s\f%s", i < in->products.count ? in->products.product[order[i]].id : "(none)",
        p->frames, p->bytes, time_text(p->first_utc_ns, first), time_text(p->last_utc_ns, last));
  }
  free(order);
  show(&t);

  printf("\nGAPS  %" PRIu64 " (%" PRIu64 " frame numbers missing), gap records %" PRIu64 ", repeated frames %" PRIu64 "\n",
         in->gaps, in->numbers_missing, in->gap_records, in->duplicates);
  for (uint64_t i = 0; i < in->gaps && i < LIST_MAX; i++)
    printf("run %u  %" PRIu64 " .. %" PRIu64 "  (%" PRIu64 " frames)  before %s\n", in->gap[i].run, in->gap[i].first,
           in->gap[i].last, in->gap[i].last - in->gap[i].first + 1, in->gap[i].path ? in->gap[i].path : "the end of the run");
  more(in->gaps);
  for (uint64_t i = 0; i < in->gap_records && i < LIST_MAX; i++)
    printf("run %u  %" PRIu64 " .. %" PRIu64 "  (%" PRIu64 " frames, %" PRIu64 " bytes)  storage behind, %s to %s\n",
           in->dropped[i].run, in->dropped[i].gap.first, in->dropped[i].gap.last, in->dropped[i].gap.frames,
           in->dropped[i].gap.bytes, time_text(in->dropped[i].gap.from_utc_ns, first),
           time_text(in->dropped[i].gap.to_utc_ns, last));
  more(in->gap_records);

  printf("\nEVENTS  %" PRIu64 "\n", in->events);
  t = (table){.columns = 5, .right = 0};
  for (uint64_t i = 0; i < in->events && i < LIST_MAX; i++)
    row(&t, "%s\fline %u.%u\f%s\fframe %" PRIu64 "\f%s", time_text(in->event[i].utc_ns, first), in->event[i].line,
        in->event[i].connection, kind_names[in->event[i].kind], in->event[i].number, in->event[i].text);
  show(&t);
  more(in->events);

  printf("\nDAMAGE  %" PRIu64 "%s\n", in->damages,
         in->verify ? "" : "  (headers and the end of each run; --verify checks every record)");
  for (uint64_t i = 0; i < in->damages && i < LIST_MAX; i++)
    printf("%s  at %" PRIu64 "  %" PRIu64 " bytes left out: %s\n", in->damage[i].path, in->damage[i].offset,
           in->damage[i].bytes, in->damage[i].reason);
  more(in->damages);
}

static json_t *json_tally(const tally *t) {
  return json_pack("{sI sI so so}", "frames", (json_int_t)t->frames, "bytes", (json_int_t)t->bytes, "first_utc",
                   json_time(t->first_utc_ns), "last_utc", json_time(t->last_utc_ns));
}

static json_t *json_text(const char *text) {
  json_t *value = text ? json_string(text) : json_null();
  return value ? value : json_string("(no UTF-8)");
}

static void show_json(inspection *in) {
  json_t *paths = json_array(), *products = json_object(), *lines = json_array(), *gaps = json_array(), *named = json_array(),
         *events = json_array(), *damages = json_array();
  for (unsigned i = 0; i < in->paths; i++) {
    const path_totals *p = &in->path[i];
    json_t *path = json_tally(&p->all), *kinds = json_object();
    for (unsigned k = 0; k < KINDS; k++)
      if (p->kind[k].frames)
        json_object_set_new(
            kinds, kind_names[k],
            json_pack("{sI sI}", "frames", (json_int_t)p->kind[k].frames, "bytes", (json_int_t)p->kind[k].bytes));
    json_object_set_new(path, "path", json_text(p->path));
    json_object_set_new(path, "form", json_string(p->recording ? "recording" : "log"));
    json_object_set_new(path, "segments", json_integer((json_int_t)p->segments));
    json_object_set_new(path, "growing", json_integer((json_int_t)p->growing));
    json_object_set_new(path, "compressed", json_integer((json_int_t)p->compressed));
    json_object_set_new(path, "chunks", json_integer((json_int_t)p->chunks));
    json_object_set_new(path, "connections", json_integer((json_int_t)p->connections));
    json_object_set_new(path, "kinds", kinds);
    json_array_append_new(paths, path);
  }
  for (unsigned i = 0; i <= UINT8_MAX; i++) {
    if (!in->line[i].all.frames) continue;
    json_t *line = json_tally(&in->line[i].all);
    json_object_set_new(line, "line", json_integer(i));
    json_object_set_new(line, "connections", json_integer((json_int_t)in->line[i].connections));
    json_array_append_new(lines, line);
  }
  for (uint32_t i = 0; i < in->products.count; i++)
    json_object_set_new(products, in->products.product[i].id, json_tally(&in->product[i]));
  for (uint64_t i = 0; i < in->gaps && i < LIST_MAX; i++)
    json_array_append_new(gaps, json_pack("{si sI sI so}", "run", (int)in->gap[i].run, "first", (json_int_t)in->gap[i].first,
                                          "last", (json_int_t)in->gap[i].last, "before", json_text(in->gap[i].path)));
  for (uint64_t i = 0; i < in->gap_records && i < LIST_MAX; i++) {
    const wb_gap *one = &in->dropped[i].gap;
    json_array_append_new(named, json_pack("{si sI sI sI sI so so}", "run", (int)in->dropped[i].run, "first",
                                           (json_int_t)one->first, "last", (json_int_t)one->last, "frames",
                                           (json_int_t)one->frames, "bytes", (json_int_t)one->bytes, "from_utc",
                                           json_time(one->from_utc_ns), "to_utc", json_time(one->to_utc_ns)));
  }
  for (uint64_t i = 0; i < in->events && i < LIST_MAX; i++)
    json_array_append_new(events, json_pack("{so si si ss sI so}", "utc", json_time(in->event[i].utc_ns), "line",
                                            (int)in->event[i].line, "connection", (int)in->event[i].connection, "kind",
                                            kind_names[in->event[i].kind], "number", (json_int_t)in->event[i].number, "text",
                                            json_text(in->event[i].text)));
  for (uint64_t i = 0; i < in->damages && i < LIST_MAX; i++)
    json_array_append_new(damages, json_pack("{so sI sI ss}", "path", json_text(in->damage[i].path), "offset",
                                             (json_int_t)in->damage[i].offset, "bytes", (json_int_t)in->damage[i].bytes,
                                             "reason", in->damage[i].reason));
  json_t *all = json_pack("{so sO so so so so so so so so}", "paths", paths, "runs", in->runs, "lines", lines, "products",
                          products, "no_product", json_tally(&in->no_product), "gaps", gaps, "dropped", named, "events", events,
                          "damage", damages, "verified", json_boolean(in->verify));
  json_t *totals =
      json_pack("{sI sI sI sI sI sI sI}", "gaps", (json_int_t)in->gaps, "numbers_missing", (json_int_t)in->numbers_missing,
                "numbers_dropped", (json_int_t)in->numbers_dropped, "gap_records", (json_int_t)in->gap_records, "duplicates",
                (json_int_t)in->duplicates, "events", (json_int_t)in->events, "damages", (json_int_t)in->damages);
  json_object_set_new(all, "totals", totals);
  json_dumpf(all, stdout, JSON_INDENT(1));
  putchar('\n');
  json_decref(all);
}

/* ------------------------------------------------------------------------------------------------ command */

static bool add_kinds(inspection *in, const char *text) {
  char *list = copied(text), *rest = list, *name;
  bool good = true;
  while (good && (name = strsep(&rest, ","))) {
    good = false;
    for (unsigned k = 0; k < KINDS; k++)
      if (kind_names[k] && !strcmp(name, kind_names[k])) in->wanted[k] = good = true;
    if (!good) fprintf(stderr, "wirebook inspect: no kind of frame is called '%s'; see --help\n", name);
  }
  free(list);
  return good;
}

static int inspect(inspection *in, char **argument, int arguments) {
  const char **logs = calloc((size_t)arguments, sizeof *logs);
  in->path = calloc((size_t)arguments, sizeof *in->path);
  in->product = calloc(WB_PRODUCT_COUNT_MAX, sizeof *in->product);
  in->products_memory = aligned_alloc(64, (wb_products_bytes(WB_PRODUCT_COUNT_MAX) + 63) & ~(size_t)63);
  in->runs = json_array();
  if (!logs || !in->path || !in->product || !in->products_memory || !in->runs) abort();
  wb_products_init(&in->products, in->products_memory, WB_PRODUCT_COUNT_MAX);
  for (unsigned i = 0; i < WB_PRODUCT_COUNT_MAX; i++) in->product[i] = empty;
  in->no_product = empty;

  unsigned log_count = 0;
  for (int recordings = 0; recordings < 2; recordings++) /* logs first: their reader counts paths from 0 */
    for (int i = 0; i < arguments; i++) {
      if (is_log(argument[i]) == recordings) continue;
      path_totals *p = &in->path[in->paths++];
      *p = (path_totals){.path = argument[i], .recording = recordings, .all = empty};
      for (unsigned k = 0; k < KINDS; k++) p->kind[k] = empty;
      if (!recordings) logs[log_count++] = argument[i];
    }
  int code = !log_count ? 0 : in->index ? index_logs(logs, log_count) : read_logs(in, logs, log_count);
  for (unsigned i = log_count; i < in->paths && code != 2 && !in->index; i++) {
    int result = read_recording(in, &in->path[i]);
    if (result) code = result;
  }
  if (code != 2 && !in->frames && !in->index) in->json ? show_json(in) : show_text(in);
  if (!code && (in->damages || fflush(stdout) || ferror(stdout))) code = 1;

  for (uint64_t i = 0; i < LIST_MAX; i++) {
    free(in->event[i].text);
    free(in->gap[i].path);
    free(in->damage[i].path);
  }
  json_decref(in->runs);
  free(in->products_memory);
  free(in->product);
  free(in->path);
  free(logs);
  return code;
}

int wb_cmd_inspect(int argc, char **argv) {
  enum { VERIFY = 256, JSON, FRAMES, INDEX, FROM, TO, KIND };
  static const struct option options[] = {
      {"verify", no_argument, NULL, VERIFY},   {"json", no_argument, NULL, JSON},   {"frames", no_argument, NULL, FRAMES},
      {"from", required_argument, NULL, FROM}, {"to", required_argument, NULL, TO}, {"kind", required_argument, NULL, KIND},
      {"index", no_argument, NULL, INDEX},     {"help", no_argument, NULL, 'h'},    {NULL, 0, NULL, 0},
  };
  static inspection in;
  in = (inspection){.from_utc_ns = INT64_MIN, .to_utc_ns = INT64_MAX};
  bool filtered = false, kinds = false;
  opterr = 0;
  optind = 0;
  for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
    const char *given = argv[optind - 1];
    switch (option) {
    case 'h': usage(stdout); return 0;
    case VERIFY: in.verify = true; break;
    case JSON: in.json = true; break;
    case FRAMES: in.frames = true; break;
    case INDEX: in.index = true; break;
    case FROM:
    case TO:
      filtered = true;
      if (wb_time_parse(optarg, option == FROM ? &in.from_utc_ns : &in.to_utc_ns)) break;
      fprintf(stderr, "wirebook inspect: '%s' is no time; give one like 2026-01-31T23:59:59Z\n", optarg);
      return 2;
    case KIND:
      filtered = kinds = true;
      if (!add_kinds(&in, optarg)) return 2;
      break;
    case ':': fprintf(stderr, "wirebook inspect: %s needs a value; see `wirebook inspect --help`\n", given); return 2;
    default: fprintf(stderr, "wirebook inspect: unknown option '%s'; `wirebook inspect --help` lists them\n", given); return 2;
    }
  }
  if (filtered && !in.frames) {
    fputs("wirebook inspect: --from, --to and --kind choose what --frames prints; add --frames\n", stderr);
    return 2;
  }
  if (optind == argc) {
    fputs("wirebook inspect: which log? give a file or a folder, such as ./data\n", stderr);
    return 2;
  }
  for (unsigned k = 0; k < KINDS && !kinds; k++) in.wanted[k] = true;
  return inspect(&in, argv + optind, argc - optind);
}
