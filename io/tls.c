#include "io/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_private.h"

#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

enum { OUTPUT_BYTES_MIN = 32 * 1024, OUTPUT_BYTES_MAX = 64 << 20, OUTPUT_SLACK_BYTES = 64 * 1024, RECORD_OVERHEAD_MAX = 64 };
enum { HOST_BYTES = 256 };

struct wb_tls {
  WOLFSSL *ssl;
  wb_tls_keys *keys;
  const uint8_t *fed;
  size_t fed_count;
  uint8_t *out, *out_pinned; /* out_pinned: the buffer the kernel reads, NULL if none; may be an older one than out */
  size_t out_capacity, out_head, out_tail;
  wb_error failed; /* what ended this connection, given again to every later call */
  int first_byte;  /* of the peer, -1 before it */
  bool client, handshaken, output_full;
  bool self_signed, wrong_address; /* of the peer's certificate, seen by the verify callback */
  size_t address_bytes;            /* host is an IP address: 4 or 16 */
  uint8_t address[16];
  char host[HOST_BYTES];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool started, aead;

/* ------------------------------------------------------------------------------------------------ errors in plain words */

static const struct {
  int code;
  const char *text;
} refusals[] = {
    {ASN_AFTER_DATE_E, "certificate has expired"},
    {ASN_BEFORE_DATE_E, "certificate is not yet valid"},
    {ASN_SELF_SIGNED_E, "self-signed certificate"},
    {ASN_NO_SIGNER_E, "unknown CA: no trusted authority has signed the certificate"},
    {ASN_SIG_CONFIRM_E, "the signature of the certificate is wrong"},
    {DOMAIN_NAME_MISMATCH, "wrong host"},
    {CRL_CERT_REVOKED, "certificate is revoked"},
    {ASN_PATHLEN_SIZE_E, "chain of authorities is not allowed"},
    {ASN_PATHLEN_INV_E, "chain of authorities is not allowed"},
    {ASN_NAME_INVALID_E, "name is not allowed by its authority"},
    {MAX_CHAIN_ERROR, "chain of certificates is too long"},
    {KEYUSAGE_E, "certificate is not for this use"},
    {EXTKEYUSAGE_E, "certificate is not for this use"},
    {NO_PEER_CERT, "peer sent no certificate"},
    {ECC_KEY_SIZE_E, "key of the certificate is too short"},
    {RSA_KEY_SIZE_E, "key of the certificate is too short"},
    {VERIFY_CERT_ERROR, "certificate refused"},
};

static const struct {
  int code;
  const char *text;
} failures[] = {
    {VERSION_ERROR, "protocol version: no common one (TLS 1.2 or 1.3 is needed)"},
    {MATCH_SUITE_ERROR, "no common cipher suite"},
    {UNSUPPORTED_SUITE, "no common cipher suite"},
    {VERIFY_MAC_ERROR, "a record was damaged or tampered with"},
    {DECRYPT_ERROR, "a record was damaged or tampered with"},
    {AES_GCM_AUTH_E, "a record was damaged or tampered with"},
    {SANITY_CIPHER_E, "a record was damaged or tampered with"},
    {MAC_CMP_FAILED_E, "a record was damaged or tampered with"},
    {UNKNOWN_RECORD_TYPE, "unknown record type"},
    {UNKNOWN_HANDSHAKE_TYPE, "unknown handshake message"},
    {LENGTH_ERROR, "wrong record length"},
    {PARSE_ERROR, "malformed record, or protocol version below TLS 1.2"},
    {BUFFER_ERROR, "malformed message"},
    {OUT_OF_ORDER_E, "message out of order"},
    {MEMORY_E, "out of memory"},
    {MEMORY_ERROR, "out of memory"},
};

static const char *refusal_text(int code) {
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
    if (refusals[i].code == code) return refusals[i].text;
  return NULL;
}

static const char *failure_text(int code) {
  for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
    if (failures[i].code == code) return failures[i].text;
  const char *text = wolfSSL_ERR_reason_error_string((unsigned long)code);
  return text ? text : "unknown error";
}

/* wolfSSL 5.5.4 names no alert of TLS 1.3. */
static const char *alert_text(int code) {
  const char *text = code == 109   ? "missing_extension"
                     : code == 116 ? "certificate_required"
                                   : wolfSSL_alert_desc_string_long(code);
  return text ? text : "unknown";
}

static int fail_again(const wb_tls *tls, wb_error *error) {
  if (error) *error = tls->failed;
  return tls->failed.code;
}

static int fail(wb_tls *tls, int code, const char *what, wb_error *error) {
  const char *refusal = tls->client && !tls->handshaken ? refusal_text(code) : NULL;
  WOLFSSL_ALERT_HISTORY alerts;
  if (refusal && (tls->wrong_address || code == DOMAIN_NAME_MISMATCH))
    wb_error_set(&tls->failed, WB_E_CERTIFICATE, 0, what, "wrong host: the certificate is not for %.200s", tls->host);
  else if (refusal)
    wb_error_set(&tls->failed, WB_E_CERTIFICATE, 0, what, "%s",
                 code == ASN_NO_SIGNER_E && tls->self_signed ? refusal_text(ASN_SELF_SIGNED_E) : refusal);
  else if (tls->output_full) wb_error_set(&tls->failed, WB_E_TLS, 0, what, "more than 64 MiB of output wait to be sent");
  else if (!tls->handshaken && tls->first_byte >= 0 && (tls->first_byte < 20 || tls->first_byte > 23))
    wb_error_set(&tls->failed, WB_E_TLS, 0, what, "the peer does not speak TLS");
  else if (code == FATAL_ERROR && wolfSSL_get_alert_history(tls->ssl, &alerts) == WOLFSSL_SUCCESS && alerts.last_rx.code >= 0)
    wb_error_set(&tls->failed, WB_E_TLS, 0, what, "the peer refused: alert %d, %s", alerts.last_rx.code,
                 alert_text(alerts.last_rx.code));
  else wb_error_set(&tls->failed, WB_E_TLS, 0, what, "%s (%d)", failure_text(code), code);
  return fail_again(tls, error);
}

/* ------------------------------------------------------------------------------------------------ output */

static bool room(wb_tls *tls, size_t bytes) {
  size_t used = tls->out_tail - tls->out_head;
  if (tls->out_capacity - tls->out_tail >= bytes) return true;
  bool movable = tls->out != tls->out_pinned || !tls->out;
  if (movable && tls->out_head >= tls->out_capacity / 2 && tls->out_capacity - used >= bytes) {
    memmove(tls->out, tls->out + tls->out_head, used);
  } else {
    size_t capacity = tls->out_capacity ? tls->out_capacity : OUTPUT_BYTES_MIN;
    while (capacity - used < bytes) capacity *= 2;
    uint8_t *larger = malloc(capacity);
    if (!larger) return false;
    if (used) memcpy(larger, tls->out + tls->out_head, used);
    if (movable) free(tls->out);
    tls->out = larger;
    tls->out_capacity = capacity;
  }
  tls->out_head = 0;
  tls->out_tail = used;
  return true;
}

static int on_send(WOLFSSL *ssl, char *bytes, int count, void *self) {
  wb_tls *tls = self;
  size_t used = tls->out_tail - tls->out_head;
  if (used + (size_t)count > OUTPUT_BYTES_MAX + OUTPUT_SLACK_BYTES) {
    tls->output_full = true;
    return WOLFSSL_CBIO_ERR_GENERAL;
  }
  if (!room(tls, (size_t)count)) return WOLFSSL_CBIO_ERR_GENERAL;
  memcpy(tls->out + tls->out_tail, bytes, (size_t)count);
  tls->out_tail += (size_t)count;
  return count;
}

static int on_recv(WOLFSSL *ssl, char *bytes, int count, void *self) {
  wb_tls *tls = self;
  if (!tls->fed_count) return WOLFSSL_CBIO_ERR_WANT_READ;
  if (tls->first_byte < 0) tls->first_byte = *tls->fed;
  size_t take = tls->fed_count < (size_t)count ? tls->fed_count : (size_t)count;
  memcpy(bytes, tls->fed, take);
  tls->fed += take;
  tls->fed_count -= take;
  return (int)take;
}

const uint8_t *wb_tls_output(wb_tls *tls, size_t *count) {
  *count = tls->out_tail - tls->out_head;
  return *count ? tls->out + tls->out_head : NULL;
}

void wb_tls_sent(wb_tls *tls, size_t count) {
  WB_CHECK(count <= tls->out_tail - tls->out_head);
  tls->out_head += count;
  if (tls->out_head == tls->out_tail && tls->out != tls->out_pinned) tls->out_head = tls->out_tail = 0;
}

void wb_tls_pin(wb_tls *tls, bool pinned) {
  if (pinned) {
    if (!tls->out_pinned) tls->out_pinned = tls->out;
    return;
  }
  if (tls->out_pinned != tls->out) free(tls->out_pinned);
  tls->out_pinned = NULL;
  if (tls->out_head == tls->out_tail) tls->out_head = tls->out_tail = 0;
}

/* ------------------------------------------------------------------------------------------------ contexts */

static void start_once(void) {
  if (wolfSSL_SetAllocators(wb_tls_pool_take, wb_tls_pool_give, wb_tls_pool_resize)) return;
  if (wolfSSL_Init() != WOLFSSL_SUCCESS) return;
  aead = wb_tls_aead_start();
  started = true;
}

int wb_tls_start(wb_error *error) {
  pthread_once(&once, start_once);
  return started ? 0 : wb_error_set(error, WB_E_TLS, 0, "TLS start", "wolfSSL does not start");
}

/* AES-128-GCM first where the CPU does AES; table AES is slower than ChaCha20 by half elsewhere. The suites of TLS 1.3 come
 * before all others: a server of 5.5.4 that meets one of 1.2 first picks it for 1.3 and fails. */
#define AES128_12 ":ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
#define CHACHA_12 ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define AES256_12 ":ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
static const char suites_aes[] =
    "TLS13-AES128-GCM-SHA256:TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES256-GCM-SHA384" AES128_12 CHACHA_12 AES256_12;
static const char suites_chacha[] =
    "TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384" CHACHA_12 AES128_12 AES256_12;

static int on_verify(int good, WOLFSSL_X509_STORE_CTX *store);

static wb_tls_context *context_open(bool client, wb_error *error) {
  if (wb_tls_start(error)) return NULL;
  wb_tls_context *context = calloc(1, sizeof *context);
  if (context) context->ctx = wolfSSL_CTX_new(client ? wolfSSLv23_client_method() : wolfSSLv23_server_method());
  if (!context || !context->ctx) {
    free(context);
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "TLS context", "no memory");
    return NULL;
  }
  context->client = client;
  WOLFSSL_CTX *ctx = context->ctx;
  int groups[] = {WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP384R1};
  if (wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_set_cipher_list(ctx, aead ? suites_aes : suites_chacha) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_set_groups(ctx, groups, sizeof groups / sizeof *groups) != WOLFSSL_SUCCESS ||
      (aead && wolfSSL_CTX_SetDevId(ctx, WB_TLS_DEVICE) != WOLFSSL_SUCCESS)) {
    wb_tls_context_close(context);
    wb_error_set(error, WB_E_TLS, 0, "TLS context", "wolfSSL refuses the protocol versions or cipher suites");
    return NULL;
  }
  wolfSSL_SetIORecv(ctx, on_recv);
  wolfSSL_SetIOSend(ctx, on_send);
  wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
  return context;
}

