#include "io/ws.h"

#include <string.h>

enum { FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f, LENGTH_16 = 126, LENGTH_64 = 127 };

typedef struct frame {
  uint8_t opcode;
  bool fin, masked, compressed;
  size_t header_bytes, payload_bytes;
} frame;

static inline uint64_t big_endian(const uint8_t *bytes, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; i++) value = value << 8 | bytes[i];
  return value;
}

void wb_ws_init(wb_ws *ws, int role, uint64_t message_bytes_max) {
  WB_CHECK(role == WB_WS_CLIENT || role == WB_WS_SERVER);
  memset(ws, 0, offsetof(wb_ws, nested));
  ws->role = role;
  ws->message_bytes_max = message_bytes_max;
}

/* Returns 1 when the frame's length is known, 0 and *need while it is not. What can be refused is refused at the byte that
 * shows it, so the outcome does not depend on how the bytes were cut. */
static inline __attribute__((always_inline)) int frame_read(const wb_ws *ws, bool may_compress, const uint8_t *at, size_t count,
                                                            frame *f, size_t *need) {
  *need = 2;
  if (count < 1) return 0;
  f->opcode = at[0] & OPCODE;
  f->fin = at[0] & FIN;
  bool control = f->opcode >= WB_WS_CLOSE;
  if (may_compress) f->compressed = (at[0] & RESERVED) == WB_WS_COMPRESSED && !control && f->opcode != WB_WS_CONTINUATION;
  if ((at[0] & RESERVED) && !(may_compress && f->compressed)) return WB_E_PROTOCOL;
  if (control) {
    if (f->opcode > WB_WS_PONG || !f->fin) return WB_E_PROTOCOL;
    if (ws->opcode && ws->nested_count == WB_WS_NESTED_MAX) return WB_E_PROTOCOL;
  } else {
    if (f->opcode > WB_WS_BINARY || (f->opcode == WB_WS_CONTINUATION) != (ws->opcode != 0)) return WB_E_PROTOCOL;
  }

  if (count < 2) return 0;
  f->masked = at[1] & MASKED;
  if (f->masked != (ws->role == WB_WS_SERVER)) return WB_E_PROTOCOL;
  uint64_t payload_bytes = at[1] & LENGTH;
  if (control && payload_bytes > WB_WS_CONTROL_BYTES_MAX) return WB_E_PROTOCOL;
  size_t extended_bytes = payload_bytes == LENGTH_64 ? 8 : payload_bytes == LENGTH_16 ? 2 : 0;
  f->header_bytes = 2 + extended_bytes + (f->masked ? 4 : 0);
  size_t message_bytes = ws->fill - ws->start, overhead_bytes = ws->scan - message_bytes + f->header_bytes;
  if (overhead_bytes + (control ? payload_bytes : 0) > WB_WS_OVERHEAD_BYTES_MAX) return WB_E_TOO_LARGE;

  *need = 2 + extended_bytes;
  if (count < *need) return 0;
  if (extended_bytes) {
    payload_bytes = big_endian(at + 2, extended_bytes);
    if (payload_bytes >> 63 || payload_bytes <= (extended_bytes == 8 ? UINT16_MAX : WB_WS_CONTROL_BYTES_MAX))
      return WB_E_PROTOCOL;
  }
  if (!control && payload_bytes > ws->message_bytes_max - message_bytes) return WB_E_TOO_LARGE;
  f->payload_bytes = payload_bytes;
  return 1;
}

static void message_reset(wb_ws *ws) {
  ws->opcode = 0;
  ws->fragments = 0;
  ws->start = ws->fill = ws->scan = 0;
  ws->nested_count = 0;
  ws->nested_used = 0;
}

static int message_give(wb_ws *ws, uint8_t *bytes, wb_ws_item *item, size_t *consumed) {
  *item =
      (wb_ws_item){.opcode = ws->opcode, .fragments = ws->fragments, .bytes = bytes + ws->start, .count = ws->fill - ws->start};
  *consumed = ws->scan;
  message_reset(ws);
  return 1;
}

