/* recording.h - text recordings: one message a line, plain, gzip or zstd.
 *
 * Form:    told apart by content, not by name: gzip (one or more members), zstd (one or more frames), anything else is
 *          plain text. A line is  [receive time, blanks or tab,] message.  The time is seconds since 1970 UTC with a fraction
 *          ("1618677817.061845"; digits past the ninth are dropped) or whole nanoseconds (12 digits and more; up to 11 digits
 *          are whole seconds), and may be followed by a colon. What does not begin with such a time is a message as it stands,
 *          whatever it is: judging it is the codec's work. LF and CRLF end lines, the last may lack both; a byte order mark in
 *          front and lines of blanks only are skipped.
 * Limits:  lines up to WB_RECORDING_LINE_BYTES_MAX.
 * Threads: one. With deflate the only file pair that includes zlib. */
#ifndef WB_IO_RECORDING_H
#define WB_IO_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/event.h"

enum { WB_RECORDING_LINE_BYTES_MAX = 64 << 20 };

typedef struct wb_recording wb_recording;

typedef struct wb_recording_line {
  int64_t recv_utc_ns; /* WB_TIME_NONE if the line has none */
  const char *bytes;   /* count of them, and WB_READ_SLACK_BYTES more readable, until the next call */
  size_t count;
  uint64_t number; /* line of the text, from 1 */
} wb_recording_line;

/* wb_recording_open opens a file ("-": standard input). NULL with *error: missing, not readable, a folder. */
wb_recording *wb_recording_open(const char *path, wb_error *error);
void wb_recording_close(wb_recording *recording);

/* wb_recording_next gives the next message: 1; 0 at the end; WB_E_TOO_LARGE for a line above the limit (it is skipped: the next
 * call goes on behind it); WB_E_DAMAGED where compressed bytes are wrong or cut short, after every whole line in front of it
 * was given; WB_E_SYSTEM; WB_E_MEMORY. error->position is the line. After the last three every call returns the same. */
int wb_recording_next(wb_recording *recording, wb_recording_line *line, wb_error *error);

/* wb_recording_time reads a receive time at the front of text: returns how many bytes it takes with the blanks behind it, 0 if
 * there is none. */
size_t wb_recording_time(const char *text, size_t count, int64_t *utc_ns);

#endif
