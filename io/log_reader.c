#include "io/log_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/crc32c.h"
#include "engine/base/limits.h"
#include "engine/store/gap.h"
#include "io/log_part.h"
#include "io/sink_zstd.h"

enum { DEPTH_MAX = 32, LINES = UINT8_MAX + 1, NONE = UINT32_MAX };

typedef struct file {
  wb_log_segment segment; /* first: what the caller sees */
  int64_t run_utc_ns;
  dev_t device;
  ino_t inode;
  uint8_t *base; /* mapped, or NULL */
  size_t mapped_bytes;
  wb_zstd_decoder *decoder; /* compressed, being read */
  uint32_t queued;          /* chunks */
  uint64_t taken;           /* of what the decoder has read, what is counted */
} file;

typedef struct chunk {
  wb_chunk head;
  const uint8_t *frame, *data;
  uint8_t *own; /* decoded, or NULL: it lies in the mapping */
  file *file;
  uint32_t at, next; /* frame to come; next chunk of the line, or of the free ones */
} chunk;

/* Chunks of one line in the order of the log, none of them used up. */
typedef struct queue {
  uint32_t first, last;
  bool known;     /* in `active` */
  wb_frame frame; /* to come */
} queue;

struct wb_log_reader {
  wb_log_reader_config config;
  file *file;
  size_t count, capacity, readable;
  size_t current, run_end; /* segment being read; first one of the next run */
  bool open, run_started, lead;
  wb_segment_cursor cursor;
  uint64_t own_bytes; /* decoded chunks in queues */
  uint64_t expected;
  bool gap;
  uint64_t gap_first, gap_last;
  wb_log_part *part;
  wb_log_way way;                  /* through the segment that is open; no steps: all of it is read */
  uint64_t stretch_end;            /* of the stretch that is being read */
  uint64_t passed_end;             /* of the run: lower numbers that are missing may have been passed over */
  uint64_t from_number, to_number; /* of the run: the window begins and ends there at the latest */
  bool within, over;
  uint64_t dropped_end; /* numbers from `expected` to below it are named by a gap record */
  chunk *chunk;
  uint32_t free;
  queue queue[LINES];
  uint8_t active[LINES];
  unsigned active_count;
  queue *given; /* its frame was given by the last call */
  wb_log_totals totals;
};

bool wb_log_is_segment(const uint8_t *bytes, size_t count) { return count >= 8 && !memcmp(bytes, "wirebook", 8); }

bool wb_log_is_segment_file(const char *path) {
  uint8_t head[8] = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat about;
  ssize_t found = fd < 0 || fstat(fd, &about) || !S_ISREG(about.st_mode) ? -1 : read(fd, head, sizeof head);
  if (fd >= 0) close(fd);
  if (found <= 0 || !wb_zstd_is(head, (size_t)found)) return found > 0 && wb_log_is_segment(head, (size_t)found);
  wb_zstd_decoder *decoder = wb_zstd_decoder_open(path, NULL);
  if (!decoder) return false;
  size_t count = wb_zstd_decoder_read(decoder, head, sizeof head);
  wb_zstd_decoder_close(decoder);
  return wb_log_is_segment(head, count);
}

static bool ends_with(const char *text, const char *end) {
  size_t bytes = strlen(text), end_bytes = strlen(end);
  return bytes > end_bytes && !strcmp(text + bytes - end_bytes, end);
}

static void note(wb_log_reader *reader, const wb_log_note *what) {
  if (reader->config.note) reader->config.note(reader->config.self, what);
}

/* Damage from offset on, up to end if that is known. */
static void damaged(wb_log_reader *reader, file *f, int code, uint64_t offset, uint64_t end) {
  uint64_t bytes = end ? end : f->segment.compressed ? wb_zstd_content_bytes(f->segment.path) : f->segment.file_bytes;
  f->segment.code = code;
  reader->totals.damages++;
  note(reader, &(wb_log_note){.kind = WB_LOG_NOTE_DAMAGE,
                              .segment = &f->segment,
                              .run = f->segment.run,
                              .code = code,
                              .offset = offset,
                              .bytes = bytes > offset ? bytes - offset : 0});
}

/* ------------------------------------------------------------------------------------------------ finding the files */

