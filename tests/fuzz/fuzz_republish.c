/* fuzz_republish.c - what clients of the Exchange dialect say to a node that republishes, against a slow reading of it by a list.
 *
 * Input:   messages of one client, a line each.
 * Oracle:  every answer is JSON of a known type; a request that is one is acknowledged, once, by what the list holds then; what is no UTF-8 or no JSON ends the
 *          client with 1007 or 1008 and nothing else does. Whoever has had a snapshot has the node's book, and nobody else is told of level 2. */
#include <stdlib.h>

#include "engine/base/error.h"
#include "io/ws.h"

#define RIG_CHECK(condition) WB_CHECK(condition)
#include "tests/publisher_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANNELS = 6, INPUT_BYTES_MAX = 8192 };

static const struct {
  const char *name;
  int channel;
} words[] = {{"level2", 0}, {"level2_batch", 1}, {"level2_50", 1},   {"heartbeat", 2},
             {"ticker", 3}, {"ticker_batch", 4}, {"ticker_1000", 4}, {"matches", 5}};

static bool has[CHANNELS][RIG_PRODUCTS];

static int product_of(const json_t *id) {
  for (int i = 0; json_is_string(id) && i < RIG_PRODUCTS; i++)
    if (strcmp(json_string_value(id), rig_ids[i]) == 0) return i;
  return -1;
}

static int channel_of(const json_t *name) {
  for (size_t i = 0; json_is_string(name) && i < sizeof words / sizeof *words; i++)
    if (strcmp(json_string_value(name), words[i].name) == 0) return words[i].channel;
  return -1;
}

/* Whether it is to be acknowledged; *ends: the code the client is ended with. */
static bool read_slowly(const char *text, size_t bytes, unsigned *ends) {
  *ends = 0;
  json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
  bool acknowledged = false;
  if (!json_is_object(root)) *ends = 1008;
  const char *type = json_string_value(json_object_get(root, "type"));
  bool drop = type && strcmp(type, "unsubscribe") == 0;
  const json_t *list = json_object_get(root, "channels"), *both = json_object_get(root, "product_ids");
  bool good = type && (drop || strcmp(type, "subscribe") == 0) && json_is_array(list) && (!both || json_is_array(both));
  bool change[CHANNELS][RIG_PRODUCTS] = {0};
  for (size_t i = 0; good && i < json_array_size(list); i++) {
    const json_t *entry = json_array_get(list, i), *own = json_object_get(entry, "product_ids");
    int channel = channel_of(json_is_object(entry) ? json_object_get(entry, "name") : entry);
    if (channel < 0 || (own && !json_is_array(own))) continue;
    size_t count = json_array_size(both) + json_array_size(own);
    acknowledged |= drop;
    for (size_t n = 0; n < count; n++) {
      size_t roots = json_array_size(both);
      int product = product_of(n < roots ? json_array_get(both, n) : json_array_get(own, n - roots));
      if (product < 0) continue;
      change[channel][product] = true;
      acknowledged = true;
    }
    for (int product = 0; drop && !count && product < RIG_PRODUCTS; product++) change[channel][product] = true;
  }
  json_decref(root);
  for (int channel = 0; channel < CHANNELS; channel++)
    for (int product = 0; product < RIG_PRODUCTS; product++)
      if (change[channel][product]) has[channel][product] = !drop;
  return acknowledged;
}

static void check_answer(const char *text) {
  bool said[CHANNELS][RIG_PRODUCTS] = {0};
  json_t *root = json_loads(text, 0, NULL);
  const json_t *list = json_object_get(root, "channels");
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *entry = json_array_get(list, i), *ids = json_object_get(entry, "product_ids");
    int channel = channel_of(json_object_get(entry, "name"));
    WB_CHECK(channel >= 0 && json_array_size(ids) > 0);
    for (size_t n = 0; n < json_array_size(ids); n++) {
      int product = product_of(json_array_get(ids, n));
      WB_CHECK(product >= 0 && !said[channel][product]);
      said[channel][product] = true;
    }
  }
  WB_CHECK(memcmp(said, has, sizeof has) == 0);
  json_decref(root);
}

static void feed(rig *r, unsigned product, wb_message_kind kind, uint64_t n) {
  const wb_delta delta[] = {{1000000000, 1 + n % 5, WB_SIDE_BID}, {1001000000 + n % 3 * 1000000, 1, WB_SIDE_ASK}};
  rig_message(r, product, kind, RIG_WHOLE, delta, 2, (int64_t)n);
}

static const char *type_of(const char *text) {
  static const char *const types[] = {"subscriptions", "error",  "snapshot", "l2update",
                                      "heartbeat",     "ticker", "match",    "last_match"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strncmp(text + strlen("{\"type\":\""), types[i], strlen(types[i])) == 0) return types[i];
  abort();
}

static void say(rig_client *client, const char *text, size_t bytes) {
  rig *r = client->rig;
  uint32_t before = client->count;
  unsigned ends, answers = 0;
  bool acknowledged = read_slowly(text, bytes, &ends);
  if (!wb_utf8_valid((const uint8_t *)text, bytes)) ends = 1007;
  wb_publisher_take(r->publisher, client->at, text, bytes, r->now_ns);
  WB_CHECK(client->code == ends);
  for (uint32_t i = before; i < client->count; i++) {
    const char *answer = client->text[i % RIG_TEXTS];
    if (client->count - i > RIG_TEXTS || strcmp(type_of(answer), "subscriptions") != 0) continue;
    answers++;
    check_answer(answer);
  }
  WB_CHECK(answers == (acknowledged && !ends));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static rig *r;
  static uint64_t n;
  if (size > INPUT_BYTES_MAX) return 0;
  if (!r) {
    r = rig_open_with(1 << 12);
    rig_message(r, WB_PRODUCT_NONE, WB_MESSAGE_CONNECT, RIG_WHOLE, NULL, 0, 0);
  }
  for (unsigned i = 0; i < RIG_PRODUCTS; i++) feed(r, i, WB_MESSAGE_SNAPSHOT, ++n);
  memset(has, 0, sizeof has);
  rig_client *client = rig_join(r, 0);
  for (unsigned i = 0; i < RIG_PRODUCTS; i++) client->book[i].snapshots = 0;
  const char *at = (const char *)data, *end = at + size;
  while (at < end && !client->code) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop) stop = end;
    char *line = malloc((size_t)(stop - at) + 1); /* so that a byte too far is seen */
    memcpy(line, at, (size_t)(stop - at));
    say(client, line, (size_t)(stop - at));
    free(line);
    at = stop + 1;
    for (unsigned i = 0; i < RIG_PRODUCTS; i++) n++, feed(r, i, n % 7 ? WB_MESSAGE_UPDATE : WB_MESSAGE_TRADE, n);
    r->now_ns += 100 * RIG_MS;
    rig_turns(r);
  }
  r->now_ns += 100 * RIG_MS;
  rig_turns(r);
  for (unsigned i = 0; i < RIG_PRODUCTS; i++) {
    bool told = client->book[i].snapshots > 0, wants = has[0][i] || has[1][i];
    if (told && wants && !client->code) WB_CHECK(rig_same(r, client, i));
  }
  rig_leave(client);
  return 0;
}
