#include "io/source_replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/codec/json.h"
#include "engine/ring/atomic.h"
#include "engine/store/gap.h"
#include "io/recording.h"

struct wb_source_replay {
  wb_source_replay_config config;
  wb_log_reader *log;
  wb_recording *recording;
  unsigned next_path, lines, run, last_run;
  bool orders;
  unsigned closing;   /* lines of the run before that are still to be told as down, in front of the record */
  bool missing, told; /* records are missing in front of the record: it is to be told, was told */
  bool paced;         /* by the caller, up to until_utc_ns */
  int64_t until_utc_ns;
  wb_log_record record;
  bool pending; /* a record was read that did not fit, or is not due */
  wb_frame frame;
  const uint8_t *bytes;
  int64_t utc_ns;
  uint64_t line;            /* of a recording */
  wb_replay_origin *origin; /* by number, as many as the frame ring has descriptors; NULL: nobody asks */
  int64_t first_utc_ns;
  uint64_t first_ns;
  uint64_t number;
  bool within, began;  /* the record at hand is of the window; that it begins was said, or there is none */
  bool over;           /* everything was read */
  uint64_t taken;      /* W ingest, R any */
  uint32_t stop_asked; /* W any, R ingest */
  uint32_t ended;      /* W ingest (after error), R any */
  wb_error error;
};

/* Who goes on at his own pace plays the log to others: to them a hole is one. A replay names it and goes on, or what it shows of a part would depend on
 * what an index spares it. */
static void skipped(wb_source_replay *source) { source->missing |= source->log && source->paced; }

static void on_note(void *self, const wb_log_note *note) {
  wb_source_replay *source = self;
  if (note->kind == WB_LOG_NOTE_INDEX) {
    char text[512];
    snprintf(text, sizeof text, "the index of %s is left aside: %s", note->segment->path, note->text);
    source->config.host->log(source->config.host->self, WB_LOG_WARNING, text);
    return;
  }
  if (note->kind == WB_LOG_NOTE_GAP) skipped(source);
  if (source->error.code) return;
  if (note->kind == WB_LOG_NOTE_DAMAGE) {
    wb_error_set(&source->error, note->code, 0, "replay", "%s: %s at byte %llu, %llu bytes left out", note->segment->path,
                 wb_error_text(note->code), (unsigned long long)note->offset, (unsigned long long)note->bytes);
    source->error.position = note->offset;
  } else {
    const char *what = note->run == source->last_run ? WB_REPLAY_MISSING : "replay";
    wb_error_set(&source->error, WB_E_DAMAGED, 0, what, "records %llu to %llu are missing", (unsigned long long)note->first,
                 (unsigned long long)note->last);
    source->error.position = note->first;
  }
}

/* 1 a segment or folder, 0 a recording, negative an error. */
static int is_log(const char *path, wb_error *error) {
  if (strcmp(path, "-") == 0) return 0;
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &info) != 0) {
    int code = errno;
    if (fd >= 0) close(fd);
    return wb_error_set(error, WB_E_SYSTEM, code, "replay", "cannot read %s: %s", path, strerror(code));
  }
  close(fd);
  return S_ISDIR(info.st_mode) || wb_log_is_segment_file(path);
}

/* Goes to the first element of an array that a segment's header holds; false if there is none of that name. */
static bool list_of(const char *header, const char *name, wb_json *list) {
  wb_json_value value;
  uint32_t twice;
  *list = (wb_json){(const uint8_t *)header, (uint32_t)strlen(header), 0};
  if (wb_json_members(list, 0, &name, 1, &value, &twice) != 0 || value.at == 0 || header[value.at] != '[') return false;
  list->at = value.at + 1;
  return true;
}

