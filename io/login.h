/* login.h - who the node is to an exchange: a key, and the fields by which a subscribe message proves it.
 *
 * Exchange "signature", "key", "passphrase", "timestamp": HMAC-SHA256 of time, "GET" and "/users/self/verify".
 * Advanced "jwt": ES256 or EdDSA, a new one a message, good for 120 s.
 *          Each subscribe has them, and each unsubscribe.
 * Key      a file: a JSON object of strings, or lines NAME=VALUE with # for remarks. Exchange: key, secret, passphrase. Advanced: name (or id, key) and
 *          privateKey (or secret), as the portal hands out; other members of an object are passed over. Or the environment: WIREBOOK_KEY, WIREBOOK_SECRET,
 *          WIREBOOK_PASSPHRASE. A file must be a regular one of at most WB_LOGIN_FILE_BYTES_MAX, of this user or root, with no rights for group and
 *          others; a symbolic link is followed, and what it leads to is what is checked.
 * Secret   all of it lies in pages of its own: locked where the machine allows, left out of core dumps, zero in a forked child, wiped at close. Opening one
 *          makes the process undumpable for good (PR_SET_DUMPABLE): no core file, and other programs of the same user cannot look in. Error
 *          texts never repeat a value.
 * Memory   36 KiB, mapped at open. wolfCrypt allocates while it signs (io/tls_sign.h).
 * Threads  open and close cold, while there are no other threads that read the environment; sign and strike from the ingest thread; heard there, explain from any.
 * Cost     some microseconds for a message to Exchange, 40 (Ed25519) or 90 (ES256) for one to Advanced.
 * Source   https://docs.cdp.coinbase.com/exchange/websocket-feed/authentication, .../coinbase-app/authentication-authorization/api-key-authentication,
 *          RFC 7515, RFC 7518, RFC 7519, RFC 8037. */
#ifndef WB_IO_LOGIN_H
#define WB_IO_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

typedef struct wb_login wb_login;

/* How far the exchange lets a clock be off. */
enum { WB_LOGIN_FILE_BYTES_MAX = 16 << 10, WB_LOGIN_SKEW_S_MAX = 30 };

/* Both return NULL with *error: WB_E_CONFIG for a key that is none, is another feed's, or lies where others can read it (the detail says what to do);
 * WB_E_SYSTEM, WB_E_MEMORY. feed: a codec's name. wb_login_open_environment wipes the three variables, whatever comes of it, so that neither children
 * nor /proc/PID/environ have them; what the parent, a shell's history or a service manager keeps is out of reach. */
wb_login *wb_login_open_file(const char *feed, const char *path, wb_error *error);
wb_login *wb_login_open_environment(const char *feed, wb_error *error);
void wb_login_close(wb_login *login);

/* wb_login_in_environment: whether one of the three variables says something. wb_login_environment_wipe takes them away unread. */
bool wb_login_in_environment(void);
void wb_login_environment_wipe(void);

/* A message: NUL-terminated, in the login's memory until it signs again, or the text that was given. */
typedef struct wb_login_text {
  const char *text;
  size_t bytes;
} wb_login_text;

/* wb_login_sign puts the fields into text[0..count), one JSON object, where it is a message that needs them; *to is what is to be sent. utc_ns: now. Returns 0;
 * WB_E_LIMIT for a text that becomes too long, WB_E_TLS. wb_login_strike, when it was sent: puts "***" in the place of all that is secret in it, for good; *to
 * is what a log may have. */
int wb_login_sign(wb_login *login, const char *text, size_t count, int64_t utc_ns, wb_login_text *to);
void wb_login_strike(wb_login *login, wb_login_text *to);

/* wb_login_heard: the exchange said that its time was date_utc_s when this machine's was utc_ns. Returns by how many seconds the latter is ahead. */
int64_t wb_login_heard(wb_login *login, int64_t utc_ns, int64_t date_utc_s);

/* wb_login_explain writes for people what an error of the exchange, bytes[0..count), means for a login, and what to do. login NULL: there is none. Returns text, or
 * NULL when the error is about something else. */
const char *wb_login_explain(const wb_login *login, const char *feed, const char *bytes, size_t count, char *text, size_t size);

/* wb_login_describe writes one line for people; nothing of the key. Returns text. */
const char *wb_login_describe(const wb_login *login, char *text, size_t size);

#endif
