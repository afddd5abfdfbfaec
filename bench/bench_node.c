/* bench_node.c - the chain from received bytes to readable book, in memory: frame ring, parse, book, analytics, view, on one thread.
 *
 * What:  node/levels:N/products:P: the messages of memory_node.h copied into the journal in runs of 64, as a receive would bring them.
 *        lines:2: each run once more from a second line, so that a message is one that is applied and a copy that is dropped.
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

/* Two lines that are both live, and messages whose times differ. */
static void *setup_lines(const void *raw, bool smoke) {
  memory_node *n = setup(raw, smoke);
  if (!n) return NULL;
  wb_arbiter *a = &n->arbiter;
  wb_arbiter_init(a, memory_node_owned(n, wb_arbiter_bytes(2, n->product_count)), 2, n->product_count, &wb_recover_default, 1);
  n->book.config.arbiter = a;
  wb_witness_config *witness = memory_node_owned(n, sizeof *witness);
  *witness = wb_witness_default;
  witness->policy[WB_ALARM_TIME] = WB_WITNESS_OFF; /* each pass has the times of the first */
  n->book.config.witness = witness;
  n->parse.redundant = true;
  for (uint32_t product = 0; product < n->product_count; product++)
    for (uint32_t line = 0; line < 2; line++) {
      wb_arbiter_connected(a, product, line, 1);
      wb_arbiter_loaded(a, product, line, line ? WB_LOAD_NEVER : WB_LOAD_NOW, true, 1);
    }
  for (uint32_t i = 0; i < n->message_count; i++) {
    char digits[16];
    snprintf(digits, sizeof digits, "%06u", i);
    memcpy(n->text[i] + n->bytes[i] - 9, digits, 6);
  }
  return n;
}

static void run(void *state, wb_bench_run *r) {
  memory_node *n = state;
  uint64_t passes = r->iterations / MESSAGES + 1;
  for (uint64_t pass = 0; pass < passes; pass++)
    for (uint32_t i = 0; i < MESSAGES; i += RUN)
      for (n->line = 0; n->line < (n->arbiter.line_count ? 2 : 1); n->line++) {
        for (uint32_t j = i; j < i + RUN; j++) {
          memory_node_push(n, n->text[j], n->bytes[j]);
          r->bytes += n->bytes[j];
        }
        wb_frames_publish(&n->frames);
        memory_node_drain(n);
      }
  r->items = passes * MESSAGES;
}

static const char *check(void *state, const wb_bench_run *r) {
  const memory_node *n = state;
  /* But for those of the time in which the snapshot came, which are told by time. */
  if (n->arbiter.line_count && n->arbiter.line[1].duplicates < n->views[0].data.updates / 100 * 99)
    return "copies were not dropped";
  return memory_node_check(n);
}
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
      {"node/levels:1000/products:1/lines:2", "node/levels:1000/products:1", &(const parameter){1000, 1}, 1, 0, setup_lines,
       run, check, teardown},
  };
  return wb_bench_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
