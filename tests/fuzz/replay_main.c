/* replay_main.c - runs a fuzz target without a fuzzer: every file of the corpora as it is, then seeded mutations of them.
 *
 * Use:     fuzz_<noun> [--mutations N] [--seed S] [--first I] [--seconds T] FILE|DIRECTORY...
 *          WIREBOOK_FUZZ_MUTATIONS, WIREBOOK_FUZZ_SEED and WIREBOOK_FUZZ_SECONDS do the same; options win.
 * Again:   mutation I of seed S depends on S, I and the corpus alone. A failure prints both, and leaves the input in a file,
 *          which can be given as FILE. `--seed S --first I --mutations 1` does that one again.
 * Time:    mutations stop after T seconds (default 15, 0: never); how many were done is printed. One input that takes more than
 *          60 seconds is a failure.
 * Returns: 0; 1 if there is nothing to replay; 2 for wrong usage; a failing target aborts. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum { INPUT_SECONDS_MAX = 60, MUTATED_BYTES_MIN = 65536 };

typedef struct input {
  uint8_t *bytes;
  size_t count;
} input;

static struct {
  input *files;
  char **names;
  size_t count, capacity, largest;
} corpus;

/* What is being run, for the word said when it fails. */
static struct {
  uint64_t seed, index;
  const char *name; /* of a file, NULL for a mutation */
  input input;
} current;

static void complain(const char *text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) return;
}

static void say_current(void) {
  char text[512], path[64];
  if (!current.input.bytes) return;
  snprintf(path, sizeof path, "failed-input-%ld", (long)getpid());
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool kept = file >= 0 && write(file, current.input.bytes, current.input.count) == (ssize_t)current.input.count;
  if (file >= 0) close(file);
  if (current.name) snprintf(text, sizeof text, "\nFAILED on the file %s", current.name);
  else
    snprintf(text, sizeof text, "\nFAILED: --seed %llu --first %llu --mutations 1", (unsigned long long)current.seed,
             (unsigned long long)current.index);
  complain(text);
  snprintf(text, sizeof text, " (%zu bytes, input %s %s)\n", current.input.count, kept ? "kept in" : "could not be kept in",
           path);
  complain(text);
  current.input.bytes = NULL;
}

static void on_signal(int number) {
  if (number == SIGALRM) complain("\nthe input takes too long");
  say_current();
  signal(number, SIG_DFL);
  raise(number == SIGALRM ? SIGABRT : number);
}

static void on_check(const char *file, int line, const char *expression) {
  fprintf(stderr, "\n%s:%d: not so: %s", file, line, expression);
  abort();
}

static void run(const uint8_t *bytes, size_t count) {
  /* A copy of its own and of its exact size, so that a sanitizer sees each read past the end. */
  uint8_t *copy = malloc(count ? count : 1);
  if (!copy) abort();
  memcpy(copy, bytes, count);
  current.input = (input){copy, count};
  alarm(INPUT_SECONDS_MAX);
  LLVMFuzzerTestOneInput(copy, count);
  alarm(0);
  current.input.bytes = NULL;
  free(copy);
}

/* ------------------------------------------------------------------------------------------------ mutations */

static uint64_t random_state;

