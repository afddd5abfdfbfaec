#include <criterion/criterion.h>
#include <pthread.h>

#include "io/tls_private.h"
#include "tests/unit/tls/fixture.h"

#include <wolfssl/wolfcrypt/aes.h>

static void scramble(uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)rand();
}

static void key_set(Aes *aes, int device, const uint8_t *key, word32 bytes) {
  cr_assert_eq(wc_AesInit(aes, NULL, device), 0);
  cr_assert_eq(wc_AesGcmSetKey(aes, key, bytes), 0);
}

static wb_tls_keys *begin(void) {
  wb_error error = {0};
  cr_assert_eq(wb_tls_start(&error), 0, "%s", error.detail);
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("aes")) cr_skip("this CPU has no AES instructions");
  wb_tls_keys_lent = wb_tls_keys_open();
  cr_assert_not_null(wb_tls_keys_lent);
  return wb_tls_keys_lent;
}

static void end(void) {
  wb_tls_keys_close(wb_tls_keys_lent);
  wb_tls_keys_lent = NULL;
}

enum { TEXT_BYTES_MAX = 17000 };
static uint8_t plain[TEXT_BYTES_MAX], ours[TEXT_BYTES_MAX], theirs[TEXT_BYTES_MAX], back[TEXT_BYTES_MAX];

Test(aead, known_answer_of_the_gcm_specification) {
  /* McGrew and Viega, The Galois/Counter Mode of Operation, appendix B, test case 4 */
  static const uint8_t key[16] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
                                  0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
  static const uint8_t nonce[12] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
  static const uint8_t more[20] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                                   0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
  static const uint8_t text[60] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26,
                                   0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31,
                                   0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49,
                                   0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
  static const uint8_t tag_expected[16] = {0x5b, 0xc9, 0x4f, 0xbc, 0x32, 0x21, 0xa5, 0xdb,
                                           0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a, 0x47};
  wb_tls_keys *keys = begin();
  Aes aes;
  uint8_t tag[16];
  key_set(&aes, WB_TLS_DEVICE, key, 16);
  cr_assert_eq(wc_AesGcmEncrypt(&aes, ours, text, 60, nonce, 12, tag, 16, more, 20), 0);
  cr_assert_arr_eq(tag, tag_expected, 16);
  cr_assert_eq(ours[0], 0x42);
  cr_assert_eq(ours[59], 0x91);
  cr_assert_eq(wb_tls_keys_records(keys), 1);
  end();
}

Test(aead, agrees_with_wolfcrypt_on_every_size_and_refuses_every_changed_byte) {
  unsigned seed = seeded();
  wb_tls_keys *keys = begin();
  uint64_t records = 0;
  for (int round = 0; round < 3000; round++) {
    Aes fast[2], slow;
    uint8_t key[2][32], nonce[12], more[64], tag_fast[16], tag_slow[16];
    word32 key_bytes = rand() & 1 ? 16 : 32, more_bytes = (word32)rand() % 33;
    word32 count = round < 600 ? (word32)round : (word32)rand() % (rand() % 8 ? 1500 : TEXT_BYTES_MAX);
    scramble(key[0], 64), scramble(nonce, 12), scramble(more, 64), scramble(plain, count);
    key_set(&slow, INVALID_DEVID, key[0], key_bytes);
    key_set(&fast[0], WB_TLS_DEVICE, key[0], key_bytes);
    key_set(&fast[1], WB_TLS_DEVICE, key[1], key_bytes); /* the other direction, in between */
    cr_assert_eq(wc_AesGcmEncrypt(&slow, theirs, plain, count, nonce, 12, tag_slow, 16, more, more_bytes), 0);
    cr_assert_eq(wc_AesGcmEncrypt(&fast[0], ours, plain, count, nonce, 12, tag_fast, 16, more, more_bytes), 0);
    cr_assert_arr_eq(ours, theirs, count, "seed %u", seed);
    cr_assert_arr_eq(tag_fast, tag_slow, 16, "seed %u", seed);
    cr_assert_eq(wc_AesGcmDecrypt(&fast[1], back, ours, count, nonce, 12, tag_fast, 16, more, more_bytes), AES_GCM_AUTH_E);
    memcpy(back, ours, count); /* in place, as a record is */
    cr_assert_eq(wc_AesGcmDecrypt(&fast[0], back, back, count, nonce, 12, tag_slow, 16, more, more_bytes), 0);
    cr_assert_arr_eq(back, plain, count, "seed %u", seed);
    records += 2;

    uint8_t *parts[] = {ours, tag_fast, nonce, more};
    word32 part_bytes[] = {count, 16, 12, more_bytes};
    for (int part = 0; part < 4; part++) {
      if (!part_bytes[part]) continue;
      uint8_t *byte = &parts[part][(word32)rand() % part_bytes[part]], change = (uint8_t)(1 << rand() % 8);
      *byte ^= change;
      memset(back, 0xa5, count);
      cr_assert_eq(wc_AesGcmDecrypt(&fast[0], back, ours, count, nonce, 12, tag_fast, 16, more, more_bytes), AES_GCM_AUTH_E,
                   "seed %u part %d", seed, part);
      for (word32 i = 0; i < count; i++) cr_assert_eq(back[i], 0, "nothing of a refused record is to be seen");
      *byte ^= change;
    }
    wc_AesFree(&slow), wc_AesFree(&fast[0]), wc_AesFree(&fast[1]);
  }
  cr_assert_eq(wb_tls_keys_records(keys), records);
  end();
}

