#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base64.h"
#include "io/tls_sign.h"
#include "tests/unit/random.h"
#include "tests/unit/tls/fixture.h"

static size_t unhex(const char *text, uint8_t *bytes) {
  size_t n = 0;
  for (unsigned byte; sscanf(text, "%2x", &byte) == 1; text += 2) bytes[n++] = (uint8_t)byte;
  return n;
}

/* ------------------------------------------------------------------------------------------------ base64 */

Test(base64, the_vectors_of_rfc_4648_both_ways) {
  static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"},
                           *const encoded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (unsigned i = 0; i < 7; i++) {
    char text[16], url[16], bytes[16];
    size_t n = strlen(plain[i]), bare = strcspn(encoded[i], "=");
    cr_assert_eq(wb_base64_encode(plain[i], n, text), strlen(encoded[i]));
    cr_assert_str_eq(text, encoded[i]);
    cr_assert_eq(wb_base64url_encode(plain[i], n, url), bare);
    cr_assert(memcmp(url, encoded[i], bare) == 0 && url[bare] == 0);
    cr_assert_eq(wb_base64_decode(text, strlen(text), bytes, sizeof bytes), (int)n);
    cr_assert_arr_eq(bytes, plain[i], n);
    cr_assert_eq(wb_base64url_decode(url, bare, bytes, sizeof bytes), (int)n);
    cr_assert_arr_eq(bytes, plain[i], n);
  }
}

Test(base64, what_no_encoder_writes_is_refused) {
  static const char *const wrong[] = {"Z",
                                      "Zg",
                                      "Zg=",
                                      "Zm9",
                                      "====",
                                      "Zg==Zg==",
                                      "Zh==",
                                      "Zm9=",
                                      "Z===",
                                      "Zm 9v",
                                      "Zm9v\n",
                                      "Zm9v=",
                                      "Zm-_",
                                      "Zm9v*",
                                      "=Zg=",
                                      "Zg=="
                                      "="};
  char bytes[16];
  for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
    cr_assert_eq(wb_base64_decode(wrong[i], strlen(wrong[i]), bytes, sizeof bytes), WB_E_SYNTAX, "%s", wrong[i]);
  static const char *const url[] = {"Z", "Zg==", "Zh", "Zm9", "Zm+/", "Zm9v="};
  for (unsigned i = 0; i < sizeof url / sizeof *url; i++)
    cr_assert_eq(wb_base64url_decode(url[i], strlen(url[i]), bytes, sizeof bytes), WB_E_SYNTAX, "%s", url[i]);
  cr_assert_eq(wb_base64_decode("Zm9v", 4, bytes, 2), WB_E_LIMIT);
  cr_assert_eq(wb_base64_decode("+/+/", 4, bytes, 3), 3);
  cr_assert_eq(wb_base64url_decode("-_-_", 4, bytes, 3), 3);
}

/* Bit by bit. */
static size_t slowly(const uint8_t *bytes, size_t count, const char *alphabet, char *text) {
  size_t n = 0;
  for (size_t bit = 0; bit < 8 * count; bit += 6) {
    unsigned six = 0;
    for (size_t b = bit; b < bit + 6; b++) six = 2 * six + (b < 8 * count && (bytes[b / 8] >> (7 - b % 8) & 1));
    text[n++] = alphabet[six];
  }
  return n;
}

