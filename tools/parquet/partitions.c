#include "tools/parquet/partitions.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/limits.h"
#include "io/folder.h"
#include "io/row_pipe.h"

enum { NAME_BYTES = 160, PART_BYTES = 48, DAY_NONE = INT_MIN, SLOTS_MIN = 64, FOLDERS_OPEN = 16 };
static const int64_t DAY_US = INT64_C(86400000000), LATE_US = INT64_C(3600000000);
static const char MARK[] = ".wirebook";

typedef enum { OPEN = 0, FINISHED, THERE } state; /* THERE: finished by an earlier run of the same inputs */

typedef struct partition {
  char product[WB_PRODUCT_ID_BYTES]; /* "": none */
  int day;                           /* since 1970, DAY_NONE */
  state state;
  char name[NAME_BYTES]; /* product=.../date=... */
  uint8_t *buffer;
  uint32_t used;
  uint64_t spooled_bytes, spooled_rows, rows, parts;
} partition;

struct wb_partitions {
  wb_table_id table;
  char *root, *unfinished, *inputs;
  int lock;
  wb_parquet *parquet;
  partition **slot; /* open addressing, a power of two, at most half full */
  uint32_t slots, count;
  partition *last;
  int due; /* days below this are over */
};

static int cannot(wb_error *error, const char *what, const char *path) {
  return wb_error_set(error, WB_E_SYSTEM, errno, "parquet", "cannot %s %s: %s", what, path, strerror(errno));
}

static int no_memory(wb_error *error) { return wb_error_set(error, WB_E_MEMORY, ENOMEM, "parquet", "no memory"); }

/* ------------------------------------------------------------------------------------------------ folders */

static int removed(const char *path, const struct stat *about, int kind, struct FTW *at) {
  (void)about, (void)kind, (void)at;
  return remove(path);
}

static int remove_tree(const char *path) {
  return nftw(path, removed, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT ? 0 : -1;
}

static int make_folder(char *path, wb_error *error) {
  errno = -wb_folder_make(path, true);
  return errno ? cannot(error, "make", path) : 0;
}

static int sync_folder(const char *path, wb_error *error) {
  errno = -wb_folder_sync(path);
  return errno ? cannot(error, "sync", path) : 0;
}

static char *path_of(const char *folder, const partition *of, const char *file) {
  char *path = NULL;
  return asprintf(&path, "%s/%s%s%s", folder, of->name, *file ? "/" : "", file) < 0 ? NULL : path;
}

static void name(partition *of) {
  char *at = of->name + sprintf(of->name, "product=%s", *of->product ? "" : "__HIVE_DEFAULT_PARTITION__");
  for (const char *c = of->product; *c; c++) at += sprintf(at, *c == '/' ? "%%2F" : "%c", *c);
  time_t seconds = (time_t)of->day * 86400;
  struct tm tm;
  if (of->day == DAY_NONE || !gmtime_r(&seconds, &tm)) strcpy(at, "/date=__HIVE_DEFAULT_PARTITION__");
  else strftime(at, NAME_BYTES - (size_t)(at - of->name), "/date=%Y-%m-%d", &tm);
}

/* ------------------------------------------------------------------------------------------------ marks */

static void name_part(char file[PART_BYTES], unsigned long long part) {
  snprintf(file, PART_BYTES, "part-%05llu.parquet", part);
}

static bool has_parts(const wb_partitions *partitions, const partition *of, unsigned long long parts) {
  char file[PART_BYTES];
  bool there = true;
  for (unsigned long long i = 0; i < parts && there; i++) {
    name_part(file, i);
    char *path = path_of(partitions->root, of, file);
    there = path && access(path, F_OK) == 0;
    free(path);
  }
  return there;
}

/* "INPUTS ROWS PARTS\n". False if there is none for these inputs, or what it speaks of is not there. */
static bool read_mark(const wb_partitions *partitions, partition *of) {
  char inputs[128];
  unsigned long long rows, parts;
  char *path = path_of(partitions->root, of, MARK);
  FILE *file = path ? fopen(path, "re") : NULL;
  bool there = file && fscanf(file, "%127s %llu %llu", inputs, &rows, &parts) == 3 && strcmp(inputs, partitions->inputs) == 0 &&
               has_parts(partitions, of, parts);
  if (file) fclose(file);
  free(path);
  if (there) of->spooled_rows = rows;
  return there;
}

static int write_mark(const wb_partitions *partitions, const partition *of, wb_error *error) {
  char *path = path_of(partitions->unfinished, of, MARK);
  if (!path) return no_memory(error);
  FILE *file = fopen(path, "we");
  bool good = file && fprintf(file, "%s %llu %llu\n", partitions->inputs, (unsigned long long)of->rows,
                              (unsigned long long)of->parts) > 0;
  good = good && fflush(file) == 0 && fsync(fileno(file)) == 0;
  int result = good ? 0 : cannot(error, "write", path);
  if (file) fclose(file);
  free(path);
  return result;
}

/* ------------------------------------------------------------------------------------------------ a folder's rows */

static int spool(wb_partitions *partitions, partition *of, const uint8_t *bytes, uint32_t count, wb_error *error) {
  if (!count) return 0;
  char *path = path_of(partitions->unfinished, of, ".rows");
  if (!path) return no_memory(error);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), result = 0;
  if (fd < 0) result = cannot(error, "write", path);
  for (uint32_t done = 0; done < count && result == 0;) {
    ssize_t n = write(fd, bytes + done, count - done);
    if (n < 0 && errno != EINTR) result = cannot(error, "write", path);
    if (n > 0) done += (uint32_t)n;
  }
  if (fd >= 0) close(fd);
  free(path);
  return result;
}

