#include "engine/feed/arbiter.h"

enum { SLOTS = 2 * WB_ARBITER_MESSAGES };

static void add(uint64_t *counter) { __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED); }

static size_t lines_of(size_t bytes) { return (bytes + WB_CACHE_LINE_BYTES - 1) & ~(size_t)(WB_CACHE_LINE_BYTES - 1); }

static size_t book_bytes(uint32_t line_count) {
  return lines_of(sizeof(wb_arbiter_book) + line_count * sizeof(wb_arbiter_place));
}

size_t wb_arbiter_bytes(uint32_t line_count, uint32_t product_count) {
  return WB_ARBITER_MESSAGES * sizeof(wb_arbiter_entry) + SLOTS * sizeof(uint32_t) + product_count * book_bytes(line_count) +
         lines_of(line_count * sizeof(wb_arbiter_line));
}

void wb_arbiter_init(wb_arbiter *arbiter, void *memory, uint32_t line_count, uint32_t product_count,
                     const wb_recover_config *recover, uint64_t now_ns) {
  memset(memory, 0, wb_arbiter_bytes(line_count, product_count));
  *arbiter = (wb_arbiter){.line_count = line_count, .product_count = product_count};
  arbiter->book_bytes = (uint32_t)book_bytes(line_count);
  arbiter->entry = memory;
  arbiter->slot = (uint32_t *)(void *)(arbiter->entry + WB_ARBITER_MESSAGES);
  arbiter->books = (uint8_t *)(arbiter->slot + SLOTS);
  arbiter->line = (wb_arbiter_line *)(void *)(arbiter->books + (size_t)product_count * arbiter->book_bytes);
  for (uint32_t i = 0; i < line_count; i++) wb_hist_init(&arbiter->line[i].lag);
  for (uint32_t i = 0; i < product_count; i++) {
    *wb_arbiter_book_of(arbiter, i) =
        (wb_arbiter_book){.time_ns = INT64_MIN, .time_max_ns = INT64_MAX, .joint_ns = INT64_MAX, .waiting = WB_LINE_NONE};
    for (uint32_t j = 0; j < line_count; j++) wb_recover_init(&wb_arbiter_place_of(arbiter, i, j)->recover, recover, now_ns);
  }
}

/* ------------------------------------------------------------------------------------------------ names of messages */

static uint64_t load(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

static uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#define KEY0 UINT64_C(0xa0761d6478bd642f)
#define KEY1 UINT64_C(0xe7037ed1a0b428db)
#define KEY2 UINT64_C(0x8ebc6af09c88c6e3)
#define KEY3 UINT64_C(0x589965cc75374cc3)

uint64_t wb_arbiter_hash(const uint8_t *bytes, size_t count) {
  uint8_t tail[32] = {0};
  uint64_t a = KEY0, b = KEY1;
  const uint8_t *last = bytes + count - 32;
  for (size_t left = count; left > 32; left -= 32, bytes += 32) {
    a = fold(load(bytes) ^ KEY2, load(bytes + 8) ^ a);
    b = fold(load(bytes + 16) ^ KEY3, load(bytes + 24) ^ b);
  }
  if (count < 32) last = memcpy(tail, bytes, count);
  a = fold(load(last) ^ KEY2, load(last + 8) ^ a);
  b = fold(load(last + 16) ^ KEY3, load(last + 24) ^ b);
  uint64_t hash = fold(a ^ KEY1, b ^ KEY0 ^ count);
  return hash ? hash : 1;
}

/* The oldest copy of a message that this line has not shown yet: the n-th on one line is the n-th on another. */
static wb_arbiter_entry *find(const wb_arbiter *arbiter, uint32_t line, uint64_t hash) {
  wb_arbiter_entry *found = NULL;
  uint32_t at = arbiter->slot[hash % SLOTS];
  for (uint32_t age = arbiter->position - at, before; age < WB_ARBITER_MESSAGES; at = before) {
    wb_arbiter_entry *entry = &arbiter->entry[at % WB_ARBITER_MESSAGES];
    if (entry->hash == hash && !(entry->shown >> line & 1)) found = entry;
    before = entry->previous;
    if (arbiter->position - before <= age) break;
    age = arbiter->position - before;
  }
  return found;
}

static void enter(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t hash, uint64_t recv_ns, uint32_t shown) {
  uint32_t *slot = &arbiter->slot[hash % SLOTS];
  arbiter->position++;
  arbiter->entry[arbiter->position % WB_ARBITER_MESSAGES] =
      (wb_arbiter_entry){.hash = hash,
                         .recv_ns = recv_ns,
                         .step = (uint32_t)wb_arbiter_book_of(arbiter, product)->step,
                         .previous = *slot,
                         .product = (uint16_t)product,
                         .shown = (uint16_t)shown,
                         .line = (uint8_t)line};
  *slot = arbiter->position;
}

/* ------------------------------------------------------------------------------------------------ places */

static bool is_live(const wb_arbiter_place *place) { return place->recover.state == WB_STATE_LIVE; }

static bool in_step(const wb_arbiter_book *book, const wb_arbiter_place *place) { return place->step == book->step; }

/* Another line can go on from the book as it is. */
static bool carried_elsewhere(const wb_arbiter *arbiter, uint32_t product, uint32_t line) {
  const wb_arbiter_book *book = wb_arbiter_book_of(arbiter, product);
  for (uint32_t i = 0; i < arbiter->line_count; i++) {
    const wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, i);
    if (i != line && is_live(place) && (place->placed || in_step(book, place))) return true;
  }
  return false;
}

