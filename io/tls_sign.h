/* tls_sign.h - signatures of a login by wolfCrypt: HMAC-SHA256, ECDSA P-256 with SHA-256 (ES256), Ed25519 (EdDSA).
 *
 * io/tls*.c are the only files that include wolfSSL (GPL-2.0-or-later).
 * What:    a private key is made from the text that it is handed out as, and signs; a public one checks.
 * Secret:  a private key is plain data, in memory that the caller chooses and protects. wolfCrypt sees it during a call only: what it leaves on the stack and in
 *          its memory is wiped before the function returns. ES256 is deterministic (RFC 6979): no random number can give the key away.
 * Memory:  wolfCrypt allocates while it works (from the pool of io/tls.h), and keeps some MiB of precomputed points a thread: wb_tls_thread_end.
 * Cost:    2 us for an HMAC, 40 for Ed25519, 90 for ES256 (600 for the first of a thread), most of the first for wiping; 128 KiB of stack.
 * Threads: any.
 * Source:  RFC 2104, RFC 6979, RFC 7518 section 3.4, RFC 8032; keys: RFC 5915, RFC 5958, RFC 7468, RFC 8410. */
#ifndef WB_IO_TLS_SIGN_H
#define WB_IO_TLS_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

enum { WB_SIGN_BYTES = 64, WB_SIGN_HMAC_BYTES = 32, WB_SIGN_HALF_BYTES = 32 };
typedef enum { WB_SIGN_ES256 = 1, WB_SIGN_EDDSA } wb_sign_kind;

/* public: of Ed25519 alone. */
typedef struct wb_sign_key {
  wb_sign_kind kind;
  uint8_t secret[WB_SIGN_HALF_BYTES], public[WB_SIGN_HALF_BYTES];
} wb_sign_key;

/* wb_sign_key_read makes a key of text[0..count): PEM (EC PRIVATE KEY or PRIVATE KEY, of P-256 or Ed25519; line ends may be the two characters \n, or blanks),
 * or the base64 of 64 bytes, an Ed25519 seed and its public key. Returns 0; WB_E_CONFIG, with a detail that says what the text is instead and never repeats
 * any of it; WB_E_TLS where wolfCrypt fails. A key whose halves do not belong together is refused. *key is zero after an error. */
int wb_sign_key_read(wb_sign_key *key, const char *text, size_t count, wb_error *error);

/* wb_sign signs bytes[0..count): r and s of ES256, R and S of EdDSA, 32 bytes each. Returns 0 or WB_E_TLS. */
int wb_sign(const wb_sign_key *key, const void *bytes, size_t count, uint8_t signature[WB_SIGN_BYTES]);

/* wb_sign_hmac: HMAC-SHA256 of bytes[0..count). Returns 0 or WB_E_TLS. */
int wb_sign_hmac(const void *secret, size_t secret_bytes, const void *bytes, size_t count, uint8_t mac[WB_SIGN_HMAC_BYTES]);

/* wb_sign_public_kind tells what kind of public key a PEM text (PUBLIC KEY) holds: WB_SIGN_*, or WB_E_CONFIG. wb_sign_check: whether signature is that
 * key's for bytes[0..count). */
int wb_sign_public_kind(const char *text, size_t count, wb_error *error);
bool wb_sign_check(const char *text, size_t text_count, const void *bytes, size_t count,
                   const uint8_t signature[WB_SIGN_BYTES]);

#endif