static int control_give(wb_ws *ws, const frame *f, uint8_t *payload, wb_ws_item *item, size_t *consumed) {
  if (f->opcode == WB_WS_CLOSE) {
    unsigned code;
    const char *reason;
    size_t reason_bytes;
    int error = wb_ws_close_parse(payload, f->payload_bytes, &code, &reason, &reason_bytes);
    if (error) return error;
  }
  *item = (wb_ws_item){.opcode = f->opcode, .fragments = 1, .bytes = payload, .count = f->payload_bytes};
  if (!ws->opcode) {
    *consumed = f->header_bytes + f->payload_bytes;
    return 1;
  }
  item->nested = true;
  item->bytes = memcpy(ws->nested + ws->nested_used, payload, f->payload_bytes);
  ws->nested_used += f->payload_bytes;
  ws->nested_count++;
  ws->scan += f->header_bytes + f->payload_bytes;
  return 1;
}

int wb_ws_read_any(wb_ws *ws, uint8_t *bytes, size_t count, wb_ws_item *item, size_t *consumed, size_t *wanted) {
  *consumed = 0;
  WB_DCHECK(count >= ws->scan);
  for (;;) {
    size_t left = count - ws->scan, need;
    frame f;
    int result = frame_read(ws, false, left ? bytes + ws->scan : NULL, left, &f, &need);
    if (result < 0) return result;
    if (result > 0) need = f.header_bytes + f.payload_bytes;
    if (result == 0 || left < need) {
      if (wanted) *wanted = ws->scan + need;
      return 0;
    }

    uint8_t *payload = bytes + ws->scan + f.header_bytes;
    if (f.masked) wb_ws_mask(payload, f.payload_bytes, payload - 4, 0);
    if (f.opcode >= WB_WS_CLOSE) return control_give(ws, &f, payload, item, consumed);

    if (!ws->opcode) {
      ws->opcode = f.opcode;
      ws->start = ws->fill = f.header_bytes;
    } else {
      memmove(bytes + ws->fill, payload, f.payload_bytes);
    }
    ws->fill += f.payload_bytes;
    ws->scan += need;
    ws->fragments++;
    if (f.fin) return message_give(ws, bytes, item, consumed);
  }
}

static int piece_begin(wb_ws *ws, uint8_t *bytes, size_t count, wb_ws_piece *piece, size_t *consumed) {
  frame f;
  size_t need;
  int result = frame_read(ws, true, bytes, count, &f, &need);
  if (result <= 0 || count < f.header_bytes) return result < 0 ? result : 0;
  uint8_t *payload = bytes + f.header_bytes;
  if (f.opcode >= WB_WS_CLOSE) {
    if (count < f.header_bytes + f.payload_bytes) return 0;
    if (f.masked) wb_ws_mask(payload, f.payload_bytes, payload - 4, 0);
    wb_ws_item item;
    if ((result = control_give(ws, &f, payload, &item, consumed)) < 0) return result;
    *consumed = f.header_bytes + f.payload_bytes;
    *piece = (wb_ws_piece){.opcode = f.opcode, .last = true, .bytes = payload, .count = f.payload_bytes};
    return 1;
  }
  if (!ws->opcode) {
    ws->opcode = f.opcode;
    ws->compressed = f.compressed;
  }
  ws->fin = f.fin;
  ws->masked = f.masked;
  ws->left = f.payload_bytes;
  ws->scan += f.header_bytes;
  ws->phase = 0;
  if (f.masked) memcpy(ws->mask, payload - 4, 4);
  piece->opcode = f.opcode;
  *consumed = f.header_bytes;
  return 1;
}

int wb_ws_read_piece(wb_ws *ws, uint8_t *bytes, size_t count, wb_ws_piece *piece, size_t *consumed) {
  *consumed = 0;
  if (ws->left == 0) {
    int result = piece_begin(ws, bytes, count, piece, consumed);
    if (result <= 0 || piece->opcode >= WB_WS_CLOSE) return result;
  } else if (count == 0) {
    return 0;
  }
  uint8_t *payload = bytes + *consumed;
  size_t here = count - *consumed < ws->left ? count - *consumed : ws->left;
  if (ws->masked) wb_ws_mask(payload, here, ws->mask, ws->phase);
  ws->phase += here;
  ws->left -= here;
  ws->fill += here;
  ws->scan += here;
  *consumed += here;
  *piece = (wb_ws_piece){
      .opcode = ws->opcode, .compressed = ws->compressed, .last = ws->fin && ws->left == 0, .bytes = payload, .count = here};
  if (piece->last) message_reset(ws);
  return 1;
}

