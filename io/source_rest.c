#include "io/source_rest.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/host.h"
#include "io/http1.h"
#include "io/rest.h"
#include "io/tls.h"

enum { URL_BYTES_MAX = 512, RETRY_SECONDS_MAX = 3600, ASKED_COUNT_AT = 24 };
static const uint64_t SECOND = UINT64_C(1000000000), ROOM_WAIT_NS = UINT64_C(10000000), UNSAID_WAIT_NS = UINT64_C(1000000000);

struct wb_source_rest {
  wb_source_rest_config config;
  char url[URL_BYTES_MAX];
  pthread_t thread;
  bool started;
  wb_rest_names *names; /* a node that is confined starts no thread later */

  uint64_t *served; /* W rest, private: as asked, when it was last looked at */
  uint32_t turn;    /* W rest, private: product to be looked at next */
  uint64_t due_ns;  /* W rest, private: no request before */
  uint32_t stop;    /* W control, R rest */

  /* [A1]: what a product wants: line and connection of whom asks, and above them a count, so that each asking differs. */
  uint64_t *asked;                             /* W ingest, R rest */
  _Alignas(WB_CACHE_PAIR_BYTES) uint32_t bell; /* W ingest and control, R rest: counts reasons to wake */

  _Alignas(WB_CACHE_PAIR_BYTES) uint64_t offered; /* W rest (1), W ingest (0) [A2] */
  wb_frame offer;                                 /* as offered says */
};

static void ring_bell(wb_source_rest *rest) {
  __atomic_fetch_add(&rest->bell, 1, __ATOMIC_RELEASE);
  wb_futex_wake(&rest->bell);
}

/* ------------------------------------------------------------------------------------------------ the ingest thread */

void wb_source_rest_ask(void *self, uint16_t product, uint8_t line, uint16_t connection) {
  wb_source_rest *rest = self;
  uint64_t count = (rest->asked[product] >> ASKED_COUNT_AT) + 1;
  /* [A1] releases to next_product: who sees this asking sees no older one of the product. */
  wb_store_release(&rest->asked[product], count << ASKED_COUNT_AT | (uint64_t)line << 16 | connection);
  ring_bell(rest);
}

bool wb_source_rest_take(void *self, uint64_t number, uint64_t now_ns) {
  wb_source_rest *rest = self;
  wb_frames *frames = rest->config.frames;
  if (!wb_load_acquire(&rest->offered)) return false; /* [A2] */
  if (!wb_frames_slots(frames, 1)) return false;
  wb_frame frame = rest->offer;
  frame.position = frames->head;
  frame.recv_ns = now_ns;
  frame.number = number;
  wb_frames_advance(frames, frame.bytes);
  wb_frames_push(frames, &frame);
  wb_frames_publish(frames);
  wb_store_release(&rest->offered, 0); /* [A2] */
  return true;
}

/* ------------------------------------------------------------------------------------------------ the thread */

static bool stopping(const wb_source_rest *rest) { return __atomic_load_n(&rest->stop, __ATOMIC_ACQUIRE); }

static void say(const wb_source_rest *rest, const char *path, const char *what) {
  char text[512];
  snprintf(text, sizeof text, "rest GET %s: %s", path, what);
  for (char *c = text; *c; c++) /* a peer's words may be among it */
    if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) *c = '?';
  rest->config.host->log(rest->config.host->self, WB_LOG_WARNING, text);
}

/* A product that asks and was not served since; -1: none. *asked is what it said. */
static int next_product(wb_source_rest *rest, uint64_t *asked) {
  uint32_t count = rest->config.products->count;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t index = (rest->turn + i) % count;
    *asked = wb_load_acquire(&rest->asked[index]); /* [A1] */
    if (*asked == rest->served[index]) continue;
    rest->turn = index + 1;
    return (int)index;
  }
  return -1;
}

/* Waits for the bell after `heard`, until due_ns at most. */
static void wait_until(wb_source_rest *rest, uint32_t heard, uint64_t due_ns) {
  uint64_t now_ns = wb_clock_ns();
  if (now_ns < due_ns && !stopping(rest)) wb_futex_sleep(&rest->bell, heard, due_ns - now_ns);
}

/* Lays the record into the ring, as soon as ingest has taken the one before and there is room. */
static void offer(wb_source_rest *rest, uint64_t asked, const char *head, size_t head_bytes, const uint8_t *body,
                  size_t bytes) {
  wb_frames *frames = rest->config.frames;
  size_t whole = head_bytes + bytes;
  for (;;) {
    uint32_t heard = __atomic_load_n(&rest->bell, __ATOMIC_ACQUIRE);
    if (!wb_load_acquire(&rest->offered)) { /* [A2] */
      wb_frames_turn(frames, 0, whole);
      if (wb_frames_room(frames, whole) >= whole) break;
    }
    if (stopping(rest)) return;
    wait_until(rest, heard, wb_clock_ns() + ROOM_WAIT_NS);
  }
  memcpy(wb_frames_head(frames), head, head_bytes);
  if (bytes) memcpy(wb_frames_head(frames) + head_bytes, body, bytes);
  rest->offer = (wb_frame){
      .bytes = (uint32_t)whole, .connection = (uint16_t)asked, .line = (uint8_t)(asked >> 16 & 0xff), .kind = WB_FRAME_ANSWER};
  wb_store_release(&rest->offered, 1); /* [A2] */
  rest->config.wake(rest->config.self);
}

