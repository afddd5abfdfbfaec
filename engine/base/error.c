#include "engine/base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

const char *wb_error_name(int code) {
  switch (code) {
#define X(name, value, text)                                                                                                   \
  case value: return #name;
    WB_ERROR_LIST(X)
#undef X
  default: return "WB_E_?";
  }
}

const char *wb_error_text(int code) {
  switch (code) {
#define X(name, value, text)                                                                                                   \
  case value: return text;
    WB_ERROR_LIST(X)
#undef X
  default: return "unknown error";
  }
}

const char *wb_reject_name(wb_reject reason) {
  static const char *const names[] = {
#define X(name, text) text,
      WB_REJECT_LIST(X)
#undef X
  };
  return (unsigned)reason < WB_REJECT_COUNT ? names[reason] : "unknown";
}

int wb_error_set(wb_error *error, int code, int os_errno, const char *what, const char *format, ...) {
  if (!error) return code;
  error->code = code;
  error->os_errno = os_errno;
  error->position = 0;
  error->what = what;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->detail, sizeof error->detail, format, arguments);
  va_end(arguments);
  return code;
}

static wb_check_hook check_hook;

void wb_check_hook_set(wb_check_hook hook) { check_hook = hook; }

void wb_check_failed(const char *file, int line, const char *expression) {
  if (check_hook) check_hook(file, line, expression);
  abort();
}
