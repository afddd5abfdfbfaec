#include "tools/service.h"

#include <stdio.h>
#include <string.h>

static const uint64_t STATUS_NS = UINT64_C(5000000000);

void wb_service_open(wb_service *service, wb_log *log) {
  wb_error error;
  *service = (wb_service){0};
  if (wb_notify_open(&service->notify, &error) != 0) wb_log_put(log, WB_LOG_WARNING, error.detail);
}

void wb_service_start(wb_service *service, wb_node *node, uint64_t now_ns) {
  service->node = node;
  service->started_ns = now_ns;
}

/* Writes STATUS= and returns whether all books are live. */
static bool describe(const wb_service *service, char *text, size_t size) {
  const wb_products *products = wb_node_config_of(service->node)->products;
  uint32_t live = 0, wanted = 0;
  for (uint32_t i = 0; i < products->count; i++) {
    if (wb_product_removed(&products->product[i])) continue;
    wb_view_data view;
    wb_view_read(wb_node_view(service->node, i), &view);
    live += view.state == WB_STATE_LIVE;
    wanted++;
  }
  wb_node_status status;
  wb_node_status_get(service->node, &status);
  unsigned up = 0;
  for (unsigned i = 0; i < status.line_count; i++) up += strcmp(status.line[i].state, "live") == 0;
  snprintf(text, size, "STATUS=%u of %u books live, %u of %u connections up, %llu messages, %llu reconnects%s", live, wanted,
           up, status.line_count, (unsigned long long)status.messages, (unsigned long long)status.reconnects,
           status.store_errors ? ", storing failed" : "");
  return live == wanted;
}

void wb_service_turn(wb_service *service, uint64_t now_ns) {
  if (service->notify.fd < 0) return;
  if (!service->stopping && (!service->ready || now_ns >= service->status_due_ns)) {
    char text[256];
    bool live = describe(service, text, sizeof text);
    if (now_ns >= service->status_due_ns && wb_notify_send(&service->notify, text)) service->status_due_ns = now_ns + STATUS_NS;
    if (!service->ready && (live || now_ns - service->started_ns >= WB_SERVICE_READY_NS)) {
      char ready[300];
      snprintf(ready, sizeof ready, "READY=1\n%s", text);
      service->ready = wb_notify_send(&service->notify, ready);
    }
  }
  if (!service->notify.watchdog_ns || now_ns < service->beat_due_ns) return;
  uint64_t turns = wb_node_turns(service->node);
  if (turns == service->turns || !wb_notify_send(&service->notify, "WATCHDOG=1")) return;
  service->turns = turns;
  service->beat_due_ns = now_ns + service->notify.watchdog_ns / 2;
}

void wb_service_stopping(wb_service *service) {
  if (!service->stopping) wb_notify_send(&service->notify, "STOPPING=1\nSTATUS=ending: draining, storing");
  service->stopping = true;
}

void wb_service_close(wb_service *service) { wb_notify_close(&service->notify); }