/* Whether a writer holds the segment. */
static bool is_growing(int fd) {
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
  return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK;
}

/* Reads a file's header, or as much of it as there is. Returns an errno. */
static int read_head(const char *path, uint8_t *header, size_t *found, bool *compressed, bool *growing, uint64_t *read_bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : pread(fd, header, WB_SEGMENT_HEADER_BYTES, 0);
  int os_errno = errno;
  *growing = fd >= 0 && is_growing(fd);
  if (fd >= 0) close(fd);
  if (got < 0) return os_errno;
  *found = (size_t)got;
  *read_bytes += *found;
  *compressed = wb_zstd_is(header, *found);
  if (!*compressed) return 0;
  wb_error error;
  wb_zstd_decoder *decoder = wb_zstd_decoder_open(path, &error);
  if (!decoder) return error.os_errno;
  *found = wb_zstd_decoder_read(decoder, header, WB_SEGMENT_HEADER_BYTES);
  *read_bytes += wb_zstd_decoder_taken(decoder);
  wb_zstd_decoder_close(decoder);
  return 0;
}

static int add_file(wb_log_reader *reader, const char *path, unsigned path_index, const struct stat *about, wb_error *error) {
  for (size_t i = 0; i < reader->count; i++)
    if (reader->file[i].device == about->st_dev && reader->file[i].inode == about->st_ino) return 0;
  if (reader->count == reader->capacity) {
    size_t capacity = reader->capacity ? 2 * reader->capacity : 64;
    file *more = realloc(reader->file, capacity * sizeof *more);
    if (!more) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "open", "no memory for %zu segments", capacity);
    reader->file = more;
    reader->capacity = capacity;
  }
  file *f = &reader->file[reader->count];
  *f = (file){.device = about->st_dev, .inode = about->st_ino};
  f->segment.path_index = path_index;
  f->segment.file_bytes = (uint64_t)about->st_size;
  if (!(f->segment.path = strdup(path))) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "open", "no memory");
  reader->count++;

  uint8_t header[WB_SEGMENT_HEADER_BYTES];
  wb_segment_info info;
  size_t found = 0;
  int os_errno = read_head(path, header, &found, &f->segment.compressed, &f->segment.growing, &reader->totals.read_bytes);
  if (os_errno) {
    reader->count--;
    free(f->segment.path);
    return wb_error_set(error, WB_E_SYSTEM, os_errno, "open", "cannot read %s: %s", path, strerror(os_errno));
  }
  int result = wb_segment_header_read(header, found, &info);
  f->segment.code = result;
  if (result) return 0;
  f->segment.readable = true;
  f->segment.header_crc = wb_crc32c(0, header, sizeof header);
  memcpy(f->segment.node, info.node, sizeof info.node);
  f->segment.segment = info.segment;
  f->segment.first_number = info.first_number;
  f->segment.created_utc_ns = info.created_utc_ns;
  f->segment.good_bytes = WB_SEGMENT_HEADER_BYTES;
  if (!(f->segment.text = strdup(info.text))) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "open", "no memory");
  return 0;
}

static int add_path(wb_log_reader *reader, const char *path, unsigned path_index, unsigned depth, wb_error *error);

/* A segment that was there when the folder was listed: has it been compressed meanwhile? path has room for the suffix. */
static int add_replaced(wb_log_reader *reader, char *path, unsigned path_index, unsigned depth, wb_error *error) {
  strcat(path, ".zst");
  int result = add_path(reader, path, path_index, depth + 1, error);
  return result && access(path, F_OK) ? 0 : result;
}