Test(base64, random_bytes_go_both_ways_as_a_slow_encoder_says) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  char alphabet[2][65];
  snprintf(alphabet[0], 65, "%s+/", letters);
  snprintf(alphabet[1], 65, "%s-_", letters);
  seed();
  for (int i = 0; i < 20000; i++) {
    uint8_t bytes[100], back[100];
    char text[140], slow[140];
    size_t count = next() % sizeof bytes;
    for (size_t k = 0; k < count; k++) bytes[k] = (uint8_t)next();
    bool url = next() & 1;
    size_t n = url ? wb_base64url_encode(bytes, count, text) : wb_base64_encode(bytes, count, text);
    size_t bare = slowly(bytes, count, alphabet[url], slow);
    cr_assert_eq(n, url ? bare : (bare + 3) / 4 * 4);
    cr_assert_arr_eq(text, slow, bare);
    cr_assert_eq(url ? wb_base64url_decode(text, n, back, sizeof back) : wb_base64_decode(text, n, back, sizeof back),
                 (int)count);
    cr_assert_arr_eq(back, bytes, count);
    if (!n) continue;
    /* One character changed: refused, or what it says is encoded so. */
    text[next() % n] = (char)next();
    int got = url ? wb_base64url_decode(text, n, back, sizeof back) : wb_base64_decode(text, n, back, sizeof back);
    char again[140];
    if (got >= 0) {
      cr_assert_eq(url ? wb_base64url_encode(back, (size_t)got, again) : wb_base64_encode(back, (size_t)got, again), n);
      cr_assert_arr_eq(again, text, n);
    }
  }
}

/* ------------------------------------------------------------------------------------------------ HMAC */

Test(sign, hmac_is_that_of_rfc_4231) {
  static const struct {
    const char *key, *data, *mac;
  } vectors[] = {
      {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
       "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {"0102030405060708090a0b0c0d0e0f10111213141516171819",
       "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
  };
  for (unsigned i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    uint8_t key[64], data[64], mac[32], expected[32];
    size_t key_bytes = unhex(vectors[i].key, key), data_bytes = unhex(vectors[i].data, data);
    unhex(vectors[i].mac, expected);
    cr_assert_eq(wb_sign_hmac(key, key_bytes, data, data_bytes, mac), 0);
    cr_assert_arr_eq(mac, expected, sizeof mac);
  }
  uint8_t key[131], mac[32], expected[32]; /* case 6: a key longer than a block */
  static const char data[] = "Test Using Larger Than Block-Size Key - Hash Key First";
  memset(key, 0xaa, sizeof key);
  unhex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", expected);
  cr_assert_eq(wb_sign_hmac(key, sizeof key, data, strlen(data), mac), 0);
  cr_assert_arr_eq(mac, expected, sizeof mac);
}

/* ------------------------------------------------------------------------------------------------ keys */

static wb_sign_key made(const char *text, size_t count) {
  wb_error error;
  wb_sign_key key;
  cr_assert_eq(wb_sign_key_read(&key, text, count, &error), 0, "%s: %.*s", error.detail, (int)count, text);
  return key;
}

static void refused(const char *text, size_t count, const char *words) {
  static const wb_sign_key none;
  wb_error error = {0};
  wb_sign_key key;
  cr_assert_eq(wb_sign_key_read(&key, text, count, &error), WB_E_CONFIG, "%s", text);
  cr_assert_not_null(strstr(error.detail, words), "%s, not %s: %s", error.detail, words, text);
  cr_assert(memcmp(&key, &none, sizeof key) == 0);
}

/* A file of the folder, as a text. */
static char *slurp(const char *name, size_t *count) {
  static char text[8192];
  FILE *file = fopen(at(name), "r");
  cr_assert_not_null(file, "%s", name);
  *count = fread(text, 1, sizeof text - 1, file);
  text[*count] = 0;
  fclose(file);
  return text;
}

static void run(const char *script_text) {
  char command[4096];
  snprintf(command, sizeof command, "cd %s && { %s ; } >said 2>&1", folder, script_text);
  cr_assert_eq(system(command), 0, "%s", script_text);
}

/* PKCS #8 of Ed25519 (RFC 8410, 7): the seed behind 16 bytes that say what it is. */
static size_t ed25519_pem(const char *seed_hex, char *text) {
  uint8_t der[48];
  unhex("302e020100300506032b657004220420", der);
  unhex(seed_hex, der + 16);
  char encoded[80];
  wb_base64_encode(der, sizeof der, encoded);
  return (size_t)sprintf(text, "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n", encoded);
}

Test(sign, ed25519_is_that_of_rfc_8032_from_pem_and_from_base64) {
  static const struct {
    const char *seed, *public, *message, *signature;
  } vectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246551414"
       "38e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291"
       "612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027bec"
       "eea1ec40a"},
  };
  for (unsigned i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    uint8_t both[64], message[8], signature[64], expected[64];
    char pem[256], base64[96];
    unhex(vectors[i].seed, both);
    unhex(vectors[i].public, both + 32);
    unhex(vectors[i].signature, expected);
    size_t count = unhex(vectors[i].message, message), base64_bytes = wb_base64_encode(both, sizeof both, base64);
    wb_sign_key keys[] = {made(pem, ed25519_pem(vectors[i].seed, pem)), made(base64, base64_bytes)};
    for (int k = 0; k < 2; k++) {
      cr_assert_eq(keys[k].kind, WB_SIGN_EDDSA);
      cr_assert_eq(wb_sign(&keys[k], message, count, signature), 0);
      cr_assert_arr_eq(signature, expected, sizeof signature);
    }
  }
}

