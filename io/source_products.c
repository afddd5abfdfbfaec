#include <stdio.h>
#include <string.h>

#include "engine/ring/atomic.h"
#include "io/source_line.h"

enum { PRODUCTS_PER_NOTE = 256, PRODUCTS_PER_SUBSCRIBE = 100 };

/* ------------------------------------------------------------------------------------------------ what lines carry */

static void note_products(wb_line *l, const char *change, bool first, const uint16_t *index, uint32_t count) {
  const wb_source_ws *source = l->source;
  const wb_host *host = source->config.host;
  uint64_t now_ns = wb_source_now(source);
  char text[256 + PRODUCTS_PER_NOTE * (WB_PRODUCT_ID_BYTES + 3)];
  int n = snprintf(text, sizeof text, "{\"event\":\"products\",\"change\":\"%s\",%s\"line\":%u,\"utc_ns\":%lld,\"products\":[",
                   change, first ? "\"first\":true," : "", l->index,
                   (long long)((int64_t)now_ns + host->utc_offset_ns(host->self)));
  for (uint32_t i = 0; i < count; i++)
    n += snprintf(text + n, sizeof text - (size_t)n, "%s\"%s\"", i ? "," : "", source->products.product[index[i]].id);
  n += snprintf(text + n, sizeof text - (size_t)n, "]}");
  wb_line_note(l, WB_FRAME_PRODUCTS, text, (size_t)n, now_ns);
}

void wb_line_begin(wb_line *l) {
  const wb_source_ws *source = l->source;
  l->asked = false;
  l->ask[l->ask_at = 0] = 0;
  memset(l->wish_count, 0, sizeof l->wish_count);
  uint16_t index[PRODUCTS_PER_NOTE];
  uint32_t count = 0;
  bool first = true;
  for (uint32_t i = 0; i < source->products.count; i++) {
    bool carried = wb_line_carries(l, i);
    l->wish[i] = carried ? WB_WISH_ADD : WB_WISH_NONE;
    l->wish_count[l->wish[i]]++;
    if (source->config.connections == 1 || !carried) continue;
    index[count++] = (uint16_t)i;
    if (count < PRODUCTS_PER_NOTE) continue;
    note_products(l, "carried", first, index, count);
    first = false;
    count = 0;
  }
  if (source->config.connections > 1 && (first || count)) note_products(l, "carried", first, index, count);
}

bool wb_line_wanted(const wb_line *l) {
  for (uint32_t i = 0; i < l->source->products.count; i++)
    if (wb_line_carries(l, i)) return true;
  return false;
}

/* Returns whether all lines that carry the product know of it; false: a reader is too far behind. */
static bool tell(wb_source_ws *source, uint32_t product) {
  bool wanted = !source->wanted[product];
  for (unsigned i = 0; i < source->config.line_count; i++)
    if (wb_line_allowance(&source->line[i]) < source->config.line_count) return false;
  source->wanted[product] = true; /* for wb_line_carries */
  const uint16_t index = (uint16_t)product;
  for (unsigned i = 0; i < source->config.line_count; i++) {
    wb_line *l = &source->line[i];
    if (!wb_line_carries(l, product)) continue;
    note_products(l, wanted ? "added" : "removed", false, &index, 1);
    if (l->state != WB_LINE_OPEN) continue;
    /* A product that is still subscribed gives no snapshot when it is asked for again. */
    wb_wish pending = (wb_wish)l->wish[product];
    if (wanted) wb_line_wish(l, product, pending == WB_WISH_REMOVE ? WB_WISH_RESYNC : WB_WISH_ADD);
    else wb_line_wish(l, product, pending == WB_WISH_ADD ? WB_WISH_NONE : WB_WISH_REMOVE);
  }
  source->wanted[product] = wanted;
  wb_store_release(&source->taken, source->number);
  char text[WB_PRODUCT_ID_BYTES + 32];
  snprintf(text, sizeof text, "product %s %s", source->products.product[product].id, wanted ? "added" : "removed");
  source->config.host->log(source->config.host->self, WB_LOG_INFO, text);
  return true;
}