static int add_path(wb_log_reader *reader, const char *path, unsigned path_index, unsigned depth, wb_error *error) {
  struct stat about;
  if (stat(path, &about)) return wb_error_set(error, WB_E_SYSTEM, errno, "open", "%s: %s", path, strerror(errno));
  if (S_ISREG(about.st_mode)) return add_file(reader, path, path_index, &about, error);
  if (!S_ISDIR(about.st_mode)) return wb_error_set(error, WB_E_CONFIG, 0, "open", "%s is no file and no folder", path);
  if (depth == DEPTH_MAX) return wb_error_set(error, WB_E_LIMIT, 0, "open", "%s: folders deeper than %d", path, DEPTH_MAX);
  DIR *folder = opendir(path);
  if (!folder) return wb_error_set(error, WB_E_SYSTEM, errno, "open", "%s: %s", path, strerror(errno));
  int result = 0;
  struct dirent *entry;
  while (!result && (entry = readdir(folder))) {
    const char *name = entry->d_name;
    if (*name == '.') continue;
    size_t bytes = strlen(path) + strlen(name) + sizeof ".zst" + 1;
    char *child = malloc(bytes);
    if (!child) {
      result = wb_error_set(error, WB_E_MEMORY, ENOMEM, "open", "no memory");
      break;
    }
    snprintf(child, bytes, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", name);
    bool plain = ends_with(name, ".wbseg"), wanted = plain || ends_with(name, ".wbseg.zst");
    if (stat(child, &about)) {
      if (errno == ENOENT && plain) result = add_replaced(reader, child, path_index, depth, error);
      else if (errno != ENOENT) result = wb_error_set(error, WB_E_SYSTEM, errno, "open", "%s: %s", child, strerror(errno));
    } else if (S_ISDIR(about.st_mode) || (S_ISREG(about.st_mode) && wanted)) {
      result = add_path(reader, child, path_index, depth + 1, error);
      if (result && access(child, F_OK)) /* removed meanwhile */
        result = plain ? add_replaced(reader, child, path_index, depth, error) : 0;
    }
    free(child);
  }
  closedir(folder);
  return result;
}

#define COMPARE(x, y)                                                                                                          \
  if ((x) != (y)) return (x) < (y) ? -1 : 1

static int by_node(const void *one, const void *other) {
  const wb_log_segment *a = one, *b = other;
  COMPARE(b->readable, a->readable);
  int nodes = memcmp(a->node, b->node, sizeof a->node);
  if (nodes) return nodes;
  COMPARE(a->segment, b->segment);
  COMPARE(a->created_utc_ns, b->created_utc_ns);
  return strcmp(a->path, b->path);
}

static int by_run(const void *one, const void *other) {
  const file *a = one, *b = other;
  COMPARE(b->segment.readable, a->segment.readable);
  COMPARE(a->run_utc_ns, b->run_utc_ns);
  return by_node(one, other);
}

static int by_path(const void *one, const void *other) {
  return strcmp(((const wb_log_segment *)one)->path, ((const wb_log_segment *)other)->path);
}

/* Of a segment in both forms the plain one stays: it is whole as long as it is there. */
static void drop_twins(wb_log_reader *reader) {
  size_t kept = 0, count = reader->count;
  file *f = reader->file;
  qsort(f, count, sizeof *f, by_path);
  char *twin = calloc(1, count);
  if (!twin) return; /* their frames are then counted as duplicates */
  for (size_t i = 0; i < count; i++) {
    char *path = f[i].segment.path;
    if (!ends_with(path, ".wbseg.zst")) continue;
    path[strlen(path) - 4] = 0;
    const file *plain = bsearch(&f[i], f, i, sizeof *f, by_path); /* a path is sorted in front of what it begins */
    path[strlen(path)] = '.';
    twin[i] = plain && plain->segment.readable;
  }
  for (size_t i = 0; i < count; i++) {
    if (twin[i]) {
      free(f[i].segment.path);
      free(f[i].segment.text);
    } else {
      f[kept++] = f[i];
    }
  }
  reader->count = kept;
  free(twin);
}

static void sort_files(wb_log_reader *reader) {
  if (!reader->count) return;
  drop_twins(reader);
  file *f = reader->file;
  qsort(f, reader->count, sizeof *f, by_node);
  while (reader->readable < reader->count && f[reader->readable].segment.readable) reader->readable++;
  for (size_t i = 0, begin = 0; i < reader->readable; i++) {
    if (memcmp(f[begin].segment.node, f[i].segment.node, sizeof f->segment.node)) begin = i;
    f[i].run_utc_ns = f[begin].segment.created_utc_ns;
  }
  qsort(f, reader->count, sizeof *f, by_run);
  for (size_t i = 1; i < reader->readable; i++)
    f[i].segment.run = f[i - 1].segment.run + (memcmp(f[i - 1].segment.node, f[i].segment.node, sizeof f->segment.node) != 0);
}

static void on_index(wb_log_reader *reader, const wb_log_segment *segment, const wb_error *why) {
  note(reader, &(wb_log_note){
                   .kind = WB_LOG_NOTE_INDEX, .segment = segment, .run = segment->run, .code = why->code, .text = why->detail});
}

wb_log_reader *wb_log_reader_open(const wb_log_reader_config *config, wb_error *error) {
  wb_log_reader *reader = calloc(1, sizeof *reader);
  uint32_t window = config->window_chunks ? config->window_chunks : WB_LOG_WINDOW_CHUNKS_DEFAULT;
  if (reader) reader->chunk = malloc((size_t)window * sizeof *reader->chunk);
  if (!reader || !reader->chunk) {
    free(reader);
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "open", "no memory for a window of %u chunks", window);
    return NULL;
  }
  reader->config = *config;
  reader->from_number = reader->to_number = UINT64_MAX;
  if (!reader->config.window_bytes) reader->config.window_bytes = WB_LOG_WINDOW_BYTES_DEFAULT;
  for (uint32_t i = 0; i < window; i++) reader->chunk[i].next = i + 1 < window ? i + 1 : NONE;
  for (unsigned i = 0; i < LINES; i++) reader->queue[i].first = NONE;
  for (size_t i = 0; i < config->path_count; i++)
    if (add_path(reader, config->path[i], (unsigned)i, 0, error)) {
      wb_log_reader_close(reader);
      return NULL;
    }
  sort_files(reader);
  for (size_t i = 0; i < reader->count; i++) reader->totals.of_bytes += reader->file[i].segment.file_bytes;
  if (config->part && !(reader->part = wb_log_part_open(config->part, reader, on_index))) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "open", "no memory for the indexes of %zu segments", reader->count);
    wb_log_reader_close(reader);
    return NULL;
  }
  for (size_t i = reader->readable; i < reader->count; i++)
    damaged(reader, &reader->file[i], reader->file[i].segment.code, 0, 0);
  return reader;
}

