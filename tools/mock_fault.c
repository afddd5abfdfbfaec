#include <stdlib.h>
#include <string.h>

#include "io/host.h"
#include "io/http1.h"
#include "tools/mock_server.h"

/* ------------------------------------------------------------------------------------------------ at the upgrade */

static bool refuse(wb_mock_client *client, const char *status) {
  char text[256];
  int bytes = snprintf(text, sizeof text,
                       "HTTP/1.1 %s\r\nRetry-After: 1\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: "
                       "close\r\n\r\n%s",
                       status, strlen(status), status);
  wb_mock_client_put_raw(client, text, (size_t)bytes);
  wb_mock_client_finish(client, status);
  return true;
}

static bool refuse429(wb_mock_client *client, const char *key) { return refuse(client, "429 Too Many Requests"); }
static bool refuse503(wb_mock_client *client, const char *key) { return refuse(client, "503 Service Unavailable"); }

static bool slowheaders(wb_mock_client *client, const char *key) {
  int bytes = wb_http_upgrade_answer(key, NULL, client->slow_head, sizeof client->slow_head);
  if (bytes <= 0) return false;
  client->slow_bytes = (size_t)bytes;
  client->slow_due_ns = wb_clock_ns();
  return true;
}

/* A window that RFC 7692 does not know, whatever was offered. */
static bool badextension(wb_mock_client *client, const char *key) {
  char text[384];
  int bytes = wb_http_upgrade_answer(key, "permessage-deflate; server_max_window_bits=7", text, sizeof text);
  if (bytes <= 0) return false;
  wb_mock_client_put_raw(client, text, (size_t)bytes);
  wb_mock_client_finish(client, "answered with an extension that cannot be");
  return true;
}

/* ------------------------------------------------------------------------------------------------ at the subscribe */

static void forget(wb_mock_request *request, uint32_t from) {
  for (uint32_t i = from; i < request->product_count; i++) request->wants[request->product[i]] = 0;
  request->product_count = from;
}

static void halfack(wb_mock_client *client, wb_mock_request *request) { forget(request, request->product_count / 2); }

static void errorproduct(wb_mock_client *client, wb_mock_request *request) {
  if (!request->product_count) return;
  client->server->options.dialect->invalid(client, &client->server->product[request->product[request->product_count - 1]]);
  forget(request, request->product_count - 1);
}

static void renamedack(wb_mock_client *client, wb_mock_request *request) { request->renamed = true; }

/* ------------------------------------------------------------------------------------------------ at an update */

/* text with the bytes from `from` to `to` replaced. */
static void put_edited(wb_mock_client *client, const char *text, size_t bytes, size_t from, size_t to, const char *with) {
  size_t with_bytes = strlen(with);
  char *edited = malloc(bytes + with_bytes);
  if (!edited) return;
  memcpy(edited, text, from);
  memcpy(edited + from, with, with_bytes);
  memcpy(edited + from + with_bytes, text + to, bytes - to);
  wb_mock_client_put(client, edited, from + with_bytes + bytes - to);
  free(edited);
}

static size_t find(const char *text, size_t bytes, size_t from, const char *what) {
  const char *found = memmem(text + from, bytes - from, what, strlen(what));
  return found ? (size_t)(found - text) : bytes;
}

/* Start and end of the side, price or size of the first change. */
static void field(const wb_mock_client *client, const char *text, size_t bytes, wb_mock_field n, size_t *from, size_t *to) {
  const wb_mock_dialect *dialect = client->server->options.dialect;
  if (dialect->field) {
    dialect->field(text, bytes, n, from, to);
    return;
  }
  *from = find(text, bytes, find(text, bytes, 0, "[["), "\"") + 1;
  *to = find(text, bytes, *from, "\"");
  while (n-- > 0) {
    *from = find(text, bytes, *to + 1, "\"") + 1;
    *to = find(text, bytes, *from, "\"");
  }
}

static void put_field(wb_mock_client *client, const char *text, size_t bytes, wb_mock_field n, const char *with) {
  size_t from, to;
  field(client, text, bytes, n, &from, &to);
  put_edited(client, text, bytes, from, to, with);
}

