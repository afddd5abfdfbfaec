/* M2: one writer whose books follow from the messages' numbers, and a publisher on another thread whose clients subscribe and unsubscribe all the while. After each message of
 * level 2 that comes, its time says which of the writer's messages it is: a client's book must be what the writer's was after that one. */
#include <pthread.h>
#include <sched.h>

#include "engine/ring/atomic.h"

#define RIG_CHECK(condition) ((condition) ? (void)0 : (printf("stress_publish: line %d\n", __LINE__), exit(1)))
#include "tests/publisher_rig.h"

#ifdef __SANITIZE_THREAD__
enum { MESSAGES = 30000 };
#else
enum { MESSAGES = 150000 };
#endif
enum { CHANGES = 6, PRICES = 400, TURNS_PER_REQUEST = 40, AT_ONCE = 64 };
/* The writer waits every STRETCH messages until the publisher has looked LOOKS times since; the publisher rests now and then until it is lapped. */
enum { RING_BYTES = 1 << 16, RING_CHANGES = RING_BYTES / sizeof(wirebook_shm_change), STRETCH = 2048, LOOKS = 128 };
enum { BETWEEN_RESTS = MESSAGES / 30 };

/* By message: of its product's book after it. Written before the message is taken by its book. */
static uint64_t hash[MESSAGES + 1];
static uint64_t checked, done;
static uint64_t written; /* W writer, R publisher: messages */
static uint64_t looks;   /* W publisher, R writer */

static uint64_t drawn(uint64_t *random) {
  uint64_t z = (*random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void seen(rig_client *client, int product, const rig_book *book) {
  RIG_CHECK(book->time_us > 0 && book->time_us <= MESSAGES);
  if (wb_book_hash(book->book) != wb_load_relaxed(&hash[book->time_us])) {
    printf("stress_publish: product %d of a client is not what it was after message %lld (%u snapshots, %u updates)\n", product,
           (long long)book->time_us, book->snapshots, book->updates);
    exit(1);
  }
  checked++;
}

static void *publish(void *self) {
  static const char *const channels[RIG_CLIENTS] = {"level2", "level2_batch", "level2", "level2_50"};
  rig *r = self;
  uint64_t random = 7, rest_at = BETWEEN_RESTS, rest_until = 0;
  for (uint64_t n = 0; !wb_load_acquire(&done);) {
    char text[256];
    uint64_t messages = wb_load_acquire(&written);
    wb_store_release(&looks, looks + 1);
    if (messages >= rest_at) {
      rest_until = messages + RING_CHANGES; /* a message has one change at least */
      rest_at = rest_until + BETWEEN_RESTS;
    }
    if (messages < rest_until) {
      sched_yield();
      continue;
    }
    uint64_t now_ns = RIG_S + n * 10 * RIG_MS;
    rig_client *client = &r->client[drawn(&random) % RIG_CLIENTS];
    if (n % TURNS_PER_REQUEST == 0) {
      snprintf(text, sizeof text, "{\"type\":\"%s\",\"product_ids\":[\"%s\"],\"channels\":[\"%s\"]}",
               drawn(&random) % 4 ? "subscribe" : "unsubscribe", rig_ids[drawn(&random) % RIG_PRODUCTS],
               channels[client - r->client]);
      wb_publisher_take(r->publisher, client->at, text, strlen(text), now_ns);
    }
    wb_publisher_turn(r->publisher, now_ns, 0);
    n++;
    sched_yield();
  }
  return NULL;
}

int main(void) {
  rig *r = rig_open_with(RING_BYTES);
  uint64_t random = 1, looked = 0;
  static wb_book *model[RIG_PRODUCTS];
  for (unsigned i = 0; i < RIG_PRODUCTS; i++) model[i] = rig_book_made();
  rig_message(r, WB_PRODUCT_NONE, WB_MESSAGE_CONNECT, RIG_WHOLE, NULL, 0, 0);
  for (unsigned i = 0; i < RIG_CLIENTS; i++) rig_join(r, i)->seen = seen;
  pthread_t thread;
  pthread_create(&thread, NULL, publish, r);
  for (int64_t n = 1; n <= MESSAGES; n++) {
    unsigned product = drawn(&random) % RIG_PRODUCTS;
    bool snapshot = n <= 3 * RIG_PRODUCTS || drawn(&random) % 20000 == 0;
    wb_delta delta[CHANGES];
    uint32_t count = 1 + drawn(&random) % CHANGES, first = drawn(&random) % (count + 1);
    for (uint32_t i = 0; i < count; i++) {
      bool ask = drawn(&random) & 1;
      delta[i] = (wb_delta){.price = (1000 + drawn(&random) % PRICES) * 1000000, .size = drawn(&random) % 4, .side = ask};
    }
    if (snapshot) {
      product = n <= 3 * RIG_PRODUCTS ? (unsigned)n % RIG_PRODUCTS : product;
      wb_book_load_begin(model[product]);
      wb_book_load_add(model[product], delta, count);
      wb_book_load_end(model[product]);
    } else {
      wb_book_apply(model[product], delta, count, NULL);
    }
    wb_store_relaxed(&hash[n], wb_book_hash(model[product]));
    wb_message_kind kind = snapshot ? WB_MESSAGE_SNAPSHOT : WB_MESSAGE_UPDATE;
    if (first) rig_message(r, product, kind, first == count ? RIG_WHOLE : WB_PART_FIRST, delta, first, n);
    if (first && first < count && drawn(&random) % 4 == 0) wb_book_stage_settle(&r->stage);
    if (first < count) rig_message(r, product, kind, first ? WB_PART_LAST : RIG_WHOLE, delta + first, count - first, n);
    r->now_ns = (uint64_t)n;
    if (n % 8 == 0) wb_book_stage_settle(&r->stage);
    if (n % AT_ONCE == 0) {
      wb_store_release(&written, (uint64_t)n);
      sched_yield();
    }
    if (n % STRETCH == 0) {
      while (wb_load_acquire(&looks) < looked + LOOKS) sched_yield();
      looked = wb_load_acquire(&looks);
    }
  }
  wb_store_release(&done, 1);
  pthread_join(thread, NULL);
  const wb_publisher_counts *counts = wb_publisher_counts_of(r->publisher);
  printf("stress_publish: %llu books compared; %llu copies, %llu snapshots, %llu messages formatted, %llu changes lapped\n",
         (unsigned long long)checked, (unsigned long long)counts->copies, (unsigned long long)counts->snapshots,
         (unsigned long long)counts->formatted, (unsigned long long)counts->lapped);
  RIG_CHECK(checked > 100 && counts->copies > 10);
  for (unsigned i = 0; i < RIG_PRODUCTS; i++) wb_arena_close(model[i], wb_book_bytes(&rig_book_config));
  rig_close(r);
  return 0;
}
