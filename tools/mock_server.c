#include "tools/mock_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/host.h"
#include "tools/mock_venue.h"

#define SECOND_NS UINT64_C(1000000000)
#define STOP_NS (3 * SECOND_NS)
#define ACCEPT_RETRY_NS (SECOND_NS / 10)
enum { ROUNDS = 64, STORE_BYTES = 1 << 20 };

static wb_uring *signal_ring;
static volatile sig_atomic_t signal_seen;

static void signal_taken(int number) {
  if (signal_seen) _exit(128 + number);
  signal_seen = number;
  int saved = errno;
  wb_uring_wake(signal_ring);
  errno = saved;
}

static void log_line(const wb_mock_server *server, const wb_mock_client *client, const char *text) {
  if (!server->options.quiet)
    fprintf(stderr, "mock: client %u (%s): %s\n", client->record.number, client->record.address, text);
}

/* ------------------------------------------------------------------------------------------------ products */

int wb_mock_server_find(const wb_mock_server *server, const char *id) {
  for (uint32_t i = 0; i < server->product_count; i++)
    if (strcmp(server->product[i].market.product, id) == 0) return (int)i;
  return -1;
}

static uint64_t due_ns(const wb_mock_server *server, const wb_mock_product *product) {
  return product->epoch_ns + (uint64_t)((double)(product->updates - product->epoch_updates) * 1e9 / server->options.rate);
}

static const char *time_text(wb_mock_server *server, const wb_mock_product *product, int64_t now_us) {
  const wb_mock_options *options = &server->options;
  if (options->start_us >= 0)
    now_us = options->start_us + (int64_t)((double)product->updates * (options->rate > 0 ? 1e6 / options->rate : 1));
  return wb_mock_time_text(&server->time, now_us);
}

const char *wb_mock_server_time(wb_mock_server *server, const wb_mock_product *product) {
  return time_text(server, product, wb_clock_utc_ns() / 1000);
}

/* Numbered by its line, as it has another number for each client. */
static void store(const wb_mock_server *server, wb_mock_product *product, const char *text, size_t bytes) {
  size_t hole = wb_mock_dialect_hole(server->options.dialect, text, bytes);
  if (hole)
    fprintf(product->store, "%.*s%llu", (int)hole, text, (unsigned long long)(product->snapshots + product->updates - 1));
  fwrite(text + hole, 1, bytes - hole, product->store);
  putc_unlocked('\n', product->store);
}

void wb_mock_server_snapshot(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client) {
  if (server->venue) {
    wb_mock_venue_snapshot(server, product, client);
    return;
  }
  const wb_mock_dialect *dialect = server->options.dialect;
  const wb_mock_side *side = product->market.side;
  size_t least = server->options.snapshot_bytes, most = dialect->update_bytes_max(side[0].count + side[1].count);
  most = (most > least ? most : least) + WB_MOCK_TEXT_SLACK;
  if (server->snapshot_room < most) {
    free(server->snapshot);
    server->snapshot = malloc(most);
    server->snapshot_room = server->snapshot ? most : 0;
  }
  char *text = server->snapshot;
  if (!text) {
    wb_mock_client_drop(client, true, "no memory for a snapshot");
    return;
  }
  size_t bytes = dialect->snapshot(&product->text, wb_mock_server_time(server, product), text);
  if (bytes < least && wb_mock_dialect_hole(dialect, text, bytes)) least -= wb_mock_number_bytes(client->sequence);
  if (bytes < least) {
    memset(text + bytes - 1, ' ', least - bytes);
    text[least - 1] = '}';
    bytes = least;
  }
  wb_mock_client_put(client, text, bytes);
  client->record.snapshots++;
  product->snapshots++;
  if (product->store) store(server, product, text, bytes);
}

wb_mock_orders *wb_mock_server_orders(wb_mock_server *server, wb_mock_product *product) {
  if (product->orders) return product->orders;
  wb_mock_orders *orders = malloc(sizeof *orders);
  if (!orders || wb_mock_orders_open(orders, &product->market, server->options.seed, NULL)) {
    free(orders);
    return NULL;
  }
  return product->orders = orders;
}

static bool watched(const wb_mock_product *product) { return product->subscriber_count || product->follower_count; }

/* A market moves from its first watcher on. */
static void begin(const wb_mock_server *server, wb_mock_product *product) {
  if (watched(product)) return;
  uint64_t index = (uint64_t)(product - server->product);
  product->epoch_ns = wb_clock_ns(); /* the products' messages lie evenly between each other */
  if (server->options.rate > 0)
    product->epoch_ns += (uint64_t)(1e9 * (double)index / (double)server->product_count / server->options.rate);
  product->epoch_updates = product->updates;
}

