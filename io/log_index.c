#include "io/log_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/stages/indexer.h"
#include "io/sink_zstd.h"

enum { PATH_BYTES = 4096, HEAD_BYTES_FIRST = 4096 };
static const char what[] = "index";

struct wb_log_indexer {
  char path[PATH_BYTES];
  int fd;
  wb_zstd_decoder *decoder; /* NULL: the segment is plain */
  struct stat about;
  uint64_t at; /* bytes of the segment, decoded */
  bool whole;  /* nothing lies behind the chunks taken */
  uint32_t chunk_number, mark;
  uint8_t *chunk;
  size_t chunk_capacity;
  wb_index_block *block;
  uint32_t block_count, block_capacity;
  wb_indexer *indexer;
};

static bool ends_with(const char *text, size_t bytes, const char *end) {
  size_t end_bytes = strlen(end);
  return bytes > end_bytes && !memcmp(text + bytes - end_bytes, end, end_bytes);
}

int wb_log_index_path(const char *segment_path, char *path, size_t size) {
  size_t bytes = strlen(segment_path);
  if (ends_with(segment_path, bytes, ".zst")) bytes -= strlen(".zst");
  if (ends_with(segment_path, bytes, ".wbseg")) bytes -= strlen(".wbseg");
  return snprintf(path, size, "%.*s.wbidx", (int)bytes, segment_path) < (int)size ? 0 : WB_E_LIMIT;
}

static int system_error(wb_error *error, const char *path) {
  return wb_error_set(error, WB_E_SYSTEM, errno, what, "%s: %s", path, strerror(errno));
}

/* ------------------------------------------------------------------------------------------------ making */

static bool note_block(wb_log_indexer *x) {
  uint64_t file_offset;
  if (!wb_zstd_decoder_edge(x->decoder, &file_offset) || x->block_count == WB_INDEX_BLOCKS_MAX) return true;
  if (file_offset >= (uint64_t)x->about.st_size) return true;
  if (x->block_count == x->block_capacity) {
    uint32_t capacity = x->block_capacity ? 2 * x->block_capacity : 256;
    wb_index_block *more = realloc(x->block, capacity * sizeof *more);
    if (!more) return false;
    x->block = more;
    x->block_capacity = capacity;
  }
  x->block[x->block_count++] = (wb_index_block){file_offset, x->at};
  return true;
}

/* Reads up to count bytes; fewer at the end, or where nothing more can be read. Of compressed ones never across the end of a block. */
static size_t fill(wb_log_indexer *x, uint8_t *to, size_t count) {
  size_t got = 0;
  while (got < count) {
    size_t wanted = count - got, more;
    if (x->decoder) {
      size_t rest = WB_ZSTD_BLOCK_BYTES - x->at % WB_ZSTD_BLOCK_BYTES;
      more = wb_zstd_decoder_read(x->decoder, to + got, wanted < rest ? wanted : rest);
    } else {
      ssize_t result = pread(x->fd, to + got, wanted, (off_t)x->at);
      if (result < 0 && errno == EINTR) continue;
      more = result < 0 ? 0 : (size_t)result;
    }
    if (!more) break;
    got += more;
    x->at += more;
    if (x->decoder && x->at % WB_ZSTD_BLOCK_BYTES == 0 && !note_block(x)) break;
  }
  return got;
}

/* The codec of the feed that a segment's header names. */
static const wb_codec *codec_of(const uint8_t *header, wb_segment_info *info, wb_error *error) {
  int result = wb_segment_header_read(header, WB_SEGMENT_HEADER_BYTES, info);
  if (result) {
    wb_error_set(error, result, 0, what, "its header: %s", wb_error_text(result));
    return NULL;
  }
  static const char key[] = "\"feed\":\"";
  char name[64] = "";
  const char *at = strstr(info->text, key);
  if (at) snprintf(name, sizeof name, "%.*s", (int)strcspn(at + sizeof key - 1, "\""), at + sizeof key - 1);
  const wb_codec *codec = wb_codec_find(name);
  if (!codec) wb_error_set(error, WB_E_UNSUPPORTED, 0, what, "no codec for feed \"%s\"", name);
  return codec;
}

