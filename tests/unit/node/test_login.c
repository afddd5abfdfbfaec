#include "io/login.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/port.h"
#include "io/base64.h"
#include "tests/unit/random.h"
#include "tools/mock_login.c"

#define SECRET "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define EXCHANGE_KEY                                                                                                           \
  "{\"key\":\"0123456789abcdef\",\"secret\":\"" SECRET "\",\"passphrase\":\"a pass \\\"phrase\\\"\\u00e9\\n\"}"
#define NAME "organizations/00000000-0000-4000-8000-000000000001/apiKeys/00000000-0000-4000-8000-000000000002"
/* RFC 8032, 7.1, test 1: seed and public key */
#define ED_TEXT "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg=="
#define ED_KEY "{\"id\":\"00000000-0000-4000-8000-000000000003\",\"privateKey\":\"" ED_TEXT "\"}"

static const int64_t NOW_NS = INT64_C(1785649432123456789);
static const char SUBSCRIBE[] = "{\"type\":\"subscribe\",\"channels\":[{\"name\":\"level2\",\"product_ids\":[\"BTC-USD\"]}]}";
static const char UNSUBSCRIBE[] = "{\"type\":\"unsubscribe\",\"channel\":\"level2\",\"product_ids\":[\"BTC-USD\"]}";

/* A file that has no name, of this mode. */
static wb_login *opened(const char *feed, const char *text, size_t count, wb_error *error) {
  int fd = memfd_create("key", MFD_CLOEXEC);
  cr_assert(fd >= 0 && write(fd, text, count) == (ssize_t)count && fchmod(fd, 0600) == 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  memset(error, 0, sizeof *error);
  wb_login *login = wb_login_open_file(feed, path, error);
  close(fd);
  return login;
}

static wb_login *good(const char *feed, const char *text) {
  wb_error error;
  wb_login *login = opened(feed, text, strlen(text), &error);
  cr_assert_not_null(login, "%s\n%s", error.detail, text);
  return login;
}

static void refused(const char *feed, const char *text, const char *words) {
  wb_error error;
  cr_assert_null(opened(feed, text, strlen(text), &error), "%s", text);
  cr_assert_eq(error.code, WB_E_CONFIG, "%s", text);
  cr_assert_not_null(strstr(error.detail, words), "'%s', not '%s', of %s", error.detail, words, text);
}

static wb_login_text signed_text(wb_login *login, const char *text) {
  wb_login_text to;
  cr_assert_eq(wb_login_sign(login, text, strlen(text), NOW_NS, &to), 0);
  cr_assert_eq(to.bytes, strlen(to.text));
  return to;
}

/* The message as a log may have it. */
static json_t *struck_out(wb_login *login, wb_login_text *to) {
  wb_login_strike(login, to);
  cr_assert_eq(to->bytes, strlen(to->text));
  json_t *shown = json_loads(to->text, JSON_REJECT_DUPLICATES, NULL);
  cr_assert_not_null(shown, "%s", to->text);
  return shown;
}

static const char *member(const json_t *object, const char *name) { return json_string_value(json_object_get(object, name)); }

/* SEC 1 of the scalar of RFC 6979, A.2.5, without its public key; between is what parts the lines. */
static const char *ec_key(const char *between) {
  static const char encoded[] = "MDECAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49AwEH";
  static char text[512];
  snprintf(text, sizeof text, "-----BEGIN EC PRIVATE KEY-----%s%.40s%s%s%s-----END EC PRIVATE KEY-----%s", between, encoded,
           between, encoded + 40, between, between);
  return text;
}

static const char *portal_key(void) {
  static char text[1024];
  snprintf(text, sizeof text,
           "{\"name\":\"" NAME "\",\"principalType\":\"USER\",\"publicKey\":{\"of\":[1,2]},\"privateKey\":\"%s\"}",
           ec_key("\\n"));
  return text;
}

/* ------------------------------------------------------------------------------------------------ what is sent */

Test(login, an_exchange_message_gets_the_four_fields_and_its_record_none_of_the_secret_ones) {
  wb_login *login = good("coinbase-exchange", EXCHANGE_KEY);
  wb_login_text to = signed_text(login, SUBSCRIBE);
  json_t *sent = json_loads(to.text, JSON_REJECT_DUPLICATES, NULL);
  cr_assert(memcmp(to.text, SUBSCRIBE, sizeof SUBSCRIBE - 2) == 0);
  json_t *shown = struck_out(login, &to);
  /* By Python: b64encode(hmac.new(bytes(range(64)), b"1785649432GET/users/self/verify", sha256).digest()) */
  cr_assert_str_eq(member(sent, "signature"), "GqrxP9Dip/RsOztwcronE0o8AhawPbZy67IOvewR6WQ=");
  cr_assert_str_eq(member(sent, "key"), "0123456789abcdef");
  cr_assert_str_eq(member(sent, "passphrase"), "a pass \"phrase\"\u00e9\n");
  cr_assert_str_eq(member(sent, "timestamp"), "1785649432");
  cr_assert_str_eq(member(shown, "timestamp"), "1785649432");
  static const char *const secret[] = {"signature", "key", "passphrase"};
  for (int i = 0; i < 3; i++) cr_assert_str_eq(member(shown, secret[i]), "***");
  cr_assert_eq(json_object_size(sent), 6);
  json_decref(sent);
  json_decref(shown);
  wb_login_close(login);
}

Test(login, every_other_text_goes_as_it_is) {
  wb_login *login = good("coinbase-exchange", EXCHANGE_KEY);
  static const char *const texts[] = {"", "{}", "{\"type\":\"subscribe", "{\"type\":\"ping\"}", "wirebook"};
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
    wb_login_text to = signed_text(login, texts[i]);
    cr_assert(to.text == texts[i]);
    wb_login_strike(login, &to);
    cr_assert(to.text == texts[i] && to.bytes == strlen(texts[i]));
  }
  wb_login_close(login);
}

