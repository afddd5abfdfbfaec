/* chain_wolfssl.h - a TLS 1.3 client of wolfSSL as the system installs it, over memory: what io/tls is held against. io/tls must have opened a
 * context before. The peer is not checked. */
#ifndef WB_BENCH_REFERENCE_CHAIN_WOLFSSL_H
#define WB_BENCH_REFERENCE_CHAIN_WOLFSSL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

typedef struct stock_tls {
  WOLFSSL_CTX *context;
  WOLFSSL *ssl;
  const uint8_t *in; /* fed, not taken yet */
  size_t in_count;
  uint8_t out[16384];
  size_t out_count;
} stock_tls;

static inline int stock_tls_take(WOLFSSL *ssl, char *bytes, int size, void *self) {
  stock_tls *s = self;
  if (!s->in_count) return WOLFSSL_CBIO_ERR_WANT_READ;
  size_t count = s->in_count < (size_t)size ? s->in_count : (size_t)size;
  memcpy(bytes, s->in, count);
  s->in += count;
  s->in_count -= count;
  return (int)count;
}

static inline int stock_tls_give(WOLFSSL *ssl, char *bytes, int size, void *self) {
  stock_tls *s = self;
  if ((size_t)size > sizeof s->out - s->out_count) return WOLFSSL_CBIO_ERR_GENERAL;
  memcpy(s->out + s->out_count, bytes, (size_t)size);
  s->out_count += (size_t)size;
  return size;
}

static inline void stock_tls_close(stock_tls *s) {
  wolfSSL_free(s->ssl);
  wolfSSL_CTX_free(s->context);
  free(s);
}

static inline stock_tls *stock_tls_open(const char *suite) {
  stock_tls *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->context = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
  if (s->context && wolfSSL_CTX_set_cipher_list(s->context, suite) == WOLFSSL_SUCCESS) {
    wolfSSL_CTX_set_verify(s->context, WOLFSSL_VERIFY_NONE, NULL);
    wolfSSL_CTX_SetIORecv(s->context, stock_tls_take);
    wolfSSL_CTX_SetIOSend(s->context, stock_tls_give);
    s->ssl = wolfSSL_new(s->context);
  }
  if (!s->ssl) {
    stock_tls_close(s);
    return NULL;
  }
  wolfSSL_SetIOReadCtx(s->ssl, s);
  wolfSSL_SetIOWriteCtx(s->ssl, s);
  return s;
}

static inline void stock_tls_feed(stock_tls *s, const uint8_t *bytes, size_t count) {
  s->in = bytes;
  s->in_count = count;
}

/* 1 when it is done, 0 when it needs more, -1 when it failed. */
static inline int stock_tls_handshake(stock_tls *s) {
  if (wolfSSL_connect(s->ssl) == WOLFSSL_SUCCESS) return 1;
  int why = wolfSSL_get_error(s->ssl, 0);
  return why == WOLFSSL_ERROR_WANT_READ || why == WOLFSSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* As wb_tls_read: bytes of one record, 0 when all that was fed is taken, -1 for an error. */
static inline int stock_tls_read(stock_tls *s, uint8_t *bytes, size_t size) {
  int n = wolfSSL_read(s->ssl, bytes, (int)size);
  return n > 0 ? n : wolfSSL_get_error(s->ssl, n) == WOLFSSL_ERROR_WANT_READ ? 0 : -1;
}

#endif
