#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/http1.h"

/* Key and accept of RFC 6455 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define STATUS "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define GOOD STATUS UPGRADE CONNECTION ACCEPT

#define LINE "GET /feed?x=1 HTTP/1.1\r\n"
#define HOST "Host: 127.0.0.1:8080\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY_LINE "Sec-WebSocket-Key: " KEY "\r\n"

static uint64_t random_state;

static void random_seed(void) {
  const char *given = getenv("WIREBOOK_SEED");
  random_state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)clock();
  fprintf(stderr, "seed: WIREBOOK_SEED=%" PRIu64 "\n", random_state);
}

static size_t random_below(size_t bound) {
  random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (size_t)(random_state >> 32) % bound;
}

/* Feeds text in memory of its exact size, first each prefix, then all of it. Before the head ends nothing may be decided other
 * than what the whole decides. */
static int respond(const char *text, size_t count, wb_http_response *response, wb_error *error) {
  wb_http_response cut;
  wb_error cut_error = {0};
  memset(error, 0, sizeof *error);
  int whole = wb_http_upgrade_response(text, count, KEY, WB_DEFLATE_OFF, response, error);
  bool decided = false;
  for (size_t part = 0; part <= count; part += count > 3000 ? 1 + part / 7 : 1) {
    char *exact = malloc(part + !part);
    memcpy(exact, text, part);
    int result = wb_http_upgrade_response(exact, part, KEY, WB_DEFLATE_OFF, &cut, &cut_error);
    free(exact);
    cr_assert(result == whole || (result == 0 && !decided), "%d at %zu, whole %d", result, part, whole);
    decided = result != 0;
    if (decided) cr_assert(cut.status == response->status && cut.head_bytes == response->head_bytes);
    if (result < 0) cr_assert_str_eq(cut_error.detail, error->detail);
    if (response->head_bytes) cr_assert_eq(decided, part >= response->head_bytes);
  }
  cr_assert_eq(wb_http_upgrade_response(text, count, KEY, WB_DEFLATE_OFF, &cut, NULL), whole);
  return whole;
}

static int serve(const char *text, size_t count, wb_http_request *request, wb_error *error) {
  wb_http_request cut;
  memset(error, 0, sizeof *error);
  int whole = wb_http_upgrade_read(text, count, request, error);
  bool decided = false;
  for (size_t part = 0; part <= count; part += count > 3000 ? 1 + part / 7 : 1) {
    char *exact = malloc(part + !part);
    memcpy(exact, text, part);
    int result = wb_http_upgrade_read(exact, part, &cut, NULL);
    free(exact);
    cr_assert(result == whole || (result == 0 && !decided), "%d at %zu, whole %d", result, part, whole);
    decided = result != 0;
    if (request->head_bytes) cr_assert_eq(decided, part >= request->head_bytes);
  }
  return whole;
}

/* ------------------------------------------------------------------------------------------------ key and accept */