static json_t *part(const char *text, size_t count) {
  char bytes[2048];
  int n = wb_base64url_decode(text, count, bytes, sizeof bytes);
  cr_assert_gt(n, 0);
  return json_loadb(bytes, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
}

static wb_mock_login *accounts(const char *text) {
  wb_error error;
  char path[] = "/tmp/wb_login.XXXXXX";
  int fd = mkstemp(path);
  cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
  wb_mock_login *mock = wb_mock_login_open(path, 0, &error);
  unlink(path);
  cr_assert_not_null(mock, "%s", error.detail);
  return mock;
}

#define EC_PUBLIC                                                                                                              \
  "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7"                              \
  "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\\n-----END PUBLIC KEY-----"
#define ED_PUBLIC                                                                                                              \
  "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----"
#define ACCOUNTS                                                                                                               \
  "{\"exchange\":[{\"key\":\"0123456789abcdef\",\"secret\":\"" SECRET                                                          \
  "\",\"passphrase\":\"a pass \\\"phrase\\\"\\u00e9\\n\"}],"                                                                   \
  "\"advanced\":[{\"name\":\"" NAME "\",\"publicKey\":\"" EC_PUBLIC "\"},"                                                     \
  "{\"name\":\"00000000-0000-4000-8000-000000000003\",\"publicKey\":\"" ED_PUBLIC "\"}]}"

Test(login, an_advanced_message_gets_a_token_of_its_own_that_is_as_the_portal_wants_it) {
  const char *const keys[] = {portal_key(), ED_KEY}, *const names[] = {NAME, "00000000-0000-4000-8000-000000000003"},
                    *const algorithms[] = {"ES256", "EdDSA"},
                    *const texts[] = {UNSUBSCRIBE, "{\"type\":\"subscribe\",\"channel\":\"heartbeats\"}"};
  wb_mock_login *mock = accounts(ACCOUNTS);
  for (int i = 0; i < 2; i++) {
    wb_login *login = good("coinbase-advanced", keys[i]);
    char seen[16][40];
    for (int n = 0; n < 16; n++) {
      wb_login_text to = signed_text(login, texts[n % 2]);
      json_t *sent = json_loads(to.text, JSON_REJECT_DUPLICATES, NULL), *shown = struck_out(login, &to);
      cr_assert(sent && shown && json_object_size(sent) == json_object_size(shown));
      cr_assert_str_eq(member(shown, "jwt"), "***");
      const char *jwt = member(sent, "jwt");
      size_t first = strcspn(jwt, "."), second = first + 1 + strcspn(jwt + first + 1, ".");
      json_t *header = part(jwt, first), *claims = part(jwt + first + 1, second - first - 1);
      cr_assert_str_eq(member(header, "alg"), algorithms[i]);
      cr_assert_str_eq(member(header, "typ"), "JWT");
      cr_assert_str_eq(member(header, "kid"), names[i]);
      cr_assert_eq(strspn(member(header, "nonce"), "0123456789abcdef"), 32);
      cr_assert_eq(strlen(member(header, "nonce")), 32);
      cr_assert_eq(json_object_size(header), 4);
      cr_assert_str_eq(member(claims, "iss"), "cdp");
      cr_assert_str_eq(member(claims, "sub"), names[i]);
      cr_assert_eq(json_integer_value(json_object_get(claims, "nbf")), NOW_NS / 1000000000);
      cr_assert_eq(json_integer_value(json_object_get(claims, "exp")), NOW_NS / 1000000000 + 120);
      cr_assert_eq(json_object_size(claims), 4, "and no uri");
      cr_assert_null(wb_mock_login_jwt(mock, jwt, NOW_NS));
      strcpy(seen[n], member(header, "nonce"));
      for (int k = 0; k < n; k++) cr_assert_str_neq(seen[k], seen[n]);
      json_decref(header);
      json_decref(claims);
      json_decref(sent);
      json_decref(shown);
    }
    wb_login_close(login);
  }
  wb_mock_login_close(mock);
}

Test(login, the_largest_subscribe_has_room_and_one_that_has_not_is_refused) {
  wb_login *logins[] = {good("coinbase-exchange", EXCHANGE_KEY), good("coinbase-advanced", portal_key())};
  static char text[40000];
  for (int i = 0; i < 2; i++)
    for (int count = 15000; count < 30000; count += 37) {
      wb_login_text to;
      int n = snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"pad\":\"%*s\"}", count, "");
      int result = wb_login_sign(logins[i], text, (size_t)n, NOW_NS, &to);
      if (result == 0) {
        json_t *sent = json_loadb(to.text, to.bytes, JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(sent);
        json_decref(sent);
      } else cr_assert_eq(result, WB_E_LIMIT);
      cr_assert(result == 0 ? n < 24 << 10 : n > 22 << 10, "%d bytes", n);
    }
  wb_login_close(logins[0]);
  wb_login_close(logins[1]);
}

/* ------------------------------------------------------------------------------------------------ forms of a key */

Test(login, a_key_may_come_in_every_form_that_people_have_it_in) {
  char text[4096];
  static const char *const exchange[] = {
      "key=0123456789abcdef\nsecret=" SECRET "\npassphrase=x",
      "# mine\r\n\r\n  key = 0123456789abcdef \r\n\tsecret=\"" SECRET "\"\r\npassphrase = \"with blanks \"\r\n",
      "passphrase=a=b#c\nsecret=" SECRET "\nkey=0123456789abcdef\n\n",
      " \n{\"note\":null,\"passphrase\":\"x\",\"nested\":{\"key\":\"y\"},\"secret\":\"" SECRET
      "\",\"key\":\"0123456789abcdef\",\"name\":\"mine\"}\n",
  };
  for (unsigned i = 0; i < sizeof exchange / sizeof *exchange; i++) {
    wb_login *login = good("coinbase-exchange", exchange[i]);
    cr_assert_not_null(strstr(signed_text(login, SUBSCRIBE).text, "\"key\":\"0123456789abcdef\""));
    wb_login_close(login);
  }
  static const char *const between[] = {"\n", "\r\n", "\\n", "\\r\\n", " ", "\n\n\t"};
  for (unsigned i = 0; i < sizeof between / sizeof *between; i++) {
    snprintf(text, sizeof text, "name=" NAME "\nprivateKey=%s\n", ec_key(between[i]));
    wb_login_close(good("coinbase-advanced", text));
    snprintf(text, sizeof text, "privateKey=\"%s\"\n# behind it\nkey = " NAME "\n", ec_key("\\n"));
    wb_login_close(good("coinbase-advanced", text));
  }
  snprintf(text, sizeof text, "{\"key\":\"" NAME "\",\"secret\":\"%s\"}", ec_key("\\\\n"));
  wb_login_close(good("coinbase-advanced", text));
  wb_login_close(good("coinbase-advanced", "name=x\nsecret=" ED_TEXT));
}

Test(login, a_passphrase_of_any_text_arrives_as_it_is) {
  seed();
  for (int i = 0; i < 300; i++) {
    char passphrase[100];
    size_t n = 0, wanted = 1 + next() % 60;
    while (n < wanted) {
      unsigned kind = next() % 4;
      passphrase[n++] = kind == 0   ? "\"\\/\b\f\n\r\t"[next() % 8]
                        : kind == 1 ? (char)(1 + next() % 31)
                                    : (char)(32 + next() % 95);
      if (kind == 3 && n + 2 < wanted) n += (size_t)sprintf(passphrase + n, "\u00df");
    }
    passphrase[n] = 0;
    json_t *file = json_pack("{s:s,s:s,s:s}", "key", "k", "secret", SECRET, "passphrase", passphrase);
    char *text = json_dumps(file, 0);
    wb_login *login = good("coinbase-exchange", text);
    json_t *sent = json_loads(signed_text(login, SUBSCRIBE).text, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(sent);
    cr_assert_str_eq(member(sent, "passphrase"), passphrase);
    json_decref(sent);
    json_decref(file);
    free(text);
    wb_login_close(login);
  }
}

Test(login, each_common_mistake_is_told_by_its_name) {
  char text[8192];
  snprintf(text, sizeof text, "{\"key\":\"k\",\"secret\":\"%s\",\"passphrase\":\"p\"}", ec_key("\\n"));
  refused("coinbase-exchange", portal_key(), "key of the developer portal");
  refused("coinbase-exchange", ED_KEY, "key of the developer portal");
  refused("coinbase-exchange", text, "key of the developer portal");
  refused("coinbase-exchange", "{\"key\":\"" NAME "\",\"secret\":\"" SECRET "\",\"passphrase\":\"p\"}",
          "key of the developer portal");
  refused("coinbase-exchange", "key=k\nsecret=" SECRET, "no passphrase");
  refused("coinbase-exchange", "key=k\nsecret=not base64!\npassphrase=p", "no base64");
  refused("coinbase-exchange", "key=k\nsecret=QUJD=\npassphrase=p", "no base64");
  refused("coinbase-exchange", "key=k\npassphrase=p", "no secret that belongs to it");
  refused("coinbase-exchange", "secret=" SECRET "\npassphrase=p", "no key is named");
  refused("coinbase-exchange", "{\"key\":\"a\\\"b\",\"secret\":\"" SECRET "\",\"passphrase\":\"p\"}",
          "a character that no key has");
  refused("coinbase-exchange", "key=a b\nsecret=" SECRET "\npassphrase=p", "a character that no key has");
  refused("coinbase-exchange", "{\"key\":\"k\",\"secret\":\"" SECRET "\",\"passphrase\":\"a\\u0000b\"}", "or no text");
  refused("coinbase-exchange", "{\"key\":\"k\",\"secret\":\"" SECRET "\",\"passphrase\":\"\\ud800\"}", "");
  refused("coinbase-advanced", EXCHANGE_KEY, "one of the Exchange");
  refused("coinbase-advanced", "key=k\nsecret=" SECRET, "an Exchange key is for --feed coinbase-exchange");
  refused("coinbase-advanced", "name=k\nprivateKey=-----BEGIN RSA PRIVATE KEY-----QUJD-----END RSA PRIVATE KEY-----",
          "an RSA key");
  refused("coinbase-advanced",
          "name=k\nprivateKey=-----BEGIN ENCRYPTED PRIVATE KEY-----QUJD-----END ENCRYPTED PRIVATE KEY-----", "encrypted");
  refused("coinbase-advanced", "name=k\nprivateKey=-----BEGIN EC PRIVATE KEY-----\\nQUJD", "cut short");
  refused("kraken", EXCHANGE_KEY, "no logins for the feed kraken");
}

Test(login, a_file_that_is_none_is_refused) {
  static char large[WB_LOGIN_FILE_BYTES_MAX + 2];
  memset(large, ' ', sizeof large - 1);
  refused("coinbase-exchange", large, "larger than a key file can be");
  large[WB_LOGIN_FILE_BYTES_MAX] = 0;
  refused("coinbase-exchange", large, "no key is named");
  refused("coinbase-exchange", "", "no key is named");
  refused("coinbase-exchange", "{", "no JSON object");
  refused("coinbase-exchange", "{}", "no key is named");
  refused("coinbase-exchange", "{}{}", "no JSON object");
  refused("coinbase-exchange", "{\"key\":1,\"secret\":\"x\"}", "no text in quotes");
  refused("coinbase-exchange", "{\"key\":\"a\",\"key\":\"b\"}", "one thing twice");
  refused("coinbase-exchange", "{\"key\":\"\xff\"}", "no JSON object");
  refused("coinbase-exchange", "key=a\nkey=b", "one thing twice");
  refused("coinbase-exchange", "key=a\nname=b", "one thing twice");
  refused("coinbase-exchange", "key=a\n\npasphrase=b", "line 3 ");
  refused("coinbase-exchange", "[\"key\"]", "line 1 ");
  refused("coinbase-exchange", "hello", "line 1 ");
  memset(large, 'a', 5000);
  memcpy(large, "key=", 4);
  large[5000] = 0;
  refused("coinbase-exchange", large, "too long");
  /* No text of a refusal repeats a value. */
  wb_error error;
  static const char secret[] = "key=verysecret verysecret\nsecret=verysecret\npassphrase=verysecret\nverysecret";
  for (size_t cut = 0; cut <= strlen(secret); cut++) {
    cr_assert_null(opened("coinbase-exchange", secret, cut, &error));
    cr_assert_null(strstr(error.detail, "verys"), "%s", error.detail);
  }
}

/* ------------------------------------------------------------------------------------------------ where it lies */

static char folder[64];

static void folder_make(void) {
  strcpy(folder, "/tmp/wb_login.XXXXXX");
  cr_assert_not_null(mkdtemp(folder));
}

static void folder_gone(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  cr_assert_eq(system(command), 0);
}

static const char *in_folder(const char *name) {
  static char path[4][128];
  static unsigned turn;
  char *to = path[turn++ % 4];
  snprintf(to, sizeof path[0], "%s/%s", folder, name);
  return to;
}

static void put_file(const char *name, mode_t mode) {
  FILE *file = fopen(in_folder(name), "w");
  cr_assert(file && fputs(EXCHANGE_KEY, file) >= 0 && fclose(file) == 0 && chmod(in_folder(name), mode) == 0);
}

static void file_refused(const char *name, const char *words) {
  wb_error error = {0};
  cr_assert_null(wb_login_open_file("coinbase-exchange", in_folder(name), &error), "%s", name);
  cr_assert_eq(error.code, WB_E_CONFIG);
  cr_assert_not_null(strstr(error.detail, words), "%s, not %s", error.detail, words);
}

Test(login, a_key_file_is_its_owners_alone, .init = folder_make, .fini = folder_gone) {
  wb_error error;
  static const mode_t good_modes[] = {0600, 0400, 0700};
  for (int i = 0; i < 3; i++) {
    put_file("key", good_modes[i]);
    wb_login *login = wb_login_open_file("coinbase-exchange", in_folder("key"), &error);
    cr_assert_not_null(login, "%s", error.detail);
    wb_login_close(login);
    chmod(in_folder("key"), 0600);
  }
  for (mode_t bit = 1; bit <= 040; bit *= 2) {
    put_file("key", 0600 | bit);
    file_refused("key", "is open to others");
  }
  cr_assert_eq(symlink("key", in_folder("link")), 0);
  file_refused("link", "is open to others");
  chmod(in_folder("key"), 0600);
  wb_login *login = wb_login_open_file("coinbase-exchange", in_folder("link"), &error);
  cr_assert_not_null(login, "%s", error.detail);
  wb_login_close(login);
  file_refused("nothing", "No such file");
  file_refused(".", "not a regular file");
  cr_assert_eq(mkfifo(in_folder("pipe"), 0600), 0);
  file_refused("pipe", "not a regular file");
  cr_assert_eq(symlink("/dev/zero", in_folder("zero")), 0);
  file_refused("zero", "not a regular file");
  if (geteuid() == 0) {
    cr_assert_eq(chown(in_folder("key"), 65534, 65534), 0);
    file_refused("key", "belongs to another user");
  }
}

Test(login, the_environment_says_it_once_and_forgets) {
  wb_error error;
  cr_assert(!wb_login_in_environment());
  setenv("WIREBOOK_KEY", "0123456789abcdef", 1);
  cr_assert(wb_login_in_environment());
  setenv("WIREBOOK_SECRET", SECRET, 1);
  setenv("WIREBOOK_PASSPHRASE", "phrase", 1);
  char *was = getenv("WIREBOOK_SECRET");
  wb_login *login = wb_login_open_environment("coinbase-exchange", &error);
  cr_assert_not_null(login, "%s", error.detail);
  cr_assert(!wb_login_in_environment() && !getenv("WIREBOOK_KEY") && !getenv("WIREBOOK_SECRET") &&
            !getenv("WIREBOOK_PASSPHRASE"));
  for (size_t i = 0; i < strlen(SECRET); i++) cr_assert_eq(was[i], 0);
  cr_assert_not_null(strstr(signed_text(login, SUBSCRIBE).text, "\"passphrase\":\"phrase\""));
  wb_login_close(login);
  setenv("WIREBOOK_SECRET", "wrong", 1);
  cr_assert_null(wb_login_open_environment("coinbase-exchange", &error));
  cr_assert_not_null(strstr(error.detail, "no key is named"));
  cr_assert(!wb_login_in_environment());
  setenv("WIREBOOK_KEY", NAME, 1);
  setenv("WIREBOOK_SECRET", ec_key("\\n"), 1);
  login = wb_login_open_environment("coinbase-advanced", &error);
  cr_assert_not_null(login, "%s", error.detail);
  wb_login_close(login);
}

#ifdef __SANITIZE_ADDRESS__ /* it locks nothing, and says it did */
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* What the kernel says of the mapping that an address lies in. */
static bool has_flag(const void *address, const char *flag) {
  FILE *file = fopen("/proc/self/smaps", "r");
  cr_assert_not_null(file);
  char line[512];
  bool inside = false, found = false;
  while (fgets(line, sizeof line, file)) {
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr(line, '-') < strchr(line, ' '))
      inside = (unsigned long)address >= from && (unsigned long)address < to;
    if (inside && strncmp(line, "VmFlags:", 8) == 0) found = strstr(line, flag);
  }
  fclose(file);
  return found;
}

Test(login, its_memory_is_in_no_core_dump_and_in_no_child_and_is_wiped) {
  wb_login *logins[] = {good("coinbase-exchange", EXCHANGE_KEY), good("coinbase-advanced", portal_key())};
  cr_assert_eq(prctl(PR_GET_DUMPABLE), 0);
  for (int i = 0; i < 2; i++) {
    wb_login_text to = signed_text(logins[i], SUBSCRIBE);
    cr_assert(has_flag(logins[i], " dd") && has_flag(to.text, " dd"), "not left out of dumps");
    char said[256];
    bool locked = strstr(wb_login_describe(logins[i], said, sizeof said), "memory locked");
    cr_assert(locked || geteuid() != 0, "%s", said);
    if (!SANITIZED) cr_assert_eq(has_flag(logins[i], " lo"), locked, "%s", said);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
      size_t n = 0;
      while (n < 4096 && !((const volatile uint8_t *)logins[i])[n]) n++;
      _exit(n == 4096 ? 0 : 1);
    }
    int status;
    cr_assert(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child has it");
    char before[4096];
    size_t before_bytes = to.bytes;
    memcpy(before, to.text, to.bytes);
    wb_login_strike(logins[i], &to);
    for (const char *value = before, *end; (value = strstr(value, "\":\"")); value = end) {
      value += 3;
      end = value + strcspn(value, "\"");
      if (end - value > 16)
        cr_assert_null(memmem(to.text, before_bytes + 1, value, (size_t)(end - value)), "%.40s is still there", value);
    }
    wb_login_close(logins[i]);
  }
}

/* ------------------------------------------------------------------------------------------------ what the exchange says */

Test(login, each_answer_of_the_exchange_is_explained) {
  static const struct {
    const char *feed, *said, *with, *without;
  } cases[] = {
      {"coinbase-exchange",
       "{\"message\":\"Failed to subscribe\",\"reason\":\"level2, level3, and full channels now require authentication. ...\"}",
       "is it one of the Exchange", "needs a login: --key-file"},
      {"coinbase-exchange", "{\"message\":\"Authentication Failed\",\"reason\":\"{\\\"message\\\":\\\"Invalid API Key\\\"}\"}",
       "no such key", NULL},
      {"coinbase-exchange",
       "{\"message\":\"Authentication Failed\",\"reason\":\"{\\\"message\\\":\\\"invalid signature\\\"}\"}",
       "secret does not belong", NULL},
      {"coinbase-exchange",
       "{\"message\":\"Authentication Failed\",\"reason\":\"{\\\"message\\\":\\\"Invalid Passphrase\\\"}\"}",
       "not the account's password", NULL},
      {"coinbase-exchange", "{\"message\":\"Authentication Failed\",\"reason\":\"request timestamp expired\"}", "clock (NTP)",
       NULL},
      {"coinbase-exchange", "{\"message\":\"Authentication Failed\",\"reason\":\"IP does not match IP whitelist\"}",
       "other addresses", NULL},
      {"coinbase-exchange",
       "{\"message\":\"Authentication Failed\",\"reason\":\"{\\\"message\\\":\\\"Internal Server Error.\\\"}\"}", "was refused",
       NULL},
      {"coinbase-exchange", "{\"message\":\"Failed to subscribe\",\"reason\":\"X-Y is not a valid product\"}", NULL, NULL},
      {"coinbase-exchange", "", NULL, NULL},
      {"coinbase-advanced", "{\"type\":\"error\",\"message\":\"authentication failure\"}", "the key was refused",
       "it needs a login"},
      {"coinbase-advanced", "{\"type\":\"error\",\"message\":\"token has expired\"}", "clock (NTP)", NULL},
      {"coinbase-advanced", "{\"type\":\"error\",\"message\":\"Invalid Passphrase\"}", NULL, NULL},
      {"another", "{\"message\":\"Authentication Failed\"}", NULL, NULL},
  };
  wb_login *login = good("coinbase-exchange", EXCHANGE_KEY);
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[256];
    const char *with = wb_login_explain(login, cases[i].feed, cases[i].said, strlen(cases[i].said), text, sizeof text);
    cr_assert(cases[i].with ? with && strstr(with, cases[i].with) : !with, "%s: %s", cases[i].said, with);
    const char *without = wb_login_explain(NULL, cases[i].feed, cases[i].said, strlen(cases[i].said), text, sizeof text);
    cr_assert(cases[i].without ? without && strstr(without, cases[i].without) : !without, "%s: %s", cases[i].said, without);
  }
  static const char said[] = "{\"message\":\"Authentication Failed\",\"reason\":\"invalid signature\"}";
  char text[256];
  cr_assert_null(strstr(wb_login_explain(login, "coinbase-exchange", said, sizeof said, text, sizeof text), "behind"));
  cr_assert_eq(wb_login_heard(login, NOW_NS, NOW_NS / 1000000000 + 31), -31);
  cr_assert_not_null(
      strstr(wb_login_explain(login, "coinbase-exchange", said, sizeof said, text, sizeof text), "clock is 31 s behind"));
  cr_assert_eq(wb_login_heard(login, NOW_NS, NOW_NS / 1000000000 - 86400), 86400);
  cr_assert_not_null(
      strstr(wb_login_explain(login, "coinbase-exchange", said, sizeof said, text, sizeof text), "86400 s ahead of"));
  cr_assert_eq(wb_login_heard(login, NOW_NS, NOW_NS / 1000000000 - 30), 30);
  cr_assert_null(strstr(wb_login_explain(login, "coinbase-exchange", said, sizeof said, text, sizeof text), "ahead"));
  static char long_said[100000];
  memset(long_said, 'x', sizeof long_said);
  cr_assert_null(wb_login_explain(login, "coinbase-exchange", long_said, sizeof long_said, text, sizeof text));
  wb_login_close(login);
}

