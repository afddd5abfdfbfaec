/* fuzz_http1.c - the upgrade, both ends, and URLs.
 *
 * Input:   byte 0 chooses: '0' the rest is a server's answer to the key of RFC 6455 1.3, '1' a client's request, else a URL.
 * Oracle:  a head gives the same result whole and at every cut: 0 up to some byte, and from it on always that of the whole. It
 *          is accepted if and only if a slow, line-wise reading of it finds all that RFC 6455 4 asks for (bodies' headers,
 * which the parser library judges too, only one way). A URL that parses, parses to the same when put together again, and a
 *          request made of it is accepted by our own server side with the same target. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(e) ((e) ? (void)0 : abort())

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define KEY_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { EVERY_CUT_MAX = 400, CUTS = 48 };

typedef struct outcome {
  int result;
  unsigned status, retry_after_s;
  size_t head_bytes;
  char text[1024]; /* location or target */
  char key[WB_WS_KEY_BYTES + 1];
  char detail[256];
} outcome;

static outcome read_head(bool server, const uint8_t *bytes, size_t count) {
  outcome o;
  memset(&o, 0, sizeof o);
  wb_error error = {0};
  char *exact = malloc(count ? count : 1);
  REQUIRE(exact);
  memcpy(exact, bytes, count);
  if (server) {
    wb_http_request request;
    o.result = wb_http_upgrade_read(exact, count, &request, &error);
    o.head_bytes = request.head_bytes;
    snprintf(o.text, sizeof o.text, "%s", request.target);
    snprintf(o.key, sizeof o.key, "%s", request.key);
  } else {
    wb_http_response response;
    o.result = wb_http_upgrade_response(exact, count, KEY, WB_DEFLATE_OFF, &response, &error);
    o.status = response.status;
    o.retry_after_s = response.retry_after_s;
    o.head_bytes = response.head_bytes;
    snprintf(o.text, sizeof o.text, "%s", response.location);
  }
  free(exact);
  REQUIRE((o.result < 0) == (error.code != 0) && (o.result >= 0 || error.code == o.result));
  REQUIRE(o.head_bytes <= count && o.head_bytes <= WB_HTTP_HEAD_BYTES_MAX);
  snprintf(o.detail, sizeof o.detail, "%s", error.detail);
  return o;
}

/* ------------------------------------------------------------------------------------------------ line by line */

static bool token(char c) { return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c); }

static size_t list_count(const char *value, const char *wanted) {
  char copy[WB_HTTP_HEAD_BYTES_MAX + 1];
  size_t count = 0;
  strcpy(copy, value);
  char *rest = copy, *part;
  while ((part = strsep(&rest, ","))) {
    part += strspn(part, " \t");
    for (size_t n = strlen(part); n && strchr(" \t", part[n - 1]); n--) part[n - 1] = 0;
    count += strcasecmp(part, wanted) == 0;
  }
  return count;
}

typedef struct lines {
  char *line[WB_HTTP_HEAD_BYTES_MAX / 2];
  size_t count;
} lines;

/* The value of the header called name (the last), and how often it is there. */
static size_t header(const lines *l, const char *name, const char **value) {
  size_t count = 0, bytes = strlen(name);
  for (size_t i = 1; i < l->count; i++) {
    if (strncasecmp(l->line[i], name, bytes) != 0 || l->line[i][bytes] != ':') continue;
    *value = l->line[i] + bytes + 1 + strspn(l->line[i] + bytes + 1, " \t");
    count++;
  }
  return count;
}

static size_t header_tokens(const lines *l, const char *name, const char *wanted) {
  size_t count = 0, bytes = strlen(name);
  for (size_t i = 1; i < l->count; i++)
    if (strncasecmp(l->line[i], name, bytes) == 0 && l->line[i][bytes] == ':')
      count += list_count(l->line[i] + bytes + 1, wanted);
  return count;
}

/* Splits one head, which it writes into text. Returns its length, 0 if it is none. */
static size_t split(const uint8_t *bytes, size_t count, char *text, lines *l) {
  size_t end = 0;
  while (end + 4 <= count && memcmp(bytes + end, "\r\n\r\n", 4) != 0) end++;
  if (end + 4 > count) return 0;
  memcpy(text, bytes, end + 2);
  text[end + 2] = 0;
  if (strlen(text) != end + 2) return 0;
  l->count = 0;
  for (char *at = text; *at;) {
    char *stop = strstr(at, "\r\n");
    *stop = 0;
    for (char *c = at; *c; c++)
      if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f) return 0;
    l->line[l->count++] = at;
    if (l->count > 1) {
      size_t name = 0;
      while (token(at[name])) name++;
      if (name == 0 || at[name] != ':') return 0;
      for (char *c = stop; c > at && (c[-1] == ' ' || c[-1] == '\t'); c--) c[-1] = 0;
    }
    at = stop + 2;
  }
  return end + 4;
}

static bool about_body(const lines *l) {
  const char *value;
  return header(l, "Content-Length", &value) || header(l, "Transfer-Encoding", &value);
}

static char text[WB_HTTP_HEAD_BYTES_MAX + 8];
static lines parsed;

