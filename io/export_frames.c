#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/base64.h"
#include "io/export_private.h"
#include "io/frame_kind.h"
#include "io/memory.h"
#include "io/ws.h"

enum { FRAME_COUNT = 1024 };

int wb_export_frames_open(wb_export *export, wb_error *error) {
  const wb_node_config *node = &export->config.node;
  wb_export_frames *frames = export->frames =
      aligned_alloc(WB_CACHE_PAIR_BYTES, (sizeof *frames + WB_CACHE_PAIR_BYTES - 1) & ~(size_t)(WB_CACHE_PAIR_BYTES - 1));
  if (!frames) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "export", "no memory");
  memset(frames, 0, sizeof *frames);
  wb_host_make(&frames->host, node->log);
  frames->part = (wb_log_window){node->from_utc_ns, node->to_utc_ns, NULL};
  frames->journal_bytes = 65536;
  while (frames->journal_bytes < 2 * node->message_bytes_max) frames->journal_bytes *= 2;
  frames->journal = wb_mirror_open(frames->journal_bytes, false, error);
  frames->descriptors = wb_arena_open(FRAME_COUNT * sizeof *frames->descriptors, error);
  if (!frames->journal || !frames->descriptors) return WB_E_MEMORY;
  int result = wb_frames_init(&frames->ring, frames->journal, frames->journal_bytes, frames->descriptors, FRAME_COUNT, 1);
  if (result != 0) return wb_error_set(error, result, 0, "export", "frame ring");
  frames->source = wb_source_replay_open(&(wb_source_replay_config){.path = node->path,
                                                                    .frames = &frames->ring,
                                                                    .host = &frames->host,
                                                                    .part = node->part ? &frames->part : NULL,
                                                                    .codec = node->codec,
                                                                    .origins = true},
                                         error);
  if (!frames->source) return WB_E_INVALID;
  frames->agent = wb_source_replay_agent(frames->source);
  return 0;
}

/* As `inspect` does: a plain scan for the first member by which the venue names a product. */
static uint32_t product_of(const wb_codec *codec, const uint8_t *bytes, size_t count, const char **id) {
  static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/._";
  const uint8_t *end = bytes + count, *at = memmem(bytes, count, codec->product_key, strlen(codec->product_key));
  if (!at) return 0;
  for (at += strlen(codec->product_key); at < end && (*at == ' ' || *at == ':' || *at == '\t'); at++) {
  }
  if (at == end || *at++ != '"') return 0;
  uint32_t length = 0;
  while (at + length < end && length < WB_PRODUCT_ID_BYTES && at[length] && strchr(good, at[length])) length++;
  *id = (const char *)at;
  return at + length < end && at[length] == '"' && length < WB_PRODUCT_ID_BYTES ? length : 0;
}

/* Text as it is; what is none, or holds what no table can, in base64. */
static int put_text(wb_export_frames *frames, const wb_frame *frame, const uint8_t *bytes, wb_value *cell, wb_error *error) {
  if (!memchr(bytes, 0, frame->bytes) && wb_utf8_valid(bytes, frame->bytes)) {
    cell[0] = wb_value_text((const char *)bytes, frame->bytes);
    return 0;
  }
  size_t needed = WB_BASE64_BYTES((size_t)frame->bytes) + 1;
  if (needed > frames->base64_bytes) {
    char *grown = realloc(frames->base64, needed);
    if (!grown) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "export", "no memory for a record of %u bytes", frame->bytes);
    frames->base64 = grown;
    frames->base64_bytes = needed;
  }
  cell[1] = wb_value_text(frames->base64, (uint32_t)wb_base64_encode(bytes, frame->bytes, frames->base64));
  return 0;
}

static bool is_wanted(const wb_export *export, const wb_replay_origin *origin) {
  const wb_node_config *node = &export->config.node;
  return !origin->own && (!node->part || (origin->utc_ns >= node->from_utc_ns && origin->utc_ns < node->to_utc_ns));
}

static void put_frame(wb_export *export, const wb_frame *frame) {
  wb_export_frames *frames = export->frames;
  const wb_replay_origin *origin = wb_source_replay_origin(frames->source, frame->number);
  if (!is_wanted(export, origin) || export->error.code) return;
  const uint8_t *bytes = wb_frames_at(&frames->ring, frame->position);
  const char *id = NULL, *kind = wb_frame_kind_names[wb_frame_kind_known(frame->kind)];
  uint32_t id_bytes = product_of(export->config.node.codec, bytes, frame->bytes, &id);
  wb_value cell[WB_TABLE_COLUMNS_MAX] = {{0}}, *at = cell + WB_COLUMN_OWN;
  wb_export_own(cell, id, id_bytes, WB_TIME_NONE, origin);
  *at++ = wb_value_integer(frame->line);
  *at++ = wb_value_integer(frame->connection);
  *at++ = wb_value_text(kind, (uint32_t)strlen(kind));
  *at++ = wb_value_integer(frame->bytes);
  if (put_text(frames, frame, bytes, at, &export->error) == 0) wb_export_put(export, WB_TABLE_FRAMES, cell, origin);
}

int wb_export_frames_step(wb_export *export, wb_error *error) {
  wb_export_frames *frames = export->frames;
  frames->agent.do_work(frames->agent.self);
  bool ended = wb_source_replay_ended(frames->source, error);
  size_t count;
  const wb_frame *frame;
  while ((frame = wb_frames_peek(&frames->ring, 0, 0, FRAME_COUNT, &count))) {
    for (size_t i = 0; i < count; i++) put_frame(export, &frame[i]);
    wb_frames_release(&frames->ring, 0, count);
  }
  wb_log_drain(export->config.node.log);
  return ended ? error->code : 1;
}

void wb_export_frames_close(wb_export *export) {
  wb_export_frames *frames = export->frames;
  if (!frames) return;
  wb_source_replay_close(frames->source);
  if (frames->journal) wb_mirror_close(frames->journal, frames->journal_bytes);
  if (frames->descriptors) wb_arena_close(frames->descriptors, FRAME_COUNT * sizeof *frames->descriptors);
  free(frames->base64);
  free(frames);
}