static int opened(wb_log_indexer *x, const char *segment_path, wb_error *error) {
  x->fd = open(segment_path, O_RDONLY | O_CLOEXEC);
  if (x->fd < 0) return system_error(error, segment_path);
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
  if (!fcntl(x->fd, F_OFD_GETLK, &lock) && lock.l_type == F_WRLCK)
    return wb_error_set(error, WB_E_STATE, 0, what, "%s is being written", segment_path);
  if (fstat(x->fd, &x->about)) return system_error(error, segment_path);
  uint8_t header[WB_SEGMENT_HEADER_BYTES];
  ssize_t got = pread(x->fd, header, sizeof header, 0);
  if (got < 0) return system_error(error, segment_path);
  if (wb_zstd_is(header, (size_t)got)) {
    if (!(x->decoder = wb_zstd_decoder_open(segment_path, error)) || !note_block(x)) return WB_E_MEMORY;
  } else {
    posix_fadvise(x->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  if (fill(x, header, sizeof header) < sizeof header)
    return wb_error_set(error, WB_E_DAMAGED, 0, what, "%s has no whole header", segment_path);
  wb_segment_info info;
  const wb_codec *codec = codec_of(header, &info, error);
  if (!codec) return error->code;
  x->mark = wb_segment_mark(&info);
  size_t bytes = wb_indexer_bytes(codec);
  void *memory = aligned_alloc(WB_CACHE_LINE_BYTES, bytes);
  if (!memory) return wb_error_set(error, WB_E_MEMORY, ENOMEM, what, "no memory");
  x->indexer = wb_indexer_init(memory, codec);
  return wb_indexer_begin(x->indexer, header);
}

wb_log_indexer *wb_log_indexer_open(const char *segment_path, wb_error *error) {
  wb_log_indexer *x = calloc(1, sizeof *x);
  if (!x) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, what, "no memory");
    return NULL;
  }
  x->fd = -1;
  wb_error own = {0};
  int result = wb_log_index_path(segment_path, x->path, sizeof x->path - sizeof ".tmp");
  if (result) wb_error_set(&own, result, 0, what, "the path of %s is too long", segment_path);
  if (!result) result = opened(x, segment_path, &own);
  if (!result) return x;
  if (error) *error = own;
  wb_log_indexer_close(x);
  return NULL;
}

void wb_log_indexer_close(wb_log_indexer *x) {
  if (!x) return;
  if (x->fd >= 0) close(x->fd);
  wb_zstd_decoder_close(x->decoder);
  free(x->indexer);
  free(x->block);
  free(x->chunk);
  free(x);
}

static bool reserve(wb_log_indexer *x, size_t bytes) {
  if (bytes <= x->chunk_capacity) return true;
  uint8_t *more = realloc(x->chunk, bytes);
  if (!more) return false;
  x->chunk = more;
  x->chunk_capacity = bytes;
  return true;
}

/* 1 a whole chunk was taken, 0 there is none, negative no memory. */
static int take_chunk(wb_log_indexer *x, wb_error *error) {
  uint8_t header[WB_CHUNK_HEADER_BYTES];
  wb_chunk chunk;
  size_t got = fill(x, header, sizeof header);
  x->whole = !got && (x->decoder ? !wb_zstd_decoder_code(x->decoder) : x->at == (uint64_t)x->about.st_size);
  if (got < sizeof header || wb_chunk_header_read(header, sizeof header, &chunk)) return 0;
  if (!x->decoder && chunk.chunk_bytes - sizeof header > (uint64_t)x->about.st_size - x->at) return 0;
  if (!reserve(x, (size_t)chunk.chunk_bytes + WB_READ_SLACK_BYTES))
    return wb_error_set(error, WB_E_MEMORY, ENOMEM, what, "no memory for a chunk of %u bytes", chunk.chunk_bytes);
  memcpy(x->chunk, header, sizeof header);
  if (fill(x, x->chunk + sizeof header, chunk.chunk_bytes - sizeof header) < chunk.chunk_bytes - sizeof header) return 0;
  memset(x->chunk + chunk.chunk_bytes, 0, WB_READ_SLACK_BYTES);
  wb_segment_cursor cursor = {.bytes = x->chunk, .count = chunk.chunk_bytes, .chunk_number = x->chunk_number, .mark = x->mark};
  const uint8_t *frame, *data;
  if (wb_segment_next(&cursor, true, &chunk, &frame, &data) != 1) return 0;
  x->chunk_number++;
  wb_indexer_chunk(x->indexer, &chunk, frame, data);
  return 1;
}

static bool write_all(int fd, const uint8_t *at, size_t left) {
  while (left) {
    ssize_t wrote = write(fd, at, left);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    at += wrote;
    left -= (size_t)wrote;
  }
  return true;
}

static int write_index(wb_log_indexer *x, wb_error *error) {
  size_t bytes = wb_indexer_index_bytes(x->indexer, x->block_count);
  if (!reserve(x, bytes)) return wb_error_set(error, WB_E_MEMORY, ENOMEM, what, "no memory for an index of %zu bytes", bytes);
  wb_indexer_write(x->indexer, (uint64_t)x->about.st_size, x->whole, x->block, x->block_count, x->chunk);
  char temporary[PATH_BYTES + 8];
  snprintf(temporary, sizeof temporary, "%s.tmp", x->path);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  const struct timespec times[2] = {x->about.st_atim, x->about.st_mtim};
  bool good =
      fd >= 0 && write_all(fd, x->chunk, bytes) && !futimens(fd, times) && !fchmod(fd, x->about.st_mode & 0777) && !fsync(fd);
  int os_errno = errno;
  if (fd >= 0) close(fd);
  if (good && rename(temporary, x->path)) good = false, os_errno = errno;
  if (good) return 0;
  if (fd >= 0) unlink(temporary);
  errno = os_errno;
  return system_error(error, x->path);
}