/* Returns 1 yes, 0 no, -1 the library may have its own mind about it. */
static int response_good(const uint8_t *bytes, size_t count) {
  bool body = false;
  if (count > WB_HTTP_HEAD_BYTES_MAX) count = WB_HTTP_HEAD_BYTES_MAX;
  for (;;) {
    size_t head = split(bytes, count, text, &parsed);
    if (!head) return 0;
    const char *line = parsed.line[0], *value = "";
    body |= about_body(&parsed);
    if (strncmp(line, "HTTP/1.", 7) != 0 || line[7] < '0' || line[7] > '9' || line[8] != ' ' || line[9] != '1') return 0;
    if (line[10] < '0' || line[10] > '9' || line[11] < '0' || line[11] > '9' || (line[12] != ' ' && line[12] != 0)) return 0;
    if (line[10] != '0' || line[11] != '1') {
      bytes += head;
      count -= head;
      continue;
    }
    if (line[7] == '0') return 0;
    if (header(&parsed, "Upgrade", &value) != 1 || strcasecmp(value, "websocket") != 0) return 0;
    if (!header_tokens(&parsed, "Connection", "upgrade")) return 0;
    if (header(&parsed, "Sec-WebSocket-Accept", &value) != 1 || strcmp(value, KEY_ACCEPT) != 0) return 0;
    if (header(&parsed, "Sec-WebSocket-Extensions", &value) || header(&parsed, "Sec-WebSocket-Protocol", &value)) return 0;
    return body ? -1 : 1;
  }
}

static int request_good(const uint8_t *bytes, size_t count) {
  if (count > WB_HTTP_HEAD_BYTES_MAX) count = WB_HTTP_HEAD_BYTES_MAX;
  if (!split(bytes, count, text, &parsed)) return 0;
  const char *line = parsed.line[0], *value = "";
  if (strncmp(line, "GET /", 5) != 0) return 0;
  size_t target = 0;
  while (line[4 + target] > ' ' && line[4 + target] < 0x7f && line[4 + target] != '#') target++;
  if (strcmp(line + 4 + target, " HTTP/1.1") != 0 || target > 1023) return 0;
  if (header(&parsed, "Host", &value) != 1) return 0;
  if (!header_tokens(&parsed, "Connection", "upgrade") || !header_tokens(&parsed, "Upgrade", "websocket")) return 0;
  if (header(&parsed, "Sec-WebSocket-Version", &value) != 1 || strcmp(value, "13") != 0) return 0;
  if (header(&parsed, "Sec-WebSocket-Key", &value) != 1 || strlen(value) != 24 || strcmp(value + 22, "==") != 0) return 0;
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (strspn(value, digits) != 22) return 0;
  return about_body(&parsed) ? -1 : 1;
}

/* ------------------------------------------------------------------------------------------------ checks */

static void check_head(bool server, const uint8_t *bytes, size_t count) {
  outcome whole = read_head(server, bytes, count), cut;
  int good = server ? request_good(bytes, count) : response_good(bytes, count);
  REQUIRE(good >= 0 ? (whole.result == 1) == good : (whole.result == 1 || whole.result == WB_E_PROTOCOL));
  REQUIRE(whole.result != 0 || count < WB_HTTP_HEAD_BYTES_MAX);

  size_t step = count <= EVERY_CUT_MAX ? 1 : 1 + count / CUTS;
  bool decided = false;
  for (size_t part = 0; part <= count; part += step) {
    cut = read_head(server, bytes, part);
    if (cut.result == 0) {
      REQUIRE(!decided && cut.head_bytes == 0);
      continue;
    }
    decided = true;
    REQUIRE(memcmp(&cut, &whole, sizeof cut) == 0);
  }
  if (whole.head_bytes) { /* complete at its last byte and not before */
    cut = read_head(server, bytes, whole.head_bytes - 1);
    REQUIRE(cut.result == 0);
    cut = read_head(server, bytes, whole.head_bytes);
    REQUIRE(memcmp(&cut, &whole, sizeof cut) == 0);
  }
}

static void check_url(const char *input) {
  wb_url url, again;
  wb_error error = {0};
  memset(&url, 0, sizeof url);
  int result = wb_url_parse(input, &url, &error);
  if (result != 0) {
    REQUIRE(result == WB_E_CONFIG && error.code == result && error.detail[0] && error.position <= strlen(input));
    return;
  }
  REQUIRE(url.host[0] && url.target[0] == '/' && atoi(url.port) >= 1 && atoi(url.port) <= 65535);
  char joined[2048], request[4096];
  snprintf(joined, sizeof joined, "%s://%s%s%s:%s%s", url.tls ? "wss" : "ws", url.host_is_ipv6 ? "[" : "", url.host,
           url.host_is_ipv6 ? "]" : "", url.port, url.target);
  memset(&again, 0, sizeof again);
  REQUIRE(wb_url_parse(joined, &again, NULL) == 0 && memcmp(&url, &again, sizeof url) == 0);

  wb_http_request read;
  int bytes = wb_http_upgrade_request(&url, KEY, "fuzz", WB_DEFLATE_OFF, request, sizeof request);
  REQUIRE(bytes > 0 && (size_t)bytes == strlen(request));
  REQUIRE(wb_http_upgrade_read(request, (size_t)bytes, &read, NULL) == 1);
  REQUIRE(read.head_bytes == (size_t)bytes && strcmp(read.target, url.target) == 0 && strcmp(read.key, KEY) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  if (data[0] == '0' || data[0] == '1') {
    check_head(data[0] == '1', data + 1, size - 1);
    return 0;
  }
  char *input = malloc(size);
  REQUIRE(input);
  memcpy(input, data + 1, size - 1);
  input[size - 1] = 0;
  check_url(input);
  free(input);
  return 0;
}
