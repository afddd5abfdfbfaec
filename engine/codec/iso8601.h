/* iso8601.h - the form of time that venues send: "2026-08-02T05:43:52.535977Z", fraction of 1 to 9 digits or none.
 *
 * Source   ISO 8601 / RFC 3339, UTC only, capital T and Z. Days from the civil date after Howard Hinnant, "chrono-compatible
 *          low-level date algorithms". Threads: pure. */
#ifndef WB_CODEC_ISO8601_H
#define WB_CODEC_ISO8601_H

#include <stddef.h>
#include <stdint.h>

/* wb_iso8601_parse gives nanoseconds since 1970 UTC (years 1678..2261), or WB_TIME_NONE for a time in year 0001. Second 60 is
 * legal at 23:59 only and counts as the next second. Returns 0 or WB_E_SYNTAX; *time_ns is written on success only. */
int wb_iso8601_parse(const char *text, size_t bytes, int64_t *time_ns);

/* wb_iso8601_parse_go does the same for a time as Go prints it (time.Time.String): "2026-09-07 23:37:22.674409 +0000 UTC", UTC only, with or without a
 * reading of the monotonic clock behind it, " m=+139651.272674714", which is looked at and left. */
int wb_iso8601_parse_go(const char *text, size_t bytes, int64_t *time_ns);

#endif