Test(sign, the_jws_of_rfc_8037_is_made_byte_for_byte) {
  static const char text[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                    expected[] = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
  char pem[256], encoded[96];
  uint8_t signature[64];
  wb_sign_key key = made(pem, ed25519_pem("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", pem));
  cr_assert_eq(wb_sign(&key, text, strlen(text), signature), 0);
  wb_base64url_encode(signature, sizeof signature, encoded);
  cr_assert_str_eq(encoded, expected);
}

/* SEC 1 (RFC 5915) without the public key, which is optional. */
static size_t ec_pem(const char *scalar_hex, char *text) {
  uint8_t der[51];
  unhex("30310201010420", der);
  unhex(scalar_hex, der + 7);
  unhex("a00a06082a8648ce3d030107", der + 39);
  char encoded[80];
  wb_base64_encode(der, sizeof der, encoded);
  return (size_t)sprintf(text, "-----BEGIN EC PRIVATE KEY-----\n%s\n-----END EC PRIVATE KEY-----\n", encoded);
}

Test(sign, es256_is_that_of_rfc_6979_so_that_no_random_number_gives_the_key_away) {
  static const struct {
    const char *message, *signature;
  } vectors[] = {
      {"sample", "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff"
                 "4064dc4ab2f843acda8"},
      {"test", "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367019f4113742a2b14bd25926b49c649155f267e60d3814b4"
               "c0cc84250e46f0083"},
  };
  char pem[256];
  wb_sign_key key = made(pem, ec_pem("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", pem));
  cr_assert_eq(key.kind, WB_SIGN_ES256);
  for (int i = 0; i < 2; i++) {
    uint8_t signature[64], expected[64];
    unhex(vectors[i].signature, expected);
    cr_assert_eq(wb_sign(&key, vectors[i].message, strlen(vectors[i].message), signature), 0);
    cr_assert_arr_eq(signature, expected, sizeof signature);
  }
}

/* The key and the signature of RFC 7515, appendix A.3: made by somebody else, with a random number. */
Test(sign, the_jws_of_rfc_7515_is_taken_and_a_changed_one_is_not) {
  static const char text[] =
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                    encoded[] = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
                    x[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
  uint8_t der[91], signature[64];
  char pem[256], der_text[128];
  unhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004", der);
  cr_assert_eq(wb_base64url_decode(x, strlen(x), der + 27, 32), 32);
  cr_assert_eq(wb_base64url_decode(y, strlen(y), der + 59, 32), 32);
  wb_base64_encode(der, sizeof der, der_text);
  size_t pem_bytes = (size_t)sprintf(pem, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", der_text);
  cr_assert_eq(wb_sign_public_kind(pem, pem_bytes, NULL), WB_SIGN_ES256);
  cr_assert_eq(wb_base64url_decode(encoded, strlen(encoded), signature, sizeof signature), 64);
  cr_assert(wb_sign_check(pem, pem_bytes, text, strlen(text), signature));
  for (int i = 0; i < 64; i++) {
    signature[i] ^= 1;
    cr_assert(!wb_sign_check(pem, pem_bytes, text, strlen(text), signature), "byte %d", i);
    signature[i] ^= 1;
  }
  cr_assert(!wb_sign_check(pem, pem_bytes, text, strlen(text) - 1, signature));
  memset(signature, 0, sizeof signature);
  cr_assert(!wb_sign_check(pem, pem_bytes, text, strlen(text), signature));
  memset(signature, 0xff, sizeof signature);
  cr_assert(!wb_sign_check(pem, pem_bytes, text, strlen(text), signature));
}

/* ------------------------------------------------------------------------------------------------ against openssl */

/* Every form in which a key may be handed out signs so that the openssl program says the signature is good. */
Test(sign, openssl_agrees_with_a_signature_by_every_form_of_a_key, .init = setup, .fini = clean) {
  run("openssl ecparam -name prime256v1 -genkey -out with.pem && openssl pkcs8 -topk8 -nocrypt -in with.pem -out pkcs8.pem && "
      "openssl ec -in with.pem -out sec1.pem && openssl ec -in with.pem -no_public -out bare.pem && openssl pkey -in with.pem "
      "-pubout -out ec.pub && "
      "openssl genpkey -algorithm ed25519 -out ed.pem && openssl pkey -in ed.pem -pubout -out ed.pub");
  static const char *const files[] = {"with.pem", "pkcs8.pem", "sec1.pem", "bare.pem", "ed.pem"};
  for (unsigned i = 0; i < 5; i++) {
    size_t count;
    char *text = slurp(files[i], &count), flat[8192], signed_text[64], *to = flat;
    for (char *c = text; *c; c++)
      if (*c == '\n') *to++ = '\\', *to++ = 'n';
      else *to++ = *c;
    *to = 0;
    wb_sign_key keys[] = {made(text, count), made(flat, strlen(flat))};
    for (int k = 0; k < 2; k++) {
      uint8_t signature[64];
      int n = snprintf(signed_text, sizeof signed_text, "form %u, %d", i, k);
      cr_assert_eq(wb_sign(&keys[k], signed_text, (size_t)n, signature), 0);
      FILE *file = fopen(at("signed"), "w");
      fputs(signed_text, file);
      fclose(file);
      file = fopen(at("signature"), "w");
      if (keys[k].kind == WB_SIGN_ES256) { /* SEQUENCE of two INTEGERs, which are positive */
        bool high[] = {signature[0] >> 7, signature[32] >> 7};
        unsigned skip[] = {0, 0};
        for (int half = 0; half < 2; half++)
          while (skip[half] < 31 && !signature[32 * half + (int)skip[half]] &&
                 !(signature[32 * half + (int)skip[half] + 1] >> 7))
            skip[half]++;
        unsigned bytes[] = {32 + high[0] - skip[0], 32 + high[1] - skip[1]};
        fprintf(file, "%c%c", 0x30, (int)(4 + bytes[0] + bytes[1]));
        for (int half = 0; half < 2; half++) {
          fprintf(file, "%c%c", 2, (int)bytes[half]);
          if (high[half]) fputc(0, file);
          fwrite(signature + 32 * half + skip[half], 1, 32 - skip[half], file);
        }
      } else {
        fwrite(signature, 1, 64, file);
      }
      fclose(file);
      run(i < 4 ? "openssl dgst -sha256 -verify ec.pub -signature signature signed"
                : "openssl pkeyutl -verify -pubin -inkey ed.pub -rawin -in signed -sigfile signature");
      char public[512];
      size_t public_bytes;
      memcpy(public, slurp(i < 4 ? "ec.pub" : "ed.pub", &public_bytes), 512);
      cr_assert_eq(wb_sign_public_kind(public, public_bytes, NULL), i < 4 ? WB_SIGN_ES256 : WB_SIGN_EDDSA);
      cr_assert(wb_sign_check(public, public_bytes, signed_text, (size_t)n, signature));
      cr_assert(!wb_sign_check(public, public_bytes, signed_text, (size_t)n - 1, signature));
      signature[40] ^= 4;
      cr_assert(!wb_sign_check(public, public_bytes, signed_text, (size_t)n, signature));
    }
  }
}

Test(sign, what_is_no_key_is_refused_in_words_that_say_what_it_is, .init = setup, .fini = clean) {
  run("openssl genrsa -out rsa.pem 2048 && openssl genrsa -traditional -out rsa1.pem 2048 && openssl ecparam -name secp384r1 "
      "-genkey -noout -out p384.pem && "
      "openssl ecparam -name secp256k1 -genkey -noout -out k1.pem && "
      "openssl pkcs8 -topk8 -passout pass:x -in good.key -out encrypted.pem && openssl ec -aes128 -passout pass:x -in good.key "
      "-out old.pem && "
      "openssl pkey -in good.key -pubout -out public.pem && openssl genpkey -algorithm x25519 -out x25519.pem && "
      "openssl genpkey -algorithm ed25519 -out ed.pem && openssl pkey -in ed.pem -pubout -out ed.pub");
  static const char *const cases[][2] = {
      {"rsa.pem", "an RSA key"},          {"rsa1.pem", "an RSA key"},     {"p384.pem", "another curve"},
      {"k1.pem", "another curve"},        {"encrypted.pem", "encrypted"}, {"old.pem", "encrypted"},
      {"public.pem", "a public key"},     {"ed.pub", "a public key"},     {"good.pem", "a public key"},
      {"x25519.pem", "no EC or Ed25519"},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t count;
    char *text = slurp(cases[i][0], &count);
    refused(text, count, cases[i][1]);
  }
  refused("", 0, "neither PEM text nor");
  refused("what", 4, "neither PEM text nor");
  refused("-----BEGIN ", 11, "does not begin as it should");
  refused("-----BEGIN EC PRIVATE KEY-----\nMHcC", 36, "cut short");
  refused("-----BEGIN EC PRIVATE KEY-----\n!!\n-----END EC PRIVATE KEY-----", 62, "damaged");
  refused("-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----", 59, "damaged");
  char base64[96], pem[256];
  uint8_t both[64];
  memset(both, 7, sizeof both); /* as an Exchange secret looks */
  refused(base64, wb_base64_encode(both, sizeof both, base64), "public half does not belong");
  refused(base64, wb_base64_encode(both, 63, base64), "neither PEM text nor");
  refused(pem, ec_pem("0000000000000000000000000000000000000000000000000000000000000000", pem), "");
  refused(pem, ec_pem("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", pem), "");
}

Test(sign, a_key_whose_public_half_is_anothers_is_refused, .init = setup, .fini = clean) {
  /* Of SEC 1 with a public key the last 65 bytes are its point. */
  run("for n in a b; do openssl ecparam -name prime256v1 -genkey -noout | openssl ec -outform DER -out $n.der; done && "
      "{ head -c 56 a.der; tail -c 65 b.der; } >mixed.der && openssl base64 -in mixed.der -out mixed.b64 && "
      "{ echo '-----BEGIN EC PRIVATE KEY-----'; cat mixed.b64; echo '-----END EC PRIVATE KEY-----'; } >mixed.pem");
  size_t count;
  char *text = slurp("mixed.pem", &count);
  refused(text, count, "public half does not belong");
}

Test(sign, a_pem_text_that_is_cut_anywhere_or_changed_anywhere_is_refused_or_signs, .init = setup, .fini = clean) {
  seed();
  size_t count;
  char *text = slurp("good.key", &count), changed[8192];
  wb_sign_key key;
  size_t whole = (size_t)(strstr(text, "-----END ") + 9 - text);
  for (size_t cut = 0; cut < whole; cut++)
    cr_assert_eq(wb_sign_key_read(&key, text, cut, NULL), WB_E_CONFIG, "cut at %zu", cut);
  for (int i = 0; i < 1500; i++) {
    memcpy(changed, text, count);
    for (unsigned n = 1 + next() % 3; n; n--) changed[next() % count] = (char)next();
    if (wb_sign_key_read(&key, changed, count, NULL) == 0) {
      uint8_t signature[64];
      cr_assert_eq(wb_sign(&key, "x", 1, signature), 0);
    }
  }
}
