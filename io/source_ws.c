#include "io/source_ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/decimal.h"
#include "engine/ring/atomic.h"
#include "engine/stages/book_stage.h"
#include "io/host.h"
#include "io/source_line.h"

enum { LOOKS_PER_WORK = 8, LOGS_PER_SECOND = 10 };

/* ------------------------------------------------------------------------------------------------ beginning of a connection */

static bool is_loopback(const wb_address *address) {
  if (address->address.ss_family == AF_INET)
    return (ntohl(((const struct sockaddr_in *)(const void *)&address->address)->sin_addr.s_addr) >> 24) == 127;
  if (address->address.ss_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)&address->address)->sin6_addr);
  return false;
}

static void line_connect(wb_line *l);

static void on_connected(wb_op *op, int result, unsigned flags) {
  wb_line *l = op->self;
  wb_source_ws *source = l->source;
  if (l->state == WB_LINE_CLOSING) return;
  if (result < 0) {
    const char *address = l->address[l->address_index].text;
    if (l->address_index + 1 < l->address_count && result != -ECANCELED) {
      wb_line_say(l, WB_LOG_INFO, "%s: %s; trying the next address", address, strerror(-result));
      if (l->file & WB_URING_FIXED) wb_uring_file_remove(source->ring, l->file);
      close(l->fd);
      l->fd = -1;
      l->address_index++;
      line_connect(l);
    } else {
      wb_line_fail(l, false, "%s: %s", address, strerror(-result));
    }
    return;
  }
  uint8_t random[16];
  wb_random_fill(random, sizeof random);
  wb_ws_key(random, l->key);
  l->connection++;
  l->scan = l->frames->head;
  l->out_count = 0;
  l->stalled = l->pong_owed = false;
  wb_error error;
  if (l->url.tls) {
    l->tls = wb_tls_open(source->tls, l->url.host, &error);
    if (!l->tls) {
      wb_line_fail(l, false, "%s", error.detail);
      return;
    }
    wb_line_enter(l, WB_LINE_SECURING);
    wb_line_decrypt(l);
  } else {
    wb_line_ask_upgrade(l);
  }
  wb_line_arm(l);
}

static void line_connect(wb_line *l) {
  wb_source_ws *source = l->source;
  const wb_address *address = &l->address[l->address_index];
  if (source->config.insecure && l->url.tls && !is_loopback(address)) {
    wb_line_fail(l, true, "--insecure is for loopback only, and %s is not", address->text);
    return;
  }
  if (source->config.login && !l->url.tls && !is_loopback(address)) {
    wb_line_fail(l, true, "a login goes by wss, or to loopback, and %s is neither", address->text);
    return;
  }
  l->fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (l->fd < 0) {
    wb_line_fail(l, false, "socket: %s", strerror(errno));
    return;
  }
  int one = 1;
  setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  int handle = wb_uring_file_install(source->ring, l->fd);
  l->file = handle >= 0 ? handle : l->fd;
  wb_line_enter(l, WB_LINE_CONNECTING);
  wb_uring_connect(source->ring, &l->connect_op, l->file, (const struct sockaddr *)&address->address, address->bytes);
}

static void resolver_wake(void *self) { wb_uring_wake(((wb_source_ws *)self)->ring); }

static void line_begin(wb_line *l, uint64_t now_ns) {
  wb_source_ws *source = l->source;
  l->permanent = false;
  l->due_ns = now_ns + source->config.connect_timeout_ns;
  source->connect_due_ns = now_ns + WB_LINE_SEND_INTERVAL_NS;
  wb_line_enter(l, WB_LINE_RESOLVING);
  if (wb_resolve_start(l->resolve, l->url.host, l->url.port, resolver_wake, source) != 0)
    wb_line_fail(l, false, "the resolver is busy");
}

