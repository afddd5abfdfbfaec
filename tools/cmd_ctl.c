#include <stdio.h>
#include <string.h>

#include "io/config.h"
#include "io/control.h"
#include "tools/commands.h"
#include "tools/products.h"

static const wb_option options[] = {
    {"control", WB_OPTION_TEXT, "WIREBOOK_CONTROL", NULL, NULL, "PATH", "socket of the node (its --control)", false, false},
    {"feed", WB_OPTION_CHOICE, "WIREBOOK_FEED", "coinbase-exchange", "coinbase-exchange|coinbase-advanced", NULL,
     "dialect of the feed, for --products-from rest", false, false},
    {"products-from", WB_OPTION_TEXT, "WIREBOOK_PRODUCTS_FROM", NULL, NULL, "rest|URL|FILE",
     "the exchange's list of products, for ids, patterns and decimals", false, false},
    {"ca", WB_OPTION_TEXT, "WIREBOOK_CA", NULL, NULL, "FILE", "certificate authorities (default: the system's)", false, false},
    {"config", WB_OPTION_TEXT, "WIREBOOK_CONFIG", NULL, NULL, "FILE", "YAML file of these options", false, true},
};
enum { OPTIONS = sizeof options / sizeof *options, PRODUCTS_PER_REQUEST = 500, TIMEOUT_MS = 5000 };
_Static_assert(PRODUCTS_PER_REQUEST *(WB_PRODUCT_ID_BYTES + 8) < WB_CONTROL_BYTES_MAX, "a request holds them");

static int wrong(const wb_error *error) {
  fprintf(stderr, "wirebook ctl: %s\n", error->detail);
  return error->code == WB_E_CONFIG ? 2 : 1;
}

static int ask(const char *path, bool adds, const wb_products *products) {
  static char request[WB_CONTROL_BYTES_MAX], answer[4 * WB_CONTROL_BYTES_MAX];
  int code = 0;
  for (uint32_t i = 0; i < products->count;) {
    size_t used = (size_t)snprintf(request, sizeof request, adds ? "add" : "remove");
    for (uint32_t n = 0; n < PRODUCTS_PER_REQUEST && i < products->count; n++, i++) {
      const wb_product *product = &products->product[i];
      used += (size_t)snprintf(request + used, sizeof request - used, " %s", product->id);
      if (adds)
        used +=
            (size_t)snprintf(request + used, sizeof request - used, ":%u:%u", product->price_decimals, product->size_decimals);
    }
    wb_error error;
    if (wb_control_ask(path, request, answer, sizeof answer, TIMEOUT_MS, &error) != 0) return wrong(&error);
    fputs(answer, stdout);
    if (strncmp(answer, "failed", 6) == 0 || strstr(answer, "\nfailed")) code = 1;
  }
  return code;
}

int wb_cmd_ctl(int argc, char **argv) {
  wb_error error;
  wb_config *config = wb_config_load(options, OPTIONS, argc, argv, &error);
  if (!config) return wrong(&error);
  unsigned count;
  char *const *word = wb_config_operands(config, &count);
  const char *path = wb_config_text(config, "control");
  bool adds = count && strcmp(word[0], "add") == 0;
  int code = 2;
  if (wb_config_help(config)) {
    puts("usage: wirebook ctl --control PATH add|remove PRODUCT...\n\nTells a running node which products come and go. PRODUCT "
         "is as in "
         "`run --product`.\n");
    wb_config_usage(options, OPTIONS);
    code = 0;
  } else if (wb_config_check(config)) {
    wb_config_print(config);
    code = 0;
  } else if (!path) {
    fputs("wirebook ctl: --control says where the node listens\n", stderr);
  } else if (count < 2 || (!adds && strcmp(word[0], "remove") != 0)) {
    fputs("wirebook ctl: say `add PRODUCT...` or `remove PRODUCT...`\n", stderr);
  } else {
    const wb_products_source source = {.from = wb_config_text(config, "products-from"),
                                       .ca_file = wb_config_text(config, "ca"),
                                       .codec = wb_codec_find(wb_config_text(config, "feed"))};
    wb_products *products = wb_products_open_listed(word + 1, &source, "ctl", &error);
    code = products ? ask(path, adds, products) : wrong(&error);
    wb_products_close(products);
  }
  wb_config_free(config);
  return code;
}
