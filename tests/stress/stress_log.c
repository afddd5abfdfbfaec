/* G1: lines from several threads, each whole and each writer's in its order, none missing but those counted as dropped; and a writer that is stopped
 * wherever it happens to be holds up neither other writers nor the drain. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/host.h"

enum { WRITERS = 3, LINES = 20000, STOPS = 300, BESIDE = 10, SECONDS_MAX = 500 };

static wb_log *book;
static atomic_uint writing, begun;
static atomic_bool enough;
static int held[2], let_go[2];

static void fail(const char *what, const char *line) {
  printf("stress_log: %s: %s\n", what, line);
  exit(1);
}

/* Text of a length of its own, all of it known from its number. */
static void put(unsigned writer, unsigned number) {
  char text[480], *to = text + sprintf(text, "writer %u line %u ", writer, number);
  memset(to, 'a' + (int)(number % 26), number % 400);
  to[number % 400] = 0;
  wb_log_put(book, WB_LOG_INFO, text);
}

static void *write_lines(void *writer) {
  for (unsigned i = 1; i <= LINES; i++) {
    put((unsigned)(uintptr_t)writer, i);
    if (i % 64 == 0) sched_yield();
  }
  atomic_fetch_sub(&writing, 1);
  return NULL;
}

static void on_stop(int number) {
  char byte = 0;
  if (write(held[1], &byte, 1) != 1 || read(let_go[0], &byte, 1) != 1) _exit(2);
}

static void *write_until_enough(void *unused) {
  while (!atomic_load(&enough)) wb_log_putf(book, WB_LOG_INFO, "stopped now and then, %u", atomic_fetch_add(&begun, 1));
  return NULL;
}

/* Returns how many lines are there; dropped are added up. */
static unsigned check(const char *path, unsigned long *dropped) {
  FILE *file = fopen(path, "r");
  char line[1024];
  unsigned count = 0, last[WRITERS] = {0};
  if (!file) fail("no file", path);
  while (fgets(line, sizeof line, file)) {
    char letters[512] = "", more[64] = "";
    unsigned writer, number;
    unsigned long lost;
    if (sscanf(line, "%*s warning %lu log lines %63s", &lost, more) == 2 && !strcmp(more, "dropped:")) {
      *dropped += lost;
      continue;
    }
    if (sscanf(line, "%*s info writer %u line %u %511s", &writer, &number, letters) < 2 || writer >= WRITERS)
      fail("torn", line);
    if (number <= last[writer]) fail("out of order", line);
    if (strlen(letters) != number % 400 || strspn(letters, (char[]){(char)('a' + number % 26), 0}) != number % 400)
      fail("not what was written", line);
    last[writer] = number;
    count++;
  }
  fclose(file);
  return count;
}

static void all_lines(void) {
  char path[] = "/tmp/wb-log-XXXXXX";
  close(mkstemp(path));
  book = wb_log_open(path, WB_LOG_INFO, false, NULL);
  pthread_t thread[WRITERS];
  atomic_store(&writing, WRITERS);
  for (unsigned i = 0; i < WRITERS; i++) pthread_create(&thread[i], NULL, write_lines, (void *)(uintptr_t)i);
  while (atomic_load(&writing)) wb_log_drain(book);
  for (unsigned i = 0; i < WRITERS; i++) pthread_join(thread[i], NULL);
  wb_log_close(book);
  unsigned long dropped = 0;
  unsigned count = check(path, &dropped);
  unlink(path);
  printf("stress_log: %u lines, %lu dropped\n", count, dropped);
  if (count + dropped != WRITERS * LINES || !count) fail("lines are missing", path);
}

static void stopped_writer(void) {
  if (pipe(held) || pipe(let_go)) fail("no pipes", "");
  sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_stop}, NULL);
  book = wb_log_open("/dev/null", WB_LOG_INFO, false, NULL);
  pthread_t writer;
  pthread_create(&writer, NULL, write_until_enough, NULL);
  for (unsigned i = 0; i < STOPS; i++) {
    char byte = 0;
    unsigned before = atomic_load(&begun);
    while (atomic_load(&begun) == before) sched_yield(); /* it is through with the line in which it was stopped */
    pthread_kill(writer, SIGUSR1);
    if (read(held[0], &byte, 1) != 1) fail("the writer did not stop", "");
    wb_log_drain(book);
    for (unsigned n = 0; n < BESIDE; n++) wb_log_put(book, WB_LOG_INFO, "beside it");
    if (wb_log_drain(book) != BESIDE) fail("lines were held up", "by a writer that was stopped");
    if (write(let_go[1], &byte, 1) != 1) fail("the writer did not go on", "");
  }
  atomic_store(&enough, true);
  pthread_join(writer, NULL);
  wb_log_close(book);
  printf("stress_log: a writer was stopped %d times, and held up nobody\n", STOPS);
}

int main(void) {
  alarm(SECONDS_MAX); /* a lock would hang it */
  all_lines();
  stopped_writer();
  return 0;
}
