#include "io/http1.h"

#include <arpa/inet.h>
#include <http_parser.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

typedef struct span {
  const char *at;
  size_t bytes;
} span;

static bool is_blank(char c) { return c == ' ' || c == '\t'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_visible(char c) { return c > ' ' && c < 0x7f; }

static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static bool span_is(span s, const char *text) { return s.bytes == strlen(text) && strncasecmp(s.at, text, s.bytes) == 0; }

static span span_trim(span s) {
  while (s.bytes && is_blank(s.at[0])) s.at++, s.bytes--;
  while (s.bytes && is_blank(s.at[s.bytes - 1])) s.bytes--;
  return s;
}

/* For people: what came from the peer, cut to size, other than plain ASCII as '?'. */
static const char *span_print(span s, char *text, size_t size) {
  size_t bytes = s.bytes < size ? s.bytes : size - 1;
  for (size_t i = 0; i < bytes; i++) text[i] = is_visible(s.at[i]) || s.at[i] == ' ' ? s.at[i] : '?';
  text[bytes] = 0;
  return text;
}

/* -------------------------------------------------------------------------------------------------- key and accept */

static void base64(const uint8_t *bytes, size_t count, char *text) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < count; i += 3) {
    size_t left = count - i;
    uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0);
    *text++ = digits[group >> 18];
    *text++ = digits[group >> 12 & 63];
    *text++ = left > 1 ? digits[group >> 6 & 63] : '=';
    *text++ = left > 2 ? digits[group & 63] : '=';
  }
  *text = 0;
}

