/* tls_private.h - what the parts of the TLS file pair (tls.c, tls_aead.c, tls_pool.c, tls_certificate.c) and their test share.
 */
#ifndef WB_IO_TLS_PRIVATE_H
#define WB_IO_TLS_PRIVATE_H

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include "io/tls.h"

struct wb_tls_context {
  WOLFSSL_CTX *ctx;
  bool client, insecure;
};

/* wb_tls_start initializes wolfSSL once a process: allocator, random numbers, record cipher. Any thread. Returns 0, WB_E_TLS.
 */
int wb_tls_start(wb_error *error);

/* The allocator behind wolfSSL. Blocks of power-of-two classes up to 64 KiB are kept when freed, WB_TLS_POOL_KEPT a class (2
 * MiB together), and handed out again; the rest is malloc's. Any thread, no lock: a kept block is moved by one atomic exchange.
 */
enum { WB_TLS_POOL_KEPT = 16 };
void *wb_tls_pool_take(size_t bytes);
void wb_tls_pool_give(void *block);
void *wb_tls_pool_resize(void *block, size_t bytes);

/* While it is set, what this thread gives back is wiped. */
extern _Thread_local bool wb_tls_pool_wipes;

/* wb_tls_pool_warm makes sure that a few blocks of every class are kept (512 KiB together): a connection that has been open for an
 * hour may meet its first record of a size. */
void wb_tls_pool_warm(void);

/* AES-GCM by libipsec-mb, as a wolfCrypt device. wolfSSL hands the device its cipher object but not the connection, and the
 * expanded keys must live and die with the connection: so a thread lends it the keys of the connection it is about to work on
 * (wb_tls_keys_lent), for the duration of one call. Without lent keys, for other algorithms, and on CPUs without AES
 * instructions the device passes, and wolfCrypt does the work itself. */
enum { WB_TLS_DEVICE = 0x77620001 };

typedef struct wb_tls_keys wb_tls_keys;
extern _Thread_local wb_tls_keys *wb_tls_keys_lent;

/* wb_tls_aead_start registers the device. Returns whether the CPU has what it takes. */
bool wb_tls_aead_start(void);

wb_tls_keys *wb_tls_keys_open(void); /* NULL: no memory */
void wb_tls_keys_close(wb_tls_keys *keys);

/* wb_tls_keys_records: how many records were done with these keys. */
uint64_t wb_tls_keys_records(const wb_tls_keys *keys);

/* wb_tls_keys_of: the keys of a connection, NULL where the device is not in use. */
wb_tls_keys *wb_tls_keys_of(const wb_tls *tls);

#endif