wb_tls_context *wb_tls_client_open(const char *ca_file, bool insecure, wb_error *error) {
  wb_tls_context *context = context_open(true, error);
  if (!context) return NULL;
  context->insecure = insecure;
  if (insecure) {
    wolfSSL_CTX_set_verify(context->ctx, WOLFSSL_VERIFY_NONE, NULL);
    return context;
  }
  wolfSSL_CTX_set_verify(context->ctx, WOLFSSL_VERIFY_PEER, on_verify);
  const char *given = getenv("SSL_CERT_FILE");
  const char *file = ca_file ? ca_file : given && *given ? given : "/etc/ssl/certs/ca-certificates.crt";
  errno = 0;
  int code = wolfSSL_CTX_load_verify_locations_ex(context->ctx, file, NULL, WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY);
  if (code != WOLFSSL_SUCCESS) {
    wb_error_set(error, WB_E_CONFIG, errno, "TLS authorities", "%.160s: %s", file,
                 code == WOLFSSL_BAD_FILE ? "cannot be read" : failure_text(code));
    wb_tls_context_close(context);
    return NULL;
  }
  return context;
}

/* wolfSSL_CTX_check_private_key of 5.5.4 finds any EC key good, so ask a client who checks the signature. */
static bool key_fits(wb_tls_context *server_context) {
  wb_tls_context *client_context = wb_tls_client_open(NULL, true, NULL);
  wb_tls *client = client_context ? wb_tls_open(client_context, "localhost", NULL) : NULL;
  wb_tls *server = client ? wb_tls_open(server_context, NULL, NULL) : NULL;
  int client_result = 0, server_result = 0;
  for (int flight = 0; server && flight < 4 && !client_result && server_result >= 0; flight++) {
    size_t count;
    client_result = wb_tls_handshake(client, NULL);
    const uint8_t *bytes = wb_tls_output(client, &count);
    wb_tls_feed(server, bytes, count);
    server_result = wb_tls_handshake(server, NULL);
    wb_tls_sent(client, count);
    bytes = wb_tls_output(server, &count);
    wb_tls_feed(client, bytes, count);
    if (!client_result) client_result = wb_tls_handshake(client, NULL);
    wb_tls_sent(server, count);
  }
  wb_tls_close(client);
  wb_tls_close(server);
  wb_tls_context_close(client_context);
  return client_result == 1;
}