static int put_rows(wb_partitions *partitions, const partition *of, const uint8_t *at, wb_error *error) {
  int result = 0;
  for (const uint8_t *end = at + of->spooled_bytes; at < end && result == 0;) {
    uint32_t bytes;
    wb_value cell[WB_TABLE_COLUMNS_MAX];
    memcpy(&bytes, at, sizeof bytes);
    at += sizeof bytes;
    wb_row_pipe_read(at, bytes, partitions->table, cell); /* was read before */
    result = wb_parquet_put(partitions->parquet, cell, error);
    at += bytes;
  }
  return result;
}

/* Makes a file of the rows that wait. */
static int write_part(wb_partitions *partitions, partition *of, wb_error *error) {
  char file[PART_BYTES];
  name_part(file, of->parts);
  char *rows = path_of(partitions->unfinished, of, ".rows"), *path = path_of(partitions->unfinished, of, file);
  int result = rows && path ? spool(partitions, of, of->buffer, of->used, error) : no_memory(error);
  of->used = 0;
  int fd = result == 0 ? open(rows, O_RDONLY | O_CLOEXEC) : -1;
  void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, of->spooled_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (result == 0) result = mapped == MAP_FAILED ? cannot(error, "read", rows) : put_rows(partitions, of, mapped, error);
  if (mapped != MAP_FAILED) munmap(mapped, of->spooled_bytes);
  if (fd >= 0) close(fd);
  if (result == 0) result = wb_parquet_write(partitions->parquet, path, error);
  if (result == 0 && unlink(rows) != 0) result = cannot(error, "remove", rows);
  free(rows);
  free(path);
  of->spooled_bytes = of->spooled_rows = 0;
  of->parts++;
  return result;
}

/* Puts the folder in its place. */
static int place(wb_partitions *partitions, partition *of, wb_error *error) {
  char *from = path_of(partitions->unfinished, of, ""), *to = path_of(partitions->root, of, ""), *old = NULL;
  int result = from && to && asprintf(&old, "%s/old", partitions->unfinished) >= 0 ? 0 : no_memory(error);
  if (result == 0) result = sync_folder(from, error);
  if (result == 0) {
    char *slash = strrchr(to, '/');
    *slash = 0;
    result = make_folder(to, error);
    *slash = '/';
  }
  if (result == 0 && rename(to, old) != 0 && errno != ENOENT) result = cannot(error, "replace", to);
  if (result == 0 && rename(from, to) != 0) result = cannot(error, "make", to);
  if (result == 0) {
    *strrchr(to, '/') = 0;
    result = sync_folder(to, error);
  }
  if (old) remove_tree(old);
  free(from);
  free(to);
  free(old);
  return result;
}

static int finish(wb_partitions *partitions, partition *of, wb_error *error) {
  int result = of->spooled_rows ? write_part(partitions, of, error) : 0;
  if (result == 0) result = write_mark(partitions, of, error);
  if (result == 0) result = place(partitions, of, error);
  free(of->buffer);
  of->buffer = NULL;
  of->state = FINISHED;
  return result;
}

