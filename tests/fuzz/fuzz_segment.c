/* Arbitrary bytes as a segment: nothing crashes or reads outside, the accepted prefix is accepted again on its own with every
 * checksum, what checks less accepts no less, and the log reader gives or counts every frame of it. Each input is taken as it
 * is, and once more with its checksums put right, so that the checks behind them are met, too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdio.h>

#include "engine/base/limits.h"
#include "io/log_reader.h"
#include "tests/fuzz/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *bytes, size_t count) {
  walked strict = walk(bytes, count, true), loose = walk(bytes, count, false);
  WB_CHECK(loose.good >= strict.good && loose.chunks >= strict.chunks);
  if (strict.good) {
    uint8_t *alone = malloc(strict.good);
    WB_CHECK(alone != NULL);
    memcpy(alone, bytes, strict.good);
    walked again = walk(alone, strict.good, true);
    WB_CHECK(again.last == 0 && again.good == strict.good && again.chunks == strict.chunks && again.sum == strict.sum);
    free(alone);
  }

  int fd = memfd_create("segment", MFD_CLOEXEC);
  WB_CHECK(fd >= 0 && write(fd, bytes, count) == (ssize_t)count);
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  const char *path = name;
  wb_log_reader *reader =
      wb_log_reader_open(&(wb_log_reader_config){.path = &path, .path_count = 1, .window_chunks = 64}, NULL);
  WB_CHECK(reader != NULL);
  wb_log_record record;
  uint64_t sum = 0;
  while (wb_log_reader_next(reader, &record)) sum += touch(record.bytes, record.frame.bytes + (size_t)WB_READ_SLACK_BYTES);
  wb_log_totals totals = wb_log_reader_totals(reader);
  WB_CHECK(totals.frames + totals.duplicates == strict.frames);
  WB_CHECK(totals.damages == (strict.last != 0));
  WB_CHECK(totals.frames || !sum);
  wb_log_reader_close(reader);
  close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check(data, size);
  if (size < WB_SEGMENT_HEADER_BYTES) return 0;
  uint8_t *mended = malloc(size);
  WB_CHECK(mended != NULL);
  memcpy(mended, data, size);
  mend(mended, size);
  check(mended, size);
  free(mended);
  return 0;
}
