/* fuzz_control.c - what is asked of a node over its control socket, against a list of products that is searched from its beginning.
 *
 * Input:   one datagram.
 * Oracle:  one answer, with the line for each id that a slow reading of the request says, or one that says what is wrong with all of it; afterwards
 *          the node has the products of the list, with the units that were asked for. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 4096, ROOM = 3, CAPACITY = ROOM + 1, ANSWER_BYTES = 128 << 10 };

static struct {
  wb_control *control;
  wb_node *node;
  wb_products *products;
  int fd;
} rig;

/* The list. */
static struct {
  char id[WB_PRODUCT_ID_BYTES];
  unsigned decimals[2];
  bool there;
} have[CAPACITY];
static unsigned have_count;

static void bring_up(void) {
  wb_error error;
  static _Alignas(64) uint8_t memory[4096];
  static wb_products products;
  wb_products_init(&products, memory, 16);
  wb_products_add(&products, "BTC-USD", 7);
  wb_log *log = wb_log_open("/dev/null", WB_LOG_ERROR, false, &error);
  WB_CHECK(log);
  const wb_codec *codec = wb_codec_find("coinbase-exchange");
  wb_node_config config = {.codec = codec,
                           .products = &products,
                           .product_room = ROOM,
                           .channels = codec->channels,
                           .log = log,
                           .line_count = 1,
                           .url = {"ws://127.0.0.1:1/"},
                           .message_bytes_max = 1024,
                           .book = {.window_ticks = 1024, .level_count_max = 16}};
  rig.products = &products;
  rig.node = wb_node_open(&config, &error);
  char path[64];
  snprintf(path, sizeof path, "/tmp/wirebook-fuzz-%ld", (long)getpid());
  rig.control = wb_control_open(path, &error);
  WB_CHECK(rig.node && rig.control);
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  strcpy(at.sun_path, path);
  struct sockaddr_un own = {.sun_family = AF_UNIX}; /* no path: the kernel gives it a name of its own */
  rig.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  WB_CHECK(rig.fd >= 0 && bind(rig.fd, (struct sockaddr *)&own, sizeof own.sun_family) == 0);
  WB_CHECK(connect(rig.fd, (struct sockaddr *)&at, sizeof at) == 0);
  unlink(path);
}

static bool number(const char *text, size_t bytes, unsigned *value) {
  *value = 0;
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    *value = *value > 1000 ? *value : *value * 10 + (unsigned)(text[i] - '0');
  }
  return bytes > 0 && *value <= WB_DECIMALS_MAX;
}

/* What becomes of one word: a line that the answer must begin with. */
static const char *expect(bool adds, const char *word) {
  size_t bytes = strcspn(word, ":"), rest = strlen(word) - bytes;
  unsigned decimals[2] = {WB_DECIMALS_DEFAULT, WB_DECIMALS_DEFAULT}, i = 0;
  if (rest) {
    size_t first = strcspn(word + bytes + 1, ":");
    const char *second = word + bytes + 1 + first;
    if (!adds || *second != ':' || !number(word + bytes + 1, first, &decimals[0]) ||
        !number(second + 1, strlen(second + 1), &decimals[1]))
      return "failed";
  }
  while (i < have_count && !(strlen(have[i].id) == bytes && memcmp(have[i].id, word, bytes) == 0)) i++;
  if (i < have_count) {
    bool changes = have[i].there != adds;
    have[i].there = adds;
    return !changes ? "unchanged" : adds ? "added" : "removed";
  }
  bool good = bytes > 0 && bytes < WB_PRODUCT_ID_BYTES;
  for (size_t k = 0; k < bytes; k++) good = good && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", word[k]);
  if (!adds || !good || have_count == CAPACITY) return "failed";
  memcpy(have[i].id, word, bytes);
  memcpy(have[i].decimals, decimals, sizeof decimals);
  have[have_count++].there = true;
  return "added";
}

static void check_table(void) {
  WB_CHECK(rig.products->count == have_count);
  for (unsigned i = 0; i < have_count; i++) {
    const wb_product *product = &rig.products->product[i];
    WB_CHECK(strcmp(product->id, have[i].id) == 0 && wb_product_removed(product) != have[i].there);
    WB_CHECK(product->price_decimals == have[i].decimals[0] && product->size_decimals == have[i].decimals[1]);
  }
}

/* Every input meets the table as the first did. */
static void begin_again(void) {
  wb_products *products = rig.products;
  wb_products_init(products, products->product, 16);
  products->capacity = CAPACITY;
  wb_products_add(products, "BTC-USD", 7);
  memset(have, 0, sizeof have);
  strcpy(have[0].id, "BTC-USD");
  have[0].decimals[0] = have[0].decimals[1] = WB_DECIMALS_DEFAULT;
  have[0].there = true;
  have_count = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > INPUT_BYTES_MAX) return 0;
  if (!rig.node) bring_up();
  begin_again();
  static char answer[ANSWER_BYTES + 1], text[INPUT_BYTES_MAX + 1];
  WB_CHECK(send(rig.fd, data, size, 0) == (ssize_t)size);
  wb_control_serve(rig.control, rig.node);
  ssize_t bytes = recv(rig.fd, answer, ANSWER_BYTES, MSG_DONTWAIT);
  WB_CHECK(bytes > 0);
  answer[bytes] = 0;
  WB_CHECK(recv(rig.fd, answer + bytes, 0, MSG_DONTWAIT) < 0); /* one answer */
  memcpy(text, data, size);
  text[size] = 0;
  char *rest = text, *verb = strsep(&rest, " \n"), *at = answer;
  bool known = strcmp(verb, "add") == 0 || strcmp(verb, "remove") == 0, any = false;
  for (char *word; known && (word = strsep(&rest, " \n"));) {
    if (!*word) continue;
    const char *begin = expect(*verb == 'a', word);
    any = true;
    WB_CHECK(strncmp(at, begin, strlen(begin)) == 0 && at[strlen(begin)] == ' ');
    at = strchr(at, '\n');
    WB_CHECK(at);
    at++;
  }
  if (!any) WB_CHECK(strncmp(answer, "failed: ", 8) == 0 && strchr(answer, '\n') == answer + bytes - 1);
  else WB_CHECK(*at == 0);
  check_table();
  return 0;
}