/* ------------------------------------------------------------------------------------------------ segments and chunks */

static void unmap(file *f) {
  if (f->base) munmap(f->base, f->mapped_bytes);
  f->base = NULL;
  wb_zstd_decoder_close(f->decoder);
  f->decoder = NULL;
}

void wb_log_reader_close(wb_log_reader *reader) {
  if (!reader) return;
  for (unsigned i = 0; i < reader->active_count; i++)
    for (uint32_t at = reader->queue[reader->active[i]].first; at != NONE; at = reader->chunk[at].next)
      free(reader->chunk[at].own);
  for (size_t i = 0; i < reader->count; i++) {
    unmap(&reader->file[i]);
    free(reader->file[i].segment.path);
    free(reader->file[i].segment.text);
  }
  wb_log_way_close(&reader->way);
  wb_log_part_close(reader->part);
  free(reader->file);
  free(reader->chunk);
  free(reader);
}

/* Maps a file with a page of zeros behind it, for the slack. A plain file that is gone has perhaps been compressed meanwhile. */
static int map(file *f, bool part) {
  int fd = f->segment.compressed ? -1 : open(f->segment.path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && !f->segment.compressed && errno == ENOENT && ends_with(f->segment.path, ".wbseg")) {
    size_t bytes = strlen(f->segment.path);
    char *path = realloc(f->segment.path, bytes + sizeof ".zst");
    if (!path) return -ENOMEM;
    f->segment.path = path;
    strcpy(path + bytes, ".zst");
    f->segment.compressed = true;
    f->segment.growing = false;
  }
  if (f->segment.compressed) {
    struct stat about;
    wb_error error;
    f->decoder = wb_zstd_decoder_open(f->segment.path, &error);
    if (f->decoder && !stat(f->segment.path, &about)) f->segment.file_bytes = (uint64_t)about.st_size;
    return f->decoder ? 0 : -error.os_errno;
  }
  if (fd < 0) return -errno;
  f->segment.growing = is_growing(fd); /* before its size: see the writer's end */
  struct stat about;
  int result = fstat(fd, &about) ? -errno : 0;
  if (!result) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size_t)about.st_size;
    f->segment.file_bytes = bytes;
    f->mapped_bytes = (bytes + page - 1) / page * page + page;
    f->base = mmap(NULL, f->mapped_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (f->base == MAP_FAILED) {
      f->base = NULL;
      result = -errno;
    } else if (bytes && mmap(f->base, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
      result = -errno;
      unmap(f);
    } else if (bytes) {
      madvise(f->base, bytes, part ? MADV_RANDOM : MADV_SEQUENTIAL);
    }
  }
  close(fd);
  return result;
}