static uint32_t turn(uint32_t word, unsigned bits) { return word << bits | word >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t block[64]) {
  uint32_t w[80];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 80; i++) w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < 80; i++) {
    uint32_t f, k;
    if (i < 20) f = (b & c) | (~b & d), k = 0x5a827999;
    else if (i < 40) f = b ^ c ^ d, k = 0x6ed9eba1;
    else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
    else f = b ^ c ^ d, k = 0xca62c1d6;
    uint32_t next = turn(a, 5) + f + e + k + w[i];
    e = d;
    d = c;
    c = turn(b, 30);
    b = a;
    a = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void wb_ws_key(const uint8_t random[16], char key[WB_WS_KEY_BYTES + 1]) { base64(random, 16, key); }

/* SHA-1 here is an echo that proves the peer speaks WebSocket, it secures nothing. Key and GUID are always 60 bytes, which
 * with their padding make two blocks. */
void wb_ws_accept(const char key[WB_WS_KEY_BYTES + 1], char accept[WB_WS_ACCEPT_BYTES + 1]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  enum { TEXT_BYTES = WB_WS_KEY_BYTES + sizeof guid - 1 };
  uint8_t blocks[128] = {[TEXT_BYTES] = 0x80, [126] = TEXT_BYTES * 8 >> 8, [127] = (uint8_t)(TEXT_BYTES * 8)};
  memcpy(blocks, key, WB_WS_KEY_BYTES);
  memcpy(blocks + WB_WS_KEY_BYTES, guid, sizeof guid - 1);
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  sha1_block(state, blocks);
  sha1_block(state, blocks + 64);
  uint8_t digest[20];
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
  base64(digest, sizeof digest, accept);
}

static bool key_valid(span key) {
  if (key.bytes != WB_WS_KEY_BYTES || key.at[22] != '=' || key.at[23] != '=') return false;
  for (int i = 0; i < 22; i++)
    if (!is_letter(key.at[i]) && !is_digit(key.at[i]) && key.at[i] != '+' && key.at[i] != '/') return false;
  return true;
}

/* -------------------------------------------------------------------------------------------------- url */

static int url_error(wb_error *error, const char *start, const char *at, const char *detail) {
  wb_error_set(error, WB_E_CONFIG, 0, "url", "%s", detail);
  if (error) error->position = (uint64_t)(at - start);
  return WB_E_CONFIG;
}

static const char *host_complaint(span host, bool is_ipv6) {
  if (host.bytes == 0) return "the host is missing";
  if (host.bytes > 253) return "the host is longer than 253 characters";
  if (is_ipv6) {
    char text[256];
    struct in6_addr address;
    memcpy(text, host.at, host.bytes);
    text[host.bytes] = 0;
    if (memchr(text, '%', host.bytes)) return "an IPv6 zone is not allowed";
    return inet_pton(AF_INET6, text, &address) == 1 ? NULL : "what stands in brackets is no IPv6 address";
  }
  size_t label_bytes = 0;
  for (size_t i = 0; i < host.bytes; i++) {
    char c = host.at[i];
    if (c == '.') {
      if (label_bytes == 0) return "the host has an empty part";
      label_bytes = 0;
    } else if (is_letter(c) || is_digit(c) || c == '-' || c == '_') {
      if (++label_bytes > 63) return "a part of the host is longer than 63 characters";
    } else {
      return "the host may only have letters, digits, '-', '_' and '.' (other alphabets: write it as xn--...)";
    }
  }
  return label_bytes ? NULL : "the host has an empty part";
}

int wb_url_parse(const char *text, wb_url *url, wb_error *error) {
  if (!text || !url) return wb_error_set(error, WB_E_INVALID, 0, "url", "no text or nowhere to put the parts");
  wb_url parsed = {0};
  const char *colon = strstr(text, "://");
  if (!colon) return url_error(error, text, text, "the URL must begin with ws:// or wss://");
  span scheme = {text, (size_t)(colon - text)};
  parsed.tls = span_is(scheme, "wss");
  if (!parsed.tls && !span_is(scheme, "ws")) return url_error(error, text, text, "the scheme must be ws or wss");

  const char *authority = colon + 3, *target = authority + strcspn(authority, "/?#");
  const char *end = target + strlen(target), *fragment = strchr(target, '#');
  if (memchr(authority, '@', (size_t)(target - authority)))
    return url_error(error, text, authority, "a user name or password in the URL is not allowed");
  if (fragment) return url_error(error, text, fragment, "a fragment ('#') is not allowed");

  span host = {authority, 0};
  if (*authority == '[') {
    const char *close = memchr(authority, ']', (size_t)(target - authority));
    if (!close) return url_error(error, text, authority, "the ']' of the IPv6 address is missing");
    host = (span){authority + 1, (size_t)(close - authority - 1)};
    parsed.host_is_ipv6 = true;
  } else {
    host.bytes = strcspn(authority, ":/?#");
  }
  const char *complaint = host_complaint(host, parsed.host_is_ipv6);
  if (complaint) return url_error(error, text, host.at, complaint);
  memcpy(parsed.host, host.at, host.bytes);

  const char *port = host.at + host.bytes + parsed.host_is_ipv6;
  unsigned port_number = parsed.tls ? 443 : 80;
  if (port < target) {
    if (*port != ':') return url_error(error, text, port, "only a port may follow the ']' of the IPv6 address");
    if (memchr(port + 1, ':', (size_t)(target - port - 1)))
      return url_error(error, text, host.at, "an IPv6 address must stand in brackets, and there is only one port");
    port_number = 0;
    for (const char *c = port + 1; c < target; c++) {
      if (!is_digit(*c)) return url_error(error, text, c, "the port must be a number");
      port_number = port_number * 10 + (unsigned)(*c - '0');
      if (port_number > 65535) return url_error(error, text, port + 1, "the port must be 1 to 65535");
    }
    if (target == port + 1) return url_error(error, text, port, "the port is missing after the ':'");
    if (port_number == 0) return url_error(error, text, port + 1, "the port must be 1 to 65535");
  }
  snprintf(parsed.port, sizeof parsed.port, "%u", port_number & 0xffff);

  for (const char *c = target; c < end; c++) {
    if (!is_visible(*c)) return url_error(error, text, c, "blanks, control and non-ASCII characters must be written as %XX");
    if (*c == '%' && !(is_hex(c[1]) && is_hex(c[2])))
      return url_error(error, text, c, "a '%' must be followed by two hex digits");
  }
  bool slash = *target != '/';
  if (slash + (size_t)(end - target) >= sizeof parsed.target)
    return url_error(error, text, target, "the path is longer than 1023 characters");
  parsed.target[0] = '/';
  memcpy(parsed.target + slash, target, (size_t)(end - target));
  *url = parsed;
  return 0;
}

/* -------------------------------------------------------------------------------------------------- heads */

enum {
  UPGRADE,
  CONNECTION,
  ACCEPT,
  EXTENSIONS,
  PROTOCOL,
  KEY,
  VERSION,
  HOST,
  LOCATION,
  RETRY_AFTER,
  DATE,
  CONTENT_LENGTH,
  TRANSFER_ENCODING,
  HEADER_COUNT
};

static const char *const header_names[HEADER_COUNT] = {
    [UPGRADE] = "Upgrade",
    [CONNECTION] = "Connection",
    [ACCEPT] = "Sec-WebSocket-Accept",
    [EXTENSIONS] = "Sec-WebSocket-Extensions",
    [PROTOCOL] = "Sec-WebSocket-Protocol",
    [KEY] = "Sec-WebSocket-Key",
    [VERSION] = "Sec-WebSocket-Version",
    [HOST] = "Host",
    [LOCATION] = "Location",
    [RETRY_AFTER] = "Retry-After",
    [DATE] = "Date",
    [CONTENT_LENGTH] = "Content-Length",
    [TRANSFER_ENCODING] = "Transfer-Encoding",
};

typedef struct head {
  size_t bytes;
  bool complete, name_invalid;
  span target, reason, name;
  struct {
    unsigned count;
    span value; /* of the first */
  } header[HEADER_COUNT];
  bool connection_upgrade; /* "upgrade" among the tokens of Connection */
  bool connection_close;   /* "close" */
  bool upgrade_websocket;  /* "websocket" among the tokens of Upgrade */
} head;

static bool list_has(span list, const char *token) {
  for (;;) {
    const char *comma = memchr(list.at, ',', list.bytes);
    size_t bytes = comma ? (size_t)(comma - list.at) : list.bytes;
    if (span_is(span_trim((span){list.at, bytes}), token)) return true;
    if (!comma) return false;
    list = (span){comma + 1, list.bytes - bytes - 1};
  }
}

static int on_target(http_parser *parser, const char *at, size_t bytes) {
  head *h = parser->data;
  h->target = (span){at, bytes};
  return 0;
}

static int on_reason(http_parser *parser, const char *at, size_t bytes) {
  head *h = parser->data;
  h->reason = (span){at, bytes};
  return 0;
}

static int on_name(http_parser *parser, const char *at, size_t bytes) {
  head *h = parser->data;
  h->name = (span){at, bytes};
  /* As Debian builds it the parser lets blanks through. */
  if (memchr(at, ' ', bytes) || memchr(at, '\t', bytes)) h->name_invalid = true;
  return 0;
}

static int on_value(http_parser *parser, const char *at, size_t bytes) {
  head *h = parser->data;
  span value = span_trim((span){at, bytes});
  for (int i = 0; i < HEADER_COUNT; i++) {
    if (!span_is(h->name, header_names[i])) continue;
    if (h->header[i].count++ == 0) h->header[i].value = value;
    if (i == CONNECTION && list_has(value, "upgrade")) h->connection_upgrade = true;
    if (i == CONNECTION && list_has(value, "close")) h->connection_close = true;
    if (i == UPGRADE && list_has(value, "websocket")) h->upgrade_websocket = true;
  }
  return 0;
}

static int on_headers_complete(http_parser *parser) {
  head *h = parser->data;
  h->complete = true;
  return 2; /* stop after the head: what follows is not HTTP, or nobody's business here */
}

static const http_parser_settings settings = {.on_url = on_target,
                                              .on_status = on_reason,
                                              .on_header_field = on_name,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_headers_complete};

/* What the parser lets pass and a reader further on might read in another way. */
static const char *head_complaint(const head *h, const char *bytes) {
  if (h->name_invalid) return "a blank in a header name";
  for (size_t i = 0; i < h->bytes; i++) {
    unsigned char c = (unsigned char)bytes[i];
    if (c == '\r') {
      if (bytes[i + 1] != '\n') return "a bare carriage return";
      if (i + 2 < h->bytes && is_blank(bytes[i + 2])) return "a folded header line";
      i++;
    } else if ((c < ' ' && c != '\t') || c == 0x7f) {
      return "a bare line feed or another control character in the head";
    }
  }
  return NULL;
}

static int head_read(http_parser *parser, enum http_parser_type type, const char *bytes, size_t count, size_t room, head *h,
                     wb_error *error) {
  static const char what[] = "http head";
  *h = (head){0};
  size_t limit = count < room ? count : room;
  if (limit) {
    /* As Debian builds it the parser looks at little more than the first letter of these. */
    if (type == HTTP_RESPONSE && memcmp(bytes, "HTTP/1.", limit < 7 ? limit : 7) != 0)
      return wb_error_set(error, WB_E_PROTOCOL, 0, what, "the answer does not begin with HTTP/1");
    if (bytes[0] == '\r' || bytes[0] == '\n')
      return wb_error_set(error, WB_E_PROTOCOL, 0, what, "an empty line before the head");
    http_parser_init(parser, type);
    parser->data = h;
    h->bytes = http_parser_execute(parser, &settings, bytes, limit);
    enum http_errno parse_error = HTTP_PARSER_ERRNO(parser);
    if (parse_error != HPE_OK) {
      wb_error_set(error, WB_E_PROTOCOL, 0, what, "not HTTP: %s", http_errno_description(parse_error));
      if (error) error->position = h->bytes;
      return WB_E_PROTOCOL;
    }
  }
  if (!h->complete) {
    if (count < room) return 0;
    return wb_error_set(error, WB_E_TOO_LARGE, 0, what, "the head is larger than %d bytes", WB_HTTP_HEAD_BYTES_MAX);
  }
  const char *complaint = head_complaint(h, bytes);
  if (complaint) return wb_error_set(error, WB_E_PROTOCOL, 0, what, "%s", complaint);
  return 1;
}

/* -------------------------------------------------------------------------------------------------- client */

static bool text_plain(const char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < ' ' || *text == 0x7f) return false;
  return true;
}