Test(login, what_is_said_of_a_login_says_nothing_of_its_key) {
  char text[512];
  wb_login *login = good("coinbase-exchange", EXCHANGE_KEY);
  const char *said = wb_login_describe(login, text, sizeof text);
  cr_assert(strstr(said, "Exchange key") && strstr(said, "HMAC-SHA256") && !strstr(said, "0123"));
  wb_login_close(login);
  login = good("coinbase-advanced", ED_KEY);
  said = wb_login_describe(login, text, sizeof text);
  cr_assert(strstr(said, "developer portal") && strstr(said, "EdDSA") && !strstr(said, "0000"));
  wb_login_close(login);
}

/* ------------------------------------------------------------------------------------------------ the mock's judgement */

static const char *judged(wb_mock_login *mock, const char *text, int64_t late_s) {
  json_t *message = json_loads(text, 0, NULL);
  cr_assert_not_null(message);
  const char *said = wb_mock_login_fields(mock, message, NOW_NS + late_s * 1000000000);
  json_decref(message);
  return said ? said : "good";
}

Test(mock_login, the_exchange_tells_wrong_logins_apart_and_counts_them) {
  wb_mock_login *mock = accounts(ACCOUNTS);
  wb_login *login = good("coinbase-exchange", EXCHANGE_KEY),
           *other = good("coinbase-exchange", "key=0123456789abcdef\nsecret=QUJD\npassphrase=x"),
           *phrase = good("coinbase-exchange", "key=0123456789abcdef\nsecret=" SECRET "\npassphrase=x"),
           *stranger = good("coinbase-exchange", "key=stranger\nsecret=" SECRET "\npassphrase=x");
  const char *sent = signed_text(login, SUBSCRIBE).text;
  static const int64_t in_time[] = {-30, 0, 30}, too_late[] = {-31, 31, 100000};
  for (int i = 0; i < 3; i++) {
    cr_assert_str_eq(judged(mock, sent, in_time[i]), "good");
    cr_assert(strstr(judged(mock, sent, too_late[i]), "timestamp expired"));
  }
  cr_assert(strstr(judged(mock, signed_text(other, SUBSCRIBE).text, 0), "invalid signature"));
  cr_assert(strstr(judged(mock, signed_text(phrase, SUBSCRIBE).text, 0), "Invalid Passphrase"));
  cr_assert(strstr(judged(mock, signed_text(stranger, SUBSCRIBE).text, 0), "Invalid API Key"));
  cr_assert(
      strstr(judged(mock, "{\"key\":\"" NAME "\",\"signature\":\"x\",\"passphrase\":\"x\",\"timestamp\":\"1785649432\"}", 0),
             "Invalid API Key"));
  cr_assert(strstr(judged(mock, "{\"key\":\"k\",\"signature\":\"x\",\"passphrase\":\"x\",\"timestamp\":\"soon\"}", 0),
                   "invalid timestamp"));
  cr_assert(strstr(judged(mock, "{\"key\":1}", 0), "invalid timestamp"));
  json_t *report = wb_mock_login_json(mock);
  static const struct {
    const char *name;
    int count;
  } counts[] = {{"accepted", 3},    {"wrong_timestamp", 3}, {"wrong_signature", 1}, {"wrong_passphrase", 1},
                {"unknown_key", 1}, {"wrong_kind", 1},      {"malformed", 2}};
  cr_assert_eq(json_object_size(report), 7);
  for (unsigned i = 0; i < 7; i++)
    cr_assert_eq(json_integer_value(json_object_get(report, counts[i].name)), counts[i].count, "%s", counts[i].name);
  json_decref(report);
  wb_login *all[] = {login, other, phrase, stranger};
  for (int i = 0; i < 4; i++) wb_login_close(all[i]);
  wb_mock_login_close(mock);
}