static uint64_t random_next(void) { /* splitmix64 */
  uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

static size_t random_below(size_t bound) { return bound ? (size_t)(random_next() % bound) : 0; }

/* Short pieces mostly, long ones now and then. */
static size_t random_piece(size_t bound) {
  return random_below(1 + random_below(random_below(4) ? (bound < 16 ? bound : 16) : bound));
}

static void piece_insert(input *in, size_t room, size_t at, const uint8_t *piece, size_t count) {
  if (count > room - in->count) count = room - in->count;
  memmove(in->bytes + at + count, in->bytes + at, in->count - at);
  memcpy(in->bytes + at, piece, count);
  in->count += count;
}

static void mutate(input *in, size_t room, uint8_t *scratch) {
  static const uint8_t telling[] = {0, 1, 2, 9, 10, 13, 32, 34, 44, 48, 57, 58, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x89, 0xfe, 0xff};
  size_t at = random_below(in->count), bytes = random_piece(in->count - at);
  switch (random_below(9)) {
  case 0: /* flip a bit */
    if (in->count) in->bytes[at] ^= (uint8_t)(1u << random_below(8));
    break;
  case 1: /* a byte that tends to mean something */
    if (in->count) in->bytes[at] = telling[random_below(sizeof telling)];
    break;
  case 2: /* a random byte */
    if (in->count) in->bytes[at] = (uint8_t)random_next();
    break;
  case 3: in->count = random_below(in->count + 1); break; /* cut the end off */
  case 4:                                                 /* take a piece out */
    memmove(in->bytes + at, in->bytes + at + bytes, in->count - at - bytes);
    in->count -= bytes;
    break;
  case 5: { /* repeat a piece */
    memcpy(scratch, in->bytes + at, bytes);
    for (size_t times = 1 + random_piece(64); times; times--) piece_insert(in, room, at, scratch, bytes);
    break;
  }
  case 6: { /* a piece of another file */
    const input *other = &corpus.files[random_below(corpus.count)];
    size_t from = random_below(other->count);
    piece_insert(in, room, at, other->bytes + from, random_piece(other->count - from));
    break;
  }
  case 7: { /* the end of another file in the place of the own */
    const input *other = &corpus.files[random_below(corpus.count)];
    size_t from = random_below(other->count);
    in->count = at;
    piece_insert(in, room, at, other->bytes + from, other->count - from);
    break;
  }
  case 8: /* random bytes */
    for (bytes = 0; bytes < 8; bytes++) scratch[bytes] = (uint8_t)random_next();
    piece_insert(in, room, at, scratch, 1 + random_below(8));
    break;
  }
}

/* ------------------------------------------------------------------------------------------------ corpora */

static void usage(const char *why) {
  fprintf(stderr, "%s\nusage: fuzz_<noun> [--mutations N] [--seed S] [--first I] [--seconds T] FILE|DIRECTORY...\n", why);
  exit(2);
}

static void file_add(const char *path) {
  FILE *file = fopen(path, "rb");
  struct stat status;
  if (!file || fstat(fileno(file), &status) != 0) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
  }
  input in = {malloc((size_t)status.st_size + 1), (size_t)status.st_size};
  if (!in.bytes || fread(in.bytes, 1, in.count, file) != in.count) {
    fprintf(stderr, "%s: cannot be read whole\n", path);
    exit(1);
  }
  fclose(file);
  if (corpus.count == corpus.capacity) {
    corpus.capacity = corpus.capacity ? 2 * corpus.capacity : 64;
    corpus.files = realloc(corpus.files, corpus.capacity * sizeof *corpus.files);
    corpus.names = realloc(corpus.names, corpus.capacity * sizeof *corpus.names);
    if (!corpus.files || !corpus.names) abort();
  }
  corpus.files[corpus.count] = in;
  corpus.names[corpus.count] = strdup(path);
  corpus.count++;
  if (in.count > corpus.largest) corpus.largest = in.count;
}

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void path_add(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
  }
  if (!S_ISDIR(status.st_mode)) {
    file_add(path);
    return;
  }
  struct dirent **entries;
  int count = scandir(path, &entries, visible, alphasort);
  size_t before = corpus.count;
  for (int i = 0; i < count; i++) {
    char name[4096];
    snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
    if (stat(name, &status) == 0 && S_ISREG(status.st_mode)) file_add(name);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  if (corpus.count == before) {
    fprintf(stderr, "%s: no files to replay\n", path);
    exit(1);
  }
}

static uint64_t number(const char *text, const char *name) {
  char *end;
  errno = 0;
  unsigned long long value = text ? strtoull(text, &end, 0) : 0;
  if (!text || errno || end == text || *end || *text == '-') {
    fprintf(stderr, "%s: ", name);
    usage("a number is wanted");
  }
  return value;
}

static uint64_t setting(const char *variable, uint64_t otherwise) {
  const char *text = getenv(variable);
  return text && *text ? number(text, variable) : otherwise;
}

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  uint64_t mutations = setting("WIREBOOK_FUZZ_MUTATIONS", 20000), seed = setting("WIREBOOK_FUZZ_SEED", 1);
  uint64_t seconds = setting("WIREBOOK_FUZZ_SECONDS", 15), first = 0;
  if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--", 2) != 0) {
      path_add(argv[i]);
      continue;
    }
    const char *name = argv[i];
    uint64_t *value = strcmp(name, "--mutations") == 0 ? &mutations
                      : strcmp(name, "--seed") == 0    ? &seed
                      : strcmp(name, "--first") == 0   ? &first
                      : strcmp(name, "--seconds") == 0 ? &seconds
                                                       : NULL;
    if (!value) usage("unknown option");
    *value = number(argv[++i], name);
  }
  if (!corpus.count) usage("no corpus given");

  static const int signals[] = {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  bool sanitized = __sanitizer_set_death_callback != NULL;
  if (sanitized) __sanitizer_set_death_callback(say_current);
  for (size_t i = 0; i < (sanitized ? 2 : sizeof signals / sizeof signals[0]); i++) signal(signals[i], on_signal);

  wb_check_hook_set(on_check);
  double start = now_seconds();
  for (size_t i = 0; i < corpus.count; i++) {
    current.name = corpus.names[i];
    run(corpus.files[i].bytes, corpus.files[i].count);
  }
  current.name = NULL;

  size_t room = corpus.largest > MUTATED_BYTES_MIN ? corpus.largest : MUTATED_BYTES_MIN;
  uint8_t *bytes = malloc(room), *scratch = malloc(room);
  if (!bytes || !scratch) abort();
  uint64_t done = 0;
  for (; done < mutations && (seconds == 0 || now_seconds() - start < (double)seconds); done++) {
    current.seed = seed;
    current.index = first + done;
    random_state = seed;
    random_state = random_next() + current.index;
    const input *file = &corpus.files[random_below(corpus.count)];
    input in = {bytes, file->count};
    memcpy(bytes, file->bytes, file->count);
    for (size_t steps = 1 + random_below(6); steps; steps--) mutate(&in, room, scratch);
    run(in.bytes, in.count);
  }
  printf("seed %llu: %zu files, %llu of %llu mutations from %llu, %.1f s\n", (unsigned long long)seed, corpus.count,
         (unsigned long long)done, (unsigned long long)mutations, (unsigned long long)first, now_seconds() - start);
  for (size_t i = 0; i < corpus.count; i++) {
    free(corpus.files[i].bytes);
    free(corpus.names[i]);
  }
  free(corpus.files);
  free(corpus.names);
  free(bytes);
  free(scratch);
  return 0;
}
