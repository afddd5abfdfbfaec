#include "io/tls.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "io/tls_private.h"
#include "tests/unit/tls/fixture.h"

/* Stand before the C library's, to count. A sanitizer has its own, which are not to be replaced. */
static atomic_uint_fast64_t allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0
#else
#define COUNTS_ALLOCATIONS 1
#define VISIBLE __attribute__((visibility("default")))
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
VISIBLE void *malloc(size_t bytes) { return atomic_fetch_add(&allocations, 1), __libc_malloc(bytes); }
VISIBLE void *calloc(size_t count, size_t bytes) { return atomic_fetch_add(&allocations, 1), __libc_calloc(count, bytes); }
VISIBLE void *realloc(void *memory, size_t bytes) { return atomic_fetch_add(&allocations, 1), __libc_realloc(memory, bytes); }
#endif

/* ------------------------------------------------------------------------------------------------ two ends over memory */

/* How many bytes are fed at a time. */
typedef size_t (*cut)(size_t count);
static size_t whole(size_t count) { return count; }
static size_t single(size_t count) { return 1; }
static size_t random_cut(size_t count) { return 1 + (size_t)rand() % (rand() % 4 ? 40 : 40000); }
static const cut cuts[] = {whole, single, random_cut};

enum { IN_BYTES = 2 << 20 };

/* in: what the other end has sent and this one was not yet fed. */
typedef struct end {
  wb_tls_context *context;
  wb_tls *tls;
  uint8_t *in;
  size_t head, tail;
  int result;
  wb_error error;
} end;

typedef struct pair {
  end client, server;
} pair;

static pair *opened(const char *certificate, const char *ca, const char *host, bool insecure, int version) {
  pair *p = calloc(1, sizeof *p);
  end *c = &p->client, *s = &p->server;
  c->in = malloc(IN_BYTES), s->in = malloc(IN_BYTES);
  c->context = wb_tls_client_open(ca ? at(ca) : NULL, insecure, &c->error);
  cr_assert_not_null(c->context, "%s", c->error.detail);
  s->context = wb_tls_server_open(at(certificate), at("good.key"), &s->error);
  cr_assert_not_null(s->context, "%s", s->error.detail);
  if (version == 12) cr_assert_eq(wolfSSL_CTX_set_max_proto_version(c->context->ctx, TLS1_2_VERSION), WOLFSSL_SUCCESS);
  c->tls = wb_tls_open(c->context, host, &c->error);
  cr_assert_not_null(c->tls, "%s", c->error.detail);
  s->tls = wb_tls_open(s->context, NULL, &s->error);
  cr_assert_not_null(s->tls, "%s", s->error.detail);
  return p;
}

static void closed(pair *p) {
  end *ends[] = {&p->client, &p->server};
  for (int i = 0; i < 2; i++) {
    wb_tls_close(ends[i]->tls);
    wb_tls_context_close(ends[i]->context);
    free(ends[i]->in);
  }
  free(p);
}

static size_t carry(end *from, end *to) {
  size_t count;
  const uint8_t *bytes = wb_tls_output(from->tls, &count);
  cr_assert_eq(bytes == NULL, count == 0);
  if (to->head == to->tail && !wb_tls_fed(to->tls)) to->head = to->tail = 0;
  if (count > IN_BYTES - to->tail) count = IN_BYTES - to->tail;
  if (count) memcpy(to->in + to->tail, bytes, count);
  to->tail += count;
  wb_tls_sent(from->tls, count);
  return count;
}

static bool fed(end *e, cut pieces) {
  if (wb_tls_fed(e->tls)) return true;
  if (e->head == e->tail) {
    e->head = e->tail = 0;
    return false;
  }
  size_t left = e->tail - e->head, piece = pieces(left);
  if (piece > left) piece = left;
  wb_tls_feed(e->tls, e->in + e->head, piece);
  e->head += piece;
  return true;
}

static void shake_one(end *e, cut pieces) {
  do {
    e->result = wb_tls_handshake(e->tls, &e->error);
  } while (!e->result && !wb_tls_fed(e->tls) && fed(e, pieces));
}

/* Until both are done or have failed, or nothing moves any more. */
static void shake(pair *p, cut pieces) {
  size_t moved = 1;
  while (moved) {
    shake_one(&p->client, pieces);
    moved = carry(&p->client, &p->server);
    shake_one(&p->server, pieces);
    moved += carry(&p->server, &p->client);
  }
}

