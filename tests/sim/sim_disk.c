#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/store/segment.h"
#include "tests/sim/sim.h"

enum { FILE_BASE = 1 << 21, NODES_MAX = 4096, OPEN_MAX_SIM = 8192, SECTOR_BYTES = 512, PAGE_BYTES = 4096 };

/* A change of a file that no sync has covered. */
typedef struct change {
  uint64_t sequence, offset, count;
  const uint8_t *bytes; /* NULL: the file is cut at offset */
  bool doomed;          /* a sync of it failed: no later one brings it back */
} change;

typedef struct image {
  uint8_t *bytes;
  size_t count, room;
} image;

typedef struct node {
  char *path;
  bool folder, there, gone_softly; /* gone_softly: removed, but a crash may bring it back */
  bool entry_safe;                 /* its folder was synced since it was made */
  image now, safe;
  change *change;
  size_t changes, changes_room;
} node;

static node *nodes;
static size_t node_count, open_count;
static struct handle {
  node *node;
  bool direct;
} * handles;
static uint64_t sequence;
static bool alive;

int __real_open(const char *path, int flags, ...);
int __real_access(const char *path, int mode);
int __real_close(int fd);
int __real_ftruncate(int fd, off_t length);
int __real_fcntl(int fd, int what, ...);
int __real_stat(const char *path, struct stat *about);

void sim_disk_reset(void) {
  nodes = sim_alloc(NODES_MAX * sizeof *nodes);
  handles = sim_alloc(OPEN_MAX_SIM * sizeof *handles);
  node_count = open_count = 0;
  sequence = 0;
  alive = true;
  nodes[node_count++] = (node){.path = SIM_DIR, .folder = true, .there = true, .entry_safe = true};
}

void sim_disk_alive(bool is) { alive = is; }

static bool ours(const char *path) { return strncmp(path, SIM_DIR, sizeof SIM_DIR - 1) == 0; }
static struct handle *handle_of(int fd) {
  return fd >= FILE_BASE && (size_t)(fd - FILE_BASE) < open_count ? &handles[fd - FILE_BASE] : NULL;
}
bool sim_disk_is(int fd) { return handle_of(fd); }

static node *find(const char *path) {
  for (size_t i = node_count; i-- > 0;)
    if (nodes[i].there && strcmp(nodes[i].path, path) == 0) return &nodes[i];
  return NULL;
}

static int refuse(int code) {
  errno = code;
  return -1;
}

static node *make(const char *path, bool folder) {
  if (node_count == NODES_MAX) sim_fail("simulator", "too many files");
  node *n = &nodes[node_count++];
  size_t bytes = strlen(path) + 1;
  *n = (node){.path = memcpy(sim_alloc(bytes), path, bytes), .folder = folder, .there = true};
  return n;
}

static void image_put(image *to, uint64_t offset, const uint8_t *bytes, uint64_t count) {
  if (!count) return;
  while (to->room < offset + count) to->bytes = sim_grow(to->bytes, to->count, &to->room, 1);
  if (offset > to->count) memset(to->bytes + to->count, 0, offset - to->count);
  memcpy(to->bytes + offset, bytes, count);
  if (to->count < offset + count) to->count = offset + count;
}

static void image_cut(image *to, uint64_t length) {
  static const uint8_t zero[1];
  if (length > to->count) image_put(to, length - 1, zero, 1);
  to->count = length;
}

static void image_apply(image *to, const change *c) {
  if (c->bytes) image_put(to, c->offset, c->bytes, c->count);
  else image_cut(to, c->offset);
}

static void note(node *n, uint64_t offset, const uint8_t *bytes, uint64_t count) {
  n->change = sim_grow(n->change, n->changes, &n->changes_room, sizeof *n->change);
  change *c = &n->change[n->changes++];
  *c = (change){.sequence = ++sequence, .offset = offset, .count = count};
  if (bytes) c->bytes = memcpy(sim_alloc(count + 1), bytes, count);
  image_apply(&n->now, c);
}

static void make_safe(node *n, uint64_t begun) {
  size_t kept = 0;
  for (size_t i = 0; i < n->changes; i++) {
    change *c = &n->change[i];
    if (c->sequence <= begun && !c->doomed) image_apply(&n->safe, c);
    else n->change[kept++] = *c;
  }
  n->changes = kept;
}

