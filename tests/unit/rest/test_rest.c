#include "io/rest.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/tls.h"

/* A server that takes connections one after the other, reads a request up to its empty line, and says what it was told to. */
typedef struct server {
  int listener;
  char url[64], request[4096];
  const char *says;
  size_t bytes, piece; /* sent so many at a time; 0: all at once */
  bool reset, mute;
  wb_tls_context *tls;
  pthread_t thread;
  volatile uint32_t *stop_when_asked;
} server;

static void say(int fd, const uint8_t *bytes, size_t count, size_t piece) {
  for (size_t i = 0; i < count;) {
    size_t n = piece && piece < count - i ? piece : count - i;
    ssize_t sent = send(fd, bytes + i, n, MSG_NOSIGNAL);
    if (sent <= 0) return;
    i += (size_t)sent;
  }
}

static void flush(int fd, wb_tls *tls) {
  size_t count;
  const uint8_t *bytes = wb_tls_output(tls, &count);
  if (count) say(fd, bytes, count, 0), wb_tls_sent(tls, count);
}

static void serve_tls(server *s, int fd) {
  wb_error error;
  wb_tls *tls = wb_tls_open(s->tls, NULL, &error);
  static uint8_t in[65536];
  size_t have = 0;
  bool secured = false, good = true;
  while (good && !strstr(s->request, "\r\n\r\n")) {
    ssize_t came = recv(fd, in, sizeof in, 0);
    if (came <= 0) break;
    wb_tls_feed(tls, in, (size_t)came);
    while (good) {
      int done = secured ? wb_tls_read(tls, (uint8_t *)s->request + have, sizeof s->request - 1 - have, &error)
                         : wb_tls_handshake(tls, &error);
      flush(fd, tls);
      if (done < 0) good = false;
      if (done <= 0) break;
      if (secured) have += (size_t)done;
      secured = true;
    }
  }
  if (good && wb_tls_write(tls, (const uint8_t *)s->says, s->bytes, &error) == 0) {
    if (!s->reset) wb_tls_shutdown(tls);
    flush(fd, tls);
  }
  wb_tls_close(tls);
}