static bool live_elsewhere(const wb_arbiter *arbiter, uint32_t product, uint32_t line) {
  for (uint32_t i = 0; i < arbiter->line_count; i++)
    if (i != line && is_live(wb_arbiter_place_of(arbiter, product, i))) return true;
  return false;
}

/* A book that no line can go on from is wrong for all of them. */
static void check_places(wb_arbiter *arbiter, uint32_t product, uint64_t now_ns) {
  wb_arbiter_book *book = wb_arbiter_book_of(arbiter, product);
  for (uint32_t i = 0; i < arbiter->line_count; i++) {
    const wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, i);
    if (is_live(place) && (place->placed || in_step(book, place))) return;
  }
  for (uint32_t i = 0; i < arbiter->line_count; i++) {
    wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, i);
    if (is_live(place)) wb_recover_suspect(&place->recover, WB_REASON_OUT_OF_STEP, WB_REJECT_NONE, now_ns);
  }
}

static void put_at(wb_arbiter_place *place, uint64_t step) {
  place->step = step;
  place->chain = place->owed_ns = 0;
  place->placed = true;
}

/* Drops an update; a line that has no use for so long asks for a snapshot. */
static void drop(wb_arbiter *arbiter, uint32_t product, uint32_t line, bool useless, uint64_t recv_ns) {
  wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, line);
  add(&arbiter->line[line].late);
  place->step = 0;
  if (!useless) place->owed_ns = 0;
  else if (!place->owed_ns) place->owed_ns = recv_ns;
  else if (recv_ns - place->owed_ns > WB_ARBITER_PATIENCE_NS)
    wb_recover_suspect(&place->recover, WB_REASON_OUT_OF_STEP, WB_REJECT_NONE, recv_ns);
  check_places(arbiter, product, recv_ns);
}

static void count_copy(wb_arbiter *arbiter, uint32_t line, wb_arbiter_entry *entry, uint64_t recv_ns) {
  entry->shown |= (uint16_t)(1u << line);
  if (!entry->won) add(&arbiter->line[entry->line].wins);
  entry->won = 1;
  add(&arbiter->line[line].duplicates);
  wb_hist_record(&arbiter->line[line].lag, recv_ns > entry->recv_ns ? recv_ns - entry->recv_ns : 0);
}

/* What was applied before the book began anew says nothing about it. */
static bool counts(const wb_arbiter_book *book, const wb_arbiter_entry *entry) {
  return (uint32_t)book->step - entry->step <= book->step - book->first_step;
}

/* ------------------------------------------------------------------------------------------------ updates */

static bool take_copy(wb_arbiter *arbiter, uint32_t line, uint64_t hash, bool certain, uint64_t recv_ns) {
  wb_arbiter_entry *entry = find(arbiter, line, hash);
  if (!entry) return false;
  wb_arbiter_book *book = wb_arbiter_book_of(arbiter, entry->product);
  wb_arbiter_place *place = wb_arbiter_place_of(arbiter, entry->product, line);
  if (!is_live(place) || (place->placed ? in_step(book, place) : !certain) || !counts(book, entry)) return false;
  put_at(place, book->step - (uint32_t)((uint32_t)book->step - entry->step));
  count_copy(arbiter, line, entry, recv_ns);
  return true;
}