/* What the update bears: something beside it is neither older nor newer. */
static const char *time_of(const wb_mock_client *client) { return client->server->time.text; }

static void gap(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {}

static void mute(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  client->mute = true;
  for (uint32_t i = 0; i < client->server->product_count; i++)
    wb_mock_server_leave(client->server, &client->server->product[i], client);
}

static void reset(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  uint8_t header[WB_WS_HEADER_BYTES_MAX];
  size_t header_bytes = wb_ws_header(header, WB_WS_TEXT, true, bytes, NULL);
  wb_mock_client_put_raw(client, header, header_bytes);
  wb_mock_client_put_raw(client, text, bytes / 2);
  client->reset_when_sent = true;
  wb_mock_client_finish(client, "reset by a fault");
}

static void close1001(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  wb_mock_client_close(client, 1001, "going away");
}

static void badnumber(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  put_field(client, text, bytes, WB_MOCK_SIZE, "0.-10000");
}

static void badjson(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes - 2);
}

static void badutf8(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  put_edited(client, text, bytes, bytes - 1, bytes - 1, ",\"note\":\"\xc3\x28\"");
}

static void unknownside(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  put_field(client, text, bytes, WB_MOCK_SIDE, "hold");
}

static void unknowntype(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  static const char plain[] = "{\"type\":\"weather\",\"product_id\":\"%s\",\"sky\":[[\"buy\",1,null,{}]]}";
  static const char numbered[] = "{\"channel\":\"weather\",\"timestamp\":\"2026-08-02T05:43:52Z\",\"sequence_num\":,\"events\":"
                                 "[{\"product_id\":\"%s\",\"sky\":1}]}";
  char other[192];
  int count = snprintf(other, sizeof other, client->server->options.dialect->hole ? numbered : plain, product->market.product);
  wb_mock_client_put(client, other, (size_t)count);
  wb_mock_client_put(client, text, bytes);
}

/* A bid beyond the best ask that nothing takes back: the book stays crossed until it is fetched anew. */
static void crossed(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  const wb_mock_level *ask = wb_mock_market_level(&product->market, WB_SIDE_ASK, 0);
  wb_delta delta = {.price = ask->price + 1 + ask->price / 1000, .size = ask->size, .side = WB_SIDE_BID};
  const wb_mock_dialect *dialect = client->server->options.dialect;
  char *extra = malloc(dialect->update_bytes_max(1) + WB_MOCK_TEXT_SLACK);
  wb_mock_client_put(client, text, bytes);
  if (!extra) return;
  const char *time = time_of(client);
  wb_mock_client_put(client, extra, dialect->update(&product->text, &delta, 1, time, extra));
  free(extra);
}

/* ------------------------------------------------------------------------------------------------ what only a witness finds */

/* One that took a best level away: its loss leaves the book with a better price than there is. Any other goes its way. */
static void lost(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  const wb_mock_level *bid = wb_mock_market_level(&product->market, WB_SIDE_BID, 0);
  const wb_mock_level *ask = wb_mock_market_level(&product->market, WB_SIDE_ASK, 0);
  for (uint32_t i = 0; i < product->market.trade_count; i++) {
    const wb_mock_trade *trade = &product->market.trade[i];
    if (trade->side == WB_SIDE_BID ? trade->price > bid->price : trade->price < ask->price) return;
  }
  wb_mock_client_put(client, text, bytes);
  wb_mock_fault_not_yet(client);
}

static void backwards(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  const wb_mock_server *server = client->server;
  const wb_mock_dialect *dialect = server->options.dialect;
  wb_mock_time older = {0};
  const char *time = wb_mock_time_text(&older, product->time_us - 1000000);
  char *edited = malloc(dialect->update_bytes_max(server->delta_count) + WB_MOCK_TEXT_SLACK);
  if (!edited) return;
  wb_mock_client_put(client, edited, dialect->update(&product->text, server->delta, server->delta_count, time, edited));
  free(edited);
}