/* Begins a folder, or goes on with one that was finished. */
static int begin(wb_partitions *partitions, partition *of, wb_error *error) {
  char *path = path_of(partitions->unfinished, of, ""), *there = path_of(partitions->root, of, "");
  char *slash = path ? strrchr(path, '/') : NULL;
  int result = path && there ? 0 : no_memory(error);
  if (result == 0 && of->state == FINISHED) {
    *slash = 0;
    result = make_folder(path, error);
    *slash = '/';
    if (result == 0 && rename(there, path) != 0) result = cannot(error, "go on with", there);
  } else if (result == 0) {
    result = make_folder(path, error);
  }
  of->buffer = malloc(WB_PARTITION_BUFFER_BYTES);
  of->state = OPEN;
  if (result == 0 && !of->buffer) result = no_memory(error);
  free(path);
  free(there);
  return result;
}

/* ------------------------------------------------------------------------------------------------ all folders */

static uint32_t hash(const char *product, int day) {
  uint32_t h = 2166136261u ^ (uint32_t)day * 16777619u;
  for (; *product; product++) h = (h ^ (uint8_t)*product) * 16777619u;
  return h ^ h >> 15;
}

static partition **slot_of(partition **slot, uint32_t slots, const char *product, int day) {
  uint32_t at = hash(product, day) & (slots - 1);
  while (slot[at] && (slot[at]->day != day || strcmp(slot[at]->product, product) != 0)) at = (at + 1) & (slots - 1);
  return &slot[at];
}

static int grow(wb_partitions *partitions, wb_error *error) {
  uint32_t slots = partitions->slots ? 2 * partitions->slots : SLOTS_MIN;
  partition **slot = calloc(slots, sizeof *slot);
  if (!slot) return no_memory(error);
  for (uint32_t i = 0; i < partitions->slots; i++)
    if (partitions->slot[i])
      *slot_of(slot, slots, partitions->slot[i]->product, partitions->slot[i]->day) = partitions->slot[i];
  free(partitions->slot);
  partitions->slot = slot;
  partitions->slots = slots;
  return 0;
}

static partition *find(wb_partitions *partitions, const char *product, int day, wb_error *error) {
  partition *last = partitions->last;
  if (last && last->day == day && strcmp(last->product, product) == 0) return last;
  if (2 * partitions->count >= partitions->slots && grow(partitions, error) != 0) return NULL;
  partition **slot = slot_of(partitions->slot, partitions->slots, product, day);
  if (!*slot) {
    partition *of = *slot = calloc(1, sizeof *of);
    if (!of) {
      no_memory(error);
      return NULL;
    }
    partitions->count++;
    strcpy(of->product, product);
    of->day = day;
    name(of);
    if (read_mark(partitions, of)) of->state = THERE;
    else if (begin(partitions, of, error) != 0) return NULL;
  }
  return partitions->last = *slot;
}

static int finish_below(wb_partitions *partitions, int day, wb_error *error) {
  int result = 0;
  for (uint32_t i = 0; i < partitions->slots && result == 0; i++) {
    partition *of = partitions->slot[i];
    if (of && of->state == OPEN && of->day < day) result = finish(partitions, of, error);
  }
  return result;
}