static void request(wb_source_rest *rest, uint16_t product, uint64_t asked) {
  char path[WB_REST_HEAD_BYTES_MAX - 32], head[WB_REST_HEAD_BYTES_MAX], url[URL_BYTES_MAX + sizeof path];
  if (rest->config.orders->path(rest->config.products, product, path, sizeof path) < 0) return;
  snprintf(url, sizeof url, "%s%s", rest->url, path);
  const wb_rest_config config = {.ca_file = rest->config.ca_file,
                                 .insecure = rest->config.insecure,
                                 .max_bytes = rest->config.body_bytes_max,
                                 .user_agent = "wirebook/" WB_VERSION,
                                 .names = rest->names,
                                 .stop = &rest->stop};
  wb_rest_answer answer = {0};
  wb_error error = {0};
  uint64_t now_ns = wb_clock_ns();
  rest->due_ns = now_ns + SECOND / rest->config.per_second;
  int result = wb_rest_get(&config, url, &answer, &error);
  if (result == WB_E_STATE) return;
  uint64_t again = wb_load_acquire(&rest->asked[product]);
  if (!((again ^ asked) << (64 - ASKED_COUNT_AT)))
    rest->served[product] = again; /* the answer is for what was asked meanwhile, too */
  int head_bytes = snprintf(head, sizeof head, "GET %s %u\n", path, answer.status);
  if (result < 0) {
    say(rest, path, error.detail);
    offer(rest, asked, head, (size_t)head_bytes, (const uint8_t *)error.detail, strlen(error.detail));
    return;
  }
  if (answer.status == 429 || answer.status == 503) {
    char text[64];
    unsigned wait_s = answer.retry_after_s < RETRY_SECONDS_MAX ? answer.retry_after_s : RETRY_SECONDS_MAX;
    uint64_t wait_ns = wait_s ? wait_s * SECOND : UNSAID_WAIT_NS;
    snprintf(text, sizeof text, "%u, waiting for %llu s", answer.status, (unsigned long long)(wait_ns / SECOND));
    say(rest, path, text);
    rest->due_ns = wb_clock_ns() + wait_ns;
  }
  offer(rest, asked, head, (size_t)head_bytes, answer.body, answer.body_bytes);
  wb_rest_free(&answer);
}

static void *thread_main(void *self) {
  wb_source_rest *rest = self;
  wb_cpu_name(pthread_self(), "wb-rest");
  wb_cpu_step_aside(&rest->config.avoid, false);
  while (!stopping(rest)) {
    uint32_t heard = __atomic_load_n(&rest->bell, __ATOMIC_ACQUIRE);
    uint64_t asked;
    int product = next_product(rest, &asked);
    uint64_t now_ns = wb_clock_ns();
    if (product < 0) {
      wait_until(rest, heard, now_ns + SECOND);
    } else if (now_ns < rest->due_ns) {
      rest->turn = (uint32_t)product;
      wait_until(rest, heard, rest->due_ns);
    } else {
      rest->served[product] = asked;
      request(rest, (uint16_t)product, asked);
    }
  }
  wb_tls_thread_end();
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ life */

wb_source_rest *wb_source_rest_open(const wb_source_rest_config *config, wb_error *error) {
  size_t bytes = strlen(config->url), count = config->products->count;
  while (bytes && config->url[bytes - 1] == '/') bytes--;
  if (bytes >= URL_BYTES_MAX) {
    wb_error_set(error, WB_E_LIMIT, 0, "rest", "the URL of REST is longer than %d bytes", URL_BYTES_MAX - 1);
    return NULL;
  }
  if (strncmp(config->url, "http://", 7) != 0 && strncmp(config->url, "https://", 8) != 0) {
    wb_error_set(error, WB_E_CONFIG, 0, "rest", "'%s' is no URL of http or https", config->url);
    return NULL;
  }
  wb_source_rest *rest =
      aligned_alloc(WB_CACHE_PAIR_BYTES, (sizeof *rest + WB_CACHE_PAIR_BYTES - 1) / WB_CACHE_PAIR_BYTES * WB_CACHE_PAIR_BYTES);
  if (!rest) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "rest", "no memory");
    return NULL;
  }
  memset(rest, 0, sizeof *rest);
  rest->config = *config;
  rest->config.url = rest->url;
  memcpy(rest->url, config->url, bytes);
  if (!rest->config.per_second) rest->config.per_second = WB_REST_PER_SECOND_DEFAULT;
  rest->asked = calloc(count, sizeof *rest->asked);
  rest->served = calloc(count, sizeof *rest->served);
  rest->names = wb_rest_names_open(error);
  if (rest->asked && rest->served && rest->names) return rest;
  if (rest->names) wb_error_set(error, WB_E_MEMORY, ENOMEM, "rest", "no memory for %zu products", count);
  wb_source_rest_close(rest);
  return NULL;
}

int wb_source_rest_start(wb_source_rest *rest, wb_error *error) {
  int failed = pthread_create(&rest->thread, NULL, thread_main, rest);
  if (failed) return wb_error_set(error, WB_E_SYSTEM, failed, "rest", "cannot start a thread: %s", strerror(failed));
  rest->started = true;
  return 0;
}

void wb_source_rest_stop(wb_source_rest *rest) {
  if (!rest || !rest->started) return;
  __atomic_store_n(&rest->stop, 1, __ATOMIC_RELEASE);
  ring_bell(rest);
  pthread_join(rest->thread, NULL);
  rest->started = false;
}

void wb_source_rest_close(wb_source_rest *rest) {
  if (!rest) return;
  wb_source_rest_stop(rest);
  wb_rest_names_close(rest->names);
  free(rest->asked);
  free(rest->served);
  free(rest);
}