static void load(queue *q, const chunk *c) { memcpy(&q->frame, c->frame + (size_t)c->at * sizeof q->frame, sizeof q->frame); }

static void enqueue(wb_log_reader *reader, file *f, const wb_chunk *head, const uint8_t *frame, const uint8_t *data,
                    uint8_t *own) {
  uint32_t index = reader->free;
  chunk *c = &reader->chunk[index];
  reader->free = c->next;
  *c = (chunk){.head = *head, .frame = frame, .data = data, .own = own, .file = f, .next = NONE};
  f->queued++;
  if (own) reader->own_bytes += head->chunk_bytes;
  queue *q = &reader->queue[head->line];
  if (!q->known) {
    q->known = true;
    reader->active[reader->active_count++] = (uint8_t)head->line;
  }
  if (q->first == NONE) {
    q->first = index;
    load(q, c);
  } else {
    reader->chunk[q->last].next = index;
  }
  q->last = index;
}

/* Takes the frame to come off its queue. */
static void dequeue(wb_log_reader *reader, queue *q) {
  uint32_t index = q->first;
  chunk *c = &reader->chunk[index];
  if (++c->at == c->head.frame_count) {
    q->first = c->next;
    c->next = reader->free;
    reader->free = index;
    if (c->own) reader->own_bytes -= c->head.chunk_bytes;
    free(c->own);
    if (!--c->file->queued && c->file->segment.done) unmap(c->file);
    if (q->first == NONE) return;
    c = &reader->chunk[q->first];
  }
  load(q, c);
}

/* As wb_segment_next, of a compressed segment: the chunk is in memory of its own. The cursor only counts. */
static int decode(wb_log_reader *reader, file *f, wb_chunk *head, const uint8_t **frame, const uint8_t **data, uint8_t **own) {
  uint8_t header[WB_CHUNK_HEADER_BYTES];
  size_t count = wb_zstd_decoder_read(f->decoder, header, sizeof header);
  int result = wb_zstd_decoder_code(f->decoder);
  if (!count) return result;
  if (wb_chunk_header_read(header, count, head)) return result ? result : WB_E_DAMAGED;
  uint8_t *bytes = malloc((size_t)head->chunk_bytes + WB_READ_SLACK_BYTES);
  if (!bytes) return WB_E_MEMORY;
  memcpy(bytes, header, sizeof header);
  count += wb_zstd_decoder_read(f->decoder, bytes + sizeof header, head->chunk_bytes - sizeof header);
  memset(bytes + count, 0, (size_t)head->chunk_bytes + WB_READ_SLACK_BYTES - count);
  wb_segment_cursor cursor = {
      .bytes = bytes, .count = count, .chunk_number = reader->cursor.chunk_number, .mark = reader->cursor.mark};
  result = count == head->chunk_bytes ? wb_segment_next(&cursor, true, head, frame, data) : wb_zstd_decoder_code(f->decoder);
  if (result == 1) {
    reader->cursor.offset += count;
    reader->cursor.chunk_number++;
    *own = bytes;
    return 1;
  }
  free(bytes);
  return result ? result : WB_E_DAMAGED;
}

/* Goes to a chunk of the open segment. 0 or negative. */
static int move(wb_log_reader *reader, file *f, uint64_t offset, uint32_t chunk_number) {
  uint64_t at = reader->cursor.offset;
  reader->cursor.chunk_number = chunk_number;
  if (at == offset) return 0;
  reader->cursor.offset = offset;
  if (!f->decoder) return 0;
  const wb_index *index = &reader->way.loaded.index;
  wb_index_block block = {0};
  for (uint32_t low = 0, high = index->head.block_count; low < high;) {
    uint32_t middle = (low + high) / 2;
    wb_index_block found = wb_index_block_at(index, middle);
    if (found.offset <= offset) block = found, low = middle + 1;
    else high = middle;
  }
  bool back = at > offset || wb_zstd_decoder_code(f->decoder);
  if (back || block.offset > at) {
    if (wb_zstd_decoder_seek(f->decoder, block.file_offset)) return WB_E_SYSTEM;
    at = block.offset;
  }
  uint8_t dropped[16384];
  while (at < offset) {
    size_t wanted = offset - at < sizeof dropped ? (size_t)(offset - at) : sizeof dropped;
    if (wb_zstd_decoder_read(f->decoder, dropped, wanted) < wanted) {
      int code = wb_zstd_decoder_code(f->decoder);
      return code ? code : WB_E_DAMAGED;
    }
    at += wanted;
  }
  return 0;
}

