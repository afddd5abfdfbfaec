/* http1.h - the HTTP/1.1 upgrade to WebSocket, both ends, and the heads of other requests, bytes in and bytes out; heads are parsed by http-parser,
 * and stricter than it: lines end in CRLF, no folded lines, no control bytes, names are tokens.
 *
 * Shape:   stateless: each call gets all the bytes that came so far and starts from the first.
 * Threads: pure. Source: RFC 6455 section 4, RFC 9110, RFC 9112. */
#ifndef WB_IO_HTTP1_H
#define WB_IO_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "io/extension.h"

enum { WB_HTTP_HEAD_BYTES_MAX = 16384, WB_WS_KEY_BYTES = 24, WB_WS_ACCEPT_BYTES = 28 };

/* A parsed ws:// or wss:// URL. */
typedef struct wb_url {
  bool tls;
  char host[256];    /* without brackets for an IPv6 literal */
  char port[6];      /* "443" when none was given with wss, "80" with ws */
  char target[1024]; /* path and query, "/" at least */
  bool host_is_ipv6;
} wb_url;

/* wb_url_parse reads text. Returns 0 or WB_E_CONFIG with a detail for people (scheme, host, port out of range, user info or
 * fragment not allowed); the detail never repeats the text, which may hold a secret.
 * error.position is the character. WB_E_INVALID for NULL. *url is written on success only. */
int wb_url_parse(const char *text, wb_url *url, wb_error *error);

/* wb_ws_key makes a Sec-WebSocket-Key (base64 of 16 random bytes, NUL-terminated); wb_ws_accept the answer to it. */
void wb_ws_key(const uint8_t random[16], char key[WB_WS_KEY_BYTES + 1]);
void wb_ws_accept(const char key[WB_WS_KEY_BYTES + 1], char accept[WB_WS_ACCEPT_BYTES + 1]);

/* wb_http_upgrade_request writes the client's request, NUL-terminated, and returns its length, WB_E_LIMIT if size is too small,
 * WB_E_INVALID for text that would break the head (control bytes) or a key of the wrong length. user_agent may be NULL. deflate: what
 * permessage-deflate is offered, OFF for none. */
int wb_http_upgrade_request(const wb_url *url, const char *key, const char *user_agent, wb_deflate_mode deflate, char *text,
                            size_t size);

/* What came back. head_bytes: length of the response head, with the interim (1xx) heads before it; bytes after it belong to the
 * WebSocket (or to the body of a refusal). */
typedef struct wb_http_response {
  unsigned status;
  size_t head_bytes;
  unsigned retry_after_s;   /* of Retry-After in seconds, 0 if absent or a date */
  int64_t retry_at_utc_s;   /* of Retry-After as a date (RFC 9110 5.6.7), seconds since 1970; 0 if absent or seconds */
  int64_t date_utc_s;       /* of Date; 0 if absent or none */
  char location[1024];      /* of a redirect (3xx), "" if absent or longer */
  wb_deflate_terms deflate; /* of a 101 */
} wb_http_response;

/* wb_http_upgrade_response reads what came so far. Returns 1 when the head is complete and is a correct 101 (status line,
 * Upgrade, Connection, Sec-WebSocket-Accept, no extension or protocol that was not asked for, terms that follow from what was offered: deflate, as in the
 * request); 0 if more is needed;
 * WB_E_REFUSED when the head is complete and is another status (response is filled); WB_E_PROTOCOL for bytes that are no HTTP
 * or a wrong 101; WB_E_TOO_LARGE above WB_HTTP_HEAD_BYTES_MAX. error (may be NULL) is filled on failure: "429 Too Many
 * Requests, retry after 5 s". */
int wb_http_upgrade_response(const char *bytes, size_t count, const char *key, wb_deflate_mode deflate,
                             wb_http_response *response, wb_error *error);

/* Server side. wb_http_upgrade_read reads a client's request: 1 complete and good (key, target filled, head_bytes), 0 more
 * needed, WB_E_PROTOCOL (answer 400), WB_E_TOO_LARGE (431), WB_E_REFUSED (no upgrade to version 13 asked for, 426; head_bytes
 * and target are filled). The target is in origin form ("/path?query"). wb_http_upgrade_answer writes the 101, NUL-terminated,
 * and returns its length, WB_E_LIMIT or WB_E_INVALID (key); extensions: what wb_extension_accept wrote, NULL for none. */
typedef struct wb_http_request {
  size_t head_bytes;
  char key[WB_WS_KEY_BYTES + 1];
  char target[1024];
  char extensions[256]; /* of the first Sec-WebSocket-Extensions; "" if absent or longer */
  /* Of a refused request: it says nothing of an upgrade, so that something else may answer it; its method is GET; the connection is to
   * end after the answer; a body follows the head. */
  bool plain, get, close, body;
} wb_http_request;
int wb_http_upgrade_read(const char *bytes, size_t count, wb_http_request *request, wb_error *error);
int wb_http_upgrade_answer(const char *key, const char *extensions, char *text, size_t size);

/* A request of any kind, as a server sees it; text lies in the bytes that were read. */
typedef struct wb_http_text {
  const char *at; /* NULL: not there */
  size_t bytes;
} wb_http_text;

typedef struct wb_http_call {
  unsigned refusal;   /* after an error: the status to answer with (400, 413, 431, 501, 505) */
  const char *method; /* static */
  size_t head_bytes, body_bytes;
  wb_http_text target; /* in origin form */
  wb_http_text host;
  bool upgrade; /* to version 13 of WebSocket, with key */
  bool close;   /* the connection is to end after the answer */
  char key[WB_WS_KEY_BYTES + 1];
} wb_http_call;

/* wb_http_call_read reads the head of a request: 1 whole and good (the body, body_bytes of it, follows the head), 0 more needed, else WB_E_PROTOCOL,
 * WB_E_TOO_LARGE (head_bytes_max, at most WB_HTTP_HEAD_BYTES_MAX) or WB_E_UNSUPPORTED with refusal set; error may be NULL. HTTP/1.1 only; one Host; a body
 * comes with Content-Length. */
int wb_http_call_read(const char *bytes, size_t count, size_t head_bytes_max, wb_http_call *call, wb_error *error);

/* wb_http_header finds a field of a head that wb_http_call_read found good: its value without blanks around it, of the first if there are several. */
wb_http_text wb_http_header(const char *head, size_t head_bytes, const char *name);

#endif