Test(aead, a_new_key_in_the_same_object_is_noticed) {
  wb_tls_keys *keys = begin();
  Aes aes, slow;
  uint8_t key[32], nonce[12] = {0}, tag[16], tag_slow[16];
  seeded();
  for (int i = 0; i < 200; i++) {
    word32 bytes = i & 1 ? 16 : 32;
    scramble(key, bytes);
    if (i == 0) cr_assert_eq(wc_AesInit(&aes, NULL, WB_TLS_DEVICE), 0);
    cr_assert_eq(wc_AesGcmSetKey(&aes, key, bytes), 0);
    key_set(&slow, INVALID_DEVID, key, bytes);
    cr_assert_eq(wc_AesGcmEncrypt(&aes, ours, plain, 100, nonce, 12, tag, 16, NULL, 0), 0);
    cr_assert_eq(wc_AesGcmEncrypt(&slow, theirs, plain, 100, nonce, 12, tag_slow, 16, NULL, 0), 0);
    cr_assert_arr_eq(ours, theirs, 100);
    cr_assert_arr_eq(tag, tag_slow, 16);
  }
  cr_assert_eq(wb_tls_keys_records(keys), 200);
  end();
}

Test(aead, what_the_device_does_not_do_wolfcrypt_does) {
  wb_tls_keys *keys = begin();
  Aes aes, slow;
  uint8_t key[24] = {1}, nonce[16] = {2}, tag[16], tag_slow[16];
  const struct { word32 key, nonce, tag; } cases[] = {{24, 12, 16}, {16, 16, 16}, {16, 8, 16}, {16, 12, 12}};
  for (size_t i = 0; i < 4; i++) {
    key_set(&aes, WB_TLS_DEVICE, key, cases[i].key);
    key_set(&slow, INVALID_DEVID, key, cases[i].key);
    cr_assert_eq(wc_AesGcmEncrypt(&aes, ours, plain, 100, nonce, cases[i].nonce, tag, cases[i].tag, NULL, 0), 0);
    cr_assert_eq(wc_AesGcmEncrypt(&slow, theirs, plain, 100, nonce, cases[i].nonce, tag_slow, cases[i].tag, NULL, 0), 0);
    cr_assert_arr_eq(ours, theirs, 100);
    cr_assert_arr_eq(tag, tag_slow, cases[i].tag);
    cr_assert_eq(wc_AesGcmDecrypt(&aes, back, ours, 100, nonce, cases[i].nonce, tag, cases[i].tag, NULL, 0), 0);
  }
  cr_assert_eq(wb_tls_keys_records(keys), 0);
  end();
  key_set(&aes, WB_TLS_DEVICE, key, 16); /* no keys lent */
  cr_assert_eq(wc_AesGcmEncrypt(&aes, ours, plain, 100, nonce, 12, tag, 16, NULL, 0), 0);
  cr_assert_eq(wc_AesGcmDecrypt(&aes, back, ours, 100, nonce, 12, tag, 16, NULL, 0), 0);
  cr_assert_arr_eq(back, plain, 100);
}

/* ------------------------------------------------------------------------------------------------ pool */

Test(pool, it_gives_distinct_blocks_and_keeps_their_contents) {
  enum { BLOCKS = 64, OPS = 100000 };
  unsigned seed = seeded();
  uint8_t *block[BLOCKS] = {0};
  size_t size[BLOCKS] = {0};
  for (int op = 0; op < OPS; op++) {
    int i = rand() % BLOCKS;
    size_t bytes = (size_t)rand() % (rand() % 4 ? 300 : 100000);
    if (block[i]) cr_assert(is(block[i], size[i], (uint64_t)i * 1000), "seed %u", seed);
    switch (rand() % 3) {
    case 0:
      wb_tls_pool_give(block[i]);
      block[i] = NULL, size[i] = 0;
      break;
    case 1:
      wb_tls_pool_give(block[i]);
      block[i] = wb_tls_pool_take(bytes);
      size[i] = bytes;
      fill(block[i], bytes, (uint64_t)i * 1000);
      break;
    default:
      block[i] = wb_tls_pool_resize(block[i], bytes);
      cr_assert(is(block[i], size[i] < bytes ? size[i] : bytes, (uint64_t)i * 1000), "seed %u", seed);
      size[i] = bytes;
      fill(block[i], bytes, (uint64_t)i * 1000);
    }
    if (block[i]) cr_assert_eq((uintptr_t)block[i] % 16, 0);
  }
  for (int i = 0; i < BLOCKS; i++) wb_tls_pool_give(block[i]);
  cr_assert_null(wb_tls_pool_take(SIZE_MAX));
  cr_assert_null(wb_tls_pool_take(SIZE_MAX - 8));
}

typedef struct worker {
  uint64_t base;
  bool good;
} worker;

static void *use_pool(void *argument) {
  worker *w = argument;
  uint8_t *block[8] = {0};
  w->good = true;
  for (int op = 0; op < 50000; op++) {
    int i = op * 7 % 8;
    size_t bytes = 64u << (op * 13 % 5);
    if (block[i]) w->good &= is(block[i], 64, w->base + (uint64_t)i);
    wb_tls_pool_give(block[i]);
    block[i] = wb_tls_pool_take(bytes);
    fill(block[i], 64, w->base + (uint64_t)i);
  }
  for (int i = 0; i < 8; i++) wb_tls_pool_give(block[i]);
  return NULL;
}

Test(pool, threads_never_share_a_block) {
  pthread_t thread[4];
  worker workers[4];
  for (int i = 0; i < 4; i++) {
    workers[i] = (worker){.base = (uint64_t)i << 32};
    cr_assert(!pthread_create(&thread[i], NULL, use_pool, &workers[i]));
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(thread[i], NULL);
    cr_assert(workers[i].good);
  }
}
