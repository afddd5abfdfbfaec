#include "engine/stages/parse_stage.h"

#include <stdio.h>
#include <string.h>

#include "engine/ring/atomic.h"

enum { FRAMES_PER_WORK = 8192, FRAMES_PER_RELEASE = 32, LOGS_PER_SECOND = 10 };

static void add(uint64_t *counter, uint64_t n) { wb_store_relaxed(counter, *counter + n); }

static void log_trouble(wb_parse_stage *stage, const wb_message *message) {
  uint64_t now_ns = message->recv_ns;
  if (now_ns - stage->log_window_ns >= UINT64_C(1000000000)) {
    stage->log_window_ns = now_ns;
    stage->reject_logs = 0;
  }
  if (stage->reject_logs++ >= LOGS_PER_SECOND) return;
  char text[512], words[256];
  const char *explained = NULL;
  int shown = stage->frame->bytes < 200 ? (int)stage->frame->bytes : 200;
  const char *bytes = (const char *)stage->frame_bytes;
  if (message->kind == WB_MESSAGE_ERROR && stage->explain)
    explained = stage->explain(stage->explain_self, bytes, stage->frame->bytes, words, sizeof words);
  if (message->kind == WB_MESSAGE_ERROR)
    snprintf(text, sizeof text, "exchange says: %.*s%s%s", shown, bytes, explained ? ": " : "", explained ? explained : "");
  else
    snprintf(text, sizeof text, "rejected %s: %s at byte %u of frame %llu: %.*s",
             message->product == WB_PRODUCT_NONE ? "message" : stage->products->product[message->product].id,
             wb_reject_name((wb_reject)message->u.reject.reason), message->u.reject.offset, (unsigned long long)message->number,
             shown, bytes);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) *c = '?';
  stage->host->log(stage->host->self, WB_LOG_WARNING, text);
}

static void hand_over(wb_parse_stage *stage) {
  uint32_t taken = 0;
  for (size_t used = 0; used < stage->batch_bytes;)
    used += wb_book_stage_take_batch(stage->book, stage->batch + used, stage->batch_bytes - used, &taken);
  stage->batch_bytes = 0;
}

static wb_message *claim(wb_out *out, uint32_t delta_count) {
  wb_parse_stage *stage = (wb_parse_stage *)out;
  uint32_t bytes = wb_message_bytes(delta_count);
  wb_message *message;
  if (stage->messages) {
    if (stage->claimed_bytes) wb_ring_trim(stage->messages, stage->claimed_bytes);
    stage->claimed_bytes = bytes;
    while (!(message = wb_ring_claim(stage->messages, bytes))) wb_pause(); /* the book thread is draining it */
  } else {
    if (bytes > WB_PARSE_BATCH_BYTES - stage->batch_bytes) hand_over(stage);
    message = (void *)(stage->batch + stage->batch_bytes);
  }
  return message;
}

/* What a part of a log does without: it is about all products alike, and changes no book. */
static bool is_general(const wb_message *message) {
  return message->kind == WB_MESSAGE_STATUS || (message->kind == WB_MESSAGE_UNKNOWN && message->product == WB_PRODUCT_NONE);
}

static void commit(wb_out *out, wb_message *message) {
  wb_parse_stage *stage = (wb_parse_stage *)out;
  if (stage->part && is_general(message)) return;
  stage->counts |= message->product != WB_PRODUCT_NONE;
  if (stage->part && message->kind == WB_MESSAGE_REJECT && message->u.reject.reason == WB_REJECT_UNKNOWN_PRODUCT) return;
  if (message->kind == WB_MESSAGE_REJECT || message->kind == WB_MESSAGE_ERROR) log_trouble(stage, message);
  if (stage->redundant) message->hash = stage->hash;
  uint32_t used = wb_message_bytes(message->delta_count);
  if (!stage->messages) {
    stage->batch_bytes += used;
    return;
  }
  wb_ring_trim(stage->messages, stage->claimed_bytes - used);
  stage->claimed_bytes = 0;
  wb_ring_commit(stage->messages);
}

void wb_parse_stage_init(wb_parse_stage *stage) {
  stage->out.claim = claim;
  stage->out.commit = commit;
  stage->current = 0;
  stage->next_number = 0;
  stage->claimed_bytes = stage->batch_bytes = 0;
}

