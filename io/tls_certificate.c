#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/tls_private.h"

#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

enum { DER_BYTES = 4096, PEM_BYTES = 8192, DAYS = 30 };

/* SEQUENCE { dNSName localhost, iPAddress 127.0.0.1, iPAddress ::1 } (RFC 5280, 4.2.1.6) */
static const uint8_t names[] = {0x30, 35, 0x82, 9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't', 0x87, 4, 127, 0, 0, 1,
                                0x87, 16, 0,    0, 0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0, 0,   0, 1};

static int put(const char *path, const uint8_t *bytes, size_t count, mode_t mode, wb_error *error) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  bool good = fd >= 0 && !fchmod(fd, mode) && write(fd, bytes, count) == (ssize_t)count;
  int code = errno;
  if (fd >= 0 && close(fd)) good = false;
  return good ? 0 : wb_error_set(error, WB_E_SYSTEM, code, "certificate", "%.160s: %s", path, strerror(code));
}

static int put_pem(const char *path, const uint8_t *der, int der_bytes, int kind, mode_t mode, wb_error *error) {
  uint8_t pem[PEM_BYTES];
  int bytes = wc_DerToPem(der, (word32)der_bytes, pem, sizeof pem, kind);
  int result = bytes > 0 ? put(path, pem, (size_t)bytes, mode, error)
                         : wb_error_set(error, WB_E_TLS, 0, "certificate", "wolfCrypt writes no PEM (%d)", bytes);
  explicit_bzero(pem, sizeof pem);
  return result;
}

/* Returns the bytes of der or wolfCrypt's error. authority: DER of the signer's certificate, NULL for the authority itself. */
static int make(Cert *cert, const char *name, ecc_key *key, ecc_key *signer, const uint8_t *authority, int authority_bytes,
                WC_RNG *random, uint8_t *der) {
  int code = wc_InitCert(cert);
  if (code) return code;
  strcpy(cert->subject.org, "wirebook");
  strcpy(cert->subject.commonName, name);
  cert->sigType = CTC_SHA256wECDSA;
  cert->daysValid = DAYS;
  cert->isCA = !authority;
  cert->selfSigned = !authority;
  code = wc_SetSubjectKeyIdFromPublicKey_ex(cert, ECC_TYPE, key);
  if (!code) code = wc_SetKeyUsage(cert, authority ? "digitalSignature" : "keyCertSign,cRLSign");
  if (!code && authority) {
    memcpy(cert->altNames, names, sizeof names);
    cert->altNamesSz = sizeof names;
    code = wc_SetExtKeyUsage(cert, "serverAuth");
    if (!code) code = wc_SetIssuerBuffer(cert, authority, authority_bytes);
    if (!code) code = wc_SetAuthKeyIdFromCert(cert, authority, authority_bytes);
  }
  if (code) return code;
  code = wc_MakeCert_ex(cert, der, DER_BYTES, ECC_TYPE, key, random);
  return code < 0 ? code : wc_SignCert_ex(cert->bodySz, cert->sigType, der, DER_BYTES, ECC_TYPE, signer, random);
}

int wb_tls_certificate_make(const char *cert_file, const char *key_file, const char *ca_file, wb_error *error) {
  if (!cert_file || !key_file || !ca_file) return wb_error_set(error, WB_E_INVALID, 0, "certificate", "three files are needed");
  int result = wb_tls_start(error);
  if (result) return result;
  uint8_t ca[DER_BYTES], leaf[DER_BYTES], secret[DER_BYTES];
  int ca_bytes = 0, leaf_bytes = 0, secret_bytes = 0;
  ecc_key ca_key, key;
  WC_RNG random;
  Cert *cert = malloc(sizeof *cert);
  if (!cert) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "certificate", "no memory");
  int code = wc_InitRng(&random);
  if (code) {
    free(cert);
    return wb_error_set(error, WB_E_TLS, 0, "certificate", "no random numbers (%d)", code);
  }
  wc_ecc_init(&ca_key);
  wc_ecc_init(&key);
  code = wc_ecc_make_key_ex(&random, 32, &ca_key, ECC_SECP256R1);
  if (!code) code = wc_ecc_make_key_ex(&random, 32, &key, ECC_SECP256R1);
  if (!code) code = ca_bytes = make(cert, "wirebook test authority", &ca_key, &ca_key, NULL, 0, &random, ca);
  if (code > 0) code = leaf_bytes = make(cert, "localhost", &key, &ca_key, ca, ca_bytes, &random, leaf);
  if (code > 0) code = secret_bytes = wc_EccKeyToDer(&key, secret, sizeof secret);
  if (code <= 0)
    result = wb_error_set(error, WB_E_TLS, 0, "certificate", "wolfCrypt makes no certificate: %s", wc_GetErrorString(code));
  else if (!(result = put_pem(key_file, secret, secret_bytes, ECC_PRIVATEKEY_TYPE, 0600, error)) &&
           !(result = put_pem(cert_file, leaf, leaf_bytes, CERT_TYPE, 0644, error)))
    result = put_pem(ca_file, ca, ca_bytes, CERT_TYPE, 0644, error);
  explicit_bzero(secret, sizeof secret);
  wc_ecc_free(&key);
  wc_ecc_free(&ca_key);
  wc_FreeRng(&random);
  free(cert);
  return result;
}
