/* Stands in for confine_calls.c where libseccomp is not: no system call is taken away. */
#include <errno.h>

#include "io/confine.h"

bool wb_confine_calls_built(void) { return false; }
bool wb_confine_calls_there(void) { return false; }

int wb_confine_calls_load(wb_confine_calls calls, wb_error *error) {
  return wb_error_set(error, WB_E_UNSUPPORTED, ENOSYS, "confine", "the program was built without libseccomp");
}
