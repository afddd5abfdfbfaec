/* host.h - the world as the engine asks for it: clocks, log, futex sleep, random bytes. */
#ifndef WB_IO_HOST_H
#define WB_IO_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/port.h"

/* wb_clock_ns is CLOCK_MONOTONIC, wb_clock_utc_ns CLOCK_REALTIME, in nanoseconds. Any thread, about 25 ns. */
uint64_t wb_clock_ns(void);
int64_t wb_clock_utc_ns(void);

/* wb_random_fill fills bytes[0..count) from the kernel's generator. Any thread. */
void wb_random_fill(void *bytes, size_t count);

/* wb_futex_sleep waits while *word == expected, at most timeout_ns, until wb_futex_wake. May return early. */
void wb_futex_sleep(uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void wb_futex_wake(uint32_t *word);

/* wb_utc_text writes "2026-11-21T12:37:00.123456Z" (28 bytes with NUL). */
enum { WB_UTC_TEXT_BYTES = 28 };
void wb_utc_text(int64_t utc_ns, char text[WB_UTC_TEXT_BYTES]);

/* wb_log: lines from any thread go into a fixed queue: no lock, no allocation, no I/O; a thread that is stopped in the middle of it holds up
 * nobody. wb_log_drain, from one background thread, writes out what is whole, in the order of arrival; a line that is not whole yet comes
 * later, with its own time. A full queue drops lines and says how many when it drains. Edge G1, docs/threading.md. */
typedef struct wb_log wb_log;

/* file: NULL for stderr, otherwise appended to. json: one JSON object a line instead of text. level: highest WB_LOG_* written.
 * NULL on failure. */
wb_log *wb_log_open(const char *file, int level, bool json, wb_error *error);
void wb_log_close(wb_log *log);
void wb_log_put(wb_log *log, int level, const char *text);
void wb_log_putf(wb_log *log, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
int wb_log_drain(wb_log *log);

/* wb_host_make fills the engine's table with these, log as its self. */
void wb_host_make(wb_host *host, wb_log *log);

#endif