Test(http1, key_and_accept_are_those_of_the_rfc_and_of_an_independent_program) {
  static const struct {
    uint8_t random[16];
    const char *key, *accept;
  } cases[] = {
      {"the sample nonce", KEY, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
      {{0}, "AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
      {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, "AAECAwQFBgcICQoLDA0ODw==", "Bz3qJYTGdOe8gUSpLosEdiLKDrk="},
      {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
       "/////////////////////w==",
       "XXpj4jYzLM2yUE0C7TIgMwTQh2g="},
      {{0x45, 0x7c, 0x76, 0x9f, 0x39, 0xd8, 0x64, 0x41, 0x99, 0xc0, 0xe5, 0xbd, 0xbc, 0xfb, 0xc8, 0x5b},
       "RXx2nznYZEGZwOW9vPvIWw==",
       "P9ypjaZPHinEDBojUyNuh5VMJOc="},
      {{0x37, 0xce, 0x91, 0xcb, 0xde, 0x1f, 0xc1, 0xb0, 0xea, 0x6b, 0x44, 0xf1, 0x30, 0x43, 0x6d, 0xd7},
       "N86Ry94fwbDqa0TxMENt1w==",
       "0Cl5/59bfGobVRCwk9ELB+TQoY8="},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char key[WB_WS_KEY_BYTES + 1], accept[WB_WS_ACCEPT_BYTES + 1];
    wb_ws_key(cases[i].random, key);
    cr_expect_str_eq(key, cases[i].key);
    wb_ws_accept(key, accept);
    cr_expect_str_eq(accept, cases[i].accept);
  }
}

/* ------------------------------------------------------------------------------------------------ client, bad input */

Test(http1, a_wrong_101_is_a_protocol_error_that_says_what_is_wrong) {
  static const struct {
    const char *text, *word;
  } cases[] = {
      {STATUS CONNECTION ACCEPT "\r\n", "Upgrade: websocket"},
      {STATUS "Upgrade: h2c\r\n" CONNECTION ACCEPT "\r\n", "Upgrade: websocket"},
      {STATUS "Upgrade: websocket, h2c\r\n" CONNECTION ACCEPT "\r\n", "Upgrade: websocket"},
      {STATUS UPGRADE UPGRADE CONNECTION ACCEPT "\r\n", "Upgrade: websocket"},
      {STATUS UPGRADE ACCEPT "\r\n", "Connection: Upgrade"},
      {STATUS UPGRADE "Connection: keep-alive\r\n" ACCEPT "\r\n", "Connection: Upgrade"},
      {STATUS UPGRADE "Connection: Upgraded, xUpgrade\r\n" ACCEPT "\r\n", "Connection: Upgrade"},
      {STATUS UPGRADE CONNECTION "\r\n", "0 Sec-WebSocket-Accept"},
      {STATUS UPGRADE CONNECTION ACCEPT ACCEPT "\r\n", "2 Sec-WebSocket-Accept"},
      {STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept:\r\n\r\n", "should be \"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\""},
      {STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n", "wrong Sec-WebSocket-Accept"},
      {STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n\r\n", "\"S3PPLMBI"},
      {STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: " KEY "\r\n\r\n", "wrong Sec-WebSocket-Accept \"" KEY "\""},
      {GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "Extensions \"permessage-deflate\", which was not asked"},
      {GOOD "Sec-WebSocket-Protocol: chat\r\n\r\n", "Protocol \"chat\", which was not asked"},
      {"HTTP/1.0 101 Switching Protocols\r\n" UPGRADE CONNECTION ACCEPT "\r\n", "HTTP/1.0"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_http_response response;
    wb_error error;
    cr_expect_eq(respond(cases[i].text, strlen(cases[i].text), &response, &error), WB_E_PROTOCOL, "%s", cases[i].text);
    cr_expect(strstr(error.detail, cases[i].word), "%s: %s", cases[i].text, error.detail);
    cr_expect_eq(error.code, WB_E_PROTOCOL);
  }
}

Test(http1, bytes_that_are_no_strict_http_are_a_protocol_error) {
#define TEXT(s)                                                                                                                \
  { s, sizeof s - 1 }
  static const struct {
    const char *text;
    size_t count;
  } cases[] = {
      TEXT("SSH-2.0-OpenSSH_9.2\r\n"),
      TEXT("\x15\x03\x01\x00\x02\x02\x28"), /* a TLS alert */
      TEXT("\x81\x05Hello"),
      TEXT("GET / HTTP/1.1\r\n"),
      TEXT("\r\n" GOOD "\r\n"),
      TEXT("\n" GOOD "\r\n"),
      TEXT("HXXP/1.1 101 Switching Protocols\r\n"),
      TEXT("http/1.1 101 Switching Protocols\r\n"),
      TEXT("HTTP/2.0 101 Switching Protocols\r\n"),
      TEXT("HTTP/1.1  101 Switching Protocols\r\n" UPGRADE CONNECTION ACCEPT "\r\n"),
      TEXT("HTTP/1.1\t101 Switching Protocols\r\n" UPGRADE CONNECTION ACCEPT "\r\n"),
      TEXT("HTTP/1.1 0101 Switching Protocols\r\n" UPGRADE CONNECTION ACCEPT "\r\n"),
      TEXT("HTTP/1.1 10 Switching Protocols\r\n" UPGRADE CONNECTION ACCEPT "\r\n"),
      TEXT("HTTP/1.1 1x1 Switching Protocols\r\n"),
      TEXT("HTTP/1.1 600 What\r\n\r\n"),
      TEXT("HTTP/1.1 099 What\r\n\r\n"),
      TEXT("HTTP/1.1 101 Switching\nUpgrade: websocket\n\n"),
      TEXT("HTTP/1.1 101 Switching\r\nUpgrade: websocket\nConnection: Upgrade\r\n" ACCEPT "\r\n"),
      TEXT(GOOD "\n"),
      TEXT(GOOD "X: a\rb\r\n\r\n"),
      TEXT(STATUS "Upgrade:\r\n websocket\r\n" CONNECTION ACCEPT "\r\n"),
      TEXT(GOOD "X: a\r\n\tb\r\n\r\n"),
      TEXT(STATUS UPGRADE "Connection : Upgrade\r\n" ACCEPT "\r\n"),
      TEXT(STATUS UPGRADE "Connection\t: Upgrade\r\n" ACCEPT "\r\n"),
      TEXT(STATUS " Upgrade: websocket\r\n" CONNECTION ACCEPT "\r\n"),
      TEXT(GOOD "No colon\r\n\r\n"),
      TEXT(GOOD ": no name\r\n\r\n"),
      TEXT(GOOD "X(y): a\r\n\r\n"),
      TEXT(GOOD "X: a\0b\r\n\r\n"),
      TEXT(GOOD "X: a\x01\x62\r\n\r\n"),
      TEXT(GOOD "X: a\x7f\r\n\r\n"),
      TEXT("HTTP/1.1 200 O\x1bK\r\n\r\n"),
      TEXT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
      TEXT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
      TEXT("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_http_response response;
    wb_error error;
    cr_expect_eq(respond(cases[i].text, cases[i].count, &response, &error), WB_E_PROTOCOL, "%zu: %s", i, cases[i].text);
    cr_expect(error.detail[0], "%s", cases[i].text);
  }
}

Test(http1, another_status_is_a_refusal_with_the_reason_in_words) {
  static const struct {
    const char *text, *detail, *location;
    unsigned status, retry_after_s;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 OK", "", 200, 0},
      {"HTTP/1.1 301 Moved Permanently\r\nLocation: wss://other/x\r\n\r\n", "301 Moved Permanently, moved to wss://other/x",
       "wss://other/x", 301, 0},
      {"HTTP/1.1 302 Found\r\n\r\n", "302 Found", "", 302, 0},
      {"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", "401 Unauthorized", "", 401, 0},
      {"HTTP/1.1 403 Forbidden\r\nLocation: /not-a-redirect\r\n\r\n", "403 Forbidden", "", 403, 0},
      {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\n\r\n", "429 Too Many Requests, retry after 5 s", "", 429, 5},
      {"HTTP/1.1 429 Too Many Requests\r\nretry-after:  120 \r\n\r\n", "429 Too Many Requests, retry after 120 s", "", 429,
       120},
      {"HTTP/1.1 503 Service Unavailable\r\nRetry-After: Mon, 07 Sep 2026 10:00:00 GMT\r\n\r\n",
       "503 Service Unavailable, retry after Mon, 07 Sep 2026 10:00:00 GMT", "", 503, 0},
      {"HTTP/1.1 503 x\r\nRetry-After: 5x\r\n\r\n", "503 x", "", 503, 0},
      {"HTTP/1.1 503 x\r\nRetry-After: 99999999999999999999\r\n\r\n", "503 x, retry after 4294967295 s", "", 503, 4294967295u},
      {"HTTP/1.0 502 Bad Gateway\r\n\r\n", "502 Bad Gateway", "", 502, 0},
      {"HTTP/1.1 500\r\n\r\n", "500", "", 500, 0},
      {"HTTP/1.1 500 \r\n\r\n", "500", "", 500, 0},
      {"HTTP/1.1 400 caf\xc3\xa9\r\n\r\n", "400 caf??", "", 400, 0},
      {"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "426 Upgrade Required", "", 426,
       0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_http_response response;
    wb_error error;
    cr_expect_eq(respond(cases[i].text, strlen(cases[i].text), &response, &error), WB_E_REFUSED, "%s", cases[i].text);
    cr_expect_str_eq(error.detail, cases[i].detail);
    cr_expect_str_eq(response.location, cases[i].location);
    cr_expect(response.status == cases[i].status && response.retry_after_s == cases[i].retry_after_s, "%s", cases[i].text);
    cr_expect_eq(response.head_bytes, (size_t)(strstr(cases[i].text, "\r\n\r\n") + 4 - cases[i].text));
  }
}

Test(http1, retry_after_as_a_date_is_read_in_the_three_forms_of_http_and_in_no_other) {
  static const struct {
    const char *date;
    int64_t utc_s;
  } cases[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
      {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
      {"Sun Nov  6 08:49:37 1994", 784111777},
      {"Mon, 07 Sep 2026 10:00:00 GMT", 1788775200},
      {"Mon, 07 Sep 2026 10:00:00 GMT+1", 0},
      {"Mon, 07 Sep 2026 10:00:00", 0},
      {"Mon, 37 Sep 2026 10:00:00 GMT", 0},
      {"Mon, 07 Sep 2026 25:00:00 GMT", 0},
      {"2026-09-07T10:00:00Z", 0},
      {"Mon, 07 Sep 2026 10:00:00 GMT, and some more words", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[256];
    wb_http_response response;
    wb_error error;
    int count = snprintf(text, sizeof text, "HTTP/1.1 503 x\r\nRetry-After: %s\r\n\r\n", cases[i].date);
    cr_assert_eq(respond(text, (size_t)count, &response, &error), WB_E_REFUSED);
    cr_expect_eq(response.retry_at_utc_s, cases[i].utc_s, "%s: %lld", cases[i].date, (long long)response.retry_at_utc_s);
    cr_expect_eq(response.retry_after_s, 0u);
  }
}

Test(http1, a_location_too_long_to_hold_is_not_cut_but_left_out) {
  for (size_t bytes = 1020; bytes <= 1030; bytes++) {
    char text[2048], location[1100];
    wb_http_response response;
    wb_error error;
    memset(location, 'a', bytes);
    location[bytes] = 0;
    int count = snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n", location);
    cr_assert_eq(respond(text, (size_t)count, &response, &error), WB_E_REFUSED);
    cr_expect_eq(strlen(response.location), bytes < sizeof response.location ? bytes : 0);
  }
}

Test(http1, a_head_of_the_limit_passes_and_one_byte_more_is_too_large) {
  static const char begin[] = GOOD "X-Pad: ", end[] = "\r\n\r\n";
  for (size_t total = WB_HTTP_HEAD_BYTES_MAX - 1; total <= WB_HTTP_HEAD_BYTES_MAX + 1; total++) {
    char *text = malloc(total + 10);
    size_t pad = total - (sizeof begin - 1) - (sizeof end - 1);
    memcpy(text, begin, sizeof begin - 1);
    memset(text + sizeof begin - 1, 'a', pad);
    memcpy(text + sizeof begin - 1 + pad, end, sizeof end - 1);
    memcpy(text + total, "\x81\x05Hello123", 10);
    wb_http_response response;
    wb_error error;
    int expected = total > WB_HTTP_HEAD_BYTES_MAX ? WB_E_TOO_LARGE : 1;
    cr_expect_eq(respond(text, total, &response, &error), expected);
    cr_expect_eq(respond(text, total + 10, &response, &error), expected);
    if (expected == 1) cr_expect_eq(response.head_bytes, total);
    else cr_expect(strstr(error.detail, "larger than 16384 bytes"));
    free(text);
  }
}

Test(http1, interim_answers_without_end_are_too_large_in_the_end) {
  static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
  char *text = malloc(2 * WB_HTTP_HEAD_BYTES_MAX);
  size_t count = 0;
  while (count < WB_HTTP_HEAD_BYTES_MAX + 100) count += (size_t)sprintf(text + count, "%s", interim);
  wb_http_response response;
  wb_error error;
  cr_expect_eq(respond(text, count, &response, &error), WB_E_TOO_LARGE);
  cr_expect_eq(respond(text, WB_HTTP_HEAD_BYTES_MAX, &response, &error), WB_E_TOO_LARGE);
  cr_expect_eq(respond(text, WB_HTTP_HEAD_BYTES_MAX - 1, &response, &error), 0);
  free(text);
}

/* ------------------------------------------------------------------------------------------------ client, good input */

Test(http1, a_right_101_is_accepted_in_any_case_order_and_company) {
  static const char *const texts[] = {
      GOOD "\r\n",
      GOOD "\r\n\x81\x05Hello",
      "HTTP/1.1 101 \r\n" UPGRADE CONNECTION ACCEPT "\r\n",
      "HTTP/1.1 101\r\n" UPGRADE CONNECTION ACCEPT "\r\n",
      STATUS ACCEPT CONNECTION UPGRADE "\r\n",
      STATUS "UPGRADE:WebSocket\r\nconnection:\tkeep-alive ,\tUPGRADE \r\n"
             "sec-websocket-ACCEPT:   s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\t \r\n\r\n",
      STATUS UPGRADE "Connection: keep-alive\r\nConnection: ,upgrade,\r\n" ACCEPT "\r\n",
      GOOD "Date: Mon, 07 Sep 2026 10:00:00 GMT\r\nServer: x/1 (y)\r\nX-Empty:\r\nSet-Cookie: \xc3\xa9=\"1\"; a\r\n\r\n\r\n",
      GOOD "Content-Length: 0\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\n" GOOD "\r\n",
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nUpgrade: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" GOOD "\r\n\x81",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    wb_http_response response;
    wb_error error;
    cr_expect_eq(respond(texts[i], strlen(texts[i]), &response, &error), 1, "%s: %s", texts[i], error.detail);
    const char *start = strstr(texts[i], "HTTP/1.1 101");
    cr_expect_eq(response.head_bytes, (size_t)(strstr(start, "\r\n\r\n") + 4 - texts[i]));
    cr_expect(response.status == 101 && !response.location[0] && response.retry_after_s == 0);
  }
}

Test(http1, the_request_is_what_the_rfc_asks_for) {
  wb_url url;
  char text[4096];
  cr_assert_eq(wb_url_parse("wss://ws-feed.exchange.coinbase.com", &url, NULL), 0);
  int count = wb_http_upgrade_request(&url, KEY, "wirebook/1", WB_DEFLATE_OFF, text, sizeof text);
  cr_expect_str_eq(text,
                   "GET / HTTP/1.1\r\nHost: ws-feed.exchange.coinbase.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\nUser-Agent: wirebook/1\r\n\r\n");
  cr_expect_eq((size_t)count, strlen(text));

  static const struct {
    const char *url, *host;
  } hosts[] = {{"ws://host", "\r\nHost: host\r\n"},
               {"wss://host:443", "\r\nHost: host\r\n"},
               {"wss://host:80", "\r\nHost: host:80\r\n"},
               {"ws://host:8080", "\r\nHost: host:8080\r\n"},
               {"ws://[::1]:9000", "\r\nHost: [::1]:9000\r\n"},
               {"wss://[::1]", "\r\nHost: [::1]\r\n"}};
  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
    cr_assert_eq(wb_url_parse(hosts[i].url, &url, NULL), 0);
    cr_assert_gt(wb_http_upgrade_request(&url, KEY, i % 2 ? NULL : "", WB_DEFLATE_OFF, text, sizeof text), 0);
    cr_expect(strstr(text, hosts[i].host), "%s", text);
    cr_expect_null(strstr(text, "User-Agent"));
  }
}

Test(http1, the_request_is_refused_where_it_does_not_fit_or_would_carry_more_than_it_should) {
  wb_url url, bad;
  char text[512];
  cr_assert_eq(wb_url_parse("ws://host/path", &url, NULL), 0);
  int count = wb_http_upgrade_request(&url, KEY, "x", WB_DEFLATE_OFF, text, sizeof text);
  cr_assert_gt(count, 0);
  for (size_t size = 0; size <= (size_t)count + 1; size++) {
    char *exact = malloc(size + !size);
    cr_assert_eq(wb_http_upgrade_request(&url, KEY, "x", WB_DEFLATE_OFF, exact, size),
                 size > (size_t)count ? count : WB_E_LIMIT);
    free(exact);
  }
  cr_expect_eq(wb_http_upgrade_request(NULL, KEY, "x", WB_DEFLATE_OFF, text, sizeof text), WB_E_INVALID);
  cr_expect_eq(wb_http_upgrade_request(&url, NULL, "x", WB_DEFLATE_OFF, text, sizeof text), WB_E_INVALID);
  cr_expect_eq(wb_http_upgrade_request(&url, KEY, "x", WB_DEFLATE_OFF, NULL, sizeof text), WB_E_INVALID);
  cr_expect_eq(wb_http_upgrade_request(&url, "short", "x", WB_DEFLATE_OFF, text, sizeof text), WB_E_INVALID);
  cr_expect_eq(wb_http_upgrade_request(&url, "dGhlIHNhbXBsZSBub25j\r\n==", "x", WB_DEFLATE_OFF, text, sizeof text),
               WB_E_INVALID);
  cr_expect_eq(wb_http_upgrade_request(&url, KEY, "x\r\nY: z", WB_DEFLATE_OFF, text, sizeof text), WB_E_INVALID);
  bad = url;
  strcpy(bad.host, "a\r\nb");
  cr_expect_eq(wb_http_upgrade_request(&bad, KEY, "x", WB_DEFLATE_OFF, text, sizeof text), WB_E_INVALID);
  bad.host[0] = 0;
  cr_expect_eq(wb_http_upgrade_request(&bad, KEY, "x", WB_DEFLATE_OFF, text, sizeof text), WB_E_INVALID);
  bad = url;
  strcpy(bad.target, "/a HTTP/1.1");
  cr_expect_eq(wb_http_upgrade_request(&bad, KEY, "x", WB_DEFLATE_OFF, text, sizeof text), WB_E_INVALID);
  strcpy(bad.target, "a");
  cr_expect_eq(wb_http_upgrade_request(&bad, KEY, "x", WB_DEFLATE_OFF, text, sizeof text), WB_E_INVALID);
}

/* ------------------------------------------------------------------------------------------------ server */

Test(http1, a_request_that_is_wrong_gets_the_error_that_names_its_answer) {
  static const struct {
    int result;
    const char *text, *word;
  } cases[] = {
      {WB_E_REFUSED, "GET / HTTP/1.1\r\n" HOST "\r\n", "does not ask"},
      {WB_E_REFUSED, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab", "does not ask"},
      {WB_E_REFUSED, LINE HOST UPGRADE VERSION KEY_LINE "\r\n", "does not ask"},
      {WB_E_REFUSED, LINE HOST CONNECTION VERSION KEY_LINE "\r\n", "does not ask"},
      {WB_E_REFUSED, LINE HOST "Upgrade: h2c\r\n" CONNECTION VERSION KEY_LINE "\r\n", "does not ask"},
      {WB_E_REFUSED, LINE HOST UPGRADE CONNECTION KEY_LINE "Sec-WebSocket-Version: 8\r\n\r\n", "version 13"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION KEY_LINE "\r\n", "0 Sec-WebSocket-Version"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION KEY_LINE VERSION VERSION "\r\n", "2 Sec-WebSocket-Version"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION VERSION "\r\n", "Sec-WebSocket-Key"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION VERSION KEY_LINE KEY_LINE "\r\n", "Sec-WebSocket-Key"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: abc\r\n\r\n", "base64 of 16 bytes"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA=\r\n\r\n",
       "base64 of 16 bytes"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n\r\n",
       "base64 of 16 bytes"},
      {WB_E_PROTOCOL, LINE UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "0 Host"},
      {WB_E_PROTOCOL, LINE HOST HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "2 Host"},
      {WB_E_PROTOCOL, "POST / HTTP/1.1\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "with GET, not POST"},
      {WB_E_PROTOCOL, "GET / HTTP/1.0\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "not HTTP/1.1"},
      {WB_E_PROTOCOL, "GET /\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "HTTP/1.1"},
      {WB_E_PROTOCOL, "GET  / HTTP/1.1\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "request line"},
      {WB_E_PROTOCOL, "GET /  HTTP/1.1\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "request line"},
      {WB_E_PROTOCOL, "GET / HXXP/1.1\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", ""},
      {WB_E_PROTOCOL, "\r\n" LINE HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "empty line"},
      {WB_E_PROTOCOL, "GET http://a/b HTTP/1.1\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "begin with '/'"},
      {WB_E_PROTOCOL, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "begin with '/'"},
      {WB_E_PROTOCOL, "CONNECT host:80 HTTP/1.1\r\n" HOST "\r\n", "begin with '/'"},
      {WB_E_PROTOCOL, "GET /a#b HTTP/1.1\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "target"},
      {WB_E_PROTOCOL, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n", "target"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION VERSION KEY_LINE "Content-Length: 3\r\n\r\nabc", "body"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE CONNECTION VERSION KEY_LINE "Transfer-Encoding: chunked\r\n\r\n", "body"},
      {WB_E_PROTOCOL, LINE HOST "Upgrade:\r\n websocket\r\n" CONNECTION VERSION KEY_LINE "\r\n", "folded"},
      {WB_E_PROTOCOL, LINE HOST UPGRADE "Connection : Upgrade\r\n" VERSION KEY_LINE "\r\n", "blank in a header name"},
      {WB_E_PROTOCOL, "HTTP/1.1 101 Switching Protocols\r\n\r\n", ""},
      {WB_E_PROTOCOL, "get / HTTP/1.1\r\n" HOST "\r\n", ""},
      {WB_E_PROTOCOL, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_http_request request;
    wb_error error;
    cr_expect_eq(serve(cases[i].text, strlen(cases[i].text), &request, &error), cases[i].result, "%s: %s", cases[i].text,
                 error.detail);
    cr_expect(error.detail[0] && strstr(error.detail, cases[i].word), "%s: %s", cases[i].text, error.detail);
    if (cases[i].result == WB_E_REFUSED) cr_expect(request.head_bytes > 0 && request.target[0] == '/');
  }
}

Test(http1, a_request_without_any_upgrade_is_told_apart_with_what_an_answer_needs_to_know) {
  static const struct {
    const char *text;
    bool plain, get, close, body;
  } cases[] = {
      {"GET /a?b HTTP/1.1\r\n" HOST "\r\n", true, true, false, false},
      {"GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Close\r\n\r\n", true, true, true, false},
      {"GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", true, true, false, false},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab", true, false, false, true},
      {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", true, false, false, false},
      {"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", true, true, false, true},
      {LINE HOST UPGRADE VERSION KEY_LINE "\r\n", false, true, false, false},
      {LINE HOST CONNECTION VERSION KEY_LINE "\r\n", false, true, false, false},
      {LINE HOST "Upgrade: h2c\r\n\r\n", false, true, false, false},
      {LINE HOST UPGRADE CONNECTION KEY_LINE "Sec-WebSocket-Version: 8\r\n\r\n", false, true, false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_http_request request;
    wb_error error;
    cr_assert_eq(serve(cases[i].text, strlen(cases[i].text), &request, &error), WB_E_REFUSED, "%s", cases[i].text);
    cr_expect_eq(request.plain, cases[i].plain, "%s", cases[i].text);
    cr_expect_eq(request.get, cases[i].get, "%s", cases[i].text);
    cr_expect_eq(request.close, cases[i].close, "%s", cases[i].text);
    cr_expect_eq(request.body, cases[i].body, "%s", cases[i].text);
  }
}

Test(http1, a_target_or_a_head_too_large_is_refused_as_such) {
  char text[WB_HTTP_HEAD_BYTES_MAX + 100];
  wb_http_request request;
  wb_error error;
  for (int bytes = 1020; bytes <= 1026; bytes++) {
    int count = sprintf(text, "GET /");
    while (count < 4 + bytes) text[count++] = 'a';
    count += sprintf(text + count, " HTTP/1.1\r\n" HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n");
    cr_expect_eq(serve(text, (size_t)count, &request, &error), bytes <= 1023 ? 1 : WB_E_TOO_LARGE, "%d", bytes);
    cr_expect_eq(strlen(request.target), bytes <= 1023 ? (size_t)bytes : 0);
  }
  int count = sprintf(text, LINE HOST "X: ");
  memset(text + count, 'a', sizeof text - (size_t)count);
  cr_expect_eq(serve(text, sizeof text, &request, &error), WB_E_TOO_LARGE);
  cr_expect_eq(serve(text, WB_HTTP_HEAD_BYTES_MAX - 1, &request, &error), 0);
}

Test(http1, requests_of_clients_as_they_are_are_accepted) {
  static const char *const texts[] = {
      LINE HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n",
      LINE HOST UPGRADE CONNECTION VERSION KEY_LINE "\r\n\x81\x85",
      LINE HOST
      "Connection: keep-alive, Upgrade\r\nPragma: no-cache\r\nUpgrade: WebSocket\r\nOrigin: http://a\r\n" VERSION KEY_LINE
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
      LINE "host:\r\nUPGRADE: h2c, websocket\r\nCONNECTION:close\r\nconnection:upgrade\r\n" VERSION KEY_LINE
           "Content-Length: 0\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    wb_http_request request;
    wb_error error;
    cr_expect_eq(serve(texts[i], strlen(texts[i]), &request, &error), 1, "%s: %s", texts[i], error.detail);
    cr_expect_str_eq(request.key, KEY);
    cr_expect_str_eq(request.target, "/feed?x=1");
    cr_expect_eq(request.head_bytes, (size_t)(strstr(texts[i], "\r\n\r\n") + 4 - texts[i]));
  }
}

Test(http1, the_answer_is_refused_where_it_does_not_fit_or_the_key_is_none) {
  char text[512];
  int count = wb_http_upgrade_answer(KEY, NULL, text, sizeof text);
  cr_expect_str_eq(text, GOOD "\r\n");
  for (size_t size = 0; size <= (size_t)count + 1; size++) {
    char *exact = malloc(size + !size);
    cr_assert_eq(wb_http_upgrade_answer(KEY, NULL, exact, size), size > (size_t)count ? count : WB_E_LIMIT);
    free(exact);
  }
  cr_expect_eq(wb_http_upgrade_answer(NULL, NULL, text, sizeof text), WB_E_INVALID);
  cr_expect_eq(wb_http_upgrade_answer(KEY, NULL, NULL, sizeof text), WB_E_INVALID);
  cr_expect_eq(wb_http_upgrade_answer("abc", NULL, text, sizeof text), WB_E_INVALID);
}

Test(http1, both_ends_agree_for_any_key_and_a_single_wrong_bit_is_never_accepted) {
  random_seed();
  wb_url url;
  cr_assert_eq(wb_url_parse("ws://127.0.0.1:8080/a?b", &url, NULL), 0);
  for (int round = 0; round < 20000; round++) {
    uint8_t random[16];
    char key[WB_WS_KEY_BYTES + 1], text[512];
    wb_http_request request;
    wb_http_response response;
    for (size_t i = 0; i < sizeof random; i++) random[i] = (uint8_t)random_below(256);
    wb_ws_key(random, key);
    int count = wb_http_upgrade_request(&url, key, "x", WB_DEFLATE_OFF, text, sizeof text);
    cr_assert_eq(wb_http_upgrade_read(text, (size_t)count, &request, NULL), 1);
    cr_assert(strcmp(request.key, key) == 0 && strcmp(request.target, "/a?b") == 0);
    count = wb_http_upgrade_answer(request.key, NULL, text, sizeof text);
    cr_assert_eq(wb_http_upgrade_response(text, (size_t)count, key, WB_DEFLATE_OFF, &response, NULL), 1);
    cr_assert_eq(response.head_bytes, (size_t)count);
    char *accept = strstr(text, "Accept: ") + 8;
    accept[random_below(WB_WS_ACCEPT_BYTES)] ^= (char)(1 << random_below(8));
    cr_assert_neq(wb_http_upgrade_response(text, (size_t)count, key, WB_DEFLATE_OFF, &response, NULL), 1);
  }
}