static pair *connected(int version) {
  pair *p = opened("good.pem", "ca.pem", "localhost", false, version);
  shake(p, whole);
  cr_assert_eq(p->client.result, 1, "%s", p->client.error.detail);
  cr_assert_eq(p->server.result, 1, "%s", p->server.error.detail);
  return p;
}

static int read_some(end *e, uint8_t *bytes, size_t size, cut pieces) {
  int result = wb_tls_read(e->tls, bytes, size, &e->error);
  while (!result && fed(e, pieces)) result = wb_tls_read(e->tls, bytes, size, &e->error);
  if (!result) cr_assert_eq(wb_tls_fed(e->tls), 0);
  return result;
}

/* One message of count bytes goes over and comes out the same. */
static void message(end *from, end *to, size_t count, cut pieces) {
  uint8_t *bytes = malloc(count + 1), got[5000];
  fill(bytes, count, count);
  cr_assert_eq(wb_tls_write(from->tls, bytes, count, &from->error), 0, "%s", from->error.detail);
  carry(from, to);
  for (size_t done = 0; done < count;) {
    int n = read_some(to, got, 1 + (size_t)rand() % sizeof got, pieces);
    cr_assert_gt(n, 0, "%s", to->error.detail);
    cr_assert(is(got, (size_t)n, count + done));
    done += (size_t)n;
  }
  cr_assert_eq(read_some(to, got, sizeof got, pieces), 0);
  free(bytes);
}

/* ------------------------------------------------------------------------------------------------ bad inputs */

TestSuite(tls, .init = setup, .fini = clean, .timeout = 120);

Test(tls, contexts_refuse_files_that_are_missing_or_of_another_kind) {
  wb_error error = {0};
  cr_assert_null(wb_tls_client_open(at("missing"), false, &error));
  cr_assert_eq(error.code, WB_E_CONFIG);
  cr_assert_not_null(strstr(error.detail, "missing"), "%s", error.detail);
  cr_assert_null(wb_tls_client_open(at("nonsense"), false, &error));
  cr_assert_null(wb_tls_client_open(at("nonsense"), false, NULL));
  const char *const files[][2] = {{"missing", "good.key"},  {"good.pem", "missing"},  {"nonsense", "good.key"},
                                  {"good.pem", "nonsense"}, {"good.pem", "good.pem"}, {"good.key", "good.key"},
                                  {"good.pem", "wrong.key"}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    memset(&error, 0, sizeof error);
    cr_assert_null(wb_tls_server_open(at(files[i][0]), at(files[i][1]), &error), "%s %s", files[i][0], files[i][1]);
    cr_assert_eq(error.code, WB_E_CONFIG);
    cr_assert(*error.detail);
  }
  cr_assert_null(wb_tls_server_open(NULL, at("good.key"), &error));
  cr_assert_eq(error.code, WB_E_INVALID);
  cr_assert_null(wb_tls_server_open(at("good.pem"), NULL, NULL));
  wb_tls_context_close(NULL);
  wb_tls_close(NULL);
}

Test(tls, a_client_names_its_host_and_a_server_does_not) {
  wb_error error = {0};
  wb_tls_context *client = wb_tls_client_open(at("ca.pem"), false, &error);
  wb_tls_context *server = wb_tls_server_open(at("good.pem"), at("good.key"), &error);
  char name[300];
  memset(name, 'a', sizeof name);
  name[299] = 0;
  cr_assert_null(wb_tls_open(client, NULL, &error));
  cr_assert_eq(error.code, WB_E_INVALID);
  cr_assert_null(wb_tls_open(client, "", NULL));
  cr_assert_null(wb_tls_open(client, name, &error));
  cr_assert_eq(error.code, WB_E_LIMIT);
  cr_assert_null(wb_tls_open(server, "localhost", &error));
  cr_assert_eq(error.code, WB_E_INVALID);
  wb_tls_context_close(client);
  wb_tls_context_close(server);
}