/* How many lines a segment's header names: {...,"lines":["wss://a","wss://b"],...}. */
static unsigned lines_of(const char *header) {
  wb_json json;
  wb_json_value line;
  unsigned count = 0;
  if (!list_of(header, "lines", &json)) return 1;
  while (wb_json_element(&json, &line)) count++;
  return count < 1 ? 1 : count < WB_LINE_COUNT_MAX ? count : WB_LINE_COUNT_MAX;
}

/* Whether it names a channel of level 3: {...,"channels":["full","heartbeat"],...}. */
static bool orders_of(const char *header, const wb_codec_orders *orders) {
  wb_json json;
  wb_json_value name;
  char text[32];
  if (!orders || !list_of(header, "channels", &json)) return false;
  while (wb_json_element(&json, &name)) {
    uint32_t bytes = header[name.at] == '"' ? wb_json_string(&json, name.at, text, sizeof text - 1) : sizeof text;
    if (bytes >= sizeof text) continue;
    text[bytes] = 0;
    if (orders->channel(text)) return true;
  }
  return false;
}

wb_source_replay *wb_source_replay_open(const wb_source_replay_config *config, wb_error *error) {
  unsigned count = 0, logs = 0;
  for (; config->path[count]; count++) {
    int log = is_log(config->path[count], error);
    if (log < 0) return NULL;
    logs += (unsigned)log;
  }
  if (!count || (logs && logs != count)) {
    wb_error_set(error, WB_E_CONFIG, 0, "replay",
                 count ? "segments and text recordings cannot be replayed together" : "no path was given");
    return NULL;
  }
  wb_source_replay *source = calloc(1, sizeof *source);
  if (!source) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "replay", "no memory");
    return NULL;
  }
  source->config = *config;
  if (config->origins && !(source->origin = calloc(config->frames->frame_count, sizeof *source->origin))) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "replay", "no memory");
    free(source);
    return NULL;
  }
  source->first_utc_ns = WB_TIME_NONE;
  source->began = !config->part;
  source->lines = 1;
  if (logs) {
    source->log = wb_log_reader_open(&(wb_log_reader_config){.path = (const char *const *)config->path,
                                                             .path_count = count,
                                                             .verify = true,
                                                             .part = config->part,
                                                             .self = source,
                                                             .note = on_note},
                                     error);
    if (source->log && !wb_log_reader_segment(source->log, 0)) {
      wb_error_set(error, WB_E_CONFIG, 0, "replay", "%s holds no segment", config->path[0]);
      wb_source_replay_close(source);
      return NULL;
    }
    const wb_log_segment *segment;
    for (size_t i = 0; source->log && (segment = wb_log_reader_segment(source->log, i)); i++) {
      unsigned lines = segment->readable ? lines_of(segment->text) : 1;
      if (segment->readable) source->last_run = segment->run;
      if (lines > source->lines) source->lines = lines;
      source->orders |= segment->readable && orders_of(segment->text, config->codec->orders);
    }
  } else {
    source->recording = wb_recording_open(config->path[source->next_path++], error);
  }
  if (source->log || source->recording) return source;
  free(source->origin);
  free(source);
  return NULL;
}

void wb_source_replay_close(wb_source_replay *source) {
  if (!source) return;
  if (source->log) wb_log_reader_close(source->log);
  if (source->recording) wb_recording_close(source->recording);
  free(source->origin);
  free(source);
}

static bool next_line(wb_source_replay *source) {
  while (source->recording) {
    wb_recording_line line;
    wb_error error;
    int result = wb_recording_next(source->recording, &line, &error);
    if (result == 1) {
      source->bytes = (const uint8_t *)line.bytes;
      source->utc_ns = line.recv_utc_ns;
      source->line = line.number;
      source->frame = (wb_frame){.recv_ns = line.recv_utc_ns > 0 ? (uint64_t)line.recv_utc_ns : 0,
                                 .bytes = (uint32_t)line.count,
                                 .connection = 1,
                                 .kind = WB_FRAME_TEXT};
      return true;
    }
    if (result < 0) {
      if (!source->error.code) source->error = error;
      if (result == WB_E_TOO_LARGE) continue;
    }
    wb_recording_close(source->recording);
    source->recording = NULL;
    const char *path = source->config.path[source->next_path];
    if (!path) return false;
    source->next_path++;
    source->recording = wb_recording_open(path, &error);
    if (!source->recording && !source->error.code) source->error = error;
  }
  return false;
}

