#include "tools/market.h"

#include "engine/book/measures.h"

static int limited(const wb_config *config, const char *name, uint64_t least, uint64_t most, uint32_t *value, wb_error *error) {
  uint64_t given = wb_config_count(config, name);
  *value = (uint32_t)given;
  if (given >= least && given <= most) return 0;
  return wb_error_set(error, WB_E_CONFIG, 0, "option", "--%s %llu: must be %llu to %llu", name, (unsigned long long)given,
                      (unsigned long long)least, (unsigned long long)most);
}

int wb_market_settings(const wb_config *config, wb_node_config *node, wb_error *error) {
  if (limited(config, "orders", 1, 1 << 24, &node->order_count_max, error) != 0 ||
      limited(config, "imbalance-levels", 1, WB_PRESSURE_LEVELS_MAX, &node->imbalance_levels, error) != 0 ||
      limited(config, "depth-bps", 0, 10000, &node->depth_bps, error) != 0)
    return WB_E_CONFIG;
  return wb_tape_config_read(&node->tape, wb_config_list(config, "bars"), error);
}
