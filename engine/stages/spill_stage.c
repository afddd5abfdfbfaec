#include "engine/stages/spill_stage.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/ring/atomic.h"

/* A run is copied and released as one. Below REST_BYTES a turn found so little that the next had better wait: looking at the writers' words
 * costs them time. */
enum { RUN_FRAMES = 1024, RUN_BYTES = 256 << 10, HOLE_BYTES = 4096, TURN_RUNS = 64, REST_BYTES = 128 << 10, ROOM_SHARE = 8 };

static void add(uint64_t *counter, uint64_t n) { wb_store_relaxed(counter, *counter + n); }

void wb_spill_stage_init(wb_spill_stage *stage) {
  stage->current = 0;
  stage->next_number = 0;
  stage->dropping = false;
  stage->frames = stage->dropped_frames = stage->dropped_bytes = stage->gaps = stage->held_bytes_max = 0;
}

/* The last ring keeps room for one gap record. */
static size_t room(const wb_spill_stage *stage, uint32_t ring, size_t wanted) {
  size_t kept = ring == stage->ring_count - 1 ? WB_GAP_TEXT_BYTES : 0, found = wb_frames_room(stage->to[ring], wanted + kept);
  return found > kept ? found - kept : 0;
}

static size_t slots(const wb_spill_stage *stage, uint32_t ring, size_t wanted) {
  size_t kept = ring == stage->ring_count - 1, found = wb_frames_slots(stage->to[ring], wanted + kept);
  return found > kept ? found - kept : 0;
}

static int64_t utc_ns(const wb_spill_stage *stage, uint64_t recv_ns) {
  return (int64_t)(recv_ns + (uint64_t)stage->host->utc_offset_ns(stage->host->self));
}

static void say(const wb_spill_stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const wb_spill_stage *stage, const char *format, ...) {
  if (!stage->host->log) return;
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  stage->host->log(stage->host->self, WB_LOG_WARNING, text);
}

static void end_gap(wb_spill_stage *stage) {
  wb_frames *to = stage->to[stage->ring_count - 1];
  stage->dropping = false;
  char text[WB_GAP_TEXT_BYTES];
  size_t bytes = wb_gap_print(&stage->gap, text);
  wb_frame frame = {.position = to->head,
                    .recv_ns = stage->gap_recv_ns,
                    .number = stage->gap.first,
                    .bytes = (uint32_t)bytes,
                    .kind = WB_FRAME_GAP};
  memcpy(wb_frames_head(to), text, bytes);
  wb_frames_advance(to, bytes);
  wb_frames_push(to, &frame);
  wb_frames_publish(to);
  say(stage, "raw log: %" PRIu64 " records, %" PRIu64 " bytes, were dropped: frames %" PRIu64 " to %" PRIu64, stage->gap.frames,
      stage->gap.bytes, stage->gap.first, stage->gap.last);
}

static void drop(wb_spill_stage *stage, uint32_t ring, const wb_frame *frame, size_t count) {
  if (!stage->dropping) {
    stage->dropping = true;
    stage->gap =
        (wb_gap){.first = frame->number, .from_utc_ns = utc_ns(stage, frame->recv_ns), .line_count = stage->ring_count};
    stage->gap_recv_ns = frame->recv_ns;
    add(&stage->gaps, 1);
    say(stage, "raw log: storage is behind, records are dropped from frame %" PRIu64 " on", frame->number);
  }
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += frame[i].bytes;
  stage->gap.last = frame[count - 1].number;
  stage->gap.to_utc_ns = utc_ns(stage, frame[count - 1].recv_ns);
  stage->gap.frames += count;
  stage->gap.bytes += bytes;
  stage->gap.line[ring].frames += count;
  stage->gap.line[ring].bytes += bytes;
  add(&stage->dropped_frames, count);
  add(&stage->dropped_bytes, bytes);
}

static bool enough_room(const wb_spill_stage *stage) {
  for (uint32_t i = 0; i < stage->ring_count; i++) {
    size_t bytes = stage->to[i]->bytes / ROOM_SHARE, count = stage->to[i]->frame_count / ROOM_SHARE;
    if (room(stage, i, bytes) < bytes || slots(stage, i, count) < count) return false;
  }
  return true;
}

/* Copies as many of frame[0..count), numbered one after the other, as lie close together and as there is room for. */
static size_t copy(wb_spill_stage *stage, uint32_t ring, const wb_frame *frame, size_t count, size_t *bytes) {
  const wb_frames *from = stage->from[ring];
  wb_frames *to = stage->to[ring];
  size_t wanted = frame->bytes > RUN_BYTES ? frame->bytes : RUN_BYTES, n = 0;
  wb_frames_turn(to, 0, wanted + WB_GAP_TEXT_BYTES);
  size_t most = room(stage, ring, wanted);
  size_t free_slots = slots(stage, ring, count);
  uint64_t begin = frame->position, end = begin;
  if (most > wanted) most = wanted;
  for (; n < count && n < free_slots; n++) {
    uint64_t next = frame[n].position + frame[n].bytes;
    if (frame[n].position < end || frame[n].position - end > HOLE_BYTES || next - begin > most) break;
    end = next;
  }
  *bytes = end - begin;
  if (!n) return 0;
  memcpy(wb_frames_head(to), wb_frames_at(from, begin), *bytes);
  uint64_t by = to->head - begin;
  wb_frames_advance(to, *bytes);
  for (size_t i = 0; i < n; i++) {
    wb_frame copied = frame[i];
    copied.position += by;
    wb_frames_push(to, &copied);
  }
  wb_frames_publish(to);
  add(&stage->frames, n);
  return n;
}

/* Takes a run of records with the next numbers off a ring. */
static bool take(wb_spill_stage *stage, uint32_t ring, size_t *bytes) {
  size_t count, n = 0;
  const wb_frame *frame = wb_frames_peek(stage->from[ring], stage->reader, 0, RUN_FRAMES, &count);
  while (n < count && frame[n].number == stage->next_number + n) n++;
  if (!n) return false;
  if (stage->dropping && enough_room(stage)) end_gap(stage);
  size_t copied = stage->dropping ? 0 : copy(stage, ring, frame, n, bytes);
  if (copied) n = copied;
  else drop(stage, ring, frame, n);
  wb_frames_release(stage->from[ring], stage->reader, n);
  stage->next_number += n;
  return true;
}

static void note_held(wb_spill_stage *stage) {
  uint64_t held = 0;
  for (uint32_t i = 0; i < stage->ring_count; i++) held += wb_frames_held(stage->to[i]);
  if (held > stage->held_bytes_max) wb_store_relaxed(&stage->held_bytes_max, held);
}

int wb_spill_stage_work(void *self) {
  wb_spill_stage *stage = self;
  size_t total = 0;
  int runs = 0;
  for (uint32_t idle = 0; runs < TURN_RUNS && idle < stage->ring_count;) {
    size_t bytes = 0;
    if (take(stage, stage->current, &bytes)) {
      total += bytes;
      runs++;
      idle = 0;
    } else {
      stage->current = (stage->current + 1) % stage->ring_count;
      idle++;
    }
  }
  if (runs) note_held(stage);
  return runs == TURN_RUNS || total >= REST_BYTES ? runs : 0;
}

void wb_spill_stage_finish(wb_spill_stage *stage) {
  uint64_t before;
  do {
    before = stage->next_number;
    wb_spill_stage_work(stage);
  } while (stage->next_number != before);
  if (stage->dropping) end_gap(stage);
}
