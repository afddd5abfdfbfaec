#include "tools/replay.h"

#include "tools/products.h"
#include "tools/times.h"

static int part_of(const wb_config *config, wb_node_config *node, wb_error *error) {
  const char *name[] = {"from", "to"};
  int64_t *utc_ns[] = {&node->from_utc_ns, &node->to_utc_ns};
  node->from_utc_ns = INT64_MIN;
  node->to_utc_ns = INT64_MAX;
  for (unsigned i = 0; i < 2; i++) {
    const char *text = wb_config_text(config, name[i]);
    if (!text) continue;
    node->part = true;
    if (!wb_time_parse(text, utc_ns[i]))
      return wb_error_set(error, WB_E_CONFIG, 0, name[i], "--%s '%s' is no time; give one like 2026-01-31T23:59:59Z or -1h",
                          name[i], text);
  }
  if (node->from_utc_ns <= node->to_utc_ns) return 0;
  return wb_error_set(error, WB_E_CONFIG, 0, "from", "--from is later than --to");
}

int wb_replay_settings_read(wb_replay_settings *settings, const wb_config *config, wb_error *error) {
  wb_node_config *node = settings->node;
  int result = part_of(config, node, error);
  if (result == 0) result = wb_witness_config_read(&settings->witness, wb_config_list(config, "witness"), error);
  if (result != 0) return result;
  node->codec = wb_codec_find(wb_config_text(config, "feed"));
  settings->products = wb_products_open(wb_config_list(config, "product"), node->codec->separator, error);
  if (!settings->products) return WB_E_CONFIG;
  node->products = settings->products;
  node->channels = (const char *const *)wb_config_list(config, "channel");
  if (!*node->channels) node->channels = NULL;
  node->message_bytes_max = wb_config_count(config, "max-message");
  node->crossed_ms = wb_config_count(config, "crossed-ms");
  node->witness = &settings->witness;
  return 0;
}

void wb_replay_settings_free(wb_replay_settings *settings) {
  if (settings->products) wb_products_close(settings->products);
}