size_t wb_ws_message_begins(const wb_ws *ws, const uint8_t *bytes, size_t count) {
  bool begins = count > WB_WS_HEADER_BYTES_MAX && !ws->opcode && bytes[0] == (FIN | WB_WS_TEXT) && bytes[1] == LENGTH_64;
  return begins ? 2 + 8 : 0;
}

size_t wb_ws_header(uint8_t *header, int opcode, bool fin, uint64_t payload_bytes, const uint8_t *mask) {
  WB_DCHECK(opcode >= 0 && opcode <= WB_WS_PONG && (opcode <= WB_WS_BINARY || opcode >= WB_WS_CLOSE));
  WB_DCHECK(opcode < WB_WS_CLOSE || (fin && payload_bytes <= WB_WS_CONTROL_BYTES_MAX));
  WB_DCHECK(!(payload_bytes >> 63));
  size_t extended_bytes = payload_bytes > UINT16_MAX ? 8 : payload_bytes >= LENGTH_16 ? 2 : 0;
  header[0] = (uint8_t)((fin ? FIN : 0) | opcode);
  header[1] = (uint8_t)((mask ? MASKED : 0) | (extended_bytes == 8   ? LENGTH_64
                                               : extended_bytes == 2 ? LENGTH_16
                                                                     : payload_bytes));
  for (size_t i = 0; i < extended_bytes; i++) header[2 + i] = (uint8_t)(payload_bytes >> 8 * (extended_bytes - 1 - i));
  if (!mask) return 2 + extended_bytes;
  memcpy(header + 2 + extended_bytes, mask, 4);
  return 2 + extended_bytes + 4;
}

void wb_ws_mask(uint8_t *bytes, size_t count, const uint8_t mask[4], size_t phase) {
  uint8_t turned[8];
  for (size_t i = 0; i < sizeof turned; i++) turned[i] = mask[(phase + i) % 4];
  uint64_t key, word;
  memcpy(&key, turned, sizeof key);
  size_t i = 0;
  for (; i + sizeof word <= count; i += sizeof word) {
    memcpy(&word, bytes + i, sizeof word);
    word ^= key;
    memcpy(bytes + i, &word, sizeof word);
  }
  for (; i < count; i++) bytes[i] ^= turned[i % 4];
}

static bool close_code_valid(unsigned code) {
  if (code < 1000 || code > 4999) return false;
  if (code >= 3000) return true;
  return code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

int wb_ws_close_parse(const uint8_t *bytes, size_t count, unsigned *code, const char **reason, size_t *reason_bytes) {
  if (count == 0) {
    *code = 1005;
    *reason = "";
    *reason_bytes = 0;
    return 0;
  }
  if (count == 1) return WB_E_PROTOCOL;
  unsigned value = (unsigned)big_endian(bytes, 2);
  if (!close_code_valid(value)) return WB_E_PROTOCOL;
  if (!wb_utf8_valid(bytes + 2, count - 2)) return WB_E_UTF8;
  *code = value;
  *reason = (const char *)bytes + 2;
  *reason_bytes = count - 2;
  return 0;
}

unsigned wb_ws_close_code(int error) {
  switch (error) {
  case WB_E_PROTOCOL: return 1002;
  case WB_E_UTF8:
  case WB_E_DAMAGED: return 1007;
  case WB_E_TOO_LARGE: return 1009;
  default: return 1011;
  }
}

bool wb_utf8_valid(const uint8_t *bytes, size_t count) {
  if (count == 0) return true;
  const uint8_t *at = bytes, *end = bytes + count;
  while (at < end) {
    uint64_t words[4];
    while ((size_t)(end - at) >= sizeof words) {
      memcpy(words, at, sizeof words);
      if ((words[0] | words[1] | words[2] | words[3]) & UINT64_C(0x8080808080808080)) break;
      at += sizeof words;
    }
    /* A block with other characters in it, or the tail. */
    const uint8_t *stop = (size_t)(end - at) > sizeof words ? at + sizeof words : end;
    while (at < stop) {
      uint8_t lead = *at++;
      if (lead < 0x80) continue;
      if (lead < 0xc2 || lead > 0xf4) return false;
      size_t tail = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
      if ((size_t)(end - at) < tail) return false;
      uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
      if (*at < low || *at > high) return false;
      for (size_t i = 1; i < tail; i++)
        if ((at[i] & 0xc0) != 0x80) return false;
      at += tail;
    }
  }
  return true;
}