static bool play(wb_mock_client *client) {
  if (!client->server->recording) return false;
  if (!client->playing) client->play_epoch_ns = wb_clock_ns(), client->play_epoch = client->played;
  return client->playing = true;
}

void wb_mock_server_join(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client) {
  if (play(client)) return;
  begin(server, product);
  if (client->withheld == product) client->withheld = NULL;
  if (client->wrong_ticker == product) client->wrong_ticker = NULL;
  wb_mock_server_snapshot(server, product, client);
  if (client->state != WB_MOCK_OPEN) return;
  product->subscriber[product->subscriber_count++] = client;
  client->joined++;
  client->joined_open += !product->done;
}

void wb_mock_server_leave(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client) {
  for (uint32_t i = 0; i < product->subscriber_count; i++) {
    if (product->subscriber[i] != client) continue;
    product->subscriber[i] = product->subscriber[--product->subscriber_count];
    client->joined--;
    client->joined_open -= !product->done;
    return;
  }
}

void wb_mock_server_follow(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client) {
  if (play(client)) return;
  for (uint32_t i = 0; i < product->follower_count; i++)
    if (product->follower[i] == client) return;
  if (client->state != WB_MOCK_OPEN) return;
  begin(server, product);
  product->follower[product->follower_count++] = client;
  client->joined++;
  client->joined_open += !product->done;
}

void wb_mock_server_unfollow(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client) {
  for (uint32_t i = 0; i < product->follower_count; i++) {
    if (product->follower[i] != client) continue;
    product->follower[i] = product->follower[--product->follower_count];
    client->joined--;
    client->joined_open -= !product->done;
    return;
  }
}

/* ------------------------------------------------------------------------------------------------ updates */

static bool give_fault(wb_mock_server *server, wb_mock_product *product, wb_mock_client *client, const char *text, size_t bytes,
                       size_t hole) {
  const wb_mock_fault *fault = server->options.fault;
  if (!fault || !fault->update || !wb_mock_fault_now(client)) return false;
  wb_mock_fault_happened(client);
  char *numbered = NULL;
  if (fault->numbered && hole) text = numbered = wb_mock_number_text(client->sequence++, text, &bytes, hole);
  if (text) fault->update(client, product, text, bytes);
  else wb_mock_client_drop(client, true, "no memory for a message");
  free(numbered);
  return true;
}

static void __attribute__((noinline))
follow(wb_mock_server *server, wb_mock_product *product, unsigned count, const char *time) {
  wb_mock_orders_step(product->orders, server->delta, count, time);
  if (product->follower_count) server->options.dialect->orders(server, product, time);
}

static void produce(wb_mock_server *server, wb_mock_product *product, int64_t now_us) {
  char *text = (char *)server->update + WB_WS_HEADER_BYTES_MAX;
  unsigned count = server->delta_count = wb_mock_market_step(&product->market, server->delta);
  if (now_us < product->time_us) now_us = product->time_us; /* two clocks were read, at two moments */
  product->time_us = now_us;
  const char *time = time_text(server, product, now_us);
  if (product->orders) follow(server, product, count, time);
  size_t bytes = server->options.dialect->update(&product->text, server->delta, count, time, text);
  product->updates++;
  if (product->store) store(server, product, text, bytes);
  if (product->market.trade_count) server->options.dialect->traded(server, product, time);
  uint8_t header[WB_WS_HEADER_BYTES_MAX], *frame = (uint8_t *)text;
  size_t header_bytes = wb_ws_header(header, WB_WS_TEXT, true, bytes, NULL);
  frame -= header_bytes;
  if (__builtin_expect(header_bytes == 4, 1)) memcpy(frame, header, 4);
  else memcpy(frame, header, header_bytes);
  size_t hole = wb_mock_dialect_hole(server->options.dialect, text, bytes);
  for (uint32_t i = product->subscriber_count; i-- > 0;) {
    wb_mock_client *client = product->subscriber[i];
    if (client->withheld == product) continue;
    client->record.updates++;
    if (--client->until_fault == 0 && give_fault(server, product, client, text, bytes, hole)) continue;
    if (hole) wb_mock_number_put(client, text, bytes, hole);
    else if (client->deflate) wb_mock_client_put(client, text, bytes);
    else wb_mock_client_put_made(client, frame, header_bytes + bytes);
  }
  if (product->updates != server->options.messages) return;
  product->done = true;
  for (uint32_t i = 0; i < product->subscriber_count; i++) product->subscriber[i]->joined_open--;
  for (uint32_t i = 0; i < product->follower_count; i++) product->follower[i]->joined_open--;
}

