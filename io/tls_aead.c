#define NO_COMPAT_IMB_API_053 /* its old short names are those of wolfCrypt */
#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_private.h"

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>

/* One key as wolfCrypt has it, and as the library wants it. A connection has two cipher objects, one a direction; each is
 * given new keys in place (handshake, application, key update), so the key is compared, not only the object. */
typedef struct expanded {
  struct gcm_key_data key __attribute__((aligned(64)));
  const Aes *aes;
  uint32_t bytes;
  uint8_t raw[AES_256_KEY_SIZE];
} expanded;

struct wb_tls_keys {
  expanded direction[2];
  uint64_t records;
  unsigned next;
};

_Thread_local wb_tls_keys *wb_tls_keys_lent;

static struct {
  aes_gcm_pre_t expand128, expand256;
  aes_gcm_enc_dec_t encrypt128, encrypt256, decrypt128, decrypt256;
} gcm;

wb_tls_keys *wb_tls_keys_open(void) {
  wb_tls_keys *keys = aligned_alloc(_Alignof(wb_tls_keys), sizeof *keys);
  if (keys) memset(keys, 0, sizeof *keys);
  return keys;
}

void wb_tls_keys_close(wb_tls_keys *keys) {
  if (!keys) return;
  explicit_bzero(keys, sizeof *keys);
  free(keys);
}

uint64_t wb_tls_keys_records(const wb_tls_keys *keys) { return keys->records; }

static const struct gcm_key_data *expand(wb_tls_keys *keys, const Aes *aes) {
  uint32_t bytes = (uint32_t)aes->keylen;
  expanded *e = NULL;
  for (int i = 0; i < 2; i++)
    if (keys->direction[i].aes == aes) e = &keys->direction[i];
  if (e && e->bytes == bytes && !memcmp(e->raw, aes->devKey, bytes)) return &e->key;
  if (!e) e = &keys->direction[keys->next++ & 1];
  e->aes = aes;
  e->bytes = bytes;
  memcpy(e->raw, aes->devKey, bytes);
  (bytes == AES_128_KEY_SIZE ? gcm.expand128 : gcm.expand256)(e->raw, &e->key);
  return &e->key;
}

static bool fits(const Aes *aes, word32 nonce_bytes, word32 tag_bytes) {
  return aes && (aes->keylen == AES_128_KEY_SIZE || aes->keylen == AES_256_KEY_SIZE) && nonce_bytes == GCM_NONCE_MID_SZ &&
         tag_bytes == AES_BLOCK_SIZE;
}

/* In constant time. */
static bool differ(const uint8_t *a, const uint8_t *b) {
  uint64_t x[2], y[2];
  memcpy(x, a, sizeof x);
  memcpy(y, b, sizeof y);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) != 0;
}

static int device(int id, wc_CryptoInfo *info, void *self) {
  wb_tls_keys *keys = wb_tls_keys_lent;
  if (!keys || info->algo_type != WC_ALGO_TYPE_CIPHER || info->cipher.type != WC_CIPHER_AES_GCM) return CRYPTOCB_UNAVAILABLE;
  struct gcm_context_data work;
  if (info->cipher.enc) {
    const Aes *aes = info->cipher.aesgcm_enc.aes;
    if (!fits(aes, info->cipher.aesgcm_enc.ivSz, info->cipher.aesgcm_enc.authTagSz)) return CRYPTOCB_UNAVAILABLE;
    (aes->keylen == AES_128_KEY_SIZE ? gcm.encrypt128 : gcm.encrypt256)(
        expand(keys, aes), &work, info->cipher.aesgcm_enc.out, info->cipher.aesgcm_enc.in, info->cipher.aesgcm_enc.sz,
        info->cipher.aesgcm_enc.iv, info->cipher.aesgcm_enc.authIn, info->cipher.aesgcm_enc.authInSz,
        info->cipher.aesgcm_enc.authTag, AES_BLOCK_SIZE);
  } else {
    const Aes *aes = info->cipher.aesgcm_dec.aes;
    if (!fits(aes, info->cipher.aesgcm_dec.ivSz, info->cipher.aesgcm_dec.authTagSz)) return CRYPTOCB_UNAVAILABLE;
    uint8_t tag[AES_BLOCK_SIZE];
    (aes->keylen == AES_128_KEY_SIZE ? gcm.decrypt128 : gcm.decrypt256)(
        expand(keys, aes), &work, info->cipher.aesgcm_dec.out, info->cipher.aesgcm_dec.in, info->cipher.aesgcm_dec.sz,
        info->cipher.aesgcm_dec.iv, info->cipher.aesgcm_dec.authIn, info->cipher.aesgcm_dec.authInSz, tag, AES_BLOCK_SIZE);
    if (differ(tag, info->cipher.aesgcm_dec.authTag)) {
      memset(info->cipher.aesgcm_dec.out, 0, info->cipher.aesgcm_dec.sz);
      return AES_GCM_AUTH_E;
    }
  }
  keys->records++;
  return 0;
}

bool wb_tls_aead_start(void) {
  IMB_MGR *manager = alloc_mb_mgr(0);
  if (!manager) return false;
  bool usable = false;
  if (manager->features & IMB_FEATURE_AESNI) {
    IMB_ARCH arch;
    init_mb_mgr_auto(manager, &arch);
    usable = !imb_get_errno(manager) && arch != IMB_ARCH_NOAESNI && manager->gcm128_pre && manager->gcm256_pre;
  }
  if (usable) {
    gcm.expand128 = manager->gcm128_pre;
    gcm.expand256 = manager->gcm256_pre;
    gcm.encrypt128 = manager->gcm128_enc;
    gcm.encrypt256 = manager->gcm256_enc;
    gcm.decrypt128 = manager->gcm128_dec;
    gcm.decrypt256 = manager->gcm256_dec;
    usable = !wc_CryptoCb_RegisterDevice(WB_TLS_DEVICE, device, NULL);
  }
  free_mb_mgr(manager); /* the functions are plain code and need it no more */
  return usable;
}
