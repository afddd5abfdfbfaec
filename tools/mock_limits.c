#include "tools/mock_limits.h"

#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

const wb_mock_rate wb_mock_rate_connections = {8, 20}, wb_mock_rate_messages = {8, 100};

bool wb_mock_rate_take(const wb_mock_rate *rate, uint64_t *used_ns, uint64_t now_ns) {
  if (!rate->per_second) return true;
  uint64_t each = SECOND_NS / rate->per_second, used = *used_ns > now_ns ? *used_ns : now_ns;
  if (used - now_ns > (rate->burst - 1) * each) return false;
  *used_ns = used + each;
  return true;
}

static uint64_t still_since(const wb_mock_source *source) {
  uint64_t last = source->connections_ns > source->messages_ns ? source->connections_ns : source->messages_ns;
  return last > source->requests_ns ? last : source->requests_ns;
}

wb_mock_source *wb_mock_source_of(wb_mock_source *source, const char *address) {
  wb_mock_source *oldest = NULL;
  for (int i = 0; i < WB_MOCK_SOURCES_MAX; i++) {
    if (strcmp(source[i].address, address) == 0) return &source[i];
    if (!source[i].clients && (!oldest || still_since(&source[i]) < still_since(oldest))) oldest = &source[i];
  }
  *oldest = (wb_mock_source){.clients = 0};
  snprintf(oldest->address, sizeof oldest->address, "%s", address);
  return oldest;
}