wb_tls_context *wb_tls_server_open(const char *certificate_file, const char *key_file, wb_error *error) {
  if (!certificate_file || !key_file) {
    wb_error_set(error, WB_E_INVALID, 0, "TLS server", "a certificate and a key are needed");
    return NULL;
  }
  wb_tls_context *context = context_open(false, error);
  if (!context) return NULL;
  wolfSSL_CTX_set_verify(context->ctx, WOLFSSL_VERIFY_NONE, NULL);
  wolfSSL_CTX_no_ticket_TLSv13(context->ctx);
  wolfSSL_CTX_NoTicketTLSv12(context->ctx);
  const char *file = certificate_file;
  int code = wolfSSL_CTX_use_certificate_chain_file(context->ctx, file);
  if (code == WOLFSSL_SUCCESS) code = wolfSSL_CTX_use_PrivateKey_file(context->ctx, file = key_file, WOLFSSL_FILETYPE_PEM);
  if (code == WOLFSSL_SUCCESS && key_fits(context)) return context;
  wb_error_set(error, WB_E_CONFIG, 0, "TLS server", "%.160s: %s", file,
               code == WOLFSSL_SUCCESS ? "is not the key of the certificate" : "cannot be read or is no PEM of its kind");
  wb_tls_context_close(context);
  return NULL;
}