static void line_resolved(wb_line *l) {
  wb_error error;
  int count = wb_resolve_poll(l->resolve, l->address, WB_LINE_ADDRESSES_MAX, &error);
  if (count == 0) return;
  if (count < 0) {
    wb_line_fail(l, false, "%s", error.detail);
    return;
  }
  l->address_count = (unsigned)count;
  l->address_index = l->address_first++ % l->address_count; /* an address that swallows us is not the only one tried */
  line_connect(l);
}

/* ------------------------------------------------------------------------------------------------ time */

static void line_time(wb_line *l, uint64_t now_ns) {
  const wb_source_ws_config *config = &l->source->config;
  switch (l->state) {
  case WB_LINE_IDLE:
    if (now_ns >= l->due_ns && now_ns >= l->source->connect_due_ns && wb_line_allowance(l) > 0 && wb_line_wanted(l))
      line_begin(l, now_ns);
    break;
  case WB_LINE_RESOLVING: line_resolved(l); break;
  case WB_LINE_OPEN:
    wb_line_ask(l, now_ns);
    if (l->state != WB_LINE_OPEN) break;
    if (l->stalled) break;
    if (now_ns > l->heard_ns + config->silence_ns) {
      wb_line_fail(l, false, "nothing received for %llu s", (unsigned long long)(config->silence_ns / 1000 / WB_LINE_MS));
    } else if (now_ns > l->heard_ns + config->silence_ns / 2 && !l->pinged) {
      l->pinged = true;
      wb_line_send(l, WB_WS_PING, "wirebook", 8);
    } else if (l->tries && now_ns > l->open_ns + config->good_ns && l->heard_ns > l->open_ns) {
      l->tries = 0;
    }
    break;
  case WB_LINE_CLOSING: wb_line_settle(l); break;
  default: break;
  }
  if (l->due_ns && now_ns >= l->due_ns && l->state >= WB_LINE_RESOLVING && l->state <= WB_LINE_ENDING &&
      l->state != WB_LINE_OPEN) {
    static const char *const doing[] = {"", "resolving the name", "connecting", "TLS handshake", "waiting for the upgrade"};
    if (l->state == WB_LINE_ENDING) wb_line_hang_up(l);
    else wb_line_fail(l, false, "timed out: %s", doing[l->state]);
  }
}

/* What a witness saw, on record, and at most LOGS_PER_SECOND times a second in words. */
static void line_gap(wb_line *l, const wb_command *command) {
  wb_source_ws *source = l->source;
  const wb_host *host = source->config.host;
  const char *id = source->config.products->product[command->product].id, *name = wb_alarm_name((wb_alarm)command->alarm),
             *reason = wb_reason_text((wb_reason)command->reason);
  char seen[WB_DECIMAL_TEXT_BYTES], expected[WB_DECIMAL_TEXT_BYTES];
  wb_decimal_print(command->seen, command->decimals, seen);
  wb_decimal_print(command->expected, command->decimals, expected);
  bool ids = command->alarm == WB_ALARM_TRADES;
  wb_line_note_text(
      l, WB_FRAME_GAP,
      "{\"event\":\"gap\",\"product\":\"%s\",\"witness\":\"%s\",\"reason\":\"%s\",\"utc_ns\":%lld,\"%s\":\"%s\",\"%s\":\"%s\"}",
      id, name, reason, (long long)((int64_t)command->recv_ns + host->utc_offset_ns(host->self)), ids ? "first" : "expected",
      expected, ids ? "last" : "seen", seen);
  wb_store_release(&source->taken, source->number);
  uint64_t now_ns = wb_source_now(source);
  if (now_ns - source->gap_logs_ns >= 1000 * WB_LINE_MS) source->gap_logs_ns = now_ns, source->gap_logs = 0;
  if (source->gap_logs++ < LOGS_PER_SECOND)
    wb_line_say(l, WB_LOG_WARNING, "%s: %s (%s %s, %s %s)", id, reason, ids ? "first" : "expected", expected,
                ids ? "last" : "seen", seen);
}

