#include <string.h>

#include "tools/mock_server.h"

static const wb_mock_dialect *const dialects[] = {&wb_mock_exchange, &wb_mock_advanced};

const wb_mock_dialect *wb_mock_dialect_at(unsigned index) {
  return index < sizeof dialects / sizeof *dialects ? dialects[index] : NULL;
}

const wb_mock_dialect *wb_mock_dialect_find(const char *name) {
  for (unsigned i = 0; wb_mock_dialect_at(i); i++)
    if (strcmp(wb_mock_dialect_at(i)->name, name) == 0) return wb_mock_dialect_at(i);
  return NULL;
}
