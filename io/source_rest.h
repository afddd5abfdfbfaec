/* source_rest.h - the snapshots that level-3 books are spliced to: asked for by REST, one after the other, on a thread of their own.
 *
 * What:    the ingest thread says which product wants its book; the thread gets it (io/rest.h), and lays the answer, as an ANSWER record, into a frame
 *          ring of its own; the ingest thread gives it the node's next number and publishes it like what it received itself.
 * Pace:    per_second requests at most, over all products, in turn; none while the exchange has asked to wait (429, 503 with Retry-After). A product that asks
 *          again before its turn is asked for once. A request that fails, or is refused, is an answer too: who wants it anew asks again.
 * Hands    the writer's side of the ring belongs to one of the two at a time: to the thread while `offered` is 0, to ingest while it is 1.
 * Threads: ask and take from the ingest thread; start, stop, close from the control thread. Edges A1 (asked), A2 (offered), see docs/threading.md.
 * Memory:  at open; an answer's body while it is on its way. */
#ifndef WB_IO_SOURCE_REST_H
#define WB_IO_SOURCE_REST_H

#include "engine/port.h"
#include "engine/ring/frames.h"
#include "io/cpu.h"

typedef struct wb_source_rest wb_source_rest;

enum { WB_REST_PER_SECOND_DEFAULT = 5, WB_REST_PER_SECOND_MAX = 10, WB_REST_HEAD_BYTES_MAX = 256 };

typedef struct wb_source_rest_config {
  const char *url; /* of the API: "https://api.exchange.coinbase.com"; not kept */
  const wb_codec_orders *orders;
  const wb_products *products;
  const char *ca_file; /* NULL: the system's */
  bool insecure;       /* loopback only */
  uint32_t per_second; /* 0: WB_REST_PER_SECOND_DEFAULT */
  size_t body_bytes_max;
  wb_frames *frames; /* the answers' ring, which holds the largest */
  const wb_host *host;
  void (*wake)(void *self); /* that an answer is there; any thread */
  void *self;
  wb_cpu_list avoid; /* CPUs that the hot threads have */
} wb_source_rest_config;

/* NULL on failure, *error says what. */
wb_source_rest *wb_source_rest_open(const wb_source_rest_config *config, wb_error *error);
void wb_source_rest_close(wb_source_rest *rest);

int wb_source_rest_start(wb_source_rest *rest, wb_error *error);
void wb_source_rest_stop(wb_source_rest *rest);

/* The ingest thread's two, as a wb_source_asker has them; self is the wb_source_rest.
 *
 * wb_source_rest_ask: the product wants its book; line and connection are said in the answer's record. A store, and a wake. */
void wb_source_rest_ask(void *self, uint16_t product, uint8_t line, uint16_t connection);

/* wb_source_rest_take publishes an answer that is there as record `number`; false if there is none, or no room for its descriptor. */
bool wb_source_rest_take(void *self, uint64_t number, uint64_t now_ns);

#endif
