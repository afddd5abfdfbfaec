#include "tools/mock_login.h"

#include <stdlib.h>
#include <string.h>

#include "io/base64.h"
#include "io/tls_sign.h"

enum { SKEW_S_MAX = 30, JWT_SECONDS_MAX = 120, PART_BYTES = 2048, SECRET_BYTES_MAX = 512 };

typedef enum { ACCEPTED, KIND, KEY, SIGNATURE, PASSPHRASE, TIMESTAMP, EXPIRED, MALFORMED, OUTCOMES } outcome;

static const char *const outcome_names[OUTCOMES] = {"accepted",         "wrong_kind",      "unknown_key", "wrong_signature",
                                                    "wrong_passphrase", "wrong_timestamp", "expired",     "malformed"};
/* As the Exchange says it: JSON within the reason. Advanced Trade says the same of everything. */
static const char *const reasons[OUTCOMES] = {NULL,
                                              "{\"message\":\"Invalid API Key\"}",
                                              "{\"message\":\"Invalid API Key\"}",
                                              "{\"message\":\"invalid signature\"}",
                                              "{\"message\":\"Invalid Passphrase\"}",
                                              "{\"message\":\"request timestamp expired\"}",
                                              "{\"message\":\"request timestamp expired\"}",
                                              "{\"message\":\"invalid timestamp\"}"};

struct wb_mock_login {
  json_t *accounts;
  int64_t ahead_s;
  uint64_t count[OUTCOMES];
};

/* ------------------------------------------------------------------------------------------------ accounts */

static bool has_texts(const json_t *account, const char *const *members) {
  for (; *members; members++)
    if (!json_is_string(json_object_get(account, *members))) return false;
  return true;
}

static int check_accounts(const json_t *root, const char *file, wb_error *error) {
  static const char *const exchange[] = {"key", "secret", "passphrase", NULL}, *const advanced[] = {"name", "publicKey", NULL};
  const json_t *account;
  size_t i;
  json_array_foreach(json_object_get(root, "exchange"), i, account) {
    uint8_t secret[SECRET_BYTES_MAX];
    const char *text = json_string_value(json_object_get(account, "secret"));
    if (!has_texts(account, exchange) || wb_base64_decode(text, strlen(text), secret, sizeof secret) <= 0)
      return wb_error_set(error, WB_E_CONFIG, 0, "logins",
                          "%.160s: an account of \"exchange\" has key, secret (base64) and passphrase", file);
  }
  json_array_foreach(json_object_get(root, "advanced"), i, account) {
    const char *text = json_string_value(json_object_get(account, "publicKey"));
    if (!has_texts(account, advanced) || wb_sign_public_kind(text, strlen(text), NULL) < 0)
      return wb_error_set(error, WB_E_CONFIG, 0, "logins",
                          "%.160s: an account of \"advanced\" has name and publicKey (PEM, P-256 or Ed25519)", file);
  }
  return 0;
}

wb_mock_login *wb_mock_login_open(const char *file, int64_t ahead_s, wb_error *error) {
  json_error_t where;
  json_t *root = json_load_file(file, JSON_REJECT_DUPLICATES, &where);
  if (!json_is_object(root)) {
    wb_error_set(error, WB_E_CONFIG, 0, "logins", "%.120s: %.120s", file, root ? "not an object" : where.text);
    json_decref(root);
    return NULL;
  }
  wb_mock_login *login = check_accounts(root, file, error) ? NULL : calloc(1, sizeof *login);
  if (!login) {
    json_decref(root);
    return NULL;
  }
  login->accounts = root;
  login->ahead_s = ahead_s;
  return login;
}

void wb_mock_login_close(wb_mock_login *login) {
  if (!login) return;
  json_decref(login->accounts);
  free(login);
}

static const json_t *find(const wb_mock_login *login, const char *list, const char *member, const char *name) {
  const json_t *account;
  size_t i;
  json_array_foreach(json_object_get(login->accounts, list), i,
                     account) if (strcmp(json_string_value(json_object_get(account, member)), name) == 0) return account;
  return NULL;
}

static const char *counted(wb_mock_login *login, outcome what, const char *said) {
  login->count[what]++;
  return what == ACCEPTED ? NULL : said;
}

json_t *wb_mock_login_json(const wb_mock_login *login) {
  json_t *object = json_object();
  for (int i = 0; i < OUTCOMES; i++)
    if (i == ACCEPTED || login->count[i])
      json_object_set_new(object, outcome_names[i], json_integer((json_int_t)login->count[i]));
  return object;
}

/* ------------------------------------------------------------------------------------------------ Exchange */

