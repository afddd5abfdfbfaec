/* pacer - the sender's feed, open loop: each message leaves at a time fixed beforehand, which it carries in its `time` field.
 *
 * Usage:  pacer --period US --burst N --bursts N [--warm N] [--settle MS] [--levels N] [--products P] [--seed S] [--cpu C] [--port PORT] [--tls PEM]
 * Stream: ack, snapshots, a rest of --settle milliseconds; then every US microseconds a burst of --burst updates, --bursts times; then
 *         Close. All that is due goes in one write. The first --warm bursts, and the snapshots, carry a time in the year 0001: not to be timed.
 * Time:   what a message carries is when it was meant to leave, a whole microsecond by CLOCK_REALTIME, whenever it did: a client that
 *         holds the sender up pays for all the messages it delayed. Nothing is left out, and nothing but the clock is looked at meanwhile.
 * Output: as sender; the line of a connection says also how late the bursts left, how long the writes took, and how much time the machine
 *         took from the sender: what lay between two looks at the clock with nothing between them, where that was above 20 us.
 *
 * It spins, so it wants a CPU of its own. */
#include "bench/reference/server.h"
#include "bench/reference/stamp.h"

enum { LOST_NS = 20000 };

static struct { uint64_t period_us, burst, bursts, warm, settle_ms; } pace = {100, 1, 30000, 0, 500};
static const char untimed[] = "0001-01-01T00:00:00.000000Z";

static size_t frame_bytes(const char *at) {
  const unsigned char *head = (const unsigned char *)at;
  return head[1] < 126    ? 2u + head[1]
         : head[1] == 126 ? 4u + ((size_t)head[2] << 8 | head[3])
                          : 10u + (size_t)__builtin_bswap64(*(const uint64_t *)(const void *)(at + 2));
}

/* Writes the time into `count` frames; where they end. */
static char *put_time(char *at, uint64_t count, const char *time) {
  for (uint64_t i = 0; i < count; i++) {
    at += frame_bytes(at);
    memcpy(at - 2 - STAMP_TIME_BYTES, time, STAMP_TIME_BYTES);
  }
  return at;
}

static void print_utc(int64_t utc_ns, char out[STAMP_TIME_BYTES + 1]) {
  static int64_t second = -1;
  static char text_of_second[24];
  if (utc_ns / 1000000000 != second) {
    time_t t = (time_t)(second = utc_ns / 1000000000);
    strftime(text_of_second, sizeof text_of_second, "%Y-%m-%dT%H:%M:%S", gmtime(&t));
  }
  memcpy(out, text_of_second, 19);
  out[19] = '.';
  for (int64_t i = 25, micro = utc_ns / 1000 % 1000000; i > 19; i--, micro /= 10) out[i] = (char)('0' + micro % 10);
  out[26] = 'Z';
  out[27] = 0;
}

typedef struct figures {
  stamp_hist late, write;
  int64_t lost_ns, took_ns;
} figures;

static bool pace_all(const peer *to, int64_t offset, figures *f) {
  const int64_t period = (int64_t)pace.period_us * 1000;
  char time[STAMP_TIME_BYTES + 1], *at = updates.bytes;
  int64_t now_ns = stamp_clock(CLOCK_MONOTONIC), due = now_ns + (int64_t)pace.settle_ms * 1000000, start = due;
  due -= (due + offset) % 1000;
  for (uint64_t i = 0; i < pace.warm + pace.bursts;) {
    char *end = at;
    uint64_t first = i;
    int64_t first_due = due;
    do {
      bool timed = i >= pace.warm;
      if (timed) print_utc(due + offset, time);
      end = put_time(end, pace.burst, timed ? time : untimed);
      while (now_ns < due) {
        int64_t earlier = now_ns;
        now_ns = stamp_clock(CLOCK_MONOTONIC);
        if (now_ns - earlier > LOST_NS) f->lost_ns += now_ns - earlier;
      }
      i++;
      due += period;
    } while (i < pace.warm + pace.bursts && due <= now_ns);
    if (!send_all(to, at, (size_t)(end - at))) return false;
    for (int64_t one = first_due; first < i; first++, one += period)
      if (first >= pace.warm) stamp_record(&f->late, now_ns - one);
    int64_t began = now_ns;
    now_ns = stamp_clock(CLOCK_MONOTONIC);
    if (i > pace.warm) stamp_record(&f->write, now_ns - began);
    at = end;
  }
  f->took_ns = now_ns - start;
  return true;
}

static void serve(int fd, SSL_CTX *tls) {
  static figures f;
  peer to;
  uint64_t ignored;
  memset(&f, 0, sizeof f);
  bool good = begin(&to, fd, tls, &ignored);
  int64_t offset = stamp_utc_offset();
  good = good && pace_all(&to, offset, &f) && send_all(&to, CLOSE_1000, sizeof CLOSE_1000 - 1);
  int64_t moved = stamp_utc_offset() - offset;
  await_close(&to, good);
  printf(
      "{\"good\":%s,\"messages\":%llu,\"timed\":%llu,\"bytes\":%zu,\"seconds\":%.9f,\"lost_ns\":%lld,\"clock_moved_ns\":%lld,",
      good ? "true" : "false", (unsigned long long)feed.tail, (unsigned long long)(pace.bursts * pace.burst), tail_bytes,
      (double)f.took_ns / 1e9, (long long)f.lost_ns, (long long)moved);
  stamp_print("late_ns", &f.late);
  printf(",");
  stamp_print("write_ns", &f.write);
  printf("}\n");
  fflush(stdout);
  finish(&to, good);
}

int main(int argc, char **argv) {
  static const server_option own[] = {{"--period", &pace.period_us, 1, 10000000},
                                      {"--burst", &pace.burst, 1, 100000},
                                      {"--bursts", &pace.bursts, 1, 10000000},
                                      {"--warm", &pace.warm, 0, 10000000},
                                      {"--settle", &pace.settle_ms, 0, 10000}};
  server_options(argc, argv, own, sizeof own / sizeof *own);
  feed.cycle = feed.tail = (pace.warm + pace.bursts) * pace.burst;
  feed_make();
  for (char *at = snapshots.bytes; at < snapshots.bytes + snapshots.used;) at = put_time(at, 1, untimed);
  serve_all(serve);
  return 0;
}