/* What the window of a part counts begins with this frame. */
static void begin_window(wb_parse_stage *stage, const wb_frame *frame) {
  wb_message *message = claim(&stage->out, 0);
  *message = (wb_message){.kind = WB_MESSAGE_WINDOW,
                          .part = WB_PART_FIRST | WB_PART_LAST,
                          .product = WB_PRODUCT_NONE,
                          .recv_ns = frame->recv_ns,
                          .number = frame->number,
                          .time_ns = WB_TIME_NONE};
  commit(&stage->out, message);
  wb_store_relaxed(&stage->messages_in, 0);
  wb_store_relaxed(&stage->bytes_in, 0);
}

/* Redundant lines: whether the books have had this frame from another one. They can tell only while nothing is on its way to them. */
static bool is_copy(wb_parse_stage *stage) {
  const wb_frame *frame = stage->frame;
  bool hashed = frame->kind == WB_FRAME_TEXT && frame->bytes <= WB_ARBITER_BYTES_MAX;
  stage->hash = hashed ? wb_arbiter_hash(stage->frame_bytes, frame->bytes) : 0;
  if (!hashed || stage->messages || stage->batch_bytes ||
      !wb_arbiter_copy(stage->book->config.arbiter, frame->line, stage->hash, frame->recv_ns))
    return false;
  wb_book_stage_copy(stage->book, frame);
  return true;
}

/* Decodes a run of frames of one ring that carry the next numbers. */
static int drain(wb_parse_stage *stage, wb_frames *ring, int budget) {
  int done = 0;
  while (done < budget) {
    size_t count;
    const wb_frame *frame = wb_frames_peek(ring, stage->reader, 0, FRAMES_PER_RELEASE, &count);
    size_t used = 0;
    uint64_t messages = 0, bytes = 0;
    while (used < count && frame[used].number == stage->next_number) {
      stage->frame = &frame[used];
      stage->frame_bytes = wb_frames_at(ring, frame[used].position);
      stage->counts = !stage->part;
      if (__builtin_expect(stage->observer != NULL, 0) && stage->observer->frame)
        stage->observer->frame(stage->observer->self, stage->frame, stage->frame_bytes);
      if (frame[used].kind == WB_FRAME_WINDOW) {
        begin_window(stage, stage->frame);
        messages = bytes = 0;
      } else if (stage->redundant && is_copy(stage)) {
        stage->counts = true;
      } else {
        stage->codec->decode(stage->codec_state, stage->frame, stage->frame_bytes, &stage->out);
      }
      if (stage->counts && (frame[used].kind == WB_FRAME_TEXT || frame[used].kind == WB_FRAME_BINARY)) {
        messages++;
        bytes += frame[used].bytes;
      }
      stage->next_number++;
      used++;
    }
    if (!used) break;
    if (stage->batch_bytes) hand_over(stage);
    wb_frames_release(ring, stage->reader, used);
    add(&stage->messages_in, messages);
    add(&stage->bytes_in, bytes);
    add(&stage->frames, used);
    done += (int)used;
    if (used < count) break;
  }
  return done;
}

/* Reads ahead in a large message while it is still coming in. */
static int read_ahead(wb_parse_stage *stage) {
  const wb_frames *ring = stage->ring[stage->current];
  uint64_t position;
  size_t bytes;
  const uint8_t *at = wb_frames_partial(ring, stage->reader, &position, &bytes);
  if (!at || !stage->codec->ahead(stage->codec_state, (uint8_t)stage->current, position, at, bytes, &stage->out)) return 0;
  if (stage->batch_bytes) hand_over(stage);
  return 1;
}

int wb_parse_stage_work(void *self) {
  wb_parse_stage *stage = self;
  int done = drain(stage, stage->ring[stage->current], FRAMES_PER_WORK);
  for (uint32_t i = 0; i < stage->ring_count && done < FRAMES_PER_WORK; i++) {
    if (i == stage->current) continue;
    int more = drain(stage, stage->ring[i], FRAMES_PER_WORK - done);
    if (more) stage->current = i;
    done += more;
  }
  if (!done && stage->codec->ahead && !stage->redundant) done = read_ahead(stage);
  if (!stage->messages) wb_book_stage_settle(stage->book);
  return done;
}