static void *serve(void *self) {
  server *s = self;
  int fd = accept(s->listener, NULL, NULL);
  if (s->tls) serve_tls(s, fd);
  else {
    size_t have = 0;
    while (!strstr(s->request, "\r\n\r\n")) {
      ssize_t came = recv(fd, s->request + have, sizeof s->request - 1 - have, 0);
      if (came <= 0) break;
      have += (size_t)came;
    }
    if (s->stop_when_asked) *s->stop_when_asked = 1;
    say(fd, (const uint8_t *)s->says, s->bytes, s->piece);
    char rest[64];
    if (s->mute) /* until the client leaves */
      while (recv(fd, rest, sizeof rest, 0) > 0) {
      }
    if (s->reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
  }
  close(fd);
  if (s->tls) wb_tls_thread_end();
  return NULL;
}

static void start(server *s) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof a;
  s->listener = socket(AF_INET, SOCK_STREAM, 0);
  cr_assert_eq(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
  cr_assert_eq(listen(s->listener, 4), 0);
  getsockname(s->listener, (struct sockaddr *)&a, &bytes);
  snprintf(s->url, sizeof s->url, "%s://127.0.0.1:%u/products?x=1", s->tls ? "https" : "http", ntohs(a.sin_port));
  cr_assert_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void end(server *s) {
  pthread_join(s->thread, NULL);
  close(s->listener);
}

static const wb_rest_config patient = {.timeout_ns = 60 * (uint64_t)1000000000, .user_agent = "wirebook/test"};

static int get(const wb_rest_config *config, const char *says, size_t piece, wb_rest_answer *answer, wb_error *error) {
  server s = {.says = says, .bytes = strlen(says), .piece = piece};
  start(&s);
  int result = wb_rest_get(config, s.url, answer, error);
  end(&s);
  cr_assert_not_null(strstr(s.request, "GET /products?x=1 HTTP/1.1\r\nHost: 127.0.0.1:"), "%s", s.request);
  return result;
}

static void expect_body(const char *says, unsigned status, const char *body) {
  for (size_t piece = 0; piece < 8; piece++) {
    wb_rest_answer answer = {0};
    wb_error error = {0};
    cr_assert_eq(get(&patient, says, piece, &answer, &error), 0, "%s: %s", says, error.detail);
    cr_assert_eq(answer.status, status);
    cr_assert_eq(answer.body_bytes, strlen(body));
    cr_assert_str_eq((char *)answer.body, body);
    wb_rest_free(&answer);
    cr_assert_null(answer.body);
  }
}

Test(rest, the_body_is_whole_however_it_is_framed_and_cut) {
  expect_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]", 200, "[1,2]");
  expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\nTrailer: 1\r\n\r\n", 200,
              "[1,2]");
  expect_body("HTTP/1.0 200 OK\r\n\r\n[1,2]", 200, "[1,2]");
  expect_body("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}");
  expect_body("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
  expect_body("HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n{\"message\":\"NotFound\"}", 404,
              "{\"message\":\"NotFound\"}");
  expect_body("HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 301, "");
}

Test(rest, a_wish_to_wait_is_read_from_its_own_header_only) {
  static const struct {
    const char *head;
    unsigned seconds;
  } cases[] = {{"Retry-After: 7", 7},           {"retry-after: 120", 120},    {"Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", 0},
               {"Retry-After: 99999999999", 0}, {"Retry-Afterwards: 7", 0},   {"X: 7", 0},
               {"Retry-After: -1", 0},          {"Retry-After: 7\r\nX: 9", 7}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char says[256];
    snprintf(says, sizeof says, "HTTP/1.1 429 Too Many Requests\r\n%s\r\nContent-Length: 0\r\n\r\n", cases[i].head);
    for (size_t piece = 0; piece < 4; piece++) {
      wb_rest_answer answer;
      cr_assert_eq(get(&patient, says, piece, &answer, NULL), 0);
      cr_assert_eq(answer.status, 429);
      cr_assert_eq(answer.retry_after_s, cases[i].seconds, "%s: %u", cases[i].head, answer.retry_after_s);
      wb_rest_free(&answer);
    }
  }
}

Test(rest, what_is_cut_short_too_large_or_no_http_is_an_error) {
  static const struct {
    const char *says;
    int code;
  } cases[] = {
      {"", WB_E_CLOSED},
      {"HTTP/1.1 200 OK\r\nContent-Le", WB_E_CLOSED},
      {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n[1,2]", WB_E_CLOSED},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n", WB_E_CLOSED},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", WB_E_PROTOCOL},
      {"SSH-2.0-OpenSSH\r\n\r\n", WB_E_PROTOCOL},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", WB_E_PROTOCOL},
      {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", WB_E_PROTOCOL},
      {"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", WB_E_TOO_LARGE},
      {"HTTP/1.0 200 OK\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123456789", WB_E_TOO_LARGE},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n0123456789012345678901234567890123456789\r\n"
       "28\r\n0123456789012345678901234567890123456789\r\n0\r\n\r\n",
       WB_E_TOO_LARGE}};
  wb_rest_config config = patient;
  config.max_bytes = 64;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t piece = 0; piece < 4; piece++) {
      wb_rest_answer answer = {0};
      wb_error error = {0};
      int result = get(&config, cases[i].says, piece, &answer, &error);
      cr_assert_eq(result, cases[i].code, "%s: %d %s", cases[i].says, result, error.detail);
      cr_assert_eq(error.code, result);
      cr_assert_null(answer.body);
    }
}

Test(rest, a_head_without_end_is_left) {
  size_t bytes = 1 << 20;
  char *says = malloc(bytes + 1);
  memset(says, 'x', bytes), says[bytes] = 0;
  memcpy(says, "HTTP/1.1 200 OK\r\nX: ", 20);
  wb_rest_answer answer;
  cr_assert_eq(get(&patient, says, 0, &answer, NULL), WB_E_TOO_LARGE);
  free(says);
}

Test(rest, a_peer_that_dawdles_is_left_when_the_time_is_over) {
  server s = {.says = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", .bytes = 38, .mute = true};
  start(&s);
  wb_rest_config config = {.timeout_ns = 50000000};
  wb_rest_answer answer;
  cr_assert_eq(wb_rest_get(&config, s.url, &answer, NULL), WB_E_TIMEOUT);
  end(&s);
}

Test(rest, it_gives_up_when_told_to) {
  uint32_t stop = 0;
  server s = {.says = "", .mute = true, .stop_when_asked = &stop};
  start(&s);
  wb_rest_config config = patient;
  config.stop = &stop;
  wb_rest_answer answer;
  cr_assert_eq(wb_rest_get(&config, s.url, &answer, NULL), WB_E_STATE);
  end(&s);
}

Test(rest, a_url_that_is_none_and_a_peer_that_is_not_there_are_named) {
  static const char *const wrong[] = {"",        "ftp://127.0.0.1/", "wss://127.0.0.1/",      "http:/127.0.0.1",
                                      "http://", "https://a b/",     "http://user@127.0.0.1/"};
  wb_rest_answer answer;
  wb_error error;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    cr_assert_eq(wb_rest_get(&patient, wrong[i], &answer, &error), WB_E_CONFIG, "%s", wrong[i]);
    cr_assert(error.detail[0]);
  }
  cr_assert_eq(wb_rest_get(&patient, NULL, &answer, &error), WB_E_CONFIG);
  server s = {.says = ""};
  start(&s);
  cr_assert_eq(wb_rest_get(&patient, s.url, &answer, &error), WB_E_CLOSED);
  end(&s);
  cr_assert_eq(wb_rest_get(&patient, s.url, &answer, &error), WB_E_CONNECT);
  cr_assert_not_null(strstr(error.detail, "127.0.0.1:"), "%s", error.detail);
}

Test(rest, over_tls_the_peer_must_be_the_one_meant_and_a_cut_is_no_end) {
  char folder[] = "/tmp/wb_rest.XXXXXX", cert[64], key[64], ca[64];
  cr_assert_not_null(mkdtemp(folder));
  snprintf(cert, sizeof cert, "%s/cert", folder), snprintf(key, sizeof key, "%s/key", folder),
      snprintf(ca, sizeof ca, "%s/ca", folder);
  wb_error error = {0};
  cr_assert_eq(wb_tls_certificate_make(cert, key, ca, &error), 0, "%s", error.detail);
  wb_tls_context *context = wb_tls_server_open(cert, key, &error);
  cr_assert_not_null(context, "%s", error.detail);
  static const char sized[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]", open[] = "HTTP/1.0 200 OK\r\n\r\n[1,2]";
  const struct {
    const char *says, *ca;
    bool cut;
    int code;
  } cases[] = {{sized, ca, false, 0},
               {sized, ca, true, 0},
               {open, ca, false, 0},
               {open, ca, true, WB_E_CLOSED},
               {sized, NULL, false, WB_E_CERTIFICATE}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    server s = {.says = cases[i].says, .bytes = strlen(cases[i].says), .tls = context, .reset = cases[i].cut};
    start(&s);
    wb_rest_config config = patient;
    config.ca_file = cases[i].ca;
    wb_rest_answer answer = {0};
    int result = wb_rest_get(&config, s.url, &answer, &error);
    end(&s);
    cr_assert_eq(result, cases[i].code, "%zu: %d %s", i, result, error.detail);
    if (result == 0) cr_assert_str_eq((char *)answer.body, "[1,2]");
    if (result == 0) wb_rest_free(&answer);
  }
  wb_tls_context_close(context);
  unlink(cert), unlink(key), unlink(ca), rmdir(folder);
}