/* Where the stretch being read has ended, goes to the next one of the way, or behind the last. 1: there is one; 0: the segment has
 * ended; or negative. */
static int follow(wb_log_reader *reader, file *f) {
  if (reader->cursor.offset < reader->stretch_end) return 1;
  wb_log_way *way = &reader->way;
  const wb_index *index = &way->loaded.index;
  const wb_log_step *step = &way->step[way->next];
  if (step->passed_end > reader->passed_end) reader->passed_end = step->passed_end;
  if (way->next < way->step_count) {
    wb_index_stretch s = wb_index_stretch_at(index, step->stretch);
    way->next++;
    reader->stretch_end = s.offset + s.bytes;
    if (f->base) madvise(f->base + s.offset / 4096 * 4096, s.bytes + s.offset % 4096, MADV_WILLNEED);
    int result = move(reader, f, s.offset, s.chunk);
    return result ? result : 1;
  }
  if (index->head.flags & WB_INDEX_WHOLE) return 0;
  uint32_t last = index->head.stretch_count - 1;
  uint32_t chunks =
      index->head.stretch_count ? wb_index_stretch_at(index, last).chunk + wb_index_stretch_at(index, last).chunk_count : 0;
  reader->stretch_end = UINT64_MAX;
  int result = move(reader, f, index->head.indexed_bytes, chunks);
  return result ? result : 1;
}

/* The way through the open segment that the part needs; for all of it, where there is no part. */
static void start_way(wb_log_reader *reader, file *f) {
  if (wb_log_part_way(reader->part, &f->segment, &reader->way)) return;
  reader->totals.read_bytes += reader->way.loaded.file_bytes;
  reader->stretch_end = WB_SEGMENT_HEADER_BYTES;
  if (reader->way.from_number < reader->from_number) reader->from_number = reader->way.from_number;
  if (reader->way.to_number < reader->to_number) reader->to_number = reader->way.to_number;
}

/* Names the damage at the cursor and goes on behind it, if an index says where: whether it does. */
static bool pass_damage(wb_log_reader *reader, file *f, int code) {
  wb_log_way *way = &reader->way;
  uint64_t offset = reader->cursor.offset, least = offset + 1;
  if (f->segment.growing) return false;
  if (!way->step) {
    start_way(reader, f);
    reader->stretch_end = UINT64_MAX;
  }
  const wb_index *index = &way->loaded.index;
  if (!way->step || offset >= index->head.indexed_bytes) return false;
  if (f->decoder) { /* of a block that is damaged nothing more can be decoded */
    least = UINT64_MAX;
    for (uint32_t i = index->head.block_count; i-- > 0 && wb_index_block_at(index, i).offset > offset;)
      least = wb_index_block_at(index, i).offset;
  }
  while (way->next < way->step_count && wb_index_stretch_at(index, way->step[way->next].stretch).offset < least) way->next++;
  uint64_t end =
      way->next < way->step_count ? wb_index_stretch_at(index, way->step[way->next].stretch).offset : index->head.indexed_bytes;
  damaged(reader, f, code, offset, end);
  reader->stretch_end = offset;
  return true;
}

typedef enum { FETCHED, WINDOW_FULL, BARRIER, RUN_END } fetched;

static fetched segment_end(wb_log_reader *reader, file *f) {
  f->segment.done = true;
  if (!f->queued) unmap(f);
  wb_log_way_close(&reader->way);
  reader->open = false;
  reader->current++;
  return FETCHED;
}