bool wb_arbiter_copy(wb_arbiter *arbiter, uint32_t line, uint64_t hash, uint64_t recv_ns) {
  return take_copy(arbiter, line, hash, false, recv_ns);
}

wb_verdict wb_arbiter_update(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t hash, int64_t time_ns,
                             uint64_t recv_ns) {
  wb_arbiter_book *book = wb_arbiter_book_of(arbiter, product);
  wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, line);
  if (!is_live(place)) return WB_VERDICT_NOT_LIVE;
  if (place->placed && in_step(book, place)) return WB_VERDICT_APPLY;
  bool waiting = book->waiting == line;
  if (waiting) book->waiting = WB_LINE_NONE;
  /* A line out of place is not yet known to be past what it may say twice within one time. */
  bool certain = time_ns == WB_TIME_NONE || time_ns < book->time_ns || time_ns > place->time_ns;
  if (hash && take_copy(arbiter, line, hash, certain, recv_ns)) return WB_VERDICT_DUPLICATE;
  if (time_ns != WB_TIME_NONE && time_ns > book->time_max_ns) {
    if (waiting) {
      book->joint_ns = INT64_MAX;
      return WB_VERDICT_REPLACE;
    }
    if (place->placed || in_step(book, place)) return WB_VERDICT_APPLY;
  }
  bool late = time_ns != WB_TIME_NONE && time_ns < book->time_ns;
  bool again = time_ns == place->time_ns && place->chain;
  place->chain = late || !hash              ? 0
                 : time_ns > place->time_ns ? hash
                 : again && !place->placed  ? fold(place->chain ^ KEY0, hash ^ KEY1)
                                            : 0;
  place->placed = late;
  place->time_ns = time_ns != WB_TIME_NONE ? time_ns : INT64_MAX;
  drop(arbiter, product, line, !late || !live_elsewhere(arbiter, product, line), recv_ns);
  return late ? WB_VERDICT_LATE : WB_VERDICT_OWED;
}

void wb_arbiter_applied(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t hash, int64_t time_ns,
                        uint64_t recv_ns) {
  wb_arbiter_book *book = wb_arbiter_book_of(arbiter, product);
  /* A snapshot may lie between messages of one time, and hold one that says the same bytes as one behind it: of that time nothing is known by its hash. */
  if (book->joint_ns == INT64_MAX) book->joint_ns = time_ns;
  if (time_ns == book->joint_ns && time_ns != WB_TIME_NONE) hash = 0;
  book->step++;
  book->chain = book->chain && time_ns == book->time_max_ns ? fold(book->chain ^ KEY0, hash ^ KEY1) : hash;
  if (time_ns != WB_TIME_NONE) book->time_ns = time_ns;
  book->time_max_ns = time_ns != WB_TIME_NONE ? time_ns : INT64_MAX;
  uint32_t shown = 0;
  for (uint32_t i = 0; i < arbiter->line_count; i++) {
    wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, i);
    bool same = i == line || (hash && place->chain == book->chain);
    if (same) put_at(place, book->step);
    else if (!place->placed && place->time_ns < book->time_ns) place->placed = true, place->owed_ns = 0;
    shown |= (uint32_t)same << i;
  }
  if (hash) enter(arbiter, product, line, hash, recv_ns, shown);
}

/* ------------------------------------------------------------------------------------------------ snapshots and lines */

wb_load wb_arbiter_load(const wb_arbiter *arbiter, uint32_t product, uint32_t line, bool same) {
  const wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, line);
  if (!carried_elsewhere(arbiter, product, line)) return WB_LOAD_NOW;
  if (is_live(place) && place->placed && in_step(wb_arbiter_book_of(arbiter, product), place)) return WB_LOAD_NOW;
  return same ? WB_LOAD_NEVER : WB_LOAD_LATER;
}

void wb_arbiter_loaded(wb_arbiter *arbiter, uint32_t product, uint32_t line, wb_load load, bool same, uint64_t recv_ns) {
  wb_arbiter_book *book = wb_arbiter_book_of(arbiter, product);
  wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, line);
  if (load == WB_LOAD_NOW) {
    bool anew = !carried_elsewhere(arbiter, product, line);
    book->step++;
    if (anew) {
      book->first_step = book->step;
      book->time_ns = INT64_MIN;
    }
    book->time_max_ns = book->joint_ns = INT64_MAX;
    put_at(place, book->step);
  } else {
    place->step = same ? book->step : 0;
    place->chain = place->owed_ns = 0;
    place->time_ns = INT64_MAX;
    place->placed = false;
  }
  book->waiting = load == WB_LOAD_LATER ? (uint8_t)line : WB_LINE_NONE;
  wb_recover_snapshot(&place->recover, recv_ns);
}

