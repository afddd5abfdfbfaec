/* error.h - error codes, reject reasons, and the optional detail of a cold error.
 *
 * Every function that can fail returns 0 (or a count) on success and a negative WB_E_* on failure. Full, would-block and
 * "no event" are plain return values, not errors. Hot functions give only the code; cold ones (open, connect, config)
 * also fill an optional wb_error. Threads: all functions are pure. */
#ifndef WB_BASE_ERROR_H
#define WB_BASE_ERROR_H

#include <stdint.h>

/* name, value, text */
#define WB_ERROR_LIST(X)                                                                                                       \
  X(WB_E_INVALID, -1, "invalid argument")                                                                                      \
  X(WB_E_MEMORY, -2, "out of memory")                                                                                          \
  X(WB_E_SYSTEM, -3, "system call failed")                                                                                     \
  X(WB_E_LIMIT, -4, "limit exceeded")                                                                                          \
  X(WB_E_FULL, -5, "no room")                                                                                                  \
  X(WB_E_RANGE, -6, "number out of range")                                                                                     \
  X(WB_E_SYNTAX, -7, "syntax error")                                                                                           \
  X(WB_E_PROTOCOL, -8, "protocol violation")                                                                                   \
  X(WB_E_TOO_LARGE, -9, "message too large")                                                                                   \
  X(WB_E_UTF8, -10, "invalid UTF-8")                                                                                           \
  X(WB_E_TLS, -11, "TLS failure")                                                                                              \
  X(WB_E_CERTIFICATE, -12, "certificate refused")                                                                              \
  X(WB_E_RESOLVE, -13, "name not resolved")                                                                                    \
  X(WB_E_CONNECT, -14, "connection failed")                                                                                    \
  X(WB_E_CLOSED, -15, "closed by peer")                                                                                        \
  X(WB_E_TIMEOUT, -16, "timed out")                                                                                            \
  X(WB_E_REFUSED, -17, "refused by peer")                                                                                      \
  X(WB_E_DAMAGED, -18, "damaged data")                                                                                         \
  X(WB_E_VERSION, -19, "unknown version")                                                                                      \
  X(WB_E_CONFIG, -20, "wrong configuration")                                                                                   \
  X(WB_E_UNSUPPORTED, -21, "not supported here")                                                                               \
  X(WB_E_STATE, -22, "not possible in this state")

enum {
#define X(name, value, text) name = value,
  WB_ERROR_LIST(X)
#undef X
};

/* Why a message of the peer changed no book. The names are those of the report's "rejected" object. */
#define WB_REJECT_LIST(X)                                                                                                      \
  X(WB_REJECT_NONE, "none")                                                                                                    \
  X(WB_REJECT_BAD_JSON, "bad_json")                                                                                            \
  X(WB_REJECT_BAD_UTF8, "bad_utf8")                                                                                            \
  X(WB_REJECT_MISSING_FIELD, "missing_field")                                                                                  \
  X(WB_REJECT_WRONG_TYPE, "wrong_type")                                                                                        \
  X(WB_REJECT_BAD_NUMBER, "bad_number")                                                                                        \
  X(WB_REJECT_NUMBER_RANGE, "number_range")                                                                                    \
  X(WB_REJECT_UNKNOWN_SIDE, "unknown_side")                                                                                    \
  X(WB_REJECT_UNKNOWN_PRODUCT, "unknown_product")                                                                              \
  X(WB_REJECT_BAD_TIME, "bad_time")                                                                                            \
  X(WB_REJECT_NO_SNAPSHOT, "no_snapshot")                                                                                      \
  X(WB_REJECT_LEVELS_MAX, "levels_max")                                                                                        \
  X(WB_REJECT_TOO_LARGE, "too_large")                                                                                          \
  X(WB_REJECT_BINARY, "binary")                                                                                                \
  X(WB_REJECT_PROTOCOL, "protocol")                                                                                            \
  X(WB_REJECT_STATUS, "status")

typedef enum {
#define X(name, text) name,
  WB_REJECT_LIST(X)
#undef X
      WB_REJECT_COUNT
} wb_reject;

/* A cold error. code: WB_E_*; os_errno: 0 or an errno; position: byte, line or record where it happened, 0 if none;
 * what: static text naming the operation; detail: for people, one sentence without a full stop, always NUL-terminated. */
typedef struct wb_error {
  int code;
  int os_errno;
  uint64_t position;
  const char *what;
  char detail[256];
} wb_error;

/* wb_error_name returns "WB_E_RANGE" for WB_E_RANGE; "WB_E_?" for a code that is none. Static. */
const char *wb_error_name(int code);

/* wb_error_text returns the text of the list above; "unknown error" for a code that is none. Static. */
const char *wb_error_text(int code);

/* wb_reject_name returns the report's name of a reason; "unknown" out of range. Static. */
const char *wb_reject_name(wb_reject reason);

/* wb_error_set fills *error (may be NULL) and returns code, so that a caller can `return wb_error_set(...)`.
 * format is printf's; the text is cut to fit. */
int wb_error_set(wb_error *error, int code, int os_errno, const char *what, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Programmer errors. A peer's bytes never reach one. The default hook aborts; a program may set its own, which must not
 * return. WB_DCHECK is compiled only where WB_DEBUG is defined. */
typedef void (*wb_check_hook)(const char *file, int line, const char *expression);
void wb_check_hook_set(wb_check_hook hook);
void wb_check_failed(const char *file, int line, const char *expression) __attribute__((noreturn, cold));
#define WB_CHECK(e) ((e) ? (void)0 : wb_check_failed(__FILE__, __LINE__, #e))
#ifdef WB_DEBUG
#define WB_DCHECK(e) WB_CHECK(e)
#else
#define WB_DCHECK(e) ((void)sizeof(!(e)))
#endif

#endif