static void unknownlevel(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  char extra[512];
  wb_delta delta = {.price = product->market.side[WB_SIDE_ASK].level[0].price + 1, .side = WB_SIDE_ASK};
  const char *time = time_of(client);
  wb_mock_client_put(client, text, bytes);
  wb_mock_client_put(client, extra, client->server->options.dialect->update(&product->text, &delta, 1, time, extra));
}

static void withhold(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  client->withheld = product;
}

static void nobeats(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  client->heartbeat_ns = 0;
}

static void wrongticker(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  client->wrong_ticker = product;
}

static void lostmatch(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  client->lost_match = product;
}

/* ------------------------------------------------------------------------------------------------ framing */

static void fragments(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  size_t piece = bytes / 4, at = 0;
  for (int i = 0; i < 4; i++, at += piece) {
    size_t count = i == 3 ? bytes - at : piece;
    wb_mock_client_put_frame(client, i ? WB_WS_CONTINUATION : WB_WS_TEXT, i == 3, text + at, count);
    if (i < 3) wb_mock_client_put_frame(client, WB_WS_PING, true, "between", 7);
  }
  client->record.messages++;
}

static void masked(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  uint8_t header[WB_WS_HEADER_BYTES_MAX], *copy = malloc(bytes);
  if (!copy) return;
  memcpy(copy, text, bytes);
  wb_ws_mask(copy, bytes, mask, 0);
  wb_mock_client_put_raw(client, header, wb_ws_header(header, WB_WS_TEXT, true, bytes, mask));
  wb_mock_client_put_raw(client, copy, bytes);
  free(copy);
}

/* A text frame that says it is compressed, whatever was agreed on. */
static void put_marked(wb_mock_client *client, const void *payload, size_t bytes) {
  uint8_t header[WB_WS_HEADER_BYTES_MAX];
  size_t header_bytes = wb_ws_header(header, WB_WS_TEXT, true, bytes, NULL);
  header[0] |= WB_WS_COMPRESSED;
  wb_mock_client_put_raw(client, header, header_bytes);
  wb_mock_client_put_raw(client, payload, bytes);
}

static void rsv1(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  put_marked(client, text, bytes);
}

static void baddeflate(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  static const uint8_t reserved_block[] = {0x06, 0x00};
  put_marked(client, reserved_block, sizeof reserved_block);
}

/* 4 GiB of blanks: the same compressed MiB over and over, as it refers to nothing before it. */
static void bomb(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  enum { PIECE_BYTES = 1 << 20, PIECES = 4096, PACKED_BYTES = 8 << 10 };
  static const uint8_t flush[] = {0x00, 0x00, 0xff, 0xff};
  wb_deflate *deflate = wb_deflate_open(15, false);
  uint8_t *blanks = malloc(PIECE_BYTES), *payload = malloc((size_t)PIECES * PACKED_BYTES);
  if (deflate && blanks && payload) {
    memset(blanks, ' ', PIECE_BYTES);
    int64_t piece = wb_deflate_write(deflate, blanks, PIECE_BYTES, payload, PACKED_BYTES - sizeof flush);
    if (piece > 0) {
      memcpy(payload + piece, flush, sizeof flush);
      piece += sizeof flush;
      for (int64_t i = 1; i < PIECES; i++) memcpy(payload + i * piece, payload, (size_t)piece);
      put_marked(client, payload, (size_t)(PIECES * piece) - sizeof flush);
    }
  }
  wb_deflate_close(deflate);
  free(blanks);
  free(payload);
}

static void dupsnapshot(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  wb_mock_server_snapshot(client->server, product, client);
  wb_mock_server_snapshot(client->server, product, client);
}

/* ------------------------------------------------------------------------------------------------ table */