/* A product is to be made anew: on record, and in words. */
static void line_resync(wb_line *l, const wb_command *command) {
  wb_source_ws *source = l->source;
  const char *id = source->config.products->product[command->product].id, *reason = wb_reason_text((wb_reason)command->reason),
             *reject = wb_reject_name((wb_reject)command->reject);
  wb_line_note_text(l, WB_FRAME_RESYNC, "{\"event\":\"resync\",\"product\":\"%s\",\"reason\":\"%s\",\"reject\":\"%s\"}", id,
                    reason, reject);
  wb_store_release(&source->taken, source->number);
  wb_line_say(l, WB_LOG_WARNING, "resynchronising %s: %s%s%s", id, reason, command->reject ? ": " : "",
              command->reject ? reject : "");
}

static int source_answers(wb_source_ws *source) {
  const wb_source_asker *asker = &source->config.asker;
  if (!asker->self || __atomic_load_n(&source->ended, __ATOMIC_RELAXED) ||
      !asker->take(asker->self, source->number, wb_source_now(source)))
    return 0;
  source->number++;
  wb_store_release(&source->taken, source->number);
  return 1;
}

static int source_commands(wb_source_ws *source) {
  if (!source->config.commands) return 0;
  size_t bytes, allowed = SIZE_MAX;
  for (unsigned i = 0; i < source->config.line_count; i++) {
    size_t own = wb_line_allowance(&source->line[i]);
    if (own < allowed) allowed = own;
  }
  if (allowed == 0) return 0;
  const wb_command *command = wb_ring_peek(source->config.commands, &bytes);
  size_t count = bytes / sizeof *command;
  if (count > allowed) count = allowed;
  for (size_t i = 0; i < count; i++, command++) {
    wb_line *l = &source->line[command->line];
    if (l->state != WB_LINE_OPEN || command->connection != l->connection) continue; /* about a connection that is gone */
    if (command->kind == WB_COMMAND_GAP) {
      line_gap(l, command);
    } else if (command->kind == WB_COMMAND_RESUBSCRIBE) {
      if (l->wish[command->product] != WB_WISH_NONE || !wb_line_carries(l, command->product)) continue;
      wb_line_wish(l, command->product, WB_WISH_RESYNC);
      line_resync(l, command);
    } else if (command->kind == WB_COMMAND_ASK && source->config.asker.self) {
      if (command->reason != WB_REASON_CONNECTED) line_resync(l, command);
      source->config.asker.ask(source->config.asker.self, command->product, command->line, command->connection);
    } else if (command->kind == WB_COMMAND_RECONNECT) {
      wb_line_send_close(l, command->close_code);
      if (l->state == WB_LINE_OPEN) wb_line_fail(l, false, "reconnecting: %s", wb_reason_text((wb_reason)command->reason));
    }
  }
  if (count) wb_ring_release(source->config.commands, count * sizeof *command);
  return (int)count;
}

static void source_stop(wb_source_ws *source, uint64_t now_ns) {
  source->stopping = true;
  for (unsigned i = 0; i < source->config.line_count; i++) {
    wb_line *l = &source->line[i];
    if (l->state == WB_LINE_OPEN) {
      snprintf(l->why, sizeof l->why, "closed");
      wb_line_send_close(l, 1000);
      if (l->state == WB_LINE_OPEN) {
        wb_line_enter(l, WB_LINE_ENDING);
        l->due_ns = now_ns + 1000 * WB_LINE_MS;
      }
    } else if (l->state == WB_LINE_IDLE) {
      wb_line_enter(l, WB_LINE_ENDED);
    } else if (l->state != WB_LINE_ENDING) {
      wb_line_fail(l, false, "stopped");
    }
  }
}

