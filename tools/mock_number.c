#include <stdlib.h>
#include <string.h>

#include "tools/mock_server.h"

typedef struct digits {
  char text[WB_MOCK_NUMBER_BYTES_MAX + 8];
  size_t bytes;
} digits;

static inline digits digits_of(uint64_t number) {
  digits of;
  of.bytes = (size_t)(wb_mock_text_number(of.text, number, 0, 1) - of.text);
  return of;
}

static inline void fill(const digits *of, const char *text, size_t bytes, size_t hole, char *to) {
  memcpy(to, text, hole);
  memcpy(to + hole, of->text, of->bytes);
  memcpy(to + hole + of->bytes, text + hole, bytes - hole);
}

size_t wb_mock_number_bytes(uint64_t number) { return digits_of(number).bytes; }

char *wb_mock_number_text(uint64_t number, const char *text, size_t *bytes, size_t hole) {
  digits of = digits_of(number);
  char *numbered = malloc(*bytes + of.bytes);
  if (numbered) fill(&of, text, *bytes, hole, numbered);
  *bytes += of.bytes;
  return numbered;
}

static void put_deflated(wb_mock_client *client, const char *text, size_t bytes, size_t hole) {
  if (client->state != WB_MOCK_OPEN || client->mute) return;
  char *numbered = wb_mock_number_text(client->sequence, text, &bytes, hole);
  if (numbered) {
    client->sequence++;
    wb_mock_deflate_put(client, numbered, bytes);
    client->record.messages++;
    free(numbered);
  } else {
    wb_mock_client_drop(client, true, "no memory for a message");
  }
}

void wb_mock_number_put(wb_mock_client *client, const char *text, size_t bytes, size_t hole) {
  if (client->deflate) {
    put_deflated(client, text, bytes, hole);
    return;
  }
  wb_mock_bytes *to = &client->filling;
  size_t most = WB_WS_HEADER_BYTES_MAX + bytes + WB_MOCK_NUMBER_BYTES_MAX;
  if (__builtin_expect(to->capacity - to->count < most || client->state != WB_MOCK_OPEN || client->mute, 0) &&
      !wb_mock_client_room(client, most))
    return;
  digits of = digits_of(client->sequence++);
  uint8_t *frame = to->bytes + to->count;
  size_t header_bytes = wb_ws_header(frame, WB_WS_TEXT, true, bytes + of.bytes, NULL);
  fill(&of, text, bytes, hole, (char *)frame + header_bytes);
  to->count += header_bytes + bytes + of.bytes;
  client->record.messages++;
  client->record.bytes += header_bytes + bytes + of.bytes;
}