/* Reads ahead: one chunk, or past the end of a segment. */
static fetched fetch(wb_log_reader *reader) {
  if (reader->current == reader->run_end) return RUN_END;
  file *f = &reader->file[reader->current];
  if (!reader->open) {
    uint64_t passed_end;
    if (reader->part && wb_log_part_passes(reader->part, reader->current, &passed_end)) {
      if (passed_end > reader->passed_end) reader->passed_end = passed_end;
      return segment_end(reader, f);
    }
    if (f->segment.first_number > reader->expected) return BARRIER;
    wb_segment_info info;
    int result = map(f, reader->part) ? WB_E_SYSTEM : 0;
    if (!result && f->decoder) {
      uint8_t header[WB_SEGMENT_HEADER_BYTES];
      size_t count = wb_zstd_decoder_read(f->decoder, header, sizeof header);
      result = wb_segment_open(&reader->cursor, header, count, &info);
    } else if (!result) {
      result = wb_segment_open(&reader->cursor, f->base, f->segment.file_bytes, &info);
    }
    if (result) {
      damaged(reader, f, result, 0, 0);
      return segment_end(reader, f);
    }
    reader->open = true;
    if (reader->part) start_way(reader, f);
  }
  if (reader->free == NONE || reader->own_bytes >= reader->config.window_bytes) return WINDOW_FULL;
  wb_chunk head;
  const uint8_t *frame, *data;
  uint8_t *own = NULL;
  bool verify = reader->config.verify || f->segment.growing || reader->current + 1 == reader->run_end;
  int result = reader->way.step ? follow(reader, f) : 1;
  if (result == 1)
    result = f->decoder ? decode(reader, f, &head, &frame, &data, &own)
                        : wb_segment_next(&reader->cursor, verify, &head, &frame, &data);
  if (f->decoder) {
    reader->totals.read_bytes += wb_zstd_decoder_taken(f->decoder) - f->taken;
    f->taken = wb_zstd_decoder_taken(f->decoder);
  }
  if (result == 1) {
    f->segment.chunks++;
    f->segment.frames += head.frame_count;
    f->segment.good_bytes += head.chunk_bytes;
    if (!f->decoder) reader->totals.read_bytes += head.chunk_bytes;
    if (head.frame_count) enqueue(reader, f, &head, frame, data, own);
    else free(own);
    return FETCHED;
  }
  if (result < 0 && pass_damage(reader, f, result)) return FETCHED;
  if (result < 0 && !f->segment.growing) damaged(reader, f, result, reader->cursor.offset, 0);
  return segment_end(reader, f);
}

/* ------------------------------------------------------------------------------------------------ order */

static void flush_gap(wb_log_reader *reader, const wb_log_segment *next) {
  if (!reader->gap) return;
  reader->gap = false;
  reader->totals.gaps++;
  reader->totals.numbers_missing += reader->gap_last - reader->gap_first + 1;
  unsigned run = next ? next->run : reader->file[reader->current - 1].segment.run;
  note(reader, &(wb_log_note){
                   .kind = WB_LOG_NOTE_GAP, .segment = next, .run = run, .first = reader->gap_first, .last = reader->gap_last});
}

static void skip_to(wb_log_reader *reader, uint64_t number) {
  uint64_t first = reader->expected > reader->passed_end ? reader->expected : reader->passed_end;
  if (first < reader->dropped_end) {
    uint64_t end = reader->dropped_end < number ? reader->dropped_end : number;
    if (first < end) reader->totals.numbers_dropped += end - first, first = end;
  }
  const wb_log_way *way = &reader->way;
  bool passed = way->step && way->step[way->next].passed_lowest < number; /* perhaps over all of them, further on */
  if (!reader->lead && !passed && first < number) {
    if (!reader->gap) reader->gap_first = first;
    reader->gap_last = number - 1;
    reader->gap = true;
  }
  reader->expected = number;
}

/* No frame that is still to be read has a lower number, as far as indexes and headers tell. */
static uint64_t lowest_to_come(const wb_log_reader *reader) {
  if (reader->current == reader->run_end) return UINT64_MAX;
  if (!reader->open) return reader->file[reader->current].segment.first_number;
  const wb_log_way *way = &reader->way;
  bool ended = way->step && reader->cursor.offset >= reader->stretch_end;
  if (!way->step || (way->next == way->step_count && !(way->loaded.index.head.flags & WB_INDEX_WHOLE))) return 0;
  uint64_t lowest = way->step[way->next && !ended ? way->next - 1 : way->next].lowest_number;
  uint64_t behind = reader->current + 1 < reader->run_end ? reader->file[reader->current + 1].segment.first_number : UINT64_MAX;
  return lowest < behind ? lowest : behind;
}