static outcome check_fields(const wb_mock_login *login, const json_t *message, int64_t now_s) {
  const char *key = json_string_value(json_object_get(message, "key")),
             *signature = json_string_value(json_object_get(message, "signature")),
             *passphrase = json_string_value(json_object_get(message, "passphrase"));
  const json_t *timestamp = json_object_get(message, "timestamp");
  char time[32], text[64], expected[WB_BASE64_BYTES(WB_SIGN_HMAC_BYTES) + 1];
  if (json_is_string(timestamp)) snprintf(time, sizeof time, "%s", json_string_value(timestamp));
  else if (json_is_integer(timestamp)) snprintf(time, sizeof time, "%lld", (long long)json_integer_value(timestamp));
  else return MALFORMED;
  char *end;
  long long at_s = strtoll(time, &end, 10);
  if (!key || !signature || !passphrase || end == time || end[strspn(end, ".0123456789")]) return MALFORMED;
  if (find(login, "advanced", "name", key)) return KIND;
  const json_t *account = find(login, "exchange", "key", key);
  if (!account) return KEY;
  if (at_s < now_s - SKEW_S_MAX || at_s > now_s + SKEW_S_MAX) return TIMESTAMP;
  uint8_t secret[SECRET_BYTES_MAX], mac[WB_SIGN_HMAC_BYTES];
  const char *secret_text = json_string_value(json_object_get(account, "secret"));
  int secret_bytes = wb_base64_decode(secret_text, strlen(secret_text), secret, sizeof secret);
  int bytes = snprintf(text, sizeof text, "%sGET/users/self/verify", time);
  if (wb_sign_hmac(secret, (size_t)secret_bytes, text, (size_t)bytes, mac)) return SIGNATURE;
  wb_base64_encode(mac, sizeof mac, expected);
  if (strcmp(signature, expected) != 0) return SIGNATURE;
  return strcmp(passphrase, json_string_value(json_object_get(account, "passphrase"))) == 0 ? ACCEPTED : PASSPHRASE;
}

const char *wb_mock_login_fields(wb_mock_login *login, const json_t *message, int64_t utc_ns) {
  outcome what = check_fields(login, message, utc_ns / 1000000000 + login->ahead_s);
  return counted(login, what, reasons[what]);
}

/* ------------------------------------------------------------------------------------------------ Advanced Trade */

static json_t *part_of(const char *text, size_t count) {
  char bytes[PART_BYTES];
  int got = wb_base64url_decode(text, count, bytes, sizeof bytes);
  json_t *part = got > 0 ? json_loadb(bytes, (size_t)got, JSON_REJECT_DUPLICATES, NULL) : NULL;
  if (json_is_object(part)) return part;
  json_decref(part);
  return NULL;
}

static bool says(const json_t *part, const char *member, const char *text) {
  const char *value = json_string_value(json_object_get(part, member));
  return value && text && strcmp(value, text) == 0;
}

static outcome check_claims(const json_t *claims, int64_t now_s) {
  const json_t *nbf = json_object_get(claims, "nbf"), *exp = json_object_get(claims, "exp");
  if (!json_is_integer(nbf) || !json_is_integer(exp) || !says(claims, "iss", "cdp") || json_object_get(claims, "uri"))
    return MALFORMED;
  json_int_t from_s = json_integer_value(nbf), to_s = json_integer_value(exp);
  if (to_s < from_s || to_s - from_s > JWT_SECONDS_MAX) return MALFORMED;
  if (to_s < now_s) return EXPIRED;
  return from_s > now_s + SKEW_S_MAX ? TIMESTAMP : ACCEPTED;
}

static outcome check_parts(const wb_mock_login *login, const char *jwt, size_t signed_bytes, const json_t *header,
                           const json_t *claims, const uint8_t signature[WB_SIGN_BYTES], int64_t now_s) {
  const char *name = json_string_value(json_object_get(header, "kid")),
             *nonce = json_string_value(json_object_get(header, "nonce"));
  if (!name || !says(header, "typ", "JWT") || !says(claims, "sub", name) || !nonce || strlen(nonce) < 16) return MALFORMED;
  if (find(login, "exchange", "key", name)) return KIND;
  const json_t *account = find(login, "advanced", "name", name);
  if (!account) return KEY;
  const char *text = json_string_value(json_object_get(account, "publicKey"));
  int kind = wb_sign_public_kind(text, strlen(text), NULL);
  if (!says(header, "alg", kind == WB_SIGN_ES256 ? "ES256" : "EdDSA") ||
      !wb_sign_check(text, strlen(text), jwt, signed_bytes, signature))
    return SIGNATURE;
  return check_claims(claims, now_s);
}

static outcome check_jwt(const wb_mock_login *login, const char *jwt, int64_t now_s) {
  const char *first = jwt ? strchr(jwt, '.') : NULL, *second = first ? strchr(first + 1, '.') : NULL;
  uint8_t signature[WB_SIGN_BYTES];
  if (!second || wb_base64url_decode(second + 1, strlen(second + 1), signature, sizeof signature) != sizeof signature)
    return MALFORMED;
  json_t *header = part_of(jwt, (size_t)(first - jwt)), *claims = part_of(first + 1, (size_t)(second - first - 1));
  outcome what = check_parts(login, jwt, (size_t)(second - jwt), header, claims, signature, now_s);
  json_decref(header);
  json_decref(claims);
  return what;
}

const char *wb_mock_login_jwt(wb_mock_login *login, const char *jwt, int64_t utc_ns) {
  return counted(login, check_jwt(login, jwt, utc_ns / 1000000000 + login->ahead_s), "authentication failure");
}