static bool has_room(const wb_mock_product *product) {
  for (uint32_t i = 0; i < product->subscriber_count; i++)
    if (product->subscriber[i]->filling.count < WB_MOCK_CHUNK_BYTES) return true;
  for (uint32_t i = 0; i < product->follower_count; i++)
    if (product->follower[i]->filling.count < WB_MOCK_CHUNK_BYTES) return true;
  return false;
}

static bool produce_all_it_takes(wb_mock_server *server) {
  int64_t now_us = wb_clock_utc_ns() / 1000;
  bool any = true;
  for (int round = 0; round < ROUNDS && any; round++) {
    any = false;
    for (uint32_t i = 0; i < server->product_count; i++) {
      wb_mock_product *product = &server->product[i];
      if (product->done || !has_room(product)) continue;
      produce(server, product, now_us);
      any = true;
    }
  }
  return any;
}

/* Each message bears the time it was due, however late it is made. Returns when the next one is due. */
static uint64_t produce_what_is_due(wb_mock_server *server, uint64_t now_ns) {
  int64_t now_us = wb_clock_utc_ns() / 1000;
  uint64_t next = UINT64_MAX;
  for (uint32_t i = 0; i < server->product_count; i++) {
    wb_mock_product *product = &server->product[i];
    for (int n = 0; watched(product) && !product->done; n++) {
      uint64_t due = due_ns(server, product);
      if (due > now_ns || n == WB_MOCK_CATCH_UP) {
        if (due < next) next = due;
        break;
      }
      produce(server, product, now_us - (int64_t)((now_ns - due) / 1000));
    }
  }
  return next;
}

/* ------------------------------------------------------------------------------------------------ clients */

static void accepted(wb_op *op, int result, unsigned flags) {
  wb_mock_server *server = op->self;
  if (result >= 0) {
    wb_mock_client *client = NULL;
    if (server->client_count == WB_MOCK_CLIENTS_MAX || server->stopping) close(result);
    else client = wb_mock_client_open(server, result);
    if (client) {
      client->record.number = ++server->client_number;
      server->client[server->client_count++] = client;
      log_line(server, client, "connected");
    }
  } else if (result != -ECANCELED && !server->options.quiet) {
    fprintf(stderr, "mock: accept: %s\n", strerror(-result));
  }
  if (op->busy || server->stopping) return;
  if (result >= 0) wb_uring_accept(server->ring, op, server->listener);
  else server->accept_retry_ns = wb_clock_ns() + ACCEPT_RETRY_NS;
}

static void reap(wb_mock_server *server) {
  for (uint32_t i = server->client_count; i-- > 0;) {
    wb_mock_client *client = server->client[i];
    if (client->state != WB_MOCK_GONE || client->recv_op.busy || client->send_op.busy) continue;
    char text[320];
    snprintf(text, sizeof text, "%s, %llu messages, %llu bytes", client->record.ending,
             (unsigned long long)client->record.messages, (unsigned long long)client->record.bytes);
    log_line(server, client, text);
    if (server->record_count < WB_MOCK_RECORDS_MAX) server->record[server->record_count++] = client->record;
    server->served_count += client->subscribed;
    wb_mock_client_free(client);
    server->client[i] = server->client[--server->client_count];
  }
}

static void stop(wb_mock_server *server, uint64_t now_ns) {
  server->stopping = true;
  server->stop_ns = now_ns + STOP_NS;
  wb_uring_cancel(server->ring, &server->accept_op);
  for (uint32_t i = 0; i < server->client_count; i++) {
    if (server->client[i]->mute || server->client[i]->state < WB_MOCK_OPEN)
      wb_mock_client_drop(server->client[i], false, "the mock ended");
    else wb_mock_client_close(server->client[i], 1000, "the mock ended");
  }
}

static uint64_t tick_clients(wb_mock_server *server, uint64_t now_ns) {
  uint64_t next = UINT64_MAX;
  for (uint32_t i = 0; i < server->client_count; i++) {
    wb_mock_client *client = server->client[i];
    uint64_t wants = wb_mock_client_tick(client, now_ns);
    if (wants < next) next = wants;
    if (client->joined && !client->joined_open) wb_mock_client_close(client, 1000, "all messages sent");
    if (client->playing && (wants = wb_mock_play(client, now_ns)) < next) next = wants;
    if (server->stopping && now_ns >= server->stop_ns) wb_mock_client_drop(client, true, "timed out");
    wb_mock_client_flush(client);
  }
  return next;
}

