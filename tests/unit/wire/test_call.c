#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/http1.h"

#define LINE "GET /a/b?c=d HTTP/1.1\r\n"
#define HOST "Host: here:80\r\n"
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ASKS "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"

enum { ROOM = 1024 };

/* Each prefix in memory of its exact size: before the head ends nothing is decided other than what the whole decides. */
static int read_call(const char *text, size_t count, wb_http_call *call, wb_error *error) {
  memset(error, 0, sizeof *error);
  int whole = wb_http_call_read(text, count, ROOM, call, error);
  bool decided = false;
  for (size_t part = 0; part <= count; part++) {
    wb_http_call cut;
    char *exact = malloc(part + !part);
    memcpy(exact, text, part);
    int result = wb_http_call_read(exact, part, ROOM, &cut, NULL);
    cr_assert(result == whole || (result == 0 && !decided), "%d at %zu, whole %d", result, part, whole);
    decided = result != 0;
    if (result < 0) cr_assert_eq(cut.refusal, call->refusal);
    if (result > 0) cr_assert(cut.head_bytes == call->head_bytes && cut.body_bytes == call->body_bytes);
    free(exact);
  }
  return whole;
}

static int read_text(const char *text, wb_http_call *call, wb_error *error) {
  return read_call(text, strlen(text), call, error);
}

