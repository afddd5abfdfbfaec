#include "io/login.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/codec/json.h"
#include "io/base64.h"
#include "io/host.h"
#include "io/tls.h"
#include "io/tls_sign.h"

enum { KEY_BYTES_MAX = 512, SECRET_BYTES_MAX = 4096, PASSPHRASE_BYTES_MAX = 256, TEXT_BYTES = 24 << 10, PART_BYTES = 1280 };
enum { NONCE_BYTES = 16, JWT_SECONDS = 120, SECRETS_MAX = 3, STRUCK_BYTES = 3 };

typedef enum { EXCHANGE, ADVANCED } login_kind;

enum { KEY, SECRET, PASSPHRASE, FIELDS };

typedef struct field {
  char text[SECRET_BYTES_MAX + 1];
  size_t bytes;
} field;

/* Of a file or the environment, as it came. portal: its names are those of the developer portal's file. */
typedef struct given {
  field of[FIELDS];
  bool portal;
} given;

typedef struct buffer {
  char text[TEXT_BYTES + SECRETS_MAX * STRUCK_BYTES]; /* a secret may be shorter than what it is struck out by */
  size_t bytes;                                       /* TEXT_BYTES: it did not fit */
} buffer;

typedef struct span {
  size_t from, bytes;
} span;

struct wb_login {
  login_kind kind;
  size_t mapped_bytes;
  bool locked;
  char from[128];
  char key[KEY_BYTES_MAX + 1];
  char passphrase[PASSPHRASE_BYTES_MAX * 6 + 1]; /* as JSON says it */
  uint8_t secret[SECRET_BYTES_MAX];              /* of Exchange */
  size_t secret_bytes;
  wb_sign_key signer;     /* of Advanced */
  int64_t skew_s;         /* W ingest, R any */
  span span[SECRETS_MAX]; /* of the text that was signed */
  unsigned span_count;
  union {
    struct {
      given given;
      char file[WB_LOGIN_FILE_BYTES_MAX];
    } opening;
    struct {
      buffer text;
      char part[PART_BYTES], proof[3 * PART_BYTES]; /* of a token; signature, or token */
    } signing;
  } work;
};

static const char what[] = "login", struck[STRUCK_BYTES] = {'*', '*', '*'};

static const struct {
  const char *name;
  int field;
  bool portal;
} names[] = {{"key", KEY, false},       {"name", KEY, true},          {"id", KEY, true},
             {"secret", SECRET, false}, {"privateKey", SECRET, true}, {"passphrase", PASSPHRASE, false}};
enum { NAMES = sizeof names / sizeof *names };
static const char *const variables[FIELDS] = {"WIREBOOK_KEY", "WIREBOOK_SECRET", "WIREBOOK_PASSPHRASE"};

/* ------------------------------------------------------------------------------------------------ memory */

static wb_login *allocate(wb_error *error) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (sizeof(wb_login) + page - 1) / page * page;
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    wb_error_set(error, WB_E_MEMORY, errno, what, "no memory for a login");
    return NULL;
  }
  if (madvise(memory, bytes, MADV_DONTDUMP) || madvise(memory, bytes, MADV_WIPEONFORK) || prctl(PR_SET_DUMPABLE, 0)) {
    wb_error_set(error, WB_E_SYSTEM, errno, what, "memory cannot be kept out of core dumps: %s", strerror(errno));
    munmap(memory, bytes);
    return NULL;
  }
  wb_login *login = memory;
  login->mapped_bytes = bytes;
  login->locked = mlock(memory, bytes) == 0;
  return login;
}

void wb_login_close(wb_login *login) {
  if (!login) return;
  size_t bytes = login->mapped_bytes;
  explicit_bzero(login, bytes);
  munmap(login, bytes);
}

static void wipe(wb_login *login) { explicit_bzero((uint8_t *)login + offsetof(wb_login, work), sizeof login->work); }

/* ------------------------------------------------------------------------------------------------ what was given */