static int source_time(wb_source_ws *source) {
  uint64_t now_ns = wb_source_now(source);
  int count = source_commands(source) + source_answers(source) + wb_source_products(source);
  if (!source->stopping && __atomic_load_n(&source->stop_asked, __ATOMIC_ACQUIRE)) source_stop(source, now_ns);
  bool ended = true;
  for (unsigned n = 0; n < source->config.line_count; n++) {
    wb_line *l = &source->line[(source->first + n) % source->config.line_count];
    if (l->stalled && l->state >= WB_LINE_SECURING && l->state <= WB_LINE_ENDING && wb_line_unstall(l)) count++;
    line_time(l, now_ns);
    ended &= l->state == WB_LINE_ENDED;
  }
  if (ended && !__atomic_load_n(&source->ended, __ATOMIC_RELAXED)) {
    wb_store_release(&source->taken, source->number);
    __atomic_store_n(&source->ended, 1, __ATOMIC_RELEASE);
  }
  return count;
}

/* Spinning: some looks at the sockets for one at everything else, as a turn in which nothing comes is all that a message waits for. */
static int source_look(wb_source_ws *source) {
  int count = 0;
  for (unsigned looks = LOOKS_PER_WORK; looks && !count; looks--)
    for (unsigned i = 0; i < source->config.line_count; i++) count += wb_line_poll(&source->line[i]);
  return count;
}

static int source_work(void *self) {
  wb_source_ws *source = self;
  int count = source->brought; /* goes on its way before the kernel is asked for more */
  source->brought = 0;
  if (!count) count = wb_uring_poll(source->ring);
  if (!count && source->config.spins) count = source_look(source);
  if (count == 0 || ++source->turn % 64 == 0) count += source_time(source);
  return count;
}

static void source_idle(void *self, uint64_t timeout_ns) {
  wb_source_ws *source = self;
  source->brought += wb_uring_wait(source->ring, timeout_ns);
}

static void source_wake(void *self) { wb_source_ws_wake(self); }

/* ------------------------------------------------------------------------------------------------ life */

static void default_to(uint64_t *value, uint64_t otherwise) {
  if (!*value) *value = otherwise;
}

wb_source_ws *wb_source_ws_open(const wb_source_ws_config *config, wb_error *error) {
  wb_source_ws *source =
      aligned_alloc(WB_CACHE_PAIR_BYTES, (sizeof *source + WB_CACHE_PAIR_BYTES - 1) & ~(size_t)(WB_CACHE_PAIR_BYTES - 1));
  if (!source) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "source", "no memory for the lines");
    return NULL;
  }
  memset(source, 0, sizeof *source);
  source->config = *config;
  default_to(&source->config.connect_timeout_ns, 10000 * WB_LINE_MS);
  default_to(&source->config.silence_ns, 10000 * WB_LINE_MS);
  default_to(&source->config.backoff_min_ns, 250 * WB_LINE_MS);
  default_to(&source->config.backoff_max_ns, 30000 * WB_LINE_MS);
  default_to(&source->config.good_ns, 5000 * WB_LINE_MS);
  if (!source->config.connections) source->config.connections = 1;
  source->products = *config->products;
  source->wanted = malloc(config->products->capacity);
  if (!source->wanted) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "source", "no memory for the products");
    goto failed;
  }
  memset(source->wanted, 0, config->products->capacity);
  memset(source->wanted, 1, config->products->count);
  unsigned leave_count = 0;
  for (const char *const *channel = config->channels; *channel; channel++) /* the rest is of the connection */
    if (leave_count < WB_CHANNELS_MAX && strcmp(*channel, "heartbeats") != 0 && strcmp(*channel, "status") != 0)
      source->leave[leave_count++] = *channel;
  unsigned level2_count = 0;
  const wb_codec_orders *orders = config->codec->orders;
  for (const char *const *channel = config->channels; *channel && level2_count < 7; channel++)
    if (strncmp(*channel, config->codec->level2, strlen(config->codec->level2)) == 0 || (orders && orders->channel(*channel)))
      source->level2[level2_count++] = *channel;
  if (!level2_count) source->level2[0] = config->channels[0];

  source->ring = wb_uring_open(256, config->line_count, error);
  if (!source->ring) goto failed;
  bool tls = false;
  for (unsigned i = 0; i < config->line_count; i++) {
    wb_line *l = &source->line[i];
    l->source = source;
    l->index = i;
    l->frames = config->frames[i];
    l->stats = &source->stats[i];
    wb_line_name(i, source->config.connections, l->name);
    l->fd = l->file = -1;
    l->connect_op = (wb_op){.done = on_connected, .self = l};
    l->recv_op = (wb_op){.done = wb_line_on_received, .self = l};
    l->send_op = (wb_op){.done = wb_line_on_sent, .self = l};
    if (wb_url_parse(config->url[i], &l->url, error) != 0) goto failed;
    tls |= l->url.tls;
    l->wish = calloc(config->products->capacity, 1);
    l->ask = calloc(WB_LINE_ASK_BYTES, 1);
    l->cipher = l->url.tls ? malloc(WB_LINE_CIPHER_BYTES) : NULL;
    l->out = malloc(WB_LINE_OUT_BYTES);
    l->wire = config->deflate ? wb_wire_open() : NULL;
    if (!l->wish || !l->ask || !l->out || (l->url.tls && !l->cipher) || (config->deflate && !l->wire)) {
      wb_error_set(error, WB_E_MEMORY, ENOMEM, "source", "no memory for the line's buffers");
      goto failed;
    }
    l->resolve = wb_resolve_open(error);
    if (!l->resolve) goto failed;
  }
  if (tls) {
    source->tls = wb_tls_client_open(config->ca_file, config->insecure, error);
    if (!source->tls) goto failed;
  }
  return source;
