#include "io/tls_sign.h"

#include <string.h>

#include "io/base64.h"
#include "io/tls_private.h"

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/random.h>

enum { DER_BYTES = 4096, ENCODED_BYTES = 6144, LABEL_BYTES = 32, ECC_DER_BYTES = 80 };
enum { STACK_BYTES = 128 << 10 };

/* What a key's text says; wiped when the key is made. */
typedef struct reading {
  char label[LABEL_BYTES];
  char encoded[ENCODED_BYTES];
  uint8_t der[DER_BYTES];
  word32 der_bytes;
} reading;

/* A key as wolfCrypt has it. */
typedef struct decoded {
  wb_sign_kind kind; /* 0: none */
  union {
    ecc_key ecc;
    ed25519_key ed;
  } of;
} decoded;

static const char what[] = "key", too_long[] = "the PEM text is too long for an ECDSA (P-256) or Ed25519 key";
static const uint8_t rsa_oid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01}; /* RFC 8017 */

static void __attribute__((noinline)) stack_wipe(void) {
  uint8_t room[STACK_BYTES];
  explicit_bzero(room, sizeof room);
}

/* wolfCrypt leaves secrets where its functions had their variables, and in vector registers, which the dynamic linker puts on the stack when it is first
 * asked for a function: so that comes first. */
static void traces_wipe(void) {
  uint8_t some[256];
  wb_tls_pool_wipes = false;
  explicit_bzero(some, sizeof some);
  stack_wipe();
}

/* ------------------------------------------------------------------------------------------------ text of a key */

static const char *find(const char *text, const char *end, const char *word) {
  return text ? memmem(text, (size_t)(end - text), word, strlen(word)) : NULL;
}

/* The first block that is no parameters. Returns what is wrong, or NULL. */
static const char *pem_read(reading *r, const char *text, const char *end) {
  for (;;) {
    const char *label = find(text, end, "-----BEGIN "), *body = NULL, *over;
    if (label) label += 11, body = find(label, end, "-----");
    if (!body || body - label >= LABEL_BYTES) return "the PEM text does not begin as it should";
    memcpy(r->label, label, (size_t)(body - label));
    r->label[body - label] = 0;
    over = find(body += 5, end, "-----END ");
    if (!over) return "the PEM text is cut short: its END line is missing";
    text = over + 9;
    if (strcmp(r->label, "EC PARAMETERS") == 0) continue;
    if (strstr(r->label, "ENCRYPTED") || find(body, over, ",ENCRYPTED"))
      return "the key is encrypted with a password: decrypt it (openssl pkey -in FILE -out FILE)";
    size_t count = 0;
    for (; body < over; body++) {
      bool escaped = *body == '\\' && body + 1 < over && (body[1] == 'n' || body[1] == 'r');
      body += escaped;
      if (escaped || *body == ' ' || *body == '\t' || *body == '\r' || *body == '\n') continue;
      if (count == ENCODED_BYTES) return too_long;
      r->encoded[count++] = *body;
    }
    int bytes = wb_base64_decode(r->encoded, count, r->der, sizeof r->der);
    if (bytes == WB_E_LIMIT) return too_long;
    if (bytes <= 0) return "the PEM text is damaged: between BEGIN and END is no base64";
    r->der_bytes = (word32)bytes;
    return NULL;
  }
}