static int wrong(wb_error *error, const char *text) { return wb_error_set(error, WB_E_CONFIG, 0, what, "%s", text); }

static int take(given *to, int index, const char *text, size_t count, wb_error *error) {
  field *f = &to->of[index];
  if (f->bytes) return wrong(error, "the key file says one thing twice");
  if (count > SECRET_BYTES_MAX) return wrong(error, "a value is too long for a key");
  memcpy(f->text, text, count);
  f->bytes = count;
  return 0;
}

static int read_json(given *to, const uint8_t *text, uint32_t count, wb_error *error) {
  const char *members[NAMES];
  for (int i = 0; i < NAMES; i++) members[i] = names[i].name;
  wb_json json = {text, count, 0};
  wb_json_value value[NAMES] = {{0}};
  uint32_t twice = 0;
  int result = wb_json_utf8(text, count) < count ? WB_E_SYNTAX : wb_json_members(&json, 0, members, NAMES, value, &twice);
  wb_json_blank(&json);
  if (result || json.at < count) return wrong(error, "the key file is no JSON object");
  if (twice) return wrong(error, "the key file says one thing twice");
  /* The portal's file may have a name and an id: the first of them is the key. */
  for (int i = 0; i < NAMES; i++) {
    field *f = &to->of[names[i].field];
    if (!value[i].at || f->bytes) continue;
    if (text[value[i].at] != '"') return wrong(error, "a value of the key file is no text in quotes");
    uint32_t bytes = wb_json_string(&json, value[i].at, f->text, SECRET_BYTES_MAX);
    if (bytes > SECRET_BYTES_MAX) return wrong(error, "a value is too long for a key");
    f->bytes = bytes;
    to->portal |= names[i].portal;
  }
  return 0;
}

static const char *line_end(const char *at, const char *end) {
  const char *found = memchr(at, '\n', (size_t)(end - at));
  return found ? found : end;
}

