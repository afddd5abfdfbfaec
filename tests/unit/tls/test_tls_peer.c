#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "io/tls.h"
#include "tests/unit/tls/fixture.h"

TestSuite(tls_peer, .init = setup, .fini = clean, .timeout = 120);

typedef struct program {
  pid_t pid;
  int in, out;
} program;

static program started(const char *const *arguments) {
  int in[2], out[2];
  cr_assert(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
  program p = {.pid = fork(), .in = in[1], .out = out[0]};
  if (!p.pid) {
    int log = open(at("openssl.log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(in[0], 0), dup2(out[1], 1), dup2(log, 2);
    execvp(arguments[0], (char *const *)arguments);
    _exit(127);
  }
  close(in[0]), close(out[1]);
  return p;
}

static void ended(program *p) {
  close(p->in), close(p->out);
  kill(p->pid, SIGKILL);
  waitpid(p->pid, NULL, 0);
}

static bool readable(int fd) {
  struct pollfd poller = {.fd = fd, .events = POLLIN};
  return poll(&poller, 1, 20000) == 1;
}

static void all_sent(wb_tls *tls, int fd) {
  size_t count;
  for (const uint8_t *bytes; (bytes = wb_tls_output(tls, &count));) {
    ssize_t n = send(fd, bytes, count, MSG_NOSIGNAL);
    cr_assert_gt(n, 0, "%s", strerror(errno));
    wb_tls_sent(tls, (size_t)n);
  }
}

/* Feeds what the socket has, at most once; false at its end. */
static bool fed_from(wb_tls *tls, int fd, uint8_t *buffer, size_t size) {
  if (wb_tls_fed(tls)) return true;
  cr_assert(readable(fd), "openssl says nothing, see its log in %s", folder);
  ssize_t n = recv(fd, buffer, size, 0);
  if (n <= 0) return false;
  wb_tls_feed(tls, buffer, (size_t)n);
  return true;
}

static int shake_over(wb_tls *tls, int fd, wb_error *error) {
  static uint8_t buffer[3000];
  for (;;) {
    int result = wb_tls_handshake(tls, error);
    all_sent(tls, fd);
    if (result || !fed_from(tls, fd, buffer, sizeof buffer)) return result;
  }
}

/* Text both ways: digits only, since openssl takes some letters at the start of a line for commands. */
static void exchange_over(wb_tls *tls, int fd, program *p) {
  enum { TEXT_BYTES = 200000 };
  static uint8_t text[TEXT_BYTES + 1], got[TEXT_BYTES + 4096], buffer[3000];
  for (size_t i = 0; i < TEXT_BYTES; i++) text[i] = i % 64 == 63 ? '\n' : (uint8_t)('0' + byte_at(i) % 10);
  wb_error error = {0};

  cr_assert_eq(wb_tls_write(tls, text, TEXT_BYTES, &error), 0);
  all_sent(tls, fd); /* the socket's buffers and openssl's appetite hold it */
  size_t count = 0;
  while (count < sizeof got && !memmem(got, count, text, TEXT_BYTES)) {
    cr_assert(readable(p->out), "%zu bytes of ours came out", count);
    ssize_t n = read(p->out, got + count, sizeof got - count);
    cr_assert_gt(n, 0);
    count += (size_t)n;
  }
  cr_assert_not_null(memmem(got, count, text, TEXT_BYTES));

  count = 0;
  for (size_t given = 0; count < TEXT_BYTES;) {
    if (given < TEXT_BYTES) {
      ssize_t n = write(p->in, text + given, TEXT_BYTES - given < 4096 ? TEXT_BYTES - given : 4096);
      cr_assert_gt(n, 0);
      given += (size_t)n;
    }
    int n;
    while ((n = wb_tls_read(tls, got + count, sizeof got - count, &error)) > 0) count += (size_t)n;
    cr_assert_eq(n, 0, "%s", error.detail);
    if (count < TEXT_BYTES) cr_assert(fed_from(tls, fd, buffer, sizeof buffer));
  }
  cr_assert_eq(count, TEXT_BYTES);
  cr_assert_arr_eq(got, text, TEXT_BYTES);
}

static int listening(char *name, size_t size) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  cr_assert(!bind(fd, (struct sockaddr *)&address, bytes) && !listen(fd, 1));
  cr_assert(!getsockname(fd, (struct sockaddr *)&address, &bytes));
  snprintf(name, size, "127.0.0.1:%u", ntohs(address.sin_port));
  return fd;
}

Test(tls_peer, openssl_s_client_talks_with_our_server) {
  const char *const versions[] = {"-tls1_2", "-tls1_3"};
  for (int i = 0; i < 2; i++) {
    char name[40];
    int listener = listening(name, sizeof name);
    wb_error error = {0};
    wb_tls_context *context = wb_tls_server_open(at("good.pem"), at("good.key"), &error);
    wb_tls *tls = wb_tls_open(context, NULL, &error);
    program p =
        started((const char *const[]){"openssl", "s_client", "-connect", name, versions[i], "-CAfile", at("ca.pem"),
                                      "-verify_return_error", "-verify_hostname", "localhost", "-quiet", "-no_ign_eof", NULL});
    cr_assert(readable(listener));
    int fd = accept(listener, NULL, NULL);
    cr_assert_eq(shake_over(tls, fd, &error), 1, "%s", error.detail);
    exchange_over(tls, fd, &p);
    close(p.in); /* its end of file: it says goodbye */
    p.in = -1;
    uint8_t buffer[3000], byte;
    int result;
    while (!(result = wb_tls_read(tls, &byte, 1, &error)) && fed_from(tls, fd, buffer, sizeof buffer)) {
    }
    cr_assert_eq(result, WB_E_CLOSED, "%d %s", result, error.detail);
    ended(&p);
    close(fd), close(listener);
    wb_tls_close(tls);
    wb_tls_context_close(context);
  }
}

Test(tls_peer, our_client_talks_with_openssl_s_server) {
  const char *const versions[] = {"-tls1_2", "-tls1_3"};
  for (int i = 0; i < 2; i++) {
    program p = started((const char *const[]){"openssl", "s_server", "-accept", "127.0.0.1:0", versions[i], "-cert",
                                              at("good.pem"), "-key", at("good.key"), NULL});
    char said[4096] = {0}, *line = NULL;
    for (size_t count = 0; !line || !strchr(line, '\n'); line = strstr(said, "ACCEPT 127.0.0.1:")) {
      cr_assert(count < sizeof said - 1 && readable(p.out));
      ssize_t n = read(p.out, said + count, sizeof said - 1 - count);
      cr_assert_gt(n, 0, "%s", said);
      count += (size_t)n;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)atoi(strchr(line, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(!connect(fd, (struct sockaddr *)&address, sizeof address));
    wb_error error = {0};
    wb_tls_context *context = wb_tls_client_open(at("ca.pem"), false, &error);
    wb_tls *tls = wb_tls_open(context, "127.0.0.1", &error);
    cr_assert_eq(shake_over(tls, fd, &error), 1, "%s", error.detail);
    exchange_over(tls, fd, &p);
    ended(&p);
    close(fd);
    wb_tls_close(tls);
    wb_tls_context_close(context);
  }
}

Test(tls_peer, openssl_refuses_us_where_it_should_and_we_say_why) {
  /* wolfSSL 5.5.4 does not read the alert of a 1.3 client that has not switched its own side to encryption yet. */
  const struct {
    const char *version, *ca, *words;
  } cases[] = {{"-tls1_2", "other.pem", "unknown_ca"}, {"-tls1_3", "other.pem", ""}, {"-tls1_1", "ca.pem", "protocol version"}};
  char name[40];
  int listener = listening(name, sizeof name);
  wb_error error = {0};
  wb_tls_context *context = wb_tls_server_open(at("good.pem"), at("good.key"), &error);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wb_tls *tls = wb_tls_open(context, NULL, &error);
    program p =
        started((const char *const[]){"openssl", "s_client", "-connect", name, cases[i].version, "-cipher", "ALL:@SECLEVEL=0",
                                      "-CAfile", at(cases[i].ca), "-verify_return_error", "-quiet", NULL});
    cr_assert(readable(listener));
    int fd = accept(listener, NULL, NULL);
    cr_assert_eq(shake_over(tls, fd, &error), WB_E_TLS);
    cr_assert_not_null(strstr(error.detail, cases[i].words), "%s: %s", cases[i].version, error.detail);
    ended(&p);
    close(fd);
    wb_tls_close(tls);
  }
  close(listener);
  wb_tls_context_close(context);
}

Test(tls_peer, a_client_that_renegotiates_is_an_error) {
  char name[40];
  int listener = listening(name, sizeof name);
  wb_error error = {0};
  wb_tls_context *context = wb_tls_server_open(at("good.pem"), at("good.key"), &error);
  wb_tls *tls = wb_tls_open(context, NULL, &error);
  program p = started((const char *const[]){"openssl", "s_client", "-connect", name, "-tls1_2", "-CAfile", at("ca.pem"), NULL});
  cr_assert(readable(listener));
  int fd = accept(listener, NULL, NULL), result;
  cr_assert_eq(shake_over(tls, fd, &error), 1, "%s", error.detail);
  cr_assert_eq(write(p.in, "R\n", 2), 2);
  uint8_t buffer[3000], byte;
  while (!(result = wb_tls_read(tls, &byte, 1, &error))) {
    all_sent(tls, fd);
    if (!fed_from(tls, fd, buffer, sizeof buffer)) break;
  }
  cr_assert_eq(result, WB_E_TLS);
  ended(&p);
  close(fd), close(listener);
  wb_tls_close(tls);
  wb_tls_context_close(context);
}