static void tell_missing(wb_source_replay *source) {
  static const char text[] = "{\"event\":\"gap\",\"reason\":\"records missing\"}";
  source->missing = false;
  source->told = true;
  source->bytes = (const uint8_t *)text;
  source->frame = (wb_frame){.recv_ns = source->record.frame.recv_ns,
                             .bytes = sizeof text - 1,
                             .line = source->record.frame.line,
                             .kind = WB_FRAME_GAP};
}

static bool next(wb_source_replay *source, bool *within) {
  const wb_log_window *part = source->config.part;
  if (!source->log) {
    if (!next_line(source)) return false;
    bool timed = part && source->utc_ns != WB_TIME_NONE;
    *within = timed && source->utc_ns >= part->from_utc_ns;
    return !timed || source->utc_ns < part->to_utc_ns;
  }
  wb_log_record *record = &source->record;
  while (!source->closing && !source->told) {
    if (wb_log_reader_next(source->log, record) != 1) return false;
    if (source->lines == 1) break;
    if (record->frame.line < source->lines) {
      if (record->run != source->run) source->closing = source->lines + 1;
      source->run = record->run;
      break;
    }
    if (!source->error.code)
      wb_error_set(&source->error, WB_E_DAMAGED, 0, "replay", "record %llu is of line %u of %u",
                   (unsigned long long)record->frame.number, record->frame.line + 1, source->lines);
  }
  source->utc_ns = record->utc_ns;
  source->frame = record->frame;
  if (source->frame.kind == WB_FRAME_WINDOW) source->frame.kind = 0; /* that of nobody else */
  source->bytes = record->bytes;
  *within = record->within;
  source->told = false;
  if (source->missing) {
    tell_missing(source);
    return true;
  }
  wb_gap gap;
  if (record->frame.kind == WB_FRAME_GAP && wb_gap_read(&record->frame, record->bytes, &gap) && !source->error.code)
    wb_error_set(&source->error, WB_E_DAMAGED, 0, "replay", "records %llu to %llu were not stored, storage was behind",
                 (unsigned long long)gap.first, (unsigned long long)gap.last);
  if (source->closing && --source->closing)
    source->frame =
        (wb_frame){.recv_ns = record->frame.recv_ns, .line = (uint8_t)(source->closing - 1), .kind = WB_FRAME_DISCONNECT};
  return true;
}

static bool due(wb_source_replay *source) {
  if (source->paced) return !source->began || source->utc_ns <= source->until_utc_ns;
  if (source->config.speed <= 0 || !source->began || source->utc_ns == WB_TIME_NONE) return true;
  uint64_t now_ns = source->config.host->now_ns(source->config.host->self);
  if (source->first_utc_ns == WB_TIME_NONE) {
    source->first_utc_ns = source->utc_ns;
    source->first_ns = now_ns;
  }
  return (double)(now_ns - source->first_ns) * source->config.speed >= (double)(source->utc_ns - source->first_utc_ns);
}

static void end(wb_source_replay *source) {
  wb_store_release(&source->taken, source->number);
  __atomic_store_n(&source->ended, 1, __ATOMIC_RELEASE);
}

static void remember(wb_source_replay *source, bool own) {
  if (!source->origin) return;
  source->origin[source->number & source->config.frames->frame_mask] =
      (wb_replay_origin){.utc_ns = source->utc_ns,
                         .number = source->log ? source->record.frame.number : source->line,
                         .segment = source->log ? source->record.segment : NULL,
                         .within = source->began,
                         .own = own};
}