void wb_arbiter_connected(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t now_ns) {
  wb_recover_connected(&wb_arbiter_place_of(arbiter, product, line)->recover, now_ns);
  check_places(arbiter, product, now_ns);
}

void wb_arbiter_disconnected(wb_arbiter *arbiter, uint32_t product, uint32_t line, uint64_t now_ns) {
  wb_recover_disconnected(&wb_arbiter_place_of(arbiter, product, line)->recover, now_ns);
  check_places(arbiter, product, now_ns);
}

void wb_arbiter_suspect(wb_arbiter *arbiter, uint32_t product, uint32_t line, wb_reason reason, wb_reject reject,
                        uint64_t now_ns) {
  for (uint32_t i = 0; i < arbiter->line_count; i++)
    if (i == line || line == WB_LINE_NONE)
      wb_recover_suspect(&wb_arbiter_place_of(arbiter, product, i)->recover, reason, reject, now_ns);
  check_places(arbiter, product, now_ns);
}

void wb_arbiter_forget(wb_arbiter *arbiter, uint32_t product, uint64_t now_ns) {
  wb_arbiter_book *book = wb_arbiter_book_of(arbiter, product);
  book->step++; /* no copy of what was applied before is one of what comes after */
  book->first_step = book->step;
  book->time_ns = INT64_MIN;
  book->time_max_ns = book->joint_ns = INT64_MAX;
  book->chain = 0;
  book->waiting = WB_LINE_NONE;
  for (uint32_t i = 0; i < arbiter->line_count; i++) {
    wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, i);
    uint64_t resyncs = place->recover.resyncs;
    const wb_recover_config *config = place->recover.config;
    *place = (wb_arbiter_place){0};
    wb_recover_init(&place->recover, config, now_ns);
    place->recover.resyncs = resyncs;
  }
}

/* ------------------------------------------------------------------------------------------------ what is shown */

bool wb_arbiter_in_step(const wb_arbiter *arbiter, uint32_t product, uint32_t line) {
  const wb_arbiter_place *place = wb_arbiter_place_of(arbiter, product, line);
  return place->placed && in_step(wb_arbiter_book_of(arbiter, product), place);
}

void wb_arbiter_restart(wb_arbiter *arbiter) {
  for (uint32_t i = 0; i < arbiter->line_count; i++) {
    wb_arbiter_line *line = &arbiter->line[i];
    uint64_t *count[] = {&line->wins, &line->duplicates, &line->late};
    for (unsigned n = 0; n < sizeof count / sizeof *count; n++) __atomic_store_n(count[n], 0, __ATOMIC_RELAXED);
    wb_hist_init(&line->lag);
  }
}

/* Live, then connected, then being resynchronised, then known to be wrong, then waiting. */
static unsigned rank(const wb_recover *recover) {
  static const uint8_t ranks[] = {[WB_STATE_WAITING] = 0, [WB_STATE_STALE] = 1, [WB_STATE_RESYNCING] = 2, [WB_STATE_LIVE] = 8};
  return ranks[recover->state] + 4u * recover->connected;
}

bool wb_arbiter_show(const wb_arbiter *arbiter, uint32_t product, bool held, wb_recover *shown) {
  wb_recover is = wb_arbiter_place_of(arbiter, product, 0)->recover;
  uint64_t resyncs = is.resyncs;
  bool connected = is.connected;
  for (uint32_t i = 1; i < arbiter->line_count; i++) {
    const wb_recover *other = &wb_arbiter_place_of(arbiter, product, i)->recover;
    resyncs += other->resyncs;
    connected |= other->connected;
    if (rank(other) > rank(&is)) is = *other;
  }
  if (is.state == WB_STATE_WAITING && held) is.state = WB_STATE_STALE;
  is.resyncs = resyncs;
  is.connected = connected;
  if (is.state == shown->state && is.reason == shown->reason && is.reject == shown->reject) is.since_ns = shown->since_ns;
  bool changed = is.state != shown->state || is.reason != shown->reason || is.reject != shown->reject ||
                 is.connected != shown->connected || is.resyncs != shown->resyncs;
  *shown = is;
  return changed;
}
