#include <stdlib.h>
#include <string.h>

#include "io/recording.h"
#include "tools/mock_server.h"

static const char key[] = "\"product_id\"";

static bool keep(wb_mock_server *server, size_t *used, size_t *capacity, const char *text, size_t bytes) {
  if (*used + bytes > *capacity) {
    size_t wanted = 2 * (*used + bytes);
    char *grown = realloc(server->recording, wanted);
    if (!grown) return false;
    server->recording = grown;
    *capacity = wanted;
  }
  if ((server->recording_count & (server->recording_count - 1)) == 0) {
    size_t count = server->recording_count ? 2 * server->recording_count : 1;
    size_t *grown = realloc(server->recording_end, count * sizeof *grown);
    if (!grown) return false;
    server->recording_end = grown;
  }
  memcpy(server->recording + *used, text, bytes);
  *used += bytes;
  server->recording_end[server->recording_count++] = *used;
  return true;
}

static bool add_product(wb_mock_server *server, const char *id, size_t bytes) {
  char text[WB_PRODUCT_ID_BYTES] = "";
  if (bytes == 0 || bytes >= sizeof text) return true;
  memcpy(text, id, bytes);
  if (wb_mock_server_find(server, text) >= 0 || server->product_count == WB_PRODUCT_COUNT_MAX) return true;
  wb_mock_product *grown = realloc(server->product, (server->product_count + 1) * sizeof *grown);
  if (!grown) return false;
  server->product = grown;
  wb_mock_product *product = &grown[server->product_count++];
  memset(product, 0, sizeof *product);
  strcpy(product->market.product, text);
  return true;
}

/* The products that the message speaks of, looked for in its first part and not deeper. */
static bool note_product(wb_mock_server *server, const char *text, size_t bytes) {
  size_t most = bytes < 4096 ? bytes : 4096;
  const char *end = text + most, *at = memmem(text, most, key, sizeof key - 1);
  if (!at) return true;
  at += sizeof key - 1;
  while (at < end && (*at == ' ' || *at == ':')) at++;
  if (at == end || *at++ != '"') return true;
  const char *quote = memchr(at, '"', (size_t)(end - at));
  return !quote || add_product(server, at, (size_t)(quote - at));
}

int wb_mock_recording_open(wb_mock_server *server, wb_error *error) {
  const wb_mock_options *options = &server->options;
  wb_recording *recording = wb_recording_open(options->recording, error);
  if (!recording) return error && error->code ? error->code : WB_E_SYSTEM;
  size_t used = 0, capacity = 0;
  wb_recording_line line;
  bool good = true;
  int code;
  while (good && (code = wb_recording_next(recording, &line, error)) > 0)
    good = keep(server, &used, &capacity, line.bytes, line.count) &&
           (options->products_given || note_product(server, line.bytes, line.count));
  wb_recording_close(recording);
  for (uint32_t i = 0; good && options->products_given && i < options->products->count; i++)
    good = add_product(server, options->products->product[i].id, options->products->product[i].id_bytes);
  if (!good) return wb_error_set(error, WB_E_MEMORY, 0, "mock", "no memory for %s", options->recording);
  if (code < 0) return code;
  if (!server->product_count)
    return wb_error_set(error, WB_E_CONFIG, 0, "mock", "%s speaks of no product; name them with --product", options->recording);
  return 0;
}

uint64_t wb_mock_play(wb_mock_client *client, uint64_t now_ns) {
  const wb_mock_server *server = client->server;
  double rate = server->options.rate;
  uint64_t most = server->options.messages;
  if (!most || most > server->recording_count) most = server->recording_count;
  for (int n = 0; client->playing && client->played < most; n++) {
    if (n == WB_MOCK_CATCH_UP) return 0;
    if (rate > 0) {
      uint64_t due = client->play_epoch_ns + (uint64_t)((double)(client->played - client->play_epoch) * 1e9 / rate);
      if (due > now_ns) return due;
    } else if (client->filling.count >= WB_MOCK_CHUNK_BYTES) {
      return UINT64_MAX;
    }
    size_t from = client->played ? server->recording_end[client->played - 1] : 0, to = server->recording_end[client->played];
    client->played++;
    wb_mock_client_put(client, server->recording + from, to - from);
  }
  if (client->playing) wb_mock_client_close(client, 1000, "end of the recording");
  return UINT64_MAX;
}