Test(tls, nothing_is_read_or_written_before_the_handshake) {
  pair *p = opened("good.pem", "ca.pem", "localhost", false, 13);
  uint8_t byte = 0;
  cr_assert_eq(wb_tls_read(p->client.tls, &byte, 1, NULL), WB_E_STATE);
  cr_assert_eq(wb_tls_write(p->client.tls, &byte, 1, NULL), WB_E_STATE);
  wb_tls_shutdown(p->client.tls);
  size_t count;
  cr_assert_null(wb_tls_output(p->client.tls, &count));
  cr_assert_eq(count, 0);
  shake(p, whole);
  cr_assert_eq(p->client.result, 1);
  cr_assert_eq(wb_tls_read(p->client.tls, &byte, 0, NULL), WB_E_STATE);
  cr_assert_eq(wb_tls_write(p->client.tls, &byte, 0, NULL), 0);
  closed(p);
}

/* ------------------------------------------------------------------------------------------------ handshake and data */

Test(tls, both_versions_carry_messages_of_all_sizes_however_they_are_cut) {
  seeded();
  const size_t sizes[] = {1, 2, 15, 16, 17, 160, 1400, 16383, 16384, 16385, 100000};
  for (int version = 12; version <= 13; version++)
    for (size_t c = 0; c < 3; c++) {
      pair *p = opened("good.pem", "ca.pem", "localhost", false, version);
      shake(p, cuts[c]);
      cr_assert_eq(p->client.result, 1, "%s", p->client.error.detail);
      cr_assert_eq(p->server.result, 1, "%s", p->server.error.detail);
      char text[100];
      cr_assert_eq(
          strncmp(wb_tls_describe(p->client.tls, text, sizeof text), version == 12 ? "TLSv1.2 TLS_" : "TLSv1.3 TLS_", 12), 0,
          "%s", text);
      for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        message(&p->client, &p->server, sizes[i], cuts[c]);
        message(&p->server, &p->client, sizes[i], cuts[c]);
      }
      closed(p);
    }
}

Test(tls, aes_128_comes_first_where_the_cpu_has_it_and_its_device_does_the_records) {
  for (int version = 12; version <= 13; version++) {
    pair *p = connected(version);
    char text[100];
    wb_tls_describe(p->client.tls, text, sizeof text);
    wb_tls_keys *keys = wb_tls_keys_of(p->client.tls);
    __builtin_cpu_init();
    cr_assert_eq(keys != NULL, wb_tls_aead_start());
    cr_assert_not_null(strstr(text, keys ? "AES_128_GCM" : "CHACHA20"), "%s", text);
    uint64_t before = keys ? wb_tls_keys_records(keys) : 0;
    for (int i = 0; i < 10; i++) message(&p->server, &p->client, 100, whole);
    if (keys) cr_assert_eq(wb_tls_keys_records(keys), before + 10);
    closed(p);
  }
}

/* Narrows what the client offers. wolfSSL keeps the suites of the version a list does not name. */
static void offer(pair *p, const char *suite) {
  wb_tls_close(p->client.tls);
  cr_assert_eq(wolfSSL_CTX_set_cipher_list(p->client.context->ctx, suite), WOLFSSL_SUCCESS);
  p->client.tls = wb_tls_open(p->client.context, "localhost", &p->client.error);
  shake(p, whole);
}

