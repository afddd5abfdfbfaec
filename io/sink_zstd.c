#include "io/sink_zstd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { INPUT_BYTES = 256 << 10, INPUT_BYTES_FIRST = 64 << 10 };

struct wb_zstd_encoder {
  ZSTD_CCtx *context;
  size_t capacity;
  uint8_t frame[];
};

struct wb_zstd_decoder {
  ZSTD_DCtx *context;
  int fd, code;
  bool between, ended; /* between frames; nothing more to read */
  size_t in, in_end;
  bool warm;         /* it is read on from where the last input ended */
  uint64_t file_end; /* offset in the file behind the input */
  uint64_t taken;    /* bytes read of the file */
  uint8_t input[INPUT_BYTES];
};

wb_zstd_encoder *wb_zstd_encoder_open(int level, wb_error *error) {
  if (level < 1 || level > WB_ZSTD_LEVEL_MAX) {
    wb_error_set(error, WB_E_LIMIT, 0, "zstd", "level %d; 1 to %d are allowed", level, WB_ZSTD_LEVEL_MAX);
    return NULL;
  }
  size_t capacity = ZSTD_compressBound(WB_ZSTD_BLOCK_BYTES);
  wb_zstd_encoder *encoder = malloc(sizeof *encoder + capacity);
  if (encoder) *encoder = (wb_zstd_encoder){.context = ZSTD_createCCtx(), .capacity = capacity};
  if (!encoder || !encoder->context || ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_compressionLevel, level)) ||
      ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_checksumFlag, 1))) {
    wb_zstd_encoder_close(encoder);
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "zstd", "no memory to compress");
    return NULL;
  }
  return encoder;
}

void wb_zstd_encoder_close(wb_zstd_encoder *encoder) {
  if (encoder) ZSTD_freeCCtx(encoder->context);
  free(encoder);
}

size_t wb_zstd_encode(wb_zstd_encoder *encoder, const void *bytes, size_t count, const uint8_t **frame) {
  size_t result = ZSTD_compress2(encoder->context, encoder->frame, encoder->capacity, bytes, count);
  *frame = encoder->frame;
  return ZSTD_isError(result) ? 0 : result;
}

wb_zstd_decoder *wb_zstd_decoder_open(const char *path, wb_error *error) {
  wb_zstd_decoder *decoder = malloc(sizeof *decoder);
  ZSTD_DCtx *context = decoder ? ZSTD_createDCtx() : NULL;
  if (!context) {
    free(decoder);
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "zstd", "no memory to decompress");
    return NULL;
  }
  memset(decoder, 0, offsetof(wb_zstd_decoder, input));
  decoder->context = context;
  decoder->between = true;
  decoder->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (decoder->fd < 0) {
    wb_error_set(error, WB_E_SYSTEM, errno, "zstd", "cannot read %s: %s", path, strerror(errno));
    wb_zstd_decoder_close(decoder);
    return NULL;
  }
  posix_fadvise(decoder->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return decoder;
}

void wb_zstd_decoder_close(wb_zstd_decoder *decoder) {
  if (!decoder) return;
  ZSTD_freeDCtx(decoder->context);
  if (decoder->fd >= 0) close(decoder->fd);
  free(decoder);
}

static void fill(wb_zstd_decoder *d) {
  ssize_t got;
  do got = read(d->fd, d->input, d->warm ? INPUT_BYTES : INPUT_BYTES_FIRST);
  while (got < 0 && errno == EINTR);
  if (got < 0) d->code = WB_E_SYSTEM;
  d->warm = true;
  d->ended = got <= 0;
  d->in = 0;
  d->in_end = got > 0 ? (size_t)got : 0;
  d->file_end += d->in_end;
  d->taken += d->in_end;
}

size_t wb_zstd_decoder_read(wb_zstd_decoder *d, void *to, size_t count) {
  ZSTD_outBuffer out = {to, count, 0};
  while (out.pos < count && !d->code) {
    if (d->in == d->in_end && !d->ended) fill(d);
    if (d->code || (d->ended && d->between)) break;
    ZSTD_inBuffer in = {d->input, d->in_end, d->in};
    size_t before = out.pos, result = ZSTD_decompressStream(d->context, &out, &in);
    if (ZSTD_isError(result) || (d->ended && out.pos == before && result)) {
      out.pos = before; /* zstd may count bytes here that it never wrote */
      d->code = WB_E_DAMAGED;
      break;
    }
    d->in = in.pos;
    d->between = result == 0;
  }
  return out.pos;
}

int wb_zstd_decoder_seek(wb_zstd_decoder *d, uint64_t file_offset) {
  if (lseek(d->fd, (off_t)file_offset, SEEK_SET) < 0) return WB_E_SYSTEM;
  ZSTD_DCtx_reset(d->context, ZSTD_reset_session_only);
  d->code = 0;
  d->between = true;
  d->ended = false;
  d->warm = false;
  d->in = d->in_end = 0;
  d->file_end = file_offset;
  return 0;
}

bool wb_zstd_decoder_edge(wb_zstd_decoder *d, uint64_t *file_offset) {
  while (!d->between && !d->code) { /* the frame's checksum may be still to come */
    if (d->in == d->in_end && !d->ended) fill(d);
    ZSTD_outBuffer out = {d->input, 0, 0};
    ZSTD_inBuffer in = {d->input, d->in_end, d->in};
    size_t result = ZSTD_decompressStream(d->context, &out, &in);
    if (ZSTD_isError(result)) d->code = WB_E_DAMAGED;
    else if (result && in.pos == d->in) break;
    d->in = in.pos;
    d->between = result == 0;
  }
  *file_offset = d->file_end - (d->in_end - d->in);
  return d->between;
}

uint64_t wb_zstd_decoder_taken(const wb_zstd_decoder *decoder) { return decoder->taken; }

int wb_zstd_decoder_code(const wb_zstd_decoder *decoder) { return decoder->code; }

bool wb_zstd_is(const uint8_t *bytes, size_t count) {
  if (count < 4) return false;
  return !memcmp(bytes, "\x28\xb5\x2f\xfd", 4) || ((bytes[0] & 0xf0) == 0x50 && !memcmp(bytes + 1, "\x2a\x4d\x18", 3));
}

uint64_t wb_zstd_content_bytes(const char *path) {
  uint64_t bytes = 0;
  struct stat about;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  size_t count = fstat(fd, &about) ? 0 : (size_t)about.st_size;
  const uint8_t *base = count ? mmap(NULL, count, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  close(fd);
  if (base == MAP_FAILED) return 0;
  for (size_t at = 0; at < count;) {
    unsigned long long content = ZSTD_getFrameContentSize(base + at, count - at);
    if (content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR || content > UINT64_MAX - bytes) break;
    bytes += content;
    size_t frame = ZSTD_findFrameCompressedSize(base + at, count - at);
    if (ZSTD_isError(frame)) break;
    at += frame;
  }
  munmap((void *)base, count);
  return bytes;
}
