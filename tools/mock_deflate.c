#include <stdlib.h>
#include <string.h>

#include "tools/mock_server.h"

bool wb_mock_deflate_begin(wb_mock_client *client, const wb_deflate_terms *terms) {
  client->deflate = wb_deflate_open(terms->server_window_bits, terms->server == WB_DEFLATE_TAKEOVER);
  client->inflate = wb_inflate_open();
  client->text = malloc(WB_MOCK_MESSAGE_BYTES + 1);
  if (!client->deflate || !client->inflate || !client->text) return false;
  wb_inflate_begin(client->inflate, true);
  return true;
}

void wb_mock_deflate_end(wb_mock_client *client) {
  wb_deflate_close(client->deflate);
  wb_inflate_close(client->inflate);
  free(client->text);
}

void wb_mock_deflate_put(wb_mock_client *client, const void *text, size_t bytes) {
  size_t most = wb_deflate_bytes_max(client->deflate, bytes);
  if (!wb_mock_client_room(client, WB_WS_HEADER_BYTES_MAX + most)) return;
  uint8_t *frame = client->filling.bytes + client->filling.count, *payload = frame + WB_WS_HEADER_BYTES_MAX;
  int64_t count = wb_deflate_write(client->deflate, text, bytes, payload, most);
  if (count < 0) {
    wb_mock_client_drop(client, true, "a message that cannot be compressed");
    return;
  }
  size_t header_bytes = wb_ws_header(frame, WB_WS_TEXT, true, (uint64_t)count, NULL);
  frame[0] |= WB_WS_COMPRESSED;
  memmove(frame + header_bytes, payload, (size_t)count);
  client->filling.count += header_bytes + (size_t)count;
  client->record.bytes += header_bytes + (size_t)count;
}

static int take_piece(wb_mock_client *client, const wb_ws_piece *piece) {
  const uint8_t *in = piece->bytes;
  uint8_t *to = client->text + client->text_bytes;
  size_t count = piece->count, room = WB_MOCK_MESSAGE_BYTES + 1 - client->text_bytes, given = count;
  if (piece->compressed) {
    int result = wb_inflate_read(client->inflate, &in, &count, piece->last, to, room, &given);
    if (result <= 0) return result ? result : WB_E_TOO_LARGE;
  } else {
    memcpy(to, in, count);
  }
  client->text_bytes += given;
  return 0;
}

int wb_mock_deflate_read(wb_mock_client *client, uint8_t *bytes, size_t count, wb_ws_item *item, size_t *consumed) {
  *consumed = 0;
  for (;;) {
    wb_ws_piece piece;
    size_t used;
    int result = wb_ws_read_piece(&client->ws, bytes + *consumed, count - *consumed, &piece, &used);
    if (result <= 0) return result;
    *consumed += used;
    *item = (wb_ws_item){.opcode = piece.opcode, .fragments = 1, .bytes = piece.bytes, .count = piece.count};
    if (piece.opcode >= WB_WS_CLOSE) return 1;
    if ((result = take_piece(client, &piece)) < 0) return result;
    if (!piece.last) continue;
    item->bytes = client->text;
    item->count = client->text_bytes;
    client->text_bytes = 0;
    return 1;
  }
}
