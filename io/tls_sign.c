#include "io/tls_sign.h"

#include <string.h>

#include "io/base64.h"
#include "io/tls_private.h"

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/random.h>

enum { HALF_BYTES = WB_SIGN_BYTES / 2, DER_BYTES = 4096, ENCODED_BYTES = 6144, LABEL_BYTES = 32, ECC_DER_BYTES = 80 };
enum { STACK_BYTES = 32 << 10 };

/* What a key's text says; wiped when the key is made. */
typedef struct reading {
  char label[LABEL_BYTES];
  char encoded[ENCODED_BYTES];
  uint8_t der[DER_BYTES];
  word32 der_bytes;
} reading;

struct wb_sign_key {
  wb_sign_kind kind;
  union {
    ecc_key ecc;
    ed25519_key ed;
  } of;
  reading reading;
};

static const char what[] = "key", too_long[] = "the PEM text is too long for an ECDSA (P-256) or Ed25519 key";
static const uint8_t rsa_oid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01}; /* RFC 8017 */

/* wolfCrypt leaves halves of secrets where its functions had their variables. */
static void __attribute__((noinline)) stack_wipe(void) {
  uint8_t room[STACK_BYTES];
  explicit_bzero(room, sizeof room);
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

/* ------------------------------------------------------------------------------------------------ private keys */

size_t wb_sign_key_bytes(void) { return sizeof(wb_sign_key); }
wb_sign_kind wb_sign_key_kind(const wb_sign_key *key) { return key->kind; }

static int ed25519_begin(wb_sign_key *key) {
  key->kind = WB_SIGN_EDDSA;
  return wc_ed25519_init_ex(&key->of.ed, NULL, INVALID_DEVID);
}

static int ed25519_public(ed25519_key *ed) {
  if (ed->pubKeySet) return 0;
  int code = wc_ed25519_make_public(ed, ed->p, ED25519_PUB_KEY_SIZE);
  if (!code) memcpy(ed->k + ED25519_KEY_SIZE, ed->p, ED25519_PUB_KEY_SIZE);
  return code;
}

/* Returns 1 for a key, 0 for none of this kind, or wolfCrypt's error. */
static int ed25519_read(wb_sign_key *key) {
  word32 at = 0;
  int code = ed25519_begin(key);
  if (code) return code;
  if (wc_Ed25519PrivateKeyDecode(key->reading.der, &at, &key->of.ed, key->reading.der_bytes)) {
    wc_ed25519_free(&key->of.ed);
    return 0;
  }
  code = ed25519_public(&key->of.ed);
  return code ? code : 1;
}

static int ecc_read(wb_sign_key *key, WC_RNG *random) {
  word32 at = 0;
  key->kind = WB_SIGN_ES256;
  int code = wc_ecc_init_ex(&key->of.ecc, NULL, INVALID_DEVID);
  if (code) return code;
  if (wc_EccPrivateKeyDecode(key->reading.der, &at, &key->of.ecc, key->reading.der_bytes)) return 0;
  if (wc_ecc_get_curve_id(key->of.ecc.idx) != ECC_SECP256R1) return 1; /* the caller sees it, too */
  if (key->of.ecc.type == ECC_PRIVATEKEY_ONLY) code = wc_ecc_make_pub_ex(&key->of.ecc, NULL, random);
  if (!code) code = wc_ecc_set_deterministic(&key->of.ecc, 1);
  return code ? code : 1;
}

static int key_read(wb_sign_key *key, const char *text, size_t count, WC_RNG *random, wb_error *error) {
  reading *r = &key->reading;
  const char *wrong = NULL;
  int code;
  if (find(text, text + count, "-----BEGIN ")) {
    wrong = pem_read(r, text, text + count);
    if (!wrong) wrong = is_no_private_key(r);
    if (wrong) return wb_error_set(error, WB_E_CONFIG, 0, what, "%s", wrong);
    code = ed25519_read(key);
    if (code == 0) code = ecc_read(key, random);
    if (code == 0) return wb_error_set(error, WB_E_CONFIG, 0, what, "the PEM text holds no EC or Ed25519 private key");
    if (code == 1 && key->kind == WB_SIGN_ES256 && wc_ecc_get_curve_id(key->of.ecc.idx) != ECC_SECP256R1)
      return wb_error_set(error, WB_E_CONFIG, 0, what, "an EC key of another curve than P-256 (prime256v1, secp256r1)");
    return code == 1 ? 0 : code;
  }
  int bytes = wb_base64_decode(text, count, r->der, sizeof r->der);
  if (bytes != ED25519_PRV_KEY_SIZE)
    return wb_error_set(error, WB_E_CONFIG, 0, what,
                        "the private key is neither PEM text nor the base64 of 64 bytes (Ed25519)");
  code = ed25519_begin(key);
  return code ? code
              : wc_ed25519_import_private_key(r->der, ED25519_KEY_SIZE, r->der + ED25519_KEY_SIZE, ED25519_PUB_KEY_SIZE,
                                              &key->of.ed);
}

void wb_sign_key_fini(wb_sign_key *key) {
  if (key->kind == WB_SIGN_ES256) wc_ecc_free(&key->of.ecc);
  if (key->kind == WB_SIGN_EDDSA) wc_ed25519_free(&key->of.ed);
  explicit_bzero(key, sizeof *key);
}

/* ------------------------------------------------------------------------------------------------ signing */

static int ecc_sign(ecc_key *key, const void *bytes, size_t count, uint8_t signature[WB_SIGN_BYTES]) {
  uint8_t hash[WC_SHA256_DIGEST_SIZE], der[ECC_DER_BYTES], half[2][HALF_BYTES];
  word32 der_bytes = sizeof der, half_bytes[2] = {HALF_BYTES, HALF_BYTES};
  WC_RNG random; /* only blinds */
  int code = wc_Sha256Hash(bytes, (word32)count, hash);
  if (!code) code = wc_InitRng(&random);
  if (code) return code;
  code = wc_ecc_sign_hash(hash, sizeof hash, der, &der_bytes, &random, key);
  wc_FreeRng(&random);
  if (!code) code = wc_ecc_sig_to_rs(der, der_bytes, half[0], &half_bytes[0], half[1], &half_bytes[1]);
  for (int i = 0; i < 2 && !code; i++) {
    memset(signature + i * HALF_BYTES, 0, HALF_BYTES - half_bytes[i]);
    memcpy(signature + (i + 1) * HALF_BYTES - half_bytes[i], half[i], half_bytes[i]);
  }
  return code;
}

int wb_sign(wb_sign_key *key, const void *bytes, size_t count, uint8_t signature[WB_SIGN_BYTES]) {
  word32 signature_bytes = WB_SIGN_BYTES;
  int code = key->kind == WB_SIGN_ES256 ? ecc_sign(&key->of.ecc, bytes, count, signature)
                                        : wc_ed25519_sign_msg(bytes, (word32)count, signature, &signature_bytes, &key->of.ed);
  stack_wipe();
  return code ? WB_E_TLS : 0;
}

int wb_sign_hmac(const void *secret, size_t secret_bytes, const void *bytes, size_t count, uint8_t mac[WB_SIGN_HMAC_BYTES]) {
  Hmac hmac;
  int code = wc_HmacInit(&hmac, NULL, INVALID_DEVID);
  if (!code) code = wc_HmacSetKey(&hmac, WC_SHA256, secret, (word32)secret_bytes);
  if (!code) code = wc_HmacUpdate(&hmac, bytes, (word32)count);
  if (!code) code = wc_HmacFinal(&hmac, mac);
  wc_HmacFree(&hmac);
  explicit_bzero(&hmac, sizeof hmac);
  stack_wipe();
  return code ? WB_E_TLS : 0;
}

/* ------------------------------------------------------------------------------------------------ checking */

static int ecc_check(ecc_key *key, const void *bytes, size_t count, const uint8_t signature[WB_SIGN_BYTES]) {
  uint8_t hash[WC_SHA256_DIGEST_SIZE], der[ECC_DER_BYTES];
  word32 der_bytes = sizeof der;
  int good = 0, code = wc_Sha256Hash(bytes, (word32)count, hash);
  if (!code) code = wc_ecc_rs_raw_to_sig(signature, HALF_BYTES, signature + HALF_BYTES, HALF_BYTES, der, &der_bytes);
  if (!code) code = wc_ecc_verify_hash(der, der_bytes, hash, sizeof hash, &good, key);
  return !code && good;
}

static bool key_check(wb_sign_key *key, const void *bytes, size_t count, const uint8_t signature[WB_SIGN_BYTES]) {
  int good = 0;
  if (key->kind == WB_SIGN_ES256) return ecc_check(&key->of.ecc, bytes, count, signature);
  return !wc_ed25519_verify_msg(signature, WB_SIGN_BYTES, bytes, (word32)count, &good, &key->of.ed) && good;
}

int wb_sign_key_init(wb_sign_key *key, const char *text, size_t count, wb_error *error) {
  static const char trial[] = "a trial";
  uint8_t signature[WB_SIGN_BYTES];
  WC_RNG random;
  int result = wb_tls_start(error);
  if (result) return result;
  memset(key, 0, sizeof *key);
  int code = wc_InitRng(&random);
  if (code) return wb_error_set(error, WB_E_TLS, 0, what, "no random numbers (%d)", code);
  code = key_read(key, text, count, &random, error);
  wc_FreeRng(&random);
  stack_wipe();
  explicit_bzero(&key->reading, sizeof key->reading);
  if (code == WB_E_CONFIG) result = code;
  else if (code || wb_sign(key, trial, sizeof trial, signature) || !key_check(key, trial, sizeof trial, signature))
    result = wb_error_set(error, WB_E_CONFIG, 0, what, "this is no key: its public half does not belong to its private one");
  if (result) wb_sign_key_fini(key);
  return result;
}

/* ------------------------------------------------------------------------------------------------ public keys */

static int public_read(wb_sign_key *key, const char *text, size_t count, wb_error *error) {
  reading *r = &key->reading;
  memset(key, 0, sizeof *key);
  const char *wrong = pem_read(r, text, text + count);
  if (!wrong && strcmp(r->label, "PUBLIC KEY") != 0) wrong = "not the PEM text of a public key";
  if (wrong) return wb_error_set(error, WB_E_CONFIG, 0, what, "%s", wrong);
  word32 at = 0;
  if (!ed25519_begin(key) && !wc_Ed25519PublicKeyDecode(r->der, &at, &key->of.ed, r->der_bytes)) return key->kind;
  at = 0;
  key->kind = WB_SIGN_ES256;
  if (!wc_ecc_init_ex(&key->of.ecc, NULL, INVALID_DEVID) && !wc_EccPublicKeyDecode(r->der, &at, &key->of.ecc, r->der_bytes) &&
      wc_ecc_get_curve_id(key->of.ecc.idx) == ECC_SECP256R1)
    return key->kind;
  return wb_error_set(error, WB_E_CONFIG, 0, what, "not a public key of P-256 or Ed25519");
}

int wb_sign_public_kind(const char *text, size_t count, wb_error *error) {
  wb_sign_key key;
  int result = wb_tls_start(error);
  if (result) return result;
  result = public_read(&key, text, count, error);
  wb_sign_key_fini(&key);
  return result;
}

bool wb_sign_check(const char *text, size_t text_count, const void *bytes, size_t count,
                   const uint8_t signature[WB_SIGN_BYTES]) {
  wb_sign_key key;
  bool good = !wb_tls_start(NULL) && public_read(&key, text, text_count, NULL) > 0 && key_check(&key, bytes, count, signature);
  wb_sign_key_fini(&key);
  return good;
}