failed:
  wb_source_ws_close(source);
  return NULL;
}

void wb_source_ws_close(wb_source_ws *source) {
  if (!source) return;
  for (unsigned i = 0; i < source->config.line_count; i++) {
    if (source->line[i].fd >= 0) close(source->line[i].fd);
    wb_resolve_close(source->line[i].resolve);
  }
  wb_uring_close(source->ring); /* until then the kernel may read and write the buffers below */
  for (unsigned i = 0; i < source->config.line_count; i++) {
    wb_line *l = &source->line[i];
    wb_tls_close(l->tls);
    wb_wire_close(l->wire);
    free(l->wish);
    free(l->ask);
    free(l->out);
    free(l->cipher);
  }
  wb_tls_context_close(source->tls);
  free(source->wanted);
  free(source);
}

wb_agent wb_source_ws_agent(wb_source_ws *source) {
  return (wb_agent){.name = "ingest", .self = source, .do_work = source_work, .idle = source_idle, .wake = source_wake};
}

void wb_source_ws_thread_end(wb_source_ws *source) {
  if (source->tls || source->config.login) wb_tls_thread_end();
}

void wb_source_ws_wake(wb_source_ws *source) { wb_uring_wake(source->ring); }

void wb_source_ws_stop(wb_source_ws *source) {
  __atomic_store_n(&source->stop_asked, 1, __ATOMIC_RELEASE);
  wb_uring_wake(source->ring);
}

bool wb_source_ws_ended(const wb_source_ws *source, wb_error *error) {
  if (!__atomic_load_n(&source->ended, __ATOMIC_ACQUIRE)) return false;
  if (error) *error = source->error;
  return true;
}

const wb_line_stats *wb_source_ws_stats(const wb_source_ws *source, unsigned index) { return &source->stats[index]; }

const char *wb_line_state_name(wb_line_state state) {
  static const char *const names[] = {"idle", "resolving", "connecting", "securing", "upgrading",
                                      "live", "closing",   "closing",    "ended"};
  return (unsigned)state < sizeof names / sizeof *names ? names[state] : "unknown";
}

void wb_line_name(unsigned line, unsigned connections, char name[16]) {
  if (connections > 1) snprintf(name, 16, "%c%u", 'A' + (int)(line / connections) % 26, line % connections + 1);
  else snprintf(name, 16, "%c", 'A' + (int)line % 26);
}

uint64_t wb_source_ws_taken(const wb_source_ws *source) { return wb_load_acquire(&source->taken); }

const char *wb_source_ws_describe(const wb_source_ws *source, char *text, size_t size) {
  return wb_uring_describe(source->ring, text, size);
}
