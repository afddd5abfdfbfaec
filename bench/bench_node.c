/* bench_node.c - the chain from received bytes to readable book, in memory: frame ring, parse, book, analytics, view, on one thread.
 *
 * What:  node/levels:N/products:P: the messages of memory_node.h copied into the journal in runs of 64, as a receive would bring them.
 * Check: after every whole pass over the messages each book equals one to which the same integers were applied directly.
 * Read:  ns a message, all included but the socket and TLS. */
#include "bench/harness.h"
#include "bench/memory_node.h"

enum { MESSAGES = 8192, RUN = 64 };

typedef struct parameter {
  uint32_t levels, products;
} parameter;

static void *setup(const void *raw, bool smoke) {
  const parameter *p = raw;
  return memory_node_open(p->levels, p->products, MESSAGES);
}

static void run(void *state, wb_bench_run *r) {
  memory_node *n = state;
  uint64_t passes = r->iterations / MESSAGES + 1;
  for (uint64_t pass = 0; pass < passes; pass++)
    for (uint32_t i = 0; i < MESSAGES; i += RUN) {
      for (uint32_t j = i; j < i + RUN; j++) {
        memory_node_push(n, n->text[j], n->bytes[j]);
        r->bytes += n->bytes[j];
      }
      wb_frames_publish(&n->frames);
      memory_node_drain(n);
    }
  r->items = passes * MESSAGES;
}

static const char *check(void *state, const wb_bench_run *r) { return memory_node_check(state); }
static void teardown(void *state) { memory_node_close(state); }

#define CASE(levels, products, against)                                                                                        \
  {                                                                                                                            \
    "node/levels:" #levels "/products:" #products, against, &(const parameter){levels, products}, 1, 0, setup, run, check,     \
        teardown                                                                                                               \
  }

int main(int argc, char **argv) {
  const wb_bench_case cases[] = {
      CASE(50, 1, NULL),
      CASE(1000, 1, "node/levels:50/products:1"),
      CASE(45000, 1, "node/levels:50/products:1"),
      CASE(1000, 3, "node/levels:1000/products:1"),
      CASE(1000, 400, "node/levels:1000/products:1"),
  };
  return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