static int print_result(int printed, size_t size) { return printed >= 0 && (size_t)printed < size ? printed : WB_E_LIMIT; }

int wb_http_upgrade_request(const wb_url *url, const char *key, const char *user_agent, wb_deflate_mode deflate, char *text,
                            size_t size) {
  if (!url || !key || !text || !key_valid((span){key, strlen(key)})) return WB_E_INVALID;
  if (!url->host[0] || url->target[0] != '/' || !text_plain(url->host) || !text_plain(url->port)) return WB_E_INVALID;
  for (const char *c = url->target; *c; c++)
    if (!is_visible(*c)) return WB_E_INVALID;
  if (user_agent && !text_plain(user_agent)) return WB_E_INVALID;
  bool port = strcmp(url->port, url->tls ? "443" : "80") != 0, agent = user_agent && user_agent[0];
  const char *offer = wb_extension_offer(deflate);
  int printed = snprintf(text, size,
                         "GET %s HTTP/1.1\r\nHost: %s%s%s%s%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s%s%s\r\n",
                         url->target, url->host_is_ipv6 ? "[" : "", url->host, url->host_is_ipv6 ? "]" : "", port ? ":" : "",
                         port ? url->port : "", key, offer ? "Sec-WebSocket-Extensions: " : "", offer ? offer : "",
                         offer ? "\r\n" : "", agent ? "User-Agent: " : "", agent ? user_agent : "", agent ? "\r\n" : "");
  return print_result(printed, size);
}