int wb_tls_server_demand(wb_tls_context *context, const char *ca_file, wb_error *error) {
  int code = wolfSSL_CTX_load_verify_locations(context->ctx, ca_file, NULL);
  wolfSSL_CTX_set_verify(context->ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  if (code == WOLFSSL_SUCCESS) return 0;
  return wb_error_set(error, WB_E_CONFIG, 0, "TLS authorities", "%.160s: %s", ca_file,
                      code == WOLFSSL_BAD_FILE ? "cannot be read" : failure_text(code));
}

void wb_tls_context_close(wb_tls_context *context) {
  if (!context) return;
  wolfSSL_CTX_free(context->ctx);
  free(context);
}

/* ------------------------------------------------------------------------------------------------ connections */

static bool carries_address(const wb_tls *tls, WOLFSSL_X509 *certificate) {
  WOLFSSL_STACK *names = wolfSSL_X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  bool found = false;
  for (int i = 0, count = names ? wolfSSL_sk_GENERAL_NAME_num(names) : 0; i < count && !found; i++) {
    const WOLFSSL_GENERAL_NAME *name = wolfSSL_sk_GENERAL_NAME_value(names, i);
    found = name->type == ASN_IP_TYPE && (size_t)wolfSSL_ASN1_STRING_length(name->d.iPAddress) == tls->address_bytes &&
            !memcmp(wolfSSL_ASN1_STRING_data(name->d.iPAddress), tls->address, tls->address_bytes);
  }
  wolfSSL_sk_GENERAL_NAME_pop_free(names, wolfSSL_GENERAL_NAME_free);
  return found;
}

static int on_verify(int good, WOLFSSL_X509_STORE_CTX *store) {
  wb_tls *tls = store->userCtx;
  if (!good) {
    tls->self_signed = store->error_depth == 0 && store->current_cert &&
                       !wolfSSL_X509_NAME_cmp(wolfSSL_X509_get_subject_name(store->current_cert),
                                              wolfSSL_X509_get_issuer_name(store->current_cert));
    return 0;
  }
  if (store->error_depth == 0 && tls->address_bytes && !carries_address(tls, store->current_cert)) {
    tls->wrong_address = true;
    return 0;
  }
  return 1;
}

wb_tls_keys *wb_tls_keys_of(const wb_tls *tls) { return tls->keys; }

void wb_tls_thread_end(void) {
#ifdef FP_ECC
  wc_ecc_fp_free();
#endif
}

wb_tls *wb_tls_open(wb_tls_context *context, const char *host, wb_error *error) {
  size_t host_bytes = host ? strlen(host) : 0;
  if (context->client ? !host_bytes && !context->insecure : host != NULL) {
    wb_error_set(error, WB_E_INVALID, 0, "TLS connection", "a client names the host, a server does not");
    return NULL;
  }
  if (host_bytes >= HOST_BYTES) {
    wb_error_set(error, WB_E_LIMIT, 0, "TLS connection", "host name of %zu bytes, at most %d", host_bytes, HOST_BYTES - 1);
    return NULL;
  }
  wb_tls_pool_warm();
  wb_tls *tls = calloc(1, sizeof *tls);
  if (!tls) goto no_memory;
  tls->client = context->client;
  tls->first_byte = -1;
  tls->ssl = wolfSSL_new(context->ctx);
  if (!tls->ssl || (aead && !(tls->keys = wb_tls_keys_open()))) goto no_memory;
  wolfSSL_SetIOReadCtx(tls->ssl, tls);
  wolfSSL_SetIOWriteCtx(tls->ssl, tls);
  if (tls->client && host_bytes) {
    memcpy(tls->host, host, host_bytes + 1);
    tls->address_bytes = inet_pton(AF_INET, host, tls->address) == 1    ? 4
                         : inet_pton(AF_INET6, host, tls->address) == 1 ? 16
                                                                        : 0;
    wolfSSL_SetCertCbCtx(tls->ssl, tls);
    if (!tls->address_bytes && (wolfSSL_UseSNI(tls->ssl, WOLFSSL_SNI_HOST_NAME, host, (word16)host_bytes) != WOLFSSL_SUCCESS ||
                                (!context->insecure && wolfSSL_check_domain_name(tls->ssl, host) != WOLFSSL_SUCCESS)))
      goto no_memory;
  }
  return tls;

no_memory:
  wb_tls_close(tls);
  wb_error_set(error, WB_E_MEMORY, ENOMEM, "TLS connection", "no memory");
  return NULL;
}

void wb_tls_close(wb_tls *tls) {
  if (!tls) return;
  wolfSSL_free(tls->ssl);
  wb_tls_keys_close(tls->keys);
  if (tls->out_pinned != tls->out) free(tls->out_pinned);
  free(tls->out);
  free(tls);
}

void wb_tls_feed(wb_tls *tls, const uint8_t *bytes, size_t count) {
  WB_CHECK(!tls->fed_count);
  tls->fed = bytes;
  tls->fed_count = count;
}

size_t wb_tls_fed(const wb_tls *tls) { return tls->fed_count; }

int wb_tls_handshake(wb_tls *tls, wb_error *error) {
  if (tls->failed.code) return fail_again(tls, error);
  if (tls->handshaken) return 1;
  wb_tls_keys_lent = tls->keys;
  int result = tls->client ? wolfSSL_connect(tls->ssl) : wolfSSL_accept(tls->ssl);
  wb_tls_keys_lent = NULL;
  if (result == WOLFSSL_SUCCESS) {
    tls->handshaken = true;
    return 1;
  }
  int code = wolfSSL_get_error(tls->ssl, result);
  return code == WOLFSSL_ERROR_WANT_READ ? 0 : fail(tls, code, "TLS handshake", error);
}

int wb_tls_read(wb_tls *tls, uint8_t *bytes, size_t size, wb_error *error) {
  if (tls->failed.code) return fail_again(tls, error);
  if (!tls->handshaken || !size)
    return wb_error_set(error, WB_E_STATE, 0, "TLS read", "no handshake yet, or no room to read into");
  wb_tls_keys_lent = tls->keys;
  int result = wolfSSL_read(tls->ssl, bytes, size < INT_MAX ? (int)size : INT_MAX);
  wb_tls_keys_lent = NULL;
  if (result > 0) return result;
  int code = wolfSSL_get_error(tls->ssl, result);
  if (code == WOLFSSL_ERROR_WANT_READ) return 0;
  if (code == WOLFSSL_ERROR_ZERO_RETURN) {
    wb_error_set(&tls->failed, WB_E_CLOSED, 0, "TLS read", "the peer has ended the TLS connection");
    return fail_again(tls, error);
  }
  return fail(tls, code, "TLS read", error);
}

int wb_tls_write(wb_tls *tls, const uint8_t *bytes, size_t count, wb_error *error) {
  if (tls->failed.code && tls->failed.code != WB_E_CLOSED) return fail_again(tls, error);
  if (!tls->handshaken) return wb_error_set(error, WB_E_STATE, 0, "TLS write", "no handshake yet");
  if (!count) return 0;
  int record = wolfSSL_GetMaxOutputSize(tls->ssl);
  if (record <= 0) return fail(tls, record, "TLS write", error);
  size_t used = tls->out_tail - tls->out_head;
  if (count > OUTPUT_BYTES_MAX || used + count + (count / (size_t)record + 1) * RECORD_OVERHEAD_MAX > OUTPUT_BYTES_MAX)
    return wb_error_set(error, WB_E_FULL, 0, "TLS write", "%zu bytes wait to be sent, %zu more do not fit", used, count);
  if (!room(tls, count + (count / (size_t)record + 1) * RECORD_OVERHEAD_MAX))
    return wb_error_set(error, WB_E_MEMORY, ENOMEM, "TLS write", "no memory for the output");
  wb_tls_keys_lent = tls->keys;
  int result = wolfSSL_write(tls->ssl, bytes, (int)count);
  wb_tls_keys_lent = NULL;
  return result == (int)count ? 0 : fail(tls, wolfSSL_get_error(tls->ssl, result), "TLS write", error);
}

void wb_tls_shutdown(wb_tls *tls) {
  if (!tls->handshaken || (tls->failed.code && tls->failed.code != WB_E_CLOSED)) return;
  wb_tls_keys_lent = tls->keys;
  wolfSSL_shutdown(tls->ssl);
  wb_tls_keys_lent = NULL;
}

const char *wb_tls_describe(const wb_tls *tls, char *text, size_t size) {
  int suite = wolfSSL_get_current_cipher_suite(tls->ssl);
  const char *cipher = suite ? wolfSSL_get_cipher_name_iana_from_suite((byte)(suite >> 8), (byte)suite) : NULL;
  snprintf(text, size, "%s %s", wolfSSL_get_version(tls->ssl), cipher ? cipher : "no cipher yet");
  return text;
}