static bool start_run(wb_log_reader *reader) {
  flush_gap(reader, NULL);
  if (reader->current == reader->readable) return false;
  const wb_log_segment *first = &reader->file[reader->current].segment;
  while (reader->run_end < reader->readable && reader->file[reader->run_end].segment.run == first->run) reader->run_end++;
  reader->expected = first->first_number;
  reader->passed_end = 0;
  reader->from_number = reader->to_number = UINT64_MAX;
  reader->dropped_end = 0;
  reader->lead = first->segment != 0; /* what came before is not here: not a gap */
  return true;
}

int wb_log_reader_next(wb_log_reader *reader, wb_log_record *record) {
  if (reader->given) dequeue(reader, reader->given);
  reader->given = NULL;
  if (reader->over) return 0;
  queue *q;
  for (;;) {
    q = NULL;
    for (unsigned i = 0; i < reader->active_count; i++) {
      queue *one = &reader->queue[reader->active[i]];
      if (one->first != NONE && (!q || one->frame.number < q->frame.number)) q = one;
    }
    if (q && q->frame.number == reader->dropped_end && reader->expected < reader->dropped_end)
      skip_to(reader, reader->dropped_end);
    if (q && q->frame.number == reader->expected) break;
    if (q && q->frame.number < reader->expected) {
      reader->totals.duplicates++;
      dequeue(reader, q);
      continue;
    }
    if (q && reader->part && q->frame.number < lowest_to_come(reader)) {
      skip_to(reader, q->frame.number);
      break;
    }
    if (!q && reader->part && lowest_to_come(reader) >= reader->to_number && reader->to_number != UINT64_MAX) {
      reader->over = true;
      return 0;
    }
    switch (fetch(reader)) {
    case FETCHED: break;
    case BARRIER: {
      uint64_t barrier = reader->file[reader->current].segment.first_number;
      skip_to(reader, q && q->frame.number < barrier ? q->frame.number : barrier);
      break;
    }
    case WINDOW_FULL: skip_to(reader, q->frame.number); break;
    case RUN_END:
      if (q) skip_to(reader, q->frame.number);
      else if (reader->expected < reader->dropped_end) skip_to(reader, reader->dropped_end);
      else if (!start_run(reader)) return 0;
      break;
    }
  }
  const chunk *c = &reader->chunk[q->first];
  int64_t utc_ns = (int64_t)(q->frame.recv_ns + (uint64_t)c->head.utc_offset_ns);
  if (reader->part && reader->config.part->products) {
    reader->within |= utc_ns >= reader->config.part->from_utc_ns || q->frame.number >= reader->from_number;
    reader->over = utc_ns >= reader->config.part->to_utc_ns || q->frame.number >= reader->to_number;
    if (reader->over) return 0;
  }
  flush_gap(reader, &c->file->segment);
  reader->lead = false;
  reader->expected++;
  reader->given = q;
  reader->totals.frames++;
  const uint8_t *bytes = c->data + (q->frame.position - c->head.first_position);
  wb_gap gap;
  if (q->frame.kind == WB_FRAME_GAP && wb_gap_read(&q->frame, bytes, &gap) && gap.last < UINT64_MAX)
    reader->dropped_end = gap.last + 1;
  *record = (wb_log_record){.frame = q->frame,
                            .bytes = bytes,
                            .utc_ns = utc_ns,
                            .within = reader->within,
                            .run = c->file->segment.run,
                            .segment = &c->file->segment};
  return 1;
}

const wb_log_segment *wb_log_reader_segment(const wb_log_reader *reader, size_t index) {
  return index < reader->count ? &reader->file[index].segment : NULL;
}

wb_log_totals wb_log_reader_totals(const wb_log_reader *reader) {
  wb_log_totals totals = reader->totals;
  if (reader->part) totals.read_bytes += wb_log_part_read_bytes(reader->part);
  return totals;
}