static const wb_mock_fault faults[] = {
    {.name = "gap", .help = "an update is left out", .update = gap, .numbered = true},
    {.name = "mute", .help = "nothing more is sent, not even a pong; the socket stays open", .update = mute},
    {.name = "reset", .help = "half a message, then a TCP reset", .update = reset, .numbered = true},
    {.name = "close", .help = "Close 1001", .update = close1001},
    {.name = "refuse429", .help = "HTTP 429 with Retry-After: 1 instead of the upgrade", .upgrade = refuse429},
    {.name = "refuse503", .help = "HTTP 503 with Retry-After: 1 instead of the upgrade", .upgrade = refuse503},
    {.name = "slowheaders", .help = "the answer to the upgrade comes byte by byte, 10 ms apart", .upgrade = slowheaders},
    {.name = "badnumber", .help = "a size of an update is 0.-10000", .update = badnumber},
    {.name = "badjson", .help = "an update ends two bytes too soon", .update = badjson},
    {.name = "badutf8", .help = "an update has a key with bytes that are no UTF-8", .update = badutf8},
    {.name = "unknownside", .help = "a side of an update is neither buy nor sell", .update = unknownside},
    {.name = "unknowntype", .help = "a message of an unknown type before an update", .update = unknowntype},
    {.name = "halfack", .help = "only the first half of the products is acknowledged and sent", .subscribe = halfack},
    {.name = "errorproduct", .help = "the last product is an error, the others are served", .subscribe = errorproduct},
    {.name = "renamedack",
     .help = "level2_batch is acknowledged as level2_50, and the other way round",
     .dialect = &wb_mock_exchange,
     .subscribe = renamedack},
    {.name = "fragments",
     .help = "an update comes in four fragments with pings between",
     .update = fragments,
     .numbered = true},
    {.name = "masked",
     .help = "an update comes in a masked frame, which a server must not send",
     .update = masked,
     .numbered = true},
    {.name = "rsv1",
     .help = "an update comes as it is in a frame that says it is compressed",
     .update = rsv1,
     .numbered = true},
    {.name = "baddeflate", .help = "a compressed message that is no DEFLATE", .update = baddeflate, .numbered = true},
    {.name = "bomb", .help = "a compressed message of 4 MiB that would become 4 GiB", .update = bomb, .numbered = true},
    {.name = "badextension",
     .help = "the upgrade is answered with a permessage-deflate that cannot be",
     .upgrade = badextension},
    {.name = "dupsnapshot", .help = "two snapshots in the middle of the stream", .update = dupsnapshot},
    {.name = "lost", .help = "an update that took away a best level is left out", .update = lost},
    {.name = "backwards", .help = "an update is a second older than the one before it", .update = backwards},
    {.name = "unknownlevel", .help = "a removal of a level that is not there", .update = unknownlevel},
    {.name = "withhold",
     .help = "no more updates of a product, but its heartbeats, until it is subscribed anew",
     .update = withhold},
    {.name = "nobeats", .help = "no more heartbeats until the next subscribe", .update = nobeats},
    {.name = "wrongticker",
     .help = "tickers of a product say a wrong best ask until it is subscribed anew",
     .update = wrongticker},
    {.name = "lostmatch", .help = "one trade is not told", .update = lostmatch},
    {.name = "crossed", .help = "a bid above the best ask that stays", .update = crossed},
    {.name = "bigsnapshot", .help = "each snapshot is --snapshot-bytes long (5000000)"},
};

const wb_mock_fault *wb_mock_fault_at(unsigned index) {
  unsigned count = sizeof faults / sizeof *faults;
  return index < count ? &faults[index] : wb_mock_advanced_fault_at(index - count);
}

const wb_mock_fault *wb_mock_fault_find(const char *name) {
  for (unsigned i = 0; wb_mock_fault_at(i); i++)
    if (strcmp(wb_mock_fault_at(i)->name, name) == 0) return wb_mock_fault_at(i);
  return NULL;
}

bool wb_mock_fault_now(const wb_mock_client *client) {
  const wb_mock_options *options = &client->server->options;
  return options->fault_repeat || !client->server->fault_done;
}

void wb_mock_fault_not_yet(wb_mock_client *client) {
  client->server->fault_done = false;
  client->record.faults--;
  client->until_fault = 1;
}

void wb_mock_fault_happened(wb_mock_client *client) {
  client->server->fault_done = true;
  client->record.faults++;
  client->until_fault = client->server->options.fault_after;
}