int wb_log_indexer_step(wb_log_indexer *x, wb_error *error) {
  int result = take_chunk(x, error);
  return result ? result : write_index(x, error);
}

int wb_log_index_make(const char *segment_path, wb_error *error) {
  wb_log_indexer *x = wb_log_indexer_open(segment_path, error);
  if (!x) return error ? error->code : WB_E_SYSTEM;
  int result;
  while ((result = wb_log_indexer_step(x, error)) > 0) {
  }
  wb_log_indexer_close(x);
  return result;
}

/* ------------------------------------------------------------------------------------------------ reading */

static bool read_at(int fd, uint8_t *to, size_t count) {
  size_t got = 0;
  while (got < count) {
    ssize_t more = pread(fd, to + got, count - got, (off_t)got);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) return false;
    got += (size_t)more;
  }
  return true;
}

static int load(int fd, uint64_t file_bytes, bool head_only, wb_log_index *index) {
  if (file_bytes > WB_INDEX_FILE_BYTES_MAX) return WB_E_LIMIT;
  size_t count = head_only && file_bytes > HEAD_BYTES_FIRST ? HEAD_BYTES_FIRST : (size_t)file_bytes;
  for (;;) {
    uint8_t *bytes = realloc(index->bytes, count + 1);
    if (!bytes) return WB_E_MEMORY;
    index->bytes = bytes;
    index->file_bytes = count;
    if (!read_at(fd, bytes, count)) return WB_E_SYSTEM;
    if (!head_only) return wb_index_read(bytes, count, &index->index);
    int result = wb_index_head_read(bytes, count, &index->index);
    if (!result && wb_index_size(&index->index) != file_bytes) return WB_E_DAMAGED;
    if (result != WB_E_LIMIT) return result;
    size_t needed = index->index.head.head_bytes;
    if (needed <= count || needed > file_bytes) return WB_E_DAMAGED;
    count = needed;
  }
}

static int believe(const wb_index_head *head, const wb_log_segment *segment, const struct stat *file, const struct stat *own,
                   wb_error *error) {
  if (head->segment != segment->segment || memcmp(head->node, segment->node, sizeof head->node) ||
      head->header_crc != segment->header_crc)
    return wb_error_set(error, WB_E_DAMAGED, 0, what, "it is of another segment");
  if (segment->compressed != (head->block_count > 0) || head->file_bytes != (uint64_t)file->st_size)
    return wb_error_set(error, WB_E_DAMAGED, 0, what, "it was made of %llu bytes%s, the segment has %llu%s",
                        (unsigned long long)head->file_bytes, head->block_count ? ", compressed" : "",
                        (unsigned long long)file->st_size, segment->compressed ? ", compressed" : "");
  const struct timespec *made = &own->st_mtim, *changed = &file->st_mtim;
  if (made->tv_sec < changed->tv_sec || (made->tv_sec == changed->tv_sec && made->tv_nsec < changed->tv_nsec))
    return wb_error_set(error, WB_E_DAMAGED, 0, what, "it is older than the segment");
  return 0;
}

int wb_log_index_load(const wb_log_segment *segment, bool head_only, wb_log_index *index, wb_error *error) {
  *index = (wb_log_index){0};
  char path[PATH_BYTES];
  struct stat file, own;
  if (wb_log_index_path(segment->path, path, sizeof path))
    return wb_error_set(error, WB_E_LIMIT, 0, what, "its path is too long");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int result = fd < 0 || fstat(fd, &own) || stat(segment->path, &file) ? system_error(error, path) : 0;
  if (!result && (result = load(fd, (uint64_t)own.st_size, head_only, index)))
    wb_error_set(error, result, 0, what, "%s", wb_error_text(result));
  if (!result) result = believe(&index->index.head, segment, &file, &own, error);
  if (fd >= 0) close(fd);
  if (result) wb_log_index_drop(index);
  return result;
}

bool wb_log_index_is_right(const char *segment_path) {
  wb_log_reader *reader =
      wb_log_reader_open(&(wb_log_reader_config){.path = &segment_path, .path_count = 1, .window_chunks = 1}, NULL);
  const wb_log_segment *segment = reader ? wb_log_reader_segment(reader, 0) : NULL;
  wb_log_index index;
  bool right = segment && segment->readable && !wb_log_index_load(segment, false, &index, NULL);
  if (right) wb_log_index_drop(&index);
  wb_log_reader_close(reader);
  return right;
}

void wb_log_index_drop(wb_log_index *index) {
  free(index->bytes);
  *index = (wb_log_index){0};
}
