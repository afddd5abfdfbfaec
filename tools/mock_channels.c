#include "tools/mock_exchange.h"

/* ------------------------------------------------------------------------------------------------ orders */

void wb_mock_channels_follow(wb_mock_client *client, wb_mock_product *product, bool level3) {
  if (!client->server->recording && !wb_mock_server_orders(client->server, product)) {
    wb_mock_client_drop(client, true, "no memory for orders");
    return;
  }
  if (level3 && !client->schema_sent && !client->server->recording) {
    char text[WB_MOCK_ORDER_BYTES_MAX];
    wb_mock_client_put(client, text, wb_mock_orders_schema(&product->text, text));
    client->schema_sent = true;
  }
  wb_mock_server_follow(client->server, product, client);
}

static void put_order(wb_mock_client *client, wb_mock_product *product, const char *text, size_t bytes) {
  const wb_mock_fault *fault = client->server->options.fault;
  client->record.orders++;
  if (fault && fault->order && --client->until_order == 0 && wb_mock_fault_now(client)) {
    wb_mock_fault_happened(client);
    fault->order(client, product, text, bytes);
  } else {
    wb_mock_client_put(client, text, bytes);
  }
}

void wb_mock_channels_orders(wb_mock_server *server, wb_mock_product *product, const char *time) {
  const wb_mock_orders *orders = product->orders;
  char full[WB_MOCK_ORDER_BYTES_MAX], level3[WB_MOCK_ORDER_BYTES_MAX];
  for (uint32_t n = 0; n < orders->message_count; n++) {
    size_t full_bytes = 0, level3_bytes = 0;
    for (uint32_t i = product->follower_count; i-- > 0;) {
      wb_mock_client *client = product->follower[i];
      uint16_t wants = client->wants[product - server->product];
      if (wants >> WB_MOCK_FULL & 1) {
        if (!full_bytes) full_bytes = wb_mock_orders_full(orders, &product->text, &orders->message[n], time, full);
        put_order(client, product, full, full_bytes);
      }
      if (wants >> WB_MOCK_LEVEL3 & 1) {
        if (!level3_bytes) level3_bytes = wb_mock_orders_level3(orders, &product->text, &orders->message[n], time, level3);
        put_order(client, product, level3, level3_bytes);
      }
    }
  }
}