/* ------------------------------------------------------------------------------------------------ the loop */

/* Returns when it is to be called again; 0: at once. */
static uint64_t turn(wb_mock_server *server) {
  const wb_mock_options *options = &server->options;
  uint64_t now_ns = wb_clock_ns(), next = UINT64_MAX;
  bool more = false;
  if (server->stopping) {
    next = server->stop_ns;
  } else if (server->venue) {
    next = wb_mock_venue_play(server, now_ns);
  } else if (now_ns < server->batch_due_ns) {
    next = server->batch_due_ns;
  } else {
    if (options->rate > 0) next = produce_what_is_due(server, now_ns);
    else more = produce_all_it_takes(server);
    if (options->batch_ns && (more || next != UINT64_MAX)) {
      server->batch_due_ns += options->batch_ns * (1 + (now_ns - server->batch_due_ns) / options->batch_ns);
      next = server->batch_due_ns;
      more = false;
    }
  }
  if (options->dialect->tick && !server->stopping) {
    uint64_t due = options->dialect->tick(server, now_ns);
    if (due < next) next = due;
  }
  uint64_t ticks = tick_clients(server, now_ns);
  if (ticks < next) next = ticks;
  if (server->accept_retry_ns && now_ns >= server->accept_retry_ns && !server->accept_op.busy && !server->stopping) {
    server->accept_retry_ns = 0;
    wb_uring_accept(server->ring, &server->accept_op, server->listener);
  }
  if (server->accept_retry_ns && server->accept_retry_ns < next) next = server->accept_retry_ns;
  if (!more && !options->rate && !options->batch_ns && !server->stopping)
    for (uint32_t i = 0; i < server->product_count && !more; i++)
      more = !server->product[i].done && has_room(&server->product[i]);
  return more ? 0 : next;
}

static void serve(wb_mock_server *server) {
  for (;;) {
    uint64_t next = turn(server), now_ns = wb_clock_ns();
    if (next <= now_ns) wb_uring_poll(server->ring);
    else wb_uring_wait(server->ring, next - now_ns < 3600 * SECOND_NS ? next - now_ns : 3600 * SECOND_NS);
    reap(server);
    bool enough = server->options.once && server->served_count >= server->options.clients;
    if (!server->stopping && (signal_seen || enough)) stop(server, wb_clock_ns());
    if (server->stopping && server->client_count == 0) return;
  }
}

/* ------------------------------------------------------------------------------------------------ open and close */

static int listen_on(wb_mock_server *server, uint16_t *port, wb_error *error) {
  const wb_mock_options *options = &server->options;
  char service[8];
  snprintf(service, sizeof service, "%u", options->port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
  int code = getaddrinfo(options->host, service, &hints, &found);
  if (code) return wb_error_set(error, WB_E_RESOLVE, 0, "mock", "%s: %s", options->host, gai_strerror(code));
  int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_storage bound = {0};
  socklen_t bytes = sizeof bound;
  bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0 &&
              getsockname(fd, (struct sockaddr *)&bound, &bytes) == 0;
  int saved = errno;
  freeaddrinfo(found);
  if (!good) {
    if (fd >= 0) close(fd);
    return wb_error_set(error, WB_E_SYSTEM, saved, "mock", "cannot listen on %s port %u: %s", options->host, options->port,
                        strerror(saved));
  }
  *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                            : ((struct sockaddr_in *)&bound)->sin_port);
  server->listener = fd;
  return 0;
}