/* ------------------------------------------------------------------------------------------------ calls */

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
  va_end(arguments);
  if (!ours(path)) return __real_open(path, flags, mode);
  if (!alive) return refuse(EIO);
  node *n = find(path);
  if (flags & O_CREAT) {
    if (n) return refuse(EEXIST);
    if (sim_fault(SIM_OPEN_ERROR)) return refuse(sim_chance(2) ? ENOSPC : EMFILE);
    n = make(path, false);
  }
  if (!n) return refuse(ENOENT);
  if (open_count == OPEN_MAX_SIM) sim_fail("simulator", "too many opens");
  handles[open_count] = (struct handle){n, flags & O_DIRECT};
  return FILE_BASE + (int)open_count++;
}

int sim_disk_close(int fd);
int sim_disk_close(int fd) {
  struct handle *h = handle_of(fd);
  if (!h) return __real_close(fd);
  if (!h->node) sim_fail("protocol", "a file is closed twice");
  h->node = NULL;
  return 0;
}

int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...) {
  va_list arguments;
  va_start(arguments, what);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  return handle_of(fd) ? 0 : __real_fcntl(fd, what, argument);
}

int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode) {
  if (!alive) return refuse(EIO);
  if (find(path)) return refuse(EEXIST);
  make(path, true);
  return 0;
}

int __wrap_stat(const char *path, struct stat *about);
int __wrap_stat(const char *path, struct stat *about) {
  if (!ours(path)) return __real_stat(path, about);
  node *n = find(path);
  if (!n) return refuse(ENOENT);
  memset(about, 0, sizeof *about);
  about->st_mode = n->folder ? S_IFDIR | 0755 : S_IFREG | 0644;
  about->st_size = (off_t)n->now.count;
  return 0;
}

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode) {
  if (!ours(path)) return __real_access(path, mode);
  return find(path) ? 0 : refuse(ENOENT);
}

static bool child_of(const char *path, const char *folder) {
  size_t bytes = strlen(folder);
  return strncmp(path, folder, bytes) == 0 && path[bytes] == '/' && !strchr(path + bytes + 1, '/');
}

uint64_t sim_disk_sync_begin(int fd) { return sequence; }

int sim_disk_sync_end(int fd, uint64_t begun) {
  struct handle *h = handle_of(fd);
  if (!h || !h->node) sim_fail("protocol", "a sync of a file that is not open");
  node *n = h->node;
  if (!alive) return -EIO;
  if (!n->folder && sim_fault(SIM_SYNC_ERROR)) {
    for (size_t i = 0; i < n->changes; i++) n->change[i].doomed |= n->change[i].sequence <= begun;
    return -EIO;
  }
  if (sim.canary == SIM_CANARY_SYNC && !n->folder) {
    sim.planted = true;
    return 0;
  }
  if (!n->folder) make_safe(n, begun);
  else
    for (size_t i = 0; i < node_count; i++) nodes[i].entry_safe |= child_of(nodes[i].path, n->path);
  return 0;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
  int result = sim_disk_sync_end(fd, sequence);
  return result ? refuse(-result) : 0;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  if (!alive) return refuse(EIO);
  if (sim_fault(SIM_WRITE_ERROR)) return refuse(ENOSPC);
  note(handle_of(fd)->node, (uint64_t)offset, bytes, count);
  return (ssize_t)count;
}

int __wrap_ftruncate(int fd, off_t length);
int __wrap_ftruncate(int fd, off_t length) {
  if (!handle_of(fd)) return __real_ftruncate(fd, length);
  if (alive) note(handle_of(fd)->node, (uint64_t)length, NULL, 0);
  return 0;
}

int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path) {
  node *n = find(path);
  if (n && alive) {
    n->there = false;
    n->gone_softly = true;
  }
  return 0;
}

