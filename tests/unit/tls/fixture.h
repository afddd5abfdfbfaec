/* fixture.h - what the TLS tests share: a folder of certificates, made by the openssl program for each test and gone after it,
 * and text whose every byte tells its position. */
#ifndef WB_TESTS_TLS_FIXTURE_H
#define WB_TESTS_TLS_FIXTURE_H

#include <criterion/criterion.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char folder[64];

static inline const char *at(const char *name) {
  static char path[8][128];
  static unsigned next;
  char *p = path[next++ % 8];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

static const char script[] =
    "set -e; exec >log 2>&1\n"
    "cat >conf <<'END'\n"
    "[ca]\ndefault_ca=c\n[c]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName="
    "supplied\n"
    "[leaf]\nsubjectAltName=DNS:localhost,DNS:*.wild.test,IP:127.0.0.1,IP:::1\n[top]\nbasicConstraints=critical,CA:TRUE\n"
    "keyUsage=keyCertSign\n[req]\ndistinguished_name=d\n[d]\n"
    "END\n"
    "touch index; echo 01 >serial\n"
    "key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }\n"
    "for n in ca other; do key $n; openssl req -config conf -x509 -key $n.key -subj /CN=$n -days 30 -extensions top -out "
    "$n.pem; done\n"
    "key good; openssl req -config conf -new -key good.key -subj /CN=good -out good.csr\n"
    "sign() { openssl ca -config conf -batch -notext -in good.csr -extensions leaf -out $1.pem -cert $2.pem -keyfile $2.key "
    "-startdate $3 -enddate $4; >index; }\n"
    "from=$(date -u -d yesterday +%Y%m%d%H%M%SZ); to=$(date -u -d '30 days' +%Y%m%d%H%M%SZ)\n"
    "sign good ca $from $to; sign unknown other $from $to\n"
    "sign expired ca 20200101000000Z 20210101000000Z; sign early ca 21000101000000Z 21100101000000Z\n"
    "openssl req -config conf -x509 -key good.key -subj /CN=localhost -days 30 -extensions leaf -out self.pem\n"
    "key wrong; echo nonsense >nonsense\n";

static inline void clean(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  if (*folder && system(command)) perror("rm");
}

static inline void setup(void) {
  signal(SIGPIPE, SIG_IGN);
  strcpy(folder, "/tmp/wb_tls.XXXXXX");
  cr_assert_not_null(mkdtemp(folder));
  char command[sizeof script + 128];
  snprintf(command, sizeof command, "cd %s\n%s", folder, script);
  cr_assert_eq(system(command), 0, "openssl makes no certificates, see %s/log", folder);
}

static inline unsigned seeded(void) {
  const char *given = getenv("WB_SEED");
  unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL) ^ (unsigned)getpid();
  printf("seed %u\n", seed);
  srand(seed);
  return seed;
}

static inline uint8_t byte_at(uint64_t position) { return (uint8_t)((position * UINT64_C(0x9e3779b97f4a7c15)) >> 56); }

static inline void fill(uint8_t *bytes, size_t count, uint64_t position) {
  for (size_t i = 0; i < count; i++) bytes[i] = byte_at(position + i);
}

static inline bool is(const uint8_t *bytes, size_t count, uint64_t position) {
  for (size_t i = 0; i < count; i++)
    if (bytes[i] != byte_at(position + i)) return false;
  return true;
}

#endif
