/* Replay of a part: random logs of several products, lines, segments and runs, with snapshots anew, connections lost, refused
 * messages, missing numbers, a clock that is set, damage, indexes that are missing or wrong. For random windows a replay by indexes shows
 * what one without them shows, and both show what whole replays of the log up to the window's two ends say. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "io/log_index.h"
#include "io/node_run.h"
#include "io/sink_zstd.h"
#include "tests/unit/random.h"

enum { FRAMES_MAX = 6000, PRODUCTS = 5, WANTED_MAX = 3, SEGMENTS_MAX = 64, LINES = 3, DEPTH = 20 };
static const int64_t START_UTC_NS = INT64_C(1767272400000000000);

static uint64_t draw(uint64_t below) { return next() % below; }

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) { return remove(path); }
static char dir[64];
static void make_dir(void) {
  snprintf(dir, sizeof dir, "/tmp/wb_part_XXXXXX");
  cr_assert(mkdtemp(dir));
}
static void drop_dir(void) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* ------------------------------------------------------------------------------------------------ what happened */

typedef struct record {
  wb_frame frame;
  int64_t utc_offset_ns;
  unsigned run;
  bool missing;
  char *text;
} record;

static record records[FRAMES_MAX];
static unsigned record_count;
static bool quiet;

static const char *const ids[PRODUCTS] = {"BTC-USD", "ETH-USD", "LTC-USD", "DOGE-USD", "NEVER-USD"};

static char *changes(char *to, unsigned count, bool update) {
  for (unsigned i = 0; i < count; i++) {
    bool bid = draw(2);
    to += sprintf(to, "%s[%s\"%u.%02u\",\"%u\"]", i ? "," : "",
                  !update ? ""
                  : bid   ? "\"buy\","
                          : "\"sell\",",
                  (bid || !update ? 90u : 100u) + (unsigned)draw(12), (unsigned)draw(100), (unsigned)draw(4));
  }
  return to;
}

