#include "io/node_level3.h"

#include <string.h>

#include "engine/ring/atomic.h"
#include "io/host.h"
#include "io/memory.h"

const wb_recover_config wb_node_level3_recover = {.snapshot_wait_ns = UINT64_C(10000000000),
                                                  .resync_min_ns = UINT64_C(1000000000),
                                                  .resync_max_ns = UINT64_C(30000000000),
                                                  .resync_tries = UINT32_MAX};

int wb_node_level3_choose(wb_node_level3 *level3, const wb_codec *codec, const char *const *channels, wb_error *error) {
  const wb_codec_orders *orders = codec->orders;
  const char *first = NULL;
  for (const char *const *channel = channels; orders && channel && *channel; channel++)
    if (orders->channel(*channel) && !first) first = *channel;
  level3->on = first != NULL;
  for (const char *const *channel = channels; first && *channel; channel++)
    if (*channel != first && (strncmp(*channel, "level2", 6) == 0 || orders->channel(*channel)))
      return wb_error_set(error, WB_E_CONFIG, 0, "node", "the channel %s makes the books by itself: leave %s out", first,
                          *channel);
  return 0;
}

int wb_node_level3_open(wb_node_level3 *level3, const wb_node_config *config, bool recording, void *codec_state,
                        wb_error *error) {
  wb_level3_config books = {
      .products = config->products, .orders = {.order_count_max = config->order_count_max}, .recording = recording};
  if (!level3->on) return 0;
  wb_random_fill(&books.orders.hash_key, sizeof books.orders.hash_key);
  level3->bytes = wb_level3_bytes(&books);
  if (!level3->bytes)
    return wb_error_set(error, WB_E_LIMIT, 0, "node", "books of %u orders: 1 to %u are possible (--orders)",
                        config->order_count_max, 1u << 24);
  level3->memory = wb_arena_open(level3->bytes, error);
  if (!level3->memory) return WB_E_MEMORY;
  wb_level3_init(&level3->books, level3->memory, &books);
  config->codec->orders->begin(codec_state);
  return 0;
}

int wb_node_level3_connect(wb_node_level3 *level3, const wb_node_config *config, const wb_source_rest_config *rest,
                           wb_error *error) {
  wb_source_rest_config whole = *rest;
  if (!level3->on || !config->line_count) return 0;
  whole.url = config->rest ? config->rest : config->codec->orders->rest;
  whole.orders = config->codec->orders;
  whole.products = config->products;
  whole.ca_file = config->ca_file;
  whole.insecure = config->insecure;
  whole.per_second = config->rest_per_second;
  whole.body_bytes_max = config->message_bytes_max;
  level3->rest = wb_source_rest_open(&whole, error);
  return level3->rest ? 0 : WB_E_CONFIG;
}

void wb_node_level3_status(const wb_node_level3 *level3, unsigned replayed, wb_node_status *status) {
  if (replayed) status->line_count = replayed;
  for (unsigned i = 0; i < status->line_count; i++) {
    if (replayed) status->line[i] = (wb_node_line){.url = "", .state = "replay"};
    status->line[i].duplicates = wb_load_relaxed(&level3->books.duplicates[i]);
  }
}

void wb_node_level3_close(wb_node_level3 *level3) {
  wb_source_rest_close(level3->rest);
  if (level3->memory) wb_arena_close(level3->memory, level3->bytes);
}
