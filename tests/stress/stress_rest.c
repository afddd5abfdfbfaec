/* Edges A1 and A2: thousands of requests of some products by one thread, answered by a server of this program, taken and published by the asking thread, and read
 * behind that. Each record must be whole, of the product and connection that asked, and carry the next number; who asked last is answered last. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/ring/atomic.h"
#include "io/host.h"
#include "io/memory.h"
#include "io/source_rest.h"

enum { PRODUCTS = 5, ASKS = 8000, JOURNAL = 1 << 17, FRAMES = 64, BODY_MAX = 20000 };

static wb_products products;
static wb_frames frames;
static wb_source_rest *rest;
static uint32_t done, connection[PRODUCTS]; /* connection: W main, R reader: the last that asked */
static uint64_t read_frames;
static uint16_t seen[PRODUCTS];
static int stopping;

static void fail(const char *what) {
  fprintf(stderr, "FAILED: %s\n", what);
  exit(1);
}

static int path(const wb_products *of, uint16_t product, char *text, size_t size) {
  return snprintf(text, size, "/books/%s", of->product[product].id);
}

/* The body of a request is its path, so often that the length says which. */
static void serve(int fd) {
  char request[2048], body[BODY_MAX + 256], head[256], target[128];
  size_t used = 0;
  ssize_t count;
  while (used < sizeof request - 1 && (count = recv(fd, request + used, sizeof request - 1 - used, 0)) > 0) {
    request[used += (size_t)count] = 0;
    if (strstr(request, "\r\n\r\n")) break;
  }
  if (sscanf(request, "GET %127s HTTP", target) != 1) {
    if (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) fail("the request has no path");
    close(fd);
    return;
  }
  size_t bytes = 0, wanted = 1 + used * 7919 % BODY_MAX;
  while (bytes < wanted) bytes += (size_t)sprintf(body + bytes, "%s\n", target);
  int n = sprintf(head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                  bytes % 3 ? "200 OK" : "404 Not Found", bytes);
  bool sent = send(fd, head, (size_t)n, MSG_NOSIGNAL) >= 0 && send(fd, body, bytes, MSG_NOSIGNAL) >= 0;
  if (!sent && !__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) fail("send");
  close(fd);
}

static void *server(void *self) {
  for (int fd; (fd = accept(*(int *)self, NULL, NULL)) >= 0;) serve(fd);
  return NULL;
}

static void check(const wb_frame *frame, const char *bytes) {
  char target[64], line[80];
  unsigned status;
  int head = 0;
  if (frame->number != read_frames || frame->kind != WB_FRAME_ANSWER) fail("number or kind");
  if (sscanf(bytes, "GET %63s %u\n%n", target, &status, &head) != 2) fail("first line");
  int product = wb_products_find(&products, target + strlen("/books/"), strlen(target) - strlen("/books/"));
  if (product < 0 || frame->line != (uint8_t)product) fail("of another product");
  if (frame->connection > __atomic_load_n(&connection[product], __ATOMIC_ACQUIRE) || frame->connection < seen[product])
    fail("of a connection that was not asking");
  __atomic_store_n(&seen[product], frame->connection, __ATOMIC_RELAXED);
  size_t one = (size_t)sprintf(line, "%s\n", target), body = frame->bytes - (size_t)head;
  if (body % one || status != (body % 3 ? 200u : 404u)) fail("length of the body");
  for (size_t at = (size_t)head; at < frame->bytes; at += one)
    if (memcmp(bytes + at, line, one) != 0) fail("bytes of the body");
}

static void *reader(void *self) {
  for (;;) {
    bool last = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
    size_t count;
    const wb_frame *frame = wb_frames_peek(&frames, 0, 0, 1, &count);
    if (!count) {
      if (last) return NULL;
      sched_yield();
      continue;
    }
    char *text = malloc(frame->bytes + 1);
    memcpy(text, wb_frames_at(&frames, frame->position), frame->bytes);
    text[frame->bytes] = 0;
    check(frame, text);
    free(text);
    read_frames++;
    wb_frames_release(&frames, 0, 1);
  }
}

static void wake(void *self) {}
static void say(void *self, int level, const char *text) { fail(text); }

int main(void) {
  static const wb_codec_orders orders = {.path = path};
  char url[64], id[8];
  wb_error error;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t address_bytes = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &address_bytes) != 0)
    fail("no server");
  snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
  void *memory = aligned_alloc(64, (wb_products_bytes(PRODUCTS) + 63) / 64 * 64);
  wb_products_init(&products, memory, PRODUCTS);
  for (int i = 0; i < PRODUCTS; i++) wb_products_add(&products, id, (size_t)snprintf(id, sizeof id, "P%d", i));
  wb_frame *descriptors = calloc(FRAMES, sizeof *descriptors);
  if (wb_frames_init(&frames, wb_mirror_open(JOURNAL, false, &error), JOURNAL, descriptors, FRAMES, 1) != 0) fail("ring");
  wb_host host = {.log = say};
  rest = wb_source_rest_open(&(wb_source_rest_config){.url = url,
                                                      .orders = &orders,
                                                      .products = &products,
                                                      .per_second = 1000000,
                                                      .body_bytes_max = 1 << 16,
                                                      .frames = &frames,
                                                      .host = &host,
                                                      .wake = wake},
                             &error);
  if (!rest || wb_source_rest_start(rest, &error) != 0) fail(error.detail);
  pthread_t serving, reading;
  pthread_create(&serving, NULL, server, &listener);
  pthread_create(&reading, NULL, reader, NULL);
  uint64_t number = 0, due_ns = wb_clock_ns() + UINT64_C(300000000000);
  for (unsigned asks = 0; asks < ASKS;) {
    unsigned product = (asks * 7 + asks / 3) % PRODUCTS;
    uint16_t as = (uint16_t)(connection[product] + asks % 2);
    __atomic_store_n(&connection[product], as, __ATOMIC_RELEASE);
    wb_source_rest_ask(rest, (uint16_t)product, (uint8_t)product, as);
    asks++;
    /* Now and then waits for an answer, so that askings meet requests at every stage. */
    bool taken = wb_source_rest_take(rest, number, wb_clock_ns());
    while (!taken && asks % 4 == 0 && wb_clock_ns() < due_ns) {
      sched_yield();
      taken = wb_source_rest_take(rest, number, wb_clock_ns());
    }
    number += taken;
  }
  for (bool all = false; !all && wb_clock_ns() < due_ns; sched_yield()) { /* until the last asking of each is answered */
    if (wb_source_rest_take(rest, number, wb_clock_ns())) number++;
    all = true;
    for (int i = 0; i < PRODUCTS; i++) all &= __atomic_load_n(&seen[i], __ATOMIC_RELAXED) == connection[i];
  }
  __atomic_store_n(&stopping, 1, __ATOMIC_RELEASE); /* a product that was asked for twice may be on its way once more */
  wb_source_rest_stop(rest);
  __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
  pthread_join(reading, NULL);
  for (int i = 0; i < PRODUCTS; i++)
    if (seen[i] != connection[i]) fail("the last asking of a product was not answered");
  if (read_frames != number || number < PRODUCTS) fail("records are missing");
  shutdown(listener, SHUT_RDWR);
  pthread_join(serving, NULL);
  wb_source_rest_close(rest);
  printf("%u askings, %llu answers\n", ASKS, (unsigned long long)number);
  return 0;
}