static const char *is_no_private_key(const reading *r) {
  if (strstr(r->label, "RSA") || memmem(r->der, r->der_bytes, rsa_oid, sizeof rsa_oid))
    return "an RSA key: one of the kinds ECDSA (P-256) or Ed25519 is needed";
  if (strstr(r->label, "PUBLIC") || strstr(r->label, "CERTIFICATE")) return "a public key: the private one is needed";
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ keys of wolfCrypt */

static int ecc_begin(decoded *d) {
  d->kind = WB_SIGN_ES256;
  return wc_ecc_init_ex(&d->of.ecc, NULL, INVALID_DEVID);
}

static int ed25519_begin(decoded *d) {
  d->kind = WB_SIGN_EDDSA;
  return wc_ed25519_init_ex(&d->of.ed, NULL, INVALID_DEVID);
}

static void decoded_free(decoded *d) {
  if (d->kind == WB_SIGN_ES256) wc_ecc_free(&d->of.ecc);
  if (d->kind == WB_SIGN_EDDSA) wc_ed25519_free(&d->of.ed);
  explicit_bzero(d, sizeof *d);
}

static bool is_p256(decoded *d) { return wc_ecc_get_curve_id(d->of.ecc.idx) == ECC_SECP256R1; }

static int ecc_check(ecc_key *key, const void *bytes, size_t count, const uint8_t signature[WB_SIGN_BYTES], int *good) {
  uint8_t hash[WC_SHA256_DIGEST_SIZE], der[ECC_DER_BYTES];
  word32 der_bytes = sizeof der;
  int code = wc_Sha256Hash(bytes, (word32)count, hash);
  if (!code)
    code = wc_ecc_rs_raw_to_sig(signature, WB_SIGN_HALF_BYTES, signature + WB_SIGN_HALF_BYTES, WB_SIGN_HALF_BYTES, der,
                                &der_bytes);
  return code ? code : wc_ecc_verify_hash(der, der_bytes, hash, sizeof hash, good, key);
}

static bool decoded_check(decoded *d, const void *bytes, size_t count, const uint8_t signature[WB_SIGN_BYTES]) {
  int good = 0, code = d->kind == WB_SIGN_ES256
                           ? ecc_check(&d->of.ecc, bytes, count, signature, &good)
                           : wc_ed25519_verify_msg(signature, WB_SIGN_BYTES, bytes, (word32)count, &good, &d->of.ed);
  return !code && good;
}

/* ------------------------------------------------------------------------------------------------ signing */

static int ecc_sign(decoded *d, const wb_sign_key *key, const void *bytes, size_t count, uint8_t signature[WB_SIGN_BYTES]) {
  uint8_t hash[WC_SHA256_DIGEST_SIZE], der[ECC_DER_BYTES], half[2][WB_SIGN_HALF_BYTES];
  word32 der_bytes = sizeof der, half_bytes[2] = {WB_SIGN_HALF_BYTES, WB_SIGN_HALF_BYTES};
  WC_RNG random; /* only blinds */
  int code = ecc_begin(d);
  if (!code) code = wc_ecc_import_private_key_ex(key->secret, sizeof key->secret, NULL, 0, &d->of.ecc, ECC_SECP256R1);
  if (!code) code = wc_ecc_set_deterministic(&d->of.ecc, 1);
  if (!code) code = wc_Sha256Hash(bytes, (word32)count, hash);
  if (!code) code = wc_InitRng(&random);
  if (code) return code;
  code = wc_ecc_sign_hash(hash, sizeof hash, der, &der_bytes, &random, &d->of.ecc);
  wc_FreeRng(&random);
  if (!code) code = wc_ecc_sig_to_rs(der, der_bytes, half[0], &half_bytes[0], half[1], &half_bytes[1]);
  for (int i = 0; i < 2 && !code; i++) {
    memset(signature + i * WB_SIGN_HALF_BYTES, 0, WB_SIGN_HALF_BYTES - half_bytes[i]);
    memcpy(signature + (i + 1) * WB_SIGN_HALF_BYTES - half_bytes[i], half[i], half_bytes[i]);
  }
  return code;
}

static int ed25519_sign(decoded *d, const wb_sign_key *key, const void *bytes, size_t count, uint8_t signature[WB_SIGN_BYTES]) {
  word32 signature_bytes = WB_SIGN_BYTES;
  int code = ed25519_begin(d);
  if (!code) code = wc_ed25519_import_private_key(key->secret, sizeof key->secret, key->public, sizeof key->public, &d->of.ed);
  return code ? code : wc_ed25519_sign_msg(bytes, (word32)count, signature, &signature_bytes, &d->of.ed);
}

int wb_sign(const wb_sign_key *key, const void *bytes, size_t count, uint8_t signature[WB_SIGN_BYTES]) {
  decoded d = {0};
  wb_tls_pool_wipes = true;
  int code =
      key->kind == WB_SIGN_ES256 ? ecc_sign(&d, key, bytes, count, signature) : ed25519_sign(&d, key, bytes, count, signature);
  decoded_free(&d);
  traces_wipe();
  return code ? WB_E_TLS : 0;
}

int wb_sign_hmac(const void *secret, size_t secret_bytes, const void *bytes, size_t count, uint8_t mac[WB_SIGN_HMAC_BYTES]) {
  Hmac hmac;
  wb_tls_pool_wipes = true;
  int code = wc_HmacInit(&hmac, NULL, INVALID_DEVID);
  if (!code) code = wc_HmacSetKey(&hmac, WC_SHA256, secret, (word32)secret_bytes);
  if (!code) code = wc_HmacUpdate(&hmac, bytes, (word32)count);
  if (!code) code = wc_HmacFinal(&hmac, mac);
  wc_HmacFree(&hmac);
  explicit_bzero(&hmac, sizeof hmac);
  traces_wipe();
  return code ? WB_E_TLS : 0;
}

/* ------------------------------------------------------------------------------------------------ reading keys */

/* All three return 1 for a key, 0 for none of their kind, or wolfCrypt's error. */
static int ed25519_read(decoded *d, const reading *r, wb_sign_key *key) {
  word32 at = 0, secret_bytes = sizeof key->secret, public_bytes = sizeof key->public;
  int code = ed25519_begin(d);
  if (code) return code;
  if (wc_Ed25519PrivateKeyDecode(r->der, &at, &d->of.ed, r->der_bytes)) {
    decoded_free(d);
    return 0;
  }
  if (!d->of.ed.pubKeySet) code = wc_ed25519_make_public(&d->of.ed, d->of.ed.p, ED25519_PUB_KEY_SIZE);
  if (!code) code = wc_ed25519_export_private_only(&d->of.ed, key->secret, &secret_bytes);
  if (!code) code = wc_ed25519_export_public(&d->of.ed, key->public, &public_bytes);
  return code ? code : 1;
}

static int ecc_read(decoded *d, const reading *r, wb_sign_key *key) {
  word32 at = 0, secret_bytes = sizeof key->secret;
  WC_RNG random;
  int code = ecc_begin(d);
  if (code) return code;
  if (wc_EccPrivateKeyDecode(r->der, &at, &d->of.ecc, r->der_bytes)) return 0;
  if (!is_p256(d)) return 1; /* for the caller to see */
  if (d->of.ecc.type == ECC_PRIVATEKEY_ONLY && !(code = wc_InitRng(&random))) {
    code = wc_ecc_make_pub_ex(&d->of.ecc, NULL, &random);
    wc_FreeRng(&random);
  }
  if (!code) code = wc_ecc_export_private_only(&d->of.ecc, key->secret, &secret_bytes);
  return code ? code : 1;
}

static int base64_read(decoded *d, const uint8_t bytes[WB_SIGN_BYTES], wb_sign_key *key) {
  memcpy(key->secret, bytes, sizeof key->secret);
  memcpy(key->public, bytes + sizeof key->secret, sizeof key->public);
  int code = ed25519_begin(d);
  if (!code) code = wc_ed25519_import_public(key->public, sizeof key->public, &d->of.ed);
  return code ? code : 1;
}

/* What is wrong, or NULL. */
static const char *key_read(decoded *d, reading *r, const char *text, size_t count, wb_sign_key *key) {
  static const char trial[] = "a trial";
  uint8_t signature[WB_SIGN_BYTES];
  int code;
  if (find(text, text + count, "-----BEGIN ")) {
    const char *wrong = pem_read(r, text, text + count);
    if (!wrong) wrong = is_no_private_key(r);
    if (wrong) return wrong;
    code = ed25519_read(d, r, key);
    if (code == 0) code = ecc_read(d, r, key);
    if (code == 0) return "the PEM text holds no EC or Ed25519 private key";
    if (d->kind == WB_SIGN_ES256 && !is_p256(d)) return "an EC key of another curve than P-256 (prime256v1, secp256r1)";
  } else {
    if (wb_base64_decode(text, count, r->der, sizeof r->der) != WB_SIGN_BYTES)
      return "the private key is neither PEM text nor the base64 of 64 bytes (Ed25519)";
    code = base64_read(d, r->der, key);
  }
  key->kind = d->kind;
  if (code != 1 || wb_sign(key, trial, sizeof trial, signature) || !decoded_check(d, trial, sizeof trial, signature))
    return "this is no key: its public half does not belong to its private one";
  return NULL;
}

int wb_sign_key_read(wb_sign_key *key, const char *text, size_t count, wb_error *error) {
  decoded d = {0};
  reading r;
  memset(key, 0, sizeof *key);
  int result = wb_tls_start(error);
  if (result) return result;
  wb_tls_pool_wipes = true;
  const char *wrong = key_read(&d, &r, text, count, key);
  wb_tls_pool_wipes = true; /* a signature has been made meanwhile */
  decoded_free(&d);
  explicit_bzero(&r, sizeof r);
  traces_wipe();
  if (!wrong) return 0;
  explicit_bzero(key, sizeof *key);
  return wb_error_set(error, WB_E_CONFIG, 0, what, "%s", wrong);
}

/* ------------------------------------------------------------------------------------------------ public keys */

static const char *public_read(decoded *d, const char *text, size_t count) {
  reading r;
  word32 at = 0;
  const char *wrong = pem_read(&r, text, text + count);
  if (wrong) return wrong;
  if (strcmp(r.label, "PUBLIC KEY") != 0) return "not the PEM text of a public key";
  if (!ed25519_begin(d) && !wc_Ed25519PublicKeyDecode(r.der, &at, &d->of.ed, r.der_bytes)) return NULL;
  decoded_free(d);
  at = 0;
  if (!ecc_begin(d) && !wc_EccPublicKeyDecode(r.der, &at, &d->of.ecc, r.der_bytes) && is_p256(d)) return NULL;
  return "not a public key of P-256 or Ed25519";
}

int wb_sign_public_kind(const char *text, size_t count, wb_error *error) {
  decoded d = {0};
  int result = wb_tls_start(error);
  if (result) return result;
  const char *wrong = public_read(&d, text, count);
  result = wrong ? wb_error_set(error, WB_E_CONFIG, 0, what, "%s", wrong) : (int)d.kind;
  decoded_free(&d);
  return result;
}

bool wb_sign_check(const char *text, size_t text_count, const void *bytes, size_t count,
                   const uint8_t signature[WB_SIGN_BYTES]) {
  decoded d = {0};
  bool good = !wb_tls_start(NULL) && !public_read(&d, text, text_count) && decoded_check(&d, bytes, count, signature);
  decoded_free(&d);
  return good;
}