/* RFC 9110 5.6.7, in all three forms; 0 for anything else. */
static int64_t date_read(span date) {
  static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
  char text[40];
  if (!date.bytes || date.bytes >= sizeof text) return 0;
  memcpy(text, date.at, date.bytes);
  text[date.bytes] = 0;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    struct tm fields = {0};
    const char *end = strptime(text, forms[i], &fields);
    if (end && !*end) return timegm(&fields);
  }
  return 0;
}

static int refused(const http_parser *parser, const head *h, wb_http_response *response, wb_error *error) {
  char reason[64], tail[120] = "";
  span location = h->header[LOCATION].value, retry = h->header[RETRY_AFTER].value;
  for (size_t i = 0; i < retry.bytes; i++) {
    if (!is_digit(retry.at[i])) {
      response->retry_after_s = 0;
      break;
    }
    unsigned long long seconds = response->retry_after_s * 10ull + (unsigned)(retry.at[i] - '0');
    response->retry_after_s = seconds > UINT_MAX ? UINT_MAX : (unsigned)seconds;
  }
  if (response->retry_after_s) snprintf(tail, sizeof tail, ", retry after %u s", response->retry_after_s);
  else if ((response->retry_at_utc_s = date_read(retry)) != 0)
    snprintf(tail, sizeof tail, ", retry after %.*s", (int)retry.bytes, retry.at);
  if (parser->status_code / 100 == 3 && location.bytes) {
    char shown[100];
    snprintf(tail, sizeof tail, ", moved to %s", span_print(location, shown, sizeof shown));
    if (location.bytes < sizeof response->location) memcpy(response->location, location.at, location.bytes);
  }
  return wb_error_set(error, WB_E_REFUSED, 0, "upgrade", "%u%s%s%s", (unsigned)parser->status_code, h->reason.bytes ? " " : "",
                      span_print(h->reason, reason, sizeof reason), tail);
}

