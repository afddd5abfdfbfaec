/* own_codec.c - a venue of one's own, plugged in by a table: its messages are lines "P BTC-USD bid 100.25 3" (price in cents, size whole), "S PRODUCT" begins
 * an empty book. own_codec PRODUCT URL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wirebook.h>

static const wirebook_products *products;

static int init(void *state, const wirebook_products *of) {
  (void)state;
  products = of;
  return 0;
}

static void decode(void *state, const wirebook_frame *frame, wirebook_out *out) {
  char text[128], id[32], side[4];
  unsigned long long whole, cents, size;
  size_t bytes = frame->byte_count < sizeof text - 1 ? frame->byte_count : sizeof text - 1;
  (void)state;
  memcpy(text, frame->bytes, bytes);
  text[bytes] = 0;
  if (sscanf(text, "S %31s", id) == 1) {
    int product = wirebook_products_find(products, id, strlen(id));
    wirebook_out_snapshot(out, product < 0 ? WIREBOOK_PRODUCT_NONE : (uint32_t)product, WIREBOOK_TIME_NONE, NULL, 0);
  } else if (sscanf(text, "P %31s %3s %llu.%2llu %llu", id, side, &whole, &cents, &size) == 5) {
    int product = wirebook_products_find(products, id, strlen(id));
    wirebook_change change = {0};
    change.price = (whole * 100 + cents) * 1000000; /* 8 decimals, as every product begins with */
    change.size = size * 100000000;
    change.side = strcmp(side, "bid") == 0 ? WIREBOOK_BID : WIREBOOK_ASK;
    wirebook_out_update(out, product < 0 ? WIREBOOK_PRODUCT_NONE : (uint32_t)product, WIREBOOK_TIME_NONE, &change, 1);
  } else if (text[0] != '#') {
    wirebook_out_reject(out, WIREBOOK_PRODUCT_NONE, 0);
  }
}

static int subscribe(const wirebook_products *of, const char *const *channels, const uint16_t *index, uint32_t count,
                     int unsubscribe, char *text, size_t size) {
  size_t bytes = 0;
  for (uint32_t i = 0; i < count && bytes < size; i++)
    bytes += (size_t)snprintf(text + bytes, size - bytes, "%s%s %s %s", i ? "\n" : "", unsubscribe ? "leave" : "join",
                              channels[0], wirebook_products_id(of, index[i]));
  return bytes < size ? (int)bytes : -1;
}

int main(int count, char **word) {
  static const char *const channels[] = {"book", NULL};
  static const wirebook_codec codec = {"lines", "ws://127.0.0.1:9/", channels, 0, init, decode, subscribe};
  if (count != 3) return fprintf(stderr, "usage: own_codec PRODUCT URL\n"), 2;
  const char *product[] = {word[1], NULL}, *url[] = {word[2], NULL};
  wirebook_error error = {0};
  wirebook_config config;
  wirebook_config_init(&config, sizeof config);
  config.codec = &codec;
  config.product = product;
  config.url = url;
  config.once = 1;
  wirebook *node = wirebook_open(&config, &error);
  if (!node) return fprintf(stderr, "%s\n", error.detail), 1;
  int ended = 0;
  while (ended == 0 && wirebook_poll(node) >= 0) ended = wirebook_ended(node, &error);
  wirebook_level level[8];
  for (int side = 0; side < 2; side++)
    for (uint32_t i = 0, n = wirebook_levels(node, 0, side, level, 8); i < n; i++) {
      char price[48], size[48];
      wirebook_decimal(level[i].price, 8, price, sizeof price);
      wirebook_decimal(level[i].size, 8, size, sizeof size);
      printf("%s %s %s\n", side == WIREBOOK_BID ? "bid" : "ask", price, size);
    }
  wirebook_close(node);
  return ended == 1 ? 0 : (fprintf(stderr, "%s\n", error.detail), 1);
}