wb_partitions *wb_partitions_open(wb_table_id table, const char *out, const char *inputs, unsigned decimals, const char *memory,
                                  wb_error *error) {
  wb_partitions *partitions = calloc(1, sizeof *partitions);
  char *spill = NULL;
  if (!partitions) {
    no_memory(error);
    return NULL;
  }
  partitions->table = table;
  partitions->lock = -1;
  partitions->due = INT_MIN;
  partitions->inputs = strdup(inputs);
  if (asprintf(&partitions->root, "%s/%s", out, wb_table_of(table)->name) < 0) partitions->root = NULL;
  if (!partitions->inputs || !partitions->root) {
    no_memory(error);
  } else if (make_folder(partitions->root, error) == 0) {
    partitions->lock = open(partitions->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (partitions->lock < 0 || flock(partitions->lock, LOCK_EX | LOCK_NB) != 0)
      wb_error_set(error, WB_E_SYSTEM, errno, "parquet", "cannot lock %s: %s", partitions->root,
                   errno == EWOULDBLOCK ? "another export writes there" : strerror(errno));
    else if (asprintf(&partitions->unfinished, "%s/.unfinished", partitions->root) < 0 ||
             asprintf(&spill, "%s/duckdb", partitions->unfinished) < 0)
      no_memory(error);
    else if (remove_tree(partitions->unfinished) != 0) cannot(error, "remove", partitions->unfinished);
    else if (make_folder(partitions->unfinished, error) == 0)
      partitions->parquet = wb_parquet_open(table, decimals, memory, spill, error);
  }
  free(spill);
  if (partitions->parquet) return partitions;
  wb_partitions_close(partitions);
  return NULL;
}

void wb_partitions_close(wb_partitions *partitions) {
  if (!partitions) return;
  wb_parquet_close(partitions->parquet);
  if (partitions->lock >= 0 && partitions->unfinished) remove_tree(partitions->unfinished);
  if (partitions->lock >= 0) close(partitions->lock);
  for (uint32_t i = 0; i < partitions->slots; i++) {
    if (partitions->slot[i]) free(partitions->slot[i]->buffer);
    free(partitions->slot[i]);
  }
  free(partitions->slot);
  free(partitions->inputs);
  free(partitions->root);
  free(partitions->unfinished);
  free(partitions);
}

static int day_of(int64_t us) { return (int)(us / DAY_US - (us % DAY_US < 0)); }

static int take(wb_partitions *partitions, partition *of, const uint8_t *bytes, uint32_t count, wb_error *error) {
  uint32_t whole = (uint32_t)sizeof count + count;
  int result = 0;
  if (whole > WB_PARTITION_BUFFER_BYTES - of->used) {
    result = spool(partitions, of, of->buffer, of->used, error);
    of->used = 0;
  }
  if (result == 0 && whole > WB_PARTITION_BUFFER_BYTES) {
    result = spool(partitions, of, (const uint8_t *)&count, sizeof count, error);
    if (result == 0) result = spool(partitions, of, bytes, count, error);
  } else if (result == 0) {
    memcpy(of->buffer + of->used, &count, sizeof count);
    memcpy(of->buffer + of->used + sizeof count, bytes, count);
    of->used += whole;
  }
  of->spooled_bytes += whole;
  of->spooled_rows++;
  of->rows++;
  bool full = of->spooled_rows == WB_PARTITION_PART_ROWS || of->spooled_bytes >= WB_PARTITION_PART_BYTES;
  return result == 0 && full ? write_part(partitions, of, error) : result;
}

int wb_partitions_put(wb_partitions *partitions, const uint8_t *bytes, uint32_t count, wb_error *error) {
  wb_value cell[WB_TABLE_COLUMNS_MAX];
  char product[WB_PRODUCT_ID_BYTES] = "";
  if (wb_row_pipe_read(bytes, count, partitions->table, cell) != 0 || cell[WB_COLUMN_PRODUCT].bytes >= sizeof product)
    return wb_error_set(error, WB_E_DAMAGED, 0, "parquet", "a row that is none");
  const wb_value *id = &cell[WB_COLUMN_PRODUCT], *received = &cell[WB_COLUMN_RECV_TIME];
  if (id->there) memcpy(product, id->text, id->bytes);
  partition *of = find(partitions, product, received->there ? day_of((int64_t)received->number) : DAY_NONE, error);
  if (!of) return error->code;
  int result = 0;
  if (of->state == THERE) {
    of->rows++;
  } else {
    if (of->state == FINISHED) result = begin(partitions, of, error);
    if (result == 0) result = take(partitions, of, bytes, count, error);
  }
  int due = received->there ? day_of((int64_t)received->number - LATE_US) : partitions->due;
  if (result == 0 && due > partitions->due) {
    partitions->due = due;
    result = finish_below(partitions, due, error);
  }
  return result;
}

/* What an earlier run finished has as many rows as came for it now, or its mark is no good. */
static int compare(const wb_partitions *partitions, const partition *of, wb_error *error) {
  if (of->rows == of->spooled_rows) return 0;
  char *path = path_of(partitions->root, of, MARK);
  if (!path) return no_memory(error);
  int result = unlink(path) != 0
                   ? cannot(error, "remove", path)
                   : wb_error_set(error, WB_E_STATE, 0, "parquet",
                                  "%s/%s has %llu rows, not %llu as there are now: run again to make it anew", partitions->root,
                                  of->name, (unsigned long long)of->spooled_rows, (unsigned long long)of->rows);
  free(path);
  return result;
}

int wb_partitions_end(wb_partitions *partitions, wb_error *error) {
  int result = finish_below(partitions, INT_MAX, error);
  for (uint32_t i = 0; i < partitions->slots && result == 0; i++)
    if (partitions->slot[i] && partitions->slot[i]->state == THERE) result = compare(partitions, partitions->slot[i], error);
  return result;
}
