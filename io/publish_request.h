/* publish_request.h - what a client of the Exchange dialect asks for: subscribe and unsubscribe, and the error that answers what is wrong with them.
 *
 * Shape:   {"type":"subscribe","product_ids":[...],"channels":["level2_batch",{"name":"ticker","product_ids":[...]}]}. product_ids at the root are added to
 *          every channel. level2_50 is level2_batch, ticker_1000 is ticker_batch. What a login adds (signature, key, ...) is passed by. One bad
 *          product or channel does not spoil the rest.
 * Memory:  the caller's, but for what jansson needs while it reads. Threads: any one. */
#ifndef WB_IO_PUBLISH_REQUEST_H
#define WB_IO_PUBLISH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/products.h"

typedef enum {
  WB_PUBLISH_LEVEL2,       /* a message of the feed is one of ours */
  WB_PUBLISH_LEVEL2_BATCH, /* gathered over 50 ms */
  WB_PUBLISH_HEARTBEAT,
  WB_PUBLISH_TICKER,
  WB_PUBLISH_TICKER_BATCH,
  WB_PUBLISH_MATCHES,
  WB_PUBLISH_CHANNELS
} wb_publish_channel;

enum {
  WB_PUBLISH_REQUEST_BYTES_MAX = 256 << 10, /* a subscribe of 4,096 products is 80 KB */
  WB_PUBLISH_COMPLAINTS_MAX = 32,           /* of one request: nobody reads more */
  WB_PUBLISH_ERROR_BYTES_MAX = 2048
};

typedef struct wb_publish_request {
  bool unsubscribe;
  uint8_t named;                                   /* bits of the channels that it names */
  uint8_t whole;                                   /* of those without a product, which an unsubscribe drops whole */
  uint8_t order[WB_PUBLISH_CHANNELS], order_count; /* the channels named, in their order */
  const char *name[WB_PUBLISH_CHANNELS];           /* by channel: as it was asked for; static text */
  uint8_t *wants;                                  /* a product of the table: bits of channels */
  uint16_t *product;                               /* those with any, in their order */
  uint32_t product_count;
} wb_publish_request;

/* Told what is wrong, at most WB_PUBLISH_COMPLAINTS_MAX times a request: an error message as the exchange words it, whole, as JSON. */
typedef void wb_publish_complain(void *self, const char *text, size_t bytes);

/* wb_publish_request_read reads one text message. wants: all zero, and product: room for as many as the table has; both set by the caller, who zeroes again
 * what wants holds. Returns 1: there is something to do; 0: there is not, and why was said; WB_E_UTF8; WB_E_SYNTAX: no JSON, which was said. */
int wb_publish_request_read(wb_publish_request *request, const wb_products *products, const char *text, size_t bytes,
                            wb_publish_complain *complain, void *self);

/* wb_publish_error writes {"type":"error",...} into WB_PUBLISH_ERROR_BYTES_MAX bytes and returns how many; 0 when there is no memory. */
size_t wb_publish_error(const char *message, const char *reason, char *to);

#endif