int sim_disk_writev(int fd, const void *parts, unsigned part_count, uint64_t offset) {
  const struct iovec *part = parts;
  struct handle *h = handle_of(fd);
  if (!h || !h->node) sim_fail("protocol", "a write to a file that is not open");
  if (!alive && sim_chance(2)) return -EIO; /* of what was under way when it ended, any part may have been done */
  size_t whole = 0, written = 0;
  bool aligned = offset % PAGE_BYTES == 0;
  for (unsigned i = 0; i < part_count; i++) {
    whole += part[i].iov_len;
    aligned &= (uintptr_t)part[i].iov_base % PAGE_BYTES == 0 && part[i].iov_len % PAGE_BYTES == 0;
  }
  if (h->direct && !aligned) sim_fail("protocol", "a direct write that a disk would refuse");
  if (h->direct && sim_fault(SIM_NO_DIRECT)) return -EINVAL;
  size_t limit = alive ? whole : sim_draw(whole + 1);
  int result = alive ? 0 : -EIO;
  if (alive && sim_fault(SIM_WRITE_ERROR)) {
    static const int errors[] = {ENOSPC, EIO, EDQUOT};
    result = -errors[sim_draw(3)];
    limit = sim_draw(whole);
  } else if (alive && sim_fault(SIM_SHORT_WRITE)) {
    limit = sim_draw(whole);
    if (!limit) result = -EINTR;
  }
  for (unsigned i = 0; i < part_count && written < limit; i++) {
    size_t count = part[i].iov_len < limit - written ? part[i].iov_len : limit - written;
    if (count) note(h->node, offset + written, part[i].iov_base, count);
    written += count;
  }
  return result ? result : (int)written;
}

/* ------------------------------------------------------------------------------------------------ crash */

/* Of a change that no sync covered: all, nothing, or some sectors of it. */
static void perhaps(image *to, change *c) {
  switch (sim_draw(4)) {
  case 0: return;
  case 1: image_apply(to, c); return;
  default:
    if (!c->bytes) return;
    uint64_t first = sim_chance(2) ? 0 : sim_draw(c->count / SECTOR_BYTES + 1) * SECTOR_BYTES;
    uint64_t count = sim_draw(c->count - first + 1);
    image_put(to, c->offset + first, c->bytes + first, count);
    sim.fault[SIM_TORN]++;
  }
}

void sim_disk_crash(bool machine) {
  for (size_t i = 0; machine && i < node_count; i++) {
    node *n = &nodes[i];
    if (n->gone_softly && sim_chance(2)) n->there = true;
    n->gone_softly = false;
    if (!n->there || (!n->entry_safe && sim_chance(2))) {
      n->there = false;
      continue;
    }
    if (n->folder) continue;
    bool torn = sim.one_in[SIM_TORN];
    size_t kept = sim_draw(n->changes + 1);
    for (size_t c = 0; c < n->changes; c++) {
      if (torn) perhaps(&n->safe, &n->change[c]);
      else if (c < kept) image_apply(&n->safe, &n->change[c]);
      else if (c == kept && n->change[c].bytes)
        image_put(&n->safe, n->change[c].offset, n->change[c].bytes, sim_draw(n->change[c].count));
    }
    n->changes = 0;
    n->now.count = 0;
    image_put(&n->now, 0, n->safe.bytes, n->safe.count);
  }
  for (size_t i = 0; i < node_count; i++)
    for (size_t parent = 0; parent < node_count; parent++)
      if (!nodes[parent].there && nodes[parent].folder && child_of(nodes[i].path, nodes[parent].path) &&
          !find(nodes[parent].path))
        nodes[i].there = false;
}

void sim_disk_durable(void (*each)(void *self, const uint8_t *bytes, size_t count), void *self) {
  for (size_t i = 0; i < node_count; i++)
    if (!nodes[i].folder && nodes[i].there && nodes[i].entry_safe) each(self, nodes[i].safe.bytes, nodes[i].safe.count);
}

void sim_disk_store(const char *folder) {
  for (size_t i = 0; i < node_count; i++) {
    node *n = &nodes[i];
    if (!n->there || n->folder) continue;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, strrchr(n->path, '/') + 1);
    FILE *file = fopen(path, "wx");
    if (!file || (n->now.count && fwrite(n->now.bytes, n->now.count, 1, file) != 1) || fclose(file))
      sim_fail("simulator", "cannot write %s: %s", path, strerror(errno));
  }
}