static int accepted(const http_parser *parser, const head *h, const char *key, wb_deflate_mode deflate,
                    wb_http_response *response, wb_error *error) {
  static const char what[] = "upgrade";
  if (parser->http_minor < 1) return wb_error_set(error, WB_E_PROTOCOL, 0, what, "101 in HTTP/1.0");
  if (h->header[UPGRADE].count != 1 || !span_is(h->header[UPGRADE].value, "websocket"))
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "101 without (one) Upgrade: websocket");
  if (!h->connection_upgrade) return wb_error_set(error, WB_E_PROTOCOL, 0, what, "101 without Connection: Upgrade");
  if (h->header[ACCEPT].count != 1)
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "101 with %u Sec-WebSocket-Accept, must be one",
                        h->header[ACCEPT].count);
  char expected[WB_WS_ACCEPT_BYTES + 1], shown[64];
  wb_ws_accept(key, expected);
  span accept = h->header[ACCEPT].value;
  if (accept.bytes != WB_WS_ACCEPT_BYTES || memcmp(accept.at, expected, WB_WS_ACCEPT_BYTES) != 0)
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "101 with wrong Sec-WebSocket-Accept \"%s\", should be \"%s\"",
                        span_print(accept, shown, sizeof shown), expected);
  for (int i = deflate ? PROTOCOL : EXTENSIONS; i <= PROTOCOL; i++)
    if (h->header[i].count)
      return wb_error_set(error, WB_E_PROTOCOL, 0, what, "101 with %s \"%s\", which was not asked for", header_names[i],
                          span_print(h->header[i].value, shown, sizeof shown));
  if (h->header[EXTENSIONS].count == 0) return 1;
  span value = h->header[EXTENSIONS].value;
  const char *complaint = h->header[EXTENSIONS].count > 1
                              ? "is there more than once"
                              : wb_extension_agree(deflate, value.at, value.bytes, &response->deflate);
  if (complaint)
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "101 with Sec-WebSocket-Extensions \"%s\": %s",
                        span_print(value, shown, sizeof shown), complaint);
  return 1;
}

int wb_http_upgrade_response(const char *bytes, size_t count, const char *key, wb_deflate_mode deflate,
                             wb_http_response *response, wb_error *error) {
  *response = (wb_http_response){0};
  http_parser parser;
  head h;
  size_t begin = 0;
  for (;;) {
    int result = head_read(&parser, HTTP_RESPONSE, bytes + begin, count - begin, WB_HTTP_HEAD_BYTES_MAX - begin, &h, error);
    if (result <= 0) return result;
    const char *line = bytes + begin; /* "HTTP/1.1 101 Switching Protocols" */
    if (h.bytes < 14 || line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
        (line[12] != ' ' && line[12] != '\r') || parser.status_code < 100 || parser.status_code > 599)
      return wb_error_set(error, WB_E_PROTOCOL, 0, "upgrade", "the status line must be: version, blank, three digits, reason");
    begin += h.bytes;
    if (parser.status_code == 101 || parser.status_code >= 200) break;
  }
  response->status = parser.status_code;
  response->head_bytes = begin;
  response->date_utc_s = date_read(h.header[DATE].value);
  if (parser.status_code != 101) return refused(&parser, &h, response, error);
  return accepted(&parser, &h, key, deflate, response, error);
}