int wb_source_products(wb_source_ws *source) {
  int told = 0;
  if (wb_products_follow(&source->products, source->config.products)) source->products_due = true;
  if (!source->products_due) return 0;
  for (uint32_t i = 0; i < source->products.count; i++) {
    if (source->wanted[i] != wb_product_removed(&source->products.product[i])) continue;
    if (!tell(source, i)) return told;
    told++;
  }
  source->products_due = false;
  return told;
}

/* ------------------------------------------------------------------------------------------------ asking */

/* Puts what asks for these products, or no longer for them, behind what the line has still to send. Returns 0 or WB_E_LIMIT. */
static int ask(wb_line *l, const char *const *channels, const uint16_t *index, uint32_t count, bool unsubscribe) {
  size_t used = strlen(l->ask), room = WB_LINE_ASK_BYTES - used;
  if (room > WB_LINE_NOTE_BYTES_MAX / 2) room = WB_LINE_NOTE_BYTES_MAX / 2;
  if (used) l->ask[used++] = '\n', room--;
  int n = l->source->config.codec->subscribe(&l->source->products, channels, index, count, unsubscribe, l->ask + used, room);
  if (n < 0) l->ask[used ? used - 1 : 0] = 0;
  return n < 0 ? n : 0;
}

/* The next batch of one kind of wish, as many products as one message takes. */
static bool ask_for(wb_line *l, wb_wish wish) {
  const wb_source_ws *source = l->source;
  uint16_t index[PRODUCTS_PER_SUBSCRIBE];
  uint32_t count = 0;
  for (uint32_t i = 0; i < source->products.count && count < PRODUCTS_PER_SUBSCRIBE; i++)
    if (l->wish[i] == wish) index[count++] = (uint16_t)i;
  for (;; count /= 2) {
    const char *const *channels = wish == WB_WISH_ADD      ? source->config.channels
                                  : wish == WB_WISH_REMOVE ? (const char *const *)source->leave
                                                           : (const char *const *)source->level2;
    l->ask[l->ask_at = 0] = 0;
    int result = wish == WB_WISH_ADD ? 0 : ask(l, channels, index, count, true);
    if (result == 0 && wish != WB_WISH_REMOVE) result = ask(l, channels, index, count, false);
    if (result == 0) break;
    if (count > 1) continue;
    wb_line_fail(l, true, "the subscribe message is too large");
    return false;
  }
  for (uint32_t i = 0; i < count; i++) wb_line_wish(l, index[i], WB_WISH_NONE);
  return true;
}

/* A line that has asked for nothing yet goes before the others: the exchange hangs up on it after 5 s. */
static bool must_wait(const wb_line *l) {
  const wb_source_ws *source = l->source;
  for (unsigned i = 0; l->asked && i < source->config.line_count; i++)
    if (source->line[i].state == WB_LINE_OPEN && !source->line[i].asked && source->line[i].wish_count[WB_WISH_ADD]) return true;
  return false;
}

void wb_line_ask(wb_line *l, uint64_t now_ns) {
  wb_source_ws *source = l->source;
  if (now_ns < source->send_due_ns || wb_line_allowance(l) == 0 || must_wait(l)) return;
  if (!l->ask[l->ask_at]) {
    wb_wish wish = WB_WISH_ADD;
    while (wish < WB_WISH_COUNT && !l->wish_count[wish]) wish++;
    if (wish == WB_WISH_COUNT || !ask_for(l, wish)) return;
  }
  char *text = l->ask + l->ask_at;
  size_t count = strcspn(text, "\n");
  l->ask_at += count + (text[count] == '\n');
  l->asked = true;
  source->first = (l->index + 1) % source->config.line_count;
  wb_line_send_text(l, text, count);
  source->send_due_ns = wb_source_now(source) + WB_LINE_SEND_INTERVAL_NS; /* of its sending, so that a halt makes none closer */
}
