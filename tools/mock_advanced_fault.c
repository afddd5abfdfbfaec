#include <stdlib.h>
#include <string.h>

#include "tools/mock_server.h"

static void skipnumber(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  client->sequence++;
  wb_mock_client_put(client, text, bytes);
}

static void repeatnumber(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  wb_mock_client_put(client, text, bytes);
}

static void fromone(wb_mock_client *client, wb_mock_request *request) { client->sequence += client->sequence == 0; }

static void noack(wb_mock_client *client, wb_mock_request *request) { request->silent = true; }

static void quotedbeats(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_client_put(client, text, bytes);
  client->quoted_beats = true;
}

/* The same changes once more, of a product that nobody has asked for. */
static void stranger(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  wb_mock_market market = product->market;
  wb_mock_text other = product->text;
  const wb_mock_server *server = client->server;
  const wb_mock_dialect *dialect = server->options.dialect;
  char *extra = malloc(dialect->update_bytes_max(server->delta_count) + WB_MOCK_TEXT_SLACK);
  wb_mock_client_put(client, text, bytes);
  if (!extra) return;
  strcpy(market.product, "STRANGER-USD");
  other.market = &market;
  wb_mock_client_put(client, extra, dialect->update(&other, server->delta, server->delta_count, server->time.text, extra));
  free(extra);
}

static const wb_mock_fault faults[] = {
    {.dialect = &wb_mock_advanced,
     .name = "skipnumber",
     .help = "a sequence_num is skipped; nothing is missing",
     .update = skipnumber},
    {.dialect = &wb_mock_advanced,
     .name = "repeatnumber",
     .help = "an update is sent twice, with one sequence_num",
     .update = repeatnumber,
     .numbered = true},
    {.dialect = &wb_mock_advanced, .name = "fromone", .help = "sequence_num begins with 1", .subscribe = fromone},
    {.dialect = &wb_mock_advanced, .name = "noack", .help = "a subscribe is not acknowledged", .subscribe = noack},
    {.dialect = &wb_mock_advanced,
     .name = "quotedbeats",
     .help = "heartbeat_counter is a string from then on",
     .update = quotedbeats},
    {.dialect = &wb_mock_advanced,
     .name = "stranger",
     .help = "an update of a product that was not asked for",
     .update = stranger},
};

const wb_mock_fault *wb_mock_advanced_fault_at(unsigned index) {
  return index < sizeof faults / sizeof *faults ? &faults[index] : NULL;
}
