#include "engine/store/gap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char begin[] = "{\"event\":\"gap\",\"reason\":\"storage behind\"";

size_t wb_gap_print(const wb_gap *gap, char text[WB_GAP_TEXT_BYTES]) {
  size_t n = (size_t)snprintf(text, WB_GAP_TEXT_BYTES,
                              "%s,\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64
                              ",\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"lines\":[",
                              begin, gap->first, gap->last, gap->frames, gap->bytes, (uint64_t)gap->from_utc_ns,
                              (uint64_t)gap->to_utc_ns);
  for (unsigned i = 0; i < gap->line_count; i++)
    n += (size_t)snprintf(text + n, WB_GAP_TEXT_BYTES - n, "%s[%" PRIu64 ",%" PRIu64 "]", i ? "," : "", gap->line[i].frames,
                          gap->line[i].bytes);
  return n + (size_t)snprintf(text + n, WB_GAP_TEXT_BYTES - n, "]}");
}

/* Reads ,"name":N at *at. */
static bool number(const char **at, const char *end, const char *name, uint64_t *value) {
  size_t bytes = strlen(name);
  if ((size_t)(end - *at) < bytes || memcmp(*at, name, bytes) != 0) return false;
  const char *digit = *at + bytes;
  *value = 0;
  for (; digit < end && *digit >= '0' && *digit <= '9'; digit++)
    if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, (uint64_t)(*digit - '0'), value))
      return false;
  bool any = digit > *at + bytes;
  *at = digit;
  return any;
}

bool wb_gap_read(const wb_frame *frame, const uint8_t *bytes, wb_gap *gap) {
  const char *at = (const char *)bytes, *end = at + frame->bytes;
  uint64_t from, to;
  *gap = (wb_gap){0};
  if (frame->kind != WB_FRAME_GAP || frame->bytes < sizeof begin - 1 || memcmp(at, begin, sizeof begin - 1) != 0) return false;
  at += sizeof begin - 1;
  if (!number(&at, end, ",\"first\":", &gap->first) || !number(&at, end, ",\"last\":", &gap->last) ||
      !number(&at, end, ",\"frames\":", &gap->frames) || !number(&at, end, ",\"bytes\":", &gap->bytes) ||
      !number(&at, end, ",\"from\":", &from) || !number(&at, end, ",\"to\":", &to))
    return false;
  gap->from_utc_ns = (int64_t)from;
  gap->to_utc_ns = (int64_t)to;
  return gap->first == frame->number && gap->last >= gap->first && gap->frames == gap->last - gap->first + 1;
}
