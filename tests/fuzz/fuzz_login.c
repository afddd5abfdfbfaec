/* fuzz_login.c - key files, and tokens as the mock exchange reads them.
 *
 * Input:   byte 0: a key file for the feed coinbase-exchange ('x') or coinbase-advanced ('a'), or a token ('t').
 * Oracle:  a refusal says why. A file that is JSON is accepted with the values that another reader finds in it, and they come out of a signed message as they
 *          went in; struck out, the message is JSON still, and says none of them. A token is good only if it says what the key once signed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/login.h"
#include "tools/mock_login.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = WB_LOGIN_FILE_BYTES_MAX + 64 };
static const int64_t NOW_NS = INT64_C(1785649432000000000);
static const char SUBSCRIBE[] = "{\"type\":\"subscribe\",\"channels\":[\"full\"]}";

/* The keys of RFC 6979, A.2.5, and RFC 8032, 7.1, and a token of each. */
static const char accounts[] =
    "{\"advanced\":[{\"name\":\"ec\",\"publicKey\":\"-----BEGIN PUBLIC "
    "KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/"
    "4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\\n-----END PUBLIC KEY-----\"},{\"name\":\"ed\",\"publicKey\":\"-----BEGIN "
    "PUBLIC KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----\"}]}";
static const char *const genuine[] = {
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVjIiwibm9uY2UiOiIwMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZiJ9."
    "eyJpc3MiOiJjZHAiLCJzdWIiOiJlYyIsIm5iZiI6MTc4NTY0OTQzMiwiZXhwIjoxNzg1NjQ5NTUyfQ.007uoltqhvbBKvI4sB8_JX5tARM4yAw5j4-"
    "E7zBbvKj3VWe_l2DF5K0C3OkCcleHte7vSRazYpmKZyEaKYHJvA",
    "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImVkIiwibm9uY2UiOiIwMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZiJ9."
    "eyJpc3MiOiJjZHAiLCJzdWIiOiJlZCIsIm5iZiI6MTc4NTY0OTQzMiwiZXhwIjoxNzg1NjQ5NTUyfQ.T2Kl7gNEsDAO3PbQIWMNY7Q87kjdphVw-"
    "5PCJZIAYY67Gjkx6fiFc4_rfEu3iMzRTo2noGIeQEfSiqSuX1ZyCw",
};

static const char *file_of(const void *bytes, size_t count, int *fd) {
  static char path[64];
  *fd = memfd_create("login", MFD_CLOEXEC);
  WB_CHECK(*fd >= 0 && write(*fd, bytes, count) == (ssize_t)count && fchmod(*fd, 0600) == 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
  return path;
}

/* The first of these members that says something. */
static const char *said(const json_t *file, const char *const *names_of) {
  for (; *names_of; names_of++) {
    const char *text = json_string_value(json_object_get(file, *names_of));
    if (text && *text) return text;
  }
  return NULL;
}

static void check_login(wb_login *login, const json_t *file, bool exchange) {
  static const char *const keys[] = {"key", "name", "id", NULL}, *const phrases[] = {"passphrase", NULL};
  wb_login_text to;
  char text[256];
  WB_CHECK(wb_login_sign(login, SUBSCRIBE, sizeof SUBSCRIBE - 1, NOW_NS, &to) == 0 && strlen(to.text) == to.bytes);
  json_t *sent = json_loads(to.text, JSON_REJECT_DUPLICATES, NULL);
  WB_CHECK(sent && json_object_size(sent) == (exchange ? 6 : 3));
  const char *key = json_string_value(json_object_get(sent, "key")),
             *phrase = json_string_value(json_object_get(sent, "passphrase"));
  if (exchange) {
    const char *signature = json_string_value(json_object_get(sent, "signature"));
    uint8_t mac[WB_SIGN_HMAC_BYTES];
    WB_CHECK(key && *key && phrase && *phrase && wb_base64_decode(signature, strlen(signature), mac, sizeof mac) == sizeof mac);
    if (file) WB_CHECK(strcmp(key, said(file, keys)) == 0 && strcmp(phrase, said(file, phrases)) == 0);
  } else {
    const char *jwt = json_string_value(json_object_get(sent, "jwt"));
    json_t *header = part_of(jwt, strcspn(jwt, "."));
    WB_CHECK(header && json_string_value(json_object_get(header, "kid")));
    if (file) WB_CHECK(strcmp(json_string_value(json_object_get(header, "kid")), said(file, keys)) == 0);
    json_decref(header);
  }
  wb_login_strike(login, &to);
  json_t *shown = json_loads(to.text, JSON_REJECT_DUPLICATES, NULL);
  WB_CHECK(shown && strlen(to.text) == to.bytes && json_object_size(shown) == json_object_size(sent));
  static const char *const secret[] = {"signature", "key", "passphrase", "jwt"};
  for (int i = 0; i < 4; i++) {
    const char *value = json_string_value(json_object_get(shown, secret[i]));
    WB_CHECK((value != NULL) == (exchange == (i < 3)) && (!value || strcmp(value, "***") == 0));
  }
  WB_CHECK(*wb_login_describe(login, text, sizeof text));
  json_decref(sent);
  json_decref(shown);
}

static void key_file(const uint8_t *bytes, size_t count, bool exchange) {
  int fd;
  wb_error error = {0};
  wb_login *login =
      wb_login_open_file(exchange ? "coinbase-exchange" : "coinbase-advanced", file_of(bytes, count, &fd), &error);
  close(fd);
  if (!login) {
    WB_CHECK(error.code == WB_E_CONFIG && error.detail[0]);
    return;
  }
  json_t *file = json_loadb((const char *)bytes, count, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
  check_login(login, file, exchange);
  json_decref(file);
  wb_login_close(login);
}

static void token(const char *bytes, size_t count) {
  static wb_mock_login *mock;
  int fd;
  if (!mock) {
    mock = wb_mock_login_open(file_of(accounts, sizeof accounts - 1, &fd), 0, NULL);
    close(fd);
    WB_CHECK(mock != NULL);
    for (int i = 0; i < 2; i++) WB_CHECK(!wb_mock_login_jwt(mock, genuine[i], NOW_NS));
  }
  char text[INPUT_BYTES_MAX + 1];
  memcpy(text, bytes, count);
  text[count] = 0;
  if (wb_mock_login_jwt(mock, text, NOW_NS)) return;
  size_t n = (size_t)(strrchr(text, '.') - text);
  WB_CHECK(strncmp(text, genuine[0], n + 1) == 0 || strncmp(text, genuine[1], n + 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > INPUT_BYTES_MAX) return 0;
  if (data[0] == 't') token((const char *)data + 1, size - 1);
  else if (data[0] == 'x' || data[0] == 'a') key_file(data + 1, size - 1, data[0] == 'x');
  return 0;
}