Test(call, a_request_that_is_none_is_refused_with_the_status_that_says_why) {
  static const struct {
    const char *text;
    int result;
    unsigned refusal;
  } cases[] = {
      {"\r\n" LINE HOST "\r\n", WB_E_PROTOCOL, 400},
      {"GET\r\n\r\n", WB_E_PROTOCOL, 400},
      {"BREW / HTTP/1.1\r\n" HOST "\r\n", WB_E_PROTOCOL, 400},
      {"GET / HTTP/1.0\r\n" HOST "\r\n", WB_E_UNSUPPORTED, 505},
      {"GET / HTTP/2.0\r\n" HOST "\r\n", WB_E_UNSUPPORTED, 505},
      {"GET  / HTTP/1.1\r\n" HOST "\r\n", WB_E_PROTOCOL, 400},
      {"GET /  HTTP/1.1\r\n" HOST "\r\n", WB_E_PROTOCOL, 400},
      {"GET http://here/ HTTP/1.1\r\n" HOST "\r\n", WB_E_PROTOCOL, 400},
      {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", WB_E_PROTOCOL, 400},
      {"GET /#a HTTP/1.1\r\n" HOST "\r\n", WB_E_PROTOCOL, 400},
      {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", WB_E_PROTOCOL, 400},
      {LINE "\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST HOST "\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "A : b\r\n\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "A: b\r\n c\r\n\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "A: b\n\r\n\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "A: \x01\r\n\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "Transfer-Encoding: chunked\r\n\r\n", WB_E_UNSUPPORTED, 501},
      {LINE HOST "Transfer-Encoding: gzip\r\n\r\n", WB_E_UNSUPPORTED, 501},
      {LINE HOST "Content-Length: -1\r\n\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "Content-Length: 1e3\r\n\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "Content-Length: 1, 1\r\n\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "Content-Length: 9999999999999999999999\r\n\r\n", WB_E_PROTOCOL, 400},
      {LINE HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", WB_E_PROTOCOL, 400},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_http_call call;
    wb_error error;
    cr_expect_eq(read_text(cases[i].text, &call, &error), cases[i].result, "%s: %s", cases[i].text, error.detail);
    cr_expect_eq(call.refusal, cases[i].refusal, "%s: %u", cases[i].text, call.refusal);
    cr_expect(error.detail[0] && !strpbrk(error.detail, "\"\\"), "%s", error.detail);
  }
}

Test(call, a_head_may_have_so_many_bytes_and_not_one_more) {
  char text[ROOM + 1];
  wb_http_call call;
  wb_error error;
  int used = snprintf(text, sizeof text, LINE HOST "A: ");
  memset(text + used, 'x', sizeof text - (size_t)used);
  memcpy(text + ROOM - 4, "\r\n\r\n", 4);
  cr_expect_eq(read_call(text, ROOM, &call, &error), 1);
  cr_expect_eq(call.head_bytes, ROOM);
  memset(text + ROOM - 4, 'x', 5);
  cr_expect_eq(read_call(text, ROOM - 1, &call, &error), 0);
  cr_expect_eq(read_call(text, ROOM, &call, &error), WB_E_TOO_LARGE);
  cr_expect_eq(call.refusal, 431);
}

Test(call, a_request_is_read_whole_with_its_body_and_what_follows_left_alone) {
  static const struct {
    const char *text, *method, *target;
    size_t body_bytes;
    bool close, upgrade;
  } cases[] = {
      {LINE HOST "\r\n", "GET", "/a/b?c=d", 0, false, false},
      {LINE HOST "\r\n" LINE, "GET", "/a/b?c=d", 0, false, false},
      {"HEAD / HTTP/1.1\r\nhost:here:80\r\n\r\n", "HEAD", "/", 0, false, false},
      {"POST /x HTTP/1.1\r\n" HOST "Content-Length: 12\r\nConnection: Close\r\n\r\nab", "POST", "/x", 12, true, false},
      {"DELETE /x HTTP/1.1\r\nContent-Length:  007 \r\n" HOST "\r\n", "DELETE", "/x", 7, false, false},
      {LINE HOST ASKS "Sec-WebSocket-Key: " KEY "\r\n\r\n\x81", "GET", "/a/b?c=d", 0, false, true},
      {"POST / HTTP/1.1\r\n" HOST ASKS "Sec-WebSocket-Key: " KEY "\r\n\r\n", "POST", "/", 0, false, false},
      {LINE HOST ASKS "Sec-WebSocket-Key: abc\r\n\r\n", "GET", "/a/b?c=d", 0, false, false},
      {LINE HOST ASKS "\r\n", "GET", "/a/b?c=d", 0, false, false},
      {LINE HOST "Upgrade: websocket\r\nConnection: close\r\n\r\n", "GET", "/a/b?c=d", 0, true, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_http_call call;
    wb_error error;
    cr_assert_eq(read_text(cases[i].text, &call, &error), 1, "%s: %s", cases[i].text, error.detail);
    cr_expect_str_eq(call.method, cases[i].method);
    cr_expect(call.target.bytes == strlen(cases[i].target) && memcmp(call.target.at, cases[i].target, call.target.bytes) == 0);
    cr_expect(call.host.bytes == 7 && memcmp(call.host.at, "here:80", 7) == 0);
    cr_expect_eq(call.body_bytes, cases[i].body_bytes);
    cr_expect(call.close == cases[i].close && call.upgrade == cases[i].upgrade, "%s", cases[i].text);
    cr_expect_str_eq(call.key, cases[i].upgrade ? KEY : "");
    cr_expect_eq(call.head_bytes, (size_t)(strstr(cases[i].text, "\r\n\r\n") + 4 - cases[i].text));
  }
}

Test(call, a_field_is_found_by_its_name_whatever_the_case_and_only_by_all_of_it) {
  static const char head[] =
      LINE HOST "Accept:  text/plain ; q=1 \r\nX-Accept: no\r\nEmpty:\r\nACCEPT: second\r\n\r\nBody: none\r\n";
  wb_http_call call;
  wb_error error;
  cr_assert_eq(read_text(head, &call, &error), 1);
  static const struct {
    const char *name, *value;
  } cases[] = {{"accept", "text/plain ; q=1"},
               {"X-ACCEPT", "no"},
               {"empty", ""},
               {"host", "here:80"},
               {"Acc", NULL},
               {"Accept:", NULL},
               {"Body", NULL},
               {"GET", NULL},
               {"", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_http_text value = wb_http_header(head, call.head_bytes, cases[i].name);
    cr_expect_eq(value.at != NULL, cases[i].value != NULL, "%s", cases[i].name);
    if (cases[i].value)
      cr_expect(value.bytes == strlen(cases[i].value) && memcmp(value.at, cases[i].value, value.bytes) == 0, "%s",
                cases[i].name);
  }
}
