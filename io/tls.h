/* tls.h - TLS 1.2 and 1.3 by wolfSSL, over buffers: wolfSSL's I/O callbacks read and write memory, never a socket.
 *
 * io/tls*.c are the only files that include wolfSSL (GPL-2.0-or-later) and libipsec-mb (BSD-3-Clause); everything else sees this
 * header.
 * What:    give the received ciphertext with wb_tls_feed, then call wb_tls_handshake or wb_tls_read until they say 0; send what
 *          wb_tls_output shows and say so with wb_tls_sent. Plaintext is written straight to where the caller wants it (the head
 *          of a journal), never before its record is authenticated.
 * Checks:  client: chain against the CA file or the system roots, host name or IP address (SAN), SNI sent for names. No
 *          renegotiation, no compression, no resumption, TLS 1.2 with AEAD ECDHE suites or TLS 1.3 only.
 * Errors:  the first one ends the connection; later calls give it again, text included. An alert for the peer may wait in the
 *          output.
 * Memory:  contexts and connections allocate; wb_tls_read and wb_tls_write do not call malloc in steady state (a pool behind
 *          wolfSSL's allocator hooks serves them; the output grows to its largest need and stays).
 * Threads: a context may be used to open connections from one thread at a time; a connection belongs to one thread at a time.
 *          The allocator hooks are the process's: a program that uses wolfSSL itself must open its first context here first.
 * See:     docs/adr/0004-tls-over-buffers.md */
#ifndef WB_IO_TLS_H
#define WB_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

typedef struct wb_tls_context wb_tls_context;
typedef struct wb_tls wb_tls;

/* wb_tls_client_open: ca_file NULL means the system roots (/etc/ssl/certs/ca-certificates.crt, or SSL_CERT_FILE). insecure
 * skips all checks of the peer (the caller allows it for loopback only). NULL on failure, *error filled. */
wb_tls_context *wb_tls_client_open(const char *ca_file, bool insecure, wb_error *error);

/* wb_tls_server_open: PEM files of the chain (leaf first) and its key. NULL on failure: WB_E_CONFIG for a file that cannot be used
 * and for a key of another certificate. */
wb_tls_context *wb_tls_server_open(const char *certificate_file, const char *key_file, wb_error *error);

/* wb_tls_server_demand makes a server take only clients with a certificate of an authority in ca_file (PEM). 0 or WB_E_CONFIG. */
int wb_tls_server_demand(wb_tls_context *context, const char *ca_file, wb_error *error);
void wb_tls_context_close(wb_tls_context *context);

/* wb_tls_open makes a connection of the context, which must outlive it. host: name or IP literal (without brackets) that the
 * certificate must carry (client; NULL only with an insecure context), NULL for a server. */
wb_tls *wb_tls_open(wb_tls_context *context, const char *host, wb_error *error);
void wb_tls_close(wb_tls *tls);

/* wb_tls_thread_end frees what wolfSSL keeps for the calling thread (precomputed points of its elliptic curves, some MiB). Call it on a thread that
 * did handshakes, before it ends. */
void wb_tls_thread_end(void);

/* wb_tls_feed lends ciphertext: bytes[0..count) must stay valid until wb_tls_fed says 0 or wb_tls_close; only when all fed
 * bytes were taken may more be fed. wb_tls_fed returns how many fed bytes were not yet taken. */
void wb_tls_feed(wb_tls *tls, const uint8_t *bytes, size_t count);
size_t wb_tls_fed(const wb_tls *tls);

/* wb_tls_handshake returns 1 when the handshake is done, 0 when it needs more bytes from the peer (look at wb_tls_output in
 * either case), WB_E_CERTIFICATE or WB_E_TLS with *error saying what and why in plain words (wrong host, expired, self-signed,
 * unknown CA, protocol version). */
int wb_tls_handshake(wb_tls *tls, wb_error *error);

/* wb_tls_read decrypts into bytes[0..size), at most one record at a time: > 0 plaintext bytes, 0 all that was fed is taken and
 * more is needed, WB_E_CLOSED after close_notify, WB_E_TLS, WB_E_STATE before the end of the handshake or for size 0. */
int wb_tls_read(wb_tls *tls, uint8_t *bytes, size_t size, wb_error *error);

/* wb_tls_write encrypts all of bytes[0..count) behind what is still in the output. Returns 0, WB_E_TLS, WB_E_STATE before the end
 * of the handshake, WB_E_MEMORY, or WB_E_FULL when the output would grow above its limit (64 MiB); after the last two nothing
 * was written and the connection goes on. */
int wb_tls_write(wb_tls *tls, const uint8_t *bytes, size_t count, wb_error *error);

/* wb_tls_shutdown queues close_notify. */
void wb_tls_shutdown(wb_tls *tls);

/* wb_tls_output shows ciphertext to be sent (NULL, 0 if none); it stays in place until wb_tls_sent takes `count` bytes off its
 * front or more is written. While pinned the bytes shown stay where they are even when more is written: the caller sets it while
 * the kernel reads them, and may then see the same bytes, and more, at another place too. */
const uint8_t *wb_tls_output(wb_tls *tls, size_t *count);
void wb_tls_sent(wb_tls *tls, size_t count);
void wb_tls_pin(wb_tls *tls, bool pinned);

/* wb_tls_certificate_make makes a certificate for localhost, 127.0.0.1 and ::1 (ECDSA P-256, 30 days) and the authority that
 * signs it, and writes both and the key (mode 0600) as PEM files. The authority's own key is not kept. Returns 0, WB_E_INVALID,
 * WB_E_SYSTEM, WB_E_TLS. */
int wb_tls_certificate_make(const char *certificate_file, const char *key_file, const char *ca_file, wb_error *error);

/* wb_tls_describe writes "TLSv1.3 TLS_AES_128_GCM_SHA256" or the like. */
const char *wb_tls_describe(const wb_tls *tls, char *text, size_t size);

#endif
