/* Level-3 messages as the exchange sends or sent them, written by hand, and the events they must become:
 * tests/golden/coinbase_orders. NAME.jsonl has one message a line; NAME.expected one event a line, the number of its line in front. Each message also
 * cut at every byte, and with bytes of it changed, in memory that ends where the message does. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/decimal.h"
#include "engine/codec/coinbase_orders.h"
#include "engine/codec/coinbase_roads.h"
#include "tests/unit/random.h"

enum { FILE_BYTES_MAX = 1 << 17 };

/* Events as text; broken: the first rule that an event broke, or NULL. */
typedef struct capture {
  wb_order_out out;
  const wb_products *products;
  unsigned line, count;
  wb_order_event last;
  const char *broken;
  char text[FILE_BYTES_MAX];
  size_t used;
} capture;

static void print(capture *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void print(capture *to, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  to->used += (size_t)vsnprintf(to->text + to->used, sizeof to->text - to->used, format, arguments);
  va_end(arguments);
  cr_assert_lt(to->used, sizeof to->text);
}

static const char *rule_broken(const capture *by, const wb_order_event *event) {
  const uint64_t max = WB_QUANTITY_MAX;
  if (event->kind < WB_ORDER_RECEIVED || event->kind > WB_ORDER_IGNORED) return "unknown kind";
  if (event->product != WB_PRODUCT_NONE && event->product >= by->products->count) return "product out of range";
  if (event->price > max || event->size > max || event->old_price > max || event->old_size > max)
    return "quantity out of range";
  if (event->side > WB_SIDE_ASK) return "no side";
  if (event->kind == WB_ORDER_REJECT && (event->reason == WB_REJECT_NONE || event->reason >= WB_REJECT_COUNT))
    return "no reason";
  if (event->kind == WB_ORDER_SCALE && (event->price_decimals > WB_DECIMALS_MAX || event->size_decimals > WB_DECIMALS_MAX))
    return "decimals out of range";
  bool stands = event->kind == WB_ORDER_OPEN || event->kind == WB_ORDER_RESTING || event->kind == WB_ORDER_MATCH;
  if (stands && (event->price == 0 || event->size == 0)) return "nothing, or for nothing";
  if (event->kind <= WB_ORDER_SNAPSHOT_END && event->product == WB_PRODUCT_NONE) return "of no product";
  return NULL;
}

static void put(wb_order_out *out, const wb_order_event *event) {
  capture *to = (capture *)out;
  to->count++;
  to->last = *event;
  if (!to->broken) to->broken = rule_broken(to, event);
}

static void put_text(wb_order_out *out, const wb_order_event *event) {
  static const char *const kinds[] = {"?",    "received", "open",    "match",        "change", "done",   "activate",
                                      "noop", "snapshot", "resting", "snapshot_end", "scale",  "reject", "ignored"};
  static const char *const reasons[] = {"", " filled", " canceled"};
  capture *to = (capture *)out;
  put(out, event);
  print(to, "%u %s %s", to->line, kinds[event->kind],
        event->product == WB_PRODUCT_NONE ? "-" : to->products->product[event->product].id);
  if (event->has & WB_ORDER_HAS_SEQUENCE) print(to, " #%lu", event->sequence);
  if (event->time_ns != WB_TIME_NONE) print(to, " at %ld", event->time_ns);
  if (event->order.high || event->order.low) print(to, " %016lx%016lx", event->order.high, event->order.low);
  if (event->taker.high || event->taker.low) print(to, " by %016lx%016lx", event->taker.high, event->taker.low);
  if (event->has & WB_ORDER_HAS_SIDE) print(to, event->side == WB_SIDE_ASK ? " ask" : " bid");
  if (event->has & WB_ORDER_HAS_PRICE) print(to, " price %lu", event->price);
  if (event->has & WB_ORDER_HAS_SIZE) print(to, " size %lu", event->size);
  if (event->has & WB_ORDER_HAS_OLD_PRICE) print(to, " not %lu", event->old_price);
  if (event->has & WB_ORDER_HAS_OLD_SIZE) print(to, " not %lu", event->old_size);
  if (event->has & WB_ORDER_HAS_TRADE_ID) print(to, " trade %lu", event->trade_id);
  if (event->kind == WB_ORDER_DONE) print(to, "%s", reasons[event->reason]);
  if (event->kind == WB_ORDER_REJECT) print(to, " %s %lu", wb_reject_name((wb_reject)event->reason), event->offset);
  if (event->kind == WB_ORDER_SCALE) print(to, " %u %u", event->price_decimals, event->size_decimals);
  print(to, "\n");
}

static char *read_whole(const char *name, const char *suffix) {
  char path[256];
  snprintf(path, sizeof path, "tests/golden/coinbase_orders/%s.%s", name, suffix);
  FILE *file = fopen(path, "r");
  cr_assert(file, "%s", path);
  char *text = calloc(1, FILE_BYTES_MAX);
  size_t bytes = fread(text, 1, FILE_BYTES_MAX - 1, file);
  cr_assert(bytes > 0 && bytes < FILE_BYTES_MAX - 1);
  fclose(file);
  return text;
}

typedef struct rig {
  wb_products products;
  void *memory;
  wb_coinbase *state;
  capture said;
} rig;

static rig *rig_open(void (*to)(wb_order_out *, const wb_order_event *)) {
  rig *r = calloc(1, sizeof *r);
  cr_assert_eq(posix_memalign(&r->memory, 64, wb_products_bytes(4)), 0);
  wb_products_init(&r->products, r->memory, 4);
  wb_products_add(&r->products, "BTC-USD", 7);
  wb_products_add(&r->products, "ETH-USD", 7);
  cr_assert_eq(posix_memalign((void **)&r->state, 64, wb_coinbase_size(&r->products)), 0);
  cr_assert_eq(wb_coinbase_init(r->state, &r->products), 0);
  r->said.out.put = to;
  r->said.products = &r->products;
  return r;
}

static void rig_close(rig *r) {
  free(r->state);
  free(r->memory);
  free(r);
}

static void decode(rig *r, bool snapshot, const char *text, size_t bytes) {
  uint8_t *exact = malloc(bytes ? bytes : 1);
  memcpy(exact, text, bytes);
  if (snapshot) wb_coinbase_orders_snapshot(r->state, 0, exact, (uint32_t)bytes, &r->said.out);
  else wb_coinbase_orders_decode(r->state, exact, (uint32_t)bytes, &r->said.out);
  free(exact);
}

static void golden(const char *name, bool snapshot) {
  rig *r = rig_open(put_text);
  char *messages = read_whole(name, "jsonl"), *want = read_whole(name, "expected");
  for (const char *line = messages, *end; (end = strchr(line, '\n')); line = end + 1) {
    r->said.line++;
    unsigned before = r->said.count;
    decode(r, snapshot, line, (size_t)(end - line));
    cr_assert(r->said.count > before, "%s, line %u: nothing said", name, r->said.line);
    cr_assert_null(r->said.broken, "%s, line %u: %s", name, r->said.line, r->said.broken);
  }
  const char *got = r->said.text;
  for (const char *w = want, *g = got; *w || *g;) {
    size_t wanted = strcspn(w, "\n"), gotten = strcspn(g, "\n");
    cr_expect(wanted == gotten && memcmp(w, g, wanted) == 0, "%s\nwant %.*s\ngot  %.*s", name, (int)wanted, w, (int)gotten, g);
    w += wanted + (w[wanted] == '\n');
    g += gotten + (g[gotten] == '\n');
  }
  free(messages);
  free(want);
  rig_close(r);
}

Test(coinbase_orders, messages_of_full) { golden("full", false); }
Test(coinbase_orders, messages_of_level3_in_the_order_that_its_schema_says) { golden("level3", false); }
Test(coinbase_orders, messages_that_break_the_schema) { golden("refused", false); }
Test(coinbase_orders, snapshots_and_the_units_they_choose) { golden("snapshot", true); }

Test(coinbase_orders, a_message_cut_short_anywhere_is_one_reject) {
  static const char *const names[] = {"full", "level3", "snapshot"};
  rig *r = rig_open(put);
  for (unsigned n = 0; n < 3; n++) {
    char *messages = read_whole(names[n], "jsonl");
    for (char *line = messages, *end; (end = strchr(line, '\n')); line = end + 1) {
      size_t whole = (size_t)(end - line);
      while (whole && line[whole - 1] == ' ') whole--;
      for (size_t bytes = 0; bytes < whole; bytes++) {
        r->said.count = 0;
        decode(r, n == 2, line, bytes);
        cr_assert(r->said.count == 1 && r->said.last.kind == WB_ORDER_REJECT, "%s: %.*s", names[n], (int)bytes, line);
      }
    }
    free(messages);
  }
  rig_close(r);
}

static uint64_t below(uint64_t bound) { return next() % bound; }

Test(coinbase_orders, bytes_changed_at_random_never_become_an_event_that_breaks_a_rule) {
  static const char *const names[] = {"full", "level3", "refused", "snapshot"};
  static const char alphabet[] = "\"\\{}[],:0123456789.-eunltrfa\x00\x1f\x80\xc3\xff";
  rig *r = rig_open(put);
  seed();
  for (unsigned n = 0; n < 4; n++) {
    char *messages = read_whole(names[n], "jsonl");
    for (char *line = messages, *end; (end = strchr(line, '\n')); line = end + 1) {
      char text[2048];
      size_t bytes = (size_t)(end - line);
      cr_assert_lt(bytes, sizeof text);
      for (unsigned i = 0; i < 400 && bytes; i++) {
        memcpy(text, line, bytes);
        for (uint64_t changes = 1 + below(3); changes; changes--) text[below(bytes)] = alphabet[below(sizeof alphabet - 1)];
        r->said.count = 0;
        decode(r, n == 3, text, bytes);
        cr_assert(r->said.count >= 1 && !r->said.broken, "%s: %.*s", r->said.broken, (int)bytes, text);
      }
    }
    free(messages);
  }
  rig_close(r);
}