static char *text_of(uint8_t kind) {
  static char text[20000];
  char *to = text;
  const char *id = ids[draw(PRODUCTS - 1)];
  *to = 0;
  unsigned what = (unsigned)draw(quiet ? 80 : 100);
  if (kind == WB_FRAME_CONNECT) return strdup("{\"event\":\"connect\"}");
  if (kind == WB_FRAME_DISCONNECT) return strdup("{\"event\":\"disconnect\",\"reason\":\"test\"}");
  if (kind == WB_FRAME_GAP) return strdup("{\"event\":\"gap\"}");
  if (kind != WB_FRAME_TEXT) return strdup("beat");
  if (what < 3) {
    to += sprintf(to, "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"bids\":[", id);
    to = changes(to, 1 + (unsigned)draw(60), false);
    to += sprintf(to, "],\"asks\":[[\"%u\",\"1\"]]}", 101 + (unsigned)draw(9));
  } else if (what < 75) {
    to += sprintf(to, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[", id);
    to = changes(to, 1 + (unsigned)draw(4), true);
    to += sprintf(to, "],\"time\":\"2026-01-01T00:00:00.000000Z\"}");
  } else if (what < 80) {
    sprintf(to, "{\"type\":\"heartbeat\",\"product_id\":\"%s\",\"sequence\":1,\"last_trade_id\":1,\"time\":\"\"}", id);
  } else if (what < 83) {
    sprintf(to, "{\"type\":\"filler\",\"product_id\":\"%s\"}", id);
  } else if (what < 85) {
    sprintf(to, "{\"type\":\"l2update\",\"product_id\":\"UNKNOWN%u\",\"changes\":[]}", (unsigned)draw(3));
  } else if (what < 86) {
    sprintf(to, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[[\"buy\",\"1\",\"-1\"]]}", id);
  } else if (what < 87 && !draw(4)) {
    sprintf(to, "{\"type\":\"l2update\",\"product_id\":\"%s\",", id);
  } else if (what < 89) {
    sprintf(to, "{\"type\":\"l2update\",\"product_i\\u0064\":\"%s\",\"changes\":[[\"sell\",\"105\",\"%u\"]]}", id,
            (unsigned)draw(5));
  } else if (what < 91) {
    sprintf(to, "{\"type\":\"subscriptions\",\"channels\":[{\"name\":\"level2\",\"product_ids\":[\"%s\"]}]}", id);
  } else {
    sprintf(to, "{\"type\":\"error\",\"message\":\"%u\"}", what);
  }
  return strdup(text);
}

static void happen(void) {
  record_count = 200 + (unsigned)draw(FRAMES_MAX - 200);
  bool jumps = !draw(4);
  quiet = draw(2);
  uint64_t now_ns = 1000000 + draw(1000000), number = 0, position[LINES] = {0};
  int64_t offset_ns = START_UTC_NS;
  unsigned run = 0;
  for (unsigned i = 0; i < record_count; i++) {
    now_ns += draw(2000000);
    if (!draw(40)) offset_ns += (int64_t)draw(2000) - 1000;
    if (jumps && !draw(1500)) offset_ns += draw(2) ? INT64_C(-3600000000000) : INT64_C(86400000000000);
    if (!draw(2500)) run++, number = 0;
    unsigned dice = (unsigned)draw(quiet ? 2000 : 300);
    uint8_t kind = dice == 0   ? WB_FRAME_DISCONNECT
                   : dice == 1 ? WB_FRAME_CONNECT
                   : dice == 2 ? WB_FRAME_GAP
                   : dice == 3 ? WB_FRAME_PING
                               : WB_FRAME_TEXT;
    unsigned line = kind == WB_FRAME_TEXT ? (unsigned)draw(LINES - 1) : LINES - 1;
    record *r = &records[i];
    *r = (record){.utc_offset_ns = offset_ns, .run = run, .missing = !quiet && !draw(200), .text = text_of(kind)};
    r->frame = (wb_frame){.position = position[line],
                          .recv_ns = now_ns,
                          .number = number++,
                          .bytes = (uint32_t)strlen(r->text),
                          .connection = 1,
                          .line = (uint8_t)line,
                          .kind = kind};
    position[line] += r->frame.bytes;
  }
}

static void forget(void) {
  for (unsigned i = 0; i < record_count; i++) free(records[i].text);
}

static int64_t utc_of(const record *r) { return (int64_t)(r->frame.recv_ns + (uint64_t)r->utc_offset_ns); }

/* ------------------------------------------------------------------------------------------------ the log */

typedef struct segment_file {
  char path[160];
  unsigned begin, end; /* records */
  bool compressed, damaged;
} segment_file;

static segment_file files[SEGMENTS_MAX];
static unsigned file_count;
static uint8_t *image;
static size_t image_bytes;

static void put_chunk(const unsigned *index, unsigned count, uint32_t number) {
  const record *first = &records[index[0]];
  uint64_t end = records[index[count - 1]].frame.position + records[index[count - 1]].frame.bytes;
  wb_chunk chunk = {.frame_count = count,
                    .data_offset = (uint32_t)(WB_CHUNK_HEADER_BYTES + count * sizeof(wb_frame)),
                    .data_bytes = (uint32_t)(end - first->frame.position),
                    .first_position = first->frame.position,
                    .utc_offset_ns = first->utc_offset_ns,
                    .number = number,
                    .line = first->frame.line};
  chunk.chunk_bytes = (chunk.data_offset + chunk.data_bytes + 7) & ~7u;
  uint8_t *at = image + image_bytes;
  memset(at, 0, chunk.chunk_bytes);
  for (unsigned i = 0; i < count; i++) {
    const record *r = &records[index[i]];
    memcpy(at + WB_CHUNK_HEADER_BYTES + i * sizeof(wb_frame), &r->frame, sizeof r->frame);
    memcpy(at + chunk.data_offset + (r->frame.position - chunk.first_position), r->text, r->frame.bytes);
  }
  uint32_t crc = wb_crc32c(0, at + WB_CHUNK_HEADER_BYTES, count * sizeof(wb_frame));
  chunk.body_crc = wb_crc32c(crc, at + chunk.data_offset, chunk.data_bytes);
  wb_chunk_header_write(&chunk, at);
  image_bytes += chunk.chunk_bytes;
}

static void put_file(const char *path) {
  FILE *file = fopen(path, "wb");
  cr_assert(file);
  wb_zstd_encoder *encoder = strstr(path, ".zst") ? wb_zstd_encoder_open(1, NULL) : NULL;
  size_t piece = encoder ? WB_ZSTD_BLOCK_BYTES : image_bytes;
  for (size_t at = 0; at < image_bytes; at += piece) {
    size_t count = image_bytes - at < piece ? image_bytes - at : piece;
    const uint8_t *bytes = image + at;
    if (encoder) count = wb_zstd_encode(encoder, bytes, count, &bytes);
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
  }
  wb_zstd_encoder_close(encoder);
  fclose(file);
}

/* Writes records [begin, end) of one run as a segment: each line's records in chunks, those of different lines either way round. */
static void put_segment(const char *folder, unsigned number, unsigned begin, unsigned end, bool compressed) {
  segment_file *f = &files[file_count++];
  *f = (segment_file){.begin = begin, .end = end, .compressed = compressed};
  snprintf(f->path, sizeof f->path, "%s/%s/%04u.wbseg%s", dir, folder, number, compressed ? ".zst" : "");
  wb_segment_info info = {.segment = number,
                          .created_utc_ns = START_UTC_NS + records[begin].run * 1000,
                          .node = {(uint8_t)(1 + records[begin].run)},
                          .first_number = records[begin].frame.number,
                          .text = "{\"feed\":\"coinbase-exchange\"}"};
  wb_segment_header_write(&info, image);
  image_bytes = WB_SEGMENT_HEADER_BYTES;
  unsigned next_of[LINES] = {begin, begin, begin}, index[64];
  uint32_t chunk_number = 0;
  for (;;) {
    unsigned line = (unsigned)draw(LINES), count = 0, most = 1 + (unsigned)draw(60), at = next_of[line];
    for (; at < end && count < most; at++) {
      if (records[at].missing || records[at].frame.line != line) continue;
      if (count && records[at].utc_offset_ns != records[index[0]].utc_offset_ns) break;
      index[count++] = at;
    }
    next_of[line] = at;
    if (count) put_chunk(index, count, chunk_number++);
    if (next_of[0] >= end && next_of[1] >= end && next_of[2] >= end) break;
  }
  put_file(f->path);
}

static void put_log(const char *folder, unsigned end) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, folder);
  cr_assert_eq(mkdir(path, 0700), 0);
  file_count = 0;
  for (unsigned at = 0, number = 0; at < end; number++) {
    unsigned stop = at + 100 + (unsigned)draw(1500);
    if (stop > end) stop = end;
    for (unsigned i = at; i < stop; i++)
      if (records[i].run != records[at].run) stop = i;
    put_segment(folder, number, at, stop, draw(2));
    at = stop;
  }
}

/* ------------------------------------------------------------------------------------------------ replay */

typedef struct shown {
  wb_view_data view[WANTED_MAX];
  uint32_t count[2 * WANTED_MAX];
  wb_level level[2 * WANTED_MAX * DEPTH];
  uint64_t messages, bytes, changes, applied, rejected[WB_REJECT_COUNT], read_bytes, of_bytes;
  int code;
} shown;

static wb_products products;
static char products_memory[1024] __attribute__((aligned(64)));

static void choose(unsigned wanted) {
  wb_products_init(&products, products_memory, 4);
  while (products.count < wanted) {
    const char *id = ids[draw(8) ? draw(PRODUCTS - 1) : PRODUCTS - 1];
    wb_products_add(&products, id, strlen(id));
  }
}

static void replay(const char *folder, bool part, int64_t from, int64_t to, shown *got) {
  char path[128], *paths[] = {path, NULL};
  snprintf(path, sizeof path, "%s/%s", dir, folder);
  wb_log *log = wb_log_open("/dev/null", WB_LOG_ERROR, false, NULL);
  wb_node_config config = {.codec = wb_codec_find("coinbase-exchange"),
                           .products = &products,
                           .path = paths,
                           .message_bytes_max = 1 << 20,
                           .depth = DEPTH,
                           .log = log,
                           .part = part,
                           .from_utc_ns = from,
                           .to_utc_ns = to};
  wb_error error = {0};
  wb_node *node = wb_node_open(&config, &error);
  cr_assert(node, "%s", error.detail);
  while (!wb_node_ended(node, &error)) wb_node_poll(node);
  wb_node_finish(node, NULL);
  const wb_level *level;
  const uint32_t *count;
  const wb_view_data *view;
  wb_node_status status;
  cr_assert(wb_node_capture(node, &level, &count, &view));
  wb_node_status_get(node, &status);
  *got = (shown){.messages = status.messages,
                 .bytes = status.bytes,
                 .changes = status.changes,
                 .applied = status.applied,
                 .read_bytes = status.read_bytes,
                 .of_bytes = status.read_of_bytes,
                 .code = error.code};
  memcpy(got->rejected, status.rejected, sizeof got->rejected);
  memcpy(got->view, view, products.count * sizeof *view);
  memcpy(got->count, count, 2 * products.count * sizeof *count);
  memcpy(got->level, level, 2ul * products.count * DEPTH * sizeof *level);
  for (uint32_t i = 0; i < products.count; i++) got->view[i].state_since_ns = 0; /* says when the process began */
  wb_node_close(node);
  wb_log_close(log);
}

static void same_books(const shown *a, const shown *b, const char *what) {
  for (uint32_t i = 0; i < products.count; i++) {
    const wb_view_data *x = &a->view[i], *y = &b->view[i];
    const char *id = products.product[i].id;
    cr_assert_eq(x->state, y->state, "%s, %s: state %u and %u", what, id, x->state, y->state);
    bool untouched = x->reason + y->reason == WB_REASON_START; /* a view that nothing has touched says nothing */
    cr_assert(x->reason == y->reason || untouched, "%s, %s: reason %u and %u", what, id, x->reason, y->reason);
    cr_assert_eq(x->reject, y->reject, "%s, %s", what, id);
    if (x->state == WB_STATE_WAITING) continue;
    cr_assert_eq(x->bid_levels, y->bid_levels, "%s, %s", what, id);
    cr_assert_eq(x->ask_levels, y->ask_levels, "%s, %s", what, id);
    for (unsigned k = 2 * i; k < 2 * i + 2; k++) {
      cr_assert_eq(a->count[k], b->count[k], "%s, %s", what, id);
      cr_assert_eq(memcmp(a->level + k * DEPTH, b->level + k * DEPTH, a->count[k] * sizeof *a->level), 0, "%s, %s", what, id);
    }
  }
}

static void same_all(const shown *a, const shown *b, const char *what) {
  same_books(a, b, what);
  cr_assert_eq(a->messages, b->messages, "%s: %zu and %zu messages", what, (size_t)a->messages, (size_t)b->messages);
  cr_assert_eq(a->bytes, b->bytes, "%s", what);
  cr_assert_eq(a->changes, b->changes, "%s", what);
  cr_assert_eq(a->applied, b->applied, "%s", what);
  cr_assert_eq(memcmp(a->rejected, b->rejected, sizeof a->rejected), 0, "%s", what);
  for (uint32_t i = 0; i < products.count; i++) {
    const wb_view_data *x = &a->view[i], *y = &b->view[i];
    cr_assert_eq(x->snapshots, y->snapshots, "%s: %zu and %zu snapshots", what, (size_t)x->snapshots, (size_t)y->snapshots);
    cr_assert_eq(x->updates, y->updates, "%s", what);
    cr_assert_eq(x->changes, y->changes, "%s", what);
    cr_assert_eq(x->rejected, y->rejected, "%s", what);
    cr_assert_eq(x->unknown, y->unknown, "%s", what);
    cr_assert_eq(x->crossed, y->crossed, "%s", what);
    cr_assert_eq(x->max_spread, y->max_spread, "%s", what);
    cr_assert_eq(x->mid_held, y->mid_held, "%s", what);
    cr_assert_eq(x->mid2_sum_low, y->mid2_sum_low, "%s", what);
  }
}

static void index_all(void) {
  wb_error error = {0};
  for (unsigned i = 0; i < file_count; i++) cr_assert_eq(wb_log_index_make(files[i].path, &error), 0, "%s", error.detail);
}

static void index_path(const segment_file *f, char path[200]) { cr_assert_eq(wb_log_index_path(f->path, path, 200), 0); }

static void drop_indexes(void) {
  char path[200];
  for (unsigned i = 0; i < file_count; i++) {
    index_path(&files[i], path);
    unlink(path);
  }
}

/* Some indexes are gone, cut, flipped, or of another segment. */
static void spoil_indexes(void) {
  char path[200], other[200];
  for (unsigned i = 0; i < file_count; i++) {
    struct stat about;
    index_path(&files[i], path);
    switch (draw(8)) {
    case 0: unlink(path); break;
    case 1:
      cr_assert_eq(stat(path, &about), 0);
      cr_assert_eq(truncate(path, (off_t)draw((uint64_t)about.st_size)), 0);
      break;
    case 2: {
      cr_assert_eq(stat(path, &about), 0);
      int fd = open(path, O_RDWR);
      uint8_t byte;
      off_t at = (off_t)draw((uint64_t)about.st_size);
      cr_assert_eq(pread(fd, &byte, 1, at), 1);
      byte ^= (uint8_t)(1 + draw(255));
      cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
      close(fd);
      break;
    }
    case 3:
      index_path(&files[draw(file_count)], other);
      if (strcmp(path, other) && !access(other, F_OK)) {
        unlink(path);
        cr_assert_eq(link(other, path), 0);
      }
      break;
    default: break;
    }
  }
}

/* The first record, in the order of the log, that was received at a time or later. */
static unsigned first_at(int64_t utc_ns) {
  unsigned i = 0;
  while (i < record_count && (records[i].missing || utc_of(&records[i]) < utc_ns)) i++;
  return i;
}

static int64_t some_time(void) {
  int64_t utc_ns = utc_of(&records[draw(record_count)]);
  return draw(3) ? utc_ns : utc_ns + (int64_t)draw(2000000) - 1000000;
}

/* Often short. */
static void some_window(int64_t *from, int64_t *to) {
  *from = some_time();
  *to = draw(3) ? *from + (int64_t)draw(100000000) : some_time();
  if (*from > *to) *from ^= *to, *to ^= *from, *from ^= *to;
}

Test(replay_part, a_window_shows_what_whole_replays_up_to_its_ends_show, .timeout = 280) {
  seed();
  image = malloc(64 << 20);
  uint64_t read_bytes[2] = {0};
  for (unsigned round = 0; round < 12; round++) {
    make_dir();
    happen();
    put_log("log", record_count);
    segment_file kept[SEGMENTS_MAX];
    unsigned kept_count = file_count;
    memcpy(kept, files, sizeof kept);
    for (unsigned i = 0; i < 4; i++) {
      choose(1 + (unsigned)draw(WANTED_MAX));
      int64_t from, to;
      some_window(&from, &to);
      if (!draw(8)) from = INT64_MIN;
      if (!draw(8)) to = INT64_MAX;
      static shown whole, indexed, spoiled, before, until;
      replay("log", true, from, to, &whole);
      index_all();
      replay("log", true, from, to, &indexed);
      same_all(&whole, &indexed, "with and without indexes");
      read_bytes[0] += whole.read_bytes;
      read_bytes[1] += indexed.read_bytes;
      spoil_indexes();
      replay("log", true, from, to, &spoiled);
      same_all(&whole, &spoiled, "with some indexes spoiled");
      drop_indexes();
      unsigned begin = first_at(from), end = first_at(to);
      cr_assert_leq(begin, end);
      put_log("before", begin);
      put_log("until", end);
      memset(&before, 0, sizeof before);
      memset(&until, 0, sizeof until);
      if (begin) replay("before", false, 0, 0, &before);
      if (end) replay("until", false, 0, 0, &until);
      if (end) same_books(&whole, &until, "at the window's end");
      cr_assert_eq(whole.changes, until.changes - before.changes);
      for (uint32_t k = 0; k < products.count; k++) {
        cr_assert_eq(whole.view[k].snapshots, until.view[k].snapshots - before.view[k].snapshots);
        cr_assert_eq(whole.view[k].updates, until.view[k].updates - before.view[k].updates);
        cr_assert_eq(whole.view[k].changes, until.view[k].changes - before.view[k].changes);
        cr_assert_eq(whole.view[k].rejected, until.view[k].rejected - before.view[k].rejected);
        cr_assert_eq(whole.view[k].crossed, until.view[k].crossed - before.view[k].crossed);
      }
      char path[128];
      snprintf(path, sizeof path, "%s/before", dir);
      nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
      snprintf(path, sizeof path, "%s/until", dir);
      nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
      memcpy(files, kept, sizeof kept);
      file_count = kept_count;
    }
    forget();
    drop_dir();
  }
  cr_assert_lt(read_bytes[1], read_bytes[0], "%zu bytes of %zu", (size_t)read_bytes[1], (size_t)read_bytes[0]);
  free(image);
}

/* Of what it passes over, a reader of a part misses nothing: of a whole log it tells no gap, wherever it begins. */
static void on_note(void *self, const wb_log_note *what) {
  cr_assert_neq(what->kind, WB_LOG_NOTE_GAP, "records %zu to %zu are missing", (size_t)what->first, (size_t)what->last);
}

Test(replay_part, what_is_passed_over_is_not_missing, .timeout = 280) {
  seed();
  image = malloc(64 << 20);
  for (unsigned round = 0; round < 30; round++) {
    make_dir();
    happen();
    for (unsigned i = 0; i < record_count; i++) records[i].missing = false;
    put_log("log", record_count);
    index_all();
    char path[128];
    snprintf(path, sizeof path, "%s/log", dir);
    for (unsigned i = 0; i < 6; i++) {
      choose(1 + (unsigned)draw(WANTED_MAX));
      wb_log_window window = {.products = &products};
      some_window(&window.from_utc_ns, &window.to_utc_ns);
      wb_error error = {0};
      wb_log_reader *reader = wb_log_reader_open(
          &(wb_log_reader_config){.path = (const char *[]){path}, .path_count = 1, .part = &window, .note = on_note}, &error);
      cr_assert(reader, "%s", error.detail);
      wb_log_record one;
      while (wb_log_reader_next(reader, &one)) {
      }
      cr_assert_eq(wb_log_reader_totals(reader).numbers_missing, 0);
      wb_log_reader_close(reader);
    }
    forget();
    drop_dir();
  }
  free(image);
}

/* Flips a bit of some segment, as a disk may: its time of last change stays. The same again mends it. */
static void flip(const segment_file *f, off_t at) {
  struct stat about;
  int fd = open(f->path, O_RDWR);
  uint8_t byte;
  cr_assert(fd >= 0 && !fstat(fd, &about));
  cr_assert_eq(pread(fd, &byte, 1, at), 1);
  byte ^= 0x10;
  cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
  const struct timespec times[2] = {about.st_atim, about.st_mtim};
  cr_assert_eq(futimens(fd, times), 0);
  close(fd);
}

static off_t some_byte(const segment_file *f) {
  struct stat about;
  cr_assert_eq(stat(f->path, &about), 0);
  return WB_SEGMENT_HEADER_BYTES + (off_t)draw((uint64_t)about.st_size - WB_SEGMENT_HEADER_BYTES);
}

Test(replay_part, damage_that_a_window_does_not_need_changes_nothing_and_other_damage_is_told, .timeout = 280) {
  seed();
  image = malloc(64 << 20);
  unsigned unharmed = 0, told = 0;
  for (unsigned round = 0; round < 15 || (round < 300 && !(unharmed && told)); round++) {
    make_dir();
    happen();
    put_log("log", record_count);
    index_all();
    for (unsigned i = 0; i < 8; i++) {
      static shown right, all, got;
      const segment_file *f = &files[draw(file_count)];
      if (f->compressed) continue; /* so small a segment is damaged with its header */
      choose(1);
      int64_t from, to;
      some_window(&from, &to);
      replay("log", true, from, to, &right);
      off_t at = some_byte(f);
      flip(f, at);
      replay("log", true, INT64_MIN, to, &all);
      replay("log", true, from, to, &got);
      flip(f, at);
      told += got.code == WB_E_DAMAGED;
      if (got.code) continue;
      same_all(&right, &got, "beside damage");
      unharmed += all.code == WB_E_DAMAGED;
    }
    forget();
    drop_dir();
  }
  cr_assert(unharmed && told, "%u %u", unharmed, told);
  free(image);
}
