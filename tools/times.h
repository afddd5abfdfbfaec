/* times.h - times as people give them to a command. */
#ifndef WB_TOOLS_TIMES_H
#define WB_TOOLS_TIMES_H

#include <stdbool.h>
#include <stdint.h>

/* What a command that takes times says about them in its help. */
#define WB_TIMES_HELP                                                                                                          \
  "TIME is UTC: 2026-01-31, 2026-01-31T23:59, 2026-01-31T23:59:59.123456789Z, seconds since 1970, or so long ago: -90s,\n"     \
  "-15m, -1h, -7d.\n"

/* wb_time_parse reads one into nanoseconds since 1970. False if it is none. */
bool wb_time_parse(const char *text, int64_t *utc_ns);

/* wb_speed_parse reads how fast recorded time goes: "10x" or "10" is 10, "max" 0. False if it is neither. */
bool wb_speed_parse(const char *text, double *speed);

#endif