/* Takes the record at hand, if there is room. */
static bool put(wb_source_replay *source) {
  wb_frames *frames = source->config.frames;
  wb_frame *frame = &source->frame;
  if (wb_frames_room(frames, frame->bytes) < frame->bytes || !wb_frames_slots(frames, 1)) return false;
  memcpy(wb_frames_head(frames), source->bytes, frame->bytes);
  frame->position = frames->head;
  remember(source, source->closing || source->told);
  frame->number = source->number++;
  wb_frames_advance(frames, frame->bytes);
  wb_frames_push(frames, frame);
  return true;
}

/* Says that the window begins, if there is room. */
static bool begin(wb_source_replay *source) {
  wb_frames *frames = source->config.frames;
  if (source->began || !wb_frames_slots(frames, 1)) return source->began;
  remember(source, true);
  wb_frames_push(frames, &(wb_frame){.position = frames->head,
                                     .recv_ns = source->frame.recv_ns,
                                     .number = source->number++,
                                     .kind = WB_FRAME_WINDOW});
  return source->began = true;
}

static int replay_work(void *self) {
  wb_source_replay *source = self;
  if (source->ended) return 0;
  wb_frames *frames = source->config.frames;
  uint64_t turn_end = source->paced ? frames->head + WB_REPLAY_TURN_BYTES : UINT64_MAX;
  int count = 0;
  while (count < WB_REPLAY_TURN_RECORDS && frames->head < turn_end) {
    if (__atomic_load_n(&source->stop_asked, __ATOMIC_ACQUIRE)) {
      end(source);
      break;
    }
    if (!source->pending && !source->over && !next(source, &source->within)) source->over = source->within = true;
    if (source->within && !begin(source)) break;
    if (source->over) {
      end(source);
      break;
    }
    source->pending = true;
    if (!due(source)) break;
    if (source->frame.bytes > frames->bytes - WB_READ_SLACK_BYTES) {
      if (!source->error.code)
        wb_error_set(&source->error, WB_E_TOO_LARGE, 0, "replay",
                     "a record of %u bytes does not fit the journal (--max-message)", source->frame.bytes);
      skipped(source);
      source->pending = false;
      continue;
    }
    if (!put(source)) break;
    source->pending = false;
    count++;
  }
  wb_frames_publish(frames);
  wb_store_release(&source->taken, source->number);
  return count;
}

unsigned wb_source_replay_lines(const wb_source_replay *source) { return source->lines; }

bool wb_source_replay_orders(const wb_source_replay *source) { return source->orders; }

bool wb_source_replay_recording(const wb_source_replay *source) { return !source->log; }

wb_agent wb_source_replay_agent(wb_source_replay *source) {
  return (wb_agent){.name = "replay", .self = source, .do_work = replay_work};
}

int64_t wb_source_replay_until(wb_source_replay *source, int64_t utc_ns) {
  source->paced = true;
  source->until_utc_ns = utc_ns;
  return source->pending && source->began ? source->utc_ns : WB_TIME_NONE;
}

void wb_source_replay_stop(wb_source_replay *source) { __atomic_store_n(&source->stop_asked, 1, __ATOMIC_RELEASE); }

bool wb_source_replay_ended(const wb_source_replay *source, wb_error *error) {
  if (!__atomic_load_n(&source->ended, __ATOMIC_ACQUIRE)) return false;
  if (error) *error = source->error;
  return true;
}

uint64_t wb_source_replay_taken(const wb_source_replay *source) { return wb_load_acquire(&source->taken); }

const wb_replay_origin *wb_source_replay_origin(const wb_source_replay *source, uint64_t number) {
  return &source->origin[number & source->config.frames->frame_mask];
}

wb_log_totals wb_source_replay_totals(const wb_source_replay *source) {
  return source->log ? wb_log_reader_totals(source->log) : (wb_log_totals){0};
}