static uint64_t count_of(wb_mock_login *mock, const char *name) {
  json_t *report = wb_mock_login_json(mock);
  uint64_t count = (uint64_t)json_integer_value(json_object_get(report, name));
  json_decref(report);
  return count;
}

Test(mock_login, a_token_is_good_for_its_time_and_only_as_it_was_signed) {
  wb_mock_login *mock = accounts(ACCOUNTS);
  wb_login *login = good("coinbase-advanced", portal_key()),
           *stranger = good("coinbase-advanced", "name=stranger\nprivateKey=" ED_TEXT),
           *wrong_key = good("coinbase-advanced", "name=" NAME "\nprivateKey=" ED_TEXT),
           *kind = good("coinbase-advanced", "name=0123456789abcdef\nprivateKey=" ED_TEXT);
  static const char text[] = "{\"type\":\"subscribe\",\"channel\":\"level2\"}";
  wb_login *const others[] = {stranger, wrong_key, kind};
  static const char *const why[] = {"unknown_key", "wrong_signature", "wrong_kind"};
  json_t *sent = json_loads(signed_text(login, text).text, 0, NULL);
  const char *jwt = member(sent, "jwt");
  cr_assert_null(wb_mock_login_jwt(mock, jwt, NOW_NS));
  cr_assert_null(wb_mock_login_jwt(mock, jwt, NOW_NS + INT64_C(120000000000)));
  cr_assert_str_eq(wb_mock_login_jwt(mock, jwt, NOW_NS + INT64_C(121000000000)), "authentication failure");
  cr_assert_eq(count_of(mock, "expired"), 1);
  cr_assert_null(wb_mock_login_jwt(mock, jwt, NOW_NS - INT64_C(30000000000)));
  cr_assert_not_null(wb_mock_login_jwt(mock, jwt, NOW_NS - INT64_C(31000000000)));
  cr_assert_eq(count_of(mock, "wrong_timestamp"), 1);
  for (int i = 0; i < 3; i++) {
    json_t *one = json_loads(signed_text(others[i], text).text, 0, NULL);
    cr_assert_not_null(wb_mock_login_jwt(mock, member(one, "jwt"), NOW_NS));
    cr_assert_eq(count_of(mock, why[i]), 1, "%s", why[i]);
    json_decref(one);
  }
  static const char *const malformed[] = {NULL, "", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.AAAA"};
  for (unsigned i = 0; i < sizeof malformed / sizeof *malformed; i++)
    cr_assert_not_null(wb_mock_login_jwt(mock, malformed[i], NOW_NS));
  cr_assert_eq(count_of(mock, "malformed"), sizeof malformed / sizeof *malformed);
  size_t n = strlen(jwt);
  char *changed = strdup(jwt);
  for (size_t i = 0; i < n; i++) {
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    cr_assert_not_null(wb_mock_login_jwt(mock, changed, NOW_NS), "character %zu", i);
    changed[i] = jwt[i];
  }
  for (size_t cut = 0; cut < n; cut++) {
    changed[cut] = 0;
    cr_assert_not_null(wb_mock_login_jwt(mock, changed, NOW_NS), "cut at %zu", cut);
    changed[cut] = jwt[cut];
  }
  free(changed);
  json_decref(sent);
  wb_login_close(login);
  for (int i = 0; i < 3; i++) wb_login_close(others[i]);
  wb_mock_login_close(mock);
}