Test(tls, other_ciphers_work_as_well) {
  const char *const suites[][2] = {{"TLS13-CHACHA20-POLY1305-SHA256", "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256"},
                                   {"TLS13-AES256-GCM-SHA384", "TLSv1.3 TLS_AES_256_GCM_SHA384"},
                                   {"ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
                                   {"ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}};
  for (size_t i = 0; i < 4; i++) {
    pair *p = opened("good.pem", "ca.pem", "localhost", false, i < 2 ? 13 : 12);
    offer(p, suites[i][0]);
    cr_assert_eq(p->client.result, 1, "%s: %s", suites[i][0], p->server.error.detail);
    char text[100];
    cr_assert_str_eq(wb_tls_describe(p->client.tls, text, sizeof text), suites[i][1]);
    message(&p->client, &p->server, 50000, random_cut);
    message(&p->server, &p->client, 50000, random_cut);
    closed(p);
  }
}

Test(tls, suites_without_forward_secrecy_or_aead_are_refused) {
  const char *const suites[] = {"ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA"};
  for (size_t i = 0; i < 2; i++) {
    pair *p = opened("good.pem", "ca.pem", "localhost", false, 12);
    offer(p, suites[i]);
    cr_assert_eq(p->server.result, WB_E_TLS);
    cr_assert_not_null(strstr(p->server.error.detail, "cipher suite"), "%s", p->server.error.detail);
    cr_assert_eq(p->client.result, WB_E_TLS);
    closed(p);
  }
}

/* Both ends write, pin, send parts, are fed parts and read parts in random order; every byte must come in its place. */
Test(tls, random_operations_keep_every_byte_of_20_megabytes) {
  enum { STREAM_BYTES = 20 << 20, OPS = 100000, CHUNK = 40000 };
  unsigned seed = seeded();
  uint8_t *bytes = malloc(CHUNK);
  for (int version = 12; version <= 13; version++) {
    pair *p = connected(version);
    end *ends[] = {&p->client, &p->server};
    uint64_t written[2] = {0}, got[2] = {0};
    const uint8_t *pinned[2] = {0};
    uint8_t *copy[2] = {malloc(1 << 20), malloc(1 << 20)};
    size_t pinned_count[2] = {0};
    for (int op = 0; op < OPS || got[0] < STREAM_BYTES || got[1] < STREAM_BYTES; op++) {
      int i = rand() & 1;
      end *e = ends[i], *other = ends[!i];
      size_t count = (size_t)rand() % (rand() % 8 ? 300 : CHUNK);
      switch (rand() % 4) {
      case 0: /* write */
        if (written[i] - got[!i] > (4 << 20)) break;
        fill(bytes, count, written[i]);
        cr_assert_eq(wb_tls_write(e->tls, bytes, count, &e->error), 0, "seed %u", seed);
        written[i] += count;
        break;
      case 1: /* the kernel takes what is shown */
        if (pinned[i]) break;
        pinned[i] = wb_tls_output(e->tls, &pinned_count[i]);
        if (!pinned[i]) break;
        if (pinned_count[i] > 1 << 20) pinned_count[i] = 1 << 20;
        if (rand() % 4 == 0) pinned_count[i] = 1 + (size_t)rand() % pinned_count[i];
        memcpy(copy[i], pinned[i], pinned_count[i]);
        wb_tls_pin(e->tls, true);
        break;
      case 2: /* and is done with it */
        if (!pinned[i] || IN_BYTES - other->tail < pinned_count[i]) break;
        cr_assert_arr_eq(pinned[i], copy[i], pinned_count[i], "seed %u: pinned bytes have moved", seed);
        memcpy(other->in + other->tail, pinned[i], pinned_count[i]);
        other->tail += pinned_count[i];
        if (rand() & 1) wb_tls_sent(e->tls, pinned_count[i]), wb_tls_pin(e->tls, false);
        else wb_tls_pin(e->tls, false), wb_tls_sent(e->tls, pinned_count[i]);
        pinned[i] = NULL;
        break;
      default:;
        int n = read_some(e, bytes, 1 + count, rand() & 1 ? whole : random_cut);
        cr_assert_geq(n, 0, "seed %u: %s", seed, e->error.detail);
        cr_assert(is(bytes, (size_t)n, got[i]), "seed %u", seed);
        got[i] += (uint64_t)n;
        cr_assert_leq(got[i], written[!i]);
      }
    }
    free(copy[0]), free(copy[1]);
    closed(p);
  }
  free(bytes);
}

/* ------------------------------------------------------------------------------------------------ who the peer is */

static void refused(const char *certificate, const char *ca, const char *host, const char *words) {
  for (int version = 12; version <= 13; version++) {
    pair *p = opened(certificate, ca, host, false, version);
    shake(p, whole);
    cr_assert_eq(p->client.result, WB_E_CERTIFICATE, "%s for %s: %d %s", certificate, host, p->client.result,
                 p->client.error.detail);
    cr_assert_eq(p->client.error.code, WB_E_CERTIFICATE);
    cr_assert_not_null(strstr(p->client.error.detail, words), "%s, not %s", p->client.error.detail, words);
    cr_assert_eq(p->server.result, WB_E_TLS);
    cr_assert_not_null(strstr(p->server.error.detail, "alert"), "%s", p->server.error.detail);
    uint8_t byte = 0;
    cr_assert_eq(wb_tls_handshake(p->client.tls, NULL), WB_E_CERTIFICATE);
    cr_assert_eq(wb_tls_read(p->client.tls, &byte, 1, NULL), WB_E_CERTIFICATE);
    cr_assert_eq(wb_tls_write(p->client.tls, &byte, 1, NULL), WB_E_CERTIFICATE);
    closed(p);
  }
}

Test(tls, a_certificate_for_another_host_is_refused) {
  const char *const hosts[] = {"example.com", "localhos",   "localhost.example.com", "xlocalhost", "127.0.0.2",
                               "::2",         "127.0.0.11", "a.b.wild.test",         "wild.test",  "0.0.0.1",
                               "good"};
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) refused("good.pem", "ca.pem", hosts[i], "wrong host");
}

Test(tls, names_and_addresses_of_the_certificate_are_accepted) {
  const char *const hosts[] = {"localhost", "LocalHost", "127.0.0.1", "::1", "0:0:0:0:0:0:0:1", "a.wild.test"};
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    pair *p = opened("good.pem", "ca.pem", hosts[i], false, 13);
    shake(p, whole);
    cr_assert_eq(p->client.result, 1, "%s: %s", hosts[i], p->client.error.detail);
    closed(p);
  }
}

Test(tls, an_expired_certificate_is_refused) { refused("expired.pem", "ca.pem", "localhost", "expired"); }
Test(tls, a_certificate_of_the_future_is_refused) { refused("early.pem", "ca.pem", "localhost", "not yet valid"); }
Test(tls, a_self_signed_certificate_is_refused) { refused("self.pem", "ca.pem", "localhost", "self-signed"); }
Test(tls, a_certificate_of_an_unknown_authority_is_refused) { refused("unknown.pem", "ca.pem", "localhost", "unknown CA"); }

Test(tls, insecure_accepts_any_certificate) {
  const char *const certificates[] = {"self.pem", "expired.pem", "unknown.pem"};
  for (size_t i = 0; i < 3; i++) {
    pair *p = opened(certificates[i], NULL, "example.com", true, 13);
    shake(p, whole);
    cr_assert_eq(p->client.result, 1, "%s", p->client.error.detail);
    message(&p->client, &p->server, 100, whole);
    closed(p);
  }
}

Test(tls, system_roots_are_used_unless_the_environment_names_others) {
  wb_error error = {0};
  if (!access("/etc/ssl/certs/ca-certificates.crt", R_OK)) {
    unsetenv("SSL_CERT_FILE");
    wb_tls_context_close(wb_tls_client_open(NULL, false, &error));
    cr_assert_eq(error.code, 0, "%s", error.detail);
    refused("good.pem", NULL, "localhost", "unknown CA");
  }
  setenv("SSL_CERT_FILE", at("ca.pem"), 1);
  pair *p = opened("good.pem", NULL, "localhost", false, 13);
  shake(p, whole);
  cr_assert_eq(p->client.result, 1, "%s", p->client.error.detail);
  closed(p);
  setenv("SSL_CERT_FILE", at("missing"), 1);
  cr_assert_null(wb_tls_client_open(NULL, false, &error));
  cr_assert_eq(error.code, WB_E_CONFIG);
}

Test(tls, certificates_made_here_are_good_for_us_and_for_openssl) {
  wb_error error = {0};
  cr_assert_eq(wb_tls_certificate_make(NULL, at("k"), at("a"), &error), WB_E_INVALID);
  cr_assert_eq(wb_tls_certificate_make(at("no/such"), at("k"), at("a"), &error), WB_E_SYSTEM);
  cr_assert_eq(error.os_errno, ENOENT);
  for (int i = 0; i < 5; i++) {
    cr_assert_eq(wb_tls_certificate_make(at("good.pem"), at("good.key"), at("ca.pem"), &error), 0, "%s", error.detail);
    struct stat status;
    cr_assert(!stat(at("good.key"), &status));
    cr_assert_eq(status.st_mode & 0777, 0600);
    const char *const hosts[] = {"localhost", "127.0.0.1", "::1"};
    for (int h = 0; h < 3; h++) {
      pair *p = opened("good.pem", "ca.pem", hosts[h], false, 13);
      shake(p, whole);
      cr_assert_eq(p->client.result, 1, "%s", p->client.error.detail);
      closed(p);
    }
    refused("good.pem", "other.pem", "localhost", "unknown CA");
    char command[400];
    snprintf(command, sizeof command, "openssl verify -purpose sslserver -verify_ip ::1 -CAfile %s %s >%s 2>&1", at("ca.pem"),
             at("good.pem"), at("log"));
    cr_assert_eq(system(command), 0);
  }
}

/* ------------------------------------------------------------------------------------------------ what a peer may do wrong */

Test(tls, a_record_tampered_with_anywhere_is_never_read) {
  for (int version = 12; version <= 13; version++)
    for (size_t at_byte = 0;; at_byte++) {
      pair *p = connected(version);
      uint8_t bytes[64];
      fill(bytes, 40, 0);
      cr_assert_eq(wb_tls_write(p->server.tls, bytes, 40, NULL), 0);
      size_t count = carry(&p->server, &p->client);
      bool over = at_byte == count;
      if (!over) p->client.in[p->client.tail - count + at_byte] ^= (uint8_t)(1 << at_byte % 8);
      int result = read_some(&p->client, bytes, sizeof bytes, whole);
      if (over) {
        cr_assert_eq(result, 40);
      } else if (result == 0) {
        cr_assert(at_byte == 3 || at_byte == 4, "only a larger length may ask for more, not byte %zu", at_byte);
      } else {
        cr_assert_eq(result, WB_E_TLS, "version %d byte %zu: %d", version, at_byte, result);
        cr_assert(*p->client.error.detail);
        cr_assert_eq(wb_tls_read(p->client.tls, bytes, sizeof bytes, NULL), WB_E_TLS);
      }
      closed(p);
      if (over) break;
    }
}

Test(tls, a_handshake_cut_anywhere_asks_for_more) {
  for (size_t stop = 0; stop < 4000; stop += 37) {
    pair *p = opened("good.pem", "ca.pem", "localhost", false, 13);
    shake_one(&p->client, whole);
    carry(&p->client, &p->server);
    shake_one(&p->server, whole);
    carry(&p->server, &p->client);
    if (stop >= p->client.tail) {
      closed(p);
      break;
    }
    p->client.tail = stop;
    shake_one(&p->client, whole);
    cr_assert_eq(p->client.result, 0, "cut at %zu", stop);
    closed(p);
  }
}

/* The version in the header of a record that is not encrypted means nothing: RFC 8446 5.1 has it ignored. */
static bool means_nothing(const uint8_t *flight, size_t at) {
  size_t record = 0;
  while (at >= record + 5 + (size_t)(flight[record + 3] << 8 | flight[record + 4]))
    record += 5 + (size_t)(flight[record + 3] << 8 | flight[record + 4]);
  return flight[record] != 23 && (at == record + 1 || at == record + 2);
}

Test(tls, garbage_is_an_error_at_once_or_asks_for_more_and_never_succeeds) {
  unsigned seed = seeded();
  for (int i = 0; i < 400; i++) {
    pair *p = opened("good.pem", "ca.pem", "localhost", false, 13);
    end *e = rand() & 1 ? &p->client : &p->server;
    if (i % 2) { /* damage a real flight */
      shake_one(&p->client, whole);
      carry(&p->client, &p->server);
      if (e == &p->client) {
        shake_one(&p->server, whole);
        carry(&p->server, &p->client);
      }
      size_t at = (size_t)rand() % e->tail;
      while (means_nothing(e->in, at)) at++;
      e->in[at] ^= (uint8_t)(1 + rand() % 255);
    } else {
      e->tail = 1 + (size_t)rand() % 2000;
      for (size_t b = 0; b < e->tail; b++) e->in[b] = (uint8_t)rand();
    }
    shake_one(e, random_cut);
    if (e == &p->client || i % 2 == 0) cr_assert_leq(e->result, 0, "seed %u", seed);
    closed(p);
  }
  static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
  pair *p = opened("good.pem", "ca.pem", "localhost", false, 13);
  p->client.tail = sizeof http - 1;
  memcpy(p->client.in, http, sizeof http - 1);
  shake_one(&p->client, whole);
  cr_assert_eq(p->client.result, WB_E_TLS);
  cr_assert_not_null(strstr(p->client.error.detail, "does not speak TLS"), "%s", p->client.error.detail);
  closed(p);
}

Test(tls, close_notify_is_an_orderly_end_after_all_data) {
  for (int version = 12; version <= 13; version++) {
    pair *p = connected(version);
    uint8_t bytes[64] = "last";
    cr_assert_eq(wb_tls_write(p->server.tls, bytes, 4, NULL), 0);
    wb_tls_shutdown(p->server.tls);
    cr_assert_gt(carry(&p->server, &p->client), 0);
    cr_assert_eq(read_some(&p->client, bytes, sizeof bytes, single), 4);
    cr_assert_eq(read_some(&p->client, bytes, sizeof bytes, single), WB_E_CLOSED);
    cr_assert_eq(wb_tls_read(p->client.tls, bytes, sizeof bytes, NULL), WB_E_CLOSED);
    wb_tls_shutdown(p->client.tls);
    cr_assert_gt(carry(&p->client, &p->server), 0);
    cr_assert_eq(read_some(&p->server, bytes, sizeof bytes, whole), WB_E_CLOSED);
    closed(p);
  }
}

/* ------------------------------------------------------------------------------------------------ output and memory */

Test(tls, output_has_a_limit_and_loses_nothing_at_it) {
  pair *p = connected(13);
  size_t size = 3 << 20, count = 0, written = 0;
  uint8_t *bytes = malloc(size);
  cr_assert_eq(wb_tls_write(p->server.tls, bytes, (64 << 20) + 1, NULL), WB_E_FULL); /* refused before it is looked at */
  int result;
  do {
    fill(bytes, size, written);
    result = wb_tls_write(p->server.tls, bytes, size, &p->server.error);
    if (!result) written += size;
  } while (!result);
  cr_assert_eq(result, WB_E_FULL);
  wb_tls_output(p->server.tls, &count);
  cr_assert(count <= 64 << 20 && count > 60 << 20);
  for (size_t got = 0; got < written;) {
    int n = read_some(&p->client, bytes, size, whole);
    if (!n) cr_assert_gt(carry(&p->server, &p->client), 0);
    cr_assert_geq(n, 0);
    cr_assert(is(bytes, (size_t)n, got));
    got += (size_t)n;
  }
  message(&p->server, &p->client, 1000, whole);
  free(bytes);
  closed(p);
}

Test(tls, reading_and_writing_do_not_allocate_in_steady_state) {
  enum { RECORDS = 10000, WARM = 2000 };
  for (int version = 12; version <= 13; version++)
    for (int suite = 0; suite < 2; suite++) {
      pair *p = opened("good.pem", "ca.pem", "localhost", false, version);
      if (suite) offer(p, version == 12 ? "ECDHE-ECDSA-CHACHA20-POLY1305" : "TLS13-CHACHA20-POLY1305-SHA256");
      else shake(p, whole);
      cr_assert_eq(p->client.result, 1);
      static uint8_t bytes[40000], got[40000];
      uint64_t before = 0;
      for (int i = 0; i < WARM + RECORDS; i++) {
        if (i == WARM) before = atomic_load(&allocations);
        size_t count = 1 + (size_t)(i * 7919) % (i % 16 ? 500 : sizeof bytes - 1);
        end *from = i & 1 ? &p->client : &p->server, *to = i & 1 ? &p->server : &p->client;
        if (wb_tls_write(from->tls, bytes, count, NULL)) abort();
        carry(from, to);
        while (count) {
          int n = read_some(to, got, sizeof got, random_cut);
          if (n <= 0) abort();
          count -= (size_t)n;
        }
      }
      uint64_t after = atomic_load(&allocations);
      cr_assert_eq(after, before, "%lu allocations", (unsigned long)(after - before));
      if (COUNTS_ALLOCATIONS) cr_assert_gt(before, 0, "the counter counts");
      closed(p);
    }
}

static void *talk(void *argument) {
  pair *p = argument;
  for (int i = 0; i < 300; i++) {
    message(&p->client, &p->server, 1 + (size_t)i * 71, whole);
    message(&p->server, &p->client, 1 + (size_t)i * 71, whole);
  }
  return NULL;
}

Test(tls, connections_of_one_context_work_on_threads_of_their_own) {
  enum { THREADS = 4 };
  pair *p[THREADS];
  pthread_t thread[THREADS];
  for (int i = 0; i < THREADS; i++) p[i] = connected(i & 1 ? 12 : 13);
  for (int i = 0; i < THREADS; i++) cr_assert(!pthread_create(&thread[i], NULL, talk, p[i]));
  for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < THREADS; i++) closed(p[i]);
}
