/* touch.c - the best bid and ask of a product, once: cc touch.c $(pkg-config --cflags --libs wirebook) && ./a.out BTC-USD [URL] */
#include <stdio.h>
#include <wirebook.h>

int main(int count, char **word) {
  const char *product[] = {count > 1 ? word[1] : "BTC-USD", NULL}, *url[] = {count > 2 ? word[2] : NULL, NULL};
  wirebook_error error = {0};
  wirebook_config config;
  wirebook_config_init(&config, sizeof config);
  config.product = product;
  config.url = url;
  wirebook *node = wirebook_open(&config, &error);
  wirebook_touch touch = {0};
  while (node && touch.state != WIREBOOK_LIVE && wirebook_poll(node) >= 0 && wirebook_ended(node, &error) == 0)
    wirebook_touch_read(node, 0, &touch);
  char bid[48], ask[48];
  wirebook_decimal(touch.bid, touch.price_decimals, bid, sizeof bid);
  wirebook_decimal(touch.ask, touch.price_decimals, ask, sizeof ask);
  printf("%s %s %s %s\n", product[0], wirebook_state_name(touch.state), bid, ask);
  wirebook_close(node);
  return error.code ? fprintf(stderr, "%s\n", error.detail), 1 : 0;
}
