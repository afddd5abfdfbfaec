/* sender - a feed from memory: a loopback WebSocket server that sends what was encoded before anybody connected.
 *
 * Usage:  sender --levels N [--products P] [--cycle MESSAGES] [--tail MESSAGES] [--seed S] [--cpu C] [--port PORT] [--tls PEM]
 * Stream: after the upgrade and the first message of the client: ack, snapshots and updates of feed.h, then Close. A client asks for
 *         "/K": K whole cycles, then the first `tail` messages of one. The end of a cycle puts every level back as the snapshot
 *         had it, so that a cycle can follow itself, and all K end in the same book. With --cycle 0 there are the snapshots alone,
 *         and the last of them carries the time when the first byte of all left.
 * Output: a line of JSON with the port and what every client's books must be in the end; then one line a connection: from the
 *         first byte of the updates (--cycle 0: of the snapshots) to the client's Close or end of stream; from_ns is that first
 *         byte's CLOCK_MONOTONIC. Ends when standard input does.
 *
 * One thread sends, in writes of up to 1 MB. */
#include "bench/reference/server.h"

static uint64_t clock_ns(clockid_t which) {
  struct timespec t;
  clock_gettime(which, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The last frame ends in `2026-08-02T05:45:52.535977Z"}`. */
static void date_snapshot(void) {
  uint64_t utc_ns = clock_ns(CLOCK_REALTIME);
  char time[32];
  strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", gmtime(&(time_t){(time_t)(utc_ns / 1000000000)}));
  snprintf(time + 19, sizeof time - 19, ".%06uZ", (unsigned)(utc_ns / 1000 % 1000000));
  memcpy(snapshots.bytes + snapshots.used - 29, time, 27);
}

static void serve(int fd, SSL_CTX *tls) {
  peer to;
  uint64_t cycles = 0;
  bool good = let_in(&to, fd, tls, &cycles);
  if (!feed.cycle) date_snapshot();
  uint64_t start = clock_ns(CLOCK_MONOTONIC);
  good = good && send_all(&to, snapshots.bytes, snapshots.used);
  if (feed.cycle) start = clock_ns(CLOCK_MONOTONIC);
  for (uint64_t i = 0; good && i < cycles; i++) good = send_all(&to, updates.bytes, updates.used);
  good = good && send_all(&to, updates.bytes, tail_bytes) && send_all(&to, CLOSE_1000, sizeof CLOSE_1000 - 1);
  uint64_t sent = clock_ns(CLOCK_MONOTONIC);
  await_close(&to, good);
  uint64_t end = clock_ns(CLOCK_MONOTONIC);
  uint64_t messages = cycles * cycle_messages + feed.tail, bytes = cycles * updates.used + tail_bytes;
  printf("{\"good\":%s,\"cycles\":%llu,\"messages\":%llu,\"bytes\":%llu,\"seconds\":%.9f,\"sent_seconds\":%.9f,"
         "\"from_ns\":%llu}\n",
         good ? "true" : "false", (unsigned long long)cycles, (unsigned long long)messages, (unsigned long long)bytes,
         (double)(end - start) / 1e9, (double)(sent - start) / 1e9, (unsigned long long)start);
  fflush(stdout);
  finish(&to, good);
}

int main(int argc, char **argv) {
  static const server_option own[] = {{"--cycle", &feed.cycle, 0, 10000000}, {"--tail", &feed.tail, 0, 10000000}};
  server_options(argc, argv, own, sizeof own / sizeof *own);
  if (feed.tail > feed.cycle) feed.tail = feed.cycle;
  feed_make();
  for (unsigned i = 0; i < feed.products; i++) restore(i);
  serve_all(serve);
  return 0;
}