/* -------------------------------------------------------------------------------------------------- server */

int wb_http_upgrade_read(const char *bytes, size_t count, wb_http_request *request, wb_error *error) {
  static const char what[] = "upgrade";
  *request = (wb_http_request){0};
  http_parser parser;
  head h;
  int result = head_read(&parser, HTTP_REQUEST, bytes, count, WB_HTTP_HEAD_BYTES_MAX, &h, error);
  if (result <= 0) return result;
  request->head_bytes = h.bytes;

  if (parser.http_major != 1 || parser.http_minor != 1)
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "the request is not HTTP/1.1");
  const char *method = http_method_str(parser.method);
  size_t method_bytes = strlen(method);
  if (h.target.at != bytes + method_bytes + 1 || strncmp(h.target.at + h.target.bytes, " HTTP/1.1\r\n", 11) != 0)
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "the request line must be: method, blank, target, blank, version");
  if (h.target.at[0] != '/') return wb_error_set(error, WB_E_PROTOCOL, 0, what, "the target must begin with '/'");
  if (h.target.bytes >= sizeof request->target)
    return wb_error_set(error, WB_E_TOO_LARGE, 0, what, "the target is longer than %zu characters", sizeof request->target - 1);
  for (size_t i = 0; i < h.target.bytes; i++)
    if (!is_visible(h.target.at[i]) || h.target.at[i] == '#')
      return wb_error_set(error, WB_E_PROTOCOL, 0, what, "a character in the target that does not belong there");
  memcpy(request->target, h.target.at, h.target.bytes);
  if (h.header[HOST].count != 1)
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "%u Host headers, must be one", h.header[HOST].count);

  bool no_body =
      !h.header[TRANSFER_ENCODING].count && (!h.header[CONTENT_LENGTH].count || span_is(h.header[CONTENT_LENGTH].value, "0"));
  request->plain = !h.header[UPGRADE].count && !h.connection_upgrade;
  request->get = parser.method == HTTP_GET;
  request->close = h.connection_close;
  request->body = !no_body;
  if (!h.upgrade_websocket || !h.connection_upgrade)
    return wb_error_set(error, WB_E_REFUSED, 0, what, "the request does not ask for an upgrade to websocket");
  if (parser.method != HTTP_GET)
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "an upgrade is asked for with GET, not %s", method);
  if (!no_body) return wb_error_set(error, WB_E_PROTOCOL, 0, what, "an upgrade request must not have a body");
  if (h.header[VERSION].count != 1)
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "%u Sec-WebSocket-Version, must be one", h.header[VERSION].count);
  if (!span_is(h.header[VERSION].value, "13"))
    return wb_error_set(error, WB_E_REFUSED, 0, what, "only version 13 of the WebSocket protocol is spoken here");
  if (h.header[KEY].count != 1 || !key_valid(h.header[KEY].value))
    return wb_error_set(error, WB_E_PROTOCOL, 0, what, "Sec-WebSocket-Key must be there once, as base64 of 16 bytes");
  memcpy(request->key, h.header[KEY].value.at, WB_WS_KEY_BYTES);
  span extensions = h.header[EXTENSIONS].value;
  if (extensions.bytes && extensions.bytes < sizeof request->extensions)
    memcpy(request->extensions, extensions.at, extensions.bytes);
  return 1;
}

int wb_http_upgrade_answer(const char *key, const char *extensions, char *text, size_t size) {
  if (!key || !text || !key_valid((span){key, strlen(key)})) return WB_E_INVALID;
  char accept[WB_WS_ACCEPT_BYTES + 1];
  wb_ws_accept(key, accept);
  int printed =
      snprintf(text, size,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
               accept, extensions ? "Sec-WebSocket-Extensions: " : "", extensions ? extensions : "", extensions ? "\r\n" : "");
  return print_result(printed, size);
}