static bool begins(const char *text, size_t count, const char *with) {
  return count > strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static void trim(const char **at, const char **end) {
  while (*at < *end && is_blank(**at)) ++*at;
  while (*at < *end && is_blank((*end)[-1])) --*end;
}

static int read_lines(given *to, const char *text, const char *end, wb_error *error) {
  for (const char *at = text, *next; at < end; at = next) {
    const char *over = line_end(at, end), *equals = memchr(at, '=', (size_t)(over - at)), *name_end = equals, *last;
    next = over + (over < end);
    trim(&at, &over);
    if (at == over || *at == '#') continue;
    int i = 0;
    if (equals) trim(&at, &name_end);
    while (equals && i < NAMES &&
           (strlen(names[i].name) != (size_t)(name_end - at) || memcmp(names[i].name, at, strlen(names[i].name))))
      i++;
    if (!equals || i == NAMES) {
      unsigned number = 1;
      for (const char *c = text; c < at; c++) number += *c == '\n';
      return wb_error_set(error, WB_E_CONFIG, 0, what,
                          "line %u of the key file is neither key=, secret=, passphrase=, name= nor privateKey=, and all of it "
                          "is no JSON object",
                          number);
    }
    const char *value = equals + 1;
    trim(&value, &over);
    if (begins(value, (size_t)(over - value), "-----BEGIN ") && (last = memmem(value, (size_t)(end - value), "-----END ", 9))) {
      over = line_end(last, end); /* PEM text goes over several lines */
      next = over + (over < end);
      trim(&value, &over);
    }
    if (over - value >= 2 && *value == '"' && over[-1] == '"') value++, over--;
    if (take(to, names[i].field, value, (size_t)(over - value), error)) return WB_E_CONFIG;
    to->portal |= names[i].portal;
  }
  return 0;
}

/* ------------------------------------------------------------------------------------------------ is it a key, and this feed's */

static bool is_pem(const field *f) { return memmem(f->text, f->bytes, "-----BEGIN", 10); }

static void put(buffer *to, const char *text, size_t count) {
  if (to->bytes + count >= TEXT_BYTES) {
    to->bytes = TEXT_BYTES;
    return;
  }
  memcpy(to->text + to->bytes, text, count);
  to->bytes += count;
  to->text[to->bytes] = 0;
}

/* As JSON says it. */
static void escape(const field *f, char *to) {
  static const char hex[] = "0123456789abcdef";
  for (size_t i = 0; i < f->bytes; i++) {
    uint8_t c = (uint8_t)f->text[i];
    if (c == '"' || c == '\\') *to++ = '\\', *to++ = (char)c;
    else if (c < 0x20) memcpy(to, "\\u00", 4), to[4] = hex[c >> 4], to[5] = hex[c & 15], to += 6;
    else *to++ = (char)c;
  }
  *to = 0;
}

static int take_exchange(wb_login *login, const given *from, wb_error *error) {
  const field *secret = &from->of[SECRET], *passphrase = &from->of[PASSPHRASE];
  if (from->portal || is_pem(secret) || memmem(login->key, strlen(login->key), "organizations/", 14))
    return wrong(
        error,
        "this is a key of the developer portal (Coinbase app, Advanced Trade), for --feed coinbase-advanced; the Exchange feed "
        "needs a key that was made on the Exchange, with a passphrase");
  if (!passphrase->bytes)
    return wrong(
        error,
        "no passphrase: an Exchange key has one, set when it was made; a key without one is of the Coinbase app, for --feed "
        "coinbase-advanced");
  if (passphrase->bytes > PASSPHRASE_BYTES_MAX || memchr(passphrase->text, 0, passphrase->bytes) ||
      wb_json_utf8((const uint8_t *)passphrase->text, (uint32_t)passphrase->bytes) < passphrase->bytes)
    return wrong(error, "the passphrase is longer than one can be, or no text");
  int bytes = wb_base64_decode(secret->text, secret->bytes, login->secret, sizeof login->secret);
  if (bytes <= 0)
    return wrong(
        error, "the secret is no base64: that of an Exchange key is 88 letters and digits that end with ==, copy all of them");
  login->secret_bytes = (size_t)bytes;
  escape(passphrase, login->passphrase);
  return 0;
}

static int take_advanced(wb_login *login, const given *from, wb_error *error) {
  const field *secret = &from->of[SECRET];
  wb_error why;
  if (from->of[PASSPHRASE].bytes)
    return wrong(error, "this key has a passphrase: it is one of the Exchange, for --feed coinbase-exchange; Advanced Trade "
                        "needs one of the developer "
                        "portal (name and privateKey)");
  int result = wb_sign_key_read(&login->signer, secret->text, secret->bytes, &why);
  wb_tls_thread_end();
  if (result)
    wb_error_set(error, result, 0, what, "%.160s%s", why.detail,
                 is_pem(secret) || result != WB_E_CONFIG ? "" : "; an Exchange key is for --feed coinbase-exchange");
  return result;
}

/* Checks what was given and keeps what is needed of it; closes the login if that is no key. */
static wb_login *settle(wb_login *login, const char *feed, int result, wb_error *error) {
  given *from = &login->work.opening.given;
  const field *key = &from->of[KEY];
  if (result == 0 && strcmp(feed, "coinbase-exchange") == 0) login->kind = EXCHANGE;
  else if (result == 0 && strcmp(feed, "coinbase-advanced") == 0) login->kind = ADVANCED;
  else if (result == 0) result = wb_error_set(error, WB_E_CONFIG, 0, what, "there are no logins for the feed %.60s", feed);
  if (result == 0 && (!key->bytes || !from->of[SECRET].bytes))
    result = wb_error_set(error, WB_E_CONFIG, 0, what, "%s",
                          key->bytes ? "a key, but no secret that belongs to it" : "no key is named");
  bool plain = key->bytes <= KEY_BYTES_MAX;
  for (size_t i = 0; i < key->bytes && plain; i++)
    plain = key->text[i] > ' ' && key->text[i] < 0x7f && !strchr("\"\\", key->text[i]);
  if (result == 0 && !plain) result = wrong(error, "the key has a character that no key has, or is too long");
  if (result == 0) {
    memcpy(login->key, key->text, key->bytes);
    result = login->kind == EXCHANGE ? take_exchange(login, from, error) : take_advanced(login, from, error);
  }
  if (result == 0) {
    wipe(login);
    return login;
  }
  wb_login_close(login);
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ open */

static int check_file(int fd, const char *path, wb_error *error) {
  struct stat about;
  if (fstat(fd, &about)) return wb_error_set(error, WB_E_SYSTEM, errno, what, "%.160s: %s", path, strerror(errno));
  if (!S_ISREG(about.st_mode)) return wb_error_set(error, WB_E_CONFIG, 0, what, "%.160s is not a regular file", path);
  if (about.st_uid != geteuid() && about.st_uid != 0)
    return wb_error_set(error, WB_E_CONFIG, 0, what, "%.160s belongs to another user (uid %u)", path, (unsigned)about.st_uid);
  if (about.st_mode & 077)
    return wb_error_set(error, WB_E_CONFIG, 0, what,
                        "%.140s is open to others (mode %03o): chmod 600 it, and make a new key if somebody may have read it",
                        path, (unsigned)about.st_mode & 0777);
  if (about.st_size > WB_LOGIN_FILE_BYTES_MAX)
    return wb_error_set(error, WB_E_CONFIG, 0, what, "%.160s is larger than a key file can be (%d bytes)", path,
                        WB_LOGIN_FILE_BYTES_MAX);
  return 0;
}

static int read_text(given *to, const char *text, size_t count, wb_error *error) {
  size_t blank = 0;
  while (blank < count && is_blank(text[blank])) blank++;
  if (blank < count && text[blank] == '{') return read_json(to, (const uint8_t *)text, (uint32_t)count, error);
  return read_lines(to, text, text + count, error);
}

wb_login *wb_login_open_file(const char *feed, const char *path, wb_error *error) {
  wb_login *login = allocate(error);
  if (!login) return NULL;
  snprintf(login->from, sizeof login->from, "%s", path);
  char *text = login->work.opening.file;
  ssize_t count = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  int result = fd < 0 ? wb_error_set(error, WB_E_CONFIG, errno, what, "key file %.160s: %s", path, strerror(errno))
                      : check_file(fd, path, error);
  if (result == 0 && (count = read(fd, text, WB_LOGIN_FILE_BYTES_MAX)) < 0)
    result = wb_error_set(error, WB_E_SYSTEM, errno, what, "key file %.160s: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  if (result == 0) result = read_text(&login->work.opening.given, text, (size_t)count, error);
  return settle(login, feed, result, error);
}

bool wb_login_in_environment(void) {
  for (int i = 0; i < FIELDS; i++) {
    const char *text = getenv(variables[i]);
    if (text && *text) return true;
  }
  return false;
}

void wb_login_environment_wipe(void) {
  for (int i = 0; i < FIELDS; i++) {
    char *text = getenv(variables[i]);
    if (text) explicit_bzero(text, strlen(text)); /* where the kernel reads it, too */
    unsetenv(variables[i]);
  }
}

wb_login *wb_login_open_environment(const char *feed, wb_error *error) {
  wb_login *login = allocate(error);
  int result = 0;
  for (int i = 0; login && i < FIELDS && result == 0; i++) {
    const char *text = getenv(variables[i]);
    if (text) result = take(&login->work.opening.given, i, text, strlen(text), error);
  }
  wb_login_environment_wipe();
  if (!login) return NULL;
  snprintf(login->from, sizeof login->from, "the environment");
  return settle(login, feed, result, error);
}

const char *wb_login_describe(const wb_login *login, char *text, size_t size) {
  static const char *const kinds[] = {[EXCHANGE] = "an Exchange key", [ADVANCED] = "a key of the developer portal"};
  const char *signs = login->kind == EXCHANGE ? "HMAC-SHA256" : login->signer.kind == WB_SIGN_ES256 ? "ES256" : "EdDSA";
  snprintf(text, size, "logs in with %s of %s (%s), memory %s", kinds[login->kind], login->from, signs,
           login->locked ? "locked" : "not locked: see the limit of locked memory");
  return text;
}

/* ------------------------------------------------------------------------------------------------ sign */

static void put_text(buffer *to, const char *text) { put(to, text, strlen(text)); }

static void put_field(wb_login *login, const char *name, const char *value, bool secret) {
  buffer *to = &login->work.signing.text;
  put_text(to, ",\"");
  put_text(to, name);
  put_text(to, "\":\"");
  if (secret) login->span[login->span_count++] = (span){to->bytes, strlen(value)};
  put_text(to, value);
  put_text(to, "\"");
}

static int sign_exchange(wb_login *login, long long now_s) {
  char *proof = login->work.signing.proof, time[24], text[64];
  uint8_t mac[WB_SIGN_HMAC_BYTES];
  snprintf(time, sizeof time, "%lld", now_s);
  int bytes = snprintf(text, sizeof text, "%sGET/users/self/verify", time);
  int result = wb_sign_hmac(login->secret, login->secret_bytes, text, (size_t)bytes, mac);
  if (result) return result;
  wb_base64_encode(mac, sizeof mac, proof);
  put_field(login, "signature", proof, true);
  put_field(login, "key", login->key, true);
  put_field(login, "passphrase", login->passphrase, true);
  put_field(login, "timestamp", time, false);
  return 0;
}

static int sign_advanced(wb_login *login, long long now_s) {
  char *part = login->work.signing.part, *proof = login->work.signing.proof, nonce[2 * NONCE_BYTES + 1];
  uint8_t random[NONCE_BYTES], signature[WB_SIGN_BYTES];
  wb_random_fill(random, sizeof random);
  for (int i = 0; i < NONCE_BYTES; i++) snprintf(nonce + 2 * i, 3, "%02x", random[i]);
  int bytes = snprintf(part, PART_BYTES, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\",\"nonce\":\"%s\"}",
                       login->signer.kind == WB_SIGN_ES256 ? "ES256" : "EdDSA", login->key, nonce);
  size_t n = wb_base64url_encode(part, (size_t)bytes, proof);
  proof[n++] = '.';
  bytes = snprintf(part, PART_BYTES, "{\"iss\":\"cdp\",\"sub\":\"%s\",\"nbf\":%lld,\"exp\":%lld}", login->key, now_s,
                   now_s + JWT_SECONDS);
  n += wb_base64url_encode(part, (size_t)bytes, proof + n);
  int result = wb_sign(&login->signer, proof, n, signature);
  if (result) return result;
  proof[n++] = '.';
  wb_base64url_encode(signature, sizeof signature, proof + n);
  put_field(login, "jwt", proof, true);
  return 0;
}

int wb_login_sign(wb_login *login, const char *text, size_t count, int64_t utc_ns, wb_login_text *to) {
  buffer *sent = &login->work.signing.text;
  *to = (wb_login_text){text, count};
  login->span_count = 0;
  if (!begins(text, count, "{\"type\":\"subscribe\"") && !begins(text, count, "{\"type\":\"unsubscribe\"")) return 0;
  sent->bytes = 0;
  put(sent, text, count - 1);
  long long now_s = (long long)(utc_ns / 1000000000);
  int result = login->kind == EXCHANGE ? sign_exchange(login, now_s) : sign_advanced(login, now_s);
  explicit_bzero(login->work.signing.proof, sizeof login->work.signing.proof);
  put_text(sent, "}");
  if (result == 0 && sent->bytes == TEXT_BYTES) result = WB_E_LIMIT;
  if (result == 0) *to = (wb_login_text){sent->text, sent->bytes};
  else wipe(login);
  return result;
}

void wb_login_strike(wb_login *login, wb_login_text *to) {
  buffer *sent = &login->work.signing.text;
  while (login->span_count) { /* from the last on: those before it stay where they are */
    span at = login->span[--login->span_count];
    size_t behind = at.from + at.bytes;
    explicit_bzero(sent->text + at.from, at.bytes);
    memmove(sent->text + at.from + STRUCK_BYTES, sent->text + behind, sent->bytes - behind + 1);
    memcpy(sent->text + at.from, struck, STRUCK_BYTES);
    to->bytes = sent->bytes = sent->bytes - at.bytes + STRUCK_BYTES;
  }
}

/* ------------------------------------------------------------------------------------------------ what the exchange says of it */

int64_t wb_login_heard(wb_login *login, int64_t utc_ns, int64_t date_utc_s) {
  int64_t skew_s = utc_ns / 1000000000 - date_utc_s;
  __atomic_store_n(&login->skew_s, skew_s, __ATOMIC_RELAXED);
  return skew_s;
}

/* In the order in which they are looked for, in lower case. with, without: what it means where there is a key, and where there is none. */
static const struct {
  const char *feed, *said, *with, *without;
} errors[] = {
    {"coinbase-exchange", "require authentication",
     "the exchange does not take this key: is it one of the Exchange (not of the Coinbase app), active, and allowed to view",
     "this channel needs a login: --key-file with a key of the Exchange, or level2_batch instead of level2"},
    {"coinbase-exchange", "api key",
     "there is no such key: it was deleted, or belongs to the sandbox or to the Coinbase app, whose keys are for --feed "
     "coinbase-advanced",
     NULL},
    {"coinbase-exchange", "signature", "the secret does not belong to this key, or was not copied whole", NULL},
    {"coinbase-exchange", "passphrase",
     "the passphrase is not the one that was set when the key was made (it is not the account's password)", NULL},
    {"coinbase-exchange", "timestamp", "the login was more than 30 s old, or ahead: set this machine's clock (NTP)", NULL},
    {"coinbase-exchange", "ip ", "the key is limited to other addresses: allow this machine's public one", NULL},
    {"coinbase-exchange", "whitelist", "the key is limited to other addresses: allow this machine's public one", NULL},
    {"coinbase-exchange", "allowlist", "the key is limited to other addresses: allow this machine's public one", NULL},
    {"coinbase-exchange", "permission", "the key may not view: give it that permission", NULL},
    {"coinbase-exchange", "authentication failed", "the login was refused: look at key, secret, passphrase and the clock",
     NULL},
    {"coinbase-advanced", "expired", "the token was too old: set this machine's clock (NTP)", NULL},
    {"coinbase-advanced", "authentication fail",
     "the key was refused (deleted, limited to other addresses, not allowed to view, or the clock is off), or there is no such "
     "channel",
     "there is no such channel, or it needs a login: --key-file with a key of the developer portal"},
};

const char *wb_login_explain(const wb_login *login, const char *feed, const char *bytes, size_t count, char *text,
                             size_t size) {
  char said[512];
  size_t n = count < sizeof said - 1 ? count : sizeof said - 1;
  for (size_t i = 0; i < n; i++) said[i] = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] + 'a' - 'A') : bytes[i];
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    if (strcmp(errors[i].feed, feed) != 0 || !memmem(said, n, errors[i].said, strlen(errors[i].said))) continue;
    const char *words = login ? errors[i].with : errors[i].without;
    if (!words) return NULL;
    int64_t skew_s = login ? __atomic_load_n(&login->skew_s, __ATOMIC_RELAXED) : 0;
    int written = snprintf(text, size, "%s", words);
    if (llabs(skew_s) > WB_LOGIN_SKEW_S_MAX && (size_t)written < size)
      snprintf(text + written, size - (size_t)written, "; this machine's clock is %lld s %s the exchange's", llabs(skew_s),
               skew_s > 0 ? "ahead of" : "behind");
    return text;
  }
  return NULL;
}
