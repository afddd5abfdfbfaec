#include "tools/archive_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "io/folder.h"

enum { FOLDERS_OPEN = 8, NODE_TEXT_BYTES = 33, REMOVE_TRIES = 500 };

static int cannot(wb_error *error, const char *what, const char *path) {
  return wb_error_set(error, WB_E_SYSTEM, errno, "archive", "cannot %s %s: %s", what, path, strerror(errno));
}

static int no_memory(wb_error *error) { return wb_error_set(error, WB_E_MEMORY, ENOMEM, "archive", "no memory"); }

static int removed(const char *path, const struct stat *about, int kind, struct FTW *at) {
  (void)about, (void)kind, (void)at;
  return remove(path);
}

/* A writer that outlived the one who started it takes its own away, or begins, at the same time. */
static int remove_tree(const char *path) {
  for (unsigned tries = 0; tries < REMOVE_TRIES; tries++) {
    if (nftw(path, removed, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS) == 0) return 0;
    if (errno != ENOENT && errno != ENOTEMPTY) return -1;
    if (access(path, F_OK) != 0) return 0;
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  errno = EBUSY;
  return -1;
}

static char *path_of(const char *folder, const char *name) {
  char *path = NULL;
  return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* ------------------------------------------------------------------------------------------------ open and close */

/* A writer that outlived the one who started it may still fill a folder, so each has one of its own. */
static int clear(const wb_archive_place *place, wb_error *error) {
  DIR *home = opendir(place->home);
  if (!home) return cannot(error, "read", place->home);
  int result = 0;
  for (const struct dirent *entry; result == 0 && (entry = readdir(home));) {
    if (strncmp(entry->d_name, "work-", 5) != 0) continue;
    char *path = path_of(place->home, entry->d_name);
    if (!path) result = no_memory(error);
    else if (remove_tree(path) != 0) result = cannot(error, "remove", path);
    free(path);
  }
  closedir(home);
  return result;
}

int wb_archive_place_open(wb_archive_place *place, const char *out, wb_error *error) {
  *place = (wb_archive_place){.out = strdup(out), .home = path_of(out, ".archive"), .lock = -1};
  if (!place->out || !place->home || asprintf(&place->work, "%s/work-%ld", place->home, (long)getpid()) < 0) {
    place->work = NULL;
    return no_memory(error);
  }
  errno = -wb_folder_make(place->home, true);
  if (errno) return cannot(error, "make", place->home);
  place->lock = open(place->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (place->lock < 0) return cannot(error, "open", place->home);
  if (flock(place->lock, LOCK_EX | LOCK_NB) != 0) {
    int code = errno;
    close(place->lock);
    place->lock = -1; /* what lies there is the other's */
    return wb_error_set(error, WB_E_STATE, code, "archive", "%s is being written by another archive", out);
  }
  int result = clear(place, error);
  if (result) return result;
  errno = -wb_folder_make(place->work, false);
  return errno ? cannot(error, "make", place->work) : 0;
}

void wb_archive_place_close(wb_archive_place *place) {
  if (place->lock >= 0) {
    remove_tree(place->work);
    close(place->lock);
  }
  free(place->out);
  free(place->home);
  free(place->work);
}

/* ------------------------------------------------------------------------------------------------ cursor */

static void node_text(const uint8_t *node, char text[NODE_TEXT_BYTES]) {
  for (int i = 0; i < 16; i++) sprintf(text + 2 * i, "%02x", node[i]);
}

static bool node_read(const char *text, uint8_t *node) {
  if (!text || strlen(text) != NODE_TEXT_BYTES - 1 || strspn(text, "0123456789abcdef") != NODE_TEXT_BYTES - 1) return false;
  for (int i = 0; i < 16; i++) {
    unsigned byte;
    sscanf(text + 2 * i, "%2x", &byte);
    node[i] = (uint8_t)byte;
  }
  return true;
}

static bool run_read(json_t *item, wb_archive_run *run) {
  const char *node;
  json_int_t next_segment, next_number, from_segment, from;
  int over;
  if (json_unpack(item, "{s:s,s:I,s:I,s:I,s:I,s:b}", "node", &node, "next_segment", &next_segment, "next_number", &next_number,
                  "from_segment", &from_segment, "from_utc_ns", &from, "over", &over) != 0)
    return false;
  *run = (wb_archive_run){.over = over,
                          .next_segment = (uint64_t)next_segment,
                          .next_number = (uint64_t)next_number,
                          .from_segment = (uint64_t)from_segment,
                          .from_utc_ns = from};
  return node_read(node, run->node);
}

/* One that knew the last run alone. From where to replay is not taken from it: it does not say of which run that was. */
static bool last_run_read(json_t *root, wb_archive_cursor *cursor) {
  const char *node;
  json_int_t segment, next, created;
  int over;
  if (json_unpack(root, "{s:s,s:I,s:I,s:I,s:b}", "node", &node, "segment", &segment, "next_number", &next, "created_utc_ns",
                  &created, "run_over", &over) != 0)
    return false;
  cursor->run[cursor->count++] = (wb_archive_run){
      .over = over, .next_segment = (uint64_t)segment + 1, .next_number = (uint64_t)next, .from_utc_ns = INT64_MIN};
  cursor->until_utc_ns = created;
  return node_read(node, cursor->run[0].node);
}

static bool runs_read(json_t *root, wb_archive_cursor *cursor) {
  json_t *runs = json_object_get(root, "runs"), *item;
  size_t i;
  if (!runs) return last_run_read(root, cursor);
  json_array_foreach(runs, i, item) if (!run_read(item, &cursor->run[cursor->count++])) return false;
  return cursor->count > 0;
}

int wb_archive_cursor_read(const wb_archive_place *place, const char *name, const char *options, wb_archive_cursor *cursor,
                           wb_error *error) {
  *cursor = (wb_archive_cursor){.until_utc_ns = INT64_MIN};
  char *path = path_of(place->home, name);
  if (!path) return no_memory(error);
  json_t *root = json_load_file(path, 0, NULL);
  const char *made = json_string_value(json_object_get(root, "options"));
  int result = 0;
  if (access(path, F_OK) != 0 && errno == ENOENT) {
    ;
  } else if (!(cursor->run = calloc(json_array_size(json_object_get(root, "runs")) + 1, sizeof *cursor->run))) {
    result = no_memory(error);
  } else if (!made || !runs_read(root, cursor)) {
    result = wb_error_set(error, WB_E_DAMAGED, 0, "archive", "%s is no cursor", path);
  } else if (strcmp(made, options) != 0) {
    result = wb_error_set(error, WB_E_CONFIG, 0, "archive", "%s was begun with other options (%s): take another folder",
                          place->out, made);
  } else {
    cursor->there = true;
  }
  json_decref(root);
  free(path);
  return result;
}

/* NULL: no memory. */
static json_t *cursor_json(const char *options, const wb_archive_cursor *cursor) {
  json_t *runs = json_array();
  for (size_t i = 0; i < cursor->count; i++) {
    const wb_archive_run *run = &cursor->run[i];
    char node[NODE_TEXT_BYTES];
    node_text(run->node, node);
    json_t *item = json_pack("{s:s,s:I,s:I,s:I,s:I,s:b}", "node", node, "next_segment", (json_int_t)run->next_segment,
                             "next_number", (json_int_t)run->next_number, "from_segment", (json_int_t)run->from_segment,
                             "from_utc_ns", (json_int_t)run->from_utc_ns, "over", run->over);
    if (json_array_append_new(runs, item) != 0) {
      json_decref(runs);
      return NULL;
    }
  }
  return json_pack("{s:s,s:o}", "options", options, "runs", runs);
}

int wb_archive_cursor_write(const wb_archive_place *place, const char *name, const char *options, wb_archive_cursor *cursor,
                            wb_error *error) {
  char *path = path_of(place->home, name), *temporary = NULL;
  if (!path || asprintf(&temporary, "%s.tmp", path) < 0) {
    free(path);
    return no_memory(error);
  }
  json_t *root = cursor_json(options, cursor);
  FILE *file = root ? fopen(temporary, "we") : NULL;
  bool good = file && json_dumpf(root, file, JSON_INDENT(1)) == 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
  int result = good ? 0 : cannot(error, "write", temporary);
  if (file) fclose(file);
  if (result == 0 && rename(temporary, path) != 0) result = cannot(error, "replace", path);
  if (result == 0 && (errno = -wb_folder_sync(place->home)) != 0) result = cannot(error, "sync", place->home);
  cursor->there |= result == 0;
  json_decref(root);
  free(path);
  free(temporary);
  return result;
}

/* ------------------------------------------------------------------------------------------------ files */

static int is_wanted(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int move(const char *from, const char *folder, const char *unit, const char *file, wb_error *error) {
  char *to = NULL;
  if (asprintf(&to, "%s/%s-%s", folder, unit, file) < 0) return no_memory(error);
  int result = rename(from, to) == 0 ? 0 : cannot(error, "make", to);
  free(to);
  return result;
}

/* The folders of products have folders of days in them, and those the files. */
static int publish(const char *from, const char *to, unsigned depth, const char *unit, wb_error *error) {
  struct dirent **entry = NULL;
  int count = scandir(from, &entry, is_wanted, alphasort), result = count < 0 ? cannot(error, "read", from) : 0;
  for (int i = 0; i < count; i++) {
    char *source = path_of(from, entry[i]->d_name), *target = path_of(to, entry[i]->d_name);
    if (result == 0 && (!source || !target)) result = no_memory(error);
    if (result == 0 && depth) {
      if ((errno = -wb_folder_make(target, true)) != 0) result = cannot(error, "make", target);
      else result = publish(source, target, depth - 1, unit, error);
    } else if (result == 0) {
      result = move(source, to, unit, entry[i]->d_name, error);
    }
    free(source);
    free(target);
    free(entry[i]);
  }
  free(entry);
  if (result == 0 && !depth && (errno = -wb_folder_sync(to)) != 0) result = cannot(error, "sync", to);
  return result;
}

int wb_archive_place_publish(const wb_archive_place *place, wb_table_id table, const char *unit, wb_error *error) {
  const char *name = wb_table_of(table)->name;
  char *from = path_of(place->work, name), *to = path_of(place->out, name);
  int result = from && to ? 0 : no_memory(error);
  if (result == 0 && (errno = -wb_folder_make(to, true)) != 0) result = cannot(error, "make", to);
  if (result == 0) result = publish(from, to, 2, unit, error);
  if (result == 0 && remove_tree(from) != 0) result = cannot(error, "remove", from);
  free(from);
  free(to);
  return result;
}