static int open_products(wb_mock_server *server, wb_error *error) {
  const wb_mock_options *options = &server->options;
  if (options->log) return wb_mock_venue_open(server, error);
  if (options->recording) return wb_mock_recording_open(server, error);
  uint32_t count = options->products->count;
  server->product = calloc(count, sizeof *server->product);
  if (!server->product) return wb_error_set(error, WB_E_MEMORY, 0, "mock", "no memory for %u products", count);
  for (uint32_t i = 0; i < count; i++) {
    const char *id = options->products->product[i].id;
    wb_mock_product *product = &server->product[i];
    int code = wb_mock_market_open(&product->market, id, options->levels, options->seed, options->changes_min,
                                   options->changes_max, error);
    if (code) return code;
    server->product_count++;
    wb_mock_text_init(&product->text, &product->market, options->spaced);
    product->text.epoch = options->epoch;
    product->auction = options->auctions && wb_products_find(options->auctions, id, strlen(id)) >= 0;
    if (!options->store_dir) continue;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.jsonl", options->store_dir, id);
    product->store = fopen(path, "we");
    if (!product->store) return wb_error_set(error, WB_E_SYSTEM, errno, "mock", "%s: %s", path, strerror(errno));
    setvbuf(product->store, NULL, _IOFBF, STORE_BYTES);
  }
  size_t most = options->dialect->update_bytes_max(options->changes_max);
  server->update = malloc(WB_WS_HEADER_BYTES_MAX + most + WB_MOCK_TEXT_SLACK);
  if (!server->update) return wb_error_set(error, WB_E_MEMORY, 0, "mock", "no memory for a message");
  return options->dialect->open ? options->dialect->open(server, error) : 0;
}

static int announce(const wb_mock_server *server, uint16_t port, wb_error *error) {
  const wb_mock_options *options = &server->options;
  if (options->port_file) {
    FILE *file = fopen(options->port_file, "we");
    if (!file || fprintf(file, "%u\n", port) < 0 || fclose(file))
      return wb_error_set(error, WB_E_SYSTEM, errno, "mock", "%s: %s", options->port_file, strerror(errno));
  }
  printf(strchr(options->host, ':') ? "listening on %s://[%s]:%u\n" : "listening on %s://%s:%u\n", options->tls ? "wss" : "ws",
         options->host, port);
  fflush(stdout);
  return 0;
}

static void server_close(wb_mock_server *server, wb_error *error, int *code) {
  wb_uring_close(server->ring);
  for (uint32_t i = 0; i < server->client_count; i++) {
    server->client[i]->recv_op.busy = server->client[i]->send_op.busy = false;
    wb_mock_client_free(server->client[i]);
  }
  for (uint32_t i = 0; i < server->product_count; i++) {
    FILE *file = server->product[i].store;
    if (file && (ferror(file) | fclose(file)) && *code == 0)
      *code = wb_error_set(error, WB_E_SYSTEM, errno, "mock", "writing %s.jsonl failed", server->product[i].market.product);
    if (server->product[i].orders) wb_mock_orders_close(server->product[i].orders);
    free(server->product[i].orders);
    wb_mock_market_close(&server->product[i].market);
  }
  if (server->listener >= 0) close(server->listener);
  wb_tls_context_close(server->tls);
  wb_mock_login_close(server->login);
  wb_mock_venue_close(server->venue);
  if (server->options.dialect->close) server->options.dialect->close(server);
  free(server->product);
  free(server->update);
  free(server->snapshot);
  free(server->recording);
  free(server->recording_end);
  free(server);
}

int wb_mock_server_run(const wb_mock_options *options, wb_error *error) {
  wb_mock_server *server = calloc(1, sizeof *server);
  if (!server) return wb_error_set(error, WB_E_MEMORY, 0, "mock", "no memory");
  server->options = *options;
  server->rfq_random = options->seed;
  server->listener = -1;
  server->accept_op = (wb_op){.done = accepted, .self = server};
  uint16_t port = 0;
  int code = open_products(server, error);
  if (!code && options->tls) {
    server->tls = wb_tls_server_open(options->certificate_file, options->key_file, error);
    if (!server->tls) code = error && error->code ? error->code : WB_E_TLS;
  }
  if (!code && options->login_file) {
    server->login = wb_mock_login_open(options->login_file, options->login_ahead_s, error);
    if (!server->login) code = error && error->code ? error->code : WB_E_CONFIG;
  }
  if (!code) {
    server->ring = wb_uring_open(1024, 0, error);
    if (!server->ring) code = error && error->code ? error->code : WB_E_SYSTEM;
  }
  if (!code) code = listen_on(server, &port, error);
  if (!code) {
    signal_ring = server->ring;
    struct sigaction action = {.sa_handler = signal_taken};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    wb_uring_accept(server->ring, &server->accept_op, server->listener);
    wb_uring_poll(server->ring);
    code = announce(server, port, error);
  }
  if (!code) {
    serve(server);
    if (options->report_file) code = wb_mock_report_write(server, options->report_file, error);
    const wb_error *trouble = server->venue ? wb_mock_venue_trouble(server->venue) : NULL;
    if (!code && trouble) code = (*error = *trouble).code;
  }
  server_close(server, error, &code);
  return code;
}