static int call_refused(wb_http_call *call, unsigned status, int code, wb_error *error, const char *text) {
  call->refusal = status;
  return wb_error_set(error, code, 0, "request", "%s", text);
}

/* No more digits than a body could have bytes. */
static bool body_bytes(span text, size_t *bytes) {
  if (!text.bytes || text.bytes > 15) return false;
  for (size_t i = 0; i < text.bytes; i++) {
    if (!is_digit(text.at[i])) return false;
    *bytes = *bytes * 10 + (size_t)(text.at[i] - '0');
  }
  return true;
}

int wb_http_call_read(const char *bytes, size_t count, size_t head_bytes_max, wb_http_call *call, wb_error *error) {
  *call = (wb_http_call){0};
  http_parser parser;
  head h;
  int result = head_read(&parser, HTTP_REQUEST, bytes, count, head_bytes_max, &h, error);
  if (result < 0) call->refusal = result == WB_E_TOO_LARGE ? 431 : 400;
  if (result <= 0) return result;
  call->head_bytes = h.bytes;
  call->method = http_method_str(parser.method);
  if (parser.http_major != 1 || parser.http_minor != 1)
    return call_refused(call, 505, WB_E_UNSUPPORTED, error, "the request is not HTTP/1.1");
  size_t method_bytes = strlen(call->method);
  if (h.target.at != bytes + method_bytes + 1 || strncmp(h.target.at + h.target.bytes, " HTTP/1.1\r\n", 11) != 0)
    return call_refused(call, 400, WB_E_PROTOCOL, error, "the request line must be: method, blank, target, blank, version");
  if (h.target.at[0] != '/') return call_refused(call, 400, WB_E_PROTOCOL, error, "the target must begin with '/'");
  for (size_t i = 0; i < h.target.bytes; i++)
    if (!is_visible(h.target.at[i]) || h.target.at[i] == '#')
      return call_refused(call, 400, WB_E_PROTOCOL, error, "a character in the target that does not belong there");
  if (h.header[HOST].count != 1) return call_refused(call, 400, WB_E_PROTOCOL, error, "there must be one Host");
  if (h.header[TRANSFER_ENCODING].count)
    return call_refused(call, 501, WB_E_UNSUPPORTED, error, "a body comes with Content-Length here");
  if (h.header[CONTENT_LENGTH].count > 1 ||
      (h.header[CONTENT_LENGTH].count && !body_bytes(h.header[CONTENT_LENGTH].value, &call->body_bytes)))
    return call_refused(call, 400, WB_E_PROTOCOL, error, "Content-Length is no number");
  call->target = (wb_http_text){h.target.at, h.target.bytes};
  call->host = (wb_http_text){h.header[HOST].value.at, h.header[HOST].value.bytes};
  call->close = h.connection_close;
  call->upgrade = parser.method == HTTP_GET && !call->body_bytes && h.upgrade_websocket && h.connection_upgrade &&
                  h.header[VERSION].count == 1 && span_is(h.header[VERSION].value, "13") && h.header[KEY].count == 1 &&
                  key_valid(h.header[KEY].value);
  if (call->upgrade) memcpy(call->key, h.header[KEY].value.at, WB_WS_KEY_BYTES);
  return 1;
}

wb_http_text wb_http_header(const char *text, size_t bytes, const char *name) {
  const char *end = text + bytes, *line = memchr(text, '\n', bytes);
  while (line && ++line < end) {
    const char *after = memchr(line, '\r', (size_t)(end - line));
    const char *colon = after ? memchr(line, ':', (size_t)(after - line)) : NULL;
    if (!colon) break;
    if (span_is((span){line, (size_t)(colon - line)}, name)) {
      span value = span_trim((span){colon + 1, (size_t)(after - colon - 1)});
      return (wb_http_text){value.at, value.bytes};
    }
    line = after + 1;
  }
  return (wb_http_text){0};
}
